"""Hydra's and OmegaConf's errors, told in one sentence each."""

from __future__ import annotations

import dataclasses
import re
import typing
from pathlib import Path

from hydra.errors import OverrideParseException

from simgen.config.schema import RenderConfig
from simgen.errors import ConfigError, near_match
from simgen.scene.fields import unknown_key


def explain(error: Exception) -> ConfigError:
    """The ConfigError that says what ``error``, raised by Hydra or OmegaConf, means for the user."""
    if isinstance(error, ConfigError):
        return error
    text = str(error)
    cause = f"{text}\n{error.__cause__}" if error.__cause__ else text
    return (
        _unreadable(error)
        or _group(text)
        or _deletion(cause)
        or _unknown_option(text)
        or _unknown_key(cause)
        or _wrong_type(cause)
        or _sweep(text)
        or ConfigError(_one_sentence(text))
    )


def _unreadable(error: Exception) -> ConfigError | None:
    """``frames=[1``."""
    if not isinstance(error, OverrideParseException):
        return None
    reason = str(error).splitlines()[0].removeprefix("LexerNoViableAltException: ")
    return ConfigError(
        f"{error.override!r} cannot be read ({reason}); write key=value, and quote a value with special characters "
        f"twice: \"key='value'\"."
    )


def _group(text: str) -> ConfigError | None:
    """``scene=null``, ``+scene=shapes``, ``colour/red=x``."""
    if "Config group override must be a string or a list" in text:
        return ConfigError("scene and renderer are chosen by a name, not by null or a number: write scene=NAME.")
    twice = re.match(r"(\S+) appears more than once in the final defaults list", text)
    if twice:
        return ConfigError(f"{twice.group(1)} is chosen already; write {twice.group(1)}=... without + to change it.")
    unknown = re.search(r"config group '([^']*)' does not exist|Could not override '([^']*)'.*(?:\n|$)", text)
    if unknown and "full_key" not in text and (unknown.group(1) or "default list" in text):
        name = (unknown.group(1) or unknown.group(2)).partition("@")[0]
        hint = near_match(name, ("scene", "renderer"))
        return ConfigError(f"{name} is nothing that can be chosen so{hint}; write scene=NAME or renderer=NAME.")
    there = re.search(r"An item is already at '([^']*)'", text)
    if there:
        return ConfigError(f"{there.group(1)} is there already; write {there.group(1)}=... without + to change it.")
    return None


def _deletion(text: str) -> ConfigError | None:
    """``~scene.objects``, ``~scene.objects.cup``, ``~frames=3``."""
    absent = re.search(r"Could not delete from config\. '([^']*)' does not exist", text)
    if absent:
        *parents, key = absent.group(1).split(".")
        parent = _type_at(parents)
        known = [field.name for field in dataclasses.fields(parent)] if dataclasses.is_dataclass(parent) else []
        return ConfigError(f"there is no {absent.group(1)} that could be taken out{near_match(key, known)}.")
    other = re.search(r"Could not delete from config\. The value of '([^']*)' is", text)
    if other:
        key = other.group(1)
        return ConfigError(f"{key} has another value than the one given; write ~{key} to take it out whatever it is.")
    if "does not support deletion" not in text:
        return None
    full = re.search(r"full_key: (\S+)", text)
    where = full.group(1) if full else "this setting"
    hint = _type_at(where.split("."))
    if typing.get_origin(hint) is dict:
        advice = f"take out its entries one by one, as in ~{where}.NAME"
    elif hint is typing.Any or _optional(hint):
        advice = f"write {where}=null to have it as if it were not set"
    elif dataclasses.is_dataclass(hint):
        advice = "change what is in it"
    else:
        advice = "give it another value"
    return ConfigError(f"{where} is part of every configuration and cannot be taken out; {advice}.")


def _unknown_option(text: str) -> ConfigError | None:
    """``scene=tabeltop``."""
    match = re.search(r"Could not (?:find|load) '(?:([\w/]+)/)?([^'/]*)'", text)
    if not match:
        return None
    group, name = match.group(1) or "configuration", match.group(2)
    if group.startswith("scene/"):  # a path
        group, name = "scene", f"{group.removeprefix('scene/')}/{name}"
    known = re.findall(r"^\t([^\t=\n]+)$", text, re.MULTILINE)
    shown = [option for option in known if "@" not in option]
    what = f"there is no {group} {name!r}{near_match(name, shown)}"
    if group == "scene" and Path(f"{name}.yaml").is_file():
        # Without a list of names, it is missing where a scene file starts from.
        advice = (
            f"to take the file, write scene={name}.yaml"
            if shown
            else ("scene files start from shipped scenes, or from those in a folder DIR/scene with --config-dir DIR")
        )
        return ConfigError(f"{what}; {advice}.")
    more = f"there are {', '.join(shown)}" if shown else "see `simgen list scenes`"
    return ConfigError(f"{what}; {more}.")


def _unknown_key(text: str) -> ConfigError | None:
    match = re.search(r"Key '([^']*)' (?:is not in struct|not in '\w+')", text)
    if not match:
        return None
    key = match.group(1)
    full = re.search(r"full_key: (\S+)", text)
    path = full.group(1) if full else key
    parent = _type_at(path.split(".")[:-1])
    if dataclasses.is_dataclass(parent):
        return unknown_key(path, key, {field.name: field for field in dataclasses.fields(parent)})
    if typing.get_origin(parent) is dict:
        return ConfigError(
            f"there is no {path}; new entries are given in a scene file, which may start from another one by "
            f'"defaults: [tabletop, _self_]".'
        )
    where = path.rpartition(".")[0]
    return ConfigError(
        f"{where} has no {key} now; write +{path}=... to add it, or, to change the kind of distribution, clear the old "
        f"one first: {where}=null."
    )


def _type_at(path: list[str]) -> typing.Any:
    """The type that the schema has at a dotted key."""
    hint: typing.Any = RenderConfig
    for name in path:
        if typing.get_origin(hint) is dict:
            hint = typing.get_args(hint)[1]
        elif dataclasses.is_dataclass(hint):
            hint = typing.get_type_hints(hint).get(name)
        # An optional part such as the robot.
        hint = next((arg for arg in typing.get_args(hint) if _optional(hint) and dataclasses.is_dataclass(arg)), hint)
    return hint


def _optional(hint: object) -> bool:
    return type(None) in typing.get_args(hint)


def _wrong_type(text: str) -> ConfigError | None:
    full = re.search(r"full_key: (\S+)", text)
    if not full:
        return None
    where = full.group(1)
    converted = re.search(r"Value '(.*)' of type '\w+' could not be converted to (\w+)", text)
    if converted:
        wanted = {"Integer": "a whole number", "Float": "a number", "Boolean": "true or false", "String": "a word"}
        return ConfigError(
            f"{where} must be {wanted.get(converted.group(2), converted.group(2))}, not {converted.group(1)!r}."
        )
    if "is not Optional" in text:
        return ConfigError(f"{where} must not be null; give it {_wanted(_type_at(where.split('.')))}, or leave it out.")
    if re.search(r"Cannot merge (DictConfig|ListConfig) with (DictConfig|ListConfig)", text):
        return ConfigError(
            f"{where}: a list and a mapping do not merge; clear the old value first: {where}=null, then set the new."
        )
    interpolation = re.search(r"Interpolation key '(.*)' not found", text)
    if interpolation:
        return ConfigError(f"{where} refers to ${{{interpolation.group(1)}}}, which does not exist.")
    if "is not a ListConfig, list or tuple" in text:
        return ConfigError(f"{where} must be a list, such as [a, b].")
    if "is not a subclass of" in text and "." not in where:
        return ConfigError(
            f"{where}: new entries are given in a scene file, which may start from another one by "
            f'"defaults: [tabletop, _self_]".'
        )
    if "is not a subclass of" in text or "Cannot assign" in text or "Invalid type assigned" in text:
        return ConfigError(f"{where} must be a mapping of settings; in a YAML file it can be given as a whole.")
    if "is not a valid bool" in text:
        return ConfigError(f"{where} must be true or false.")
    if "missing mandatory value" in text.lower():
        return ConfigError(f"{where} has no value; give one.")
    return ConfigError(f"{where}: {_one_sentence(text.split('full_key')[0])}")


def _wanted(hint: object) -> str:
    """What a setting of a type takes, in words."""
    if dataclasses.is_dataclass(hint) or typing.get_origin(hint) is dict:
        return "a mapping of settings"
    if typing.get_origin(hint) is list:
        return "a list, [] for an empty one"
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}
    return words.get(hint, "a value")  # type: ignore[call-overload]


def _sweep(text: str) -> ConfigError | None:
    match = re.search(r"Ambiguous value for argument '(.*)'", text)
    if not match:
        return None
    key = match.group(1).split("=")[0]
    return ConfigError(f"{match.group(1)} is several values; write {key}=[...] for a list, or add -m to sweep.")


def _one_sentence(text: str) -> str:
    """The first lines of a message, without Hydra's pointers to its manual."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("See https")]
    sentence = " ".join(lines[:3]) or "the configuration cannot be composed"
    return sentence if sentence.endswith(".") else f"{sentence}."

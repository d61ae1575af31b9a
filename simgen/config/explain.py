"""Hydra's and OmegaConf's errors, told in one sentence each."""

from __future__ import annotations

import dataclasses
import re
import typing

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


def _unknown_option(text: str) -> ConfigError | None:
    """``scene=tabeltop``."""
    match = re.search(r"Could not find '(?:([\w/]+)/)?([^'/]+)'", text)
    if not match:
        return None
    group, name = match.group(1) or "configuration", match.group(2)
    known = re.findall(r"^\t([^\t=\n]+)$", text, re.MULTILINE)
    shown = [option for option in known if "@" not in option]
    what = f"there is no {group} {name!r}{near_match(name, shown)}"
    return ConfigError(f"{what}; there are {', '.join(shown)}." if shown else f"{what}.")


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

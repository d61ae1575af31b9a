"""From YAML to distributions and back.

A plain number, word, boolean or list is a constant. A mapping names its distribution and gives its parameters::

    {dist: uniform, low: 0.6, high: 1.2, nominal: 0.9}

A list in which some entry is a mapping is a vector: ``[{dist: uniform, low: -1, high: 1}, 0, 0]``.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from simgen.distributions.base import Distribution, Value
from simgen.distributions.combine import Choice, Mixture, Vector
from simgen.distributions.scalar import Bernoulli, Constant, LogUniform, Normal, TruncatedNormal, Uniform, UniformInt
from simgen.distributions.space import AxisRotation, Color, Direction, Rotation
from simgen.errors import ConfigError, near_match

DISTRIBUTIONS: dict[str, type[Distribution]] = {
    kind.name: kind
    for kind in (
        Uniform,
        UniformInt,
        LogUniform,
        Normal,
        TruncatedNormal,
        Choice,
        Bernoulli,
        Direction,
        Rotation,
        AxisRotation,
        Color,
        Mixture,
    )
}
"""What ``dist:`` may name."""


def parse(value: object, where: str, leaf: Callable[[Any], Value] = lambda v: v) -> Distribution:
    """The distribution that ``value`` (YAML as plain Python) describes.

    ``where`` is the dotted key, for errors. ``leaf`` converts constants and the values of a choice (for example a
    colour's name to its numbers) and raises ValueError for what it does not take. Raises ConfigError with one sentence.
    """
    if isinstance(value, Distribution):
        return value
    if isinstance(value, dict):
        return _parse_mapping(value, where, leaf)
    if isinstance(value, list | tuple) and any(isinstance(entry, dict | Distribution) for entry in value):
        return Vector(tuple(parse(entry, f"{where}.{k}", leaf) for k, entry in enumerate(value)))
    try:
        constant = _constant(value)
        return Constant(constant if constant is None else leaf(constant))
    except ValueError as error:
        raise ConfigError(f"{where}: {error}.") from None


def to_plain(distribution: Distribution) -> Any:
    """The YAML form, which ``parse`` reads back to an equal distribution."""
    if isinstance(distribution, Constant):
        return list(distribution.fixed) if isinstance(distribution.fixed, tuple) else distribution.fixed
    if isinstance(distribution, Vector):
        return [to_plain(part) for part in distribution.of]
    plain: dict[str, Any] = {"dist": distribution.name}
    for field in dataclasses.fields(distribution):  # type: ignore[arg-type]
        plain[field.name] = _plain(getattr(distribution, field.name))
    return plain


def _parse_mapping(value: dict[Any, Any], where: str, leaf: Callable[[Any], Value]) -> Distribution:
    name = value.get("dist")
    if name is None:
        raise ConfigError(
            f'{where}: a random value needs "dist", one of {", ".join(DISTRIBUTIONS)}; this has only '
            f"{', '.join(str(key) for key in value) or 'nothing'}."
        )
    if name not in DISTRIBUTIONS:
        hint = near_match(str(name), DISTRIBUTIONS)
        raise ConfigError(f"{where}: there is no distribution {name!r}{hint}; there are {', '.join(DISTRIBUTIONS)}.")
    kind = DISTRIBUTIONS[name]
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    parameters = {key: entry for key, entry in value.items() if key != "dist"}
    for key in parameters:
        if key not in fields:
            raise ConfigError(
                f"{where}: {name} has no parameter {key!r}{near_match(str(key), fields)}; it takes {', '.join(fields)}"
                f"{_replace_hint(str(key), where)}."
            )
    for key, field in fields.items():
        if field.default is dataclasses.MISSING and key not in parameters:
            raise ConfigError(f"{where}: {name} needs {key!r}; it takes {', '.join(fields)}.")
    try:
        if kind is Mixture and isinstance(parameters["of"], list):
            parameters["of"] = tuple(parse(part, f"{where}.of.{k}", leaf) for k, part in enumerate(parameters["of"]))
        elif kind is Choice:
            parameters = _parse_choice(parameters, leaf)
        return kind(**{key: _constant(entry) for key, entry in parameters.items()})
    except ValueError as error:
        raise ConfigError(f"{where}: {error}.") from None


def _parse_choice(parameters: dict[str, Any], leaf: Callable[[Any], Value]) -> dict[str, Any]:
    out = dict(parameters)
    if isinstance(out["values"], list):
        for entry in out["values"]:
            if isinstance(entry, dict):
                raise ValueError("the values of a choice are fixed; use a mixture for a choice between distributions")
        out["values"] = tuple(leaf(_constant(entry)) for entry in out["values"])
    if out.get("nominal") is not None:
        out["nominal"] = leaf(_constant(out["nominal"]))
    return out


def _replace_hint(key: str, where: str) -> str:
    """What to do when the parameter belongs to another distribution, that is, when two were merged."""
    if not any(key in {f.name for f in dataclasses.fields(kind)} for kind in DISTRIBUTIONS.values()):  # type: ignore[arg-type]
        return ""
    return f"; settings are merged, so to change the kind of distribution first clear the old one: {where}=null"


def _constant(value: object) -> Value:
    """``value`` with lists as tuples; ValueError when it is no constant or not finite."""
    if isinstance(value, list | tuple):
        return tuple(_constant(entry) for entry in value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is not a finite number")
    if value is None or isinstance(value, bool | int | float | str | Distribution):
        return value
    raise ValueError(f"{value!r} is neither a constant nor a distribution")


def _plain(value: Value) -> Any:
    if isinstance(value, Distribution):
        return to_plain(value)
    return [_plain(entry) for entry in value] if isinstance(value, tuple) else value

"""Typed settings: how they are declared, built from plain data with errors that name the key, and turned back.

A setting is a field of a dataclass. ``varies`` declares one that may be random: it is ``Any`` to OmegaConf and holds a
``Distribution`` once built. ``number``, ``vector`` and ``word`` declare fixed ones with limits, ``nested`` lists of
vectors. Everything else (booleans, dataclasses, lists and dictionaries of them) is declared by its type alone.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar

from simgen import distributions
from simgen.distributions import AxisRotation, Constant, Distribution, Rotation, Vector, parse
from simgen.distributions.space import linear_from_srgb, unit
from simgen.errors import ConfigError, near_match

T = TypeVar("T")

Kind = Literal["number", "integer", "word", "vec2", "vec3", "vec4", "size", "color", "direction", "rotation"]

_COMPONENTS = {"vec2": 2, "vec3": 3, "vec4": 4, "color": 3}
_ARTICLES = {
    "number": "one number",
    "integer": "a whole number",
    "word": "a word",
    "vec2": "a list of 2 numbers",
    "vec3": "a list of 3 numbers",
    "vec4": "a list of 4 numbers",
    "size": "one number or a list of 3",
    "color": 'a colour: "#rrggbb" (sRGB), or [r, g, b] in linear light',
    "direction": "a direction [x, y, z]",
    "rotation": "a rotation: random, upright, none or a quaternion [x, y, z, w]",
}
ROTATIONS: dict[str, Distribution] = {
    "random": Rotation(),
    "upright": AxisRotation(),
    "none": Constant((0.0, 0.0, 0.0, 1.0)),
}
"""Words for common rotations: any; any about the vertical; none."""


@dataclasses.dataclass(frozen=True)
class _Limits:
    low: float = -math.inf
    high: float = math.inf
    above: float = -math.inf
    """Exclusive."""

    def violated(self, value: float) -> str:
        """What is wrong with ``value``, or ''."""
        if -math.inf < self.above >= value:
            return f"must be greater than {self.above:g}"
        if value < self.low:
            return f"must be at least {self.low:g}"
        return f"must be at most {self.high:g}" if value > self.high else ""


def varies(
    kind: Kind,
    default: object,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    above: float = -math.inf,
    words: tuple[str, ...] = (),
) -> Any:
    """A setting that may be a distribution; ``default`` is its YAML form, None makes it optional.

    It is empty in the schema, so that YAML never merges into the default but replaces it.
    """
    limits = _Limits(low, high, above)
    return dataclasses.field(default=None, metadata={"varies": kind, "default": default, "limits": limits, "of": words})


def number(default: float | None, *, low: float = -math.inf, high: float = math.inf, above: float = -math.inf) -> Any:
    """A fixed number with limits."""
    return dataclasses.field(default=default, metadata={"limits": _Limits(low, high, above)})


def vector(default: tuple[float, ...] | None, length: int, *, above: float = -math.inf) -> Any:
    """A fixed list of ``length`` numbers with limits; None makes it optional."""
    metadata = {"limits": _Limits(above=above), "length": length}
    if default is None:
        return dataclasses.field(default=None, metadata=metadata)
    return dataclasses.field(default_factory=lambda: list(default), metadata=metadata)


def word(default: str, *options: str) -> Any:
    """One of ``options``."""
    return dataclasses.field(default=default, metadata={"of": options})


def words(options: tuple[str, ...], default: tuple[str, ...] = ()) -> Any:
    """A list of some of ``options``."""
    return dataclasses.field(default_factory=lambda: list(default), metadata={"of": options})


def nested(kind: Any, default: Callable[[], Any]) -> Any:
    """A setting of type ``kind``, in which lists of numbers lie in a list or a mapping.

    It is open in the schema, since OmegaConf takes no whole number for one that may have a fraction there.
    """
    return dataclasses.field(default_factory=default, metadata={"kind": kind})


def build(cls: type[T], plain: object, where: str = "") -> T:
    """An instance of the dataclass ``cls`` from plain data; missing keys take their defaults.

    Raises ConfigError with the full dotted key for unknown keys (and the nearest known one), wrong types, values out of
    limits and broken distributions.
    """
    if isinstance(plain, cls):
        return plain
    if not isinstance(plain, Mapping):
        raise ConfigError(f"{where or 'the configuration'} must be a mapping of settings, not {plain!r}.")
    fields, hints = _fields(cls)  # type: ignore[arg-type]
    for key in plain:
        if key not in fields:
            raise unknown_key(_join(where, key), str(key), fields)
    values = {}
    for name, field in fields.items():
        path = _join(where, name)
        if "varies" in field.metadata:
            values[name] = _build_varying(field, plain.get(name), path)
        elif name in plain:
            values[name] = _build(field.metadata.get("kind", hints[name]), plain[name], path, field.metadata)
        elif dataclasses.is_dataclass(hints[name]):
            values[name] = build(hints[name], {}, path)
    return cls(**values)


def plain(value: Any) -> Any:
    """Plain data (dict, list, str, number, bool, None) from which ``build`` makes an equal instance."""
    if isinstance(value, Distribution):
        return distributions.to_plain(value)
    if dataclasses.is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(entry) for key, entry in value.items()}
    return [plain(entry) for entry in value] if isinstance(value, list | tuple) else value


def unknown_key(path: str, key: str, known: Mapping[str, object]) -> ConfigError:
    """The error for a key that does not exist; ``path`` is its full dotted form."""
    return ConfigError(f"there is no setting {path}{near_match(key, known)}; here there are {', '.join(known)}.")


@functools.cache
def _fields(cls: Any) -> tuple[dict[str, dataclasses.Field[Any]], dict[str, Any]]:
    return {field.name: field for field in dataclasses.fields(cls)}, typing.get_type_hints(cls)


def _join(where: str, key: object) -> str:
    return f"{where}.{key}" if where else str(key)


def _build(hint: Any, value: Any, where: str, metadata: Mapping[str, Any]) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        hint = next(arg for arg in args if arg is not type(None))
        origin, args = typing.get_origin(hint), typing.get_args(hint)
    if value is None and hint is not Any:
        raise ConfigError(f"{where} must not be null.")
    if dataclasses.is_dataclass(hint):
        return build(hint, value, where)  # type: ignore[arg-type]
    if origin is dict:
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where} must be a mapping from names to settings, not {value!r}.")
        return {_name(key, where): _build(args[1], entry, _join(where, key), {}) for key, entry in value.items()}
    if origin is list:
        if not isinstance(value, list | tuple):
            raise ConfigError(f"{where} must be a list, not {value!r}.")
        length = metadata.get("length")
        if length is not None and len(value) != length:
            raise ConfigError(f"{where} must be a list of {length} numbers, not {list(value)}.")
        return [_build(args[0], entry, f"{where}.{k}", metadata) for k, entry in enumerate(value)]
    return _leaf(hint, value, where, metadata)


def _leaf(hint: Any, value: Any, where: str, metadata: Mapping[str, Any]) -> Any:
    if hint is Any:
        return value
    if hint in (int, float):
        wanted = "a whole number" if hint is int else "a number"
        exact = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not exact or (hint is int and int(value) != value):
            raise ConfigError(f"{where} must be {wanted}, not {value!r}.")
        wrong = metadata.get("limits", _Limits()).violated(value)
        if wrong:
            raise ConfigError(f"{where} {wrong}, but it is {value}.")
        return hint(value)
    if not isinstance(value, hint):
        name = {str: "a word", bool: "true or false"}.get(hint, hint.__name__)
        raise ConfigError(f"{where} must be {name}, not {value!r}.")
    options = metadata.get("of")
    if options and value not in options:
        raise ConfigError(f"{where}: {value!r} is not known{near_match(value, options)}; give {_or(options)}.")
    return value


def _name(key: object, where: str) -> str:
    if not isinstance(key, str) or not key.replace("_", "a").replace("-", "a").isalnum():
        raise ConfigError(f"{where}: the name {key!r} may only have letters, digits, _ and -.")
    return key


def _build_varying(field: dataclasses.Field[Any], value: object, where: str) -> Distribution | None:
    kind: Kind = field.metadata["varies"]
    if value is None:
        value = field.metadata["default"]
        if value is None:
            return None
    if kind == "rotation" and isinstance(value, str):
        if value not in ROTATIONS:
            raise ConfigError(f"{where} must be {_ARTICLES[kind]}, not {value!r}{near_match(value, ROTATIONS)}.")
        return ROTATIONS[value]
    limits: _Limits = field.metadata["limits"]
    distribution = parse(value, where, _leaf_of(kind))
    _check(distribution, kind, limits, field.metadata["of"], where)
    return distribution


def _leaf_of(kind: Kind) -> Callable[[Any], Any]:
    """The conversion of constants of ``kind``."""

    def leaf(value: Any) -> Any:
        if kind == "color" and isinstance(value, str):
            return _hex_color(value)
        if kind in ("direction", "rotation") and _is_vector(value, 3 if kind == "direction" else 4):
            return unit(tuple(float(entry) for entry in value), kind)
        return value if kind in ("integer", "word") else _as_floats(value)

    return leaf


def _as_floats(value: Any) -> Any:
    """Whole numbers as floats, so that 1 and 1.0 make the same record bit for bit."""
    if isinstance(value, tuple):
        return tuple(_as_floats(entry) for entry in value)
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _hex_color(text: str) -> tuple[float, float, float]:
    digits = text.removeprefix("#")
    if len(digits) != 6 or not all(c in "0123456789abcdefABCDEF" for c in digits):
        raise ValueError(f'{text!r} is not a colour; write "#rrggbb" (sRGB), or [r, g, b] in linear light')
    return linear_from_srgb([int(digits[k : k + 2], 16) / 255 for k in (0, 2, 4)])


def _check(distribution: Distribution, kind: Kind, limits: _Limits, options: tuple[str, ...], where: str) -> None:
    """Raise ConfigError unless all that ``distribution`` can draw is of ``kind`` and within the limits."""
    if isinstance(distribution, Vector):
        length = _COMPONENTS.get(kind, 3 if kind == "size" else 0)
        if len(distribution.of) != length:
            raise ConfigError(f"{where} must be {_ARTICLES[kind]}, not a list of {len(distribution.of)}.")
        for k, part in enumerate(distribution.of):
            _check(part, "number", limits, (), f"{where}.{k}")
        return
    for value in distribution.outcomes:
        if not _suits(value, kind):
            raise ConfigError(f"{where} must be {_ARTICLES[kind]}, not {_told(value, distribution)}.")
        if kind == "word" and options and value not in options:
            raise ConfigError(f"{where}: {value!r} is not known{near_match(value, options)}; give {_or(options)}.")
        for entry in value if isinstance(value, tuple) else (value,):
            wrong = "" if isinstance(entry, str) else limits.violated(entry)
            if wrong and math.isinf(entry):
                raise ConfigError(f"{where} {wrong}, and a normal has no bounds; use truncated_normal.")
            if wrong:
                can = "is" if isinstance(distribution, Constant) else "can be"
                raise ConfigError(f"{where} {wrong}, but it {can} {entry:g}.")


def _suits(value: Any, kind: Kind) -> bool:
    if kind == "word":
        return isinstance(value, str)
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if kind == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "size":
        return _suits(value, "number") or _is_vector(value, 3)
    return _is_vector(value, {"vec2": 2, "vec4": 4, "rotation": 4}.get(kind, 3))


def _is_vector(value: Any, length: int) -> bool:
    return isinstance(value, tuple) and len(value) == length and all(_suits(entry, "number") for entry in value)


def _told(value: Any, distribution: Distribution) -> str:
    return repr(value) if isinstance(distribution, Constant) else f"{distribution.name} of {value!r}"


def _or(options: tuple[str, ...]) -> str:
    return options[0] if len(options) == 1 else f"{', '.join(options[:-1])} or {options[-1]}"

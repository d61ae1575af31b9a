"""What a user says about a mesh beside it: NAME.yaml for NAME.obj, ``simgen.yaml`` for all meshes of a folder."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from simgen.errors import AssetError, near_match

SIDECAR = "simgen.yaml"
NUMBERS = ("scale", "mass", "density")


@dataclass(frozen=True)
class Sidecar:
    """Corrections of an asset; None leaves what the file says.

    ``scale``: metres per unit of the file (0.001 for millimetres; replaces the guess); ``up``: the axis of the file
    that points up, "y" or "z"; ``category``: name in labels; ``mass`` in kg, or ``density`` in kg/m^3 of its hulls;
    ``collision``: "file" for the file's own shapes as they are (else they are fitted when what is seen stands out of
    them a little), "visual" to derive them from what is seen. ``keypoints``: named points, [x, y, z] in metres in the
    frame of the asset (after ``scale`` and ``up``).
    """

    scale: float | None = None
    up: str | None = None
    category: str | None = None
    mass: float | None = None
    density: float | None = None
    collision: str | None = None
    keypoints: dict[str, tuple[float, float, float]] = field(default_factory=dict)

    def overridden(self, other: Sidecar) -> Sidecar:
        """``self`` with what ``other`` says in its place."""
        given = {key: value for key, value in vars(other).items() if value not in (None, {})}
        return replace(self, **given)


def read_sidecar(path: Path) -> Sidecar:
    """The sidecar at ``path``; raises AssetError for broken YAML, unknown keys and impossible values."""
    try:
        data: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        raise AssetError(f"{path} is not readable YAML: correct it") from None
    known = [item.name for item in fields(Sidecar)]
    if data is None:
        return Sidecar()
    if not isinstance(data, dict):
        raise AssetError(f"{path} has to be a list of keys with values ({', '.join(known)}): correct it")
    for key, value in data.items():
        if key in NUMBERS and isinstance(value, str):
            data[key] = value = _number(value)
        if key not in known:
            hint = near_match(str(key), known)
            raise AssetError(f'{path} has the unknown key "{key}"{hint}; known are {", ".join(known)}')
        for word, values in (("up", ("y", "z")), ("collision", ("file", "visual"))):
            if key == word and value not in values:
                raise AssetError(f'{path} says {key}: {value!r}: it is "{values[0]}" or "{values[1]}"')
        if key == "category" and not (isinstance(value, str) and value):
            raise AssetError(f"{path} says category: {value!r}: it has to be a word")
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if key in NUMBERS and not (number and math.isfinite(value) and value > 0):
            raise AssetError(f"{path} says {key}: {value!r}: it has to be a number above zero")
    if "keypoints" in data:
        data["keypoints"] = _keypoints(path, data["keypoints"])
    return Sidecar(**data)


def _keypoints(path: Path, points: Any) -> dict[str, tuple[float, float, float]]:
    if not isinstance(points, dict):
        raise AssetError(f"{path} says keypoints: {points!r}: it has to be names with [x, y, z] in metres")
    found = {}
    for name, point in points.items():
        values = [_number(v) if isinstance(v, str) else v for v in point] if isinstance(point, list) else []
        if len(values) != 3 or not all(isinstance(v, int | float) and math.isfinite(v) for v in values):
            raise AssetError(f"{path} says keypoints: {name}: {point!r}: it has to be [x, y, z] in metres")
        x, y, z = values
        found[str(name)] = (float(x), float(y), float(z))
    return found


def _number(text: str) -> float | str:
    """``text`` as a number where it is one: to YAML 1.1, 1e-3 is a word."""
    try:
        return float(text)
    except ValueError:
        return text

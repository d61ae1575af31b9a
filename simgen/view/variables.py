"""Drawn values as variables: independent draws, what the configuration asked for, and how much of it is covered."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from simgen import distributions
from simgen.distributions import Distribution, LogUniform
from simgen.errors import ConfigError
from simgen.rng import stream
from simgen.view.survey import Frames

Kind = Literal["number", "word"]

BINS = 12
"""Of a histogram over the range that was asked for."""

_EXPECTED_DRAWS = 4096
_MOST_WORDS = 16
"""Different words; of more, only the folders are kept."""


@dataclass(frozen=True, eq=False)
class Variable:
    """One drawn value over a dataset.

    ``values`` are the independent draws: what all frames of a scene (``per`` "scene"), or all times of a view, share
    counts once; lists (one value an item, ``per`` "item") are pooled. ``by_frame`` has a value for each frame, None
    where it has none or several. ``asked`` is a sample of what the configuration asked for, None when it is not known,
    and empty when it was one fixed value.
    """

    factor: str
    name: str
    camera: str
    """Of whose draws this is, where cameras differ; "" otherwise."""
    kind: Kind
    per: str
    values: tuple[Any, ...]
    by_frame: tuple[Any, ...]
    asked: tuple[Any, ...] | None
    logarithmic: bool
    unit: str

    @property
    def title(self) -> str:
        """Name for people."""
        name = self.name.removesuffix("_deg").replace("_", " ").replace(".", " \N{MIDDLE DOT} ")
        return f"{name} ({self.camera})" if self.camera else name

    def told(self, value: Any) -> str:
        """A value with its unit, for people."""
        number = isinstance(value, int | float) and not isinstance(value, bool)
        text = f"{value:.3g}" if number and abs(value) < 1000 else f"{value:,.0f}" if number else str(value)
        gap = "" if self.unit in ("", "\N{DEGREE SIGN}") else " "
        return f"{text.replace('-', chr(0x2212)) if number else text}{gap}{self.unit}"

    @property
    def varies(self) -> bool:
        """Whether there is more than one value, drawn or asked for."""
        return len(set(self.values)) > 1 or bool(self.asked)


@dataclass(frozen=True, eq=False)
class Histogram:
    """Counts (B,) of draws between ``edges`` (B + 1,), and how many were ``expected`` (B,), None when not known."""

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    expected: NDArray[np.float64] | None
    outside: int
    """Draws outside the range that was asked for."""


def variables(frames: Frames, config: Mapping[str, Any]) -> list[Variable]:
    """Every draw that is a number or a word, of the whole dataset or, where cameras draw it differently, of each.

    Vectors (colours, positions, rotations) and seeds are left out.
    """
    names: dict[tuple[str, str], None] = {}
    for draws in frames.draws:
        names.update({(factor, name): None for factor, entries in draws.items() for name in entries})
    found = []
    for factor, name in names:
        if name.endswith("seed"):
            continue
        cameras = sorted(set(frames.camera)) if factor == "camera" else [""]
        for camera in cameras if len(cameras) > 1 else [""]:
            declared = declared_for(config, factor, name, camera or frames.camera[0])
            variable = _variable(frames, factor, name, camera, declared, strength_of(config, factor))
            if variable is not None:
                found.append(variable)
    return found


def histogram(variable: Variable) -> Histogram:
    """Over the range asked for, or else over that of the draws; bins of equal width, of the logarithm if it is such."""
    values = np.array(variable.values, np.float64)
    asked = np.array(variable.asked, np.float64) if variable.asked else None
    low, high = (asked.min(), asked.max()) if asked is not None else (values.min(), values.max())
    whole = all(float(v).is_integer() for v in (*variable.values, *(variable.asked or ())))
    if whole and high - low < 2 * BINS:
        edges = np.arange(low - 0.5, high + 1)
    elif low == high:
        edges = np.array([low - 0.5, high + 0.5])
    elif variable.logarithmic and low > 0:
        edges = np.geomspace(low, high, BINS + 1)
    else:
        edges = np.linspace(low, high, BINS + 1)
    slack = 1e-9 * max(abs(edges[0]), abs(edges[-1]))
    inside = (values >= edges[0] - slack) & (values <= edges[-1] + slack)
    counts = np.histogram(np.clip(values[inside], edges[0], edges[-1]), edges)[0]
    expected = None
    if asked is not None:
        expected = np.histogram(np.clip(asked, edges[0], edges[-1]), edges)[0] / len(asked) * len(values)
    return Histogram(edges, counts.astype(np.int64), expected, int((~inside).sum()))


def word_counts(variable: Variable) -> dict[str, tuple[int, float | None]]:
    """Word -> how often it was drawn and how often it was expected (None: not known), most frequent first."""
    drawn = {str(v): 0 for v in variable.asked or ()}
    for value in variable.values:
        drawn[str(value)] = drawn.get(str(value), 0) + 1
    share = len(variable.values) / len(variable.asked) if variable.asked else None
    asked = [str(v) for v in variable.asked or ()]
    return {
        word: (count, None if share is None else asked.count(word) * share)
        for word, count in sorted(drawn.items(), key=lambda item: (-item[1], item[0]))
    }


def coverage(expected: Iterable[float], counts: Iterable[int]) -> float:
    """The share of what was asked for that lies in bins with at least one draw, 0 to 1."""
    pairs = list(zip(expected, counts, strict=True))
    total = sum(e for e, _ in pairs)
    return sum(e for e, n in pairs if n > 0) / total if total else 1.0


def poisson_tail(count: int, expected: float) -> float:
    """The probability of at most ``count`` when ``expected`` are expected."""
    return math.fsum(math.exp(k * math.log(expected) - expected - math.lgamma(k + 1)) for k in range(count + 1))


def _variable(
    frames: Frames, factor: str, name: str, camera: str, declared: object, strength: float
) -> Variable | None:
    rows = [k for k in range(len(frames.index)) if not camera or frames.camera[k] == camera]
    raw = [frames.draws[k].get(factor, {}).get(name) for k in rows]
    parts = [_listed(value) for value in raw]
    flat = [value for part in parts for value in part]
    if not flat or any(isinstance(value, list) for value in flat):
        return None
    if isinstance(next((v for v in raw if v is not None), None), list) and _is_vector(declared, parts):
        return None
    number = all(isinstance(value, int | float) and not isinstance(value, bool) for value in flat)
    if not number:
        parts = [[_word(value) for value in part] for part in parts]
        if len({value for part in parts for value in part}) > _MOST_WORDS and declared is None:
            # Of hundreds of textures the folders say more than the files.
            parts = [[value.rpartition("/")[0] or value for value in part] for part in parts]
    per, values = independent(frames, rows, parts)
    by_frame: list[Any] = [None] * len(frames.index)
    for k, part in zip(rows, parts, strict=True):
        by_frame[k] = part[0] if len(part) == 1 else None
    distribution = declared if isinstance(declared, Distribution) else None
    return Variable(
        factor,
        name,
        camera,
        "number" if number else "word",
        per,
        tuple(values),
        tuple(by_frame),
        _asked(declared, strength, number),
        isinstance(distribution, LogUniform),
        _unit(factor, name),
    )


def _is_vector(declared: object, parts: Sequence[Sequence[Any]]) -> bool:
    """Whether lists are one value (a position) rather than one value an item."""
    outcome = declared.nominal if isinstance(declared, Distribution) else declared
    if outcome is not None:
        return isinstance(outcome, tuple | list)
    lengths = {len(part) for part in parts if part}
    return lengths in ({2}, {3}, {4})


def independent(frames: Frames, rows: Sequence[int], parts: Sequence[list[Any]]) -> tuple[str, list[Any]]:
    """What one draw holds for, and the draws themselves."""
    keyed: dict[str, list[tuple[Any, ...]]] = {
        "scene": [(int(frames.scene[k]),) for k in rows],
        "view": [(int(frames.scene[k]), frames.camera[k], int(frames.view[k])) for k in rows],
    }
    several = any(len(part) > 1 for part in parts)
    for per, keys in keyed.items():
        groups: dict[tuple[Any, ...], list[list[Any]]] = {}
        for key, part in zip(keys, parts, strict=True):
            groups.setdefault(key, []).append(part)
        if len(groups) < len(parts) and all(part == group[0] for group in groups.values() for part in group):
            return "item" if several else per, [value for group in groups.values() for value in group[0]]
    return "item" if several else "frame", [value for part in parts for value in part]


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    entries = value if isinstance(value, list) else [value]
    return [entry for entry in entries if entry is not None and entry == entry]  # NaN: nothing was drawn


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value == "" else str(value)


def _asked(declared: object, strength: float, number: bool) -> tuple[Any, ...] | None:
    if not isinstance(declared, Distribution):
        return None if declared is None else ()
    if declared.uniforms == 0:
        return ()
    if declared.uniforms == 1:
        # The map from the unit interval is the quantile function: an even sample of it has no noise.
        grid = (np.arange(_EXPECTED_DRAWS) + 0.5) / _EXPECTED_DRAWS
        sample = [declared.value([float(u)], strength) for u in grid]
        ends = [declared.value([u], strength) for u in (0.0, 1 - 2.0**-53)]
        sample = [*sample, *(value for value in ends if number and math.isfinite(value) and abs(value) < 1e6)]
    else:
        sample = declared.sample_n(stream(0, 0, "view/asked"), _EXPECTED_DRAWS, strength)
    if len(set(sample)) == 1:
        return ()
    if number:
        whole = all(isinstance(v, int | float) and not isinstance(v, bool) for v in sample)
        return tuple(sample) if whole else None
    return tuple(_word(value) for value in sample)


def strength_of(config: Mapping[str, Any], factor: str) -> float:
    """The strength in force of a factor, 1 for what is none."""
    knob = config.get("randomize", {}).get(factor, {})
    return float(knob.get("strength", 1.0)) if knob.get("enabled", True) else 0.0


def declared_for(config: Mapping[str, Any], factor: str, name: str, camera: str) -> object:
    """The Distribution, or the fixed value, from which a draw comes; None when it is not found."""
    for path in _paths(factor, name, camera):
        value = _lookup(config.get("scene"), path)
        if value is not None:
            try:
                return distributions.parse(value, ".".join(path)) if isinstance(value, Mapping) else value
            except ConfigError:
                return None
    return None


def _paths(factor: str, name: str, camera: str) -> list[tuple[str, ...]]:
    """Where in a scene definition a draw may be declared."""
    owner, _, key = name.partition(".")
    owners = [("surfaces", owner), ("objects", owner), ("distractors", owner)]
    paths: dict[str, list[tuple[str, ...]]] = {
        "camera": [
            ("cameras", camera, name),
            ("cameras", camera, "distortion", name.removeprefix("distortion_")),
        ],
        "lighting": [("lights", name), ("environment", key), ("environment", *name.split("."))],
        "background": [("background", name), ("background", "texture", key)],
        "content": [(*at, key) for at in owners],
        "distractors": [(*at, key) for at in owners],
        "materials": [(*at, "material", key) for at in owners],
        "textures": [(*at, "texture", key) for at in owners],
        "physics": [(*at, key) for at in owners],
        "poses": [*[(*at, key) for at in owners], ("robot", key), ("robot", "motion", key)],
        "sensor": [("sensor", name)],
    }
    return paths.get(factor, [])


def _lookup(tree: object, path: Sequence[str]) -> Any:
    for key in path:
        if not isinstance(tree, Mapping):
            return None
        tree = tree.get(key)
    return tree


_UNITS = {
    "radius": "m",
    "distance": "m",
    "tile": "m",
    "temperature": "K",
    "white_balance": "K",
    "exposure": "stops",
    "mass": "kg",
    "jpeg_quality": "",
    "size": "m",
}


def _unit(factor: str, name: str) -> str:
    last = name.rpartition(".")[2]
    if last.endswith("_deg"):
        return "\N{DEGREE SIGN}"
    return _UNITS.get(last, "")

"""All distances between two sets of images, with intervals."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.evaluate.distance.describe import LABELS, PICTURE, Description
from simgen.evaluate.distance.statistics import (
    frechet_distance,
    kernel_distance,
    overlap,
    principal,
    share_moved,
    shift,
    told_apart,
)
from simgen.learn.errors import LearnError
from simgen.rng import stream

FEATURES: dict[str, str] = {
    "KID": "kernel distance (MMD squared); 0: the same",
    "Frechet": "Frechet distance; 0: the same",
    "precision": "share of synthetic images that lie among real ones",
    "recall": "share of real images that lie among synthetic ones",
    "density": "how densely real images surround synthetic ones; 1: as each other",
    "coverage": "share of real images with a synthetic one near",
    "told apart": "accuracy of a classifier on unseen images; 0.5: it cannot tell",
}
"""Distances of features, and what they are."""

_LESS_IS_NEARER = frozenset({"KID", "Frechet", "told apart"})

_BOUNDS = {
    **dict.fromkeys(("precision", "recall", "coverage", "told apart"), (0.0, 1.0)),
    **dict.fromkeys(("Frechet", "density"), (0.0, np.inf)),
}
"""What these distances can be; an unbiased KID may be anything."""

DIRECTIONS = 64
"""Principal directions of features that are looked at, at most a quarter of the images of the smaller set."""


@dataclass(frozen=True)
class Distance:
    """How far the synthetic set is from the real one in one respect.

    ``kind`` is "label", "picture" or "feature", ``of`` names the features. ``value`` is the distance: of properties, in
    standard deviations of the real set (classes: the share that differs); of features as FEATURES says. ``synthetic``
    and ``real`` are the means of a property, NaN otherwise. ``nearer`` is -1 where a smaller value means nearer sets.
    """

    name: str
    kind: str
    value: float
    low: float
    high: float
    about: str
    synthetic: float = float("nan")
    real: float = float("nan")
    of: str = ""
    nearer: int = -1

    def plain(self) -> dict[str, Any]:
        """JSON-able but for NaN."""
        return asdict(self)


def distances(synthetic: Description, real: Description, draws: int = 40, seed: int = 0) -> list[Distance]:
    """Every distance, with a 95 % interval by half-sampling of groups (Shao & Wu 1989).

    Half of the groups of each set, drawn without replacement, vary about as much around their own middle as the whole
    sets do around the truth; a bootstrap would repeat images, which distances between neighbours take for likeness.
    """
    whole = dict(_values(synthetic, real, seed))
    halves: dict[str, list[float]] = {key: [] for key in whole}
    rng = stream(seed, 0, "evaluate/distance")
    for _ in range(draws):
        for key, value in _values(_half(synthetic, rng), _half(real, rng), seed):
            halves[key].append(value)
    return [_told(key, value, np.array(halves[key]), synthetic, real) for key, value in whole.items()]


def text(found: Sequence[Distance]) -> str:
    """A table, farthest properties first, then the features."""
    properties = sorted((d for d in found if d.kind != "feature"), key=lambda d: -np.nan_to_num(d.value, nan=-1))
    rows = [["property", "synthetic", "real", "distance", "95 % interval"]]
    rows += [[d.name, _number(d.synthetic), _number(d.real), _number(d.value), _range(d)] for d in properties]
    features = [d for d in found if d.kind == "feature"]
    lines = ["Distances in standard deviations of the real images (classes: share that differs)", *_columns(rows)]
    for of in dict.fromkeys(d.of for d in features):
        table = [[d.name, _number(d.value), _range(d), d.about] for d in features if d.of == of]
        lines += ["", f"features of {of}", *_columns(table)]
    return "\n".join(lines)


def write(found: Sequence[Distance], folder: str | Path) -> Path:
    """Write distances.json into a folder, which is made; NaN becomes null. Raises LearnError when that fails."""
    path = Path(folder) / "distances.json"
    plain = [{k: None if v != v else v for k, v in distance.plain().items()} for distance in found]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise LearnError(f"{path} cannot be written ({error.strerror}); give another out=DIR.") from None
    return path


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _number(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.3f}"


def _range(distance: Distance) -> str:
    return "" if np.isnan(distance.low) else f"{distance.low:.3f} to {distance.high:.3f}"


def _values(a: Description, b: Description, seed: int) -> Iterator[tuple[str, float]]:
    """Keys "kind/name" or "feature/of/name", and distances."""
    for name in LABELS:
        yield f"label/{name}", shift(a.labels[name], b.labels[name])
    if a.class_count > 1:
        yield "label/classes", share_moved(a.classes, b.classes, a.class_count)
    for name in PICTURE:
        yield f"picture/{name}", shift(a.pictures[name], b.pictures[name])
    for of in a.features:
        most = max(2, min(DIRECTIONS, min(len(a), len(b)) // 4))
        x, y = principal(a.features[of], b.features[of], most)
        found = {"KID": kernel_distance(x, y), "Frechet": frechet_distance(x, y), **overlap(x, y)}
        found["told apart"] = told_apart(x, y, seed, (a.group, b.group))
        for name, value in found.items():
            yield f"feature/{of}/{name}", value


def _half(description: Description, rng: np.random.Generator) -> Description:
    """The images of half of the groups, without replacement; of half of the images where there is one group."""
    group = description.group
    if len(np.unique(group)) < 4:
        group = np.arange(len(description))
    names = np.unique(group)
    kept = names[rng.permutation(len(names))[: max(1, len(names) // 2)]]
    return description.part(np.isin(group, kept))


def _told(key: str, value: float, halves: NDArray[np.float64], a: Description, b: Description) -> Distance:
    kind, *of, name = key.split("/")
    known = halves[np.isfinite(halves)]
    low = high = float("nan")
    if len(known) > 1 and np.isfinite(value):
        spread = np.quantile(known, [0.025, 0.975]) - np.median(known)
        low, high = value + float(spread[0]), value + float(spread[1])
    if kind == "feature":
        nearer = -1 if name in _LESS_IS_NEARER else 1
        low, high = (float(end) for end in np.clip((low, high), *_BOUNDS.get(name, (-np.inf, np.inf))))
        return Distance(name, kind, value, low, high, FEATURES[name], of=of[0], nearer=nearer)
    if name == "classes":
        about = "share of objects whose class would have to change"
        return Distance(name, kind, value, max(low, 0.0), min(high, 1.0), about)
    table = LABELS if kind == "label" else PICTURE
    means = [_mean(d.labels[name] if kind == "label" else d.pictures[name]) for d in (a, b)]
    return Distance(name, kind, value, max(low, 0.0), high, table[name], means[0], means[1])


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else float("nan")

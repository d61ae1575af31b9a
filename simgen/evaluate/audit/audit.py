"""The bias report: slices of drawn factors and label properties, weak scores and thin data flagged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.evaluate.distance.describe import LABELS, PICTURE, Description
from simgen.evaluate.results import Results, Slice

LEAST = 10
"""Images (tracks, scenes, where these are of several images) that a slice must have to be called weak."""

THIN = 0.25
"""A range of a property is thin in the training data when its share there is less than this part of its share in the
real data."""

_RANGES = 5


@dataclass(frozen=True)
class Weak:
    """A slice whose whole interval is worse than the score over all images. ``gap`` is to that score, below 0."""

    factor: str
    value: str
    images: int
    score: float
    low: float
    high: float
    gap: float

    def plain(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


@dataclass(frozen=True)
class Thin:
    """A range of a property, or a class, that is common among real images and rare in training."""

    factor: str
    value: str
    synthetic: float
    real: float

    def plain(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def weak(results: Results) -> list[Weak]:
    """The weak slices of an evaluation, worst first.

    By chance about one slice in forty of those that are ``examined`` is flagged; many flags of one factor are what to
    look at.
    """
    sign = 1 if results.larger_is_better else -1
    overall = results.score.value
    found = [_weak(part, overall, sign) for part in results.slices if _is_weak(part, overall, sign)]
    return sorted(found, key=lambda entry: entry.gap)


def examined(results: Results) -> int:
    """How many slices have enough images to be called weak."""
    return sum(_is_tested(part) for part in results.slices)


def thin(synthetic: Description, real: Description, classes: Sequence[str]) -> list[Thin]:
    """Where training data is thin: fifths of the real images by each property, and classes; thinnest first."""
    found = []
    for name in (*LABELS, *PICTURE):
        ours, theirs = (d.labels[name] if name in LABELS else d.pictures[name] for d in (synthetic, real))
        found += _thin_ranges(name, ours, theirs)
    if len(classes) > 1 and len(real.classes) and len(synthetic.classes):
        shares = [np.bincount(d.classes, minlength=len(classes)) / len(d.classes) for d in (synthetic, real)]
        for name, ours, theirs in zip(classes, *shares, strict=True):
            if ours < THIN * theirs:
                found.append(Thin("class", name, float(ours), float(theirs)))
    return sorted(found, key=lambda entry: entry.synthetic / entry.real)


def _is_tested(part: Slice) -> bool:
    enough = (part.images if part.groups is None else part.groups) >= LEAST
    return enough and bool(np.isfinite(part.figure.low))


def _is_weak(part: Slice, overall: float, sign: int) -> bool:
    best = part.figure.high if sign > 0 else part.figure.low
    return _is_tested(part) and sign * best < sign * overall


def _weak(part: Slice, overall: float, sign: int) -> Weak:
    figure = part.figure
    gap = sign * (figure.value - overall)
    return Weak(part.factor, part.value, part.images, figure.value, figure.low, figure.high, gap)


def _thin_ranges(name: str, ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> list[Thin]:
    if len(ours) == 0 or len(theirs) < 2 * _RANGES:
        return []
    edges = np.unique(np.quantile(theirs, np.linspace(0, 1, _RANGES + 1)))
    if len(edges) < 3:
        return []
    found = []
    for k, (low, high) in enumerate(pairwise(edges.tolist())):
        last = k == len(edges) - 2
        shares = [float(((v >= low) & ((v <= high) if last else (v < high))).mean()) for v in (ours, theirs)]
        if shares[1] > 0 and shares[0] < THIN * shares[1]:
            found.append(Thin(name, f"{low:.3g} to {high:.3g}", *shares))
    return found

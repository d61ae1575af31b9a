"""Confidence intervals by resampling images."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from simgen.evaluate.metrics.tally import Figures, Weights
from simgen.rng import stream


def intervals(
    figures: Callable[[Weights], Figures],
    groups: Sequence[str],
    draws: int,
    seed: int,
    mask: NDArray[np.bool_] | None = None,
) -> dict[str, tuple[float, float]]:
    """The 95 % percentile interval of each figure (Efron 1979), NaN where a figure does not exist; see ``resample``."""
    return {name: interval(values) for name, values in resample(figures, groups, draws, seed, mask).items()}


def resample(
    figures: Callable[[Weights], Figures],
    groups: Sequence[str],
    draws: int,
    seed: int,
    mask: NDArray[np.bool_] | None = None,
) -> dict[str, NDArray[np.float64]]:
    """The values (draws,) of each figure on images drawn again, with replacement.

    Images of one group (a track, a scene) are alike, so whole ``units`` are drawn. ``mask`` restricts the images to
    some; of those of a single unit nothing can be told, which is NaN.
    Deterministic in ``seed``: of two models on the same images, the k-th values are of the same draw, so that their
    differences are those of a paired bootstrap.
    """
    member = units(groups)
    chosen = np.ones(len(groups), bool) if mask is None else mask
    present = np.unique(member[chosen])
    if len(present) == 1:
        return {name: np.full(draws, np.nan) for name in figures(chosen.astype(np.float64))}
    rng = stream(seed, 0, "evaluate/bootstrap")
    collected: dict[str, list[float]] = {}
    for _ in range(draws):
        times = np.zeros(len(groups))
        times[present] = np.bincount(rng.integers(len(present), size=len(present)), minlength=len(present))
        for name, value in figures(times[member] * chosen).items():
            collected.setdefault(name, []).append(value)
    return {name: np.array(values) for name, values in collected.items()}


def units(groups: Sequence[str]) -> NDArray[np.int64]:
    """What each of n images belongs to, as numbers (n,): its group, or itself where all are of one group."""
    _, member = np.unique(np.asarray(groups), return_inverse=True)
    return np.asarray(member if member.any() else np.arange(len(groups)), np.int64)


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """The middle 95 % of what is not NaN; NaN when there is nothing."""
    known = values[np.isfinite(values)]
    if len(known) == 0:
        return float("nan"), float("nan")
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)

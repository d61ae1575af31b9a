"""How much of what was asked for a dataset covers: bins of equal probability for each drawn variable.

The distribution of a variable, as the configuration gives it, is cut into ``BINS`` bins that are equally likely (a
discrete one into its values). ``hit`` of them have a draw. ``deviation`` is the largest difference between the shares
of draws and of probability below any value (the Kolmogorov-Smirnov statistic): about 0.87 / sqrt(n) for n independent
draws, at most 1 / n for n of a sampling design.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen import distributions
from simgen.distributions import Direction, Distribution, Vector
from simgen.rng import stream
from simgen.view.survey import Frames
from simgen.view.variables import Variable, declared_for, independent, poisson_tail, strength_of, variables, word_counts

BINS = 20
_EXPECTED_DRAWS = 8192
_LIKELY = 0.001
"""A bin is thin when independent draws would leave it as empty less often than this."""


@dataclass(frozen=True)
class Coverage:
    """Coverage of one variable; ``camera`` as in ``Variable``.

    ``thin`` are bins with far fewer draws than their probability asks for: [low, high] of numbers, or words.
    """

    factor: str
    name: str
    camera: str
    per: str
    draws: int
    bins: int
    hit: int
    deviation: float
    thin: tuple[Any, ...]


def coverages(frames: Frames, config: Mapping[str, Any]) -> list[Coverage]:
    """The coverage of every drawn number and word whose distribution is known; vectors component by component."""
    out = []
    for variable in variables(frames, config):
        if variable.asked:
            found = _of_numbers if variable.kind == "number" else _of_words
            out.append(found(variable))
    for factor, name, camera, per, values, asked in _components(frames, config):
        out.append(_numbers(factor, name, camera, per, values, asked))
    return sorted(out, key=lambda c: (c.factor, c.camera, c.name))


def _of_numbers(variable: Variable) -> Coverage:
    values, asked = np.array(variable.values, np.float64), np.array(variable.asked, np.float64)
    return _numbers(variable.factor, variable.name, variable.camera, variable.per, values, asked)


def _numbers(
    factor: str, name: str, camera: str, per: str, values: NDArray[np.float64], asked: NDArray[np.float64]
) -> Coverage:
    known = np.unique(asked)
    if len(known) <= BINS:
        edges = np.concatenate([[-np.inf], (known[1:] + known[:-1]) / 2, [np.inf]])
        shown = np.concatenate([known, known[-1:]])
    else:
        edges = shown = np.unique(np.quantile(asked, np.linspace(0, 1, BINS + 1)))
        edges = np.concatenate([[-np.inf], edges[1:-1], [np.inf]])
    expected = np.histogram(asked, edges)[0] / len(asked)
    counts = np.histogram(values, edges)[0]
    wide = len(known) > BINS
    thin = tuple(
        [float(shown[k]), float(shown[k + 1] if wide else shown[k])] for k in _thin(counts, expected, len(values))
    )
    deviation = _deviation(values, asked)
    return Coverage(
        factor, name, camera, per, len(values), int((expected > 0).sum()), _hit(counts, expected), deviation, thin
    )


def _of_words(variable: Variable) -> Coverage:
    table = {word: (n, share) for word, (n, share) in word_counts(variable).items() if share}
    n = len(variable.values)
    counts = np.array([count for count, _ in table.values()])
    expected = np.array([(share or 0.0) / n for _, share in table.values()])
    names = list(table)
    deviation = float(np.abs(counts / n - expected).max(initial=0.0))
    thin = tuple(names[k] for k in _thin(counts, expected, n))
    return Coverage(
        variable.factor,
        variable.name,
        variable.camera,
        variable.per,
        n,
        len(names),
        _hit(counts, expected),
        deviation,
        thin,
    )


def _hit(counts: NDArray[np.int64], expected: NDArray[np.float64]) -> int:
    return int(((counts > 0) & (expected > 0)).sum())


def _thin(counts: NDArray[np.int64], expected: NDArray[np.float64], n: int) -> list[int]:
    """Bins with so few draws as independent ones would leave in hardly any, by the Poisson distribution."""
    found = []
    for k, (count, share) in enumerate(zip(counts.tolist(), expected.tolist(), strict=True)):
        mean = share * n
        if 0 < mean > count and poisson_tail(count, mean) < _LIKELY:
            found.append(k)
    return found


def _deviation(values: NDArray[np.float64], asked: NDArray[np.float64]) -> float:
    """The largest distance between the empirical distributions of both."""
    values, asked = np.sort(values), np.sort(asked)
    at = np.unique(np.concatenate([values, asked]))
    apart = [
        np.searchsorted(values, at, side) / len(values) - np.searchsorted(asked, at, side) / len(asked)
        for side in ("left", "right")
    ]
    return float(np.abs(apart).max())


_Component = tuple[str, str, str, str, NDArray[np.float64], NDArray[np.float64]]


def _components(frames: Frames, config: Mapping[str, Any]) -> Iterator[_Component]:
    """Components of vectors: factor, name, camera, per, values and a sample of what was asked for."""
    names: dict[tuple[str, str], None] = {}
    for draws in frames.draws:
        names.update({(factor, name): None for factor, entries in draws.items() for name in entries})
    for factor, name in names:
        cameras = sorted(set(frames.camera)) if factor == "camera" else [""]
        for camera in cameras if len(cameras) > 1 else [""]:
            declared = declared_for(config, factor, name, camera or frames.camera[0])
            if isinstance(declared, list):
                declared = _vector(declared)
            if isinstance(declared, Vector | Direction):
                rows = [k for k in range(len(frames.index)) if not camera or frames.camera[k] == camera]
                parts = [_vectors(frames.draws[k].get(factor, {}).get(name)) for k in rows]
                per, values = independent(frames, rows, parts)
                asked = declared.sample_n(stream(0, 0, "view/coverage"), _EXPECTED_DRAWS, strength_of(config, factor))
                for label, got, wanted in _columns(declared, values, asked):
                    if len(got) and np.ptp(wanted) > 0:
                        yield factor, f"{name}.{label}", camera, per, got, wanted


def _vector(value: list[Any]) -> Distribution | None:
    """The distribution of a list some of whose entries are random."""
    if not any(isinstance(entry, Mapping) for entry in value):
        return None
    return distributions.parse(value, "")


def _vectors(value: Any) -> list[Any]:
    """The vectors in a draw, one or several."""
    if not isinstance(value, list) or not value:
        return []
    return value if isinstance(value[0], list) else [value]


def _columns(
    declared: Vector | Direction, values: Sequence[Any], asked: Sequence[Any]
) -> Iterator[tuple[str, NDArray[np.float64], NDArray[np.float64]]]:
    got, wanted = (np.array(list(rows), np.float64).reshape(len(rows), -1) for rows in (values, asked))
    if isinstance(declared, Vector):
        for c, label in enumerate("xyzw"[: wanted.shape[1]]):
            yield label, got[:, c], wanted[:, c]
        return
    axis = np.array(declared.axis)
    side = np.cross(axis, [1.0, 0.0, 0.0] if abs(axis[0]) < 0.9 else [0.0, 1.0, 0.0])
    side /= np.linalg.norm(side)
    third = np.cross(axis, side)
    for label, of in (
        ("angle_deg", lambda v: np.degrees(np.arccos(np.clip(v @ axis, -1, 1)))),
        ("azimuth_deg", lambda v: np.degrees(np.arctan2(v @ third, v @ side))),
    ):
        yield label, of(got), of(wanted)

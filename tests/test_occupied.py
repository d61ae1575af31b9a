"""What room is taken, held against the definition of boxes that are apart."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from simgen.randomize.occupied import Occupied

Boxes = NDArray[np.float64]


def _boxes(n: int, seed: int) -> Boxes:
    random = np.random.default_rng(seed)
    low = random.uniform(0, 1, (n, 3))
    return np.stack([low, low + random.uniform(0.05, 0.3, (n, 3))], axis=1)


def _taken(boxes: Boxes) -> Occupied:
    occupied = Occupied()
    for box in boxes:
        occupied.take(box)
    return occupied


def _overlaps(a: Boxes, b: Boxes, gap: float, axes: int) -> bool:
    """Whether two intervals, one of them widened by ``gap``, have a stretch in common on each of the axes."""
    return all(min(a[1, c] + gap, b[1, c]) > max(a[0, c] - gap, b[0, c]) for c in range(axes))


@pytest.mark.parametrize("gap", [0.0, 0.05])
def test_boxes_are_free_and_columns_have_tops(gap: float) -> None:
    taken, asked = _boxes(6, 1), _boxes(60, 2)
    occupied = _taken(taken)
    free = [not any(_overlaps(box, other, gap, 3) for other in taken) for box in asked]
    tops = [max((other[1, 2] for other in taken if _overlaps(box, other, gap, 2)), default=-np.inf) for box in asked]
    assert 5 < sum(free) < 55
    assert 5 < np.isfinite(tops).sum() < 55
    np.testing.assert_array_equal(occupied.free(asked, gap), free)
    np.testing.assert_array_equal(occupied.top(asked, gap), tops)


def test_boxes_that_meet_are_apart_by_nothing() -> None:
    box = np.array([[[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]])
    beside = box + np.array([1.0, 0.0, 0.0])
    assert _taken(box).free(beside, 0.0).all()
    assert not _taken(box).free(beside, 1e-9).any()


def test_nothing_is_taken_at_first() -> None:
    assert Occupied().free(_boxes(3, 0), 0.1).all()
    assert np.isneginf(Occupied().top(_boxes(3, 0), 0.1)).all()

"""What room is taken while objects are placed: boxes along the axes of the world."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simgen.geometry import Array
from simgen.kernels import kernel


class Occupied:
    """Boxes in the world that are taken."""

    def __init__(self) -> None:
        self._boxes = np.empty((0, 2, 3))

    def take(self, box: Array) -> None:
        """Add a box (2, 3)."""
        self._boxes = np.concatenate([self._boxes, box[None]])

    def free(self, boxes: Array, gap: float) -> NDArray[np.bool_]:
        """Whether each of ``boxes`` (m, 2, 3) keeps ``gap`` metres from all that are taken; bool (m,)."""
        return np.asarray(_tops(boxes, self._boxes, float(gap), 3) == -np.inf)

    def top(self, boxes: Array, gap: float) -> Array:
        """The height (m,) of what lies in the columns of ``boxes`` (m, 2, 3); -inf where nothing does."""
        return _tops(boxes, self._boxes, float(gap), 2)


def warm_up() -> None:
    """Compile what is below, so that processes started afterwards find it on the disk."""
    Occupied().top(np.zeros((1, 2, 3)), 0.0)


@kernel()
def _tops(boxes: Array, taken: Array, gap: float, axes: int) -> Array:
    """The top (m,) of what of ``taken`` (n, 2, 3) is less than ``gap`` from each box along the first ``axes`` axes."""
    tops = np.full(len(boxes), -np.inf)
    for m in range(len(boxes)):
        for n in range(len(taken)):
            apart = False
            for c in range(axes):
                apart |= boxes[m, 0, c] - gap >= taken[n, 1, c] or boxes[m, 1, c] + gap <= taken[n, 0, c]
            if not apart:
                tops[m] = max(tops[m], taken[n, 1, 2])
    return tops

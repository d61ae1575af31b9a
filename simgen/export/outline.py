"""A mask as one polygon along the edges of its pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simgen.kernels import kernel


def outline(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The corners (n, 2) x, y of a polygon whose even-odd filling is ``mask`` (h, w), which is not empty.

    Coordinates are pixel edges: pixel (x, y) spans x to x + 1 and y to y + 1. Where the mask has several parts or
    holes, their outlines are joined by bridges that are walked there and back, which enclose nothing.
    """
    corners, ends = _trace(np.ascontiguousarray(mask))
    loops = np.split(corners, ends[:-1])
    polygon = loops[0]
    for loop in loops[1:]:
        gaps = np.abs(polygon[:, None] - loop[None]).sum(axis=-1)
        a, b = np.unravel_index(int(gaps.argmin()), gaps.shape)
        turned = np.roll(loop, -int(b), axis=0)
        polygon = np.concatenate([polygon[: a + 1], turned, turned[:1], polygon[a:]])
    return polygon


@kernel()
def _trace(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Corners of all loops, end to end, and where each of them ends; the mask lies to the right of the walk."""
    h, w = mask.shape
    # Edges that leave each corner of the pixel grid: bit 0 to the right, 1 down, 2 to the left, 3 up.
    leaving = np.zeros((h + 1, w + 1), np.uint8)
    total = 0
    for y in range(h):
        for x in range(w):
            if not mask[y, x]:
                continue
            if y == 0 or not mask[y - 1, x]:
                leaving[y, x] |= 1
                total += 1
            if x == w - 1 or not mask[y, x + 1]:
                leaving[y, x + 1] |= 2
                total += 1
            if y == h - 1 or not mask[y + 1, x]:
                leaving[y + 1, x + 1] |= 4
                total += 1
            if x == 0 or not mask[y, x - 1]:
                leaving[y + 1, x] |= 8
                total += 1
    corners = np.empty((total, 2), np.int64)
    ends = np.empty(total, np.int64)
    n = loops = 0
    dx, dy = (1, 0, -1, 0), (0, 1, 0, -1)
    for top in range(h + 1):
        for left in range(w + 1):
            while leaving[top, left]:
                x, y = left, top
                direction = -1
                while True:
                    bits = leaving[y, x]
                    chosen = -1
                    # Where two pixels touch at a corner only, the right turn stays with the pixel at hand.
                    for turn in (1, 0, 3):
                        candidate = (direction + turn) % 4 if direction >= 0 else -1
                        if candidate >= 0 and bits >> candidate & 1:
                            chosen = candidate
                            break
                    if chosen < 0:
                        if direction >= 0:
                            break  # back at the start, all its edges walked
                        for candidate in range(4):
                            if bits >> candidate & 1:
                                chosen = candidate
                                break
                    if chosen != direction:
                        corners[n, 0], corners[n, 1] = x, y
                        n += 1
                    leaving[y, x] &= ~(np.uint8(1) << np.uint8(chosen)) & np.uint8(255)
                    direction = chosen
                    x += dx[direction]
                    y += dy[direction]
                    if x == left and y == top:
                        break
                ends[loops] = n
                loops += 1
    return corners[:n].copy(), ends[:loops].copy()

"""Whether points can be seen in an image: in it, and not behind a nearer surface."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SLACK = (0.002, 0.001)
"""Metres, and share of the distance, by which a surface must be nearer than a point to hide it."""


def inside(at: NDArray[np.float64], width: int, height: int) -> NDArray[np.bool_]:
    """Whether pixels (n, 2) are in the image; NaN is not."""
    return (at >= -0.5).all(1) & (at[:, 0] < width - 0.5) & (at[:, 1] < height - 0.5)


def before(
    at: NDArray[np.float64], z: NDArray[np.float64], depth: NDArray[np.float32]
) -> tuple[NDArray[np.bool_], NDArray[np.intp], NDArray[np.intp]]:
    """Whether points (n,) at pixels (n, 2) and z-depths are hidden, and column and row of the nearest surface there.

    A point is hidden when all four pixels around it show nearer surfaces than it is.
    """
    height, width = depth.shape
    known = np.where(np.isfinite(at), np.clip(at, -2, [width + 1, height + 1]), -2)
    left, top = np.floor(known[:, 0]).astype(int), np.floor(known[:, 1]).astype(int)
    u = np.clip(np.stack([left, left + 1, left, left + 1], 1), 0, width - 1)
    v = np.clip(np.stack([top, top, top + 1, top + 1], 1), 0, height - 1)
    surface = np.where(depth[v, u] > 0, depth[v, u], np.inf)
    hidden = np.all(surface < (z - SLACK[0] - SLACK[1] * z)[:, None], axis=1)
    nearest = np.argmin(surface, 1)[:, None]
    return hidden, np.take_along_axis(u, nearest, 1)[:, 0], np.take_along_axis(v, nearest, 1)[:, 0]

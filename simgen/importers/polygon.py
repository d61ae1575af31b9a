"""Filling polygons."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simgen.kernels import kernel


@kernel()
def fill(corners: NDArray[np.float64], height: int, width: int) -> NDArray[np.bool_]:
    """The pixels (height, width) whose centres lie in the polygon ``corners`` (n, 2), by the even-odd rule.

    Coordinates are COCO's: the image spans 0 to width and 0 to height, so that the centre of a pixel is at a half.
    """
    mask = np.zeros((height, width), np.bool_)
    n = len(corners)
    crossings = np.empty(n, np.float64)
    for row in range(height):
        y = row + 0.5
        count = 0
        for i in range(n):
            x0, y0 = corners[i]
            x1, y1 = corners[(i + 1) % n]
            if (y0 <= y) != (y1 <= y):
                crossings[count] = x0 + (y - y0) * (x1 - x0) / (y1 - y0)
                count += 1
        ordered = np.sort(crossings[:count])
        for k in range(0, count - 1, 2):
            first = max(int(np.ceil(ordered[k] - 0.5)), 0)
            last = min(int(np.ceil(ordered[k + 1] - 0.5)), width)
            for column in range(first, last):
                mask[row, column] = True
    return mask

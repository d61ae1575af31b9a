"""The surface points of each image that its shadow maps are fitted to: few of those seen, evenly in reading order."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import int64

from simgen.render.cuda.device import SIMULATED, cuda, kernel
from simgen.render.cuda.surface import key_triangle, key_w
from simgen.render.raster.visibility import EMPTY

THREADS = 4 if SIMULATED else 256
"""Threads of the block that an image has."""
_ENDS = THREADS + 1  # Numba takes no expression for the shape of a shared array


@kernel
def choose_receivers(
    keys: Any, samples: int, pixels: int, most: int, counts: Any, chosen: Any, inverse_depths: Any
) -> None:
    """A block of THREADS threads per image: every n-th pixel that sees a surface, where n leaves ``most`` at most.

    ``counts`` (B,) takes how many these are, ``chosen`` (B, most) the pixels, ``inverse_depths`` (B, most) 1 / z there.
    """
    before = cuda.shared.array(_ENDS, int64)
    image, j = cuda.blockIdx.x, cuda.threadIdx.x
    if image >= len(counts):
        return
    start = image * samples * pixels
    share = (pixels + THREADS - 1) // THREADS
    first, last = min(j * share, pixels), min((j + 1) * share, pixels)
    seen = 0
    for pixel in range(first, last):
        if key_triangle(keys[start + pixel]) != np.uint32(EMPTY):
            seen += 1
    before[j + 1] = seen
    cuda.syncthreads()
    if j == 0:
        before[0] = 0
        for k in range(THREADS):
            before[k + 1] += before[k]
    cuda.syncthreads()
    step = max((before[THREADS] + most - 1) // most, 1)
    if j == 0:
        counts[image] = (before[THREADS] + step - 1) // step
    number = before[j]
    for pixel in range(first, last):
        key = keys[start + pixel]
        if key_triangle(key) != np.uint32(EMPTY):
            if number % step == 0:
                chosen[image, number // step] = pixel
                inverse_depths[image, number // step] = key_w(key)
            number += 1

"""COCO run-length encoding of masks, as in pycocotools' ``maskApi``: column-major runs that start with zeros.

Written here because encoding sits in the inner loop of generation and starts from a mask cropped to its box, where a
general encoder would walk the whole image for every object.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simgen.kernels import kernel


def encode(mask: NDArray[np.bool_], x: int, y: int, height: int, width: int) -> bytes:
    """Compressed COCO counts of an image mask (height, width) that is zero but for ``mask`` (h, w) put at (x, y)."""
    runs = _runs(np.ascontiguousarray(mask), x, y, height, width)
    return _compress(runs).tobytes()


def decode(counts: bytes, height: int, width: int) -> NDArray[np.bool_]:
    """The mask (height, width) of compressed COCO counts; raises ValueError when they do not fill it."""
    runs = _decompress(np.frombuffer(counts, np.uint8))
    if int(runs.sum()) != height * width:
        raise ValueError(f"the runs cover {int(runs.sum())} pixels, the image has {height * width}")
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(width, height).T


@kernel()
def _runs(mask: NDArray[np.bool_], x: int, y: int, height: int, width: int) -> NDArray[np.int64]:
    h, w = mask.shape
    runs = np.empty(2 * mask.size + 3, np.int64)
    n = 0
    start = 0  # first pixel, column-major, of the current run
    value = False
    for column in range(w):
        base = (x + column) * height + y
        for row in range(h):
            if mask[row, column] != value:
                runs[n] = base + row - start
                n += 1
                start = base + row
                value = not value
        if value and h < height:  # what lies between this column of the crop and the next is zero
            runs[n] = base + h - start
            n += 1
            start = base + h
            value = False
    end = (x + w - 1) * height + y + h
    if value and end < height * width:  # a crop as high as the image runs on to its last column
        runs[n] = end - start
        n += 1
        start = end
    runs[n] = height * width - start
    if runs[n] > 0 or n == 0:
        n += 1
    return runs[:n].copy()


@kernel()
def _compress(runs: NDArray[np.int64]) -> NDArray[np.uint8]:
    out = np.empty(runs.size * 8, np.uint8)
    n = 0
    for i in range(runs.size):
        x = runs[i] - runs[i - 2] if i > 2 else runs[i]
        more = True
        while more:
            c = x & 0x1F
            x >>= 5
            more = x != -1 if c & 0x10 else x != 0
            out[n] = (c | 0x20 if more else c) + 48
            n += 1
    return out[:n].copy()


@kernel()
def _decompress(text: NDArray[np.uint8]) -> NDArray[np.int64]:
    runs = np.zeros(text.size, np.int64)
    n = 0
    p = 0
    while p < text.size:
        x = np.int64(0)
        k = 0
        more = True
        while more and p < text.size:
            c = np.int64(text[p]) - 48
            x |= (c & 0x1F) << (5 * k)
            more = (c & 0x20) != 0
            p += 1
            k += 1
            if not more and c & 0x10:
                x |= np.int64(-1) << (5 * k)
        if n > 2:
            x += runs[n - 2]
        runs[n] = x
        n += 1
    return runs[:n].copy()

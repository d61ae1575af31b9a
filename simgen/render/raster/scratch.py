"""Working memory that is kept from image to image, so that rendering allocates only what it returns."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

LINE = 64
"""Bytes of a line of the cache, which is also the widest vector: what begins at one is read and written in one go."""


def empty_aligned(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """An array like ``np.empty``'s that begins at a line of the cache."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(size + LINE, np.uint8)
    start = -memory.ctypes.data % LINE
    return memory[start : start + size].view(dtype).reshape(shape)


class Scratch:
    """Named 1-D or 2-D arrays that grow when asked for more and never shrink; their contents are leftovers.

    Each begins at a line of the cache.
    """

    def __init__(self) -> None:
        self._arrays: dict[str, Any] = {}

    def get(self, name: str, dtype: DTypeLike, *shape: int) -> Any:
        """An array of at least ``shape`` in its last axis and exactly in the others; contents undefined."""
        found = self._arrays.get(name)
        if found is None or found.shape[:-1] != shape[:-1] or found.shape[-1] < shape[-1]:
            size = shape[-1] if found is None else shape[-1] + shape[-1] // 4
            found = empty_aligned((*shape[:-1], max(size, 1)), dtype)
            self._arrays[name] = found
        return found

    def filled(self, name: str, dtype: DTypeLike, value: int, *shape: int) -> Any:
        """Like ``get``, but a new array is filled with ``value``; who changes it must change it back."""
        before = self._arrays.get(name)
        found = self.get(name, dtype, *shape)
        if found is not before:
            found.fill(value)
        return found

    @property
    def nbytes(self) -> int:
        """Bytes of memory taken."""
        return sum(array.nbytes for array in self._arrays.values())

    def clear(self) -> None:
        """Free everything."""
        self._arrays.clear()

"""Memory of results, used again once the caller has dropped them.

Fresh memory costs a page fault every 4 kB at its first use, which for the labels of an image takes as long as computing
them does.
"""

from __future__ import annotations

import ctypes
import math
import weakref
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from simgen.render.raster.scratch import LINE


class Outputs:
    """Hands out arrays that are the caller's own until they and all views of them are let go.

    What waits to be used again is at most twice what one call has asked for.
    """

    def __init__(self) -> None:
        self._free: list[NDArray[np.uint8]] = []
        self._most = 0

    @property
    def nbytes(self) -> int:
        """Bytes of memory that wait to be used again."""
        return sum(len(memory) for memory in self._free)

    def arrays(self, wanted: dict[str, tuple[tuple[int, ...], DTypeLike]]) -> dict[str, NDArray[Any]]:
        """An array of each shape and type, by name; contents are leftovers."""
        sizes = {name: math.prod(shape) * np.dtype(dtype).itemsize for name, (shape, dtype) in wanted.items()}
        self._most = max(self._most, sum(sizes.values()))
        return {name: self._array(sizes[name], shape, dtype) for name, (shape, dtype) in wanted.items()}

    def clear(self) -> None:
        """Free what waits."""
        self._free.clear()
        self._most = 0

    def _array(self, size: int, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        fitting = [k for k, memory in enumerate(self._free) if len(memory) - LINE == size]
        memory = self._free.pop(fitting[-1]) if fitting else np.empty(size + LINE, np.uint8)
        lease = (ctypes.c_ubyte * size).from_buffer(memory.data, -memory.ctypes.data % LINE)
        weakref.finalize(lease, self._take_back, memory).atexit = False
        return np.frombuffer(memoryview(lease), dtype).reshape(shape)  # holds the lease, as do all views of it

    def _take_back(self, memory: NDArray[np.uint8]) -> None:
        self._free.append(memory)
        while self._free and self.nbytes > 2 * self._most:
            self._free.pop(0)

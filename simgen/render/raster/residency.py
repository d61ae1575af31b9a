"""What stays in memory between images: pools that kernels index, evicted by least recent use within a bound.

Meshes and textures lie in few flat arrays ("pools") rather than one array each, so that one kernel call can address
all of them and the number of kernel specializations stays fixed.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_RESERVED = 256 << 20
"""Bytes of addresses that a pool takes at most before it needs them."""
_ONCE_SHARE = 8
"""One in so many elements of a pool is for what was used by one image only."""
_MOST_GONE = 1 << 14
"""Names of what had to go that are remembered."""


class Pool:
    """A growing 1-D array with first-fit allocation of pieces, each a multiple of ``unit`` elements long.

    It grows within a larger array for ``reserve`` elements, which takes addresses but no memory before it is written:
    to move to another one would cost copies, and a page fault every few kB of it.

    Attributes:
        data: the array; its identity changes when it grows, so read it again after each ``allocate``.
        used: number of elements allocated.
    """

    def __init__(self, dtype: DTypeLike, capacity: int, unit: int = 1, reserve: int = 0) -> None:
        self.unit = unit
        self._reserved: NDArray[np.generic] = np.zeros(self.whole(max(capacity, reserve)), dtype)
        self.data = self._reserved[: self.whole(capacity)]
        self.used = 0
        self._gaps: list[tuple[int, int]] = [(0, len(self.data))]  # (start, length), ascending, never adjacent

    def whole(self, length: int) -> int:
        """``length`` rounded up to whole units, at least one."""
        return max(-(-int(length) // self.unit), 1) * self.unit

    def allocate(self, length: int, limit: int) -> int | None:
        """The start of a free piece of ``length`` elements, or None when that needs more than ``limit`` in all."""
        length = self.whole(length)
        for k, (start, free) in enumerate(self._gaps):
            if free >= length:
                self._gaps[k : k + 1] = [(start + length, free - length)] if free > length else []
                self.used += length
                return start
        size = len(self.data)
        tail = self._gaps[-1][1] if self._gaps and sum(self._gaps[-1]) == size else 0
        needed = size - tail + length
        if needed > limit:
            return None
        grown = self.whole(max(needed, min(2 * size, limit)))
        if grown > len(self._reserved):
            self._reserved = np.zeros(grown, self.data.dtype)
            self._reserved[:size] = self.data
        self.data = self._reserved[:grown]
        self.release(size, grown - size, count=False)
        return self.allocate(length, limit)

    def release(self, start: int, length: int, count: bool = True) -> None:
        """Give a piece back; ``count=False`` adds elements that were never allocated."""
        length = self.whole(length)
        if count:
            self.used -= length
        merged: list[tuple[int, int]] = []
        for gap in sorted([*self._gaps, (start, length)]):
            if merged and sum(merged[-1]) == gap[0]:
                merged[-1] = (merged[-1][0], merged[-1][1] + gap[1])
            else:
                merged.append(gap)
        self._gaps = merged


class Store:
    """Named pieces of one pool, evicted by least recent use.

    Most textures are drawn for one scene and never come again. What was used by one image only may fill a small part of
    the pool, so that it neither takes all memory nor drives out what is used again and again; a name that comes back
    after it had to go counts as used again (the 2Q algorithm of Johnson and Shasha 1994).

    ``limit`` bounds the pool in bytes. Names used by the image at hand are never evicted: an image that needs more
    than the limit makes the pool grow past it, since the alternative is no image.
    """

    def __init__(self, dtype: DTypeLike, limit: int, unit: int = 1) -> None:
        item = np.dtype(dtype).itemsize
        self.limit = max(limit // item, 1)
        self._reserve = min(self.limit, _RESERVED // item)
        self.pool = Pool(dtype, min(self.limit, (1 << 20) // item), unit, self._reserve)
        self._pieces: OrderedDict[str, tuple[int, int, Any]] = OrderedDict()  # start, length, note
        self._pinned: set[str] = set()
        self._once: OrderedDict[str, int] = OrderedDict()  # used by one image only: length
        self._gone: OrderedDict[str, None] = OrderedDict()  # used by one image only and evicted

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the pool takes."""
        return self.pool.data.nbytes

    def begin(self) -> None:
        """Start an image: what is found or added from now on stays until the next ``begin``."""
        self._pinned.clear()

    def find(self, name: str) -> int | None:
        """Where a piece starts, or None; marks it as used."""
        piece = self._pieces.get(name)
        if piece is None:
            return None
        self._pieces.move_to_end(name)
        if name not in self._pinned:
            self._once.pop(name, None)
            self._pinned.add(name)
        return piece[0]

    def note(self, name: str) -> Any:
        """What was stored with a piece."""
        return self._pieces[name][2]

    def annotate(self, name: str, note: Any) -> None:
        """Store ``note`` with a piece, which is known once it has its place."""
        self._pieces[name] = (*self._pieces[name][:2], note)

    def add(self, name: str, data: NDArray[np.generic], note: Any = None) -> int:
        """Copy flat ``data`` in and return where it starts, evicting what was not used for longest."""
        flat = data.reshape(-1)
        again = name in self._gone
        if again:
            del self._gone[name]
        else:
            self._make_room_once(len(flat))
        start = self.pool.allocate(len(flat), self.limit)
        while start is None:
            victim = next((known for known in self._pieces if known not in self._pinned), None)
            if victim is None:
                start = self.pool.allocate(len(flat), np.iinfo(np.int32).max)
                break
            self._evict(victim)
            start = self.pool.allocate(len(flat), self.limit)
        if start is None:
            raise MemoryError("the meshes or textures of one image exceed 2^31 elements")
        self.pool.data[start : start + len(flat)] = flat
        self._pieces[name] = (start, len(flat), note)
        self._pinned.add(name)
        if not again:
            self._once[name] = len(flat)
        return start

    def _make_room_once(self, length: int) -> None:
        """Evict what was used by one image only until ``length`` more of it fill no more than its part of the pool."""
        length += sum(self._once.values())
        for name, own in list(self._once.items()):
            if length <= self.limit // _ONCE_SHARE:
                break
            if name not in self._pinned:
                self._evict(name)
                length -= own

    def _evict(self, name: str) -> None:
        self.pool.release(*self._pieces.pop(name)[:2])
        if self._once.pop(name, None) is not None:
            self._gone[name] = None
            if len(self._gone) > _MOST_GONE:
                self._gone.popitem(last=False)

    def clear(self) -> None:
        """Forget everything and free the memory."""
        self.pool = Pool(self.pool.data.dtype, 1, self.pool.unit, self._reserve)
        self._pieces.clear()
        self._pinned.clear()
        self._once.clear()
        self._gone.clear()

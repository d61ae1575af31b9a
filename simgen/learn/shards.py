"""Frames of shards for PyTorch: by index, and as a shuffled stream.

No file is open before the first frame is asked for, and each process opens its own: a dataset may be pickled (spawn) or
carried over a fork. ``ShardDataset`` and ``frames_of`` need no PyTorch.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from simgen.errors import DatasetError
from simgen.labels.frame import Frame
from simgen.rng import stream
from simgen.shards.manifest import Category
from simgen.shards.reader import Dataset
from simgen.shards.shard import Shard

Transform = Callable[[Frame], Any]
Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

_OPEN_SHARDS = 512
"""Files kept open at a time, within half of what the system allows.

Random access over more shards than that would read the tables of a shard again for nearly every frame.
"""


class ShardDataset:
    """Frames of one or several datasets by index: a map-style dataset for ``torch.utils.data.DataLoader``.

    ``paths`` are folders that `simgen render` wrote; their frames follow one another. Of a frame only ``passes`` are
    read (None: all). ``transform`` turns a Frame into the item; without, the item is the Frame. Raises DatasetError
    when a folder is no complete dataset, a pass is missing, or the categories differ.
    """

    def __init__(self, paths: Paths, passes: Sequence[str] | None = None, transform: Transform | None = None) -> None:
        self.files = ShardFiles(paths, passes)
        self.transform = transform

    def __len__(self) -> int:
        return self.files.frames

    def __getitem__(self, index: int) -> Any:
        index = index + len(self) if index < 0 else index
        if not 0 <= index < len(self):
            raise IndexError(f"there are frames 0 to {len(self) - 1}, there is no frame {index}")
        frame = self.files.frame(index)
        return frame if self.transform is None else self.transform(frame)

    @property
    def categories(self) -> tuple[Category, ...]:
        """Categories in order of their ids, which start at 1."""
        return self.files.categories


class ShardFiles:
    """The shards of one or several datasets, opened when needed and by the process that needs them."""

    def __init__(self, paths: Paths, passes: Sequence[str] | None = None) -> None:
        folders = [Path(p) for p in ([paths] if isinstance(paths, str | os.PathLike) else paths)]
        if not folders:
            raise DatasetError("no dataset was given; name the folder of at least one.")
        self.passes = None if passes is None else tuple(passes)
        self.shards: list[tuple[Path, int]] = []
        self.categories: tuple[Category, ...] = ()
        starts, total = [], 0
        self._folders: list[tuple[int, int]] = []
        for number, folder in enumerate(folders):
            with Dataset(folder) as data:
                self._check(folder, data, first=number == 0)
                self._folders.append((total, data.manifest.frames_per_scene))
                for entry in data.manifest.shards:
                    self.shards.append((folder / entry.file, entry.frames))
                    starts.append(total)
                    total += entry.frames
        self.frames = total
        self._starts = np.array(starts, np.int64)
        self._open: OrderedDict[int, Shard] = OrderedDict()
        self._pid = os.getpid()
        self._most_open = _open_files()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": OrderedDict()}

    def _check(self, folder: Path, data: Dataset, first: bool) -> None:
        for name in self.passes or ():
            if name not in data.passes:
                raise DatasetError(
                    f"{folder} has no pass {name}, it has {', '.join(data.passes)}; render it with passes=[...,{name}]."
                )
        if first:
            self.categories = data.categories
        elif data.categories != self.categories:
            raise DatasetError(f"{folder} has other categories than the datasets before it; use them one at a time.")

    def shard(self, place: int) -> Shard:
        """A shard by its place among all, opened in this process."""
        if os.getpid() != self._pid:
            # What came over a fork belongs to the parent: let it go without closing.
            self._open, self._pid = OrderedDict(), os.getpid()
        if place not in self._open:
            self._open[place] = Shard(self.shards[place][0])
            while len(self._open) > self._most_open:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(place)
        return self._open[place]

    def locate(self, index: int) -> tuple[int, int]:
        """The place of the shard of a frame, and the frame's place in it."""
        place = int(np.searchsorted(self._starts, index, side="right")) - 1
        return place, index - int(self._starts[place])

    def scene(self, index: int) -> tuple[int, int]:
        """Which of the folders a frame is from, and its scene there."""
        folder = max(k for k, (start, _) in enumerate(self._folders) if start <= index)
        start, per_scene = self._folders[folder]
        return folder, (index - start) // per_scene

    def frame(self, index: int) -> Frame:
        """A frame with the wanted passes only."""
        place, n = self.locate(index)
        return self.shard(place).frame(n, self.passes)


def _open_files() -> int:
    try:
        import resource
    except ImportError:  # Windows, where the limit of the C library is 512
        return 256
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _OPEN_SHARDS if soft == resource.RLIM_INFINITY else max(1, min(_OPEN_SHARDS, soft // 2))


def order(
    files: ShardFiles, seed: int, epoch: int, buffer: int, part: int = 0, parts: int = 1
) -> Iterator[tuple[int, int]]:
    """Place of shard and frame in it, shuffled, of one of ``parts`` equal shares.

    Shards are shuffled, and their frames mixed in a buffer of ``buffer`` frames. Frames are dealt out: share p takes
    every ``parts``-th of a shuffled shard, so that every frame is in one share and shares differ by at most one frame.
    The same arguments give the same order.
    """
    shards = stream(seed, epoch, "learn/shards").permutation(len(files.shards))
    mixing = stream(seed, epoch, f"learn/buffer/{part}/{parts}")
    held: list[tuple[int, int]] = []
    dealt = 0
    for place in shards:
        count = files.shards[place][1]
        inside = stream(seed, epoch, f"learn/shard/{place}").permutation(count)
        for n in inside[(part - dealt) % parts :: parts]:
            held.append((int(place), int(n)))
            if len(held) > buffer:
                k = int(mixing.integers(len(held)))
                held[k], held[-1] = held[-1], held[k]
                yield held.pop()
        dealt += count
    for k in mixing.permutation(len(held)):
        yield held[k]

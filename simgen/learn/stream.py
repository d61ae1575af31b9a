"""Frames of shards as a shuffled stream for PyTorch's DataLoader."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch.distributed
from torch.utils.data import IterableDataset, get_worker_info

from simgen.learn.errors import LearnError
from simgen.learn.shards import Paths, ShardFiles, Transform, order
from simgen.shards.manifest import Category


class ShardStream(IterableDataset[Any]):
    """Frames of one or several datasets in an order that is shuffled anew each epoch.

    Shards come in random order and their frames are mixed in a buffer, so that reading stays local: memory holds places
    of frames, not frames. The frames are divided over distributed ranks and, within a rank, over the workers of the
    DataLoader; every frame comes once an epoch. With ``even`` each rank gives the same number of frames, some at the
    end being left out, as collective training needs. The order depends on ``seed`` and the epoch (``set_epoch``, to be
    called before iterating) and on the number of ranks and workers, on nothing else.

    ``rank`` and ``world`` default to those of ``torch.distributed`` when it is initialized.
    """

    def __init__(
        self,
        paths: Paths,
        passes: Sequence[str] | None = None,
        transform: Transform | None = None,
        *,
        seed: int = 0,
        buffer: int = 2048,
        rank: int | None = None,
        world: int | None = None,
        even: bool = True,
    ) -> None:
        self.files = ShardFiles(paths, passes)
        self.transform, self.seed, self.buffer, self.even, self.epoch = transform, seed, buffer, even, 0
        ready = torch.distributed.is_available() and torch.distributed.is_initialized()
        self.world = world if world is not None else torch.distributed.get_world_size() if ready else 1
        self.rank = rank if rank is not None else torch.distributed.get_rank() if ready else 0
        if not 0 <= self.rank < self.world:
            raise LearnError(f"rank {self.rank} is not below the number of ranks, {self.world}.")

    @property
    def categories(self) -> tuple[Category, ...]:
        """Categories in order of their ids, which start at 1."""
        return self.files.categories

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of the next iteration. Workers that persist keep the epoch they were started with."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Frames that this rank gives."""
        whole, rest = divmod(self.files.frames, self.world)
        return whole + (not self.even and self.rank < rest)

    def __iter__(self) -> Iterator[Any]:
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        parts = self.world * workers
        # Shares are numbered so that those of one rank are `world` apart: rank r has frames r, r + world, ...
        share = order(self.files, self.seed, self.epoch, self.buffer, self.rank + worker * self.world, parts)
        whole, rest = divmod(len(self), workers)
        for _, (place, n) in zip(range(whole + (worker < rest)), share, strict=False):
            frame = self.files.shard(place).frame(n, self.files.passes)
            yield frame if self.transform is None else self.transform(frame)

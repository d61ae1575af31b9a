"""Which items each step of training sees, and their batches."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from simgen.errors import SimgenError
from simgen.learn.config import TrainConfig
from simgen.learn.items import Cached, Items
from simgen.learn.sample import Joined
from simgen.rng import stream


def weights(config: TrainConfig, items: Items) -> NDArray[np.float64] | None:
    """How likely each item is drawn; None when all are alike."""
    weight = np.ones(len(items))
    uneven = False
    if isinstance(items.source, Joined) and items.source.weights is not None:
        parts = np.array([items.source.part(n) for n, _ in items.index])
        counts = np.bincount(parts, minlength=len(items.source.sources))
        weight *= (np.array(items.source.weights) / np.maximum(counts, 1))[parts]
        uneven = True
    if config.balance > 0 and config.task == "classify":
        counts = np.bincount(items.labels)
        weight *= counts[items.labels].astype(np.float64) ** -config.balance
        uneven = True
    return weight / weight.sum() if uneven else None


def _indices(config: TrainConfig, count: int, weights: NDArray[np.float64] | None, step: int) -> list[int]:
    """The items of a step: drawn by weight, or the next ones of endless shuffled passes over all of them."""
    if weights is not None:
        drawn = stream(config.seed, step, "learn/draw").choice(count, config.batch, p=weights)
        return [int(k) for k in drawn]
    places = range(step * config.batch, (step + 1) * config.batch)
    return [int(_pass(config.seed, place // count, count)[place % count]) for place in places]


@lru_cache(maxsize=4)
def _pass(seed: int, number: int, count: int) -> NDArray[np.int64]:
    return stream(seed, number, "learn/order").permutation(count)


class _Plan:
    """The items of each of some steps, made when asked for."""

    def __init__(self, config: TrainConfig, count: int, weight: NDArray[np.float64] | None, steps: range) -> None:
        self.config, self.count, self.weight, self.steps = config, count, weight, steps

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[list[int]]:
        return (_indices(self.config, self.count, self.weight, step) for step in self.steps)


class Collated:
    """Items by lists of indices, stacked to tensors."""

    def __init__(self, items: Items | Cached) -> None:
        self.items = items

    def __getitem__(self, indices: list[int]) -> dict[str, Tensor]:
        chosen = [self.items[k] for k in indices]
        return {name: torch.from_numpy(np.stack([item[name] for item in chosen])) for name in chosen[0]}


class _Sent(Collated):
    """The same, or the error for which there is none: raised in a worker it would come as the text of a traceback."""

    def __getitem__(self, indices: list[int]) -> Any:
        try:
            return super().__getitem__(indices)
        except SimgenError as error:
            return error


def _received(loader: Iterator[Any]) -> Iterator[dict[str, Tensor]]:
    for batch in loader:
        if isinstance(batch, SimgenError):
            raise batch
        yield batch


def batches(
    items: Items, config: TrainConfig, weight: NDArray[np.float64] | None, first: int, steps: int
) -> Iterator[dict[str, Tensor]]:
    """The batches of steps ``first`` to ``steps``, stacked as tensors on the CPU."""
    plan = _Plan(config, len(items), weight, range(first, steps))
    if config.workers == 0:
        # PyTorch draws from its global generator to seed each DataLoader; without workers there is no need for one.
        kept = Collated(Cached(items, config.cache_gb * 1e9))
        return (kept[indices] for indices in plan)
    loader: DataLoader[Any] = DataLoader(
        _Sent(items),  # type: ignore[arg-type]
        sampler=plan,
        batch_size=None,
        num_workers=config.workers,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator().manual_seed(0),
    )
    return _received(iter(loader))

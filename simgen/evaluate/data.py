"""Any data a user names, synthetic or real, as a source of samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from simgen.evaluate.real import RealSource, open_real
from simgen.learn.sample import Joined, Source
from simgen.learn.shard_source import ShardSource
from simgen.shards.manifest import MANIFEST


def open_source(
    path: str | Path,
    task: str,
    classes: Sequence[str] | None = None,
    *,
    mapping: Mapping[str, str | None] | None = None,
    format: str = "auto",
    min_visib: float = 0.1,
    min_pixels: int = 1,
    box_margin: float = 0.0,
    target: str = "azimuth",
    facts: bool = False,
    mapping_key: str = "mapping",
) -> Source:
    """The dataset of `simgen render`, or else the real images, in a folder; only what ``task`` needs is read.

    ``classes`` are taken from the data when None; ``mapping`` and ``format`` are for real images, see ``open_real``.
    ``box_margin`` widens the boxes of synthetic frames, ``facts`` keeps their drawn values. Raises LearnError,
    DatasetError.
    """
    if (Path(path) / MANIFEST).is_file():
        return ShardSource(
            path, classes, masks=task == "segment", min_visib=min_visib, min_pixels=min_pixels, box_margin=box_margin,
            facts=facts,
        )  # fmt: skip
    need = "masks" if task == "segment" else "azimuth" if task == "pose" and target == "azimuth" else ""
    return open_real(
        path, format=format, classes=classes, mapping=mapping, need=need, min_visib=min_visib, mapping_key=mapping_key
    )


def join(sources: Sequence[Source], weights: Sequence[float] | None = None) -> Source:
    """One source of several; ``weights`` are the shares of training drawn from each."""
    return sources[0] if len(sources) == 1 else Joined(sources, weights)


def skipped(source: Source) -> list[str]:
    """Lines on what was read of real images and what was left out; empty for other sources."""
    parts = source.sources if isinstance(source, Joined) else [source]
    return [f"{part.name}: {line}" for part in parts if isinstance(part, RealSource) for line in part.report.lines()]

"""What the process that runs a job and its workers tell each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simgen.generate.source import OpenSource
from simgen.shards.manifest import Asked
from simgen.shards.writer import Options, Origin, Written


@dataclass(frozen=True)
class Assignment:
    """What all workers of a job share. ``config`` is plain data, resolved; ``folder`` the dataset's."""

    folder: Path
    config: Mapping[str, Any]
    frames_per_scene: int
    origin: Origin
    options: Options
    open_source: OpenSource


@dataclass(frozen=True)
class Compiling:
    """It takes long until this worker is ready, and another can help; ``sentence`` tells the user why."""

    sentence: str


@dataclass(frozen=True)
class Ready:
    """All that had to be compiled is; shards are made from now on."""


@dataclass(frozen=True)
class FramesDone:
    """``count`` frames more of the shard at hand are in its file."""

    count: int


@dataclass(frozen=True)
class ShardDone:
    """The shard at hand is complete; see ShardEntry. ``complaints`` are sentences on scenes that did not settle."""

    written: Written
    scenes: int
    removed: int
    omitted: int
    unsettled: int
    redrawn: int
    targets: dict[str, Asked]
    required: Asked | None
    complaints: tuple[str, ...]


@dataclass(frozen=True)
class Failed:
    """The job cannot go on: one sentence for the user, and a traceback when it is a fault of the program."""

    sentence: str
    traceback: str = ""


Message = Compiling | Ready | FramesDone | ShardDone | Failed

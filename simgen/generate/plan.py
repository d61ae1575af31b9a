"""Which frames go into which shard."""

from __future__ import annotations

from simgen.shards.manifest import ShardEntry, shard_file


def whole_scenes(frames_per_shard: int, frames_per_scene: int) -> int:
    """``frames_per_shard`` rounded to whole scenes, at least one."""
    return max(1, round(frames_per_shard / frames_per_scene)) * frames_per_scene


def automatic_frames_per_shard(frames: int) -> int:
    """A sixteenth of a dataset, so that every worker of a short job has work, but at most 100 frames."""
    return min(max(frames // 16, 1), 100)


def plan(frames: int, frames_per_scene: int, frames_per_shard: int) -> list[ShardEntry]:
    """The pending shards of a dataset of ``frames`` frames.

    Shards hold whole scenes (``frames_per_shard`` is rounded to that); the last scene may be cut. A dataset of more
    frames has the same shards and others after them, but for the last one, which may have been shorter.
    """
    size = whole_scenes(frames_per_shard, frames_per_scene)
    return [
        ShardEntry(index, shard_file(index), first, min(size, frames - first))
        for index, first in enumerate(range(0, frames, size))
    ]

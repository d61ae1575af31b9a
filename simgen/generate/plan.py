"""Which frames go into which shard."""

from __future__ import annotations

from simgen.shards.manifest import Manifest, ShardEntry, shard_file


def whole_scenes(frames_per_shard: int, frames_per_scene: int) -> int:
    """``frames_per_shard`` rounded to whole scenes, at least one."""
    return max(1, round(frames_per_shard / frames_per_scene)) * frames_per_scene


def automatic_frames_per_shard(frames: int) -> int:
    """A sixteenth of a dataset, so that every worker of a short job has work, but at most 100 frames."""
    return min(max(frames // 16, 1), 100)


def plan(
    frames: int, frames_per_scene: int, frames_per_shard: int | None = None, old: Manifest | None = None
) -> list[ShardEntry]:
    """The pending shards of a dataset of ``frames`` frames.

    Shards hold whole scenes (``frames_per_shard`` is rounded to that); the last scene may be cut. A dataset of more
    frames has the same shards and others after them, but for the last one, which may have been shorter.

    ``frames_per_shard`` None finds a size by itself: a dataset ``old`` that is continued keeps its shards, whose size
    suited its frames, and those after them have one that suits the frames which are still to come.
    """
    kept: list[ShardEntry] = []
    if frames_per_shard is None:
        least = 1
        if old is not None and _goes_on(old, frames, frames_per_scene):
            # A shard that ends within a scene, the last one, is made whole.
            kept = [entry for entry in old.shards if entry.frames % frames_per_scene == 0 or frames == old.frames]
            least = old.frames_per_shard
        frames_per_shard = max(automatic_frames_per_shard(frames - sum(entry.frames for entry in kept)), least)
    begin = sum(entry.frames for entry in kept)
    size = whole_scenes(frames_per_shard, frames_per_scene)
    places = [(entry.first, entry.frames) for entry in kept]
    places += [(first, min(size, frames - first)) for first in range(begin, frames, size)]
    return [ShardEntry(k, shard_file(k), first, count) for k, (first, count) in enumerate(places)]


def _goes_on(old: Manifest, frames: int, frames_per_scene: int) -> bool:
    """Whether ``frames`` frames may be those of ``old`` and more, and something of it is there already."""
    fits = old.frames_per_scene == frames_per_scene and old.frames <= frames
    return fits and any(entry.state == "complete" for entry in old.shards)

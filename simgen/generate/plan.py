"""Which frames go into which shard."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from simgen.shards.manifest import Manifest, ShardEntry, shard_file


def whole_scenes(frames_per_shard: float, frames_per_scene: int) -> int:
    """``frames_per_shard`` rounded to whole scenes, at least one."""
    return max(1, round(frames_per_shard / frames_per_scene)) * frames_per_scene


def automatic_frames_per_shard(frames: int) -> int:
    """A sixteenth of a dataset, so that every worker of a short job has work, but at most 100 frames."""
    return min(max(frames // 16, 1), 100)


def _tapering(frames: int, largest: int, frames_per_scene: int) -> Iterator[int]:
    """Sizes of shards: ``largest`` at first, in the end a quarter of what is left, and at least a quarter of that.

    Workers come to the end of the last shards at different times; the smaller these are, the less do they wait.
    """
    least = whole_scenes(largest / 4, frames_per_scene)
    while frames > 0:
        size = min(largest, max(least, frames // 4 // frames_per_scene * frames_per_scene), frames)
        yield size
        frames -= size


def plan(
    frames: int, frames_per_scene: int, frames_per_shard: int | None = None, old: Manifest | None = None
) -> list[ShardEntry]:
    """The pending shards of a dataset of ``frames`` frames.

    Shards hold whole scenes (``frames_per_shard`` is rounded to that); the last scene may be cut. A dataset of more
    frames has the same shards and others after them, but for the last one, which may have been shorter.

    ``frames_per_shard`` None finds sizes by itself: a dataset ``old`` that is continued keeps its shards, whose sizes
    suited its frames, and those after them have such that suit the frames which are still to come.
    """
    kept: list[ShardEntry] = []
    if frames_per_shard is not None:
        size = whole_scenes(frames_per_shard, frames_per_scene)
        sizes = [min(size, frames - first) for first in range(0, frames, size)]
    else:
        least = 1
        if old is not None and _goes_on(old, frames, frames_per_scene):
            # A shard that ends within a scene, the last one, is made whole.
            kept = [entry for entry in old.shards if entry.frames % frames_per_scene == 0 or frames == old.frames]
            least = old.frames_per_shard
        rest = frames - sum(entry.frames for entry in kept)
        largest = whole_scenes(max(automatic_frames_per_shard(rest), least), frames_per_scene)
        sizes = [entry.frames for entry in kept] + list(_tapering(rest, largest, frames_per_scene))
    ends = accumulate(sizes)
    return [ShardEntry(k, shard_file(k), end - n, n) for k, (n, end) in enumerate(zip(sizes, ends, strict=True))]


def _goes_on(old: Manifest, frames: int, frames_per_scene: int) -> bool:
    """Whether ``frames`` frames may be those of ``old`` and more, and something of it is there already."""
    fits = old.frames_per_scene == frames_per_scene and old.frames <= frames
    return fits and any(entry.state == "complete" for entry in old.shards)

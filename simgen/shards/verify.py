"""Checking a dataset: is every shard there, unharmed, and are its labels those of its images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from simgen.errors import DatasetError
from simgen.labels.frame import ObjectTable
from simgen.shards.files import TEMPORARY, checksum
from simgen.shards.manifest import MANIFEST, SHARDS, Manifest, ShardEntry, load
from simgen.shards.shard import Shard


@dataclass(frozen=True)
class Problem:
    """What is wrong, in one sentence, with the file ``shard`` (relative to the dataset). A ``note`` does no harm."""

    shard: str
    what: str
    note: bool = False


def verify(path: str | Path, progress: Callable[[int, int], None] | None = None) -> list[Problem]:
    """Everything that is wrong with the dataset at ``path``; nothing but notes: it is complete and undamaged.

    ``progress`` is told (shards checked, shards in all). Raises DatasetError when ``path`` is no dataset at all.
    """
    folder = Path(path)
    manifest = load(folder)
    problems = list(_plan_problems(manifest))
    for done, entry in enumerate(manifest.shards):
        if progress is not None:
            progress(done, len(manifest.shards))
        problems += [Problem(entry.file, what) for what in _shard_problems(folder, manifest, entry)]
    if progress is not None:
        progress(len(manifest.shards), len(manifest.shards))
    return problems + _strays(folder, manifest)


def file_problem(folder: Path, entry: ShardEntry) -> str | None:
    """What is wrong with the bytes of a shard that should be complete, without looking at what they mean."""
    path = folder / entry.file
    try:
        size = path.stat().st_size
        if size != entry.bytes:
            return f"has {size} bytes instead of {entry.bytes}"
        if checksum(path) != entry.checksum:
            return "its checksum differs: bytes have changed since it was written"
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return None


def _plan_problems(manifest: Manifest) -> Iterator[Problem]:
    first = 0
    for entry in manifest.shards:
        if entry.first != first:
            yield Problem(MANIFEST, f"{entry.file} begins with frame {entry.first} instead of {first}")
        first = entry.first + entry.frames
    if first != manifest.frames:
        yield Problem(MANIFEST, f"its shards have {first} frames, the dataset should have {manifest.frames}")


def _shard_problems(folder: Path, manifest: Manifest, entry: ShardEntry) -> Iterator[str]:
    if entry.state != "complete":
        yield "is not complete"
        return
    problem = file_problem(folder, entry)
    if problem is not None:
        yield problem
        return
    try:
        shard = Shard(folder / entry.file)
    except DatasetError as error:
        yield str(error)
        return
    try:
        yield from _content_problems(shard, manifest, entry)
    except DatasetError as error:
        yield str(error)
    finally:
        shard.close()


def _content_problems(shard: Shard, manifest: Manifest, entry: ShardEntry) -> Iterator[str]:
    if len(shard) != entry.frames:
        yield f"has {len(shard)} frames instead of {entry.frames}"
        return
    if not np.array_equal(shard.index, np.arange(entry.first, entry.first + entry.frames)):
        yield f"its frames are not numbered {entry.first} to {entry.first + entry.frames - 1}"
        return
    missing = set(manifest.passes) - set(shard.passes)
    if missing:
        yield f"lacks the passes {', '.join(sorted(missing))}"
    for scene in range(
        entry.first // manifest.frames_per_scene, -(-(entry.first + entry.frames) // manifest.frames_per_scene)
    ):
        try:
            shard.scene_record(scene)
        except KeyError:
            yield f"has no record of scene {scene}"
    for n in range(len(shard)):
        objects = shard.objects(n)
        if not (objects.instance_id == np.arange(1, len(objects.instance_id) + 1)).all():
            yield f"frame {entry.first + n}: the instance ids of its objects are not 1 to {len(objects.instance_id)}"
        unknown = set(objects.category_id.tolist()) - {category.id for category in manifest.categories}
        if unknown:
            yield f"frame {entry.first + n}: category {min(unknown)} is not in the manifest"
        if "instance" in shard.passes:
            instance = shard.images(n, ["instance"])["instance"]
            yield from (f"frame {entry.first + n}: {what}" for what in label_problems(instance, objects))


def label_problems(instance: NDArray[np.uint16], objects: ObjectTable) -> Iterator[str]:
    """Where the object table disagrees with the id image (H, W)."""
    count = len(objects.instance_id)
    highest = int(instance.max(initial=0))
    if highest > count:
        yield f"its id image has id {highest}, its table only {count} objects"
        return
    pixels = np.bincount(instance.ravel(), minlength=count + 1)[1:]
    boxes = np.zeros((count, 4), np.int64)
    for k, found in enumerate(ndimage.find_objects(instance.astype(np.int32), max_label=count)):
        if found is not None:
            rows, columns = found
            boxes[k] = columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start
    for k in range(count):
        box, stored = boxes[k].tolist(), objects.bbox_visib[k].tolist()
        if pixels[k] != objects.px_visib[k]:
            yield f"object {k + 1} shows {pixels[k]} pixels, its px_visib says {objects.px_visib[k]}"
        if box != stored:
            yield f"the box around object {k + 1} is {box}, its bbox_visib says {stored}"


def _strays(folder: Path, manifest: Manifest) -> list[Problem]:
    known = {entry.file for entry in manifest.shards}
    notes = []
    for file in sorted((folder / SHARDS).glob("*")):
        name = f"{SHARDS}/{file.name}"
        if file.name.endswith(TEMPORARY):
            notes.append(Problem(name, "was left by a run that was cut off; the next run removes it", note=True))
        elif name not in known:
            notes.append(Problem(name, "does not belong to the dataset", note=True))
    return notes

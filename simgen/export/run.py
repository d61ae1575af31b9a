"""Exporting a dataset: division into units, the workers that write them, and the index files at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from simgen.errors import DatasetError, near_match
from simgen.export import bop, coco, folder, kitti, voc, webdataset, yolo
from simgen.export import keypoints as keypoint_kinds
from simgen.export.base import Format, ImageFormat, Settings, Unit
from simgen.export.pool import spread
from simgen.export.split import assign, parse_split
from simgen.generate.folder import locked
from simgen.generate.interrupt import interruptible
from simgen.labels.frame import Frame
from simgen.processes import available_cores
from simgen.shards.manifest import Category
from simgen.shards.reader import Dataset

FORMATS: dict[str, Format] = {
    "coco": coco.FORMAT,
    "bop": bop.FORMAT,
    "yolo": yolo.FORMAT,
    "kitti": kitti.FORMAT,
    "voc": voc.FORMAT,
    "webdataset": webdataset.FORMAT,
}

_UNIT = 32
"""Frames of a unit, where the format does not say: some seconds of work."""


@dataclass(frozen=True)
class Exported:
    """What an export holds: ``frames`` by split, annotations, and what the format could not say.

    ``made`` frames were written by this run, the others were there.
    """

    out: Path
    frames: dict[str, int]
    objects: int
    made: int
    notes: tuple[str, ...]


def export(
    dataset_path: str | Path,
    out: str | Path,
    format: str,
    *,
    split: str | None = None,
    categories: Sequence[str] | None = None,
    min_visib: float = 0.0,
    image_format: ImageFormat = "png",
    jpeg_quality: int = 95,
    task: str = "detect",
    keypoints: str = "none",
    panoptic: bool = False,
    models: bool = True,
    depth_scale: float = 0.1,
    frames_per_tar: int = 100,
    assets: Sequence[str | Path] | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Exported:
    """Write the dataset at ``dataset_path`` to the folder ``out`` in ``format``, one of FORMATS.

    The same call again continues an export that was cut off and leaves alone what is done; the files are the same
    whatever the number of ``workers`` (None: all cores).

    ``split``: shares by whole scenes, as "train:0.8,val:0.1,test:0.1"; None puts everything into "train".
    ``categories``: names of those to write, None all; ids stay as they are in the manifest. ``min_visib``: objects with
    a smaller visible fraction are left out, as are, but in BOP, those of which nothing is seen. Frames without objects
    are kept. ``image_format`` is that of colour images. ``task``: "detect", "segment" or "pose" for YOLO; "segment"
    adds mask images to VOC. ``keypoints``: "box" adds the corners and the centre of the 3-D boxes to COCO, "named" the
    keypoints that the scene gives its assets; YOLO's pose has those of the boxes unless told "named". ``panoptic``:
    adds COCO's panoptic segmentation.
    ``models``: BOP, write the objects' meshes. ``depth_scale``: BOP, millimetres of a step of the 16-bit depth images.
    ``frames_per_tar``: WebDataset. ``assets``: search path of the assets, if it has moved since rendering.
    ``progress`` is told (frames done, frames in all).

    Raises DatasetError when the dataset lacks what the format needs, ``out`` holds something else or cannot be written,
    or an option makes no sense; AssetError when an asset is needed that is not there any more.
    """
    if format not in FORMATS:
        known = ", ".join(FORMATS)
        raise DatasetError(f'there is no export format "{format}"{near_match(format, FORMATS)}: choose one of {known}')
    _check_options(min_visib, image_format, jpeg_quality, task, keypoints, depth_scale, frames_per_tar, workers)
    if format == "yolo" and task == "pose" and keypoints == "none":
        keypoints = "box"
    shares = parse_split(split)
    with Dataset(dataset_path) as dataset:
        settings = Settings(
            Path(dataset_path),
            Path(out).expanduser(),
            format,
            _chosen(dataset, categories),
            float(min_visib),
            image_format,
            jpeg_quality,
            task,
            keypoints,
            panoptic,
            models,
            float(depth_scale),
            frames_per_tar,
            None if assets is None else tuple(Path(path) for path in assets),
            dataset.manifest.seed,
            tuple(shares),
        )
        chosen = FORMATS[format]
        _check_passes(dataset, chosen.needs(settings), settings)
        identity = _identity(dataset, settings, split)
        units = list(_units(dataset, settings, chosen, shares))
    facts = chosen.prepare(settings)
    tell = progress or (lambda done, total: None)
    folder.claim(settings.out, identity)
    with locked(settings.out / folder.STATE), interruptible():
        made = _write(settings, facts, units, available_cores() if workers is None else workers, tell)
        list(chosen.finish(settings, facts, lambda: folder.parts(settings.out, units)))
    return _summary(settings, units, made)


def _write(settings: Settings, facts: Any, units: list[Unit], workers: int, tell: Callable[[int, int], None]) -> int:
    """Write the units that are not done yet; returns the number of their frames."""
    pending = [unit for unit in units if not folder.is_done(settings.out, unit)]
    total, left = (sum(len(unit.frames) for unit in some) for some in (units, pending))
    done = total - left
    tell(done, total)
    for frames in spread(partial(_work, settings, facts), pending, workers):
        done += frames
        tell(done, total)
    return left


def _work(settings: Settings, facts: Any, unit: Unit) -> int:
    """Write one unit, in whatever process."""
    with Dataset(settings.dataset) as dataset:
        part = FORMATS[settings.format].write(settings, facts, unit, _frames(dataset, unit))
    folder.keep(settings.out, unit, part)
    return len(unit.frames)


def _frames(dataset: Dataset, unit: Unit) -> Iterator[Frame]:
    return (dataset[index] for index in unit.frames)


def _units(dataset: Dataset, settings: Settings, chosen: Format, shares: dict[str, float]) -> Iterator[Unit]:
    """The work, split by split, in order of the frames."""
    scenes = _scenes(dataset)
    split_of = assign(list(scenes), shares, settings.seed)
    rows = _rows(dataset)
    for name in shares:
        members = [frames for scene, frames in scenes.items() if split_of.get(scene) == name]
        divided = chosen.divide(settings, members) if chosen.divide else chunks(members, _UNIT)
        for number, frames in enumerate(divided):
            yield Unit(f"{name}-{number:06d}", name, tuple(frames), tuple(rows[index] for index in frames))


def chunks(scenes: list[list[int]], size: int) -> list[list[int]]:
    """The frames of all scenes in runs of ``size``."""
    frames = [index for scene in scenes for index in scene]
    return [frames[start : start + size] for start in range(0, len(frames), size)]


def _scenes(dataset: Dataset) -> dict[Hashable, list[int]]:
    """Scene -> its frames. Imported frames name the scene of their source, since each is a record of its own."""
    count = len(dataset)
    if "scene" in dataset.draw_names().get("source", ()):
        keys = dataset.draws("source", "scene").tolist()
    else:
        keys = [index // dataset.manifest.frames_per_scene for index in range(count)]
    found: dict[Hashable, list[int]] = {}
    for index, key in enumerate(keys):
        found.setdefault(key, []).append(index)
    return found


def _rows(dataset: Dataset) -> list[int]:
    """The number of objects before each frame."""
    counts = [len(dataset.objects(index).instance_id) for index in range(len(dataset))]
    return [0, *np.cumsum(counts, dtype=np.int64).tolist()[:-1]]


def _chosen(dataset: Dataset, names: Sequence[str] | None) -> tuple[Category, ...]:
    if names is None:
        return dataset.categories
    known = [category.name for category in dataset.categories]
    for name in names:
        if name not in known:
            raise DatasetError(
                f'{dataset.path} has no category "{name}"{near_match(name, known)}: it has {", ".join(known) or "none"}'
            )
    return tuple(category for category in dataset.categories if category.name in names)


def _check_passes(dataset: Dataset, needed: Sequence[str], settings: Settings) -> None:
    for name in needed:
        if name not in dataset.passes:
            raise DatasetError(
                f"{dataset.path} has no {name} pass, which the {settings.format} export needs: it has "
                f"{', '.join(dataset.passes)}; render it with passes=auto or with {name} among them"
            )


def _check_options(
    min_visib: float,
    image_format: str,
    jpeg_quality: int,
    task: str,
    keypoints: str,
    depth_scale: float,
    frames_per_tar: int,
    workers: int | None,
) -> None:
    if not 0 <= min_visib <= 1:
        raise DatasetError(f"min_visib {min_visib} is not a fraction: choose it between 0 and 1")
    if image_format not in ("png", "jpeg"):
        raise DatasetError(f'image format "{image_format}" is not known: choose png or jpeg')
    if not 1 <= jpeg_quality <= 100:
        raise DatasetError(f"JPEG quality {jpeg_quality} is not between 1 and 100")
    if task not in yolo.TASKS:
        known = ", ".join(yolo.TASKS)
        raise DatasetError(f'there is no task "{task}"{near_match(task, yolo.TASKS)}: choose one of {known}')
    if keypoints not in keypoint_kinds.KINDS:
        known = ", ".join(keypoint_kinds.KINDS)
        hint = near_match(keypoints, keypoint_kinds.KINDS)
        raise DatasetError(f'there are no keypoints "{keypoints}"{hint}: choose one of {known}')
    if not 0 < depth_scale <= 1000:
        raise DatasetError(f"depth scale {depth_scale} is not between 0 and 1000 millimetres a step")
    if frames_per_tar < 1:
        raise DatasetError(f"{frames_per_tar} frames per tar file are not possible: choose at least 1")
    if workers is not None and workers < 1:
        raise DatasetError(f"{workers} workers are not possible: choose at least 1")


def _identity(dataset: Dataset, settings: Settings, split: str | None) -> dict[str, Any]:
    """What must be the same for an export to be continued."""
    manifest = dataset.manifest
    options: dict[str, dict[str, Any]] = {
        "coco": {"keypoints": settings.keypoints, "panoptic": settings.panoptic},
        "bop": {"models": settings.models, "depth scale": settings.depth_scale},
        "yolo": {"task": settings.task, "keypoints": settings.keypoints},
        "voc": {"task": settings.task},
        "webdataset": {"frames per tar": settings.frames_per_tar},
    }
    return {
        "format": settings.format,
        "dataset": manifest.digest,
        "simgen": manifest.simgen,
        "seed": manifest.seed,
        "device": manifest.device,
        "frames": manifest.frames,
        "split": split,
        "categories": [[category.id, category.name] for category in settings.categories],
        "min visib": settings.min_visib,
        "images": settings.image_format,
        "JPEG quality": settings.jpeg_quality if settings.image_format == "jpeg" else None,
        **options.get(settings.format, {}),
    }


def _summary(settings: Settings, units: list[Unit], made: int) -> Exported:
    frames: Counter[str] = Counter()
    notes: Counter[str] = Counter()
    objects = 0
    for unit, part in folder.parts(settings.out, units):
        frames[unit.split] += len(unit.frames)
        objects += part.objects
        notes.update(part.notes or {})
    told = tuple(f"{sentence} ({count} {'frames' if count > 1 else 'frame'})" for sentence, count in notes.items())
    return Exported(settings.out, dict(frames), objects, made, told)

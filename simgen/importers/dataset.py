"""Writing imported frames as a dataset: shards of one image size each, and a manifest whose renderer is "import"."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from simgen import __version__
from simgen.errors import DatasetError
from simgen.generate.folder import checked_folder, locked
from simgen.generate.interrupt import interruptible
from simgen.geometry import quaternion_from_rotation
from simgen.labels.frame import Frame, ObjectTable
from simgen.labels.label import visible
from simgen.labels.rle import encode
from simgen.scene.record import (
    BodyRecord,
    CameraRecord,
    EnvironmentRecord,
    FrameRecord,
    Pose,
    SceneRecord,
    SensorRecord,
    WorldRecord,
)
from simgen.scene.state import SceneState, Simulation
from simgen.shards import manifest as manifests
from simgen.shards.manifest import MANIFEST, SHARDS, Category, Manifest, ShardEntry, shard_file
from simgen.shards.schema import SCHEMA
from simgen.shards.verify import file_problem
from simgen.shards.writer import Options, Origin, ShardWriter

RENDERER, DEVICE = "import", "none"

_SHARD = 64
"""Frames of a shard, at most."""

Mask = NDArray[np.bool_]
Item = TypeVar("Item")


@dataclass(frozen=True)
class Imported:
    """What an import gave; ``notes`` tell what was left out or changed."""

    out: Path
    frames: int
    objects: int
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Instance:
    """One annotated object. ``visible`` and ``full`` are masks (H, W), or None where there are none, only ``box``.

    ``box`` is xywh of the full silhouette, which may leave the image, None: that of ``full``. ``px_full`` counts the
    full silhouette, None: the pixels of ``full``. ``T_cam_obj`` and ``size`` are None where they are not known.
    """

    category_id: int
    asset: str
    visible: Mask | None = None
    full: Mask | None = None
    box: tuple[int, int, int, int] | None = None
    px_full: int | None = None
    T_cam_obj: NDArray[np.float64] | None = None
    size: tuple[float, float, float] | None = None


@dataclass(frozen=True, eq=False)
class View:
    """One imported image: ``images`` by pass without the id images, camera (None: not known), what is on it.

    ``source`` says where it comes from and is stored as draws; its entry ``scene`` keeps images of one scene together.
    """

    images: dict[str, NDArray[Any]]
    instances: Sequence[Instance]
    source: dict[str, Any]
    K: NDArray[np.float64] | None = None
    T_world_cam: NDArray[np.float64] | None = None


def write_dataset(
    out: Path,
    settings: dict[str, Any],
    categories: Sequence[Category],
    groups: Iterable[Sequence[Item]],
    load: Callable[[Item], View],
    masks: bool,
    notes: Sequence[str],
    progress: Callable[[int, int], None] | None,
) -> Imported:
    """Write ``load(item)`` of all items; those of a group have images of one size and the same passes.

    ``settings`` identify the import: the same ones again continue it. With ``masks``, id images are made from the
    visible masks. Raises DatasetError when ``out`` holds something else or cannot be written.
    """
    runs = [list(group[k : k + _SHARD]) for group in groups for k in range(0, len(group), _SHARD)]
    if not runs:
        raise DatasetError("there are no images to import: check the folder and the annotations")
    folder = checked_folder(str(out))
    tell = progress or (lambda done, total: None)
    with interruptible(), locked(folder):
        manifest = _manifest(settings, categories, [len(run) for run in runs])
        old = manifests.load(folder) if (folder / MANIFEST).exists() else None
        if old is not None and old.digest != manifest.digest:
            changed = manifests.differences(old, manifest)
            raise DatasetError(f"{folder} holds another dataset ({'; '.join(changed[:3])}): choose another folder")
        if old is not None:
            manifest.passes = old.passes
        (folder / SHARDS).mkdir(exist_ok=True)
        done = 0
        for run, entry in zip(runs, manifest.shards, strict=True):
            before = old.shards[entry.index] if old is not None and entry.index < len(old.shards) else None
            if before is not None and before.state == "complete" and file_problem(folder, before) is None:
                manifest.shards[entry.index] = before
            else:
                views = (load(item) for item in run)
                _write_shard(folder, manifest, entry, views, masks)
                manifests.save(folder, manifest)
            done += entry.frames
            tell(done, manifest.frames)
        manifests.save(folder, manifest)
    from simgen.shards.reader import Dataset

    with Dataset(folder) as dataset:
        objects = sum(len(dataset.objects(index).instance_id) for index in range(len(dataset)))
    return Imported(folder, manifest.frames, objects, tuple(notes))


def _manifest(settings: dict[str, Any], categories: Sequence[Category], sizes: Sequence[int]) -> Manifest:
    firsts = np.concatenate([[0], np.cumsum(sizes)]).tolist()
    manifest = Manifest(
        schema=SCHEMA,
        simgen=__version__,
        config={"scene": {"name": f"{settings['format']} import"}, "import": settings},
        digest="",
        assets="",
        seed=0,
        renderer=RENDERER,
        device=DEVICE,
        passes=[],
        categories=list(categories),
        frames=firsts[-1],
        # Real scenes have any number of images; here each image is a scene, and draws tell what belongs together.
        frames_per_scene=1,
        frames_per_shard=_SHARD,
        shards=[ShardEntry(k, shard_file(k), firsts[k], size) for k, size in enumerate(sizes)],
    )
    manifest.digest = manifests.digest(manifest)
    return manifest


def _write_shard(folder: Path, manifest: Manifest, entry: ShardEntry, views: Iterator[View], masks: bool) -> None:
    origin = Origin(manifest.simgen, manifest.config, manifest.seed, manifest.renderer, manifest.device)
    names = {category.id: category.name for category in manifest.categories}
    with ShardWriter(folder / entry.file, entry.frames, origin, Options()) as writer:
        for index, view in enumerate(views, start=entry.first):
            frame = _frame(view, index, masks)
            writer.add_scene(record := _record(view, frame, names), _simulation(record))
            writer.add(frame)
            if not manifest.passes:
                manifest.passes = list(frame.images)
        written = writer.finish()
    entry.state, entry.bytes, entry.checksum = "complete", written.bytes, written.checksum


def _frame(view: View, index: int, masks: bool) -> Frame:
    height, width = view.images["rgb"].shape[:2]
    images = dict(view.images)
    instance = np.zeros((height, width), np.uint16)
    if masks:
        for k in _painting_order(view.instances):
            mask = view.instances[k].visible
            assert mask is not None  # masks promises one for each
            instance[mask] = k + 1
        ids = np.array([0, *(item.category_id for item in view.instances)], np.uint16)
        images |= {"instance": instance, "semantic": ids[instance]}
    T_world_cam = np.eye(4) if view.T_world_cam is None else view.T_world_cam
    return Frame(
        index=index,
        scene=index,
        view=0,
        time=0.0,
        camera="camera",
        images=images,
        K=np.full((3, 3), np.nan) if view.K is None else view.K,
        distortion=np.zeros(5),
        T_world_cam=T_world_cam,
        objects=_table(view.instances, instance if masks else None, height, width, T_world_cam),
        draws={"source": view.source},
    )


def _painting_order(instances: Sequence[Instance]) -> list[int]:
    """Larger masks first: where annotations overlap, a smaller object lies on a larger one."""
    pixels = [0 if item.visible is None else np.count_nonzero(item.visible) for item in instances]
    return sorted(range(len(instances)), key=lambda k: -pixels[k])


def _table(
    instances: Sequence[Instance],
    instance: NDArray[np.uint16] | None,
    height: int,
    width: int,
    T_world_cam: NDArray[np.float64],
) -> ObjectTable:
    count = len(instances)
    fulls = [_full(item, height, width) for item in instances]
    inside = np.array([np.count_nonzero(full) for full in fulls], np.int32)
    own = [box_of(full) for full in fulls]
    boxes = [own_box if item.box is None else item.box for own_box, item in zip(own, instances, strict=True)]
    bbox_full = np.array(boxes, np.int32).reshape(count, 4)
    px_full = np.array([-1 if item.px_full is None else item.px_full for item in instances], np.int32).reshape(count)
    px_full = np.where(px_full < inside, inside, px_full).astype(np.int32)
    if instance is None:
        px_visib, bbox_visib = inside, np.array(own, np.int32).reshape(count, 4)
    else:
        px_visib, bbox_visib = visible(instance, count)
    safe = np.maximum(px_full, 1)
    T_cam_obj = np.full((count, 4, 4), np.nan)
    for k, item in enumerate(instances):
        if item.T_cam_obj is not None:
            T_cam_obj[k] = item.T_cam_obj
    sizes = [(np.nan,) * 3 if item.size is None else item.size for item in instances]
    return ObjectTable(
        body=np.arange(count, dtype=np.int32),
        instance_id=np.arange(1, count + 1, dtype=np.uint16),
        category_id=np.array([item.category_id for item in instances], np.uint16),
        asset=tuple(item.asset for item in instances),
        T_cam_obj=T_cam_obj,
        T_world_obj=T_world_cam @ T_cam_obj,
        size=np.array(sizes, np.float32).reshape(count, 3),
        bbox_visib=bbox_visib,
        bbox_full=bbox_full,
        visib_fract=(px_visib / safe).astype(np.float32),
        truncated=((px_full - inside) / safe).astype(np.float32),
        px_visib=px_visib,
        px_full=px_full,
        mask_full=tuple(encode(full, 0, 0, height, width) for full in fulls),
    )


def _full(item: Instance, height: int, width: int) -> Mask:
    """The full mask inside the image: what is given, at least the visible one, else the box."""
    if item.full is not None:
        return item.full if item.visible is None else item.full | item.visible
    if item.visible is not None:
        return item.visible
    mask = np.zeros((height, width), np.bool_)
    if item.box is not None:
        x, y, w, h = item.box
        mask[max(y, 0) : max(y + h, 0), max(x, 0) : max(x + w, 0)] = True
    return mask


def box_of(mask: Mask) -> tuple[int, int, int, int]:
    """The box xywh around a mask (H, W), zeros when it is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows) == 0:
        return 0, 0, 0, 0
    x, y = int(columns[0]), int(rows[0])
    return x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1


def _record(view: View, frame: Frame, names: dict[int, str]) -> SceneRecord:
    """What is known of the scene; poses that are not known stand at the origin."""
    height, width = view.images["rgb"].shape[:2]
    objects = frame.objects
    bodies = tuple(
        BodyRecord(
            f"object{k + 1}", item.asset, "object", "import", _pose(objects.T_world_obj[k]), names[item.category_id]
        )
        for k, item in enumerate(view.instances)
    )
    K = np.zeros((3, 3)) if view.K is None else view.K
    fx, fy, cx, cy = (K[i, j].item() for i, j in ((0, 0), (1, 1), (0, 2), (1, 2)))
    camera = CameraRecord(frame.camera, width, height, fx, fy, cx, cy, _pose(frame.T_world_cam))
    return SceneRecord(
        definition=RENDERER,
        seed=0,
        scene=frame.scene,
        world=WorldRecord(),
        bodies=bodies,
        lights=(),
        environment=EnvironmentRecord(color=(0.0, 0.0, 0.0)),
        frames=(FrameRecord(0, 0.0, camera, SensorRecord()),),
        draws={"source": view.source},
    )


def _pose(T: NDArray[np.float64]) -> Pose:
    if not np.isfinite(T).all():
        return Pose()
    x, y, z = T[:3, 3].tolist()
    a, b, c, d = quaternion_from_rotation(T[:3, :3]).tolist()
    return Pose((x, y, z), (a, b, c, d))


def _simulation(record: SceneRecord) -> Simulation:
    return Simulation((SceneState(0.0, ()),), {}, {}, 0.0)

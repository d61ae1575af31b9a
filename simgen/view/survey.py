"""What is known of a dataset without looking at its images: one pass over tables, draws and records."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.geometry import inverse
from simgen.labels.frame import ObjectTable
from simgen.scene.record import SceneRecord, TextureRecord
from simgen.shards.manifest import Manifest
from simgen.shards.reader import Dataset
from simgen.shards.shard import Shard

MOST_FRAMES = 20_000
"""Frames of which tables are read; of a larger dataset, whole scenes that are spread evenly over it."""


@dataclass(frozen=True, eq=False)
class Frames:
    """A row a frame: where it is from and what it drew. ``draws``: factor -> name -> value."""

    index: NDArray[np.int64]
    scene: NDArray[np.int64]
    view: NDArray[np.int64]
    time: NDArray[np.float64]
    camera: list[str]
    objects: NDArray[np.int64]
    """Labelled objects, visible or not."""
    visible: NDArray[np.int64]
    """Those of which at least a pixel is seen."""
    draws: list[dict[str, dict[str, Any]]]


@dataclass(frozen=True, eq=False)
class Objects:
    """A row an object of a frame (K,); boxes (K, 4) and images' sizes in pixels, the rest as in ``ObjectTable``.

    ``frame`` is the row in ``Frames``, ``distance`` in metres from the camera to the object's origin. ``azimuth`` and
    ``elevation`` in radians say from where the camera looks at the object, in the object's own frame.
    """

    frame: NDArray[np.int64]
    category: NDArray[np.int64]
    bbox_visib: NDArray[np.int64]
    px_visib: NDArray[np.int64]
    px_full: NDArray[np.int64]
    visib_fract: NDArray[np.float64]
    truncated: NDArray[np.float64]
    distance: NDArray[np.float64]
    azimuth: NDArray[np.float64]
    elevation: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Survey:
    """``used``: kind ("asset", "texture", "environment") -> name -> number of scenes that have it.

    ``traces``: name -> of the scenes looked at, one entry a scene that has it. ``size`` is (width, height) in pixels.
    """

    manifest: Manifest
    size: tuple[int, int]
    frames: Frames
    objects: Objects
    used: dict[str, Counter[str]]
    traces: dict[str, list[TraceFacts]]
    removed: Counter[str]
    """Why bodies were taken out -> how many."""

    @property
    def names(self) -> dict[int, str]:
        """Category id -> name."""
        return {category.id: category.name for category in self.manifest.categories}

    @property
    def whole(self) -> bool:
        """Whether every frame was looked at."""
        return len(self.frames.index) == self.manifest.frames


@dataclass(frozen=True)
class TraceFacts:
    """One trace of one scene: rows, distinct times, first and last time in seconds, columns and their units."""

    rows: int
    times: int
    first: float
    last: float
    columns: tuple[str, ...]
    units: tuple[str, ...]


@dataclass
class _Tables:
    rows: list[tuple[int, int, int, float, str]] = field(default_factory=list)
    draws: list[dict[str, dict[str, Any]]] = field(default_factory=list)
    tables: list[ObjectTable] = field(default_factory=list)


def survey(
    path: str | os.PathLike[str], most: int = MOST_FRAMES, tell: Callable[[int, int], None] | None = None
) -> Survey:
    """Look at (at least one scene and about) ``most`` frames of the dataset at ``path``, whole scenes.

    ``tell`` is told (frames read, frames to read). Raises DatasetError when there is no complete dataset.
    """
    with Dataset(path) as data:
        manifest = data.manifest
        image = next(iter(data.images(0, data.passes[:1]).values()))
    chosen = choose_scenes(manifest, most)
    total = sum(min(manifest.frames_per_scene, manifest.frames - s * manifest.frames_per_scene) for s in chosen)
    found = _Tables()
    used = {kind: Counter[str]() for kind in ("asset", "texture", "environment")}
    traces: dict[str, list[TraceFacts]] = {}
    removed = Counter[str]()
    wanted = set(chosen)
    for entry in manifest.shards:
        first = entry.first // manifest.frames_per_scene
        scenes = [s for s in range(first, -(-(entry.first + entry.frames) // manifest.frames_per_scene)) if s in wanted]
        if not scenes:
            continue
        shard = Shard(Path(path) / entry.file)
        try:
            _read(shard, scenes, found)
            for scene in scenes:
                _count(used, shard.scene_record(scene))
                for name, trace in shard.scene_traces(scene).items():
                    facts = _trace_facts(trace.time, len(trace.value), trace.columns, trace.units)
                    traces.setdefault(name, []).append(facts)
            for bodies in (b for s, b in shard.removed().items() if s in wanted):
                removed.update(reason.split(":")[0] for reason in bodies.values())
        finally:
            shard.close()
        if tell is not None:
            tell(len(found.rows), total)
    size = (int(image.shape[1]), int(image.shape[0]))
    return Survey(manifest, size, _frames(found), _objects(found.tables), used, traces, removed)


def choose_scenes(manifest: Manifest, most: int) -> list[int]:
    """Scenes of about ``most`` frames together, evenly spread, at least one."""
    scenes = -(-manifest.frames // manifest.frames_per_scene)
    count = max(1, min(scenes, most // manifest.frames_per_scene))
    return [int(s) for s in np.unique(np.linspace(0, scenes - 1, count).round())]


def _read(shard: Shard, scenes: Sequence[int], found: _Tables) -> None:
    for n in range(len(shard)):
        frame = shard.frame(n, ())
        if frame.scene in scenes:
            found.rows.append((frame.index, frame.scene, frame.view, frame.time, frame.camera))
            found.draws.append(frame.draws)
            found.tables.append(frame.objects)


def _frames(found: _Tables) -> Frames:
    index, scene, view, time, camera = zip(*found.rows, strict=True)
    return Frames(
        np.array(index, np.int64),
        np.array(scene, np.int64),
        np.array(view, np.int64),
        np.array(time, np.float64),
        list(camera),
        np.array([len(table.instance_id) for table in found.tables], np.int64),
        np.array([int((table.px_visib > 0).sum()) for table in found.tables], np.int64),
        found.draws,
    )


def _objects(tables: Sequence[ObjectTable]) -> Objects:
    def column(name: str, dtype: Any, *shape: int) -> NDArray[Any]:
        parts = [np.asarray(getattr(table, name), dtype).reshape(-1, *shape) for table in tables]
        return np.concatenate(parts) if parts else np.zeros((0, *shape), dtype)

    poses = column("T_cam_obj", np.float64, 4, 4)
    camera = np.array([inverse(T)[:3, 3] for T in poses]).reshape(-1, 3)
    return Objects(
        np.repeat(np.arange(len(tables)), [len(table.instance_id) for table in tables]),
        column("category_id", np.int64),
        column("bbox_visib", np.int64, 4),
        column("px_visib", np.int64),
        column("px_full", np.int64),
        column("visib_fract", np.float64),
        column("truncated", np.float64),
        np.linalg.norm(poses[:, :3, 3], axis=1),
        np.arctan2(camera[:, 1], camera[:, 0]),
        np.arctan2(camera[:, 2], np.hypot(camera[:, 0], camera[:, 1])),
    )


def _count(used: dict[str, Counter[str]], record: SceneRecord) -> None:
    """Add what ``record`` has to what was ``used``, each name once a scene."""
    environment = record.environment
    textures = [body.material.texture for body in record.bodies]
    if environment.background == "texture":
        textures.append(environment.background_texture)
    used["asset"].update({body.asset for body in record.bodies})
    used["texture"].update(_texture_names(textures))
    used["environment"].update({environment.image} if environment.image else ())


def _texture_names(textures: Iterable[TextureRecord | None]) -> set[str]:
    return {texture.image or f"generated/{texture.kind}" for texture in textures if texture is not None}


def _trace_facts(time: NDArray[np.float64], rows: int, columns: tuple[str, ...], units: tuple[str, ...]) -> TraceFacts:
    distinct = np.unique(time)
    first, last = (float(distinct[0]), float(distinct[-1])) if len(distinct) else (0.0, 0.0)
    return TraceFacts(rows, len(distinct), first, last, columns, units)

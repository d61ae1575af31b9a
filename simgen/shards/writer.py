"""Writing one shard: images stream into the file as they come, tables follow at the end, then it gets its name."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from simgen.labels.frame import Frame
from simgen.scene.record import SceneRecord, to_json
from simgen.scene.state import Simulation
from simgen.shards import codec, draws
from simgen.shards.files import TEMPORARY, cannot_write, checksum, commit, free_bytes, start_writing
from simgen.shards.schema import IMAGES, KEYPOINTS, OBJECTS, SCHEMA, SNORM_SCALE, UNITS, escape
from simgen.shards.storing import to_stored
from simgen.shards.tables import create_table, write_entry
from simgen.shards.traces import TraceTable

_ROWS = 4096
"""Rows of a chunk of tables and traces."""

_SMALL = 4096
"""Bytes of a table that is not worth compressing."""


@dataclass(frozen=True)
class Options:
    """How arrays are coded on disk; see ``simgen.shards.codec``."""

    compression: str = "blosc"
    rgb_codec: str = "raw"
    jpeg_quality: int = 95


@dataclass(frozen=True)
class Origin:
    """What a shard says about where it comes from; ``config`` is plain data."""

    simgen: str
    config: Mapping[str, Any]
    seed: int
    renderer: str
    device: str


@dataclass(frozen=True)
class Written:
    """A committed shard file."""

    bytes: int
    checksum: str


@dataclass(frozen=True)
class _StoredImages:
    """The dataset of a pass and the shape of an image in it; ``codec`` of image files, "" for arrays."""

    data: h5py.Dataset
    shape: tuple[int, ...]
    codec: str = ""


class ShardWriter:
    """Writes ``frames`` frames to ``path``: ``add_scene``, then ``add`` for each of its frames, in the end ``finish``.

    Until ``finish`` returns, the file has its temporary name; leaving the context without it removes it. Every failure
    to write raises DatasetError with one sentence. Holds one frame's images at a time, and the tables of all.
    """

    def __init__(self, path: Path, frames: int, origin: Origin, options: Options) -> None:
        codec.filters(options.compression, 1)
        codec.check_rgb_codec(options.rgb_codec)
        self.path = path
        self.temporary = path.with_name(path.name + TEMPORARY)
        self._count = frames
        self._options = options
        self._frames: list[Frame] = []
        self._scenes: list[tuple[SceneRecord, Simulation]] = []
        self._names: tuple[str, ...] = ()
        self._images: dict[str, _StoredImages] = {}
        self._traces: dict[str, TraceTable] = {}
        self._groups: dict[str, h5py.Group] = {}
        self._file: h5py.File | None = None
        with self._reporting():
            # Files of HDF5 1.10's format: readable by every HDF5 in use, chunk index of a fixed array.
            self._file = h5py.File(self.temporary, "w", libver=("v110", "v110"), rdcc_nbytes=0)
            self._file.attrs.update(
                schema=SCHEMA,
                simgen=origin.simgen,
                config=json.dumps(origin.config),
                seed=np.uint64(origin.seed),
                renderer=origin.renderer,
                device=origin.device,
                units=UNITS,
            )

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()

    def add_scene(self, record: SceneRecord, simulation: Simulation) -> None:
        """The record and traces of the scene whose frames follow."""
        with self._reporting():
            # States are not stored: they are large, and the poses of labelled objects stand in the object table.
            self._scenes.append((record, dataclasses.replace(simulation, states=(), traces={}, track=())))
            for name, trace in simulation.traces.items():
                if name not in self._traces:
                    self._traces[name] = TraceTable(self._open, f"traces/{escape(name)}", self._options.compression)
                self._traces[name].append(record.scene, trace)

    def add(self, frame: Frame) -> None:
        """Append a frame. Raises ValueError when its passes or image sizes are not those of the first one."""
        n = len(self._frames)
        if n == self._count:
            raise ValueError(f"{self.path.name} takes {self._count} frames, this would be one more")
        with self._reporting():
            if n == 0:
                self._create_images(frame)
            elif tuple(frame.images) != self._names:
                raise ValueError(f"frame {frame.index} has the passes {list(frame.images)}, not {list(self._names)}")
            # HDF5 cannot recover from a full disk in the middle of a chunk; to see it coming is cheap.
            needed = sum(image.nbytes for image in frame.images.values()) + (1 << 18)
            if free_bytes(self.path.parent) < needed:
                raise OSError(errno.ENOSPC, "No space left on device")
            for name, image in frame.images.items():
                self._write_image(name, n, image)
            start_writing(self._open.id.get_vfd_handle())
        self._frames.append(dataclasses.replace(frame, images={}))

    def finish(self) -> Written:
        """Write the tables, bring the file to the disk and give it its name. Raises ValueError when frames miss."""
        if len(self._frames) != self._count:
            raise ValueError(f"{self.path.name} holds {len(self._frames)} of {self._count} frames")
        with self._reporting():
            self._write_frames()
            self._write_objects()
            self._write_keypoints()
            self._write_draws()
            self._write_scenes()
            for trace in self._traces.values():
                trace.finish()
            self._images.clear()
            self._traces.clear()
            self._groups.clear()
            self._open.close()
            self._file = None
            written = Written(self.temporary.stat().st_size, checksum(self.temporary))
            commit(self.temporary, self.path)
        return written

    def abort(self) -> None:
        """Remove the unfinished file, if there is one."""
        # HDF5 crashes when what belongs to a file that could not be closed is let go later.
        self._images.clear()
        self._traces.clear()
        self._groups.clear()
        if self._file is not None:
            # A file on a full disk cannot be closed properly, and need not be: it is removed.
            with contextlib.suppress(OSError, RuntimeError, ValueError):
                self._file.close()
            self._file = None
        with contextlib.suppress(OSError):
            self.temporary.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _reporting(self) -> Iterator[None]:
        """Turn an error of the system or of HDF5 into a DatasetError, and remove the file."""
        try:
            yield
        except (OSError, RuntimeError) as error:
            sentence = cannot_write(self.path, error)  # says how much is free before the file is removed
            self.abort()
            raise sentence from error

    @property
    def _open(self) -> h5py.File:
        if self._file is None:
            raise ValueError(f"{self.path.name} is not being written any more")
        return self._file

    def _create_images(self, frame: Frame) -> None:
        self._names = tuple(frame.images)
        for name, image in frame.images.items():
            layout = IMAGES.get(name)
            if name == "rgb" and self._options.rgb_codec != "raw":
                data = self._open.create_dataset(f"images/{name}", (self._count,), h5py.vlen_dtype(np.uint8))
                data.attrs.update(codec=self._options.rgb_codec, height=image.shape[0], width=image.shape[1])
                self._images[name] = _StoredImages(data, image.shape, self._options.rgb_codec)
            else:
                stored = to_stored(name, image)
                data = self._open.create_dataset(
                    f"images/{escape(name)}",
                    (self._count, *stored.shape),
                    stored.dtype,
                    chunks=(1, *stored.shape),
                    **codec.filters(self._options.compression, stored.itemsize, layout is not None and layout.runs),
                )
                self._images[name] = _StoredImages(data, stored.shape)
            data.attrs["units"] = layout.units if layout else ""
            if layout and layout.snorm:
                data.attrs["scale"] = SNORM_SCALE

    def _write_image(self, name: str, n: int, image: NDArray[Any]) -> None:
        images = self._images[name]
        if images.codec:
            images.data[n] = codec.encode_rgb(image, images.codec, self._options.jpeg_quality)
            return
        stored = to_stored(name, image)
        if stored.shape != images.shape:
            raise ValueError(f"pass {name} is {stored.shape}, its first frame was {images.shape}")
        write_entry(images.data, n, stored)

    def _write_frames(self) -> None:
        frames = self._frames
        self._table("frames/index", np.array([f.index for f in frames], np.int64))
        self._table("frames/scene", np.array([f.scene for f in frames], np.int64))
        self._table("frames/view", np.array([f.view for f in frames], np.int32))
        self._table("frames/group", np.array([f.group for f in frames], np.int32))
        self._table("frames/time", np.array([f.time for f in frames], np.float64), "s")
        self._table("camera/K", np.array([f.K for f in frames], np.float64), "px")
        self._table(
            "camera/distortion", np.array([f.distortion for f in frames], np.float64), "k1 k2 p1 p2 k3, fisheye: k1-k4"
        )
        self._table("camera/T_world_cam", np.array([f.T_world_cam for f in frames], np.float64), "m")
        self._table("camera/exposure", np.array([f.exposure for f in frames], np.float64), "s")
        self._table("camera/readout", np.array([f.readout for f in frames], np.float64), "s")
        self._strings("camera/name", [f.camera for f in frames])
        self._strings("camera/distortion_model", [f.distortion_model for f in frames])

    def _write_objects(self) -> None:
        tables = [f.objects for f in self._frames]
        counts = [len(t.instance_id) for t in tables]
        self._table("objects/offsets", _offsets(counts))
        index = np.array([f.index for f in self._frames], np.int64)
        self._table("objects/frame", np.repeat(index, counts))
        for column in dataclasses.fields(tables[0]):
            parts = [getattr(t, column.name) for t in tables]
            if column.name == "mask_full":
                masks = [mask for part in parts for mask in part]
                self._table("masks/full", np.frombuffer(b"".join(masks), np.uint8), "COCO RLE counts of [H, W]")
                self._table("masks/full_offsets", _offsets([len(mask) for mask in masks]))
            elif any(part is None for part in parts):
                continue
            elif isinstance(parts[0], tuple):
                self._strings(f"objects/{column.name}", [text for part in parts for text in part])
            else:
                self._table(f"objects/{column.name}", np.concatenate(parts), OBJECTS.get(column.name, ""))

    def _write_keypoints(self) -> None:
        tables = [f.keypoints for f in self._frames if f.keypoints is not None]
        if not tables:
            return
        self._table(
            "keypoints/offsets", _offsets([0 if f.keypoints is None else len(f.keypoints.name) for f in self._frames])
        )
        self._strings("keypoints/name", [name for table in tables for name in table.name])
        for name, units in KEYPOINTS.items():
            self._table(f"keypoints/{name}", np.concatenate([getattr(table, name) for table in tables]), units)

    def _write_draws(self) -> None:
        names = {(factor, name): None for f in self._frames for factor, values in f.draws.items() for name in values}
        for factor, name in names:
            drawn = [f.draws.get(factor, {}).get(name, draws.ABSENT) for f in self._frames]
            column = draws.encode(drawn)
            link = f"{escape(factor)}/{escape(name)}"
            self._table(f"draws/{link}", column.values, kind=column.kind, nulls=column.nulls)
            if column.lengths is not None:
                self._table(f"draw_lengths/{link}", column.lengths)

    def _write_scenes(self) -> None:
        records = [record for record, _ in self._scenes]
        self._strings("records", [to_json(record) for record in records])
        self._table("scenes/index", np.array([record.scene for record in records], np.int64))
        settle = np.array([simulation.settle_time for _, simulation in self._scenes], np.float64)
        self._table("scenes/settle_time", settle, "s")
        self._strings("scenes/removed", [json.dumps(simulation.removed) for _, simulation in self._scenes])

    def _table(self, name: str, values: NDArray[Any], units: str = "", **others: str | bool) -> None:
        attributes = {"units": units, **others} if units else others
        folder, _, link = name.rpartition("/")
        group = self._group(folder)
        if values.nbytes <= _SMALL or values.dtype == object:
            create_table(group, link, values, attributes)
            return
        options = codec.filters(self._options.compression, values.itemsize)
        options["chunks"] = (min(len(values), _ROWS if values.ndim > 1 else 1 << 16), *values.shape[1:])
        group.create_dataset(link, data=values, **options).attrs.update(attributes)

    def _group(self, folder: str) -> h5py.Group:
        """The group ``folder`` of tables, made when it is asked for first."""
        if folder not in self._groups:
            parent, _, link = folder.rpartition("/")
            self._groups[folder] = self._group(parent).create_group(link) if folder else self._open["/"]
        return self._groups[folder]

    def _strings(self, name: str, values: Sequence[str]) -> None:
        self._table(name, np.array(values, object))


def _offsets(counts: Sequence[int]) -> NDArray[np.int64]:
    """Where each of consecutive runs begins, and the end: (n + 1,)."""
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)

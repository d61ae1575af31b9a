"""One shard file, open for reading."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  registers the filters that shards are compressed with
import msgspec
import numpy as np
from numpy.typing import NDArray

from simgen.errors import DatasetError, near_match
from simgen.labels.frame import Frame, KeypointTable, ObjectTable
from simgen.scene.record import SceneRecord, from_json
from simgen.scene.state import Trace
from simgen.shards import codec, draws
from simgen.shards.schema import SCHEMA, escape, from_stored, unescape


@dataclasses.dataclass(frozen=True, eq=False)
class TraceTable:
    """Readings of one sensor over several scenes: ``scene`` (n,) int64, ``time`` (n,) s, ``value`` (n, C) float64.

    Columns that a scene does not have are NaN in it.
    """

    scene: NDArray[np.int64]
    time: NDArray[np.float64]
    value: NDArray[np.float64]
    columns: tuple[str, ...]
    units: tuple[str, ...]


class Shard:
    """Random access to the frames of one shard; tables are read once, images when asked for.

    Raises DatasetError, naming the file, when it cannot be opened, is of another schema, or a part cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.file = h5py.File(path, "r", locking=False)
            schema = int(self.file.attrs["schema"])
        except (OSError, KeyError) as error:
            raise damaged(path, error) from error
        if schema != SCHEMA:
            raise DatasetError(
                f"{path} has schema version {schema}, this simgen reads version {SCHEMA}: use the simgen version "
                f"{self.file.attrs.get('simgen', 'that wrote it')}"
            )

    def __len__(self) -> int:
        return len(self._frames["index"])

    @property
    def passes(self) -> tuple[str, ...]:
        """Names of the stored passes."""
        return tuple(self._images)

    @property
    def index(self) -> NDArray[np.int64]:
        """Index of each frame over the dataset (N,)."""
        return self._frames["index"]

    def images(self, n: int, passes: Iterable[str] | None = None) -> dict[str, NDArray[Any]]:
        """The images of frame ``n`` of this shard as ``Frame.images``; ``passes`` None reads all."""
        found = {}
        with self._reading():
            for name in self._images if passes is None else passes:
                data, coded = self._image_data(name)
                stored = data[n]
                found[name] = codec.decode_rgb(stored) if coded else from_stored(name, stored)
        return found

    def frame(self, n: int, passes: Iterable[str] | None = None) -> Frame:
        """Frame ``n`` of this shard, 0 <= n < len."""
        frames, camera = self._frames, self._camera
        return Frame(
            index=int(frames["index"][n]),
            scene=int(frames["scene"][n]),
            view=int(frames["view"][n]),
            time=float(frames["time"][n]),
            camera=camera["name"][n],
            images=self.images(n, passes),
            K=camera["K"][n].copy(),
            distortion=camera["distortion"][n].copy(),
            T_world_cam=camera["T_world_cam"][n].copy(),
            objects=self.objects(n),
            draws=self.frame_draws(n),
            distortion_model=camera["distortion_model"][n],
            keypoints=self.keypoints(n),
            exposure=float(camera["exposure"][n]) if "exposure" in camera else 0.0,
            readout=float(camera["readout"][n]) if "readout" in camera else 0.0,
            group=int(frames["group" if "group" in frames else "view"][n]),
        )

    def objects(self, n: int) -> ObjectTable:
        """The object table of frame ``n``."""
        columns, masks = self._objects
        start, end = (int(i) for i in columns["offsets"][n : n + 2])
        rows: dict[str, Any] = {}
        for field in dataclasses.fields(ObjectTable):
            if field.name == "mask_full":
                rows[field.name] = tuple(masks[start:end])
            elif field.name in columns:
                column = columns[field.name][start:end]
                rows[field.name] = tuple(column) if column.dtype == object else column.copy()
        return ObjectTable(**rows)

    def keypoints(self, n: int) -> KeypointTable | None:
        """The keypoints of frame ``n``; None when it has none."""
        columns = self._keypoints
        start, end = (int(i) for i in columns["offsets"][n : n + 2]) if columns else (0, 0)
        if start == end:
            return None
        rows: dict[str, Any] = {name: column[start:end].copy() for name, column in columns.items() if name != "offsets"}
        rows["name"] = tuple(rows["name"])
        return KeypointTable(**rows)

    def frame_draws(self, n: int) -> dict[str, dict[str, Any]]:
        """What frame ``n`` drew: factor -> name -> value."""
        found: dict[str, dict[str, Any]] = {}
        for (factor, name), column in self.columns.items():
            value = draws.decode(column, n)
            if value is not draws.ABSENT:
                found.setdefault(factor, {})[name] = value
        return found

    def scene_record(self, scene: int) -> SceneRecord:
        """The record of a scene of the dataset; raises KeyError when this shard does not have it."""
        rows = np.flatnonzero(self._scene_index == scene)
        if len(rows) == 0:
            raise KeyError(scene)
        with self._reading():
            text = self.file["records"][int(rows[0])]
        try:
            return from_json(text)
        except msgspec.DecodeError as error:
            raise damaged(self.path, f"the record of scene {scene}: {error}") from error

    def removed(self) -> dict[int, dict[str, str]]:
        """Scene -> name of each body that was taken out -> why; scenes that lost none are left out."""
        with self._reading():
            texts = self.file["scenes/removed"].asstr()[:]
        parsed = {int(s): json.loads(text) for s, text in zip(self._scene_index, texts, strict=True)}
        return {scene: bodies for scene, bodies in parsed.items() if bodies}

    def trace_names(self) -> tuple[str, ...]:
        """The traces that some scene has."""
        with self._reading():
            return tuple(unescape(name) for name in self.file.get("traces", ()))

    def trace(self, name: str) -> TraceTable | None:
        """The readings of one trace, None when no scene here has it."""
        with self._reading():
            group = self.file.get(f"traces/{escape(name)}")
            if group is None:
                return None
            names, units = tuple(group.attrs.get("columns", ())), tuple(group.attrs.get("units", ()))
            return TraceTable(group["scene"][:], group["time"][:], group["value"][:], names, units)

    def scene_traces(self, scene: int) -> dict[str, Trace]:
        """The traces of one scene, without the columns and traces that only others have."""
        found = {}
        for name in self.trace_names():
            table = self.trace(name)
            if table is None or not (rows := table.scene == scene).any():
                continue
            found[name] = shown_columns(Trace(table.time[rows], table.value[rows], table.columns, table.units))
        return found

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    @cached_property
    def columns(self) -> dict[tuple[str, str], draws.Column]:
        """Every draw of the frames, by factor and name."""
        found = {}
        with self._reading():
            for factor, group in self.file.get("draws", {}).items():
                for name, data in group.items():
                    kind = str(data.attrs["kind"])
                    values = data.asstr()[...] if draws.DTYPES[kind] is object else data[...]
                    lengths = self.file.get(f"draw_lengths/{factor}/{name}")
                    found[unescape(factor), unescape(name)] = draws.Column(
                        kind, values, None if lengths is None else lengths[:], bool(data.attrs["nulls"])
                    )
        return found

    @cached_property
    def _frames(self) -> dict[str, NDArray[Any]]:
        with self._reading():
            return {name: data[:] for name, data in self.file["frames"].items()}

    @cached_property
    def _camera(self) -> dict[str, NDArray[Any]]:
        with self._reading():
            group = self.file["camera"]
            return {
                name: data.asstr()[:] if h5py.check_string_dtype(data.dtype) else data[:]
                for name, data in group.items()
            }

    @cached_property
    def _objects(self) -> tuple[dict[str, NDArray[Any]], list[bytes]]:
        with self._reading():
            columns = {
                name: data.asstr()[:] if h5py.check_string_dtype(data.dtype) else data[:]
                for name, data in self.file["objects"].items()
            }
            flat, offsets = self.file["masks/full"][:].tobytes(), self.file["masks/full_offsets"][:]
        return columns, [flat[a:b] for a, b in pairwise(offsets)]

    @cached_property
    def _keypoints(self) -> dict[str, NDArray[Any]]:
        with self._reading():
            return {
                name: data.asstr()[:] if h5py.check_string_dtype(data.dtype) else data[:]
                for name, data in self.file.get("keypoints", {}).items()
            }

    @cached_property
    def _scene_index(self) -> NDArray[np.int64]:
        with self._reading():
            return self.file["scenes/index"][:]

    @cached_property
    def _images(self) -> dict[str, tuple[h5py.Dataset, bool]]:
        """The stored passes and whether each is coded as image files."""
        with self._reading():
            return {unescape(name): (data, "codec" in data.attrs) for name, data in self.file["images"].items()}

    def _image_data(self, name: str) -> tuple[h5py.Dataset, bool]:
        if name not in self._images:
            known = ", ".join(self._images)
            raise DatasetError(f'{self.path} has no pass "{name}"{near_match(name, self._images)}: it has {known}')
        return self._images[name]

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (OSError, KeyError, RuntimeError, ValueError) as error:
            raise damaged(self.path, error) from error


def shown_columns(trace: Trace) -> Trace:
    """The trace without the columns in which it has nothing but NaN."""
    shown = np.flatnonzero(~np.isnan(trace.value).all(axis=0))
    columns, units = tuple(trace.columns[i] for i in shown), tuple(trace.units[i] for i in shown)
    return Trace(trace.time, trace.value[:, shown], columns, units)


def damaged(path: Path, error: BaseException | str) -> DatasetError:
    """The sentence for a shard that cannot be read."""
    if isinstance(error, FileNotFoundError):
        return DatasetError(f"{path} is missing: run the render command again to make it anew")
    # HDF5 says in brackets what is wrong, and before them which of its functions found it.
    inner = re.search(r"\(([^():]+)", str(error.args[0] if isinstance(error, KeyError) and error.args else error))
    why = inner.group(1).strip() if inner and isinstance(error, OSError | KeyError | RuntimeError) else str(error)
    return DatasetError(f"{path} is damaged ({why}): run the render command again to make it anew")

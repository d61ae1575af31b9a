"""A trace in a file: the readings of one sensor over the scenes of a shard."""

from __future__ import annotations

import h5py
import numpy as np

from simgen.scene.state import Trace
from simgen.shards import codec

_ROWS = 4096
"""Rows of a chunk."""

_HELD = 1 << 20
"""Bytes of readings that are held to be written together."""


class TraceTable:
    """The datasets ``scene``, ``time`` and ``value`` in the group ``name`` of ``file``, which grow by ``append``.

    Columns that some scenes do not have are NaN there. Readings of short traces are written together, since opening
    and closing chunks costs more than filling them. ``finish`` writes the last ones and the names of the columns.
    """

    def __init__(self, file: h5py.File, name: str, compression: str) -> None:
        def growing(part: str, shape: tuple[int, ...], dtype: type, fill: float | None = None) -> h5py.Dataset:
            return file.create_dataset(
                f"{name}/{part}",
                (0,) * len(shape),
                dtype,
                maxshape=(None,) * len(shape),
                chunks=shape,
                fillvalue=fill,
                rdcc_nbytes=1 << 20,  # or what is written next would compress the last chunk anew
                **codec.filters(compression, 8),
            )

        self._scene = growing("scene", (_ROWS,), np.int64)
        self._time = growing("time", (_ROWS,), np.float64)
        self._value = growing("value", (_ROWS // 4, 16), np.float64, np.nan)
        self._units: dict[str, str] = {}
        self._held: list[tuple[int, Trace]] = []

    def append(self, scene: int, trace: Trace) -> None:
        """Add the readings of a scene."""
        for column, unit in zip(trace.columns, trace.units, strict=True):
            self._units.setdefault(column, unit)
        self._held.append((scene, trace))
        if sum(held.value.nbytes for _, held in self._held) >= _HELD:
            self._write()

    def finish(self) -> None:
        """Write what is held, and the names and units of the columns."""
        self._write()
        self._time.attrs["units"] = "s"
        head, text = self._time.parent.attrs, h5py.string_dtype()
        head["columns"] = np.array(list(self._units), text)
        head["units"] = np.array(list(self._units.values()), text)

    def _write(self) -> None:
        columns = {column: k for k, column in enumerate(self._units)}
        counts = [len(trace.time) for _, trace in self._held]
        start, count = len(self._time), sum(counts)
        self._scene.resize(start + count, axis=0)
        self._time.resize(start + count, axis=0)
        self._value.resize((start + count, len(columns)))
        if count:
            value = np.full((count, len(columns)), np.nan)
            row = 0
            for _, trace in self._held:
                value[row : row + len(trace.time), [columns[column] for column in trace.columns]] = trace.value
                row += len(trace.time)
            self._scene[start:] = np.repeat([scene for scene, _ in self._held], counts)
            self._time[start:] = np.concatenate([trace.time for _, trace in self._held])
            self._value[start:] = value
        self._held.clear()

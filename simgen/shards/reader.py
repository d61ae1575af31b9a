"""Reading a dataset: frames by index, without loading more than is asked for."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.errors import DatasetError, near_match
from simgen.labels.frame import Frame, KeypointTable, ObjectTable
from simgen.scene.record import SceneRecord
from simgen.scene.state import Trace
from simgen.shards import draws
from simgen.shards.manifest import Category, load
from simgen.shards.shard import Shard, TraceTable

_OPEN_SHARDS = 32
"""Files kept open at a time; beyond, the one not used for longest is closed."""


class Dataset:
    """The frames of a dataset as a sequence; ``dataset[i]`` is a ``Frame``.

    Shards are opened on first use, in the process that uses them: a Dataset may be pickled or carried over a fork (as
    PyTorch's DataLoader does), and each process then opens its own. Raises DatasetError when ``path`` is no dataset, is
    of an unknown schema, or has shards that are not complete.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.manifest = load(self.path)
        missing = [shard for shard in self.manifest.shards if shard.state != "complete"]
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise DatasetError(
                f"{self.path} is not complete: {missing[0].file}{more} of {len(self.manifest.shards)} shards have "
                "still to be made; run the same render command again to finish it"
            )
        self._starts = np.array([shard.first for shard in self.manifest.shards], np.int64)
        self._shards: OrderedDict[int, Shard] = OrderedDict()
        self._pid = os.getpid()

    def __len__(self) -> int:
        return self.manifest.frames

    def __getitem__(self, index: int) -> Frame:
        shard, n = self._locate(index)
        return shard.frame(n)

    def __iter__(self) -> Iterator[Frame]:
        for index in range(len(self)):
            yield self[index]

    def __enter__(self) -> Dataset:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_shards": OrderedDict()}

    def __repr__(self) -> str:
        return f"Dataset({str(self.path)!r}: {len(self)} frames, passes {', '.join(self.passes)})"

    @property
    def passes(self) -> tuple[str, ...]:
        """Names of the stored passes."""
        return tuple(self.manifest.passes)

    @property
    def categories(self) -> tuple[Category, ...]:
        """Labelled categories in order of their ids, which start at 1."""
        return tuple(self.manifest.categories)

    def images(self, index: int, passes: Iterable[str] | None = None) -> dict[str, NDArray[Any]]:
        """The images of a frame, of ``passes`` only; None reads all. Arrays as in ``Frame.images``."""
        shard, n = self._locate(index)
        return shard.images(n, passes)

    def objects(self, index: int) -> ObjectTable:
        """The object table of a frame, without reading its images."""
        shard, n = self._locate(index)
        return shard.objects(n)

    def keypoints(self, index: int) -> KeypointTable | None:
        """The keypoints of a frame, without reading its images; None when it has none."""
        shard, n = self._locate(index)
        return shard.keypoints(n)

    def record(self, scene: int) -> SceneRecord:
        """The record of a scene, by its index over the dataset; raises IndexError when there is none such."""
        return self._shard_of_scene(scene).scene_record(scene)

    def scene_traces(self, scene: int) -> dict[str, Trace]:
        """The traces of one scene by name, with the columns that it has; raises IndexError when there is none such."""
        return self._shard_of_scene(scene).scene_traces(scene)

    def traces(self, name: str) -> TraceTable:
        """All readings of one trace, scene after scene. Raises DatasetError when no scene has it."""
        tables = [table for shard in self._all() if (table := shard.trace(name)) is not None]
        if not tables:
            known = self.trace_names()
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise DatasetError(f'{self.path} has no trace "{name}"{near_match(name, known)}: {has}')
        units = {c: u for table in tables for c, u in zip(table.columns, table.units, strict=True)}
        columns = tuple(units)
        values = []
        for table in tables:
            value = np.full((len(table.time), len(columns)), np.nan)
            value[:, [columns.index(column) for column in table.columns]] = table.value
            values.append(value)
        return TraceTable(
            np.concatenate([table.scene for table in tables]),
            np.concatenate([table.time for table in tables]),
            np.concatenate(values),
            columns,
            tuple(units.values()),
        )

    def trace_names(self) -> tuple[str, ...]:
        """The traces that some scene has."""
        return tuple(dict.fromkeys(name for shard in self._all() for name in shard.trace_names()))

    def draw_names(self) -> dict[str, tuple[str, ...]]:
        """Factor -> names of what it draws."""
        found: dict[str, dict[str, None]] = {}
        for shard in self._all():
            for factor, name in shard.columns:
                found.setdefault(factor, {})[name] = None
        return {factor: tuple(names) for factor, names in found.items()}

    def draws(self, factor: str, name: str) -> NDArray[Any]:
        """One draw over all frames: (N,), or (N, L), (N, L, M) for lists, padded to the longest.

        Numbers are float64 with NaN where there is nothing (int64 or bool when every frame has one), strings are
        objects with ``""``. Draws of no common type or shape come as an object array of Python values, None where a
        frame did not draw. Raises DatasetError when the draw is unknown.
        """
        columns = [(shard.columns.get((factor, name)), len(shard)) for shard in self._all()]
        if all(column is None for column, _ in columns):
            known = [f"{f}/{n}" for f, names in self.draw_names().items() for n in names]
            wanted = f"{factor}/{name}"
            raise DatasetError(f'{self.path} has no draw "{wanted}"{near_match(wanted, known)}')
        values: list[Any] = []
        for column, count in columns:
            values += [draws.ABSENT] * count if column is None else [draws.decode(column, n) for n in range(count)]
        return draws.as_array(values)

    def close(self) -> None:
        """Close the files that this process has open; using the dataset again opens them again."""
        for shard in self._mine().values():
            shard.close()
        self._shards.clear()

    def _locate(self, index: int) -> tuple[Shard, int]:
        """The shard of a frame and the frame's place in it."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"{self.path} has frames 0 to {len(self) - 1}, there is no frame {index}")
        index = index % len(self)
        place = int(np.searchsorted(self._starts, index, side="right")) - 1
        return self._shard(place), index - int(self._starts[place])

    def _shard_of_scene(self, scene: int) -> Shard:
        per_scene = self.manifest.frames_per_scene
        if not 0 <= scene * per_scene < len(self):
            last = (len(self) - 1) // per_scene
            raise IndexError(f"{self.path} has scenes 0 to {last}, there is no scene {scene}")
        return self._locate(scene * per_scene)[0]

    def _shard(self, place: int) -> Shard:
        shards = self._mine()
        if place not in shards:
            shards[place] = Shard(self.path / self.manifest.shards[place].file)
            while len(shards) > _OPEN_SHARDS:
                shards.popitem(last=False)[1].close()
        shards.move_to_end(place)
        return shards[place]

    def _all(self) -> Iterator[Shard]:
        return (self._shard(place) for place in range(len(self.manifest.shards)))

    def _mine(self) -> OrderedDict[int, Shard]:
        """The shards that this process has open; what the process has inherited by a fork is let go, not closed."""
        if os.getpid() != self._pid:
            self._shards = OrderedDict()
            self._pid = os.getpid()
        return self._shards

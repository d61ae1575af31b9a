"""Computing a stored frame again, to the bit."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.config import RenderConfig, from_plain
from simgen.errors import ConfigError, DatasetError
from simgen.generate.source import OpenSource
from simgen.labels.frame import Frame
from simgen.scene.state import Trace
from simgen.shards.codec import decode_rgb, encode_rgb
from simgen.shards.manifest import changed
from simgen.shards.reader import Dataset
from simgen.shards.schema import from_stored
from simgen.shards.shard import shown_columns
from simgen.shards.storing import to_stored


@dataclass(frozen=True)
class Difference:
    """``array`` (for example "images/depth") is not what is stored; ``what`` says how."""

    array: str
    what: str


def replay(
    path: str | Path,
    frame: int,
    assets: Sequence[str | Path] | None = None,
    open_source: OpenSource | None = None,
) -> list[Difference]:
    """Simulate and render frame ``frame`` of a dataset again and compare all of it, and its scene's traces.

    Nothing is drawn: the scene's record is taken from the dataset. ``assets`` replaces the asset paths that the dataset
    was made with. The empty list says that every array is identical bit for bit, after the coding of its shard (int16
    for unit vectors, JPEG where colour is stored so). Raises DatasetError when the dataset or frame is not there, and
    AssetError when an asset is not.
    """
    if open_source is None:
        from simgen.generate.scenes import SceneSource

        open_source = SceneSource
    with Dataset(path) as data:
        if not 0 <= frame < len(data):
            raise DatasetError(f"{path} has frames 0 to {len(data) - 1}, there is no frame {frame}")
        if "import" in data.manifest.config:
            raise DatasetError(f"{path} was imported: its images were not computed, so there is nothing to replay")
        stored = data[frame]
        record = data.record(stored.scene)
        traces = data.scene_traces(stored.scene)
        config = _config(data, assets)
    source = open_source(config)
    try:
        simulation = source.simulate(record)
        place = frame - stored.scene * data.manifest.frames_per_scene
        (again,) = source.frames(record, simulation, [place])
        found = list(_frame_differences(stored, _coded(again, config)))
        found += _trace_differences(traces, simulation.traces)
        if found and source.facts.assets != data.manifest.assets:
            found.insert(0, Difference("assets", "the asset library is not the one that the dataset was made with"))
        elif found and (parts := changed(data.manifest.contents, source.contents())):
            what = f"files below {', '.join(parts)} have been changed since the dataset was made"
            found.insert(0, Difference("assets", what))
    finally:
        source.close()
    return found


def _config(data: Dataset, assets: Sequence[str | Path] | None) -> RenderConfig:
    try:
        config = from_plain(data.manifest.config)
    except ConfigError as error:
        raise DatasetError(
            f"the configuration in {data.path} is not one of this simgen ({error}): use simgen {data.manifest.simgen}"
        ) from error
    if assets is not None:
        config.assets.path = [str(folder) for folder in assets]
    return config


def _coded(frame: Frame, config: RenderConfig) -> Frame:
    """The frame as it comes back from a shard."""
    images = {name: from_stored(name, to_stored(name, image)) for name, image in frame.images.items()}
    if "rgb" in images and config.output.rgb_codec != "raw":
        images["rgb"] = decode_rgb(encode_rgb(images["rgb"], config.output.rgb_codec, config.output.jpeg_quality))
    return dataclasses.replace(frame, images=images)


def _frame_differences(stored: Frame, again: Frame) -> Iterator[Difference]:
    for field in dataclasses.fields(Frame):
        before, after = getattr(stored, field.name), getattr(again, field.name)
        if field.name == "images":
            yield from _mapping_differences("images", before, after)
        elif dataclasses.is_dataclass(before) and dataclasses.is_dataclass(after):
            for column in dataclasses.fields(before):
                where = f"{field.name}/{column.name}"
                yield from _compare(where, getattr(before, column.name), getattr(after, column.name))
        elif field.name == "draws":
            for factor in {**before, **after}:
                yield from _mapping_differences(f"draws/{factor}", before.get(factor, {}), after.get(factor, {}))
        else:
            yield from _compare(field.name, before, after)


def _trace_differences(stored: dict[str, Trace], again: dict[str, Trace]) -> Iterator[Difference]:
    for name in {**stored, **again}:
        before, after = stored.get(name), shown_columns(again[name]) if name in again else None
        if before is None or after is None:
            one = before or after
            if one is not None and one.time.size:
                yield _one_sided(f"traces/{name}", before is not None)
            continue
        yield from _compare(f"traces/{name}/columns", before.columns, after.columns)
        yield from _compare(f"traces/{name}/time", before.time, after.time)
        if before.columns == after.columns:
            yield from _compare(f"traces/{name}/value", before.value, after.value)


def _mapping_differences(where: str, before: dict[str, Any], after: dict[str, Any]) -> Iterator[Difference]:
    for name in {**before, **after}:
        if name in before and name in after:
            yield from _compare(f"{where}/{name}", before[name], after[name])
        else:
            yield _one_sided(f"{where}/{name}", name in before)


def _one_sided(name: str, stored: bool) -> Difference:
    return Difference(name, "is stored but was not computed again" if stored else "was computed but is not stored")


def _compare(name: str, before: Any, after: Any) -> Iterator[Difference]:
    if isinstance(before, np.ndarray):
        what = _array_difference(before, after)
        if what:
            yield Difference(name, what)
    elif before != after and not (before != before and after != after):
        yield Difference(name, f"{_short(before)} is stored, {_short(after)} was computed")


def _array_difference(before: NDArray[Any], after: NDArray[Any]) -> str:
    """How two arrays differ, empty for the same type, shape and bits."""
    if before.dtype != after.dtype or before.shape != after.shape:
        return f"{before.dtype} {before.shape} is stored, {after.dtype} {after.shape} was computed"
    if before.tobytes() == after.tobytes():
        return ""
    size = before.dtype.itemsize
    bits = [np.ascontiguousarray(a).view(np.uint8).reshape(-1, size) for a in (before, after)]
    count = int((bits[0] != bits[1]).any(axis=1).sum())
    largest = np.nanmax(np.abs(before.astype(np.float64) - after.astype(np.float64)))
    return f"{count} of {before.size} values differ, by up to {largest:.3g}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."

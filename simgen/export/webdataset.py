"""WebDataset: tar files ``<split>-000000.tar`` of samples, and ``dataset.json`` about all of them.

https://github.com/webdataset/webdataset. The sample of frame 12 is 00000012.png or .jpg (colour), 00000012.json
(camera, objects, draws) and 00000012.<pass>.npy for every further pass of the dataset, in the dtypes of
``Frame.images``. Objects in the JSON are those selected; the id images are whole. ``mask_visib`` (where the dataset has
the instance pass) and ``mask_full`` are COCO's compressed RLE. Members are in order of frames and carry no dates, so
that the same dataset gives the same bytes.
"""

from __future__ import annotations

import io
import json
import math
import tarfile
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

import numpy as np

from simgen.export.base import Format, Part, Settings, Unit, selected, size_of, stem, visible_rle
from simgen.export.images import encode_color, put_json, replacing
from simgen.labels.frame import Frame

_DIGITS = 8


def _needs(settings: Settings) -> tuple[str, ...]:
    return ("rgb",)


def _divide(settings: Settings, scenes: list[list[int]]) -> list[list[int]]:
    frames = [index for scene in scenes for index in scene]
    size = settings.frames_per_tar
    return [frames[start : start + size] for start in range(0, len(frames), size)]


def _write(settings: Settings, facts: Any, unit: Unit, frames: Iterator[Frame]) -> Part:
    name = f"{unit.key}.tar"
    objects = 0
    with replacing(settings.out / name) as file, _tar(file) as tar:
        for frame in frames:
            rows = selected(settings, frame).tolist()
            objects += len(rows)
            key = stem(frame.index, _DIGITS)
            color = encode_color(frame.images["rgb"], settings.image_format, settings.jpeg_quality)
            _member(tar, key + settings.suffix, color)
            _member(tar, f"{key}.json", json.dumps(finite(_facts(settings, frame, rows)), allow_nan=False).encode())
            for pass_name, image in frame.images.items():
                if pass_name != "rgb":
                    data = io.BytesIO()
                    np.save(data, image)
                    _member(tar, f"{key}.{pass_name}.npy", data.getvalue())
    return Part((name,), objects, len(unit.frames))


def _tar(file: IO[bytes]) -> tarfile.TarFile:
    return tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT)


def _member(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def _facts(settings: Settings, frame: Frame, rows: list[int]) -> dict[str, Any]:
    names = {category.id: category.name for category in settings.categories}
    objects = frame.objects
    height, width = size_of(frame)
    points = _keypoints(frame)
    found = []
    for k in rows:
        entry: dict[str, Any] = {
            "instance_id": int(objects.instance_id[k]),
            "category_id": int(objects.category_id[k]),
            "category": names[int(objects.category_id[k])],
            "asset": objects.asset[k],
            "T_cam_obj": objects.T_cam_obj[k].tolist(),
            "T_world_obj": objects.T_world_obj[k].tolist(),
            "size": objects.size[k].tolist(),
            "bbox_visib": objects.bbox_visib[k].tolist(),
            "bbox_full": objects.bbox_full[k].tolist(),
            "visib_fract": float(objects.visib_fract[k]),
            "truncated": float(objects.truncated[k]),
            "px_visib": int(objects.px_visib[k]),
            "px_full": int(objects.px_full[k]),
            "mask_full": {"size": [height, width], "counts": objects.mask_full[k].decode("ascii")},
        }
        if "instance" in frame.images:
            entry["mask_visib"] = visible_rle(frame, k)
        if k in points:
            entry["keypoints"] = points[k]
        found.append(entry)
    return {
        "index": frame.index,
        "scene": frame.scene,
        "view": frame.view,
        "time": frame.time,
        "camera": frame.camera,
        "width": width,
        "height": height,
        "K": frame.K.tolist(),
        "distortion": frame.distortion.tolist(),
        "distortion_model": frame.distortion_model,
        "T_world_cam": frame.T_world_cam.tolist(),
        "objects": found,
        "draws": frame.draws,
    }


def _keypoints(frame: Frame) -> dict[int, dict[str, Any]]:
    """Row of an object -> name of a keypoint -> what ``KeypointTable`` has of it."""
    found: dict[int, dict[str, Any]] = {}
    table = frame.keypoints
    if table is not None:
        columns = (table.xy.tolist(), table.xyz.tolist(), table.visibility.tolist())
        for row, name, xy, xyz, visibility in zip(table.object.tolist(), table.name, *columns, strict=True):
            found.setdefault(row, {})[name] = {"xy": xy, "xyz": xyz, "visibility": visibility}
    return found


def finite(value: Any) -> Any:
    """``value`` with None for numbers that JSON does not have (NaN, infinity)."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [finite(entry) for entry in value]
    return value


def _finish(settings: Settings, facts: Any, parts: Callable[[], Iterable[tuple[Unit, Part]]]) -> Iterator[str]:
    shards: dict[str, list[dict[str, Any]]] = {split: [] for split in settings.splits}
    for unit, part in parts():
        shards[unit.split].append({"file": part.files[0], "frames": part.data})
    put_json(
        settings.out / "dataset.json",
        {
            "categories": [{"id": category.id, "name": category.name} for category in settings.categories],
            "splits": shards,
        },
    )
    yield "dataset.json"


FORMAT = Format(needs=_needs, write=_write, finish=_finish, divide=_divide)

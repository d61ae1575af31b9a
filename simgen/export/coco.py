"""COCO: ``annotations/instances_<split>.json`` beside a folder of images for each split.

https://cocodataset.org/#format-data. Masks are the visible ones, as compressed RLE; ``bbox`` encloses them and ``area``
counts them; ``iscrowd`` is 0. Category ids are the manifest's. Image ids are the frame's index + 1, annotation ids the
number of the object over the whole dataset + 1: they depend on neither split nor selection, and none is 0, which some
tools, pycocotools' matching among them, take for "nothing". Further keys beyond the format: ``visib_fract``,
``truncated`` and ``bbox_full`` of annotations, ``scene``, ``view`` and ``time`` of images. ``bbox_full`` may leave the
image. Keypoints are in pixels with pixel centres at integers, as COCO's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

from simgen.export.base import Format, Part, Settings, Unit, selected, size_of, stem, visible_rle
from simgen.export.images import encode_color, put, replacing
from simgen.export.keypoints import EDGES, NAMES, box_keypoints
from simgen.export.models import Bounds, asset_bounds
from simgen.labels.frame import Frame

_DIGITS = 12
"""Of COCO's own file names."""


def _needs(settings: Settings) -> tuple[str, ...]:
    return ("rgb", "instance", "depth") if settings.keypoints else ("rgb", "instance")


def _prepare(settings: Settings) -> dict[str, Bounds] | None:
    return asset_bounds(settings) if settings.keypoints else None


def _write(settings: Settings, facts: Any, unit: Unit, frames: Iterator[Frame]) -> Part:
    files, images, annotations = [], [], []
    for frame, row in zip(frames, unit.rows, strict=True):
        name = stem(frame.index, _DIGITS) + settings.suffix
        files.append(f"{unit.split}/{name}")
        color = encode_color(frame.images["rgb"], settings.image_format, settings.jpeg_quality)
        put(settings.out / unit.split / name, color)
        height, width = size_of(frame)
        images.append(
            {
                "id": frame.index + 1,
                "file_name": name,
                "width": width,
                "height": height,
                "license": 0,
                "scene": frame.scene,
                "view": frame.view,
                "time": frame.time,
            }
        )
        annotations += [_annotation(settings, facts, frame, k, row + k + 1) for k in selected(settings, frame).tolist()]
    return Part(tuple(files), len(annotations), {"images": images, "annotations": annotations})


def _annotation(settings: Settings, bounds: dict[str, Bounds], frame: Frame, k: int, number: int) -> dict[str, Any]:
    objects = frame.objects
    found = {
        "id": number,
        "image_id": frame.index + 1,
        "category_id": int(objects.category_id[k]),
        "bbox": objects.bbox_visib[k].tolist(),
        "area": int(objects.px_visib[k]),
        "segmentation": visible_rle(frame, k),
        "iscrowd": 0,
        "visib_fract": float(objects.visib_fract[k]),
        "truncated": float(objects.truncated[k]),
        "bbox_full": objects.bbox_full[k].tolist(),
    }
    if settings.keypoints:
        points = box_keypoints(bounds, frame, k)
        found["keypoints"] = [value for x, y, v in points for value in (round(x, 2), round(y, 2), v)]
        found["num_keypoints"] = sum(v > 0 for _, _, v in points)
    return found


def _finish(settings: Settings, facts: Any, parts: Callable[[], Iterable[tuple[Unit, Part]]]) -> Iterator[str]:
    for split in settings.splits:
        name = f"annotations/instances_{split}.json"
        with replacing(settings.out / name) as file:
            _write_index(settings, split, parts, file)
        yield name


def _write_index(
    settings: Settings, split: str, parts: Callable[[], Iterable[tuple[Unit, Part]]], file: IO[bytes]
) -> None:
    """Stream the parts into one JSON document; millions of annotations need not fit into memory."""
    head = {
        "info": {"description": f"{settings.dataset.name}, {split}", "version": "1.0", "contributor": "simgen"},
        "licenses": [{"id": 0, "name": "", "url": ""}],
        "categories": [_category(settings, category.id, category.name) for category in settings.categories],
    }
    file.write(json.dumps(head, separators=(",", ":"))[:-1].encode())
    for key in ("images", "annotations"):
        file.write(f',"{key}":['.encode())
        lead = b"\n"
        for unit, part in parts():
            if unit.split == split:
                for item in part.data[key]:
                    file.write(lead + json.dumps(item, separators=(",", ":"), allow_nan=False).encode())
                    lead = b",\n"
        file.write(b"]")
    file.write(b"}\n")


def _category(settings: Settings, number: int, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {"id": number, "name": name, "supercategory": ""}
    if settings.keypoints:
        # COCO counts the ends of a skeleton's edges from 1.
        found |= {"keypoints": list(NAMES), "skeleton": [[a + 1, b + 1] for a, b in EDGES]}
    return found


FORMAT = Format(needs=_needs, write=_write, finish=_finish, prepare=_prepare)

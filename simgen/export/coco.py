"""COCO: ``annotations/instances_<split>.json`` beside a folder of images for each split.

https://cocodataset.org/#format-data. Masks are the visible ones, as compressed RLE; ``bbox`` encloses them and ``area``
counts them; ``iscrowd`` is 0. Category ids are the manifest's. Image ids are the frame's index + 1, annotation ids the
number of the object over the whole dataset + 1: they depend on neither split nor selection, and none is 0, which some
tools, pycocotools' matching among them, take for "nothing". Further keys beyond the format: ``visib_fract``,
``truncated`` and ``bbox_full`` of annotations, ``scene``, ``view`` and ``time`` of images. ``bbox_full`` may leave the
image. Keypoints are in pixels with pixel centres at integers, as COCO's.

``annotations/panoptic_<split>.json`` beside a folder ``panoptic_<split>`` of PNGs is COCO's panoptic format: the colour
R + 256 G + 65536 B of a pixel is the id of its segment, 0 is what is not labelled. Segments are the same objects, with
the number of the object in its image as id; every category is a thing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

import numpy as np

from simgen.export.base import Format, Part, Settings, Unit, selected, size_of, stem, visible_rle
from simgen.export.images import encode_color, encode_png, put, replacing
from simgen.export.keypoints import Template, object_keypoints, template
from simgen.labels.frame import Frame

_DIGITS = 12
"""Of COCO's own file names."""


def _needs(settings: Settings) -> tuple[str, ...]:
    return ("rgb", "instance", "depth") if settings.keypoints == "box" else ("rgb", "instance")


def _prepare(settings: Settings) -> Template | None:
    return None if settings.keypoints == "none" else template(settings)


def _write(settings: Settings, points: Template | None, unit: Unit, frames: Iterator[Frame]) -> Part:
    files, images, annotations, panoptic = [], [], [], []
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
        rows = selected(settings, frame).tolist()
        annotations += [_annotation(points, frame, k, row + k + 1) for k in rows]
        if settings.panoptic:
            segments = stem(frame.index, _DIGITS) + ".png"
            files.append(f"annotations/panoptic_{unit.split}/{segments}")
            put(settings.out / files[-1], _segments(frame, rows))
            panoptic.append(_panoptic(frame, rows, segments))
    return Part(tuple(files), len(annotations), {"images": images, "annotations": annotations, "panoptic": panoptic})


def _segments(frame: Frame, rows: list[int]) -> bytes:
    """The PNG of segment ids. There are at most 65535 objects in an image, so that blue stays 0."""
    kept = np.zeros(int(frame.images["instance"].max(initial=0)) + 1, np.uint16)
    ids = frame.objects.instance_id[rows]
    ids = ids[ids < len(kept)]
    kept[ids] = ids
    segments = kept[frame.images["instance"]]
    return encode_png(np.stack([np.zeros_like(segments), segments >> 8, segments & 255], -1).astype(np.uint8))


def _panoptic(frame: Frame, rows: list[int], name: str) -> dict[str, Any]:
    objects = frame.objects
    segments = [
        {
            "id": int(objects.instance_id[k]),
            "category_id": int(objects.category_id[k]),
            "area": int(objects.px_visib[k]),
            "bbox": objects.bbox_visib[k].tolist(),
            "iscrowd": 0,
        }
        for k in rows
    ]
    return {"image_id": frame.index + 1, "file_name": name, "segments_info": segments}


def _annotation(points: Template | None, frame: Frame, k: int, number: int) -> dict[str, Any]:
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
    if points is not None:
        seen = object_keypoints(points, frame, k, points.names[int(objects.category_id[k])])
        found["keypoints"] = [value for x, y, v in seen for value in (round(x, 2), round(y, 2), v)]
        found["num_keypoints"] = sum(v > 0 for _, _, v in seen)
    return found


def _finish(
    settings: Settings, points: Template | None, parts: Callable[[], Iterable[tuple[Unit, Part]]]
) -> Iterator[str]:
    things = [{"id": c.id, "name": c.name, "supercategory": "", "isthing": 1} for c in settings.categories]
    of_kind = {
        "instances": ([_category(points, c.id, c.name) for c in settings.categories], "annotations"),
        "panoptic": (things, "panoptic"),
    }
    for split in settings.splits:
        for kind in ("instances", "panoptic") if settings.panoptic else ("instances",):
            name = f"annotations/{kind}_{split}.json"
            with replacing(settings.out / name) as file:
                _write_index(settings, split, *of_kind[kind], parts, file)
            yield name


def _write_index(
    settings: Settings,
    split: str,
    categories: list[dict[str, Any]],
    annotations: str,
    parts: Callable[[], Iterable[tuple[Unit, Part]]],
    file: IO[bytes],
) -> None:
    """Stream the images and ``annotations`` of the parts into one JSON document, of millions of annotations if need be.

    They need not fit into memory.
    """
    head = {
        "info": {"description": f"{settings.dataset.name}, {split}", "version": "1.0", "contributor": "simgen"},
        "licenses": [{"id": 0, "name": "", "url": ""}],
        "categories": categories,
    }
    file.write(json.dumps(head, separators=(",", ":"))[:-1].encode())
    for key, source in (("images", "images"), ("annotations", annotations)):
        file.write(f',"{key}":['.encode())
        lead = b"\n"
        for unit, part in parts():
            if unit.split == split:
                for item in part.data[source]:
                    file.write(lead + json.dumps(item, separators=(",", ":"), allow_nan=False).encode())
                    lead = b",\n"
        file.write(b"]")
    file.write(b"}\n")


def _category(points: Template | None, number: int, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {"id": number, "name": name, "supercategory": ""}
    if points is not None:
        # COCO counts the ends of a skeleton's edges from 1.
        found |= {"keypoints": list(points.names[number]), "skeleton": [[a + 1, b + 1] for a, b in points.edges]}
    return found


FORMAT = Format(needs=_needs, write=_write, finish=_finish, prepare=_prepare)

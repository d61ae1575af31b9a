"""Pascal VOC: ``JPEGImages``, ``Annotations`` and ``ImageSets/Main/<split>.txt``; masks when the task is segment.

http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/devkit_doc.html. Boxes are the visible ones, pixel indices from
1, last ones included. By the annotation guidelines an object is ``truncated`` when 15 % or more of it is outside the
image, and ``occluded`` when 5 % or more of what is inside is hidden. ``difficult`` is 0, ``pose`` Unspecified.

Task segment adds ``SegmentationClass`` and ``SegmentationObject``, palette PNGs of the visible masks, and
``ImageSets/Segmentation/<split>.txt``. Pixels count classes from 1 in the order of the category ids, and objects from 1
in the order of the annotation; 0 is the background. There is no border of 255: labels are exact to the pixel. A palette
ends at 254: images with more objects are left out of the segmentation sets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from simgen.errors import DatasetError
from simgen.export.base import Format, Part, Settings, Unit, hidden_share, selected, size_of, stem
from simgen.export.images import encode_color, put
from simgen.labels.frame import Frame

TRUNCATED, OCCLUDED = 0.15, 0.05

_MOST = 254
"""Classes or objects of a palette image, where 255 means "void"."""


def _needs(settings: Settings) -> tuple[str, ...]:
    return ("rgb", "instance") if settings.task == "segment" else ("rgb",)


def _prepare(settings: Settings) -> None:
    if settings.task == "segment" and len(settings.categories) > _MOST:
        raise DatasetError(
            f"{settings.dataset} has {len(settings.categories)} categories, VOC's class images have room for {_MOST}: "
            "choose some with --categories"
        )


def _write(settings: Settings, facts: Any, unit: Unit, frames: Iterator[Frame]) -> Part:
    files: list[str] = []
    objects = 0
    segmented: list[str] = []
    for frame in frames:
        rows = selected(settings, frame).tolist()
        objects += len(rows)
        masks = settings.task == "segment" and len(rows) <= _MOST
        image, annotation = f"JPEGImages/{stem(frame.index)}{settings.suffix}", f"Annotations/{stem(frame.index)}.xml"
        put(settings.out / image, encode_color(frame.images["rgb"], settings.image_format, settings.jpeg_quality))
        put(settings.out / annotation, _annotation(settings, frame, rows, masks))
        files += [image, annotation]
        if masks:
            segmented.append(stem(frame.index))
            for kind, pixels in zip(("Class", "Object"), _masks(settings, frame, rows), strict=True):
                files.append(f"Segmentation{kind}/{stem(frame.index)}.png")
                put(settings.out / files[-1], _palette_png(pixels))
    left_out = len(unit.frames) - len(segmented) if settings.task == "segment" else 0
    notes = {f"more than {_MOST} objects: no segmentation images": left_out} if left_out else None
    return Part(tuple(files), objects, {"main": [stem(i) for i in unit.frames], "segmentation": segmented}, notes)


def _masks(settings: Settings, frame: Frame, rows: list[int]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The class and the object of every pixel (H, W)."""
    instance = frame.images["instance"]
    number = {category.id: k for k, category in enumerate(settings.categories, start=1)}
    classes, objects = np.zeros((2, max(int(instance.max(initial=0)), len(frame.objects.instance_id)) + 1), np.uint8)
    for k, row in enumerate(rows, start=1):
        identity = int(frame.objects.instance_id[row])
        classes[identity], objects[identity] = number[int(frame.objects.category_id[row])], k
    return classes[instance], objects[instance]


def _palette_png(pixels: NDArray[np.uint8]) -> bytes:
    image = Image.fromarray(pixels, "P")
    image.putpalette(_palette().tobytes())
    file = BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()


def _palette() -> NDArray[np.uint8]:
    """The colours (256, 3) of the devkit's VOClabelcolormap: an index's bits over red, green, blue, highest first."""
    index = np.arange(256)
    colors = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            colors[:, channel] |= (((index >> (3 * bit + channel)) & 1) << (7 - bit)).astype(np.uint8)
    return colors


def _annotation(settings: Settings, frame: Frame, rows: list[int], segmented: bool) -> bytes:
    names = {category.id: category.name for category in settings.categories}
    height, width = size_of(frame)
    root = ElementTree.Element("annotation")
    _add(root, folder=settings.out.name, filename=stem(frame.index) + settings.suffix)
    _add(ElementTree.SubElement(root, "source"), database=settings.dataset.name, annotation="simgen", image="simgen")
    _add(ElementTree.SubElement(root, "size"), width=width, height=height, depth=3)
    _add(root, segmented=int(segmented))
    objects = frame.objects
    for k in rows:
        x, y, w, h = objects.bbox_visib[k].tolist()
        item = ElementTree.SubElement(root, "object")
        _add(
            item,
            name=names[int(objects.category_id[k])],
            pose="Unspecified",
            truncated=int(objects.truncated[k] >= TRUNCATED),
            occluded=int(hidden_share(frame, k) >= OCCLUDED),
            difficult=0,
        )
        _add(ElementTree.SubElement(item, "bndbox"), xmin=x + 1, ymin=y + 1, xmax=x + w, ymax=y + h)
    ElementTree.indent(root)
    return bytes(ElementTree.tostring(root, encoding="utf-8")) + b"\n"


def _add(parent: ElementTree.Element, **values: str | int) -> None:
    for name, value in values.items():
        ElementTree.SubElement(parent, name).text = str(value)


def _finish(settings: Settings, facts: Any, parts: Callable[[], Iterable[tuple[Unit, Part]]]) -> Iterator[str]:
    sets = {"main": "ImageSets/Main"} | (
        {"segmentation": "ImageSets/Segmentation"} if settings.task == "segment" else {}
    )
    for split in settings.splits:
        for key, folder in sets.items():
            stems = [name for unit, part in parts() if unit.split == split for name in part.data[key]]
            put(settings.out / folder / f"{split}.txt", "".join(f"{name}\n" for name in stems).encode())
            yield f"{folder}/{split}.txt"


FORMAT = Format(needs=_needs, write=_write, finish=_finish, prepare=_prepare)

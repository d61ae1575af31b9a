"""Pascal VOC: ``JPEGImages``, ``Annotations`` and ``ImageSets/Main/<split>.txt``.

http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/devkit_doc.html. Boxes are the visible ones, pixel indices from
1, last ones included. By the annotation guidelines an object is ``truncated`` when 15 % or more of it is outside the
image, and ``occluded`` when 5 % or more of what is inside is hidden. ``difficult`` is 0, ``pose`` Unspecified.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any
from xml.etree import ElementTree

from simgen.export.base import Format, Part, Settings, Unit, hidden_share, selected, size_of, stem
from simgen.export.images import encode_color, put
from simgen.labels.frame import Frame

TRUNCATED, OCCLUDED = 0.15, 0.05


def _needs(settings: Settings) -> tuple[str, ...]:
    return ("rgb",)


def _write(settings: Settings, facts: Any, unit: Unit, frames: Iterator[Frame]) -> Part:
    files: list[str] = []
    objects = 0
    for frame in frames:
        rows = selected(settings, frame).tolist()
        objects += len(rows)
        image, annotation = f"JPEGImages/{stem(frame.index)}{settings.suffix}", f"Annotations/{stem(frame.index)}.xml"
        put(settings.out / image, encode_color(frame.images["rgb"], settings.image_format, settings.jpeg_quality))
        put(settings.out / annotation, _annotation(settings, frame, rows))
        files += [image, annotation]
    return Part(tuple(files), objects, [stem(index) for index in unit.frames])


def _annotation(settings: Settings, frame: Frame, rows: list[int]) -> bytes:
    names = {category.id: category.name for category in settings.categories}
    height, width = size_of(frame)
    root = ElementTree.Element("annotation")
    _add(root, folder=settings.out.name, filename=stem(frame.index) + settings.suffix)
    _add(ElementTree.SubElement(root, "source"), database=settings.dataset.name, annotation="simgen", image="simgen")
    _add(ElementTree.SubElement(root, "size"), width=width, height=height, depth=3)
    _add(root, segmented=0)
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
    for split in settings.splits:
        stems = [name for unit, part in parts() if unit.split == split for name in part.data]
        put(settings.out / "ImageSets" / "Main" / f"{split}.txt", "".join(f"{name}\n" for name in stems).encode())
        yield f"ImageSets/Main/{split}.txt"


FORMAT = Format(needs=_needs, write=_write, finish=_finish)

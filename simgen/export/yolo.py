"""YOLO (Ultralytics): ``images/<split>``, ``labels/<split>`` and ``data.yaml``.

https://docs.ultralytics.com/datasets. A label file has a line per object: the class, counted from 0 in the order of the
category ids, then coordinates as fractions of the image, whose left edge is 0 and right edge 1. ``task``:

- detect: centre x, centre y, width and height of the visible box;
- segment: the outline of the visible mask along its pixels' edges; parts and holes are joined into one polygon by
  bridges without width, as the format has one polygon per object;
- pose: the visible box, then x, y, v of the keypoints: the centre and the corners of the 3-D box, or the named ones of
  all classes, as the format has one list; 0 0 0 for what is outside the image or not of this class.

``data.yaml`` has no ``path``, so that its folders are taken relative to itself and the whole may be moved. Without a
validation split ``val`` points to the first split, since the trainer insists on one. There is no ``flip_idx``: a 3-D
box mirrored in the image is no box of the same object, nor need a thing with named points be symmetric, and the
trainer then does not mirror.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator

from simgen.export.base import Format, Part, Settings, Unit, selected, size_of, stem, visible_mask
from simgen.export.images import encode_color, put
from simgen.export.keypoints import Template, object_keypoints, template
from simgen.export.outline import outline
from simgen.labels.frame import Frame

TASKS = ("detect", "segment", "pose")

_PASSES = {"detect": ("rgb",), "segment": ("rgb", "instance"), "pose": ("rgb", "depth")}


def _needs(settings: Settings) -> tuple[str, ...]:
    return ("rgb",) if settings.task == "pose" and settings.keypoints == "named" else _PASSES[settings.task]


def _prepare(settings: Settings) -> Template | None:
    return template(settings) if settings.task == "pose" else None


def _write(settings: Settings, points: Template | None, unit: Unit, frames: Iterator[Frame]) -> Part:
    classes = {category.id: k for k, category in enumerate(settings.categories)}
    files: list[str] = []
    objects = 0
    for frame in frames:
        rows = selected(settings, frame).tolist()
        lines = [
            " ".join([str(classes[int(frame.objects.category_id[k])]), *_numbers(settings, points, frame, k)])
            for k in rows
        ]
        objects += len(rows)
        name = stem(frame.index)
        color = encode_color(frame.images["rgb"], settings.image_format, settings.jpeg_quality)
        image, label = f"images/{unit.split}/{name}{settings.suffix}", f"labels/{unit.split}/{name}.txt"
        put(settings.out / image, color)
        put(settings.out / label, "".join(line + "\n" for line in lines).encode())
        files += [image, label]
    return Part(tuple(files), objects)


def _numbers(settings: Settings, points: Template | None, frame: Frame, k: int) -> list[str]:
    """What follows the class in an object's line."""
    height, width = size_of(frame)
    if settings.task == "segment":
        mask, left, top = visible_mask(frame, k)
        corners = outline(mask).tolist()
        return [_fraction(v) for x, y in corners for v in ((x + left) / width, (y + top) / height)]
    x, y, w, h = frame.objects.bbox_visib[k].tolist()
    numbers = [_fraction(v) for v in ((x + w / 2) / width, (y + h / 2) / height, w / width, h / height)]
    if points is not None:
        for u, v, visibility in object_keypoints(points, frame, k, points.every):
            # From pixel centres at integers to fractions of the image's extent.
            place = ((u + 0.5) / width, (v + 0.5) / height) if visibility else (0.0, 0.0)
            numbers += [*(_fraction(min(max(f, 0.0), 1.0)) for f in place), str(visibility)]
    return numbers


def _fraction(value: float) -> str:
    # Eight digits tell pixels' edges apart to a millionth of a pixel.
    return f"{value:.8f}".rstrip("0").rstrip(".")


def _finish(
    settings: Settings, points: Template | None, parts: Callable[[], Iterable[tuple[Unit, Part]]]
) -> Iterator[str]:
    validation = "val" if "val" in settings.splits else settings.splits[0]
    lines = [f"# {settings.dataset.name}, made by simgen; folders are relative to this file."]
    training = "train" if "train" in settings.splits else settings.splits[0]
    lines += [f"train: images/{training}", f"val: images/{validation}"]
    lines += [f"{name}: images/{name}" for name in settings.splits if name not in ("train", "val")]
    if points is not None:
        lines += [f"kpt_shape: [{len(points.every)}, 3]", f"# keypoints: {json.dumps(list(points.every))}"]
    lines += ["names:", *(f"  {k}: {json.dumps(category.name)}" for k, category in enumerate(settings.categories))]
    put(settings.out / "data.yaml", ("\n".join(lines) + "\n").encode())
    yield "data.yaml"


FORMAT = Format(needs=_needs, write=_write, finish=_finish, prepare=_prepare)

"""COCO instance annotations into shards.

Boxes, polygons and RLE of any sort are read; keypoints and captions are not. Crowd regions mark where nothing is
annotated rather than objects, and are left out. Cameras and poses are not known: K, T_cam_obj, T_world_obj and size are
NaN. Where annotations overlap, the smaller one is on top and the other one's visible pixels end there, while its full
mask is the annotated one. If any annotation has a box only, no id images are made. Images come in order of their size,
then of their id, since a shard holds images of one size.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.errors import DatasetError
from simgen.importers.dataset import Imported, Instance, View, write_dataset
from simgen.importers.images import read_color, read_json
from simgen.importers.polygon import fill
from simgen.labels.rle import decode
from simgen.shards.files import checksum
from simgen.shards.manifest import Category

Annotation = dict[str, Any]


def import_coco(
    images_dir: str | Path,
    annotations: str | Path,
    out: str | Path,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Imported:
    """Write the images of a COCO annotation file, found below ``images_dir``, as a dataset to ``out``.

    Category ids stay, but are all raised by one when the file has a category 0. ``draws/source`` of a frame has the
    ``image_id``, the ``file``, and the ``scene`` where the file has one (as our own exports do). Calling it again
    continues. ``progress`` is told (frames done, frames in all). Raises DatasetError when a file is missing or is not
    what it should be, or ``out`` holds something else.
    """
    folder, file = Path(images_dir), Path(annotations)
    content = read_json(file)
    try:
        shift = _shift(content["categories"])
        categories = sorted((Category(c["id"] + shift, c["name"]) for c in content["categories"]), key=lambda c: c.id)
        of_image: dict[int, list[Annotation]] = defaultdict(list)
        crowds = 0
        for annotation in content["annotations"]:
            if annotation.get("iscrowd", 0):
                crowds += 1
            else:
                of_image[annotation["image_id"]].append(annotation)
        by_size: dict[tuple[int, int], list[dict[str, Any]]] = defaultdict(list)
        for image in sorted(content["images"], key=lambda image: image["id"]):
            by_size[image["width"], image["height"]].append(image)
    except KeyError as error:
        raise DatasetError(f"{file} is not a COCO instance file: it lacks {error}") from error
    except (TypeError, AttributeError) as error:
        raise DatasetError(f"{file} is not a COCO instance file: its parts are not what they should be") from error
    known = {category.id for category in categories}
    for annotation in (a for some in of_image.values() for a in some):
        if annotation.get("category_id", -1) + shift not in known:
            raise DatasetError(
                f"annotation {annotation.get('id')} of {file} has the category {annotation.get('category_id')}, which "
                "the file does not list: correct it"
            )
    masks = all(a.get("segmentation") for some in of_image.values() for a in some)
    notes = [f"{crowds} crowd regions left out"] if crowds else []
    notes += [] if masks else ["some annotations have boxes only: no id images made"]
    settings = {"format": "coco", "images": str(folder), "annotations": str(file), "checksum": checksum(file)}

    def load(image: dict[str, Any]) -> View:
        return _view(folder, file, image, of_image[image["id"]], shift, masks)

    groups = [by_size[size] for size in sorted(by_size)]
    return write_dataset(Path(out), settings, categories, groups, load, masks, notes, progress)


def _shift(categories: list[dict[str, Any]]) -> int:
    """What is added to category ids so that they start at 1 or above, since 0 is the background."""
    return max(0, 1 - min((category["id"] for category in categories), default=1))


def _view(
    folder: Path, file: Path, image: dict[str, Any], annotations: list[Annotation], shift: int, masks: bool
) -> View:
    path = folder / image["file_name"]
    rgb = read_color(path)
    size = image["height"], image["width"]
    if rgb.shape[:2] != size:
        raise DatasetError(
            f"{path} measures {rgb.shape[1]} x {rgb.shape[0]}, {file} says {size[1]} x {size[0]}: the images are not "
            "those of the annotations"
        )
    names = [_instance(file, annotation, shift, size, masks) for annotation in annotations]
    source = {"image_id": image["id"], "file": image["file_name"]}
    if "scene" in image:
        source["scene"] = image["scene"]
    return View({"rgb": rgb}, names, source)


def _instance(file: Path, annotation: Annotation, shift: int, size: tuple[int, int], masks: bool) -> Instance:
    category = annotation["category_id"] + shift
    try:
        mask = _mask(annotation["segmentation"], *size) if masks else None
        box = None if mask is not None else _whole(annotation["bbox"])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DatasetError(
            f"annotation {annotation.get('id')} of {file} has no usable segmentation or box ({error}): correct it"
        ) from error
    return Instance(category, "", visible=mask, full=mask, box=box)


def _mask(segmentation: Any, height: int, width: int) -> NDArray[np.bool_]:
    """Polygons (the union of several), or RLE, compressed or as numbers."""
    if isinstance(segmentation, list):
        parts = [np.asarray(part, np.float64).reshape(-1, 2) for part in segmentation]
        return np.logical_or.reduce([fill(part, height, width) for part in parts])
    if list(segmentation["size"]) != [height, width]:
        raise ValueError(f"its RLE is of {segmentation['size']}")
    counts = segmentation["counts"]
    if isinstance(counts, str):
        return decode(counts.encode("ascii"), height, width)
    runs = np.asarray(counts, np.int64)
    if runs.sum() != height * width:
        raise ValueError("its RLE does not fill the image")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T


def _whole(box: list[float]) -> tuple[int, int, int, int]:
    """The whole pixels that a box xywh touches, up to what rounding may have added."""
    x, y, w, h = box
    left, top = math.floor(x + 1e-3), math.floor(y + 1e-3)
    return left, top, math.ceil(x + w - 1e-3) - left, math.ceil(y + h - 1e-3) - top

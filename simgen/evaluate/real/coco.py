"""COCO: a JSON of images, annotations and categories (cocodataset.org/#format-data)."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from simgen.evaluate.real.record import Labelled, Record
from simgen.evaluate.real.report import Report
from simgen.labels import rle
from simgen.learn.errors import LearnError


def matches(root: Path) -> bool:
    """Whether ``root`` is or has a COCO file."""
    return find(root) is not None


def find(root: Path) -> Path | None:
    """The COCO file of a folder: the first JSON in it or in its ``annotations`` that has images and annotations.

    Files called instances_... come before others, which in COCO's own folders are captions and keypoints.
    """
    if root.is_file():
        return root if root.suffix == ".json" else None
    places = [root, root / "annotations"]
    found = [file for place in places if place.is_dir() for file in sorted(place.glob("*.json"))]
    for file in sorted(found, key=lambda file: not file.name.startswith("instances")):
        try:
            with file.open(encoding="utf-8") as text:
                head = text.read(1 << 16)
        except (OSError, UnicodeDecodeError):
            continue
        if head.lstrip().startswith("{") and ('"images"' in head or '"annotations"' in head):
            return file
    return None


def read(root: Path, report: Report) -> tuple[list[Record], list[str]]:
    """All images with their annotations, and the categories in their order; raises LearnError if the file is broken."""
    file = find(root)
    assert file is not None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        names = {category["id"]: str(category["name"]) for category in content["categories"]}
        images = {image["id"]: image for image in content["images"]}
        annotations: dict[Any, list[Labelled]] = {key: [] for key in images}
        for entry in content["annotations"]:
            _add(entry, names, annotations, report)
        listed = [(key, str(image["file_name"]), _size(image)) for key, image in images.items()]
    except OSError as error:
        raise LearnError(f"{file} cannot be read ({error.strerror}).") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LearnError(f"{file} is not a valid COCO file ({type(error).__name__}: {error}).") from None
    found = []
    for key, name, size in listed:
        path = _image(file, name)
        if path is None:
            report.add("images skipped, the file is missing", name)
        else:
            found.append(Record(path, annotations[key], size))
    return found, list(names.values())


def _size(image: dict[str, Any]) -> tuple[int, int] | None:
    """Width and height of a listed image, None where they are not given."""
    width, height = (int(image.get(key) or 0) for key in ("width", "height"))
    return (width, height) if width > 0 and height > 0 else None


def _add(entry: dict[str, Any], names: dict[Any, str], annotations: dict[Any, list[Labelled]], report: Report) -> None:
    what = f"annotation {entry.get('id')}"
    if entry["image_id"] not in annotations:
        report.add("annotations skipped, their image is not listed", what)
        return
    if entry["category_id"] not in names:
        report.add("annotations skipped, their category is not listed", what)
        return
    box, shape = entry.get("bbox"), entry.get("segmentation")
    if not box and not shape:
        report.add("annotations skipped, they have neither box nor mask", what)
        return
    if box and len(box) != 4:
        report.add("annotations skipped, their box is not four numbers", what)
        return
    visib = float(entry["visib_fract"]) if "visib_fract" in entry else float("nan")
    annotations[entry["image_id"]].append(
        Labelled(
            names[entry["category_id"]],
            tuple(float(v) for v in box) if box else None,  # type: ignore[arg-type]
            ignore=bool(entry.get("iscrowd", 0) or entry.get("ignore", 0)),
            crowd=bool(entry.get("iscrowd", 0)),
            visib=visib,
            mask=partial(_mask, shape) if shape else None,
        )
    )


def _image(file: Path, name: str) -> Path | None:
    """The image file: beside the JSON, in ``images``, one folder up, or in val2017 for instances_val2017.json."""
    up = file.parent.parent
    for folder in (file.parent, file.parent / "images", up, up / "images", up / file.stem.split("_")[-1]):
        if (folder / name).is_file():
            return folder / name
    return None


def _mask(shape: Any, height: int, width: int) -> NDArray[np.bool_] | None:
    """The mask of a ``segmentation``: polygons, or run lengths, compressed or not."""
    if isinstance(shape, list):
        canvas = np.zeros((height, width), np.uint8)
        # COCO's polygons are in corner coordinates, OpenCV's at pixel centres; 4 fractional bits keep the difference.
        rings = [np.asarray(ring, np.float64).reshape(-1, 2) - 0.5 for ring in shape if len(ring) >= 6]
        if not rings or not all(np.isfinite(ring).all() for ring in rings):
            return None
        cv2.fillPoly(canvas, [np.round(ring * 16).astype(np.int32) for ring in rings], 1, shift=4)
        return canvas.astype(bool)
    counts = shape["counts"]
    if shape["size"] != [height, width]:
        return None
    if isinstance(counts, str):
        return rle.decode(counts.encode(), height, width)
    values = np.arange(len(counts)) % 2 == 1
    return np.repeat(values, counts).reshape(width, height).T

"""YOLO: a text file an image with lines "class cx cy w h" in shares of the image, or polygons of such points."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from omegaconf import OmegaConf
from PIL import Image

from simgen.evaluate.real.record import Labelled, Record, image_files
from simgen.evaluate.real.report import Report
from simgen.learn.errors import LearnError

_NAME_FILES = ("data.yaml", "dataset.yaml", "data.yml", "../data.yaml", "../../data.yaml")
_LISTS = ("classes.txt", "obj.names", "labels/classes.txt", "../classes.txt")


def matches(root: Path) -> bool:
    """Whether ``root`` has text files for its images."""
    return root.is_dir() and any(_label(image) is not None for image in _images(root))


def read(root: Path, report: Report) -> tuple[list[Record], list[str]]:
    """All images and the class names, which are the numbers when no file gives names.

    An image without a text file, or with an empty one, has no objects.
    """
    names = _names(root)
    found = []
    for image in _images(root):
        try:
            with Image.open(image) as opened:
                size = opened.size
        except OSError:
            report.add("images skipped, they cannot be read", image.name)
            continue
        label = _label(image)
        text = label.read_text(encoding="utf-8", errors="replace") if label else ""
        labelled = []
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip():
                continue
            try:
                labelled.append(_object(line.split(), names, size))
            except (ValueError, IndexError):
                report.add("lines skipped, they are no YOLO labels", f"{label}:{number}")
        found.append(Record(image, labelled, size))
    used = {entry.name for record in found for entry in record.objects}
    if names:
        return found, [names[key] for key in sorted(names)] + sorted(used - set(names.values()))
    return found, sorted(used, key=int)


def _object(parts: list[str], names: dict[int, str], size: tuple[int, int]) -> Labelled:
    name = names.get(int(parts[0]), parts[0])
    values = np.array([float(v) for v in parts[1:]])
    if not np.isfinite(values).all():
        raise ValueError(parts)
    if len(values) in (4, 5):  # the fifth is the confidence of a prediction
        cx, cy, w, h = values[:4] * (*size, *size)
        return Labelled(name, (cx - w / 2, cy - h / 2, w, h))
    if len(values) < 6 or len(values) % 2:
        raise ValueError(parts)
    ring = values.reshape(-1, 2) * size
    low, high = ring.min(0), ring.max(0)
    box = (float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1]))
    return Labelled(name, box, mask=partial(_mask, ring))


def _mask(ring: NDArray[np.float64], height: int, width: int) -> NDArray[np.bool_]:
    canvas = np.zeros((height, width), np.uint8)
    cv2.fillPoly(canvas, [np.round((ring - 0.5) * 16).astype(np.int32)], 1, shift=4)
    return canvas.astype(bool)


def _images(root: Path) -> list[Path]:
    """The images in ``images`` and one folder below, or in ``root`` itself."""
    top = root / "images" if (root / "images").is_dir() else root
    below = [p for p in sorted(top.iterdir()) if p.is_dir()] if top != root else []
    return [image for folder in (top, *below) for image in image_files(folder)]


def _label(image: Path) -> Path | None:
    """labels/x.txt for images/x.jpg, at the last ``images`` of the path; or x.txt beside it."""
    parts = list(image.with_suffix(".txt").parts)
    if "images" in parts:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
        if Path(*parts).is_file():
            return Path(*parts)
    beside = image.with_suffix(".txt")
    return beside if beside.is_file() else None


def _names(root: Path) -> dict[int, str]:
    """Class names by number, of data.yaml or classes.txt; empty when there is neither."""
    for name in _NAME_FILES:
        if (root / name).is_file():
            try:
                content: Any = OmegaConf.to_container(OmegaConf.load(root / name))
                listed = (content.get("names") if isinstance(content, dict) else None) or {}
                pairs = listed.items() if isinstance(listed, dict) else enumerate(listed)
                return {int(key): str(value) for key, value in pairs}
            except Exception as error:
                # PyYAML and OmegaConf raise many types here.
                reason = " ".join(str(error).split())[:160]
                raise LearnError(f"{root / name} does not name the classes as YOLO does ({reason}).") from None
    for name in _LISTS:
        if (root / name).is_file():
            return dict(enumerate((root / name).read_text(encoding="utf-8").splitlines()))
    return {}

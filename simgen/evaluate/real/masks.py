"""Images with masks: ROOT/images and ROOT/masks with files of the same stem, and poses.json if poses are known."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from simgen.evaluate.real.record import Record, image_files
from simgen.evaluate.real.report import Report
from simgen.learn.errors import LearnError

_MASK_FOLDERS = ("masks", "labels", "annotations")
_ANGLES = ("azimuth_deg", "turntable_deg")


def matches(root: Path) -> bool:
    """Whether ``root`` has a folder of images and one of masks."""
    return root.is_dir() and (root / "images").is_dir() and _folder(root) is not None


def read(root: Path, report: Report) -> tuple[list[Record], list[str]]:
    """All images that have a mask; masks name no classes.

    poses.json is a list of objects: "image" (path in ROOT), "azimuth_deg" or "turntable_deg", and anything else that is
    a number or a word, which is kept as a fact to slice results by.
    """
    folder = _folder(root)
    assert folder is not None
    masks = {file.stem: file for file in image_files(folder)}
    poses = _poses(root)
    found = []
    for image in image_files(root / "images"):
        if image.stem not in masks:
            report.add("images skipped, they have no mask", image.name)
            continue
        entry = poses.get(image.name, {})
        facts = {key: value for key, value in entry.items() if isinstance(value, int | float | str)}
        for key in ("image", "mask"):
            facts.pop(key, None)
        found.append(Record(image, [], index_mask=masks[image.stem], facts=facts))
    if poses and not any(record.facts for record in found):
        report.add("poses not used, they name other images", "poses.json")
    return found, []


def azimuth(facts: dict[str, Any]) -> float:
    """The azimuth in radians that the facts of a record give, NaN when they do not."""
    return next((math.radians(float(facts[key])) for key in _ANGLES if facts.get(key) is not None), math.nan)


def _poses(root: Path) -> dict[str, dict[str, Any]]:
    file = root / "poses.json"
    if not file.is_file():
        return {}
    try:
        found = {Path(entry["image"]).name: entry for entry in json.loads(file.read_text(encoding="utf-8"))}
        for entry in found.values():
            azimuth(entry)
        return found
    except (ValueError, KeyError, TypeError) as error:
        raise LearnError(f"{file} is not a list of poses ({type(error).__name__}: {error}).") from None


def _folder(root: Path) -> Path | None:
    return next((root / name for name in _MASK_FOLDERS if (root / name).is_dir() and image_files(root / name)), None)

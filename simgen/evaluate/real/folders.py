"""Class folders: ROOT/<class>/*.png."""

from __future__ import annotations

import re
from pathlib import Path

from simgen.evaluate.real.record import Labelled, Record, image_files
from simgen.evaluate.real.report import Report

_TRACK = re.compile(r"^(\d+)_\d+$")


def matches(root: Path) -> bool:
    """Whether some folder in ``root`` has images."""
    return any(image_files(folder) for folder in _folders(root))


def read(root: Path, report: Report) -> tuple[list[Record], list[str]]:
    """All images, labelled with the name of their folder, and those names.

    Files named <track>_<frame>, as in GTSRB, are grouped by track.
    """
    records = []
    for folder in _folders(root):
        files = image_files(folder)
        if not files:
            report.add("class folders without images", folder.name)
        for file in files:
            track = _TRACK.match(file.stem)
            group = f"{folder.name}/{track.group(1) if track else file.name}"
            records.append(Record(file, [Labelled(folder.name)], group=group))
    return records, [folder.name for folder in _folders(root) if image_files(folder)]


def _folders(root: Path) -> list[Path]:
    return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))

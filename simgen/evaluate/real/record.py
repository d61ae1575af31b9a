"""One real image as its format's reader found it: paths and labels, no pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

IMAGES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm"}

Mask = Callable[[int, int], NDArray[np.bool_] | None]
"""The mask (height, width) of an object in an image of that size; None when there is none."""


@dataclass
class Labelled:
    """One annotated object. ``box`` is xywh in pixels, None: the whole image, or the extent of its mask."""

    name: str
    box: tuple[float, float, float, float] | None = None
    ignore: bool = False
    crowd: bool = False
    visib: float = float("nan")
    azimuth: float = float("nan")
    rotation: NDArray[np.float64] | None = None
    mask: Mask | None = None


@dataclass
class Record:
    """One image and its objects. ``size`` is (width, height) as the annotations have it, None when they do not say."""

    path: Path
    objects: list[Labelled]
    size: tuple[int, int] | None = None
    index_mask: Path | None = None
    """An image whose values are classes: 0 background, v the v-th class; 255 is the object of a binary mask."""
    K: NDArray[np.float64] | None = None
    group: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


def image_files(folder: Path) -> list[Path]:
    """The images directly in a folder, sorted."""
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGES and not p.name.startswith("."))

"""Reading image and annotation files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from simgen.errors import DatasetError


def read_color(path: Path) -> NDArray[np.uint8]:
    """The colour image (H, W, 3) of a file; grey ones get three equal channels. Raises DatasetError."""
    image = _read(path, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Where an image of one channel is not zero (H, W). Raises DatasetError."""
    return np.asarray(_read(path, cv2.IMREAD_GRAYSCALE) > 0)


def read_depth(path: Path, scale: float) -> NDArray[np.float32]:
    """Depth in metres (H, W) of a 16-bit image whose values times ``scale`` are millimetres. Raises DatasetError."""
    steps = _read(path, cv2.IMREAD_UNCHANGED)
    if steps.ndim != 2:
        raise DatasetError(f"{path} has {steps.shape[2]} channels, a depth image has one: check the folder")
    # Divided in one step, so that what was rounded to steps of 0.1 mm is met exactly again.
    return (steps.astype(np.float64) * scale / 1000).astype(np.float32)


def image_size(path: Path) -> tuple[int, int]:
    """Width and height, from the head of the file. Raises DatasetError."""
    try:
        with Image.open(path) as image:
            return image.size
    except OSError as error:
        raise _unreadable(path) from error


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises DatasetError."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise DatasetError(f"{path} is missing: check the folder") from None
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read as JSON ({error}): check the file") from error


def _read(path: Path, flags: int) -> NDArray[Any]:
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise _unreadable(path) from error
    image = cv2.imdecode(data, flags) if len(data) else None
    if image is None:
        raise _unreadable(path)
    return np.asarray(image)


def _unreadable(path: Path) -> DatasetError:
    if not path.exists():
        return DatasetError(f"the image {path} is missing: check the folder")
    return DatasetError(f"{path} is not an image that can be read: check or replace the file")

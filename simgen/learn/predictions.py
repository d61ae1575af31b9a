"""What models say of an image, in the image's own pixels. Free of PyTorch, so that scoring is too."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Classified:
    """Class probabilities (n, C) float32 of the objects ``rows`` (n,) of an image."""

    rows: NDArray[np.int64]
    probabilities: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Detected:
    """Boxes (n, 4) float32 xywh, best first, their scores (n,) float32 and labels (n,) int64."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Segmented:
    """The class of each pixel, uint8 (H, W): 0 background, c + 1 for class c."""

    semantic: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Posed:
    """Poses of the objects ``rows`` (n,): ``azimuth`` (n,) in radians, or ``rotation`` R_cam_obj (n, 3, 3).

    The one that the model does not give is NaN. ``confidence`` (n,) float32 within 0 to 1; 1 for rotations.
    """

    rows: NDArray[np.int64]
    azimuth: NDArray[np.float64]
    rotation: NDArray[np.float64]
    confidence: NDArray[np.float32]


Prediction = Classified | Detected | Segmented | Posed

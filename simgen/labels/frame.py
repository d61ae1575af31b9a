"""A finished frame: images, camera and the table of labelled objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Row = NDArray[Any]


@dataclass(frozen=True, eq=False)
class ObjectTable:
    """One row per labelled object of the scene, visible or not; row k has instance id k + 1.

    Boxes are COCO xywh in whole pixels (x = first column, w = last - first + 1; all 0 when empty). ``bbox_visib``
    encloses the visible pixels; ``bbox_full`` the full silhouette, which goes on outside the image (counted on a canvas
    of three times the image, centred on it). ``visib_fract`` = px_visib / px_full and ``truncated`` = share of the full
    silhouette outside the image; both are 0 when px_full is 0.
    """

    body: Row  # (K,) int32, index into record.bodies
    instance_id: Row  # (K,) uint16
    category_id: Row  # (K,) uint16
    asset: tuple[str, ...]
    T_cam_obj: Row  # (K, 4, 4) float64
    T_world_obj: Row  # (K, 4, 4) float64
    size: Row  # (K, 3) float32, metres, extents of the object's box in its own frame after scale
    bbox_visib: Row  # (K, 4) int32
    bbox_full: Row  # (K, 4) int32
    visib_fract: Row  # (K,) float32
    truncated: Row  # (K,) float32
    px_visib: Row  # (K,) int32
    px_full: Row  # (K,) int32
    mask_full: tuple[bytes, ...]  # COCO compressed RLE counts of the full mask inside the image, size [H, W]
    center: Row | None = None  # (K, 3) float32, metres, middle of the box of ``size`` in the object's own frame


@dataclass(frozen=True, eq=False)
class KeypointTable:
    """One row per keypoint of an object of the frame; see ``labels.keypoints`` for the codes of ``visibility``."""

    object: Row  # (P,) int32, row of the object table
    name: tuple[str, ...]
    xy: Row  # (P, 2) float64, pixels, as the lens puts it; NaN behind the camera; may be outside of the image
    xyz: Row  # (P, 3) float64, metres, camera frame
    visibility: Row  # (P,) uint8, 0 out of frame, 1 behind another surface, 2 behind its own object, 3 visible


@dataclass(frozen=True, eq=False)
class Frame:
    """What is written for one image.

    ``images``: rgb uint8 (H, W, 3) after the sensor; depth float32 (H, W); instance and semantic uint16 (H, W); normal
    float32 (H, W, 3) unit in the camera frame; further passes as in ``render.base.PASSES`` without the batch axis.
    ``distortion`` are OpenCV's (k1, k2, p1, p2, k3) when ``distortion_model`` is "radial_tangential", and (k1, k2, k3,
    k4, 0) when it is "fisheye"; ``sensors.lens.project`` takes both. All passes are as the lens sees them.
    ``draws``: factor -> name -> value or list of values, of the scene and of the frame together.
    """

    index: int
    scene: int
    view: int
    time: float
    camera: str
    images: dict[str, NDArray[Any]]
    K: NDArray[np.float64]  # (3, 3)
    distortion: NDArray[np.float64]  # (5,)
    T_world_cam: NDArray[np.float64]  # (4, 4)
    objects: ObjectTable
    draws: dict[str, dict[str, Any]]
    distortion_model: str = "radial_tangential"
    keypoints: KeypointTable | None = None
    """None when no object has keypoints."""
    exposure: float = 0.0  # seconds for which each row collects light
    readout: float = 0.0
    """Seconds from the middle of the first row's exposure to that of the last one's; ``time`` is in the middle.

    Every image and mask shows each row at its own time; ``T_world_cam``, ``T_cam_obj`` and ``T_world_obj`` are at
    ``time``. Keypoints are where their row sees them, ``xyz`` in the camera frame of that row's time."""
    group: int = -1
    """Number of the placement in the scene that this view shares with other cameras of a rig; ``view`` if it is alone.
    -1: not told."""

"""The corners and the centre of an object's 3-D box as keypoints (as in BB8, Rad & Lepetit 2017, and DOPE)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from simgen.export.base import size_of
from simgen.export.models import Bounds, box_center
from simgen.labels.frame import Frame

SIGNS = np.array([(0, 0, 0), *product((-1, 1), repeat=3)], np.float64)
"""Each keypoint in half extents from the box's centre, in the object's frame."""

NAMES = ("center", *(f"corner_{a}{b}{c}" for a, b, c in product(("-x", "+x"), ("-y", "+y"), ("-z", "+z"))))

EDGES = tuple((a, b) for a in range(1, 9) for b in range(a + 1, 9) if np.abs(SIGNS[a] - SIGNS[b]).sum() == 2)
"""The twelve edges of the box, as pairs of indices into NAMES."""

_SLACK = 0.002
"""Metres by which a surface must be nearer than a keypoint to hide it."""


def box_keypoints(bounds: Mapping[str, Bounds], frame: Frame, row: int) -> list[tuple[float, float, int]]:
    """(x, y, v) of the keypoints NAMES of an object, in pixels with centres at integers.

    v is COCO's: 0 outside the image or behind the camera, 1 hidden by a surface in front of it (its own object's
    included), 2 nothing in front of it. ``bounds`` is what ``models.asset_bounds`` gave. Needs the depth pass.
    """
    points = box_points(bounds, frame, row)
    depth = frame.images["depth"]
    height, width = size_of(frame)
    pixels, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), frame.K, frame.distortion)
    found = []
    for (x, y), z in zip(pixels.reshape(-1, 2).tolist(), points[:, 2].tolist(), strict=True):
        if z <= 0 or not (-0.5 <= x < width - 0.5 and -0.5 <= y < height - 0.5):
            found.append((0.0, 0.0, 0))
            continue
        surface = float(depth[round(y), round(x)])
        found.append((x, y, 1 if 0 < surface < z - _SLACK else 2))
    return found


def box_points(bounds: Mapping[str, Bounds], frame: Frame, row: int) -> NDArray[np.float64]:
    """Centre and corners (9, 3) of an object's box in the camera frame, metres, in the order of SIGNS."""
    objects = frame.objects
    size = objects.size[row].astype(np.float64)
    inside = box_center(bounds[objects.asset[row]], size) + SIGNS / 2 * size
    T = objects.T_cam_obj[row]
    return inside @ T[:3, :3].T + T[:3, 3]

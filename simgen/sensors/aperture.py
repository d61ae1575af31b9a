"""Depth of field: a thin lens as a set of pinholes spread over its opening.

Seen from a point (x, y) of the opening, the plane in focus keeps its place in the image when the principal point moves
by focal length * (x, y) / focus; everything else is spread over the image of the opening (Potmesil and Chakravarty
1981, accumulated as by Haeberli and Akeley 1990). What hides what is right from each point, and so at every edge.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from simgen.render.base import Snapshot
from simgen.scene.camera_record import ApertureRecord

_GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))


def opening_points(aperture: ApertureRecord, count: int) -> NDArray[np.float64]:
    """Points (count, 2) spread evenly over the opening, metres from its centre in the camera's x and y.

    Vogel's spiral (1979), in the order of radical inverses in base 2, so that runs of it are spread evenly, too.
    """
    order = np.argsort(np.argsort([_radical_inverse(k) for k in range(count)]))
    radius = aperture.diameter / 2 * np.sqrt((order + 0.5) / count)
    angle = order * _GOLDEN_ANGLE + aperture.turn
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
    return points - points.mean(0)


def blur_diameter(aperture: ApertureRecord, focal: float, z: float) -> float:
    """Diameter in pixels of the disc over which a point at z-depth ``z`` is spread; ``focal`` in pixels."""
    return focal * aperture.diameter * abs(1 / aperture.focus - 1 / z)


def seen_from(snapshot: Snapshot, x: float, y: float, focus: float) -> Snapshot:
    """The image from the point (x, y) metres beside the camera's centre, with the plane at z-depth ``focus`` in place.

    A background image is infinitely far away.
    """
    camera = snapshot.camera
    shift = camera.K[0, 0] * x / focus, camera.K[1, 1] * y / focus
    K, T = camera.K.copy(), np.eye(4)
    K[0, 2] += shift[0]
    K[1, 2] += shift[1]
    T[:2, 3] = x, y
    background = snapshot.environment.background
    if background is not None:
        size = (camera.width, camera.height)
        move = np.array([[1, 0, shift[0]], [0, 1, shift[1]]])
        moved = cv2.warpAffine(background, move, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        background = np.asarray(moved, np.float32)
    return replace(
        snapshot,
        camera=replace(camera, K=K, T_world_cam=camera.T_world_cam @ T),
        environment=replace(snapshot.environment, background=background),
    )


def _radical_inverse(k: int) -> float:
    value, digit = 0.0, 0.5
    while k:
        value += digit * (k & 1)
        k >>= 1
        digit /= 2
    return value

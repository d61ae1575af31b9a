"""Labels drawn over a picture: axes, 3-D boxes and keypoints, as the lens puts them.

``image`` (h, w, 3) uint8 is drawn into; ``scale`` is its width over that of the frame's images.
"""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from simgen.labels.boxes import SIGNS, box_corners
from simgen.labels.frame import Frame
from simgen.sensors.lens import Model, project

Picture = NDArray[np.uint8]
Color = tuple[int, int, int]

_AXIS_COLORS: tuple[Color, ...] = ((230, 50, 50), (40, 180, 60), (60, 110, 255))
_EDGES = [(a, b) for a in range(8) for b in range(a + 1, 8) if np.abs(SIGNS[a] - SIGNS[b]).sum() == 2]
_PIECES = 8
"""Straight pieces of an edge, which a lens may bend."""

_SHIFT = 4
"""Bits after the point in OpenCV's coordinates."""


def draw_axes(image: Picture, frame: Frame, scale: float) -> None:
    """Axes of each visible object's own frame: x red, y green, z blue, half as long as the object is along each."""
    for k in _far_first(frame):
        tips = np.concatenate([np.zeros((1, 3)), np.diag(frame.objects.size[k].astype(np.float64)) / 2])
        points = _in_camera(frame, k, tips)
        for axis in np.argsort(points[1:, 2])[::-1]:
            _line(image, frame, points[0], points[axis + 1], _AXIS_COLORS[axis], scale)


def draw_boxes_3d(image: Picture, frame: Frame, colors: NDArray[np.uint8], scale: float) -> None:
    """The box of each visible object in its own frame; ``colors`` are by instance id. Needs the objects' centers."""
    corners = box_corners(frame.objects)
    for k in _far_first(frame):
        for a, b in _EDGES:
            _line(image, frame, corners[k, a], corners[k, b], _color(colors[k + 1]), scale)


def draw_keypoints(image: Picture, frame: Frame, colors: NDArray[np.uint8], scale: float) -> None:
    """Keypoints in sight as discs, hidden ones as rings, in the colour of their object (``colors`` by instance id)."""
    table = frame.keypoints
    if table is None:  # no object of this scene has any
        return
    radius = max(2, round(image.shape[1] / 120))
    for row, xy, visibility in zip(table.object.tolist(), table.xy, table.visibility.tolist(), strict=True):
        place = _subpixel((xy + 0.5) * scale - 0.5)
        if place is None or visibility == 0:
            continue
        if visibility == 3:
            cv2.circle(image, place, (radius + 1) << _SHIFT, (255, 255, 255), -1, cv2.LINE_AA, _SHIFT)
            cv2.circle(image, place, radius << _SHIFT, _color(colors[row + 1]), -1, cv2.LINE_AA, _SHIFT)
        else:
            cv2.circle(image, place, radius << _SHIFT, _color(colors[row + 1]), 1, cv2.LINE_AA, _SHIFT)


def _far_first(frame: Frame) -> list[int]:
    order = np.argsort(frame.objects.T_cam_obj[:, 2, 3])[::-1]
    return [int(k) for k in order if frame.objects.px_visib[k] > 0]


def _in_camera(frame: Frame, row: int, points: NDArray[np.float64]) -> NDArray[np.float64]:
    T = frame.objects.T_cam_obj[row]
    return np.asarray(points @ T[:3, :3].T + T[:3, 3])


def _line(
    image: Picture, frame: Frame, start: NDArray[np.float64], end: NDArray[np.float64], color: Color, scale: float
) -> None:
    """The straight line between two points in the camera frame, where it is in front of the camera."""
    lens: Model = "fisheye" if frame.distortion_model == "fisheye" else "radial_tangential"
    steps = np.linspace(0, 1, _PIECES + 1)[:, None]
    pixels = project(start + steps * (end - start), frame.K, frame.distortion, lens)
    places = [_subpixel((pixel + 0.5) * scale - 0.5) for pixel in pixels]
    thickness = max(1, round(image.shape[1] / 250))
    for a, b in pairwise(places):
        if a is not None and b is not None:
            cv2.line(image, a, b, color, thickness, cv2.LINE_AA, _SHIFT)


def _subpixel(point: NDArray[np.float64]) -> tuple[int, int] | None:
    """The point in OpenCV's fixed point, None where it is none or far from any image."""
    if not (np.abs(point) < 1e5).all():
        return None
    x, y = np.rint(point * (1 << _SHIFT)).astype(int).tolist()
    return x, y


def _color(row: NDArray[np.uint8]) -> Color:
    r, g, b = row.tolist()
    return r, g, b

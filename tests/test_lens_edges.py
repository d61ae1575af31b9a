"""Edges of labels seen through a lens against the outline that OpenCV projects."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from exposure_scenes import HEIGHT, WIDTH, F, at, boxes, camera, frame, see

from simgen.scene.sensor_definition import DistortionDefinition

K = np.array([[F, 0, (WIDTH - 1) / 2], [0, F, (HEIGHT - 1) / 2], [0, 0, 1]])
BARREL = (-0.28, 0.09, 0.002, -0.001, -0.01)
SIZE = (0.5, 0.4, 0.0002)


def outline(T: np.ndarray) -> np.ndarray:
    """The projected outline (n, 1, 2) of a thin board."""
    corners = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5], [-0.5, -0.5]])
    sides = np.concatenate([np.linspace(corners[k], corners[k + 1], 400, endpoint=False) for k in range(4)])
    points = np.c_[sides * SIZE[:2], np.full(len(sides), -SIZE[2] / 2)] @ T[:3, :3].T + T[:3, 3]
    return cv2.projectPoints(points, np.zeros(3), np.zeros(3), K, np.array(BARREL))[0].astype(np.float32)


@pytest.mark.parametrize(("scale", "off"), [(DistortionDefinition().label_scale, (0.0, 0.1)), (1.0, (0.15, 0.3))])
def test_label_edges_are_less_than_a_tenth_of_a_pixel_off(scale: float, off: tuple[float, float]) -> None:
    errors = []
    for k in range(5):
        T = at(0.1 * np.cos(k), 0.08 * np.sin(2 * k), 0.75 + 0.02 * k, 0.3 * k)
        record = boxes([SIZE], frame(cam=camera(distortion=BARREL, label_scale=scale)))
        (seen,) = see(record, lambda t, T=T: [T], "instance")
        edge = outline(T)
        inside = [[cv2.pointPolygonTest(edge, (x, y), False) > 0 for x in range(WIDTH)] for y in range(HEIGHT)]
        wrong = np.array(inside) != (seen.images["instance"] == 1)
        # Pixels on the wrong side along a line are as many as the line is off.
        errors.append(wrong.sum() / cv2.arcLength(edge, True))
    assert off[0] < np.mean(errors) < off[1]

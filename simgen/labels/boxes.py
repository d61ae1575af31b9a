"""Boxes of objects that follow from the object table: in three dimensions, and loose ones in the image."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from simgen.labels.frame import Frame, ObjectTable
from simgen.labels.rle import decode
from simgen.sensors.lens import COEFFICIENTS, project

SIGNS = np.array(list(product((-1, 1), repeat=3)), np.float64)
"""The eight corners in half extents from the middle of the box, in the object's frame; z changes fastest."""


def box_corners(objects: ObjectTable) -> NDArray[np.float64]:
    """Corners (K, 8, 3) in the camera frame, metres, of the boxes around the objects' meshes, in the order of SIGNS.

    The boxes lie along the axes of the objects' own frames. Raises ValueError for a table without ``center``, as
    imported datasets have.
    """
    if objects.center is None:
        raise ValueError("the object table does not tell the middles of the objects' boxes")
    inside = objects.center[:, None] + SIGNS / 2 * objects.size[:, None].astype(np.float64)
    T = objects.T_cam_obj
    return np.einsum("kij,knj->kni", T[:, :3, :3], inside) + T[:, None, :3, 3]


def box_pixels(frame: Frame) -> NDArray[np.float64]:
    """Where the lens puts ``box_corners`` (K, 8, 2), in pixels; NaN behind the camera.

    They are where the poses at the time of the frame put them: under a rolling shutter, right in its middle row only.
    """
    corners = box_corners(frame.objects)
    coefficients = frame.distortion[: len(COEFFICIENTS[frame.distortion_model])]
    pixels = project(corners.reshape(-1, 3), frame.K, coefficients, frame.distortion_model)  # type: ignore[arg-type]
    return pixels.reshape(len(corners), 8, 2)


def loose_boxes(objects: ObjectTable, width: int, height: int) -> NDArray[np.int32]:
    """Boxes xywh (K, 4) around the full masks inside the image, hidden or not; all 0 where nothing is inside.

    The tight ones, around what is visible, are ``objects.bbox_visib``; those that leave the image ``bbox_full``.
    """
    boxes = np.zeros((len(objects.mask_full), 4), np.int32)
    for box, counts in zip(boxes, objects.mask_full, strict=True):
        mask = decode(counts, height, width)
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        if len(rows):
            box[:] = columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1
    return boxes

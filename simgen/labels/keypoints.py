"""Keypoints: named points of assets, where they are in an image and whether they can be seen there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from simgen.labels.frame import KeypointTable, ObjectTable
from simgen.labels.sight import before, inside
from simgen.scene.record import CameraRecord, SceneRecord
from simgen.sensors.lens import COEFFICIENTS, project
from simgen.sensors.rolling import rolled_points

OUT_OF_FRAME, OCCLUDED, SELF_OCCLUDED, VISIBLE = range(4)
"""Visibility: outside the image or behind the camera; behind another surface; behind its own object; in sight."""


def keypoints(
    record: SceneRecord,
    objects: ObjectTable,
    camera: CameraRecord,
    K: NDArray[np.float64],
    depth: NDArray[np.float32],
    instance: NDArray[np.uint16],
    rolling: Callable[[Sequence[int]], NDArray[np.float64]] | None = None,
) -> KeypointTable:
    """The keypoints of all objects that have any, from the ``record``, in one image.

    ``depth`` and ``instance`` (H, W) are as the lens of ``camera`` sees them. A point is hidden when all four pixels
    around it show nearer surfaces; the nearest of these says by what. Under a ``rolling`` shutter that gives
    ``T_cam_obj`` (KNOTS, K, 4, 4) of bodies while the image is read, points are where their row sees them, and in the
    camera frame of that time.
    """
    rows: list[int] = []
    names: list[str] = []
    points: list[NDArray[np.float64]] = []
    T = objects.T_cam_obj[None] if rolling is None else rolling(objects.body.tolist())
    for row, (body, asset) in enumerate(zip(objects.body.tolist(), objects.asset, strict=True)):
        for name, point in record.keypoints.get(asset, {}).items():
            rows.append(row)
            names.append(name)
            points.append(T[:, row, :3, :3] @ (np.array(point) * record.bodies[body].scale) + T[:, row, :3, 3])
    times = np.array(points, np.float64).reshape(len(points), len(T), 3).transpose(1, 0, 2)
    coefficients = camera.distortion[: len(COEFFICIENTS[camera.distortion_model])]
    pixels = project(times.reshape(-1, 3), K, coefficients, camera.distortion_model).reshape(*times.shape[:2], 2)
    xy, xyz = (pixels[0], times[0]) if rolling is None else rolled_points(pixels, times, camera.height)
    ids = objects.instance_id[rows].astype(np.uint16) if rows else np.zeros(0, np.uint16)
    return KeypointTable(
        np.array(rows, np.int32), tuple(names), xy, xyz, _visibility(xy, xyz[:, 2], ids, depth, instance)
    )


def _visibility(
    xy: NDArray[np.float64],
    z: NDArray[np.float64],
    ids: NDArray[np.uint16],
    depth: NDArray[np.float32],
    instance: NDArray[np.uint16],
) -> NDArray[np.uint8]:
    hidden, u, v = before(xy, z, depth)
    seen = np.where(hidden, np.where(instance[v, u] == ids, SELF_OCCLUDED, OCCLUDED), VISIBLE)
    shown = inside(xy, depth.shape[1], depth.shape[0]) & (z > 0)
    return np.where(shown, seen, OUT_OF_FRAME).astype(np.uint8)

"""Keypoints: named points of assets, where they are in an image and whether they can be seen there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from simgen.labels.frame import KeypointTable, ObjectTable
from simgen.scene.record import CameraRecord, SceneRecord
from simgen.sensors.lens import COEFFICIENTS, project
from simgen.sensors.rolling import rolled_points

OUT_OF_FRAME, OCCLUDED, SELF_OCCLUDED, VISIBLE = range(4)
"""Visibility: outside the image or behind the camera; behind another surface; behind its own object; in sight."""

_SLACK = (0.002, 0.001)
"""Metres, and share of the distance, by which a surface must be nearer than a keypoint to hide it."""


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
    height, width = depth.shape
    known = np.where(np.isfinite(xy), xy, -10.0)
    inside = (known >= -0.5).all(1) & (known[:, 0] < width - 0.5) & (known[:, 1] < height - 0.5) & (z > 0)
    left, top = np.floor(known[:, 0]).astype(int), np.floor(known[:, 1]).astype(int)
    u = np.clip(np.stack([left, left + 1, left, left + 1], 1), 0, width - 1)
    v = np.clip(np.stack([top, top, top + 1, top + 1], 1), 0, height - 1)
    surface = np.where(depth[v, u] > 0, depth[v, u], np.inf)
    hidden = (surface < (z - _SLACK[0] - _SLACK[1] * z)[:, None]).all(1)
    nearest = np.argmin(surface, 1)
    by = instance[v, u][np.arange(len(nearest)), nearest]
    seen = np.where(hidden, np.where(by == ids, SELF_OCCLUDED, OCCLUDED), VISIBLE)
    return np.where(inside, seen, OUT_OF_FRAME).astype(np.uint8)

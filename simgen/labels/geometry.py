"""Labels that follow from the buffers of a frame: point clouds, occlusion boundaries and who stands before whom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simgen.labels.frame import Frame
from simgen.labels.rle import decode
from simgen.sensors.lens import COEFFICIENTS, unproject


@dataclass(frozen=True, eq=False)
class PointCloud:
    """Points of n pixels: ``points`` (n, 3) float64 metres, ``pixel`` (n, 2) int32 column and row.

    ``color`` (n, 3) uint8 and ``instance`` (n,) uint16 are None when the frame lacks the pass.
    """

    points: NDArray[np.float64]
    pixel: NDArray[np.int32]
    color: NDArray[np.uint8] | None
    instance: NDArray[np.uint16] | None


def point_cloud(frame: Frame, world: bool = False, measured: bool = False) -> PointCloud:
    """The surface points that the pixels of ``frame`` see, in the camera frame or the ``world``, row by row.

    ``measured`` takes the depth sensor's depth instead of the exact one. Under a rolling shutter each row of points is
    in the camera frame of its own time, and in the ``world`` as if the camera had stood still meanwhile. Raises
    KeyError when the frame lacks the pass.
    """
    depth = frame.images["depth_sensor"] * 1e-3 if measured else frame.images["depth"].astype(np.float64)
    v, u = np.nonzero(depth)
    pixel = np.stack([u, v], 1)
    coefficients = frame.distortion[: len(COEFFICIENTS[frame.distortion_model])]
    rays = unproject(pixel, frame.K, coefficients, frame.distortion_model)  # type: ignore[arg-type]
    points = rays / rays[:, 2:] * depth[v, u][:, None]
    if world:
        points = points @ frame.T_world_cam[:3, :3].T + frame.T_world_cam[:3, 3]
    color, instance = frame.images.get("rgb"), frame.images.get("instance")
    return PointCloud(
        points,
        pixel.astype(np.int32),
        None if color is None else color[v, u],
        None if instance is None else instance[v, u],
    )


def occlusion_boundaries(frame: Frame, jump: float = 0.02) -> NDArray[np.bool_]:
    """Pixels (H, W) of a surface in front of another one: beside it lies one farther by a share ``jump``, or none.

    Within an object as well as between objects. Needs the pass "depth".
    """
    depth = frame.images["depth"].astype(np.float64)
    surface = np.where(depth > 0, depth, np.inf)
    edge = np.zeros(depth.shape, np.bool_)
    for axis in (0, 1):
        a = np.swapaxes(surface, 0, axis)
        out = np.swapaxes(edge, 0, axis)
        out[:-1] |= a[1:] > a[:-1] * (1 + jump)
        out[1:] |= a[:-1] > a[1:] * (1 + jump)
    return edge & (depth > 0)


def occlusion_order(frame: Frame) -> NDArray[np.int32]:
    """Pixels (K + 1, K + 1) of object j, by instance id, that are hidden by object i: [i, j]; i = 0: by the background.

    Counted on the full masks inside the image; needs the pass "instance".
    """
    instance = frame.images["instance"]
    count = len(frame.objects.instance_id)
    hidden = np.zeros((count + 1, count + 1), np.int32)
    for j, counts in enumerate(frame.objects.mask_full, 1):
        before = np.bincount(instance[decode(counts, *instance.shape)], minlength=count + 1)
        before[j] = 0
        hidden[:, j] = before
    return hidden

"""Motion of what the pixels see: scene flow, where optical flow is valid, and points followed through time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simgen.geometry import inverse
from simgen.labels.frame import Frame
from simgen.labels.sight import before, inside
from simgen.sensors.lens import COEFFICIENTS, project, unproject


def scene_flow(
    part: NDArray[np.uint16],
    object_coords: NDArray[np.float32],
    T_cam_part: NDArray[np.float64],
    T_cam_part_then: NDArray[np.float64],
) -> NDArray[np.float32]:
    """How far the surface points of an image move to another time, (H, W, 3) metres; 0 where there is no surface.

    It is the position in the camera frame of the other time less that in the camera frame of this time, so that it
    holds the camera's motion too (as in Mayer et al. 2016): this point plus its scene flow, projected, is this pixel
    plus its flow. ``part`` (H, W) and ``object_coords`` (H, W, 3) are the passes of these names; ``T_cam_part`` and
    ``T_cam_part_then`` (M, 4, 4) take the coordinates of part k + 1 to the camera frame at both times.
    """
    change = np.zeros((len(T_cam_part) + 1, 3, 4))
    change[1:] = (T_cam_part_then - T_cam_part)[:, :3]
    out = np.zeros(object_coords.shape, np.float32)
    v, u = np.nonzero(part)
    number, points = part[v, u], object_coords[v, u].astype(np.float64)
    for k in np.unique(number).tolist():
        mine = number == k
        out[v[mine], u[mine]] = points[mine] @ change[k, :, :3].T + change[k, :, 3]
    return out


def flow_validity(
    flow: NDArray[np.float32],
    moved: NDArray[np.float32],
    depth: NDArray[np.float32],
    depth_then: NDArray[np.float32],
) -> NDArray[np.uint8]:
    """1 (H, W) where the surface point of a pixel is seen at the other time too: in the image and not hidden; else 0.

    ``flow`` (H, W, 2) is the optical flow and ``moved`` (H, W, 3) the scene flow to the other time, ``depth`` and
    ``depth_then`` (H, W) the depths at both. A point is hidden when all four pixels around it show nearer surfaces.
    """
    v, u = np.nonzero(depth)
    at = np.stack([u, v], 1).astype(np.float64) + flow[v, u]
    z = depth[v, u].astype(np.float64) + moved[v, u, 2]
    valid = np.zeros(depth.shape, np.uint8)
    valid[v, u] = _in_sight(at, z, depth_then)
    return valid


def leads_into_image(flow: NDArray[np.float32]) -> NDArray[np.uint8]:
    """1 (H, W) where a pixel plus its ``flow`` (H, W, 2) is in the image."""
    height, width = flow.shape[:2]
    at = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).astype(np.float64) + flow
    return inside(at.reshape(-1, 2), width, height).reshape(height, width).astype(np.uint8)


@dataclass(frozen=True, eq=False)
class PointTracks:
    """Q points followed through T frames (the arrays of TAP-Vid, Doersch et al. 2022, with depth).

    ``xy`` (Q, T, 2) float64 pixels, NaN behind the camera; ``xyz`` (Q, T, 3) float64 metres, camera frame; ``visible``
    (Q, T) bool: in the image and not hidden; ``instance`` (Q,) uint16, 0: the background.
    """

    xy: NDArray[np.float64]
    xyz: NDArray[np.float64]
    visible: NDArray[np.bool_]
    instance: NDArray[np.uint16]


def point_tracks(frames: Sequence[Frame], queries: ArrayLike) -> PointTracks:
    """The surface points under ``queries`` (Q, 3), rows of (place in ``frames``, column, row), through all ``frames``.

    ``frames`` are of one scene, of one camera through time or of several cameras. Points of labelled objects move with
    them; others are taken to stand still in the world, so leave out queries on unlabelled things that move. Needs the
    passes "depth" and "instance". Raises ValueError for a query where there is no surface, or outside of the image.
    """
    asked = np.asarray(queries).reshape(-1, 3).astype(np.int64)
    count, length = len(asked), len(frames)
    instance = np.zeros(count, np.uint16)
    anchored = np.zeros((count, 4))
    for q, (t, u, v) in enumerate(asked.tolist()):
        frame = frames[t]
        height, width = frame.images["depth"].shape
        z = float(frame.images["depth"][v, u]) if 0 <= u < width and 0 <= v < height else 0.0
        if z == 0:
            raise ValueError(f"query {q} asks for pixel ({u}, {v}) of frame {t}, where there is no surface")
        ray = unproject([[u, v]], frame.K, _coefficients(frame), frame.distortion_model)[0]  # type: ignore[arg-type]
        instance[q] = frame.images["instance"][v, u]
        anchored[q] = inverse(_carrier(frame, int(instance[q]))) @ [*(ray / ray[2] * z), 1.0]
    xyz, xy = np.zeros((count, length, 3)), np.zeros((count, length, 2))
    visible = np.zeros((count, length), np.bool_)
    for t, frame in enumerate(frames):
        for number in np.unique(instance).tolist():
            mine = instance == number
            xyz[mine, t] = (anchored[mine] @ _carrier(frame, number).T)[:, :3]
        model = frame.distortion_model
        xy[:, t] = project(xyz[:, t], frame.K, _coefficients(frame), model)  # type: ignore[arg-type]
        depth = frame.images["depth"]
        visible[:, t] = _in_sight(xy[:, t], xyz[:, t, 2], depth)
    return PointTracks(xy, xyz, visible, instance)


def _carrier(frame: Frame, instance: int) -> NDArray[np.float64]:
    """``T_cam_obj`` (4, 4) of an object, of the world for 0."""
    if instance == 0:
        return inverse(frame.T_world_cam)
    [row] = np.flatnonzero(frame.objects.instance_id == instance)
    pose: NDArray[np.float64] = frame.objects.T_cam_obj[row]
    return pose


def _coefficients(frame: Frame) -> NDArray[np.float64]:
    return frame.distortion[: len(COEFFICIENTS[frame.distortion_model])]


def _in_sight(at: NDArray[np.float64], z: NDArray[np.float64], depth: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether points (n,) at pixels (n, 2) and z-depths are in the image and not hidden."""
    hidden, _, _ = before(at, z, depth)
    return (z > 0) & ~hidden & inside(at, depth.shape[1], depth.shape[0])

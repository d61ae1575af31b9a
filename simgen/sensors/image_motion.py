"""How fast things move in an image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from simgen.geometry import inverse
from simgen.render.base import Camera, Drawable, Renderer, Snapshot

Array = NDArray[np.float64]

_WIDTH = 96
"""Pixels across of the small image in which motion is looked for."""


def top_speed(renderer: Renderer, shoot: Callable[[float], Snapshot], span: float) -> float:
    """The fastest motion in the image, in its pixels a second, while ``span`` seconds pass around the time of a frame.

    ``shoot`` gives the snapshot at a time from that of the frame. Looked for among what a small image shows at the
    begin, the middle and the end, the corners of what moves, and the background.
    """
    step = span / 16
    pairs = [(-span / 2, -span / 2 + step), (-step / 2, step / 2), (span / 2 - step, span / 2)]
    return max(_speed(renderer, shoot(a), shoot(b)) for a, b in pairs) / step


def _speed(renderer: Renderer, now: Snapshot, then: Snapshot) -> float:
    """The longest way, in pixels, from one snapshot to another."""
    camera = now.camera
    T_then_now = inverse(then.camera.T_world_cam) @ camera.T_world_cam
    moving = [
        (a, inverse(then.camera.T_world_cam) @ b.T_world_obj @ inverse(a.T_world_obj) @ camera.T_world_cam)
        for a, b in zip(now.drawables, then.drawables, strict=True)
        if not np.array_equal(a.T_world_obj, b.T_world_obj)
    ]
    if not moving and np.array_equal(camera.T_world_cam, then.camera.T_world_cam):
        return 0.0
    points, far = _seen(renderer, now)
    fastest = _way(far @ T_then_now[:3, :3].T, far, camera)
    still = np.ones(len(points), np.bool_)
    for thing, T in moving:
        inside, corners = _part(thing, camera, points)
        still &= ~inside
        part = np.concatenate([points[inside], corners])
        fastest = max(fastest, _way(part @ T[:3, :3].T + T[:3, 3], part, camera))
    points = points[still]
    return max(fastest, _way(points @ T_then_now[:3, :3].T + T_then_now[:3, 3], points, camera))


def _seen(renderer: Renderer, snapshot: Snapshot) -> tuple[Array, Array]:
    """Surface points (n, 3) in the camera frame that a small image shows, and directions (m, 3) of the background."""
    camera = snapshot.camera
    scale = min(_WIDTH / camera.width, 1.0)
    width, height = max(round(camera.width * scale), 1), max(round(camera.height * scale), 1)
    size = np.array([width / camera.width, height / camera.height])
    K = camera.K.copy()
    K[:2] *= size[:, None]
    K[:2, 2] += (size - 1) / 2
    small = replace(
        snapshot,
        camera=replace(camera, K=K, width=width, height=height),
        environment=replace(snapshot.environment, background=None),
    )
    depth = renderer.render([small], ["depth"]).images["depth"][0].astype(np.float64).ravel()
    v, u = np.divmod(np.arange(width * height), width)
    rays = np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], np.ones(len(u))], 1)
    return rays[depth > 0] * depth[depth > 0, None], rays[depth == 0]


def _part(thing: Drawable, camera: Camera, points: Array) -> tuple[NDArray[np.bool_], Array]:
    """Which of ``points`` lie in the box around a drawable, and the corners of the box that are in view."""
    T = inverse(camera.T_world_cam) @ thing.T_world_obj
    ends = np.stack([thing.mesh.vertices.min(0), thing.mesh.vertices.max(0)]) * np.array(thing.scale)
    low, high = ends.min(0), ends.max(0)
    slack = 1e-3 + 0.02 * (high - low)
    local = (points - T[:3, 3]) @ T[:3, :3]
    inside = ((local > low - slack) & (local < high + slack)).all(1)
    signs = np.array(list(np.ndindex(2, 2, 2)))
    corners = np.where(signs, high, low) @ T[:3, :3].T + T[:3, 3]
    corners = corners[corners[:, 2] > camera.near]
    pixels = corners @ camera.K.T
    pixels = pixels[:, :2] / pixels[:, 2:]
    size = np.array([camera.width, camera.height])
    return inside, corners[((pixels > -0.1 * size) & (pixels < 1.1 * size)).all(1)]


def _way(then: Array, now: Array, camera: Camera) -> float:
    """The longest way in pixels between points (n, 3) in the camera frame, of those before the camera both times."""
    ahead = (then[:, 2] > camera.near) & (now[:, 2] > camera.near)
    if not ahead.any():
        return 0.0
    a, b = now[ahead], then[ahead]
    ways = (b[:, :2] / b[:, 2:] - a[:, :2] / a[:, 2:]) * np.diag(camera.K)[:2]
    return float(np.hypot(ways[:, 0], ways[:, 1]).max())

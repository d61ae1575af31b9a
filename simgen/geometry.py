"""Rigid transforms, quaternions and pinhole cameras.

Conventions: metres and radians; the world is right-handed with z up; a camera looks along +z with x right and y down
(OpenCV); ``T_a_b`` is the 4x4 that maps points in b to points in a; quaternions are ``xyzw`` (PyBullet's order).
All functions compute in float64.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def transform(position: ArrayLike = (0, 0, 0), quaternion_xyzw: ArrayLike = (0, 0, 0, 1)) -> Array:
    """The 4x4 of a position (3,) in metres and a unit quaternion xyzw (4,)."""
    T = np.eye(4)
    T[:3, :3] = rotation_from_quaternion(quaternion_xyzw)
    T[:3, 3] = position
    return T


def inverse(T: ArrayLike) -> Array:
    """The inverse of rigid transforms (..., 4, 4), by transposition rather than elimination."""
    T = np.asarray(T, np.float64)
    out = np.zeros_like(T)
    Rt = np.swapaxes(T[..., :3, :3], -1, -2)
    out[..., :3, :3] = Rt
    out[..., :3, 3] = -np.einsum("...ij,...j->...i", Rt, T[..., :3, 3])
    out[..., 3, 3] = 1.0
    return out


def rotation_from_quaternion(quaternion_xyzw: ArrayLike) -> Array:
    """The 3x3 rotation of a quaternion xyzw (4,), which is normalized first."""
    x, y, z, w = np.asarray(quaternion_xyzw, np.float64) / np.linalg.norm(quaternion_xyzw)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def quaternion_from_rotation(R: ArrayLike) -> Array:
    """The unit quaternion xyzw (4,), w >= 0, of a 3x3 rotation (Shepperd 1978: divide by the largest component)."""
    R = np.asarray(R, np.float64)
    t = np.trace(R)
    diagonal = np.array([R[0, 0], R[1, 1], R[2, 2], t])
    k = int(np.argmax(diagonal))
    if k == 3:
        q = np.array([R[2, 1] - R[1, 2], R[0, 2] - R[2, 0], R[1, 0] - R[0, 1], 1 + t])
    else:
        i, j, l = k, (k + 1) % 3, (k + 2) % 3  # noqa: E741
        q = np.empty(4)
        q[i] = 1 + R[i, i] - R[j, j] - R[l, l]
        q[j] = R[j, i] + R[i, j]
        q[l] = R[l, i] + R[i, l]
        q[3] = R[l, j] - R[j, l]
    q /= np.linalg.norm(q)
    return -q if q[3] < 0 else q


def quaternion_from_axis_angle(axis: ArrayLike, angle: float) -> Array:
    """The unit quaternion xyzw of a rotation by ``angle`` radians about ``axis`` (3,)."""
    a = np.asarray(axis, np.float64)
    return np.append(a / np.linalg.norm(a) * np.sin(angle / 2), np.cos(angle / 2))


def look_at(eye: ArrayLike, target: ArrayLike, roll: float = 0.0) -> Array:
    """``T_world_cam`` of a camera at ``eye`` (3,) that looks at ``target`` (3,) with world z up in the image.

    ``roll`` radians turn the camera clockwise about its viewing direction. A camera that looks straight up or down has
    world +y up in the image. Raises ValueError when eye and target coincide.
    """
    eye, target = np.asarray(eye, np.float64), np.asarray(target, np.float64)
    z = target - eye
    if np.linalg.norm(z) < 1e-12:
        raise ValueError("the camera and the point it looks at coincide")
    z /= np.linalg.norm(z)
    up = np.array([0.0, 0.0, 1.0]) if abs(z[2]) < 1 - 1e-9 else np.array([0.0, 1.0, 0.0])
    x = np.cross(z, up)
    x /= np.linalg.norm(x)
    y = np.cross(z, x)
    c, s = np.cos(roll), np.sin(roll)
    T = np.eye(4)
    T[:3, 0], T[:3, 1], T[:3, 2], T[:3, 3] = c * x + s * y, c * y - s * x, z, eye
    return T


def intrinsics(width: int, height: int, hfov: float, shift: tuple[float, float] = (0.0, 0.0)) -> Array:
    """``K`` (3, 3) of square pixels with a horizontal field of view in radians.

    The principal point is the image centre ((W-1)/2, (H-1)/2), pixel centres being integers, moved by ``shift``
    pixels.
    """
    f = width / 2 / np.tan(hfov / 2)
    return np.array([[f, 0, (width - 1) / 2 + shift[0]], [0, f, (height - 1) / 2 + shift[1]], [0, 0, 1.0]])

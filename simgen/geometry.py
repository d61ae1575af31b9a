"""Rigid transforms, quaternions and pinhole cameras.

Conventions: metres and radians; the world is right-handed with z up; a camera looks along +z with x right and y down
(OpenCV); ``T_a_b`` is the 4x4 that maps points in b to points in a; quaternions are ``xyzw`` (PyBullet's order).
All functions compute in float64.
"""

from __future__ import annotations

import math

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
    q = np.asarray(quaternion_xyzw, np.float64)
    x, y, z, w = (q / length(q)).tolist()
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def quaternion_from_rotation(R: ArrayLike) -> Array:
    """The unit quaternion xyzw (4,), w >= 0, of a 3x3 rotation (Shepperd 1978: divide by the largest component)."""
    (a, b, c), (d, e, f), (g, h, i) = np.asarray(R, np.float64).tolist()
    t = a + e + i
    largest = max(a, e, i, t)
    if largest == a:
        q = np.array([1 + a - e - i, d + b, g + c, h - f])
    elif largest == e:
        q = np.array([b + d, 1 + e - i - a, h + f, c - g])
    elif largest == i:
        q = np.array([c + g, f + h, 1 + i - a - e, d - b])
    else:
        q = np.array([h - f, c - g, d - b, 1 + t])
    q /= length(q)
    return -q if q[3] < 0 else q


def quaternion_from_axis_angle(axis: ArrayLike, angle: float) -> Array:
    """The unit quaternion xyzw of a rotation by ``angle`` radians about ``axis`` (3,)."""
    a = np.asarray(axis, np.float64)
    return np.append(a / length(a) * np.sin(angle / 2), np.cos(angle / 2))


def look_at(eye: ArrayLike, target: ArrayLike, roll: float = 0.0) -> Array:
    """``T_world_cam`` of a camera at ``eye`` (3,) that looks at ``target`` (3,) with world z up in the image.

    ``roll`` radians turn the camera clockwise about its viewing direction. A camera that looks straight up or down has
    world +y up in the image. Raises ValueError when eye and target coincide.
    """
    eye, target = np.asarray(eye, np.float64), np.asarray(target, np.float64)
    z = target - eye
    distance = length(z)
    if distance < 1e-12:
        raise ValueError("the camera and the point it looks at coincide")
    z /= distance
    up = np.array([0.0, 0.0, 1.0]) if abs(z[2]) < 1 - 1e-9 else np.array([0.0, 1.0, 0.0])
    x = cross(z, up)
    x /= length(x)
    y = cross(z, x)
    c, s = np.cos(roll), np.sin(roll)
    T = np.eye(4)
    T[:3, 0], T[:3, 1], T[:3, 2], T[:3, 3] = c * x + s * y, c * y - s * x, z, eye
    return T


def length(v: Array) -> float:
    """The Euclidean length of one short vector (n,), for which ``np.linalg.norm`` takes ten times as long."""
    total = 0.0
    for x in v.tolist():
        total += x * x
    return math.sqrt(total)


def cross(a: Array, b: Array) -> Array:
    """The cross product of two vectors (3,): what ``np.cross`` gives, without what that spends on axes."""
    (x, y, z), (u, v, w) = a.tolist(), b.tolist()
    return np.array([y * w - z * v, z * u - x * w, x * v - y * u])


def intrinsics(width: int, height: int, hfov: float, shift: tuple[float, float] = (0.0, 0.0)) -> Array:
    """``K`` (3, 3) of square pixels with a horizontal field of view in radians.

    The principal point is the image centre ((W-1)/2, (H-1)/2), pixel centres being integers, moved by ``shift``
    pixels.
    """
    f = width / 2 / np.tan(hfov / 2)
    return np.array([[f, 0, (width - 1) / 2 + shift[0]], [0, f, (height - 1) / 2 + shift[1]], [0, 0, 1.0]])

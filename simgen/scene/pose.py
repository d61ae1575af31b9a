"""Tuples of numbers and poses as plain data."""

from __future__ import annotations

from dataclasses import dataclass

Vec2 = tuple[float, float]
Vec3 = tuple[float, float, float]
Vec4 = tuple[float, float, float, float]


@dataclass(frozen=True)
class Pose:
    """``T_parent_child`` as a position in metres and a unit quaternion."""

    position: Vec3 = (0.0, 0.0, 0.0)
    quaternion_xyzw: Vec4 = (0.0, 0.0, 0.0, 1.0)

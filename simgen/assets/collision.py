"""Collision shapes in the frame of an asset: turned, moved, stretched."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from simgen.assets.asset import Asset, CollisionShape, Inertia
from simgen.assets.hull import convex_hull, volume
from simgen.assets.inertia import checked_scale, scaled_inertia, solid_inertia
from simgen.assets.mesh import F64, rotate
from simgen.errors import AssetError


def placed(shape: CollisionShape, R: F64, offset: F64) -> CollisionShape:
    """``shape`` turned by ``R`` (3, 3) and moved by ``offset`` (3,); kinds that cannot turn become hulls."""
    x, y, z = (float(c) for c in rotate(R, np.asarray(shape.center, np.float64)) + offset)
    if shape.kind == "sphere":
        return CollisionShape("sphere", None, shape.size, (x, y, z))
    axes = np.abs(np.rint(R))
    if shape.kind != "hull" and np.abs(np.abs(R) - axes).max() < 1e-6 and (shape.kind == "box" or axes[2, 2] == 1):
        size = tuple(float(s) for s in rotate(axes, np.asarray(shape.size, np.float64)))
        return CollisionShape(shape.kind, None, size, (x, y, z))  # type: ignore[arg-type]
    return CollisionShape("hull", np.ascontiguousarray(rotate(R, outline(shape)) + offset, np.float32))


def outline(shape: CollisionShape) -> F64:
    """Points (n <= 64, 3) whose hull stands for ``shape`` and has its volume."""
    if shape.kind == "hull":
        assert shape.vertices is not None
        return shape.vertices.astype(np.float64)
    half = np.asarray(shape.size, np.float64) / 2
    if shape.kind == "box":
        signs = np.array([(i, j, k) for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)], np.float64)
        return signs * half + shape.center
    if shape.kind == "cylinder":
        around = ring(24, equal_area=True)
        return np.concatenate([np.column_stack([around, np.full(24, z)]) for z in (-1.0, 1.0)]) * half + shape.center
    radius = float(half[0])
    straight = max(float(half[2]) - radius, 0.0) if shape.kind == "capsule" else 0.0
    levels = [(k * math.pi / 6, 1 if k == 0 else 10) for k in range(4)]
    top = [np.column_stack([ring(n) * math.sin(a), np.full(n, math.cos(a))]) for a, n in levels]
    cap = np.concatenate(top) * radius + (0, 0, straight)
    points = np.concatenate([cap, cap * (1, 1, -1)])
    wanted = 2 * math.pi * radius**2 * straight + 4 / 3 * math.pi * radius**3
    return points * (wanted / volume(*convex_hull(points))) ** (1 / 3) + shape.center


def ring(n: int, equal_area: bool = False) -> F64:
    """Corners (n, 2) of a regular polygon in the unit circle, or of the circle's area."""
    angles = [2 * math.pi * k / n for k in range(n)]
    radius = math.sqrt(2 * math.pi / (n * math.sin(2 * math.pi / n))) if equal_area else 1.0
    return np.array([(radius * math.cos(a), radius * math.sin(a)) for a in angles])


def scaled_shape(shape: CollisionShape, scale: Sequence[float]) -> CollisionShape:
    """``shape`` stretched by ``scale`` (x, y, z) about the asset's origin; it becomes a hull where its kind ends."""
    x, y, z = checked_scale(scale)
    if (x, y, z) == (1.0, 1.0, 1.0):
        return shape
    if shape.kind == "hull":
        assert shape.vertices is not None
        return CollisionShape("hull", np.ascontiguousarray(shape.vertices * np.array([x, y, z]), np.float32))
    across = math.isclose(x, y, rel_tol=1e-6)
    if shape.kind == "box" or (across and (shape.kind == "cylinder" or math.isclose(x, z, rel_tol=1e-6))):
        sx, sy, sz = shape.size
        cx, cy, cz = shape.center
        return CollisionShape(shape.kind, None, (sx * x, sy * y, sz * z), (cx * x, cy * y, cz * z))
    return CollisionShape("hull", np.ascontiguousarray(outline(shape) * np.array([x, y, z]), np.float32))


@lru_cache(maxsize=128)
def scaled_shapes(shapes: tuple[CollisionShape, ...], scale: tuple[float, float, float]) -> tuple[CollisionShape, ...]:
    """``shapes`` stretched by ``scale`` (x, y, z) about the asset's origin; the same ones for the same again.

    Raises AssetError for a scale that is not positive.
    """
    return tuple(scaled_shape(shape, scale) for shape in shapes)


def scaled_physics(
    asset: Asset, scale: Sequence[float] = (1.0, 1.0, 1.0), mass: float | None = None
) -> tuple[tuple[CollisionShape, ...], Inertia]:
    """Collision shapes and inertia of ``asset`` stretched by ``scale`` (x, y, z) about its origin.

    The mass is the asset's own times the change of volume, unless ``mass`` in kg is given; centre of mass and moments
    follow the stretch exactly. Raises AssetError for an articulated asset, and for a scale or mass that is not
    positive.
    """
    if asset.articulated or not asset.collision:
        raise AssetError(f'asset "{asset.name}" has no rigid collision shape: load it from its URDF')
    inertia = solid_inertia(asset.collision) if asset.inertia is None else asset.inertia
    x, y, z = scale
    return scaled_shapes(asset.collision, (x, y, z)), scaled_inertia(inertia, scale, mass)

"""Geometric bodies of unit size: the largest extent is 1 m, and the box around them is centred on the origin."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from simgen.assets.asset import Asset, CollisionShape, Mesh
from simgen.assets.collision import ring, scaled_shape
from simgen.assets.decomposition import hull_shape
from simgen.assets.inertia import solid_inertia
from simgen.assets.mesh import F64, bounds, build, merged, moved, unit

SEGMENTS = 48
"""Straight pieces around a round body."""

TUBE = 0.15
"""Radius of the torus' tube; its ring has a radius of 0.5 - TUBE."""

ROUNDING = 0.15
"""Radius of the rounded box's edges."""

ELLIPSOID = (1.0, 0.7, 0.5)
"""Extents of the ellipsoid."""

FLOOR_DEPTH = 0.1
"""Thickness of the solid below the plane, so that nothing falls through between two steps."""

Parts = tuple[tuple[Mesh, ...], tuple[CollisionShape, ...]]


def primitive(kind: str, name: str) -> Asset:
    """The body ``kind``, one of PRIMITIVES, as an asset called ``name``."""
    meshes, shapes = _BUILDERS[kind]()
    return Asset(name, kind, meshes, bounds(meshes), shapes, solid_inertia(shapes))


def box_mesh() -> Mesh:
    """A cube; each face shows the whole texture."""
    corners = np.array([(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
    return polyhedron(corners, ((4, 6, 7, 5), (2, 0, 1, 3), (6, 2, 3, 7), (0, 4, 5, 1), (1, 5, 7, 3), (2, 6, 4, 0)))


def sphere_mesh() -> Mesh:
    """A sphere of diameter 1 with equirectangular texture coordinates."""
    angles = np.linspace(0, math.pi, SEGMENTS // 2 + 1)
    profile = np.array([(math.sin(a), math.cos(a)) for a in angles])
    profile[[0, -1], 0] = 0
    return revolve(profile / 2, profile)


def cylinder_mesh() -> Mesh:
    """A cylinder of diameter and height 1 along z."""
    side = revolve([(0.5, 0.5), (0.5, -0.5)], [(1, 0), (1, 0)])
    return merged([side, _disk(0.5, up=True), _disk(-0.5, up=False)])[0]


def capsule_mesh(diameter: float = 0.5, height: float = 1.0) -> Mesh:
    """A capsule along z whose ``height`` counts its caps."""
    angles = np.linspace(0, math.pi / 2, SEGMENTS // 4 + 1)
    top = np.array([(math.sin(a), math.cos(a)) for a in angles])
    top[0, 0], top[-1, 1] = 0, 0
    normals = np.concatenate([top, top[::-1] * (1, -1)])
    points = normals * (diameter / 2)
    points[:, 1] += np.where(np.arange(len(points)) < len(top), 1, -1) * (height - diameter) / 2
    return revolve(points, normals)


def polyhedron(vertices: F64, polygons: Sequence[Sequence[int]]) -> Mesh:
    """Flat faces; each polygon (counter-clockwise from outside) is laid out over the whole texture, upright."""
    points, normals, uv, faces = [], [], [], []
    count = 0
    for polygon in polygons:
        p = vertices[list(polygon)]
        normal = unit(np.cross(p[1] - p[0], p[2] - p[0]))
        up = np.array([0.0, 0.0, 1.0]) if abs(normal[2]) < 0.99 else np.array([0.0, 1.0, 0.0])
        right = unit(np.cross(up, normal))
        flat = np.stack([p @ right, p @ -np.cross(normal, right)], axis=-1)
        flat -= flat.min(axis=0)
        points.append(p)
        normals.append(np.broadcast_to(normal, p.shape))
        uv.append(flat / flat.max())
        faces += [(count, count + k, count + k + 1) for k in range(1, len(p) - 1)]
        count += len(p)
    return build(np.concatenate(points), faces, np.concatenate(normals), uv=np.concatenate(uv))


def revolve(profile: ArrayLike, normals: ArrayLike) -> Mesh:
    """The surface of a ``profile`` (k, 2) of radius and height, walked downwards, turned about z.

    ``normals`` (k, 2) of the profile are unit. The texture goes once round and once down.
    """
    profile_, outward = np.asarray(profile, np.float64), np.asarray(normals, np.float64)
    circle = np.concatenate([ring(SEGMENTS), ring(SEGMENTS)[:1]])
    points, directions = (
        np.concatenate(
            [np.broadcast_to(line[:, :1, None] * circle, (len(line), SEGMENTS + 1, 2)), _column(line[:, 1])], axis=2
        )
        for line in (profile_, outward)
    )
    steps = np.sqrt((np.diff(profile_, axis=0) ** 2).sum(axis=1))
    down = np.concatenate([[0], np.cumsum(steps)]) / steps.sum()
    uv = np.stack(np.broadcast_arrays(np.linspace(0, 1, SEGMENTS + 1)[None, :], down[:, None]), axis=-1)
    index = np.arange(points.shape[0] * (SEGMENTS + 1)).reshape(points.shape[:2])
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    upper, lower = np.stack([a, c, d], axis=-1), np.stack([a, b, c], axis=-1)
    faces = np.concatenate([upper[profile_[:-1, 0] > 0].reshape(-1, 3), lower[profile_[1:, 0] > 0].reshape(-1, 3)])
    return build(points.reshape(-1, 3), faces, directions.reshape(-1, 3), uv=uv.reshape(-1, 2))


def _column(heights: F64) -> F64:
    return np.broadcast_to(heights[:, None, None], (len(heights), SEGMENTS + 1, 1))


def _disk(z: float, up: bool) -> Mesh:
    """A disk of diameter 1 at height ``z`` that faces up or down."""
    rim = ring(SEGMENTS) / 2
    points = np.column_stack([rim, np.full(SEGMENTS, z)])
    faces = np.array([(0, k, k + 1) for k in range(1, SEGMENTS - 1)])
    side = 1.0 if up else -1.0
    uv = 0.5 + rim * (1, -side)
    normals = np.broadcast_to([0.0, 0.0, side], points.shape)
    return build(points, faces if up else faces[:, ::-1], normals, uv=uv)


def _box() -> Parts:
    return (box_mesh(),), (CollisionShape("box", size=(1.0, 1.0, 1.0)),)


def _sphere() -> Parts:
    return (sphere_mesh(),), (CollisionShape("sphere", size=(1.0, 1.0, 1.0)),)


def _cylinder() -> Parts:
    return (cylinder_mesh(),), (CollisionShape("cylinder", size=(1.0, 1.0, 1.0)),)


def _capsule() -> Parts:
    return (capsule_mesh(),), (CollisionShape("capsule", size=(0.5, 0.5, 1.0)),)


def _ellipsoid() -> Parts:
    return (moved(sphere_mesh(), np.diag(ELLIPSOID)),), (scaled_shape(_sphere()[1][0], ELLIPSOID),)


def _cone() -> Parts:
    slope = np.array([1.0, 0.5]) / math.sqrt(1.25)
    side = revolve([(0.0, 0.5), (0.5, -0.5)], np.stack([slope, slope]))
    base = np.column_stack([ring(24, equal_area=True) / 2, np.full(24, -0.5)])
    return merged([side, _disk(-0.5, up=False)]), (hull_shape(np.concatenate([base, [(0, 0, 0.5)]])),)


def _torus() -> Parts:
    normals = np.concatenate([ring(24), ring(24)[:1]])[::-1]
    radius = 0.5 - TUBE
    mesh = revolve(normals * TUBE + (radius, 0), normals)
    section = ring(8, equal_area=True) * TUBE + (radius, 0)
    cuts = ring(12, equal_area=True)
    pieces = [
        np.concatenate([np.column_stack([section[:, :1] * cut, section[:, 1]]) for cut in (cuts[k - 1], cuts[k])])
        for k in range(len(cuts))
    ]
    return (mesh,), tuple(hull_shape(piece) for piece in pieces)


def _rounded_box() -> Parts:
    flat = 0.5 - ROUNDING
    arc = [flat + ROUNDING * math.tan(a) for a in np.linspace(0, math.pi / 4, 5)]
    line = np.array([-t for t in reversed(arc)] + arc)
    s, t = np.meshgrid(line, line)
    index = np.arange(s.size).reshape(s.shape)
    a, b, c, d = (part.ravel() for part in (index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]))
    faces = np.concatenate([np.stack([a, b, c], axis=-1), np.stack([a, c, d], axis=-1)])
    sheet = np.stack([s.ravel(), t.ravel(), np.full(s.size, 0.5)], axis=-1)
    core = np.clip(sheet, -flat, flat)
    normal = unit(sheet - core)
    top = build(core + normal * ROUNDING, faces, normal, uv=np.stack([sheet[:, 0], -sheet[:, 1]], axis=-1) + 0.5)
    sides = [((1, 0, 0), (0, 1, 0)), ((1, 0, 0), (0, -1, 0))]  # right and up of the faces +z and -z
    sides += [((-y, x, 0), (0, 0, 1)) for x, y in ((1, 0), (0, 1), (-1, 0), (0, -1))]
    turned = [moved(top, np.column_stack([right, up, np.cross(right, up)])) for right, up in sides]
    corners = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * flat
    pushes = [np.diag([ROUNDING, 0, 0]), np.diag([0, ROUNDING, 0]), np.diag([0, 0, ROUNDING])]
    pushes.append(np.eye(3) * (ROUNDING / math.sqrt(3)))
    hull = np.concatenate([corners + np.sign(corners) @ push for push in pushes])
    return merged(turned), (hull_shape(hull),)


def _solid(vertices: Sequence[Sequence[float]], polygons: Sequence[Sequence[int]]) -> Parts:
    points = np.array(vertices, np.float64)
    low, high = points.min(axis=0), points.max(axis=0)
    points = (points - (low + high) / 2) / (high - low).max()
    return (polyhedron(points, polygons),), (hull_shape(points),)


def _prism() -> Parts:
    base = ring(6) / 2
    points = [(x, y, z) for z in (-0.5, 0.5) for x, y in base.tolist()]
    sides = [(k, (k + 1) % 6, (k + 1) % 6 + 6, k + 6) for k in range(6)]
    return _solid(points, [*sides, tuple(range(6, 12)), tuple(range(5, -1, -1))])


def _pyramid() -> Parts:
    points = [(-0.5, -0.5, -0.5), (0.5, -0.5, -0.5), (0.5, 0.5, -0.5), (-0.5, 0.5, -0.5), (0.0, 0.0, 0.5)]
    return _solid(points, [(0, 1, 4), (1, 2, 4), (2, 3, 4), (3, 0, 4), (3, 2, 1, 0)])


def _tetrahedron() -> Parts:
    h, r = math.sqrt(2 / 3), 1 / math.sqrt(3)
    points = [(r, 0, 0), (-r / 2, 0.5, 0), (-r / 2, -0.5, 0), (0, 0, h)]
    return _solid(points, [(0, 1, 3), (1, 2, 3), (2, 0, 3), (2, 1, 0)])


def _icosahedron() -> Parts:
    g = (1 + math.sqrt(5)) / 2
    points: list[tuple[float, float, float]] = [(0, i, j * g) for i in (1, -1) for j in (1, -1)]
    points += [(i, j * g, 0) for i in (1, -1) for j in (1, -1)]
    points += [(j * g, 0, i) for i in (1, -1) for j in (1, -1)]
    p = np.array(points)
    triples = [(i, j, k) for i in range(12) for j in range(i + 1, 12) for k in range(j + 1, 12)]
    edge = 2.0 + 1e-9
    near = [
        t
        for t in triples
        if all(np.linalg.norm(p[a] - p[b]) <= edge for a, b in ((t[0], t[1]), (t[1], t[2]), (t[2], t[0])))
    ]
    faces = [t if np.dot(np.cross(p[t[1]] - p[t[0]], p[t[2]] - p[t[0]]), p[t[0]]) > 0 else t[::-1] for t in near]
    return _solid(points, faces)


def _plane() -> Parts:
    square = np.array([(-0.5, -0.5, 0), (0.5, -0.5, 0), (0.5, 0.5, 0), (-0.5, 0.5, 0)])
    solid = CollisionShape("box", size=(1.0, 1.0, FLOOR_DEPTH), center=(0.0, 0.0, -FLOOR_DEPTH / 2))
    return (polyhedron(square, [(0, 1, 2, 3)]),), (solid,)


_BUILDERS: dict[str, Callable[[], Parts]] = {
    "box": _box,
    "capsule": _capsule,
    "cone": _cone,
    "cylinder": _cylinder,
    "ellipsoid": _ellipsoid,
    "icosahedron": _icosahedron,
    "plane": _plane,
    "prism": _prism,
    "pyramid": _pyramid,
    "rounded_box": _rounded_box,
    "sphere": _sphere,
    "tetrahedron": _tetrahedron,
    "torus": _torus,
}

PRIMITIVES: tuple[str, ...] = tuple(_BUILDERS)
"""The kinds of geometric bodies; "plane" is a square that faces up, with a solid below."""

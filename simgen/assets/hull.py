"""Convex hulls of points, and hulls of few vertices that stand for them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

from simgen.assets.mesh import cross
from simgen.errors import AssetError

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

MAX_VERTICES = 64
"""Vertices that a collision hull may have; more cost time in contact search and gain nothing visible."""

THINNEST = 1e-3
"""Metres to which points in a plane or on a line are thickened: a solid of no thickness cannot be simulated."""


def convex_hull(points: NDArray[np.float32] | F64) -> tuple[F64, I64]:
    """Vertices (n, 3) and outward faces (m, 3) of the hull of ``points``.

    Points in a plane, on a line or in one place are thickened to a millimetre. Raises AssetError without points.
    """
    cloud = _distinct(np.asarray(points, np.float64))
    if len(cloud) == 0:
        raise AssetError("a collision shape without vertices cannot be used: give it some or leave it out")
    hull = _qhull(cloud)
    if hull is None:
        hull = _qhull(_thickened(cloud))
    if hull is None:
        raise AssetError(
            "a collision shape has vertices too far apart or too close to enclose a volume: correct its scale"
        )
    corners = np.sort(hull.vertices)
    number = np.zeros(len(hull.points), np.int64)
    number[corners] = np.arange(len(corners))
    vertices = np.ascontiguousarray(hull.points[corners])
    faces = number[hull.simplices]
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    inward = (cross(b - a, c - a) * hull.equations[:, :3]).sum(axis=1) < 0
    faces[inward] = faces[inward][:, ::-1]
    return vertices, faces


def hull_planes(points: NDArray[np.float32] | F64) -> F64:
    """Outward unit normals and offsets (m, 4) of the planes around ``points``: n x + offset <= 0 inside."""
    vertices, faces = convex_hull(points)
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    normal = cross(b - a, c - a)
    length = np.sqrt((normal * normal).sum(axis=1, keepdims=True))
    normal = normal[length[:, 0] > 0] / length[length[:, 0] > 0]
    return np.column_stack([normal, -(normal * a[length[:, 0] > 0]).sum(axis=1)])


def small_hull(points: NDArray[np.float32] | F64, limit: int = MAX_VERTICES) -> F64:
    """Vertices (n <= limit, 3) of a hull that stands for the one of ``points``.

    When the hull has more, its vertex farthest from the hull so far is added until the limit is reached, and the result
    is grown about its middle to the volume of the whole: on average it is neither inside nor outside.
    """
    vertices, faces = convex_hull(points)
    if len(vertices) <= limit:
        return vertices
    chosen = sorted({int(k) for axis in range(3) for k in (vertices[:, axis].argmin(), vertices[:, axis].argmax())})
    x, y, z = vertices.T[:, :, None]
    while len(chosen) < limit:
        hull = _qhull(vertices[chosen])
        if hull is None:  # the extreme points of a flat shape: any further one gives it volume
            rest = [k for k in range(len(vertices)) if k not in chosen]
            chosen.append(rest[len(rest) // 2])
            continue
        nx, ny, nz, offset = hull.equations.T[:, None, :]
        outside = (x * nx + y * ny + z * nz + offset).max(axis=1)
        outside[chosen] = -np.inf
        chosen.append(int(outside.argmax()))
    few, few_faces = convex_hull(vertices[chosen])
    middle = few.mean(axis=0)
    growth = (volume(vertices, faces) / volume(few, few_faces)) ** (1 / 3)
    return middle + (few - middle) * growth


def volume(vertices: F64, faces: I64) -> float:
    """Volume in m^3 bounded by outward ``faces`` (m, 3)."""
    a, b, c = (vertices[faces[:, k]] - vertices[0] for k in range(3))
    return float((a * cross(b, c)).sum() / 6)


def extents(points: F64) -> tuple[F64, F64]:
    """Root sums of squares (3,) of ``points`` about their mean along its principal directions (3, 3; rows), falling."""
    triangle = np.linalg.qr(points - points.mean(axis=0), mode="r")
    _, sizes, directions = np.linalg.svd(triangle, full_matrices=True)
    return np.concatenate([sizes, np.zeros(3 - len(sizes))]), directions


def _distinct(points: F64) -> F64:
    """The rows of ``points`` (n, 3) that differ, sorted."""
    rows = points[np.lexsort(points.T[::-1])]
    new = np.ones(len(rows), np.bool_)
    new[1:] = (rows[1:] != rows[:-1]).any(axis=1)
    return rows[new]


def _qhull(points: F64) -> ConvexHull | None:
    try:
        hull = ConvexHull(points)
    except (QhullError, ValueError):
        return None
    return hull if hull.volume > 0 else None


def _thickened(cloud: F64) -> F64:
    """``cloud`` moved half of THINNEST along each direction (axes or normal) in which it has no extent."""
    sizes, directions = extents(cloud)
    out = cloud
    for k in range(3):
        if sizes[k] <= 1e-6 * max(sizes[0], THINNEST):
            step = directions[k] * (THINNEST / 2)
            out = np.concatenate([out - step, out + step])
    return out

"""Rays against triangles on the CPU: for lidar, visibility tests and checks of the rasterizer.

A bounding volume hierarchy is built with the surface area heuristic over binned centroids (Wald 2007) and traversed
nearest child first; triangles are intersected as in Moeller and Trumbore (1997), in double precision and strict IEEE
arithmetic. Surfaces have two sides and no holes: alpha cut-outs count as solid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simgen.kernels import kernel
from simgen.render.base import Snapshot

_BINS = 16
_LEAF = 4
_DEEPEST = 60
_EDGE = 1e-9  # barycentric slack, so that no ray slips between two triangles


@dataclass(frozen=True, eq=False)
class RayScene:
    """Triangles in a hierarchy.

    ``triangles`` (N, 3, 3) float32 corners in the order of the leaves; ``owner`` (N,) int32 whose each is, ``source``
    (N,) int32 its place in what was given. Node i has ``bounds[i]`` (low x, y, z, high x, y, z) float32 and either
    ``count[i]`` triangles from ``first[i]`` on, or (count 0) the children ``first[i]`` and ``first[i] + 1``.
    """

    triangles: NDArray[np.float32]
    owner: NDArray[np.int32]
    source: NDArray[np.int32]
    bounds: NDArray[np.float32]
    first: NDArray[np.int32]
    count: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Hits:
    """The nearest surface along each of R rays.

    ``t`` (R,) float64 in lengths of the direction, infinity where nothing is hit; ``owner`` (R,) int32, -1 where
    nothing is; ``normal`` (R, 3) float32, unit, of the flat triangle, facing the ray's origin; ``triangle`` (R,) int32,
    index into what the scene was built of; ``barycentric`` (R, 2) float32, weights of the second and third corner.
    """

    t: NDArray[np.float64]
    owner: NDArray[np.int32]
    normal: NDArray[np.float32]
    triangle: NDArray[np.int32]
    barycentric: NDArray[np.float32]


def world_triangles(snapshot: Snapshot) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Corners (N, 3, 3) float32 in the world of all drawables of ``snapshot``, and the index of each one's drawable."""
    corners = [np.zeros((0, 3, 3), np.float32)]
    owners = [np.zeros(0, np.int32)]
    for index, drawable in enumerate(snapshot.drawables):
        R, t = drawable.T_world_obj[:3, :3], drawable.T_world_obj[:3, 3]
        vertices = (drawable.mesh.vertices.astype(np.float64) * drawable.scale) @ R.T + t
        corners.append(vertices[drawable.mesh.faces].astype(np.float32))
        owners.append(np.full(len(drawable.mesh.faces), index, np.int32))
    return np.concatenate(corners), np.concatenate(owners)


def build(triangles: NDArray[np.float32], owner: NDArray[np.int32]) -> RayScene:
    """The hierarchy of ``triangles`` (N, 3, 3) float32 that belong to ``owner`` (N,); those with NaN are left out."""
    triangles = np.asarray(triangles, np.float32).reshape(-1, 3, 3)
    source = np.flatnonzero(np.isfinite(triangles).all((1, 2))).astype(np.int32)
    corners = triangles[source]
    low, high = corners.min(1), corners.max(1)
    nodes = max(2 * len(source), 2)
    bounds = np.zeros((nodes, 6), np.float32)
    first, count = np.zeros(nodes, np.int32), np.zeros(nodes, np.int32)
    order = np.arange(len(source), dtype=np.int32)
    used = _build(low, high, (low + high) / 2, order, bounds, first, count) if len(source) else 0
    order_source = source[order]
    return RayScene(
        np.ascontiguousarray(corners[order]),
        np.asarray(owner, np.int32)[order_source],
        order_source,
        bounds[:used].copy(),
        first[:used].copy(),
        count[:used].copy(),
    )


def ray_scene(snapshot: Snapshot) -> RayScene:
    """The hierarchy of everything in ``snapshot``; owners are indices of its drawables."""
    return build(*world_triangles(snapshot))


def cast(scene: RayScene, origins: ArrayLike, directions: ArrayLike, t_min: float = 0.0, t_max: float = np.inf) -> Hits:
    """The nearest hits of rays from ``origins`` (R, 3) or (3,) along ``directions`` (R, 3), ``t_min < t < t_max``."""
    o, d = _rays(origins, directions)
    r = len(d)
    t = np.full(r, np.inf)
    triangle = np.full(r, -1, np.int32)
    barycentric = np.zeros((r, 2), np.float32)
    normal = np.zeros((r, 3), np.float32)
    if len(scene.count):
        limit = np.full(r, t_max)
        _cast(
            scene.triangles,
            scene.bounds,
            scene.first,
            scene.count,
            o,
            d,
            t_min,
            limit,
            t,
            triangle,
            barycentric,
            normal,
        )
    hit = triangle >= 0
    owner, source = np.full(r, -1, np.int32), np.full(r, -1, np.int32)
    owner[hit], source[hit] = scene.owner[triangle[hit]], scene.source[triangle[hit]]
    return Hits(t, owner, normal, source, barycentric)


def _rays(origins: ArrayLike, directions: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    d = np.ascontiguousarray(np.asarray(directions, np.float64).reshape(-1, 3))
    return np.ascontiguousarray(np.broadcast_to(np.asarray(origins, np.float64), d.shape)), d


@kernel()
def _enclose(
    low: NDArray[np.float32],
    high: NDArray[np.float32],
    order: NDArray[np.int32],
    a: int,
    b: int,
    box: NDArray[np.float32],
) -> None:
    for c in range(3):
        box[c], box[c + 3] = low[order[a], c], high[order[a], c]
    for k in range(a + 1, b):
        for c in range(3):
            box[c] = min(box[c], low[order[k], c])
            box[c + 3] = max(box[c + 3], high[order[k], c])


@kernel()
def _half_area(box: NDArray[np.float32]) -> float:
    x, y, z = float(box[3] - box[0]), float(box[4] - box[1]), float(box[5] - box[2])
    return x * y + y * z + z * x


@kernel(error_model="numpy")
def _split(
    low: NDArray[np.float32],
    high: NDArray[np.float32],
    centre: NDArray[np.float32],
    order: NDArray[np.int32],
    a: int,
    b: int,
) -> int:
    """Sort the triangles a...b - 1 of ``order`` into two parts and give where the second begins; a: do not split."""
    span = np.zeros(3, np.float32)
    start = np.zeros(3, np.float32)
    for c in range(3):
        smallest = largest = centre[order[a], c]
        for k in range(a + 1, b):
            smallest, largest = min(smallest, centre[order[k], c]), max(largest, centre[order[k], c])
        span[c], start[c] = largest - smallest, smallest
    axis = int(np.argmax(span))
    if not span[axis] > 0:
        return (a + b) // 2  # all in one place: any halves will do
    per_bin = np.float32(_BINS * 0.9999) / span[axis]
    number = np.zeros(_BINS, np.int64)
    boxes = np.zeros((_BINS, 6), np.float32)
    for k in range(a, b):
        i = order[k]
        j = int((centre[i, axis] - start[axis]) * per_bin)
        for c in range(3):
            boxes[j, c] = low[i, c] if number[j] == 0 else min(boxes[j, c], low[i, c])
            boxes[j, c + 3] = high[i, c] if number[j] == 0 else max(boxes[j, c + 3], high[i, c])
        number[j] += 1
    # Cost of the right side for each border between bins, then of both sides from the left.
    right_cost = np.zeros(_BINS)
    box = np.zeros(6, np.float32)
    n = 0
    for j in range(_BINS - 1, 0, -1):
        n = _grow(box, boxes[j], n, number[j])
        right_cost[j] = n * _half_area(box) if n else 0.0
    best, best_cost = 0, np.inf
    n = 0
    for j in range(_BINS - 1):
        n = _grow(box, boxes[j], n, number[j])
        cost = n * _half_area(box) + right_cost[j + 1] if n else np.inf
        if n < b - a and cost < best_cost:
            best, best_cost = j + 1, cost
    middle = a
    for k in range(a, b):
        i = order[k]
        if int((centre[i, axis] - start[axis]) * per_bin) < best:
            order[k], order[middle] = order[middle], i
            middle += 1
    return middle if a < middle < b else (a + b) // 2


@kernel()
def _grow(box: NDArray[np.float32], other: NDArray[np.float32], n: int, more: int) -> int:
    """Extend a box that encloses n triangles by one that encloses ``more``."""
    if more:
        for c in range(3):
            box[c] = other[c] if n == 0 else min(box[c], other[c])
            box[c + 3] = other[c + 3] if n == 0 else max(box[c + 3], other[c + 3])
    return n + more


@kernel()
def _build(
    low: NDArray[np.float32],
    high: NDArray[np.float32],
    centre: NDArray[np.float32],
    order: NDArray[np.int32],
    bounds: NDArray[np.float32],
    first: NDArray[np.int32],
    count: NDArray[np.int32],
) -> int:
    """Fill the nodes from the root on; ``order`` becomes the order of the leaves. Returns the number of nodes."""
    stack = np.zeros((2 * _DEEPEST + 4, 4), np.int64)  # node, begin, end, depth
    stack[0, 2] = order.size
    top, used = 1, 1
    while top:
        top -= 1
        node, a, b, depth = stack[top]
        _enclose(low, high, order, a, b, bounds[node])
        if b - a <= _LEAF or depth >= _DEEPEST:
            first[node], count[node] = a, b - a
            continue
        middle = _split(low, high, centre, order, a, b)
        first[node], count[node] = used, 0
        stack[top, 0], stack[top, 1], stack[top, 2], stack[top, 3] = used, a, middle, depth + 1
        stack[top + 1, 0], stack[top + 1, 1], stack[top + 1, 2], stack[top + 1, 3] = used + 1, middle, b, depth + 1
        top += 2
        used += 2
    return used


@kernel(error_model="numpy")
def _inverse(d: float) -> float:
    """1 / d, finite also for a ray within a plane."""
    return 1.0 / d if abs(d) > 1e-300 else 1e300


@kernel()
def _enter(
    bounds: NDArray[np.float32],
    node: int,
    ox: float,
    oy: float,
    oz: float,
    ix: float,
    iy: float,
    iz: float,
    near: float,
    far: float,
) -> float:
    """Where a ray enters a box, or infinity when it does not between near and far."""
    x0, x1 = (bounds[node, 0] - ox) * ix, (bounds[node, 3] - ox) * ix
    y0, y1 = (bounds[node, 1] - oy) * iy, (bounds[node, 4] - oy) * iy
    z0, z1 = (bounds[node, 2] - oz) * iz, (bounds[node, 5] - oz) * iz
    enter = max(max(min(x0, x1), min(y0, y1)), max(min(z0, z1), near))
    leave = min(min(max(x0, x1), max(y0, y1)), min(max(z0, z1), far))
    # The box is widened by more than the rounding of these products.
    return enter if enter <= leave * 1.0000000001 + 1e-12 else np.inf


@kernel()
def _edge(triangles: NDArray[np.float32], k: int, corner: int) -> tuple[float, float, float]:
    """From the first corner of triangle k to another one; exact, as float32 differences are in double precision."""
    return (
        np.float64(triangles[k, corner, 0]) - np.float64(triangles[k, 0, 0]),
        np.float64(triangles[k, corner, 1]) - np.float64(triangles[k, 0, 1]),
        np.float64(triangles[k, corner, 2]) - np.float64(triangles[k, 0, 2]),
    )


@kernel(error_model="numpy")
def _intersect(
    triangles: NDArray[np.float32], k: int, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float
) -> tuple[float, float, float]:
    """Distance and the two barycentric weights of a ray in the plane of triangle k; infinity outside of it."""
    ux, uy, uz = _edge(triangles, k, 1)
    vx, vy, vz = _edge(triangles, k, 2)
    px, py, pz = dy * vz - dz * vy, dz * vx - dx * vz, dx * vy - dy * vx
    determinant = ux * px + uy * py + uz * pz
    if determinant == 0:
        return np.inf, 0.0, 0.0
    inverse = 1.0 / determinant
    sx, sy, sz = ox - triangles[k, 0, 0], oy - triangles[k, 0, 1], oz - triangles[k, 0, 2]
    u = (sx * px + sy * py + sz * pz) * inverse
    qx, qy, qz = sy * uz - sz * uy, sz * ux - sx * uz, sx * uy - sy * ux
    v = (dx * qx + dy * qy + dz * qz) * inverse
    if u < -_EDGE or v < -_EDGE or u + v > 1 + _EDGE:
        return np.inf, 0.0, 0.0
    return (vx * qx + vy * qy + vz * qz) * inverse, u, v


@kernel(error_model="numpy")
def _cast(
    triangles: NDArray[np.float32],
    bounds: NDArray[np.float32],
    first: NDArray[np.int32],
    count: NDArray[np.int32],
    origins: NDArray[np.float64],
    directions: NDArray[np.float64],
    t_min: float,
    t_max: NDArray[np.float64],
    t_out: NDArray[np.float64],
    triangle: NDArray[np.int32],
    barycentric: NDArray[np.float32],
    normal: NDArray[np.float32],
) -> None:
    stack = np.empty(_DEEPEST + 4, np.int32)
    entered = np.empty(_DEEPEST + 4)
    for r in range(directions.shape[0]):
        ox, oy, oz = origins[r, 0], origins[r, 1], origins[r, 2]
        dx, dy, dz = directions[r, 0], directions[r, 1], directions[r, 2]
        ix, iy, iz = _inverse(dx), _inverse(dy), _inverse(dz)
        best, found, best_u, best_v = t_max[r], -1, 0.0, 0.0
        stack[0], entered[0] = 0, _enter(bounds, 0, ox, oy, oz, ix, iy, iz, t_min, best)
        top = 1
        while top:
            top -= 1
            node = stack[top]
            if entered[top] > best or entered[top] == np.inf:
                continue
            while count[node] == 0:
                near, far = first[node], first[node] + 1
                t_near = _enter(bounds, near, ox, oy, oz, ix, iy, iz, t_min, best)
                t_far = _enter(bounds, far, ox, oy, oz, ix, iy, iz, t_min, best)
                if t_far < t_near:
                    near, far, t_near, t_far = far, near, t_far, t_near
                if t_near == np.inf:
                    node = -1
                    break
                if t_far < np.inf:
                    stack[top], entered[top] = far, t_far
                    top += 1
                node = near
            if node < 0:
                continue
            for k in range(first[node], first[node] + count[node]):
                t, u, v = _intersect(triangles, k, ox, oy, oz, dx, dy, dz)
                if t > t_min and t < best:
                    best, found, best_u, best_v = t, k, u, v
        if found < 0:
            continue
        t_out[r], triangle[r] = best, found
        barycentric[r, 0], barycentric[r, 1] = best_u, best_v
        ux, uy, uz = _edge(triangles, found, 1)
        vx, vy, vz = _edge(triangles, found, 2)
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        length = np.sqrt(nx * nx + ny * ny + nz * nz)
        if nx * dx + ny * dy + nz * dz > 0:
            length = -length
        normal[r, 0], normal[r, 1], normal[r, 2] = nx / length, ny / length, nz / length

"""Set-up of the triangles seen: what varies over each of them, as planes over the image.

Triangles of one drawable are set up a batch at a time, their values side by side in working memory (a channel after the
other), so that all but the gathering and handing over of values is vectorized; arithmetic is strict all the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simgen.render.raster.jit import ix, strict
from simgen.render.raster.layout import (
    BITANGENT,
    CAM_OBJ,
    COLORS_IN_POOL,
    CX,
    CY,
    FACE_N,
    FACES,
    FACES_IN_POOL,
    FIRST_FACE,
    FIRST_IN_POOL,
    FIRST_VERTEX,
    FX,
    FY,
    NEAR,
    NORMAL_MAP,
    PLACED,
    PLANE_NX,
    PLANE_R,
    PLANE_U,
    PLANE_V,
    PLANE_W,
    PROJECTION,
    SKEW,
    TANGENT,
    TRIANGLE,
    VERTEX,
    X0,
    Y0,
)
from simgen.render.raster.surface import _finite, box_coordinates, find_drawable, plane_steps

_BATCH = 64
_STRIDE = _BATCH + 8
"""From channel to channel; not a power of two, which would crowd one set of the cache."""

# Channels of a batch, float64; three corners are three channels apart where there are several values a corner.
_P = 0  # corners in the camera, x y z each
_O = 9  # corners of the object after scale
_N = 18  # normals as stored, then turned into the camera
_UV = 27  # u, v of each corner
_C = 33  # colours of the corners, r g b each
_AT = 42  # where the first corner is in the image, x and y
_RAY = 44  # the ray through the origin of the planes, x and y
_ROWS = 46  # of the inverse of the corners
_CHANNELS = 55


@strict
def _find_owners(visible: Any, count: int, draws: Any, owner: Any, order: Any) -> Any:
    """The drawables of the triangles seen, which ``order`` lists drawable by drawable; where each one's begin (M + 1).

    Triangles keep their order within a drawable: that in which they are seen, so that neighbours share cache lines.
    """
    starts = np.zeros(len(draws) + 1, np.int64)
    m = np.int64(0)
    for n in range(count):
        t = np.int64(visible[ix(n)])
        if not (draws[m, FIRST_FACE] <= t < draws[m, FIRST_FACE] + draws[m, FACES]):
            m = find_drawable(draws, t)
        owner[ix(n)] = m
        starts[m] += 1
    total = np.int64(0)
    for k in range(len(starts)):
        total, starts[k] = total + starts[k], total
    for n in range(count):
        m = np.int64(owner[ix(n)])
        order[ix(starts[m])] = n
        starts[m] += 1
    for k in range(len(starts) - 1, 0, -1):
        starts[k] = starts[k - 1]
    starts[0] = 0
    return starts


@strict
def _gather(
    lanes: int, first: int, m: int, order: Any, visible: Any, draws: Any, scales: Any, placed: Any, faces: Any,
    vertices: Any, colors: Any, f: Any,
) -> None:  # fmt: skip
    """Bring what belongs to triangles ``order[first]`` and the next, of drawable ``m``, into their lanes."""
    to_pool = 3 * (np.int64(draws[m, FACES_IN_POOL]) - draws[m, FIRST_FACE])
    first_vertex, first_in_pool = np.int64(draws[m, FIRST_VERTEX]), np.int64(draws[m, FIRST_IN_POOL])
    first_color = np.int64(draws[m, COLORS_IN_POOL])
    boxed = draws[m, PROJECTION] == 2
    sx, sy, sz = scales[m, 0], scales[m, 1], scales[m, 2]
    for lane in range(lanes):
        face = to_pool + 3 * np.int64(visible[ix(order[ix(first + lane)])])
        for k in range(3):
            v = np.int64(faces[ix(face + k)])
            at = (first_vertex + v) * PLACED
            f[ix((_P + 3 * k) * _STRIDE + lane)] = placed[ix(at)]
            f[ix((_P + 3 * k + 1) * _STRIDE + lane)] = placed[ix(at + 1)]
            f[ix((_P + 3 * k + 2) * _STRIDE + lane)] = placed[ix(at + 2)]
            if k == 0:
                f[ix(_AT * _STRIDE + lane)] = placed[ix(at + 3)]
                f[ix((_AT + 1) * _STRIDE + lane)] = placed[ix(at + 4)]
            at = (first_in_pool + v) * VERTEX
            f[ix((_N + 3 * k) * _STRIDE + lane)] = np.float64(vertices[ix(at + 3)])
            f[ix((_N + 3 * k + 1) * _STRIDE + lane)] = np.float64(vertices[ix(at + 4)])
            f[ix((_N + 3 * k + 2) * _STRIDE + lane)] = np.float64(vertices[ix(at + 5)])
            f[ix((_UV + 2 * k) * _STRIDE + lane)] = np.float64(vertices[ix(at + 6)])
            f[ix((_UV + 2 * k + 1) * _STRIDE + lane)] = np.float64(vertices[ix(at + 7)])
            if boxed:
                f[ix((_O + 3 * k) * _STRIDE + lane)] = np.float64(vertices[ix(at)]) * sx
                f[ix((_O + 3 * k + 1) * _STRIDE + lane)] = np.float64(vertices[ix(at + 1)]) * sy
                f[ix((_O + 3 * k + 2) * _STRIDE + lane)] = np.float64(vertices[ix(at + 2)]) * sz
            if first_color >= 0:
                at = 4 * (first_color + v)
                f[ix((_C + 3 * k) * _STRIDE + lane)] = np.float64(colors[ix(at)])
                f[ix((_C + 3 * k + 1) * _STRIDE + lane)] = np.float64(colors[ix(at + 1)])
                f[ix((_C + 3 * k + 2) * _STRIDE + lane)] = np.float64(colors[ix(at + 2)])


@strict
def _place_origins(lanes: int, camera: Any, size: Any, f: Any, o: Any) -> None:
    """The origin of the planes: the first corner, if it is in front, moved into the image; and the ray through it."""
    fx, fy, cx, cy, skew, near = camera[FX], camera[FY], camera[CX], camera[CY], camera[SKEW], camera[NEAR]
    width, height = size[0], size[1]
    for i in range(lanes):
        front = f[ix((_P + 2) * _STRIDE + i)] >= near
        ox = f[ix(_AT * _STRIDE + i)] if front else 0.5 * width
        oy = f[ix((_AT + 1) * _STRIDE + i)] if front else 0.5 * height
        ox = np.floor(min(max(ox, 0.0), width))
        oy = np.floor(min(max(oy, 0.0), height))
        o[ix(X0 * _STRIDE + i)] = ox
        o[ix(Y0 * _STRIDE + i)] = oy
        ry = (oy - cy) / fy
        f[ix((_RAY + 1) * _STRIDE + i)] = ry
        f[ix(_RAY * _STRIDE + i)] = (ox - cx - skew * ry) / fx


@strict
def _set_up_corners(
    lanes: int, m: int, matrices: Any, scales: Any, r2: float, r3: float, r4: float, f: Any, o: Any
) -> None:
    """The inverse of the corners, the plane of 1 / z and the normal of each triangle; normals of corners turned."""
    sx, sy, sz = scales[m, 0], scales[m, 1], scales[m, 2]
    R = matrices[m, CAM_OBJ : CAM_OBJ + 11]
    r00, r01, r02, r10, r11, r12, r20, r21, r22 = R[0], R[1], R[2], R[4], R[5], R[6], R[8], R[9], R[10]
    for i in range(lanes):
        x0, y0, z0 = f[ix(_P * _STRIDE + i)], f[ix((_P + 1) * _STRIDE + i)], f[ix((_P + 2) * _STRIDE + i)]
        x1, y1, z1 = f[ix((_P + 3) * _STRIDE + i)], f[ix((_P + 4) * _STRIDE + i)], f[ix((_P + 5) * _STRIDE + i)]
        x2, y2, z2 = f[ix((_P + 6) * _STRIDE + i)], f[ix((_P + 7) * _STRIDE + i)], f[ix((_P + 8) * _STRIDE + i)]
        ax, ay, az = x1 - x0, y1 - y0, z1 - z0
        bx, by, bz = x2 - x0, y2 - y0, z2 - z0
        nx, ny, nz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
        d = nx * x0 + ny * y0 + nz * z0
        # Rows of the inverse of the matrix of corners: barycentric coordinate / z = row . ray (Olano and Greer 1997).
        f[ix(_ROWS * _STRIDE + i)] = (y1 * z2 - z1 * y2) / d
        f[ix((_ROWS + 1) * _STRIDE + i)] = (z1 * x2 - x1 * z2) / d
        f[ix((_ROWS + 2) * _STRIDE + i)] = (x1 * y2 - y1 * x2) / d
        f[ix((_ROWS + 3) * _STRIDE + i)] = (y2 * z0 - z2 * y0) / d
        f[ix((_ROWS + 4) * _STRIDE + i)] = (z2 * x0 - x2 * z0) / d
        f[ix((_ROWS + 5) * _STRIDE + i)] = (x2 * y0 - y2 * x0) / d
        f[ix((_ROWS + 6) * _STRIDE + i)] = (y0 * z1 - z0 * y1) / d
        f[ix((_ROWS + 7) * _STRIDE + i)] = (z0 * x1 - x0 * z1) / d
        f[ix((_ROWS + 8) * _STRIDE + i)] = (x0 * y1 - y0 * x1) / d
        r0, r1 = f[ix(_RAY * _STRIDE + i)], f[ix((_RAY + 1) * _STRIDE + i)]
        p, q, r = plane_steps(nx / d, ny / d, nz / d, r0, r1, r2, r3, r4)
        o[ix(PLANE_W * _STRIDE + i)] = p
        o[ix((PLANE_W + 1) * _STRIDE + i)] = q
        o[ix((PLANE_W + 2) * _STRIDE + i)] = r
        length = np.sqrt(nx * nx + ny * ny + nz * nz)
        facing = -1.0 if d > 0.0 else 1.0
        gx, gy, gz = facing * nx / length, facing * ny / length, facing * nz / length
        flat = not (length > 0.0)
        o[ix(FACE_N * _STRIDE + i)] = 0.0 if flat else gx
        o[ix((FACE_N + 1) * _STRIDE + i)] = 0.0 if flat else gy
        o[ix((FACE_N + 2) * _STRIDE + i)] = -1.0 if flat else gz
        gx, gy, gz = 0.0 if flat else gx, 0.0 if flat else gy, -1.0 if flat else gz
        # Vertex normals: by the inverse transpose of the scale, then the rotation.
        for k in range(3):
            at = (_N + 3 * k) * _STRIDE + i
            x, y, z = f[ix(at)] / sx, f[ix(at + _STRIDE)] / sy, f[ix(at + 2 * _STRIDE)] / sz
            length = np.sqrt(x * x + y * y + z * z)
            good = (length > 0.0) & (length < np.inf)
            u = r00 * x + r01 * y + r02 * z
            v = r10 * x + r11 * y + r12 * z
            w = r20 * x + r21 * y + r22 * z
            u, v, w = u / length, v / length, w / length
            f[ix(at)] = u if good else gx
            f[ix(at + _STRIDE)] = v if good else gy
            f[ix(at + 2 * _STRIDE)] = w if good else gz


@strict
def _store_planes(
    lanes: int, first: int, step: int, target: int, r2: float, r3: float, r4: float, f: Any, o: Any
) -> None:
    """The plane of a value given at the corners in channels ``first``, ``first + step`` and ``first + 2 * step``."""
    for i in range(lanes):
        p, q = f[ix(first * _STRIDE + i)], f[ix((first + step) * _STRIDE + i)]
        r = f[ix((first + 2 * step) * _STRIDE + i)]
        a = f[ix(_ROWS * _STRIDE + i)] * p + f[ix((_ROWS + 3) * _STRIDE + i)] * q + f[ix((_ROWS + 6) * _STRIDE + i)] * r
        b = (
            f[ix((_ROWS + 1) * _STRIDE + i)] * p
            + f[ix((_ROWS + 4) * _STRIDE + i)] * q
            + f[ix((_ROWS + 7) * _STRIDE + i)] * r
        )
        c = (
            f[ix((_ROWS + 2) * _STRIDE + i)] * p
            + f[ix((_ROWS + 5) * _STRIDE + i)] * q
            + f[ix((_ROWS + 8) * _STRIDE + i)] * r
        )
        r0, r1 = f[ix(_RAY * _STRIDE + i)], f[ix((_RAY + 1) * _STRIDE + i)]
        x, y, z = plane_steps(a, b, c, r0, r1, r2, r3, r4)
        o[ix(target * _STRIDE + i)] = x
        o[ix((target + 1) * _STRIDE + i)] = y
        o[ix((target + 2) * _STRIDE + i)] = z


@strict
def _lay_on_box(lanes: int, tile: float, f: Any) -> None:
    """Texture coordinates of the corners by projection from the sides of a box."""
    for i in range(lanes):
        o = _O * _STRIDE + i
        ox, oy, oz = f[ix(o)], f[ix(o + _STRIDE)], f[ix(o + 2 * _STRIDE)]
        ux, uy, uz = f[ix(o + 3 * _STRIDE)] - ox, f[ix(o + 4 * _STRIDE)] - oy, f[ix(o + 5 * _STRIDE)] - oz
        vx, vy, vz = f[ix(o + 6 * _STRIDE)] - ox, f[ix(o + 7 * _STRIDE)] - oy, f[ix(o + 8 * _STRIDE)] - oz
        fx, fy, fz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        if abs(fz) >= abs(fx) and abs(fz) >= abs(fy):
            axis, positive = 2, fz > 0.0
        elif abs(fx) >= abs(fy):
            axis, positive = 0, fx > 0.0
        else:
            axis, positive = 1, fy > 0.0
        for k in range(3):
            at = o + 3 * k * _STRIDE
            u, v = box_coordinates(
                f[ix(at)] / tile, f[ix(at + _STRIDE)] / tile, f[ix(at + 2 * _STRIDE)] / tile, axis, positive
            )
            f[ix((_UV + 2 * k) * _STRIDE + i)] = u
            f[ix((_UV + 2 * k + 1) * _STRIDE + i)] = v


@strict
def _take_off_repeats(lanes: int, f: Any) -> None:
    """Take whole repeats off texture coordinates: small numbers keep their digits."""
    for c in range(2):
        at = (_UV + c) * _STRIDE
        for i in range(lanes):
            p, q, r = f[ix(at + i)], f[ix(at + 2 * _STRIDE + i)], f[ix(at + 4 * _STRIDE + i)]
            shift = np.floor(min(p, q, r))
            f[ix(at + i)] = p - shift
            f[ix(at + 2 * _STRIDE + i)] = q - shift
            f[ix(at + 4 * _STRIDE + i)] = r - shift


@strict
def _find_tangents(lanes: int, f: Any, o: Any) -> None:
    """Directions in which u and v grow, for tangent-space normals; 0 where there is none."""
    for i in range(lanes):
        p, t = _P * _STRIDE + i, _UV * _STRIDE + i
        x0, y0, z0 = f[ix(p)], f[ix(p + _STRIDE)], f[ix(p + 2 * _STRIDE)]
        ax, ay, az = f[ix(p + 3 * _STRIDE)] - x0, f[ix(p + 4 * _STRIDE)] - y0, f[ix(p + 5 * _STRIDE)] - z0
        bx, by, bz = f[ix(p + 6 * _STRIDE)] - x0, f[ix(p + 7 * _STRIDE)] - y0, f[ix(p + 8 * _STRIDE)] - z0
        u1, v1 = f[ix(t + 2 * _STRIDE)] - f[ix(t)], f[ix(t + 3 * _STRIDE)] - f[ix(t + _STRIDE)]
        u2, v2 = f[ix(t + 4 * _STRIDE)] - f[ix(t)], f[ix(t + 5 * _STRIDE)] - f[ix(t + _STRIDE)]
        sign = 1.0 if u1 * v2 - u2 * v1 > 0.0 else -1.0
        tx, ty, tz = ax * v2 - bx * v1, ay * v2 - by * v1, az * v2 - bz * v1
        length = np.sqrt(tx * tx + ty * ty + tz * tz)
        scale = sign / length if length > 0.0 else 0.0
        o[ix(TANGENT * _STRIDE + i)] = _finite(tx * scale)
        o[ix((TANGENT + 1) * _STRIDE + i)] = _finite(ty * scale)
        o[ix((TANGENT + 2) * _STRIDE + i)] = _finite(tz * scale)
        sx, sy, sz = bx * u1 - ax * u2, by * u1 - ay * u2, bz * u1 - az * u2
        length = np.sqrt(sx * sx + sy * sy + sz * sz)
        scale = sign / length if length > 0.0 else 0.0
        o[ix(BITANGENT * _STRIDE + i)] = _finite(sx * scale)
        o[ix((BITANGENT + 1) * _STRIDE + i)] = _finite(sy * scale)
        o[ix((BITANGENT + 2) * _STRIDE + i)] = _finite(sz * scale)


@strict
def set_up_triangles(
    visible: Any, count: int, draws: Any, matrices: Any, scales: Any, tiles: Any, camera: Any, placed: Any, faces: Any,
    vertices: Any, colors: Any, size: Any, order: Any, planes: Any, owner: Any,
) -> None:  # fmt: skip
    """Attribute planes of the triangles seen into ``planes`` (flat, TRIANGLE each); ``owner`` takes the drawables.

    ``order`` (count,) is working memory. Tangents are for drawables with a normal map, colours for coloured ones only.
    """
    f = np.zeros(_CHANNELS * _STRIDE)
    o = np.zeros(TRIANGLE * _STRIDE, np.float32)
    r2, r3 = 1.0 / camera[FX], -camera[SKEW] / (camera[FX] * camera[FY])
    r4 = 1.0 / camera[FY]
    starts = _find_owners(visible, count, draws, owner, order)
    for m in range(len(draws)):
        for first in range(starts[m], starts[m + 1], _BATCH):
            lanes = min(_BATCH, starts[m + 1] - first)
            _gather(lanes, first, m, order, visible, draws, scales, placed, faces, vertices, colors, f)
            _place_origins(lanes, camera, size, f, o)
            _set_up_corners(lanes, m, matrices, scales, r2, r3, r4, f, o)
            for c in range(3):
                _store_planes(lanes, _N + c, 3, PLANE_NX + 3 * c, r2, r3, r4, f, o)
            if draws[m, PROJECTION] == 2:
                _lay_on_box(lanes, tiles[m], f)
            _take_off_repeats(lanes, f)
            _store_planes(lanes, _UV, 2, PLANE_U, r2, r3, r4, f, o)
            _store_planes(lanes, _UV + 1, 2, PLANE_V, r2, r3, r4, f, o)
            last = TANGENT
            if draws[m, NORMAL_MAP] >= 0:
                _find_tangents(lanes, f, o)
                last = PLANE_R
            if draws[m, COLORS_IN_POOL] >= 0:
                for c in range(3):
                    _store_planes(lanes, _C + c, 3, PLANE_R + 3 * c, r2, r3, r4, f, o)
                last = PLANE_R + 9
            for lane in range(lanes):
                base = np.int64(order[ix(first + lane)]) * TRIANGLE
                for c in range(last):
                    planes[ix(base + c)] = o[ix(c * _STRIDE + lane)]

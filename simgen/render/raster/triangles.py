"""Set-up of the triangles seen: what varies over each of them, as planes over the image.

Triangles are set up a batch at a time, their values side by side in working memory (a channel after the other), so that
all but the collecting and handing over of values is vectorized; arithmetic is strict all the same.
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
_R = 42  # rotation from the object to the camera, row by row
_S = 51  # scale
_RAY = 54  # the ray through the origin of the planes, x and y
_ROWS = 56  # of the inverse of the corners
_TILE = 65
_BOX = 66  # 1: box projection
_CHANNELS = 67


@strict
def _collect(
    n: int, visible: Any, draws: Any, matrices: Any, scales: Any, tiles: Any, camera: Any, placed: Any, faces: Any,
    vertices: Any, colors: Any, size: Any, planes: Any, owner: Any, f: Any, lane: int,
) -> tuple[bool, bool]:  # fmt: skip
    """Bring what belongs to triangle ``n`` into its lane; whether it has colours, and a normal map."""
    t = np.int64(visible[n])
    m = find_drawable(draws, t)
    owner[n] = m
    base = n * TRIANGLE
    face = 3 * (draws[m, FACES_IN_POOL] + t - draws[m, FIRST_FACE])
    colored = draws[m, COLORS_IN_POOL] >= 0
    sx, sy, sz = scales[m, 0], scales[m, 1], scales[m, 2]
    for k in range(3):
        v = np.int64(faces[ix(face + k)])
        at = (draws[m, FIRST_VERTEX] + v) * PLACED
        f[ix((_P + 3 * k) * _STRIDE + lane)] = placed[ix(at)]
        f[ix((_P + 3 * k + 1) * _STRIDE + lane)] = placed[ix(at + 1)]
        f[ix((_P + 3 * k + 2) * _STRIDE + lane)] = placed[ix(at + 2)]
        at = (draws[m, FIRST_IN_POOL] + v) * VERTEX
        f[ix((_O + 3 * k) * _STRIDE + lane)] = np.float64(vertices[ix(at)]) * sx
        f[ix((_O + 3 * k + 1) * _STRIDE + lane)] = np.float64(vertices[ix(at + 1)]) * sy
        f[ix((_O + 3 * k + 2) * _STRIDE + lane)] = np.float64(vertices[ix(at + 2)]) * sz
        f[ix((_N + 3 * k) * _STRIDE + lane)] = np.float64(vertices[ix(at + 3)])
        f[ix((_N + 3 * k + 1) * _STRIDE + lane)] = np.float64(vertices[ix(at + 4)])
        f[ix((_N + 3 * k + 2) * _STRIDE + lane)] = np.float64(vertices[ix(at + 5)])
        f[ix((_UV + 2 * k) * _STRIDE + lane)] = np.float64(vertices[ix(at + 6)])
        f[ix((_UV + 2 * k + 1) * _STRIDE + lane)] = np.float64(vertices[ix(at + 7)])
        at = 4 * (np.int64(draws[m, COLORS_IN_POOL]) + v)
        f[ix((_C + 3 * k) * _STRIDE + lane)] = np.float64(colors[ix(at)]) if colored else 0.0
        f[ix((_C + 3 * k + 1) * _STRIDE + lane)] = np.float64(colors[ix(at + 1)]) if colored else 0.0
        f[ix((_C + 3 * k + 2) * _STRIDE + lane)] = np.float64(colors[ix(at + 2)]) if colored else 0.0
    for k in range(3):
        for c in range(3):
            f[ix((_R + 3 * k + c) * _STRIDE + lane)] = matrices[m, CAM_OBJ + 4 * k + c]
    f[ix(_S * _STRIDE + lane)] = sx
    f[ix((_S + 1) * _STRIDE + lane)] = sy
    f[ix((_S + 2) * _STRIDE + lane)] = sz
    f[ix(_TILE * _STRIDE + lane)] = tiles[m]
    f[ix(_BOX * _STRIDE + lane)] = 1.0 if draws[m, PROJECTION] == 2 else 0.0
    # The origin of the planes: the first corner, if it is in front, moved into the image.
    ox, oy = 0.5 * size[0], 0.5 * size[1]
    if f[ix((_P + 2) * _STRIDE + lane)] >= camera[NEAR]:
        first = (draws[m, FIRST_VERTEX] + np.int64(faces[ix(face)])) * PLACED
        ox, oy = placed[ix(first + 3)], placed[ix(first + 4)]
    ox = np.floor(min(max(ox, 0.0), size[0]))
    oy = np.floor(min(max(oy, 0.0), size[1]))
    planes[ix(base + X0)] = ox
    planes[ix(base + Y0)] = oy
    ry = (oy - camera[CY]) / camera[FY]
    f[ix((_RAY + 1) * _STRIDE + lane)] = ry
    f[ix(_RAY * _STRIDE + lane)] = (ox - camera[CX] - camera[SKEW] * ry) / camera[FX]
    return colored, draws[m, NORMAL_MAP] >= 0


@strict
def _set_up_corners(lanes: int, r2: float, r3: float, r4: float, f: Any, o: Any) -> None:
    """The inverse of the corners, the plane of 1 / z and the normal of each triangle; normals of corners turned."""
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
            x = f[ix(at)] / f[ix(_S * _STRIDE + i)]
            y = f[ix(at + _STRIDE)] / f[ix((_S + 1) * _STRIDE + i)]
            z = f[ix(at + 2 * _STRIDE)] / f[ix((_S + 2) * _STRIDE + i)]
            length = np.sqrt(x * x + y * y + z * z)
            good = (length > 0.0) & (length < np.inf)
            r = _R * _STRIDE + i
            u = f[ix(r)] * x + f[ix(r + _STRIDE)] * y + f[ix(r + 2 * _STRIDE)] * z
            v = f[ix(r + 3 * _STRIDE)] * x + f[ix(r + 4 * _STRIDE)] * y + f[ix(r + 5 * _STRIDE)] * z
            w = f[ix(r + 6 * _STRIDE)] * x + f[ix(r + 7 * _STRIDE)] * y + f[ix(r + 8 * _STRIDE)] * z
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
def _lay_on(lanes: int, f: Any) -> None:
    """Texture coordinates of the corners: by the box where that is asked for; whole repeats are taken off."""
    for i in range(lanes):
        if f[ix(_BOX * _STRIDE + i)] == 0.0:
            continue
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
        tile = f[ix(_TILE * _STRIDE + i)]
        for k in range(3):
            at = o + 3 * k * _STRIDE
            u, v = box_coordinates(
                f[ix(at)] / tile, f[ix(at + _STRIDE)] / tile, f[ix(at + 2 * _STRIDE)] / tile, axis, positive
            )
            f[ix((_UV + 2 * k) * _STRIDE + i)] = u
            f[ix((_UV + 2 * k + 1) * _STRIDE + i)] = v
    # Small numbers keep their digits.
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
    vertices: Any, colors: Any, size: Any, planes: Any, owner: Any,
) -> None:  # fmt: skip
    """Attribute planes of the triangles seen into ``planes`` (flat, TRIANGLE each); ``owner`` takes the drawables."""
    f = np.zeros(_CHANNELS * _STRIDE)
    o = np.zeros(TRIANGLE * _STRIDE, np.float32)
    r2, r3 = 1.0 / camera[FX], -camera[SKEW] / (camera[FX] * camera[FY])
    r4 = 1.0 / camera[FY]
    for first in range(0, count, _BATCH):
        lanes = min(_BATCH, count - first)
        some_colored, some_mapped = False, False
        for lane in range(lanes):
            colored, mapped = _collect(
                first + lane, visible, draws, matrices, scales, tiles, camera, placed, faces, vertices, colors, size,
                planes, owner, f, lane,
            )  # fmt: skip
            some_colored, some_mapped = some_colored or colored, some_mapped or mapped
        _set_up_corners(lanes, r2, r3, r4, f, o)
        for c in range(3):
            _store_planes(lanes, _N + c, 3, PLANE_NX + 3 * c, r2, r3, r4, f, o)
        _lay_on(lanes, f)
        _store_planes(lanes, _UV, 2, PLANE_U, r2, r3, r4, f, o)
        _store_planes(lanes, _UV + 1, 2, PLANE_V, r2, r3, r4, f, o)
        last = PLANE_W + 3
        if some_mapped:
            _find_tangents(lanes, f, o)
            last = BITANGENT + 3
        if some_colored:
            for c in range(3):
                _store_planes(lanes, _C + c, 3, PLANE_R + 3 * c, r2, r3, r4, f, o)
            last = PLANE_R + 9
        for lane in range(lanes):
            base = (first + lane) * TRIANGLE
            for c in range(PLANE_U, last):
                planes[ix(base + c)] = o[ix(c * _STRIDE + lane)]

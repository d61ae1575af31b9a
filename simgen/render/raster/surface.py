"""From the visibility buffer to surfaces: the list of fragments, and what varies over each visible triangle.

A fragment is one surface seen in one pixel. Attributes are planes over the image (value / z is linear in pixels),
set up once per visible triangle in float64 from the unclipped triangle and evaluated in float32 relative to a pixel
near the triangle, which keeps them accurate far from the image origin.
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
from simgen.render.raster.visibility import EMPTY, key_triangle, key_w


@strict
def collect(
    keys: Any,
    width: int,
    height: int,
    remap: Any,
    visible: Any,
    pixel: Any,
    triangle: Any,
    px: Any,
    py: Any,
    w: Any,
    weight: Any,
    background: Any,
) -> tuple[int, int]:
    """List the fragments at pixel centres, row by row, and number the triangles seen from 0.

    ``remap`` (faces of the image) is -1 on entry and holds the new number of each triangle seen; ``visible`` lists the
    triangles by new number. Each fragment starts with the whole ``weight`` of its pixel, each empty pixel with all of
    ``background``. Returns the numbers of fragments and of triangles.
    """
    fragments = 0
    seen = 0
    for y in range(height):
        last = np.uint32(EMPTY)
        number = -1
        for x in range(width):
            key = keys[y * width + x]
            t = key_triangle(key)
            if t == np.uint32(EMPTY):
                background[y * width + x] = np.float32(1.0)
                continue
            background[y * width + x] = np.float32(0.0)
            weight[fragments] = np.float32(1.0)
            if t != last:
                last = t
                number = remap[t]
                if number < 0:
                    number = seen
                    remap[t] = seen
                    visible[seen] = t
                    seen += 1
            pixel[fragments] = y * width + x
            triangle[fragments] = number
            px[fragments] = x
            py[fragments] = y
            w[fragments] = key_w(key)
            fragments += 1
    return fragments, seen


@strict
def find_drawable(draws: Any, triangle: int) -> int:
    """The drawable that a triangle of the image belongs to."""
    low, high = 0, len(draws)
    while high - low > 1:
        middle = (low + high) // 2
        if draws[middle, FIRST_FACE] <= triangle:
            low = middle
        else:
            high = middle
    # Drawables without faces share their first face with the next one.
    while draws[low, FACES] == 0:
        low -= 1
    return low


@strict
def box_coordinates(x: float, y: float, z: float, axis: int, positive: bool) -> tuple[float, float]:
    """Texture coordinates (u right, v down) on the face of a box seen from outside, from object coordinates.

    ``axis`` is the dominant one of the face's normal. On upright faces v runs down along -z.
    """
    if axis == 0:
        return (y if positive else -y), -z
    if axis == 1:
        return (-x if positive else x), -z
    return x, (-y if positive else y)


@strict
def _finite(value: float) -> Any:
    return np.float32(value) if abs(value) < 1e30 else np.float32(0.0)


@strict
def _store_plane(planes: Any, at: int, a: float, b: float, c: float, rays: Any) -> None:
    """Store the plane of (a, b, c) . ray as value at the origin, step in x, step in y."""
    planes[at] = _finite(a * rays[0] + b * rays[1] + c)
    planes[at + 1] = _finite(a * rays[2])
    planes[at + 2] = _finite(a * rays[3] + b * rays[4])


@strict
def set_up_triangles(
    visible: Any, count: int, draws: Any, matrices: Any, scales: Any, tiles: Any, camera: Any, placed: Any, faces: Any,
    vertices: Any, colors: Any, size: Any, planes: Any, owner: Any,
) -> None:  # fmt: skip
    """Attribute planes of the triangles seen into ``planes`` (flat, TRIANGLE each); ``owner`` takes the drawables."""
    uv = np.zeros((3, 2))
    normal = np.zeros((3, 3))
    P = np.zeros((3, 3))
    O = np.zeros((3, 3))  # noqa: E741
    rows = np.zeros((3, 3))
    rays = np.zeros(5)
    g = np.zeros(3)
    corner = np.zeros(3, np.int64)
    for n in range(count):
        t = np.int64(visible[n])
        m = find_drawable(draws, t)
        owner[n] = m
        base = n * TRIANGLE
        face = 3 * (draws[m, FACES_IN_POOL] + t - draws[m, FIRST_FACE])
        for k in range(3):
            v = faces[face + k]
            corner[k] = draws[m, FIRST_IN_POOL] + v
            at = (draws[m, FIRST_VERTEX] + v) * PLACED
            P[k, 0], P[k, 1], P[k, 2] = placed[at], placed[at + 1], placed[at + 2]
            for c in range(3):
                O[k, c] = np.float64(vertices[corner[k] * VERTEX + c]) * scales[m, c]
        # The origin of the planes: the first corner, if it is in front, moved into the image.
        first = (draws[m, FIRST_VERTEX] + faces[face]) * PLACED
        ox, oy = 0.5 * size[0], 0.5 * size[1]
        if P[0, 2] >= camera[NEAR]:
            ox, oy = placed[first + 3], placed[first + 4]
        ox = np.floor(min(max(ox, 0.0), size[0]))
        oy = np.floor(min(max(oy, 0.0), size[1]))
        planes[base + X0] = ox
        planes[base + Y0] = oy
        rays[1] = (oy - camera[CY]) / camera[FY]
        rays[0] = (ox - camera[CX] - camera[SKEW] * rays[1]) / camera[FX]
        rays[2] = 1.0 / camera[FX]
        rays[3] = -camera[SKEW] / (camera[FX] * camera[FY])
        rays[4] = 1.0 / camera[FY]
        # Rows of the inverse of the matrix of corners: barycentric coordinate / z = row . ray (Olano and Greer 1997).
        for k in range(3):
            a, b = (k + 1) % 3, (k + 2) % 3
            rows[k, 0] = P[a, 1] * P[b, 2] - P[a, 2] * P[b, 1]
            rows[k, 1] = P[a, 2] * P[b, 0] - P[a, 0] * P[b, 2]
            rows[k, 2] = P[a, 0] * P[b, 1] - P[a, 1] * P[b, 0]
        ax, ay, az = P[1, 0] - P[0, 0], P[1, 1] - P[0, 1], P[1, 2] - P[0, 2]
        bx, by, bz = P[2, 0] - P[0, 0], P[2, 1] - P[0, 1], P[2, 2] - P[0, 2]
        nx, ny, nz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
        d = nx * P[0, 0] + ny * P[0, 1] + nz * P[0, 2]
        for k in range(3):
            for c in range(3):
                rows[k, c] /= d
        _store_plane(planes, base + PLANE_W, nx / d, ny / d, nz / d, rays)
        length = np.sqrt(nx * nx + ny * ny + nz * nz)
        facing = -1.0 if d > 0.0 else 1.0
        if length > 0.0:
            g[0], g[1], g[2] = facing * nx / length, facing * ny / length, facing * nz / length
        else:
            g[0], g[1], g[2] = 0.0, 0.0, -1.0
        for c in range(3):
            planes[base + FACE_N + c] = g[c]
        # Vertex normals: by the inverse transpose of the scale, then the rotation.
        for k in range(3):
            x = np.float64(vertices[corner[k] * VERTEX + 3]) / scales[m, 0]
            y = np.float64(vertices[corner[k] * VERTEX + 4]) / scales[m, 1]
            z = np.float64(vertices[corner[k] * VERTEX + 5]) / scales[m, 2]
            length = np.sqrt(x * x + y * y + z * z)
            for c in range(3):
                row = CAM_OBJ + 4 * c
                if length > 0.0 and length < np.inf:
                    value = matrices[m, row] * x + matrices[m, row + 1] * y + matrices[m, row + 2] * z
                    normal[k, c] = value / length
                else:
                    normal[k, c] = g[c]
        for c in range(3):
            _store_plane(
                planes, base + PLANE_NX + 3 * c,
                rows[0, 0] * normal[0, c] + rows[1, 0] * normal[1, c] + rows[2, 0] * normal[2, c],
                rows[0, 1] * normal[0, c] + rows[1, 1] * normal[1, c] + rows[2, 1] * normal[2, c],
                rows[0, 2] * normal[0, c] + rows[1, 2] * normal[1, c] + rows[2, 2] * normal[2, c],
                rays,
            )  # fmt: skip
        for k in range(3):
            uv[k, 0] = np.float64(vertices[corner[k] * VERTEX + 6])
            uv[k, 1] = np.float64(vertices[corner[k] * VERTEX + 7])
        if draws[m, PROJECTION] == 2:
            ux, uy, uz = O[1, 0] - O[0, 0], O[1, 1] - O[0, 1], O[1, 2] - O[0, 2]
            vx, vy, vz = O[2, 0] - O[0, 0], O[2, 1] - O[0, 1], O[2, 2] - O[0, 2]
            fx, fy, fz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
            if abs(fz) >= abs(fx) and abs(fz) >= abs(fy):
                axis, positive = 2, fz > 0.0
            elif abs(fx) >= abs(fy):
                axis, positive = 0, fx > 0.0
            else:
                axis, positive = 1, fy > 0.0
            for k in range(3):
                uv[k, 0], uv[k, 1] = box_coordinates(
                    O[k, 0] / tiles[m], O[k, 1] / tiles[m], O[k, 2] / tiles[m], axis, positive
                )
        # Whole repeats are taken off: small numbers keep their digits.
        for c in range(2):
            shift = np.floor(min(uv[0, c], uv[1, c], uv[2, c]))
            _store_plane(
                planes, base + (PLANE_U if c == 0 else PLANE_V),
                rows[0, 0] * (uv[0, c] - shift) + rows[1, 0] * (uv[1, c] - shift) + rows[2, 0] * (uv[2, c] - shift),
                rows[0, 1] * (uv[0, c] - shift) + rows[1, 1] * (uv[1, c] - shift) + rows[2, 1] * (uv[2, c] - shift),
                rows[0, 2] * (uv[0, c] - shift) + rows[1, 2] * (uv[1, c] - shift) + rows[2, 2] * (uv[2, c] - shift),
                rays,
            )  # fmt: skip
        if draws[m, COLORS_IN_POOL] >= 0:
            for c in range(3):
                p = np.float64(colors[4 * (draws[m, COLORS_IN_POOL] + faces[face]) + c])
                q = np.float64(colors[4 * (draws[m, COLORS_IN_POOL] + faces[face + 1]) + c])
                r = np.float64(colors[4 * (draws[m, COLORS_IN_POOL] + faces[face + 2]) + c])
                _store_plane(
                    planes, base + PLANE_R + 3 * c,
                    rows[0, 0] * p + rows[1, 0] * q + rows[2, 0] * r,
                    rows[0, 1] * p + rows[1, 1] * q + rows[2, 1] * r,
                    rows[0, 2] * p + rows[1, 2] * q + rows[2, 2] * r,
                    rays,
                )  # fmt: skip
        if draws[m, NORMAL_MAP] >= 0:
            # Directions in which u and v grow, for tangent-space normals.
            u1, v1 = uv[1, 0] - uv[0, 0], uv[1, 1] - uv[0, 1]
            u2, v2 = uv[2, 0] - uv[0, 0], uv[2, 1] - uv[0, 1]
            r = u1 * v2 - u2 * v1
            tx, ty, tz = ax * v2 - bx * v1, ay * v2 - by * v1, az * v2 - bz * v1
            sx, sy, sz = bx * u1 - ax * u2, by * u1 - ay * u2, bz * u1 - az * u2
            sign = 1.0 if r > 0.0 else -1.0
            length = np.sqrt(tx * tx + ty * ty + tz * tz)
            scale = sign / length if length > 0.0 else 0.0
            planes[base + TANGENT] = _finite(tx * scale)
            planes[base + TANGENT + 1] = _finite(ty * scale)
            planes[base + TANGENT + 2] = _finite(tz * scale)
            length = np.sqrt(sx * sx + sy * sy + sz * sz)
            scale = sign / length if length > 0.0 else 0.0
            planes[base + BITANGENT] = _finite(sx * scale)
            planes[base + BITANGENT + 1] = _finite(sy * scale)
            planes[base + BITANGENT + 2] = _finite(sz * scale)


NORMAL_BLOCK = 2048
"""Fragments whose normals are interpolated together, in one array so that loops over it are vectorized."""
NORMAL_STRIDE = NORMAL_BLOCK + 16
"""From value to value; not a power of two, which would crowd one set of the cache."""
_PX, _PY, _NX, _NY, _NZ, _GX, _GY, _GZ = (k * NORMAL_STRIDE for k in range(8))
NORMAL_VALUES = 8 * NORMAL_STRIDE


@strict
def interpolate_normals(
    count: int, triangle: Any, px: Any, py: Any, planes: Any, camera: Any, b: Any, nx: Any, ny: Any, nz: Any
) -> None:
    """Unit normals in the camera frame of the first ``count`` fragments, interpolated and facing the camera.

    A normal on the far side of its triangle (as the camera sees it) is turned round; one that still points away from
    the camera, as happens near silhouettes, is bent into the plane across the viewing ray. ``b`` is working memory.
    """
    inverse_fx = np.float32(1.0 / camera[FX])
    inverse_fy = np.float32(1.0 / camera[FY])
    cx, cy = np.float32(camera[CX]), np.float32(camera[CY])
    skew = np.float32(camera[SKEW])
    one = np.float32(1.0)
    zero = np.float32(0.0)
    first = 0
    while first < count:
        n = min(NORMAL_BLOCK, count - first)
        for k in range(n):
            b[ix(_PX + k)] = px[ix(first + k)]
            b[ix(_PY + k)] = py[ix(first + k)]
        i = 0
        while i < n:
            t = triangle[ix(first + i)]
            end = i + 1
            while end < n and triangle[ix(first + end)] == t:
                end += 1
            at = np.int64(t) * TRIANGLE
            x0, y0 = planes[at + X0], planes[at + Y0]
            a0, a1, a2 = planes[at + PLANE_NX], planes[at + PLANE_NX + 1], planes[at + PLANE_NX + 2]
            b0, b1, b2 = planes[at + PLANE_NX + 3], planes[at + PLANE_NX + 4], planes[at + PLANE_NX + 5]
            c0, c1, c2 = planes[at + PLANE_NX + 6], planes[at + PLANE_NX + 7], planes[at + PLANE_NX + 8]
            gx, gy, gz = planes[at + FACE_N], planes[at + FACE_N + 1], planes[at + FACE_N + 2]
            for k in range(i, end):
                dx, dy = b[ix(_PX + k)] - x0, b[ix(_PY + k)] - y0
                b[ix(_NX + k)] = a0 + a1 * dx + a2 * dy
                b[ix(_NY + k)] = b0 + b1 * dx + b2 * dy
                b[ix(_NZ + k)] = c0 + c1 * dx + c2 * dy
                b[ix(_GX + k)] = gx
                b[ix(_GY + k)] = gy
                b[ix(_GZ + k)] = gz
            i = end
        for k in range(n):
            x, y, z = b[ix(_NX + k)], b[ix(_NY + k)], b[ix(_NZ + k)]
            gx, gy, gz = b[ix(_GX + k)], b[ix(_GY + k)], b[ix(_GZ + k)]
            scale = one / np.sqrt(x * x + y * y + z * z)
            x, y, z = x * scale, y * scale, z * scale
            side = gx * x + gy * y + gz * z
            good = abs(side) <= np.float32(2.0)
            x = x if good else gx
            y = y if good else gy
            z = z if good else gz
            flip = np.float32(-1.0) if side < zero else one
            x, y, z = x * flip, y * flip, z * flip
            ry = (b[ix(_PY + k)] - cy) * inverse_fy
            rx = (b[ix(_PX + k)] - cx - skew * ry) * inverse_fx
            away = max((x * rx + y * ry + z) / (rx * rx + ry * ry + one), zero)
            x, y, z = x - away * rx, y - away * ry, z - away
            scale = one / np.sqrt(x * x + y * y + z * z)
            b[ix(_NX + k)] = x * scale
            b[ix(_NY + k)] = y * scale
            b[ix(_NZ + k)] = z * scale
        for k in range(n):
            nx[ix(first + k)] = b[ix(_NX + k)]
        for k in range(n):
            ny[ix(first + k)] = b[ix(_NY + k)]
        for k in range(n):
            nz[ix(first + k)] = b[ix(_NZ + k)]
        first += n

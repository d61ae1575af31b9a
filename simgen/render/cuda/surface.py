"""What varies over each visible triangle, and normals: ``simgen.render.raster.surface``, an item a thread."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import float64, int64

from simgen.render.cuda.device import cuda, device, kernel, strict_kernel
from simgen.render.cuda.visibility import find_owner
from simgen.render.raster import surface, visibility
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
from simgen.render.raster.visibility import EMPTY

key_triangle = device(visibility.key_triangle)
key_w = device(visibility.key_w)
box_coordinates = device(surface.box_coordinates)
store_plane = device(surface._store_plane)
finite = device(surface._finite)


@kernel
def forget(slots: Any, count: int) -> None:
    """A thread per face: not seen."""
    i = cuda.grid(1)
    if i < count:
        slots[i] = -1


@kernel
def number_triangles(keys: Any, slots: Any, seen: Any, visible: Any, count: int) -> None:
    """A thread per sample: number the triangles seen.

    ``slots`` (faces of the batch), -1 on entry, takes the new number of each, ``visible`` the triangle of each number,
    ``seen`` (1,) their count. Numbers come in any order; no result depends on them.
    """
    i = cuda.grid(1)
    if i < count:
        t = np.int64(key_triangle(keys[i]))
        # The first sample of a run does it for all: else thousands of threads at once would wait for one number.
        if i > 0 and t == np.int64(key_triangle(keys[i - 1])):
            return
        if t != EMPTY and slots[t] == -1 and cuda.atomic.cas(slots, t, -1, -2) == -1:
            number = cuda.atomic.add(seen, 0, 1)
            slots[t] = number
            visible[number] = t


@device
def set_up_triangle(
    t: int, m: int, base: Any, draws: Any, matrices: Any, scales: Any, tiles: Any, camera: Any, placed: Any, faces: Any,
    vertices: Any, colors: Any, width: float, height: float, planes: Any, uv: Any, normal: Any, P: Any, O: Any,  # noqa: E741
    rows: Any, rays: Any, g: Any, corner: Any,
) -> None:  # fmt: skip
    """Attribute planes of triangle ``t`` of drawable ``m`` into ``planes`` from ``base`` on.

    ``width`` and ``height`` are those of the image. Working memory: ``uv`` (3, 2); ``normal``, ``P``, ``O`` and
    ``rows`` (3, 3); ``rays`` (5,), ``g`` (3,), ``corner`` (3,) int64.
    """
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
    ox, oy = 0.5 * width, 0.5 * height
    if P[0, 2] >= camera[NEAR]:
        ox, oy = placed[first + 3], placed[first + 4]
    ox = np.floor(min(max(ox, 0.0), width))
    oy = np.floor(min(max(oy, 0.0), height))
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
    store_plane(planes, base + PLANE_W, nx / d, ny / d, nz / d, rays)
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
        store_plane(
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
        store_plane(
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
            store_plane(
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
        planes[base + TANGENT] = finite(tx * scale)
        planes[base + TANGENT + 1] = finite(ty * scale)
        planes[base + TANGENT + 2] = finite(tz * scale)
        length = np.sqrt(sx * sx + sy * sy + sz * sz)
        scale = sign / length if length > 0.0 else 0.0
        planes[base + BITANGENT] = finite(sx * scale)
        planes[base + BITANGENT + 1] = finite(sy * scale)
        planes[base + BITANGENT + 2] = finite(sz * scale)


@strict_kernel
def set_up(
    visible: Any, draws: Any, image: Any, matrices: Any, scales: Any, tiles: Any, cameras: Any, placed: Any, faces: Any,
    vertices: Any, colors: Any, width: float, height: float, planes: Any, owner: Any, count: int,
) -> None:  # fmt: skip
    """A thread per triangle seen: its attribute planes (TRIANGLE each), and the drawable it belongs to."""
    n = cuda.grid(1)
    uv = cuda.local.array((3, 2), float64)
    normal = cuda.local.array((3, 3), float64)
    P = cuda.local.array((3, 3), float64)
    O = cuda.local.array((3, 3), float64)  # noqa: E741
    rows = cuda.local.array((3, 3), float64)
    rays = cuda.local.array(5, float64)
    g = cuda.local.array(3, float64)
    corner = cuda.local.array(3, int64)
    if n < count:
        t = np.int64(visible[n])
        m = find_owner(draws, FIRST_FACE, FACES, t)
        owner[n] = m
        set_up_triangle(
            t, m, np.int64(n) * TRIANGLE, draws, matrices, scales, tiles, cameras[image[m]], placed, faces, vertices,
            colors, width, height, planes, uv, normal, P, O, rows, rays, g, corner,
        )  # fmt: skip


@device
def interpolate_normal(n: int, px: Any, py: Any, planes: Any, camera: Any) -> Any:
    """Unit normal in the camera frame of visible triangle ``n`` at a pixel, interpolated and facing the camera."""
    inverse_fx = np.float32(1.0 / camera[FX])
    inverse_fy = np.float32(1.0 / camera[FY])
    cx, cy = np.float32(camera[CX]), np.float32(camera[CY])
    skew = np.float32(camera[SKEW])
    one = np.float32(1.0)
    zero = np.float32(0.0)
    at = np.int64(n) * TRIANGLE
    dx, dy = px - planes[at + X0], py - planes[at + Y0]
    p = at + PLANE_NX
    x = planes[p] + planes[p + 1] * dx + planes[p + 2] * dy
    y = planes[p + 3] + planes[p + 4] * dx + planes[p + 5] * dy
    z = planes[p + 6] + planes[p + 7] * dx + planes[p + 8] * dy
    gx, gy, gz = planes[at + FACE_N], planes[at + FACE_N + 1], planes[at + FACE_N + 2]
    scale = one / np.sqrt(x * x + y * y + z * z)
    x, y, z = x * scale, y * scale, z * scale
    side = gx * x + gy * y + gz * z
    if not (abs(side) <= np.float32(2.0)):
        x, y, z = gx, gy, gz
    flip = np.float32(-1.0) if side < zero else one
    x, y, z = x * flip, y * flip, z * flip
    ry = (py - cy) * inverse_fy
    rx = (px - cx - skew * ry) * inverse_fx
    away = max((x * rx + y * ry + z) / (rx * rx + ry * ry + one), zero)
    x, y, z = x - away * rx, y - away * ry, z - away
    scale = one / np.sqrt(x * x + y * y + z * z)
    return x * scale, y * scale, z * scale

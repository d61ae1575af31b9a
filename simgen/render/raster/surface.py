"""What varies over the surfaces seen: planes over each visible triangle, and normals.

A fragment is one surface seen in one pixel. Attributes are planes over the image (value / z is linear in pixels),
set up once per visible triangle in float64 from the unclipped triangle and evaluated in float32 relative to a pixel
near the triangle, which keeps them accurate far from the image origin.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simgen.render.raster.block import LANES
from simgen.render.raster.jit import ix, strict
from simgen.render.raster.layout import (
    CX,
    CY,
    FACE_N,
    FACES,
    FIRST_FACE,
    FX,
    FY,
    PLANE_NX,
    SKEW,
    TRIANGLE,
    X0,
    Y0,
)
from simgen.render.raster.runs import find_runs


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
    """``value`` as float32, 0 where that would be infinite or not a number."""
    return np.float32(value) if abs(value) < 1e30 else np.float32(0.0)


@strict
def plane_steps(a: float, b: float, c: float, r0: float, r1: float, r2: float, r3: float, r4: float) -> Any:
    """The plane (a, b, c) . ray as its value at the origin, its step in x and its step in y.

    The ray is (``r0``, ``r1``, 1) at the origin and grows by (``r2``, 0) a column and (``r3``, ``r4``) a row.
    """
    return _finite(a * r0 + b * r1 + c), _finite(a * r2), _finite(a * r3 + b * r4)


@strict
def _store_plane(planes: Any, at: int, a: float, b: float, c: float, rays: Any) -> None:
    """Store the plane of (a, b, c) . ray as value at the origin, step in x, step in y."""
    planes[at], planes[at + 1], planes[at + 2] = plane_steps(a, b, c, rays[0], rays[1], rays[2], rays[3], rays[4])


NORMAL_BLOCK = 1024
"""Fragments whose normals are interpolated together, in one array so that loops over it are vectorized."""
NORMAL_STRIDE = NORMAL_BLOCK + 16
"""From value to value; not a power of two, which would crowd one set of the cache."""
_PX, _PY, _NX, _NY, _NZ, _GX, _GY, _GZ = (k * NORMAL_STRIDE for k in range(8))
NORMAL_VALUES = 8 * NORMAL_STRIDE
NORMAL_RUNS = NORMAL_BLOCK + 1


@strict
def interpolate_normals(
    count: int, triangle: Any, px: Any, py: Any, planes: Any, camera: Any, b: Any, a: Any, nx: Any, ny: Any, nz: Any
) -> None:
    """Unit normals in the camera frame of the first ``count`` fragments, interpolated and facing the camera.

    A normal on the far side of its triangle (as the camera sees it) is turned round; one that still points away from
    the camera, as happens near silhouettes, is bent into the plane across the viewing ray. ``b`` and ``a`` are working
    memory of NORMAL_VALUES (float32) and NORMAL_RUNS (int32).
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
        runs = find_runs(first, n, triangle, a, 0)
        for run in range(runs):
            begin, end = np.int64(a[ix(run)]), np.int64(a[ix(run + 1)])
            at = np.int64(triangle[ix(first + begin)]) * TRIANGLE
            x0, y0 = planes[at + X0], planes[at + Y0]
            a0, a1, a2 = planes[at + PLANE_NX], planes[at + PLANE_NX + 1], planes[at + PLANE_NX + 2]
            b0, b1, b2 = planes[at + PLANE_NX + 3], planes[at + PLANE_NX + 4], planes[at + PLANE_NX + 5]
            c0, c1, c2 = planes[at + PLANE_NX + 6], planes[at + PLANE_NX + 7], planes[at + PLANE_NX + 8]
            gx, gy, gz = planes[at + FACE_N], planes[at + FACE_N + 1], planes[at + FACE_N + 2]
            # By whole vectors, past the end of the run: the next run writes there.
            for group in range(begin, end, LANES):
                for lane in range(LANES):
                    k = group + lane
                    dx, dy = b[ix(_PX + k)] - x0, b[ix(_PY + k)] - y0
                    b[ix(_NX + k)] = a0 + a1 * dx + a2 * dy
                    b[ix(_NY + k)] = b0 + b1 * dx + b2 * dy
                    b[ix(_NZ + k)] = c0 + c1 * dx + c2 * dy
                    b[ix(_GX + k)] = gx
                    b[ix(_GY + k)] = gy
                    b[ix(_GZ + k)] = gz
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

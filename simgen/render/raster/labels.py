"""Ground truth at pixel centres, all from the same fragments; strict arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np

from simgen.render.raster.jit import ix, strict
from simgen.render.raster.layout import (
    CX,
    CY,
    FX,
    FY,
    INSTANCE,
    NEXT_CAM,
    OBJ_CAM,
    PART,
    PREVIOUS_CAM,
    SKEW,
)


@strict
def write_depth(count: int, pixel: Any, w: Any, out: Any) -> None:
    """z-depth in metres into ``out`` (H * W), which is 0 where there is no fragment."""
    out[:] = np.float32(0.0)
    for k in range(count):
        out[pixel[k]] = np.float32(1.0 / np.float64(w[k]))


@strict
def write_ids(count: int, pixel: Any, triangle: Any, owner: Any, draws: Any, column: int, out: Any) -> None:
    """Instance (``column`` 0) or part (1) ids into ``out`` (H * W)."""
    out[:] = np.uint16(0)
    table = INSTANCE if column == 0 else PART
    last = np.int32(-1)
    value = np.uint16(0)
    for k in range(count):
        if triangle[k] != last:
            last = triangle[k]
            value = np.uint16(draws[owner[last], table])
        out[pixel[k]] = value


@strict
def write_normals(count: int, pixel: Any, nx: Any, ny: Any, nz: Any, out: Any) -> None:
    """Unit normals into ``out`` (H * W * 3)."""
    out[:] = np.float32(0.0)
    for k in range(count):
        at = 3 * np.int64(pixel[k])
        out[at] = nx[k]
        out[at + 1] = ny[k]
        out[at + 2] = nz[k]


BLOCK = 2048
"""Fragments computed together, side by side in working memory, before they are written to their pixels."""
_STRIDE = BLOCK + 16  # not a power of two, which would crowd one set of the cache
_X, _Y, _W, _A, _B, _C = (k * _STRIDE for k in range(6))


@strict
def _load(first: int, n: int, px: Any, py: Any, w: Any, b: Any) -> None:
    for k in range(n):
        b[_X + k] = px[ix(first + k)]
    for k in range(n):
        b[_Y + k] = py[ix(first + k)]
    for k in range(n):
        b[_W + k] = w[ix(first + k)]


@strict
def _end_of_run(k: int, stop: int, triangle: Any, owner: Any) -> int:
    """Where the run of fragments of one drawable that starts at ``k`` ends, at most ``stop``."""
    last = triangle[k]
    m = owner[last]
    k += 1
    while k < stop:
        if triangle[k] != last:
            last = triangle[k]
            if owner[last] != m:
                break
        k += 1
    return k


@strict
def write_object_coords(
    count: int, pixel: Any, triangle: Any, px: Any, py: Any, w: Any, owner: Any, matrices: Any, camera: Any, out: Any
) -> None:
    """Coordinates in the object's frame after scale, metres, into ``out`` (H * W * 3)."""
    out[:] = np.float32(0.0)
    inverse_fx, inverse_fy = 1.0 / camera[FX], 1.0 / camera[FY]
    cx, cy, skew = camera[CX], camera[CY], camera[SKEW]
    b = np.empty(6 * _STRIDE, np.float32)
    for first in range(0, count, BLOCK):
        n = min(BLOCK, count - first)
        _load(first, n, px, py, w, b)
        i = 0
        while i < n:
            end = _end_of_run(first + i, first + n, triangle, owner) - first
            a = matrices[owner[triangle[first + i]], OBJ_CAM : OBJ_CAM + 12]
            a0, a1, a2, a3, a4, a5 = a[0], a[1], a[2], a[3], a[4], a[5]
            a6, a7, a8, a9, a10, a11 = a[6], a[7], a[8], a[9], a[10], a[11]
            for k in range(i, end):
                z = 1.0 / np.float64(b[ix(_W + k)])
                ry = (np.float64(b[ix(_Y + k)]) - cy) * inverse_fy
                rx = (np.float64(b[ix(_X + k)]) - cx - skew * ry) * inverse_fx
                x, y = rx * z, ry * z
                b[ix(_A + k)] = np.float32(a0 * x + a1 * y + a2 * z + a3)
                b[ix(_B + k)] = np.float32(a4 * x + a5 * y + a6 * z + a7)
                b[ix(_C + k)] = np.float32(a8 * x + a9 * y + a10 * z + a11)
            i = end
        for k in range(n):
            at = 3 * np.int64(pixel[ix(first + k)])
            out[ix(at)] = b[_A + k]
            out[ix(at + 1)] = b[_B + k]
            out[ix(at + 2)] = b[_C + k]


@strict
def write_flow(
    count: int, pixel: Any, triangle: Any, px: Any, py: Any, w: Any, owner: Any, matrices: Any, camera: Any,
    forward: bool, out: Any,
) -> None:  # fmt: skip
    """Motion in pixels to the next (``forward``) or previous time into ``out`` (H * W * 2).

    0 where there is no surface, and where the surface point is not in front of the camera at that time.
    """
    out[:] = np.float32(0.0)
    column = NEXT_CAM if forward else PREVIOUS_CAM
    fx, fy, cx, cy, skew = camera[FX], camera[FY], camera[CX], camera[CY], camera[SKEW]
    inverse_fx, inverse_fy = 1.0 / fx, 1.0 / fy
    b = np.empty(6 * _STRIDE, np.float32)
    for first in range(0, count, BLOCK):
        n = min(BLOCK, count - first)
        _load(first, n, px, py, w, b)
        i = 0
        while i < n:
            end = _end_of_run(first + i, first + n, triangle, owner) - first
            a = matrices[owner[triangle[first + i]], column : column + 12]
            a0, a1, a2, a3, a4, a5 = a[0], a[1], a[2], a[3], a[4], a[5]
            a6, a7, a8, a9, a10, a11 = a[6], a[7], a[8], a[9], a[10], a[11]
            for k in range(i, end):
                u0, v0 = np.float64(b[ix(_X + k)]), np.float64(b[ix(_Y + k)])
                z = 1.0 / np.float64(b[ix(_W + k)])
                ry = (v0 - cy) * inverse_fy
                rx = (u0 - cx - skew * ry) * inverse_fx
                x, y = rx * z, ry * z
                X = a0 * x + a1 * y + a2 * z + a3
                Y = a4 * x + a5 * y + a6 * z + a7
                Z = a8 * x + a9 * y + a10 * z + a11
                inverse = 1.0 / max(Z, 1e-6)
                u = (fx * X + skew * Y) * inverse + cx
                v = fy * Y * inverse + cy
                b[ix(_A + k)] = np.float32(u - u0 if Z > 1e-6 else 0.0)
                b[ix(_B + k)] = np.float32(v - v0 if Z > 1e-6 else 0.0)
            i = end
        for k in range(n):
            at = 2 * np.int64(pixel[ix(first + k)])
            out[ix(at)] = b[_A + k]
            out[ix(at + 1)] = b[_B + k]

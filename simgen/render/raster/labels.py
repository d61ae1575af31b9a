"""Ground truth at pixel centres, all from the same fragments; strict arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np

from simgen.render.raster.jit import strict
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


@strict
def write_object_coords(
    count: int, pixel: Any, triangle: Any, px: Any, py: Any, w: Any, owner: Any, matrices: Any, camera: Any, out: Any
) -> None:
    """Coordinates in the object's frame after scale, metres, into ``out`` (H * W * 3)."""
    out[:] = np.float32(0.0)
    inverse_fx, inverse_fy = 1.0 / camera[FX], 1.0 / camera[FY]
    cx, cy, skew = camera[CX], camera[CY], camera[SKEW]
    k = 0
    while k < count:
        m = owner[triangle[k]]
        a = matrices[m, OBJ_CAM : OBJ_CAM + 12]
        a0, a1, a2, a3, a4, a5 = a[0], a[1], a[2], a[3], a[4], a[5]
        a6, a7, a8, a9, a10, a11 = a[6], a[7], a[8], a[9], a[10], a[11]
        last = triangle[k]
        while k < count and (triangle[k] == last or owner[triangle[k]] == m):
            last = triangle[k]
            z = 1.0 / np.float64(w[k])
            ry = (np.float64(py[k]) - cy) * inverse_fy
            rx = (np.float64(px[k]) - cx - skew * ry) * inverse_fx
            x, y = rx * z, ry * z
            at = 3 * np.int64(pixel[k])
            out[at] = np.float32(a0 * x + a1 * y + a2 * z + a3)
            out[at + 1] = np.float32(a4 * x + a5 * y + a6 * z + a7)
            out[at + 2] = np.float32(a8 * x + a9 * y + a10 * z + a11)
            k += 1


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
    k = 0
    while k < count:
        m = owner[triangle[k]]
        a = matrices[m, column : column + 12]
        a0, a1, a2, a3, a4, a5 = a[0], a[1], a[2], a[3], a[4], a[5]
        a6, a7, a8, a9, a10, a11 = a[6], a[7], a[8], a[9], a[10], a[11]
        last = triangle[k]
        while k < count and (triangle[k] == last or owner[triangle[k]] == m):
            last = triangle[k]
            z = 1.0 / np.float64(w[k])
            ry = (np.float64(py[k]) - cy) * inverse_fy
            rx = (np.float64(px[k]) - cx - skew * ry) * inverse_fx
            x, y = rx * z, ry * z
            X = a0 * x + a1 * y + a2 * z + a3
            Y = a4 * x + a5 * y + a6 * z + a7
            Z = a8 * x + a9 * y + a10 * z + a11
            if Z > 1e-6:
                at = 2 * np.int64(pixel[k])
                inverse = 1.0 / Z
                u = (fx * X + skew * Y) * inverse + cx
                v = fy * Y * inverse + cy
                out[at] = np.float32(u - np.float64(px[k]))
                out[at + 1] = np.float32(v - np.float64(py[k]))
            k += 1

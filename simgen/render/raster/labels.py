"""Ground truth at pixel centres, all from the same fragments in one sweep; strict arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np

from simgen.render.raster.jit import ix, strict, strict_part
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
from simgen.render.raster.runs import find_runs
from simgen.render.raster.streams import fence, read_ahead, write_1, write_2, write_3

BLOCK = 1024
"""Fragments computed together, side by side in working memory, before they are written to their pixels."""
_STRIDE = BLOCK + 16
"""From value to value; not a power of two, which would crowd one set of the cache."""
_X, _Y, _Z = (k * _STRIDE for k in range(3))  # the point in the camera, float64
_A, _B, _C, _U, _V = (k * _STRIDE for k in range(5))  # results and the place in the image, float32


@strict_part
def _find_owners(first: int, n: int, triangle: Any, owner: Any, starts: Any, ends: Any, owners: Any) -> int:
    """Where in a block the runs of fragments of one drawable end, and of which; how many there are."""
    triangles = find_runs(first, n, triangle, starts, 0)
    runs = 0
    m = owner[ix(triangle[ix(first)])]
    for k in range(1, triangles):
        after = owner[ix(triangle[ix(first + np.int64(starts[ix(k)]))])]
        if after != m:
            ends[ix(runs)], owners[ix(runs)] = starts[ix(k)], m
            runs += 1
            m = after
    ends[ix(runs)], owners[ix(runs)] = n, m
    return runs + 1


@strict_part
def _together(first: int, n: int, pixel: Any) -> Any:
    """Whether the fragments of a block lie in pixels that follow one another."""
    return pixel[ix(first + n - 1)] - pixel[ix(first)] == n - 1


@strict_part
def _write_3(first: int, n: int, pixel: Any, b: Any, out: Any) -> None:
    """The values at _A, _B and _C of a block to its pixels, next to each other."""
    if _together(first, n, pixel):
        write_3(np.int64(pixel[ix(first)]), n, b, _A, _STRIDE, out)
        return
    for k in range(n):
        at = 3 * np.int64(pixel[ix(first + k)])
        out[ix(at)] = b[ix(_A + k)]
        out[ix(at + 1)] = b[ix(_B + k)]
        out[ix(at + 2)] = b[ix(_C + k)]


@strict_part
def _write_2(first: int, n: int, pixel: Any, b: Any, out: Any) -> None:
    """The values at _A and _B of a block to its pixels, next to each other."""
    if _together(first, n, pixel):
        write_2(np.int64(pixel[ix(first)]), n, b, _A, _STRIDE, out)
        return
    for k in range(n):
        at = 2 * np.int64(pixel[ix(first + k)])
        out[ix(at)] = b[ix(_A + k)]
        out[ix(at + 1)] = b[ix(_B + k)]


@strict_part
def _write_1(first: int, n: int, pixel: Any, values: Any, out: Any) -> None:
    """The first ``n`` of ``values`` to the pixels of a block."""
    if _together(first, n, pixel):
        write_1(np.int64(pixel[ix(first)]), n, values, 0, out)
        return
    for k in range(n):
        out[ix(pixel[ix(first + k)])] = values[ix(k)]


@strict_part
def _find_ids(runs: int, ends: Any, owners: Any, draws: Any, column: int, ids: Any) -> None:
    """Ids of the drawables of a block."""
    i: Any = 0
    for run in range(runs):
        value = np.uint16(draws[owners[ix(run)], column])
        end = np.int64(ends[ix(run)])
        for k in range(i, end):
            ids[ix(k)] = value
        i = end


@strict_part
def _find_points(first: int, n: int, px: Any, py: Any, w: Any, camera: Any, p: Any, b: Any) -> None:
    """The surface points of a block in the camera."""
    inverse_fx, inverse_fy = 1.0 / camera[FX], 1.0 / camera[FY]
    cx, cy, skew = camera[CX], camera[CY], camera[SKEW]
    for k in range(n):
        b[ix(_U + k)] = px[ix(first + k)]
    for k in range(n):
        b[ix(_V + k)] = py[ix(first + k)]
    for k in range(n):
        p[ix(_Z + k)] = 1.0 / np.float64(w[ix(first + k)])
    for k in range(n):
        z = p[ix(_Z + k)]
        ry = (np.float64(b[ix(_V + k)]) - cy) * inverse_fy
        rx = (np.float64(b[ix(_U + k)]) - cx - skew * ry) * inverse_fx
        p[ix(_X + k)] = rx * z
        p[ix(_Y + k)] = ry * z


@strict_part
def _matrix(matrices: Any, m: int, c: int) -> Any:
    """A matrix of a drawable, without a view of it: that would be counted, for which the processor waits."""
    return (
        matrices[m, c], matrices[m, c + 1], matrices[m, c + 2], matrices[m, c + 3],
        matrices[m, c + 4], matrices[m, c + 5], matrices[m, c + 6], matrices[m, c + 7],
        matrices[m, c + 8], matrices[m, c + 9], matrices[m, c + 10], matrices[m, c + 11],
    )  # fmt: skip


@strict_part
def _find_object_coords(runs: int, ends: Any, owners: Any, matrices: Any, p: Any, b: Any) -> None:
    """Coordinates of a block in the frames of its objects."""
    i: Any = 0
    for run in range(runs):
        end = np.int64(ends[ix(run)])
        a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11 = _matrix(matrices, owners[ix(run)], OBJ_CAM)
        for k in range(i, end):
            x, y, z = p[ix(_X + k)], p[ix(_Y + k)], p[ix(_Z + k)]
            b[ix(_A + k)] = np.float32(a0 * x + a1 * y + a2 * z + a3)
            b[ix(_B + k)] = np.float32(a4 * x + a5 * y + a6 * z + a7)
            b[ix(_C + k)] = np.float32(a8 * x + a9 * y + a10 * z + a11)
        i = end


@strict_part
def _find_flow(runs: int, ends: Any, owners: Any, matrices: Any, column: int, camera: Any, p: Any, b: Any) -> None:
    """Motion of a block in pixels; 0 where the surface point is not in front of the camera at that time."""
    fx, fy, cx, cy, skew = camera[FX], camera[FY], camera[CX], camera[CY], camera[SKEW]
    i: Any = 0
    for run in range(runs):
        end = np.int64(ends[ix(run)])
        a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11 = _matrix(matrices, owners[ix(run)], column)
        for k in range(i, end):
            x, y, z = p[ix(_X + k)], p[ix(_Y + k)], p[ix(_Z + k)]
            X = a0 * x + a1 * y + a2 * z + a3
            Y = a4 * x + a5 * y + a6 * z + a7
            Z = a8 * x + a9 * y + a10 * z + a11
            inverse = 1.0 / max(Z, 1e-6)
            u = (fx * X + skew * Y) * inverse + cx - np.float64(b[ix(_U + k)])
            v = fy * Y * inverse + cy - np.float64(b[ix(_V + k)])
            b[ix(_A + k)] = np.float32(u if Z > 1e-6 else 0.0)
            b[ix(_B + k)] = np.float32(v if Z > 1e-6 else 0.0)
        i = end


DEPTH, IDS, PARTS, NORMALS, COORDS, FORWARD, BACKWARD = (1 << k for k in range(7))
"""Bits of the passes to write."""


@strict
def write_labels(
    wanted: int, count: int, pixel: Any, triangle: Any, px: Any, py: Any, w: Any, nx: Any, ny: Any, nz: Any, owner: Any,
    draws: Any, matrices: Any, camera: Any, depth: Any, instance: Any, part: Any, normal: Any, coords: Any,
    forward: Any, backward: Any,
) -> None:  # fmt: skip
    """Write the passes ``wanted`` of the first ``count`` fragments to their pixels; others keep what they hold.

    ``depth`` (H * W) z-depth in metres, ``instance`` and ``part`` (H * W) ids, ``normal`` (H * W * 3) unit normals,
    ``coords`` (H * W * 3) metres in the object's frame after scale, ``forward`` and ``backward`` (H * W * 2) motion in
    pixels to the next and to the previous time, 0 where the point is not in front of the camera then.
    """
    p = np.empty(3 * _STRIDE)
    b = np.empty(5 * _STRIDE, np.float32)
    starts = np.empty(BLOCK + 1, np.int32)
    ends, owners, ids = np.empty(BLOCK, np.int32), np.empty(BLOCK, np.int32), np.empty(BLOCK, np.uint16)
    for first in range(0, count, BLOCK):
        n = min(BLOCK, count - first)
        read_ahead(triangle, first + n, BLOCK)
        for plane in (px, py, w, nx, ny, nz):
            read_ahead(plane, first + n, BLOCK)
        runs = _find_owners(first, n, triangle, owner, starts, ends, owners)
        if wanted & IDS:
            _find_ids(runs, ends, owners, draws, INSTANCE, ids)
            _write_1(first, n, pixel, ids, instance)
        if wanted & PARTS:
            _find_ids(runs, ends, owners, draws, PART, ids)
            _write_1(first, n, pixel, ids, part)
        if wanted & NORMALS:
            for k in range(n):
                b[ix(_A + k)] = nx[ix(first + k)]
            for k in range(n):
                b[ix(_B + k)] = ny[ix(first + k)]
            for k in range(n):
                b[ix(_C + k)] = nz[ix(first + k)]
            _write_3(first, n, pixel, b, normal)
        if wanted & (DEPTH | COORDS | FORWARD | BACKWARD) == 0:
            continue
        _find_points(first, n, px, py, w, camera, p, b)
        if wanted & DEPTH:
            for k in range(n):
                b[ix(_A + k)] = np.float32(p[ix(_Z + k)])
            _write_1(first, n, pixel, b, depth)
        if wanted & COORDS:
            _find_object_coords(runs, ends, owners, matrices, p, b)
            _write_3(first, n, pixel, b, coords)
        if wanted & FORWARD:
            _find_flow(runs, ends, owners, matrices, NEXT_CAM, camera, p, b)
            _write_2(first, n, pixel, b, forward)
        if wanted & BACKWARD:
            _find_flow(runs, ends, owners, matrices, PREVIOUS_CAM, camera, p, b)
            _write_2(first, n, pixel, b, backward)
    fence()

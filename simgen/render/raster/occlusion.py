"""Ambient occlusion from depth and normals at half resolution, so that objects sit on what they stand on.

The estimator is that of scalable ambient obscurance (McGuire, Mara and Luebke 2012): points seen near a surface point
and above its tangent plane shut off a part of the sky. It is sampled along a spiral turned from pixel to pixel, and
smoothed across the pattern and back to full resolution without crossing depth edges.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.render.raster.jit import fast, ix
from simgen.render.raster.layout import CX, CY, FX, FY

TAPS = 12
_TURNS = 16
_0 = np.float32(0.0)
_1 = np.float32(1.0)
_HALF = np.float32(0.5)


def spiral() -> NDArray[np.float32]:
    """Flat pairs: the taps within the unit disc, then the cosines and sines of 16 turns."""
    k = np.arange(TAPS)
    radius, angle = (k + 0.5) / TAPS, k * np.pi * (3 - np.sqrt(5))
    # The order of a 4 x 4 Bayer matrix keeps neighbouring turns apart.
    turn = np.array([0, 8, 2, 10, 12, 4, 14, 6, 3, 11, 1, 9, 15, 7, 13, 5]) / _TURNS * 2 * np.pi
    discs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
    return np.concatenate([discs, np.stack([np.cos(turn), np.sin(turn)], 1)]).astype(np.float32).reshape(-1)


@fast
def gather_half(
    count: int, px: Any, py: Any, w: Any, nx: Any, ny: Any, nz: Any, half_width: int, half_height: int,
    depth: Any, normal: Any,
) -> None:  # fmt: skip
    """Depth (0: none) and normals of every other pixel of every other row into ``depth`` and ``normal`` (3 n)."""
    total = half_width * half_height
    for i in range(total):
        depth[i] = _0
    for k in range(count):
        x, y = np.int64(px[k]), np.int64(py[k])
        if (x & 1) == 0 and (y & 1) == 0:
            i = (y >> 1) * half_width + (x >> 1)
            depth[i] = _1 / w[k]
            normal[i] = nx[k]
            normal[ix(total + i)] = ny[k]
            normal[ix(2 * total + i)] = nz[k]


CHUNK = 1024
"""Pixels of a row that are computed together."""
_Z, _PX, _PY, _NX, _NY, _NZ, _REACH, _C, _S, _U, _V, _FOUND, _BLOCKED, _BIAS = (k * CHUNK for k in range(14))
CHANNELS = 14


@fast
def occlude(
    width: int, height: int, camera: Any, radius: Any, discs: Any, depth: Any, normal: Any, b: Any, a: Any, out: Any
) -> None:
    """Share of the sky that is open at each half-resolution pixel, unsmoothed; ``b`` and ``a`` are working memory."""
    total = width * height
    fx, fy = np.float32(camera[FX]) * _HALF, np.float32(camera[FY]) * _HALF
    cx, cy = np.float32(camera[CX]) * _HALF, np.float32(camera[CY]) * _HALF
    inverse_fx, inverse_fy = _1 / fx, _1 / fy
    r2 = radius * radius
    scale = np.float32(9.0) / (r2 * r2 * r2 * np.float32(TAPS)) * radius
    widest = np.float32(0.2) * np.float32(width)
    right, bottom = np.float32(width - 1), np.float32(height - 1)
    for row in range(height):
        y = np.float32(row)
        for first in range(0, width, CHUNK):
            n = min(CHUNK, width - first)
            start = row * width + first
            for i in range(n):
                b[ix(_Z + i)] = depth[ix(start + i)]
            for i in range(n):
                b[ix(_NX + i)] = normal[ix(start + i)]
                b[ix(_NY + i)] = normal[ix(total + start + i)]
                b[ix(_NZ + i)] = normal[ix(2 * total + start + i)]
            for i in range(n):
                turn = 2 * (TAPS + (row & 3) * 4 + ((first + i) & 3))
                b[ix(_C + i)] = discs[turn]
                b[ix(_S + i)] = discs[turn + 1]
            for i in range(n):
                z = b[ix(_Z + i)]
                b[ix(_PX + i)] = (np.float32(first + i) - cx) * inverse_fx * z
                b[ix(_PY + i)] = (y - cy) * inverse_fy * z
                b[ix(_REACH + i)] = min(radius * fx / max(z, np.float32(1e-6)), widest)
                b[ix(_BIAS + i)] = np.float32(0.002) * z + np.float32(0.01) * radius
                b[ix(_BLOCKED + i)] = _0
            for k in range(TAPS):
                dx, dy = discs[2 * k], discs[2 * k + 1]
                for i in range(n):
                    c, s, reach = b[ix(_C + i)], b[ix(_S + i)], b[ix(_REACH + i)]
                    u = np.floor(np.float32(first + i) + (dx * c - dy * s) * reach + _HALF)
                    v = np.floor(y + (dx * s + dy * c) * reach + _HALF)
                    u, v = min(max(u, _0), right), min(max(v, _0), bottom)
                    b[ix(_U + i)] = u
                    b[ix(_V + i)] = v
                    a[i] = np.int32(np.int32(u) + np.int32(np.int32(v) * np.int32(width)))
                for i in range(n):
                    b[ix(_FOUND + i)] = depth[np.uint32(a[i])]
                for i in range(n):
                    zq = b[ix(_FOUND + i)]
                    qx = (b[ix(_U + i)] - cx) * inverse_fx * zq - b[ix(_PX + i)]
                    qy = (b[ix(_V + i)] - cy) * inverse_fy * zq - b[ix(_PY + i)]
                    qz = zq - b[ix(_Z + i)]
                    d2 = qx * qx + qy * qy + qz * qz
                    above = qx * b[ix(_NX + i)] + qy * b[ix(_NY + i)] + qz * b[ix(_NZ + i)] - b[ix(_BIAS + i)]
                    fall = max(r2 - d2, _0)
                    share = fall * fall * fall * max(above, _0) / (d2 + np.float32(1e-4) * r2)
                    b[ix(_BLOCKED + i)] += share if zq > _0 else _0
            for i in range(n):
                found = max(_1 - b[ix(_BLOCKED + i)] * scale, _0)
                b[ix(_BLOCKED + i)] = found if b[ix(_Z + i)] > _0 and b[ix(_REACH + i)] >= _1 else _1
            for i in range(n):
                out[ix(start + i)] = b[ix(_BLOCKED + i)]


@fast
def smooth(width: int, height: int, depth: Any, source: Any, target: Any, step_x: int, step_y: int) -> None:
    """Average over five pixels in one direction, leaving out those at another depth."""
    for y in range(height):
        for x in range(width):
            i = y * width + x
            z = depth[i]
            tolerance = np.float32(12.0) / max(z, np.float32(1e-6))
            total = source[i]
            weight = _1
            for k in range(-2, 3):
                u, v = x + k * step_x, y + k * step_y
                if k != 0 and u >= 0 and v >= 0 and u < width and v < height:
                    j = v * width + u
                    share = max(_1 - abs(depth[j] - z) * tolerance, _0)
                    total += source[j] * share
                    weight += share
            target[i] = total / weight


@fast
def spread(
    count: int, px: Any, py: Any, w: Any, width: int, height: int, depth: Any, source: Any, opening: Any
) -> None:
    """Bring the half-resolution result to fragments: bilinear, weighted by likeness of depth."""
    for k in range(count):
        x, y = max(px[k], _0) * _HALF, max(py[k], _0) * _HALF
        x0, y0 = np.int64(max(x, _0)), np.int64(max(y, _0))
        x0, y0 = min(x0, width - 1), min(y0, height - 1)
        x1, y1 = min(x0 + 1, width - 1), min(y0 + 1, height - 1)
        a, b = min(max(x - np.float32(x0), _0), _1), min(max(y - np.float32(y0), _0), _1)
        wk = w[k]
        total = np.float32(1e-6)
        weight = np.float32(1e-6)
        for j in range(4):
            at = (y1 if j >= 2 else y0) * width + (x1 if (j & 1) == 1 else x0)
            share = (a if (j & 1) == 1 else _1 - a) * (b if j >= 2 else _1 - b) + np.float32(1e-3)
            share *= max(_1 - abs(depth[at] * wk - _1) * np.float32(16.0), _0)
            total += share * source[at]
            weight += share
        opening[k] = total / weight

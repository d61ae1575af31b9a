"""Ambient occlusion from depth and normals at half resolution, so that objects sit on what they stand on.

The estimator is that of scalable ambient obscurance (McGuire, Mara and Luebke 2012): points seen near a surface point
and above its tangent plane shut off a part of the sky. It is sampled along a spiral turned from pixel to pixel, and
smoothed across the pattern and back to full resolution without crossing depth edges.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.render.raster.jit import fast
from simgen.render.raster.layout import CX, CY, FX, FY

TAPS = 12
_TURNS = 16
_0 = np.float32(0.0)
_1 = np.float32(1.0)
_HALF = np.float32(0.5)


def spiral() -> NDArray[np.float32]:
    """Offsets of the taps for each of 16 turns, (16, TAPS, 2), within the unit disc."""
    k = np.arange(TAPS)
    radius, angle = (k + 0.5) / TAPS, k * np.pi * (3 - np.sqrt(5))
    # The order of a 4 x 4 Bayer matrix keeps neighbouring turns apart.
    order = np.array([0, 8, 2, 10, 12, 4, 14, 6, 3, 11, 1, 9, 15, 7, 13, 5])
    turned = angle + (order / _TURNS * 2 * np.pi)[:, None]
    return np.stack([radius * np.cos(turned), radius * np.sin(turned)], -1).astype(np.float32)


@fast
def gather_half(
    count: int, width: int, pixel: Any, w: Any, nx: Any, ny: Any, nz: Any, half_width: int, half_height: int,
    depth: Any, normal: Any,
) -> None:  # fmt: skip
    """Depth (0: none) and normals of every other pixel of every other row into ``depth`` and ``normal`` (3 n)."""
    total = half_width * half_height
    for i in range(total):
        depth[i] = _0
    for k in range(count):
        x, y = pixel[k] % width, pixel[k] // width
        if (x & 1) == 0 and (y & 1) == 0:
            i = (y >> 1) * half_width + (x >> 1)
            depth[i] = _1 / w[k]
            normal[i] = nx[k]
            normal[total + i] = ny[k]
            normal[2 * total + i] = nz[k]


@fast
def occlude(width: int, height: int, camera: Any, radius: Any, discs: Any, depth: Any, normal: Any, out: Any) -> None:
    """Share of the sky that is open at each half-resolution pixel, unsmoothed."""
    total = width * height
    fx, fy = np.float32(camera[FX]) * _HALF, np.float32(camera[FY]) * _HALF
    cx, cy = np.float32(camera[CX]) * _HALF, np.float32(camera[CY]) * _HALF
    inverse_fx, inverse_fy = _1 / fx, _1 / fy
    r2 = radius * radius
    scale = np.float32(5.0) / (r2 * r2 * r2 * np.float32(TAPS)) * radius
    for y in range(height):
        for x in range(width):
            i = y * width + x
            z = depth[i]
            if z <= _0:
                out[i] = _1
                continue
            reach = radius * fx / z
            if reach < _1:
                out[i] = _1
                continue
            reach = min(reach, np.float32(0.2) * np.float32(width))
            px, py = (np.float32(x) - cx) * inverse_fx * z, (np.float32(y) - cy) * inverse_fy * z
            nx, ny, nz = normal[i], normal[total + i], normal[2 * total + i]
            turn = (y & 3) * 4 + (x & 3)
            bias = np.float32(0.002) * z + np.float32(0.01) * radius
            blocked = _0
            for k in range(TAPS):
                u = np.int64(np.float32(x) + discs[turn, k, 0] * reach + _HALF)
                v = np.int64(np.float32(y) + discs[turn, k, 1] * reach + _HALF)
                u, v = min(max(u, 0), width - 1), min(max(v, 0), height - 1)
                zq = depth[v * width + u]
                qx = (np.float32(u) - cx) * inverse_fx * zq - px
                qy = (np.float32(v) - cy) * inverse_fy * zq - py
                qz = zq - z
                d2 = qx * qx + qy * qy + qz * qz
                above = qx * nx + qy * ny + qz * nz - bias
                fall = max(r2 - d2, _0)
                share = fall * fall * fall * max(above, _0) / (d2 + np.float32(1e-4) * r2)
                blocked += share if zq > _0 else _0
            out[i] = max(_1 - blocked * scale, _0)


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

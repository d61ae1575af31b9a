"""Ambient occlusion from depth and normals at half resolution, so that objects sit on what they stand on.

Points seen near a surface point and above its tangent plane shut off a part of the sky that grows with their elevation
and falls with their distance (obscurance, Zhukov et al. 1998). They are looked up along a spiral in the image that
turns from pixel to pixel (McGuire, Mara and Luebke 2012); the result is smoothed across the pattern of turns and
brought back to full resolution without crossing depth edges.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.render.raster.block import ABOVE, BELOW, OPEN, SX, SY, TUPPER, Z
from simgen.render.raster.jit import fast, ix
from simgen.render.raster.layout import CX, CY, FX, FY

TAPS = 12
_STRENGTH = 9.0
"""Leaves less than half of the sky open at the foot of an object, which stands for what lies beyond the reach too."""
_TURNS = 16
_LIKE = np.float32(16.0)
"""One over the relative difference in depth from which on neighbours count for nothing."""
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
        x, y = int(px[k]), int(py[k])
        if (x & 1) == 0 and (y & 1) == 0:
            i = (y >> 1) * half_width + (x >> 1)
            depth[i] = _1 / w[k]
            normal[i] = nx[k]
            normal[ix(total + i)] = ny[k]
            normal[ix(2 * total + i)] = nz[k]


CHUNK = 1024
"""Pixels of a row that are computed together."""
STRIDE = CHUNK + 16
"""From value to value; not a power of two, which would crowd one set of the cache."""
_Z, _PX, _PY, _NX, _NY, _NZ, _REACH, _C, _S, _U, _V, _FOUND, _BLOCKED, _BIAS = (k * STRIDE for k in range(14))
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
    inverse_r2, tiny = _1 / r2, np.float32(1e-6) * r2
    scale = np.float32(_STRENGTH / TAPS)
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
                    share = max(above, _0) / np.sqrt(d2 + tiny) * max(_1 - d2 * inverse_r2, _0)
                    b[ix(_BLOCKED + i)] += share if zq > _0 else _0
            for i in range(n):
                found = _1 / (_1 + b[ix(_BLOCKED + i)] * scale)
                b[ix(_BLOCKED + i)] = found if b[ix(_Z + i)] > _0 and b[ix(_REACH + i)] >= _1 else _1
            for i in range(n):
                out[ix(start + i)] = b[ix(_BLOCKED + i)]


@fast
def smooth(width: int, height: int, depth: Any, source: Any, target: Any, step_x: int, step_y: int) -> None:
    """Average over the pattern of four turns in one direction, leaving out pixels at another depth."""
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
                    # The ends count half: five pixels make a window of four.
                    share = max(_1 - abs(depth[j] - z) * tolerance, _0) * (_HALF if abs(k) == 2 else _1)
                    total += source[j] * share
                    weight += share
            target[i] = total / weight


@fast
def join(width: int, height: int, depth: Any, opening: Any, sky: Any) -> None:
    """Depth and open share side by side, so that those of two neighbours are read in one go.

    ``sky`` is (``height`` + 1, ``width`` + 1, 2), flat: the last row and column are there twice.
    """
    for y in range(height + 1):
        row = min(y, height - 1) * width
        at = y * (width + 1) * 2
        for x in range(width):
            sky[ix(at + 2 * x)] = depth[ix(row + x)]
            sky[ix(at + 2 * x + 1)] = opening[ix(row + x)]
        sky[ix(at + 2 * width)] = depth[ix(row + width - 1)]
        sky[ix(at + 2 * width + 1)] = opening[ix(row + width - 1)]


@fast
def _real(bits: Any) -> Any:
    """The float32 of these bits."""
    return np.uint32(bits).view(np.float32)


@fast
def open_sky(n: int, width: int, sky: Any, b: Any, a: Any, t: Any) -> None:
    """Share of the sky that is open at the fragments of a block (see ``block``), into OPEN.

    Bilinear in ``sky``, the bits (uint32) of what ``join`` leaves for an image ``width`` wide, weighted by likeness of
    depth.
    """
    row = np.int32(2 * ((width + 1) // 2 + 1))
    for i in range(n):
        column, line = np.int32(max(b[ix(SX + i)] * _HALF, _0)), np.int32(max(b[ix(SY + i)] * _HALF, _0))
        a[ix(TUPPER + i)] = np.int32(np.int32(column + column) + np.int32(line * row))
    for i in range(n):
        at = np.uint32(a[ix(TUPPER + i)])
        below = at + np.uint32(row)
        # All are read before any is written: LLVM then moves four at a time.
        d00, s00, d10, s10 = sky[at], sky[at + np.uint32(1)], sky[at + np.uint32(2)], sky[at + np.uint32(3)]
        d01, s01 = sky[below], sky[below + np.uint32(1)]
        d11, s11 = sky[below + np.uint32(2)], sky[below + np.uint32(3)]
        t[ix(ABOVE + 4 * i)] = d00
        t[ix(ABOVE + 4 * i + 1)] = s00
        t[ix(ABOVE + 4 * i + 2)] = d10
        t[ix(ABOVE + 4 * i + 3)] = s10
        t[ix(BELOW + 4 * i)] = d01
        t[ix(BELOW + 4 * i + 1)] = s01
        t[ix(BELOW + 4 * i + 2)] = d11
        t[ix(BELOW + 4 * i + 3)] = s11
    tiny = np.float32(1e-3)
    for i in range(n):
        x, y, z = max(b[ix(SX + i)] * _HALF, _0), max(b[ix(SY + i)] * _HALF, _0), b[ix(Z + i)]
        fx, fy = x - np.floor(x), y - np.floor(y)
        left, right, top, bottom = _1 - fx, fx, _1 - fy, fy
        p = (left * top + tiny) * max(z - abs(_real(t[ix(ABOVE + 4 * i)]) - z) * _LIKE, _0)
        q = (right * top + tiny) * max(z - abs(_real(t[ix(ABOVE + 4 * i + 2)]) - z) * _LIKE, _0)
        r = (left * bottom + tiny) * max(z - abs(_real(t[ix(BELOW + 4 * i)]) - z) * _LIKE, _0)
        s = (right * bottom + tiny) * max(z - abs(_real(t[ix(BELOW + 4 * i + 2)]) - z) * _LIKE, _0)
        none = np.float32(1e-6) * z
        total = none + p * _real(t[ix(ABOVE + 4 * i + 1)]) + q * _real(t[ix(ABOVE + 4 * i + 3)])
        total += r * _real(t[ix(BELOW + 4 * i + 1)]) + s * _real(t[ix(BELOW + 4 * i + 3)])
        b[ix(OPEN + i)] = total / (none + p + q + r + s)

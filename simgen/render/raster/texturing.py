"""Texture filtering of a block of fragments."""

from __future__ import annotations

from typing import Any

import numpy as np

from simgen.render.raster import layout as L  # noqa: N812
from simgen.render.raster.block import (
    LANES,
    LOWER,
    NOISE,
    TA,
    TB,
    TBL,
    TCOUNT,
    TDU,
    TDV,
    TG,
    THEIGHT,
    TLEVEL,
    TLOWER,
    TMOST,
    TR,
    TSTART,
    TU,
    TUPPER,
    TV,
    TW,
    TWIDTH,
    UPPER,
    UX,
    UY,
    VXU,
    VYU,
    U,
    V,
)
from simgen.render.raster.jit import fast, ix
from simgen.render.raster.mathematics import log2
from simgen.render.raster.textures import BLUE_SCALE, GREEN_SCALE, RED_SCALE, unpack_color

_0 = np.float32(0.0)
_1 = np.float32(1.0)
_2 = np.float32(2.0)
_HALF = np.float32(0.5)
_TINY = np.float32(1e-12)
_HUGE = np.float32(1e18)


@fast
def list_lines(begin: int, end: int, textures: Any, texture: int, b: Any, a: Any) -> None:
    """Where fragments ``begin`` to ``end`` of a block sample their colour map.

    The footprint of a pixel is a parallelogram; up to eight samples lie along its long side, in the level that fits its
    short side (Schilling et al. 1996). Between two levels, pixels take one or the other in a fixed pattern of noise,
    which costs half of blending both (stochastic filtering, Fajardo et al. 2023).
    """
    width, height = np.float32(textures[texture, L.LEVEL + 1]), np.float32(textures[texture, L.LEVEL + 2])
    levels = textures[texture, L.LEVELS]
    last, most = np.float32(levels - 1), np.int32(levels - 1)
    for group in range(begin, end, LANES):
        for lane in range(LANES):
            i = group + lane
            u_x, v_x, u_y, v_y = b[ix(UX + i)], b[ix(VXU + i)], b[ix(UY + i)], b[ix(VYU + i)]
            ux, vx, uy, vy = u_x * width, v_x * height, u_y * width, v_y * height
            along_x, along_y = ux * ux + vx * vx, uy * uy + vy * vy
            major2 = min(max(max(along_x, along_y), _TINY), _HUGE)
            area = ux * vy - uy * vx
            # The number of samples is the ratio of the sides; a single one when the texture is magnified.
            ratio2 = min(major2 * major2 / max(area * area, np.float32(1e-36)), np.float32(64.0))
            count = max(np.floor(np.sqrt(ratio2) + np.float32(0.3)), _1)
            count = count if major2 > _1 else _1
            share = _1 / count
            level = _HALF * (log2(major2) - log2(min(count * count, max(ratio2, _1)))) - np.float32(0.2)
            level = min(max(level, _0), last)
            low = np.floor(level)
            low += _1 if (level - low - np.float32(0.25)) * _2 > b[ix(NOISE + i)] else _0
            chosen = min(max(np.int32(low), np.int32(0)), most)
            # 2 to the power of minus the level, exactly.
            scale = np.int32((np.int32(127) - chosen) << np.int32(23)).view(np.float32)
            du = (u_x if along_x > along_y else u_y) * share
            dv = (v_x if along_x > along_y else v_y) * share
            offset = _HALF - _HALF * count
            b[ix(TU + i)] = b[ix(U + i)] + offset * du
            b[ix(TV + i)] = b[ix(V + i)] + offset * dv
            b[ix(TDU + i)] = du
            b[ix(TDV + i)] = dv
            b[ix(TWIDTH + i)] = max(np.floor(width * scale), _1)
            b[ix(THEIGHT + i)] = max(np.floor(height * scale), _1)
            b[ix(TW + i)] = share
            b[ix(TR + i)] = _0
            b[ix(TG + i)] = _0
            b[ix(TBL + i)] = _0
            a[ix(TCOUNT + i)] = np.int32(count)
            a[ix(TLEVEL + i)] = np.int32(chosen * np.int32(3))
    for i in range(begin, end):
        a[ix(TSTART + i)] = textures[ix(texture), np.uint32(L.LEVEL) + np.uint32(a[ix(TLEVEL + i)])]


@fast
def list_nothing(begin: int, end: int, b: Any, a: Any) -> None:
    """Samples without weight for fragments ``begin`` to ``end`` of a block, which have no colour map."""
    for i in range(begin, end):
        b[ix(TU + i)] = _0
        b[ix(TV + i)] = _0
        b[ix(TDU + i)] = _0
        b[ix(TDV + i)] = _0
        b[ix(TWIDTH + i)] = _0
        b[ix(THEIGHT + i)] = _0
        b[ix(TW + i)] = _0
        b[ix(TR + i)] = _0
        b[ix(TG + i)] = _0
        b[ix(TBL + i)] = _0
    for i in range(begin, end):
        a[ix(TCOUNT + i)] = 0
        a[ix(TSTART + i)] = 0


@fast
def _add_samples(begin: int, end: int, k: int, texels: Any, b: Any, a: Any, t: Any) -> None:
    """Add the samples number ``k``, from 0, of fragments ``begin`` to ``end``, bilinear, to TR, TG and TBL.

    These are whole groups of LANES.
    """
    step = np.float32(k)
    for group in range(begin, end, LANES):
        for lane in range(LANES):
            i = group + lane
            u, v = b[ix(TU + i)] + step * b[ix(TDU + i)], b[ix(TV + i)] + step * b[ix(TDV + i)]
            w, h = b[ix(TWIDTH + i)], b[ix(THEIGHT + i)]
            x = (u - np.floor(u)) * w + _HALF
            y = (v - np.floor(v)) * h + _HALF
            width = np.int32(w)
            # Whatever the coordinates are, the address is that of a texel.
            x0 = min(max(np.int32(x), np.int32(0)), width)
            y0 = min(max(np.int32(y), np.int32(0)), np.int32(h))
            b[ix(TA + i)] = x - np.float32(x0)
            b[ix(TB + i)] = y - np.float32(y0)
            row = np.int32(width + np.int32(2))
            at = np.int32(np.int32(a[ix(TSTART + i)] + np.int32(y0 * row)) + x0)
            a[ix(TUPPER + i)] = at
            a[ix(TLOWER + i)] = np.int32(at + row)
    for i in range(begin, end):
        upper, lower = np.uint32(a[ix(TUPPER + i)]), np.uint32(a[ix(TLOWER + i)])
        # All are read before any is written: LLVM then moves them in pairs.
        p, q = texels[upper], texels[upper + np.uint32(1)]
        r, s = texels[lower], texels[lower + np.uint32(1)]
        t[ix(UPPER + 2 * i)] = p
        t[ix(UPPER + 2 * i + 1)] = q
        t[ix(LOWER + 2 * i)] = r
        t[ix(LOWER + 2 * i + 1)] = s
    most = np.int32(k)
    for group in range(begin, end, LANES):
        for lane in range(LANES):
            i = group + lane
            fa, fb = b[ix(TA + i)], b[ix(TB + i)]
            weight = b[ix(TW + i)] if a[ix(TCOUNT + i)] > most else _0
            r00, g00, b00 = unpack_color(t[ix(UPPER + 2 * i)])
            r01, g01, b01 = unpack_color(t[ix(UPPER + 2 * i + 1)])
            r10, g10, b10 = unpack_color(t[ix(LOWER + 2 * i)])
            r11, g11, b11 = unpack_color(t[ix(LOWER + 2 * i + 1)])
            r0, r1 = r00 + (r01 - r00) * fa, r10 + (r11 - r10) * fa
            g0, g1 = g00 + (g01 - g00) * fa, g10 + (g11 - g10) * fa
            b0, b1 = b00 + (b01 - b00) * fa, b10 + (b11 - b10) * fa
            b[ix(TR + i)] += (r0 + (r1 - r0) * fb) * (weight * RED_SCALE)
            b[ix(TG + i)] += (g0 + (g1 - g0) * fb) * (weight * GREEN_SCALE)
            b[ix(TBL + i)] += (b0 + (b1 - b0) * fb) * (weight * BLUE_SCALE)


@fast
def filter_colors(n: int, texels: Any, b: Any, a: Any, t: Any) -> None:
    """Filter the colour maps of a block: the mean of the samples on each fragment's line into TR, TG, TBL.

    The first samples of all fragments are taken together, further ones where any of LANES neighbours has them.
    """
    groups = (n + LANES - 1) // LANES
    list_nothing(n, groups * LANES, b, a)
    most = np.int32(1)
    for g in range(groups):
        largest = np.int32(0)
        for i in range(LANES):
            largest = max(largest, a[ix(TCOUNT + LANES * g + i)])
        a[ix(TMOST + g)] = largest
        most = max(most, largest)
    for k in range(most):
        g = 0
        while g < groups:
            begin = g
            while g < groups and a[ix(TMOST + g)] > k:
                g += 1
            if g > begin:
                _add_samples(LANES * begin, LANES * g, k, texels, b, a, t)
            g += 1


@fast
def sample_data(textures: Any, texture: int, texels: Any, u: Any, v: Any, footprint: Any) -> Any:
    """The lower three bytes of a data map as 0...1, bilinear in the level nearest to the footprint (in u and v)."""
    side = footprint * np.float32(max(textures[texture, L.LEVEL + 1], textures[texture, L.LEVEL + 2]))
    level = np.int64(
        min(max(log2(max(side, np.float32(1e-6))) + np.float32(0.3), _0), np.float32(textures[texture, L.LEVELS] - 1))
    )
    start = np.int64(textures[texture, L.LEVEL + 3 * level])
    w, h = np.int64(textures[texture, L.LEVEL + 3 * level + 1]), np.int64(textures[texture, L.LEVEL + 3 * level + 2])
    x = (u - np.floor(u)) * np.float32(w) - _HALF
    y = (v - np.floor(v)) * np.float32(h) - _HALF
    fx, fy = np.floor(x), np.floor(y)
    fa, fb = x - fx, y - fy
    # A coordinate just below a whole number may round up to the size itself.
    x0, y0 = min(np.int64(fx), w - 1), min(np.int64(fy), h - 1)
    x1, y1 = x0 + 1, y0 + 1
    x0, y0 = (x0 + w if x0 < 0 else x0), (y0 + h if y0 < 0 else y0)
    x1, y1 = (np.int64(0) if x1 >= w else x1), (np.int64(0) if y1 >= h else y1)
    p, q = texels[start + y0 * w + x0], texels[start + y0 * w + x1]
    r, s = texels[start + y1 * w + x0], texels[start + y1 * w + x1]
    return _byte(p, q, r, s, 0, fa, fb), _byte(p, q, r, s, 8, fa, fb), _byte(p, q, r, s, 16, fa, fb)


@fast
def _byte(p: Any, q: Any, r: Any, s: Any, shift: int, fa: Any, fb: Any) -> Any:
    """One byte of four texels, the upper pair first, between them at (fa, fb)."""
    bits, byte = np.uint32(shift), np.uint32(255)
    a, b = np.float32((p >> bits) & byte), np.float32((q >> bits) & byte)
    c, d = np.float32((r >> bits) & byte), np.float32((s >> bits) & byte)
    top, bottom = a + (b - a) * fa, c + (d - c) * fa
    return (top + (bottom - top) * fb) * np.float32(1 / 255)


@fast
def footprint(b: Any, i: int) -> Any:
    """Side of a pixel's footprint on the texture of fragment ``i``, in u and v."""
    return np.sqrt(
        max(
            b[ix(UX + i)] * b[ix(UX + i)] + b[ix(VXU + i)] * b[ix(VXU + i)],
            b[ix(UY + i)] * b[ix(UY + i)] + b[ix(VYU + i)] * b[ix(VYU + i)],
        )
    ) * np.float32(0.7)

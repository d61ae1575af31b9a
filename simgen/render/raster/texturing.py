"""Texture filtering of a block of fragments."""

from __future__ import annotations

from typing import Any

import numpy as np

from simgen.render.raster import layout as L  # noqa: N812
from simgen.render.raster.block import (
    BLOCK,
    NOISE,
    SB,
    SG,
    SLEVEL,
    SR,
    SX,
    SY,
    T00,
    T01,
    T10,
    T11,
    TA,
    TB,
    TBL,
    TG,
    THEIGHT,
    TOWNER,
    TR,
    TSTART,
    TU,
    TV,
    TW,
    TWIDTH,
    UX,
    UY,
    VXU,
    VYU,
    B,
    G,
    R,
    U,
    V,
)
from simgen.render.raster.jit import fast, ix
from simgen.render.raster.mathematics import log2
from simgen.render.raster.textures import decode_color

_0 = np.float32(0.0)
_1 = np.float32(1.0)
_2 = np.float32(2.0)
_HALF = np.float32(0.5)
_TINY = np.float32(1e-12)


@fast
def filter_samples(lo: int, hi: int, texels: Any, s: Any, a: Any, t: Any) -> None:
    """Filter texture samples ``lo`` to ``hi`` of the list: bilinear colour times weight into TR, TG, TB."""
    for j in range(lo, hi):
        w, h = a[ix(TWIDTH + j)], a[ix(THEIGHT + j)]
        u, v = s[ix(TU + j)], s[ix(TV + j)]
        x = (u - np.floor(u)) * np.float32(w) - _HALF
        y = (v - np.floor(v)) * np.float32(h) - _HALF
        fx, fy = np.floor(x), np.floor(y)
        s[ix(TA + j)] = x - fx
        s[ix(TB + j)] = y - fy
        x0, y0 = np.int32(fx), np.int32(fy)
        x1, y1 = np.int32(x0 + np.int32(1)), np.int32(y0 + np.int32(1))
        x0 = np.int32(x0 + w) if x0 < 0 else x0
        y0 = np.int32(y0 + h) if y0 < 0 else y0
        # A coordinate just below a whole number may round up to the size itself.
        x0 = min(x0, np.int32(w - np.int32(1)))
        y0 = min(y0, np.int32(h - np.int32(1)))
        x1 = np.int32(0) if x1 >= w else x1
        y1 = np.int32(0) if y1 >= h else y1
        upper = np.int32(a[ix(TSTART + j)] + np.int32(y0 * w))
        lower = np.int32(a[ix(TSTART + j)] + np.int32(y1 * w))
        a[ix(T00 + j)] = np.int32(upper + x0)
        a[ix(T01 + j)] = np.int32(upper + x1)
        a[ix(T10 + j)] = np.int32(lower + x0)
        a[ix(T11 + j)] = np.int32(lower + x1)
    for j in range(lo, hi):
        t[ix(T00 + j)] = texels[np.uint32(a[ix(T00 + j)])]
        t[ix(T01 + j)] = texels[np.uint32(a[ix(T01 + j)])]
        t[ix(T10 + j)] = texels[np.uint32(a[ix(T10 + j)])]
        t[ix(T11 + j)] = texels[np.uint32(a[ix(T11 + j)])]
    for j in range(lo, hi):
        fa, fb, weight = s[ix(TA + j)], s[ix(TB + j)], s[ix(TW + j)]
        r00, g00, b00 = decode_color(t[ix(T00 + j)])
        r01, g01, b01 = decode_color(t[ix(T01 + j)])
        r10, g10, b10 = decode_color(t[ix(T10 + j)])
        r11, g11, b11 = decode_color(t[ix(T11 + j)])
        r0, r1 = r00 + (r01 - r00) * fa, r10 + (r11 - r10) * fa
        g0, g1 = g00 + (g01 - g00) * fa, g10 + (g11 - g10) * fa
        b0, b1 = b00 + (b01 - b00) * fa, b10 + (b11 - b10) * fa
        s[ix(TR + j)] = (r0 + (r1 - r0) * fb) * weight
        s[ix(TG + j)] = (g0 + (g1 - g0) * fb) * weight
        s[ix(TBL + j)] = (b0 + (b1 - b0) * fb) * weight


@fast
def add_extra(m: int, s: Any, a: Any, b: Any) -> None:
    """Add the first ``m`` filtered extra samples to the colours of their fragments."""
    for j in range(BLOCK, BLOCK + m):
        i = np.int64(a[ix(TOWNER + j)])
        b[ix(R + i)] += s[ix(TR + j)]
        b[ix(G + i)] += s[ix(TG + j)]
        b[ix(B + i)] += s[ix(TBL + j)]


@fast
def list_samples(
    extra: int, begin: int, end: int, textures: Any, texture: int, texels: Any, b: Any, s: Any, a: Any, t: Any
) -> int:
    """List the samples of the colour map of fragments ``begin`` to ``end`` of a block.

    The footprint of a pixel is a parallelogram; up to eight samples lie along its long side, in the level that fits its
    short side (Schilling et al. 1996). Between two levels, pixels take one or the other in a fixed pattern of noise,
    which costs half of blending both (stochastic filtering, Fajardo et al. 2023). The first sample of fragment i has
    place i in the list; ``extra`` counts those that follow, and its new value is returned.
    """
    width, height = np.float32(textures[texture, L.LEVEL + 1]), np.float32(textures[texture, L.LEVEL + 2])
    last = np.float32(textures[texture, L.LEVELS] - 1)
    for i in range(begin, end):
        ux, vx, uy, vy = b[ix(UX + i)] * width, b[ix(VXU + i)] * height, b[ix(UY + i)] * width, b[ix(VYU + i)] * height
        along_x, along_y = ux * ux + vx * vx, uy * uy + vy * vy
        major2 = max(max(along_x, along_y), _TINY)
        area = abs(ux * vy - uy * vx)
        minor2 = max(area * area / major2, major2 * np.float32(1 / 64))
        # The number of samples is the ratio of the sides; a single one when the texture is magnified.
        count = np.floor(min(np.sqrt(major2 / minor2), np.float32(8.0)) + np.float32(0.3))
        count = max(count if major2 > _1 else _1, _1)
        level = _HALF * log2(max(major2 / (count * count), minor2)) - np.float32(0.2)
        level = min(max(level, _0), last)
        low = np.floor(level)
        low += _1 if (level - low - np.float32(0.25)) * _2 > b[ix(NOISE + i)] else _0
        b[ix(SLEVEL + i)] = min(low, last)
        b[ix(SX + i)] = count
        share = _1 / count
        du = (b[ix(UX + i)] if along_x > along_y else b[ix(UY + i)]) * share
        dv = (b[ix(VXU + i)] if along_x > along_y else b[ix(VYU + i)]) * share
        offset = _HALF - _HALF * count
        b[ix(SR + i)] = du
        b[ix(SG + i)] = dv
        b[ix(R + i)] = _0
        b[ix(G + i)] = _0
        b[ix(B + i)] = _0
        b[ix(SB + i)] = b[ix(U + i)] + offset * du
        b[ix(SY + i)] = b[ix(V + i)] + offset * dv
    full_width, full_height = textures[texture, L.LEVEL + 1], textures[texture, L.LEVEL + 2]
    for i in range(begin, end):
        s[ix(TU + i)] = b[ix(SB + i)]
        s[ix(TV + i)] = b[ix(SY + i)]
        s[ix(TW + i)] = _1 / b[ix(SX + i)]
        level = np.int32(b[ix(SLEVEL + i)])
        a[ix(TOWNER + i)] = np.int32(level * np.int32(3))
        a[ix(TWIDTH + i)] = max(np.int32(full_width >> level), np.int32(1))
        a[ix(THEIGHT + i)] = max(np.int32(full_height >> level), np.int32(1))
    row = textures[texture]
    for i in range(begin, end):
        a[ix(TSTART + i)] = row[np.uint32(L.LEVEL) + np.uint32(a[ix(TOWNER + i)])]
    for i in range(begin, end):
        if b[ix(SX + i)] > _1:
            for k in range(1, np.int64(b[ix(SX + i)])):
                at = BLOCK + extra
                s[ix(TU + at)] = s[ix(TU + i)] + np.float32(k) * b[ix(SR + i)]
                s[ix(TV + at)] = s[ix(TV + i)] + np.float32(k) * b[ix(SG + i)]
                s[ix(TW + at)] = s[ix(TW + i)]
                a[ix(TSTART + at)] = a[ix(TSTART + i)]
                a[ix(TWIDTH + at)] = a[ix(TWIDTH + i)]
                a[ix(THEIGHT + at)] = a[ix(THEIGHT + i)]
                a[ix(TOWNER + at)] = i
                extra += 1
            if extra > BLOCK - 8:
                filter_samples(BLOCK, BLOCK + extra, texels, s, a, t)
                add_extra(extra, s, a, b)
                extra = 0
    return extra


@fast
def sample_data(textures: Any, texture: int, texels: Any, u: Any, v: Any, footprint: Any, shift: int) -> Any:
    """One byte of a data map as 0...1, bilinear in the level nearest to the footprint (a side, in u and v)."""
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
    x0, y0 = (np.int64(fx) + w) % w, (np.int64(fy) + h) % h
    x1, y1 = (x0 + 1) % w, (y0 + 1) % h
    bits = np.uint32(shift)
    byte = np.uint32(255)
    p = np.float32((texels[start + y0 * w + x0] >> bits) & byte)
    q = np.float32((texels[start + y0 * w + x1] >> bits) & byte)
    r = np.float32((texels[start + y1 * w + x0] >> bits) & byte)
    s = np.float32((texels[start + y1 * w + x1] >> bits) & byte)
    top, bottom = p + (q - p) * fa, r + (s - r) * fa
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

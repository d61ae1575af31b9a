"""Reading shadow maps: how much of a light each fragment of a block sees.

Most fragments are plainly lit or plainly in the dark, which the coarse maps tell at once. The others are listed and
filtered together, a tap at a time: addresses, fetches and comparisons in loops of their own, so that all but the
fetches are vectorized. Where the penumbra is no wider than the texels, a tent over 4 x 4 texels is the filter; where it
may be wider, blockers are searched for first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.render.raster.block import BLOCK, EG, FNX, FNY, FNZ, NOISE, SEEN, SLEVEL, STRIDE, SX, SY, X, Y, Z
from simgen.render.raster.jit import fast, ix
from simgen.render.raster.shadow import (
    COARSE,
    PERSPECTIVE,
    SCALE_X,
    SCALE_Y,
    SHIFT_X,
    SHIFT_Y,
    SIDE,
    SPREAD,
    START,
    TILE,
    WIDEST,
)

SEARCH_TAPS = 8
FILTER_TAPS = 16
_ROTATIONS = 64
_NEAR, _FAR = np.float32(TILE - 2), np.float32(2 * TILE - 2)
"""Texels that coarse maps of one and of two tiles allow a filter to reach."""
_SHARP = np.float32(1.5)
_LEAST = np.float32(2.0)
"""Texels around a fragment that are searched for blockers at least: what the sharpest filter covers."""
_SAME = np.float32(0.01)
"""Relative step in depth between neighbours on the same surface."""
_NOT_LIT = np.float32(3e38)

# Channels of the fragments listed: place in the map, value and its steps, filter radii, turn, results; then what they
# are computed from, and working memory.
(
    QU, QV, QZ, QVALUE, QDU, QDV, QRX, QRY, QC, QS, QLIT, QBLOCKED, QX, QY, QFOUND, QRADIUS, QX0, QY0, QZ0, QNX, QNY,
    QNZ, QF0, QF1, QF2, QF3,
) = (k * STRIDE for k in range(26))  # fmt: skip
CHANNELS = 26

# Channels of integers: fragments that are filtered with a tent, those with a disc, texel addresses, the fragments that
# are to be filtered.
SHARP = 0
SOFT = STRIDE
ADDRESS = 2 * STRIDE
LISTED = 3 * STRIDE

_0 = np.float32(0.0)
_1 = np.float32(1.0)
_HALF = np.float32(0.5)


def spiral() -> NDArray[np.float32]:
    """Flat pairs: points of the search disc, of the filter disc (Vogel's spiral), then cosines and sines of turns."""
    parts = []
    for taps in (SEARCH_TAPS, FILTER_TAPS):
        k = np.arange(taps)
        radius, angle = np.sqrt((k + 0.5) / taps), k * np.pi * (3 - np.sqrt(5))
        parts.append(np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1))
    turn = np.arange(_ROTATIONS) / _ROTATIONS * 2 * np.pi
    parts.append(np.stack([np.cos(turn), np.sin(turn)], 1))
    return np.concatenate(parts).astype(np.float32).reshape(-1)


@fast
def _pad(m: int) -> int:
    """``m`` rounded up to whole vectors, cheaper than a remainder; what lies past the list is finite and not used."""
    return min((m + 15) // 16 * 16, BLOCK)


@fast
def _locate(m: int, at: int, light: Any, discs: Any, b: Any, q: Any, a: Any) -> None:
    """Where the ``m`` fragments listed at ``at`` of ``a`` lie in the map: place, value, steps, turn, filter radii.

    SX of a fragment holds the widest that its filter can be, in texels.
    """
    m0, m1, m2, m3 = light[0], light[1], light[2], light[3]
    m4, m5, m6, m7 = light[4], light[5], light[6], light[7]
    m8, m9, m10, m11 = light[8], light[9], light[10], light[11]
    sx, sy, ox, oy = light[SCALE_X], light[SCALE_Y], light[SHIFT_X], light[SHIFT_Y]
    perspective = light[PERSPECTIVE] > _0
    for j in range(m):
        i = int(a[ix(at + j)])
        q[ix(QRADIUS + j)] = b[ix(SX + i)]
        q[ix(QX0 + j)] = b[ix(X + i)]
        q[ix(QY0 + j)] = b[ix(Y + i)]
        q[ix(QZ0 + j)] = b[ix(Z + i)]
        q[ix(QNX + j)] = b[ix(FNX + i)]
        q[ix(QNY + j)] = b[ix(FNY + i)]
        q[ix(QNZ + j)] = b[ix(FNZ + i)]
    smaller, larger = min(sx, sy), max(sx, sy)
    for j in range(_pad(m)):
        x, y, z = q[ix(QX0 + j)], q[ix(QY0 + j)], q[ix(QZ0 + j)]
        nx, ny, nz = q[ix(QNX + j)], q[ix(QNY + j)], q[ix(QNZ + j)]
        lx = m0 * x + m1 * y + m2 * z + m3
        ly = m4 * x + m5 * y + m6 * z + m7
        lz = m8 * x + m9 * y + m10 * z + m11
        mx = m0 * nx + m1 * ny + m2 * nz
        my = m4 * nx + m5 * ny + m6 * nz
        mz = m8 * nx + m9 * ny + m10 * nz
        inverse = _1 / max(lz, np.float32(1e-3))
        scale = inverse if perspective else _1
        q[ix(QU + j)] = lx * scale * sx + ox
        q[ix(QV + j)] = ly * scale * sy + oy
        q[ix(QZ + j)] = inverse if perspective else -lz
        # The plane of the triangle over the map, its steepness bounded; the bias is a part of a texel's depth.
        metre = inverse * inverse if perspective else _1
        texel = (lz if perspective else _1) / smaller
        d = mx * lx + my * ly + mz * lz if perspective else mz
        tiny = np.float32(1e-5)
        d = min(d, -tiny) if d < _0 else max(d, tiny)
        bound = np.float32(6.0) * texel * metre
        q[ix(QDU + j)] = min(max(mx / (d * sx), -bound), bound)
        q[ix(QDV + j)] = min(max(my / (d * sy), -bound), bound)
        q[ix(QVALUE + j)] = (inverse if perspective else -lz) + (texel * _HALF + np.float32(2e-4)) * metre
        radius = q[ix(QRADIUS + j)]
        q[ix(QRX + j)] = min(radius * (sx / larger), np.float32(WIDEST))
        q[ix(QRY + j)] = min(radius * (sy / larger), np.float32(WIDEST))
        q[ix(QLIT + j)] = _0
        q[ix(QBLOCKED + j)] = _0


@fast
def _tap(m: int, px: Any, py: Any, weight: Any, start: Any, side: Any, shadow: Any, q: Any, a: Any) -> None:
    """Compare one point of the disc for the first ``m`` fragments listed."""
    last = np.float32(side - np.int32(1))
    for j in range(m):
        c, s = q[ix(QC + j)], q[ix(QS + j)]
        x = np.floor(q[ix(QU + j)] + (px * c - py * s) * q[ix(QRX + j)] + _HALF)
        y = np.floor(q[ix(QV + j)] + (px * s + py * c) * q[ix(QRY + j)] + _HALF)
        x, y = min(max(x, _0), last), min(max(y, _0), last)
        q[ix(QX + j)] = x
        q[ix(QY + j)] = y
        a[ix(ADDRESS + j)] = np.int32(start + np.int32(x) + np.int32(np.int32(y) * side))
    for j in range(m):
        q[ix(QFOUND + j)] = shadow[np.uint32(a[ix(ADDRESS + j)])]
    for j in range(m):
        plane = (
            q[ix(QVALUE + j)]
            + q[ix(QDU + j)] * (q[ix(QX + j)] - q[ix(QU + j)])
            + q[ix(QDV + j)] * (q[ix(QY + j)] - q[ix(QV + j)])
        )
        found = q[ix(QFOUND + j)]
        lit = plane >= found
        q[ix(QLIT + j)] += weight if lit else _0
        q[ix(QBLOCKED + j)] += _0 if lit else found * weight


@fast
def _turn(m: int, at: int, discs: Any, b: Any, q: Any, a: Any) -> None:
    """The turn of the disc of each fragment listed."""
    for j in range(m):
        noise = b[ix(NOISE + np.int64(a[ix(at + j)]))]
        turn = 2 * (SEARCH_TAPS + FILTER_TAPS + np.int64(noise * np.float32(_ROTATIONS)) % _ROTATIONS)
        q[ix(QC + j)] = discs[turn]
        q[ix(QS + j)] = discs[turn + 1]


@fast
def _tent(m: int, start: Any, side: Any, shadow: Any, q: Any, a: Any) -> None:
    """Compare the 4 x 4 texels around each of the first ``m`` fragments, weighted as a tent over 3 x 3."""
    padded = _pad(m)
    last = np.float32(side - np.int32(4))
    three = np.float32(3.0)
    for j in range(padded):
        u, v = q[ix(QU + j)], q[ix(QV + j)]
        x = min(max(np.floor(u) - _1, _0), last)
        y = min(max(np.floor(v) - _1, _0), last)
        a[ix(ADDRESS + j)] = np.int32(start + np.int32(x) + np.int32(np.int32(y) * side))
        q[ix(QX + j)] = u - np.floor(u)
        q[ix(QY + j)] = v - np.floor(v)
        # The value of the plane at the first texel.
        q[ix(QVALUE + j)] += q[ix(QDU + j)] * (x - u) + q[ix(QDV + j)] * (y - v)
    for k in range(4):
        row = np.int32(np.int32(k) * side)
        for j in range(m):
            at = np.uint32(a[ix(ADDRESS + j)] + row)
            q[ix(QF0 + j)] = shadow[at]
            q[ix(QF1 + j)] = shadow[at + np.uint32(1)]
            q[ix(QF2 + j)] = shadow[at + np.uint32(2)]
            q[ix(QF3 + j)] = shadow[at + np.uint32(3)]
        for j in range(padded):
            fa, fb = q[ix(QX + j)], q[ix(QY + j)]
            plane, step = q[ix(QVALUE + j)] + np.float32(k) * q[ix(QDV + j)], q[ix(QDU + j)]
            total = _1 - fa if plane >= q[ix(QF0 + j)] else _0
            total += _1 if plane + step >= q[ix(QF1 + j)] else _0
            total += _1 if plane + step + step >= q[ix(QF2 + j)] else _0
            total += fa if plane + three * step >= q[ix(QF3 + j)] else _0
            weight = _1 - fb if k == 0 else (fb if k == 3 else _1)
            q[ix(QLIT + j)] += total * weight * np.float32(1 / 9)


@fast
def _filter(sharp: int, soft: int, light: Any, shadow: Any, discs: Any, b: Any, q: Any, a: Any) -> None:
    """Filter the map for the fragments of a block listed at SHARP and SOFT of ``a``."""
    side, start = np.int32(light[SIDE]), np.int32(light[START])
    if soft > 0:
        larger = max(light[SCALE_X], light[SCALE_Y])
        spread = light[SPREAD] * larger
        _locate(soft, SOFT, light, discs, b, q, a)
        _turn(soft, SOFT, discs, b, q, a)
        padded = _pad(soft)
        for j in range(padded):
            q[ix(QRX + j)] = max(q[ix(QRX + j)], _LEAST)
            q[ix(QRY + j)] = max(q[ix(QRY + j)], _LEAST)
        for k in range(SEARCH_TAPS):
            _tap(padded, discs[2 * k], discs[2 * k + 1], np.float32(1 / SEARCH_TAPS), start, side, shadow, q, a)
        # The blockers found give the width of the penumbra; fragments that are wholly lit are done. Dark ones are not:
        # few taps may all be blocked inside a penumbra, and would leave dark dots in it.
        kept = 0
        for j in range(soft):
            i = a[ix(SOFT + j)]
            lit = q[ix(QLIT + j)]
            if lit >= np.float32(0.999):
                b[ix(SEEN + np.int64(i))] = _1
                continue
            blocker = q[ix(QBLOCKED + j)] / (_1 - lit)
            wide = spread * max(blocker - q[ix(QZ + j)], _0)
            b[ix(SX + np.int64(i))] = wide
            if wide <= _SHARP:
                a[ix(SHARP + sharp)] = i
                sharp += 1
            else:
                a[ix(SOFT + kept)] = i
                kept += 1
        if kept > 0:
            _locate(kept, SOFT, light, discs, b, q, a)
            _turn(kept, SOFT, discs, b, q, a)
            padded = _pad(kept)
            for k in range(SEARCH_TAPS, SEARCH_TAPS + FILTER_TAPS):
                _tap(padded, discs[2 * k], discs[2 * k + 1], np.float32(1 / FILTER_TAPS), start, side, shadow, q, a)
            for j in range(kept):
                b[ix(SEEN + np.int64(a[ix(SOFT + j)]))] = q[ix(QLIT + j)]
    if sharp > 0:
        _locate(sharp, SHARP, light, discs, b, q, a)
        _tent(sharp, start, side, shadow, q, a)
        for j in range(sharp):
            lit = q[ix(QLIT + j)]
            b[ix(SEEN + np.int64(a[ix(SHARP + j)]))] = lit if lit < np.float32(0.999) else _1


@fast
def shadow_block(n: int, light: Any, shadow: Any, coarse: Any, discs: Any, b: Any, q: Any, a: Any) -> None:
    """Share of a light, from 0 to 1, that each fragment of a block sees, into SEEN; 1 outside the map."""
    m0, m1, m2, m3 = light[0], light[1], light[2], light[3]
    m4, m5, m6, m7 = light[4], light[5], light[6], light[7]
    m8, m9, m10, m11 = light[8], light[9], light[10], light[11]
    sx, sy, ox, oy = light[SCALE_X], light[SCALE_Y], light[SHIFT_X], light[SHIFT_Y]
    perspective = light[PERSPECTIVE] > _0
    side, start = np.int32(light[SIDE]), np.int32(light[START])
    tiles = side // np.int32(TILE)
    base = np.int32(COARSE) * (start // np.int32(TILE * TILE))
    tile = np.float32(1 / TILE)
    last = np.float32(tiles - 1)
    smaller = min(sx, sy)
    for i in range(n):
        x, y, z = b[ix(X + i)], b[ix(Y + i)], b[ix(Z + i)]
        u = m0 * x + m1 * y + m2 * z + m3
        v = m4 * x + m5 * y + m6 * z + m7
        w = m8 * x + m9 * y + m10 * z + m11
        inverse = _1 / max(w, np.float32(1e-3))
        scale = inverse if perspective else _1
        tu, tv = (u * scale * sx + ox) * tile, (v * scale * sy + oy) * tile
        inside = min(min(tu, tv), min(last + _1 - tu, last + _1 - tv))
        inside = min(inside, w - np.float32(1e-3)) if perspective else inside
        inside = min(inside, b[ix(EG + i)])
        b[ix(SLEVEL + i)] = (inverse if perspective else -w) if inside > _0 else _NOT_LIT
        # What a blocker must be nearer than the surface to count, as in the filter.
        b[ix(SY + i)] = (
            (_HALF * w / smaller + np.float32(2e-4)) * inverse * inverse
            if perspective
            else _HALF / smaller + np.float32(2e-4)
        )
        tu, tv = min(max(tu, _0), last), min(max(tv, _0), last)
        a[ix(ADDRESS + i)] = np.int32(base + np.int32(tu) + np.int32(np.int32(tv) * tiles))
        b[ix(SEEN + i)] = _1
    listed = 0
    size = np.uint32(tiles * tiles)
    reach = light[SPREAD] * max(sx, sy)
    for i in range(n):
        at = np.uint32(a[ix(ADDRESS + i)])
        value = b[ix(SLEVEL + i)]
        nearest = coarse[at]
        if value >= nearest:
            continue
        # The lamp seen past the nearest blocker there may be bounds the penumbra; a narrow one need not look far.
        wide = reach * (nearest - value)
        if wide <= _FAR:
            nearest = coarse[at + size]
            if value >= nearest:
                continue
            wide = reach * (nearest - value)
            dark = coarse[at + size + size]
            if wide <= _NEAR:
                nearest = coarse[at + size + size + size]
                if value >= nearest:
                    continue
                wide = reach * (nearest - value)
                dark = coarse[at + size + size + size + size]
            if value + b[ix(SY + i)] < dark:
                b[ix(SEEN + i)] = _0
                continue
        a[ix(LISTED + listed)] = i
        b[ix(SX + i)] = wide
        listed += 1
    # Every other fragment first: one between two that agree on light or dark, on the same surface, agrees with them.
    sharp = soft = 0
    for j in range(listed):
        i = a[ix(LISTED + j)]
        if (i & 1) == 0 or i + 1 == n:
            if b[ix(SX + np.int64(i))] <= _SHARP:
                a[ix(SHARP + sharp)] = i
                sharp += 1
            else:
                a[ix(SOFT + soft)] = i
                soft += 1
    _filter(sharp, soft, light, shadow, discs, b, q, a)
    sharp = soft = 0
    for j in range(listed):
        i = int(a[ix(LISTED + j)])
        if (i & 1) == 1 and i + 1 < n:
            before, after = b[ix(SEEN + i - 1)], b[ix(SEEN + i + 1)]
            z = b[ix(Z + i)]
            step = max(abs(b[ix(Z + i - 1)] - z), abs(b[ix(Z + i + 1)] - z))
            if before == after and (before <= _0 or before >= _1) and step < _SAME * z:
                b[ix(SEEN + i)] = before
            elif b[ix(SX + i)] <= _SHARP:
                a[ix(SHARP + sharp)] = i
                sharp += 1
            else:
                a[ix(SOFT + soft)] = i
                soft += 1
    _filter(sharp, soft, light, shadow, discs, b, q, a)

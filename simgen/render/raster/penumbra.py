"""Reading shadow maps: how much of a light each fragment of a block sees.

Most fragments have nothing between them and the light, which the coarse maps tell at once. The others are listed and
filtered together, a tap at a time: addresses, fetches and comparisons in loops of their own, so that all but the
fetches are vectorized.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.render.raster.block import BLOCK, EG, FNX, FNY, FNZ, NOISE, SEEN, SLEVEL, STRIDE, SX, SY, X, Y, Z
from simgen.render.raster.jit import fast, ix
from simgen.render.raster.shadow import (
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
_NARROW = np.float32(TILE - 2)
"""Texels that the second coarse map allows a filter to reach."""
_SHARP = np.float32(1.5)
_LEAST = np.float32(2.0)
"""Texels around a fragment that are searched for blockers at least: what the sharpest filter covers."""
_SAME = np.float32(0.01)
"""Relative step in depth between neighbours on the same surface."""

# Channels of the fragments listed: place in the map, value and its steps, filter radii, turn, results.
(
    QU, QV, QZ, QVALUE, QDU, QDV, QRX, QRY, QC, QS, QLIT, QBLOCKED, QX, QY, QFOUND, QNEAREST, QX0, QY0, QZ0, QNX, QNY,
    QNZ,
) = (k * STRIDE for k in range(22))  # fmt: skip
CHANNELS = 22

# Channels of integers: the fragments that are filtered, texel addresses, the fragments that are to be filtered.
FRAGMENT = 0
ADDRESS = STRIDE
LISTED = 2 * STRIDE

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
    return min((m + 63) // 64 * 64, BLOCK)


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
def _tent_tap(m: int, i: Any, k: Any, start: Any, side: Any, shadow: Any, q: Any, a: Any) -> None:
    """Compare texel (``i``, ``k``) of the 4 x 4 around each of the first ``m`` fragments, weighted as a 3 x 3 tent."""
    last = np.float32(side - np.int32(1))
    for j in range(m):
        x = min(max(np.floor(q[ix(QU + j)]) + i - _1, _0), last)
        y = min(max(np.floor(q[ix(QV + j)]) + k - _1, _0), last)
        q[ix(QX + j)] = x
        q[ix(QY + j)] = y
        a[ix(ADDRESS + j)] = np.int32(start + np.int32(x) + np.int32(np.int32(y) * side))
    for j in range(m):
        q[ix(QFOUND + j)] = shadow[np.uint32(a[ix(ADDRESS + j)])]
    three = np.float32(3.0)
    for j in range(m):
        u, v = q[ix(QU + j)], q[ix(QV + j)]
        fa, fb = u - np.floor(u), v - np.floor(v)
        weight = min(min(i + _1 - fa, fa + three - i), _1) * min(min(k + _1 - fb, fb + three - k), _1)
        plane = q[ix(QVALUE + j)] + q[ix(QDU + j)] * (q[ix(QX + j)] - u) + q[ix(QDV + j)] * (q[ix(QY + j)] - v)
        q[ix(QLIT + j)] += weight * np.float32(1 / 9) if plane >= q[ix(QFOUND + j)] else _0


@fast
def _move(k: int, to: int, q: Any, a: Any) -> None:
    """Move a listed fragment to another place of the list."""
    if k == to:
        return
    a[ix(FRAGMENT + to)] = a[ix(FRAGMENT + k)]
    for channel in range(10):
        q[ix(channel * STRIDE + to)] = q[ix(channel * STRIDE + k)]


@fast
def _filter(m: int, light: Any, shadow: Any, discs: Any, b: Any, q: Any, a: Any) -> None:
    """Filter the map for the ``m`` fragments of a block listed in ``a``, whose nearest blocker may be at SX."""
    if m == 0:
        return
    m0, m1, m2, m3 = light[0], light[1], light[2], light[3]
    m4, m5, m6, m7 = light[4], light[5], light[6], light[7]
    m8, m9, m10, m11 = light[8], light[9], light[10], light[11]
    sx, sy, ox, oy = light[SCALE_X], light[SCALE_Y], light[SHIFT_X], light[SHIFT_Y]
    perspective = light[PERSPECTIVE] > _0
    spread = light[SPREAD]
    side, start = np.int32(light[SIDE]), np.int32(light[START])
    for j in range(m):
        i = int(a[ix(FRAGMENT + j)])
        q[ix(QNEAREST + j)] = b[ix(SX + i)]
        q[ix(QX0 + j)] = b[ix(X + i)]
        q[ix(QY0 + j)] = b[ix(Y + i)]
        q[ix(QZ0 + j)] = b[ix(Z + i)]
        q[ix(QNX + j)] = b[ix(FNX + i)]
        q[ix(QNY + j)] = b[ix(FNY + i)]
        q[ix(QNZ + j)] = b[ix(FNZ + i)]
        turn = 2 * (SEARCH_TAPS + FILTER_TAPS + np.int64(b[ix(NOISE + i)] * np.float32(_ROTATIONS)) % _ROTATIONS)
        q[ix(QC + j)] = discs[turn]
        q[ix(QS + j)] = discs[turn + 1]
    smaller = min(sx, sy)
    padded = _pad(m)
    for j in range(padded):
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
        q[ix(QZ + j)] = lz
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
        wide = spread * max(q[ix(QNEAREST + j)] - (inverse if perspective else -lz), _0)
        q[ix(QRX + j)] = min(max(wide * sx, _LEAST), np.float32(WIDEST))
        q[ix(QRY + j)] = min(max(wide * sy, _LEAST), np.float32(WIDEST))
        q[ix(QLIT + j)] = _0
        q[ix(QBLOCKED + j)] = _0
    for k in range(SEARCH_TAPS):
        _tap(padded, discs[2 * k], discs[2 * k + 1], np.float32(1 / SEARCH_TAPS), start, side, shadow, q, a)
    # The blockers found give the width of the penumbra; fragments that are wholly lit are done. Dark ones are not: few
    # taps may all be blocked inside a penumbra, and would leave dark dots in it.
    kept = 0
    for j in range(m):
        lit = q[ix(QLIT + j)]
        if lit >= np.float32(0.999):
            b[ix(SEEN + np.int64(a[FRAGMENT + j]))] = _1
            continue
        blocker = q[ix(QBLOCKED + j)] / (_1 - lit)
        wide = spread * max(blocker - (_1 / q[ix(QZ + j)] if perspective else -q[ix(QZ + j)]), _0)
        q[ix(QRX + j)] = min(wide * sx, np.float32(WIDEST))
        q[ix(QRY + j)] = min(wide * sy, np.float32(WIDEST))
        _move(j, kept, q, a)
        q[ix(QLIT + kept)] = _0
        kept += 1
    m = kept
    # Sharp ones first, so that each kind is a run.
    sharp = 0
    for j in range(m):
        if max(q[ix(QRX + j)], q[ix(QRY + j)]) <= _SHARP:
            if sharp != j:
                a[ADDRESS] = a[ix(FRAGMENT + sharp)]
                for channel in range(10):
                    q[QX] = q[ix(channel * STRIDE + sharp)]
                    q[ix(channel * STRIDE + sharp)] = q[ix(channel * STRIDE + j)]
                    q[ix(channel * STRIDE + j)] = q[QX]
                a[ix(FRAGMENT + sharp)] = a[ix(FRAGMENT + j)]
                a[ix(FRAGMENT + j)] = a[ADDRESS]
            sharp += 1
    for k in range(16):
        _tent_tap(_pad(sharp), np.float32(k & 3), np.float32(k >> 2), start, side, shadow, q, a)
    for j in range(sharp):
        b[ix(SEEN + np.int64(a[FRAGMENT + j]))] = q[ix(QLIT + j)]
    rest = m - sharp
    if rest > 0:
        for j in range(rest):
            _move(sharp + j, j, q, a)
            q[ix(QLIT + j)] = _0
        for k in range(SEARCH_TAPS, SEARCH_TAPS + FILTER_TAPS):
            _tap(_pad(rest), discs[2 * k], discs[2 * k + 1], np.float32(1 / FILTER_TAPS), start, side, shadow, q, a)
        for j in range(rest):
            b[ix(SEEN + np.int64(a[FRAGMENT + j]))] = q[ix(QLIT + j)]


@fast
def shadow_block(n: int, light: Any, shadow: Any, coarse: Any, discs: Any, b: Any, q: Any, a: Any) -> None:
    """Share of a light, from 0 to 1, that each fragment of a block sees, into SEEN; 1 outside the map."""
    m0, m1, m2, m3 = light[0], light[1], light[2], light[3]
    m4, m5, m6, m7 = light[4], light[5], light[6], light[7]
    m8, m9, m10, m11 = light[8], light[9], light[10], light[11]
    sx, sy, ox, oy = light[SCALE_X], light[SCALE_Y], light[SHIFT_X], light[SHIFT_Y]
    perspective = light[PERSPECTIVE] > _0
    spread = light[SPREAD]
    side, start = np.int32(light[SIDE]), np.int32(light[START])
    tiles = side // np.int32(TILE)
    base = start // np.int32(TILE * TILE)
    tile = np.float32(1 / TILE)
    last = np.float32(tiles - 1)
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
        b[ix(SLEVEL + i)] = (inverse if perspective else -w) if inside > _0 else np.float32(3e38)
        b[ix(SX + i)] = min(max(np.floor(tu), _0), last)
        b[ix(SY + i)] = min(max(np.floor(tv), _0), last)
        b[ix(SEEN + i)] = _1
    for i in range(n):
        a[ix(ADDRESS + i)] = np.int32(base + np.int32(b[ix(SX + i)]) + np.int32(np.int32(b[ix(SY + i)]) * tiles))
    listed = 0
    half = len(coarse) // 2
    # The lamp seen past the nearest blocker there may be bounds the penumbra; a narrow one need not look far.
    reach = spread * max(sx, sy)
    for i in range(n):
        at = np.uint32(a[ix(ADDRESS + i)])
        value = b[ix(SLEVEL + i)]
        nearest = coarse[at]
        if value < nearest and not (reach * (nearest - value) <= _NARROW and value >= coarse[np.uint32(half) + at]):
            a[ix(LISTED + listed)] = i
            b[ix(SX + i)] = nearest
            listed += 1
    # Every other fragment first: one between two that agree on light or dark, on the same surface, agrees with them.
    m = 0
    for j in range(listed):
        i = int(a[ix(LISTED + j)])
        if (i & 1) == 0 or i + 1 == n:
            a[ix(FRAGMENT + m)] = i
            m += 1
    _filter(m, light, shadow, discs, b, q, a)
    m = 0
    for j in range(listed):
        i = int(a[ix(LISTED + j)])
        if (i & 1) == 1 and i + 1 < n:
            before, after = b[ix(SEEN + i - 1)], b[ix(SEEN + i + 1)]
            z = b[ix(Z + i)]
            step = max(abs(b[ix(Z + i - 1)] - z), abs(b[ix(Z + i + 1)] - z))
            if before == after and (before <= _0 or before >= _1) and step < _SAME * z:
                b[ix(SEEN + i)] = before
            else:
                a[ix(FRAGMENT + m)] = i
                m += 1
    _filter(m, light, shadow, discs, b, q, a)

"""Reading shadow maps: how much of each light every fragment sees.

Every other pixel of every other row is looked up first; a fragment among four that agree, on the same surface, takes
over what they see, and the rest are looked up too. Most look-ups find what is plainly lit or plainly in the dark, which
the coarse maps tell at once. The others are listed and filtered together, a tap at a time: addresses, fetches and
comparisons in loops of their own, so that all but the fetches are vectorized. Where the penumbra is no wider than the
texels, a tent over 4 x 4 texels is the filter; where it may be wider, blockers are searched for first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.render.raster.jit import fast, ix
from simgen.render.raster.layout import CX, CY, FACE_N, FX, FY, SKEW, TRIANGLE
from simgen.render.raster.lights import DIRECTIONAL, HALF_X, HALF_Y, KIND, POSITION, SHADOW, TRAVEL
from simgen.render.raster.shadow import (
    COARSE,
    CONE,
    PERSPECTIVE,
    SCALE_X,
    SCALE_Y,
    SHIFT_X,
    SHIFT_Y,
    SIDE,
    SLOPE_X,
    SLOPE_Y,
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
_SAME = np.float32(0.98)
"""Least ratio of the depths of neighbours on the same surface."""
_ALIKE = np.float32(0.3)
"""Shares of the light that are no farther apart are taken to run straight from one neighbour to the next."""
_NOT_LIT = np.float32(3e38)
_BETWEEN, _UNTOLD = np.float32(2.0), np.float32(3.0)
"""What stands for the share of the light where four neighbours differ: a little, too much."""

PART = 4096
"""Fragments that are looked up together. Lists of those to be filtered should be long: many are short."""
_STRIDE = PART + 16
# Channels of a part: place in the image, 1 / z, normal; surface point, noise; place in the map, value above the ground
# with the bias, bound of the filter radius, share of the light; of the fragments that may not be plainly lit, that
# value, greatest and least values around, and what they tell.
(
    PX, PY, W, NX, NY, NZ, X, Y, Z, NOISE, LEVEL, WIDE, SEEN, HEIGHT, NEAR0, NEAR1, DARK1, NEAR2, DARK2, RESULT,
) = (k * _STRIDE for k in range(20))  # fmt: skip
_PART_VALUES = 20 * _STRIDE

CHUNK = 256
"""Fragments that are filtered together; few enough that their channels stay in the first-level cache."""
_STEP = CHUNK + 16
# Channels of a chunk: place in the map, value and its steps, filter radii, turn, results; then what they are computed
# from, and working memory.
(
    QU, QV, QZ, QVALUE, QDU, QDV, QRX, QRY, QC, QS, QLIT, QBLOCKED, QX, QY, QFOUND, QRADIUS, QX0, QY0, QZ0, QNX, QNY,
    QNZ, QF0, QF1, QF2, QF3,
) = (_PART_VALUES + k * _STEP for k in range(26))  # fmt: skip
VALUES = _PART_VALUES + 26 * _STEP
"""Floats of working memory, all finite."""

# Channels of integers: fragments that are filtered with a tent, those with a disc, texel addresses, the fragments that
# may not be plainly lit, triangles.
SHARP, SOFT, ADDRESS, LISTED, FACE = (k * _STRIDE for k in range(5))
NUMBERS = 5 * _STRIDE
"""Integers of working memory."""

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
    return min((m + 15) // 16 * 16, CHUNK)


@fast
def _locate(m: int, at: int, light: Any, planes: Any, q: Any, a: Any) -> None:
    """Where the ``m`` fragments listed at ``at`` of ``a`` lie in the map: place, value, steps, filter radii."""
    m0, m1, m2, m3 = light[0], light[1], light[2], light[3]
    m4, m5, m6, m7 = light[4], light[5], light[6], light[7]
    m8, m9, m10, m11 = light[8], light[9], light[10], light[11]
    sx, sy, ox, oy = light[SCALE_X], light[SCALE_Y], light[SHIFT_X], light[SHIFT_Y]
    perspective = light[PERSPECTIVE] > _0
    for j in range(m):
        i = int(a[ix(at + j)])
        q[ix(QRADIUS + j)] = q[ix(WIDE + i)]
        q[ix(QX0 + j)] = q[ix(X + i)]
        q[ix(QY0 + j)] = q[ix(Y + i)]
        q[ix(QZ0 + j)] = q[ix(Z + i)]
        face = np.int64(a[ix(FACE + i)]) * TRIANGLE + FACE_N
        q[ix(QNX + j)] = planes[ix(face)]
        q[ix(QNY + j)] = planes[ix(face + 1)]
        q[ix(QNZ + j)] = planes[ix(face + 2)]
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
def _turn(m: int, at: int, discs: Any, q: Any, a: Any) -> None:
    """The turn of the disc of each fragment listed."""
    for j in range(m):
        noise = q[ix(NOISE + np.int64(a[ix(at + j)]))]
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
def _filter_soft(at: int, m: int, sharp: int, light: Any, planes: Any, shadow: Any, discs: Any, q: Any, a: Any) -> int:
    """Search for blockers of the ``m`` fragments listed at ``at`` and filter those in wide penumbrae.

    Those in narrow ones join the ``sharp`` fragments at SHARP; returns how many are listed there then.
    """
    side, start = np.int32(light[SIDE]), np.int32(light[START])
    spread = light[SPREAD] * max(light[SCALE_X], light[SCALE_Y])
    _locate(m, at, light, planes, q, a)
    _turn(m, at, discs, q, a)
    padded = _pad(m)
    for j in range(padded):
        q[ix(QRX + j)] = max(q[ix(QRX + j)], _LEAST)
        q[ix(QRY + j)] = max(q[ix(QRY + j)], _LEAST)
    for k in range(SEARCH_TAPS):
        _tap(padded, discs[2 * k], discs[2 * k + 1], np.float32(1 / SEARCH_TAPS), start, side, shadow, q, a)
    # The blockers found give the width of the penumbra; fragments that are wholly lit are done. Dark ones are not:
    # few taps may all be blocked inside a penumbra, and would leave dark dots in it.
    for j in range(padded):
        lit = q[ix(QLIT + j)]
        blocker = q[ix(QBLOCKED + j)] / max(_1 - lit, np.float32(1e-3))
        q[ix(QRADIUS + j)] = spread * max(blocker - q[ix(QZ + j)], _0)
    kept = 0
    for j in range(m):
        i = int(a[ix(at + j)])
        if q[ix(QLIT + j)] >= np.float32(0.999):
            q[ix(SEEN + i)] = _1
            continue
        wide = q[ix(QRADIUS + j)]
        q[ix(WIDE + i)] = wide
        if wide <= _SHARP:
            a[ix(SHARP + sharp)] = i
            sharp += 1
        else:
            a[ix(at + kept)] = i
            kept += 1
    if kept > 0:
        _locate(kept, at, light, planes, q, a)
        _turn(kept, at, discs, q, a)
        padded = _pad(kept)
        for k in range(SEARCH_TAPS, SEARCH_TAPS + FILTER_TAPS):
            _tap(padded, discs[2 * k], discs[2 * k + 1], np.float32(1 / FILTER_TAPS), start, side, shadow, q, a)
        for j in range(kept):
            q[ix(SEEN + np.int64(a[ix(at + j)]))] = q[ix(QLIT + j)]
    return sharp


@fast
def _filter(sharp: int, soft: int, light: Any, planes: Any, shadow: Any, discs: Any, q: Any, a: Any) -> None:
    """Filter the map for the fragments of a part listed at SHARP and SOFT."""
    for done in range(0, soft, CHUNK):
        sharp = _filter_soft(SOFT + done, min(CHUNK, soft - done), sharp, light, planes, shadow, discs, q, a)
    side, start = np.int32(light[SIDE]), np.int32(light[START])
    for done in range(0, sharp, CHUNK):
        m = min(CHUNK, sharp - done)
        _locate(m, SHARP + done, light, planes, q, a)
        _tent(m, start, side, shadow, q, a)
        for j in range(m):
            lit = q[ix(QLIT + j)]
            q[ix(SEEN + np.int64(a[ix(SHARP + done + j)]))] = lit if lit < np.float32(0.999) else _1


@fast
def _look_up(n: int, light: Any, row: Any, planes: Any, shadow: Any, coarse: Any, discs: Any, q: Any, a: Any) -> None:
    """Share of a light that each fragment of a part sees, into SEEN; 1 outside the map ``row``."""
    m0, m1, m2, m3 = row[0], row[1], row[2], row[3]
    m4, m5, m6, m7 = row[4], row[5], row[6], row[7]
    m8, m9, m10, m11 = row[8], row[9], row[10], row[11]
    sx, sy, ox, oy = row[SCALE_X], row[SCALE_Y], row[SHIFT_X], row[SHIFT_Y]
    slope_x, slope_y, cone = row[SLOPE_X], row[SLOPE_Y], row[CONE]
    perspective = row[PERSPECTIVE] > _0
    side, start = np.int32(row[SIDE]), np.int32(row[START])
    tiles = side // np.int32(TILE)
    base = np.int32(COARSE) * (start // np.int32(TILE * TILE))
    tile = np.float32(1 / TILE)
    last = np.float32(tiles - 1)
    texel = _HALF / min(sx, sy)
    # Towards the light: ``far`` times its place less ``near`` times the surface point; ``size`` is how far it reaches.
    near = _0 if light[KIND] == DIRECTIONAL else _1
    tx = light[POSITION] if near > _0 else -light[TRAVEL]
    ty = light[POSITION + 1] if near > _0 else -light[TRAVEL + 1]
    tz = light[POSITION + 2] if near > _0 else -light[TRAVEL + 2]
    size = _0
    for k in range(3):
        size += abs(light[HALF_X + k]) + abs(light[HALF_Y + k])
    for i in range(n):
        x, y, z = q[ix(X + i)], q[ix(Y + i)], q[ix(Z + i)]
        u = m0 * x + m1 * y + m2 * z + m3
        v = m4 * x + m5 * y + m6 * z + m7
        w = m8 * x + m9 * y + m10 * z + m11
        inverse = _1 / max(w, np.float32(1e-3))
        scale = inverse if perspective else _1
        u, v = u * scale * sx + ox, v * scale * sy + oy
        tu, tv = u * tile, v * tile
        inside = min(min(tu, tv), min(last + _1 - tu, last + _1 - tv))
        inside = min(inside, w - np.float32(1e-3)) if perspective else inside
        # What a blocker must be nearer than the surface to count, as in the filter.
        bias = (texel * w + np.float32(2e-4)) * inverse * inverse if perspective else texel + np.float32(2e-4)
        level = (inverse if perspective else -w) - slope_x * u - slope_y * v + bias
        lx, ly, lz = tx - near * x, ty - near * y, tz - near * z
        facing = q[ix(NX + i)] * lx + q[ix(NY + i)] * ly + q[ix(NZ + i)] * lz + size
        q[ix(LEVEL + i)] = level if inside > _0 and facing > _0 else _NOT_LIT
        q[ix(SEEN + i)] = _1 if facing > _0 else _0
        tu, tv = min(max(tu, _0), last), min(max(tv, _0), last)
        a[ix(ADDRESS + i)] = np.int32(base + np.int32(tu) + np.int32(np.int32(tv) * tiles))
    listed = 0
    for i in range(n):
        nearest = coarse[np.uint32(a[ix(ADDRESS + i)])]
        a[ix(LISTED + listed)] = i
        q[ix(NEAR0 + listed)] = nearest
        listed += int(q[ix(LEVEL + i)] < nearest)
    after = np.uint32(tiles * tiles)
    for j in range(listed):
        i = int(a[ix(LISTED + j)])
        at = np.uint32(a[ix(ADDRESS + i)]) + after
        q[ix(NEAR1 + j)] = coarse[at]
        q[ix(DARK1 + j)] = coarse[at + after]
        q[ix(NEAR2 + j)] = coarse[at + after + after]
        q[ix(DARK2 + j)] = coarse[at + after + after + after]
        q[ix(HEIGHT + j)] = q[ix(LEVEL + i)]
    for j in range(listed):
        height, nearest = q[ix(HEIGHT + j)], q[ix(NEAR0 + j)]
        # The lamp seen past the nearest blocker there may be bounds the penumbra; a narrow one need not look far.
        second = cone * (nearest - height) <= _FAR
        nearest = q[ix(NEAR1 + j)] if second else nearest
        third = second and cone * (nearest - height) <= _NEAR
        nearest = q[ix(NEAR2 + j)] if third else nearest
        dark = q[ix(DARK2 + j)] if third else q[ix(DARK1 + j)]
        hidden = second and height < dark
        q[ix(RESULT + j)] = _1 if height >= nearest else (_0 if hidden else _UNTOLD)
        q[ix(NEAR0 + j)] = cone * (nearest - height)
    sharp = soft = 0
    for j in range(listed):
        i = int(a[ix(LISTED + j)])
        result, wide = q[ix(RESULT + j)], q[ix(NEAR0 + j)]
        q[ix(SEEN + i)] = result
        q[ix(WIDE + i)] = wide
        a[ix(SHARP + sharp)] = i
        a[ix(SOFT + soft)] = i
        sharp += int(result == _UNTOLD) & int(wide <= _SHARP)
        soft += int(result == _UNTOLD) & int(wide > _SHARP)
    _filter(sharp, soft, row, planes, shadow, discs, q, a)


@fast
def _load(
    at: int, n: int, chosen: Any, px: Any, py: Any, w: Any, nx: Any, ny: Any, nz: Any, triangle: Any, camera: Any,
    q: Any, a: Any,
) -> None:  # fmt: skip
    """The part of the ``n`` fragments from ``at`` of ``chosen``."""
    inverse_fx, inverse_fy = np.float32(1.0 / camera[FX]), np.float32(1.0 / camera[FY])
    cx, cy, skew = np.float32(camera[CX]), np.float32(camera[CY]), np.float32(camera[SKEW])
    for i in range(n):
        k = np.int64(chosen[ix(at + i)])
        q[ix(PX + i)] = px[ix(k)]
        q[ix(PY + i)] = py[ix(k)]
        q[ix(W + i)] = w[ix(k)]
        q[ix(NX + i)] = nx[ix(k)]
        q[ix(NY + i)] = ny[ix(k)]
        q[ix(NZ + i)] = nz[ix(k)]
        a[ix(FACE + i)] = triangle[ix(k)]
    for i in range(n):
        x, y, z = q[ix(PX + i)], q[ix(PY + i)], _1 / q[ix(W + i)]
        down = (y - cy) * inverse_fy
        q[ix(X + i)] = (x - cx - skew * down) * inverse_fx * z
        q[ix(Y + i)] = down * z
        q[ix(Z + i)] = z
        # Interleaved gradient noise (Jimenez 2014).
        noise = np.float32(0.06711056) * x + np.float32(0.00583715) * y
        noise = np.float32(52.9829189) * (noise - np.floor(noise))
        q[ix(NOISE + i)] = noise - np.floor(noise)


@fast
def _summarize(across: int, down: int, number: int, grid: Any, cells: Any) -> None:
    """What each square of four neighbours in ``grid`` tells: the range of 1 / z, and of each map the share or a mark.

    ``grid`` holds 1 / z (0: none) and the shares of ``number`` maps, each (``down`` + 1, ``across`` + 1); ``cells`` the
    least and the greatest 1 / z and what the maps tell, of the same sizes.
    """
    stride = across + 1
    size = stride * (down + 1)
    for n in range(number + 1):
        for y in range(down):
            grid[ix(n * size + y * stride + across)] = grid[ix(n * size + y * stride + across - 1)]
        for x in range(stride):
            grid[ix(n * size + down * stride + x)] = grid[ix(n * size + (down - 1) * stride + x)]
    for y in range(down):
        at = y * stride
        for x in range(across):
            p, q = grid[ix(at + x)], grid[ix(at + x + 1)]
            r, s = grid[ix(at + stride + x)], grid[ix(at + stride + x + 1)]
            low, high = min(min(p, q), min(r, s)), max(max(p, q), max(r, s))
            cells[ix(at + x)] = low * np.float32(0.9999) if low > _SAME * high else np.float32(3e38)
            cells[ix(size + at + x)] = high * np.float32(1.0001)
        for n in range(1, number + 1):
            at = n * size + y * stride
            for x in range(across):
                p, q = grid[ix(at + x)], grid[ix(at + x + 1)]
                r, s = grid[ix(at + stride + x)], grid[ix(at + stride + x + 1)]
                low, high = min(min(p, q), min(r, s)), max(max(p, q), max(r, s))
                told = low if low == high else _BETWEEN
                cells[ix(size + at + x)] = told if high - low < _ALIKE else _UNTOLD


@fast
def _tell(
    across: int, down: int, total: int, number: int, px: Any, py: Any, w: Any, cells: Any, q: Any, a: Any, seen: Any
) -> None:
    """What the squares that fragments lie in tell of them, into ``seen`` (number, total)."""
    stride = across + 1
    size = stride * (down + 1)
    for first in range(0, total, PART):
        n = min(PART, total - first)
        for i in range(n):
            x, y = np.int32(px[ix(first + i)] * _HALF), np.int32(py[ix(first + i)] * _HALF)
            a[ix(ADDRESS + i)] = np.int32(x + np.int32(y * np.int32(stride)))
        for i in range(n):
            at = np.uint32(a[ix(ADDRESS + i)])
            q[ix(X + i)] = cells[at]
            q[ix(Y + i)] = cells[at + np.uint32(size)]
        for k in range(number):
            start = np.uint32((k + 2) * size)
            for i in range(n):
                q[ix(SEEN + i)] = cells[np.uint32(a[ix(ADDRESS + i)]) + start]
            for i in range(n):
                near = w[ix(first + i)]
                alike = near >= q[ix(X + i)] and near <= q[ix(Y + i)]
                seen[ix(k * total + first + i)] = q[ix(SEEN + i)] if alike else _UNTOLD


@fast
def look_up_shadows(
    width: int, height: int, count: int, total: int, pixel: Any, px: Any, py: Any, w: Any, nx: Any, ny: Any, nz: Any,
    triangle: Any, planes: Any, camera: Any, lights: Any, maps: Any, shadow: Any, coarse: Any, discs: Any, index: Any,
    chosen: Any, grid: Any, cells: Any, q: Any, a: Any, seen: Any,
) -> None:  # fmt: skip
    """Share, from 0 to 1, that fragments see of the lights that have maps: ``seen`` (maps, ``total``), flat.

    The first ``count`` fragments are those at pixel centres. Working memory: ``index`` (width * height), ``chosen``
    (total + neighbours), ``grid`` and ``cells`` (2 + maps, neighbours), ``q`` (VALUES, finite) and ``a`` (NUMBERS),
    the neighbours being (height + 1) // 2 + 1 by (width + 1) // 2 + 1.
    """
    number = 0
    for k in range(len(lights)):
        number += int(lights[k, SHADOW] >= _0)
    if number == 0:
        return
    across, down = (width + 1) // 2, (height + 1) // 2
    stride = across + 1
    size = stride * (down + 1)
    if count < width * height:
        for i in range(width * height):
            index[ix(i)] = -1
    for k in range(count):
        index[ix(pixel[ix(k)])] = k
    listed = 0
    for y in range(down):
        for x in range(across):
            k = int(index[ix(2 * y * width + 2 * x)])
            grid[ix(y * stride + x)] = w[ix(max(k, 0))] if k >= 0 else _0
            chosen[ix(listed)] = k
            chosen[ix(total + listed)] = y * stride + x
            listed += int(k >= 0)
    for at in range(0, listed, PART):
        n = min(PART, listed - at)
        _load(at, n, chosen, px, py, w, nx, ny, nz, triangle, camera, q, a)
        for k in range(len(lights)):
            m = int(lights[k, SHADOW])
            if m >= 0:
                _look_up(n, lights[k], maps[m], planes, shadow, coarse, discs, q, a)
                for i in range(n):
                    grid[ix((m + 1) * size + np.int64(chosen[ix(total + at + i)]))] = q[ix(SEEN + i)]
    _summarize(across, down, number, grid, cells)
    _tell(across, down, total, number, px, py, w, cells, q, a, seen)
    for k in range(len(lights)):
        m = int(lights[k, SHADOW])
        if m < 0:
            continue
        start = m * total
        listed = 0
        for i in range(total):
            chosen[ix(listed)] = i
            listed += int(seen[ix(start + i)] > _1)
        left = 0
        for j in range(listed):
            i = int(chosen[ix(j)])
            x, y = px[ix(i)] * _HALF, py[ix(i)] * _HALF
            column, row = int(x), int(y)
            x, y = x - np.float32(column), y - np.float32(row)
            at = (m + 1) * size + row * stride + column
            p = grid[ix(at)]
            if i < count and x == _0 and y == _0:
                seen[ix(start + i)] = p
            elif seen[ix(start + i)] == _BETWEEN:
                upper = p + x * (grid[ix(at + 1)] - p)
                p, q_ = grid[ix(at + stride)], grid[ix(at + stride + 1)]
                seen[ix(start + i)] = upper + y * (p + x * (q_ - p) - upper)
            else:
                chosen[ix(left)] = i
                left += 1
        for at in range(0, left, PART):
            n = min(PART, left - at)
            _load(at, n, chosen, px, py, w, nx, ny, nz, triangle, camera, q, a)
            _look_up(n, lights[k], maps[m], planes, shadow, coarse, discs, q, a)
            for i in range(n):
                seen[ix(start + np.int64(chosen[ix(at + i)]))] = q[ix(SEEN + i)]

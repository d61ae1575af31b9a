"""Reading a shadow map: the share of a light that each of many fragments sees.

Most fragments are plainly lit or plainly in the dark, which the coarse maps tell at once. The others are listed and
filtered, all taps of a fragment at a time. Where the penumbra is no wider than the texels, a tent over 4 x 4
texels is the filter; where it may be wider, blockers are searched for first, which tell its width (Fernando 2005).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.render.raster.comparing import (
    FILTER_TAPS,
    GROUP,
    SEARCH_TAPS,
    filter_disc,
    filter_tent,
    mask_below,
    search_discs,
)
from simgen.render.raster.jit import fast, ix
from simgen.render.raster.layout import CX, CY, FACE_N, FX, FY, SKEW, TRIANGLE
from simgen.render.raster.lights import DIRECTIONAL, HALF_X, HALF_Y, KIND, POSITION, TRAVEL
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

_ROTATIONS = 64
_NEAR, _FAR = np.float32(TILE - 2), np.float32(2 * TILE - 2)
"""Texels that coarse maps of one and of two tiles allow a filter to reach."""
_NARROW = np.float32(1.5)
"""Texels of penumbra that a tent is wide enough for."""
_LEAST = np.float32(2.0)
"""Texels around a fragment that are searched for blockers at least: what the sharpest filter covers."""
_NOT_LIT = np.float32(3e38)

PART = 1024
"""Fragments that are looked up together; few enough that their channels stay in the caches."""
_CHUNK = 256
"""Fragments that are filtered together; few enough that their channels stay in the first-level cache."""
_STRIDE, _STEP = PART + GROUP, _CHUNK + GROUP
# Channels of a part: place in the image, 1 / z (0: none), value above the ground with the bias, greatest value around,
# share of the light; of those that may not be plainly lit the value again, greatest and least values around, how near
# these are; bound of the filter radius of those to be searched for blockers.
PX, PY, W, _LEVEL, _NEAR0, SEEN, _HEIGHT, _NEAREST, _NEAR1, _DARK, _REACH, _BOUND = (k * _STRIDE for k in range(12))
# Channels of a chunk: place in the image, 1 / z, normals of the smooth surface and of the triangle, how much of the
# former faces the light; place in the map, value with and without bias, its steps, turn of the disc, its radii, how
# much of it is lit, width of the penumbra.
(
    _FX, _FY, _FW, _NX, _NY, _NZ, _FNX, _FNY, _FNZ, _FACING, _U, _V, _VALUE, _DEPTH, _DU, _DV, _C, _S, _RX, _RY,
    _LIT, _WIDE,
) = (12 * _STRIDE + k * _STEP for k in range(22))  # fmt: skip
VALUES = 12 * _STRIDE + 22 * _STEP
"""Floats of working memory, all finite."""

# Channels of integers. Of a part: number of the fragment, address in the coarse map; places in the part of fragments
# that may not be plainly lit, their addresses in another coarse map; places in the part of fragments to be filtered
# with a tent, and of those to be searched for blockers. Of a chunk: turn of the disc, then places in the chunk of
# fragments to be filtered with a disc, or the first texel of tents.
FRAGMENT, _ADDRESS, _LISTED, _AT, _SHARP, _SOFT = (k * _STRIDE for k in range(6))
_TURN = _TEXEL = 6 * _STRIDE
NUMBERS = 6 * _STRIDE + _STEP
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
def _pad(n: int) -> int:
    """``n`` rounded up to whole vectors; what lies past a list is finite and not used."""
    return (n + GROUP - 1) // GROUP * GROUP


@fast
def _compare_nearest(n: int, row: Any, camera: Any, coarse: Any, q: Any, a: Any) -> int:
    """List the fragments of a part that are below what is nearest to the light around them; the others are lit."""
    m0, m1, m2, m3 = row[0], row[1], row[2], row[3]
    m4, m5, m6, m7 = row[4], row[5], row[6], row[7]
    m8, m9, m10, m11 = row[8], row[9], row[10], row[11]
    sx, sy, ox, oy = row[SCALE_X], row[SCALE_Y], row[SHIFT_X], row[SHIFT_Y]
    slope_x, slope_y = row[SLOPE_X], row[SLOPE_Y]
    perspective = row[PERSPECTIVE] > _0
    tiles = np.int32(row[SIDE]) // np.int32(TILE)
    base = np.int32(COARSE) * (np.int32(row[START]) // np.int32(TILE * TILE))
    tile = np.float32(1 / TILE)
    last = np.float32(tiles - np.int32(1))
    texel = _HALF / min(sx, sy)
    inverse_fx, inverse_fy = np.float32(1.0 / camera[FX]), np.float32(1.0 / camera[FY])
    cx, cy, skew = np.float32(camera[CX]), np.float32(camera[CY]), np.float32(camera[SKEW])
    padded = _pad(n)
    for i in range(n, padded):
        q[ix(W + i)] = _0
    for i in range(padded):
        near = q[ix(W + i)]
        z = _1 / (near if near > _0 else _1)
        y = (q[ix(PY + i)] - cy) * inverse_fy
        x = (q[ix(PX + i)] - cx - skew * y) * inverse_fx * z
        y *= z
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
        q[ix(_LEVEL + i)] = level if min(inside, near) > _0 else _NOT_LIT
        q[ix(SEEN + i)] = _1
        tu, tv = min(max(tu, _0), last), min(max(tv, _0), last)
        a[ix(_ADDRESS + i)] = np.int32(base + np.int32(tu) + np.int32(np.int32(tv) * tiles))
    for i in range(padded):
        q[ix(_NEAR0 + i)] = coarse[np.uint32(a[ix(_ADDRESS + i)])]
    listed = 0
    for i in range(0, padded, GROUP):
        below = mask_below(q, _LEVEL + i, _NEAR0 + i)
        # Neighbours are mostly lit together.
        if below != 0:
            for k in range(GROUP):
                a[ix(_LISTED + listed)] = i + k
                listed += int((below >> np.uint64(k)) & np.uint64(1))
    return listed


@fast
def _compare_coarse(listed: int, row: Any, coarse: Any, q: Any, a: Any) -> tuple[int, int]:
    """Settle what the coarse maps tell of the fragments listed.

    Lists the others: those whose penumbra is narrow and those where it may be wide; returns how many there are of each.
    """
    cone = row[CONE]
    tiles = np.int32(row[SIDE]) // np.int32(TILE)
    after = np.int32(tiles * tiles)
    least = _NOT_LIT
    for j in range(listed):
        i = int(a[ix(_LISTED + j)])
        height, nearest = q[ix(_LEVEL + i)], q[ix(_NEAR0 + i)]
        a[ix(_AT + j)] = np.int32(a[ix(_ADDRESS + i)] + after)
        q[ix(_HEIGHT + j)] = height
        q[ix(_NEAREST + j)] = nearest
        least = min(least, cone * (nearest - height))
    if least <= _FAR:
        _narrow_down(listed, cone, after, coarse, q, a)
    else:
        for j in range(listed):
            q[ix(_DARK + j)] = -_NOT_LIT
    sharp = soft = 0
    for j in range(listed):
        i, height, nearest = int(a[ix(_LISTED + j)]), q[ix(_HEIGHT + j)], q[ix(_NEAREST + j)]
        bound = cone * (nearest - height)
        q[ix(SEEN + i)] = _1 if height >= nearest else _0
        q[ix(_BOUND + soft)] = bound
        a[ix(_SHARP + sharp)] = i
        a[ix(_SOFT + soft)] = i
        untold, narrow = int(height < nearest) & int(height >= q[ix(_DARK + j)]), int(bound <= _NARROW)
        sharp += untold & narrow
        soft += untold & (1 - narrow)
    return sharp, soft


@fast
def _narrow_down(listed: int, cone: Any, after: Any, coarse: Any, q: Any, a: Any) -> None:
    """The greatest and the least value as near as the penumbra allows to look: the lamp seen past the nearest blocker
    there may be bounds it.
    """
    for j in range(listed):
        q[ix(_NEAR1 + j)] = coarse[np.uint32(a[ix(_AT + j)])]
    for j in range(listed):
        height, nearest, nearer = q[ix(_HEIGHT + j)], q[ix(_NEAREST + j)], q[ix(_NEAR1 + j)]
        second = cone * (nearest - height) <= _FAR
        nearest = nearer if second else nearest
        third = second & (cone * (nearest - height) <= _NEAR)
        q[ix(_REACH + j)] = _1 if third else (_0 if second else -_1)
        q[ix(_NEAREST + j)] = nearest
        a[ix(_AT + j)] = np.int32(a[ix(_AT + j)] + (after + after if third else np.int32(0)))
    for j in range(listed):
        at = np.uint32(a[ix(_AT + j)])
        q[ix(_NEAR1 + j)] = coarse[at]
        q[ix(_DARK + j)] = coarse[at + np.uint32(after)]
    for j in range(listed):
        reach, nearest, nearer, dark = q[ix(_REACH + j)], q[ix(_NEAREST + j)], q[ix(_NEAR1 + j)], q[ix(_DARK + j)]
        q[ix(_NEAREST + j)] = nearer if reach > _0 else nearest
        q[ix(_DARK + j)] = dark if reach >= _0 else -_NOT_LIT


@fast
def _locate(
    at: int, m: int, light: Any, row: Any, camera: Any, nx: Any, ny: Any, nz: Any, triangle: Any, planes: Any, q: Any,
    a: Any,
) -> None:  # fmt: skip
    """Where the ``m`` fragments listed at ``at`` lie in the map, and what the filter needs."""
    for j in range(m):
        i = int(a[ix(at + j)])
        q[ix(_FX + j)] = q[ix(PX + i)]
        q[ix(_FY + j)] = q[ix(PY + i)]
        q[ix(_FW + j)] = q[ix(W + i)]
        k = int(a[ix(FRAGMENT + i)])
        q[ix(_NX + j)] = nx[ix(k)]
        q[ix(_NY + j)] = ny[ix(k)]
        q[ix(_NZ + j)] = nz[ix(k)]
        face = np.int64(triangle[ix(k)]) * TRIANGLE + FACE_N
        q[ix(_FNX + j)] = planes[ix(face)]
        q[ix(_FNY + j)] = planes[ix(face + 1)]
        q[ix(_FNZ + j)] = planes[ix(face + 2)]
    m0, m1, m2, m3 = row[0], row[1], row[2], row[3]
    m4, m5, m6, m7 = row[4], row[5], row[6], row[7]
    m8, m9, m10, m11 = row[8], row[9], row[10], row[11]
    sx, sy, ox, oy = row[SCALE_X], row[SCALE_Y], row[SHIFT_X], row[SHIFT_Y]
    perspective = row[PERSPECTIVE] > _0
    smaller = min(sx, sy)
    inverse_fx, inverse_fy = np.float32(1.0 / camera[FX]), np.float32(1.0 / camera[FY])
    cx, cy, skew = np.float32(camera[CX]), np.float32(camera[CY]), np.float32(camera[SKEW])
    # Towards the light: ``far`` times its place less ``near`` times the surface point; ``size`` is how far it reaches.
    near = _0 if light[KIND] == DIRECTIONAL else _1
    tx = light[POSITION] if near > _0 else -light[TRAVEL]
    ty = light[POSITION + 1] if near > _0 else -light[TRAVEL + 1]
    tz = light[POSITION + 2] if near > _0 else -light[TRAVEL + 2]
    size = _0
    for k in range(3):
        size += abs(light[HALF_X + k]) + abs(light[HALF_Y + k])
    for j in range(_pad(m)):
        column, line, z = q[ix(_FX + j)], q[ix(_FY + j)], q[ix(_FW + j)]
        # Interleaved gradient noise (Jimenez 2014).
        noise = np.float32(0.06711056) * column + np.float32(0.00583715) * line
        noise = np.float32(52.9829189) * (noise - np.floor(noise))
        noise -= np.floor(noise)
        turn = min(np.int32(noise * np.float32(_ROTATIONS)), np.int32(_ROTATIONS - 1))
        a[ix(_TURN + j)] = np.int32(np.int32(2) * np.int32(turn + np.int32(SEARCH_TAPS + FILTER_TAPS)))
        z = _1 / (z if z > _0 else _1)
        y = (line - cy) * inverse_fy
        x = (column - cx - skew * y) * inverse_fx * z
        y *= z
        fx, fy, fz = q[ix(_FNX + j)], q[ix(_FNY + j)], q[ix(_FNZ + j)]
        lx, ly, lz = tx - near * x, ty - near * y, tz - near * z
        q[ix(_FACING + j)] = q[ix(_NX + j)] * lx + q[ix(_NY + j)] * ly + q[ix(_NZ + j)] * lz + size
        lx = m0 * x + m1 * y + m2 * z + m3
        ly = m4 * x + m5 * y + m6 * z + m7
        lz = m8 * x + m9 * y + m10 * z + m11
        mx = m0 * fx + m1 * fy + m2 * fz
        my = m4 * fx + m5 * fy + m6 * fz
        mz = m8 * fx + m9 * fy + m10 * fz
        inverse = _1 / max(lz, np.float32(1e-3))
        scale = inverse if perspective else _1
        q[ix(_U + j)] = lx * scale * sx + ox
        q[ix(_V + j)] = ly * scale * sy + oy
        depth = inverse if perspective else -lz
        q[ix(_DEPTH + j)] = depth
        # The plane of the triangle over the map, its steepness bounded; the bias is a part of a texel's depth.
        metre = inverse * inverse if perspective else _1
        texel = (lz if perspective else _1) / smaller
        d = mx * lx + my * ly + mz * lz if perspective else mz
        tiny = np.float32(1e-5)
        d = min(d, -tiny) if d < _0 else max(d, tiny)
        bound = np.float32(12.0) * texel * metre
        q[ix(_DU + j)] = min(max(mx / (d * sx), -bound), bound)
        q[ix(_DV + j)] = min(max(my / (d * sy), -bound), bound)
        q[ix(_VALUE + j)] = depth + (texel * _HALF + np.float32(2e-4)) * metre


@fast
def _filter_soft(at: int, m: int, sharp: int, row: Any, shadow: Any, discs: Any, q: Any, a: Any) -> int:
    """Search for blockers of the ``m`` fragments located, which are listed from ``at``, and filter wide penumbrae.

    Those in narrow ones join the ``sharp`` fragments listed; returns how many these are then. What a fragment needs is
    hard to predict, so that there are no branches: those that need the same are listed.
    """
    side, start = np.int32(row[SIDE]), np.int32(row[START])
    larger = max(row[SCALE_X], row[SCALE_Y])
    stretch_x, stretch_y = row[SCALE_X] / larger, row[SCALE_Y] / larger
    spread = row[SPREAD] * larger
    widest = np.float32(WIDEST)
    padded = _pad(m)
    for j in range(padded):
        bound = q[ix(_BOUND + at + j)]
        q[ix(_RX + j)] = max(min(bound * stretch_x, widest), _LEAST)
        q[ix(_RY + j)] = max(min(bound * stretch_y, widest), _LEAST)
    for j in range(m):
        turn = int(a[ix(_TURN + j)])
        q[ix(_C + j)] = discs[ix(turn)]
        q[ix(_S + j)] = discs[ix(turn + 1)]
    for j in range(0, padded, GROUP):
        search_discs(
            shadow, start, side, discs, q, _U + j, _V + j, _VALUE + j, _DU + j, _DV + j, _C + j, _S + j, _RX + j,
            _RY + j, _LIT + j, _WIDE + j,
        )  # fmt: skip
    # The blockers found give the width of the penumbra; fragments that are wholly lit are done. Dark ones are not: few
    # taps may all be blocked inside a penumbra, and would leave dark dots in it.
    for j in range(padded):
        dark = np.float32(SEARCH_TAPS) - q[ix(_LIT + j)]
        found = spread * max(q[ix(_WIDE + j)] / max(dark, _1) - q[ix(_DEPTH + j)], _0)
        found = found if (dark > _0) & (q[ix(_FACING + j)] > _0) else -_1
        q[ix(_WIDE + j)] = found
        q[ix(_LIT + j)] = _1 if q[ix(_FACING + j)] > _0 else _0
        q[ix(_RX + j)] = min(found * stretch_x, widest)
        q[ix(_RY + j)] = min(found * stretch_y, widest)
    wide = 0
    for j in range(m):
        i, found = int(a[ix(_SOFT + at + j)]), q[ix(_WIDE + j)]
        q[ix(SEEN + i)] = q[ix(_LIT + j)]
        a[ix(_SHARP + sharp)] = i
        a[ix(_TURN + wide)] = j
        sharp += int(found >= _0) & int(found <= _NARROW)
        wide += int(found > _NARROW)
    for k in range(wide):
        j = int(a[ix(_TURN + k)])
        q[ix(SEEN + int(a[ix(_SOFT + at + j)]))] = filter_disc(
            shadow, start, side, discs, q[ix(_U + j)], q[ix(_V + j)], q[ix(_VALUE + j)], q[ix(_DU + j)],
            q[ix(_DV + j)], q[ix(_C + j)], q[ix(_S + j)], q[ix(_RX + j)], q[ix(_RY + j)],
        )  # fmt: skip
    return sharp


@fast
def _filter_sharp(at: int, m: int, row: Any, shadow: Any, q: Any, a: Any) -> None:
    """Filter narrow penumbrae: those of the ``m`` fragments located, which are listed from ``at``."""
    side, start = np.int32(row[SIDE]), np.int32(row[START])
    corner = np.float32(side - np.int32(4))
    for j in range(_pad(m)):
        u, v = q[ix(_U + j)], q[ix(_V + j)]
        x = min(max(np.floor(u) - _1, _0), corner)
        y = min(max(np.floor(v) - _1, _0), corner)
        a[ix(_TEXEL + j)] = np.int32(start + np.int32(x) + np.int32(np.int32(y) * side))
        q[ix(_VALUE + j)] += q[ix(_DU + j)] * (x - u) + q[ix(_DV + j)] * (y - v)
        q[ix(_U + j)] = u - np.floor(u)
        q[ix(_V + j)] = v - np.floor(v)
    for j in range(m):
        lit = filter_tent(
            shadow, int(a[ix(_TEXEL + j)]), int(side), q[ix(_VALUE + j)], q[ix(_DU + j)], q[ix(_DV + j)],
            q[ix(_U + j)], q[ix(_V + j)],
        )  # fmt: skip
        lit = lit if lit < np.float32(0.999) else _1
        q[ix(SEEN + int(a[ix(_SHARP + at + j)]))] = lit if q[ix(_FACING + j)] > _0 else _0


@fast
def look_up(
    n: int, light: Any, row: Any, camera: Any, nx: Any, ny: Any, nz: Any, triangle: Any, planes: Any, shadow: Any,
    coarse: Any, discs: Any, q: Any, a: Any,
) -> None:  # fmt: skip
    """Share of a light, from 0 to 1, that each of the ``n`` fragments of a part sees, into SEEN.

    A part is given by FRAGMENT, PX, PY and W. What lies outside the map ``row`` is lit; so may be what faces away from
    the light.
    """
    listed = _compare_nearest(n, row, camera, coarse, q, a)
    sharp, soft = _compare_coarse(listed, row, coarse, q, a)
    for at in range(0, soft, _CHUNK):
        m = min(_CHUNK, soft - at)
        _locate(_SOFT + at, m, light, row, camera, nx, ny, nz, triangle, planes, q, a)
        sharp = _filter_soft(at, m, sharp, row, shadow, discs, q, a)
    for at in range(0, sharp, _CHUNK):
        m = min(_CHUNK, sharp - at)
        _locate(_SHARP + at, m, light, row, camera, nx, ny, nz, triangle, planes, q, a)
        _filter_sharp(at, m, row, shadow, q, a)

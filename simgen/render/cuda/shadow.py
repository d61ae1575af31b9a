"""Shadow maps of a whole batch: drawn by atomic maxima, read a fragment a thread.

Maps are fitted on the host (``simgen.render.raster.shadow_fit``); formulas are those of
``simgen.render.raster.shadow_draw`` and ``penumbra``, except that every fragment is filtered by itself where the CPU
takes over the results of four neighbours that agree. Drawing is strict, so that no light falls through between a small
and a large triangle, which different kernels draw.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import float32, int64

from simgen.render.cuda.device import cuda, device, kernel, strict_kernel
from simgen.render.cuda.points import FNX, FNY, FNZ, NOISE, X, Y, Z
from simgen.render.cuda.visibility import SMALL, TILE_HEIGHT, TILE_WIDTH, TILES, TRIANGLES
from simgen.render.raster.comparing import FILTER_TAPS, SEARCH_TAPS
from simgen.render.raster.layout import CULL, FACES_IN_POOL, FIRST_IN_POOL, VERTEX
from simgen.render.raster.lights import DIRECTIONAL, HALF_X, HALF_Y, KIND, POSITION, TRAVEL
from simgen.render.raster.shadow import (
    COARSE,
    CONE,
    NOTHING,
    PERSPECTIVE,
    REACH,
    SCALE_X,
    SCALE_Y,
    SHIFT_X,
    SHIFT_Y,
    SIDE,
    SLOPE_X,
    SLOPE_Y,
    SPREAD,
    TILE,
    WIDEST,
)

# A drawable to draw into a map, int64: number of the map, drawable, number of its first face in the list.
MAP, DRAW, FIRST = range(3)

# A triangle over a map, float32: corners sorted by y, the value at the first and its steps, slopes of the edges.
_X0, _Y0, _X1, _Y1, _X2, _Y2, _VALUE, _A, _B, _LONG, _UPPER, _LOWER = range(12)
PIECE = 12
# Of a large triangle, int64: its first and last row of the map, side of the map, where its texels begin.
TOP, BOTTOM, ACROSS, TEXELS = range(4)

_ROTATIONS = 64
_NEAR, _FAR = np.float32(TILE - 2), np.float32(2 * TILE - 2)
_SHARP = np.float32(1.5)
_LEAST = np.float32(2.0)
_0 = np.float32(0.0)
_1 = np.float32(1.0)
_HALF = np.float32(0.5)


@device
def find_row(starts: Any, item: int) -> int:
    """The last place in ascending ``starts`` whose value is not above ``item``."""
    low, high = 0, len(starts)
    while high - low > 1:
        middle = (low + high) // 2
        if starts[middle] <= item:
            low = middle
        else:
            high = middle
    return low


@kernel
def empty(values: Any, count: int) -> None:
    """A thread per texel: nothing casts a shadow."""
    i = cuda.grid(1)
    if i < count:
        values[i] = NOTHING


@device
def _project(row: Any, matrices: Any, k: int, vertices: Any, at: int) -> Any:
    """Place and value in a map of the vertex at ``at`` of the pool; the value is NaN behind the light."""
    X_, Y_, Z_ = vertices[at], vertices[at + 1], vertices[at + 2]
    x = matrices[k, 0] * X_ + matrices[k, 1] * Y_ + matrices[k, 2] * Z_ + matrices[k, 3]
    y = matrices[k, 4] * X_ + matrices[k, 5] * Y_ + matrices[k, 6] * Z_ + matrices[k, 7]
    z = matrices[k, 8] * X_ + matrices[k, 9] * Y_ + matrices[k, 10] * Z_ + matrices[k, 11]
    value = -z
    if row[PERSPECTIVE] > _0:
        value = _1 / z
        x, y = x * value, y * value
        if not (z > np.float32(1e-3)):
            value = np.float32(np.nan)
    return x * row[SCALE_X] + row[SHIFT_X], y * row[SCALE_Y] + row[SHIFT_Y], value


@device
def set_up_caster(
    face: int, k: int, casters: Any, matrices: Any, row: Any, draws: Any, vertices: Any, faces: Any, piece: Any,
    box: Any,
) -> bool:  # fmt: skip
    """Set up a face of caster ``k`` for a map into ``piece`` (PIECE,) and ``box`` (4,), its columns and rows.

    Returns whether it is drawn.
    """
    m = casters[k, DRAW]
    at = 3 * (np.int64(draws[m, FACES_IN_POOL]) + face)
    first = np.int64(draws[m, FIRST_IN_POOL])
    x0, y0, v0 = _project(row, matrices, k, vertices, (first + faces[at]) * VERTEX)
    x1, y1, v1 = _project(row, matrices, k, vertices, (first + faces[at + 1]) * VERTEX)
    x2, y2, v2 = _project(row, matrices, k, vertices, (first + faces[at + 2]) * VERTEX)
    limit = row[SIDE]
    ymin, ymax = min(y0, y1, y2), max(y0, y1, y2)
    if not (np.ceil(max(ymin, _0)) < np.ceil(min(ymax, limit))):
        return False
    xmin, xmax = min(x0, x1, x2), max(x0, x1, x2)
    if not (np.ceil(max(xmin, _0)) < np.ceil(min(xmax, limit))):
        return False
    area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
    if draws[m, CULL] != 0 and area * np.float32(draws[m, CULL]) > _0:
        return False
    if not (abs(v0) + abs(v1) + abs(v2) < np.float32(1e30)):
        return False
    if not (abs(area) > np.float32(1e-9)):
        return False
    a = ((v1 - v0) * (y2 - y0) - (v2 - v0) * (y1 - y0)) / area
    b = ((v2 - v0) * (x1 - x0) - (v1 - v0) * (x2 - x0)) / area
    # A triangle seen edge-on has no meaningful slope: use its farthest corner.
    low = min(v0, v1, v2)
    span = max(v0, v1, v2) - low
    if abs(a) + abs(b) > np.float32(4.0) * span:
        a, b = _0, _0
        v0 = low
    if y1 < y0:
        v0 = v0 + a * (x1 - x0) + b * (y1 - y0)
        x0, y0, x1, y1 = x1, y1, x0, y0
    if y2 < y0:
        v0 = v0 + a * (x2 - x0) + b * (y2 - y0)
        x0, y0, x2, y2 = x2, y2, x0, y0
    if y2 < y1:
        x1, y1, x2, y2 = x2, y2, x1, y1
    piece[_X0], piece[_Y0], piece[_X1], piece[_Y1], piece[_X2], piece[_Y2] = x0, y0, x1, y1, x2, y2
    piece[_VALUE], piece[_A], piece[_B] = v0, a, b
    piece[_LONG] = (x2 - x0) / (y2 - y0)
    piece[_UPPER] = (x1 - x0) / (y1 - y0) if y1 > y0 else _0
    piece[_LOWER] = (x2 - x1) / (y2 - y1) if y2 > y1 else _0
    box[0] = np.int64(np.ceil(max(xmin, _0)))
    box[1] = np.int64(np.ceil(min(xmax, limit))) - 1
    box[2] = np.int64(np.ceil(max(ymin, _0)))
    box[3] = np.int64(np.ceil(min(ymax, limit))) - 1
    return True


@device
def caster_columns(piece: Any, y: int, side: int) -> Any:
    """First column and column after the last of a row of the map that a triangle covers."""
    row = np.float32(y)
    left = piece[_X0] + (row - piece[_Y0]) * piece[_LONG]
    right = piece[_X1] + (row - piece[_Y1]) * piece[_LOWER]
    if row < piece[_Y1]:
        right = piece[_X0] + (row - piece[_Y0]) * piece[_UPPER]
    if right < left:
        left, right = right, left
    limit = np.float32(side)
    begin = np.int64(np.ceil(min(max(left, _0), limit)))
    return begin, np.int64(np.ceil(max(min(right, limit), _0)))


@device
def caster_value(piece: Any, x: int, y: int) -> Any:
    """The value of a triangle at a texel."""
    return piece[_VALUE] + piece[_A] * (np.float32(x) - piece[_X0]) + piece[_B] * (np.float32(y) - piece[_Y0])


@strict_kernel
def draw_casters(
    casters: Any, firsts: Any, matrices: Any, maps: Any, starts: Any, draws: Any, vertices: Any, faces: Any,
    values: Any, listed: Any, number: Any, where: Any, pieces: Any, count: int,
) -> None:  # fmt: skip
    """A thread per face of a caster: draw it when small, else keep its set-up and list its tiles.

    ``casters`` (n, 3) are MAP, DRAW, FIRST, ``matrices`` (n, 12) from their meshes before scale to the lights.
    ``listed`` and ``number`` are as in ``visibility.draw_faces``, the set-up of row k is ``where`` (k, 4) and
    ``pieces`` (k, PIECE).
    """
    i = cuda.grid(1)
    piece = cuda.local.array(PIECE, float32)
    box = cuda.local.array(4, int64)
    if i >= count:
        return
    k = find_row(firsts, i)
    row = maps[casters[k, MAP]]
    if not set_up_caster(i - firsts[k], k, casters, matrices, row, draws, vertices, faces, piece, box):
        return
    side, start = int(row[SIDE]), starts[casters[k, MAP]]
    if (box[1] - box[0] + 1) * (box[3] - box[2] + 1) > SMALL:
        across = (side + TILE_WIDTH - 1) // TILE_WIDTH
        left, right = box[0] // TILE_WIDTH, box[1] // TILE_WIDTH
        top, bottom = box[2] // TILE_HEIGHT, box[3] // TILE_HEIGHT
        tiles = (right - left + 1) * (bottom - top + 1)
        at, kept = cuda.atomic.add(number, TILES, tiles), cuda.atomic.add(number, TRIANGLES, 1)
        fits = at + tiles <= len(listed) and kept < len(where)
        n = at
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                if n < len(listed):
                    listed[n, 0] = kept if fits else -1
                    listed[n, 1] = y * across + x
                    n += 1
        if fits:
            where[kept, TOP], where[kept, BOTTOM] = box[2], box[3]
            where[kept, ACROSS], where[kept, TEXELS] = side, start
            for c in range(PIECE):
                pieces[kept, c] = piece[c]
            return
    for y in range(box[2], box[3] + 1):
        begin, end = caster_columns(piece, y, side)
        for x in range(begin, end):
            cuda.atomic.max(values, start + y * side + x, caster_value(piece, x, y))


@strict_kernel
def draw_caster_tiles(values: Any, listed: Any, number: Any, where: Any, pieces: Any) -> None:
    """Blocks of TILE_THREADS threads: draw the tiles listed, a texel a thread."""
    waiting = int(min(number[TILES], len(listed)))
    for n in range(cuda.blockIdx.x, waiting, cuda.gridDim.x):
        kept = np.int64(listed[n, 0])
        if kept < 0:
            continue
        piece, side = pieces[kept], where[kept, ACROSS]
        across = (side + TILE_WIDTH - 1) // TILE_WIDTH
        tile = np.int64(listed[n, 1])
        x = (tile % across) * TILE_WIDTH + cuda.threadIdx.x % TILE_WIDTH
        y = (tile // across) * TILE_HEIGHT + cuda.threadIdx.x // TILE_WIDTH
        if where[kept, TOP] <= y <= where[kept, BOTTOM]:
            begin, end = caster_columns(piece, y, side)
            if begin <= x < end:
                cuda.atomic.max(values, where[kept, TEXELS] + y * side + x, caster_value(piece, x, y))


@kernel
def coarsen(maps: Any, starts: Any, tile_starts: Any, values: Any, rough: Any, count: int) -> None:
    """A thread per tile: the greatest value over the ground in it (first half of ``rough``) and the least (second)."""
    i = cuda.grid(1)
    if i < count:
        k = find_row(tile_starts, i)
        side = int(maps[k, SIDE])
        tile, tiles = i - tile_starts[k], side // TILE
        top, left = (tile // tiles) * TILE, (tile % tiles) * TILE
        start = starts[k] + top * side + left
        slope_x, slope_y = maps[k, SLOPE_X], maps[k, SLOPE_Y]
        most = least = values[start] - slope_x * np.float32(left) - slope_y * np.float32(top)
        for y in range(TILE):
            for x in range(TILE):
                ground = slope_x * np.float32(left + x) + slope_y * np.float32(top + y)
                value = values[start + y * side + x] - ground
                most, least = max(most, value), min(least, value)
        rough[i] = most
        rough[count + i] = least


@device
def _extreme(source: Any, at: int, step: int, place: int, tiles: int, reach: int, sign: Any) -> Any:
    """The greatest (``sign`` 1) or least (-1) value within ``reach`` tiles of ``place`` of a row or column."""
    best = sign * source[at]
    for q in range(max(place - reach, 0), min(place + reach + 1, tiles)):
        best = max(best, sign * source[at + (q - place) * step])
    return sign * best


@kernel
def widen(maps: Any, tile_starts: Any, source: Any, target: Any, down: int, count: int) -> None:
    """A thread per tile: the coarse maps (see ``raster.shadow.COARSE``), first across, then ``down`` (1).

    Across goes from ``count`` greatest and ``count`` least values to COARSE times ``count``; down goes from these to
    the maps of each shadow map in turn.
    """
    i = cuda.grid(1)
    if i < count:
        k = find_row(tile_starts, i)
        tiles = int(maps[k, SIDE]) // TILE
        tile = i - tile_starts[k]
        for n in range(COARSE):
            reach = max(int(maps[k, REACH]), 2) if n == 0 else (2 if n < 3 else 1)
            least = n == 2 or n == 4
            sign = -_1 if least else _1
            if down:
                found = _extreme(source, n * count + i, tiles, tile // tiles, tiles, reach, sign)
                target[COARSE * tile_starts[k] + n * tiles * tiles + tile] = found
            else:
                target[n * count + i] = _extreme(
                    source, (count if least else 0) + i, 1, tile % tiles, tiles, reach, sign
                )  # fmt: skip


@device
def _tap(
    px: Any, py: Any, c: Any, s: Any, u: Any, v: Any, rx: Any, ry: Any, value: Any, du: Any, dv: Any, start: int,
    side: int, shadow: Any,
) -> Any:  # fmt: skip
    """What is found at one point of the disc, and whether it leaves the fragment lit."""
    last = np.float32(side - 1)
    x = np.floor(u + (px * c - py * s) * rx + _HALF)
    y = np.floor(v + (px * s + py * c) * ry + _HALF)
    x, y = min(max(x, _0), last), min(max(y, _0), last)
    found = shadow[start + np.int64(y) * side + np.int64(x)]
    return found, value + du * (x - u) + dv * (y - v) >= found


@device
def _tent(u: Any, v: Any, value: Any, du: Any, dv: Any, start: int, side: int, shadow: Any) -> Any:
    """Compare the 4 x 4 texels around a fragment, weighted as a tent over 3 x 3."""
    last = np.float32(side - 4)
    x, y = min(max(np.floor(u) - _1, _0), last), min(max(np.floor(v) - _1, _0), last)
    fa, fb = u - np.floor(u), v - np.floor(v)
    first = value + du * (x - u) + dv * (y - v)
    at = start + np.int64(y) * side + np.int64(x)
    three = np.float32(3.0)
    lit = _0
    for k in range(4):
        plane = first + np.float32(k) * dv
        total = _1 - fa if plane >= shadow[at] else _0
        total += _1 if plane + du >= shadow[at + 1] else _0
        total += _1 if plane + du + du >= shadow[at + 2] else _0
        total += fa if plane + three * du >= shadow[at + 3] else _0
        weight = _1 - fb if k == 0 else (fb if k == 3 else _1)
        lit += total * weight * np.float32(1 / 9)
        at += side
    return lit if lit < np.float32(0.999) else _1


@device
def faces_light(light: Any, nx: Any, ny: Any, nz: Any, f: Any) -> Any:
    """Whether the smooth surface with normal (nx, ny, nz) at the fragment ``f`` faces a part of a light."""
    near = _0 if light[KIND] == DIRECTIONAL else _1
    size, facing = _0, _0
    for k in range(3):
        size += abs(light[HALF_X + k]) + abs(light[HALF_Y + k])
        n = nx if k == 0 else (ny if k == 1 else nz)
        facing += n * ((light[POSITION + k] if near > _0 else -light[TRAVEL + k]) - near * f[X + k])
    return facing + size > _0


@device
def light_seen(light: Any, start: int, tile_start: int, shadow: Any, coarse: Any, discs: Any, f: Any) -> Any:
    """Share of a light, from 0 to 1, that the fragment ``f``, which faces it, sees; 1 outside the map.

    ``light`` is the row of the map, whose texels begin at ``start``; ``tile_start`` counts the tiles before it.
    """
    x, y, z = f[X], f[Y], f[Z]
    lx = light[0] * x + light[1] * y + light[2] * z + light[3]
    ly = light[4] * x + light[5] * y + light[6] * z + light[7]
    lz = light[8] * x + light[9] * y + light[10] * z + light[11]
    sx, sy, ox, oy = light[SCALE_X], light[SCALE_Y], light[SHIFT_X], light[SHIFT_Y]
    smaller, larger = min(sx, sy), max(sx, sy)
    perspective = light[PERSPECTIVE] > _0
    side = int(light[SIDE])
    tiles = side // TILE
    tile = np.float32(1 / TILE)
    last = np.float32(tiles - 1)
    inverse = _1 / max(lz, np.float32(1e-3))
    scale = inverse if perspective else _1
    depth = inverse if perspective else -lz
    u, v = lx * scale * sx + ox, ly * scale * sy + oy
    tu, tv = u * tile, v * tile
    inside = min(min(tu, tv), min(last + _1 - tu, last + _1 - tv))
    if perspective:
        inside = min(inside, lz - np.float32(1e-3))
    if not (inside > _0):
        return _1
    # The bias is a part of a texel's depth.
    metre = inverse * inverse if perspective else _1
    texel = (lz if perspective else _1) / smaller
    bias = (texel * _HALF + np.float32(2e-4)) * metre
    height = depth - light[SLOPE_X] * u - light[SLOPE_Y] * v + bias
    size = tiles * tiles
    at = COARSE * tile_start + np.int64(min(max(tu, _0), last)) + np.int64(min(max(tv, _0), last)) * tiles
    cone = light[CONE]
    nearest = coarse[at]
    if height >= nearest:
        return _1
    # The lamp seen past the nearest blocker there may be bounds the penumbra; a narrow one need not look far.
    if cone * (nearest - height) <= _FAR:
        nearest, dark = coarse[at + size], coarse[at + 2 * size]
        if cone * (nearest - height) <= _NEAR:
            nearest, dark = coarse[at + 3 * size], coarse[at + 4 * size]
        if height >= nearest:
            return _1
        if height < dark:
            return _0
    wide = cone * (nearest - height)
    nx, ny, nz = f[FNX], f[FNY], f[FNZ]
    mx = light[0] * nx + light[1] * ny + light[2] * nz
    my = light[4] * nx + light[5] * ny + light[6] * nz
    mz = light[8] * nx + light[9] * ny + light[10] * nz
    # The plane of the triangle over the map, its steepness bounded.
    d = mx * lx + my * ly + mz * lz if perspective else mz
    tiny = np.float32(1e-5)
    d = min(d, -tiny) if d < _0 else max(d, tiny)
    bound = np.float32(12.0) * texel * metre
    du = min(max(mx / (d * sx), -bound), bound)
    dv = min(max(my / (d * sy), -bound), bound)
    value = depth + bias
    if wide <= _SHARP:
        return _tent(u, v, value, du, dv, start, side, shadow)
    widest = np.float32(WIDEST)
    rx, ry = max(min(wide * (sx / larger), widest), _LEAST), max(min(wide * (sy / larger), widest), _LEAST)
    turn = 2 * (SEARCH_TAPS + FILTER_TAPS + np.int64(f[NOISE] * np.float32(_ROTATIONS)) % _ROTATIONS)
    c, s = discs[turn], discs[turn + 1]
    lit, blocked = _0, _0
    for k in range(SEARCH_TAPS):
        found, clear = _tap(
            discs[2 * k], discs[2 * k + 1], c, s, u, v, rx, ry, value, du, dv, start, side, shadow
        )  # fmt: skip
        lit += np.float32(1 / SEARCH_TAPS) if clear else _0
        blocked += _0 if clear else found * np.float32(1 / SEARCH_TAPS)
    # The blockers found give the width of the penumbra.
    if lit >= np.float32(0.999):
        return _1
    wide = light[SPREAD] * larger * max(blocked / (_1 - lit) - depth, _0)
    if wide <= _SHARP:
        return _tent(u, v, value, du, dv, start, side, shadow)
    rx, ry = min(wide * (sx / larger), widest), min(wide * (sy / larger), widest)
    lit = _0
    for k in range(SEARCH_TAPS, SEARCH_TAPS + FILTER_TAPS):
        found, clear = _tap(
            discs[2 * k], discs[2 * k + 1], c, s, u, v, rx, ry, value, du, dv, start, side, shadow
        )  # fmt: skip
        lit += np.float32(1 / FILTER_TAPS) if clear else _0
    return lit

"""Shadow maps: drawn from the light, filtered by the width of the penumbra.

A map stores at each texel a value that grows towards the light: minus the distance along the light for directional
lights (orthographic), the inverse of the distance for the others (perspective), which is linear over the map. The
filter compares each texel with the plane of the receiving triangle at that texel, so that surfaces in slanting light
do not shadow themselves and no large bias has to lift shadows off their objects. Penumbrae widen with the distance to
the blocker (Fernando 2005).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simgen.render.raster.jit import fast, ix
from simgen.render.raster.layout import CULL, FACES, FACES_IN_POOL, FIRST_IN_POOL, VERTEX, VERTICES
from simgen.render.raster.simd import TEXELS, raise_texels

# A shadow map in the table, float32.
MATRIX = 0  # camera to light, 3x4: x and y across, z along the light
SCALE_X = 12  # texels per metre, or per unit of x / z
SCALE_Y = 13
SHIFT_X = 14
SHIFT_Y = 15
START = 16  # in the pool of maps
SIDE = 17
SPREAD = 18  # penumbra: tangent of the angular radius, or the radius of the lamp in metres
PERSPECTIVE = 19
REACH = 20  # tiles
SLOPE_X = 21  # of the value of the ground, per texel
SLOPE_Y = 22
CONE = 23  # texels of penumbra per value that a blocker is above the ground through a fragment
MAP_REALS = 24

TILE = 4
"""Texels along the side of a tile of the coarse maps."""
COARSE = 5
"""Coarse maps of a shadow map, one after the other: the greatest value within REACH tiles, the greatest and the least
within two tiles, the greatest and the least within one. Their values are those above the plane of the ground."""
WIDEST = 20.0
"""Texels; penumbrae are not filtered wider."""
_FARTHEST = np.float32(-3.0e38)
_0 = np.float32(0.0)
_1 = np.float32(1.0)


@fast
def _draw_triangle(
    shadow: Any, start: int, side: int, x0: Any, y0: Any, v0: Any, x1: Any, y1: Any, v1: Any, x2: Any, y2: Any, v2: Any
) -> None:
    area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
    if not (abs(area) > np.float32(1e-9)):
        return
    inverse = _1 / area
    a = ((v1 - v0) * (y2 - y0) - (v2 - v0) * (y1 - y0)) * inverse
    b = ((v2 - v0) * (x1 - x0) - (v1 - v0) * (x2 - x0)) * inverse
    # A triangle seen edge-on has no meaningful slope: use its farthest corner.
    low = min(v0, v1, v2)
    steep = abs(a) + abs(b) > np.float32(4.0) * (max(v0, v1, v2) - low)
    a, b = _0 if steep else a, _0 if steep else b
    v0 = low if steep else v0
    vx, vy = x0, y0
    # Corners from the least y to the greatest, without branches, which would be taken at random.
    swap = y1 < y0
    x0, x1 = x1 if swap else x0, x0 if swap else x1
    y0, y1 = y1 if swap else y0, y0 if swap else y1
    swap = y2 < y0
    x0, x2 = x2 if swap else x0, x0 if swap else x2
    y0, y2 = y2 if swap else y0, y0 if swap else y2
    swap = y2 < y1
    x1, x2 = x2 if swap else x1, x1 if swap else x2
    y1, y2 = y2 if swap else y1, y1 if swap else y2
    limit = np.float32(side)
    top = np.int64(np.ceil(max(y0, _0)))
    bottom = np.int64(np.ceil(min(y2, limit)))
    long_slope = (x2 - x0) / (y2 - y0)
    upper = (x1 - x0) / (y1 - y0) if y1 > y0 else _0
    lower = (x2 - x1) / (y2 - y1) if y2 > y1 else _0
    for row in range(top, bottom):
        y = np.float32(row)
        one = x0 + (y - y0) * long_slope
        other = x0 + (y - y0) * upper if y < y1 else x1 + (y - y1) * lower
        begin = np.int64(np.ceil(max(min(one, other), _0)))
        count = np.int64(np.ceil(min(max(one, other), limit))) - begin
        if count > 0:
            value = v0 + a * (np.float32(begin) - vx) + b * (y - vy)
            at = start + row * side + begin
            raise_texels(shadow, at, count, a, value)
            # Most spans are short.
            for further in range(TEXELS, count, TEXELS):
                raise_texels(shadow, at + further, count - further, a, value + a * np.float32(further))


@fast
def _widen(tiles: int, sign: Any, start: int, first: Any, second: Any) -> None:
    """Replace each value of a coarse map by the greatest (``sign`` 1) or least (-1) of its 3 x 3 neighbourhood.

    The map is square and starts at ``start`` of ``first``; ``second`` is working memory.
    """
    last = tiles - 1
    for y in range(tiles):
        at = start + y * tiles
        for x in range(1, last):
            left, here, right = first[ix(at + x - 1)], first[ix(at + x)], first[ix(at + x + 1)]
            second[ix(y * tiles + x)] = sign * max(max(sign * left, sign * here), sign * right)
        second[ix(y * tiles)] = sign * max(sign * first[ix(at)], sign * first[ix(at + 1)])
        second[ix(y * tiles + last)] = sign * max(sign * first[ix(at + last)], sign * first[ix(at + last - 1)])
    for y in range(tiles):
        above, below = max(y - 1, 0) * tiles, min(y + 1, last) * tiles
        for x in range(tiles):
            first[ix(start + y * tiles + x)] = sign * max(
                max(sign * second[ix(above + x)], sign * second[ix(y * tiles + x)]), sign * second[ix(below + x)]
            )


@fast
def _summarize(start: int, side: int, reach: int, slope_x: Any, slope_y: Any, shadow: Any, coarse: Any) -> None:
    """Fill the coarse maps of the shadow map that starts at ``start``."""
    tiles = side // TILE
    size = tiles * tiles
    base = COARSE * (start // (TILE * TILE))
    greatest = np.empty(side, np.float32)
    least = np.empty(side, np.float32)
    other = np.empty(size, np.float32)
    top, bottom = base + 3 * size, base + 4 * size
    for row in range(tiles):
        at = start + row * TILE * side
        for x in range(side):
            ground = slope_x * np.float32(x) + slope_y * np.float32(row * TILE)
            p, q = shadow[ix(at + x)] - ground, shadow[ix(at + side + x)] - ground - slope_y
            r = shadow[ix(at + 2 * side + x)] - ground - np.float32(2.0) * slope_y
            s = shadow[ix(at + 3 * side + x)] - ground - np.float32(3.0) * slope_y
            greatest[ix(x)] = max(max(p, q), max(r, s))
            least[ix(x)] = min(min(p, q), min(r, s))
        for k in range(tiles):
            x = TILE * k
            coarse[ix(top + row * tiles + k)] = max(
                max(greatest[ix(x)], greatest[ix(x + 1)]), max(greatest[ix(x + 2)], greatest[ix(x + 3)])
            )
            coarse[ix(bottom + row * tiles + k)] = min(
                min(least[ix(x)], least[ix(x + 1)]), min(least[ix(x + 2)], least[ix(x + 3)])
            )
    _widen(tiles, _1, top, coarse, other)
    _widen(tiles, -_1, bottom, coarse, other)
    for i in range(size):
        coarse[ix(base + size + i)] = coarse[ix(top + i)]
        coarse[ix(base + 2 * size + i)] = coarse[ix(bottom + i)]
    _widen(tiles, _1, base + size, coarse, other)
    _widen(tiles, -_1, base + 2 * size, coarse, other)
    for i in range(size):
        coarse[ix(base + i)] = coarse[ix(base + size + i)]
    for _ in range(2, reach):
        _widen(tiles, _1, base, coarse, other)


@fast
def draw_map(
    row: Any, chosen: Any, matrices: Any, draws: Any, vertices: Any, faces: Any, flat: Any, shadow: Any, coarse: Any
) -> None:
    """Draw the drawables ``chosen`` (n,) into a map, and its coarse maps (see COARSE).

    ``matrices`` (n, 12), float32, are from their meshes before scale to the light. ``flat`` is working memory of three
    values per vertex of a drawable. Triangles that come behind the light are left out.
    """
    side = np.int64(row[SIDE])
    start = np.int64(row[START])
    reach = np.int64(row[REACH])
    for i in range(side * side):
        shadow[ix(start + i)] = _FARTHEST
    perspective = row[PERSPECTIVE] > _0
    limit = np.float32(side)
    sx, sy, ox, oy = row[SCALE_X], row[SCALE_Y], row[SHIFT_X], row[SHIFT_Y]
    for c in range(len(chosen)):
        m = chosen[c]
        m00, m01, m02, m03 = matrices[c, 0], matrices[c, 1], matrices[c, 2], matrices[c, 3]
        m10, m11, m12, m13 = matrices[c, 4], matrices[c, 5], matrices[c, 6], matrices[c, 7]
        m20, m21, m22, m23 = matrices[c, 8], matrices[c, 9], matrices[c, 10], matrices[c, 11]
        source = np.int64(draws[m, FIRST_IN_POOL]) * VERTEX
        for v in range(draws[m, VERTICES]):
            X, Y, Z = vertices[source], vertices[source + 1], vertices[source + 2]
            source += VERTEX
            x = m00 * X + m01 * Y + m02 * Z + m03
            y = m10 * X + m11 * Y + m12 * Z + m13
            z = m20 * X + m21 * Y + m22 * Z + m23
            if perspective:
                value = _1 / z
                x, y = x * value, y * value
                if not (z > np.float32(1e-3)):
                    value = np.float32(np.nan)
            else:
                value = -z
            flat[3 * v] = x * sx + ox
            flat[3 * v + 1] = y * sy + oy
            flat[3 * v + 2] = value
        back = np.float32(draws[m, CULL])
        face = 3 * np.int64(draws[m, FACES_IN_POOL])
        for _ in range(draws[m, FACES]):
            i, j, k = 3 * faces[face], 3 * faces[face + 1], 3 * faces[face + 2]
            face += 3
            x0, y0, x1, y1, x2, y2 = flat[i], flat[i + 1], flat[j], flat[j + 1], flat[k], flat[k + 1]
            ymin, ymax = min(y0, y1, y2), max(y0, y1, y2)
            if not (np.ceil(max(ymin, _0)) < np.ceil(min(ymax, limit))):
                continue
            xmin, xmax = min(x0, x1, x2), max(x0, x1, x2)
            if not (np.ceil(max(xmin, _0)) < np.ceil(min(xmax, limit))):
                continue
            if back != _0 and ((x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)) * back > _0:
                continue
            v0, v1, v2 = flat[i + 2], flat[j + 2], flat[k + 2]
            if not (abs(v0) + abs(v1) + abs(v2) < np.float32(1e30)):
                continue
            _draw_triangle(shadow, start, side, x0, y0, v0, x1, y1, v1, x2, y2, v2)
    _summarize(start, side, reach, row[SLOPE_X], row[SLOPE_Y], shadow, coarse)

"""Shadow maps: fitted to what is seen, drawn from the light, filtered by the width of the penumbra.

A map stores at each texel a value that grows towards the light: minus the distance along the light for directional
lights (orthographic), the inverse of the distance for the others (perspective), which is linear over the map. The
filter compares each texel with the plane of the receiving triangle at that texel, so that surfaces in slanting light
do not shadow themselves and no large bias has to lift shadows off their objects. Penumbrae widen with the distance to
the blocker (Fernando 2005).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.render.raster.jit import fast, ix
from simgen.render.raster.layout import CAM_MESH, CULL, FACES, FACES_IN_POOL, FIRST_VERTEX, PLACED, VERTICES
from simgen.render.raster.lights import COLOR, DIRECTIONAL, KIND, OUTER, POSITION, SHADOW, SIZE, SPOT, TRAVEL, cross
from simgen.render.raster.scene import Tables

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
MAP_REALS = 21

TILE = 4
"""Texels along the side of a tile of the coarse maps."""
COARSE = 5
"""Coarse maps of a shadow map, one after the other: the greatest value within REACH tiles, the greatest and the least
within two tiles, the greatest and the least within one."""
MOST_MAPS = 4
WIDEST = 20.0
"""Texels; penumbrae are not filtered wider."""

_BORDER = 8  # texels left free around what is seen, for the filter
_FARTHEST = np.float32(-3.0e38)
_0 = np.float32(0.0)
_1 = np.float32(1.0)


@dataclass(eq=False)
class Caster:
    """A drawable's bounds in the camera frame.

    ``corners`` (8, 3) of its box, ``extremes`` (n, 3) some of its outermost vertices, and the normal of a flat one.
    """

    index: int
    corners: NDArray[np.float64]
    extremes: NDArray[np.float64]
    normal: NDArray[np.float64] | None


def find_casters(tables: Tables) -> list[Caster]:
    """The drawables of a scene as casters of shadows."""
    out = []
    pick = np.array([[(k >> a) & 1 for a in range(3)] for k in range(8)])
    matrices = tables.matrices[:, CAM_MESH : CAM_MESH + 12].reshape(-1, 3, 4)
    turned, moved = matrices[:, :, :3].transpose(0, 2, 1), matrices[:, None, :, 3]
    corners = tables.bounds[:, pick, np.arange(3)] @ turned + moved
    extremes = tables.extremes @ turned + moved
    extents = tables.bounds[:, 1] - tables.bounds[:, 0]
    thin = extents.min(1) <= 1e-4 * extents.max(1)
    for m in np.flatnonzero(tables.draws[:, FACES] > 0):
        normal = None
        if thin[m]:
            across = [matrices[m, :, a] for a in range(3) if a != int(np.argmin(extents[m]))]
            normal = cross(across[0], across[1])
            length = np.linalg.norm(normal)
            normal = normal / length if length > 0 else None
        out.append(Caster(int(m), corners[m], extremes[m], normal))
    return out


def choose_lights(lights: NDArray[np.float32], centre: NDArray[np.float64]) -> list[int]:
    """The lights that get a shadow map, strongest at ``centre`` first; those that add little get none."""
    strength = np.zeros(len(lights))
    for k, light in enumerate(lights.astype(np.float64)):
        power = float(light[COLOR : COLOR + 3].sum())
        if light[KIND] != DIRECTIONAL:
            offset = light[POSITION : POSITION + 3] - centre
            power /= max(float(offset @ offset), 0.01)
            if light[KIND] > SPOT:
                power *= np.pi * light[SIZE] ** 2
        strength[k] = power
    total = strength.sum()
    order = sorted(range(len(lights)), key=lambda k: -strength[k])
    return [k for k in order if lights[k, SHADOW] >= 0 and strength[k] > 0.02 * total][:MOST_MAPS]


def select_casters(
    casters: list[Caster], position: NDArray[np.float64] | None, travel: NDArray[np.float64]
) -> list[Caster]:
    """The drawables that can shadow another one: all but flat ones with the light and everything else on one side.

    How far others reach is taken from their vertices: corners of a tilted box stick out of the ground that what it
    holds stands on.
    """
    out = []
    for caster in casters:
        if caster.normal is not None:
            point = caster.corners.mean(0)
            light = -travel @ caster.normal if position is None else (position - point) @ caster.normal
            side = 1.0 if light > 0 else -1.0
            others = [c.extremes for c in casters if c is not caster]
            if not others:
                continue
            heights = (np.concatenate(others) - point) @ caster.normal * side
            if heights.min() > -0.02 * max(heights.max(), 0.05):
                continue
        out.append(caster)
    return out


def fit(
    light: NDArray[np.float32], casters: list[Caster], receivers: NDArray[np.float64], side: int
) -> tuple[NDArray[np.float32], NDArray[np.int32]] | None:
    """The row of the map table for a light and the drawables to draw into it; None when there is no shadow to see.

    ``side`` is the number of texels along the map, fewer where a light is so soft that they would not show.
    ``receivers`` (n, 3) are points of what the camera sees, camera frame. The map covers what is both seen and behind
    a caster, as seen from the light.
    """
    source = light.astype(np.float64)
    directional = source[KIND] == DIRECTIONAL
    travel, position = source[TRAVEL : TRAVEL + 3], source[POSITION : POSITION + 3]
    chosen = select_casters(casters, None if directional else position, travel)
    if not chosen or not len(receivers):
        return None
    corners = np.stack([c.corners for c in chosen])
    forward = travel
    if not directional and source[KIND] != SPOT:
        forward = corners.reshape(-1, 3).mean(0) - position
        if not np.linalg.norm(forward) > 1e-9:
            forward = travel
    forward = forward / np.linalg.norm(forward)
    helper = np.eye(3)[int(np.argmin(np.abs(forward)))]
    right = cross(helper, forward)
    right /= np.linalg.norm(right)
    R = np.stack([right, cross(forward, right), forward])
    t = -R @ position if not directional else np.zeros(3)
    boxes = corners @ R.T + t
    points = receivers @ R.T + t
    if directional:
        low, high = boxes[..., :2].min((0, 1)), boxes[..., :2].max((0, 1))
        seen = points[:, :2]
    else:
        widest = 2.5 if source[KIND] != SPOT else min(np.sqrt(max(1 / max(source[OUTER], 0.05) ** 2 - 1, 1e-4)), 6.0)
        z = np.maximum(boxes[..., 2:], 1e-3)
        flat = np.minimum(np.maximum(boxes[..., :2] / z, -widest), widest)
        low, high = flat.min((0, 1)), flat.max((0, 1))
        ahead = points[:, 2] > 1e-3
        if not ahead.any():
            return None
        seen = np.minimum(np.maximum(points[ahead, :2] / points[ahead, 2:], -widest), widest)
    seen_low, seen_high = seen.min(0), seen.max(0)
    margin = 0.02 * (seen_high - seen_low) + 1e-4
    low, high = np.maximum(low, seen_low - margin), np.minimum(high, seen_high + margin)
    if not (high > low).all():
        return None
    # The widest penumbra there can be, per unit of the map.
    spread = np.tan(min(source[SIZE], 1.0) / 2) if directional else source[SIZE]
    nearest, farthest = float(boxes[..., 2].min()), float(points[:, 2].max())
    widest = spread * max(farthest - nearest, 0.0)
    if not directional:
        nearest = max(nearest, 0.05 * farthest, 1e-3)
        widest = spread * max(farthest - nearest, 0.0) / (nearest * max(farthest, 1e-3))
    # A soft light needs no fine map, and a coarse one lets the filter reach as far as its penumbra. The widest penumbra
    # is that of a caster near the lamp on a receiver far behind; things must still touch their own shadow.
    texels = widest * (side - _BORDER) / float((high - low).min())
    if texels > WIDEST:
        side = max(int(side * WIDEST / texels), side // 2)
        side = max(-(-side // TILE), 8) * TILE
    scale = (side - _BORDER) / (high - low)
    row = np.zeros(MAP_REALS)
    row[MATRIX : MATRIX + 12] = np.column_stack([R, t]).reshape(-1)
    row[SCALE_X], row[SCALE_Y] = scale
    row[SHIFT_X], row[SHIFT_Y] = 0.5 * _BORDER - 0.5 - low * scale
    row[SIDE] = side
    row[SPREAD] = spread
    row[PERSPECTIVE] = 0.0 if directional else 1.0
    row[REACH] = np.ceil((min(widest * scale.max(), WIDEST) + 2.0) / TILE)
    return row.astype(np.float32), np.array([c.index for c in chosen], np.int32)


@fast
def _draw_span(shadow: Any, start: int, count: int, a: Any, value: Any) -> None:
    for i in range(count):
        shadow[ix(start + i)] = max(shadow[ix(start + i)], a * np.float32(i) + value)


@fast
def _draw_triangle(
    shadow: Any, start: int, side: int, x0: Any, y0: Any, v0: Any, x1: Any, y1: Any, v1: Any, x2: Any, y2: Any, v2: Any
) -> None:
    area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
    if not (abs(area) > np.float32(1e-9)):
        return
    a = ((v1 - v0) * (y2 - y0) - (v2 - v0) * (y1 - y0)) / area
    b = ((v2 - v0) * (x1 - x0) - (v1 - v0) * (x2 - x0)) / area
    # A triangle seen edge-on has no meaningful slope: use its farthest corner.
    low = min(v0, v1, v2)
    span = max(v0, v1, v2) - low
    if abs(a) + abs(b) > np.float32(4.0) * span:
        a, b = _0, _0
        v0 = low
    if y1 < y0:
        x0, y0, v0, x1, y1 = x1, y1, v0 + a * (x1 - x0) + b * (y1 - y0), x0, y0
    if y2 < y0:
        x0, y0, v0, x2, y2 = x2, y2, v0 + a * (x2 - x0) + b * (y2 - y0), x0, y0
    if y2 < y1:
        x1, y1, x2, y2 = x2, y2, x1, y1
    limit = np.float32(side)
    top = np.int64(np.ceil(max(y0, _0)))
    bottom = np.int64(np.ceil(min(y2, limit)))
    long_slope = (x2 - x0) / (y2 - y0)
    upper = (x1 - x0) / (y1 - y0) if y1 > y0 else _0
    lower = (x2 - x1) / (y2 - y1) if y2 > y1 else _0
    for row in range(top, bottom):
        y = np.float32(row)
        left = x0 + (y - y0) * long_slope
        right = x0 + (y - y0) * upper if y < y1 else x1 + (y - y1) * lower
        if right < left:
            left, right = right, left
        begin = np.int64(np.ceil(max(left, _0)))
        count = np.int64(np.ceil(min(right, limit))) - begin
        if count > 0:
            value = v0 + a * (np.float32(begin) - x0) + b * (y - y0)
            _draw_span(shadow, start + row * side + begin, count, a, value)


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
def _summarize(start: int, side: int, reach: int, shadow: Any, coarse: Any) -> None:
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
            p, q = shadow[ix(at + x)], shadow[ix(at + side + x)]
            r, s = shadow[ix(at + 2 * side + x)], shadow[ix(at + 3 * side + x)]
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
def draw_map(row: Any, chosen: Any, draws: Any, placed: Any, faces: Any, flat: Any, shadow: Any, coarse: Any) -> None:
    """Draw the drawables ``chosen`` into a map, and its coarse maps (see COARSE).

    ``flat`` is working memory of three values per vertex. Triangles that come behind the light are left out.
    """
    side = np.int64(row[SIDE])
    start = np.int64(row[START])
    reach = np.int64(row[REACH])
    for i in range(side * side):
        shadow[ix(start + i)] = _FARTHEST
    perspective = row[PERSPECTIVE] > _0
    limit = np.float32(side)
    m00, m01, m02, m03 = row[0], row[1], row[2], row[3]
    m10, m11, m12, m13 = row[4], row[5], row[6], row[7]
    m20, m21, m22, m23 = row[8], row[9], row[10], row[11]
    sx, sy, ox, oy = row[SCALE_X], row[SCALE_Y], row[SHIFT_X], row[SHIFT_Y]
    for c in range(len(chosen)):
        m = chosen[c]
        source = np.int64(draws[m, FIRST_VERTEX]) * PLACED
        for v in range(draws[m, VERTICES]):
            X, Y, Z = np.float32(placed[source]), np.float32(placed[source + 1]), np.float32(placed[source + 2])
            source += PLACED
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
    _summarize(start, side, reach, shadow, coarse)

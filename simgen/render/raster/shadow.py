"""Shadow maps: drawn from the light, filtered by the width of the penumbra. Their table and coarse maps.

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
NOTHING = np.float32(-3.0e38)
"""What stands where nothing casts a shadow."""

_1 = np.float32(1.0)


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
def summarize(start: int, side: int, reach: int, slope_x: Any, slope_y: Any, shadow: Any, coarse: Any) -> None:
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

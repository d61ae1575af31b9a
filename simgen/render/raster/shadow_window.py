"""Windows of shadow maps: how a light sees what casts shadows, and which part of that a map covers.

All of it is in the world: a light's frame is fitted to the casters of a scene, a window in it either to all of them or
to the part of their shadows that a camera sees.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simgen.render.raster.jit import strict
from simgen.render.raster.lights import DIRECTIONAL, KIND, OUTER, POSITION, SIZE, SPOT, TRAVEL
from simgen.render.raster.shadow import (
    CONE,
    MATRIX,
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

# A light's frame, float64.
TO_LIGHT = 0  # world to light, 3x4: x and y across, z along the light
LOW_X = 12  # the window: where its casters lie, across; of lights with a place over z
LOW_Y = 13
HIGH_X = 14
HIGH_Y = 15
NEAREST = 16  # z of the nearest caster
FARTHEST = 17  # z of the farthest surface that may be in their shadow
WIDTH = 18  # penumbra: tangent of the angular radius, or the radius of the lamp in metres
PLACE = 19  # 1 for lights with a place, 0 for directional ones
TILT_X = 20  # how the values of a map change along the ground, per unit across
TILT_Y = 21
FRAME_REALS = 22

NO_MAP, OF_SCENE, OF_VIEW = range(3)
"""Which map of a light a view reads: none, as no shadow is seen; that of the scene; one fitted to the view."""

FINER = 1.4
"""The map of a scene will do for a view when one fitted to the view would be at most this many times finer."""
PIXELS = 0.75
"""It also will when its texels are no larger than this many pixels."""

_BORDER = 8  # texels left free around what is seen, for the filter
_TURNS = 16
_RAYS = 10
_LEAST_GROUND = 0.15  # share of the rays of a light that meet something
_STEEPEST = 0.5  # of the way from the middle of a lamp to where the plane of the ground cuts it off
_BEHIND = 1e-3


@strict
def aim(light: Any, corners: Any, frame: Any) -> None:
    """The frame of a light that sees the boxes with ``corners`` (n, 3), n > 0, without FARTHEST and tilt.

    It is turned about the light so that the diagonal of the rectangle around the boxes is short.
    """
    directional = light[KIND] == DIRECTIONAL
    middle = np.zeros(3)
    for i in range(len(corners)):
        for k in range(3):
            middle[k] += corners[i, k] / len(corners)
    ahead, origin = np.empty(3), np.empty(3)
    for k in range(3):
        origin[k] = middle[k] if directional else light[POSITION + k]
        ahead[k] = light[TRAVEL + k]
    if not directional and light[KIND] != SPOT:
        towards = middle - origin
        if towards[0] ** 2 + towards[1] ** 2 + towards[2] ** 2 > 1e-18:
            ahead = towards
    ahead /= np.sqrt(ahead[0] ** 2 + ahead[1] ** 2 + ahead[2] ** 2)
    least = 0
    for k in range(1, 3):
        least = k if abs(ahead[k]) < abs(ahead[least]) else least
    right = -ahead[least] * ahead
    right[least] += 1.0
    right /= np.sqrt(right[0] ** 2 + right[1] ** 2 + right[2] ** 2)
    up = np.array([
        ahead[1] * right[2] - ahead[2] * right[1],
        ahead[2] * right[0] - ahead[0] * right[2],
        ahead[0] * right[1] - ahead[1] * right[0],
    ])  # fmt: skip
    frame[PLACE] = 0.0 if directional else 1.0
    frame[WIDTH] = np.tan(min(light[SIZE], 1.0) / 2.0) if directional else light[SIZE]
    _set_axes(right, up, ahead, origin, frame)
    widest = 2.5
    if light[KIND] == SPOT:
        widest = min(np.sqrt(max(1.0 / max(light[OUTER], 0.05) ** 2 - 1.0, 1e-4)), 6.0)
    # Where corners lie across the light before it is turned, and how much nearer they seem by perspective.
    across = np.empty((len(corners), 3))
    for i in range(len(corners)):
        x, y, z = corners[i, 0], corners[i, 1], corners[i, 2]
        across[i, 0] = frame[0] * x + frame[1] * y + frame[2] * z + frame[3]
        across[i, 1] = frame[4] * x + frame[5] * y + frame[6] * z + frame[7]
        across[i, 2] = 1.0 / max(frame[8] * x + frame[9] * y + frame[10] * z + frame[11], _BEHIND)
    smallest = np.inf
    cosine, sine = 1.0, 0.0
    for turn in range(_TURNS):
        c, s = np.cos(turn * np.pi / 2 / _TURNS), np.sin(turn * np.pi / 2 / _TURNS)
        low_x, low_y, high_x, high_y = np.inf, np.inf, -np.inf, -np.inf
        for i in range(len(corners)):
            x, y = c * across[i, 0] + s * across[i, 1], c * across[i, 1] - s * across[i, 0]
            if not directional:
                x = min(max(x * across[i, 2], -widest), widest)
                y = min(max(y * across[i, 2], -widest), widest)
            low_x, high_x, low_y, high_y = min(low_x, x), max(high_x, x), min(low_y, y), max(high_y, y)
        size = (high_x - low_x) ** 2 + (high_y - low_y) ** 2
        if size < 0.999 * smallest:
            smallest, cosine, sine = size, c, s
            frame[LOW_X], frame[LOW_Y], frame[HIGH_X], frame[HIGH_Y] = low_x, low_y, high_x, high_y
    _set_axes(cosine * right + sine * up, cosine * up - sine * right, ahead, origin, frame)
    nearest = np.inf
    for i in range(len(corners)):
        p = corners[i]
        nearest = min(nearest, frame[8] * p[0] + frame[9] * p[1] + frame[10] * p[2] + frame[11])
    frame[NEAREST] = nearest
    frame[FARTHEST] = nearest
    frame[TILT_X] = 0.0
    frame[TILT_Y] = 0.0


@strict
def _set_axes(right: Any, up: Any, ahead: Any, origin: Any, frame: Any) -> None:
    for row, axis in enumerate((right, up, ahead)):
        frame[4 * row + 3] = 0.0
        for k in range(3):
            frame[4 * row + k] = axis[k]
            frame[4 * row + 3] -= axis[k] * origin[k]


@strict
def look_around(normals: Any, low: Any, high: Any, solid: Any, frame: Any) -> None:
    """Find how far away a light's casters can cast shadows, and the ground, by rays of the light to all boxes.

    ``normals`` (N, 3, 3) are those of the sides of boxes, which lie at ``low`` and ``high`` (N, 3); ``solid`` (N,) says
    whose sides are those of what is inside. The ground is the plane on which most rays end.
    """
    votes = np.zeros((len(low), 6))
    origin, ray = np.empty(3), np.empty(3)
    farthest = frame[NEAREST]
    hits = 0
    place = frame[PLACE] > 0.0
    for j in range(_RAYS * _RAYS):
        x = frame[LOW_X] + (j % _RAYS + 0.5) / _RAYS * (frame[HIGH_X] - frame[LOW_X])
        y = frame[LOW_Y] + (j // _RAYS + 0.5) / _RAYS * (frame[HIGH_Y] - frame[LOW_Y])
        for k in range(3):
            across = frame[k] * x + frame[4 + k] * y
            back = frame[k] * frame[3] + frame[4 + k] * frame[7] + frame[8 + k] * frame[11]
            origin[k] = -back if place else across - back
            ray[k] = across + frame[8 + k] if place else frame[8 + k]
        first, box, side = np.inf, -1, 0
        for n in range(len(low)):
            enter, leave, by = -np.inf, np.inf, 0
            for a in range(3):
                along = normals[n, a, 0] * ray[0] + normals[n, a, 1] * ray[1] + normals[n, a, 2] * ray[2]
                at = normals[n, a, 0] * origin[0] + normals[n, a, 1] * origin[1] + normals[n, a, 2] * origin[2]
                if abs(along) < 1e-12:
                    if at < low[n, a] or at > high[n, a]:
                        leave = -np.inf
                    continue
                one, other = (low[n, a] - at) / along, (high[n, a] - at) / along
                if min(one, other) > enter:
                    enter, by = min(one, other), 2 * a + (1 if other < one else 0)
                leave = min(leave, max(one, other))
            if not (enter <= leave) or (place and leave < _BEHIND):
                continue
            inside = place and enter < _BEHIND
            farthest = max(farthest, enter if solid[n] and not inside else leave)
            if solid[n] and not inside and enter < first:
                first, box, side = enter, n, by
        if box >= 0:
            votes[box, side] += 1.0
            hits += 1
    frame[FARTHEST] = farthest
    # The widest penumbra sticks out of the boxes around what casts it.
    spread = min(_widest(frame, farthest), 0.02 * max(frame[HIGH_X] - frame[LOW_X], frame[HIGH_Y] - frame[LOW_Y]))
    frame[LOW_X] -= spread
    frame[LOW_Y] -= spread
    frame[HIGH_X] += spread
    frame[HIGH_Y] += spread
    best = 0
    for v in range(6 * len(low)):
        best = v if votes[v // 6, v % 6] > votes[best // 6, best % 6] else best
    if hits == 0 or votes[best // 6, best % 6] < _LEAST_GROUND * _RAYS * _RAYS:
        return
    box, a = best // 6, best % 6 // 2
    offset = high[box, a] if best % 2 else low[box, a]
    across = np.zeros(3)
    for r in range(3):
        for k in range(3):
            across[r] += frame[4 * r + k] * normals[box, a, k]
    # The plane's distance from the lamp, or what it loses per metre along the light.
    distance = across[2]
    if place:
        distance = offset + across[0] * frame[3] + across[1] * frame[7] + across[2] * frame[11]
    if abs(distance) > 1e-6:
        frame[TILT_X] = across[0] / distance
        frame[TILT_Y] = across[1] / distance


@strict
def _widest(frame: Any, farthest: float) -> float:
    """Half the width of the widest penumbra, per unit across, on surfaces up to ``farthest``."""
    nearest = frame[NEAREST]
    if frame[PLACE] == 0.0:
        return frame[WIDTH] * max(farthest - nearest, 0.0)
    nearest = max(nearest, 0.05 * farthest, _BEHIND)
    return frame[WIDTH] * max(farthest - nearest, 0.0) / (nearest * max(farthest, _BEHIND))


@strict
def fit_window(frame: Any, side: int, row: Any) -> None:
    """Fill a row of the map table, but for its matrix and start: about ``side`` texels cover the window of ``frame``.

    They are fewer where a light is so soft on surfaces up to FARTHEST that they would not show.
    """
    low_x, low_y = frame[LOW_X], frame[LOW_Y]
    width, height = frame[HIGH_X] - low_x, frame[HIGH_Y] - low_y
    widest = _widest(frame, frame[FARTHEST])
    # A soft light needs no fine map, and a coarse one lets the filter reach as far as its penumbra. The widest penumbra
    # is that of a caster near the lamp on a receiver far behind; things must still touch their own shadow.
    texels = widest * (side - _BORDER) / min(width, height)
    if texels > WIDEST:
        side = max(int(side * WIDEST / texels), side // 2)
    # Rows that are a power of two apart would crowd the same sets of the cache.
    side = side // 32 * 32 + 16
    scale_x, scale_y = (side - _BORDER) / width, (side - _BORDER) / height
    scale = max(scale_x, scale_y)
    row[SCALE_X], row[SCALE_Y] = scale_x, scale_y
    row[SHIFT_X] = 0.5 * _BORDER - 0.5 - low_x * scale_x
    row[SHIFT_Y] = 0.5 * _BORDER - 0.5 - low_y * scale_y
    row[SIDE] = side
    row[SPREAD] = frame[WIDTH]
    row[PERSPECTIVE] = frame[PLACE]
    row[REACH] = np.ceil((min(widest * scale, WIDEST) + 2.0) / TILE)
    slope_x, slope_y = frame[TILT_X] / scale_x, frame[TILT_Y] / scale_y
    reach = frame[WIDTH] * scale
    steep = reach * np.sqrt(slope_x * slope_x + slope_y * slope_y)
    if steep > _STEEPEST:
        slope_x, slope_y, steep = 0.0, 0.0, 0.0
    row[SLOPE_X], row[SLOPE_Y] = slope_x, slope_y
    row[CONE] = reach / (1.0 - steep)


@strict
def _turn(frame: Any, receivers: Any, low: Any, high: Any, out: Any) -> int:
    """Turn a light's frame so that the window around what is seen of its casters' shadows is small: that is ``out``.

    Also sets FARTHEST to the farthest of the ``receivers`` (n, 3) and returns how many are ahead of the light. ``low``
    and ``high`` (2, _TURNS) are working memory.
    """
    place = frame[PLACE] > 0.0
    cosines, sines = np.empty(_TURNS), np.empty(_TURNS)
    for a in range(_TURNS):
        cosines[a], sines[a] = np.cos(a * np.pi / 2 / _TURNS), np.sin(a * np.pi / 2 / _TURNS)
    low[:], high[:] = np.inf, -np.inf
    farthest = -np.inf
    ahead = 0
    for i in range(len(receivers)):
        X, Y, Z = receivers[i, 0], receivers[i, 1], receivers[i, 2]
        x = frame[0] * X + frame[1] * Y + frame[2] * Z + frame[3]
        y = frame[4] * X + frame[5] * Y + frame[6] * Z + frame[7]
        z = frame[8] * X + frame[9] * Y + frame[10] * Z + frame[11]
        if place and z <= _BEHIND:
            continue
        inverse = 1.0 / z if place else 1.0
        x, y = x * inverse, y * inverse
        for a in range(_TURNS):
            across, down = cosines[a] * x + sines[a] * y, cosines[a] * y - sines[a] * x
            low[0, a], high[0, a] = min(low[0, a], across), max(high[0, a], across)
            low[1, a], high[1, a] = min(low[1, a], down), max(high[1, a], down)
        farthest = max(farthest, z)
        ahead += 1
    smallest, best = np.inf, 0
    for a in range(_TURNS):
        c, s = cosines[a], sines[a]
        for axis in range(2):
            # The rectangle around the casters, turned.
            p, q = (c, s) if axis == 0 else (-s, c)
            one, other = min(p * frame[LOW_X], p * frame[HIGH_X]), max(p * frame[LOW_X], p * frame[HIGH_X])
            one, other = (
                one + min(q * frame[LOW_Y], q * frame[HIGH_Y]), other + max(q * frame[LOW_Y], q * frame[HIGH_Y]),
            )  # fmt: skip
            margin = 0.02 * (high[axis, a] - low[axis, a]) + 1e-4
            low[axis, a], high[axis, a] = max(low[axis, a] - margin, one), min(high[axis, a] + margin, other)
        size = max(high[0, a] - low[0, a], 0.0) ** 2 + max(high[1, a] - low[1, a], 0.0) ** 2
        if size < 0.999 * smallest:
            smallest, best = size, a
    c, s = cosines[best], sines[best]
    for k in range(FRAME_REALS):
        out[k] = frame[k]
    for k in range(4):
        out[k], out[4 + k] = c * frame[k] + s * frame[4 + k], c * frame[4 + k] - s * frame[k]
    out[TILT_X], out[TILT_Y] = c * frame[TILT_X] + s * frame[TILT_Y], c * frame[TILT_Y] - s * frame[TILT_X]
    out[LOW_X], out[HIGH_X] = low[0, best], high[0, best]
    out[LOW_Y], out[HIGH_Y] = low[1, best], high[1, best]
    out[FARTHEST] = farthest
    return ahead


@strict
def _diagonal(row: Any) -> float:
    """The square of the diagonal of a texel."""
    return 1.0 / row[SCALE_X] ** 2 + 1.0 / row[SCALE_Y] ** 2


@strict
def fit_views(
    receivers: Any, middle: Any, pixel: float, T_world_cam: Any, frames: Any, scene_rows: Any, chosen: Any, sides: Any,
    rows: Any, turned: Any, which: Any,
) -> None:  # fmt: skip
    """Choose for a view which map of each of the lights ``chosen`` (c,) it reads, and fill the rows of these maps.

    ``receivers`` (n, 3) are points of what it sees in the world, ``middle`` (3,) is among them and ``pixel`` the metres
    of a pixel there. ``frames`` (L, FRAME_REALS) and ``scene_rows`` (L, MAP_REALS; SIDE 0: none) are those of all
    lights, ``sides`` (c,) about the texels along a map fitted to the view. ``rows`` (c, MAP_REALS) takes rows from the
    camera to the light, without START, ``turned`` (c, FRAME_REALS) the frames of these maps, ``which`` (c,) NO_MAP,
    OF_SCENE or OF_VIEW.
    """
    own = np.zeros(rows.shape[1])
    low, high = np.empty((2, _TURNS)), np.empty((2, _TURNS))
    for j in range(len(chosen)):
        frame, scene, out = frames[chosen[j]], scene_rows[chosen[j]], turned[j]
        which[j] = NO_MAP
        ahead = _turn(frame, receivers, low, high, out)
        if ahead == 0 or not (out[HIGH_X] > out[LOW_X] and out[HIGH_Y] > out[LOW_Y]):
            continue
        fit_window(out, sides[j], own)
        which[j] = OF_VIEW
        if scene[SIDE] > 0.0:
            metre = 1.0
            if frame[PLACE] > 0.0:
                metre = frame[8] * middle[0] + frame[9] * middle[1] + frame[10] * middle[2] + frame[11]
            finer = np.sqrt(_diagonal(scene) / _diagonal(own))
            if finer <= FINER or metre <= PIXELS * pixel * min(scene[SCALE_X], scene[SCALE_Y]):
                which[j] = OF_SCENE
                for k in range(FRAME_REALS):
                    out[k] = frame[k]
        for k in range(rows.shape[1]):
            rows[j, k] = scene[k] if which[j] == OF_SCENE else own[k]
        for r in range(3):
            for k in range(4):
                value = out[4 * r + 3] if k == 3 else 0.0
                for a in range(3):
                    value += out[4 * r + a] * T_world_cam[a, k]
                rows[j, MATRIX + 4 * r + k] = value


@strict
def find_receivers(
    count: int, px: Any, py: Any, w: Any, fx: float, fy: float, cx: float, cy: float, skew: float, T_world_cam: Any,
    most: int,
) -> tuple[Any, Any, float]:  # fmt: skip
    """At most ``most`` (n, 3) of ``count`` surface points at pixels (``px``, ``py``) and 1 / z = ``w``, in the world.

    Also returns their middle (3,), nearer points counting more, and the metres of a pixel there.
    """
    step = max((count + most - 1) // most, 1)
    n = (count + step - 1) // step
    points, middle = np.empty((n, 3)), np.zeros(3)
    total = 0.0
    for i in range(n):
        near = np.float64(w[i * step])
        y = (np.float64(py[i * step]) - cy) / fy
        x = (np.float64(px[i * step]) - cx - skew * y) / fx
        total += near
        for k in range(3):
            ray = T_world_cam[k, 0] * x + T_world_cam[k, 1] * y + T_world_cam[k, 2]
            points[i, k] = ray / near + T_world_cam[k, 3]
            middle[k] += ray + near * T_world_cam[k, 3]
    pixel = 0.0
    if n > 0:
        middle /= total
        pixel = n / total / max(fx, fy)
    return points, middle, pixel

"""Fitting shadow maps: which drawables cast shadows, which lights get a map, and what a map covers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.render.raster.layout import CAM_MESH, FACES
from simgen.render.raster.lights import COLOR, DIRECTIONAL, KIND, OUTER, POSITION, SHADOW, SIZE, SPOT, TRAVEL, cross
from simgen.render.raster.scene import Tables
from simgen.render.raster.shadow import (
    CONE,
    MAP_REALS,
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

MOST_MAPS = 4

_BORDER = 8  # texels left free around what is seen, for the filter
_CORNERS = np.array([[(k >> a) & 1 for a in range(3)] for k in range(8)])
_LEAST_GROUND = 0.15  # share of what is seen
_STEEPEST = 0.5  # of the way from the middle of a lamp to where the plane of the ground cuts it off


@dataclass(eq=False)
class Boxes:
    """The boxes around the N drawables that have faces, in the camera frame.

    ``normals`` (N, 3, 3) are unit normals of their sides; a side pair lies at ``low`` and ``high`` (N, 3) along each.
    """

    index: NDArray[np.int64]
    corners: NDArray[np.float64]  # (N, 8, 3)
    normals: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


@dataclass(eq=False)
class Caster:
    """A drawable's bounds in the camera frame.

    ``corners`` (8, 3) are those of its box. Beyond each of the planes ``sides`` (n, 4: outward normal, offset) lie all
    other drawables, and none of its own faces sees another one from there.
    """

    index: int
    corners: NDArray[np.float64]
    sides: NDArray[np.float64]


def place_boxes(tables: Tables) -> Boxes:
    """The boxes around a scene's drawables."""
    index = np.flatnonzero(tables.draws[:, FACES] > 0)
    matrices = _mesh_to_camera(tables, index)
    corners = tables.bounds[index][:, _CORNERS, np.arange(3)] @ matrices[:, :, :3].transpose(0, 2, 1)
    corners += matrices[:, None, :, 3]
    x, y, z = matrices[:, :, 0], matrices[:, :, 1], matrices[:, :, 2]
    normals = np.stack([_cross(y, z), _cross(z, x), _cross(x, y)], 1)
    normals /= np.maximum(np.sqrt((normals * normals).sum(2, keepdims=True)), 1e-30)
    along = corners @ normals.transpose(0, 2, 1)
    return Boxes(index, corners, normals, along.min(1), along.max(1))


def _mesh_to_camera(tables: Tables, index: Any) -> NDArray[np.float64]:
    """Transforms (N, 3, 4) from mesh coordinates before scale to the camera."""
    return tables.matrices[index, CAM_MESH : CAM_MESH + 12].reshape(-1, 3, 4)


def _cross(a: Any, b: Any) -> Any:
    """Cross products of rows (N, 3)."""
    return a[:, [1, 2, 0]] * b[:, [2, 0, 1]] - a[:, [2, 0, 1]] * b[:, [1, 2, 0]]


def find_casters(tables: Tables, boxes: Boxes) -> list[Caster]:
    """The drawables of a scene as casters of shadows."""
    count = len(boxes.index)
    if not count:
        return []
    matrices = _mesh_to_camera(tables, boxes.index)
    # How far others reach is taken from their vertices: corners of a tilted box stick out of the ground that what it
    # holds stands on.
    points = tables.extremes[boxes.index] @ matrices[:, :, :3].transpose(0, 2, 1) + matrices[:, None, :, 3]
    along = points @ boxes.normals.reshape(-1, 3).T  # (N, directions, 3 N)
    least, most = along.min(1).reshape(count, count, 3), along.max(1).reshape(count, count, 3)
    own = np.arange(count)
    least[own, own], most[own, own] = np.inf, -np.inf
    least, most = least.min(0), most.max(0)
    above = least - boxes.high > -0.02 * np.maximum(most - boxes.high, 0.05)
    below = boxes.low - most > -0.02 * np.maximum(boxes.low - least, 0.05)
    # What bulges inwards can shadow itself. The sides of a flat drawable are those that face along its normal.
    extents = tables.bounds[boxes.index, 1] - tables.bounds[boxes.index, 0]
    thin = extents <= 1e-4 * extents.max(1, keepdims=True)
    plain = np.where(thin.any(1, keepdims=True), thin, tables.convex[boxes.index, None])
    up = np.concatenate([boxes.normals, boxes.high[..., None]], 2)
    down = np.concatenate([-boxes.normals, -boxes.low[..., None]], 2)
    return [
        Caster(int(m), boxes.corners[k], np.concatenate([up[k, above[k] & plain[k]], down[k, below[k] & plain[k]]]))
        for k, m in enumerate(boxes.index)
    ]


def find_ground(boxes: Boxes, receivers: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """The side of a box (normal, offset) on whose plane most ``receivers`` (n, 3) lie; None when that is not many."""
    points = receivers[:: max(len(receivers) // 256, 1)]
    if not len(points) or not len(boxes.index):
        return None
    near = 5e-4 * float(np.median(points[:, 2]))
    along = points @ boxes.normals.reshape(-1, 3).T
    counts = [(np.abs(along - sides.reshape(-1)) < near).sum(0) for sides in (boxes.low, boxes.high)]
    side = int(counts[1].max() > counts[0].max())
    k = int(np.argmax(counts[side]))
    if counts[side][k] < _LEAST_GROUND * len(points):
        return None
    return np.append(boxes.normals.reshape(-1, 3)[k], (boxes.low, boxes.high)[side].reshape(-1)[k])


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
    """The drawables that can shadow another one or themselves: all but those with the light where all others are too.

    ``position`` is None for directional lights.
    """

    def shines_on(sides: NDArray[np.float64]) -> bool:
        facing = -sides[:, :3] @ travel if position is None else sides[:, :3] @ position - sides[:, 3]
        return bool((facing > 0).any())

    return [caster for caster in casters if not shines_on(caster.sides)]


def fit(
    light: NDArray[np.float32], casters: list[Caster], receivers: NDArray[np.float64],
    ground: NDArray[np.float64] | None, side: int,
) -> tuple[NDArray[np.float32], NDArray[np.int32]] | None:  # fmt: skip
    """The row of the map table for a light and the drawables to draw into it; None when there is no shadow to see.

    ``side`` is about the number of texels along the map, fewer where a light is so soft that they would not show.
    ``receivers`` (n, 3) are points of what the camera sees, camera frame. The map covers what is both seen and behind
    a caster, as seen from the light. ``ground`` is the plane that most of what is seen lies on.
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
    # Rows that are a power of two apart would crowd the same sets of the cache.
    side = side // 32 * 32 + 16
    scale = (side - _BORDER) / (high - low)
    row = np.zeros(MAP_REALS)
    row[MATRIX : MATRIX + 12] = np.column_stack([R, t]).reshape(-1)
    row[SCALE_X], row[SCALE_Y] = scale
    row[SHIFT_X], row[SHIFT_Y] = 0.5 * _BORDER - 0.5 - low * scale
    row[SIDE] = side
    row[SPREAD] = spread
    row[PERSPECTIVE] = 0.0 if directional else 1.0
    row[REACH] = np.ceil((min(widest * scale.max(), WIDEST) + 2.0) / TILE)
    slopes = _slopes(ground, R, t, scale, bool(directional))
    reach = float(spread * scale.max())
    steep = reach * float(np.hypot(*slopes))
    if steep > _STEEPEST:
        slopes, steep = np.zeros(2), 0.0
    row[SLOPE_X], row[SLOPE_Y] = slopes
    row[CONE] = reach / (1 - steep)
    return row.astype(np.float32), np.array([c.index for c in chosen], np.int32)


def _slopes(ground: NDArray[np.float64] | None, R: Any, t: Any, scale: Any, directional: bool) -> NDArray[np.float64]:
    """How a map's values change from texel to texel along the plane of the ground; 0 where the light is not over it."""
    if ground is None:
        return np.zeros(2)
    normal = R @ ground[:3]
    distance = normal[2] if directional else ground[3] + normal @ t
    if not abs(distance) > 1e-6:
        return np.zeros(2)
    return np.asarray(normal[:2] / distance / scale)

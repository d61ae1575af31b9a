"""What casts shadows in a scene, which of its lights get a map, and what the maps of a scene and of a view cover.

Everything about a scene is in the world and depends on the scene alone, so that its views share it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.render.raster import layout
from simgen.render.raster.lights import COLOR, DIRECTIONAL, KIND, POSITION, SHADOW, SIZE, SPOT, TRAVEL
from simgen.render.raster.scene import Tables
from simgen.render.raster.shadow import MAP_REALS, SIDE, START
from simgen.render.raster.shadow_window import (
    FRAME_REALS,
    HIGH_X,
    HIGH_Y,
    LOW_X,
    LOW_Y,
    NO_MAP,
    OF_SCENE,
    OF_VIEW,
    aim,
    find_receivers,
    fit_views,
    fit_window,
    look_around,
)

MOST_MAPS = 4

_CORNERS = np.array([[(k >> a) & 1 for a in range(3)] for k in range(8)])
RECEIVERS = 1024
"""Surface points of a view, at most, that ``fit_view`` looks at: every n-th of those it is given."""


@dataclass(eq=False)
class Casters:
    """The N drawables that have faces, as casters of shadows, in the world.

    ``corners`` (N, 8, 3) are those of their boxes, ``normals`` (N, 3, 3) unit normals of the sides, which lie at
    ``low`` and ``high`` (N, 3) along each. ``solid`` (N,): convex or flat, so that the sides are nearly its own. Beyond
    those of the planes ``sides`` (N, 6, 4: outward normal, offset) that are ``lone`` (N, 6) lie all other drawables,
    and none of its own faces sees another one from there.
    """

    index: NDArray[np.int64]
    corners: NDArray[np.float64]
    normals: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    solid: NDArray[np.bool_]
    sides: NDArray[np.float64]
    lone: NDArray[np.bool_]


@dataclass(eq=False)
class SceneFit:
    """The shadow maps of a scene, per light (L).

    ``frames`` (L, FRAME_REALS) are those of ``shadow_window``, ``drawn`` the drawables that cast shadows, ``rows`` (L,
    MAP_REALS) of the map table without the matrix, SIDE 0 where the scene has no map. ``texels`` counts all maps.
    """

    frames: NDArray[np.float64]
    rows: NDArray[np.float64]
    drawn: list[NDArray[np.int64]]
    texels: int


@dataclass(eq=False)
class ViewFit:
    """The maps that a view reads: the light of each, whether it is that of the scene, its frame and row.

    ``frames`` (n, FRAME_REALS) are in the world, ``rows`` (n, MAP_REALS) from the camera. Maps of the view come one
    after the other: START counts from 0, ``texels`` in all.
    """

    lights: list[int]
    shared: list[bool]
    frames: NDArray[np.float64]
    rows: NDArray[np.float32]
    texels: int


def find_casters(tables: Tables) -> Casters:
    """The drawables of a scene as casters of shadows."""
    index = np.flatnonzero(tables.draws[:, layout.FACES] > 0)
    count = len(index)
    matrices, bounds = tables.world[index], tables.bounds[index]
    corners = bounds[:, _CORNERS, np.arange(3)] @ matrices[:, :, :3].transpose(0, 2, 1) + matrices[:, None, :, 3]
    x, y, z = matrices[:, :, 0], matrices[:, :, 1], matrices[:, :, 2]
    normals = np.stack([_cross(y, z), _cross(z, x), _cross(x, y)], 1)
    normals /= np.maximum(np.sqrt((normals * normals).sum(2, keepdims=True)), 1e-30)
    along = corners @ normals.transpose(0, 2, 1)
    low, high = along.min(1), along.max(1)
    # How far others reach is taken from their vertices: corners of a tilted box stick out of the ground that what it
    # holds stands on.
    points = tables.extremes[index] @ matrices[:, :, :3].transpose(0, 2, 1) + matrices[:, None, :, 3]
    along = points @ normals.reshape(-1, 3).T  # (N, directions, 3 N)
    least, most = along.min(1).reshape(count, count, 3), along.max(1).reshape(count, count, 3)
    own = np.arange(count)
    least[own, own], most[own, own] = np.inf, -np.inf
    least, most = least.min(0, initial=np.inf), most.max(0, initial=-np.inf)
    above = least - high > -0.02 * np.maximum(most - high, 0.05)
    below = low - most > -0.02 * np.maximum(low - least, 0.05)
    # What bulges inwards can shadow itself. The sides of a flat drawable are those that face along its normal.
    extents = bounds[:, 1] - bounds[:, 0]
    thin = extents <= 1e-4 * extents.max(1, keepdims=True)
    flat = thin.any(1)
    plain = np.where(flat[:, None], thin, tables.convex[index, None])
    up = np.concatenate([normals, high[..., None]], 2)
    down = np.concatenate([-normals, -low[..., None]], 2)
    return Casters(
        index, corners, normals, low, high, flat | tables.convex[index], np.concatenate([up, down], 1),
        np.concatenate([above & plain, below & plain], 1),
    )  # fmt: skip


def _cross(a: Any, b: Any) -> Any:
    """Cross products of rows (N, 3)."""
    return a[:, [1, 2, 0]] * b[:, [2, 0, 1]] - a[:, [2, 0, 1]] * b[:, [1, 2, 0]]


def select_casters(
    casters: Casters, position: NDArray[np.float64] | None, travel: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Which (N,) can shadow another one or themselves: all but those with the light where all others are too.

    ``position`` is None for directional lights.
    """
    normals, offsets = casters.sides[..., :3], casters.sides[..., 3]
    facing = -(normals @ travel) if position is None else normals @ position - offsets
    return np.logical_not(((facing > 0) & casters.lone).any(1))


def choose_lights(lights: NDArray[np.floating], middle: NDArray[np.float64]) -> list[int]:
    """The lights that get a shadow map, strongest at ``middle`` (3,) first; those that add little get none."""
    strength = lights[:, COLOR : COLOR + 3].sum(1, dtype=np.float64)
    offset = lights[:, POSITION : POSITION + 3] - middle
    falloff = 1 / np.maximum((offset * offset).sum(1), 0.01)
    falloff = np.where(lights[:, KIND] > SPOT, falloff * (np.pi * lights[:, SIZE] ** 2), falloff)
    strength = np.where(lights[:, KIND] == DIRECTIONAL, strength, strength * falloff)
    enough = 0.02 * strength.sum()
    order = np.argsort(-strength, kind="stable").tolist()
    return [k for k in order if lights[k, SHADOW] >= 0 and strength[k] > enough][:MOST_MAPS]


def fit_scene(tables: Tables, lights: NDArray[np.float64], shadow_size: int) -> SceneFit:
    """Fit the maps of a scene; ``lights`` (L, LIGHT_REALS) are in the world.

    ``shadow_size`` is about the number of texels along the map of the main light, those of others have half as many.
    """
    frames, rows = np.zeros((len(lights), FRAME_REALS)), np.zeros((len(lights), MAP_REALS))
    drawn = [np.zeros(0, np.int64)] * len(lights)
    fitted = SceneFit(frames, rows, drawn, 0)
    casters = find_casters(tables)
    if not shadow_size or not len(casters.index):
        return fitted
    for k in np.flatnonzero(lights[:, SHADOW] >= 0).tolist():
        light = lights[k]
        position = None if light[KIND] == DIRECTIONAL else light[POSITION : POSITION + 3]
        chosen = select_casters(casters, position, light[TRAVEL : TRAVEL + 3])
        if not chosen.any():
            continue
        drawn[k] = casters.index[chosen]
        aim(light, casters.corners[chosen].reshape(-1, 3), frames[k])
        look_around(casters.normals, casters.low, casters.high, casters.solid, frames[k])
    side = shadow_size
    for k in choose_lights(lights, casters.corners.mean((0, 1))):
        frame, row = frames[k], rows[k]
        if len(drawn[k]) and frame[HIGH_X] > frame[LOW_X] and frame[HIGH_Y] > frame[LOW_Y]:
            fit_window(frame, side, row)
            row[START] = fitted.texels
            fitted.texels += int(row[SIDE]) ** 2
            side = shadow_size // 2
    return fitted


def fit_view(
    scene: SceneFit, lights: NDArray[np.float64], receivers: tuple[int, Any, Any, Any], camera: NDArray[np.float64],
    T_world_cam: NDArray[np.float64], shadow_size: int,
) -> ViewFit:  # fmt: skip
    """The maps that a view of a scene reads; ``lights`` (L, LIGHT_REALS) are in the world.

    ``receivers`` are the number of surface points seen, their pixels x and y and 1 / z. The map of the scene is read
    where it is nearly as fine as one fitted to what is seen would be: that depends on the scene and this view alone.
    """
    T = np.ascontiguousarray(T_world_cam, np.float64)
    intrinsics = (camera[k] for k in (layout.FX, layout.FY, layout.CX, layout.CY, layout.SKEW))
    points, middle, pixel = find_receivers(*receivers, *intrinsics, T, RECEIVERS)
    chosen = choose_lights(lights, middle) if shadow_size else []
    casting = np.array([k for k in chosen if len(scene.drawn[k])], np.int64)
    sides = np.full(len(casting), shadow_size // 2)
    sides[: int(len(casting) > 0)] = shadow_size
    rows, which = np.zeros((len(casting), MAP_REALS), np.float32), np.zeros(len(casting), np.int64)
    frames = np.zeros((len(casting), FRAME_REALS))
    fit_views(points, middle, pixel, T, scene.frames, scene.rows, casting, sides, rows, frames, which)
    kept = np.flatnonzero(which != NO_MAP)
    texels = 0
    for j in kept[which[kept] == OF_VIEW].tolist():
        rows[j, START] = texels
        texels += int(rows[j, SIDE]) ** 2
    return ViewFit(casting[kept].tolist(), (which[kept] == OF_SCENE).tolist(), frames[kept], rows[kept], texels)


def caster_matrices(frame: NDArray[np.float64], world: NDArray[np.float64]) -> NDArray[np.float32]:
    """From meshes before scale, ``world`` (n, 3, 4) from them to the world, to a light: (n, 12)."""
    R, t = frame[:12].reshape(3, 4)[:, :3], frame[3:12:4]
    out = R @ world
    out[:, :, 3] += t
    return out.reshape(-1, 12).astype(np.float32)

"""Lights as the kernels read them: records and the key lights of the environment in one table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from simgen.errors import RenderError
from simgen.render.raster.environment import KeyLight
from simgen.scene.record import LightRecord

DIRECTIONAL, POINT, SPOT, AREA = range(4)
KIND = 0
TRAVEL = 1  # unit direction in which the light travels
POSITION = 4
COLOR = 7  # times intensity
SIZE = 10  # directional: angular diameter, radians; others: radius, metres
INNER = 11  # cosines of a spot's cone
OUTER = 12
HALF_X = 13  # half extents of a rectangle as vectors
HALF_Y = 16
SHADOW = 19  # row of the shadow table, -1: none
LIGHT_REALS = 20

_KINDS = {"directional": DIRECTIONAL, "point": POINT, "spot": SPOT, "area": AREA}


def pack_lights(
    lights: Sequence[LightRecord], keys: Sequence[KeyLight], key_to_world: NDArray[np.float64], key_intensity: float
) -> NDArray[np.float64]:
    """The table (n, LIGHT_REALS) of ``lights`` and then ``keys``, whose directions ``key_to_world`` (3, 3) turns.

    World frame. A rectangular light's width lies horizontally (along x when it shines straight up or down). Every light
    casts a shadow for now where its record says so; SHADOW is 0 or -1 until maps are assigned.
    """
    out = np.zeros((len(lights) + len(keys), LIGHT_REALS))
    for row, light in zip(out, lights, strict=False):
        direction = np.asarray(light.direction, np.float64)
        length = np.linalg.norm(direction)
        if light.kind not in _KINDS:
            raise RenderError(f"unknown kind of light {light.kind!r}; known are {', '.join(_KINDS)}")
        if light.kind != "point" and not length > 0:
            raise RenderError(f"a {light.kind} light needs a direction that is not zero, not {light.direction}")
        direction = direction / length if length > 0 else np.array([0.0, 0.0, -1.0])
        row[KIND] = _KINDS[light.kind]
        row[TRAVEL : TRAVEL + 3] = direction
        row[POSITION : POSITION + 3] = light.position
        row[COLOR : COLOR + 3] = np.asarray(light.color) * light.intensity
        row[SIZE] = light.size
        row[INNER], row[OUTER] = np.cos(light.inner_angle), np.cos(max(light.outer_angle, light.inner_angle))
        if light.kind == "area":
            across = np.cross([0.0, 0.0, 1.0], direction)
            across = across / np.linalg.norm(across) if np.linalg.norm(across) > 1e-6 else np.array([1.0, 0.0, 0.0])
            row[HALF_X : HALF_X + 3] = across * light.extent[0] / 2
            row[HALF_Y : HALF_Y + 3] = np.cross(direction, across) * light.extent[1] / 2
            # The radius of a disc of equal area, which is what the shadow sees.
            row[SIZE] = np.sqrt(light.extent[0] * light.extent[1] / np.pi)
        row[SHADOW] = 0.0 if light.shadow else -1.0
    for row, key in zip(out[len(lights) :], keys, strict=True):
        row[KIND] = DIRECTIONAL
        row[TRAVEL : TRAVEL + 3] = -(key_to_world @ key.towards)
        row[COLOR : COLOR + 3] = key.irradiance * key_intensity
        row[SIZE] = key.size
    return out


def turn_lights(table: NDArray[np.float64], T_world_cam: NDArray[np.float64]) -> NDArray[np.float32]:
    """A table of lights in the world, seen from a camera: a new table in its frame."""
    T = np.asarray(T_world_cam, np.float64)
    R = T[:3, :3]
    out = table.copy()
    for column in (TRAVEL, HALF_X, HALF_Y):
        out[:, column : column + 3] = table[:, column : column + 3] @ R
    out[:, POSITION : POSITION + 3] = (table[:, POSITION : POSITION + 3] - T[:3, 3]) @ R
    return out.astype(np.float32)

"""Lamps, environment, sky and background."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from simgen.randomize.appearance import Pools, textures
from simgen.randomize.blackbody import light_color
from simgen.randomize.draw import Draw
from simgen.scene.definition import (
    BackgroundDefinition,
    EnvironmentDefinition,
    Lights,
    SkyDefinition,
)
from simgen.scene.record import EnvironmentRecord, LightRecord, SkyRecord, Vec3

if TYPE_CHECKING:
    from simgen.assets.library import Library

_SUN_SIZE = 0.0093
"""Radians; the sun's apparent diameter."""


def lamps(definition: Lights, draw: Draw) -> list[LightRecord]:
    """The lamps of a scene."""
    n = draw.one("lighting", "count", definition.count)
    columns = {
        name: draw.many("lighting", name, getattr(definition, name), n)
        for name in ("kind", "direction", "distance", "intensity", "temperature", "size", "spot_deg")
    }
    return [_lamp(definition.target, **{name: column[k] for name, column in columns.items()}) for k in range(n)]


def _lamp(
    target: list[float],
    *,
    kind: str,
    direction: Vec3,
    distance: float,
    intensity: float,
    temperature: float,
    size: float,
    spot_deg: float,
) -> LightRecord:
    """A lamp that gives the irradiance ``intensity`` at ``target``, from any kind of source."""
    x, y, z = (t + distance * d for t, d in zip(target, direction, strict=True))
    travel = (-direction[0], -direction[1], -direction[2])
    color = light_color(temperature)
    if kind == "directional":
        return LightRecord("directional", color, intensity, travel, (x, y, z), size=2 * math.atan(size / distance))
    if kind == "area":
        side = max(2 * size, 1e-3)
        radiance = intensity * distance**2 / side**2
        return LightRecord("area", color, radiance, travel, (x, y, z), size=size, extent=(side, side))
    outer = math.radians(spot_deg)
    return LightRecord(
        "spot" if kind == "spot" else "point",
        color,
        intensity * distance**2,
        travel,
        (x, y, z),
        size=size,
        inner_angle=0.75 * outer,
        outer_angle=outer,
    )


def environment(
    definition: EnvironmentDefinition, background: BackgroundDefinition, library: Library, draw: Draw, pools: Pools
) -> tuple[EnvironmentRecord, list[LightRecord]]:
    """The environment with its background, and the sun when it is a sky."""
    image = _map(definition, library, draw)
    rotation = math.radians(draw.one("lighting", "environment.rotation_deg", definition.rotation_deg))
    intensity = draw.one("lighting", "environment.intensity", definition.intensity)
    sky, suns = _sky(definition.sky, intensity, rotation, draw)
    kind = draw.one("background", "kind", background.kind)
    color = draw.one("background", "color", background.color)
    texture = textures("background", "background", background.texture, 1, draw, pools)[0]
    if kind == "texture" and texture is None:
        kind = "color"
    record = EnvironmentRecord(
        image=image,
        sky=sky if image is None else None,
        rotation=rotation,
        intensity=intensity,
        background=kind,
        background_texture=texture if kind == "texture" else None,
        background_color=color,
    )
    return record, suns if image is None else []


def _map(definition: EnvironmentDefinition, library: Library, draw: Draw) -> str | None:
    """The environment map, None for the sky."""
    maps: list[str] = []
    for patterns in (definition.images, definition.fallback):
        maps = maps or (sorted(library.environments(patterns)) if patterns else [])
    u_any, u_sky, u_which = draw.uniforms("lighting", "environment", 1, 3, coins=(0,))[0]
    image = None
    if maps and u_any >= draw.strengths["lighting"]:
        image = None if definition.sky_share > 0 else maps[0]
    elif maps and u_sky >= definition.sky_share:
        image = maps[int(u_which * len(maps))]
    draw.note("lighting", "environment", image or "sky")
    return image


def _sky(
    definition: SkyDefinition, intensity: float, rotation: float, draw: Draw
) -> tuple[SkyRecord, list[LightRecord]]:
    """A sky and its sun, its colours after the height of the sun: blue and white by day, orange when it is low."""
    elevation = math.radians(draw.one("lighting", "sky.sun_elevation_deg", definition.sun_elevation_deg))
    azimuth = math.radians(draw.one("lighting", "sky.sun_azimuth_deg", definition.sun_azimuth_deg))
    irradiance = draw.one("lighting", "sky.sun", definition.sun)
    haze = draw.one("lighting", "sky.haze", definition.haze)
    clouds = draw.one("lighting", "sky.clouds", definition.clouds)
    ground = draw.one("lighting", "sky.ground", definition.ground)
    seed = int(draw.uniforms("lighting", "sky.seed", 1, 1)[0][0] * 2**31)
    draw.note("lighting", "sky.seed", seed)
    height = math.sin(elevation)
    day = min(1.0, height / 0.35)
    sun_color = np.asarray(light_color(2200 + 3300 * day))
    # Overcast skies are grey; clear ones deep blue above, paler at the horizon, which reddens with a low sun.
    grey = np.array([0.75, 0.78, 0.82])
    blue = np.array([0.10, 0.24, 0.62]) * (0.25 + 0.75 * day)
    pale = np.array([0.62, 0.76, 0.95]) * (0.35 + 0.65 * day) + np.array([0.45, 0.14, 0.0]) * (1 - day)
    zenith = _mixed(_mixed(blue, pale, 0.6 * haze), grey, 0.85 * clouds)
    horizon = _mixed(_mixed(pale, np.array([0.9, 0.92, 0.95]), haze), grey, 0.85 * clouds)
    through = (1 - clouds) ** 2
    toward = (math.cos(elevation) * math.cos(azimuth), math.cos(elevation) * math.sin(azimuth), height)
    sky = SkyRecord(
        zenith=_vec3(zenith),
        horizon=_vec3(horizon),
        ground=_vec3(np.asarray(ground) * (0.3 + 0.7 * day)),
        sun_direction=toward,
        sun_color=_vec3(sun_color * through),
        clouds=clouds,
        seed=seed,
    )
    strength = irradiance * intensity * through * (0.3 + 0.7 * day)
    if strength <= 0:
        return sky, []
    # The environment is turned about z as a whole, and its sun with it.
    c, s = math.cos(rotation), math.sin(rotation)
    x, y, z = c * toward[0] - s * toward[1], s * toward[0] + c * toward[1], toward[2]
    sun = LightRecord("directional", _vec3(sun_color), strength, (-x, -y, -z), (20 * x, 20 * y, 20 * z), size=_SUN_SIZE)
    return sky, [sun]


def _mixed(a: np.ndarray, b: np.ndarray, t: float) -> np.ndarray:
    return a + t * (b - a)


def _vec3(values: np.ndarray) -> Vec3:
    x, y, z = values.tolist()
    return (x, y, z)

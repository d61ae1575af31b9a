"""Light and colour for TinyRenderer: one directional light over an ambient term, on 8-bit sRGB values."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi, sin, sqrt

import cv2
import numpy as np
from numpy.typing import NDArray

from simgen.render.base import Camera, Environment, Snapshot
from simgen.scene.record import LightRecord

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Lighting:
    """What PyBullet is told of light. Radiance is the linear value of a pixel times ``gain``."""

    direction: tuple[float, float, float]
    color: tuple[float, float, float]
    ambient: float
    shadow: bool
    gain: float


def lighting(snapshot: Snapshot, center: Array) -> Lighting:
    """The strongest light at ``center`` (3,), in metres, as a directional one, and the rest as ambient light.

    PyBullet multiplies 8-bit sRGB values, so the factors are encoded too, relative to the brightest possible surface:
    a product of encoded values is close to the encoded product.
    """
    ambient = snapshot.environment.intensity * float(_luminance(_mean_radiance(snapshot.environment.radiance)))
    lights = [(_irradiance(light, center), light) for light in snapshot.lights]
    direct, toward, shadow = np.zeros(3), np.array([0.0, 0.0, 1.0]), False
    if lights:
        strongest = max(range(len(lights)), key=lambda k: (float(_luminance(lights[k][0][0])), -k))
        (irradiance, toward), light = lights[strongest]
        direct, shadow = irradiance / pi, light.shadow
        others = [i for k, ((i, _), _) in enumerate(lights) if k != strongest]
        # A quarter: the mean cosine over all directions, those that face away counting nothing.
        ambient += sum(float(_luminance(i)) for i in others) / 4 / pi
    gain = max(float((ambient + direct).max()), 1e-9)
    base = encode(np.array([ambient / gain]))[0]
    color = encode((ambient + direct) / gain) - base
    if np.hypot(toward[0], toward[1]) < 1e-3:
        toward = np.array([1e-3, 0.0, toward[2]])  # PyBullet looks along the light with z up
    x, y, z = (float(c) for c in toward / np.linalg.norm(toward))
    return Lighting(
        (x, y, z),
        (float(color[0]), float(color[1]), float(color[2])),
        float(base),
        shadow,
        gain,
    )


def light_distance(camera: Camera, radius: float) -> float:
    """How far the light stands off what it lights, a ball of ``radius``; 0: it can cast no shadow.

    PyBullet renders the shadow map from there with the camera's own lens. The farther off, the more parallel is the
    light and the more of the scene has shadows, and the coarser they are.
    """
    K = camera.K
    slope = min(
        (K[0, 2] + 0.5) / K[0, 0],
        (camera.width - 0.5 - K[0, 2]) / K[0, 0],
        (K[1, 2] + 0.5) / K[1, 1],
        (camera.height - 0.5 - K[1, 2]) / K[1, 1],
    )
    return float(4.0 * radius * sqrt(1.0 + 1.0 / slope**2)) if slope > 0 else 0.0


def _irradiance(light: LightRecord, point: Array) -> tuple[Array, Array]:
    """Irradiance (3,) of a surface at ``point`` that faces the light, and the unit direction towards it."""
    strength = np.array(light.color, np.float64) * light.intensity
    travel = np.array(light.direction, np.float64)
    travel /= max(float(np.linalg.norm(travel)), 1e-12)
    if light.kind == "directional":
        return strength, -travel
    offset = np.array(light.position, np.float64) - point
    distance = max(float(np.linalg.norm(offset)), 1e-3)
    toward = offset / distance
    cosine = float(-toward @ travel)
    if light.kind == "area":
        strength = strength * (light.extent[0] * light.extent[1] * max(cosine, 0.0))
    if light.kind == "spot":
        inner, outer = cos(light.inner_angle), cos(light.outer_angle)
        strength = strength * float(np.clip((cosine - outer) / max(inner - outer, 1e-9), 0.0, 1.0))
    return strength / distance**2, toward


def _mean_radiance(radiance: NDArray[np.float32]) -> Array:
    """Mean (3,) over all directions of an equirectangular map."""
    height = radiance.shape[0]
    weights = np.sin((np.arange(height) + 0.5) / height * pi)
    return (radiance.mean(axis=1, dtype=np.float64) * weights[:, None]).sum(axis=0) / weights.sum()


def background(environment: Environment, camera: Camera) -> NDArray[np.float32]:
    """What is seen where there is no surface: linear radiance (H, W, 3)."""
    if environment.background is not None:
        return environment.background
    u, v = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    rays = np.stack([u, v, np.ones_like(u)], axis=-1) @ np.linalg.inv(camera.K).T @ camera.T_world_cam[:3, :3].T
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    c, s = cos(environment.rotation), sin(environment.rotation)
    x, y = c * rays[..., 0] + s * rays[..., 1], c * rays[..., 1] - s * rays[..., 0]
    height, width = environment.radiance.shape[:2]
    across = (0.5 - np.arctan2(y, x) / (2 * pi)) * width - 0.5
    down = np.arccos(np.clip(rays[..., 2], -1, 1)) / pi * height - 0.5
    padded = np.pad(environment.radiance, ((1, 1), (1, 1), (0, 0)), mode="wrap")
    padded[0], padded[-1] = padded[1], padded[-2]
    # OpenCV maps at most 32767 rows or columns.
    seen = cv2.remap(padded, (across + 1).astype(np.float32), (down + 1).astype(np.float32), cv2.INTER_LINEAR)
    return np.asarray(seen, np.float32) * np.float32(environment.intensity)


def _luminance(rgb: Array) -> Array:
    """Rec. 709 luminance of linear RGB."""
    return rgb @ np.array([0.2126, 0.7152, 0.0722])


def encode(linear: Array) -> Array:
    """The sRGB curve (IEC 61966-2-1) of values in 0...1, which are clipped to it."""
    x = np.clip(linear, 0.0, 1.0)
    return np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.power(x, 1 / 2.4) - 0.055)


def _decoded() -> NDArray[np.float32]:
    """Linear value of every 8-bit sRGB value."""
    x = np.arange(256) / 255
    return np.where(x <= 0.04045, x / 12.92, np.power((x + 0.055) / 1.055, 2.4)).astype(np.float32)


LINEAR = _decoded()
ENCODED = np.round(encode(np.arange(256) / 255) * 255).astype(np.uint8)

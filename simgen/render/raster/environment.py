"""Light from an environment map: diffuse irradiance, prefiltered reflections, its key lights, and the background.

Irradiance is a second-order spherical-harmonic expansion (Ramamoorthi and Hanrahan 2001). Reflections are octahedral
maps prefiltered with GGX for a few roughnesses (Karis 2013, filtered importance sampling after Krivanek and Colbert
2008), packed into 32 bits. What is small and bright (the sun, a lamp, a window) is taken out of both and becomes a
directional light of its own, because only a light can cast a shadow.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from simgen.errors import RenderError
from simgen.render.base import Environment
from simgen.render.raster.jit import fast, ix
from simgen.render.raster.mathematics import atan2, from_octahedral

SIDES = (256, 128, 64, 32, 32, 16)
"""Texels along the side of each reflection level; level k holds roughness (k / 5)^2."""
STARTS = tuple(int(x) for x in np.cumsum([0] + [(n + 2) ** 2 for n in SIDES]))
LAST = len(SIDES) - 1

_SAMPLES = 24
_KEY_LIGHTS = 2
_KEY_SHARE = 0.08
_BASE_WIDTH = 512
_0 = np.float32(0.0)
_1 = np.float32(1.0)
_HALF = np.float32(0.5)


@dataclass(frozen=True, eq=False)
class KeyLight:
    """A bright spot of an environment as a directional light, in the frame of the map.

    ``towards`` is the unit direction from the scene to it, ``irradiance`` (3,) linear RGB, ``size`` its angular
    diameter in radians.
    """

    towards: NDArray[np.float64]
    irradiance: NDArray[np.float64]
    size: float


@dataclass(frozen=True, eq=False)
class Prefiltered:
    """What shading needs of an environment.

    ``radiance`` (h, w, 3) float32 as given; ``harmonics`` (27,) float32, nine coefficients of irradiance / pi for each
    channel in turn; ``reflections`` uint32, all levels with a border of one texel; ``scale`` of their encoding.
    """

    radiance: NDArray[np.float32]
    harmonics: NDArray[np.float32]
    reflections: NDArray[np.uint32]
    scale: float
    keys: tuple[KeyLight, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of memory taken."""
        return self.radiance.nbytes + self.harmonics.nbytes + self.reflections.nbytes


class Environments:
    """Prefiltered environments by key, within ``limit`` bytes; the one in use always stays."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: OrderedDict[str, Prefiltered] = OrderedDict()

    @property
    def nbytes(self) -> int:
        """Bytes of memory taken."""
        return sum(p.nbytes for p in self._known.values())

    def get(self, environment: Environment) -> Prefiltered:
        """The prefiltered environment, computed when it is not resident."""
        known = self._known.get(environment.key)
        if known is None:
            known = prefilter(environment.radiance)
            self._known[environment.key] = known
            while len(self._known) > 1 and self.nbytes > self._limit:
                self._known.popitem(last=False)
        self._known.move_to_end(environment.key)
        return known

    def clear(self) -> None:
        """Forget everything."""
        self._known.clear()


def directions(height: int, width: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Unit directions (h, w, 3) of the texels of an equirectangular map, and their solid angles (h, w)."""
    theta = (np.arange(height) + 0.5) / height * np.pi
    phi = (0.5 - (np.arange(width) + 0.5) / width) * 2 * np.pi
    s, c = np.sin(theta)[:, None], np.cos(theta)[:, None]
    out = np.stack(np.broadcast_arrays(s * np.cos(phi), s * np.sin(phi), c), -1)
    edges = np.cos(np.arange(height + 1) / height * np.pi)
    solid = (edges[:-1] - edges[1:])[:, None] * np.full((1, width), 2 * np.pi / width)
    return out, solid


def prefilter(radiance: NDArray[np.float32]) -> Prefiltered:
    """Prefilter an equirectangular map (h, w, 3) of linear radiance."""
    if radiance.ndim != 3 or radiance.shape[2] != 3 or 0 in radiance.shape:
        raise RenderError(f"an environment map must be (h, w, 3), not {radiance.shape}")
    clean = np.nan_to_num(np.array(radiance, np.float32, order="C"), nan=0.0, posinf=65504.0, neginf=0.0)
    np.clip(clean, 0.0, 65504.0, out=clean)
    base = clean
    if clean.shape[1] > _BASE_WIDTH:
        base = np.asarray(cv2.resize(clean, (_BASE_WIDTH, _BASE_WIDTH // 2), interpolation=cv2.INTER_AREA), np.float32)
    where, solid = directions(*base.shape[:2])
    dimmed, keys = _take_key_lights(base, where, solid)
    harmonics = _irradiance(dimmed, where, solid)
    mean = float((dimmed.mean(-1) * solid).sum() / (4 * np.pi))
    scale = max(8.0 * mean, 1e-4)
    reflections = np.zeros(STARTS[-1], np.uint32)
    pyramid = _pyramid(np.ascontiguousarray(dimmed))
    starts = np.array(STARTS, np.int64)
    sides = np.array(SIDES, np.int64)
    points = _hammersley(_SAMPLES)
    _prefilter_levels(pyramid, points, np.float32(scale), starts, sides, reflections)
    return Prefiltered(clean, harmonics, reflections, scale, keys)


def _take_key_lights(
    base: NDArray[np.float32], where: NDArray[np.float64], solid: NDArray[np.float64]
) -> tuple[NDArray[np.float32], tuple[KeyLight, ...]]:
    """The map without its brightest spots, and these as lights."""
    out = base.astype(np.float64)
    luminance = out @ np.array([0.2126, 0.7152, 0.0722])
    total = float((luminance * solid).sum())
    ceiling = 6.0 * total / (4 * np.pi)
    keys: list[KeyLight] = []
    for _ in range(_KEY_LIGHTS):
        excess = np.maximum(luminance - ceiling, 0.0) * solid
        if total <= 0 or float(excess.sum()) < _KEY_SHARE * total:
            break
        # The peak of the excess summed over a neighbourhood, so that a lone hot texel does not decide.
        blurred = cv2.blur(excess, (9, 9), borderType=cv2.BORDER_REFLECT)
        peak = np.unravel_index(int(np.argmax(blurred)), blurred.shape)
        near = (where @ where[peak] > np.cos(0.35)) & (excess > 0)
        flux = np.where(near, excess, 0.0)
        if float(flux.sum()) < _KEY_SHARE * total:
            break
        towards = (where * flux[..., None]).sum((0, 1))
        towards /= np.linalg.norm(towards)
        keep = np.where(near, ceiling / np.maximum(luminance, 1e-12), 1.0)[..., None]
        irradiance = (out * (1 - keep) * solid[..., None]).sum((0, 1))
        out *= keep
        luminance = np.where(near, ceiling, luminance)
        # Angular diameter of a disc with the same spread as the flux.
        spread = float((flux * (1 - where @ towards)).sum() / flux.sum())
        keys.append(KeyLight(towards, irradiance, float(np.clip(4.0 * np.sqrt(max(spread, 0.0)), 0.01, 0.6))))
    return out.astype(np.float32), tuple(keys)


def _irradiance(image: NDArray[np.float32], where: NDArray[np.float64], solid: NDArray[np.float64]) -> Any:
    """Irradiance / pi as nine spherical-harmonic coefficients a channel, constants folded in."""
    x, y, z = where[..., 0], where[..., 1], where[..., 2]
    basis = np.stack(
        [np.ones_like(x), y, z, x, x * y, y * z, 3 * z * z - 1, x * z, x * x - y * y]
    )  # fmt: skip
    norm2 = np.array([0.282095, 0.488603, 0.488603, 0.488603, 1.092548, 1.092548, 0.315392, 1.092548, 0.546274]) ** 2
    cosine = np.array([1.0, 2 / 3, 2 / 3, 2 / 3, 0.25, 0.25, 0.25, 0.25, 0.25])
    moments = np.einsum("khw,hwc,hw->ck", basis, image.astype(np.float64), solid)
    return np.ascontiguousarray((moments * norm2 * cosine).reshape(-1).astype(np.float32))


def _pyramid(image: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
    """The map halved four times, each level contiguous: source of the prefilter."""
    levels = [np.ascontiguousarray(image, np.float32)]
    for _ in range(5):
        h, w = levels[-1].shape[:2]
        size = (max(w // 2, 1), max(h // 2, 1))
        levels.append(np.asarray(cv2.resize(levels[-1], size, interpolation=cv2.INTER_AREA), np.float32))
    return tuple(levels)


def _hammersley(count: int) -> NDArray[np.float32]:
    """Well-spread points (count, 2) in the unit square: regular, and the radical inverse in base 2."""
    index = np.arange(count)
    radical = np.zeros(count)
    step = 0.5
    bits = index.copy()
    while bits.any():
        radical += (bits & 1) * step
        bits >>= 1
        step /= 2
    return np.stack([(index + 0.5) / count, radical], 1).astype(np.float32)


@fast
def _equirect(image: Any, x: Any, y: Any, z: Any) -> Any:
    """Bilinear radiance of an equirectangular map in a direction of any length."""
    h, w = image.shape[0], image.shape[1]
    u = (_HALF - atan2(y, x) * np.float32(0.5 / np.pi)) * np.float32(w) - _HALF
    v = atan2(np.sqrt(x * x + y * y), z) * np.float32(1 / np.pi) * np.float32(h) - _HALF
    fu, fv = np.floor(u), np.floor(v)
    a, b = u - fu, v - fv
    x0 = np.int64(fu) % w
    x1 = (x0 + 1) % w
    y0 = min(max(np.int64(fv), 0), h - 1)
    y1 = min(max(np.int64(fv) + 1, 0), h - 1)
    p, q, r, s = (_1 - a) * (_1 - b), a * (_1 - b), (_1 - a) * b, a * b
    return (
        image[y0, x0, 0] * p + image[y0, x1, 0] * q + image[y1, x0, 0] * r + image[y1, x1, 0] * s,
        image[y0, x0, 1] * p + image[y0, x1, 1] * q + image[y1, x0, 1] * r + image[y1, x1, 1] * s,
        image[y0, x0, 2] * p + image[y0, x1, 2] * q + image[y1, x0, 2] * r + image[y1, x1, 2] * s,
    )


@fast
def _encode(r: Any, g: Any, b: Any, scale: Any) -> Any:
    limit = np.float32(500.0) * scale
    r, g, b = min(r, limit), min(g, limit), min(b, limit)
    R = np.uint32(np.sqrt(r / (r + scale)) * np.float32(2047.0) + _HALF)
    G = np.uint32(np.sqrt(g / (g + scale)) * np.float32(2047.0) + _HALF)
    B = np.uint32(np.sqrt(b / (b + scale)) * np.float32(1023.0) + _HALF)
    return np.uint32((R << np.uint32(21)) | (G << np.uint32(10)) | B)


@fast
def _prefilter_levels(pyramid: Any, points: Any, scale: Any, starts: Any, sides: Any, out: Any) -> None:
    texel = np.float32(4 * np.pi) / np.float32(pyramid[0].shape[0] * pyramid[0].shape[1])
    for level in range(len(sides)):
        n = sides[level]
        start = starts[level]
        row = n + 2
        share = np.float32(level) / np.float32(len(sides) - 1)
        roughness = share * share
        a2 = roughness * roughness * roughness * roughness
        for y in range(n):
            for x in range(n):
                dx, dy, dz = from_octahedral(
                    (np.float32(x) + _HALF) / np.float32(n), (np.float32(y) + _HALF) / np.float32(n)
                )
                if level == 0:
                    r, g, b = _equirect(pyramid[0], dx, dy, dz)
                else:
                    if abs(dz) < np.float32(0.9):
                        tx, ty, tz = -dy, dx, _0
                    else:
                        tx, ty, tz = _0, -dz, dy
                    s = _1 / np.sqrt(tx * tx + ty * ty + tz * tz)
                    tx, ty, tz = tx * s, ty * s, tz * s
                    bx, by, bz = dy * tz - dz * ty, dz * tx - dx * tz, dx * ty - dy * tx
                    r = g = b = total = _0
                    for k in range(len(points)):
                        # A half vector by GGX's distribution, the light mirrored at it.
                        phi = np.float32(2 * np.pi) * points[k, 1]
                        cos2 = (_1 - points[k, 0]) / (_1 + (a2 - _1) * points[k, 0])
                        nh = np.sqrt(cos2)
                        sh = np.sqrt(max(_1 - cos2, _0))
                        hx, hy = sh * np.cos(phi), sh * np.sin(phi)
                        lx, ly, lz = np.float32(2.0) * nh * hx, np.float32(2.0) * nh * hy, np.float32(2.0) * cos2 - _1
                        if lz <= _0:
                            continue
                        d = nh * nh * (a2 - _1) + _1
                        pdf = a2 / (np.float32(np.pi) * d * d) * np.float32(0.25)
                        footprint = _1 / (np.float32(len(points)) * pdf) / texel
                        source = 0
                        while footprint > np.float32(2.0) and source < 5:
                            footprint *= np.float32(0.25)
                            source += 1
                        wx = lx * tx + ly * bx + lz * dx
                        wy = lx * ty + ly * by + lz * dy
                        wz = lx * tz + ly * bz + lz * dz
                        p, q, s = _equirect(pyramid[source], wx, wy, wz)
                        r += p * lz
                        g += q * lz
                        b += s * lz
                        total += lz
                    r, g, b = r / total, g / total, b / total
                out[start + (y + 1) * row + x + 1] = _encode(r, g, b, scale)
        # The border continues over the edges of the octahedron.
        for k in range(n):
            out[start + (n - k) * row] = out[start + (k + 1) * row + 1]
            out[start + (n - k) * row + n + 1] = out[start + (k + 1) * row + n]
            out[start + n - k] = out[start + row + k + 1]
            out[start + (n + 1) * row + n - k] = out[start + n * row + k + 1]
        out[start] = out[start + n * row + n]
        out[start + n + 1] = out[start + n * row + 1]
        out[start + (n + 1) * row] = out[start + row + n]
        out[start + (n + 1) * row + n + 1] = out[start + row + 1]


@fast
def reflection_level(level: Any) -> Any:
    """Where a level of reflections (a whole float32) begins, int32, and how many texels wide it is, float32."""
    start, side = np.int32(STARTS[0]), np.float32(SIDES[0])
    for k in range(1, len(SIDES)):
        start = np.int32(STARTS[k]) if level >= np.float32(k) else start
        side = np.float32(SIDES[k]) if level >= np.float32(k) else side
    return start, side


@fast
def irradiance(h: Any, c: int, x: Any, y: Any, z: Any) -> Any:
    """Irradiance / pi of channel ``c`` for the unit normal (x, y, z) in the frame of the map."""
    k = 9 * c
    value = (
        h[k] + h[k + 1] * y + h[k + 2] * z + h[k + 3] * x + h[k + 4] * (x * y) + h[k + 5] * (y * z)
        + h[k + 6] * (np.float32(3.0) * z * z - _1) + h[k + 7] * (x * z) + h[k + 8] * (x * x - y * y)
    )  # fmt: skip
    return max(value, _0)


@fast
def fill_background(
    weight: Any, width: int, height: int, camera: Any, rotation: Any, image: Any, intensity: Any, photo: Any,
    use_photo: bool, out: Any,
) -> None:  # fmt: skip
    """Start the colour of each pixel where some of the background is seen with its share ``weight`` of it.

    ``rotation`` (9,) turns camera directions into the frame of the map. Other pixels are left as they are.
    """
    for y in range(height):
        row = y * width
        total = _0
        for x in range(width):
            total += weight[ix(row + x)]
        if total == _0:
            continue
        for x in range(width):
            i = row + x
            share = weight[i]
            if share <= _0:
                continue
            if use_photo:
                out[3 * i] = photo[3 * i] * share
                out[3 * i + 1] = photo[3 * i + 1] * share
                out[3 * i + 2] = photo[3 * i + 2] * share
            else:
                ry = np.float32((y - camera[3]) / camera[1])
                rx = np.float32((x - camera[2] - camera[4] * ry) / camera[0])
                r, g, b = _equirect(
                    image,
                    rotation[0] * rx + rotation[1] * ry + rotation[2],
                    rotation[3] * rx + rotation[4] * ry + rotation[5],
                    rotation[6] * rx + rotation[7] * ry + rotation[8],
                )
                out[3 * i] = r * share * intensity
                out[3 * i + 1] = g * share * intensity
                out[3 * i + 2] = b * share * intensity

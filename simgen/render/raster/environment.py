"""Light from an environment map: diffuse irradiance, prefiltered reflections, its key lights, and the background.

Irradiance is a second-order spherical-harmonic expansion (Ramamoorthi and Hanrahan 2001). Reflections are octahedral
maps for a few roughnesses (see ``prefilter``), packed into 32 bits. What is small and bright (the sun, a lamp, a
window) is taken out of both and becomes a directional light of its own, because only a light can cast a shadow.
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
from simgen.render.raster.mathematics import atan2
from simgen.render.raster.prefilter import SIDES, STARTS, prefilter_reflections

LAST = len(SIDES) - 1

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


def _directions(rows: Any, columns: Any, height: int, width: int) -> NDArray[np.float64]:
    """Unit directions (..., 3) of texels of an equirectangular map."""
    theta = (rows + 0.5) / height * np.pi
    phi = (0.5 - (columns + 0.5) / width) * 2 * np.pi
    s = np.sin(theta)
    return np.stack([s * np.cos(phi), s * np.sin(phi), np.cos(theta)], -1)


def _solid_angles(height: int, width: int) -> NDArray[np.float64]:
    """Solid angle (h,) of a texel in each row of an equirectangular map."""
    edges = np.cos(np.arange(height + 1) / height * np.pi)
    return (edges[:-1] - edges[1:]) * (2 * np.pi / width)


def prefilter(radiance: NDArray[np.float32]) -> Prefiltered:
    """Prefilter an equirectangular map (h, w, 3) of linear radiance."""
    if radiance.ndim != 3 or radiance.shape[2] != 3 or 0 in radiance.shape:
        raise RenderError(f"an environment map must be (h, w, 3), not {radiance.shape}")
    clean = np.array(radiance, np.float32, order="C")
    np.fmin(np.fmax(clean, 0.0, out=clean), 65504.0, out=clean)  # what is no number becomes 0
    base = clean
    if clean.shape[1] > _BASE_WIDTH:
        base = np.asarray(cv2.resize(clean, (_BASE_WIDTH, _BASE_WIDTH // 2), interpolation=cv2.INTER_AREA), np.float32)
    solid = _solid_angles(*base.shape[:2])
    dimmed, keys = _take_key_lights(base, solid)
    moments = _moments(dimmed, solid)
    scale = max(8.0 * float(moments[:, 0].mean()) / (4 * np.pi), 1e-4)
    return Prefiltered(clean, _irradiance(moments), prefilter_reflections(dimmed, scale), scale, keys)


def _take_key_lights(
    base: NDArray[np.float32], solid: NDArray[np.float64]
) -> tuple[NDArray[np.float32], tuple[KeyLight, ...]]:
    """The map without its brightest spots, and these as lights."""
    height, width = base.shape[:2]
    out = base.copy()
    luminance = np.empty((height, width))
    _luminance(base, luminance)
    total = float(luminance.sum(1) @ solid)
    ceiling = 6.0 * total / (4 * np.pi)
    keys: list[KeyLight] = []
    for _ in range(_KEY_LIGHTS):
        excess = np.maximum(luminance - ceiling, 0.0) * solid[:, None]
        if total <= 0 or float(excess.sum()) < _KEY_SHARE * total:
            break
        # The peak of the excess summed over a neighbourhood, so that a lone hot texel does not decide.
        blurred = cv2.blur(excess, (9, 9), borderType=cv2.BORDER_REFLECT)
        peak = divmod(int(np.argmax(blurred)), width)
        rows, columns = np.nonzero(excess)
        where = _directions(rows, columns, height, width)
        near = where @ _directions(peak[0], peak[1], height, width) > np.cos(0.35)
        where, spot = where[near], (rows[near], columns[near])
        flux = excess[spot]
        if float(flux.sum()) < _KEY_SHARE * total:
            break
        towards = (where * flux[:, None]).sum(0)
        towards /= np.linalg.norm(towards)
        keep = (ceiling / np.maximum(luminance[spot], 1e-12))[:, None]
        colors = out[spot].astype(np.float64)
        irradiance = (colors * (1 - keep) * solid[spot[0]][:, None]).sum(0)
        out[spot] = colors * keep
        luminance[spot] = ceiling
        # Angular diameter of a disc with the same spread as the flux.
        spread = float((flux * (1 - where @ towards)).sum() / flux.sum())
        keys.append(KeyLight(towards, irradiance, float(np.clip(4.0 * np.sqrt(max(spread, 0.0)), 0.01, 0.6))))
    return out, tuple(keys)


@fast
def _luminance(image: Any, out: Any) -> None:
    """Luminance of linear Rec. 709 colours."""
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            out[ix(y), ix(x)] = (
                0.2126 * np.float64(image[ix(y), ix(x), ix(0)])
                + 0.7152 * np.float64(image[ix(y), ix(x), ix(1)])
                + 0.0722 * np.float64(image[ix(y), ix(x), ix(2)])
            )


def _moments(image: NDArray[np.float32], solid: NDArray[np.float64]) -> NDArray[np.float64]:
    """Integrals (3, 9) over the sphere of a map times 1, y, z, x, xy, yz, 3z^2 - 1, xz and x^2 - y^2.

    Each is a function of the row times one of the column.
    """
    height, width = image.shape[:2]
    phi = (0.5 - (np.arange(width) + 0.5) / width) * 2 * np.pi
    around = np.stack([np.ones(width), np.cos(phi), np.sin(phi), np.cos(2 * phi), np.sin(2 * phi)])
    rows = np.zeros((5, 3, height))
    _sum_rows(image, around, rows)
    theta = (np.arange(height) + 0.5) / height * np.pi
    s, c, one = np.sin(theta), np.cos(theta), np.ones(height)
    down = np.stack([one, s, c, s, s * s / 2, s * c, 3 * c * c - 1, s * c, s * s]) * solid
    return np.einsum("kch,kh->ck", rows[[0, 2, 0, 1, 4, 2, 0, 1, 3]], down)


@fast
def _sum_rows(image: Any, around: Any, out: Any) -> None:
    """Sums over each row of an image (h, w, 3) times each of five functions ``around`` (5, w), into (5, 3, h)."""
    for y in range(image.shape[0]):
        for c in range(3):
            p = q = r = s = t = 0.0
            for x in range(image.shape[1]):
                value = np.float64(image[ix(y), ix(x), ix(c)])
                p += value
                q += value * around[ix(1), ix(x)]
                r += value * around[ix(2), ix(x)]
                s += value * around[ix(3), ix(x)]
                t += value * around[ix(4), ix(x)]
            out[0, c, y], out[1, c, y], out[2, c, y], out[3, c, y], out[4, c, y] = p, q, r, s, t


def _irradiance(moments: NDArray[np.float64]) -> NDArray[np.float32]:
    """Irradiance / pi as nine spherical-harmonic coefficients a channel, constants folded in, from ``_moments``."""
    norm2 = np.array([0.282095, 0.488603, 0.488603, 0.488603, 1.092548, 1.092548, 0.315392, 1.092548, 0.546274]) ** 2
    cosine = np.array([1.0, 2 / 3, 2 / 3, 2 / 3, 0.25, 0.25, 0.25, 0.25, 0.25])
    return np.ascontiguousarray((moments * norm2 * cosine).reshape(-1).astype(np.float32))


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
    weight: Any, width: int, height: int, camera: Any, rotation: Any, image: Any, is_photo: bool, h: int, w: int,
    intensity: Any, out: Any,
) -> None:  # fmt: skip
    """Start the colour of each pixel where some of the background is seen with its share ``weight`` of it.

    ``image`` is flat: a photo of the image's size, or else an equirectangular map (``h``, ``w``, 3) that is multiplied
    by ``intensity``; ``rotation`` (9,) turns camera directions into its frame. Other pixels are left as they are.
    """
    between = np.empty((2, width), np.float32)
    texels = np.empty((4, width), np.int32)
    for y in range(height):
        row = y * width
        first: Any = width
        last: Any = -1
        for x in range(width):
            seen = weight[ix(row + x)] > _0
            first = min(first, x if seen else width)
            last = max(last, x if seen else -1)
        if last < 0:
            continue
        if is_photo:
            for x in range(first, last + 1):
                i = row + x
                share = weight[ix(i)]
                if share > _0:
                    for c in range(3):
                        out[ix(3 * i + c)] = image[ix(3 * i + c)] * share
            continue
        _look_around(y, first, last + 1, camera, rotation, h, w, between, texels)
        for x in range(first, last + 1):
            i = row + x
            share = weight[ix(i)]
            if share <= _0:
                continue
            a, b = between[0, ix(x)], between[1, ix(x)]
            p, q, r, s = (_1 - a) * (_1 - b), a * (_1 - b), (_1 - a) * b, a * b
            j, k, m, n = texels[0, ix(x)], texels[1, ix(x)], texels[2, ix(x)], texels[3, ix(x)]
            for c in range(3):
                color = image[ix(j + c)] * p + image[ix(k + c)] * q + image[ix(m + c)] * r + image[ix(n + c)] * s
                out[ix(3 * i + c)] = color * share * intensity


@fast
def _look_around(
    y: int, first: int, end: int, camera: Any, rotation: Any, h: int, w: int, between: Any, texels: Any
) -> None:  # fmt: skip
    """Where pixels ``first`` to ``end`` of row ``y`` look in an equirectangular map (h, w, 3).

    Fills ``between`` (2, width) with the place between texels, ``texels`` (4, width) with where the upper and the lower
    pair of them are in the flat map.
    """
    ry = np.float32((y - camera[3]) / camera[1])
    for x in range(first, end):
        rx = np.float32((x - camera[2] - camera[4] * ry) / camera[0])
        dx = rotation[0] * rx + rotation[1] * ry + rotation[2]
        dy = rotation[3] * rx + rotation[4] * ry + rotation[5]
        dz = rotation[6] * rx + rotation[7] * ry + rotation[8]
        u = (_HALF - atan2(dy, dx) * np.float32(0.5 / np.pi)) * np.float32(w) - _HALF
        v = atan2(np.sqrt(dx * dx + dy * dy), dz) * np.float32(1 / np.pi) * np.float32(h) - _HALF
        fu, fv = np.floor(u), np.floor(v)
        between[0, ix(x)] = u - fu
        between[1, ix(x)] = v - fv
        left, top = np.int32(fu), np.int32(fv)
        left = left + np.int32(w) if left < 0 else left
        right = left + np.int32(1) if left < w - 1 else np.int32(0)
        upper = min(max(top, np.int32(0)), np.int32(h - 1)) * np.int32(w)
        lower = min(max(top + np.int32(1), np.int32(0)), np.int32(h - 1)) * np.int32(w)
        texels[0, ix(x)], texels[1, ix(x)] = np.int32(3) * (upper + left), np.int32(3) * (upper + right)
        texels[2, ix(x)], texels[3, ix(x)] = np.int32(3) * (lower + left), np.int32(3) * (lower + right)

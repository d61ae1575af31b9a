"""Colour of a whole batch, a pixel a thread: its surfaces, their light, the background."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import float32, int64

from simgen.render.cuda.device import cuda, device, kernel
from simgen.render.cuda.lighting import INTENSITY, add_environment, add_light, aim
from simgen.render.cuda.materials import load_material, load_surface
from simgen.render.cuda.occlusion import sky_seen
from simgen.render.cuda.points import EG, OPEN, OUT_B, OUT_G, OUT_R, SEEN, VALUES
from simgen.render.cuda.shadow import faces_light, light_seen
from simgen.render.cuda.surface import interpolate_normal, key_triangle, key_w
from simgen.render.raster import antialias, mathematics
from simgen.render.raster import layout as L  # noqa: N812
from simgen.render.raster.lights import COLOR, SHADOW
from simgen.render.raster.visibility import EMPTY

MOST_SAMPLES = 16

# An environment, int64: where its reflections and its radiance begin in the pools, size of the radiance, whether a
# photograph is the background, first and last light of the image.
REFLECTIONS, RADIANCE, RADIANCE_HEIGHT, RADIANCE_WIDTH, PHOTO, FIRST_LIGHT, LAST_LIGHT = range(7)
ENVIRONMENT_INTS = 7

same_surface = device(antialias._same)
atan2 = device(mathematics.atan2)

_0 = np.float32(0.0)
_1 = np.float32(1.0)
_HALF = np.float32(0.5)


@device
def list_surfaces(
    start: int, pixels: int, pixel: int, width: int, keys: Any, offsets: Any, slots: Any, owner: Any, planes: Any,
    triangle: Any, fx: Any, fy: Any, fw: Any, weight: Any,
) -> Any:  # fmt: skip
    """The distinct surfaces of a pixel: the number of them, place 0 being the centre's, and the background's share.

    ``triangle`` takes the numbers of visible triangles (-1 in place 0 when the centre sees nothing), ``fx``, ``fy``
    and ``fw`` where each is shaded, ``weight`` its share. See ``raster.antialias.add_fragments``.
    """
    px, py = np.float32(pixel % width), np.float32(pixel // width)
    key = keys[start + pixel]
    centre = np.int64(key_triangle(key))
    seen = centre != EMPTY
    background = _0 if seen else _1
    triangle[0] = np.int64(slots[centre]) if seen else np.int64(-1)
    fx[0], fy[0], fw[0] = px, py, key_w(key)
    weight[0] = _1 if seen else _0
    share = _1 / np.float32(len(offsets))
    count = 1
    for s in range(1, len(offsets)):
        key = keys[start + s * pixels + pixel]
        t = np.int64(key_triangle(key))
        if t == centre:
            continue
        if t == EMPTY:
            # The sample sees the background past the surface at the centre.
            weight[0] -= share
            background += share
            continue
        number = np.int64(slots[t])
        x, y, w = px + np.float32(offsets[s, 0]), py + np.float32(offsets[s, 1]), key_w(key)
        if seen and same_surface(triangle[0], number, x, y, w, owner, planes):
            continue
        target = 0
        for k in range(1, count):
            if same_surface(triangle[k], number, x, y, w, owner, planes):
                target = k
        if target == 0:
            target = count
            triangle[count] = number
            fx[count], fy[count], fw[count], weight[count] = x, y, w, _0
            count += 1
        weight[target] += share
        if seen:
            weight[0] -= share
        else:
            background -= share
    return count, background


@device
def shade_surface(
    n: int, px: Any, py: Any, w: Any, opening: Any, draws: Any, reals: Any, owner: Any, planes: Any, camera: Any,
    table: Any, texels: Any, first_light: int, last_light: int, lights: Any, maps: Any, map_starts: Any,
    tile_starts: Any, shadow: Any, coarse: Any, discs: Any, around: Any, reflection_start: int,
    reflections: Any, f: Any,
) -> None:  # fmt: skip
    """Colour of visible triangle ``n`` at a place in the image, into OUT of ``f`` (VALUES,)."""
    nx, ny, nz = interpolate_normal(n, px, py, planes, camera)
    load_surface(n, px, py, w, nx, ny, nz, planes, camera, f)
    load_material(n, np.int64(owner[n]), px, py, draws, reals, planes, table, texels, f)
    f[OPEN] = opening
    add_environment(around, reflection_start, reflections, f)
    for k in range(first_light, last_light):
        light = lights[k]
        aim(light, f)
        f[SEEN] = _1
        row = np.int64(light[SHADOW])
        if row >= 0 and not faces_light(light, nx, ny, nz, f):
            f[SEEN] = _0
        elif row >= 0 and f[EG] > _0:
            f[SEEN] = light_seen(maps[row], map_starts[row], tile_starts[row], shadow, coarse, discs, f)
        add_light(light[COLOR], light[COLOR + 1], light[COLOR + 2], f)


@device
def radiance_at(radiance: Any, start: int, h: Any, w: Any, x: Any, y: Any, z: Any) -> Any:
    """Bilinear radiance of the equirectangular map that begins at ``start``, in a direction of any length."""
    u = (_HALF - atan2(y, x) * np.float32(0.5 / np.pi)) * np.float32(w) - _HALF
    v = atan2(np.sqrt(x * x + y * y), z) * np.float32(1 / np.pi) * np.float32(h) - _HALF
    fu, fv = np.floor(u), np.floor(v)
    a, b = u - fu, v - fv
    x0 = np.int64(fu) % w
    x1 = (x0 + 1) % w
    y0 = min(max(np.int64(fv), 0), h - 1)
    y1 = min(max(np.int64(fv) + 1, 0), h - 1)
    p, q, r, s = (_1 - a) * (_1 - b), a * (_1 - b), (_1 - a) * b, a * b
    i, j = start + 3 * (y0 * w + x0), start + 3 * (y0 * w + x1)
    k, n = start + 3 * (y1 * w + x0), start + 3 * (y1 * w + x1)
    red = radiance[i] * p + radiance[j] * q + radiance[k] * r + radiance[n] * s
    green = radiance[i + 1] * p + radiance[j + 1] * q + radiance[k + 1] * r + radiance[n + 1] * s
    blue = radiance[i + 2] * p + radiance[j + 2] * q + radiance[k + 2] * r + radiance[n + 2] * s
    return red, green, blue


@device
def background_color(
    px: int, py: int, camera: Any, around: Any, numbers: Any, radiance: Any, photo: Any, at: int
) -> Any:
    """Radiance of the background at a pixel, which is number ``at`` of the batch."""
    if numbers[PHOTO] != 0:
        return photo[3 * at], photo[3 * at + 1], photo[3 * at + 2]
    ry = np.float32((py - camera[L.CY]) / camera[L.FY])
    rx = np.float32((px - camera[L.CX] - camera[L.SKEW] * ry) / camera[L.FX])
    r, g, b = radiance_at(
        radiance, numbers[RADIANCE], numbers[RADIANCE_HEIGHT], numbers[RADIANCE_WIDTH],
        around[0] * rx + around[1] * ry + around[2],
        around[3] * rx + around[4] * ry + around[5],
        around[6] * rx + around[7] * ry + around[8],
    )  # fmt: skip
    return r * around[INTENSITY], g * around[INTENSITY], b * around[INTENSITY]


@kernel
def shade(
    keys: Any, offsets: Any, width: int, height: int, slots: Any, owner: Any, planes: Any, draws: Any, reals: Any,
    cameras: Any, table: Any, texels: Any, lights: Any, maps: Any, map_starts: Any, tile_starts: Any,
    shadow: Any, coarse: Any, discs: Any, around: Any, numbers: Any, reflections: Any, radiance: Any, photo: Any,
    half_depth: Any, half_open: Any, out: Any, count: int,
) -> None:  # fmt: skip
    """A thread per pixel of the batch: its linear colour into ``out`` (B * H * W * 3)."""
    i = cuda.grid(1)
    triangle = cuda.local.array(MOST_SAMPLES, int64)
    fx = cuda.local.array(MOST_SAMPLES, float32)
    fy = cuda.local.array(MOST_SAMPLES, float32)
    fw = cuda.local.array(MOST_SAMPLES, float32)
    weight = cuda.local.array(MOST_SAMPLES, float32)
    f = cuda.local.array(VALUES, float32)
    if i >= count:
        return
    pixels = width * height
    image, pixel = i // pixels, i % pixels
    start = image * len(offsets) * pixels
    surfaces, background = list_surfaces(
        start, pixels, pixel, width, keys, offsets, slots, owner, planes, triangle, fx, fy, fw, weight
    )  # fmt: skip
    r, g, b = _0, _0, _0
    if background > _0:
        r, g, b = background_color(
            pixel % width, pixel // width, cameras[image], around[image], numbers[image], radiance, photo, i
        )  # fmt: skip
        r, g, b = r * background, g * background, b * background
    half_width, half_height = (width + 1) // 2, (height + 1) // 2
    half = image * half_width * half_height
    for k in range(surfaces):
        if triangle[k] < 0:
            continue
        opening = sky_seen(fx[k], fy[k], fw[k], half, half_width, half_height, half_depth, half_open)
        shade_surface(
            triangle[k], fx[k], fy[k], fw[k], opening, draws, reals, owner, planes, cameras[image], table, texels,
            numbers[image, FIRST_LIGHT], numbers[image, LAST_LIGHT], lights, maps, map_starts, tile_starts,
            shadow, coarse, discs, around[image], numbers[image, REFLECTIONS], reflections, f,
        )  # fmt: skip
        r += f[OUT_R] * weight[k]
        g += f[OUT_G] * weight[k]
        b += f[OUT_B] * weight[k]
    out[3 * i] = r
    out[3 * i + 1] = g
    out[3 * i + 2] = b

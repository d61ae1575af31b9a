"""Reflections of an environment, prefiltered with GGX for a few roughnesses into octahedral maps (Karis 2013).

Each texel of a level is a mean over the same few directions around its own, read from that level of a pyramid of the
map whose texels are as large as what a direction stands for (filtered importance sampling, Krivanek and Colbert 2008).
A row of texels is looked up together, direction by direction: what depends on the direction alone is found once, and
arithmetic is vectorized over the row.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from simgen.render.raster.jit import fast, ix
from simgen.render.raster.mathematics import atan2, from_octahedral

SIDES = (256, 128, 64, 32, 32, 16)
"""Texels along the side of each reflection level; level k holds roughness (k / 5)^2."""
STARTS = tuple(int(x) for x in np.cumsum([0] + [(n + 2) ** 2 for n in SIDES]))

_SAMPLES = 24
_HALVINGS = 5
_0 = np.float32(0.0)
_1 = np.float32(1.0)
_2 = np.float32(2.0)
_HALF = np.float32(0.5)

# Working memory of a row: the frames of its texels, where between texels of the map they look, and sums of colours in
# four channels each, so that a texel is read as one vector.
_STRIDE = max(SIDES) + 16
_DX, _DY, _DZ, _TX, _TY, _TZ, _BX, _BY, _BZ, _FA, _FB, _SUM = (k * _STRIDE for k in range(12))
_REALS = _SUM + 4 * _STRIDE


def prefilter_reflections(image: NDArray[np.float32], scale: float) -> NDArray[np.uint32]:
    """All levels of the equirectangular map (h, w, 3), each with a border of one texel; ``scale`` as for ``_encode``.

    The border continues over the edges of the octahedron.
    """
    texels, table = _pyramid(image)
    out = np.zeros(STARTS[-1], np.uint32)
    _prefilter_levels(
        texels, table, _hammersley(_SAMPLES), np.float32(scale), np.array(STARTS, np.int64), np.array(SIDES, np.int64),
        np.empty((_SAMPLES, 4), np.float32), np.empty(_REALS, np.float32), np.empty(2 * _STRIDE, np.int32), out,
    )  # fmt: skip
    return out


def _pyramid(image: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """The map halved again and again, flat, and a table of (first value, width, height) of each level.

    A texel has four values, the last is 0; each row is followed by its first texel again.
    """
    levels = [np.ascontiguousarray(image, np.float32)]
    for _ in range(_HALVINGS):
        h, w = levels[-1].shape[:2]
        size = (max(w // 2, 1), max(h // 2, 1))
        levels.append(np.asarray(cv2.resize(levels[-1], size, interpolation=cv2.INTER_AREA), np.float32))
    sizes = [4 * (level.shape[1] + 1) * level.shape[0] for level in levels]
    texels = np.empty(sum(sizes), np.float32)
    table = np.zeros((len(levels), 3), np.int32)
    start = 0
    for row, level, size in zip(table, levels, sizes, strict=True):
        row[:] = start, level.shape[1], level.shape[0]
        _lay_out(level, start, texels)
        start += size
    return texels, table


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
def _lay_out(image: Any, start: int, out: Any) -> None:
    """Lay a level out from ``out[start]`` on."""
    h, w = image.shape[0], image.shape[1]
    for y in range(h):
        first = start + 4 * y * (w + 1)
        for x in range(w):
            for c in range(3):
                out[ix(first + 4 * x + c)] = image[ix(y), ix(x), ix(c)]
            out[ix(first + 4 * x + 3)] = _0
        for c in range(4):
            out[ix(first + 4 * w + c)] = out[ix(first + c)]


@fast
def _sample_lights(level: int, points: Any, texel: Any, last: int, lights: Any) -> Any:
    """Directions towards the light around the normal for a level into ``lights``: x, y, z and level of the pyramid.

    The half vector is drawn by GGX's distribution, the viewing direction is the normal. ``texel`` is the solid angle of
    one at the bottom of the pyramid, ``last`` its top level. Returns how many directions there are.
    """
    share = np.float32(level) / np.float32(len(SIDES) - 1)
    roughness = share * share
    a2 = roughness * roughness * roughness * roughness
    count: Any = 0
    for k in range(len(points)):
        phi = np.float32(2 * np.pi) * points[k, 1]
        cos2 = (_1 - points[k, 0]) / (_1 + (a2 - _1) * points[k, 0])
        nh = np.sqrt(cos2)
        sh = np.sqrt(max(_1 - cos2, _0))
        lz = _2 * cos2 - _1
        if lz <= _0:
            continue
        d = cos2 * (a2 - _1) + _1
        pdf = a2 / (np.float32(np.pi) * d * d) * np.float32(0.25)
        footprint = _1 / (np.float32(len(points)) * pdf) / texel
        source: Any = 0
        while footprint > _2 and source < last:
            footprint *= np.float32(0.25)
            source += 1
        lights[count, 0] = _2 * nh * sh * np.cos(phi)
        lights[count, 1] = _2 * nh * sh * np.sin(phi)
        lights[count, 2] = lz
        lights[count, 3] = np.float32(source)
        count += 1
    return count


@fast
def _set_frames(y: int, n: int, q: Any) -> None:
    """The direction of each texel of row ``y`` of ``n``, and two more that make a frame with it."""
    for x in range(n):
        dx, dy, dz = from_octahedral((np.float32(x) + _HALF) / np.float32(n), (np.float32(y) + _HALF) / np.float32(n))
        side = abs(dz) < np.float32(0.9)
        tx, ty, tz = (-dy if side else _0), (dx if side else -dz), (_0 if side else dy)
        s = _1 / np.sqrt(tx * tx + ty * ty + tz * tz)
        tx, ty, tz = tx * s, ty * s, tz * s
        q[ix(_DX + x)], q[ix(_DY + x)], q[ix(_DZ + x)] = dx, dy, dz
        q[ix(_TX + x)], q[ix(_TY + x)], q[ix(_TZ + x)] = tx, ty, tz
        q[ix(_BX + x)], q[ix(_BY + x)], q[ix(_BZ + x)] = dy * tz - dz * ty, dz * tx - dx * tz, dx * ty - dy * tx


@fast
def _add_light(n: int, lx: Any, ly: Any, lz: Any, start: Any, w: Any, h: Any, texels: Any, q: Any, at: Any) -> None:
    """Add to the sums of a row what comes from one direction in the frames of its texels, times ``lz``, bilinear."""
    width, height, row = np.float32(w), np.float32(h), np.int32(4 * (w + 1))
    for i in range(n):
        x = lx * q[ix(_TX + i)] + ly * q[ix(_BX + i)] + lz * q[ix(_DX + i)]
        y = lx * q[ix(_TY + i)] + ly * q[ix(_BY + i)] + lz * q[ix(_DY + i)]
        z = lx * q[ix(_TZ + i)] + ly * q[ix(_BZ + i)] + lz * q[ix(_DZ + i)]
        u = (_HALF - atan2(y, x) * np.float32(0.5 / np.pi)) * width - _HALF
        v = atan2(np.sqrt(x * x + y * y), z) * np.float32(1 / np.pi) * height - _HALF
        fu, fv = np.floor(u), np.floor(v)
        q[ix(_FA + i)] = u - fu
        q[ix(_FB + i)] = v - fv
        column, line = np.int32(fu), np.int32(fv)
        column = column + w if column < 0 else column
        upper = min(max(line, np.int32(0)), h - np.int32(1))
        lower = min(max(line + np.int32(1), np.int32(0)), h - np.int32(1))
        at[ix(i)] = start + upper * row + np.int32(4) * column
        at[ix(_STRIDE + i)] = start + lower * row + np.int32(4) * column
    for i in range(n):
        a, b = q[ix(_FA + i)], q[ix(_FB + i)]
        p, o = (_1 - a) * (_1 - b) * lz, a * (_1 - b) * lz
        r, s = (_1 - a) * b * lz, a * b * lz
        above, below = np.int64(at[ix(i)]), np.int64(at[ix(_STRIDE + i)])
        for c in range(4):
            q[ix(_SUM + 4 * i + c)] += (
                texels[ix(above + c)] * p + texels[ix(above + 4 + c)] * o
                + texels[ix(below + c)] * r + texels[ix(below + 4 + c)] * s
            )  # fmt: skip


@fast
def _encode(r: Any, g: Any, b: Any, scale: Any) -> Any:
    """The root of each colour c as c / (c + ``scale``) in 11, 11 and 10 bits."""
    limit = np.float32(500.0) * scale
    r, g, b = min(r, limit), min(g, limit), min(b, limit)
    R = np.uint32(np.sqrt(r / (r + scale)) * np.float32(2047.0) + _HALF)
    G = np.uint32(np.sqrt(g / (g + scale)) * np.float32(2047.0) + _HALF)
    B = np.uint32(np.sqrt(b / (b + scale)) * np.float32(1023.0) + _HALF)
    return np.uint32((R << np.uint32(21)) | (G << np.uint32(10)) | B)


@fast
def _prefilter_levels(
    texels: Any, table: Any, points: Any, scale: Any, starts: Any, sides: Any, lights: Any, q: Any, at: Any, out: Any
) -> None:
    """Fill ``out`` level by level. ``lights``, ``q`` and ``at`` are working memory."""
    texel = np.float32(4 * np.pi) / np.float32(table[0, 1] * table[0, 2])
    for level in range(len(sides)):
        n = sides[level]
        start = starts[level]
        row = n + 2
        if level == 0:
            # A mirror: one direction.
            lights[0, 0], lights[0, 1], lights[0, 2], lights[0, 3] = _0, _0, _1, _0
            count: Any = 1
        else:
            count = _sample_lights(level, points, texel, len(table) - 1, lights)
        total = _0
        for k in range(count):
            total += lights[k, 2]
        share = _1 / total
        for y in range(n):
            _set_frames(y, n, q)
            for i in range(4 * n):
                q[ix(_SUM + i)] = _0
            for k in range(count):
                m = np.int64(lights[k, 3])
                _add_light(
                    n, lights[k, 0], lights[k, 1], lights[k, 2], table[m, 0], table[m, 1], table[m, 2], texels, q, at
                )
            for x in range(n):
                r, g, b = q[ix(_SUM + 4 * x)], q[ix(_SUM + 4 * x + 1)], q[ix(_SUM + 4 * x + 2)]
                out[ix(start + (y + 1) * row + x + 1)] = _encode(r * share, g * share, b * share, scale)
        for k in range(n):
            out[start + (n - k) * row] = out[start + (k + 1) * row + 1]
            out[start + (n - k) * row + n + 1] = out[start + (k + 1) * row + n]
            out[start + n - k] = out[start + row + k + 1]
            out[start + (n + 1) * row + n - k] = out[start + n * row + k + 1]
        out[start] = out[start + n * row + n]
        out[start + n + 1] = out[start + n * row + 1]
        out[start + (n + 1) * row] = out[start + row + n]
        out[start + (n + 1) * row + n + 1] = out[start + row + 1]

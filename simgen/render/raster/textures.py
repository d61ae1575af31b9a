"""Textures: packing into 32 bits with mip-maps, and reading them.

Colour is stored as the square root of linear light in 11, 11 and 10 bits: finer than 8-bit sRGB everywhere, and decoded
by one multiplication. A texture repeats; each level of a colour map has a border of one texel in which it does, so that
the four texels around a place are two pairs of neighbours in memory. Data (normals, roughness, alpha) is stored as the
four bytes of the image, without a border.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.render.raster.jit import fast, ix, strict, strict_part
from simgen.render.raster.layout import LEVEL, LEVELS, MAX_LEVELS, TEXTURE_INTS

_SRGB = np.where(
    np.arange(256) <= 10, np.arange(256) / 255 / 12.92, ((np.arange(256) / 255 + 0.055) / 1.055) ** 2.4
).astype(np.float32)
"""Linear light of an 8-bit sRGB value (IEC 61966-2-1)."""
_LINEAR = (np.arange(256) / 255).astype(np.float32)
_RED_MOST, _GREEN_MOST, _BLUE_MOST = np.float32(2047.0), np.float32(2047.0), np.float32(1023.0)


def level_sizes(width: int, height: int) -> list[tuple[int, int]]:
    """Width and height of each mip level, the full size first, 1 x 1 last (or the last of MAX_LEVELS)."""
    sizes = [(width, height)]
    while sizes[-1] != (1, 1) and len(sizes) < MAX_LEVELS:
        w, h = sizes[-1]
        sizes.append((max(w // 2, 1), max(h // 2, 1)))
    return sizes


@strict
def _reduce(source: Any, w: int, h: int, target: Any, tw: int, th: int) -> None:
    """Average (h, w, 4) down to (th, tw, 4); the colours are premultiplied by the last channel, their weight."""
    if w == 2 * tw and h == 2 * th:
        # Most sizes are even all the way down: the same sums, with nothing to find out per texel.
        quarter = np.float32(0.25)
        for y in range(th):
            for x in range(tw):
                for c in range(4):
                    p, q = source[ix(2 * y), ix(2 * x), ix(c)], source[ix(2 * y), ix(2 * x + 1), ix(c)]
                    r, s = source[ix(2 * y + 1), ix(2 * x), ix(c)], source[ix(2 * y + 1), ix(2 * x + 1), ix(c)]
                    target[ix(y), ix(x), ix(c)] = (p + q + r + s) * quarter
        return
    for y in range(th):
        y0, y1 = y * h // th, (y + 1) * h // th
        for x in range(tw):
            x0, x1 = x * w // tw, (x + 1) * w // tw
            r = g = b = a = np.float32(0.0)
            for v in range(y0, y1):
                for u in range(x0, x1):
                    r += source[v, u, 0]
                    g += source[v, u, 1]
                    b += source[v, u, 2]
                    a += source[v, u, 3]
            scale = np.float32(1.0) / np.float32((y1 - y0) * (x1 - x0))
            target[y, x, 0] = r * scale
            target[y, x, 1] = g * scale
            target[y, x, 2] = b * scale
            target[y, x, 3] = a * scale


@strict
def _unpack(pixels: Any, curve: Any, weighted: bool, target: Any) -> None:
    for y in range(pixels.shape[0]):
        for x in range(pixels.shape[1]):
            a = np.float32(1.0)
            if weighted:
                a = np.float32(pixels[y, x, 3]) * np.float32(1 / 255)
            for c in range(3):
                target[y, x, c] = curve[pixels[y, x, c]] * a
            target[y, x, 3] = a


@strict
def _fill_holes(level: Any, w: int, h: int, coarser: Any, cw: int, ch: int) -> None:
    """Give texels of no weight the colour of the coarser level, so that filtering meets no stray colour."""
    for y in range(h):
        for x in range(w):
            if level[y, x, 3] <= np.float32(0.0):
                u, v = min(x * cw // w, cw - 1), min(y * ch // h, ch - 1)
                weight = max(coarser[v, u, 3], np.float32(1e-6))
                for c in range(3):
                    level[y, x, c] = coarser[v, u, c] / weight * np.float32(1e-6)
                level[y, x, 3] = np.float32(1e-6)


@strict_part
def _code(value: Any, most: Any) -> Any:
    """The root of a colour in [0, 1] as a whole number up to ``most``."""
    # Signed integers of 32 bits are what vector units convert at full speed.
    return np.uint32(np.int32(np.sqrt(min(value, np.float32(1.0))) * most + np.float32(0.5)))


@strict
def _encode_color(level: Any, w: int, h: int, out: Any, start: int) -> None:
    """Pack a level (flat) into ``out`` from ``start`` on, inside of its border."""
    row = w + 2
    for y in range(h):
        first, source = start + (y + 1) * row + 1, 4 * y * w
        for x in range(w):
            weight = max(level[ix(source + 4 * x + 3)], np.float32(1e-6))
            R = _code(level[ix(source + 4 * x)] / weight, _RED_MOST)
            G = _code(level[ix(source + 4 * x + 1)] / weight, _GREEN_MOST)
            B = _code(level[ix(source + 4 * x + 2)] / weight, _BLUE_MOST)
            out[ix(first + x)] = np.uint32((R << np.uint32(21)) | (G << np.uint32(10)) | B)


@strict
def _encode_pixels(pixels: Any, curve: Any, out: Any) -> None:
    """Pack the full size of a map whose texels all have the weight 1 into ``out``, inside of its border."""
    codes = np.empty((3, 256), np.uint32)
    for k in range(256):
        codes[0, k] = _code(curve[k], _RED_MOST) << np.uint32(21)
        codes[1, k] = _code(curve[k], _GREEN_MOST) << np.uint32(10)
        codes[2, k] = _code(curve[k], _BLUE_MOST)
    h, w = pixels.shape[0], pixels.shape[1]
    for y in range(h):
        first = (y + 1) * (w + 2) + 1
        for x in range(w):
            r, g, b = pixels[ix(y), ix(x), ix(0)], pixels[ix(y), ix(x), ix(1)], pixels[ix(y), ix(x), ix(2)]
            out[ix(first + x)] = codes[ix(0), ix(r)] | codes[ix(1), ix(g)] | codes[ix(2), ix(b)]


@strict
def _add_border(w: int, h: int, out: Any, start: int) -> None:
    """Repeat a level around itself."""
    row = w + 2
    for y in range(1, h + 1):
        out[start + y * row] = out[start + y * row + w]
        out[start + y * row + w + 1] = out[start + y * row + 1]
    for x in range(row):
        out[start + x] = out[start + h * row + x]
        out[start + (h + 1) * row + x] = out[start + row + x]


def pack_color(pixels: NDArray[np.uint8], srgb: bool, weighted: bool) -> NDArray[np.uint32]:
    """All mip levels of a colour map (H, W, 3 or 4) with their borders, flat.

    ``weighted``: transparent texels do not colour others.
    """
    pixels = np.array(pixels, np.uint8, order="C")
    curve = _SRGB if srgb else _LINEAR
    h, w = pixels.shape[:2]
    sizes = level_sizes(w, h)
    weighted = weighted and pixels.shape[2] == 4
    levels = [np.empty((lh, lw, 4), np.float32) for lw, lh in sizes]
    _unpack(pixels, curve, weighted, levels[0])
    for k in range(1, len(sizes)):
        _reduce(levels[k - 1], *sizes[k - 1], levels[k], *sizes[k])
    if weighted:
        for k in range(len(sizes) - 2, -1, -1):
            _fill_holes(levels[k], *sizes[k], levels[k + 1], *sizes[k + 1])
    out = np.empty(sum((lw + 2) * (lh + 2) for lw, lh in sizes), np.uint32)
    start = 0
    for k, (level, (lw, lh)) in enumerate(zip(levels, sizes, strict=True)):
        if k == 0 and not weighted:
            _encode_pixels(pixels, curve, out)
        else:
            _encode_color(level.reshape(-1), lw, lh, out, start)
        _add_border(lw, lh, out, start)
        start += (lw + 2) * (lh + 2)
    return out


@strict
def _reduce_data(source: Any, start: int, w: int, h: int, target: int, tw: int, th: int) -> None:
    for y in range(th):
        y0, y1 = y * h // th, (y + 1) * h // th
        for x in range(tw):
            x0, x1 = x * w // tw, (x + 1) * w // tw
            n = (y1 - y0) * (x1 - x0)
            r = g = b = a = n // 2
            for v in range(y0, y1):
                for u in range(x0, x1):
                    t = int(source[start + v * w + u])
                    r += t & 255
                    g += (t >> 8) & 255
                    b += (t >> 16) & 255
                    a += (t >> 24) & 255
            source[target + y * tw + x] = np.uint32((r // n) | ((g // n) << 8) | ((b // n) << 16) | ((a // n) << 24))


def pack_data(pixels: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """All mip levels of a data map (H, W, 3 or 4), flat: red in the lowest byte, alpha (255 if absent) highest."""
    h, w = pixels.shape[:2]
    sizes = level_sizes(w, h)
    full = np.full((h, w, 4), 255, np.uint8)
    full[..., : pixels.shape[2]] = pixels
    out = np.empty(sum(lw * lh for lw, lh in sizes), np.uint32)
    out[: w * h] = full.reshape(-1, 4).astype(np.uint32) @ np.array([1, 1 << 8, 1 << 16, 1 << 24], np.uint32)
    start = 0
    for (w0, h0), (w1, h1) in pairwise(sizes):
        _reduce_data(out, start, w0, h0, start + w0 * h0, w1, h1)
        start += w0 * h0
    return out


def table_row(start: int, width: int, height: int, border: int) -> NDArray[np.int32]:
    """Row of the texture table for a texture whose levels lie at ``start``, each within ``border`` further texels."""
    row = np.zeros(TEXTURE_INTS, np.int32)
    sizes = level_sizes(width, height)
    row[LEVELS] = len(sizes)
    for k, (w, h) in enumerate(sizes):
        row[LEVEL + 3 * k : LEVEL + 3 * k + 3] = start, w, h
        start += (w + 2 * border) * (h + 2 * border)
    return row


@strict
def sample_alpha(
    textures: Any, texels: Any, texture: int, u: float, v: float, u_x: float, v_x: float, u_y: float, v_y: float
) -> float:
    """Alpha in [0, 1] of a data map, bilinear in the level that fits the footprint; strict, float64."""
    if not (abs(u) < 1e9 and abs(v) < 1e9):
        return 1.0
    width, height = textures[texture, LEVEL + 1], textures[texture, LEVEL + 2]
    along_x = (u_x * width) ** 2 + (v_x * height) ** 2
    along_y = (u_y * width) ** 2 + (v_y * height) ** 2
    footprint = max(along_x, along_y)
    level = 0
    while footprint >= 4.0 and level < textures[texture, LEVELS] - 1:
        footprint *= 0.25
        level += 1
    start = textures[texture, LEVEL + 3 * level]
    w, h = textures[texture, LEVEL + 3 * level + 1], textures[texture, LEVEL + 3 * level + 2]
    x = (u - np.floor(u)) * w - 0.5
    y = (v - np.floor(v)) * h - 0.5
    fx, fy = np.floor(x), np.floor(y)
    a, b = x - fx, y - fy
    x0, y0 = np.int64(fx), np.int64(fy)
    x1, y1 = (x0 + 1) % w, (y0 + 1) % h
    x0, y0 = x0 % w, y0 % h
    p = np.float64(texels[start + y0 * w + x0] >> np.uint32(24))
    q = np.float64(texels[start + y0 * w + x1] >> np.uint32(24))
    r = np.float64(texels[start + y1 * w + x0] >> np.uint32(24))
    s = np.float64(texels[start + y1 * w + x1] >> np.uint32(24))
    top = p + (q - p) * a
    bottom = r + (s - r) * a
    return (top + (bottom - top) * b) / 255.0


RED_SCALE = np.float32(1 / 2047**2)
GREEN_SCALE = RED_SCALE
BLUE_SCALE = np.float32(1 / 1023**2)


@fast
def unpack_color(texel: Any) -> Any:
    """Linear red, green and blue of a packed colour, to be multiplied by RED_SCALE, GREEN_SCALE and BLUE_SCALE."""
    # Signed integers of 32 bits are what vector units convert at full speed.
    r = np.float32(np.int32(texel >> np.uint32(21)))
    g = np.float32(np.int32((texel >> np.uint32(10)) & np.uint32(2047)))
    b = np.float32(np.int32(texel & np.uint32(1023)))
    return r * r, g * g, b * b

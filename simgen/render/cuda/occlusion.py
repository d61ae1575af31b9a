"""Ambient occlusion of a whole batch at half resolution: the formulas of ``simgen.render.raster.occlusion``."""

from __future__ import annotations

from typing import Any

import numpy as np

from simgen.render.cuda.device import cuda, device, kernel
from simgen.render.cuda.surface import interpolate_normal, key_triangle, key_w
from simgen.render.raster import occlusion
from simgen.render.raster.layout import CX, CY, FX, FY
from simgen.render.raster.occlusion import FADE, SLICE, STEPS, WIDEST
from simgen.render.raster.visibility import EMPTY

_0 = np.float32(0.0)
_1 = np.float32(1.0)
_HALF = np.float32(0.5)
slice_normal = device(occlusion.slice_normal)
horizon = device(occlusion.horizon)
open_share = device(occlusion.open_share)


@device
def _gather(i: int, key: Any, x: int, y: int, slots: Any, planes: Any, camera: Any, depth: Any, normal: Any) -> None:
    t = np.int64(key_triangle(key))
    depth[i] = _0
    if t != EMPTY:
        depth[i] = _1 / key_w(key)
        nx, ny, nz = interpolate_normal(np.int64(slots[t]), np.float32(x), np.float32(y), planes, camera)
        normal[3 * i], normal[3 * i + 1], normal[3 * i + 2] = nx, ny, nz


@kernel
def gather_half(
    keys: Any, samples: int, width: int, height: int, slots: Any, planes: Any, cameras: Any, depth: Any, normal: Any,
    count: int,
) -> None:  # fmt: skip
    """A thread per half-resolution pixel: depth (0: none) and normal of every other pixel of every other row."""
    i = cuda.grid(1)
    if i < count:
        across, down = (width + 1) // 2, (height + 1) // 2
        image, pixel = i // (across * down), i % (across * down)
        x, y = 2 * (pixel % across), 2 * (pixel // across)
        key = keys[image * samples * width * height + y * width + x]
        _gather(i, key, x, y, slots, planes, cameras[image], depth, normal)


@device
def _ahead(
    u: Any, v: Any, start: int, width: int, height: int, camera: Any, depth: Any, px: Any, py: Any, z: Any,
    nx: Any, ny: Any, nz: Any, vx: Any, vy: Any, vz: Any, fade: Any, low: Any,
) -> Any:  # fmt: skip
    """The horizon that the surface seen at (u, v), half a pixel less, makes at a point; ``low`` where there is none."""
    column = np.int64(min(max(u, _0), np.float32(width - 1)))
    row = np.int64(min(max(v, _0), np.float32(height - 1)))
    found = depth[start + row * width + column]
    inverse_fx, inverse_fy = _1 / (np.float32(camera[FX]) * _HALF), _1 / (np.float32(camera[FY]) * _HALF)
    qx = (np.float32(column) - np.float32(camera[CX]) * _HALF) * inverse_fx * found - px
    qy = (np.float32(row) - np.float32(camera[CY]) * _HALF) * inverse_fy * found - py
    raised = horizon(qx, qy, found - z, nx, ny, nz, vx, vy, vz, np.float32(0.002) * z, fade, low)
    return raised if found > _0 else low


@device
def _open(
    column: int, row: int, start: int, width: int, height: int, camera: Any, radius: Any, turns: Any, depth: Any,
    normal: Any,
) -> Any:  # fmt: skip
    """Share of the sky that is open at a half-resolution pixel of the image that begins at ``start``."""
    at = start + row * width + column
    z = depth[at]
    fx, fy = np.float32(camera[FX]) * _HALF, np.float32(camera[FY]) * _HALF
    x, y = np.float32(column), np.float32(row)
    reach = min(radius * fx / max(z, np.float32(1e-6)), np.float32(WIDEST) * np.float32(width))
    if not (z > _0 and reach >= _1):
        return _1
    nx, ny, nz = normal[3 * at], normal[3 * at + 1], normal[3 * at + 2]
    px, py = (x - np.float32(camera[CX]) * _HALF) / fx * z, (y - np.float32(camera[CY]) * _HALF) / fy * z
    inverse = _1 / np.sqrt(px * px + py * py + z * z + np.float32(1e-12))
    vx, vy, vz = -px * inverse, -py * inverse, -z * inverse
    turn = SLICE * ((row & 3) * 4 + (column & 3))
    c, s = turns[turn], turns[turn + 1]
    length, sine, cosine = slice_normal(c, s, nx, ny, nz, vx, vy, vz)
    fade = np.float32(FADE) / radius
    ahead, behind = -sine, sine
    for step in range(STEPS):
        far = max(turns[turn + 2 + step] * reach, np.float32(1 + step))
        found = _ahead(
            x + _HALF + c * far, y + _HALF + s * far, start, width, height, camera, depth, px, py, z, nx, ny, nz,
            vx, vy, vz, fade, -sine,
        )  # fmt: skip
        ahead = max(ahead, found)
        found = _ahead(
            x + _HALF - c * far, y + _HALF - s * far, start, width, height, camera, depth, px, py, z, nx, ny, nz,
            vx, vy, vz, fade, sine,
        )  # fmt: skip
        behind = max(behind, found)
    return open_share(ahead, behind, length, sine, cosine)


@kernel
def occlude(
    width: int, height: int, cameras: Any, radii: Any, turns: Any, depth: Any, normal: Any, out: Any, count: int
) -> None:
    """A thread per half-resolution pixel: its share of open sky, unsmoothed."""
    i = cuda.grid(1)
    if i < count:
        image, pixel = i // (width * height), i % (width * height)
        out[i] = _open(
            pixel % width, pixel // width, image * width * height, width, height, cameras[image], radii[image], turns,
            depth, normal,
        )  # fmt: skip


@device
def _average(
    x: int, y: int, start: int, width: int, height: int, depth: Any, source: Any, step_x: int, step_y: int
) -> Any:
    i = start + y * width + x
    z = depth[i]
    tolerance = np.float32(12.0) / max(z, np.float32(1e-6))
    total = source[i]
    weight = _1
    for k in range(-2, 3):
        u, v = x + k * step_x, y + k * step_y
        if k != 0 and u >= 0 and v >= 0 and u < width and v < height:
            j = start + v * width + u
            # The ends count half: five pixels make a window of four.
            share = max(_1 - abs(depth[j] - z) * tolerance, _0) * (_HALF if abs(k) == 2 else _1)
            total += source[j] * share
            weight += share
    return total / weight


@kernel
def smooth(width: int, height: int, depth: Any, source: Any, target: Any, step_x: int, step_y: int, count: int) -> None:
    """A thread per half-resolution pixel: average in one direction, leaving out pixels at another depth."""
    i = cuda.grid(1)
    if i < count:
        image, pixel = i // (width * height), i % (width * height)
        target[i] = _average(
            pixel % width, pixel // width, image * width * height, width, height, depth, source, step_x, step_y
        )  # fmt: skip


@device
def sky_seen(px: Any, py: Any, w: Any, start: int, width: int, height: int, depth: Any, source: Any) -> Any:
    """The half-resolution result at a fragment: bilinear, weighted by likeness of depth."""
    right, bottom = np.float32(width - 1), np.float32(height - 1)
    x, y = min(max(px * _HALF, _0), right), min(max(py * _HALF, _0), bottom)
    fx, fy = np.floor(x), np.floor(y)
    total = weight = np.float32(1e-6)
    for k in range(4):
        ox, oy = np.float32(k & 1), np.float32(k >> 1)
        near = (_1 - abs(x - fx - ox)) * (_1 - abs(y - fy - oy)) + np.float32(1e-3)
        u, v = min(fx + ox, right), min(fy + oy, bottom)
        at = start + np.int64(v) * width + np.int64(u)
        share = near * max(_1 - abs(depth[at] * w - _1) * np.float32(16.0), _0)
        total += share * source[at]
        weight += share
    return min(max(total / weight, _0), _1)

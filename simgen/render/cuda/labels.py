"""Ground truth at pixel centres, all from one visibility buffer: the formulas of ``simgen.render.raster.labels``."""

from __future__ import annotations

from typing import Any

import numpy as np

from simgen.render.cuda.device import cuda, device, kernel, strict_kernel
from simgen.render.cuda.surface import interpolate_normal, key_triangle, key_w
from simgen.render.raster.layout import (
    CX,
    CY,
    FX,
    FY,
    INSTANCE,
    NEXT_CAM,
    OBJ_CAM,
    PART,
    PREVIOUS_CAM,
    SKEW,
)
from simgen.render.raster.visibility import EMPTY

PASSES = ("depth", "instance", "part", "normal", "object_coords", "flow_forward", "flow_backward")
"""In the order of the bits that say which are wanted."""


@device
def _flow(x: float, y: float, z: float, u0: float, v0: float, m: int, column: int, matrices: Any, camera: Any) -> Any:
    """Motion in pixels of a point in the camera frame; 0 when it is not in front of the camera at that time."""
    X = matrices[m, column] * x + matrices[m, column + 1] * y + matrices[m, column + 2] * z + matrices[m, column + 3]
    column += 4
    Y = matrices[m, column] * x + matrices[m, column + 1] * y + matrices[m, column + 2] * z + matrices[m, column + 3]
    column += 4
    Z = matrices[m, column] * x + matrices[m, column + 1] * y + matrices[m, column + 2] * z + matrices[m, column + 3]
    inverse = 1.0 / max(Z, 1e-6)
    u = (camera[FX] * X + camera[SKEW] * Y) * inverse + camera[CX]
    v = camera[FY] * Y * inverse + camera[CY]
    return np.float32(u - u0 if Z > 1e-6 else 0.0), np.float32(v - v0 if Z > 1e-6 else 0.0)


@device
def resolve_pixel(
    i: int, key: Any, px: int, py: int, camera: Any, slots: Any, planes: Any, owner: Any, draws: Any, matrices: Any,
    neighbours: int, wanted: int, depth: Any, instance: Any, part: Any, normal: Any, coords: Any, forward: Any,
    backward: Any,
) -> None:  # fmt: skip
    """Write the passes ``wanted`` (bits) of pixel ``i`` of the batch; ``neighbours``: 1 next, 2 previous time given."""
    zero = np.float32(0.0)
    t = np.int64(key_triangle(key))
    seen = t != EMPTY
    n = np.int64(slots[t]) if seen else np.int64(0)
    m = np.int64(owner[n]) if seen else np.int64(0)
    w = np.float64(key_w(key))
    if wanted & 1:
        depth[i] = np.float32(1.0 / w) if seen else zero
    if wanted & 2:
        instance[i] = np.uint16(draws[m, INSTANCE]) if seen else np.uint16(0)
    if wanted & 4:
        part[i] = np.uint16(draws[m, PART]) if seen else np.uint16(0)
    if wanted & 8:
        nx, ny, nz = zero, zero, zero
        if seen:
            nx, ny, nz = interpolate_normal(n, np.float32(px), np.float32(py), planes, camera)
        normal[3 * i] = nx
        normal[3 * i + 1] = ny
        normal[3 * i + 2] = nz
    if not (wanted & 112):
        return
    u0, v0 = np.float64(px), np.float64(py)
    z = 1.0 / w
    ry = (v0 - camera[CY]) * (1.0 / camera[FY])
    rx = (u0 - camera[CX] - camera[SKEW] * ry) * (1.0 / camera[FX])
    x, y = rx * z, ry * z
    if wanted & 16:
        for c in range(3):
            value = zero
            if seen:
                k = OBJ_CAM + 4 * c
                value = np.float32(
                    matrices[m, k] * x + matrices[m, k + 1] * y + matrices[m, k + 2] * z + matrices[m, k + 3]
                )
            coords[3 * i + c] = value
    if wanted & 32:
        u, v = zero, zero
        if seen and neighbours & 1:
            u, v = _flow(x, y, z, u0, v0, m, NEXT_CAM, matrices, camera)
        forward[2 * i] = u
        forward[2 * i + 1] = v
    if wanted & 64:
        u, v = zero, zero
        if seen and neighbours & 2:
            u, v = _flow(x, y, z, u0, v0, m, PREVIOUS_CAM, matrices, camera)
        backward[2 * i] = u
        backward[2 * i + 1] = v


@strict_kernel
def resolve(
    keys: Any, samples: int, width: int, height: int, cameras: Any, slots: Any, planes: Any, owner: Any, draws: Any,
    matrices: Any, neighbours: Any, wanted: int, depth: Any, instance: Any, part: Any, normal: Any, coords: Any,
    forward: Any, backward: Any, count: int,
) -> None:  # fmt: skip
    """A thread per pixel of the batch: all labels."""
    i = cuda.grid(1)
    if i < count:
        image, pixel = i // (width * height), i % (width * height)
        resolve_pixel(
            i, keys[image * samples * width * height + pixel], pixel % width, pixel // width, cameras[image], slots,
            planes, owner, draws, matrices, neighbours[image], wanted, depth, instance, part, normal, coords, forward,
            backward,
        )  # fmt: skip


@kernel
def cover(keys: Any, out: Any, count: int) -> None:
    """A thread per sample: 1 where any triangle is seen."""
    i = cuda.grid(1)
    if i < count:
        out[i] = np.uint8(0) if key_triangle(keys[i]) == np.uint32(EMPTY) else np.uint8(1)

"""Surface and material of a fragment: the formulas of ``simgen.render.raster.materials`` and ``texturing``."""

from __future__ import annotations

from typing import Any

import numpy as np

from simgen.render.cuda.device import device
from simgen.render.cuda.points import (
    ALPHA,
    F0B,
    F0G,
    F0R,
    FNX,
    FNY,
    FNZ,
    NOISE,
    NV,
    NX,
    NY,
    NZ,
    OUT_B,
    OUT_G,
    OUT_R,
    ROUGH,
    UX,
    UY,
    VX,
    VXU,
    VY,
    VYU,
    VZ,
    B,
    G,
    R,
    U,
    V,
    X,
    Y,
    Z,
)
from simgen.render.raster import layout as L  # noqa: N812
from simgen.render.raster import mathematics, textures, texturing
from simgen.render.raster.textures import BLUE_SCALE, GREEN_SCALE, RED_SCALE

saturate = device(mathematics.saturate)
log2 = device(mathematics.log2)
unpack_color = device(textures.unpack_color)
sample_data = device(texturing.sample_data)

_0 = np.float32(0.0)
_1 = np.float32(1.0)
_2 = np.float32(2.0)
_HALF = np.float32(0.5)
_TINY = np.float32(1e-12)
_HUGE = np.float32(1e18)


@device
def load_surface(n: int, px: Any, py: Any, w: Any, nx: Any, ny: Any, nz: Any, planes: Any, camera: Any, f: Any) -> None:
    """Position, normals, texture coordinates and their steps of a fragment on visible triangle ``n``."""
    inverse_fx, inverse_fy = np.float32(1.0 / camera[L.FX]), np.float32(1.0 / camera[L.FY])
    cx, cy, skew = np.float32(camera[L.CX]), np.float32(camera[L.CY]), np.float32(camera[L.SKEW])
    z = _1 / w
    ry = (py - cy) * inverse_fy
    rx = (px - cx - skew * ry) * inverse_fx
    f[X], f[Y], f[Z] = rx * z, ry * z, z
    s = -_1 / np.sqrt(rx * rx + ry * ry + _1)
    f[VX], f[VY], f[VZ] = rx * s, ry * s, s
    noise = np.float32(0.06711056) * px + np.float32(0.00583715) * py
    noise = np.float32(52.9829189) * (noise - np.floor(noise))
    f[NOISE] = noise - np.floor(noise)
    f[NX], f[NY], f[NZ] = nx, ny, nz
    at = np.int64(n) * L.TRIANGLE
    dx, dy = px - planes[at + L.X0], py - planes[at + L.Y0]
    w1, w2 = planes[at + L.PLANE_W + 1], planes[at + L.PLANE_W + 2]
    u1, u2 = planes[at + L.PLANE_U + 1], planes[at + L.PLANE_U + 2]
    v1, v2 = planes[at + L.PLANE_V + 1], planes[at + L.PLANE_V + 2]
    u = (planes[at + L.PLANE_U] + u1 * dx + u2 * dy) * z
    v = (planes[at + L.PLANE_V] + v1 * dx + v2 * dy) * z
    f[U], f[V] = u, v
    f[UX], f[UY] = (u1 - u * w1) * z, (u2 - u * w2) * z
    f[VXU], f[VYU] = (v1 - v * w1) * z, (v2 - v * w2) * z
    f[FNX], f[FNY], f[FNZ] = planes[at + L.FACE_N], planes[at + L.FACE_N + 1], planes[at + L.FACE_N + 2]


@device
def bilinear_color(texels: Any, start: int, w: Any, h: Any, u: Any, v: Any) -> Any:
    """Linear colour of a mip level that repeats; it begins at ``start`` with its border of one texel."""
    x = (u - np.floor(u)) * np.float32(w) + _HALF
    y = (v - np.floor(v)) * np.float32(h) + _HALF
    x0, y0 = min(max(np.int64(x), 0), w), min(max(np.int64(y), 0), h)
    fa, fb = x - np.float32(x0), y - np.float32(y0)
    upper = start + y0 * (w + 2) + x0
    lower = upper + w + 2
    r00, g00, b00 = unpack_color(texels[upper])
    r01, g01, b01 = unpack_color(texels[upper + 1])
    r10, g10, b10 = unpack_color(texels[lower])
    r11, g11, b11 = unpack_color(texels[lower + 1])
    r0, r1 = r00 + (r01 - r00) * fa, r10 + (r11 - r10) * fa
    g0, g1 = g00 + (g01 - g00) * fa, g10 + (g11 - g10) * fa
    b0, b1 = b00 + (b01 - b00) * fa, b10 + (b11 - b10) * fa
    return (r0 + (r1 - r0) * fb) * RED_SCALE, (g0 + (g1 - g0) * fb) * GREEN_SCALE, (b0 + (b1 - b0) * fb) * BLUE_SCALE


@device
def filter_color(table: Any, texture: int, texels: Any, f: Any) -> Any:
    """Linear colour of a map over the footprint of a fragment; see ``raster.texturing.list_lines``."""
    width, height = np.float32(table[texture, L.LEVEL + 1]), np.float32(table[texture, L.LEVEL + 2])
    last = np.float32(table[texture, L.LEVELS] - 1)
    ux, vx, uy, vy = f[UX] * width, f[VXU] * height, f[UY] * width, f[VYU] * height
    along_x, along_y = ux * ux + vx * vx, uy * uy + vy * vy
    major2 = min(max(max(along_x, along_y), _TINY), _HUGE)
    area = ux * vy - uy * vx
    ratio2 = min(major2 * major2 / max(area * area, np.float32(1e-36)), np.float32(64.0))
    count = max(np.floor(np.sqrt(ratio2) + np.float32(0.3)), _1) if major2 > _1 else _1
    level = _HALF * (log2(major2) - log2(min(count * count, max(ratio2, _1)))) - np.float32(0.2)
    level = min(max(level, _0), last)
    low = np.floor(level)
    if (level - low - np.float32(0.25)) * _2 > f[NOISE]:
        low = min(low + _1, last)
    share = _1 / count
    du = (f[UX] if along_x > along_y else f[UY]) * share
    dv = (f[VXU] if along_x > along_y else f[VYU]) * share
    offset = _HALF - _HALF * count
    u, v = f[U] + offset * du, f[V] + offset * dv
    row = L.LEVEL + 3 * np.int64(low)
    start, w, h = np.int64(table[texture, row]), np.int64(table[texture, row + 1]), np.int64(table[texture, row + 2])
    r, g, b = _0, _0, _0
    for k in range(np.int64(count)):
        p, q, s = bilinear_color(texels, start, w, h, u + np.float32(k) * du, v + np.float32(k) * dv)
        r += p * share
        g += q * share
        b += s * share
    return r, g, b


@device
def perturb_normal(n: int, planes: Any, table: Any, texture: int, texels: Any, side: Any, f: Any) -> None:
    """Tangent-space normal map (glTF: x along +u, y against +v, z outwards)."""
    at = np.int64(n) * L.TRIANGLE
    x, y, z = sample_data(table, texture, texels, f[U], f[V], side)
    x, y, z = x * _2 - _1, y * _2 - _1, max(z * _2 - _1, np.float32(0.05))
    nx, ny, nz = f[NX], f[NY], f[NZ]
    tx, ty, tz = planes[at + L.TANGENT], planes[at + L.TANGENT + 1], planes[at + L.TANGENT + 2]
    bx, by, bz = planes[at + L.BITANGENT], planes[at + L.BITANGENT + 1], planes[at + L.BITANGENT + 2]
    # Made orthogonal to the smooth normal.
    d = tx * nx + ty * ny + tz * nz
    tx, ty, tz = tx - d * nx, ty - d * ny, tz - d * nz
    d = bx * nx + by * ny + bz * nz
    bx, by, bz = bx - d * nx, by - d * ny, bz - d * nz
    mx = x * tx - y * bx + z * nx
    my = x * ty - y * by + z * ny
    mz = x * tz - y * bz + z * nz
    s = _1 / np.sqrt(max(mx * mx + my * my + mz * mz, _TINY))
    mx, my, mz = mx * s, my * s, mz * s
    # Kept on the side of the camera.
    away = max(np.float32(0.02) - (mx * f[VX] + my * f[VY] + mz * f[VZ]), _0)
    mx, my, mz = mx + away * f[VX], my + away * f[VY], mz + away * f[VZ]
    s = _1 / np.sqrt(mx * mx + my * my + mz * mz)
    f[NX], f[NY], f[NZ] = mx * s, my * s, mz * s


@device
def load_material(
    n: int, m: int, px: Any, py: Any, draws: Any, reals: Any, planes: Any, table: Any, texels: Any, f: Any
) -> None:
    """Material of a fragment of drawable ``m``: diffuse colour, F0, roughness, and emitted light in OUT."""
    r, g, b = reals[m, L.BASE], reals[m, L.BASE + 1], reals[m, L.BASE + 2]
    if draws[m, L.COLORS_IN_POOL] >= 0:
        at = np.int64(n) * L.TRIANGLE
        dx, dy = px - planes[at + L.X0], py - planes[at + L.Y0]
        at += L.PLANE_R
        r *= max((planes[at] + planes[at + 1] * dx + planes[at + 2] * dy) * f[Z], _0)
        g *= max((planes[at + 3] + planes[at + 4] * dx + planes[at + 5] * dy) * f[Z], _0)
        b *= max((planes[at + 6] + planes[at + 7] * dx + planes[at + 8] * dy) * f[Z], _0)
    if draws[m, L.COLOR_MAP] >= 0:
        p, q, s = filter_color(table, draws[m, L.COLOR_MAP], texels, f)
        r, g, b = p * r, q * g, s * b
    roughness, metallic = reals[m, L.ROUGHNESS], reals[m, L.METALLIC]
    f[OUT_R], f[OUT_G], f[OUT_B] = reals[m, L.EMISSIVE], reals[m, L.EMISSIVE + 1], reals[m, L.EMISSIVE + 2]
    side = np.sqrt(max(f[UX] * f[UX] + f[VXU] * f[VXU], f[UY] * f[UY] + f[VYU] * f[VYU])) * np.float32(0.7)
    texture = draws[m, L.ROUGHNESS_MAP]
    if texture >= 0:
        _, rough, metal = sample_data(table, texture, texels, f[U], f[V], side)
        roughness, metallic = roughness * rough, metallic * metal
    if draws[m, L.NORMAL_MAP] >= 0:
        perturb_normal(n, planes, table, draws[m, L.NORMAL_MAP], texels, side, f)
    roughness = min(max(roughness, np.float32(0.045)), _1)
    metallic = saturate(metallic)
    f[ROUGH], f[ALPHA] = roughness, roughness * roughness
    f[F0R] = np.float32(0.04) + (r - np.float32(0.04)) * metallic
    f[F0G] = np.float32(0.04) + (g - np.float32(0.04)) * metallic
    f[F0B] = np.float32(0.04) + (b - np.float32(0.04)) * metallic
    f[R], f[G], f[B] = r * (_1 - metallic), g * (_1 - metallic), b * (_1 - metallic)
    f[NV] = max(f[NX] * f[VX] + f[NY] * f[VY] + f[NZ] * f[VZ], np.float32(1e-3))

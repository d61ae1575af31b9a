"""Materials of a block of fragments: maps, factors and what lighting needs of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from simgen.render.raster import layout as L  # noqa: N812
from simgen.render.raster.block import (
    ALPHA,
    BLOCK,
    F0B,
    F0G,
    F0R,
    METAL,
    NV,
    NX,
    NY,
    NZ,
    OUT_B,
    OUT_G,
    OUT_R,
    ROUGH,
    TBL,
    TG,
    THEIGHT,
    TR,
    TSTART,
    TU,
    TV,
    TW,
    TWIDTH,
    VX,
    VY,
    VZ,
    B,
    G,
    R,
    U,
    V,
    Z,
)
from simgen.render.raster.jit import fast, ix
from simgen.render.raster.mathematics import saturate
from simgen.render.raster.texturing import add_extra, filter_samples, footprint, list_samples, sample_data

_0 = np.float32(0.0)
_1 = np.float32(1.0)
_2 = np.float32(2.0)
_TINY = np.float32(1e-12)


@fast
def _perturb_normals(
    begin: int, end: int, first: int, triangle: Any, planes: Any, textures: Any, texture: int, texels: Any, b: Any
) -> None:
    """Tangent-space normal map (glTF: x along +u, y against +v, z outwards) on fragments of a block."""
    for i in range(begin, end):
        at = np.int64(triangle[ix(first + i)]) * L.TRIANGLE
        side = footprint(b, i)
        x = sample_data(textures, texture, texels, b[ix(U + i)], b[ix(V + i)], side, 0) * _2 - _1
        y = sample_data(textures, texture, texels, b[ix(U + i)], b[ix(V + i)], side, 8) * _2 - _1
        z = max(
            sample_data(textures, texture, texels, b[ix(U + i)], b[ix(V + i)], side, 16) * _2 - _1, np.float32(0.05)
        )
        nx, ny, nz = b[ix(NX + i)], b[ix(NY + i)], b[ix(NZ + i)]
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
        away = max(np.float32(0.02) - (mx * b[ix(VX + i)] + my * b[ix(VY + i)] + mz * b[ix(VZ + i)]), _0)
        mx, my, mz = mx + away * b[ix(VX + i)], my + away * b[ix(VY + i)], mz + away * b[ix(VZ + i)]
        s = _1 / np.sqrt(mx * mx + my * my + mz * mz)
        b[ix(NX + i)] = mx * s
        b[ix(NY + i)] = my * s
        b[ix(NZ + i)] = mz * s


@fast
def load_materials(
    first: int,
    n: int,
    triangle: Any,
    px: Any,
    py: Any,
    owner: Any,
    draws: Any,
    reals: Any,
    planes: Any,
    textures: Any,
    texels: Any,
    b: Any,
    s: Any,
    a: Any,
    t: Any,
) -> None:
    """Material of each fragment of a block: R, G, B diffuse colour, F0, ROUGH, ALPHA, and emitted light in OUT."""
    extra = 0
    i = 0
    while i < n:
        m = owner[triangle[ix(first + i)]]
        end = i + 1
        last = triangle[ix(first + i)]
        while end < n:
            current = triangle[ix(first + end)]
            if current != last:
                if owner[current] != m:
                    break
                last = current
            end += 1
        # The map's colour gathers in R, G, B while the factors wait in F0.
        if draws[m, L.COLOR_MAP] >= 0:
            extra = list_samples(extra, i, end, textures, draws[m, L.COLOR_MAP], texels, b, s, a, t)
        else:
            for k in range(i, end):
                b[ix(R + k)] = _1
                b[ix(G + k)] = _1
                b[ix(B + k)] = _1
            for k in range(i, end):
                s[ix(TU + k)] = _0
                s[ix(TV + k)] = _0
                s[ix(TW + k)] = _0
            for k in range(i, end):
                a[ix(TSTART + k)] = 0
                a[ix(TWIDTH + k)] = 1
                a[ix(THEIGHT + k)] = 1
        red, green, blue = reals[m, L.BASE], reals[m, L.BASE + 1], reals[m, L.BASE + 2]
        for k in range(i, end):
            b[ix(F0R + k)] = red
            b[ix(F0G + k)] = green
            b[ix(F0B + k)] = blue
        if draws[m, L.COLORS_IN_POOL] >= 0:
            for k in range(i, end):
                at = np.int64(triangle[ix(first + k)]) * L.TRIANGLE
                dx, dy = px[ix(first + k)] - planes[at + L.X0], py[ix(first + k)] - planes[at + L.Y0]
                at += L.PLANE_R
                b[ix(F0R + k)] *= max((planes[at] + planes[at + 1] * dx + planes[at + 2] * dy) * b[ix(Z + k)], _0)
                b[ix(F0G + k)] *= max((planes[at + 3] + planes[at + 4] * dx + planes[at + 5] * dy) * b[ix(Z + k)], _0)
                b[ix(F0B + k)] *= max((planes[at + 6] + planes[at + 7] * dx + planes[at + 8] * dy) * b[ix(Z + k)], _0)
        roughness, metallic = reals[m, L.ROUGHNESS], reals[m, L.METALLIC]
        er, eg, eb = reals[m, L.EMISSIVE], reals[m, L.EMISSIVE + 1], reals[m, L.EMISSIVE + 2]
        for k in range(i, end):
            b[ix(ROUGH + k)] = roughness
            b[ix(METAL + k)] = metallic
            b[ix(OUT_R + k)] = er
            b[ix(OUT_G + k)] = eg
            b[ix(OUT_B + k)] = eb
        texture = draws[m, L.ROUGHNESS_MAP]
        if texture >= 0:
            for k in range(i, end):
                side = footprint(b, k)
                b[ix(ROUGH + k)] *= sample_data(textures, texture, texels, b[ix(U + k)], b[ix(V + k)], side, 8)
                b[ix(METAL + k)] *= sample_data(textures, texture, texels, b[ix(U + k)], b[ix(V + k)], side, 16)
        if draws[m, L.NORMAL_MAP] >= 0:
            _perturb_normals(i, end, first, triangle, planes, textures, draws[m, L.NORMAL_MAP], texels, b)
        i = end
    filter_samples(0, n, texels, s, a, t)
    filter_samples(BLOCK, BLOCK + extra, texels, s, a, t)
    add_extra(extra, s, a, b)
    for i in range(n):
        b[ix(R + i)] += s[ix(TR + i)]
        b[ix(G + i)] += s[ix(TG + i)]
        b[ix(B + i)] += s[ix(TBL + i)]
    for i in range(n):
        b[ix(R + i)] *= b[ix(F0R + i)]
        b[ix(G + i)] *= b[ix(F0G + i)]
        b[ix(B + i)] *= b[ix(F0B + i)]
        roughness = min(max(b[ix(ROUGH + i)], np.float32(0.045)), _1)
        metallic = saturate(b[ix(METAL + i)])
        b[ix(ROUGH + i)] = roughness
        b[ix(ALPHA + i)] = roughness * roughness
        b[ix(F0R + i)] = np.float32(0.04) + (b[ix(R + i)] - np.float32(0.04)) * metallic
        b[ix(F0G + i)] = np.float32(0.04) + (b[ix(G + i)] - np.float32(0.04)) * metallic
        b[ix(F0B + i)] = np.float32(0.04) + (b[ix(B + i)] - np.float32(0.04)) * metallic
        b[ix(R + i)] *= _1 - metallic
        b[ix(G + i)] *= _1 - metallic
        b[ix(B + i)] *= _1 - metallic
        b[ix(NV + i)] = max(
            b[ix(NX + i)] * b[ix(VX + i)] + b[ix(NY + i)] * b[ix(VY + i)] + b[ix(NZ + i)] * b[ix(VZ + i)],
            np.float32(1e-3),
        )

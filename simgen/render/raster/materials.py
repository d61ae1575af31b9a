"""Materials of a block of fragments: maps, factors and what lighting needs of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from simgen.render.raster import layout as L  # noqa: N812
from simgen.render.raster.block import (
    ALPHA,
    F0B,
    F0G,
    F0R,
    LANES,
    NV,
    NX,
    NY,
    NZ,
    OUT_B,
    OUT_G,
    OUT_R,
    ROUGH,
    RUNS,
    TBL,
    TG,
    TR,
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
from simgen.render.raster.texturing import filter_colors, footprint, list_lines, list_nothing, sample_data

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
        x, y, z = sample_data(textures, texture, texels, b[ix(U + i)], b[ix(V + i)], footprint(b, i))
        x, y, z = x * _2 - _1, y * _2 - _1, max(z * _2 - _1, np.float32(0.05))
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
def _tint(
    begin: int, end: int, first: int, triangle: Any, px: Any, py: Any, planes: Any, b: Any
) -> None:  # fmt: skip
    """Multiply the colours TR, TG, TBL of fragments of a block by those of the vertices."""
    for k in range(begin, end):
        at = np.int64(triangle[ix(first + k)]) * L.TRIANGLE
        dx, dy = px[ix(first + k)] - planes[at + L.X0], py[ix(first + k)] - planes[at + L.Y0]
        at += L.PLANE_R
        b[ix(TR + k)] *= max((planes[at] + planes[at + 1] * dx + planes[at + 2] * dy) * b[ix(Z + k)], _0)
        b[ix(TG + k)] *= max((planes[at + 3] + planes[at + 4] * dx + planes[at + 5] * dy) * b[ix(Z + k)], _0)
        b[ix(TBL + k)] *= max((planes[at + 6] + planes[at + 7] * dx + planes[at + 8] * dy) * b[ix(Z + k)], _0)


@fast
def _finish(i: int, r: Any, g: Any, c: Any, roughness: Any, metallic: Any, b: Any) -> None:
    """What lighting needs of a fragment, from its colour, roughness and metallic share."""
    roughness = min(max(roughness, np.float32(0.045)), _1)
    metallic = saturate(metallic)
    b[ix(ROUGH + i)] = roughness
    b[ix(ALPHA + i)] = roughness * roughness
    b[ix(F0R + i)] = np.float32(0.04) + (r - np.float32(0.04)) * metallic
    b[ix(F0G + i)] = np.float32(0.04) + (g - np.float32(0.04)) * metallic
    b[ix(F0B + i)] = np.float32(0.04) + (c - np.float32(0.04)) * metallic
    b[ix(R + i)] = r * (_1 - metallic)
    b[ix(G + i)] = g * (_1 - metallic)
    b[ix(B + i)] = c * (_1 - metallic)
    b[ix(NV + i)] = max(
        b[ix(NX + i)] * b[ix(VX + i)] + b[ix(NY + i)] * b[ix(VY + i)] + b[ix(NZ + i)] * b[ix(VZ + i)],
        np.float32(1e-3),
    )


@fast
def _same_owner(run: int, runs: int, first: int, triangle: Any, owner: Any, a: Any) -> Any:
    """The drawable of a run of fragments, and the first later run of another one."""
    m = owner[triangle[ix(first + a[ix(RUNS + run)])]]
    run += 1
    while run < runs and owner[triangle[ix(first + a[ix(RUNS + run)])]] == m:
        run += 1
    return m, run


@fast
def load_materials(
    first: int, n: int, runs: int, triangle: Any, px: Any, py: Any, owner: Any, draws: Any, reals: Any, planes: Any,
    textures: Any, texels: Any, b: Any, a: Any, t: Any,
) -> None:  # fmt: skip
    """Material of each fragment of a block: R, G, B diffuse colour, F0, ROUGH, ALPHA, and emitted light in OUT.

    ``a`` lists in RUNS where ``runs`` runs of fragments on the same triangle begin, and ``n``.
    """
    mapped = False
    run = 0
    while run < runs:
        begin = np.int64(a[ix(RUNS + run)])
        m, run = _same_owner(run, runs, first, triangle, owner, a)
        end = np.int64(a[ix(RUNS + run)])
        if draws[m, L.COLOR_MAP] >= 0:
            list_lines(begin, end, textures, draws[m, L.COLOR_MAP], b, a)
            mapped = True
        else:
            list_nothing(begin, end, b, a)
    if mapped:
        filter_colors(n, texels, b, a, t)
    run = 0
    while run < runs:
        begin = np.int64(a[ix(RUNS + run)])
        m, run = _same_owner(run, runs, first, triangle, owner, a)
        end = np.int64(a[ix(RUNS + run)])
        if draws[m, L.COLOR_MAP] < 0:
            for k in range(begin, end):
                b[ix(TR + k)] = _1
                b[ix(TG + k)] = _1
                b[ix(TBL + k)] = _1
        if draws[m, L.COLORS_IN_POOL] >= 0:
            _tint(begin, end, first, triangle, px, py, planes, b)
        if draws[m, L.NORMAL_MAP] >= 0:
            _perturb_normals(begin, end, first, triangle, planes, textures, draws[m, L.NORMAL_MAP], texels, b)
        red, green, blue = reals[m, L.BASE], reals[m, L.BASE + 1], reals[m, L.BASE + 2]
        er, eg, eb = reals[m, L.EMISSIVE], reals[m, L.EMISSIVE + 1], reals[m, L.EMISSIVE + 2]
        roughness, metallic = reals[m, L.ROUGHNESS], reals[m, L.METALLIC]
        texture = draws[m, L.ROUGHNESS_MAP]
        if texture >= 0:
            for k in range(begin, end):
                side = footprint(b, k)
                _, rough, metal = sample_data(textures, texture, texels, b[ix(U + k)], b[ix(V + k)], side)
                r, g, c = b[ix(TR + k)] * red, b[ix(TG + k)] * green, b[ix(TBL + k)] * blue
                _finish(k, r, g, c, roughness * rough, metallic * metal, b)
        else:
            for group in range(begin, end, LANES):
                for lane in range(LANES):
                    k = group + lane
                    r, g, c = b[ix(TR + k)] * red, b[ix(TG + k)] * green, b[ix(TBL + k)] * blue
                    _finish(k, r, g, c, roughness, metallic, b)
        for k in range(begin, end):
            b[ix(OUT_R + k)] = er
            b[ix(OUT_G + k)] = eg
            b[ix(OUT_B + k)] = eb

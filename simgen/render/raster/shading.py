"""Colour of fragments, in blocks: surface, textures, environment, lights.

A block is a run of fragments whose intermediate values lie side by side in one flat float32 array, a channel after the
other. Loops over a block read and write that array at constant distances, which is what lets LLVM prove that they may
be vectorized; gathers from textures are separate scalar loops for the same reason.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simgen.render.raster import layout as L
from simgen.render.raster.block import (
    ALPHA,
    BLOCK,
    EG,
    ER,
    F0B,
    F0G,
    F0R,
    FNX,
    FNY,
    FNZ,
    LX,
    LY,
    LZ,
    METAL,
    NV,
    NX,
    NY,
    NZ,
    OPEN,
    OUT_B,
    OUT_G,
    OUT_R,
    ROUGH,
    SAMPLES,
    SB,
    SEEN,
    SG,
    SLEVEL,
    SPEC_B,
    SPEC_G,
    SPEC_R,
    SR,
    SX,
    SY,
    T00,
    T01,
    T10,
    T11,
    TA,
    TB,
    TBL,
    TG,
    THEIGHT,
    TOWNER,
    TR,
    TSTART,
    TU,
    TV,
    TW,
    TWIDTH,
    UX,
    UY,
    VX,
    VXU,
    VY,
    VYU,
    VZ,
    WIDEN,
    B,
    G,
    R,
    U,
    V,
    X,
    Y,
    Z,
)
from simgen.render.raster.environment import LAST, SIDES, STARTS, irradiance
from simgen.render.raster.jit import fast
from simgen.render.raster.lights import (
    AREA,
    COLOR,
    DIRECTIONAL,
    HALF_X,
    HALF_Y,
    INNER,
    KIND,
    OUTER,
    POINT,
    POSITION,
    SHADOW,
    SIZE,
    TRAVEL,
)
from simgen.render.raster.mathematics import (
    INVERSE_PI,
    ggx,
    log2,
    octahedral,
    saturate,
    schlick,
    smooth_falloff,
    split_sum,
)
from simgen.render.raster.penumbra import shadow_block
from simgen.render.raster.textures import decode_color

_0 = np.float32(0.0)
_1 = np.float32(1.0)
_2 = np.float32(2.0)
_HALF = np.float32(0.5)
_TINY = np.float32(1e-12)


@fast
def _load(
    first: int,
    n: int,
    triangle: Any,
    px: Any,
    py: Any,
    w: Any,
    nx: Any,
    ny: Any,
    nz: Any,
    planes: Any,
    camera: Any,
    b: Any,
) -> None:
    """Position, normals, texture coordinates and their steps of a block."""
    inverse_fx, inverse_fy = np.float32(1.0 / camera[L.FX]), np.float32(1.0 / camera[L.FY])
    cx, cy, skew = np.float32(camera[L.CX]), np.float32(camera[L.CY]), np.float32(camera[L.SKEW])
    for i in range(n):
        z = _1 / w[first + i]
        ry = (py[first + i] - cy) * inverse_fy
        rx = (px[first + i] - cx - skew * ry) * inverse_fx
        b[X + i] = rx * z
        b[Y + i] = ry * z
        b[Z + i] = z
        s = -_1 / np.sqrt(rx * rx + ry * ry + _1)
        b[VX + i] = rx * s
        b[VY + i] = ry * s
        b[VZ + i] = s
    for i in range(n):
        b[NX + i] = nx[first + i]
        b[NY + i] = ny[first + i]
        b[NZ + i] = nz[first + i]
    i = 0
    while i < n:
        t = triangle[first + i]
        end = i + 1
        while end < n and triangle[first + end] == t:
            end += 1
        at = np.int64(t) * L.TRIANGLE
        x0, y0 = planes[at + L.X0], planes[at + L.Y0]
        u0, u1, u2 = planes[at + L.PLANE_U], planes[at + L.PLANE_U + 1], planes[at + L.PLANE_U + 2]
        v0, v1, v2 = planes[at + L.PLANE_V], planes[at + L.PLANE_V + 1], planes[at + L.PLANE_V + 2]
        w1, w2 = planes[at + L.PLANE_W + 1], planes[at + L.PLANE_W + 2]
        gx, gy, gz = planes[at + L.FACE_N], planes[at + L.FACE_N + 1], planes[at + L.FACE_N + 2]
        for k in range(i, end):
            dx, dy, z = px[first + k] - x0, py[first + k] - y0, b[Z + k]
            u = (u0 + u1 * dx + u2 * dy) * z
            v = (v0 + v1 * dx + v2 * dy) * z
            b[U + k] = u
            b[V + k] = v
            b[UX + k] = (u1 - u * w1) * z
            b[UY + k] = (u2 - u * w2) * z
            b[VXU + k] = (v1 - v * w1) * z
            b[VYU + k] = (v2 - v * w2) * z
            b[FNX + k] = gx
            b[FNY + k] = gy
            b[FNZ + k] = gz
        i = end


@fast
def _filter(
    m: int, channel_r: int, channel_g: int, channel_b: int, texels: Any, s: Any, a: Any, t: Any, b: Any
) -> None:
    """Filter ``m`` texture samples and add each, times its weight, to the three channels of its fragment."""
    for j in range(m):
        w, h = a[TWIDTH + j], a[THEIGHT + j]
        u, v = s[TU + j], s[TV + j]
        x = (u - np.floor(u)) * np.float32(w) - _HALF
        y = (v - np.floor(v)) * np.float32(h) - _HALF
        fx, fy = np.floor(x), np.floor(y)
        s[TA + j] = x - fx
        s[TB + j] = y - fy
        x0, y0 = np.int32(fx), np.int32(fy)
        x1, y1 = np.int32(x0 + np.int32(1)), np.int32(y0 + np.int32(1))
        x0 = np.int32(x0 + w) if x0 < 0 else x0
        y0 = np.int32(y0 + h) if y0 < 0 else y0
        # A coordinate just below a whole number may round up to the size itself.
        x0 = min(x0, np.int32(w - np.int32(1)))
        y0 = min(y0, np.int32(h - np.int32(1)))
        x1 = np.int32(0) if x1 >= w else x1
        y1 = np.int32(0) if y1 >= h else y1
        upper = np.int32(a[TSTART + j] + np.int32(y0 * w))
        lower = np.int32(a[TSTART + j] + np.int32(y1 * w))
        a[T00 + j] = np.int32(upper + x0)
        a[T01 + j] = np.int32(upper + x1)
        a[T10 + j] = np.int32(lower + x0)
        a[T11 + j] = np.int32(lower + x1)
    for j in range(m):
        t[T00 + j] = texels[np.uint32(a[T00 + j])]
        t[T01 + j] = texels[np.uint32(a[T01 + j])]
        t[T10 + j] = texels[np.uint32(a[T10 + j])]
        t[T11 + j] = texels[np.uint32(a[T11 + j])]
    for j in range(m):
        fa, fb, weight = s[TA + j], s[TB + j], s[TW + j]
        r00, g00, b00 = decode_color(t[T00 + j])
        r01, g01, b01 = decode_color(t[T01 + j])
        r10, g10, b10 = decode_color(t[T10 + j])
        r11, g11, b11 = decode_color(t[T11 + j])
        r0, r1 = r00 + (r01 - r00) * fa, r10 + (r11 - r10) * fa
        g0, g1 = g00 + (g01 - g00) * fa, g10 + (g11 - g10) * fa
        b0, b1 = b00 + (b01 - b00) * fa, b10 + (b11 - b10) * fa
        s[TR + j] = (r0 + (r1 - r0) * fb) * weight
        s[TG + j] = (g0 + (g1 - g0) * fb) * weight
        s[TBL + j] = (b0 + (b1 - b0) * fb) * weight
    for j in range(m):
        i = np.int64(a[TOWNER + j])
        b[channel_r + i] += s[TR + j]
        b[channel_g + i] += s[TG + j]
        b[channel_b + i] += s[TBL + j]


@fast
def _sample_colors(
    begin: int, end: int, textures: Any, texture: int, texels: Any, b: Any, s: Any, a: Any, t: Any
) -> None:
    """Colour map of fragments ``begin`` to ``end`` of a block into R, G, B: mip-mapped, anisotropic.

    The footprint of a pixel is a parallelogram; up to eight samples lie along its long side, in the level that fits its
    short side (Schilling et al. 1996). Levels blend over half of the distance between them.
    """
    width, height = np.float32(textures[texture, L.LEVEL + 1]), np.float32(textures[texture, L.LEVEL + 2])
    last = np.float32(textures[texture, L.LEVELS] - 1)
    for i in range(begin, end):
        ux, vx, uy, vy = b[UX + i] * width, b[VXU + i] * height, b[UY + i] * width, b[VYU + i] * height
        along_x, along_y = ux * ux + vx * vx, uy * uy + vy * vy
        major2 = max(max(along_x, along_y), _TINY)
        area = abs(ux * vy - uy * vx)
        minor2 = max(area * area / major2, major2 * np.float32(1 / 64))
        # The number of samples is the ratio of the sides; a single one when the texture is magnified.
        count = np.sqrt(major2 / minor2)
        count = np.floor(min(max(count, _1), np.float32(8.0)) + np.float32(0.3)) if major2 > _1 else _1
        level = _HALF * log2(max(major2 / (count * count), minor2)) - np.float32(0.2)
        level = min(max(level, _0), last)
        low = np.floor(level)
        b[SX + i] = low
        b[SY + i] = saturate((level - low - np.float32(0.25)) * _2)
        b[SLEVEL + i] = count
        b[R + i] = _0
        b[G + i] = _0
        b[B + i] = _0
        # The step of a sample along the long side, in place of the step in y.
        b[SR + i] = b[UX + i] / count if along_x > along_y else b[UY + i] / count
        b[SG + i] = b[VXU + i] / count if along_x > along_y else b[VYU + i] / count
    m = 0
    for i in range(begin, end):
        count = np.int64(b[SLEVEL + i])
        blend = b[SY + i]
        low = np.int64(b[SX + i])
        for k in range(count):
            offset = (np.float32(k) + _HALF) - _HALF * np.float32(count)
            u, v = b[U + i] + offset * b[SR + i], b[V + i] + offset * b[SG + i]
            share = _1 / np.float32(count)
            for step in range(2):
                weight = share * (blend if step == 1 else _1 - blend)
                if weight > _0:
                    row = L.LEVEL + 3 * (low + step)
                    s[TU + m] = u
                    s[TV + m] = v
                    s[TW + m] = weight
                    a[TSTART + m] = textures[texture, row]
                    a[TWIDTH + m] = textures[texture, row + 1]
                    a[THEIGHT + m] = textures[texture, row + 2]
                    a[TOWNER + m] = i
                    m += 1
        if m > SAMPLES - 16:
            _filter(m, R, G, B, texels, s, a, t, b)
            m = 0
    _filter(m, R, G, B, texels, s, a, t, b)


@fast
def _sample_data(textures: Any, texture: int, texels: Any, u: Any, v: Any, footprint: Any, shift: int) -> Any:
    """One byte of a data map as 0...1, bilinear in the level nearest to the footprint (a side, in u and v)."""
    side = footprint * np.float32(max(textures[texture, L.LEVEL + 1], textures[texture, L.LEVEL + 2]))
    level = np.int64(
        min(max(log2(max(side, np.float32(1e-6))) + np.float32(0.3), _0), np.float32(textures[texture, L.LEVELS] - 1))
    )
    start = np.int64(textures[texture, L.LEVEL + 3 * level])
    w, h = np.int64(textures[texture, L.LEVEL + 3 * level + 1]), np.int64(textures[texture, L.LEVEL + 3 * level + 2])
    x = (u - np.floor(u)) * np.float32(w) - _HALF
    y = (v - np.floor(v)) * np.float32(h) - _HALF
    fx, fy = np.floor(x), np.floor(y)
    fa, fb = x - fx, y - fy
    x0, y0 = (np.int64(fx) + w) % w, (np.int64(fy) + h) % h
    x1, y1 = (x0 + 1) % w, (y0 + 1) % h
    bits = np.uint32(shift)
    byte = np.uint32(255)
    p = np.float32((texels[start + y0 * w + x0] >> bits) & byte)
    q = np.float32((texels[start + y0 * w + x1] >> bits) & byte)
    r = np.float32((texels[start + y1 * w + x0] >> bits) & byte)
    s = np.float32((texels[start + y1 * w + x1] >> bits) & byte)
    top, bottom = p + (q - p) * fa, r + (s - r) * fa
    return (top + (bottom - top) * fb) * np.float32(1 / 255)


@fast
def _footprint(b: Any, i: int) -> Any:
    return np.sqrt(
        max(b[UX + i] * b[UX + i] + b[VXU + i] * b[VXU + i], b[UY + i] * b[UY + i] + b[VYU + i] * b[VYU + i])
    ) * np.float32(0.7)


@fast
def _perturb_normals(
    begin: int, end: int, first: int, triangle: Any, planes: Any, textures: Any, texture: int, texels: Any, b: Any
) -> None:
    """Tangent-space normal map (glTF: x along +u, y against +v, z outwards) on fragments of a block."""
    for i in range(begin, end):
        at = np.int64(triangle[first + i]) * L.TRIANGLE
        side = _footprint(b, i)
        x = _sample_data(textures, texture, texels, b[U + i], b[V + i], side, 0) * _2 - _1
        y = _sample_data(textures, texture, texels, b[U + i], b[V + i], side, 8) * _2 - _1
        z = max(_sample_data(textures, texture, texels, b[U + i], b[V + i], side, 16) * _2 - _1, np.float32(0.05))
        nx, ny, nz = b[NX + i], b[NY + i], b[NZ + i]
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
        away = max(np.float32(0.02) - (mx * b[VX + i] + my * b[VY + i] + mz * b[VZ + i]), _0)
        mx, my, mz = mx + away * b[VX + i], my + away * b[VY + i], mz + away * b[VZ + i]
        s = _1 / np.sqrt(mx * mx + my * my + mz * mz)
        b[NX + i] = mx * s
        b[NY + i] = my * s
        b[NZ + i] = mz * s


@fast
def _surface(
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
    """Material of each fragment of a block: R, G, B base colour, ROUGH, METAL and emitted light in OUT."""
    i = 0
    while i < n:
        m = owner[triangle[first + i]]
        end = i + 1
        last = triangle[first + i]
        while end < n:
            current = triangle[first + end]
            if current != last:
                if owner[current] != m:
                    break
                last = current
            end += 1
        if draws[m, L.COLOR_MAP] >= 0:
            _sample_colors(i, end, textures, draws[m, L.COLOR_MAP], texels, b, s, a, t)
            for k in range(i, end):
                b[R + k] *= reals[m, L.BASE]
                b[G + k] *= reals[m, L.BASE + 1]
                b[B + k] *= reals[m, L.BASE + 2]
        else:
            red, green, blue = reals[m, L.BASE], reals[m, L.BASE + 1], reals[m, L.BASE + 2]
            for k in range(i, end):
                b[R + k] = red
                b[G + k] = green
                b[B + k] = blue
        if draws[m, L.COLORS_IN_POOL] >= 0:
            for k in range(i, end):
                at = np.int64(triangle[first + k]) * L.TRIANGLE
                dx, dy = px[first + k] - planes[at + L.X0], py[first + k] - planes[at + L.Y0]
                at += L.PLANE_R
                b[R + k] *= max((planes[at] + planes[at + 1] * dx + planes[at + 2] * dy) * b[Z + k], _0)
                b[G + k] *= max((planes[at + 3] + planes[at + 4] * dx + planes[at + 5] * dy) * b[Z + k], _0)
                b[B + k] *= max((planes[at + 6] + planes[at + 7] * dx + planes[at + 8] * dy) * b[Z + k], _0)
        roughness, metallic = reals[m, L.ROUGHNESS], reals[m, L.METALLIC]
        er, eg, eb = reals[m, L.EMISSIVE], reals[m, L.EMISSIVE + 1], reals[m, L.EMISSIVE + 2]
        for k in range(i, end):
            b[ROUGH + k] = roughness
            b[METAL + k] = metallic
            b[OUT_R + k] = er
            b[OUT_G + k] = eg
            b[OUT_B + k] = eb
        texture = draws[m, L.ROUGHNESS_MAP]
        if texture >= 0:
            for k in range(i, end):
                side = _footprint(b, k)
                b[ROUGH + k] *= _sample_data(textures, texture, texels, b[U + k], b[V + k], side, 8)
                b[METAL + k] *= _sample_data(textures, texture, texels, b[U + k], b[V + k], side, 16)
        if draws[m, L.NORMAL_MAP] >= 0:
            _perturb_normals(i, end, first, triangle, planes, textures, draws[m, L.NORMAL_MAP], texels, b)
        i = end
    for i in range(n):
        roughness = min(max(b[ROUGH + i], np.float32(0.045)), _1)
        metallic = saturate(b[METAL + i])
        b[ROUGH + i] = roughness
        b[ALPHA + i] = roughness * roughness
        b[F0R + i] = np.float32(0.04) + (b[R + i] - np.float32(0.04)) * metallic
        b[F0G + i] = np.float32(0.04) + (b[G + i] - np.float32(0.04)) * metallic
        b[F0B + i] = np.float32(0.04) + (b[B + i] - np.float32(0.04)) * metallic
        b[R + i] *= _1 - metallic
        b[G + i] *= _1 - metallic
        b[B + i] *= _1 - metallic
        b[NV + i] = max(b[NX + i] * b[VX + i] + b[NY + i] * b[VY + i] + b[NZ + i] * b[VZ + i], np.float32(1e-3))


@fast
def _environment(
    n: int, rotation: Any, harmonics: Any, reflections: Any, scale: Any, intensity: Any, b: Any, a: Any, t: Any
) -> None:
    """Add the light of the environment to a block: irradiance on the diffuse part, prefiltered reflection."""
    r0, r1, r2 = rotation[0], rotation[1], rotation[2]
    r3, r4, r5 = rotation[3], rotation[4], rotation[5]
    r6, r7, r8 = rotation[6], rotation[7], rotation[8]
    for i in range(n):
        # The mirrored viewing direction; rough surfaces reflect from closer to their normal.
        two = _2 * b[NV + i]
        x, y, z = two * b[NX + i] - b[VX + i], two * b[NY + i] - b[VY + i], two * b[NZ + i] - b[VZ + i]
        u, v = octahedral(r0 * x + r1 * y + r2 * z, r3 * x + r4 * y + r5 * z, r6 * x + r7 * y + r8 * z)
        b[SX + i] = u
        b[SY + i] = v
        b[SLEVEL + i] = np.sqrt(b[ROUGH + i]) * np.float32(LAST)
    for i in range(n):
        level = min(np.int64(b[SLEVEL + i]), LAST - 1)
        for k in range(2):
            side = SIDES[level + k]
            x = b[SX + i] * np.float32(side) + _HALF
            y = b[SY + i] * np.float32(side) + _HALF
            x0, y0 = np.int64(x), np.int64(y)
            at = STARTS[level + k] + y0 * (side + 2) + x0
            step = 4 * BLOCK * k
            t[step + i] = reflections[at]
            t[step + BLOCK + i] = reflections[at + 1]
            t[step + 2 * BLOCK + i] = reflections[at + side + 2]
            t[step + 3 * BLOCK + i] = reflections[at + side + 3]
            if k == 0:
                b[SR + i] = x - np.float32(x0)
                b[SG + i] = y - np.float32(y0)
            else:
                b[SB + i] = x - np.float32(x0)
                b[LX + i] = y - np.float32(y0)
    for i in range(n):
        level = min(np.floor(b[SLEVEL + i]), np.float32(LAST - 1))
        blend = b[SLEVEL + i] - level
        fa, fb = b[SR + i], b[SG + i]
        p, q, r, s = (_1 - fa) * (_1 - fb), fa * (_1 - fb), (_1 - fa) * fb, fa * fb
        pr, pg, pb = decode_color(t[i])
        qr, qg, qb = decode_color(t[BLOCK + i])
        rr, rg, rb = decode_color(t[2 * BLOCK + i])
        sr, sg, sb = decode_color(t[3 * BLOCK + i])
        r_low = p * pr + q * qr + r * rr + s * sr
        g_low = p * pg + q * qg + r * rg + s * sg
        b_low = p * pb + q * qb + r * rb + s * sb
        fa, fb = b[SB + i], b[LX + i]
        p, q, r, s = (_1 - fa) * (_1 - fb), fa * (_1 - fb), (_1 - fa) * fb, fa * fb
        pr, pg, pb = decode_color(t[4 * BLOCK + i])
        qr, qg, qb = decode_color(t[5 * BLOCK + i])
        rr, rg, rb = decode_color(t[6 * BLOCK + i])
        sr, sg, sb = decode_color(t[7 * BLOCK + i])
        red = r_low + (p * pr + q * qr + r * rr + s * sr - r_low) * blend
        green = g_low + (p * pg + q * qg + r * rg + s * sg - g_low) * blend
        blue = b_low + (p * pb + q * qb + r * rb + s * sb - b_low) * blend
        b[SPEC_R + i] = scale * red / (np.float32(1.002) - red)
        b[SPEC_G + i] = scale * green / (np.float32(1.002) - green)
        b[SPEC_B + i] = scale * blue / (np.float32(1.002) - blue)
    for i in range(n):
        nx, ny, nz = b[NX + i], b[NY + i], b[NZ + i]
        x, y, z = r0 * nx + r1 * ny + r2 * nz, r3 * nx + r4 * ny + r5 * nz, r6 * nx + r7 * ny + r8 * nz
        factor, bias = split_sum(b[NV + i], b[ROUGH + i])
        opening = b[OPEN + i]
        # What several bounces among the microfacets give back (Fdez-Aguera 2019, simplified).
        more = _1 / (factor + bias) - _1
        # Occlusion of the reflection from that of the diffuse light (Lagarde and de Rousiers 2014).
        reflected = saturate(b[NV + i] + opening) * opening
        reflected = opening + (reflected - opening) * (_1 - b[ROUGH + i]) if opening < _1 else _1
        fr, fg, fb = b[F0R + i], b[F0G + i], b[F0B + i]
        er = (fr * factor + bias) * (_1 + fr * more)
        eg = (fg * factor + bias) * (_1 + fg * more)
        eb = (fb * factor + bias) * (_1 + fb * more)
        b[OUT_R + i] += intensity * (
            b[R + i] * (_1 - er) * irradiance(harmonics, 0, x, y, z) * opening + er * b[SPEC_R + i] * reflected
        )
        b[OUT_G + i] += intensity * (
            b[G + i] * (_1 - eg) * irradiance(harmonics, 1, x, y, z) * opening + eg * b[SPEC_G + i] * reflected
        )
        b[OUT_B + i] += intensity * (
            b[B + i] * (_1 - eb) * irradiance(harmonics, 2, x, y, z) * opening + eb * b[SPEC_B + i] * reflected
        )


@fast
def _add_light(n: int, r: Any, g: Any, c: Any, b: Any) -> None:
    """Add a light to a block: direction in L, irradiance factor across it in ER, n.l for diffuse light in EG.

    WIDEN is what the light's size adds to the roughness of the highlight; the distribution is scaled to keep its
    energy (Karis 2013).
    """
    for i in range(n):
        lx, ly, lz = b[LX + i], b[LY + i], b[LZ + i]
        nl = b[NX + i] * lx + b[NY + i] * ly + b[NZ + i] * lz
        vl = b[VX + i] * lx + b[VY + i] * ly + b[VZ + i] * lz
        inverse = _1 / np.sqrt(max(_2 + _2 * vl, np.float32(1e-6)))
        nh = saturate((nl + b[NV + i]) * inverse)
        vh = saturate((_1 + vl) * inverse)
        lit = saturate(nl)
        alpha = b[ALPHA + i]
        wide = min(alpha + b[WIDEN + i], _1)
        ratio = alpha / wide
        specular = ggx(lit, b[NV + i], nh, wide) * (ratio * ratio) * lit
        f = schlick(vh)
        e = b[ER + i] * b[SEEN + i]
        diffuse = b[EG + i] * INVERSE_PI
        fr = b[F0R + i] + (_1 - b[F0R + i]) * f
        fg = b[F0G + i] + (_1 - b[F0G + i]) * f
        fb = b[F0B + i] + (_1 - b[F0B + i]) * f
        b[OUT_R + i] += e * r * (b[R + i] * (_1 - fr) * diffuse + fr * specular)
        b[OUT_G + i] += e * g * (b[G + i] * (_1 - fg) * diffuse + fg * specular)
        b[OUT_B + i] += e * c * (b[B + i] * (_1 - fb) * diffuse + fb * specular)


@fast
def _aim(n: int, light: Any, b: Any) -> None:
    """Direction to a light, its irradiance factor, diffuse cosine and highlight widening for a block."""
    kind = np.int64(light[KIND])
    dx, dy, dz = light[TRAVEL], light[TRAVEL + 1], light[TRAVEL + 2]
    if kind == DIRECTIONAL:
        widen = min(light[SIZE] * np.float32(0.25), _HALF)
        for i in range(n):
            b[LX + i] = -dx
            b[LY + i] = -dy
            b[LZ + i] = -dz
            b[ER + i] = _1
            b[EG + i] = saturate(-(b[NX + i] * dx + b[NY + i] * dy + b[NZ + i] * dz))
            b[WIDEN + i] = widen
        return
    ox, oy, oz = light[POSITION], light[POSITION + 1], light[POSITION + 2]
    if kind != AREA:
        inner, outer = light[INNER], light[OUTER]
        if kind == POINT:
            inner, outer = np.float32(-2.0), np.float32(-3.0)
        radius = light[SIZE]
        for i in range(n):
            x, y, z = ox - b[X + i], oy - b[Y + i], oz - b[Z + i]
            d2 = max(x * x + y * y + z * z, np.float32(1e-6))
            inverse = _1 / np.sqrt(d2)
            x, y, z = x * inverse, y * inverse, z * inverse
            b[LX + i] = x
            b[LY + i] = y
            b[LZ + i] = z
            cone = smooth_falloff(-(x * dx + y * dy + z * dz), inner, outer)
            # Inside the lamp the inverse square law ends.
            b[ER + i] = cone / max(d2, radius * radius)
            b[EG + i] = saturate(b[NX + i] * x + b[NY + i] * y + b[NZ + i] * z)
            b[WIDEN + i] = min(radius * inverse * _HALF, _HALF)
        return
    ax, ay, az = light[HALF_X], light[HALF_X + 1], light[HALF_X + 2]
    bx, by, bz = light[HALF_Y], light[HALF_Y + 1], light[HALF_Y + 2]
    a2 = max(ax * ax + ay * ay + az * az, _TINY)
    b2 = max(bx * bx + by * by + bz * bz, _TINY)
    area = np.float32(4.0) * np.sqrt(a2 * b2)
    for i in range(n):
        px, py, pz = ox - b[X + i], oy - b[Y + i], oz - b[Z + i]
        # Diffuse: the mean over the centres of sixteen parts of the rectangle.
        total = _0
        for k in range(16):
            s = np.float32(k % 4) * _HALF - np.float32(0.75)
            q = np.float32(k // 4) * _HALF - np.float32(0.75)
            x, y, z = px + s * ax + q * bx, py + s * ay + q * by, pz + s * az + q * bz
            d2 = max(x * x + y * y + z * z, np.float32(1e-6))
            emitted = max(-(x * dx + y * dy + z * dz), _0)
            received = max(b[NX + i] * x + b[NY + i] * y + b[NZ + i] * z, _0)
            # A part fills a solid angle of no more than its disc allows, so that nearness stays finite.
            total += emitted * received / (d2 * d2 + area * area * np.float32(1 / 256 / 9.87))
        irradiance_ = total * area * np.float32(1 / 16)
        # Highlight: the point of the rectangle nearest to the mirrored ray (representative point, Karis 2013).
        two = _2 * b[NV + i]
        rx, ry, rz = two * b[NX + i] - b[VX + i], two * b[NY + i] - b[VY + i], two * b[NZ + i] - b[VZ + i]
        against = rx * dx + ry * dy + rz * dz
        t = (px * dx + py * dy + pz * dz) / (against if against < np.float32(-1e-3) else np.float32(-1e-3))
        hx, hy, hz = t * rx - px, t * ry - py, t * rz - pz
        if against >= np.float32(-1e-3):
            hx, hy, hz = _0, _0, _0
        s = min(max((hx * ax + hy * ay + hz * az) / a2, -_1), _1)
        q = min(max((hx * bx + hy * by + hz * bz) / b2, -_1), _1)
        x, y, z = px + s * ax + q * bx, py + s * ay + q * by, pz + s * az + q * bz
        d2 = max(x * x + y * y + z * z, np.float32(1e-6))
        inverse = _1 / np.sqrt(d2)
        x, y, z = x * inverse, y * inverse, z * inverse
        b[LX + i] = x
        b[LY + i] = y
        b[LZ + i] = z
        facing = max(-(x * dx + y * dy + z * dz), _0)
        solid = facing * area / (d2 + area * np.float32(1 / np.pi))
        b[ER + i] = solid
        b[EG + i] = irradiance_ / max(solid, np.float32(1e-6)) if solid > _0 else _0
        b[WIDEN + i] = min(np.sqrt(area * np.float32(1 / np.pi)) * inverse * _HALF, _HALF)


@fast
def shade(
    start: int, stop: int, pixel: Any, triangle: Any, px: Any, py: Any, w: Any, nx: Any, ny: Any, nz: Any, weight: Any,
    opening: Any, owner: Any, draws: Any, reals: Any, planes: Any, camera: Any, textures: Any, texels: Any, lights: Any,
    maps: Any, shadow: Any, coarse: Any, discs: Any, rotation: Any, harmonics: Any, reflections: Any, scale: Any, intensity: Any, q: Any, b: Any, s: Any, a: Any, t: Any,
    out: Any,
) -> None:  # fmt: skip
    """Shade fragments ``start`` to ``stop`` and add them, times ``weight``, to the colours ``out`` (H * W * 3).

    ``rotation`` (9,) turns camera directions into the frame of the environment map; ``b``, ``s``, ``a`` and ``t`` are
    working arrays of CHANNELS * BLOCK, TEXTURE_CHANNELS * SAMPLES, ADDRESS_CHANNELS * SAMPLES (int32 and uint32).
    """
    first = start
    while first < stop:
        n = min(BLOCK, stop - first)
        _load(first, n, triangle, px, py, w, nx, ny, nz, planes, camera, b)
        _surface(first, n, triangle, px, py, owner, draws, reals, planes, textures, texels, b, s, a, t)
        for i in range(n):
            b[OPEN + i] = opening[first + i]
        _environment(n, rotation, harmonics, reflections, scale, intensity, b, a, t)
        for k in range(len(lights)):
            _aim(n, lights[k], b)
            row = np.int64(lights[k, SHADOW])
            if row >= 0:
                shadow_block(first, n, maps[row], px, py, shadow, coarse, discs, b, q, a)
            else:
                for i in range(n):
                    b[SEEN + i] = _1
            _add_light(n, lights[k, COLOR], lights[k, COLOR + 1], lights[k, COLOR + 2], b)
        for i in range(n):
            at = 3 * np.int64(pixel[first + i])
            share = weight[first + i]
            out[at] += b[OUT_R + i] * share
            out[at + 1] += b[OUT_G + i] * share
            out[at + 2] += b[OUT_B + i] * share
        first += n

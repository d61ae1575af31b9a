"""Colour of fragments, in blocks: surface, textures, environment, lights.

A block is a run of fragments whose intermediate values lie side by side in one flat float32 array, a channel after the
other. Loops over a block read and write that array at constant distances, which is what lets LLVM prove that they may
be vectorized; gathers from textures are separate scalar loops for the same reason.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simgen.render.raster import layout as L  # noqa: N812
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
    NOISE,
    NV,
    NX,
    NY,
    NZ,
    OPEN,
    OUT_B,
    OUT_G,
    OUT_R,
    ROUGH,
    SEEN,
    SG,
    SLEVEL,
    SPEC_B,
    SPEC_G,
    SPEC_R,
    SR,
    STRIDE,
    SX,
    SY,
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
from simgen.render.raster.jit import fast, ix
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
from simgen.render.raster.materials import load_materials
from simgen.render.raster.mathematics import (
    INVERSE_PI,
    PI,
    ggx,
    octahedral,
    rectangle_form_factor,
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
        z = _1 / w[ix(first + i)]
        ry = (py[ix(first + i)] - cy) * inverse_fy
        rx = (px[ix(first + i)] - cx - skew * ry) * inverse_fx
        b[ix(X + i)] = rx * z
        b[ix(Y + i)] = ry * z
        b[ix(Z + i)] = z
        s = -_1 / np.sqrt(rx * rx + ry * ry + _1)
        b[ix(VX + i)] = rx * s
        b[ix(VY + i)] = ry * s
        b[ix(VZ + i)] = s
        f = np.float32(0.06711056) * px[ix(first + i)] + np.float32(0.00583715) * py[ix(first + i)]
        f = np.float32(52.9829189) * (f - np.floor(f))
        b[ix(NOISE + i)] = f - np.floor(f)
    for i in range(n):
        b[ix(NX + i)] = nx[ix(first + i)]
        b[ix(NY + i)] = ny[ix(first + i)]
        b[ix(NZ + i)] = nz[ix(first + i)]
    i = 0
    while i < n:
        t = triangle[ix(first + i)]
        end = i + 1
        while end < n and triangle[ix(first + end)] == t:
            end += 1
        at = np.int64(t) * L.TRIANGLE
        x0, y0 = planes[at + L.X0], planes[at + L.Y0]
        u0, u1, u2 = planes[at + L.PLANE_U], planes[at + L.PLANE_U + 1], planes[at + L.PLANE_U + 2]
        v0, v1, v2 = planes[at + L.PLANE_V], planes[at + L.PLANE_V + 1], planes[at + L.PLANE_V + 2]
        w1, w2 = planes[at + L.PLANE_W + 1], planes[at + L.PLANE_W + 2]
        gx, gy, gz = planes[at + L.FACE_N], planes[at + L.FACE_N + 1], planes[at + L.FACE_N + 2]
        for k in range(i, end):
            dx, dy, z = px[ix(first + k)] - x0, py[ix(first + k)] - y0, b[ix(Z + k)]
            u = (u0 + u1 * dx + u2 * dy) * z
            v = (v0 + v1 * dx + v2 * dy) * z
            b[ix(U + k)] = u
            b[ix(V + k)] = v
            b[ix(UX + k)] = (u1 - u * w1) * z
            b[ix(UY + k)] = (u2 - u * w2) * z
            b[ix(VXU + k)] = (v1 - v * w1) * z
            b[ix(VYU + k)] = (v2 - v * w2) * z
            b[ix(FNX + k)] = gx
            b[ix(FNY + k)] = gy
            b[ix(FNZ + k)] = gz
        i = end


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
        two = _2 * b[ix(NV + i)]
        x, y, z = (
            two * b[ix(NX + i)] - b[ix(VX + i)],
            two * b[ix(NY + i)] - b[ix(VY + i)],
            two * b[ix(NZ + i)] - b[ix(VZ + i)],
        )
        u, v = octahedral(r0 * x + r1 * y + r2 * z, r3 * x + r4 * y + r5 * z, r6 * x + r7 * y + r8 * z)
        b[ix(SX + i)] = u
        b[ix(SY + i)] = v
        # Between two levels, pixels take one or the other in a fixed pattern of noise.
        b[ix(SLEVEL + i)] = min(
            np.floor(np.sqrt(b[ix(ROUGH + i)]) * np.float32(LAST) + b[ix(NOISE + i)]), np.float32(LAST)
        )
    for i in range(n):
        level = np.uint32(b[ix(SLEVEL + i)])
        side = SIDES[level]
        x = b[ix(SX + i)] * np.float32(side) + _HALF
        y = b[ix(SY + i)] * np.float32(side) + _HALF
        x0, y0 = np.int64(x), np.int64(y)
        at = np.uint32(STARTS[level] + y0 * (side + 2) + x0)
        t[i] = reflections[at]
        t[ix(STRIDE + i)] = reflections[at + np.uint32(1)]
        t[ix(2 * STRIDE + i)] = reflections[at + np.uint32(side + 2)]
        t[ix(3 * STRIDE + i)] = reflections[at + np.uint32(side + 3)]
        b[ix(SR + i)] = x - np.float32(x0)
        b[ix(SG + i)] = y - np.float32(y0)
    for i in range(n):
        fa, fb = b[ix(SR + i)], b[ix(SG + i)]
        p, q, r, s = (_1 - fa) * (_1 - fb), fa * (_1 - fb), (_1 - fa) * fb, fa * fb
        pr, pg, pb = decode_color(t[i])
        qr, qg, qb = decode_color(t[ix(STRIDE + i)])
        rr, rg, rb = decode_color(t[ix(2 * STRIDE + i)])
        sr, sg, sb = decode_color(t[ix(3 * STRIDE + i)])
        red = p * pr + q * qr + r * rr + s * sr
        green = p * pg + q * qg + r * rg + s * sg
        blue = p * pb + q * qb + r * rb + s * sb
        b[ix(SPEC_R + i)] = scale * red / (np.float32(1.002) - red)
        b[ix(SPEC_G + i)] = scale * green / (np.float32(1.002) - green)
        b[ix(SPEC_B + i)] = scale * blue / (np.float32(1.002) - blue)
    for i in range(n):
        nx, ny, nz = b[ix(NX + i)], b[ix(NY + i)], b[ix(NZ + i)]
        x, y, z = r0 * nx + r1 * ny + r2 * nz, r3 * nx + r4 * ny + r5 * nz, r6 * nx + r7 * ny + r8 * nz
        factor, bias = split_sum(b[ix(NV + i)], b[ix(ROUGH + i)])
        opening = b[ix(OPEN + i)]
        # What several bounces among the microfacets give back (Fdez-Aguera 2019, simplified).
        more = _1 / (factor + bias) - _1
        # Occlusion of the reflection from that of the diffuse light (Lagarde and de Rousiers 2014).
        reflected = saturate(b[ix(NV + i)] + opening) * opening
        reflected = opening + (reflected - opening) * (_1 - b[ix(ROUGH + i)]) if opening < _1 else _1
        fr, fg, fb = b[ix(F0R + i)], b[ix(F0G + i)], b[ix(F0B + i)]
        er = (fr * factor + bias) * (_1 + fr * more)
        eg = (fg * factor + bias) * (_1 + fg * more)
        eb = (fb * factor + bias) * (_1 + fb * more)
        b[ix(OUT_R + i)] += intensity * (
            b[ix(R + i)] * (_1 - er) * irradiance(harmonics, 0, x, y, z) * opening + er * b[ix(SPEC_R + i)] * reflected
        )
        b[ix(OUT_G + i)] += intensity * (
            b[ix(G + i)] * (_1 - eg) * irradiance(harmonics, 1, x, y, z) * opening + eg * b[ix(SPEC_G + i)] * reflected
        )
        b[ix(OUT_B + i)] += intensity * (
            b[ix(B + i)] * (_1 - eb) * irradiance(harmonics, 2, x, y, z) * opening + eb * b[ix(SPEC_B + i)] * reflected
        )


@fast
def _add_light(n: int, r: Any, g: Any, c: Any, b: Any) -> None:
    """Add a light to a block: direction in L, irradiance factor across it in ER, n.l for diffuse light in EG.

    WIDEN is what the light's size adds to the roughness of the highlight; the distribution is scaled to keep its
    energy (Karis 2013).
    """
    for i in range(n):
        lx, ly, lz = b[ix(LX + i)], b[ix(LY + i)], b[ix(LZ + i)]
        nl = b[ix(NX + i)] * lx + b[ix(NY + i)] * ly + b[ix(NZ + i)] * lz
        vl = b[ix(VX + i)] * lx + b[ix(VY + i)] * ly + b[ix(VZ + i)] * lz
        inverse = _1 / np.sqrt(max(_2 + _2 * vl, np.float32(1e-6)))
        nh = saturate((nl + b[ix(NV + i)]) * inverse)
        vh = saturate((_1 + vl) * inverse)
        lit = saturate(nl)
        alpha = b[ix(ALPHA + i)]
        wide = min(alpha + b[ix(WIDEN + i)], _1)
        ratio = alpha / wide
        specular = ggx(lit, b[ix(NV + i)], nh, wide) * (ratio * ratio) * lit
        f = schlick(vh)
        e = b[ix(ER + i)] * b[ix(SEEN + i)]
        diffuse = b[ix(EG + i)] * INVERSE_PI
        fr = b[ix(F0R + i)] + (_1 - b[ix(F0R + i)]) * f
        fg = b[ix(F0G + i)] + (_1 - b[ix(F0G + i)]) * f
        fb = b[ix(F0B + i)] + (_1 - b[ix(F0B + i)]) * f
        b[ix(OUT_R + i)] += e * r * (b[ix(R + i)] * (_1 - fr) * diffuse + fr * specular)
        b[ix(OUT_G + i)] += e * g * (b[ix(G + i)] * (_1 - fg) * diffuse + fg * specular)
        b[ix(OUT_B + i)] += e * c * (b[ix(B + i)] * (_1 - fb) * diffuse + fb * specular)


@fast
def _aim(n: int, light: Any, b: Any) -> None:
    """Direction to a light, its irradiance factor, diffuse cosine and highlight widening for a block."""
    kind = np.int64(light[KIND])
    dx, dy, dz = light[TRAVEL], light[TRAVEL + 1], light[TRAVEL + 2]
    if kind == DIRECTIONAL:
        widen = min(light[SIZE] * np.float32(0.25), _HALF)
        for i in range(n):
            b[ix(LX + i)] = -dx
            b[ix(LY + i)] = -dy
            b[ix(LZ + i)] = -dz
            b[ix(ER + i)] = _1
            b[ix(EG + i)] = saturate(-(b[ix(NX + i)] * dx + b[ix(NY + i)] * dy + b[ix(NZ + i)] * dz))
            b[ix(WIDEN + i)] = widen
        return
    ox, oy, oz = light[POSITION], light[POSITION + 1], light[POSITION + 2]
    if kind != AREA:
        inner, outer = light[INNER], light[OUTER]
        if kind == POINT:
            inner, outer = np.float32(-2.0), np.float32(-3.0)
        radius = light[SIZE]
        for i in range(n):
            x, y, z = ox - b[ix(X + i)], oy - b[ix(Y + i)], oz - b[ix(Z + i)]
            d2 = max(x * x + y * y + z * z, np.float32(1e-6))
            inverse = _1 / np.sqrt(d2)
            x, y, z = x * inverse, y * inverse, z * inverse
            b[ix(LX + i)] = x
            b[ix(LY + i)] = y
            b[ix(LZ + i)] = z
            cone = smooth_falloff(-(x * dx + y * dy + z * dz), inner, outer)
            # Inside the lamp the inverse square law ends.
            b[ix(ER + i)] = cone / max(d2, radius * radius)
            b[ix(EG + i)] = saturate(b[ix(NX + i)] * x + b[ix(NY + i)] * y + b[ix(NZ + i)] * z)
            b[ix(WIDEN + i)] = min(radius * inverse * _HALF, _HALF)
        return
    ax, ay, az = light[HALF_X], light[HALF_X + 1], light[HALF_X + 2]
    bx, by, bz = light[HALF_Y], light[HALF_Y + 1], light[HALF_Y + 2]
    a2 = max(ax * ax + ay * ay + az * az, _TINY)
    b2 = max(bx * bx + by * by + bz * bz, _TINY)
    area = np.float32(4.0) * np.sqrt(a2 * b2)
    for i in range(n):
        px, py, pz = ox - b[ix(X + i)], oy - b[ix(Y + i)], oz - b[ix(Z + i)]
        irradiance_ = PI * rectangle_form_factor(
            px, py, pz, ax, ay, az, bx, by, bz, dx, dy, dz, b[ix(NX + i)], b[ix(NY + i)], b[ix(NZ + i)]
        )
        # Highlight: the point of the rectangle nearest to the mirrored ray (representative point, Karis 2013).
        two = _2 * b[ix(NV + i)]
        rx, ry, rz = (
            two * b[ix(NX + i)] - b[ix(VX + i)],
            two * b[ix(NY + i)] - b[ix(VY + i)],
            two * b[ix(NZ + i)] - b[ix(VZ + i)],
        )
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
        b[ix(LX + i)] = x
        b[ix(LY + i)] = y
        b[ix(LZ + i)] = z
        facing = max(-(x * dx + y * dy + z * dz), _0)
        solid = facing * area / (d2 + area * np.float32(1 / np.pi))
        b[ix(ER + i)] = solid
        b[ix(EG + i)] = irradiance_ / max(solid, np.float32(1e-6)) if solid > _0 else _0
        b[ix(WIDEN + i)] = min(np.sqrt(area * np.float32(1 / np.pi)) * inverse * _HALF, _HALF)


@fast
def shade(
    start: int, stop: int, pixel: Any, triangle: Any, px: Any, py: Any, w: Any, nx: Any, ny: Any, nz: Any, weight: Any,
    opening: Any, owner: Any, draws: Any, reals: Any, planes: Any, camera: Any, textures: Any, texels: Any, lights: Any,
    maps: Any, shadow: Any, coarse: Any, discs: Any, rotation: Any, harmonics: Any,
    reflections: Any, scale: Any, intensity: Any, q: Any, b: Any, s: Any, a: Any, t: Any,
    out: Any,
) -> None:  # fmt: skip
    """Shade fragments ``start`` to ``stop`` and add them, times ``weight``, to the colours ``out`` (H * W * 3).

    ``rotation`` (9,) turns camera directions into the frame of the environment map; ``b``, ``s``, ``a`` and ``t`` are
    working arrays of CHANNELS * STRIDE, and of TEXTURE_CHANNELS and ADDRESS_CHANNELS (int32, uint32) * SAMPLE_STRIDE.
    """
    first = start
    while first < stop:
        n = min(BLOCK, stop - first)
        _load(first, n, triangle, px, py, w, nx, ny, nz, planes, camera, b)
        load_materials(first, n, triangle, px, py, owner, draws, reals, planes, textures, texels, b, s, a, t)
        for i in range(n):
            b[ix(OPEN + i)] = opening[ix(first + i)]
        _environment(n, rotation, harmonics, reflections, scale, intensity, b, a, t)
        for k in range(len(lights)):
            _aim(n, lights[k], b)
            row = np.int64(lights[k, SHADOW])
            if row >= 0:
                shadow_block(n, maps[row], shadow, coarse, discs, b, q, a)
            else:
                for i in range(n):
                    b[ix(SEEN + i)] = _1
            _add_light(n, lights[k, COLOR], lights[k, COLOR + 1], lights[k, COLOR + 2], b)
        for i in range(n):
            at = 3 * np.int64(pixel[ix(first + i)])
            share = weight[ix(first + i)]
            out[at] += b[ix(OUT_R + i)] * share
            out[at + 1] += b[ix(OUT_G + i)] * share
            out[at + 2] += b[ix(OUT_B + i)] * share
        first += n

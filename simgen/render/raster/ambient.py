"""Light of the environment on a block of fragments: irradiance on the diffuse part, prefiltered reflection."""

from __future__ import annotations

from typing import Any

import numpy as np

from simgen.render.raster.block import (
    F0B,
    F0G,
    F0R,
    LOWER,
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
    SG,
    SR,
    TLOWER,
    TUPPER,
    UPPER,
    VX,
    VY,
    VZ,
    B,
    G,
    R,
)
from simgen.render.raster.environment import LAST, irradiance, reflection_level
from simgen.render.raster.jit import fast, ix
from simgen.render.raster.mathematics import octahedral, saturate, split_sum
from simgen.render.raster.textures import BLUE_SCALE, GREEN_SCALE, RED_SCALE, unpack_color

_1 = np.float32(1.0)
_2 = np.float32(2.0)
_HALF = np.float32(0.5)


@fast
def add_environment(
    n: int, rotation: Any, harmonics: Any, reflections: Any, scale: Any, intensity: Any, b: Any, a: Any, t: Any
) -> None:
    """Add the light of the environment to a block; ``rotation`` (9,) turns camera directions into its frame."""
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
        # Between two levels, pixels take one or the other in a fixed pattern of noise.
        level = min(np.floor(np.sqrt(b[ix(ROUGH + i)]) * np.float32(LAST) + b[ix(NOISE + i)]), np.float32(LAST))
        start, side = reflection_level(level)
        u, v = u * side + _HALF, v * side + _HALF
        row = np.int32(np.int32(side) + np.int32(2))
        x0, y0 = np.int32(u), np.int32(v)
        b[ix(SR + i)] = u - np.float32(x0)
        b[ix(SG + i)] = v - np.float32(y0)
        at = np.int32(np.int32(start + np.int32(y0 * row)) + x0)
        a[ix(TUPPER + i)] = at
        a[ix(TLOWER + i)] = np.int32(at + row)
    for i in range(n):
        upper, lower = np.uint32(a[ix(TUPPER + i)]), np.uint32(a[ix(TLOWER + i)])
        # All are read before any is written: LLVM then moves them in pairs.
        p, q = reflections[upper], reflections[upper + np.uint32(1)]
        r, s = reflections[lower], reflections[lower + np.uint32(1)]
        t[ix(UPPER + 2 * i)] = p
        t[ix(UPPER + 2 * i + 1)] = q
        t[ix(LOWER + 2 * i)] = r
        t[ix(LOWER + 2 * i + 1)] = s
    for i in range(n):
        fa, fb = b[ix(SR + i)], b[ix(SG + i)]
        p, q, r, s = (_1 - fa) * (_1 - fb), fa * (_1 - fb), (_1 - fa) * fb, fa * fb
        pr, pg, pb = unpack_color(t[ix(UPPER + 2 * i)])
        qr, qg, qb = unpack_color(t[ix(UPPER + 2 * i + 1)])
        rr, rg, rb = unpack_color(t[ix(LOWER + 2 * i)])
        sr, sg, sb = unpack_color(t[ix(LOWER + 2 * i + 1)])
        red = (p * pr + q * qr + r * rr + s * sr) * RED_SCALE
        green = (p * pg + q * qg + r * rg + s * sg) * GREEN_SCALE
        blue = (p * pb + q * qb + r * rb + s * sb) * BLUE_SCALE
        # Decoded with one division for all three.
        dr, dg, db = np.float32(1.002) - red, np.float32(1.002) - green, np.float32(1.002) - blue
        inverse = scale / (dr * dg * db)
        red, green, blue = red * inverse * (dg * db), green * inverse * (dr * db), blue * inverse * (dr * dg)
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
            b[ix(R + i)] * (_1 - er) * irradiance(harmonics, 0, x, y, z) * opening + er * red * reflected
        )
        b[ix(OUT_G + i)] += intensity * (
            b[ix(G + i)] * (_1 - eg) * irradiance(harmonics, 1, x, y, z) * opening + eg * green * reflected
        )
        b[ix(OUT_B + i)] += intensity * (
            b[ix(B + i)] * (_1 - eb) * irradiance(harmonics, 2, x, y, z) * opening + eb * blue * reflected
        )

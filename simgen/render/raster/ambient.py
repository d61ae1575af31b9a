"""Light of the environment on a block of fragments: irradiance on the diffuse part, prefiltered reflection."""

from __future__ import annotations

from typing import Any

import numpy as np

from simgen.render.raster.block import (
    F0B,
    F0G,
    F0R,
    LOWER,
    NEXT_LOWER,
    NEXT_UPPER,
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
    SLEVEL,
    SR,
    SX,
    SY,
    TLOWER,
    TNEXT_LOWER,
    TNEXT_UPPER,
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
from simgen.render.raster.mathematics import interreflected, octahedral, saturate, split_sum
from simgen.render.raster.textures import BLUE_SCALE, GREEN_SCALE, RED_SCALE, unpack_color

_1 = np.float32(1.0)
_2 = np.float32(2.0)
_HALF = np.float32(0.5)


@fast
def _place(u: Any, v: Any, side: Any) -> Any:
    """Column and row of the upper left of four texels around octahedral coordinates, and the place between them."""
    x, y = u * side + _HALF, v * side + _HALF
    x0, y0 = np.int32(x), np.int32(y)
    return x0, y0, x - np.float32(x0), y - np.float32(y0)


@fast
def _fetch(
    n: int, reflections: Any, upper: int, lower: int, upper_pairs: int, lower_pairs: int, a: Any, t: Any
) -> None:
    """Fetch the texels around a block's directions: pairs from the addresses in channels ``upper`` and ``lower``."""
    for i in range(n):
        above, below = np.uint32(a[ix(upper + i)]), np.uint32(a[ix(lower + i)])
        # All are read before any is written: LLVM then moves them in pairs.
        p, q = reflections[above], reflections[above + np.uint32(1)]
        r, s = reflections[below], reflections[below + np.uint32(1)]
        t[ix(upper_pairs + 2 * i)] = p
        t[ix(upper_pairs + 2 * i + 1)] = q
        t[ix(lower_pairs + 2 * i)] = r
        t[ix(lower_pairs + 2 * i + 1)] = s


@fast
def _between(t: Any, upper: int, lower: int, fa: Any, fb: Any) -> Any:
    """The colour between two pairs of texels, to be multiplied by RED_SCALE, GREEN_SCALE and BLUE_SCALE."""
    p, q, r, s = (_1 - fa) * (_1 - fb), fa * (_1 - fb), (_1 - fa) * fb, fa * fb
    pr, pg, pb = unpack_color(t[ix(upper)])
    qr, qg, qb = unpack_color(t[ix(upper + 1)])
    rr, rg, rb = unpack_color(t[ix(lower)])
    sr, sg, sb = unpack_color(t[ix(lower + 1)])
    return p * pr + q * qr + r * rr + s * sr, p * pg + q * qg + r * rg + s * sg, p * pb + q * qb + r * rb + s * sb


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
        # Between two levels the reflection is a blend of both: where they differ much, a pattern would be seen.
        level = np.sqrt(b[ix(ROUGH + i)]) * np.float32(LAST)
        low = min(np.floor(level), np.float32(LAST - 1))
        b[ix(SLEVEL + i)] = level - low
        start, side = reflection_level(low)
        x0, y0, b[ix(SR + i)], b[ix(SG + i)] = _place(u, v, side)
        row = np.int32(np.int32(side) + np.int32(2))
        at = np.int32(np.int32(start + np.int32(y0 * row)) + x0)
        a[ix(TUPPER + i)] = at
        a[ix(TLOWER + i)] = np.int32(at + row)
        start, side = reflection_level(low + _1)
        x0, y0, b[ix(SX + i)], b[ix(SY + i)] = _place(u, v, side)
        row = np.int32(np.int32(side) + np.int32(2))
        at = np.int32(np.int32(start + np.int32(y0 * row)) + x0)
        a[ix(TNEXT_UPPER + i)] = at
        a[ix(TNEXT_LOWER + i)] = np.int32(at + row)
    _fetch(n, reflections, TUPPER, TLOWER, UPPER, LOWER, a, t)
    _fetch(n, reflections, TNEXT_UPPER, TNEXT_LOWER, NEXT_UPPER, NEXT_LOWER, a, t)
    for i in range(n):
        red, green, blue = _between(t, UPPER + 2 * i, LOWER + 2 * i, b[ix(SR + i)], b[ix(SG + i)])
        rn, gn, bn = _between(t, NEXT_UPPER + 2 * i, NEXT_LOWER + 2 * i, b[ix(SX + i)], b[ix(SY + i)])
        share = b[ix(SLEVEL + i)]
        red = (red + (rn - red) * share) * RED_SCALE
        green = (green + (gn - green) * share) * GREEN_SCALE
        blue = (blue + (bn - blue) * share) * BLUE_SCALE
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
        # What hides the sky shines back.
        part = interreflected(opening, _HALF)
        reflected = saturate(b[ix(NV + i)] + part) * part
        reflected = part + (reflected - part) * (_1 - b[ix(ROUGH + i)]) if opening < _1 else _1
        fr, fg, fb = b[ix(F0R + i)], b[ix(F0G + i)], b[ix(F0B + i)]
        er = (fr * factor + bias) * (_1 + fr * more)
        eg = (fg * factor + bias) * (_1 + fg * more)
        eb = (fb * factor + bias) * (_1 + fb * more)
        b[ix(OUT_R + i)] += intensity * (
            b[ix(R + i)] * (_1 - er) * irradiance(harmonics, 0, x, y, z) * interreflected(opening, b[ix(R + i)])
            + er * red * reflected
        )
        b[ix(OUT_G + i)] += intensity * (
            b[ix(G + i)] * (_1 - eg) * irradiance(harmonics, 1, x, y, z) * interreflected(opening, b[ix(G + i)])
            + eg * green * reflected
        )
        b[ix(OUT_B + i)] += intensity * (
            b[ix(B + i)] * (_1 - eb) * irradiance(harmonics, 2, x, y, z) * interreflected(opening, b[ix(B + i)])
            + eb * blue * reflected
        )

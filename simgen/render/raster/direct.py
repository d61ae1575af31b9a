"""Light of lamps on a block of fragments: where it comes from, and what of it goes to the camera."""

from __future__ import annotations

from typing import Any

import numpy as np

from simgen.render.raster.block import (
    ALPHA,
    EG,
    ER,
    F0B,
    F0G,
    F0R,
    LX,
    LY,
    LZ,
    NV,
    NX,
    NY,
    NZ,
    OUT_B,
    OUT_G,
    OUT_R,
    SEEN,
    VX,
    VY,
    VZ,
    WIDEN,
    B,
    G,
    R,
    X,
    Y,
    Z,
)
from simgen.render.raster.jit import fast, ix
from simgen.render.raster.lights import (
    AREA,
    DIRECTIONAL,
    HALF_X,
    HALF_Y,
    INNER,
    KIND,
    OUTER,
    POINT,
    POSITION,
    SIZE,
    TRAVEL,
)
from simgen.render.raster.mathematics import (
    INVERSE_PI,
    PI,
    highlight,
    inverse_sqrt,
    rectangle_form_factor,
    saturate,
    schlick,
    smooth_falloff,
)

_0 = np.float32(0.0)
_1 = np.float32(1.0)
_2 = np.float32(2.0)
_HALF = np.float32(0.5)
_TINY = np.float32(1e-12)


@fast
def aim(n: int, light: Any, b: Any) -> None:
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
            inverse = inverse_sqrt(d2)
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
        inverse = inverse_sqrt(d2)
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
def add_light(n: int, r: Any, g: Any, c: Any, b: Any) -> None:
    """Add a light to a block: direction in L, irradiance factor across it in ER, n.l for diffuse light in EG.

    WIDEN is what the light's size adds to the roughness of the highlight.
    """
    for i in range(n):
        lx, ly, lz = b[ix(LX + i)], b[ix(LY + i)], b[ix(LZ + i)]
        nl = b[ix(NX + i)] * lx + b[ix(NY + i)] * ly + b[ix(NZ + i)] * lz
        vl = b[ix(VX + i)] * lx + b[ix(VY + i)] * ly + b[ix(VZ + i)] * lz
        specular, vh = highlight(nl, b[ix(NV + i)], vl, b[ix(ALPHA + i)], b[ix(WIDEN + i)])
        f = schlick(vh)
        e = b[ix(ER + i)] * b[ix(SEEN + i)]
        diffuse = b[ix(EG + i)] * INVERSE_PI
        fr = b[ix(F0R + i)] + (_1 - b[ix(F0R + i)]) * f
        fg = b[ix(F0G + i)] + (_1 - b[ix(F0G + i)]) * f
        fb = b[ix(F0B + i)] + (_1 - b[ix(F0B + i)]) * f
        b[ix(OUT_R + i)] += e * r * (b[ix(R + i)] * (_1 - fr) * diffuse + fr * specular)
        b[ix(OUT_G + i)] += e * g * (b[ix(G + i)] * (_1 - fg) * diffuse + fg * specular)
        b[ix(OUT_B + i)] += e * c * (b[ix(B + i)] * (_1 - fb) * diffuse + fb * specular)

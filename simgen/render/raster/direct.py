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
    LOBE,
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
    mirror_lamp,
    nearest_on_disc,
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
def _mirror_disc(i: int, x: Any, y: Any, z: Any, radius: Any, across: Any, b: Any) -> None:
    """Direction, irradiance across it and alpha of the highlight of a disc or ball that is seen in (x, y, z).

    ``radius`` is half its angular radius, ``across`` its irradiance across its direction.
    """
    share, b[ix(LOBE + i)], scale = mirror_lamp(b[ix(ALPHA + i)], radius)
    two = _2 * b[ix(NV + i)]
    b[ix(LX + i)], b[ix(LY + i)], b[ix(LZ + i)] = nearest_on_disc(
        x, y, z, two * b[ix(NX + i)] - b[ix(VX + i)], two * b[ix(NY + i)] - b[ix(VY + i)],
        two * b[ix(NZ + i)] - b[ix(VZ + i)], _2 * radius * share,
    )  # fmt: skip
    b[ix(ER + i)] = across * scale


@fast
def aim(n: int, lights: Any, k: int, b: Any) -> None:
    """Direction to light ``k``, its irradiance across it and on the surface, alpha of its highlight for a block.

    The direction is that of the representative point of the highlight; the irradiance across it is scaled with it.
    """
    kind = np.int64(lights[k, KIND])
    dx, dy, dz = lights[k, TRAVEL], lights[k, TRAVEL + 1], lights[k, TRAVEL + 2]
    if kind == DIRECTIONAL:
        radius = min(lights[k, SIZE] * np.float32(0.25), _HALF)
        for i in range(n):
            b[ix(EG + i)] = saturate(-(b[ix(NX + i)] * dx + b[ix(NY + i)] * dy + b[ix(NZ + i)] * dz))
            _mirror_disc(i, -dx, -dy, -dz, radius, _1, b)
        return
    ox, oy, oz = lights[k, POSITION], lights[k, POSITION + 1], lights[k, POSITION + 2]
    if kind != AREA:
        inner, outer = lights[k, INNER], lights[k, OUTER]
        if kind == POINT:
            inner, outer = np.float32(-2.0), np.float32(-3.0)
        radius = lights[k, SIZE]
        for i in range(n):
            x, y, z = ox - b[ix(X + i)], oy - b[ix(Y + i)], oz - b[ix(Z + i)]
            d2 = max(x * x + y * y + z * z, np.float32(1e-6))
            inverse = inverse_sqrt(d2)
            x, y, z = x * inverse, y * inverse, z * inverse
            cone = smooth_falloff(-(x * dx + y * dy + z * dz), inner, outer)
            # Inside the lamp the inverse square law ends.
            across = cone / max(d2, radius * radius)
            b[ix(EG + i)] = across * saturate(b[ix(NX + i)] * x + b[ix(NY + i)] * y + b[ix(NZ + i)] * z)
            _mirror_disc(i, x, y, z, min(radius * inverse * _HALF, _HALF), across, b)
        return
    ax, ay, az = lights[k, HALF_X], lights[k, HALF_X + 1], lights[k, HALF_X + 2]
    bx, by, bz = lights[k, HALF_Y], lights[k, HALF_Y + 1], lights[k, HALF_Y + 2]
    a2 = max(ax * ax + ay * ay + az * az, _TINY)
    b2 = max(bx * bx + by * by + bz * bz, _TINY)
    area = np.float32(4.0) * np.sqrt(a2 * b2)
    radius = _HALF * np.sqrt(area * np.float32(1 / np.pi))
    for i in range(n):
        px, py, pz = ox - b[ix(X + i)], oy - b[ix(Y + i)], oz - b[ix(Z + i)]
        b[ix(EG + i)] = PI * rectangle_form_factor(
            px, py, pz, ax, ay, az, bx, by, bz, dx, dy, dz, b[ix(NX + i)], b[ix(NY + i)], b[ix(NZ + i)]
        )
        # Highlight: the point of the rectangle nearest to the mirrored ray (representative point, Karis 2013), of as
        # much of it as is mirrored as such.
        apart = inverse_sqrt(max(px * px + py * py + pz * pz, np.float32(1e-6)))
        share, b[ix(LOBE + i)], scale = mirror_lamp(b[ix(ALPHA + i)], min(radius * apart, _HALF))
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
        s = min(max((hx * ax + hy * ay + hz * az) / a2, -share), share)
        q = min(max((hx * bx + hy * by + hz * bz) / b2, -share), share)
        x, y, z = px + s * ax + q * bx, py + s * ay + q * by, pz + s * az + q * bz
        d2 = max(x * x + y * y + z * z, np.float32(1e-6))
        inverse = inverse_sqrt(d2)
        x, y, z = x * inverse, y * inverse, z * inverse
        b[ix(LX + i)] = x
        b[ix(LY + i)] = y
        b[ix(LZ + i)] = z
        facing = max(-(x * dx + y * dy + z * dz), _0)
        b[ix(ER + i)] = scale * facing * area / (d2 + area * np.float32(1 / np.pi))


@fast
def add_light(n: int, r: Any, g: Any, c: Any, b: Any) -> None:
    """Add a light to a block: direction in L, irradiance factors across it in ER and on the surface in EG.

    LOBE is the alpha of the highlight.
    """
    for i in range(n):
        lx, ly, lz = b[ix(LX + i)], b[ix(LY + i)], b[ix(LZ + i)]
        nl = b[ix(NX + i)] * lx + b[ix(NY + i)] * ly + b[ix(NZ + i)] * lz
        vl = b[ix(VX + i)] * lx + b[ix(VY + i)] * ly + b[ix(VZ + i)] * lz
        specular, vh = highlight(nl, b[ix(NV + i)], vl, b[ix(LOBE + i)])
        f = schlick(vh)
        seen = b[ix(SEEN + i)]
        specular *= b[ix(ER + i)] * seen
        diffuse = b[ix(EG + i)] * seen * INVERSE_PI
        fr = b[ix(F0R + i)] + (_1 - b[ix(F0R + i)]) * f
        fg = b[ix(F0G + i)] + (_1 - b[ix(F0G + i)]) * f
        fb = b[ix(F0B + i)] + (_1 - b[ix(F0B + i)]) * f
        b[ix(OUT_R + i)] += r * (b[ix(R + i)] * (_1 - fr) * diffuse + fr * specular)
        b[ix(OUT_G + i)] += g * (b[ix(G + i)] * (_1 - fg) * diffuse + fg * specular)
        b[ix(OUT_B + i)] += c * (b[ix(B + i)] * (_1 - fb) * diffuse + fb * specular)

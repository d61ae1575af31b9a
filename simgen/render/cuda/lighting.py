"""Light that a fragment sends to the camera: the formulas of ``simgen.render.raster.direct`` and ``ambient``."""

from __future__ import annotations

from typing import Any

import numpy as np

from simgen.render.cuda.device import device
from simgen.render.cuda.materials import saturate, unpack_color
from simgen.render.cuda.points import (
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
    OPEN,
    OUT_B,
    OUT_G,
    OUT_R,
    ROUGH,
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
from simgen.render.raster import environment, mathematics
from simgen.render.raster.environment import LAST
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
from simgen.render.raster.mathematics import INVERSE_PI, PI
from simgen.render.raster.textures import BLUE_SCALE, GREEN_SCALE, RED_SCALE

# An environment, float32: what turns camera directions into its frame (3x3), and how it shines.
INTENSITY = 9
SCALE = 10
HARMONICS = 11
ENVIRONMENT_REALS = 38

octahedral = device(mathematics.octahedral)
interreflected = device(mathematics.interreflected)
highlight = device(mathematics.highlight)
mirror_lamp = device(mathematics.mirror_lamp)
nearest_on_disc = device(mathematics.nearest_on_disc)
rectangle_form_factor = device(mathematics.rectangle_form_factor)
schlick = device(mathematics.schlick)
split_sum = device(mathematics.split_sum)
smooth_falloff = device(mathematics.smooth_falloff)
irradiance = device(environment.irradiance)
reflection_level = device(environment.reflection_level)

_0 = np.float32(0.0)
_1 = np.float32(1.0)
_2 = np.float32(2.0)
_HALF = np.float32(0.5)
_TINY = np.float32(1e-12)


@device
def add_light(r: Any, g: Any, b: Any, f: Any) -> None:
    """Add a light of colour (r, g, b): direction in L, irradiance factors across it in ER and on the surface in EG.

    LOBE is the alpha of the highlight.
    """
    lx, ly, lz = f[LX], f[LY], f[LZ]
    nl = f[NX] * lx + f[NY] * ly + f[NZ] * lz
    vl = f[VX] * lx + f[VY] * ly + f[VZ] * lz
    specular, vh = highlight(nl, f[NV], vl, f[LOBE])
    fresnel = schlick(vh)
    specular *= f[ER] * f[SEEN]
    diffuse = f[EG] * f[SEEN] * INVERSE_PI
    fr = f[F0R] + (_1 - f[F0R]) * fresnel
    fg = f[F0G] + (_1 - f[F0G]) * fresnel
    fb = f[F0B] + (_1 - f[F0B]) * fresnel
    f[OUT_R] += r * (f[R] * (_1 - fr) * diffuse + fr * specular)
    f[OUT_G] += g * (f[G] * (_1 - fg) * diffuse + fg * specular)
    f[OUT_B] += b * (f[B] * (_1 - fb) * diffuse + fb * specular)


@device
def _mirror_disc(x: Any, y: Any, z: Any, radius: Any, across: Any, f: Any) -> None:
    """Direction, irradiance across it and alpha of the highlight of a disc or ball that is seen in (x, y, z).

    ``radius`` is half its angular radius, ``across`` its irradiance across its direction.
    """
    share, f[LOBE], scale = mirror_lamp(f[ALPHA], radius)
    two = _2 * f[NV]
    f[LX], f[LY], f[LZ] = nearest_on_disc(
        x, y, z, two * f[NX] - f[VX], two * f[NY] - f[VY], two * f[NZ] - f[VZ], _2 * radius * share
    )
    f[ER] = across * scale


@device
def aim(light: Any, f: Any) -> None:
    """Direction to a light, its irradiance across it and on the surface, alpha of its highlight.

    The direction is that of the representative point of the highlight; the irradiance across it is scaled with it.
    """
    kind = np.int64(light[KIND])
    dx, dy, dz = light[TRAVEL], light[TRAVEL + 1], light[TRAVEL + 2]
    if kind == DIRECTIONAL:
        f[EG] = saturate(-(f[NX] * dx + f[NY] * dy + f[NZ] * dz))
        _mirror_disc(-dx, -dy, -dz, min(light[SIZE] * np.float32(0.25), _HALF), _1, f)
        return
    ox, oy, oz = light[POSITION], light[POSITION + 1], light[POSITION + 2]
    if kind != AREA:
        inner, outer = light[INNER], light[OUTER]
        if kind == POINT:
            inner, outer = np.float32(-2.0), np.float32(-3.0)
        radius = light[SIZE]
        x, y, z = ox - f[X], oy - f[Y], oz - f[Z]
        d2 = max(x * x + y * y + z * z, np.float32(1e-6))
        inverse = _1 / np.sqrt(d2)
        x, y, z = x * inverse, y * inverse, z * inverse
        cone = smooth_falloff(-(x * dx + y * dy + z * dz), inner, outer)
        # Inside the lamp the inverse square law ends.
        across = cone / max(d2, radius * radius)
        f[EG] = across * saturate(f[NX] * x + f[NY] * y + f[NZ] * z)
        _mirror_disc(x, y, z, min(radius * inverse * _HALF, _HALF), across, f)
        return
    ax, ay, az = light[HALF_X], light[HALF_X + 1], light[HALF_X + 2]
    bx, by, bz = light[HALF_Y], light[HALF_Y + 1], light[HALF_Y + 2]
    a2 = max(ax * ax + ay * ay + az * az, _TINY)
    b2 = max(bx * bx + by * by + bz * bz, _TINY)
    area = np.float32(4.0) * np.sqrt(a2 * b2)
    px, py, pz = ox - f[X], oy - f[Y], oz - f[Z]
    f[EG] = PI * rectangle_form_factor(px, py, pz, ax, ay, az, bx, by, bz, dx, dy, dz, f[NX], f[NY], f[NZ])
    # Highlight: the point of the rectangle nearest to the mirrored ray (representative point, Karis 2013), of as
    # much of it as is mirrored as such.
    radius = _HALF * np.sqrt(area * np.float32(1 / np.pi))
    apart = _1 / np.sqrt(max(px * px + py * py + pz * pz, np.float32(1e-6)))
    share, f[LOBE], scale = mirror_lamp(f[ALPHA], min(radius * apart, _HALF))
    two = _2 * f[NV]
    rx, ry, rz = (
        two * f[NX] - f[VX],
        two * f[NY] - f[VY],
        two * f[NZ] - f[VZ],
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
    inverse = _1 / np.sqrt(d2)
    x, y, z = x * inverse, y * inverse, z * inverse
    f[LX] = x
    f[LY] = y
    f[LZ] = z
    facing = max(-(x * dx + y * dy + z * dz), _0)
    f[ER] = scale * facing * area / (d2 + area * np.float32(1 / np.pi))


@device
def reflection(start: int, level: Any, u: Any, v: Any, reflections: Any) -> Any:
    """The encoded colour at octahedral coordinates of a level of the reflections that begin at ``start``."""
    first, side = reflection_level(level)
    x, y = u * side + _HALF, v * side + _HALF
    x0, y0, row = np.int64(x), np.int64(y), np.int64(side) + 2
    upper = start + first + y0 * row + x0
    lower = upper + row
    fa, fb = x - np.float32(x0), y - np.float32(y0)
    p, q, r, s = (_1 - fa) * (_1 - fb), fa * (_1 - fb), (_1 - fa) * fb, fa * fb
    pr, pg, pb = unpack_color(reflections[upper])
    qr, qg, qb = unpack_color(reflections[upper + 1])
    rr, rg, rb = unpack_color(reflections[lower])
    sr, sg, sb = unpack_color(reflections[lower + 1])
    red = (p * pr + q * qr + r * rr + s * sr) * RED_SCALE
    green = (p * pg + q * qg + r * rg + s * sg) * GREEN_SCALE
    blue = (p * pb + q * qb + r * rb + s * sb) * BLUE_SCALE
    return red, green, blue


@device
def add_environment(light: Any, start: int, reflections: Any, f: Any) -> None:
    """Add the light of an environment: irradiance on the diffuse part, prefiltered reflection.

    ``light`` is its row of the table of environments, ``start`` where its reflections begin in the pool.
    """
    intensity, scale = light[INTENSITY], light[SCALE]
    r0, r1, r2 = light[0], light[1], light[2]
    r3, r4, r5 = light[3], light[4], light[5]
    r6, r7, r8 = light[6], light[7], light[8]
    # The mirrored viewing direction; rough surfaces reflect from closer to their normal.
    two = _2 * f[NV]
    x, y, z = (
        two * f[NX] - f[VX],
        two * f[NY] - f[VY],
        two * f[NZ] - f[VZ],
    )
    u, v = octahedral(r0 * x + r1 * y + r2 * z, r3 * x + r4 * y + r5 * z, r6 * x + r7 * y + r8 * z)
    # Between two levels the reflection is a blend of both: where they differ much, a pattern would be seen.
    level = np.sqrt(f[ROUGH]) * np.float32(LAST)
    low = min(np.floor(level), np.float32(LAST - 1))
    share = level - low
    red, green, blue = reflection(start, low, u, v, reflections)
    r, g, b = reflection(start, low + _1, u, v, reflections)
    red, green, blue = red + (r - red) * share, green + (g - green) * share, blue + (b - blue) * share
    red = scale * red / (np.float32(1.002) - red)
    green = scale * green / (np.float32(1.002) - green)
    blue = scale * blue / (np.float32(1.002) - blue)
    nx, ny, nz = f[NX], f[NY], f[NZ]
    x, y, z = r0 * nx + r1 * ny + r2 * nz, r3 * nx + r4 * ny + r5 * nz, r6 * nx + r7 * ny + r8 * nz
    factor, bias = split_sum(f[NV], f[ROUGH])
    opening = f[OPEN]
    # What several bounces among the microfacets give back (Fdez-Aguera 2019, simplified).
    more = _1 / (factor + bias) - _1
    # Occlusion of the reflection from that of the diffuse light (Lagarde and de Rousiers 2014).
    # What hides the sky shines back.
    part = interreflected(opening, _HALF)
    reflected = saturate(f[NV] + part) * part
    reflected = part + (reflected - part) * (_1 - f[ROUGH]) if opening < _1 else _1
    fr, fg, fb = f[F0R], f[F0G], f[F0B]
    er = (fr * factor + bias) * (_1 + fr * more)
    eg = (fg * factor + bias) * (_1 + fg * more)
    eb = (fb * factor + bias) * (_1 + fb * more)
    f[OUT_R] += intensity * (
        f[R] * (_1 - er) * irradiance(light[HARMONICS:], 0, x, y, z) * interreflected(opening, f[R])
        + er * red * reflected
    )
    f[OUT_G] += intensity * (
        f[G] * (_1 - eg) * irradiance(light[HARMONICS:], 1, x, y, z) * interreflected(opening, f[G])
        + eg * green * reflected
    )
    f[OUT_B] += intensity * (
        f[B] * (_1 - eb) * irradiance(light[HARMONICS:], 2, x, y, z) * interreflected(opening, f[B])
        + eb * blue * reflected
    )

"""Per-pixel functions of colour: small, scalar, float32, without branches where that matters for vectorization."""

from __future__ import annotations

from typing import Any

import numpy as np

from simgen.render.raster.jit import fast

_0 = np.float32(0.0)
_1 = np.float32(1.0)
_2 = np.float32(2.0)
_HALF = np.float32(0.5)
PI = np.float32(np.pi)
INVERSE_PI = np.float32(1 / np.pi)


@fast
def saturate(x: Any) -> Any:
    """``x`` within [0, 1]."""
    return min(max(x, _0), _1)


@fast
def log2(x: Any) -> Any:
    """Base-2 logarithm of a positive normal number, within 0.01."""
    bits = np.float32(x).view(np.int32)
    exponent = np.float32((bits >> np.int32(23)) - np.int32(127))
    mantissa = np.int32((bits & np.int32(0x7FFFFF)) | np.int32(0x3F800000)).view(np.float32)
    return exponent + (mantissa - _1) * (np.float32(1.3465) - np.float32(0.3465) * (mantissa - _1)) + _0


@fast
def inverse_sqrt(x: Any) -> Any:
    """1 / sqrt(x) of a positive number.

    Roots and divisions have a unit of their own, idle otherwise: Newton's method in its place takes longer.
    """
    return _1 / np.sqrt(x)


@fast
def exp2(x: Any) -> Any:
    """2 to the power of ``x`` in [-120, 120], within 0.3 %."""
    whole = np.floor(x)
    part = x - whole
    power = np.int32((np.int32(whole) + np.int32(127)) << np.int32(23)).view(np.float32)
    return power * (_1 + part * (np.float32(0.6565) + np.float32(0.3435) * part))


@fast
def atan2(y: Any, x: Any) -> Any:
    """Angle of (x, y) in radians, within 2e-5; 0 at the origin."""
    ax, ay = abs(x), abs(y)
    big, small = max(ax, ay), min(ax, ay)
    t = small / max(big, np.float32(1e-30))
    s = t * t
    # Minimax polynomial of atan on [0, 1] (Abramowitz and Stegun 4.4.49).
    a = t * (
        np.float32(0.9998660)
        + s
        * (
            np.float32(-0.3302995)
            + s * (np.float32(0.1801410) + s * (np.float32(-0.0851330) + s * np.float32(0.0208351)))
        )
    )
    a = np.float32(np.pi / 2) - a if ay > ax else a
    a = PI - a if x < _0 else a
    return -a if y < _0 else a


@fast
def arc_cosine(x: Any) -> Any:
    """Angle in [0, pi] whose cosine is ``x`` in [-1, 1], within 7e-5 (Abramowitz and Stegun 4.4.45)."""
    t = min(abs(x), _1)
    series = np.float32(1.5707288) + t * (
        np.float32(-0.2121144) + t * (np.float32(0.0742610) + t * np.float32(-0.0187293))
    )
    angle = np.sqrt(_1 - t) * series
    return PI - angle if x < _0 else angle


@fast
def interreflected(opening: Any, albedo: Any) -> Any:
    """What share of the ambient light arrives where ``opening`` of the sky is seen past surfaces of this ``albedo``.

    They pass on some of the light that they keep off (Jimenez et al. 2016, section 5).
    """
    a = np.float32(2.0404) * albedo - np.float32(0.3324)
    b = np.float32(-4.7951) * albedo + np.float32(0.6417)
    c = np.float32(2.7552) * albedo + np.float32(0.6903)
    return max(opening, opening * (c + opening * (b + opening * a)))


@fast
def octahedral(x: Any, y: Any, z: Any) -> Any:
    """Octahedral coordinates in [0, 1] of a direction of any length (Meyer et al. 2010)."""
    scale = _1 / max(abs(x) + abs(y) + abs(z), np.float32(1e-30))
    u, v = x * scale, y * scale
    fu = (_1 - abs(v)) * (_1 if u >= _0 else -_1)
    fv = (_1 - abs(u)) * (_1 if v >= _0 else -_1)
    u, v = (fu if z < _0 else u), (fv if z < _0 else v)
    return u * _HALF + _HALF, v * _HALF + _HALF


@fast
def from_octahedral(u: Any, v: Any) -> Any:
    """The unit direction of octahedral coordinates in [0, 1]."""
    x, y = u * _2 - _1, v * _2 - _1
    z = _1 - abs(x) - abs(y)
    fx = (_1 - abs(y)) * (_1 if x >= _0 else -_1)
    fy = (_1 - abs(x)) * (_1 if y >= _0 else -_1)
    x, y = (fx if z < _0 else x), (fy if z < _0 else y)
    scale = _1 / np.sqrt(x * x + y * y + z * z)
    return x * scale, y * scale, z * scale


@fast
def highlight(nl: Any, nv: Any, vl: Any, alpha: Any) -> Any:
    """Radiance of GGX per irradiance normal to a light, before the Fresnel term, and the cosine for that term.

    From the cosines n.l, n.v and v.l and ``alpha`` = roughness^2. D after Walter et al. 2007, Smith's height-correlated
    shadowing in the approximation of Hammon 2017: D V n.l, as one fraction.
    """
    twice = max(_2 + _2 * vl, np.float32(1e-6))  # the square of l + v
    lit = saturate(nl)
    towards = max(nl + nv, _0)
    nh2 = min(towards * towards / twice, _1)
    d = nh2 * (alpha * alpha - _1) + _1
    shadowing = max(_2 * lit * nv * (_1 - alpha) + (lit + nv) * alpha, np.float32(1e-5))
    vh = saturate((_1 + vl) * inverse_sqrt(twice))
    return _HALF * INVERSE_PI * alpha * alpha * lit / (d * d * shadowing), vh


@fast
def mirror_lamp(alpha: Any, radius: Any) -> Any:
    """How a surface of ``alpha`` = roughness^2 mirrors a lamp whose light turns half vectors by up to ``radius``.

    That is half the lamp's angular radius. A smooth surface shows the lamp as a disc, a rough one only a wider
    highlight. Returns the share of the lamp's radius that is seen as such, over which the lamp's representative point
    follows the mirrored ray (Karis 2013), the alpha of the highlight around it, and what scales that so that both
    together send out the lamp's light once.
    """
    r2, a2 = radius * radius, alpha * alpha
    # Never all of it: the lamp's edge would be sharper than pixels are.
    share = r2 / (np.float32(1.05) * r2 + a2)
    flat = radius * share
    rest = radius - flat
    w2 = a2 + rest * rest
    wide = np.sqrt(w2)
    # GGX of w2 / (pi (w2 + h^2)^2) around a disc of radius f: the integral is (w2 + pi/2 f w + f^2) / w2.
    scale = w2 / (w2 + flat * (flat + np.float32(np.pi / 2) * wide))
    return share, min(wide, _1), scale


@fast
def nearest_on_disc(lx: Any, ly: Any, lz: Any, rx: Any, ry: Any, rz: Any, tangent: Any) -> Any:
    """The unit direction nearest to the unit vector r of those around the unit vector l within an angle's tangent."""
    cosine = lx * rx + ly * ry + lz * rz
    sine2 = max(_1 - cosine * cosine, _0)
    reach = tangent * cosine
    step = tangent * inverse_sqrt(max(max(sine2, reach * reach), np.float32(1e-12)))
    scale = inverse_sqrt(_1 + step * step * sine2)
    along, step = (_1 - step * cosine) * scale, step * scale
    return along * lx + step * rx, along * ly + step * ry, along * lz + step * rz


@fast
def schlick(cosine: Any) -> Any:
    """Schlick's (1 - cosine)^5."""
    m = saturate(_1 - cosine)
    m2 = m * m
    return m2 * m2 * m


@fast
def split_sum(nv: Any, roughness: Any) -> Any:
    """Scale and bias of F0 that integrate GGX over a uniform environment (fit by Lazarov and Karis 2013)."""
    x = _1 - roughness
    y = roughness * np.float32(-0.0275) + np.float32(0.0425)
    z = roughness * np.float32(-0.572) + np.float32(1.04)
    w = roughness * np.float32(0.022) - np.float32(0.04)
    t = min(x * x, exp2(np.float32(-9.28) * nv)) * x + y
    return np.float32(-1.04) * t + z, np.float32(1.04) * t + w


@fast
def smooth_falloff(cosine: Any, inner: Any, outer: Any) -> Any:
    """A spot's cone: 1 inside the cosine ``inner``, 0 outside ``outer``, smoothstep between."""
    t = saturate((cosine - outer) / max(inner - outer, np.float32(1e-6)))
    return t * t * (np.float32(3.0) - _2 * t)


@fast
def _edge_weight(cosine: Any) -> Any:
    """Angle between two unit vectors over its sine, from their cosine; within 0.1 % (Hill and Heitz 2016)."""
    x = abs(cosine)
    a = np.float32(0.8543985) + (np.float32(0.4965155) + np.float32(0.0145206) * x) * x
    b = np.float32(3.4175940) + (np.float32(4.1616724) + x) * x
    near = np.float32(2 * np.pi) * a / b
    far = PI * inverse_sqrt(max(_1 - cosine * cosine, np.float32(1e-7))) - near
    return near if cosine > _0 else far


@fast
def rectangle_form_factor(
    px: Any, py: Any, pz: Any, ax: Any, ay: Any, az: Any, bx: Any, by: Any, bz: Any, dx: Any, dy: Any, dz: Any,
    nx: Any, ny: Any, nz: Any,
) -> Any:  # fmt: skip
    """Irradiance over radiance and pi that a point with normal n gets from a rectangle that shines towards d.

    p is the rectangle's centre seen from the point, a and b are its half sides. Lambert's sum over the edges; where the
    rectangle goes below the horizon, it is clipped as a disc of the same size would be.
    """
    # d is along a x b or against it.
    turn = _1 if (ay * bz - az * by) * dx + (az * bx - ax * bz) * dy + (ax * by - ay * bx) * dz < _0 else -_1
    x0, y0, z0 = px - ax - bx, py - ay - by, pz - az - bz
    x1, y1, z1 = px + ax - bx, py + ay - by, pz + az - bz
    x2, y2, z2 = px + ax + bx, py + ay + by, pz + az + bz
    x3, y3, z3 = px - ax + bx, py - ay + by, pz - az + bz
    tiny = np.float32(1e-12)
    i0 = inverse_sqrt(max(x0 * x0 + y0 * y0 + z0 * z0, tiny))
    i1 = inverse_sqrt(max(x1 * x1 + y1 * y1 + z1 * z1, tiny))
    i2 = inverse_sqrt(max(x2 * x2 + y2 * y2 + z2 * z2, tiny))
    i3 = inverse_sqrt(max(x3 * x3 + y3 * y3 + z3 * z3, tiny))
    w0 = _edge_weight((x0 * x1 + y0 * y1 + z0 * z1) * (i0 * i1)) * (i0 * i1)
    w1 = _edge_weight((x1 * x2 + y1 * y2 + z1 * z2) * (i1 * i2)) * (i1 * i2)
    w2 = _edge_weight((x2 * x3 + y2 * y3 + z2 * z3) * (i2 * i3)) * (i2 * i3)
    w3 = _edge_weight((x3 * x0 + y3 * y0 + z3 * z0) * (i3 * i0)) * (i3 * i0)
    # Corners differ by 2 a or 2 b, so that the cross products of neighbours need no differences of large numbers.
    ux, uy, uz = w0 * x0 - w2 * x2, w0 * y0 - w2 * y2, w0 * z0 - w2 * z2
    vx, vy, vz = w1 * x1 - w3 * x3, w1 * y1 - w3 * y3, w1 * z1 - w3 * z3
    fx = (uy * az - uz * ay + vy * bz - vz * by) * turn
    fy = (uz * ax - ux * az + vz * bx - vx * bz) * turn
    fz = (ux * ay - uy * ax + vx * by - vy * bx) * turn
    scale = INVERSE_PI
    fx, fy, fz = fx * scale, fy * scale, fz * scale
    towards = fx * nx + fy * ny + fz * nz
    size = np.sqrt(max(fx * fx + fy * fy + fz * fz, np.float32(1e-20)))
    # A disc of that form factor: its sine, and how high its centre stands.
    sine = np.sqrt(min(size, _1))
    above = towards / size
    part = saturate((above + sine) / (_2 * sine))
    clipped = size * sine * part * part
    front = -(px * dx + py * dy + pz * dz)
    value = towards if above >= sine else clipped
    return value if front > _0 else _0

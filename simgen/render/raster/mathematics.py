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
def ggx(nl: Any, nv: Any, nh: Any, a: Any) -> Any:
    """Microfacet distribution times visibility, D V, of GGX with ``a`` = roughness^2.

    D after Walter et al. 2007, Smith's height-correlated shadowing in the approximation of Hammon 2017; multiply by
    the Fresnel term and n.l for reflected radiance per irradiance normal to the light.
    """
    a2 = a * a
    d = nh * nh * (a2 - _1) + _1
    distribution = a2 * INVERSE_PI / (d * d)
    visibility = _HALF / max(_2 * nl * nv * (_1 - a) + (nl + nv) * a, np.float32(1e-5))
    return distribution * visibility


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

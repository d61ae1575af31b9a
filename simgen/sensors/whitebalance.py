"""White balance: from a colour temperature and a tint to channel gains."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simgen.errors import ConfigError

D65_TEMPERATURE = 6504.0
"""Kelvin; the correlated colour temperature of sRGB's white (CIE 15)."""

# IEC 61966-2-1: linear sRGB of CIE XYZ.
_RGB_OF_XYZ = np.array(
    [
        [3.2404542, -1.5371385, -0.4985314],
        [-0.9692660, 1.8760108, 0.0415560],
        [0.0556434, -0.2040259, 1.0572252],
    ]
)
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


def planckian_uv(temperature: float) -> tuple[float, float]:
    """CIE 1960 (u, v) of a black body of 1000 to 15000 K (Krystek 1985, rational approximation, error about 1e-4)."""
    t = temperature
    u = (0.860117757 + 1.54118254e-4 * t + 1.28641212e-7 * t * t) / (1 + 8.42420235e-4 * t + 7.08145163e-7 * t * t)
    v = (0.317398726 + 4.22806245e-5 * t + 4.20481691e-8 * t * t) / (1 - 2.89741816e-5 * t + 1.61456053e-7 * t * t)
    return u, v


def light_rgb(temperature: float, tint: float = 0.0) -> NDArray[np.float64]:
    """Linear sRGB (3,), of luminance 1, of light of a correlated colour temperature in K and a tint in Duv.

    Duv is the distance from the black-body locus in CIE 1960 (u, v), positive towards green (ANSI C78.377). Raises
    ConfigError outside 1000...15000 K and 0.05 Duv.
    """
    if not 1000 <= temperature <= 15000:
        raise ConfigError(f"color_temperature {temperature:g} K is outside 1000...15000 K; choose one inside")
    if not abs(tint) <= 0.05:
        raise ConfigError(f"tint {tint:g} Duv is outside -0.05...0.05; choose one inside")
    u, v = planckian_uv(temperature)
    du, dv = np.subtract(planckian_uv(temperature * 1.001), (u, v))
    # The locus runs towards smaller u with rising temperature; its normal on the green side has positive v.
    normal = np.array([dv, -du]) / np.hypot(du, dv)
    u, v = np.array([u, v]) + tint * normal * (1.0 if normal[1] > 0 else -1.0)
    x, y = 3 * u / (2 * u - 8 * v + 4), 2 * v / (2 * u - 8 * v + 4)
    rgb = _RGB_OF_XYZ @ np.array([x / y, 1.0, (1 - x - y) / y])
    # Below about 1900 K the blue of sRGB is negative: outside its gamut.
    rgb = np.maximum(rgb, 0.02)
    return rgb / (_LUMINANCE @ rgb)


def balance_gains(temperature: float, tint: float = 0.0) -> NDArray[np.float64]:
    """Channel gains (3,) of a camera set to white light of ``temperature`` K and ``tint`` Duv.

    The scene's own white is sRGB's. A camera set to cooler light than there is renders it warm, as raising the
    temperature in a raw converter does. Grey keeps its luminance. ``temperature`` 0 means 6504 K; (0, 0) gives exactly
    ones.
    """
    if temperature == 0 and tint == 0:
        return np.ones(3)
    gains = light_rgb(D65_TEMPERATURE) / light_rgb(temperature or D65_TEMPERATURE, tint)
    return gains / (_LUMINANCE @ gains)

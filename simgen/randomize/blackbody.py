"""The colour of light of a given temperature."""

from __future__ import annotations

from simgen.scene.record import Vec3

NEUTRAL = 6500.0
"""Kelvin of the light that a neutral camera takes for white."""


def light_color(kelvin: float) -> Vec3:
    """Linear RGB (Rec. 709) of a black body of 1000 to 15000 K, scaled to luminance 1; never negative.

    Chromaticity by the rational approximation of the Planckian locus of Krystek, Color Research & Application 10
    (1985) 38; matrix from IEC 61966-2-1.
    """
    t = kelvin
    u = (0.860117757 + 1.54118254e-4 * t + 1.28641212e-7 * t * t) / (1 + 8.42420235e-4 * t + 7.08145163e-7 * t * t)
    v = (0.317398726 + 4.22806245e-5 * t + 4.20481691e-8 * t * t) / (1 - 2.89741816e-5 * t + 1.61456053e-7 * t * t)
    x, y = 3 * u / (2 * u - 8 * v + 4), 2 * v / (2 * u - 8 * v + 4)
    X, Z = x / y, (1 - x - y) / y
    r = max(0.0, 3.2404542 * X - 1.5371385 - 0.4985314 * Z)
    g = max(0.0, -0.9692660 * X + 1.8760108 + 0.0415560 * Z)
    b = max(0.0, 0.0556434 * X - 0.2040259 + 1.0572252 * Z)
    luminance = 0.2126 * r + 0.7152 * g + 0.0722 * b
    return (r / luminance, g / luminance, b / luminance)


def white_balance(kelvin: float) -> Vec3:
    """Channel gains, green 1, of a camera that takes light of ``kelvin`` for white; all 1 at NEUTRAL."""
    # Below 1900 K there is no blue left to amplify; real cameras stop at about 2000 K too.
    neutral, light = light_color(NEUTRAL), light_color(max(kelvin, 2000.0))
    r, g, b = (n / c for n, c in zip(neutral, light, strict=True))
    return (r / g, 1.0, b / g)

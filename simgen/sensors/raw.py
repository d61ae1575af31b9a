"""The photo-sites: photons to electrons to numbers, through a colour filter mosaic or without one, and back to colour.

Noise follows EMVA 1288 (linear camera model): shot noise of variance equal to the number of electrons, read noise,
and the fixed patterns PRNU and DSNU, all referred to linear 1.0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from simgen.scene.record import SensorRecord
from simgen.sensors.noise import normal_table, site_hash, split_seed

Planes = NDArray[np.float32]

_FAST = {"reassoc", "arcp", "nsz"}
_FIXED_PATTERN = 1  # the purpose that keeps a camera's pattern apart from the noise of a frame of equal seed

# Columns and rows from the top left corner to the first red site.
_RED = {"rggb": (0, 0), "grbg": (1, 0), "gbrg": (0, 1), "bggr": (1, 1)}


@dataclass(frozen=True)
class SiteNoise:
    """Noise of a photo-site relative to linear 1.0: variance per signal, and standard deviations."""

    shot: np.float32
    read: np.float32
    prnu: np.float32
    dsnu: np.float32


def site_noise(sensor: SensorRecord) -> SiteNoise:
    """The noise of ``sensor`` at its gain."""
    per_electron = sensor.gain / sensor.full_well if sensor.full_well > 0 else 0.0
    return SiteNoise(
        np.float32(per_electron),
        np.float32(sensor.read_noise * per_electron),
        np.float32(sensor.prnu),
        np.float32(sensor.dsnu * per_electron),
    )


def read_out(light: Planes, sensor: SensorRecord) -> Planes:
    """Linear colour (3, H, W) float32 as read from a sensor under ``light`` (3, H, W), which is overwritten."""
    ideal = sensor.bayer == "none" and not (sensor.full_well or sensor.prnu or sensor.adc_bits)
    if ideal and all(r == 1 for r in sensor.channel_response):
        return light
    _, height, width = light.shape
    noise = site_noise(sensor)
    response = np.asarray(sensor.channel_response, np.float32)
    levels = np.float32(2**sensor.adc_bits - 1 if sensor.adc_bits else 0)
    low, high = split_seed(sensor.noise_seed)
    fixed_low, fixed_high = split_seed(sensor.fixed_pattern_seed, _FIXED_PATTERN)
    parameters = (noise.shot, noise.read * noise.read, noise.prnu, noise.dsnu, levels)
    # The pattern's two deviates a site come from a table that fits the first-level cache.
    tables = (normal_table(), normal_table(12))
    if sensor.bayer == "none":
        for c in range(3):
            _expose(light[c], 0, response[c], *parameters, c, 3, low, high, fixed_low, fixed_high, *tables)
            if response[c] != 1:
                light[c] /= response[c]
        return light
    column, row = _RED[sensor.bayer]
    raw = np.empty((height + 4, width + 4), np.float32)
    _mosaic(light, response, row, column, raw)
    _expose(raw, 2, np.float32(1), *parameters, 0, 1, low, high, fixed_low, fixed_high, *tables)
    _pad(raw)
    (_malvar if sensor.demosaic == "malvar" else _bilinear)(raw, row, column, (1 / response).astype(np.float32), light)
    return light


@njit(cache=True, fastmath=_FAST, error_model="numpy")
def _mosaic(light: Planes, response: NDArray[np.float32], red_row: int, red_column: int, raw: Planes) -> None:
    """Keep the channel of each site of an RGGB mosaic; ``raw`` (H + 4, W + 4) has a border of two."""
    _, height, width = light.shape
    for y in range(height):
        in_red_row = (y + red_row) % 2 == 0
        other = 0 if in_red_row else 2
        first_green = (red_column + (0 if in_red_row else 1)) % 2 == 1
        scale, green = response[other], response[1]
        for x in range(width):
            at_green = (x % 2 == 0) == first_green
            a = light[other, y, x] * scale
            g = light[1, y, x] * green
            raw[y + 2, x + 2] = g if at_green else a


@njit(cache=True, fastmath=_FAST, error_model="numpy")
def _expose(
    plane: Planes,
    border: int,
    response: np.float32,
    shot: np.float32,
    variance_read: np.float32,
    prnu: np.float32,
    dsnu: np.float32,
    levels: np.float32,
    site0: int,
    stride: int,
    low: np.uint32,
    high: np.uint32,
    fixed_low: np.uint32,
    fixed_high: np.uint32,
    normals: NDArray[np.float32],
    coarse_normals: NDArray[np.float32],
) -> None:
    """Noise, saturation and quantization of the sites of a plane within its ``border``, in place.

    Site (y, x) has the counter ``site0 + stride * (y W + x)``. Values stay negative where noise makes them so: sensors
    have a pedestal that is subtracted after read-out.
    """
    height, width = plane.shape[0] - 2 * border, plane.shape[1] - 2 * border
    zero, one, four, half = np.float32(0), np.float32(1), np.float32(4), np.float32(0.5)
    fixed = prnu > zero or dsnu > zero
    temporal = shot > zero or variance_read > zero
    step = one / levels if levels > zero else zero
    row = np.empty(width, np.float32)
    bits = np.empty(width, np.uint32)
    deviate, other = np.empty(width, np.float32), np.empty(width, np.float32)
    # Hashing, looking up and arithmetic are loops of their own, because look-ups keep a loop from being vectorized.
    for y in range(height):
        start = site0 + stride * y * width
        for x in range(width):
            v = plane[y + border, x + border] * response
            v = v if v > zero else zero
            row[x] = v if v < four else four
        if fixed:
            for x in range(width):
                bits[x] = site_hash(np.uint32(start + stride * x), fixed_low, fixed_high)
            for x in range(width):
                deviate[x] = coarse_normals[bits[x] >> np.uint32(20)]
                other[x] = coarse_normals[bits[x] & np.uint32(0xFFF)]
            for x in range(width):
                row[x] = row[x] * (one + prnu * deviate[x]) + dsnu * other[x]
        if temporal:
            for x in range(width):
                bits[x] = site_hash(np.uint32(start + stride * x), low, high)
            for x in range(width):
                deviate[x] = normals[bits[x] >> np.uint32(16)]
            for x in range(width):
                v = row[x]
                signal = v if v > zero else zero
                row[x] = v + deviate[x] * np.sqrt(signal * shot + variance_read)
        if levels > zero:
            for x in range(width):
                row[x] = np.floor(row[x] * levels + half) * step
        for x in range(width):
            v = row[x]
            plane[y + border, x + border] = v if v < one else one


@njit(cache=True)
def _pad(raw: Planes) -> None:
    """Fill the border of two by reflection about the outermost sites, which keeps the mosaic's phase."""
    height, width = raw.shape[0] - 4, raw.shape[1] - 4
    for y in (-2, -1, height, height + 1):
        source = _mirrored(y, height)
        for x in range(width):
            raw[y + 2, x + 2] = raw[source + 2, x + 2]
    for x in (-2, -1, width, width + 1):
        source = _mirrored(x, width)
        for y in range(height + 4):
            raw[y, x + 2] = raw[y, source + 2]


@njit(cache=True, inline="always")
def _mirrored(i: int, n: int) -> int:
    """Index i of -2...n + 1 reflected about the outermost of n samples; of equal parity wherever n allows it."""
    j = -i if i < 0 else (2 * (n - 1) - i if i >= n else i)
    if j < 0 or j >= n:
        j = (i + 2) % 2
    return min(j, n - 1)


@njit(cache=True, fastmath=_FAST, error_model="numpy")
def _malvar(raw: Planes, red_row: int, red_column: int, scale: NDArray[np.float32], out: Planes) -> None:
    """Gradient-corrected linear interpolation (Malvar, He and Cutler 2004, the filters of figure 2)."""
    _, height, width = out.shape
    eighth, half = np.float32(0.125), np.float32(0.5)
    two, four, five, six, three_halves = (
        np.float32(2),
        np.float32(4),
        np.float32(5),
        np.float32(6),
        np.float32(1.5),
    )
    for y in range(height):
        in_red_row = (y + red_row) % 2 == 0
        own, other = (0, 2) if in_red_row else (2, 0)
        own_phase = red_column if in_red_row else 1 - red_column
        own_scale, green_scale, other_scale = scale[own], scale[1], scale[other]
        r = y + 2
        for x in range(width):
            q = x + 2
            c = raw[r, q]
            cross_y = raw[r - 1, q] + raw[r + 1, q]
            cross_x = raw[r, q - 1] + raw[r, q + 1]
            far_y = raw[r - 2, q] + raw[r + 2, q]
            far_x = raw[r, q - 2] + raw[r, q + 2]
            diagonal = raw[r - 1, q - 1] + raw[r - 1, q + 1] + raw[r + 1, q - 1] + raw[r + 1, q + 1]
            at_own = (x + own_phase) % 2 == 0
            green = eighth * (four * c + two * (cross_x + cross_y) - (far_x + far_y))
            opposite = eighth * (six * c + two * diagonal - three_halves * (far_x + far_y))
            along = eighth * (five * c + four * cross_x - far_x - diagonal + half * far_y)
            across = eighth * (five * c + four * cross_y - far_y - diagonal + half * far_x)
            out[own, y, x] = (c if at_own else along) * own_scale
            out[1, y, x] = (green if at_own else c) * green_scale
            out[other, y, x] = (opposite if at_own else across) * other_scale


@njit(cache=True, fastmath=_FAST, error_model="numpy")
def _bilinear(raw: Planes, red_row: int, red_column: int, scale: NDArray[np.float32], out: Planes) -> None:
    """Each missing channel is the mean of its nearest sites."""
    _, height, width = out.shape
    half, quarter = np.float32(0.5), np.float32(0.25)
    for y in range(height):
        in_red_row = (y + red_row) % 2 == 0
        own, other = (0, 2) if in_red_row else (2, 0)
        own_phase = red_column if in_red_row else 1 - red_column
        own_scale, green_scale, other_scale = scale[own], scale[1], scale[other]
        r = y + 2
        for x in range(width):
            q = x + 2
            c = raw[r, q]
            cross_y = raw[r - 1, q] + raw[r + 1, q]
            cross_x = raw[r, q - 1] + raw[r, q + 1]
            diagonal = raw[r - 1, q - 1] + raw[r - 1, q + 1] + raw[r + 1, q - 1] + raw[r + 1, q + 1]
            at_own = (x + own_phase) % 2 == 0
            out[own, y, x] = (c if at_own else half * cross_x) * own_scale
            out[1, y, x] = (quarter * (cross_x + cross_y) if at_own else c) * green_scale
            out[other, y, x] = (quarter * diagonal if at_own else half * cross_y) * other_scale

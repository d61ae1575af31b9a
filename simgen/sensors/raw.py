"""The photo-sites: photons to electrons to numbers, through a colour filter mosaic or without one, and back to colour.

Noise follows EMVA 1288 (linear camera model): shot noise of variance equal to the number of electrons, read noise,
and the fixed patterns PRNU and DSNU, all referred to linear 1.0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simgen.kernels import kernel
from simgen.scene.record import SensorRecord
from simgen.sensors.noise import normal_table, site_hash, split_seed

Planes = NDArray[np.float32]

Noise = tuple[np.float32, np.float32, np.float32, np.float32, np.float32]
"""Shot noise (variance per signal), variance of the read noise, PRNU, DSNU and levels of the converter, 0: any."""
Seeds = tuple[np.uint32, np.uint32, np.uint32, np.uint32]
"""The low and high half of the seed of a frame's noise, and those of the fixed pattern's."""
Tables = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Normal deviates for the noise of a frame and for the fixed pattern."""

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
    if sensor.bayer == "none" and is_ideal(sensor) and all(r == 1 for r in sensor.channel_response):
        return light
    _, height, width = light.shape
    response = np.asarray(sensor.channel_response, np.float32)
    noise, seeds, tables = site_parameters(sensor)
    if sensor.bayer == "none":
        for c in range(3):
            _expose(light[c], 0, response[c], noise, c, 3, seeds, tables)
            if response[c] != 1:
                light[c] /= response[c]
        return light
    column, row = _RED[sensor.bayer]
    raw = np.empty((height + 4, width + 4), np.float32)
    _mosaic(light, response, row, column, raw)
    _expose(raw, 2, np.float32(1), noise, 0, 1, seeds, tables)
    _pad(raw)
    (_malvar if sensor.demosaic == "malvar" else _bilinear)(raw, row, column, (1 / response).astype(np.float32), light)
    return light


def is_ideal(sensor: SensorRecord) -> bool:
    """Whether the photo-sites of ``sensor`` change nothing."""
    return not (sensor.full_well or sensor.prnu or sensor.adc_bits)


def site_parameters(sensor: SensorRecord) -> tuple[Noise, Seeds, Tables]:
    """What ``expose_row`` takes for the sites of ``sensor``."""
    noise = site_noise(sensor)
    levels = np.float32(2**sensor.adc_bits - 1 if sensor.adc_bits else 0)
    seeds = (*split_seed(sensor.noise_seed), *split_seed(sensor.fixed_pattern_seed, _FIXED_PATTERN))
    # The pattern's two deviates a site come from a table that fits the first-level cache.
    tables = (normal_table(), normal_table(12))
    return (noise.shot, noise.read * noise.read, noise.prnu, noise.dsnu, levels), seeds, tables


@kernel(fastmath=_FAST, error_model="numpy")
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


@kernel(fastmath=_FAST, error_model="numpy")
def _expose(
    plane: Planes,
    border: int,
    response: np.float32,
    noise: Noise,
    site0: int,
    stride: int,
    seeds: Seeds,
    tables: Tables,
) -> None:
    """``expose_row`` for a plane within its ``border``; site (y, x) has the counter ``site0 + stride * (y W + x)``."""
    height, width = plane.shape[0] - 2 * border, plane.shape[1] - 2 * border
    bits, deviates = np.empty(width, np.uint32), np.empty((2, width), np.float32)
    for y in range(height):
        row = plane[y + border, border : border + width]
        for x in range(width):
            row[x] *= response
        expose_row(row, noise, np.uint32(site0 + stride * y * width), np.uint32(stride), seeds, tables, bits, deviates)


@kernel(fastmath=_FAST, error_model="numpy")
def expose_row(
    row: NDArray[np.float32],
    noise: Noise,
    first: np.uint32,
    stride: np.uint32,
    seeds: Seeds,
    tables: Tables,
    bits: NDArray[np.uint32],
    deviates: NDArray[np.float32],
) -> None:
    """Noise, saturation and quantization of the photo-sites ``row`` (n,), in place.

    Site k has the counter ``first + stride * k``. Values stay negative where noise makes them so: sensors have a
    pedestal that is subtracted after read-out. ``noise``, ``seeds`` and ``tables`` are those of ``site_parameters``;
    ``bits`` (n,) and ``deviates`` (2, n) are room to work in.
    """
    shot, variance_read, prnu, dsnu, levels = noise
    low, high, fixed_low, fixed_high = seeds
    normals, coarse_normals = tables
    zero, one, four, half = np.float32(0), np.float32(1), np.float32(4), np.float32(0.5)
    # Hashing, looking up and arithmetic are loops of their own, because look-ups keep a loop from being vectorized.
    for k in range(row.size):
        v = row[k]
        v = v if v > zero else zero
        row[k] = v if v < four else four
    if prnu > zero or dsnu > zero:
        for k in range(row.size):
            bits[k] = site_hash(np.uint32(first + stride * np.uint32(k)), fixed_low, fixed_high)
        for k in range(row.size):
            deviates[0, k] = coarse_normals[bits[k] >> np.uint32(20)]
            deviates[1, k] = coarse_normals[bits[k] & np.uint32(0xFFF)]
        for k in range(row.size):
            row[k] = row[k] * (one + prnu * deviates[0, k]) + dsnu * deviates[1, k]
    if shot > zero or variance_read > zero:
        for k in range(row.size):
            bits[k] = site_hash(np.uint32(first + stride * np.uint32(k)), low, high)
        for k in range(row.size):
            deviates[0, k] = normals[bits[k] >> np.uint32(16)]
        for k in range(row.size):
            v = row[k]
            signal = v if v > zero else zero
            row[k] = v + deviates[0, k] * np.sqrt(signal * shot + variance_read)
    if levels > zero:
        step = one / levels
        for k in range(row.size):
            row[k] = np.floor(row[k] * levels + half) * step
    for k in range(row.size):
        v = row[k]
        row[k] = v if v < one else one


@kernel()
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


@kernel(inline="always")
def _mirrored(i: int, n: int) -> int:
    """Index i of -2...n + 1 reflected about the outermost of n samples; of equal parity wherever n allows it."""
    j = -i if i < 0 else (2 * (n - 1) - i if i >= n else i)
    if j < 0 or j >= n:
        j = (i + 2) % 2
    return min(j, n - 1)


@kernel(fastmath=_FAST, error_model="numpy")
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


@kernel(fastmath=_FAST, error_model="numpy")
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

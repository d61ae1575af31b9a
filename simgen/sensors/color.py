"""The colour sensor: from linear radiance to 8-bit sRGB.

Metering, exposure, white balance, photon shot noise and read noise in linear light, clipping, the sRGB curve and
quantization, in one pass over the image. Noise comes from a counter-based generator: a hash of (seed, pixel, channel),
so it needs no state and is the same however the image is computed.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.special import ndtri

from simgen.scene.record import SensorRecord

_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)  # Rec. 709


def sense(radiance: NDArray[np.float32], sensor: SensorRecord) -> NDArray[np.uint8]:
    """The image (H, W, 3) uint8 that ``sensor`` takes of linear ``radiance`` (H, W, 3) float32."""
    gain = 2.0**sensor.exposure
    if sensor.auto_exposure > 0:
        gain *= sensor.auto_exposure / meter(radiance)
    gains = np.asarray(sensor.white_balance, np.float32) * np.float32(gain)
    shot = np.float32(1.0 / sensor.full_well if sensor.full_well > 0 else 0.0)
    read = np.float32(sensor.read_noise / sensor.full_well if sensor.full_well > 0 else 0.0)
    out = np.empty(radiance.shape, np.uint8)
    low, high = sensor.noise_seed & 0xFFFFFFFF, (sensor.noise_seed >> 32) & 0xFFFFFFFF
    flat = np.ascontiguousarray(radiance).reshape(-1)
    if shot > 0:
        _noisy(flat, gains, shot, read, np.uint32(low), np.uint32(high), _normals(), _srgb_codes(), out.reshape(-1))
    else:
        _clean(flat, gains, _srgb_codes(), out.reshape(-1))
    return out


def meter(radiance: NDArray[np.float32]) -> float:
    """The log-average luminance of an image (H, W, 3) (Reinhard et al. 2002, eq. 1), every fourth pixel each way."""
    luminance = radiance[::4, ::4].reshape(-1, 3) @ _LUMINANCE
    return float(np.exp(np.mean(np.log(np.maximum(luminance, 1e-4), dtype=np.float64))))


@cache
def _srgb_codes() -> NDArray[np.uint8]:
    """The sRGB code (IEC 61966-2-1) of a linear value at 16 bits: the curve is steepest at 0, 0.05 codes an entry."""
    x = np.arange(65536) / 65535.0
    curve = np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)
    return np.rint(curve * 255).astype(np.uint8)


@cache
def _normals() -> NDArray[np.float32]:
    """Standard normal deviates at the 65536 equally likely quantiles."""
    return ndtri((np.arange(65536) + 0.5) / 65536).astype(np.float32)


@njit(cache=True)
def _clean(
    radiance: NDArray[np.float32], gains: NDArray[np.float32], codes: NDArray[np.uint8], out: NDArray[np.uint8]
) -> None:
    for i in range(radiance.size // 3):
        for c in range(3):
            x = radiance[3 * i + c] * gains[c]
            x = min(max(x, np.float32(0)), np.float32(1))
            out[3 * i + c] = codes[int(x * np.float32(65535) + np.float32(0.5))]


@njit(cache=True)
def _noisy(
    radiance: NDArray[np.float32],
    gains: NDArray[np.float32],
    shot: np.float32,
    read: np.float32,
    seed_low: np.uint32,
    seed_high: np.uint32,
    normals: NDArray[np.float32],
    codes: NDArray[np.uint8],
    out: NDArray[np.uint8],
) -> None:
    variance_read = read * read
    for i in range(radiance.size // 3):
        for c in range(3):
            k = 3 * i + c
            h = _hash(np.uint32(np.uint32(k) ^ seed_low))
            h = _hash(np.uint32(h ^ seed_high))
            # The scene may exceed the full well; the noise of what is clipped anyway does not matter.
            x = min(max(radiance[k] * gains[c], np.float32(0)), np.float32(4))
            x += normals[h >> np.uint32(16)] * np.sqrt(x * shot + variance_read)
            x = min(max(x, np.float32(0)), np.float32(1))
            out[k] = codes[int(x * np.float32(65535) + np.float32(0.5))]


@njit(cache=True, inline="always")
def _hash(x: np.uint32) -> np.uint32:
    """A 32-bit mixing function of two multiplications with low bias (found by C. Wellons' hash prospector)."""
    # Numba widens integer arithmetic to 64 bits; each product is cut back to 32.
    x = np.uint32(x ^ (x >> np.uint32(16)))
    x = np.uint32(x * np.uint32(0x7FEB352D))
    x = np.uint32(x ^ (x >> np.uint32(15)))
    x = np.uint32(x * np.uint32(0x846CA68B))
    return np.uint32(x ^ (x >> np.uint32(16)))

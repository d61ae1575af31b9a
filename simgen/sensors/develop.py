"""From linear colour to the 8-bit picture: saturation, tone curve, contrast, sharpening and JPEG."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from simgen.kernels import kernel
from simgen.scene.record import SensorRecord
from simgen.sensors.optics import gaussian_kernel

Planes = NDArray[np.float32]

# Not "contract" where codes are computed: a fused multiply-add rounds otherwise than the curve's definition.
_FAST = {"reassoc", "arcp", "nsz"}
_UNIT = 256  # steps of the encoded planes to one 8-bit code


def develop(linear: Planes, sensor: SensorRecord) -> NDArray[np.uint8]:
    """The image (H, W, 3) uint8 of linear colour (3, H, W) float32."""
    _, height, width = linear.shape
    out = np.empty((height, width, 3), np.uint8)
    saturation = np.float32(sensor.saturation)
    curve = (sensor.tone_curve, sensor.gamma if sensor.tone_curve == "gamma" else 0.0, sensor.contrast)
    if sensor.sharpen == 0:
        _encode(linear, saturation, codes(*curve), out)
        return out
    encoded = np.empty((3, height, width), np.uint16)
    luma = np.empty((height, width), np.float32)
    _encode_planes(linear, saturation, _fine_codes(*curve), encoded, luma)
    _unsharp(encoded, luma, gaussian_kernel(sensor.sharpen_radius), np.float32(sensor.sharpen), out)
    return out


def jpeg(image: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """An image (H, W, 3) uint8 RGB after compression to baseline JPEG 4:2:0 of ``quality`` 1...100 and back."""
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    back = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return np.asarray(cv2.cvtColor(back, cv2.COLOR_BGR2RGB), np.uint8)


def encode_curve(tone_curve: str, gamma: float, linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """The encoded value (0...1) of ``linear`` (0...1).

    "srgb": IEC 61966-2-1. "rec709": the camera curve of ITU-R BT.709. "gamma": the power 1 / gamma. "filmic": the ACES
    curve as fitted by Narkowicz (2015) at its usual exposure of 0.6, scaled so that 1 stays 1, before the sRGB curve.
    """
    x = linear
    if tone_curve == "rec709":
        return np.where(x < 0.018, 4.5 * x, 1.099 * np.maximum(x, 1e-9) ** 0.45 - 0.099)
    if tone_curve == "gamma":
        return x ** (1 / gamma)
    if tone_curve == "filmic":
        x = _aces(0.6 * x) / _aces(np.array(0.6))
    return np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)


def _aces(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14)


@lru_cache(maxsize=16)
def codes(tone_curve: str, gamma: float, contrast: float) -> NDArray[np.uint8]:
    """The 8-bit code of a linear value at 16 bits: the sRGB curve is steepest at 0, 0.05 codes an entry."""
    return np.rint(_contrasted(tone_curve, gamma, contrast) * 255).astype(np.uint8)


@lru_cache(maxsize=16)
def _fine_codes(tone_curve: str, gamma: float, contrast: float) -> NDArray[np.uint16]:
    """As ``codes``, in 1/256 of a code."""
    return np.rint(_contrasted(tone_curve, gamma, contrast) * (255 * _UNIT)).astype(np.uint16)


def _contrasted(tone_curve: str, gamma: float, contrast: float) -> NDArray[np.float64]:
    curve = _curve(tone_curve, gamma)
    return curve if contrast == 1 else np.clip(0.5 + contrast * (curve - 0.5), 0, 1)


@lru_cache(maxsize=8)
def _curve(tone_curve: str, gamma: float) -> NDArray[np.float64]:
    return encode_curve(tone_curve, gamma, np.arange(65536) / 65535.0)


@kernel(inline="always")
def entry(x: np.float32) -> int:
    """The index into a table of 65536 entries of a value that is clipped to 0...1; NaN counts as 0."""
    x = x if x > np.float32(0) else np.float32(0)
    x = x if x < np.float32(1) else np.float32(1)
    return int(x * np.float32(65535) + np.float32(0.5))


@kernel(fastmath=_FAST, error_model="numpy")
def _encode(linear: Planes, saturation: np.float32, table: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
    _, height, width = linear.shape
    index = np.empty((3, width), np.int32)
    for y in range(height):
        _indices(linear, saturation, y, index)
        for x in range(width):
            out[y, x, 0] = table[index[0, x]]
            out[y, x, 1] = table[index[1, x]]
            out[y, x, 2] = table[index[2, x]]


@kernel(fastmath=_FAST, error_model="numpy")
def _encode_planes(
    linear: Planes, saturation: np.float32, table: NDArray[np.uint16], out: NDArray[np.uint16], luma: Planes
) -> None:
    _, height, width = linear.shape
    index = np.empty((3, width), np.int32)
    red, green, blue = np.float32(0.2126), np.float32(0.7152), np.float32(0.0722)
    for y in range(height):
        _indices(linear, saturation, y, index)
        for c in range(3):
            for x in range(width):
                out[c, y, x] = table[index[c, x]]
        for x in range(width):
            luma[y, x] = (
                red * np.float32(out[0, y, x]) + green * np.float32(out[1, y, x]) + blue * np.float32(out[2, y, x])
            )


@kernel(fastmath=_FAST, inline="always")
def _indices(linear: Planes, saturation: np.float32, y: int, index: NDArray[np.int32]) -> None:
    width = linear.shape[2]
    if saturation == np.float32(1):
        for c in range(3):
            for x in range(width):
                index[c, x] = entry(linear[c, y, x])
        return
    for x in range(width):
        r, g, b = linear[0, y, x], linear[1, y, x], linear[2, y, x]
        grey = np.float32(0.2126) * r + np.float32(0.7152) * g + np.float32(0.0722) * b
        index[0, x] = entry(grey + saturation * (r - grey))
        index[1, x] = entry(grey + saturation * (g - grey))
        index[2, x] = entry(grey + saturation * (b - grey))


@kernel(fastmath={*_FAST, "contract"}, error_model="numpy")
def _unsharp(
    encoded: NDArray[np.uint16],
    luma: Planes,
    kernel: NDArray[np.float32],
    amount: np.float32,
    out: NDArray[np.uint8],
) -> None:
    """Add ``amount`` of what ``kernel`` blurs away of the luma to all channels, in 1/256 codes, and round to codes."""
    height, width = luma.shape
    r = kernel.size // 2
    row = np.empty(width + 2 * r, np.float32)
    detail = np.empty(width, np.float32)
    code = np.empty((3, width), np.uint8)
    per_code, half, white = np.float32(1 / _UNIT), np.float32(0.5), np.float32(255)
    zero = np.float32(0)
    for y in range(height):
        row[:] = 0
        for k in range(-r, r + 1):
            s = min(max(y + k, 0), height - 1)
            weight = kernel[k + r]
            for x in range(width):
                row[r + x] += weight * luma[s, x]
        row[:r] = row[r]
        row[r + width :] = row[r + width - 1]
        for x in range(width):
            detail[x] = luma[y, x]
        for k in range(2 * r + 1):
            weight = kernel[k]
            for x in range(width):
                detail[x] -= weight * row[x + k]
        for c in range(3):
            for x in range(width):
                v = (np.float32(encoded[c, y, x]) + amount * detail[x]) * per_code
                v = v if v > zero else zero
                v = v if v < white else white
                code[c, x] = np.uint8(np.int32(v + half))
        for x in range(width):
            out[y, x, 0] = code[0, x]
            out[y, x, 1] = code[1, x]
            out[y, x, 2] = code[2, x]

"""What the lens does to light before it reaches the sensor: falloff, lateral colour, blur and glare.

Everything works on linear light. ``lens_planes`` turns an interleaved image into channel planes, which the later
kernels can vectorize over.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from simgen.errors import RenderError
from simgen.kernels import kernel
from simgen.scene.record import SensorRecord

Planes = NDArray[np.float32]

# Not "nnan" or "ninf": a NaN or infinite radiance must be caught by the comparisons that clamp it.
_FAST = {"contract", "reassoc", "arcp", "nsz"}
_BRIGHTEST = np.float32(65504)  # of a half float, in which environment maps are stored

GLARE_LEVELS = 4


def downsample(image: NDArray[Any], width: int, height: int) -> NDArray[Any]:
    """The area average of an image (h, w) or (h, w, C), float32 or uint8, at ``height`` x ``width`` pixels.

    For images rendered or sensed at a higher native resolution. Raises RenderError when that would enlarge.
    """
    h, w = image.shape[:2]
    if (w, h) == (width, height):
        return image
    if width > w or height > h:
        raise RenderError(f"cannot average a {w}x{h} image down to {width}x{height}: render at native_scale >= 1")
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def lens_planes(radiance: NDArray[np.float32], gains: NDArray[np.float32], sensor: SensorRecord) -> Planes:
    """Light (3, H, W) float32 on the sensor: ``radiance`` (H, W, 3) times ``gains`` (3,) through the lens.

    Negative and NaN radiance counts as 0.
    """
    height, width = radiance.shape[:2]
    planes = np.empty((3, height, width), np.float32)
    _split(radiance, gains, planes)
    if any(sensor.chromatic_aberration):
        for channel, magnification in ((0, sensor.chromatic_aberration[0]), (2, sensor.chromatic_aberration[1])):
            if magnification:
                planes[channel] = _magnified(planes[channel], 1.0 + magnification)
    if sensor.field_angle or any(sensor.vignetting):
        a, b, c = (np.float32(x) for x in sensor.vignetting)
        _vignette(planes, np.float32(np.tan(sensor.field_angle) ** 2), a, b, c)
    if sensor.blur:
        planes = _blurred(planes, gaussian_kernel(sensor.blur))
    if sensor.bloom or sensor.veiling_glare:
        glare(planes, sensor.bloom, sensor.bloom_radius, sensor.veiling_glare)
    return planes


def is_neutral(sensor: SensorRecord) -> bool:
    """Whether the lens of ``sensor`` changes nothing."""
    lens = (*sensor.chromatic_aberration, sensor.field_angle, *sensor.vignetting, sensor.blur)
    return not (any(lens) or sensor.bloom or sensor.veiling_glare)


def glare(planes: Planes, bloom: float, radius: float, veiling: float) -> None:
    """Scatter ``bloom`` of the light of planes (C, H, W) into a halo and ``veiling`` of it evenly, in place.

    The halo is a sum of Gaussians whose width doubles from ``radius`` (in image heights) on while their share halves.
    That is the tail of the eye's and of lenses' glare spread function, falling with the third power of the angle (Vos
    1984; CIE 135/1). Light is conserved: the border reflects.
    """
    height = planes.shape[1]
    pyramid = [_shrink(planes, 4)]
    while len(pyramid) < GLARE_LEVELS and min(pyramid[-1].shape[1:]) >= 4:
        pyramid.append(_shrink(pyramid[-1], 2))
    shares = 0.5 ** np.arange(len(pyramid))
    shares *= bloom / shares.sum()
    # Each level has half the resolution of the one before, so that one kernel serves them all.
    kernel = gaussian_kernel(radius * height / 4)
    veil = pyramid[0].mean(axis=(1, 2), dtype=np.float64) * veiling
    halo = _blurred(pyramid[-1], kernel) * np.float32(shares[-1])
    for level in range(len(pyramid) - 2, -1, -1):
        finer = _blurred(pyramid[level], kernel) * np.float32(shares[level])
        _add_doubled(halo, finer)
        halo = finer
    _composite(planes, halo, np.float32(1.0 - bloom - veiling), veil.astype(np.float32))


def gaussian_kernel(sigma: float) -> NDArray[np.float32]:
    """A normalized sampled Gaussian (2 r + 1,), r = ceil(3 sigma), at least 1."""
    r = max(1, int(np.ceil(3 * sigma)))
    x = np.arange(-r, r + 1) / max(sigma, 1e-3)
    k = np.exp(-0.5 * x * x)
    return (k / k.sum()).astype(np.float32)


@kernel(fastmath=_FAST, error_model="numpy")
def _split(radiance: NDArray[np.float32], gains: NDArray[np.float32], out: Planes) -> None:
    height, width, _ = radiance.shape
    red, green, blue = gains[0], gains[1], gains[2]
    for y in range(height):
        for x in range(width):
            out[0, y, x] = finite(radiance[y, x, 0] * red)
            out[1, y, x] = finite(radiance[y, x, 1] * green)
            out[2, y, x] = finite(radiance[y, x, 2] * blue)


@kernel(inline="always")
def finite(v: np.float32) -> np.float32:
    """``v`` between 0 and the brightest radiance; NaN counts as 0."""
    v = v if v > np.float32(0) else np.float32(0)
    return v if v < _BRIGHTEST else _BRIGHTEST


@kernel(fastmath=_FAST, error_model="numpy")
def _magnified(plane: NDArray[np.float32], magnification: float) -> NDArray[np.float32]:
    """A plane (H, W) magnified about the image centre, bilinear, border repeated; rows first, then columns."""
    height, width = plane.shape
    out = np.empty_like(plane)
    left = np.empty(width, np.int32)
    weight = np.empty(width, np.float32)
    for x in range(width):
        s = (x - (width - 1) / 2) / magnification + (width - 1) / 2
        s = min(max(s, 0.0), width - 1.0)
        left[x] = min(int(s), width - 2) if width > 1 else 0
        weight[x] = np.float32(s - left[x])
    row = np.empty(width + 1, np.float32)
    for y in range(height):
        s = (y - (height - 1) / 2) / magnification + (height - 1) / 2
        s = min(max(s, 0.0), height - 1.0)
        top = int(s)
        below = min(top + 1, height - 1)
        f = np.float32(s - top)
        for x in range(width):
            row[x] = plane[top, x] + f * (plane[below, x] - plane[top, x])
        row[width] = row[width - 1]
        for x in range(width):
            a = row[left[x]]
            out[y, x] = a + weight[x] * (row[left[x] + 1] - a)
    return out


@kernel(fastmath=_FAST, error_model="numpy")
def _vignette(planes: Planes, tan2: np.float32, a: np.float32, b: np.float32, c: np.float32) -> None:
    """Multiply planes by cos^4 of the field angle and by the polynomial falloff (Lensfun's "pa" model), in place."""
    channels, height, width = planes.shape
    cx, cy = np.float32((width - 1) / 2), np.float32((height - 1) / 2)
    per_r2 = np.float32(1.0 / max(1.0, float(cx * cx + cy * cy)))
    one, zero = np.float32(1), np.float32(0)
    factor = np.empty(width, np.float32)
    dx2 = ((np.arange(width) - cx) ** 2).astype(np.float32)
    for y in range(height):
        dy = np.float32(y) - cy
        for x in range(width):
            r2 = (dx2[x] + dy * dy) * per_r2
            cos2 = one / (one + r2 * tan2)
            falloff = one + r2 * (a + r2 * (b + r2 * c))
            factor[x] = cos2 * cos2 * (falloff if falloff > zero else zero)
        for channel in range(channels):
            for x in range(width):
                planes[channel, y, x] *= factor[x]


@kernel(fastmath=_FAST, error_model="numpy")
def _shrink(planes: Planes, factor: int) -> Planes:
    """Means over blocks of ``factor`` x ``factor``, fewer at the right and bottom border."""
    channels, height, width = planes.shape
    h, w = (height + factor - 1) // factor, (width + factor - 1) // factor
    out = np.empty((channels, h, w), np.float32)
    row = np.empty(width, np.float32)
    for c in range(channels):
        for i in range(h):
            y0, y1 = i * factor, min((i + 1) * factor, height)
            for x in range(width):
                row[x] = planes[c, y0, x]
            for y in range(y0 + 1, y1):
                for x in range(width):
                    row[x] += planes[c, y, x]
            for j in range(w):
                x0, x1 = j * factor, min((j + 1) * factor, width)
                total = np.float32(0)
                for x in range(x0, x1):
                    total += row[x]
                out[c, i, j] = total / np.float32((y1 - y0) * (x1 - x0))
    return out


@kernel(fastmath=_FAST, error_model="numpy")
def _blurred(planes: Planes, kernel: NDArray[np.float32]) -> Planes:
    """Separable convolution of planes (C, H, W) with a symmetric kernel; the border reflects."""
    channels, height, width = planes.shape
    r = kernel.size // 2
    out = np.empty_like(planes)
    row = np.empty(width + 2 * r, np.float32)
    for c in range(channels):
        for y in range(height):
            row[:] = 0
            for k in range(-r, r + 1):
                s = _reflect(y + k, height)
                weight = kernel[k + r]
                for x in range(width):
                    row[r + x] += weight * planes[c, s, x]
            for x in range(r):
                row[r - 1 - x] = row[r + _reflect(-1 - x, width)]
                row[r + width + x] = row[r + _reflect(width + x, width)]
            for x in range(width):
                out[c, y, x] = 0
            for k in range(2 * r + 1):
                weight = kernel[k]
                for x in range(width):
                    out[c, y, x] += weight * row[x + k]
    return out


@kernel(inline="always")
def _reflect(i: int, n: int) -> int:
    """The index within 0...n - 1 after reflection at the outer edges of the border samples."""
    i = i % (2 * n)
    return i if i < n else 2 * n - 1 - i


@kernel(fastmath=_FAST, error_model="numpy")
def _add_doubled(coarse: Planes, fine: Planes) -> None:
    """Add ``coarse`` to ``fine``, which has twice its resolution, by bilinear interpolation of cell centres."""
    channels, height, width = fine.shape
    _, h, w = coarse.shape
    for c in range(channels):
        for y in range(height):
            i0 = (y - 1) // 2
            fy = np.float32(0.75) if y % 2 == 0 else np.float32(0.25)
            top, bottom = max(i0, 0), min(i0 + 1, h - 1)
            for x in range(width):
                j0 = (x - 1) // 2
                fx = np.float32(0.75) if x % 2 == 0 else np.float32(0.25)
                left, right = max(j0, 0), min(j0 + 1, w - 1)
                a = coarse[c, top, left] + fx * (coarse[c, top, right] - coarse[c, top, left])
                b = coarse[c, bottom, left] + fx * (coarse[c, bottom, right] - coarse[c, bottom, left])
                fine[c, y, x] += a + fy * (b - a)


@kernel(fastmath=_FAST, error_model="numpy")
def _composite(planes: Planes, halo: Planes, keep: np.float32, veil: NDArray[np.float32]) -> None:
    """Make ``keep * planes + halo + veil`` of planes, in place; the halo (C, h, w) has a quarter of the resolution."""
    channels, height, width = planes.shape
    _, h, w = halo.shape
    cells = np.empty(w + 2, np.float32)
    row = np.empty(4 * (w + 1), np.float32)
    for c in range(channels):
        for y in range(height):
            i0 = (y - 2) // 4
            fy = np.float32(((y - 2) % 4 + 0.5) / 4)
            top, bottom = max(i0, 0), min(i0 + 1, h - 1)
            for j in range(w):
                cells[j + 1] = halo[c, top, j] + fy * (halo[c, bottom, j] - halo[c, top, j]) + veil[c]
            cells[0], cells[w + 1] = cells[1], cells[w]
            # Pixel x lies (x - 1.5) / 4 cells from the first centre: four phases between neighbouring cells.
            for j in range(w + 1):
                a = cells[j]
                d = cells[j + 1] - a
                row[4 * j] = a + np.float32(0.125) * d
                row[4 * j + 1] = a + np.float32(0.375) * d
                row[4 * j + 2] = a + np.float32(0.625) * d
                row[4 * j + 3] = a + np.float32(0.875) * d
            for x in range(width):
                planes[c, y, x] = keep * planes[c, y, x] + row[x + 2]

"""The colour sensor in one pass over memory, where every value of the image depends on its own radiance alone.

That is so as long as a sensor neither mixes pixels (lens effects, a mosaic, sharpening) nor channels (saturation). Its
values are those of ``lens_planes``, ``read_out`` and ``develop`` to the bit, which write an image of 32-bit planes
between them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simgen.kernels import kernel
from simgen.scene.record import SensorRecord
from simgen.sensors.develop import codes, entry
from simgen.sensors.optics import finite, is_neutral
from simgen.sensors.raw import Noise, Seeds, Tables, expose_row, is_ideal, site_parameters


def applies_to(sensor: SensorRecord) -> bool:
    """Whether ``take`` computes what ``sensor`` takes."""
    whole = sensor.bayer == "none" and all(r == 1 for r in sensor.channel_response)
    return whole and is_neutral(sensor) and sensor.saturation == 1 and sensor.sharpen == 0


def take(radiance: NDArray[np.float32], gains: NDArray[np.float32], sensor: SensorRecord) -> NDArray[np.uint8]:
    """The image (H, W, 3) uint8 of linear ``radiance`` (H, W, 3) float32 times ``gains`` (3,)."""
    height, width, _ = radiance.shape
    out = np.empty((height, width, 3), np.uint8)
    table = codes(sensor.tone_curve, sensor.gamma if sensor.tone_curve == "gamma" else 0.0, sensor.contrast)
    # Channels take turns, in the gains as in rows of the image, and sites are counted in that order.
    pattern = np.tile(gains, width)
    rows = np.ascontiguousarray(radiance).reshape(height, 3 * width)
    _take(rows, pattern, not is_ideal(sensor), *site_parameters(sensor), table, out.reshape(height, 3 * width))
    return out


# Not "contract": see develop.py. Not "nnan" or "ninf": see optics.py.
@kernel(fastmath={"reassoc", "arcp", "nsz"}, error_model="numpy")
def _take(
    radiance: NDArray[np.float32],
    gains: NDArray[np.float32],
    exposed: bool,
    noise: Noise,
    seeds: Seeds,
    tables: Tables,
    table: NDArray[np.uint8],
    out: NDArray[np.uint8],
) -> None:
    """Rows (H, n) of ``radiance`` times ``gains`` (n,) to codes; ``exposed``: with what the photo-sites do to them."""
    height, n = radiance.shape
    row, index = np.empty(n, np.float32), np.empty(n, np.uint16)
    bits, deviates = np.empty(n, np.uint32), np.empty((2, n), np.float32)
    for y in range(height):
        for k in range(n):
            row[k] = finite(radiance[y, k] * gains[k])
        if exposed:
            expose_row(row, noise, np.uint32(y * n), np.uint32(1), seeds, tables, bits, deviates)
        for k in range(n):
            index[k] = entry(row[k])
        for k in range(n):
            out[y, k] = table[index[k]]

"""The colour sensor: from linear radiance to 8-bit colour.

``sense`` is the chain: metering and exposure, lens (optics.py), photo-sites and read-out (raw.py), development
(develop.py). Effects that a record leaves neutral are not computed, and where none is left that mixes pixels or
channels, all is done in one pass (pointwise.py). Noise comes from a counter-based generator
(noise.py), so it is the same however the image is computed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simgen.errors import ConfigError
from simgen.scene.record import SensorRecord
from simgen.sensors.develop import develop, jpeg
from simgen.sensors.optics import lens_planes
from simgen.sensors.pointwise import applies_to, take
from simgen.sensors.raw import read_out
from simgen.sensors.whitebalance import balance_gains

_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)  # Rec. 709


def sense(radiance: NDArray[np.float32], sensor: SensorRecord) -> NDArray[np.uint8]:
    """The image (H, W, 3) uint8 that ``sensor`` takes of linear ``radiance`` (H, W, 3) float32.

    Raises ConfigError when a parameter is outside its physical range.
    """
    check(sensor)
    gains = _gains(radiance, sensor)
    if applies_to(sensor):
        out = take(radiance, gains, sensor)
    else:
        out = develop(read_out(lens_planes(radiance, gains, sensor), sensor), sensor)
    return jpeg(out, sensor.jpeg_quality) if sensor.jpeg_quality else out


def meter(radiance: NDArray[np.float32]) -> float:
    """The log-average luminance of an image (H, W, 3) (Reinhard et al. 2002, eq. 1), every fourth pixel each way."""
    return _log_average(_luminance(radiance))


def _luminance(radiance: NDArray[np.float32]) -> NDArray[np.float32]:
    """The luminances (n,) of every fourth pixel each way."""
    luminance = radiance[::4, ::4].reshape(-1, 3) @ _LUMINANCE
    # fmax and fmin pass over NaN: one broken pixel must not black out the image.
    return np.fmin(np.fmax(luminance, np.float32(1e-4)), np.float32(65504))


def _log_average(luminance: NDArray[np.float32]) -> float:
    return float(np.exp(np.mean(np.log(luminance, dtype=np.float64))))


def _gain_to_white(luminance: NDArray[np.float32], max_clipped: float) -> float:
    """The largest gain at which at most the share ``max_clipped`` of pixels is brighter than 1; infinite for all."""
    if max_clipped >= 1:
        return np.inf
    rank = len(luminance) - 1 - int(max_clipped * len(luminance))
    return 1 / float(np.partition(luminance, rank)[rank])


def check(sensor: SensorRecord) -> None:
    """Raise ConfigError for the first parameter of ``sensor`` that is outside its physical range."""
    limits = (
        ("max_clipped", sensor.max_clipped, 0.0, 1.0),
        ("full_well", sensor.full_well, 0.0, np.inf),
        ("read_noise", sensor.read_noise, 0.0, np.inf),
        ("native_scale", sensor.native_scale, 1.0, np.inf),
        ("field_angle", sensor.field_angle, 0.0, 1.5),
        ("blur", sensor.blur, 0.0, 20.0),
        ("bloom", sensor.bloom, 0.0, 1.0),
        ("bloom_radius", sensor.bloom_radius, 0.0, 0.25),
        ("veiling_glare", sensor.veiling_glare, 0.0, 1.0),
        ("bloom + veiling_glare", sensor.bloom + sensor.veiling_glare, 0.0, 1.0),
        ("chromatic_aberration", max(map(abs, sensor.chromatic_aberration)), 0.0, 0.1),
        ("channel_response", min(sensor.channel_response), 1e-3, np.inf),
        ("gain", sensor.gain, 1e-6, np.inf),
        ("prnu", sensor.prnu, 0.0, 1.0),
        ("dsnu", sensor.dsnu, 0.0, np.inf),
        ("adc_bits", sensor.adc_bits, 0, 16),
        ("saturation", sensor.saturation, 0.0, np.inf),
        ("gamma", sensor.gamma, 0.1, 10.0),
        ("contrast", sensor.contrast, 0.0, np.inf),
        ("sharpen", sensor.sharpen, 0.0, np.inf),
        ("sharpen_radius", sensor.sharpen_radius, 0.1, 20.0),
        ("jpeg_quality", sensor.jpeg_quality, 0, 100),
    )
    for name, value, low, high in limits:
        if not low <= value <= high:
            bound = f"{low:g} or more" if high == np.inf else f"{low:g}...{high:g}"
            raise ConfigError(f"sensor {name} is {value:g} and must be {bound}")


def _gains(radiance: NDArray[np.float32], sensor: SensorRecord) -> NDArray[np.float32]:
    gain = 2.0**sensor.exposure
    if sensor.auto_exposure > 0:
        luminance = _luminance(radiance)
        gain *= min(sensor.auto_exposure / _log_average(luminance), _gain_to_white(luminance, sensor.max_clipped))
    gains = np.asarray(sensor.white_balance, np.float32) * np.float32(gain)
    if sensor.color_temperature or sensor.tint:
        gains = gains * balance_gains(sensor.color_temperature, sensor.tint).astype(np.float32)
    return gains

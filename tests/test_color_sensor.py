"""The colour sensor against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from simgen.scene.record import SensorRecord
from simgen.sensors.color import meter, sense


def srgb(x: np.ndarray) -> np.ndarray:
    x = np.clip(x, 0, 1)
    return np.rint(255 * np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)).astype(int)


def flat(value: float, size: int = 128) -> np.ndarray:
    return np.full((size, size, 3), value, np.float32)


def test_clean_image_is_the_srgb_curve() -> None:
    ramp = np.linspace(-0.1, 1.2, 3 * 64 * 64, dtype=np.float32).reshape(64, 64, 3)
    error = np.abs(sense(ramp, SensorRecord()).astype(int) - srgb(ramp.astype(float)))
    assert error.max() <= 1  # at the edge between two codes
    assert (error == 0).mean() > 0.99


@pytest.mark.parametrize("stops", [-2.0, 0.5, 1.0])
def test_exposure_is_in_stops_and_balance_per_channel(stops: float) -> None:
    image = sense(flat(0.1), SensorRecord(exposure=stops, white_balance=(1.0, 0.5, 2.0)))
    expected = srgb(0.1 * 2.0**stops * np.array([1.0, 0.5, 2.0]))
    assert np.abs(image[0, 0].astype(int) - expected).max() <= 1


@pytest.mark.parametrize("level", [0.003, 0.18, 40.0])
def test_metering_brings_any_scene_to_the_same_level(level: float) -> None:
    assert meter(flat(level)) == pytest.approx(level, rel=1e-4)
    image = sense(flat(level), SensorRecord(auto_exposure=0.2))
    assert abs(int(image[3, 3, 1]) - int(srgb(np.array(0.2)))) <= 1


def linear(image: np.ndarray) -> np.ndarray:
    x = image / 255.0
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize("signal", [0.1, 0.2, 0.4])
def test_shot_noise_variance_is_proportional_to_the_signal(signal: float) -> None:
    well = 500.0
    x = linear(sense(flat(signal, 256), SensorRecord(full_well=well, noise_seed=5)))
    assert x.mean() == pytest.approx(signal, rel=0.005)
    assert x.var() == pytest.approx(signal / well, rel=0.05)


def test_read_noise_adds_its_own_variance() -> None:
    well, read = 1000.0, 30.0
    x = linear(sense(flat(0.3, 256), SensorRecord(full_well=well, read_noise=read, noise_seed=5)))
    assert x.var() == pytest.approx(0.3 / well + (read / well) ** 2, rel=0.05)


def test_noise_is_white_and_independent_between_channels_and_seeds() -> None:
    def noise(seed: int) -> np.ndarray:
        x = sense(flat(0.4, 256), SensorRecord(full_well=200.0, noise_seed=seed)).astype(float)
        return (x - x.mean()) / x.std()

    a, b, high = noise(1), noise(2), noise(1 + (1 << 32))
    for pair in [
        (a[:, 1:], a[:, :-1]),
        (a[1:], a[:-1]),
        (a[..., 0], a[..., 1]),
        (a, b),
        (a, high),
    ]:
        assert abs(float((pair[0] * pair[1]).mean())) < 0.015
    np.testing.assert_array_equal(a, noise(1))

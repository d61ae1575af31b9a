"""Depth sensors against the published curves they follow and against geometry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simgen.errors import ConfigError, RenderError
from simgen.scene.record import DepthSensorRecord
from simgen.sensors.depth import PRESETS, SOURCES, sense_depth

K = np.array([[580.0, 0, 127.5], [0, 580.0, 95.5], [0, 0, 1]])
SHAPE = (192, 256)


def wall(z: float, tilt: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Depth, normals and white radiance of a plane through (0, 0, z), turned about the y axis by ``tilt``."""
    _, u = np.mgrid[: SHAPE[0], : SHAPE[1]]
    x = (u - K[0, 2]) / K[0, 0]
    depth = z / (1 - np.tan(tilt) * x)
    normal = np.broadcast_to(np.array([np.sin(tilt), 0, -np.cos(tilt)], np.float32), (*SHAPE, 3))
    return depth.astype(np.float32), np.ascontiguousarray(normal), np.ones((*SHAPE, 3), np.float32)


def noise_of(sensor: DepthSensorRecord, z: float) -> tuple[np.ndarray, np.ndarray]:
    """Errors in metres of what is measured of a wall, near the image centre, and its depth there.

    The wall is slightly slanted, so that it meets all phases of a quantum.
    """
    depth, normal, white = wall(z, 0.1)
    still = replace(sensor, edge_dropout=0.0, dropout=0.0, min_signal=0.0, flying_pixels=0.0)
    errors, depths = [], []
    for seed in range(4):
        out = sense_depth(depth, replace(still, noise_seed=seed), K, normal, white)
        middle = np.s_[40:-40, 100:-40]
        good = out[middle] > 0
        errors.append((out[middle] / 1000.0 - depth[middle])[good])
        depths.append(depth[middle][good])
    return np.concatenate(errors), np.concatenate(depths)


def test_the_ideal_sensor_only_rounds() -> None:
    depth = np.array([[0.0, 0.5004, 0.5006, 65.5, 70.0, np.nan, -1.0]], np.float32)
    np.testing.assert_array_equal(sense_depth(depth, DepthSensorRecord(), K), [[0, 500, 501, 65500, 0, 0, 0]])


def test_range_limits() -> None:
    depth = np.linspace(0.1, 6, 100, dtype=np.float32)[None]
    out = sense_depth(depth, DepthSensorRecord(min_range=0.5, max_range=4.0), K)
    np.testing.assert_array_equal(out > 0, (depth >= 0.5) & (depth <= 4.0))


CURVES = {
    "kinect_v1_khoshelham_2012": lambda z: 1.425e-3 * z**2,
    "kinect_v1_nguyen_2012": lambda z: 0.0012 + 0.0019 * (z - 0.4) ** 2,
    "realsense_d435": lambda z: z**2 * 0.08 / (848 / 2 / np.tan(np.pi / 4) * 0.05),
    "kinect_v2_fankhauser_2015": lambda z: (1.5 - 0.5 * z + 0.3 * z**2) / 1000,
}


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("z", [1.0, 2.0, 3.5])
def test_range_noise_follows_the_published_curve(name: str, z: float) -> None:
    errors, depth = noise_of(PRESETS[name], z)
    rounding = 0.001**2 / 12  # of the millimetres of the output
    expected = np.sqrt(CURVES[name](depth) ** 2 + rounding)
    assert (errors / expected).std() == pytest.approx(1, rel=0.06)
    # Depth from noisy disparity is biased by sigma^2 / z: far below the noise.
    assert abs(errors.mean()) < 0.15 * CURVES[name](z) + 2e-4


def test_azure_stays_within_its_specification() -> None:
    assert 0.01 < noise_of(PRESETS["azure_kinect_nfov"], 3.5)[0].std() <= 0.017


def test_grazing_noise_of_nguyen_and_fankhauser() -> None:
    for name, term in (
        ("kinect_v1_nguyen_2012", lambda z, t: 1e-4 / np.sqrt(z) * (t / (np.pi / 2 - t)) ** 2),
        ("kinect_v2_fankhauser_2015", lambda z, t: 1e-4 * z**1.5 * (t / (np.pi / 2 - t)) ** 2),
    ):
        z, tilt = 1.5, 1.2
        sensor = replace(PRESETS[name], lateral=(0.0, 0.0), lateral_metres=0.0, grazing_start=1.57, grazing_end=1.58)
        depth, normal, white = wall(z, tilt)
        errors, expected = [], []
        v, u = np.mgrid[: SHAPE[0], : SHAPE[1]]
        ray = np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], np.ones(SHAPE)], -1)
        theta = np.arccos(np.abs((ray * normal).sum(-1)) / np.linalg.norm(ray, axis=-1))
        good = (theta < 1.35) & (theta > 1.1)
        sensor = replace(sensor, edge_dropout=0.0, min_signal=0.0, flying_pixels=0.0)
        for seed in range(6):
            out = sense_depth(depth, replace(sensor, noise_seed=seed), K, normal, white)
            errors.append((out / 1000.0 - depth)[good & (out > 0)])
            expected.append((CURVES[name](depth) + term(depth, theta))[good & (out > 0)])
        ratio = np.concatenate(errors) / np.concatenate(expected)
        assert ratio.std() == pytest.approx(1, rel=0.06), name


def test_disparity_is_quantized() -> None:
    sensor = DepthSensorRecord(focal=600.0, baseline=0.1, disparity_step=0.25)
    depth = np.linspace(1, 4, 2000, dtype=np.float32)[None]
    out = np.unique(sense_depth(depth, sensor, np.diag([1e-6, 1e-6, 1.0])))
    possible = np.floor(1000 * 60 / (0.25 * np.arange(1, 400)) + 0.5)
    assert np.isin(out[out > 0], possible).all()
    assert 150 < len(out) < 200  # disparities 15 to 60 in steps of 0.25


@pytest.mark.parametrize("baseline", [0.075, -0.075])
def test_shadow_is_as_wide_as_the_difference_of_disparities(baseline: float) -> None:
    depth, _, _ = wall(3.0)
    depth[60:130, 110:170] = 1.0
    out = sense_depth(depth, DepthSensorRecord(baseline=baseline), K)
    expected = K[0, 0] * 0.075 * (1 / 1.0 - 1 / 3.0)
    hole = out == 0
    assert hole[60:130].sum(1) == pytest.approx(expected, abs=1.1)
    columns = np.flatnonzero(hole[90])
    assert (columns.max() == 109) if baseline > 0 else (columns.min() == 170)
    assert not hole[:60].any()
    assert not hole[130:].any()


def test_a_stereo_pair_also_loses_the_band_that_only_one_camera_sees() -> None:
    depth, _, _ = wall(1.0)
    out = sense_depth(depth, DepthSensorRecord(kind="active_stereo", baseline=0.05), K)
    assert (out == 0).sum(1) == pytest.approx(K[0, 0] * 0.05, abs=1)
    assert (out[:, 40:] == 1000).all()


def test_flying_pixels_lie_between_the_surfaces_and_only_at_edges() -> None:
    depth, _, _ = wall(3.0)
    depth[60:130, 110:170] = 1.0
    out = sense_depth(depth, DepthSensorRecord(kind="time_of_flight", flying_pixels=0.5), K) / 1000.0
    flying = (out > 1.05) & (out < 2.95)
    border = 2 * (70 + 60) * 2  # both sides of the outline
    assert flying.sum() == pytest.approx(0.5 * border * 0.95, rel=0.2)
    y, x = np.nonzero(flying)
    distance = np.minimum.reduce([np.abs(x - 109.5), np.abs(x - 169.5), np.abs(y - 59.5), np.abs(y - 129.5)])
    assert distance.max() < 1


def test_dark_far_and_grazing_surfaces_are_lost() -> None:
    depth, normal, white = wall(2.0)
    dark = white * 0.04
    sensor = DepthSensorRecord(min_signal=0.01)
    half = sense_depth(depth, sensor, K, normal, dark)  # a signal of 0.04 / 4 = 0.01, but for the angle
    assert (half[80:110, 110:145] > 0).mean() == pytest.approx(0.5, abs=0.05)
    assert (sense_depth(depth, sensor, K, normal, white) > 0).all()
    assert (sense_depth(depth * 3, sensor, K, normal, dark) > 0).mean() < 0.01
    slanted, normal, white = wall(2.0, 1.4)
    grazing = DepthSensorRecord(grazing_start=1.1, grazing_end=1.3)
    assert not sense_depth(slanted, grazing, K, normal, white)[:, 120:136].any()
    assert sense_depth(*wall(2.0)[:1], grazing, K, wall(2.0)[1]).all()


def test_holes_have_their_share_and_size() -> None:
    depth, _, _ = wall(1.0)
    for size in (1.0, 6.0):
        shares = [
            (sense_depth(depth, DepthSensorRecord(dropout=0.05, dropout_size=size, noise_seed=s), K) == 0).mean()
            for s in range(8)
        ]
        assert np.mean(shares) == pytest.approx(0.05, rel=0.15)
    holes = sense_depth(depth, DepthSensorRecord(dropout=0.05, dropout_size=6.0), K) == 0
    together = (holes[:, 1:] & holes[:, :-1]).sum() / holes.sum()
    assert together > 0.5


def test_correlated_noise_keeps_its_variance_and_gains_neighbours() -> None:
    depth, _, _ = wall(2.0)
    for spacing, correlation in ((0.0, 0.0), (4.0, 0.9)):
        errors = np.stack(
            [
                sense_depth(depth, DepthSensorRecord(axial=(0.02, 0, 0, 0), correlation=spacing, noise_seed=s), K) / 1e3
                - 2
                for s in range(6)
            ]
        )
        assert errors.std() == pytest.approx(0.02, rel=0.04)
        neighbours = np.corrcoef(errors[:, :, 1:].ravel(), errors[:, :, :-1].ravel())[0, 1]
        assert neighbours == pytest.approx(correlation, abs=0.05)


def test_systematic_error() -> None:
    depth, _, _ = wall(2.0)
    assert (sense_depth(depth, DepthSensorRecord(scale=1.01, offset=-0.005), K) == 2015).all()


@pytest.mark.parametrize("name", PRESETS)
def test_presets_replay_and_have_a_source(name: str) -> None:
    depth, normal, white = wall(2.0, 0.4)
    depth[60:130, 110:170] = 1.2
    sensor = replace(PRESETS[name], noise_seed=2**40 + 3)
    before = depth.copy()
    out = sense_depth(depth, sensor, K, normal, white)
    np.testing.assert_array_equal(out, sense_depth(depth, sensor, K, normal, white))
    np.testing.assert_array_equal(depth, before)
    assert (out != sense_depth(depth, replace(sensor, noise_seed=4), K, normal, white)).mean() > 0.3
    assert (out > 0).mean() > 0.8
    assert SOURCES[name]


def test_missing_passes_and_impossible_parameters_are_told() -> None:
    depth, normal, _ = wall(1.0)
    with pytest.raises(RenderError, match='"normal"'):
        sense_depth(depth, DepthSensorRecord(min_signal=0.1), K)
    with pytest.raises(RenderError, match='"rgb"'):
        sense_depth(depth, DepthSensorRecord(min_signal=0.1), K, normal)
    with pytest.raises(RenderError, match="render them together"):
        sense_depth(depth, DepthSensorRecord(min_signal=0.1), K, normal[:5])
    with pytest.raises(ConfigError, match="edge_dropout"):
        sense_depth(depth, DepthSensorRecord(edge_dropout=1.5), K)
    with pytest.raises(ConfigError, match="focal"):
        sense_depth(depth, DepthSensorRecord(disparity_sigma=0.1), K)

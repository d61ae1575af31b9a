"""Depth sensors in the main job: millimetres beside the exact depth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simgen import config
from simgen.config import RenderConfig, load
from simgen.errors import ConfigError
from simgen.generate.job import render
from simgen.generate.pipeline import draw_scene, scene_frames
from simgen.generate.replay import replay
from simgen.generate.scenes import SceneSource
from simgen.scene.depth_presets import PRESETS
from simgen.scene.record import DepthSensorRecord
from simgen.sensors.depth import sense_depth
from simgen.shards.reader import Dataset
from simgen.shards.verify import verify
from simgen.view.preview import contact_sheet, default_panels


def settings(sensor: dict[str, Any] | None, *overrides: str, **camera: Any) -> RenderConfig:
    plain = config.to_plain(load("shapes", ["image.width=96", "image.height=72", *overrides]))
    plain["scene"]["cameras"]["main"].update(depth_sensor=sensor or {}, views=1, **camera)
    return config.from_plain(plain)


@pytest.fixture(scope="module")
def source() -> SceneSource:
    return SceneSource(settings(None))


def test_at_strength_zero_depth_is_rounded(source: SceneSource) -> None:
    made = settings({"preset": "kinect_v1_nguyen_2012"}, "randomize.sensor.strength=0")
    frame = scene_frames(made, source.library, source.renderer, 0).frames[0]
    depth = frame.images["depth_sensor"]
    assert depth.dtype == np.uint16
    np.testing.assert_array_equal(depth, np.rint(frame.images["depth"].astype(np.float64) * 1000))


def test_measured_depth_is_that_of_the_model(source: SceneSource) -> None:
    made = settings(
        {"preset": "realsense_d435", "min_signal": 0, "dropout": {"dist": "uniform", "low": 0, "high": 0.1}}
    )
    result = scene_frames(made, source.library, source.renderer, 0)
    frame, record = result.frames[0], result.record.frames[0]
    assert record.depth_sensor is not None
    assert record.depth_sensor.baseline == PRESETS["realsense_d435"].baseline
    assert frame.draws["sensor"]["depth_dropout"] == record.depth_sensor.dropout
    images = frame.images
    expected = sense_depth(images["depth"], record.depth_sensor, frame.K, images["normal"])
    np.testing.assert_array_equal(images["depth_sensor"], expected)
    assert 0 < np.mean(images["depth_sensor"] == 0) < 0.6


def test_strength_fades_errors(source: SceneSource) -> None:
    def record(strength: float) -> DepthSensorRecord:
        made = settings({"preset": "kinect_v2_fankhauser_2015"}, f"randomize.sensor.strength={strength}")
        sensor = draw_scene(made, source.library, 0)[0].frames[0].depth_sensor
        assert sensor is not None
        return sensor

    full, half = record(1), record(0.5)
    assert half.axial[0] == full.axial[0] / 2
    assert half.flying_pixels == full.flying_pixels / 2
    assert half.max_range == full.max_range
    assert half.noise_seed == full.noise_seed


def test_through_a_lens_it_stays_with_the_exact_depth(source: SceneSource) -> None:
    made = settings(
        {"preset": "azure_kinect_nfov", "min_range": 0.1},
        distortion={"k1": -0.25, "k2": 0.05},
        hfov_deg=70,
    )
    plain = config.to_plain(made)
    plain["scene"]["sensor"]["native_scale"] = 2.0
    frame = scene_frames(config.from_plain(plain), source.library, source.renderer, 0).frames[0]
    got, exact = frame.images["depth_sensor"] / 1000, frame.images["depth"]
    seen = (got > 0) & (exact > 0)
    assert seen.mean() > 0.5
    assert np.median(np.abs(got - exact)[seen]) < 0.004


def test_a_dataset_with_depth_of_one_of_two_cameras(tmp_path: Path) -> None:
    made = settings({"preset": "realsense_d435"}, f"out={tmp_path / 'd'}", "frames=2", "workers=1")
    plain = config.to_plain(made)
    plain["scene"]["cameras"]["other"] = {**plain["scene"]["cameras"]["main"], "depth_sensor": {}}
    render(config.from_plain(plain))
    assert verify(tmp_path / "d") == []
    with Dataset(tmp_path / "d") as data:
        assert data.passes == ("rgb", "depth", "depth_sensor", "instance", "semantic", "normal")
        with_sensor, without = data[0], data[1]
        assert with_sensor.images["depth_sensor"].any()
        assert not without.images["depth_sensor"].any()
        assert "depth_sensor" in default_panels(with_sensor)
        sheet = contact_sheet([with_sensor], {}, ["depth", "depth_sensor"], 96)
        assert sheet.shape[1] > 2 * 96
    for index in range(2):
        assert replay(tmp_path / "d", index) == []


def test_unknown_presets_are_told() -> None:
    with pytest.raises(ConfigError, match="needs a preset"):
        settings({"dropout": 0.1})
    with pytest.raises(ConfigError, match='did you mean "realsense_d435"'):
        settings({"preset": "realsense_d455"})

"""The colour sensor in scene definitions: drawn, faded by the strength of its factor, and applied to the rendering."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from fake_library import FakeLibrary

from simgen import config
from simgen.config import RenderConfig, load
from simgen.generate.pipeline import draw_scene, replay_scene, scene_frames
from simgen.generate.scenes import SceneSource
from simgen.randomize.sample import sample
from simgen.render.snapshot import resolve, snapshot
from simgen.scene.record import CameraRecord, Pose, SensorRecord
from simgen.sensors.camera import at_resolution
from simgen.sensors.color import sense

EVERYTHING: dict[str, Any] = {
    "max_clipped": 0.02,
    "exposure": 0.3,
    "white_balance": {"dist": "uniform", "low": 5000, "high": 8000, "nominal": 6500},
    "white_balance_gains": [1.1, 1.0, {"dist": "uniform", "low": 0.8, "high": 0.9}],
    "tint": 0.004,
    "shot_noise": {"dist": "uniform", "low": 0.01, "high": 0.03},
    "read_noise": 0.004,
    "native_scale": {"dist": "uniform", "low": 1.5, "high": 2.5},
    "field_angle_deg": 30,
    "vignetting": [-0.3, 0.02, -0.01],
    "chromatic_aberration": [0.002, {"dist": "uniform", "low": -0.003, "high": -0.001}],
    "blur": {"dist": "uniform", "low": 0.3, "high": 0.8},
    "bloom": {"dist": "uniform", "low": 0.05, "high": 0.1},
    "bloom_radius": 0.02,
    "veiling_glare": 0.03,
    "channel_response": [0.5, 1.0, 0.65],
    "gain": {"dist": "log_uniform", "low": 2, "high": 16},
    "prnu": 0.01,
    "dsnu": 0.002,
    "adc_bits": {"dist": "choice", "values": [8, 10]},
    "bayer": {"dist": "choice", "values": ["rggb", "bggr"]},
    "demosaic": "bilinear",
    "saturation": 0.8,
    "tone_curve": {"dist": "choice", "values": ["filmic", "gamma"]},
    "gamma": 2.0,
    "contrast": 1.1,
    "sharpen": 0.5,
    "sharpen_radius": 1.5,
    "jpeg_quality": {"dist": "uniform_int", "low": 60, "high": 90},
}


def scene(sensor: dict[str, Any], strength: float = 1.0, frames: int = 2) -> RenderConfig:
    things = {"assets": ["primitive/*"], "place": {"kind": "floating", "region": [1, 1, 1]}}
    plain = {"objects": {"things": things}, "cameras": {"main": {"views": 2}}, "sensor": sensor}
    plain["time"] = {"frames": frames}
    return config.from_plain({"scene": plain, "randomize": {"sensor": {"strength": strength}}})


def sensors(sensor: dict[str, Any], strength: float = 1.0, frames: int = 2) -> list[SensorRecord]:
    return [f.sensor for f in sample(scene(sensor, strength, frames), FakeLibrary(), 3, 0).frames]


def seedless(sensor: SensorRecord) -> SensorRecord:
    return dataclasses.replace(sensor, noise_seed=0)


def test_every_parameter_of_the_record_can_be_set() -> None:
    got = sensors(EVERYTHING)[0]
    clean = SensorRecord()
    same = [f.name for f in dataclasses.fields(SensorRecord) if getattr(got, f.name) == getattr(clean, f.name)]
    # The light of white is set as gains, which ``white_balance`` in kelvin gives.
    assert same == ["color_temperature"]
    assert got.field_angle == pytest.approx(np.deg2rad(30))
    assert got.read_noise == pytest.approx(0.004 * got.full_well)
    assert got.dsnu == pytest.approx(0.002 * got.full_well)


def test_at_strength_zero_there_is_no_effect() -> None:
    plain = {key: EVERYTHING[key] for key in ("max_clipped", "exposure", "white_balance")}
    assert list(map(seedless, sensors(EVERYTHING, 0.0))) == list(map(seedless, sensors(plain, 0.0)))
    assert seedless(sensors(EVERYTHING, 0.0)[0]) == SensorRecord(exposure=0.3, auto_exposure=0.22, max_clipped=0.02)


def test_between_effects_are_in_proportion_or_in_a_share_of_frames() -> None:
    full, half = sensors(EVERYTHING, frames=200), sensors(EVERYTHING, 0.5, frames=200)
    for a, b in zip(full, half, strict=True):
        assert b.bloom == pytest.approx(a.bloom / 2)
        assert b.native_scale == pytest.approx((1 + a.native_scale) / 2)
        assert b.vignetting == pytest.approx(np.array(a.vignetting) / 2)
        assert b.jpeg_quality in (0, a.jpeg_quality)
        assert b.full_well == pytest.approx(4 * a.full_well)
    assert np.mean([s.jpeg_quality > 0 for s in half]) == pytest.approx(0.5, abs=0.1)
    assert {s.bayer for s in full} == {"rggb", "bggr"}


def test_fixed_pattern_is_fixed_and_noise_is_not() -> None:
    got = sensors(EVERYTHING)
    assert len({s.fixed_pattern_seed for s in got}) == 1
    assert len({s.noise_seed for s in got}) == len(got)
    assert sensors({})[0].fixed_pattern_seed == 0


def test_effects_are_logged_where_they_are_asked_for() -> None:
    drawn = sample(scene({"bloom": 0.1, "jpeg_quality": 80}), FakeLibrary(), 3, 0).frames[0].draws["sensor"]
    assert (drawn["bloom"], drawn["jpeg_quality"]) == (0.1, 80)
    assert set(drawn) == {
        *("auto_exposure", "exposure", "white_balance", "shot_noise", "read_noise", "noise_seed"),
        *("bloom", "bloom_radius", "jpeg_quality"),
    }


def shapes(*overrides: str) -> RenderConfig:
    return load("shapes", ["image.width=64", "image.height=48", *overrides])


METERED = ("max_clipped", "exposure", "white_balance", "shot_noise", "read_noise")
OWN = {k: v for k, v in EVERYTHING.items() if k not in METERED}


@pytest.fixture(scope="module")
def source() -> SceneSource:
    return SceneSource(shapes())


def overridden(sensor: dict[str, Any], *more: str) -> RenderConfig:
    made = shapes(*more)
    plain = config.to_plain(made)
    plain["scene"]["sensor"].update(sensor)
    return config.from_plain(plain)


def test_images_at_strength_zero_are_those_without_a_sensor_and_labels_never_change(source: SceneSource) -> None:
    off = "randomize.sensor.strength=0"
    bare = scene_frames(shapes(off), source.library, source.renderer, 0)
    faded = scene_frames(overridden(OWN, off), source.library, source.renderer, 0)
    effects = scene_frames(overridden(OWN), source.library, source.renderer, 0)
    for a, b, c in zip(bare.frames, faded.frames, effects.frames, strict=True):
        assert a.images["rgb"].tobytes() == b.images["rgb"].tobytes()
        assert np.abs(a.images["rgb"].astype(int) - c.images["rgb"]).mean() > 2
        for name in set(a.images) - {"rgb"}:
            assert a.images[name].tobytes() == c.images[name].tobytes(), name
        assert a.objects.bbox_full.tobytes() == c.objects.bbox_full.tobytes()
        assert a.objects.mask_full == c.objects.mask_full


def test_effects_replay(source: SceneSource) -> None:
    settings = overridden(OWN)
    first = scene_frames(settings, source.library, source.renderer, 0)
    again = replay_scene(first.record, settings, source.library, source.renderer, [1])
    assert again.frames[0].images["rgb"].tobytes() == first.frames[1].images["rgb"].tobytes()


def test_a_picture_of_higher_native_resolution_is_averaged_down(source: SceneSource) -> None:
    settings = overridden({"native_scale": 2.0})
    result = scene_frames(settings, source.library, source.renderer, 0, [0])
    record, simulation = draw_scene(settings, source.library, 0)
    frame = record.frames[0]
    large = dataclasses.replace(frame, camera=at_resolution(frame.camera, 2.0))
    assert (large.camera.width, large.camera.height) == (128, 96)
    moment = snapshot(resolve(record, source.library), simulation.at(frame.time), large)
    linear = source.renderer.render([moment], ["rgb"]).images["rgb"][0]
    pooled = linear.reshape(48, 2, 64, 2, 3).mean((1, 3), dtype=np.float32)
    expected = sense(pooled, frame.sensor)
    assert np.abs(expected.astype(int) - result.frames[0].images["rgb"]).max() <= 1


def test_an_image_of_few_rows_keeps_one_when_it_is_made_small() -> None:
    camera = CameraRecord("main", 1500, 3, 1700.0, 1700.0, 749.5, 1.0, Pose())
    small = at_resolution(camera, 1 / 50)
    assert (small.width, small.height) == (30, 1)
    assert small.fy > 0

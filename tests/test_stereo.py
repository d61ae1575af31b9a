"""Cameras on rigs: shared placements, stereo geometry, errors of the mounting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simgen import config
from simgen.config import RenderConfig, frames_per_scene, load
from simgen.errors import ConfigError
from simgen.generate.job import render
from simgen.generate.pipeline import draw_scene, scene_frames
from simgen.generate.replay import replay
from simgen.generate.scenes import SceneSource
from simgen.labels.frame import Frame
from simgen.shards.reader import Dataset
from simgen.shards.verify import verify

BASE = 0.06
RIGHT: dict[str, Any] = {"kind": "rig", "of": "main", "position": [BASE, 0, 0]}


def shapes(*overrides: str, right: dict[str, Any] | None = None, **main: Any) -> RenderConfig:
    size = [
        "image.width=120",
        "image.height=90",
        "scene.cameras.main.views=2",
        "passes=[rgb,depth,instance,object_coords]",
    ]
    plain = config.to_plain(load("shapes", [*size, *overrides]))
    plain["scene"]["cameras"]["main"].update(main)
    plain["scene"]["cameras"]["right"] = RIGHT if right is None else right
    return config.from_plain(plain)


@pytest.fixture(scope="module")
def source() -> SceneSource:
    return SceneSource(shapes())


def pairs(frames: list[Frame]) -> list[tuple[Frame, Frame]]:
    by = {(frame.camera, frame.group, frame.time): frame for frame in frames}
    return [(by["main", group, t], by["right", group, t]) for name, group, t in by if name == "main"]


def test_disparity_is_focal_length_times_baseline_over_depth(source: SceneSource) -> None:
    made = shapes()
    assert frames_per_scene(made) == 4
    frames = scene_frames(made, source.library, source.renderer, 0).frames
    assert [frame.camera for frame in frames] == ["main", "main", "right", "right"]
    assert len({frame.view for frame in frames}) == 4
    assert len(pairs(frames)) == 2
    for left, right in pairs(frames):
        np.testing.assert_array_equal(left.K, right.K)
        T = np.linalg.inv(left.T_world_cam) @ right.T_world_cam
        np.testing.assert_allclose(T[:3, 3], [BASE, 0, 0], atol=1e-12)
        np.testing.assert_allclose(T[:3, :3], np.eye(3), atol=1e-12)
        matched = hidden = 0
        for row in np.flatnonzero((left.objects.px_visib > 20) & (right.objects.px_visib > 20)):
            v, u = np.nonzero(left.images["instance"] == row + 1)
            z = left.images["depth"][v, u].astype(float)
            disparity = left.K[0, 0] * BASE / z
            points = left.images["object_coords"][v, u]
            T_right = right.objects.T_cam_obj[row]
            seen = (points @ T_right[:3, :3].T + T_right[:3, 3]) @ right.K.T
            np.testing.assert_allclose(u - seen[:, 0] / seen[:, 2], disparity, atol=2e-3)
            np.testing.assert_allclose(seen[:, 1] / seen[:, 2], v, atol=2e-3)
            # The same points are in the other image, where nothing hides them.
            at = np.rint(u - disparity).astype(int)
            inside = (at >= 0) & (at < 120)
            same = right.images["instance"][v[inside], at[inside]] == row + 1
            there = right.images["object_coords"][v[inside], at[inside]]
            apart = np.linalg.norm(there - points[inside], axis=1)[same]
            step = z[inside][same] / left.K[0, 0]
            matched += int((apart < 3 * step).sum())
            hidden += int((~same).sum() + (apart >= 3 * step).sum())
        assert matched > 300
        assert hidden < 0.25 * matched


def test_a_rig_with_errors_shares_what_it_should(source: SceneSource) -> None:
    drawn = {
        **RIGHT,
        "position": [{"dist": "normal", "mean": BASE, "std": 0.001}, 0, 0],
        "rpy_deg": [0, {"dist": "uniform", "low": -1, "high": 1}, 0],
        "shift": [{"dist": "uniform", "low": -0.02, "high": 0.02}, 0],
    }
    shaky = {
        "motion": {"shake": [{"dist": "normal", "mean": 0, "std": 1}, 0, 0]},
        "shutter": {"readout": 0.02},
        "distortion": {"k1": -0.1},
    }
    record, _ = draw_scene(shapes("scene.sensor.shot_noise=0.01", right=drawn, **shaky), source.library, 3)
    left, right = record.frames[0], record.frames[2]
    assert (left.view, right.view, left.group, right.group) == (0, 2, 0, 0)
    assert right.camera.pose == left.camera.pose
    assert right.camera.shake == left.camera.shake != record.frames[1].camera.shake
    assert right.camera.distortion == left.camera.distortion
    assert right.camera.fx == left.camera.fx
    assert right.camera.cx != left.camera.cx
    assert right.shutter == left.shutter
    assert right.sensor.exposure == left.sensor.exposure
    assert right.sensor.noise_seed != left.sensor.noise_seed
    assert right.camera.mount == record.frames[3].camera.mount
    assert right.camera.mount.position[0] == record.draws["camera"]["right.position"][0]
    again, _ = draw_scene(shapes("scene.sensor.shot_noise=0.01", right=drawn, **shaky), source.library, 4)
    assert again.frames[2].camera.mount != right.camera.mount
    alone = config.to_plain(shapes("scene.sensor.shot_noise=0.01", right=drawn, **shaky))
    del alone["scene"]["cameras"]["right"]
    single, _ = draw_scene(config.from_plain(alone), source.library, 3)
    assert single.frames[0].camera == left.camera
    assert single.frames[0].sensor == left.sensor
    own, _ = draw_scene(shapes(right={**RIGHT, "optics": "own", "hfov_deg": 90.0}), source.library, 3)
    assert own.frames[2].camera.fx == pytest.approx(60.0)
    assert own.frames[2].camera.pose == own.frames[0].camera.pose


def test_pairs_in_a_dataset(tmp_path: Path) -> None:
    made = config.to_plain(shapes("frames=8", "workers=1", f"out={tmp_path / 'd'}"))
    made["scene"]["cameras"]["right"]["depth_sensor"] = {"preset": "realsense_d435"}
    made["passes"] = "auto"
    render(config.from_plain(made))
    assert verify(tmp_path / "d") == []
    with Dataset(tmp_path / "d") as data:
        frames = list(data)
        assert [frame.camera for frame in frames[:4]] == ["main", "main", "right", "right"]
        assert [frame.group for frame in frames[:4]] == [0, 1, 0, 1]
        assert not frames[0].images["depth_sensor"].any()
        assert frames[2].images["depth_sensor"].any()
        for left, right in pairs(frames[:4]):
            np.testing.assert_allclose(
                (np.linalg.inv(left.T_world_cam) @ right.T_world_cam)[:3, 3], [BASE, 0, 0], atol=1e-12
            )
    assert replay(tmp_path / "d", 3) == []


def test_impossible_rigs_are_refused() -> None:
    with pytest.raises(ConfigError, match="there is no other camera 'mian'"):
        shapes(right={**RIGHT, "of": "mian"})
    with pytest.raises(ConfigError, match="leave them out"):
        shapes(right={**RIGHT, "views": 3})
    with pytest.raises(ConfigError, match="it moves with main"):
        shapes(right={**RIGHT, "motion": {"velocity": [1, 0, 0]}})
    with pytest.raises(ConfigError, match='for cameras of kind "rig"'):
        shapes(of="right")

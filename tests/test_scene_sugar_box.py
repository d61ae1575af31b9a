"""The scene sugar_box: one box, seen from all around and from both sides of the zenith."""

from __future__ import annotations

import numpy as np
import pytest

import simgen
from simgen.generate.pipeline import category_ids, compute_frames, draw_scene
from simgen.geometry import rotation_from_quaternion
from simgen.learn.shard_source import azimuth
from simgen.render import create


@pytest.fixture(scope="module")
def config():
    return simgen.load("sugar_box", ["image.width=64", "image.height=64"])


@pytest.fixture(scope="module")
def library():
    return simgen.Library()


def test_the_box_is_the_one_label_and_fills_the_frame_of_every_camera(config, library):
    numbers = category_ids(config, library)
    assert list(numbers) == ["sugar_box"]
    renderer = create("raster", "cpu")
    for scene in range(3):
        record, simulation = draw_scene(config, library, scene)
        frames = list(compute_frames(record, simulation, library, renderer, ["instance"], numbers))
        assert len(frames) == 5
        for frame in frames:
            table = frame.objects
            assert table.category_id.tolist() == [1]
            assert float(table.truncated[0]) < 0.35
            assert float(table.visib_fract[0]) > 0.6
            _, _, w, h = table.bbox_visib[0]
            assert max(w, h) > 0.5 * 64
            # Upright on the turntable: the axis that is measured about is the world's.
            np.testing.assert_allclose(table.T_world_obj[0][:3, 2], [0, 0, 1], atol=1e-9)


def test_cameras_go_around_and_over_the_zenith(config, library):
    angles, raised = [], []
    for scene in range(40):
        record, _ = draw_scene(config, library, scene)
        for shot in record.frames:
            T_world_cam = np.eye(4)
            T_world_cam[:3, :3] = rotation_from_quaternion(shot.camera.pose.quaternion_xyzw)
            T_world_cam[:3, 3] = shot.camera.pose.position
            T_cam_obj = np.linalg.inv(T_world_cam)
            angles.append(float(azimuth(T_cam_obj[None])[0]))
            eye, up = T_world_cam[:3, 3], -T_world_cam[:3, 1]
            elevation = np.degrees(np.arctan2(eye[2] - 0.088, np.hypot(eye[0], eye[1])))
            raised.append(elevation if up[2] >= 0 else 180 - elevation)
    assert min(raised) < 5
    assert max(raised) > 95
    assert np.histogram(raised, bins=[-10, 20, 40, 60, 80, 115])[0].min() > 20
    assert np.histogram(angles, bins=8, range=(-np.pi, np.pi))[0].min() > 10

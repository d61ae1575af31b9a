"""Lens distortion in the main job: colour and every label in step, held against OpenCV's projection."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from simgen import config
from simgen.config import PASSES, RenderConfig, load
from simgen.errors import ConfigError
from simgen.generate.calibration import calibrated
from simgen.generate.job import render
from simgen.generate.pipeline import compute_frames, draw_scene, scene_frames
from simgen.generate.replay import replay
from simgen.generate.scenes import SceneSource
from simgen.labels.frame import Frame
from simgen.labels.rle import decode
from simgen.scene.record import SceneRecord
from simgen.sensors.lens import project
from simgen.shards.reader import Dataset
from simgen.shards.verify import verify

WIDTH, HEIGHT = 160, 120
BARREL = {"k1": -0.28, "k2": 0.09, "p1": 0.002, "p2": -0.001, "k3": -0.01}
FISHEYE = {"model": "fisheye", "k1": -0.03, "k2": 0.006}
LENSES = [BARREL, FISHEYE]


def settings(distortion: dict[str, Any] | None, *overrides: str, **camera: Any) -> RenderConfig:
    size = [f"image.width={WIDTH}", f"image.height={HEIGHT}", f"passes=[{','.join(PASSES)}]"]
    plain = config.to_plain(load("shapes", [*size, "scene.cameras.main.views=1", *overrides]))
    plain["scene"]["cameras"]["main"].update(distortion=distortion or {}, **camera)
    return config.from_plain(plain)


@pytest.fixture(scope="module")
def source() -> SceneSource:
    return SceneSource(settings(None))


@pytest.fixture(scope="module", params=LENSES, ids=["radial_tangential", "fisheye"])
def frame(request: pytest.FixtureRequest, source: SceneSource) -> Frame:
    made = settings(request.param, "scene.cameras.main.hfov_deg=90", "scene.cameras.main.radius=0.4")
    return scene_frames(made, source.library, source.renderer, 1).frames[0]


def cv2_project(points: np.ndarray, frame: Frame) -> np.ndarray:
    zero = np.zeros(3)
    if frame.distortion_model == "fisheye":
        return cv2.fisheye.projectPoints(points[:, None], zero, zero, frame.K, frame.distortion[:4])[0][:, 0]
    return cv2.projectPoints(points, zero, zero, frame.K, frame.distortion)[0][:, 0]


def of_object(frame: Frame, row: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (n, 2) and the points (n, 3) of the object, in the camera frame, that they show."""
    v, u = np.nonzero(frame.images["instance"] == row + 1)
    T = frame.objects.T_cam_obj[row]
    return np.stack([u, v], 1).astype(float), frame.images["object_coords"][v, u] @ T[:3, :3].T + T[:3, 3]


def test_pixels_show_what_opencv_projects_there(frame: Frame) -> None:
    assert frame.images["rgb"].shape == (HEIGHT, WIDTH, 3)
    assert frame.objects.px_visib.max() > 200
    for row in np.flatnonzero(frame.objects.px_visib > 30):
        pixels, points = of_object(frame, int(row))
        offset = cv2_project(points, frame) - pixels
        # A label is that of the nearest of the pixels that were rendered, finer than the image.
        assert np.abs(offset).max() < 0.3
        assert np.abs(offset.mean(0)).max() < 0.05
        depth = frame.images["depth"][pixels[:, 1].astype(int), pixels[:, 0].astype(int)]
        np.testing.assert_allclose(depth, points[:, 2], atol=1e-5)


def test_object_coordinates_give_the_pose_back(frame: Frame) -> None:
    row = int(np.argmax(frame.objects.px_visib))
    pixels, _ = of_object(frame, row)
    v, u = np.nonzero(frame.images["instance"] == row + 1)
    points = frame.images["object_coords"][v, u].astype(np.float64)
    if frame.distortion_model == "fisheye":
        flat = cv2.fisheye.undistortPoints(pixels[:, None], frame.K, frame.distortion[:4])
        _, rotation, position = cv2.solvePnP(points, flat, np.eye(3), None)
    else:
        _, rotation, position = cv2.solvePnP(points, pixels, frame.K, frame.distortion)
    T = frame.objects.T_cam_obj[row]
    assert np.linalg.norm(position.ravel() - T[:3, 3]) < 4e-3
    assert np.rad2deg(np.linalg.norm(cv2.Rodrigues(cv2.Rodrigues(rotation)[0] @ T[:3, :3].T)[0])) < 1.5


def test_labels_agree_with_each_other(frame: Frame) -> None:
    images, objects = frame.images, frame.objects
    np.testing.assert_array_equal(images["instance"] > 0, images["semantic"] > 0)
    assert images["depth"][images["instance"] > 0].min() > 0
    for row, counts in enumerate(objects.mask_full):
        full, seen = decode(counts, HEIGHT, WIDTH), images["instance"] == row + 1
        assert not (seen & ~full).any()
        assert objects.px_visib[row] == seen.sum()
        inside = full.sum()
        assert objects.px_full[row] - inside == pytest.approx(objects.truncated[row] * objects.px_full[row], abs=0.01)
        rows, columns = np.flatnonzero(full.any(1)), np.flatnonzero(full.any(0))
        if objects.truncated[row] == 0 and inside:
            box = [columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1]
            assert objects.bbox_full[row].tolist() == box


def only(record: SceneRecord, body: int) -> SceneRecord:
    """The scene with one labelled object and nothing that could stand before it."""
    keep = record.bodies[body]
    bodies = tuple(b for b in record.bodies if b is keep)
    return dataclasses.replace(record, bodies=bodies, world=dataclasses.replace(record.world, settle=False))


@pytest.mark.parametrize("distortion", LENSES)
def test_full_silhouettes_go_on_outside_of_the_image(distortion: dict[str, Any], source: SceneSource) -> None:
    """Counted against a rendering of the whole canvas through the same lens."""
    made = settings(distortion, "scene.cameras.main.hfov_deg=45", "scene.cameras.main.radius=0.4")
    record, simulation = draw_scene(made, source.library, 1)
    camera = record.frames[0].camera
    canvas = dataclasses.replace(
        camera, width=3 * WIDTH, height=3 * HEIGHT, cx=camera.cx + WIDTH, cy=camera.cy + HEIGHT
    )
    ids = source.categories
    (small,) = compute_frames(record, simulation, source.library, source.renderer, ["instance"], ids)
    cut = np.flatnonzero((small.objects.truncated > 0.02) & (small.objects.truncated < 0.98))
    assert len(cut)
    for row in cut[:3]:
        body = int(small.objects.body[row])
        states = tuple(dataclasses.replace(s, bodies=(s.bodies[body],)) for s in simulation.states)
        alone = only(record, body)
        frames = tuple(dataclasses.replace(f, camera=canvas) for f in alone.frames)
        (large,) = compute_frames(
            dataclasses.replace(alone, frames=frames),
            dataclasses.replace(simulation, states=states),
            source.library,
            source.renderer,
            ["instance"],
            ids,
        )
        count = int(large.objects.px_visib[0])
        assert small.objects.px_full[row] == pytest.approx(count, rel=0.01, abs=3)
        box = large.objects.bbox_visib[0] - np.array([WIDTH, HEIGHT, 0, 0])
        assert np.abs(small.objects.bbox_full[row] - box).max() <= 1


@pytest.mark.parametrize("distortion", LENSES)
def test_flow_ends_where_the_lens_puts_the_moved_point(distortion: dict[str, Any], source: SceneSource) -> None:
    made = settings(distortion, "scene.time.frames=2", "scene.time.rate=20", "scene.world.settle=false")
    now, later = scene_frames(made, source.library, source.renderer, 2).frames
    compared = 0
    for row in np.flatnonzero(now.objects.px_visib > 30):
        pixels, points = of_object(now, int(row))
        u, v = pixels.astype(int).T
        T = later.objects.T_cam_obj[row]
        moved = now.images["object_coords"][v, u] @ T[:3, :3].T + T[:3, 3]
        expected = cv2_project(moved, later) - cv2_project(points, now)
        flow = now.images["flow_forward"][v, u]
        there = np.any(flow != 0, 1)
        np.testing.assert_allclose(flow[there], expected[there], atol=0.02)
        compared += int(there.sum())
    assert compared > 300


def test_a_finer_rendering_brings_labels_closer(source: SceneSource) -> None:
    errors = []
    for scale in (1.0, 3.0):
        made = settings(
            {**BARREL, "render_scale": scale}, "scene.cameras.main.hfov_deg=50", "scene.cameras.main.radius=0.35"
        )
        frame = scene_frames(made, source.library, source.renderer, 1).frames[0]
        seen = [of_object(frame, int(row)) for row in np.flatnonzero(frame.objects.px_visib)]
        errors.append(np.concatenate([np.abs(cv2_project(points, frame) - at).ravel() for at, points in seen]).mean())
    assert errors[1] < 0.5 * errors[0]


def test_a_dataset_through_drawn_lenses_is_sound_and_replays(tmp_path: Path) -> None:
    drawn = {**BARREL, "k1": {"dist": "uniform", "low": -0.3, "high": 0.1, "nominal": 0.0}}
    made = settings(drawn, f"out={tmp_path / 'd'}", "frames=4", "workers=1", "output.frames_per_shard=2")
    made = config.from_plain({**config.to_plain(made), "image": {"width": 64, "height": 48}})
    plain = config.to_plain(made)
    plain["scene"]["sensor"]["native_scale"] = 1.5
    render(config.from_plain(plain))
    assert verify(tmp_path / "d") == []
    with Dataset(tmp_path / "d") as data:
        k1 = [data[i].distortion[0] for i in range(4)]
        assert len(set(k1)) == 4
        assert data.draws("camera", "distortion_k1").tolist() == k1
        assert {data[i].distortion_model for i in range(4)} == {"radial_tangential"}
        frame = data[0]
        assert frame.images["rgb"].shape == (48, 64, 3)
    for index in range(4):
        assert replay(tmp_path / "d", index) == []


def test_fields_of_view(source: SceneSource) -> None:
    for given in ({"hfov_deg": 100.0}, {"focal_mm": 20.0, "sensor_width_mm": 24.0}):
        camera = draw_scene(settings(None, **given), source.library, 0)[0].frames[0].camera
        width = 24 / 20 if "focal_mm" in given else 2 * np.tan(np.deg2rad(50))
        assert camera.fx == pytest.approx(WIDTH / width)
    wide = draw_scene(settings(FISHEYE, hfov_deg=140.0), source.library, 0)[0].frames[0].camera
    edge = np.deg2rad(70)
    u = project([[np.sin(edge), 0, np.cos(edge)]], np.diag([wide.fx, wide.fx, 1]), wide.distortion[:4], "fisheye")
    assert u[0, 0] == pytest.approx(WIDTH / 2)


def test_the_calibration_of_a_real_camera(tmp_path: Path, source: SceneSource) -> None:
    file = tmp_path / "camera.yaml"
    K = np.array([[400.0, 0, 330], [0, 410.0, 235], [0, 0, 1]])
    storage = cv2.FileStorage(str(file), cv2.FILE_STORAGE_WRITE)
    storage.write("image_width", 640)
    storage.write("image_height", 480)
    storage.write("camera_matrix", K)
    storage.write("distortion_coefficients", np.array([[-0.2, 0.05, 0.001, -0.002, 0.003]]))
    storage.release()
    made = settings(None, calibration=str(file))
    camera = draw_scene(made, source.library, 0)[0].frames[0].camera
    assert camera.distortion == (-0.2, 0.05, 0.001, -0.002, 0.003)
    scale = WIDTH / 640
    assert (camera.fx, camera.fy) == pytest.approx((400 * scale, 410 * scale))
    assert (camera.cx, camera.cy) == pytest.approx((330.5 * scale - 0.5, 235.5 * scale - 0.5))
    assert calibrated(settings(None)) == settings(None)
    plain = {**config.to_plain(made), "out": str(tmp_path / "d"), "frames": 1, "workers": 1}
    render(config.from_plain(plain))
    file.rename(tmp_path / "moved.yaml")
    assert replay(tmp_path / "d", 0) == []  # the dataset holds the numbers
    with Dataset(tmp_path / "d") as data:
        assert data[0].distortion.tolist() == list(camera.distortion)
    (tmp_path / "moved.yaml").rename(file)
    square = dataclasses.replace(made, image=dataclasses.replace(made.image, width=HEIGHT))
    with pytest.raises(ConfigError, match="640x480"):
        draw_scene(square, source.library, 0)
    with pytest.raises(ConfigError, match="no such calibration"):
        draw_scene(settings(None, calibration="nowhere.yaml"), source.library, 0)
    with pytest.raises(ConfigError, match="leave these out"):
        settings(BARREL, calibration=str(file))
    load("shapes", ["scene.cameras.main.distortion.k1=-0.1", "scene.cameras.main.depth_sensor.preset=realsense_d435"])
    with pytest.raises(ConfigError, match="needs all of width"):
        settings(None, intrinsics={"fx": 100.0})
    with pytest.raises(ConfigError, match=r"k4 is no coefficient of radial_tangential"):
        settings({"k4": 0.1})

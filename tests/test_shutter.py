"""Motion blur and rolling shutters against closed forms and OpenCV's projection."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from exposure_scenes import HEIGHT, LIBRARY, RENDERER, WIDTH, F, at, boxes, camera, frame, light, moving, see

from simgen import config
from simgen.config import RenderConfig, load
from simgen.errors import ConfigError
from simgen.generate.job import render
from simgen.generate.pipeline import compute_frames, draw_scene, scene_frames
from simgen.generate.replay import replay
from simgen.generate.scenes import SceneSource
from simgen.labels.keypoints import VISIBLE
from simgen.labels.rle import decode
from simgen.physics.simulate import simulate
from simgen.render import create
from simgen.scene.between import state_at
from simgen.scene.camera_record import ShutterRecord, TwistRecord
from simgen.sensors.shutter import instants, label_bands
from simgen.shards.reader import Dataset
from simgen.shards.verify import verify

READOUT = 0.03
TWIST = TwistRecord((0.25, -0.1, 0.15), (0.3, 1.1, 0.6))
LENS = {"distortion": (-0.25, 0.07, 0.001, -0.002, 0.0)}
PLACES = [at(-0.12, 0.05, 0.8, 0.4), at(0.15, -0.08, 0.9, -0.3), at(0.02, 0.12, 1.2, 1.0)]
CUBES = [(0.18, 0.12, 0.1), (0.1, 0.2, 0.15), (0.3, 0.1, 0.1)]
COLUMN = np.arange(WIDTH)


def rows_at(readout: float, height: int = HEIGHT) -> np.ndarray:
    return readout * (np.arange(height) / (height - 1) - 0.5)


@pytest.mark.parametrize("readout", [READOUT, -READOUT])
def test_a_rotating_bar_under_a_rolling_shutter_has_the_shape_of_the_closed_form(readout: float) -> None:
    rate, start, z, size = 9.0, 0.9, 1.0, (0.62, 0.06, 0.001)
    record = boxes([size], frame(shutter=ShutterRecord(readout=readout)))
    (seen,) = see(record, lambda t: [at(0, 0, z, start + rate * t)], "instance", "rgb")
    # Row y sees the bar at the angle that it has at the time of the row.
    angle = start + rate * rows_at(readout)[:, None]
    depth = z - size[2] / 2
    x = (COLUMN[None] - (WIDTH - 1) / 2) / F * depth
    y = (np.arange(HEIGHT)[:, None] - (HEIGHT - 1) / 2) / F * depth
    along, across = np.cos(angle) * x + np.sin(angle) * y, -np.sin(angle) * x + np.cos(angle) * y
    outside = np.maximum(np.abs(along) - size[0] / 2, np.abs(across) - size[1] / 2) * F / depth
    expected = outside < 0
    mask = seen.images["instance"] == 1
    assert expected.sum() > 800
    assert (mask != expected)[np.abs(outside) > 0.06].sum() == 0
    still = (
        see(boxes([size], frame()), lambda t: [at(0, 0, z, start + rate * t)], "instance")[0].images["instance"] == 1
    )
    assert (mask != still).sum() > 150  # a global shutter would have been seen
    # Colour is in step with the labels: its middle in every row is that of the closed form.
    linear = light(record, lambda t: [at(0, 0, z, start + rate * t)])[..., 1]
    whole = (expected.sum(1) > 5) & (np.abs(along).max(1) > 0) & ~expected[:, [0, -1]].any(1)
    middle = (linear * COLUMN).sum(1)[whole] / linear.sum(1)[whole]
    spread = np.clip(0.5 - outside, 0, 1)
    wanted = (spread * COLUMN).sum(1)[whole] / spread.sum(1)[whole]
    assert np.abs(middle - wanted).mean() < 0.1
    full = decode(seen.objects.mask_full[0], HEIGHT, WIDTH)
    np.testing.assert_array_equal(full, mask)


def turn(angular: np.ndarray) -> np.ndarray:
    return cv2.Rodrigues(angular)[0]


def world_camera(time: float) -> np.ndarray:
    """``T_world_cam`` of a camera that moves by TWIST from the identity, by OpenCV's Rodrigues formula."""
    T = np.eye(4)
    T[:3, :3] = turn(np.array(TWIST.angular) * time)
    T[:3, 3] = np.array(TWIST.linear) * time
    return T


def pixel(points_world: np.ndarray, time: float, distortion: np.ndarray) -> np.ndarray:
    T = np.linalg.inv(world_camera(time))
    K = np.array([[F, 0, (WIDTH - 1) / 2], [0, F, (HEIGHT - 1) / 2], [0, 0, 1]])
    return cv2.projectPoints(points_world, cv2.Rodrigues(T[:3, :3])[0], T[:3, 3], K, distortion)[0][:, 0]


def rolled_pixel(point: np.ndarray, time: float, distortion: np.ndarray) -> np.ndarray:
    """Where a point is seen: the row that it is in at the time of that row, by iteration."""
    row = HEIGHT / 2
    for _ in range(30):
        uv = pixel(point[None], time + READOUT * (np.clip(row / (HEIGHT - 1), 0, 1) - 0.5), distortion)[0]
        row = uv[1]
    return uv


@pytest.mark.parametrize("lens", [{}, {**LENS, "label_scale": 4.0}], ids=["pinhole", "lens"])
def test_labels_of_a_moving_camera_are_where_opencv_projects_them_at_the_time_of_the_row(lens: dict[str, Any]) -> None:
    points = {"a": (0.5, 0.5, -0.5), "b": (-0.5, 0.3, -0.5), "c": (0.1, -0.5, -0.5)}
    cam = camera(travel=TWIST, **lens)
    times = (0.1, 0.2)
    shutter = ShutterRecord(readout=READOUT, exposure=0.004)
    record = boxes(
        CUBES, *(frame(t, cam, shutter=shutter) for t in times), keypoints={"primitive/box": points}
    )  # fmt: skip
    passes = ("depth", "instance", "object_coords", "normal", "flow_forward")
    now, later = see(record, lambda t: PLACES, *passes)
    distortion = np.array(cam.distortion)
    nearest = 0.5 / 4 if lens else 0.0  # labels are those of the nearest of the pixels that were rendered
    at_rows = times[0] + rows_at(READOUT)
    compared = moved = 0
    for row, T in enumerate(PLACES):
        v, u = np.nonzero(now.images["instance"] == row + 1)
        world = now.images["object_coords"][v, u] @ T[:3, :3].T + T[:3, 3]
        for y in range(0, HEIGHT, 7):
            on = v == y
            if not on.any():
                continue
            off = pixel(world[on], at_rows[y], distortion) - np.stack([u[on], v[on]], 1)
            assert np.abs(off).max() < 0.1 + nearest
            in_cam = np.linalg.inv(world_camera(at_rows[y]))
            np.testing.assert_allclose(
                now.images["depth"][y, u[on]], (world[on] @ in_cam[:3, :3].T + in_cam[:3, 3])[:, 2], atol=2e-4
            )
            compared += int(on.sum())
            still = pixel(world[on], times[0], distortion) - np.stack([u[on], v[on]], 1)
            moved = max(moved, np.abs(still).max())
        for i in np.arange(0, len(v), 199):
            flow = now.images["flow_forward"][v[i], u[i]]
            started = pixel(world[i][None], at_rows[v[i]], distortion)[0]
            ended = rolled_pixel(world[i], times[1], distortion)
            if flow.any() and 0 < ended[1] < HEIGHT - 1:
                np.testing.assert_allclose(flow, ended - started, atol=0.06)
    assert compared > 300
    assert moved > 1.5  # the pose at the time of the frame would not do
    np.testing.assert_allclose(now.T_world_cam, world_camera(times[0]), atol=1e-9)
    assert (now.readout, now.exposure, later.time) == (READOUT, 0.004, times[1])
    table = now.keypoints
    assert table is not None
    assert (table.visibility == VISIBLE).sum() >= 6
    for row, name, uv, xyz in zip(table.object, table.name, table.xy, table.xyz, strict=True):
        T = PLACES[row]
        point = T[:3, :3] @ (np.array(points[name]) * CUBES[row]) + T[:3, 3]
        expected = rolled_pixel(point, times[0], distortion)
        if (expected > 0).all() and (expected < (WIDTH - 1, HEIGHT - 1)).all():
            np.testing.assert_allclose(uv, expected, atol=0.01)
            time = times[0] + READOUT * (uv[1] / (HEIGHT - 1) - 0.5)
            in_cam = np.linalg.inv(world_camera(time))
            np.testing.assert_allclose(xyz, in_cam[:3, :3] @ point + in_cam[:3, 3], atol=1e-4)


@pytest.mark.parametrize("lens", [{}, LENS], ids=["pinhole", "lens"])
def test_full_silhouettes_and_visible_pixels_agree_under_a_rolling_shutter(lens: dict[str, Any]) -> None:
    cam = camera(travel=TWIST, **lens)
    places = [at(-0.34, 0.05, 0.8, 0.4), *PLACES[1:]]  # the first leaves the image
    record = boxes(CUBES, frame(0.1, cam, shutter=ShutterRecord(readout=READOUT)))
    (seen,) = see(record, lambda t: places, "instance")
    objects = seen.objects
    assert 0.1 < objects.truncated[0] < 0.9
    for row in range(3):
        alone = boxes(CUBES[row : row + 1], *record.frames)
        (one,) = see(alone, lambda t, row=row: places[row : row + 1], "instance")
        full = decode(objects.mask_full[row], HEIGHT, WIDTH)
        np.testing.assert_array_equal(full, one.images["instance"] == 1)
        assert objects.px_visib[row] == (seen.images["instance"] == row + 1).sum()
        # On a canvas three times the image nothing is cut, and rows have the same times.
        inside = int(full.sum())
        assert objects.px_full[row] * (1 - objects.truncated[row]) == pytest.approx(inside, abs=1)


SPEED, EXPOSURE, DISTANCE = 0.9, 0.05, 1.0
SIZE = (0.04, 0.04, 0.001)


def streak(shutter: ShutterRecord | None, x: float = 0.0) -> np.ndarray:
    record = boxes([SIZE], frame(0.1, shutter=shutter))
    return light(record, lambda t: [at(x + SPEED * (t - 0.1), 0.0, DISTANCE + SIZE[2] / 2)])


def test_a_streak_is_as_long_as_the_way_during_the_exposure_and_keeps_its_energy() -> None:
    sharp = streak(None)[..., 1]
    blurred = streak(ShutterRecord(EXPOSURE, samples=32))[..., 1]
    way, side = SPEED * EXPOSURE * F / DISTANCE, SIZE[0] * F / DISTANCE
    assert blurred.sum() == pytest.approx(sharp.sum(), rel=0.01)
    profile = blurred[HEIGHT // 2 - 1 : HEIGHT // 2 + 1].mean(0)
    level = sharp[HEIGHT // 2 - 1 : HEIGHT // 2 + 1].max()
    # A box that moves evenly gives a trapezoid: the top as high as the share of the time that it covers a place.
    assert profile.max() == pytest.approx(level * side / way, rel=0.1)
    assert (profile > 0.5 * profile.max()).sum() == pytest.approx(way, abs=1.0)
    mean = (profile * COLUMN).sum() / profile.sum()
    assert mean == pytest.approx((WIDTH - 1) / 2, abs=0.05)
    variance = (profile * (COLUMN - mean) ** 2).sum() / profile.sum()
    assert variance == pytest.approx(way**2 / 12 + side**2 / 12, rel=0.03)
    # Labels are those of the middle of the exposure.
    record = boxes([SIZE], frame(0.1, shutter=ShutterRecord(EXPOSURE)))
    motion = lambda t: [at(SPEED * (t - 0.1), 0.0, DISTANCE + SIZE[2] / 2)]  # noqa: E731
    (seen,) = see(record, motion, "instance", "depth")
    (still,) = see(boxes([SIZE], frame(0.1)), motion, "instance", "depth")
    np.testing.assert_array_equal(seen.images["instance"], still.images["instance"])


def test_blur_under_a_rolling_shutter_is_centred_on_the_time_of_each_row() -> None:
    tall = (0.03, 0.7, 0.001)
    record = boxes([tall], frame(0.1, shutter=ShutterRecord(0.02, 0.04, 16)))
    image = light(record, lambda t: [at(SPEED * (t - 0.1), 0.0, DISTANCE + tall[2] / 2)])[..., 1]
    inside = np.arange(20, HEIGHT - 20)
    middle = (image * COLUMN).sum(1)[inside] / image.sum(1)[inside]
    expected = (WIDTH - 1) / 2 + SPEED * rows_at(0.04)[inside] * F / DISTANCE
    assert np.abs(middle - expected).max() < 0.15
    sides = [image[row][(image[row] > 0.5 * image[row].max())].size for row in inside]
    assert np.mean(sides) == pytest.approx(max(SPEED * 0.02 * F, tall[0] * F), abs=1.0)


def test_instants_and_bands() -> None:
    rows = np.arange(HEIGHT, dtype=np.float32)[:, None]
    for shutter in (ShutterRecord(0.01, 0.02), ShutterRecord(0.0, 0.02), ShutterRecord(0.03, -0.01, 5)):
        chosen = instants(shutter, lambda: rows, HEIGHT, 700.0)
        weights = np.stack([np.broadcast_to(chosen.weight(k), rows.shape) for k in range(len(chosen.times))])
        np.testing.assert_allclose(weights.sum(0), 1, atol=1e-5)
        middle = (weights[..., 0] * np.array(chosen.times)[:, None]).sum(0)
        inner = slice(2, -2)
        np.testing.assert_allclose(middle[inner], rows_at(shutter.readout)[inner], atol=2e-5)
    assert instants(ShutterRecord(0.01), lambda: rows, HEIGHT, 1.0).times == (0.0,)
    assert len(instants(ShutterRecord(0.01, samples=8), lambda: rows, HEIGHT, 100.0).times) == 4
    assert label_bands(ShutterRecord(readout=0.01), 480, 5.0).count == 1
    bands = label_bands(ShutterRecord(readout=0.01), 480, 3000.0)
    assert 3000.0 * (bands.time(1) - bands.time(0)) <= 0.1
    assert label_bands(ShutterRecord(readout=0.01), 480, 1e9).rows == 1


def shapes(*overrides: str, **main: Any) -> RenderConfig:
    size = ["image.width=64", "image.height=48", "scene.cameras.main.views=1"]
    plain = config.to_plain(load("shapes", [*size, *overrides]))
    plain["scene"]["cameras"]["main"].update(main)
    return config.from_plain(plain)


PASSES = "passes=[rgb,depth,instance,semantic,normal,object_coords,flow_forward,flow_backward,part]"
SHAKY: dict[str, Any] = {
    "shutter": {"exposure_time": {"dist": "uniform", "low": 0.01, "high": 0.04}, "readout": 0.03, "samples": 4},
    "motion": {"angular_shake_deg": [{"dist": "normal", "mean": 0, "std": 40}, 20, 0], "velocity": [0.1, 0, 0]},
}


@pytest.fixture(scope="module")
def source() -> SceneSource:
    return SceneSource(shapes())


def test_without_strength_frames_are_the_same_to_the_bit(source: SceneSource) -> None:
    sharp = shapes(PASSES)
    off = shapes(PASSES, "randomize.sensor.strength=0", **SHAKY)
    clean = shapes(PASSES, "randomize.sensor.strength=0")
    on = shapes(PASSES, **SHAKY)
    seen = {name: scene_frames(c, source.library, source.renderer, 1) for name, c in
            {"sharp": sharp, "off": off, "clean": clean, "on": on}.items()}  # fmt: skip
    assert seen["off"].record.frames[0].shutter is None
    for name, image in seen["clean"].frames[0].images.items():
        np.testing.assert_array_equal(image, seen["off"].frames[0].images[name])
    assert (seen["sharp"].frames[0].images["rgb"] != seen["on"].frames[0].images["rgb"]).mean() > 0.2
    # What is drawn for the effects moves no other draw.
    for one, other in zip(seen["sharp"].record.frames, seen["on"].record.frames, strict=True):
        assert one.sensor == other.sensor
        assert one.camera == dataclasses.replace(other.camera, shake=None, travel=None)
    # A camera and a world that stand still look the same however long the shutter is open.
    held = shapes(PASSES, shutter={"exposure_time": 0.05, "readout": 0.02})
    again = scene_frames(held, source.library, source.renderer, 1).frames[0]
    assert again.readout == 0.02
    for name in ("depth", "instance", "object_coords"):
        np.testing.assert_allclose(again.images[name], seen["sharp"].frames[0].images[name], atol=1e-4)


def test_physics_between_its_steps(source: SceneSource) -> None:
    made = shapes("scene.world.settle=false", "scene.time.frames=2", **SHAKY)
    record, simulation = draw_scene(made, source.library, 2)
    dt = record.world.timestep
    steps = [round(state.time / dt) for state in simulation.track]
    assert steps == sorted(set(steps))
    falling = next(k for k, body in enumerate(record.bodies) if body.motion == "dynamic")
    time = 4.4 * dt
    state = state_at(simulation, time).bodies[falling]
    # Before anything is hit, a body falls as half of g t^2, to the error of the integrator.
    drop = record.bodies[falling].pose.position[2] - state.T_world_obj[2, 3]
    assert drop == pytest.approx(9.81 * time * time / 2, abs=9.81 * time * dt)
    first = state_at(simulation, -0.01).bodies[falling].T_world_obj
    np.testing.assert_array_equal(first, simulation.states[0].bodies[falling].T_world_obj)
    plain = simulate(dataclasses.replace(record, frames=tuple(
        dataclasses.replace(f, shutter=None) for f in record.frames)), source.library)  # fmt: skip
    for one, other in zip(plain.states, simulation.states, strict=True):
        for a, b in zip(one.bodies, other.bodies, strict=True):
            np.testing.assert_array_equal(a.T_world_obj, b.T_world_obj)
    frames = list(compute_frames(record, simulation, source.library, source.renderer, ["instance"], source.categories))
    assert len(frames) == 2


def test_a_dataset_with_all_of_it_is_sound_and_replays(tmp_path: Path) -> None:
    everything = {
        **SHAKY,
        "aperture": {"f_number": {"dist": "uniform", "low": 1, "high": 2}, "focus_error": 0.05, "samples": 4},
        "distortion": {"k1": -0.15},
        "depth_sensor": {"preset": "realsense_d435"},
    }
    options = ["scene.time.frames=2", "scene.world.settle=false", "frames=4", "output.frames_per_shard=2"]
    made = config.to_plain(shapes(*options, **everything))
    made["scene"]["sensor"]["native_scale"] = 1.5
    made["passes"] = ["rgb", "depth", "depth_sensor", "instance", "flow_forward"]
    for workers in (1, 2):
        render(config.from_plain({**made, "out": str(tmp_path / f"{workers}"), "workers": workers}))
    assert verify(tmp_path / "1") == []
    with Dataset(tmp_path / "1") as one, Dataset(tmp_path / "2") as two:
        assert len({one[k].exposure for k in range(4)}) == 4
        assert one.draws("sensor", "exposure_time").tolist() == [one[k].exposure for k in range(4)]
        assert {"f_number", "focus", "readout"} <= set(one.draw_names()["sensor"])
        assert {"angular_shake_deg", "velocity"} <= set(one.draw_names()["camera"])
        assert one[1].readout == 0.03
        assert not np.array_equal(one[0].T_world_cam, one[1].T_world_cam)  # it travels
        for a, b in zip(one, two, strict=True):
            for name in a.images:
                np.testing.assert_array_equal(a.images[name], b.images[name])
    for index in range(4):
        assert replay(tmp_path / "1", index) == []


def test_impossible_exposures_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"can be 0\.2 s, but the next frame follows after 0\.1 s"):
        shapes("scene.time.frames=2", shutter={"exposure_time": 0.2})
    with pytest.raises(ConfigError, match="no target to focus on"):
        shapes(kind="fixed", position=[0, 0, 1], rpy_deg=[180, 0, 0], aperture={"f_number": 2})
    with pytest.raises(ConfigError, match="must be at least 0"):
        shapes(shutter={"exposure_time": -0.1})
    with pytest.raises(ConfigError, match="exposure_time"):
        shapes(shutter={"exposure": 0.1})


def test_a_camera_that_moves_is_traced(source: SceneSource) -> None:
    made = shapes("scene.traces=[camera]", "scene.time.frames=3", "scene.world.settle=false", **SHAKY)
    _, simulation = draw_scene(made, source.library, 0)
    trace = simulation.traces["camera"]
    assert len(trace.time) > 5
    away = np.linalg.norm(trace.value[:, 1:4] - trace.value[0, 1:4], axis=1)
    np.testing.assert_allclose(away, 0.1 * trace.time, atol=1e-9)
    assert RENDERER.name == "raster"
    assert LIBRARY.asset("primitive/box").meshes
    assert moving(boxes([SIZE], frame()), lambda t: [at(0, 0, 1)]).track


def test_another_renderer_sees_the_same_rows(source: SceneSource) -> None:
    made = shapes("passes=[depth,instance]", shutter={"readout": 0.05}, motion={"angular_shake_deg": [10, 60, 20]})
    record, simulation = draw_scene(made, source.library, 1)
    other = create("tiny")
    ours, theirs = (
        next(compute_frames(record, simulation, source.library, one, ["depth", "instance"], source.categories)).images
        for one in (source.renderer, other)
    )
    other.close()
    assert (ours["instance"] == theirs["instance"]).mean() > 0.995
    assert (np.abs(ours["depth"] - theirs["depth"]) < 1e-3 + 1e-3 * ours["depth"]).mean() > 0.995
    still = dataclasses.replace(record, frames=tuple(dataclasses.replace(f, shutter=None) for f in record.frames))
    (frozen,) = compute_frames(still, simulation, source.library, source.renderer, ["instance"], source.categories)
    assert (frozen.images["instance"] != ours["instance"]).mean() > 0.003

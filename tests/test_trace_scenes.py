"""Sensors that log traces, in the main job: on links, objects and cameras, on the clock of the scene."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from simgen import config
from simgen.config import RenderConfig, load
from simgen.errors import ConfigError, PhysicsError
from simgen.generate.job import render
from simgen.generate.pipeline import draw_scene, scene_frames
from simgen.generate.replay import replay
from simgen.generate.scenes import SceneSource
from simgen.physics.simulate import simulate
from simgen.scene.record import SceneRecord
from simgen.scene.state import Simulation
from simgen.shards.reader import Dataset
from simgen.shards.verify import verify

NOISE = {"white": 0.01, "bias": [0.1, 0.0, {"dist": "uniform", "low": 0.1, "high": 0.2}]}
SENSORS: dict[str, dict[str, Any]] = {
    "camera_imu": {"kind": "imu", "camera": "wrist", "rate": 120, "position": [0, 0.02, 0]},
    "object_imu": {"kind": "imu", "body": "parts_00", "rate": 60},
    "encoders": {"kind": "encoders", "rate": 60, "encoders": {"resolution": 0.001}},
    "wrist": {"kind": "force_torque", "joint": "panda_hand_joint", "rate": 60},
    "elbow": {"kind": "force_torque", "joint": "panda_joint4", "rate": 60},
    "beacon": {"kind": "position", "link": "panda_hand", "position": [0, 0, 0.1], "rate": 20},
    "post": {"kind": "lidar", "lidar": {"pattern": "raster", "rows": 12, "columns": 16}, "position": [0, 0, 0.5]},
}


def settings(sensors: dict[str, Any], *overrides: str) -> RenderConfig:
    small = ["image.width=64", "image.height=48", "scene.objects.parts.count=3", "scene.time.frames=3"]
    plain = config.to_plain(load("bin_picking", [*small, "scene.world.trace_rate=240", *overrides]))
    plain["scene"]["sensors"] = sensors
    return config.from_plain(plain)


@pytest.fixture(scope="module")
def source() -> SceneSource:
    return SceneSource(settings({}))


@pytest.fixture(scope="module")
def scene(source: SceneSource) -> tuple[SceneRecord, Simulation]:
    return draw_scene(settings(SENSORS), source.library, 0)


def test_every_sensor_has_its_trace(scene: tuple[SceneRecord, Simulation]) -> None:
    record, simulation = scene
    assert set(SENSORS) < set(simulation.traces)
    assert simulation.motion is None
    last = record.frames[-1].time
    for name, rate in (("camera_imu", 120), ("encoders", 60), ("beacon", 20)):
        time = simulation.traces[name].time
        np.testing.assert_allclose(time, np.arange(int(last * rate) + 1) / rate, atol=1e-9)


def test_without_sensors_nothing_is_logged_and_nothing_else_changes(
    scene: tuple[SceneRecord, Simulation], source: SceneSource
) -> None:
    record, simulation = scene
    bare = dataclasses.replace(record, sensors=())
    alone = simulate(bare, source.library)
    assert alone.motion is None
    for name in alone.traces:
        assert alone.traces[name].value.tobytes() == simulation.traces[name].value.tobytes(), name


def test_a_gyroscope_integrates_to_the_turn_of_its_camera(scene: tuple[SceneRecord, Simulation]) -> None:
    record, simulation = scene
    rows = simulation.traces["camera"]
    wrist = next(k for k, frame in enumerate(record.frames) if frame.camera.name == "wrist")
    mine = rows.value[:, 0] == wrist
    turns = Rotation.from_quat(rows.value[mine, 4:8])
    imu = simulation.traces["camera_imu"]
    turned = turns[0]
    # Readings are means over a period around their time: the first and the last cover half of one.
    for k, rate in enumerate(imu.value[:, :3]):
        whole = 0.5 if k in (0, len(imu.time) - 1) else 1.0
        turned = turned * Rotation.from_rotvec(rate * whole / 120)
    assert (turned.inv() * turns[-1]).magnitude() < 2e-4
    assert (turns[0].inv() * turns[-1]).magnitude() > 0.01


def test_an_accelerometer_integrates_to_the_velocity_of_the_camera(scene: tuple[SceneRecord, Simulation]) -> None:
    record, simulation = scene
    rows, imu = simulation.traces["camera"], simulation.traces["camera_imu"]
    wrist = next(k for k, frame in enumerate(record.frames) if frame.camera.name == "wrist")
    mine = rows.value[:, 0] == wrist
    time, T = rows.time[mine], Rotation.from_quat(rows.value[mine, 4:8])
    place = rows.value[mine, 1:4] + T.apply([0, 0.02, 0])
    at = np.searchsorted(time, imu.time - 1e-9)
    world = T[at].apply(imu.value[:, 3:]) + record.world.gravity
    # The first reading covers half a period only; then it is the velocity half a period after each.
    gained = np.cumsum(world, 0) / 120 - world[:1] / 240
    speed = np.gradient(place, time, axis=0)
    after = np.minimum(at + 1, len(time) - 1)
    middle = slice(5, -5)
    assert np.abs(gained - speed[after])[middle].max() < 0.05 * np.abs(speed).max()


def test_an_object_at_rest_reads_g(scene: tuple[SceneRecord, Simulation]) -> None:
    record, simulation = scene
    index = next(k for k, body in enumerate(record.bodies) if body.name == "parts_00")
    state = simulation.states[0].bodies[index]
    assert state is not None
    imu = simulation.traces["object_imu"].value
    np.testing.assert_allclose(imu[:, :3], 0, atol=1e-6)
    np.testing.assert_allclose(imu[:, 3:], np.tile(state.T_world_obj[2, :3] * 9.81, (len(imu), 1)), atol=1e-4)


def test_encoders_read_the_joints(scene: tuple[SceneRecord, Simulation]) -> None:
    _, simulation = scene
    joints, encoders = simulation.traces["joints"], simulation.traces["encoders"]
    assert encoders.columns[0] == "panda_joint1"
    for number in range(len(encoders.columns)):
        mine = joints.value[:, 1] == number
        expected = np.interp(encoders.time, joints.time[mine], joints.value[mine, 2])
        assert np.abs(encoders.value[:, number] - expected).max() <= 0.0005 + 1e-6
    assert np.ptp(encoders.value[:, 0]) > 0


def test_joints_at_rest_carry_what_hangs_on_them(source: SceneSource) -> None:
    """Weight and its moment, from the masses in the URDF and where its links are."""
    still = settings(SENSORS, "scene.robot.motion.offset=0")
    record, simulation = draw_scene(still, source.library, 0)
    robot = next(k for k, body in enumerate(record.bodies) if body.name == "robot")
    state = simulation.states[-1].bodies[robot]
    assert state is not None
    urdf = source.library.asset(record.bodies[robot].asset).urdf
    assert urdf is not None
    tree = ElementTree.parse(urdf).getroot()
    for name, joint in (("wrist", "panda_hand_joint"), ("elbow", "panda_joint4")):
        reading = simulation.traces[name].value[-1]
        child, carried = _beyond(tree, joint)
        T = state.links[child]
        force, torque = np.zeros(3), np.zeros(3)
        for link in carried:
            inertial = next(item for item in tree.iter("link") if item.get("name") == link).find("inertial")
            if inertial is None:
                continue
            mass = float(inertial.find("mass").get("value"))  # type: ignore[union-attr, arg-type]
            origin = inertial.find("origin")
            center = [float(x) for x in (origin.get("xyz") if origin is not None else "0 0 0").split()]  # type: ignore[union-attr]
            at = state.links[link] @ [*center, 1.0]
            force += [0, 0, 9.81 * mass]
            torque += np.cross(at[:3] - T[:3, 3], [0, 0, 9.81 * mass])
        assert np.linalg.norm(force) > 5
        np.testing.assert_allclose(reading[:3], T[:3, :3].T @ force, atol=0.05)
        np.testing.assert_allclose(reading[3:], T[:3, :3].T @ torque, atol=0.05)


def _beyond(tree: ElementTree.Element, joint: str) -> tuple[str, list[str]]:
    ends = {
        j.get("name"): (j.find("parent"), j.find("child")) for j in tree.iter("joint") if j.find("parent") is not None
    }
    links = {name: (p.get("link"), c.get("link")) for name, (p, c) in ends.items()}  # type: ignore[union-attr]
    first = links[joint][1]
    found = [first]
    for link in found:
        found += [child for parent, child in links.values() if parent == link]
    return str(first), [str(link) for link in found]


def test_a_beacon_tells_where_it_is(scene: tuple[SceneRecord, Simulation]) -> None:
    record, simulation = scene
    robot = next(k for k, body in enumerate(record.bodies) if body.name == "robot")
    fixes = simulation.traces["beacon"]
    for state in simulation.states:
        body = state.bodies[robot]
        assert body is not None
        k = int(np.argmin(np.abs(fixes.time - state.time)))
        assert fixes.time[k] == pytest.approx(state.time, abs=1e-6)
        np.testing.assert_allclose(fixes.value[k], (body.links["panda_hand"] @ [0, 0, 0.1, 1])[:3], atol=1e-6)


def test_a_lidar_on_a_camera_sees_what_the_camera_sees(source: SceneSource) -> None:
    beams = {"pattern": "raster", "rows": 30, "columns": 40, "azimuth_deg": [20, -20], "elevation_deg": [15, -15]}
    # From the camera's axes (z forward) to the lidar's (x forward, z up).
    on_camera = {"kind": "lidar", "camera": "scene", "rpy_deg": [90, -90, 0], "lidar": {**beams, "duration": 1e-6}}
    turn = np.stack([[0, 0, 1], [-1, 0, 0], [0, -1, 0]], 1).astype(float)  # lidar's axes in the camera frame
    made = settings({"eye": {**on_camera, "rate": 4}}, "scene.time.rate=4", "image.width=320", "image.height=240")
    result = scene_frames(made, source.library, source.renderer, 0)
    trace = result.simulation.traces["eye"]
    compared = 0
    for frame in result.frames:
        if frame.camera != "scene":
            continue
        mine = np.abs(trace.time - frame.time) < 1e-3
        points = trace.value[mine, 1:4] @ turn.T
        pixels = points @ frame.K.T
        u, v = np.rint(pixels[:, :2] / pixels[:, 2:]).astype(int).T
        depth = frame.images["depth"][v, u]
        same = frame.images["instance"][v, u] == trace.value[mine, 6]
        near = np.abs(depth - points[:, 2]) < 0.01
        assert mine.sum() > 500
        assert same.mean() > 0.97
        assert near.mean() > 0.9
        compared += 1
    assert compared == 3


def test_a_skin_feels_what_holds_an_object(source: SceneSource) -> None:
    """In a slanted world a thing at rest is held by normal forces and friction that together bear its weight."""
    down = np.array([0.9, 0.5, -9.7])
    skins = {
        **{f"skin{k}": {"kind": "contact", "body": f"parts_0{k}", "rate": 30} for k in range(3)},
        "numb": {"kind": "contact", "body": "parts_00", "rate": 30, "contact": {"threshold": 100}},
        "weak": {"kind": "contact", "body": "parts_00", "rate": 30, "contact": {"force_limit": 1, "force_noise": 0.2}},
        "hand": {"kind": "contact", "link": "panda_hand"},
    }
    heavy = ["scene.objects.parts.mass=0.4", "scene.objects.parts.mass_factor=1", "scene.robot.motion.offset=0"]
    made = settings(skins, *heavy, f"scene.world.gravity={down.tolist()}", "scene.time.frames=2")
    record, simulation = draw_scene(made, source.library, 1)
    names = [body.name for body in record.bodies]
    held = 0
    for k in range(3):
        if f"parts_0{k}" in simulation.removed:
            continue
        state = simulation.states[-1].bodies[names.index(f"parts_0{k}")]
        assert state is not None
        trace = simulation.traces[f"skin{k}"]
        assert trace.columns == ("force_x", "force_y", "force_z", "pressing", "touch", "points")
        *force, pressing, touch, points = trace.value[-1]
        np.testing.assert_allclose(state.T_world_obj[:3, :3] @ force, -0.4 * down, atol=0.08)
        assert pressing >= 0.4 * 9.6
        assert touch == 1
        assert points >= 1
        held += 1
    assert held >= 2
    assert not simulation.traces["numb"].value[:, 4].any()
    weak = simulation.traces["weak"].value
    assert np.abs(weak[:, :4]).max() == 1
    assert (simulation.traces["hand"].value == 0).all()
    assert len(simulation.traces["hand"].time) == 100 * record.frames[-1].time + 1


def test_a_skin_feels_friction_while_awake() -> None:
    """A box that has come to rest on a slant by itself, before anything falls asleep."""
    down = np.array([1.5, 0.8, -9.7])
    plain = config.to_plain(load("shapes", ["scene.world.settle=false", "scene.time.frames=2", "scene.time.rate=1"]))
    scene = plain["scene"]
    scene["world"]["gravity"] = down.tolist()
    scene["objects"] = {"boxes": {"assets": ["primitive/box"], "size": 0.06, "mass": 0.5, "friction": 0.9}}
    scene["objects"]["boxes"]["place"] = {
        "kind": "surface",
        "onto": next(iter(scene["surfaces"])),
        "region": [0.1, 0.1],
    }
    for surface in scene["surfaces"].values():
        surface["friction"] = 0.9
    scene["distractors"] = {}
    scene["sensors"] = {"skin": {"kind": "contact", "body": "boxes_00", "rate": 100}}
    made = config.from_plain(plain)
    _, simulation = draw_scene(made, SceneSource(made).library, 0)
    state = next(body for body in reversed(simulation.states[-1].bodies) if body is not None)
    assert 0 < np.linalg.norm(state.linear_velocity) < 1e-3  # at rest, not asleep
    force = simulation.traces["skin"].value[-1, :3]
    np.testing.assert_allclose(state.T_world_obj[:3, :3] @ force, -0.5 * down, atol=0.02)


def test_errors_are_drawn_and_fade(source: SceneSource) -> None:
    noisy = {"camera_imu": {**SENSORS["camera_imu"], "gyroscope": NOISE, "jitter": 0.001, "delay": 0.01}}
    full = draw_scene(settings(noisy), source.library, 0)
    none = draw_scene(settings(noisy, "randomize.sensor.strength=0"), source.library, 0)
    clean = draw_scene(settings({"camera_imu": SENSORS["camera_imu"]}), source.library, 0)
    assert 0.1 <= full[0].sensors[0].imu.gyroscope.bias[2] <= 0.2  # type: ignore[union-attr]
    assert full[0].draws["sensor"]["camera_imu.gyroscope.bias"][0] == 0.1
    values = [simulation.traces["camera_imu"].value for _, simulation in (full, none, clean)]
    np.testing.assert_array_equal(values[1], values[2])
    assert (values[0] - values[2])[:, 0].mean() == pytest.approx(0.1, abs=0.05)


def test_a_dataset_with_sensors_is_sound_and_replays(tmp_path: Path) -> None:
    sensors = {
        "imu": {"kind": "imu", "body": "shapes_00", "gyroscope": NOISE},
        "vlp": {"kind": "lidar", "position": [0.4, 0, 0.1], "lidar": {"preset": "velodyne_vlp16", "columns": 90}},
    }
    plain = config.to_plain(load("shapes", ["image.width=64", "image.height=48", "scene.time.frames=2"]))
    plain["scene"]["sensors"] = sensors
    plain |= {"out": str(tmp_path / "d"), "frames": 8, "workers": 1}
    render(config.from_plain(plain))
    assert verify(tmp_path / "d") == []
    with Dataset(tmp_path / "d") as data:
        assert {"imu", "vlp"} <= set(data.trace_names())
        table = data.traces("vlp")
        assert set(table.scene) == {0, 1}
        assert table.columns[:5] == ("scan", "x", "y", "z", "range")
        assert table.units[:5] == ("index", "m", "m", "m", "m")
        assert table.value[:, table.columns.index("instance")].max() > 0
        assert data.traces("imu").units == ("rad/s",) * 3 + ("m/s^2",) * 3
    for index in (0, 7):
        assert replay(tmp_path / "d", index) == []


def test_impossible_mounts_are_told(source: SceneSource) -> None:
    with pytest.raises(ConfigError, match="give one of them"):
        settings({"a": {"link": "panda_hand", "camera": "wrist"}})
    with pytest.raises(ConfigError, match="name of a trace of the physics"):
        settings({"joints": {}})
    with pytest.raises(ConfigError, match="there can be no object"):
        settings({"a": {"body": "cup_00"}})
    with pytest.raises(ConfigError, match=r"did you mean \"wrist\""):
        settings({"a": {"camera": "wrst"}})
    with pytest.raises(ConfigError, match="needs a preset"):
        settings({"a": {"kind": "lidar"}})
    with pytest.raises(ConfigError, match="whose touches it feels"):
        settings({"a": {"kind": "contact"}})
    with pytest.raises(PhysicsError, match="no such link"):
        draw_scene(settings({"a": {"link": "panda_hnd"}}), source.library, 0)
    assert draw_scene(settings({"a": {"body": "parts_99"}}), source.library, 0)[0].sensors == ()

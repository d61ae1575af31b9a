import dataclasses
import hashlib
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fake_library import EXTENTS, PANDA, FakeLibrary

from simgen import config
from simgen.errors import AssetError, ConfigError
from simgen.geometry import rotation_from_quaternion
from simgen.randomize.blackbody import light_color, white_balance
from simgen.randomize.factors import FACTORS
from simgen.randomize.sample import categories, sample
from simgen.scene.record import from_json, to_json

# Everything random that a scene can have, on the made-up library.
RICH = """
name: rich
surfaces:
  table: {kind: table, size: [1.2, 0.8], position: [{dist: uniform, low: -0.1, high: 0.1}, 0, 0], yaw_deg: 5,
          friction: {dist: uniform, low: 0.3, high: 0.9},
          texture: {probability: 0.8, images: ["textures/*"], colors: {dist: color}},
          material: {roughness: {dist: uniform, low: 0.2, high: 0.9}}}
  room: {kind: room, size: [5, 4], position: [0, 0, -0.75], texture: {probability: 0.5}}
objects:
  things:
    assets: ["ycb/*"]
    count: {dist: uniform_int, low: 4, high: 9, nominal: 5}
    scale: {dist: uniform, low: 0.8, high: 1.2}
    place: {kind: drop, onto: table, region: [0.6, 0.4]}
    mass_factor: {dist: log_uniform, low: 0.5, high: 2.0}
    friction: {dist: uniform, low: 0.3, high: 0.9}
    restitution: {dist: uniform, low: 0.0, high: 0.3}
    material: {probability: 0.7, tint: {dist: color, low: [0, 0, 0.7]}, metallic: {dist: choice, values: [0, 1]}}
    texture: {probability: 0.5, images: ["textures/*"], image_share: 0.5, colors: {dist: color},
              tile: {dist: log_uniform, low: 0.1, high: 0.5}}
  set:
    assets: [primitive/box, primitive/cone]
    count: 3
    size: [0.05, {dist: uniform, low: 0.04, high: 0.08}, 0.05]
    category: solid
    place: {kind: surface, onto: table, region: [0.9, 0.6]}
distractors:
  fog:
    assets: [primitive/sphere]
    count: {dist: uniform_int, low: 1, high: 5, nominal: 2}
    size: {dist: uniform, low: 0.03, high: 0.06}
    place: {kind: floating, onto: table, region: [0.8, 0.5, 0.3], center: [0, 0, 0.5]}
robot:
  asset: pybullet/franka_panda/panda
  position: [-0.5, 0, 0]
  motion: {home: {a: 0.9, b: -1.0, finger: 0.02}, waypoints: 3, offset: {dist: uniform, low: -0.4, high: 0.4}}
lights:
  count: {dist: uniform_int, low: 1, high: 4, nominal: 2}
  kind: {dist: choice, values: [directional, point, spot, area]}
  direction: {dist: direction, high_deg: 70}
  distance: {dist: uniform, low: 1, high: 3}
  intensity: {dist: log_uniform, low: 0.5, high: 5}
  temperature: {dist: uniform, low: 2500, high: 8000}
  size: {dist: uniform, low: 0.01, high: 0.3}
environment:
  images: [hdri/*]
  sky_share: 0.5
  rotation_deg: {dist: uniform, low: -180, high: 180}
  sky: {sun_azimuth_deg: {dist: uniform, low: -180, high: 180}, sun_elevation_deg: {dist: uniform, low: 10, high: 80}}
background:
  kind: {dist: choice, values: [environment, texture, color]}
  color: {dist: color}
  texture: {probability: 1, images: ["textures/*"]}
cameras:
  orbit: {views: 2, radius: {dist: uniform, low: 1, high: 2}, azimuth_deg: {dist: uniform, low: -180, high: 180},
          hfov_deg: {dist: uniform, low: 40, high: 70}, shift: [{dist: uniform, low: -0.1, high: 0.1}, 0]}
  wrist: {kind: link, link: hand, position: [{dist: normal, mean: 0.05, std: 0.002}, 0, 0], rpy_deg: [0, 0, 90]}
  corner: {kind: fixed, position: [1, 1, {dist: uniform, low: 0.8, high: 1.2}], target: [0, 0, 0]}
time: {frames: 2, rate: 5}
traces: [bodies, joints]
sensor:
  exposure: {dist: normal, mean: 0, std: 0.3}
  white_balance: {dist: uniform, low: 5000, high: 8000, nominal: 6500}
  shot_noise: {dist: uniform, low: 0, high: 0.02, nominal: 0}
"""
RICH = RICH.replace(
    "{dist: normal, mean: 0, std: 0.3}", "{dist: truncated_normal, mean: 0, std: 0.3, low: -1, high: 1}"
)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    urdf = tmp_path_factory.mktemp("robot") / "panda.urdf"
    urdf.write_text(PANDA)
    return FakeLibrary(urdf=urdf)


@pytest.fixture(scope="module")
def rich():
    import yaml

    return config.from_plain({"scene": yaml.safe_load(RICH)})


def turned(settings, factor, enabled=True, strength=1.0):
    knob = dataclasses.replace(getattr(settings.randomize, factor), enabled=enabled, strength=strength)
    return dataclasses.replace(settings, randomize=dataclasses.replace(settings.randomize, **{factor: knob}))


def changed(settings, **parts):
    return dataclasses.replace(settings, scene=dataclasses.replace(settings.scene, **parts))


def scene_from(text):
    import yaml

    return config.from_plain({"scene": {"cameras": {"c": {}}} | yaml.safe_load(text)})


def all_draws(record):
    """Factor -> name -> draw, of the scene and of all frames."""
    out = {factor: dict(draws) for factor, draws in record.draws.items()}
    for k, frame in enumerate(record.frames):
        for factor, draws in frame.draws.items():
            for name, value in draws.items():
                out.setdefault(factor, {})[f"frame{k}.{name}"] = value
    return out


def common(a, b):
    """``a`` and ``b`` cut to their common length: another count only adds or removes items at the end."""
    if isinstance(a, list) and isinstance(b, list):
        n = min(len(a), len(b))
        return a[:n], b[:n]
    return a, b


def test_every_factor_draws_something(rich, library):
    draws = all_draws(sample(rich, library, 0, 0))
    assert set(draws) == set(FACTORS)
    assert all(draws.values())


@pytest.mark.parametrize("how", [{"enabled": False}, {"strength": 0.0}, {"strength": 0.4}], ids=["off", "0", "0.4"])
@pytest.mark.parametrize("factor", FACTORS)
def test_a_factor_moves_no_other_factors_draws(rich, library, factor, how):
    for scene in range(3):
        before = all_draws(sample(rich, library, 5, scene))
        after = all_draws(sample(turned(rich, factor, **how), library, 5, scene))
        for other in FACTORS:
            assert set(before[other]) == set(after[other])
            if other == factor:
                continue
            for name in before[other]:
                a, b = common(before[other][name], after[other][name])
                assert a == b, (other, name)


@pytest.mark.parametrize("factor", FACTORS)
def test_strength_0_is_the_same_for_every_seed(rich, library, factor):
    still = turned(rich, factor, strength=0.0)
    seen = [all_draws(sample(still, library, seed, scene))[factor] for seed in (0, 1) for scene in (0, 1)]
    for draws in seen[1:]:
        for name in draws:
            if name.endswith("seed"):  # a seed has no nominal value
                continue
            a, b = common(draws[name], seen[0].get(name, draws[name]))
            assert a == b, name


@pytest.mark.parametrize("factor", FACTORS)
def test_strength_1_varies(rich, library, factor):
    seen = [all_draws(sample(rich, library, 0, scene))[factor] for scene in range(4)]
    assert any(draws != seen[0] for draws in seen[1:])


@pytest.mark.parametrize("factor", FACTORS)
def test_disabled_is_strength_0(rich, library, factor):
    off = sample(turned(rich, factor, enabled=False), library, 2, 0)
    assert off == sample(turned(rich, factor, strength=0.0), library, 2, 0)


def test_everything_off_is_one_scene_apart_from_seeds(rich, library):
    off = rich
    for factor in FACTORS:
        off = turned(off, factor, strength=0.0)
    a, b = sample(off, library, 0, 0), sample(off, library, 1, 7)
    assert a.bodies == b.bodies
    assert a.lights == b.lights
    assert [f.camera for f in a.frames] == [f.camera for f in b.frames]


def test_adding_groups_lights_and_cameras_moves_no_draws(rich, library):
    before = sample(rich, library, 1, 2)
    parts = rich.scene
    richer = changed(
        rich,
        objects={"first": parts.objects["set"], **parts.objects},
        surfaces={"tray": parts.surfaces["table"], **parts.surfaces},
        cameras={"another": parts.cameras["orbit"], **parts.cameras},
    )
    after = sample(richer, library, 1, 2)
    for factor, draws in before.draws.items():
        for name, value in draws.items():
            assert after.draws[factor][name] == value, (factor, name)
    own = [f for f in after.frames if f.camera.name != "another"]
    assert [(f.camera, f.sensor, f.draws) for f in own] == [(f.camera, f.sensor, f.draws) for f in before.frames]


def test_same_inputs_same_record(rich, library):
    assert sample(rich, library, 9, 4) == sample(rich, library, 9, 4)
    again = config.from_plain(config.to_plain(rich))
    same = sample(again, FakeLibrary(urdf=library.urdf), 9, 4)
    assert same == sample(rich, library, 9, 4)
    assert to_json(from_json(to_json(same))) == to_json(same)


def test_seeds_and_scenes_differ(rich, library):
    records = [sample(rich, library, seed, scene) for seed, scene in [(0, 0), (1, 0), (0, 1)]]
    assert len({to_json(dataclasses.replace(r, seed=0, scene=0)) for r in records}) == 3


def test_the_order_of_scenes_does_not_matter(rich, library):
    forward = [sample(rich, library, 0, k) for k in range(4)]
    backward = [sample(rich, library, 0, k) for k in reversed(range(4))]
    assert forward == backward[::-1]


SAMPLE_APP = """
import hashlib, sys, yaml
sys.path.insert(0, {tests!r})
from pathlib import Path
from fake_library import FakeLibrary
from test_sample import RICH
from simgen import config
from simgen.randomize.sample import sample
from simgen.scene.record import from_json, to_json
settings = config.from_plain({{"scene": yaml.safe_load(RICH)}})
print(hashlib.sha256(to_json(sample(settings, FakeLibrary(urdf=Path({urdf!r})), 3, 8)).encode()).hexdigest())
"""


@pytest.mark.parametrize("hash_seed", ["0", "4711"])
def test_another_process_gives_the_same_record(rich, library, hash_seed):
    code = SAMPLE_APP.format(tests=str(Path(__file__).parent), urdf=str(library.urdf))
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    out = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    here = hashlib.sha256(to_json(sample(rich, library, 3, 8)).encode()).hexdigest()
    assert out.stdout.strip() == here


def test_an_attempt_draws_poses_anew_and_nothing_else(rich, library):
    first, second = sample(rich, library, 0, 0), sample(rich, library, 0, 0, attempt=1)
    assert second.attempt == 1
    a, b = all_draws(first), all_draws(second)
    assert a["poses"] != b["poses"]
    assert {k: v for k, v in a.items() if k != "poses"} == {k: v for k, v in b.items() if k != "poses"}
    assert second == sample(rich, library, 0, 0, attempt=1)
    assert second.bodies != sample(rich, library, 0, 0, attempt=2).bodies


def test_frames_are_time_major_with_static_views(rich, library):
    record = sample(rich, library, 0, 0)
    assert len(record.frames) == config.frames_per_scene(rich) == 8
    assert [f.view for f in record.frames] == [0, 1, 2, 3] * 2
    assert [f.time for f in record.frames] == [0.0] * 4 + [0.2] * 4
    assert [f.camera.name for f in record.frames[:4]] == ["orbit", "orbit", "wrist", "corner"]
    assert [f.camera for f in record.frames[:4]] == [f.camera for f in record.frames[4:]]
    assert record.frames[0].camera.pose != record.frames[1].camera.pose
    assert len({f.sensor.noise_seed for f in record.frames}) == 8


def test_cameras(rich, library):
    frames = sample(rich, library, 0, 0).frames
    for frame in frames[:2]:
        camera, drawn = frame.camera, frame.draws["camera"]
        eye = np.array(camera.pose.position)
        assert np.linalg.norm(eye) == pytest.approx(drawn["radius"])
        R = rotation_from_quaternion(camera.pose.quaternion_xyzw)
        np.testing.assert_allclose(R[:, 2], -eye / np.linalg.norm(eye), atol=1e-12)
        assert math.degrees(math.asin(eye[2] / np.linalg.norm(eye))) == pytest.approx(40)
        assert math.degrees(math.atan2(eye[1], eye[0])) == pytest.approx(drawn["azimuth_deg"])
        assert math.degrees(2 * math.atan(320 / camera.fx)) == pytest.approx(drawn["hfov_deg"])
        assert camera.cx == pytest.approx(319.5 + 640 * drawn["shift"][0])
    wrist = frames[2].camera
    assert (wrist.body, wrist.link) == ("robot", "hand")
    # A yaw of 90 degrees turns the camera's x to the link's y.
    R = rotation_from_quaternion(wrist.pose.quaternion_xyzw)
    np.testing.assert_allclose(R @ [1, 0, 0], [0, 1, 0], atol=1e-12)
    corner = frames[3].camera
    R = rotation_from_quaternion(corner.pose.quaternion_xyzw)
    away = np.array(corner.pose.position)
    np.testing.assert_allclose(R[:, 2], -away / np.linalg.norm(away), atol=1e-12)


def test_robot_motion_starts_at_home_and_stays_within_limits(rich, library):
    for scene in range(5):
        motion = sample(rich, library, 0, scene).robot
        assert motion.joints == ("a", "b", "finger")
        assert motion.times == (0, 1, 2, 3)
        assert motion.waypoints[0] == (0.9, -1.0, 0.02)
        points = np.array(motion.waypoints)
        assert (points[:, 0] <= 1).all()
        assert (abs(points[:, 1] + 1) <= 0.4).all()
        assert (points[:, 2] == 0.02).all()
    assert any((np.array(sample(rich, library, 0, k).robot.waypoints)[:, 0] == 1).any() for k in range(5))


def test_dropped_objects_start_apart_and_above_the_table(rich, library):
    for scene in range(6):
        record = sample(rich, library, 0, scene)
        boxes = [world_box(b) for b in record.bodies if b.group in ("things", "set", "fog")]
        assert_apart(boxes, 0.0049)
        assert min(box[0][2] for box in boxes) > 0
        T = np.array(next(b for b in record.bodies if b.name == "table_top").pose.position)
        for body in record.bodies:
            if body.group == "things":
                assert (abs(np.array(body.pose.position)[:2] - T[:2]) < 0.45).all()


def test_things_set_down_stand_on_the_surface_without_touching():
    settings = scene_from("""
surfaces: {tray: {kind: tray, size: [0.5, 0.4], height: 0.05, thickness: 0.01, position: [0.3, 0.1, 0.2], yaw_deg: 30}}
objects: {a: {assets: ["ycb/*"], count: 9, place: {kind: surface, onto: tray, gap: 0.01}}}
""")
    for scene in range(6):
        record = sample(settings, FakeLibrary(), 0, scene)
        bodies = [b for b in record.bodies if b.group == "a"]
        assert len(bodies) + len(record.omitted) == 9
        boxes = [world_box(b) for b in bodies]
        assert_apart(boxes, 0.0099)
        for body, box in zip(bodies, boxes, strict=True):
            assert box[0][2] == pytest.approx(0.21, abs=0.002)
            R = rotation_from_quaternion(body.pose.quaternion_xyzw)
            assert R[2, 2] == pytest.approx(1)


def test_what_finds_no_place_is_named():
    settings = scene_from("""
surfaces: {tray: {kind: tray, size: [0.4, 0.4]}}
objects: {a: {assets: [ycb/mug], count: 20, place: {kind: surface, onto: tray}}}
""")
    record = sample(settings, FakeLibrary(), 0, 0)
    present = [b.name for b in record.bodies if b.group == "a"]
    assert 2 <= len(present) < 20
    assert sorted([*present, *record.omitted]) == [f"a_{k:02d}" for k in range(20)]
    assert set(record.omitted.values()) == {"no free place in its region"}


def test_fixed_poses_are_in_the_frame_of_their_surface():
    settings = scene_from("""
surfaces: {top: {kind: plane, position: [1, 0, 0.5], yaw_deg: 90}}
objects:
  a: {assets: [primitive/box], count: 2, size: 0.1, motion: ghost,
      place: {kind: fixed, onto: top, poses: [{position: [0.2, 0, 0]}, {position: [0, 0, 0.3], rpy_deg: [0, 0, -90]}]}}
""")
    a, b = (b for b in sample(settings, FakeLibrary(), 0, 0).bodies if b.group == "a")
    assert a.pose.position == pytest.approx((1, 0.2, 0.5))
    assert b.pose.position == pytest.approx((1, 0, 0.8))
    assert b.pose.quaternion_xyzw == pytest.approx((0, 0, 0, 1))
    assert a.motion == "ghost"


@pytest.mark.parametrize(("kind", "bodies"), [("plane", 1), ("table", 5), ("tray", 5), ("bin", 5), ("room", 5)])
def test_surfaces_are_boxes_with_their_support_free(kind, bodies):
    settings = scene_from(f"surfaces: {{s: {{kind: {kind}, size: [0.8, 0.6], thickness: 0.02, position: [1, 2, 3]}}}}")
    parts = sample(settings, FakeLibrary(), 0, 0).bodies
    assert len(parts) == bodies
    assert all(p.motion == "fixed" and p.role == "surface" and p.category is None for p in parts)
    boxes = np.array([world_box(p) for p in parts])
    assert_touching_not_overlapping(boxes)
    lift = 0.02 if kind in ("tray", "bin") else 0.0
    # Just above the support and inside the walls is free; just below is solid.
    for x, y in [(0, 0), (0.39, 0.29), (-0.39, -0.29)]:
        assert not inside(boxes, [1 + x, 2 + y, 3 + lift + 1e-6])
        assert inside(boxes, [1 + x, 2 + y, 3 + lift - 1e-6])
    if kind in ("tray", "bin", "room"):
        assert inside(boxes, [1.41, 2, 3.03])
        assert inside(boxes, [1, 2 - 0.31, 3.03])


def test_sizes():
    settings = scene_from("""
objects:
  side: {assets: [ycb/banana], size: 0.38, place: {region: [1, 1]}}
  box: {assets: [ycb/banana], size: [0.1, 0.2, 0.3], scale: 2, place: {region: [1, 1]}}
""")
    side, box = sample(settings, FakeLibrary(), 0, 0).bodies
    assert side.scale == pytest.approx((2, 2, 2))
    assert np.array(box.scale) * EXTENTS["ycb/banana"] == pytest.approx([0.2, 0.4, 0.6])


def test_mass():
    settings = scene_from("""
objects:
  own: {assets: [ycb/mug], place: {region: [1, 1]}}
  factor: {assets: [ycb/mug], scale: 2, mass_factor: 0.5, place: {region: [1, 1]}}
  given: {assets: [ycb/mug], mass: 0.7, mass_factor: 2.0, place: {region: [1, 1]}}
""")
    own, factor, given = sample(settings, FakeLibrary(), 0, 0).bodies
    assert own.mass is None
    assert factor.mass == pytest.approx(0.3 * 8 * 0.5)
    assert given.mass == pytest.approx(1.4)


@pytest.mark.parametrize(("balance", "share"), [("categories", 1 / 2), ("assets", 1 / 3)])
def test_balance(balance, share):
    settings = scene_from(f"""
objects: {{a: {{assets: ["*mug", "ycb/banana"], balance: {balance}, place: {{region: [1, 1]}}}}}}
""")
    names = [sample(settings, FakeLibrary(), 0, k).bodies[0].asset for k in range(500)]
    assert set(names) == {"ycb/mug", "pybullet/objects/mug", "ycb/banana"}
    assert np.mean([name == "ycb/banana" for name in names]) == pytest.approx(share, abs=0.07)


def test_fallback_is_used_only_without_the_preferred_assets():
    settings = scene_from("""
objects: {a: {assets: ["ycb/*"], fallback: ["pybullet/objects/*"], count: 5, place: {region: [1, 1]}}}
""")
    assert all(b.asset.startswith("ycb/") for b in sample(settings, FakeLibrary(), 0, 0).bodies)
    bare = FakeLibrary(["pybullet/*", "primitive/*"])
    assert all(b.asset == "pybullet/objects/mug" for b in sample(settings, bare, 0, 0).bodies)
    assert categories(settings, bare) == ["mug"]
    assert categories(settings, FakeLibrary()) == ["banana", "can", "mug"]
    with pytest.raises(AssetError, match=r"no asset matches ycb/\*, pybullet/objects/\*, which the group a draws from"):
        sample(settings, FakeLibrary(["primitive/*"]), 0, 0)


def test_labels(rich, library):
    assert categories(rich, library) == ["banana", "can", "mug", "solid"]
    record = sample(rich, library, 0, 0)
    assert {body.category for body in record.bodies if body.group == "set"} == {"solid"}
    assert {body.category for body in record.bodies if body.group in ("fog", "robot", "table")} == {None}
    roles = {body.group: body.role for body in record.bodies}
    assert roles == {
        "table": "surface",
        "room": "surface",
        "things": "object",
        "set": "object",
        "fog": "distractor",
        "robot": "robot",
    }


def test_every_kind_of_lamp_gives_the_same_light_at_its_target():
    for kind in ("directional", "point", "spot", "area"):
        settings = scene_from(f"""
lights: {{kind: {kind}, intensity: 2.0, distance: 1.5, size: 0.1, direction: [0, 0.6, 0.8], target: [0, 0, 0.2]}}
environment: {{images: [hdri/*], sky_share: 0}}
""")
        (light,) = sample(settings, FakeLibrary(), 0, 0).lights
        d = np.linalg.norm(np.array(light.position) - [0, 0, 0.2])
        assert d == pytest.approx(1.5)
        received = {
            "directional": light.intensity,
            "point": light.intensity / d**2,
            "spot": light.intensity / d**2,
            "area": light.intensity * light.extent[0] * light.extent[1] / d**2,
        }[kind]
        assert received == pytest.approx(2.0)
        assert light.direction == pytest.approx((0, -0.6, -0.8))


def test_the_sun_shines_from_where_the_turned_sky_has_it():
    settings = scene_from("""
lights: {count: 0}
environment: {rotation_deg: 30, sky: {sun_azimuth_deg: 20, sun_elevation_deg: 35, clouds: 0}}
""")
    record = sample(settings, FakeLibrary(), 0, 0)
    (sun,) = record.lights
    x, y, z = (-c for c in sun.direction)
    assert math.degrees(math.atan2(y, x)) == pytest.approx(50)
    assert math.degrees(math.asin(z)) == pytest.approx(35)
    sky = record.environment.sky.sun_direction
    assert math.degrees(math.atan2(sky[1], sky[0])) == pytest.approx(20)
    overcast = scene_from("lights: {count: 0}\nenvironment: {sky: {clouds: 1}}")
    assert sample(overcast, FakeLibrary(), 0, 0).lights == ()


def test_environment_maps_and_sky_by_share():
    settings = scene_from("environment: {images: [hdri/*], sky_share: 0.3}")
    seen = [sample(settings, FakeLibrary(), 0, k).environment for k in range(300)]
    assert np.mean([e.image is None for e in seen]) == pytest.approx(0.3, abs=0.08)
    assert all((e.image is None) != (e.sky is None) for e in seen)
    assert {e.image for e in seen} == {None, "hdri/lab.hdr", "hdri/sunset.hdr"}
    fallback = scene_from("environment: {images: [none/*], fallback: [hdri/lab*], sky_share: 0}")
    assert sample(fallback, FakeLibrary(), 0, 0).environment.image == "hdri/lab.hdr"
    nothing = scene_from("environment: {images: [none/*], sky_share: 0}")
    assert sample(nothing, FakeLibrary(), 0, 0).environment.sky is not None


def test_textures_by_probability():
    settings = scene_from(
        """
objects: {a: {assets: [ycb/mug], count: 400, place: {kind: fixed, poses: []}, texture:
  {probability: 0.6, images: ["textures/*"], image_share: 0.25, procedural: [checker, stripes]}}}
""".replace("{kind: fixed, poses: []}", "{region: [90, 90]}")
    )
    record = sample(settings, FakeLibrary(), 0, 0)
    names = record.draws["textures"]["a.texture"]
    assert np.mean([n == "" for n in names]) == pytest.approx(0.4, abs=0.08)
    assert np.mean([n.startswith("textures/") for n in names if n]) == pytest.approx(0.25, abs=0.08)
    assert {n for n in names if n.startswith("generated/")} == {"generated/checker", "generated/stripes"}
    for body, name in zip(record.bodies, names, strict=True):
        t = body.material.texture
        assert (t is None) == (name == "")
    with pytest.raises(ConfigError, match=r"no generated texture 'chekcer' \(did you mean \"checker\"\?\)"):
        sample(scene_from("surfaces: {s: {texture: {probability: 1, procedural: [chekcer]}}}"), FakeLibrary(), 0, 0)


def test_a_robot_that_is_none_and_joints_that_are_none(rich, library):
    with pytest.raises(AssetError, match="has no joints"):
        sample(rich, FakeLibrary(), 0, 0)
    motion = dataclasses.replace(rich.scene.robot.motion, home={"c": 0.0})
    wrong = changed(rich, robot=dataclasses.replace(rich.scene.robot, motion=motion))
    with pytest.raises(ConfigError, match=r"has no movable joint 'c'.*it has a, b, finger"):
        sample(wrong, library, 0, 0)


def test_noise_is_relative_to_white():
    settings = scene_from("sensor: {shot_noise: 0.01, read_noise: 0.002}")
    sensor = sample(settings, FakeLibrary(), 0, 0).frames[0].sensor
    assert sensor.full_well == pytest.approx(10_000)
    assert sensor.read_noise == pytest.approx(20)
    clean = sample(scene_from("sensor: {}"), FakeLibrary(), 0, 0).frames[0].sensor
    assert (clean.full_well, clean.read_noise, clean.white_balance, clean.exposure) == (0, 0, (1, 1, 1), 0)


@pytest.mark.parametrize("kelvin", [1500, 2700, 4000, 5500, 6500, 9000, 14000])
def test_light_color_is_that_of_a_black_body(kelvin):
    # Oracle: Planck's law over the CIE 1931 matching functions in the fit of Wyman, Sloan and Shirley (2013).
    nm = np.arange(380.0, 781.0)

    def bell(mu, low, high):
        return np.exp(-0.5 * ((nm - mu) * np.where(nm < mu, low, high)) ** 2)

    X = 0.362 * bell(442.0, 0.0624, 0.0374) + 1.056 * bell(599.8, 0.0264, 0.0323) - 0.065 * bell(501.1, 0.0490, 0.0382)
    Y = 0.821 * bell(568.8, 0.0213, 0.0247) + 0.286 * bell(530.9, 0.0613, 0.0322)
    Z = 1.217 * bell(437.0, 0.0845, 0.0278) + 0.681 * bell(459.0, 0.0385, 0.0725)
    planck = nm**-5.0 / np.expm1(1.438776877e7 / (nm * kelvin))
    xyz = np.array([X @ planck, Y @ planck, Z @ planck])
    rgb = np.array([[3.2405, -1.5371, -0.4985], [-0.9693, 1.8760, 0.0416], [0.0556, -0.2040, 1.0572]]) @ (xyz / xyz[1])
    expected = np.maximum(rgb, 0)
    expected /= expected @ [0.2126, 0.7152, 0.0722]
    np.testing.assert_allclose(light_color(kelvin), expected, rtol=0.05, atol=0.03)


def test_white_balance():
    assert white_balance(6500) == (1, 1, 1)
    warm = white_balance(3000)  # taking warm light for white makes pictures blue
    assert warm[0] < 1 < warm[2]


def test_sampling_takes_a_few_milliseconds(rich, library):
    import time

    best = math.inf
    for scene in range(5):
        start = time.perf_counter()
        sample(rich, library, 0, scene)
        best = min(best, time.perf_counter() - start)
    assert best < 0.05


def world_box(body):
    """The corners (2, 3) of the box around a body of the made-up library."""
    lift = np.array([0, 0, 0.02 if "ycb" in body.asset else 0.0])
    corners = (np.array(np.meshgrid(*[[-0.5, 0.5]] * 3)).reshape(3, 8).T * EXTENTS[body.asset] + lift) * body.scale
    points = corners @ rotation_from_quaternion(body.pose.quaternion_xyzw).T + body.pose.position
    return points.min(axis=0), points.max(axis=0)


def assert_apart(boxes, gap):
    for k, a in enumerate(boxes):
        for b in boxes[:k]:
            assert ((a[0] - b[1] >= gap) | (b[0] - a[1] >= gap)).any()


def assert_touching_not_overlapping(boxes):
    for k, a in enumerate(boxes):
        for b in boxes[:k]:
            assert ((a[0] - b[1] >= -1e-9) | (b[0] - a[1] >= -1e-9)).any()


def inside(boxes, point):
    return bool(((boxes[:, 0] < point) & (point < boxes[:, 1])).all(axis=1).any())

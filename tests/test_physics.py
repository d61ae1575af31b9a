"""Rigid bodies held against closed forms: falls, weights, slopes, tipping; and what happens when things go wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from physics_scenes import (
    CAMERA,
    FLOOR,
    FLOOR_BODY,
    Shelf,
    ball,
    body,
    box,
    box_inertia,
    corners,
    digest,
    heap,
    scene,
)

from simgen.assets.asset import Asset, CollisionShape, Inertia
from simgen.errors import PhysicsError
from simgen.geometry import quaternion_from_axis_angle, transform
from simgen.physics.client import Client, bullet, connect, quiet
from simgen.physics.simulate import explain, simulate
from simgen.scene.record import Pose

G = 9.81
TILTED = tuple(np.array([0.1, -0.2, 0.3, 0.9]) / np.linalg.norm([0.1, -0.2, 0.3, 0.9]))


def test_free_fall_follows_the_closed_form():
    offset = box("brick", (0.1, 0.06, 0.04), center=(0.3, -0.2, 0.5))
    dt = 1 / 480
    times = (0.0, 0.1, 0.25, 0.4)
    record = scene(body("brick", "brick", (0.1, 0.2, 5.0), TILTED), times=times, settle=False, timestep=dt)
    simulation = simulate(record, Shelf(offset))
    for t in times:
        state = simulation.at(t).bodies[0]
        T = transform((0.1, 0.2, 5.0 - G * t * t / 2), TILTED)
        # Semi-implicit Euler falls short of the parabola by g t dt / 2.
        np.testing.assert_allclose(state.T_world_obj, T, atol=G * t * dt / 2 + 1e-9)
        np.testing.assert_allclose(state.linear_velocity, [0, 0, -G * t], atol=1e-9)
        np.testing.assert_allclose(state.angular_velocity, 0, atol=1e-12)


def test_before_the_first_step_the_pose_is_that_of_the_record_to_the_last_bit():
    inertia = Inertia(0.3, (0.2, -0.1, 0.4), (1e-3, 2e-3, 1.5e-3), TILTED)
    asset = box("brick", (0.1, 0.06, 0.04), center=(0.2, -0.1, 0.4), inertia=inertia)
    record = scene(body("brick", "brick", (0.1, 0.2, 3.0), TILTED), settle=False)
    state = simulate(record, Shelf(asset)).states[0].bodies[0]
    np.testing.assert_array_equal(state.T_world_obj, transform((0.1, 0.2, 3.0), TILTED))


def test_poses_survive_the_way_through_the_inertial_frame():
    inertia = Inertia(0.3, (0.2, -0.1, 0.4), (1e-3, 2e-3, 1.5e-3), TILTED)
    asset = box("brick", (0.1, 0.06, 0.04), center=(0.2, -0.1, 0.4), inertia=inertia)
    record = scene(
        body("brick", "brick", (0.1, 0.2, 3.0), TILTED), times=(0.0, 0.5), settle=False, gravity=(0.0, 0.0, 0.0)
    )
    before, after = simulate(record, Shelf(asset)).states
    np.testing.assert_allclose(after.bodies[0].T_world_obj, before.bodies[0].T_world_obj, atol=1e-12)


@pytest.mark.parametrize("kind", ["box", "hull", "cylinder", "sphere", "capsule"])
def test_things_rest_on_the_surface_and_press_with_their_weight(kind):
    size, mass, center = (0.06, 0.06, 0.1), 0.35, (0.05, -0.03, 0.2)
    half = size[0] / 2 if kind == "sphere" else size[2] / 2
    shape = CollisionShape(kind, size=size, center=center)
    if kind == "hull":
        shape = CollisionShape("hull", vertices=corners(size, center).astype(np.float32))
    inertia = replace(box_inertia(size, mass, center), axes_xyzw=TILTED)
    asset = Asset("thing", "thing", (), np.array([[-1.0] * 3, [1.0] * 3]), (shape,), inertia)
    record = scene(
        FLOOR_BODY, body("thing", "thing", (-0.05, 0.03, half - 0.2 + 0.02)), traces=("contacts",), timestep=1 / 240
    )
    simulation = simulate(record, Shelf(FLOOR, asset))
    assert simulation.settled
    assert not simulation.removed
    T = simulation.states[0].bodies[1].T_world_obj
    reach = half if kind == "sphere" else abs(T[2, :3]) @ (np.array(size) / 2) * (kind in ("box", "hull")) or half
    height = (T @ [*center, 1.0])[2]
    if kind == "capsule":
        reach = size[0] / 2 + abs(T[2, 2]) * (size[2] - size[0]) / 2
    if kind == "cylinder":
        reach = abs(T[2, 2]) * size[2] / 2 + np.sqrt(max(0, 1 - T[2, 2] ** 2)) * size[0] / 2
    assert height == pytest.approx(reach, abs=3e-4)
    contacts = simulation.traces["contacts"]
    value = dict(zip(contacts.columns, contacts.value.T, strict=True))
    on_thing = np.where(value["body_a"] == 1, 1, -1) * value["force"] * value["nz"]
    assert on_thing.sum() == pytest.approx(mass * G, rel=3e-3)
    assert set(contacts.time) == {0.0}


@pytest.mark.parametrize(("own", "other"), [(0.5, 0.5), (0.25, 1.0)])
@pytest.mark.parametrize("steeper", [False, True])
def test_friction_of_a_pair_is_the_geometric_mean(own, other, steeper):
    # A block on a slope slides when the tangent of the angle exceeds the coefficient, 0.5 in both cases.
    angle = np.arctan(0.5) + (0.06 if steeper else -0.06)
    tilt = quaternion_from_axis_angle((0, 1, 0), angle)
    R = transform((0, 0, 0), tilt)[:3, :3]
    brick = box("brick", (0.1, 0.1, 0.02))
    record = scene(
        body("floor", "floor", (0, 0, 0), tilt, motion="fixed", friction=other),
        body("brick", "brick", R @ [-0.3, 0, 0.01], tilt, friction=own, restitution=0.0),
        times=(0.0, 0.5),
        settle=False,
    )
    first, last = (s.bodies[1].T_world_obj[:3, 3] for s in simulate(record, Shelf(FLOOR, brick)).states)
    moved = float((R.T @ (last - first))[0])
    expected = G * (np.sin(angle) - 0.5 * np.cos(angle)) * 0.5**2 / 2 if steeper else 0.0
    assert moved == pytest.approx(expected, abs=0.004)


@pytest.mark.parametrize(("overhang", "falls"), [(-0.02, False), (0.02, True)])
def test_a_board_tips_when_its_centre_of_mass_is_beyond_the_edge(overhang, falls):
    # The centre of mass lies off the middle of the board and off the asset's origin.
    size, middle = (0.4, 0.1, 0.02), (0.5, 0.0, 0.1)
    center = (0.5 + 0.08, 0.0, 0.1)
    board = box("board", size, center=middle, inertia=box_inertia(size, 0.3, center))
    x = 1.0 + overhang - center[0]
    record = scene(FLOOR_BODY, body("board", "board", (x, 0.0, 0.0102 - 0.1)), times=(0.4,), settle=False)
    state = simulate(record, Shelf(FLOOR, board)).states[0].bodies[1]
    assert bool(abs(state.T_world_obj[0, 2]) > 0.1) == falls


def test_what_lies_still_stays_where_it_is_to_the_last_bit():
    record, shelf = heap()
    simulation = simulate(replace(record, frames=tuple(replace(record.frames[0], time=t) for t in (0.0, 3.0))), shelf)
    first, last = simulation.states
    for a, b in zip(first.bodies, last.bodies, strict=True):
        np.testing.assert_array_equal(a.T_world_obj, b.T_world_obj)
        assert not b.linear_velocity.any()


def test_a_body_beyond_the_floor_is_removed_and_named():
    record = scene(FLOOR_BODY, body("lost", "brick", (1.5, 0, 0.5)), body("kept", "brick", (0, 0, 0.1)))
    simulation = simulate(record, Shelf(FLOOR, box("brick", (0.1, 0.06, 0.04))))
    assert list(simulation.removed) == ["lost"]
    assert "fell off the world" in simulation.removed["lost"]
    assert simulation.settled
    assert simulation.states[0].bodies[1] is None
    assert simulation.states[0].bodies[2] is not None
    sentence = explain(simulation, record)
    assert "lost" in sentence
    assert "bounds" in sentence


def test_a_body_that_leaves_the_world_while_it_is_captured_is_missing_from_then_on():
    record = scene(body("brick", "brick", (0, 0, 0)), times=(0.0, 0.2, 1.0), settle=False, bounds=(3.0, 3.0, 1.0))
    simulation = simulate(record, Shelf(box("brick", (0.1, 0.06, 0.04))))
    assert [state.bodies[0] is not None for state in simulation.states] == [True, True, False]
    assert "fell off the world" in simulation.removed["brick"]


def test_a_body_that_does_not_come_to_rest_is_removed_and_explained():
    record = scene(FLOOR_BODY, body("late", "brick", (0, 0, 1.0)), settle_time=0.2)
    simulation = simulate(record, Shelf(FLOOR, box("brick", (0.1, 0.06, 0.04))))
    assert not simulation.settled
    assert simulation.removed == {"late": "did not settle: 1.3 m/s"}
    assert simulation.states[0].bodies[1] is None
    sentence = explain(simulation, record)
    for words in ("late", "1.3 m/s", "settle_time", "1 of 2"):
        assert words in sentence


@pytest.mark.parametrize(
    ("kind", "lean", "falls"), [("box", 10.3, False), ("box", 12.3, True), ("hull", 9.0, False), ("hull", 13.3, True)]
)
def test_what_is_out_of_balance_topples_while_a_scene_calms_down(kind, lean, falls):
    # A post of 1 : 5 stands on its edge in balance at atan(1 / 5) = 11.3 degrees; hulls have resistance to rolling.
    size = (0.04, 0.04, 0.2)
    asset = box("post", size)
    if kind == "hull":
        hull = CollisionShape("hull", vertices=corners(size, (0.0, 0.0, 0.0)).astype(np.float32))
        asset = replace(asset, collision=(hull,))
    turn = quaternion_from_axis_angle((0, 1, 0), np.radians(lean))
    lowest = (corners(size, (0.0, 0.0, 0.0)) @ transform(quaternion_xyzw=turn)[:3, :3].T)[:, 2].min()
    record = scene(FLOOR_BODY, body("post", "post", (0, 0, -lowest), tuple(turn)))
    simulation = simulate(record, Shelf(FLOOR, asset))
    assert simulation.settled
    assert abs(simulation.states[0].bodies[1].T_world_obj[2, 2]) == pytest.approx(0 if falls else 1, abs=0.01)


def test_under_weak_gravity_nothing_is_taken_to_rest_in_mid_air():
    record = scene(FLOOR_BODY, body("brick", "brick", (0, 0, 0.1)), gravity=(0.0, 0.0, -0.05), settle_time=10.0)
    simulation = simulate(record, Shelf(FLOOR, box("brick", (0.1, 0.06, 0.04))))
    assert simulation.settled
    assert simulation.states[0].bodies[1].T_world_obj[2, 3] < 0.06


def test_an_overlapping_pair_is_pushed_apart_or_taken_apart():
    brick = box("brick", (0.06, 0.06, 0.06))
    record = scene(FLOOR_BODY, body("a", "brick", (0, 0, 0.03)), body("b", "brick", (0.01, 0.005, 0.035)))
    simulation = simulate(record, Shelf(FLOOR, brick))
    here = [b.T_world_obj for b in simulation.states[0].bodies[1:] if b is not None]
    assert len(here) + len(simulation.removed) == 2
    if len(here) == 2:
        gap = np.abs(here[0][:3, 3] - here[1][:3, 3]).max()
        assert gap > 0.059
    for T in here:
        assert abs(T[:3, 3]).max() < 0.2
        assert (T[:3, :3] @ corners((0.06,) * 3).T)[2].min() + T[2, 3] == pytest.approx(0, abs=2e-3)


def test_what_leaned_on_a_removed_body_falls_down_before_capture():
    # The post is walled in where nothing can push it out; the plate that lies on it must come down to the wall.
    wall = box("wall", (0.4, 0.4, 0.4), center=(0.0, 0.0, 0.2))
    post = box("post", (0.05, 0.05, 0.6))
    plate = box("plate", (0.3, 0.3, 0.02))
    record = scene(
        body("wall", "wall", motion="fixed"), body("post", "post", (0, 0, 0.3)), body("plate", "plate", (0, 0, 0.61))
    )
    simulation = simulate(record, Shelf(wall, post, plate))
    assert list(simulation.removed) == ["post"]
    assert simulation.states[0].bodies[2].T_world_obj[2, 3] == pytest.approx(0.41, abs=1e-3)


def test_a_body_that_cannot_get_out_of_another_is_removed():
    # A closed cave of 4 cm for a ball of 6 cm.
    sides = [box(f"side{k}", (0.5, 0.5, 0.5), center=0.27 * n) for k, n in enumerate((*np.eye(3), *-np.eye(3)))]
    cave = [body(side.name, side.name, motion="fixed") for side in sides]
    record = scene(*cave, body("ball", "ball"))
    simulation = simulate(record, Shelf(*sides, ball("ball", 0.06)))
    assert simulation.removed == {"ball": "stuck inside another body"}
    assert "farther apart" in explain(simulation, record)


def test_the_same_record_gives_the_same_bits_after_other_scenes_and_in_a_fresh_process():
    record, shelf = heap(seed=3)
    first = digest(simulate(record, shelf))
    other, other_shelf = heap(seed=4, count=3)
    assert digest(simulate(other, other_shelf)) != first
    assert digest(simulate(record, shelf)) == first
    code = (
        "from physics_scenes import digest, heap; from simgen.physics.simulate import simulate; "
        "print(digest(simulate(*heap(seed=3))))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == [first]
    assert result.stderr == ""


def test_a_kept_client_gives_the_bits_of_a_fresh_one_whatever_it_simulated_before():
    scenes = [heap(seed=3), heap(seed=4, count=3), heap(seed=3)]
    broken = (
        scene(FLOOR_BODY, body("thing", "bare")),
        Shelf(FLOOR, replace(box("bare", (0.1, 0.1, 0.1)), collision=())),
    )
    client = Client()
    kept = [digest(simulate(*given, client)) for given in scenes]
    with pytest.raises(PhysicsError, match="cannot fall"):
        simulate(*broken, client)
    kept.append(digest(simulate(*scenes[0], client)))
    client.close()
    kept.append(digest(simulate(*scenes[1], client)))
    client.close()
    fresh = [digest(simulate(*given)) for given in scenes]
    assert kept == [*fresh, fresh[0], fresh[1]]
    assert len(set(kept)) == 2


def test_capture_times_and_trace_times():
    record = replace(
        scene(FLOOR_BODY, body("brick", "brick", (0, 0, 2.0)), times=(0.1234, 0.0, 0.1), settle=False),
        traces=("bodies", "camera", "contacts", "joints"),
    )
    simulation = simulate(record, Shelf(FLOOR, box("brick", (0.1, 0.06, 0.04))))
    assert [state.time for state in simulation.states] == [0.0, 0.1, 0.1234]
    bodies = simulation.traces["bodies"]
    np.testing.assert_allclose(np.unique(bodies.time), np.arange(8) / 60, atol=1e-12)
    brick = bodies.value[bodies.value[:, 0] == 1]
    t = np.unique(bodies.time)
    np.testing.assert_allclose(brick[:, bodies.columns.index("vz")], -G * t, atol=1e-9)
    assert simulation.traces["camera"].time.tolist() == [0.0]
    np.testing.assert_array_equal(simulation.traces["camera"].value, [[0, 0, 0, 1, 0, 0, 0, 1]])
    for trace in simulation.traces.values():
        assert trace.value.shape == (len(trace.time), len(trace.columns))
        assert len(trace.units) == len(trace.columns)
    assert len(simulation.traces["joints"].time) == 0


def test_contacts_of_an_instant_in_a_scene_that_did_not_settle():
    record = scene(FLOOR_BODY, body("brick", "brick", (0, 0, 0.02)), traces=("contacts",), settle=False)
    contacts = simulate(record, Shelf(FLOOR, box("brick", (0.1, 0.06, 0.04), mass=0.2))).traces["contacts"]
    assert set(contacts.time) == {0.0}
    force = contacts.value[:, contacts.columns.index("force")].sum()
    # One step from touching: the solver lets the block sink by its slop of 10 micrometres first.
    assert force == pytest.approx(0.2 * G, rel=0.1)


def test_ghosts_and_shapeless_scenery_stand_where_they_are():
    bare = replace(box("bare", (0.1, 0.1, 0.1)), collision=(), inertia=None)
    record = scene(
        FLOOR_BODY,
        body("ghost", "brick", (0, 0, 0.05), motion="ghost"),
        body("bare", "bare", (0, 0, 0.3), TILTED, motion="fixed"),
        body("brick", "brick", (0, 0, 0.2)),
    )
    simulation = simulate(record, Shelf(FLOOR, bare, box("brick", (0.1, 0.06, 0.04))))
    states = simulation.states[0].bodies
    np.testing.assert_array_equal(states[1].T_world_obj, transform((0, 0, 0.05)))
    np.testing.assert_array_equal(states[2].T_world_obj, transform((0, 0, 0.3), TILTED))
    assert states[3].T_world_obj[2, 3] == pytest.approx(0.02, abs=1e-3)


def test_more_boxes_than_a_compound_takes():
    posts = tuple(CollisionShape("box", size=(0.02, 0.02, 0.2), center=(0.05 * k, 0.0, 0.1)) for k in range(20))
    fence = Asset("fence", "fence", (), np.zeros((2, 3)), posts, box_inertia((1, 1, 1), 1.0))
    bricks = [body(f"ball{k}", "ball", (0.05 * k, 0.0, 0.26)) for k in (0, 19)]
    record = scene(body("fence", "fence", motion="fixed"), *bricks, times=(0.05,), settle=False, traces=("contacts",))
    simulation = simulate(record, Shelf(fence, ball("ball", 0.1)))
    contacts = simulation.traces["contacts"]
    pairs = contacts.value[:, :2].astype(int)
    assert {tuple(sorted(p)) for p in pairs} == {(0, 1), (0, 2)}


def test_spinning_hull_with_many_parts_stays_one_body():
    parts = tuple(
        CollisionShape("hull", vertices=corners((0.02, 0.02, 0.02), (0.02 * k, 0, 0)).astype(np.float32))
        for k in range(40)
    )
    rod = Asset("rod", "rod", (), np.zeros((2, 3)), parts, box_inertia((0.8, 0.02, 0.02), 0.4, (0.39, 0, 0)))
    simulation = simulate(scene(FLOOR_BODY, body("rod", "rod", (-0.39, 0, 0.2), TILTED)), Shelf(FLOOR, rod))
    assert simulation.settled
    T = simulation.states[0].bodies[1].T_world_obj
    assert T[2, 3] == pytest.approx(0.01, abs=5e-4)
    assert abs(T[2, 0]) < 0.01


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"traces": ("contact",)}, 'did you mean "contacts"'),
        ({"camera": replace(CAMERA, body="brik", link="hand")}, 'did you mean "brick"'),
        ({"camera": replace(CAMERA, body="brick", link="hand")}, "no such link"),
        ({"times": (-1.0,)}, "times count from 0"),
        ({"timestep": 0.0}, "timestep"),
        ({"traces": ("bodies",), "trace_rate": 0.0}, "trace_rate"),
        ({"gravity": (0.0, 0.0, float("nan"))}, "gravity"),
    ],
)
def test_records_that_cannot_be_simulated_are_refused(changes, words):
    record = scene(FLOOR_BODY, body("brick", "brick", (0, 0, 0.1)), **changes)
    with pytest.raises(PhysicsError, match=words):
        simulate(record, Shelf(FLOOR, box("brick", (0.1, 0.06, 0.04))))


def test_a_dynamic_body_needs_a_shape_and_a_mass():
    bare = replace(box("bare", (0.1, 0.1, 0.1)), collision=())
    with pytest.raises(PhysicsError, match=r"thing \(asset bare\) cannot fall"):
        simulate(scene(body("thing", "bare")), Shelf(bare))


def test_a_pose_that_is_no_number_is_left_out():
    record = scene(FLOOR_BODY, body("brick", "brick", (0, float("nan"), 0.1)))
    simulation = simulate(record, Shelf(FLOOR, box("brick", (0.1, 0.06, 0.04))))
    assert simulation.removed == {"brick": "its pose is not finite"}
    assert simulation.states[0].bodies[1] is None
    assert "correct the pose" in explain(simulation, record)


def test_a_camera_on_a_body_moves_with_it():
    camera = replace(CAMERA, body="brick", pose=Pose((0.0, 0.0, 0.1)))
    record = scene(
        body("brick", "brick", (0, 0, 2.0)), camera=camera, times=(0.0, 0.1), settle=False, traces=("camera",)
    )
    trace = simulate(record, Shelf(box("brick", (0.1, 0.06, 0.04)))).traces["camera"]
    height = trace.value[:, trace.columns.index("z")]
    np.testing.assert_allclose(height, 2.1 - G * trace.time**2 / 2, atol=G * 0.1 / 240)
    assert len(height) == 7


def test_what_c_code_prints_is_kept_off_the_terminal_and_the_terminal_comes_back(capfd):
    def fail(fd):
        with quiet() as noise:
            os.write(fd, b"b3Warning: noise\n\n")
            kept.append(noise.lines())
            raise ValueError

    kept: list[list[str]] = []
    for fd in (1, 2):
        with pytest.raises(ValueError):
            fail(fd)
    os.write(1, b"out")
    os.write(2, b"err")
    assert kept == [["b3Warning: noise"]] * 2
    assert capfd.readouterr() == ("out", "err")


def test_clients_are_given_back():
    for _ in range(3):
        with connect() as client:
            assert bullet.isConnected(physicsClientId=client)
        assert not bullet.isConnected(physicsClientId=client)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("keep", [False, True])
def test_memory_stays_flat_over_scenes(tmp_path, keep):
    # PyBullet keeps the mesh files that it has read, by name; every scene has files of its own.
    points = np.random.default_rng(0).normal(size=(3000, 3))
    text = "".join(f"v {x:.6f} {y:.6f} {z:.6f}\n" for x, y, z in points)
    text += "".join(f"f {k} {k + 1} {k + 2}\n" for k in range(1, 2999))

    @contextmanager
    def opened():
        with kept.world() if keep else connect() as world:
            yield world[0] if keep else world

    def work(start, count):
        for k in range(start, start + count):
            path = tmp_path / f"{k}.obj"
            path.write_text(text)
            with opened() as client:
                shape = bullet.createCollisionShape(bullet.GEOM_MESH, fileName=str(path), physicsClientId=client)
                bullet.createMultiBody(0.0, shape, physicsClientId=client)
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20

    kept = Client()
    before = work(0, 10)
    assert work(10, 40) - before < 5
    kept.close()

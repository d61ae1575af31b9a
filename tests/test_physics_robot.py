"""Articulated bodies held against closed forms: a pendulum's period, an arm's kinematics, the torque that holds it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from physics_scenes import CAMERA, FLOOR, FLOOR_BODY, Shelf, ball, body, box, digest, scene

from simgen.assets.asset import Asset
from simgen.errors import PhysicsError
from simgen.geometry import quaternion_from_axis_angle, transform
from simgen.physics.robot import Motors, targets
from simgen.physics.simulate import simulate
from simgen.scene.record import Pose, RobotMotion

G = 9.81

PENDULUM = """<robot name="pendulum">
  <link name="post"/>
  <joint name="hinge" type="continuous"><parent link="post"/><child link="bob"/>
    <origin xyz="0 0 0"/><axis xyz="0 1 0"/>
    <limit effort="100" velocity="100"/><dynamics damping="0" friction="0"/></joint>
  <link name="bob"><inertial><origin xyz="0 0 -0.4"/><mass value="0.5"/>
    <inertia ixx="0.002" iyy="0.003" izz="0.001" ixy="0" ixz="0" iyz="0"/></inertial></link>
</robot>"""

ARM = """<robot name="arm">
  <link name="base"><inertial><origin xyz="0.03 0.02 0.05" rpy="0.3 0 0"/><mass value="2"/>
    <inertia ixx="0.01" iyy="0.01" izz="0.01" ixy="0" ixz="0" iyz="0"/></inertial></link>
  <joint name="shoulder" type="revolute"><parent link="base"/><child link="upper"/><origin xyz="0 0 0.1"/>
    <axis xyz="0 0 1"/><limit lower="-3" upper="3" effort="50" velocity="10"/></joint>
  <link name="upper"><inertial><origin xyz="0.15 0 0"/><mass value="0.6"/>
    <inertia ixx="0.001" iyy="0.005" izz="0.005" ixy="0" ixz="0" iyz="0"/></inertial>
    <collision><origin xyz="0.15 0 0"/><geometry><box size="0.3 0.04 0.04"/></geometry></collision></link>
  <joint name="elbow" type="revolute"><parent link="upper"/><child link="fore"/><origin xyz="0.3 0 0"/>
    <axis xyz="0 1 0"/><limit lower="-2" upper="2" effort="50" velocity="10"/></joint>
  <link name="fore"><inertial><origin xyz="0.1 0 0"/><mass value="0.4"/>
    <inertia ixx="0.001" iyy="0.002" izz="0.002" ixy="0" ixz="0" iyz="0"/></inertial>
    <collision><origin xyz="0.1 0 0"/><geometry><box size="0.2 0.03 0.03"/></geometry></collision></link>
  <joint name="mount" type="fixed"><parent link="fore"/><child link="eye"/>
    <origin xyz="0.2 0 0.05" rpy="0 0.5 0"/></joint>
  <link name="eye"/>
</robot>"""


def articulated(tmp_path, name, text) -> Asset:
    path = tmp_path / f"{name}.urdf"
    path.write_text(text)
    return Asset(name, name, (), np.array([[-0.1, -0.1, 0.0], [0.6, 0.1, 0.3]]), urdf=path)


def robot(name, asset, position=(0.0, 0.0, 0.0), quaternion=(0.0, 0.0, 0.0, 1.0), **changes):
    return body(name, asset, position, quaternion, **({"role": "robot"} | changes))


def arm_kinematics(T_world_base, shoulder, elbow) -> dict[str, np.ndarray]:
    upper = T_world_base @ transform((0, 0, 0.1), quaternion_from_axis_angle((0, 0, 1), shoulder))
    fore = upper @ transform((0.3, 0, 0), quaternion_from_axis_angle((0, 1, 0), elbow))
    eye = fore @ transform((0.2, 0, 0.05), quaternion_from_axis_angle((0, 1, 0), 0.5))
    return {"base": T_world_base, "upper": upper, "fore": fore, "eye": eye}


def test_a_pendulum_swings_with_its_period(tmp_path):
    motion = RobotMotion("pendulum", ("hinge",), (0.0,), ((0.1,),), force=0.0)
    record = scene(
        robot("pendulum", "pendulum"),
        robot=motion,
        times=(6.0,),
        traces=("joints",),
        settle=False,
        timestep=1 / 1000,
        trace_rate=1000.0,
    )
    trace = simulate(record, Shelf(articulated(tmp_path, "pendulum", PENDULUM))).traces["joints"]
    angle = trace.value[:, trace.columns.index("position")]
    assert angle[0] == 0.1
    k = np.flatnonzero((angle[:-1] > 0) & (angle[1:] <= 0))
    crossings = trace.time[k] + angle[k] / (angle[k] - angle[k + 1]) / 1000
    small = 2 * np.pi * np.sqrt((0.003 + 0.5 * 0.4**2) / (0.5 * G * 0.4))
    period = small * (1 + 0.1**2 / 16)
    # PyBullet damps every link by 4 % a second, which lengthens the period by less than a thousandth.
    np.testing.assert_allclose(np.diff(crossings), period, rtol=2e-3)


def test_the_arm_follows_its_waypoints_and_links_agree_with_its_kinematics(tmp_path):
    base = transform((0.2, -0.3, 0.4), quaternion_from_axis_angle((0, 0, 1), 0.7))
    motion = RobotMotion("arm", ("elbow", "shoulder"), (0.0, 1.0, 2.0), ((0.0, 0.5), (-0.8, -0.5), (0.6, 1.0)))
    camera = replace(CAMERA, body="arm", link="eye", pose=Pose((0.0, 0.01, 0.02)))
    record = scene(
        robot("arm", "arm", base[:3, 3], quaternion_from_axis_angle((0, 0, 1), 0.7)),
        robot=motion,
        camera=camera,
        times=(0.0, 0.5, 1.0, 2.0, 2.5),
        traces=("camera", "joints"),
    )
    simulation = simulate(record, Shelf(articulated(tmp_path, "arm", ARM)))
    for time, elbow, shoulder in ((0, 0, 0.5), (0.5, -0.4, 0), (1, -0.8, -0.5), (2, 0.6, 1), (2.5, 0.6, 1)):
        state = simulation.at(time).bodies[0]
        np.testing.assert_array_equal(state.T_world_obj, base)
        assert list(state.links) == ["base", "upper", "fore", "eye"]
        for name, T in arm_kinematics(base, shoulder, elbow).items():
            np.testing.assert_allclose(state.links[name], T, atol=0.01)
    # The last state against the joint angles that were measured: the kinematics themselves, without tracking error.
    joints = simulation.traces["joints"]
    last = joints.value[-2:, joints.columns.index("position")]
    end = arm_kinematics(base, *last)
    for name, T in simulation.at(2.5).bodies[0].links.items():
        np.testing.assert_allclose(T, end[name], atol=1e-6)
    np.testing.assert_allclose(last, [1.0, 0.6], atol=1e-3)
    poses = simulation.traces["camera"]
    eye = end["eye"] @ transform((0.0, 0.01, 0.02))
    np.testing.assert_allclose(poses.value[-1, 1:4], eye[:3, 3], atol=1e-6)
    assert len(poses.time) == 151


def test_the_torque_that_holds_an_arm_is_its_weight_times_the_lever(tmp_path):
    record = scene(robot("arm", "arm"), times=(0.5,), traces=("joints",))
    trace = simulate(record, Shelf(articulated(tmp_path, "arm", ARM))).traces["joints"]
    torque = trace.value[:, trace.columns.index("torque")].reshape(-1, 2)
    # Positive rotation about +y lowers the forearm, so gravity is held by a negative torque.
    assert torque[-1, 1] == pytest.approx(-0.4 * G * 0.1, rel=0.02)
    assert torque[-1, 0] == pytest.approx(0.0, abs=1e-3)


def test_the_torque_of_an_instant_is_that_of_the_first_step(tmp_path):
    record = scene(robot("arm", "arm"), traces=("joints",), settle=False)
    trace = simulate(record, Shelf(articulated(tmp_path, "arm", ARM))).traces["joints"]
    assert trace.value[:, :3].tolist() == [[0, 0, 0], [0, 1, 0]]
    assert trace.value[1, 4] == pytest.approx(-0.4 * G * 0.1, rel=0.05)


def test_an_arm_wakes_and_pushes_what_it_meets(tmp_path):
    motion = RobotMotion("arm", ("shoulder",), (0.0, 1.0), ((-1.0,), (1.0,)))
    record = scene(
        FLOOR_BODY,
        robot("arm", "arm"),
        body("brick", "brick", (0.4, 0.0, 0.07)),
        body("far", "ball", (-0.5, 0, 0.03)),
        robot=motion,
        times=(0.0, 1.0),
    )
    shelf = Shelf(FLOOR, articulated(tmp_path, "arm", ARM), box("brick", (0.05, 0.05, 0.14)), ball("ball", 0.06))
    simulation = simulate(record, shelf)
    first, last = simulation.states
    assert last.bodies[2].T_world_obj[1, 3] > first.bodies[2].T_world_obj[1, 3] + 0.1
    np.testing.assert_array_equal(last.bodies[3].T_world_obj, first.bodies[3].T_world_obj)
    assert digest(simulate(record, shelf)) == digest(simulation)


def test_ghosts_with_joints_touch_nothing_and_have_links(tmp_path):
    record = scene(
        FLOOR_BODY, robot("arm", "arm", (0, 0, 0), motion="ghost"), body("brick", "brick", (0.2, 0, 0.3)), times=(0.0,)
    )
    shelf = Shelf(FLOOR, articulated(tmp_path, "arm", ARM), box("brick", (0.1, 0.06, 0.04)))
    state = simulate(record, shelf).states[0]
    assert state.bodies[2].T_world_obj[2, 3] == pytest.approx(0.02, abs=1e-3)
    np.testing.assert_allclose(state.bodies[1].links["eye"], arm_kinematics(np.eye(4), 0, 0)["eye"], atol=1e-6)


def test_a_loose_body_with_joints_falls_and_rests(tmp_path):
    record = scene(FLOOR_BODY, body("arm", "arm", (0, 0, 0.3)))
    simulation = simulate(record, Shelf(FLOOR, articulated(tmp_path, "arm", ARM)))
    assert simulation.settled
    state = simulation.states[0].bodies[1]
    # It lies on its upper arm, a bar of 4 cm whose axis is 10 cm above the base, which itself has no shape.
    assert state.T_world_obj[2, 3] == pytest.approx(-0.08, abs=1e-3)
    np.testing.assert_allclose(state.links["base"], state.T_world_obj)


def test_a_scaled_arm_reaches_twice_as_far(tmp_path):
    record = scene(robot("arm", "arm", scale=(2.0, 2.0, 2.0)))
    state = simulate(record, Shelf(articulated(tmp_path, "arm", ARM))).states[0].bodies[0]
    np.testing.assert_allclose(state.links["fore"][:3, 3], [0.6, 0, 0.2], atol=1e-3)
    with pytest.raises(PhysicsError, match="one number"):
        simulate(scene(robot("arm", "arm", scale=(1.0, 1.0, 2.0))), Shelf(articulated(tmp_path, "arm", ARM)))


def test_targets_are_piecewise_linear():
    motors = Motors(0, (0,), (1.0,), np.array([1.0, 2.0, 4.0]), np.array([[0.0], [1.0], [0.0]]))
    for time, position, velocity in (
        (0, 0, 0),
        (1, 0, 1),
        (1.5, 0.5, 1),
        (2, 1, -0.5),
        (3, 0.5, -0.5),
        (4, 0, 0),
        (9, 0, 0),
    ):
        x, v = targets(motors, time)
        assert (x.tolist(), v.tolist()) == ([position], [velocity])


@pytest.mark.parametrize(
    ("motion", "words"),
    [
        (RobotMotion("arn", ("elbow",), (0.0,), ((0.0,),)), 'did you mean "arm"'),
        (RobotMotion("arm", ("elbov",), (0.0,), ((0.0,),)), 'did you mean "elbow"'),
        (RobotMotion("arm", ("elbow",), (0.0, 0.0), ((0.0,), (1.0,))), "ascending"),
        (RobotMotion("arm", ("elbow",), (0.0, 1.0), ((0.0,),)), "one waypoint"),
        (RobotMotion("arm", ("elbow",), (), ()), "one waypoint"),
    ],
)
def test_motions_that_make_no_sense_are_refused(tmp_path, motion, words):
    with pytest.raises(PhysicsError, match=words):
        simulate(scene(robot("arm", "arm"), robot=motion), Shelf(articulated(tmp_path, "arm", ARM)))


@pytest.mark.parametrize("text", ["<robot>", "", "<robot name='r'><link name='a'/><link name='b'/></robot>"])
def test_a_broken_urdf_is_told_without_noise(tmp_path, capfd, text):
    with pytest.raises(PhysicsError, match=r"broken\.urdf of arm .* is no usable URDF"):
        simulate(scene(robot("arm", "broken")), Shelf(articulated(tmp_path, "broken", text)))
    assert capfd.readouterr() == ("", "")

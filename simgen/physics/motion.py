"""What sensors need to know of a scene at every step: how their mounts moved, joint positions and loads of joints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from simgen.errors import PhysicsError, near_match
from simgen.geometry import rotation_from_quaternion, transform
from simgen.physics.bodies import Array, Body, read
from simgen.physics.client import bullet
from simgen.scene.record import SceneRecord
from simgen.scene.state import BodyState, LinkMotion, Motion, SceneState
from simgen.scene.trace_record import measured_times

_Link = tuple[str, str]


@dataclass(eq=False)
class Log:
    """The rows so far; what is not asked for has no key. ``scans`` are the steps at which lidars begin."""

    scans: set[int]
    gravity: Array
    time: list[float] = field(default_factory=list)
    links: dict[_Link, list[tuple[Array, Array, Array]]] = field(default_factory=dict)
    joints: dict[str, list[list[float]]] = field(default_factory=dict)
    wrenches: dict[_Link, list[Array]] = field(default_factory=dict)
    indices: dict[_Link, int] = field(default_factory=dict)
    """PyBullet's index of the joints of ``wrenches``."""
    contacts: dict[_Link, list[Array]] = field(default_factory=dict)
    states: list[SceneState] = field(default_factory=list)


def start(client: int, record: SceneRecord, bodies: list[Body], last: int) -> Log | None:
    """An empty log of what the sensors of ``record`` need until step ``last``; None when there are no sensors.

    Raises PhysicsError when a sensor sits on a body, link or joint that is not there.
    """
    if not record.sensors:
        return None
    named = {body.name: body for body in bodies}
    dt = record.world.timestep
    log = Log(set(), np.array(record.world.gravity))
    for sensor in record.sensors:
        if sensor.lidar is not None:
            times = measured_times(sensor.lidar.clock, 0.0, last * dt)
            log.scans |= {min(int(np.floor(t / dt + 0.5)), last) for t in times.tolist()}
        if sensor.body is None:
            continue
        body = named.get(sensor.body)
        if body is None:
            _check_known(sensor.name, sensor.body, record)
            continue
        if sensor.encoder is not None:
            log.joints[body.name] = []
        elif sensor.force_torque is not None:
            number = _joint(client, body, sensor.name, sensor.joint or "")
            bullet.enableJointForceTorqueSensor(body.uid, number, True, physicsClientId=client)
            log.wrenches[body.name, sensor.joint or ""] = []
            log.indices[body.name, sensor.joint or ""] = number
        else:
            if sensor.link is not None and sensor.link not in body.links:
                raise PhysicsError(
                    f"sensor {sensor.name} sits on link {sensor.link!r} of {body.name}, which has no such link"
                    f"{near_match(sensor.link, body.links)}"
                )
            rows = log.links if sensor.contact is None else log.contacts
            rows[body.name, sensor.link or ""] = []
    return log


def add(client: int, log: Log, time: float, bodies: list[Body], started: bool) -> None:
    """The rows at ``time``; ``started`` says whether the scene has made a step before."""
    log.time.append(time)
    named = {body.name: body for body in bodies}
    for (name, link), rows in log.links.items():
        if name in named:
            rows.append(_link(client, named[name], link, started))
    for name, positions in log.joints.items():
        if name in named:
            body = named[name]
            states = bullet.getJointStates(body.uid, [joint.index for joint in body.joints], physicsClientId=client)
            positions.append([state[0] for state in states])
    for (name, joint), wrenches in log.wrenches.items():
        if name in named:
            wrenches.append(_wrench(client, named[name], log.indices[name, joint]))
    for (name, link), contacts in log.contacts.items():
        if name in named:
            contacts.append(_contact(client, named[name], link, log.gravity) if started else np.zeros(5))


def correct(client: int, log: Log, bodies: list[Body]) -> None:
    """Put the loads of the step just made into the rows of a scene that had not made any when they were read."""
    named = {body.name: body for body in bodies}
    for (name, joint), wrenches in log.wrenches.items():
        if name in named and wrenches:
            wrenches[-1] = _wrench(client, named[name], log.indices[name, joint])
    for (name, link), contacts in log.contacts.items():
        if name in named and contacts:
            contacts[-1] = _contact(client, named[name], link, log.gravity)


def add_state(log: Log, time: float, states: Mapping[int, BodyState], count: int) -> None:
    """The world at the begin of a scan."""
    log.states.append(SceneState(time, tuple(states.get(k) for k in range(count))))


def finish(log: Log, bodies: list[Body]) -> Motion:
    """All rows as arrays; ``bodies`` are those that were there at the start."""
    names = {body.name: tuple(joint.name for joint in body.joints) for body in bodies}
    return Motion(
        np.array(log.time),
        {
            key: LinkMotion(
                np.array([T for T, _, _ in rows]).reshape(-1, 4, 4),
                np.array([v for _, v, _ in rows]).reshape(-1, 3),
                np.array([w for _, _, w in rows]).reshape(-1, 3),
            )
            for key, rows in log.links.items()
        },
        {name: (names[name], np.array(rows).reshape(len(rows), len(names[name]))) for name, rows in log.joints.items()},
        {key: np.array(rows).reshape(-1, 6) for key, rows in log.wrenches.items()},
        tuple(log.states),
        {key: np.array(rows).reshape(-1, 5) for key, rows in log.contacts.items()},
    )


def _link(client: int, body: Body, link: str, started: bool) -> tuple[Array, Array, Array]:
    """``T_world_link`` and the velocities of its origin."""
    if not link or link == body.links[0]:
        state = read(client, body, started)
        return state.T_world_obj, state.linear_velocity, state.angular_velocity
    state = bullet.getLinkState(
        body.uid,
        body.links.index(link) - 1,
        computeLinkVelocity=True,
        computeForwardKinematics=True,
        physicsClientId=client,
    )
    T = transform(state[4], state[5])
    angular = np.array(state[7])
    # PyBullet's velocity is that of the centre of mass.
    return T, np.array(state[6]) + np.cross(angular, T[:3, 3] - np.array(state[0])), angular


def _contact(client: int, body: Body, link: str, gravity: Array) -> Array:
    """Net force (3,) on a link in its frame, friction included, sum of the normal forces, and number of points.

    Of a body without ``link`` all links count.
    """
    number = body.links.index(link) - 1 if link else None
    force, pressing, points = np.zeros(3), 0.0, 0
    # Of all contacts: asked for one body's, PyBullet turns normals to it, but not the forces of friction.
    for contact in bullet.getContactPoints(physicsClientId=client):
        a, b = (contact[k] == body.uid and number in (None, contact[k + 2]) for k in (1, 2))
        distance, normal_force = contact[8], contact[9]
        if a == b or (normal_force <= 0 and distance > 0):
            continue
        push = normal_force * np.array(contact[7])
        push += contact[10] * np.array(contact[11]) + contact[12] * np.array(contact[13])
        force += push if a else -push
        pressing, points = pressing + normal_force, points + 1
    T, velocity, spin = _link(client, body, link, True)
    if points and not body.links and not velocity.any() and not spin.any():
        # Asleep. PyBullet then turns the directions of friction but not its forces; what rests is in balance.
        force = -bullet.getDynamicsInfo(body.uid, -1, physicsClientId=client)[0] * gravity
    return np.array([*(T[:3, :3].T @ force), pressing, points])


def _wrench(client: int, body: Body, joint: int) -> Array:
    """Force and torque (6,) with which a joint holds the link beyond it, about and in the frame of that link.

    PyBullet gives the constraint's part about the centre of mass, along the principal axes; the motor's comes on top.
    """
    _, _, reaction, motor = bullet.getJointState(body.uid, joint, physicsClientId=client)
    info = bullet.getJointInfo(body.uid, joint, physicsClientId=client)
    force, torque = np.array(reaction[:3]), np.array(reaction[3:])
    if info[2] == bullet.JOINT_REVOLUTE:
        torque = torque + motor * np.array(info[13])
    elif info[2] == bullet.JOINT_PRISMATIC:
        force = force + motor * np.array(info[13])
    state = bullet.getLinkState(body.uid, joint, computeForwardKinematics=True, physicsClientId=client)
    R_link = rotation_from_quaternion(state[5])
    turn = R_link.T @ rotation_from_quaternion(state[1])
    arm = R_link.T @ (np.array(state[0]) - np.array(state[4]))
    force, torque = turn @ force, turn @ torque
    return np.concatenate([force, torque + np.cross(arm, force)])


def _joint(client: int, body: Body, sensor: str, joint: str) -> int:
    """PyBullet's index of a joint, moving or not; raises PhysicsError when the body does not have it."""
    count = bullet.getNumJoints(body.uid, physicsClientId=client)
    names = [bullet.getJointInfo(body.uid, k, physicsClientId=client)[1].decode() for k in range(count)]
    if joint not in names:
        raise PhysicsError(
            f"sensor {sensor} sits in joint {joint!r} of {body.name}, which has no such joint{near_match(joint, names)}"
        )
    return names.index(joint)


def _check_known(sensor: str, name: str, record: SceneRecord) -> None:
    """Raise PhysicsError unless the record has the body; one that is not simulated leaves its sensor silent."""
    known = [body.name for body in record.bodies]
    if name not in known:
        raise PhysicsError(f"sensor {sensor} sits on {name!r}, which is not in the scene{near_match(name, known)}")

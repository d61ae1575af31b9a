"""Joint motors: drive the robot along its waypoints, hold every other joint where it started.

Bullet's position motor asks for the velocity ``v + gain * error / timestep`` within its force limit; with the slope of
the motion as ``v`` it follows without lag.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simgen.errors import PhysicsError, near_match
from simgen.physics.bodies import Body, Joint
from simgen.physics.client import bullet
from simgen.scene.record import RobotMotion, SceneRecord

GAIN = 0.3
"""Share of the position error that a motor takes away in one step."""
HOLDING_FORCE = 200.0
"""N or N m that hold a joint which nothing drives, unless its own effort limit is lower."""


@dataclass(frozen=True, eq=False)
class Motors:
    """The motors of one body: joint indices, limits of force, and the motion (M,) of times by (M, J) of positions."""

    uid: int
    joints: tuple[int, ...]
    forces: tuple[float, ...]
    times: NDArray[np.float64]
    positions: NDArray[np.float64]


def targets(motors: Motors, time: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positions (J,) and velocities (J,) of the motion at ``time``: piecewise linear, at rest before and after it."""
    t, x = motors.times, motors.positions
    k = int(np.searchsorted(t, time, side="right"))
    if k == 0 or k == len(t):
        return x[max(k - 1, 0)], np.zeros(x.shape[1])
    slope = (x[k] - x[k - 1]) / (t[k] - t[k - 1])
    return x[k - 1] + slope * (time - t[k - 1]), slope


def drive(client: int, motors: list[Motors], time: float) -> None:
    """Aim all motors at their motion at ``time``, the end of the step to come."""
    for m in motors:
        if m.joints:
            position, velocity = targets(m, time)
            bullet.setJointMotorControlArray(
                m.uid,
                m.joints,
                bullet.POSITION_CONTROL,
                targetPositions=position.tolist(),
                targetVelocities=velocity.tolist(),
                forces=m.forces,
                positionGains=[GAIN] * len(m.joints),
                velocityGains=[1.0] * len(m.joints),
                physicsClientId=client,
            )


def install(client: int, record: SceneRecord, bodies: list[Body]) -> list[Motors]:
    """Put all joints at the start of their motion and give them motors.

    A joint with a force limit of 0, in the motion or as the effort of its URDF, swings freely. Joints that are not
    driven are held at zero, or at the limit nearest to it. Raises PhysicsError when the motion names a body or joint
    that is not there, or is no motion.
    """
    motion = record.robot
    by_name = {body.name: body for body in bodies if body.links}
    if motion is not None and motion.body not in by_name:
        known = [body.name for body in record.bodies]
        raise PhysicsError(
            f"the robot motion drives {motion.body!r}, which is not a body with joints of this scene"
            f"{near_match(motion.body, known)}"
        )
    return [
        _install(client, body, motion if motion is not None and motion.body == body.name else None)
        for body in by_name.values()
    ]


def _install(client: int, body: Body, motion: RobotMotion | None) -> Motors:
    driven: dict[str, int] = {}
    times = np.zeros(1)
    if motion is not None:
        _check(motion, body)
        driven = {name: column for column, name in enumerate(motion.joints)}
        times = np.asarray(motion.times, np.float64)
    columns, joints, forces = [], [], []
    for joint in body.joints:
        column = driven.get(joint.name)
        if column is None or motion is None:
            path, force = np.full(len(times), _rest(joint)), HOLDING_FORCE
        else:
            path, force = np.array([point[column] for point in motion.waypoints], np.float64), motion.force
        force = min(force, joint.effort)
        bullet.resetJointState(body.uid, joint.index, path[0], 0.0, physicsClientId=client)
        if force > 0:
            columns.append(path)
            joints.append(joint.index)
            forces.append(force)
        else:
            bullet.setJointMotorControl2(
                body.uid, joint.index, bullet.VELOCITY_CONTROL, force=0.0, physicsClientId=client
            )
    positions = np.stack(columns, axis=1) if columns else np.zeros((len(times), 0))
    return Motors(body.uid, tuple(joints), tuple(forces), times, positions)


def _rest(joint: Joint) -> float:
    """Where a joint that nothing drives is held."""
    return min(max(0.0, joint.lower), joint.upper) if joint.lower <= joint.upper else 0.0


def _check(motion: RobotMotion, body: Body) -> None:
    known = [joint.name for joint in body.joints]
    for name in motion.joints:
        if name not in known:
            raise PhysicsError(
                f"{body.name} has no movable joint {name!r}{near_match(name, known)}; it has {', '.join(known)}"
            )
    times = np.asarray(motion.times, np.float64)
    points = [tuple(point) for point in motion.waypoints]
    if (
        len(times) == 0
        or len(points) != len(times)
        or any(len(point) != len(motion.joints) for point in points)
        or not np.isfinite(times).all()
        or not np.isfinite(np.asarray(points, np.float64)).all()
        or (np.diff(times) <= 0).any()
    ):
        raise PhysicsError(
            f"the motion of {body.name} needs one waypoint of {len(motion.joints)} numbers for each of its times, "
            f"and ascending times"
        )

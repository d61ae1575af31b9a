"""Traces: what bodies, joints, contacts and cameras did over time, on the scene's clock.

Traces are long tables, one row per time and thing. Times are those of the steps after which was read, multiples of the
timestep. Forces and torques are those of the step that ends at the time; at time 0 of a scene that
started without settling, those of the step that begins there.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from simgen.errors import PhysicsError, near_match
from simgen.geometry import quaternion_from_rotation
from simgen.physics.bodies import Body
from simgen.physics.client import bullet
from simgen.scene.camera_pose import pose_on_carrier
from simgen.scene.record import CameraRecord, SceneRecord
from simgen.scene.state import BodyState, Trace

POSE = ("x", "y", "z", "qx", "qy", "qz", "qw")
POSE_UNITS = ("m", "m", "m", "1", "1", "1", "1")

COLUMNS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "bodies": (
        ("body", *POSE, "vx", "vy", "vz", "wx", "wy", "wz"),
        ("index", *POSE_UNITS, "m/s", "m/s", "m/s", "rad/s", "rad/s", "rad/s"),
    ),
    "contacts": (
        ("body_a", "body_b", "x", "y", "z", "nx", "ny", "nz", "distance", "force"),
        ("index", "index", "m", "m", "m", "1", "1", "1", "m", "N"),
    ),
    "joints": (
        ("body", "joint", "position", "velocity", "torque"),
        ("index", "index", "rad or m", "rad/s or m/s", "N m or N"),
    ),
    "camera": (("frame", *POSE), ("index", *POSE_UNITS)),
}
"""Trace -> (columns, units). Everything is in the world frame.

``body`` counts in ``record.bodies``, ``joint`` in the order of the URDF among the joints that move.
"bodies": pose of the asset's frame and velocity of its origin.
"contacts": one row a point: where it is on body_b, the unit normal there towards body_a, the distance (negative:
overlap) and the force that pushes body_a along the normal.
"joints": radians and N m for hinges, metres and N for slides; the torque is the motor's.
"camera": ``T_world_cam``, without the shake of single frames; ``frame`` is the first of ``record.frames`` with this
camera. Cameras that stand still are written once.
"""

Rows = dict[str, list[tuple[float, list[float]]]]


def start(names: tuple[str, ...]) -> Rows:
    """Empty rows of the traces called ``names``; raises PhysicsError for one that does not exist."""
    for name in names:
        if name not in COLUMNS:
            raise PhysicsError(f"there is no trace {name!r}{near_match(name, COLUMNS)}; there are {', '.join(COLUMNS)}")
    return {name: [] for name in names}


def finish(rows: Rows) -> dict[str, Trace]:
    """The traces of all rows."""
    traces = {}
    for name, table in rows.items():
        columns, units = COLUMNS[name]
        time = np.array([t for t, _ in table], np.float64)
        value = np.array([row for _, row in table], np.float64).reshape(len(table), len(columns))
        traces[name] = Trace(time, value, columns, units)
    return traces


def add_poses(rows: Rows, record: SceneRecord, time: float, states: Mapping[int, BodyState]) -> None:
    """Rows of "bodies" and "camera" at ``time``; ``states`` are by body index."""
    if "bodies" in rows:
        for index, state in states.items():
            velocities = [*state.linear_velocity.tolist(), *state.angular_velocity.tolist()]
            rows["bodies"].append((time, [index, *_pose(state.T_world_obj), *velocities]))
    if "camera" in rows:
        first = not rows["camera"]
        for frame, camera in distinct_cameras(record):
            if camera.body is not None or camera.travel is not None or first:
                T = camera_pose(record, camera, states, time)
                if T is not None:
                    rows["camera"].append((time, [frame, *_pose(T)]))


def add_contacts(client: int, rows: Rows, time: float, bodies: list[Body]) -> None:
    """Rows of "contacts" at ``time``: points that touch, or between which a force acts."""
    if "contacts" not in rows:
        return
    index = {body.uid: body.index for body in bodies}
    for contact in bullet.getContactPoints(physicsClientId=client):
        distance, force = contact[8], contact[9]
        if force > 0 or distance <= 0:
            pair = [index[contact[1]], index[contact[2]]]
            rows["contacts"].append((time, [*pair, *contact[6], *contact[7], distance, force]))


def add_joints(client: int, rows: Rows, time: float, bodies: list[Body]) -> None:
    """Rows of "joints" at ``time``."""
    if "joints" in rows:
        rows["joints"] += [(time, row) for row in _joints(client, bodies)]


def correct_torques(client: int, rows: Rows, bodies: list[Body]) -> None:
    """Put the torques of the step just made into the rows of "joints", which were read before it."""
    if "joints" in rows:
        now = _joints(client, bodies)
        rows["joints"] = [(time, [*row[:4], new[4]]) for (time, row), new in zip(rows["joints"], now, strict=True)]


def _joints(client: int, bodies: list[Body]) -> list[list[float]]:
    table = []
    for body in bodies:
        for number, joint in enumerate(body.joints):
            position, velocity, _, torque = bullet.getJointState(body.uid, joint.index, physicsClientId=client)
            table.append([body.index, number, position, velocity, torque])
    return table


def camera_pose(
    record: SceneRecord, camera: CameraRecord, states: Mapping[int, BodyState], time: float
) -> np.ndarray | None:
    """``T_world_cam`` (4, 4) without any shake, or None when the body that carries the camera was removed."""
    T = pose_on_carrier(camera, time, shaken=False)
    if camera.body is None:
        return T
    names = [body.name for body in record.bodies]
    state = states.get(names.index(camera.body))
    if state is None:
        return None
    return (state.T_world_obj if camera.link is None else state.links[camera.link]) @ T


def distinct_cameras(record: SceneRecord) -> list[tuple[int, CameraRecord]]:
    """(first frame, camera) of every camera that differs in name, mount, pose or travel."""
    seen: dict[tuple[object, ...], tuple[int, CameraRecord]] = {}
    for frame, taken in enumerate(record.frames):
        camera = taken.camera
        where = (camera.name, camera.body, camera.link, camera.pose, camera.travel, camera.mount)
        seen.setdefault(where, (frame, camera))
    return list(seen.values())


def _pose(T: np.ndarray) -> list[float]:
    return [*T[:3, 3].tolist(), *quaternion_from_rotation(T[:3, :3]).tolist()]

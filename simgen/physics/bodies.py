"""Bodies in PyBullet: made from assets, and read back in the asset's own frame.

PyBullet's base pose is the one of the inertial frame (centre of mass, principal axes). Collision shapes are moved into
that frame here before PyBullet sees them, so that one transform, ``T_inertial_obj``, stands between the two worlds.

Rigid bodies use maximal coordinates (``btRigidBody``): the same resting states as reduced coordinates in half of the
time, and bodies can be put to sleep. Friction and restitution of a pair are the geometric means of the two bodies'
values: Bullet multiplies them, so each body gets the square root.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from math import sqrt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simgen.assets.asset import CollisionShape, Inertia
from simgen.errors import PhysicsError
from simgen.geometry import inverse, quaternion_from_rotation, transform
from simgen.physics.client import Noise, bullet
from simgen.scene.record import BodyRecord
from simgen.scene.state import BodyState

Array = NDArray[np.float64]

MARGIN = 0.0002
"""Metres that Bullet adds around hulls. Its 1 mm would leave a visible gap under things of a few centimetres."""
ROLLING = 0.03
"""Rolling and spinning resistance as a share of a body's radius: a ball comes to rest within a few turns."""
LINEAR_DAMPING, ANGULAR_DAMPING = 0.0, 0.1
"""Share of a body's motion and rotation lost in a second, as by air."""
MAX_SHAPES = 16
"""How many shapes PyBullet takes in one call (MAX_COMPOUND_COLLISION_SHAPES); a file of hulls counts as one."""


@dataclass(frozen=True, eq=False)
class Joint:
    """A movable joint: PyBullet's index, limits (lower > upper: none) and the largest effort in N or N m (0: none)."""

    name: str
    index: int
    lower: float
    upper: float
    effort: float


@dataclass(frozen=True, eq=False)
class Body:
    """A body as it stands in PyBullet.

    ``index`` counts in ``record.bodies``, ``uid`` is PyBullet's. ``moving`` bodies fall and collide; the others keep
    ``T_world_obj``, their pose in the record. ``radius`` (metres) reaches from the centre of mass to the farthest
    point. ``links`` and ``joints`` belong to articulated bodies: link names in PyBullet's order, the base first.
    """

    index: int
    name: str
    uid: int
    moving: bool
    T_world_obj: Array
    T_inertial_obj: Array
    radius: float
    links: tuple[str, ...] = ()
    joints: tuple[Joint, ...] = ()


@dataclass(frozen=True, eq=False)
class Solids:
    """The collision shapes of a world: ``made`` maps asset, scale and inertial frame to PyBullet's number of a shape.

    ``folder`` takes the files that PyBullet reads them from; ``noise`` is what it prints meanwhile.
    """

    folder: Path
    noise: Noise
    made: dict[tuple[str, tuple[float, float, float], bytes], int] = field(default_factory=dict)


def frame_of(inertia: Inertia) -> Array:
    """``T_obj_inertial`` (4, 4): the centre of mass with the principal axes."""
    return transform(inertia.center, inertia.axes_xyzw)


def add_rigid(
    client: int,
    index: int,
    record: BodyRecord,
    shapes: tuple[CollisionShape, ...],
    inertia: Inertia | None,
    solids: Solids,
) -> Body | None:
    """Put a rigid body in; ``shapes`` and ``inertia`` are those of its scale and mass, ``solids`` those of its world.

    A fixed body without shapes is in nobody's way: None. Raises PhysicsError when a dynamic body has no shapes or no
    mass.
    """
    moving = record.motion == "dynamic"
    if moving and (not shapes or inertia is None or not inertia.mass > 0):
        raise PhysicsError(
            f"{record.name} (asset {record.asset}) cannot fall: it has no collision shape or no mass; "
            f'give it motion "fixed" or "ghost", or an asset with volume'
        )
    if not shapes:
        return None
    T_world_obj = transform(record.pose.position, record.pose.quaternion_xyzw)
    T_obj_inertial = frame_of(inertia) if moving and inertia is not None else np.eye(4)
    T_inertial_obj = inverse(T_obj_inertial)
    points = [_points(s) @ T_inertial_obj[:3, :3].T + T_inertial_obj[:3, 3] for s in shapes]
    solid = record.asset, record.scale, T_inertial_obj.tobytes()
    if solid not in solids.made:
        solids.made[solid] = _create_shape(client, record, shapes, points, T_inertial_obj, solids)
    position, quaternion = _pose(T_world_obj @ T_obj_inertial)
    uid = bullet.createMultiBody(
        inertia.mass if moving and inertia is not None else 0.0,
        solids.made[solid],
        -1,
        position,
        quaternion,
        useMaximalCoordinates=True,
        physicsClientId=client,
    )
    radius = max(_reach(s, p, T_inertial_obj) for s, p in zip(shapes, points, strict=True))
    surface: dict[str, float | list[float]] = {
        "lateralFriction": sqrt(max(record.friction, 0.0)),
        "restitution": sqrt(max(record.restitution, 0.0)),
    }
    if moving and any(shape.kind != "box" for shape in shapes):
        # What does not roll needs no such resistance, which more than doubles what there is to solve at a contact.
        surface |= {"rollingFriction": ROLLING * radius, "spinningFriction": ROLLING * radius}
    if moving and inertia is not None:
        surface |= {
            "linearDamping": LINEAR_DAMPING,
            "angularDamping": ANGULAR_DAMPING,
            "mass": inertia.mass,
            "localInertiaDiagonal": list(inertia.moments),
            "activationState": bullet.ACTIVATION_STATE_DISABLE_SLEEPING,
        }
    else:
        # Its contacts with what sleeps need no look either.
        surface["activationState"] = bullet.ACTIVATION_STATE_SLEEP
    bullet.changeDynamics(uid, -1, **surface, physicsClientId=client)
    return Body(index, record.name, uid, moving, T_world_obj, T_inertial_obj, radius)


def place(client: int, uid: int, T_world_inertial: Array) -> None:
    """Put the inertial frame of a body's base where ``T_world_inertial`` (4, 4) says."""
    bullet.resetBasePositionAndOrientation(uid, *_pose(T_world_inertial), physicsClientId=client)


def read(client: int, body: Body, started: bool = True) -> BodyState:
    """Where a body is now, in the asset's frame, and how its origin moves.

    Before the first step (``started`` False), and for bodies that do not move, the pose is that of the record to the
    last bit.
    """
    still = not body.moving or not started
    if still:
        T = body.T_world_obj
        linear = angular = np.zeros(3)
    else:
        position, quaternion = bullet.getBasePositionAndOrientation(body.uid, physicsClientId=client)
        T_world_inertial = transform(position, quaternion) if np.isfinite(quaternion).all() else np.full((4, 4), np.nan)
        T = T_world_inertial @ body.T_inertial_obj
        velocity, spin = bullet.getBaseVelocity(body.uid, physicsClientId=client)
        angular = np.array(spin)
        linear = np.array(velocity) + np.cross(angular, T[:3, 3] - T_world_inertial[:3, 3])
    links = {}
    if body.links:
        links[body.links[0]] = T
        for k, name in enumerate(body.links[1:]):
            state = bullet.getLinkState(body.uid, k, computeForwardKinematics=True, physicsClientId=client)
            links[name] = transform(state[4], state[5])
    return BodyState(T, linear, angular, links)


def _pose(T: Array) -> tuple[list[float], list[float]]:
    """Position and quaternion xyzw of a rigid transform, as PyBullet takes them."""
    return T[:3, 3].tolist(), quaternion_from_rotation(T[:3, :3]).tolist()


def _corners(size: tuple[float, float, float]) -> Array:
    """The eight corners (8, 3) of a box of full ``size`` around the origin."""
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float64)
    return signs * np.asarray(size) / 2


def _points(shape: CollisionShape) -> Array:
    """Points (n, 3) in the asset frame that reach as far as the shape does: hull vertices or corners of its box."""
    if shape.kind == "hull":
        return np.asarray(shape.vertices, np.float64)
    size = shape.size
    if shape.kind != "box":
        size = (size[0], size[0], size[0] if shape.kind == "sphere" else size[2])
    return _corners(size) + shape.center


def _reach(shape: CollisionShape, points: Array, T_inertial_obj: Array) -> float:
    """How far from the centre of mass a shape reaches, in metres; ``points`` are those of it in the inertial frame."""
    if shape.kind == "sphere":
        return float(np.linalg.norm(T_inertial_obj[:3, :3] @ shape.center + T_inertial_obj[:3, 3])) + shape.size[0] / 2
    return float(np.linalg.norm(points, axis=1).max())


def _create_shape(
    client: int,
    record: BodyRecord,
    shapes: tuple[CollisionShape, ...],
    points: list[Array],
    T_inertial_obj: Array,
    solids: Solids,
) -> int:
    """A PyBullet collision shape of all ``shapes``, in the inertial frame, in which ``points`` are theirs.

    PyBullet takes many hulls in one shape only from a file, and few shapes in a call: boxes beyond that number join the
    hulls.
    """
    path = solids.folder / f"{len(solids.made)}.obj"
    R, t = T_inertial_obj[:3, :3], T_inertial_obj[:3, 3]
    hulls = [k for k, s in enumerate(shapes) if s.kind == "hull"]
    analytic = [k for k, s in enumerate(shapes) if s.kind != "hull"]
    room = MAX_SHAPES - 1
    if len(analytic) > room:
        analytic.sort(key=lambda k: shapes[k].kind == "box")
        hulls += [k for k in analytic[room:] if shapes[k].kind == "box"]
        analytic = [*analytic[:room], *(k for k in analytic[room:] if shapes[k].kind != "box")]
        if len(analytic) > room:
            raise PhysicsError(
                f"{record.name} (asset {record.asset}) has {len(analytic)} round collision shapes, at most {room} work"
            )
    exact = [shapes[k] for k in analytic]
    types = [_BULLET_KIND[s.kind] for s in exact]
    centers = [(R @ s.center + t).tolist() for s in exact]
    axes = [quaternion_from_rotation(R).tolist()] * len(exact) if exact else []
    files = [""] * len(exact)
    if hulls:
        path.write_text(_hull_file(tuple(points[k].tobytes() for k in hulls)), encoding="ascii")
        types.append(bullet.GEOM_MESH)
        centers.append([0.0, 0.0, 0.0])
        axes.append([0.0, 0.0, 0.0, 1.0])
        files.append(str(path))
    lengths = [s.size[2] - (s.size[0] if s.kind == "capsule" else 0.0) for s in exact] + [0.0]
    try:
        shape: int = bullet.createCollisionShapeArray(
            types,
            radii=[s.size[0] / 2 for s in exact] + [0.0],
            halfExtents=[[edge / 2 for edge in s.size] for s in exact] + [[0.0, 0.0, 0.0]],
            lengths=lengths,
            fileNames=files,
            collisionFramePositions=centers,
            collisionFrameOrientations=axes,
            physicsClientId=client,
        )
    except bullet.error as error:
        raise PhysicsError(
            f"PyBullet makes no collision shape of {record.name} (asset {record.asset}){solids.noise.last}"
        ) from error
    finally:
        # Not left to be written over by the next scene: file systems bring what is cut to the disk at once.
        path.unlink(missing_ok=True)
    _set_margin(client, shape)
    return shape


_BULLET_KIND = {
    "box": bullet.GEOM_BOX,
    "sphere": bullet.GEOM_SPHERE,
    "cylinder": bullet.GEOM_CYLINDER,
    "capsule": bullet.GEOM_CAPSULE,
}


def _set_margin(client: int, shape: int) -> None:
    """Give every part of a collision shape our margin.

    PyBullet reaches the parts of a compound only through a body in reduced coordinates, so such a body borrows the
    shape for a moment.
    """
    uid = bullet.createMultiBody(0.0, shape, physicsClientId=client)
    bullet.changeDynamics(uid, -1, collisionMargin=MARGIN, physicsClientId=client)
    bullet.removeBody(uid, physicsClientId=client)


@lru_cache(maxsize=128)
def _hull_file(hulls: tuple[bytes, ...]) -> str:
    """An OBJ file with one object per hull of vertices (n, 3) float64; PyBullet takes the hull of those in its faces.

    Kept, because things that are not stretched are the same in every scene.
    """
    parts = []
    first = 1
    for number, hull in enumerate(hulls):
        values = np.frombuffer(hull).tolist()
        count = len(values) // 3
        last = first + count - 1
        parts.append(f"o {number}\n")
        parts.append("v %.9g %.9g %.9g\n" * count % tuple(values))
        parts += [f"f {k} {min(k + 1, last)} {min(k + 2, last)}\n" for k in range(first, last + 1, 3)]
        first = last + 1
    return "".join(parts)

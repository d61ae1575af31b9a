"""Bodies in PyBullet: made from assets, and read back in the asset's own frame.

PyBullet's base pose is the one of the inertial frame (centre of mass, principal axes). Collision shapes are moved into
that frame here before PyBullet sees them, so that one transform, ``T_inertial_obj``, stands between the two worlds.

Rigid bodies use maximal coordinates (``btRigidBody``): the same resting states as reduced coordinates in half of the
time, and bodies can be put to sleep. Friction and restitution of a pair are the geometric means of the two bodies'
values: Bullet multiplies them, so each body gets the square root.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from math import isfinite, sqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.assets.asset import CollisionShape, Inertia
from simgen.errors import PhysicsError
from simgen.geometry import cross, inverse, quaternion_from_rotation, transform
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


@dataclass(frozen=True, eq=False)
class _Solid:
    """Collision shapes in the inertial frame, as PyBullet takes them.

    ``hulls`` is an OBJ file of all hulls, empty without any, ``exact`` what ``createCollisionShapeArray`` is told of
    the other shapes, argument by argument; ``radius`` reaches from the centre of mass to the farthest point, in metres.
    """

    T_obj_inertial: Array
    T_inertial_obj: Array
    radius: float
    hulls: bytes
    exact: dict[str, list[Any]]


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
    solid = _solid(shapes, inertia.center, inertia.axes_xyzw) if moving and inertia is not None else _solid(shapes)
    key = record.asset, record.scale, solid.T_inertial_obj.tobytes()
    if key not in solids.made:
        solids.made[key] = _create_shape(client, record, solid, solids)
    position, quaternion = _pose(T_world_obj @ solid.T_obj_inertial)
    uid = bullet.createMultiBody(
        inertia.mass if moving and inertia is not None else 0.0,
        solids.made[key],
        -1,
        position,
        quaternion,
        useMaximalCoordinates=True,
        physicsClientId=client,
    )
    surface: dict[str, float | list[float]] = {
        "lateralFriction": sqrt(max(record.friction, 0.0)),
        "restitution": sqrt(max(record.restitution, 0.0)),
    }
    if moving and any(shape.kind != "box" for shape in shapes):
        # What does not roll needs no such resistance, which more than doubles what there is to solve at a contact.
        surface |= {"rollingFriction": ROLLING * solid.radius, "spinningFriction": ROLLING * solid.radius}
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
    return Body(index, record.name, uid, moving, T_world_obj, solid.T_inertial_obj, solid.radius)


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
        finite = all(map(isfinite, quaternion))
        T_world_inertial = transform(position, quaternion) if finite else np.full((4, 4), np.nan)
        T = T_world_inertial @ body.T_inertial_obj
        velocity, spin = bullet.getBaseVelocity(body.uid, physicsClientId=client)
        angular = np.array(spin)
        linear = np.array(velocity) + cross(angular, T[:3, 3] - T_world_inertial[:3, 3])
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


@lru_cache(maxsize=128)
def _solid(
    shapes: tuple[CollisionShape, ...],
    center: tuple[float, float, float] = (0.0, 0.0, 0.0),
    axes_xyzw: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 1.0),
) -> _Solid:
    """``shapes`` in the inertial frame with centre of mass ``center`` and principal axes ``axes_xyzw``.

    Kept, because things that are not stretched are the same in every scene. PyBullet takes many hulls in one shape only
    from a file, and few shapes in a call: boxes beyond that number join the hulls.
    """
    T_obj_inertial = transform(center, axes_xyzw)
    T_inertial_obj = inverse(T_obj_inertial)
    R, t = T_inertial_obj[:3, :3], T_inertial_obj[:3, 3]
    points = [_points(s) @ R.T + t for s in shapes]
    hulls = [k for k, s in enumerate(shapes) if s.kind == "hull"]
    analytic = [k for k, s in enumerate(shapes) if s.kind != "hull"]
    room = MAX_SHAPES - 1
    if len(analytic) > room:
        analytic.sort(key=lambda k: shapes[k].kind == "box")
        hulls += [k for k in analytic[room:] if shapes[k].kind == "box"]
        analytic = [*analytic[:room], *(k for k in analytic[room:] if shapes[k].kind != "box")]
    exact = [shapes[k] for k in analytic]
    return _Solid(
        T_obj_inertial,
        T_inertial_obj,
        max(_reach(s, p, T_inertial_obj) for s, p in zip(shapes, points, strict=True)),
        _hull_file([points[k] for k in hulls]),
        {
            "shapeTypes": [_BULLET_KIND[s.kind] for s in exact],
            "radii": [s.size[0] / 2 for s in exact],
            "halfExtents": [[edge / 2 for edge in s.size] for s in exact],
            "lengths": [s.size[2] - (s.size[0] if s.kind == "capsule" else 0.0) for s in exact],
            "fileNames": [""] * len(exact),
            "collisionFramePositions": [(R @ s.center + t).tolist() for s in exact],
            "collisionFrameOrientations": [quaternion_from_rotation(R).tolist()] * len(exact),
        },
    )


def _create_shape(client: int, record: BodyRecord, solid: _Solid, solids: Solids) -> int:
    """A PyBullet collision shape of all shapes of ``solid``."""
    rounds = len(solid.exact["shapeTypes"])
    if rounds >= MAX_SHAPES:
        raise PhysicsError(
            f"{record.name} (asset {record.asset}) has {rounds} round collision shapes, at most {MAX_SHAPES - 1} work"
        )
    with _hulls_of(solid, solids.folder / f"{len(solids.made)}.obj") as hulls:
        told = {name: [*values, *hulls.get(name, ())] for name, values in solid.exact.items()}
        try:
            shape: int = bullet.createCollisionShapeArray(**told, physicsClientId=client)
        except bullet.error as error:
            raise PhysicsError(
                f"PyBullet makes no collision shape of {record.name} (asset {record.asset}){solids.noise.last}"
            ) from error
    _set_margin(client, shape)
    return shape


@contextmanager
def _hulls_of(solid: _Solid, path: Path) -> Iterator[dict[str, list[Any]]]:
    """What ``createCollisionShapeArray`` is told of the hulls of ``solid``, which are in a file at ``path`` meanwhile.

    Nothing without hulls.
    """
    if not solid.hulls:
        yield {}
        return
    path.write_bytes(solid.hulls)
    try:
        yield {
            "shapeTypes": [bullet.GEOM_MESH],
            "radii": [0.0],
            "halfExtents": [[0.0, 0.0, 0.0]],
            "lengths": [0.0],
            "fileNames": [str(path)],
            "collisionFramePositions": [[0.0, 0.0, 0.0]],
            "collisionFrameOrientations": [[0.0, 0.0, 0.0, 1.0]],
        }
    finally:
        # Not left to be written over by the next scene: file systems bring what is cut to the disk at once.
        path.unlink()


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


def _hull_file(hulls: list[Array]) -> bytes:
    """An OBJ file with one object per hull of vertices (n, 3); PyBullet takes the hull of those in its faces."""
    parts = []
    first = 1
    for number, hull in enumerate(hulls):
        count = len(hull)
        last = first + count - 1
        parts.append(f"o {number}\n")
        parts.append("v %.9g %.9g %.9g\n" * count % tuple(hull.ravel().tolist()))
        parts += [f"f {k} {min(k + 1, last)} {min(k + 2, last)}\n" for k in range(first, last + 1, 3)]
        first = last + 1
    return "".join(parts).encode("ascii")

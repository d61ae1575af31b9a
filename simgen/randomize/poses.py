"""Where objects go: dropped, set down, floating or given.

What is drawn for an object is a point of its region and a rotation, independent of all other objects. Where objects
would touch, they are then moved apart by a fixed rule: up for a drop, and aside before that gets too high; to the
nearest free place otherwise.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.spatial.transform import Rotation

from simgen.distributions import Uniform, Vector
from simgen.distributions.base import mix
from simgen.geometry import Array, rotation_from_quaternion
from simgen.randomize.content import Item
from simgen.randomize.draw import Draw
from simgen.randomize.occupied import Occupied
from simgen.randomize.surfaces import Support, pose_of
from simgen.scene.definition import Group, Placement
from simgen.scene.fields import ROTATIONS
from simgen.scene.record import Pose

_CANDIDATES = 512
_FALL = 0.15
"""Metres that an object may lie higher than need be at the start of a drop."""
_FULL = 0.9
"""Share of a surface's extent that is used when no region is given."""
_SIGNS = np.array([[-1.0], [1.0]])
_SQUARE = Vector((Uniform(-1, 1), Uniform(-1, 1)))
_CUBE = Vector((Uniform(-1, 1), Uniform(-1, 1), Uniform(-1, 1)))


def place(
    name: str, ordinal: int, group: Group, items: list[Item], support: Support, occupied: Occupied, draw: Draw
) -> list[Pose | None]:
    """``T_world_obj`` of each item, None where there is no room for it.

    ``ordinal`` counts groups, so that the nominal places of different groups differ.
    """
    definition = group.place
    if definition.kind == "fixed":
        return _given(name, definition, items, support, draw)
    solid = definition.kind == "floating"
    rotation = definition.rotation or ROTATIONS["upright" if definition.kind == "surface" else "random"]
    rotations = draw.many("poses", f"{name}.rotation", rotation, len(items))
    points = _points(name, ordinal, len(items), 3 if solid else 2, draw)
    put = {"drop": _drop, "surface": _set_down, "floating": _float}[definition.kind]
    out: list[Pose | None] = []
    for item, point, quaternion in zip(items, points, rotations, strict=True):
        R = rotation_from_quaternion(quaternion)
        center = put(definition, item, np.asarray(point), R, support, occupied)
        out.append(None if center is None else _pose(item, support.T[:3, :3] @ R, center))
    return out


def _points(name: str, ordinal: int, n: int, d: int, draw: Draw) -> list[tuple[float, ...]]:
    """A point of [-1, 1]^d for each item; nominal: a low-discrepancy sequence that begins in the middle."""
    strength = draw.strengths["poses"]
    rows = draw.uniforms("poses", f"{name}.point", n, d)
    cube = _SQUARE if d == 2 else _CUBE
    nominal = _sequence(d, 17 * ordinal + n)[17 * ordinal :]
    points = [
        tuple(mix(a, b, strength) for a, b in zip(nominal[k].tolist(), cube.value(u), strict=True))
        for k, u in enumerate(rows)
    ]
    draw.note("poses", f"{name}.point", points)
    return points


def _given(name: str, definition: Placement, items: list[Item], support: Support, draw: Draw) -> list[Pose | None]:
    out: list[Pose | None] = []
    for k in range(len(items)):
        given = definition.poses[k]
        position = draw.one("poses", f"{name}.{k}.position", given.position)
        rpy = draw.one("poses", f"{name}.{k}.rpy_deg", given.rpy_deg)
        T = np.eye(4)
        T[:3, :3] = rotation_from_rpy(rpy)
        T[:3, 3] = position
        out.append(pose_of(support.T @ T))
    return out


def _drop(
    definition: Placement, item: Item, point: Array, R: Array, support: Support, occupied: Occupied
) -> Array | None:
    """The centre of the item's box: over its point, above everything that is there already.

    Where it would have to fall far it starts over the nearest place where it need not: what falls from a high stack
    jumps out of its bin.
    """
    within = _within(definition, support, _half(item, R))
    box = _box(support.T[:3, :3] @ R, item)
    # The search is only needed where the drawn point itself is too high.
    for points in (lambda: point[None], lambda: _near(point, 2)):
        across = points() * within
        candidates = np.empty((len(across), 3))
        candidates[:, :2], candidates[:, 2] = across + definition.center[:2], definition.center[2]
        places = candidates @ support.T[:3, :3].T + support.T[:3, 3]
        floor = np.maximum(occupied.top(places[:, None] + box, definition.gap), places[:, 2])
        low = np.flatnonzero(floor - places[:, 2] <= _FALL)
        if len(low):
            break
    chosen = low[0] if len(low) else np.argmin(floor)
    center = places[chosen].copy()
    center[2] = floor[chosen] + definition.height - box[0, 2]
    occupied.take(center + box)
    return center


def _set_down(
    definition: Placement, item: Item, point: Array, R: Array, support: Support, occupied: Occupied
) -> Array | None:
    """The centre of the item's box: on the surface, in the free place nearest to its point."""
    half = _half(item, R)
    candidates = _near(point, 2) * _within(definition, support, half)
    z = definition.center[2] + half[2] + 0.0005  # not in contact yet: Bullet pushes apart what overlaps at the start
    return _first_free(
        definition, np.column_stack([candidates, np.full(len(candidates), z)]), R, item, support, occupied
    )


def _float(
    definition: Placement, item: Item, point: Array, R: Array, support: Support, occupied: Occupied
) -> Array | None:
    """The centre of the item's box: the free place of the volume nearest to its point."""
    half = _half(item, R)
    region = np.asarray(definition.region, np.float64)
    candidates = _near(point, 3) * np.maximum(region / 2 - half, 0)
    candidates[:, 2] += definition.center[2]
    return _first_free(definition, candidates, R, item, support, occupied)


def _first_free(
    definition: Placement, candidates: Array, R: Array, item: Item, support: Support, occupied: Occupied
) -> Array | None:
    candidates[:, :2] += definition.center[:2]
    centers = candidates @ support.T[:3, :3].T + support.T[:3, 3]
    box = _box(support.T[:3, :3] @ R, item)
    free = np.flatnonzero(occupied.free(centers[:, None] + box, definition.gap))
    if not len(free):
        return None
    center = centers[free[0]]
    occupied.take(center + box)
    return center


def _near(point: Array, d: int) -> Array:
    """``point`` and then places all over [-1, 1]^d (m, d), the nearest first."""
    places = _sequence(d, _CANDIDATES)
    order = np.argsort(((places - point) ** 2).sum(axis=1), kind="stable")
    return np.concatenate([point[None], places[order]])


@cache
def _sequence(d: int, n: int) -> Array:
    """The first ``n`` points of the R_d sequence (Roberts 2018) in [-1, 1]^d (n, d), beginning at 0."""
    # The generalized golden ratio: the positive root of x^(d + 1) = x + 1.
    ratio = {2: 1.32471795724474602596, 3: 1.22074408460575947536}[d]
    steps = ratio ** -np.arange(1.0, d + 1)
    points = 2 * ((0.5 + np.arange(n)[:, None] * steps) % 1.0) - 1
    points.flags.writeable = False
    return points


def _within(definition: Placement, support: Support, half: Array) -> Array:
    """Half extents (2,) in which the centre of an item may be."""
    region = np.asarray(support.size) * _FULL if definition.region is None else np.asarray(definition.region[:2])
    return np.maximum(region / 2 - half[:2], 0)


def _half(item: Item, R: Array) -> Array:
    """Half extents (3,) of the box around the item turned by ``R``."""
    return np.abs(R) @ ((item.asset.bounds[1] - item.asset.bounds[0]) / 2 * item.scale)


def _box(R: Array, item: Item) -> Array:
    """The box (2, 3) in the world around the item turned by ``R``, about its own centre."""
    return _SIGNS * _half(item, R)


def _pose(item: Item, R: Array, center: Array) -> Pose:
    T = np.eye(4)
    T[:3, :3] = R
    low, high = item.asset.bounds
    T[:3, 3] = center - R @ ((low + high) / 2 * item.scale)
    return pose_of(T)


def rotation_from_rpy(rpy_deg: tuple[float, float, float]) -> Array:
    """The 3x3 of roll, pitch and yaw in degrees about fixed x, y and z (URDF's convention)."""
    return np.asarray(Rotation.from_euler("xyz", rpy_deg, degrees=True).as_matrix())

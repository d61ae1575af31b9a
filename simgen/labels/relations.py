"""Relations between things: what touches, lies on and is in what."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from simgen.geometry import inverse, transform
from simgen.scene.record import BodyRecord, SceneRecord
from simgen.scene.state import Trace

_UPWARDS = 0.5
"""Vertical share of the force between two things above which the upper one lies on the lower one."""


def touching(record: SceneRecord, contacts: Trace, time: float) -> set[tuple[str, str]]:
    """Pairs of names, sorted, that touched at the time of the trace nearest to ``time``, in seconds.

    ``contacts`` is the trace of that name. The parts of a surface count as the surface.
    """
    return {(min(pair), max(pair)) for pair in _forces(record, contacts, time)}


def lying_on(record: SceneRecord, contacts: Trace, time: float) -> set[tuple[str, str]]:
    """Pairs (what lies, what it lies on): the second pushes the first mostly upwards."""
    found = set()
    for (a, b), force in _forces(record, contacts, time).items():
        length = float(np.linalg.norm(force))
        if length > 0 and abs(force[2]) > _UPWARDS * length:
            found.add((a, b) if force[2] > 0 else (b, a))
    return found


def lying_in(record: SceneRecord, T_world_obj: Mapping[str, NDArray[np.float64]]) -> set[tuple[str, str]]:
    """Pairs (thing, tray, bin or room): the origin of its frame is between the walls, not above them.

    ``T_world_obj`` are the poses (4, 4) of the things asked for, by name.
    """
    found = set()
    for name, (T_world_floor, size, height) in _containers(record).items():
        for thing, T in T_world_obj.items():
            x, y, z = (inverse(T_world_floor) @ T)[:3, 3]
            if abs(x) < size[0] / 2 and abs(y) < size[1] / 2 and -0.001 < z < height:
                found.add((thing, name))
    return found


def _forces(record: SceneRecord, contacts: Trace, time: float) -> dict[tuple[str, str], NDArray[np.float64]]:
    """Pairs (a, b) of names that touch -> force (3,) in N with which b pushes a."""
    column = {name: k for k, name in enumerate(contacts.columns)}
    if not len(contacts.time):
        return {}
    now = contacts.time[np.argmin(np.abs(contacts.time - time))]
    found: dict[tuple[str, str], NDArray[np.float64]] = {}
    for row in contacts.value[contacts.time == now]:
        a, b = (_owner(record.bodies[int(row[column[key]])]) for key in ("body_a", "body_b"))
        if a == b:
            continue
        force = row[column["force"]] * row[[column["nx"], column["ny"], column["nz"]]]
        pair, push = ((a, b), force) if a < b else ((b, a), -force)
        found[pair] = found.get(pair, np.zeros(3)) + push
    return found


def _owner(body: BodyRecord) -> str:
    return body.group if body.role == "surface" else body.name


def _containers(record: SceneRecord) -> dict[str, tuple[NDArray[np.float64], tuple[float, float], float]]:
    """Surfaces with walls -> frame of the floor's top, extent between the walls, and their height above it."""
    bodies = {body.name: body for body in record.bodies if body.role == "surface"}
    found = {}
    for group in dict.fromkeys(body.group for body in bodies.values()):
        floor, x_wall, y_wall = (bodies.get(f"{group}_{part}") for part in ("floor", "wall0", "wall2"))
        if floor is None or x_wall is None or y_wall is None:
            continue
        lift = (0.0, 0.0, floor.scale[2] / 2)
        T = transform(floor.pose.position, floor.pose.quaternion_xyzw) @ transform(lift)
        walls = [(inverse(T) @ transform(wall.pose.position))[:3, 3] for wall in (x_wall, y_wall)]
        size = (
            float(2 * abs(walls[0][0]) - x_wall.scale[0]),
            float(2 * abs(walls[1][1]) - y_wall.scale[1]),
        )
        found[group] = (T, size, float(walls[0][2] + x_wall.scale[2] / 2))
    return found

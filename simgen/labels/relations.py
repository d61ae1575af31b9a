"""Relations between things: what touches, lies on and is in what."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from simgen.scene.containers import containers
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
    for name, container in containers(record).items():
        for thing, T in T_world_obj.items():
            if container.over(T[:3, 3]) and container.depth(T[:3, 3]) > 0:
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

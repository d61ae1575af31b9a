"""Surfaces as boxes: walls and table tops have a thickness to collide with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simgen.geometry import Array, quaternion_from_axis_angle, quaternion_from_rotation, transform
from simgen.randomize.appearance import Pools, materials
from simgen.randomize.draw import Draw
from simgen.scene.definition import Surface
from simgen.scene.record import BodyRecord, Pose, Vec3

_HEIGHT = {"plane": 0.0, "table": 0.75, "tray": 0.04, "bin": 0.14, "room": 2.6}
_THICKNESS = {"plane": 0.05, "table": 0.03, "tray": 0.006, "bin": 0.008, "room": 0.1}
_LEG = 0.05
"""Metres; width of a table's legs."""


@dataclass(frozen=True)
class Support:
    """Where things go on a surface: ``T_world_support`` (4, 4), z = 0 on top, and the free extent in x and y."""

    T: Array
    size: tuple[float, float]


@dataclass(frozen=True)
class _Box:
    """A part in the frame of its surface: centre, extents, and which of the surface's materials it has."""

    name: str
    center: Vec3
    size: Vec3
    material: int = 0


def surface(name: str, definition: Surface, draw: Draw, pools: Pools) -> tuple[list[BodyRecord], Support]:
    """The bodies of a surface and where things go on it."""
    position = draw.one("poses", f"{name}.position", definition.position)
    yaw = np.radians(draw.one("poses", f"{name}.yaw_deg", definition.yaw_deg))
    T = transform(position, quaternion_from_axis_angle((0, 0, 1), yaw))
    friction = draw.one("physics", f"{name}.friction", definition.friction)
    restitution = draw.one("physics", f"{name}.restitution", definition.restitution)
    boxes = _boxes(definition)
    looks = materials(
        name, definition.material, definition.texture, max(box.material for box in boxes) + 1, draw, pools
    )
    bodies = [
        BodyRecord(
            name=f"{name}_{box.name}",
            asset="primitive/box",
            role="surface",
            group=name,
            pose=pose_of(T @ transform(box.center)),
            motion="fixed",
            scale=box.size,
            friction=friction,
            restitution=restitution,
            material=looks[box.material],
        )
        for box in boxes
    ]
    lift = _thickness(definition) if definition.kind in ("tray", "bin") else 0.0
    return bodies, Support(T @ transform((0, 0, lift)), (definition.size[0], definition.size[1]))


def pose_of(T: Array) -> Pose:
    """The pose of a 4x4."""
    x, y, z = T[:3, 3].tolist()
    qx, qy, qz, qw = quaternion_from_rotation(T[:3, :3]).tolist()
    return Pose((x, y, z), (qx, qy, qz, qw))


def _thickness(definition: Surface) -> float:
    return _THICKNESS[definition.kind] if definition.thickness is None else definition.thickness


def _boxes(definition: Surface) -> list[_Box]:
    x, y = definition.size
    t = _thickness(definition)
    h = _HEIGHT[definition.kind] if definition.height is None else definition.height
    if definition.kind == "plane":
        return [_Box("top", (0.0, 0.0, -t / 2), (x, y, t))]
    if definition.kind == "table":
        leg = max(h - t, 1e-3)
        dx, dy = max(x / 2 - _LEG, 0.0), max(y / 2 - _LEG, 0.0)
        corners = [(-dx, -dy), (dx, -dy), (-dx, dy), (dx, dy)]
        legs = [_Box(f"leg{k}", (a, b, -t - leg / 2), (_LEG, _LEG, leg)) for k, (a, b) in enumerate(corners)]
        return [_Box("top", (0.0, 0.0, -t / 2), (x, y, t)), *legs]
    room = definition.kind == "room"
    floor = _Box("floor", (0.0, 0.0, -t / 2 if room else t / 2), (x + 2 * t, y + 2 * t, t))
    # The walls of a tray stand on the same ground as its floor; those of a room begin at the floor's top.
    low = 0.0 if room else t
    z, high, side = (low + h) / 2, max(h - low, 1e-3), int(room)
    walls = [
        _Box("wall0", (-(x + t) / 2, 0.0, z), (t, y + 2 * t, high), side),
        _Box("wall1", ((x + t) / 2, 0.0, z), (t, y + 2 * t, high), side),
        _Box("wall2", (0.0, -(y + t) / 2, z), (x, t, high), side),
        _Box("wall3", (0.0, (y + t) / 2, z), (x, t, high), side),
    ]
    return [floor, *walls]

"""Trays, bins and rooms: what is between their walls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simgen.geometry import inverse, transform
from simgen.scene.record import SceneRecord

_SLACK = 0.001
"""Metres that a thing may sink into the floor."""


@dataclass(frozen=True, eq=False)
class Container:
    """A floor with walls: ``T_floor_world`` (4, 4), z = 0 on the floor; extents between and height of the walls."""

    T_floor_world: NDArray[np.float64]
    size: tuple[float, float]
    height: float

    def over(self, point: ArrayLike) -> bool:
        """Whether ``point`` (3,) in the world is on or over the floor, at any height."""
        x, y, z = self._local(point)
        return bool(abs(x) < self.size[0] / 2 and abs(y) < self.size[1] / 2 and z > -_SLACK)

    def depth(self, point: ArrayLike) -> float:
        """Metres from ``point`` (3,) up to the upper edge of the walls."""
        return self.height - float(self._local(point)[2])

    def _local(self, point: ArrayLike) -> NDArray[np.float64]:
        return self.T_floor_world[:3, :3] @ np.asarray(point, np.float64) + self.T_floor_world[:3, 3]


def containers(record: SceneRecord) -> dict[str, Container]:
    """The surfaces with walls, by name."""
    bodies = {body.name: body for body in record.bodies if body.role == "surface"}
    found = {}
    for group in dict.fromkeys(body.group for body in bodies.values()):
        floor, x_wall, y_wall = (bodies.get(f"{group}_{part}") for part in ("floor", "wall0", "wall2"))
        if floor is None or x_wall is None or y_wall is None:
            continue
        T = transform(floor.pose.position, floor.pose.quaternion_xyzw) @ transform((0.0, 0.0, floor.scale[2] / 2))
        T_floor_world = inverse(T)
        walls = [(T_floor_world @ transform(wall.pose.position))[:3, 3] for wall in (x_wall, y_wall)]
        size = (float(2 * abs(walls[0][0]) - x_wall.scale[0]), float(2 * abs(walls[1][1]) - y_wall.scale[1]))
        found[group] = Container(T_floor_world, size, float(walls[0][2] + x_wall.scale[2] / 2))
    return found

"""Mass, friction and restitution of a group's objects."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simgen.distributions import Constant
from simgen.randomize.content import Item
from simgen.randomize.draw import Draw
from simgen.scene.definition import Group


class Properties(NamedTuple):
    """What physics knows of a body; mass in kg, None for the asset's own."""

    mass: float | None
    friction: float
    restitution: float


def properties(name: str, group: Group, items: list[Item], draw: Draw) -> list[Properties]:
    """The properties of each item."""
    n = len(items)
    masses = [None] * n if group.mass is None else draw.many("physics", f"{name}.mass", group.mass, n)
    factors = draw.many("physics", f"{name}.mass_factor", group.mass_factor, n)
    frictions = draw.many("physics", f"{name}.friction", group.friction, n)
    restitutions = draw.many("physics", f"{name}.restitution", group.restitution, n)
    return [
        Properties(_mass(item, mass, factor, group), friction, restitution)
        for item, mass, factor, friction, restitution in zip(
            items, masses, factors, frictions, restitutions, strict=True
        )
    ]


def _mass(item: Item, mass: float | None, factor: float, group: Group) -> float | None:
    if mass is None:
        if group.mass_factor == Constant(1.0) or item.asset.inertia is None:
            return None
        mass = item.asset.inertia.mass * float(np.prod(item.scale))
    return float(mass * factor)

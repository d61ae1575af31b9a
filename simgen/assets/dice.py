"""Procedural six-sided dice: rounded bodies of 12 to 20 mm in many colours, opposite faces summing to seven.

Everything about a die follows from its name. On "right" dice one, two and three run counter-clockwise around the corner
that they share, as on those sold in Europe and America; on "left" dice clockwise, as on most from East Asia. In the
frame of the asset, whose origin is the middle of the cube, one points along +z, two along +x, and three along +y of
right dice and -y of left ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simgen import rng
from simgen.assets.asset import Asset, Material, Mesh
from simgen.assets.decomposition import hull_shape
from simgen.assets.dice_faces import COLUMNS, ROWS, FaceDesign, color_map, normal_map, pips
from simgen.assets.inertia import solid_inertia
from simgen.assets.mesh import F64, bounds, build, dot, joined, moved, unit

PREFIX = "dice/"

COUNTS = {"right": 192, "left": 64}
"""How many dice there are of each kind: "dice/right_000" and on, "dice/left_000" and on."""

DENSITY = 1190.0
"""kg/m^3 of acrylic, of which most dice are made."""

ARC = 3
"""Pieces in which half a rounded edge is divided."""

FLAT = 4
"""Pieces in which the flat part between two rounded edges is divided; dice cut by a sphere need them."""

_FACES: dict[int, tuple[tuple[int, int, int], tuple[int, int, int]]] = {
    1: ((1, 0, 0), (0, 1, 0)),
    2: ((0, 1, 0), (0, 0, 1)),
    3: ((-1, 0, 0), (0, 0, 1)),
    4: ((1, 0, 0), (0, 0, 1)),
    5: ((0, -1, 0), (0, 0, 1)),
    6: ((1, 0, 0), (0, -1, 0)),
}
"""Number of pips -> right and up of the face's picture on right dice; the face looks along their cross product."""


@dataclass(frozen=True)
class DieDesign:
    """What one die looks like. Lengths but ``edge`` (metres) are in edges."""

    edge: float
    rounding: float
    """Radius of edges and corners."""
    cut: float
    """Radius of the sphere that cuts the corners off; from 0.87 on none are."""
    bulge: float
    """Slope of the faces at their edges, in reflections only: lamps show as streaks on real dice."""
    roughness: float
    metallic: float
    faces: FaceDesign


def names() -> list[str]:
    """The names of all dice."""
    return [f"{PREFIX}{kind}_{k:03d}" for kind, count in COUNTS.items() for k in range(count)]


def up_axes(kind: str) -> dict[int, tuple[int, int, int]]:
    """Number of pips -> the direction in the frame of the asset in which that face looks; ``kind`` as in COUNTS."""
    return {value: _looks(value, kind) for value in _FACES}


def die(name: str) -> Asset:
    """The die called ``name``, one of ``names()``."""
    kind = name.removeprefix(PREFIX).split("_")[0]
    shape = design(name)
    axes = {value: _axes(value, kind) for value in _FACES}
    material = Material(
        (1.0, 1.0, 1.0, 1.0),
        color_map(shape.faces, axes),
        shape.roughness,
        shape.metallic,
        normal_map=normal_map(shape.faces),
    )
    mesh = _mesh(shape, axes, material)
    collision = (hull_shape(_outline(shape) * shape.edge),)
    return Asset(name, "die", (mesh,), bounds([mesh]), collision, solid_inertia(collision, density=DENSITY))


def design(name: str) -> DieDesign:
    """What the die called ``name`` looks like: drawn, always alike."""
    random = rng.stream(0, 0, f"asset/{name}")

    def between(low: float, high: float) -> float:
        return low + (high - low) * float(random.random())

    edge = between(0.012, 0.016) if random.random() < 0.55 else between(0.016, 0.0195)
    faces = FaceDesign.drawn(random, name)
    # The outermost pips lie on the flat part of their face.
    reach = faces.spread + faces.radius
    rounding = between(0.05, min(0.16, 0.5 - reach))
    smallest = float(np.sqrt(0.25 + (faces.spread * np.sqrt(2) + faces.radius) ** 2))
    cut = between(smallest, 0.8) if random.random() < 0.4 else 0.87
    metallic = between(0.3, 0.8) if faces.body == "pearl" else 0.0
    roughness = between(0.06, 0.4) if random.random() < 0.8 else between(0.4, 0.8)
    bulge = between(0.0, 0.2)
    return DieDesign(edge, rounding, cut, bulge, roughness, metallic, faces)


def _axes(value: int, kind: str) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Right and up of the picture of a face. Three and four change places on left dice."""
    if kind == "left":
        value = {3: 4, 4: 3}.get(value, value)
    return _FACES[value]


def _looks(value: int, kind: str) -> tuple[int, int, int]:
    x, y, z = np.cross(*_axes(value, kind)).tolist()
    return (x, y, z)


def _mesh(
    shape: DieDesign, axes: dict[int, tuple[tuple[int, int, int], tuple[int, int, int]]], material: Material
) -> Mesh:
    """The surface: each face with its rounded borders shows one cell of the pictures."""
    flat = 0.5 - shape.rounding
    arc = [flat + shape.rounding * k / ARC for k in range(ARC + 1)]  # up to the middle of a rounded edge
    middle = [flat * (2 * k / FLAT - 1) for k in range(1, FLAT)]
    line = np.array([-t for t in reversed(arc)] + middle + arc)
    s, t = np.meshgrid(line, line)
    number = np.arange(s.size).reshape(s.shape)
    a, b, c, d = (part.ravel() for part in (number[:-1, :-1], number[:-1, 1:], number[1:, 1:], number[1:, :-1]))
    faces = np.concatenate([np.stack([a, b, c], axis=-1), np.stack([a, c, d], axis=-1)])
    sheet = np.stack([s.ravel(), t.ravel(), np.full(s.size, 0.5)], axis=-1)
    core = np.clip(sheet, -flat, flat)
    normal = unit(sheet - core)
    point = core + normal * shape.rounding
    inner = 1 - np.abs(sheet - core)[:, :2].max(axis=1, keepdims=True) / shape.rounding  # 0 where the next face begins
    normal = unit(normal + shape.bulge * inner * core * (2, 2, 0))
    distance = np.sqrt(dot(point, point))[:, None]
    outside = distance > shape.cut
    normal = np.where(outside, unit(point), normal)
    point = np.where(outside, point * (shape.cut / distance), point)
    parts = []
    for value, (right, up) in axes.items():
        column, row = (value - 1) % COLUMNS, (value - 1) // COLUMNS
        uv = (np.stack([sheet[:, 0], -sheet[:, 1]], axis=-1) + 0.5 + (column, row)) / (COLUMNS, ROWS)
        turn = np.column_stack([right, up, np.cross(right, up)])
        parts.append(moved(build(point * shape.edge, faces, normal, material, uv), turn))
    return joined(parts)


def _outline(shape: DieDesign) -> F64:
    """Points (56, 3) whose hull stands for a die of edge 1: corners of its flats, ends of its edges, its corners."""
    flat, radius = 0.5 - shape.rounding, shape.cut
    rim = float(np.sqrt(radius * radius - 0.25))  # of the circle that the sphere leaves of a face
    on_face = min(flat, rim / float(np.sqrt(2)))
    bevel = flat + shape.rounding / float(np.sqrt(2))
    along = min(flat, float(np.sqrt(max(radius * radius - 2 * bevel * bevel, 0.0))))
    corner = min(radius / float(np.sqrt(3)), flat + shape.rounding / float(np.sqrt(3)))
    # Where the sphere reaches below the middle of an edge, it takes that off too.
    bevel = min(bevel, radius / float(np.sqrt(2)))
    signs = np.array([(i, j, k) for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)], np.float64)
    points = [signs * corner]
    for axis in range(3):
        face, edge = np.full(3, on_face), np.full(3, bevel)
        face[axis], edge[axis] = 0.5, along
        points += [signs * face, signs * edge]
    return np.concatenate(points)


def pip_centers(name: str) -> dict[int, F64]:
    """Number of pips -> their centres (k, 3) on the die called ``name``, metres in its frame."""
    shape = design(name)
    kind = name.removeprefix(PREFIX).split("_")[0]
    found = {}
    for value in _FACES:
        right, up = (np.array(axis, np.float64) for axis in _axes(value, kind))
        where = np.array(pips(shape.faces, value))
        found[value] = (where[:, :1] * right + where[:, 1:] * up + 0.5 * np.cross(right, up)) * shape.edge
    return found

"""Volume, mass, centre of mass and moments of inertia of collision shapes, and how they change with scale.

A solid of uniform density rho is described by its volume V, its first moments ``int x dV`` (3,) and second moments
``int x x^T dV`` (3, 3) about the origin of the asset's frame. Under a linear map A they become |A| V, |A| A m and
|A| A S A^T, which scales any inertia exactly.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simgen.assets.asset import CollisionShape, Inertia
from simgen.assets.hull import convex_hull
from simgen.assets.mesh import cross, dot
from simgen.errors import AssetError
from simgen.geometry import quaternion_from_rotation, rotation_from_quaternion

F64 = NDArray[np.float64]

DENSITY = 400.0
"""kg/m^3 of a solid when nothing is known of its mass; household objects are mostly hollow, water is 1000."""

PLAUSIBLE_RATIO = 10.0
"""A file's moments are believed when they are within this factor of those of a uniform solid of the same shape."""


class Moments(NamedTuple):
    """Volume in m^3, first moments (3,) in m^4 and second moments (3, 3) in m^5 about the origin."""

    volume: float
    first: F64
    second: F64


def moments(shape: CollisionShape) -> Moments:
    """The moments of one shape; a hull is summed over tetrahedra, which is exact for a polyhedron."""
    if shape.kind == "hull":
        assert shape.vertices is not None
        return polyhedron_moments(*convex_hull(shape.vertices))
    x, y, z = shape.size
    r = x / 2
    if shape.kind == "box":
        volume, diagonal = x * y * z, (x * x / 12, y * y / 12, z * z / 12)
    elif shape.kind == "sphere":
        volume, diagonal = 4 / 3 * math.pi * r**3, (r * r / 5,) * 3
    elif shape.kind == "cylinder":
        volume, diagonal = math.pi * r * r * z, (r * r / 4, r * r / 4, z * z / 12)
    else:
        length = max(z - 2 * r, 0.0)
        tube, caps = math.pi * r * r * length, 4 / 3 * math.pi * r**3
        volume = tube + caps
        side = (tube * r * r / 4 + caps * r * r / 5) / volume
        axial = tube * length**2 / 12 + caps * (r * r / 5 + 3 * r * length / 8 + length**2 / 4)
        diagonal = (side, side, axial / volume)
    center = np.asarray(shape.center, np.float64)
    return Moments(volume, volume * center, volume * (np.diag(diagonal) + np.multiply.outer(center, center)))


def polyhedron_moments(vertices: F64, faces: NDArray[np.int64]) -> Moments:
    """The moments of the solid bounded by outward ``faces`` (F, 3): signed tetrahedra from the vertices' mean.

    Tonon 2004, "Explicit exact formulas for the 3-D tetrahedron inertia tensor in terms of its vertex coordinates".
    """
    apex = vertices.mean(axis=0)
    a, b, c = (vertices[faces[:, k]] - apex for k in range(3))
    tetra = dot(a, cross(b, c)) / 6
    total = a + b + c
    volume = math.fsum(tetra)
    first = np.array([math.fsum(tetra * total[:, k]) / 4 for k in range(3)])
    second = np.empty((3, 3))
    for i in range(3):
        for j in range(i, 3):
            products = a[:, i] * a[:, j] + b[:, i] * b[:, j] + c[:, i] * c[:, j] + total[:, i] * total[:, j]
            second[i, j] = second[j, i] = math.fsum(tetra * products) / 20
    outer = np.multiply.outer
    shifted = second + outer(apex, first) + outer(first, apex) + volume * outer(apex, apex)
    return Moments(volume, first + volume * apex, shifted)


def total_moments(shapes: Iterable[CollisionShape]) -> Moments:
    """The sum over ``shapes``; where they overlap, the overlap counts twice."""
    parts = [moments(shape) for shape in shapes]
    return Moments(
        math.fsum(part.volume for part in parts),
        np.array([math.fsum(part.first[k] for part in parts) for k in range(3)]),
        np.array([[math.fsum(part.second[i, j] for part in parts) for j in range(3)] for i in range(3)]),
    )


def solid_inertia(shapes: Sequence[CollisionShape], mass: float | None = None, density: float = DENSITY) -> Inertia:
    """The inertia of ``shapes`` filled evenly with ``mass`` kg, or with ``density`` kg/m^3 when it is None."""
    return filled(total_moments(shapes), mass, density)


def filled(whole: Moments, mass: float | None = None, density: float = DENSITY) -> Inertia:
    """As ``solid_inertia``, of shapes whose moments together are ``whole``."""
    weight = density * whole.volume if mass is None else mass
    center = whole.first / whole.volume
    spread = whole.second / whole.volume - np.multiply.outer(center, center)
    return from_covariance(weight, center, spread * weight)


def from_covariance(mass: float, center: ArrayLike, covariance: F64) -> Inertia:
    """The inertia of ``covariance`` (3, 3) = ``int rho (x - c)(x - c)^T dV`` in kg m^2."""
    tensor = np.eye(3) * (covariance[0, 0] + covariance[1, 1] + covariance[2, 2]) - covariance
    return from_tensor(mass, center, tensor)


def from_tensor(mass: float, center: ArrayLike, tensor: F64) -> Inertia:
    """The inertia of ``tensor`` (3, 3) kg m^2 about ``center``, brought to principal axes."""
    values, axes = principal_axes(tensor)
    x, y, z = (float(c) for c in np.asarray(center, np.float64))
    qx, qy, qz, qw = (float(c) for c in quaternion_from_rotation(axes))
    return Inertia(float(mass), (x, y, z), values, (qx, qy, qz, qw))


def covariance(inertia: Inertia) -> F64:
    """``int rho (x - c)(x - c)^T dV`` (3, 3) in kg m^2, axes of the asset."""
    R = rotation_from_quaternion(inertia.axes_xyzw)
    half = sum(inertia.moments) / 2
    spread = [half - moment for moment in inertia.moments]
    columns = [spread[k] * np.multiply.outer(R[:, k], R[:, k]) for k in range(3)]
    return columns[0] + columns[1] + columns[2]


def scaled_inertia(inertia: Inertia, scale: Sequence[float], mass: float | None = None) -> Inertia:
    """``inertia`` of the body stretched by ``scale`` (x, y, z) about the asset's origin.

    The mass grows with the volume, unless ``mass`` kg is given. Raises AssetError when either is not positive.
    """
    x, y, z = checked_scale(scale)
    if mass is not None and not (math.isfinite(mass) and mass > 0):
        raise AssetError(f"a mass of {mass} kg cannot be simulated: give one above zero")
    grown = inertia.mass * x * y * z
    weight = grown if mass is None else mass
    if (x, y, z) == (1.0, 1.0, 1.0) and weight == inertia.mass:
        return inertia
    if not inertia.mass > 0:
        raise AssetError(f"a body of {inertia.mass} kg cannot be given another size or mass: give it a mass above zero")
    if (x, y, z) == (1.0, 1.0, 1.0):
        a, b, c = (moment * (weight / inertia.mass) for moment in inertia.moments)
        return replace(inertia, mass=float(weight), moments=(a, b, c))
    center = (inertia.center[0] * x, inertia.center[1] * y, inertia.center[2] * z)
    stretch = np.array([x, y, z])
    return from_covariance(
        weight, center, covariance(inertia) * np.multiply.outer(stretch, stretch) * (weight / inertia.mass)
    )


def checked_scale(scale: Sequence[float]) -> tuple[float, float, float]:
    """``scale`` as three floats; raises AssetError when one is not a positive number."""
    x, y, z = (float(s) for s in scale)
    if not all(math.isfinite(s) and s > 0 for s in (x, y, z)):
        raise AssetError(f"a scale of {(x, y, z)} cannot be used: each of the three has to be above zero")
    return x, y, z


def plausible(inertia: Inertia, uniform: Inertia) -> bool:
    """Whether a file's ``inertia`` may be believed, ``uniform`` being that of the evenly filled shape.

    Not when all three moments are one round number (1e-3, 1: placeholders), when they break the triangle inequality,
    or when one differs from the uniform solid's by more than PLAUSIBLE_RATIO.
    """
    a, b, c = sorted(inertia.moments)
    if not (all(map(math.isfinite, (a, b, c))) and a > 0 and c <= (a + b) * (1 + 1e-6)):
        return False
    exponent = math.log10(a)
    if a == c and abs(exponent - round(exponent)) < 1e-9:
        return False
    pairs = zip((a, b, c), sorted(uniform.moments), strict=True)
    return all(1 / PLAUSIBLE_RATIO < given / even < PLAUSIBLE_RATIO for given, even in pairs)


def principal_axes(tensor: F64) -> tuple[tuple[float, float, float], F64]:
    """Eigenvalues and right-handed eigenvectors (columns) of a symmetric 3x3, by cyclic Jacobi rotations.

    In plain float arithmetic rather than LAPACK, so that they are the same bits on every CPU. Axes stay as near to the
    given ones as the rotations leave them; nothing is sorted.
    """
    A = [[float(tensor[i][j]) for j in range(3)] for i in range(3)]
    V = [[float(i == j) for j in range(3)] for i in range(3)]
    for _ in range(32):
        off = abs(A[0][1]) + abs(A[0][2]) + abs(A[1][2])
        if off <= 1e-15 * (abs(A[0][0]) + abs(A[1][1]) + abs(A[2][2])):
            break
        for p, q in ((0, 1), (0, 2), (1, 2)):
            if A[p][q] == 0:
                continue
            theta = (A[q][q] - A[p][p]) / (2 * A[p][q])
            t = math.copysign(1.0, theta) / (abs(theta) + math.sqrt(theta * theta + 1))
            c = 1 / math.sqrt(t * t + 1)
            s = t * c
            for k in range(3):
                A[k][p], A[k][q] = c * A[k][p] - s * A[k][q], s * A[k][p] + c * A[k][q]
            for k in range(3):
                A[p][k], A[q][k] = c * A[p][k] - s * A[q][k], s * A[p][k] + c * A[q][k]
            for k in range(3):
                V[k][p], V[k][q] = c * V[k][p] - s * V[k][q], s * V[k][p] + c * V[k][q]
    return (A[0][0], A[1][1], A[2][2]), np.array(V)

"""Small assets and records for the physics tests: boxes, balls, hulls, and a library that holds them."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np

from simgen.assets.asset import Asset, CollisionShape, Inertia
from simgen.scene.record import (
    BodyRecord,
    CameraRecord,
    EnvironmentRecord,
    FrameRecord,
    Pose,
    SceneRecord,
    SensorRecord,
    WorldRecord,
)
from simgen.scene.state import Simulation

CAMERA = CameraRecord("front", 64, 48, 50.0, 50.0, 31.5, 23.5, Pose((0.0, 0.0, 1.0)))


class Shelf:
    """A library of assets made by hand."""

    def __init__(self, *assets: Asset) -> None:
        self.assets = {asset.name: asset for asset in assets}

    def asset(self, name: str) -> Asset:
        return self.assets[name]


def corners(size, center=(0.0, 0.0, 0.0)) -> np.ndarray:
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    return signs * np.asarray(size) / 2 + center


def box_inertia(size, mass, center=(0.0, 0.0, 0.0)) -> Inertia:
    x, y, z = size
    moments = (mass / 12 * (y * y + z * z), mass / 12 * (x * x + z * z), mass / 12 * (x * x + y * y))
    return Inertia(mass, tuple(center), moments)


def box(name, size, mass=0.2, center=(0.0, 0.0, 0.0), inertia=None) -> Asset:
    points = corners(size, center)
    return Asset(
        name,
        name,
        (),
        np.array([points.min(0), points.max(0)]),
        (CollisionShape("box", size=tuple(size), center=tuple(center)),),
        inertia or box_inertia(size, mass, center),
    )


def hull(name, points, inertia) -> Asset:
    points = np.asarray(points, np.float32)
    bounds = np.array([points.min(0), points.max(0)], np.float64)
    return Asset(name, name, (), bounds, (CollisionShape("hull", vertices=points),), inertia)


def ball(name, diameter, mass=0.1) -> Asset:
    i = 0.4 * mass * diameter**2 / 4
    bounds = np.array([[-diameter / 2] * 3, [diameter / 2] * 3])
    return Asset(
        name,
        name,
        (),
        bounds,
        (CollisionShape("sphere", size=(diameter,) * 3),),
        Inertia(mass, (0.0, 0.0, 0.0), (i, i, i)),
    )


def body(name, asset, position=(0.0, 0.0, 0.0), quaternion=(0.0, 0.0, 0.0, 1.0), **changes) -> BodyRecord:
    pose = Pose(tuple(float(p) for p in position), tuple(float(q) for q in quaternion))
    return replace(BodyRecord(name, asset, "object", "group", pose), **changes)


FLOOR = box("floor", (2.0, 2.0, 0.1), center=(0.0, 0.0, -0.05))
FLOOR_BODY = body("floor", "floor", motion="fixed", role="surface")


def scene(*bodies, times=(0.0,), camera=CAMERA, traces=(), robot=None, **world) -> SceneRecord:
    return SceneRecord(
        "test",
        0,
        0,
        WorldRecord(**world),
        tuple(bodies),
        (),
        EnvironmentRecord(color=(1.0, 1.0, 1.0)),
        tuple(FrameRecord(0, time, camera, SensorRecord()) for time in times),
        robot=robot,
        traces=tuple(traces),
    )


def heap(seed=0, count=6) -> tuple[SceneRecord, Shelf]:
    """Boxes, balls and tetrahedra that fall on each other."""
    rng = np.random.default_rng(seed)
    tetrahedron = np.array([[0, 0, 0], [0.08, 0, 0], [0, 0.08, 0], [0, 0, 0.08]])
    shelf = Shelf(
        FLOOR,
        box("brick", (0.1, 0.06, 0.04)),
        ball("ball", 0.06),
        hull("tetrahedron", tetrahedron, Inertia(0.1, (0.02, 0.02, 0.02), (3e-5, 3e-5, 3e-5))),
    )
    kinds = ("brick", "ball", "tetrahedron")
    bodies = []
    for k in range(count):
        q = rng.normal(size=4)
        position = (*rng.uniform(-0.08, 0.08, 2), 0.1 + 0.1 * k)
        bodies.append(body(f"thing{k}", kinds[k % 3], position, q / np.linalg.norm(q)))
    record = scene(FLOOR_BODY, *bodies, times=(0.0, 0.1), traces=("bodies", "contacts"))
    return record, shelf


def digest(simulation: Simulation) -> str:
    """A fingerprint of every bit of the states and traces."""
    h = hashlib.sha256(repr((simulation.removed, simulation.settle_time)).encode())
    for state in simulation.states:
        for b in state.bodies:
            if b is not None:
                for array in (b.T_world_obj, b.linear_velocity, b.angular_velocity, *b.links.values()):
                    h.update(np.ascontiguousarray(array).tobytes())
    for name in sorted(simulation.traces):
        h.update(simulation.traces[name].time.tobytes())
        h.update(simulation.traces[name].value.tobytes())
    return h.hexdigest()

"""The reference scene of the benchmarks: closed meshes on a textured plane that fills the image, three lamps.

It is built from arrays alone, so that any renderer can be given the same.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np

from simgen.assets.asset import Material, Mesh, Texture
from simgen.assets.textures import generate
from simgen.geometry import intrinsics, look_at
from simgen.render.base import Camera, Drawable, Environment, Neighbour, Snapshot
from simgen.rng import stream
from simgen.scene.record import LightRecord

FIELD = math.radians(55)
"""Horizontal field of view of the cameras."""

_SPACING = 0.16
"""Metres between neighbouring objects."""


def reference_snapshots(
    width: int, height: int, objects: int = 10, triangles: int = 20_000, views: int = 4, scenes: int = 1
) -> list[Snapshot]:
    """``views`` images each of ``scenes`` of ``objects`` tori with ``triangles`` triangles in all, from all around.

    They float over a plane, in each scene turned and coloured otherwise. Every object is textured and moves a little
    between the frames before and after, as the camera does. There are a directional, a spot and an area light, all of
    which cast soft shadows, and light from all around.

    A renderer that is given the same scene again and again has drawn its shadow maps already: measure with two.
    """
    mesh = _torus(max(2 * triangles // objects, 8) // 2)
    texture = generate("terrazzo", 1, ((0.7, 0.66, 0.6), (0.35, 0.3, 0.28), (0.5, 0.45, 0.4)), 1.0)
    skin = generate("marble", 2, ((0.75, 0.3, 0.2), (0.9, 0.8, 0.6), (0.3, 0.2, 0.2)), 1.0)
    ground = Drawable(_plane(), Material(base_color_map=texture, roughness=0.8), np.eye(4), part_id=1)
    environment = Environment("bench/reference", _sky())
    shots = []
    for scene in range(scenes):
        drawables = [ground, *_objects(scene, objects, mesh, skin)]
        shots += _views(width, height, drawables, environment, views)
    return shots


def _objects(scene: int, objects: int, mesh: Mesh, skin: Texture) -> list[Drawable]:
    rng = stream(scene, objects, "bench/reference")
    side = math.ceil(math.sqrt(objects))
    drawables = []
    for k in range(objects):
        T = np.eye(4)
        turn = rng.normal(size=(3, 3))
        T[:3, :3] = np.linalg.qr(turn)[0]
        T[:3, :3] *= np.sign(np.linalg.det(T[:3, :3]))
        T[:3, 3] = [(k % side - (side - 1) / 2) * _SPACING, (k // side - (side - 1) / 2) * _SPACING, 0.06]
        r, g, b = rng.uniform(0.4, 1.0, 3).tolist()
        material = Material(base_color=(r, g, b, 1.0), base_color_map=skin, roughness=0.2 + 0.6 * rng.random())
        drawables.append(Drawable(mesh, material, T, (0.1, 0.1, 0.1), instance_id=k + 1, part_id=k + 2))
    return drawables


def _views(width: int, height: int, drawables: list[Drawable], environment: Environment, views: int) -> list[Snapshot]:
    reach = max(math.ceil(math.sqrt(len(drawables) - 1)), 4) * _SPACING
    shots = []
    for view in range(views):
        now, before, after = (_camera(2 * math.pi * (view + s) / max(views, 1), reach) for s in (0.0, -0.01, 0.01))
        shots.append(
            Snapshot(
                tuple(drawables),
                _lights(reach),
                environment,
                Camera(intrinsics(width, height, FIELD), now, width, height),
                previous=_neighbour(drawables, before, -0.004),
                next=_neighbour(drawables, after, 0.004),
            )
        )
    return shots


def _camera(azimuth: float, reach: float) -> np.ndarray:
    eye = (0.75 * reach * math.cos(azimuth), 0.75 * reach * math.sin(azimuth), 0.8 * reach)
    return look_at(eye, (0.0, 0.0, 0.03))


def _neighbour(drawables: list[Drawable], T_world_cam: np.ndarray, step: float) -> Neighbour:
    poses = np.stack([drawable.T_world_obj for drawable in drawables])
    poses[1:, 0, 3] += step
    return Neighbour(poses, T_world_cam)


def _lights(reach: float) -> tuple[LightRecord, ...]:
    return (
        LightRecord("directional", intensity=1.6, direction=(-0.4, 0.3, -0.87), size=0.02),
        LightRecord(
            "spot", intensity=2.0 * reach**2, direction=(0.5, 0.3, -0.8), size=0.03, inner_angle=0.6, outer_angle=0.8,
            position=(-reach, -0.6 * reach, 1.6 * reach),
        ),
        LightRecord(
            "area", intensity=4.0, direction=(0.2, -0.6, -0.77), extent=(0.5 * reach, 0.5 * reach),
            position=(-0.4 * reach, 1.2 * reach, 1.5 * reach),
        ),
    )  # fmt: skip


def _sky() -> np.ndarray:
    """Radiance (32, 64, 3): bright above, dim below."""
    up = np.linspace(1, 0, 32, dtype=np.float32)[:, None, None]
    return np.broadcast_to(0.15 + up * np.array([0.45, 0.5, 0.6], np.float32), (32, 64, 3)).copy()


def _plane() -> Mesh:
    half = 40.0
    corners = np.array([[-half, -half, 0], [half, -half, 0], [half, half, 0], [-half, half, 0]], np.float32)
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    normals = np.tile(np.array([0, 0, 1], np.float32), (4, 1))
    return _mesh(corners, faces, normals, corners[:, :2] * np.float32(2.0))


def _torus(triangles: int) -> Mesh:
    """A closed torus, one unit wide, of about ``triangles`` triangles."""
    rows = max(3, round(math.sqrt(triangles / 4)))
    columns = max(3, round(triangles / (2 * rows)))
    u = np.linspace(0, 2 * np.pi, columns + 1)
    v = np.linspace(0, 2 * np.pi, rows + 1)
    along, around = np.meshgrid(u, v, indexing="ij")
    outward = np.stack([np.cos(around) * np.cos(along), np.cos(around) * np.sin(along), np.sin(around)], -1)
    center = np.stack([np.cos(along), np.sin(along), np.zeros_like(along)], -1)
    points = 0.33 * center + 0.17 * outward
    index = np.arange((columns + 1) * (rows + 1)).reshape(columns + 1, rows + 1)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    uv = np.stack([along * (3 / (2 * np.pi)), around / (2 * np.pi)], -1)
    return _mesh(points.reshape(-1, 3), faces, outward.reshape(-1, 3), uv.reshape(-1, 2))


def _mesh(vertices: np.ndarray, faces: np.ndarray, normals: np.ndarray, uv: np.ndarray) -> Mesh:
    vertices, normals, uv = (np.ascontiguousarray(a, np.float32) for a in (vertices, normals, uv))
    key = hashlib.sha256(vertices.tobytes() + normals.tobytes()).hexdigest()[:16]
    return Mesh(f"bench-{key}", vertices, np.ascontiguousarray(faces, np.int32), normals, uv=uv)

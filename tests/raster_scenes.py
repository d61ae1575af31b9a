"""Small scenes for the tests of the rasterizer, built from arrays alone."""

from __future__ import annotations

import hashlib

import numpy as np

from simgen.assets.asset import Material, Mesh, Texture
from simgen.geometry import intrinsics, look_at
from simgen.render.base import Camera, Drawable, Environment, Neighbour, Snapshot
from simgen.render.silhouette import Silhouette

WHITE = Environment("white", np.ones((16, 32, 3), np.float32))
BLACK = Environment("black", np.zeros((16, 32, 3), np.float32))


def triangles(key, vertices, faces, uv=None, colors=None, normals=None) -> Mesh:
    """A mesh with area-weighted vertex normals unless given; its key follows its contents."""
    vertices = np.asarray(vertices, np.float32)
    faces = np.asarray(faces, np.int32).reshape(-1, 3)
    if normals is None:
        p = np.nan_to_num(vertices.astype(np.float64))
        n = np.cross(p[faces[:, 1]] - p[faces[:, 0]], p[faces[:, 2]] - p[faces[:, 0]])
        normals = np.zeros_like(p)
        for k in range(3):
            np.add.at(normals, faces[:, k], n)
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
    parts = [vertices, faces, normals, *(a for a in (uv, colors) if a is not None)]
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in parts)).hexdigest()[:16]
    return Mesh(
        f"{key}-{digest}",
        vertices,
        faces,
        np.asarray(normals, np.float32),
        uv=None if uv is None else np.asarray(uv, np.float32),
        colors=None if colors is None else np.asarray(colors, np.float32),
    )


def quad(key="quad", half=1.0) -> Mesh:
    """A square in the xy plane facing +z; the texture's top is at +y."""
    v = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * half
    return triangles(key, v, [[0, 1, 2], [0, 2, 3]], uv=[[0, 1], [1, 1], [1, 0], [0, 0]])


def box(key="box", half=(0.5, 0.5, 0.5)) -> Mesh:
    """A closed box with a normal of its own on each side."""
    vertices, faces, normals = [], [], []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            u, v = (axis + 1) % 3, (axis + 2) % 3
            first = len(vertices)
            for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
                p = np.zeros(3)
                p[axis], p[u], p[v] = sign, a * sign, b
                vertices.append(p * half)
                normals.append(np.eye(3)[axis] * sign)
            faces += [[first, first + 1, first + 2], [first, first + 2, first + 3]]
    return triangles(key, vertices, faces, normals=normals)


def sphere(key="sphere", radius=0.5, rings=48) -> Mesh:
    """A closed sphere whose vertices lie on it, with exact normals."""
    theta = np.linspace(0, np.pi, rings + 1)[1:-1]
    phi = np.linspace(0, 2 * np.pi, 2 * rings, endpoint=False)
    t, p = np.meshgrid(theta, phi, indexing="ij")
    grid = np.stack([np.sin(t) * np.cos(p), np.sin(t) * np.sin(p), np.cos(t)], -1).reshape(-1, 3)
    points = np.vstack([grid, [[0, 0, 1], [0, 0, -1]]])
    n, m = len(theta), len(phi)
    faces = []
    for j in range(m):
        k = (j + 1) % m
        faces.append([n * m, j, k])
        faces.append([n * m + 1, (n - 1) * m + k, (n - 1) * m + j])
        for i in range(n - 1):
            a, b, c, d = i * m + j, i * m + k, (i + 1) * m + k, (i + 1) * m + j
            faces += [[a, d, c], [a, c, b]]
    return triangles(key, points * radius, faces, normals=points)


def pose(position=(0, 0, 0), R=None) -> np.ndarray:
    T = np.eye(4)
    T[:3, 3] = position
    if R is not None:
        T[:3, :3] = R
    return T


def camera(eye=(0, -2, 0.5), target=(0, 0, 0), width=96, height=64, hfov=0.9, near=0.01, far=100.0) -> Camera:
    return Camera(intrinsics(width, height, hfov), look_at(eye, target), width, height, near, far)


def snapshot(drawables, cam=None, lights=(), environment=WHITE, previous=None, after=None) -> Snapshot:
    return Snapshot(tuple(drawables), tuple(lights), environment, cam or camera(), previous, after)


def moved(snap: Snapshot, poses, cam: Camera) -> Neighbour:
    return Neighbour(np.asarray(poses, np.float64), cam.T_world_cam)


def corner_texture() -> Texture:
    """Red top left, green top right, blue bottom left, white bottom right."""
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:32, :32] = (255, 0, 0)
    pixels[:32, 32:] = (0, 255, 0)
    pixels[32:, :32] = (0, 0, 255)
    pixels[32:, 32:] = 255
    return Texture("corners", pixels)


def draw(mesh, T=None, instance=1, material=None, **more) -> Drawable:
    return Drawable(
        mesh, material or Material(), np.eye(4) if T is None else T, instance_id=instance, part_id=1, **more
    )


def image_mask(silhouette: Silhouette, width: int, height: int) -> np.ndarray:
    """The part of a silhouette inside the image, at its size (height, width), bool."""
    out = np.zeros((height, width), bool)
    h, w = silhouette.mask.shape
    out[silhouette.y0 : silhouette.y0 + h, silhouette.x0 : silhouette.x0 + w] = silhouette.mask
    return out

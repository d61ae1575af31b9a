"""Triangles for TinyRenderer: scaled, textured, and seen from both sides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from simgen.render.base import Drawable

Array = NDArray[np.float64]
Faces = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Triangles:
    """``points`` (V, 3) in metres after scale, unit ``normals`` (V, 3), ``uv`` (V, 2) with v down, ``faces`` (F, 3)."""

    points: Array
    normals: Array
    uv: Array
    faces: Faces


def triangles(drawable: Drawable) -> Triangles:
    """What PyBullet is to draw of a drawable, in the object's frame.

    TinyRenderer leaves out faces that are seen from behind. That is as it should be on a solid, wound outwards, and
    quick; other meshes get every face a second time, turned over. Faces with corners that are no numbers are left out.
    """
    mesh = drawable.mesh
    scale = np.asarray(drawable.scale, np.float64)
    points = mesh.vertices.astype(np.float64) * scale
    normals = np.nan_to_num(mesh.normals.astype(np.float64)) / scale
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
    faces = mesh.faces.astype(np.int64)
    faces = faces[np.isfinite(points[faces]).all(axis=(1, 2))]
    if np.prod(scale) < 0:
        faces = faces[:, ::-1]
    solid = is_solid(points, faces)
    if drawable.projection == "box":
        uv = box_uv(points[faces], drawable.tile)
        points, normals = points[faces].reshape(-1, 3), normals[faces].reshape(-1, 3)
        faces = np.arange(len(points)).reshape(-1, 3)
    elif mesh.uv is not None:
        uv = mesh.uv.astype(np.float64)
    else:
        uv = np.zeros((len(points), 2))
    if not solid:
        faces = np.concatenate([faces, faces[:, ::-1] + len(points)])
        points, normals, uv = np.tile(points, (2, 1)), np.concatenate([normals, -normals]), np.tile(uv, (2, 1))
    return Triangles(points, normals, uv, faces)


def is_solid(points: Array, faces: Faces) -> bool:
    """Whether faces bound solids, wound outwards: every edge has its reverse, and each part has a positive volume.

    Corners in the same place count as one, so that seams of textures do not open a mesh.
    """
    if len(faces) < 4:
        return False
    places, index = np.unique(points, axis=0, return_inverse=True)
    f = index.reshape(-1)[faces]
    f = f[(f[:, 0] != f[:, 1]) & (f[:, 1] != f[:, 2]) & (f[:, 2] != f[:, 0])]
    start, end = f.ravel(), np.roll(f, -1, axis=1).ravel()
    n = len(places)
    if not len(f) or not np.array_equal(np.sort(start * n + end), np.sort(end * n + start)):
        return False
    _, part = connected_components(
        coo_array((np.ones(len(start), np.int8), (start, end)), shape=(n, n)), directed=False
    )
    a, b, c = (places[f[:, k]] - places.mean(axis=0) for k in range(3))
    volume = np.bincount(part[f[:, 0]], weights=np.einsum("ij,ij->i", a, np.cross(b, c)))
    return bool((volume[np.unique(part[f[:, 0]])] > 0).all())


def box_uv(corners: Array, tile: float) -> Array:
    """Texture coordinates (3 F, 2), u right and v down, of triangles ``corners`` (F, 3, 3) in scaled object metres.

    Each triangle is seen along the dominant axis of its normal, from outside; on upright ones v runs down along -z.
    """
    x, y, z = np.moveaxis(corners / (tile if tile > 0 else 1.0), -1, 0)
    n = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    size = np.abs(n)
    up = (size[:, 2] >= size[:, 0]) & (size[:, 2] >= size[:, 1])
    side = ~up & (size[:, 0] >= size[:, 1])
    sign = np.where(n > 0, 1.0, -1.0)[:, None, :]
    u = np.where(up[:, None], x, np.where(side[:, None], sign[..., 0] * y, -sign[..., 1] * x))
    v = np.where(up[:, None], -sign[..., 2] * y, -z)
    # Whole repeats are taken off: PyBullet computes in float32, and small numbers keep their digits.
    uv = np.stack([u, v], axis=-1)
    uv -= np.floor(uv.min(axis=1, keepdims=True))
    return uv.reshape(-1, 2)

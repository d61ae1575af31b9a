"""From what a mesh file says to meshes that can be rendered: welding, winding, normals, splitting by material.

Only additions, products, divisions and square roots are used, in a fixed order and without BLAS, so that vertices and
normals are the same bits on every CPU.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from simgen.assets.asset import Material, Mesh, Texture
from simgen.errors import AssetError

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

CREASE_COSINE = 0.7660444431189780
"""Cosine of 40 degrees: faces that meet at a sharper angle keep separate normals when a file gives none."""


@dataclass(frozen=True, eq=False)
class Geometry:
    """The triangles of a mesh file, before welding and normals.

    ``positions`` (V, 3) metres; ``faces`` (F, 3) into them; ``face_material`` (F,) into ``materials``; ``face_group``
    (F,) numbers the named objects of the file; ``uv`` (F, 3, 2) per corner, v down, and ``normals`` (F, 3, 3) per
    corner, NaN where a corner has none; ``colors`` (V, 4) linear RGBA. ``single_sided`` says that the format tells
    apart faces seen from one and from both sides, so that open surfaces need no guess.
    """

    positions: F64
    faces: I64
    face_material: I64
    materials: tuple[Material, ...]
    face_group: I64
    uv: F64 | None = None
    normals: F64 | None = None
    colors: F64 | None = None
    single_sided: bool = False


def check(geometry: Geometry, where: str) -> Geometry:
    """``geometry`` without degenerate faces; raises AssetError when nothing usable is left.

    ``where`` names the file in the message.
    """
    if len(geometry.faces) == 0:
        raise AssetError(f"{where} has no faces: export it again as a triangle mesh")
    if geometry.faces.min() < 0 or geometry.faces.max() >= len(geometry.positions):
        raise AssetError(
            f"{where} has faces that refer to missing vertices: the file is damaged or cut, export it again"
        )
    used = np.unique(geometry.faces)
    if not np.isfinite(geometry.positions[used]).all():
        raise AssetError(f"{where} has vertices that are not numbers (NaN or infinite): export it again")
    a, b, c = (geometry.positions[geometry.faces[:, k]] for k in range(3))
    keep = (cross(b - a, c - a) != 0).any(axis=1)
    if not keep.any():
        raise AssetError(f"{where} has only faces without area: export it again")
    return geometry if keep.all() else subset(geometry, keep)


def subset(geometry: Geometry, keep: NDArray[np.bool_]) -> Geometry:
    """The faces where ``keep`` (F,) is true; positions stay as they are."""
    return replace(
        geometry,
        faces=geometry.faces[keep],
        face_material=geometry.face_material[keep],
        face_group=geometry.face_group[keep],
        uv=None if geometry.uv is None else geometry.uv[keep],
        normals=None if geometry.normals is None else geometry.normals[keep],
    )


def affine(geometry: Geometry, linear: ArrayLike, offset: ArrayLike = (0, 0, 0)) -> Geometry:
    """``geometry`` under x -> linear x + offset, ``linear`` (3, 3). A mirroring turns the faces round."""
    A = np.asarray(linear, np.float64)
    positions = rotate(A, geometry.positions) + np.asarray(offset, np.float64)
    normals = None if geometry.normals is None else rotate(cofactors(A), geometry.normals)
    moved = replace(geometry, positions=positions, normals=normals)
    return flipped(moved) if determinant(A) < 0 else moved


def flipped(geometry: Geometry) -> Geometry:
    """``geometry`` with every face turned round (corner order only)."""
    return replace(
        geometry,
        faces=geometry.faces[:, ::-1],
        uv=None if geometry.uv is None else geometry.uv[:, ::-1],
        normals=None if geometry.normals is None else geometry.normals[:, ::-1],
    )


def rotate(A: F64, points: F64) -> F64:
    """``A`` (3, 3) applied to ``points`` (..., 3), by elementwise arithmetic."""
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    return np.stack([A[k, 0] * x + A[k, 1] * y + A[k, 2] * z for k in range(3)], axis=-1)


def compose(A: F64, B: F64) -> F64:
    """The product of affine 4x4 matrices, by elementwise arithmetic."""
    T = np.eye(4)
    T[:3, :3] = rotate(A[:3, :3], B[:3, :3].T).T
    T[:3, 3] = rotate(A[:3, :3], B[:3, 3]) + A[:3, 3]
    return T


def cofactors(A: F64) -> F64:
    """The cofactor matrix of ``A`` (3, 3), which maps normals as ``A`` maps points (up to length), and so that they
    keep pointing outwards when ``A`` mirrors.
    """
    rows = np.stack([cross(A[1], A[2]), cross(A[2], A[0]), cross(A[0], A[1])])
    return -rows if determinant(A) < 0 else rows


def determinant(A: F64) -> float:
    """The determinant of ``A`` (3, 3)."""
    return float(dot(A[0], cross(A[1], A[2])))


def dot(a: F64, b: F64) -> F64:
    """Scalar products of (..., 3) and (..., 3)."""
    return a[..., 0] * b[..., 0] + a[..., 1] * b[..., 1] + a[..., 2] * b[..., 2]


def cross(a: F64, b: F64) -> F64:
    """Cross products of vectors along the last axis; what ``np.cross`` gives, without what that spends on axes."""
    x, y, z = a[..., 0], a[..., 1], a[..., 2]
    u, v, w = b[..., 0], b[..., 1], b[..., 2]
    return np.stack([y * w - z * v, z * u - x * w, x * v - y * u], axis=-1)


def unit(v: F64) -> F64:
    """``v`` (..., 3) divided by its length; zero vectors stay zero."""
    length = np.sqrt(dot(v, v))[..., None]
    return np.divide(v, length, out=np.zeros_like(v), where=length > 0)


def weld(geometry: Geometry) -> tuple[F64, I64]:
    """Vertices (n, 3) with equal float32 positions merged, and faces (F, 3) into them."""
    positions = geometry.positions.astype(np.float32) + np.float32(0)  # + 0 turns -0 into 0
    first, inverse = unique_rows(positions.view(np.uint32))
    return positions[first].astype(np.float64), inverse[geometry.faces]


def closed(faces: I64) -> bool:
    """Whether welded ``faces`` (F, 3) bound a solid: each edge is walked once in each direction."""
    n = int(faces.max()) + 1
    a, b = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    return bool(np.array_equal(np.sort(a * n + b), np.sort(b * n + a)) and len(np.unique(a * n + b)) == len(a))


def signed_volume(vertices: F64, faces: I64) -> float:
    """Volume in m^3 enclosed by ``faces``, negative when they are inside out."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return float(dot(a, cross(b, c)).sum() / 6)


def meshes(geometry: Geometry) -> tuple[Mesh, ...]:
    """One Mesh a material, in the order in which the file uses them.

    Closed meshes that are inside out are turned, and open ones whose faces mostly point against their own normals;
    open ones are seen from both sides, unless the format says otherwise.
    Normals of the file are kept; where it gives none they are smooth up to 40 degrees.
    """
    vertices, faces = weld(geometry)
    alive = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    geometry, faces = subset(geometry, alive), faces[alive]
    solid = closed(faces)
    if solid and signed_volume(vertices, faces) < 0:
        geometry, faces = flipped(geometry), faces[:, ::-1]
    if not solid and geometry.normals is not None and _against_normals(vertices, faces, geometry.normals):
        geometry, faces = flipped(geometry), faces[:, ::-1]
    double = not solid and not geometry.single_sided
    normals = corner_normals(vertices, faces, geometry.normals)
    columns = [vertices[faces], normals]
    if geometry.uv is not None:
        columns.append(np.nan_to_num(geometry.uv))
    if geometry.colors is not None:
        columns.append(geometry.colors[geometry.faces])
    corners = np.ascontiguousarray(np.concatenate(columns, axis=-1), dtype=np.float32) + np.float32(0)
    has_uv = np.zeros(len(faces), np.bool_)
    if geometry.uv is not None:
        has_uv = np.asarray(np.isfinite(geometry.uv[:, 0, 0]), np.bool_)
    out = []
    for index in dict.fromkeys(geometry.face_material.tolist()):
        chosen = geometry.face_material == index
        rows = corners[chosen].reshape(-1, corners.shape[-1])
        first, inverse = unique_rows(rows.view(np.uint32))
        merged = rows[first]
        material = geometry.materials[index]
        if double and not material.double_sided:
            material = replace(material, double_sided=True)
        uv = merged[:, 6:8] if has_uv[chosen].any() else None
        colors = merged[:, -4:] if geometry.colors is not None else None
        out.append(build(merged[:, :3], inverse.reshape(-1, 3), merged[:, 3:6], material, uv, colors))
    return tuple(out)


def build(
    vertices: ArrayLike,
    faces: ArrayLike,
    normals: ArrayLike,
    material: Material | None = None,
    uv: ArrayLike | None = None,
    colors: ArrayLike | None = None,
) -> Mesh:
    """A Mesh with contiguous arrays of its own and the key of their content."""
    v, n = np.array(vertices, np.float32, order="C"), np.array(normals, np.float32, order="C")
    f = np.array(faces, np.int32, order="C")
    t = None if uv is None else np.array(uv, np.float32, order="C")
    c = None if colors is None else np.array(colors, np.float32, order="C")
    digest = hashlib.sha256(f"{len(v)} {len(f)} {t is not None} {c is not None}".encode())
    for array in (v, f, n, t, c):
        if array is not None:
            digest.update(array.tobytes())
    return Mesh(digest.hexdigest()[:20], v, f, n, Material() if material is None else material, t, c)


def moved(mesh: Mesh, linear: ArrayLike, offset: ArrayLike = (0, 0, 0)) -> Mesh:
    """``mesh`` under x -> linear x + offset, ``linear`` (3, 3); normals follow, a mirroring turns the faces round."""
    A = np.asarray(linear, np.float64)
    vertices = rotate(A, mesh.vertices.astype(np.float64)) + np.asarray(offset, np.float64)
    normals = unit(rotate(cofactors(A), mesh.normals.astype(np.float64)))
    faces = mesh.faces[:, ::-1] if determinant(A) < 0 else mesh.faces
    return build(vertices, faces, normals, mesh.material, mesh.uv, mesh.colors)


def merged(parts: Iterable[Mesh]) -> tuple[Mesh, ...]:
    """``parts`` with those of equal material (and equal kinds of attributes) joined into one mesh each."""
    groups: dict[object, list[Mesh]] = {}
    for part in parts:
        groups.setdefault((_identity(part.material), part.uv is None, part.colors is None), []).append(part)
    return tuple(group[0] if len(group) == 1 else joined(group) for group in groups.values())


def joined(parts: Sequence[Mesh]) -> Mesh:
    """One mesh of ``parts``, with the material of the first, and attributes that all of them have."""
    offsets = np.cumsum([0] + [len(part.vertices) for part in parts[:-1]])
    faces = np.concatenate([part.faces + np.int32(o) for part, o in zip(parts, offsets, strict=True)])
    uv = [part.uv for part in parts if part.uv is not None]
    colors = [part.colors for part in parts if part.colors is not None]
    return build(
        np.concatenate([part.vertices for part in parts]),
        faces,
        np.concatenate([part.normals for part in parts]),
        parts[0].material,
        np.concatenate(uv) if len(uv) == len(parts) else None,
        np.concatenate(colors) if len(colors) == len(parts) else None,
    )


def bounds(parts: Iterable[Mesh]) -> F64:
    """Corners (2, 3) of the box around ``parts``."""
    points = np.concatenate([part.vertices for part in parts]).astype(np.float64)
    return np.stack([points.min(axis=0), points.max(axis=0)])


def corner_normals(vertices: F64, faces: I64, given: F64 | None) -> F64:
    """Unit normals (F, 3, 3) of each corner of welded ``faces``.

    ``given`` ones (F, 3, 3) are normalized and kept; those that are missing, zero or more than 90 degrees off their
    face are computed: corners around a vertex whose faces meet at less than 40 degrees share the mean of their face
    normals, weighted as by Max (1999), "Weights for computing vertex normals from facet normals".
    """
    if given is not None:
        flat = unit(face_vectors(vertices, faces))[:, None, :]
        out = unit(np.nan_to_num(given))
        bad = ~(dot(out, np.broadcast_to(flat, out.shape)) > 0)
        if not bad.any():
            return out
        return np.where(bad[..., None], smooth_normals(vertices, faces), out)
    return smooth_normals(vertices, faces)


def face_vectors(vertices: F64, faces: I64) -> F64:
    """Normals (F, 3) of the faces, twice as long as their area."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return cross(b - a, c - a)


def smooth_normals(vertices: F64, faces: I64) -> F64:
    """Unit normals (F, 3, 3) of each corner, smooth across edges up to 40 degrees."""
    n_vertices, n_faces = len(vertices), len(faces)
    normal = unit(face_vectors(vertices, faces))
    tail, head = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    corner_tail = np.arange(3 * n_faces)
    corner_head = np.roll(corner_tail.reshape(-1, 3), -1, axis=1).ravel()
    low, high = np.minimum(tail, head), np.maximum(tail, head)
    forward = tail < head
    at_low, at_high = np.where(forward, corner_tail, corner_head), np.where(forward, corner_head, corner_tail)
    order = np.argsort(low * n_vertices + high, kind="stable")
    edge = (low * n_vertices + high)[order]
    first, second = order[:-1], order[1:]
    same = edge[:-1] == edge[1:]
    first, second = first[same], second[same]
    soft = dot(normal[first // 3], normal[second // 3]) >= CREASE_COSINE
    first, second = first[soft], second[soft]
    rows, columns = np.concatenate([at_low[first], at_high[first]]), np.concatenate([at_low[second], at_high[second]])
    links = coo_matrix((np.ones(len(rows), np.int8), (rows, columns)), shape=(3 * n_faces, 3 * n_faces))
    count, cluster = connected_components(links, directed=False)
    p = vertices[faces]
    out, back = np.roll(p, -1, axis=1) - p, np.roll(p, 1, axis=1) - p
    size = dot(out, out) * dot(back, back)
    weighted = cross(out, back) / np.where(size > 0, size, 1)[..., None]
    sums = [np.bincount(cluster, weighted[..., k].ravel(), minlength=count) for k in range(3)]
    result = unit(np.stack(sums, axis=-1))[cluster].reshape(n_faces, 3, 3)
    lost = ~(dot(result, result) > 0.5)
    return np.where(lost[..., None], normal[:, None, :], result)


def unique_rows(rows: NDArray[np.uint32]) -> tuple[I64, I64]:
    """Indices of the first of each distinct row of ``rows`` (n, k), in order of appearance, and each row's number.

    Sorts a 64-bit hash instead of whole rows, which is several times faster, and checks that no two rows collided.
    """
    key = np.zeros(len(rows), np.uint64)
    for k in range(rows.shape[1]):
        key = (key ^ rows[:, k]) * np.uint64(0x9E3779B97F4A7C15)
        key ^= key >> np.uint64(29)
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    if not np.array_equal(rows[first[inverse]], rows):
        _, first, inverse = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    number = np.empty_like(order)
    number[order] = np.arange(len(order))
    return first[order], number[inverse.ravel()]


def _against_normals(vertices: F64, faces: I64, normals: F64) -> bool:
    agreement = dot(face_vectors(vertices, faces), np.nan_to_num(normals).sum(axis=1))
    return int((agreement < 0).sum()) > len(faces) // 2


def _identity(material: Material) -> tuple[object, ...]:
    values: list[object] = []
    for value in vars(material).values():
        values.append(value.key if isinstance(value, Texture) else value)
    return tuple(values)

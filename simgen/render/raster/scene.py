"""From a snapshot to the tables that kernels read, with meshes and textures made resident."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.assets.asset import Mesh, Texture
from simgen.errors import RenderError
from simgen.render.base import Drawable, Neighbour, Snapshot
from simgen.render.raster import layout as L  # noqa: N812
from simgen.render.raster.residency import Store
from simgen.render.raster.textures import pack_color, pack_data, table_row
from simgen.render.raster.transform import place_drawables

Array = NDArray[Any]


@dataclass(eq=False)
class Tables:
    """One snapshot as arrays; see ``layout`` for the columns."""

    draws: Array  # (M, DRAW_INTS) int32
    reals: Array  # (M, DRAW_REALS) float32
    matrices: Array  # (M, DRAW_MATRICES) float64
    scales: Array  # (M, 3) float64
    tiles: Array  # (M,) float64
    camera: Array  # (CAMERA_REALS,) float64
    textures: Array  # (T, TEXTURE_INTS) int32, T >= 1
    bounds: NDArray[np.float64]  # (M, 2, 3), of the mesh before scale
    extremes: NDArray[np.float64]  # (M, DIRECTIONS, 3), outermost vertices of the mesh before scale
    vertex_count: int
    face_count: int


@dataclass(frozen=True)
class MeshFacts:
    """What is found out once about a mesh.

    Whether it is closed, the corners ``bounds`` (2, 3) of the box around it, and ``extremes`` (DIRECTIONS, 3), the
    vertex farthest in each of the directions to the corners, edges and sides of a cube.
    """

    closed: bool
    bounds: NDArray[np.float64]
    extremes: NDArray[np.float64]


_TOWARDS = np.array([[x, y, z] for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1) if (x, y, z) != (0, 0, 0)])
DIRECTIONS = len(_TOWARDS)


def mesh_facts(mesh: Mesh) -> MeshFacts:
    """Facts about a mesh; vertices that are not finite do not count for its extent."""
    finite = mesh.vertices[np.isfinite(mesh.vertices).all(1)].astype(np.float64)
    if not len(finite):
        return MeshFacts(is_closed(mesh), np.zeros((2, 3)), np.zeros((DIRECTIONS, 3)))
    bounds = np.stack([finite.min(0), finite.max(0)])
    extremes = np.stack([finite[np.argmax(finite @ direction)] for direction in _TOWARDS])
    return MeshFacts(is_closed(mesh), bounds, extremes)


def is_closed(mesh: Mesh) -> bool:
    """Whether the faces bound a solid, wound outwards: every edge has its reverse, and the volume is positive.

    Corners at the same position count as one, so texture seams do not open a mesh. Each connected part is tested.
    """
    faces = mesh.faces
    if len(faces) < 4 or not np.isfinite(mesh.vertices).all():
        return False
    position, index = np.unique(mesh.vertices, axis=0, return_inverse=True)
    f = index.reshape(-1)[faces].astype(np.int64)
    f = f[(f[:, 0] != f[:, 1]) & (f[:, 1] != f[:, 2]) & (f[:, 2] != f[:, 0])]
    count = len(position)
    edges = np.concatenate([f[:, [0, 1]], f[:, [1, 2]], f[:, [2, 0]]])
    forward, backward = edges[:, 0] * count + edges[:, 1], edges[:, 1] * count + edges[:, 0]
    forward.sort()
    backward.sort()
    if len(f) == 0 or not np.array_equal(forward, backward):
        return False
    part = _parts(edges, count)[f[:, 0]]
    a, b, c = (position[f[:, k]].astype(np.float64) - position.mean(0) for k in range(3))
    volume = np.bincount(part, weights=np.einsum("ij,ij->i", a, np.cross(b, c)))
    return bool((volume[np.unique(part)] > 0).all())


def _parts(edges: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The number of the connected part of each vertex, by repeated minimum over edges with pointer jumping."""
    label = np.arange(count)
    while True:
        lower = label.copy()
        np.minimum.at(lower, edges[:, 0], label[edges[:, 1]])
        lower = lower[lower]
        if np.array_equal(lower, label):
            return label
        label = lower


class Residents:
    """Meshes and textures in memory, within ``limit`` bytes (a third for meshes, the rest for textures)."""

    def __init__(self, limit: int) -> None:
        self.vertices = Store(np.float32, limit * 2 // 12, L.VERTEX)
        self.faces = Store(np.int32, limit // 12, 3)
        self.colors = Store(np.float32, limit // 12, 4)
        self.texels = Store(np.uint32, limit * 8 // 12)

    @property
    def nbytes(self) -> int:
        """Bytes of memory taken."""
        return self.vertices.nbytes + self.faces.nbytes + self.colors.nbytes + self.texels.nbytes

    def clear(self) -> None:
        """Forget everything."""
        for store in (self.vertices, self.faces, self.colors, self.texels):
            store.clear()

    def begin(self) -> None:
        """Start an image."""
        for store in (self.vertices, self.faces, self.colors, self.texels):
            store.begin()

    def mesh(self, mesh: Mesh) -> tuple[int, int, int, MeshFacts]:
        """First vertex, first face and first colour (-1: none) in the pools, and facts about the mesh."""
        vertex = self.vertices.find(mesh.key)
        if vertex is None:
            data = np.zeros((len(mesh.vertices), L.VERTEX), np.float32)
            data[:, 0:3] = mesh.vertices
            data[:, 3:6] = mesh.normals
            if mesh.uv is not None:
                data[:, 6:8] = mesh.uv
            vertex = self.vertices.add(mesh.key, data)
        face = self.faces.find(mesh.key)
        if face is None:
            if len(mesh.faces) and not (int(mesh.faces.min()) >= 0 and int(mesh.faces.max()) < len(mesh.vertices)):
                raise RenderError(f"mesh {mesh.key!r} has a face that names a vertex it does not have; repair the file")
            face = self.faces.add(mesh.key, mesh.faces.astype(np.int32), note=mesh_facts(mesh))
        color = -1
        if mesh.colors is not None:
            found = self.colors.find(mesh.key)
            color = self.colors.add(mesh.key, mesh.colors.astype(np.float32)) if found is None else found
        return vertex // L.VERTEX, face // 3, color // 4 if color >= 0 else -1, self.faces.note(mesh.key)

    def texture(self, texture: Texture, kind: str) -> NDArray[np.int32]:
        """The table row of a texture packed as ``kind``: "color", "cutout" (colour weighted by alpha) or "data"."""
        name = f"{kind}:{int(texture.srgb)}:{texture.key}"
        start = self.texels.find(name)
        if start is None:
            if kind == "data":
                packed = pack_data(texture.pixels)
            else:
                packed = pack_color(texture.pixels, texture.srgb, kind == "cutout")
            start = self.texels.add(name, packed)
        return table_row(start, texture.pixels.shape[1], texture.pixels.shape[0], 0 if kind == "data" else 1)


def camera_reals(snapshot: Snapshot) -> NDArray[np.float64]:
    """The camera as the kernels read it."""
    camera = snapshot.camera
    out = np.zeros(L.CAMERA_REALS)
    out[L.FX], out[L.FY], out[L.SKEW] = camera.K[0, 0], camera.K[1, 1], camera.K[0, 1]
    out[L.CX], out[L.CY] = camera.K[0, 2], camera.K[1, 2]
    out[L.NEAR], out[L.FAR] = camera.near, camera.far
    if not (np.isfinite(out).all() and out[L.FX] > 0 and out[L.FY] > 0 and 0 < camera.near < camera.far):
        raise RenderError(
            f"the camera needs positive focal lengths and 0 < near < far, not K={camera.K.tolist()}, "
            f"near={camera.near}, far={camera.far}"
        )
    return out


def _neighbour(snapshot: Snapshot, neighbour: Neighbour | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if neighbour is None:
        poses = [d.T_world_obj for d in snapshot.drawables]
        return np.array(poses, np.float64).reshape(-1, 4, 4), np.asarray(snapshot.camera.T_world_cam, np.float64)
    poses_then = np.asarray(neighbour.T_world_obj, np.float64).reshape(-1, 4, 4)
    if len(poses_then) != len(snapshot.drawables):
        raise RenderError(
            f"a neighbouring time gives {len(poses_then)} poses for {len(snapshot.drawables)} drawables; give one each"
        )
    return poses_then, np.asarray(neighbour.T_world_cam, np.float64)


def pack(snapshot: Snapshot, residents: Residents) -> Tables:
    """Tables of a snapshot. Raises RenderError for a camera or mesh that cannot be drawn."""
    drawables = snapshot.drawables
    count = len(drawables)
    draws = np.zeros((max(count, 1), L.DRAW_INTS), np.int32)[:count]
    reals = np.zeros((count, L.DRAW_REALS), np.float32)
    scales = np.ones((count, 3))
    tiles = np.ones(count)
    bounds = np.zeros((count, 2, 3))
    extremes = np.zeros((count, DIRECTIONS, 3))
    rows: list[NDArray[np.int32]] = []
    known: dict[str, int] = {}
    residents.begin()

    def texture(image: Texture | None, kind: str) -> int:
        if image is None:
            return -1
        name = f"{kind}:{int(image.srgb)}:{image.key}"
        if name not in known:
            known[name] = len(rows)
            rows.append(residents.texture(image, kind))
        return known[name]

    vertices = faces = 0
    for m, d in enumerate(drawables):
        vertex, face, color, facts = residents.mesh(d.mesh)
        bounds[m] = facts.bounds
        extremes[m] = facts.extremes
        material = d.material
        row = draws[m]
        row[L.FIRST_IN_POOL], row[L.VERTICES] = vertex, len(d.mesh.vertices)
        row[L.FACES_IN_POOL], row[L.FACES] = face, len(d.mesh.faces)
        row[L.FIRST_VERTEX], row[L.FIRST_FACE] = vertices, faces
        row[L.INSTANCE], row[L.PART], row[L.COLORS_IN_POOL] = d.instance_id, d.part_id, color
        vertices += len(d.mesh.vertices)
        faces += len(d.mesh.faces)
        row[L.PROJECTION] = _projection(d)
        mapped = row[L.PROJECTION] != 0
        cutout = material.alpha_cutoff is not None
        row[L.COLOR_MAP] = texture(material.base_color_map, "cutout" if cutout else "color") if mapped else -1
        has_alpha = (
            cutout and mapped and material.base_color_map is not None and material.base_color_map.pixels.shape[2] == 4
        )
        row[L.ALPHA_MAP] = texture(material.base_color_map, "data") if has_alpha else -1
        row[L.ROUGHNESS_MAP] = texture(material.metallic_roughness_map, "data") if mapped else -1
        row[L.NORMAL_MAP] = texture(material.normal_map, "data") if mapped else -1
        row[L.CUTOUT] = int(cutout)
        mirrored = d.scale[0] * d.scale[1] * d.scale[2] < 0
        row[L.CULL] = (-1 if mirrored else 1) if facts.closed and not cutout else 0
        reals[m, L.BASE : L.BASE + 3] = material.base_color[:3]
        reals[m, L.BASE_ALPHA] = material.base_color[3]
        reals[m, L.ROUGHNESS], reals[m, L.METALLIC] = material.roughness, material.metallic
        reals[m, L.EMISSIVE : L.EMISSIVE + 3] = material.emissive
        reals[m, L.CUTOFF] = material.alpha_cutoff if cutout else 0.0
        scales[m] = d.scale
        tiles[m] = d.tile if d.tile > 0 else 1.0
    matrices = np.zeros((count, L.DRAW_MATRICES))
    poses = np.array([d.T_world_obj for d in drawables], np.float64).reshape(-1, 4, 4)
    then = [_neighbour(snapshot, snapshot.next), _neighbour(snapshot, snapshot.previous)]
    place_drawables(
        poses,
        scales,
        np.array(snapshot.camera.T_world_cam, np.float64),
        np.ascontiguousarray(np.stack([t[0] for t in then])),
        np.ascontiguousarray(np.stack([t[1] for t in then])),
        matrices,
    )
    textures = np.stack(rows) if rows else np.zeros((1, L.TEXTURE_INTS), np.int32)
    camera = camera_reals(snapshot)
    return Tables(draws, reals, matrices, scales, tiles, camera, textures, bounds, extremes, vertices, faces)


def _projection(drawable: Drawable) -> int:
    if drawable.projection == "box":
        return 2
    return 1 if drawable.mesh.uv is not None else 0

"""From a snapshot to the tables that kernels read, with meshes and textures made resident."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.assets.asset import Mesh, Texture
from simgen.errors import RenderError
from simgen.render.base import Drawable, Neighbour, Snapshot
from simgen.render.raster import layout as L  # noqa: N812
from simgen.render.raster.jit import strict
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
    world: Array  # (M, 3, 4) float64, from mesh coordinates before scale to the world
    scales: Array  # (M, 3) float64
    tiles: Array  # (M,) float64
    camera: Array  # (CAMERA_REALS,) float64
    textures: Array  # (T, TEXTURE_INTS) int32, T >= 1
    bounds: NDArray[np.float64]  # (M, 2, 3), of the mesh before scale
    extremes: NDArray[np.float64]  # (M, DIRECTIONS, 3), outermost vertices of the mesh before scale
    convex: NDArray[np.bool_]  # (M,)
    vertex_count: int
    face_count: int
    extent: float | None  # longest side of the labelled objects (of all drawables where none is), in metres: the median
    solids: tuple[Any, ...]  # equal for drawables of equal shape that cull the same faces


@dataclass(frozen=True)
class MeshFacts:
    """What is found out once about a mesh.

    Whether it is closed, and convex too, the corners ``bounds`` (2, 3) of the box around it, and ``extremes``
    (DIRECTIONS, 3), the vertex farthest in each of the directions to the corners, edges and sides of a cube.
    """

    closed: bool
    convex: bool
    bounds: NDArray[np.float64]
    extremes: NDArray[np.float64]


_TOWARDS = np.array(
    [[x, y, z] for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1) if (x, y, z) != (0, 0, 0)], np.float64
)  # fmt: skip
DIRECTIONS = len(_TOWARDS)
_MOST_CONVEX = 200


def mesh_facts(mesh: Mesh) -> MeshFacts:
    """Facts about a mesh; vertices that are not finite do not count for its extent."""
    finite = mesh.vertices[np.isfinite(mesh.vertices).all(1)].astype(np.float64)
    if not len(finite):
        return MeshFacts(False, False, np.zeros((2, 3)), np.zeros((DIRECTIONS, 3)))
    bounds = np.stack([finite.min(0), finite.max(0)])
    extremes = np.empty((DIRECTIONS, 3))
    _find_extremes(finite, _TOWARDS, extremes)
    closed = is_closed(mesh)
    return MeshFacts(closed, closed and is_convex(mesh), bounds, extremes)


@strict
def _find_extremes(points: Any, towards: Any, out: Any) -> None:
    """The point (3,) farthest in each direction, the first of several, into ``out``."""
    for d in range(len(towards)):
        x, y, z = towards[d, 0], towards[d, 1], towards[d, 2]
        best, most = 0, -np.inf
        for i in range(len(points)):
            height = points[i, 0] * x + points[i, 1] * y + points[i, 2] * z
            if height > most:
                best, most = i, height
        for k in range(3):
            out[d, k] = points[best, k]


def is_closed(mesh: Mesh) -> bool:
    """Whether the faces bound a solid, wound outwards: every edge has its reverse, and the volume is positive.

    Corners at the same position count as one, so texture seams do not open a mesh. Each connected part is tested.
    """
    faces = mesh.faces
    if len(faces) < 4 or not np.isfinite(mesh.vertices).all():
        return False
    position, index = _positions(mesh.vertices)
    f = index[faces]
    f = f[(f[:, 0] != f[:, 1]) & (f[:, 1] != f[:, 2]) & (f[:, 2] != f[:, 0])]
    count = len(position)
    edges = np.concatenate([f[:, [0, 1]], f[:, [1, 2]], f[:, [2, 0]]])
    forward, backward = edges[:, 0] * count + edges[:, 1], edges[:, 1] * count + edges[:, 0]
    forward.sort()
    backward.sort()
    if len(f) == 0 or not np.array_equal(forward, backward):
        return False
    part = _parts(edges, count)[f[:, 0]]
    middle = position.mean(0)
    a, b, c = (position[f[:, k]].astype(np.float64) - middle for k in range(3))
    volume = np.bincount(part, weights=np.einsum("ij,ij->i", a, np.cross(b, c)))
    return bool((volume[np.unique(part)] > 0).all())


def _positions(vertices: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The positions (P, 3) of vertices, each once, and the number of that of each vertex."""
    order = np.lexsort(vertices.T[::-1])
    ordered = vertices[order]
    first = np.ones(len(order), np.bool_)
    first[1:] = (ordered[1:] != ordered[:-1]).any(1)
    index = np.empty(len(order), np.int64)
    index[order] = np.cumsum(first) - 1
    return ordered[first], index


def is_convex(mesh: Mesh) -> bool:
    """Whether no vertex of a closed mesh lies above any of its faces; not asked of meshes of many faces."""
    if len(mesh.faces) > _MOST_CONVEX:
        return False
    points = mesh.vertices.astype(np.float64)
    a, b, c = (points[mesh.faces[:, k]] for k in range(3))
    normals = np.cross(b - a, c - a)
    heights = normals @ points.T - (normals * a).sum(1)[:, None]
    return bool((heights <= 1e-6 * np.linalg.norm(normals, axis=1)[:, None] * np.ptp(points, axis=0).max()).all())


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
        self._packed: tuple[list[Any], tuple[Drawable, ...], Tables] | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of memory taken."""
        return self.vertices.nbytes + self.faces.nbytes + self.colors.nbytes + self.texels.nbytes

    def clear(self) -> None:
        """Forget everything."""
        self._packed = None
        for store in (self.vertices, self.faces, self.colors, self.texels):
            store.clear()

    def begin(self) -> None:
        """Start an image."""
        self._packed = None
        for store in (self.vertices, self.faces, self.colors, self.texels):
            store.begin()

    def contents(self, drawables: tuple[Drawable, ...]) -> Tables:
        """Tables of ``drawables`` made resident, without what poses and camera decide.

        Images of one scene follow each other: the last drawables are known again, and are still resident.
        """
        # Identity tells meshes and materials apart: while the drawables are kept, so are they.
        known = [
            (id(d.mesh), id(d.material), tuple(d.scale), d.projection, d.tile, d.instance_id, d.part_id)
            for d in drawables
        ]
        if self._packed is None or self._packed[0] != known:
            self.begin()
            self._packed = known, drawables, _contents(drawables, self)
        return self._packed[2]

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
        name = texture_name(texture, kind)
        if self.texels.find(name) is None:
            if kind == "data":
                packed = pack_data(texture.pixels)
            else:
                packed = pack_color(texture.pixels, texture.srgb, kind == "cutout")
            start = self.texels.add(name, packed)
            height, width = texture.pixels.shape[:2]
            self.texels.annotate(name, table_row(start, width, height, 0 if kind == "data" else 1))
        row: NDArray[np.int32] = self.texels.note(name)
        return row


def texture_name(texture: Texture, kind: str) -> str:
    """What a texture packed as ``kind`` is known by."""
    return f"{kind}:{int(texture.srgb)}:{texture.key}"


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


def _neighbour(
    snapshot: Snapshot, poses: NDArray[np.float64], neighbour: Neighbour | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if neighbour is None:
        return poses, np.asarray(snapshot.camera.T_world_cam, np.float64)
    poses_then = np.asarray(neighbour.T_world_obj, np.float64).reshape(-1, 4, 4)
    if len(poses_then) != len(snapshot.drawables):
        raise RenderError(
            f"a neighbouring time gives {len(poses_then)} poses for {len(snapshot.drawables)} drawables; give one each"
        )
    return poses_then, np.asarray(neighbour.T_world_cam, np.float64)


def pack(snapshot: Snapshot, residents: Residents) -> Tables:
    """Tables of a snapshot. Raises RenderError for a camera or mesh that cannot be drawn."""
    contents = residents.contents(snapshot.drawables)
    poses = np.array([d.T_world_obj for d in snapshot.drawables], np.float64).reshape(-1, 4, 4)
    then = [_neighbour(snapshot, poses, snapshot.next), _neighbour(snapshot, poses, snapshot.previous)]
    matrices = np.zeros((len(poses), L.DRAW_MATRICES))
    place_drawables(
        poses,
        contents.scales,
        np.array(snapshot.camera.T_world_cam, np.float64),
        np.ascontiguousarray(np.stack([t[0] for t in then])),
        np.ascontiguousarray(np.stack([t[1] for t in then])),
        matrices,
    )
    world = poses[:, :3].copy()
    world[:, :, :3] *= contents.scales[:, None]
    return replace(contents, matrices=matrices, world=world, camera=camera_reals(snapshot))


def _contents(drawables: tuple[Drawable, ...], residents: Residents) -> Tables:
    """Tables of drawables that have no place yet: ``matrices``, ``world`` and ``camera`` are empty."""
    count = len(drawables)
    # Lists become arrays in one go: element by element, arrays would take most of the time spent here.
    integers: list[tuple[int, ...]] = []
    reals: list[tuple[float, ...]] = []
    facts: list[MeshFacts] = []
    rows: list[NDArray[np.int32]] = []
    known: dict[str, int] = {}

    def texture(image: Texture | None, kind: str) -> int:
        if image is None:
            return -1
        name = texture_name(image, kind)
        if name not in known:
            known[name] = len(rows)
            rows.append(residents.texture(image, kind))
        return known[name]

    vertices = faces = 0
    for d in drawables:
        vertex, face, color, fact = residents.mesh(d.mesh)
        facts.append(fact)
        material = d.material
        projection = _projection(d)
        mapped, cutout = projection != 0, material.alpha_cutoff is not None
        image = material.base_color_map if mapped else None
        alpha = image if cutout and image is not None and image.pixels.shape[2] == 4 else None
        mirrored = d.scale[0] * d.scale[1] * d.scale[2] < 0
        row = {
            L.FIRST_IN_POOL: vertex, L.VERTICES: len(d.mesh.vertices), L.FACES_IN_POOL: face,
            L.FACES: len(d.mesh.faces), L.FIRST_VERTEX: vertices, L.FIRST_FACE: faces, L.INSTANCE: d.instance_id,
            L.PART: d.part_id, L.COLORS_IN_POOL: color, L.PROJECTION: projection,
            L.COLOR_MAP: texture(image, "cutout" if cutout else "color"), L.ALPHA_MAP: texture(alpha, "data"),
            L.ROUGHNESS_MAP: texture(material.metallic_roughness_map if mapped else None, "data"),
            L.NORMAL_MAP: texture(material.normal_map if mapped else None, "data"), L.CUTOUT: int(cutout),
            L.CULL: (-1 if mirrored else 1) if fact.closed and not cutout else 0,
        }  # fmt: skip
        integers.append(tuple(row[k] for k in range(L.DRAW_INTS)))
        cutoff = material.alpha_cutoff or 0.0
        reals.append((*material.base_color, material.roughness, material.metallic, *material.emissive, cutoff))
        vertices += row[L.VERTICES]
        faces += row[L.FACES]
    scales = np.array([d.scale for d in drawables], np.float64).reshape(count, 3)
    tiles = np.array([d.tile if d.tile > 0 else 1.0 for d in drawables])
    bounds = np.array([fact.bounds for fact in facts]).reshape(count, 2, 3)
    draws = np.array(integers, np.int32).reshape(count, L.DRAW_INTS)
    extents = np.abs((bounds[:, 1] - bounds[:, 0]) * scales).max(1)
    labelled = draws[:, L.INSTANCE] > 0
    return Tables(
        draws=draws,
        reals=np.array(reals, np.float32).reshape(count, L.DRAW_REALS),
        matrices=np.zeros((0, L.DRAW_MATRICES)),
        world=np.zeros((0, 3, 4)),
        scales=scales,
        tiles=tiles,
        camera=np.zeros(L.CAMERA_REALS),
        textures=np.array(rows) if rows else np.zeros((1, L.TEXTURE_INTS), np.int32),
        bounds=bounds,
        extremes=np.array([fact.extremes for fact in facts]).reshape(count, DIRECTIONS, 3),
        convex=np.array([fact.convex for fact in facts], np.bool_),
        vertex_count=vertices,
        face_count=faces,
        extent=float(np.median(extents[labelled] if labelled.any() else extents)) if count else None,
        solids=(tuple(d.mesh.key for d in drawables), scales.tobytes(), draws[:, L.CULL].tobytes()),
    )


def _projection(drawable: Drawable) -> int:
    if drawable.projection == "box":
        return 2
    return 1 if drawable.mesh.uv is not None else 0

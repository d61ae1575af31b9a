"""TinyRenderer, PyBullet's software rasterizer: the reference that other renderers are held against.

It is right about geometry and plain about light. What it cannot do:

- One light (the strongest, as a directional one) over a constant ambient term; the other lights and the environment
  only raise that term. Shadows are hard, take away a fifth of the direct light, and start about a centimetre
  from what casts them.
- Lambertian surfaces only: no roughness, metallic, normal or emissive maps; vertex colours are averaged over the mesh.
- Textures are sampled at the nearest texel, without mip-maps, so that they shimmer in the distance; alpha is ignored.
- One sample a pixel; triangles of less than 0.005 square pixels are not drawn at all.
- Colours are computed on 8-bit sRGB values; they come back as linear radiance with the range of the lights restored.

Faces are seen from both sides. Meshes and textures stay in PyBullet between calls, up to a limit in bytes; every
snapshot adds bodies of its own and removes them again, which leaves nothing that a later image could depend on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from math import floor, log2

import cv2
import numpy as np
from numpy.typing import NDArray

from simgen.assets.asset import Material, Texture
from simgen.errors import RenderError, near_match
from simgen.geometry import inverse, quaternion_from_rotation
from simgen.physics.client import bullet, connect
from simgen.render.base import Buffers, Camera, Drawable, Snapshot
from simgen.render.raster import RasterRenderer
from simgen.render.silhouette import Silhouette
from simgen.render.tiny_light import ENCODED, LINEAR, Lighting, background, encode, light_distance, lighting
from simgen.render.tiny_mesh import triangles
from simgen.scratch import scratch_folder

Array = NDArray[np.float64]

FACES = 10_000
"""Triangles in one upload; PyBullet takes 8 MiB at a time."""
RESIDENT_BYTES = 256 << 20
"""Meshes and textures beyond this are dropped and loaded again when needed."""
BYTES_PER_VERTEX = 400
"""What a vertex costs in PyBullet, in the shape and in the body that shows it."""
REACH = 2.0
"""Radius that the lit part of the scene gets in PyBullet's units: its shadow bias is a fixed 0.05 units."""
NEAR = 0.01
"""Nearest near plane in PyBullet's units that leaves the shadow bias room."""


class TinyRenderer:
    """A ``Renderer`` on one core: passes rgb, depth, instance and part."""

    name = "tiny"
    device = "cpu"
    passes = frozenset({"rgb", "depth", "instance", "part"})

    def __init__(self) -> None:
        self._client: _Client | None = None
        self._raster: RasterRenderer | None = None

    def render(self, snapshots: Sequence[Snapshot], passes: Sequence[str]) -> Buffers:
        """Compute ``passes`` of all ``snapshots``, whose cameras share one image size.

        Raises RenderError for another pass, for images of different sizes, and when PyBullet fails.
        """
        for name in passes:
            if name not in self.passes:
                raise RenderError(
                    f"the tiny renderer has no pass {name!r}{near_match(name, self.passes)}; "
                    f"it has {', '.join(sorted(self.passes))}"
                )
        if len({(s.camera.width, s.camera.height) for s in snapshots}) > 1:
            raise RenderError("the snapshots of one batch must have the same image size")
        images = [self._image(snapshot, passes) for snapshot in snapshots]
        return Buffers({name: np.stack([image[name] for image in images]) for name in passes} if images else {})

    def silhouettes(self, snapshot: Snapshot) -> list[Silhouette]:
        """The full silhouettes, by ``raster``'s coverage rule: TinyRenderer draws only what nothing stands before."""
        if self._raster is None:
            self._raster = RasterRenderer()
        return self._raster.silhouettes(snapshot)

    def close(self) -> None:
        """Free what is resident."""
        for resident in (self._client, self._raster):
            if resident is not None:
                resident.close()
        self._client = self._raster = None

    def _image(self, snapshot: Snapshot, passes: Sequence[str]) -> dict[str, NDArray[np.generic]]:
        if self._client is not None and self._client.resident > RESIDENT_BYTES:
            self.close()
        if self._client is None:
            self._client = _Client()
        camera = snapshot.camera
        boxes = self._client.boxes(snapshot.drawables)
        stage = _stage(snapshot, boxes)
        light = lighting(snapshot, stage.center)
        rgb, z, mask = self._client.draw(snapshot, stage, light)
        depth = _linear_depth(z, stage)
        if (depth[mask >= 0] < camera.near).any():
            stage = _stage(snapshot, boxes, camera.near)
            rgb, z, mask = self._client.draw(snapshot, stage, light)
            depth = _linear_depth(z, stage)
        seen = (mask >= 0) & (depth <= camera.far)
        images: dict[str, NDArray[np.generic]] = {}
        if "rgb" in passes:
            linear = LINEAR[rgb] * np.float32(light.gain)
            if not seen.all():
                linear = np.where(seen[..., None], linear, background(snapshot.environment, camera))
            images["rgb"] = linear
        if "depth" in passes:
            images["depth"] = np.where(seen, depth, 0.0).astype(np.float32)
        for name in ("instance", "part"):
            if name in passes:
                ids = [getattr(d, f"{name}_id") for d in snapshot.drawables]
                images[name] = np.array([*ids, 0], np.uint16)[np.where(seen, mask, -1)]
        return images


@dataclass(frozen=True, eq=False)
class _Stage:
    """The world as PyBullet gets it: origin in the middle of what matters, axes of the world, ``unit`` to the metre.

    ``unit`` is a power of two, so that no digit is lost. ``view`` and ``projection`` are column-major (16,) as OpenGL
    has them; ``light_distance`` is in PyBullet's units.
    """

    center: Array
    unit: float
    light_distance: float
    view: list[float]
    projection: list[float]


class _Client:
    """A PyBullet client with the meshes and textures that were used so far."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._id = self._stack.enter_context(connect())
        self._folder = self._stack.enter_context(scratch_folder())
        self._shapes: dict[tuple[object, ...], list[int]] = {}
        self._textures: dict[str, int] = {}
        self._extents: dict[str, Array] = {}
        self.resident = 0

    def close(self) -> None:
        self._stack.close()

    def boxes(self, drawables: Sequence[Drawable]) -> Array:
        """The corners (n, 8, 3) in the world of the boxes around drawables in their own frames."""
        corners = np.zeros((len(drawables), 8, 3))
        for k, d in enumerate(drawables):
            if d.mesh.key not in self._extents:
                vertices = d.mesh.vertices[np.isfinite(d.mesh.vertices).all(axis=1)].astype(np.float64)
                if not len(vertices):
                    vertices = np.zeros((1, 3))
                self._extents[d.mesh.key] = np.stack([vertices.min(axis=0), vertices.max(axis=0)])
            ends = self._extents[d.mesh.key] * d.scale
            own = ends[_ENDS, np.arange(3)]
            corners[k] = own @ d.T_world_obj[:3, :3].T + d.T_world_obj[:3, 3]
        return corners

    def draw(
        self, snapshot: Snapshot, stage: _Stage, light: Lighting
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int32]]:
        """Colours in sRGB (H, W, 3), z-buffer (H, W) and index of the drawable (H, W), -1 where there is none."""
        camera = snapshot.camera
        owner: dict[int, int] = {}
        try:
            for index, drawable in enumerate(snapshot.drawables):
                for uid in self._add(drawable, stage):
                    owner[uid] = index
            _, _, rgba, z, mask = bullet.getCameraImage(
                camera.width,
                camera.height,
                viewMatrix=stage.view,
                projectionMatrix=stage.projection,
                lightDirection=light.direction,
                lightColor=light.color,
                lightDistance=max(stage.light_distance, 1.0),
                shadow=int(light.shadow and stage.light_distance > 0),
                lightAmbientCoeff=light.ambient,
                lightDiffuseCoeff=1.0,
                lightSpecularCoeff=0.0,
                renderer=bullet.ER_TINY_RENDERER,
                physicsClientId=self._id,
            )
        except bullet.error as error:
            raise RenderError(f"PyBullet's TinyRenderer failed: {error}") from error
        finally:
            for uid in owner:
                bullet.removeBody(uid, physicsClientId=self._id)
        size = (camera.height, camera.width)
        table = np.full(max(owner, default=-1) + 2, -1, np.int32)
        table[list(owner)] = list(owner.values())
        colors = np.asarray(rgba, np.uint8).reshape(*size, 4)[..., :3]
        return colors, np.asarray(z, np.float32).reshape(size), table[np.asarray(mask, np.int32).reshape(size)]

    def _add(self, drawable: Drawable, stage: _Stage) -> Iterable[int]:
        """The ids of bodies that show a drawable."""
        T = drawable.T_world_obj
        position = ((T[:3, 3] - stage.center) * stage.unit).tolist()
        quaternion = quaternion_from_rotation(T[:3, :3]).tolist()
        look: dict[str, object] = {"rgbaColor": [*encode(_color(drawable)).tolist(), 1.0]}
        if drawable.material.base_color_map is not None and (
            drawable.projection == "box" or drawable.mesh.uv is not None
        ):
            look["textureUniqueId"] = self._texture(drawable.material.base_color_map)
        for shape in self._shape(drawable, stage.unit):
            uid = bullet.createMultiBody(0.0, -1, shape, position, quaternion, physicsClientId=self._id)
            yield uid
            bullet.changeVisualShape(uid, -1, **look, physicsClientId=self._id)

    def _shape(self, drawable: Drawable, unit: float) -> list[int]:
        tile = drawable.tile if drawable.projection == "box" else None
        key = (drawable.mesh.key, drawable.scale, tile, unit)
        if key not in self._shapes:
            all_ = triangles(drawable)
            shapes = []
            for start in range(0, len(all_.faces), FACES):
                used, faces = np.unique(all_.faces[start : start + FACES], return_inverse=True)
                shapes.append(self._upload(all_.points[used] * unit, all_.normals[used], all_.uv[used], faces))
                self.resident += len(used) * BYTES_PER_VERTEX
            self._shapes[key] = shapes
        return self._shapes[key]

    def _upload(self, points: Array, normals: Array, uv: Array, indices: NDArray[np.int64]) -> int:
        """One visual shape. OpenGL has the origin of textures at the bottom, hence 1 - v."""
        upright = np.stack([uv[:, 0], 1.0 - uv[:, 1]], axis=1)
        rows = [_rows(points, 0), _rows(normals, 1), _rows(upright, 2)]
        flat = indices.ravel().tolist()
        try:
            shape: int = bullet.createVisualShape(
                bullet.GEOM_MESH,
                vertices=rows[0],
                indices=flat,
                normals=rows[1],
                uvs=rows[2],
                physicsClientId=self._id,
            )
        except bullet.error as error:
            raise RenderError(f"PyBullet takes no mesh of {len(points)} vertices: {error}") from error
        finally:
            for kept in rows:
                kept.clear()
            flat.clear()
        return shape

    def _texture(self, texture: Texture) -> int:
        if texture.key not in self._textures:
            pixels = texture.pixels[..., :3]
            if not texture.srgb:
                pixels = ENCODED[pixels]
            path = self._folder / f"{len(self._textures)}.bmp"
            if not cv2.imwrite(str(path), np.ascontiguousarray(pixels[..., ::-1])):
                raise RenderError(f"no room for textures in {self._folder}; set TMPDIR to a folder with space")
            self._textures[texture.key] = bullet.loadTexture(str(path), physicsClientId=self._id)
            path.unlink()
            self.resident += 2 * pixels.size
        return self._textures[texture.key]


_ENDS = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
_POOL: tuple[list[list[float]], ...] = ([], [], [])


def _rows(values: Array, lane: int) -> list[list[float]]:
    """``values`` (n, k) as a list of lists, out of a pool.

    PyBullet 3.2.7 never lets go of the rows of vertices, normals and texture coordinates that it is given
    (``extractVertices`` and ``extractUVs``). Rows that are used again for every mesh cost their memory once a process;
    new ones would cost 2 MB a mesh, forever. The caller clears the outer list.
    """
    pool = _POOL[lane]
    pool.extend([] for _ in range(len(values) - len(pool)))
    rows = pool[: len(values)]
    for row, new in zip(rows, values.tolist(), strict=True):
        row[:] = new
    return rows


def _color(drawable: Drawable) -> Array:
    """Linear RGB (3,) that the texture is multiplied with."""
    material: Material = drawable.material
    color = np.array(material.base_color[:3], np.float64)
    if drawable.mesh.colors is not None and len(drawable.mesh.colors):
        color *= drawable.mesh.colors[:, :3].mean(axis=0, dtype=np.float64)
    return color


def _stage(snapshot: Snapshot, boxes: Array, near: float | None = None) -> _Stage:
    """Where to put the origin, how large to make the world and how to project it.

    ``boxes`` (n, 8, 3) are the corners of the drawables, of which those with labels matter most. The near plane is at
    ``near`` metres. None brings it so near that shadows work; what then turns out to be nearer than the camera's own
    has to be drawn again.
    """
    camera = snapshot.camera
    labelled = [k for k, d in enumerate(snapshot.drawables) if d.instance_id]
    corners = boxes.reshape(-1, 3) if len(boxes) else np.zeros((1, 3))
    lit = boxes[labelled].reshape(-1, 3) if labelled else corners
    center = (lit.min(axis=0) + lit.max(axis=0)) / 2
    radius = max(float(np.linalg.norm(lit - center, axis=1).max()), 1e-3)
    unit = 2.0 ** floor(log2(REACH / radius))
    T_cam_world = inverse(camera.T_world_cam)
    depths = corners @ T_cam_world[2, :3] + T_cam_world[2, 3]
    near = min(camera.near, NEAR / unit) if near is None else near
    # The light looks through the same planes as the camera.
    distance = light_distance(camera, radius * unit)
    far = max(min(camera.far, float(depths.max()) * 1.01), near * 2, 1.5 * distance / unit)
    T_cam_stage = T_cam_world.copy()
    T_cam_stage[:3, 3] = (T_cam_world[:3, :3] @ center + T_cam_world[:3, 3]) * unit
    T_cam_stage[1:3] *= -1
    return _Stage(
        center,
        unit,
        distance,
        T_cam_stage.T.ravel().tolist(),
        _projection(camera, near * unit, far * unit).T.ravel().tolist(),
    )


def _projection(camera: Camera, near: float, far: float) -> Array:
    """OpenGL's projection (4, 4) for a camera of OpenCV.

    TinyRenderer samples column x at window coordinate x and row y at height - 1 - y, without the half pixel of OpenGL:
    pixel u has the normalized coordinate 2 u / W - 1, row v has 2 (H - 1 - v) / H - 1.
    """
    K, W, H = camera.K, camera.width, camera.height
    P = np.zeros((4, 4))
    P[0] = [2 * K[0, 0] / W, -2 * K[0, 1] / W, 1 - 2 * K[0, 2] / W, 0]
    P[1] = [0, 2 * K[1, 1] / H, 1 - 2 * (H - 1 - K[1, 2]) / H, 0]
    P[2] = [0, 0, -(far + near) / (far - near), -2 * far * near / (far - near)]
    P[3] = [0, 0, -1, 0]
    return P


def _linear_depth(z: NDArray[np.float32], stage: _Stage) -> Array:
    """Z-depth in metres of z-buffer values.

    PyBullet interpolates clip z, then makes OpenGL's window depth of it with near and far planes that it takes back
    out of the projection in float32; undoing these very steps loses nothing but the rounding of the result.
    """
    a, b = np.float32(stage.projection[10]), np.float32(stage.projection[14])
    near, far = float(b / (a - np.float32(1))), float(b / (a + np.float32(1)))
    window = z.astype(np.float64)
    clip = near * far * (2 * window - 1) / (far - window * (far - near))
    return (clip - float(b)) / -float(a) / stage.unit

"""From a record and a state to snapshots: names become meshes, textures and environments; poses become matrices.

``resolve`` does once per scene what does not depend on time or camera; ``snapshot`` then puts everything in its place
for one frame.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from simgen.assets.asset import Asset, Material, Texture
from simgen.assets.environments import sky
from simgen.assets.library import Library
from simgen.assets.textures import generate
from simgen.geometry import inverse
from simgen.render.base import Camera, Drawable, Environment, Mat4, Neighbour, Snapshot
from simgen.scene.camera_pose import pose_on_carrier
from simgen.scene.record import (
    CameraRecord,
    EnvironmentRecord,
    FrameRecord,
    MaterialRecord,
    SceneRecord,
    TextureRecord,
)
from simgen.scene.state import SceneState


@dataclass(frozen=True, eq=False)
class ResolvedScene:
    """A record whose names have been looked up.

    ``assets`` and ``materials`` (one per mesh, base link or links in order) are per body of the record; ``environment``
    has no background image, because its size is the camera's: ``backgrounds`` keeps those made so far, by width and
    height.
    """

    record: SceneRecord
    assets: tuple[Asset, ...]
    materials: tuple[dict[str, tuple[Material, ...]], ...]
    environment: Environment
    background_texture: Texture | None
    backgrounds: dict[tuple[int, int], NDArray[np.float32] | None] = field(default_factory=dict)


def resolve(record: SceneRecord, library: Library) -> ResolvedScene:
    """Look up every asset, texture and environment of ``record``; raises AssetError when one is missing or broken."""
    assets = tuple(library.asset(body.asset) for body in record.bodies)
    materials = tuple(
        {
            link: tuple(_material(mesh.material, body.material, library) for mesh in meshes)
            for link, meshes in _meshes_by_link(asset).items()
        }
        for asset, body in zip(assets, record.bodies, strict=True)
    )
    env = record.environment
    background = None
    if env.background == "texture" and env.background_texture is not None:
        background = _texture(env.background_texture, library)
    return ResolvedScene(record, assets, materials, _environment(env, library), background)


def snapshot(
    scene: ResolvedScene,
    state: SceneState,
    frame: FrameRecord,
    previous: tuple[SceneState, FrameRecord] | None = None,
    following: tuple[SceneState, FrameRecord] | None = None,
) -> Snapshot:
    """The image to compute for ``frame`` at ``state``.

    ``previous`` and ``following`` are the same view at the neighbouring times, for motion; None where there is none.
    """
    camera = camera_at(scene.record, state, frame.camera)
    size = camera.width, camera.height
    if size not in scene.backgrounds:
        scene.backgrounds[size] = _background(scene, *size)
    return Snapshot(
        tuple(drawables(scene, state)),
        scene.record.lights,
        replace(scene.environment, background=scene.backgrounds[size]),
        camera,
        previous=None if previous is None else _neighbour(scene, state, *previous),
        next=None if following is None else _neighbour(scene, state, *following),
    )


def drawables(scene: ResolvedScene, state: SceneState) -> list[Drawable]:
    """All meshes where they are at ``state``, in the order of the record's bodies."""
    ids = instance_ids(scene.record, state)
    out: list[Drawable] = []
    for index, body in enumerate(scene.record.bodies):
        if state.bodies[index] is None:
            continue
        textured = body.material.texture is not None
        for link, meshes in _meshes_by_link(scene.assets[index]).items():
            T = _link_pose(state, index, link)
            for mesh, material in zip(meshes, scene.materials[index][link], strict=True):
                out.append(
                    Drawable(
                        mesh,
                        material,
                        T,
                        body.scale,
                        projection=body.material.projection if textured else "uv",
                        tile=body.material.tile,
                        instance_id=ids.get(index, 0),
                        part_id=len(out) + 1,
                    )
                )
    return out


def instance_ids(record: SceneRecord, state: SceneState) -> dict[int, int]:
    """Body index -> instance id (1...K) of the bodies that are labelled and still there, in the record's order."""
    present = [i for i, body in enumerate(record.bodies) if body.category is not None and state.bodies[i] is not None]
    return {body: k + 1 for k, body in enumerate(present)}


def camera_at(record: SceneRecord, state: SceneState, camera: CameraRecord) -> Camera:
    """The camera of a frame where it is at ``state``; raises KeyError when its body or link is not there."""
    T = pose_on_carrier(camera, state.time)
    if camera.body is not None:
        index = next(i for i, body in enumerate(record.bodies) if body.name == camera.body)
        T = _link_pose(state, index, camera.link or "") @ T
    K = np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1.0]])
    return Camera(K, T, camera.width, camera.height, camera.near, camera.far)


def cam_from_obj(camera: Camera, T_world_obj: Mat4) -> Mat4:
    """``T_cam_obj`` (4, 4)."""
    return inverse(camera.T_world_cam) @ T_world_obj


def _meshes_by_link(asset: Asset) -> dict[str, tuple]:
    return asset.links if asset.articulated else {"": asset.meshes}


def _link_pose(state: SceneState, body: int, link: str) -> Mat4:
    where = state.bodies[body]
    if where is None:
        raise KeyError(f"body {body} was removed from the scene")
    return where.links[link] if link else where.T_world_obj


def _neighbour(scene: ResolvedScene, now: SceneState, state: SceneState, frame: FrameRecord) -> Neighbour:
    poses = [
        _link_pose(state, index, link)
        for index in range(len(scene.record.bodies))
        if now.bodies[index] is not None
        for link, meshes in _meshes_by_link(scene.assets[index]).items()
        for _ in meshes
    ]
    stacked = np.stack(poses) if poses else np.zeros((0, 4, 4))
    return Neighbour(stacked, camera_at(scene.record, state, frame.camera).T_world_cam)


def _material(own: Material, change: MaterialRecord, library: Library) -> Material:
    color, color_map = own.base_color, own.base_color_map
    if change.base_color is not None:
        color, color_map = (*change.base_color, 1.0), None
    if change.texture is not None:
        color, color_map = (1.0, 1.0, 1.0, color[3]), _texture(change.texture, library)
    r, g, b = (c * t for c, t in zip(color[:3], change.tint, strict=True))
    keeps_maps = change.texture is None and change.base_color is None
    return replace(
        own,
        base_color=(r, g, b, color[3]),
        base_color_map=color_map,
        roughness=own.roughness if change.roughness is None else change.roughness,
        metallic=own.metallic if change.metallic is None else change.metallic,
        # A map laid out for the asset's own colours makes no sense under another texture, nor under a set value.
        metallic_roughness_map=own.metallic_roughness_map if keeps_maps and change.roughness is None else None,
        normal_map=own.normal_map if keeps_maps else None,
        alpha_cutoff=own.alpha_cutoff if keeps_maps else None,
    )


def _texture(record: TextureRecord, library: Library) -> Texture:
    if record.image is not None:
        return library.texture(record.image)
    return _generated(record.kind or "noise", record.seed, record.colors, record.scale)


@lru_cache(maxsize=128)
def _generated(kind: str, seed: int, colors: tuple, scale: float) -> Texture:
    return generate(kind, seed, colors, scale)


def _environment(record: EnvironmentRecord, library: Library) -> Environment:
    if record.image is not None:
        key, radiance = library.environment(record.image)
    elif record.sky is not None:
        s = record.sky
        key = "sky:" + hashlib.sha256(repr(s).encode()).hexdigest()[:16]
        radiance = sky(s.zenith, s.horizon, s.ground, s.sun_direction, s.sun_color, s.clouds, s.seed)
    else:
        color = record.color or (1.0, 1.0, 1.0)
        key, radiance = f"color:{color}", np.full((16, 32, 3), color, np.float32)
    return Environment(key, radiance, record.rotation, record.intensity)


def _background(scene: ResolvedScene, width: int, height: int) -> NDArray[np.float32] | None:
    record = scene.record.environment
    shape = (height, width, 3)
    if record.background == "color":
        return np.broadcast_to(np.asarray(record.background_color, np.float32), shape).copy()
    if scene.background_texture is None:
        return None
    image = _cover(scene.background_texture.pixels[..., :3], width, height)
    return linear_from_srgb(image) * np.float32(record.intensity)


def _cover(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Scale to fill (height, width) without changing proportions, cutting what sticks out evenly on both sides."""
    h, w = image.shape[:2]
    scale = max(width / w, height / h)
    size = (max(width, round(w * scale)), max(height, round(h * scale)))
    large = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    x, y = (size[0] - width) // 2, (size[1] - height) // 2
    return np.ascontiguousarray(large[y : y + height, x : x + width])


def linear_from_srgb(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Decode sRGB (IEC 61966-2-1): uint8 of any shape to linear float32 in [0, 1]."""
    codes = np.arange(256) / 255.0
    table = np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4).astype(np.float32)
    return table[image]

"""The 3-D models behind the labels: which there are, their boxes, and BOP's model files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import cdist

from simgen.assets.asset import Asset, Mesh, Texture
from simgen.assets.library import Library
from simgen.errors import AssetError, DatasetError
from simgen.export.base import Settings
from simgen.shards.reader import Dataset

Bounds = tuple[tuple[float, float, float], tuple[float, float, float]]
"""Lowest and highest corner of an asset's box in its own frame, metres, before any scale."""


@dataclass(frozen=True)
class Model:
    """A rigid body of a certain size: ``size`` metres, ``scale`` of the asset; it is seen first in ``frame``."""

    asset: str
    size: tuple[float, float, float]
    category_id: int
    frame: int
    scale: tuple[float, float, float]


def find_models(settings: Settings) -> list[Model]:
    """The models of the chosen categories, in order of asset and size: one for each scale that an asset has."""
    found: dict[tuple[str, tuple[float, ...]], tuple[int, int, int]] = {}
    wanted = [category.id for category in settings.categories]
    with Dataset(settings.dataset) as dataset:
        for index in range(len(dataset)):
            objects = dataset.objects(index)
            for k in np.flatnonzero(np.isin(objects.category_id, wanted)).tolist():
                key = objects.asset[k], tuple(objects.size[k].tolist())
                found.setdefault(key, (index, int(objects.body[k]), int(objects.category_id[k])))
        models = []
        for asset, size in sorted(found):
            frame, body, category = found[asset, size]
            record = dataset.record(frame // dataset.manifest.frames_per_scene)
            models.append(Model(asset, (size[0], size[1], size[2]), category, frame, record.bodies[body].scale))
    return models


def load_assets(settings: Settings, models: Sequence[Model]) -> dict[str, Asset]:
    """The assets of ``models``. Raises DatasetError when one is not there or is not what the dataset was made with."""
    if not models:
        return {}
    with Dataset(settings.dataset) as dataset:
        config = dataset.manifest.config.get("assets", {})
    paths = settings.assets if settings.assets is not None else config.get("path", ())
    try:
        library = Library(paths)
        assets = {model.asset: library.asset(model.asset) for model in models}
    except AssetError as error:
        raise DatasetError(
            f"the {settings.format} export needs the models of the objects: {error}; say where they are with --assets"
        ) from error
    for model in models:
        extent = np.ptp(assets[model.asset].bounds, axis=0) * model.scale
        if not np.allclose(extent, model.size, rtol=1e-4, atol=1e-6):
            raise DatasetError(
                f'the asset "{model.asset}" is not the one that {settings.dataset} was made with: it measures '
                f"{_millimetres(extent)} mm, frame {model.frame} has it with {_millimetres(model.size)} mm; give the "
                "folder of the original with --assets"
            )
    return assets


def asset_bounds(settings: Settings) -> dict[str, Bounds]:
    """The boxes of all assets of the chosen categories."""
    found = {}
    for name, asset in load_assets(settings, find_models(settings)).items():
        (a, b, c), (d, e, f) = asset.bounds.tolist()
        found[name] = (a, b, c), (d, e, f)
    return found


def box_center(bounds: Bounds, size: NDArray[np.float64]) -> NDArray[np.float64]:
    """The centre (3,), in the object's frame, of the box of an object that measures ``size`` (3,) metres."""
    low, high = np.asarray(bounds)
    extent = high - low
    scale = np.divide(size, extent, out=np.full(3, np.nan), where=extent > 0)
    # The scale across a flat object does not show in its size; that of its other axes stands in.
    scale = np.where(extent > 0, scale, np.nanmean(scale))
    center: NDArray[np.float64] = (low + high) / 2 * scale
    return center


def model_info(points: NDArray[np.float64]) -> dict[str, float]:
    """BOP's facts about a model: box and diameter of its vertices (V, 3), in their unit."""
    low, extent = points.min(axis=0), np.ptp(points, axis=0)
    facts = {f"min_{axis}": float(v) for axis, v in zip("xyz", low, strict=True)}
    facts |= {f"size_{axis}": float(v) for axis, v in zip("xyz", extent, strict=True)}
    return {"diameter": diameter(points), **facts}


def diameter(points: NDArray[np.float64]) -> float:
    """The largest distance between any two of ``points`` (V, 3)."""
    try:
        points = points[ConvexHull(points).vertices]
    except QhullError:  # flat or too few; then all points are compared
        points = np.unique(points, axis=0)
    return max(float(cdist(points[k : k + 1024], points).max()) for k in range(0, len(points), 1024))


def vertices(asset: Asset, scale: Sequence[float]) -> NDArray[np.float64]:
    """All vertices (V, 3) of an asset in millimetres, mesh after mesh."""
    return np.concatenate([mesh.vertices for mesh in asset.meshes]).astype(np.float64) * np.asarray(scale) * 1000


def the_texture(asset: Asset) -> Texture | None:
    """The texture that all of the asset's meshes have, if they have one and the same."""
    maps = {mesh.material.base_color_map.key if mesh.material.base_color_map else None for mesh in asset.meshes}
    plain = all(mesh.uv is not None for mesh in asset.meshes)
    return asset.meshes[0].material.base_color_map if plain and len(maps) == 1 else None


def ply(asset: Asset, scale: Sequence[float], texture_file: str | None) -> bytes:
    """The asset as an ASCII PLY file in millimetres, with normals and texture coordinates or colours.

    ``texture_file`` is the name of the image beside it that ``the_texture`` is saved in; then there are texture
    coordinates (v up, as MeshLab's and BOP's), else vertex colours (sRGB).
    """
    points = vertices(asset, scale)
    normals = np.concatenate([mesh.normals for mesh in asset.meshes]) / np.asarray(scale)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in asset.meshes)])
    faces = np.concatenate([mesh.faces + start for mesh, start in zip(asset.meshes, starts, strict=False)])
    if np.prod(scale) < 0:
        faces = faces[:, ::-1]
    head = ["ply", "format ascii 1.0"]
    head += [f"comment TextureFile {texture_file}"] if texture_file else []
    head += [f"element vertex {len(points)}", *(f"property float {name}" for name in ("x", "y", "z", "nx", "ny", "nz"))]
    if texture_file:
        uv = np.concatenate([mesh.uv for mesh in asset.meshes if mesh.uv is not None])
        extra, layout = uv * (1, -1) + (0, 1), " %.6f %.6f"
        head += ["property float texture_u", "property float texture_v"]
    else:
        extra, layout = np.concatenate([_colors(mesh) for mesh in asset.meshes]), " %d %d %d"
        head += [f"property uchar {name}" for name in ("red", "green", "blue")]
    head += [f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header"]
    table = np.concatenate([points, normals, extra], axis=1).tolist()
    row = "%.5f %.5f %.5f %.5f %.5f %.5f" + layout
    lines = [*head, *(row % tuple(values) for values in table), *(f"3 {a} {b} {c}" for a, b, c in faces.tolist())]
    return ("\n".join(lines) + "\n").encode("ascii")


def _colors(mesh: Mesh) -> NDArray[np.uint8]:
    """SRGB colours (V, 3) of the vertices: base colour times vertex colour times texture."""
    color = np.tile(np.asarray(mesh.material.base_color[:3]), (len(mesh.vertices), 1))
    if mesh.colors is not None:
        color = color * mesh.colors[:, :3]
    texture = mesh.material.base_color_map
    if texture is not None and mesh.uv is not None:
        height, width = texture.pixels.shape[:2]
        column, row = (np.floor(mesh.uv * (width, height)).astype(np.int64) % (width, height)).T
        encoded = texture.pixels[row, column, :3] / 255
        color = color * np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    color = np.clip(color, 0, 1)
    encoded = np.where(color <= 0.0031308, color * 12.92, 1.055 * color ** (1 / 2.4) - 0.055)
    return np.rint(encoded * 255).astype(np.uint8)


def _millimetres(size: Sequence[float] | NDArray[np.float64]) -> str:
    return " x ".join(f"{1000 * v:.1f}" for v in size)


def model_key(asset: str, size: Sequence[float]) -> str:
    """What a model is looked up by; ``size`` as stored."""
    return "\t".join([asset, *(f"{v!r}" for v in size)])


def model_ids(models: Sequence[Model]) -> Mapping[str, int]:
    """Key -> id, from 1."""
    return {model_key(model.asset, model.size): k + 1 for k, model in enumerate(models)}

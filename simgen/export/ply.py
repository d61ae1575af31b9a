"""BOP's model files: meshes as PLY, and the facts about them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import cdist

from simgen.assets.asset import Asset, Mesh, Texture


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

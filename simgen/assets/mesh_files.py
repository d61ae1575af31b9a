"""Reading one mesh file of any known format."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from simgen.assets.asset import Material
from simgen.assets.gltf import read_gltf
from simgen.assets.mesh import F64, I64, Geometry, affine, check
from simgen.assets.obj import read_obj
from simgen.assets.textures import linear
from simgen.errors import AssetError

MESH_SUFFIXES = (".glb", ".gltf", ".obj", ".ply", ".stl")
"""Known formats, the most telling first: of files that differ only in suffix the first of these is used."""

MILLIMETRE_EXTENT = 20.0
"""OBJ, PLY and STL files carry no unit: a mesh larger than this is taken to be in millimetres."""

STL_TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


def read_mesh(path: Path, shapes_only: bool = False, guess_unit: bool = False) -> Geometry:
    """The geometry of ``path`` in the file's own axes (glTF: turned to z up).

    ``shapes_only`` leaves materials and textures unread, for collision meshes. ``guess_unit`` takes OBJ, PLY and STL
    files larger than 20 units as millimetres. Raises AssetError when the file is missing, broken or of an unknown
    format.
    """
    suffix = path.suffix.lower()
    if suffix not in MESH_SUFFIXES:
        known = ", ".join(MESH_SUFFIXES)
        raise AssetError(f"mesh {path} has a format that is not known (known: {known}): convert it")
    if not path.is_file():
        raise AssetError(f"mesh {path} is missing: put it there or correct the path")
    if suffix in (".glb", ".gltf"):
        return read_gltf(path, shapes_only)
    geometry = read_obj(path, shapes_only) if suffix == ".obj" else _read_triangles(path)
    extent = float(np.ptp(geometry.positions[geometry.faces], axis=(0, 1)).max())
    return affine(geometry, np.eye(3) * 1e-3) if guess_unit and extent > MILLIMETRE_EXTENT else geometry


def _read_triangles(path: Path) -> Geometry:
    where = f"mesh {path}"
    positions: F64
    colors: F64 | None = None
    try:
        if path.suffix.lower() == ".stl":
            positions, faces = _read_stl(path)
        else:
            positions, faces, colors = _read_ply(path)
    except OSError as error:
        raise AssetError(f"{where} cannot be read ({error.strerror}): check the path") from None
    except Exception:  # trimesh raises whatever its parsers stumble over
        raise AssetError(f"{where} is damaged or not a {path.suffix[1:].upper()} file: export it again") from None
    zeros = np.zeros(len(faces), np.int64)
    material = Material() if colors is None else Material((1.0, 1.0, 1.0, 1.0))
    return check(Geometry(positions, faces, zeros, (material,), zeros, colors=colors), where)


def _read_stl(path: Path) -> tuple[F64, I64]:
    data = path.read_bytes()
    (count,) = struct.unpack_from("<I", data, 80) if len(data) >= 84 else (0,)
    if len(data) >= 84 and len(data) == 84 + count * STL_TRIANGLE.itemsize:
        positions = np.frombuffer(data, STL_TRIANGLE, count, 84)["corners"].reshape(-1, 3).astype(np.float64)
    elif data.lstrip()[:5].lower() == b"solid":
        lines = (line.split() for line in data.decode("ascii", "replace").splitlines())
        rows = [words[1:4] for words in lines if words and words[0].lower() == "vertex"]
        positions = np.array(rows, np.float64).reshape(-1, 3)
    else:
        raise ValueError("cut")
    return positions, np.arange(len(positions)).reshape(-1, 3)


def _read_ply(path: Path) -> tuple[F64, I64, F64 | None]:
    import trimesh  # half of what importing this package would cost, for a rare format

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mesh: Any = trimesh.load(path, process=False, force="mesh")
    colors = None
    if mesh.visual.kind == "vertex":
        rgba = np.asarray(mesh.visual.vertex_colors, np.float64) / 255
        colors = np.column_stack([linear(rgba[:, :3]), rgba[:, 3]])
    return np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces, np.int64), colors

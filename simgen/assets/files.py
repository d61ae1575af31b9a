"""Which files an asset, texture or environment map consists of."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

from simgen.assets.obj import map_path
from simgen.assets.urdf import mesh_path
from simgen.errors import AssetError

URDF_MESH = re.compile(rb"""<mesh[^>]*?filename\s*=\s*["']([^"']+)["']""")
URDF_TEXTURE = re.compile(rb"""<texture[^>]*?filename\s*=\s*["']([^"']+)["']""")
MTL_MAP = re.compile(r"^\s*(?:map_\w+|bump|disp|decal|norm|refl)\s+(.+?)\s*$", re.IGNORECASE | re.MULTILINE)
OBJ_MTL = re.compile(r"^\s*mtllib\s+(.+?)\s*$", re.MULTILINE)

HEAD = 1 << 16
"""Bytes at the beginning of an OBJ file in which its materials are named."""

NAMING = frozenset({".urdf", ".mtl", ".gltf", ".obj"})
"""Suffixes of files that name others."""


def references(path: Path) -> set[Path]:
    """Paths of the files that a URDF, OBJ, MTL or glTF names, whether they exist or not.

    Raises AssetError when it cannot be read.
    """
    suffix = path.suffix.lower()
    try:
        with path.open("rb") as file:
            data = file.read(HEAD if suffix == ".obj" else -1)
    except OSError as error:
        raise AssetError(f"{path} cannot be read ({error.strerror}): check its permissions") from None
    if suffix == ".urdf":
        names = [match.decode("utf-8", "replace") for match in URDF_MESH.findall(data) + URDF_TEXTURE.findall(data)]
        return {_plain(mesh_path(path, name)) for name in names}
    if suffix == ".obj":
        libraries = (name.replace("\\", "/") for name in OBJ_MTL.findall(data.decode("utf-8", "replace")))
        return {path.parent / name for library in libraries for name in _libraries(path.parent, library)}
    if suffix == ".mtl":
        statements = MTL_MAP.findall(data.decode("utf-8", "replace"))
        return {_plain(map_path(path.parent, statement)) for statement in statements}
    try:
        document = json.loads(data)
        uris = [item["uri"] for key in ("images", "buffers") for item in document.get(key, []) if "uri" in item]
        return {_plain(path.parent / unquote(uri)) for uri in uris if not uri.startswith("data:")}
    except (ValueError, TypeError, AttributeError, KeyError):  # told when the mesh is loaded
        return set()


def closure(paths: Sequence[Path]) -> list[Path]:
    """``paths`` and all files that they need, directly or through others, whether they exist or not; sorted."""
    found: set[Path] = set()
    stack = list(paths)
    while stack:
        path = stack.pop()
        if path not in found:
            found.add(path)
            if path.suffix.lower() in NAMING and path.is_file():
                stack += references(path)
    return sorted(found)


def _libraries(folder: Path, statement: str) -> list[str]:
    """The names in an mtllib statement: one that may have spaces, or several."""
    return [statement] if (folder / statement).exists() else statement.split()


def _plain(path: Path) -> Path:
    """``path`` without "..", which may not be resolved further: links keep their own names in the library."""
    return Path(os.path.normpath(path))

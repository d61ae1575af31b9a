"""Which files an asset, texture or environment map consists of."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

from simgen.assets.gltf import split
from simgen.assets.obj import map_path
from simgen.assets.urdf import mesh_path
from simgen.errors import AssetError

URDF_MESH = re.compile(rb"""<mesh[^>]*?filename\s*=\s*["']([^"']+)["']""")
URDF_TEXTURE = re.compile(rb"""<texture[^>]*?filename\s*=\s*["']([^"']+)["']""")
MTL_MAP = re.compile(r"^\s*(?:map_\w+|bump|disp|decal|norm|refl)\s+(.+?)\s*$", re.IGNORECASE | re.MULTILINE)
OBJ_MTL = re.compile(rb"mtllib[ \t]+([^\r\n]+)")  # begins with what is rare in a long file of numbers

NAMING = frozenset({".urdf", ".mtl", ".gltf", ".glb", ".obj"})
"""Suffixes of files that name others."""


def references(path: Path) -> set[Path]:
    """Paths of the files that a URDF, OBJ, MTL or glTF names, whether they exist or not.

    Raises AssetError when it cannot be read.
    """
    suffix = path.suffix.lower()
    try:
        data = path.read_bytes()
    except OSError as error:
        raise AssetError(f"{path} cannot be read ({error.strerror}): check its permissions") from None
    if suffix == ".urdf":
        names = [match.decode("utf-8", "replace") for match in URDF_MESH.findall(data) + URDF_TEXTURE.findall(data)]
        return {_plain(mesh_path(path, name)) for name in names}
    if suffix == ".obj":
        return {path.parent / name for said in _statements(data) for name in _libraries(path.parent, said)}
    if suffix == ".mtl":
        statements = MTL_MAP.findall(data.decode("utf-8", "replace"))
        return {_plain(map_path(path.parent, statement)) for statement in statements}
    try:
        document, _ = split(data)
        uris = [item["uri"] for key in ("images", "buffers") for item in document.get(key, []) if "uri" in item]
        return {_plain(path.parent / unquote(uri)) for uri in uris if not uri.startswith("data:")}
    except (ValueError, TypeError, AttributeError, KeyError, struct.error):  # told when the mesh is loaded
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


def _statements(data: bytes) -> list[str]:
    """What the mtllib statements of an OBJ file say, comments left out."""
    found = (
        match[1].decode("utf-8", "replace").strip()
        for match in OBJ_MTL.finditer(data)
        if not data[data.rfind(b"\n", 0, match.start()) + 1 : match.start()].strip()
    )
    return [said.replace("\\", "/") for said in found if said]


def _libraries(folder: Path, statement: str) -> list[str]:
    """The names in an mtllib statement: one that may have spaces, or several."""
    return [statement] if (folder / statement).exists() else statement.split()


def _plain(path: Path) -> Path:
    """``path`` without "..", which may not be resolved further: links keep their own names in the library."""
    return Path(os.path.normpath(path))

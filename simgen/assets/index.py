"""Finding what lies below the search paths: which files are assets, textures and environment maps, and their names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Literal

from simgen.assets.environments import ENVIRONMENT_SUFFIXES
from simgen.assets.files import references
from simgen.assets.mesh_files import MESH_SUFFIXES
from simgen.assets.sidecar import SIDECAR, Sidecar, read_sidecar
from simgen.assets.textures import IMAGE_SUFFIXES
from simgen.errors import AssetError, several

Kind = Literal["asset", "texture", "environment"]

ASSET_SUFFIXES = (".urdf", *MESH_SUFFIXES)

PART_SUFFIX = re.compile(r"[_-](col|collision|vhacd|coacd|convex|hull)([_-]?\d+)?$", re.IGNORECASE)
"""Endings of mesh names that mark collision parts of the mesh named by what stands before."""

GENERIC_NAMES = frozenset(
    {
        *("asset", "base", "collision", "google_16k", "mesh", "meshes", "model", "models", "nontextured"),
        *("obj", "object", "poisson", "scene", "textured", "tsdf", "visual"),
    }
)
"""Names of files and folders that say nothing of what is in them; the folder above is asked."""


@dataclass(frozen=True)
class Entry:
    """One thing of the library.

    ``path`` is its file, None when it is computed; ``size`` the bytes of all files it is known to need, ``parts`` its
    collision meshes where they are not named in the file itself; ``bundled`` comes with the package.
    """

    name: str
    kind: Kind
    path: Path | None
    size: int
    category: str = ""
    sidecar: Sidecar = field(default_factory=Sidecar)
    parts: tuple[Path, ...] = ()
    bundled: bool = False


@dataclass
class _Tree:
    """The files below a search path: sizes by path, and the paths of each folder in order of name."""

    sizes: dict[Path, int] = field(default_factory=dict)
    folders: dict[Path, list[Path]] = field(default_factory=dict)


def index(root: Path) -> list[Entry]:
    """The entries below ``root``, sorted by kind and name.

    Hidden files and folders are left out. A URDF claims the meshes that it refers to, the other meshes of folders below
    its own that it refers to, and their collision parts; images that a material of a mesh names belong to that mesh;
    other images are textures when they are below a folder called "textures" or in a folder without meshes.
    Raises AssetError when ``root`` cannot be read or a sidecar is wrong.
    """
    tree = _walk(root)
    claimed: set[Path] = set()
    bytes_of: dict[Path, int] = {}
    for path, size in tree.sizes.items():
        suffix = path.suffix.lower()
        needs = references(path) if suffix in (".urdf", ".mtl", ".gltf") else set()
        if suffix == ".urdf":
            needs |= _siblings(tree, path, needs)
        found = {need for need in needs if need in tree.sizes and need != path}
        claimed |= found
        bytes_of[path] = size + sum(tree.sizes[need] for need in found)
    entries: dict[tuple[Kind, str], tuple[int, Entry]] = {}
    for path in tree.sizes:
        entry, rank = (None, 0) if path in claimed else _entry(root, tree, path, bytes_of[path])
        if entry is None:
            continue
        known = entries.get((entry.kind, entry.name))
        if known is None or rank < known[0]:
            entries[entry.kind, entry.name] = (rank, entry)
    ordered = sorted((entry for _, entry in entries.values()), key=lambda entry: (entry.kind, entry.name))
    return _with_sidecars(root, tree, ordered)


def search_paths(paths: Iterable[str | Path] = ()) -> list[Path]:
    """``paths`` followed by those in the environment variable SIMGEN_ASSETS, without repetition."""
    more = [part for part in os.environ.get("SIMGEN_ASSETS", "").split(os.pathsep) if part]
    return list(dict.fromkeys(Path(path).expanduser() for path in (*paths, *more)))


def category(name: str) -> str:
    """What an asset called ``name`` is called in labels: the last part of the name that says something.

    "ycb/mug" is "mug", "ycb/025_mug/google_16k/textured" is "mug", "chairs/0007" is "chairs".
    """
    for part in reversed(PurePosixPath(name).parts):
        word = re.sub(r"^\d+[-_. ]+", "", part)
        if word.lower() not in GENERIC_NAMES and not word.isdigit():
            return word
    return PurePosixPath(name).name


def _walk(root: Path) -> _Tree:
    if not root.is_dir():
        state = "is not a folder" if root.exists() else "does not exist"
        raise AssetError(f'asset path "{root}" {state}: correct assets.path or SIMGEN_ASSETS')
    tree = _Tree()
    seen: set[Path] = set()
    stack = [root]
    while stack:
        folder = stack.pop()
        real = folder.resolve()
        if real in seen:  # a link back into its own tree
            continue
        seen.add(real)
        try:
            with os.scandir(folder) as found:
                listing = sorted((item for item in found if not item.name.startswith(".")), key=lambda item: item.name)
            files = [(folder / item.name, item.stat().st_size) for item in listing if item.is_file()]
            stack += [folder / item.name for item in reversed(listing) if item.is_dir()]
        except OSError as error:
            raise AssetError(
                f'asset path "{folder}" cannot be read ({error.strerror}): check its permissions'
            ) from None
        tree.folders[folder] = [path for path, _ in files]
        tree.sizes.update(files)
    return tree


def _siblings(tree: _Tree, urdf: Path, needs: set[Path]) -> set[Path]:
    """Meshes that belong to a URDF without being named in it."""
    home = urdf.parent
    stems = {path.with_suffix("") for path in (*needs, urdf)}
    out: set[Path] = set()
    for folder in {path.parent for path in needs} | {home}:
        below = folder != home and folder.is_relative_to(home)
        for path in tree.folders.get(folder, []):
            if path.suffix.lower() in MESH_SUFFIXES and (below or _whole(path) in stems):
                out.add(path)
    return out


def _whole(path: Path) -> Path:
    """The mesh, without suffix, of which ``path`` is a collision part by its name; itself when it is none."""
    return path.with_name(PART_SUFFIX.sub("", path.stem) or path.stem)


def _entry(root: Path, tree: _Tree, path: Path, size: int) -> tuple[Entry | None, int]:
    """The entry of one file, None when it is none of the library's, and its rank among those of the same name."""
    suffix = path.suffix.lower()
    name = path.relative_to(root).as_posix()
    if suffix in ENVIRONMENT_SUFFIXES:
        return Entry(name, "environment", path, size), 0
    if suffix in IMAGE_SUFFIXES:
        return (Entry(name, "texture", path, size), 0) if _is_texture(root, tree, path) else (None, 0)
    if suffix not in ASSET_SUFFIXES:
        return None, 0
    stem = path.with_suffix("")
    meshes = [item for item in tree.folders[path.parent] if item.suffix.lower() in MESH_SUFFIXES]
    if _whole(path) != stem and any(item.with_suffix("") == _whole(path) for item in meshes):
        return None, 0
    parts = [item for item in meshes if item.with_suffix("") != stem and _whole(item) == stem]
    parts = [] if suffix == ".urdf" else parts
    size += sum(tree.sizes[part] for part in parts)
    short = name[: -len(suffix)]
    return Entry(short, "asset", path, size, category(short), parts=tuple(parts)), ASSET_SUFFIXES.index(suffix)


def _is_texture(root: Path, tree: _Tree, path: Path) -> bool:
    if any(folder.lower() == "textures" for folder in path.relative_to(root).parts[:-1]):
        return True
    return {item.suffix.lower() for item in tree.folders[path.parent]}.isdisjoint(ASSET_SUFFIXES)


def _with_sidecars(root: Path, tree: _Tree, entries: Sequence[Entry]) -> list[Entry]:
    wrong: list[str] = []

    def read(path: Path) -> Sidecar:
        try:
            return read_sidecar(path)
        except AssetError as error:
            wrong.append(str(error))
            return Sidecar()

    folders = {path: read(path) for path in tree.sizes if path.name == SIDECAR}
    out = []
    for entry in entries:
        if entry.kind != "asset" or entry.path is None:
            out.append(entry)
            continue
        above = [root / folder / SIDECAR for folder in reversed(entry.path.relative_to(root).parents)]
        files = [path for path in above if path in folders]
        notes = [folders[path] for path in files]
        own = entry.path.with_suffix(".yaml")
        if own in tree.sizes and own.name != SIDECAR:
            notes.append(read(own))
            files.append(own)
        sidecar = Sidecar()
        for note in notes:
            sidecar = sidecar.overridden(note)
        size = entry.size + sum(tree.sizes[path] for path in files)
        out.append(replace(entry, sidecar=sidecar, category=sidecar.category or entry.category, size=size))
    if wrong:
        raise AssetError(several(wrong))
    return out

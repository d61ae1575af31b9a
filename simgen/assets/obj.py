"""Wavefront OBJ and MTL files.

Read by our own parser because texture seams, object groups, vertex colours and broken files need care that general
importers do not take. Colours of an MTL are taken as sRGB-encoded, which is how viewers show them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simgen.assets import textures
from simgen.assets.asset import Material, Texture
from simgen.assets.mesh import Geometry, check
from simgen.errors import AssetError

MAP_SIZE = 2048
"""Longer side in pixels above which the maps of a material are scaled down."""

MAP_OPTIONS = {"-blendu": 1, "-blendv": 1, "-boost": 1, "-bm": 1, "-cc": 1, "-clamp": 1, "-imfchan": 1, "-mm": 2}
"""Options of map statements with a fixed number of values; -o, -s, -t take one to three numbers, -texres, -type one."""


@dataclass
class _Lines:
    """The statements of an OBJ file, sorted by kind. ``f`` entries: text, material, group, counts of v, vt, vn."""

    v: list[str] = field(default_factory=list)
    vt: list[str] = field(default_factory=list)
    vn: list[str] = field(default_factory=list)
    f: list[str] = field(default_factory=list)
    material: list[int] = field(default_factory=list)
    group: list[int] = field(default_factory=list)
    relative: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    libraries: list[str] = field(default_factory=list)


def read_obj(path: Path, shapes_only: bool = False) -> Geometry:
    """The geometry of an OBJ file with its materials; polygons become fans of triangles.

    Lines, points and free-form surfaces are skipped. ``shapes_only`` reads neither materials nor textures. Raises
    AssetError when the file or a texture is missing or broken.
    """
    try:
        text = path.read_bytes().decode("utf-8", "replace")
    except OSError as error:
        raise AssetError(f"mesh {path} cannot be read ({error.strerror}): check the path") from None
    lines = _sort(text.replace("\\\n", " ").replace("\\\r\n", " "))
    where = f"mesh {path}"
    try:
        positions, colors = _vertices(lines.v)
        uv = _table(lines.vt, 2)
        normals = _table(lines.vn, 3)
        faces, counts = _corners(lines)
    except (ValueError, IndexError):
        raise AssetError(f"{where} is damaged or not an OBJ file: export it again") from None
    if len(faces) == 0:
        raise AssetError(f"{where} has no faces: export it again as a triangle mesh")
    triangles, face = _fans(counts)
    corner = faces[triangles]
    limits = np.array([len(positions), len(uv), len(normals)])
    if (corner >= limits).any() or (corner[..., 0] < 0).any():
        raise AssetError(
            f"{where} has faces that refer to missing vertices: the file is damaged or cut, export it again"
        )
    used = [] if shapes_only else lines.names
    materials = tuple(_materials(path, lines.libraries, used)) if used else (Material(),)
    geometry = Geometry(
        positions=positions,
        faces=corner[..., 0],
        face_material=np.zeros(len(face), np.int64) if shapes_only else np.array(lines.material, np.int64)[face],
        materials=materials,
        face_group=np.array(lines.group, np.int64)[face],
        uv=_lookup(uv, corner[..., 1]),
        normals=_lookup(normals, corner[..., 2]),
        colors=colors,
    )
    return check(geometry, where)


def read_mtl(path: Path) -> dict[str, Material]:
    """The materials of an MTL file by name; the images they name lie beside it.

    A missing file gives none: meshes are often passed on without it, and are then plain. Raises AssetError when an
    image is missing or broken.
    """
    try:
        text = path.read_bytes().decode("utf-8", "replace")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise AssetError(f"material file {path} cannot be read ({error.strerror}): check its permissions") from None
    blocks: dict[str, dict[str, str]] = {}
    block: dict[str, str] = {}
    for line in text.splitlines():
        key, _, rest = line.strip().partition(" ")
        if key == "newmtl":
            block = blocks.setdefault(rest.strip(), {})
        elif key and not key.startswith("#"):
            block[key.lower()] = rest.strip()
    return {name: _material(path, name, block) for name, block in blocks.items()}


def map_path(folder: Path, statement: str) -> Path:
    """The image that the ``statement`` of a map ("-s 1 1 1 wood.png") names, in ``folder``.

    A path of another machine falls back to a file of the same name in ``folder``.
    """
    words = statement.split()
    start = 0
    while start < len(words) - 1 and words[start].startswith("-"):
        option = words[start].lower()
        start += 1
        if option in ("-o", "-s", "-t"):
            limit = start + 3
            while start < min(limit, len(words) - 1) and _is_number(words[start]):
                start += 1
        else:
            start += MAP_OPTIONS.get(option, 1)
    name = " ".join(words[start:]).strip('"').replace("\\", "/")
    path = folder / name
    return path if path.exists() else folder / Path(name).name


def _sort(text: str) -> _Lines:
    out = _Lines()
    index: dict[str, int] = {}
    material = group = 0
    for raw in text.splitlines():
        line = raw.lstrip()
        head = line[:2]
        if head == "v ":
            out.v.append(line[2:])
        elif head == "f ":
            if "-" in line:
                out.relative[len(out.f)] = (len(out.v), len(out.vt), len(out.vn))
            out.f.append(line[2:])
            out.material.append(material)
            out.group.append(group)
        elif head == "vt":
            out.vt.append(line[3:])
        elif head == "vn":
            out.vn.append(line[3:])
        elif head in ("o ", "g "):
            group += 1
        elif line.startswith("usemtl"):
            name = line[6:].strip()
            if not index and out.f:  # faces before the first usemtl have the default material
                index[""] = 0
            material = index.setdefault(name, len(index))
        elif line.startswith("mtllib"):
            out.libraries.append(line[6:].strip())
    out.names = list(index)
    return out


def _vertices(lines: list[str]) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Positions (V, 3), and colours (V, 4) when each vertex has "x y z r g b" or "x y z w r g b"."""
    if not lines:
        raise ValueError
    columns = len(lines[0].split())
    table = _table(lines, 3) if columns < 6 else _table(lines, columns)
    if columns < 6:
        return table, None
    rgb = table[:, -3:]
    rgb = rgb / 255 if rgb.max() > 1 else rgb
    return np.ascontiguousarray(table[:, :3]), np.column_stack([textures.linear(rgb), np.ones(len(rgb))])


def _table(lines: list[str], columns: int) -> NDArray[np.float64]:
    """The first ``columns`` numbers of each line, (n, columns)."""
    if not lines:
        return np.zeros((0, columns))
    width = len(lines[0].split())
    values = np.array(" ".join(lines).split(), np.float64)
    if width >= columns and len(values) == width * len(lines):
        return np.ascontiguousarray(values.reshape(len(lines), width)[:, :columns])
    pad = ["0"] if columns == 2 else []  # a texture coordinate may have u alone
    return np.array([[float(word) for word in [*line.split(), *pad][:columns]] for line in lines])


def _corners(lines: _Lines) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Zero-based indices (n, 3) of v, vt, vn of every corner, -1 where it has none, and corners a face (F,)."""
    words = [line.split() for line in lines.f]
    counts = np.array([len(face) for face in words], np.int64)
    flat = [word for face in words for word in face]
    text = " ".join(flat)
    number, gap = (flat[0].count("/"), "//" in flat[0]) if flat else (0, False)
    if flat and not lines.relative and _alike(text, number) and text.count("//") == (len(flat) if gap else 0):
        values = np.array(text.replace("/", " ").split(), np.int64).reshape(len(flat), -1)
        out = np.zeros((len(flat), 3), np.int64)
        out[:, [0, 2] if gap else list(range(number + 1))] = values
        return out - 1, counts
    known: dict[str, tuple[int, int, int]] = {}
    out = np.zeros((len(flat), 3), np.int64)
    for k, word in enumerate(flat):
        if word not in known:
            v, vt, vn = [int(part) if part else 0 for part in [*word.split("/"), "", ""][:3]]
            known[word] = (v, vt, vn)
        out[k] = known[word]
    starts = [0, *accumulate(counts.tolist())]
    for face, size in lines.relative.items():
        part = out[starts[face] : starts[face + 1]]
        part[:] = np.where(part < 0, part + np.array(size) + 1, part)
    return out - 1, counts


def _alike(text: str, number: int) -> bool:
    """Whether each word of ``text`` has ``number`` slashes."""
    letters = np.frombuffer(text.encode() + b" ", np.uint8)
    at_ends = np.cumsum(letters == ord("/"))[letters == ord(" ")]
    return bool((np.diff(at_ends, prepend=0) == number).all())


def _fans(counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Corner numbers (T, 3) of triangle fans over polygons of ``counts`` corners, and the polygon (T,) of each."""
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    triangles = np.maximum(counts - 2, 0)
    face = np.repeat(np.arange(len(counts)), triangles)
    step = np.arange(len(face)) - np.repeat(np.cumsum(triangles) - triangles, triangles)
    first = starts[face]
    return np.stack([first, first + step + 1, first + step + 2], axis=-1), face


def _lookup(table: NDArray[np.float64], index: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """``table[index]``, NaN where the index is negative; None when all are. Texture v turns from up to down."""
    if len(table) == 0 or (index < 0).all():
        return None
    out = np.where(index[..., None] < 0, np.nan, table[index])
    if table.shape[1] == 2:
        out[..., 1] = 1 - out[..., 1]
    return out


def _materials(path: Path, libraries: list[str], names: list[str]) -> list[Material]:
    known: dict[str, Material] = {}
    for library in libraries:
        folder = path.parent
        whole = folder / library.replace("\\", "/")
        for name in [library] if whole.exists() or " " not in library else library.split():
            known.update(read_mtl(folder / name.replace("\\", "/")))
    return [known.get(name, Material()) for name in names]


def _material(path: Path, name: str, block: dict[str, str]) -> Material:
    where = f"material {name!r} of {path}"

    def numbers(key: str, default: tuple[float, ...]) -> tuple[float, ...]:
        if key not in block:
            return default
        try:
            values = [float(word) for word in block[key].split()[: len(default)]]
        except ValueError:
            raise AssetError(f"{where} has a {key} that is not a number: {block[key]!r}, correct it") from None
        if not values or not np.isfinite(values).all():
            raise AssetError(f"{where} has a {key} that is not a number: {block[key]!r}, correct it")
        return tuple((values * 3)[: len(default)])

    def image(*keys: str, srgb: bool = True) -> Texture | None:
        for key in keys:
            if block.get(key):
                file = map_path(path.parent, block[key])
                if not file.exists():
                    raise AssetError(f"{where} names texture {file}, which is missing: put it there or take {key} out")
                return textures.load(file, MAP_SIZE, srgb)
        return None

    color_map = image("map_kd", "map_ka")
    alpha = numbers("d", (1.0,))[0] if "d" in block else 1 - numbers("tr", (0.0,))[0]
    diffuse = textures.linear(np.clip(numbers("kd", (0.8, 0.8, 0.8)), 0, 1))
    if color_map is not None:  # exporters leave arbitrary greys beside a map
        diffuse = np.ones(3)
    material = Material(
        base_color=(float(diffuse[0]), float(diffuse[1]), float(diffuse[2]), alpha if alpha > 0 else 1.0),
        base_color_map=color_map,
        roughness=_roughness(numbers("pr", (-1.0,))[0], numbers("ns", (0.0,))[0], max(numbers("ks", (0.0,) * 3))),
        metallic=min(max(numbers("pm", (0.0,))[0], 0.0), 1.0),
        normal_map=image("norm", "map_kn", srgb=False),
        emissive=tuple(float(c) for c in textures.linear(np.clip(numbers("ke", (0.0, 0.0, 0.0)), 0, 1))),  # type: ignore[arg-type]
    )
    if color_map is not None and block.get("map_d"):
        return replace(material, base_color_map=_with_alpha(color_map, image("map_d")), alpha_cutoff=0.5)
    return material


def _roughness(physical: float, shininess: float, specular: float) -> float:
    """``Pr`` when given; else from the Phong exponent as Blender's importer does, 1 - sqrt(Ns) / 30; else 0.6."""
    if physical >= 0:
        return min(physical, 1.0)
    if shininess <= 0 or specular <= 0:
        return 0.6
    return min(max(1 - float(np.sqrt(shininess)) / 30, 0.1), 1.0)


def _with_alpha(color: Texture, mask: Texture | None) -> Texture:
    if mask is None or color.pixels.shape[2] == 4 or mask.pixels.shape[:2] != color.pixels.shape[:2]:
        return color
    return textures.texture(np.concatenate([color.pixels, mask.pixels[..., -1:]], axis=2), color.srgb)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True

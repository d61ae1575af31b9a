"""glTF 2.0 files (.glb, .gltf): https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html.

Metres, y up in the file and z up here. Node transforms are baked in; skins, morph targets and animations stay at rest.
"""

from __future__ import annotations

import base64
import json
import math
import struct
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from simgen.assets import textures
from simgen.assets.asset import Material, Texture
from simgen.assets.mesh import Geometry, affine, check, compose
from simgen.assets.obj import MAP_SIZE
from simgen.errors import AssetError
from simgen.geometry import transform

COMPONENTS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
TRIANGLES, STRIP, FAN = 4, 5, 6
SUPPORTED = frozenset(
    {
        "KHR_texture_transform",
        "KHR_materials_unlit",
        "KHR_mesh_quantization",
        "KHR_materials_emissive_strength",
        "KHR_materials_ior",
        "KHR_materials_specular",
        "KHR_materials_clearcoat",
        "KHR_materials_sheen",
        "KHR_materials_transmission",
        "KHR_materials_volume",
        "KHR_lights_punctual",
    }
)
"""Extensions a file may require: honoured, or about looks that can be left out."""
Z_UP = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
"""Maps glTF's axes (y up, z towards the viewer) to ours (z up)."""


def read_gltf(path: Path, shapes_only: bool = False) -> Geometry:
    """The geometry of the default scene with metallic-roughness materials; ``shapes_only`` skips materials.

    Raises AssetError when the file or what it refers to is missing, broken or needs an unknown extension.
    """
    where = f"mesh {path}"
    try:
        return check(_Reader(path, shapes_only).geometry(), where)
    except OSError as error:
        raise AssetError(f"{where} or its buffer cannot be read ({error}): check the path") from None
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, struct.error):
        raise AssetError(f"{where} is damaged or not a glTF 2.0 file: export it again") from None


class _Reader:
    """One file being read: its JSON document, its binary chunk, and the buffers and materials made so far."""

    def __init__(self, path: Path, shapes_only: bool) -> None:
        self.path = path
        self.shapes_only = shapes_only
        self.document, self.chunk = split(path.read_bytes())
        self.buffers: dict[int, bytes] = {}
        self.materials: dict[int | None, Material] = {}
        unknown = sorted(set(self.document.get("extensionsRequired", [])) - SUPPORTED)
        if unknown:
            raise AssetError(f"mesh {path} needs {unknown[0]}, which is not supported: export it without compression")

    def geometry(self) -> Geometry:
        scenes = self.document.get("scenes")
        nodes = self.document.get("nodes", [])
        if scenes:
            roots = scenes[self.document.get("scene", 0)].get("nodes", [])
        else:
            children = {child for node in nodes for child in node.get("children", [])}
            roots = [k for k in range(len(nodes)) if k not in children]
        parts: list[Geometry] = []
        stack = [(root, Z_UP, 0) for root in reversed(roots)]
        while stack:
            index, T_parent, depth = stack.pop()
            if depth > 256:
                raise ValueError("nodes in a cycle")
            node = nodes[index]
            T = compose(T_parent, _local(node))
            if "mesh" in node:
                primitives = self.document["meshes"][node["mesh"]]["primitives"]
                pieces = (self.primitive(primitive) for primitive in primitives)
                parts += [affine(piece, T[:3, :3], T[:3, 3]) for piece in pieces if piece is not None]
            stack += [(child, T, depth + 1) for child in reversed(node.get("children", []))]
        if not parts:
            raise AssetError(f"mesh {self.path} has no faces: export it again as a triangle mesh")
        return concatenate(parts)

    def primitive(self, primitive: dict[str, Any]) -> Geometry | None:
        mode = primitive.get("mode", TRIANGLES)
        if mode not in (TRIANGLES, STRIP, FAN):
            return None
        attributes = primitive["attributes"]
        positions = self.accessor(attributes["POSITION"]).astype(np.float64)
        if "indices" in primitive:
            index = self.accessor(primitive["indices"]).astype(np.int64).ravel()
        else:
            index = np.arange(len(positions))
        faces = _triangles(index, mode)
        if len(faces) == 0:
            return None
        if faces.max() >= len(positions):
            raise IndexError
        colored = "COLOR_0" in attributes
        material = self.material(primitive.get("material"), colored)
        uv = self.texture_coordinates(primitive, attributes)
        normals = self.accessor(attributes["NORMAL"]).astype(np.float64)[faces] if "NORMAL" in attributes else None
        colors = None
        if colored and not self.shapes_only:
            rgb = self.accessor(attributes["COLOR_0"]).astype(np.float64)
            colors = np.column_stack([rgb, np.ones(len(rgb))])[:, :4]
        zeros = np.zeros(len(faces), np.int64)
        return Geometry(
            positions, faces, zeros, (material,), zeros, None if uv is None else uv[faces], normals, colors, True
        )

    def texture_coordinates(self, primitive: dict[str, Any], attributes: dict[str, int]) -> NDArray[np.float64] | None:
        """(V, 2) of the set that the material's colour map uses, KHR_texture_transform applied."""
        if self.shapes_only:
            return None
        material = self.document["materials"][primitive["material"]] if "material" in primitive else {}
        pbr = material.get("pbrMetallicRoughness", {})
        info = pbr.get("baseColorTexture") or pbr.get("metallicRoughnessTexture") or material.get("normalTexture") or {}
        change = info.get("extensions", {}).get("KHR_texture_transform", {})
        name = f"TEXCOORD_{change.get('texCoord', info.get('texCoord', 0))}"
        if name not in attributes:
            return None
        uv = self.accessor(attributes[name]).astype(np.float64)
        if change:
            (sx, sy), (ox, oy), angle = (
                change.get("scale", (1, 1)),
                change.get("offset", (0, 0)),
                change.get("rotation", 0),
            )
            c, s, u, v = math.cos(angle), math.sin(angle), uv[:, 0] * sx, uv[:, 1] * sy
            uv = np.stack([c * u + s * v + ox, -s * u + c * v + oy], axis=-1)
        return uv

    def material(self, index: int | None, colored: bool) -> Material:
        if self.shapes_only or (index is None and not colored):
            return Material()
        if index not in self.materials:
            found = (
                Material((1.0, 1.0, 1.0, 1.0)) if index is None else self._material(self.document["materials"][index])
            )
            self.materials[index] = found
        return self.materials[index]

    def _material(self, material: dict[str, Any]) -> Material:
        pbr = material.get("pbrMetallicRoughness", {})
        r, g, b, a = (float(c) for c in pbr.get("baseColorFactor", (1, 1, 1, 1)))
        mode = material.get("alphaMode", "OPAQUE")
        er, eg, eb = (float(c) for c in material.get("emissiveFactor", (0, 0, 0)))
        return Material(
            base_color=(r, g, b, 1.0 if mode == "OPAQUE" else a),
            base_color_map=self.image(pbr.get("baseColorTexture"), srgb=True),
            roughness=float(pbr.get("roughnessFactor", 1.0)),
            metallic=float(pbr.get("metallicFactor", 1.0)),
            metallic_roughness_map=self.image(pbr.get("metallicRoughnessTexture"), srgb=False),
            normal_map=self.image(material.get("normalTexture"), srgb=False),
            emissive=(0.0, 0.0, 0.0) if material.get("emissiveTexture") else (er, eg, eb),
            alpha_cutoff=None if mode == "OPAQUE" else float(material.get("alphaCutoff", 0.5)),
            double_sided=bool(material.get("doubleSided", False)),
        )

    def image(self, info: dict[str, Any] | None, srgb: bool) -> Texture | None:
        if info is None:
            return None
        texture = self.document["textures"][info["index"]]
        if "source" not in texture:
            raise AssetError(f"mesh {self.path} has a texture that is not PNG or JPEG: export it with one of these")
        image = self.document["images"][texture["source"]]
        where = f"texture {image.get('name', texture['source'])!r} of {self.path}"
        if "bufferView" in image:
            data = self.view(image["bufferView"])
        else:
            try:
                data = self.uri(image["uri"])
            except OSError:
                raise AssetError(f"{where} names {image['uri']}, which is missing: put it beside the mesh") from None
        return textures.decode(data, where, MAP_SIZE, srgb)

    def accessor(self, index: int) -> NDArray[Any]:
        """The elements (count, width) of an accessor, normalized integers as floats."""
        accessor = self.document["accessors"][index]
        dtype, width, count = (
            np.dtype(COMPONENTS[accessor["componentType"]]),
            WIDTHS[accessor["type"]],
            accessor["count"],
        )
        if "bufferView" in accessor:
            view = self.document["bufferViews"][accessor["bufferView"]]
            stride = view.get("byteStride", dtype.itemsize * width)
            data = self.view(accessor["bufferView"])
            out = np.ndarray(
                (count, width), dtype, data, accessor.get("byteOffset", 0), (stride, dtype.itemsize)
            ).copy()
        else:
            out = np.zeros((count, width), dtype)
        if "sparse" in accessor:
            sparse = accessor["sparse"]
            where, what = sparse["indices"], sparse["values"]
            rows = np.frombuffer(
                self.view(where["bufferView"]),
                COMPONENTS[where["componentType"]],
                sparse["count"],
                where.get("byteOffset", 0),
            )
            new = np.frombuffer(
                self.view(what["bufferView"]), dtype, sparse["count"] * width, what.get("byteOffset", 0)
            )
            out[rows] = new.reshape(-1, width)
        if accessor.get("normalized"):
            return np.maximum(out / float(np.iinfo(dtype).max), -1.0)
        return out

    def view(self, index: int) -> bytes:
        view = self.document["bufferViews"][index]
        start = view.get("byteOffset", 0)
        data = self.buffer(view["buffer"])
        if start + view["byteLength"] > len(data):
            raise ValueError("the buffer is cut")
        return data[start : start + view["byteLength"]]

    def buffer(self, index: int) -> bytes:
        if index not in self.buffers:
            buffer = self.document["buffers"][index]
            self.buffers[index] = self.uri(buffer["uri"]) if "uri" in buffer else self.chunk
        return self.buffers[index]

    def uri(self, uri: str) -> bytes:
        if uri.startswith("data:"):
            return base64.b64decode(uri.partition(",")[2], validate=True)
        return (self.path.parent / unquote(uri)).read_bytes()


def concatenate(parts: list[Geometry]) -> Geometry:
    """``parts`` as one geometry; each is a group of its own, equal material objects are shared."""
    materials = list(dict.fromkeys(material for part in parts for material in part.materials))
    starts = np.cumsum([0] + [len(part.positions) for part in parts[:-1]])

    def stack(arrays: list[NDArray[np.float64] | None], sizes: list[tuple[int, ...]], fill: float) -> Any:
        if all(array is None for array in arrays):
            return None
        pairs = zip(arrays, sizes, strict=True)
        return np.concatenate([np.full(size, fill) if array is None else array for array, size in pairs])

    return Geometry(
        positions=np.concatenate([part.positions for part in parts]),
        faces=np.concatenate([part.faces + start for part, start in zip(parts, starts, strict=True)]),
        face_material=np.concatenate(
            [np.array([materials.index(m) for m in part.materials])[part.face_material] for part in parts]
        ),
        materials=tuple(materials),
        face_group=np.concatenate([np.full(len(part.faces), k) for k, part in enumerate(parts)]),
        uv=stack([part.uv for part in parts], [(len(part.faces), 3, 2) for part in parts], np.nan),
        normals=stack([part.normals for part in parts], [(len(part.faces), 3, 3) for part in parts], np.nan),
        colors=stack([part.colors for part in parts], [(len(part.positions), 4) for part in parts], 1.0),
        single_sided=all(part.single_sided for part in parts),
    )


def split(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The JSON document and the binary chunk of a .glb, or the document of a .gltf.

    Raises ValueError or struct.error when it is neither.
    """
    if data[:4] != b"glTF":
        return json.loads(data), b""
    _, version, length = struct.unpack_from("<4sII", data)
    if version != 2 or length > len(data):
        raise ValueError("cut, or glTF 1")
    document, chunk, offset = None, b"", 12
    while offset + 8 <= length:
        size, kind = struct.unpack_from("<I4s", data, offset)
        content = data[offset + 8 : offset + 8 + size]
        if kind == b"JSON":
            document = json.loads(content)
        elif kind == b"BIN\0":
            chunk = content
        offset += 8 + size
    if document is None:
        raise ValueError("no JSON chunk")
    return document, chunk


def _local(node: dict[str, Any]) -> NDArray[np.float64]:
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T
    T = transform(node.get("translation", (0, 0, 0)), node.get("rotation", (0, 0, 0, 1)))
    T[:3, :3] = T[:3, :3] * np.asarray(node.get("scale", (1, 1, 1)), np.float64)
    return T


def _triangles(index: NDArray[np.int64], mode: int) -> NDArray[np.int64]:
    if mode == TRIANGLES:
        return index[: len(index) // 3 * 3].reshape(-1, 3)
    if mode == FAN:
        return np.stack([np.full(max(len(index) - 2, 0), index[0]), index[1:-1], index[2:]], axis=-1)
    strip = np.stack([index[:-2], index[1:-1], index[2:]], axis=-1)
    strip[1::2] = strip[1::2, [1, 0, 2]]
    return strip

"""Reading mesh files: orientation of textures, normals, winding, units, materials, and what is told of broken files."""

from __future__ import annotations

import base64
import json
import struct
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from simgen.assets.asset import Material, Mesh, Texture
from simgen.assets.mesh import Geometry, closed, merged, meshes, moved, signed_volume, unique_rows, weld
from simgen.assets.mesh_files import read_mesh
from simgen.errors import AssetError

# Quadrants of the test texture as seen: top left red, top right green, bottom left blue, bottom right yellow.
QUADRANTS = {(0, 0): (255, 0, 0), (1, 0): (0, 255, 0), (0, 1): (0, 0, 255), (1, 1): (255, 255, 0)}


def texture_image() -> Image.Image:
    pixels = np.zeros((8, 8, 3), np.uint8)
    for (column, row), color in QUADRANTS.items():
        pixels[row * 4 : row * 4 + 4, column * 4 : column * 4 + 4] = color
    return Image.fromarray(pixels)


def sample(mesh: Mesh, x: float, y: float) -> tuple[int, int, int]:
    """The texture's colour where the vertical line through (x, y) meets the mesh, by our texture convention."""
    assert mesh.uv is not None
    assert mesh.material.base_color_map is not None
    for face in mesh.faces:
        a, b, c = mesh.vertices[face][:, :2].astype(float)
        weights = np.linalg.solve(np.array([[a[0], b[0], c[0]], [a[1], b[1], c[1]], [1, 1, 1]]), [x, y, 1])
        if (weights >= -1e-9).all():
            u, v = weights @ mesh.uv[face]
            pixels = mesh.material.base_color_map.pixels
            return tuple(int(c) for c in pixels[int(v * 8), int(u * 8), :3])  # type: ignore[return-value]
    raise AssertionError("outside of the mesh")


def write_quad_obj(folder: Path) -> Path:
    texture_image().save(folder / "quadrants.png")
    (folder / "quad.mtl").write_text("newmtl paint\nKd 0.2 0.2 0.2\nmap_Kd -s 1 1 1 quadrants.png \n")
    # OBJ: v goes up, so the top left corner (x = 0, y = 1) has vt (0, 1)
    (folder / "quad.obj").write_text(
        "mtllib quad.mtl\nv 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\n"
        "usemtl paint\nf 1/1 2/2 3/3 4/4\n"
    )
    return folder / "quad.obj"


def write_quad_glb(path: Path, node: dict | None = None) -> Path:
    """The same quad by hand: glTF has y up, so our y is its -z; v goes down."""
    png = path.with_suffix(".png")
    texture_image().save(png)
    image = png.read_bytes()
    png.unlink()
    positions = np.array([(0, 0, 0), (1, 0, 0), (1, 0, -1), (0, 0, -1)], "<f4").tobytes()
    uv = np.array([(0, 1), (1, 1), (1, 0), (0, 0)], "<f4").tobytes()
    index = np.array([0, 1, 2, 0, 2, 3], "<u2").tobytes()
    chunk = positions + uv + index + image
    chunk += b"\0" * (-len(chunk) % 4)
    starts = np.cumsum([0, len(positions), len(uv), len(index), len(image)]).tolist()
    views = [{"buffer": 0, "byteOffset": start, "byteLength": end - start} for start, end in pairwise(starts)]
    document = {
        "asset": {"version": "2.0"},
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, **(node or {})}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0, "TEXCOORD_0": 1}, "indices": 2, "material": 0}]}],
        "materials": [
            {
                "pbrMetallicRoughness": {
                    "baseColorTexture": {"index": 0},
                    "metallicFactor": 0.25,
                    "roughnessFactor": 0.5,
                },
                "alphaMode": "MASK",
                "alphaCutoff": 0.3,
                "doubleSided": True,
            }
        ],
        "textures": [{"source": 0}],
        "images": [{"bufferView": 3, "mimeType": "image/png"}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 4, "type": "VEC3"},
            {"bufferView": 1, "componentType": 5126, "count": 4, "type": "VEC2"},
            {"bufferView": 2, "componentType": 5123, "count": 6, "type": "SCALAR"},
        ],
        "bufferViews": views,
        "buffers": [{"byteLength": len(chunk)}],
    }
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    header = struct.pack("<4sII", b"glTF", 2, 12 + 8 + len(text) + 8 + len(chunk))
    path.write_bytes(
        header + struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(chunk), b"BIN\0") + chunk
    )
    return path


@pytest.mark.parametrize("kind", ["obj", "glb"])
def test_texture_is_upright(tmp_path: Path, kind: str) -> None:
    path = write_quad_obj(tmp_path) if kind == "obj" else write_quad_glb(tmp_path / "quad.glb")
    (mesh,) = meshes(read_mesh(path))
    for (column, row), color in QUADRANTS.items():
        assert sample(mesh, 0.25 + 0.5 * column, 0.75 - 0.5 * row) == color
    np.testing.assert_allclose(mesh.normals, np.tile([0, 0, 1], (4, 1)), atol=1e-7)
    assert mesh.faces.shape == (2, 3)


def test_gltf_material_and_node_transform(tmp_path: Path) -> None:
    half = np.sqrt(0.5)
    node = {"translation": [0, 5, 0], "rotation": [0, half, 0, half], "scale": [2, 1, 1]}  # 90 degrees about glTF's y
    (mesh,) = meshes(read_mesh(write_quad_glb(tmp_path / "quad.glb", node)))
    material = mesh.material
    assert (material.metallic, material.roughness, material.alpha_cutoff, material.double_sided) == (
        0.25,
        0.5,
        0.3,
        True,
    )
    # (x, 0, -y) -> scaled (2x, 0, -y) -> turned (-y, 0, -2x) -> lifted 5 -> z up (-y, 2x, 5)
    corners = {tuple(np.round(v, 5) + 0.0) for v in mesh.vertices.astype(float)}
    assert corners == {(0.0, 0.0, 5.0), (0.0, 2.0, 5.0), (-1.0, 2.0, 5.0), (-1.0, 0.0, 5.0)}


def test_gltf_matches_trimesh_export(tmp_path: Path) -> None:
    mesh = trimesh.creation.capsule(height=0.3, radius=0.1)
    mesh.visual.vertex_colors = (mesh.vertices - mesh.vertices.min(0)) / np.ptp(mesh.vertices, axis=0) * 255
    mesh.export(tmp_path / "capsule.glb")
    (own,) = meshes(read_mesh(tmp_path / "capsule.glb"))
    turned = np.stack([mesh.vertices[:, 0], -mesh.vertices[:, 2], mesh.vertices[:, 1]], axis=-1)
    np.testing.assert_allclose(own.vertices.min(0), turned.min(0), atol=1e-6)
    assert len(own.faces) == len(mesh.faces)
    assert own.colors is not None
    nearest = np.linalg.norm(turned[:, None] - own.vertices[None, ::7], axis=-1).argmin(0)
    expected = np.asarray(mesh.visual.vertex_colors)[nearest] / 255
    np.testing.assert_allclose(own.colors[::7], expected, atol=1e-6)  # COLOR_0 is linear


def test_gltf_embedded_and_external_buffers(tmp_path: Path) -> None:
    positions = np.array([(0, 0, 0), (1, 0, 0), (0, 1, 0)], "<f4").tobytes()
    document = {
        "asset": {"version": "2.0"},
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "accessors": [{"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"}],
        "bufferViews": [{"buffer": 0, "byteLength": len(positions)}],
        "buffers": [{"byteLength": len(positions), "uri": "data:;base64," + base64.b64encode(positions).decode()}],
    }
    (tmp_path / "inside.gltf").write_text(json.dumps(document))
    document["buffers"][0]["uri"] = "the%20data.bin"  # type: ignore[index]
    (tmp_path / "outside.gltf").write_text(json.dumps(document))
    (tmp_path / "the data.bin").write_bytes(positions)
    (inside,), (outside,) = (meshes(read_mesh(tmp_path / f"{name}.gltf")) for name in ("inside", "outside"))
    assert inside.key == outside.key
    (tmp_path / "the data.bin").write_bytes(positions[:-4])
    with pytest.raises(AssetError, match="damaged"):
        read_mesh(tmp_path / "outside.gltf")


def test_obj_statements(tmp_path: Path) -> None:
    """Relative indices, polygons, missing parts of corners, colours, groups, and materials in order of use."""
    (tmp_path / "m.mtl").write_text("newmtl a\nKd 1 0 0\nNs 100\nKs 1 1 1\nnewmtl b\nKd 0 1 0\nd 0.5\nPr 0.3\nPm 0.7\n")
    (tmp_path / "mesh.obj").write_text(
        "# comment\nmtllib m.mtl\nv 0 0 0 1 0 0\nv 1 0 0 0 1 0\nv 1 1 0 0 0 1\nv 0 1 0 1 1 1\nvn 0 0 1\n"
        "g one\nusemtl b\nf -4//-1 -3//-1 -2//-1 -1//-1\nv 0 0 1 0 0 0\ng two\nusemtl a\nf 1 2 5\n"
    )
    geometry = read_mesh(tmp_path / "mesh.obj")
    assert geometry.faces.tolist() == [[0, 1, 2], [0, 2, 3], [0, 1, 4]]
    assert len(set(geometry.face_group.tolist())) == 2
    second, first = meshes(geometry)  # "b" is used first
    assert second.material.base_color == (0.0, 1.0, 0.0, 0.5)
    assert (second.material.roughness, second.material.metallic) == (0.3, 0.7)
    assert first.material.base_color[:3] == (1.0, 0.0, 0.0)
    assert first.material.roughness == pytest.approx(1 - 10 / 30)
    assert second.colors is not None
    np.testing.assert_allclose(second.colors[0], [1, 0, 0, 1], atol=1e-6)


def test_seams_stay_and_equal_corners_merge(tmp_path: Path) -> None:
    """Two triangles share an edge; its vertices are shared unless the texture is cut there."""
    text = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\nvt .5 .5\nf 1/1 2/2 3/3\n"
    (tmp_path / "whole.obj").write_text(text + "f 1/1 3/3 4/4\n")
    (tmp_path / "cut.obj").write_text(text + "f 1/5 3/3 4/4\n")
    assert len(meshes(read_mesh(tmp_path / "whole.obj"))[0].vertices) == 4
    assert len(meshes(read_mesh(tmp_path / "cut.obj"))[0].vertices) == 5


def soup(vertices: np.ndarray, faces: np.ndarray) -> Geometry:
    zeros = np.zeros(len(faces), np.int64)
    return Geometry(np.asarray(vertices, np.float64), np.asarray(faces, np.int64), zeros, (Material(),), zeros)


def test_normals_are_smooth_on_a_sphere_and_flat_on_a_box() -> None:
    ball = trimesh.creation.icosphere(subdivisions=3)
    (mesh,) = meshes(soup(ball.vertices, ball.faces))
    assert len(mesh.vertices) == len(ball.vertices)
    np.testing.assert_allclose(mesh.normals, mesh.vertices / np.linalg.norm(mesh.vertices, axis=1)[:, None], atol=0.02)
    box = trimesh.creation.box()
    (mesh,) = meshes(soup(box.vertices, box.faces))
    assert len(mesh.vertices) == 24
    faces = mesh.vertices[mesh.faces]
    flat = np.cross(faces[:, 1] - faces[:, 0], faces[:, 2] - faces[:, 0])
    np.testing.assert_allclose(mesh.normals[mesh.faces], np.repeat(flat[:, None], 3, axis=1), atol=1e-6)


@pytest.mark.parametrize(("sides", "smooth"), [(8, False), (10, True)])
def test_crease_angle_is_forty_degrees(sides: int, smooth: bool) -> None:
    """The sides of an octagonal prism meet at 45 degrees, those of a decagonal one at 36."""
    prism = trimesh.creation.cylinder(radius=1, height=1, sections=sides)
    (mesh,) = meshes(soup(prism.vertices, prism.faces))
    side = np.abs(mesh.normals[:, 2]) < 0.5
    radial = mesh.vertices[side][:, :2] / np.linalg.norm(mesh.vertices[side][:, :2], axis=1)[:, None]
    along = (radial * mesh.normals[side][:, :2]).sum(axis=1)
    np.testing.assert_allclose(along, 1 if smooth else np.cos(np.pi / sides), atol=1e-5)


def test_inside_out_meshes_are_turned_and_open_ones_seen_from_both_sides() -> None:
    box = trimesh.creation.box()
    (mesh,) = meshes(soup(box.vertices, box.faces[:, ::-1]))
    assert signed_volume(*weld(soup(mesh.vertices, mesh.faces))) == pytest.approx(1)
    assert (mesh.normals * mesh.vertices).sum(axis=1).min() > 0
    assert not mesh.material.double_sided
    (half,) = meshes(soup(box.vertices, box.faces[:6]))
    assert half.material.double_sided
    assert not closed(weld(soup(box.vertices, box.faces[:6]))[1])


def test_mirrored_mesh_keeps_its_outside() -> None:
    ball = trimesh.creation.icosphere(subdivisions=1)
    (mesh,) = meshes(soup(ball.vertices, ball.faces))
    mirrored = moved(mesh, np.diag([-1.0, 2.0, 1.0]), (5, 0, 0))
    assert signed_volume(mirrored.vertices.astype(float), mirrored.faces.astype(np.int64)) > 0
    outward = mirrored.vertices.astype(float) - (5, 0, 0)
    assert (outward * mirrored.normals).sum(axis=1).min() > 0
    gradient = outward / np.array([1.0, 4.0, 1.0])  # of the ellipsoid's implicit function
    np.testing.assert_allclose(mirrored.normals, gradient / np.linalg.norm(gradient, axis=1)[:, None], atol=0.05)


def test_arrays_are_contiguous_own_and_alike(tmp_path: Path) -> None:
    drawn = [*meshes(read_mesh(write_quad_obj(tmp_path))), *meshes(read_mesh(write_quad_glb(tmp_path / "q.glb")))]
    drawn.append(moved(drawn[0], -np.eye(3)))
    drawn += merged([drawn[0], moved(drawn[0], np.eye(3), (1, 0, 0))])
    assert len(drawn) == 4
    for mesh in drawn:
        arrays = {"vertices": "<f4", "faces": "<i4", "normals": "<f4", "uv": "<f4"}
        for name, dtype in arrays.items():
            array = getattr(mesh, name)
            assert array.dtype == np.dtype(dtype)
            assert array.flags.c_contiguous
            assert array.flags.writeable
            assert array.flags.aligned
            assert array.base is None


def test_key_follows_content(tmp_path: Path) -> None:
    path = write_quad_obj(tmp_path)
    first, again = meshes(read_mesh(path))[0], meshes(read_mesh(path))[0]
    assert first.key == again.key
    path.write_text(path.read_text().replace("v 0 1 0", "v 0 1.001 0"))
    assert meshes(read_mesh(path))[0].key != first.key


@pytest.mark.parametrize("suffix", ["stl", "ply", "obj"])
def test_millimetres_are_guessed_when_asked(tmp_path: Path, suffix: str) -> None:
    trimesh.creation.box(extents=(80, 40, 30)).export(tmp_path / f"large.{suffix}")
    trimesh.creation.box(extents=(19, 4, 3)).export(tmp_path / f"small.{suffix}")
    large, small = (read_mesh(tmp_path / f"{name}.{suffix}", guess_unit=True) for name in ("large", "small"))
    np.testing.assert_allclose(np.ptp(large.positions, axis=0), [0.08, 0.04, 0.03], rtol=1e-6)
    np.testing.assert_allclose(np.ptp(small.positions, axis=0), [19, 4, 3], rtol=1e-6)


def test_stl_ascii_and_binary_agree(tmp_path: Path) -> None:
    ball = trimesh.creation.icosphere(subdivisions=1)
    (tmp_path / "binary.stl").write_bytes(trimesh.exchange.stl.export_stl(ball))
    (tmp_path / "text.stl").write_text(trimesh.exchange.stl.export_stl_ascii(ball))
    binary, text = (read_mesh(tmp_path / f"{name}.stl") for name in ("binary", "text"))
    np.testing.assert_allclose(binary.positions, text.positions, atol=1e-6)
    assert len(meshes(binary)[0].vertices) == len(ball.vertices)


def test_ply_vertex_colours_become_linear(tmp_path: Path) -> None:
    box = trimesh.creation.box()
    box.visual.vertex_colors = np.tile([188, 0, 255, 255], (8, 1))
    box.export(tmp_path / "box.ply")
    (mesh,) = meshes(read_mesh(tmp_path / "box.ply"))
    assert mesh.colors is not None
    np.testing.assert_allclose(mesh.colors[0], [0.5029, 0, 1, 1], atol=1e-3)
    assert mesh.material.base_color == (1.0, 1.0, 1.0, 1.0)


def test_unique_rows_against_numpy() -> None:
    rows = np.random.default_rng(0).integers(0, 3, (500, 4)).astype(np.uint32)
    first, inverse = unique_rows(rows)
    assert np.array_equal(rows[first][inverse], rows)
    assert len(first) == len(np.unique(rows, axis=0))
    assert np.all(np.diff(first) > 0)  # in order of appearance


def test_merged_joins_equal_materials() -> None:
    picture = Texture("key", np.zeros((2, 2, 3), np.uint8))
    box = trimesh.creation.box()
    (mesh,) = meshes(soup(box.vertices, box.faces))
    red, red_too, mapped = Material((1, 0, 0, 1)), Material((1, 0, 0, 1)), Material(base_color_map=picture)
    parts = [Mesh(mesh.key, mesh.vertices, mesh.faces, mesh.normals, m) for m in (red, mapped, red_too)]
    first, second = merged(parts)
    assert (len(first.faces), len(second.faces)) == (24, 12)
    assert first.faces.max() == len(first.vertices) - 1


BROKEN = {
    "empty.obj": b"",
    "points.obj": b"v 0 0 0\nv 1 0 0\nv 0 1 0\n",
    "cut.obj": b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 4\n",
    "nan.obj": b"v 0 0 0\nv 1 0 nan\nv 0 1 0\nf 1 2 3\n",
    "words.obj": b"v 0 0 zero\nv 1 0 0\nv 0 1 0\nf 1 2 3\n",
    "half_line.obj": b"v 0 0 0\nv 1 0 0\nv 0 1\nf 1 2 3\n",
    "thin.obj": b"v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\n",
    "binary.obj": bytes(range(256)) * 8,
    "cut.stl": b"\0" * 80 + struct.pack("<I", 5) + b"\0" * 100,
    "text.stl": b"this is not a mesh",
    "text.ply": b"this is not a mesh",
    "cut.ply": b"ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
    b"element face 1\nproperty list uchar int vertex_indices\nend_header\n0 0 0\n",
    "text.glb": b"this is not a mesh",
    "cut.glb": struct.pack("<4sII", b"glTF", 2, 5000) + b"\0" * 50,
    "list.gltf": b"[]",
    "no_nodes.gltf": b'{"asset": {"version": "2.0"}}',
    "draco.gltf": b'{"extensionsRequired": ["KHR_draco_mesh_compression"]}',
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_told_in_one_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(BROKEN[name])
    with pytest.raises(AssetError) as caught:
        read_mesh(tmp_path / name)
    message = str(caught.value)
    assert name in message
    assert "\n" not in message
    assert "Traceback" not in message


def test_missing_and_broken_textures_are_told(tmp_path: Path) -> None:
    path = write_quad_obj(tmp_path)
    (tmp_path / "quadrants.png").write_text("not an image")
    with pytest.raises(AssetError, match=r"quadrants\.png is not a readable image"):
        read_mesh(path)
    read_mesh(path, shapes_only=True)  # a collision mesh needs no paint
    (tmp_path / "quadrants.png").unlink()
    with pytest.raises(AssetError, match=r"quadrants\.png, which is missing"):
        read_mesh(path)
    with pytest.raises(AssetError, match="is missing"):
        read_mesh(tmp_path / "absent.obj")
    (tmp_path / "mesh.dae").write_text("")
    with pytest.raises(AssetError, match="format that is not known"):
        read_mesh(tmp_path / "mesh.dae")

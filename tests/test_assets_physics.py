"""Collision shapes and inertia: closed forms, hulls, decompositions, and their cache."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh

from simgen.assets.asset import Asset, CollisionShape, Inertia, Material
from simgen.assets.collision import outline, placed, scaled_physics, scaled_shape
from simgen.assets.decomposition import default_cache_dir, fitted_shapes, mesh_shapes
from simgen.assets.hull import MAX_VERTICES, convex_hull, hull_planes, small_hull, volume
from simgen.assets.inertia import from_tensor, moments, plausible, principal_axes, scaled_inertia, solid_inertia
from simgen.assets.mesh import Geometry
from simgen.assets.primitives import PRIMITIVES, primitive
from simgen.errors import AssetError
from simgen.geometry import rotation_from_quaternion


def geometry(mesh: trimesh.Trimesh) -> Geometry:
    zeros = np.zeros(len(mesh.faces), np.int64)
    return Geometry(np.asarray(mesh.vertices), np.asarray(mesh.faces), zeros, (Material(),), zeros)


def tensor(inertia: Inertia) -> np.ndarray:
    R = rotation_from_quaternion(inertia.axes_xyzw)
    return R @ np.diag(inertia.moments) @ R.T


def hull(points: np.ndarray) -> CollisionShape:
    return CollisionShape("hull", np.asarray(points, np.float32))


def outside(shape: CollisionShape, points: np.ndarray) -> float:
    """How far the farthest of ``points`` is outside of a hull."""
    planes = hull_planes(outline(shape))
    return float((points @ planes[:, :3].T + planes[:, 3]).max())


CLOSED_FORMS = {
    "box": (CollisionShape("box", size=(0.2, 0.3, 0.5)), 0.03, (0.34 / 12, 0.29 / 12, 0.13 / 12)),
    "sphere": (CollisionShape("sphere", size=(0.4, 0.4, 0.4)), 4 / 3 * math.pi * 0.008, (0.016,) * 3),
    "cylinder": (
        CollisionShape("cylinder", size=(0.2, 0.2, 0.6)),
        math.pi * 0.01 * 0.6,
        (0.0025 + 0.03, 0.0025 + 0.03, 0.005),
    ),
}


@pytest.mark.parametrize("kind", CLOSED_FORMS)
def test_inertia_of_analytic_shapes(kind: str) -> None:
    shape, expected_volume, per_kilogram = CLOSED_FORMS[kind]
    center = (0.1, -0.2, 0.3)
    inertia = solid_inertia([replace(shape, center=center)], mass=2.0)
    np.testing.assert_allclose(inertia.moments, 2 * np.array(per_kilogram), rtol=1e-9)
    np.testing.assert_allclose(inertia.center, center, rtol=1e-12)
    assert solid_inertia([shape], density=1000).mass == pytest.approx(1000 * expected_volume)


def test_inertia_of_a_capsule_against_its_mesh() -> None:
    mesh = trimesh.creation.capsule(height=0.3, radius=0.1, count=(128, 128))
    inertia = solid_inertia([CollisionShape("capsule", size=(0.2, 0.2, 0.5))], density=500)
    mesh.density = 500
    assert inertia.mass == pytest.approx(mesh.mass, rel=2e-3)
    np.testing.assert_allclose(sorted(inertia.moments), sorted(mesh.principal_inertia_components), rtol=3e-3)


def test_inertia_of_hulls_is_exact() -> None:
    """A tetrahedron with corners at the origin and on the axes: V = 1/6, centre 1/4; and a box, off centre."""
    corners = np.array([(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)])
    whole = moments(hull(corners))
    assert whole.volume == pytest.approx(1 / 6)
    np.testing.assert_allclose(whole.first / whole.volume, [0.25] * 3)
    np.testing.assert_allclose(whole.second, (np.eye(3) + 1) / 120, rtol=1e-12)  # int x^2 = 1/60, int xy = 1/120
    box = CollisionShape("box", size=(0.5, 0.25, 1.0), center=(1.0, 2.0, -3.0))
    exact, summed = solid_inertia([box], 3.0), solid_inertia([hull(outline(box))], 3.0)
    np.testing.assert_allclose(tensor(summed), tensor(exact), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(summed.center, exact.center)


def test_inertia_of_several_shapes_and_of_a_turned_one() -> None:
    """Two halves are one whole; a turned box has the turned tensor."""
    halves = [CollisionShape("box", size=(1.0, 0.5, 0.2), center=(0.0, y, 0.0)) for y in (-0.25, 0.25)]
    whole = solid_inertia([CollisionShape("box", size=(1.0, 1.0, 0.2))])
    both = solid_inertia(halves)
    np.testing.assert_allclose(tensor(both), tensor(whole), rtol=1e-12, atol=1e-12)
    R = trimesh.transformations.euler_matrix(0.3, -0.7, 1.1)[:3, :3]
    turned = solid_inertia([placed(halves[0], R, np.array([1.0, 2.0, 3.0]))], 2.0)
    straight = solid_inertia([halves[0]], 2.0)
    np.testing.assert_allclose(tensor(turned), R @ tensor(straight) @ R.T, rtol=1e-5)
    np.testing.assert_allclose(turned.center, R @ straight.center + (1, 2, 3), rtol=1e-6)


def test_principal_axes_against_numpy() -> None:
    random = np.random.default_rng(1)
    for _ in range(20):
        A = random.normal(size=(3, 3))
        A = A @ A.T
        values, axes = principal_axes(A)
        np.testing.assert_allclose(sorted(values), np.linalg.eigvalsh(A), rtol=1e-9)
        np.testing.assert_allclose(axes @ np.diag(values) @ axes.T, A, atol=1e-12)
        assert np.linalg.det(axes) == pytest.approx(1)
    assert from_tensor(1.0, (0, 0, 0), np.diag([3.0, 1.0, 2.0])).axes_xyzw == (0, 0, 0, 1)


def test_placeholder_inertia_is_not_believed() -> None:
    even = solid_inertia([CollisionShape("box", size=(0.1, 0.1, 0.2))], 0.5)
    assert plausible(even, even)
    assert plausible(replace(even, moments=(2e-3, 2.1e-3, 9e-4)), even)
    for moments_ in ((1e-3, 1e-3, 1e-3), (1.0, 0.0, 1.0), (1.0, 1.0, 1.0), (2e-3, 2e-3, 5e-3), (0.2, 0.2, 0.1)):
        assert not plausible(replace(even, moments=moments_), even), moments_


def test_hull_of_a_cube_cloud_is_its_corners() -> None:
    cloud = np.random.default_rng(2).uniform(-0.5, 0.5, (400, 3))
    corners = np.array([(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
    vertices, faces = convex_hull(np.concatenate([cloud, corners]))
    assert sorted(map(tuple, vertices)) == sorted(map(tuple, corners))
    assert volume(vertices, faces) == pytest.approx(1)


def test_small_hull_keeps_volume_and_stays_near() -> None:
    ball = trimesh.creation.icosphere(subdivisions=4).vertices
    few = small_hull(ball)
    assert len(few) == MAX_VERTICES
    assert volume(*convex_hull(few)) == pytest.approx(volume(*convex_hull(ball)), rel=1e-9)
    assert outside(hull(few), ball) < 0.04
    assert np.linalg.norm(few, axis=1).max() < 1.04


@pytest.mark.parametrize("points", [[(0, 0, 0), (1, 0, 0), (0, 1, 0)], [(0, 0, 0), (1, 1, 1)], [(0.5, 0, 0)]])
def test_flat_hulls_are_thickened(points: list[tuple[float, float, float]]) -> None:
    vertices, faces = convex_hull(np.array(points))
    assert volume(vertices, faces) > 0
    assert np.ptp(vertices, axis=0).min() < 1.5


def test_convex_mesh_becomes_one_hull_that_holds_it(tmp_path: Path) -> None:
    mesh = trimesh.creation.cylinder(radius=0.03, height=0.1, sections=24)
    (shape,) = mesh_shapes(geometry(mesh), tmp_path, "test")
    assert outside(shape, mesh.vertices) < 1e-6
    assert shape.vertices is not None
    assert shape.vertices.dtype == np.float32


def l_shape() -> trimesh.Trimesh:
    polygon = [(0, 0), (0.1, 0), (0.1, 0.02), (0.02, 0.02), (0.02, 0.1), (0, 0.1)]
    bottom = np.array([(x, y, 0) for x, y in polygon])
    top = bottom + np.array([0, 0, 0.02])
    fan = [(0, 1, 2), (0, 2, 3), (0, 3, 4), (0, 4, 5)]
    sides = [(k, (k + 1) % 6, (k + 1) % 6 + 6) for k in range(6)] + [(k, (k + 1) % 6 + 6, k + 6) for k in range(6)]
    faces = [t[::-1] for t in fan] + [tuple(i + 6 for i in t) for t in fan] + sides
    return trimesh.Trimesh(np.concatenate([bottom, top]), faces, process=False)


def test_concave_mesh_is_decomposed_and_cached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    mesh = l_shape()
    assert mesh.is_volume
    first = mesh_shapes(geometry(mesh), tmp_path, "test")
    assert len(first) >= 2
    assert capfd.readouterr() == ("", "")
    total = sum(moments(shape).volume for shape in first)
    assert total == pytest.approx(mesh.volume, rel=0.25)
    assert min(outside(shape, np.array([[0.07, 0.07, 0.01]])) for shape in first) > 0.005  # the notch stays free
    covered = np.min([[outside(shape, v[None]) for v in mesh.vertices] for shape in first], axis=0)
    assert covered.max() < 2e-3
    (file,) = (tmp_path / "hulls").iterdir()
    monkeypatch.setattr("simgen.assets.decomposition._vhacd", lambda *_: pytest.fail("computed again"))
    again = mesh_shapes(geometry(mesh), tmp_path, "test")
    assert [a.vertices.tobytes() for a in first if a.vertices is not None] == [
        b.vertices.tobytes() for b in again if b.vertices is not None
    ]
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(pytest.fail.Exception):  # a damaged cache file is not believed
        mesh_shapes(geometry(mesh), tmp_path, "test")


def test_unwritable_cache_changes_nothing(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    mesh = geometry(trimesh.creation.icosphere(subdivisions=3))
    (a,), (b,) = mesh_shapes(mesh, blocked / "cache", "test"), mesh_shapes(mesh, tmp_path / "cache", "test")
    assert a.vertices is not None
    assert b.vertices is not None
    assert a.vertices.tobytes() == b.vertices.tobytes()


def test_named_objects_become_hulls(tmp_path: Path) -> None:
    boxes = [trimesh.creation.box((0.1, 0.02, 0.02)), trimesh.creation.box((0.02, 0.02, 0.1))]
    both = geometry(trimesh.util.concatenate(boxes))
    both = replace(both, face_group=np.repeat([3, 7], 12))
    shapes = mesh_shapes(both, tmp_path, "test")
    assert [len(shape.vertices) for shape in shapes if shape.vertices is not None] == [8, 8]


def test_coarse_hulls_are_fitted_to_what_is_seen(tmp_path: Path) -> None:
    ball = trimesh.creation.icosphere(subdivisions=4, radius=0.04)
    vertices, faces = np.asarray(ball.vertices), np.asarray(ball.faces, np.int64)
    coarse = hull(trimesh.creation.icosahedron().vertices * 0.04)
    assert outside(coarse, vertices) > 0.005
    (fine,) = fitted_shapes([coarse], vertices, faces, tmp_path)
    assert outside(fine, vertices) < 0.0015
    tiny = hull(trimesh.creation.icosahedron().vertices * 0.01)  # meant to cover only the middle
    assert fitted_shapes([tiny], vertices, faces, tmp_path)[0].vertices is not None
    np.testing.assert_array_equal(fitted_shapes([tiny], vertices, faces, tmp_path)[0].vertices, tiny.vertices)
    sphere = CollisionShape("sphere", size=(0.02, 0.02, 0.02))
    assert fitted_shapes([sphere], vertices, faces, tmp_path) == (sphere,)


def test_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SIMGEN_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache_dir() == tmp_path / "simgen"
    monkeypatch.setenv("SIMGEN_CACHE", str(tmp_path / "own"))
    assert default_cache_dir() == tmp_path / "own"


@pytest.mark.parametrize("kind", PRIMITIVES)
def test_primitives(kind: str) -> None:
    """Unit size, outward faces and normals, closed surfaces, and collision shapes of the same volume."""
    asset = primitive(kind, f"primitive/{kind}")
    assert np.ptp(asset.bounds, axis=0).max() == pytest.approx(1)
    (mesh,) = asset.meshes
    assert mesh.uv is not None
    assert mesh.uv.min() >= -1e-6
    assert mesh.uv.max() <= 1 + 1e-6
    np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=1), 1, atol=1e-6)
    corners = mesh.vertices[mesh.faces].astype(float)
    facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert ((facing[:, None] * mesh.normals[mesh.faces]).sum(axis=-1) > 0).all()
    if kind == "plane":
        np.testing.assert_allclose(mesh.normals, np.tile([0, 0, 1], (4, 1)))
        assert (asset.collision[0].center[2] + asset.collision[0].size[2] / 2) == 0
        return
    np.testing.assert_allclose(asset.bounds.mean(axis=0), 0, atol=1e-6)
    solid = trimesh.Trimesh(mesh.vertices, mesh.faces, process=True)
    solid.merge_vertices(merge_tex=True, merge_norm=True)
    assert solid.is_volume
    assert sum(moments(shape).volume for shape in asset.collision) == pytest.approx(solid.volume, rel=0.05)
    assert asset.inertia is not None
    np.testing.assert_allclose(asset.inertia.center, solid.center_mass, atol=0.01)


def test_texture_on_a_box_is_upright_and_not_mirrored() -> None:
    """On the side that looks towards -y, u grows with x and v falls with z."""
    (mesh,) = primitive("box", "b").meshes
    assert mesh.uv is not None
    front = mesh.normals[:, 1] < -0.5
    np.testing.assert_allclose(mesh.uv[front, 0], mesh.vertices[front, 0] + 0.5, atol=1e-6)
    np.testing.assert_allclose(mesh.uv[front, 1], 0.5 - mesh.vertices[front, 2], atol=1e-6)


SCALES = [(1.0, 1.0, 1.0), (0.05, 0.05, 0.05), (0.1, 0.2, 0.3), (0.2, 0.2, 0.5)]


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("kind", ["box", "sphere", "cylinder", "capsule", "torus", "pyramid"])
def test_scaled_physics_agrees_with_scaled_shapes(kind: str, scale: tuple[float, float, float]) -> None:
    asset = primitive(kind, kind)
    shapes, inertia = scaled_physics(asset, scale)
    assert asset.inertia is not None
    assert inertia.mass == pytest.approx(asset.inertia.mass * math.prod(scale))
    again = solid_inertia(shapes, inertia.mass)
    size = max(inertia.moments)
    np.testing.assert_allclose(tensor(again), tensor(inertia), atol=0.06 * size)  # round shapes turn into hulls
    np.testing.assert_allclose(again.center, inertia.center, atol=0.01 * max(scale))
    if kind in ("box", "pyramid"):
        np.testing.assert_allclose(tensor(again), tensor(inertia), atol=1e-6 * size)
    _, heavy = scaled_physics(asset, scale, mass=3.0)
    np.testing.assert_allclose(tensor(heavy), tensor(inertia) * (3.0 / inertia.mass), rtol=1e-9, atol=1e-12 * size)


def test_scaled_kinds() -> None:
    sphere, cylinder = CollisionShape("sphere", size=(1.0,) * 3), CollisionShape("cylinder", size=(1.0,) * 3)
    assert scaled_shape(sphere, (2, 2, 2)).kind == "sphere"
    squeezed = scaled_shape(sphere, (2, 1, 1))
    assert squeezed.kind == "hull"
    assert moments(squeezed).volume == pytest.approx(2 * math.pi / 6, rel=1e-5)
    flat = scaled_shape(cylinder, (2, 2, 0.1))
    assert (flat.kind, flat.size) == ("cylinder", (2, 2, 0.1))
    assert scaled_shape(cylinder, (2, 1, 1)).kind == "hull"
    box = scaled_shape(CollisionShape("box", size=(1, 2, 3), center=(1, 1, 1)), (2, 3, 4))
    assert (box.size, box.center) == ((2, 6, 12), (2, 3, 4))


def test_turned_kinds() -> None:
    quarter = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    box = placed(CollisionShape("box", size=(1, 2, 3)), quarter, np.zeros(3))
    assert (box.kind, box.size) == ("box", (2, 1, 3))
    assert placed(CollisionShape("cylinder", size=(1, 1, 2)), quarter, np.zeros(3)).kind == "cylinder"
    lying = placed(CollisionShape("cylinder", size=(1, 1, 2)), np.roll(np.eye(3), 1, axis=0), np.zeros(3))
    assert lying.kind == "hull"
    assert lying.vertices is not None
    np.testing.assert_allclose(np.ptp(lying.vertices, axis=0)[0], 2, atol=1e-6)


@pytest.mark.parametrize(
    ("scale", "mass", "word"),
    [((0, 1, 1), None, "scale"), ((1, -1, 1), None, "scale"), ((1, 1, math.nan), None, "scale")]
    + [((1, 1, 1), mass, "mass") for mass in (0.0, -1.0, math.inf, math.nan)],
)
def test_impossible_scales_and_masses(scale: tuple[float, float, float], mass: float | None, word: str) -> None:
    with pytest.raises(AssetError, match=word):
        scaled_physics(primitive("box", "box"), scale, mass)


def test_what_weighs_nothing_stays_as_it_is() -> None:
    nothing = Inertia(0.0, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    assert scaled_inertia(nothing, (1, 1, 1)) is nothing
    for scale, mass in (((1, 1, 1), 0.5), ((2, 1, 1), None)):
        with pytest.raises(AssetError, match="mass above zero"):
            scaled_inertia(nothing, scale, mass)


def test_articulated_assets_have_no_rigid_physics() -> None:
    robot = Asset("robot", "robot", (), np.zeros((2, 3)), urdf=Path("robot.urdf"))
    with pytest.raises(AssetError, match="URDF"):
        scaled_physics(robot)

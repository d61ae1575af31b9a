"""Plates: images as thin solids, their outline, faces, mass and rest, and categories read from their names."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import trimesh
from PIL import Image, ImageDraw

import simgen
from simgen.assets.asset import Asset, Mesh
from simgen.assets.library import Library
from simgen.assets.plates import SIZE, THICKNESS, triangulate
from simgen.errors import AssetError
from simgen.generate.pipeline import category_ids

REAL = Path(os.environ.get("SIMGEN_TEST_ASSETS", Path(__file__).parents[2] / "shared" / "assets"))
RED, GREEN, BLUE, YELLOW = (220, 20, 20), (20, 200, 20), (20, 20, 220), (220, 200, 20)


def picture(
    path: Path, draw: Callable[[ImageDraw.ImageDraw], None], mode: str = "RGBA", size: tuple[int, int] = (80, 40)
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new(mode, size)
    draw(ImageDraw.Draw(image))
    image.save(path)


def quarters(draw: ImageDraw.ImageDraw) -> None:
    for box, color in (
        ((0, 0, 39, 19), RED),
        ((40, 0, 79, 19), GREEN),
        ((0, 20, 39, 39), BLUE),
        ((40, 20, 79, 39), YELLOW),
    ):
        draw.rectangle(box, color)


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    root = tmp_path / "pool" / "faces"
    picture(root / "quarters.png", quarters, "RGB")
    picture(root / "disc_1.png", lambda d: d.ellipse((20, 0, 59, 39), RED))
    picture(root / "disc_2.png", lambda d: d.ellipse((20, 0, 59, 39), (*GREEN, 255)))
    picture(root / "bolt_1.png", lambda d: d.polygon([(5, 2), (70, 2), (70, 35), (60, 10), (10, 10)], BLUE))
    picture(root / "nothing.png", lambda d: None)
    return tmp_path / "pool"


def whole(asset: Asset) -> trimesh.Trimesh:
    counts = np.cumsum([0] + [len(mesh.vertices) for mesh in asset.meshes])
    faces = [mesh.faces + count for mesh, count in zip(asset.meshes, counts[:-1], strict=True)]
    return trimesh.Trimesh(np.concatenate([mesh.vertices for mesh in asset.meshes]), np.concatenate(faces))


def side(asset: Asset, up: float) -> Mesh:
    """The mesh of the face whose normals point to ``up`` z."""
    return next(mesh for mesh in asset.meshes if np.allclose(mesh.normals, (0, 0, up)))


def color_at(mesh: Mesh, x: float, y: float) -> tuple[int, ...]:
    """The texel seen at a place (x, y) of a face, by barycentric interpolation of its texture coordinates."""
    assert mesh.uv is not None
    assert mesh.material.base_color_map is not None
    pixels = mesh.material.base_color_map.pixels
    for face in mesh.faces:
        a, b, c = mesh.vertices[face, :2].astype(float)
        weights = np.linalg.solve(np.stack([np.append(p, 1) for p in (a, b, c)], 1), (x, y, 1))
        if weights.min() >= -1e-6:
            u, v = weights @ mesh.uv[face]
            return tuple(pixels[int(v * pixels.shape[0]), int(u * pixels.shape[1])].tolist())
    raise AssertionError(f"({x}, {y}) is not on the face")


def test_rectangle_is_a_solid_box(faces: Path) -> None:
    asset = Library([faces]).asset("plate/faces/quarters")
    t = SIZE * THICKNESS
    solid = whole(asset)
    assert solid.is_watertight
    assert solid.volume == pytest.approx(SIZE * SIZE / 2 * t)
    np.testing.assert_allclose(asset.bounds, [[-SIZE / 2, -SIZE / 4, -t / 2], [SIZE / 2, SIZE / 4, t / 2]], atol=1e-7)
    (shape,) = asset.collision
    assert shape.kind == "box"
    np.testing.assert_allclose(shape.size, (SIZE, SIZE / 2, t))


def test_image_is_upright_on_the_front_and_back(faces: Path) -> None:
    library = Library([faces])
    asset = library.asset("plate/faces/quarters@back=faces/quarters.png")
    x, y = SIZE / 4, SIZE / 8
    front, back = side(asset, 1), side(asset, -1)
    corners = [(-x, y), (x, y), (-x, -y), (x, -y)]
    assert [color_at(front, *place) for place in corners] == [RED, GREEN, BLUE, YELLOW]
    # Who looks from behind has +x on the left.
    assert [color_at(back, *place) for place in corners] == [GREEN, RED, YELLOW, BLUE]
    assert all(mesh.material.base_color_map is None for mesh in library.asset("plate/faces/quarters").meshes[1:])


def test_rounded_corners(faces: Path) -> None:
    asset = Library([faces]).asset("plate/faces/quarters@corner=0.2")
    radius = 0.2 * SIZE / 2
    area = SIZE * SIZE / 2 - (4 - np.pi) * radius**2
    assert whole(asset).is_watertight
    assert whole(asset).volume == pytest.approx(area * SIZE * THICKNESS, rel=5e-3)
    assert np.ptp(asset.bounds, axis=0)[:2] == pytest.approx((SIZE, SIZE / 2))


@pytest.mark.parametrize("name", ["disc_1", "bolt_1"])
def test_outline_follows_alpha(faces: Path, name: str) -> None:
    asset = Library([faces]).asset(f"plate/faces/{name}")
    solid = whole(asset)
    assert solid.is_watertight
    alpha = np.asarray(Image.open(faces / "faces" / f"{name}.png"))[..., 3]
    rows, columns = np.nonzero(alpha)
    pixel = SIZE / (max(np.ptp(rows), np.ptp(columns)) + 1)
    assert solid.volume / (SIZE * THICKNESS) == pytest.approx((alpha > 0).sum() * pixel**2, rel=0.03)
    np.testing.assert_allclose(asset.bounds.mean(axis=0), 0, atol=1e-9)
    # The silhouette from above, drawn at twice the image's size, against the alpha channel.
    drawn = np.zeros((80, 160), np.uint8)
    middle = np.array([columns.min() + columns.max(), rows.min() + rows.max()]) / 2 + 0.5
    for face in side(asset, 1).faces:
        points = side(asset, 1).vertices[face, :2] * (1, -1) / pixel + middle
        cv2.fillPoly(drawn, [np.rint(points * 2 * 16).astype(np.int32)], 255, shift=4)
    overlap = (drawn[::2, ::2] > 0) & (alpha > 0)
    union = (drawn[::2, ::2] > 0) | (alpha > 0)
    assert overlap.sum() / union.sum() > 0.85


def test_transparent_pixels_do_not_bleed(faces: Path) -> None:
    front = side(Library([faces]).asset("plate/faces/disc_1"), 1)
    assert front.material.base_color_map is not None
    np.testing.assert_array_equal(front.material.base_color_map.pixels, np.broadcast_to(RED, (40, 80, 3)))
    assert front.material.alpha_cutoff is None


def test_a_few_pixels_are_enough(tmp_path: Path) -> None:
    picture(tmp_path / "dot.png", lambda d: d.rectangle((10, 10, 11, 10), RED), "RGBA")
    asset = Library([tmp_path]).asset("plate/dot")
    assert np.ptp(asset.bounds, axis=0)[:2] == pytest.approx((SIZE, SIZE / 2), rel=0.06)
    assert whole(asset).is_watertight


def test_polygons_are_cut_into_their_area() -> None:
    star = np.array([[np.cos(a) * r, np.sin(a) * r] for k in range(10) for a, r in [(k * np.pi / 5, 1 - k % 2 * 0.6)]])
    triangles = triangulate(star)
    assert triangles is not None
    assert len(triangles) == 8
    a, b, c = (star[triangles[:, k]] for k in range(3))
    areas = ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2
    assert (areas > 0).all()
    assert areas.sum() == pytest.approx(10 * 0.5 * 1 * 0.4 * np.sin(np.pi / 5))
    assert triangulate(np.array([(0.0, 0.0), (1.0, 1.0), (1.0, 0.0), (0.0, 1.0)])) is None  # crosses itself


def test_names(faces: Path) -> None:
    library = Library([faces])
    assert library.assets("plate/faces/disc*@corner=0.1") == [
        "plate/faces/disc_1@corner=0.1",
        "plate/faces/disc_2@corner=0.1",
    ]
    assert not any(name.startswith("plate/") for name in library.assets("*"))
    assert library.category("plate/faces/quarters@corner=0.1") == "quarters"
    mesh = faces / "plate" / "faces" / "quarters.stl"
    mesh.parent.mkdir(parents=True)
    trimesh.creation.box((0.3, 0.3, 0.3)).export(mesh)
    assert np.ptp(Library([faces]).asset("plate/faces/quarters").bounds, axis=0)[2] == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("plate/faces/quarter", 'did you mean "plate/faces/quarters"'),
        ("plate/faces/quarters@corners=0.1", 'unknown option "corners" (did you mean "corner"'),
        ("plate/faces/quarters@corner=0.6", "from 0 to 0.5"),
        ("plate/faces/quarters@corner=wide", "from 0 to 0.5"),
        ("plate/faces/quarters@back=faces/x.png", 'no texture "faces/x.png"'),
        ("plate/faces/nothing", "transparent all over"),
    ],
)
def test_errors(faces: Path, name: str, told: str) -> None:
    with pytest.raises(AssetError) as error:
        Library([faces]).asset(name)
    assert told in str(error.value)


def scene(path: Path, group: str) -> Path:
    path.write_text(
        "surfaces: {table: {kind: table, size: [0.5, 0.5]}}\n"
        f"objects: {{cards: {{{group}, place: {{kind: drop, onto: table, region: [0.12, 0.12]}}}}}}\n"
        "cameras: {main: {radius: 0.5, elevation_deg: 80}}\n"
    )
    return path


def test_thin_cards_come_to_rest_on_one_another(faces: Path, tmp_path: Path) -> None:
    group = 'assets: ["plate/faces/quarters@corner=0.1"], count: 8, size: [0.088, 0.063, 0.0003]'
    config = simgen.load(str(scene(tmp_path / "cards.yaml", group)), ["randomize.sensor.enabled=false"])
    library = Library([faces])
    record = simgen.sample(config, library, 0, 0)
    simulation = simgen.simulate(record, library)
    assert simulation.settled
    bodies = zip(record.bodies, simulation.states[0].bodies, strict=True)
    cards = [state for body, state in bodies if body.role == "object" and state is not None]
    heights = sorted(float(state.T_world_obj[2, 3]) for state in cards)
    assert len(heights) == 8
    assert heights[0] == pytest.approx(0.00015, abs=3e-4)
    assert 0.0005 < heights[-1] < 8 * 0.0003 + 0.003
    flat = [abs(float(state.T_world_obj[2, 2])) for state in cards]
    assert min(flat) > np.cos(np.radians(8))


@pytest.mark.parametrize(
    ("rules", "names"),
    [
        ("", ["bolt_1", "disc_1", "disc_2"]),
        ('category: "*/{}_*"', ["bolt", "disc"]),
        ('category: "*[/]{}_[!2]"', ["bolt", "disc", "disc_2"]),
        ("category: sign", ["sign"]),
        ('category: "*/{}_?", categories: {round: ["*/disc_2", "*/x"]}', ["bolt", "disc", "round"]),
    ],
)
def test_categories_from_names(faces: Path, tmp_path: Path, rules: str, names: list[str]) -> None:
    group = 'assets: ["plate/faces/*_?@corner=0.1"], count: 12' + (f", {rules}" if rules else "")
    config = simgen.load(str(scene(tmp_path / "signs.yaml", group)), [])
    library = Library([faces])
    assert list(category_ids(config, library)) == names
    record = simgen.sample(config, library, 0, 0)
    found = {body.category for body in record.bodies if body.role == "object"}
    assert found <= set(names)
    if rules.startswith('category: "*/{}_*"'):  # balanced by these categories
        bolts = sum(body.category == "bolt" for body in record.bodies)
        assert 3 <= bolts <= 9


def test_road_signs_without_images() -> None:
    library = Library()
    names = library.assets("road_sign/*")
    assert len({library.category(name) for name in names}) == len(names) / 2 == 13
    looks = set()
    for name in names:
        asset = library.asset(name)
        assert whole(asset).is_watertight, name
        color = side(asset, 1).material.base_color_map
        assert color is not None
        looks.add(color.key)
    assert len(looks) == len(names)


@pytest.mark.skipif(not (REAL / "signs").is_dir(), reason=f"no asset pack at {REAL} (SIMGEN_TEST_ASSETS)")
def test_real_faces_are_solid() -> None:
    library = Library([REAL])
    names = library.assets("plate/signs/*")
    assert len(names) == 56
    for name in names:
        asset = library.asset(name)
        assert whole(asset).is_watertight, name
        assert np.ptp(asset.bounds, axis=0).max() == pytest.approx(SIZE), name
        assert asset.inertia is not None
        assert 0.3 < asset.inertia.mass / (1000 * SIZE**3 * THICKNESS) < 0.9, name

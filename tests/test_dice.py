"""Procedural dice: shape, pips, mass, and names by the face that is up."""

from __future__ import annotations

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from scipy.spatial import ConvexHull
from scipy.spatial.transform import Rotation

from simgen.assets import dice
from simgen.assets.library import Library
from simgen.assets.mesh import closed
from simgen.config import load
from simgen.errors import ConfigError
from simgen.labels.category import category
from simgen.randomize.sample import categories
from simgen.scene.pose import Pose
from simgen.scene.record import BodyRecord, EnvironmentRecord, SceneRecord, WorldRecord, from_json, to_json

SOME = ("dice/right_000", "dice/right_009", "dice/right_033", "dice/left_002", "dice/left_017")
VALUES = ("one", "two", "three", "four", "five", "six")


def first(kind: str, **wanted) -> str:
    """The first die whose design of faces is as ``wanted``."""
    return next(
        name
        for name in dice.names()
        if name.startswith(f"dice/{kind}")
        and all(getattr(dice.design(name).faces, key) == value for key, value in wanted.items())
    )


def test_library_has_dice_without_any_path():
    library = Library()
    names = library.assets("dice/*")
    assert len(names) == sum(dice.COUNTS.values()) == 256
    assert {library.category(name) for name in names} == {"die"}


@pytest.mark.parametrize("name", SOME)
def test_shape_is_a_closed_rounded_cube(name):
    asset = Library().asset(name)
    (mesh,) = asset.meshes
    extent = np.ptp(asset.bounds, axis=0)
    assert np.allclose(extent, extent[0], rtol=1e-5)
    assert 0.012 <= extent[0] <= 0.020
    assert np.allclose(asset.bounds.mean(axis=0), 0, atol=1e-8)
    points, inverse = np.unique(np.round(mesh.vertices / 1e-7), axis=0, return_inverse=True)
    assert closed(inverse.reshape(-1)[mesh.faces])
    assert np.allclose(np.linalg.norm(mesh.normals, axis=1), 1, atol=1e-5)
    assert ((mesh.normals * mesh.vertices).sum(axis=1) > 0).all()
    # Corners are off: a cube has its corners at sqrt(3) half edges.
    assert np.linalg.norm(points, axis=1).max() * 1e-7 < 0.97 * np.sqrt(3) * extent[0] / 2


@pytest.mark.parametrize("name", SOME)
def test_collision_hull_is_the_visible_body(name):
    asset = Library().asset(name)
    edge = np.ptp(asset.bounds, axis=0)[0]
    (shape,) = asset.collision
    visible, solid = ConvexHull(asset.meshes[0].vertices), ConvexHull(shape.vertices)
    outside = (shape.vertices @ visible.equations[:, :3].T + visible.equations[:, 3]).max()
    missing = (asset.meshes[0].vertices @ solid.equations[:, :3].T + solid.equations[:, 3]).max()
    assert outside < 0.035 * edge  # the mesh rounds off the rim that a sphere cuts
    assert missing < 0.06 * edge
    assert solid.volume == pytest.approx(visible.volume, rel=0.06)
    assert np.isclose(np.abs(shape.vertices).max(axis=0), edge / 2, rtol=1e-4).all()  # it lies where it seems to lie
    assert asset.inertia.mass == pytest.approx(1190 * solid.volume, rel=1e-3)
    assert np.allclose(asset.inertia.center, 0, atol=1e-6)
    assert np.ptp(asset.inertia.moments) < 0.02 * asset.inertia.moments[0]


def test_a_16_mm_die_weighs_what_real_ones_weigh():
    library = Library()
    weights = [library.asset(name).inertia.mass for name in SOME]
    sizes = [np.ptp(library.asset(name).bounds, axis=0)[0] for name in SOME]
    for weight, size in zip(weights, sizes, strict=True):
        assert 0.0038 < weight * (0.016 / size) ** 3 < 0.0050  # acrylic dice of 16 mm are sold as 4 to 5 g


@pytest.mark.parametrize(("kind", "sense"), [("right", 1), ("left", -1)])
def test_opposite_faces_sum_to_seven_and_both_senses_exist(kind, sense):
    axes = {value: np.array(axis) for value, axis in dice.up_axes(kind).items()}
    for value, axis in axes.items():
        assert (axes[7 - value] == -axis).all()
    assert np.linalg.det([axes[1], axes[2], axes[3]]) == pytest.approx(sense)


@pytest.mark.parametrize("kind", ["right", "left"])
@pytest.mark.parametrize("depth", [0.0, 1.0])
def test_each_face_shows_its_pips(kind, depth):
    """Rays straight at each face, intersected here, find as many spots of the pips' colour as its number."""
    name = first(kind, body="solid", depth=depth)
    asset = Library().asset(name)
    (mesh,) = asset.meshes
    faces = dice.design(name).faces
    pixels = mesh.material.base_color_map.pixels
    corners = mesh.vertices[mesh.faces].astype(float)
    edge = np.ptp(asset.bounds, axis=0)[0]
    line = np.linspace(-0.44, 0.44, 81) * edge
    for value, axis in dice.up_axes(kind).items():
        out = np.array(axis, float)
        across = np.roll(out, 1)
        up = np.cross(out, across)
        normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        flat = np.flatnonzero((normal @ out > 0.7) & (corners.mean(axis=1) @ out > 0.3 * edge))
        where = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
        seen = np.zeros((len(where), 3))
        seen[:] = 255 * np.array(faces.colors[0])  # beside the face
        hit = np.zeros(len(where), bool)
        for k in flat:
            a, b, c = (np.array([p @ across, p @ up]) for p in corners[k])
            weights = np.linalg.solve(np.column_stack([b - a, c - a]), (where - a).T)
            inside = (weights >= -1e-9).all(axis=0) & (weights.sum(axis=0) <= 1 + 1e-9)
            ta, tb, tc = mesh.uv[mesh.faces[k]].astype(float)
            uv = ta[:, None] + (tb - ta)[:, None] * weights[0] + (tc - ta)[:, None] * weights[1]
            column, row = (uv[:, inside] * np.array(pixels.shape[1::-1])[:, None]).astype(int)
            seen[inside], hit[inside] = pixels[row, column], True
        assert hit.mean() > 0.8
        far = np.linalg.norm(seen / 255 - np.array(faces.colors[0]), axis=1)
        near = np.linalg.norm(seen / 255 - np.array(faces.pip), axis=1)
        spots = (near < far).reshape(len(line), len(line)).astype(np.uint8)
        count, _, stats, middle = cv2.connectedComponentsWithStats(spots)
        assert count - 1 == value
        radius = faces.radius * (faces.single if value == 1 else 1)
        step = (line[1] - line[0]) / edge
        assert stats[1:, cv2.CC_STAT_AREA] * step**2 == pytest.approx(np.pi * radius**2, rel=0.2)
        points = dice.pip_centers(name)[value]
        found = np.sort(line[0] + middle[1:] * (line[1] - line[0]), axis=0)
        assert np.allclose(np.sort(np.stack([points @ across, points @ up], axis=1), axis=0), found, atol=0.02 * edge)
        assert np.allclose(points @ out, edge / 2)


def test_engraved_pips_are_bowls():
    """At the left wall of a bowl the normal leans right, at its lower wall up; between pips it is straight."""
    name = first("right", depth=1.0, single=1.0)
    faces = dice.design(name).faces
    pixels = Library().asset(name).meshes[0].material.normal_map.pixels
    cell = pixels[: pixels.shape[0] // 2, : pixels.shape[1] // 3].astype(float) / 127.5 - 1
    n = len(cell)
    reach = round(0.8 * faces.radius * n)
    assert cell[n // 2, n // 2 - reach, 0] > 0.4
    assert cell[n // 2, n // 2 + reach, 0] < -0.4
    assert cell[n // 2 + reach, n // 2, 1] > 0.4
    assert np.allclose(cell[5, 5], (0, 0, 1), atol=0.01)
    assert Library().asset(first("right", depth=0.0)).meshes[0].material.normal_map is None


def test_dice_are_always_the_same_and_all_different():
    one, again = (Library().asset(SOME[1]) for _ in range(2))
    assert one.meshes[0].key == again.meshes[0].key
    assert one.meshes[0].material.base_color_map.key == again.meshes[0].material.base_color_map.key
    designs = [dice.design(name) for name in dice.names()]
    assert len({repr(design) for design in designs}) == len(designs)
    assert {design.faces.body for design in designs} == {"solid", "marble", "speckle", "smoky", "pearl"}


def test_category_is_the_direction_that_points_most_upwards():
    axes = {"one": (0.0, 0.0, 3.0), "two": (0.5, 0.0, 0.0), "diagonal": (1.0, 1.0, 1.0), "down": (-0.2, 0.0, -9.0)}
    body = BodyRecord("die_00", "dice/right_000", "object", "die", Pose(), "die", category_by_up=axes)
    seen = set()
    for R in Rotation.random(300, random_state=4).as_matrix():
        T = np.eye(4)
        T[:3, :3], T[:3, 3] = R, (0.3, -2, 5)
        heights = {name: (R @ (np.array(axis) / np.linalg.norm(axis)))[2] for name, axis in axes.items()}
        expected = sorted(axes, key=lambda name: heights[name])[-1]
        assert category(body, T) == expected
        seen.add(expected)
    assert seen == set(axes)


def test_category_of_a_tie_is_the_first_and_without_axes_the_fixed_one():
    on_edge = np.eye(4)
    on_edge[:3, :3] = Rotation.from_euler("y", -45, degrees=True).as_matrix()
    on_edge[2, :3] = (np.sqrt(0.5), 0, np.sqrt(0.5))
    axes = {"two": (1.0, 0.0, 0.0), "one": (0.0, 0.0, 1.0)}
    body = BodyRecord("die_00", "dice/right_000", "object", "die", Pose(), "die", category_by_up=axes)
    assert category(body, on_edge) == "two"
    assert category(replace(body, category_by_up=dict(reversed(axes.items()))), on_edge) == "one"
    assert category(replace(body, category_by_up={}), on_edge) == "die"


def test_records_keep_the_axes_in_order_and_old_ones_load():
    axes = {"two": (1.0, 0.0, 0.0), "one": (0.0, 0.0, 1.0)}
    body = BodyRecord("die_00", "dice/right_000", "object", "die", Pose(), "die", category_by_up=axes)
    record = SceneRecord("dice", 0, 0, WorldRecord(), (body,), (), EnvironmentRecord(color=(1.0, 1.0, 1.0)), ())
    assert list(from_json(to_json(record)).bodies[0].category_by_up.items()) == list(axes.items())
    old = json.loads(to_json(record))
    del old["bodies"][0]["category_by_up"]
    assert from_json(json.dumps(old)).bodies[0].category_by_up == {}


def scene(tmp_path, **group) -> str:
    """A scene file with one group of dice beside a group of boxes."""
    objects = {"dice": {"assets": ["dice/right_00*"], **group}, "boxes": {"assets": ["primitive/box"]}}
    place = {"kind": "floating", "region": [1, 1, 1]}
    definition = {
        "objects": {name: {**part, "place": place} for name, part in objects.items()},
        "cameras": {"main": {}},
    }
    path = tmp_path / "scene.yaml"
    path.write_text(json.dumps(definition))
    return str(path)


def test_categories_come_in_the_given_order_after_the_others(tmp_path):
    axes = {"six": [0, 0, -1], "one": [0, 0, 1], "two": [1, 0, 0]}
    config = load(scene(tmp_path, category_by_up=axes))
    assert list(categories(config, Library())) == ["box", "six", "one", "two"]


@pytest.mark.parametrize(
    ("group", "told"),
    [
        ({"category_by_up": {"one": [0, 1]}}, "category_by_up.one must be a direction"),
        ({"category_by_up": {"one": [0, 0, 0]}}, "category_by_up.one must be a direction"),
        ({"category_by_up": {"one": [0, 0, 1]}, "category": "die"}, "category_by_up and category,"),
        ({"category_by_up": {"one": [0, 0, 1]}, "label": False}, "category_by_up and label: false"),
    ],
)
def test_senseless_axes_are_refused(tmp_path, group, told):
    with pytest.raises(ConfigError, match=told):
        load(scene(tmp_path, **group))

"""The scene dice: what is labelled is the face that looks up."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

import simgen
from simgen.assets import dice
from simgen.cli.main import main
from simgen.generate.pipeline import category_ids, compute_frames, draw_scene
from simgen.generate.replay import replay
from simgen.render import create

NAMES = ("one", "two", "three", "four", "five", "six")


@pytest.fixture(scope="module")
def library():
    return simgen.Library()


@pytest.fixture(scope="module")
def renderer():
    return create("raster", "cpu")


def upper_face(asset: str, T: np.ndarray) -> str:
    """The number of pips whose centres lie highest, from where the pips are and not from any table of directions."""
    kept = dice.pip_centers(asset)
    return NAMES[max(kept, key=lambda value: (kept[value] @ T[2, :3] + T[2, 3]).mean()) - 1]


def test_labels_are_the_upper_faces_at_rest(library, renderer):
    config = simgen.load("dice", ["scene.objects.mirrored.count=6", "image.width=64", "image.height=64"])
    numbers = category_ids(config, library)
    ids = {number: name for name, number in numbers.items()}
    assert [ids[k + 1] for k in range(6)] == list(NAMES)
    seen = {"right": set(), "left": set()}
    for scene in range(4):
        record, simulation = draw_scene(config, library, scene)
        (frame, *_) = compute_frames(record, simulation, library, renderer, ["instance"], numbers)
        table = frame.objects
        assert len(table.category_id) >= 6
        for asset, T, number in zip(table.asset, table.T_world_obj, table.category_id, strict=True):
            assert ids[int(number)] == upper_face(asset, T)
            seen["right" if "right" in asset else "left"].add(ids[int(number)])
    assert len(seen["right"]) == 6
    assert len(seen["left"]) >= 4


def test_pictures_show_as_many_pips_as_the_label_says(library, renderer):
    """Spots of the pips' colour are counted on the upper face of single dice right below the camera."""
    plain = [
        name
        for name in dice.names()
        if (look := dice.design(name)).faces.body == "solid"
        and look.faces.depth == 0
        and look.faces.radius < 0.085  # else the pips of a six flow together in a small picture
        and np.linalg.norm(np.subtract(look.faces.colors[0], look.faces.pip)) > 0.9
    ]
    config = simgen.load(
        "dice",
        [
            *("image.width=192", "image.height=192", "passes=[rgb]", "scene.cameras.main.views=1"),
            *(f"randomize.{factor}.enabled=false" for factor in ("textures", "materials", "lighting", "sensor")),
            *("randomize.distractors.enabled=false", "randomize.camera.enabled=false"),
            f"scene.objects.dice.assets={json.dumps(plain[:8])}",
            *("scene.objects.dice.count=1", "scene.objects.mirrored.count=0", "scene.objects.heap.count=0"),
            *("scene.objects.dice.restitution=0", "scene.objects.dice.place.region=[0.0,0.0]"),
            *("scene.cameras.main.radius=0.12", "scene.cameras.main.elevation_deg=90"),
        ],
    )
    numbers = category_ids(config, library)
    counted = set()
    for scene in range(8):
        record, simulation = draw_scene(config, library, scene)
        (frame,) = compute_frames(record, simulation, library, renderer, ["rgb"], numbers)
        look = dice.design(frame.objects.asset[0])
        top = upper_square(frame, look.edge)
        if top is None:
            continue
        along = frame.images["rgb"].astype(float) @ np.subtract(look.faces.pip, look.faces.colors[0])
        # The two colours as they are in this light: the extremes along the line between them.
        spots = (along > (along[top].min() + along[top].max()) / 2) & top
        stats = cv2.connectedComponentsWithStats(spots.astype(np.uint8))[2]
        # A pip covers about twenty pixels; a few dark ones at the rim of the face are none.
        assert (stats[1:, cv2.CC_STAT_AREA] > 8).sum() == frame.objects.category_id[0], (scene, frame.objects.asset)
        counted.add(int(frame.objects.category_id[0]))
    assert len(counted) >= 3


def upper_square(frame, edge: float) -> np.ndarray | None:
    """Pixels of the upper face of the die of a frame less its rim, None where that leaves the image."""
    T = frame.objects.T_world_obj[0]
    axes = sorted((sign * T[:3, k] for k in range(3) for sign in (-1, 1)), key=lambda axis: axis[2])
    up, u, v = axes[5], axes[4], np.cross(axes[5], axes[4])
    signs = ((1, 1), (1, -1), (-1, -1), (-1, 1))
    corners = np.stack([T[:3, 3] + edge / 2 * (up + 0.66 * (a * u + b * v)) for a, b in signs])
    camera = np.linalg.inv(frame.T_world_cam)
    points = (corners @ camera[:3, :3].T + camera[:3, 3]) @ frame.K.T
    polygon = points[:, :2] / points[:, 2:]
    mask = np.zeros(frame.images["rgb"].shape[:2], np.uint8)
    if polygon.min() < 0 or (polygon > np.array(mask.shape[::-1]) - 1).any():
        return None
    cv2.fillConvexPoly(mask, np.round(polygon).astype(np.int32), 1)
    return mask.astype(bool)


def test_dice_come_to_rest_apart_from_each_other(library):
    """No corner of a die, drawn a little inwards, is inside of another one."""
    config = simgen.load("dice", ["scene.objects.dice.count=20", "scene.cameras.main.views=1"])
    for scene in range(2):
        record, simulation = draw_scene(config, library, scene)
        assert simulation.settled
        state = simulation.at(record.frames[0].time)
        bodies = [
            (dice.design(body.asset).edge / 2, where.T_world_obj)
            for body, where in zip(record.bodies, state.bodies, strict=True)
            if body.category_by_up and where is not None
        ]
        assert len(bodies) >= 15
        signs = np.array([(i, j, k) for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)])
        for a, (half, T) in enumerate(bodies):
            points = signs * half * 0.8 @ T[:3, :3].T + T[:3, 3]
            assert points[:, 2].min() > 0
            for b, (other, W) in enumerate(bodies):
                if a != b:
                    local = np.abs((points - W[:3, 3]) @ W[:3, :3])
                    assert not (local < other * 0.97).all(axis=1).any()


def test_frames_replay_to_the_bit(tmp_path):
    size = ["image.width=64", "image.height=64"]
    main(["render", "scene=dice", f"out={tmp_path / 'data'}", "frames=2", *size, "workers=1", "passes=[rgb]"])
    assert replay(tmp_path / "data", 1) == []
    with simgen.Dataset(tmp_path / "data") as data:
        assert [category.name for category in data.manifest.categories] == list(NAMES)
        assert [category.id for category in data.manifest.categories] == [1, 2, 3, 4, 5, 6]

"""The scene cards: thin things that lie on each other, labelled by what is on them."""

from __future__ import annotations

import numpy as np
import pytest

import simgen
from simgen.generate.pipeline import category_ids, compute_frames, draw_scene
from simgen.render import create

HALF = np.array([0.0315, 0.044, 0.0002])


@pytest.fixture(scope="module")
def config():
    counts = ["scene.objects.cards.count=5", "scene.objects.drawn.count=1"]
    return simgen.load("cards", ["image.width=96", "image.height=96", *counts])


@pytest.fixture(scope="module")
def library():
    return simgen.Library()


def test_ranks_are_labelled_by_what_is_visible_of_them(config, library):
    numbers = category_ids(config, library)
    assert set(numbers) == {"nine", "ten", "jack", "queen", "king", "ace"}
    ids = {number: name for name, number in numbers.items()}
    ranks = {"nine": "9", "ten": "10", "jack": "J", "queen": "Q", "king": "K", "ace": "A"}
    record, simulation = draw_scene(config, library, 1)
    for frame in compute_frames(record, simulation, library, create("raster", "cpu"), ["instance"], numbers):
        table = frame.objects
        assert len(table.category_id) == 6
        for asset, number in zip(table.asset, table.category_id, strict=True):
            assert asset.partition("/")[2][:-1] == ranks[ids[int(number)]]
        for k, box in enumerate(table.bbox_visib):
            rows, columns = np.nonzero(frame.images["instance"] == table.instance_id[k])
            if len(rows):
                assert box.tolist() == [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]


def test_cards_come_to_rest_on_each_other_and_not_in_each_other(config, library):
    """Where two cards overlap, one is above the other all over, and no face sinks into the ground."""
    pairs = 0
    across = np.stack(np.meshgrid(np.linspace(-1, 1, 25), np.linspace(-1, 1, 25), [0.0]), -1).reshape(-1, 3) * HALF
    for scene in range(6):
        record, simulation = draw_scene(config, library, scene)
        assert not simulation.removed
        states = zip(record.bodies, simulation.states[0].bodies, strict=True)
        cards = [state.T_world_obj for body, state in states if body.name.startswith(("cards", "drawn", "others"))]
        for k, T in enumerate(cards):
            assert T[2, 2] > np.cos(np.radians(20))
            points = across @ T[:3, :3].T + T[:3, 3]
            assert points[:, 2].min() > -HALF[2]
            for other in cards[:k]:
                local = (points - other[:3, 3]) @ other[:3, :3]
                over = (np.abs(local[:, :2]) < HALF[:2]).all(1)
                if over.sum() > 3:
                    pairs += 1
                    height = local[over, 2]
                    assert (height > 0).all() or (height < 0).all()
    assert pairs > 5

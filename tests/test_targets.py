"""Edge cases on demand: measures against closed forms, and what is asked against the labels that come out."""

from __future__ import annotations

import logging
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_library import FakeLibrary
from physics_scenes import CAMERA, Shelf, box
from test_generate_job import assert_same

from simgen import config
from simgen.assets.library import Library
from simgen.config import RenderConfig
from simgen.errors import ConfigError
from simgen.generate.asked import NOTE
from simgen.generate.job import render
from simgen.generate.measures import (
    Labelled,
    camera_measures,
    coarse,
    drawable,
    holds,
    labelled,
    possible,
    scene_measures,
)
from simgen.generate.pipeline import category_ids, draw_scene
from simgen.generate.replay import replay
from simgen.generate.scenes import SceneSource
from simgen.generate.search import assigned, placements, search, settled
from simgen.geometry import look_at
from simgen.randomize.sample import sample, take
from simgen.render.base import Camera
from simgen.scene.record import (
    BodyRecord,
    EnvironmentRecord,
    FrameRecord,
    LightRecord,
    Pose,
    SceneRecord,
    SensorRecord,
    WorldRecord,
)
from simgen.scene.state import BodyState, SceneState
from simgen.scene.target_definition import Requirement
from simgen.shards.manifest import load as load_manifest
from simgen.shards.reader import Dataset
from simgen.shards.verify import verify

SMALL = ["image.width=200", "image.height=150", "output.frames_per_shard=4"]
"""Large enough that coarse images are looked at, too."""


def scene_with(tmp_path: Path, asked: str, *overrides: str, scene: str = "shapes") -> RenderConfig:
    file = tmp_path / "asked.yaml"
    file.write_text(f"defaults: [{scene}, _self_]\n{asked}")
    return config.load(file, [*SMALL, *overrides])


# --- measures --------------------------------------------------------------------------------------------------------


def still_life() -> tuple[SceneRecord, SceneState, Shelf]:
    """Two mugs 0.3 m apart, a can 0.1 m from the first, and a wall of a bin."""
    names = (("mug_0", "mug", (0.0, 0.0, 0.1)), ("can_0", "can", (0.1, 0.0, 0.1)), ("mug_1", "mug", (0.0, 0.3, 0.0)))
    bodies = tuple(BodyRecord(n, c, "object", "things", Pose(p), c, scale=(2.0, 1.0, 1.0)) for n, c, p in names)
    shelf = Shelf(box("mug", (0.1, 0.1, 0.1)), box("can", (0.1, 0.1, 0.1), center=(0.01, 0.0, 0.0)))
    zero = np.zeros(3)
    poses = []
    for body in bodies:
        T = np.eye(4)
        T[:3, 3] = body.pose.position
        poses.append(BodyState(T, zero, zero))
    record = SceneRecord(
        "made", 0, 0, WorldRecord(), bodies, (), EnvironmentRecord(), (FrameRecord(0, 0.0, CAMERA, SensorRecord()),)
    )
    return record, SceneState(0.0, tuple(poses)), shelf


def test_distances_between_objects() -> None:
    record, state, shelf = still_life()
    objects = labelled(record, state, shelf.asset)
    # The middle of the can's box is 0.01 off its origin, and the body is stretched twice along x.
    np.testing.assert_allclose(objects.middle, [[0, 0, 0.1], [0.12, 0, 0.1], [0, 0.3, 0]])
    found = scene_measures(record, objects, {})
    np.testing.assert_allclose(found["near_any"], [0.12, 0.12, math.hypot(0.3, 0.1)])
    np.testing.assert_allclose(found["near_same"], [math.hypot(0.3, 0.1), np.inf, math.hypot(0.3, 0.1)])
    np.testing.assert_allclose(found["height"], [0.1, 0.1, 0.0])
    assert found["inside"].tolist() == [0, 0, 0]
    gone = SceneState(0.0, (None, *state.bodies[1:]))
    assert labelled(record, gone, shelf.asset).category == ("can", "mug")
    nothing = labelled(record, SceneState(0.0, (None,) * 3), shelf.asset)
    assert all(len(v) == 0 for v in scene_measures(record, nothing, {}).values())


@pytest.mark.parametrize(
    ("point", "expected"),
    [((0.0, 0.0, 0.1), 1), ((0.0, 0.19, 0.5), 1), ((0.19, 0.0, 0.1), 0), ((0.0, 0.21, 0.1), 0), ((0, 0, -0.1), 0)],
)
def test_inside_a_turned_bin(point: tuple[float, float, float], expected: int, tmp_path: Path) -> None:
    """A bin of 0.4 x 0.2 m turned by 90 degrees reaches 0.2 m along y and 0.1 m along x."""
    asked = "surfaces: {crate: {kind: bin, size: [0.4, 0.2], yaw_deg: 90}}\n"
    drawn = sample(scene_with(tmp_path, asked), FakeLibrary(("primitive/*",)), 0, 0)
    objects = Labelled(np.array([point], float), ("a",), ("shapes",))
    assert scene_measures(drawn, objects, {"shapes": "crate"})["inside"].tolist() == [expected]
    assert scene_measures(drawn, objects, {"shapes": None})["inside"].tolist() == [0]


@pytest.mark.parametrize("azimuth", [0.0, 60.0, 90.0, 180.0])
@pytest.mark.parametrize("kind", ["directional", "point", "area", "spot"])
def test_backlight_is_the_angle_to_the_strongest_light(azimuth: float, kind: str) -> None:
    """The camera looks along +x at the object; the light is 2 m from it, ``azimuth`` away from straight ahead."""
    a = math.radians(azimuth)
    to_light = np.array([math.cos(a), math.sin(a), 0.0])
    middle = np.array([0.5, 0.2, 0.1])
    strong = LightRecord(
        kind, intensity=9.0, direction=tuple(-to_light), position=tuple(middle + 2 * to_light), extent=(1.0, 1.0)
    )
    weak = LightRecord("directional", intensity=2.0, direction=(0.0, 0.0, -1.0))
    averted = replace(strong, kind="spot", direction=tuple(to_light), intensity=1e6)  # shines the other way
    camera = Camera(np.eye(3), look_at(middle - [3.0, 0, 0], middle, 0.0), 64, 48)
    objects = Labelled(middle[None], ("a",), ("g",))
    found = camera_measures(objects, camera, [weak, averted, strong])
    np.testing.assert_allclose(found["backlight_deg"], azimuth, atol=1e-6)
    np.testing.assert_allclose(found["distance"], 3.0)
    far = replace(strong, position=tuple(middle + 20 * to_light), intensity=1.0)
    if kind != "directional":
        np.testing.assert_allclose(camera_measures(objects, camera, [weak, far])["backlight_deg"], 90.0, atol=1e-6)
    assert math.isnan(camera_measures(objects, camera, [])["backlight_deg"][0])


def test_requirements() -> None:
    objects = Labelled(np.zeros((4, 3)), ("mug", "mug", "can", "can"), ("a", "a", "a", "b"))
    measures = {"x": np.array([0.1, 0.5, 0.9, np.nan]), "y": np.array([1.0, 0.0, 1.0, 1.0])}

    def asks(**settings) -> bool:
        return holds(Requirement(**settings), measures, objects)

    assert asks(where={"x": [0.4, 0.6]})
    assert asks(where={"x": [0.5, 0.5]})  # bounds belong to the range
    assert not asks(where={"x": [0.6, 0.8]})
    assert not asks(where={"x": [0.4, 0.6], "y": [1, None]})  # one object must be in all ranges
    assert not asks(where={"x": [0.4, None]}, of=["b"])  # what cannot be told is in no range
    assert asks(where={"x": [None, 0.6]}, of=["mug"], every=True)
    assert not asks(where={"x": [None, 0.6]}, every=True)
    assert asks(where={"x": [2, 3]}, of=["nothing"], every=True)
    assert asks(where={"y": [1, 1]}, count=[3, 3])
    assert not asks(where={"y": [1, 1]}, count=[None, 2])
    assert asks(where={"x": [2, 3]}, count=[0, 0])


def test_what_a_coarse_image_leaves_open() -> None:
    """Nothing that holds in the whole image may be ruled out by one of a quarter of its size, rounding included."""
    asked = Requirement(
        {"visib_fract": [0.1, 0.3], "px_visib": [100, 400], "bbox_side": [8, 20], "height": [0.0, None]}, count=[2, 2]
    )
    loose = coarse(asked, 0.25)
    assert loose.where["height"] == (0.0, math.inf)
    assert loose.count == [2, 2]
    for px in (100, 250, 400):
        for side in (8, 20):
            seen = {
                "px_visib": round(px / 16),
                "bbox_side": round(side / 4) - 1,
                "visib_fract": 0.2 + 0.15 * (px > 250),
            }
            assert all(loose.where[name][0] <= value <= loose.where[name][1] for name, value in seen.items())
    assert not loose.where["px_visib"][0] <= 2000 / 16 <= loose.where["px_visib"][1]
    assert not loose.where["bbox_side"][0] <= 60 / 4 <= loose.where["bbox_side"][1]


def test_what_is_possible_from_some_measures() -> None:
    objects = Labelled(np.zeros((2, 3)), ("a", "a"), ("g", "g"))
    known = {"x": np.array([0.1, 0.5])}
    assert possible(Requirement({"x": [0.4, 1], "z": [0, 1]}), known, objects)
    assert not possible(Requirement({"x": [0.6, 1], "z": [0, 1]}), known, objects)
    assert not possible(Requirement({"x": [0.4, 1], "z": [0, 1]}, every=True), known, objects)
    assert not possible(Requirement({"x": [0.4, 1]}, count=[2, None]), known, objects)
    assert possible(Requirement({"x": [0, 1], "z": [0, 1]}, count=[None, 1]), known, objects)


# --- which views ------------------------------------------------------------------------------------------------------

TWO = """
targets:
  small: {share: 0.25, where: {bbox_side: [1, 20]}}
  hidden: {share: 0.2, where: {visib_fract: [0.05, 0.5]}}
"""


def test_shares_are_exact_over_blocks(tmp_path: Path) -> None:
    made = scene_with(tmp_path, TWO, "scene.cameras.main.views=4").scene
    for seed in range(5):
        names = [name for scene in range(256) for name in assigned(made, seed, scene)]
        for n, first in ((1024, 0), (128, 0), (128, 384), (64, 512)):
            counts = Counter(names[first : first + n])
            assert counts["small"] == n // 4
            assert abs(counts["hidden"] - 0.2 * n) <= 2
            assert abs(counts[None] - 0.55 * n) <= 2
    # No view of a scene has a target of its own.
    for view in range(4):
        assert abs(names[view::4].count("small") / 256 - 0.25) < 0.12
    assert names != [name for scene in range(256) for name in assigned(made, 9, scene)]


# --- the search -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("asked")
    text = TWO + "require:\n  seen: {where: {px_visib: [750, null]}, count: [2, null]}\n"
    render(scene_with(folder, text, "frames=24", "workers=1", "scene.cameras.main.views=3", f"out={folder / 'd'}"))
    return folder


def test_labels_show_what_was_asked_for(asked: Path) -> None:
    """The stored object tables are the oracle: what a frame notes must follow from them."""
    targets = Counter()
    with Dataset(asked / "d") as data:
        notes = [frame.draws[NOTE] for frame in data]
        for index, note in enumerate(notes):
            table = data.objects(index)
            side = table.bbox_visib[:, 2:].max(axis=1)
            shows = {
                "small": bool(((side >= 1) & (side <= 20)).any()),
                "hidden": bool(((table.visib_fract >= 0.05) & (table.visib_fract <= 0.5)).any()),
            }
            assert note["met"] == (shows[note["target"]] if note["target"] else None)
            assert note["required"] == (int((table.px_visib >= 750).sum()) >= 2)
            targets[note["target"]] += 1
            assert 1 <= note["takes"] <= 16 * 8 * 4
        asked_for, required = data.manifest.asked()
    assert targets["small"] >= 4
    assert targets["hidden"] >= 3
    for name in ("small", "hidden"):
        mine = [note for note in notes if note["target"] == name]
        assert asked_for[name].frames == len(mine)
        assert asked_for[name].met == sum(note["met"] for note in mine)
        assert asked_for[name].takes == sum(note["takes"] for note in mine)
        assert asked_for[name].met >= 0.8 * len(mine)
    assert required.frames == 24
    assert required.met == sum(note["required"] for note in notes) >= 22
    # Frames drawn for a target show it more often than the others: the search does something.
    with Dataset(asked / "d") as data:
        others = [k for k, note in enumerate(notes) if note["target"] != "small"]
        sides = [data.objects(k).bbox_visib[:, 2:].max(axis=1) for k in others]
    assert np.mean([((s >= 1) & (s <= 20)).any() for s in sides]) < 0.8


def test_replays_verifies_and_ignores_workers(asked: Path, tmp_path: Path) -> None:
    assert verify(asked / "d") == []
    for index in (0, 13, 23):
        assert replay(asked / "d", index) == []
    text = (asked / "asked.yaml").read_text().partition("\n")[2]
    more = ["frames=24", "workers=2", "scenes_per_worker=1", "scene.cameras.main.views=3"]
    render(scene_with(tmp_path, text, *more, f"out={tmp_path / 'd'}"))
    assert_same(asked / "d", tmp_path / "d")
    assert load_manifest(asked / "d").asked() == load_manifest(tmp_path / "d").asked()


def test_a_scene_that_asks_nothing_is_as_before(tmp_path: Path) -> None:
    plain = config.load("shapes", SMALL)
    source = SceneSource(plain)
    record, _ = source.scene(3)
    assert NOTE not in record.frames[0].draws
    # Nor does it move a draw that a target is searched, where the first drawing shows it already.
    easy = scene_with(tmp_path, "require: {some: {where: {distance: [0, 100]}}}")
    first, _ = draw_scene(easy, source.library, 3, source.renderer)
    frames = tuple(replace(frame, draws={k: v for k, v in frame.draws.items() if k != NOTE}) for frame in first.frames)
    assert replace(first, frames=frames, definition=record.definition) == record


def test_a_take_draws_one_camera_and_nothing_else(tmp_path: Path) -> None:
    made = config.load("tabletop", [*SMALL, "scene.cameras.main.views=3", "scene.time.frames=2"])
    library = FakeLibrary()
    first = sample(made, library, 0, 2)
    again = sample(made, library, 0, 2, takes=(0, 5, 0))
    assert replace(again, frames=first.frames) == first
    for before, after in zip(first.frames, again.frames, strict=True):
        assert (before == after) == (before.view != 1)
        assert before.sensor == after.sensor
    assert take(made, 0, 2, 1, 0, 5) == again.frames[1].camera == again.frames[4].camera
    other = sample(made, library, 0, 2, candidate=1)
    assert other.draws["content"] != first.draws["content"]
    assert other.frames[0].camera != first.frames[0].camera
    # A take in another candidate is not one that was seen before.
    seen = {take(made, 0, 2, 1, candidate, number).pose for candidate in range(3) for number in range(4)}
    assert len(seen) == 12


def test_the_scene_is_drawn_anew_when_no_camera_will_do(tmp_path: Path) -> None:
    text = "targets: {crowd: {share: 1, where: {near_any: [0, 0.5]}, count: [4, null]}}\nsearch: {scenes: 12}\n"
    made = scene_with(tmp_path, text, "scene.objects.shapes.count={dist:uniform_int,low:1,high:6}")
    source = SceneSource(made)
    found = [source.scene(k)[0] for k in range(6)]
    assert max(record.candidate for record in found) > 0
    for record in found:
        notes = [frame.draws[NOTE] for frame in record.frames]
        assert all(note["met"] for note in notes)
        # One camera was enough to tell, of the first scene and of those that have four objects.
        drawn = [sample(made, source.library, 0, record.scene, candidate=k + 1) for k in range(record.candidate)]
        crowds = sum(one.draws["content"]["shapes.count"] >= 4 for one in drawn)
        assert all(note["takes"] == 1 + crowds for note in notes)
        assert record.draws["content"]["shapes.count"] >= 4


def test_what_cannot_be_met_is_counted_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = """
targets:
  huge: {share: 0.5, where: {px_visib: [100000, null]}}
  away: {share: 0.5, where: {distance: [50, 60]}}
search: {takes: 3, scenes: 2}
"""
    made = scene_with(tmp_path, text, "frames=4", "workers=1", "scene.cameras.main.views=2", f"out={tmp_path / 'd'}")
    with caplog.at_level(logging.WARNING, logger="simgen"):
        render(made)
    told = [r.getMessage() for r in caplog.records if "do not show" in r.getMessage()]
    assert len(told) == 1
    assert "do not show huge" in told[0]
    assert "do not show away" in told[0]
    with Dataset(tmp_path / "d") as data:
        for frame in data:
            note = frame.draws[NOTE]
            assert note["met"] is False
            # In each of 2 scenes a whole image and 8 coarse ones; poses tell that nothing is 50 m away.
            assert note["takes"] == (2 * 9 if note["target"] == "huge" else 2 * 24)
        targets, required = data.manifest.asked()
    assert targets["huge"].met == targets["away"].met == 0
    assert required is None
    assert replay(tmp_path / "d", 1) == []


def test_nothing_random_is_not_drawn_twice(tmp_path: Path) -> None:
    off = [f"randomize.{name}.enabled=false" for name in config.RandomizeConfig.__dataclass_fields__]
    made = scene_with(tmp_path, "require: {huge: {where: {px_visib: [100000, null]}}}", *off)
    record, _ = SceneSource(made).scene(0)
    assert [frame.draws[NOTE]["takes"] for frame in record.frames] == [1] * len(record.frames)
    assert record.candidate == 0


# --- shares of categories ---------------------------------------------------------------------------------------------


def test_a_category_has_its_share(tmp_path: Path) -> None:
    text = "objects: {household: {shares: {mug: 0.1, banana: 0.6}}}"
    for balance in ("categories", "assets"):
        made = scene_with(tmp_path, text, f"scene.objects.household.balance={balance}", scene="tabletop")
        drawn = [b.category for k in range(60) for b in sample(made, FakeLibrary(), 0, k).bodies if b.role == "object"]
        counts = Counter(drawn)
        n = len(drawn)
        for name, share in (("mug", 0.1), ("banana", 0.6), ("can", 0.3)):
            assert abs(counts[name] / n - share) < 4 * math.sqrt(share * (1 - share) / n), (name, counts)


def test_equal_shares_are_what_is_drawn_without(tmp_path: Path) -> None:
    third = "objects: {household: {shares: {banana: 0.3333333333333333, can: 0.3333333333333333}}}"
    library = FakeLibrary()
    with_shares = sample(scene_with(tmp_path, third, scene="tabletop"), library, 0, 1)
    without = sample(config.load("tabletop", SMALL), library, 0, 1)
    # Shelves in the same order, of the same widths.
    assert with_shares.draws == without.draws


# --- mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked_for", "match"),
    [
        ("targets: {a: {where: {visib_frac: [0, 1]}}}", r"targets.a.where.*'visib_frac'.*visib_fract"),
        ("targets: {a: {where: {visib_fract: [0.3, 0.1]}}}", r"targets.a.where.visib_fract: no value is in"),
        ("targets: {a: {where: {visib_fract: 0.3}}}", r"targets.a.where.visib_fract must be \[low, high\]"),
        ("targets: {a: {where: {visib_fract: [null, null]}}}", r"has no limit"),
        ("targets: {a: {share: 0.2}}", r"targets.a.where is empty"),
        ("targets: {a: {share: 0.7, where: {height: [0, 1]}}, b: {share: 0.7, where: {height: [0, 1]}}}", "1.4 of the"),
        ("require: {a: {where: {height: [0, 1]}, every: true, count: [1, 2]}}", "both count and every"),
        ("objects: {shapes: {shares: {box: 1.2}}}", r"objects.shapes.shares must be"),
    ],
)
def test_mistakes_are_told(asked_for: str, match: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=match):
        scene_with(tmp_path, asked_for)


def test_unknown_names_are_told(tmp_path: Path) -> None:
    made = scene_with(tmp_path, "require: {a: {where: {height: [0, 1]}, of: [shape]}}")
    with pytest.raises(ConfigError, match=r"require.a.of: 'shape' is no group.*did you mean \"shapes\""):
        SceneSource(made).scene(0)
    made = scene_with(tmp_path, "objects: {household: {shares: {mugs: 0.5}}}", scene="tabletop")
    with pytest.raises(ConfigError, match=r"household.shares: no asset.*'mugs'.*did you mean \"mug\""):
        sample(made, FakeLibrary(), 0, 0)


def test_cameras_of_a_rig_are_drawn_together(tmp_path: Path) -> None:
    text = TWO.replace("0.25", "0.6") + "cameras: {right: {kind: rig, of: main, position: [0.06, 0, 0]}}\n"
    made = scene_with(tmp_path, text, "scene.cameras.main.views=2")
    assert placements(made.scene) == [[0, 2], [1, 3]]
    source = SceneSource(made)
    searched = 0
    for scene in range(4):
        record, _ = source.scene(scene)
        by_view = {frame.view: frame for frame in record.frames}
        for left, right in ((0, 2), (1, 3)):
            a, b = (by_view[view] for view in (left, right))
            assert a.camera.pose == b.camera.pose
            assert b.camera.mount is not None
            assert b.camera.mount.position == (0.06, 0.0, 0.0)
            assert a.draws[NOTE]["target"] == b.draws[NOTE]["target"]
            assert a.draws[NOTE]["takes"] == b.draws[NOTE]["takes"]
            searched += a.draws[NOTE]["takes"] > 1
    assert searched


# --- scenes without what is asked for ---------------------------------------------------------------------------------

RARE = (
    "objects: {shapes: {shares: {torus: 0.03}, count: {low: 3, high: 4}}}\n"
    "search: {scenes: 2}\n"
    "targets: {torus: {share: 1, where: {height: [0, 1]}, of: [torus]}}\n"
)


def test_scenes_without_the_category_asked_for_cost_nothing(tmp_path: Path) -> None:
    """A torus is in one of nine scenes, so that two drawn at random would do for 20 %; sixteen do for 85 %."""
    made = scene_with(tmp_path, RARE, "scene.cameras.main.views=1")
    library = Library()
    ids = category_ids(made, library)
    simulated: list[int] = []

    def looked(*_: object) -> list:
        raise AssertionError("nothing that is asked takes an image")

    met = 0
    for scene in range(20):
        record, _ = search(made, library, scene, looked, ids)
        has = any(body.category == "torus" for body in record.bodies)
        assert record.frames[0].draws[NOTE]["met"] == has
        met += has
        simulated.append(record.candidate)
    assert met >= 13
    assert max(simulated) >= 2  # beyond what may be simulated


def test_what_is_not_drawable_never_comes_about(tmp_path: Path) -> None:
    made = scene_with(tmp_path, RARE, "scene.cameras.main.views=1")
    library = Library()
    asked = [
        Requirement(where={"height": [0, 1]}, of=["torus"]),
        Requirement(where={"near_same": [0, 9]}, count=[2, None]),
        Requirement(where={"near_same": [0, 9]}, of=["cone"]),
        Requirement(where={"near_any": [0, 9]}, of=["shapes"]),
        Requirement(where={"height": [0, 1]}, of=["box"], every=True),
    ]
    seen: Counter[tuple[int, bool, bool]] = Counter()
    for scene in range(12):
        record, simulation = settled(made, library, scene)
        objects = labelled(record, simulation.states[0], library.asset)
        measures = scene_measures(record, objects, {"shapes": None})
        for k, requirement in enumerate(asked):
            seen[k, drawable(requirement, record), holds(requirement, measures, objects)] += 1
    assert not any(came and not could for _, could, came in seen)
    for k in (0, 1, 2):
        assert seen[k, False, False]
        assert sum(count for key, count in seen.items() if key[:2] == (k, True))

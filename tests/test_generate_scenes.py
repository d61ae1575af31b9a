"""The real thing, small: physics, renderer, sensor and labels from a configuration to verified, replayable shards."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_generate_job import assert_same

from simgen.config import PASSES, RenderConfig, frames_per_scene, load
from simgen.errors import RenderError
from simgen.generate.job import render
from simgen.generate.pipeline import BATCH, category_ids, replay_scene, resolve_passes, scene_frames
from simgen.generate.replay import replay
from simgen.generate.scenes import SceneSource
from simgen.labels.frame import Frame
from simgen.shards.draws import plain
from simgen.shards.reader import Dataset
from simgen.shards.verify import verify

ALL = f"passes=[{','.join(PASSES)}]"


def config(*overrides: str) -> RenderConfig:
    return load("shapes", ["image.width=64", "image.height=48", *overrides])


@pytest.fixture(scope="module")
def source() -> SceneSource:
    return SceneSource(config(ALL))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("real") / "d"
    render(config(ALL, f"out={folder}", "frames=9", "workers=1", "output.frames_per_shard=4"))
    return folder


def assert_identical(a: Frame, b: Frame) -> None:
    def flat(value: Any) -> Any:
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}

    for x, y in ((flat(a), flat(b)), (a.images, b.images), (flat(a.objects), flat(b.objects))):
        assert x.keys() == y.keys()
        for name, value in x.items():
            if isinstance(value, np.ndarray):
                assert value.dtype == y[name].dtype
                assert value.tobytes() == y[name].tobytes(), name
            elif name not in ("objects", "images"):
                assert value == y[name], name


def test_a_dataset_is_sound_and_replays(dataset: Path) -> None:
    assert verify(dataset) == []
    with Dataset(dataset) as data:
        assert set(data.passes) == set(PASSES)
        assert len(data) == 9
        assert [c.name for c in data.categories] == sorted(c.name for c in data.categories)
        frame = data[0]
        assert frame.images["rgb"].shape == (48, 64, 3)
        assert frame.images["rgb"].std() > 5
        assert len(frame.objects.instance_id) > 0
        assert frame.objects.px_visib.sum() == np.count_nonzero(frame.images["instance"])
        semantic = np.concatenate([[0], frame.objects.category_id]).astype(np.uint16)[frame.images["instance"]]
        np.testing.assert_array_equal(frame.images["semantic"], semantic)
    for index in range(9):
        assert replay(dataset, index) == []


def test_workers_do_not_change_arrays(dataset: Path, tmp_path: Path) -> None:
    more = ["workers=2", "scenes_per_worker=1", "frames=9", "output.frames_per_shard=4"]
    render(config(ALL, f"out={tmp_path / 'd'}", *more))
    assert_same(dataset, tmp_path / "d")


def test_the_reference_renderer_too(tmp_path: Path) -> None:
    for workers in (1, 2):
        more = [f"workers={workers}", "frames=8", "output.frames_per_shard=4", f"out={tmp_path / str(workers)}"]
        render(config("renderer=tiny", *more))
    assert_same(tmp_path / "1", tmp_path / "2")
    assert verify(tmp_path / "1") == []
    assert replay(tmp_path / "1", 5) == []


def test_a_scene_in_python_is_the_scene_in_the_dataset(dataset: Path, source: SceneSource) -> None:
    result = scene_frames(source.config, source.library, source.renderer, 0)
    assert len(result.frames) == frames_per_scene(source.config)
    with Dataset(dataset) as data:
        assert result.record == data.record(0)
        for frame in result.frames[: len(data)]:
            stored = data[frame.index]
            assert frame.draws == stored.draws
            for name in set(PASSES) - {"normal"}:  # which is stored rounded
                assert frame.images[name].tobytes() == stored.images[name].tobytes(), name


def test_frames_do_not_depend_on_their_company(source: SceneSource) -> None:
    """Batches of BATCH, single frames, other scenes before, and the record alone all give the same bits."""
    many = load(
        "shapes", ["image.width=64", "image.height=48", ALL, "scene.time.frames=3", "scene.cameras.main.views=4"]
    )
    assert frames_per_scene(many) > BATCH
    result = scene_frames(many, source.library, source.renderer, 2)
    scene_frames(many, source.library, source.renderer, 5, [0])
    for place in (0, BATCH - 1, BATCH, len(result.frames) - 1):
        fresh = SceneSource(many)
        (alone,) = scene_frames(many, fresh.library, fresh.renderer, 2, [place]).frames
        assert_identical(alone, result.frames[place])
        (again,) = replay_scene(result.record, many, fresh.library, fresh.renderer, [place]).frames
        assert_identical(again, result.frames[place])


def test_draws_of_scene_and_frame_are_together(source: SceneSource) -> None:
    result = scene_frames(source.config, source.library, source.renderer, 1)
    for place, frame in enumerate(result.frames):
        for draws in (result.record.draws, result.record.frames[place].draws):
            for factor, values in draws.items():
                for name, value in values.items():
                    assert frame.draws[factor][name] == plain(value)


def test_passes(source: SceneSource) -> None:
    renderer = source.renderer
    assert resolve_passes("auto", renderer) == ("rgb", "depth", "instance", "semantic", "normal")
    assert resolve_passes(["semantic", "rgb"], renderer) == ("rgb", "semantic")
    with pytest.raises(RenderError, match=r'no pass "dept" \(did you mean "depth"\?\)'):
        resolve_passes(["dept"], renderer)
    colour = config("passes=[rgb]")
    (frame,) = scene_frames(colour, source.library, renderer, 0, [0]).frames
    assert set(frame.images) == {"rgb"}
    assert len(frame.objects.px_visib) > 0


def test_categories_count_from_one(source: SceneSource) -> None:
    ids = category_ids(source.config, source.library)
    assert sorted(ids.values()) == list(range(1, len(ids) + 1))


def test_scenes_are_drawn_again_until_they_settle(source: SceneSource, monkeypatch: pytest.MonkeyPatch) -> None:
    from simgen.generate import pipeline, search

    tried: list[int] = []

    def restless(record: Any, library: Any, client: Any) -> Any:
        tried.append(record.attempt)
        return dataclasses.replace(true(record, library, client), settled=len(tried) > 2)

    true = search.simulate
    monkeypatch.setattr(search, "simulate", restless)
    record, simulation = pipeline.draw_scene(config("attempts=5"), source.library, 0)
    assert (tried, record.attempt, simulation.settled) == ([0, 1, 2], 2, True)
    tried.clear()
    record, simulation = pipeline.draw_scene(config("attempts=1"), source.library, 0)
    assert (tried, record.attempt, simulation.settled) == ([0, 1], 1, False)
    assert "scene 0" in source.complaint(
        record, dataclasses.replace(simulation, removed={"a": "did not settle: 1 m/s"})
    )

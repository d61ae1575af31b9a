"""The benchmarks: they run, say what they measured, and their scene is what it says. No test asks how fast."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from simgen.assets.library import Library
from simgen.bench import measure
from simgen.bench.job import _STAGES, keep_assets, stages, views_per_scene
from simgen.bench.peers import run
from simgen.bench.peers.run import PEERS, peers
from simgen.bench.reference import reference_snapshots
from simgen.cli.main import main
from simgen.config import load
from simgen.errors import ConfigError
from simgen.randomize.sample import sample
from simgen.render import create


def test_the_reference_scene_fills_the_image_and_moves() -> None:
    shots = reference_snapshots(96, 72, objects=10, triangles=20_000, views=2)
    for shot in shots:
        count = sum(len(drawable.mesh.faces) for drawable in shot.drawables)
        assert abs(count - 20_000) < 600
    renderer = create("raster")
    images = renderer.render(shots, ["depth", "instance", "flow_forward"]).images
    renderer.close()
    assert (images["depth"] > 0).all()
    assert len(np.unique(images["instance"])) >= 8
    assert (np.abs(images["flow_forward"]).max(axis=(1, 2, 3)) > 0.3).all()
    assert not np.array_equal(images["depth"][0], images["depth"][1])


@pytest.mark.parametrize("objects", [10, 50, 200])
def test_objects_do_not_touch_each_other(objects: int) -> None:
    [shot] = reference_snapshots(64, 48, objects=objects, triangles=100 * objects, views=1)
    places = np.stack([d.T_world_obj[:3, 3] for d in shot.drawables[1:]])
    assert len(places) == objects
    apart = np.linalg.norm(places[:, None] - places[None], axis=-1) + np.eye(objects)
    assert apart.min() > 0.101  # they are at most 0.1 m wide
    assert places[:, 2].min() > 0.05


def test_all_parts_give_figures(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(
            [
                "bench",
                "--quick",
                "--workers",
                "1",
                "--size",
                "48x32",
                "--scene",
                "shapes",
                "--parts",
                "renderers,sensors",
            ]
        )
        == 0
    )
    figures = json.loads(capsys.readouterr().out)
    rows = figures["renderer_only"]
    assert {(row["scene"], row["renderer"]) for row in rows} == {
        (scene, renderer) for scene in ("reference", "shapes") for renderer in ("raster", "tiny")
    }
    assert all(row["frames_per_second"] > 0 and row["processes"] == 1 and row["device"] for row in rows)
    assert len(figures["ratios"]) == 2
    [sensors] = figures["sensors_ms_per_frame"]
    assert sensors["size"] == "48x32"
    assert sensors["whole chain"] > 0
    assert {"noise", "JPEG"} <= set(sensors["color"])
    assert sensors["depth"]
    assert "end_to_end" not in figures


def test_an_unknown_part_is_told() -> None:
    with pytest.raises(ConfigError, match=r'"sensors"'):
        measure("shapes", [(48, 32)], parts=["sensor"])


def test_peers_get_a_picture_for_each_map_and_tint(tmp_path: Path) -> None:
    """Tints that Python's hash takes for one another (-1 and -2) are two, equal maps in two places are one."""
    [shot] = reference_snapshots(32, 24, objects=2, triangles=100, views=1)
    plane, first, second = shot.drawables
    map_ = first.material.base_color_map
    assert map_ is not None
    looks = [
        replace(first.material, base_color=(-1.0, 0.5, 0.5, 1.0)),
        replace(first.material, base_color=(-2.0, 0.5, 0.5, 1.0)),
        replace(first.material, base_color=(-2.0, 0.5, 0.5, 1.0), base_color_map=replace(map_)),
    ]
    things = (plane, *(replace(second, material=look) for look in looks))
    run._write([replace(shot, drawables=things)], tmp_path, 1.0)
    _, *files = (thing["texture"] for thing in json.loads((tmp_path / "stage.json").read_text())["things"])
    assert files[0] != files[1] == files[2]
    assert all((tmp_path / file).is_file() for file in files)


def test_peers_answer_or_say_why_not() -> None:
    found = peers(64, 48, seconds=0.1)
    rows = {row["peer"]: row for row in found["peers"]}
    assert set(rows) | set(found["absent"]) == set(PEERS)
    assert found["raster_ms_per_frame"] > 0
    assert all(row["median_ms_per_frame"] > 0 and row["version"] and row["gives"] for row in rows.values())
    assert all(found["absent"].values())


def test_a_missing_interpreter_and_an_empty_picture_are_told(tmp_path: Path) -> None:
    assert set(peers(32, 24, python=str(tmp_path / "python"))["absent"]) == set(PEERS)
    view = [[1, 0], [0, 1]]
    stage = {"width": 32, "height": 24, "K": [[30, 0, 16], [0, 30, 12], [0, 0, 1]], "views": [view]}
    (tmp_path / "stage.json").write_text(json.dumps(stage | {"things": [], "lamps": [], "seconds": 0.01}))
    blank = tmp_path / "blank.py"
    blank.write_text(
        f"import sys, numpy; sys.path.insert(0, {str(Path(run.__file__).parent)!r}); from stage import Stage, tell\n"
        "tell('none', '1', 'nothing', Stage(sys.argv[1]), lambda view: numpy.zeros((24, 32, 3)))"
    )
    assert "empty picture" in run._ask(sys.executable, (str(blank),), str(tmp_path))


def test_one_view_of_a_scene_is_timed_beside_several() -> None:
    config = load("tabletop", ["scene.cameras.main.views=3"])
    single, several = views_per_scene(config)
    assert (single.scene.views, several.scene.views) == (1, 3)
    assert single.scene.objects == several.scene.objects
    assert [each.scene.views for each in views_per_scene(single)] == [1]


def test_assets_are_kept_before_the_job_is_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the first benchmark of a machine would time the decomposition of shapes, and no later one."""
    monkeypatch.setenv("SIMGEN_CACHE", str(tmp_path))
    config = load("tabletop", ["image.width=64", "image.height=48"])
    keep_assets(config, range(2))
    kept = set(tmp_path.rglob("*"))
    library = Library()
    for scene in range(2):
        sample(config, library, config.seed, scene)
    assert kept
    assert set(tmp_path.rglob("*")) == kept


def test_stages_of_the_job_explain_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simgen.bench.job.settle_in", lambda: None)
    row = stages(load("shapes", ["image.width=64", "image.height=48", "passes=[rgb,depth]"]), 2)
    for stage in (
        "sample",
        "json",
        "simulate",
        "resolve",
        "render",
        "silhouettes",
        "label",
        "sense",
        "write",
        "commit",
    ):
        assert row[stage] > 0, stage
    named = sum(row[stage] for stage in _STAGES)
    assert named + row["other"] == pytest.approx(row["total"], abs=0.05)
    assert 0 <= row["other"] < 0.5 * row["total"]

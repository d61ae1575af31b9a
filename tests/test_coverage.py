"""Coverage of drawn variables, and what `simgen info` says of it and of datasets that are not finished."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

import numpy as np
import pytest
from fake_library import FakeLibrary
from fake_scenes import FakeSource
from scipy import stats

from simgen import config
from simgen.cli.main import main
from simgen.generate.folder import locked
from simgen.generate.job import render
from simgen.randomize.sample import sample
from simgen.shards import manifest as manifests
from simgen.shards.draws import plain
from simgen.shards.reader import Dataset
from simgen.view.coverage import BINS, Coverage, coverages
from simgen.view.survey import Frames


def frames_of(draws: list[dict], views: int = 1) -> Frames:
    n = len(draws)
    index, none = np.arange(n), np.zeros(n, np.int64)
    return Frames(index, index // views, index % views, np.zeros(n), ["main"] * n, none, none, draws)


def covered(draws: list[dict], scene: dict, **randomize) -> dict[str, Coverage]:
    found = coverages(frames_of(draws), {"scene": scene, "randomize": randomize})
    return {f"{c.factor}/{c.name}": c for c in found}


UNIFORM = {"cameras": {"main": {"radius": {"dist": "uniform", "low": 1, "high": 3}}}}


def radii(values: np.ndarray) -> list[dict]:
    return [{"camera": {"radius": float(v)}} for v in values]


def test_half_of_a_range() -> None:
    """400 draws in the lower half: half of the bins, the others all thin, and half of the probability away."""
    found = covered(radii(1 + (np.arange(400) + 0.5) / 400), UNIFORM)["camera/radius"]
    assert (found.draws, found.bins, found.hit) == (400, BINS, BINS // 2)
    assert found.deviation == pytest.approx(0.5, abs=0.002)
    assert len(found.thin) == BINS // 2
    np.testing.assert_allclose(found.thin[0], [2.0, 2.1], atol=1e-3)
    np.testing.assert_allclose(found.thin[-1], [2.9, 3.0], atol=1e-3)


def test_bins_are_equally_likely() -> None:
    """Of a log-uniform number every bin spans the same ratio."""
    scene = {"lights": {"intensity": {"dist": "log_uniform", "low": 0.01, "high": 100}}}
    draws = [{"lighting": {"intensity": [float(v)]}} for v in np.geomspace(1.0001, 99, 300)]
    found = covered(draws, scene)["lighting/intensity"]
    assert found.hit == BINS // 2
    ratios = [high / low for low, high in found.thin]
    np.testing.assert_allclose(ratios, 10 ** (4 / BINS), rtol=0.01)


@pytest.mark.parametrize("n", [7, 50, 333])
def test_deviation_is_that_of_kolmogorov_and_smirnov(n: int) -> None:
    values = np.random.default_rng(n).beta(2, 3, n)
    found = covered(radii(1 + 2 * values), UNIFORM)["camera/radius"]
    assert found.deviation == pytest.approx(stats.kstest(values, "uniform").statistic, abs=1e-3)


def test_independent_draws_have_no_thin_bins() -> None:
    thin = 0
    for seed in range(20):
        values = 1 + 2 * np.random.default_rng(seed).random(500)
        thin += len(covered(radii(values), UNIFORM)["camera/radius"].thin)
    assert thin <= 2


def test_words_and_whole_numbers() -> None:
    scene = {
        "background": {"kind": {"dist": "choice", "values": ["environment", "texture", "color"], "weights": [2, 1, 1]}},
        "lights": {"count": {"dist": "uniform_int", "low": 1, "high": 4}},
    }
    draws = [
        {"background": {"kind": ["environment", "texture"][k % 2]}, "lighting": {"count": 1 + k % 3}} for k in range(60)
    ]
    found = covered(draws, scene)
    kind = found["background/kind"]
    assert (kind.bins, kind.hit, kind.thin) == (3, 2, ("color",))
    assert kind.deviation == pytest.approx(0.25, abs=0.02)
    count = found["lighting/count"]
    assert (count.bins, count.hit, count.thin) == (4, 3, ([4.0, 4.0],))
    assert count.deviation == pytest.approx(0.25, abs=0.02)


def test_vectors_by_component() -> None:
    """A hemisphere is even in the cosine of the angle; here all lamps are on one side and none is low."""
    scene = {
        "lights": {"direction": {"dist": "direction", "axis": [0, 0, 1], "low_deg": 0, "high_deg": 90}},
        "cameras": {"main": {"target": [{"dist": "uniform", "low": -1, "high": 1}, 0.0, 0.5]}},
    }
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(400):
        z, turn = rng.uniform(0.5, 1), rng.uniform(0, np.pi)
        s = np.sqrt(1 - z * z)
        way = [float(s * np.cos(turn)), float(s * np.sin(turn)), float(z)]
        draws.append({"lighting": {"direction": [way]}, "camera": {"target": [float(rng.uniform(-1, 1)), 0.0, 0.5]}})
    found = covered(draws, scene)
    assert found["lighting/direction.angle_deg"].hit == pytest.approx(BINS // 2, abs=1)
    assert found["lighting/direction.angle_deg"].deviation == pytest.approx(0.5, abs=0.06)
    assert found["lighting/direction.azimuth_deg"].hit == pytest.approx(BINS // 2, abs=1)
    assert found["camera/target.x"].hit == BINS
    assert "camera/target.y" not in found


def test_a_design_covers_more_than_chance() -> None:
    hits = {}
    for design in ("random", "sobol"):
        made = config.load("tabletop", ["scene.cameras.main.views=4", f"randomize.camera.design={design}"])
        draws = []
        for scene in range(16):
            record = sample(made, FakeLibrary(), 0, scene)
            draws += [{"camera": {k: plain(v) for k, v in f.draws["camera"].items()}} for f in record.frames]
        found = coverages(frames_of(draws, 4), config.to_plain(made))
        hits[design] = sum(c.hit for c in found)
        deviations = [c.deviation for c in found if c.factor == "camera"]
        assert len(deviations) == 7
        if design == "sobol":
            # 64 points: at most 1/64 off, and what the sample of the distribution is off by.
            assert max(deviations) < 1 / 64 + 0.015
    assert hits["sobol"] == 7 * BINS > hits["random"]


def test_strength_is_taken_into_account() -> None:
    values = np.linspace(1.51, 2.49, 200)
    half = {"camera": {"enabled": True, "strength": 0.5}}
    assert covered(radii(values), UNIFORM, **half)["camera/radius"].hit == BINS


# --- simgen info ------------------------------------------------------------------------------------------------------


def test_info_of_a_dataset_that_is_not_finished(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "d"
    made = config.load("shapes", ["frames=12", "output.frames_per_shard=4", "workers=1", f"out={folder}"])
    render(made, open_source=FakeSource)
    manifest = manifests.load(folder)
    done = sum(entry.frames for entry in manifest.shards[:1])
    for entry in manifest.shards[1:]:
        entry.state = "pending"
        (folder / entry.file).unlink()
    manifests.save(folder, manifest)
    assert main(["info", str(folder), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["complete"] is False
    assert (facts["frames_done"], facts["frames"]) == (done, 12)
    assert (facts["shards_done"], facts["shards"]) == (1, len(manifest.shards))
    assert main(["info", str(folder)]) == 0
    told = capsys.readouterr().out
    assert f"not finished, {done} of 12 frames" in told
    assert f"missing     frames {done} to 11\n" in told
    assert "go on       simgen render scene=shapes" in told
    with locked(folder):
        assert main(["info", str(folder)]) == 0
        assert f"process {os.getpid()} is making the rest now" in capsys.readouterr().out


def test_the_command_of_an_unfinished_dataset_finishes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two shards gone, one cut: they are named, and what is told to be run makes them again."""
    folder = tmp_path / "a folder"
    made = config.load("shapes", ["frames=12", "output.frames_per_shard=2", "workers=1", "image.width=32"])
    made.out = str(folder)
    render(made, open_source=FakeSource)
    shards = sorted((folder / "shards").iterdir())
    with Dataset(folder) as data:
        before = [frame.images["rgb"] for frame in data]
    shards[1].unlink()
    shards[2].unlink()
    os.truncate(shards[5], 100)
    assert main(["info", str(folder), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["missing"] == [[2, 5], [10, 11]]
    assert facts["damaged"] == [f"shards/{shards[k].name}" for k in (1, 2, 5)]
    assert (facts["frames_done"], facts["shards_done"], facts["writer"]) == (6, 3, "")
    simgen, name, *words = shlex.split(facts["command"])
    assert (simgen, name) == ("simgen", "render")
    assert f"out={folder}" in words
    again = config.load("shapes", words)
    render(again, open_source=FakeSource)
    with Dataset(folder) as data:
        np.testing.assert_array_equal([frame.images["rgb"] for frame in data], before)


def test_info_of_targets_and_balance(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "asked.yaml"
    file.write_text(
        "defaults: [shapes, _self_]\n"
        "targets: {far: {share: 0.5, where: {distance: [0.1, 5]}}}\n"
        "require: {some: {where: {px_visib: [1, null]}}}\n"
        "objects: {shapes: {shares: {box: 0.4}}}\n"
    )
    small = ["image.width=48", "image.height=32", "frames=8", "workers=1", "scene.cameras.main.views=4"]
    render(config.load(file, [*small, f"out={tmp_path / 'd'}"]))
    assert main(["info", str(tmp_path / "d"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["complete"] is True
    assert facts["targets"]["far"] == {"share": 0.5, "frames": 4, "met": 4, "share_met": 0.5, "takes": 4}
    assert facts["required"]["met"] == facts["required"]["frames"] == 8
    assert sum(c["share"] for c in facts["categories"]) == pytest.approx(1)
    assert {c["name"]: c.get("asked") for c in facts["categories"]}["box"] == 0.4
    counts = np.array([c["objects"] for c in facts["categories"] if c["objects"]])
    p = counts / counts.sum()
    assert facts["even_categories"] == pytest.approx(float(np.exp(stats.entropy(p))))
    assert {"camera/radius", "sensor/exposure"} <= {f"{c['factor']}/{c['name']}" for c in facts["coverage"]}
    assert main(["info", str(tmp_path / "d")]) == 0
    told = capsys.readouterr().out
    assert "8 of 8 frames are as required" in told
    assert "of 40.0% asked of its group" in told
    assert "camera/radius" in told

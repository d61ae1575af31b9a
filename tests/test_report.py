"""Dataset cards: what stands in them is true, and they are pages that open anywhere."""

from __future__ import annotations

import base64
import json
import re
import shlex
import shutil
import xml.etree.ElementTree as ElementTree
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import learn_data
import numpy as np
import pytest
from analytic_scenes import CATEGORIES
from analytic_scenes import write_dataset as write_analytic
from browser import shown
from scipy.stats import poisson

from simgen.cli import view as commands
from simgen.config import load, to_plain
from simgen.errors import DatasetError
from simgen.shards.manifest import load as load_manifest
from simgen.shards.reader import Dataset
from simgen.view import charts
from simgen.view.checks import check_draws, check_files, check_images, check_tables, poisson_tail, thin_bins
from simgen.view.licences import licences
from simgen.view.recipe import command
from simgen.view.report import _frames, report, write
from simgen.view.survey import Frames, choose_scenes, survey
from simgen.view.variables import Variable, coverage, histogram, variables, word_counts

VOID = {"meta", "link", "img", "br"}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return learn_data.write_dataset(tmp_path_factory.mktemp("report") / "fake", 28)


@pytest.fixture(scope="module")
def analytic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_analytic(tmp_path_factory.mktemp("report") / "analytic")


@pytest.fixture(scope="module")
def card(analytic: Path) -> str:
    return report(analytic).html


class Page(HTMLParser):
    """Collects what a page refers to, and fails on tags that are not closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.tags: Counter[str] = Counter()
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        for name, value in attrs:
            if name == "id":
                self.ids.append(str(value))
            if name in ("src", "href", "srcset", "data", "action"):
                self.references.append(str(value))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_stands_alone(card: str) -> None:
    page = Page(card)
    assert page.tags["script"] == 0
    assert not re.search(r"@import|url\(", card)
    for reference in page.references:
        assert reference.startswith(("#", "data:")), reference
    assert {r[1:] for r in page.references if r.startswith("#")} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert len(card) < 5_000_000
    pictures = [r for r in page.references if r.startswith("data:image")]
    assert len(pictures) > 10
    for picture in pictures:
        data = base64.b64decode(picture.partition("base64,")[2])
        assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) is not None


def test_classes_are_counted_as_the_reader_has_them(analytic: Path, card: str) -> None:
    seen, all_ = Counter[int](), Counter[int]()
    with Dataset(analytic) as data:
        for n in range(len(data)):
            table = data.objects(n)
            all_.update(table.category_id.tolist())
            seen.update(table.category_id[table.px_visib > 0].tolist())
    for category in CATEGORIES:
        assert f"{seen[category.id]:,}  of {all_[category.id]:,}" in card


def test_names_are_escaped(tmp_path: Path, dataset: Path) -> None:
    folder = tmp_path / "a <b> & c"
    folder.symlink_to(dataset, target_is_directory=True)
    manifest = load_manifest(dataset)
    manifest.categories[0] = type(manifest.categories[0])(1, "<script>alert(1)</script>")
    copy = tmp_path / "copy <i>"
    copy.mkdir()
    (copy / "shards").symlink_to(dataset / "shards", target_is_directory=True)
    from simgen.shards.manifest import save

    save(copy, manifest)
    html = report(copy).html
    assert Page(html).tags["script"] == 0
    assert "copy &lt;i&gt;" in html


def test_a_sound_dataset_has_no_problems_and_a_harmed_one_has(analytic: Path, tmp_path: Path) -> None:
    found = survey(analytic)
    checks = [*check_files(analytic, found), *check_tables(found), *check_images(analytic, found)[0]]
    assert [c for c in checks if c.state == "problem"] == []
    copy = tmp_path / "d"
    shutil.copytree(analytic, copy)
    shard = sorted((copy / "shards").glob("*.h5"))[-1]
    with shard.open("ab") as file:
        file.write(b"more")
    (problem,) = check_files(copy, found)
    assert problem.state == "problem"
    assert shard.name in problem.what


def test_labels_that_disagree_with_images_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = learn_data.make_frame

    def shifted(*args: Any) -> Any:
        frame = make(*args)
        if frame.index == 9:
            frame.images["instance"] = np.roll(frame.images["instance"], 3, axis=1)
            frame.images["depth"] = np.zeros_like(frame.images["depth"])
        if frame.index == 14:
            frame.objects.px_visib[:] = 100_000
        return frame

    monkeypatch.setattr(learn_data, "make_frame", shifted)
    folder = learn_data.write_dataset(tmp_path / "d", 20, seed=1)
    found = survey(folder)
    with Dataset(folder) as data:
        assert len(data.objects(9).body)
        assert len(data.objects(14).body)
    problems = {c.name: c.what for c in check_images(folder, found)[0] if c.state == "problem"}
    assert "cannot be read" in problems["Full masks"]  # those of this dataset are random bytes
    assert "frame 9" in problems["Boxes and pixel counts"]
    assert "frame 9" in problems["Depth"]
    (tables,) = [c for c in check_tables(found) if c.state == "problem"]
    assert "more pixels than their box" in tables.what


def test_blank_and_repeated_pictures_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = learn_data.make_frame

    def grey(*args: Any) -> Any:
        frame = make(*args)
        frame.images["rgb"][:] = 128
        return frame

    monkeypatch.setattr(learn_data, "make_frame", grey)
    folder = learn_data.write_dataset(tmp_path / "d", 8)
    told = {c.name: c for c in check_images(folder, survey(folder))[0]}
    assert told["Pictures"].state == "problem"
    assert told["Pictures"].what.startswith("8 of 8 are blank")
    assert told["Repetition"].what.startswith("7 of 8")


def test_boxes_are_not_promised_where_there_is_no_colour_to_draw_them_on(dataset: Path) -> None:
    found = survey(dataset)
    assert "with the boxes of what is visible" in _frames(found, "")
    found.manifest.passes.remove("rgb")
    assert "Spread evenly over the dataset.<" in _frames(found, "")


def test_large_datasets_are_sampled_by_whole_scenes(dataset: Path) -> None:
    manifest = load_manifest(dataset)
    manifest.frames = 4_000_000
    chosen = choose_scenes(manifest, 20_000)
    assert len(chosen) == 5_000
    assert (chosen[0], chosen[-1]) == (0, 999_999)
    found = survey(dataset, most=8)
    assert found.frames.scene.tolist() == [0] * 4 + [6] * 4
    assert not found.whole
    assert "8 frames, spread evenly" in report(dataset, most=8).html


def frames_of(
    draws: list[dict[str, dict[str, Any]]], per_scene: int = 2, cameras: tuple[str, ...] = ("main",)
) -> Frames:
    n = len(draws)
    k = np.arange(n)
    names = [cameras[i % len(cameras)] for i in range(n)]
    return Frames(k, k // per_scene, k % per_scene, np.zeros(n), names, np.zeros(n, int), np.zeros(n, int), draws)


def config_of(**scene: Any) -> dict[str, Any]:
    return {"scene": scene, "randomize": {"lighting": {"enabled": True, "strength": 1.0}}}


UNIFORM = {"dist": "uniform", "low": 2.0, "high": 6.0}


def lighting(values: list[float], per_scene: int = 1, strength: float = 1.0) -> Variable:
    config = config_of(lights={"distance": UNIFORM})
    config["randomize"]["lighting"]["strength"] = strength
    draws = [{"lighting": {"distance": v}} for v in values]
    (found,) = variables(frames_of(draws, per_scene), config)
    return found


def test_draws_are_held_against_what_was_asked_for() -> None:
    values = np.linspace(2, 6, 240).tolist()
    found = lighting(values)
    bins = histogram(found)
    assert (found.kind, found.per, found.unit) == ("number", "frame", "m")
    np.testing.assert_allclose(bins.edges[[0, -1]], [2, 6])
    np.testing.assert_allclose(bins.counts, 20, atol=1)
    assert bins.expected is not None
    np.testing.assert_allclose(bins.expected, 20, atol=0.2)
    assert thin_bins(found) == []
    assert coverage(bins.expected, bins.counts) == 1.0


def test_a_gap_is_told_and_chance_is_not() -> None:
    rng = np.random.default_rng(0)
    alarms = sum(bool(thin_bins(lighting(rng.uniform(2, 6, 240).tolist()))) for _ in range(40))
    assert alarms <= 3
    gap = rng.uniform(2, 6, 240)
    gap = gap[(gap < 3) | (gap > 4)]
    found = lighting(gap.tolist())
    bins = histogram(found)
    assert thin_bins(found) == [3, 4, 5]
    assert coverage(bins.expected, bins.counts) == pytest.approx(0.75, abs=0.01)
    (check,) = [c for c in check_draws([found]) if c.state == "warning"]
    assert check.name == "lighting: distance"
    assert "3 to 3.33 (0 of" in check.what


def test_strength_narrows_what_is_expected_and_what_is_outside_is_told() -> None:
    found = lighting([2.1, 3.5, 4.0, 4.5], strength=0.5)
    bins = histogram(found)
    np.testing.assert_allclose(bins.edges[[0, -1]], [3, 5])
    assert bins.outside == 1
    assert any("outside the range" in c.what for c in check_draws([found]))


def test_a_draw_that_frames_share_counts_once() -> None:
    assert lighting([2.0, 2.0, 5.0, 5.0], per_scene=2).values == (2.0, 5.0)
    assert lighting([2.0, 2.0, 5.0, 5.0], per_scene=2).per == "scene"
    assert lighting([2.0, 2.5, 5.0, 5.0], per_scene=2).per == "frame"


def test_lists_are_pooled_and_vectors_left_out() -> None:
    draws = [
        {"lighting": {"distance": [2.0, 3.0, None], "direction": [0.0, 0.0, 1.0], "noise_seed": 5}},
        {"lighting": {"distance": [4.0], "direction": [0.0, 1.0, 0.0], "noise_seed": 6}},
    ]
    found = variables(frames_of(draws, 1), config_of(lights={"distance": UNIFORM, "direction": [0.0, 0.0, 1.0]}))
    assert [(v.name, v.values, v.per) for v in found] == [("distance", (2.0, 3.0, 4.0), "item")]
    assert found[0].by_frame == (None, 4.0)


def test_cameras_that_draw_differently_are_told_apart() -> None:
    draws = [{"camera": {"hfov_deg": v}} for v in (50.0, 90.0, 52.0, 91.0)]
    hfov = {"dist": "uniform", "low": 45, "high": 55}
    config = config_of(cameras={"a": {"hfov_deg": hfov}, "b": {"hfov_deg": 90}})
    narrow, wide = variables(frames_of(draws, 2, ("a", "b")), config)
    assert (narrow.camera, narrow.values, wide.values) == ("a", (50.0, 52.0), (90.0, 91.0))
    assert max(narrow.asked or ()) <= 55
    assert wide.asked == ()
    assert narrow.told(50.0) == "50\N{DEGREE SIGN}"


def test_words_are_counted_with_those_that_never_came() -> None:
    config = config_of(lights={"kind": {"dist": "choice", "values": ["area", "spot", "point"], "weights": [2, 1, 1]}})
    draws = [{"lighting": {"kind": "area" if k % 4 else "spot"}} for k in range(80)]
    (found,) = variables(frames_of(draws, 1), config)
    counts = word_counts(found)
    assert [(word, n) for word, (n, _) in counts.items()] == [("area", 60), ("spot", 20), ("point", 0)]
    assert [e for _, e in counts.values()] == pytest.approx([40, 20, 20], abs=2)
    assert any("point" in c.what for c in check_draws([found]))


@pytest.mark.parametrize("expected", [0.3, 4.0, 25.0])
def test_the_tail_is_that_of_the_poisson_distribution(expected: float) -> None:
    for count in (0, 1, 7, 30):
        assert poisson_tail(count, expected) == pytest.approx(float(poisson.cdf(count, expected)))


def test_logarithmic_draws_have_logarithmic_bins() -> None:
    config = config_of(lights={"distance": {"dist": "log_uniform", "low": 0.01, "high": 1.0}})
    draws = [{"lighting": {"distance": v}} for v in np.geomspace(0.01, 1, 120).tolist()]
    (found,) = variables(frames_of(draws, 1), config)
    bins = histogram(found)
    np.testing.assert_allclose(bins.edges[1:] / bins.edges[:-1], 100 ** (1 / 12), rtol=1e-3)
    np.testing.assert_allclose(bins.counts, 10, atol=1)


def test_every_chart_is_well_formed_and_bars_are_as_high_as_counts() -> None:
    svg = charts.bars([0, 1, 2, 3], [2, 0, 4], "x < y, m", expected=[2, 2, 2], flagged=[1])
    tree = ElementTree.fromstring(svg)
    bars = [float(r.get("height", "")) for r in tree.iter("rect") if r.get("class") == "bar"]
    assert bars[0] == pytest.approx(bars[2] / 2, abs=0.1)
    assert bars[1] == 0
    assert sum(r.get("class") == "flag" for r in tree.iter("rect")) == 1
    for svg in (
        charts.heat(np.eye(3), (0, 30), (0, 30), ("x", "y"), aspect=1, title="t"),
        charts.lines({"a": (np.arange(3.0), np.array([1, np.nan, 2])), "b": (np.zeros(1), np.zeros(1))}, ("t", "m")),
        charts.bars([1, 10, 100, 1000], [1, 2, 3], "log", logarithmic=True),
        charts.bars([5, 6], [3], "one"),
    ):
        ElementTree.fromstring(svg)


def test_licences_are_read_and_never_guessed(tmp_path: Path) -> None:
    root = tmp_path / "pack"
    for folder in ("mugs/red", "silent", "own/deep"):
        (root / folder).mkdir(parents=True)
    (root / "README.md").write_text(
        "# Pack\n| folder | licence |\n| `mugs/` | Potters Inc., CC BY 4.0 |\n| `x/` | GPL |\n"
    )
    (root / "own" / "LICENSE.txt").write_text("Permission is hereby granted, free of charge, to any person ...")
    used = {
        "asset": Counter(
            [
                *("mugs/red/mug", "silent/box", "own/deep/thing", "primitive/box", "gone/it"),
                *("plate/mugs/photo@corner=0.1", "road_sign/disc-up_0"),
            ]
        ),
        "texture": Counter(["generated/wood"]),
    }
    found = {entry.source: entry for entry in licences(used, [root])}
    assert found["mugs/"].licence == "CC BY 4.0"
    assert found["mugs/"].names == ("mugs/red/mug", "plate/mugs/photo@corner=0.1")
    assert found["road_sign/ (computed)"].licence == "none needed"
    assert "Potters" in found["mugs/"].evidence
    assert found["silent/"].licence == "unknown"
    assert found["own/"].licence == "MIT"
    assert found["gone/"].licence == "unknown"
    assert found["primitive/ (computed)"].licence == "none needed"
    assert [entry.licence for entry in licences(used, [root])][:2] == ["unknown", "unknown"]


def test_the_command_gives_the_same_configuration(dataset: Path) -> None:
    manifest = load_manifest(dataset)
    overrides = ["image.width=99", "scene.cameras.main.radius.low=0.5", "passes=[rgb,depth]", "assets.path=['/a b/c']"]
    overrides += ["randomize.lighting.strength=0.5", "seed=7", "frames=33", "scene.lights.kind.weights=[1,1,1,1]"]
    overrides += [
        "scene.objects.household.assets=['y*/m ug']",
        "scene.cameras.main.target=[0,{dist: uniform, low: 0, high: 1},0]",
    ]
    manifest.config, manifest.seed, manifest.frames = to_plain(load("tabletop", overrides)), 7, 33
    line, whole = command(manifest)
    assert whole
    program, verb, scene, out, *rest = shlex.split(line)
    assert (program, verb, scene, out) == ("simgen", "render", "scene=tabletop", "out=DIR")
    assert to_plain(load("tabletop", rest)) == manifest.config


def test_a_scene_of_ones_own_is_to_be_saved_first(dataset: Path) -> None:
    manifest = load_manifest(dataset)
    assert command(manifest) == ("simgen render scene=scene.yaml out=DIR frames=28 seed=0", False)
    manifest.config = to_plain(load("tabletop"))
    manifest.config["scene"]["name"] = "mine"
    line, whole = command(manifest)
    assert not whole
    assert "scene=scene.yaml" in line
    assert "scene." not in line.replace("scene.yaml", "")


def test_the_file_is_written_or_a_sentence_says_why_not(dataset: Path, tmp_path: Path) -> None:
    file, made = write(dataset, tmp_path / "new" / "card.html")
    assert file.read_text(encoding="utf-8") == made.html
    (tmp_path / "file").write_text("")
    with pytest.raises(DatasetError, match="cannot write the report"):
        write(dataset, tmp_path / "file" / "card.html")


def test_the_command_prints_what_it_found(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import argparse

    parser = argparse.ArgumentParser()
    run = commands.report(parser)
    assert run(parser.parse_args([str(dataset), "--out", str(tmp_path / "r.html"), "--json"])) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["bytes"] == (tmp_path / "r.html").stat().st_size
    assert {"name", "state", "what"} == set(facts["checks"][0])


@pytest.mark.parametrize("width", [360, 1280])
def test_a_browser_shows_it_without_errors_or_sideways_scrolling(card: str, tmp_path: Path, width: int) -> None:
    page = shown(card, tmp_path, width)
    assert page.scroll_width <= width
    assert page.broken == 0
    assert page.images > 10

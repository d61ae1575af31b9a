"""Experiments as they run: resumed, scored, told; on images in memory, and once from meshes and photographs."""

from __future__ import annotations

import json
import math
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from browser import shown
from PIL import Image

pytest.importorskip("torch", reason="PyTorch is an optional part")

from sim2real_data import SQUARES, TINY, InMemory, ask, build, start

from simgen.cli.main import main
from simgen.errors import SimgenError
from simgen.evaluate.experiment import distances, plots, report, table
from simgen.evaluate.experiment.assemble import assemble
from simgen.evaluate.experiment.data import Turned, digest
from simgen.evaluate.experiment.failures import overlap, show
from simgen.evaluate.experiment.results import Line, Run, Score, TaskResults, difference, score
from simgen.evaluate.experiment.run import Runner
from simgen.evaluate.metrics.pose import Calibration
from simgen.learn import model as models
from simgen.learn.config import InputConfig
from simgen.learn.predictions import Classified, Detected
from simgen.learn.sample import Sample, objects

ALL = {"curve": (10,), "ablations": ("fixed_light", "no_augmentation"), "real_test": "more/test"}


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> InMemory:
    return InMemory(monkeypatch)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """An experiment with everything, two seeds of it."""
    with pytest.MonkeyPatch.context() as patch:
        InMemory(patch)
        runner = start(ask(tmp_path_factory.mktemp("finished") / "out", seeds=2, **ALL))
        runner.run()
    return runner


def plain(runner: Runner) -> dict[str, Any]:
    report.write(runner, assemble(runner), sections=())
    content: dict[str, Any] = json.loads((runner.request.out / "results.json").read_text())
    return content


def test_results_say_what_each_model_has_seen_and_how_it_was_chosen(finished: Runner) -> None:
    task = plain(finished)["tasks"]["find"]
    arms = task["arms"]
    assert set(arms) == {"synthetic", "real", "finetune_6", "mixed"}
    kinds = {name: [s["kind"] for s in arm["runs"][0]["sources"]] for name, arm in arms.items()}
    both = ["synthetic", "real"]
    assert kinds == {"synthetic": ["synthetic"], "real": ["real"], "finetune_6": both, "mixed": both}
    assert {run["images_seen"] for arm in arms.values() for run in arm["runs"]} == {4 * 4}
    assert {run["steps"] for arm in arms.values() for run in arm["runs"]} == {4}
    assert [run["seed"] for run in arms["real"]["runs"]] == [0, 1]
    assert arms["synthetic"]["runs"][0]["sources"] == [{"kind": "synthetic", "set": "data/full/seed0", "images": 16}]
    assert arms["finetune_6"]["runs"][0]["sources"][1]["images"] < 6
    assert arms["synthetic"]["runs"][0]["chosen_by"]["on"] == "synthetic images held out"
    assert arms["mixed"]["runs"][0]["chosen_by"]["on"] == "real images held out"
    others = [*task["curve"][:-1], *task["ablations"].values()]
    assert all(s["kind"] == "synthetic" for line in others for run in line["runs"] for s in run["sources"])
    assert set(arms["real"]["scores"]) == {"val", "test"}
    assert all(set(line["scores"]) == {"val"} for line in others)


def test_gaps_are_to_real_only_and_differences_to_everything(finished: Runner) -> None:
    task = plain(finished)["tasks"]["find"]
    value = {name: arm["scores"]["val"]["value"] for name, arm in task["arms"].items()}
    assert task["reference"] == "real"
    assert "val" not in task["arms"]["real"]["gap"]
    for name in ("synthetic", "finetune_6", "mixed"):
        assert task["arms"][name]["gap"]["val"]["value"] == pytest.approx(value[name] - value["real"], abs=1e-12)
    ablations = task["ablations"]
    assert list(ablations) == ["everything", "fixed_light", "no_augmentation"]
    expected = ablations["fixed_light"]["scores"]["val"]["value"] - ablations["everything"]["scores"]["val"]["value"]
    assert ablations["fixed_light"]["difference"]["val"]["value"] == pytest.approx(expected, abs=1e-12)
    assert [entry["frames"] for entry in task["curve"]] == [10, 20]


def test_ranks_are_of_the_sets_that_differ_not_of_trainings_on_the_same_one(
    finished: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distances, "LEAST_SETS", 2)
    monkeypatch.setattr(distances, "spearmanr", lambda values, scores: (1.0, float(len(values))))
    task = assemble(finished).tasks[0]
    lines = [replace(line, scores={"val": scored(0.1 * k, 0, 1)}) for k, line in enumerate(task.ablations)]
    told = distances._task(finished, replace(task, ablations=lines))
    assert told is not None
    # everything and fixed_light, but not no_augmentation, which learns from the images of everything
    assert {(row["sets"], row["p"]) for row in told[1]} == {(2, 2.0)}


def test_what_is_finished_is_not_done_again(finished: Runner, memory: InMemory) -> None:
    out = finished.request.out
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file() and path.name != ".lock"}
    runner = start(ask(out, seeds=2, **ALL))
    runner.run()
    after = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file() and path.name != ".lock"}
    changed = {path.name for path in after if before.get(path) != after[path]}
    assert changed <= {"experiment.json"}
    assert memory.rendered == []
    assert plain(runner)["tasks"] == plain(finished)["tasks"]


def test_an_interrupted_experiment_goes_on_to_the_same_figures(
    finished: Runner, memory: InMemory, tmp_path: Path
) -> None:
    seen = []

    class _StoppedError(Exception):
        pass

    def stop(stage: Any) -> None:
        seen.append(stage.what)
        if "mixed" in stage.what and "score" in stage.what:
            raise _StoppedError

    runner = start(ask(tmp_path, arms=("synthetic", "mixed")))
    runner._tell = stop
    with pytest.raises(_StoppedError):
        runner.run()
    assert (runner.score_file(runner.plan.trainings[0], "val")).is_file()
    again = start(ask(tmp_path, arms=("synthetic", "mixed")))
    again.run()
    figures = {t.name: run.scores["val"] for t, run in again.runs.items()}
    whole = {t.name: run.scores["val"] for t, run in finished.runs.items() if t.seed == 0}
    assert figures["synthetic"] == whole["synthetic"]
    assert figures["mixed"] == whole["mixed"]


def test_a_model_of_another_task_is_not_taken_for_one_of_this(memory: InMemory, tmp_path: Path) -> None:
    runner = start(ask(tmp_path, arms=("synthetic",)))
    runner.run()
    training = runner.plan.arms["find", "synthetic", 0]
    other = models.create(
        "classify", ["red", "green", "blue"], InputConfig(64, 64, normalize="image"), 16, "azimuth", 0
    )
    other.save(runner.model_file(training))
    shutil.rmtree(tmp_path / "scores")
    with pytest.raises(SimgenError, match="is a model of the task classify, not detect"):
        start(ask(tmp_path, arms=("synthetic",))).run()


def test_another_run_at_work_is_noticed(memory: InMemory, tmp_path: Path) -> None:
    import fcntl

    tmp_path.joinpath(".lock").write_text("12345")
    with (tmp_path / ".lock").open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(SimgenError, match=r"another run .process 12345. is writing"):
            start(ask(tmp_path)).run()


def test_without_real_images_there_is_no_real_score(memory: InMemory, tmp_path: Path) -> None:
    runner = start(ask(tmp_path, real_root="", arms=("synthetic",), curve=(10,), ablations=("fixed_light",)))
    runner.run()
    results = assemble(runner)
    assert "No real score" in table.text(results)
    page = report.html(runner, results)
    assert "no real score" in page
    assert plain(runner)["tasks"]["find"]["arms"]["synthetic"]["scores"] == {}
    assert not any("photos" in folder for folder in memory.opened)


def test_checkpoints_may_be_chosen_on_real_val_images(memory: InMemory, tmp_path: Path) -> None:
    tasks = {"find": {**SQUARES["tasks"]["find"], "selection": "real_val"}}
    runner = start(ask(tmp_path, build(tasks=tasks), arms=("synthetic", "real")))
    runner.run()
    for training in runner.plan.trainings:
        run = runner.runs[training]
        assert run.chosen_by["on"] == "real val"
        assert run.chosen_by["value"] == pytest.approx(run.scores["val"]["AP50"]["value"])
        assert run.sources[0]["images"] == 20  # nothing is held out
    assert "flatters" in report.html(runner, assemble(runner))


def test_measured_azimuths_are_learnt_in_the_frame_of_the_mesh(memory: InMemory, tmp_path: Path) -> None:
    tasks = {"face": {"task": "pose", "classes": ["arrow"], "real_held_out": 0.25}}
    train = {**TINY, "steps": 60, "batch": 16, "lr": 4e-3, "network_width": 32, "augment": {"strength": 0}}
    train["input"] = {"height": 32}
    budgets = {"smoke": {"frames": 24, "train": {"face": train}}}
    runner = start(ask(tmp_path, build(tasks=tasks, budgets=budgets), arms=("synthetic", "mixed")))
    runner.run()
    mixed = runner.plan.arms["face", "mixed", 0]
    found = runner._turn(mixed)
    assert found is not None
    assert found.direction == -1
    assert abs(math.remainder(found.offset - 0.7, 2 * math.pi)) < 0.5
    real, raw = runner.data.learnt(mixed, Calibration(0.7, -1))[0], runner.data.real("face", "train")
    assert raw is not None
    turned = Turned(raw, Calibration(0.7, -1), "turned")
    for k in range(len(raw)):
        measured = raw.objects(k).azimuth
        np.testing.assert_allclose(np.cos(turned.objects(k).azimuth - (0.7 - measured)), 1)
        np.testing.assert_allclose(turned[k].objects.azimuth, turned.objects(k).azimuth)
    assert len(real) == 24 - 2 + 24 - 6  # pairs of images are held out
    assert runner.runs[mixed].scores["val"]["median_deg"]["value"] < 60  # 90 is chance
    assert assemble(runner).tasks[0].calibrate == "real_train"


def run_of(seed: int, value: float, draws: list[float]) -> Run:
    return Run(seed, "", 1, 1, 0.0, [], {}, {"val": {"top1": {"value": value}}}, {"val": draws})


def test_scores_over_seeds_and_paired_differences() -> None:
    a = [run_of(0, 0.8, [0.7, 0.9, 0.8]), run_of(1, 0.6, [0.5, 0.7, 0.6])]
    b = [run_of(0, 0.5, [0.4, 0.6, 0.5]), run_of(1, 0.5, [0.4, 0.6, 0.5]), run_of(2, 0.9, [0.9, 0.9, 0.9])]
    over = score(a, "val", "top1")
    assert over is not None
    assert (over.value, over.seeds) == (pytest.approx(0.7), 2)
    assert over.spread == pytest.approx(math.sqrt(0.02))
    assert (over.low, over.high) == (pytest.approx(0.605), pytest.approx(0.795))  # of 0.6, 0.7, 0.8
    # Whatever the images, a is better by 0.2: paired, the difference has no spread over images.
    gap = difference(a, b, "val", "top1")
    assert gap is not None
    assert (gap.value, gap.low, gap.high) == (pytest.approx(0.2), pytest.approx(0.2), pytest.approx(0.2))
    assert gap.spread == pytest.approx(math.sqrt(0.02))
    assert difference(a, [], "val", "top1") is None
    assert score([], "val", "top1") is None


def test_intervals_of_the_same_images_are_of_the_same_draws(finished: Runner) -> None:
    """Two models that answer alike differ by exactly nothing, whatever images are drawn."""
    runs = [finished.runs[finished.plan.arms["find", "real", 0]]] * 2
    gap = difference(runs[:1], runs[1:], "val", "AP50")
    assert gap is not None
    assert (gap.value, gap.low, gap.high) == (0, 0, 0)


def test_a_digest_changes_with_the_labels_only(memory: InMemory, tmp_path: Path) -> None:
    a, b = (start(ask(tmp_path / str(k))).data.real("find", "val") for k in range(2))
    assert a is not None
    assert b is not None
    assert digest(a) == digest(b)
    changed = b.samples[3].objects.labels  # type: ignore[attr-defined]
    changed[0] = (changed[0] + 1) % 3
    assert digest(a) != digest(b)


def test_tables_leave_out_what_is_empty_and_say_whether_the_goal_is_reached(finished: Runner) -> None:
    text = table.text(assemble(finished))
    lines = text.splitlines()
    head = next(line for line in lines if line.startswith("arm "))
    assert re.split(r"  +", head) == [
        "arm", "real val", "95 % interval", "seeds", "gap to real only", "95 % interval", "learnt from",
    ]  # fmt: skip
    assert any("real test" in line for line in lines)
    assert "goal 0.900 for synthetic: missed" in text
    assert "fixed_light" in text
    told = [table.signed(value) for value in (0.25, -0.25, -1e-6, 1e-6, 0.0, 12.34, math.nan)]
    assert told == ["+0.250", "\N{MINUS SIGN}0.250", "0.000", "0.000", "0.000", "+12.3", "-"]
    assert table.aligned([["a", "b", "c"], ["1", "", "22"]]) == "a  c\n1  22"


def scored(value: float, low: float, high: float) -> Score:
    return Score(value, low, high, math.nan, 1)


def numbers(svg: str, pattern: str) -> list[float]:
    return [float(x) for x in re.findall(pattern, svg)]


def test_charts_are_valid_and_put_values_in_order() -> None:
    rows = [plots.Interval(n, scored(v, v - 0.1, v + 0.1)) for n, v in (("a<b", 0.2), ("b", 0.5), ("c", 0.8))]
    svg = plots.forest(rows, "top1", against=0.5, goal=0.9)
    ElementTree.fromstring(svg)
    places = numbers(svg, r'class="dot" cx="([\d.]+)"')
    assert places == sorted(places)
    assert places[1] == pytest.approx(numbers(svg, r'class="against" d="M([\d.]+)')[0])
    assert places[2] < numbers(svg, r'class="goal" d="M([\d.]+)')[0]
    assert places[2] - places[1] == pytest.approx(places[1] - places[0], abs=0.2)
    svg = plots.curve(
        [(100, scored(0.2, 0.1, 0.3)), (1000, scored(0.5, 0.4, 0.6)), (10000, scored(0.6, 0.5, 0.7))], "AP"
    )
    ElementTree.fromstring(svg)
    places = numbers(svg, r'class="dot" cx="([\d.]+)"')
    assert places[1] - places[0] == pytest.approx(places[2] - places[1], abs=0.2)  # logarithmic
    heights = numbers(svg, r'class="dot" cx="[\d.]+" cy="([\d.]+)"')
    assert heights == sorted(heights, reverse=True)
    alone = ElementTree.fromstring(plots.alone(svg))
    assert alone.tag == "{http://www.w3.org/2000/svg}svg"


def test_plots_and_page_stand_alone(finished: Runner) -> None:
    plain(finished)
    out = finished.request.out
    assert {path.name for path in (out / "plots").iterdir()} == {
        "find_arms.svg", "find_curve.svg", "find_ablations.svg",
    }  # fmt: skip
    page = (out / "report.html").read_text()
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    assert "<script" not in page
    for name in ("synthetic", "finetune_6", "fixed_light", "data/full/seed1", "average precision, mean over"):
        assert name in page
    [classes] = re.findall(r"<table>(?:(?!</table>).)*<th>class</th>.*?</table>", page)
    assert all(f"<td>{name}</td>" in classes for name in ("red", "green", "blue"))
    assert page.count("<img") > 3


def test_pictures_of_failures_show_truth_and_prediction() -> None:
    image = np.full((90, 120, 3), 128, np.uint8)
    sample = Sample(image, objects([(10, 10, 40, 40), (70, 20, 30, 30)], [0, 1]), "x.png")
    found = Detected(np.array([[11, 11, 40, 40], [60, 60, 20, 20]], np.float32), np.array([0.9, 0.1], np.float32),
                     np.array([0, 1]))  # fmt: skip
    picture, caption = show(sample, found, ["cat", "dog"], {"threshold": 0.5})
    assert picture.shape == (270, 360, 3)
    assert caption == "2 objects, 1 found; 1 detections from 0.50 on"
    assert tuple(picture[60, 210]) == (64, 200, 120)  # the left side of the dog's box
    said = Classified(np.array([1]), np.array([[0.8, 0.2]], np.float32))
    assert show(sample, said, ["cat", "dog"], {})[1] == "is dog (20%), taken for cat (80%)"
    box = np.array([0, 0, 2, 2.0])
    np.testing.assert_allclose(overlap(box, np.array([[1, 0, 2, 2], [5, 5, 1, 1], [0, 0, 2, 2]])), [1 / 3, 0, 1])


def test_goals_are_reached_from_the_right_side() -> None:
    def task(larger: bool) -> TaskResults:
        line = Line("a", "", "synthetic", [], {})
        return TaskResults("t", "pose", "m", larger, 5.0, [], "held_out", "none", "", "a", [line], [], [], [])

    assert [table.reached(task(larger), scored(4, 3, 5)) for larger in (True, False)] == [False, True]
    assert table.reached(task(True), None) is None


# The command, from meshes and photographs.

CUBE = "".join(f"v {x} {y} {z}\n" for x in (-0.03, 0.03) for y in (-0.03, 0.03) for z in (-0.03, 0.03)) + (
    "f 1 2 4 3\nf 5 7 8 6\nf 1 5 6 2\nf 3 4 8 7\nf 1 3 7 5\nf 2 6 8 4\n"
)
TOWER = CUBE.replace(" 0.03\n", " 0.12\n")

SCENE = """\
about: parts on a bench
surfaces:
  bench: {kind: plane, size: [2, 2]}
objects:
  parts: {assets: [parts/*], count: 3, place: {kind: surface, onto: bench, region: [0.25, 0.25]}}
cameras:
  main: {views: 2, radius: 0.6, elevation_deg: 60, hfov_deg: 45}
"""

MY_EXPERIMENT = """\
about: parts on our bench
scene: bench.yaml
render: [image.width=64, image.height=64]
real: {train: train, val: val, mapping: {Würfel: cube, box: null}}
tasks:
  parts: {task: detect}
budgets:
  smoke:
    frames: 8
    train: {parts: {steps: 3, batch: 4, evaluations: 1, network_width: 16, input: {height: 64}}}
"""


def photographs(folder: Path, count: int = 6) -> Path:
    """A COCO folder with one box of each class in each picture."""
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(count)
    images, annotations = [], []
    for k in range(count):
        Image.fromarray(rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)).save(folder / "images" / f"{k}.jpg")
        images.append({"id": k, "file_name": f"{k}.jpg", "width": 64, "height": 48})
        for c in range(3):
            box = [4 + 18 * c, 10, 14, 20]
            annotations.append({"id": 3 * k + c, "image_id": k, "category_id": c + 1, "bbox": box, "iscrowd": 0})
    names = [{"id": 1, "name": "Würfel"}, {"id": 2, "name": "Tower"}, {"id": 3, "name": "box"}]
    content = {"images": images, "annotations": annotations, "categories": names}
    (folder / "annotations.json").write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder: meshes, a scene, an experiment, photographs."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "assets" / "parts").mkdir(parents=True)
    for name, mesh in (("cube", CUBE), ("tower", TOWER)):
        (folder / "assets" / "parts" / f"{name}.obj").write_text(mesh)
    (folder / "bench.yaml").write_text(SCENE)
    (folder / "parts.yaml").write_text(MY_EXPERIMENT)
    photographs(folder / "photos" / "train")
    photographs(folder / "photos" / "val", 5)
    return folder


def command(own: Path, out: Path, *more: str) -> list[str]:
    return [
        "sim2real", f"experiment={own / 'parts.yaml'}", "budget=smoke", f"real.root={own / 'photos'}", f"out={out}",
        f"assets.path=[{own / 'assets'}]", "workers=1", "threads=1", "device=cpu", "draws=10", *more,
    ]  # fmt: skip


def test_a_task_of_ones_own_needs_no_python(own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command(own, tmp_path / "out", "arms=[synthetic,real]")) == 0
    printed = capsys.readouterr()
    assert "parts, parts: AP50" in printed.out
    assert re.search(r"synthetic +\d\.\d{3}", printed.out)
    assert "real val: 5 objects skipped, their class is not wanted: box\n" in printed.err
    assert "no object of the classes" not in printed.err
    content = json.loads((tmp_path / "out" / "results.json").read_text())
    assert content["tasks"]["parts"]["classes"] == ["cube", "tower"]
    assert content["real"]["val"]["images"] == 5
    assert (tmp_path / "out" / "report.html").is_file()
    assert main(["verify", str(tmp_path / "out" / "data" / "full" / "seed0")]) == 0
    capsys.readouterr()
    assert main(command(own, tmp_path / "out", "arms=[synthetic,real]", "output=json")) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["tasks"] == content["tasks"]
    with pytest.raises(SystemExit, match="2"):
        main(command(own, tmp_path / "out", "experiment.budgets.smoke.frames=10"))
    assert "budgets.smoke.frames: 8 there, 10 now" in capsys.readouterr().err
    # What is trained already must not pass for models of a scene, or of meshes, that were edited since.
    edited = shutil.copytree(own, tmp_path / "edited")
    (edited / "bench.yaml").write_text(SCENE.replace("count: 3", "count: 2"))
    with pytest.raises(SystemExit, match="2"):
        main(command(edited, tmp_path / "out", "arms=[synthetic,real]"))
    assert "another configuration (scene.objects.parts.count: 3 -> 2)" in capsys.readouterr().err
    (edited / "bench.yaml").write_text(SCENE)
    (edited / "assets" / "parts" / "tower.obj").write_text(TOWER.replace("0.12", "0.13"))
    with pytest.raises(SystemExit, match="2"):
        main(command(edited, tmp_path / "out", "arms=[synthetic,real]"))
    assert re.search(r"another configuration \(assets below parts", capsys.readouterr().err)


def test_classes_that_no_photograph_shows_are_named(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mapping = "experiment.real.mapping={Tower: null}"
    assert main(command(own, tmp_path / "out", "arms=[synthetic]", mapping)) == 0
    told = "real val: no object of the classes tower; real.mapping in the experiment leads from real names to these\n"
    assert told in capsys.readouterr().err
    assert "Never in the real val images, and not counted: tower." in (tmp_path / "out" / "report.html").read_text()


def broken(own: Path, folder: Path, kind: str) -> Path:
    """A copy of the photographs with something wrong with val."""
    shutil.copytree(own / "photos", folder)
    file = folder / "val" / "annotations.json"
    content = json.loads(file.read_text())
    if kind == "no images":
        shutil.rmtree(folder / "val")
        (folder / "val").mkdir()
    elif kind == "no such folder":
        shutil.rmtree(folder / "val")
    elif kind == "other classes":
        for k, category in enumerate(content["categories"]):
            category["name"] = ["Würfel", "cat", "box"][k]
        content["annotations"] = [a for a in content["annotations"] if a["category_id"] == 2]
    elif kind == "strangers":
        for part in ("train", "val"):
            names = (folder / part / "annotations.json").read_text().replace("W\\u00fcrfel", "cat")
            (folder / part / "annotations.json").write_text(names.replace("Tower", "dog").replace('"box"', '"cow"'))
        return folder
    elif kind == "boxes outside":
        for annotation in content["annotations"]:
            annotation["bbox"] = [500, 500, 10, 10]
    elif kind == "corrupt":
        for image in (folder / "val" / "images").iterdir():
            image.write_bytes(image.read_bytes()[:300])
    elif kind == "empty":
        content["annotations"] = []
    elif kind == "damaged":
        file.write_text(file.read_text()[:-40])
    if file.exists() and kind != "damaged":
        file.write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("no images", "has no images"),
        ("no such folder", "there is no folder"),
        ("other classes", "no labelled object of the classes cube, tower"),
        ("boxes outside", "no labelled object of the classes cube, tower"),
        ("corrupt", r"has no image that can be used .*cannot be read"),
        ("empty", "no labelled object of the classes cube, tower"),
        ("strangers", r"do not match .*such as experiment\.real\.mapping=\{cat: cube\}"),
        ("damaged", "is not a valid COCO file"),
    ],
)
def test_bad_photographs_are_told_before_anything_is_rendered(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, message: str
) -> None:
    photos = broken(own, tmp_path / "photos", kind)
    arguments = [a if not a.startswith("real.root") else f"real.root={photos}" for a in command(own, tmp_path / "out")]
    if kind == "strangers":
        arguments.append("~experiment.real.mapping")
    with pytest.raises(SystemExit) as status:
        main(arguments)
    assert status.value.code == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert re.search(message, told[-1]), told
    assert told[-1].startswith("simgen: ")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["arms=[synthetik]"], r'.synthetik. is not in the experiment \(did you mean "synthetic"'),
        (["budget=smok"], r'budget: .smok. is not in the experiment \(did you mean "smoke"'),
        (["experiment.budgets.smoke.framse=3"], r'experiment.budgets.smoke.framse \(did you mean "frames"'),
        (["experiment.render=['image.widht=64']"], r'synthetic set full: .*image.widht \(did you mean "width"'),
        (["experiment.render=['frames=3']"], "is not for a list of render overrides"),
        (["curve=yes"], "curve must be true, false or a list"),
        (["real.root="], "need real images, and real.root is not given"),
        (["experiment.scene=tabeltop"], r'did you mean "tabletop"'),
        (["experiment.budgets.smoke.train.parts.input.height=70"], "input.height=70 does not suit detect"),
        (["+experiment.real.mapping.cat=cube"], "names a class 'cat'"),
        (["experiment.real.mapping={cat: cube}"], "names a class 'cat'"),
        (["out="], "out has no value"),
    ],
)
def test_mistakes_on_the_command_line_are_one_sentence(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    status: Any = None
    try:
        status = main(command(own, tmp_path / "out", *more))
    except SystemExit as stopped:
        status = stopped.code
    told = capsys.readouterr().err.strip().splitlines()
    assert status == 2
    assert re.search(message, told[-1]), told
    assert "Traceback" not in "".join(told)
    assert not (tmp_path / "out").exists()


def test_the_command_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "experiments", "--json"]) == 0
    assert {"signs", "dice", "cards", "sugar_box"} <= set(json.loads(capsys.readouterr().out))
    assert main(["sim2real", "--help"]) == 0
    assert "real.root=DIR" in capsys.readouterr().out
    assert main(["sim2real", "out=x"]) == 2
    assert "give experiment=my.yaml, or one of" in capsys.readouterr().err


@pytest.mark.parametrize("width", [360, 1280])
def test_a_browser_shows_it_without_errors_or_sideways_scrolling(finished: Runner, tmp_path: Path, width: int) -> None:
    page = shown(report.html(finished, assemble(finished)), tmp_path, width)
    assert page.scroll_width <= width
    assert page.broken == 0
    assert page.images > 3

"""``simgen export`` and ``simgen import`` as commands."""

from __future__ import annotations

import argparse
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from analytic_scenes import VIEWS, scenes, write_dataset

from simgen.cli import export as commands
from simgen.cli import progress as telling
from simgen.errors import DatasetError
from simgen.export import FORMATS

FRAMES = VIEWS * len(scenes())


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "d")


def call(command: Callable[[argparse.ArgumentParser], commands.Run], *arguments: object) -> int:
    parser = argparse.ArgumentParser(prog="simgen x")
    run = command(parser)
    return run(parser.parse_args([str(argument) for argument in arguments]))


def test_out_and_in_again(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shares = ("--split", "train:0.5,test:0.5", "--workers", 1)
    assert call(commands.export, dataset, "--format", "bop", "--out", tmp_path / "bop", *shares) == 0
    printed = capsys.readouterr().out
    assert f"{FRAMES} frames ({FRAMES // 2} train, {FRAMES // 2} test)" in printed
    assert "note: depth beyond 6.553 m is written as 0" in printed
    assert call(commands.import_, "bop", tmp_path / "bop", "--split", "test", "--out", tmp_path / "d", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["frames"], facts["notes"]) == (FRAMES // 2, [])
    assert call(commands.export, tmp_path / "d", "--format", "coco", "--out", tmp_path / "coco", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["frames"] == {"train": FRAMES // 2}
    index = tmp_path / "coco/annotations/instances_train.json"
    assert call(commands.import_, "coco", tmp_path / "coco/train", index, "--out", tmp_path / "e") == 0
    assert f"{FRAMES // 2} frames, {facts['objects']} objects." in capsys.readouterr().out


def test_options_arrive(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = "--format yolo --task segment --categories ball,brick --min-visib 0.5 --image-format jpeg --workers 1"
    assert call(commands.export, dataset, "--out", tmp_path / "o", *options.split()) == 0
    assert (tmp_path / "o/images/train/000000.jpg").exists()
    assert '1: "brick"' in (tmp_path / "o/data.yaml").read_text()
    with pytest.raises(DatasetError, match="coco"):
        call(commands.export, dataset, "--out", tmp_path / "p", "--format", "cocoa")


def test_the_lines_of_the_readme(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They hold for any dataset, also for one without named keypoints; only so few scenes are split otherwise."""
    monkeypatch.chdir(tmp_path)
    text = (Path(__file__).parents[1] / "README.md").read_text()
    lines = re.findall(r"^simgen export data (.*)$", text, re.MULTILINE)
    assert len(lines) == 2
    for line in lines:
        options = shlex.split(line.replace("train:0.9,val:0.1", "train:0.5,val:0.5"), comments=True)
        assert call(commands.export, dataset, *options, "--workers", 1) == 0
    assert (tmp_path / "yolo/data.yaml").exists()
    assert (tmp_path / "coco/annotations").is_dir()


def test_the_help_names_every_format(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        call(commands.export, "--help")
    text = capsys.readouterr().out
    assert all(name in text for name in FORMATS)
    with pytest.raises(SystemExit):
        call(commands.import_, "bop", "--help")


def test_progress_in_plain_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "_REPORT_EVERY", 0.0)
    with telling.progress("export", quiet=False) as tell:
        for done in (10, 40, 100):
            tell(done, 100)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == ["export: 40 of 100 frames", "export: 100 of 100 frames"]


def test_progress_on_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with telling.progress("export", quiet=False) as tell:
        for done in (10, 40, 100):
            tell(done, 100)
    assert "export" in capsys.readouterr().err

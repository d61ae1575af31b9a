"""Exports as a whole: division, continuing, refusing, and files that do not depend on the number of workers."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from analytic_scenes import VIEWS, scenes, write_dataset

from simgen.errors import DatasetError
from simgen.export import FORMATS, Exported, export
from simgen.export import run as running
from simgen.export.folder import STATE
from simgen.export.images import put
from simgen.export.pool import spread
from simgen.export.split import assign, parse_split
from simgen.shards import manifest as manifests
from simgen.shards.verify import verify

FRAMES = VIEWS * len(scenes())


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "d")


def contents(folder: Path) -> dict[str, str]:
    """Digest of every file of an export."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and STATE not in path.parts
    }


def test_the_test_scenes_are_right(dataset: Path) -> None:
    assert verify(dataset) == []


@pytest.mark.parametrize("name", FORMATS)
def test_same_files_with_any_number_of_workers(
    dataset: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "_UNIT", 3)
    split = "train:0.7,val:0.3"
    one = export(dataset, tmp_path / "one", name, split=split, workers=1, frames_per_tar=4)
    two = export(dataset, tmp_path / "two", name, split=split, workers=2, frames_per_tar=4)
    assert (one.frames, one.objects, one.notes) == (two.frames, two.objects, two.notes)
    expected = contents(tmp_path / "one")
    assert len(expected) > 5
    assert not any(file.endswith(".tmp") for file in expected)
    # VOC names the folder it is in.
    same = {file for file in expected if name != "voc" or not file.endswith(".xml")}
    found = contents(tmp_path / "two")
    assert set(found) == set(expected)
    assert {file: found[file] for file in same} == {file: expected[file] for file in same}


@pytest.mark.parametrize("name", FORMATS)
def test_an_export_that_was_cut_off_goes_on(
    dataset: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "_UNIT", 3)
    expected = export(dataset, tmp_path / "whole" / "out", name, workers=1, frames_per_tar=4)

    def pull_the_plug(done: int, total: int) -> None:
        if done > total / 3:
            raise ConnectionError

    out = tmp_path / "cut" / "out"
    with pytest.raises(ConnectionError):
        export(dataset, out, name, workers=1, frames_per_tar=4, progress=pull_the_plug)
    before = {file: (out / file).stat().st_mtime_ns for file in contents(out)}
    assert 0 < len(before) < len(contents(tmp_path / "whole" / "out"))
    seen: list[tuple[int, int]] = []
    again = export(dataset, out, name, workers=1, frames_per_tar=4, progress=lambda *at: seen.append(at))
    assert contents(out) == contents(tmp_path / "whole" / "out")
    assert all((out / file).stat().st_mtime_ns == stamp for file, stamp in before.items())
    assert 0 < again.made < FRAMES
    assert seen[0] == (FRAMES - again.made, FRAMES)
    assert seen[-1] == (FRAMES, FRAMES)
    assert (again.frames, again.objects, again.notes) == (expected.frames, expected.objects, expected.notes)
    assert export(dataset, out, name, workers=1, frames_per_tar=4).made == 0


def test_a_lost_file_is_made_again(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_UNIT", 3)
    export(dataset, tmp_path / "o", "yolo", workers=1)
    expected = contents(tmp_path / "o")
    (tmp_path / "o/labels/train/000007.txt").unlink()
    assert export(dataset, tmp_path / "o", "yolo", workers=1).made == 3
    assert contents(tmp_path / "o") == expected


def test_a_foreign_folder_is_left_alone(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(DatasetError, match=r"holds other files \(thesis.tex\)"):
        export(dataset, tmp_path, "coco", workers=1)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(DatasetError, match="is a file"):
        export(dataset, tmp_path / "thesis.tex", "coco", workers=1)


def test_another_export_is_not_mixed_in(dataset: Path, tmp_path: Path) -> None:
    export(dataset, tmp_path / "o", "voc", workers=1)
    expected = contents(tmp_path / "o")
    for name, change in (("yolo", {}), ("voc", {"min_visib": 0.5}), ("voc", {"split": "train:1"})):
        with pytest.raises(DatasetError, match=r"holds another export \(.*->"):
            export(dataset, tmp_path / "o", name, workers=1, **change)  # type: ignore[arg-type]
    assert contents(tmp_path / "o") == expected


def test_errors_are_sentences(dataset: Path, tmp_path: Path) -> None:
    def refused(match: str, format: str = "coco", **options: object) -> None:
        with pytest.raises(DatasetError, match=match):
            export(dataset, tmp_path / "o", format, workers=1, **options)  # type: ignore[arg-type]
        assert not (tmp_path / "o").exists()

    refused('no export format "coko" .did you mean "coco"', "coko")
    refused('no category "bal" .did you mean "ball"', categories=["bal"])
    refused("not a fraction", min_visib=1.5)
    refused("choose png or jpeg", image_format="gif")
    refused("JPEG quality 0", jpeg_quality=0)
    refused('no task "poze".*"pose"', "yolo", task="poze")
    refused("at least 1", "webdataset", frames_per_tar=0)
    refused("depth scale", "bop", depth_scale=0)
    refused('not understood at "val:many"', split="train:0.5,val:many")
    refused("add up to 1.5", split="train:0.8,val:0.7")
    refused('"val" would get none of the 10 scenes', split="train:0.99,val:0.01")
    refused("say where they are with --assets", "kitti", assets=[tmp_path / "nowhere"])


def test_a_missing_pass_is_told(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "d", ("rgb", "semantic"))
    for name, needed in (("coco", "instance"), ("bop", "depth")):
        with pytest.raises(DatasetError, match=f"no {needed} pass, which the {name} export needs"):
            export(data, tmp_path / "o", name, workers=1)
    with pytest.raises(DatasetError, match="no depth pass"):
        export(data, tmp_path / "o", "yolo", task="pose", workers=1)
    export(data, tmp_path / "o", "yolo", workers=1)


def test_assets_must_be_those_of_the_dataset(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "fake" / "primitive").mkdir(parents=True)
    cube = "v 0 0 0\nv 2 0 0\nv 0 2 0\nv 0 0 2\nf 1 3 2\nf 1 2 4\nf 2 3 4\nf 1 4 3\n"
    (tmp_path / "fake" / "primitive" / "box.obj").write_text(cube)
    with pytest.raises(DatasetError, match=r'"primitive/box" is not the one .* measures'):
        export(dataset, tmp_path / "o", "bop", assets=[tmp_path / "fake"], workers=1)


def test_an_incomplete_dataset_is_refused(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "d")
    manifest = manifests.load(data)
    manifest.shards[1].state = "pending"
    manifests.save(data, manifest)
    with pytest.raises(DatasetError, match="not complete"):
        export(data, tmp_path / "o", "coco", workers=1)


def test_selection_by_category_and_visibility(dataset: Path, tmp_path: Path) -> None:
    def annotations(name: str, **options: object) -> list[dict]:
        export(dataset, tmp_path / name, "coco", workers=1, **options)  # type: ignore[arg-type]
        return json.loads((tmp_path / name / "annotations/instances_train.json").read_text())["annotations"]

    everything = annotations("all")
    chosen = annotations("some", categories=["traffic sign", "ball"], min_visib=0.6)
    wanted = [a for a in everything if a["category_id"] in (1, 5) and a["visib_fract"] >= np.float32(0.6)]
    assert 0 < len(wanted) < len(everything)
    assert chosen == wanted  # ids included


def test_an_export_that_was_killed_goes_on(dataset: Path, tmp_path: Path) -> None:
    export(dataset, tmp_path / "whole", "webdataset", frames_per_tar=1, workers=1)
    code = (
        "import sys, time; from simgen.export import export\n"
        "export(sys.argv[1], sys.argv[2], 'webdataset', frames_per_tar=1, workers=1,"
        " progress=lambda *_: (print(flush=True), time.sleep(0.1)))"
    )
    command = [sys.executable, "-c", code, str(dataset), str(tmp_path / "cut")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(5):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    again = export(dataset, tmp_path / "cut", "webdataset", frames_per_tar=1, workers=1)
    assert 0 < again.made < FRAMES
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_a_worker_that_dies_is_told() -> None:
    with pytest.raises(DatasetError, match="a worker process died"):
        list(spread(os._exit, [3, 3, 3], 2))


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(DatasetError, match=r"cannot write .*: (Not a directory|File exists)"):
        put(tmp_path / "file" / "a.png", b"x")


class TestSplit:
    def test_views_of_a_scene_stay_together_and_shares_are_met(self, dataset: Path, tmp_path: Path) -> None:
        made: Exported = export(dataset, tmp_path / "o", "kitti", split="train:0.6,val:0.2,test:0.2", workers=1)
        assert made.frames == {"train": 12, "val": 4, "test": 4}
        scenes_of = {
            split: {int(stem) // VIEWS for stem in (tmp_path / f"o/ImageSets/{split}.txt").read_text().split()}
            for split in made.frames
        }
        assert sorted(s for some in scenes_of.values() for s in some) == list(range(10))
        assert (tmp_path / "o/testing/image_2").exists()

    def test_what_is_left_over_is_not_exported(self, dataset: Path, tmp_path: Path) -> None:
        made = export(dataset, tmp_path / "o", "voc", split="small:0.3", workers=1)
        assert made.frames == {"small": 6}
        assert len(list((tmp_path / "o/JPEGImages").iterdir())) == 6

    def test_division_depends_on_the_seed_and_nothing_else(self) -> None:
        shares = parse_split(" train : 0.5, val:0.5")
        scenes = list(range(100))
        first = assign(scenes, shares, 7)
        assert assign(scenes[::-1], shares, 7) == first
        assert assign(scenes, shares, 8) != first
        assert sum(name == "val" for name in first.values()) == 50
        # Pinned: an export of next year must divide as today's.
        assert [s for s in range(12) if first[s] == "train"] == [3, 4, 7, 8]

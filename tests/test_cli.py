"""The commands as users meet them: what they print, their exit status, and one sentence for each mistake."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from multiprocessing import forkserver
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from simgen.cli.application import overrides_first
from simgen.cli.main import main

SMALL = ["scene=shapes", "frames=4", "workers=1", "image.width=64", "image.height=48"]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cli") / "dataset"
    assert main(["render", *SMALL, f"out={out}", "seed=5"]) == 0
    return out


def test_a_dataset_is_whole_replays_and_can_be_looked_at(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(dataset)]) == 0
    assert main(["replay", str(dataset), "--frame", "3"]) == 0
    assert "identical" in capsys.readouterr().out
    assert main(["preview", str(dataset), "--frames", "0,2", "--out", str(dataset / "sheet.png")]) == 0
    with Image.open(dataset / "sheet.png") as sheet:
        assert sheet.width > 640


def test_verify_tells_how_far_it_is(
    dataset: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simgen.cli.progress._REPORT_EVERY", 0.0)
    assert main(["verify", str(dataset)]) == 0
    assert "verify: 1 of 2 shards, " in capsys.readouterr().err
    assert main(["verify", str(dataset), "--json"]) == 0
    assert capsys.readouterr().err == ""


def test_images_of_extreme_shapes_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files and films limit the height of pictures, which grows where a narrow image is shown larger."""
    for width, height in ((3, 1500), (1500, 3), (1, 1)):
        out = tmp_path / f"{width}x{height}"
        size = [f"image.width={width}", f"image.height={height}"]
        assert main(["render", "scene=shapes", "frames=1", "workers=1", *size, f"out={out}"]) == 0
        for name, end in (("preview", "png"), ("report", "html"), ("play", "gif"), ("play", "mp4")):
            file = tmp_path / f"{width}.{end}"
            assert main([name, str(out), "--out", str(file)]) == 0
            assert 0 < file.stat().st_size < 2_000_000
    assert "ERROR" not in capsys.readouterr().err


def test_info_counts_what_is_there(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(dataset), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["frames"] == 4
    assert facts["image"] == [64, 48]
    assert facts["seed"] == 5
    assert {"rgb", "depth", "instance", "semantic", "normal"} == set(facts["passes"])
    assert sum(c["objects"] for c in facts["categories"]) == pytest.approx(4 * facts["objects_per_frame"])
    assert main(["info", str(dataset)]) == 0
    assert "4 frames of 64x48" in capsys.readouterr().out


def test_rendering_again_keeps_what_is_there(dataset: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in dataset.glob("shards/*")}
    assert main(["render", *SMALL, f"out={dataset}", "seed=5"]) == 0
    assert before == {p: p.stat().st_mtime_ns for p in dataset.glob("shards/*")}


def test_a_damaged_dataset_is_noticed_and_repaired(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shard = sorted(dataset.glob("shards/*.h5"))[0]
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    assert main(["verify", str(dataset)]) == 1
    assert "checksum" in capsys.readouterr().out
    assert main(["render", *SMALL, f"out={dataset}", "seed=5"]) == 0
    assert main(["verify", str(dataset)]) == 0


@pytest.mark.parametrize("what", ["scenes", "assets", "textures", "environments", "factors", "renderers"])
def test_lists(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", what, "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    expected = {"scenes": "tabletop", "assets": "primitive/box", "factors": "lighting", "renderers": "raster"}
    assert expected.get(what) is None or expected[what] in listed


def test_doctor_finds_this_machine_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    findings = {finding["name"]: finding for finding in json.loads(capsys.readouterr().out)}
    assert findings["renderer raster"]["ok"]
    assert findings["renderer tiny"]["ok"]


def test_the_program_starts_with_no_more_than_it_needs() -> None:
    """So that it answers at once, and Ctrl-C during the imports of a command is told in one line as later on."""
    program = "import sys, simgen.cli.main; print(*sorted(set(sys.modules) & {'hydra', 'numpy', 'torch', 'h5py'}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_an_interrupted_start_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(importlib, "import_module", interrupted)
    assert main(["info", "d"]) == 130
    told = capsys.readouterr().err
    assert told.startswith("simgen: interrupted")
    assert told.count("\n") == 1


def test_help_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "simgen render scene=tabletop" in capsys.readouterr().out
    assert main(["render", "--help"]) == 0
    assert "assets.path" in capsys.readouterr().out


def fails(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    """The one sentence with which a command fails."""
    try:
        status = main(arguments)
    except SystemExit as end:
        status = int(end.code or 0)
    captured = capsys.readouterr()
    assert status == 2, captured
    lines = [line for line in captured.err.splitlines() if line.startswith("simgen: ")]
    assert len(lines) == 1, captured.err
    assert "Traceback" not in captured.err + captured.out
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["info"], ["simgen info: ", "dataset", "see simgen info --help"]),
        (["replay", "d"], ["--frame"]),
        (["replay", "d", "--frame", "x"], ["--frame", "'x'"]),
        (["info", "d", "--jason"], ["--jason", '"--json"']),
        (["list", "scnes"], ["scnes", "scenes"]),
        (["import", "voc"], ["voc", "coco"]),
        (["import", "bop", "d"], ["simgen import bop: ", "--split"]),
        (["bench", "data"], ["simgen bench data: ", "dataset"]),
        (["render", "scene=shapes", "--cgf", "job"], ["--cgf", '"--cfg"']),
        (["render", "scene=shapes", "--cfg", "jbo"], ["--cfg needs job, hydra, all, not 'jbo'"]),
        (["render", "scene=shapes", "--config-dir"], ["--config-dir needs a value"]),
        (["train", "task=detect", "--epochs", "3"], ["--epochs", "simgen train takes key=value"]),
    ],
)
def test_wrong_arguments_are_told_in_one_sentence(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: list[str]
) -> None:
    told = fails(capsys, arguments)
    assert all(word in told for word in words), told


def test_what_is_no_dataset_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "manifest.json").write_text('{"name": "an app"}')
    assert "has no schema" in fails(capsys, ["info", str(tmp_path)])
    assert "it is a file; give the folder" in fails(capsys, ["info", str(tmp_path / "manifest.json")])
    assert "does not exist" in fails(capsys, ["verify", str(tmp_path / "none")])


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["scene=tabeltop"], ["tabeltop", "tabletop"]),
        (["scene.camras.main.views=2"], ["camras", "cameras"]),
        (["frmes=3"], ["frmes", "frames"]),
        (["frames=many"], ["frames", "many"]),
        (["frames=0"], ["frames", "0"]),
        (["frames=-3"], ["frames", "-3"]),
        (["seed=-1"], ["seed", "-1"]),
        (["workers=0"], ["workers", "0"]),
        (["image.width=0"], ["image.width", "0"]),
        (["image.width=1000000"], ["image.width", "1000000"]),
        (["renderer=opengl"], ["opengl"]),
        (["passes=[rgb,dept]"], ["dept", "depth"]),
        (["randomize.lighting.strength=1.5"], ["randomize.lighting.strength", "1.5"]),
        (["randomize.lightning.strength=1"], ["lightning", "lighting"]),
        (["scene.cameras.main.radius.low=9"], ["scene.cameras.main.radius", "9"]),
        (["scene.cameras.main.radius=-1"], ["scene.cameras.main.radius", "-1"]),
        (["scene.cameras.main.radius=.nan"], ["scene.cameras.main.radius", "nan"]),
        (["scene.cameras.main.radius=1m"], ["scene.cameras.main.radius", "1m"]),
        (["scene.objects.shapes.count=-2"], ["scene.objects.shapes.count", "-2"]),
        (["scene.objects.shapes.assets=[nothing/*]", "scene.objects.shapes.fallback=[]"], ["nothing/*"]),
        (["output.compression=zip"], ["output.compression", "zip"]),
        (["assets.path=[/nonexistent/assets]"], ["/nonexistent/assets"]),
        (["renderer=tiny", "passes=[normal]"], ["tiny", "normal"]),
        (["renderer.device=cuda:7"], ["cuda:7"]),
    ],
)
def test_wrong_settings(
    overrides: list[str], words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    said = fails(capsys, ["render", "scene=shapes", "frames=2", "workers=1", f"out={out}", *overrides])
    for word in words:
        assert word in said
    assert not list(out.glob("shards/*"))


def test_no_place_to_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "out" in fails(capsys, ["render", *SMALL])
    file = tmp_path / "file"
    file.write_text("here already")
    assert str(file) in fails(capsys, ["render", *SMALL, f"out={file}"])
    assert file.read_text() == "here already"
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("do not touch")
    assert "full" in fails(capsys, ["render", *SMALL, f"out={tmp_path / 'full'}"])
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["thesis.txt"]


def test_settings_of_hydra_are_heard(tmp_path: Path) -> None:
    options = [f"hydra.run.dir={tmp_path / 'run'}", "hydra.output_subdir=said", "hydra.job.chdir=false"]
    assert main(["render", *SMALL, f"out={tmp_path / 'data'}", *options]) == 0
    assert (tmp_path / "run" / "said" / "overrides.yaml").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["scene=shapes", "--cfg", "job", "frames=3"],
        ["frames=3", "-c", "job", "scene=shapes", "--resolve"],
        ["--cfg=job", "scene=shapes", "frames=3"],
    ],
)
def test_flags_stand_anywhere_among_settings(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", *arguments]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert (shown["frames"], shown["scene"]["about"][:8]) == (3, "coloured")


def test_a_flag_keeps_its_value() -> None:
    arguments = ["--info", "defaults", "a=1", "-cd", "x", "b=2", "-m", "c=3", "--config-dir=y"]
    assert overrides_first(arguments) == [
        "a=1", "b=2", "c=3", "--info", "defaults", "-cd", "x", "-m", "--config-dir=y"
    ]  # fmt: skip


def test_flags_of_other_commands_stand_anywhere(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "task=detect", "--cfg", "job", "epochs=7"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert (shown["task"], shown["epochs"]) == ("detect", 7)


def test_no_place_for_sockets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_long() -> None:
        raise OSError("AF_UNIX path too long")

    monkeypatch.setattr(forkserver, "ensure_running", too_long)
    assert "nosuch" in fails(capsys, ["render", "scene=nosuch", f"out={tmp_path / 'd'}"])
    assert "TMPDIR" in fails(capsys, ["render", *SMALL, f"out={tmp_path / 'd'}"])


def test_another_configuration_is_shown_and_nothing_overwritten(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (dataset / "manifest.json").read_bytes()
    said = fails(capsys, ["render", *SMALL, f"out={dataset}", "seed=6", "scene.cameras.main.views=1"])
    assert "seed: 5 -> 6" in said
    assert "scene.cameras.main.views" in said
    assert (dataset / "manifest.json").read_bytes() == before


def broken(folder: Path, name: str, content: bytes) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


@pytest.mark.parametrize(
    ("name", "content", "overrides"),
    [
        ("things/cup.obj", b"this is not a mesh\n", []),
        ("things/cup.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n", []),
        ("things/cup.obj", b"v 0 0 0\nv nan 0 0\nv 0 1 0\nf 1 2 3\n", []),
        ("things/cup.urdf", b"<robot name='cup'><link", []),
        (
            "things/cup.urdf",
            b"<robot name='cup'><link name='a'><visual><geometry><mesh filename='gone.obj'/></geometry></visual>"
            b"</link></robot>",
            [],
        ),
        (
            "textures/wood/wood.png",
            b"GIF?",
            ["scene.objects.shapes.texture.probability=1", "scene.objects.shapes.texture.image_share=1"],
        ),
    ],
)
def test_broken_assets_are_named(
    name: str, content: bytes, overrides: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pack = tmp_path / "pack"
    broken(pack, name, content)
    objects = ["scene.objects.shapes.assets=[things/*]"] if name.startswith("things") else []
    said = fails(capsys, ["render", *SMALL, f"out={tmp_path / 'out'}", f"assets.path=[{pack}]", *objects, *overrides])
    assert Path(name).stem in said


def test_an_asset_path_that_may_not_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "not_a_folder"
    file.write_text("")
    assert "not_a_folder" in fails(capsys, ["render", *SMALL, f"out={tmp_path / 'out'}", f"assets.path=[{file}]"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rendr"], ["rendr", "render"]),
        (["info", "/nonexistent"], ["/nonexistent"]),
        (["verify", "/nonexistent"], ["/nonexistent"]),
        (["replay", "DATASET", "--frame", "99"], ["99", "3"]),
        (["preview", "DATASET", "--frames", "x"], ["--frames", "x"]),
        (["preview", "DATASET", "--frames", "0,77"], ["77"]),
        (["preview", "DATASET", "--panels", "dept"], ["dept", "depth"]),
        (["preview", "DATASET", "--out", "/nonexistent/sheet.png"], ["/nonexistent/sheet.png"]),
        (["bench", "--size", "big"], ["--size", "big"]),
    ],
)
def test_wrong_arguments(
    arguments: list[str], words: list[str], dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = fails(capsys, [str(dataset) if a == "DATASET" else a for a in arguments])
    for word in words:
        assert word in said


def test_the_python_api_computes_what_the_command_wrote(dataset: Path) -> None:
    import simgen

    config = simgen.load("shapes", [*SMALL[1:], "seed=5"])
    library, renderer = simgen.Library(), simgen.create_renderer()
    result = simgen.scene_frames(config, library, renderer, scene=1)
    stored = simgen.Dataset(dataset)
    for frame in result.frames:
        np.testing.assert_array_equal(frame.images["rgb"], stored[frame.index].images["rgb"])
        np.testing.assert_array_equal(frame.objects.T_cam_obj, stored[frame.index].objects.T_cam_obj)

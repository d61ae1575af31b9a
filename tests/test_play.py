"""Films of scenes, plots of traces, and scenes for the Rerun viewer."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from fake_scenes import make_frame, make_record
from PIL import Image

from simgen.errors import DatasetError
from simgen.scene.record import SceneRecord
from simgen.scene.state import SceneState, Simulation, Trace
from simgen.shards import manifest as manifests
from simgen.shards.manifest import Category, Manifest, ShardEntry
from simgen.shards.reader import Dataset
from simgen.shards.schema import SCHEMA
from simgen.shards.writer import Options, Origin, ShardWriter
from simgen.view.play import CODECS, scene_pictures, write
from simgen.view.plots import draw
from simgen.view.signals import Signal, signals

TIMES = (0.0, 0.5, 1.0)
CAMERAS = ("left", "right")


def traces_of(scene: int) -> dict[str, Trace]:
    t = np.arange(0, 1.01, 0.1)
    two = np.repeat(t, 2)
    contacts = np.zeros((len(two), 10))
    contacts[:, 9] = np.tile([1.0, 2.0], len(t)) * (1 + two)
    names = ("body_a", "body_b", "x", "y", "z", "nx", "ny", "nz", "distance", "force")
    scan = np.zeros((6, 8))
    scan[:, 0] = [0, 0, 0, 0, 1, 1]
    lidar = ("scan", "x", "y", "z", "range", "intensity", "instance", "channel")
    return {
        "contacts": Trace(two, contacts, names, ("index", "index", *["m"] * 3, *["1"] * 3, "m", "N")),
        "ramp": Trace(t, np.stack([t, -t], 1), ("up", "down"), ("m", "m")),
        "post": Trace(np.array([0, 0, 0, 0, 0.5, 0.5]), scan, lidar, ("index", *["m"] * 4, "1", "id", "index")),
        "still": Trace(t, np.ones((len(t), 1)), ("one",), ("K",)),
    }


def write_dataset(folder: Path, times: tuple[float, ...] = TIMES, scenes: int = 2) -> Path:
    """Two cameras at each time; images of camera c at time k are of level 40 k + 20 c."""
    origin, per_scene = Origin("0.1.0", {"scene": "fake"}, 0, "raster", "cpu"), len(times) * len(CAMERAS)
    (folder / "shards").mkdir(parents=True)
    file = manifests.shard_file(0)
    with ShardWriter(folder / file, scenes * per_scene, origin, Options()) as writer:
        for scene in range(scenes):
            record = make_record(0, scene, per_scene)
            frames = []
            for n, taken in enumerate(record.frames):
                camera = replace(taken.camera, name=CAMERAS[n % 2])
                frames.append(replace(taken, view=n % 2, time=times[n // 2], camera=camera))
            record = replace(record, frames=tuple(frames))
            states = tuple(SceneState(time, ()) for time in times)
            writer.add_scene(record, Simulation(states, traces_of(scene), {}, 0.1))
            for n, taken in enumerate(record.frames):
                frame = make_frame(record, n, scene * per_scene + n)
                frame.images["rgb"][:] = 40 * (n // 2) + 20 * (n % 2)
                writer.add(replace(frame, view=taken.view, time=taken.time, camera=taken.camera.name))
        written = writer.finish()
    entry = ShardEntry(0, file, 0, scenes * per_scene, "complete", written.bytes, written.checksum)
    passes = list(make_frame(make_record(0, 0), 0, 0).images)
    made = Manifest(
        SCHEMA, "0.1.0", {"scene": "fake"}, "digest", "", 0, "raster", "cpu", passes, [Category(1, "thing")],
        scenes * per_scene, per_scene, per_scene * scenes, [entry],
    )  # fmt: skip
    manifests.save(folder, made)
    return folder


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("play") / "d")


def test_all_views_show_their_latest_image(dataset: Path) -> None:
    with Dataset(dataset) as data:
        pictures = list(scene_pictures(data, 1, ["rgb"], cell=64, fps=8))
    assert len(pictures) == 12  # the last image is shown as long as the others
    for k, picture in enumerate(pictures):
        level = 40 * int(k / 8 / 0.5)
        assert (picture[5:40, 5:60] == level).all()
        for shown in (level, level + 20):
            assert (picture == shown).all(-1).sum() >= 64 * 48
        assert picture.shape[0] % 2 == picture.shape[1] % 2 == 0


def test_speed_stretches_time(dataset: Path) -> None:
    with Dataset(dataset) as data:
        assert len(list(scene_pictures(data, 0, ["rgb"], cell=64, fps=8, speed=0.5))) == 24


def test_several_panels_are_below_each_other(dataset: Path) -> None:
    with Dataset(dataset) as data:
        one, two = (next(scene_pictures(data, 0, panels, cell=64)) for panels in (["rgb"], ["rgb", "depth"]))
    assert (two[:48, :64] == one[:48, :64]).all()
    assert not (two[50:90, :64] == 250).all()


def test_the_cursor_is_where_the_time_is(dataset: Path) -> None:
    signal = Signal("ramp", "m", {"up": (np.array([0.0, 10.0]), np.array([0.0, 1.0]))})
    plot = draw(signal, (0.0, 10.0), 400, 120)
    assert plot.at(0).shape == (120, 400, 3)
    for time in (0.0, 2.5, 7.0, 10.0):
        picture = plot.at(time)
        x = round(plot.axis.at(time))
        changed = np.flatnonzero((picture != plot.faint).any(-1).any(0))
        assert changed.max() == x  # beyond the cursor all is faint
        assert (picture[20:102, x] == 60).all()
    assert plot.axis.at(5) == pytest.approx((plot.axis.at(0) + plot.axis.at(10)) / 2)


def test_a_curve_goes_through_its_values() -> None:
    signal = Signal("step", "m", {"a": (np.array([0.0, 1.0]), np.array([3.0, 3.0]))})
    picture = draw(signal, (0.0, 1.0), 300, 120).full.astype(int)
    colored = np.flatnonzero(np.ptp(picture[:, 150], axis=-1) > 60)
    assert len(colored) <= 3
    assert 40 < colored.mean() < 90  # a constant lies in the middle


def test_signals_are_what_the_traces_say(dataset: Path) -> None:
    with Dataset(dataset) as data:
        found = {s.title: s for s in signals(data.record(0), data.scene_traces(0))}
    time, force = found["contact force, sum"].curves["all contacts"]
    np.testing.assert_allclose(force, 3 * (1 + time))
    np.testing.assert_array_equal(found["contacts"].curves["all contacts"][1], 2)
    np.testing.assert_allclose(found["ramp"].curves["down"][1], -np.arange(0, 1.01, 0.1))
    np.testing.assert_array_equal(found["post, returns of a scan"].curves["post"], ([0, 0.5], [4, 2]))


def test_many_curves_are_reduced_to_those_that_change_most(dataset: Path) -> None:
    t = np.arange(5.0)
    columns = tuple(f"c{k}" for k in range(20))
    trace = Trace(t, np.stack([k * t for k in range(20)], 1), columns, ("m",) * 20)
    with Dataset(dataset) as data:
        (signal,) = signals(data.record(0), {"many": trace})
    assert list(signal.curves) == [f"c{k}" for k in range(12, 20)]
    assert signal.left_out == 12


@pytest.mark.parametrize("kind", sorted(CODECS))
def test_films_have_all_pictures(dataset: Path, tmp_path: Path, kind: str) -> None:
    file = write(dataset, tmp_path / "new" / f"scene{kind}", 0, ["rgb"], cell=64, fps=8)
    film = cv2.VideoCapture(str(file))
    pictures = []
    while (read := film.read())[0]:
        pictures.append(read[1])
    film.release()
    assert len(pictures) == 12
    assert film is not None
    levels = [float(p[10:40, 10:50].mean()) for p in pictures]
    np.testing.assert_allclose(levels, np.repeat([0, 40, 80], 4), atol=8)


def test_pictures_that_move_without_a_codec(dataset: Path, tmp_path: Path) -> None:
    for kind in ("gif", "webp"):
        with Image.open(write(dataset, tmp_path / f"a.{kind}", 0, ["rgb"], cell=64, fps=10)) as image:
            shown = 0
            for k in range(image.n_frames):
                image.seek(k)
                image.load()
                shown += image.info["duration"]
        assert shown == pytest.approx(1500, abs=60)
    first = write(dataset, tmp_path / "b.png", 0, ["rgb"], cell=64, fps=8)
    assert first.name == "b-00000.png"
    assert len(list(tmp_path.glob("b-*.png"))) == 12


def test_a_scene_of_one_time_goes_through_its_views(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "d", (0.0,))
    with Dataset(folder) as data:
        pictures = list(scene_pictures(data, 0, ["rgb"], cell=64, fps=10))
    assert [int(p[20, 20, 0]) for p in pictures] == [0] * 8 + [20] * 8


@pytest.mark.parametrize(
    ("out", "scene", "panels", "told"),
    [
        ("a.mpg", 0, ["rgb"], "no kind of film"),
        ("a.mp4", 2, ["rgb"], "there is no scene 2"),
        ("a.mp4", 0, ["rbg"], "no panel 'rbg'"),
        ("a.mp4", 0, ["keypoints"], "no keypoints"),
        ("file/a.mp4", 0, ["rgb"], "Cannot write"),
    ],
)
def test_mistakes_are_told(dataset: Path, tmp_path: Path, out: str, scene: int, panels: list[str], told: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DatasetError, match=told):
        write(dataset, tmp_path / out, scene, panels)


def test_rerun_says_how_to_get_it(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from simgen.view import rrd

    real = importlib.import_module

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("rerun"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", without)
    with pytest.raises(DatasetError, match="pip install"):
        rrd.write(dataset, tmp_path / "a.rrd", [0])


def test_a_file_for_rerun_has_cameras_boxes_and_traces(dataset: Path, tmp_path: Path) -> None:
    pytest.importorskip("rerun", reason="rerun-sdk is an optional part")
    from simgen.view import rrd

    file = rrd.write(dataset, tmp_path / "new" / "a.rrd", [0, 1, 7], meshes=False)
    program = shutil.which("rerun", path=str(Path(sys.executable).parent)) or shutil.which("rerun")
    assert program is not None

    def ask(*words: str) -> str:
        done = subprocess.run(
            [program, "rrd", *words, str(file)], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    assert "verified without error" in ask("verify")
    told = ask("print")
    record: SceneRecord
    with Dataset(dataset) as data:
        record = data.record(1)
    for path in ("/world/cameras/left-0/rgb", "/world/cameras/right-1/depth", "/world/contacts", "traces/"):
        assert path in told
    for body in record.bodies:
        assert f"/world/bodies/{body.name}/box" in told
    with pytest.raises(DatasetError, match="there is no scene 9"):
        rrd.write(dataset, file, [9], meshes=False)
    with pytest.raises(DatasetError, match="ending"):
        rrd.write(dataset, tmp_path / "a.rr", [0], meshes=False)

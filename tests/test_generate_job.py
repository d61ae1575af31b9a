"""The main job: the same arrays whatever happens on the way, and clear words when it cannot go on."""

from __future__ import annotations

import copy
import fcntl
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401
import numpy as np
import psutil
import pytest
from fake_scenes import FakeSource

from simgen.config import RenderConfig, from_plain
from simgen.errors import AssetError, ConfigError, DatasetError, SimgenError
from simgen.generate.executor import WorkerError
from simgen.generate.job import Progress, render
from simgen.generate.plan import plan
from simgen.shards.manifest import ShardEntry, load, shard_file
from simgen.shards.reader import Dataset
from simgen.shards.verify import verify

PER_SCENE = 2


def config(out: Path, frames: int = 18, traps: Path | None = None, **more: Any) -> RenderConfig:
    """Nine scenes of two frames in five shards of two scenes."""
    plain = {
        "out": str(out),
        "frames": frames,
        "workers": 2,
        "scene": {"name": "fake", "cameras": {"main": {"views": PER_SCENE}}},
        "output": {"frames_per_shard": 4},
        "assets": {"path": [str(traps)] if traps else []},
        **more,
    }
    return from_plain(plain)


def run(wanted: RenderConfig, progress: Callable[[Progress], None] | None = None) -> None:
    render(wanted, progress, FakeSource)


def arrays(folder: Path) -> dict[str, Any]:
    """Every array of a dataset."""
    found: dict[str, Any] = {}
    for entry in load(folder).shards:
        with h5py.File(folder / entry.file) as file:

            def take(name: str, node: Any, where: str = entry.file) -> None:
                if isinstance(node, h5py.Dataset):
                    found[f"{where}:{name}"] = node[()]

            file.visititems(take)
    return found


def assert_same(a: Path, b: Path) -> None:
    first, second = arrays(a), arrays(b)
    assert first.keys() == second.keys()
    for name, array in first.items():
        assert array.dtype == second[name].dtype
        assert array.shape == second[name].shape
        if array.dtype == object:
            assert (array == second[name]).all(), name
        else:
            assert array.tobytes() == second[name].tobytes(), name


def stamps(folder: Path) -> dict[str, int]:
    """File name -> inode of the shards: a shard that is made again has another."""
    return {path.name: path.stat().st_ino for path in sorted((folder / "shards").glob("*.h5"))}


def assert_nothing_unfinished(folder: Path) -> None:
    assert list(folder.rglob("*.tmp")) == []


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed") / "d"
    run(config(folder, workers=1))
    assert verify(folder) == []
    return folder


@pytest.fixture
def traps(tmp_path: Path) -> Path:
    folder = tmp_path / "traps"
    folder.mkdir()
    return folder


def test_plan_holds_whole_scenes() -> None:
    for frames, per_scene, per_shard in [(1, 1, 1), (10, 4, 8), (7, 3, 100), (100, 10, 7), (9, 5, 12)]:
        shards = plan(frames, per_scene, per_shard)
        assert [s.index for s in shards] == list(range(len(shards)))
        assert sum(s.frames for s in shards) == frames
        assert [s.first for s in shards] == [sum(t.frames for t in shards[:k]) for k in range(len(shards))]
        assert all(s.first % per_scene == 0 for s in shards)
        assert all(s.frames % per_scene == 0 for s in shards[:-1])
        longer = plan(frames * 3, per_scene, per_shard)
        assert longer[: len(shards) - 1] == shards[:-1]
        assert longer[len(shards) - 1].first == shards[-1].first


@pytest.mark.parametrize("per_scene", [1, 2, 5, 40])
@pytest.mark.parametrize("frames", [1, 7, 40, 203, 1000, 5003])
def test_shards_get_smaller_towards_the_end(frames: int, per_scene: int) -> None:
    """So that no worker makes much more than its part: no shard is more than a quarter of what is left."""
    shards = plan(frames, per_scene)
    sizes = [s.frames for s in shards]
    assert [s.first for s in shards] == [sum(sizes[:k]) for k in range(len(sizes))]
    assert sum(sizes) == frames
    assert all(size % per_scene == 0 for size in sizes[:-1])
    assert sizes == sorted(sizes, reverse=True)
    least = max(per_scene, sizes[0] / 4 + per_scene / 2)
    assert all(size <= max(left / 4, least) for size, left in zip(sizes, np.cumsum(sizes[::-1])[::-1], strict=True))
    assert sizes[0] <= max(per_scene, frames / 16 + per_scene / 2)
    assert len(sizes) <= 2 * 16 + frames / 100 + 8


def test_a_dataset_of_equal_shards_keeps_them(undisturbed: Path) -> None:
    """As those were that have been begun before the last shards were made smaller."""
    old = load(undisturbed)
    old.frames, old.frames_per_shard = 200, 10
    old.shards = [ShardEntry(k, shard_file(k), 10 * k, 10) for k in range(20)]
    pending = copy.deepcopy(old.shards)
    old.shards[0].state = "complete"
    assert plan(200, PER_SCENE, None, old) == pending
    assert plan(400, PER_SCENE, None, old)[:20] == pending


def test_a_finished_job(undisturbed: Path) -> None:
    with Dataset(undisturbed) as data:
        assert [frame.index for frame in data] == list(range(18))
        assert [frame.scene for frame in data] == [k // PER_SCENE for k in range(18)]
        manifest = data.manifest
    assert {entry.state for entry in manifest.shards} == {"complete"}
    assert manifest.config["passes"] == list(data.passes)
    assert manifest.config["renderer"] == {"name": "raster", "device": "cpu"}
    assert sum(shard.removed for shard in manifest.shards) == 3  # scenes 1, 4 and 7 lose a body
    assert_nothing_unfinished(undisturbed)


@pytest.mark.parametrize("more", [{"workers": 2}, {"workers": "auto"}, {"workers": 2, "scenes_per_worker": 1}])
def test_workers_do_not_change_arrays(tmp_path: Path, undisturbed: Path, more: dict[str, Any]) -> None:
    run(config(tmp_path / "d", **more))
    assert_same(undisturbed, tmp_path / "d")


def test_workers_are_replaced_after_their_scenes(tmp_path: Path, traps: Path) -> None:
    run(config(tmp_path / "d", traps=traps, workers=1, scenes_per_worker=3))
    drawn: dict[str, list[int]] = {}
    for path in traps.glob("drawn-*"):
        _, scene, _, pid = path.name.split("-")
        drawn.setdefault(pid, []).append(int(scene))
    # Shards have two scenes, and a worker leaves at the end of the shard in which it reaches three.
    assert sorted(map(sorted, drawn.values())) == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]
    assert str(os.getpid()) not in drawn
    assert sorted(path.name for path in traps.glob("warm-*")) == sorted(f"warm-{pid}" for pid in drawn)


@pytest.mark.parametrize("killed", [None, "helper", "compiler"])
def test_a_second_worker_helps_to_compile(
    tmp_path: Path, traps: Path, undisturbed: Path, caplog: pytest.LogCaptureFixture, killed: str | None
) -> None:
    (traps / "compile").touch()
    if killed:
        (traps / f"kill-{killed}").touch()
    caplog.set_level("INFO", "simgen")
    run(config(tmp_path / "d", traps=traps))
    assert_same(undisturbed, tmp_path / "d")
    assert "this takes long" in caplog.text
    assert (traps / "helped").exists()
    assert len(list(traps.glob("warm-*"))) == (3 if killed else 2)
    assert list(traps.glob("kill-*")) == []


def test_a_lone_worker_compiles_alone(tmp_path: Path, traps: Path, undisturbed: Path) -> None:
    for name in ("compile", "helped"):
        (traps / name).touch()
    run(config(tmp_path / "d", traps=traps, workers=1))
    assert_same(undisturbed, tmp_path / "d")
    assert len(list(traps.glob("warm-*"))) == 1


def test_progress_counts_frames(tmp_path: Path) -> None:
    seen: list[Progress] = []
    run(config(tmp_path / "d"), seen.append)
    assert seen[0].phase == "preparing"
    rendering = [p for p in seen if p.phase == "rendering"]
    done = [p.done for p in rendering]
    assert done == sorted(done)
    assert len(set(done)) >= 5  # with each shard, and with frames as they come, some at a time
    assert rendering[-1].done == rendering[-1].made == rendering[-1].frames == 18
    assert rendering[-1].rate > 0
    seen.clear()
    run(config(tmp_path / "d"), seen.append)
    assert {p.phase for p in seen} == {"checking"}


def test_a_killed_worker_is_replaced(tmp_path: Path, traps: Path, undisturbed: Path) -> None:
    for scene in (0, 5):
        (traps / f"kill-{scene}").touch()
    run(config(tmp_path / "d", traps=traps))
    assert list(traps.glob("kill-*")) == []
    assert verify(tmp_path / "d") == []
    assert_same(undisturbed, tmp_path / "d")


def test_a_shard_that_kills_every_worker_ends_the_job(tmp_path: Path, traps: Path, undisturbed: Path) -> None:
    (traps / "die-5").touch()
    with pytest.raises(WorkerError, match=r"shard-000002\.h5 \(frames 8 to 11\) ended its worker 3 times.*SIGKILL"):
        run(config(tmp_path / "d", traps=traps))
    assert len(list(traps.glob("drawn-5-*"))) == 3
    assert_nothing_unfinished(tmp_path / "d")
    with pytest.raises(DatasetError, match="not complete"):
        Dataset(tmp_path / "d")
    (traps / "die-5").unlink()
    run(config(tmp_path / "d", traps=traps))
    assert_same(undisturbed, tmp_path / "d")


@pytest.mark.parametrize(
    ("trap", "error", "what"),
    [
        ("error-5", SimgenError, "^the mesh is broken$"),
        ("full-5", SimgenError, "^no space left to write /scratch/mesh.obj .* free some space"),
        ("fault-5", WorkerError, r"failed during shards/shard-000002\.h5 with ZeroDivisionError: by chance"),
    ],
)
def test_an_error_in_a_worker_ends_the_job(
    tmp_path: Path, traps: Path, undisturbed: Path, caplog: pytest.LogCaptureFixture, trap: str, error: type, what: str
) -> None:
    (traps / trap).touch()
    with pytest.raises(error, match=what):
        run(config(tmp_path / "d", traps=traps))
    assert ("Traceback" in caplog.text and "_spring" in caplog.text) == (trap == "fault-5")
    assert_nothing_unfinished(tmp_path / "d")
    assert not any(alive(worker) for worker in workers_of(psutil.Process()))
    (traps / trap).unlink()
    before = stamps(tmp_path / "d")
    run(config(tmp_path / "d", traps=traps))
    assert before.items() <= stamps(tmp_path / "d").items()
    assert_same(undisturbed, tmp_path / "d")


def workers_of(process: psutil.Process) -> list[psutil.Process]:
    """Its worker processes: the children of the server that forks them."""
    return [grandchild for child in process.children() for grandchild in child.children()]


SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
from fake_scenes import FakeSource
from simgen.config import from_plain
from simgen.generate.job import render
try:
    render(from_plain({plain!r}), None, FakeSource)
except KeyboardInterrupt:
    sys.exit(130)
"""


def start(wanted: RenderConfig, tmp_path: Path) -> subprocess.Popen[bytes]:
    """The same job in a process of its own, from a script that protects nothing by ``if __name__ == "__main__"``."""
    from simgen.config import to_plain

    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(tests=str(Path(__file__).parent), plain=to_plain(wanted)))
    return subprocess.Popen([sys.executable, str(script)], start_new_session=True, stderr=subprocess.PIPE)


def alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE  # who is dead but not yet mourned by init is dead
    except psutil.NoSuchProcess:
        return False


def wait_for(condition: Callable[[], Any], seconds: float) -> Any:
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)
    return result


def test_an_unprotected_script_runs_once(tmp_path: Path, undisturbed: Path) -> None:
    job = start(config(tmp_path / "d"), tmp_path)
    _, errors = job.communicate(timeout=30)
    assert (job.returncode, errors) == (0, b"")
    assert_same(undisturbed, tmp_path / "d")


@pytest.mark.parametrize("busy", ["slow", "hang-5"])
def test_kill_of_the_job_leaves_no_worker_and_resumes(
    tmp_path: Path, traps: Path, undisturbed: Path, busy: str
) -> None:
    (traps / busy).touch()
    folder = tmp_path / "d"
    job = start(config(folder, traps=traps), tmp_path)
    wait_for(lambda: len(stamps(folder)) >= 2 and list(traps.glob("drawn-5-*")), 20)
    family = psutil.Process(job.pid).children(recursive=True)
    assert len(family) >= 3  # two workers, the server that forks them
    job.kill()
    job.communicate()
    wait_for(lambda: not any(alive(process) for process in family), 20)
    assert [p.note for p in verify(folder) if p.shard.endswith(".tmp")] == [True] * len(list(folder.rglob("*.h5.tmp")))
    before = stamps(folder)
    complete = {Path(entry.file).name for entry in load(folder).shards if entry.state == "complete"}
    (traps / busy).unlink()
    run(config(folder, traps=traps))
    assert {name: inode for name, inode in before.items() if name in complete}.items() <= stamps(folder).items()
    assert_nothing_unfinished(folder)
    assert_same(undisturbed, folder)


@pytest.mark.parametrize(("number", "whom"), [("SIGINT", "group"), ("SIGINT", "job"), ("SIGTERM", "job")])
def test_interruption_ends_everything_in_order(
    tmp_path: Path, traps: Path, undisturbed: Path, number: str, whom: str
) -> None:
    """With both workers in a scene that takes minutes: it is not waited for, and nothing else is begun."""
    held = [traps / "hang-5", traps / "hang-7"]
    for trap in held:
        trap.touch()
    folder = tmp_path / "d"
    job = start(config(folder, traps=traps), tmp_path)
    wait_for(lambda: len(stamps(folder)) >= 2 and all(list(traps.glob(f"drawn-{k}-*")) for k in (5, 7)), 60)
    family = psutil.Process(job.pid).children(recursive=True)
    begun = sorted(traps.glob("drawn-*"))
    (os.killpg if whom == "group" else os.kill)(job.pid, getattr(signal, number))
    _, errors = job.communicate(timeout=60)
    assert sorted(traps.glob("drawn-*")) == begun
    assert (job.returncode, errors) == (130, b"")
    wait_for(lambda: not any(alive(process) for process in family), 20)
    assert_nothing_unfinished(folder)
    finished = {Path(entry.file).name for entry in load(folder).shards if entry.state == "complete"}
    assert finished == set(stamps(folder))
    for trap in held:
        trap.unlink()
    run(config(folder, traps=traps))
    assert_same(undisturbed, folder)


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 0x10
    path.write_bytes(data)


@pytest.mark.parametrize(
    "harm", [_flip, lambda path: os.truncate(path, 5000), Path.unlink], ids=["flip", "cut", "gone"]
)
def test_only_the_damaged_shard_is_made_again(tmp_path: Path, undisturbed: Path, harm: Callable[[Path], None]) -> None:
    folder = tmp_path / "d"
    run(config(folder))
    harm(folder / "shards" / "shard-000003.h5")
    assert [p.shard for p in verify(folder)] == ["shards/shard-000003.h5"]
    before = stamps(folder)
    written = {path: path.stat().st_mtime_ns for path in (folder / "shards").iterdir()}
    run(config(folder))
    after = {path: path.stat().st_mtime_ns for path in (folder / "shards").iterdir()}
    assert {p.name for p in after if after[p] != written.get(p)} == {"shard-000003.h5"}
    assert {n for n, inode in before.items() if n != "shard-000003.h5"} <= set(stamps(folder))
    assert verify(folder) == []
    assert_same(undisturbed, folder)


def test_more_frames_continue_a_dataset(tmp_path: Path, undisturbed: Path) -> None:
    """Seven frames cut a scene and a shard; both are made whole."""
    folder = tmp_path / "d"
    run(config(folder, frames=7))
    with Dataset(folder) as data:
        assert len(data) == 7
    before = stamps(folder)
    run(config(folder))
    assert stamps(folder)["shard-000000.h5"] == before["shard-000000.h5"]
    assert verify(folder) == []
    assert_same(undisturbed, folder)
    with pytest.raises(DatasetError, match="18 frames, more than frames=7"):
        run(config(folder, frames=7))


def test_a_short_first_run_does_not_size_all_shards(tmp_path: Path) -> None:
    """33 frames in scenes of two: what is there is kept, but for the cut scene; the rest is divided anew."""
    folder = tmp_path / "d"
    run(config(folder, frames=33, output={}))
    assert [entry.frames for entry in load(folder).shards] == [2] * 16 + [1]
    before = stamps(folder)
    run(config(folder, frames=352, output={}))
    rest = [20] * 13 + [14, 10, 8, 6, 4, 4, 4, 4, 4, 2]
    assert [entry.frames for entry in load(folder).shards] == [2] * 16 + rest
    assert before.items() - stamps(folder).items() == {("shard-000016.h5", before["shard-000016.h5"])}
    assert verify(folder) == []
    (folder / "shards" / "shard-000020.h5").unlink()
    before = stamps(folder)
    run(config(folder, frames=352, output={}))  # a repair keeps the division
    assert before.items() <= stamps(folder).items()
    run(config(folder, frames=360, output={}))
    assert [entry.frames for entry in load(folder).shards] == [2] * 16 + rest + [4, 4]
    direct = tmp_path / "direct"
    run(config(direct, frames=352, output={}))
    assert max(entry.frames for entry in load(direct).shards) == load(direct).frames_per_shard == 22
    with Dataset(folder) as one, Dataset(direct) as other:
        for k in (0, 31, 32, 33, 52, 351):
            assert one[k].images["rgb"].tobytes() == other[k].images["rgb"].tobytes()


def test_another_configuration_is_refused_and_nothing_touched(tmp_path: Path, traps: Path) -> None:
    folder = tmp_path / "d"
    run(config(folder, traps=traps))
    before, manifest = stamps(folder), (folder / "manifest.json").read_bytes()
    with pytest.raises(DatasetError, match=r"another configuration \(seed: 0 -> 1; image\.width: 640 -> 320\)"):
        run(config(folder, traps=traps, seed=1, image={"width": 320}))
    with pytest.raises(DatasetError, match=r"output\.frames_per_shard: 4 -> 8"):
        run(config(folder, traps=traps, output={"frames_per_shard": 8}))
    (traps / "assets").write_text("others")
    with pytest.raises(DatasetError, match='assets: "none" -> "others"'):
        run(config(folder, traps=traps))
    assert (stamps(folder), (folder / "manifest.json").read_bytes()) == (before, manifest)


def test_assets_that_moved_are_the_same_dataset(tmp_path: Path, traps: Path) -> None:
    run(config(tmp_path / "d", traps=traps))
    moved = traps.rename(tmp_path / "moved")
    before = stamps(tmp_path / "d")
    run(config(tmp_path / "d", traps=moved, workers=1, scenes_per_worker=7))
    assert stamps(tmp_path / "d") == before


def test_a_version_of_its_own(tmp_path: Path) -> None:
    """Arrays may differ between versions of the program, so a dataset is of one."""
    folder = tmp_path / "d"
    run(config(folder))
    raw = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**raw, "simgen": "0.0.9"}))
    with pytest.raises(DatasetError, match=r'simgen: "0\.0\.9" -> '):
        run(config(folder))


def test_a_first_run_that_failed_does_not_hold_its_folder(tmp_path: Path, traps: Path) -> None:
    folder = tmp_path / "d"
    run(config(folder))
    for shard in (folder / "shards").iterdir():
        shard.unlink()
    run(config(folder, seed=5))
    assert load(folder).seed == 5
    assert {entry.state for entry in load(folder).shards} == {"complete"}


def test_unfit_folders_are_refused(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("x")
    with pytest.raises(DatasetError, match=r"holds other files \(thesis\.tex\)"):
        run(config(other))
    assert [path.name for path in other.iterdir()] == ["thesis.tex"]
    with pytest.raises(DatasetError, match="is a file"):
        run(config(other / "thesis.tex"))
    with pytest.raises(DatasetError, match=r"cannot write .*Not a directory"):
        run(config(other / "thesis.tex" / "d"))
    with pytest.raises(DatasetError, match="cannot write /proc/none: "):
        run(config(Path("/proc/none")))
    empty = config(tmp_path / "d")
    empty.out = ""
    with pytest.raises(ConfigError, match="out is not set"):
        run(empty)
    empty.out, empty.frames = str(tmp_path / "d"), 0
    with pytest.raises(ConfigError, match="at least 1"):
        run(empty)
    assert not (tmp_path / "d").exists()


def test_nothing_is_made_when_the_scenes_cannot_be_had(tmp_path: Path, traps: Path) -> None:
    (traps / "closed").touch()
    with pytest.raises(SimgenError, match="no assets"):
        run(config(tmp_path / "d", traps=traps))
    assert not (tmp_path / "d").exists()


def test_two_jobs_do_not_share_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    run(config(folder))
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write("4711")
        file.flush()
        with pytest.raises(DatasetError, match=re.escape("another run (process 4711) is writing to")):
            run(config(folder))
    run(config(folder))


def test_a_full_disk_stops_with_a_sentence_and_resumes(tmp_path: Path, undisturbed: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs the right to mount a small tmpfs")
    try:
        with pytest.raises(SimgenError, match=r"no space left to write .*MB are free there\): free some space"):
            run(config(disk / "d"))
        assert_nothing_unfinished(disk / "d")
        kept = [entry for entry in load(disk / "d").shards if entry.state == "complete"]
        assert 0 < len(kept) < 5
        subprocess.run(["mount", "-o", "remount,size=50m", str(disk)], check=True)
        run(config(disk / "d"))
        assert verify(disk / "d") == []
        assert_same(undisturbed, disk / "d")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_scenes_that_do_not_settle_are_told_and_counted(
    tmp_path: Path, traps: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for scene in range(7):
        (traps / f"restless-{scene}").touch()
    run(config(tmp_path / "d", traps=traps))
    assert sum(entry.unsettled for entry in load(tmp_path / "d").shards) == 7
    assert sum(f"scene {scene} did not settle" in caplog.text for scene in range(7)) == 5
    assert "2 more scenes did not settle" in caplog.text


def test_the_comparison_of_these_tests_can_fail(tmp_path: Path, undisturbed: Path) -> None:
    run(config(tmp_path / "d", seed=1))
    with pytest.raises(AssertionError):
        assert_same(undisturbed, tmp_path / "d")
    assert any(np.asarray(a).size for a in arrays(undisturbed).values())


class Unready(FakeSource):
    """Stops when all is set, before the first frame."""

    def warm_up(self, tell: Callable[[str], None], helping: bool = False) -> None:
        raise AssetError("not now")


def test_passes_that_will_be_empty_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """No camera has a depth sensor, and a scene of a single time has no motion."""

    def told(**scene: Any) -> list[str]:
        caplog.clear()
        passes = ["rgb", "depth_sensor", "flow_forward"]
        wanted = config(tmp_path / "d", passes=passes, scene={"name": "fake", **scene})
        with pytest.raises(SimgenError, match="not now"), caplog.at_level(logging.WARNING, logger="simgen"):
            render(wanted, open_source=Unready)
        return [record.getMessage() for record in caplog.records]

    sensor, motion = told(cameras={"left": {}})
    assert "the pass depth_sensor will be 0 everywhere" in sensor
    assert "scene.cameras.left.depth_sensor.preset=" in sensor
    assert "flow_forward will be 0 everywhere: raise scene.time.frames" in motion
    cameras = {"left": {}, "right": {"depth_sensor": {"preset": "realsense_d435"}}}
    assert told(cameras=cameras, time={"frames": 2}) == []

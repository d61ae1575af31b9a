"""Shard files and datasets: what is read is what was written, and harm is found."""

from __future__ import annotations

import dataclasses
import multiprocessing
import pickle
import subprocess
import sys
from collections import deque
from pathlib import Path

import h5py
import numpy as np
import pytest
from fake_scenes import HEIGHT, WIDTH, make_frame, make_record, make_simulation

from simgen.errors import ConfigError, DatasetError
from simgen.labels.frame import Frame, ObjectTable
from simgen.shards import manifest as manifests
from simgen.shards.codec import COMPRESSIONS
from simgen.shards.manifest import Category, Manifest, ShardEntry
from simgen.shards.reader import Dataset
from simgen.shards.schema import SCHEMA, escape, unescape
from simgen.shards.verify import verify
from simgen.shards.writer import Options, Origin, ShardWriter

FRAMES, PER_SCENE, PER_SHARD = 10, 4, 8
PLAIN = Options()
ORIGIN = Origin("0.1.0", {"scene": "fake"}, 0, "raster", "cpu")


def make_frames() -> list[Frame]:
    return [make_frame(make_record(0, i // PER_SCENE), i % PER_SCENE, i) for i in range(FRAMES)]


def write_dataset(folder: Path, options: Options = PLAIN) -> Path:
    """Three scenes of four frames, the last one cut, in two shards."""
    frames = make_frames()
    (folder / "shards").mkdir(parents=True)
    entries = []
    for index, first in enumerate(range(0, FRAMES, PER_SHARD)):
        part = frames[first : first + PER_SHARD]
        with ShardWriter(folder / manifests.shard_file(index), len(part), ORIGIN, options) as writer:
            for frame in part:
                if frame.index % PER_SCENE == 0:
                    record = make_record(0, frame.scene)
                    writer.add_scene(record, make_simulation(record))
                writer.add(frame)
            written = writer.finish()
        entries.append(
            ShardEntry(
                index, manifests.shard_file(index), first, len(part), "complete", written.bytes, written.checksum
            )
        )
    manifest = Manifest(
        SCHEMA, "0.1.0", {"scene": "fake"}, "", "", 0, "raster", "cpu", list(frames[0].images), [Category(1, "thing")],
        FRAMES, PER_SCENE, PER_SHARD, entries,
    )  # fmt: skip
    manifests.save(folder, manifest)
    return folder


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "d")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "d")


def assert_equal(a: Frame, b: Frame, snorm_tolerance: float = 2e-5) -> None:
    for field in dataclasses.fields(Frame):
        x, y = getattr(a, field.name), getattr(b, field.name)
        if field.name == "objects":
            for column in dataclasses.fields(ObjectTable):
                p, q = getattr(x, column.name), getattr(y, column.name)
                if isinstance(p, tuple):
                    assert p == q
                else:
                    assert p.dtype == q.dtype
                    np.testing.assert_array_equal(p, q)
        elif field.name == "images":
            assert set(x) == set(y)
            for name in x:
                assert x[name].dtype == y[name].dtype
                np.testing.assert_allclose(x[name], y[name], rtol=0, atol=snorm_tolerance if name == "normal" else 0)
        elif isinstance(x, np.ndarray):
            np.testing.assert_array_equal(x, y)
        else:
            assert x == y


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_frames_come_back_as_they_were(tmp_path: Path, compression: str) -> None:
    with Dataset(write_dataset(tmp_path / "d", Options(compression))) as data:
        assert len(data) == FRAMES
        for stored, original in zip(data, make_frames(), strict=True):
            assert_equal(stored, original)


def test_index_from_the_end_and_out_of_range(dataset: Path) -> None:
    with Dataset(dataset) as data:
        assert data[-1].index == FRAMES - 1
        assert data[-FRAMES].index == 0
        for index in (FRAMES, -FRAMES - 1):
            with pytest.raises(IndexError, match=f"frames 0 to {FRAMES - 1}"):
                data[index]


def test_normals_are_unit_and_empty_ones_stay_zero(dataset: Path) -> None:
    with Dataset(dataset) as data:
        for frame in data:
            length = np.linalg.norm(frame.images["normal"], axis=-1)
            inside = frame.images["instance"] > 0
            assert np.abs(length[inside] - 1).max(initial=0) < 5e-5
            assert (length[~inside] == 0).all()


def test_png_is_lossless_and_jpeg_is_near(tmp_path: Path) -> None:
    originals = make_frames()
    with Dataset(write_dataset(tmp_path / "png", Options(rgb_codec="png"))) as data:
        for frame, original in zip(data, originals, strict=True):
            np.testing.assert_array_equal(frame.images["rgb"], original.images["rgb"])
    sizes = []
    for quality in (95, 50):
        folder = write_dataset(tmp_path / f"jpeg{quality}", Options(rgb_codec="jpeg", jpeg_quality=quality))
        with Dataset(folder) as data:
            error = [
                np.abs(f.images["rgb"].astype(int) - o.images["rgb"]).mean()
                for f, o in zip(data, originals, strict=True)
            ]
        with h5py.File(folder / manifests.shard_file(0)) as file:
            sizes.append((np.mean(error), sum(len(file["images/rgb"][n]) for n in range(PER_SHARD))))
    assert 0 < sizes[0][0] < sizes[1][0]
    assert sizes[0][1] > sizes[1][1]


def test_stock_h5py_reads_the_documented_layout(dataset: Path) -> None:
    """Another process, with nothing of simgen imported."""
    script = f"""
import h5py, hdf5plugin, json, numpy as np
with h5py.File({str(dataset / manifests.shard_file(0))!r}) as f:
    assert f.attrs["schema"] == {SCHEMA} and f.attrs["seed"] == 0
    assert json.loads(f.attrs["config"]) == {{"scene": "fake"}}
    assert f.attrs["renderer"] == "raster" and f.attrs["device"] == "cpu" and "metres" in f.attrs["units"]
    n, h, w = {PER_SHARD}, {HEIGHT}, {WIDTH}
    assert f["images/rgb"].shape == (n, h, w, 3) and f["images/rgb"].dtype == np.uint8
    assert f["images/rgb"].chunks == (1, h, w, 3)
    assert f["images/depth"].dtype == np.float32 and f["images/instance"].dtype == np.uint16
    assert f["images/normal"].dtype == np.int16 and f["images/normal"].attrs["scale"] == 32767
    f["images/rgb"][3], f["images/depth"][n - 1]
    offsets = f["objects/offsets"][:]
    assert len(offsets) == n + 1 and offsets[-1] == len(f["objects/category_id"]) == len(f["masks/full_offsets"]) - 1
    assert f["objects/frame"][offsets[5]] == 5
    assert list(f["frames/index"][:]) == list(range(n))
    assert f["camera/K"].shape == (n, 3, 3)
    assert json.loads(f["records"][1])["scene"] == 1 == f["scenes/index"][1]
    assert list(f["traces/imu"].attrs["units"]) == ["m/s^2", "m/s^2"]
    assert f["draws/sensor/exposure"].shape == (n,)
"""
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)


def test_only_the_wanted_passes_are_read(dataset: Path) -> None:
    with Dataset(dataset) as data:
        assert set(data.images(9, ["depth", "rgb"])) == {"depth", "rgb"}
        assert set(data.images(-1)) == set(data.passes)
        with pytest.raises(DatasetError, match=r'no pass "dept" .did you mean "depth"'):
            data.images(0, ["dept"])


def test_records_traces_and_draws(dataset: Path) -> None:
    records = [make_record(0, s) for s in range(3)]
    with Dataset(dataset) as data:
        assert [data.record(s) for s in range(3)] == records
        for scene in (3, -1):
            with pytest.raises(IndexError):
                data.record(scene)
        pose = data.traces("pose")
        for record in records:
            expected = make_simulation(record).traces["pose"]
            rows = pose.scene == record.scene
            np.testing.assert_array_equal(pose.time[rows], expected.time)
            for i, column in enumerate(pose.columns):
                values = pose.value[rows, i]
                if column in expected.columns:
                    np.testing.assert_array_equal(values, expected.value[:, expected.columns.index(column)])
                else:
                    assert np.isnan(values).all()
        assert set(data.trace_names()) == {"imu", "pose"}
        with pytest.raises(DatasetError, match=r'no trace "imuu" .did you mean "imu"'):
            data.traces("imuu")

        scenes = np.arange(FRAMES) // PER_SCENE
        counts = data.draws("lighting", "count")
        assert counts.dtype == np.int64
        np.testing.assert_array_equal(counts, [len(records[s].bodies) for s in scenes])
        intensity = data.draws("lighting", "intensity")
        assert intensity.shape == (FRAMES, max(counts))
        np.testing.assert_array_equal(np.isfinite(intensity).sum(1), counts)
        assert data.draws("sensor", "on").dtype == bool
        assert list(data.draws("sensor", "rare")) == ["only here" if i % PER_SCENE == 1 else "" for i in range(FRAMES)]
        assert "tint" in data.draw_names()["textures"]
        with pytest.raises(DatasetError, match="did you mean"):
            data.draws("lighting", "counts")


def test_categories(dataset: Path) -> None:
    with Dataset(dataset) as data:
        assert [(c.id, c.name) for c in data.categories] == [(1, "thing")]


def _first_pixel(data: Dataset) -> int:
    return int(data[9].images["rgb"][0, 0, 0])


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # what DataLoader does all the same
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_dataset_with_open_files_serves_other_processes(dataset: Path, method: str) -> None:
    """As DataLoader workers get it: by fork after the parent has read, or pickled."""
    with Dataset(dataset) as data:
        expected = _first_pixel(data)
        with multiprocessing.get_context(method).Pool(2) as pool:
            assert pool.map(_first_pixel, [data] * 4) == [expected] * 4
        assert _first_pixel(data) == expected


def _read_inherited(connection: multiprocessing.connection.Connection, data: Dataset) -> None:
    handles = [id(shard.file) for shard in data._shards.values()]
    pixel = _first_pixel(data)
    fresh = all(id(shard.file) not in handles for shard in data._shards.values())
    connection.send((pixel, fresh))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_no_handle_crosses_a_fork(dataset: Path) -> None:
    context = multiprocessing.get_context("fork")
    with Dataset(dataset) as data:
        expected = _first_pixel(data)
        mine, theirs = context.Pipe()
        child = context.Process(target=_read_inherited, args=(theirs, data))
        child.start()
        assert mine.recv() == (expected, True)
        child.join()
    assert pickle.loads(pickle.dumps(data))._shards == {}


def test_what_is_no_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="does not exist"):
        Dataset(tmp_path / "none")
    with pytest.raises(DatasetError, match=r"holds no manifest\.json"):
        Dataset(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(DatasetError, match="damaged"):
        Dataset(tmp_path)
    (tmp_path / "manifest.json").write_text(f'{{"schema": {SCHEMA}, "simgen": 3}}')
    with pytest.raises(DatasetError, match="damaged"):
        Dataset(tmp_path)


def test_a_damaged_shard_is_told_without_the_names_of_functions(own: Path) -> None:
    path = own / manifests.shard_file(0)
    whole = path.read_bytes()
    path.write_bytes(whole[:3000])
    with Dataset(own) as data, pytest.raises(DatasetError, match=r"\.h5 is damaged \(truncated file\): run the render"):
        data[0]
    with h5py.File(own / "other.h5", "w") as other:
        other["nothing"] = 1
    path.write_bytes((own / "other.h5").read_bytes())
    with Dataset(own) as data, pytest.raises(DatasetError, match=r"\.h5 is damaged \([^()]+\): run the render"):
        data[0]
    path.unlink()
    with Dataset(own) as data, pytest.raises(DatasetError, match=r"\.h5 is missing: run the render"):
        data[0]


def test_an_unknown_schema_is_refused(own: Path) -> None:
    with h5py.File(own / manifests.shard_file(0), "r+") as file:
        file.attrs["schema"] = SCHEMA + 1
    with Dataset(own) as data, pytest.raises(DatasetError, match=f"schema version {SCHEMA + 1}"):
        data[0]
    manifest = manifests.load(own)
    manifest.schema = SCHEMA + 1
    manifests.save(own, manifest)
    with pytest.raises(DatasetError, match=f"schema version {SCHEMA + 1}.*reads version {SCHEMA}"):
        Dataset(own)


def test_an_incomplete_shard_is_named(own: Path) -> None:
    manifest = manifests.load(own)
    manifest.shards[1].state = "pending"
    manifests.save(own, manifest)
    with pytest.raises(DatasetError, match=r"shard-000001\.h5 of 2 shards"):
        Dataset(own)
    assert [p.what for p in verify(own)] == ["is not complete"]


def test_a_missing_shard_is_told_by_reader_and_verify(own: Path) -> None:
    (own / manifests.shard_file(1)).unlink()
    with Dataset(own) as data, pytest.raises(DatasetError, match=r"shard-000001\.h5 is missing"):
        data[9]
    assert [(p.shard, p.what) for p in verify(own)] == [("shards/shard-000001.h5", "is missing")]


def test_verify_is_content_with_a_sound_dataset(dataset: Path) -> None:
    seen: list[tuple[int, int]] = []
    assert verify(dataset, lambda done, of: seen.append((done, of))) == []
    assert seen == [(0, 2), (1, 2), (2, 2)]


def test_verify_finds_a_flipped_bit_and_a_cut_file(own: Path) -> None:
    path = own / manifests.shard_file(0)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    other = own / manifests.shard_file(1)
    other.write_bytes(other.read_bytes()[:-100])
    problems = verify(own)
    assert [p.shard for p in problems] == ["shards/shard-000000.h5", "shards/shard-000001.h5"]
    assert "checksum" in problems[0].what
    assert "bytes instead of" in problems[1].what


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (
            lambda f: f["images/instance"].write_direct(np.full((1, HEIGHT, WIDTH), 9, np.uint16), dest_sel=np.s_[2:3]),
            "id 9",
        ),
        (lambda f: _set(f["objects/px_visib"], 0, 7), "px_visib says 7"),
        (lambda f: _set(f["objects/bbox_visib"], (0, 2), 1), "bbox_visib says"),
        (lambda f: _set(f["objects/category_id"], 0, 5), "category 5 is not in the manifest"),
        (lambda f: _set(f["frames/index"], 3, 4), "not numbered 0 to 7"),
        (lambda f: _set(f["records"], 1, "{}"), "record of scene 1"),
        (lambda f: f.__delitem__("images/depth"), "lacks the passes depth"),
        (lambda f: f.__delitem__("objects"), "damaged"),
    ],
)
def test_verify_finds_wrong_content_under_a_right_checksum(own: Path, change, what: str) -> None:
    path = own / manifests.shard_file(0)
    with h5py.File(path, "r+") as file:
        change(file)
    manifest = manifests.load(own)
    entry = manifest.shards[0]
    entry.bytes, entry.checksum = path.stat().st_size, manifests_checksum(path)
    manifests.save(own, manifest)
    problems = verify(own)
    assert problems
    assert all(p.shard == entry.file and not p.note for p in problems)
    assert any(what in p.what for p in problems), problems


def manifests_checksum(path: Path) -> str:
    import hashlib

    return "blake2b:" + hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()


def _set(data: h5py.Dataset, where, value) -> None:
    data[where] = value


def test_strays_are_notes(own: Path) -> None:
    (own / "shards" / "shard-000007.h5.tmp").write_bytes(b"x")
    (own / "shards" / "other.h5").write_bytes(b"x")
    problems = verify(own)
    assert len(problems) == 2
    assert all(p.note for p in problems)


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "s.h5"

    def fail_half_way() -> None:
        with ShardWriter(path, 2, ORIGIN, Options()) as writer:
            writer.add(make_frames()[0])
            assert (tmp_path / "s.h5.tmp").exists()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert list(tmp_path.iterdir()) == []
    with ShardWriter(path, 2, ORIGIN, Options()) as writer:
        writer.add(make_frames()[0])
        with pytest.raises(ValueError, match="1 of 2 frames"):
            writer.finish()
    assert list(tmp_path.iterdir()) == []


def test_frames_of_another_kind_are_refused(tmp_path: Path) -> None:
    first, second = make_frames()[:2]
    with ShardWriter(tmp_path / "s.h5", 2, ORIGIN, Options()) as writer:
        writer.add(first)
        with pytest.raises(ValueError, match="passes"):
            writer.add(dataclasses.replace(second, images={"rgb": second.images["rgb"]}))
        small = {name: image[:10] for name, image in second.images.items()}
        with pytest.raises(ValueError, match="its first frame was"):
            writer.add(dataclasses.replace(second, images=small))


def test_an_unknown_coding_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match='did you mean "blosc"'):
        ShardWriter(tmp_path / "s.h5", 2, ORIGIN, Options("blosk"))
    with pytest.raises(ConfigError, match='did you mean "jpeg"'):
        ShardWriter(tmp_path / "s.h5", 2, ORIGIN, Options(rgb_codec="jpg"))


def test_an_unwritable_place_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"cannot write .*s\.h5: No such file or directory"):
        ShardWriter(tmp_path / "none" / "s.h5", 2, ORIGIN, Options())


@pytest.mark.parametrize("foreseen", [True, False])
def test_a_full_disk_is_told_in_a_sentence(tmp_path: Path, foreseen: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(tmp_path)], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs the right to mount a small tmpfs")
    if not foreseen:  # then HDF5 itself hits the end of the disk
        monkeypatch.setattr("simgen.shards.writer.free_bytes", lambda folder: 1 << 40)
    try:
        frame = make_frames()[0]
        writer = ShardWriter(tmp_path / "s.h5", 100, ORIGIN, Options())
        with pytest.raises(DatasetError, match=r"no space left to write .*s\.h5 \(.* MB are free there\): free some"):
            deque(map(writer.add, [frame] * 100))
        assert list(tmp_path.iterdir()) == []
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_names_survive_as_links() -> None:
    for name in ("a/b", ".", "..", "%2F", "a.b", "100 %", "./"):
        assert "/" not in escape(name)
        assert escape(name) not in (".", "..")
        assert unescape(escape(name)) == name

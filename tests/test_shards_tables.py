"""What shards are put together from: small tables and entries against h5py's own interface, traces, stored types."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from simgen.scene.state import Trace
from simgen.shards import traces
from simgen.shards.codec import COMPRESSIONS, filters
from simgen.shards.files import start_writing
from simgen.shards.storing import to_stored
from simgen.shards.tables import create_table, write_entry

VALUES: dict[str, Any] = {
    "float": np.linspace(0, 1, 12).reshape(4, 3),
    "strided": np.arange(20, dtype=np.int32)[::2],
    "int8": np.array([-1, 0, 1], np.int8),
    "bool": np.array([True, False]),
    "single": np.array(7, np.uint64),
    "none": np.zeros((0, 3), np.float32),
    "text": np.array([["a", ""], ["Größe", "z" * 300]], object),
    "no text": np.array([], object),
}


@pytest.mark.parametrize("name", ["plain", "Größe"])
@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES.keys())
def test_tables_are_as_h5py_makes_them(tmp_path: Path, values: np.ndarray, name: str) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("group")
        create_table(group, name, values, {"units": "µm", "nulls": True})
        dtype = h5py.string_dtype() if values.dtype == object else values.dtype
        other = group.create_dataset("other", data=values, dtype=dtype)
        other.attrs.update(units="µm", nulls=True)
    with h5py.File(tmp_path / "a.h5") as file:
        made, other = file["group"][name], file["group/other"]
        assert made.shape == values.shape
        assert made.dtype == other.dtype
        assert h5py.check_string_dtype(made.dtype) == h5py.check_string_dtype(other.dtype)
        assert made.chunks == other.chunks
        np.testing.assert_array_equal(made[()], other[()])
        assert dict(made.attrs) == dict(other.attrs)
        assert made.attrs["nulls"].dtype == other.attrs["nulls"].dtype


def test_equal_tables_have_equal_bytes(tmp_path: Path) -> None:
    files = []
    for name in ("a.h5", "b.h5"):
        with h5py.File(tmp_path / name, "w", libver=("v110", "v110")) as file:
            create_table(file, "table", VALUES["float"], {"units": "m"})
            assert not file["table"].id.get_create_plist().get_obj_track_times()
        files.append((tmp_path / name).read_bytes())
    assert files[0] == files[1]


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_entries_are_as_h5py_writes_them(tmp_path: Path, compression: str) -> None:
    images = np.random.default_rng(0).integers(0, 300, (3, 20, 30, 2), dtype=np.uint16)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset(
            "a", images.shape, images.dtype, chunks=(1, 20, 30, 2), **filters(compression, 2, runs=True)
        )
        for n in (2, 0):
            write_entry(data, n, images[n])
    with h5py.File(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(file["a"][0], images[0])
        np.testing.assert_array_equal(file["a"][2], images[2])
        assert not file["a"][1].any()


@pytest.mark.parametrize("held", [1, 5000, 1 << 20], ids=["each scene", "some scenes", "all scenes"])
def test_traces_are_the_same_however_many_readings_are_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int
) -> None:
    """Nine scenes, the fifth of which brings another column and the seventh of which has no reading."""
    monkeypatch.setattr(traces, "_HELD", held)
    rng = np.random.default_rng(1)
    wide = ("x", "y"), ("m", "N")
    narrow = ("x",), ("m",)
    scenes = {}
    for scene in range(3, 12):
        count, (columns, units) = 0 if scene == 9 else 70 + scene, wide if scene == 7 else narrow
        scenes[scene] = Trace(np.arange(count) / 100, rng.random((count, len(columns))), columns, units)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        table = traces.TraceTable(file, "traces/force", "blosc")
        for scene, trace in scenes.items():
            table.append(scene, trace)
        table.finish()
    with h5py.File(tmp_path / "a.h5") as file:
        group = file["traces/force"]
        assert list(group.attrs["columns"]) == ["x", "y"]
        assert list(group.attrs["units"]) == ["m", "N"]
        assert group["time"].attrs["units"] == "s"
        scene_of, value = group["scene"][:], group["value"][:]
        np.testing.assert_array_equal(scene_of, np.repeat(list(scenes), [len(t.time) for t in scenes.values()]))
        np.testing.assert_array_equal(group["time"][:], np.concatenate([t.time for t in scenes.values()]))
        np.testing.assert_array_equal(value[:, 0], np.concatenate([t.value[:, 0] for t in scenes.values()]))
        np.testing.assert_array_equal(value[scene_of == 7, 1], scenes[7].value[:, 1])
        assert np.isnan(value[scene_of != 7, 1]).all()


def test_unit_vectors_are_rounded_to_even() -> None:
    halves = (np.arange(-5, 6) + 0.5) / 32767
    vectors = np.stack([halves, np.linspace(-1, 1, 11), np.zeros(11)], 1).astype(np.float32)
    stored = to_stored("normal", vectors[None])
    assert stored.dtype == np.int16
    assert stored[0, :, 0].tolist() == [round(float(v * np.float32(32767))) for v in vectors[:, 0]]
    assert stored[0, [0, 5, 10], 1].tolist() == [-32767, 0, 32767]
    backwards = vectors[None, ::-1]
    np.testing.assert_array_equal(to_stored("normal", backwards), stored[:, ::-1])


def test_what_is_written_early_is_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with path.open("wb", buffering=0) as file:
        for part in (b"one", b"two"):
            file.write(part)
            start_writing(file.fileno())
    assert path.read_bytes() == b"onetwo"
    start_writing(-1)  # what is wrong with a file is told when it is committed

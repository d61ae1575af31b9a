"""Small tables against those of h5py's own interface."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from simgen.shards.tables import create_table

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

"""Loaded assets come out of the cache as they went in, and only for what they were made of."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simgen.assets import loaded
from simgen.assets.asset import Asset, CollisionShape, Inertia, Material, Mesh, Texture
from simgen.assets.library import Library

TRIANGLE = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0.1]], np.float32)


def made(material: Material | None = None, **changes: Any) -> Asset:
    mesh = Mesh("key", TRIANGLE, np.array([[0, 1, 2]], np.int32), TRIANGLE[::-1].copy(), material or Material())
    shapes = (
        CollisionShape("hull", TRIANGLE[1:].copy()),
        CollisionShape("box", None, (0.1, 0.2, 0.3), (1 / 3, 0.0, 0.0)),
    )
    inertia = Inertia(float(np.float64(0.1)), (1 / 3, 1 / 7, 0.0), (1e-3, 2e-3, 2.5e-3))
    asset = Asset("pile/thing", "thing", (mesh,), np.array([[0, 0, 0], [1, 1, 0.1]]), shapes, inertia)
    return dataclasses.replace(asset, **changes)


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal to the last bit, with equal types throughout."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes() and b.flags.writeable
    if dataclasses.is_dataclass(a):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


class Loader:
    """Counts how often it loads."""

    def __init__(self, asset: Asset) -> None:
        self.asset, self.times = asset, 0

    def __call__(self) -> Asset:
        self.times += 1
        return self.asset


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "thing.obj"
    path.write_text("v 0 0 0")
    return path


@pytest.mark.parametrize(
    "material",
    [
        Material(roughness=1 / 3),
        Material(base_color_map=Texture("key", np.arange(12, dtype=np.uint8).reshape(2, 2, 3)), alpha_cutoff=0.5),
    ],
    ids=["plain", "image"],
)
def test_what_was_loaded_comes_back_to_the_last_bit(tmp_path: Path, file: Path, material: Material) -> None:
    load = Loader(made(material))
    loaded.kept(tmp_path, [file], "", load)
    assert same(load.asset, loaded.kept(tmp_path, [file], "", load))
    assert load.times == 1


def test_it_is_loaded_again_for_whatever_differs(tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = Loader(made())
    loaded.kept(tmp_path, [file], "", load)
    loaded.kept(tmp_path, [file], "scale=2", load)
    assert load.times == 2
    loaded.kept(tmp_path, [file, tmp_path / "missing.mtl"], "", load)
    assert load.times == 3
    file.write_text("v 0 0 1")
    loaded.kept(tmp_path, [file], "", load)
    assert load.times == 4
    monkeypatch.setattr(loaded, "_loader", lambda: b"another version")
    loaded.kept(tmp_path, [file], "", load)
    assert load.times == 5


def test_damaged_files_are_loaded_again(tmp_path: Path, file: Path) -> None:
    load = Loader(made())
    loaded.kept(tmp_path, [file], "", load)
    (entry,) = (tmp_path / "assets").iterdir()
    data = entry.read_bytes()
    for damaged in (b"", data[:-1], data[:100] + bytes([data[100] ^ 1]) + data[101:]):
        entry.write_bytes(damaged)
        assert same(load.asset, loaded.kept(tmp_path, [file], "", load))
        assert entry.read_bytes() == data
    assert load.times == 4


@pytest.mark.parametrize(
    "asset",
    [
        made(Material(base_color_map=Texture("key", np.zeros((1024, 1024, 3), np.uint8)))),
        made(meshes=(), links={"base": ()}, urdf=Path("thing.urdf")),
    ],
    ids=["large", "joints"],
)
def test_what_is_large_or_has_joints_is_not_kept(tmp_path: Path, file: Path, asset: Asset) -> None:
    load = Loader(asset)
    for times in (1, 2):
        assert loaded.kept(tmp_path, [file], "", load) is asset
        assert load.times == times


def test_a_folder_that_cannot_be_written_costs_only_time(tmp_path: Path, file: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    load = Loader(made())
    assert loaded.kept(blocked, [file], "", load) is load.asset


def test_a_library_keeps_what_it_loads(tmp_path: Path) -> None:
    name = "pybullet/random_urdfs/000"
    first, second = (Library(cache_dir=tmp_path).asset(name) for _ in range(2))
    assert len(list((tmp_path / "assets").iterdir())) == 1
    assert same(first, second)

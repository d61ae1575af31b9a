"""Which files an asset consists of: all that loading reads."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from simgen.assets import cache
from simgen.assets.files import closure, references
from simgen.assets.library import Library

FACE = "v 0 0 0\nv 1 0 0\nv 0 1 0\nf -3 -2 -1\n"


def test_materials_named_late_in_a_mesh(tmp_path: Path) -> None:
    path = tmp_path / "late.obj"
    path.write_text("# mtllib old.mtl\n" + "v 0.125 0.5 0.25\n" * 9000 + "\t mtllib  a.mtl b.mtl \r\n" + FACE)
    assert path.stat().st_size > 1 << 17
    (tmp_path / "b.mtl").write_text("newmtl x\nmap_Kd skin.png\n")
    assert closure([path]) == [tmp_path / name for name in ("a.mtl", "b.mtl", "late.obj", "skin.png")]


def test_a_changed_material_shows_whatever_is_in_the_cache(tmp_path: Path) -> None:
    (tmp_path / "late.obj").write_text("v 0.125 0.5 0.25\n" * 9000 + "mtllib late.mtl\nusemtl x\n" + FACE)
    colors = []
    for red in (1.0, 0.25):
        (tmp_path / "late.mtl").write_text(f"newmtl x\nKd {red} 0 0\n")
        (mesh,) = Library([tmp_path], cache_dir=tmp_path / "cache").asset("late").meshes
        colors.append(mesh.material.base_color)
    assert colors[0] != colors[1]


def test_a_binary_file_may_name_others(tmp_path: Path) -> None:
    document = {
        "images": [{"uri": "a%20skin.png"}, {"bufferView": 0}],
        "buffers": [{"byteLength": 4}, {"uri": "more.bin", "byteLength": 8}, {"uri": "data:,", "byteLength": 0}],
    }
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    chunk = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", 4, b"BIN\0") + b"\0\0\0\0"
    path = tmp_path / "thing.glb"
    path.write_bytes(struct.pack("<4sII", b"glTF", 2, 12 + len(chunk)) + chunk)
    assert references(path) == {tmp_path / "a skin.png", tmp_path / "more.bin"}
    path.write_bytes(path.read_bytes()[:30])
    assert references(path) == set()  # told when it is loaded


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    cache.write_whole(tmp_path / "folder" / "entry", b"data")
    assert list((tmp_path / "folder").iterdir()) == []

"""Broken files are found before they are needed, sound ones never blamed; and changes of content are noticed."""

from __future__ import annotations

import logging
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import trimesh
from fake_scenes import FakeSource
from PIL import Image
from test_generate_job import config as job_config
from test_generate_job import stamps
from trimesh.exchange.gltf import export_gltf

from simgen import config
from simgen.assets import contents as contents_module
from simgen.assets.check import broken
from simgen.assets.contents import CACHE, contents
from simgen.assets.library import Library
from simgen.cli.main import main
from simgen.errors import AssetError, DatasetError
from simgen.generate.job import render
from simgen.generate.replay import replay
from simgen.generate.scenes import SceneSource
from simgen.randomize.used import used

MESHES = ("obj", "stl", "ply", "glb", "gltf")
IMAGES = ("png", "jpg", "bmp", "tga", "tif", "webp")


def picture(path: Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 60, 3), np.uint8)
    Image.fromarray(pixels).save(path)


def radiance(path: Path) -> None:
    import cv2

    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.random.default_rng(0).random((32, 64, 3), np.float32))


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    root = tmp_path / "pool"
    for suffix in MESHES:
        (root / "meshes" / suffix).mkdir(parents=True)
        ball = trimesh.creation.icosphere(subdivisions=2, radius=0.05)
        if suffix == "gltf":  # a file and its buffers
            for name, data in export_gltf(ball.scene()).items():
                (root / "meshes" / suffix / name.replace("model", "ball")).write_bytes(data)
        else:
            ball.export(root / "meshes" / suffix / f"ball.{suffix}")
    (root / "meshes" / "ascii").mkdir()
    trimesh.creation.box((0.1,) * 3).export(root / "meshes" / "ascii" / "ball.stl", file_type="stl_ascii")
    obj = root / "meshes" / "obj" / "ball.obj"
    shape = [line for line in obj.read_text().splitlines() if line[:2] in ("v ", "f ")]
    obj.write_text("\n".join(["mtllib ball.mtl", "usemtl skin", *shape]))
    (root / "meshes" / "obj" / "ball.mtl").write_text("newmtl skin\nmap_Kd skin.png\n")
    picture(root / "meshes" / "obj" / "skin.png")
    (root / "meshes" / "robot.urdf").write_text(
        '<robot name="r"><link name="l"><visual><geometry><mesh filename="part/box.stl"/></geometry></visual>'
        '<collision><geometry><box size=".1 .1 .1"/></geometry></collision></link></robot>'
    )
    (root / "meshes" / "part").mkdir()
    trimesh.creation.box((0.1,) * 3).export(root / "meshes" / "part" / "box.stl")
    for suffix in IMAGES:
        picture(root / "textures" / suffix / f"a.{suffix}")
    radiance(root / "hdri" / "sky.hdr")
    return root


def everything(library: Library) -> list[tuple]:
    return [
        *(("asset", name) for name in library.assets(["meshes/*", "plate/*"])),
        *(("texture", name) for name in library.textures("*")),
        *(("environment", name) for name in library.environments("*")),
    ]


def library_of(pool: Path) -> Library:
    return Library([pool], builtin=False, cache_dir=pool.parent / "cache")


def test_sound_files_are_not_even_loaded(pool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = library_of(pool)
    wanted = everything(library)
    assert len(wanted) == len(MESHES) + 2 + 2 * len(IMAGES) + 1
    for name in ("asset", "texture", "environment"):
        monkeypatch.delattr(Library, name)
    assert broken(library, wanted) == []


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def garbled(path: Path) -> None:
    path.write_bytes(b"this is no such file\n" * 50)


CASES = [
    *((f"textures/{suffix}/a.{suffix}", harm) for suffix in ("png", "jpg", "bmp", "webp") for harm in (cut, emptied)),
    *((f"textures/{suffix}/a.{suffix}", harm) for suffix in ("tga", "tif") for harm in (emptied, garbled)),
    *((f"meshes/{suffix}/ball.{suffix}", harm) for suffix in MESHES for harm in (emptied, garbled)),
    *((f"meshes/{suffix}/ball.{suffix}", cut) for suffix in ("stl", "glb", "gltf")),
    ("meshes/ascii/ball.stl", emptied),
    ("meshes/obj/skin.png", cut),
    ("meshes/obj/skin.png", Path.unlink),
    ("meshes/part/box.stl", cut),
    ("meshes/part/box.stl", Path.unlink),
    ("meshes/robot.urdf", cut),
    ("hdri/sky.hdr", emptied),
    ("hdri/sky.hdr", garbled),
    ("hdri/sky.hdr", cut),
]


@pytest.mark.parametrize(("name", "harm"), CASES, ids=[f"{name}-{harm.__name__}" for name, harm in CASES])
def test_broken_files_are_told_by_name(pool: Path, name: str, harm) -> None:
    library = library_of(pool)
    harm(pool / name)
    found = broken(library, everything(library))
    assert found
    assert all(str(pool / name) in sentence for sentence in found), found


def test_what_looks_odd_and_loads_is_sound(pool: Path) -> None:
    (pool / "textures" / "png" / "a.png").unlink()
    shutil.copy(pool / "textures" / "jpg" / "a.jpg", pool / "textures" / "png" / "a.png")  # a wrong suffix
    whole = pool / "textures" / "jpg" / "a.jpg"
    whole.write_bytes(whole.read_bytes() + b"\0" * 9000)  # padded by a camera
    (pool / "meshes" / "obj" / "ball.mtl").unlink()  # then it is plain
    obj = pool / "meshes" / "obj" / "ball.obj"
    lines = obj.read_text().splitlines()
    vertices = [line for line in lines if line.startswith("v ")]
    faces = [line for line in lines if line.startswith("f ")]
    obj.write_text("\n".join(["# " + "x" * 70_000, *vertices, *faces, *["# " + "x" * 100] * 1000]))
    library = library_of(pool)
    assert broken(library, everything(library)) == []


SCENE = """
objects: {{balls: {{assets: [meshes/*], count: 1, place: {{kind: floating, region: [1, 1, 1]}},
          texture: {{probability: {probability}, images: [textures/*]}}}}}}
environment: {{images: [hdri/*], sky_share: {sky}}}
cameras: {{main: {{}}}}
"""


def test_only_what_the_scene_may_show_is_looked_at(pool: Path, tmp_path: Path) -> None:
    library = library_of(pool)
    file = tmp_path / "scene.yaml"

    def kinds(probability: float, sky: float, *more: str) -> set[str]:
        file.write_text(SCENE.format(probability=probability, sky=sky))
        return {kind for kind, _ in used(config.load(file, more), library)}

    assert kinds(0.5, 0.5) == {"asset", "texture", "environment"}
    assert kinds(0, 0.5) == {"asset", "environment"}
    assert kinds(0.5, 1) == {"asset", "texture"}
    assert kinds(0.5, 0.5, "randomize.textures.enabled=false", "randomize.lighting.strength=0") == {"asset"}
    assert kinds(0.5, 0.5, "scene.objects.balls.count=0") == {"texture", "environment"}


def test_keypoints_of_no_asset_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "scene.yaml"
    file.write_text(
        "objects: {a: {assets: [primitive/box], size: 0.1, place: {kind: floating, region: [1, 1, 1]}}}\n"
        "distractors: {b: {assets: [primitive/cone], size: 0.1, place: {kind: floating, region: [1, 1, 1]}}}\n"
        "cameras: {main: {}}\n"
        "keypoints:\n"
        "  boxes: {assets: ['*/box'], points: {top: [0, 0, 1]}}\n"
        "  cones: {assets: ['*/cone'], points: {top: [0, 0, 1]}}\n"
        "  boxen: {assets: ['*/boxx'], points: {top: [0, 0, 1]}}\n"
    )
    source = SceneSource(config.load(file))
    with caplog.at_level(logging.WARNING, logger="simgen"):
        source.check()
    source.close()
    told = [record.getMessage() for record in caplog.records]
    assert ["scene.keypoints.cones" in told[0], "scene.keypoints.boxen" in told[1], len(told)] == [True, True, 2]


def test_all_broken_assets_are_listed_before_anything_is_made(
    pool: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut(pool / "textures" / "png" / "a.png")
    (pool / "meshes" / "obj" / "ball.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\n")
    (tmp_path / "scene.yaml").write_text(SCENE.format(probability=0.1, sky=0))
    out = tmp_path / "d"
    command = ["render", f"scene={tmp_path / 'scene.yaml'}", f"out={out}", "frames=1", f"assets.path=[{pool}]"]
    assert main(command) == 2
    told = capsys.readouterr().err
    assert told.startswith("simgen: 2 assets that this scene may show are broken: ")
    assert "ball.obj has no faces" in told
    assert "a.png is not a readable image" in told
    assert told.count("\n") == 1
    assert not out.exists()


def test_wrong_sidecars_are_told_together(pool: Path) -> None:
    (pool / "meshes" / "obj" / "ball.yaml").write_text("skale: 2")
    (pool / "meshes" / "stl" / "ball.yaml").write_text("mass: heavy")
    with pytest.raises(AssetError, match=r"(?s)obj/ball\.yaml has the unknown key \"skale\".*stl/ball\.yaml says mass"):
        library_of(pool)


def digests(pool: Path) -> dict[str, str]:
    library = library_of(pool)
    return contents(library, everything(library))


def swapped(path: Path) -> None:
    """Another file of the same size."""
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("textures/png/a.png", "textures"),
        ("meshes/obj/skin.png", "meshes"),  # two steps from the mesh
        ("meshes/part/box.stl", "meshes"),
        ("hdri/sky.hdr", "hdri"),
    ],
)
def test_a_change_that_keeps_the_size_is_noticed(pool: Path, name: str, part: str) -> None:
    before, fingerprint = digests(pool), library_of(pool).fingerprint()
    assert set(before) == {"textures", "meshes", "hdri"}
    swapped(pool / name)
    after = digests(pool)
    assert library_of(pool).fingerprint() == fingerprint
    assert {key for key in before if before[key] != after[key]} == {part}


def test_contents_do_not_depend_on_place_and_time(pool: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere" / "pool"
    shutil.copytree(pool, copy, copy_function=shutil.copyfile)
    assert digests(copy) == digests(pool)


def test_sidecars_are_contents(pool: Path) -> None:
    note = pool / "meshes" / "stl" / "ball.yaml"
    note.write_text("scale: 2")
    before = digests(pool)
    note.write_text("scale: 3")
    assert digests(pool)["meshes"] != before["meshes"]


def test_files_are_read_once(pool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long_ago = time.time() - 3600
    for file in pool.rglob("*.*"):
        os.utime(file, (long_ago, long_ago))
    before = digests(pool)
    read: list[Path] = []
    digest = contents_module._digest
    monkeypatch.setattr(contents_module, "_digest", lambda file: read.append(file) or digest(file))
    assert digests(pool) == before
    assert read == []
    (pool / "hdri" / "sky.hdr").touch()  # so young that it is read each time
    assert digests(pool) == digests(pool) == before
    assert read == [pool / "hdri" / "sky.hdr"] * 2
    (pool.parent / "cache" / CACHE).write_text('{"x": 3}')
    assert digests(pool) == before


def test_a_dataset_is_not_continued_with_changed_assets(tmp_path: Path) -> None:
    traps, folder = tmp_path / "traps", tmp_path / "d"
    traps.mkdir()
    render(job_config(folder, frames=4, traps=traps), None, FakeSource)  # as before contents were noted
    (traps / "contents").write_text("one")
    render(job_config(folder, frames=8, traps=traps), None, FakeSource)
    before = stamps(folder)
    (traps / "contents").write_text("two")
    with pytest.raises(DatasetError, match="assets below meshes have been changed since"):
        render(job_config(folder, frames=12, traps=traps), None, FakeSource)
    assert stamps(folder) == before


def test_replay_says_that_assets_were_changed(tmp_path: Path) -> None:
    class Other(FakeSource):
        def frames(self, record, simulation, wanted):
            for frame in super().frames(record, simulation, wanted):
                frame.images["rgb"] ^= 1
                yield frame

    traps, folder = tmp_path / "traps", tmp_path / "d"
    traps.mkdir()
    (traps / "contents").write_text("one")
    render(job_config(folder, frames=4, traps=traps), None, FakeSource)
    assert [d.array for d in replay(folder, 1, open_source=Other)] == ["images/rgb"]
    (traps / "contents").write_text("two")
    found = replay(folder, 1, open_source=Other)
    assert found[0].array == "assets"
    assert found[0].what == "files below meshes have been changed since the dataset was made"
    assert replay(folder, 1, open_source=FakeSource) == []

"""The library: names, what belongs to what, precedence, fingerprint, sidecars, memory, and real assets."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pybullet_data
import pytest
import trimesh
from PIL import Image

from simgen.assets.asset import Mesh
from simgen.assets.bundled import BROKEN_PARTS, OBJECTS, TEXTURES
from simgen.assets.index import category, search_paths
from simgen.assets.inertia import total_moments
from simgen.assets.library import Library
from simgen.errors import AssetError

REAL = Path(os.environ.get("SIMGEN_TEST_ASSETS", Path(__file__).parents[2] / "shared" / "assets"))
needs_real = pytest.mark.skipif(not (REAL / "ycb").is_dir(), reason=f"no asset pack at {REAL} (SIMGEN_TEST_ASSETS)")


def box(path: Path, size: float = 0.1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    trimesh.creation.box((size,) * 3).export(path)


def image(path: Path, color: tuple[int, ...] = (200, 30, 30), size: tuple[int, int] = (8, 4)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGBA" if len(color) == 4 else "RGB", size, color).save(path)


def urdf(path: Path, *meshes: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = "".join(f'<visual><geometry><mesh filename="{mesh}"/></geometry></visual>' for mesh in meshes)
    path.write_text(f'<robot name="r"><link name="base">{parts}</link></robot>')


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    """A folder as users have them."""
    root = tmp_path / "pool"
    urdf(root / "ycb" / "mug.urdf", "mug/textured.stl")
    box(root / "ycb" / "mug" / "textured.stl")
    box(root / "ycb" / "mug" / "textured_coacd_0.stl")
    box(root / "ycb" / "mug" / "spare.stl")
    image(root / "ycb" / "mug" / "texture_map.png")
    box(root / "parts" / "bolt.stl")
    box(root / "parts" / "bolt.ply")
    box(root / "parts" / "bolt_collision_0.stl")
    box(root / "parts" / "nut.ply")
    urdf(root / "parts" / "pair.urdf", "washer.stl")
    box(root / "parts" / "washer.stl")
    image(root / "textures" / "wood" / "wood_000.png")
    image(root / "textures" / "stone" / "stone.jpg")
    box(root / "textures" / "stone" / "sample.stl")
    image(root / "backdrops" / "street.png")
    image(root / "backdrops" / ".hidden.png")
    (root / "backdrops" / "notes.txt").write_text("")
    (root / "hdri").mkdir()
    (root / "hdri" / "dawn.hdr").write_bytes(b"#?RADIANCE\n")
    (root / "sketch").mkdir()
    (root / "sketch" / "scene.gltf").write_text('{"images": [{"uri": "textures/normal%20map.png"}]}')
    image(root / "sketch" / "textures" / "normal map.png")
    image(root / "sketch" / "textures" / "other.png")
    (root / "painted").mkdir()
    (root / "painted" / "cup.obj").write_text("mtllib cup.mtl\n")
    (root / "painted" / "cup.mtl").write_text("newmtl a\nmap_Kd -s 1 1 1 ../textures/cup.png\n")
    image(root / "textures" / "cup.png")
    return root


def test_names(pool: Path) -> None:
    library = Library([pool], builtin=False)
    assert library.assets("*") == [
        "painted/cup",
        "parts/bolt",
        "parts/nut",
        "parts/pair",
        "sketch/scene",
        "textures/stone/sample",
        "ycb/mug",
    ]
    assert library.textures("*") == [
        "backdrops/street.png",
        "sketch/textures/other.png",
        "textures/stone/stone.jpg",
        "textures/wood/wood_000.png",
    ]
    assert library.environments("*") == ["hdri/dawn.hdr"]
    assert library.textures(["textures/wood/*", "*.jpg"]) == ["textures/stone/stone.jpg", "textures/wood/wood_000.png"]
    assert library.assets(["ycb/m?g", "nothing/*"]) == ["ycb/mug"]
    for _ in range(2):
        assert library.by_category(["ycb/mug", "parts/bolt"]) == {"mug": ["ycb/mug"], "bolt": ["parts/bolt"]}
    with pytest.raises(AssetError, match="there is no asset"):
        library.by_category(["ycb/mug", "ycb/jug"])


def test_first_path_and_best_format_win(pool: Path, tmp_path: Path) -> None:
    box(tmp_path / "own" / "ycb" / "mug.stl", 0.25)
    library = Library([tmp_path / "own", pool], builtin=False, cache_dir=tmp_path)
    np.testing.assert_allclose(np.ptp(library.asset("ycb/mug").bounds, axis=0), 0.25, atol=1e-6)
    assert library.category("parts/bolt") == "bolt"
    assert library._entries["asset"]["parts/bolt"].path == pool / "parts" / "bolt.ply"  # tells more than an STL
    assert [part.name for part in library._entries["asset"]["parts/bolt"].parts] == ["bolt_collision_0.stl"]


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("ycb/mug", "mug"),
        ("ycb/025_mug/google_16k/textured", "mug"),
        ("chairs/0007", "chairs"),
        ("power_drill", "power_drill"),
        ("a/model", "a"),
        ("007", "007"),
    ],
)
def test_category_words(name: str, word: str) -> None:
    assert category(name) == word


def test_fingerprint_notices_changes_and_nothing_else(pool: Path, tmp_path: Path) -> None:
    first = Library([pool], builtin=False).fingerprint()
    copy = tmp_path / "elsewhere" / "copy"
    copy.parent.mkdir()
    subprocess.run(["cp", "-r", str(pool), str(copy)], check=True)
    (copy / "ycb" / "mug.urdf").touch()
    assert Library([copy], builtin=False).fingerprint() == first
    assert Library([pool], builtin=True).fingerprint() != first
    image(copy / "textures" / "wood" / "wood_001.png")
    added = Library([copy], builtin=False).fingerprint()
    assert added != first
    box(copy / "ycb" / "mug" / "textured.stl")
    with (copy / "ycb" / "mug" / "textured.stl").open("ab") as file:
        file.write(b" ")
    assert Library([copy], builtin=False).fingerprint() != added


def test_fingerprint_does_not_depend_on_the_process() -> None:
    program = "from simgen.assets.library import Library; print(Library().fingerprint())"
    runs = {
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert runs == {Library().fingerprint().encode() + b"\n"}


def test_search_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMGEN_ASSETS", os.pathsep.join(["/x", "", "/y"]))
    assert search_paths(["/y", "/z"]) == [Path("/y"), Path("/z"), Path("/x")]
    monkeypatch.delenv("SIMGEN_ASSETS")
    assert search_paths() == []


def test_unusable_paths_are_told(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match="does not exist"):
        Library([tmp_path / "absent"])
    (tmp_path / "file").write_text("")
    with pytest.raises(AssetError, match="is not a folder"):
        Library([tmp_path / "file"])


def test_links_in_a_ring_end(pool: Path) -> None:
    (pool / "parts" / "again").symlink_to(pool)
    names = Library([pool], builtin=False).assets("*")
    assert "parts/bolt" in names
    assert not [name for name in names if name.startswith("parts/again")]


def test_unknown_names_get_a_hint(pool: Path) -> None:
    library = Library([pool], builtin=False)
    with pytest.raises(AssetError, match=r'no asset "ycb/mog" \(did you mean "ycb/mug"\?\)'):
        library.asset("ycb/mog")
    with pytest.raises(AssetError, match="no texture"):
        library.texture("textures/wood/wood_00.png")
    with pytest.raises(AssetError, match="no environment"):
        library.environment("hdri/dusk.hdr")
    with pytest.raises(AssetError, match="damaged"):
        library.environment("hdri/dawn.hdr")


def test_values_are_kept_within_a_bound(tmp_path: Path) -> None:
    for k in range(4):
        image(tmp_path / "pool" / f"{k}.png", (k, k, k), (16, 16))
    library = Library([tmp_path / "pool"], builtin=False, cache_bytes=2 * 16 * 16 * 3)
    first = library.texture("0.png")
    assert library.texture("0.png") is first
    library.texture("1.png")
    library.texture("0.png")
    library.texture("2.png")  # drops 1, which was used longest ago
    assert library.texture("0.png") is first
    assert library._kept.total <= library._kept.limit
    again = library.texture("1.png")
    assert np.array_equal(again.pixels, np.full((16, 16, 3), 1))


def test_sidecars(tmp_path: Path) -> None:
    root = tmp_path / "pool"
    (root / "a").mkdir(parents=True)
    trimesh.creation.box((10, 20, 30)).export(root / "a" / "crate.stl")
    (root / "a" / "simgen.yaml").write_text("scale: 1e-2\ncategory: box\ndensity: 100\n")
    library = Library([root], builtin=False, cache_dir=tmp_path)
    asset = library.asset("a/crate")
    np.testing.assert_allclose(np.ptp(asset.bounds, axis=0), [0.1, 0.2, 0.3], atol=1e-6)
    assert asset.inertia is not None
    assert (asset.category, asset.inertia.mass) == ("box", pytest.approx(0.6))
    before = library.fingerprint()
    (root / "a" / "crate.yaml").write_text("up: y\nmass: 2\n")
    library = Library([root], builtin=False, cache_dir=tmp_path)
    assert library.fingerprint() != before
    asset = library.asset("a/crate")
    np.testing.assert_allclose(np.ptp(asset.bounds, axis=0), [0.1, 0.3, 0.2], atol=1e-6)
    assert asset.inertia is not None
    assert asset.inertia.mass == 2
    np.testing.assert_allclose(asset.inertia.moments, 2 / 12 * np.array([0.13, 0.05, 0.10]), rtol=1e-5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("scael: 2", 'did you mean "scale"'),
        ("scale: -1", "above zero"),
        ("scale: true", "above zero"),
        ("mass: .nan", "above zero"),
        ("up: x", '"y" or "z"'),
        ("category: 3", "a word"),
        ("collision: none", '"file" or "visual"'),
        ("keypoints: [tip]", "names with"),
        ("keypoints: {tip: [0, 1]}", "tip: .0, 1.: it has to be"),
        ("keypoints: {tip: [0, 1, .inf]}", "in metres"),
        ("- a", "list of keys"),
        ("a: [", "not readable YAML"),
    ],
)
def test_wrong_sidecars_are_told(tmp_path: Path, text: str, words: str) -> None:
    box(tmp_path / "thing.stl")
    (tmp_path / "thing.yaml").write_text(text)
    with pytest.raises(AssetError, match=words) as caught:
        Library([tmp_path])
    assert "thing.yaml" in str(caught.value)


def test_unplausible_sizes_are_told(tmp_path: Path) -> None:
    trimesh.creation.box((1, 1, 1)).export(tmp_path / "planet.stl")
    (tmp_path / "planet.yaml").write_text("scale: 1e6")
    with pytest.raises(AssetError, match="unit is not the metre"):
        Library([tmp_path], cache_dir=tmp_path).asset("planet")


def test_primitives_and_environments_need_no_files() -> None:
    library = Library()
    assert library.category("primitive/torus") == "torus"
    assert library.asset("primitive/torus").category == "torus"
    keys = {library.environment(name)[0] for name in library.environments("softbox/*")}
    assert len(keys) == len(library.environments("softbox/*")) > 4
    key, radiance = library.environment("softbox/00")
    assert (radiance.shape, radiance.dtype) == ((128, 256, 3), np.float32)
    assert Library().environment("softbox/00")[0] == key


def check_mesh(mesh: Mesh) -> None:
    assert np.isfinite(mesh.vertices).all()
    assert mesh.faces.min() >= 0
    assert mesh.faces.max() < len(mesh.vertices)
    np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("name", sorted(OBJECTS))
def test_bundled_objects_load(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    library = Library(cache_dir=tmp_path_factory.getbasetemp() / "hulls")
    asset = library.asset(f"pybullet/{name}")
    extent = np.ptp(asset.bounds, axis=0)
    assert 0.01 < extent.max() < 2
    assert asset.category == library.category(f"pybullet/{name}")
    for mesh in [*asset.meshes, *(mesh for part in asset.links.values() for mesh in part)]:
        check_mesh(mesh)
    if not asset.articulated:
        assert asset.inertia is not None
        density = asset.inertia.mass / total_moments(asset.collision).volume
        assert 50 < density < 2500
        hulls = [shape.vertices for shape in asset.collision if shape.vertices is not None]
        assert all(len(vertices) <= 64 for vertices in hulls)


@pytest.mark.parametrize("number", [0, 123, 500, 999])
def test_bundled_parts_load(number: int, tmp_path: Path) -> None:
    library = Library(cache_dir=tmp_path)
    assert len(library.assets("pybullet/random_urdfs/*")) == 1000 - len(BROKEN_PARTS)
    asset = library.asset(f"pybullet/random_urdfs/{number:03d}")
    assert asset.category == "part"
    assert 0.03 < np.ptp(asset.bounds, axis=0).max() < 0.2
    assert len(asset.collision) <= 40
    for mesh in asset.meshes:
        check_mesh(mesh)


def test_bundled_textures_load() -> None:
    library = Library()
    assert library.textures("pybullet/*") == [f"pybullet/{name}" for name in TEXTURES]
    assert all((Path(pybullet_data.getDataPath()) / name).is_file() for name in TEXTURES)
    assert max(library.texture("pybullet/table/table.png", 128).pixels.shape) == 128


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Library:
    return Library([REAL], cache_dir=tmp_path_factory.mktemp("hulls"))


@needs_real
def test_real_index(real: Library) -> None:
    assert len(real.assets("ycb/*")) == 24
    assert len(real.textures("textures/*")) == 1445
    assert len(real.environments("hdri/*")) == 18
    assert len(real.textures("signs/*")) == 56
    assert not real.textures("ycb/*")


@needs_real
def test_real_objects(real: Library) -> None:
    """All 24 load, are as large as the things are, carry their texture, and their hulls wrap what is seen."""
    sizes = {"mug": (0.08, 0.13), "banana": (0.15, 0.21), "cracker_box": (0.2, 0.23), "tennis_ball": (0.06, 0.072)}
    for name in real.assets("ycb/*"):
        asset = real.asset(name)
        largest = np.ptp(asset.bounds, axis=0).max()
        low, high = sizes.get(asset.category, (0.03, 0.36))
        assert low < largest < high, name
        (mesh,) = asset.meshes
        check_mesh(mesh)
        assert mesh.material.base_color_map is not None
        assert mesh.material.base_color_map.pixels.shape == (512, 512, 3)
        assert asset.inertia is not None
        assert 0.01 < asset.inertia.mass < 1.5
        spread = max(asset.inertia.moments) / asset.inertia.mass / largest**2
        assert 0.01 < spread < 0.25, name
        for direction in np.eye(3):
            seen, touched = (
                np.concatenate(points) @ direction
                for points in ([mesh.vertices], [s.vertices for s in asset.collision if s.vertices is not None])
            )
            assert abs(seen.max() - touched.max()) < 0.003, name
            assert abs(seen.min() - touched.min()) < 0.003, name


@needs_real
def test_real_environments(real: Library) -> None:
    for name in real.environments("hdri/*")[:3]:
        _, radiance = real.environment(name)
        assert radiance.shape == (256, 512, 3)
        assert 0.05 < radiance.mean() < 20

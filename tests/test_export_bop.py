"""BOP exports, read by the rules of the BOP toolkit and recomputed from the exported poses, models and depth alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from analytic_scenes import HEIGHT, VIEWS, WIDTH, Thing, intersect, rays, scenes, window, write_dataset
from scipy.spatial.distance import pdist

from simgen.errors import DatasetError
from simgen.export import export
from simgen.shards.reader import Dataset

DELTA = 1.0
"""Millimetres by which a surface must lie behind the depth image to count as hidden; the toolkit's scripts take 5 or
15, with which objects that touch hide each other less."""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "d")


@pytest.fixture(scope="module")
def folder(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bop") / "o"
    export(dataset, out, "bop", workers=1)
    return out


def load(path: Path) -> Any:
    """JSON with numbers for keys, as the toolkit's inout.load_json."""
    return json.loads(path.read_text(), object_hook=lambda d: {int(k) if k.isdigit() else k: v for k, v in d.items()})


def load_ply(path: Path) -> dict[str, Any]:
    """An ASCII PLY file by the header's own description, as the toolkit's inout.load_ply reads it."""
    lines = path.read_text().splitlines()
    assert lines[:2] == ["ply", "format ascii 1.0"]
    end = lines.index("end_header")
    vertex = [line.split()[-1] for line in lines[:end] if line.startswith("property") and "list" not in line]
    counts = {line.split()[1]: int(line.split()[2]) for line in lines[:end] if line.startswith("element")}
    assert "property list uchar int vertex_indices" in lines
    rows = np.array([line.split() for line in lines[end + 1 : end + 1 + counts["vertex"]]], float)
    faces = np.array([line.split() for line in lines[end + 1 + counts["vertex"] :]], int)
    assert faces.shape == (counts["face"], 4)
    assert (faces[:, 0] == 3).all()
    model = {name: rows[:, i] for i, name in enumerate(vertex)}
    texture = [line.split()[-1] for line in lines[:end] if line.startswith("comment TextureFile")]
    return {"points": rows[:, :3], "faces": faces[:, 1:], "texture": texture, **model}


def things(folder: Path) -> dict[int, Thing]:
    """The analytic body of each model, from models_info and objects.json."""
    objects = load(folder / "objects.json")
    found = {}
    for number, info in load(folder / "models/models_info.json").items():
        size = tuple(info[f"size_{axis}"] for axis in "xyz")
        shape = "ball" if objects[number]["asset"].endswith("sphere") else "brick"
        found[number] = Thing(shape, size, (0, 0, 0))  # type: ignore[arg-type]
    return found


def rendered(thing: Thing, gt: dict[str, Any]) -> np.ndarray:
    """z-depth in mm on the canvas of three times the image, 0 where there is nothing."""
    T = np.eye(4)
    T[:3, :3] = np.reshape(gt["cam_R_m2c"], (3, 3))
    T[:3, 3] = gt["cam_t_m2c"]
    depth = np.zeros((3 * HEIGHT, 3 * WIDTH))
    rows, columns = window(T[:3, 3], float(np.linalg.norm(thing.size)) / 2)
    found = intersect(thing, T, rays()[rows, columns])
    depth[rows, columns] = np.where(np.isfinite(found), found, 0)
    return depth


def box(mask: np.ndarray) -> list[int]:
    """The toolkit's misc.calc_2d_bbox."""
    ys, xs = np.nonzero(mask)
    return [int(v) for v in (xs.min(), ys.min(), xs.max() - xs.min(), ys.max() - ys.min())]


def test_annotations_are_what_the_toolkit_would_compute(folder: Path) -> None:
    bodies = things(folder)
    compared = hidden = cut = 0
    scene_folders = sorted((folder / "train").iterdir())
    assert [path.name for path in scene_folders] == [f"{k:06d}" for k in range(len(scenes()))]
    for scene in scene_folders[:-1]:
        gts, infos, cameras = (load(scene / f"{n}.json") for n in ("scene_gt", "scene_gt_info", "scene_camera"))
        assert set(gts) == set(infos) == set(cameras) == set(range(VIEWS))
        for im_id, poses in gts.items():
            camera = cameras[im_id]
            depth_file = cv2.imread(str(scene / f"depth/{im_id:06d}.png"), cv2.IMREAD_UNCHANGED)
            assert depth_file.dtype == np.uint16
            depth = depth_file * camera["depth_scale"]
            for gt_id, (gt, info) in enumerate(zip(poses, infos[im_id], strict=True)):
                np.testing.assert_allclose(np.linalg.det(np.reshape(gt["cam_R_m2c"], (3, 3))), 1)
                large = rendered(bodies[gt["obj_id"]], gt)
                own = large[HEIGHT : 2 * HEIGHT, WIDTH : 2 * WIDTH]
                # z-depths are compared here, where the toolkit compares distances along the same rays.
                visible = (own > 0) & ((own - depth <= DELTA) | (depth == 0))
                silhouette = large > 0
                # A pixel at the very edge may go either way, models being written to a hundredth of a micrometre.
                assert abs(info["px_count_all"] - silhouette.sum()) <= 1
                assert abs(info["px_count_visib"] - visible.sum()) <= 2
                assert info["visib_fract"] == info["px_count_visib"] / info["px_count_all"]
                assert abs(info["visib_fract"] - visible.sum() / max(silhouette.sum(), 1)) <= 2 / silhouette.sum()
                assert info["px_count_valid"] == np.count_nonzero(depth[own > 0])
                name = f"{im_id:06d}_{gt_id:06d}.png"
                full, modal = (cv2.imread(str(scene / m / name), cv2.IMREAD_UNCHANGED) for m in ("mask", "mask_visib"))
                assert set(np.unique([full, modal])) <= {0, 255}
                assert np.count_nonzero((full > 0) != (own > 0)) <= 1
                assert np.count_nonzero((modal > 0) != visible) <= 2
                assert info["px_count_visib"] == np.count_nonzero(modal)
                if info["px_count_visib"] == 0:
                    assert info["bbox_obj"] == info["bbox_visib"] == [-1, -1, -1, -1]
                    hidden += 1
                    continue
                expected = box(silhouette)
                expected[0] -= WIDTH
                expected[1] -= HEIGHT
                assert np.abs(np.subtract(info["bbox_obj"], expected)).max() <= 1
                assert info["bbox_visib"] == box(modal > 0)
                cut += min(info["bbox_obj"][:2]) < 0
                compared += 1
    assert compared > 40
    assert hidden > 0
    assert cut > 0


def test_poses_cameras_and_depth_are_those_of_the_dataset(dataset: Path, folder: Path) -> None:
    with Dataset(dataset) as data:
        for index in (0, 5, 13):
            frame = data[index]
            scene, im_id = folder / f"train/{frame.scene:06d}", index % VIEWS
            camera = load(scene / "scene_camera.json")[im_id]
            np.testing.assert_array_equal(np.reshape(camera["cam_K"], (3, 3)), frame.K)
            R, t = np.reshape(camera["cam_R_w2c"], (3, 3)), np.array(camera["cam_t_w2c"]) / 1000
            np.testing.assert_allclose(R @ frame.T_world_cam[:3, 3] + t, 0, atol=1e-12)
            np.testing.assert_allclose(R @ frame.T_world_cam[:3, :3], np.eye(3), atol=1e-12)
            steps = cv2.imread(str(scene / f"depth/{im_id:06d}.png"), cv2.IMREAD_UNCHANGED)
            exact = frame.images["depth"]
            near = exact < 6.5535
            assert np.abs(steps * 0.1 / 1000 - exact)[near].max() < 0.5001e-4
            assert (steps[~near] == 0).all()
            rgb = cv2.cvtColor(cv2.imread(str(scene / f"rgb/{im_id:06d}.png")), cv2.COLOR_BGR2RGB)
            np.testing.assert_array_equal(rgb, frame.images["rgb"])
            for gt in load(scene / "scene_gt.json")[im_id]:
                T = frame.T_world_cam @ np.block(
                    [
                        [np.reshape(gt["cam_R_m2c"], (3, 3)), np.reshape(gt["cam_t_m2c"], (3, 1)) / 1000],
                        [0, 0, 0, 1],
                    ]
                )
                assert np.abs(frame.objects.T_world_obj - T).max(axis=(1, 2)).min() < 1e-12


def test_models_are_in_millimetres(dataset: Path, folder: Path) -> None:
    infos, objects = load(folder / "models/models_info.json"), load(folder / "objects.json")
    assert set(infos) == set(objects) == set(range(1, len(infos) + 1))
    with Dataset(dataset) as data:
        tables = [data.objects(index) for index in range(len(data))]
    sizes = {(t.asset[k], tuple(t.size[k].tolist()), int(t.category_id[k])) for t in tables for k in range(len(t.body))}
    assert len(infos) == len(sizes)
    for number, info in infos.items():
        model = load_ply(folder / f"models/obj_{number:06d}.ply")
        points = model["points"]
        stored = [info[f"size_{axis}"] for axis in "xyz"]
        key = objects[number]["asset"], objects[number]["category_id"]
        same = [size for asset, size, category in sizes if (asset, category) == key]
        assert any(np.allclose(stored, np.multiply(s, 1000), rtol=1e-5) for s in same)
        np.testing.assert_allclose([info[f"min_{axis}"] for axis in "xyz"], points.min(axis=0), atol=2e-5)
        np.testing.assert_allclose(stored, np.ptp(points, axis=0), atol=2e-5)
        assert info["diameter"] == pytest.approx(pdist(points).max(), abs=4e-5)
        normals = np.stack([model["nx"], model["ny"], model["nz"]], axis=-1)
        np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=2e-5)
        corners = points[model["faces"]]
        outward = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        assert (np.einsum("ij,ij->i", outward, corners.mean(axis=1)) >= -1e-6).all()
        assert {"red", "green", "blue"} <= set(model)


def test_camera_file(folder: Path) -> None:
    camera = load(folder / "camera.json")
    assert (camera["width"], camera["height"], camera["fx"], camera["cx"]) == (WIDTH, HEIGHT, 90.0, 47.5)


def test_far_depth_is_noted_and_a_larger_step_reaches_it(dataset: Path, tmp_path: Path) -> None:
    short = export(dataset, tmp_path / "short", "bop", categories=["ball"], models=False, workers=1)
    assert any("beyond 6.553 m" in note for note in short.notes)
    assert not (tmp_path / "short/models").exists()
    far = export(
        dataset, tmp_path / "far", "bop", categories=["ball"], models=False, depth_scale=100.0, workers=1,
        split="train:0.5,test:0.5", image_format="jpeg",
    )  # fmt: skip
    assert far.notes == ()
    assert len(list((tmp_path / "far/test_pbr").iterdir())) == 5
    assert all(path.suffix == ".jpg" for path in (tmp_path / "far").glob("*/*/rgb/*"))


def test_textured_models_keep_their_texture(tmp_path: Path) -> None:
    """An asset with a texture gets texture coordinates with v up, and its image beside it."""
    from simgen.assets.library import Library
    from simgen.export.ply import ply, the_texture

    folder = tmp_path / "assets/tile"
    folder.mkdir(parents=True)
    cv2.imwrite(str(folder / "tile.png"), np.arange(48, dtype=np.uint8).reshape(4, 4, 3))
    (folder / "tile.mtl").write_text("newmtl m\nmap_Kd tile.png\n")
    (folder / "tile.obj").write_text(
        "mtllib tile.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nvt 0 0\nvt 1 0\nvt 0 0.75\nusemtl m\n"
        "f 1/1 3/3 2/2\nf 1/1 2/2 4/3\nf 2/1 3/2 4/3\nf 1/1 4/3 3/2\n"
    )
    library = Library([tmp_path / "assets"])
    [name] = library.assets("*tile*")
    asset = library.asset(name)
    texture = the_texture(asset)
    assert texture is not None
    (tmp_path / "m.ply").write_bytes(ply(asset, (1, 2, 1), "m.png"))
    model = load_ply(tmp_path / "m.ply")
    assert model["texture"] == ["m.png"]
    assert np.ptp(model["points"], axis=0).tolist() == [1000, 2000, 1000]
    pairs = {(round(u, 4), round(v, 4)) for u, v in zip(model["texture_u"], model["texture_v"], strict=True)}
    assert pairs == {(0, 0), (1, 0), (0, 0.75)}  # as the OBJ file has them, v up too


@pytest.mark.parametrize("lens", ["radial_tangential", "fisheye"])
def test_lens_distortion_is_refused(tmp_path: Path, lens: str) -> None:
    import h5py

    data = write_dataset(tmp_path / "d")
    with h5py.File(data / "shards/shard-000000.h5", "r+") as file:
        if lens == "fisheye":  # which bends without any coefficient
            file["camera/distortion_model"][0] = lens
        else:
            file["camera/distortion"][0] = [0.1, 0, 0, 0, 0]
    for name in ("bop", "kitti"):
        with pytest.raises(DatasetError, match=r"frame 0 of .* has lens distortion"):
            export(data, tmp_path / name, name, workers=1)
        shutil.rmtree(tmp_path / name)

"""COCO and BOP folders as datasets: what was exported comes back, and what others wrote is read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from analytic_scenes import CATEGORIES, VIEWS, scenes, write_dataset

from simgen.errors import DatasetError
from simgen.export import export
from simgen.generate.replay import replay
from simgen.importers import import_bop, import_coco
from simgen.importers.polygon import fill
from simgen.labels.rle import decode
from simgen.shards.reader import Dataset
from simgen.shards.verify import verify

FRAMES = VIEWS * len(scenes())


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "d")


@pytest.fixture(scope="module")
def bop(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bop") / "o"
    export(dataset, out, "bop", workers=1, depth_scale=0.1)
    return out


def test_coco_round_trip(dataset: Path, tmp_path: Path) -> None:
    export(dataset, tmp_path / "coco", "coco", workers=1)
    made = import_coco(tmp_path / "coco/train", tmp_path / "coco/annotations/instances_train.json", tmp_path / "d")
    assert made.frames == FRAMES
    assert made.notes == ()
    assert verify(tmp_path / "d") == []
    with Dataset(dataset) as old, Dataset(tmp_path / "d") as new:
        assert list(new.categories) == CATEGORIES
        assert new.manifest.renderer == "import"
        assert new.draws("source", "scene").tolist() == [k // VIEWS for k in range(FRAMES)]
        total = 0
        for a, b in zip(old, new, strict=True):
            np.testing.assert_array_equal(a.images["rgb"], b.images["rgb"])
            rows = np.flatnonzero(a.objects.px_visib > 0)
            total += len(rows)
            np.testing.assert_array_equal(a.objects.bbox_visib[rows], b.objects.bbox_visib)
            np.testing.assert_array_equal(a.objects.px_visib[rows], b.objects.px_visib)
            np.testing.assert_array_equal(a.objects.category_id[rows], b.objects.category_id)
            for k, row in enumerate(rows):
                np.testing.assert_array_equal(b.images["instance"] == k + 1, a.images["instance"] == row + 1)
            np.testing.assert_array_equal(a.images["semantic"], b.images["semantic"])
            assert np.isnan(b.objects.T_cam_obj).all()
            assert np.isnan(b.K).all()
        assert total == made.objects > 200
        names = {category.id: category.name for category in CATEGORIES}
        bodies = new.record(b.index).bodies
        assert [body.category for body in bodies] == [names[i] for i in b.objects.category_id.tolist()]


def test_bop_round_trip(dataset: Path, bop: Path, tmp_path: Path) -> None:
    made = import_bop(bop, "train", tmp_path / "d")
    assert made.frames == FRAMES
    assert verify(tmp_path / "d") == []
    with Dataset(dataset) as old, Dataset(tmp_path / "d") as new:
        assert list(new.categories) == CATEGORIES
        for a, b in zip(old, new, strict=True):
            assert b.draws["source"] == {"scene": a.scene, "image": a.view}
            np.testing.assert_array_equal(a.images["rgb"], b.images["rgb"])
            near = a.images["depth"] < 6.55
            assert np.abs(a.images["depth"] - b.images["depth"])[near].max() < 0.51e-4
            np.testing.assert_array_equal(a.K, b.K)
            np.testing.assert_allclose(b.T_world_cam, a.T_world_cam, atol=1e-12)
            rows = np.flatnonzero(a.objects.px_full > 0)
            np.testing.assert_allclose(b.objects.T_cam_obj, a.objects.T_cam_obj[rows], atol=1e-12)
            np.testing.assert_allclose(b.objects.T_world_obj, a.objects.T_world_obj[rows], atol=1e-12)
            np.testing.assert_allclose(b.objects.size, a.objects.size[rows], rtol=1e-5)
            assert b.objects.asset == tuple(a.objects.asset[k] for k in rows)
            seen = a.objects.px_visib[rows] > 0
            for column in ("bbox_visib", "px_visib", "px_full", "category_id", "visib_fract"):
                np.testing.assert_array_equal(getattr(a.objects, column)[rows], getattr(b.objects, column))
            np.testing.assert_array_equal(a.objects.bbox_full[rows][seen], b.objects.bbox_full[seen])
            np.testing.assert_allclose(a.objects.truncated[rows], b.objects.truncated, atol=1e-6)
            assert [b.objects.mask_full[k] for k in range(len(rows))] == [a.objects.mask_full[k] for k in rows]
            for k, row in enumerate(rows):
                np.testing.assert_array_equal(b.images["instance"] == k + 1, a.images["instance"] == row + 1)


def test_an_imported_dataset_is_exported_by_scene_again(bop: Path, tmp_path: Path) -> None:
    import_bop(bop, "train", tmp_path / "d")
    export(tmp_path / "d", tmp_path / "o", "bop", models=False, split="train:0.5,test:0.5", workers=1)
    with Dataset(tmp_path / "d") as data:
        scene = data.draws("source", "scene").tolist()
    folders = {split: list((tmp_path / "o" / split).iterdir()) for split in ("train", "test")}
    assert {split: len(some) for split, some in folders.items()} == {"train": 5, "test": 5}
    for folder in folders["train"] + folders["test"]:
        numbers = [int(key) for key in json.loads((folder / "scene_gt.json").read_text())]
        assert len({scene[int(folder.name) + number] for number in numbers}) == 1
        assert len(numbers) == VIEWS
    export(tmp_path / "d", tmp_path / "yolo", "yolo", split="train:0.5,val:0.5", task="segment", workers=1)
    with pytest.raises(DatasetError, match="needs the models"):
        export(tmp_path / "d", tmp_path / "k", "kitti", assets=[tmp_path / "nowhere"], workers=1)


def test_bop_of_others(bop: Path, tmp_path: Path) -> None:
    """Without our own file, without depth, masks of silhouettes and world poses, with grey images and an object 0."""
    root = tmp_path / "bop"
    shutil.copytree(bop, root)
    shutil.rmtree(root / ".simgen-export")
    (root / "objects.json").unlink()
    (root / "models").rename(root / "models_cad")
    for scene in (root / "train").iterdir():
        (scene / "rgb").rename(scene / "gray")
        shutil.rmtree(scene / "mask")
        shutil.rmtree(scene / "depth")
        camera = json.loads((scene / "scene_camera.json").read_text())
        for entry in camera.values():
            del entry["cam_R_w2c"], entry["cam_t_w2c"]
        (scene / "scene_camera.json").write_text(json.dumps(camera))
        gt = json.loads((scene / "scene_gt.json").read_text())
        for pose in (pose for poses in gt.values() for pose in poses):
            pose["obj_id"] -= 1
        (scene / "scene_gt.json").write_text(json.dumps(gt))
    made = import_bop(root, "train", tmp_path / "d")
    assert made.notes == ("there is no depth in every scene: no depth pass made",)
    assert verify(tmp_path / "d") == []
    with Dataset(tmp_path / "d") as data:
        assert data.categories[0].id == 1
        assert data.categories[0].name == "obj_000000"
        frame = data[0]
        assert "depth" not in frame.images
        np.testing.assert_array_equal(frame.T_world_cam, np.eye(4))
        np.testing.assert_array_equal(frame.objects.T_world_obj, frame.objects.T_cam_obj)
        assert (frame.objects.px_visib > 0).all()


def write_coco(folder: Path, images: list[dict[str, Any]], annotations: list[dict[str, Any]], categories: list) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for image in images:
        pixels = np.full((image["height"], image["width"], 3), image["id"] % 256, np.uint8)
        cv2.imwrite(str(folder / image["file_name"]), pixels)
    file = folder / "instances.json"
    file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return file


def image(number: int, width: int = 20, height: int = 10) -> dict[str, Any]:
    return {"id": number, "file_name": f"{number}.png", "width": width, "height": height}


def annotation(number: int, image_id: int, category: int, segmentation: Any, **more: Any) -> dict[str, Any]:
    return {"id": number, "image_id": image_id, "category_id": category, "segmentation": segmentation, **more}


def square(x: float, y: float, w: float, h: float) -> list[float]:
    return [x, y, x + w, y, x + w, y + h, x, y + h]


def test_coco_of_others(tmp_path: Path) -> None:
    """Images of several sizes, a category 0, crowds, polygons in parts, plain RLE, annotations that overlap."""
    counts = [5, 3, 10 * 20 - 8]
    file = write_coco(
        tmp_path / "c",
        [image(3, 30), image(9), image(1)],
        [
            annotation(1, 9, 0, [square(2, 2, 4, 3), square(10, 2, 2, 2)]),
            annotation(2, 9, 7, {"size": [10, 20], "counts": counts}),
            annotation(3, 9, 7, {"size": [10, 20], "counts": counts}, iscrowd=1),
            annotation(4, 3, 7, [square(0, 0, 20, 10)]),
            annotation(5, 3, 0, [square(5, 5, 2, 2)]),
        ],
        [{"id": 0, "name": "cat"}, {"id": 7, "name": "dog"}],
    )
    made = import_coco(tmp_path / "c", file, tmp_path / "d")
    assert (made.frames, made.objects, made.notes) == (3, 4, ("1 crowd regions left out",))
    assert verify(tmp_path / "d") == []
    with Dataset(tmp_path / "d") as data:
        assert [(c.id, c.name) for c in data.categories] == [(1, "cat"), (8, "dog")]
        assert data.draws("source", "image_id").tolist() == [1, 9, 3]  # by size, then by id
        assert [frame.images["rgb"].shape for frame in data] == [(10, 20, 3), (10, 20, 3), (10, 30, 3)]
        assert [int(frame.images["rgb"][0, 0, 0]) for frame in data] == [1, 9, 3]
        nine, three = data[1], data[2]
    assert nine.objects.bbox_visib.tolist() == [[2, 2, 10, 3], [0, 5, 1, 3]]
    assert nine.objects.px_visib.tolist() == [16, 3]
    # The smaller one lies on the larger one, whose annotated mask stays whole.
    assert three.objects.px_visib.tolist() == [196, 4]
    assert three.objects.px_full.tolist() == [200, 4]
    np.testing.assert_allclose(three.objects.visib_fract, [0.98, 1])
    assert decode(three.objects.mask_full[0], 10, 30).sum() == 200


def test_coco_with_boxes_only(tmp_path: Path) -> None:
    file = write_coco(
        tmp_path / "c",
        [image(1)],
        [{"id": 1, "image_id": 1, "category_id": 2, "bbox": [2.2, 3.0, 4.0, 5.0]}],
        [{"id": 2, "name": "dog"}],
    )
    made = import_coco(tmp_path / "c", file, tmp_path / "d")
    assert made.notes == ("some annotations have boxes only: no id images made",)
    assert verify(tmp_path / "d") == []
    with Dataset(tmp_path / "d") as data:
        assert data.passes == ("rgb",)
        assert data[0].objects.bbox_visib.tolist() == [[2, 3, 5, 5]]
    export(tmp_path / "d", tmp_path / "yolo", "yolo", workers=1)
    assert (tmp_path / "yolo/labels/train/000000.txt").read_text() == "0 0.225 0.55 0.25 0.5\n"


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools and NumPy 2
def test_polygons_are_filled_as_pycocotools_does() -> None:
    masks = pytest.importorskip("pycocotools.mask", reason="pycocotools is not installed")
    rng = np.random.default_rng(5)
    for _ in range(20):
        angles = np.sort(rng.uniform(0, 2 * np.pi, 9))
        radii = rng.uniform(15, 45, 9)
        corners = np.stack([60 + radii * np.cos(angles), 50 + radii * np.sin(angles)], axis=-1)
        theirs = masks.decode(masks.frPyObjects([corners.ravel().tolist()], 100, 120))[..., 0] > 0
        ours = fill(corners, 100, 120)
        # pycocotools walks the outline in steps of a fifth of a pixel, and differs along it and in sharp notches.
        band = cv2.dilate(ours.astype(np.uint8), np.ones((5, 5))) != cv2.erode(ours.astype(np.uint8), np.ones((5, 5)))
        assert not (ours != theirs)[~band].any()
        assert (ours & theirs).sum() / (ours | theirs).sum() > 0.96


def test_an_import_that_was_cut_off_goes_on(bop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from simgen.importers import dataset as writing

    monkeypatch.setattr(writing, "_SHARD", 6)

    def pull_the_plug(done: int, total: int) -> None:
        if done >= 12:
            raise ConnectionError

    with pytest.raises(ConnectionError):
        import_bop(bop, "train", tmp_path / "d", progress=pull_the_plug)
    with pytest.raises(DatasetError, match="not complete"):
        Dataset(tmp_path / "d")
    first = tmp_path / "d/shards/shard-000000.h5"
    stamp = first.stat().st_mtime_ns
    assert import_bop(bop, "train", tmp_path / "d").frames == FRAMES
    assert first.stat().st_mtime_ns == stamp
    assert verify(tmp_path / "d") == []
    with Dataset(tmp_path / "d") as data:
        assert data.passes == ("rgb", "depth", "instance", "semantic")


def test_errors_are_sentences(bop: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no folder test: there is .*train"):
        import_bop(bop, "test", tmp_path / "d")
    with pytest.raises(DatasetError, match=r"no.json is missing"):
        import_coco(tmp_path, tmp_path / "no.json", tmp_path / "d")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(DatasetError, match="cannot be read as JSON"):
        import_coco(tmp_path, tmp_path / "bad.json", tmp_path / "d")
    for other in ("[1]", '{"categories": [], "annotations": [1], "images": []}', '{"categories": [3]}'):
        (tmp_path / "other.json").write_text(other)
        with pytest.raises(DatasetError, match="not a COCO instance file: its parts are not what they should be"):
            import_coco(tmp_path, tmp_path / "other.json", tmp_path / "d")
    categories = [{"id": 1, "name": "cat"}]
    file = write_coco(tmp_path / "a", [image(1)], [annotation(1, 1, 4, [square(1, 1, 2, 2)])], categories)
    with pytest.raises(DatasetError, match=r"annotation 1 of .* has the category 4"):
        import_coco(tmp_path / "a", file, tmp_path / "d")
    file = write_coco(tmp_path / "b", [image(1)], [annotation(8, 1, 1, {"size": [3, 3], "counts": "04"})], categories)
    with pytest.raises(DatasetError, match=r"annotation 8 of .* no usable segmentation"):
        import_coco(tmp_path / "b", file, tmp_path / "d1")
    file = write_coco(tmp_path / "c", [image(1)], [], categories)
    cv2.imwrite(str(tmp_path / "c/1.png"), np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(DatasetError, match=r"measures 4 x 4, .* says 20 x 10"):
        import_coco(tmp_path / "c", file, tmp_path / "d2")
    (tmp_path / "c/1.png").write_text("x")
    with pytest.raises(DatasetError, match="not an image"):
        import_coco(tmp_path / "c", file, tmp_path / "d3")
    (tmp_path / "c/1.png").unlink()
    with pytest.raises(DatasetError, match="is missing"):
        import_coco(tmp_path / "c", file, tmp_path / "d4")
    with pytest.raises(DatasetError, match="holds other files"):
        import_coco(tmp_path / "c", file, tmp_path / "a")
    shutil.copytree(bop, tmp_path / "cut")
    shutil.rmtree(tmp_path / "cut/train/000003/mask_visib")
    with pytest.raises(DatasetError, match="000003 has no mask_visib"):
        import_bop(tmp_path / "cut", "train", tmp_path / "d5")


def test_what_was_imported_cannot_be_replayed(bop: Path, tmp_path: Path) -> None:
    import_bop(bop, "train", tmp_path / "d")
    with pytest.raises(DatasetError, match=r"d was imported: .* nothing to replay"):
        replay(tmp_path / "d", 0)


def test_another_import_is_not_mixed_in(bop: Path, tmp_path: Path) -> None:
    file = write_coco(tmp_path / "c", [image(1)], [], [{"id": 1, "name": "cat"}])
    import_coco(tmp_path / "c", file, tmp_path / "d")
    with pytest.raises(DatasetError, match="holds another dataset"):
        import_bop(bop, "train", tmp_path / "d")

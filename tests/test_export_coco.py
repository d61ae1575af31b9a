"""COCO exports, judged by pycocotools (and faster-coco-eval where it is installed)."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from analytic_scenes import CATEGORIES, HEIGHT, VIEWS, WIDTH, scenes, write_dataset

from simgen.export import export
from simgen.geometry import inverse
from simgen.shards.reader import Dataset

pytest.importorskip("pycocotools", reason="pycocotools is not installed")
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

FRAMES = VIEWS * len(scenes())


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "d")


@pytest.fixture(scope="module")
def folder(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("coco") / "o"
    export(dataset, out, "coco", keypoints="box", panoptic=True, workers=1)
    return out


@pytest.fixture(scope="module")
def coco(folder: Path) -> Any:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(folder / "annotations/instances_train.json"))


def perfect(coco: Any) -> list[dict[str, Any]]:
    keys = ("image_id", "category_id", "bbox", "segmentation")
    return [{key: a[key] for key in keys} | {"score": 0.9} for a in coco.dataset["annotations"]]


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_a_perfect_prediction_scores_one(coco: Any, kind: str) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        scored = COCOeval(coco, coco.loadRes(perfect(coco)), kind)
        scored.params.maxDets = [1, 10, 300]
        scored.evaluate()
        scored.accumulate()
    precision = scored.eval["precision"][:, :, :, 0, -1]  # IoU thresholds, recalls, categories; all areas, most dets
    assert precision.shape[2] == len(CATEGORIES)
    assert precision.min() == 1.0


def test_another_evaluator_agrees(folder: Path) -> None:
    faster = pytest.importorskip("faster_coco_eval", reason="faster-coco-eval is not installed")
    with contextlib.redirect_stdout(io.StringIO()):
        truth = faster.COCO(str(folder / "annotations/instances_train.json"))
        scored = faster.COCOeval_faster(truth, truth.loadRes(perfect(truth)), "segm", print_function=lambda *_: None)
        scored.params.maxDets = [1, 10, 300]
        scored.evaluate()
        scored.accumulate()
    assert scored.eval["precision"][:, :, :, 0, -1].min() == 1.0


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools and NumPy 2
def test_boxes_areas_and_masks_are_those_of_the_id_image(coco: Any, dataset: Path) -> None:
    checked = 0
    with Dataset(dataset) as data:
        for frame in data:
            found = coco.imgToAnns.get(frame.index + 1, [])
            shown = np.unique(frame.images["instance"])
            assert len(found) == np.count_nonzero(shown)
            masks = {coco.annToMask(a).astype(bool).tobytes(): a for a in found}
            for number in shown[shown > 0]:
                mask = frame.images["instance"] == number
                a = masks[mask.tobytes()]
                ys, xs = np.nonzero(mask)
                assert a["bbox"] == [xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1]
                assert a["area"] == mask.sum()
                assert a["category_id"] == frame.objects.category_id[number - 1]
                checked += 1
    assert checked == len(coco.dataset["annotations"]) > 200


def test_panoptic_segments_are_the_objects(coco: Any, folder: Path) -> None:
    """By the rules of the panoptic API: ids from colours, areas that add up, boxes that enclose."""
    index = json.loads((folder / "annotations/panoptic_train.json").read_text())
    assert [(c["id"], c["name"], c["isthing"]) for c in index["categories"]] == [(c.id, c.name, 1) for c in CATEGORIES]
    assert index["images"] == coco.dataset["images"]
    assert len(index["annotations"]) == FRAMES
    most = 0
    for annotation in index["annotations"]:
        path = folder / "annotations/panoptic_train" / annotation["file_name"]
        blue, green, red = np.moveaxis(cv2.imread(str(path)).astype(int), -1, 0)
        ids = red + 256 * green + 256 * 256 * blue
        segments = {s["id"]: s for s in annotation["segments_info"]}
        assert set(np.unique(ids)) - {0} == set(segments)
        instances = coco.imgToAnns.get(annotation["image_id"], [])
        expected = sorted((a["category_id"], a["area"], tuple(a["bbox"])) for a in instances)
        found = sorted((s["category_id"], s["area"], tuple(s["bbox"])) for s in segments.values())
        assert found == expected
        for number, segment in segments.items():
            ys, xs = np.nonzero(ids == number)
            assert segment["area"] == len(ys)
            assert segment["bbox"] == [xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1]
        most = max(most, *ids.ravel().tolist())
    assert most > 255  # ids beyond one byte are there


def test_ids_images_and_categories(coco: Any, folder: Path) -> None:
    images, annotations = coco.dataset["images"], coco.dataset["annotations"]
    assert [image["id"] for image in images] == list(range(1, FRAMES + 1))
    ids = [a["id"] for a in annotations]
    assert ids == sorted(set(ids))
    assert ids[0] > 0
    assert all(a["iscrowd"] == 0 and min(a["bbox"][2:]) > 0 for a in annotations)
    assert any(a["area"] == 1 for a in annotations)
    assert [(c["id"], c["name"]) for c in coco.dataset["categories"]] == [(c.id, c.name) for c in CATEGORIES]
    for image in images:
        picture = cv2.imread(str(folder / "train" / image["file_name"]))
        assert picture.shape == (image["height"], image["width"], 3) == (HEIGHT, WIDTH, 3)
    assert [a for a in annotations if a["image_id"] in (11, 12)] == []  # the scene with nothing in it


def test_colours_are_those_of_the_dataset(dataset: Path, folder: Path, tmp_path: Path) -> None:
    export(dataset, tmp_path / "jpeg", "coco", image_format="jpeg", jpeg_quality=90, workers=1)
    with Dataset(dataset) as data:
        rgb = data[3].images["rgb"]
    png = cv2.imread(str(folder / "train/000000000003.png"))
    np.testing.assert_array_equal(cv2.cvtColor(png, cv2.COLOR_BGR2RGB), rgb)
    jpeg = cv2.imread(str(tmp_path / "jpeg/train/000000000003.jpg"))
    assert np.abs(cv2.cvtColor(jpeg, cv2.COLOR_BGR2RGB).astype(int) - rgb).mean() < 12
    index = json.loads((tmp_path / "jpeg/annotations/instances_train.json").read_text())
    assert index["images"][3]["file_name"] == "000000000003.jpg"


def test_ids_do_not_depend_on_the_split(coco: Any, dataset: Path, tmp_path: Path) -> None:
    export(dataset, tmp_path / "o", "coco", split="train:0.5,val:0.5", workers=1)
    parts = [json.loads((tmp_path / f"o/annotations/instances_{s}.json").read_text()) for s in ("train", "val")]
    found = {(a["id"], a["image_id"], tuple(a["bbox"])) for part in parts for a in part["annotations"]}
    assert found == {(a["id"], a["image_id"], tuple(a["bbox"])) for a in coco.dataset["annotations"]}
    for part, split in zip(parts, ("train", "val"), strict=True):
        assert {i["file_name"] for i in part["images"]} == {p.name for p in (tmp_path / "o" / split).iterdir()}


def test_keypoints_are_the_projected_boxes(coco: Any, dataset: Path) -> None:
    category = coco.dataset["categories"][0]
    assert len(category["keypoints"]) == len(set(category["keypoints"])) == 9
    assert len(category["skeleton"]) == 12
    hidden = seen = outside = 0
    with Dataset(dataset) as data:
        for frame in data:
            T_cam_world = inverse(frame.T_world_cam)
            rows = {}
            for k in np.flatnonzero(frame.objects.px_visib > 0):
                rows[tuple(frame.objects.bbox_visib[k].tolist())] = k
            for a in coco.imgToAnns.get(frame.index + 1, []):
                k = rows[tuple(a["bbox"])]
                half = frame.objects.size[k].astype(float) / 2
                T = T_cam_world @ frame.objects.T_world_obj[k]
                points = np.array(a["keypoints"], float).reshape(9, 3)
                assert a["num_keypoints"] == (points[:, 2] > 0).sum()
                for name, (x, y, v) in zip(category["keypoints"], points, strict=True):
                    sign = np.zeros(3)
                    if name != "center":
                        sign = np.array([1 if name[name.index(axis) - 1] == "+" else -1 for axis in "xyz"])
                    p = T[:3, :3] @ (sign * half) + T[:3, 3]
                    uv = (frame.K @ p / p[2])[:2]
                    inside = p[2] > 0 and -0.5 <= uv[0] < WIDTH - 0.5 and -0.5 <= uv[1] < HEIGHT - 0.5
                    assert (v > 0) == inside
                    if inside:
                        np.testing.assert_allclose((x, y), uv, atol=0.006)
                        nearest = frame.images["depth"][int(np.rint(uv[1])), int(np.rint(uv[0]))]
                        assert (v == 1) == (0 < nearest < p[2] - 0.002)
                        hidden, seen = hidden + (v == 1), seen + (v == 2)
                    else:
                        outside += 1
                        assert (x, y) == (0, 0)
    assert min(hidden, seen, outside) > 20

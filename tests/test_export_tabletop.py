"""All exports of 300 rendered frames, checked by what consumers ask; and back again through the importers."""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from test_export_bop import load
from test_export_kitti import Label
from test_export_yolo import check_layout

from simgen import config
from simgen.errors import DatasetError
from simgen.export import export
from simgen.generate.job import render
from simgen.importers import import_bop, import_coco
from simgen.labels.rle import decode
from simgen.shards.reader import Dataset
from simgen.shards.verify import verify

pytest.importorskip("pycocotools", reason="pycocotools is not installed")
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

FRAMES, WIDTH, HEIGHT = 300, 160, 120
POINTS = {"duck": {"beak": [0.0, 0.04, 0.05], "top": [0.0, 0.0, 0.09]}, "mug": {"rim": [0, 0, 0.08]}}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tabletop") / "d"
    size = [f"image.width={WIDTH}", f"image.height={HEIGHT}"]
    plain = config.to_plain(config.load("tabletop", [f"out={out}", f"frames={FRAMES}", "seed=5", "workers=2", *size]))
    plain["scene"]["keypoints"] = {name: {"assets": [f"*{name}*"], "points": p} for name, p in POINTS.items()}
    render(config.from_plain(plain))
    return out


@pytest.fixture(scope="module")
def coco_folder(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("coco") / "o"
    export(dataset, out, "coco", keypoints="named", split="train:0.8,val:0.2", workers=2)
    return out


def evaluated(truth: Any, kind: str, **params: Any) -> float:
    """The lowest precision of a perfect prediction over IoU thresholds, recalls and categories."""
    keys = ("image_id", "category_id", "bbox", "segmentation", "keypoints")
    # Without a point in the image there is nothing to predict.
    shown = [a for a in truth.dataset["annotations"] if kind != "keypoints" or a["num_keypoints"]]
    found = [{key: a[key] for key in keys if key in a} | {"score": 0.9} for a in shown]
    with contextlib.redirect_stdout(io.StringIO()):
        scored = COCOeval(truth, truth.loadRes(found), kind)
        for name, value in params.items():
            setattr(scored.params, name, value)
        scored.evaluate()
        scored.accumulate()
    precision = scored.eval["precision"][:, :, :, 0, -1]
    assert (precision > -1).any()
    return float(precision[precision > -1].min())


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_coco_scores_a_perfect_prediction_one(coco_folder: Path) -> None:
    frames = 0
    for split in ("train", "val"):
        with contextlib.redirect_stdout(io.StringIO()):
            truth = COCO(str(coco_folder / f"annotations/instances_{split}.json"))
        frames += len(truth.dataset["images"])
        assert all(a["area"] > 0 and min(a["bbox"][2:]) > 0 for a in truth.dataset["annotations"])
        assert evaluated(truth, "bbox") == evaluated(truth, "segm") == 1.0
    assert frames == FRAMES


def test_coco_keypoints_score_one(coco_folder: Path) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(coco_folder / "annotations/instances_train.json"))
    categories = [c for c in truth.dataset["categories"] if c["keypoints"]]
    assert {tuple(c["keypoints"]) for c in categories} == {("beak", "top"), ("rim",)}
    for category in categories:
        count = len(category["keypoints"])
        # The evaluator stacks the points of all detections, so that those of one category are loaded at a time.
        some = COCO()
        some.dataset = {
            **truth.dataset,
            "annotations": [a for a in truth.dataset["annotations"] if a["category_id"] == category["id"]],
        }
        with contextlib.redirect_stdout(io.StringIO()):
            some.createIndex()
        visible = sum(a["num_keypoints"] > 0 for a in some.dataset["annotations"])
        assert visible > 20
        sigmas = np.full(count, 0.05)
        assert evaluated(some, "keypoints", catIds=[category["id"]], kpt_oks_sigmas=sigmas) == 1.0


def test_named_keypoints_are_those_of_the_frames(dataset: Path, coco_folder: Path, tmp_path: Path) -> None:
    index = json.loads((coco_folder / "annotations/instances_val.json").read_text())
    names = {c["id"]: c["keypoints"] for c in index["categories"]}
    levels = set()
    with Dataset(dataset) as data:
        for annotation in index["annotations"]:
            if not names[annotation["category_id"]]:
                assert annotation["keypoints"] == []
                continue
            frame = data[annotation["image_id"] - 1]
            table, objects = frame.keypoints, frame.objects
            assert table is not None
            row = next(k for k in range(len(objects.body)) if objects.bbox_visib[k].tolist() == annotation["bbox"])
            points = np.reshape(annotation["keypoints"], (-1, 3))
            for name, (x, y, v) in zip(names[annotation["category_id"]], points, strict=True):
                k = next(k for k, n in enumerate(table.name) if n == name and table.object[k] == row)
                assert v == {0: 0, 1: 1, 2: 1, 3: 2}[int(table.visibility[k])]
                np.testing.assert_allclose((x, y), table.xy[k] if v else (0, 0), atol=0.006)
                levels.add(int(v))
    assert levels == {0, 1, 2}
    export(dataset, tmp_path / "y", "yolo", task="pose", keypoints="named", workers=1)
    labels = check_layout(tmp_path / "y", "pose", (HEIGHT, WIDTH))
    assert {len(line) for lines in labels.values() for line in lines} == {5 + 3 * 3}


def test_coco_comes_back(dataset: Path, coco_folder: Path, tmp_path: Path) -> None:
    made = import_coco(
        coco_folder / "val", coco_folder / "annotations/instances_val.json", tmp_path / "d", progress=None
    )
    assert made.frames == FRAMES // 5
    assert verify(tmp_path / "d") == []
    with Dataset(dataset) as old, Dataset(tmp_path / "d") as new:
        for b in new:
            a = old[int(b.draws["source"]["image_id"]) - 1]
            rows = np.flatnonzero(a.objects.px_visib > 0)
            np.testing.assert_array_equal(a.objects.bbox_visib[rows], b.objects.bbox_visib)
            np.testing.assert_array_equal(np.isin(a.images["instance"], rows + 1), b.images["instance"] > 0)
            np.testing.assert_array_equal(a.images["semantic"], b.images["semantic"])


def test_yolo_layout(dataset: Path, tmp_path: Path) -> None:
    for task in ("detect", "segment"):
        export(dataset, tmp_path / task, "yolo", task=task, split="train:0.9,val:0.1", workers=2)
        labels = check_layout(tmp_path / task, task, (HEIGHT, WIDTH))
        assert set(labels) == set(range(FRAMES))
    with pytest.raises(DatasetError, match="no keypoints"):
        export(dataset, tmp_path / "p", "yolo", task="pose", keypoints="nameed", workers=1)


def test_bop_is_to_the_specification_and_comes_back(dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "o"
    export(dataset, out, "bop", workers=2)
    models = load(out / "models/models_info.json")
    assert all(10 < info["diameter"] < 1000 for info in models.values())  # household objects, in millimetres
    images = seen = 0
    for scene in sorted((out / "train").iterdir()):
        gts, infos, cameras = (load(scene / f"{n}.json") for n in ("scene_gt", "scene_gt_info", "scene_camera"))
        assert set(gts) == set(infos) == set(cameras)
        images += len(gts)
        for im_id, poses in gts.items():
            assert len(cameras[im_id]["cam_K"]) == 9
            depth = cv2.imread(str(scene / f"depth/{im_id:06d}.png"), cv2.IMREAD_UNCHANGED)
            depth = depth * cameras[im_id]["depth_scale"]
            for number, (gt, info) in enumerate(zip(poses, infos[im_id], strict=True)):
                R = np.reshape(gt["cam_R_m2c"], (3, 3))
                np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-6)
                assert gt["obj_id"] in models
                modal = cv2.imread(str(scene / f"mask_visib/{im_id:06d}_{number:06d}.png"), cv2.IMREAD_UNCHANGED) > 0
                full = cv2.imread(str(scene / f"mask/{im_id:06d}_{number:06d}.png"), cv2.IMREAD_UNCHANGED) > 0
                assert (full | ~modal).all()
                assert info["px_count_visib"] == np.count_nonzero(modal)
                assert info["visib_fract"] == info["px_count_visib"] / max(info["px_count_all"], 1)
                # Every visible pixel, taken into the model's frame by camera, depth and pose, lies in the model's box.
                v, u = np.nonzero(modal)
                K = np.reshape(cameras[im_id]["cam_K"], (3, 3))
                rays = np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], np.ones(len(u))], 1)
                points = (rays * depth[v, u][:, None] - gt["cam_t_m2c"]) @ R
                model = models[gt["obj_id"]]
                low = np.array([model[f"min_{axis}"] for axis in "xyz"])
                high = low + [model[f"size_{axis}"] for axis in "xyz"]
                assert ((points >= low - 0.5) & (points <= high + 0.5)).all()
                seen += len(u)
    assert seen > 100_000
    assert images == FRAMES
    made = import_bop(out, "train", tmp_path / "d")
    assert made.frames == FRAMES
    with Dataset(dataset) as old, Dataset(tmp_path / "d") as new:
        for index in range(0, FRAMES, 29):
            a, b = old[index], new[index]
            rows = np.flatnonzero(a.objects.px_full > 0)
            np.testing.assert_allclose(b.objects.T_cam_obj, a.objects.T_cam_obj[rows], atol=1e-9)
            np.testing.assert_array_equal(b.objects.px_visib, a.objects.px_visib[rows])
            np.testing.assert_allclose(b.objects.visib_fract, a.objects.visib_fract[rows], atol=1e-6)


def test_kitti_lines_parse(dataset: Path, tmp_path: Path) -> None:
    export(dataset, tmp_path / "o", "kitti", workers=2)
    lines = 0
    for path in sorted((tmp_path / "o/training/label_2").iterdir()):
        for line in path.read_text().splitlines():
            label = Label.parse(line)
            lines += 1
            assert 0 <= label.truncation <= 1
            assert label.occlusion in (0, 1, 2)
            assert 0 <= label.box[0] <= label.box[2] <= WIDTH - 1
            assert 0 <= label.box[1] <= label.box[3] <= HEIGHT - 1
            assert min(label.h, label.w, label.l) > 0
            assert -np.pi <= label.ry <= np.pi
    assert lines > FRAMES


def test_webdataset_has_every_frame(dataset: Path, tmp_path: Path) -> None:
    export(dataset, tmp_path / "o", "webdataset", workers=2)
    keys, points = set(), 0
    for path in (tmp_path / "o").glob("*.tar"):
        with tarfile.open(path) as tar:
            for member in tar:
                key, _, suffix = member.name.partition(".")
                keys.add(int(key))
                if suffix == "json":
                    file = tar.extractfile(member)
                    assert file is not None
                    for entry in json.load(file)["objects"]:
                        mask = decode(entry["mask_visib"]["counts"].encode(), HEIGHT, WIDTH)
                        assert mask.sum() == entry["px_visib"]
                        points += len(entry.get("keypoints", {}))
    assert keys == set(range(FRAMES))
    assert points > 50


def test_voc_masks_and_boxes(dataset: Path, tmp_path: Path) -> None:
    export(dataset, tmp_path / "o", "voc", task="segment", workers=2)
    assert len(list((tmp_path / "o/SegmentationObject").iterdir())) == FRAMES
    assert len((tmp_path / "o/ImageSets/Segmentation/train.txt").read_text().split()) == FRAMES

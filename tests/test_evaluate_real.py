"""Real images in the formats that people have them in; what is wrong with them is told."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from simgen.evaluate.data import open_source, skipped
from simgen.evaluate.experiment.data import digest
from simgen.evaluate.real import open_real
from simgen.evaluate.real.source import read_image
from simgen.labels import rle
from simgen.learn.errors import LearnError
from simgen.learn.sample import UNLABELLED

REAL = Path(os.environ.get("SIMGEN_TEST_REAL", Path(__file__).resolve().parents[2] / "shared" / "real"))


def picture(path: Path, width: int = 40, height: int = 30, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    return path


def break_file(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def coco(root: Path, **changes: Any) -> Path:
    for k in range(3):
        picture(root / "images" / f"{k}.jpg", seed=k)
    content: dict[str, Any] = {
        "images": [{"id": k + 1, "file_name": f"{k}.jpg", "width": 40, "height": 30} for k in range(3)],
        "categories": [{"id": 7, "name": "Big Dog"}, {"id": 3, "name": "cat"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 7, "bbox": [2, 3, 10, 8], "iscrowd": 0},
            {"id": 2, "image_id": 1, "category_id": 3, "bbox": [20, 5, 9, 9], "iscrowd": 1},
            {"id": 3, "image_id": 2, "category_id": 3, "bbox": [30, 20, 25, 25], "iscrowd": 0},
        ],
        **changes,
    }
    (root / "annotations.json").write_text(json.dumps(content))
    return root


def test_class_folders(tmp_path: Path) -> None:
    for name, count in (("stop", 2), ("yield", 3)):
        for k in range(count):
            picture(tmp_path / name / f"{k // 2:05d}_{k:05d}.png", seed=k)
    (tmp_path / "empty").mkdir()
    source = open_real(tmp_path)
    assert (len(source), source.classes) == (5, ("stop", "yield"))
    assert source.objects(4).boxes.tolist() == [[0, 0, 40, 30]]
    assert source.objects(4).labels.tolist() == [1]
    assert source.group(2) == source.group(3) == "yield/00000" != source.group(4)
    np.testing.assert_array_equal(source[0].image, read_image(tmp_path / "stop" / "00000_00000.png"))
    assert any("class folders without images: empty" in line for line in source.report.lines())


def test_coco_boxes_crowds_and_order_of_categories(tmp_path: Path) -> None:
    source = open_real(coco(tmp_path))
    assert source.classes == ("Big Dog", "cat")
    assert source.objects(0).boxes.tolist() == [[2, 3, 10, 8], [20, 5, 9, 9]]
    assert source.objects(0).ignore.tolist() == [False, True]
    assert source.objects(0).crowd.tolist() == [False, True]
    assert source.objects(1).boxes.tolist() == [[30, 20, 10, 10]]
    lines = "\n".join(source.report.lines())
    assert "1 boxes clipped to the image: 1.jpg" in lines
    assert "1 images without any object, kept as background: 2.jpg" in lines
    assert open_real(tmp_path / "annotations.json").objects(0).labels.tolist() == [0, 1]


def test_classes_are_mapped_by_name(tmp_path: Path) -> None:
    coco(tmp_path)
    source = open_real(tmp_path, classes=["big_dog", "cat"])  # case, spaces and underscores do not matter
    assert source.classes == ("big_dog", "cat")
    assert source.objects(0).labels.tolist() == [0, 1]
    pets = open_real(tmp_path, classes=["pet"], mapping={"big dog": "pet", "cat": "pet"})
    assert pets.objects(0).labels.tolist() == [0, 0]
    dogs = open_real(tmp_path, mapping={"cat": None})
    assert dogs.classes == ("Big Dog",)
    assert [len(dogs.objects(k)) for k in range(3)] == [1, 0, 0]
    assert any("2 objects skipped, their class is not wanted: cat" in line for line in dogs.report.lines())
    with pytest.raises(LearnError, match=r"classes of .* \(Big Dog, cat\) do not match those wanted \(bird\)"):
        open_real(tmp_path, classes=["bird"])
    with pytest.raises(LearnError, match=r'"?\'kat\' \(did you mean "cat"\?\)'):
        open_real(tmp_path, mapping={"kat": "cat"})


def test_a_part_need_not_show_every_class_of_the_mapping(tmp_path: Path) -> None:
    picture(tmp_path / "val" / "tasse" / "0.png")
    source = open_real(tmp_path / "val", classes=["cup", "can"], mapping={"tasse": "cup", "dose": "can"})
    assert source.objects(0).labels.tolist() == [0]
    assert "names of the mapping that no label has: dose" in "\n".join(source.report.lines())


def test_coco_masks_as_polygons_and_run_lengths(tmp_path: Path) -> None:
    mask = np.zeros((30, 40), bool)
    mask[5:15, 8:20] = True
    ring = [8, 5, 20, 5, 20, 15, 8, 15]
    runs = np.diff(np.flatnonzero(np.diff(np.concatenate([[False], mask.T.ravel(), [False]]).astype(int))), prepend=0)
    counts = [*runs.tolist(), 30 * 40 - int(runs.sum())]
    encoded = rle.encode(mask, 0, 0, 30, 40).decode()
    shapes = ([ring], {"size": [30, 40], "counts": counts}, {"size": [30, 40], "counts": encoded})
    annotations = [
        {"id": k + 1, "image_id": k + 1, "category_id": 3, "segmentation": shape, "iscrowd": int(k == 2)}
        for k, shape in enumerate(shapes)
    ]
    source = open_real(coco(tmp_path, annotations=annotations), need="masks")
    for k in range(3):
        semantic = source[k].semantic
        assert semantic is not None
        value = UNLABELLED if k == 2 else 2
        if k:
            np.testing.assert_array_equal(semantic == value, mask)
        else:
            assert np.count_nonzero((semantic == value) != mask) <= 24  # the edge of a polygon is a matter of taste
    np.testing.assert_array_equal(source.objects(1).boxes, [[8, 5, 12, 10]])


def test_coco_faults_are_told(tmp_path: Path) -> None:
    annotations = [
        {"id": 1, "image_id": 1, "category_id": 7, "bbox": [2, 3, 10, 8]},
        {"id": 2, "image_id": 9, "category_id": 7, "bbox": [2, 3, 10, 8]},
        {"id": 3, "image_id": 1, "category_id": 99, "bbox": [2, 3, 10, 8]},
        {"id": 4, "image_id": 1, "category_id": 7, "bbox": []},
        {"id": 5, "image_id": 1, "category_id": 7, "bbox": [50, 3, 10, 8]},
        {"id": 6, "image_id": 1, "category_id": 7, "bbox": [5, 3, 0, 8]},
        {"id": 7, "image_id": 1, "category_id": 7, "bbox": [-4, -4, 10, 8]},
    ]
    coco(tmp_path, annotations=annotations)
    break_file(tmp_path / "images" / "1.jpg")
    (tmp_path / "images" / "2.jpg").unlink()
    source = open_real(tmp_path)
    lines = "\n".join(source.report.lines())
    for reason in (
        "their image is not listed: annotation 2",
        "their category is not listed: annotation 3",
        "neither box nor mask: annotation 4",
        "outside the image: 0.jpg",
        "box is empty: 0.jpg",
        "boxes clipped to the image: 0.jpg",
        "cannot be read: 1.jpg",
        "file is missing: 2.jpg",
    ):
        assert reason in lines, reason
    assert source.objects(0).boxes.tolist() == [[2, 3, 10, 8], [0, 0, 6, 4]]
    assert source.report.plain()["skipped"]["images skipped, the file is missing"]["count"] == 1


def test_annotations_of_a_resized_copy_are_scaled(tmp_path: Path) -> None:
    coco(tmp_path)
    picture(tmp_path / "images" / "0.jpg", 80, 60)
    source = open_real(tmp_path)
    assert source.objects(0).boxes[0].tolist() == [4, 6, 20, 16]
    assert "another size" in "\n".join(source.report.lines())
    square = [[10, 10, 20, 10, 20, 20, 10, 20]]
    runs = {"size": [30, 40], "counts": [310, *[10, 20] * 9, 10, 610]}  # the same square, column by column
    for shape in (square, runs):
        annotations = [{"id": 1, "image_id": 1, "category_id": 3, "segmentation": shape}]
        coco(tmp_path, annotations=annotations)
        picture(tmp_path / "images" / "0.jpg", 80, 60)
        source = open_real(tmp_path, need="masks")
        semantic = source[0].semantic
        assert semantic is not None
        assert np.count_nonzero(semantic[22:38, 22:38] == 2) == 16 * 16
        assert np.count_nonzero(semantic == 2) <= 22 * 22
        np.testing.assert_allclose(source.objects(0).boxes[0], [20, 20, 20, 20], atol=2)


@pytest.mark.parametrize(
    "shape", [None, [[1, 2, 3, 4, 5, 6, 7]], [["a"] * 6], [[float("nan")] * 6], {"counts": [1]},
              {"size": [30, 40], "counts": [5]}, {"size": [30, 40], "counts": "zz"}]
)  # fmt: skip
def test_an_object_without_a_mask_is_not_taken_for_background(tmp_path: Path, shape: Any) -> None:
    entry = {"image_id": 1, "category_id": 3, "bbox": [20, 5, 9, 9], "segmentation": shape}
    good = {"id": 2, "image_id": 2, "category_id": 3, "segmentation": [[5, 5, 15, 5, 15, 15]]}
    source = open_real(coco(tmp_path, annotations=[{"id": 1, **entry}, good]), need="masks")
    semantic = source[0].semantic
    assert semantic is not None
    assert np.argwhere(semantic == UNLABELLED).min(0).tolist() == [5, 20]
    assert np.count_nonzero(semantic == UNLABELLED) == 81
    assert np.count_nonzero(semantic) == 81
    assert "1 objects without a mask, their boxes count neither" in "\n".join(source.report.lines())


def test_an_image_is_turned_unless_its_labels_are_not(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held on its side
    Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(tmp_path / "a.jpg", exif=exif)
    assert read_image(tmp_path / "a.jpg").shape == (40, 30, 3)
    assert read_image(tmp_path / "a.jpg", (30, 40)).shape == (40, 30, 3)
    assert read_image(tmp_path / "a.jpg", (40, 30)).shape == (30, 40, 3)


def test_pascal_voc(tmp_path: Path) -> None:
    picture(tmp_path / "JPEGImages" / "x.jpg")
    (tmp_path / "Annotations").mkdir()
    body = "<annotation><filename>x.jpg</filename><size><width>40</width><height>30</height></size>{}</annotation>"
    thing = (
        "<object><name>cup</name><difficult>{}</difficult>"
        "<bndbox><xmin>1</xmin><ymin>3</ymin><xmax>10</xmax><ymax>12</ymax></bndbox></object>"
    )
    (tmp_path / "Annotations" / "x.xml").write_text(body.format(thing.format(0) + thing.format(1)))
    (tmp_path / "Annotations" / "y.xml").write_text("<annotation><object>")
    source = open_real(tmp_path)
    assert source.objects(0).boxes.tolist() == [[0, 2, 10, 10]] * 2
    assert source.objects(0).ignore.tolist() == [False, True]
    assert "XML is broken: y.xml" in "\n".join(source.report.lines())


def test_yolo_boxes_polygons_and_names(tmp_path: Path) -> None:
    for k in range(2):
        picture(tmp_path / "images" / "val" / f"{k}.png", 40, 20)
    (tmp_path / "labels" / "val").mkdir(parents=True)
    lines = "1 0.5 0.5 0.25 0.5\n0 0.1 0.2 0.6 0.2 0.6 0.8 0.1 0.8\n1 0.5 oops\n"
    (tmp_path / "labels" / "val" / "0.txt").write_text(lines)
    (tmp_path / "data.yaml").write_text("names:\n  0: pear\n  1: plum\n")
    source = open_real(tmp_path)
    assert source.report.format == "yolo"
    assert source.classes == ("pear", "plum")
    np.testing.assert_allclose(source.objects(0).boxes, [[15, 5, 10, 10], [4, 4, 20, 12]], atol=1e-4)
    assert source.objects(0).labels.tolist() == [1, 0]
    semantic = source[0].semantic
    assert semantic is not None
    assert (semantic[6:14, 6:22] == 1).all()
    assert "0.txt:3" in "\n".join(source.report.lines())
    assert len(source.objects(1)) == 0


def test_masks_and_poses(tmp_path: Path) -> None:
    for k in range(3):
        picture(tmp_path / "images" / f"{k}.jpg", seed=k)
    (tmp_path / "masks").mkdir()
    mask = np.zeros((30, 40), np.uint8)
    mask[4:20, 10:30] = 255
    cv2.imwrite(str(tmp_path / "masks" / "0.png"), mask)
    cv2.imwrite(str(tmp_path / "masks" / "1.png"), mask[:10])
    (tmp_path / "poses.json").write_text(json.dumps([{"image": "images/0.jpg", "turntable_deg": 90, "camera": 3}]))
    source = open_real(tmp_path, classes=["sugar box"], need="azimuth")
    assert (len(source), source.classes) == (1, ("sugar box",))
    assert source.objects(0).boxes.tolist() == [[10, 4, 20, 16]]
    assert source.objects(0).azimuth.tolist() == [np.pi / 2]
    sample = source[0]
    assert sample.semantic is not None
    np.testing.assert_array_equal(sample.semantic, mask > 0)
    assert sample.facts["camera"] == 3
    before = [digest(source, masks) for masks in (False, True)]
    mask[10:12, 15] = 0  # within the same box
    cv2.imwrite(str(tmp_path / "masks" / "0.png"), mask)
    edited = open_real(tmp_path, classes=["sugar box"])
    assert [digest(edited, masks) == kept for masks, kept in zip((False, True), before, strict=True)] == [True, False]
    lines = "\n".join(source.report.lines())
    assert "no mask: 2.jpg" in lines
    assert "mask cannot be used: 1.jpg (it is 40x10, the image 40x30)" in lines
    with pytest.raises(LearnError, match="one class and 2 are wanted"):
        open_real(tmp_path, classes=["a", "b"])


def test_index_masks_have_a_class_for_each_value(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "0.png")
    (tmp_path / "masks").mkdir()
    mask = np.zeros((30, 40), np.uint8)
    mask[:5], mask[10:15], mask[20:] = 1, 3, UNLABELLED
    Image.fromarray(mask).save(tmp_path / "masks" / "0.png")
    source = open_real(tmp_path, need="masks")
    assert source.classes == ("class_1", "class_2", "class_3")
    assert source.objects(0).labels.tolist() == [0, 2]
    np.testing.assert_array_equal(source[0].semantic, mask)  # type: ignore[arg-type]
    with pytest.raises(LearnError, match="values up to 3, but 2 classes"):
        open_real(tmp_path, classes=["a", "b"])


def test_bop(tmp_path: Path) -> None:
    scene = tmp_path / "test" / "000004"
    picture(scene / "rgb" / "000000.png")
    R = [0.0, -1, 0, 0, 0, -1, 1, 0, 0]
    pose = {"cam_R_m2c": R, "cam_t_m2c": [0, 0, 500.0], "obj_id": 5}
    (scene / "scene_gt.json").write_text(json.dumps({"0": [pose, pose], "1": []}))
    infos = [{"bbox_visib": [3, 4, 10, 11], "visib_fract": 0.75}, {"bbox_visib": [-1, -1, -1, -1], "visib_fract": 0}]
    (scene / "scene_gt_info.json").write_text(json.dumps({"0": infos}))
    (scene / "scene_camera.json").write_text(json.dumps({"0": {"cam_K": [50, 0, 20, 0, 50, 15, 0, 0, 1]}}))
    source = open_real(tmp_path, mapping={"obj_000005": "mug"})
    assert source.classes == ("mug",)
    found = source.objects(0)
    assert found.boxes.tolist() == [[3, 4, 10, 11]]
    assert found.visib.tolist() == [0.75]
    np.testing.assert_array_equal(found.rotation[0].ravel(), R)
    np.testing.assert_allclose(found.azimuth, [np.pi])  # the camera is at -500 on the object's x
    sample = source[0]
    assert sample.K is not None
    assert sample.K[0, 2] == 20
    assert open_real(tmp_path, min_visib=0.8).objects(0).ignore.tolist() == [True]
    assert "000004/1" in "\n".join(source.report.lines())


def test_folders_that_are_no_data_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LearnError, match="there is no folder"):
        open_real(tmp_path / "nowhere")
    with pytest.raises(LearnError, match="has no images; give a folder"):
        open_real(tmp_path)
    picture(tmp_path / "a.jpg")
    with pytest.raises(LearnError, match="has images, but no labels"):
        open_real(tmp_path)
    with pytest.raises(LearnError, match=r'no format \'coko\' \(did you mean "coco"\?\)'):
        open_real(tmp_path, format="coko")
    with pytest.raises(LearnError, match="has no data of the format voc"):
        open_real(tmp_path, format="voc")
    (tmp_path / "annotations.json").write_text('{"images": [{}], "annotations": []}')
    with pytest.raises(LearnError, match="not a valid COCO file"):
        open_real(tmp_path)


def wrong_coco(root: Path, change: dict[str, Any]) -> None:
    coco(root)
    file = root / "annotations.json"
    content = json.loads(file.read_text())
    content["images"][0].update(change.get("image", {}))
    content["annotations"][0].update(change.get("annotation", {}))
    file.write_text(json.dumps({**content, **change.get("whole", {})}))


def wrong_bop(root: Path, change: dict[str, Any]) -> None:
    scene = root / "test" / "000004"
    picture(scene / "rgb" / f"{change.get('stem', '000000')}.png")
    pose = {"cam_R_m2c": [1, 0, 0, 0, 1, 0, 0, 0, 1], "cam_t_m2c": [0, 0, 500.0], "obj_id": 5, **change.get("pose", {})}
    (scene / "scene_gt.json").write_text(json.dumps(change.get("gt", {"0": [pose]})))
    (scene / "scene_gt_info.json").write_text(json.dumps({"0": [{"bbox_visib": [3, 4, 9, 9], "visib_fract": 0.75}]}))
    (scene / "scene_camera.json").write_text(json.dumps({"0": change.get("camera", {"cam_K": [1] * 9})}))


def wrong_yolo(root: Path, names: str) -> None:
    picture(root / "images" / "a.jpg")
    (root / "labels").mkdir()
    (root / "labels" / "a.txt").write_text("0 .5 .5 .2 .2")
    (root / "data.yaml").write_text(names)


def wrong_poses(root: Path, angle: Any) -> None:
    picture(root / "images" / "a.png")
    picture(root / "masks" / "a.png")
    (root / "poses.json").write_text(json.dumps([{"image": "a.png", "azimuth_deg": angle}]))


@pytest.mark.parametrize(
    ("make", "change", "message"),
    [
        (wrong_coco, {"image": {"file_name": None, "width": "wide"}}, "not a valid COCO file"),
        (wrong_coco, {"whole": {"annotations": ["a"]}}, "not a valid COCO file"),
        (wrong_coco, {"whole": {"annotations": {"a": 1}}}, "not a valid COCO file"),
        (wrong_bop, {"stem": "frame"}, "not a valid scene of BOP"),
        (wrong_bop, {"pose": {"cam_R_m2c": [1]}}, "not a valid scene of BOP"),
        (wrong_bop, {"camera": {}}, "not a valid scene of BOP"),
        (wrong_bop, {"gt": [1]}, "not a valid scene of BOP"),
        (wrong_yolo, "names: [x", "does not name the classes"),
        (wrong_yolo, "names: {a: b}", "does not name the classes"),
        (wrong_poses, "north", "not a list of poses"),
    ],
)
def test_malformed_labels_are_told_in_a_sentence(tmp_path: Path, make: Any, change: Any, message: str) -> None:
    make(tmp_path, change)
    with pytest.raises(LearnError, match=message):
        open_real(tmp_path)


CORNERS = ("xmin", "ymin", "xmax", "ymax")


def test_small_faults_of_labels_do_not_cost_the_set(tmp_path: Path) -> None:
    wrong_coco(tmp_path / "a", {"annotation": {"bbox": [1, 2, 3]}, "image": {"width": 0, "height": None}})
    source = open_real(tmp_path / "a")
    assert len(source) == 3
    assert "their box is not four numbers: annotation 1" in "\n".join(source.report.lines())
    wrong_yolo(tmp_path / "b", "names:")
    assert open_real(tmp_path / "b").classes == ("0",)
    picture(tmp_path / "c" / "a.jpg")
    box = "".join(f"<{key}>{value}</{key}>" for key, value in zip(CORNERS, (2, 3, 9, 9), strict=True))
    thing = f"<object><name>x</name><bndbox>{box}</bndbox></object>"
    for size, count in (("40.0", 1), ("wide", 0)):
        text = f"<annotation><size><width>{size}</width><height>30.0</height></size>{thing}</annotation>"
        (tmp_path / "c" / "a.xml").write_text(text)
        if count:
            assert open_real(tmp_path / "c").objects(0).boxes.tolist() == [[1, 2, 8, 7]]
        else:
            with pytest.raises(LearnError, match="their XML is broken"):
                open_real(tmp_path / "c")
    (tmp_path / "list.txt").write_text("a")
    with pytest.raises(LearnError, match=r"list\.txt is a file; give a folder"):
        open_real(tmp_path / "list.txt")


def test_a_folder_of_splits_asks_which(tmp_path: Path) -> None:
    for name in ("train", "val"):
        picture(tmp_path / name / "cup" / "0.png")
    with pytest.raises(LearnError, match=r"holds several sets \(train, val\); give one of them"):
        open_real(tmp_path)


def test_the_layout_of_coco_itself(tmp_path: Path) -> None:
    coco(tmp_path / "x")
    (tmp_path / "annotations").mkdir()
    (tmp_path / "x" / "annotations.json").rename(tmp_path / "annotations" / "instances_val2017.json")
    (tmp_path / "x" / "images").rename(tmp_path / "val2017")
    (tmp_path / "annotations" / "captions_val2017.json").write_text('{"images": [], "annotations": []}')
    assert len(open_real(tmp_path)) == 3


def test_a_folder_of_broken_images_says_so(tmp_path: Path) -> None:
    for k in range(3):
        break_file(picture(tmp_path / "cup" / f"{k}.jpg", seed=k))
    with pytest.raises(LearnError, match=r"no image that can be used .*3 images skipped, they cannot be read"):
        open_real(tmp_path)


def test_a_task_gets_what_it_needs_or_a_reason(tmp_path: Path) -> None:
    coco(tmp_path)
    with pytest.raises(LearnError, match="has no masks"):
        open_source(tmp_path, "segment")
    with pytest.raises(LearnError, match="has no azimuths"):
        open_source(tmp_path, "pose")
    source = open_source(tmp_path, "detect")
    assert skipped(source)[0].endswith("3 images, 3 labelled objects (coco)")


@pytest.mark.skipif(not REAL.is_dir(), reason="the real images are not here")
@pytest.mark.parametrize(
    ("name", "format", "images", "objects"),
    [("dice/val", "coco", 50, 246), ("cards/val", "coco", 76, 136), ("sugar_box/val", "masks", 120, 120)],
)
def test_the_benchmarks_open_completely(name: str, format: str, images: int, objects: int) -> None:
    source = open_real(REAL / name)
    assert (source.report.format, source.report.images, source.report.objects) == (format, images, objects)
    assert not source.report.skipped

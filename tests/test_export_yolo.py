"""YOLO exports: layout and label ranges as Ultralytics checks them, and labels that give back the masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from analytic_scenes import HEIGHT, VIEWS, WIDTH, scenes, write_dataset
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from simgen.export import export
from simgen.export.outline import outline
from simgen.importers.polygon import fill
from simgen.shards.reader import Dataset

FRAMES = VIEWS * len(scenes())


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "d")


def check_layout(out: Path, task: str, size: tuple[int, int] = (HEIGHT, WIDTH)) -> dict[int, list[np.ndarray]]:
    """What Ultralytics' dataset checks ask: returns the lines of each frame as numbers."""
    data = yaml.safe_load((out / "data.yaml").read_text())
    assert "path" not in data  # then folders are relative to the file
    names: dict[int, str] = data["names"]
    assert list(names) == list(range(len(names)))
    found: dict[int, list[np.ndarray]] = {}
    for split in {"train", "val", "test"} & set(data):
        images = sorted((out / data[split]).iterdir())
        assert images
        for image in images:
            assert cv2.imread(str(image)).shape == (*size, 3)
            # The label file is found by replacing the last /images/ and the suffix.
            label = Path("/labels/".join(str(image).rsplit("/images/", 1))).with_suffix(".txt")
            lines = [np.array(line.split(), float) for line in label.read_text().splitlines()]
            for line in lines:
                assert line[0] in names
                assert line[1:].min() >= 0
                if task == "segment":
                    assert len(line) >= 7
                    assert len(line) % 2 == 1
                    assert line[1:].max() <= 1
                elif task == "detect":
                    assert len(line) == 5
                    assert line[1:].max() <= 1
                else:
                    points, dims = data["kpt_shape"]
                    assert len(line) == 5 + points * dims
                    assert line[5:].reshape(points, dims)[:, :2].max() <= 1
            assert len({line.tobytes() for line in lines}) == len(lines)
            found[int(image.stem)] = lines
    return found


def test_detection_boxes_are_the_visible_ones(dataset: Path, tmp_path: Path) -> None:
    export(dataset, tmp_path / "o", "yolo", split="train:0.6,val:0.2,test:0.2", workers=1)
    labels = check_layout(tmp_path / "o", "detect")
    assert set(labels) == set(range(FRAMES))
    with Dataset(dataset) as data:
        for frame in data:
            rows = np.flatnonzero(frame.objects.px_visib > 0)
            assert len(labels[frame.index]) == len(rows)
            for line, k in zip(labels[frame.index], rows, strict=True):
                ys, xs = np.nonzero(frame.images["instance"] == k + 1)
                w, h = line[3] * WIDTH, line[4] * HEIGHT
                box = line[1] * WIDTH - w / 2, line[2] * HEIGHT - h / 2, w, h
                np.testing.assert_allclose(box, (xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1), atol=1e-5)
                assert [1, 2, 5][int(line[0])] == frame.objects.category_id[k]


def test_segments_fill_to_the_visible_masks(dataset: Path, tmp_path: Path) -> None:
    export(dataset, tmp_path / "o", "yolo", task="segment", workers=1)
    labels = check_layout(tmp_path / "o", "segment")
    several_parts = 0
    with Dataset(dataset) as data:
        for frame in data:
            rows = np.flatnonzero(frame.objects.px_visib > 0)
            for line, k in zip(labels[frame.index], rows, strict=True):
                corners = line[1:].reshape(-1, 2) * (WIDTH, HEIGHT)
                mask = frame.images["instance"] == k + 1
                np.testing.assert_array_equal(fill(corners, HEIGHT, WIDTH), mask)
                several_parts += cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)[0] > 2
                x, y, w, h = frame.objects.bbox_visib[k]
                np.testing.assert_allclose(corners.min(axis=0), (x, y), atol=1e-4)
                np.testing.assert_allclose(corners.max(axis=0), (x + w, y + h), atol=1e-4)
    assert several_parts > 5


def test_poses(dataset: Path, tmp_path: Path) -> None:
    export(dataset, tmp_path / "o", "yolo", task="pose", workers=1)
    labels = check_layout(tmp_path / "o", "pose")
    data = yaml.safe_load((tmp_path / "o/data.yaml").read_text())
    assert data["kpt_shape"] == [9, 3]
    with Dataset(dataset) as frames:
        frame = frames[0]
    k = int(np.flatnonzero(frame.objects.px_visib > 0)[0])
    p = frame.objects.T_cam_obj[k][:3, 3]
    u, v = (frame.K @ p / p[2])[:2]
    first = labels[0][0][5:8]
    np.testing.assert_allclose(first[:2], ((u + 0.5) / WIDTH, (v + 0.5) / HEIGHT), atol=1e-6)
    assert first[2] == 1  # the centre of a body is inside it


def test_without_a_validation_split_training_is_validated_on(dataset: Path, tmp_path: Path) -> None:
    export(dataset, tmp_path / "o", "yolo", categories=["traffic sign"], image_format="jpeg", workers=1)
    data: dict[str, Any] = yaml.safe_load((tmp_path / "o/data.yaml").read_text())
    assert data == {"train": "images/train", "val": "images/train", "names": {0: "traffic sign"}}
    assert {path.suffix for path in (tmp_path / "o/images/train").iterdir()} == {".jpg"}


@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))).filter(lambda mask: mask.any()))
def test_outlines_of_any_mask_fill_to_it(mask: np.ndarray) -> None:
    corners = outline(mask)
    assert len(corners) >= 4
    np.testing.assert_array_equal(fill(corners.astype(float), *mask.shape), mask)


def test_a_single_pixel_is_a_square() -> None:
    assert sorted(outline(np.ones((1, 1), bool)).tolist()) == [[0, 0], [0, 1], [1, 0], [1, 1]]

"""KITTI exports, parsed as the devkit's readme and the public readers do, and checked against the scenes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from analytic_scenes import HEIGHT, VIEWS, WIDTH, scenes, write_dataset

from simgen.export import export
from simgen.export.base import hidden_share
from simgen.export.kitti import occlusion_level, upright_box
from simgen.geometry import quaternion_from_axis_angle, transform
from simgen.labels.rle import decode
from simgen.shards.reader import Dataset

FRAMES = VIEWS * len(scenes())


@dataclass
class Label:
    """The fifteen columns in the order of the devkit's readme."""

    type: str
    truncation: float
    occlusion: int
    alpha: float
    box: list[float]
    h: float
    w: float
    l: float  # noqa: E741
    t: tuple[float, float, float]
    ry: float

    @classmethod
    def parse(cls, line: str) -> Label:
        data = line.split(" ")
        assert len(data) == 15
        v = [float(x) for x in data[1:]]
        return cls(data[0], v[0], int(data[2]), v[2], v[3:7], v[7], v[8], v[9], (v[10], v[11], v[12]), v[13])

    def corners(self) -> np.ndarray:
        """compute_box_3d of the public KITTI readers: (8, 3) in the camera frame."""
        c, s = math.cos(self.ry), math.sin(self.ry)
        R = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
        l, w, h = self.l, self.w, self.h  # noqa: E741
        x = [l / 2, l / 2, -l / 2, -l / 2, l / 2, l / 2, -l / 2, -l / 2]
        y = [0, 0, 0, 0, -h, -h, -h, -h]
        z = [w / 2, -w / 2, -w / 2, w / 2, w / 2, -w / 2, -w / 2, w / 2]
        return (R @ np.array([x, y, z])).T + self.t


def read_calibration(path: Path) -> dict[str, np.ndarray]:
    """As pykitti and kitti_util read it."""
    data = {}
    for line in path.read_text().splitlines():
        key, value = line.split(":", 1)
        data[key] = np.array([float(x) for x in value.split()])
    return data


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "d")


@pytest.fixture(scope="module")
def folder(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("kitti") / "o"
    export(dataset, out, "kitti", workers=1)
    return out / "training"


def labels(folder: Path, index: int) -> list[Label]:
    return [Label.parse(line) for line in (folder / f"label_2/{index:06d}.txt").read_text().splitlines()]


def test_layout(folder: Path) -> None:
    stems = [f"{k:06d}" for k in range(FRAMES)]
    for part in ("image_2", "label_2", "calib"):
        assert sorted(path.stem for path in (folder / part).iterdir()) == stems
    assert (folder.parent / "ImageSets/train.txt").read_text().split() == stems
    assert cv2.imread(str(folder / "image_2/000004.png")).shape == (HEIGHT, WIDTH, 3)
    assert labels(folder, 10) == []  # the scene with nothing in it


def test_calibration_projects_like_the_camera(folder: Path, dataset: Path) -> None:
    calibration = read_calibration(folder / "calib/000003.txt")
    assert set(calibration) == {"P0", "P1", "P2", "P3", "R0_rect", "Tr_velo_to_cam", "Tr_imu_to_velo"}
    with Dataset(dataset) as data:
        K = data[3].K
    np.testing.assert_array_equal(calibration["P2"].reshape(3, 4), np.hstack([K, np.zeros((3, 1))]))
    np.testing.assert_array_equal(calibration["R0_rect"].reshape(3, 3), np.eye(3))
    ahead_left_up = calibration["Tr_velo_to_cam"].reshape(3, 4) @ [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]]
    np.testing.assert_array_equal(ahead_left_up.T, [[0, 0, 1], [-1, 0, 0], [0, -1, 0]])


def test_lines_say_what_is_in_the_scene(folder: Path, dataset: Path) -> None:
    levels = set()
    with Dataset(dataset) as data:
        for frame in data:
            objects = frame.objects
            rows = np.flatnonzero(objects.px_visib > 0)
            found = labels(folder, frame.index)
            assert len(found) == len(rows)
            for label, k in zip(found, rows, strict=True):
                assert label.type == {1: "ball", 2: "brick", 5: "traffic_sign"}[int(objects.category_id[k])]
                assert label.truncation == pytest.approx(objects.truncated[k], abs=0.0051)
                levels.add(label.occlusion)
                left, top, right, bottom = label.box
                assert 0 <= left <= right <= WIDTH - 1
                assert 0 <= top <= bottom <= HEIGHT - 1
                x, y, w, h = objects.bbox_visib[k].tolist()
                assert left <= x
                assert top <= y
                assert right >= x + w - 1
                assert bottom >= y + h - 1
                assert -math.pi <= label.alpha <= math.pi
                assert -math.pi <= label.ry <= math.pi
                seen_at = math.atan2(label.t[0], label.t[2])
                assert math.cos(label.alpha + seen_at - label.ry) == pytest.approx(1, abs=1e-6)
                # The box holds the object's own box: each of its corners, turned back, is within.
                T, half = objects.T_cam_obj[k], objects.size[k] / 2
                own = np.array([T[:3, :3] @ (np.array(s) * half) + T[:3, 3] for s in np.ndindex(2, 2, 2)])
                own = np.array([T[:3, :3] @ (half * (2 * np.array(s) - 1)) + T[:3, 3] for s in np.ndindex(2, 2, 2)])
                corners = label.corners()
                axes = np.stack([corners[0] - corners[3], corners[4] - corners[0], corners[0] - corners[1]])
                axes /= np.linalg.norm(axes, axis=1, keepdims=True)
                inner, outer = own @ axes.T, corners @ axes.T
                np.testing.assert_allclose(inner.min(axis=0), outer.min(axis=0), atol=2e-4)
                np.testing.assert_allclose(inner.max(axis=0), outer.max(axis=0), atol=2e-4)
    assert levels == {0, 1, 2}


def test_a_box_that_stands_upright_before_a_level_camera_is_met_exactly() -> None:
    """World z up is camera -y; the object is turned about the vertical, its x axis is its length."""
    T_cam_world = np.eye(4)
    T_cam_world[:3, :3] = [[1, 0, 0], [0, 0, -1], [0, 1, 0]]
    for yaw in (-3.0, -1.2, 0.0, 0.4, 2.0):
        T = T_cam_world @ transform((0.5, 4.0, -0.3), quaternion_from_axis_angle((0, 0, 1), yaw))
        half = np.array([2.0, 0.8, 0.7])
        own = np.array([T[:3, :3] @ (half * (2 * np.array(s) - 1)) + T[:3, 3] for s in np.ndindex(2, 2, 2)])
        (length, tall, wide), bottom, ry = upright_box(own, T)
        assert (length, tall, wide) == pytest.approx((4.0, 1.4, 1.6))
        assert bottom == pytest.approx((0.5, 0.3 + 0.7, 4.0))
        # Seen from above the object turns to the left by yaw; rotation_y turns to the right.
        assert ry == pytest.approx(-yaw)
        label = Label("x", 0, 0, 0, [], tall, wide, length, bottom, ry)
        matched = np.linalg.norm(label.corners()[:, None] - own[None], axis=-1).min(axis=1)
        assert matched.max() < 1e-9


def test_an_object_on_its_head_has_a_heading_too() -> None:
    T = transform((0, 0, 2), quaternion_from_axis_angle((0, 0, 1), math.pi / 2))  # x axis along camera y
    (length, tall, wide), _, ry = upright_box(np.array([[0, 0, 2.0], [0.1, 0.3, 2.2]]), T)
    assert sorted([length, tall, wide]) == pytest.approx([0.1, 0.2, 0.3])
    assert math.isfinite(ry)


def test_occlusion_levels(dataset: Path) -> None:
    assert [occlusion_level(hidden) for hidden in (0.0, 0.09, 0.1, 0.49, 0.5, 0.99)] == [0, 0, 1, 1, 2, 2]
    with Dataset(dataset) as data:
        cut = data[14]  # two bodies cut by the border, with nothing in front of them
        piled = data[18]
    assert (cut.objects.truncated > 0.4).all()
    assert [hidden_share(cut, k) for k in (0, 1)] == [0, 0]
    for k in np.flatnonzero(piled.objects.px_full > 0):
        inside = decode(piled.objects.mask_full[k], HEIGHT, WIDTH)
        behind = np.count_nonzero(inside & (piled.images["instance"] != k + 1))
        assert hidden_share(piled, k) == pytest.approx(behind / max(inside.sum(), 1))

"""Exports of a rendered dataset: the models of the asset library, seen from the exported poses, cover the masks."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from test_export_bop import box, load, load_ply

from simgen import config
from simgen.export import FORMATS, export
from simgen.generate.job import render

FRAMES, WIDTH, HEIGHT = 6, 128, 96


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("rendered") / "d"
    options = [
        f"out={out}",
        f"frames={FRAMES}",
        "seed=3",
        "workers=1",
        f"image.width={WIDTH}",
        f"image.height={HEIGHT}",
    ]
    render(config.load("shapes", options))
    return out


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "bop"])
def test_every_format_takes_it(dataset: Path, tmp_path: Path, name: str) -> None:
    made = export(dataset, tmp_path / "o", name, workers=1, keypoints="box", task="pose")
    assert made.frames == {"train": FRAMES}
    assert made.objects > FRAMES


def z_buffer(points: np.ndarray, faces: np.ndarray, K: np.ndarray) -> np.ndarray:
    """z-depth (3 H, 3 W) of triangles in the camera frame at pixel centres, inf where there are none."""
    z = np.full((3 * HEIGHT, 3 * WIDTH), np.inf)
    uv = points @ K.T
    uv = uv[:, :2] / uv[:, 2:] + (WIDTH, HEIGHT)
    for (p0, p1, p2), (z0, z1, z2) in zip(uv[faces], points[faces][..., 2], strict=True):
        low = np.maximum(np.floor(np.min([p0, p1, p2], axis=0)).astype(int), 0)
        high = np.minimum(np.ceil(np.max([p0, p1, p2], axis=0)).astype(int), (3 * WIDTH - 1, 3 * HEIGHT - 1))
        area = (p1[0] - p0[0]) * (p2[1] - p0[1]) - (p2[0] - p0[0]) * (p1[1] - p0[1])
        if area == 0 or (high < low).any():
            continue
        x, y = np.meshgrid(np.arange(low[0], high[0] + 1), np.arange(low[1], high[1] + 1))
        b1 = ((x - p0[0]) * (p2[1] - p0[1]) - (p2[0] - p0[0]) * (y - p0[1])) / area
        b2 = ((p1[0] - p0[0]) * (y - p0[1]) - (x - p0[0]) * (p1[1] - p0[1])) / area
        b0 = 1 - b1 - b2
        found = np.where((b0 >= 0) & (b1 >= 0) & (b2 >= 0), 1 / (b0 / z0 + b1 / z1 + b2 / z2), np.inf)
        part = z[low[1] : high[1] + 1, low[0] : high[0] + 1]
        np.minimum(part, found, out=part)
    return z


def test_bop_models_poses_and_masks_agree(dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "o"
    export(dataset, out, "bop", workers=1)
    compared = 0
    for scene in sorted((out / "train").iterdir()):
        gts, infos, cameras = (load(scene / f"{n}.json") for n in ("scene_gt", "scene_gt_info", "scene_camera"))
        for im_id, poses in gts.items():
            K = np.reshape(cameras[im_id]["cam_K"], (3, 3))
            steps = cv2.imread(str(scene / f"depth/{im_id:06d}.png"), cv2.IMREAD_UNCHANGED)
            depth = steps * cameras[im_id]["depth_scale"]
            for gt, info in zip(poses, infos[im_id], strict=True):
                model = load_ply(out / f"models/obj_{gt['obj_id']:06d}.ply")
                points = model["points"] @ np.reshape(gt["cam_R_m2c"], (3, 3)).T + gt["cam_t_m2c"]
                large = z_buffer(points, model["faces"], K)
                silhouette = np.isfinite(large)
                own = large[HEIGHT : 2 * HEIGHT, WIDTH : 2 * WIDTH]
                visible = np.isfinite(own) & ((own - depth <= 2) | (depth == 0))
                assert abs(info["px_count_all"] - silhouette.sum()) <= max(2, 0.002 * silhouette.sum())
                assert abs(info["visib_fract"] - visible.sum() / silhouette.sum()) <= 0.03
                if info["px_count_visib"]:
                    expected = box(silhouette)
                    expected[0] -= WIDTH
                    expected[1] -= HEIGHT
                    assert np.abs(np.subtract(info["bbox_obj"], expected)).max() <= 1
                    compared += 1
    assert compared > FRAMES

"""BOP (bop.felk.cvut.cz): scenes with rgb, scene_gt.json, scene_gt_info.json, scene_camera.json and mask_visib."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from simgen.evaluate.real.record import Labelled, Record, image_files
from simgen.evaluate.real.report import Report
from simgen.learn.errors import LearnError
from simgen.learn.shard_source import azimuth


def matches(root: Path) -> bool:
    """Whether ``root`` is a scene, a split or a dataset of BOP."""
    return root.is_dir() and bool(_scenes(root))


def read(root: Path, report: Report) -> tuple[list[Record], list[str]]:
    """All images of all scenes; classes are called obj_000001 and so on."""
    found: list[Record] = []
    for scene in _scenes(root):
        try:
            found += _scene(scene, report)
        except json.JSONDecodeError as error:
            raise LearnError(f"a JSON file in {scene} is broken ({error}).") from None
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise LearnError(f"{scene} is not a valid scene of BOP ({type(error).__name__}: {error}).") from None
    return found, sorted({entry.name for record in found for entry in record.objects})


def _scene(scene: Path, report: Report) -> list[Record]:
    poses, infos, cameras = (
        json.loads((scene / name).read_text(encoding="utf-8")) if (scene / name).is_file() else {}
        for name in ("scene_gt.json", "scene_gt_info.json", "scene_camera.json")
    )
    folder = next((scene / name for name in ("rgb", "gray") if (scene / name).is_dir()), None)
    images = {int(file.stem): file for file in image_files(folder)} if folder else {}
    found = []
    for key, entries in poses.items():
        path = images.get(int(key))
        if path is None:
            report.add("images skipped, the file is missing", f"{scene.name}/{key}")
            continue
        K = np.array(cameras[key]["cam_K"], np.float64).reshape(3, 3) if key in cameras else None
        labelled = [_object(scene, int(key), n, e, infos.get(key), report) for n, e in enumerate(entries)]
        kept = [entry for entry in labelled if entry]
        found.append(Record(path, kept, K=K, group=scene.name, facts={"scene": scene.name}))
    return found


def _object(scene: Path, image: int, n: int, pose: dict[str, Any], info: Any, report: Report) -> Labelled | None:
    mask = scene / "mask_visib" / f"{image:06d}_{n:06d}.png"
    box = tuple(float(v) for v in info[n]["bbox_visib"]) if info else None
    if box is None and not mask.is_file():
        report.add("objects skipped, they have neither box nor mask", f"{scene.name}/{image}:{n}")
        return None
    if box is not None and box[2] <= 0:
        return None  # not visible at all
    R = np.array(pose["cam_R_m2c"], np.float64).reshape(3, 3)
    T_cam_obj = np.eye(4)
    T_cam_obj[:3, :3], T_cam_obj[:3, 3] = R, pose["cam_t_m2c"]
    return Labelled(
        f"obj_{int(pose['obj_id']):06d}",
        box,  # type: ignore[arg-type]
        visib=float(info[n]["visib_fract"]) if info else float("nan"),
        azimuth=float(azimuth(T_cam_obj[None])[0]),
        rotation=R,
        mask=partial(_mask, mask) if mask.is_file() else None,
    )


def _mask(file: Path, height: int, width: int) -> NDArray[np.bool_] | None:
    image = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
    return image > 0 if image is not None and image.shape == (height, width) else None


def _scenes(root: Path) -> list[Path]:
    """Folders with a scene_gt.json: ``root``, those in it, and those one further down."""
    if (root / "scene_gt.json").is_file():
        return [root]
    return sorted(p.parent for p in (*root.glob("*/scene_gt.json"), *root.glob("*/*/scene_gt.json")))

"""A BOP dataset (scenewise layout) into shards.

https://github.com/thodan/bop_toolkit/blob/master/docs/bop_datasets_format.md. Needs scene_gt.json, scene_gt_info.json,
scene_camera.json, mask_visib and rgb or gray of each scene; takes depth, mask and models_info.json where they are.
Category ids are BOP's object ids, names obj_000001 and so on; in a folder that ``simgen.export`` wrote, the categories
of the dataset it came from. Boxes get back the row and column by which BOP's are smaller. Without cam_R_w2c the world
is the camera's frame.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.errors import DatasetError
from simgen.geometry import inverse
from simgen.importers.dataset import Imported, Instance, Mask, View, write_dataset
from simgen.importers.images import image_size, read_color, read_depth, read_json, read_mask
from simgen.shards.manifest import Category

_COLOR = tuple((folder, suffix) for folder in ("rgb", "gray") for suffix in (".png", ".jpg", ".jpeg", ".tif"))


@dataclass(frozen=True)
class _Object:
    """An object of the dataset by its BOP id; ``size`` in metres."""

    category: Category
    asset: str
    size: tuple[float, float, float] | None


@dataclass(frozen=True, eq=False)
class _Scene:
    """The annotations of a scene folder, by image number as text."""

    folder: Path
    gt: dict[str, list[dict[str, Any]]]
    info: dict[str, list[dict[str, Any]]]
    camera: dict[str, dict[str, Any]]


def import_bop(
    root: str | Path,
    split: str,
    out: str | Path,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Imported:
    """Write the split ``split`` ("train_pbr", "test", ...) of the BOP dataset at ``root`` as a dataset to ``out``.

    ``draws/source`` of a frame has its ``scene`` and ``image`` numbers. Calling it again continues. ``progress`` is
    told (frames done, frames in all). Raises DatasetError when a file is missing or is not what it should be, or
    ``out`` holds something else.
    """
    top = Path(root)
    folder = top / split
    if not folder.is_dir():
        there = ", ".join(sorted(path.name for path in top.iterdir() if path.is_dir())) if top.is_dir() else "nothing"
        raise DatasetError(f"{top} has no folder {split}: there is {there}")
    scenes = [_scene(path) for path in sorted(folder.iterdir()) if path.is_dir() and path.name.isdigit()]
    objects = _objects(top, scenes)
    categories = sorted({item.category for item in objects.values()}, key=lambda category: category.id)
    depth = all((scene.folder / "depth").is_dir() for scene in scenes)
    groups = _same_size([(scene, image) for scene in scenes for image in sorted(scene.gt, key=int)])
    settings = {"format": "bop", "root": str(top), "split": split, "images": sum(len(group) for group in groups)}

    def load(item: tuple[_Scene, str]) -> View:
        return _view(*item, objects, depth)

    notes = [] if depth else ["there is no depth in every scene: no depth pass made"]
    return write_dataset(Path(out), settings, categories, groups, load, True, notes, progress)


def _scene(folder: Path) -> _Scene:
    files = [read_json(folder / f"{name}.json") for name in ("scene_gt", "scene_gt_info", "scene_camera")]
    if any(not isinstance(content, dict) for content in files):
        raise DatasetError(f"the annotations in {folder} are not those of a BOP scene: check the folder")
    gt, info, camera = files
    for image, poses in gt.items():
        if image not in camera or len(info.get(image, ())) != len(poses):
            raise DatasetError(
                f"image {image} of {folder} is not in all of scene_gt, scene_gt_info and scene_camera with as many "
                "objects: make them again with the BOP toolkit"
            )
    if any(gt.values()) and not (folder / "mask_visib").is_dir():
        raise DatasetError(f"{folder} has no mask_visib: make it with calc_gt_masks.py of the BOP toolkit")
    return _Scene(folder, gt, info, camera)


def _objects(top: Path, scenes: list[_Scene]) -> dict[int, _Object]:
    """Every object that is annotated or has a model."""
    infos: dict[str, Any] = {}
    for path in sorted(top.glob("models*/models_info.json"))[:1]:
        infos = read_json(path)
    ours = read_json(top / "objects.json") if (top / "objects.json").exists() else {}
    ids = {pose["obj_id"] for scene in scenes for poses in scene.gt.values() for pose in poses}
    ids |= {int(text) for text in (*infos, *ours)}
    shift = max(0, 1 - min(ids, default=1))  # 0 is the background
    found = {}
    for number in ids:
        own, info = ours.get(str(number)), infos.get(str(number))
        name = f"obj_{number:06d}"
        category = Category(own["category_id"], own["category"]) if own else Category(number + shift, name)
        size = None if info is None else (info["size_x"] / 1000, info["size_y"] / 1000, info["size_z"] / 1000)
        found[number] = _Object(category, own["asset"] if own else name, size)
    return found


def _same_size(items: list[tuple[_Scene, str]]) -> list[list[tuple[_Scene, str]]]:
    """Runs of images of one size; it is taken to be the same throughout a scene."""
    groups: list[list[tuple[_Scene, str]]] = []
    sizes: dict[Path, tuple[int, int]] = {}
    for scene, image in items:
        if scene.folder not in sizes:
            sizes[scene.folder] = image_size(_color_file(scene.folder, image))
        if not groups or sizes[groups[-1][-1][0].folder] != sizes[scene.folder]:
            groups.append([])
        groups[-1].append((scene, image))
    return groups


def _color_file(folder: Path, image: str) -> Path:
    for kind, suffix in _COLOR:
        path = folder / kind / f"{int(image):06d}{suffix}"
        if path.exists():
            return path
    raise DatasetError(f"{folder} has no rgb or gray image {int(image):06d}: check the folder")


def _view(scene: _Scene, image: str, objects: dict[int, _Object], depth: bool) -> View:
    camera, number = scene.camera[image], int(image)
    images: dict[str, NDArray[Any]] = {"rgb": read_color(_color_file(scene.folder, image))}
    if depth:
        path = scene.folder / "depth" / f"{number:06d}.png"
        path = path if path.exists() else path.with_suffix(".tif")
        images["depth"] = read_depth(path, camera["depth_scale"])
    instances = [
        _instance(scene, number, k, pose, info, objects)
        for k, (pose, info) in enumerate(zip(scene.gt[image], scene.info[image], strict=True))
    ]
    T_world_cam = None
    if "cam_R_w2c" in camera and "cam_t_w2c" in camera:
        T_world_cam = inverse(_transform(camera["cam_R_w2c"], camera["cam_t_w2c"]))
    source = {"scene": int(scene.folder.name), "image": number}
    K = np.asarray(camera["cam_K"], np.float64).reshape(3, 3)
    return View(images, instances, source, K, T_world_cam)


def _instance(
    scene: _Scene, image: int, k: int, pose: dict[str, Any], info: dict[str, Any], objects: dict[int, _Object]
) -> Instance:
    item = objects[pose["obj_id"]]
    name = f"{image:06d}_{k:06d}.png"
    full: Mask | None = None
    if (scene.folder / "mask" / name).exists():
        full = read_mask(scene.folder / "mask" / name)
    x, y, w, h = info["bbox_obj"]
    return Instance(
        category_id=item.category.id,
        asset=item.asset,
        visible=read_mask(scene.folder / "mask_visib" / name),
        full=full,
        box=(x, y, w + 1, h + 1) if w >= 0 else None,
        px_full=info["px_count_all"],
        T_cam_obj=_transform(pose["cam_R_m2c"], pose["cam_t_m2c"]),
        size=item.size,
    )


def _transform(rotation: list[float], millimetres: list[float]) -> NDArray[np.float64]:
    T = np.eye(4)
    T[:3, :3] = np.asarray(rotation, np.float64).reshape(3, 3)
    T[:3, 3] = np.asarray(millimetres, np.float64).ravel() / 1000
    return T

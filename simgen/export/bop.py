"""BOP: scene folders with poses, masks and depth, and the objects' models.

https://github.com/thodan/bop_toolkit/blob/master/docs/bop_datasets_format.md, the "scenewise" layout::

    <split>/<scene>/{rgb, depth, mask, mask_visib}/, scene_gt.json, scene_gt_info.json, scene_camera.json
    models/obj_000001.ply ..., models_info.json;  camera.json;  objects.json

Millimetres, row-major matrices, the asset's own frame as the model's. ``obj_id`` stands for an asset of a category at a
certain scale, as BOP's models are rigid; ``objects.json``, which is ours, says which. As BOP's tools have
it: boxes are (x, y, last - first column, last - first row), one less than the number of columns and rows, and
(-1, -1, -1, -1) where nothing is visible; with JPEG images the split's folder ends in ``_pbr``. Visible pixels are
those of the id image rather than those within some tolerance of the depth image.

Differences: the origin of a model need not be the centre of its box. Depth beyond the range of 16 bits (65535 times
``depth_scale`` mm) is written as 0, no measurement, which is noted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from simgen.errors import DatasetError
from simgen.export.base import (
    Format,
    Part,
    Settings,
    Unit,
    refuse_distortion,
    selected,
    size_of,
    stem,
)
from simgen.export.images import encode_color, encode_png, put, put_json
from simgen.export.models import Model, ModelKey, find_models, load_assets, model_ids, model_key
from simgen.geometry import inverse
from simgen.labels.frame import Frame
from simgen.labels.rle import decode
from simgen.shards.reader import Dataset

NOTHING = (-1, -1, -1, -1)
"""The box of what is not visible."""


def _needs(settings: Settings) -> tuple[str, ...]:
    return ("rgb", "depth", "instance")


def _prepare(settings: Settings) -> list[Model]:
    models = find_models(settings)
    if settings.models:
        for name, asset in load_assets(settings, models).items():
            if asset.articulated:
                raise DatasetError(
                    f'the asset "{name}" has joints, BOP has rigid models only: leave its category out with '
                    "--categories"
                )
    return models


def _divide(settings: Settings, scenes: list[list[int]]) -> list[list[int]]:
    return scenes


def _write(settings: Settings, models: list[Model], unit: Unit, frames: Iterator[Frame]) -> Part:
    ids = model_ids(models)
    files: list[str] = []
    gt: dict[str, Any] = {}
    info: dict[str, list[Any]] = {}
    camera: dict[str, Any] = {}
    objects, cut = 0, 0
    first = unit.frames[0]
    folder = ""
    for frame in frames:
        refuse_distortion(settings, frame, "BOP")
        if not folder:
            folder = f"{_split_folder(settings, unit.split)}/{stem(frame.scene)}"
        number = frame.index - first
        depth, lost = _depth_steps(frame.images["depth"], settings.depth_scale)
        cut += lost
        rgb = encode_color(frame.images["rgb"], settings.image_format, settings.jpeg_quality)
        written = {f"rgb/{stem(number)}{settings.suffix}": rgb, f"depth/{stem(number)}.png": encode_png(depth)}
        rows = selected(settings, frame, hidden=True).tolist()
        gt[str(number)] = [_pose(ids, frame, k) for k in rows]
        camera[str(number)] = _camera(settings, frame)
        info[str(number)] = []
        for place, k in enumerate(rows):
            full = decode(frame.objects.mask_full[k], *size_of(frame))
            visible = frame.images["instance"] == frame.objects.instance_id[k]
            for name, mask in (("mask", full), ("mask_visib", visible)):
                written[f"{name}/{stem(number)}_{stem(place)}.png"] = encode_png(mask.astype(np.uint8) * 255)
            info[str(number)].append(_info(frame, k, full, depth))
        objects += len(rows)
        for name, data in written.items():
            put(settings.out / folder / name, data)
            files.append(f"{folder}/{name}")
    for name in ("mask", "mask_visib"):  # readers list them even where there are no objects
        (settings.out / folder / name).mkdir(exist_ok=True)
    for name, content in (("scene_gt", gt), ("scene_gt_info", info), ("scene_camera", camera)):
        put_json(settings.out / folder / f"{name}.json", content)
        files.append(f"{folder}/{name}.json")
    reach = 65.535 * settings.depth_scale
    beyond = f"depth beyond {reach:.4g} m is written as 0, no measurement; a larger depth scale reaches farther"
    return Part(tuple(files), objects, notes={beyond: cut} if cut else None)


def _split_folder(settings: Settings, split: str) -> str:
    return f"{split}_pbr" if settings.image_format == "jpeg" else split


def _depth_steps(depth: NDArray[np.float32], scale: float) -> tuple[NDArray[np.uint16], bool]:
    """Depth in steps of ``scale`` mm, and whether some of it was too far."""
    steps = np.rint(depth.astype(np.float64) * (1000 / scale))
    far = steps > 65535
    return np.where(far, 0, steps).astype(np.uint16), bool(far.any())


def _pose(ids: Mapping[ModelKey, int], frame: Frame, k: int) -> dict[str, Any]:
    objects = frame.objects
    T = objects.T_cam_obj[k]
    if not np.isfinite(T).all():
        raise DatasetError(
            f"object {k + 1} of frame {frame.index} has no pose, which BOP needs: it was imported from a format without"
        )
    return {
        "obj_id": ids[model_key(objects, k)],
        "cam_R_m2c": T[:3, :3].ravel().tolist(),
        "cam_t_m2c": (T[:3, 3] * 1000).tolist(),
    }


def _info(frame: Frame, k: int, full: NDArray[np.bool_], depth: NDArray[np.uint16]) -> dict[str, Any]:
    objects = frame.objects
    px_all, px_visib = int(objects.px_full[k]), int(objects.px_visib[k])
    x, y, w, h = objects.bbox_full[k].tolist()
    u, v, a, b = objects.bbox_visib[k].tolist()
    return {
        "bbox_obj": [x, y, w - 1, h - 1] if px_visib else list(NOTHING),
        "bbox_visib": [u, v, a - 1, b - 1] if px_visib else list(NOTHING),
        "px_count_all": px_all,
        "px_count_valid": int(np.count_nonzero(depth[full])),
        "px_count_visib": px_visib,
        "visib_fract": px_visib / px_all,
    }


def _camera(settings: Settings, frame: Frame) -> dict[str, Any]:
    T_cam_world = inverse(frame.T_world_cam)
    return {
        "cam_K": frame.K.ravel().tolist(),
        "depth_scale": settings.depth_scale,
        "cam_R_w2c": T_cam_world[:3, :3].ravel().tolist(),
        "cam_t_w2c": (T_cam_world[:3, 3] * 1000).tolist(),
    }


def _finish(settings: Settings, models: list[Model], parts: Callable[[], Iterable[tuple[Unit, Part]]]) -> Iterator[str]:
    with Dataset(settings.dataset) as dataset:
        first = dataset[0]
        names = {category.id: category.name for category in dataset.categories}
    height, width = size_of(first)
    K = first.K
    put_json(
        settings.out / "camera.json",
        {
            "fx": K[0, 0],
            "fy": K[1, 1],
            "cx": K[0, 2],
            "cy": K[1, 2],
            "width": width,
            "height": height,
            "depth_scale": settings.depth_scale,
        },
    )
    yield "camera.json"
    objects = {
        str(k + 1): {
            "asset": model.asset,
            "scale": model.scale,
            "category_id": model.category_id,
            "category": names[model.category_id],
        }
        for k, model in enumerate(models)
    }
    put_json(settings.out / "objects.json", objects)
    yield "objects.json"
    if settings.models:
        yield from _write_models(settings, models)


def _write_models(settings: Settings, models: list[Model]) -> Iterator[str]:
    from simgen.export.ply import model_info, ply, the_texture, vertices  # slow to import, and workers do not need it

    assets = load_assets(settings, models)
    infos = {}
    for k, model in enumerate(models):
        asset, name = assets[model.asset], f"obj_{stem(k + 1)}"
        infos[str(k + 1)] = model_info(vertices(asset, model.scale))
        texture = the_texture(asset)
        if texture is not None:
            image = cv2.cvtColor(np.ascontiguousarray(texture.pixels[..., :3]), cv2.COLOR_RGB2BGR)
            put(settings.out / "models" / f"{name}.png", encode_png(image))
            yield f"models/{name}.png"
        put(settings.out / "models" / f"{name}.ply", ply(asset, model.scale, f"{name}.png" if texture else None))
        yield f"models/{name}.ply"
    put_json(settings.out / "models" / "models_info.json", infos)
    yield "models/models_info.json"


FORMAT = Format(needs=_needs, write=_write, finish=_finish, prepare=_prepare, divide=_divide)

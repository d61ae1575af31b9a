"""KITTI object detection: ``training/{image_2, label_2, calib}`` and ``ImageSets/<split>.txt``.

http://www.cvlibs.net/datasets/kitti/eval_object.php (the devkit's readme). A split called "test" goes to ``testing``,
labels included. A label line is: type, truncated, occluded, alpha, left, top, right, bottom, height, width, length, x,
y, z, rotation_y. What stands there:

- type: the category, blanks replaced by underscores.
- truncated: the share of the silhouette outside the image. occluded: 0, 1 or 2 when less than a tenth, less than half
  or more of the silhouette inside the image is hidden; the devkit draws no lines, these are ours.
- the 2-D box: the full silhouette's, hidden parts included, cut at the image; pixel indices from 0, last ones included.
- the 3-D box: KITTI's boxes stand upright on the y axis of the camera (its cars and cameras are level) and turn about
  it by rotation_y alone. The objects here, and the camera, may be tilted. The box is the smallest of that kind, turned
  as the object's x axis, that holds the object's own 3-D box: the same box when the object stands along the camera's
  y axis, larger otherwise. Location is the middle of its bottom face, in the camera's frame (x right, y down, z
  forward), metres. An object at rotation_y 0 has its x axis, KITTI's length, along the camera's x axis.
- alpha: rotation_y minus the direction in which the object is seen, atan2(x, z).

``calib``: P0 to P3 are all ``K [I | 0]`` as there is one camera, R0_rect is the identity, Tr_velo_to_cam only renames
the axes (a lidar at the camera, x forward, y left, z up) and Tr_imu_to_velo is the identity.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from simgen.errors import DatasetError
from simgen.export.base import Format, Part, Settings, Unit, hidden_share, refuse_distortion, selected, size_of, stem
from simgen.export.images import encode_color, put
from simgen.export.keypoints import box_points
from simgen.export.models import Bounds, asset_bounds
from simgen.labels.frame import Frame

PARTLY, LARGELY = 0.1, 0.5
"""Hidden shares of the silhouette inside the image from which an object counts as partly and as largely occluded."""

_VELO_TO_CAM = np.array([[0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0]], np.float64)


def _needs(settings: Settings) -> tuple[str, ...]:
    return ("rgb",)


def _write(settings: Settings, bounds: dict[str, Bounds], unit: Unit, frames: Iterator[Frame]) -> Part:
    names = {category.id: "_".join(category.name.split()) for category in settings.categories}
    top = "testing" if unit.split == "test" else "training"
    files: list[str] = []
    objects = 0
    for frame in frames:
        refuse_distortion(settings, frame, "KITTI")
        rows = selected(settings, frame).tolist()
        lines = [f"{names[int(frame.objects.category_id[k])]} {_label(bounds, frame, k)}\n" for k in rows]
        objects += len(rows)
        name = stem(frame.index)
        color = encode_color(frame.images["rgb"], settings.image_format, settings.jpeg_quality)
        for path, data in (
            (f"{top}/image_2/{name}{settings.suffix}", color),
            (f"{top}/label_2/{name}.txt", "".join(lines).encode()),
            (f"{top}/calib/{name}.txt", _calibration(frame.K).encode()),
        ):
            put(settings.out / path, data)
            files.append(path)
    return Part(tuple(files), objects, [stem(index) for index in unit.frames])


def _label(bounds: Mapping[str, Bounds], frame: Frame, k: int) -> str:
    objects = frame.objects
    if not np.isfinite(objects.T_cam_obj[k]).all():
        raise DatasetError(
            f"object {k + 1} of frame {frame.index} has no pose, which KITTI needs: it was imported from a format "
            "without"
        )
    height, width = size_of(frame)
    x, y, w, h = objects.bbox_full[k].tolist()
    box = (max(x, 0), max(y, 0), min(x + w, width) - 1, min(y + h, height) - 1)
    (length, tall, wide), (cx, cy, cz), turn = upright_box(box_points(bounds, frame, k), objects.T_cam_obj[k])
    alpha = _wrapped(turn - math.atan2(cx, cz))
    numbers = [
        f"{objects.truncated[k]:.2f}",
        str(occlusion_level(hidden_share(frame, k))),
        f"{alpha:.4f}",
        *(f"{v:.2f}" for v in box),
        *(f"{v:.4f}" for v in (tall, wide, length, cx, cy, cz, turn)),
    ]
    return " ".join(numbers)


def occlusion_level(hidden: float) -> int:
    """KITTI's 0, 1 or 2 from the share of the silhouette inside the image that is hidden."""
    return int(hidden >= PARTLY) + int(hidden >= LARGELY)


def upright_box(
    points: NDArray[np.float64], T_cam_obj: NDArray[np.float64]
) -> tuple[tuple[float, float, float], tuple[float, float, float], float]:
    """The box with a vertical axis along the camera's y axis around ``points`` (n, 3), turned as the object's x axis.

    Returns length, height and width, the middle of its bottom face and rotation_y in -pi...pi.
    """
    ahead = T_cam_obj[:3, 0]
    if math.hypot(ahead[0], ahead[2]) < 1e-6:  # the x axis is vertical: y is a quarter turn on
        ahead = np.cross([0.0, 1.0, 0.0], T_cam_obj[:3, 1])
    turn = math.atan2(-ahead[2], ahead[0])
    c, s = math.cos(turn), math.sin(turn)
    # Columns: where the box's length, height and width point in the camera's frame.
    axes = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    local = points @ axes
    low, high = local.min(axis=0), local.max(axis=0)
    length, tall, wide = (high - low).tolist()
    x, y, z = (axes @ [(low[0] + high[0]) / 2, high[1], (low[2] + high[2]) / 2]).tolist()
    return (length, tall, wide), (x, y, z), _wrapped(turn)


def _wrapped(angle: float) -> float:
    return math.remainder(angle, 2 * math.pi)


def _calibration(K: NDArray[np.float64]) -> str:
    P = np.concatenate([K, np.zeros((3, 1))], axis=1)
    rows = {f"P{k}": P for k in range(4)}
    rows |= {"R0_rect": np.eye(3), "Tr_velo_to_cam": _VELO_TO_CAM, "Tr_imu_to_velo": np.eye(3, 4)}
    return "".join(f"{name}: {' '.join(f'{v:.12e}' for v in M.ravel())}\n" for name, M in rows.items())


def _finish(
    settings: Settings, bounds: dict[str, Bounds], parts: Callable[[], Iterable[tuple[Unit, Part]]]
) -> Iterator[str]:
    for split in settings.splits:
        stems = [name for unit, part in parts() if unit.split == split for name in part.data]
        put(settings.out / "ImageSets" / f"{split}.txt", "".join(f"{name}\n" for name in stems).encode())
        yield f"ImageSets/{split}.txt"


FORMAT = Format(needs=_needs, write=_write, finish=_finish, prepare=asset_bounds)

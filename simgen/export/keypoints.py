"""Keypoints of an export: the corners and the centre of 3-D boxes, or the named points that the scene gives its assets.

Box keypoints are those of BB8 (Rad & Lepetit 2017) and DOPE: they need no template and suit any object.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product

import numpy as np
from numpy.typing import NDArray

from simgen.errors import DatasetError
from simgen.export.base import Settings, size_of
from simgen.export.models import Bounds, asset_bounds, box_center
from simgen.labels.frame import Frame
from simgen.labels.keypoints import OUT_OF_FRAME, VISIBLE
from simgen.sensors.lens import COEFFICIENTS, project
from simgen.shards.reader import Dataset

KINDS = ("none", "box", "named")

SIGNS = np.array([(0, 0, 0), *product((-1, 1), repeat=3)], np.float64)
"""Each box keypoint in half extents from the box's centre, in the object's frame."""

NAMES = ("center", *(f"corner_{a}{b}{c}" for a, b, c in product(("-x", "+x"), ("-y", "+y"), ("-z", "+z"))))

EDGES = tuple((a, b) for a in range(1, 9) for b in range(a + 1, 9) if np.abs(SIGNS[a] - SIGNS[b]).sum() == 2)
"""The twelve edges of the box, as pairs of indices into NAMES."""

_SLACK = 0.002
"""Metres by which a surface must be nearer than a box keypoint to hide it."""

Point = tuple[float, float, int]
"""x, y in pixels with centres at integers, and COCO's visibility: 0 not in the image (x = y = 0), 1 hidden, 2 seen."""


@dataclass(frozen=True)
class Template:
    """Which keypoints objects have: ``names`` by category id, and ``bounds`` of the assets where they are the box's.

    ``every`` are all names, for formats with one list for all classes.
    """

    names: Mapping[int, tuple[str, ...]]
    every: tuple[str, ...]
    edges: tuple[tuple[int, int], ...] = ()
    bounds: Mapping[str, Bounds] = field(default_factory=dict)


def template(settings: Settings) -> Template:
    """The keypoints of the chosen categories; named ones in the order in which the dataset first has them.

    Raises DatasetError when named keypoints are asked for and no chosen category has any.
    """
    numbers = [category.id for category in settings.categories]
    if settings.keypoints == "box":
        return Template(dict.fromkeys(numbers, NAMES), NAMES, EDGES, asset_bounds(settings))
    found: dict[int, dict[str, None]] = {number: {} for number in numbers}
    with Dataset(settings.dataset) as dataset:
        for index in range(len(dataset)):
            table = dataset.keypoints(index)
            if table is None:
                continue
            of_row = dataset.objects(index).category_id.tolist()
            for row, name in zip(table.object.tolist(), table.name, strict=True):
                if of_row[row] in found:
                    found[of_row[row]][name] = None
    every = tuple(dict.fromkeys(name for names in found.values() for name in names))
    if not every:
        raise DatasetError(
            f"{settings.dataset} has no named keypoints: give the scene some (scene.keypoints), or export those of the "
            "3-D boxes (--keypoints box)"
        )
    return Template({number: tuple(names) for number, names in found.items()}, every)


def object_keypoints(points: Template, frame: Frame, row: int, names: tuple[str, ...]) -> list[Point]:
    """The keypoints called ``names`` of an object; 0, 0, 0 for one that it does not have.

    Box keypoints are hidden by any surface in front of them, their own object's included, which needs the depth pass.
    """
    known = _box(points.bounds, frame, row) if points.bounds else _named(frame, row)
    return [known.get(name, (0.0, 0.0, 0)) for name in names]


def box_points(bounds: Mapping[str, Bounds], frame: Frame, row: int) -> NDArray[np.float64]:
    """Centre and corners (9, 3) of an object's box in the camera frame, metres, in the order of SIGNS."""
    objects = frame.objects
    size = objects.size[row].astype(np.float64)
    inside = box_center(bounds[objects.asset[row]], size) + SIGNS / 2 * size
    T = objects.T_cam_obj[row]
    return inside @ T[:3, :3].T + T[:3, 3]


def _box(bounds: Mapping[str, Bounds], frame: Frame, row: int) -> dict[str, Point]:
    points = box_points(bounds, frame, row)
    depth = frame.images["depth"]
    height, width = size_of(frame)
    coefficients = frame.distortion[: len(COEFFICIENTS[frame.distortion_model])]
    pixels = project(points, frame.K, coefficients, frame.distortion_model)  # type: ignore[arg-type]
    found = {}
    for name, (x, y), z in zip(NAMES, pixels.tolist(), points[:, 2].tolist(), strict=True):
        if not (-0.5 <= x < width - 0.5 and -0.5 <= y < height - 0.5):  # NaN too: behind the camera
            continue
        surface = float(depth[round(y), round(x)])
        found[name] = (x, y, 1 if 0 < surface < z - _SLACK else 2)
    return found


def _named(frame: Frame, row: int) -> dict[str, Point]:
    table = frame.keypoints
    if table is None:
        return {}
    found = {}
    for k in np.flatnonzero((table.object == row) & (table.visibility != OUT_OF_FRAME)).tolist():
        x, y = table.xy[k].tolist()
        found[table.name[k]] = (x, y, 2 if table.visibility[k] == VISIBLE else 1)
    return found

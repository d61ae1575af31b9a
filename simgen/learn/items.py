"""From samples to inputs and targets of fixed size, as NumPy arrays: what is cached, batched and augmented."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from simgen.learn.config import InputConfig
from simgen.learn.errors import LearnError
from simgen.learn.sample import UNLABELLED, Objects, Sample, Source

FILL = 127
"""Grey level around an image that does not fill the input."""

MOST_OBJECTS = 100
"""Objects of an image that a detector is trained on; of more, the largest."""


@dataclass(frozen=True)
class View:
    """Which part of an image the input shows: source = ``scale`` * input + (x, y), both as corner coordinates."""

    x: float
    y: float
    scale: float

    def to_source(self, boxes: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Boxes xywh (K, 4) of the input in pixels of the image."""
        out = np.asarray(boxes, np.float64) * self.scale
        out[:, :2] += (self.x, self.y)
        return out.astype(np.float32)

    def to_input(self, boxes: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Boxes xywh (K, 4) of the image in pixels of the input."""
        out = np.array(boxes, np.float64)
        out[:, :2] -= (self.x, self.y)
        return (out / self.scale).astype(np.float32)


def whole(image: NDArray[Any], config: InputConfig) -> View:
    """The view of an image that is as large as fits, centred."""
    height, width = image.shape[:2]
    scale = max(height / config.height, width / config.width)
    # Whole pixels, as `show` cuts them out: boxes then go back to exactly where they came from.
    return View(round((width - scale * config.width) / 2), round((height - scale * config.height) / 2), scale)


def around(image: NDArray[Any], box: NDArray[np.floating[Any]], config: InputConfig) -> View:
    """The view of a box xywh with the margin of ``config``, centred on it.

    A box that is the whole image belongs to a picture that somebody has cropped already; it gets no margin.
    """
    x, y, w, h = (float(v) for v in box)
    if w >= image.shape[1] and h >= image.shape[0]:
        return whole(image, config)
    side = max(w, h) * 2 * config.margin
    scale = max((h + side) / config.height, (w + side) / config.width)
    return View(x + w / 2 - scale * config.width / 2, y + h / 2 - scale * config.height / 2, scale)


def show(image: NDArray[np.uint8], view: View, config: InputConfig) -> NDArray[np.uint8]:
    """What ``view`` shows of an image: uint8 (height, width, 3), grey outside the image, averaged when made smaller."""
    return _resample(image, view, config, FILL, cv2.INTER_AREA if view.scale > 1 else cv2.INTER_LINEAR)


def show_labels(labels: NDArray[np.uint8], view: View, config: InputConfig) -> NDArray[np.uint8]:
    """A map of labels as ``view`` shows it: nearest pixel, ``UNLABELLED`` outside."""
    return _resample(labels, view, config, UNLABELLED, cv2.INTER_NEAREST_EXACT)


def _resample(image: NDArray[np.uint8], view: View, config: InputConfig, fill: int, interpolation: int) -> NDArray[Any]:
    """The pixels of ``view``; it is rounded to whole source pixels when they are finer than those of the input."""
    height, width = image.shape[:2]
    left, top = round(view.x), round(view.y)
    right = left + max(1, round(view.scale * config.width))
    bottom = top + max(1, round(view.scale * config.height))
    if right <= 0 or bottom <= 0 or left >= width or top >= height:
        return np.full((config.height, config.width, *image.shape[2:]), fill, np.uint8)
    inside: NDArray[Any] = image[max(top, 0) : bottom, max(left, 0) : right]
    around_it = (max(-top, 0), max(bottom - height, 0), max(-left, 0), max(right - width, 0))
    if any(around_it):
        inside = cv2.copyMakeBorder(inside, *around_it, cv2.BORDER_CONSTANT, value=(fill, fill, fill))
    if inside.shape[:2] == (config.height, config.width):
        return np.ascontiguousarray(inside)
    return cv2.resize(inside, (config.width, config.height), interpolation=interpolation)


def chosen(objects: Objects, config: InputConfig) -> list[int]:
    """The objects (rows) of an image that classify and pose look at; none when all are to be ignored."""
    rows = np.flatnonzero(~objects.ignore & (objects.areas > 0))
    if config.crop == "objects" or len(rows) == 0:
        return [int(k) for k in rows]
    return [int(rows[np.argmax(objects.areas[rows])])]


def view_of(sample: Sample, row: int, task: str, config: InputConfig) -> View:
    """What the input shows of a sample; ``row`` is the object that classify and pose look at."""
    if task in ("detect", "segment") or config.crop == "image":
        return whole(sample.image, config)
    return around(sample.image, sample.objects.boxes[row], config)


def looking_at(K: NDArray[np.float64] | None, box: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """R_cam_ray (3, 3): the rotation that turns the camera's axis to the centre of ``box``; identity without K.

    A pose relative to that ray is what a crop shows, wherever in the image it was (allocentric; Kundu et al. 2018).
    """
    if K is None:
        return np.eye(3)
    x, y, w, h = (float(v) for v in box)
    # Boxes are in corner coordinates, K puts pixel centres at integers.
    ray = np.linalg.solve(K, np.array([x + w / 2 - 0.5, y + h / 2 - 0.5, 1.0]))
    ray /= np.linalg.norm(ray)
    axis = np.cross([0.0, 0.0, 1.0], ray)
    rotation, _ = cv2.Rodrigues(axis * (np.arccos(np.clip(ray[2], -1, 1)) / max(float(np.linalg.norm(axis)), 1e-12)))
    return np.asarray(rotation, np.float64)


class Items:
    """Training inputs and targets of a source, by index: dictionaries of arrays of fixed shape.

    All have ``image`` uint8 (height, width, 3). classify: ``label`` int64. detect: ``boxes`` float32 (M, 4) xywh of
    the input and ``labels`` int64 (M,), -1 for none and -2 for what is to be ignored. segment: ``semantic`` uint8
    (height, width). pose: ``azimuth`` float32 or ``rotation`` float32 (3, 3), allocentric, and ``box`` float32 (4,).

    ``index`` lists (sample, object) of each item. Raises LearnError when no sample has anything to learn.
    """

    def __init__(self, source: Source, task: str, config: InputConfig, target: str = "azimuth") -> None:
        self.source, self.task, self.config, self.target = source, task, config, target
        self.index: list[tuple[int, int]] = []
        self.labels = np.zeros(0, np.int64)
        if task in ("classify", "pose"):
            self._list_objects()
        else:
            self.index = [(n, -1) for n in range(len(source))]
        if not self.index:
            raise LearnError(f"{source.name} has no {_NEEDS[task]}.")

    def _list_objects(self) -> None:
        labels = []
        for n in range(len(self.source)):
            found = self.source.objects(n)
            for row in chosen(found, self.config):
                known = self.task == "classify" or _has_pose(found, row, self.target)
                if known:
                    self.index.append((n, row))
                    labels.append(int(found.labels[row]))
        self.labels = np.array(labels, np.int64)

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, index: int) -> dict[str, NDArray[Any]]:
        n, row = self.index[index]
        return prepare(self.source[n], row, self.task, self.config, self.target)


_NEEDS = {
    "classify": "object that is visible enough to be classified",
    "pose": "object of a known pose that is visible enough",
    "detect": "image",
    "segment": "image",
}


def _has_pose(objects: Objects, row: int, target: str) -> bool:
    value = objects.azimuth[row] if target == "azimuth" else objects.rotation[row]
    return bool(np.isfinite(value).all())


def prepare(sample: Sample, row: int, task: str, config: InputConfig, target: str) -> dict[str, NDArray[Any]]:
    """One item, see ``Items``; ``row`` is the object of classify and pose."""
    found = sample.objects
    view = view_of(sample, row, task, config)
    item: dict[str, NDArray[Any]] = {"image": show(sample.image, view, config)}
    if task in ("classify", "pose"):
        if task == "classify":
            item["label"] = np.array(found.labels[row], np.int64)
            return item
        item["box"] = view.to_input(found.boxes[row : row + 1])[0]
        if target == "azimuth":
            item["azimuth"] = np.array(found.azimuth[row], np.float32)
        else:
            item["rotation"] = (looking_at(sample.K, found.boxes[row]).T @ found.rotation[row]).astype(np.float32)
        return item
    if task == "segment":
        if sample.semantic is None:
            raise LearnError(f"{sample.name} has no mask; task=segment needs masks.")
        item["semantic"] = show_labels(sample.semantic, view, config)
        return item
    boxes = np.zeros((MOST_OBJECTS, 4), np.float32)
    labels = np.full(MOST_OBJECTS, -1, np.int64)
    largest = np.argsort(-found.areas, kind="stable")[:MOST_OBJECTS]
    boxes[: len(largest)] = view.to_input(found.boxes[largest])
    labels[: len(largest)] = np.where(found.ignore[largest], -2, found.labels[largest])
    return {**item, "boxes": boxes, "labels": labels}


class Cached:
    """Items that are kept in memory once they were made, up to ``limit`` bytes."""

    def __init__(self, items: Items, limit: float) -> None:
        self.items, self._left = items, limit
        self._kept: dict[int, dict[str, NDArray[Any]]] = {}

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict[str, NDArray[Any]]:
        if index in self._kept:
            return self._kept[index]
        item = self.items[index]
        size = sum(array.nbytes for array in item.values())
        if size <= self._left:
            self._left -= size
            self._kept[index] = item
        return item

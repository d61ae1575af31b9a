"""What of a set of images is compared: properties of its pictures and labels, and features."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from simgen.learn.sample import Sample, Source
from simgen.rng import stream

Extract = Callable[[Sequence[Sample]], NDArray[np.float64]]
"""Samples -> features (n, D)."""

PICTURE: dict[str, str] = {
    "brightness": "mean of the grey values, 0 to 1",
    "contrast": "standard deviation of the grey values, 0 to 1",
    "saturation": "mean chroma in CIELAB",
    "red-green": "mean a* in CIELAB",
    "yellow-blue": "mean b* in CIELAB",
    "sharpness": "log10 of the variance of the Laplacian of the grey values, 0 to 255",
    "noise": "log10 of the standard deviation of the noise (Immerkaer 1996), grey values of 0 to 255",
}
"""Properties of pictures, and what they are."""

LABELS: dict[str, str] = {
    "objects": "labelled objects in an image",
    "size": "square root of the share of the image that a box takes",
    "aspect": "natural logarithm of width over height of a box",
    "column": "centre of a box from the left edge (0) to the right (1)",
    "row": "centre of a box from the upper edge (0) to the lower (1)",
}
"""Properties of labels, and what they are; "objects" is one of images, the others of boxes."""

_BATCH = 64

_NOISE_KERNEL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)


@dataclass(frozen=True, eq=False)
class Description:
    """A set of n images with m boxes.

    ``group`` (n,) numbers the groups of akin images. ``pictures`` and ``labels`` are by name (n,) or, of boxes, (m,);
    ``owner`` (m,) is the image of each box and ``classes`` (m,) its class, of ``class_count``. ``features`` are by name
    (n, D).
    """

    name: str
    group: NDArray[np.int64]
    pictures: dict[str, NDArray[np.float64]]
    labels: dict[str, NDArray[np.float64]]
    owner: NDArray[np.int64]
    classes: NDArray[np.int64]
    class_count: int
    features: dict[str, NDArray[np.float64]]

    def __len__(self) -> int:
        return len(self.group)

    def part(self, images: NDArray[np.bool_]) -> Description:
        """The images where ``images`` (n,) is true."""
        boxes = images[self.owner]
        place = np.cumsum(images) - 1
        return Description(
            self.name,
            self.group[images],
            {name: values[images] for name, values in self.pictures.items()},
            {name: values[images if name == "objects" else boxes] for name, values in self.labels.items()},
            place[self.owner[boxes]],
            self.classes[boxes],
            self.class_count,
            {name: values[images] for name, values in self.features.items()},
        )


def describe(
    source: Source, features: Mapping[str, Extract] | None = None, most: int = 500, seed: int = 0
) -> Description:
    """Read at most ``most`` images of ``source``, drawn by ``seed``, and what of them is compared.

    Objects that are marked to be ignored are left out.
    """
    order = stream(seed, 0, "evaluate/describe").permutation(len(source))[:most]
    chosen = sorted(order.tolist())
    extract = features or {}
    found: dict[str, list[NDArray[np.float64]]] = {name: [] for name in extract}
    pictures: list[dict[str, float]] = []
    boxes, aspect, owner, classes, counts = [], [], [], [], []
    groups: dict[str, int] = {}
    group = [groups.setdefault(source.group(index), len(groups)) for index in chosen]
    for start in range(0, len(chosen), _BATCH):
        samples = [source[index] for index in chosen[start : start + _BATCH]]
        for k, sample in enumerate(samples, start=start):
            pictures.append(picture_properties(sample.image))
            kept = ~sample.objects.ignore
            height, width = sample.image.shape[:2]
            boxes.append(sample.objects.boxes[kept] / [width, height, width, height])
            aspect.append(np.log(np.maximum(sample.objects.boxes[kept, 2:], 1e-3).astype(np.float64)) @ [1.0, -1.0])
            classes.append(sample.objects.labels[kept])
            owner.append(np.full(int(kept.sum()), k))
            counts.append(float(kept.sum()))
        for name, take in extract.items():
            found[name].append(np.asarray(take(samples), np.float64))
    x, y, w, h = np.concatenate([*boxes, np.zeros((0, 4))]).astype(np.float64).T
    labels = {
        "objects": np.array(counts),
        "size": np.sqrt(np.maximum(w * h, 0)),
        "aspect": np.concatenate([*aspect, np.zeros(0)]),
        "column": x + w / 2,
        "row": y + h / 2,
    }
    return Description(
        source.name,
        np.array(group, np.int64),
        {name: np.array([each[name] for each in pictures]) for name in PICTURE},
        labels,
        np.concatenate([*owner, np.zeros(0)]).astype(np.int64),
        np.concatenate([*classes, np.zeros(0)]).astype(np.int64),
        len(source.classes),
        {name: np.concatenate(parts) for name, parts in found.items()},
    )


def picture_properties(image: NDArray[np.uint8]) -> dict[str, float]:
    """The properties PICTURE of an sRGB image (H, W, 3)."""
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
    lab = cv2.cvtColor(image.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2LAB)
    a, b = lab[..., 1], lab[..., 2]
    return {
        "brightness": float(grey.mean() / 255),
        "contrast": float(grey.std() / 255),
        "saturation": float(np.hypot(a, b).mean()),
        "red-green": float(a.mean()),
        "yellow-blue": float(b.mean()),
        "sharpness": float(np.log10(cv2.Laplacian(grey, cv2.CV_32F).var() + 1e-3)),
        "noise": float(np.log10(noise_level(grey) + 1e-3)),
    }


def noise_level(grey: NDArray[np.uint8]) -> float:
    """The standard deviation of additive noise (H, W), by the mask of Immerkaer (1996), which flat shading and edges
    along lines do not answer to; texture counts as noise.
    """
    height, width = grey.shape
    if min(height, width) < 3:
        return 0.0
    answer = cv2.filter2D(grey.astype(np.float32), cv2.CV_32F, _NOISE_KERNEL)[1:-1, 1:-1]
    return float(np.sqrt(np.pi / 2) / 6 * np.abs(answer).mean())

"""Segmentation: overlap of regions and of their outlines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from simgen.evaluate.metrics.tally import Figures, Weights, mean, ratio
from simgen.learn.predictions import Prediction, Segmented
from simgen.learn.sample import UNLABELLED, Sample

TOLERANCE = 0.008
"""Distance within which outlines agree, as a share of the image diagonal (Perazzi et al. 2016)."""


class SegmentTally:
    """IoU over all pixels, mean of the classes (background apart); pixel accuracy; F measure of the outlines."""

    primary = "IoU"
    larger_is_better = True

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        self._tables: list[NDArray[np.int64]] = []
        self._outlines: list[NDArray[np.float64]] = []
        self._names: list[str] = []

    def add(self, sample: Sample, prediction: Prediction) -> None:
        """Count one image, which must have a semantic map."""
        assert isinstance(prediction, Segmented)
        assert sample.semantic is not None
        count = len(self.classes) + 1
        truth, given = sample.semantic, np.minimum(prediction.semantic, count - 1)
        known = truth != UNLABELLED
        pairs = truth[known].astype(np.int64) * count + given[known]
        self._tables.append(np.bincount(pairs, minlength=count * count).reshape(count, count))
        given = np.where(known, given, UNLABELLED)
        self._outlines.append(np.array([outline_agreement(truth == c, given == c) for c in range(1, count)]))
        self._names.append(sample.name)

    def figures(self, weights: Weights) -> Figures:
        """See ``Tally``."""
        table = np.tensordot(weights, np.array(self._tables), 1)
        outlines = np.array(self._outlines)
        known = np.isfinite(outlines)
        total, summed = weights @ known, weights @ np.where(known, outlines, 0)
        each = np.where(total > 0, summed / np.maximum(total, 1e-12), np.nan)
        return {
            "IoU": mean(_overlap(table)),
            "boundary_F": mean(each),
            "pixel_accuracy": ratio(float(np.trace(table)), float(table.sum())),
        }

    def score(self, weights: Weights) -> float:
        """See ``Tally``."""
        return self.figures(weights)[self.primary]

    def per_class(self) -> list[dict[str, Any]]:
        """IoU and outline F measure of each class."""
        overlap = _overlap(np.sum(self._tables, axis=0))
        outlines = np.array(self._outlines)
        return [
            {
                "class": name,
                "images": int(sum(table[c + 1].sum() > 0 for table in self._tables)),
                "IoU": float(overlap[c]),
                "boundary_F": mean(outlines[:, c]),
            }
            for c, name in enumerate(self.classes)
        ]

    def per_image(self) -> list[dict[str, Any]]:
        """The mean IoU of the classes that are, or are said to be, in the image."""
        return [
            {"name": name, "score": mean(_overlap(table)), "boundary_F": mean(outline)}
            for name, table, outline in zip(self._names, self._tables, self._outlines, strict=True)
        ]


def _overlap(table: NDArray[Any]) -> NDArray[np.float64]:
    """IoU of each class but the background (C,), from counts (C + 1, C + 1); NaN for a class that is nowhere."""
    both = np.diag(table)[1:].astype(np.float64)
    either = table.sum(0)[1:] + table.sum(1)[1:] - both
    return np.where(either > 0, both / np.maximum(either, 1e-12), np.nan)


def outline_agreement(truth: NDArray[np.bool_], given: NDArray[np.bool_]) -> float:
    """F measure of the outlines of two masks (H, W), NaN when both are empty (Perazzi et al. 2016)."""
    if not truth.any() and not given.any():
        return float("nan")
    a, b = _outline(truth), _outline(given)
    if not a.any() or not b.any():
        return 1.0 if a.any() == b.any() else 0.0
    reach = max(1, int(np.ceil(TOLERANCE * np.hypot(*truth.shape))))
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    near_a = cv2.dilate(a.astype(np.uint8), disk).astype(bool)
    near_b = cv2.dilate(b.astype(np.uint8), disk).astype(bool)
    precision, recall = (b & near_a).sum() / b.sum(), (a & near_b).sum() / a.sum()
    return float(2 * precision * recall / (precision + recall)) if precision + recall > 0 else 0.0


def _outline(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels of a mask that have a neighbour outside it; the border of the image is no outline."""
    padded = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    return mask & (cv2.erode(padded, cross)[1:-1, 1:-1] == 0)

"""Pose: angular errors, with the unknown frame of a measured azimuth taken out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.evaluate.metrics.tally import Figures, Weights, ratio
from simgen.learn.predictions import Posed, Prediction
from simgen.learn.sample import Sample

THRESHOLDS = (5, 15, 30)
"""Degrees."""

_CANDIDATES = 1000


@dataclass(frozen=True)
class Calibration:
    """How measured azimuths follow from the mesh's: measured = ``direction`` * azimuth + ``offset`` (radians).

    A turntable has its own zero and its own sense of rotation; both are constants that no image tells.
    """

    offset: float = 0.0
    direction: int = 1

    def apply(self, azimuth: NDArray[np.float64]) -> NDArray[np.float64]:
        """Predicted azimuths as they would have been measured."""
        return self.direction * azimuth + self.offset


class PoseTally:
    """Median and mean angular error in degrees and the shares within 5, 15 and 30 degrees."""

    primary = "median_deg"
    larger_is_better = False

    def __init__(self, classes: Sequence[str], calibration: Calibration | None = None) -> None:
        self.classes = tuple(classes)
        self.calibration = calibration or Calibration()
        self._image: list[int] = []
        self._label: list[int] = []
        self._truth: list[float] = []
        self._given: list[float] = []
        self._rotation_error: list[float] = []
        self._names: list[str] = []

    def add(self, sample: Sample, prediction: Prediction) -> None:
        """Count the objects whose pose is known."""
        assert isinstance(prediction, Posed)
        for row, angle, R in zip(prediction.rows, prediction.azimuth, prediction.rotation, strict=True):
            truth = float(sample.objects.azimuth[row])
            known = np.isfinite(truth) if np.isfinite(angle) else np.isfinite(sample.objects.rotation[row]).all()
            if known:
                self._image.append(len(self._names))
                self._label.append(int(sample.objects.labels[row]))
                self._truth.append(truth)
                self._given.append(float(angle))
                self._rotation_error.append(between(sample.objects.rotation[row], R))
        self._names.append(sample.name)

    def calibrate(self) -> Calibration:
        """The calibration under which what was counted so far agrees best."""
        return calibrate(np.array(self._given), np.array(self._truth))

    def errors(self) -> NDArray[np.float64]:
        """Error of each object in degrees."""
        given = np.array(self._given)
        turned = np.degrees(np.abs(wrap(self.calibration.apply(given) - np.array(self._truth))))
        return np.where(np.isfinite(given), turned, np.degrees(np.array(self._rotation_error)))

    def figures(self, weights: Weights) -> Figures:
        """See ``Tally``."""
        errors, weight = self.errors(), weights[np.array(self._image, np.int64)]
        total = float(weight.sum())
        shares = {f"within_{t}": ratio(float(weight[errors <= t].sum()), total) for t in THRESHOLDS}
        return {
            "median_deg": _weighted_median(errors, weight),
            "mean_deg": ratio(float(weight @ errors), total),
            **shares,
        }

    def score(self, weights: Weights) -> float:
        """See ``Tally``."""
        return self.figures(weights)[self.primary]

    def per_class(self) -> list[dict[str, Any]]:
        """Objects and median error of each class."""
        errors, label = self.errors(), np.array(self._label, np.int64)
        rows = []
        for c, name in enumerate(self.classes):
            own = errors[label == c]
            median = float(np.median(own)) if len(own) else float("nan")
            rows.append({"class": name, "objects": len(own), "median_deg": median})
        return rows

    def per_image(self) -> list[dict[str, Any]]:
        """The mean error in degrees; the score is minus that."""
        errors, image = self.errors(), np.array(self._image, np.int64)
        total = np.bincount(image, errors, len(self._names))
        count = np.bincount(image, minlength=len(self._names))
        each = np.where(count > 0, total / np.maximum(count, 1), np.nan)
        pairs = zip(self._names, each, strict=True)
        return [{"name": name, "score": -float(error), "error_deg": float(error)} for name, error in pairs]


def calibrate(azimuth: NDArray[np.float64], measured: NDArray[np.float64]) -> Calibration:
    """The offset and direction that make the mean absolute difference of angles (n,) in radians least.

    The least is taken at one of the differences themselves, as with a median; of many, evenly spaced ones are tried.
    """
    known = np.isfinite(azimuth) & np.isfinite(measured)
    azimuth, measured = azimuth[known], measured[known]
    if len(azimuth) == 0:
        return Calibration()
    best = (np.inf, Calibration())
    for direction in (1, -1):
        offsets = wrap(measured - direction * azimuth)
        tried = np.sort(offsets)[:: max(1, len(offsets) // _CANDIDATES)]
        costs = np.array([np.abs(wrap(offsets - c)).mean() for c in tried])
        k = int(costs.argmin())
        if costs[k] < best[0]:
            best = (float(costs[k]), Calibration(float(tried[k]), direction))
    return best[1]


def wrap(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angles in radians brought into [-pi, pi)."""
    return (angle + np.pi) % (2 * np.pi) - np.pi


def between(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Angle in radians between two rotations (3, 3)."""
    return float(np.arccos(np.clip((np.trace(a.T @ b) - 1) / 2, -1, 1)))


def _weighted_median(values: NDArray[np.float64], weight: Weights) -> float:
    """The median when each value occurs ``weight`` times: the mean of the two middle ones when they tie."""
    some = weight > 0
    if not some.any():
        return float("nan")
    order = np.argsort(values[some])
    ordered, upto = values[some][order], np.cumsum(weight[some][order])
    half = upto[-1] / 2
    k = int(np.searchsorted(upto, half))
    if np.isclose(upto[k], half) and k + 1 < len(ordered):
        return float((ordered[k] + ordered[k + 1]) / 2)
    return float(ordered[k])

"""Classification: accuracy, calibration, confusion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.evaluate.metrics.tally import Figures, Weights, mean, ratio
from simgen.learn.predictions import Classified, Prediction
from simgen.learn.sample import Sample

CALIBRATION_BINS = 15


class ClassifyTally:
    """top1, the mean over classes (macro), expected calibration error and log loss of objects."""

    primary = "top1"
    larger_is_better = True

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        self._image: list[int] = []
        self._label: list[int] = []
        self._probabilities: list[NDArray[np.float32]] = []
        self._names: list[str] = []

    def add(self, sample: Sample, prediction: Prediction) -> None:
        """Count the objects that the model looked at."""
        assert isinstance(prediction, Classified)
        for row, probabilities in zip(prediction.rows, prediction.probabilities, strict=True):
            self._image.append(len(self._names))
            self._label.append(int(sample.objects.labels[row]))
            self._probabilities.append(probabilities)
        self._names.append(sample.name)

    def figures(self, weights: Weights) -> Figures:
        """See ``Tally``."""
        image, label, probabilities = self._arrays()
        weight = weights[image]
        best = probabilities.argmax(1)
        right = best == label
        total = weight.sum()
        counts = np.bincount(label, weight, len(self.classes))
        hits = np.bincount(label, weight * right, len(self.classes))
        recalls = np.where(counts > 0, hits / np.maximum(counts, 1e-12), np.nan)
        chance = np.clip(probabilities[np.arange(len(label)), label], 1e-12, 1)
        return {
            "top1": ratio(float((weight * right).sum()), total),
            "macro": mean(recalls),
            "ece": calibration_error(probabilities.max(1), right, weight),
            "log_loss": ratio(float(-(weight * np.log(chance)).sum()), total),
        }

    def confusion(self) -> NDArray[np.int64]:
        """Counts (C, C): row the true class, column the predicted one."""
        _, label, probabilities = self._arrays()
        count = len(self.classes)
        return np.bincount(label * count + probabilities.argmax(1), minlength=count * count).reshape(count, count)

    def score(self, weights: Weights) -> float:
        """See ``Tally``."""
        return self.figures(weights)[self.primary]

    def per_class(self) -> list[dict[str, Any]]:
        """Recall, precision and the class that is most often given instead."""
        table = self.confusion()
        rows = []
        for c, name in enumerate(self.classes):
            wrong = table[c].copy()
            wrong[c] = 0
            rows.append(
                {
                    "class": name,
                    "objects": int(table[c].sum()),
                    "recall": ratio(table[c, c], table[c].sum()),
                    "precision": ratio(table[c, c], table[:, c].sum()),
                    "taken_for": self.classes[int(wrong.argmax())] if wrong.any() else "",
                }
            )
        return rows

    def per_image(self) -> list[dict[str, Any]]:
        """The mean probability of the true class; of the first object also the true and the given class."""
        rows: list[dict[str, Any]] = [{"name": name, "score": float("nan")} for name in self._names]
        image, label, probabilities = self._arrays()
        for k, row in enumerate(rows):
            own = np.flatnonzero(image == k) if len(image) != len(rows) else np.array([k])
            if len(own):
                row["score"] = float(probabilities[own, label[own]].mean())
                row["true"] = self.classes[label[own[0]]]
                row["given"] = self.classes[int(probabilities[own[0]].argmax())]
        return rows

    def _arrays(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        shape = (len(self._label), len(self.classes))
        return (
            np.array(self._image, np.int64),
            np.array(self._label, np.int64),
            np.array(self._probabilities, np.float32).reshape(shape),
        )


def calibration_error(confidence: NDArray[Any], right: NDArray[np.bool_], weight: Weights) -> float:
    """Expected calibration error (Naeini et al. 2015): the mean gap of confidence and accuracy over equal bins."""
    bins = np.clip(np.ceil(confidence * CALIBRATION_BINS).astype(np.int64) - 1, 0, CALIBRATION_BINS - 1)
    said = np.bincount(bins, weight * confidence, CALIBRATION_BINS)
    true = np.bincount(bins, weight * right, CALIBRATION_BINS)
    return ratio(float(np.abs(said - true).sum()), float(weight.sum()))

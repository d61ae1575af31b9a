"""What the metrics of all tasks have in common."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from simgen.learn.predictions import Prediction
from simgen.learn.sample import Sample

Figures = dict[str, float]
Weights = NDArray[np.float64]


class Tally(Protocol):
    """Predictions held against the truth, image after image; NaN is a figure that has nothing to stand on.

    ``primary`` names the figure that models are chosen by; ``larger_is_better`` holds for it.
    """

    primary: str
    larger_is_better: bool

    def add(self, sample: Sample, prediction: Prediction) -> None:
        """Count one image; the k-th call is image k. The pixels of ``sample`` are not needed."""
        ...

    def figures(self, weights: Weights) -> Figures:
        """All figures when image k counts ``weights[k]`` times."""
        ...

    def score(self, weights: Weights) -> float:
        """The primary figure alone, which is cheaper."""
        ...

    def per_class(self) -> list[dict[str, Any]]:
        """For each class its name, how often it occurs, and its own figures."""
        ...

    def per_image(self) -> list[dict[str, Any]]:
        """For each image its own results; "score" is larger the better, NaN where there was nothing to score."""
        ...


def ratio(part: float, whole: float) -> float:
    """``part`` / ``whole``, NaN when there is nothing."""
    return float(part / whole) if whole > 0 else float("nan")


def mean(values: NDArray[np.float64]) -> float:
    """The mean of what is not NaN."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")

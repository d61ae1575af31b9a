"""The outcome of an evaluation as data, as JSON and as a table."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from simgen.learn.errors import LearnError

RESULTS = "results.json"


@dataclass(frozen=True)
class Figure:
    """A value with its 95 % interval; NaN where there is nothing to compute it from."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Slice:
    """The primary figure over the images whose ``factor`` has ``value``, a word or a range of numbers.

    ``groups`` counts the tracks or scenes that they are of; None: as many as images.
    """

    factor: str
    value: str
    images: int
    figure: Figure
    groups: int | None = None


@dataclass(frozen=True)
class Results:
    """How a model did on a set of images. ``primary`` names the figure by which models are compared.

    ``classes`` and ``images`` have a dict for each class and each image, as the metrics of the task give them; images
    also have their facts. ``slices`` come worst first within each factor.
    """

    task: str
    model: str
    data: str
    count: int
    primary: str
    larger_is_better: bool
    figures: dict[str, Figure]
    classes: list[dict[str, Any]]
    slices: list[Slice]
    images: list[dict[str, Any]]
    details: dict[str, Any] = field(default_factory=dict)
    """Of some tasks only: confusion, threshold, calibration."""
    read: dict[str, Any] = field(default_factory=dict)
    """What was read and what was skipped."""
    draws: dict[str, list[float]] = field(default_factory=dict)
    """Of some figures the values on images drawn again and again; see ``bootstrap.resample``."""

    @property
    def score(self) -> Figure:
        """The primary figure."""
        return self.figures[self.primary]

    def write(self, folder: str | Path) -> Path:
        """Write results.json into a folder, which is made; NaN becomes null."""
        path = Path(folder) / RESULTS
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(_clean(asdict(self)), indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise LearnError(f"{path} cannot be written ({error.strerror}); give another out=DIR.") from None
        return path

    def text(self, slices: int = 12) -> str:
        """A table of the figures, of the weakest classes and of the worst slices."""
        lines = [f"{self.model} on {self.data}: {self.count} images, {self.task}", ""]
        lines += _table(
            ["figure", "value", "95 % interval"],
            [[name, _number(f.value), _range(f)] for name, f in self.figures.items()],
        )
        if len(self.classes) > 1:
            key = next((k for k in ("recall", "AP50", "IoU", "median_deg") if k in self.classes[0]), "")
            known = [row for row in self.classes if math.isfinite(row[key])]
            sign = -1 if key == "median_deg" else 1
            weakest = sorted(known, key=lambda row: sign * row[key])[:8]
            rows = [[_number(value) for value in row.values()] for row in weakest]
            lines += ["", "weakest classes", *_table(list(self.classes[0]), rows)]
        worst = sorted(self.slices, key=self._badness)[:slices]
        rows = [[s.factor, s.value, str(s.images), _number(s.figure.value), _range(s.figure)] for s in worst]
        if rows:
            lines += ["", "worst slices", *_table(["factor", "value", "images", self.primary, "95 % interval"], rows)]
        return "\n".join(lines)

    def _badness(self, part: Slice) -> float:
        value = part.figure.value
        return math.inf if math.isnan(value) else value if self.larger_is_better else -value


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[k]) for row in [head, *rows]) for k in range(len(head))]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in [head, *rows]]


def _range(figure: Figure) -> str:
    return "" if math.isnan(figure.low) else f"{_number(figure.low)} to {_number(figure.high)}"


def _number(value: Any) -> str:
    if isinstance(value, float):
        return "-" if math.isnan(value) else f"{value:.4g}" if abs(value) >= 10 else f"{value:.3f}"
    return str(value)


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _clean(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

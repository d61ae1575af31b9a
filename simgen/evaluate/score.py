"""Scoring a model on a source of samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.evaluate import slices as slicing
from simgen.evaluate.bootstrap import interval, intervals, resample, units
from simgen.evaluate.metrics.classify import ClassifyTally
from simgen.evaluate.metrics.detect import DetectTally
from simgen.evaluate.metrics.pose import Calibration, PoseTally
from simgen.evaluate.metrics.segment import SegmentTally
from simgen.evaluate.metrics.tally import Figures, Tally, Weights
from simgen.evaluate.results import Figure, Results, Slice
from simgen.learn.errors import LearnError
from simgen.learn.model import Model, predict
from simgen.learn.sample import Source
from simgen.learn.train import Score

SLICE_DRAWS = 100


def tally(task: str, classes: Sequence[str]) -> Tally:
    """An empty tally of a task."""
    kinds: dict[str, Any] = {
        "classify": ClassifyTally,
        "detect": DetectTally,
        "segment": SegmentTally,
        "pose": PoseTally,
    }
    made: Tally = kinds[task](classes)
    return made


def scorer(model: Model, val: Source) -> Score:
    """The primary figure of a model on validation data; what ``learn.train`` chooses by.

    Azimuths are calibrated on the validation data itself, because real ones have an unknown zero.
    """
    count = tally(model.task, model.classes)
    for sample, prediction in predict(model, val):
        count.add(sample, prediction)
    if isinstance(count, PoseTally) and model.target == "azimuth":
        count.calibration = count.calibrate()
    value = count.score(np.ones(len(val)))
    value = value if np.isfinite(value) else 0.0 if count.larger_is_better else 180.0
    return Score(count.primary, value, count.larger_is_better)


def evaluate(
    model: Model,
    source: Source,
    *,
    calibration: Source | None = None,
    name: str = "model",
    draws: int = 500,
    seed: int = 0,
    keep: Sequence[str] = (),
) -> Results:
    """All figures of ``model`` on ``source`` with 95 % intervals, by class, by slice and by image.

    ``calibration`` are samples that fix what may be fixed without touching ``source``: the zero and the sense of
    rotation of measured azimuths, and the score from which a detection counts. Without it azimuths are taken as they
    are and the threshold is 0.3. ``keep`` names figures whose values in each bootstrap draw are kept. Raises
    LearnError when the classes differ or nothing can be scored.
    """
    if source.classes != model.classes:
        raise LearnError(
            f"{source.name} has the classes {', '.join(source.classes[:8])}, the model {', '.join(model.classes[:8])}; "
            "open the data with the model's classes."
        )
    count = tally(model.task, model.classes)
    details: dict[str, Any] = {}
    if calibration is not None:
        _calibrate(count, model, calibration, details)
    facts: list[dict[str, Any]] = []
    for sample, prediction in predict(model, source):
        count.add(sample, prediction)
        facts.append({**sample.facts, **slicing.properties(sample)})
    groups = [source.group(k) for k in range(len(source))]
    unit = units(groups)
    values = count.figures(np.ones(len(groups)))
    if not np.isfinite(values[count.primary]):
        raise LearnError(f"{source.name} has nothing that a model of the task {model.task} can be scored on.")
    drawn = resample(count.figures, groups, draws, seed)
    parts = [
        Slice(factor, value, int(mask.sum()), _sliced(count, groups, mask, seed), len(np.unique(unit[mask])))
        for factor, value, mask in slicing.divide(facts)
    ]
    if isinstance(count, ClassifyTally):
        details["confusion"] = count.confusion().tolist()
    if isinstance(count, DetectTally):
        details["threshold"] = count.threshold
    sign = 1 if count.larger_is_better else -1
    report = getattr(source, "report", None)
    return Results(
        task=model.task,
        model=name,
        data=source.name,
        count=len(groups),
        primary=count.primary,
        larger_is_better=count.larger_is_better,
        figures={key: Figure(value, *interval(drawn[key])) for key, value in values.items()},
        classes=count.per_class(),
        slices=sorted(parts, key=lambda part: (part.factor, sign * part.figure.value)),
        images=[{**row, "facts": fact} for row, fact in zip(count.per_image(), facts, strict=True)],
        details=details,
        read=dict(report.plain()) if report else {},
        draws={key: drawn[key].tolist() for key in keep},
    )


def _calibrate(count: Tally, model: Model, data: Source, details: dict[str, Any]) -> None:
    if data.classes != model.classes:
        raise LearnError(f"{data.name} has other classes than the model; open it with the model's classes.")
    other = tally(model.task, model.classes)
    for sample, prediction in predict(model, data):
        other.add(sample, prediction)
    if isinstance(count, DetectTally) and isinstance(other, DetectTally):
        count.threshold = other.best_threshold()
    if isinstance(count, PoseTally) and isinstance(other, PoseTally) and model.target == "azimuth":
        count.calibration = found = other.calibrate()
        details["calibration"] = _plain(found)


def _plain(calibration: Calibration) -> dict[str, float]:
    return {"offset_deg": float(np.degrees(calibration.offset)), "direction": calibration.direction}


def _sliced(count: Tally, groups: list[str], mask: NDArray[np.bool_], seed: int) -> Figure:
    def primary(weights: Weights) -> Figures:
        return {count.primary: count.score(weights)}

    value = count.score(mask.astype(np.float64))
    return Figure(value, *intervals(primary, groups, SLICE_DRAWS, seed, mask)[count.primary])

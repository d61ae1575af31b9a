"""The figures of an experiment, as data and as JSON.

results.json
  format, simgen, experiment, about, budget, seeds, real {train, val, test: what was read}, seconds
  tasks.NAME
    task, metric, larger_is_better, goal, classes, selection, calibrate
    arms.NAME       about, kind, scores {val, test: Score}, gap, runs: a list with one entry for each seed:
                      seed, model, steps, images_seen, sources (kind, set, images; of all steps), chosen_by
                      (figure, value, on), seconds, scores {val, test: figures with 95 % intervals}
    curve           a list of frames, score, runs
    ablations.NAME  about, score, difference, runs; "everything" is the set that they are held against
    slices          of the arm ``focus``: factor, value, images, figure; worst first
    by_class        of the arm ``focus``: class, how often it occurs, its figures; worst first
  sections          what further sections of the report found, by name
  Score: value (mean over the seeds), low, high (95 % bootstrap interval of that mean over the real images),
  spread (standard deviation over the seeds; null for one seed). Differences (``gap`` to the real-only arm,
  ``difference`` to everything) are score minus score, their intervals those of a paired bootstrap.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen import __version__
from simgen.evaluate.bootstrap import interval
from simgen.shards.files import write_atomically

RESULTS = "results.json"
FORMAT = 1
EVERYTHING = "everything"


@dataclass(frozen=True)
class Score:
    """A figure over seeds: mean, 95 % interval of the mean over images, standard deviation over seeds."""

    value: float
    low: float
    high: float
    spread: float
    seeds: int


@dataclass(frozen=True)
class Run:
    """One model. ``sources`` are all that it has learnt from; ``scores`` by part (val, test) all figures.

    ``draws`` are the values of the metric on images drawn again, by part.
    """

    seed: int
    model: str
    steps: int
    images_seen: int
    seconds: float
    sources: list[dict[str, Any]]
    chosen_by: dict[str, Any]
    scores: dict[str, dict[str, Any]] = field(default_factory=dict)
    draws: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Line:
    """What is told of an arm, a size of the curve, or an ablation; ``difference`` by part, to what it is held against.

    ``scores`` is empty without real images.
    """

    name: str
    about: str
    kind: str
    runs: list[Run]
    scores: dict[str, Score]
    difference: dict[str, Score] = field(default_factory=dict)


@dataclass(frozen=True)
class TaskResults:
    """All of one task. ``reference`` is the arm that gaps are measured to, "" if there is none; see the module."""

    name: str
    task: str
    metric: str
    larger_is_better: bool
    goal: float | None
    classes: list[str]
    selection: str
    calibrate: str
    reference: str
    focus: str
    arms: list[Line]
    curve: list[tuple[int, Line]]
    ablations: list[Line]
    slices: list[dict[str, Any]]
    by_class: list[dict[str, Any]] = field(default_factory=list)
    """Of each class the figures of the arm ``focus``, its first seed."""


@dataclass
class ExperimentResults:
    """All of an experiment. ``real`` says what was read, by part; ``sections`` are the data of further sections."""

    experiment: str
    about: str
    budget: str
    seeds: list[int]
    real: dict[str, Any]
    tasks: list[TaskResults]
    seconds: float = 0.0
    sections: dict[str, Any] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """JSON-able, NaN as None."""
        tasks = {task.name: _task(task) for task in self.tasks}
        whole = {
            "format": FORMAT,
            "simgen": __version__,
            "experiment": self.experiment,
            "about": self.about,
            "budget": self.budget,
            "seeds": self.seeds,
            "real": self.real,
            "seconds": round(self.seconds, 1),
            "tasks": tasks,
            "sections": self.sections,
        }
        cleaned: dict[str, Any] = _clean(whole)
        return cleaned

    def write(self, folder: Path) -> Path:
        """Write results.json into ``folder``."""
        path = folder / RESULTS
        write_atomically(path, (json.dumps(self.plain(), indent=1) + "\n").encode())
        return path


def score(runs: Sequence[Run], part: str, metric: str) -> Score | None:
    """The metric over the runs that were scored on ``part``; None when there are none."""
    scored = [run for run in runs if part in run.scores]
    if not scored:
        return None
    values = np.array([run.scores[part][metric]["value"] for run in scored], float)
    return _score(values, _mean_draws(scored, part))


def difference(runs: Sequence[Run], others: Sequence[Run], part: str, metric: str) -> Score | None:
    """The metric of ``runs`` minus that of ``others``, paired by image, and by seed where both have it."""
    mine, theirs = ({r.seed: r for r in group if part in r.scores} for group in (runs, others))
    if not mine or not theirs:
        return None
    common = [seed for seed in mine if seed in theirs]
    a = [mine[seed] for seed in common] or list(mine.values())
    b = [theirs[seed] for seed in common] or list(theirs.values())

    def values(some: list[Run]) -> NDArray[np.float64]:
        return np.array([run.scores[part][metric]["value"] for run in some], float)

    each = values(a) - values(b) if common else values(a) - values(b).mean()
    return _score(each, _mean_draws(a, part) - _mean_draws(b, part))


def _mean_draws(runs: Sequence[Run], part: str) -> NDArray[np.float64]:
    return np.mean([np.array(run.draws[part], float) for run in runs], axis=0)


def _score(values: NDArray[np.float64], draws: NDArray[np.float64]) -> Score:
    low, high = interval(draws)
    spread = float(values.std(ddof=1)) if len(values) > 1 else math.nan
    return Score(float(values.mean()), low, high, spread, len(values))


def _task(task: TaskResults) -> dict[str, Any]:
    plain = {
        key: getattr(task, key)
        for key in ("task", "metric", "larger_is_better", "goal", "classes", "selection", "calibrate", "reference")
    }
    return {
        **plain,
        "arms": {line.name: {"kind": line.kind, **_line(line, "gap")} for line in task.arms},
        "curve": [{"frames": frames, **_line(line, "")} for frames, line in task.curve],
        "ablations": {line.name: _line(line, "difference") for line in task.ablations},
        "focus": task.focus,
        "slices": task.slices,
        "by_class": task.by_class,
    }


def _line(line: Line, difference: str) -> dict[str, Any]:
    out: dict[str, Any] = {"about": line.about, "scores": {part: asdict(s) for part, s in line.scores.items()}}
    if difference:
        out[difference] = {part: asdict(s) for part, s in line.difference.items()}
    out["runs"] = [{k: v for k, v in asdict(run).items() if k != "draws"} for run in line.runs]
    return out


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _clean(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

"""From finished runs to the results of an experiment."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from simgen.evaluate.experiment.definition import larger_is_better, metric
from simgen.evaluate.experiment.plan import Training
from simgen.evaluate.experiment.results import (
    EVERYTHING,
    ExperimentResults,
    Line,
    Run,
    Score,
    TaskResults,
    difference,
    score,
)
from simgen.evaluate.experiment.run import Runner


def assemble(runner: Runner, seconds: float = 0.0) -> ExperimentResults:
    """The results of all runs that are finished."""
    experiment = runner.request.experiment
    return ExperimentResults(
        experiment=experiment.name,
        about=experiment.about,
        budget=runner.request.budget,
        seeds=sorted({run.seed for run in runner.runs.values()}),
        real=runner.real,
        tasks=[_task(runner, name) for name in experiment.tasks],
        seconds=seconds,
    )


def focus(runner: Runner) -> str:
    """The arm that is looked at more closely: the first that is synthetic only, or else the first."""
    arms = runner.request.experiment.arms
    return next((a for a in runner.request.arms if arms[a].kind == "synthetic"), runner.request.arms[0])


def reference(runner: Runner) -> str:
    """The arm that gaps are measured to: that of only real images, the one with most of them; "" without one."""
    arms = runner.request.experiment.arms
    real = [name for name in runner.request.arms if arms[name].kind == "real"]
    return max(real, key=lambda name: arms[name].real_images or 10**9, default="")


def _task(runner: Runner, name: str) -> TaskResults:
    experiment, plan = runner.request.experiment, runner.plan
    task, figure = experiment.tasks[name], metric(experiment.tasks[name])
    against = reference(runner)
    real_runs = _runs(runner, (t for (n, arm, _), t in plan.arms.items() if (n, arm) == (name, against)))
    arms = []
    for arm in runner.request.arms:
        runs = _runs(runner, (t for (n, a, _), t in plan.arms.items() if (n, a) == (name, arm)))
        gaps = real_runs if arm != against else []
        settings = experiment.arms[arm]
        arms.append(_line(arm, settings.about, settings.kind, runs, gaps, figure))
    curve = []
    for size in sorted({size for n, size, _ in plan.curve if n == name}):
        runs = _runs(runner, (t for (n, s, _), t in plan.curve.items() if (n, s) == (name, size)))
        curve.append((size, _line(str(size), f"{size} synthetic images", "synthetic", runs, [], figure)))
    whole = _runs(runner, (t for (n, a, _), t in plan.ablations.items() if (n, a) == (name, "")))
    ablations = []
    for part in dict.fromkeys(a for n, a, _ in plan.ablations if n == name):
        runs = _runs(runner, (t for (n, a, _), t in plan.ablations.items() if (n, a) == (name, part)))
        about = experiment.ablations[part].about if part else "the whole set"
        ablations.append(_line(part or EVERYTHING, about, "synthetic", runs, whole if part else [], figure))
    return TaskResults(
        name=name,
        task=task.task,
        metric=figure,
        larger_is_better=larger_is_better(task),
        goal=task.goal,
        classes=runner.data.classes(name),
        selection=task.selection,
        calibrate=_calibrated(runner, name),
        reference=against,
        focus=focus(runner),
        arms=arms,
        curve=curve,
        ablations=ablations,
        slices=_slices(runner, name),
        by_class=_by_class(runner, name),
    )


def _line(name: str, about: str, kind: str, runs: list[Run], others: list[Run], figure: str) -> Line:
    scores: dict[str, Score] = {}
    differences: dict[str, Score] = {}
    for part in ("val", "test"):
        own = score(runs, part, figure)
        if own is not None:
            scores[part] = own
        gap = difference(runs, others, part, figure)
        if gap is not None:
            differences[part] = gap
    return Line(name, about, kind, runs, scores, differences)


def _runs(runner: Runner, trainings: Iterable[Training]) -> list[Run]:
    return [runner.runs[training] for training in trainings if training in runner.runs]


def _calibrated(runner: Runner, task: str) -> str:
    """What fixed the zero of azimuths and the threshold of detections."""
    training = next(t for t in runner.plan.trainings if t.task == task)
    return "real_train" if runner.calibration(training) is not None else "none"


def _slices(runner: Runner, task: str) -> list[dict[str, Any]]:
    """The slices of the real val images, of the first seed of the arm in focus, worst first."""
    content = _looked_at(runner, task)
    known = [part for part in content.get("slices", []) if part["figure"]["value"] is not None]
    sign = 1 if content.get("larger_is_better") else -1
    return sorted(known, key=lambda part: sign * part["figure"]["value"])


def _by_class(runner: Runner, task: str) -> list[dict[str, Any]]:
    """The figures of each class on the real val images, like ``_slices``; those that do not occur last."""
    rows: list[dict[str, Any]] = _looked_at(runner, task).get("classes", [])
    key = next((name for name in ("recall", "AP50", "IoU", "median_deg") if rows and name in rows[0]), "")
    sign = -1 if key == "median_deg" else 1
    known = [row for row in rows if row[key] is not None]
    return [*sorted(known, key=lambda row: sign * row[key]), *(row for row in rows if row[key] is None)]


def _looked_at(runner: Runner, task: str) -> dict[str, Any]:
    """The scores of the first seed of the arm in focus on the real val images; empty when there are none."""
    training = runner.plan.arms.get((task, focus(runner), runner.request.seed))
    if training is None or training not in runner.runs or "val" not in runner.runs[training].scores:
        return {}
    content: dict[str, Any] = json.loads(runner.score_file(training, "val").read_text(encoding="utf-8"))
    return content

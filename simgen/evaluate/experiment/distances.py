"""The section of a report on how far the synthetic images are from the real ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from simgen.evaluate.distance.describe import Description, describe
from simgen.evaluate.distance.features import model_features
from simgen.evaluate.distance.measure import Distance, distances
from simgen.evaluate.experiment.plan import WHOLE, Training
from simgen.evaluate.experiment.results import EVERYTHING, ExperimentResults, TaskResults
from simgen.evaluate.experiment.run import Runner
from simgen.evaluate.experiment.sections import Section
from simgen.evaluate.experiment.table import number
from simgen.view import page

MOST = 400
"""Images of each set that are compared."""

LEAST_SETS = 4
"""Ablations, everything included, from which on ranks are compared."""

_OF = "the synthetic arm's model"


def distance_section(runner: Runner, results: ExperimentResults) -> Section | None:
    """Distances of labels, pictures and features; with ablations, how each goes with the real score."""
    parts, data = [], {}
    for task in results.tasks:
        found = _task(runner, task)
        if found is not None:
            told, ranks = found
            head = f"<h3>{escape(task.name)}</h3>" if len(results.tasks) > 1 else ""
            parts.append(head + _html(told, ranks))
            data[task.name] = {"distances": [_clean(d.plain()) for d in told], "rank_correlation": ranks}
    if not parts:
        return None
    return Section("distance", "Distance", "How far the synthetic images are from the real ones", "".join(parts), data)


def _task(runner: Runner, task: TaskResults) -> tuple[list[Distance], list[dict[str, Any]]] | None:
    training = runner.plan.arms.get((task.name, task.focus, runner.request.seed))
    real_source = runner.data.real(task.name, "val")
    if training is None or training.render is None or real_source is None or training not in runner.runs:
        return None
    extract = {_OF: model_features(runner.load(training))}
    real = describe(real_source, extract, MOST)
    told = distances(_described(runner, training, extract), real)
    return told, _ranks(runner, task, extract, real)


def _described(runner: Runner, training: Training, extract: Any) -> Description:
    assert training.render is not None
    return describe(runner.data.synthetic(training.task, training.render), extract, MOST)


def _ranks(runner: Runner, task: TaskResults, extract: Any, real: Description) -> list[dict[str, Any]]:
    """How the ranks of the ablations' sets by each distance go with those by the real score (Spearman's rho).

    Only ablations that render a set of their own count, of the first seed.
    """
    scores: list[float] = []
    found: dict[str, list[float]] = {}
    kinds: dict[str, Distance] = {}
    for line in task.ablations:
        name = "" if line.name == EVERYTHING else line.name
        training = runner.plan.ablations.get((task.name, name, runner.request.seed))
        if training is None or training.render is None or "val" not in line.scores:
            continue
        if name and training.render.name == WHOLE:
            continue  # trains otherwise on the same images
        scores.append(line.scores["val"].value)
        for distance in distances(_described(runner, training, extract), real, draws=0):
            key = f"{distance.kind}/{distance.name}"
            found.setdefault(key, []).append(distance.nearer * distance.value)
            kinds[key] = distance
    if len(scores) < LEAST_SETS:
        return []
    sign = 1 if task.larger_is_better else -1
    rows = []
    for key, values in found.items():
        if not np.isfinite(values).all() or len(set(values)) < 2 or len(set(scores)) < 2:
            continue
        rho, p = spearmanr(values, [sign * score for score in scores])
        distance = kinds[key]
        rows.append(
            {"kind": distance.kind, "name": distance.name, "rho": float(rho), "p": float(p), "sets": len(scores)}
        )
    return sorted(rows, key=lambda row: -row["rho"])


def _html(told: Sequence[Distance], ranks: Sequence[dict[str, Any]]) -> str:
    lead = (
        f"At most {MOST} synthetic images of the first seed against the real val images, without any training. "
        "Distances of properties are in standard deviations of the real ones (Wasserstein-1). Intervals of 95 % by "
        "half-sampling."
    )
    properties = [
        [d.name, d.about, number(d.synthetic), number(d.real), number(d.value), _interval(d)]
        for d in sorted((d for d in told if d.kind != "feature"), key=lambda d: -_order(d.value))
    ]
    features = [[d.name, d.about, number(d.value), _interval(d)] for d in told if d.kind == "feature"]
    heads = ["property", "", "synthetic", "real", "distance", "95 % interval"]
    html = f'<p class="about">{escape(lead)}</p>{page.table(heads, properties, (2, 3, 4, 5), (1,))}'
    html += f'<p class="about">Features of {_OF}, which knows synthetic images better than real ones.</p>'
    html += page.table(["distance", "", "value", "95 % interval"], features, (2, 3), (1,))
    if ranks:
        rows = [[f"{row['kind']}: {row['name']}", f"{row['rho']:+.2f}", f"{row['p']:.2f}"] for row in ranks]
        count = ranks[0]["sets"]
        html += (
            "<h3>Do distances tell the real score?</h3>"
            f'<p class="about">Spearman\'s rank correlation over the {count} sets of the ablations: +1 when the nearer '
            f"set always has the better score. With so few sets only values near 1 mean something, and of {len(rows)} "
            f"distances about {max(1, round(len(rows) / 20))} has a p below 0.05 by chance.</p>"
            + page.table(["distance", "rho", "p"], rows, (1, 2))
        )
    return html


def _interval(distance: Distance) -> str:
    return "" if math.isnan(distance.low) else f"{number(distance.low)} to {number(distance.high)}"


def _order(value: float) -> float:
    return -1.0 if math.isnan(value) else value


def _clean(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in entry.items()}

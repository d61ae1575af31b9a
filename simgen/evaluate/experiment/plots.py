"""Charts of an experiment as SVG, in the colours of the page that they are put into."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from simgen.evaluate.experiment.results import EVERYTHING, Line, Run, Score, TaskResults
from simgen.evaluate.experiment.table import number
from simgen.view.charts import WIDTH, Axis

_LABEL = 104
"""Width of the names beside a chart of intervals, in user units."""

_ROW = 21

_STYLE = """\
<style>
svg { background: #ffffff; font: 11px system-ui, sans-serif; }
text { fill: #656d76; } .label, .name { fill: #1d2126; } .grid { stroke: #e2e4e7; } .axis { stroke: #656d76; }
.whisker, .curve { stroke: #2f6db3; fill: none; stroke-width: 1.6; } .dot { fill: #2f6db3; } .band { fill: #cfe0f3; }
.seed { fill: none; stroke: #2f6db3; } .against { stroke: #656d76; } .goal { stroke: #b35c00; }
.against, .goal { fill: none; stroke-width: 1.4; stroke-dasharray: 4 3; }
</style>"""


@dataclass(frozen=True)
class Interval:
    """A row of a chart: a value with its interval, and those of the seeds."""

    name: str
    score: Score
    seeds: Sequence[float] = ()


def forest(
    rows: Sequence[Interval], label: str, *, against: float | None = None, goal: float | None = None, title: str = ""
) -> str:
    """Values with their intervals, one a row; vertical lines at what they are held ``against`` and at the ``goal``."""
    marks = [v for v in (against, goal) if v is not None]
    x = Axis(*_span([v for row in rows for v in _extent(row)] + marks), _LABEL, WIDTH - 12)
    height = _ROW * len(rows) + 44
    base = height - 34
    parts = [
        f'<line class="grid" x1="{x.at(t):.1f}" x2="{x.at(t):.1f}" y1="4" y2="{base}"/>'
        f'<text class="tick" x="{x.at(t):.1f}" y="{base + 14}" text-anchor="middle">{escape(_short(t))}</text>'
        for t in x.ticks(4)
    ]
    for kind, value in (("against", against), ("goal", goal)):
        if value is not None:
            parts.append(f'<path class="{kind}" d="M{x.at(value):.1f} 4V{base}"/>')
    for k, row in enumerate(rows):
        y = 4 + _ROW * (k + 0.5)
        low, high, value = row.score.low, row.score.high, row.score.value
        tip = f"{row.name}: {number(value)} ({number(low)} to {number(high)})"
        parts.append(f"<g><title>{escape(tip)}</title>")
        parts.append(
            f'<text class="name" x="{_LABEL - 8}" y="{y + 3.6:.1f}" text-anchor="end">{escape(row.name)}</text>'
        )
        if math.isfinite(low) and math.isfinite(high):
            parts.append(f'<path class="whisker" d="M{x.at(low):.1f} {y:.1f}H{x.at(high):.1f}"/>')
        if len(row.seeds) > 1:
            parts += [f'<circle class="seed" cx="{x.at(v):.1f}" cy="{y:.1f}" r="2.6"/>' for v in row.seeds]
        parts.append(f'<circle class="dot" cx="{x.at(value):.1f}" cy="{y:.1f}" r="3.6"/></g>')
    middle = (_LABEL + WIDTH - 12) / 2
    parts.append(f'<text class="label" x="{middle:.0f}" y="{height - 5}" text-anchor="middle">{escape(label)}</text>')
    return _svg(parts, height, title or label)


def curve(points: Sequence[tuple[int, Score]], label: str, *, against: float | None = None, title: str = "") -> str:
    """The figure over the number of synthetic images, with its intervals; a line at what it is held ``against``."""
    height, left, right = 190, 44, 14
    sizes = [float(size) for size, _ in points]
    spans = [v for _, s in points for v in (s.low, s.high, s.value) if math.isfinite(v)]
    low, high = _span(spans + ([against] if against is not None else []))
    x = Axis(min(sizes) / 1.15, max(sizes) * 1.15, left, WIDTH - right, logarithmic=True)
    y = Axis(low, high, height - 34, 8)
    parts = [
        f'<line class="grid" x1="{left}" x2="{WIDTH - right}" y1="{y.at(t):.1f}" y2="{y.at(t):.1f}"/>'
        f'<text class="tick" x="{left - 5}" y="{y.at(t) + 3.6:.1f}" text-anchor="end">{escape(_short(t))}</text>'
        for t in y.ticks(4)
    ]
    known = [(x.at(size), y.at(s.low), y.at(s.high)) for size, s in points if math.isfinite(s.low)]
    if len(known) > 1:
        there = " ".join(f"{a:.1f},{top:.1f}" for a, _, top in known)
        back = " ".join(f"{a:.1f},{bottom:.1f}" for a, bottom, _ in reversed(known))
        parts.append(f'<polygon class="band" points="{there} {back}"/>')
    if against is not None:
        parts.append(f'<path class="against" d="M{left} {y.at(against):.1f}H{WIDTH - right}"/>')
    line = " ".join(f"{x.at(size):.1f},{y.at(s.value):.1f}" for size, s in points)
    parts.append(f'<polyline class="curve" points="{line}"/>')
    base = height - 34
    free = 0.0
    for size, s in points:
        tip = f"{size:,} images: {number(s.value)} ({number(s.low)} to {number(s.high)})"
        parts.append(
            f'<g><title>{escape(tip)}</title><circle class="dot" cx="{x.at(size):.1f}" cy="{y.at(s.value):.1f}" '
            'r="3.6"/></g>'
        )
        half = 3.2 * len(f"{size:,}") + 3
        place = min(x.at(size), WIDTH - half)
        if place - half >= free:
            parts.append(f'<text class="tick" x="{place:.1f}" y="{base + 14}" text-anchor="middle">{size:,}</text>')
            free = place + half
    parts.append(f'<line class="axis" x1="{left}" x2="{WIDTH - right}" y1="{base}" y2="{base}"/>')
    parts.append(
        f'<text class="label" x="{(left + WIDTH - right) / 2:.0f}" y="{height - 5}" text-anchor="middle">'
        "synthetic images</text>"
    )
    return _svg(parts, height, title or label)


def alone(svg: str) -> str:
    """A chart as a file of its own, with colours."""
    head, _, rest = svg.partition(">")
    return f'{head} xmlns="http://www.w3.org/2000/svg">{_STYLE}{rest}\n'


def charts(task: TaskResults, part: str = "val") -> dict[str, str]:
    """The charts of a task by name, those for which there are figures: arms, curve, ablations."""
    reference = next((line for line in task.arms if line.name == task.reference), None)
    real = reference.scores.get(part) if reference else None
    against = real.value if real else None
    made = {}
    arms = [Interval(line.name, s, _seeds(task, line.runs, part)) for line in task.arms if (s := line.scores.get(part))]
    better = "larger" if task.larger_is_better else "smaller"
    label = f"{task.metric} on real {part}, {better} is better"
    if arms:
        made["arms"] = forest(arms, label, against=against, goal=task.goal, title=f"{task.name}: arms")
    points = [(size, s) for size, line in task.curve if (s := line.scores.get(part))]
    if len(points) > 1:
        made["curve"] = curve(points, label, against=against, title=f"{task.name}: {label}")
    rows = [Interval(line.name, s, ()) for line in by_cost(task) if (s := line.difference.get(part))]
    if rows:
        told = f"{task.metric} minus that of everything"
        made["ablations"] = forest(rows, told, against=0.0, title=f"{task.name}: ablations")
    return made


def by_cost(task: TaskResults, part: str = "val") -> list[Line]:
    """The lines of the ablations: everything, then what costs most first."""
    sign = 1 if task.larger_is_better else -1

    def worth(line: Line) -> float:
        score = line.scores.get(part)
        return sign * score.value if score else math.inf

    rest = [line for line in task.ablations if line.name != EVERYTHING]
    return [line for line in task.ablations if line.name == EVERYTHING] + sorted(rest, key=worth)


def _seeds(task: TaskResults, runs: Sequence[Run], part: str) -> list[float]:
    return [float(run.scores[part][task.metric]["value"]) for run in runs if part in run.scores]


def _extent(row: Interval) -> list[float]:
    return [v for v in (row.score.low, row.score.high, row.score.value, *row.seeds) if math.isfinite(v)]


def _span(values: Sequence[float]) -> tuple[float, float]:
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    pad = (high - low) * 0.06 or max(abs(high) * 0.1, 0.05)
    return low - pad, high + pad


def _short(value: float) -> str:
    text = f"{0.0 if abs(value) < 1e-12 else value:.4g}"
    return text.replace("-", "\N{MINUS SIGN}", 1) if text.startswith("-") else text


def _svg(parts: Sequence[str], height: int, title: str) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title, quote=True)}">'
        f"{''.join(parts)}</svg>"
    )

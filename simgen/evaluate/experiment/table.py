"""The results as a table of text."""

from __future__ import annotations

import math
from collections.abc import Callable

from simgen.evaluate.experiment.results import ExperimentResults, Line, Score, TaskResults

MINUS = "\N{MINUS SIGN}"


def text(results: ExperimentResults) -> str:
    """Tables of all tasks: arms, curve, ablations."""
    parts = []
    for task in results.tasks:
        arrow = "larger" if task.larger_is_better else "smaller"
        parts.append(f"{results.experiment}, {task.name}: {task.metric} ({arrow} is better), budget {results.budget}")
        parts.append(_arms(task))
        if task.curve:
            parts += ["", "number of synthetic images", _curve(task)]
        if task.ablations:
            parts += ["", "ablations, and their difference to everything", _ablations(task)]
        parts.append("")
    return "\n".join(parts).rstrip()


def arm_rows(task: TaskResults, part: str = "val") -> list[list[str]]:
    """Name, score, interval, spread, gap, its interval, and images of each arm on real images of ``part``."""
    rows = []
    for line in task.arms:
        score, gap = line.scores.get(part), line.difference.get(part)
        rows.append([line.name, *told(score), *told_difference(gap), images(line)])
    return rows


def images(line: Line) -> str:
    """How many images of each kind the models of a line have learnt from."""
    if not line.runs:
        return ""
    counts: dict[str, int] = {}
    for source in line.runs[0].sources:
        counts[source["kind"]] = counts.get(source["kind"], 0) + int(source["images"])
    return " + ".join(f"{count:,} {kind}" for kind, count in counts.items())


def told(score: Score | None) -> list[str]:
    """Value, interval and spread of a score."""
    if score is None:
        return ["", "", ""]
    spread = "" if math.isnan(score.spread) else f"±{number(score.spread)}"
    return [number(score.value), interval(score), spread]


def told_difference(score: Score | None) -> list[str]:
    """Value and interval of a difference, with signs."""
    if score is None:
        return ["", ""]
    return [signed(score.value), interval(score, signed)]


def interval(score: Score, told: Callable[[float], str] | None = None) -> str:
    """From where to where a score may be, "" when nothing is known of it."""
    show = told or number
    return "" if math.isnan(score.low) else f"{show(score.low)} to {show(score.high)}"


def number(value: float) -> str:
    """A figure: three digits after the point below 10, none from 1000 on."""
    if math.isnan(value):
        return "-"
    text = f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}" if abs(value) < 1000 else f"{value:,.0f}"
    return text.removeprefix("-") if abs(value) < 1 and float(text) == 0 else text.replace("-", MINUS)


def signed(value: float) -> str:
    """A figure with its sign."""
    text = number(value)
    return f"+{text}" if value > 0 and text != number(0.0) else text


def reached(task: TaskResults, score: Score | None) -> bool | None:
    """Whether a score meets the goal of the task; None without either."""
    if task.goal is None or score is None:
        return None
    return score.value >= task.goal if task.larger_is_better else score.value <= task.goal


def _arms(task: TaskResults) -> str:
    parts = [part for part in ("val", "test") if any(part in line.scores for line in task.arms)]
    lines = []
    for part in parts:
        head = ["arm", f"real {part}", "95 % interval", "seeds", "gap to real only", "95 % interval", "learnt from"]
        lines.append(aligned([head, *arm_rows(task, part)]))
    if not parts:
        head = ["arm", "learnt from", "chosen by", "value"]
        rows = [[line.name, images(line), *chosen(line)] for line in task.arms]
        lines.append(aligned([head, *rows]))
        lines.append("No real score: there are no real images to score on; give real.root=DIR.")
    if task.goal is not None and parts:
        line = next(line for line in task.arms if line.name == task.focus)
        met = reached(task, line.scores.get(parts[0]))
        if met is not None:
            lines.append(f"goal {number(task.goal)} for {line.name}: {'reached' if met else 'missed'}")
    return "\n".join(lines)


def chosen(line: Line) -> list[str]:
    """The figure that a model was chosen by, and its value, of the first seed."""
    if not line.runs:
        return ["", ""]
    by = line.runs[0].chosen_by
    return [f"{by['figure']} on {by['on']}", number(float(by["value"]))]


def _curve(task: TaskResults) -> str:
    rows = [[f"{size:,}", *told(line.scores.get("val"))] for size, line in task.curve]
    return aligned([["images", "real val", "95 % interval", "seeds"], *rows])


def _ablations(task: TaskResults) -> str:
    rows = []
    for line in task.ablations:
        difference = line.difference.get("val")
        spread = told(difference)[2] if difference else ""
        rows.append([line.name, *told(line.scores.get("val")), *told_difference(difference), spread])
    return aligned([["set", "real val", "95 % interval", "seeds", "difference", "95 % interval", "seeds"], *rows])


def aligned(rows: list[list[str]]) -> str:
    """Rows of text in columns of equal width, empty columns left out."""
    kept = [k for k in range(len(rows[0])) if any(row[k] for row in rows[1:])]
    widths = {k: max(len(row[k]) for row in rows) for k in kept}
    return "\n".join("  ".join(row[k].ljust(widths[k]) for k in kept).rstrip() for row in rows)

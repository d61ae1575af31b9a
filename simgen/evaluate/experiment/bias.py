"""The section of a report on where the model is weak and its training data thin."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from simgen.evaluate.audit.audit import THIN, Thin, Weak, thin, weak
from simgen.evaluate.distance.describe import describe
from simgen.evaluate.experiment.distances import MOST
from simgen.evaluate.experiment.results import ExperimentResults, TaskResults
from simgen.evaluate.experiment.run import Runner
from simgen.evaluate.experiment.sections import Section
from simgen.evaluate.experiment.table import number, signed
from simgen.evaluate.score import evaluate
from simgen.view import page

_ROWS = 12


def audit_section(runner: Runner, results: ExperimentResults) -> Section | None:
    """Weak slices of real images by their properties and of synthetic ones by drawn factors; thin training data."""
    parts, data = [], {}
    for task in results.tasks:
        training = runner.plan.arms.get((task.name, task.focus, runner.request.seed))
        if training is None or training.render is None or training not in runner.runs:
            continue
        model, real = runner.load(training), runner.data.real(task.name, "val")
        _, held, _ = runner.data.learnt(training)
        drawn = weak(evaluate(model, held, name=training.place, draws=2))
        seen: list[Weak] = []
        rare: list[Thin] = []
        if real is not None:
            seen = weak(evaluate(model, real, calibration=runner.calibration(training), name=training.place, draws=2))
            rare = thin(describe(runner.data.synthetic(task.name, training.render), None, MOST),
                        describe(real, None, MOST), task.classes)  # fmt: skip
        head = f"<h3>{escape(task.name)}</h3>" if len(results.tasks) > 1 else ""
        parts.append(head + _html(task, len(held), drawn, seen, rare, real is not None))
        data[task.name] = {
            "weak_synthetic": [entry.plain() for entry in drawn],
            "weak_real": [entry.plain() for entry in seen],
            "thin": [entry.plain() for entry in rare],
        }
    if not parts:
        return None
    return Section("audit", "Audit", "Where the model is weak and the data thin", "".join(parts), data)


def _html(
    task: TaskResults, held: int, drawn: Sequence[Weak], seen: Sequence[Weak], rare: Sequence[Thin], real: bool
) -> str:
    lead = (
        f"Slices of images whose whole 95 % interval of {task.metric} is worse than the score over all of them; by "
        "chance about one slice in forty is listed."
    )
    html = f'<p class="about">{escape(lead)}</p>'
    if real:
        html += _weak_table("Real val images, by what they show", seen)
    html += _weak_table(f"Synthetic images held out ({held}), by what was drawn", drawn)
    if real:
        told = (
            f"Ranges of a property, or classes, whose share of the training images is less than {THIN:g} of their "
            "share of the real val images: the model has seen too few of these."
        )
        rows = [[t.factor, t.value, f"{t.synthetic:.1%}", f"{t.real:.1%}"] for t in rare[:_ROWS]]
        html += "<h3>Thin training data</h3>"
        html += f'<p class="about">{escape(told)}</p>' + (
            page.table(["property", "value", "synthetic", "real"], rows, (2, 3)) if rows else "<p>None.</p>"
        )
    return html


def _weak_table(title: str, entries: Sequence[Weak]) -> str:
    rows = [
        [w.factor, w.value, f"{w.images:,}", number(w.score), f"{number(w.low)} to {number(w.high)}", signed(w.gap)]
        for w in entries[:_ROWS]
    ]
    heads = ["factor", "value", "images", "score", "95 % interval", "worse by"]
    more = f'<p class="muted">and {len(entries) - _ROWS} more in results.json</p>' if len(entries) > _ROWS else ""
    table = page.table(heads, rows, (2, 3, 4, 5)) + more if rows else "<p>None.</p>"
    return f"<h3>{escape(title)}</h3>{table}"

"""The section of a report on where the model is weak and its training data thin."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from simgen.evaluate.audit.audit import LEAST, THIN, Thin, examined, thin, weak
from simgen.evaluate.distance.describe import describe
from simgen.evaluate.experiment.distances import MOST
from simgen.evaluate.experiment.results import ExperimentResults, TaskResults
from simgen.evaluate.experiment.run import Runner
from simgen.evaluate.experiment.sections import Section
from simgen.evaluate.experiment.table import number, signed
from simgen.evaluate.results import Results
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
        drawn = evaluate(model, held, name=training.place, draws=2)
        seen: Results | None = None
        rare: list[Thin] = []
        if real is not None:
            seen = evaluate(model, real, calibration=runner.calibration(training), name=training.place, draws=2)
            rare = thin(describe(runner.data.synthetic(task.name, training.render), None, MOST),
                        describe(real, None, MOST), task.classes)  # fmt: skip
        head = f"<h3>{escape(task.name)}</h3>" if len(results.tasks) > 1 else ""
        parts.append(head + _html(task, drawn, seen, rare))
        data[task.name] = {
            "weak_synthetic": [entry.plain() for entry in weak(drawn)],
            "slices_synthetic": examined(drawn),
            "weak_real": [entry.plain() for entry in weak(seen)] if seen else [],
            "slices_real": examined(seen) if seen else 0,
            "thin": [entry.plain() for entry in rare],
        }
    if not parts:
        return None
    return Section("audit", "Audit", "Where the model is weak and the data thin", "".join(parts), data)


def _html(task: TaskResults, drawn: Results, seen: Results | None, rare: Sequence[Thin]) -> str:
    lead = (
        "The model is weak on a slice of the images when its whole 95 % interval there is worse than the score over "
        f"all of them. Slices of fewer than {LEAST} images (tracks, scenes) are too small to say."
    )
    html = f'<p class="about">{escape(lead)}</p>'
    if seen is not None:
        html += _weak_table("Real val images, by what they show", seen)
    html += _weak_table("Synthetic images held out, by what was drawn", drawn)
    if seen is not None:
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


def _weak_table(title: str, results: Results) -> str:
    entries, slices = weak(results), examined(results)
    told = f"{results.count:,} images, {results.primary} {number(results.score.value)} over all of them. "
    told += (
        f"{len(entries)} of {slices} slices are weak; by chance about {slices / 40:.1f} would be."
        if slices
        else "They are too few to be divided."
    )
    rows = [
        [w.factor, w.value, f"{w.images:,}", number(w.score), f"{number(w.low)} to {number(w.high)}", signed(w.gap)]
        for w in entries[:_ROWS]
    ]
    heads = ["factor", "value", "images", "score", "95 % interval", "worse by"]
    more = f'<p class="muted">and {len(entries) - _ROWS} more in results.json</p>' if len(entries) > _ROWS else ""
    table = page.table(heads, rows, (2, 3, 4, 5)) + more if rows else ""
    return f'<h3>{escape(title)}</h3><p class="muted">{escape(told)}</p>{table}'

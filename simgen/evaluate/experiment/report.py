"""The report of an experiment: one HTML file that stands alone, its plots as files, and results.json."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

import yaml  # type: ignore[import-untyped]

from simgen import __version__
from simgen.evaluate.experiment import plots, table
from simgen.evaluate.experiment.bias import audit_section
from simgen.evaluate.experiment.definition import MEANING, METRICS
from simgen.evaluate.experiment.distances import distance_section
from simgen.evaluate.experiment.failures import SIDE, failures
from simgen.evaluate.experiment.results import ExperimentResults, Line, Score, TaskResults
from simgen.evaluate.experiment.run import Runner
from simgen.evaluate.experiment.sections import MakeSection, Section
from simgen.scene import fields
from simgen.shards.files import cannot_write, write_atomically
from simgen.view import page

REPORT, PLOTS = "report.html", "plots"

SECTIONS: tuple[MakeSection, ...] = (audit_section, distance_section)
"""Further sections, in the order of the page."""

_SLICES, _CLASSES = 15, 12
"""Slices and classes in the tables of the worst."""

_HOW = (
    "Scores are means over the seeds. Their 95 % intervals say how much depends on which real images there are "
    "(bootstrap of whole images, tracks or scenes); the spread \N{PLUS-MINUS SIGN} is the standard deviation over the "
    "seeds, each of which renders, divides and trains anew. All arms take the same number of steps."
)


_FEWER = "The same steps of training on fewer different images, the first ones of the same set."

_LEFT_OUT = (
    "One thing left out at a time (as in Tremblay et al. 2018), all else the same, seeds included. The difference is "
    "to everything; what costs most comes first."
)

_ONE_SEED = (
    " There is one seed here, so the intervals know of the choice of real images, not of the chances of training: "
    "small differences mean little. With seeds=3 the spread shows how much another training changes."
)


def write(runner: Runner, results: ExperimentResults, sections: Sequence[MakeSection] = SECTIONS) -> Path:
    """Write report.html, plots/*.svg and results.json into the folder of the experiment; the path of the report."""
    made = [section for make in sections if (section := make(runner, results)) is not None]
    results.sections = {section.name: section.data for section in made}
    out = runner.request.out
    results.write(out)
    try:
        (out / PLOTS).mkdir(exist_ok=True)
    except OSError as error:
        raise cannot_write(out / PLOTS, error) from error
    for task in results.tasks:
        for name, svg in plots.charts(task).items():
            write_atomically(out / PLOTS / f"{task.name}_{name}.svg", plots.alone(svg).encode())
    write_atomically(out / REPORT, html(runner, results, made).encode())
    return out / REPORT


def html(runner: Runner, results: ExperimentResults, more: Sequence[Section] = ()) -> str:
    """The page."""
    tasks = results.tasks
    alone = _ONE_SEED if len(results.seeds) == 1 and "val" in results.real else ""
    sections = [
        ("arms", "Scores", "What the models are worth on real images", _lead(_HOW + alone, _each(tasks, _arms))),
        ("curve", "Amount", "How many synthetic images it takes", _lead(_FEWER, _each(tasks, _curve))),
        (
            "ablations",
            "Ablations",
            "What each part is worth",
            _lead(_LEFT_OUT + alone, _each(tasks, _ablations)),
        ),
        ("failures", "Failures", "Where it fails", _each(tasks, lambda task: _failures(runner, task))),
        ("slices", "Slices", "The worst classes and slices", _each(tasks, _slices)),
        *((section.name, section.short, section.title, section.html) for section in more),
        ("made", "How it was made", "How it was made", _made(runner, results)),
    ]
    title = f"{results.experiment} \N{MIDDLE DOT} sim-to-real"
    footer = f"simgen {escape(__version__)}. Everything in this page is also in results.json beside it."
    return page.page(title, _header(results), [s for s in sections if s[3]], footer)


def _lead(about: str, content: str) -> str:
    return f'<p class="about">{escape(about)}</p>{content}' if content else ""


def _each(tasks: Sequence[TaskResults], make: Callable[[TaskResults], str]) -> str:
    """What ``make`` gives for each task, under its name when there are several."""
    parts = [(task, made) for task in tasks if (made := make(task))]
    if len(tasks) == 1:
        return "".join(made for _, made in parts)
    return "".join(f"<h3>{escape(task.name)}: {escape(task.metric)}</h3>{made}" for task, made in parts)


def _header(results: ExperimentResults) -> str:
    entries: dict[str, tuple[str, str]] = {}
    for task in results.tasks:
        name = f"{task.name}: " if len(results.tasks) > 1 else ""
        line = next(line for line in task.arms if line.name == task.focus)
        score, gap = line.scores.get("val"), line.difference.get("val")
        if score is not None:
            entries[f"{name}{task.metric}, {line.name}"] = (table.number(score.value), table.interval(score))
        if gap is not None:
            entries[f"{name}gap to {task.reference}"] = (
                table.signed(gap.value),
                table.interval(gap, table.signed),
            )
        met = table.reached(task, score)
        if met is not None and task.goal is not None:
            entries[f"{name}goal"] = (table.number(task.goal), "reached" if met else "missed")
    entries["Budget"] = (results.budget, f"{len(results.seeds)} seed{'s' if len(results.seeds) != 1 else ''}")
    if "val" in results.real:
        entries["Real images"] = (f"{results.real['val'].get('images', 0):,}", "to score on")
    lead = results.about[:1].upper() + results.about[1:]
    none = "" if "val" in results.real else " There were no real images to score on: no figure here is of real ones."
    return f'<h1>{escape(results.experiment)}</h1><p class="lead">{escape(lead)}.{none}</p>{page.facts(entries)}'


def _arms(task: TaskResults) -> str:
    made = plots.charts(task)
    parts = [part for part in ("val", "test") if any(part in line.scores for line in task.arms)]
    content = f'<p class="about">{escape(_explained(task))}</p>'
    if "arms" in made:
        key = "<span>\N{BLACK CIRCLE} mean, with its interval</span>"
        key += "<span>\N{WHITE CIRCLE} a seed</span>" if any(len(line.runs) > 1 for line in task.arms) else ""
        key += f'<span><i class="against"></i>{escape(task.reference)}</span>' if task.reference else ""
        key += '<span><i class="goal"></i>goal</span>' if task.goal is not None else ""
        content = _beside(page.card(task.metric, f'{made["arms"]}<p class="key">{key}</p>'), content)
    for part in parts:
        heads = ["arm", f"real {part}", "95 % interval", "seeds", "gap", "95 % interval", "learnt from", ""]
        told = zip(task.arms, table.arm_rows(task, part), strict=True)
        content += _table(heads, [[*row, line.about] for line, row in told], numeric=range(1, 6), wide=(6, 7))
    if not parts:
        heads = ["arm", "figure", "value", "learnt from", ""]
        rows = [[line.name, *table.chosen(line), table.images(line), line.about] for line in task.arms]
        content += _table(heads, rows, numeric=(2,), wide=(4,))
    return content


def _explained(task: TaskResults) -> str:
    better = "larger" if task.larger_is_better else "smaller"
    lines = [f"{task.metric}: {MEANING[task.metric]}; {better} is better."]
    if not any(line.scores for line in task.arms):
        lines.append("There is no real score, because there were no real images to score on.")
    if task.reference and len(task.arms) > 1:
        lines.append(f"The gap is the score minus that of {task.reference}, on the same images.")
    on = {
        "held_out": "Checkpoints were chosen on images held out of what each arm learns from: synthetic ones where it "
        "sees no real image.",
        "real_val": "Checkpoints were chosen on the real val images themselves, which flatters all arms.",
    }
    lines.append(on[task.selection])
    if task.selection == "held_out":
        lines.append("Those are not counted as learnt from.")
    if task.calibrate == "real_train":
        what = "zero of the azimuths" if task.task == "pose" else "score from which a detection counts"
        lines.append(f"Real train images fixed the {what}, of all arms.")
    return " ".join(lines)


def _beside(chart: str, text: str) -> str:
    """A chart and what is said of it, side by side where there is room."""
    return f'<div class="beside">{chart}<div>{text}</div></div>'


def _curve(task: TaskResults) -> str:
    made = plots.charts(task)
    if "curve" not in made:
        return ""
    key = f'<p class="key"><span><i class="against"></i>{escape(task.reference)}</span></p>' if task.reference else ""
    heads = ["synthetic images", "real val", "95 % interval", "seeds"]
    rows = [[f"{size:,}", *table.told(line.scores.get("val"))] for size, line in task.curve]
    card = page.card(f"{task.metric} over images", made["curve"] + key)
    return _beside(card, _table(heads, rows, numeric=range(4)))


def _ablations(task: TaskResults) -> str:
    made = plots.charts(task)
    if not task.ablations or not any(line.scores for line in task.ablations):
        return ""
    heads = ["set", "difference", "95 % interval", "seeds", "real val", "seeds", ""]
    rows = []
    for line in plots.by_cost(task):
        score, difference = line.scores.get("val"), line.difference.get("val")
        told = [table.told(score)[0], table.told(score)[2]]
        rows.append([line.name, *table.told_difference(difference), table.told(difference)[2], *told, line.about])
    content = _table(heads, rows, numeric=range(1, 6), wide=(6,))
    if "ablations" in made:
        side = "Left" if task.larger_is_better else "Right"
        about = f"{side} of the dashed line {task.metric} is worse than with everything: what was left out is of use."
        card = page.card("Difference to everything", made["ablations"])
        content = _beside(card, f'<p class="about">{about}</p>') + content
    return content


def _failures(runner: Runner, task: TaskResults) -> str:
    training = runner.plan.arms.get((task.name, task.focus, runner.request.seed))
    if training is None or training not in runner.runs or "val" not in runner.runs[training].scores:
        return ""
    groups = failures(runner, training)
    if not groups:
        return f'<p class="about">{escape(task.focus)} made no mistake on the real val images.</p>'
    parts = []
    for group in groups:
        figures = [
            page.figure(
                page.data_uri(f.picture, SIDE), f.caption, f"{Path(f.name).name}: {f.caption}",
                (f.picture.shape[1], f.picture.shape[0]),
            )
            for f in group.failures
        ]  # fmt: skip
        parts.append(f'<h3>{escape(group.title)}</h3><p class="muted">{escape(group.told)}</p>')
        parts.append(page.grid(figures, "frames" if task.task in ("detect", "segment") else "frames tiny"))
    drawn = task.task != "classify"
    key = '<p class="key"><span><i class="truth"></i>truth</span><span><i class="given"></i>prediction</span></p>'
    lead = f"Real val images on which the arm {task.focus} does worst, from the slices where it does worst."
    if task.task == "detect":
        lead += " A detection counts from the score on that stands below its picture."
    return f'<p class="about">{escape(lead)}</p>{key if drawn else ""}{"".join(parts)}'


def _slices(task: TaskResults) -> str:
    if not task.slices and not task.by_class:
        return ""
    rows = []
    for part in task.slices[:_SLICES]:
        figure = part["figure"]
        low, high = (_number(figure[key]) for key in ("low", "high"))
        score = Score(float(figure["value"]), low, high, float("nan"), 1)
        rows.append([part["factor"], part["value"], f"{part['images']:,}", *table.told(score)[:2]])
    lead = f"The arm {task.focus}, its first seed, on parts of the real val images, worst first."
    heads = ["factor", "value", "images", next(iter(METRICS[task.task])), "95 % interval"]
    sliced = _table(heads, rows, numeric=(2, 3, 4)) if rows else ""
    return f'<p class="about">{escape(lead)}</p>{_classes(task)}{sliced}'


def _classes(task: TaskResults) -> str:
    """A table of the weakest classes, and which never occur; empty for a single class."""
    if len(task.by_class) < 2:
        return ""
    names = list(task.by_class[0])
    occurs = names[1]
    seen = [row for row in task.by_class if row[occurs]]
    absent = [str(row["class"]) for row in task.by_class if not row[occurs]]
    rows = [[_cell(row[name]) for name in names] for row in seen[:_CLASSES]]
    numeric = [k for k, name in enumerate(names) if isinstance(task.by_class[0][name], int | float)]
    told = [f"{len(seen) - _CLASSES} more in results.json." if len(seen) > _CLASSES else ""]
    told += [f"Never in the real val images, and not counted: {', '.join(absent)}." if absent else ""]
    heads = [name.replace("_", " ") for name in names]
    return _table(heads, rows, numeric) + f'<p class="muted">{escape(" ".join(told).strip())}</p>'


def _cell(value: object) -> str:
    return table.number(value) if isinstance(value, float) else "-" if value is None else str(value)


def _number(value: float | None) -> float:
    """A number of a JSON file, where null stands for NaN."""
    return float("nan") if value is None else float(value)


def _made(runner: Runner, results: ExperimentResults) -> str:
    experiment = fields.plain(runner.request.experiment)
    budget = experiment["budgets"][results.budget]
    shown = {key: experiment[key] for key in ("scene", "render", "real", "tasks", "arms", "ablations")}
    shown["budget"] = budget
    rows = []
    for task in results.tasks:
        lines: list[Line] = [*task.arms, *(line for _, line in task.curve), *task.ablations]
        for run in dict.fromkeys(run.model for line in lines for run in line.runs):
            found = next(r for line in lines for r in line.runs if r.model == run)
            sources = ", ".join(f"{s['images']:,} {s['kind']} ({s['set']})" for s in found.sources)
            by = found.chosen_by
            chosen = f"{by['figure']} {table.number(float(by['value']))} on {by['on']}"
            took = f"{found.seconds / 60:.1f} min"
            rows.append([run, sources, f"{found.steps:,}", f"{found.images_seen:,}", chosen, took])
    heads = ["model", "learnt from", "steps", "images seen", "chosen by", "time"]
    told = "".join(
        f"<li>{escape(part)}: {entry.get('images', 0):,} images, {entry.get('objects', 0):,} labelled objects in "
        f"<code>{escape(entry['folder'])}</code>{escape(_skipped(entry))}</li>"
        for part, entry in results.real.items()
    )
    lead = "Every model with all that it has seen. No synthetic arm has a real image among its sources."
    return (
        f'<p class="about">{lead}</p>{_table(heads, rows, numeric=(2, 3, 5), wide=(1,))}'
        + (f"<h3>Real images</h3><ul>{told}</ul>" if told else "")
        + page.folded("The settings", page.code(yaml.safe_dump(shown, sort_keys=False, width=100), long=True))
    )


def _skipped(entry: dict[str, object]) -> str:
    skipped = entry.get("skipped") or {}
    assert isinstance(skipped, dict)
    return "".join(f"; {what['count']} {reason}" for reason, what in skipped.items())


def _table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[int] = (), wide: Sequence[int] = ()
) -> str:
    """A table without its empty columns."""
    kept = [k for k in range(len(heads)) if any(row[k] for row in rows)]
    return page.table(
        [heads[k] for k in kept],
        [[row[k] for k in kept] for row in rows],
        [n for n, k in enumerate(kept) if k in numeric],
        [n for n, k in enumerate(kept) if k in wide],
    )

"""The dataset card: one HTML file on what a dataset is, how it was made, and what is right and wrong with it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
import yaml  # type: ignore[import-untyped]

from simgen import __version__
from simgen.errors import DatasetError
from simgen.randomize.factors import FACTORS
from simgen.shards.reader import Dataset
from simgen.view import charts, page
from simgen.view.checks import (
    Check,
    centre_counts,
    check_balance,
    check_draws,
    check_files,
    check_images,
    check_tables,
    side_counts,
    thin_bins,
)
from simgen.view.gallery import Gallery
from simgen.view.licences import licences
from simgen.view.recipe import command
from simgen.view.signals import Signal, signals
from simgen.view.survey import MOST_FRAMES, Survey, survey
from simgen.view.variables import Variable, coverage, histogram, variables, word_counts

_FRAMES = 12
"""Frames in the gallery."""

_MOST_WORDS = 8
"""Bars of a variable; the others are counted together."""

_ORDER = {"problem": 0, "warning": 1, "note": 2, "ok": 3}


@dataclass(frozen=True)
class Report:
    """The page, and what stands in it about right and wrong."""

    html: str
    checks: tuple[Check, ...]


def write(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    tell: Callable[[int, int], None] | None = None,
) -> tuple[Path, Report]:
    """Write the report of the dataset at ``path`` to ``out`` (by default report.html in its folder).

    Raises DatasetError when there is no complete dataset, or when the file cannot be written.
    """
    file = Path(out) if out is not None else Path(path) / "report.html"
    made = report(path, tell=tell)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(made.html, encoding="utf-8")
    except OSError as error:
        raise DatasetError(
            f"cannot write the report {file}: {error.strerror}; give another place with --out."
        ) from error
    return file, made


def report(
    path: str | os.PathLike[str], most: int = MOST_FRAMES, tell: Callable[[int, int], None] | None = None
) -> Report:
    """The report of the dataset at ``path``, from the tables of about ``most`` frames and the images of some.

    ``tell`` is told (frames read, frames to read). Raises DatasetError when there is no complete dataset.
    """
    folder = Path(path)
    found = survey(folder, most, tell)
    known = variables(found.frames, found.manifest.config)
    images, _ = check_images(folder, found)
    checks = [
        *check_files(folder, found),
        *check_tables(found),
        *images,
        *check_balance(found),
        *check_draws(known),
    ]
    checks.sort(key=lambda check: _ORDER[check.state])
    with Dataset(folder) as data:
        gallery = Gallery(data, found)
        frames, passes = gallery.frames(_FRAMES), gallery.passes()
        factors = _factors(found, known, gallery)
        traces = _traces(found, data)
    sections = [
        ("frames", "Frames", "Frames", _frames(found, frames)),
        ("attention", "Findings", "What to know before training", _attention(checks)),
        ("passes", "Passes", "Passes", passes),
        ("classes", "Classes", "Classes", _classes(found)),
        ("objects", "Objects", "Objects", _objects(found)),
        ("factors", "Factors", "Factors of randomization", factors),
        ("traces", "Traces", "Traces", traces),
        ("licences", "Licences", "Assets and licences", _licences(found)),
        ("made", "How it was made", "How it was made", _made(found)),
        ("checks", "Checks", "All checks", _all_checks(checks, folder)),
    ]
    title = folder.resolve().name
    return Report(
        page.page(
            f"{title} \N{MIDDLE DOT} dataset card", _header(title, found), [s for s in sections if s[3]], _footer()
        ),
        tuple(checks),
    )


def _header(title: str, found: Survey) -> str:
    manifest = found.manifest
    scene = manifest.config.get("scene", {})
    about = scene.get("about", "") if isinstance(scene, dict) else ""
    name = scene.get("name", "") if isinstance(scene, dict) else str(scene)
    lead = about[:1].upper() + about[1:] + ("." if about and not about.endswith(".") else "")
    scenes = -(-manifest.frames // manifest.frames_per_scene)
    size = sum(shard.bytes for shard in manifest.shards)
    per_frame = found.objects.frame.size / len(found.frames.index)
    entries = {
        "Frames": (f"{manifest.frames:,}", ""),
        "Scenes": (f"{scenes:,}", f"\N{MULTIPLICATION SIGN} {manifest.frames_per_scene} frames"),
        "Image": (f"{found.size[0]} \N{MULTIPLICATION SIGN} {found.size[1]}", "px"),
        "Classes": (str(len(manifest.categories)), ""),
        "Objects": (f"{per_frame:.1f}", "a frame"),
        "On disk": (_bytes(size), f"{size / manifest.frames / 1e3:.0f} kB a frame"),
    }
    sampled = "" if found.whole else f" Figures are of {len(found.frames.index):,} frames, spread evenly over it."
    return (
        f'<h1>{escape(title)}</h1><p class="lead">{escape(lead)} Rendered from the scene definition '
        f"<code>{escape(name)}</code> with simgen {escape(manifest.simgen)}.{sampled}</p>{page.facts(entries)}"
    )


def _frames(found: Survey, figures: str) -> str:
    boxes = ", with the boxes of what is visible. Colours tell objects apart" if "rgb" in found.manifest.passes else ""
    lead = f"Spread evenly over the dataset{boxes}."
    return f'<p class="about">{lead}</p>{figures}'


def _attention(checks: list[Check]) -> str:
    found = [check for check in checks if check.state != "ok"]
    fine = len(checks) - len(found)
    told = (
        f"{fine} of {len(checks)} checks found nothing wrong." if found else f"All {fine} checks found nothing wrong."
    )
    return f'<p class="about">{told} <a href="#checks">All checks</a></p>{page.check_list(found) if found else ""}'


def _classes(found: Survey) -> str:
    objects = found.objects
    seen = objects.px_visib > 0
    rows, shown = {}, {}
    for category, name in found.names.items():
        mine = objects.category == category
        rows[name] = (float((mine & seen).sum()), None)
        shown[name] = f"{(mine & seen).sum():,}  of {mine.sum():,}"
    if not rows:
        return ""
    ordered = dict(sorted(rows.items(), key=lambda item: -item[1][0]))
    lead = "How many objects of each class are visible, of all that are labelled; others are hidden or out of view."
    return f'<p class="about">{lead}</p>{page.card("Visible objects by class", page.bars(ordered, shown))}'


def _objects(found: Survey) -> str:
    objects, (width, height) = found.objects, found.size
    seen = objects.px_visib > 0
    if not seen.any():
        return ""
    share, distance = objects.visib_fract[objects.px_full > 0], objects.distance[seen]
    tenths = np.linspace(0, 1, 11)
    degree, minus = "\N{DEGREE SIGN}", "\N{MINUS SIGN}"
    aspect = max(width / height, 0.5)  # of the chart, which does not follow images of any height
    places = centre_counts(found, 24, max(4, round(24 / aspect)))
    centres = charts.heat(
        places,
        (0, width),
        (0, height),
        ("x, px", "y, px"),
        aspect=aspect,
        title="Where in the image objects are",
    )
    visibility = charts.bars(tenths, np.histogram(share, tenths)[0], "visible share of the whole silhouette")
    sides = charts.heat(
        side_counts(found, seen, (24, 8)),
        (-180, 180),
        (1, -1),
        (f"azimuth in the object's frame, {degree}", f"elevation, {degree}"),
        aspect=2.2,
        title="From where objects are seen",
        ticks=((-180, -90, 0, 90, 180), (1, 0.5, 0, -0.5, -1)),
        vertical_names=("90", "30", "0", f"{minus}30", f"{minus}90"),
    )
    cards = [
        page.card("Centres of visible boxes", centres, f"{seen.sum():,} objects, up to {places.max()} a cell"),
        page.card("Size", _size_chart(found), "visible pixels"),
        page.card("Visibility", visibility, f"median {np.median(share):.2f}"),
        page.card("Objects in a frame", _count_chart(found), f"median {np.median(found.frames.visible):.0f}"),
        page.card("Distance", _distance_chart(distance), f"median {np.median(distance):.2f} m"),
        page.card("Sides of objects seen", sides, "cells of equal area"),
    ]
    lead = f"{objects.frame.size:,} labelled objects in {len(found.frames.index):,} frames."
    return f'<p class="about">{lead}</p>{page.grid(cards)}'


def _size_chart(found: Survey) -> str:
    seen = found.objects.px_visib[found.objects.px_visib > 0]
    side = np.sqrt(seen)
    edges = np.geomspace(1, max(2.0, float(side.max())), 15)
    small, large = float((seen < 32**2).mean()), float((seen >= 96**2).mean())
    told = (
        f'<p class="key">COCO\'s small {small:.0%}, medium {1 - small - large:.0%}, large {large:.0%} '
        "(limits 32 and 96 px)</p>"
    )
    label = "square root of the visible area, px"
    return charts.bars(edges, np.histogram(np.clip(side, 1, None), edges)[0], label, logarithmic=True) + told


def _count_chart(found: Survey) -> str:
    counts = found.frames.visible
    high = int(counts.max())
    step = max(1, -(-(high + 1) // 24))
    edges = np.arange(0, high + step + 1, step) - 0.5
    return charts.bars(edges, np.histogram(counts, edges)[0], "visible objects in a frame")


def _distance_chart(distance: np.ndarray) -> str:
    edges = np.linspace(float(distance.min()), float(distance.max()) + 1e-9, 15)
    return charts.bars(edges, np.histogram(distance, edges)[0], "from the camera to the object's origin, m")


def _factors(found: Survey, known: list[Variable], gallery: Gallery) -> str:
    by_factor: dict[str, list[Variable]] = {}
    for variable in known:
        by_factor.setdefault(variable.factor, []).append(variable)
    parts = []
    for factor in [*(f for f in FACTORS if f in by_factor), *(f for f in by_factor if f not in FACTORS)]:
        moving = [variable for variable in by_factor[factor] if variable.varies]
        still = [variable for variable in by_factor[factor] if not variable.varies]
        cards = [_variable_card(variable, gallery) for variable in moving]
        fixed = ", ".join(f"{v.title} = {v.told(v.values[0])}" for v in still)
        told = f'<p class="muted">{escape(fixed)}.</p>' if fixed else ""
        if told:
            told = page.folded(f"{len(still)} fixed", told)
        knob = found.manifest.config.get("randomize", {}).get(factor, {})
        strength = float(knob.get("strength", 1.0)) if knob.get("enabled", True) else 0.0
        strong = "" if strength == 1 else f" Strength {strength:g}."
        parts.append(
            f'<details class="factor"{" open" if moving else ""}><summary><b>{escape(factor.capitalize())}</b> '
            f"<span>{escape(FACTORS.get(factor, ''))}.{strong} "
            f"{len(moving)} vary, {len(still)} fixed.</span></summary>"
            f"{page.grid(cards, 'masonry')}{told}</details>"
        )
    if not parts:
        return ""
    lead = (
        "Every value that was drawn, against the range that the configuration asked for, and frames at the lowest, a "
        "middle and the highest value. A draw that several frames share counts once. Coverage is the share of what was "
        "asked for that lies in bins with at least one draw."
    )
    key = (
        '<p class="key"><span><i class="drawn"></i>drawn</span><span><i class="wanted"></i>expected</span>'
        '<span><i class="thin"></i>fewer than chance explains</span></p>'
    )
    return f'<p class="about">{lead}</p>{key}{"".join(parts)}'


def _variable_card(variable: Variable, gallery: Gallery) -> str:
    unit = f", {variable.unit}" if variable.unit else ""
    count = len(variable.values)
    share = "an item" if variable.per == "item" else f"a {variable.per}"
    side = f"{count:,} draw{'s' if count > 1 else ''}, one {share}"
    if variable.kind == "word":
        words = word_counts(variable)
        shown = dict(list(words.items())[:_MOST_WORDS])
        content = page.bars({word: (float(n), e) for word, (n, e) in shown.items()})
        if len(words) > len(shown):
            rest = sum(n for n, _ in list(words.values())[_MOST_WORDS:])
            content += f'<p class="key">and {len(words) - len(shown)} more, {rest} draws together</p>'
    else:
        bins = histogram(variable)
        content = charts.bars(
            bins.edges, bins.counts, f"{variable.title}{unit}", expected=bins.expected,
            logarithmic=variable.logarithmic and bins.edges[0] > 0, flagged=thin_bins(variable),
        )  # fmt: skip
        if bins.expected is not None:
            covered = coverage(bins.expected, bins.counts)
            content += f'<p class="key">Coverage {covered:.0%}</p>'
    return page.card(variable.title, content + gallery.strip(variable), side)


def _traces(found: Survey, data: Dataset) -> str:
    if not found.traces:
        return ""
    rows = []
    for name, each in found.traces.items():
        times = sum(facts.times for facts in each)
        spans = [facts.last - facts.first for facts in each]
        rates = [(facts.times - 1) / (facts.last - facts.first) for facts in each if facts.last > facts.first]
        columns = dict.fromkeys(f"{c} [{u}]" for facts in each for c, u in zip(facts.columns, facts.units, strict=True))
        rows.append(
            (
                name,
                f"{len(each):,}",
                f"{sum(facts.rows for facts in each):,}",
                f"{times:,}",
                f"{np.median(rates):.0f} Hz" if rates else "\N{EN DASH}",
                f"{max(spans):.2f} s",
                ", ".join(columns).replace(" [1]", "").replace(" [index]", ""),
            )
        )
    heads = ("trace", "scenes", "rows", "times", "rate", "longest", "columns and units")
    told = page.table(heads, rows, numeric=range(1, 6), wide=(6,))
    scene = int(found.frames.scene[0])
    curves = [_signal_card(signal) for signal in signals(data.record(scene), data.scene_traces(scene))]
    lead = "Readings of sensors and of the physics, on one clock a scene."
    example = f"<h3>Scene {scene}, for example</h3>{page.grid(curves)}" if curves else ""
    return f'<p class="about">{lead}</p>{told}{example}'


def _signal_card(signal: Signal) -> str:
    more = f"{len(signal.curves)} of {len(signal.curves) + signal.left_out}" if signal.left_out else ""
    return page.card(signal.title, charts.lines(signal.curves, ("time, s", signal.unit)), more)


def _licences(found: Survey) -> str:
    config = found.manifest.config.get("assets", {})
    paths = list(config.get("path", [])) if isinstance(config, dict) else []
    entries = licences(found.used, paths)
    if not entries:
        return ""
    unknown = sum(entry.licence == "unknown" for entry in entries)
    lead = "What the frames show, where it came from and what the notes beside the files say. None of it is advice."
    if unknown:
        lead += (
            f" Of {unknown} source{'s' if unknown > 1 else ''} the licence is unknown: find it out before you publish."
        )
    rows = [(e.source, f"{len(e.names):,}", e.licence, f"{e.evidence} \N{EM DASH} {_some(e.names)}") for e in entries]
    told = page.table(("source", "used", "licence", "what is known, and which"), rows, numeric=(1,), wide=(3,))
    return f'<p class="about">{escape(lead)}</p>{told}'


def _made(found: Survey) -> str:
    manifest = found.manifest
    line, whole = command(manifest)
    told = "This makes it again, to the bit, where the same simgen and the same assets are:"
    if not whole:
        told = "This makes it again, once the scene definition below is saved as scene.yaml:"
    rows = [
        ("simgen", manifest.simgen),
        ("seed", str(manifest.seed)),
        ("renderer", f"{manifest.renderer} on {manifest.device}"),
        ("passes", ", ".join(manifest.passes)),
        ("shards", f"{len(manifest.shards)} of up to {manifest.frames_per_shard} frames, schema {manifest.schema}"),
        ("configuration", manifest.digest),
        ("assets", manifest.assets),
    ]
    config = dict(manifest.config)
    scene = config.pop("scene", None)
    parts = [f"<p>{told}</p>", page.code(line), page.table((), rows, wide=(1,))]
    if scene:
        parts.append(page.folded("Scene definition", page.code(_yaml(scene), long=True)))
    if config:
        parts.append(page.folded("Other settings", page.code(_yaml(config), long=True)))
    return "".join(parts)


def _all_checks(checks: list[Check], folder: Path) -> str:
    lead = (
        f"Quick ones. <code>simgen verify {escape(str(folder))}</code> reads every byte and compares every label; "
        f"<code>simgen replay {escape(str(folder))} --frame N</code> computes a frame again and compares its bits."
    )
    return f'<p class="about">{lead}</p>{page.check_list(checks)}'


def _footer() -> str:
    return f"Made by simgen {escape(__version__)} from the dataset alone. One file; it loads nothing."


def _bytes(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if size >= 10 or unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _some(names: tuple[str, ...], count: int = 5) -> str:
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more


def _yaml(tree: object) -> str:
    return yaml.safe_dump(tree, sort_keys=False, default_flow_style=None, width=100, allow_unicode=True)

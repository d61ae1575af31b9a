"""Cheap checks of a dataset's labels and pixels, and what its draws and labels leave thin or out."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from simgen.labels.frame import ObjectTable
from simgen.labels.rle import decode
from simgen.shards.files import TEMPORARY
from simgen.shards.manifest import SHARDS
from simgen.shards.reader import Dataset
from simgen.shards.verify import label_problems
from simgen.view.survey import Survey
from simgen.view.variables import Variable, histogram, poisson_tail, word_counts

State = Literal["ok", "note", "warning", "problem"]

MOST_IMAGES = 48
"""Frames whose images are looked at."""

CENTRES = (8, 6)
"""Columns and rows of the image in which centres of objects are counted."""

VIEWS = (8, 4)
"""Columns (azimuth) and rows (sine of elevation: equal areas) of the sphere of directions around an object."""

_SURE = 0.001
"""A variable is thin when a bin as empty would come about by chance less often than this, in any of its bins."""


@dataclass(frozen=True)
class Check:
    """One thing looked at: what it is, how it stands, and what was found, in one sentence for people."""

    name: str
    state: State
    what: str


@dataclass(frozen=True, eq=False)
class Pixels:
    """What the images of a few frames show; a row a frame. ``brightness`` and ``contrast`` are 0 to 1."""

    frames: list[int]
    brightness: NDArray[np.float64]
    contrast: NDArray[np.float64]
    saturated: NDArray[np.float64]
    """Share of the pixels in which a channel is at its limit."""


def check_files(path: Path, found: Survey) -> list[Check]:
    """Are the shards as large as the manifest says; their content is `simgen verify`'s to check."""
    wrong = [s.file for s in found.manifest.shards if _size(path / s.file) != s.bytes]
    strays = sorted((path / SHARDS).glob(f"*{TEMPORARY}"))
    total = len(found.manifest.shards)
    if wrong:
        return [Check("Shards", "problem", f"{len(wrong)} of {total} are not as large as written: {_some(wrong)}.")]
    left = f" {len(strays)} unfinished file(s) lie beside them." if strays else ""
    return [Check("Shards", "ok", f"All {total} are there and as large as written.{left}")]


def check_images(path: Path, found: Survey, most: int = MOST_IMAGES) -> tuple[list[Check], Pixels]:
    """Do the images of ``most`` frames agree with their labels, and are they pictures at all."""
    rows = np.unique(np.linspace(0, len(found.frames.index) - 1, most).round().astype(int))
    chosen = [int(i) for i in found.frames.index[rows]]
    problems: Counter[str] = Counter()
    examples: dict[str, str] = {}

    def note(kind: str, what: str) -> None:
        problems[kind] += 1
        examples.setdefault(kind, what)

    stats, digests = [], Counter[bytes]()
    with Dataset(path) as data:
        for index in chosen:
            images, table = data.images(index), data.objects(index)
            instance = images.get("instance")
            if instance is not None:
                for what in label_problems(instance, table):
                    note("Boxes and pixel counts", f"frame {index}: {what}")
                if "semantic" in images:
                    wanted = np.concatenate([[0], table.category_id])[np.minimum(instance, len(table.category_id))]
                    if not np.array_equal(wanted, images["semantic"]):
                        note("Semantic ids", f"frame {index}: its semantic image is not that of its objects")
                if "depth" in images and not (images["depth"][instance > 0] > 0).all():
                    note("Depth", f"frame {index}: some pixels of objects have no depth")
            shape = next(iter(images.values())).shape
            for what in _mask_problems(table, int(shape[0]), int(shape[1])):
                note("Full masks", f"frame {index}: {what}")
            for name, image in images.items():
                if image.dtype.kind == "f" and not np.isfinite(image).all():
                    note("Finite values", f"frame {index}: pass {name} has values that are not finite")
            if "rgb" in images:
                stats.append(_picture(images["rgb"]))
                digests[hashlib.sha256(images["rgb"].tobytes()).digest()] += 1
    passes = set(found.manifest.passes)
    kinds: dict[str, set[str]] = {
        "Boxes and pixel counts": {"instance"},
        "Semantic ids": {"instance", "semantic"},
        "Depth": {"instance", "depth"},
        "Full masks": set(),
        "Finite values": passes,
    }
    fine = {
        "Boxes and pixel counts": "Agree with the id images",
        "Semantic ids": "Agree with the ids and categories of the objects",
        "Full masks": "Have as many pixels as the object tables say",
        "Depth": "Is there wherever there is an object",
        "Finite values": "All numbers of all passes are finite",
    }
    checks = []
    for kind, needs in kinds.items():
        if needs <= passes:
            ok = Check(kind, "ok", f"{fine[kind]} (frames looked at: {len(chosen)}).")
            bad = Check(kind, "problem", f"Wrong in {problems[kind]} case(s), such as {examples.get(kind)}.")
            checks.append(bad if problems[kind] else ok)
    pixels = Pixels(chosen, *np.array(stats, np.float64).reshape(-1, 3).T)
    return checks + (_picture_checks(pixels, digests) if stats else []), pixels


def check_tables(found: Survey) -> list[Check]:
    """Do the object tables make sense, and what was lost in making the dataset."""
    objects, (width, height) = found.objects, found.size
    x, y, w, h = objects.bbox_visib.T if len(objects.frame) else np.zeros((4, 0))
    seen = objects.px_visib > 0
    inside = (x >= 0) & (y >= 0) & (x + w <= width) & (y + h <= height)
    rules = {
        "without a box though visible": seen & ((w < 1) | (h < 1)),
        "with a box outside the image": seen & ~inside,
        "with more pixels than their box": seen & (objects.px_visib > w * h),
        "more than wholly visible": (objects.px_visib > objects.px_full) | (objects.visib_fract > 1),
        "of an unknown category": ~np.isin(objects.category, list(found.names)),
    }
    wrong = {what: int(rows.sum()) for what, rows in rules.items() if rows.any()}
    listed = "; ".join(f"{n} {what}" for what, n in wrong.items())
    ok = f"Boxes, pixel counts and visibility of {len(objects.frame):,} objects are possible."
    checks = [Check("Object tables", "problem" if wrong else "ok", f"{listed}." if wrong else ok)]
    empty = int((found.frames.visible == 0).sum())
    share = empty / len(found.frames.index)
    state: State = "warning" if share > 0.1 else "note" if empty else "ok"
    told = f"{_percent(share)} of the frames show no labelled object." if empty else "Every frame shows one."
    checks.append(Check("Labelled objects", state, told))
    manifest = found.manifest
    unsettled = sum(shard.unsettled for shard in manifest.shards)
    redrawn = sum(shard.redrawn for shard in manifest.shards)
    removed = sum(shard.removed for shard in manifest.shards)
    reasons = ", ".join(f"{n} {reason}" for reason, n in found.removed.most_common())
    parts = [
        f"{removed} bodies were taken out" + (f" (of the scenes read: {reasons})" if reasons else ""),
        f"{redrawn} scenes drawn again, {unsettled} never settled",
    ]
    checks.append(Check("Physics", "warning" if unsettled else "note" if removed else "ok", f"{'; '.join(parts)}."))
    return checks


def check_balance(found: Survey) -> list[Check]:
    """Which categories, sizes, places and sides of objects are thin or missing."""
    objects = found.objects
    seen = objects.px_visib > 0
    if not seen.any():
        return [Check("Objects", "problem" if found.names else "note", "No frame shows a labelled object.")]
    counts = {i: int((seen & (objects.category == i)).sum()) for i in found.names}
    missing = [found.names[i] for i, n in counts.items() if n == 0]
    usual = float(np.median([n for n in counts.values() if n]))
    rare = [f"{found.names[i]} ({n})" for i, n in counts.items() if 0 < n < usual / 4]
    checks = []
    if missing:
        checks.append(Check("Classes", "warning", f"Never visible: {_some(missing)}."))
    if rare:
        checks.append(Check("Classes", "warning", f"Less than a quarter of the usual {usual:.0f}: {_some(rare)}."))
    if not missing and not rare:
        checks.append(Check("Classes", "ok", "Every class is visible, none less than a quarter as often as usual."))
    little = float((objects.visib_fract[objects.px_full > 0] < 0.1).mean()) if (objects.px_full > 0).any() else 0.0
    if little > 0.15:
        checks.append(Check("Visibility", "note", f"{_percent(little)} of the objects are less than a tenth visible."))
    tiny = float((np.sqrt(objects.px_visib[seen]) < 8).mean())
    if tiny > 0.1:
        checks.append(Check("Sizes", "note", f"{_percent(tiny)} of the visible objects have fewer than 8 x 8 pixels."))
    return checks + _places(found, seen) + _sides(found, seen)


def check_draws(known: Sequence[Variable]) -> list[Check]:
    """Where draws are too few for what the configuration asked for, or outside of it."""
    checks = []
    judged = 0
    for variable in known:
        if not variable.asked:
            continue
        name = f"{variable.factor}: {variable.title}"
        if variable.kind == "word":
            counts = word_counts(variable)
            thin = [word for word, (n, e) in counts.items() if e and _is_thin(n, e, len(counts))]
            judged += 1
            if thin:
                checks.append(Check(name, "warning", f"Hardly or never drawn: {_some(thin)}."))
            continue
        bins = histogram(variable)
        if bins.outside:
            checks.append(Check(name, "warning", f"{bins.outside} draws lie outside the range that was asked for."))
        if bins.expected is None or len(bins.counts) == 0 or bins.expected.max() < 3:
            continue
        judged += 1
        regions = [
            f"{bins.edges[k]:.3g} to {bins.edges[k + 1]:.3g} ({bins.counts[k]} of {bins.expected[k]:.1f})"
            for k in thin_bins(variable)
        ]
        if regions:
            checks.append(Check(name, "warning", f"Thin from {_some(regions)}, drawn of expected."))
    asked = sum(bool(v.asked) for v in known)
    if not checks and judged:
        checks.append(Check("Draws", "ok", f"No gaps in the {judged} variables that have draws enough to judge."))
    if judged < asked:
        what = f"{asked - judged} of {asked} variables have too few independent draws to tell a gap from chance."
        checks.append(Check("Draws", "note", what))
    return checks


def thin_bins(variable: Variable) -> list[int]:
    """Bins of its histogram with fewer draws than chance explains."""
    bins = histogram(variable)
    if bins.expected is None:
        return []
    pairs = zip(bins.counts.tolist(), bins.expected.tolist(), strict=True)
    return [k for k, (n, e) in enumerate(pairs) if e > 0 and _is_thin(n, e, len(bins.counts))]


def centre_counts(found: Survey, columns: int, rows: int) -> NDArray[np.int64]:
    """How many visible objects (rows, columns) have the centre of their visible box in each part of the image."""
    boxes = found.objects.bbox_visib[found.objects.px_visib > 0]
    width, height = found.size
    x, y = boxes[:, 0] + boxes[:, 2] / 2, boxes[:, 1] + boxes[:, 3] / 2
    counts, _, _ = np.histogram2d(y, x, (rows, columns), ((0, height), (0, width)))
    return counts.astype(np.int64)


def side_counts(found: Survey, rows: NDArray[np.bool_], size: tuple[int, int] = VIEWS) -> NDArray[np.int64]:
    """How many objects (rows, columns) were seen from each direction, the top row from above."""
    objects = found.objects
    columns, bands = size
    counts, _, _ = np.histogram2d(
        -np.sin(objects.elevation[rows]), objects.azimuth[rows], (bands, columns), ((-1, 1), (-np.pi, np.pi))
    )
    return counts.astype(np.int64)


def _places(found: Survey, seen: NDArray[np.bool_]) -> list[Check]:
    counts = centre_counts(found, *CENTRES)
    if seen.sum() < 5 * counts.size:
        return []
    empty = int((counts == 0).sum())
    if not empty:
        return [Check("Places in the image", "ok", "Objects have their centres in all parts of the image.")]
    what = f"{empty} of {counts.size} parts of the image never hold the centre of an object."
    return [Check("Places in the image", "note", what)]


def _sides(found: Survey, seen: NDArray[np.bool_]) -> list[Check]:
    """Of each category, how many of the directions around it were seen."""
    poor = []
    judged = 0
    for category, name in found.names.items():
        rows = seen & (found.objects.category == category)
        counts = side_counts(found, rows)
        if rows.sum() < 5 * counts.size:
            continue
        judged += 1
        share = float((counts > 0).mean())
        if share < 0.8:
            poor.append(f"{name} ({_percent(share)})")
    if poor:
        return [Check("Sides of objects", "note", f"Seen from less than four fifths of all directions: {_some(poor)}.")]
    if judged:
        return [Check("Sides of objects", "ok", f"{judged} categories were seen from nearly all directions.")]
    return []


def _mask_problems(table: ObjectTable, height: int, width: int) -> Iterator[str]:
    """Where full masks disagree with the object table."""
    for k, counts in enumerate(table.mask_full):
        inside = float(table.px_full[k]) * (1 - float(table.truncated[k]))
        try:
            area = int(decode(counts, height, width).sum())
        except ValueError as error:
            yield f"the full mask of object {k + 1} cannot be read: {error}"
            continue
        # The share of the silhouette outside is stored in single precision.
        if abs(area - inside) > 0.5 + 1e-6 * float(table.px_full[k]):
            yield f"the full mask of object {k + 1} has {area} pixels, the table says {inside:.0f}"


def _picture(rgb: NDArray[np.uint8]) -> tuple[float, float, float]:
    saturated = np.mean((rgb == 255).any(-1) | (rgb == 0).all(-1))
    return float(rgb.mean() / 255), float(rgb.std() / 255), float(saturated)


def _picture_checks(pixels: Pixels, digests: Counter[bytes]) -> list[Check]:
    count = len(pixels.frames)

    def frames(rows: NDArray[np.bool_]) -> str:
        return _some([str(pixels.frames[k]) for k in np.flatnonzero(rows)])

    checks = []
    blank = pixels.contrast < 0.01
    extreme = ~blank & ((pixels.brightness < 0.04) | (pixels.brightness > 0.96) | (pixels.saturated > 0.5))
    if blank.any():
        checks.append(Check("Pictures", "problem", f"{blank.sum()} of {count} are blank: frames {frames(blank)}."))
    if extreme.any():
        what = f"{extreme.sum()} of {count} are nearly black or white: frames {frames(extreme)}."
        checks.append(Check("Pictures", "warning" if extreme.mean() > 0.05 else "note", what))
    if not checks:
        what = f"None of {count} is blank, nearly black or nearly white."
        checks.append(Check("Pictures", "ok", what))
    again = sum(n - 1 for n in digests.values())
    if again:
        what = f"{again} of {count} pictures are the same as another one, to the bit."
        checks.append(Check("Repetition", "warning", what))
    return checks


def _is_thin(count: int, expected: float, bins: int) -> bool:
    return count < expected and poisson_tail(count, expected) < _SURE / bins


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _some(names: Sequence[Any], count: int = 6) -> str:
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(str(name) for name in names[:count]) + more


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share == 0 or share >= 0.01 else "less than 1 %"

"""Commands that look at a dataset: info, verify, replay, preview.

Each function describes its arguments to the parser that it is given and returns what runs with them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from simgen.cli.progress import progress
from simgen.errors import DatasetError

Run = Callable[[argparse.Namespace], int]


def info(parser: argparse.ArgumentParser) -> Run:
    """``simgen info``: what is in a dataset."""
    parser.description = (
        "Print what a dataset holds: frames, passes, categories, drawn factors and how much of their ranges is covered,"
        " targets reached, size on disk. Of a dataset that is not finished: how far it is."
    )
    _dataset_argument(parser)
    parser.add_argument("--json", action="store_true", help="print the facts as JSON")

    def run(args: argparse.Namespace) -> int:
        from simgen.view.summary import summarize, text

        facts = summarize(args.dataset)
        print(json.dumps(facts, indent=2) if args.json else text(facts))
        return 0

    return run


def verify(parser: argparse.ArgumentParser) -> Run:
    """``simgen verify``: is everything there and right; exit 1 and the reasons if not."""
    parser.description = (
        "Check checksums, shapes and labels of every shard. Exit status 1 when anything is missing or damaged; "
        "`simgen render` with the same configuration then redoes just that."
    )
    _dataset_argument(parser)
    parser.add_argument("--json", action="store_true", help="print the problems as JSON")

    def run(args: argparse.Namespace) -> int:
        from simgen.shards.verify import verify as check

        with progress("verify", args.json, "shard") as tell:
            found = check(args.dataset, tell)
        problems = [problem for problem in found if not problem.note]
        if args.json:
            listed = [{"shard": p.shard, "what": p.what, "note": p.note} for p in found]
            print(json.dumps({"ok": not problems, "problems": listed}))
        else:
            for problem in found:
                print(f"{'note: ' if problem.note else ''}{problem.shard}: {problem.what}")
            if problems:
                print(f"{len(problems)} problem(s); run `simgen render` again with the same settings to repair.")
            else:
                print(f"{args.dataset}: complete and undamaged.")
        return 1 if problems else 0

    return run


def replay(parser: argparse.ArgumentParser) -> Run:
    """``simgen replay``: compute a frame again from its record and compare bit for bit; exit 1 when it differs."""
    parser.description = (
        "Simulate and render one frame again from the record in the dataset and compare every array with what is "
        "stored. Exit status 1 unless all are identical."
    )
    _dataset_argument(parser)
    parser.add_argument("--frame", type=int, required=True, help="index of the frame in the dataset")
    parser.add_argument(
        "--assets", type=Path, action="append", help="asset search path, if it has moved since (may be repeated)"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def run(args: argparse.Namespace) -> int:
        from simgen.generate.replay import replay as again

        differences = again(args.dataset, args.frame, args.assets)
        if args.json:
            listed = [{"array": d.array, "what": d.what} for d in differences]
            print(json.dumps({"frame": args.frame, "identical": not differences, "differences": listed}))
        elif differences:
            for difference in differences:
                print(f"frame {args.frame}: {difference.array}: {difference.what}")
        else:
            print(f"frame {args.frame}: identical, bit for bit.")
        return 1 if differences else 0

    return run


def preview(parser: argparse.ArgumentParser) -> Run:
    """``simgen preview``: a contact sheet."""
    parser.description = "Draw a contact sheet: a row a frame, a column a pass, boxes on the colour image."
    _dataset_argument(parser)
    parser.add_argument("--out", type=Path, help="the PNG to write (default: preview.png in the dataset's folder)")
    parser.add_argument("--frames", default="6", help="how many, spread evenly (6), or which ones: 0,5,17 (one: 5,)")
    parser.add_argument("--panels", help="columns, for example boxes,full,depth,instance,normal (default: all passes)")
    parser.add_argument("--cell", type=int, default=320, help="width of a panel in pixels (default: 320)")

    def run(args: argparse.Namespace) -> int:
        from PIL import Image

        from simgen.shards.reader import Dataset
        from simgen.view.preview import contact_sheet

        if not 32 <= args.cell <= 2048:
            raise DatasetError(f"--cell {args.cell} is not between 32 and 2048 pixels.")
        with Dataset(args.dataset) as data:
            chosen = _chosen_frames(args.frames, len(data))
            names = {c.id: c.name for c in data.categories}
            panels = args.panels.split(",") if args.panels else None
            sheet = contact_sheet([data[i] for i in chosen], names, panels, args.cell)
        out = args.out or args.dataset / "preview.png"
        try:
            Image.fromarray(sheet).save(out)
        except (OSError, ValueError) as error:
            why = (error.strerror if isinstance(error, OSError) else None) or str(error)
            raise DatasetError(f"Cannot write the picture {out}: {why}; give another place with --out.") from error
        print(out)
        return 0

    return run


def _dataset_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", type=Path, help="the folder that `simgen render` wrote")


def _chosen_frames(text: str, count: int) -> list[int]:
    """Frame indices from "6" (that many, evenly spread) or "0,5,17"."""
    try:
        numbers = [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        numbers = []
    if not numbers or ("," not in text and numbers[0] < 1):
        raise DatasetError(f"--frames {text!r} is neither a number of frames nor a list such as 0,5,17.")
    if "," not in text:
        return [int(i) for i in np.unique(np.linspace(0, count - 1, min(numbers[0], count)).round())]
    outside = [i for i in numbers if not 0 <= i < count]
    if outside:
        raise DatasetError(f"--frames names frame {outside[0]}; the dataset has frames 0 to {count - 1}.")
    return numbers

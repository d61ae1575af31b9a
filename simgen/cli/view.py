"""Commands that show a dataset to people: report, play, view; and how fast it is read: bench data.

Each function describes its arguments to the parser that it is given and returns what runs with them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from simgen.errors import ConfigError, DatasetError

Run = Callable[[argparse.Namespace], int]


def report(parser: argparse.ArgumentParser) -> Run:
    """``simgen report``: the dataset card."""
    parser.description = (
        "Write one HTML file on what a dataset is, how it was made, what its factors drew, and what is thin, missing "
        "or wrong. It opens from disk, anywhere, without a network."
    )
    _dataset_argument(parser)
    parser.add_argument("--out", type=Path, help="the file to write (default: report.html in the dataset's folder)")
    parser.add_argument("--json", action="store_true", help="print where it is and what its checks found as JSON")

    def run(args: argparse.Namespace) -> int:
        from simgen.view.report import write

        file, made = write(args.dataset, args.out)
        if args.json:
            checks = [{"name": c.name, "state": c.state, "what": c.what} for c in made.checks]
            print(json.dumps({"report": str(file), "bytes": file.stat().st_size, "checks": checks}, indent=2))
            return 0
        for check in made.checks:
            if check.state in ("problem", "warning"):
                print(f"{check.state}: {check.name}: {check.what}", file=sys.stderr)
        print(file)
        return 0

    return run


def play(parser: argparse.ArgumentParser) -> Run:
    """``simgen play``: a scene in time, with its traces."""
    parser.description = (
        "Draw a scene as it goes on: its cameras side by side, its traces beside them, in step. A scene of a single "
        "time goes through its views instead."
    )
    _dataset_argument(parser)
    parser.add_argument("--scene", type=int, default=0, metavar="N", help="which scene (default: 0)")
    parser.add_argument(
        "--out",
        type=Path,
        help="a .mp4, .webm, .avi, .gif or .webp, or a .png for numbered ones (default: scene-N.mp4)",
    )
    parser.add_argument("--panels", default="boxes", help="rows, for example boxes,depth (default: boxes)")
    parser.add_argument("--cell", type=int, default=320, help="width of a picture in pixels (default: 320)")
    parser.add_argument("--fps", type=float, default=30.0, help="pictures a second (default: 30)")
    parser.add_argument("--speed", type=float, default=1.0, help="seconds of the scene in a second (default: 1)")

    def run(args: argparse.Namespace) -> int:
        from simgen.view.play import write

        if not 32 <= args.cell <= 2048:
            raise ConfigError(f"--cell {args.cell} is not between 32 and 2048 pixels.")
        if not (0.1 <= args.fps <= 240 and 0.001 <= args.speed <= 1000):
            raise ConfigError("--fps must lie between 0.1 and 240, --speed between 0.001 and 1000.")
        out = args.out or Path(f"scene-{args.scene}.mp4")
        print(write(args.dataset, out, args.scene, args.panels.split(","), args.cell, args.fps, args.speed))
        return 0

    return run


def view(parser: argparse.ArgumentParser) -> Run:
    """``simgen view``: scenes for the Rerun viewer."""
    parser.description = (
        "Write scenes for the Rerun viewer (https://rerun.io): objects in 3-D, cameras with their images and labels, "
        "and all traces, on one timeline. Open the file with `rerun FILE`. Needs: pip install rerun-sdk."
    )
    _dataset_argument(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.rrd", help="the file to write")
    parser.add_argument("--scenes", default="0-3", help="which, as 0-3 or 0,5,17 (default: the first four)")
    parser.add_argument("--boxes", action="store_true", help="boxes in place of meshes: no asset is needed")
    parser.add_argument(
        "--assets", type=Path, action="append", metavar="DIR", help="asset search path, if it has moved (repeatable)"
    )

    def run(args: argparse.Namespace) -> int:
        from simgen.view.rrd import write

        print(write(args.dataset, args.out, _scenes(args.scenes), meshes=not args.boxes, assets=args.assets))
        return 0

    return run


def bench_data(parser: argparse.ArgumentParser) -> Run:
    """``simgen bench data``: how fast a dataset is read, against folders of PNGs and WebDataset."""
    parser.description = (
        "Measure frames per second of random access and of streams, for colour alone and for colour, ids and depth, "
        "with 0 to N workers, against a folder of PNGs and WebDataset of the same frames. Prints JSON; everything is "
        "measured in turns in one run, so that ratios hold on a busy machine."
    )
    _dataset_argument(parser)
    parser.add_argument("--frames", type=int, default=400, help="frames of an epoch at most (default: 400)")
    parser.add_argument("--workers", type=int, metavar="N", help="most DataLoader workers (default: cores)")
    parser.add_argument("--batch", type=int, default=16, help="frames in a batch (default: 16)")
    parser.add_argument("--rounds", type=int, default=3, help="epochs of each, of which the median counts (default: 3)")

    def run(args: argparse.Namespace) -> int:
        from simgen.bench.loaders import measure

        if min(args.frames, args.batch, args.rounds) < 1 or (args.workers is not None and args.workers < 0):
            raise ConfigError("--frames, --batch and --rounds must be at least 1, --workers at least 0.")
        print(json.dumps(measure(args.dataset, args.frames, args.workers, args.batch, args.rounds), indent=2))
        return 0

    return run


def _dataset_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", type=Path, help="the folder that `simgen render` wrote")


def _scenes(text: str) -> list[int]:
    """Scene indices from "0-3", "5" or "0,5,17"."""
    try:
        first, dash, last = text.partition("-")
        found = list(range(int(first), int(last) + 1)) if dash else [int(part) for part in text.split(",") if part]
    except ValueError:
        found = []
    if not found or min(found) < 0:
        raise DatasetError(f"--scenes {text!r} is neither a range such as 0-3 nor a list such as 0,5,17.")
    return found

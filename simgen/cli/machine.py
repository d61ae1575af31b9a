"""Commands about this machine and this installation: list, doctor, bench."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from simgen.errors import ConfigError

Run = Callable[[argparse.Namespace], int]


def list_(parser: argparse.ArgumentParser) -> Run:
    """``simgen list``: what there is to choose from."""
    parser.description = "List scene definitions, experiments, assets, randomization factors or renderers."
    kinds = ["scenes", "experiments", "assets", "textures", "environments", "factors", "renderers"]
    parser.add_argument("what", choices=kinds)
    parser.add_argument("--assets", action="append", default=[], metavar="DIR", help="asset search path (repeatable)")
    parser.add_argument("--config-dir", action="append", default=[], metavar="DIR", help="folder with scene/*.yaml")
    parser.add_argument("--match", default="*", metavar="GLOB", help="only names like this, for example 'ycb/*'")
    parser.add_argument("--json", action="store_true", help="print as JSON")

    def run(args: argparse.Namespace) -> int:
        entries = _entries(args)
        if args.json:
            print(json.dumps(entries, indent=2))
            return 0
        width = max((len(name) for name in entries), default=0)
        for name, meaning in entries.items():
            print(f"{name:<{width}}  {meaning}".rstrip())
        return 0

    return run


def doctor(parser: argparse.ArgumentParser) -> Run:
    """``simgen doctor``: what works on this machine; exit 1 when something needed does not."""
    parser.description = "Try every part that simgen needs and say what to do about what does not work."
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")

    def run(args: argparse.Namespace) -> int:
        from simgen.doctor import examine

        findings = examine()
        if args.json:
            print(json.dumps([{"name": f.name, "ok": f.ok, "what": f.what} for f in findings], indent=2))
        else:
            for finding in findings:
                print(f"{ {True: 'ok', False: 'BAD', None: '-'}[finding.ok]:>3}  {finding.name}: {finding.what}")
        return 1 if any(finding.ok is False for finding in findings) else 0

    return run


def bench(parser: argparse.ArgumentParser) -> Run:
    """``simgen bench``: speeds of this machine, as JSON."""
    parser.description = (
        "Measure frames per second, renderer-only and end to end to shards, for both renderers, and where the time of "
        "a frame goes. Prints JSON; ratios within one run are what to compare. `simgen bench data DIR` times reading."
    )
    parser.add_argument(
        "--parts",
        default="renderers,job",
        metavar="A,B",
        help="of renderers, job, sensors, costs, peers (default: the first two)",
    )
    parser.add_argument("--device", default="auto", metavar="cpu|cuda:0", help="of the renderer raster (default: auto)")
    parser.add_argument("--scene", default="tabletop")
    parser.add_argument("--size", action="append", metavar="WxH,...", help="image sizes (default: 640x480,256x256)")
    parser.add_argument("--frames", type=int, default=40, help="frames of each end-to-end run and worker (default: 40)")
    parser.add_argument("--workers", type=int, help="measure with 1 and with this many processes (default: cores)")
    parser.add_argument("--assets", action="append", default=[], metavar="DIR", help="asset search path (repeatable)")
    parser.add_argument(
        "--peers-python",
        metavar="FILE",
        help="a Python that has mujoco, mitsuba or bpy (default: this one)",
    )
    parser.add_argument("--keep", default="", metavar="DIR", help="keep the pictures that the peers draw")
    parser.add_argument("--quick", action="store_true", help="a minute at most: one size, few frames")

    def run(args: argparse.Namespace) -> int:
        from simgen.bench import measure

        sizes = [_size(size) for text in args.size or ["640x480,256x256"] for size in text.split(",")]
        if args.frames < 1 or (args.workers is not None and args.workers < 1):
            raise ConfigError("--frames and --workers must be at least 1.")
        parts = [part.strip() for part in args.parts.split(",")]
        figures = measure(
            args.scene,
            sizes,
            args.frames,
            args.workers,
            args.assets,
            parts,
            device=args.device,
            quick=args.quick,
            peers_python=args.peers_python,
            keep=args.keep,
        )
        print(json.dumps(figures, indent=2))
        return 0

    return run


def _entries(args: argparse.Namespace) -> dict[str, str]:
    """Name -> what it is."""
    if args.what == "scenes":
        from simgen.config import scene_names

        return dict.fromkeys(scene_names(tuple(args.config_dir)), "")
    if args.what == "experiments":
        from simgen.evaluate.experiment.files import experiment_names, read

        return {name: str(read(name)["about"]) for name in experiment_names()}
    if args.what == "factors":
        from simgen.randomize.factors import FACTORS

        return dict(FACTORS)
    if args.what == "renderers":
        return {
            "raster": "our own compute rasterizer and shader, on the CPU or a CUDA device; the default",
            "tiny": "PyBullet's TinyRenderer, the reference: colour, depth and ids",
        }
    from simgen.assets.library import Library, search_paths

    library = Library(search_paths([Path(p) for p in args.assets]))
    if args.what == "assets":
        return {name: library.category(name) for name in library.assets(args.match)}
    names = library.textures(args.match) if args.what == "textures" else library.environments(args.match)
    return dict.fromkeys(names, "")


def _size(text: str) -> tuple[int, int]:
    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise ConfigError(f"--size {text!r} is not of the form 640x480.") from None
    if not (1 <= width <= 16384 and 1 <= height <= 16384):
        raise ConfigError(f"--size {text!r} is outside 1x1 to 16384x16384.")
    return width, height

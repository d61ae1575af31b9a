"""Commands that carry data out and in: export, import.

Each function describes its arguments to the parser that it is given and returns what runs with them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from simgen.cli.progress import progress

Run = Callable[[argparse.Namespace], int]

_FORMATS = ("coco", "bop", "yolo", "kitti", "voc", "webdataset")


def export(parser: argparse.ArgumentParser) -> Run:
    """``simgen export``: a dataset in another format."""
    parser.description = (
        "Write a dataset in the format that a trainer reads. The same command again continues an export that was cut "
        "off; files are the same whatever the number of workers."
    )
    parser.add_argument("dataset", type=Path, help="the folder that `simgen render` wrote")
    parser.add_argument("--format", required=True, metavar="FORMAT", help=f"one of {', '.join(_FORMATS)}")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to, new or empty")
    parser.add_argument(
        "--split",
        metavar="SHARES",
        help="as train:0.8,val:0.1,test:0.1, by whole scenes (default: all train)",
    )
    parser.add_argument("--categories", metavar="A,B", help="only these categories (default: all)")
    parser.add_argument(
        "--min-visib",
        type=float,
        default=0.0,
        metavar="F",
        help="leave out objects of which less is visible (0 to 1)",
    )
    parser.add_argument("--image-format", default="png", metavar="png|jpeg", help="of colour images (default: png)")
    parser.add_argument("--jpeg-quality", type=int, default=95, metavar="Q", help="1 to 100 (default: 95)")
    parser.add_argument(
        "--task",
        default="detect",
        metavar="detect|segment|pose",
        help="yolo: kind of labels (default: detect); voc: segment adds mask images",
    )
    parser.add_argument(
        "--keypoints",
        nargs="?",
        const="box",
        default="none",
        metavar="box|named",
        help="coco, yolo: the 3-D boxes' corners and centres, or the points that the scene names",
    )
    parser.add_argument("--panoptic", action="store_true", help="coco: add the panoptic format")
    parser.add_argument(
        "--depth-scale", type=float, default=0.1, metavar="MM", help="bop: a step of the depth images (default: 0.1 mm)"
    )
    parser.add_argument("--no-models", action="store_true", help="bop: leave the objects' meshes out")
    parser.add_argument(
        "--frames-per-tar", type=int, default=100, metavar="N", help="webdataset: frames of a tar file (default: 100)"
    )
    parser.add_argument(
        "--assets", type=Path, action="append", metavar="DIR", help="asset search path, if it has moved (repeatable)"
    )
    parser.add_argument("--workers", type=int, metavar="N", help="processes (default: all cores)")
    parser.add_argument("--json", action="store_true", help="print what was made as JSON")

    def run(args: argparse.Namespace) -> int:
        from simgen.export import export as write

        with progress("export", args.json) as tell:
            made = write(
                args.dataset,
                args.out,
                args.format,
                split=args.split,
                categories=[name.strip() for name in args.categories.split(",")] if args.categories else None,
                min_visib=args.min_visib,
                image_format=args.image_format,
                jpeg_quality=args.jpeg_quality,
                task=args.task,
                keypoints=args.keypoints,
                panoptic=args.panoptic,
                models=not args.no_models,
                depth_scale=args.depth_scale,
                frames_per_tar=args.frames_per_tar,
                assets=args.assets,
                workers=args.workers,
                progress=tell,
            )
        if args.json:
            facts = {"out": str(made.out), "frames": made.frames, "objects": made.objects, "made": made.made}
            print(json.dumps({**facts, "notes": made.notes}))
            return 0
        shares = ", ".join(f"{count} {name}" for name, count in made.frames.items())
        print(f"{made.out}: {sum(made.frames.values())} frames ({shares}), {made.objects} objects, as {args.format}.")
        for note in made.notes:
            print(f"note: {note}")
        return 0

    return run


def import_(parser: argparse.ArgumentParser) -> Run:
    """``simgen import``: a COCO or BOP folder as a dataset."""
    parser.description = (
        "Write annotated images of others, real ones above all, as a dataset that every simgen command reads. The same "
        "command again continues one that was cut off."
    )
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="coco|bop")
    coco = kinds.add_parser("coco", help="images and a COCO instance annotation file")
    coco.add_argument("images", type=Path, help="folder of the images")
    coco.add_argument("annotations", type=Path, help="the JSON file")
    bop = kinds.add_parser("bop", help="a split of a BOP dataset")
    bop.add_argument("root", type=Path, help="folder of the BOP dataset")
    bop.add_argument("--split", required=True, help="folder in it, for example train_pbr or test")
    for kind in (coco, bop):
        kind.add_argument("--out", type=Path, required=True, help="folder of the dataset, new or empty")
        kind.add_argument("--json", action="store_true", help="print what was made as JSON")

    def run(args: argparse.Namespace) -> int:
        from simgen.importers import import_bop, import_coco

        with progress("import", args.json) as tell:
            if args.kind == "coco":
                made = import_coco(args.images, args.annotations, args.out, progress=tell)
            else:
                made = import_bop(args.root, args.split, args.out, progress=tell)
        if args.json:
            facts = {"out": str(made.out), "frames": made.frames, "objects": made.objects, "notes": made.notes}
            print(json.dumps(facts))
            return 0
        print(f"{made.out}: {made.frames} frames, {made.objects} objects.")
        for note in made.notes:
            print(f"note: {note}")
        return 0

    return run

"""Draw the pictures of the README: ``python scripts/figures.py --assets DIR`` writes them to scripts/figures/.

``overview.jpg``: one frame with its labels, and below it one of each other scene. ``sheet.jpg``: 24 frames with all
factors on. ``factors.jpg``: one frame, drawn with one factor at a time, in the rows, and several seeds, in the columns.
Without --assets, with what pip installs.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

import simgen
from simgen.generate.pipeline import category_ids
from simgen.labels.frame import Frame
from simgen.randomize.factors import FACTORS
from simgen.view.preview import panel

GAP = 4
LABELS = ("boxes", "full", "depth", "instance", "normal", "object_coords")
SHEET = (
    *(("tabletop", scene, place) for scene, place in ((22, 0), (24, 1), (30, 2), (16, 0), (34, 3), (7, 2))),
    *(("tabletop", scene, place) for scene, place in ((40, 2), (41, 0), (45, 3), (51, 0), (56, 3), (59, 3))),
    *(("bin_picking", 3, 0), ("cards", 2, 0), ("dice", 3, 0), ("shapes", 0, 0), ("sugar_box", 2, 2), ("signs", 0, 0)),
    *(("bin_picking", 3, 5), ("cards", 7, 3), ("dice", 12, 0), ("shapes", 10, 1), ("sugar_box", 5, 1), ("signs", 5, 2)),
)
"""Scene, its number, the place of the frame in it."""


def frame_of(
    scene: str, overrides: Sequence[str], assets: Sequence[str], number: int, place: int = 0
) -> tuple[Frame, dict[int, str]]:
    """One frame of scene ``number`` and the names of the categories."""
    listed = ",".join(f"'{path}'" for path in assets)
    config = simgen.load(scene, [*overrides, f"assets.path=[{listed}]"])
    library = simgen.Library(assets)
    (frame,) = simgen.scene_frames(config, library, simgen.create_renderer(), number, [place]).frames
    return frame, {i: name for name, i in category_ids(config, library).items()}


def picture(scene: str, number: int, place: int, assets: Sequence[str], size: tuple[int, int]) -> np.ndarray:
    """The colour of a frame of ``size`` (width, height)."""
    overrides = [f"image.width={size[0]}", f"image.height={size[1]}", "passes=[rgb]"]
    return frame_of(scene, overrides, assets, number, place)[0].images["rgb"]


def beside(pictures: Sequence[np.ndarray], axis: int = 1) -> np.ndarray:
    """Pictures of one height side by side, or of one width below each other, with white between them."""
    gap = [(0, 0), (0, 0), (0, 0)]
    gap[axis] = (0, GAP)
    padded = [np.pad(p, gap, constant_values=255) for p in pictures[:-1]]
    return np.concatenate([*padded, pictures[-1]], axis=axis)


def grid(rows: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Pictures of one size side by side and below each other."""
    return beside([beside(row) for row in rows], axis=0)


def overview(assets: Sequence[str], cell: tuple[int, int] = (384, 288)) -> np.ndarray:
    """A large frame, its labels beside it, and the other scenes below."""
    width, height = cell
    large = [f"image.width={2 * width + GAP}", f"image.height={2 * height + GAP}"]
    frame, names = frame_of("tabletop", [*large, "passes=[rgb,depth,instance,normal,object_coords]"], assets, 34, 3)
    labels = []
    for name in LABELS:
        how = cv2.INTER_NEAREST if name in ("instance", "object_coords") else cv2.INTER_AREA
        drawn = panel(frame, name, names, width if name == "boxes" else 2 * width + GAP)
        labels.append(cv2.resize(drawn, cell, interpolation=how))
    others = [
        picture(*which, assets, cell)
        for which in (("bin_picking", 3, 0), ("cards", 2, 0), ("dice", 12, 0), ("signs", 0, 0), ("sugar_box", 2, 2))
    ]
    top = beside([frame.images["rgb"], grid([labels[:3], labels[3:]])])
    return beside([top, beside(others)], axis=0)


def sheet(assets: Sequence[str], columns: int = 6, cell: tuple[int, int] = (320, 240)) -> np.ndarray:
    """Frames of SHEET, all factors on."""
    frames = [picture(*which, assets, cell) for which in SHEET]
    return grid([frames[k : k + columns] for k in range(0, len(frames), columns)])


def factors(assets: Sequence[str], columns: int = 6) -> np.ndarray:
    """A row a factor: everything else nominal, that factor as the scene says.

    The nominal camera looks lower than that of the scene, so that what is behind the table is seen, too.
    """
    label_width, size = 110, (240, 180)
    font = ImageFont.load_default(size=15)
    rows = []
    for factor in [*FACTORS, "all of them"]:
        on = set(FACTORS) if factor not in FACTORS else {factor}
        off = [f"randomize.{name}.enabled=false" for name in FACTORS if name not in on]
        overrides = [f"image.width={size[0]}", f"image.height={size[1]}", "passes=[rgb]", *off]
        overrides.append("+scene.cameras.main.elevation_deg.nominal=22")
        pictures = [frame_of("tabletop", overrides, assets, n)[0].images["rgb"] for n in range(columns)]
        name = Image.new("RGB", (label_width, size[1]), (255, 255, 255))
        ImageDraw.Draw(name).text((4, size[1] / 2 - 10), factor, fill=(40, 40, 40), font=font)
        rows.append(np.concatenate([np.asarray(name), beside(pictures)], axis=1))
    return beside(rows, axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", action="append", default=[], help="asset search path (may be repeated)")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "figures")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for draw in (overview, sheet, factors):
        path = args.out / f"{draw.__name__}.jpg"
        Image.fromarray(draw(args.assets)).save(path, quality=87)
        print(path)


if __name__ == "__main__":
    main()

"""Draw the pictures of the README: ``python scripts/figures.py --assets DIR`` writes them to scripts/figures/.

``overview.jpg``: a frame of each shipped scene with its labels. ``factors.jpg``: one frame, drawn with one factor at a
time, in the rows, and several seeds, in the columns. Without --assets, with what pip installs.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import simgen
from simgen.generate.pipeline import category_ids
from simgen.labels.frame import Frame
from simgen.randomize.factors import FACTORS
from simgen.view.preview import panel

GAP = 4


def frame_of(scene: str, overrides: list[str], assets: list[str], number: int, place: int = 0) -> tuple[Frame, dict]:
    """One frame of scene ``number`` and the names of the categories."""
    listed = ",".join(f"'{path}'" for path in assets)
    config = simgen.load(scene, [*overrides, f"assets.path=[{listed}]"])
    library = simgen.Library(assets)
    (frame,) = simgen.scene_frames(config, library, simgen.create_renderer(), number, [place]).frames
    return frame, {i: name for name, i in category_ids(config, library).items()}


def grid(rows: list[list[np.ndarray]]) -> np.ndarray:
    """Pictures of one size side by side and below each other."""
    padded = [[np.pad(p, ((0, GAP), (0, GAP), (0, 0)), constant_values=255) for p in row] for row in rows]
    return np.concatenate([np.concatenate(row, axis=1) for row in padded])[:-GAP, :-GAP]


def overview(assets: list[str]) -> np.ndarray:
    """Frames above, the labels of the first and of the second below."""
    size = ["image.width=640", "image.height=480"]
    frames = [
        frame_of("tabletop", size, assets, 17, 2),
        frame_of("bin_picking", size, assets, 5, 5),
        frame_of("tabletop", size, assets, 13, 3),
    ]
    (table, objects), (bin_, parts) = frames[:2]
    return grid(
        [
            [frame.images["rgb"] for frame, _ in frames],
            [panel(table, name, objects, 640) for name in ("boxes", "full", "depth")],
            [panel(table, "instance", objects), panel(table, "normal", objects), panel(bin_, "boxes", parts, 640)],
        ]
    )


def factors(assets: list[str], columns: int = 6) -> np.ndarray:
    """A row a factor: everything else nominal, that factor as the scene says."""
    label_width, size = 110, (240, 180)
    font = ImageFont.load_default(size=15)
    rows = []
    for factor in [*FACTORS, "all of them"]:
        on = set(FACTORS) if factor not in FACTORS else {factor}
        off = [f"randomize.{name}.enabled=false" for name in FACTORS if name not in on]
        overrides = [f"image.width={size[0]}", f"image.height={size[1]}", *off]
        pictures = [frame_of("tabletop", overrides, assets, n)[0].images["rgb"] for n in range(columns)]
        name = Image.new("RGB", (label_width, size[1]), (255, 255, 255))
        ImageDraw.Draw(name).text((4, size[1] / 2 - 10), factor, fill=(40, 40, 40), font=font)
        rows.append(np.concatenate([np.asarray(name), grid([pictures])], axis=1))
    return np.concatenate([np.pad(row, ((0, GAP), (0, 0), (0, 0)), constant_values=255) for row in rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", action="append", default=[], help="asset search path (may be repeated)")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "figures")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name, picture in {"overview": overview(args.assets), "factors": factors(args.assets)}.items():
        Image.fromarray(picture).save(args.out / f"{name}.jpg", quality=87)
        print(args.out / f"{name}.jpg")


if __name__ == "__main__":
    main()

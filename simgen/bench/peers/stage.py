"""The scene that a peer is given, and what it answers; needs nothing but NumPy."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


class Stage:
    """The files that ``simgen.bench.peers.run`` wrote into ``folder``.

    ``things`` is a list of dicts, the first of them the plane: obj (file), arrays (file), texture (file), T_world_obj
    (4, 4), quaternion_xyzw, color (3,) and roughness; ``views`` a list of ``T_world_cam`` (4, 4), OpenCV's axes;
    ``lamps`` a list of dicts: direction, irradiance.
    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        self.content: dict[str, Any] = json.loads((self.folder / "stage.json").read_text())
        self.width, self.height = int(self.content["width"]), int(self.content["height"])
        self.K = np.array(self.content["K"])
        self.views = [np.array(view) for view in self.content["views"]]
        self.things = self.content["things"]
        self.lamps = self.content["lamps"]
        self.seconds = float(self.content["seconds"])

    @property
    def vertical_field(self) -> float:
        """Radians."""
        return float(2 * np.arctan(self.height / 2 / self.K[1, 1]))

    def mesh(self, thing: dict[str, Any]) -> dict[str, np.ndarray]:
        """Vertices (V, 3), normals (V, 3), uv (V, 2) with v up, and faces (F, 3) of a thing, in its frame."""
        with np.load(self.folder / thing["arrays"]) as arrays:
            return dict(arrays)


def tell(name: str, version: str, gives: str, stage: Stage, draw: Callable[[np.ndarray], np.ndarray]) -> None:
    """Time ``draw`` (T_world_cam -> colour (H, W, 3) uint8) over the views, and print the answer as JSON.

    The first view is drawn once beforehand. Its picture goes to NAME.ppm, so that somebody may look at it.
    """
    picture = np.ascontiguousarray(draw(stage.views[0])[..., :3], np.uint8)
    (stage.folder / f"{name}.ppm").write_bytes(b"P6 %d %d 255\n" % (stage.width, stage.height) + picture.tobytes())
    times: list[float] = []
    end = time.perf_counter() + stage.seconds
    while not times or time.perf_counter() < end:
        for view in stage.views:
            start = time.perf_counter()
            draw(view)
            times.append(time.perf_counter() - start)
            if time.perf_counter() > end:
                break
    answer = {
        "peer": name,
        "version": version,
        "gives": gives,
        "frames": len(times),
        "median_ms_per_frame": round(1000 * float(np.median(times)), 2),
        # A renderer without a working driver gives an empty picture, and fast.
        "blank": bool(picture.std() < 2),
    }
    print("\n" + json.dumps(answer), file=sys.stdout, flush=True)

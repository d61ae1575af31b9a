"""Does a worker's memory stay flat? ``python scripts/memory.py --scenes 500 --assets DIR`` prints it every 50 scenes.

Draws, simulates and renders scenes in this one process, as a worker does, without writing them.
"""

from __future__ import annotations

import argparse

import psutil

import simgen
from simgen.generate.scenes import SceneSource


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scene", default="tabletop")
    parser.add_argument("--scenes", type=int, default=500)
    parser.add_argument("--every", type=int, default=50)
    parser.add_argument("--assets", action="append", default=[], help="asset search path (may be repeated)")
    parser.add_argument("overrides", nargs="*", help="settings, for example renderer=tiny image.width=320")
    args = parser.parse_args()
    listed = ",".join(f"'{path}'" for path in args.assets)
    small = ["image.width=160", "image.height=120", f"assets.path=[{listed}]"]
    source = SceneSource(simgen.load(args.scene, [*small, *args.overrides]))
    process = psutil.Process()
    for scene in range(args.scenes):
        record, simulation = source.scene(scene)
        for _ in source.frames(record, simulation, range(1)):
            pass
        if (scene + 1) % args.every == 0:
            print(f"{scene + 1:6d} scenes  {process.memory_info().rss / 2**20:7.0f} MiB", flush=True)


if __name__ == "__main__":
    main()

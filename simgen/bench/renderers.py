"""Renderers alone, on the same snapshots in the same run; and what more objects and triangles cost."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from multiprocessing.connection import Connection
from statistics import median
from typing import Any

from simgen.assets.library import Library, search_paths
from simgen.bench.reference import reference_snapshots
from simgen.config import RenderConfig
from simgen.generate.pipeline import draw_scene
from simgen.render import NAMES, create
from simgen.render.base import Renderer, Snapshot
from simgen.render.snapshot import resolve, snapshot

OBJECTS = (10, 50, 200)
TRIANGLES = (10_000, 100_000, 1_000_000)

_ROUNDS = 5
"""Measurements of each point of a curve."""


def renderer_only(config: RenderConfig, most: int, seconds: float) -> list[dict[str, Any]]:
    """Both renderers on the reference scene and on that of ``config``, in one process and in ``most`` at once.

    Batches are of two scenes, four views each. All passes that each renderer gives are computed, and nothing else is
    done.
    """
    size = (config.image.width, config.image.height)
    subjects: dict[str, Callable[[], list[Snapshot]]] = {
        "reference": partial(reference_snapshots, *size, scenes=2),
        config.scene.name: partial(_snapshots, config),
    }
    rows = []
    for name, take in subjects.items():
        for processes in sorted({1, most}):
            for renderer, answers in _together(take, config.renderer.device, processes, seconds).items():
                rows.append(
                    {
                        "scene": name,
                        "renderer": renderer,
                        "device": answers[0]["device"],
                        "size": f"{size[0]}x{size[1]}",
                        "passes": answers[0]["passes"],
                        "triangles": answers[0]["triangles"],
                        "processes": processes,
                        "frames_per_second": round(sum(a["rate"] for a in answers), 2),
                        "median_ms_per_frame": round(median(a["ms"] for a in answers), 2),
                    }
                )
    return rows


def ratios(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """How many times as fast as ``tiny`` on the same snapshots ``raster`` is."""
    keys = ("scene", "size", "processes")
    rate = {(row["renderer"], *(row[key] for key in keys)): row["frames_per_second"] for row in rows}
    return {
        f"raster/tiny {scene} {size} x{processes}": round(value / rate["tiny", scene, size, processes], 1)
        for (name, scene, size, processes), value in rate.items()
        if name == "raster"
    }


def cost_curves(width: int, height: int, device: str = "auto") -> dict[str, list[dict[str, Any]]]:
    """Milliseconds a frame of ``raster`` with all passes, over the objects (2,000 triangles each) and the triangles
    (of ten objects) of the reference scene; one process, medians.
    """
    renderer = create("raster", device)
    passes = sorted(renderer.passes)
    curves: dict[str, list[tuple[int, list[Snapshot]]]] = {
        "objects": [(n, reference_snapshots(width, height, n, 2000 * n, scenes=2)) for n in OBJECTS],
        "triangles": [(n, reference_snapshots(width, height, 10, n, scenes=2)) for n in TRIANGLES],
    }
    found: dict[str, list[dict[str, Any]]] = {}
    try:
        for name, points in curves.items():
            times: dict[int, list[float]] = {n: [] for n, _ in points}
            for _, shots in points:
                _time(renderer, shots, passes)
            for _ in range(_ROUNDS):
                for n, shots in points:
                    times[n].append(_time(renderer, shots, passes))
            found[name] = [{name: n, "median_ms_per_frame": round(1000 * median(t), 2)} for n, t in times.items()]
    finally:
        renderer.close()
    return found


def _together(
    take: Callable[[], list[Snapshot]], device: str, processes: int, seconds: float
) -> dict[str, list[dict[str, Any]]]:
    """What each of several processes measured at the same time, by renderer."""
    context = multiprocessing.get_context("forkserver")
    pipes = [context.Pipe() for _ in range(processes)]
    running = [context.Process(target=_render_loop, args=(take, device, seconds, theirs)) for _, theirs in pipes]
    for process in running:
        process.start()
    for ours, _ in pipes:
        ours.recv()  # everybody has compiled and has its snapshots
    for ours, _ in pipes:
        ours.send("go")
    answers = [ours.recv() for ours, _ in pipes]
    for process in running:
        process.join()
    return {name: [answer[name] for answer in answers] for name in NAMES}


def _render_loop(take: Callable[[], list[Snapshot]], device: str, seconds: float, pipe: Connection) -> None:
    snapshots = take()
    renderers = {name: create(name, device if name == "raster" else "auto") for name in NAMES}
    passes = {name: sorted(renderer.passes) for name, renderer in renderers.items()}
    for name, renderer in renderers.items():
        renderer.render(snapshots, passes[name])
    pipe.send("ready")
    pipe.recv()
    times: dict[str, list[float]] = {name: [] for name in NAMES}
    end = time.perf_counter() + seconds * len(NAMES)
    while time.perf_counter() < end or len(times["tiny"]) < 2:
        for name, renderer in renderers.items():
            # A slow renderer must not leave a fast one with a single measurement.
            budget = time.perf_counter() + seconds / 4
            while True:
                times[name].append(_time(renderer, snapshots, passes[name]))
                if time.perf_counter() > budget:
                    break
    triangles = round(median(sum(len(d.mesh.faces) for d in shot.drawables) for shot in snapshots))
    pipe.send(
        {
            name: {
                "passes": passes[name],
                "device": renderers[name].device,
                "triangles": triangles,
                "rate": 1 / median(t),
                "ms": 1000 * median(t),
            }
            for name, t in times.items()
        }
    )


def _time(renderer: Renderer, snapshots: Sequence[Snapshot], passes: Sequence[str]) -> float:
    """Seconds a frame of one batch."""
    start = time.perf_counter()
    renderer.render(snapshots, passes)
    return (time.perf_counter() - start) / len(snapshots)


def _snapshots(config: RenderConfig, scenes: int = 2, views: int = 4) -> list[Snapshot]:
    library = Library(search_paths(config.assets.path))
    found = []
    for number in range(scenes):
        record, simulation = draw_scene(config, library, number)
        scene = resolve(record, library)
        for frame in record.frames[:views]:
            state = simulation.at(frame.time)
            # The neighbours are the same moment: motion is then computed, and is zero.
            found.append(snapshot(scene, state, frame, (state, frame), (state, frame)))
    return found

"""How fast simgen is on this machine: frames per second, renderer-only and end to end, and where the time goes.

Everything that is compared is measured in one run on the same scenes, alternating, and medians are given: on a shared
machine only ratios within a run mean something.
"""

from __future__ import annotations

import cProfile
import multiprocessing
import platform
import pstats
import tempfile
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

from simgen import __version__
from simgen.assets.library import Library, search_paths
from simgen.config import RenderConfig, frames_per_scene, load
from simgen.doctor import processor_name
from simgen.generate.job import Progress, render
from simgen.generate.pipeline import draw_scene
from simgen.generate.scenes import SceneSource
from simgen.processes import available_cores
from simgen.render import NAMES, create
from simgen.render.base import Renderer, Snapshot
from simgen.render.snapshot import resolve, snapshot
from simgen.shards.writer import Options, Origin, ShardWriter

_STAGES = {
    "sample": ("sample.py", "sample"),
    "simulate": ("simulate.py", "simulate"),
    "resolve": ("snapshot.py", "resolve"),
    "snapshot": ("snapshot.py", "snapshot"),
    "render": ("renderer.py", "render"),
    "silhouettes": ("renderer.py", "silhouettes"),
    "label": ("label.py", "label"),
    "sense": ("color.py", "sense"),
    "write": ("writer.py", "add"),
    "commit": ("writer.py", "finish"),
}
"""Stage -> file and function whose cumulative time it is."""


def measure(
    scene: str,
    sizes: Sequence[tuple[int, int]],
    frames: int = 40,
    workers: int | None = None,
    assets: Sequence[str] = (),
    quick: bool = False,
) -> dict[str, Any]:
    """All figures, JSON-able.

    ``sizes`` are (width, height); ``frames`` are those of each end-to-end run and worker; ``workers`` is the largest
    number of processes, by default one per core; ``quick`` takes the first size only and few frames.
    """
    most = workers or available_cores()
    chosen = list(sizes[:1]) if quick else list(sizes)
    frames = min(frames, 10) if quick else frames
    result: dict[str, Any] = {
        "machine": {"processor": processor_name(), "cores": available_cores(), "system": platform.platform()},
        "simgen": __version__,
        "scene": scene,
        "renderer_only": [],
        "stages_ms_per_frame": [],
        "end_to_end": [],
    }
    for width, height in chosen:
        config = _config(scene, width, height, assets)
        result["renderer_only"] += _renderer_only(config, most, seconds=2.0 if quick else 5.0)
        result["stages_ms_per_frame"].append(_stages(config, frames))
        result["end_to_end"] += _end_to_end(config, most, frames)
    result["ratios"] = _ratios(result["renderer_only"])
    return result


def _config(scene: str, width: int, height: int, assets: Sequence[str]) -> RenderConfig:
    listed = ",".join(f"'{path}'" for path in assets)
    return load(scene, [f"image.width={width}", f"image.height={height}", f"assets.path=[{listed}]"])


def _renderer_only(config: RenderConfig, most: int, seconds: float) -> list[dict[str, Any]]:
    """Both renderers on the same snapshots, in one process and in ``most`` at once; all passes that each gives."""
    rows = []
    for processes in sorted({1, most}):
        context = multiprocessing.get_context("forkserver")
        pipes = [context.Pipe() for _ in range(processes)]
        running = [context.Process(target=_render_loop, args=(config, seconds, theirs)) for _, theirs in pipes]
        for process in running:
            process.start()
        for ours, _ in pipes:
            ours.recv()  # everybody has compiled and has its snapshots
        for ours, _ in pipes:
            ours.send("go")
        answers = [ours.recv() for ours, _ in pipes]
        for process in running:
            process.join()
        for name in NAMES:
            mine = [answer[name] for answer in answers]
            rows.append(
                {
                    "renderer": name,
                    "size": f"{config.image.width}x{config.image.height}",
                    "passes": mine[0]["passes"],
                    "processes": processes,
                    "frames_per_second": round(sum(m["rate"] for m in mine), 2),
                    "median_ms_per_frame": round(median(m["ms"] for m in mine), 2),
                }
            )
    return rows


def _render_loop(config: RenderConfig, seconds: float, pipe: Connection) -> None:
    snapshots = _snapshots(config)
    renderers = {name: create(name) for name in NAMES}
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
                times[name] += _times(renderer, snapshots, passes[name])
                if time.perf_counter() > budget:
                    break
    pipe.send(
        {name: {"passes": passes[name], "rate": 1 / median(t), "ms": 1000 * median(t)} for name, t in times.items()}
    )


def _times(renderer: Renderer, snapshots: Sequence[Snapshot], passes: Sequence[str]) -> list[float]:
    """Seconds a frame of one batch, as one measurement."""
    start = time.perf_counter()
    renderer.render(snapshots, passes)
    return [(time.perf_counter() - start) / len(snapshots)]


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


def _stages(config: RenderConfig, frames: int) -> dict[str, Any]:
    """Milliseconds a frame of each stage in one process, from a profile of the real loop with everything warm."""
    source = SceneSource(config)
    scenes = range(1, 1 + max(2, -(-frames // frames_per_scene(config))))
    try:
        with tempfile.TemporaryDirectory() as folder:
            _write(config, source, [0], Path(folder) / "warm.h5")
            profile = cProfile.Profile()
            start = time.perf_counter()
            profile.enable()
            count = _write(config, source, scenes, Path(folder) / "timed.h5")
            profile.disable()
            total = time.perf_counter() - start
    finally:
        source.close()
    seconds = _cumulative(profile)
    row: dict[str, Any] = {"size": f"{config.image.width}x{config.image.height}", "frames": count}
    row |= {stage: round(1000 * seconds.get(where, 0.0) / count, 2) for stage, where in _STAGES.items()}
    row["other"] = round(1000 * total / count - sum(row[stage] for stage in _STAGES), 2)
    row["total"] = round(1000 * total / count, 2)
    return row


def _write(config: RenderConfig, source: SceneSource, scenes: Sequence[int] | range, path: Path) -> int:
    per_scene = frames_per_scene(config)
    origin = Origin(__version__, {}, config.seed, source.facts.renderer, source.facts.device)
    output = config.output
    options = Options(output.compression, output.rgb_codec, output.jpeg_quality)
    with ShardWriter(path, len(scenes) * per_scene, origin, options) as writer:
        for scene in scenes:
            record, simulation = source.scene(scene)
            writer.add_scene(record, simulation)
            for frame in source.frames(record, simulation, range(per_scene)):
                writer.add(frame)
        writer.finish()
    return len(scenes) * per_scene


def _cumulative(profile: cProfile.Profile) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = {}
    for (file, _, function), row in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        if "simgen" in file:
            found[Path(file).name, function] = found.get((Path(file).name, function), 0.0) + row[3]
    return found


def _end_to_end(config: RenderConfig, most: int, frames: int) -> list[dict[str, Any]]:
    """The main job into a temporary folder; the rate counts from the first frame begun, after compiling."""
    rows = []
    for name in NAMES:
        for workers in sorted({1, most}):
            with tempfile.TemporaryDirectory() as folder:
                config.renderer.name = name
                config.workers = workers
                config.frames = frames * workers if name != "tiny" else max(workers, frames * workers // 4)
                config.output.frames_per_shard = max(frames_per_scene(config), config.frames // (2 * workers))
                config.out = str(Path(folder) / "dataset")
                rates: list[float] = []
                manifest = render(config, _recorder(rates))
            size = sum(shard.bytes for shard in manifest.shards)
            rows.append(
                {
                    "renderer": name,
                    "size": f"{config.image.width}x{config.image.height}",
                    "passes": manifest.passes,
                    "workers": workers,
                    "frames": manifest.frames,
                    "frames_per_second": round(rates[-1], 2),
                    "kilobytes_per_frame": round(size / manifest.frames / 1000),
                }
            )
    config.renderer.name = "auto"
    return rows


def _recorder(rates: list[float]) -> Callable[[Progress], None]:
    return lambda progress: rates.append(progress.rate)


def _ratios(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """How many times as fast as ``tiny`` on the same snapshots ``raster`` is."""
    rate = {(row["renderer"], row["size"], row["processes"]): row["frames_per_second"] for row in rows}
    return {
        f"raster/tiny {size} x{processes}": round(value / rate["tiny", size, processes], 1)
        for (name, size, processes), value in rate.items()
        if name == "raster"
    }

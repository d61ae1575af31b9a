"""The main job timed: where a frame's time goes, and frames per second to shards."""

from __future__ import annotations

import cProfile
import pstats
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from simgen import __version__
from simgen.assets.library import Library, search_paths
from simgen.config import RenderConfig, frames_per_scene
from simgen.generate.job import Progress, render
from simgen.generate.scenes import SceneSource
from simgen.processes import settle_in
from simgen.randomize.sample import sample
from simgen.render import NAMES
from simgen.shards.writer import Options, Origin, ShardWriter

_STAGES = {
    "sample": ("sample.py", "sample"),
    "json": ("search.py", "_stored_form"),
    "simulate": ("simulate.py", "simulate"),
    "resolve": ("snapshot.py", "resolve"),
    "snapshot": ("snapshot.py", "snapshot"),
    "render": ("renderer.py", "render"),
    "silhouettes": ("renderer.py", "silhouettes"),
    "lens": ("camera.py", "see"),
    "label": ("label.py", "label"),
    "semantic": ("label.py", "semantic"),
    "sense": ("color.py", "sense"),
    "traces": ("writer.py", "add_scene"),
    "write": ("writer.py", "add"),
    "commit": ("writer.py", "finish"),
}
"""Stage -> file and function whose cumulative time it is; none is called by another."""


def views_per_scene(config: RenderConfig) -> list[RenderConfig]:
    """``config``, and before it the same with one view of each camera, when it has more.

    The views of a scene share what it takes to sample, to simulate and to look up.
    """
    cameras = config.scene.cameras
    if all(camera.views == 1 for camera in cameras.values()):
        return [config]
    single = {name: replace(camera, views=1) for name, camera in cameras.items()}
    return [replace(config, scene=replace(config.scene, cameras=single)), config]


def stages(config: RenderConfig, frames: int) -> dict[str, Any]:
    """Milliseconds a frame of each stage in one process, from a profile of the real loop with everything warm.

    The process is set up as a worker is.
    """
    scenes = range(1, 1 + max(2, -(-frames // frames_per_scene(config))))
    keep_assets(config, scenes)
    source = SceneSource(config)
    settle_in()
    try:
        with tempfile.TemporaryDirectory() as folder:
            _write(config, source, [0], Path(folder) / "warm.h5")
            profile = cProfile.Profile(builtins=False)  # or what calls many small functions would seem slow
            start = time.perf_counter()
            profile.enable()
            count = _write(config, source, scenes, Path(folder) / "timed.h5")
            profile.disable()
            total = time.perf_counter() - start
    finally:
        source.close()
    seconds = _cumulative(profile)
    row: dict[str, Any] = {"size": f"{config.image.width}x{config.image.height}"}
    row |= {"views": config.scene.views, "frames": count}
    row |= {stage: round(1000 * seconds.get(where, 0.0) / count, 2) for stage, where in _STAGES.items()}
    row["other"] = round(1000 * total / count - sum(row[stage] for stage in _STAGES), 2)
    row["total"] = round(1000 * total / count, 2)
    return row


def keep_assets(config: RenderConfig, scenes: Iterable[int]) -> None:
    """Have simgen's cache folder hold all assets that ``scenes`` show, as it does on a machine that has shown them."""
    library = Library(search_paths(config.assets.path))
    for scene in scenes:
        sample(config, library, config.seed, scene)


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


def end_to_end(config: RenderConfig, most: int, frames: int) -> list[dict[str, Any]]:
    """The main job into a temporary folder; the rate counts from the first frame begun, after compiling.

    What a machine does once for each asset, such as to decompose its shape, is done before.
    """
    keep_assets(config, range(-(-frames * most // frames_per_scene(config))))
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
                    "views": config.scene.views,
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

"""All figures of ``simgen bench``."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import Any

from simgen import __version__
from simgen.bench.job import end_to_end, stages, views_per_scene
from simgen.bench.peers.run import peers
from simgen.bench.renderers import cost_curves, ratios, renderer_only
from simgen.bench.sensors import effects
from simgen.config import RenderConfig, load
from simgen.doctor import processor_name
from simgen.errors import ConfigError, near_match
from simgen.processes import available_cores
from simgen.render import default_device

PARTS = {
    "renderers": "frames per second of both renderers alone",
    "job": "the main job end to end, and where a frame's time goes",
    "sensors": "milliseconds a frame of each effect of the colour sensor, the lens and the depth sensors",
    "costs": "what more objects and more triangles cost",
    "peers": "other renderers on the same scene: PyBullet's EGL plugin, MuJoCo, Mitsuba, Blender's Cycles",
}
"""What can be measured, and what it is."""


def measure(
    scene: str,
    sizes: Sequence[tuple[int, int]],
    frames: int = 40,
    workers: int | None = None,
    assets: Sequence[str] = (),
    parts: Sequence[str] = ("renderers", "job"),
    device: str = "auto",
    quick: bool = False,
    peers_python: str | None = None,
    keep: str = "",
) -> dict[str, Any]:
    """The figures of ``parts`` (of PARTS), JSON-able.

    ``sizes`` are (width, height); ``frames`` are those of each end-to-end run and worker; ``workers`` is the largest
    number of processes, by default one per core; ``quick`` takes the first size only and few frames. Peers run in
    ``peers_python``, by default this interpreter, and leave a picture each in the folder ``keep``. Raises ConfigError
    for an unknown part or scene.
    """
    for part in parts:
        if part not in PARTS:
            known = ", ".join(PARTS)
            raise ConfigError(f'there is no part "{part}" to measure{near_match(part, PARTS)}; there are {known}.')
    most = workers or available_cores()
    chosen = list(sizes[:1]) if quick else list(sizes)
    frames = min(frames, 10) if quick else frames
    result: dict[str, Any] = {
        "machine": {"processor": processor_name(), "cores": available_cores(), "system": platform.platform()},
        "simgen": __version__,
        "scene": scene,
    }
    for width, height in chosen:
        config = _config(scene, width, height, assets, device)
        if "renderers" in parts:
            rows = renderer_only(config, most, seconds=2.0 if quick else 5.0)
            result.setdefault("renderer_only", []).extend(rows)
            used = default_device() if device == "auto" else device
            if used.startswith("cuda"):
                from simgen.bench.cuda import device_batches

                rows = device_batches(width, height, used, seconds=1.0 if quick else 3.0)
                result.setdefault("on_device", []).extend(rows)
        if "job" in parts:
            for each in views_per_scene(config):
                result.setdefault("stages_ms_per_frame", []).append(stages(each, frames))
                result.setdefault("end_to_end", []).extend(end_to_end(each, most, frames))
        if "sensors" in parts:
            result.setdefault("sensors_ms_per_frame", []).append(effects(width, height))
        if "costs" in parts:
            size = {"size": f"{width}x{height}"}
            result.setdefault("costs", []).append(size | cost_curves(width, height, device))
        if "peers" in parts:
            seconds = 1.0 if quick else 10.0
            result.setdefault("peers", []).append(peers(width, height, peers_python, seconds, keep))
    if "renderers" in parts:
        result["ratios"] = ratios(result["renderer_only"])
    return result


def _config(scene: str, width: int, height: int, assets: Sequence[str], device: str) -> RenderConfig:
    listed = ",".join(f"'{path}'" for path in assets)
    size = [f"image.width={width}", f"image.height={height}"]
    return load(scene, [*size, f"assets.path=[{listed}]", f"renderer.device={device}"])

"""What the sensor models cost: each effect beside the clean image, the whole chain, the lens, the depth sensors."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from statistics import median
from typing import Any

from simgen.bench.reference import reference_snapshots
from simgen.render import create
from simgen.scene.depth_presets import PRESETS
from simgen.scene.record import SensorRecord
from simgen.sensors.color import sense
from simgen.sensors.depth import sense_depth
from simgen.sensors.lens import Lens
from simgen.sensors.remap import distort, remap_table

_ROUNDS = 9

EFFECTS: dict[str, dict[str, Any]] = {
    "vignetting": {"field_angle": 0.4, "vignetting": (-0.1, 0.0, 0.0)},
    "chromatic aberration": {"chromatic_aberration": (0.0015, -0.001)},
    "blur": {"blur": 1.0},
    "bloom and glare": {"bloom": 0.05, "veiling_glare": 0.01},
    "noise": {"full_well": 3000.0, "read_noise": 3.0, "prnu": 0.005, "dsnu": 2.0, "gain": 2.0},
    "mosaic and demosaic": {"bayer": "rggb"},
    "tone curve, contrast, saturation": {"tone_curve": "filmic", "contrast": 1.1, "saturation": 1.1},
    "sharpen": {"sharpen": 0.5},
    "JPEG": {"jpeg_quality": 90},
}
"""The effects of the colour sensor, mild."""


def effects(width: int, height: int) -> dict[str, Any]:
    """Milliseconds a frame on one core, medians of alternating runs.

    ``color``: each effect's cost beyond the clean image, which is given too, and the whole chain; ``lens``: distortion
    of colour, depth, ids, normals and object coordinates together; ``depth``: each preset of the depth sensors.
    """
    [shot] = reference_snapshots(width, height, views=1)
    lens = Lens(width, height, *_intrinsics(width), (width - 1) / 2, (height - 1) / 2, distortion=(-0.25, 0.06))
    table = remap_table(lens)
    camera = replace(shot.camera, K=table.source.K, width=table.source.width, height=table.source.height)
    passes = ["rgb", "depth", "instance", "normal", "object_coords"]
    renderer = create("raster", "cpu")
    try:
        images = {name: image[0] for name, image in renderer.render([shot], passes).images.items()}
        padded = {
            name: image[0] for name, image in renderer.render([replace(shot, camera=camera)], passes).images.items()
        }
    finally:
        renderer.close()
    into = distort(padded, table)
    clean = SensorRecord()
    whole: dict[str, Any] = {}
    for change in EFFECTS.values():
        whole |= change
    sensors = {"clean": clean, **{name: replace(clean, **change) for name, change in EFFECTS.items()}}
    sensors["whole chain"] = replace(clean, **whole)
    color, depth, normal = images["rgb"], images["depth"], images["normal"]
    tasks: dict[str, Callable[[], Any]] = {name: partial(sense, color, sensor) for name, sensor in sensors.items()}
    tasks["distortion"] = partial(distort, padded, table, into)
    for name, preset in PRESETS.items():
        tasks[f"depth {name}"] = partial(sense_depth, depth, preset, shot.camera.K, normal, color)
    times = _alternating(tasks)
    row: dict[str, Any] = {"size": f"{width}x{height}", "clean": times["clean"], "whole chain": times["whole chain"]}
    row["color"] = {name: round(times[name] - times["clean"], 2) for name in EFFECTS}
    row["lens"] = {"distortion, 5 passes": times["distortion"]}
    row["depth"] = {name: times[f"depth {name}"] for name in PRESETS}
    return row


def _intrinsics(width: int) -> tuple[float, float]:
    return 0.9 * width, 0.9 * width


def _alternating(tasks: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Median milliseconds of each task, all of them taking turns."""
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for k in range(_ROUNDS + 1):
        for name, run in tasks.items():
            start = time.perf_counter()
            run()
            if k:  # the first round compiles
                times[name].append(1000 * (time.perf_counter() - start))
    return {name: round(median(t), 2) for name, t in times.items()}

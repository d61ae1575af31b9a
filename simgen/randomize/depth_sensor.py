"""The depth sensor of each frame."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

from simgen.distributions.base import mix
from simgen.randomize.draw import Draw
from simgen.scene.depth_presets import PRESETS
from simgen.scene.record import DepthSensorRecord
from simgen.scene.sensor_definition import DepthSensorDefinition

_ERRORS = (
    *("disparity_sigma", "lateral", "lateral_metres", "scale", "offset", "edge_dropout", "flying_pixels"),
    *("min_signal", "grazing_start", "grazing_end", "dropout"),
)
"""What the strength moves away from the ideal sensor; the rest says where and how, and is as written."""


def depth_sensor(source: str, definition: DepthSensorDefinition, draw: Draw) -> DepthSensorRecord:
    """The depth sensor for one frame of the view called ``source``; ``draw`` is that of the time."""
    ideal = DepthSensorRecord()
    base = ideal if definition.preset is None else PRESETS[definition.preset]
    values = {field.name: getattr(base, field.name) for field in fields(base)}
    if definition.kind is not None:
        values["kind"] = definition.kind
    for setting in fields(definition):
        distribution = getattr(definition, setting.name)
        if setting.name in ("preset", "kind") or distribution is None:
            continue
        value = draw.one("sensor", f"{source}.depth_{setting.name}", distribution, label=f"depth_{setting.name}")
        if setting.name.endswith("_deg"):
            values[setting.name.removesuffix("_deg")] = math.radians(value)
        else:
            values[setting.name] = value
    seed = int(draw.uniforms("sensor", f"{source}.depth_noise_seed", 1, 1)[0][0] * 2**53)
    draw.note("sensor", "depth_noise_seed", seed)
    strength = draw.strengths["sensor"]
    if strength <= 0:
        return DepthSensorRecord(kind=values["kind"], noise_seed=seed)
    for name in _ERRORS:
        values[name] = _mixed(getattr(ideal, name), values[name], strength)
    c0, c1, c2, start = values["axial"]
    values["axial"] = (c0 * strength, c1 * strength, c2 * strength, start)
    c, power = values["axial_angle"]
    values["axial_angle"] = (c * strength, power)
    return DepthSensorRecord(**(values | {"noise_seed": seed}))


def _mixed(ideal: Any, value: Any, strength: float) -> Any:
    if isinstance(ideal, tuple):
        return tuple(mix(a, b, strength) for a, b in zip(ideal, value, strict=True))
    return mix(ideal, value, strength)

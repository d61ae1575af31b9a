"""The colour sensor of each frame."""

from __future__ import annotations

import math
from typing import Any

from simgen.distributions import Distribution, Value
from simgen.distributions.base import mix
from simgen.randomize.blackbody import white_balance
from simgen.randomize.draw import Draw
from simgen.scene.record import SensorRecord, Vec2, Vec3
from simgen.scene.sensor_definition import SensorDefinition

_DEEP_WELL = 1e8
"""Photo-electrons of a sensor that has read noise and next to no shot noise."""

_FADING: dict[str, float | Vec2 | Vec3] = {
    "white_balance_gains": (1.0, 1.0, 1.0),
    "tint": 0.0,
    "shot_noise": 0.0,
    "read_noise": 0.0,
    "native_scale": 1.0,
    "field_angle_deg": 0.0,
    "vignetting": (0.0, 0.0, 0.0),
    "chromatic_aberration": (0.0, 0.0),
    "blur": 0.0,
    "bloom": 0.0,
    "veiling_glare": 0.0,
    "channel_response": (1.0, 1.0, 1.0),
    "gain": 1.0,
    "prnu": 0.0,
    "dsnu": 0.0,
    "saturation": 1.0,
    "contrast": 1.0,
    "sharpen": 0.0,
}
"""Effects -> what each is when there is none of it."""

_SWITCHED: dict[str, int | str] = {"adc_bits": 0, "bayer": "none", "tone_curve": "srgb", "jpeg_quality": 0}
"""Effects that are there or not -> what each is when it is not."""

_DETAILS = {"bloom": "bloom_radius", "bayer": "demosaic", "tone_curve": "gamma", "sharpen": "sharpen_radius"}
"""Effect -> the setting that says more about it, and does nothing without it."""


def sensor(source: str, camera: str, definition: SensorDefinition, draw: Draw, still: Draw) -> SensorRecord:
    """The sensor for one frame of the view called ``source`` of ``camera``.

    ``draw`` is that of the time, ``still`` that of the scene, whose draws are the same at all times.
    """
    drawn = {
        key: draw.one("sensor", f"{source}.{key}", getattr(definition, key), label=key)
        for key in ("auto_exposure", "max_clipped", "exposure", "white_balance")
        if getattr(definition, key) is not None
    }
    effects = _effects(source, definition, draw)
    seed = int(draw.uniforms("sensor", f"{source}.noise_seed", 1, 1)[0][0] * 2**53)
    draw.note("sensor", "noise_seed", seed)
    shot, read, dark = effects.pop("shot_noise"), effects.pop("read_noise"), effects.pop("dsnu", 0.0)
    # Shot noise is Poisson: its deviation relative to a full well of n electrons is 1 / sqrt(n).
    well = 1 / shot**2 if shot > 0 else _DEEP_WELL if read > 0 or dark > 0 else 0.0
    fixed = effects.get("prnu", 0.0) > 0 or dark > 0
    balance = white_balance(drawn["white_balance"])
    gains = effects.pop("white_balance_gains", (1.0, 1.0, 1.0))
    return SensorRecord(
        exposure=float(drawn["exposure"]),
        auto_exposure=float(drawn["auto_exposure"]),
        max_clipped=float(drawn.get("max_clipped", 1.0)),
        white_balance=(balance[0] * gains[0], balance[1] * gains[1], balance[2] * gains[2]),
        full_well=well,
        read_noise=read * well,
        dsnu=dark * well,
        noise_seed=seed,
        fixed_pattern_seed=_pattern_seed(camera, still) if fixed else 0,
        field_angle=math.radians(effects.pop("field_angle_deg", 0.0)),
        **effects,
    )


def _effects(source: str, definition: SensorDefinition, draw: Draw) -> dict[str, Any]:
    """The effects that the definition has, each faded by the strength of the factor, and logged."""
    strength = draw.strengths["sensor"]
    effects: dict[str, Any] = {}
    for key, neutral in {**_FADING, **_SWITCHED}.items():
        distribution: Distribution | None = getattr(definition, key)
        if distribution is None:
            continue
        value = draw.unlogged("sensor", f"{source}.{key}", distribution)
        if key in _FADING:
            value = _faded(neutral, value, strength)
        elif strength < 1 and draw.uniforms("sensor", f"{source}.{key}.applied", 1, 1)[0][0] >= strength:
            value = neutral
        effects[key] = value
        draw.note("sensor", key, value)
        if key in _DETAILS and strength > 0:
            detail = _DETAILS[key]
            effects[detail] = draw.one("sensor", f"{source}.{detail}", getattr(definition, detail), label=detail)
    return effects


def _faded(neutral: Value, value: Value, strength: float) -> Value:
    if isinstance(neutral, tuple):
        return tuple(mix(n, v, strength) for n, v in zip(neutral, value, strict=True))
    return mix(neutral, value, strength)


def _pattern_seed(camera: str, still: Draw) -> int:
    """The seed of what is fixed in a sensor: one a camera and scene, the same for all of its frames."""
    seed = int(still.uniforms("sensor", f"{camera}.fixed_pattern_seed", 1, 1)[0][0] * 2**53)
    still.note("sensor", f"{camera}.fixed_pattern_seed", seed)
    return seed

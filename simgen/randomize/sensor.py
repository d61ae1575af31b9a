"""The colour sensor of each frame."""

from __future__ import annotations

from simgen.randomize.blackbody import white_balance
from simgen.randomize.draw import Draw
from simgen.scene.definition import SensorDefinition
from simgen.scene.record import SensorRecord

_DEEP_WELL = 1e8
"""Photo-electrons of a sensor that has read noise and next to no shot noise."""


def sensor(source: str, definition: SensorDefinition, draw: Draw) -> SensorRecord:
    """The sensor for one frame of the view called ``source``; ``draw`` is that of the time."""
    drawn = {
        key: draw.one("sensor", f"{source}.{key}", getattr(definition, key), label=key)
        for key in ("auto_exposure", "exposure", "white_balance", "shot_noise", "read_noise")
    }
    seed = int(draw.uniforms("sensor", f"{source}.noise_seed", 1, 1)[0][0] * 2**53)
    draw.note("sensor", "noise_seed", seed)
    shot, read = drawn["shot_noise"], drawn["read_noise"]
    # Shot noise is Poisson: its deviation relative to a full well of n electrons is 1 / sqrt(n).
    well = 1 / shot**2 if shot > 0 else _DEEP_WELL if read > 0 else 0.0
    return SensorRecord(
        exposure=float(drawn["exposure"]),
        auto_exposure=float(drawn["auto_exposure"]),
        white_balance=white_balance(drawn["white_balance"]),
        full_well=well,
        read_noise=read * well,
        noise_seed=seed,
    )

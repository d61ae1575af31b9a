"""The language of scene definitions for exposures: shutters, apertures, cameras that shake."""

# ruff: noqa: RUF009 -- number and varies return dataclass fields

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from simgen.errors import ConfigError
from simgen.scene.fields import varies


@dataclass
class ShutterDefinition:
    """How long the camera looks; null: an instant. See ``ShutterRecord``.

    ``exposure_time`` is that of each row, which blurs what moves; brightness is the colour sensor's matter. ``readout``
    is the time from the first row to the last of a rolling shutter, negative when it goes upwards: each row is then
    seen at its own time, in colour and in every label. The strength of the factor sensor fades both in.

    ``samples`` is the number of renderings that a blur is made of; fewer are taken where it is shorter than a quarter
    pixel a rendering. A rolling shutter takes one for each half pixel that things move meanwhile.
    """

    exposure_time: Any = varies("number", None, low=0, high=10)
    readout: Any = varies("number", None, low=-10, high=10)
    samples: Any = varies("integer", 8, low=1, high=1024)


@dataclass
class ApertureDefinition:
    """A lens that has things in focus or not; without ``f_number`` everything is. See ``ApertureRecord``.

    The opening's diameter is the focal length over ``f_number``; the focal length in millimetres is that of a sensor
    ``sensor_width_mm`` of the camera wide. ``focus`` is the z-depth of what is sharp; null: the target of the camera.
    ``focus_error`` is the share by which it misses. The strength of the factor sensor fades opening and error in.

    ``samples`` is the number of renderings that a frame is made of.
    """

    f_number: Any = varies("number", None, above=0)
    focus: Any = varies("number", None, above=0)
    focus_error: Any = varies("number", 0.0, low=-0.9, high=10)
    samples: Any = varies("integer", 16, low=1, high=1024)


@dataclass
class MotionDefinition:
    """A camera that moves by itself; vectors are along and about its own axes: x right, y down, z forward.

    ``velocity`` (m/s) and ``angular_velocity_deg`` (per second) carry a view through the scene's time, from where it is
    at time 0. ``shake`` and ``angular_shake_deg`` are the same about the time of each frame, drawn for each: they leave
    it in place, and show when the shutter takes its time. The strength of the factor camera fades shaking in.
    """

    velocity: Any = varies("vec3", None)
    angular_velocity_deg: Any = varies("vec3", None)
    shake: Any = varies("vec3", None)
    angular_shake_deg: Any = varies("vec3", None)

    @property
    def travels(self) -> bool:
        """Whether it goes somewhere."""
        return self.velocity is not None or self.angular_velocity_deg is not None


def check_shutter(shutter: ShutterDefinition, frames: int, rate: float, where: str) -> None:
    """Raise ConfigError for images that take longer than there is time until the next one."""
    for name in ("exposure_time", "readout"):
        distribution = getattr(shutter, name)
        longest = 0.0 if distribution is None else max(abs(value) for value in distribution.outcomes)
        if frames > 1 and longest > 1 / rate:
            raise ConfigError(
                f"{where}.{name} can be {longest:g} s, but the next frame follows after {1 / rate:g} s; shorten it, or "
                "lower scene.time.rate."
            )


def check_focus(aperture: ApertureDefinition, aimed: bool, where: str) -> None:
    """Raise ConfigError for a lens that has nothing to focus on."""
    if aperture.f_number is not None and aperture.focus is None and not aimed:
        raise ConfigError(f"{where}.focus is not given, and the camera has no target to focus on; give the distance.")

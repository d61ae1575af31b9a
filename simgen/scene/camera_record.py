"""What a camera does while it takes an image: how it moves, how long it looks, and through what aperture."""

from __future__ import annotations

from dataclasses import dataclass

from simgen.scene.pose import Vec3


@dataclass(frozen=True)
class TwistRecord:
    """A steady motion: ``linear`` in m/s and ``angular`` in rad/s along and about the axes of the moving frame.

    After t seconds the frame has moved by ``linear * t`` (along the axes it had at first) and turned by
    ``angular * t``. The motion is counted from the time ``since``, in seconds on the scene's clock.
    """

    linear: Vec3 = (0.0, 0.0, 0.0)
    angular: Vec3 = (0.0, 0.0, 0.0)
    since: float = 0.0


@dataclass(frozen=True)
class ShutterRecord:
    """When light is collected. The default is an instant.

    Each row of the image collects light for ``exposure`` seconds; the middle of the last row's exposure comes
    ``readout`` seconds after that of the first one's (negative: the last row is first), and the time of the frame is
    half way between. Colour is the mean of ``samples`` instants of each row's exposure. Labels, one and all, are those
    of the middle of the row's exposure; poses that stand for the whole frame are those at its time.
    """

    exposure: float = 0.0
    readout: float = 0.0
    samples: int = 8

    @property
    def span(self) -> float:
        """Seconds from the first to the last light."""
        return abs(self.readout) + self.exposure


@dataclass(frozen=True)
class ApertureRecord:
    """A thin lens: ``diameter`` of its opening, and the z-depth ``focus`` of what is sharp, in metres.

    A point at z-depth z is spread over a disc of fx * diameter * |1 / focus - 1 / z| pixels. Colour is the mean of
    ``samples`` points of the opening, whose pattern is turned by ``turn`` radians; labels are seen from its middle.
    """

    diameter: float = 0.0
    focus: float = 1.0
    samples: int = 16
    turn: float = 0.0

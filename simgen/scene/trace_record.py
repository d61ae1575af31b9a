"""Records of the sensors that give traces, not images: inertial unit, encoder, force-torque, contact, position, lidar.

Plain data as in record.py: every number is decided, every random stream has its seed here. SI units, radians.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from simgen.scene.pose import Pose, Vec2, Vec3


@dataclass(frozen=True)
class ClockRecord:
    """When a sensor measures and what time it writes down.

    It measures at ``offset + k / rate`` seconds (rate in Hz) after the start of its trace. The stamp is that time plus
    ``delay`` seconds, plus an error of standard deviation ``jitter`` seconds. Typical: rate 1...1000, delay 0...0.05,
    jitter 0...0.002.
    """

    rate: float = 100.0
    delay: float = 0.0
    jitter: float = 0.0
    offset: float = 0.0
    seed: int = 0


def measured_times(clock: ClockRecord, start: float, stop: float) -> NDArray[np.float64]:
    """The times (n,), ascending, between ``start`` and ``stop`` at which a sensor on ``clock`` measures."""
    n = max(0, int(np.floor((stop - start - clock.offset) * clock.rate + 1e-9)) + 1)
    # Rounding must not push the last one out of the recorded time.
    return np.minimum(start + clock.offset + np.arange(n) / clock.rate, max(stop, start))


@dataclass(frozen=True)
class InertialNoiseRecord:
    """Errors of a triad of gyroscopes (unit u = rad/s) or accelerometers (u = m/s^2), as read off an Allan deviation.

    | field | unit | meaning | typical gyroscope, accelerometer (consumer MEMS) |
    |---|---|---|---|
    | white | u/sqrt(Hz) | noise density: Allan deviation at 1 s, slope -1/2 | 1e-4, 1e-3 |
    | random_walk | u sqrt(Hz) | of the bias: Allan deviation at 3 s, slope +1/2 | 1e-6...1e-5, 1e-5...1e-4 |
    | bias_instability | u | height of the Allan deviation's plateau (first-order Gauss-Markov) | 5e-5, 4e-4 |
    | correlation_time | s | of the bias instability | 30...1000 |
    | bias | u | constant bias of each axis | +-0.01, +-0.2 |
    | scale_error | ratio | gain less 1 of each axis | +-0.01 |
    | misalignment | rad | small rotation of the triad about each axis | +-0.005 |
    | limit | u | readings are clipped at +-limit; 0: not | 8.7 (500 deg/s), 39 (4 g) |
    | resolution | u | quantum of the readings; 0: none | 1e-4, 6e-4 |
    """

    white: float = 0.0
    random_walk: float = 0.0
    bias_instability: float = 0.0
    correlation_time: float = 100.0
    bias: Vec3 = (0.0, 0.0, 0.0)
    scale_error: Vec3 = (0.0, 0.0, 0.0)
    misalignment: Vec3 = (0.0, 0.0, 0.0)
    limit: float = 0.0
    resolution: float = 0.0


@dataclass(frozen=True)
class ImuRecord:
    """An inertial measurement unit on a link or camera; ``pose`` is ``T_link_imu``."""

    clock: ClockRecord = ClockRecord(rate=200.0)
    pose: Pose = field(default_factory=Pose)
    gyroscope: InertialNoiseRecord = InertialNoiseRecord()
    accelerometer: InertialNoiseRecord = InertialNoiseRecord()
    seed: int = 0


@dataclass(frozen=True)
class EncoderRecord:
    """Joint encoders. ``resolution`` is one count in rad or m (0: none; 2 pi / 4096 is common), ``noise`` a standard
    deviation and ``offset`` a constant error in the same unit.
    """

    clock: ClockRecord = ClockRecord(rate=100.0)
    resolution: float = 0.0
    noise: float = 0.0
    offset: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class ForceTorqueRecord:
    """A six-axis force-torque sensor.

    White noise ``force_noise`` N and ``torque_noise`` N m (standard deviations of a reading; typical 0.05...0.5 and
    0.002...0.02), drift as a random walk ``force_drift`` N/sqrt(s) and ``torque_drift`` N m/sqrt(s), ``bias`` of force
    and torque, and clipping at ``force_limit`` and ``torque_limit`` (0: none).
    """

    clock: ClockRecord = ClockRecord(rate=100.0)
    force_noise: float = 0.0
    torque_noise: float = 0.0
    force_drift: float = 0.0
    torque_drift: float = 0.0
    bias: tuple[float, float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    force_limit: float = 0.0
    torque_limit: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class ContactRecord:
    """A skin over a body or a link that feels what pushes on it.

    ``force_noise`` N is the standard deviation of the net force along each axis and of the pressing force,
    ``threshold`` N the pressing force from which it reports a touch, ``force_limit`` N where it saturates (0: not).
    """

    clock: ClockRecord = ClockRecord(rate=100.0)
    force_noise: float = 0.0
    threshold: float = 0.0
    force_limit: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class PositionSensorRecord:
    """Absolute position like that of satellite navigation or an indoor beacon system.

    Pairs are (horizontal, vertical) standard deviations in metres: ``white`` of each fix, ``correlated`` of an error
    that wanders with ``correlation_time`` seconds (first-order Gauss-Markov). Satellite navigation: white (0.3, 0.6),
    correlated (1.5, 3), 600 s; RTK: (0.01, 0.02), (0.005, 0.01).
    """

    clock: ClockRecord = ClockRecord(rate=5.0)
    white: Vec2 = (0.0, 0.0)
    correlated: Vec2 = (0.0, 0.0)
    correlation_time: float = 600.0
    seed: int = 0


@dataclass(frozen=True)
class LidarRecord:
    """A scanning range finder. Its frame has x forward, y left and z up; angles are from x, up and left positive.

    ``pattern`` is how the beams of one scan of ``duration`` seconds are laid: "spinning", ``elevations`` one a channel
    and ``columns`` firings over ``azimuth`` (first, last; a full turn leaves out the last); "raster", ``rows`` by
    ``columns`` over ``azimuth`` and ``elevation`` (first, last), row by row; "rosette", ``columns`` points of two
    counter-rotating prisms that fill a cone of half angle ``elevation[1]`` (``prism_turns``: turns of each in a scan;
    other numbers make other flowers).

    | field | unit | meaning | typical |
    |---|---|---|---|
    | min_range, max_range | m | nothing is returned outside | 0.3...200 |
    | range_noise | m | standard deviation of a range | 0.01...0.03 |
    | range_noise_slope | ratio | grows by this times the range | 0...0.001 |
    | range_step | m | quantum of the range; 0: none | 0.001...0.004 |
    | angle_noise | rad | standard deviation of the direction, each way | 0...0.001 |
    | detection_range | m | at which half of the returns of a white surface are lost; 0: none is | 50...300 |
    | attenuation | 1/m | extinction of the air (Beer-Lambert) | 0 (clear)...0.05 (fog) |
    | dropout | probability | of a return that is lost for no reason | 0...0.01 |
    | intensity_noise | ratio | relative standard deviation of the intensity | 0.02...0.1 |
    """

    pattern: Literal["spinning", "raster", "rosette"] = "spinning"
    elevations: tuple[float, ...] = ()
    columns: int = 1024
    rows: int = 64
    azimuth: Vec2 = (-3.141592653589793, 3.141592653589793)
    elevation: Vec2 = (-0.3, 0.3)
    prism_turns: Vec2 = (23.0, -41.0)
    duration: float = 0.1
    pose: Pose = field(default_factory=Pose)
    """``T_link_lidar``."""
    clock: ClockRecord = ClockRecord(rate=10.0)
    min_range: float = 0.1
    max_range: float = 100.0
    range_noise: float = 0.0
    range_noise_slope: float = 0.0
    range_step: float = 0.0
    angle_noise: float = 0.0
    detection_range: float = 0.0
    attenuation: float = 0.0
    dropout: float = 0.0
    intensity_noise: float = 0.0
    noise_seed: int = 0


@dataclass(frozen=True)
class MountedSensor:
    """A sensor and where it sits; exactly one of the records of kinds of sensors is given.

    ``body`` and ``link`` carry it at ``pose``, ``T_link_sensor`` (``link`` None: that of the body's asset); without
    ``body``, ``pose`` is ``T_world_sensor``. Encoders and force-torque sensors sit in the joints of ``body``, the
    latter in ``joint``.
    """

    name: str
    body: str | None = None
    link: str | None = None
    joint: str | None = None
    pose: Pose = field(default_factory=Pose)
    imu: ImuRecord | None = None
    encoder: EncoderRecord | None = None
    force_torque: ForceTorqueRecord | None = None
    contact: ContactRecord | None = None
    position: PositionSensorRecord | None = None
    lidar: LidarRecord | None = None

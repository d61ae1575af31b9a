"""The language of scene definitions for lenses and sensors; definition.py has the rest and explains it."""

# ruff: noqa: RUF009 -- number, vector, varies and word return dataclass fields

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from simgen.errors import ConfigError
from simgen.scene.depth_presets import PRESETS
from simgen.scene.fields import number, varies, vector, word
from simgen.scene.lidar_presets import PRESETS as LIDARS

COEFFICIENTS = {"radial_tangential": ("k1", "k2", "p1", "p2", "k3"), "fisheye": ("k1", "k2", "k3", "k4")}
"""Of each model of lenses, in OpenCV's order."""


@dataclass
class DistortionDefinition:
    """A lens that distorts, by OpenCV's models: "radial_tangential" (k1, k2, p1, p2, k3) or "fisheye" (k1, k2, k3, k4).

    Coefficients that are null are 0; a "radial_tangential" without any is a pinhole.

    The image is warped from an undistorted rendering with ``render_scale`` times the focal length. Labels are picked
    from the pixels of one that is ``label_scale`` times finer, without colour: their edges are about 0.2 pixels off at
    1, and less than 0.1 at 2.5, which takes half as long again as colour does.
    """

    model: str = word("radial_tangential", "radial_tangential", "fisheye")
    k1: Any = varies("number", None)
    k2: Any = varies("number", None)
    p1: Any = varies("number", None)
    p2: Any = varies("number", None)
    k3: Any = varies("number", None)
    k4: Any = varies("number", None)
    render_scale: float = number(1.0, low=1, high=4)
    label_scale: float = number(2.5, low=1, high=4)

    @property
    def given(self) -> bool:
        """Whether the lens may distort."""
        return self.model == "fisheye" or any(getattr(self, key) is not None for key in COEFFICIENTS[self.model])


@dataclass
class DepthSensorDefinition:
    """A depth camera that looks through this camera; ``DepthSensorRecord`` has the unit of each setting.

    There is one when it has a ``preset``, a real sensor, or a ``kind``. Null keeps what the preset has, or without one
    an ideal sensor. It measures into the pass
    "depth_sensor", beside the exact depth. The strength of the factor sensor fades its errors in; at 0 it only rounds
    to millimetres.
    """

    preset: str | None = field(default=None, metadata={"of": tuple(PRESETS)})
    kind: str | None = field(default=None, metadata={"of": ("structured_light", "active_stereo", "time_of_flight")})
    min_range: Any = varies("number", None, low=0, high=65.535)
    max_range: Any = varies("number", None, low=0, high=65.535)
    baseline: Any = varies("number", None, low=-10, high=10)
    focal: Any = varies("number", None, low=0)
    disparity_sigma: Any = varies("number", None, low=0)
    disparity_step: Any = varies("number", None, low=0)
    axial: Any = varies("vec4", None)
    axial_angle: Any = varies("vec2", None)
    axial_angle_start_deg: Any = varies("number", None, low=0, high=90)
    lateral: Any = varies("vec2", None, low=0)
    lateral_metres: Any = varies("number", None, low=0)
    correlation: Any = varies("number", None, low=0)
    range_step: Any = varies("number", None, low=0)
    scale: Any = varies("number", None, above=0)
    offset: Any = varies("number", None)
    edge_jump: Any = varies("number", None, above=0)
    edge_dropout: Any = varies("number", None, low=0, high=1)
    flying_pixels: Any = varies("number", None, low=0, high=1)
    min_signal: Any = varies("number", None, low=0)
    grazing_start_deg: Any = varies("number", None, low=0, high=90)
    grazing_end_deg: Any = varies("number", None, low=0, high=90)
    dropout: Any = varies("number", None, low=0, high=1)
    dropout_size: Any = varies("number", None, low=0)

    @property
    def given(self) -> bool:
        """Whether there is one."""
        return self.preset is not None or self.kind is not None


@dataclass
class Intrinsics:
    """Focal lengths and principal point in pixels of images of ``width`` x ``height``; pixel centres are integers."""

    width: int | None = number(None, low=1)
    height: int | None = number(None, low=1)
    fx: float | None = number(None, above=0)
    fy: float | None = number(None, above=0)
    cx: float | None = None
    cy: float | None = None

    @property
    def given(self) -> bool:
        """Whether there are any."""
        return self.fx is not None


@dataclass
class SensorDefinition:
    """How the camera turns light into a picture; ``SensorRecord`` has the typical range of each setting.

    ``auto_exposure`` is the mean level to which it meters, 0 for none, but lower where more than the share
    ``max_clipped`` of the pixels would be brighter than white; ``exposure`` adds stops. ``white_balance`` is
    the light in kelvin that it takes for white, ``tint`` that light's distance from the black body in Duv, and
    ``white_balance_gains`` what is left uncorrected of red, green and blue. ``shot_noise`` is the noise of white,
    ``read_noise`` that of black, as standard deviations relative to white, and ``dsnu`` the fixed part of that of
    black; ``gain`` is the ISO speed over the base speed, and amplifies all three.

    All but the first four are effects. Null leaves one out; the strength of the factor fades them in: at 0 there is
    none, whatever is written here. ``adc_bits``, ``bayer``, ``tone_curve`` and ``jpeg_quality`` have no half way: the
    strength is the share of frames that have them.
    """

    auto_exposure: Any = varies("number", 0.22, low=0, high=1)
    max_clipped: Any = varies("number", None, low=0, high=1)
    exposure: Any = varies("number", 0.0, low=-10, high=10)
    white_balance: Any = varies("number", 6500.0, low=1000, high=15000)
    white_balance_gains: Any = varies("vec3", None, above=0)
    tint: Any = varies("number", None, low=-0.05, high=0.05)
    shot_noise: Any = varies("number", 0.0, low=0, high=1)
    read_noise: Any = varies("number", 0.0, low=0, high=1)
    native_scale: Any = varies("number", None, low=1, high=8)
    """The picture is taken with so many times the pixels each way, and averaged down."""
    field_angle_deg: Any = varies("number", None, low=0, high=85)
    """Angle of the corner off the axis, for the cos^4 law."""
    vignetting: Any = varies("vec3", None, low=-2, high=2)
    """a, b, c of the falloff 1 + a r^2 + b r^4 + c r^6, r = 1 in the corner."""
    chromatic_aberration: Any = varies("vec2", None, low=-0.1, high=0.1)
    """Magnification of red and of blue against green, less 1."""
    blur: Any = varies("number", None, low=0, high=20)
    """Standard deviation in pixels of what a point is spread to, alike at all depths."""
    bloom: Any = varies("number", None, low=0, high=0.5)
    bloom_radius: Any = varies("number", 0.01, low=0, high=0.25)
    veiling_glare: Any = varies("number", None, low=0, high=0.5)
    channel_response: Any = varies("vec3", None, low=1e-3)
    gain: Any = varies("number", None, low=1e-3, high=1e4)
    prnu: Any = varies("number", None, low=0, high=1)
    dsnu: Any = varies("number", None, low=0, high=1)
    adc_bits: Any = varies("integer", None, low=0, high=16)
    bayer: Any = varies("word", None, words=("none", "rggb", "bggr", "grbg", "gbrg"))
    demosaic: Any = varies("word", "malvar", words=("malvar", "bilinear"))
    saturation: Any = varies("number", None, low=0)
    tone_curve: Any = varies("word", None, words=("srgb", "rec709", "gamma", "filmic"))
    gamma: Any = varies("number", 2.2, low=0.1, high=10)
    contrast: Any = varies("number", None, low=0)
    sharpen: Any = varies("number", None, low=0)
    sharpen_radius: Any = varies("number", 1.0, low=0.1, high=20)
    jpeg_quality: Any = varies("integer", None, low=0, high=100)


@dataclass
class InertialNoiseDefinition:
    """Errors of gyroscopes or accelerometers; see ``InertialNoiseRecord``."""

    white: Any = varies("number", 0.0, low=0)
    random_walk: Any = varies("number", 0.0, low=0)
    bias_instability: Any = varies("number", 0.0, low=0)
    correlation_time: Any = varies("number", 100.0, above=0)
    bias: Any = varies("vec3", [0.0, 0.0, 0.0])
    scale_error: Any = varies("vec3", [0.0, 0.0, 0.0])
    misalignment_deg: Any = varies("vec3", [0.0, 0.0, 0.0])
    limit: Any = varies("number", 0.0, low=0)
    resolution: Any = varies("number", 0.0, low=0)


@dataclass
class EncoderDefinition:
    """Errors of joint encoders; see ``EncoderRecord``."""

    resolution: Any = varies("number", 0.0, low=0)
    noise: Any = varies("number", 0.0, low=0)
    offset: Any = varies("number", 0.0)


@dataclass
class ForceTorqueDefinition:
    """Errors of a force-torque sensor; see ``ForceTorqueRecord``. ``bias`` is drawn for force and torque apart."""

    force_noise: Any = varies("number", 0.0, low=0)
    torque_noise: Any = varies("number", 0.0, low=0)
    force_drift: Any = varies("number", 0.0, low=0)
    torque_drift: Any = varies("number", 0.0, low=0)
    force_bias: Any = varies("vec3", [0.0, 0.0, 0.0])
    torque_bias: Any = varies("vec3", [0.0, 0.0, 0.0])
    force_limit: Any = varies("number", 0.0, low=0)
    torque_limit: Any = varies("number", 0.0, low=0)


@dataclass
class ContactDefinition:
    """Errors of a contact sensor; see ``ContactRecord``."""

    force_noise: Any = varies("number", 0.0, low=0)
    threshold: Any = varies("number", 0.0, low=0)
    force_limit: Any = varies("number", 0.0, low=0)


@dataclass
class FixDefinition:
    """Errors of a position sensor; see ``PositionSensorRecord``."""

    white: Any = varies("vec2", [0.0, 0.0], low=0)
    correlated: Any = varies("vec2", [0.0, 0.0], low=0)
    correlation_time: Any = varies("number", 600.0, above=0)


@dataclass
class LidarDefinition:
    """A lidar's beams and errors; see ``LidarRecord``. Null keeps what the ``preset``, a real lidar, has."""

    preset: str | None = field(default=None, metadata={"of": tuple(LIDARS)})
    pattern: str | None = field(default=None, metadata={"of": ("spinning", "raster", "rosette")})
    elevations_deg: list[float] | None = None
    columns: int | None = None
    rows: int | None = None
    azimuth_deg: list[float] | None = vector(None, 2)
    elevation_deg: list[float] | None = vector(None, 2)
    prism_turns: list[float] | None = vector(None, 2)
    duration: float | None = number(None, above=0)
    min_range: Any = varies("number", None, low=0)
    max_range: Any = varies("number", None, above=0)
    range_noise: Any = varies("number", None, low=0)
    range_noise_slope: Any = varies("number", None, low=0)
    range_step: Any = varies("number", None, low=0)
    angle_noise: Any = varies("number", None, low=0)
    detection_range: Any = varies("number", None, low=0)
    attenuation: Any = varies("number", None, low=0)
    dropout: Any = varies("number", None, low=0, high=1)
    intensity_noise: Any = varies("number", None, low=0)


@dataclass
class TraceSensorDefinition:
    """A sensor that logs a trace of its name, on the clock of the scene.

    ``kind``: "imu", "position" (as of satellites or beacons) and "lidar" sit at ``position``, ``rpy_deg`` in the frame
    of a ``link`` of the robot, of ``body`` (an object by name, such as parts_00; without it in a scene, the sensor is
    missing too), of the first view of ``camera``, or else of the world. "encoders" read all joints of the robot;
    "force_torque" sits in a ``joint`` of it; "contact" is the skin of a ``link`` or ``body``. The part named after the
    kind gives its errors ("imu" has two), which the strength of the factor sensor fades in.

    ``rate`` in Hz; null: 200 for imu, 100 for encoders, force_torque and contact, 5 for position, 10 for lidar. Stamps
    are late by ``delay`` and off by ``jitter`` (a standard deviation), the first reading is at ``offset``; all in
    seconds.
    """

    kind: str = word("imu", "imu", "encoders", "force_torque", "contact", "position", "lidar")
    link: str | None = None
    body: str | None = None
    camera: str | None = None
    joint: str | None = None
    position: Any = varies("vec3", [0.0, 0.0, 0.0])
    rpy_deg: Any = varies("vec3", [0.0, 0.0, 0.0])
    rate: Any = varies("number", None, above=0, high=1e5)
    delay: Any = varies("number", 0.0, low=0)
    jitter: Any = varies("number", 0.0, low=0)
    offset: Any = varies("number", 0.0, low=0)
    gyroscope: InertialNoiseDefinition = field(default_factory=InertialNoiseDefinition)
    accelerometer: InertialNoiseDefinition = field(default_factory=InertialNoiseDefinition)
    encoders: EncoderDefinition = field(default_factory=EncoderDefinition)
    force_torque: ForceTorqueDefinition = field(default_factory=ForceTorqueDefinition)
    contact: ContactDefinition = field(default_factory=ContactDefinition)
    fix: FixDefinition = field(default_factory=FixDefinition)
    lidar: LidarDefinition = field(default_factory=LidarDefinition)


def check_lens(intrinsics: Intrinsics, distortion: DistortionDefinition, where: str) -> None:
    """Raise ConfigError for coefficients that the model does not have, and for half of the intrinsics."""
    values = [getattr(intrinsics, key) for key in ("width", "height", "fx", "fy", "cx", "cy")]
    if any(value is None for value in values) and any(value is not None for value in values):
        raise ConfigError(f"{where}.intrinsics needs all of width, height, fx, fy, cx and cy.")
    for key in ("k4",) if distortion.model == "radial_tangential" else ("p1", "p2"):
        if getattr(distortion, key) is not None:
            raise ConfigError(f"{where}.distortion.{key} is no coefficient of {distortion.model}; leave it.")


def check_depth_sensor(sensor: DepthSensorDefinition, where: str) -> None:
    """Raise ConfigError for settings of a sensor that is not there."""
    if not sensor.given and any(value is not None for value in vars(sensor).values()):
        raise ConfigError(f"{where} needs a preset ({', '.join(PRESETS)}) or a kind.")


def check_trace_sensor(sensor: TraceSensorDefinition, where: str) -> None:
    """Raise ConfigError where settings of a sensor contradict each other."""
    mounts = [key for key in ("link", "body", "camera") if getattr(sensor, key) is not None]
    if len(mounts) > 1:
        raise ConfigError(f"{where} sits on a {' and a '.join(mounts)}; give one of them.")
    if sensor.kind == "force_torque" and sensor.joint is None:
        raise ConfigError(f"{where} needs the joint of the robot that it sits in.")
    if sensor.kind == "contact" and sensor.link is None and sensor.body is None:
        raise ConfigError(f"{where} needs the link of the robot, or the body, whose touches it feels.")
    spins = sensor.lidar.preset is None and sensor.lidar.pattern in (None, "spinning")
    if sensor.kind == "lidar" and spins and not sensor.lidar.elevations_deg:
        raise ConfigError(f"{where}.lidar needs a preset ({', '.join(LIDARS)}), or elevations_deg.")

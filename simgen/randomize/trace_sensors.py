"""Sensors that log traces: where they sit, their clocks and their errors."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from simgen.distributions import Distribution
from simgen.distributions.base import mix
from simgen.geometry import transform
from simgen.randomize.draw import Draw
from simgen.randomize.poses import rotation_from_rpy
from simgen.randomize.robot import BODY
from simgen.randomize.surfaces import pose_of
from simgen.scene.camera_pose import pose_on_carrier
from simgen.scene.lidar_presets import PRESETS
from simgen.scene.pose import Pose
from simgen.scene.record import CameraRecord, FrameRecord
from simgen.scene.sensor_definition import LidarDefinition, TraceSensorDefinition
from simgen.scene.trace_record import (
    ClockRecord,
    ContactRecord,
    EncoderRecord,
    ForceTorqueRecord,
    ImuRecord,
    InertialNoiseRecord,
    LidarRecord,
    MountedSensor,
    PositionSensorRecord,
)

_RATES = {"imu": 200.0, "encoders": 100.0, "force_torque": 100.0, "contact": 100.0, "position": 5.0, "lidar": 10.0}
_KEPT = frozenset(
    {
        *("correlation_time", "limit", "force_limit", "torque_limit", "threshold"),
        *("min_range", "max_range", "detection_range"),
    }
)
"""Settings that are no errors: the strength does not fade them."""


def trace_sensors(
    definitions: Mapping[str, TraceSensorDefinition],
    frames: Sequence[FrameRecord],
    bodies: Collection[str],
    draw: Draw,
) -> tuple[MountedSensor, ...]:
    """The sensors of a scene; those whose body is not among ``bodies`` are left out."""
    cameras: dict[str, CameraRecord] = {}
    for frame in frames:
        cameras.setdefault(frame.camera.name, frame.camera)
    return tuple(
        _sensor(_Drawn(name, draw), definition, cameras)
        for name, definition in definitions.items()
        if definition.body is None or definition.body in bodies
    )


@dataclass(frozen=True)
class _Drawn:
    """Draws of the sensor called ``name``."""

    name: str
    draw: Draw

    def one(self, key: str, distribution: Distribution) -> Any:
        """One value as it is drawn."""
        value = self.draw.one("sensor", f"{self.name}.{key}", distribution)
        return tuple(map(float, value)) if isinstance(value, tuple) else float(value)

    def seed(self, key: str) -> int:
        """A seed."""
        seed = int(self.draw.uniforms("sensor", f"{self.name}.{key}", 1, 1)[0][0] * 2**53)
        self.draw.note("sensor", f"{self.name}.{key}", seed)
        return seed

    def errors(self, part: str, definition: Any) -> dict[str, Any]:
        """The settings of ``part``, errors faded by the strength; angles in radians, those not given left out."""
        strength = self.draw.strengths["sensor"]
        out: dict[str, Any] = {}
        for setting in fields(definition):
            distribution = getattr(definition, setting.name)
            if not isinstance(distribution, Distribution):
                continue
            value = self.one(f"{part}.{setting.name}", distribution)
            if setting.name not in _KEPT:
                value = _faded(value, strength)
            key = setting.name.removesuffix("_deg")
            out[key] = value if key == setting.name else _radians(value)
        return out


def _sensor(drawn: _Drawn, definition: TraceSensorDefinition, cameras: Mapping[str, CameraRecord]) -> MountedSensor:
    body, link, base = definition.body, definition.link, Pose()
    if link is not None or definition.kind in ("encoders", "force_torque"):
        body = BODY
    if definition.camera is not None:
        camera = cameras[definition.camera]
        body, link, base = camera.body, camera.link, camera.pose
        if camera.mount is not None:
            base = pose_of(pose_on_carrier(camera, 0.0, shaken=False))
    if definition.kind == "encoders":
        record = EncoderRecord(_clock(drawn, definition), **drawn.errors("encoders", definition.encoders))
        return MountedSensor(drawn.name, body, encoder=_seeded(record, drawn))
    if definition.kind == "force_torque":
        errors = drawn.errors("force_torque", definition.force_torque)
        errors["bias"] = (*errors.pop("force_bias"), *errors.pop("torque_bias"))
        load = ForceTorqueRecord(_clock(drawn, definition), **errors)
        return MountedSensor(drawn.name, body, joint=definition.joint, force_torque=_seeded(load, drawn))
    if definition.kind == "contact":
        skin = ContactRecord(_clock(drawn, definition), **drawn.errors("contact", definition.contact))
        return MountedSensor(drawn.name, body, link, contact=_seeded(skin, drawn))
    T = np.eye(4)
    T[:3, :3] = rotation_from_rpy(drawn.one("rpy_deg", definition.rpy_deg))
    T[:3, 3] = drawn.one("position", definition.position)
    pose = pose_of(transform(base.position, base.quaternion_xyzw) @ T)
    clock = _clock(drawn, definition)
    mounted: dict[str, Any] = {"name": drawn.name, "body": body, "link": link, "pose": pose}
    if definition.kind == "imu":
        gyroscope = InertialNoiseRecord(**drawn.errors("gyroscope", definition.gyroscope))
        accelerometer = InertialNoiseRecord(**drawn.errors("accelerometer", definition.accelerometer))
        return MountedSensor(**mounted, imu=ImuRecord(clock, pose, gyroscope, accelerometer, drawn.seed("seed")))
    if definition.kind == "position":
        fix = PositionSensorRecord(clock, **drawn.errors("fix", definition.fix), seed=drawn.seed("seed"))
        return MountedSensor(**mounted, position=fix)
    return MountedSensor(**mounted, lidar=_lidar(drawn, definition.lidar, pose, clock))


def _clock(drawn: _Drawn, definition: TraceSensorDefinition) -> ClockRecord:
    rate = _RATES[definition.kind] if definition.rate is None else drawn.one("rate", definition.rate)
    times = {key: drawn.one(key, getattr(definition, key)) for key in ("delay", "jitter", "offset")}
    return ClockRecord(rate, **times, seed=drawn.seed("clock_seed"))


def _lidar(drawn: _Drawn, definition: LidarDefinition, pose: Pose, clock: ClockRecord) -> LidarRecord:
    base = LidarRecord() if definition.preset is None else PRESETS[definition.preset]
    strength = drawn.draw.strengths["sensor"]
    values = {field.name: getattr(base, field.name) for field in fields(base)}
    ideal = LidarRecord()
    for key in ("range_noise", "range_noise_slope", "range_step", "angle_noise", "dropout", "intensity_noise"):
        values[key] = mix(getattr(ideal, key), values[key], strength)
    for key in ("pattern", "columns", "rows", "duration"):
        if getattr(definition, key) is not None:
            values[key] = getattr(definition, key)
    for key in ("elevations", "azimuth", "elevation"):
        degrees = getattr(definition, f"{key}_deg")
        if degrees is not None:
            values[key] = tuple(math.radians(angle) for angle in degrees)
    if definition.prism_turns is not None:
        values["prism_turns"] = tuple(definition.prism_turns)
    values |= drawn.errors("lidar", definition)
    if strength <= 0:
        values["detection_range"] = 0.0
    return LidarRecord(**(values | {"pose": pose, "clock": clock, "noise_seed": drawn.seed("seed")}))


def _seeded(record: Any, drawn: _Drawn) -> Any:
    return type(record)(**{**vars(record), "seed": drawn.seed("seed")})


def _faded(value: Any, strength: float) -> Any:
    return tuple(mix(0.0, v, strength) for v in value) if isinstance(value, tuple) else mix(0.0, value, strength)


def _radians(value: Any) -> Any:
    return tuple(map(math.radians, value)) if isinstance(value, tuple) else math.radians(value)

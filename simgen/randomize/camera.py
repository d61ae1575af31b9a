"""Camera poses and intrinsics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from simgen.errors import ConfigError
from simgen.geometry import Array, intrinsics, look_at
from simgen.randomize.draw import Draw
from simgen.randomize.poses import rotation_from_rpy
from simgen.randomize.robot import BODY
from simgen.randomize.surfaces import pose_of
from simgen.scene.camera_record import TwistRecord
from simgen.scene.definition import CameraDefinition
from simgen.scene.exposure_definition import MotionDefinition
from simgen.scene.record import CameraRecord, Vec3
from simgen.scene.sensor_definition import COEFFICIENTS, DistortionDefinition

Model = Literal["radial_tangential", "fisheye"]
Coefficients = tuple[float, float, float, float, float]

_NAMES = {
    "shell": ("target", "radius", "elevation_deg", "azimuth_deg", "roll_deg"),
    "fixed": ("position", "target", "roll_deg"),
    "link": ("position",),
}


def camera(name: str, definition: CameraDefinition, width: int, height: int, draw: Draw) -> CameraRecord:
    """One placement of a camera; ``draw`` is that of the view."""
    names = _NAMES[definition.kind]
    if definition.rpy_deg is not None and definition.kind != "shell":
        names = (*names, "rpy_deg")
    drawn = {key: draw.one("camera", f"{name}.{key}", getattr(definition, key), label=key) for key in names}
    linked = definition.kind == "link"
    return CameraRecord(
        name=name,
        width=width,
        height=height,
        pose=pose_of(_pose(definition.kind, drawn)),
        body=BODY if linked else None,
        link=definition.link if linked else None,
        travel=_travel(name, definition.motion, draw),
        **_optics(name, definition, width, height, draw),
    )


def rigged(name: str, definition: CameraDefinition, carrier: CameraRecord, draw: Draw, still: Draw) -> CameraRecord:
    """The camera called ``name`` on the rig of ``carrier``; ``draw`` is that of the view, ``still`` of the scene."""
    T = np.eye(4)
    T[:3, 3] = still.one("camera", f"{name}.position", definition.position)
    if definition.rpy_deg is not None:
        T[:3, :3] = rotation_from_rpy(still.one("camera", f"{name}.rpy_deg", definition.rpy_deg))
    placed = replace(carrier, name=name, mount=pose_of(T))
    width, height = carrier.width, carrier.height
    if definition.optics == "own":
        return replace(placed, **_optics(name, definition, width, height, draw))
    shift = draw.one("camera", f"{name}.shift", definition.shift, label=f"{name}.shift")
    return replace(placed, cx=carrier.cx + shift[0] * width, cy=carrier.cy + shift[1] * height)


def _optics(name: str, definition: CameraDefinition, width: int, height: int, draw: Draw) -> dict[str, Any]:
    """The fields of a record that say how a camera looks, not from where."""
    names = (*_focal_setting(definition), "shift")
    drawn = {key: draw.one("camera", f"{name}.{key}", getattr(definition, key), label=key) for key in names}
    model, coefficients = _distortion(name, definition.distortion, draw)
    fx, fy, cx, cy = _intrinsics(name, definition, drawn, model, coefficients, width, height)
    return {
        "fx": fx,
        "fy": fy,
        "cx": cx + drawn["shift"][0] * width,
        "cy": cy + drawn["shift"][1] * height,
        "distortion": coefficients,
        "near": definition.near,
        "far": definition.far,
        "distortion_model": model,
        "render_scale": definition.distortion.render_scale,
        "label_scale": definition.distortion.label_scale,
    }


def _travel(name: str, motion: MotionDefinition, draw: Draw) -> TwistRecord | None:
    """The motion of a view through the scene's time; None when it stands still."""
    linear, angular = (
        (0.0, 0.0, 0.0) if part is None else draw.one("camera", f"{name}.{key}", part, label=key)
        for key, part in (("velocity", motion.velocity), ("angular_velocity_deg", motion.angular_velocity_deg))
    )
    if not any(linear) and not any(angular):
        return None
    return TwistRecord(_floats(linear), _radians(angular))


def shake(source: str, motion: MotionDefinition, time: float, draw: Draw) -> TwistRecord | None:
    """The motion about one frame of the view called ``source``; ``draw`` is that of the frame."""
    strength = draw.strengths["camera"]
    linear, angular = (
        (0.0, 0.0, 0.0) if part is None else draw.whole("camera", f"{source}.{key}", part, label=key)
        for key, part in (("shake", motion.shake), ("angular_shake_deg", motion.angular_shake_deg))
    )
    linear, angular = tuple(v * strength for v in linear), tuple(v * strength for v in angular)
    if not any(linear) and not any(angular):
        return None
    return TwistRecord(_floats(linear), _radians(angular), time)


def _floats(values: Sequence[float]) -> Vec3:
    x, y, z = values
    return float(x), float(y), float(z)


def _radians(degrees: Sequence[float]) -> Vec3:
    x, y, z = degrees
    return math.radians(x), math.radians(y), math.radians(z)


def _focal_setting(definition: CameraDefinition) -> tuple[str, ...]:
    """The setting that gives the focal length."""
    if definition.intrinsics.given:
        return ()
    return ("hfov_deg",) if definition.focal_mm is None else ("focal_mm",)


def _distortion(name: str, definition: DistortionDefinition, draw: Draw) -> tuple[Model, Coefficients]:
    """Model and coefficients of the lens, padded to five."""
    k = dict.fromkeys(COEFFICIENTS[definition.model], 0.0)
    for key in k:
        distribution = getattr(definition, key)
        if distribution is not None:
            label = f"distortion_{key}"
            k[key] = float(draw.one("camera", f"{name}.distortion.{key}", distribution, label=label))
    if definition.model == "fisheye":
        return "fisheye", (k["k1"], k["k2"], k["k3"], k["k4"], 0.0)
    return "radial_tangential", (k["k1"], k["k2"], k["p1"], k["p2"], k["k3"])


def _intrinsics(
    name: str,
    definition: CameraDefinition,
    drawn: dict[str, Any],
    model: Model,
    coefficients: Coefficients,
    width: int,
    height: int,
) -> tuple[float, float, float, float]:
    """fx, fy, cx, cy before the shift; raises ConfigError when given ones are of another image shape."""
    given = definition.intrinsics
    if given.given:
        assert given.width  # all are there or none: checked with the definition
        assert given.height
        assert given.fx
        assert given.fy
        assert given.cx is not None
        assert given.cy is not None
        sx, sy = width / given.width, height / given.height
        if abs(sx / sy - 1) > 0.01:
            raise ConfigError(
                f"scene.cameras.{name}.intrinsics are of {given.width}x{given.height} images, whose shape is not that "
                f"of {width}x{height}; set image.width and image.height."
            )
        # Pixel centres are whole numbers: the image's edge at -0.5 stays where it is.
        return given.fx * sx, given.fy * sy, (given.cx + 0.5) * sx - 0.5, (given.cy + 0.5) * sy - 0.5
    if "focal_mm" in drawn:
        half = math.atan(definition.sensor_width_mm / 2 / drawn["focal_mm"])
    else:
        half = math.radians(drawn["hfov_deg"]) / 2
    K = intrinsics(width, height, 2 * half)
    f = float(K[0, 0])
    if model == "fisheye" and "focal_mm" not in drawn:
        k1, k2, k3, k4, _ = coefficients
        s = half * half
        f = width / 2 / (half * (1 + s * (k1 + s * (k2 + s * (k3 + s * k4)))))
        if not f > 0:
            raise ConfigError(
                f"scene.cameras.{name}.distortion: this fisheye does not reach half of hfov_deg {drawn['hfov_deg']:g}; "
                "weaken its coefficients, or give focal_mm."
            )
    return f, f, float(K[0, 2]), float(K[1, 2])


def _pose(kind: str, drawn: dict) -> Array:
    """``T_world_cam``, or ``T_link_cam`` of a camera on a link."""
    if kind == "shell":
        elevation, azimuth = math.radians(drawn["elevation_deg"]), math.radians(drawn["azimuth_deg"])
        away = np.array(
            [math.cos(elevation) * math.cos(azimuth), math.cos(elevation) * math.sin(azimuth), math.sin(elevation)]
        )
        target = np.asarray(drawn["target"], np.float64)
        return look_at(target + drawn["radius"] * away, target, math.radians(drawn["roll_deg"]))
    if kind == "fixed" and "rpy_deg" not in drawn:
        return look_at(drawn["position"], drawn["target"], math.radians(drawn["roll_deg"]))
    T = np.eye(4)
    T[:3, :3] = rotation_from_rpy(drawn.get("rpy_deg", (0.0, 0.0, 0.0)))
    T[:3, 3] = drawn["position"]
    return T

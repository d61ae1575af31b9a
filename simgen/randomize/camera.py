"""Camera poses and intrinsics."""

from __future__ import annotations

import math

import numpy as np

from simgen.geometry import Array, intrinsics, look_at
from simgen.randomize.draw import Draw
from simgen.randomize.poses import rotation_from_rpy
from simgen.randomize.robot import BODY
from simgen.randomize.surfaces import pose_of
from simgen.scene.definition import CameraDefinition
from simgen.scene.record import CameraRecord

_NAMES = {
    "shell": ("target", "radius", "elevation_deg", "azimuth_deg", "roll_deg"),
    "fixed": ("position", "target", "roll_deg"),
    "link": ("position",),
}


def camera(name: str, definition: CameraDefinition, width: int, height: int, draw: Draw) -> CameraRecord:
    """One placement of a camera; ``draw`` is that of the view."""
    names = (*_NAMES[definition.kind], "hfov_deg", "shift")
    if definition.rpy_deg is not None and definition.kind != "shell":
        names = (*names, "rpy_deg")
    drawn = {key: draw.one("camera", f"{name}.{key}", getattr(definition, key), label=key) for key in names}
    shift = (drawn["shift"][0] * width, drawn["shift"][1] * height)
    K = intrinsics(width, height, math.radians(drawn["hfov_deg"]), shift)
    linked = definition.kind == "link"
    return CameraRecord(
        name=name,
        width=width,
        height=height,
        fx=float(K[0, 0]),
        fy=float(K[1, 1]),
        cx=float(K[0, 2]),
        cy=float(K[1, 2]),
        pose=pose_of(_pose(definition.kind, drawn)),
        body=BODY if linked else None,
        link=definition.link if linked else None,
        near=definition.near,
        far=definition.far,
    )


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

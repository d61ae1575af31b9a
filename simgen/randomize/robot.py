"""The robot and its motion."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from simgen.errors import AssetError, ConfigError, near_match
from simgen.geometry import quaternion_from_axis_angle, transform
from simgen.randomize.draw import Draw
from simgen.randomize.surfaces import pose_of
from simgen.scene.definition import Robot
from simgen.scene.record import BodyRecord, RobotMotion

if TYPE_CHECKING:
    from simgen.assets.library import Library

BODY = "robot"


def robot(definition: Robot, library: Library, draw: Draw) -> tuple[BodyRecord, RobotMotion | None]:
    """The robot's body and its motion, None when it has no ``home`` to move around.

    Raises ConfigError for a joint that the robot does not have and AssetError for an asset that is not articulated.
    """
    asset = library.asset(definition.asset)
    if asset.urdf is None:
        raise AssetError(f"scene.robot.asset {definition.asset} has no joints; name the URDF of a robot.")
    position = draw.one("poses", f"{BODY}.position", definition.position)
    yaw = np.radians(draw.one("poses", f"{BODY}.yaw_deg", definition.yaw_deg))
    body = BodyRecord(
        name=BODY,
        asset=definition.asset,
        role="robot",
        group=BODY,
        pose=pose_of(transform(position, quaternion_from_axis_angle((0, 0, 1), yaw))),
        motion="fixed",
    )
    return body, _motion(definition, asset.urdf, draw)


def _motion(definition: Robot, urdf: Path, draw: Draw) -> RobotMotion | None:
    motion = definition.motion
    if not motion.home:
        return None
    limits = joint_limits(urdf)
    for name in motion.home:
        if name not in limits:
            raise ConfigError(
                f"scene.robot.motion.home: {definition.asset} has no movable joint {name!r}{near_match(name, limits)}; "
                f"it has {', '.join(limits)}."
            )
    home = list(motion.home.values())
    points = [tuple(point) for point in motion.path]
    if not points:
        joints = [limits[name] for name in motion.home]
        offsets = draw.many("poses", f"{BODY}.offset", motion.offset, motion.waypoints * len(home))
        points = [
            tuple(
                min(max(value + (offsets[k * len(home) + j] if turns else 0.0), low), high)
                for j, (value, (turns, low, high)) in enumerate(zip(home, joints, strict=True))
            )
            for k in range(motion.waypoints)
        ]
        points = [tuple(home), *points]
    times = tuple(k * motion.interval for k in range(len(points)))
    return RobotMotion(BODY, tuple(motion.home), times, tuple(points), motion.force)


@lru_cache(maxsize=32)
def joint_limits(urdf: Path) -> dict[str, tuple[bool, float, float]]:
    """Movable joints of a URDF -> whether it turns, and its lower and upper limit in radians or metres.

    Raises AssetError when the file is not a URDF.
    """
    try:
        joints = ElementTree.parse(urdf).getroot().iter("joint")
        out = {}
        for joint in joints:
            kind, limit = joint.get("type"), joint.find("limit")
            if kind in ("revolute", "prismatic") and limit is not None:
                low, high = float(limit.get("lower", 0)), float(limit.get("upper", 0))
                out[joint.get("name", "")] = (kind == "revolute", low, high)
            elif kind == "continuous":
                out[joint.get("name", "")] = (True, -np.inf, np.inf)
    except (ElementTree.ParseError, OSError, ValueError) as error:
        raise AssetError(f"{urdf} is not a readable URDF: {error}.") from None
    return out

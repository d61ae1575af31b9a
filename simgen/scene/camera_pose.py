"""Where a camera is on what carries it, at any time."""

from __future__ import annotations

import numpy as np

from simgen.geometry import Array, quaternion_from_axis_angle, transform
from simgen.scene.camera_record import TwistRecord
from simgen.scene.record import CameraRecord


def pose_on_carrier(camera: CameraRecord, time: float, shaken: bool = True) -> Array:
    """``T_carrier_cam`` (4, 4) at ``time`` on the scene's clock; the carrier is the camera's link, or the world.

    ``shaken=False`` leaves out the motion that is about a single frame.
    """
    T = transform(camera.pose.position, camera.pose.quaternion_xyzw)
    for twist in (camera.travel, camera.shake if shaken else None):
        if twist is not None:
            T = T @ moved(twist, time)
    if camera.mount is not None:
        T = T @ transform(camera.mount.position, camera.mount.quaternion_xyzw)
    return T


def moved(twist: TwistRecord, time: float) -> Array:
    """The motion (4, 4) of a frame since ``twist.since``."""
    t = time - twist.since
    turn = np.array(twist.angular) * t
    angle = float(np.linalg.norm(turn))
    T = transform((0, 0, 0), quaternion_from_axis_angle(turn, angle)) if angle > 0 else np.eye(4)
    T[:3, 3] = np.array(twist.linear) * t
    return T

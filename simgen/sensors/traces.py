"""The traces of a scene's sensors, from how their mounts moved and where everything was."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simgen.geometry import transform
from simgen.render.base import Camera, Snapshot
from simgen.render.raycast import RayScene, ray_scene
from simgen.render.snapshot import ResolvedScene, drawables
from simgen.scene.record import SceneRecord
from simgen.scene.state import LinkMotion, Motion, SceneState, Trace
from simgen.scene.trace_record import LidarRecord, MountedSensor
from simgen.sensors.clock import interpolate_poses, sample_times
from simgen.sensors.inertial import contact, encoder, force_torque, imu, position
from simgen.sensors.lidar import scan, surfaces

Array = NDArray[np.float64]

LIDAR_COLUMNS = ("scan", "x", "y", "z", "range", "intensity", "instance", "channel")
LIDAR_UNITS = ("index", "m", "m", "m", "m", "1", "id", "index")
"""A lidar's trace has one row a return: which scan, the point in the lidar's frame at the time of its beam, range,
intensity, instance id of what it met (0: background), and the laser or row. Its time is that of the beam."""


def sensor_traces(record: SceneRecord, motion: Motion, scene: ResolvedScene | None = None) -> dict[str, Trace]:
    """What the sensors of ``record`` logged; a sensor whose body is gone logs nothing more.

    ``scene`` is needed by lidars only.
    """
    traces: dict[str, Trace] = {}
    for sensor in record.sensors:
        trace = _trace(sensor, record, motion, scene)
        if trace is not None:
            traces[sensor.name] = trace
    return traces


def _trace(sensor: MountedSensor, record: SceneRecord, motion: Motion, scene: ResolvedScene | None) -> Trace | None:
    if sensor.encoder is not None:
        names, positions = motion.joints.get(sensor.body or "", ((), np.zeros((0, 0))))
        return encoder(motion.time[: len(positions)], positions, names, sensor.encoder) if len(positions) else None
    if sensor.force_torque is not None:
        wrench = motion.wrenches.get((sensor.body or "", sensor.joint or ""))
        if wrench is None or not len(wrench):
            return None
        return force_torque(motion.time[: len(wrench)], wrench, sensor.force_torque)
    if sensor.contact is not None:
        felt = motion.contacts.get((sensor.body or "", sensor.link or ""))
        return None if felt is None or not len(felt) else contact(motion.time[: len(felt)], felt, sensor.contact)
    mount = _mount(sensor, motion)
    if mount is None or not len(mount.T_world_link):
        return None
    time = motion.time[: len(mount.T_world_link)]
    if sensor.imu is not None:
        velocities = (mount.linear_velocity, mount.angular_velocity)
        return imu(time, mount.T_world_link, sensor.imu, record.world.gravity, *velocities)
    T = mount.T_world_link @ transform(sensor.pose.position, sensor.pose.quaternion_xyzw)
    if sensor.position is not None:
        return position(time, T[:, :3, 3], sensor.position)
    if sensor.lidar is not None and scene is not None:
        return _lidar(sensor.lidar, time, T, motion.states, scene)
    return None


def _mount(sensor: MountedSensor, motion: Motion) -> LinkMotion | None:
    """How the frame moved that carries the sensor; the world when no body does."""
    if sensor.body is not None:
        return motion.links.get((sensor.body, sensor.link or ""))
    n = len(motion.time)
    still = np.zeros((n, 3))
    return LinkMotion(np.broadcast_to(np.eye(4), (n, 4, 4)), still, still)


def _lidar(
    lidar: LidarRecord, time: Array, T_world_lidar: Array, states: tuple[SceneState, ...], scene: ResolvedScene
) -> Trace:
    ticks = sample_times(time[0], time[-1], lidar.clock)
    begins = interpolate_poses(time, T_world_lidar, ticks.measured)
    ends = interpolate_poses(time, T_world_lidar, ticks.measured + lidar.duration)
    stamps, rows = [np.zeros(0)], [np.zeros((0, len(LIDAR_COLUMNS)))]
    world: _World | None = None
    for k, (begin, stamp) in enumerate(zip(ticks.measured.tolist(), ticks.stamped.tolist(), strict=True)):
        state = min(states, key=lambda state: abs(state.time - begin))
        world = _world(scene, state, world)
        moves = not np.array_equal(begins[k], ends[k])
        got = scan(world.rays, begins[k], lidar, world.ids, world.reflectance, ends[k] if moves else None, start=begin)
        hit = np.flatnonzero(got.range > 0)
        stamps.append(stamp + got.time[hit])
        columns = (got.range, got.intensity, got.instance, got.channel)
        rows.append(
            np.column_stack([np.full(len(hit), float(k)), got.point[hit], *(column[hit] for column in columns)])
        )
    return Trace(np.concatenate(stamps), np.concatenate(rows).astype(np.float64), LIDAR_COLUMNS, LIDAR_UNITS)


class _World:
    """All surfaces at one state, for rays; ``poses`` tell whether another state looks the same."""

    def __init__(self, snapshot: Snapshot, poses: Array) -> None:
        self.poses = poses
        self.rays: RayScene = ray_scene(snapshot)
        self.ids, self.reflectance = surfaces(snapshot)


def _world(scene: ResolvedScene, state: SceneState, before: _World | None) -> _World:
    """The world at ``state``; ``before`` when nothing has moved since."""
    things = tuple(drawables(scene, state))
    poses = np.array([thing.T_world_obj for thing in things]).reshape(-1, 4, 4)
    if before is not None and np.array_equal(before.poses, poses):
        return before
    nowhere = Camera(np.eye(3), np.eye(4), 1, 1)
    return _World(Snapshot(things, (), scene.environment, nowhere), poses)

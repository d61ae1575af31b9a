"""Traces of sensors that ride along: inertial unit, joint encoders, force-torque, contact and position.

Each takes the exact trajectory on the scene clock and gives what the sensor would have logged, on its own clock.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline
from scipy.signal import lfilter
from scipy.spatial.transform import Rotation

from simgen.geometry import transform
from simgen.scene.state import Trace
from simgen.scene.trace_record import (
    ContactRecord,
    EncoderRecord,
    ForceTorqueRecord,
    ImuRecord,
    InertialNoiseRecord,
    PositionSensorRecord,
)
from simgen.sensors.clock import interpolate, interpolate_poses, sample_times
from simgen.sensors.noise import normals

Array = NDArray[np.float64]

_GYROSCOPE, _ACCELEROMETER, _ENCODER, _FORCE, _POSITION, _CONTACT = (
    10 * k for k in range(1, 7)
)  # purposes of random numbers
_WHITE, _WALK, _WANDER = range(3)

# The maximum of the Allan deviation of a first-order Gauss-Markov process over its standard deviation (IEEE 952,
# annex C: at 1.89 correlation times).
_PLATEAU = 0.6174


def imu(
    times: ArrayLike,
    T_world_link: ArrayLike,
    record: ImuRecord,
    gravity: ArrayLike = (0.0, 0.0, -9.81),
    linear_velocity: ArrayLike | None = None,
    angular_velocity: ArrayLike | None = None,
) -> Trace:
    """Angular rate and specific force in the frame of an inertial unit that rides on a link.

    ``times`` (N,) ascending seconds, ``T_world_link`` (N, 4, 4); optionally the velocities (N, 3) of the link's origin
    in the world, m/s and rad/s (both or none), else they follow from the poses. Columns: gyro x, y, z in rad/s and
    accelerometer x, y, z in m/s^2; at rest with z up the latter read (0, 0, +9.81).

    A reading is the mean over one sample period centred on the time of measurement, as units report the rotation and
    velocity gained; so integrating the readings gives the motion back, and an impact gives a finite peak.
    """
    t = np.asarray(times, np.float64)
    T = np.asarray(T_world_link, np.float64) @ transform(record.pose.position, record.pose.quaternion_xyzw)
    ticks = sample_times(t[0], t[-1], record.clock)
    if linear_velocity is not None and angular_velocity is not None:
        arm = T[:, :3, 3] - np.asarray(T_world_link, np.float64)[:, :3, 3]
        velocity = np.asarray(linear_velocity, np.float64) + np.cross(np.asarray(angular_velocity, np.float64), arm)
    elif linear_velocity is None and angular_velocity is None:
        velocity = CubicSpline(t, T[:, :3, 3])(t, 1) if len(t) > 1 else np.zeros((1, 3))
    else:
        raise ValueError("give both linear_velocity and angular_velocity, or none")

    half = 0.5 / record.clock.rate
    begin, end = np.clip(ticks.measured - half, t[0], t[-1]), np.clip(ticks.measured + half, t[0], t[-1])
    span = np.maximum(end - begin, 1e-12)[:, None]
    first, middle, last = (
        Rotation.from_matrix(interpolate_poses(t, T, at)[:, :3, :3]) for at in (begin, (begin + end) / 2, end)
    )
    rate = (first.inv() * last).as_rotvec() / span
    gained = interpolate(t, velocity, end) - interpolate(t, velocity, begin)
    force = middle.inv().apply(gained / span - np.asarray(gravity, np.float64))
    if len(t) == 1:
        rate[:] = 0.0
    return Trace(
        ticks.stamped,
        np.concatenate(
            [
                _inertial_errors(rate, record.gyroscope, record.clock.rate, record.seed, _GYROSCOPE),
                _inertial_errors(force, record.accelerometer, record.clock.rate, record.seed, _ACCELEROMETER),
            ],
            1,
        ),
        ("gyro_x", "gyro_y", "gyro_z", "accel_x", "accel_y", "accel_z"),
        ("rad/s",) * 3 + ("m/s^2",) * 3,
    )


def encoder(times: ArrayLike, positions: ArrayLike, joints: tuple[str, ...], record: EncoderRecord) -> Trace:
    """What encoders read of joint ``positions`` (N, J) in rad or m at ``times`` (N,); one column a joint."""
    t = np.asarray(times, np.float64)
    ticks = sample_times(t[0], t[-1], record.clock)
    values = interpolate(t, positions, ticks.measured) + record.offset
    if record.noise:
        values = values + record.noise * normals(record.seed, _ENCODER, values.shape)
    return Trace(ticks.stamped, _quantized(values, record.resolution), joints, ("rad or m",) * len(joints))


def force_torque(times: ArrayLike, wrench: ArrayLike, record: ForceTorqueRecord) -> Trace:
    """What a six-axis sensor reads of a ``wrench`` (N, 6), force in N and torque in N m, at ``times`` (N,)."""
    t = np.asarray(times, np.float64)
    ticks = sample_times(t[0], t[-1], record.clock)
    values = interpolate(t, wrench, ticks.measured) + np.asarray(record.bias)
    white = np.repeat([record.force_noise, record.torque_noise], 3)
    drift = np.repeat([record.force_drift, record.torque_drift], 3)
    values += white * normals(record.seed, _FORCE + _WHITE, values.shape)
    values += _random_walk(values.shape, drift, record.clock.rate, record.seed, _FORCE + _WALK)
    limit = np.repeat([record.force_limit or np.inf, record.torque_limit or np.inf], 3)
    columns = ("force_x", "force_y", "force_z", "torque_x", "torque_y", "torque_z")
    return Trace(ticks.stamped, np.clip(values, -limit, limit), columns, ("N",) * 3 + ("N m",) * 3)


def contact(times: ArrayLike, contacts: ArrayLike, record: ContactRecord) -> Trace:
    """What a contact sensor reads of ``contacts`` (N, 5) at ``times`` (N,): see ``Motion.contacts``.

    Columns: net force in the frame of the link and pressing force, N, whether it touches, and the number of points.
    Readings are those of the last step before the time of measurement: forces of contact jump, and a mean of before and
    after would be neither.
    """
    t = np.asarray(times, np.float64)
    ticks = sample_times(t[0], t[-1], record.clock)
    rows = np.asarray(contacts, np.float64)[np.searchsorted(t, ticks.measured + 1e-9) - 1]
    forces = rows[:, :4] + record.force_noise * normals(record.seed, _CONTACT, (len(rows), 4))
    limit = record.force_limit or np.inf
    forces = np.clip(forces, [-limit] * 3 + [0.0], limit)
    touches = (rows[:, 4] > 0) & (forces[:, 3] >= record.threshold)
    columns = ("force_x", "force_y", "force_z", "pressing", "touch", "points")
    values = np.column_stack([forces, touches, rows[:, 4]])
    return Trace(ticks.stamped, values, columns, ("N",) * 4 + ("1", "1"))


def position(times: ArrayLike, positions: ArrayLike, record: PositionSensorRecord) -> Trace:
    """Fixes of ``positions`` (N, 3) in the world, metres, at ``times`` (N,); z is vertical."""
    t = np.asarray(times, np.float64)
    ticks = sample_times(t[0], t[-1], record.clock)
    values = interpolate(t, positions, ticks.measured)
    white, wander = (np.array([h, h, v]) for h, v in (record.white, record.correlated))
    values += white * normals(record.seed, _POSITION + _WHITE, values.shape)
    values += _gauss_markov(
        values.shape, wander, record.correlation_time, record.clock.rate, record.seed, _POSITION + _WANDER
    )
    return Trace(ticks.stamped, values, ("x", "y", "z"), ("m",) * 3)


def _inertial_errors(true: Array, noise: InertialNoiseRecord, rate: float, seed: int, purpose: int) -> Array:
    """Readings (n, 3) of a triad: gain, alignment, bias and noise (the model of IEEE 952 and of Kalibr)."""
    mx, my, mz = noise.misalignment
    turn = np.array([[1, mz, -my], [-mz, 1, mx], [my, -mx, 1.0]])  # of the triad, hence the inverse on what it reads
    values = true @ turn.T * (1 + np.asarray(noise.scale_error)) + np.asarray(noise.bias)
    if noise.white:
        values = values + noise.white * np.sqrt(rate) * normals(seed, purpose + _WHITE, values.shape)
    if noise.random_walk:
        values = values + _random_walk(values.shape, noise.random_walk, rate, seed, purpose + _WALK)
    if noise.bias_instability:
        sigma = noise.bias_instability / _PLATEAU
        values = values + _gauss_markov(values.shape, sigma, noise.correlation_time, rate, seed, purpose + _WANDER)
    if noise.limit:
        values = np.clip(values, -noise.limit, noise.limit)
    return _quantized(values, noise.resolution)


def _random_walk(shape: tuple[int, ...], density: ArrayLike, rate: float, seed: int, purpose: int) -> Array:
    """A walk (n, D) that starts at 0 and gains a variance of density^2 a second."""
    steps = np.asarray(density) / np.sqrt(rate) * normals(seed, purpose, shape)
    steps[:1] = 0.0
    return np.cumsum(steps, 0)


def _gauss_markov(
    shape: tuple[int, ...], sigma: ArrayLike, correlation_time: float, rate: float, seed: int, purpose: int
) -> Array:
    """A stationary first-order process (n, D) of standard deviation ``sigma``, exactly discretized."""
    keep = np.exp(-1 / (rate * correlation_time))
    shocks = normals(seed, purpose, shape)
    shocks[1:] *= np.sqrt(1 - keep * keep)
    return np.asarray(sigma) * lfilter([1.0], [1.0, -keep], shocks, axis=0)


def _quantized(values: Array, step: float) -> Array:
    return np.round(values / step) * step if step else values

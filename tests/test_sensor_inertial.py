"""Inertial units and other trace sensors against mechanics and against the statistics asked for."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from simgen.errors import ConfigError
from simgen.geometry import quaternion_from_axis_angle, transform
from simgen.scene.record import Pose
from simgen.scene.trace_record import (
    ClockRecord,
    EncoderRecord,
    ForceTorqueRecord,
    ImuRecord,
    InertialNoiseRecord,
    PositionSensorRecord,
)
from simgen.sensors.clock import interpolate_poses, sample_times
from simgen.sensors.inertial import encoder, force_torque, imu, position

G = 9.81


def still(duration: float, T: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    times = np.array([0.0, duration / 2, duration])
    return times, np.broadcast_to(np.eye(4) if T is None else T, (3, 4, 4))


def circle(t: np.ndarray, radius: float = 2.0, rate: float = 1.5) -> np.ndarray:
    """Driving on a circle: x along the motion, y to the centre, z up."""
    T = np.zeros((len(t), 4, 4))
    T[:, 3, 3] = 1
    angle = rate * t
    T[:, :3, 3] = np.stack([radius * np.sin(angle), -radius * np.cos(angle), 0 * t], 1)
    T[:, :3, :3] = Rotation.from_rotvec(angle[:, None] * [0, 0, 1]).as_matrix()
    return T


# Clock


def test_ticks() -> None:
    ticks = sample_times(1.0, 2.0, ClockRecord(rate=10.0, delay=0.02, offset=0.05))
    np.testing.assert_allclose(ticks.measured, 1.05 + 0.1 * np.arange(10))
    np.testing.assert_allclose(ticks.stamped - ticks.measured, 0.02)
    assert len(sample_times(0.0, 1.0, ClockRecord(rate=240.0)).measured) == 241
    assert len(sample_times(0.0, 0.1, ClockRecord(offset=5.0)).measured) == 0


def test_jitter_has_its_size_and_keeps_the_order() -> None:
    ticks = sample_times(0.0, 200.0, ClockRecord(rate=100.0, jitter=0.001, seed=3))
    error = ticks.stamped - ticks.measured
    assert error.std() == pytest.approx(0.001, rel=0.03)
    assert abs(error.mean()) < 3e-5
    wild = sample_times(0.0, 20.0, ClockRecord(rate=100.0, jitter=0.1, seed=3))
    assert (np.diff(wild.stamped) >= -1e-12).all()
    again = sample_times(0.0, 200.0, ClockRecord(rate=100.0, jitter=0.001, seed=3))
    np.testing.assert_array_equal(ticks.stamped, again.stamped)


@pytest.mark.parametrize("clock", [ClockRecord(rate=0.0), ClockRecord(rate=float("nan")), ClockRecord(jitter=-1.0)])
def test_impossible_clocks_are_told(clock: ClockRecord) -> None:
    with pytest.raises(ConfigError, match=r"rate|jitter"):
        sample_times(0.0, 1.0, clock)


def test_poses_between_times() -> None:
    t = np.linspace(0, 2, 41)
    at = np.linspace(0, 2, 333)
    T = interpolate_poses(t, circle(t), at)
    np.testing.assert_allclose(T, circle(at), atol=2e-3)
    np.testing.assert_allclose(np.linalg.det(T[:, :3, :3]), 1, atol=1e-12)
    np.testing.assert_array_equal(interpolate_poses([0.0], np.eye(4)[None], [3.0])[0], np.eye(4))
    # A body that fell and lies still does not dip below where it lies.
    fall = np.broadcast_to(np.eye(4), (5, 4, 4)).copy()
    fall[:, 2, 3] = [1.0, 0.5, 0.0, 0.0, 0.0]
    assert interpolate_poses(np.arange(5.0), fall, np.linspace(0, 4, 99))[:, 2, 3].min() >= 0
    with pytest.raises(ValueError, match="ascending"):
        interpolate_poses([0.0, 0.0], np.stack([np.eye(4)] * 2), [0.0])


# Inertial unit


def test_at_rest_it_reads_gravity_upwards() -> None:
    trace = imu(*still(1.0), ImuRecord())
    assert len(trace.time) == 201
    np.testing.assert_allclose(trace.value, np.tile([0, 0, 0, 0, 0, G], (201, 1)), atol=1e-9)
    assert trace.units[0] == "rad/s"
    assert trace.units[3] == "m/s^2"
    tilted = imu(*still(1.0, transform((1, 2, 3), quaternion_from_axis_angle((1, 0, 0), np.pi / 2))), ImuRecord())
    np.testing.assert_allclose(tilted.value[5], [0, 0, 0, 0, G, 0], atol=1e-9)
    mounted = imu(*still(1.0), ImuRecord(pose=Pose(quaternion_xyzw=(1.0, 0.0, 0.0, 0.0))))
    np.testing.assert_allclose(mounted.value[5], [0, 0, 0, 0, 0, -G], atol=1e-9)


def test_free_fall_reads_nothing() -> None:
    t = np.linspace(0, 1, 241)
    T = np.broadcast_to(np.eye(4), (241, 4, 4)).copy()
    T[:, 2, 3] = 5 - 0.5 * G * t**2
    np.testing.assert_allclose(imu(t, T, ImuRecord()).value, 0, atol=1e-9)


@pytest.mark.parametrize("with_velocities", [False, True])
def test_circle_reads_the_centripetal_force_and_integrates_back(with_velocities: bool) -> None:
    radius, rate = 2.0, 1.5
    t = np.linspace(0, 4, 961)
    T = circle(t, radius, rate)
    velocities = {}
    if with_velocities:
        velocities = {
            "linear_velocity": radius * rate * T[:, :3, 0],
            "angular_velocity": np.tile([0, 0, rate], (len(t), 1)),
        }
    trace = imu(t, T, ImuRecord(), **velocities)
    np.testing.assert_allclose(trace.value[:, 2], rate, atol=1e-6)
    inner = trace.value[2:-2, 3:]
    np.testing.assert_allclose(inner, np.tile([0, radius * rate**2, G], (len(inner), 1)), atol=2e-3)
    # Dead reckoning from the readings: a sample holds for the period around its time, half of it at the ends.
    R, v, p = Rotation.from_matrix(T[0, :3, :3]), radius * rate * T[0, :3, 0], T[0, :3, 3]
    for k, (gyro, force) in enumerate(zip(trace.value[:, :3], trace.value[:, 3:], strict=True)):
        dt = 1 / 200 if 0 < k < len(trace.time) - 1 else 1 / 400
        force_world = (R * Rotation.from_rotvec(gyro * dt / 2)).apply(force)
        v_next = v + (force_world - np.array([0, 0, G])) * dt
        p = p + (v + v_next) / 2 * dt
        R, v = R * Rotation.from_rotvec(gyro * dt), v_next
    assert np.linalg.norm(p - T[-1, :3, 3]) < 2e-3
    assert (R * Rotation.from_matrix(T[-1, :3, :3]).inv()).magnitude() < 1e-6


def test_lever_arm_adds_its_own_centripetal_force() -> None:
    t = np.linspace(0, 2, 961)
    T = circle(t, 0.0, 3.0)
    mounted = ImuRecord(pose=Pose((0.5, 0.0, 0.0)))
    for velocities in ({}, {"linear_velocity": np.zeros((961, 3)), "angular_velocity": np.tile([0, 0, 3.0], (961, 1))}):
        trace = imu(t, T, mounted, **velocities)
        np.testing.assert_allclose(trace.value[3:-3, 3], -0.5 * 9, atol=5e-3)


def test_an_impact_gives_its_momentum() -> None:
    t = np.arange(241) / 240
    velocity = np.zeros((241, 3))
    velocity[:120, 2] = -2.0  # stopped between two steps
    T = np.broadcast_to(np.eye(4), (241, 4, 4)).copy()
    T[:, 2, 3] = np.where(t < 0.5, 1 - 2 * t, 0)
    trace = imu(t, T, ImuRecord(), linear_velocity=velocity, angular_velocity=np.zeros((241, 3)))
    gained = (trace.value[:, 5] - G).sum() / 200
    assert gained == pytest.approx(2.0, rel=1e-6)


def allan_deviation(x: np.ndarray, rate: float, m: int) -> float:
    """Overlapping Allan deviation of rates x (n,) over m samples (Riley, NIST SP 1065)."""
    theta = np.concatenate([[0.0], np.cumsum(x)]) / rate
    tau = m / rate
    d = theta[2 * m :] - 2 * theta[m:-m] + theta[: -2 * m]
    return float(np.sqrt(np.mean(d**2) / (2 * tau**2)))


def bias_trace(noise: InertialNoiseRecord, duration: float, rate: float = 50.0, seed: int = 5) -> np.ndarray:
    record = ImuRecord(ClockRecord(rate=rate), gyroscope=noise, seed=seed)
    return imu(*still(duration), record).value[:, :3]


def test_allan_slope_of_white_noise() -> None:
    x = bias_trace(InertialNoiseRecord(white=2e-3), 2000.0)
    deviation = [np.sqrt(np.mean([allan_deviation(c, 50.0, m) ** 2 for c in x.T])) for m in (5, 50, 500)]
    np.testing.assert_allclose(deviation, 2e-3 / np.sqrt([0.1, 1.0, 10.0]), rtol=0.08)
    slope = np.polyfit(np.log([0.1, 1, 10]), np.log(deviation), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.03)


def test_allan_slope_of_random_walk() -> None:
    seeds = [bias_trace(InertialNoiseRecord(random_walk=1e-3), 2000.0, seed=s) for s in range(4)]
    x = np.concatenate(seeds, 1)
    taus = np.array([1.0, 10.0, 100.0])
    deviation = [np.sqrt(np.mean([allan_deviation(c, 50.0, int(50 * t)) ** 2 for c in x.T])) for t in taus]
    np.testing.assert_allclose(deviation, 1e-3 * np.sqrt(taus / 3), rtol=0.15)
    assert np.polyfit(np.log(taus), np.log(deviation), 1)[0] == pytest.approx(0.5, abs=0.06)


def test_bias_instability_is_the_plateau() -> None:
    noise = InertialNoiseRecord(bias_instability=1e-3, correlation_time=5.0)
    x = np.concatenate([bias_trace(noise, 4000.0, 20.0, seed=s) for s in range(4)], 1)
    taus = np.array([1.0, 3.0, 9.45, 30.0, 100.0])
    deviation = [np.sqrt(np.mean([allan_deviation(c, 20.0, int(20 * t)) ** 2 for c in x.T])) for t in taus]
    assert np.argmax(deviation) == 2
    assert deviation[2] == pytest.approx(1e-3, rel=0.06)


def test_constant_errors() -> None:
    T = transform((0, 0, 0), quaternion_from_axis_angle((0, 1, 0), 0.4))
    ideal = imu(*still(0.1, T), ImuRecord()).value[0, 3:]
    errors = InertialNoiseRecord(bias=(0.1, 0.2, 0.3), scale_error=(0.01, 0.0, -0.02))
    np.testing.assert_allclose(
        imu(*still(0.1, T), ImuRecord(accelerometer=errors)).value[0, 3:],
        ideal * [1.01, 1, 0.98] + [0.1, 0.2, 0.3],
    )
    # A triad turned by a small angle about y reads as one that was mounted so.
    turned = imu(*still(0.1), ImuRecord(accelerometer=InertialNoiseRecord(misalignment=(0.0, 0.01, 0.0)))).value[0, 3:]
    quaternion = tuple(quaternion_from_axis_angle((0, 1, 0), 0.01))
    mounted = imu(*still(0.1), ImuRecord(pose=Pose(quaternion_xyzw=quaternion))).value[0, 3:]
    np.testing.assert_allclose(turned, mounted, atol=1e-3)
    clipped = imu(*still(0.1), ImuRecord(accelerometer=InertialNoiseRecord(limit=5.0, resolution=0.75))).value[0, 3:]
    np.testing.assert_allclose(clipped, [0, 0, 5.25], atol=1e-9)


def test_noise_replays_and_differs_between_sensors() -> None:
    noise = InertialNoiseRecord(white=1e-3, random_walk=1e-4, bias_instability=1e-3)
    record = ImuRecord(gyroscope=noise, accelerometer=noise, seed=7)
    a, b = imu(*still(5.0), record).value, imu(*still(5.0), record).value
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, imu(*still(5.0), replace(record, seed=8)).value)
    # A longer trace begins with the shorter one.
    np.testing.assert_allclose(imu(*still(9.0), record).value[: len(a)], a, atol=1e-12)
    residual = a - [0, 0, 0, 0, 0, G]
    assert abs(np.corrcoef(residual[:, 0], residual[:, 3])[0, 1]) < 0.2


# Others


def test_encoder_counts() -> None:
    t = np.linspace(0, 1, 11)
    joints = np.stack([t, 2 * t], 1)
    step = 2 * np.pi / 4096
    trace = encoder(t, joints, ("a", "b"), EncoderRecord(ClockRecord(rate=50.0), resolution=step))
    exact = np.stack([trace.time, 2 * trace.time], 1)
    assert np.abs(trace.value - exact).max() <= step / 2 + 1e-12
    np.testing.assert_allclose(trace.value / step, np.round(trace.value / step), atol=1e-9)
    noisy = encoder(t, joints, ("a", "b"), EncoderRecord(ClockRecord(rate=2000.0), noise=0.01, offset=0.1))
    error = noisy.value - np.stack([noisy.time, 2 * noisy.time], 1)
    assert error.mean() == pytest.approx(0.1, abs=1e-3)
    assert error.std() == pytest.approx(0.01, rel=0.05)


def test_force_torque() -> None:
    t, wrench = np.array([0.0, 100.0]), np.tile([1.0, 2, 3, 0.1, 0.2, 0.3], (2, 1))
    np.testing.assert_array_equal(force_torque(t, wrench, ForceTorqueRecord()).value[7], wrench[0])
    noisy = force_torque(t, wrench, ForceTorqueRecord(force_noise=0.2, torque_noise=0.01)).value - wrench[0]
    np.testing.assert_allclose(noisy.std(0), [0.2] * 3 + [0.01] * 3, rtol=0.05)
    drift = np.stack(
        [force_torque(t, wrench, ForceTorqueRecord(force_drift=0.1, seed=s)).value[-1] - wrench[0] for s in range(200)]
    )
    assert drift[:, :3].std() == pytest.approx(0.1 * np.sqrt(100), rel=0.12)
    assert not drift[:, 3:].any()
    clipped = force_torque(t, wrench, ForceTorqueRecord(force_limit=2.0)).value[0]
    np.testing.assert_array_equal(clipped, [1, 2, 2, 0.1, 0.2, 0.3])


def test_position_wanders_with_its_correlation_time() -> None:
    t, p = np.array([0.0, 20000.0]), np.tile([10.0, 20, 30], (2, 1))
    record = PositionSensorRecord(ClockRecord(rate=1.0), correlated=(1.5, 3.0), correlation_time=20.0)
    error = position(t, p, record).value - p[0]
    np.testing.assert_allclose(error.std(0), [1.5, 1.5, 3.0], rtol=0.12)
    lag = [np.corrcoef(error[:-k, 2], error[k:, 2])[0, 1] for k in (10, 20)]
    np.testing.assert_allclose(lag, np.exp([-0.5, -1.0]), atol=0.08)
    white = position(t, p, PositionSensorRecord(ClockRecord(rate=1.0), white=(0.3, 0.6))).value - p[0]
    np.testing.assert_allclose(white.std(0), [0.3, 0.3, 0.6], rtol=0.03)


def test_records_survive_json() -> None:
    record = ImuRecord(gyroscope=InertialNoiseRecord(white=1e-3), seed=2**40, pose=Pose((0.1, 0.2, 0.3)))
    assert msgspec.json.decode(msgspec.json.encode(record), type=ImuRecord) == record

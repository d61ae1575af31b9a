"""Sampling on a sensor's own clock: when it measures, what it stamps, and the world in between two recorded times."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import PchipInterpolator
from scipy.spatial.transform import Rotation, Slerp

from simgen.errors import ConfigError
from simgen.scene.trace_record import ClockRecord, measured_times
from simgen.sensors.noise import normals

Array = NDArray[np.float64]

_JITTER = 1


class Ticks(NamedTuple):
    """Times (n,) in seconds: ``measured`` when the sensor looks at the world, ``stamped`` what it writes down."""

    measured: Array
    stamped: Array


def sample_times(start: float, stop: float, clock: ClockRecord) -> Ticks:
    """The ticks of ``clock`` with ``start <= measured <= stop``; both are ascending.

    Jitter of more than half a period is cut, so that stamps never change places. Raises ConfigError for a rate that is
    not positive or a negative jitter.
    """
    if not (np.isfinite(clock.rate) and clock.rate > 0):
        raise ConfigError(f"the rate of a sensor is {clock.rate:g} Hz and must be positive")
    if not clock.jitter >= 0:
        raise ConfigError(f"the jitter of a sensor is {clock.jitter:g} s and must not be negative")
    measured = measured_times(clock, start, stop)
    error = np.zeros(len(measured))
    if clock.jitter and len(measured):
        half = 0.5 / clock.rate
        error = np.clip(clock.jitter * normals(clock.seed, _JITTER, len(measured)), -half, half)
    return Ticks(measured, measured + clock.delay + error)


def interpolate(times: ArrayLike, values: ArrayLike, at: ArrayLike) -> Array:
    """Values (n, D) at the times ``at`` (n,), linear between those given (N, D) at ``times`` (N,), ascending.

    Outside, the first or last value holds.
    """
    t, v, a = (np.asarray(x, np.float64) for x in (times, values, at))
    _check(t, len(v))
    return np.stack([np.interp(a, t, column) for column in v.T], -1)


def interpolate_poses(times: ArrayLike, T: ArrayLike, at: ArrayLike) -> Array:
    """Poses (n, 4, 4) at the times ``at`` (n,), between those given (N, 4, 4) at ``times`` (N,), ascending.

    Positions follow a monotone cubic (Fritsch and Butland 1984), which does not swing past a body that came to rest;
    rotations turn at a constant rate between two poses (slerp). Outside, the first or last pose holds.
    """
    t, poses, a = (np.asarray(x, np.float64) for x in (times, T, at))
    _check(t, len(poses))
    a = np.clip(a, t[0], t[-1])
    out = np.broadcast_to(poses[0], (len(a), 4, 4)).copy()
    if len(t) > 1:
        out[:, :3, 3] = PchipInterpolator(t, poses[:, :3, 3])(a)
        out[:, :3, :3] = Slerp(t, Rotation.from_matrix(poses[:, :3, :3]))(a).as_matrix()
    return out


def _check(times: Array, count: int) -> None:
    if times.ndim != 1 or len(times) != count or count == 0:
        raise ValueError(f"{times.shape} times were given for {count} values")
    if np.any(np.diff(times) <= 0):
        raise ValueError("times must be ascending")

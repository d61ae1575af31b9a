"""The state of a scene between two steps of the physics."""

from __future__ import annotations

from bisect import bisect_right

import numpy as np

from simgen.geometry import Array, quaternion_from_axis_angle, quaternion_from_rotation, rotation_from_quaternion
from simgen.scene.state import BodyState, SceneState, Simulation

_EXACT = 1e-6
"""Share of a step that counts as none: times and steps are not the same number to the last bit."""


def state_at(simulation: Simulation, time: float, like: SceneState | None = None) -> SceneState:
    """The state at ``time``, between those of ``simulation.track``.

    Positions go evenly from step to step, as the physics moves them, and rotations turn at a steady rate. Before the
    first step, when everything is still at rest, and after the last, the nearest holds. The bodies are those that are
    there in ``like`` (default: at the step before). Raises KeyError when there is no track.
    """
    track = simulation.track
    if not track:
        raise KeyError(time)
    after = bisect_right([state.time for state in track], time)
    if after in (0, len(track)):
        a = b = track[max(after - 1, 0)]
        share = 0.0
    else:
        a, b = track[after - 1], track[after]
        share = (time - a.time) / (b.time - a.time)
        share = 0.0 if share < _EXACT else 1.0 if share > 1 - _EXACT else share
    like = like or a
    bodies = [
        None if here is None else _between(first or second or here, second or first or here, share)
        for here, first, second in zip(like.bodies, a.bodies, b.bodies, strict=True)
    ]
    return SceneState(time, tuple(bodies))


def _between(a: BodyState, b: BodyState, share: float) -> BodyState:
    if share == 0 or a is b:
        return a
    if share == 1:
        return b
    return BodyState(
        _pose_between(a.T_world_obj, b.T_world_obj, share),
        a.linear_velocity + share * (b.linear_velocity - a.linear_velocity),
        a.angular_velocity + share * (b.angular_velocity - a.angular_velocity),
        {name: _pose_between(T, b.links[name], share) for name, T in a.links.items()},
    )


def _pose_between(A: Array, B: Array, share: float) -> Array:
    if np.array_equal(A, B):
        return A
    T = np.eye(4)
    T[:3, 3] = A[:3, 3] + share * (B[:3, 3] - A[:3, 3])
    q = quaternion_from_rotation(A[:3, :3].T @ B[:3, :3])
    sine = float(np.linalg.norm(q[:3]))
    T[:3, :3] = A[:3, :3]
    if sine > 0:
        angle = 2 * np.arctan2(sine, q[3]) * share
        T[:3, :3] = A[:3, :3] @ rotation_from_quaternion(quaternion_from_axis_angle(q[:3], angle))
    return T

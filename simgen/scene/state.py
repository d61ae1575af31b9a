"""What simulation gives: where everything is at each captured time, and the traces between."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class BodyState:
    """A body at one time, in the world frame.

    ``T_world_obj`` (4, 4) is the asset's frame. ``links`` gives ``T_world_link`` (4, 4) by link name for articulated
    bodies (the base link included). Velocities (3,) are of the frame's origin, m/s and rad/s.
    """

    T_world_obj: NDArray[np.float64]
    linear_velocity: NDArray[np.float64]
    angular_velocity: NDArray[np.float64]
    links: dict[str, NDArray[np.float64]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class SceneState:
    """All bodies at one time (seconds after settling), in the order of ``record.bodies``; None: removed."""

    time: float
    bodies: tuple[BodyState | None, ...]


@dataclass(frozen=True, eq=False)
class Trace:
    """A sensor's readings on the scene clock: ``time`` (n,) seconds, ``value`` (n, len(columns)) float64.

    ``columns`` and ``units`` name each column; ``units`` has as many entries as ``columns``.
    """

    time: NDArray[np.float64]
    value: NDArray[np.float64]
    columns: tuple[str, ...]
    units: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class LinkMotion:
    """How a link moved: ``T_world_link`` (n, 4, 4) and the velocities (n, 3) of its origin, m/s and rad/s.

    ``n`` is less than that of the times when its body was removed.
    """

    T_world_link: NDArray[np.float64]
    linear_velocity: NDArray[np.float64]
    angular_velocity: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Motion:
    """What the sensors of a record measure, exactly, at every step of the physics: ``time`` (n,) seconds.

    ``links`` are by body and link ("": the asset's frame). ``joints`` are the positions (n, J) of all joints that move,
    by body, with their names. ``wrenches`` (n, 6), by body and joint, are the force in N and the torque in N m with
    which a joint holds what is beyond it, in the frame of the link beyond. ``contacts`` (n, 5), by body and link, are
    the net force in N, in the frame of the link, of all that touches it, the sum of the normal forces in N, and the
    number of points. ``states`` are those at which lidars begin
    their scans, ascending.
    """

    time: NDArray[np.float64]
    links: dict[tuple[str, str], LinkMotion]
    joints: dict[str, tuple[tuple[str, ...], NDArray[np.float64]]]
    wrenches: dict[tuple[str, str], NDArray[np.float64]]
    states: tuple[SceneState, ...]
    contacts: dict[tuple[str, str], NDArray[np.float64]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Simulation:
    """States at the distinct capture times of the record's frames (ascending), traces by name, and what went wrong.

    ``removed`` maps the name of each body that was taken out to the reason ("fell off the world", "did not settle:
    0.31 m/s", "exploded"). ``settled`` is False when something was removed for not coming to rest. ``motion`` is there
    when the record has sensors. ``track`` are the states at the steps of the physics around exposures that take time
    (ascending); see ``simgen.scene.between``.
    """

    states: tuple[SceneState, ...]
    traces: dict[str, Trace]
    removed: dict[str, str]
    settle_time: float
    settled: bool = True
    motion: Motion | None = None
    track: tuple[SceneState, ...] = ()

    def at(self, time: float) -> SceneState:
        """The state captured at ``time``; raises KeyError when none was."""
        for state in self.states:
            if state.time == time:
                return state
        raise KeyError(time)

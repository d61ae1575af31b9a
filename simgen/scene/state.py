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
class Simulation:
    """States at the distinct capture times of the record's frames (ascending), traces by name, and what went wrong.

    ``removed`` maps the name of each body that was taken out to the reason ("fell off the world", "did not settle:
    0.31 m/s", "exploded"). ``settled`` is False when something was removed for not coming to rest.
    """

    states: tuple[SceneState, ...]
    traces: dict[str, Trace]
    removed: dict[str, str]
    settle_time: float
    settled: bool = True

    def at(self, time: float) -> SceneState:
        """The state captured at ``time``; raises KeyError when none was."""
        for state in self.states:
            if state.time == time:
                return state
        raise KeyError(time)

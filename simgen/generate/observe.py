"""Sensors beside the cameras: their traces join those of the physics."""

from __future__ import annotations

from dataclasses import replace

from simgen.assets.library import Library
from simgen.render.snapshot import resolve
from simgen.scene.record import SceneRecord
from simgen.scene.state import Simulation


def observe(record: SceneRecord, simulation: Simulation, library: Library) -> Simulation:
    """``simulation`` with the traces of the record's sensors, and without the motion that they were computed from."""
    if simulation.motion is None:
        return simulation
    from simgen.sensors.traces import (
        sensor_traces,  # its splines and filters take longer to import than most scenes need
    )

    scene = resolve(record, library) if any(sensor.lidar is not None for sensor in record.sensors) else None
    taken = sensor_traces(record, simulation.motion, scene)
    return replace(simulation, traces={**simulation.traces, **taken}, motion=None)

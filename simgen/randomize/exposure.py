"""Shutters and apertures: how long each frame is exposed, and what is in focus."""

from __future__ import annotations

import math

import numpy as np

from simgen.randomize.draw import Draw
from simgen.scene.camera_record import ApertureRecord, ShutterRecord
from simgen.scene.definition import CameraDefinition
from simgen.scene.exposure_definition import ShutterDefinition
from simgen.scene.record import CameraRecord, Draws


def shutter(source: str, definition: ShutterDefinition, draw: Draw) -> ShutterRecord | None:
    """The shutter for one frame of the view called ``source``, None for an instant; ``draw`` is that of the frame."""
    if definition.exposure_time is None and definition.readout is None:
        return None
    strength = draw.strengths["sensor"]
    times = [0.0, 0.0]
    for k, key in enumerate(("exposure_time", "readout")):
        distribution = getattr(definition, key)
        if distribution is not None:
            times[k] = strength * float(draw.whole("sensor", f"{source}.{key}", distribution, label=key))
    samples = int(draw.whole("sensor", f"{source}.shutter_samples", definition.samples, label="shutter_samples"))
    return ShutterRecord(times[0], times[1], samples) if any(times) else None


def aperture(
    source: str, definition: CameraDefinition, camera: CameraRecord, placed: Draws, draw: Draw
) -> ApertureRecord | None:
    """The aperture for one frame of the view called ``source``, None for a pinhole; ``draw`` is that of the frame.

    ``camera`` is the placement of ``definition``, and ``placed`` what was drawn for it.
    """
    part = definition.aperture
    if part.f_number is None:
        return None
    strength = draw.strengths["sensor"]
    f_number = float(draw.whole("sensor", f"{source}.f_number", part.f_number, label="f_number"))
    if part.focus is None:
        focus = float(np.linalg.norm(np.subtract(camera.pose.position, placed["camera"]["target"])))
    else:
        focus = float(draw.whole("sensor", f"{source}.focus", part.focus, label="focus"))
    error = float(draw.whole("sensor", f"{source}.focus_error", part.focus_error, label="focus_error"))
    samples = int(draw.whole("sensor", f"{source}.aperture_samples", part.samples, label="aperture_samples"))
    turn = 2 * math.pi * draw.uniforms("sensor", f"{source}.aperture_turn", 1, 1)[0][0]
    focal = camera.fx / camera.width * definition.sensor_width_mm / 1000
    diameter = strength * focal / f_number
    focus *= 1 + strength * error
    draw.note("sensor", "focus", focus)
    draw.note("sensor", "aperture_turn", turn)
    return ApertureRecord(diameter, focus, samples, turn) if diameter > 0 else None

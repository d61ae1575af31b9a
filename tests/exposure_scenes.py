"""Boxes that move as they are told to before a camera at the origin, without physics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from simgen.assets.library import Library
from simgen.generate.compose import composer
from simgen.generate.pipeline import compute_frames
from simgen.generate.take import Take
from simgen.labels.frame import Frame
from simgen.render import create
from simgen.render.snapshot import resolve
from simgen.scene.record import (
    BodyRecord,
    CameraRecord,
    EnvironmentRecord,
    FrameRecord,
    MaterialRecord,
    Pose,
    SceneRecord,
    SensorRecord,
    WorldRecord,
)
from simgen.scene.state import BodyState, SceneState, Simulation

WIDTH, HEIGHT, F = 160, 120, 150.0
LIBRARY = Library()
RENDERER = create()
STEP = 1 / 240

Motion = Callable[[float], Sequence[np.ndarray]]


def camera(**changes: Any) -> CameraRecord:
    """At the origin, looking along z; x and y of the world are those of the image."""
    given: dict[str, Any] = {
        "name": "main", "width": WIDTH, "height": HEIGHT, "fx": F, "fy": F, "cx": (WIDTH - 1) / 2,
        "cy": (HEIGHT - 1) / 2, "pose": Pose(),
    }  # fmt: skip
    return CameraRecord(**(given | changes))


def frame(time: float = 0.0, cam: CameraRecord | None = None, **changes: Any) -> FrameRecord:
    return FrameRecord(0, time, cam or camera(), changes.pop("sensor", SensorRecord()), **changes)


def boxes(sizes: Sequence[tuple[float, float, float]], *frames: FrameRecord, **changes: Any) -> SceneRecord:
    """White boxes of these extents in metres under even light, in front of nothing."""
    white = MaterialRecord(base_color=(0.8, 0.8, 0.8), roughness=1.0)
    bodies = tuple(
        BodyRecord(f"box{k}", "primitive/box", "object", "g", Pose(), "box", scale=size, material=white)
        for k, size in enumerate(sizes)
    )
    dark = EnvironmentRecord(color=(1.0, 1.0, 1.0), background="color", background_color=(0.0, 0.0, 0.0))
    return SceneRecord("test", 0, 0, WorldRecord(timestep=STEP), bodies, (), dark, frames, **changes)


def moving(record: SceneRecord, motion: Motion) -> Simulation:
    """What physics would say if things moved by ``motion``: time -> ``T_world_obj`` of each body."""
    still = np.zeros(3)

    def state(time: float) -> SceneState:
        return SceneState(time, tuple(BodyState(T, still, still) for T in motion(time)))

    times = sorted({one.time for one in record.frames})
    reach = max((one.shutter.span / 2 for one in record.frames if one.shutter), default=0.0)
    first, last = np.floor((times[0] - reach) / STEP), np.ceil((times[-1] + reach) / STEP)
    track = tuple(state(k * STEP) for k in range(int(first), int(last) + 1))
    return Simulation(tuple(state(time) for time in times), {}, {}, 0.0, track=track)


def see(record: SceneRecord, motion: Motion, *passes: str) -> list[Frame]:
    return list(compute_frames(record, moving(record, motion), LIBRARY, RENDERER, passes, {"box": 1}))


def light(record: SceneRecord, motion: Motion, place: int = 0) -> np.ndarray:
    """Linear colour (H, W, 3) of a frame, before any sensor."""
    taken = Take(resolve(record, LIBRARY), moving(record, motion), place)
    return composer(RENDERER, taken).render("colour", ["rgb"])["rgb"].astype(np.float64)


def at(x: float, y: float, z: float, turn: float = 0.0) -> np.ndarray:
    """A pose turned about the camera's axis."""
    T = np.eye(4)
    c, s = np.cos(turn), np.sin(turn)
    T[:2, :2] = [[c, -s], [s, c]]
    T[:3, 3] = x, y, z
    return T

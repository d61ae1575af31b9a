"""One frame to take: where everything is at any time of its exposure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from simgen.render.base import Snapshot
from simgen.render.snapshot import ResolvedScene, cam_from_obj, camera_at, snapshot
from simgen.scene.between import state_at
from simgen.scene.camera_record import ShutterRecord
from simgen.scene.record import CameraRecord, FrameRecord
from simgen.scene.state import SceneState, Simulation
from simgen.sensors.camera import Exposure, exposure_of

FLOW = ("flow_forward", "flow_backward")


@dataclass(frozen=True, eq=False)
class Take:
    """Frame number ``place`` of a simulated scene."""

    scene: ResolvedScene
    simulation: Simulation
    place: int

    @property
    def frame(self) -> FrameRecord:
        """The frame."""
        return self.scene.record.frames[self.place]

    @property
    def shutter(self) -> ShutterRecord:
        """Its shutter."""
        return self.frame.shutter or ShutterRecord()

    @property
    def composed(self) -> bool:
        """Whether it may take more than one instant of a pinhole camera."""
        return self.shutter.span > 0 or (self.frame.aperture is not None and self.frame.aperture.diameter > 0)

    @cached_property
    def exposure(self) -> Exposure:
        """What there is to render for it."""
        return exposure_of(self.frame)

    @cached_property
    def state(self) -> SceneState:
        """Where everything is at the time of the frame."""
        return self._state(self.frame, 0.0, None)

    def shoot(
        self, camera: CameraRecord, passes: Sequence[str] = (), ahead: float = 0.0
    ) -> Callable[[float], Snapshot]:
        """The snapshot by ``camera`` at a time from that of the frame, with its neighbours in time for flow ``passes``.

        The neighbouring frames are seen at the same time from theirs, and ``ahead`` seconds later.
        """
        before, after = (self._neighbour(-1), self._neighbour(1)) if set(passes) & set(FLOW) else (None, None)
        frame = replace(self.frame, camera=camera)

        def at(offset: float) -> Snapshot:
            state = self.state if offset == 0 else self._state(self.frame, offset, self.state)
            moments = [
                None if f is None or name not in passes else (self._state(f, offset + ahead, self.state), f)
                for f, name in ((before, "flow_backward"), (after, "flow_forward"))
            ]
            return snapshot(self.scene, state, frame, *moments)

        return at

    def poses(self, offsets: Sequence[float], bodies: Sequence[int]) -> NDArray[np.float64]:
        """``T_cam_obj`` (n, K, 4, 4) of ``bodies`` at times from that of the frame."""
        out = np.zeros((len(offsets), len(bodies), 4, 4))
        for n, offset in enumerate(offsets):
            state = self._state(self.frame, offset, self.state)
            camera = camera_at(self.scene.record, state, self.frame.camera)
            for k, body in enumerate(bodies):
                where = state.bodies[body]
                assert where is not None  # those of the object table are there throughout
                out[n, k] = cam_from_obj(camera, where.T_world_obj)
        return out

    def beside(self, direction: int) -> Take | None:
        """The take of the next frame (1) or the one before (-1) of the same view; None when there is none."""
        frame = self._neighbour(direction)
        if frame is None:
            return None
        place = next(k for k, other in enumerate(self.scene.record.frames) if other is frame)
        return Take(self.scene, self.simulation, place)

    def readout_of(self, name: str) -> float:
        """Seconds that the neighbouring frame of a flow pass takes from its first row to its last."""
        frame = self._neighbour(1 if name == "flow_forward" else -1)
        return 0.0 if frame is None or frame.shutter is None else frame.shutter.readout

    def _neighbour(self, direction: int) -> FrameRecord | None:
        """The next frame (1) or the one before (-1) of the same view."""
        time = self.frame.time
        others = [f for f in self.scene.record.frames if f.view == self.frame.view and (f.time - time) * direction > 0]
        return min(others, key=lambda f: abs(f.time - time), default=None)

    def _state(self, frame: FrameRecord, offset: float, like: SceneState | None) -> SceneState:
        if frame.shutter is None or frame.shutter.span == 0:
            return self.simulation.at(frame.time)
        return state_at(self.simulation, frame.time + offset, like)

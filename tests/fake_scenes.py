"""Scenes without physics or rendering: frames of random but consistent images, for tests of files and workers."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from simgen.config import RenderConfig, frames_per_scene
from simgen.errors import AssetError
from simgen.generate.source import Facts
from simgen.labels.frame import Frame, ObjectTable
from simgen.rng import stream
from simgen.scene.record import (
    BodyRecord,
    CameraRecord,
    EnvironmentRecord,
    FrameRecord,
    Pose,
    SceneRecord,
    SensorRecord,
    WorldRecord,
)
from simgen.scene.state import SceneState, Simulation, Trace

WIDTH, HEIGHT = 64, 48


def make_record(seed: int, scene: int, frames: int = 4) -> SceneRecord:
    rng = stream(seed, scene, "fake")
    count = int(rng.integers(0, 4))
    bodies = tuple(
        BodyRecord(f"body{k}", f"asset{k}", "object", "g", Pose(tuple(rng.normal(size=3).tolist())), "thing")
        for k in range(count)
    )
    camera = CameraRecord("main", WIDTH, HEIGHT, 60.0, 60.0, 31.5, 23.5, Pose())
    drawn = {
        "lighting": {"count": count, "intensity": rng.normal(size=count).tolist(), "kind": ["sun", "spot"][scene % 2]},
        "textures": {"names": [f"t{k}" for k in range(count)], "tint": rng.random((count, 3)).tolist()},
    }
    views = tuple(
        FrameRecord(
            v, 0.25 * v, camera, SensorRecord(), {"sensor": {"exposure": float(rng.normal()), "on": v % 2 == 0}}
        )
        for v in range(frames)
    )
    return SceneRecord(
        "fake", seed, scene, WorldRecord(), bodies, (), EnvironmentRecord(color=(1, 1, 1)), views, draws=drawn
    )


def make_simulation(record: SceneRecord) -> Simulation:
    rng = stream(record.seed, record.scene, "trace")
    n = 5
    traces = {
        "imu": Trace(np.arange(n) / 60, rng.normal(size=(n, 2)), ("ax", "ay"), ("m/s^2", "m/s^2")),
        "pose": Trace(
            np.arange(n) / 60,
            rng.normal(size=(n, len(record.bodies))),
            tuple(b.name for b in record.bodies),
            ("m",) * len(record.bodies),
        ),
    }
    states = tuple(SceneState(f.time, ()) for f in record.frames)
    return Simulation(states, traces, {"gone": "fell off the world"} if record.scene % 3 == 1 else {}, 0.5)


def make_frame(record: SceneRecord, n: int, index: int) -> Frame:
    rng = stream(record.seed, record.scene, "image", n)
    k = len(record.bodies)
    instance = np.zeros((HEIGHT, WIDTH), np.uint16)
    for i in range(k):
        y, x = rng.integers(0, HEIGHT - 12), rng.integers(0, WIDTH - 12)
        instance[y : y + 12, x : x + 12] = i + 1
    masks = [instance == i + 1 for i in range(k)]
    boxes = np.array([_box(mask) for mask in masks], np.int32).reshape(k, 4)
    pixels = np.array([mask.sum() for mask in masks], np.int32)
    normal = rng.normal(size=(HEIGHT, WIDTH, 3)).astype(np.float32)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    normal[instance == 0] = 0
    T = np.tile(np.eye(4), (k, 1, 1)) + rng.normal(size=(k, 4, 4))
    images = {
        "rgb": rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8),
        "depth": rng.random((HEIGHT, WIDTH), np.float32),
        "instance": instance,
        "semantic": (instance > 0).astype(np.uint16),
        "normal": normal,
        "flow_forward": rng.normal(size=(HEIGHT, WIDTH, 2)).astype(np.float32),
        "reflectance": rng.random((HEIGHT, WIDTH)).astype(np.float16),
    }
    objects = ObjectTable(
        body=np.arange(k, dtype=np.int32),
        instance_id=np.arange(1, k + 1, dtype=np.uint16),
        category_id=np.ones(k, np.uint16),
        asset=tuple(b.asset for b in record.bodies),
        T_cam_obj=T,
        T_world_obj=T + 1,
        size=rng.random((k, 3)).astype(np.float32),
        bbox_visib=boxes,
        bbox_full=boxes,
        visib_fract=(pixels / 144).astype(np.float32),
        truncated=np.zeros(k, np.float32),
        px_visib=pixels,
        px_full=np.full(k, 144, np.int32),
        mask_full=tuple(rng.bytes(int(rng.integers(1, 9))) for _ in range(k)),
        center=np.linspace(-1, 1, 3 * k, dtype=np.float32).reshape(k, 3),
    )
    view = record.frames[n]
    drawn = {factor: dict(values) for factor, values in record.draws.items()}
    drawn["sensor"] = dict(view.draws["sensor"])
    if n == 1:
        drawn["sensor"]["rare"] = "only here"
    return Frame(
        index, record.scene, n, view.time, "main", images, np.eye(3) * 60, np.zeros(5), np.eye(4) + n, objects, drawn
    )


def _box(mask: np.ndarray) -> list[int]:
    ys, xs = np.nonzero(mask)
    if len(ys) == 0:
        return [0, 0, 0, 0]
    return [xs.min(), ys.min(), xs.max() - xs.min() + 1, ys.max() - ys.min() + 1]


class FakeSource:
    """A source of such scenes. ``config.assets.path[0]`` may name a folder of traps, files called WHAT-SCENE:

    kill (dies of SIGKILL once), die (every time), hang (for minutes), error (of the user's), fault (of the program's),
    full (a full disk) and restless (it does not settle) when the scene is drawn; and slow, which makes all scenes take
    a fifth of a second.
    """

    def __init__(self, config: RenderConfig) -> None:
        self.config = config
        self.traps = Path(config.assets.path[0]) if config.assets.path else None
        if self.traps is not None and (self.traps / "closed").exists():
            raise AssetError("there are no assets")
        assets = self.traps / "assets" if self.traps else Path("/nonexistent")
        self.facts = Facts(
            "raster",
            "cpu",
            ("rgb", "depth", "instance", "semantic", "normal", "flow_forward"),
            ("thing",),
            assets.read_text() if assets.exists() else "none",
        )

    def scene(self, scene: int) -> tuple[SceneRecord, Simulation]:
        if self.traps is not None:
            self._spring(scene)
        record = make_record(self.config.seed, scene, frames_per_scene(self.config))
        simulation = make_simulation(record)
        restless = self.traps is not None and (self.traps / f"restless-{scene}").exists()
        return record, replace(simulation, settled=not restless)

    def simulate(self, record: SceneRecord) -> Simulation:
        return make_simulation(record)

    def frames(self, record: SceneRecord, simulation: Simulation, wanted: Sequence[int]) -> Iterator[Frame]:
        for n in wanted:
            frame = make_frame(record, n, record.scene * len(record.frames) + n)
            yield replace(frame, images={name: frame.images[name] for name in self.facts.passes})

    def complaint(self, record: SceneRecord, simulation: Simulation) -> str:
        return f"scene {record.scene} did not settle"

    def check(self) -> None:
        pass

    def contents(self) -> dict[str, str]:
        """What the file ``contents`` among the traps says."""
        file = self.traps / "contents" if self.traps else Path("/nonexistent")
        return {"meshes": file.read_text()} if file.exists() else {}

    def warm_up(self, tell: Callable[[str], None], helping: bool = False) -> None:
        if self.traps is None:
            return
        (self.traps / f"warm-{os.getpid()}").touch()
        if (self.traps / "compile").exists():  # once: until the help has come
            tell("this takes long")
            while not helping and not (self.traps / "helped").exists():
                time.sleep(0.01)
            (self.traps / "helped").touch()
            if (once := self.traps / f"kill-{'helper' if helping else 'compiler'}").exists():
                once.unlink()
                os.kill(os.getpid(), signal.SIGKILL)

    def close(self) -> None:
        pass

    def _spring(self, scene: int) -> None:
        assert self.traps is not None
        (self.traps / f"drawn-{scene}-by-{os.getpid()}").touch()
        if (self.traps / "slow").exists():
            time.sleep(0.2)
        if (once := self.traps / f"kill-{scene}").exists():
            once.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        if (self.traps / f"die-{scene}").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        if (self.traps / f"hang-{scene}").exists():
            time.sleep(300)
        if (self.traps / f"error-{scene}").exists():
            raise AssetError("the mesh is broken")
        if (self.traps / f"fault-{scene}").exists():
            raise ZeroDivisionError("by chance")
        if (self.traps / f"full-{scene}").exists():
            raise OSError(errno.ENOSPC, "No space left on device", "/scratch/mesh.obj")

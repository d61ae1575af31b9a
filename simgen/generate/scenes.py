"""The scenes of a configuration: what workers compute frames with unless they are told otherwise."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from simgen.assets import noise
from simgen.assets.check import broken
from simgen.assets.contents import contents
from simgen.assets.library import Library, search_paths
from simgen.config import RenderConfig
from simgen.errors import AssetError, several
from simgen.generate.calibration import calibrated
from simgen.generate.observe import observe
from simgen.generate.pipeline import category_ids, compute_frames, draw_scene, resolve_passes
from simgen.generate.source import Facts
from simgen.geometry import transform
from simgen.labels.frame import Frame
from simgen.physics.client import Client
from simgen.physics.simulate import explain, simulate
from simgen.randomize import occupied
from simgen.randomize.depth_sensor import depth_sensor
from simgen.randomize.draw import Draw
from simgen.randomize.names import check_designs
from simgen.randomize.sample import take
from simgen.randomize.sensor import sensor as draw_sensor
from simgen.randomize.used import idle_keypoints, used
from simgen.render import create, raster
from simgen.scene.record import (
    BodyRecord,
    CameraRecord,
    EnvironmentRecord,
    FrameRecord,
    LightRecord,
    MaterialRecord,
    Pose,
    SceneRecord,
    SensorRecord,
    TextureRecord,
    WorldRecord,
)
from simgen.scene.state import BodyState, SceneState, Simulation
from simgen.sensors.camera import at_resolution
from simgen.sensors.remap import RemapCache
from simgen.shards.storing import to_stored

_log = logging.getLogger("simgen")


class SceneSource:
    """Asset library and renderer of ``config``; implements ``simgen.generate.source.Source``.

    Raises AssetError when the library cannot be read, RenderError when the renderer, device or a pass is not to be had.
    """

    def __init__(self, config: RenderConfig) -> None:
        self.config = calibrated(config)
        self.lenses = RemapCache()
        self.client = Client()
        self.library = Library(search_paths(config.assets.path))
        self.renderer = create(config.renderer.name, config.renderer.device)
        self.passes = resolve_passes(config.passes, self.renderer, config.scene)
        self.categories = category_ids(config, self.library)
        self.facts = Facts(
            self.renderer.name,
            self.renderer.device,
            self.passes,
            tuple(self.categories),
            self.library.fingerprint(),
        )

    def scene(self, scene: int) -> tuple[SceneRecord, Simulation]:
        """Draw and simulate a scene."""
        return draw_scene(self.config, self.library, scene, self.renderer, self.lenses, self.client)

    def simulate(self, record: SceneRecord) -> Simulation:
        """Simulate a scene that has been drawn before."""
        return observe(record, simulate(record, self.library, self.client), self.library)

    def frames(self, record: SceneRecord, simulation: Simulation, wanted: Sequence[int]) -> Iterator[Frame]:
        """The frames at the places ``wanted`` of a simulated scene."""
        return compute_frames(
            record, simulation, self.library, self.renderer, self.passes, self.categories, wanted, self.lenses
        )

    def complaint(self, record: SceneRecord, simulation: Simulation) -> str:
        """What had to be removed from a scene that did not settle, and what to change."""
        return explain(simulation, record)

    def check(self) -> None:
        """Raise AssetError for broken files of what scenes may show, ConfigError for designs of draws that none has.

        Templates of keypoints that fit nothing are told.
        """
        wrong = broken(self.library, used(self.config, self.library))
        if wrong:
            count = f"{len(wrong)} assets that this scene may show are broken: " if len(wrong) > 1 else ""
            raise AssetError(count + several(wrong))
        check_designs(self.config, self.library)
        for name in idle_keypoints(self.config, self.library):
            patterns = ", ".join(self.config.scene.keypoints[name].assets)
            _log.warning("scene.keypoints.%s gives no labels: no labelled asset of the scene is %s", name, patterns)

    def contents(self) -> dict[str, str]:
        """Folder at the top of an asset path -> digest of what those of its files hold that scenes may show."""
        return contents(self.library, used(self.config, self.library))

    def warm_up(self, tell: Callable[[str], None] = lambda _: None, helping: bool = False) -> None:
        """Compute small images of a box, without physics and files: this compiles what Numba has to compile.

        ``tell`` is given a sentence beforehand when that takes long; ``helping`` is for a second process meanwhile.
        """
        if self.renderer.name == "raster" and self.renderer.device == "cpu":
            raster.warm_up(lambda: tell("compiling the renderer: about a minute, once for this version"), helping)
        elif self.renderer.name == "raster":
            from simgen.render.cuda.renderer import is_compiled

            if not is_compiled():
                tell("compiling the renderer for the CUDA device: about a minute, once for this version")
        noise.warm_up()
        occupied.warm_up()
        record, simulation = _box(self.config)
        library = Library()
        passes = [name for name in self.passes if name != "rgb"] if helping else self.passes
        for frame in compute_frames(record, simulation, library, self.renderer, passes, {"box": 1}):
            for name, image in frame.images.items():
                to_stored(name, image)

    def close(self) -> None:
        """Free what the renderer and PyBullet hold."""
        self.renderer.close()
        self.client.close()


def _box(config: RenderConfig) -> tuple[SceneRecord, Simulation]:
    """A textured box in two places under a light, seen small by each camera with its lens and sensors."""
    texture = MaterialRecord(TextureRecord(kind="checker", colors=((0.1, 0.1, 0.1), (0.9, 0.9, 0.9))))
    box = BodyRecord("box", "primitive/box", "object", "box", Pose(), "box", material=texture)
    camera = CameraRecord("main", 32, 24, 30.0, 30.0, 15.5, 11.5, Pose((0.0, 0.0, -2.0)))
    # Noisy sensors, since ideal ones skip steps; one that mixes channels takes others than one that does not.
    sensor = SensorRecord(auto_exposure=0.18, full_well=5000.0, read_noise=4.0)
    frames = [FrameRecord(0, 0.0, camera, sensor), FrameRecord(0, 0.1, camera, replace(sensor, saturation=0.9))]
    frames += _looks(config, camera)
    sun = LightRecord("directional", direction=(0.6, 0.0, 0.8), size=0.01)
    record = SceneRecord(
        "warm-up", 0, 0, WorldRecord(), (box,), (sun,), EnvironmentRecord(color=(1.0, 1.0, 1.0)), tuple(frames)
    )
    still = np.zeros(3)
    states = tuple(
        SceneState(time, (BodyState(transform((time, 0.0, 0.0)), still, still),)) for time in (0.0, 0.1)
    )  # fmt: skip
    return record, Simulation(states, {}, {}, 0.0)


def _looks(config: RenderConfig, before: CameraRecord) -> list[FrameRecord]:
    """A frame by each camera of ``config`` from where ``before`` is: its lens, colour and depth sensor, as first drawn.

    Small images, through the same kernels as large ones.
    """
    draw = Draw(config.randomize.strengths(), config.seed, 0)
    frames = []
    view = 0
    for name, part in config.scene.cameras.items():
        own = take(config, config.seed, 0, view)
        small = at_resolution(own, before.width / max(own.width, own.height))
        where = replace(small, pose=before.pose, body=None, link=None, travel=None, mount=None, near=0.01, far=100.0)
        taking = draw.at(0, 0)
        look = draw_sensor(f"{name}.0", name, config.scene.sensor, taking, draw)
        depth = depth_sensor(f"{name}.0", part.depth_sensor, taking) if part.depth_sensor.given else None
        frames.append(FrameRecord(view + 1, 0.0, where, look, depth_sensor=depth))
        view += config.scene.views_of(name)
    return frames

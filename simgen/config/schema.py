"""The settings of the main job."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from simgen.errors import ConfigError, near_match
from simgen.scene.definition import SceneDefinition
from simgen.scene.definition import check as check_scene
from simgen.scene.fields import number, word

PASSES = (
    "rgb",
    "depth",
    "depth_sensor",
    "instance",
    "semantic",
    "normal",
    "object_coords",
    "flow_forward",
    "flow_backward",
    "flow_forward_valid",
    "flow_backward_valid",
    "scene_flow_forward",
    "scene_flow_backward",
    "part",
)
LARGEST_SIDE = 16384
LARGEST_IMAGE = 100_000_000
"""Pixels."""


@dataclass
class RendererConfig:
    """Which renderer computes, and on what."""

    name: str = word("auto", "auto", "raster", "tiny")
    device: str = "auto"


@dataclass
class ImageConfig:
    """Image size in pixels."""

    width: int = number(640, low=1, high=LARGEST_SIDE)
    height: int = number(480, low=1, high=LARGEST_SIDE)


@dataclass
class AssetsConfig:
    """Folders that are searched for assets, beside what comes with pip."""

    path: list[str] = field(default_factory=list)


@dataclass
class DesignedDraws:
    """The draws that have each design: names or globs, as ``radius`` or ``main.radius``; the first that fits counts."""

    random: list[str] = field(default_factory=list)
    stratified: list[str] = field(default_factory=list)
    latin_hypercube: list[str] = field(default_factory=list)
    sobol: list[str] = field(default_factory=list)


@dataclass
class FactorConfig:
    """The knob of a factor; not ``enabled`` is the same as ``strength`` 0.

    ``design`` says how evenly its draws cover what they are drawn from (simgen.randomize.design); ``designs`` gives
    single draws another one.
    """

    enabled: bool = True
    strength: float = number(1.0, low=0, high=1)
    design: str = word("random", "random", "stratified", "latin_hypercube", "sobol")
    designs: DesignedDraws = field(default_factory=DesignedDraws)

    @property
    def amount(self) -> float:
        """The strength in force."""
        return self.strength if self.enabled else 0.0


@dataclass
class RandomizeConfig:
    """One knob for each factor."""

    textures: FactorConfig = field(default_factory=FactorConfig)
    materials: FactorConfig = field(default_factory=FactorConfig)
    lighting: FactorConfig = field(default_factory=FactorConfig)
    poses: FactorConfig = field(default_factory=FactorConfig)
    camera: FactorConfig = field(default_factory=FactorConfig)
    background: FactorConfig = field(default_factory=FactorConfig)
    distractors: FactorConfig = field(default_factory=FactorConfig)
    sensor: FactorConfig = field(default_factory=FactorConfig)
    physics: FactorConfig = field(default_factory=FactorConfig)
    content: FactorConfig = field(default_factory=FactorConfig)

    def strengths(self) -> dict[str, float]:
        """Factor -> strength in force."""
        return {knob.name: getattr(self, knob.name).amount for knob in fields(self)}


@dataclass
class OutputConfig:
    """How shards are written."""

    frames_per_shard: Any = "auto"
    compression: str = word("blosc", "blosc", "gzip", "none")
    rgb_codec: str = word("raw", "raw", "png", "jpeg")
    jpeg_quality: int = number(95, low=1, high=100)


@dataclass
class RenderConfig:
    """All settings of ``simgen render``; see ``configs/render.yaml`` for what each does."""

    scene: SceneDefinition = field(default_factory=SceneDefinition)
    out: str = ""
    frames: int = number(100, low=1, high=1_000_000_000)
    seed: int = number(0, low=0, high=2**63 - 1)
    workers: Any = "auto"
    attempts: int = number(3, low=0, high=1000)
    scenes_per_worker: int = number(200, low=1, high=1_000_000_000)
    renderer: RendererConfig = field(default_factory=RendererConfig)
    image: ImageConfig = field(default_factory=ImageConfig)
    passes: Any = "auto"
    assets: AssetsConfig = field(default_factory=AssetsConfig)
    randomize: RandomizeConfig = field(default_factory=RandomizeConfig)
    output: OutputConfig = field(default_factory=OutputConfig)


def frames_per_scene(config: RenderConfig) -> int:
    """Images of each scene: all views at all times."""
    return config.scene.views * config.scene.time.frames


def validate(config: RenderConfig) -> None:
    """Raise ConfigError where settings that are each well formed make no sense together."""
    _validate_auto_or_count("workers", config.workers)
    _validate_auto_or_count("output.frames_per_shard", config.output.frames_per_shard)
    if config.image.width * config.image.height > LARGEST_IMAGE:
        raise ConfigError(
            f"image.width x image.height is {config.image.width}x{config.image.height}, more than "
            f"{LARGEST_IMAGE // 1_000_000} megapixels; make it smaller."
        )
    _validate_passes(config.passes)
    check_scene(config.scene)
    _validate_motion(config)


def _validate_auto_or_count(key: str, value: object) -> None:
    if value != "auto" and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ConfigError(f'{key} must be "auto" or a whole number of at least 1, not {value!r}.')


def _validate_motion(config: RenderConfig) -> None:
    asked = [name for name in config.passes if name.startswith("scene_flow") or name.endswith("_valid")]
    for name, camera in config.scene.cameras.items():
        readout = camera.shutter.readout
        if asked and readout is not None and any(readout.outcomes):
            raise ConfigError(
                f"passes: {asked[0]} is not defined where each row has its own time; leave it, or "
                f"scene.cameras.{name}.shutter.readout."
            )


def _validate_passes(passes: object) -> None:
    if passes == "auto":
        return
    if not isinstance(passes, list | tuple) or not passes:
        raise ConfigError(f'passes must be "auto" or a list of {", ".join(PASSES)}, not {passes!r}.')
    for k, name in enumerate(passes):
        if name not in PASSES:
            hint = near_match(str(name), PASSES)
            raise ConfigError(f"passes: there is no pass {name!r}{hint}; there are {', '.join(PASSES)}.")
        if name in passes[:k]:
            raise ConfigError(f"passes lists {name} twice.")

"""Settings: composed by Hydra, checked, and as plain data."""

from simgen.config.compose import Entry, from_hydra, load, register, scene_file, scene_override, single
from simgen.config.explain import explain
from simgen.config.files import data_dir, scene_names
from simgen.config.plain import from_plain, to_plain
from simgen.config.schema import (
    PASSES,
    AssetsConfig,
    FactorConfig,
    ImageConfig,
    OutputConfig,
    RandomizeConfig,
    RenderConfig,
    RendererConfig,
    frames_per_scene,
    validate,
)

__all__ = [
    "PASSES",
    "AssetsConfig",
    "Entry",
    "FactorConfig",
    "ImageConfig",
    "OutputConfig",
    "RandomizeConfig",
    "RenderConfig",
    "RendererConfig",
    "data_dir",
    "explain",
    "frames_per_scene",
    "from_hydra",
    "from_plain",
    "load",
    "register",
    "scene_file",
    "scene_names",
    "scene_override",
    "single",
    "to_plain",
    "validate",
]

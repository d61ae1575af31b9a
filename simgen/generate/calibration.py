"""Real cameras in scene definitions: calibration files become intrinsics and distortion."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from simgen.config import RenderConfig
from simgen.distributions import Constant
from simgen.errors import ConfigError
from simgen.scene.definition import CameraDefinition
from simgen.scene.sensor_definition import DistortionDefinition, Intrinsics
from simgen.sensors.calibration import load_calibration
from simgen.sensors.lens import COEFFICIENTS, Lens


def calibrated(config: RenderConfig) -> RenderConfig:
    """``config`` with what calibration files say in the place of their names; itself when it names none.

    Paths are relative to the working directory. Raises ConfigError for a file that is missing or no calibration.
    """
    if all(camera.calibration is None for camera in config.scene.cameras.values()):
        return config
    size = (config.image.width, config.image.height)
    cameras = {
        name: camera if camera.calibration is None else _calibrated(camera, camera.calibration, size)
        for name, camera in config.scene.cameras.items()
    }
    return replace(config, scene=replace(config.scene, cameras=cameras))


def _calibrated(camera: CameraDefinition, file: str, size: tuple[int, int]) -> CameraDefinition:
    lens = _load(Path(file).expanduser(), size)
    given = dict(zip(COEFFICIENTS[lens.model], lens.distortion, strict=False))
    coefficients: dict[str, Any] = {key: Constant(value) for key, value in given.items()}
    return replace(
        camera,
        calibration=None,
        intrinsics=Intrinsics(lens.width, lens.height, lens.fx, lens.fy, lens.cx, lens.cy),
        distortion=DistortionDefinition(model=lens.model, **coefficients),
    )


def _load(path: Path, size: tuple[int, int]) -> Lens:
    try:
        return load_calibration(path)
    except ConfigError:
        # Most likely it does not tell the size of its images: then they are taken to be of the size asked for.
        return load_calibration(path, *size)

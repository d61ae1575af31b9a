"""Reading the calibration of a real camera.

Three kinds of file are understood: OpenCV's FileStorage in YAML or JSON (as written by its calibration sample or by
``cv2.FileStorage``), and ROS's ``camera_info`` YAML (as written by ``camera_calibration``, or a dumped
``sensor_msgs/CameraInfo``).
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import yaml  # type: ignore[import-untyped]
from numpy.typing import NDArray

from simgen.errors import ConfigError
from simgen.sensors.lens import COEFFICIENTS, Lens, Model, model_parameters

# Names in use, in lower case and without separators.
_MATRIX = ("cameramatrix", "k", "intrinsicmatrix", "intrinsics", "cameramatrix1", "m1")
_DISTORTION = ("distortioncoefficients", "distcoeffs", "d", "distcoeff", "distortion", "distcoeffs1", "d1")
_WIDTH = ("imagewidth", "width")
_HEIGHT = ("imageheight", "height")
_SIZE = ("imagesize", "size", "resolution")
_MODEL = ("distortionmodel", "cameramodel", "model")
_FISHEYE = ("fisheyemodel", "fisheye")

_MODELS: dict[str, Model] = {
    "plumbbob": "radial_tangential",
    "radtan": "radial_tangential",
    "radialtangential": "radial_tangential",
    "brown": "radial_tangential",
    "pinhole": "radial_tangential",
    "opencv": "radial_tangential",
    "none": "radial_tangential",
    "rationalpolynomial": "radial_tangential",
    "equidistant": "fisheye",
    "fisheye": "fisheye",
    "kannalabrandt4": "fisheye",
    "kannalabrandt": "fisheye",
    "opencvfisheye": "fisheye",
}


def load_calibration(path: str | Path, width: int | None = None, height: int | None = None) -> Lens:
    """The camera in a calibration file: size, K, model and distortion.

    ``width`` and ``height`` are for files that do not tell the image size, and must agree with those that do. Raises
    ConfigError when the file is missing, not of a known kind, incomplete or describes a camera that cannot be.
    """
    path = Path(path)
    fields = _fields(path)
    size = _find(fields, _SIZE)
    if size is not None:
        size = _numbers(path, "image size", size, 2)
    w = _integer(path, "image_width", _find(fields, _WIDTH), None if size is None else size[0], width)
    h = _integer(path, "image_height", _find(fields, _HEIGHT), None if size is None else size[1], height)

    matrix = _find(fields, _MATRIX)
    if matrix is None:
        raise ConfigError(f"{path}: no camera matrix found; expected a key such as camera_matrix or K")
    K = _numbers(path, "camera matrix", matrix, 9).reshape(3, 3)
    if K[0, 0] <= 0 or K[1, 1] <= 0 or not np.allclose(K[2], (0, 0, 1)) or K[1, 0] != 0:
        raise ConfigError(
            f"{path}: the camera matrix {K.tolist()} is not of the form [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]"
        )
    if abs(K[0, 1]) > 1e-9 * K[0, 0]:
        raise ConfigError(f"{path}: the camera matrix has skew {K[0, 1]:g}, which is not supported; calibrate without")

    given = _find(fields, _DISTORTION)
    d = np.zeros(0) if given is None else _numbers(path, "distortion coefficients", given, None)
    model = _model(path, fields, d)
    count = len(COEFFICIENTS[model])
    if np.any(d[count:]):
        raise ConfigError(
            f"{path}: {d.size} distortion coefficients, but {model} has {count} ({', '.join(COEFFICIENTS[model])}); "
            "calibrate without the rational, thin prism and tilted models"
        )
    d = d[:count]
    model_parameters(d, model)
    fx, fy, cx, cy = (float(v) for v in (K[0, 0], K[1, 1], K[0, 2], K[1, 2]))
    return Lens(w, h, fx, fy, cx, cy, model, tuple(float(v) for v in d))


def _fields(path: Path) -> dict[str, Any]:
    """The top level of a file as a mapping from normalized names."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such calibration file; check the path") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as text ({error})") from None
    if text.lstrip().startswith("<?xml"):
        raise ConfigError(f"{path}: XML calibrations are not read; save the cv2.FileStorage as .yaml or .json")
    try:
        if text.lstrip().startswith("{"):
            tree = json.loads(text)
        else:
            # OpenCV writes "%YAML:1.0", which is no valid YAML directive.
            lines = [line for line in text.splitlines() if not line.startswith("%YAML")]
            tree = yaml.load("\n".join(lines), Loader=_Loader)
    except (json.JSONDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: not valid YAML or JSON ({' '.join(str(error).split())})") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: holds no calibration: expected keys such as camera_matrix at its top level")
    return {_normal(str(key)): value for key, value in tree.items()}


class _Loader(yaml.SafeLoader):
    """Safe YAML that also knows OpenCV's matrices."""


_Loader.add_constructor(
    "tag:yaml.org,2002:opencv-matrix", lambda loader, node: loader.construct_mapping(node, deep=True)
)


def _normal(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")


def _find(fields: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((fields[name] for name in names if fields.get(name) is not None), None)


def _numbers(path: Path, what: str, value: Any, count: int | None) -> NDArray[np.float64]:
    """The entries of a matrix given as {data: [...]}, a nested list or a list."""
    data = value.get("data") if isinstance(value, dict) else value
    try:
        numbers = np.asarray(data, np.float64).reshape(-1)
    except (TypeError, ValueError):
        raise ConfigError(f"{path}: the {what} is not a list of numbers") from None
    if count is not None and numbers.size != count:
        raise ConfigError(f"{path}: the {what} has {numbers.size} numbers instead of {count}")
    if not np.isfinite(numbers).all():
        raise ConfigError(f"{path}: the {what} holds a number that is not finite")
    return numbers


def _integer(path: Path, what: str, *candidates: Any) -> int:
    given = [value for value in candidates if value is not None]
    if not given:
        raise ConfigError(f"{path}: does not tell {what}; give the width and height of the calibrated images")
    try:
        numbers = [float(value) for value in given]
    except (TypeError, ValueError):
        raise ConfigError(f"{path}: {what} is {given[0]!r}, not a number") from None
    if not all(math.isfinite(n) and n == int(n) and n > 0 for n in numbers):
        raise ConfigError(f"{path}: {what} is {given[0]!r}, not a positive whole number")
    if len(set(numbers)) > 1:
        raise ConfigError(f"{path}: {what} is {numbers[0]:g} in the file, but {numbers[-1]:g} was asked for")
    return int(numbers[0])


def _model(path: Path, fields: dict[str, Any], d: NDArray[np.float64]) -> Model:
    if _find(fields, _FISHEYE):
        return "fisheye"
    name = _find(fields, _MODEL)
    if name is None or name == "":
        return "radial_tangential"
    known = _MODELS.get(_normal(str(name)))
    if known is None:
        raise ConfigError(f'{path}: distortion model "{name}" is unknown; use plumb_bob or equidistant')
    return known

"""Calibration files as OpenCV and ROS write them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from simgen.errors import ConfigError
from simgen.sensors.calibration import load_calibration
from simgen.sensors.lens import Lens

K = np.array([[525.5, 0, 319.25], [0, 526.25, 240.75], [0, 0, 1]])
RADIAL = (-0.28, 0.09, 1e-3, -5e-4, -0.01)
FISHEYE = (0.01, -0.02, 0.003, -0.0004)

ROS = """
image_width: 640
image_height: 480
camera_name: narrow_stereo
camera_matrix:
  rows: 3
  cols: 3
  data: [525.5, 0., 319.25, 0., 526.25, 240.75, 0., 0., 1.]
distortion_model: {model}
distortion_coefficients:
  rows: 1
  cols: 5
  data: {data}
rectification_matrix:
  rows: 3
  cols: 3
  data: [1., 0., 0., 0., 1., 0., 0., 0., 1.]
projection_matrix:
  rows: 3
  cols: 4
  data: [525.5, 0., 319.25, 0., 0., 526.25, 240.75, 0., 0., 0., 1., 0.]
"""


def expected(model: str = "radial_tangential", d: tuple[float, ...] = RADIAL) -> Lens:
    return Lens(640, 480, 525.5, 526.25, 319.25, 240.75, model, d)  # type: ignore[arg-type]


@pytest.mark.parametrize("ending", ["yaml", "json"])
def test_opencv_file_storage(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"camera.{ending}"
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    storage.write("image_width", 640)
    storage.write("image_height", 480)
    storage.write("camera_matrix", K)
    storage.write("distortion_coefficients", np.array(RADIAL)[:, None])
    storage.release()
    assert load_calibration(path) == expected()


def test_opencv_fisheye_flag_and_size_from_the_caller(tmp_path: Path) -> None:
    path = tmp_path / "camera.yml"
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    storage.write("fisheye_model", 1)
    storage.write("cameraMatrix", K)
    storage.write("distCoeffs", np.array(FISHEYE)[:, None])
    storage.release()
    assert load_calibration(path, 640, 480) == expected("fisheye", FISHEYE)
    with pytest.raises(ConfigError, match="image_width"):
        load_calibration(path)


@pytest.mark.parametrize(
    ("name", "model", "d"),
    [("plumb_bob", "radial_tangential", RADIAL), ("equidistant", "fisheye", FISHEYE)],
)
def test_ros_camera_info(tmp_path: Path, name: str, model: str, d: tuple[float, ...]) -> None:
    path = tmp_path / "ost.yaml"
    path.write_text(ROS.format(model=name, data=list(d)))
    assert load_calibration(path) == expected(model, d)


def test_dumped_ros_message(tmp_path: Path) -> None:
    path = tmp_path / "message.yaml"
    path.write_text(
        f"header:\n  frame_id: camera\nheight: 480\nwidth: 640\ndistortion_model: plumb_bob\n"
        f"d: {list(RADIAL)}\nk: {K.ravel().tolist()}\nr: [1.0]\n"
    )
    assert load_calibration(path) == expected()


def test_rational_model_is_read_when_its_extra_terms_vanish(tmp_path: Path) -> None:
    path = tmp_path / "ost.yaml"
    path.write_text(ROS.format(model="rational_polynomial", data=[*RADIAL, 0.0, 0.0, 0.0]))
    assert load_calibration(path) == expected()
    path.write_text(ROS.format(model="rational_polynomial", data=[*RADIAL, 0.1, 0.0, 0.0]))
    with pytest.raises(ConfigError, match="rational"):
        load_calibration(path)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: [1, 2", "not valid YAML"),
        ("{", "not valid YAML or JSON"),
        ("- 1\n- 2\n", "expected keys"),
        ("<?xml version='1.0'?>", "XML"),
        ("image_width: 640\nimage_height: 480\n", "no camera matrix"),
        ("image_width: 640\nimage_height: 480\nK: [1, 2, 3]\n", "3 numbers instead of 9"),
        ("image_width: 640\nimage_height: 480\nK: [a, b]\n", "not a list of numbers"),
        ("image_width: -2\nimage_height: 480\nK: [1, 2, 3]\n", "positive whole"),
        ("image_width: wide\nimage_height: 480\n", "not a number"),
        (ROS.format(model="spherical", data=[0]), "spherical"),
        (ROS.format(model="plumb_bob", data=[".nan", "0", "0", "0"]).replace("'", ""), "not finite"),
        (ROS.format(model="plumb_bob", data=[0.0]).replace("526.25", "-1.0"), "not of the form"),
        (ROS.format(model="plumb_bob", data=[0.0]).replace("525.5, 0.,", "525.5, 3.,"), "skew"),
    ],
)
def test_what_is_wrong_is_told_with_the_file(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=complaint) as caught:
        load_calibration(path)
    assert str(path) in str(caught.value)


def test_missing_file_and_contradicting_size(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such calibration"):
        load_calibration(tmp_path / "none.yaml")
    path = tmp_path / "ost.yaml"
    path.write_text(ROS.format(model="plumb_bob", data=list(RADIAL)))
    with pytest.raises(ConfigError, match="1280 was asked"):
        load_calibration(path, 1280, 480)

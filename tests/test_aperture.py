"""Depth of field against the formulas of the thin lens."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from exposure_scenes import HEIGHT, WIDTH, F, at, boxes, camera, frame, light, see

from simgen import config
from simgen.config import load
from simgen.generate.pipeline import scene_frames
from simgen.generate.scenes import SceneSource
from simgen.scene.camera_record import ApertureRecord
from simgen.scene.record import MaterialRecord
from simgen.sensors.aperture import blur_diameter, opening_points

DOT = (0.02, 0.02, 0.0005)
COLUMN, ROW = np.arange(WIDTH), np.arange(HEIGHT)


def circle_of_confusion(z: float, focus: float, diameter: float, pixels: float) -> float:
    """Diameter in pixels: similar triangles behind a thin lens whose image plane is ``pixels`` pixels away.

    With the focal length f of any lens that images ``focus`` there: 1/f = 1/focus + 1/v.
    """
    pitch = 1e-5
    v = pixels * pitch
    f = 1 / (1 / focus + 1 / v)
    behind = f * z / (z - f)
    return diameter * abs(behind - v) / behind / pitch


def moments(image: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Sum, mean (x, y) and variance of light."""
    total = image.sum()
    mean = np.array([(image.sum(0) * COLUMN).sum(), (image.sum(1) * ROW).sum()]) / total
    spread = [(image.sum(0) * (COLUMN - mean[0]) ** 2).sum(), (image.sum(1) * (ROW - mean[1]) ** 2).sum()]
    return total, mean, np.array(spread) / total


@pytest.mark.parametrize("z", [0.5, 0.8, 2.0])
def test_the_circle_of_confusion_of_a_dot_is_that_of_the_thin_lens(z: float) -> None:
    focus, diameter = 1.0, 0.09
    lens = ApertureRecord(diameter, focus, samples=64, turn=0.7)
    size = tuple(s * z for s in DOT)
    dot = lambda t: [at(0.1 * z, -0.05 * z, z)]  # noqa: E731
    level = light(boxes([size], frame()), dot)[..., 1].max()
    side = DOT[0] * F * z / (z - size[2] / 2)
    image = light(boxes([size], frame(aperture=lens)), dot)[..., 1]
    blurred = moments(image)
    expected = circle_of_confusion(z, focus, diameter, F)
    assert blur_diameter(lens, F, z) == pytest.approx(expected, rel=1e-6)
    assert blurred[0] == pytest.approx(level * side**2, rel=0.02)
    np.testing.assert_allclose(blurred[1], [(WIDTH - 1) / 2 + 0.1 * F, (HEIGHT - 1) / 2 - 0.05 * F], atol=0.03)
    # The variance of an even disc along an axis is its diameter squared over 16; a square has a twelfth, a pixel, too.
    diameters = np.sqrt(16 * (blurred[2] - side**2 / 12 - 1 / 12))
    np.testing.assert_allclose(diameters, expected, rtol=0.05)
    assert diameters.mean() == pytest.approx(expected, rel=0.02)
    seen = np.flatnonzero(image.sum(0) > 0)
    assert seen[-1] - seen[0] + 1 == pytest.approx(expected + DOT[0] * F, abs=2)


def test_what_is_in_focus_stays_sharp_and_where_it_is() -> None:
    dot = lambda t: [at(0.1, -0.05, 1.0)]  # noqa: E731
    size = (0.05, 0.05, 1e-5)
    sharp = light(boxes([size], frame()), dot)
    focused = light(boxes([size], frame(aperture=ApertureRecord(0.2, 1.0 - size[2] / 2, 16))), dot)
    np.testing.assert_allclose(focused, sharp, atol=0.02)


def test_an_edge_out_of_focus_is_seen_through() -> None:
    """Near an edge in front of what is in focus, that is seen as far as the opening is not covered."""
    diameter, near, far = 0.1, 0.5, 2.0
    lens = ApertureRecord(diameter, far - 0.0005, samples=128)
    # A dark curtain covers the left half from the camera's centre; a white board in focus is behind it, too far to be
    # darkened by it.
    size = (0.3, 0.3, 0.0001)
    record = boxes([size, (4.0, 4.0, 0.001)], frame(aperture=lens))
    dark = replace(record.bodies[0], material=MaterialRecord(base_color=(0.0, 0.0, 0.0), roughness=1.0))
    record = replace(record, bodies=(dark, replace(record.bodies[1], category=None)))
    motion = lambda t: [at(-size[0] / 2, 0, near), at(0, 0, far)]  # noqa: E731
    board = light(boxes([(4.0, 4.0, 0.001)], frame()), lambda t: [at(0, 0, far)])[HEIGHT // 2, WIDTH // 2, 1]
    image = light(record, motion)[HEIGHT // 2, :, 1]
    curtain = image[10]
    x = COLUMN - (WIDTH - 1) / 2
    # A pixel that looks at x / F * far on the board sees it past the curtain from points of the opening beyond
    # the line from there through the curtain's edge.
    edge = -(x / F * far) * near / (far - near) / (diameter / 2)
    edge = np.clip(edge, -1, 1)
    open_share = 0.5 - (edge * np.sqrt(1 - edge**2) + np.arcsin(edge)) / np.pi
    expected = curtain + open_share * (board - curtain)
    assert np.abs(image - expected)[20:-20].max() < 0.06 * max(board, curtain)


def test_points_fill_the_opening_evenly_in_any_run() -> None:
    points = opening_points(ApertureRecord(2.0, 1.0), 64)
    radius = np.hypot(*points.T)
    assert radius.max() < 1.05
    assert np.mean(radius**2) == pytest.approx(0.5, abs=0.02)
    np.testing.assert_allclose(points.mean(0), 0, atol=1e-12)
    for first in range(0, 64, 8):
        assert np.mean(radius[first : first + 8] ** 2) == pytest.approx(0.5, abs=0.1)


def shapes(*overrides: str, **aperture: Any) -> config.RenderConfig:
    size = ["image.width=64", "image.height=48", "scene.cameras.main.views=1"]
    plain = config.to_plain(load("shapes", [*size, *overrides]))
    plain["scene"]["cameras"]["main"].update(aperture=aperture)
    return config.from_plain(plain)


def test_aperture_and_focus_follow_from_the_camera() -> None:
    source = SceneSource(shapes())
    passes = "passes=[rgb,depth,instance,normal]"
    made = shapes(passes, f_number=2.0, samples=8)
    result = scene_frames(made, source.library, source.renderer, 0)
    frame_record = result.record.frames[0]
    opened, cam = frame_record.aperture, frame_record.camera
    assert opened is not None
    focal = cam.fx / cam.width * 36e-3
    assert opened.diameter == pytest.approx(focal / 2)
    assert opened.focus == pytest.approx(frame_record.draws["camera"]["radius"])
    sharp = scene_frames(shapes(passes), source.library, source.renderer, 0).frames[0]
    for name in ("depth", "instance", "normal"):
        np.testing.assert_array_equal(result.frames[0].images[name], sharp.images[name])
    assert (result.frames[0].images["rgb"] != sharp.images["rgb"]).any()
    half = shapes("randomize.sensor.strength=0.5", f_number=2.0, focus=0.8, focus_error=0.1)
    weak = scene_frames(half, source.library, source.renderer, 0).record.frames[0].aperture
    assert weak is not None
    assert (weak.diameter, weak.focus) == pytest.approx((focal / 4, 0.8 * 1.05))
    off = scene_frames(shapes("randomize.sensor.enabled=false", f_number=2.0), source.library, source.renderer, 0)
    assert off.record.frames[0].aperture is None


def test_a_backdrop_is_infinitely_far_away() -> None:
    record = boxes([(0.2, 0.2, 0.001)], frame(cam=camera(), aperture=ApertureRecord(0.05, 1.0)))
    (seen,) = see(record, lambda t: [at(0, 0, 1.0)], "rgb", "instance")
    assert seen.images["rgb"][0, 0].max() == 0
    assert (seen.images["instance"] == 1).any()

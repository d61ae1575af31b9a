"""Environment maps: mapping, light, files."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from simgen.assets import environments
from simgen.errors import AssetError

SKY = {"zenith": (0.1, 0.3, 0.9), "horizon": (0.7, 0.8, 0.9), "ground": (0.2, 0.15, 0.1)}


def texel(direction: tuple[float, float, float], width: int) -> tuple[int, int]:
    """Row and column where a renderer looks for ``direction``."""
    x, y, z = np.array(direction) / np.linalg.norm(direction)
    u, v = 0.5 - math.atan2(y, x) / (2 * math.pi), math.acos(z) / math.pi
    return int(v * width / 2), int(u * width) % width


@pytest.mark.parametrize("direction", [(1.0, 0.0, 0.5), (0.0, 1.0, 0.5), (0.3, -1.0, 0.2), (-1.0, 0.2, 1.0)])
def test_sun_is_where_its_direction_points(direction: tuple[float, float, float]) -> None:
    sky = environments.sky(**SKY, sun_direction=direction, sun_color=(30.0, 30.0, 30.0))
    assert (sky.shape, sky.dtype) == ((128, 256, 3), np.float32)
    brightest = np.unravel_index(sky.sum(axis=2).argmax(), sky.shape[:2])
    row, column = texel(direction, 256)
    assert abs(int(brightest[0]) - row) <= 1
    assert (int(brightest[1]) - column + 1) % 256 <= 2


def test_sky_over_ground() -> None:
    sky = environments.sky(**SKY, sun_direction=(0, 0, 1))
    np.testing.assert_allclose(sky[0], np.broadcast_to(SKY["zenith"], (256, 3)), rtol=0.03)
    np.testing.assert_allclose(sky[60], np.broadcast_to(SKY["horizon"], (256, 3)), rtol=0.3)
    np.testing.assert_allclose(sky[100:].mean(axis=(0, 1)), SKY["ground"], rtol=0.2)


def test_clouds_cover_more_and_follow_the_seed() -> None:
    clear = environments.sky(**SKY, sun_direction=(1, 0, 1))
    changed = []
    for clouds in (0.2, 0.5, 0.9):
        sky = environments.sky(**SKY, sun_direction=(1, 0, 1), clouds=clouds, seed=5)
        assert np.isfinite(sky).all()
        assert sky.min() >= 0
        assert np.array_equal(sky, environments.sky(**SKY, sun_direction=(1, 0, 1), clouds=clouds, seed=5))
        changed.append(float((np.abs(sky - clear)[:56].max(axis=2) > 0.05).mean()))
    assert changed[0] < changed[1] < changed[2]
    other = environments.sky(**SKY, sun_direction=(1, 0, 1), clouds=0.5, seed=6)
    assert not np.array_equal(other, environments.sky(**SKY, sun_direction=(1, 0, 1), clouds=0.5, seed=5))


def test_softboxes_are_bright_rooms() -> None:
    for seed in range(6):
        room = environments.softbox(seed)
        rows = np.sin((np.arange(128) + 0.5) / 128 * math.pi)
        mean = (room.mean(axis=(1, 2)) * rows).sum() / rows.sum()
        assert mean == pytest.approx(environments.SOFTBOX_RADIANCE, rel=1e-3)
        assert room.max() > 3


def test_wrong_skies() -> None:
    with pytest.raises(ValueError, match="somewhere"):
        environments.sky(**SKY, sun_direction=(0, 0, 0))
    with pytest.raises(ValueError, match="too small"):
        environments.sky(**SKY, sun_direction=(0, 0, 1), width=4)


def test_files_are_rgb_and_bounded(tmp_path: Path) -> None:
    image = np.zeros((64, 128, 3), np.float32)
    image[..., 0], image[..., 1], image[..., 2] = 4.0, 1.0, 0.25
    image[10, 20] = 500.0
    cv2.imwrite(str(tmp_path / "map.hdr"), image[..., ::-1])
    loaded = environments.load(tmp_path / "map.hdr")
    np.testing.assert_allclose(loaded, image, rtol=0.01)
    assert loaded.flags.c_contiguous
    small = environments.load(tmp_path / "map.hdr", 32)
    assert small.shape == (16, 32, 3)
    np.testing.assert_allclose(small.mean(axis=(0, 1)), loaded.mean(axis=(0, 1)), rtol=1e-3)
    assert environments.key(loaded) == environments.key(environments.load(tmp_path / "map.hdr"))
    assert environments.key(loaded) != environments.key(small)


def test_broken_files_are_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    image = np.random.default_rng(0).random((64, 128, 3)).astype(np.float32)
    cv2.imwrite(str(tmp_path / "whole.hdr"), image)
    (tmp_path / "cut.hdr").write_bytes((tmp_path / "whole.hdr").read_bytes()[:3000])
    (tmp_path / "text.hdr").write_text("hello")
    (tmp_path / "text.exr").write_text("hello")
    (tmp_path / "other.exr").write_bytes(b"v/1\x01" + b"\0" * 100)
    cv2.imwrite(str(tmp_path / "square.hdr"), image[:, :64])
    for name, words in (
        ("cut.hdr", "damaged"),
        ("text.hdr", "damaged"),
        ("text.exr", "not an OpenEXR"),
        ("other.exr", "convert the map"),
        ("square.hdr", "64 x 64: an equirectangular"),
        ("absent.hdr", "cannot be read"),
    ):
        with pytest.raises(AssetError, match=words) as caught:
            environments.load(tmp_path / name)
        assert name in str(caught.value)
    assert capfd.readouterr() == ("", "")

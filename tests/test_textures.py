"""Images and generated textures."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simgen.assets import textures
from simgen.assets.textures import KINDS, generate
from simgen.errors import AssetError

BROWN, CREAM, BLUE = (0.2, 0.1, 0.05), (0.8, 0.7, 0.5), (0.05, 0.1, 0.6)


@pytest.mark.parametrize("kind", KINDS)
def test_generated_textures(kind: str) -> None:
    """Repeatable, of the size asked for, within the colours, different for another seed."""
    first = generate(kind, 3, [BROWN, CREAM], 1.0)
    assert (first.pixels.shape, first.pixels.dtype, first.srgb) == ((256, 256, 3), np.uint8, True)
    assert first.pixels.flags.c_contiguous
    again = generate(kind, 3, [BROWN, CREAM], 1.0)
    assert first.key == again.key
    assert np.array_equal(first.pixels, again.pixels)
    light = textures.linear(first.pixels / 255)
    assert (light <= np.array(CREAM) * 1.1 + 0.01).all()
    if kind != "solid":
        assert np.ptp(first.pixels[..., 0].astype(int)) > 40
    if kind not in ("solid", "dots", "gradient", "zigzag", "stripes"):
        assert not np.array_equal(generate(kind, 4, [BROWN, CREAM], 1.0).pixels, first.pixels)
    others = [(kind, 4, [BROWN, CREAM], 1.0), (kind, 3, [CREAM, BROWN], 1.0), (kind, 3, [BROWN, CREAM], 2.0)]
    sizes = [generate(kind, 3, [BROWN, CREAM], 1.0, 128).key]
    assert len({first.key, *sizes, *(generate(*other).key for other in others)}) == 5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_generated_textures_tile(kind: str, scale: float) -> None:
    """Steps across the border are like steps inside (patterns with sharp edges have some everywhere)."""
    pixels = generate(kind, 11, [BROWN, CREAM], scale).pixels.astype(float)
    for axis in (0, 1):
        inside = np.abs(np.diff(pixels, axis=axis)).mean(axis=(1 - axis, 2))
        border = np.abs(np.take(pixels, 0, axis) - np.take(pixels, -1, axis)).mean()
        assert border <= max(inside.max() * 1.05, 2.0)


@pytest.mark.parametrize("colors", [[BLUE], [BLUE, CREAM, BROWN, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)]])
@pytest.mark.parametrize("size", [1, 7, 64, 300])
def test_any_number_of_colours_and_any_size(colors: list[tuple[float, float, float]], size: int) -> None:
    for kind in KINDS:
        assert generate(kind, 0, colors, 1.0, size).pixels.shape == (size, size, 3)


def test_solid_is_the_colour() -> None:
    pixels = generate("solid", 0, [(1.0, 0.2140, 0.0)], 1.0, 16).pixels
    np.testing.assert_allclose(pixels, np.broadcast_to([255, 128, 0], pixels.shape), atol=1)


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="unknown kind"):
        generate("wod", 0, [BLUE])
    for colors, scale, size in (([], 1.0, 8), ([BLUE], 0.0, 8), ([BLUE], float("nan"), 8), ([BLUE], 1.0, 0)):
        with pytest.raises(ValueError, match="needs"):
            generate("noise", 0, colors, scale, size)


STORED = {
    "wood": "8a992c77b2a1e4b0",
    "terrazzo": "1a550e444da3046b",
    "noise": "a2418495dac2f748",
    "weave": "32535f30d656a445",
}


def test_pixels_are_the_same_everywhere() -> None:
    """Stored digests: they change only when a pattern is changed on purpose."""
    found = {kind: hashlib.sha256(generate(kind, 7, [BROWN, CREAM]).pixels).hexdigest()[:16] for kind in STORED}
    assert found == STORED


def test_images_load_as_rgb_or_rgba(tmp_path: Path) -> None:
    Image.new("L", (4, 3), 77).save(tmp_path / "grey.png")
    Image.new("P", (4, 3)).save(tmp_path / "palette.png")
    Image.new("RGBA", (4, 3), (1, 2, 3, 255)).save(tmp_path / "opaque.png")
    Image.new("RGBA", (4, 3), (1, 2, 3, 100)).save(tmp_path / "clear.png")
    Image.fromarray(np.full((3, 4), 65535 // 2, np.uint16)).save(tmp_path / "deep.png")
    shapes = {path.stem: textures.load(path).pixels.shape for path in tmp_path.iterdir()}
    assert shapes == {
        "grey": (3, 4, 3),
        "palette": (3, 4, 3),
        "opaque": (3, 4, 3),
        "clear": (3, 4, 4),
        "deep": (3, 4, 3),
    }
    assert textures.load(tmp_path / "deep.png").pixels[0, 0].tolist() == [127, 127, 127]
    assert textures.load(tmp_path / "grey.png").pixels[0, 0].tolist() == [77, 77, 77]


def test_size_is_bounded_and_key_follows_pixels(tmp_path: Path) -> None:
    pixels = np.zeros((40, 100, 3), np.uint8)
    pixels[:, ::2] = 200
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray(pixels).save(tmp_path / "b.png")
    small = textures.load(tmp_path / "a.png", 50)
    assert small.pixels.shape == (20, 50, 3)
    np.testing.assert_allclose(small.pixels, 100, atol=1)  # filtered, not picked
    whole = textures.load(tmp_path / "a.png", 100)
    assert np.array_equal(whole.pixels, pixels)
    assert whole.key == textures.load(tmp_path / "b.png").key
    assert whole.key != small.key
    assert whole.key != textures.load(tmp_path / "a.png", srgb=False).key


def test_camera_orientation_is_followed(tmp_path: Path) -> None:
    picture = Image.new("RGB", (6, 4))
    exif = picture.getexif()
    exif[0x0112] = 6  # turn by 90 degrees
    picture.save(tmp_path / "turned.jpg", exif=exif)
    assert textures.load(tmp_path / "turned.jpg").pixels.shape == (6, 4, 3)


def test_broken_images_are_told(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("hello")
    Image.effect_noise((64, 64), 50).convert("RGB").save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:2000])
    (tmp_path / "empty.jpg").write_bytes(b"")
    for name in ("text.png", "cut.png", "empty.jpg"):
        with pytest.raises(AssetError, match="is not a readable image") as caught:
            textures.load(tmp_path / name)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(AssetError, match="cannot be read"):
        textures.load(tmp_path / "absent.png")

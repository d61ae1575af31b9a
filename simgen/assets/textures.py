"""Images as textures: read from a file, bounded in size, identified by their content."""

from __future__ import annotations

import hashlib
import io
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from simgen.assets.asset import Texture
from simgen.assets.patterns import KINDS, generate
from simgen.errors import AssetError

__all__ = ["IMAGE_SUFFIXES", "KINDS", "decode", "generate", "linear", "load", "texture"]

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tga", ".tif", ".tiff", ".webp"})
MAX_PIXELS = 1 << 28


def load(path: Path, size: int | None = None, srgb: bool = True) -> Texture:
    """The image at ``path``, its longer side at most ``size`` pixels.

    Raises AssetError when it is missing or is not a readable image.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise AssetError(f"texture {path} cannot be read ({error.strerror}): check the path") from None
    return decode(data, f"texture {path}", size, srgb)


def decode(data: bytes, where: str, size: int | None = None, srgb: bool = True) -> Texture:
    """The image file held by ``data``; ``where`` names it in the AssetError that a broken one raises.

    The camera's orientation mark is followed; grey becomes RGB, 16 bits become 8, and an alpha channel that is opaque
    everywhere is dropped.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data)) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise AssetError(f"{where} is {image.width} x {image.height} pixels: scale it down")
                image.load()
                picture = ImageOps.exif_transpose(_to_8_bits(image))
    except AssetError:
        raise
    except UnidentifiedImageError:  # Pillow's words name the bytes, not the file
        raise AssetError(f"{where} is not a readable image (its format is not known): replace it") from None
    except Exception as error:  # Pillow's decoders raise a dozen unrelated types on damaged files
        raise AssetError(f"{where} is not a readable image ({error}): replace it") from None
    if size is not None and max(picture.size) > size:
        scale = size / max(picture.size)
        shape = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        picture = picture.resize(shape, Image.Resampling.BOX if scale <= 0.5 else Image.Resampling.BILINEAR)
    pixels = np.array(picture, np.uint8, order="C")
    if pixels.shape[2] == 4 and pixels[..., 3].min() == 255:
        pixels = np.ascontiguousarray(pixels[..., :3])
    return texture(pixels, srgb)


def texture(pixels: NDArray[np.uint8], srgb: bool = True) -> Texture:
    """A Texture of ``pixels`` (H, W, 3 or 4) uint8, with the key of their content."""
    digest = hashlib.sha256(f"{pixels.shape} {srgb}".encode())
    digest.update(np.ascontiguousarray(pixels).tobytes())
    return Texture(digest.hexdigest()[:20], pixels, srgb)


def linear(srgb: ArrayLike) -> NDArray[np.float64]:
    """Linear light of sRGB-encoded values in 0...1 (IEC 61966-2-1)."""
    c = np.asarray(srgb, np.float64)
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def _to_8_bits(image: Image.Image) -> Image.Image:
    if image.mode in ("I;16", "I;16B", "I;16L", "I", "F"):
        values = np.asarray(image, np.float64)
        top = 65535.0 if image.mode.startswith("I") else 1.0
        image = Image.fromarray(np.clip(values / top * 255 + 0.5, 0, 255).astype(np.uint8))
    transparent = image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info
    return image.convert("RGBA" if transparent else "RGB")

"""Compression of shards: HDF5 filters for arrays, PNG and JPEG for colour."""

from __future__ import annotations

from typing import Any

import cv2
import hdf5plugin
import numpy as np
from numpy.typing import NDArray

from simgen.errors import ConfigError, near_match

COMPRESSIONS = ("blosc", "gzip", "none")
"""Lossless filters for every array.

Milliseconds of one core to write and to read a 640x480 frame of rgb, depth, instance and semantic ids and normals
(5.2 MB; household objects on a textured table), and its size: blosc 2.7, 1.7, 1.6 MB; gzip 29, 10, 1.4 MB; none 1.4,
0.9, 5.2 MB. Blosc2 with Zstandard level 1 took 6.6, 4.8, 1.4 MB.
"""

RGB_CODECS = ("raw", "png", "jpeg")


def filters(compression: str, itemsize: int, runs: bool = False) -> dict[str, Any]:
    """Keyword arguments of ``h5py.Group.create_dataset`` for items of ``itemsize`` bytes.

    ``runs`` says that neighbouring entries mostly are equal.
    """
    if compression == "blosc":
        # Neighbouring bytes of colour differ in their low bits, which only a shuffle of bits brings together. Runs are
        # found as they are in half the time, to within some percent of the size.
        shuffle = hdf5plugin.Blosc.BITSHUFFLE if itemsize == 1 else hdf5plugin.Blosc.SHUFFLE
        shuffle = hdf5plugin.Blosc.NOSHUFFLE if runs else shuffle
        return dict(hdf5plugin.Blosc(cname="lz4", clevel=5, shuffle=shuffle))
    if compression == "gzip":
        return {"compression": "gzip", "compression_opts": 1, "shuffle": itemsize > 1}
    if compression == "none":
        return {}
    raise ConfigError(
        f'unknown output.compression "{compression}"{near_match(compression, COMPRESSIONS)}: choose one of '
        f"{', '.join(COMPRESSIONS)}"
    )


def check_rgb_codec(codec: str) -> None:
    """Raise ConfigError unless ``codec`` is one of RGB_CODECS."""
    if codec not in RGB_CODECS:
        raise ConfigError(
            f'unknown output.rgb_codec "{codec}"{near_match(codec, RGB_CODECS)}: choose one of {", ".join(RGB_CODECS)}'
        )


def encode_rgb(rgb: NDArray[np.uint8], codec: str, quality: int) -> NDArray[np.uint8]:
    """The bytes (n,) uint8 of a PNG or JPEG file of ``rgb`` (H, W, 3) uint8; ``quality`` 1...100 is JPEG's."""
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    if codec == "png":
        # Level 1 with the Sub filter's default strategy: higher levels cost several times as much for some percent.
        _, data = cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    else:
        _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(data, np.uint8).reshape(-1)


def decode_rgb(data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The image (H, W, 3) uint8 of what ``encode_rgb`` gave. Raises ValueError when it is not an image."""
    bgr = cv2.imdecode(np.ascontiguousarray(data), cv2.IMREAD_COLOR) if data.size else None
    if bgr is None:
        raise ValueError("the stored colour image cannot be decoded")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)

"""From the arrays of a frame to those of a shard; ``schema.from_stored`` leads back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.kernels import kernel
from simgen.shards.schema import IMAGES, SNORM_SCALE


def to_stored(name: str, image: NDArray[Any]) -> NDArray[Any]:
    """The array (H, W[, C]) that a shard holds for ``image`` of pass ``name``."""
    layout = IMAGES.get(name)
    if layout is None:
        return np.ascontiguousarray(image)
    if layout.snorm:
        components = np.ascontiguousarray(image, np.float32)
        return _snorm(components.reshape(-1)).reshape(image.shape)
    return np.ascontiguousarray(image, dtype=layout.dtype)


@kernel(error_model="numpy")
def _snorm(components: NDArray[np.float32]) -> NDArray[np.int16]:
    """Components (n,) of unit vectors times SNORM_SCALE, rounded to even."""
    stored = np.empty(components.size, np.int16)
    scale = np.float32(SNORM_SCALE)
    for k in range(components.size):
        stored[k] = np.int16(np.rint(components[k] * scale))
    return stored

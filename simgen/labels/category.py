"""Under which name an object is labelled."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from simgen.scene.record import BodyRecord


def category(body: BodyRecord, T_world_obj: NDArray[np.float64]) -> str:
    """The category of ``body`` at the pose ``T_world_obj`` (4, 4).

    With ``category_by_up`` it is that of the direction, of those in the frame of the asset, that is closest to the
    world's +z, and the first of several that are equally close. There is no limit to how far it may be off: a die that
    leans against a wall counts as its nearest face.
    """
    if not body.category_by_up:
        return body.category or ""
    x, y, z = (float(c) for c in T_world_obj[2, :3])

    def height(name: str) -> float:
        a, b, c = body.category_by_up[name]
        return (x * a + y * b + z * c) / math.sqrt(a * a + b * b + c * c)

    return max(body.category_by_up, key=height)

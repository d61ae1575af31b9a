"""Random streams named by what they are for.

A stream depends on the root seed, the scene, the frame within the scene and a name, and on nothing else: neither on
the order of the draws of other streams, nor on the process that draws. ``SeedSequence`` is NumPy's hash-based
seeding (O'Neill 2015), which gives independent streams for different spawn keys.
"""

from __future__ import annotations

import hashlib

import numpy as np

SCENE = 0
"""The ``frame`` of draws that a scene makes once, for all of its frames; frame ``n`` uses ``n + 1``."""


def stream(seed: int, scene: int, name: str, frame: int | None = None) -> np.random.Generator:
    """The generator of the draws called ``name``, for example ``"lighting/direction"``.

    ``seed`` and ``scene`` are non-negative; ``frame`` counts within the scene and is None for draws that hold for the
    whole scene.
    """
    digest = hashlib.sha256(name.encode()).digest()
    key = (scene, SCENE if frame is None else frame + 1, int.from_bytes(digest[:16], "little"))
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))

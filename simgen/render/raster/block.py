"""Where the intermediate values of a block of fragments lie in its working arrays."""

from __future__ import annotations

BLOCK = 1024
"""Fragments shaded together."""
SAMPLES = 2 * BLOCK
"""Places in the list of texture samples: the first of each fragment, then further ones."""

STRIDE = BLOCK + 16
"""From channel to channel. A power of two would put all channels into the same set of the first-level cache."""
SAMPLE_STRIDE = SAMPLES + 16

# Channels of a block: surface point, normal and face normal (camera frame), direction to the camera.
(
    X, Y, Z, NX, NY, NZ, FNX, FNY, FNZ, VX, VY, VZ, NV, U, V, UX, VXU, UY, VYU, R, G, B, ROUGH, METAL, F0R, F0G, F0B,
    ALPHA, OUT_R, OUT_G, OUT_B, LX, LY, LZ, ER, EG, EB, SEEN, OPEN, SPEC_R, SPEC_G, SPEC_B, SX, SY, SLEVEL, SR, SG, SB,
    WIDEN, NOISE,
) = (k * STRIDE for k in range(50))  # fmt: skip
CHANNELS = 50

# Channels of a batch of texture samples (float32) and of their texel addresses and texels (int32, uint32).
TU, TV, TA, TB, TW, TR, TG, TBL = (k * SAMPLE_STRIDE for k in range(8))
TEXTURE_CHANNELS = 8
T00, T01, T10, T11, TSTART, TWIDTH, THEIGHT, TOWNER = (k * SAMPLE_STRIDE for k in range(8))
ADDRESS_CHANNELS = 8

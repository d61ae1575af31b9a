"""Where the intermediate values of a block of fragments lie in its working arrays."""

from __future__ import annotations

BLOCK = 512
"""Fragments shaded together."""
LANES = 16
"""Fragments that are looked at together where most have nothing to do; BLOCK is a multiple of it.

Runs of fragments with something in common are computed by as many too, past their end: a loop over few, of a number not
known before, is not vectorized. What is written there too early is written again with the next run, or not used.
"""

STRIDE = BLOCK + 16
"""From channel to channel. A power of two would put all channels into the same set of the first-level cache."""

# Channels of a block: surface point, normal (camera frame), direction to the camera, ...; of its
# texture samples: where the line of samples begins and its steps, the size of the mip level, weight of a sample, place
# between texels, colour.
(
    X, Y, Z, NX, NY, NZ, VX, VY, VZ, NV, U, V, UX, VXU, UY, VYU, R, G, B, ROUGH, F0R, F0G, F0B,
    ALPHA, OUT_R, OUT_G, OUT_B, LX, LY, LZ, ER, EG, SEEN, OPEN, SX, SY, SLEVEL, SR, SG, LOBE, NOISE,
    TU, TV, TDU, TDV, TWIDTH, THEIGHT, TW, TA, TB, TR, TG, TBL,
) = (k * STRIDE for k in range(53))  # fmt: skip
FLOATS = 53 * STRIDE

# Integers: first texel of the mip level (its border included), texels of both rows, mip level, samples on the line and
# the most of these among LANES fragments; where runs of fragments on one triangle begin; texels of both rows in the
# next level of reflections.
TSTART, TUPPER, TLOWER, TLEVEL, TCOUNT, TMOST, RUNS, TNEXT_UPPER, TNEXT_LOWER = (k * STRIDE for k in range(9))
INTEGERS = 9 * STRIDE

# Texels: pairs of the upper row, pairs of the lower one; the same of the next level of reflections.
UPPER, LOWER, NEXT_UPPER, NEXT_LOWER = (k * 2 * STRIDE for k in range(4))
# The bits of four numbers each, before there are texels: depth and open sky of both neighbours above and below.
ABOVE, BELOW = UPPER, NEXT_UPPER
TEXELS = 8 * STRIDE

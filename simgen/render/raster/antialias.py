"""Anti-aliased colour: visibility at several samples a pixel, shading once for each distinct surface in the pixel.

Sample 0 is the pixel centre, from which alone all labels come. Where another sample sees a different surface (another
drawable, a step in depth, a crease), a fragment is added there with the share of the samples that see it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.render.raster.jit import fast, ix
from simgen.render.raster.layout import FACE_N, PLANE_W, TRIANGLE, X0, Y0
from simgen.render.raster.visibility import key_w

_0 = np.float32(0.0)
_1 = np.float32(1.0)
_CREASE = np.float32(0.8)
"""Cosine between face normals below which they count as different surfaces."""
_STEP = np.float32(0.01)
"""Relative difference in depth from the plane of a triangle above which another surface is seen."""


def sample_pattern(count: int) -> NDArray[np.float64]:
    """Offsets (count, 2) of the samples from the pixel centre, which is the first; their mean is the centre.

    Up to five: a centre and a ring, turned so that rows and columns differ. More: the R2 sequence (Roberts 2018).
    """
    others = count - 1
    if others <= 4:
        angle = np.deg2rad(15) + np.arange(others) * 2 * np.pi / max(others, 1)
        ring = 0.4 * np.stack([np.cos(angle), np.sin(angle)], 1) if others else np.zeros((0, 2))
    else:
        g = 1.32471795724474602596
        k = np.arange(1, others + 1)[:, None]
        ring = (0.5 + k * np.array([1 / g, 1 / g**2])) % 1.0 - 0.5
        ring -= ring.mean(0)
    # Rounded, so that the pattern has the same bits everywhere.
    return np.round(np.vstack([np.zeros((1, 2)), ring]) * 1024) / 1024


@fast
def _same(p: int, q: int, x: Any, y: Any, w: Any, owner: Any, planes: Any) -> bool:
    """Whether triangle ``q``, seen at (x, y) at 1 / z = ``w``, belongs to the surface of triangle ``p``."""
    if p == q:
        return True
    if owner[ix(p)] != owner[ix(q)]:
        return False
    a, b = p * TRIANGLE, q * TRIANGLE
    along = (
        planes[ix(a + FACE_N)] * planes[ix(b + FACE_N)]
        + planes[ix(a + FACE_N + 1)] * planes[ix(b + FACE_N + 1)]
        + planes[ix(a + FACE_N + 2)] * planes[ix(b + FACE_N + 2)]
    )
    if along < _CREASE:
        return False
    expected = (
        planes[ix(a + PLANE_W)]
        + planes[ix(a + PLANE_W + 1)] * (x - planes[ix(a + X0)])
        + planes[ix(a + PLANE_W + 2)] * (y - planes[ix(a + Y0)])
    )
    return abs(expected - w) <= _STEP * w


@fast
def keep_distinct(
    candidates: int, main_of: Any, pixel_of: Any, sample_of: Any, number_of: Any, keys: Any, stride: int, offsets: Any,
    triangle: Any, px: Any, py: Any, owner: Any, planes: Any,
) -> int:  # fmt: skip
    """Drop the candidates that see the surface at the centre, though another triangle of it; how many are left."""
    left = 0
    for c in range(candidates):
        main, i = np.int64(main_of[ix(c)]), np.int64(pixel_of[ix(c)])
        s, number = np.int64(sample_of[ix(c)]), np.int64(number_of[ix(c)])
        same = False
        if main >= 0 and number >= 0:
            # _same, without a call, which would count references to its arrays.
            a, b = np.int64(triangle[ix(main)]), number
            same_owner = owner[ix(a)] == owner[ix(b)]
            a, b = a * TRIANGLE, b * TRIANGLE
            along = (
                planes[ix(a + FACE_N)] * planes[ix(b + FACE_N)]
                + planes[ix(a + FACE_N + 1)] * planes[ix(b + FACE_N + 1)]
                + planes[ix(a + FACE_N + 2)] * planes[ix(b + FACE_N + 2)]
            )
            x = px[ix(main)] + np.float32(offsets[s, 0])
            y = py[ix(main)] + np.float32(offsets[s, 1])
            w = key_w(keys[ix(s * stride + i)])
            expected = (
                planes[ix(a + PLANE_W)]
                + planes[ix(a + PLANE_W + 1)] * (x - planes[ix(a + X0)])
                + planes[ix(a + PLANE_W + 2)] * (y - planes[ix(a + Y0)])
            )
            same = same_owner & (not (along < _CREASE)) & (abs(expected - w) <= _STEP * w)
        main_of[ix(left)] = main
        pixel_of[ix(left)] = i
        sample_of[ix(left)] = s
        number_of[ix(left)] = number
        left += 0 if same else 1
    return left


@fast
def add_fragments(
    candidates: int, main_of: Any, pixel_of: Any, sample_of: Any, number_of: Any, keys: Any, stride: int, offsets: Any,
    width: int, owner: Any, planes: Any, count: int, limit: int, pixel: Any, triangle: Any, px: Any, py: Any, w: Any,
    weight: Any, background: Any,
) -> int:  # fmt: skip
    """Append a fragment for each distinct further surface in a pixel and share out the weights; the new count.

    Candidates are as ``collect`` lists and ``keep_distinct`` leaves them. ``weight`` of the centres' fragments and
    ``background``, both 1 or 0 on entry, lose what the others gain.
    """
    share = _1 / np.float32(len(offsets))
    first = count
    at: Any = -1
    for c in range(candidates):
        main = np.int64(main_of[ix(c)])
        i = np.int64(pixel_of[ix(c)])
        s = np.int64(sample_of[ix(c)])
        number = np.int64(number_of[ix(c)])
        if number < 0:
            # The sample sees the background past the surface at the centre.
            weight[ix(main)] -= share
            background[ix(i)] += share
            continue
        x = np.float32(i % width) + np.float32(offsets[s, 0])
        y = np.float32(i // width) + np.float32(offsets[s, 1])
        value = key_w(keys[ix(s * stride + i)])
        if i != at:
            at = i
            first = count
        target = -1
        for k in range(first, count):
            if _same(np.int64(triangle[ix(k)]), number, x, y, value, owner, planes):
                target = k
        if target < 0:
            if count >= limit:
                continue
            target = count
            pixel[ix(count)] = i
            triangle[ix(count)] = number
            px[ix(count)] = x
            py[ix(count)] = y
            w[ix(count)] = value
            weight[ix(count)] = _0
            count += 1
        weight[ix(target)] += share
        if main >= 0:
            weight[ix(main)] -= share
        else:
            background[ix(i)] -= share
    return count

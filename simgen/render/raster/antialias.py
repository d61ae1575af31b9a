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
from simgen.render.raster.visibility import EMPTY, key_triangle, key_w

_0 = np.float32(0.0)
_1 = np.float32(1.0)
_CREASE = np.float32(0.8)
"""Cosine between face normals below which they count as different surfaces."""
_STEP = np.float32(0.01)
"""Relative difference in depth from the plane of a triangle above which another surface is seen."""
_STRETCH = 32
"""Pixels that are looked at together for samples that see another triangle."""


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
def collect_others(
    keys: Any, stride: int, pixels: int, samples: int, remap: Any, visible: Any, seen: int, candidate: Any,
    sample_of: Any, number_of: Any, limit: int,
) -> tuple[int, int]:  # fmt: skip
    """List the samples that see another triangle than the centre, pixel by pixel, and number these triangles.

    ``number_of`` takes the new number, -1 where nothing is seen. Returns the numbers of candidates and of triangles.
    """
    count = 0
    below = np.uint64(0xFFFFFFFF)
    for first in range(0, pixels, _STRETCH):
        n = min(_STRETCH, pixels - first)
        # Most stretches see one triangle with all samples.
        other = np.uint64(0)
        for s in range(1, samples):
            for i in range(n):
                other |= keys[ix(first + i)] ^ keys[ix(s * stride + first + i)]
        if other & below == 0:
            continue
        for i in range(first, first + n):
            centre = keys[ix(i)]
            for s in range(1, samples):
                key = keys[ix(s * stride + i)]
                if (key ^ centre) & below == 0 or count >= limit:
                    continue
                t = key_triangle(key)
                number = -1
                if t != np.uint32(EMPTY):
                    number = remap[ix(t)]
                    if number < 0:
                        number = seen
                        remap[ix(t)] = seen
                        visible[ix(seen)] = t
                        seen += 1
                candidate[ix(count)] = i
                sample_of[ix(count)] = s
                number_of[ix(count)] = number
                count += 1
    return count, seen


@fast
def _same(p: int, q: int, x: Any, y: Any, w: Any, owner: Any, planes: Any) -> bool:
    """Whether triangle ``q``, seen at (x, y) at 1 / z = ``w``, belongs to the surface of triangle ``p``."""
    if p == q:
        return True
    if owner[p] != owner[q]:
        return False
    a, b = p * TRIANGLE, q * TRIANGLE
    along = (
        planes[a + FACE_N] * planes[b + FACE_N]
        + planes[a + FACE_N + 1] * planes[b + FACE_N + 1]
        + planes[a + FACE_N + 2] * planes[b + FACE_N + 2]
    )
    if along < _CREASE:
        return False
    expected = (
        planes[a + PLANE_W]
        + planes[a + PLANE_W + 1] * (x - planes[a + X0])
        + planes[a + PLANE_W + 2] * (y - planes[a + Y0])
    )
    return abs(expected - w) <= _STEP * w


@fast
def add_fragments(
    candidates: int, candidate: Any, sample_of: Any, number_of: Any, keys: Any, stride: int, offsets: Any, width: int,
    owner: Any, planes: Any, count: int, limit: int, pixel: Any, triangle: Any, px: Any, py: Any, w: Any,
    weight: Any, background: Any,
) -> int:  # fmt: skip
    """Append a fragment for each distinct further surface in a pixel and share out the weights; the new count.

    ``weight`` of the centres' fragments and ``background``, both 1 or 0 on entry, lose what the others gain.
    """
    share = _1 / np.float32(len(offsets))
    first = count
    at = -1
    centres = count
    follow = 0
    for c in range(candidates):
        i = int(candidate[c])
        if i != at:
            at = i
            first = count
            while follow < centres and pixel[follow] < i:
                follow += 1
        s = np.int64(sample_of[c])
        number = np.int64(number_of[c])
        centre = key_triangle(keys[i])
        main = np.int64(-1)
        if centre != np.uint32(EMPTY):
            main = np.int64(follow)
        if number < 0:
            # The sample sees the background past the surface at the centre.
            weight[main] -= share
            background[i] += share
            continue
        x = np.float32(i % width) + np.float32(offsets[s, 0])
        y = np.float32(i // width) + np.float32(offsets[s, 1])
        value = key_w(keys[s * stride + i])
        if main >= 0 and _same(np.int64(triangle[main]), number, x, y, value, owner, planes):
            continue
        target = -1
        for k in range(first, count):
            if _same(np.int64(triangle[k]), number, x, y, value, owner, planes):
                target = k
        if target < 0:
            if count >= limit:
                continue
            target = count
            pixel[count] = i
            triangle[count] = number
            px[count] = x
            py[count] = y
            w[count] = value
            weight[count] = _0
            count += 1
        weight[target] += share
        if main >= 0:
            weight[main] -= share
        else:
            background[i] -= share
    return count

"""Scan conversion of many small triangles together, side by side in working memory so that it is vectorized.

Arithmetic, its order and the coverage rule are those that ``visibility`` gives for one triangle.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simgen.render.raster.jit import ix, strict
from simgen.render.raster.layout import CX, CY, FX, FY, PLACED, SKEW
from simgen.render.raster.simd import WIDTH, raise_keys

BATCH = 32
"""Triangles that are tested together; up to twice as many are drawn together."""
TALLEST = 10.0
"""Pixels from top to bottom above which a triangle is not small."""
LARGEST = 1e12
"""Pixels; what projects farther out is not drawn."""

_ROWS = 12
"""Rows of samples that a small triangle can cover, and more."""
_STRIDE = 2 * BATCH + 8
"""From channel to channel; not a power of two, which would crowd one set of the cache."""

# Channels of the triangles under test: corners in the image, then what was found.
_X0, _Y0, _X1, _Y1, _X2, _Y2, FOUND = (k * _STRIDE for k in range(7))
UNSEEN, SMALL, LARGE, CLIPPED = 0.0, 1.0, 2.0, 3.0
"""What is found: covers no sample; to be drawn with others; to be drawn alone; to be clipped first."""
_UNSURE = -1.0
# Channels of the triangles that wait: corners in the image and in the camera, number, then what follows from them.
(
    _U0, _V0, _U1, _V1, _U2, _V2, _P, _NUMBER, _A, _B, _C, _LOW, _HIGH, _LONG, _UPPER, _LOWER, _GOOD,
    _TOP, _BOTTOM, _XS, _YS, _XM, _YM, _OFFSET,
) = (k * _STRIDE for k in (7, 8, 9, 10, 11, 12, 13, *range(22, 39)))  # fmt: skip
# First column and number of columns in each row.
_BEGIN = 39 * _STRIDE
_COUNT = (39 + _ROWS) * _STRIDE
SCAN_REALS = (39 + 2 * _ROWS) * _STRIDE


@strict
def test_faces(
    lanes: int, face: int, first_vertex: int, faces: Any, placed: Any, back: float, tallest: float, samples: Any,
    x_first: int, y_first: int, width: int, height: int, q: Any,
) -> None:  # fmt: skip
    """Find which of ``lanes`` triangles from ``faces[face]`` on may cover a sample, as if all were in front.

    ``back`` is the sign of the image area of those that are never seen, 0 if all can be; those taller than ``tallest``
    pixels are large.
    """
    for lane in range(lanes):
        at = face + 3 * lane
        i = (first_vertex + faces[ix(at)]) * PLACED + 3
        j = (first_vertex + faces[ix(at + 1)]) * PLACED + 3
        k = (first_vertex + faces[ix(at + 2)]) * PLACED + 3
        q[ix(_X0 + lane)], q[ix(_Y0 + lane)] = placed[ix(i)], placed[ix(i + 1)]
        q[ix(_X1 + lane)], q[ix(_Y1 + lane)] = placed[ix(j)], placed[ix(j + 1)]
        q[ix(_X2 + lane)], q[ix(_Y2 + lane)] = placed[ix(k)], placed[ix(k + 1)]
    left, right = np.float64(x_first - 1), np.float64(x_first + width)
    top, bottom = np.float64(y_first - 1), np.float64(y_first + height)
    for lane in range(lanes):
        x0, y0 = q[ix(_X0 + lane)], q[ix(_Y0 + lane)]
        x1, y1 = q[ix(_X1 + lane)], q[ix(_Y1 + lane)]
        x2, y2 = q[ix(_X2 + lane)], q[ix(_Y2 + lane)]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        ymin, ymax = min(y0, y1, y2), max(y0, y1, y2)
        xmin, xmax = min(x0, x1, x2), max(x0, x1, x2)
        out = (ymax <= top) | (ymin >= bottom) | (xmax <= left) | (xmin >= right)
        seen = (abs(area) < LARGEST * LARGEST) & (area != 0.0) & (not (area * back > 0.0)) & (not out)
        # Most triangles of a scanned mesh lie between samples.
        tiny = (xmax - xmin < 2.0) & (ymax - ymin < 2.0)
        found = LARGE if ymax - ymin > tallest else SMALL
        q[ix(FOUND + lane)] = (_UNSURE if tiny else found) if seen else UNSEEN
    for s in range(len(samples)):
        ox, oy = samples[s, 0], samples[s, 1]
        for lane in range(lanes):
            x0, y0 = q[ix(_X0 + lane)], q[ix(_Y0 + lane)]
            x1, y1 = q[ix(_X1 + lane)], q[ix(_Y1 + lane)]
            x2, y2 = q[ix(_X2 + lane)], q[ix(_Y2 + lane)]
            ymin, ymax = min(y0, y1, y2), max(y0, y1, y2)
            xmin, xmax = min(x0, x1, x2), max(x0, x1, x2)
            hit = (np.ceil(ymin - oy) < np.ceil(ymax - oy)) & (np.ceil(xmin - ox) < np.ceil(xmax - ox))
            found = LARGE if ymax - ymin > tallest else SMALL
            before = q[ix(FOUND + lane)]
            q[ix(FOUND + lane)] = found if (before == _UNSURE) & hit else before


@strict
def mark_clipped(lanes: int, face: int, first_vertex: int, faces: Any, placed: Any, near: float, q: Any) -> None:
    """Note which of the triangles under test have corners nearer than the near plane."""
    for lane in range(lanes):
        for k in range(3):
            if not (placed[ix((first_vertex + faces[ix(face + 3 * lane + k)]) * PLACED + 2)] >= near):
                q[ix(FOUND + lane)] = CLIPPED


@strict
def line_up(
    lanes: int, waiting: int, face: int, first_vertex: int, faces: Any, placed: Any, number: int, q: Any
) -> int:
    """Put the small ones of the triangles under test behind ``waiting`` others; how many wait then.

    ``number`` is that of the first triangle under test.
    """
    for lane in range(lanes):
        if q[ix(FOUND + lane)] != SMALL:
            continue
        for c in range(6):
            q[ix(_U0 + c * _STRIDE + waiting)] = q[ix(_X0 + c * _STRIDE + lane)]
        for c in range(3):
            at = (first_vertex + faces[ix(face + 3 * lane + c)]) * PLACED
            q[ix(_P + 3 * c * _STRIDE + waiting)] = placed[ix(at)]
            q[ix(_P + (3 * c + 1) * _STRIDE + waiting)] = placed[ix(at + 1)]
            q[ix(_P + (3 * c + 2) * _STRIDE + waiting)] = placed[ix(at + 2)]
        q[ix(_NUMBER + waiting)] = np.float64(number + lane)
        waiting += 1
    return waiting


@strict
def _set_up(lanes: int, camera: Any, q: Any) -> None:
    """The plane of 1 / z of each triangle over pixels, its bounds, corners by rows, and slopes of edges."""
    fx, fy, cx, cy, skew = camera[FX], camera[FY], camera[CX], camera[CY], camera[SKEW]
    for i in range(lanes):
        x0, y0, z0 = q[ix(_P + i)], q[ix(_P + _STRIDE + i)], q[ix(_P + 2 * _STRIDE + i)]
        x1, y1, z1 = q[ix(_P + 3 * _STRIDE + i)], q[ix(_P + 4 * _STRIDE + i)], q[ix(_P + 5 * _STRIDE + i)]
        x2, y2, z2 = q[ix(_P + 6 * _STRIDE + i)], q[ix(_P + 7 * _STRIDE + i)], q[ix(_P + 8 * _STRIDE + i)]
        ax, ay, az = x1 - x0, y1 - y0, z1 - z0
        bx, by, bz = x2 - x0, y2 - y0, z2 - z0
        nx, ny, nz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
        d = nx * x0 + ny * y0 + nz * z0
        inverse_d = 1.0 / d
        nx, ny, nz = nx * inverse_d, ny * inverse_d, nz * inverse_d
        a = nx / fx
        b = (ny - nx * skew / fx) / fy
        c = nz - a * cx - b * cy
        q[ix(_A + i)], q[ix(_B + i)], q[ix(_C + i)] = a, b, c
        q[ix(_LOW + i)] = 1.0 / max(z0, z1, z2)
        q[ix(_HIGH + i)] = 1.0 / min(z0, z1, z2)
        u0, v0 = q[ix(_U0 + i)], q[ix(_V0 + i)]
        u1, v1 = q[ix(_U1 + i)], q[ix(_V1 + i)]
        u2, v2 = q[ix(_U2 + i)], q[ix(_V2 + i)]
        total = 0.0 + (abs(u0) + abs(v0)) + (abs(u1) + abs(v1)) + (abs(u2) + abs(v2))
        finite = (d != 0.0) & (abs(d) < np.inf) & (abs(a) + abs(b) + abs(c) < np.inf)
        q[ix(_GOOD + i)] = 1.0 if finite & (total < LARGEST) else 0.0
        swap = v1 < v0
        u0, u1 = u1 if swap else u0, u0 if swap else u1
        v0, v1 = v1 if swap else v0, v0 if swap else v1
        swap = v2 < v0
        u0, u2 = u2 if swap else u0, u0 if swap else u2
        v0, v2 = v2 if swap else v0, v0 if swap else v2
        swap = v2 < v1
        u1, u2 = u2 if swap else u1, u1 if swap else u2
        v1, v2 = v2 if swap else v1, v1 if swap else v2
        q[ix(_U0 + i)], q[ix(_V0 + i)] = u0, v0
        q[ix(_U1 + i)], q[ix(_V1 + i)] = u1, v1
        q[ix(_U2 + i)], q[ix(_V2 + i)] = u2, v2
        upper, lower = (u1 - u0) / (v1 - v0), (u2 - u1) / (v2 - v1)
        q[ix(_LONG + i)] = (u2 - u0) / (v2 - v0)
        q[ix(_UPPER + i)] = upper if v1 > v0 else 0.0
        q[ix(_LOWER + i)] = lower if v2 > v1 else 0.0


@strict
def draw_waiting(
    lanes: int, keys: Any, stride: int, samples: Any, x_first: int, y_first: int, width: int, height: int,
    camera: Any, q: Any,
) -> None:  # fmt: skip
    """Draw the first ``lanes`` triangles that wait into all samples."""
    _set_up(lanes, camera, q)
    left_end, right_end = np.float64(x_first), np.float64(x_first + width)
    top_end, bottom_end = np.float64(y_first), np.float64(y_first + height)
    for s in range(len(samples)):
        ox, oy = samples[s, 0], samples[s, 1]
        for i in range(lanes):
            ys, ye = q[ix(_V0 + i)] - oy, q[ix(_V2 + i)] - oy
            top = np.ceil(min(max(ys, top_end), bottom_end))
            bottom = np.ceil(max(min(ye, bottom_end), top_end))
            q[ix(_TOP + i)] = top
            q[ix(_BOTTOM + i)] = bottom if q[ix(_GOOD + i)] > 0.0 else top
            q[ix(_XS + i)] = q[ix(_U0 + i)] - ox
            q[ix(_YS + i)] = ys
            q[ix(_XM + i)] = q[ix(_U1 + i)] - ox
            q[ix(_YM + i)] = q[ix(_V1 + i)] - oy
            q[ix(_OFFSET + i)] = q[ix(_C + i)] + q[ix(_A + i)] * ox + q[ix(_B + i)] * oy
        most: Any = 0
        for i in range(lanes):
            most = max(most, np.int64(q[ix(_BOTTOM + i)] - q[ix(_TOP + i)]))
        for r in range(most):
            down = np.float64(r)
            begins, counts = _BEGIN + r * _STRIDE, _COUNT + r * _STRIDE
            for i in range(lanes):
                y = q[ix(_TOP + i)] + down
                xs, ys = q[ix(_XS + i)], q[ix(_YS + i)]
                xm, ym = q[ix(_XM + i)], q[ix(_YM + i)]
                left = xs + (y - ys) * q[ix(_LONG + i)]
                upper, lower = xs + (y - ys) * q[ix(_UPPER + i)], xm + (y - ym) * q[ix(_LOWER + i)]
                right = upper if y < ym else lower
                swap = right < left
                left, right = right if swap else left, left if swap else right
                begin = np.ceil(min(max(left, left_end), right_end))
                end = np.ceil(max(min(right, right_end), left_end))
                # An edge too steep for its slope to be finite may leave no number.
                q[ix(begins + i)] = begin if left <= right else right_end
                q[ix(counts + i)] = end - begin if left <= right else 0.0
        for i in range(lanes):
            top = q[ix(_TOP + i)]
            rows = np.int64(q[ix(_BOTTOM + i)] - top)
            a, b, offset = q[ix(_A + i)], q[ix(_B + i)], q[ix(_OFFSET + i)]
            low, high = q[ix(_LOW + i)], q[ix(_HIGH + i)]
            below = np.uint64(0xFFFFFFFF - np.int64(q[ix(_NUMBER + i)]))
            start = s * stride + (np.int64(top) - y_first) * width - x_first
            for r in range(rows):
                x = q[ix(_BEGIN + r * _STRIDE + i)]
                count = np.int64(q[ix(_COUNT + r * _STRIDE + i)])
                at = start + np.int64(x)
                row = b * (top + np.float64(r)) + offset
                raise_keys(keys, at, count, a, x, row, low, high, below)
                while count > WIDTH:
                    count -= WIDTH
                    at += WIDTH
                    x += np.float64(WIDTH)
                    raise_keys(keys, at, count, a, x, row, low, high, below)
                start += width

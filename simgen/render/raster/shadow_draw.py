"""Drawing shadow maps: small triangles many at a time, side by side in working memory so that it is vectorized.

Most triangles of a mesh cover a few texels of a map, or none.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simgen.render.raster.jit import fast, ix
from simgen.render.raster.layout import CULL, FACES, FACES_IN_POOL, FIRST_IN_POOL, VERTEX, VERTICES
from simgen.render.raster.shadow import (
    NOTHING,
    PERSPECTIVE,
    REACH,
    SCALE_X,
    SCALE_Y,
    SHIFT_X,
    SHIFT_Y,
    SIDE,
    SLOPE_X,
    SLOPE_Y,
    START,
    summarize,
)
from simgen.render.raster.simd import TEXELS, raise_texels

BATCH = 64
"""Triangles that are tested together, and drawn together."""
_TALLEST = np.float32(10.0)
"""Texels from top to bottom above which a triangle is not small."""
_ROWS = 12
"""Rows of texels that a small triangle can cover, and more."""
_STRIDE = 2 * BATCH + 16
"""From channel to channel; not a power of two, which would crowd one set of the cache."""

# Channels of the triangles under test: corners and their values, what was found. Of the triangles that wait: the same,
# then what follows from them: the value at a point and its steps, slopes of the edges, first row and the one after the
# last; first column and number of columns in each row.
(
    _X0, _Y0, _V0, _X1, _Y1, _V1, _X2, _Y2, _V2, _FOUND, _U0, _P0, _Q0, _U1, _P1, _Q1, _U2, _P2, _Q2, _A, _B, _VALUE,
    _VX, _VY, _LONG, _UPPER, _LOWER, _TOP, _BOTTOM,
) = (k * _STRIDE for k in range(29))  # fmt: skip
_BEGIN = 29 * _STRIDE
_COUNT = (29 + _ROWS) * _STRIDE
DRAW_REALS = (29 + 2 * _ROWS) * _STRIDE
"""Floats of working memory."""

_UNSEEN, _SMALL, _LARGE = np.float32(0.0), np.float32(1.0), np.float32(2.0)
_0 = np.float32(0.0)
_1 = np.float32(1.0)


@fast
def _draw_triangle(
    shadow: Any, start: int, side: int, x0: Any, y0: Any, v0: Any, x1: Any, y1: Any, v1: Any, x2: Any, y2: Any, v2: Any
) -> None:
    inverse = _1 / ((x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0))
    a = ((v1 - v0) * (y2 - y0) - (v2 - v0) * (y1 - y0)) * inverse
    b = ((v2 - v0) * (x1 - x0) - (v1 - v0) * (x2 - x0)) * inverse
    # A triangle seen edge-on has no meaningful slope: use its farthest corner.
    low = min(v0, v1, v2)
    steep = abs(a) + abs(b) > np.float32(4.0) * (max(v0, v1, v2) - low)
    a, b = _0 if steep else a, _0 if steep else b
    v0 = low if steep else v0
    vx, vy = x0, y0
    # Corners from the least y to the greatest, without branches, which would be taken at random.
    swap = y1 < y0
    x0, x1 = x1 if swap else x0, x0 if swap else x1
    y0, y1 = y1 if swap else y0, y0 if swap else y1
    swap = y2 < y0
    x0, x2 = x2 if swap else x0, x0 if swap else x2
    y0, y2 = y2 if swap else y0, y0 if swap else y2
    swap = y2 < y1
    x1, x2 = x2 if swap else x1, x1 if swap else x2
    y1, y2 = y2 if swap else y1, y1 if swap else y2
    limit = np.float32(side)
    top = np.int64(np.ceil(max(y0, _0)))
    bottom = np.int64(np.ceil(min(y2, limit)))
    long_slope = (x2 - x0) / (y2 - y0)
    upper = (x1 - x0) / (y1 - y0) if y1 > y0 else _0
    lower = (x2 - x1) / (y2 - y1) if y2 > y1 else _0
    for row in range(top, bottom):
        y = np.float32(row)
        one = x0 + (y - y0) * long_slope
        other = x0 + (y - y0) * upper if y < y1 else x1 + (y - y1) * lower
        begin = np.int64(np.ceil(max(min(one, other), _0)))
        count = np.int64(np.ceil(min(max(one, other), limit))) - begin
        if count > 0:
            value = v0 + a * (np.float32(begin) - vx) + b * (y - vy)
            at = start + row * side + begin
            raise_texels(shadow, at, count, a, value)
            # Most spans are short.
            for further in range(TEXELS, count, TEXELS):
                raise_texels(shadow, at + further, count - further, a, value + a * np.float32(further))


@fast
def _test_faces(lanes: int, face: int, faces: Any, flat: Any, back: Any, limit: Any, q: Any) -> None:
    """Find which of ``lanes`` triangles from ``faces[face]`` on may cover a texel of a map ``limit`` texels wide.

    ``back`` is the sign of the area in the map of those that are left out, 0 if all are drawn.
    """
    for lane in range(lanes):
        at = face + 3 * lane
        i = 3 * np.int64(faces[ix(at)])
        j = 3 * np.int64(faces[ix(at + 1)])
        k = 3 * np.int64(faces[ix(at + 2)])
        q[ix(_X0 + lane)], q[ix(_Y0 + lane)], q[ix(_V0 + lane)] = flat[ix(i)], flat[ix(i + 1)], flat[ix(i + 2)]
        q[ix(_X1 + lane)], q[ix(_Y1 + lane)], q[ix(_V1 + lane)] = flat[ix(j)], flat[ix(j + 1)], flat[ix(j + 2)]
        q[ix(_X2 + lane)], q[ix(_Y2 + lane)], q[ix(_V2 + lane)] = flat[ix(k)], flat[ix(k + 1)], flat[ix(k + 2)]
    for lane in range(BATCH):
        x0, y0, v0 = q[ix(_X0 + lane)], q[ix(_Y0 + lane)], q[ix(_V0 + lane)]
        x1, y1, v1 = q[ix(_X1 + lane)], q[ix(_Y1 + lane)], q[ix(_V1 + lane)]
        x2, y2, v2 = q[ix(_X2 + lane)], q[ix(_Y2 + lane)], q[ix(_V2 + lane)]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        top, bottom = min(min(y0, y1), y2), max(max(y0, y1), y2)
        left, right = min(min(x0, x1), x2), max(max(x0, x1), x2)
        covers = (np.ceil(max(top, _0)) < np.ceil(min(bottom, limit))) & (
            np.ceil(max(left, _0)) < np.ceil(min(right, limit))
        )
        seen = (abs(v0) + abs(v1) + abs(v2) < np.float32(1e30)) & (abs(area) > np.float32(1e-9)) & (area * back <= _0)
        found = _LARGE if bottom - top > _TALLEST else _SMALL
        q[ix(_FOUND + lane)] = found if covers & seen else _UNSEEN


@fast
def _set_up(limit: Any, q: Any) -> None:
    """Planes of values of the triangles that wait, corners by rows, slopes of edges, rows."""
    for i in range(BATCH):
        x0, y0, v0 = q[ix(_U0 + i)], q[ix(_P0 + i)], q[ix(_Q0 + i)]
        x1, y1, v1 = q[ix(_U1 + i)], q[ix(_P1 + i)], q[ix(_Q1 + i)]
        x2, y2, v2 = q[ix(_U2 + i)], q[ix(_P2 + i)], q[ix(_Q2 + i)]
        inverse = _1 / ((x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0))
        a = ((v1 - v0) * (y2 - y0) - (v2 - v0) * (y1 - y0)) * inverse
        b = ((v2 - v0) * (x1 - x0) - (v1 - v0) * (x2 - x0)) * inverse
        low = min(min(v0, v1), v2)
        steep = abs(a) + abs(b) > np.float32(4.0) * (max(max(v0, v1), v2) - low)
        q[ix(_A + i)] = _0 if steep else a
        q[ix(_B + i)] = _0 if steep else b
        q[ix(_VALUE + i)] = low if steep else v0
        q[ix(_VX + i)] = x0
        q[ix(_VY + i)] = y0
        swap = y1 < y0
        x0, x1 = x1 if swap else x0, x0 if swap else x1
        y0, y1 = y1 if swap else y0, y0 if swap else y1
        swap = y2 < y0
        x0, x2 = x2 if swap else x0, x0 if swap else x2
        y0, y2 = y2 if swap else y0, y0 if swap else y2
        swap = y2 < y1
        x1, x2 = x2 if swap else x1, x1 if swap else x2
        y1, y2 = y2 if swap else y1, y1 if swap else y2
        q[ix(_U0 + i)], q[ix(_P0 + i)] = x0, y0
        q[ix(_U1 + i)], q[ix(_P1 + i)] = x1, y1
        upper, lower = (x1 - x0) / (y1 - y0), (x2 - x1) / (y2 - y1)
        q[ix(_LONG + i)] = (x2 - x0) / (y2 - y0)
        q[ix(_UPPER + i)] = upper if y1 > y0 else _0
        q[ix(_LOWER + i)] = lower if y2 > y1 else _0
        q[ix(_TOP + i)] = np.ceil(max(y0, _0))
        q[ix(_BOTTOM + i)] = np.ceil(min(y2, limit))


@fast
def _draw_waiting(n: int, start: int, side: int, shadow: Any, q: Any) -> None:
    """Draw the first ``n`` triangles that wait, at most BATCH."""
    limit = np.float32(side)
    _set_up(limit, q)
    most = _0
    for i in range(n):
        most = max(most, q[ix(_BOTTOM + i)] - q[ix(_TOP + i)])
    for r in range(int(most)):
        begins, counts = _BEGIN + r * _STRIDE, _COUNT + r * _STRIDE
        for i in range(BATCH):
            y = q[ix(_TOP + i)] + np.float32(r)
            x0, y0, x1, y1 = q[ix(_U0 + i)], q[ix(_P0 + i)], q[ix(_U1 + i)], q[ix(_P1 + i)]
            one = x0 + (y - y0) * q[ix(_LONG + i)]
            upper, lower = x0 + (y - y0) * q[ix(_UPPER + i)], x1 + (y - y1) * q[ix(_LOWER + i)]
            other = upper if y < y1 else lower
            begin = np.ceil(max(min(one, other), _0))
            q[ix(begins + i)] = begin
            q[ix(counts + i)] = np.ceil(min(max(one, other), limit)) - begin
    for i in range(n):
        top, a, b = q[ix(_TOP + i)], q[ix(_A + i)], q[ix(_B + i)]
        x0, value = q[ix(_VX + i)], q[ix(_VALUE + i)] + b * (top - q[ix(_VY + i)])
        base = start + np.int64(top) * side
        for r in range(np.int64(q[ix(_BOTTOM + i)] - top)):
            begin = q[ix(_BEGIN + r * _STRIDE + i)]
            count = np.int64(q[ix(_COUNT + r * _STRIDE + i)])
            if count > 0:
                at, first = base + np.int64(begin), value + a * (begin - x0)
                raise_texels(shadow, at, count, a, first)
                for further in range(TEXELS, count, TEXELS):
                    raise_texels(shadow, at + further, count - further, a, first + a * np.float32(further))
            value += b
            base += side


@fast
def _place_vertices(c: int, m: int, row: Any, matrices: Any, draws: Any, vertices: Any, flat: Any) -> None:
    """Place in the map and value of the vertices of a drawable; values behind the light are NaN."""
    perspective = row[PERSPECTIVE] > _0
    sx, sy, ox, oy = row[SCALE_X], row[SCALE_Y], row[SHIFT_X], row[SHIFT_Y]
    m00, m01, m02, m03 = matrices[c, 0], matrices[c, 1], matrices[c, 2], matrices[c, 3]
    m10, m11, m12, m13 = matrices[c, 4], matrices[c, 5], matrices[c, 6], matrices[c, 7]
    m20, m21, m22, m23 = matrices[c, 8], matrices[c, 9], matrices[c, 10], matrices[c, 11]
    source = np.int64(draws[m, FIRST_IN_POOL]) * VERTEX
    for v in range(draws[m, VERTICES]):
        X, Y, Z = vertices[ix(source)], vertices[ix(source + 1)], vertices[ix(source + 2)]
        source += VERTEX
        x = m00 * X + m01 * Y + m02 * Z + m03
        y = m10 * X + m11 * Y + m12 * Z + m13
        z = m20 * X + m21 * Y + m22 * Z + m23
        value = -z
        if perspective:
            value = _1 / z
            x, y = x * value, y * value
            value = value if z > np.float32(1e-3) else np.float32(np.nan)
        flat[ix(3 * v)] = x * sx + ox
        flat[ix(3 * v + 1)] = y * sy + oy
        flat[ix(3 * v + 2)] = value


@fast
def draw_map(
    row: Any, chosen: Any, matrices: Any, draws: Any, vertices: Any, faces: Any, flat: Any, q: Any, shadow: Any,
    coarse: Any,
) -> None:  # fmt: skip
    """Draw the drawables ``chosen`` (n,) into a map, and its coarse maps (see ``shadow.COARSE``).

    ``matrices`` (n, 12), float32, are from their meshes before scale to the light. Working memory: ``flat``, three
    values per vertex of a drawable, and ``q`` (DRAW_REALS,). Triangles that come behind the light are left out.
    """
    side, start = np.int64(row[SIDE]), np.int64(row[START])
    limit = np.float32(side)
    for i in range(side * side):
        shadow[ix(start + i)] = NOTHING
    waiting = 0
    for c in range(len(chosen)):
        m = chosen[c]
        _place_vertices(c, m, row, matrices, draws, vertices, flat)
        back = np.float32(draws[m, CULL])
        first = 3 * np.int64(draws[m, FACES_IN_POOL])
        count: Any = draws[m, FACES]
        for done in range(0, count, BATCH):
            lanes = min(BATCH, count - done)
            _test_faces(lanes, first + 3 * done, faces, flat, back, limit, q)
            for lane in range(lanes):
                found = q[ix(_FOUND + lane)]
                if found == _SMALL:
                    for k in range(9):
                        q[ix(_U0 + k * _STRIDE + waiting)] = q[ix(_X0 + k * _STRIDE + lane)]
                    waiting += 1
                elif found == _LARGE:
                    _draw_triangle(
                        shadow, start, side, q[ix(_X0 + lane)], q[ix(_Y0 + lane)], q[ix(_V0 + lane)],
                        q[ix(_X1 + lane)], q[ix(_Y1 + lane)], q[ix(_V1 + lane)], q[ix(_X2 + lane)],
                        q[ix(_Y2 + lane)], q[ix(_V2 + lane)],
                    )  # fmt: skip
            if waiting >= BATCH:
                _draw_waiting(BATCH, start, side, shadow, q)
                waiting -= BATCH
                for k in range(9):
                    for i in range(waiting):
                        q[ix(_U0 + k * _STRIDE + i)] = q[ix(_U0 + k * _STRIDE + BATCH + i)]
    _draw_waiting(waiting, start, side, shadow, q)
    summarize(start, side, np.int64(row[REACH]), row[SLOPE_X], row[SLOPE_Y], shadow, coarse)

"""Loops over pixels of generated pictures: smooth noise, cells and colours.

Strict IEEE arithmetic in a fixed order, so that pictures are the same bits on every CPU.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.kernels import kernel

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
Ints = NDArray[np.intp]

_ZERO, _HALF, _ONE, _STRETCH, _TWO, _THREE = (np.float32(value) for value in (0, 0.5, 1, 1.8, 2, 3))


def warm_up() -> None:
    """Compile what is below, so that processes started afterwards find it on the disk."""
    ones, places = np.ones((2, 2), np.float32), np.zeros(2, np.intp)
    add_lattice(ones.copy(), _ONE, ones, places, ones[0], places, ones[0])
    stretched(ones, _ONE)
    nearest_points(np.zeros((2, 1, 1), np.float32), ones[0], ones[0])
    plane_noise(ones, ones, np.ones((64, 64), np.float32))
    for kind in (np.float32, np.float64):
        own = ones.astype(kind)
        shared = own.view()
        shared.flags.writeable = False
        smooth_step(own, _ZERO, _ONE)
        for positions in (own, shared):
            painted(positions, ones, np.ones((256, 3), np.float32), np.ones(2, np.uint8))
    wide = ones.astype(np.float64)
    cube_noise(wide, wide, wide, np.ones((2, 2, 2), np.float32))


@kernel()
def add_lattice(total: F32, amplitude: np.float32, values: F32, ix: Ints, tx: F32, iy: Ints, ty: F32) -> None:
    """Add ``amplitude`` times the random ``values`` (ny, nx) of a torus, smoothly in between, to ``total`` (h, w).

    ``ix`` and ``iy`` are the values to the left of each column (w,) and above each row (h,), ``tx`` and ``ty`` the
    weights of the ones after them.
    """
    ny, nx = values.shape
    across = np.empty((ny, len(ix)), np.float32)
    for row in range(ny):
        for x in range(len(ix)):
            across[row, x] = values[row, ix[x]] * (_ONE - tx[x]) + values[row, (ix[x] + 1) % nx] * tx[x]
    for y in range(len(iy)):
        upper, lower = across[iy[y]], across[(iy[y] + 1) % ny]
        above, below = _ONE - ty[y], ty[y]
        for x in range(len(ix)):
            total[y, x] += amplitude * (upper[x] * above + lower[x] * below)


@kernel()
def stretched(total: F32, weight: np.float32) -> F32:
    """A sum of smooth noise with ``weight`` in all (h, w), stretched from where most of it is to 0...1."""
    out = np.empty_like(total)
    for y in range(total.shape[0]):
        for x in range(total.shape[1]):
            out[y, x] = min(max((total[y, x] / weight - _HALF) * _STRETCH + _HALF, _ZERO), _ONE)
    return out


@kernel()
def smooth_step(value: NDArray[Any], edge: np.float32, width: np.float32) -> NDArray[Any]:
    """0 where ``value`` (h, w) is below ``edge``, 1 above, smooth over ``width``; in the precision of ``value``."""
    out = np.empty_like(value)
    for y in range(value.shape[0]):
        for x in range(value.shape[1]):
            t = min(max((value[y, x] - edge) / width + _HALF, _ZERO), _ONE)
            out[y, x] = t * t * (_THREE - _TWO * t)
    return out


@kernel()
def nearest_points(offset: F32, gx: F32, gy: F32) -> tuple[F32, F32, I32]:
    """Squared distance to the nearest and second nearest of n * n points on a torus, and the nearest's number (h, w).

    ``offset`` (2, n, n) is where points are in their cells, ``gx`` (w,) and ``gy`` (h,) where pixels are, in cells.
    """
    n, width = offset.shape[1], len(gx)
    first = np.full((len(gy), width), np.float32(9))
    second = first.copy()
    nearest = np.zeros((len(gy), width), np.int32)
    # Of the points in each row of cells those to the left of, in and to the right of each pixel's own.
    column = np.empty((3, width), np.int32)
    across = np.empty((n, 3, width), np.float32)
    down = np.empty((n, 3, width), np.float32)
    for side in range(3):
        for x in range(width):
            cell = np.floor(gx[x]) + np.float32(side - 1)
            column[side, x] = np.int64(cell) % n
            for row in range(n):
                px = offset[0, row, column[side, x]] + (cell - gx[x])
                across[row, side, x] = px * px
                down[row, side, x] = offset[1, row, column[side, x]]
    for y in range(len(gy)):
        for dy in range(-1, 2):
            cell = np.floor(gy[y]) + np.float32(dy)
            row = np.int64(cell) % n
            lift, before = cell - gy[y], np.int32(row * n)
            for side in range(3):
                _look(across[row, side], down[row, side], lift, column[side], before, first[y], second[y], nearest[y])
    return first, second, nearest


@kernel()
def _look(
    across: F32, down: F32, lift: np.float32, column: I32, before: np.int32, first: F32, second: F32, nearest: I32
) -> None:
    """Hold each of a row of pixels (w,) against one more point; without branches, so that it is done many at a time."""
    for x in range(len(first)):
        near, far = first[x], second[x]
        py = down[x] + lift
        distance = across[x] + py * py
        closer = distance < near
        other = near if closer else distance
        second[x] = other if other < far else far
        first[x] = distance if closer else near
        nearest[x] = before + column[x] if closer else nearest[x]


@kernel()
def painted(position: NDArray[Any], shade: F32, ramp: F32, table: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The colours of a field (h, w, 3): those of ``ramp`` (256, 3) at a ``position`` in 0...1 times a ``shade`` (h, w).

    Colours are places in ``table``, whose entries come out.
    """
    height, width = position.shape
    out = np.empty((height, width, 3), np.uint8)
    top = np.float32(len(table) - 1)
    for y in range(height):
        for x in range(width):
            index = np.int64(min(max(position[y, x], _ZERO), _ONE) * np.float32(255) + _HALF)
            for c in range(3):
                light = ramp[index, c] * shade[y, x] + _HALF
                out[y, x, c] = table[np.int64(min(max(light, _ZERO), top))]
    return out


@kernel()
def plane_noise(u: F32, v: F32, values: F32) -> F32:
    """Smooth noise at ``u`` and ``v`` (h, w): ``values`` (64, 64) at whole numbers, repeating."""
    out = np.empty(u.shape, np.float32)
    for y in range(u.shape[0]):
        for x in range(u.shape[1]):
            left, top = np.floor(u[y, x]), np.floor(v[y, x])
            column, row = np.int64(left) & 63, np.int64(top) & 63
            s, t = u[y, x] - left, v[y, x] - top
            s, t = s * s * (_THREE - _TWO * s), t * t * (_THREE - _TWO * t)
            right, below = (column + 1) & 63, (row + 1) & 63
            upper = values[row, column] * (_ONE - s) + values[row, right] * s
            lower = values[below, column] * (_ONE - s) + values[below, right] * s
            out[y, x] = upper * (_ONE - t) + lower * t
    return out


@kernel()
def cube_noise(x: NDArray[Any], y: NDArray[Any], z: NDArray[Any], values: F32) -> NDArray[Any]:
    """Smooth noise at points (h, w) of the cube [-0.5, 0.5]^3, in their precision.

    ``values`` (n + 1, n + 1, n + 1) go from edge to edge.
    """
    n = np.float32(values.shape[0] - 1)
    most = n * np.float32(0.9999)
    out = np.zeros_like(x)
    for row in range(x.shape[0]):
        for column in range(x.shape[1]):
            i, a = _in_cell(x[row, column], n, most)
            j, b = _in_cell(y[row, column], n, most)
            k, c = _in_cell(z[row, column], n, most)
            for di in range(2):
                wa = a if di else _ONE - a
                for dj in range(2):
                    wb = b if dj else _ONE - b
                    for dk in range(2):
                        wc = c if dk else _ONE - c
                        out[row, column] += values[i + di, j + dj, k + dk] * (wa * wb * wc)
    return out


@kernel()
def _in_cell(axis: Any, n: np.float32, most: np.float32) -> tuple[Any, Any]:
    place = min(max((axis + _HALF) * n, _ZERO), most)
    below = np.int64(place)
    t = place - np.float32(below)
    return below, t * t * (_THREE - _TWO * t)

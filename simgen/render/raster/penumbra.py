"""What each fragment of an image sees of the lights that have shadow maps.

Every other pixel of every other row is looked up first. What lies between takes over what the four around it see, if
they are the same surface and not far from agreeing; the rest is looked up too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simgen.render.raster.jit import fast, ix
from simgen.render.raster.lights import SHADOW
from simgen.render.raster.shadow_filter import FRAGMENT, PART, PX, PY, SEEN, W, look_up

_SAME = np.float32(0.98)
"""Least ratio of the depths of neighbours on the same surface."""
_ALIKE = np.float32(0.3)
"""Shares of the light that are no farther apart are taken to run straight from one neighbour to the next."""
_ALL = np.uint8(255)
_FAR = np.float32(3e38)

_0 = np.float32(0.0)
_1 = np.float32(1.0)
_HALF = np.float32(0.5)
_QUARTER = np.float32(0.25)


@fast
def band(width: int) -> tuple[int, int]:
    """Rows of the grid that are looked up together in an image of ``width``, and the numbers in a row."""
    stride = (width + 1) // 2 + 1
    return max(PART // stride, 1), stride


@fast
def _end_run(k: int, count: int, width: int, pixel: Any) -> int:
    """The fragment after the last of those from ``k`` that are at one pixel after the other of a row."""
    place = int(pixel[ix(k)])
    end = min(k + width - place % width, count)
    # Pixels ascend: if the last is where it would be without gaps, there are none.
    if int(pixel[ix(end - 1)]) - place == end - 1 - k:
        return end
    low = k
    while end - low > 1:
        middle = (low + end) // 2
        same = int(pixel[ix(middle)]) - place == middle - k
        low, end = middle if same else low, end if same else middle
    return end


@fast
def _gather_grid(
    k: int, top: int, first: int, last: int, width: int, stride: int, count: int, pixel: Any, w: Any, grid: Any,
    index: Any,
) -> int:  # fmt: skip
    """1 / z at the grid's rows ``first`` to ``last`` into ``grid`` (0: none), which begins with the row ``top``.

    ``index`` takes the fragments there; they are looked for from ``k``. Returns the first fragment of later rows.
    """
    for i in range((first - top) * stride, (last - top) * stride):
        grid[ix(i)] = _0
        index[ix(i)] = 0
    while k < count and pixel[ix(k)] < 2 * last * width:
        end = _end_run(k, count, width, pixel)
        y, x = int(pixel[ix(k)]) // width, int(pixel[ix(k)]) % width
        if y % 2 == 0 and y >= 2 * first:
            here = k + x % 2
            at = (y // 2 - top) * stride + (x + 1) // 2
            for i in range((end - here + 1) // 2):
                grid[ix(at + i)] = w[ix(here + 2 * i)]
                index[ix(at + i)] = here + 2 * i
        k = end
    return k


@fast
def _load_part(at: int, n: int, top: int, stride: int, grid: Any, index: Any, q: Any, a: Any) -> None:
    """The part of the ``n`` pixels from ``at`` of the grid, which begins with the row ``top``."""
    done = 0
    while done < n:
        y, x = top + (at + done) // stride, (at + done) % stride
        m = min(n - done, stride - x)
        for i in range(m):
            q[ix(PX + done + i)] = np.float32(2 * (x + i))
            q[ix(PY + done + i)] = np.float32(2 * y)
        done += m
    for i in range(n):
        q[ix(W + i)] = grid[ix(at + i)]
        a[ix(FRAGMENT + i)] = index[ix(at + i)]


@fast
def _fill_border(first: int, last: int, bottom: int, start: int, across: int, stride: int, grid: Any) -> None:
    """Repeat the last column of the rows ``first`` to ``last`` of a grid, and the last row before ``bottom`` there."""
    for y in range(first, last):
        grid[ix(start + y * stride + across)] = grid[ix(start + y * stride + across - 1)]
    if last == bottom:
        for x in range(stride):
            grid[ix(start + bottom * stride + x)] = grid[ix(start + (bottom - 1) * stride + x)]


@fast
def _square(at: int, stride: int, grid: Any) -> Any:
    """Four neighbours in the grid."""
    return grid[ix(at)], grid[ix(at + 1)], grid[ix(at + stride)], grid[ix(at + stride + 1)]


@fast
def _fill_row(at: int, odd: bool, stride: int, size: int, number: int, grid: Any, row: Any, doubts: Any) -> None:
    """What the grid from ``at`` tells of the pixels of an image row.

    Of each pixel, ``row`` (2 + number, 2 * stride) takes the range of 1 / z in which it is the surface of the four
    around it, and the shares of the lights; ``doubts`` has bits for the lights of which the four do not tell.
    """
    # Loops are short of statements: LLVM vectorizes none that reads and writes at many places.
    across, long = stride - 1, 2 * stride
    least, most, every = (_FAR, -_1, _ALL) if odd else (-_1, _FAR, np.uint8(0))
    for x in range(across):
        p, q, r, s = _square(at + x, stride, grid)
        low, high = min(min(p, q), min(r, s)), max(max(p, q), max(r, s))
        low = low * np.float32(0.9999) if low > _SAME * high else _FAR
        row[ix(2 * x)] = min(low, least)
        row[ix(2 * x + 1)] = low
    for x in range(across):
        p, q, r, s = _square(at + x, stride, grid)
        high = max(max(p, q), max(r, s)) * np.float32(1.0001)
        row[ix(long + 2 * x)] = max(high, most)
        row[ix(long + 2 * x + 1)] = high
    for i in range(long):
        doubts[ix(i)] = 0
    for n in range(number):
        at += size
        bit = np.uint8(1 << n)
        for x in range(across):
            p, q, r, s = _square(at + x, stride, grid)
            low, high = min(min(p, q), min(r, s)), max(max(p, q), max(r, s))
            doubt = np.uint8(0) if high - low < _ALIKE else bit
            doubts[ix(2 * x)] |= doubt & every
            doubts[ix(2 * x + 1)] |= doubt
        start = (n + 2) * long
        if odd:
            for x in range(across):
                p, q, r, s = _square(at + x, stride, grid)
                row[ix(start + 2 * x)] = (p + r) * _HALF
                row[ix(start + 2 * x + 1)] = ((p + r) + (q + s)) * _QUARTER
        else:
            for x in range(across):
                p, q = grid[ix(at + x)], grid[ix(at + x + 1)]
                row[ix(start + 2 * x)] = p
                row[ix(start + 2 * x + 1)] = (p + q) * _HALF


@fast
def _spread_grid(
    k: int, first: int, last: int, width: int, stride: int, size: int, number: int, count: int, total: int, pixel: Any,
    w: Any, grid: Any, row: Any, doubts: Any, wanted: Any, seen: Any,
) -> int:  # fmt: skip
    """What the grid tells of the fragments from ``k`` in the image rows ``first`` to ``last`` into ``seen``.

    ``wanted`` takes bits for what it does not tell. Returns the first fragment of later rows.
    """
    long = 2 * stride
    begin, current = k, -1
    while k < count and pixel[ix(k)] < last * width:
        end = _end_run(k, count, width, pixel)
        y, x = int(pixel[ix(k)]) // width, int(pixel[ix(k)]) % width
        if y != current:
            _fill_row((y - first) // 2 * stride, y % 2 == 1, stride, size, number, grid, row, doubts)
            current = y
        for i in range(end - k):
            near = w[ix(k + i)]
            same = near >= row[ix(x + i)] and near <= row[ix(long + x + i)]
            wanted[ix(k - begin + i)] = doubts[ix(x + i)] if same else _ALL
        for n in range(number):
            for i in range(end - k):
                seen[ix(n * total + k + i)] = row[ix((n + 2) * long + x + i)]
        k = end
    for i in range(8):
        wanted[ix(k - begin + i)] = 0
    return k


@fast
def _list_wanted(begin: int, end: int, wanted: Any, words: Any, chosen: Any) -> int:
    """List the fragments from ``begin`` to ``end`` of which something is ``wanted``; how many there are."""
    n = 0
    for k in range((end - begin + 7) // 8):
        # Long stretches are told by the grid; elsewhere there is no telling, and no branch.
        if words[ix(k)] != 0:
            for i in range(8 * k, 8 * k + 8):
                chosen[ix(n)] = begin + i
                n += int(wanted[ix(i)] != 0)
    return n


@fast
def look_up_shadows(
    width: int, height: int, count: int, total: int, pixel: Any, px: Any, py: Any, w: Any, nx: Any, ny: Any, nz: Any,
    triangle: Any, planes: Any, camera: Any, lights: Any, maps: Any, shadow: Any, coarse: Any, discs: Any, grid: Any,
    index: Any, row: Any, doubts: Any, wanted: Any, words: Any, chosen: Any, listed: Any, q: Any, a: Any, seen: Any,
) -> None:  # fmt: skip
    """Share, from 0 to 1, that fragments see of the lights that have maps: ``seen`` (maps, ``total``), flat.

    The first ``count`` fragments are those at pixel centres, in the order of pixels. Working memory, with the rows and
    the stride of ``band``: ``grid`` (1 + maps, rows + 1, stride), ``index`` (rows + 1, stride), ``row``
    (2 + maps, 2 * stride), ``doubts`` (2 * stride), ``wanted`` (4 * rows * stride + 8) and its ``words`` of eight
    bytes, ``chosen`` and ``listed`` (4 * rows * stride + 8), ``q`` (VALUES, finite) and ``a`` (NUMBERS).
    """
    number = 0
    for k in range(len(lights)):
        number += int(lights[k, SHADOW] >= _0)
    if number == 0:
        return
    across, down = (width + 1) // 2, (height + 1) // 2
    rows, stride = band(width)
    size = (rows + 1) * stride
    # A band of rows after the other: what it needs of fragments and maps stays in the caches.
    top = ahead = begin = 0
    while begin < total:
        if top < down:
            bottom = min(top + rows, down)
            # The last row of a band is the first of the next one.
            first, last = top + int(top > 0), min(bottom + 1, down)
            ahead = _gather_grid(ahead, top, first, last, width, stride, count, pixel, w, grid, index)
            for at in range((first - top) * stride, (last - top) * stride, PART):
                n = min(PART, (last - top) * stride - at)
                _load_part(at, n, top, stride, grid, index, q, a)
                for k in range(len(lights)):
                    m = int(lights[k, SHADOW])
                    if m >= 0:
                        look_up(
                            n, lights[k], maps[m], camera, nx, ny, nz, triangle, planes, shadow, coarse, discs, q, a
                        )
                        for i in range(n):
                            grid[ix((m + 1) * size + at + i)] = q[ix(SEEN + i)]
            for m in range(number + 1):
                _fill_border(first - top, last - top, bottom - top, m * size, across, stride, grid)
            end = _spread_grid(
                begin, 2 * top, min(2 * bottom, height), width, stride, size, number, count, total, pixel, w, grid,
                row, doubts, wanted, seen,
            )  # fmt: skip
            for m in range(number + 1):
                for x in range(stride):
                    grid[ix(m * size + x)] = grid[ix(m * size + (bottom - top) * stride + x)]
            top = bottom
        else:
            # Fragments that are not at pixel centres are at edges; the grid would tell little of them.
            end = min(begin + 4 * rows * stride, total)
            for i in range(end - begin + 8):
                wanted[ix(i)] = _ALL if i < end - begin else np.uint8(0)
        several = _list_wanted(begin, end, wanted, words, chosen)
        for k in range(len(lights)):
            m = int(lights[k, SHADOW])
            if m < 0:
                continue
            left = 0
            for j in range(several):
                i = int(chosen[ix(j)])
                listed[ix(left)] = i
                left += (int(wanted[ix(i - begin)]) >> m) & 1
            for at in range(0, left, PART):
                n = min(PART, left - at)
                for i in range(n):
                    f = np.int64(listed[ix(at + i)])
                    a[ix(FRAGMENT + i)] = f
                    q[ix(PX + i)] = px[ix(f)]
                    q[ix(PY + i)] = py[ix(f)]
                    q[ix(W + i)] = w[ix(f)]
                look_up(n, lights[k], maps[m], camera, nx, ny, nz, triangle, planes, shadow, coarse, discs, q, a)
                for i in range(n):
                    seen[ix(m * total + np.int64(listed[ix(at + i)]))] = q[ix(SEEN + i)]
        begin = end

"""Which triangle is seen at each sample, for a whole batch: the CPU rasterizer's visibility buffer on the device.

Keys, coverage rule and formulas are those of ``simgen.render.raster.visibility``; drawing is an atomic maximum of
64-bit keys. One thread sets up one triangle and draws it when it is small; the set-up of larger ones is kept, and their
tiles go to a list that blocks of threads then draw, a pixel each.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import float64, int64

from simgen.render.cuda.batch import HEIGHT, START, WIDTH, X_FIRST, Y_FIRST
from simgen.render.cuda.device import SIMULATED, cuda, device, strict_kernel
from simgen.render.raster import textures, transform, visibility
from simgen.render.raster.layout import (
    ALPHA_MAP,
    CAM_MESH,
    CULL,
    CUTOFF,
    CUTOUT,
    FACES,
    FACES_IN_POOL,
    FAR,
    FIRST_FACE,
    FIRST_IN_POOL,
    FIRST_VERTEX,
    NEAR,
    PLACED,
    VERTEX,
    VERTICES,
)

TILE_WIDTH = 32
TILE_HEIGHT = 8
TILE_THREADS = TILE_WIDTH * TILE_HEIGHT
TILE_BLOCKS = 2 if SIMULATED else 4096
"""Blocks that share the tiles of large triangles."""
SMALL = 64
"""Pixels of a box around a triangle that one thread draws alone."""

# A triangle ready to draw, float64: corners sorted by y, slopes of the long, the upper and the lower edge.
PIECE = 9
MOST_PIECES = 2
# Of a large triangle, int32: its number, its drawable, how many corners it has after clipping.
TRIANGLE, DRAWABLE, CORNERS = range(3)
# What has been listed, int64: tiles, large triangles.
TILES, TRIANGLES = range(2)
_LARGEST = 1e12

project = device(transform.project)
to_pixels = device(visibility._to_pixels)
attribute_planes = device(visibility._attribute_planes)
sample_alpha = device(textures.sample_alpha)


@device
def find_owner(draws: Any, first: int, count: int, item: int) -> int:
    """The drawable that vertex or face ``item`` belongs to; ``first`` and ``count`` are columns of ``draws``."""
    low, high = 0, len(draws)
    while high - low > 1:
        middle = (low + high) // 2
        if draws[middle, first] <= item:
            low = middle
        else:
            high = middle
    # Those without any share their first with the next one.
    while draws[low, count] == 0:
        low -= 1
    return low


@device
def place_vertex(i: int, m: int, draws: Any, matrices: Any, camera: Any, pool: Any, placed: Any) -> bool:
    """Transform and project vertex ``i`` of the batch; whether it is behind the near plane (or not finite)."""
    near = camera[NEAR]
    source = np.int64(draws[m, FIRST_IN_POOL] + i - draws[m, FIRST_VERTEX]) * VERTEX
    x, y, z = np.float64(pool[source]), np.float64(pool[source + 1]), np.float64(pool[source + 2])
    k = CAM_MESH
    X = matrices[m, k] * x + matrices[m, k + 1] * y + matrices[m, k + 2] * z + matrices[m, k + 3]
    Y = matrices[m, k + 4] * x + matrices[m, k + 5] * y + matrices[m, k + 6] * z + matrices[m, k + 7]
    Z = matrices[m, k + 8] * x + matrices[m, k + 9] * y + matrices[m, k + 10] * z + matrices[m, k + 11]
    u, v = project(X, Y, max(Z, near), camera)
    target = i * PLACED
    placed[target] = X
    placed[target + 1] = Y
    placed[target + 2] = Z
    placed[target + 3] = u
    placed[target + 4] = v
    return not (near <= Z)


@strict_kernel
def place(draws: Any, image: Any, matrices: Any, cameras: Any, pool: Any, placed: Any, clips: Any, count: int) -> None:
    """A thread per vertex: place it, and note in ``clips`` (M,) the drawables that cross the near plane."""
    i = cuda.grid(1)
    if i < count:
        m = find_owner(draws, FIRST_VERTEX, VERTICES, i)
        if image[m] >= 0 and place_vertex(i, m, draws, matrices, cameras[image[m]], pool, placed):
            clips[m] = 1


@device
def clip(polygon: Any, near: float) -> int:
    """Clip the triangle in ``polygon[:3]`` (X, Y, Z) at the near plane into ``polygon[3:7]``; the number of corners.

    New corners are computed from the end in front to the end behind, so that triangles that share an edge share them.
    """
    count = 0
    for k in range(3):
        a, b = k, (k + 1) % 3
        if polygon[a, 2] >= near:
            for c in range(3):
                polygon[3 + count, c] = polygon[a, c]
            count += 1
        if (polygon[a, 2] >= near) != (polygon[b, 2] >= near):
            if polygon[a, 2] < near:
                a, b = b, a
            t = (near - polygon[a, 2]) / (polygon[b, 2] - polygon[a, 2])
            polygon[3 + count, 0] = polygon[a, 0] + t * (polygon[b, 0] - polygon[a, 0])
            polygon[3 + count, 1] = polygon[a, 1] + t * (polygon[b, 1] - polygon[a, 1])
            polygon[3 + count, 2] = near
            count += 1
    return count


@device
def set_up_face(
    t: int, m: int, view: Any, draws: Any, reals: Any, camera: Any, samples: Any, placed: Any, clips: Any, faces: Any,
    vertices: Any, plane: Any, corners: Any, polygon: Any, inverse: Any, whole: Any, ends: Any, box: Any,
) -> int:  # fmt: skip
    """Set up triangle ``t`` of drawable ``m``: the number of its corners after clipping, 0 when it is not drawn.

    ``plane`` (4, 3) takes the planes of 1 / z and, for cut-outs, of u / z, v / z and alpha / z over pixels; ``corners``
    (4, 2) pixels; ``ends`` (2,) the bounds of 1 / z; ``box`` (4,) int64 first and last column and row of pixels that
    it may cover in the view. ``polygon`` (7, 3), ``inverse`` (3, 3) and ``whole`` (3,) int64 are working memory.
    """
    near = camera[NEAR]
    crosses = clips[m] != 0
    back = 0.0 if crosses else np.float64(draws[m, CULL])
    first_vertex = np.int64(draws[m, FIRST_VERTEX])
    face = 3 * (np.int64(draws[m, FACES_IN_POOL]) + t - draws[m, FIRST_FACE])
    i = (first_vertex + faces[face]) * PLACED
    j = (first_vertex + faces[face + 1]) * PLACED
    k = (first_vertex + faces[face + 2]) * PLACED
    x0, y0 = placed[i + 3], placed[i + 4]
    x1, y1 = placed[j + 3], placed[j + 4]
    x2, y2 = placed[k + 3], placed[k + 4]
    z0, z1, z2 = placed[i + 2], placed[j + 2], placed[k + 2]
    x_first, y_first = np.float64(view[X_FIRST]), np.float64(view[Y_FIRST])
    width, height = np.float64(view[WIDTH]), np.float64(view[HEIGHT])
    behind = False
    if crosses:
        if not (z0 >= near or z1 >= near or z2 >= near):
            return 0
        behind = not (z0 >= near and z1 >= near and z2 >= near)
    if not behind:
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if not (abs(area) < _LARGEST * _LARGEST):
            return 0
        if area == 0.0 or area * back > 0.0:
            return 0
        ymin, ymax = min(y0, y1, y2), max(y0, y1, y2)
        xmin, xmax = min(x0, x1, x2), max(x0, x1, x2)
        if ymax <= y_first - 1 or ymin >= y_first + height or xmax <= x_first - 1 or xmin >= x_first + width:
            return 0
        if xmax - xmin < 2.0 and ymax - ymin < 2.0:
            hit = False
            for s in range(len(samples)):
                ox, oy = samples[s, 0], samples[s, 1]
                if np.ceil(ymin - oy) < np.ceil(ymax - oy) and np.ceil(xmin - ox) < np.ceil(xmax - ox):
                    hit = True
            if not hit:
                return 0
    X0, Y0 = placed[i], placed[i + 1]
    X1, Y1 = placed[j], placed[j + 1]
    X2, Y2 = placed[k], placed[k + 1]
    ax, ay, az = X1 - X0, Y1 - Y0, z1 - z0
    bx, by, bz = X2 - X0, Y2 - Y0, z2 - z0
    nx, ny, nz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    d = nx * X0 + ny * Y0 + nz * z0
    if d == 0.0 or not (abs(d) < np.inf):
        return 0
    inverse_d = 1.0 / d
    to_pixels(nx * inverse_d, ny * inverse_d, nz * inverse_d, camera, plane, 0)
    if not (abs(plane[0, 0]) + abs(plane[0, 1]) + abs(plane[0, 2]) < np.inf):
        return 0
    if draws[m, CUTOUT] != 0:
        inverse[0, 0], inverse[0, 1], inverse[0, 2] = Y1 * z2 - z1 * Y2, z1 * X2 - X1 * z2, X1 * Y2 - Y1 * X2
        inverse[1, 0], inverse[1, 1], inverse[1, 2] = Y2 * z0 - z2 * Y0, z2 * X0 - X2 * z0, X2 * Y0 - Y2 * X0
        inverse[2, 0], inverse[2, 1], inverse[2, 2] = Y0 * z1 - z0 * Y1, z0 * X1 - X0 * z1, X0 * Y1 - Y0 * X1
        for r in range(3):
            for q in range(3):
                inverse[r, q] *= inverse_d
            whole[r] = draws[m, FIRST_IN_POOL] + faces[face + r]
        attribute_planes(inverse[0], inverse[1], inverse[2], m, draws, reals, camera, vertices, whole, plane)
    size = 3
    if behind:
        polygon[0, 0], polygon[0, 1], polygon[0, 2] = X0, Y0, z0
        polygon[1, 0], polygon[1, 1], polygon[1, 2] = X1, Y1, z1
        polygon[2, 0], polygon[2, 1], polygon[2, 2] = X2, Y2, z2
        size = clip(polygon, near)
        ends[0], ends[1] = np.inf, 0.0
        for q in range(size):
            u, v = project(polygon[3 + q, 0], polygon[3 + q, 1], polygon[3 + q, 2], camera)
            corners[q, 0], corners[q, 1] = u, v
            ends[0] = min(ends[0], 1.0 / polygon[3 + q, 2])
            ends[1] = max(ends[1], 1.0 / polygon[3 + q, 2])
    else:
        corners[0, 0], corners[0, 1] = x0, y0
        corners[1, 0], corners[1, 1] = x1, y1
        corners[2, 0], corners[2, 1] = x2, y2
        ends[0], ends[1] = 1.0 / max(z0, z1, z2), 1.0 / min(z0, z1, z2)
    total = 0.0
    xmin, xmax, ymin, ymax = np.inf, -np.inf, np.inf, -np.inf
    for q in range(size):
        u, v = corners[q, 0], corners[q, 1]
        total += abs(u) + abs(v)
        xmin, xmax, ymin, ymax = min(xmin, u), max(xmax, u), min(ymin, v), max(ymax, v)
    if not (total < _LARGEST):
        return 0
    # Samples lie within half a pixel of their centres.
    box[0] = np.int64(min(max(np.floor(xmin - 0.5), x_first), x_first + width))
    box[1] = np.int64(min(max(np.ceil(xmax + 0.5), x_first - 1.0), x_first + width - 1.0))
    box[2] = np.int64(min(max(np.floor(ymin - 0.5), y_first), y_first + height))
    box[3] = np.int64(min(max(np.ceil(ymax + 0.5), y_first - 1.0), y_first + height - 1.0))
    return size if box[1] >= box[0] and box[3] >= box[2] else 0


@device
def sort_piece(corners: Any, q: int, piece: Any) -> None:
    """The triangle of corners 0, ``q`` - 1 and ``q``, ready to draw, into ``piece`` (PIECE,)."""
    x0, y0 = corners[0, 0], corners[0, 1]
    x1, y1 = corners[q - 1, 0], corners[q - 1, 1]
    x2, y2 = corners[q, 0], corners[q, 1]
    if y1 < y0:
        x0, y0, x1, y1 = x1, y1, x0, y0
    if y2 < y0:
        x0, y0, x2, y2 = x2, y2, x0, y0
    if y2 < y1:
        x1, y1, x2, y2 = x2, y2, x1, y1
    piece[0], piece[1], piece[2], piece[3], piece[4], piece[5] = x0, y0, x1, y1, x2, y2
    piece[6] = (x2 - x0) / (y2 - y0)
    piece[7] = (x1 - x0) / (y1 - y0) if y1 > y0 else 0.0
    piece[8] = (x2 - x1) / (y2 - y1) if y2 > y1 else 0.0


@device
def covered_rows(piece: Any, oy: float, view: Any) -> Any:
    """First row and row after the last of the samples that a piece covers, at an offset ``oy`` from pixel centres."""
    top_end, bottom_end = np.float64(view[Y_FIRST]), np.float64(view[Y_FIRST] + view[HEIGHT])
    ys, ye = piece[1] - oy, piece[5] - oy
    top = np.int64(np.ceil(min(max(ys, top_end), bottom_end)))
    bottom = np.int64(np.ceil(max(min(ye, bottom_end), top_end)))
    return top, bottom


@device
def covered_columns(piece: Any, ox: float, oy: float, row: int, view: Any) -> Any:
    """First column and column after the last that a piece covers in ``row``."""
    left_end, right_end = np.float64(view[X_FIRST]), np.float64(view[X_FIRST] + view[WIDTH])
    xs, ys, xm, ym = piece[0] - ox, piece[1] - oy, piece[2] - ox, piece[3] - oy
    y = np.float64(row)
    left = xs + (y - ys) * piece[6]
    right = xs + (y - ys) * piece[7] if y < ym else xm + (y - ym) * piece[8]
    if right < left:
        left, right = right, left
    if not (left <= right):
        # An edge too steep for its slope to be finite may leave no number.
        return np.int64(right_end), np.int64(right_end)
    begin = np.int64(np.ceil(min(max(left, left_end), right_end)))
    end = np.int64(np.ceil(max(min(right, right_end), left_end)))
    return begin, end


@device
def key_at(
    column: int, row: int, ox: float, oy: float, t: int, m: int, plane: Any, ends: Any, draws: Any, reals: Any,
    textures: Any, texels: Any,
) -> Any:  # fmt: skip
    """The key of triangle ``t`` at a sample that it covers; 0, which changes nothing, where it is transparent."""
    below = np.uint64(0xFFFFFFFF - np.int64(t))
    if draws[m, CUTOUT] == 0:
        a, b, c = plane[0, 0], plane[0, 1], plane[0, 2]
        w = a * np.float64(column) + (b * np.float64(row) + (c + a * ox + b * oy))
    else:
        x, y = np.float64(column) + ox, np.float64(row) + oy
        w = plane[0, 0] * x + (plane[0, 1] * y + plane[0, 2])
        z = 1.0 / w
        alpha = (plane[3, 0] * x + (plane[3, 1] * y + plane[3, 2])) * z
        texture = draws[m, ALPHA_MAP]
        if texture >= 0:
            u = (plane[1, 0] * x + (plane[1, 1] * y + plane[1, 2])) * z
            v = (plane[2, 0] * x + (plane[2, 1] * y + plane[2, 2])) * z
            u_x, u_y = (plane[1, 0] - u * plane[0, 0]) * z, (plane[1, 1] - u * plane[0, 1]) * z
            v_x, v_y = (plane[2, 0] - v * plane[0, 0]) * z, (plane[2, 1] - v * plane[0, 1]) * z
            alpha *= sample_alpha(textures, texels, texture, u, v, u_x, v_x, u_y, v_y)
        if not (alpha >= np.float64(reals[m, CUTOFF])):
            return np.uint64(0)
    value = np.float32(min(max(w, ends[0]), ends[1]))
    return (np.uint64(value.view(np.uint32)) << np.uint64(32)) | below


@device
def empty_key(camera: Any) -> Any:
    """The key of a sample where nothing is seen."""
    return np.uint64(np.float32(1.0 / camera[FAR]).view(np.uint32)) << np.uint64(32)


@strict_kernel
def empty(keys: Any, views: Any, cameras: Any, samples: int, shares: int, count: int) -> None:
    """``shares`` threads a view: no triangle at any sample, at the far plane."""
    i = cuda.grid(1)
    if i < count:
        view = i // shares
        key = empty_key(cameras[view])
        for k in range(i % shares, views[view, WIDTH] * views[view, HEIGHT] * samples, shares):
            keys[views[view, START] + k] = key


@strict_kernel
def draw_faces(
    draws: Any, reals: Any, image: Any, views: Any, cameras: Any, samples: Any, placed: Any, clips: Any, faces: Any,
    vertices: Any, textures: Any, texels: Any, keys: Any, listed: Any, number: Any, whose: Any, planes: Any,
    bounds: Any, pieces: Any, count: int,
) -> None:  # fmt: skip
    """A thread per triangle: draw it when small, else keep its set-up and list its tiles.

    ``listed`` (n, 2) takes the row of a large triangle (-1: drawn already) and the number of the tile in its view,
    ``number`` (2,) the TILES and TRIANGLES. The set-up of row k: ``whose`` (k, 3), ``planes`` (k, 4, 3) and ``bounds``
    (k, 2) of 1 / z, ``pieces`` (k, MOST_PIECES, PIECE).
    """
    t = cuda.grid(1)
    plane = cuda.local.array((4, 3), float64)
    corners = cuda.local.array((4, 2), float64)
    polygon = cuda.local.array((7, 3), float64)
    inverse = cuda.local.array((3, 3), float64)
    whole = cuda.local.array(3, int64)
    ends = cuda.local.array(2, float64)
    box = cuda.local.array(4, int64)
    piece = cuda.local.array(PIECE, float64)
    if t >= count:
        return
    m = find_owner(draws, FIRST_FACE, FACES, t)
    if image[m] < 0:
        return
    view, camera = views[image[m]], cameras[image[m]]
    size = set_up_face(
        t, m, view, draws, reals, camera, samples, placed, clips, faces, vertices, plane, corners, polygon, inverse,
        whole, ends, box,
    )  # fmt: skip
    if size == 0:
        return
    fits, n = False, np.int64(0)
    if (box[1] - box[0] + 1) * (box[3] - box[2] + 1) > SMALL:
        across = (view[WIDTH] + TILE_WIDTH - 1) // TILE_WIDTH
        left, right = (box[0] - view[X_FIRST]) // TILE_WIDTH, (box[1] - view[X_FIRST]) // TILE_WIDTH
        top, bottom = (box[2] - view[Y_FIRST]) // TILE_HEIGHT, (box[3] - view[Y_FIRST]) // TILE_HEIGHT
        tiles = (right - left + 1) * (bottom - top + 1)
        at, n = cuda.atomic.add(number, TILES, tiles), cuda.atomic.add(number, TRIANGLES, 1)
        fits = at + tiles <= len(listed) and n < len(whose)
        k = at
        for row in range(top, bottom + 1):
            for column in range(left, right + 1):
                if k < len(listed):
                    listed[k, 0] = n if fits else -1
                    listed[k, 1] = row * across + column
                    k += 1
        if fits:
            whose[n, TRIANGLE], whose[n, DRAWABLE], whose[n, CORNERS] = t, m, size
            bounds[n, 0], bounds[n, 1] = ends[0], ends[1]
            for r in range(4):
                if r == 0 or draws[m, CUTOUT] != 0:
                    for c in range(3):
                        planes[n, r, c] = plane[r, c]
    stride = view[WIDTH] * view[HEIGHT]
    for q in range(2, size):
        sort_piece(corners, q, piece)
        if fits:
            for c in range(PIECE):
                pieces[n, q - 2, c] = piece[c]
            continue
        for s in range(len(samples)):
            ox, oy = samples[s, 0], samples[s, 1]
            first, last = covered_rows(piece, oy, view)
            for row in range(first, last):
                begin, end = covered_columns(piece, ox, oy, row, view)
                start = view[START] + s * stride + (row - view[Y_FIRST]) * view[WIDTH] - view[X_FIRST]
                for column in range(begin, end):
                    key = key_at(column, row, ox, oy, t, m, plane, ends, draws, reals, textures, texels)
                    cuda.atomic.max(keys, start + column, key)


@strict_kernel
def draw_tiles(
    draws: Any, reals: Any, image: Any, views: Any, samples: Any, textures: Any, texels: Any, keys: Any, listed: Any,
    number: Any, whose: Any, planes: Any, bounds: Any, pieces: Any,
) -> None:  # fmt: skip
    """Blocks of TILE_THREADS threads: draw the tiles listed, a pixel a thread."""
    waiting = int(min(number[TILES], len(listed)))
    for k in range(cuda.blockIdx.x, waiting, cuda.gridDim.x):
        n = np.int64(listed[k, 0])
        if n < 0:
            continue
        t, m, size = np.int64(whose[n, TRIANGLE]), np.int64(whose[n, DRAWABLE]), np.int64(whose[n, CORNERS])
        view = views[image[m]]
        across = (view[WIDTH] + TILE_WIDTH - 1) // TILE_WIDTH
        tile = np.int64(listed[k, 1])
        column = view[X_FIRST] + (tile % across) * TILE_WIDTH + cuda.threadIdx.x % TILE_WIDTH
        row = view[Y_FIRST] + (tile // across) * TILE_HEIGHT + cuda.threadIdx.x // TILE_WIDTH
        stride = view[WIDTH] * view[HEIGHT]
        start = view[START] + (row - view[Y_FIRST]) * view[WIDTH] + column - view[X_FIRST]
        for q in range(2, size):
            piece = pieces[n, q - 2]
            for s in range(len(samples)):
                ox, oy = samples[s, 0], samples[s, 1]
                first, last = covered_rows(piece, oy, view)
                if row < first or row >= last:
                    continue
                begin, end = covered_columns(piece, ox, oy, row, view)
                if begin <= column < end:
                    key = key_at(column, row, ox, oy, t, m, planes[n], bounds[n], draws, reals, textures, texels)
                    cuda.atomic.max(keys, start + s * stride, key)

"""Which triangle is seen at each sample: the visibility buffer.

A buffer holds one 64-bit key per sample: the bits of 1 / z as float32 above the complement of the triangle's number.
Drawing is a maximum, so the order of triangles does not matter; equal depth goes to the lower number. An empty sample
holds the bits of 1 / far above zero, which also clips at the far plane.

Coverage is that of scan conversion in float64: an edge crosses a row of samples at the same x for both triangles that
share it, because it is always evaluated from its upper end; rows and columns are half open. A sample on an edge
therefore belongs to exactly one of the two triangles (the top-left rule), and shared edges leave no holes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simgen.render.raster.jit import ix, strict
from simgen.render.raster.layout import (
    ALPHA_MAP,
    BASE_ALPHA,
    BOX,
    CLIPS,
    CULL,
    CUTOFF,
    CUTOUT,
    CX,
    CY,
    FACES,
    FACES_IN_POOL,
    FIRST_FACE,
    FIRST_IN_POOL,
    FIRST_VERTEX,
    FX,
    FY,
    HIDDEN,
    NEAR,
    PLACED,
    SKEW,
    VERTEX,
)
from simgen.render.raster.scanlines import (
    BATCH,
    CLIPPED,
    FOUND,
    LARGE,
    LARGEST,
    SCAN_REALS,
    TALLEST,
    draw_waiting,
    line_up,
    mark_clipped,
    test_faces,
)
from simgen.render.raster.simd import WIDTH, raise_keys
from simgen.render.raster.textures import sample_alpha
from simgen.render.raster.transform import project

EMPTY = 0xFFFFFFFF
"""The triangle number of a sample where nothing is seen."""

_ROWS = 64
"""Rows of a large triangle that are looked at together."""


@strict
def _ceil(x: float) -> Any:
    return np.int64(np.ceil(x))


@strict
def key_triangle(key: Any) -> Any:
    """The triangle number in a key, EMPTY where nothing is seen."""
    return np.uint32(0xFFFFFFFF) - np.uint32(key & np.uint64(0xFFFFFFFF))


@strict
def key_w(key: Any) -> Any:
    """1 / z in a key, float32."""
    return np.uint32(key >> np.uint64(32)).view(np.float32)


@strict
def clear(keys: Any, start: int, count: int, far: float) -> None:
    """Empty ``count`` samples."""
    empty = np.uint64(np.float32(1.0 / far).view(np.uint32)) << np.uint64(32)
    for i in range(count):
        keys[ix(start + i)] = empty


@strict
def _fill_span_cutout(
    keys: Any, start: int, x: float, count: int, y: float, plane: Any, low: float, high: float, below: Any,
    textures: Any, texels: Any, texture: int, cutoff: float,
) -> None:  # fmt: skip
    """Raise keys from the sample at (``x``, ``y``) in pixels on, leaving out what is transparent."""
    for i in range(count):
        px = x + np.float64(i)
        w = plane[0, 0] * px + (plane[0, 1] * y + plane[0, 2])
        z = 1.0 / w
        alpha = (plane[3, 0] * px + (plane[3, 1] * y + plane[3, 2])) * z
        if texture >= 0:
            u = (plane[1, 0] * px + (plane[1, 1] * y + plane[1, 2])) * z
            v = (plane[2, 0] * px + (plane[2, 1] * y + plane[2, 2])) * z
            u_x, u_y = (plane[1, 0] - u * plane[0, 0]) * z, (plane[1, 1] - u * plane[0, 1]) * z
            v_x, v_y = (plane[2, 0] - v * plane[0, 0]) * z, (plane[2, 1] - v * plane[0, 1]) * z
            alpha *= sample_alpha(textures, texels, texture, u, v, u_x, v_x, u_y, v_y)
        if alpha >= cutoff:
            value = np.float32(min(max(w, low), high))
            key = (np.uint64(value.view(np.uint32)) << np.uint64(32)) | below
            keys[ix(start + i)] = max(keys[ix(start + i)], key)


@strict
def _fill(
    keys: Any, stride: int, samples: Any, x_first: int, y_first: int, width: int, height: int, x0: float, y0: float,
    x1: float, y1: float, x2: float, y2: float, plane: Any, low: float, high: float, below: Any, cutout: bool,
    textures: Any, texels: Any, texture: int, cutoff: float, spans: Any,
) -> None:  # fmt: skip
    """Draw one triangle given in pixels into all samples."""
    if y1 < y0:
        x0, y0, x1, y1 = x1, y1, x0, y0
    if y2 < y0:
        x0, y0, x2, y2 = x2, y2, x0, y0
    if y2 < y1:
        x1, y1, x2, y2 = x2, y2, x1, y1
    long_slope = (x2 - x0) / (y2 - y0)
    upper_slope = (x1 - x0) / (y1 - y0) if y1 > y0 else 0.0
    lower_slope = (x2 - x1) / (y2 - y1) if y2 > y1 else 0.0
    a, b, c = plane[0, 0], plane[0, 1], plane[0, 2]
    left_end, right_end = np.float64(x_first), np.float64(x_first + width)
    top_end, bottom_end = np.float64(y_first), np.float64(y_first + height)
    for s in range(len(samples)):
        ox, oy = samples[s, 0], samples[s, 1]
        # Moving the corners moves them alike for all triangles that share them.
        xs, ys, xm, ym, ye = x0 - ox, y0 - oy, x1 - ox, y1 - oy, y2 - oy
        top = _ceil(min(max(ys, top_end), bottom_end))
        bottom = _ceil(max(min(ye, bottom_end), top_end))
        offset = c + a * ox + b * oy
        for first in range(top, bottom, _ROWS):
            rows = min(_ROWS, bottom - first)
            for r in range(rows):
                y = np.float64(first + r)
                left = xs + (y - ys) * long_slope
                upper, lower = xs + (y - ys) * upper_slope, xm + (y - ym) * lower_slope
                right = upper if y < ym else lower
                swap = right < left
                left, right = right if swap else left, left if swap else right
                begin = np.ceil(min(max(left, left_end), right_end))
                end = np.ceil(max(min(right, right_end), left_end))
                # An edge too steep for its slope to be finite may leave no number.
                spans[ix(r)] = begin if left <= right else right_end
                spans[ix(_ROWS + r)] = end - begin if left <= right else 0.0
            for r in range(rows):
                x, y = spans[ix(r)], np.float64(first + r)
                count = np.int64(spans[ix(_ROWS + r)])
                if count <= 0:
                    continue
                start = s * stride + (first + r - y_first) * width + (np.int64(x) - x_first)
                if cutout:
                    _fill_span_cutout(
                        keys, start, x + ox, count, y + oy, plane, low, high, below, textures, texels, texture, cutoff
                    )  # fmt: skip
                else:
                    row = b * y + offset
                    for i in range(0, count, WIDTH):
                        raise_keys(keys, start + i, count - i, a, x + np.float64(i), row, low, high, below)


@strict
def _to_pixels(nx: float, ny: float, nz: float, camera: Any, plane: Any, row: int) -> None:
    """The plane ``n . ray`` over pixel coordinates, ``ray`` being K^-1 (x, y, 1)."""
    a = nx / camera[FX]
    b = (ny - nx * camera[SKEW] / camera[FX]) / camera[FY]
    plane[row, 0] = a
    plane[row, 1] = b
    plane[row, 2] = nz - a * camera[CX] - b * camera[CY]


@strict
def _clip(polygon: Any, near: float) -> int:
    """Clip the triangle in ``polygon[:3]`` (X, Y, Z) at the near plane into ``polygon[3:7]``; the number of corners.

    New corners are computed from the end in front to the end behind, so that triangles that share an edge share them.
    """
    count = 0
    for k in range(3):
        a = polygon[k]
        b = polygon[(k + 1) % 3]
        if a[2] >= near:
            polygon[3 + count] = a
            count += 1
        if (a[2] >= near) != (b[2] >= near):
            if a[2] >= near:
                front, behind = a, b
            else:
                front, behind = b, a
            t = (near - front[2]) / (behind[2] - front[2])
            polygon[3 + count, 0] = front[0] + t * (behind[0] - front[0])
            polygon[3 + count, 1] = front[1] + t * (behind[1] - front[1])
            polygon[3 + count, 2] = near
            count += 1
    return count


@strict
def _attribute_planes(
    n0: Any, n1: Any, n2: Any, m: int, draws: Any, reals: Any, camera: Any, vertices: Any, corner: Any, plane: Any
) -> None:
    """Planes of u / z, v / z and alpha / z into rows 1 to 3, from the rows of the inverse corner matrix."""
    c0, c1, c2 = corner[0] * VERTEX, corner[1] * VERTEX, corner[2] * VERTEX
    for k in range(2):
        p, q, r = np.float64(vertices[c0 + 6 + k]), np.float64(vertices[c1 + 6 + k]), np.float64(vertices[c2 + 6 + k])
        _to_pixels(
            n0[0] * p + n1[0] * q + n2[0] * r,
            n0[1] * p + n1[1] * q + n2[1] * r,
            n0[2] * p + n1[2] * q + n2[2] * r,
            camera,
            plane,
            1 + k,
        )
    alpha = np.float64(reals[m, BASE_ALPHA])
    for k in range(3):
        plane[3, k] = plane[0, k] * alpha


@strict
def _draw_face(
    m: int, f: int, face: int, clips: bool, keys: Any, stride: int, samples: Any, x_first: int, y_first: int,
    width: int, height: int, draws: Any, reals: Any, camera: Any, placed: Any, faces: Any, vertices: Any,
    textures: Any, texels: Any, plane: Any, inverse: Any, polygon: Any, corners: Any, whole: Any, spans: Any,
) -> None:  # fmt: skip
    """Draw triangle ``f`` of drawable ``m``, whose corners are from ``faces[face]`` on, whatever it is like.

    ``clips``: not all of it is in front of the near plane. From ``plane`` on, all is working memory.
    """
    near = camera[NEAR]
    first_vertex = draws[m, FIRST_VERTEX]
    i = (first_vertex + faces[face]) * PLACED
    j = (first_vertex + faces[face + 1]) * PLACED
    k = (first_vertex + faces[face + 2]) * PLACED
    z0, z1, z2 = placed[i + 2], placed[j + 2], placed[k + 2]
    if clips and not (z0 >= near or z1 >= near or z2 >= near):
        return
    X0, Y0 = placed[i], placed[i + 1]
    X1, Y1 = placed[j], placed[j + 1]
    X2, Y2 = placed[k], placed[k + 1]
    ax, ay, az = X1 - X0, Y1 - Y0, z1 - z0
    bx, by, bz = X2 - X0, Y2 - Y0, z2 - z0
    nx, ny, nz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    d = nx * X0 + ny * Y0 + nz * z0
    if d == 0.0 or not (abs(d) < np.inf):
        return
    inverse_d = 1.0 / d
    _to_pixels(nx * inverse_d, ny * inverse_d, nz * inverse_d, camera, plane, 0)
    if not (abs(plane[0, 0]) + abs(plane[0, 1]) + abs(plane[0, 2]) < np.inf):
        return
    cutout = draws[m, CUTOUT] != 0
    if cutout:
        inverse[0, 0], inverse[0, 1], inverse[0, 2] = Y1 * z2 - z1 * Y2, z1 * X2 - X1 * z2, X1 * Y2 - Y1 * X2
        inverse[1, 0], inverse[1, 1], inverse[1, 2] = Y2 * z0 - z2 * Y0, z2 * X0 - X2 * z0, X2 * Y0 - Y2 * X0
        inverse[2, 0], inverse[2, 1], inverse[2, 2] = Y0 * z1 - z0 * Y1, z0 * X1 - X0 * z1, X0 * Y1 - Y0 * X1
        for r in range(3):
            for q in range(3):
                inverse[r, q] *= inverse_d
            whole[r] = draws[m, FIRST_IN_POOL] + faces[face + r]
        _attribute_planes(inverse[0], inverse[1], inverse[2], m, draws, reals, camera, vertices, whole, plane)
    if clips:
        polygon[0, 0], polygon[0, 1], polygon[0, 2] = X0, Y0, z0
        polygon[1, 0], polygon[1, 1], polygon[1, 2] = X1, Y1, z1
        polygon[2, 0], polygon[2, 1], polygon[2, 2] = X2, Y2, z2
        size, low, high = _clip(polygon, near), np.inf, 0.0
        for q in range(size):
            corners[q, 0], corners[q, 1] = project(polygon[3 + q, 0], polygon[3 + q, 1], polygon[3 + q, 2], camera)
            low = min(low, 1.0 / polygon[3 + q, 2])
            high = max(high, 1.0 / polygon[3 + q, 2])
    else:
        size, low, high = 3, 1.0 / max(z0, z1, z2), 1.0 / min(z0, z1, z2)
        corners[0, 0], corners[0, 1] = placed[i + 3], placed[i + 4]
        corners[1, 0], corners[1, 1] = placed[j + 3], placed[j + 4]
        corners[2, 0], corners[2, 1] = placed[k + 3], placed[k + 4]
    total = 0.0
    for q in range(size):
        total += abs(corners[q, 0]) + abs(corners[q, 1])
    if not (total < LARGEST):
        return
    below = np.uint64(0xFFFFFFFF - (draws[m, FIRST_FACE] + f))
    texture, cutoff = draws[m, ALPHA_MAP], np.float64(reals[m, CUTOFF])
    for q in range(2, size):
        _fill(
            keys, stride, samples, x_first, y_first, width, height,
            corners[0, 0], corners[0, 1], corners[q - 1, 0], corners[q - 1, 1], corners[q, 0], corners[q, 1],
            plane, low, high, below, cutout, textures, texels, texture, cutoff, spans,
        )  # fmt: skip


@strict
def rasterize(
    keys: Any, stride: int, samples: Any, x_first: int, y_first: int, width: int, height: int, chosen: Any, count: int,
    draws: Any, reals: Any, places: Any, camera: Any, placed: Any, faces: Any, vertices: Any, textures: Any,
    texels: Any,
) -> None:  # fmt: skip
    """Draw the first ``count`` drawables of ``chosen`` into ``keys``, flat, ``stride`` keys from sample to sample.

    The canvas covers pixels from (``x_first``, ``y_first``); ``samples`` (n, 2) are offsets from pixel centres.
    ``keys`` is longer than used by ``simd.WIDTH``.
    """
    plane = np.zeros((4, 3))
    inverse = np.zeros((3, 3))
    polygon = np.zeros((7, 3))
    corners = np.zeros((4, 2))
    whole = np.zeros(3, np.int64)
    spans = np.zeros(2 * _ROWS)
    scan = np.zeros(SCAN_REALS)
    waiting = 0
    margin = 1.0
    for c in range(count):
        m = chosen[c]
        if places[m, HIDDEN] != 0.0:
            continue
        if (
            places[m, BOX] > x_first + width + margin
            or places[m, BOX + 1] < x_first - margin
            or places[m, BOX + 2] > y_first + height + margin
            or places[m, BOX + 3] < y_first - margin
        ):
            continue
        crosses = places[m, CLIPS] != 0.0
        tallest = TALLEST if draws[m, CUTOUT] == 0 else 0.0
        first_vertex = np.int64(draws[m, FIRST_VERTEX])
        number = np.int64(draws[m, FIRST_FACE])
        first_face = 3 * np.int64(draws[m, FACES_IN_POOL])
        for first in range(0, draws[m, FACES], BATCH):
            lanes = min(BATCH, draws[m, FACES] - first)
            face = first_face + 3 * first
            test_faces(
                lanes, face, first_vertex, faces, placed, 0.0 if crosses else np.float64(draws[m, CULL]), tallest,
                samples, x_first, y_first, width, height, scan,
            )  # fmt: skip
            if crosses:
                mark_clipped(lanes, face, first_vertex, faces, placed, camera[NEAR], scan)
            waiting = line_up(lanes, waiting, face, first_vertex, faces, placed, number + first, scan)
            if waiting > BATCH:
                draw_waiting(waiting, keys, stride, samples, x_first, y_first, width, height, camera, scan)
                waiting = 0
            for lane in range(lanes):
                found = scan[ix(FOUND + lane)]
                if found >= LARGE:
                    _draw_face(
                        m, first + lane, face + 3 * lane, found == CLIPPED, keys, stride, samples, x_first, y_first,
                        width, height, draws, reals, camera, placed, faces, vertices, textures, texels, plane, inverse,
                        polygon, corners, whole, spans,
                    )  # fmt: skip
    draw_waiting(waiting, keys, stride, samples, x_first, y_first, width, height, camera, scan)

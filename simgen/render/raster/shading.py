"""Colour of fragments, in blocks: surface, textures, environment, lights.

A block is a run of fragments whose intermediate values lie side by side in one flat float32 array, a channel after the
other. Loops over a block read and write that array at constant distances, which is what lets LLVM prove that they may
be vectorized; gathers from textures are separate scalar loops for the same reason.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simgen.render.raster import layout as L  # noqa: N812
from simgen.render.raster.ambient import add_environment
from simgen.render.raster.block import (
    BLOCK,
    LANES,
    NOISE,
    NX,
    NY,
    NZ,
    OUT_B,
    OUT_G,
    OUT_R,
    RUNS,
    SEEN,
    STRIDE,
    SX,
    SY,
    UX,
    UY,
    VX,
    VXU,
    VY,
    VYU,
    VZ,
    U,
    V,
    X,
    Y,
    Z,
)
from simgen.render.raster.direct import add_light, aim
from simgen.render.raster.jit import fast, ix
from simgen.render.raster.lights import COLOR, SHADOW
from simgen.render.raster.materials import load_materials
from simgen.render.raster.mathematics import inverse_sqrt
from simgen.render.raster.occlusion import open_sky
from simgen.render.raster.runs import find_runs
from simgen.render.raster.streams import fence, read_ahead, write_3

_1 = np.float32(1.0)


@fast
def _load(
    first: int, n: int, runs: int, triangle: Any, px: Any, py: Any, w: Any, nx: Any, ny: Any, nz: Any, planes: Any,
    camera: Any, b: Any, a: Any,
) -> None:  # fmt: skip
    """Position, normal, texture coordinates and their steps of a block."""
    inverse_fx, inverse_fy = np.float32(1.0 / camera[L.FX]), np.float32(1.0 / camera[L.FY])
    cx, cy, skew = np.float32(camera[L.CX]), np.float32(camera[L.CY]), np.float32(camera[L.SKEW])
    for i in range(n):
        x, y = px[ix(first + i)], py[ix(first + i)]
        b[ix(SX + i)] = x
        b[ix(SY + i)] = y
        z = _1 / w[ix(first + i)]
        ry = (y - cy) * inverse_fy
        rx = (x - cx - skew * ry) * inverse_fx
        b[ix(X + i)] = rx * z
        b[ix(Y + i)] = ry * z
        b[ix(Z + i)] = z
        s = -inverse_sqrt(rx * rx + ry * ry + _1)
        b[ix(VX + i)] = rx * s
        b[ix(VY + i)] = ry * s
        b[ix(VZ + i)] = s
        f = np.float32(0.06711056) * x + np.float32(0.00583715) * y
        f = np.float32(52.9829189) * (f - np.floor(f))
        b[ix(NOISE + i)] = f - np.floor(f)
    for i in range(n):
        b[ix(NX + i)] = nx[ix(first + i)]
        b[ix(NY + i)] = ny[ix(first + i)]
        b[ix(NZ + i)] = nz[ix(first + i)]
    for run in range(runs):
        begin, end = np.int64(a[ix(RUNS + run)]), np.int64(a[ix(RUNS + run + 1)])
        at = np.int64(triangle[ix(first + begin)]) * L.TRIANGLE
        x0, y0 = planes[at + L.X0], planes[at + L.Y0]
        u0, u1, u2 = planes[at + L.PLANE_U], planes[at + L.PLANE_U + 1], planes[at + L.PLANE_U + 2]
        v0, v1, v2 = planes[at + L.PLANE_V], planes[at + L.PLANE_V + 1], planes[at + L.PLANE_V + 2]
        w1, w2 = planes[at + L.PLANE_W + 1], planes[at + L.PLANE_W + 2]
        for group in range(begin, end, LANES):
            for lane in range(LANES):
                k = group + lane
                dx, dy, z = b[ix(SX + k)] - x0, b[ix(SY + k)] - y0, b[ix(Z + k)]
                u = (u0 + u1 * dx + u2 * dy) * z
                v = (v0 + v1 * dx + v2 * dy) * z
                b[ix(U + k)] = u
                b[ix(V + k)] = v
                b[ix(UX + k)] = (u1 - u * w1) * z
                b[ix(UY + k)] = (u2 - u * w2) * z
                b[ix(VXU + k)] = (v1 - v * w1) * z
                b[ix(VYU + k)] = (v2 - v * w2) * z


@fast
def _store_colors(first: int, n: int, pixel: Any, weight: Any, background: Any, b: Any, out: Any) -> None:
    """Write the light that fragments at pixel centres send to the camera, times their weight, to their pixels.

    Where some of the ``background`` is seen too, its light is there already and this is added.
    """
    for i in range(n):
        share = weight[ix(first + i)]
        b[ix(OUT_R + i)] *= share
        b[ix(OUT_G + i)] *= share
        b[ix(OUT_B + i)] *= share
    begin = np.int64(pixel[ix(first)])
    if pixel[ix(first + n - 1)] - begin == n - 1:
        total = np.float32(0.0)
        for i in range(n):
            total += background[ix(begin + i)]
        if total == np.float32(0.0):
            write_3(begin, n, b, OUT_R, STRIDE, out)
            return
    for i in range(n):
        at = np.int64(pixel[ix(first + i)])
        mixed = background[ix(at)] > np.float32(0.0)
        at *= 3
        out[ix(at)] = b[ix(OUT_R + i)] + (out[ix(at)] if mixed else np.float32(0.0))
        out[ix(at + 1)] = b[ix(OUT_G + i)] + (out[ix(at + 1)] if mixed else np.float32(0.0))
        out[ix(at + 2)] = b[ix(OUT_B + i)] + (out[ix(at + 2)] if mixed else np.float32(0.0))


@fast
def _add_colors(first: int, n: int, pixel: Any, weight: Any, b: Any, out: Any) -> None:
    """Add the light that further fragments send to the camera, times their weight, to their pixels."""
    for i in range(n):
        at = 3 * np.int64(pixel[ix(first + i)])
        share = weight[ix(first + i)]
        out[ix(at)] += b[ix(OUT_R + i)] * share
        out[ix(at + 1)] += b[ix(OUT_G + i)] * share
        out[ix(at + 2)] += b[ix(OUT_B + i)] * share


@fast
def shade(
    start: int, stop: int, centres: int, pixel: Any, triangle: Any, px: Any, py: Any, w: Any, nx: Any, ny: Any, nz: Any,
    weight: Any, background: Any, width: int, sky: Any, owner: Any, draws: Any, reals: Any, planes: Any, camera: Any,
    textures: Any, texels: Any, lights: Any, seen: Any, rotation: Any, harmonics: Any, reflections: Any, scale: Any,
    intensity: Any, b: Any, a: Any, t: Any, out: Any,
) -> None:  # fmt: skip
    """Shade fragments ``start`` to ``stop`` and write them, times ``weight``, to the colours ``out`` (H * W * 3).

    The first ``centres`` fragments are those at pixel centres, one a pixel, in the order of pixels: they are stored,
    added where ``background`` (H * W), whose light is in ``out`` already, has a share in the pixel; the others are
    added. ``sky`` is what ``occlusion.open_sky`` reads of an image ``width`` wide. ``seen`` (shadow maps, ``stop``),
    flat, is the share that fragments see of each light that has a map. ``rotation`` (9,) turns camera directions into
    the frame of the environment map; ``b``, ``a`` and ``t`` are working arrays of ``block``'s FLOATS (float32),
    INTEGERS (int32) and TEXELS (uint32).
    """
    first = start
    while first < stop:
        n = min(BLOCK, (centres if first < centres else stop) - first)
        for plane in (px, py, w, nx, ny, nz, weight):
            read_ahead(plane, first + n, BLOCK)
        for plane in (pixel, triangle):
            read_ahead(plane, first + n, BLOCK)
        runs = find_runs(first, n, triangle, a, RUNS)
        _load(first, n, runs, triangle, px, py, w, nx, ny, nz, planes, camera, b, a)
        open_sky(n, width, sky, b, a, t)
        load_materials(first, n, runs, triangle, px, py, owner, draws, reals, planes, textures, texels, b, a, t)
        add_environment(n, rotation, harmonics, reflections, scale, intensity, b, a, t)
        for k in range(len(lights)):
            aim(n, lights, k, b)
            row = np.int64(lights[k, SHADOW])
            if row >= 0:
                read_ahead(seen, row * stop + first + n, BLOCK)
                for i in range(n):
                    b[ix(SEEN + i)] = seen[ix(row * stop + first + i)]
            else:
                for i in range(n):
                    b[ix(SEEN + i)] = _1
            add_light(n, lights[k, COLOR], lights[k, COLOR + 1], lights[k, COLOR + 2], b)
        if first < centres:
            _store_colors(first, n, pixel, weight, background, b, out)
        else:
            _add_colors(first, n, pixel, weight, b, out)
        first += n
    fence()

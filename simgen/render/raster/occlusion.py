"""Ambient occlusion from depth and normals at half resolution, so that objects sit on what they stand on.

How much of the sky a surface point sees, weighted as diffuse light is, follows in closed form from the horizons on both
sides of it in slices through the viewing direction (Jimenez, Wu, Pesce and Jarabo 2016, "Practical real-time strategies
for accurate indirect occlusion"). Each pixel looks along one of 16 slices; the result is smoothed across their pattern
and brought back to full resolution without crossing depth edges.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.render.raster.block import ABOVE, BELOW, OPEN, SX, SY, TUPPER, Z
from simgen.render.raster.jit import fast, ix
from simgen.render.raster.layout import CX, CY, FX, FY
from simgen.render.raster.mathematics import arc_cosine

STEPS = 6
"""Points looked at on each side of a slice."""
SLICE = 2 + STEPS
"""Numbers of a slice, see ``slices``."""
WIDEST = 0.2
"""How far it looks in the image at most, as a share of the image's width."""
FADE = 1 / 0.6
"""What is farther than 0.4 of the reach counts less and less."""
RISE = 8.0
"""What rises above the tangent plane by less than an eighth of its distance counts less: no surface is quite flat."""
_PATTERN = 16
_LIKE = np.float32(16.0)
"""One over the relative difference in depth from which on neighbours count for nothing."""
_0 = np.float32(0.0)
_1 = np.float32(1.0)
_2 = np.float32(2.0)
_HALF = np.float32(0.5)
_QUARTER = np.float32(0.25)
_TINY = np.float32(1e-12)


def slices() -> NDArray[np.float32]:
    """The slices of a pattern of 4 x 4 pixels, (16 * SLICE,): cosine, sine, and places along it as shares of the reach.

    The order of a 4 x 4 Bayer matrix keeps neighbouring angles apart; places are shifted from pixel to pixel, too.
    """
    bayer = np.array([0, 8, 2, 10, 12, 4, 14, 6, 3, 11, 1, 9, 15, 7, 13, 5])
    angle = bayer / _PATTERN * np.pi
    shift = bayer[(np.arange(_PATTERN) * 7 + 3) % _PATTERN] / _PATTERN
    places = ((np.arange(STEPS) + shift[:, None]) / STEPS) ** 1.5
    return np.column_stack([np.cos(angle), np.sin(angle), places]).astype(np.float32).reshape(-1)


@fast
def gather_half(
    count: int, px: Any, py: Any, w: Any, nx: Any, ny: Any, nz: Any, half_width: int, half_height: int,
    depth: Any, normal: Any,
) -> None:  # fmt: skip
    """Depth (0: none) and normals of every other pixel of every other row into ``depth`` and ``normal`` (3 n)."""
    total = half_width * half_height
    for i in range(total):
        depth[i] = _0
    for k in range(count):
        x, y = int(px[k]), int(py[k])
        if (x & 1) == 0 and (y & 1) == 0:
            i = (y >> 1) * half_width + (x >> 1)
            depth[i] = _1 / w[k]
            normal[i] = nx[k]
            normal[ix(total + i)] = ny[k]
            normal[ix(2 * total + i)] = nz[k]


CHUNK = 1024
"""Pixels of a row that are computed together."""
STRIDE = CHUNK + 16
"""From value to value; not a power of two, which would crowd one set of the cache."""
_Z, _PX, _PY, _NX, _NY, _NZ, _VX, _VY, _VZ = (k * STRIDE for k in range(9))
_C, _S, _REACH, _BIAS, _SIN, _COS, _LENGTH, _AHEAD, _BEHIND, _UA, _VA, _ZA, _UB, _VB, _ZB = (
    k * STRIDE for k in range(9, 24)
)
CHANNELS = 24


@fast
def _of_column(column: Any, turns: Any, at: Any) -> Any:
    """A number of the slice of this column, of those from ``at`` on. Chosen, since to look it up takes longer."""
    p, q, r, t = turns[at], turns[at + SLICE], turns[at + 2 * SLICE], turns[at + 3 * SLICE]
    k = column & 3
    return (p if k == 0 else q) if k < 2 else (r if k == 2 else t)


@fast
def occlude(
    width: int, height: int, camera: Any, radius: Any, turns: Any, depth: Any, normal: Any, b: Any, a: Any, out: Any
) -> None:
    """Share of the sky that is open at each half-resolution pixel, unsmoothed; ``b`` and ``a`` are working memory."""
    total = width * height
    fx, fy = np.float32(camera[FX]) * _HALF, np.float32(camera[FY]) * _HALF
    cx, cy = np.float32(camera[CX]) * _HALF, np.float32(camera[CY]) * _HALF
    inverse_fx, inverse_fy = _1 / fx, _1 / fy
    fade = np.float32(FADE) / radius
    widest = np.float32(WIDEST) * np.float32(width)
    right, bottom = np.float32(width - 1), np.float32(height - 1)
    for row in range(height):
        y = np.float32(row)
        for first in range(0, width, CHUNK):
            n = min(CHUNK, width - first)
            start = row * width + first
            for i in range(n):
                b[ix(_Z + i)] = depth[ix(start + i)]
            for i in range(n):
                b[ix(_NX + i)] = normal[ix(start + i)]
                b[ix(_NY + i)] = normal[ix(total + start + i)]
                b[ix(_NZ + i)] = normal[ix(2 * total + start + i)]
            at = SLICE * 4 * (row & 3)
            for i in range(n):
                b[ix(_C + i)] = _of_column(first + i, turns, at)
                b[ix(_S + i)] = _of_column(first + i, turns, at + 1)
            for i in range(n):
                z = b[ix(_Z + i)]
                px, py = (np.float32(first + i) - cx) * inverse_fx * z, (y - cy) * inverse_fy * z
                b[ix(_PX + i)] = px
                b[ix(_PY + i)] = py
                b[ix(_REACH + i)] = min(radius * fx / max(z, np.float32(1e-6)), widest)
                b[ix(_BIAS + i)] = np.float32(0.002) * z
                # Towards the camera.
                inverse = _1 / np.sqrt(px * px + py * py + z * z + _TINY)
                vx, vy, vz = -px * inverse, -py * inverse, -z * inverse
                b[ix(_VX + i)] = vx
                b[ix(_VY + i)] = vy
                b[ix(_VZ + i)] = vz
                length, sine, cosine = slice_normal(
                    b[ix(_C + i)], b[ix(_S + i)], b[ix(_NX + i)], b[ix(_NY + i)], b[ix(_NZ + i)], vx, vy, vz
                )
                b[ix(_LENGTH + i)] = length
                b[ix(_SIN + i)] = sine
                b[ix(_COS + i)] = cosine
                # Cosines of the angles between v and the horizons: at first those of the tangent plane.
                b[ix(_AHEAD + i)] = -sine
                b[ix(_BEHIND + i)] = sine
            for step in range(STEPS):
                least = np.float32(1 + step)
                for i in range(n):
                    place = _of_column(first + i, turns, at + 2 + step)
                    far = max(place * b[ix(_REACH + i)], least)
                    x, c, s = np.float32(first + i) + _HALF, b[ix(_C + i)] * far, b[ix(_S + i)] * far
                    b[ix(_UA + i)] = min(max(x + c, _0), right)
                    b[ix(_VA + i)] = min(max(y + _HALF + s, _0), bottom)
                    b[ix(_UB + i)] = min(max(x - c, _0), right)
                    b[ix(_VB + i)] = min(max(y + _HALF - s, _0), bottom)
                for i in range(n):
                    u, v = np.int32(b[ix(_UA + i)]), np.int32(b[ix(_VA + i)])
                    b[ix(_UA + i)], b[ix(_VA + i)] = np.float32(u), np.float32(v)
                    a[i] = np.int32(u + np.int32(v * np.int32(width)))
                for i in range(n):
                    u, v = np.int32(b[ix(_UB + i)]), np.int32(b[ix(_VB + i)])
                    b[ix(_UB + i)], b[ix(_VB + i)] = np.float32(u), np.float32(v)
                    a[ix(CHUNK + i)] = np.int32(u + np.int32(v * np.int32(width)))
                for i in range(n):
                    b[ix(_ZA + i)] = depth[np.uint32(a[i])]
                for i in range(n):
                    b[ix(_ZB + i)] = depth[np.uint32(a[ix(CHUNK + i)])]
                for i in range(n):
                    sine = b[ix(_SIN + i)]
                    nx, ny, nz = b[ix(_NX + i)], b[ix(_NY + i)], b[ix(_NZ + i)]
                    vx, vy, vz = b[ix(_VX + i)], b[ix(_VY + i)], b[ix(_VZ + i)]
                    z = b[ix(_ZA + i)]
                    qx = (b[ix(_UA + i)] - cx) * inverse_fx * z - b[ix(_PX + i)]
                    qy = (b[ix(_VA + i)] - cy) * inverse_fy * z - b[ix(_PY + i)]
                    ahead = horizon(
                        qx, qy, z - b[ix(_Z + i)], nx, ny, nz, vx, vy, vz, b[ix(_BIAS + i)], fade, -sine,
                    )  # fmt: skip
                    b[ix(_AHEAD + i)] = max(b[ix(_AHEAD + i)], ahead if z > _0 else -sine)
                    z = b[ix(_ZB + i)]
                    qx = (b[ix(_UB + i)] - cx) * inverse_fx * z - b[ix(_PX + i)]
                    qy = (b[ix(_VB + i)] - cy) * inverse_fy * z - b[ix(_PY + i)]
                    behind = horizon(
                        qx, qy, z - b[ix(_Z + i)], nx, ny, nz, vx, vy, vz, b[ix(_BIAS + i)], fade, sine,
                    )  # fmt: skip
                    b[ix(_BEHIND + i)] = max(b[ix(_BEHIND + i)], behind if z > _0 else sine)
            for i in range(n):
                found = open_share(
                    b[ix(_AHEAD + i)], b[ix(_BEHIND + i)], b[ix(_LENGTH + i)], b[ix(_SIN + i)], b[ix(_COS + i)]
                )
                b[ix(_ZA + i)] = found if b[ix(_Z + i)] > _0 and b[ix(_REACH + i)] >= _1 else _1
            for i in range(n):
                out[ix(start + i)] = b[ix(_ZA + i)]


@fast
def slice_normal(c: Any, s: Any, nx: Any, ny: Any, nz: Any, vx: Any, vy: Any, vz: Any) -> Any:
    """Length of the unit normal n in a slice, and sine and cosine of its angle to v, positive towards the direction.

    The slice holds the direction (``c``, ``s``, 0) and the unit vector v to the camera.
    """
    along = c * vx + s * vy
    towards = nx * vx + ny * vy + nz * vz
    beside = (c * nx + s * ny - along * towards) / np.sqrt(max(_1 - along * along, np.float32(1e-6)))
    length = np.sqrt(beside * beside + towards * towards + _TINY)
    return length, beside / length, towards / length


@fast
def horizon(
    qx: Any, qy: Any, qz: Any, nx: Any, ny: Any, nz: Any, vx: Any, vy: Any, vz: Any, bias: Any, fade: Any, low: Any
) -> Any:  # fmt: skip
    """Cosine of the angle between v and the horizon that a surface at the place q from a point makes.

    It is raised from ``low``, that of the tangent plane, by as much as the surface counts: not where it is far or lower
    than ``bias`` above the plane.
    """
    d2 = qx * qx + qy * qy + qz * qz
    inverse = _1 / np.sqrt(d2 + _TINY)
    above = min(max((qx * nx + qy * ny + qz * nz - bias) * inverse * np.float32(RISE), _0), _1)
    share = min(max(np.float32(FADE) - d2 * inverse * fade, _0), _1) * above
    cosine = (qx * vx + qy * vy + qz * vz) * inverse
    return low + (cosine - low) * share


@fast
def open_share(ahead: Any, behind: Any, length: Any, sine: Any, cosine: Any) -> Any:
    """Share of the sky that is open, told from one slice: cosines of the horizons on both sides, and ``slice_normal``.

    Averaged over all slices, that is; where nothing is in the way, each tells 1.
    """
    whole = cosine + arc_cosine(cosine) * abs(sine)
    seen = _open_side(ahead, _1, sine, cosine) + _open_side(behind, -_1, sine, cosine)
    return _1 - length * (whole - seen)


@fast
def _open_side(horizon: Any, way: Any, sine: Any, cosine: Any) -> Any:
    """The integral over one side of a slice up to a horizon (Jimenez et al. 2016, equation 7)."""
    h = min(max(horizon, -_1), _1)
    angle = way * arc_cosine(h)
    across = way * np.sqrt(max(_1 - h * h, _0))
    double_cosine, double_sine = _2 * h * h - _1, _2 * h * across
    return _QUARTER * (_2 * angle * sine + cosine - double_cosine * cosine - double_sine * sine)


@fast
def smooth(width: int, height: int, depth: Any, source: Any, target: Any, step_x: int, step_y: int) -> None:
    """Average over the pattern of four turns in one direction, leaving out pixels at another depth."""
    for y in range(height):
        for x in range(width):
            i = y * width + x
            z = depth[i]
            tolerance = np.float32(12.0) / max(z, np.float32(1e-6))
            total = source[i]
            weight = _1
            for k in range(-2, 3):
                u, v = x + k * step_x, y + k * step_y
                if k != 0 and u >= 0 and v >= 0 and u < width and v < height:
                    j = v * width + u
                    # The ends count half: five pixels make a window of four.
                    share = max(_1 - abs(depth[j] - z) * tolerance, _0) * (_HALF if abs(k) == 2 else _1)
                    total += source[j] * share
                    weight += share
            target[i] = total / weight


@fast
def join(width: int, height: int, depth: Any, opening: Any, sky: Any) -> None:
    """Depth and open share side by side, so that those of two neighbours are read in one go.

    ``sky`` is (``height`` + 1, ``width`` + 1, 2), flat: the last row and column are there twice.
    """
    for y in range(height + 1):
        row = min(y, height - 1) * width
        at = y * (width + 1) * 2
        for x in range(width):
            sky[ix(at + 2 * x)] = depth[ix(row + x)]
            sky[ix(at + 2 * x + 1)] = opening[ix(row + x)]
        sky[ix(at + 2 * width)] = depth[ix(row + width - 1)]
        sky[ix(at + 2 * width + 1)] = opening[ix(row + width - 1)]


@fast
def _real(bits: Any) -> Any:
    """The float32 of these bits."""
    return np.uint32(bits).view(np.float32)


@fast
def open_sky(n: int, width: int, sky: Any, b: Any, a: Any, t: Any) -> None:
    """Share of the sky that is open at the fragments of a block (see ``block``), into OPEN.

    Bilinear in ``sky``, the bits (uint32) of what ``join`` leaves for an image ``width`` wide, weighted by likeness of
    depth.
    """
    row = np.int32(2 * ((width + 1) // 2 + 1))
    for i in range(n):
        column, line = np.int32(max(b[ix(SX + i)] * _HALF, _0)), np.int32(max(b[ix(SY + i)] * _HALF, _0))
        a[ix(TUPPER + i)] = np.int32(np.int32(column + column) + np.int32(line * row))
    for i in range(n):
        at = np.uint32(a[ix(TUPPER + i)])
        below = at + np.uint32(row)
        # All are read before any is written: LLVM then moves four at a time.
        d00, s00, d10, s10 = sky[at], sky[at + np.uint32(1)], sky[at + np.uint32(2)], sky[at + np.uint32(3)]
        d01, s01 = sky[below], sky[below + np.uint32(1)]
        d11, s11 = sky[below + np.uint32(2)], sky[below + np.uint32(3)]
        t[ix(ABOVE + 4 * i)] = d00
        t[ix(ABOVE + 4 * i + 1)] = s00
        t[ix(ABOVE + 4 * i + 2)] = d10
        t[ix(ABOVE + 4 * i + 3)] = s10
        t[ix(BELOW + 4 * i)] = d01
        t[ix(BELOW + 4 * i + 1)] = s01
        t[ix(BELOW + 4 * i + 2)] = d11
        t[ix(BELOW + 4 * i + 3)] = s11
    tiny = np.float32(1e-3)
    for i in range(n):
        x, y, z = max(b[ix(SX + i)] * _HALF, _0), max(b[ix(SY + i)] * _HALF, _0), b[ix(Z + i)]
        fx, fy = x - np.floor(x), y - np.floor(y)
        left, right, top, bottom = _1 - fx, fx, _1 - fy, fy
        p = (left * top + tiny) * max(z - abs(_real(t[ix(ABOVE + 4 * i)]) - z) * _LIKE, _0)
        q = (right * top + tiny) * max(z - abs(_real(t[ix(ABOVE + 4 * i + 2)]) - z) * _LIKE, _0)
        r = (left * bottom + tiny) * max(z - abs(_real(t[ix(BELOW + 4 * i)]) - z) * _LIKE, _0)
        s = (right * bottom + tiny) * max(z - abs(_real(t[ix(BELOW + 4 * i + 2)]) - z) * _LIKE, _0)
        none = np.float32(1e-6) * z
        total = none + p * _real(t[ix(ABOVE + 4 * i + 1)]) + q * _real(t[ix(ABOVE + 4 * i + 3)])
        total += r * _real(t[ix(BELOW + 4 * i + 1)]) + s * _real(t[ix(BELOW + 4 * i + 3)])
        b[ix(OPEN + i)] = min(max(total / (none + p + q + r + s), _0), _1)

"""Distorted images from undistorted renderings: colour interpolated, labels picked, never blended.

A renderer draws a pinhole image that is large enough (``padded_camera``); ``distort`` warps all of its passes in step.
The table of where each pixel looks is built once per lens and kept in a ``RemapCache`` of bounded size.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.errors import RenderError
from simgen.kernels import kernel
from simgen.sensors.lens import (
    Array,
    Lens,
    distort_point,
    fisheye_angle,
    model_parameters,
    undistort_point,
    unproject,
)

COLOUR_PASSES = frozenset({"rgb"})
FLOW_PASSES = frozenset({"flow_forward", "flow_backward"})

MAX_ANGLE = 1.4
"""Default of the angle off the axis, in radians, beyond which nothing is rendered (a pinhole image cannot reach
pi / 2); pixels that look farther out are empty."""

_MAX_PIXELS = 1 << 26
_MAX_TAPS = 4
_INSIDE = 0.01  # pixels that positions keep from the last column and row, so that both samples of each exist


@dataclass(frozen=True)
class Pinhole:
    """An undistorted camera: size and intrinsics in pixels."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    @property
    def K(self) -> Array:  # noqa: N802
        """The 3x3 matrix of intrinsics."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1.0]])


@dataclass(frozen=True, eq=False)
class Remap:
    """Where each pixel of ``lens`` looks in an image of ``source``.

    ``position`` (H, W, 2) float32: x, y; ``nearest`` (H, W) int32: flat index of the nearest source pixel, -1 where
    the pixel sees nothing; ``taps`` (H, W) uint8: samples each way that cover the pixel's footprint, 0
    where it sees nothing.
    """

    lens: Lens
    source: Pinhole
    position: NDArray[np.float32]
    nearest: NDArray[np.int32]
    taps: NDArray[np.uint8]

    @property
    def nbytes(self) -> int:
        """Memory of the tables."""
        return self.position.nbytes + self.nearest.nbytes + self.taps.nbytes


def padded_camera(lens: Lens, scale: float = 1.0, max_angle: float = MAX_ANGLE) -> Pinhole:
    """The pinhole camera whose image covers everything that ``lens`` sees, up to ``max_angle`` off the axis.

    Its focal length is ``scale`` times the lens's; more than 1 renders finer, for sharper colour and closer labels: a
    picked label is up to half a source pixel off, which at a scale of 1 can add up to 0.2 pixels along an edge and at 2
    stays below 0.1. A lens without distortion gets its own camera. Raises RenderError when the image would be larger
    than 64 megapixels or the lens sees nothing.
    """
    if not lens.distorts and scale == 1:
        return Pinhole(lens.width, lens.height, lens.fx, lens.fy, lens.cx, lens.cy)
    # The outline, where a one-to-one map has its extremes; the inner grid is for lenses that do not fill the image.
    u = np.linspace(-0.5, lens.width - 0.5, min(lens.width, 128) + 1)
    v = np.linspace(-0.5, lens.height - 0.5, min(lens.height, 128) + 1)
    grid = np.stack(np.meshgrid(u, v), -1).reshape(-1, 2)
    rays = unproject(grid, lens.K, lens.distortion, lens.model)
    rays = rays[rays[:, 2] > 0]
    inside = rays[rays[:, 2] >= np.cos(max_angle)]
    if not len(inside):
        raise RenderError(f"the lens {lens} sees nothing within {max_angle:g} rad of its axis; check its coefficients")
    xy = inside[:, :2] / inside[:, 2:]
    low, high = xy.min(0), xy.max(0)
    if len(inside) < len(grid):
        # The border of what can be seen runs between the grid points: up to max_angle, where the lens reaches it.
        reach = np.tan(max_angle) if len(inside) < len(rays) else np.hypot(xy[:, 0], xy[:, 1]).max()
        step = 2 * np.abs(xy).max() / 128
        low, high = np.maximum(low - step, -reach), np.minimum(high + step, reach)
    fx, fy = lens.fx * scale, lens.fy * scale
    # Whole pixels of padding keep the pixel grid in place at the centre, where nothing is moved; one more is for
    # interpolation.
    left, top = (int(np.ceil(-low[0] * fx - lens.cx)) + 1, int(np.ceil(-low[1] * fy - lens.cy)) + 1)
    cx, cy = lens.cx + left, lens.cy + top
    width, height = int(np.ceil(high[0] * fx + cx)) + 2, int(np.ceil(high[1] * fy + cy)) + 2
    if width * height > _MAX_PIXELS:
        raise RenderError(
            f"covering the lens takes an undistorted image of {width}x{height} pixels; lower max_angle "
            f"({max_angle:g} rad) or scale ({scale:g})"
        )
    return Pinhole(width, height, fx, fy, cx, cy)


def remap_table(lens: Lens, source: Pinhole | None = None, max_angle: float = MAX_ANGLE) -> Remap:
    """The table that warps images of ``source`` (by default ``padded_camera(lens)``) to ``lens``."""
    source = source or padded_camera(lens, max_angle=max_angle)
    d, fisheye, limit = model_parameters(lens.distortion, lens.model)
    position = np.empty((lens.height, lens.width, 2), np.float32)
    nearest = np.empty((lens.height, lens.width), np.int32)
    intrinsics = np.array([lens.fx, lens.fy, lens.cx, lens.cy])
    target = np.array([source.fx, source.fy, source.cx, source.cy])
    reach = np.tan(max_angle)
    _build(intrinsics, d, fisheye, limit, reach, target, source.width, source.height, position, nearest)
    taps = np.empty((lens.height, lens.width), np.uint8)
    _footprints(position, nearest, taps)
    return Remap(lens, source, position, nearest, taps)


class RemapCache:
    """Tables by lens and source, the least recently used dropped when they exceed ``max_bytes``."""

    def __init__(self, max_bytes: int = 64 << 20) -> None:
        self.max_bytes = max_bytes
        self._tables: OrderedDict[tuple[Lens, Pinhole, float], Remap] = OrderedDict()

    @property
    def nbytes(self) -> int:
        """Memory in use."""
        return sum(table.nbytes for table in self._tables.values())

    def get(self, lens: Lens, source: Pinhole | None = None, max_angle: float = MAX_ANGLE) -> Remap:
        """As ``remap_table``."""
        source = source or padded_camera(lens, max_angle=max_angle)
        key = (lens, source, max_angle)
        table = self._tables.pop(key, None) or remap_table(lens, source, max_angle)
        self._tables[key] = table
        while self.nbytes > self.max_bytes:
            self._tables.popitem(last=False)
        return table


def distort(
    images: dict[str, NDArray[Any]], remap: Remap, out: dict[str, NDArray[Any]] | None = None
) -> dict[str, NDArray[Any]]:
    """All passes of an undistorted image (h, w[, C]) as the lens sees them (H, W[, C]).

    "rgb" is interpolated linearly, and averaged over the pixel's footprint where the lens shrinks the image. Flow is
    recomputed between where the lens puts the start and the end of each motion (the lens being the same at both
    times). Every other pass takes the value of the nearest source pixel. What sees nothing is 0. A lens without
    distortion gives the arrays back as they are. Passes named in ``out`` are written into its contiguous arrays, which
    spares fresh memory a frame. Raises RenderError when an image is not of the source's size, or ``out`` not of its.
    """
    lens, source = remap.lens, remap.source
    for name, image in images.items():
        if image.shape[:2] != (source.height, source.width):
            h, w = image.shape[:2]
            raise RenderError(
                f'pass "{name}" is {w}x{h} pixels, but the table warps {source.width}x{source.height}; render it with '
                "padded_camera"
            )
    if not lens.distorts and (source.width, source.height, source.cx) == (lens.width, lens.height, lens.cx):
        return dict(images)
    return {
        name: _warp(name, np.ascontiguousarray(image), remap, (out or {}).get(name)) for name, image in images.items()
    }


def _warp(name: str, image: NDArray[Any], remap: Remap, out: NDArray[Any] | None) -> NDArray[Any]:
    lens, source = remap.lens, remap.source
    shape = (lens.height, lens.width, *image.shape[2:])
    if out is None:
        out = np.empty(shape, image.dtype)
    elif out.shape != shape or out.dtype != image.dtype or not out.flags.c_contiguous:
        raise RenderError(f'the array for pass "{name}" must be {shape} {image.dtype}, contiguous; it is {out.shape}')
    if name in COLOUR_PASSES:
        rounding = np.float32(0.5 if np.issubdtype(image.dtype, np.integer) else 0.0)
        _interpolate(
            image.reshape(-1), source.width, source.height, remap.position, remap.nearest, remap.taps, rounding, out
        )
    elif name in FLOW_PASSES:
        d, fisheye, _ = model_parameters(lens.distortion, lens.model)
        target = np.array([source.fx, source.fy, source.cx, source.cy])
        _flow(image, remap.position, remap.nearest, target, np.array([lens.fx, lens.fy]), d, fisheye, out)
    elif image.ndim == 2:
        _pick(image.reshape(-1), remap.nearest.reshape(-1), out.reshape(-1))
    elif image.shape[2:] == (3,):
        _pick_triples(image.reshape(-1), remap.nearest.reshape(-1), out.reshape(-1))
    else:
        out[...] = image.reshape(-1, *image.shape[2:])[remap.nearest]
        out[remap.nearest < 0] = 0
    return out


@kernel(error_model="numpy")
def _build(
    lens: Array,
    d: Array,
    fisheye: bool,
    limit: float,
    reach: float,
    target: Array,
    source_width: int,
    source_height: int,
    position: NDArray[np.float32],
    nearest: NDArray[np.int32],
) -> None:
    height, width = nearest.shape
    for v in range(height):
        yd = (v - lens[3]) / lens[1]
        # Each pixel starts from where its two neighbours' solutions lead to. Newton's method squares the error, so the
        # step that is smaller than 1e-5 leaves about 1e-10.
        x, y, t, previous_x, previous_y, started = 0.0, 0.0, 0.0, 0.0, 0.0, False
        for u in range(width):
            xd = (u - lens[2]) / lens[0]
            if fisheye:
                radius = np.sqrt(xd * xd + yd * yd)
                t, ok = fisheye_angle(radius, d, limit, t if started else radius, 1e-5)
                ok = ok and t < 1.57
                s = np.tan(t) / radius if radius > 1e-12 else 1.0
                x, y = xd * s, yd * s
            else:
                ok = False
                if started:
                    guess_x, guess_y = 2 * x - previous_x, 2 * y - previous_y
                    previous_x, previous_y = x, y
                    x, y, ok = undistort_point(xd, yd, d, limit, guess_x, guess_y, 1e-5)
                if not ok:
                    x, y, ok = undistort_point(xd, yd, d, limit, xd, yd, 1e-5)
                    previous_x, previous_y = x - 1 / lens[0], y
            started = ok
            ok = ok and x * x + y * y <= reach * reach
            px, py = x * target[0] + target[2], y * target[1] + target[3]
            ok = ok and px > -0.5 and px < source_width - 0.5 and py > -0.5 and py < source_height - 0.5
            if ok:
                qx = np.float32(min(max(px, 0.0), source_width - 1 - _INSIDE))
                qy = np.float32(min(max(py, 0.0), source_height - 1 - _INSIDE))
                position[v, u, 0], position[v, u, 1] = qx, qy
                nearest[v, u] = int(qy + np.float32(0.5)) * source_width + int(qx + np.float32(0.5))
            else:
                position[v, u, 0], position[v, u, 1] = 0, 0
                nearest[v, u] = -1


@kernel()
def _footprints(position: NDArray[np.float32], nearest: NDArray[np.int32], taps: NDArray[np.uint8]) -> None:
    """Samples each way, at most 1.75 source pixels apart: a bilinear sample covers about two; 0 where none is."""
    height, width, _ = position.shape
    for v in range(height):
        for u in range(width):
            if nearest[v, u] < 0:
                taps[v, u] = 0
                continue
            u0, v0 = min(u, width - 2), min(v, height - 2)
            step = 0.0
            if width > 1 and height > 1:
                for c in range(2):
                    step = max(step, abs(position[v, u0 + 1, c] - position[v, u0, c]))
                    step = max(step, abs(position[v0 + 1, u, c] - position[v0, u, c]))
            taps[v, u] = min(max(int(np.ceil(step / 1.75)), 1), _MAX_TAPS)


@kernel(inline="always")
def _bilinear(
    image: NDArray[Any], k: np.uint32, row: np.uint32, fx: np.float32, fy: np.float32
) -> tuple[np.float32, np.float32, np.float32]:
    """Three channels between the pixels at k, k + 3 and one ``row`` below, of a flat image."""
    # Unsigned indices spare the check for negative ones.
    n = np.uint32(k + row)
    r0, r1 = np.float32(image[k]), np.float32(image[n])
    g0, g1 = np.float32(image[np.uint32(k + np.uint32(1))]), np.float32(image[np.uint32(n + np.uint32(1))])
    b0, b1 = np.float32(image[np.uint32(k + np.uint32(2))]), np.float32(image[np.uint32(n + np.uint32(2))])
    r0 += fx * (np.float32(image[np.uint32(k + np.uint32(3))]) - r0)
    r1 += fx * (np.float32(image[np.uint32(n + np.uint32(3))]) - r1)
    g0 += fx * (np.float32(image[np.uint32(k + np.uint32(4))]) - g0)
    g1 += fx * (np.float32(image[np.uint32(n + np.uint32(4))]) - g1)
    b0 += fx * (np.float32(image[np.uint32(k + np.uint32(5))]) - b0)
    b1 += fx * (np.float32(image[np.uint32(n + np.uint32(5))]) - b1)
    return r0 + fy * (r1 - r0), g0 + fy * (g1 - g0), b0 + fy * (b1 - b0)


@kernel(fastmath={"contract", "nsz"}, error_model="numpy")
def _interpolate(
    image: NDArray[Any],
    w: int,
    h: int,
    position: NDArray[np.float32],
    nearest: NDArray[np.int32],
    taps: NDArray[np.uint8],
    rounding: np.float32,
    out: NDArray[Any],
) -> None:
    height, width, _ = out.shape
    corner, fx, fy = np.empty(width, np.uint32), np.empty(width, np.float32), np.empty(width, np.float32)
    row = np.uint32(3 * w)
    for v in range(height):
        plain = True
        for u in range(width):
            x0, y0 = np.int32(position[v, u, 0]), np.int32(position[v, u, 1])
            fx[u], fy[u] = position[v, u, 0] - np.float32(x0), position[v, u, 1] - np.float32(y0)
            corner[u] = np.uint32(3 * (y0 * w + x0))
            plain &= taps[v, u] == 1
        for u in range(width):
            r, g, b = _bilinear(image, corner[u], row, fx[u], fy[u])
            out[v, u, 0], out[v, u, 1], out[v, u, 2] = r + rounding, g + rounding, b + rounding
        if plain:
            continue
        for u in range(width):
            if nearest[v, u] < 0:
                out[v, u, 0] = out[v, u, 1] = out[v, u, 2] = 0
            elif taps[v, u] > 1:
                _average(image, w, h, position, v, u, int(taps[v, u]), rounding, out)


@kernel(fastmath={"contract", "nsz"}, error_model="numpy")
def _average(
    image: NDArray[Any],
    w: int,
    h: int,
    position: NDArray[np.float32],
    v: int,
    u: int,
    n: int,
    rounding: np.float32,
    out: NDArray[Any],
) -> None:
    """The mean of n x n bilinear samples over the parallelogram that pixel (u, v) covers in the source."""
    height, width, _ = position.shape
    zero, half, step = np.float32(0), np.float32(0.5), np.float32(1 / n)
    last_x, last_y = np.float32(w - 1 - _INSIDE), np.float32(h - 1 - _INSIDE)
    px, py = position[v, u, 0], position[v, u, 1]
    u0, v0 = min(u, width - 2), min(v, height - 2)
    ux, uy = position[v, u0 + 1, 0] - position[v, u0, 0], position[v, u0 + 1, 1] - position[v, u0, 1]
    vx, vy = position[v0 + 1, u, 0] - position[v0, u, 0], position[v0 + 1, u, 1] - position[v0, u, 1]
    red = green = blue = zero
    for i in range(n):
        s = (np.float32(i) + half) * step - half
        for j in range(n):
            t = (np.float32(j) + half) * step - half
            qx = min(max(px + s * ux + t * vx, zero), last_x)
            qy = min(max(py + s * uy + t * vy, zero), last_y)
            x0, y0 = np.int32(qx), np.int32(qy)
            corner = np.uint32(3 * (y0 * w + x0))
            r, g, b = _bilinear(image, corner, np.uint32(3 * w), qx - np.float32(x0), qy - np.float32(y0))
            red, green, blue = red + r, green + g, blue + b
    share = step * step
    out[v, u, 0], out[v, u, 1], out[v, u, 2] = red * share + rounding, green * share + rounding, blue * share + rounding


@kernel()
def _pick(image: NDArray[Any], nearest: NDArray[np.int32], out: NDArray[Any]) -> None:
    for i in range(nearest.size):
        s = nearest[i]
        out[i] = image[s] if s >= 0 else 0


@kernel()
def _pick_triples(image: NDArray[Any], nearest: NDArray[np.int32], out: NDArray[Any]) -> None:
    for i in range(nearest.size):
        s = nearest[i]
        if s >= 0:
            out[3 * i], out[3 * i + 1], out[3 * i + 2] = image[3 * s], image[3 * s + 1], image[3 * s + 2]
        else:
            out[3 * i] = out[3 * i + 1] = out[3 * i + 2] = 0


@kernel(error_model="numpy")
def _flow(
    flow: NDArray[np.float32],
    position: NDArray[np.float32],
    nearest: NDArray[np.int32],
    source: Array,
    focal: Array,
    d: Array,
    fisheye: bool,
    out: NDArray[np.float32],
) -> None:
    height, width = nearest.shape
    per_x, per_y = 1 / source[0], 1 / source[1]
    x, y, dx, dy = np.empty(width), np.empty(width), np.empty(width), np.empty(width)
    for v in range(height):
        for u in range(width):
            s, t = int(position[v, u, 0] + np.float32(0.5)), int(position[v, u, 1] + np.float32(0.5))
            x[u], y[u] = (s - source[2]) * per_x, (t - source[3]) * per_y
            dx[u], dy[u] = flow[t, s, 0] * per_x, flow[t, s, 1] * per_y
        for u in range(width):
            ax, ay = distort_point(x[u], y[u], d, fisheye)
            bx, by = distort_point(x[u] + dx[u], y[u] + dy[u], d, fisheye)
            dx[u], dy[u] = (bx - ax) * focal[0], (by - ay) * focal[1]
        for u in range(width):
            seen = nearest[v, u] >= 0
            out[v, u, 0] = dx[u] if seen else 0.0
            out[v, u, 1] = dy[u] if seen else 0.0

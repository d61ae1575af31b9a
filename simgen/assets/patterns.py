"""Generated textures: tileable images computed from a seed and a few colours.

Every kind is a field over the unit torus that says which mix of the colours is where, times a shade. Fields are built
from random lattices, products, sums and square roots only, and colours go through a table, so that the pixels do not
depend on the CPU.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from simgen import rng
from simgen.assets import noise
from simgen.assets.asset import Texture

F32 = NDArray[np.float32]
Color = tuple[float, float, float]
Field = tuple[F32, F32]
"""Position along the colours (0 = first, 1 = last) and shade (1 = unchanged) at each pixel, (n, n) or broadcastable."""

LEVELS = 4096
"""Entries of the table from linear light to sRGB."""


class _Canvas:
    """The unit torus sampled at pixel centres: ``x`` (1, n) to the right, ``y`` (n, 1) down, and its random stream."""

    def __init__(self, kind: str, seed: int, scale: float, size: int) -> None:
        self.size = size
        self.random = rng.stream(seed, 0, f"pattern/{kind}")
        self.x = ((np.arange(size, dtype=np.float32) + np.float32(0.5)) / np.float32(size))[None, :]
        self.y = self.x.T
        self.features = max(1, min(size // 4, round(8 / scale)))

    def lattice(self, nx: int, ny: int) -> F32:
        """Smooth noise (n, n) in 0...1 with nx by ny random values over the tile, at least one of each."""
        total = np.zeros((self.size, self.size), np.float32)
        self._add_lattice(total, 1.0, nx, ny)
        return total

    def fractal(self, nx: int, ny: int, octaves: int = 4, gain: float = 0.5) -> F32:
        """Sum of lattices of doubling resolution, stretched to about 0...1."""
        total, weight, amplitude = np.zeros((self.size, self.size), np.float32), 0.0, 1.0
        for _ in range(octaves):
            if max(nx, ny) > self.size // 2:
                break
            self._add_lattice(total, amplitude, nx, ny)
            weight, amplitude, nx, ny = weight + amplitude, amplitude * gain, nx * 2, ny * 2
        return noise.stretched(total, np.float32(max(weight, 1e-6)))

    def _add_lattice(self, total: F32, amplitude: float, nx: int, ny: int) -> None:
        nx, ny = max(1, nx), max(1, ny)
        values = self.random.random((ny, nx), dtype=np.float32)
        noise.add_lattice(total, np.float32(amplitude), values, *_cells(self.size, nx), *_cells(self.size, ny))

    def hashed(self, cell_x: NDArray[np.int64], cell_y: NDArray[np.int64], nx: int, ny: int) -> F32:
        """A random number in 0...1 for each cell of a periodic nx by ny grid."""
        return self.random.random((ny, nx), dtype=np.float32)[cell_y % ny, cell_x % nx]

    def cells(self, n: int, jitter: float) -> tuple[F32, F32, NDArray[np.int32]]:
        """Distance to the nearest and second nearest of n * n jittered points, in cells, and the nearest's number."""
        offset = 0.5 + np.float32(jitter) * (self.random.random((2, n, n), dtype=np.float32) - np.float32(0.5))
        place = self.x[0] * np.float32(n)
        first, second, nearest = noise.nearest_points(offset, place, place)
        return np.sqrt(first), np.sqrt(second), nearest


def generate(kind: str, seed: int, colors: Sequence[Color], scale: float = 1.0, size: int = 256) -> Texture:
    """A tileable sRGB texture (size, size, 3) uint8.

    ``kind`` is one of KINDS; ``colors`` are linear RGB in 0...1, at least one, used from the first (ground) to the last
    (figure); ``scale`` is the size of features, 1 putting about eight across the tile. Raises ValueError for an unknown
    kind, no colours, or a scale or size that is not positive.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind of pattern {kind!r}, known: {', '.join(KINDS)}")
    if not colors or not scale > 0 or size < 1:
        raise ValueError(
            f"a pattern needs colours, a positive scale and a positive size, not {colors}, {scale}, {size}"
        )
    palette = np.asarray(colors, np.float64).reshape(-1, 3)
    if len(palette) == 1:  # one colour: a darker tone of it is the figure
        palette = np.stack([palette[0], palette[0] * 0.55])
    position, shade = _FIELDS[kind](_Canvas(kind, seed, scale, size))
    pixels = _paint(position, shade, palette, size)
    key = hashlib.sha256(f"{kind}:{seed}:{scale!r}:{palette.tolist()}".encode()).hexdigest()[:20]
    return Texture(f"{size}:{key}", pixels)


def _paint(position: F32, shade: F32, palette: NDArray[np.float64], size: int) -> NDArray[np.uint8]:
    """The sRGB pixels (size, size, 3) of a field in the colours of ``palette`` (k, 3)."""
    steps = np.arange(256) / 255 * (len(palette) - 1)
    low = np.minimum(steps.astype(np.int64), len(palette) - 2)
    part = (steps - low)[:, None]
    ramp = (palette[low] * (1 - part) + palette[low + 1] * part).astype(np.float32) * np.float32(LEVELS - 1)
    where = np.ascontiguousarray(np.broadcast_to(position, (size, size)))
    dark = np.ascontiguousarray(np.broadcast_to(shade, (size, size)), np.float32)
    return noise.painted(where, dark, ramp, _srgb_table())


@lru_cache(maxsize=1)
def _srgb_table() -> NDArray[np.uint8]:
    light = np.arange(LEVELS) / (LEVELS - 1)
    code = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return (code * 255 + 0.5).astype(np.uint8)


@lru_cache(maxsize=64)
def _cells(size: int, n: int) -> tuple[NDArray[np.intp], F32]:
    """For each pixel of a row, the lattice point to its left and the smooth weight of the one to its right."""
    at = (np.arange(size, dtype=np.float32) + np.float32(0.5)) * np.float32(n / size)
    index = at.astype(np.intp)
    t = at - index.astype(np.float32)
    return index % n, t * t * (3 - 2 * t)


def _wave(phase: F32) -> F32:
    """A smooth periodic wave in 0...1 of period 1, 0 at whole numbers."""
    t = phase - np.floor(phase)
    t = 1 - np.abs(2 * t - 1)
    return t * t * (3 - 2 * t)


def _step(value: F32, edge: float, width: float) -> F32:
    """0 below ``edge``, 1 above, smooth over ``width``."""
    return noise.smooth_step(value, np.float32(edge), np.float32(width))


def _one(canvas: _Canvas) -> F32:
    return np.ones((1, 1), np.float32)


def _cell(value: F32) -> NDArray[np.int64]:
    return np.floor(value).astype(np.int64)


def _solid(canvas: _Canvas) -> Field:
    return np.zeros((1, 1), np.float32), _one(canvas)


def _noise(canvas: _Canvas) -> Field:
    return canvas.fractal(canvas.features, canvas.features, 5), _one(canvas)


def _checker(canvas: _Canvas) -> Field:
    n = max(2, canvas.features // 2 * 2)
    cx, cy = _cell(canvas.x * np.float32(n)), _cell(canvas.y * np.float32(n))
    shade = 0.94 + 0.06 * canvas.hashed(cx, cy, n, n)
    return ((cx + cy) % 2).astype(np.float32), shade.astype(np.float32)


def _stripes(canvas: _Canvas) -> Field:
    u, v = _directions(canvas)
    phase = canvas.x * np.float32(u) + canvas.y * np.float32(v)
    duty = 0.3 + 0.4 * float(canvas.random.random())
    soft = 0.02 * max(abs(u), abs(v)) if canvas.random.random() < 0.7 else 1.0
    return _step(_wave(phase), duty, soft), _one(canvas)


def _gradient(canvas: _Canvas) -> Field:
    n = max(1, canvas.features // 8)
    u, v = ((0, n), (n, 0), (n, n), (n, -n))[int(canvas.random.integers(4))]
    bend = (canvas.lattice(3, 3) - np.float32(0.5)) * np.float32(0.35)
    return _wave(canvas.x * np.float32(u) + canvas.y * np.float32(v) + bend), _one(canvas)


def _marble(canvas: _Canvas) -> Field:
    n = canvas.features
    u, v = _directions(canvas, max(1, n // 4))
    warp = canvas.fractal(max(2, n // 3), max(2, n // 3), 5, 0.5)
    phase = canvas.x * np.float32(u) + canvas.y * np.float32(v) + warp * np.float32(1.3)
    vein = np.abs(2 * (phase - np.floor(phase)) - 1)
    fine = np.abs(2 * canvas.fractal(max(2, n // 2), max(2, n // 2), 4, 0.55) - 1)
    cloud = canvas.fractal(n, n, 4)
    line = np.clip(1 - 5 * vein, 0, 1) * (0.4 + 0.6 * cloud) + 0.5 * np.clip(1 - 12 * fine, 0, 1)
    return np.clip(line + 0.3 * cloud * (1 - vein), 0, 1), 0.92 + 0.08 * cloud


def _wood(canvas: _Canvas) -> Field:
    n = max(2, canvas.features)
    warp = canvas.fractal(1, max(1, n // 4), 2, 0.4)
    phase = canvas.y * np.float32(n) + warp * np.float32(2 + 3 * canvas.random.random())
    ring = phase - np.floor(phase)
    ring = ring * ring * (1 - _step(ring, 0.93, 0.12))
    fibre = canvas.fractal(max(2, n // 2), 16 * n, 3, 0.7)
    pores = _step(canvas.lattice(4 * n, canvas.size // 2), 0.86, 0.1)
    return 0.75 * ring + 0.35 * fibre, 0.84 + 0.2 * fibre - 0.15 * pores


def _planks(canvas: _Canvas) -> Field:
    n = max(2, canvas.features)
    row = _cell(canvas.y * np.float32(n))
    shift = canvas.hashed(np.zeros_like(row), row, 1, n)
    along = canvas.x * np.float32(2) + shift
    board = _cell(along)
    fy, fx = canvas.y * np.float32(n) - row, along - board
    gap = _step(np.minimum(fy, 1 - fy) * (canvas.size / n), 0.9, 1.6)
    gap = gap * _step(np.minimum(fx, 1 - fx) * (canvas.size / 2), 0.9, 1.6)
    grain = canvas.fractal(4, 8 * n, 3, 0.7)
    tone = canvas.hashed(board, row, 2, n)
    return 0.55 * tone + 0.45 * grain, (0.25 + 0.75 * gap) * (0.8 + 0.3 * grain)


def _spots(canvas: _Canvas) -> Field:
    n = max(2, canvas.features)
    distance, _, number = canvas.cells(n, 0.6)
    radius = canvas.random.random((n * n,), dtype=np.float32)[number] * np.float32(0.2) + np.float32(0.16)
    tone = np.float32(0.55) + np.float32(0.45) * canvas.random.random((n * n,), dtype=np.float32)[number]
    return (1 - _step(distance - radius, 0, 2.5 * n / canvas.size)) * tone, _one(canvas)


def _dots(canvas: _Canvas) -> Field:
    n = max(2, canvas.features // 2 * 2)
    gx, gy = canvas.x * np.float32(n), canvas.y * np.float32(n)
    row = _cell(gy)
    gx = gx + (row % 2).astype(np.float32) * np.float32(0.5)
    dx, dy = gx - np.floor(gx) - np.float32(0.5), gy - row - np.float32(0.5)
    radius = 0.22 + 0.14 * float(canvas.random.random())
    return 1 - _step(np.sqrt(dx * dx + dy * dy), radius, 2.5 * n / canvas.size), _one(canvas)


def _bricks(canvas: _Canvas) -> Field:
    rows = max(2, canvas.features // 2 * 2)
    columns = max(1, rows // 2)
    row = _cell(canvas.y * np.float32(rows))
    gx = canvas.x * np.float32(columns) + (row % 2).astype(np.float32) * np.float32(0.5)
    column = _cell(gx)
    fx, fy = (gx - column) / np.float32(columns), (canvas.y * np.float32(rows) - row) / np.float32(rows)
    rough = canvas.fractal(4 * columns, 4 * rows, 3)
    edge = np.minimum(np.minimum(fx, 1 / columns - fx), np.minimum(fy, 1 / rows - fy)) * np.float32(rows)
    brick = _step(edge + (rough - np.float32(0.5)) * np.float32(0.05), 0.06, 0.05)
    tone = canvas.hashed(column, row, columns, rows)
    return brick * (0.62 + 0.38 * tone), 1 - brick * (0.12 + 0.22 * rough)


def _tiles(canvas: _Canvas) -> Field:
    n = max(1, canvas.features // 2)
    cx, cy = _cell(canvas.x * np.float32(n)), _cell(canvas.y * np.float32(n))
    fx, fy = canvas.x * np.float32(n) - cx, canvas.y * np.float32(n) - cy
    edge = np.minimum(np.minimum(fx, 1 - fx), np.minimum(fy, 1 - fy))
    tile = _step(edge, 0.035, max(0.02, 1.5 * n / canvas.size))
    cloud = canvas.fractal(2 * n, 2 * n, 4)
    tone = canvas.hashed(cx, cy, n, n)
    return tile * (0.7 + 0.2 * tone + 0.1 * cloud), 1 - 0.12 * cloud * tile + 0.05 * _step(edge, 0.08, 0.06) * tile


def _weave(canvas: _Canvas) -> Field:
    n = max(2, canvas.features * 2)
    gx, gy = canvas.x * np.float32(n), canvas.y * np.float32(n)
    cx, cy = _cell(gx), _cell(gy)
    over = (cx + cy) % 2 == 0
    across, along = np.where(over, gy - cy, gx - cx), np.where(over, gx - cx, gy - cy)
    bulge = (4 * across * (1 - across)).astype(np.float32)
    height = np.sqrt(bulge) * (0.55 + 0.45 * 4 * along * (1 - along))
    thread = np.where(over, canvas.hashed(np.zeros_like(cy), cy, 1, n), canvas.hashed(cx, np.zeros_like(cx), n, 1))
    fibre = canvas.lattice(canvas.size // 4, canvas.size // 4)
    tone = np.where(over, np.float32(0), np.float32(1)) * (0.75 + 0.25 * thread) + np.where(over, 0.2 * thread, 0)
    return tone.astype(np.float32), (0.45 + 0.55 * height) * (0.9 + 0.1 * fibre)


def _plaid(canvas: _Canvas) -> Field:
    n = 2 * max(2, canvas.features * 2)
    threads = canvas.random.random(n // 2, dtype=np.float32)
    threads = (np.round(np.concatenate([threads, threads[::-1]]) * 3) / np.float32(3)).astype(np.float32)
    warp = threads[_cell(canvas.x * np.float32(n)) % n]
    weft = threads[_cell(canvas.y * np.float32(n)) % n]
    px = np.arange(canvas.size)
    twill = ((px[None, :] + px[:, None]) // max(1, canvas.size // 128) % 2).astype(np.float32)
    return np.where(twill > 0, warp, weft).astype(np.float32), (0.92 + 0.08 * twill).astype(np.float32)


def _camouflage(canvas: _Canvas) -> Field:
    n = max(2, canvas.features // 2)
    field = canvas.fractal(n, n, 4, 0.45)
    level = _step(field, 0.38, 0.02) + _step(field, 0.54, 0.02) + _step(canvas.fractal(n, n, 4, 0.45), 0.66, 0.02)
    return np.clip(level / np.float32(3), 0, 1), _one(canvas)


def _speckle(canvas: _Canvas) -> Field:
    n = max(4, min(canvas.size // 4, canvas.features * 3))
    distance, _, number = canvas.cells(n, 1.0)
    draws = canvas.random.random((2, n * n), dtype=np.float32)
    radius = np.where(draws[0] < 0.6, np.float32(0), draws[0] * np.float32(0.42))[number]
    grain = canvas.lattice(canvas.size // 2, canvas.size // 2)
    speck = 1 - _step(distance - radius, 0, 2.5 * n / canvas.size)
    return np.where(radius > 0, speck * (0.4 + 0.6 * draws[1][number]), 0), 0.94 + 0.06 * grain


def _terrazzo(canvas: _Canvas) -> Field:
    n = max(3, canvas.features)
    first, second, number = canvas.cells(n, 0.95)
    draws = canvas.random.random((2, n * n), dtype=np.float32)
    chip = _step(second - first, 0.16, 2.5 * n / canvas.size) * (draws[0] < 0.75)[number]
    grain = canvas.lattice(canvas.size // 3, canvas.size // 3)
    return chip * (0.25 + 0.75 * draws[1][number]), 0.93 + 0.07 * grain


def _leather(canvas: _Canvas) -> Field:
    n = max(4, canvas.features * 2)
    first, second, number = canvas.cells(n, 0.9)
    ridge = np.clip((second - first) * np.float32(2.2), 0, 1)
    tone = canvas.random.random((n * n,), dtype=np.float32)[number]
    return 1 - 0.8 * ridge - 0.2 * tone, 0.55 + 0.45 * ridge


def _zigzag(canvas: _Canvas) -> Field:
    n = max(1, canvas.features // 2)
    fold = np.abs((canvas.x * np.float32(n)) % 1 - np.float32(0.5)) * np.float32(1 + canvas.random.random())
    return _step(_wave(canvas.y * np.float32(n) + fold), 0.5, 4 * n / canvas.size), _one(canvas)


def _brushed(canvas: _Canvas) -> Field:
    n = canvas.features
    fine = canvas.fractal(2, min(canvas.size // 2, 16 * n), 3, 0.8)
    broad = canvas.fractal(1, max(1, n // 2), 2)
    return 0.5 * fine + 0.5 * broad, 0.85 + 0.2 * fine


def _stains(canvas: _Canvas) -> Field:
    n = max(2, canvas.features // 2)
    patch = _step(canvas.fractal(n, n, 5, 0.6), 0.58, 0.12)
    grit = canvas.fractal(8 * n, 8 * n, 3, 0.7)
    return np.clip(patch * (0.6 + 0.5 * grit), 0, 1), 0.85 + 0.2 * grit


def _directions(canvas: _Canvas, n: int | None = None) -> tuple[int, int]:
    """Whole numbers of periods across and down the tile for bands of a random direction."""
    n = canvas.features if n is None else n
    choices = ((0, n), (n, 0), (n, n), (n, -n), (n, max(1, n // 2)), (max(1, n // 2), -n))
    return choices[int(canvas.random.integers(len(choices)))]


_FIELDS: dict[str, Callable[[_Canvas], Field]] = {
    "bricks": _bricks,
    "brushed": _brushed,
    "camouflage": _camouflage,
    "checker": _checker,
    "dots": _dots,
    "gradient": _gradient,
    "leather": _leather,
    "marble": _marble,
    "noise": _noise,
    "plaid": _plaid,
    "planks": _planks,
    "solid": _solid,
    "speckle": _speckle,
    "spots": _spots,
    "stains": _stains,
    "stripes": _stripes,
    "terrazzo": _terrazzo,
    "tiles": _tiles,
    "weave": _weave,
    "wood": _wood,
    "zigzag": _zigzag,
}

KINDS: tuple[str, ...] = tuple(_FIELDS)
"""The kinds of generated textures."""

"""Procedural road signs of no particular country, for scenes without pictures of real ones.

"road_sign/ring-bar_0" is a bar in a ring, in the first of its colours. A sign is a plate (see ``simgen.assets.plates``)
whose face is drawn here.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from simgen.assets.asset import Asset
from simgen.assets.plates import plate
from simgen.assets.textures import texture

PREFIX = "road_sign/"

SIDE = 128
"""Pixels."""

SAMPLES = 4
"""Samples of a pixel each way."""

Mask = NDArray[np.bool_]
Color = tuple[int, int, int]

WHITE, BLACK = (245, 245, 245), (20, 20, 20)
RED, BLUE, YELLOW, BROWN = (200, 25, 35), (25, 80, 160), (245, 180, 20), (110, 75, 45)

_OUTLINES: dict[str, tuple[int, float, float, float]] = {
    "ring": (64, 0.0, 1.0, 0.0),
    "disc": (64, 0.0, 1.0, 0.0),
    "triangle": (3, math.pi / 2, 0.5, -0.25),
    "octagon": (8, math.pi / 8, math.cos(math.pi / 8), 0.0),
    "diamond": (4, 0.0, math.cos(math.pi / 4), 0.0),
    "square": (4, math.pi / 4, 0.9 * math.cos(math.pi / 4), 0.0),
}
"""Shape -> corners, angle of the first corner, distance of the sides, height of the middle; within -1 to 1."""

_COLORS: dict[str, tuple[tuple[Color, Color, Color], ...]] = {
    "ring": ((RED, WHITE, BLACK), (BLACK, WHITE, BLACK)),
    "disc": ((WHITE, BLUE, WHITE), (WHITE, RED, WHITE)),
    "triangle": ((RED, WHITE, BLACK), (RED, YELLOW, BLACK)),
    "octagon": ((WHITE, RED, WHITE), (WHITE, BROWN, WHITE)),
    "diamond": ((WHITE, YELLOW, BLACK), (BLACK, YELLOW, BLACK)),
    "square": ((WHITE, BLUE, WHITE), (BLUE, WHITE, BLUE)),
}
"""Shape -> border, field and symbol of each variant."""

_BORDER = {"ring": 0.74, "triangle": 0.68}
"""Shape -> size of the field in that of the plate."""

_SYMBOL_SIZE = {"triangle": 0.6, "square": 0.7}
"""Shape -> size of the symbol where it is not that of a disc."""

_SYMBOLS: dict[str, tuple[str, ...]] = {
    "ring": ("bar", "cross", "dots"),
    "disc": ("up", "left", "right"),
    "triangle": ("bar", "cross", "dots"),
    "octagon": ("bar",),
    "diamond": ("plain",),
    "square": ("up", "cross"),
}


def names() -> list[str]:
    """All of them."""
    return [
        f"{PREFIX}{shape}-{symbol}_{variant}"
        for shape, symbols in _SYMBOLS.items()
        for symbol in symbols
        for variant in range(len(_COLORS[shape]))
    ]


def kind(name: str) -> str:
    """What is on the sign called ``name``, in whichever colours: "ring-bar"."""
    return name.removeprefix(PREFIX).partition("_")[0]


def road_sign(name: str) -> Asset:
    """The sign called ``name``, one of ``names``."""
    return plate(name, kind(name), texture(face(name)))


def face(name: str) -> NDArray[np.uint8]:
    """RGBA (SIDE, SIDE, 4) of the face of the sign called ``name``; transparent outside its outline."""
    shape, _, symbol = kind(name).partition("-")
    border, field, ink = _COLORS[shape][int(name.rpartition("_")[2])]
    axis = (np.arange(SIDE * SAMPLES) + 0.5) / (SIDE * SAMPLES / 2) - 1
    x, y = axis[None], -axis[:, None]
    corners, angle, distance, middle = _OUTLINES[shape]
    whole = _polygon(x, y - middle, corners, angle, 0.98 * distance)
    inner = _polygon(x, y - middle, corners, angle, 0.98 * distance * _BORDER.get(shape, 0.92))
    size = _SYMBOL_SIZE.get(shape, 1.0)
    drawn = _symbol(symbol, x / size, (y - middle) / size) & inner
    covered, filled, inked = (_samples(mask & whole) for mask in (whole, inner, drawn))
    shares = ((covered - filled, border), (filled - inked, field), (inked, ink))
    total = np.sum([count[..., None] * np.array(color) for count, color in shares], axis=0)
    rgb = total / np.maximum(covered, 1)[..., None]
    alpha = covered * (255 / SAMPLES**2)
    return np.ascontiguousarray(np.concatenate([rgb, alpha[..., None]], axis=2) + 0.5).astype(np.uint8)


def _samples(mask: Mask) -> NDArray[np.int64]:
    """How many samples of each pixel (SIDE, SIDE) are in ``mask``."""
    parts = [mask[i::SAMPLES, j::SAMPLES] for i in range(SAMPLES) for j in range(SAMPLES)]
    return np.asarray(np.stack(parts).sum(axis=0, dtype=np.uint8), np.int64)


def _polygon(x: NDArray[np.floating], y: NDArray[np.floating], corners: int, angle: float, distance: float) -> Mask:
    """Inside a regular polygon whose sides are ``distance`` from its middle."""
    inside = np.ones(np.broadcast_shapes(x.shape, y.shape), np.bool_)
    for k in range(corners):
        a = angle + (k + 0.5) * 2 * math.pi / corners
        inside &= x * math.cos(a) + y * math.sin(a) <= distance
    return inside


def _symbol(symbol: str, x: NDArray[np.floating], y: NDArray[np.floating]) -> Mask:
    if symbol == "bar":
        return (np.abs(x) <= 0.42) & (np.abs(y) <= 0.13)
    if symbol == "cross":
        a, b = np.abs(x + y), np.abs(x - y)
        return (np.minimum(a, b) <= 0.14) & (np.maximum(a, b) <= 0.6)
    if symbol == "dots":
        return (np.abs(x) - 0.26) ** 2 + y**2 <= 0.15**2
    if symbol == "plain":
        return np.zeros(np.broadcast_shapes(x.shape, y.shape), np.bool_)
    along, across = {"up": (y, x), "left": (-x, y), "right": (x, y)}[symbol]
    shaft = (np.abs(across) <= 0.11) & (np.abs(along + 0.15) <= 0.45)
    head = (along >= 0.1) & (np.abs(across) + 0.8 * (along - 0.1) <= 0.4)
    return shaft | head

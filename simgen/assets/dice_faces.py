"""The pictures of a die's six faces: what its body is made of, and its pips.

The body is a field in space rather than on a face, so that marbling goes on around edges. Only sums, products and
square roots are used, so that the pixels do not depend on the CPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from simgen import rng
from simgen.assets.asset import Texture
from simgen.assets.noise import cube_noise
from simgen.assets.textures import texture

COLUMNS, ROWS = 3, 2
"""Faces one to six side by side, row by row, in one picture."""

SIZE = 128
"""Pixels across a face."""

BODIES = {"solid": 0.4, "marble": 0.2, "speckle": 0.1, "smoky": 0.14, "pearl": 0.16}
"""What dice are made of, and how often."""

DEPTHS = (0.0, 0.25, 0.6, 1.0)
"""How deep pips are engraved: slope of the wall at their rim. 0: painted on."""

CONTRAST = 0.4
"""Least distance between the colours of pips and body; black and white are 1.7 apart."""

F32 = NDArray[np.float32]
Color = tuple[float, float, float]
"""Red, green, blue in 0...1, sRGB-encoded."""
Axis = tuple[int, int, int]


@dataclass(frozen=True)
class FaceDesign:
    """How the faces of a die look; lengths are in edges of the die."""

    body: str
    colors: tuple[Color, Color]
    """Of the body: ground and figure."""
    pip: Color
    radius: float
    """Of a pip."""
    single: float
    """How much larger the pip of the one is."""
    spread: float
    """From the middle of a face to the outer pips, along each of its edges."""
    depth: float
    """One of DEPTHS."""
    turned: tuple[bool, ...]
    """For each face from one to six, whether its picture is turned by 90 degrees."""
    seed: int

    @staticmethod
    def drawn(random: np.random.Generator, name: str) -> FaceDesign:
        """A design; ``name`` seeds the pattern of the body."""
        body = str(random.choice(list(BODIES), p=list(BODIES.values())))
        first, second = _body_colors(body, random)
        pip = _pip_color(first, random)
        # Steps, so that many dice share one normal map.
        radius = 0.075 + 0.0075 * int(random.integers(5))
        spread = 0.22 + 0.015 * int(random.integers(4))
        single = 1.0 if random.random() < 0.8 else 1.35
        depth = DEPTHS[int(random.integers(len(DEPTHS)))]
        # Only two, three and six change when turned; a die of one make has them in one way.
        flips = (int(random.integers(8)) >> np.arange(3)) & 1
        turned = (False, bool(flips[0]), bool(flips[1]), False, False, bool(flips[2]))
        seed = int(rng.stream(0, 0, f"asset/{name}/body").integers(2**31))
        return FaceDesign(body, (first, second), pip, radius, single, spread, depth, turned, seed)


def pips(design: FaceDesign, value: int) -> list[tuple[float, float]]:
    """Centres of the pips of the face ``value``: to the right and up from its middle, in edges."""
    a = design.spread
    middle, diagonal, other = [(0.0, 0.0)], [(-a, -a), (a, a)], [(-a, a), (a, -a)]
    found = {
        1: middle,
        2: diagonal,
        3: middle + diagonal,
        4: diagonal + other,
        5: middle + diagonal + other,
        6: diagonal + other + [(-a, 0.0), (a, 0.0)],
    }[value]
    return [(-y, x) for x, y in found] if design.turned[value - 1] else found


def color_map(design: FaceDesign, axes: Mapping[int, tuple[Axis, Axis]]) -> Texture:
    """The sRGB picture of all faces; ``axes`` gives right and up of each in the frame of the die."""
    line = (np.arange(SIZE, dtype=np.float32) + np.float32(0.5)) / np.float32(SIZE) - np.float32(0.5)
    right, down = np.meshgrid(line, line)
    cells = []
    for value, (across, up) in axes.items():
        out = np.cross(across, up)
        point = [right * across[k] - down * up[k] + np.float32(0.5) * out[k] for k in range(3)]
        base = _body(design, point, right, down)
        cover = _cover(design, value, right, down)[..., None]
        cells.append(base * (1 - cover) + np.array(design.pip, np.float32) * cover)
    pixels = _sheet(cells)
    return texture((np.clip(pixels, 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8))


def normal_map(design: FaceDesign) -> Texture | None:
    """Tangent-space normals (glTF) of the engraved pips, None when they are painted on."""
    if design.depth == 0:
        return None
    layout = tuple(tuple(pips(design, value)) for value in range(1, 7))
    return _engraving(layout, design.radius, design.single, design.depth)


@lru_cache(maxsize=64)
def _engraving(
    layout: tuple[tuple[tuple[float, float], ...], ...], radius: float, single: float, depth: float
) -> Texture:
    """Normals of bowls of parabolic section: the slope grows from the middle to ``depth`` at the rim."""
    line = (np.arange(SIZE, dtype=np.float32) + np.float32(0.5)) / np.float32(SIZE) - np.float32(0.5)
    right, down = np.meshgrid(line, line)
    cells = []
    for value, centers in enumerate(layout, start=1):
        r = np.float32(radius * (single if value == 1 else 1))
        slope = np.zeros((SIZE, SIZE, 2), np.float32)
        for x, y in centers:
            dx, dy = right - np.float32(x), -down - np.float32(y)
            inside = (dx * dx + dy * dy < r * r)[..., None]
            slope += np.where(inside, np.stack([dx, dy], axis=-1) * np.float32(depth / r), 0)
        normal = np.concatenate([-slope, np.ones((SIZE, SIZE, 1), np.float32)], axis=-1)
        cells.append(normal / np.sqrt((normal * normal).sum(axis=-1, keepdims=True)))
    pixels = _sheet(cells) * np.float32(0.5) + np.float32(0.5)
    return texture((pixels * np.float32(255) + np.float32(0.5)).astype(np.uint8), srgb=False)


def _sheet(cells: list[F32]) -> F32:
    """The pictures of faces one to six in one."""
    return np.concatenate([np.concatenate(cells[r * COLUMNS : (r + 1) * COLUMNS], axis=1) for r in range(ROWS)])


def _cover(design: FaceDesign, value: int, right: F32, down: F32) -> F32:
    """How much of each pixel (n, n) is pip."""
    r = design.radius * (design.single if value == 1 else 1)
    cover = np.zeros_like(right)
    for x, y in pips(design, value):
        dx, dy = right - np.float32(x), -down - np.float32(y)
        distance = np.sqrt(dx * dx + dy * dy)
        cover = np.maximum(cover, np.clip((np.float32(r) - distance) * np.float32(SIZE) + np.float32(0.5), 0, 1))
    return cover


def _body(design: FaceDesign, point: list[F32], right: F32, down: F32) -> F32:
    """The body's colour (n, n, 3), sRGB in 0...1, at ``point`` (x, y, z of each pixel) of a face."""
    ground, figure = (np.array(color, np.float32) for color in design.colors)

    def noise(name: str, n: int) -> F32:
        return _noise(design.seed, name, n, point)

    if design.body == "solid":
        return ground * (np.float32(0.96) + np.float32(0.08) * noise("shade", 5))[..., None]
    if design.body == "speckle":
        mixed = np.clip((noise("flecks", 26) - np.float32(0.66)) * np.float32(8), 0, 1)
    elif design.body == "smoky":
        # Edges of a translucent body are thin, and let more light through.
        border = np.maximum(np.abs(right), np.abs(down)) * np.float32(2)
        mixed = np.clip(np.float32(0.7) * border * border + np.float32(0.5) * noise("haze", 4) - np.float32(0.2), 0, 1)
    else:
        wave = noise("veins", 2) + np.float32(0.5) * noise("veins/2", 5) + np.float32(0.25) * noise("veins/3", 11)
        phase = wave * np.float32(2.2)
        mixed = np.abs(phase - np.floor(phase) - np.float32(0.5)) * np.float32(2)
        if design.body == "marble":
            mixed = np.clip((mixed - np.float32(0.45)) * np.float32(3) + np.float32(0.3), 0, 1)
    mixed = mixed[..., None]
    return ground * (1 - mixed) + figure * mixed


def _noise(seed: int, name: str, n: int, point: list[F32]) -> F32:
    """Smooth noise in 0...1, with ``n`` random values along an edge of the cube [-0.5, 0.5]^3, at ``point``."""
    values = rng.stream(seed, 0, f"pattern/die/{name}").random((n + 1, n + 1, n + 1), dtype=np.float32)
    x, y, z = point
    return cube_noise(x, y, z, values)


def _body_colors(body: str, random: np.random.Generator) -> tuple[Color, Color]:
    """Ground and figure: any hue, white and ivory, black and greys."""
    u = float(random.random())
    hue, s, v = (float(x) for x in random.random(3))
    if u < 0.2:
        ground = _rgb(0.08 + 0.08 * hue, 0.22 * s * s, 0.82 + 0.18 * v)
    elif u < 0.36:
        ground = _rgb(hue, 0.35 * s, 0.05 + 0.25 * v)
    else:
        ground = _rgb(hue, 0.5 + 0.5 * s, 0.2 + 0.75 * v)
    x, y, z = (float(x) for x in random.random(3))
    if body == "smoky":
        return ground, tuple(min(1.0, c * (1.1 + 0.5 * x) + 0.08 * y) for c in ground)  # type: ignore[return-value]
    if body == "pearl":
        return ground, tuple(c * (0.35 + 0.4 * x) for c in ground)  # type: ignore[return-value]
    other = _rgb(x, y, 0.05 + 0.9 * z)
    share = 0.25 + 0.6 * float(random.random())
    return ground, tuple(a + share * (b - a) for a, b in zip(ground, other, strict=True))  # type: ignore[return-value]


def _pip_color(ground: Color, random: np.random.Generator) -> Color:
    """White, black or any colour that can be told from the ``ground``."""
    while True:
        u = float(random.random())
        hue, s, v = (float(x) for x in random.random(3))
        if u < 0.5:
            color = _rgb(hue, 0.06 * s, 0.85 + 0.15 * v)
        elif u < 0.72:
            color = _rgb(hue, 0.2 * s, 0.02 + 0.12 * v)
        else:
            color = _rgb(hue, 0.6 + 0.4 * s, 0.45 + 0.5 * v)
        difference = [a - b for a, b in zip(color, ground, strict=True)]
        if sum(d * d for d in difference) > CONTRAST**2:
            return color


def _rgb(hue: float, saturation: float, value: float) -> Color:
    """Hue in turns, saturation and value in 0...1 to red, green, blue."""
    parts = [min(1.0, max(0.0, abs((hue * 6 + shift) % 6 - 3) - 1)) for shift in (0.0, 4.0, 2.0)]
    r, g, b = (value * (1 - saturation * (1 - part)) for part in parts)
    return (r, g, b)

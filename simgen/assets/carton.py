"""A procedural carton: an upright folding box whose six sides are printed differently, as groceries come in.

"carton/sugar" stands along z around the origin, its front towards +x. It is there for scenes that have no scan of a
real one: its print tells front from back and left from right, so that its orientation can be learnt.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from simgen.assets.asset import Asset, CollisionShape, Material
from simgen.assets.inertia import solid_inertia
from simgen.assets.mesh import Geometry, bounds, meshes
from simgen.assets.textures import texture

PREFIX = "carton/"

NAMES = (f"{PREFIX}sugar",)

SIZE = (0.045, 0.092, 0.176)
"""Metres; depth, width, height."""

DENSITY = 700.0
"""kg/m^3 of sugar that was poured into a box."""

_PER_METRE = 4000
"""Pixels of a side's picture."""

_PAPER, _GROUND, _INK, _ACCENT = (243, 241, 236), (236, 205, 20), (38, 42, 132), (196, 60, 40)

# Of each side: the direction that it looks to, and that in which its picture's right points; the third is up.
_SIDES = {
    "front": ((1, 0, 0), (0, 1, 0)),
    "left": ((0, -1, 0), (1, 0, 0)),
    "back": ((-1, 0, 0), (0, -1, 0)),
    "right": ((0, 1, 0), (-1, 0, 0)),
    "top": ((0, 0, 1), (0, 1, 0)),
    "bottom": ((0, 0, -1), (0, 1, 0)),
}


def carton(name: str) -> Asset:
    """The carton called ``name``, one of ``NAMES``."""
    half = np.array(SIZE) / 2
    positions, uv, materials = [], [], []
    for side, (away, right) in _SIDES.items():
        out, across = np.array(away, float), np.array(right, float)
        up = np.cross(out, across)
        width, height = (float(2 * np.abs(axis) @ half) for axis in (across, up))
        picture = _print(side, round(width * _PER_METRE), round(height * _PER_METRE))
        materials.append(Material((1.0, 1.0, 1.0, 1.0), texture(picture), roughness=0.5))
        for u, v in ((0, 1), (1, 1), (1, 0), (0, 0)):
            positions.append((out + across * (2 * u - 1) + up * (1 - 2 * v)) * half)
            # Half a pixel in, as textures repeat: the colours of the other end stay out.
            uv.append(np.clip((u, v), 0.5 / np.array(picture.shape[1::-1]), 1 - 0.5 / np.array(picture.shape[1::-1])))
    faces = np.array([(4 * k + a, 4 * k + b, 4 * k + c) for k in range(6) for a, b, c in ((0, 1, 2), (0, 2, 3))])
    geometry = Geometry(
        positions=np.array(positions),
        faces=faces,
        face_material=np.repeat(np.arange(6), 2),
        materials=tuple(materials),
        face_group=np.zeros(len(faces), np.int64),
        uv=np.array(uv)[faces],
    )
    drawn = meshes(geometry)
    shapes = (CollisionShape("box", size=SIZE),)
    return Asset(name, "carton", drawn, bounds(drawn), shapes, solid_inertia(shapes, None, DENSITY))


def _print(side: str, width: int, height: int) -> NDArray[np.uint8]:
    """The picture (height, width, 3) on a side."""
    page = np.full((height, width, 3), _PAPER, np.uint8)
    if side in ("top", "bottom"):
        if side == "top":
            _text(page, "SUGAR", 0.5, 0.5, 0.7, _INK)
        return page
    edge = round(0.36 * height)
    page[edge:] = _GROUND
    page[edge : edge + round(0.02 * height)] = _INK
    _text(page, "SUGAR", 0.5, 0.2, 0.85, _INK)
    if side == "front":
        _text(page, "PURE CANE", 0.5, 0.56, 0.5, _ACCENT)
        cv2.ellipse(page, (width // 2, round(0.75 * height)), (width // 3, height // 16), 0, 0, 360, _INK, -1)
        cv2.ellipse(page, (width // 2, round(0.75 * height)), (width // 5, height // 26), 0, 0, 360, _PAPER, -1)
        cv2.circle(page, (round(0.7 * width), round(0.08 * height)), width // 14, _ACCENT, -1)
    elif side == "back":
        _panel(page, 0.42, 0.95, 26)
    elif side == "left":
        _panel(page, 0.44, 0.7, 14)
    else:
        _panel(page, 0.66, 0.94, 14)
    return page


def _text(page: NDArray[np.uint8], words: str, x: float, y: float, wide: float, color: tuple[int, int, int]) -> None:
    """Words around a place (shares of the page), ``wide`` of its width."""
    height, width = page.shape[:2]
    scale = wide * width / cv2.getTextSize(words, cv2.FONT_HERSHEY_DUPLEX, 1.0, 1)[0][0]
    bold = max(1, round(2.5 * scale))
    (w, h), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_DUPLEX, scale, bold)
    place = (round(x * width - w / 2), round(y * height + h / 2))
    cv2.putText(page, words, place, cv2.FONT_HERSHEY_DUPLEX, scale, color, bold, cv2.LINE_AA)


def _panel(page: NDArray[np.uint8], top: float, bottom: float, lines: int) -> None:
    """A framed panel of small print."""
    height, width = page.shape[:2]
    a, b = (round(0.1 * width), round(top * height)), (round(0.9 * width), round(bottom * height))
    cv2.rectangle(page, a, b, _PAPER, -1)
    cv2.rectangle(page, a, b, (30, 30, 30), max(1, width // 90))
    for k in range(lines):
        y = round(a[1] + (k + 1) * (b[1] - a[1]) / (lines + 1))
        end = round(width * (0.85 - 0.25 * ((k * 7) % 5) / 5))
        cv2.line(page, (round(0.15 * width), y), (end, y), (90, 90, 90), max(1, height // 400))

"""Procedural playing cards: the 52 of a French deck, drawn as plain shapes, for scenes without pictures of real ones.

"playing_card/KH" is the king of hearts; ranks are 2 to 10, J, Q, K and A, suits C, D, H and S. A card is a plate (see
``simgen.assets.plates``) whose face is drawn here: rank and suit in two corners, the usual arrangement of pips, and on
court cards a framed figure of coloured bands that looks the same from both ends.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from simgen.assets.asset import Asset, Texture
from simgen.assets.plates import plate
from simgen.assets.textures import texture

PREFIX = "playing_card/"

CORNER = 0.05
"""Radius of the corners, as a share of the width."""

RANKS = ("2", "3", "4", "5", "6", "7", "8", "9", "10", "J", "Q", "K", "A")
SUITS = "CDHS"

_WIDTH, _HEIGHT = 252, 352
"""Pixels of a face: four to the millimetre."""

_FINER = 4
"""Faces are drawn so many times larger each way, and averaged down."""

_SHIFT = 4
"""Fractional bits of the coordinates that are drawn at."""

_INK = {"C": (24, 24, 28), "D": (206, 22, 34), "H": (206, 22, 34), "S": (24, 24, 28)}
_COURT = ((206, 22, 34), (240, 190, 30), (30, 70, 160), (24, 24, 28))

# Places of pips in the upper half (x, y) as shares of the card; those below the middle are turned upside down.
_L, _M, _R = 0.3, 0.5, 0.7
_PIPS: dict[str, tuple[tuple[float, float], ...]] = {
    "A": ((_M, 0.5),),
    "2": ((_M, 0.2), (_M, 0.8)),
    "3": ((_M, 0.2), (_M, 0.5), (_M, 0.8)),
    "4": ((_L, 0.2), (_R, 0.2), (_L, 0.8), (_R, 0.8)),
    "5": ((_L, 0.2), (_R, 0.2), (_M, 0.5), (_L, 0.8), (_R, 0.8)),
    "6": ((_L, 0.2), (_R, 0.2), (_L, 0.5), (_R, 0.5), (_L, 0.8), (_R, 0.8)),
    "7": ((_L, 0.2), (_R, 0.2), (_M, 0.35), (_L, 0.5), (_R, 0.5), (_L, 0.8), (_R, 0.8)),
    "8": ((_L, 0.2), (_R, 0.2), (_M, 0.35), (_L, 0.5), (_R, 0.5), (_M, 0.65), (_L, 0.8), (_R, 0.8)),
    "9": (*((x, y) for y in (0.2, 0.4, 0.6, 0.8) for x in (_L, _R)), (_M, 0.5)),
    "10": (*((x, y) for y in (0.2, 0.4, 0.6, 0.8) for x in (_L, _R)), (_M, 0.3), (_M, 0.7)),
}


def names() -> list[str]:
    """All cards."""
    return [f"{PREFIX}{rank}{suit}" for rank in RANKS for suit in SUITS]


def playing_card(name: str) -> Asset:
    """The card called ``name``, one of ``names()``; lies face up around the origin as plates do."""
    return plate(name, "playing_card", face(name.removeprefix(PREFIX)), CORNER)


def face(card: str) -> Texture:
    """What is printed on a card such as "10D"."""
    rank, suit = card[:-1], card[-1]
    canvas = np.full((_HEIGHT * _FINER, _WIDTH * _FINER, 3), 252, np.uint8)
    if rank in _PIPS:
        for x, y in _PIPS[rank]:
            _suit(canvas, suit, x, y, 0.22 if rank == "A" else 0.18, y > 0.5)
    else:
        _figure(canvas, rank, suit)
    _index(canvas, rank, suit)
    # The lower index is the upper one seen from the other end.
    turned = canvas[::-1, ::-1].copy()
    _index(turned, rank, suit)
    small = cv2.resize(turned[::-1, ::-1], (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA)
    return texture(np.ascontiguousarray(small))


def _index(canvas: NDArray[np.uint8], rank: str, suit: str) -> None:
    """Rank and suit in the upper left corner."""
    height, width = canvas.shape[:2]
    bold, scale = round(width * 0.017), width * 0.0052
    w = cv2.getTextSize(rank, cv2.FONT_HERSHEY_SIMPLEX, scale, bold)[0][0]
    narrow = min(1.0, 0.15 * width / w)  # "10" is as wide as the others
    place = (round(width * 0.095 - w * narrow / 2), round(height * 0.12))
    cv2.putText(canvas, rank, place, cv2.FONT_HERSHEY_SIMPLEX, scale * narrow, _INK[suit], bold, cv2.LINE_AA)
    _suit(canvas, suit, 0.095, 0.18, 0.11, False)


def _figure(canvas: NDArray[np.uint8], rank: str, suit: str) -> None:
    """The framed picture of a court card: half a figure, and the same half turned by 180 degrees."""
    height, width = canvas.shape[:2]
    left, right, top = round(width * 0.17), round(width * 0.83), round(height * 0.09)
    half = np.full((height // 2 - top, right - left, 3), 250, np.uint8)
    h, w = half.shape[:2]
    order = {"J": (0, 2, 1, 3), "Q": (1, 0, 3, 2), "K": (2, 1, 0, 3)}[rank]
    colors = [_COURT[k] for k in order]
    # A robe of slanting bands below the shoulders, a head, and what the rank wears on it.
    for k in range(9):
        x = w * (k - 1.5) / 6
        slant = w * (0.5 if rank == "J" else -0.35 if rank == "Q" else 0.12)
        band = [(x, h), (x + w / 9, h), (x + w / 9 + slant, h * 0.5), (x + slant, h * 0.5)]
        _fill(half, band, colors[k % 3])
    _fill(half, [(0, h * 0.5), (0, h), (w * 0.12, h * 0.5)], (250, 250, 250))
    _fill(half, [(w, h * 0.5), (w, h), (w * 0.88, h * 0.5)], (250, 250, 250))
    _disc(half, w * 0.5, h * 0.36, w * 0.13, (247, 226, 200))
    wide, high = w * 0.2, h * 0.2
    crowns: dict[str, list[tuple[float, float]]] = {
        "J": [(-1, 0), (1, 0), (1, -0.5), (-1, -0.5)],
        "Q": [(-1, 0), (1, 0), (1.1, -0.9), (0.5, -0.4), (0, -0.9), (-0.5, -0.4), (-1.1, -0.9)],
        "K": [(-1, 0), (1, 0), (1, -1), (0.6, -0.5), (0.3, -1.1), (0, -0.5), (-0.3, -1.1), (-0.6, -0.5), (-1, -1)],
    }
    _fill(half, [(w * 0.5 + x * wide, h * 0.26 + y * high) for x, y in crowns[rank]], colors[1])
    hair = colors[3] if rank == "K" else colors[2]
    for side in (-1, 1):
        _fill(
            half,
            [(w * (0.5 + side * a), h * b) for a, b in ((0.13, 0.26), (0.22, 0.26), (0.22, 0.5), (0.16, 0.5))],
            hair,
        )
    if rank == "K":  # a beard and a sword
        _fill(half, [(w * 0.4, h * 0.42), (w * 0.6, h * 0.42), (w * 0.5, h * 0.62)], colors[3])
        _fill(half, [(w * 0.88, h * 0.1), (w * 0.92, h * 0.1), (w * 0.92, h), (w * 0.88, h)], colors[0])
    figure = np.concatenate([half, half[::-1, ::-1]])
    canvas[top : top + len(figure), left:right] = figure
    cv2.rectangle(canvas, (left, top), (right, top + len(figure)), (30, 60, 140), round(width * 0.008), cv2.LINE_AA)
    _suit(canvas, suit, 0.27, 0.17, 0.14, False)
    _suit(canvas, suit, 0.73, 0.83, 0.14, True)


def _suit(canvas: NDArray[np.uint8], suit: str, x: float, y: float, size: float, turned: bool) -> None:
    """The sign of a suit, ``size`` of the card's width wide, around a place given in shares of the card."""
    height, width = canvas.shape[:2]
    unit = size * width / 2
    flip = -1 if turned else 1
    ink = _INK[suit]

    def at(u: float, v: float) -> tuple[float, float]:
        return x * width + flip * u * unit, y * height + flip * v * unit

    def disc(u: float, v: float, r: float) -> None:
        _disc(canvas, *at(u, v), r * unit, ink)

    if suit == "D":
        _fill(canvas, [at(0, -1.2), at(0.85, 0), at(0, 1.2), at(-0.85, 0)], ink)
        return
    if suit == "H":
        disc(-0.48, -0.4, 0.52)
        disc(0.48, -0.4, 0.52)
        _fill(canvas, [at(-0.96, -0.2), at(0, -0.5), at(0.96, -0.2), at(0, 1.1)], ink)
        return
    if suit == "S":
        disc(-0.46, 0.3, 0.5)
        disc(0.46, 0.3, 0.5)
        _fill(canvas, [at(-0.92, 0.12), at(0, -1.1), at(0.92, 0.12), at(0, 0.45)], ink)
    else:
        disc(0, -0.55, 0.45)
        disc(-0.52, 0.2, 0.45)
        disc(0.52, 0.2, 0.45)
    _fill(canvas, [at(-0.1, 0), at(0.1, 0), at(0.38, 1.1), at(-0.38, 1.1)], ink)


def _disc(canvas: NDArray[np.uint8], x: float, y: float, r: float, color: tuple[int, int, int]) -> None:
    fine = 1 << _SHIFT
    cv2.circle(canvas, (round(x * fine), round(y * fine)), round(r * fine), color, -1, cv2.LINE_AA, _SHIFT)


def _fill(canvas: NDArray[np.uint8], corners: list[tuple[float, float]], color: tuple[int, int, int]) -> None:
    points = np.round(np.array(corners) * (1 << _SHIFT)).astype(np.int32)
    cv2.fillPoly(canvas, [points], color, cv2.LINE_AA, _SHIFT)

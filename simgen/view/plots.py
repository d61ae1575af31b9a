"""Plots of signals as pictures, in step with time: what has been is drawn in full, what is to come faint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from simgen.view.charts import Axis, number
from simgen.view.signals import Signal

Picture = NDArray[np.uint8]

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

PAPER = (250, 250, 250)
INK = (60, 60, 60)
_FAINT = (150, 150, 150)
_GRID = (226, 228, 231)
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 20, 18
_SHIFT = 4


@dataclass(frozen=True, eq=False)
class Plot:
    """A signal drawn once, faint and in full; ``at`` puts the two together for one time."""

    full: Picture
    faint: Picture
    axis: Axis

    def at(self, time: float) -> Picture:
        """The plot (h, w, 3) with its cursor at ``time`` in seconds."""
        x = round(min(max(self.axis.at(time), self.axis.first), self.axis.last))
        picture = self.faint.copy()
        picture[:, :x] = self.full[:, :x]
        cv2.line(picture, (x, _TOP), (x, picture.shape[0] - _BOTTOM), INK, 1)
        return picture


def draw(signal: Signal, span: tuple[float, float], width: int, height: int, seconds: bool = True) -> Plot:
    """The plot of a signal over the times ``span``; with ``seconds`` the times are written below it."""
    x = Axis(span[0], max(span[1], span[0] + 1e-6), _LEFT, width - _RIGHT)
    values = np.concatenate([v for _, v in signal.curves.values()])
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    pad = (high - low) * 0.08 or max(abs(high) * 0.1, 1e-3)
    y = Axis(low - pad, high + pad, height - _BOTTOM, _TOP)
    base = _background(signal, x, y, width, height, seconds)
    return Plot(_with_curves(base, signal, x, y, 1.0), _with_curves(base, signal, x, y, 0.25), x)


def curve_color(k: int) -> tuple[int, int, int]:
    """The colour of curve ``k``: hues a golden angle apart, dark enough for white paper."""
    hsv = np.array([[[(k * 0.381966 * 180 + 105) % 180, 190, 190]]], np.uint8)
    r, g, b = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0].tolist()
    return r, g, b


def _background(signal: Signal, x: Axis, y: Axis, width: int, height: int, seconds: bool) -> Picture:
    image = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(image)
    title, small = ImageFont.load_default(size=12), ImageFont.load_default(size=10)
    for tick in y.ticks(4):
        place = round(y.at(tick))
        pen.line((_LEFT, place, width - _RIGHT, place), fill=_GRID)
        text = number(tick).replace("\N{MINUS SIGN}", "-")
        pen.text((_LEFT - 5 - pen.textlength(text, small), place - 6), text, fill=INK, font=small)
    pen.line((_LEFT, height - _BOTTOM, width - _RIGHT, height - _BOTTOM), fill=_FAINT)
    if seconds:
        for tick in x.ticks():
            text = f"{number(tick)} s"
            half = pen.textlength(text, small) / 2
            pen.text((min(x.at(tick) - half, width - 2 * half - 2), height - _BOTTOM + 3), text, fill=INK, font=small)
    heading = f"{signal.title}, {signal.unit}"
    pen.text((_LEFT, 3), heading, fill=INK, font=title)
    _names(pen, list(signal.curves), _LEFT + pen.textlength(heading, title) + 14, width - _RIGHT, small)
    return np.asarray(image)


def _names(pen: ImageDraw.ImageDraw, names: Sequence[str], left: float, right: float, font: Font) -> None:
    """The names of the curves in their colours, as many as there is room for."""
    if len(names) < 2:
        return
    for k, name in enumerate(names):
        needed = pen.textlength(name, font)
        if left + needed > right:
            return
        pen.text((left, 5), name, fill=curve_color(k), font=font)
        left += needed + 9


def _with_curves(base: Picture, signal: Signal, x: Axis, y: Axis, strength: float) -> Picture:
    picture = base.copy()
    for k, (times, values) in enumerate(signal.curves.values()):
        kept = np.isfinite(values)
        points = [(x.at(t), y.at(v)) for t, v in zip(times[kept].tolist(), values[kept].tolist(), strict=True)]
        fixed = np.rint(np.array(points).reshape(-1, 1, 2) * (1 << _SHIFT)).astype(np.int32)
        color = tuple(round(strength * c + (1 - strength) * p) for c, p in zip(curve_color(k), PAPER, strict=True))
        cv2.polylines(picture, [fixed], False, color, 1, cv2.LINE_AA, _SHIFT)
    return picture

"""Charts as inline SVG, in the colours of the page that they are put into.

Colours are CSS variables of the page (``--ink``, ``--muted``, ``--line``, ``--accent``), so that one chart serves light
and dark. All charts have the same width in user units, whose size on the page is the CSS's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import ArrayLike, NDArray

WIDTH = 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 38, 10, 8, 34


@dataclass(frozen=True)
class Axis:
    """A linear or logarithmic axis from ``low`` to ``high`` in data units, ``first`` to ``last`` in user units."""

    low: float
    high: float
    first: float
    last: float
    logarithmic: bool = False

    def at(self, value: float) -> float:
        """The place of a value in user units."""
        low, high, x = (math.log(v) if self.logarithmic else v for v in (self.low, self.high, value))
        return self.first + (x - low) / ((high - low) or 1) * (self.last - self.first)

    def ticks(self, count: int = 5) -> list[float]:
        """Round numbers between both ends."""
        if self.logarithmic and self.high / self.low >= 8:
            steps = [m * 10.0**e for e in range(-9, 10) for m in (1, 2, 5)]
            inside = [t for t in steps if self.low * 0.999 <= t <= self.high * 1.001]
            decades = [t for t in inside if _leading(t) == 1]
            return inside if len(inside) <= count + 2 else decades if len(decades) > 2 else inside[::2]
        span = self.high - self.low
        if span <= 0:
            return [self.low]
        raw = span / count
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
        start = math.ceil(self.low / step - 1e-9)
        return [k * step for k in range(start, math.floor(self.high / step + 1e-9) + 1)]


def bars(
    edges: ArrayLike,
    counts: ArrayLike,
    label: str,
    *,
    expected: ArrayLike | None = None,
    logarithmic: bool = False,
    height: int = 150,
    title: str = "",
    flagged: Sequence[int] = (),
) -> str:
    """A histogram: ``counts`` (B,) between ``edges`` (B + 1,), and as a line what was ``expected`` (B,).

    ``label`` names the horizontal axis with its unit. Bins whose index is ``flagged`` are marked on the axis.
    """
    e, n = np.asarray(edges, float), np.asarray(counts, float)
    wanted = None if expected is None else np.asarray(expected, float)
    most = max(float(n.max(initial=0)), 0.0 if wanted is None else float(wanted.max(initial=0)), 1.0)
    x = Axis(float(e[0]), float(e[-1]), _LEFT, WIDTH - _RIGHT, logarithmic)
    y = Axis(0, most * 1.05, height - _BOTTOM, _TOP)
    parts = [_horizontal_grid(y, whole=True)]
    for k, count in enumerate(n):
        left, right = x.at(e[k]) + 0.75, x.at(e[k + 1]) - 0.75
        tip = f"{e[k]:.3g} to {e[k + 1]:.3g}: {number(count)}"
        if wanted is not None:
            tip += f" (expected {wanted[k]:.1f})"
        parts.append(
            f'<g><title>{escape(tip)}</title><rect class="bar" x="{left:.1f}" y="{y.at(count):.1f}" '
            f'width="{max(right - left, 0.8):.1f}" height="{max(y.at(0) - y.at(count), 0):.1f}" rx="1.5"/></g>'
        )
        if k in flagged:
            parts.append(
                f'<rect class="flag" x="{left:.1f}" y="{y.at(0) + 1:.1f}" width="{max(right - left, 0.8):.1f}" '
                'height="4" rx="1"/>'
            )
    if wanted is not None:
        path = "".join(
            f"{'L' if k else 'M'}{x.at(e[k]):.1f} {y.at(w):.1f}H{x.at(e[k + 1]):.1f}" for k, w in enumerate(wanted)
        )
        parts.append(f'<path class="asked" d="{path}"/>')
    integers = bool(np.allclose(np.diff(e), 1) and np.allclose(e % 1, 0.5))
    ticks = _whole_ticks(e) if integers else x.ticks()
    parts.append(_horizontal_axis(x, ticks, height, label))
    return _svg(parts, height, title or label)


def heat(
    values: ArrayLike,
    horizontal: tuple[float, float],
    vertical: tuple[float, float],
    labels: tuple[str, str],
    *,
    aspect: float,
    title: str,
    what: str = "objects",
    ticks: tuple[Sequence[float] | None, Sequence[float] | None] = (None, None),
    vertical_names: Sequence[str] = (),
) -> str:
    """A heat map of ``values`` (rows, columns), row 0 at the top.

    ``horizontal`` and ``vertical`` are the ends of the axes, left to right and top to bottom; ``aspect`` is width
    over height of the map. The darkest cell is the largest value; empty cells are hatched.
    """
    cells = np.asarray(values, float)
    width = WIDTH - _LEFT - _RIGHT
    inner = width / aspect
    height = round(inner + _TOP + _BOTTOM)
    x = Axis(*horizontal, _LEFT, _LEFT + width)
    y = Axis(*vertical, _TOP, _TOP + inner)
    rows, columns = cells.shape
    most = max(float(cells.max(initial=0)), 1e-9)
    w, h = width / columns, inner / rows
    parts = []
    for r in range(rows):
        for c in range(columns):
            value = float(cells[r, c])
            # The root brings out cells that have little against those that have nothing.
            opacity = 0.1 + 0.9 * (value / most) ** 0.5
            paint = f'class="cell" fill-opacity="{opacity:.2f}"' if value else 'class="empty"'
            parts.append(
                f'<rect {paint} x="{_LEFT + c * w:.1f}" y="{_TOP + r * h:.1f}" width="{w - 0.6:.1f}" '
                f'height="{h - 0.6:.1f}"><title>{number(value)} {escape(what)}</title></rect>'
            )
    down = ticks[1] if ticks[1] is not None else Axis(min(vertical), max(vertical), 0, 1).ticks(4)
    for t, name in zip(down, vertical_names or [number(t) for t in down], strict=True):
        parts.append(f'<text class="tick" x="{_LEFT - 5}" y="{y.at(t) + 3.5:.1f}" text-anchor="end">{name}</text>')
    across = ticks[0] if ticks[0] is not None else Axis(min(horizontal), max(horizontal), 0, 1).ticks()
    parts.append(_horizontal_axis(x, across, height, f"{labels[0]}", line=False))
    parts.append(
        f'<text class="label" x="10" y="{_TOP + inner / 2:.0f}" text-anchor="middle" '
        f'transform="rotate(-90 10 {_TOP + inner / 2:.0f})">{escape(labels[1])}</text>'
    )
    return _svg(parts, height, title)


def lines(
    series: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]], labels: tuple[str, str], height: int = 150
) -> str:
    """Curves over time; ``labels`` name the axes with their units."""
    times = np.concatenate([t for t, _ in series.values()])
    values = np.concatenate([v for _, v in series.values()])
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    pad = (high - low) * 0.06 or max(abs(high) * 0.1, 1e-3)
    x = Axis(float(times.min()), float(times.max()), _LEFT + 6, WIDTH - _RIGHT)
    y = Axis(low - pad, high + pad, height - _BOTTOM, _TOP + 12)
    parts = [_horizontal_grid(y)]
    for k, (t, v) in enumerate(series.values()):
        kept = np.isfinite(v)
        points = " ".join(f"{x.at(a):.1f},{y.at(b):.1f}" for a, b in zip(t[kept], v[kept], strict=True))
        color = f"hsl({(k * 137.5 + 215) % 360:.0f} 60% 52%)"
        parts.append(f'<polyline class="line" style="stroke:{color}" points="{points}"/>')
    parts.append(_horizontal_axis(x, x.ticks(), height, labels[0]))
    parts.append(f'<text class="label" x="2" y="10">{escape(labels[1])}</text>')
    return _svg(parts, height, labels[1])


def number(value: float) -> str:
    """A number for people: at most four digits that matter."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else str(value)
    if abs(value) >= 1e4:
        return f"{value:,.0f}" if abs(value) < 1e7 else f"{value:.3g}"
    text = f"{value:.4g}"
    return text.replace("-", "\N{MINUS SIGN}", 1) if text.startswith("-") else text


def _leading(value: float) -> int:
    return round(value / 10.0 ** math.floor(math.log10(value) + 1e-9))


def _whole_ticks(edges: NDArray[np.float64]) -> list[float]:
    values = [float(v) for v in (edges[:-1] + edges[1:]) / 2]
    return values[:: max(1, math.ceil(len(values) / 10))]


def _horizontal_grid(y: Axis, whole: bool = False) -> str:
    parts = []
    for tick in (t for t in y.ticks(3) if not whole or t == round(t)):
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y.at(tick):.1f}" y2="{y.at(tick):.1f}"/>'
            f'<text class="tick" x="{_LEFT - 5}" y="{y.at(tick) + 3.5:.1f}" text-anchor="end">{number(tick)}</text>'
        )
    return "".join(parts)


def _horizontal_axis(x: Axis, ticks: Sequence[float], height: int, label: str, line: bool = True) -> str:
    base = height - _BOTTOM
    parts = [f'<line class="axis" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{base}" y2="{base}"/>'] if line else []
    free = 0.0
    for tick in ticks:
        half = 3.2 * len(number(tick)) + 3
        if x.at(tick) - half < free:
            continue
        free = x.at(tick) + half
        anchor = "end" if x.at(tick) > WIDTH - _RIGHT - 8 else "middle"
        place = min(x.at(tick), WIDTH - 2) if anchor == "middle" else WIDTH - _RIGHT + 4
        parts.append(f'<text class="tick" x="{place:.1f}" y="{base + 15}" text-anchor="{anchor}">{number(tick)}</text>')
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    parts.append(f'<text class="label" x="{middle:.0f}" y="{height - 4}" text-anchor="middle">{escape(label)}</text>')
    return "".join(parts)


def _svg(parts: Sequence[str], height: int, title: str) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title, quote=True)}">'
        f"{''.join(parts)}</svg>"
    )

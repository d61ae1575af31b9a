"""Shutters: when each row of an image sees the scene, and which instants stand for an exposure.

Motion blur is the mean of several instants (Haeberli and Akeley 1990). Under a rolling shutter each row has its own
time: labels are rendered in bands of rows, each at its time; the colour of a row is interpolated between instants on a
grid in time, so that it is blurred by its own exposure and centred on its own time to the first order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simgen.scene.camera_record import ShutterRecord

Array = NDArray[np.float64]

BAND_MOTION = 0.1
"""Pixels that anything in the image may move while a band of labels is read; less over the whole image counts as no
rolling at all."""

_GRID_MOTION = 0.5
"""Pixels between the instants from which the colour of a row is interpolated."""

_BLUR_STEP = 0.25
"""Pixels of motion blur below which another instant shows nothing new."""


@dataclass(frozen=True)
class Bands:
    """Rows of an image of ``height`` rows that are read together, ``rows`` at a time, over ``readout`` seconds."""

    height: int
    rows: int
    readout: float

    @property
    def count(self) -> int:
        """How many there are."""
        return -(-self.height // self.rows)

    def index(self, row: NDArray[np.float32]) -> NDArray[np.int32]:
        """The band of each image row."""
        nearest = np.clip(np.rint(row), 0, self.height - 1).astype(np.int32)
        return nearest // self.rows

    def time(self, band: int) -> float:
        """The middle of a band's exposure, seconds from the time of the frame."""
        first, last = band * self.rows, min((band + 1) * self.rows, self.height) - 1
        return 0.0 if self.count == 1 else float(row_time((first + last) / 2, self.readout, self.height))


@dataclass(frozen=True, eq=False)
class Instants:
    """The instants of an exposure: ``times`` in seconds from that of the frame, ascending, ``step`` seconds apart.

    Under a rolling shutter ``middle`` gives the middle of the exposure of each row (h, 1) or pixel (h, w) that is asked
    for, ``exposure`` seconds long; None: all instants count alike everywhere.
    """

    times: tuple[float, ...]
    step: float = 0.0
    exposure: float = 0.0
    middle: Callable[[], Array] | None = None

    @cached_property
    def _middle(self) -> Array:
        return np.zeros((1, 1)) if self.middle is None else self.middle()

    @property
    def at_once(self) -> float:
        """About how many a pixel is made of."""
        if self.middle is None:
            return len(self.times)
        return 1 / float(_share(np.zeros(1), self.exposure / self.step)[0])

    def weight(self, k: int) -> float | NDArray[np.float32]:
        """The share of instant ``k`` in the colour of all pixels, or of each; shares add up to 1."""
        if self.middle is None:
            return 1 / len(self.times)
        return _share((self._middle - self.times[k]) / self.step, self.exposure / self.step)


def row_time(row: ArrayLike, readout: float, height: int) -> Array:
    """Seconds from the time of the frame to the middle of the exposure of rows, which are centred on whole numbers."""
    return readout * (np.asarray(row, np.float64) / max(height - 1, 1) - (0.5 if height > 1 else 0.0))


def label_bands(shutter: ShutterRecord, height: int, speed: float) -> Bands:
    """The bands in which labels are read when nothing moves faster than ``speed`` pixels a second."""
    motion = speed * abs(shutter.readout)
    if motion <= BAND_MOTION or height < 2:
        return Bands(height, height, shutter.readout)
    per_row = motion / (height - 1)
    return Bands(height, max(int(BAND_MOTION / per_row), 1), shutter.readout)


def instants(shutter: ShutterRecord, rows: Callable[[], NDArray[np.float32]], height: int, speed: float) -> Instants:
    """The instants that make the colour at the image rows that ``rows`` gives, (h, 1) or (h, w), of ``height``.

    Nothing moves faster than ``speed`` pixels a second.
    """
    exposure = shutter.exposure
    count = int(min(max(np.ceil(speed * exposure / _BLUR_STEP), 1), shutter.samples))
    rolling = speed * abs(shutter.readout) > BAND_MOTION and height > 1
    if not rolling:
        return Instants(tuple(exposure * ((k + 0.5) / count - 0.5) for k in range(count)))
    step = max(exposure / count if count > 1 else 0.0, _GRID_MOTION / speed, abs(shutter.readout) / (height - 1))
    cells = int(np.ceil(shutter.span / step))
    step = shutter.span / cells
    times = tuple(step * k - shutter.span / 2 for k in range(cells + 1))
    return Instants(times, step, exposure, lambda: row_time(rows(), shutter.readout, height))


def _share(at: Array, length: float) -> NDArray[np.float32]:
    """The share of an exposure of ``length`` around ``at`` that linear interpolation gives to the instant at 0.

    The neighbouring instants are at -1 and 1. This is the mean of the interpolating tent over the exposure.
    """
    if length < 1e-6:
        return np.maximum(1 - np.abs(at), 0).astype(np.float32)
    return ((_tent_integral(at + length / 2) - _tent_integral(at - length / 2)) / length).astype(np.float32)


def _tent_integral(u: Array) -> Array:
    """The integral of max(1 - |u|, 0) from -1."""
    u = np.clip(u, -1, 1)
    return np.where(u < 0, (u + 1) ** 2 / 2, 1 - (1 - u) ** 2 / 2)

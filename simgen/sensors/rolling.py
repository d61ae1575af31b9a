"""Points under a rolling shutter: where in the image they are, each row having its own time."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from simgen.sensors.shutter import row_time

Array = NDArray[np.float64]

KNOTS = 17
"""Times from the first row to the last at which poses are taken; in between, points move evenly."""


def knots(readout: float) -> Array:
    """Times (KNOTS,) from that of the frame."""
    return np.linspace(-readout / 2, readout / 2, KNOTS)


def rolled_points(pixels: Array, points: Array, height: int) -> tuple[Array, Array]:
    """Where points are seen: pixels (P, 2), and the points (P, 3) in the camera frame at that time.

    ``pixels`` (KNOTS, P, 2) and ``points`` (KNOTS, P, 3) are those at ``knots``, row by row from the first to the last
    of ``height`` rows. A point is seen by the row that it is in at the time of that row; one that is above or below the
    image throughout, as by the nearest row.
    """
    rows = np.linspace(0, max(height - 1, 0), KNOTS)
    gap = pixels[..., 1] - rows[:, None]
    first, share = np.zeros(pixels.shape[1], np.int64), np.zeros(pixels.shape[1])
    for p in range(pixels.shape[1]):
        crossed = np.flatnonzero((gap[:-1, p] >= 0) != (gap[1:, p] >= 0))
        if len(crossed):
            first[p] = crossed[np.argmin(np.abs(crossed - KNOTS // 2))]
            share[p] = gap[first[p], p] / (gap[first[p], p] - gap[first[p] + 1, p])
        elif gap[-1, p] > 0:
            first[p], share[p] = KNOTS - 2, 1.0
    at = np.arange(pixels.shape[1])
    uv = pixels[first, at] + share[:, None] * (pixels[first + 1, at] - pixels[first, at])
    xyz = points[first, at] + share[:, None] * (points[first + 1, at] - points[first, at])
    return uv, xyz


def rolled_flow(
    flow: NDArray[np.float32],
    later: NDArray[np.float32],
    step: float,
    row: NDArray[np.float32],
    readouts: tuple[float, float],
    height: int,
) -> NDArray[np.float32]:
    """Flow (h, w, 2) whose ends are seen by the rows that they are in.

    ``flow`` ends in the neighbouring frame at the time that its pixel's row has there, ``later`` ``step`` seconds after
    that. ``row`` (h, w) is the image row of each pixel, of ``height``; ``readouts`` are those of the frame and of its
    neighbour. 0 where not defined.
    """
    defined = flow.any(2) == later.any(2)
    velocity = (later - flow).astype(np.float64) / step
    started = row_time(row.astype(np.float64), readouts[0], height)
    v, u = np.indices(row.shape, np.float32)
    out = flow.astype(np.float64)
    for _ in range(4):
        ends = [u + out[..., 0].astype(np.float32), v + out[..., 1].astype(np.float32)]
        ended = _row_at(row, *ends)
        out = flow + velocity * (row_time(ended, readouts[1], height) - started)[..., None]
    out[~defined] = 0
    return out.astype(np.float32)


def _row_at(row: NDArray[np.float32], u: NDArray[np.float32], v: NDArray[np.float32]) -> Array:
    """The image row at places between pixels; outside, that of the nearest pixel."""
    found = cv2.remap(np.ascontiguousarray(row), u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return found.astype(np.float64)

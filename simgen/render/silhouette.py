"""Full silhouettes of objects, counted where they go on outside the image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Silhouette:
    """What one object alone would cover, nothing being in front of it.

    Pixels are counted on a canvas three times the image and centred on it: columns -W...2W-1, rows -H...2H-1.
    ``bbox_full`` is COCO xywh in whole pixels on that canvas (x = first column, w = last - first + 1), all 0 when
    empty; it may leave the image. ``mask`` (h, w) bool is the part inside the image, cropped to its own bounding box,
    whose first column and row are ``x0`` and ``y0``; (0, 0) in shape when no pixel is inside.
    """

    instance_id: int
    px_full: int
    px_inside: int
    bbox_full: tuple[int, int, int, int]
    mask: NDArray[np.bool_]
    x0: int
    y0: int


def empty_silhouette(instance_id: int) -> Silhouette:
    """The silhouette of an object that covers no pixel."""
    return Silhouette(instance_id, 0, 0, (0, 0, 0, 0), np.zeros((0, 0), np.bool_), 0, 0)


def silhouette_of(instance_id: int, covered: NDArray[np.bool_], x: int, y: int, width: int, height: int) -> Silhouette:
    """The silhouette of ``covered`` (h, w), pixel [0, 0] being at column ``x`` and row ``y`` of the image."""
    rows, columns = np.flatnonzero(covered.any(1)), np.flatnonzero(covered.any(0))
    if not len(rows):
        return empty_silhouette(instance_id)
    box = (
        int(columns[0]) + x,
        int(rows[0]) + y,
        int(columns[-1] - columns[0]) + 1,
        int(rows[-1] - rows[0]) + 1,
    )
    left, top = max(0, -x), max(0, -y)
    inside = covered[top : max(height - y, 0), left : max(width - x, 0)]
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    total = int(np.count_nonzero(covered))
    if not len(rows):
        return Silhouette(instance_id, total, 0, box, np.zeros((0, 0), np.bool_), 0, 0)
    mask = inside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].copy()
    x0, y0 = x + left + int(columns[0]), y + top + int(rows[0])
    return Silhouette(instance_id, total, int(np.count_nonzero(mask)), box, mask, x0, y0)

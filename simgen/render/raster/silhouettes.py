"""The full silhouette of each object, drawn alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.render.raster.fragments import Placed
from simgen.render.raster.jit import ix, strict
from simgen.render.raster.layout import BOX, FAR, HIDDEN, INSTANCE
from simgen.render.raster.scene import Residents
from simgen.render.raster.scratch import Scratch
from simgen.render.raster.simd import WIDTH
from simgen.render.raster.visibility import clear, rasterize
from simgen.render.silhouette import Silhouette, empty_silhouette

_CENTRE = np.zeros((1, 2))

# What is found out about an object: samples covered on the canvas and the box around them (columns and rows of the
# image, first and last), the same inside the image, and where the mask of that begins.
_FULL, _BOX, _INSIDE, _CROP, _MASK = 0, 1, 5, 6, 10
_FACTS = 11


def draw_silhouettes(
    placed: Placed, width: int, height: int, residents: Residents, scratch: Scratch
) -> list[Silhouette]:
    """The silhouettes of instance ids 1...K of an image, as ``RasterRenderer.silhouettes`` says."""
    tables = placed.tables
    count = int(tables.draws[:, INSTANCE].max(initial=0))
    windows, first = np.zeros((count, 4), np.int64), np.zeros(count + 1, np.int64)
    order = np.zeros(len(tables.draws), np.int32)
    largest = _find_windows(tables.draws, placed.places, width, height, windows, first, order)
    keys = scratch.get("canvas", np.uint64, largest + WIDTH)
    # Room for the masks of an image full of objects, which is enough for any one of them.
    masks = scratch.get("masks", np.uint8, width * height)
    facts = np.zeros((count, _FACTS), np.int64)
    out: list[Silhouette] = []
    while len(out) < count:
        done = _draw_objects(
            len(out), width, height, windows, first, order, tables.draws, tables.reals, placed.places, tables.camera,
            placed.vertices, residents.faces.pool.data, residents.vertices.pool.data, tables.textures,
            residents.texels.pool.data, _CENTRE, keys, masks, facts,
        )  # fmt: skip
        known = masks.view(np.bool_)
        out += [_silhouette(k + 1, row, known) for k, row in enumerate(facts[len(out) : done].tolist(), len(out))]
    return out


def _silhouette(instance: int, facts: list[int], masks: NDArray[np.bool_]) -> Silhouette:
    if not facts[_FULL]:
        return empty_silhouette(instance)
    left, right, top, bottom = facts[_BOX : _BOX + 4]
    box = left, top, right - left + 1, bottom - top + 1
    if not facts[_INSIDE]:
        return Silhouette(instance, facts[_FULL], 0, box, np.zeros((0, 0), np.bool_), 0, 0)
    left, right, top, bottom = facts[_CROP : _CROP + 4]
    w, h, start = right - left + 1, bottom - top + 1, facts[_MASK]
    mask = masks[start : start + w * h].reshape(h, w).copy()
    return Silhouette(instance, facts[_FULL], facts[_INSIDE], box, mask, left, top)


@strict
def _find_windows(draws: Any, places: Any, width: int, height: int, windows: Any, first: Any, order: Any) -> Any:
    """Find the part (x, y, w, h) of the canvas that each object can reach, 0 wide or high if none, into ``windows``.

    ``order`` lists the drawables by object, those of object k from ``first[k]`` on. Returns the size of the largest.
    """
    listed: Any = 0
    largest: Any = 0
    for k in range(len(windows)):
        first[k] = listed
        xmin, xmax, ymin, ymax = np.inf, -np.inf, np.inf, -np.inf
        for m in range(len(draws)):
            if draws[m, INSTANCE] == k + 1 and places[m, HIDDEN] == 0.0:
                order[listed] = m
                listed += 1
                xmin, xmax = min(xmin, places[m, BOX]), max(xmax, places[m, BOX + 1])
                ymin, ymax = min(ymin, places[m, BOX + 2]), max(ymax, places[m, BOX + 3])
        x0 = np.int64(min(max(np.floor(xmin), -width), 2 * width))
        x1 = np.int64(min(max(np.ceil(xmax), -width - 1), 2 * width - 1))
        y0 = np.int64(min(max(np.floor(ymin), -height), 2 * height))
        y1 = np.int64(min(max(np.ceil(ymax), -height - 1), 2 * height - 1))
        windows[k, 0], windows[k, 1] = x0, y0
        windows[k, 2], windows[k, 3] = max(x1 - x0 + 1, 0), max(y1 - y0 + 1, 0)
        largest = max(largest, windows[k, 2] * windows[k, 3])
    first[len(windows)] = listed
    return largest


@strict
def _measure(
    keys: Any, w: int, x0: int, x1: int, y0: int, y1: int, columns: Any, x: int, y: int, facts: Any, at: int
) -> None:  # fmt: skip
    """Count what is covered in a part of a canvas ``w`` wide, and find the box around it, into ``facts[at]`` and after.

    The part is columns ``x0`` to ``x1`` and rows ``y0`` to ``y1``, ends not included, ``x`` and ``y`` are added to the
    box. ``columns`` (w,) is working memory.
    """
    for i in range(x0, x1):
        columns[ix(i)] = np.uint64(0)
    below = np.uint64(0xFFFFFFFF)
    total: Any = 0
    top: Any = y1
    bottom: Any = y0 - 1
    for j in range(y0, y1):
        row = j * w
        covered: Any = 0
        for i in range(x0, x1):
            number = keys[ix(row + i)] & below
            columns[ix(i)] |= number
            covered += 1 if number != 0 else 0
        if covered > 0:
            top, bottom = min(top, j), j
            total += covered
    facts[at] = total
    if total > 0:
        left: Any = x0
        right: Any = x1 - 1
        while columns[ix(left)] == 0:
            left += 1
        while columns[ix(right)] == 0:
            right -= 1
        facts[at + 1], facts[at + 2], facts[at + 3], facts[at + 4] = left + x, right + x, top + y, bottom + y


@strict
def _draw_objects(
    start: int, width: int, height: int, windows: Any, first: Any, order: Any, draws: Any, reals: Any, places: Any,
    camera: Any, placed: Any, faces: Any, vertices: Any, textures: Any, texels: Any, samples: Any, keys: Any,
    masks: Any, facts: Any,
) -> Any:  # fmt: skip
    """Draw objects from ``start`` on alone, one after the other, until no more of their masks fit into ``masks``.

    Returns the first that is left. ``keys`` is working memory for the largest window.
    """
    columns = np.empty(3 * width, np.uint64)
    below = np.uint64(0xFFFFFFFF)
    room = len(masks)
    used: Any = 0
    for k in range(start, len(windows)):
        x, y, w, h = windows[k, 0], windows[k, 1], windows[k, 2], windows[k, 3]
        if w == 0 or h == 0:
            continue
        clear(keys, 0, w * h, camera[FAR])
        chosen = order[first[k] : first[k + 1]]
        rasterize(
            keys, w * h, samples, x, y, w, h, chosen, len(chosen), draws, reals, places, camera, placed, faces,
            vertices, textures, texels,
        )  # fmt: skip
        _measure(keys, w, 0, w, 0, h, columns, x, y, facts[k], _FULL)
        x0, x1 = max(-x, 0), min(width - x, w)
        y0, y1 = max(-y, 0), min(height - y, h)
        if facts[k, _FULL] == 0 or x0 >= x1 or y0 >= y1:
            continue
        if x1 - x0 == w and y1 - y0 == h:
            for c in range(5):
                facts[k, _INSIDE + c] = facts[k, _FULL + c]
        else:
            _measure(keys, w, x0, x1, y0, y1, columns, x, y, facts[k], _INSIDE)
        if facts[k, _INSIDE] == 0:
            continue
        left, right, top, bottom = facts[k, _CROP], facts[k, _CROP + 1], facts[k, _CROP + 2], facts[k, _CROP + 3]
        size = (right - left + 1) * (bottom - top + 1)
        if used + size > room:
            return k
        facts[k, _MASK] = used
        for j in range(top - y, bottom - y + 1):
            row = j * w - x
            for i in range(left, right + 1):
                masks[ix(used + i - left)] = np.uint8(1) if (keys[ix(row + i)] & below) != 0 else np.uint8(0)
            used += right - left + 1
    return len(windows)

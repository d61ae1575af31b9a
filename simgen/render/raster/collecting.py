"""From the visibility buffer to the list of fragments: what is seen at pixel centres, and where other samples differ.

A fragment is one surface seen in one pixel. Sample 0 is the pixel centre.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simgen.render.raster.jit import ix, strict
from simgen.render.raster.simd import WIDTH
from simgen.render.raster.visibility import EMPTY, key_triangle, key_w


@strict
def _list_events(words: Any, events: Any, count: int, at: Any) -> int:
    """The places below ``count`` where ``events`` is not 0, in order, into ``at``; how many there are."""
    n: Any = 0
    for k in range((count + 7) // 8):
        # Long stretches see one triangle with all samples; elsewhere there is no telling, and no branch.
        if words[ix(k)] != 0:
            for x in range(8 * k, 8 * k + 8):
                at[ix(n)] = x
                n += np.int64(events[ix(x)])
    return n


@strict
def collect(
    keys: Any, stride: int, samples: int, width: int, height: int, remap: Any, visible: Any, pixel: Any, triangle: Any,
    px: Any, py: Any, w: Any, weight: Any, background: Any, main_of: Any, pixel_of: Any, sample_of: Any, number_of: Any,
) -> tuple[int, int, int]:  # fmt: skip
    """List the fragments at pixel centres, row by row, and the samples that see another triangle than the centre.

    Triangles seen are numbered from 0: ``remap`` (faces of the image) is -1 on entry and holds the number of each,
    ``visible`` lists them by number. Each fragment starts with the whole ``weight`` of its pixel, each empty pixel with
    all of ``background``. Of a sample that differs, ``main_of`` takes the fragment at the centre (-1: none),
    ``pixel_of`` the pixel, ``sample_of`` the sample and ``number_of`` the triangle's number, -1 where it sees none.
    Arrays of fragments are longer than used by WIDTH, those of samples by one. Returns the numbers of fragments, of
    triangles and of samples that differ.
    """
    below = np.uint64(0xFFFFFFFF)
    differs = np.zeros(width, np.uint64)
    # 1 where a pixel sees another triangle than the one before, or its samples differ.
    events = np.zeros((width // 8 + 1) * 8, np.uint8)
    words = events.view(np.uint64)
    at = np.zeros(width + 9, np.int32)
    fragments: Any = 0
    seen: Any = 0
    others = 0
    for y in range(height):
        row = y * width
        for s in range(1, samples):
            other_row = s * stride + row
            if s == 1:
                for x in range(width):
                    differs[ix(x)] = keys[ix(row + x)] ^ keys[ix(other_row + x)]
            else:
                for x in range(width):
                    differs[ix(x)] |= keys[ix(row + x)] ^ keys[ix(other_row + x)]
        for x in range(1, width):
            event = (differs[ix(x)] | (keys[ix(row + x)] ^ keys[ix(row + x - 1)])) & below
            events[ix(x)] = np.uint8(1) if event != 0 else np.uint8(0)
        events[0] = np.uint8(1)
        empty = 0
        for x in range(width):
            nothing = key_triangle(keys[ix(row + x)]) == np.uint32(EMPTY)
            background[ix(row + x)] = np.float32(1.0) if nothing else np.float32(0.0)
            empty += 1 if nothing else 0
        if empty == 0:
            for x in range(width):
                pixel[ix(fragments + x)] = row + x
            for x in range(width):
                px[ix(fragments + x)] = np.float32(x)
            for x in range(width):
                py[ix(fragments + x)] = np.float32(y)
                weight[ix(fragments + x)] = np.float32(1.0)
            for x in range(width):
                w[ix(fragments + x)] = key_w(keys[ix(row + x)])
        count = _list_events(words, events, width, at)
        at[ix(count)] = width
        for e in range(count):
            first = np.int64(at[ix(e)])
            length = np.int64(at[ix(e + 1)]) - first
            centre = keys[ix(row + first)]
            # No helper function: it would count references to its arrays, which takes longer than all else here.
            number: Any = -1
            t = key_triangle(centre)
            if t != np.uint32(EMPTY):
                number = np.int64(remap[ix(t)])
                if number < 0:
                    number = seen
                    remap[ix(t)] = seen
                    visible[ix(seen)] = t
                    seen += 1
            for s in range(1, samples):
                key = keys[ix(s * stride + row + first)]
                main_of[ix(others)] = fragments if number >= 0 else -1
                pixel_of[ix(others)] = row + first
                sample_of[ix(others)] = s
                number_of[ix(others)] = np.int32(key_triangle(key))  # EMPTY becomes -1
                others += 1 if (key ^ centre) & below != 0 else 0
            if number < 0:
                continue
            # By eights, past the end of the run: the next run writes there.
            for k in range(0, length, WIDTH):
                to = fragments + k
                for i in range(WIDTH):
                    triangle[ix(to + i)] = number
                if empty != 0:
                    column = first + k
                    for i in range(WIDTH):
                        pixel[ix(to + i)] = row + column + i
                        px[ix(to + i)] = np.float32(column + i)
                        py[ix(to + i)] = np.float32(y)
                        weight[ix(to + i)] = np.float32(1.0)
                        w[ix(to + i)] = key_w(keys[ix(row + column + i)])
            fragments += length
    for k in range(others):
        t = np.uint32(number_of[ix(k)])
        if t != np.uint32(EMPTY):
            number = np.int64(remap[ix(t)])
            if number < 0:
                number = seen
                remap[ix(t)] = seen
                visible[ix(seen)] = t
                seen += 1
            number_of[ix(k)] = number
    return fragments, seen, others

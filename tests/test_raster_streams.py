"""Streamed results are what plain stores would have left, wherever they begin and end."""

from __future__ import annotations

import numpy as np
import pytest

from simgen.render.raster.jit import strict
from simgen.render.raster.scratch import LINE, Scratch, empty_aligned
from simgen.render.raster.streams import fence, write_1, write_2, write_3


@strict
def _write(channels, start, n, values, at, step, out):
    if channels == 1:
        write_1(start, n, values, at, out)
    elif channels == 2:
        write_2(start, n, values, at, step, out)
    else:
        write_3(start, n, values, at, step, out)
    fence()


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.uint16])
def test_values_are_laid_side_by_side(channels, dtype):
    size, step = 120, 130
    values = np.arange(3 * step).astype(dtype)
    memory = empty_aligned((channels * size + 40,), dtype)
    for begin, start, n, at in [
        (0, 0, size, 0),
        (0, 32, 64, 1),
        (0, 5, 99, 3),
        (1, 0, 100, 7),
        (3, 9, 1, 0),
        (2, 7, 0, 0),
    ]:
        memory.fill(9999)
        out = memory[begin:]
        expected = out.copy()
        for c in range(channels):
            expected[channels * start + c : channels * (start + n) : channels] = values[c * step + at :][:n]
        _write(channels, start, n, values, at, step, out)
        np.testing.assert_array_equal(out, expected)


def test_working_memory_begins_at_a_line_of_the_cache():
    scratch = Scratch()
    for k in range(1, 9):
        for found in (scratch.get("flat", np.float32, 1000 * k), scratch.get(f"rows {k}", np.uint64, 3, 7 * k)):
            assert found.ctypes.data % LINE == 0
            assert found.flags.writeable
    assert scratch.get("rows 2", np.uint64, 3, 14).shape == (3, 14)
    assert scratch.nbytes >= 8000 * 4

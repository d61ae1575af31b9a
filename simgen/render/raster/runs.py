"""Runs of fragments on one triangle: neighbours share their triangle's numbers, which are loaded once for all."""

from __future__ import annotations

from typing import Any

import numpy as np

from simgen.render.raster.jit import ix, strict_part

_STRETCH = 64
"""Fragments that are looked at together for a change of triangle."""


@strict_part
def find_runs(first: int, n: int, triangle: Any, a: Any, at: int) -> int:
    """List where runs of fragments on the same triangle begin, and ``n``, from ``a[at]`` on; the number of runs.

    ``a`` (int32) has room for ``n`` + 1 of them; the fragments are ``first`` and the next.
    """
    a[ix(at)] = 0
    runs: Any = 1
    for group in range(0, n, _STRETCH):
        begin, end = max(group, 1), min(group + _STRETCH, n)
        changes = np.int32(0)
        for i in range(begin, end):
            changes = np.int32(changes | np.int32(triangle[ix(first + i)] ^ triangle[ix(first + i - 1)]))
        if changes == 0:
            continue
        for i in range(begin, end):
            # Written always and counted when it is one: that costs less than a branch that is hard to predict.
            a[ix(at + runs)] = i
            runs += 1 if triangle[ix(first + i)] != triangle[ix(first + i - 1)] else 0
    a[ix(at + runs)] = n
    return runs

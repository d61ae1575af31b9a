"""NumPy's floor, ceil and sqrt of floats in kernels, which numba-cuda knows under ``math`` only."""

from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np


def register() -> None:
    """Give Numba's CUDA target these functions."""
    # numba-cuda's own ``overload``, which the ``numba.cuda`` that Numba brings does not have.
    extending: Any = importlib.import_module("numba.cuda.extending")
    types: Any = importlib.import_module("numba.cuda.types")
    overload = extending.overload

    # Without annotations: Numba compares signatures in full.
    @overload(np.floor)
    def floor(x):  # type: ignore[no-untyped-def]
        return (lambda x: math.floor(x)) if isinstance(x, types.Float) else None

    @overload(np.ceil)
    def ceil(x):  # type: ignore[no-untyped-def]
        return (lambda x: math.ceil(x)) if isinstance(x, types.Float) else None

    @overload(np.sqrt)
    def sqrt(x):  # type: ignore[no-untyped-def]
        return (lambda x: math.sqrt(x)) if isinstance(x, types.Float) else None

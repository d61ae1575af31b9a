"""How kernels are compiled.

``strict`` keeps IEEE arithmetic as written: no reassociation, no contraction of ``a * b + c`` into a fused
multiply-add, so geometry has the same bits on every CPU. ``fast`` allows both, for colour. Neither assumes that NaN
and infinity are absent. Both divide as NumPy does (no exception), which is also what vectorization needs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simgen.kernels import Function, kernel

ix = np.uint64
"""Marks an index as not negative. Numba would otherwise test for wrap-around, which keeps LLVM from vectorizing."""

COLOUR_FLAGS = {"contract", "reassoc", "arcp", "nsz", "afn"}

_COMMON = {"nogil": True, "error_model": "numpy"}


def strict(function: Function) -> Any:
    """Compile ``function`` with IEEE arithmetic exactly as written."""
    return kernel(**_COMMON)(function)


def strict_part(function: Function) -> Any:
    """Compile ``function`` like ``strict``, always inlined.

    A function that is called counts references to the arrays it is given, by instructions that wait for all that was
    written before. That is felt where results are streamed to memory.
    """
    return kernel(**_COMMON, forceinline=True)(function)


def fast(function: Function) -> Any:
    """Compile ``function`` with relaxed arithmetic; for colour only.

    Always inlined: of a helper that is called there are several copies, each rounded as its surroundings allow, and the
    process that compiles may run another copy than those that load the compiled code from disk.
    """
    return kernel(**_COMMON, fastmath=COLOUR_FLAGS, forceinline=True)(function)

"""How kernels are compiled.

``strict`` keeps IEEE arithmetic as written: no reassociation, no contraction of ``a * b + c`` into a fused
multiply-add, so geometry has the same bits on every CPU. ``fast`` allows both, for colour. Neither assumes that NaN
and infinity are absent. Both divide as NumPy does (no exception), which is also what vectorization needs.

Numba's disk cache is keyed on one source file, while our kernels inline functions of several; the cache is therefore
stamped with a digest of the whole package.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

ix = np.uint64
"""Marks an index as not negative. Numba would otherwise test for wrap-around, which keeps LLVM from vectorizing."""

COLOUR_FLAGS = {"contract", "reassoc", "arcp", "nsz", "afn"}

Function = Callable[..., Any]


@cache
def _digest() -> str:
    folder = Path(__file__).parent
    total = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        total.update(path.name.encode() + b"\0" + path.read_bytes())
    return total.hexdigest()


def _compile(function: Function, fastmath: Any, forceinline: bool) -> Any:
    dispatcher = njit(cache=True, nogil=True, error_model="numpy", fastmath=fastmath, forceinline=forceinline)(function)
    cache_file = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
    if cache_file is not None and hasattr(cache_file, "_source_stamp"):
        cache_file._source_stamp = _digest()
    return dispatcher


def strict(function: Function) -> Any:
    """Compile ``function`` with IEEE arithmetic exactly as written."""
    return _compile(function, False, forceinline=False)


def strict_part(function: Function) -> Any:
    """Compile ``function`` like ``strict``, always inlined.

    A function that is called counts references to the arrays it is given, by instructions that wait for all that was
    written before. That is felt where results are streamed to memory.
    """
    return _compile(function, False, forceinline=True)


def fast(function: Function) -> Any:
    """Compile ``function`` with relaxed arithmetic; for colour only.

    Always inlined: of a helper that is called there are several copies, each rounded as its surroundings allow, and the
    process that compiles may run another copy than those that load the compiled code from disk.
    """
    return _compile(function, COLOUR_FLAGS, forceinline=True)


def is_cached(dispatcher: Any) -> bool:
    """Whether the disk cache holds any compiled version of a ``strict`` or ``fast`` function for this source."""
    cache_file = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
    load = getattr(cache_file, "_load_index", None)
    return bool(load()) if load else False

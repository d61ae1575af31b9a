"""Functions compiled by Numba, and when what the disk holds of them is out of date.

Numba keys its disk cache on one source file, while kernels inline functions and constants of others; after an update
of those it would go on running the old machine code. The cache is therefore stamped with a digest of all source files
beside a kernel's own, and kernels take functions and constants from their own folder only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from numba import njit

Function = Callable[..., Any]


def kernel(**options: Any) -> Callable[[Function], Any]:
    """Decorator: compile a function when it is first called, without the interpreter, and keep the result on disk.

    ``options`` are those of ``numba.njit``, such as ``fastmath``, ``error_model`` or ``inline``.
    """

    def compiled(function: Function) -> Any:
        return stamped(njit(cache=True, **options)(function), Path(function.__code__.co_filename).parent)

    return compiled


def stamped(dispatcher: Any, *folders: Path) -> Any:
    """Have the disk cache of a compiled function last until a Python file of ``folders`` changes; returns it."""
    file = _cache_file(dispatcher)
    if hasattr(file, "_source_stamp"):
        file._source_stamp = _digest(folders)
    return dispatcher


def is_cached(dispatcher: Any) -> bool:
    """Whether the disk holds any compiled version of a kernel for the source as it is."""
    load = getattr(_cache_file(dispatcher), "_load_index", None)
    return bool(load()) if load else False


def _cache_file(dispatcher: Any) -> Any:
    """Numba has no public way to its cache; None where there is none, or it has changed."""
    return getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)


@cache
def _digest(folders: tuple[Path, ...]) -> str:
    total = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.glob("*.py")):
            total.update(path.name.encode() + b"\0" + path.read_bytes())
    return total.hexdigest()

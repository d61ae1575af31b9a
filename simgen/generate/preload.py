"""What the server of processes gets ready for all workers that it forks; importing this module does it.

``simgen.processes.worker_context`` has the server import it last. Workers then share the machine code of kernels, which
each would else load from Numba's disk cache for a third of a second, and find nothing to collect as garbage.
"""

from __future__ import annotations

import gc
import sys
from contextlib import suppress
from typing import Any

from numba.core.registry import CPUDispatcher


def load_kernels(package: str) -> int:
    """Load the kernels of the imported modules of ``package`` that have been compiled before, and tell how many.

    Nothing is compiled: what is not in the disk cache is left to the process that needs it. Kernels that other kernels
    call come with those.
    """
    modules = [module for name, module in list(sys.modules.items()) if name.split(".")[0] == package]
    kernels = {id(thing): thing for module in modules for thing in _kernels(vars(module))}
    called = {id(thing) for kernel in kernels.values() for thing in _called(kernel)}
    return sum(_load(kernel) for key, kernel in kernels.items() if key not in called)


def _kernels(names: dict[str, Any]) -> list[CPUDispatcher]:
    return [thing for thing in names.values() if isinstance(thing, CPUDispatcher)]


def _called(kernel: CPUDispatcher) -> list[CPUDispatcher]:
    """The kernels that the source of ``kernel`` names."""
    names = kernel.py_func.__globals__
    return _kernels({name: names.get(name) for name in kernel.py_func.__code__.co_names})


def _load(kernel: Any) -> int:
    """Load all compiled versions of ``kernel`` for this machine; Numba has no public way to ask which there are."""
    cache = kernel._cache
    index = cache._cache_file._load_index() if hasattr(cache, "_cache_file") else {}
    codegen = kernel.targetctx.codegen()
    found = [key[0] for key in index if key == cache._index_key(key[0], codegen)]
    for signature in found:
        kernel.compile(signature)
    return len(found)


with suppress(Exception):  # a worker loads what is missing itself, and tells what is wrong with it
    load_kernels("simgen")
gc.collect()
gc.freeze()

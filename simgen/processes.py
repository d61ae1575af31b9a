"""What starting other processes takes, whatever they do."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import os
import signal
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from simgen.errors import SimgenError

SCENES = "simgen.generate.scenes"
"""Module of what makes frames as a configuration says."""

_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "BLOSC_NTHREADS",
)

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's mallopt."""

_KEPT = 256 << 20
"""Bytes that may be free at the end of the heap before they go back to the system."""


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def settle_in() -> None:
    """Make long work of this process cheaper, once it has loaded what it needs.

    Garbage collection passes over what is there already, hundreds of thousands of objects of imported modules, and
    looks less often. Memory of large arrays that are freed stays with the process for the next ones, which the system
    would else map and clear anew for every frame (glibc only; elsewhere nothing changes).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    if sys.platform == "linux":
        with suppress(AttributeError, OSError):
            libc = ctypes.CDLL(None)
            libc.mallopt(_M_MMAP_THRESHOLD, _KEPT)
            libc.mallopt(_M_TRIM_THRESHOLD, _KEPT)


@contextmanager
def nameless_main() -> Iterator[None]:
    """Hide the script that is running from processes being started.

    ``multiprocessing`` would import it in each of them, and run a script without ``if __name__ == "__main__"`` again.
    Functions of simgen's own need nothing from it.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def worker_context(source: str = SCENES) -> Any:
    """Processes forked from a server that has imported what workers need: they start at once and share its memory.

    The first call starts the server, which takes as long as these imports but does not keep the caller waiting.
    ``source`` is the module of what makes frames. Forking the calling process itself would carry over its threads'
    locks, its open shards and PyBullet clients. Raises SimgenError when the server cannot be started.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    from multiprocessing import forkserver

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["simgen.generate.worker", source, "simgen.generate.preload"])
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))  # libraries read them when they are loaded: one core a worker
    # The server inherits the mask; Ctrl-C, which a terminal sends to it as well, is for this process alone.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    except OSError as error:
        raise SimgenError(
            f"worker processes cannot be started ({error}): set TMPDIR to a short path that can be written"
        ) from None
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
    return context

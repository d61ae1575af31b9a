"""What starting other processes takes, whatever they do."""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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

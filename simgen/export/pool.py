"""Calling a function for many items in several processes."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from simgen.errors import DatasetError
from simgen.processes import nameless_main

Item = TypeVar("Item")
Result = TypeVar("Result")


def spread(function: Callable[[Item], Result], items: Sequence[Item], workers: int) -> Iterator[Result]:
    """``function(item)`` of all items, as they get done; with one worker in this process, in order.

    ``function`` is pickled. What it raises is raised here, once the other processes have ended what they are at; the
    remaining items are dropped. Raises DatasetError when a process dies.
    """
    workers = min(workers, len(items))
    if workers <= 1:
        yield from map(function, items)
        return
    # Not forked from this process, which may hold open files and threads' locks.
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(method)
    context.set_forkserver_preload(["simgen.export.run"])
    pool = ProcessPoolExecutor(workers, context, _leave_interrupts_to_the_parent)
    try:
        with nameless_main():
            futures = [pool.submit(function, item) for item in items]
        for future in as_completed(futures):
            yield future.result()
    except BrokenProcessPool as error:
        raise DatasetError(
            "a worker process died, as happens when memory runs out: run the same command again with fewer workers, "
            "it continues where this one stopped"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)

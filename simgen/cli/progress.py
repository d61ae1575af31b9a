"""How far long work is, on the error stream."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_REPORT_EVERY = 10.0
"""Seconds between lines of progress where there is no terminal."""


@contextmanager
def progress(what: str, quiet: bool, unit: str = "frame") -> Iterator[Callable[[int, int], None]]:
    """Tells of (done, total) units: a bar on a terminal, a line now and then elsewhere, nothing when ``quiet``."""
    if quiet:
        yield lambda done, total: None
        return
    if not sys.stderr.isatty():
        yield _Lines(what, unit)
        return
    from tqdm import tqdm

    with tqdm(unit=unit, desc=what, leave=False) as bar:

        def show(done: int, total: int) -> None:
            if bar.total is None:
                bar.reset(total)
                bar.initial = done  # the rate is that of this run
            bar.update(done - bar.n)

        yield show


class _Lines:
    """Prints how far it is, not more often than every ten seconds."""

    def __init__(self, what: str, unit: str) -> None:
        self.what, self.unit, self.began, self.last = what, unit, time.monotonic(), time.monotonic()
        self.first: int | None = None

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if self.first is None:
            self.first = done
        if now - self.last < _REPORT_EVERY or done == self.first:
            return
        self.last = now
        rate = (done - self.first) / (now - self.began)
        print(
            f"{self.what}: {done} of {total} {self.unit}s, {rate:.1f}/s, {(total - done) / rate:.0f} s left",
            file=sys.stderr,
        )

"""How far an experiment is, as its commands show it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """One of the parts that an experiment is done in: ``number`` of ``count``, and how far it is itself.

    ``done`` of ``total`` are frames or steps, ``rate`` is of them a second, 0 while it is not known.
    """

    number: int
    count: int
    what: str
    done: int = 0
    total: int = 0
    unit: str = ""
    rate: float = 0.0
    note: str = ""

    @property
    def seconds_left(self) -> float:
        """Of this part; 0 when it is not known."""
        return (self.total - self.done) / self.rate if self.rate > 0 else 0.0


Tell = Callable[[Stage], None]

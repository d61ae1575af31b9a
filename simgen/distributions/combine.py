"""Distributions made of values or of other distributions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar

from simgen.distributions.base import Distribution, Value, pick, require_weights


@dataclass(frozen=True)
class Choice(Distribution):
    """One of ``values`` (strings, numbers, tuples), by ``weights`` (empty: equal); nominal: the likeliest, then first.

    A strength between 0 and 1 is the probability with which the drawn value is taken rather than the nominal one.
    """

    name: ClassVar[str] = "choice"
    values: tuple[Value, ...]
    weights: tuple[float, ...] = ()
    nominal: Value = None

    def __post_init__(self) -> None:
        if not isinstance(self.values, list | tuple) or not self.values:
            raise ValueError(f"values must be a list with at least one entry, not {self.values!r}")
        object.__setattr__(self, "values", tuple(self.values))
        object.__setattr__(self, "weights", require_weights(self.weights, len(self.values)))
        if self.nominal is None:
            object.__setattr__(self, "nominal", self.values[self.weights.index(max(self.weights))])

    def _uniforms(self) -> int:
        return 2

    def _coins(self) -> tuple[int, ...]:
        return (0,)

    def _outcomes(self) -> tuple[Value, ...]:
        return (*self.values, self.nominal)

    def _at(self, u: Sequence[float], strength: float) -> Value:
        return self.values[pick(u[1], self.weights)] if u[0] < strength else self.nominal


@dataclass(frozen=True)
class Mixture(Distribution):
    """A draw from one of the distributions ``of``, chosen by ``weights``; nominal: that of the likeliest, then first.

    A strength between 0 and 1 is the probability with which the drawn value is taken rather than the nominal one.
    """

    name: ClassVar[str] = "mixture"
    of: tuple[Distribution, ...]
    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.of, list | tuple) or not self.of:
            raise ValueError(f"of must be a list with at least one distribution, not {self.of!r}")
        object.__setattr__(self, "of", tuple(self.of))
        object.__setattr__(self, "weights", require_weights(self.weights, len(self.of)))

    @property
    def nominal(self) -> Value:
        """See the class."""
        return self.of[self.weights.index(max(self.weights))].nominal

    def _uniforms(self) -> int:
        return 2 + max(part.uniforms for part in self.of)

    def _coins(self) -> tuple[int, ...]:
        # Another part may need what is a coin of one part.
        return (0,)

    def _outcomes(self) -> tuple[Value, ...]:
        return tuple(value for part in self.of for value in part.outcomes)

    def _at(self, u: Sequence[float], strength: float) -> Value:
        if u[0] >= strength:
            return self.nominal
        part = self.of[pick(u[1], self.weights)]
        return part.value(u[2 : 2 + part.uniforms])


@dataclass(frozen=True)
class Vector(Distribution):
    """Several independent values side by side; nominal: the tuple of their nominal values."""

    name: ClassVar[str] = "vector"
    of: tuple[Distribution, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "of", tuple(self.of))

    @property
    def nominal(self) -> Value:
        """See the class."""
        return tuple(part.nominal for part in self.of)

    def _uniforms(self) -> int:
        return sum(part.uniforms for part in self.of)

    def _coins(self) -> tuple[int, ...]:
        starts = accumulate((part.uniforms for part in self.of), initial=0)
        return tuple(start + coin for start, part in zip(starts, self.of, strict=False) for coin in part.coins)

    def _outcomes(self) -> tuple[Value, ...]:
        return (self.nominal,)

    def _at(self, u: Sequence[float], strength: float) -> tuple[Value, ...]:
        values = []
        start = 0
        for part in self.of:
            values.append(part.value(u[start : start + part.uniforms], strength))
            start += part.uniforms
        return tuple(values)

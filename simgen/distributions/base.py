"""What all distributions share: they map a point of the unit cube to a value.

A distribution draws a fixed number of uniforms and turns them into a value by an explicit formula. So the number of
draws never depends on the values, on the strength or on earlier draws, and the same map also serves quasi-random
sequences.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

Value = Any
"""A number, string, boolean, None, or a tuple of numbers."""


class Distribution(ABC):
    """A random value with a nominal one.

    ``uniforms`` is how many uniform deviates a draw consumes, ``nominal`` the value at strength 0.
    """

    name: ClassVar[str]
    nominal: Value

    @property
    def uniforms(self) -> int:
        """How many deviates a draw consumes."""
        return self._uniforms()

    @property
    def coins(self) -> tuple[int, ...]:
        """Places of the deviates that only decide whether the drawn or the nominal value is taken below strength 1."""
        return self._coins()

    @property
    def outcomes(self) -> tuple[Value, ...]:
        """A few values between which all others lie, the nominal one among them."""
        return self._outcomes()

    def value(self, u: Sequence[float], strength: float = 1.0) -> Value:
        """The value at ``u`` (uniforms,) in [0, 1), drawn towards nominal for a ``strength`` below 1.

        Strength 0 gives exactly ``nominal``, strength 1 exactly the drawn value.
        """
        return self._at(u, strength)

    @abstractmethod
    def _uniforms(self) -> int: ...

    def _coins(self) -> tuple[int, ...]:
        return ()

    @abstractmethod
    def _outcomes(self) -> tuple[Value, ...]: ...

    @abstractmethod
    def _at(self, u: Sequence[float], strength: float) -> Value: ...

    def sample(self, rng: np.random.Generator, strength: float = 1.0) -> Value:
        """Draw one value; consumes ``uniforms`` deviates of ``rng`` whatever the strength."""
        return self.value(rng.random(self.uniforms).tolist(), strength)

    def sample_n(self, rng: np.random.Generator, n: int, strength: float = 1.0) -> list[Value]:
        """Draw ``n`` values in order; value k is the same for every n > k."""
        return [self._at(u, strength) for u in rng.random((n, self.uniforms)).tolist()]


def require_number(name: str, value: object, above: float | None = None) -> None:
    """Raise ValueError unless ``value`` is a finite number (greater than ``above``)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} must be a number, not {value!r}")
    if not math.isfinite(value):
        raise ValueError(f"{name} is {value}; give a finite number")
    if above is not None and value <= above:
        raise ValueError(f"{name} {value} must be greater than {above:g}")


def require_vector(name: str, value: object, length: int) -> tuple[float, ...]:
    """``value`` as a tuple of ``length`` finite numbers; raises ValueError when it is none."""
    if not isinstance(value, list | tuple) or len(value) != length:
        raise ValueError(f"{name} must be a list of {length} numbers, not {value!r}")
    for entry in value:
        require_number(name, entry)
    return tuple(float(entry) for entry in value)


def require_order(low: float, high: float, names: tuple[str, str] = ("low", "high")) -> None:
    """Raise ValueError when the bounds are the wrong way round."""
    if low > high:
        raise ValueError(f"{names[0]} {low} is above {names[1]} {high}; swap them or widen the range")


def require_weights(weights: Sequence[float], n: int) -> tuple[float, ...]:
    """``weights`` (empty: equal ones) as a tuple of n non-negative numbers, not all 0; raises ValueError otherwise."""
    if not isinstance(weights, list | tuple):
        raise ValueError(f"weights must be a list of numbers, not {weights!r}")
    if not weights:
        return (1.0,) * n
    if len(weights) != n:
        raise ValueError(f"there are {len(weights)} weights for {n} values; give one weight for each value")
    for weight in weights:
        require_number("weights", weight)
        if weight < 0:
            raise ValueError(f"weight {weight} is negative; weights are 0 or more")
    if sum(weights) <= 0:
        raise ValueError("all weights are 0; make at least one positive")
    return tuple(float(weight) for weight in weights)


def pick(u: float, weights: Sequence[float]) -> int:
    """The index at quantile ``u`` in [0, 1) of a discrete distribution; never one of weight 0."""
    mark = u * sum(weights)
    total = 0.0
    last = 0
    for k, weight in enumerate(weights):
        if weight > 0:
            last = k
            total += weight
            if mark < total:
                return k
    return last


def mix(nominal: float, drawn: float, strength: float) -> float:
    """Linear interpolation that is exact at both ends."""
    if strength <= 0:
        return nominal
    return drawn if strength >= 1 else nominal + strength * (drawn - nominal)

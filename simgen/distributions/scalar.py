"""Constants, numbers and coins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from scipy.special import ndtr, ndtri

from simgen.distributions.base import Distribution, Value, mix, require_number, require_order

_TINY = 2.0**-54
"""Half the smallest step of a uniform deviate: keeps the normal quantile finite at 0."""


@dataclass(frozen=True)
class Constant(Distribution):
    """Always ``fixed``: a number, string, boolean, None or tuple of numbers."""

    name: ClassVar[str] = "constant"
    fixed: Value

    @property
    def nominal(self) -> Value:
        """The constant itself."""
        return self.fixed

    def _uniforms(self) -> int:
        return 0

    def _outcomes(self) -> tuple[Value, ...]:
        return (self.fixed,)

    def _at(self, u: Sequence[float], strength: float) -> Value:
        return self.fixed


class _Scalar(Distribution):
    """One uniform for one number; ``_set`` writes a default into a frozen instance."""

    def _uniforms(self) -> int:
        return 1

    def _set(self, **values: Value) -> None:
        for key, value in values.items():
            object.__setattr__(self, key, value)


@dataclass(frozen=True)
class Uniform(_Scalar):
    """Every number from ``low`` to ``high`` equally likely; nominal: the middle."""

    name: ClassVar[str] = "uniform"
    low: float
    high: float
    nominal: float = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        require_number("low", self.low)
        require_number("high", self.high)
        require_order(self.low, self.high)
        if self.nominal is None:
            self._set(nominal=self.low + (self.high - self.low) / 2)
        require_number("nominal", self.nominal)

    def _outcomes(self) -> tuple[Value, ...]:
        return (self.low, self.high, self.nominal)

    def _at(self, u: Sequence[float], strength: float) -> float:
        return float(mix(self.nominal, min(self.low + u[0] * (self.high - self.low), self.high), strength))


@dataclass(frozen=True)
class UniformInt(_Scalar):
    """Every whole number from ``low`` to ``high``, both included; nominal: the middle, rounded down."""

    name: ClassVar[str] = "uniform_int"
    low: int
    high: int
    nominal: int = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.nominal is None and isinstance(self.low, int) and isinstance(self.high, int):
            self._set(nominal=(self.low + self.high) // 2)
        for key in ("low", "high", "nominal"):
            number = getattr(self, key)
            require_number(key, number)
            if int(number) != number:
                raise ValueError(f"{key} {number} is not a whole number")
            self._set(**{key: int(number)})
        require_order(self.low, self.high)

    def _outcomes(self) -> tuple[Value, ...]:
        return (self.low, self.high, self.nominal)

    def _at(self, u: Sequence[float], strength: float) -> int:
        drawn = min(self.low + math.floor(u[0] * (self.high - self.low + 1)), self.high)
        return round(mix(self.nominal, drawn, strength))


@dataclass(frozen=True)
class LogUniform(_Scalar):
    """A positive number whose logarithm is uniform: each factor of ten equally likely; nominal: geometric mean."""

    name: ClassVar[str] = "log_uniform"
    low: float
    high: float
    nominal: float = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        require_number("low", self.low, above=0)
        require_number("high", self.high, above=0)
        require_order(self.low, self.high)
        if self.nominal is None:
            self._set(nominal=math.sqrt(self.low) * math.sqrt(self.high))
        require_number("nominal", self.nominal, above=0)

    def _outcomes(self) -> tuple[Value, ...]:
        return (self.low, self.high, self.nominal)

    def _at(self, u: Sequence[float], strength: float) -> float:
        if strength <= 0:
            return float(self.nominal)
        a, b = math.log(self.low), math.log(self.high)
        x = mix(math.log(self.nominal), a + u[0] * (b - a), strength)
        if strength >= 1:
            return float(min(max(math.exp(x), self.low), self.high))
        return math.exp(x)


@dataclass(frozen=True)
class Normal(_Scalar):
    """Gaussian with ``mean`` and standard deviation ``std``; nominal: the mean."""

    name: ClassVar[str] = "normal"
    mean: float
    std: float
    nominal: float = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        _require_spread(self.mean, self.std)
        if self.nominal is None:
            self._set(nominal=self.mean)
        require_number("nominal", self.nominal)

    def _outcomes(self) -> tuple[Value, ...]:
        return (self.mean, self.nominal) if self.std == 0 else (-math.inf, math.inf, self.nominal)

    def _at(self, u: Sequence[float], strength: float) -> float:
        return float(mix(self.nominal, self.mean + self.std * float(ndtri(max(u[0], _TINY))), strength))


@dataclass(frozen=True)
class TruncatedNormal(_Scalar):
    """Gaussian cut off below ``low`` and above ``high``; nominal: the mean, moved into the range."""

    name: ClassVar[str] = "truncated_normal"
    mean: float
    std: float
    low: float
    high: float
    nominal: float = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        _require_spread(self.mean, self.std)
        require_number("low", self.low)
        require_number("high", self.high)
        require_order(self.low, self.high)
        if self.nominal is None:
            self._set(nominal=min(max(self.mean, self.low), self.high))
        require_number("nominal", self.nominal)

    def _outcomes(self) -> tuple[Value, ...]:
        return (self.low, self.high, self.nominal)

    def _at(self, u: Sequence[float], strength: float) -> float:
        return float(mix(self.nominal, self._drawn(u[0]), strength))

    def _drawn(self, u: float) -> float:
        if self.std == 0:
            return min(max(self.mean, self.low), self.high)
        a, b = (self.low - self.mean) / self.std, (self.high - self.mean) / self.std
        # The quantile function loses its digits near 1; a range above the mean is mirrored to below it.
        if a > 0:
            p, q = float(ndtr(-b)), float(ndtr(-a))
            x = -float(ndtri(max(q - u * (q - p), 1e-300)))
        else:
            p, q = float(ndtr(a)), float(ndtr(b))
            x = float(ndtri(max(p + u * (q - p), 1e-300)))
        return min(max(self.mean + self.std * x, self.low), self.high)


@dataclass(frozen=True)
class Bernoulli(_Scalar):
    """True with probability ``p``; nominal: the likelier of the two (True at 0.5).

    A strength between 0 and 1 is the probability with which the drawn value is taken rather than the nominal one.
    """

    name: ClassVar[str] = "bernoulli"
    p: float
    nominal: bool = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        require_number("p", self.p)
        if not 0 <= self.p <= 1:
            raise ValueError(f"p {self.p} is not a probability from 0 to 1")
        if self.nominal is None:
            self._set(nominal=self.p >= 0.5)
        if not isinstance(self.nominal, bool):
            raise ValueError(f"nominal must be true or false, not {self.nominal!r}")

    def _uniforms(self) -> int:
        return 2

    def _coins(self) -> tuple[int, ...]:
        return (0,)

    def _outcomes(self) -> tuple[Value, ...]:
        return (True, False)

    def _at(self, u: Sequence[float], strength: float) -> bool:
        return u[1] < self.p if u[0] < strength else self.nominal


def _require_spread(mean: float, std: float) -> None:
    require_number("mean", mean)
    require_number("std", std)
    if std < 0:
        raise ValueError(f"std {std} is negative; a standard deviation is 0 or more")

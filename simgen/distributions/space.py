"""Directions, rotations and colours."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from simgen.distributions.base import Distribution, Value, mix, require_number, require_order, require_vector

Vec3 = tuple[float, float, float]
Vec4 = tuple[float, float, float, float]


@dataclass(frozen=True)
class Direction(Distribution):
    """A unit vector, uniform over the sphere between ``low_deg`` and ``high_deg`` away from ``axis``.

    0 to 90 degrees is a hemisphere, 0 to 180 the whole sphere, 0 to 20 a cone, 80 to 100 a belt. Nominal: the axis.
    Strengths between 0 and 1 move along the great circle from nominal to the drawn direction.
    """

    name: ClassVar[str] = "direction"
    axis: Vec3 = (0.0, 0.0, 1.0)
    low_deg: float = 0.0
    high_deg: float = 90.0
    nominal: Vec3 = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        object.__setattr__(self, "axis", unit(require_vector("axis", self.axis, 3), "axis"))
        require_number("low_deg", self.low_deg)
        require_number("high_deg", self.high_deg)
        require_order(self.low_deg, self.high_deg, ("low_deg", "high_deg"))
        if self.low_deg < 0 or self.high_deg > 180:
            raise ValueError(f"low_deg {self.low_deg} to high_deg {self.high_deg} is not within 0 to 180 degrees")
        nominal = self.axis if self.nominal is None else self.nominal
        object.__setattr__(self, "nominal", unit(require_vector("nominal", nominal, 3), "nominal"))

    def _uniforms(self) -> int:
        return 2

    def _outcomes(self) -> tuple[Value, ...]:
        return (self.nominal,)

    def _at(self, u: Sequence[float], strength: float) -> Vec3:
        if strength <= 0:
            return self.nominal
        # Equal steps of the cosine are equal areas of a sphere (Archimedes).
        a, b = math.cos(math.radians(self.low_deg)), math.cos(math.radians(self.high_deg))
        c = a + u[0] * (b - a)
        s = math.sqrt(max(0.0, 1 - c * c))
        x, y = _perpendicular(self.axis)
        cos, sin = math.cos(2 * math.pi * u[1]), math.sin(2 * math.pi * u[1])
        drawn = _vec3(c * z + s * (cos * p + sin * q) for z, p, q in zip(self.axis, x, y, strict=True))
        if strength >= 1:
            return drawn
        return unit(_slerp(self.nominal, drawn, strength), "direction")  # type: ignore[return-value]


@dataclass(frozen=True)
class Rotation(Distribution):
    """A rotation, uniform over all of those by at most ``within_deg``; a unit quaternion xyzw with w >= 0.

    180 degrees is uniform over SO(3). Nominal: no rotation. Strengths between 0 and 1 turn by slerp from nominal to
    the drawn rotation.
    """

    name: ClassVar[str] = "rotation"
    within_deg: float = 180.0
    nominal: Vec4 = (0.0, 0.0, 0.0, 1.0)

    def __post_init__(self) -> None:
        require_number("within_deg", self.within_deg)
        if not 0 <= self.within_deg <= 180:
            raise ValueError(f"within_deg {self.within_deg} is not within 0 to 180 degrees")
        object.__setattr__(self, "nominal", unit(require_vector("nominal", self.nominal, 4), "nominal"))

    def _uniforms(self) -> int:
        return 3

    def _outcomes(self) -> tuple[Value, ...]:
        return (self.nominal,)

    def _at(self, u: Sequence[float], strength: float) -> Vec4:
        # The angle of a uniform rotation has density (1 - cos a) / pi (Miles 1965); its axis is uniform on the sphere.
        limit = math.radians(self.within_deg)
        angle = _solve_angle(u[0] * (limit - math.sin(limit)), limit)
        z = 1 - 2 * u[1]
        s = math.sqrt(max(0.0, 1 - z * z))
        axis = (s * math.cos(2 * math.pi * u[2]), s * math.sin(2 * math.pi * u[2]), z)
        return turn(self.nominal, axis_angle(axis, angle), strength)


@dataclass(frozen=True)
class AxisRotation(Distribution):
    """A rotation about ``axis`` by ``low_deg`` to ``high_deg``, uniform; a unit quaternion xyzw with w >= 0.

    Nominal: no rotation. Strengths between 0 and 1 turn by slerp from nominal to the drawn rotation.
    """

    name: ClassVar[str] = "axis_rotation"
    axis: Vec3 = (0.0, 0.0, 1.0)
    low_deg: float = -180.0
    high_deg: float = 180.0
    nominal: Vec4 = (0.0, 0.0, 0.0, 1.0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "axis", unit(require_vector("axis", self.axis, 3), "axis"))
        require_number("low_deg", self.low_deg)
        require_number("high_deg", self.high_deg)
        require_order(self.low_deg, self.high_deg, ("low_deg", "high_deg"))
        object.__setattr__(self, "nominal", unit(require_vector("nominal", self.nominal, 4), "nominal"))

    def _uniforms(self) -> int:
        return 1

    def _outcomes(self) -> tuple[Value, ...]:
        return (self.nominal,)

    def _at(self, u: Sequence[float], strength: float) -> Vec4:
        angle = math.radians(self.low_deg + u[0] * (self.high_deg - self.low_deg))
        return turn(self.nominal, axis_angle(self.axis, angle), strength)


@dataclass(frozen=True)
class Color(Distribution):
    """A colour, each channel uniform from ``low`` to ``high``; a linear RGB triple.

    ``space`` "rgb": the bounds are linear red, green and blue. "hsv": hue, saturation and value, each from 0 to 1, of
    the sRGB colour as a colour picker shows it. Nominal: the linear RGB of the middle.
    """

    name: ClassVar[str] = "color"
    low: Vec3 = (0.0, 0.0, 0.0)
    high: Vec3 = (1.0, 1.0, 1.0)
    space: str = "hsv"
    nominal: Vec3 = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        object.__setattr__(self, "low", require_vector("low", self.low, 3))
        object.__setattr__(self, "high", require_vector("high", self.high, 3))
        if self.space not in ("rgb", "hsv"):
            raise ValueError(f'space must be "rgb" or "hsv", not {self.space!r}')
        for low, high in zip(self.low, self.high, strict=True):
            require_order(low, high)
            if low < 0 or (self.space == "hsv" and high > 1):
                raise ValueError(f"{low} to {high} is not a range of a colour channel; they go from 0 to 1")
        if self.nominal is None:
            middle = _vec3(a + (b - a) / 2 for a, b in zip(self.low, self.high, strict=True))
            object.__setattr__(self, "nominal", self._linear(middle))
        object.__setattr__(self, "nominal", require_vector("nominal", self.nominal, 3))

    def _uniforms(self) -> int:
        return 3

    def _outcomes(self) -> tuple[Value, ...]:
        return (self.nominal,)

    def _at(self, u: Sequence[float], strength: float) -> Vec3:
        drawn = self._linear(_vec3(a + t * (b - a) for t, a, b in zip(u, self.low, self.high, strict=True)))
        return _vec3(mix(a, b, strength) for a, b in zip(self.nominal, drawn, strict=True))

    def _linear(self, color: Vec3) -> Vec3:
        return color if self.space == "rgb" else linear_from_srgb(colorsys.hsv_to_rgb(*color))


def linear_from_srgb(color: Sequence[float]) -> Vec3:
    """Linear RGB of an sRGB colour, channels from 0 to 1 (IEC 61966-2-1)."""
    return _vec3(c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color)


def unit(vector: Sequence[float], name: str) -> tuple[float, ...]:
    """``vector`` scaled to length 1, untouched when it has that length already; ValueError when it is zero."""
    length = math.sqrt(sum(x * x for x in vector))
    if length < 1e-9:
        raise ValueError(f"{name} has no direction; give one that is not zero")
    return tuple(vector) if abs(length - 1) < 1e-12 else tuple(x / length for x in vector)


def axis_angle(axis: Sequence[float], angle: float) -> Vec4:
    """The unit quaternion xyzw, w >= 0, of a rotation about the unit vector ``axis`` by ``angle`` radians."""
    s, c = math.sin(angle / 2), math.cos(angle / 2)
    sign = -1.0 if c < 0 else 1.0
    return (sign * s * axis[0], sign * s * axis[1], sign * s * axis[2], sign * c)


def turn(nominal: Vec4, drawn: Vec4, strength: float) -> Vec4:
    """Spherical interpolation of unit quaternions the short way round (Shoemake 1985), exact at both ends."""
    if strength <= 0:
        return nominal
    if strength >= 1:
        return drawn
    if sum(a * b for a, b in zip(nominal, drawn, strict=True)) < 0:
        nominal = tuple(-a for a in nominal)  # type: ignore[assignment]
    q = unit(_slerp(nominal, drawn, strength), "rotation")
    return tuple(-a for a in q) if q[3] < 0 else q  # type: ignore[return-value]


def _slerp(a: Sequence[float], b: Sequence[float], t: float) -> tuple[float, ...]:
    cos = max(-1.0, min(1.0, sum(x * y for x, y in zip(a, b, strict=True))))
    angle = math.acos(cos)
    if angle < 1e-6:
        return tuple(x + t * (y - x) for x, y in zip(a, b, strict=True))
    if math.pi - angle < 1e-6:
        # Opposite ends have no shortest way; go by way of a fixed perpendicular direction.
        b, t, angle = _perpendicular(a)[0], 2 * t, math.pi / 2
    s = math.sin(angle)
    return tuple((math.sin((1 - t) * angle) * x + math.sin(t * angle) * y) / s for x, y in zip(a, b, strict=True))


def _perpendicular(axis: Sequence[float]) -> tuple[Vec3, Vec3]:
    """Two unit vectors that complete ``axis`` (3,) to a right-handed frame (Duff et al. 2017)."""
    x, y, z = axis
    sign = 1.0 if z >= 0 else -1.0
    a = -1.0 / (sign + z)
    b = x * y * a
    return (1.0 + sign * x * x * a, sign * b, -sign * x), (b, sign + y * y * a, -y)


def _solve_angle(target: float, limit: float) -> float:
    """The angle in [0, limit] with angle - sin(angle) = target, by bisection to the last bit that matters."""
    low, high = 0.0, limit
    for _ in range(50):
        middle = (low + high) / 2
        if middle - math.sin(middle) < target:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _vec3(values: Sequence[float] | object) -> Vec3:
    x, y, z = values  # type: ignore[misc]
    return (float(x), float(y), float(z))

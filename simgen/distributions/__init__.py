"""Random values as small value objects, written in YAML, each with a nominal value."""

from simgen.distributions.base import Distribution, Value
from simgen.distributions.combine import Choice, Mixture, Vector
from simgen.distributions.parse import DISTRIBUTIONS, parse, to_plain
from simgen.distributions.scalar import Bernoulli, Constant, LogUniform, Normal, TruncatedNormal, Uniform, UniformInt
from simgen.distributions.space import AxisRotation, Color, Direction, Rotation

__all__ = [
    "DISTRIBUTIONS",
    "AxisRotation",
    "Bernoulli",
    "Choice",
    "Color",
    "Constant",
    "Direction",
    "Distribution",
    "LogUniform",
    "Mixture",
    "Normal",
    "Rotation",
    "TruncatedNormal",
    "Uniform",
    "UniformInt",
    "Value",
    "Vector",
    "parse",
    "to_plain",
]

"""Named draws: each from its own stream, at the strength of its factor, and logged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from simgen.distributions import Distribution, Value
from simgen.rng import stream
from simgen.scene.record import Draws


@dataclass
class Draw:
    """Draws of one scene, or with ``frame`` of one of its frames (or views).

    The stream of a draw is named "factor/name", so that no draw moves another one. ``log`` collects what was drawn.
    ``attempt`` above 0 draws poses, and nothing else, anew.
    """

    strengths: Mapping[str, float]
    seed: int
    scene: int
    attempt: int = 0
    frame: int | None = None
    log: Draws = field(default_factory=dict)

    def at(self, frame: int) -> Draw:
        """The draws of one frame, with a log of their own."""
        return Draw(self.strengths, self.seed, self.scene, self.attempt, frame)

    def one(self, factor: str, name: str, distribution: Distribution, label: str | None = None) -> Value:
        """One value, logged as ``label`` (default: ``name``)."""
        if distribution.uniforms:
            u = self.uniforms(factor, name, 1, distribution.uniforms)[0]
            value = distribution.value(u, self.strengths[factor])
        else:
            value = distribution.nominal
        self.note(factor, label or name, value)
        return value

    def many(self, factor: str, name: str, distribution: Distribution, n: int) -> list[Value]:
        """A value for each of ``n`` items in order; those of the first items do not depend on ``n``."""
        if distribution.uniforms:
            strength = self.strengths[factor]
            rows = self.uniforms(factor, name, n, distribution.uniforms)
            values = [distribution.value(u, strength) for u in rows]
        else:
            values = [distribution.nominal] * n
        self.note(factor, name, values)
        return values

    def uniforms(self, factor: str, name: str, n: int, d: int) -> list[list[float]]:
        """Uniform deviates (n, d); a caller that makes something of them itself logs that."""
        again = f"#{self.attempt}" if self.attempt and factor == "poses" else ""
        rng = stream(self.seed, self.scene, f"{factor}/{name}{again}", self.frame)
        rows: list[list[float]] = rng.random((n, d)).tolist()
        return rows

    def note(self, factor: str, name: str, value: Value) -> None:
        """Log a drawn value."""
        self.log.setdefault(factor, {})[name] = _listed(value)


def _listed(value: Value) -> Value:
    return [_listed(entry) for entry in value] if isinstance(value, list | tuple) else value

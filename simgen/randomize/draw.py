"""Named draws: each from its own stream or design, at the strength of its factor, and logged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from simgen.distributions import Distribution, Value
from simgen.randomize.design import Designs, points
from simgen.rng import uniforms
from simgen.scene.record import Draws


@dataclass
class Draw:
    """Draws of one scene, or with ``frame`` of one of its frames (or views).

    The stream of a draw is named "factor/name", so that no draw moves another one. ``log`` collects what was drawn.
    ``attempt`` above 0 draws poses, and nothing else, anew; ``candidate`` above 0 everything, ``take`` above 0 what is
    drawn for this frame.

    Draws that have a design are point ``point`` of it (default: that of the number of the scene). The views of a camera
    are points of one sequence: ``sources`` maps their names, with which those of their draws begin, to the camera's.
    What is drawn anew is independent of the design.
    """

    strengths: Mapping[str, float]
    seed: int
    scene: int
    attempt: int = 0
    frame: int | None = None
    log: Draws = field(default_factory=dict)
    designs: Designs = field(default_factory=Designs)
    candidate: int = 0
    take: int = 0
    point: int | None = None
    sources: Mapping[str, str] = field(default_factory=dict)

    def at(self, frame: int, point: int, sources: Mapping[str, str] | None = None, take: int = 0) -> Draw:
        """The draws of one frame, with a log of their own."""
        return replace(self, frame=frame, log={}, point=point, sources=sources or {}, take=take)

    def one(self, factor: str, name: str, distribution: Distribution, label: str | None = None) -> Value:
        """One value, logged as ``label`` (default: ``name``)."""
        if distribution.uniforms:
            u = self.uniforms(factor, name, 1, distribution.uniforms, distribution.coins)[0]
            value = distribution.value(u, self.strengths[factor])
        else:
            value = distribution.nominal
        self.note(factor, label or name, value)
        return value

    def whole(self, factor: str, name: str, distribution: Distribution, label: str | None = None) -> Value:
        """As ``one``, at full strength: for effects that fade from none, not from their nominal value."""
        value = self.unlogged(factor, name, distribution)
        self.note(factor, label or name, value)
        return value

    def unlogged(self, factor: str, name: str, distribution: Distribution) -> Value:
        """As ``whole``, for a caller that makes something of it and logs that."""
        if not distribution.uniforms:
            return distribution.nominal
        return distribution.value(self.uniforms(factor, name, 1, distribution.uniforms, distribution.coins)[0])

    def many(self, factor: str, name: str, distribution: Distribution, n: int) -> list[Value]:
        """A value for each of ``n`` items in order; those of the first items do not depend on ``n``."""
        if distribution.uniforms:
            strength = self.strengths[factor]
            rows = self.uniforms(factor, name, n, distribution.uniforms, distribution.coins)
            values = [distribution.value(u, strength) for u in rows]
        else:
            values = [distribution.nominal] * n
        self.note(factor, name, values)
        return values

    def uniforms(self, factor: str, name: str, n: int, d: int, coins: Sequence[int] = ()) -> list[list[float]]:
        """Uniform deviates (n, d); a caller that makes something of them itself logs that.

        ``coins`` are the places of deviates that decide nothing at full strength.
        """
        again = f"#{self.attempt}" if self.attempt and factor == "poses" else ""
        again += f"~{self.candidate}.{self.take}" if self.candidate or self.take else ""
        shared = self.shared(name)
        design = "random" if again else self.designs.of(factor, shared)
        rows: list[list[float]]
        if design == "random":
            drawn = uniforms(self.seed, self.scene, f"{factor}/{name}{again}", n * d, self.frame)
            rows = drawn.reshape(n, d).tolist()
        else:
            index = self.scene if self.point is None else self.point
            rows = points(design, self.seed, factor, shared, index, n, d, coins).tolist()
        return rows

    def note(self, factor: str, name: str, value: Value) -> None:
        """Log a drawn value."""
        self.log.setdefault(factor, {})[name] = _listed(value)

    def shared(self, name: str) -> str:
        """``name`` with the camera for the view."""
        for source, camera in self.sources.items():
            if name.startswith(f"{source}."):
                return camera + name[len(source) :]
        return name


def _listed(value: Value) -> Value:
    if not isinstance(value, list | tuple):
        return value
    return [_listed(entry) if isinstance(entry, list | tuple) else entry for entry in value]

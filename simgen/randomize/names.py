"""Which draws a configuration makes, so that what is said of single ones can be held against them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from simgen.config.schema import RenderConfig
from simgen.distributions import Constant, Distribution, Value
from simgen.errors import ConfigError, near_match
from simgen.randomize.design import fits
from simgen.randomize.draw import Draw
from simgen.randomize.factors import FACTORS
from simgen.randomize.sample import assembled
from simgen.randomize.trace_sensors import trace_sensors
from simgen.scene.definition import BackgroundDefinition, Group, SceneDefinition, Surface

if TYPE_CHECKING:
    from simgen.assets.library import Library

_SHOWN = 12
"""Names that are listed in an error."""

G = TypeVar("G", bound=Group)
Textured = TypeVar("Textured", Surface, BackgroundDefinition)


@dataclass
class _Listening(Draw):
    """Draws whose names are written down, those of values that are fixed now, too."""

    heard: dict[str, dict[str, None]] = field(default_factory=lambda: {factor: {} for factor in FACTORS})

    def one(self, factor: str, name: str, distribution: Distribution, label: str | None = None) -> Value:
        self._hear(factor, name)
        return super().one(factor, name, distribution, label)

    def many(self, factor: str, name: str, distribution: Distribution, n: int) -> list[Value]:
        self._hear(factor, name)
        return super().many(factor, name, distribution, n)

    def unlogged(self, factor: str, name: str, distribution: Distribution) -> Value:
        self._hear(factor, name)
        return super().unlogged(factor, name, distribution)

    def uniforms(self, factor: str, name: str, n: int, d: int, coins: Sequence[int] = ()) -> list[list[float]]:
        self._hear(factor, name)
        return super().uniforms(factor, name, n, d, coins)

    def _hear(self, factor: str, name: str) -> None:
        self.heard[factor][self.shared(name)] = None


def draw_names(config: RenderConfig, library: Library) -> dict[str, list[str]]:
    """Factor -> the draws of all scenes that the definition can give, whatever the strengths are, sorted.

    A scene is drawn of a definition that leaves nothing out which depends on chance or on a number that may be swept:
    an object of each group (all of those with given poses), a texture on everything, every sensor.
    """
    scene = config.scene
    # Between 0 and 1 also those draws are made that only decide whether there is an effect.
    draw = _Listening(dict.fromkeys(FACTORS, 0.5), config.seed, 0)
    record = assembled(replace(config, scene=_with_everything(scene)), library, draw)
    bodies = {sensor.body for sensor in scene.sensors.values() if sensor.body is not None}
    trace_sensors(scene.sensors, record.frames, bodies, draw)
    for camera in scene.cameras:
        draw.heard["sensor"][f"{camera}.fixed_pattern_seed"] = None  # only where a pattern was drawn to be there
    return {factor: sorted(names) for factor, names in draw.heard.items()}


def check_designs(config: RenderConfig, library: Library) -> None:
    """Raise ConfigError for an entry of ``randomize.FACTOR.designs`` that fits no draw of any scene."""
    asked = [
        (factor, design, pattern)
        for factor in FACTORS
        for design, patterns in vars(getattr(config.randomize, factor).designs).items()
        for pattern in patterns
    ]
    names = draw_names(config, library) if asked else {}
    for factor, design, pattern in asked:
        if not any(fits(name, pattern) for name in names[factor]):
            raise ConfigError(
                f"randomize.{factor}.designs.{design}: no draw is called {pattern!r}{_hint(factor, pattern, names)}; "
                f"correct the name or take it out; {_listed(factor, names[factor])}."
            )


def _hint(factor: str, pattern: str, names: Mapping[str, Sequence[str]]) -> str:
    others = [other for other in names if other != factor and any(fits(name, pattern) for name in names[other])]
    if others:
        return f" (it is a draw of {' and of '.join(others)})"
    own = names[factor]
    return near_match(pattern, own) or near_match(pattern, [tail for name in own if (tail := name.partition(".")[2])])


def _listed(factor: str, names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    if not names:
        return f"the factor {factor} draws nothing in this scene"
    return f"those of the factor {factor} in this scene are {', '.join(names[:_SHOWN])}{more}"


def _with_everything(scene: SceneDefinition) -> SceneDefinition:
    return replace(
        scene,
        surfaces={name: _textured(surface) for name, surface in scene.surfaces.items()},
        objects={name: _group(group) for name, group in scene.objects.items()},
        distractors={name: _group(group) for name, group in scene.distractors.items()},
        background=_textured(scene.background),
        cameras={name: replace(camera, views=1) for name, camera in scene.cameras.items()},
        time=replace(scene.time, frames=1),
        sensors={},
    )


def _group(group: G) -> G:
    count = len(group.place.poses) if group.place.kind == "fixed" else 1
    return replace(group, count=Constant(count), texture=replace(group.texture, probability=1.0))


def _textured(part: Textured) -> Textured:
    return replace(part, texture=replace(part.texture, probability=1.0))

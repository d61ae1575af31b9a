"""Drawing scenes until their frames show what the definition asks for, within a budget.

Which placement of a camera is drawn for which target follows from the seed and its number alone; the cameras of a rig
are placed together, and all of them must show it. The placement is drawn anew first, since that takes no physics; when
none will do, the scene is. What can be told from poses is looked at before a coarse id image is rendered, and that
before one of full size, which decides; colour never is. The record says how often everything was drawn, so that the
same scene comes out of it again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from simgen.assets.library import Library
from simgen.config import RenderConfig
from simgen.errors import ConfigError, near_match
from simgen.generate.asked import NOTE
from simgen.generate.measures import (
    Labelled,
    Measures,
    Vector,
    camera_measures,
    coarse,
    drawable,
    holds,
    image_measures,
    labelled,
    possible,
    scene_measures,
)
from simgen.labels.frame import ObjectTable
from simgen.physics.client import Client
from simgen.physics.simulate import simulate
from simgen.randomize.design import stratum
from simgen.randomize.sample import sample, take
from simgen.render.snapshot import camera_at
from simgen.scene.definition import SceneDefinition
from simgen.scene.record import (
    CameraRecord,
    EnvironmentRecord,
    FrameRecord,
    MaterialRecord,
    SceneRecord,
    from_json,
    to_json,
)
from simgen.scene.state import Simulation
from simgen.scene.target_definition import IMAGE_MEASURES, Requirement
from simgen.sensors.camera import at_resolution

Tables = Callable[[SceneRecord, Simulation, Sequence[int]], list[ObjectTable]]
"""The object tables of the frames at some places of a record."""

_UNSEEN = 8
"""Cameras drawn for each one that may be looked through: what poses tell costs a twentieth of an id image. And scenes
drawn for each one that may be simulated."""

_COARSE_SIDE = 160
"""Pixels of the longer side of a coarse image, which is looked at before the whole one."""

_COARSE = 0.25
"""What a coarse image counts of a whole one: near enough its cost."""


def settled(
    config: RenderConfig, library: Library, scene: int, candidate: int = 0, client: Client | None = None
) -> tuple[SceneRecord, Simulation]:
    """Sample and simulate a scene until it settles, its poses drawn again at most ``config.attempts`` times.

    When none does, the last attempt stands, without the bodies that did not come to rest. ``client`` as for
    ``simulate``.
    """
    for attempt in range(config.attempts + 1):
        record = _stored_form(sample(config, library, config.seed, scene, attempt, candidate))
        simulation = simulate(record, library, client)
        if simulation.settled:
            break
    return record, simulation


def _stored_form(record: SceneRecord) -> SceneRecord:
    """``record`` through JSON and back, so that what is simulated is exactly what is stored and replayed."""
    return from_json(to_json(record))


def search(
    config: RenderConfig,
    library: Library,
    scene: int,
    tables: Tables,
    categories: Collection[str],
    client: Client | None = None,
) -> tuple[SceneRecord, Simulation]:
    """A scene whose frames are as ``require`` and ``targets`` of the definition ask, or the best one found.

    Each frame notes among its draws for which target it was drawn ("" for none), whether it shows it, whether it is as
    required, and how many cameras were looked at. Raises ConfigError for a name that is no group and no category.
    """
    definition = config.scene
    _check_names(definition, categories)
    together = placements(definition)
    asked = assigned(definition, config.seed, scene)
    tried = [0] * len(together)
    requirements = [*definition.require.values(), *(definition.targets[name] for name in set(asked) if name)]
    best: _Candidate | None = None
    simulated = 0
    for number in range(_UNSEEN * definition.search.scenes):
        if simulated == definition.search.scenes:
            break
        if number:
            drawn = sample(config, library, config.seed, scene, 0, number)
            if not all(drawable(requirement, drawn) for requirement in requirements):
                continue  # which objects there are is known without physics
        simulated += 1
        record, simulation = settled(config, library, scene, number, client)
        if best is not None and _measured(record) == _measured(best.record):
            break  # nothing of it is random
        looker = _Looker(config, library, record, simulation, tables)
        found = [looker.best_take(views, target) for views, target in zip(together, asked, strict=True)]
        tried = [count + placed.tried for count, placed in zip(tried, found, strict=True)]
        candidate = _Candidate(record, simulation, found)
        if best is None or candidate.score > best.score:
            best = candidate
        if all(placed.complete for placed in found):
            break
    assert best is not None  # there is at least one scene
    record, simulation = best.record, best.simulation
    takes = [placed.take for view in range(definition.views) for placed in best.placed if view in placed.views]
    if any(takes):
        drawn = sample(config, library, config.seed, scene, record.attempt, record.candidate, takes)
        record = _stored_form(drawn)
        simulation = simulate(record, library, client)  # its traces follow the cameras
    return _noted(record, asked, best.placed, tried, bool(definition.require)), simulation


def placements(definition: SceneDefinition) -> list[list[int]]:
    """Views that are placed together: one each, or those of the cameras of a rig."""
    groups: dict[tuple[str, int], list[int]] = {}
    views = [(name, k) for name in definition.cameras for k in range(definition.views_of(name))]
    for view, (name, k) in enumerate(views):
        groups.setdefault((definition.cameras[name].of or name, k), []).append(view)
    return list(groups.values())


def assigned(definition: SceneDefinition, seed: int, scene: int) -> list[str | None]:
    """The target that each of the ``placements`` in a scene is drawn for, None for none.

    Over any 2^m placements from a multiple of 2^m on, each target has its share of them to within one or two.
    """
    n = len(placements(definition))
    limits = list(accumulate(target.share for target in definition.targets.values()))
    names = list(definition.targets)
    out: list[str | None] = []
    for k in range(n):
        u = stratum(seed, NOTE, scene * n + k)
        out.append(next((name for name, limit in zip(names, limits, strict=True) if u < limit), None))
    return out


@dataclass(frozen=True)
class _Placed:
    """The best take of a placement; for each frame of its views whether it is as required and shows its target."""

    views: list[int]
    take: int
    tried: int
    required: tuple[bool, ...]
    met: tuple[bool, ...]

    @property
    def complete(self) -> bool:
        return all(self.required) and all(self.met)

    @property
    def score(self) -> tuple[int, int]:
        return sum(self.required), sum(self.met)


@dataclass(frozen=True)
class _Candidate:
    record: SceneRecord
    simulation: Simulation
    placed: list[_Placed]

    @property
    def score(self) -> tuple[int, int]:
        """Frames as required, then frames that show their target."""
        return sum(placed.score[0] for placed in self.placed), sum(placed.score[1] for placed in self.placed)


@dataclass(frozen=True)
class _Looker:
    """Looks through the cameras of one scene."""

    config: RenderConfig
    library: Library
    record: SceneRecord
    simulation: Simulation
    tables: Tables

    def best_take(self, views: list[int], target: str | None) -> _Placed:
        """The first take that is complete, or else the best one."""
        definition, record = self.config.scene, self.record
        places = [k for k, frame in enumerate(record.frames) if frame.view in views]
        wanted: list[Requirement] = [definition.targets[target]] if target else []
        asked = [*definition.require.values(), *wanted]
        if not asked:
            return _Placed(views, 0, 0, (True,) * len(places), (True,) * len(places))
        onto = {name: group.place.onto for name, group in {**definition.objects, **definition.distractors}.items()}
        states = [self.simulation.at(record.frames[place].time) for place in places]
        objects = [labelled(record, state, self.library.asset) for state in states]
        fixed = [scene_measures(record, one, onto) for one in objects]
        hopeless = not all(possible(r, m, o) for r in asked for m, o in zip(fixed, objects, strict=True))
        best: _Placed | None = None
        rig: dict[int, CameraRecord] = {}
        seen = any(name in IMAGE_MEASURES for requirement in asked for name in requirement.where)
        scale = min(1.0, _COARSE_SIDE / max(self.config.image.width, self.config.image.height))
        loose = [coarse(requirement, scale) for requirement in asked]
        tried, looked = 0, 0.0
        for number in range(1 if hopeless else _UNSEEN * definition.search.takes):
            before, rig = rig, {view: self._take(view, number) for view in views}
            if rig == before or looked >= definition.search.takes:
                break  # nothing of it is random, or the budget is used up
            tried += 1
            frames = _with_cameras(record.frames, rig)
            cameras = [camera_at(record, s, frames[place].camera) for s, place in zip(states, places, strict=True)]
            measures = [
                {**m, **camera_measures(o, c, record.lights)} for m, o, c in zip(fixed, objects, cameras, strict=True)
            ]
            if number and not all(possible(r, m, o) for r in asked for m, o in zip(measures, objects, strict=True)):
                continue
            if seen:
                if number and scale < 1:
                    looked += _COARSE
                    self._look(_with_resolution(frames, scale), places, measures)
                    if not all(possible(r, m, o) for r in loose for m, o in zip(measures, objects, strict=True)):
                        continue
                self._look(frames, places, measures)
            looked += 1
            found = _Placed(
                views,
                number,
                tried,
                tuple(_all_hold(definition.require.values(), m, o) for m, o in zip(measures, objects, strict=True)),
                tuple(_all_hold(wanted, m, o) for m, o in zip(measures, objects, strict=True)),
            )
            if best is None or found.score > best.score:
                best = found
            if found.complete:
                break
        assert best is not None  # the first take is always judged
        return replace(best, tried=tried)

    def _look(
        self, frames: tuple[FrameRecord, ...], places: Sequence[int], measures: Sequence[dict[str, Vector]]
    ) -> None:
        """Add to the measures of the frames at ``places`` what is seen in their id images."""
        tables = self.tables(_plain(self.record, frames), self.simulation, places)
        for values, table in zip(measures, tables, strict=True):
            values.update(image_measures(table))

    def _take(self, view: int, number: int) -> CameraRecord:
        return take(self.config, self.config.seed, self.record.scene, view, self.record.candidate, number)


def _all_hold(requirements: Iterable[Requirement], measures: Measures, objects: Labelled) -> bool:
    return all(holds(requirement, measures, objects) for requirement in requirements)


def _with_cameras(frames: Sequence[FrameRecord], cameras: Mapping[int, CameraRecord]) -> tuple[FrameRecord, ...]:
    """``frames`` with other cameras for some views, which shake as before."""
    return tuple(
        replace(frame, camera=replace(cameras[frame.view], shake=frame.camera.shake))
        if frame.view in cameras
        else frame
        for frame in frames
    )


def _with_resolution(frames: Sequence[FrameRecord], scale: float) -> tuple[FrameRecord, ...]:
    """``frames`` with ``scale`` times the pixels each way."""
    return tuple(replace(frame, camera=at_resolution(frame.camera, scale)) for frame in frames)


def _measured(record: SceneRecord) -> tuple[object, ...]:
    """What measures depend on, beside cameras."""
    return tuple(replace(body, material=MaterialRecord()) for body in record.bodies), record.lights, record.robot


def _plain(record: SceneRecord, frames: tuple[FrameRecord, ...]) -> SceneRecord:
    """What is enough for ids: nothing to look up but meshes."""
    bodies = tuple(replace(body, material=MaterialRecord()) for body in record.bodies)
    grey = EnvironmentRecord(color=(1.0, 1.0, 1.0))
    return replace(record, bodies=bodies, lights=(), environment=grey, frames=frames, keypoints={})


def _noted(
    record: SceneRecord, asked: Sequence[str | None], placed: Sequence[_Placed], tried: Sequence[int], required: bool
) -> SceneRecord:
    """``record`` whose frames note what they were drawn for."""
    notes = {}
    for target, found, takes in zip(asked, placed, tried, strict=True):
        places = [k for k, frame in enumerate(record.frames) if frame.view in found.views]
        for place, shows, as_required in zip(places, found.met, found.required, strict=True):
            notes[place] = {
                "target": target or "",
                "met": shows if target else None,
                "required": as_required if required else None,
                "takes": takes,
            }
    frames = tuple(replace(f, draws={**f.draws, NOTE: notes[k]}) for k, f in enumerate(record.frames))
    return replace(record, frames=frames)


def _check_names(definition: SceneDefinition, categories: Collection[str]) -> None:
    known = [*definition.objects, *definition.distractors, *categories]
    for part, asked in (("targets", definition.targets), ("require", definition.require)):
        for name, requirement in asked.items():
            for entry in requirement.of:
                if entry not in known:
                    raise ConfigError(
                        f"scene.{part}.{name}.of: {entry!r} is no group of objects and no category"
                        f"{near_match(entry, known)}; there are {', '.join(known)}."
                    )

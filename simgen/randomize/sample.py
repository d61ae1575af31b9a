"""From a scene definition to a record: every number decided.

``sample`` is pure. It draws only from streams named "factor/name", so that a factor's draws depend on its own settings
and strength and on nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import numpy as np

from simgen.config.schema import RenderConfig
from simgen.randomize import content
from simgen.randomize.appearance import Pools, materials
from simgen.randomize.camera import camera, rigged, shake
from simgen.randomize.content import items
from simgen.randomize.depth_sensor import depth_sensor
from simgen.randomize.design import Designs
from simgen.randomize.draw import Draw
from simgen.randomize.exposure import aperture, shutter
from simgen.randomize.factors import FACTORS
from simgen.randomize.lighting import environment, lamps
from simgen.randomize.occupied import Occupied
from simgen.randomize.physics import properties
from simgen.randomize.poses import place
from simgen.randomize.robot import robot
from simgen.randomize.sensor import sensor
from simgen.randomize.surfaces import Support, surface
from simgen.randomize.trace_sensors import trace_sensors
from simgen.scene.definition import Distractor, Group, KeypointTemplate
from simgen.scene.record import BodyRecord, CameraRecord, Draws, FrameRecord, SceneRecord, Vec3, WorldRecord

if TYPE_CHECKING:
    from simgen.assets.library import Library

_WORLD = Support(np.eye(4), (2.0, 2.0))


def sample(
    config: RenderConfig,
    library: Library,
    seed: int,
    scene: int,
    attempt: int = 0,
    candidate: int = 0,
    takes: Sequence[int] = (),
) -> SceneRecord:
    """The record of scene number ``scene``.

    ``attempt`` above 0 draws the poses anew and keeps everything else. ``candidate`` above 0 draws another scene
    altogether; ``takes`` above 0, one a view, draw the camera of that view anew. Raises AssetError when a group
    finds no asset or an asset is broken, ConfigError when the definition names joints or textures that do not exist.
    """
    return assembled(config, library, _draw(config, seed, scene, attempt, candidate), takes)


def assembled(config: RenderConfig, library: Library, draw: Draw, takes: Sequence[int] = ()) -> SceneRecord:
    """The record that ``draw`` gives, one of a scene; see ``sample``."""
    definition = config.scene
    pools = Pools(library)
    bodies: list[BodyRecord] = []
    supports: dict[str | None, Support] = {None: _WORLD}
    for name, part in definition.surfaces.items():
        boxes, supports[name] = surface(name, part, draw, pools)
        bodies += boxes
    occupied = Occupied()
    omitted: dict[str, str] = {}
    groups: dict[str, Group] = {**definition.objects, **definition.distractors}
    for ordinal, (name, group) in enumerate(groups.items()):
        bodies += _objects(name, ordinal, group, supports, occupied, draw, pools, omitted)
    motion = None
    if definition.robot is not None:
        body, motion = robot(definition.robot, library, draw)
        bodies.append(body)
    surroundings, suns = environment(definition.environment, definition.background, library, draw, pools)
    world = definition.world
    frames = _frames(config, draw, takes)
    return SceneRecord(
        definition=definition.name,
        seed=draw.seed,
        scene=draw.scene,
        world=WorldRecord(
            gravity=_vec3(world.gravity),
            timestep=world.timestep,
            settle=world.settle,
            settle_time=world.settle_time,
            rest_speed=world.rest_speed,
            bounds=_vec3(world.bounds),
            trace_rate=world.trace_rate,
        ),
        bodies=tuple(bodies),
        lights=(*suns, *lamps(definition.lights, draw)),
        environment=surroundings,
        frames=frames,
        robot=motion,
        traces=tuple(definition.traces),
        sensors=trace_sensors(definition.sensors, frames, {body.name for body in bodies}, draw),
        keypoints=_keypoints(definition.keypoints, bodies, library),
        attempt=draw.attempt,
        candidate=draw.candidate,
        draws=draw.log,
        omitted=omitted,
    )


def categories(config: RenderConfig, library: Library) -> list[str]:
    """The category names of a job's labels in the order of their ids; the same whatever is drawn."""
    return content.categories(config.scene, library)


def take(config: RenderConfig, seed: int, scene: int, view: int, candidate: int = 0, number: int = 0) -> CameraRecord:
    """The camera of a view as ``sample`` gives it with ``number`` in the view's place of ``takes``."""
    name, k = [(name, k) for name in config.scene.cameras for k in range(config.scene.views_of(name))][view]
    return _place(config, _draw(config, seed, scene, 0, candidate), name, k, number)[0]


def _draw(config: RenderConfig, seed: int, scene: int, attempt: int, candidate: int) -> Draw:
    knobs = config.randomize
    designs = Designs(
        {factor: getattr(knobs, factor).design for factor in FACTORS},
        {factor: {k: v for k, v in vars(getattr(knobs, factor).designs).items() if v} for factor in FACTORS},
    )
    return Draw(knobs.strengths(), seed, scene, attempt, designs=designs, candidate=candidate)


def _place(config: RenderConfig, draw: Draw, name: str, k: int, number: int) -> tuple[CameraRecord, Draws]:
    """View ``k`` of the camera called ``name``."""
    part = config.scene.cameras[name]
    placing = draw.at(k, draw.scene * config.scene.views_of(name) + k, take=number)
    if part.of is not None:
        carrier, log = _place(config, draw, part.of, k, number)
        mounted = rigged(name, part, carrier, placing, draw)
        return mounted, {**log, "camera": {**log["camera"], **placing.log.get("camera", {})}}
    return camera(name, part, config.image.width, config.image.height, placing), placing.log


def _objects(
    name: str,
    ordinal: int,
    group: Group,
    supports: dict[str | None, Support],
    occupied: Occupied,
    draw: Draw,
    pools: Pools,
    omitted: dict[str, str],
) -> list[BodyRecord]:
    things = items(name, group, pools.library, draw)
    poses = place(name, ordinal, group, things, supports[group.place.onto], occupied, draw)
    looks = materials(name, group.material, group.texture, len(things), draw, pools)
    physics = properties(name, group, things, draw)
    falls = group.place.kind in ("drop", "surface")
    bodies = []
    for thing, pose, look, (mass, friction, restitution) in zip(things, poses, looks, physics, strict=True):
        if pose is None:
            omitted[thing.name] = "no free place in its region"
            continue
        bodies.append(
            BodyRecord(
                name=thing.name,
                asset=thing.asset.name,
                role="distractor" if isinstance(group, Distractor) else "object",
                group=name,
                pose=pose,
                category=thing.category,
                category_by_up={key: _vec3(axis) for key, axis in group.category_by_up.items()},
                motion=group.motion or ("dynamic" if falls else "fixed"),  # type: ignore[arg-type]
                scale=thing.scale,
                mass=mass,
                friction=friction,
                restitution=restitution,
                material=look,
                container=group.place.onto if group.place.keep_inside else None,
            )
        )
    return bodies


def _frames(config: RenderConfig, draw: Draw, takes: Sequence[int]) -> tuple[FrameRecord, ...]:
    """All views at the first time, then all at the next. A view keeps its camera; each frame has its own sensor."""
    definition = config.scene
    views: list[tuple[str, int, CameraRecord, Draws]] = []
    for name in definition.cameras:
        for k in range(definition.views_of(name)):
            number = takes[len(views)] if takes else 0
            views.append((name, k, *_place(config, draw, name, k, number)))
    first = {name: view for view, (name, k, *_) in reversed(list(enumerate(views))) if k == 0}
    carriers = {part.of for part in definition.cameras.values() if part.of is not None}
    frames = []
    for number in range(definition.time.frames):
        for view, (name, k, where, log) in enumerate(views):
            carrier = definition.cameras[name].of or name
            taken = _taken(config, draw, number, name, k, where, log)
            group = first[carrier] + k if carrier in carriers else None
            frames.append(replace(taken, view=view, group=group))
    return tuple(frames)


def _taken(
    config: RenderConfig, draw: Draw, number: int, name: str, k: int, where: CameraRecord, log: Draws
) -> FrameRecord:
    """The frame number ``number`` in time of view ``k`` of camera ``name``, which is ``where`` and drew ``log``."""
    definition = config.scene
    part, time = definition.cameras[name], number / definition.time.rate
    carrier = definition.cameras[part.of] if part.of is not None else part
    lead = part.of if part.of is not None and part.optics == "shared" else name
    sources = {f"{camera}.{k}": camera for camera in dict.fromkeys((name, lead, part.of or name))}
    place = draw.scene * definition.views_of(name) + k
    taking = draw.at(number, place * definition.time.frames + number, sources)
    source, led = f"{name}.{k}", f"{lead}.{k}"
    look = sensor(led, lead, definition.sensor, taking, draw)
    if lead != name:
        # The same light and settings, but noise of its own.
        own = sensor(source, name, definition.sensor, replace(taking, log={}), draw)
        look = replace(look, noise_seed=own.noise_seed, fixed_pattern_seed=own.fixed_pattern_seed)
        taking.note("sensor", "noise_seed", own.noise_seed)
    depth = depth_sensor(source, part.depth_sensor, taking) if part.depth_sensor.given else None
    shaken = shake(f"{part.of or name}.{k}", carrier.motion, time, taking)
    opened = shutter(led, definition.cameras[lead].shutter, taking)
    focused = aperture(led, definition.cameras[lead], where, log, taking)
    return FrameRecord(
        0,
        time,
        where if shaken is None else replace(where, shake=shaken),
        look,
        {factor: {**log.get(factor, {}), **taking.log.get(factor, {})} for factor in {**log, **taking.log}},
        depth,
        opened,
        focused,
    )


def _keypoints(
    templates: Mapping[str, KeypointTemplate], bodies: Sequence[BodyRecord], library: Library
) -> dict[str, dict[str, Vec3]]:
    """The keypoints of each labelled asset that matches a template, or brings its own."""
    found: dict[str, dict[str, Vec3]] = {}
    for asset in dict.fromkeys(body.asset for body in bodies if body.category is not None):
        if own := library.keypoints(asset):
            found[asset] = own
        for template in templates.values():
            if any(fnmatchcase(asset, pattern) for pattern in template.assets):
                found[asset] = {name: _vec3(point) for name, point in template.points.items()}
                break
    return found


def _vec3(values: list[float]) -> tuple[float, float, float]:
    x, y, z = values
    return (float(x), float(y), float(z))

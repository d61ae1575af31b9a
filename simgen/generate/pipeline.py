"""From a scene's number to its frames: sample, simulate, render, sense, label."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.assets.library import Library
from simgen.config import RenderConfig
from simgen.errors import RenderError, near_match
from simgen.generate.calibration import calibrated
from simgen.generate.compose import Composer, composer
from simgen.generate.motion import NEEDS, keep_in_image, motion_passes
from simgen.generate.observe import observe
from simgen.generate.search import search, settled
from simgen.generate.take import Take
from simgen.labels.frame import Frame, ObjectTable
from simgen.labels.keypoints import keypoints
from simgen.labels.label import label, semantic
from simgen.physics.client import Client
from simgen.physics.simulate import simulate
from simgen.randomize.sample import categories as category_names
from simgen.render import create
from simgen.render.base import Renderer, Snapshot
from simgen.render.silhouette import Silhouette
from simgen.render.snapshot import ResolvedScene, camera_at, resolve
from simgen.scene.definition import SceneDefinition
from simgen.scene.record import FrameRecord, SceneRecord
from simgen.scene.state import Simulation
from simgen.sensors.camera import full_silhouettes, see
from simgen.sensors.color import sense
from simgen.sensors.depth import sense_depth
from simgen.sensors.remap import RemapCache
from simgen.shards.draws import plain
from simgen.shards.schema import IMAGES

BATCH = 8
"""Images rendered at a time, so that memory does not grow with the frames of a scene."""

AUTO_PASSES = ("rgb", "depth", "instance", "semantic", "normal")
"""The passes that ``passes: auto`` stands for, as far as the renderer has them."""

Draws = dict[str, dict[str, Any]]
"""Factor -> name -> value."""

_DERIVED: dict[str, tuple[str, ...]] = {"semantic": ("instance",), "depth_sensor": ("depth",), **NEEDS}
"""Passes that are made of a rendered one."""


@dataclass(frozen=True, eq=False)
class SceneResult:
    """All of one scene."""

    record: SceneRecord
    simulation: Simulation
    frames: list[Frame]


def scene_frames(
    config: RenderConfig, library: Library, renderer: Renderer, scene: int, wanted: Sequence[int] | None = None
) -> SceneResult:
    """Draw scene number ``scene`` and compute its frames, those in ``wanted`` (places in the scene) or all."""
    record, simulation = draw_scene(config, library, scene, renderer)
    return _result(config, library, renderer, record, simulation, wanted)


def replay_scene(
    record: SceneRecord,
    config: RenderConfig,
    library: Library,
    renderer: Renderer,
    wanted: Sequence[int] | None = None,
) -> SceneResult:
    """As ``scene_frames``, from a record: nothing is drawn."""
    return _result(config, library, renderer, record, observe(record, simulate(record, library), library), wanted)


def draw_scene(
    config: RenderConfig,
    library: Library,
    scene: int,
    renderer: Renderer | None = None,
    lenses: RemapCache | None = None,
    client: Client | None = None,
) -> tuple[SceneRecord, Simulation]:
    """Sample and simulate a scene until it settles and shows what its definition asks for; see ``search``.

    ``renderer`` (None: the one of ``config``) and ``lenses`` are used only where a definition asks for something.
    ``client`` is as for ``simulate``.
    """
    config = calibrated(config)
    if config.scene.targets or config.scene.require:
        looking = renderer or create(config.renderer.name, config.renderer.device)
        ids = category_ids(config, library)

        def tables(record: SceneRecord, simulation: Simulation, places: Sequence[int]) -> list[ObjectTable]:
            frames = compute_frames(record, simulation, library, looking, ("instance",), ids, places, lenses)
            return [frame.objects for frame in frames]

        record, simulation = search(config, library, scene, tables, ids, client)
    else:
        record, simulation = settled(config, library, scene, client=client)
    return record, observe(record, simulation, library)


def compute_frames(
    record: SceneRecord,
    simulation: Simulation,
    library: Library,
    renderer: Renderer,
    passes: Sequence[str],
    categories: Mapping[str, int],
    wanted: Sequence[int] | None = None,
    lenses: RemapCache | None = None,
) -> Iterator[Frame]:
    """The frames of a simulated scene one by one, computed ``BATCH`` at a time.

    ``wanted`` are places in ``record.frames``, None for all. Each frame depends on the record alone, not on which
    others are wanted. ``lenses`` keeps what is computed once per lens, for the next call.
    """
    scene = resolve(record, library)
    lenses = lenses if lenses is not None else RemapCache()
    places = list(range(len(record.frames))) if wanted is None else list(wanted)
    for batch in _batches(scene, simulation, places):
        yield from _compute(renderer, passes, categories, batch, lenses)


def resolve_passes(
    passes: Sequence[str] | str, renderer: Renderer, scene: SceneDefinition | None = None
) -> tuple[str, ...]:
    """The passes to store, in the order of the file format. Raises RenderError for one that cannot be had.

    ``auto`` stores depth sensors where a camera of ``scene`` has one.
    """
    available = set(renderer.passes)
    available |= {name for name, needs in _DERIVED.items() if available.issuperset(needs)}
    chosen = [name for name in AUTO_PASSES if name in available] if isinstance(passes, str) else list(passes)
    if isinstance(passes, str) and scene is not None and "depth_sensor" in available:
        chosen += ["depth_sensor"] * any(camera.depth_sensor.given for camera in scene.cameras.values())
    for name in chosen:
        if name not in available:
            raise RenderError(
                f'renderer "{renderer.name}" has no pass "{name}"{near_match(name, available)}: it has '
                f"{', '.join(sorted(available))}"
            )
    order = [*IMAGES, *sorted(set(chosen) - set(IMAGES))]
    return tuple(name for name in order if name in chosen)


def category_ids(config: RenderConfig, library: Library) -> dict[str, int]:
    """Category name -> id, from 1."""
    return {name: k + 1 for k, name in enumerate(category_names(config, library))}


def _result(
    config: RenderConfig,
    library: Library,
    renderer: Renderer,
    record: SceneRecord,
    simulation: Simulation,
    wanted: Sequence[int] | None,
) -> SceneResult:
    passes = resolve_passes(config.passes, renderer, config.scene)
    ids = category_ids(config, library)
    frames = list(compute_frames(record, simulation, library, renderer, passes, ids, wanted))
    return SceneResult(record, simulation, frames)


def _batches(scene: ResolvedScene, simulation: Simulation, places: Sequence[int]) -> Iterator[list[Take]]:
    """Runs of at most BATCH frames whose renderings have one layout; those that are composed come alone."""
    batch: list[Take] = []
    for place in places:
        take = Take(scene, simulation, place)
        if batch and (len(batch) == BATCH or _key(take) != _key(batch[0])):
            yield batch
            batch = []
        batch.append(take)
    if batch:
        yield batch


def _key(take: Take) -> tuple[int, ...]:
    return (take.place if take.composed else -1, *take.exposure.layout)


def _compute(
    renderer: Renderer,
    passes: Sequence[str],
    categories: Mapping[str, int],
    takes: Sequence[Take],
    lenses: RemapCache,
) -> Iterator[Frame]:
    frames = [take.frame for take in takes]
    labelled, measured = _rendered(takes[0], passes, frames)
    composed = composer(renderer, takes[0]) if takes[0].composed else None
    seen_from = _snapshots(takes, "labels", labelled) if composed is None else []
    drawn = _plain(takes[0].scene.record.draws)
    render = _composed(composed) if composed is not None else partial(_render, renderer, takes)
    labels = render("labels", labelled) if composed is not None else renderer.render(seen_from, labelled).images
    beside = render("measured", measured) if measured else labels
    colours = render("colour", ["rgb"]) if takes[0].exposure.apart and "rgb" in passes else None
    for b, take in enumerate(takes):
        exposure = take.exposure
        seen = {name: buffer[b] for name, buffer in labels.items()}
        seen |= motion_passes(renderer, take, passes, seen)
        sensed = {}
        if "depth_sensor" in passes:
            near = {name: buffer[b] for name, buffer in beside.items()}
            sensed["depth_sensor"] = _measured(take, near)
        images = see(exposure, seen, None if colours is None else colours["rgb"][b], sensed, lenses)
        keep_in_image(images)
        if composed is not None:
            silhouettes = composed.silhouettes(lenses)
        else:
            silhouettes = full_silhouettes(renderer, seen_from[b], exposure.camera, lenses)
        yield _frame(take, images, silhouettes, passes, categories, composed, drawn)


def _render(renderer: Renderer, takes: Sequence[Take], camera: str, passes: Sequence[str]) -> dict[str, NDArray[Any]]:
    """``passes`` of all ``takes`` by the camera of their exposures called ``camera``."""
    return renderer.render(_snapshots(takes, camera, passes), passes).images


def _snapshots(takes: Sequence[Take], camera: str, passes: Sequence[str]) -> list[Snapshot]:
    return [take.shoot(getattr(take.exposure, camera), passes)(0.0) for take in takes]


def _composed(composer: Composer) -> Callable[[str, Sequence[str]], dict[str, NDArray[Any]]]:
    """As ``_render``, of the frame that is composed alone."""

    def render(camera: str, passes: Sequence[str]) -> dict[str, NDArray[Any]]:
        images = composer.render(camera, passes)
        return {name: image[None] for name, image in images.items()}

    return render


def _rendered(take: Take, passes: Sequence[str], frames: Sequence[FrameRecord]) -> tuple[list[str], list[str]]:
    """What to render for ``passes`` by the camera for labels, and by that of the depth sensor if it has its own.

    Labels come from the id buffer, whether it is stored or not.
    """
    wanted = [name for name in passes if name not in _DERIVED] + ["instance"]
    wanted += [needed for name in passes for needed in NEEDS.get(name, ())]
    if take.exposure.apart and "rgb" in wanted:
        wanted.remove("rgb")
    if take.scene.record.keypoints:
        wanted.append("depth")
    measured = []
    if "depth_sensor" in passes:
        measured = ["depth"] + ["normal"] * any(frame.depth_sensor is not None for frame in frames)
        measured += ["rgb"] * _lit(frames)
        if not take.exposure.beside:
            wanted, measured = [*wanted, *measured], []
    return list(dict.fromkeys(wanted)), measured


def _lit(frames: Sequence[FrameRecord]) -> bool:
    """Whether a depth sensor has to know how bright surfaces are."""
    return any(frame.depth_sensor is not None and frame.depth_sensor.min_signal for frame in frames)


def _measured(take: Take, images: Mapping[str, NDArray[Any]]) -> NDArray[np.uint16]:
    """What a depth sensor measures, before the lens; nothing without one."""
    sensor = take.frame.depth_sensor
    if sensor is None:
        return np.zeros(images["depth"].shape, np.uint16)
    K = take.shoot(take.exposure.measured)(0.0).camera.K
    return sense_depth(images["depth"], sensor, K, images.get("normal"), images.get("rgb"))


def _frame(
    take: Take,
    images: dict[str, NDArray[Any]],
    silhouettes: Sequence[Silhouette],
    passes: Sequence[str],
    categories: Mapping[str, int],
    composed: Composer | None,
    drawn: Draws,
) -> Frame:
    scene, state, record, frame = take.scene, take.state, take.scene.record, take.frame
    camera = camera_at(record, state, frame.camera)
    instance = images["instance"]
    objects = label(record, scene.assets, state, camera, instance, silhouettes, categories)
    points = None
    if record.keypoints:
        rolling = composed.poses if composed is not None and composed.bands.count > 1 else None
        points = keypoints(record, objects, frame.camera, camera.K, images["depth"], instance, rolling)
        points = points if points.name else None
    stored: dict[str, NDArray[Any]] = {}
    for name in passes:
        if name == "rgb":
            stored[name] = sense(images[name], frame.sensor)
        elif name == "semantic":
            stored[name] = semantic(instance, objects)
        else:
            stored[name] = images[name]
    return Frame(
        index=record.scene * len(record.frames) + take.place,
        scene=record.scene,
        view=frame.view,
        time=frame.time,
        camera=frame.camera.name,
        images=stored,
        K=camera.K,
        distortion=np.array(frame.camera.distortion, np.float64),
        T_world_cam=camera.T_world_cam,
        objects=objects,
        draws=_merged(drawn, _plain(frame.draws)),
        distortion_model=frame.camera.distortion_model,
        keypoints=points,
        exposure=take.shutter.exposure,
        readout=take.shutter.readout,
        group=frame.view if frame.group is None else frame.group,
    )


def _plain(draws: Mapping[str, Mapping[str, Any]]) -> Draws:
    """Draws as plain numbers, strings and lists."""
    return {factor: {name: plain(value) for name, value in values.items()} for factor, values in draws.items()}


def _merged(scene: Draws, frame: Draws) -> Draws:
    """The draws of the scene and of the frame together."""
    merged = {factor: dict(values) for factor, values in scene.items()}
    for factor, values in frame.items():
        merged.setdefault(factor, {}).update(values)
    return merged

"""From a scene's number to its frames: sample, simulate, render, sense, label."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.assets.library import Library
from simgen.config import RenderConfig
from simgen.errors import RenderError, near_match
from simgen.generate.calibration import calibrated
from simgen.generate.observe import observe
from simgen.generate.search import search, settled
from simgen.labels.frame import Frame, ObjectTable
from simgen.labels.keypoints import keypoints
from simgen.labels.label import label, semantic
from simgen.physics.simulate import simulate
from simgen.randomize.sample import categories as category_names
from simgen.render import create
from simgen.render.base import Renderer, Snapshot
from simgen.render.silhouette import Silhouette
from simgen.render.snapshot import ResolvedScene, camera_at, resolve, snapshot
from simgen.scene.definition import SceneDefinition
from simgen.scene.record import CameraRecord, DepthSensorRecord, FrameRecord, SceneRecord
from simgen.scene.state import SceneState, Simulation
from simgen.sensors.camera import Exposure, exposure_of, full_silhouettes, see
from simgen.sensors.color import sense
from simgen.sensors.depth import sense_depth
from simgen.sensors.remap import RemapCache
from simgen.shards.draws import plain
from simgen.shards.schema import IMAGES

BATCH = 8
"""Images rendered at a time, so that memory does not grow with the frames of a scene."""

AUTO_PASSES = ("rgb", "depth", "instance", "semantic", "normal")
"""The passes that ``passes: auto`` stands for, as far as the renderer has them."""


_DERIVED = {"semantic": "instance", "depth_sensor": "depth"}
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
) -> tuple[SceneRecord, Simulation]:
    """Sample and simulate a scene until it settles and shows what its definition asks for; see ``search``.

    ``renderer`` (None: the one of ``config``) and ``lenses`` are used only where a definition asks for something.
    """
    config = calibrated(config)
    if config.scene.targets or config.scene.require:
        looking = renderer or create(config.renderer.name, config.renderer.device)
        ids = category_ids(config, library)

        def tables(record: SceneRecord, simulation: Simulation, places: Sequence[int]) -> list[ObjectTable]:
            frames = compute_frames(record, simulation, library, looking, ("instance",), ids, places, lenses)
            return [frame.objects for frame in frames]

        record, simulation = search(config, library, scene, tables, ids)
    else:
        record, simulation = settled(config, library, scene)
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
    for batch in _batches(record, places):
        yield from _compute(scene, simulation, renderer, passes, categories, batch, lenses)


def resolve_passes(
    passes: Sequence[str] | str, renderer: Renderer, scene: SceneDefinition | None = None
) -> tuple[str, ...]:
    """The passes to store, in the order of the file format. Raises RenderError for one that cannot be had.

    ``auto`` stores depth sensors where a camera of ``scene`` has one.
    """
    available = set(renderer.passes)
    available |= {name for name, needs in _DERIVED.items() if needs in available}
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


def _batches(record: SceneRecord, places: Sequence[int]) -> Iterator[list[tuple[int, Exposure]]]:
    """Runs of at most BATCH places whose renderings have one size, with what to render for each."""
    batch: list[tuple[int, Exposure]] = []
    for place in places:
        exposure = exposure_of(record.frames[place])
        if batch and (len(batch) == BATCH or exposure.sizes != batch[0][1].sizes):
            yield batch
            batch = []
        batch.append((place, exposure))
    if batch:
        yield batch


def _compute(
    scene: ResolvedScene,
    simulation: Simulation,
    renderer: Renderer,
    passes: Sequence[str],
    categories: Mapping[str, int],
    places: Sequence[tuple[int, Exposure]],
    lenses: RemapCache,
) -> Iterator[Frame]:
    moments = [_moment(scene, simulation, place, exposure.labels, passes) for place, exposure in places]
    frames = [scene.record.frames[place] for place, _ in places]
    rendered = _rendered(passes, frames)
    if scene.record.keypoints and "depth" not in rendered:
        rendered.append("depth")
    apart = "rgb" in passes and places[0][1].colour is not None
    if apart:
        if not _lit(passes, frames):
            rendered.remove("rgb")
        fine = [_moment(scene, simulation, place, e.colour, ()) for place, e in places if e.colour is not None]
        colours = renderer.render([moment for _, moment in fine], ["rgb"]).images["rgb"]
    buffers = renderer.render([moment for _, moment in moments], rendered).images
    for b, ((place, exposure), (state, moment)) in enumerate(zip(places, moments, strict=True)):
        labels = {name: buffer[b] for name, buffer in buffers.items()}
        if "depth_sensor" in passes:
            labels["depth_sensor"] = _measured(frames[b].depth_sensor, labels, moment)
        images = see(exposure, labels, colours[b] if apart else None, lenses)
        silhouettes = full_silhouettes(renderer, moment, exposure.camera, lenses)
        yield _frame(scene, place, state, images, silhouettes, passes, categories)


def _rendered(passes: Sequence[str], frames: Sequence[FrameRecord]) -> list[str]:
    """What to render for ``passes``. Labels come from the id buffer, whether it is stored or not."""
    wanted = [name for name in passes if name not in _DERIVED] + ["instance"]
    if "depth_sensor" in passes:
        wanted += ["depth"] + ["normal"] * any(frame.depth_sensor is not None for frame in frames)
        wanted += ["rgb"] * _lit(passes, frames)
    return list(dict.fromkeys(wanted))


def _lit(passes: Sequence[str], frames: Sequence[FrameRecord]) -> bool:
    """Whether a depth sensor has to know how bright surfaces are."""
    return "depth_sensor" in passes and any(f.depth_sensor is not None and f.depth_sensor.min_signal for f in frames)


def _measured(
    sensor: DepthSensorRecord | None, labels: Mapping[str, NDArray[Any]], moment: Snapshot
) -> NDArray[np.uint16]:
    """What a depth sensor measures, before the lens; nothing without one."""
    if sensor is None:
        return np.zeros(labels["depth"].shape, np.uint16)
    return sense_depth(labels["depth"], sensor, moment.camera.K, labels.get("normal"), labels.get("rgb"))


def _moment(
    scene: ResolvedScene, simulation: Simulation, place: int, camera: CameraRecord, passes: Sequence[str]
) -> tuple[SceneState, Snapshot]:
    """The state of a frame and its snapshot by ``camera``, with its neighbours in time where motion is asked for."""
    frames = scene.record.frames
    frame = replace(frames[place], camera=camera)
    state = simulation.at(frame.time)
    before = after = None
    view = [other for other in frames if other.view == frame.view]
    if "flow_backward" in passes:
        before = max((other for other in view if other.time < frame.time), key=lambda f: f.time, default=None)
    if "flow_forward" in passes:
        after = min((other for other in view if other.time > frame.time), key=lambda f: f.time, default=None)
    return state, snapshot(scene, state, frame, _at(simulation, before), _at(simulation, after))


def _at(simulation: Simulation, frame: FrameRecord | None) -> tuple[SceneState, FrameRecord] | None:
    return None if frame is None else (simulation.at(frame.time), frame)


def _frame(
    scene: ResolvedScene,
    place: int,
    state: SceneState,
    images: dict[str, NDArray[Any]],
    silhouettes: Sequence[Silhouette],
    passes: Sequence[str],
    categories: Mapping[str, int],
) -> Frame:
    record, frame = scene.record, scene.record.frames[place]
    camera = camera_at(record, state, frame.camera)
    instance = images["instance"]
    objects = label(record, scene.assets, state, camera, instance, silhouettes, categories)
    points = None
    if record.keypoints:
        points = keypoints(record, objects, frame.camera, camera.K, images["depth"], instance)
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
        index=record.scene * len(record.frames) + place,
        scene=record.scene,
        view=frame.view,
        time=frame.time,
        camera=frame.camera.name,
        images=stored,
        K=camera.K,
        distortion=np.array(frame.camera.distortion, np.float64),
        T_world_cam=camera.T_world_cam,
        objects=objects,
        draws=_merged(record, frame),
        distortion_model=frame.camera.distortion_model,
        keypoints=points,
    )


def _merged(record: SceneRecord, frame: FrameRecord) -> dict[str, dict[str, Any]]:
    """The draws of the scene and of the frame together, as plain numbers, strings and lists."""
    merged: dict[str, dict[str, Any]] = {}
    for draws in (record.draws, frame.draws):
        for factor, values in draws.items():
            merged.setdefault(factor, {}).update({name: plain(value) for name, value in values.items()})
    return merged

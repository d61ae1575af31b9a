"""The stages from a visibility buffer to colour: shadow maps, ambient occlusion, environments, shading.

What is decided on the host (which lights get a map, what each map covers, which images share it) is decided by the
functions of the CPU rasterizer, from the same points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.errors import RenderError
from simgen.render.base import Snapshot
from simgen.render.cuda import color, lighting, occlusion, receivers, shadow, visibility
from simgen.render.cuda.batch import Batch
from simgen.render.cuda.device import Memory, launch, launch_blocks
from simgen.render.cuda.residency import DeviceEnvironments
from simgen.render.cuda.stages import LARGE, OnDevice, Surfaces, waiting_list
from simgen.render.raster import layout, shadow_filter
from simgen.render.raster import occlusion as raster_occlusion
from simgen.render.raster.lighting import map_size, occlusion_radius, orient
from simgen.render.raster.lights import LIGHT_REALS, SHADOW, turn_lights
from simgen.render.raster.shadow import COARSE, MAP_REALS, SIDE, TILE
from simgen.render.raster.shadow_fit import RECEIVERS, caster_matrices, fit_view
from simgen.render.raster.shadow_scene import SceneLights, light_scene

_DISCS = shadow_filter.spiral()
_TURNS = raster_occlusion.slices()


@dataclass(eq=False)
class Frame:
    """The visibility buffer of a batch: ``keys`` of ``samples`` a pixel, whose offsets are ``offsets``."""

    snapshots: Sequence[Snapshot]
    batch: Batch
    drawn: OnDevice
    seen: Surfaces
    keys: Any
    offsets: NDArray[np.float64]
    width: int
    height: int


@dataclass(eq=False)
class _Around:
    """Environments and lights of a batch: tables for the kernels, and scenes image by image."""

    reals: NDArray[np.float32]  # (B, ENVIRONMENT_REALS)
    numbers: NDArray[np.int64]  # (B, ENVIRONMENT_INTS)
    scenes: list[SceneLights]
    photo: NDArray[np.float32]  # (n, H * W * 3), n = B when any image has a background of its own, else 1


@dataclass(eq=False)
class _Maps:
    """Shadow maps of a batch on the device, as images read them: table, where texels and tiles begin, maps.

    ``lights`` are those of each image; their SHADOW column names rows of the table.
    """

    lights: list[NDArray[np.float32]]
    rows: Any
    starts: Any
    tile_starts: Any
    values: Any
    coarse: Any


@dataclass(eq=False)
class _Drawings:
    """Shadow maps to draw: their rows, where texels begin, (MAP, DRAW, FIRST) and matrices of casters, their faces."""

    rows: list[NDArray[np.float32]]
    texels: list[int]
    casters: list[tuple[int, int, int]]
    matrices: list[NDArray[np.float32]]
    faces: int = 0

    def add(
        self, row: NDArray[np.float32], drawables: Sequence[int], faces: Sequence[int], matrices: NDArray[np.float32]
    ) -> int:
        """The number of a map into which ``drawables`` of so many ``faces`` are to be drawn."""
        for drawable, count in zip(drawables, faces, strict=True):
            self.casters.append((len(self.rows), drawable, self.faces))
            self.faces += count
        self.rows.append(row)
        self.texels.append(self.texels[-1] + int(row[SIDE]) ** 2)
        self.matrices.append(matrices)
        return len(self.rows) - 1


def shade_batch(frame: Frame, shadow_size: int, environments: DeviceEnvironments, memory: Memory, out: Any) -> None:
    """Write the linear colour of all images into ``out`` (B * H * W * 3)."""
    width, height = frame.width, frame.height
    around = _surround(frame, map_size(shadow_size, width, height), environments)
    maps = _draw_shadows(frame, around, map_size(shadow_size, width, height), memory)
    depth, opening = _occlude(frame, memory)
    lights = np.concatenate(maps.lights) if maps.lights else np.zeros((0, LIGHT_REALS), np.float32)
    radiance, reflections = environments.pools()
    drawn, seen = frame.drawn, frame.seen
    count = len(frame.snapshots) * width * height
    launch(
        color.shade, count, frame.keys, memory.put("offsets", frame.offsets), width, height, seen.slots, seen.owner,
        seen.planes, drawn.draws, drawn.reals, drawn.cameras, drawn.textures, drawn.texels,
        memory.put("lights", lights), maps.rows, maps.starts, maps.tile_starts, maps.values,
        maps.coarse, memory.put("discs", _DISCS), memory.put("around", around.reals),
        memory.put("numbers", around.numbers), reflections, radiance,
        memory.put("photo", around.photo).reshape(-1), depth, opening, out, count,
    )  # fmt: skip


def _surround(frame: Frame, shadow_size: int, environments: DeviceEnvironments) -> _Around:
    environments.begin_batch()
    snapshots, shape = frame.snapshots, (frame.height, frame.width, 3)
    reals = np.zeros((len(snapshots), lighting.ENVIRONMENT_REALS), np.float32)
    numbers = np.zeros((len(snapshots), color.ENVIRONMENT_INTS), np.int64)
    scenes: list[SceneLights] = []
    photos = any(s.environment.background is not None for s in snapshots)
    photo = np.zeros((len(snapshots) if photos else 1, int(np.prod(shape)) if photos else 1), np.float32)
    total = 0
    for k, snapshot in enumerate(snapshots):
        environment = snapshot.environment
        known = environments.get(environment)
        last = scenes[-1] if scenes else None
        scenes.append(light_scene(snapshot, frame.batch.tables[k], known.keys, shadow_size, last))
        reals[k, :9] = orient(scenes[-1], snapshot.camera.T_world_cam)
        reals[k, lighting.INTENSITY], reals[k, lighting.SCALE] = environment.intensity, known.scale
        reals[k, lighting.HARMONICS :] = known.harmonics
        numbers[k, color.REFLECTIONS], numbers[k, color.RADIANCE] = known.reflections, known.radiance
        numbers[k, color.RADIANCE_HEIGHT], numbers[k, color.RADIANCE_WIDTH] = known.size
        if environment.background is not None:
            if environment.background.shape != shape:
                raise RenderError(
                    f"the background is {environment.background.shape}, but the image is {shape}; resize it"
                )
            photo[k] = environment.background.reshape(-1)
            numbers[k, color.PHOTO] = 1
        numbers[k, color.FIRST_LIGHT], numbers[k, color.LAST_LIGHT] = total, total + len(scenes[-1].table)
        total += len(scenes[-1].table)
    return _Around(reals, numbers, scenes, photo)


def _draw_shadows(frame: Frame, around: _Around, shadow_size: int, memory: Memory) -> _Maps:
    """Fit and draw the shadow maps of all images; images of one scene that follow each other share its maps."""
    batch = frame.batch
    counts, pixels, depths = _find_receivers(frame, memory)
    first_drawable = batch.first_drawable()
    drawings = _Drawings([], [0], [], [])
    rows: list[NDArray[np.float32]] = []
    read: list[int] = []  # which map each row is of
    lights: list[NDArray[np.float32]] = []
    of_scene: dict[int, int] = {}
    for k, (snapshot, tables, scene) in enumerate(zip(frame.snapshots, batch.tables, around.scenes, strict=True)):
        if k == 0 or scene is not around.scenes[k - 1]:
            of_scene = {}
        at = pixels[k, : counts[k]]
        px, py = ((at % frame.width).astype(np.float32), (at // frame.width).astype(np.float32))
        T_world_cam = snapshot.camera.T_world_cam
        view = fit_view(scene.fit, scene.table, (len(at), px, py, depths[k]), tables.camera, T_world_cam, shadow_size)
        table = turn_lights(scene.table, T_world_cam)
        table[:, SHADOW] = -1.0
        for j, light in enumerate(view.lights):
            known = of_scene.get(light) if view.shared[j] else None
            if known is None:
                chosen = scene.fit.drawn[light]
                faces = tables.draws[chosen, layout.FACES].tolist()
                matrices = caster_matrices(view.frames[j], tables.world[chosen])
                known = drawings.add(view.rows[j], (first_drawable[k] + chosen).tolist(), faces, matrices)
            if view.shared[j]:
                of_scene[light] = known
            table[light, SHADOW] = len(rows)
            rows.append(view.rows[j])
            read.append(known)
        lights.append(table)
    starts = np.array([drawings.texels[n] for n in read] or [0], np.int64)
    values = memory.get("shadow", np.float32, drawings.texels[-1])
    coarse = memory.get("coarse", np.float32, COARSE * (drawings.texels[-1] // TILE**2))
    if rows:
        _draw_maps(frame.drawn, drawings, values, coarse, memory)
    return _Maps(
        lights, memory.put("maps", np.stack(rows) if rows else np.zeros((1, MAP_REALS), np.float32)),
        memory.put("map starts", starts), memory.put("tile starts", starts // TILE**2), values, coarse,
    )  # fmt: skip


def _find_receivers(frame: Frame, memory: Memory) -> tuple[Any, Any, Any]:
    """How many surface points of each image (B,) maps are fitted to, their pixels and 1 / z (B, RECEIVERS)."""
    count = len(frame.snapshots)
    counts = memory.shaped("receivers", np.int32, count)
    pixels = memory.shaped("receiver pixels", np.int32, count, RECEIVERS)
    depths = memory.shaped("receiver depths", np.float32, count, RECEIVERS)
    launch_blocks(
        receivers.choose_receivers, count, receivers.THREADS, frame.keys, len(frame.offsets),
        frame.width * frame.height, RECEIVERS, counts, pixels, depths,
    )  # fmt: skip
    return counts.copy_to_host(), pixels.copy_to_host(), depths.copy_to_host()


def _draw_maps(drawn: OnDevice, drawings: _Drawings, values: Any, coarse: Any, memory: Memory) -> None:
    texels, tiles = drawings.texels[-1], drawings.texels[-1] // TILE**2
    launch(shadow.empty, texels, values, texels)
    large = min(drawings.faces, LARGE)
    waiting = (
        *waiting_list(memory), memory.shaped("where", np.int64, large, 4),
        memory.shaped("caster pieces", np.float32, large, shadow.PIECE),
    )  # fmt: skip
    casters, starts = np.array(drawings.casters, np.int64), np.array(drawings.texels[:-1], np.int64)
    rows, tile_starts = memory.put("drawn maps", np.stack(drawings.rows)), starts // TILE**2
    drawn_starts = memory.put("drawn starts", starts)
    launch(
        shadow.draw_casters, drawings.faces, memory.put("casters", casters),
        memory.put("caster faces", casters[:, shadow.FIRST]),
        memory.put("caster matrices", np.concatenate(drawings.matrices)), rows, drawn_starts, drawn.draws,
        drawn.vertices, drawn.faces, values, *waiting, drawings.faces,
    )  # fmt: skip
    shadow.draw_caster_tiles[visibility.TILE_BLOCKS, visibility.TILE_THREADS](values, *waiting)
    rough = memory.get("rough", np.float32, 2 * tiles)
    across = memory.get("across", np.float32, COARSE * tiles)
    first_tiles = memory.put("drawn tiles", tile_starts)
    launch(shadow.coarsen, tiles, rows, drawn_starts, first_tiles, values, rough, tiles)
    launch(shadow.widen, tiles, rows, first_tiles, rough, across, 0, tiles)
    launch(shadow.widen, tiles, rows, first_tiles, across, coarse, 1, tiles)


def _occlude(frame: Frame, memory: Memory) -> tuple[Any, Any]:
    """Depth and share of open sky at half resolution."""
    width, height = (frame.width + 1) // 2, (frame.height + 1) // 2
    count = len(frame.snapshots) * width * height
    depth, normal = memory.get("half depth", np.float32, count), memory.get("half normal", np.float32, 3 * count)
    a, b = memory.get("half a", np.float32, count), memory.get("half b", np.float32, count)
    drawn, seen = frame.drawn, frame.seen
    launch(
        occlusion.gather_half, count, frame.keys, len(frame.offsets), frame.width, frame.height, seen.slots,
        seen.planes, drawn.cameras, depth, normal, count,
    )  # fmt: skip
    radii = memory.put("radii", np.array([occlusion_radius(t) for t in frame.batch.tables], np.float32))
    launch(
        occlusion.occlude, count, width, height, drawn.cameras, radii, memory.put("turns", _TURNS), depth, normal, a,
        count,
    )  # fmt: skip
    launch(occlusion.smooth, count, width, height, depth, a, b, 1, 0, count)
    launch(occlusion.smooth, count, width, height, depth, b, a, 0, 1, count)
    return depth, a

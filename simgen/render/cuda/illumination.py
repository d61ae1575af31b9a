"""The stages from a visibility buffer to colour: shadow maps, ambient occlusion, environments, shading.

What is decided per image on the host (which lights get a map, what each map covers) is decided by the functions of the
CPU rasterizer, from the same points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.errors import RenderError
from simgen.render.base import Snapshot
from simgen.render.cuda import color, lighting, occlusion, shadow, visibility
from simgen.render.cuda.batch import Batch
from simgen.render.cuda.device import Memory, launch
from simgen.render.cuda.residency import DeviceEnvironments
from simgen.render.cuda.stages import LISTED, OnDevice, Surfaces
from simgen.render.raster import layout, shadow_filter
from simgen.render.raster import occlusion as raster_occlusion
from simgen.render.raster.lighting import find_receivers, fit_shadows, map_size, occlusion_radius, orient
from simgen.render.raster.lights import LIGHT_REALS
from simgen.render.raster.lights import SHADOW as LIGHT_SHADOW
from simgen.render.raster.shadow import COARSE, MAP_REALS, SIDE, TILE

_DISCS = shadow_filter.spiral()
_TURNS = raster_occlusion.spiral()


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
    """Environments and lights of a batch: tables for the kernels, and lights image by image."""

    reals: NDArray[np.float32]  # (B, ENVIRONMENT_REALS)
    numbers: NDArray[np.int64]  # (B, ENVIRONMENT_INTS)
    lights: list[NDArray[np.float32]]
    photo: NDArray[np.float32]  # (n, H * W * 3), n = B when any image has a background of its own, else 1


@dataclass(eq=False)
class _Maps:
    """Shadow maps of a batch on the device: table, where texels and tiles begin, texels, coarse maps."""

    rows: Any
    starts: Any
    tile_starts: Any
    tile_count: int
    values: Any
    coarse: Any


def shade_batch(frame: Frame, shadow_size: int, environments: DeviceEnvironments, memory: Memory, out: Any) -> None:
    """Write the linear colour of all images into ``out`` (B * H * W * 3)."""
    width, height = frame.width, frame.height
    around = _surround(frame, environments)
    maps = _draw_shadows(frame, around, map_size(shadow_size, width, height), memory)
    depth, opening = _occlude(frame, memory)
    lights = np.concatenate(around.lights) if around.lights else np.zeros((0, LIGHT_REALS), np.float32)
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


def _surround(frame: Frame, environments: DeviceEnvironments) -> _Around:
    environments.begin_batch()
    snapshots, shape = frame.snapshots, (frame.height, frame.width, 3)
    reals = np.zeros((len(snapshots), lighting.ENVIRONMENT_REALS), np.float32)
    numbers = np.zeros((len(snapshots), color.ENVIRONMENT_INTS), np.int64)
    lights: list[NDArray[np.float32]] = []
    photos = any(s.environment.background is not None for s in snapshots)
    photo = np.zeros((len(snapshots) if photos else 1, int(np.prod(shape)) if photos else 1), np.float32)
    total = 0
    for k, snapshot in enumerate(snapshots):
        environment = snapshot.environment
        known = environments.get(environment)
        rotation, table = orient(snapshot, known.keys)
        reals[k, :9] = rotation
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
        numbers[k, color.FIRST_LIGHT], numbers[k, color.LAST_LIGHT] = total, total + len(table)
        total += len(table)
        lights.append(table)
    return _Around(reals, numbers, lights, photo)


def _draw_shadows(frame: Frame, around: _Around, shadow_size: int, memory: Memory) -> _Maps:
    """Fit and draw the shadow maps of all images; sets the SHADOW column of the lights to rows of the batch."""
    pixels, batch = frame.width * frame.height, frame.batch
    count = len(frame.snapshots) * pixels
    depths = memory.get("inverse depths", np.float32, count)
    launch(color.inverse_depths, count, frame.keys, len(frame.offsets), pixels, depths, count)
    found = depths[:count].copy_to_host().reshape(-1, pixels)
    first_drawable = batch.first_drawable()
    rows: list[NDArray[np.float32]] = []
    casters: list[tuple[int, int, int]] = []
    texels, faces = [0], [0]
    for k, tables in enumerate(batch.tables):
        at = np.flatnonzero(found[k])
        points = find_receivers(at % frame.width, at // frame.width, found[k][at], tables.camera)
        lights = around.lights[k]
        fitted, drawn, _ = fit_shadows(tables, points, lights, shadow_size)
        lights[:, LIGHT_SHADOW] += np.where(lights[:, LIGHT_SHADOW] >= 0, np.float32(len(rows)), np.float32(0))
        for row, indices in zip(fitted, drawn, strict=True):
            for m in indices:
                casters.append((len(rows), int(first_drawable[k] + m), faces[-1]))
                faces.append(faces[-1] + int(tables.draws[m, layout.FACES]))
            rows.append(row)
            texels.append(texels[-1] + int(row[SIDE]) ** 2)
    table = np.stack(rows) if rows else np.zeros((1, MAP_REALS), np.float32)
    starts = np.array(texels[:-1] or [0], np.int64)
    tiles = texels[-1] // TILE**2
    maps = _Maps(
        memory.put("maps", table), memory.put("map starts", starts), memory.put("tile starts", starts // TILE**2),
        tiles, memory.get("shadow", np.float32, texels[-1]), memory.get("coarse", np.float32, COARSE * tiles),
    )  # fmt: skip
    if rows:
        _draw_maps(frame.drawn, maps, np.array(casters, np.int64), texels[-1], faces[-1], memory)
    return maps


def _draw_maps(
    drawn: OnDevice, maps: _Maps, casters: NDArray[np.int64], texels: int, faces: int, memory: Memory
) -> None:
    launch(shadow.empty, texels, maps.values, texels)
    listed = memory.get("listed", np.int32, 2 * LISTED)[: 2 * LISTED].reshape(LISTED, 2)
    number = memory.put("number", np.zeros(1, np.int32))
    what = (
        memory.put("casters", casters), memory.put("caster faces", casters[:, shadow.FIRST]), maps.rows, maps.starts,
        drawn.draws, drawn.placed, drawn.faces, maps.values, listed, number,
    )  # fmt: skip
    launch(shadow.draw_casters, faces, *what, faces)
    shadow.draw_caster_tiles[visibility.TILE_BLOCKS, visibility.TILE_THREADS](*what)
    tiles = maps.tile_count
    rough = memory.get("rough", np.float32, 2 * tiles)
    across = memory.get("across", np.float32, COARSE * tiles)
    launch(shadow.coarsen, tiles, maps.rows, maps.starts, maps.tile_starts, maps.values, rough, tiles)
    launch(shadow.widen, tiles, maps.rows, maps.tile_starts, rough, across, 0, tiles)
    launch(shadow.widen, tiles, maps.rows, maps.tile_starts, across, maps.coarse, 1, tiles)


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

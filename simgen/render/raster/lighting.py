"""The stages from fragments to colour: lights, shadow maps, ambient occlusion, background, shading."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.errors import RenderError
from simgen.render.base import Snapshot
from simgen.render.raster import block, layout, occlusion, penumbra, shadow, shadow_filter, shadow_fit, simd
from simgen.render.raster.environment import Environments, KeyLight, fill_background
from simgen.render.raster.fragments import Fragments, Placed
from simgen.render.raster.lights import SHADOW, pack_lights
from simgen.render.raster.scene import Residents, Tables
from simgen.render.raster.scratch import Scratch
from simgen.render.raster.shading import shade

_DISCS = shadow_filter.spiral()
_TURNS = occlusion.spiral()


def shade_image(
    snapshot: Snapshot, placed: Placed, seen: Fragments, shadow_size: int, residents: Residents,
    environments: Environments, scratch: Scratch, out: NDArray[np.float32],
) -> None:  # fmt: skip
    """Write the colour of a whole image into ``out`` (H * W * 3), linear radiance."""
    get = scratch.get
    width, height = snapshot.camera.width, snapshot.camera.height
    tables = placed.tables
    environment = snapshot.environment
    filtered = environments.get(environment)
    rotation, lights = orient(snapshot, filtered.keys)
    intensity = np.float32(environment.intensity)
    shadow_size = map_size(shadow_size, width, height)
    maps, values, coarse = _draw_shadows(placed, seen, lights, shadow_size, residents, scratch)
    opening = get("opening", np.float32, seen.total)
    _occlude(tables, seen, width, height, scratch, opening)
    photo = environment.background
    if photo is not None and photo.shape != (height, width, 3):
        raise RenderError(f"the background is {photo.shape}, but the image is {(height, width, 3)}; resize it")
    fill_background(
        seen.background, width, height, tables.camera, rotation, filtered.radiance, intensity,
        (filtered.radiance if photo is None else np.array(photo, np.float32, order="C")).reshape(-1),
        photo is not None, out,
    )  # fmt: skip
    share = _look_up_shadows(tables, seen, lights, maps, values, coarse, width, height, scratch)
    shade(
        0, seen.total, seen.count, seen.pixel, seen.triangle, seen.px, seen.py, seen.w, seen.nx, seen.ny, seen.nz,
        seen.weight, opening, seen.owner, tables.draws, tables.reals, seen.planes, tables.camera, tables.textures,
        residents.texels.pool.data, lights, share, rotation,
        filtered.harmonics, filtered.reflections, np.float32(filtered.scale), intensity,
        get("block", np.float32, block.FLOATS), get("addresses", np.int32, block.INTEGERS),
        get("fetched", np.uint32, block.TEXELS), out,
    )  # fmt: skip


def orient(snapshot: Snapshot, keys: Sequence[KeyLight]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What turns camera directions into the frame of the environment map (9,), and the table of lights."""
    environment = snapshot.environment
    c, s = np.cos(environment.rotation), np.sin(environment.rotation)
    map_to_world = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
    T_world_cam = np.asarray(snapshot.camera.T_world_cam, np.float64)
    rotation = np.ascontiguousarray((map_to_world.T @ T_world_cam[:3, :3]).reshape(-1).astype(np.float32))
    return rotation, pack_lights(snapshot.lights, keys, map_to_world, environment.intensity, T_world_cam)


def map_size(shadow_size: int, width: int, height: int) -> int:
    """The side of the main light's shadow map: a small image does not show the texels of a large one."""
    return min(shadow_size, 2 * max(width, height))


def find_receivers(px: Any, py: Any, w: Any, camera: NDArray[np.float64]) -> NDArray[np.float64]:
    """About a thousand of the surface points at pixels (``px``, ``py``) and 1 / z = ``w``, (n, 3), camera frame."""
    step = max(len(w) // 1024, 1)
    px, py, w = (a[::step].astype(np.float64) for a in (px, py, w))
    y = (py - camera[layout.CY]) / camera[layout.FY]
    x = (px - camera[layout.CX] - camera[layout.SKEW] * y) / camera[layout.FX]
    return np.stack([x, y, np.ones_like(x)], 1) / w[:, None]


def fit_shadows(
    tables: Tables, receivers: NDArray[np.float64], lights: NDArray[np.float32], shadow_size: int
) -> tuple[list[NDArray[np.float32]], list[NDArray[np.int32]], int]:
    """Rows of the map table, the drawables to draw into each, and the texels of all maps.

    ``receivers`` (n, 3) are points of what is seen, camera frame. Sets the SHADOW column of ``lights``.
    """
    boxes = shadow_fit.place_boxes(tables)
    casters = shadow_fit.find_casters(tables, boxes)
    ground = shadow_fit.find_ground(boxes, receivers)
    centre = np.median(receivers, 0) if len(receivers) else np.zeros(3)
    chosen = shadow_fit.choose_lights(lights, centre) if shadow_size else []
    lights[:, SHADOW] = -1.0
    rows: list[NDArray[np.float32]] = []
    drawn: list[NDArray[np.int32]] = []
    start = 0
    for k in chosen:
        side = shadow_size if not rows else shadow_size // 2
        fitted = shadow_fit.fit(lights[k], casters, receivers, ground, side)
        if fitted is None:
            continue
        fitted[0][shadow.START] = start
        start += int(fitted[0][shadow.SIDE]) ** 2
        lights[k, SHADOW] = len(rows)
        rows.append(fitted[0])
        drawn.append(fitted[1])
    return rows, drawn, start


def _draw_shadows(
    placed: Placed, seen: Fragments, lights: Any, shadow_size: int, residents: Residents, scratch: Scratch
) -> tuple[Any, Any, Any]:
    """Shadow maps of the main lights: their table, values and coarse maps; sets the SHADOW column of ``lights``."""
    tables = placed.tables
    count = seen.count
    receivers = find_receivers(seen.px[:count], seen.py[:count], seen.w[:count], tables.camera)
    rows, drawn, start = fit_shadows(tables, receivers, lights, shadow_size)
    values = scratch.get("shadow", np.float32, start + simd.TEXELS)
    coarse = scratch.get("coarse", np.float32, shadow.COARSE * (start // shadow.TILE**2))
    flat = scratch.get("flat", np.float32, 3 * tables.vertex_count)
    for row, indices in zip(rows, drawn, strict=True):
        shadow.draw_map(row, indices, tables.draws, placed.vertices, residents.faces.pool.data, flat, values, coarse)
    return np.stack(rows) if rows else np.zeros((1, shadow.MAP_REALS), np.float32), values, coarse


def _look_up_shadows(
    tables: Tables, seen: Fragments, lights: Any, maps: Any, values: Any, coarse: Any, width: int, height: int,
    scratch: Scratch,
) -> Any:  # fmt: skip
    """Share of each light with a shadow map that fragments see, (maps, total), flat."""
    get = scratch.get
    share = get("share", np.float32, len(maps) * seen.total)
    rows, stride = penumbra.band(width)
    words = get("penumbra_wanted", np.uint64, rows * stride // 2 + 2)
    listed = 4 * rows * stride + 8
    penumbra.look_up_shadows(
        width, height, seen.count, seen.total, seen.pixel, seen.px, seen.py, seen.w, seen.triangle, seen.planes,
        tables.camera, lights, maps, values, coarse, _DISCS,
        get("penumbra_grid", np.float32, (1 + len(maps)) * (rows + 1) * stride),
        get("penumbra_index", np.int32, (rows + 1) * stride),
        get("penumbra_row", np.float32, (2 + len(maps)) * 2 * stride),
        get("penumbra_doubts", np.uint8, 2 * stride), words.view(np.uint8), words,
        get("penumbra_chosen", np.int32, listed), get("penumbra_listed", np.int32, listed),
        scratch.filled("penumbra", np.float32, 0, shadow_filter.VALUES),
        get("penumbra_lists", np.int32, shadow_filter.NUMBERS), share,
    )  # fmt: skip
    return share


def _occlude(tables: Tables, seen: Fragments, width: int, height: int, scratch: Scratch, opening: Any) -> None:
    """Ambient occlusion of all fragments into ``opening``."""
    get = scratch.get
    w, h = (width + 1) // 2, (height + 1) // 2
    depth, normal = get("half_depth", np.float32, w * h), get("half_normal", np.float32, 3 * w * h)
    a, b = get("half_a", np.float32, w * h), get("half_b", np.float32, w * h)
    occlusion.gather_half(seen.count, seen.px, seen.py, seen.w, seen.nx, seen.ny, seen.nz, w, h, depth, normal)
    radius = np.float32(occlusion_radius(tables))
    working = get("occlusion", np.float32, occlusion.CHANNELS * occlusion.STRIDE)
    addresses = get("occlusion_at", np.int32, occlusion.CHUNK)
    occlusion.occlude(w, h, tables.camera, radius, _TURNS, depth, normal, working, addresses, a)
    occlusion.smooth(w, h, depth, a, b, 1, 0)
    occlusion.smooth(w, h, depth, b, a, 0, 1)
    occlusion.spread(seen.total, seen.px, seen.py, seen.w, w, h, depth, a, working, addresses, opening)


def occlusion_radius(tables: Tables) -> float:
    """How far ambient occlusion reaches, in metres: 0.6 of the median extent of the labelled objects."""
    extent = np.abs((tables.bounds[:, 1] - tables.bounds[:, 0]) * tables.scales).max(1)
    labelled = tables.draws[:, layout.INSTANCE] > 0
    sizes = extent[labelled] if labelled.any() else extent
    return float(np.clip(np.median(sizes) * 0.6, 0.005, 2.0)) if len(sizes) else 0.1

"""The stages from fragments to colour: lights, shadow maps, ambient occlusion, background, shading."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.errors import RenderError
from simgen.render.base import Snapshot
from simgen.render.raster import block, occlusion, penumbra, shadow_filter
from simgen.render.raster.environment import Environments, fill_background
from simgen.render.raster.fragments import Fragments, Placed
from simgen.render.raster.scene import Residents, Tables
from simgen.render.raster.scratch import Scratch
from simgen.render.raster.shading import shade
from simgen.render.raster.shadow_scene import SceneLights, ShadowMaps

_DISCS = shadow_filter.spiral()
_TURNS = occlusion.slices()


def shade_image(
    snapshot: Snapshot, placed: Placed, seen: Fragments, shadow_size: int, residents: Residents,
    environments: Environments, shadows: ShadowMaps, scratch: Scratch, out: NDArray[np.float32],
) -> None:  # fmt: skip
    """Write the colour of a whole image into ``out`` (H * W * 3), linear radiance."""
    get = scratch.get
    width, height = snapshot.camera.width, snapshot.camera.height
    tables = placed.tables
    environment = snapshot.environment
    filtered = environments.get(environment)
    intensity = np.float32(environment.intensity)
    shadow_size = map_size(shadow_size, width, height)
    scene = shadows.scene(snapshot, tables, filtered.keys, shadow_size)
    rotation = orient(scene, snapshot.camera.T_world_cam)
    lights, maps, values, coarse = shadows.view(snapshot, tables, seen, scene, shadow_size, residents)
    sky = _occlude(tables, seen, width, height, scratch)
    photo = environment.background
    if photo is not None and photo.shape != (height, width, 3):
        raise RenderError(f"the background is {photo.shape}, but the image is {(height, width, 3)}; resize it")
    image = filtered.radiance if photo is None else np.ascontiguousarray(photo, np.float32)
    fill_background(
        seen.background, width, height, tables.camera, rotation, image.reshape(-1), photo is not None,
        *filtered.radiance.shape[:2], intensity, out,
    )  # fmt: skip
    share = _look_up_shadows(tables, seen, lights, maps, values, coarse, width, height, scratch)
    shade(
        0, seen.total, seen.count, seen.pixel, seen.triangle, seen.px, seen.py, seen.w, seen.nx, seen.ny, seen.nz,
        seen.weight, seen.background, width, sky, seen.owner, tables.draws, tables.reals, seen.planes, tables.camera,
        tables.textures, residents.texels.pool.data, lights, share, rotation,
        filtered.harmonics, filtered.reflections, np.float32(filtered.scale), intensity,
        get("block", np.float32, block.FLOATS), get("addresses", np.int32, block.INTEGERS),
        get("fetched", np.uint32, block.TEXELS), out,
    )  # fmt: skip


def orient(scene: SceneLights, T_world_cam: NDArray[np.float64]) -> NDArray[np.float32]:
    """What turns camera directions into the frame of the environment map, (9,)."""
    turned = scene.map_to_world.T @ np.asarray(T_world_cam, np.float64)[:3, :3]
    return np.ascontiguousarray(turned.reshape(-1).astype(np.float32))


def map_size(shadow_size: int, width: int, height: int) -> int:
    """The side of the main light's shadow map: a small image does not show the texels of a large one."""
    return min(shadow_size, 2 * max(width, height))


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
        width, height, seen.count, seen.total, seen.pixel, seen.px, seen.py, seen.w, seen.nx, seen.ny, seen.nz,
        seen.triangle, seen.planes, tables.camera, lights, maps, values, coarse, _DISCS,
        get("penumbra_grid", np.float32, (1 + len(maps)) * (rows + 1) * stride),
        get("penumbra_index", np.int32, (rows + 1) * stride),
        get("penumbra_row", np.float32, (2 + len(maps)) * 2 * stride),
        get("penumbra_doubts", np.uint8, 2 * stride), words.view(np.uint8), words,
        get("penumbra_chosen", np.int32, listed), get("penumbra_listed", np.int32, listed),
        scratch.filled("penumbra", np.float32, 0, shadow_filter.VALUES),
        get("penumbra_lists", np.int32, shadow_filter.NUMBERS), share,
    )  # fmt: skip
    return share


def _occlude(tables: Tables, seen: Fragments, width: int, height: int, scratch: Scratch) -> Any:
    """Ambient occlusion at half resolution, as ``shade`` reads it."""
    get = scratch.get
    w, h = (width + 1) // 2, (height + 1) // 2
    depth, normal = get("half_depth", np.float32, w * h), get("half_normal", np.float32, 3 * w * h)
    a, b = get("half_a", np.float32, w * h), get("half_b", np.float32, w * h)
    occlusion.gather_half(seen.count, seen.px, seen.py, seen.w, seen.nx, seen.ny, seen.nz, w, h, depth, normal)
    radius = np.float32(occlusion_radius(tables))
    working = get("occlusion", np.float32, occlusion.CHANNELS * occlusion.STRIDE)
    addresses = get("occlusion_at", np.int32, 2 * occlusion.CHUNK)
    occlusion.occlude(w, h, tables.camera, radius, _TURNS, depth, normal, working, addresses, a)
    occlusion.smooth(w, h, depth, a, b, 1, 0)
    occlusion.smooth(w, h, depth, b, a, 0, 1)
    sky = get("sky", np.float32, 2 * (w + 1) * (h + 1))
    occlusion.join(w, h, depth, a, sky)
    return sky.view(np.uint32)


def occlusion_radius(tables: Tables) -> float:
    """How far ambient occlusion reaches, in metres: twice the median extent of the labelled objects."""
    return 0.5 if tables.extent is None else float(min(max(tables.extent * 2.0, 0.02), 4.0))

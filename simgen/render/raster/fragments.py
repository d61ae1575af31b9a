"""The stages from a snapshot to its fragments: place, rasterize, collect, set up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from simgen.render.base import Snapshot
from simgen.render.raster import layout
from simgen.render.raster.antialias import add_fragments, keep_distinct
from simgen.render.raster.collecting import collect
from simgen.render.raster.scene import Residents, Tables, pack
from simgen.render.raster.scratch import Scratch
from simgen.render.raster.simd import WIDTH
from simgen.render.raster.surface import NORMAL_RUNS, NORMAL_VALUES, interpolate_normals
from simgen.render.raster.transform import place_vertices
from simgen.render.raster.triangles import set_up_triangles
from simgen.render.raster.visibility import clear, rasterize


@dataclass(eq=False)
class Placed:
    """A snapshot's tables, its vertices in the camera and the image, and where its drawables are in the image."""

    tables: Tables
    vertices: Any  # float64, PLACED values a vertex
    places: Any  # (M, DRAW_PLACES) float64


@dataclass(eq=False)
class Fragments:
    """What is seen: ``count`` fragments at pixel centres, row by row, then those of anti-aliasing up to ``total``.

    Arrays are longer than used. ``triangle`` counts the triangles seen, whose attribute planes stand in ``planes`` and
    whose drawables in ``owner``. ``weight`` is a fragment's share of its pixel, ``background`` (H * W) what is left.
    """

    count: int
    total: int
    pixel: Any  # int32
    triangle: Any  # int32
    px: Any  # float32, as all that follow: where in the image
    py: Any
    w: Any  # 1 / z
    nx: Any  # unit normal, camera frame
    ny: Any
    nz: Any
    weight: Any
    background: Any
    planes: Any  # TRIANGLE values a triangle
    owner: Any  # int32


def place(snapshot: Snapshot, residents: Residents, scratch: Scratch) -> Placed:
    """Make a snapshot's meshes and textures resident and transform its vertices."""
    tables = pack(snapshot, residents)
    vertices = scratch.get("placed", np.float64, layout.PLACED * tables.vertex_count)
    places = np.zeros((len(tables.draws), layout.DRAW_PLACES))
    place_vertices(tables.draws, tables.matrices, tables.camera, residents.vertices.pool.data, vertices, places)
    return Placed(tables, vertices, places)


def draw(
    placed: Placed, residents: Residents, keys: Any, samples: Any, window: tuple[int, int, int, int], chosen: Any
) -> None:
    """Draw drawables ``chosen`` (int32) into emptied ``keys``, flat, sample by sample; ``window`` is x, y, w, h."""
    tables = placed.tables
    stride = window[2] * window[3]
    clear(keys, 0, len(samples) * stride, tables.camera[layout.FAR])
    rasterize(
        keys, stride, samples, *window, chosen, len(chosen), tables.draws, tables.reals, placed.places, tables.camera,
        placed.vertices, residents.faces.pool.data, residents.vertices.pool.data, tables.textures,
        residents.texels.pool.data,
    )  # fmt: skip


def find(
    placed: Placed, width: int, height: int, samples: Any, normals: bool, residents: Residents, scratch: Scratch
) -> Fragments:
    """The fragments of an image; ``samples`` (n, 2) are offsets from the pixel centre, which is the first."""
    get = scratch.get
    tables = placed.tables
    pixels = width * height
    several = len(samples) > 1
    limit = (2 if several else 1) * pixels + WIDTH
    keys = get("keys", np.uint64, len(samples) * pixels + WIDTH)
    draw(placed, residents, keys, samples, (0, 0, width, height), np.arange(len(tables.draws), dtype=np.int32))
    pixel, triangle = get("pixel", np.int32, limit), get("triangle", np.int32, limit)
    px, py, w = get("px", np.float32, limit), get("py", np.float32, limit), get("w", np.float32, limit)
    remap = scratch.filled("remap", np.int32, -1, tables.face_count)
    visible = get("visible", np.uint32, tables.face_count)
    weight, background = get("weight", np.float32, limit), get("background", np.float32, pixels)
    most = pixels * (len(samples) - 1) + 1
    others = [get(name, np.int32, most) for name in ("main_of", "pixel_of", "sample_of", "number_of")]
    count, seen, candidates = collect(
        keys, pixels, len(samples), width, height, remap, visible, pixel, triangle, px, py, w, weight, background,
        *others,
    )  # fmt: skip
    remap[visible[:seen]] = -1
    planes, owner = get("planes", np.float32, layout.TRIANGLE * seen), get("owner", np.int32, seen)
    set_up_triangles(
        visible, seen, tables.draws, tables.matrices, tables.scales, tables.tiles, tables.camera, placed.vertices,
        residents.faces.pool.data, residents.vertices.pool.data, residents.colors.pool.data,
        np.array([width, height], np.float64), get("order", np.int32, seen), planes, owner,
    )  # fmt: skip
    total = count
    if several:
        distinct = keep_distinct(candidates, *others, keys, pixels, samples, triangle, px, py, owner, planes)
        total = add_fragments(
            distinct, *others, keys, pixels, samples, width, owner, planes, count, limit - WIDTH,
            pixel, triangle, px, py, w, weight, background,
        )  # fmt: skip
    nx, ny, nz = get("nx", np.float32, limit), get("ny", np.float32, limit), get("nz", np.float32, limit)
    if normals:
        working, runs = get("working", np.float32, NORMAL_VALUES), get("runs", np.int32, NORMAL_RUNS)
        interpolate_normals(total, triangle, px, py, planes, tables.camera, working, runs, nx, ny, nz)
    return Fragments(count, total, pixel, triangle, px, py, w, nx, ny, nz, weight, background, planes, owner)

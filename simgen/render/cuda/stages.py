"""The stages from a batch to its visibility buffer and triangles: place, draw, number, set up. One launch each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.render.cuda import visibility
from simgen.render.cuda.batch import HEIGHT, WIDTH, Batch
from simgen.render.cuda.device import SIMULATED, Memory, launch
from simgen.render.cuda.residency import DeviceResidents
from simgen.render.cuda.surface import forget, number_triangles, set_up
from simgen.render.raster import layout

LISTED = 1 << 10 if SIMULATED else 1 << 22
"""Tiles of large triangles that can wait to be drawn; what does not fit is drawn by the threads that found it."""
LARGE = 1 << 10 if SIMULATED else 1 << 18
"""Large triangles whose set-up can wait with them."""


@dataclass(eq=False)
class OnDevice:
    """A batch's tables, pools and placed vertices on the device."""

    draws: Any
    reals: Any
    matrices: Any
    scales: Any
    tiles: Any
    cameras: Any
    textures: Any
    image: Any
    placed: Any
    clips: Any
    vertices: Any
    faces: Any
    colors: Any
    texels: Any


@dataclass(eq=False)
class Surfaces:
    """The triangles seen in a batch: the number of each (``slots``, by face), their planes and drawables."""

    slots: Any
    planes: Any
    owner: Any


def place(
    batch: Batch, residents: DeviceResidents, memory: Memory, cameras: NDArray[np.float64], view: NDArray[np.int32]
) -> OnDevice:
    """Bring a batch to the device and place its vertices; ``view`` (M,) is each drawable's row of ``cameras`` or -1."""
    vertices, faces, colors, texels = residents.pools()
    drawn = OnDevice(
        memory.put("draws", batch.draws), memory.put("reals", batch.reals), memory.put("matrices", batch.matrices),
        memory.put("scales", batch.scales), memory.put("tiles", batch.tiles), memory.put("cameras", cameras),
        memory.put("textures", batch.textures), memory.put("image", view),
        memory.get("placed", np.float64, layout.PLACED * batch.vertex_count),
        memory.put("clips", np.zeros(len(batch.draws), np.int32)), vertices, faces, colors, texels,
    )  # fmt: skip
    launch(
        visibility.place, batch.vertex_count, drawn.draws, drawn.image, drawn.matrices, drawn.cameras, vertices,
        drawn.placed, drawn.clips, batch.vertex_count,
    )  # fmt: skip
    return drawn


def draw(
    drawn: OnDevice, batch: Batch, views: NDArray[np.int64], samples: NDArray[np.float64], keys: Any, memory: Memory
) -> None:
    """Draw all drawables into the ``keys`` of their ``views``."""
    table, offsets = memory.put("views", views), memory.put("offsets", samples)
    shares = 16 if SIMULATED else 4096
    count = len(views) * shares
    launch(visibility.empty, count, keys, table, drawn.cameras, len(samples), shares, count)
    if batch.face_count == 0:
        return
    listed, number = waiting_list(memory)
    large = min(batch.face_count, LARGE)
    kept = (
        memory.shaped("whose", np.int32, large, 3), memory.shaped("large planes", np.float64, large, 4, 3),
        memory.shaped("bounds", np.float64, large, 2),
        memory.shaped("pieces", np.float64, large, visibility.MOST_PIECES, visibility.PIECE),
    )  # fmt: skip
    launch(
        visibility.draw_faces, batch.face_count, drawn.draws, drawn.reals, drawn.image, table, drawn.cameras, offsets,
        drawn.placed, drawn.clips, drawn.faces, drawn.vertices, drawn.textures, drawn.texels, keys, listed, number,
        *kept, batch.face_count,
    )  # fmt: skip
    visibility.draw_tiles[visibility.TILE_BLOCKS, visibility.TILE_THREADS](
        drawn.draws, drawn.reals, drawn.image, table, offsets, drawn.textures, drawn.texels, keys, listed, number, *kept
    )


def waiting_list(memory: Memory) -> tuple[Any, Any]:
    """The tiles that wait to be drawn, (LISTED, 2), and the numbers of tiles and of large triangles, both 0."""
    return memory.shaped("listed", np.int32, LISTED, 2), memory.put("number", np.zeros(2, np.int64))


def surfaces(
    drawn: OnDevice, batch: Batch, views: NDArray[np.int64], keys: Any, count: int, memory: Memory
) -> Surfaces:
    """Set up the triangles that are seen at any of the ``count`` samples."""
    slots = memory.get("slots", np.int32, batch.face_count)
    launch(forget, batch.face_count, slots, batch.face_count)
    visible = memory.get("visible", np.int32, min(batch.face_count, count))
    seen = memory.put("seen", np.zeros(1, np.int32))
    launch(number_triangles, count, keys, slots, seen, visible, count)
    total = int(seen.copy_to_host()[0])
    planes = memory.get("planes", np.float32, layout.TRIANGLE * total)
    owner = memory.get("owner", np.int32, total)
    launch(
        set_up, total, visible, drawn.draws, drawn.image, drawn.matrices, drawn.scales, drawn.tiles, drawn.cameras,
        drawn.placed, drawn.faces, drawn.vertices, drawn.colors, float(views[0, WIDTH]), float(views[0, HEIGHT]),
        planes, owner, total,
    )  # fmt: skip
    return Surfaces(slots, planes, owner)

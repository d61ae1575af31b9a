"""From snapshots to the tables of a batch: those of each snapshot, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.render.base import Snapshot
from simgen.render.cuda.residency import DeviceResidents
from simgen.render.raster import layout as L  # noqa: N812
from simgen.render.raster.scene import Tables, pack

# A view, int64: the window of pixels that is drawn, and where its keys start; sample s follows at s * width * height.
X_FIRST, Y_FIRST, WIDTH, HEIGHT, START = range(5)
VIEW_INTS = 5

_MAPS = (L.COLOR_MAP, L.ALPHA_MAP, L.ROUGHNESS_MAP, L.NORMAL_MAP)


@dataclass(eq=False)
class Batch:
    """Tables of several snapshots; see ``raster.layout`` for the columns.

    Vertices, faces and rows of the texture table are numbered over the whole batch. ``image`` (M,) int32 says which
    snapshot each drawable belongs to; ``tables`` are those of each snapshot as they were.
    """

    tables: list[Tables]
    draws: NDArray[np.int32]
    reals: NDArray[np.float32]
    matrices: NDArray[np.float64]
    scales: NDArray[np.float64]
    tiles: NDArray[np.float64]
    cameras: NDArray[np.float64]
    textures: NDArray[np.int32]
    image: NDArray[np.int32]
    vertex_count: int
    face_count: int

    def first_drawable(self) -> NDArray[np.int64]:
        """Where the drawables of each snapshot begin, and the total, (B + 1,)."""
        return np.cumsum([0, *(len(t.draws) for t in self.tables)])


def pack_batch(snapshots: Sequence[Snapshot], residents: DeviceResidents) -> Batch:
    """Tables of ``snapshots``; raises RenderError for a camera or mesh that cannot be drawn."""
    tables = [pack(snapshot, residents) for snapshot in snapshots]
    vertices = np.cumsum([0, *(t.vertex_count for t in tables)])
    faces = np.cumsum([0, *(t.face_count for t in tables)])
    rows = np.cumsum([0, *(len(t.textures) for t in tables)])
    draws = []
    for k, t in enumerate(tables):
        moved = t.draws.copy()
        moved[:, L.FIRST_VERTEX] += int(vertices[k])
        moved[:, L.FIRST_FACE] += int(faces[k])
        for column in _MAPS:
            moved[:, column] += np.where(moved[:, column] >= 0, np.int32(rows[k]), np.int32(0))
        draws.append(moved)
    image = np.repeat(np.arange(len(tables), dtype=np.int32), [len(t.draws) for t in tables])

    def stacked(name: str) -> Any:
        return np.concatenate([getattr(t, name) for t in tables])

    return Batch(
        tables, np.concatenate(draws), stacked("reals"), stacked("matrices"), stacked("scales"), stacked("tiles"),
        np.stack([t.camera for t in tables]), stacked("textures"), image, int(vertices[-1]), int(faces[-1]),
    )  # fmt: skip


def image_views(count: int, width: int, height: int, samples: int) -> NDArray[np.int64]:
    """Views of ``count`` whole images."""
    views = np.zeros((count, VIEW_INTS), np.int64)
    views[:, WIDTH], views[:, HEIGHT] = width, height
    views[:, START] = np.arange(count) * (samples * width * height)
    return views

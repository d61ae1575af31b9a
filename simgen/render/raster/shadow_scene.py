"""The lights and shadow maps of the last scene, kept for its next views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.render.base import Snapshot
from simgen.render.raster import layout
from simgen.render.raster.environment import KeyLight
from simgen.render.raster.fragments import Fragments
from simgen.render.raster.lights import SHADOW, pack_lights, turn_lights
from simgen.render.raster.scene import Residents, Tables
from simgen.render.raster.scratch import empty_aligned
from simgen.render.raster.shadow import COARSE, MAP_REALS, START, TILE
from simgen.render.raster.shadow_draw import DRAW_REALS, draw_map
from simgen.render.raster.shadow_fit import SceneFit, caster_matrices, fit_scene, fit_view
from simgen.render.raster.simd import TEXELS


@dataclass(eq=False)
class SceneLights:
    """What light in a scene depends on, whoever looks at it.

    ``key`` is equal for equal scenes. ``map_to_world`` (3, 3) turns directions of the environment map, ``table``
    (L, LIGHT_REALS) are the lights in the world.
    """

    key: tuple[Any, ...]
    map_to_world: NDArray[np.float64]
    table: NDArray[np.float64]
    fit: SceneFit


def light_scene(
    snapshot: Snapshot, tables: Tables, keys: Sequence[KeyLight], shadow_size: int, last: SceneLights | None = None
) -> SceneLights:
    """The lights of a snapshot's scene, with the ``keys`` of its environment; ``last`` itself if that is the scene."""
    environment = snapshot.environment
    key = (
        shadow_size, environment.key, environment.rotation, environment.intensity, snapshot.lights, tables.solids,
        tables.world.tobytes(),
    )  # fmt: skip
    if last is not None and last.key == key:
        return last
    c, s = np.cos(environment.rotation), np.sin(environment.rotation)
    map_to_world = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
    table = pack_lights(snapshot.lights, keys, map_to_world, environment.intensity)
    return SceneLights(key, map_to_world, table, fit_scene(tables, table, shadow_size))


class ShadowMaps:
    """Shadow maps in memory: those of one scene, drawn when first read, and after them those of one view."""

    def __init__(self) -> None:
        self._scene: SceneLights | None = None
        self._drawn: set[int] = set()
        self._values = np.zeros(0, np.float32)
        self._coarse = np.zeros(0, np.float32)
        self._flat = np.zeros(0, np.float32)
        self._working = np.zeros(0, np.float32)

    @property
    def nbytes(self) -> int:
        """Bytes of memory taken."""
        return self._values.nbytes + self._coarse.nbytes + self._flat.nbytes + self._working.nbytes

    def clear(self) -> None:
        """Forget everything and free the memory."""
        self._scene = None
        self._drawn.clear()
        self._values, self._coarse, self._flat, self._working = (np.zeros(0, np.float32) for _ in range(4))

    def scene(self, snapshot: Snapshot, tables: Tables, keys: Sequence[KeyLight], shadow_size: int) -> SceneLights:
        """The lights of a snapshot's scene; maps of another one are forgotten."""
        scene = light_scene(snapshot, tables, keys, shadow_size, self._scene)
        if scene is not self._scene:
            self._scene = scene
            self._drawn.clear()
        return scene

    def view(
        self, snapshot: Snapshot, tables: Tables, seen: Fragments, scene: SceneLights, shadow_size: int,
        residents: Residents,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:  # fmt: skip
        """What a view of the last ``scene`` reads: lights in its frame, rows of the map table, texels, coarse maps."""
        fitted = scene.fit
        receivers = seen.count, seen.px, seen.py, seen.w
        view = fit_view(fitted, scene.table, receivers, tables.camera, snapshot.camera.T_world_cam, shadow_size)
        self._reserve(fitted.texels, view.texels, tables)
        lights = turn_lights(scene.table, snapshot.camera.T_world_cam)
        lights[:, SHADOW] = -1.0
        for j, k in enumerate(view.lights):
            lights[k, SHADOW] = j
            row = view.rows[j]
            if view.shared[j] and k in self._drawn:
                continue
            if view.shared[j]:
                self._drawn.add(k)
            else:
                row[START] += fitted.texels
            chosen = fitted.drawn[k]
            draw_map(
                row, chosen, caster_matrices(view.frames[j], tables.world[chosen]), tables.draws,
                residents.vertices.pool.data, residents.faces.pool.data, self._flat, self._working, self._values,
                self._coarse,
            )  # fmt: skip
        return lights, view.rows if len(view.rows) else np.zeros((1, MAP_REALS), np.float32), self._values, self._coarse

    def _reserve(self, scene: int, view: int, tables: Tables) -> None:
        """Make room for maps of ``scene`` and ``view`` texels; those of the scene stay."""
        needed = scene + view + TEXELS
        if len(self._values) < needed:
            values = empty_aligned((needed + view // 4,), np.float32)
            coarse = empty_aligned((COARSE * (len(values) // TILE**2),), np.float32)
            if self._drawn:
                values[:scene] = self._values[:scene]
                coarse[: COARSE * (scene // TILE**2)] = self._coarse[: COARSE * (scene // TILE**2)]
            self._values, self._coarse = values, coarse
        most = 3 * int(tables.draws[:, layout.VERTICES].max(initial=0))
        if len(self._flat) < most:
            self._flat = empty_aligned((most,), np.float32)
        if not len(self._working):
            self._working = empty_aligned((DRAW_REALS,), np.float32)

"""RasterRenderer: the compute rasterizer on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.errors import RenderError, near_match
from simgen.render.base import PASSES, Buffers, Snapshot
from simgen.render.raster import layout as L
from simgen.render.raster import shading as S
from simgen.render.raster.environment import Environments, fill_background
from simgen.render.raster.labels import write_depth, write_flow, write_ids, write_normals, write_object_coords
from simgen.render.raster.lights import pack_lights
from simgen.render.raster.scene import Residents, Tables, pack
from simgen.render.raster.scratch import Scratch
from simgen.render.raster.surface import collect, interpolate_normals, set_up_triangles
from simgen.render.raster.transform import place_vertices
from simgen.render.raster.visibility import clear, rasterize
from simgen.render.silhouette import Silhouette, empty_silhouette, silhouette_of

CENTRE = np.zeros((1, 2))


class RasterRenderer:
    """Rasterizes and shades on one CPU core; implements ``simgen.render.base.Renderer``."""

    name = "raster"
    passes = frozenset(PASSES)

    def __init__(
        self, device: str = "auto", samples: int = 4, shadow_size: int = 1024, memory_limit: int = 768 << 20
    ) -> None:
        if device not in ("auto", "cpu"):
            raise RenderError(f"renderer.device={device!r} is not one of auto, cpu")
        self.device = "cpu"
        self.samples = samples
        self.shadow_size = shadow_size
        self._residents = Residents(memory_limit * 7 // 8)
        self._environments = Environments(memory_limit // 8)
        self._scratch = Scratch()

    def close(self) -> None:
        """Free what is resident; the renderer can be used again."""
        self._residents.clear()
        self._environments.clear()
        self._scratch.clear()

    def render(self, snapshots: Sequence[Snapshot], passes: Sequence[str]) -> Buffers:
        """Compute ``passes`` of all ``snapshots``; see ``simgen.render.base.Renderer``."""
        for name in passes:
            if name not in PASSES:
                raise RenderError(f"unknown pass {name!r}{near_match(name, PASSES)}; known are {', '.join(PASSES)}")
        sizes = {(s.camera.height, s.camera.width) for s in snapshots}
        if len(sizes) > 1:
            raise RenderError(f"the images of one batch must have one size, not {sorted(sizes)}")
        height, width = sizes.pop() if sizes else (0, 0)
        channels = {"rgb": (3,), "normal": (3,), "object_coords": (3,), "flow_forward": (2,), "flow_backward": (2,)}
        images: dict[str, NDArray[Any]] = {
            name: np.empty(
                (len(snapshots), height, width, *channels.get(name, ())),
                np.uint16 if name in ("instance", "part") else np.float32,
            )
            for name in dict.fromkeys(passes)
        }
        for b, snapshot in enumerate(snapshots):
            self._render_one(snapshot, {name: image[b].reshape(-1) for name, image in images.items()})
        return Buffers(images)

    def _place(self, snapshot: Snapshot) -> tuple[Tables, Any, Any]:
        tables = pack(snapshot, self._residents)
        placed = self._scratch.get("placed", np.float64, L.PLACED * tables.vertex_count)
        places = np.zeros((len(tables.draws), L.DRAW_PLACES))
        place_vertices(tables.draws, tables.matrices, tables.camera, self._residents.vertices.pool.data, placed, places)
        return tables, placed, places

    def _rasterize(
        self, tables: Tables, placed: Any, places: Any, keys: Any, samples: Any, window: Any, chosen: Any
    ) -> None:
        r = self._residents
        clear_count = window[2] * window[3]
        for s in range(len(samples)):
            clear(keys[s], clear_count, tables.camera[L.FAR])
        rasterize(
            keys, samples, *window, chosen, len(chosen), tables.draws, tables.reals, places, tables.camera, placed,
            r.faces.pool.data, r.vertices.pool.data, tables.textures, r.texels.pool.data,
        )  # fmt: skip

    def _render_one(self, snapshot: Snapshot, out: dict[str, Any]) -> None:
        width, height = snapshot.camera.width, snapshot.camera.height
        get = self._scratch.get
        pixels = width * height
        tables, placed, places = self._place(snapshot)
        keys = get("keys", np.uint64, 1, pixels)
        self._rasterize(
            tables, placed, places, keys, CENTRE, (0, 0, width, height), np.arange(len(tables.draws), dtype=np.int32)
        )
        pixel, triangle = get("pixel", np.int32, pixels), get("triangle", np.int32, pixels)
        px, py, w = get("px", np.float32, pixels), get("py", np.float32, pixels), get("w", np.float32, pixels)
        remap = self._scratch.filled("remap", np.int32, -1, tables.face_count)
        visible = get("visible", np.uint32, tables.face_count)
        count, seen = collect(keys[0], width, height, remap, visible, pixel, triangle, px, py, w)
        remap[visible[:seen]] = -1
        planes, owner = get("planes", np.float32, L.TRIANGLE * seen), get("owner", np.int32, seen)
        r = self._residents
        set_up_triangles(
            visible, seen, tables.draws, tables.matrices, tables.scales, tables.tiles, tables.camera, placed,
            r.faces.pool.data, r.vertices.pool.data, r.colors.pool.data, np.array([width, height], np.float64), planes,
            owner,
        )  # fmt: skip
        nx, ny, nz = get("nx", np.float32, pixels), get("ny", np.float32, pixels), get("nz", np.float32, pixels)
        if "normal" in out or "rgb" in out:
            interpolate_normals(0, count, triangle, px, py, planes, tables.camera, nx, ny, nz)
        if "depth" in out:
            write_depth(count, pixel, w, out["depth"])
        for column, name in enumerate(("instance", "part")):
            if name in out:
                write_ids(count, pixel, triangle, owner, tables.draws, column, out[name])
        if "normal" in out:
            write_normals(count, pixel, nx, ny, nz, out["normal"])
        if "object_coords" in out:
            write_object_coords(
                count, pixel, triangle, px, py, w, owner, tables.matrices, tables.camera, out["object_coords"]
            )
        for name, neighbour in (("flow_forward", snapshot.next), ("flow_backward", snapshot.previous)):
            if name in out:
                write_flow(
                    count if neighbour is not None else 0, pixel, triangle, px, py, w, owner, tables.matrices,
                    tables.camera, name == "flow_forward", out[name],
                )  # fmt: skip

        if "rgb" in out:
            self._shade(snapshot, tables, count, owner, planes, out["rgb"])

    def _shade(self, snapshot: Snapshot, tables: Tables, count: int, owner: Any, planes: Any, out: Any) -> None:
        width, height = snapshot.camera.width, snapshot.camera.height
        get = self._scratch.get
        pixels = width * height
        environment = snapshot.environment
        filtered = self._environments.get(environment)
        c, s = np.cos(environment.rotation), np.sin(environment.rotation)
        map_to_world = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
        cam_to_map = map_to_world.T @ np.asarray(snapshot.camera.T_world_cam, np.float64)[:3, :3]
        rotation = np.ascontiguousarray(cam_to_map.reshape(-1).astype(np.float32))
        lights = pack_lights(
            snapshot.lights, filtered.keys, map_to_world, environment.intensity, snapshot.camera.T_world_cam
        )
        weight = get("weight", np.float32, pixels)
        weight[:count] = 1.0
        background = get("background", np.float32, pixels)
        background.fill(1.0)
        background[get("pixel", np.int32, pixels)[:count]] = 0.0
        opening = get("opening", np.float32, pixels)
        opening.fill(1.0)
        photo = environment.background
        if photo is not None and photo.shape != (height, width, 3):
            raise RenderError(f"the background is {photo.shape}, but the image is {(height, width, 3)}; resize it")
        fill_background(
            background, width, height, tables.camera, rotation, filtered.radiance, np.float32(environment.intensity),
            (filtered.radiance if photo is None else np.array(photo, np.float32, order="C")).reshape(-1),
            photo is not None, out,
        )  # fmt: skip
        r = self._residents
        S.shade(
            0, count, *(get(name, t, pixels) for name, t in (
                ("pixel", np.int32), ("triangle", np.int32), ("px", np.float32), ("py", np.float32), ("w", np.float32),
                ("nx", np.float32), ("ny", np.float32), ("nz", np.float32), ("weight", np.float32),
                ("opening", np.float32),
            )),
            owner, tables.draws, tables.reals, planes, tables.camera, tables.textures, r.texels.pool.data, lights,
            rotation, filtered.harmonics, filtered.reflections, np.float32(filtered.scale),
            np.float32(environment.intensity),
            get("block", np.float32, S.CHANNELS * S.BLOCK), get("samples", np.float32, S.TEXTURE_CHANNELS * S.SAMPLES),
            get("addresses", np.int32, S.ADDRESS_CHANNELS * S.SAMPLES),
            get("fetched", np.uint32, S.ADDRESS_CHANNELS * S.SAMPLES), out,
        )  # fmt: skip

    def silhouettes(self, snapshot: Snapshot) -> list[Silhouette]:
        """The full silhouette of every instance id 1...K of a snapshot, K being the highest.

        Each object's own triangles are drawn alone, on the part of a canvas three times the image that they can reach,
        with the transform, clipping and coverage rule of the visibility buffer: what is visible is a subset.
        """
        width, height = snapshot.camera.width, snapshot.camera.height
        tables, placed, places = self._place(snapshot)
        ids = tables.draws[:, L.INSTANCE]
        out = []
        for instance in range(1, int(ids.max(initial=0)) + 1):
            chosen = np.flatnonzero((ids == instance) & (places[:, L.HIDDEN] == 0)).astype(np.int32)
            box = places[chosen, L.BOX : L.BOX + 4]
            x0 = int(np.clip(np.floor(box[:, 0].min(initial=np.inf)), -width, 2 * width))
            x1 = int(np.clip(np.ceil(box[:, 1].max(initial=-np.inf)), -width - 1, 2 * width - 1))
            y0 = int(np.clip(np.floor(box[:, 2].min(initial=np.inf)), -height, 2 * height))
            y1 = int(np.clip(np.ceil(box[:, 3].max(initial=-np.inf)), -height - 1, 2 * height - 1))
            if x1 < x0 or y1 < y0:
                out.append(empty_silhouette(instance))
                continue
            w, h = x1 - x0 + 1, y1 - y0 + 1
            keys = self._scratch.get("canvas", np.uint64, 1, w * h)
            self._rasterize(tables, placed, places, keys, CENTRE, (x0, y0, w, h), chosen)
            covered = (keys[0, : w * h] & np.uint64(0xFFFFFFFF)).reshape(h, w) != 0
            out.append(silhouette_of(instance, covered, x0, y0, width, height))
        return out

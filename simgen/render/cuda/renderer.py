"""CudaRenderer: the compute rasterizer on a CUDA device, whole batches at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.errors import RenderError, near_match
from simgen.kernels import is_cached
from simgen.render.base import PASSES, Buffers, Snapshot
from simgen.render.cuda import device as devices
from simgen.render.cuda import labels, stages
from simgen.render.cuda.batch import Batch, image_views, pack_batch
from simgen.render.cuda.color import MOST_SAMPLES, shade
from simgen.render.cuda.device import Memory, cuda, launch
from simgen.render.cuda.illumination import Frame, shade_batch
from simgen.render.cuda.residency import DeviceEnvironments, DeviceResidents, resident_bytes
from simgen.render.raster import layout
from simgen.render.raster.antialias import sample_pattern
from simgen.render.raster.lighting import map_size
from simgen.render.silhouette import Silhouette, empty_silhouette, silhouette_of

_CHANNELS = {"rgb": (3,), "normal": (3,), "object_coords": (3,), "flow_forward": (2,), "flow_backward": (2,)}
_CENTRE = np.zeros((1, 2))
_ALIGNED = 256  # bytes, of what the driver allocates


@dataclass(frozen=True, eq=False)
class DeviceBuffers:
    """Results by pass name on device number ``device``, arrays as in PASSES; they are the caller's own.

    They share one piece of memory, which is freed when the last of them is gone. Each has
    ``__cuda_array_interface__``, which PyTorch and CuPy take without copying. Its values are there for work that is
    queued in the default stream; from other streams, wait for that one or call ``synchronize`` of the renderer first.
    ``tensors`` gives them as PyTorch tensors, which speak DLPack. ``to_host`` copies them.
    """

    images: dict[str, Any]
    device: int = 0

    def to_host(self) -> Buffers:
        """Copies in the memory of the host."""
        with devices.current(self.device):
            return Buffers({name: array.copy_to_host() for name, array in self.images.items()})

    def tensors(self) -> dict[str, Any]:
        """The same memory as PyTorch tensors, which keep it; ready for PyTorch's current stream."""
        import torch

        stream = torch.cuda.current_stream(self.device)
        stream.wait_stream(torch.cuda.default_stream(self.device))
        return {name: torch.as_tensor(array, device=f"cuda:{self.device}") for name, array in self.images.items()}


class CudaRenderer:
    """Rasterizes and shades on a CUDA device; implements ``simgen.render.base.Renderer``.

    Tables, formulas and settings are those of ``simgen.render.raster.RasterRenderer``. ``samples`` is at most 16.
    ``memory_limit`` bounds, in bytes, the meshes, textures and environments resident on the device (the host keeps a
    copy), ``batch_limit`` roughly the working memory of a launch: batches that need more of either are computed in
    parts.

    One renderer serves one thread at a time.
    """

    name = "raster"
    passes = frozenset(PASSES)

    def __init__(
        self, device: str = "cuda:0", samples: int = 4, shadow_size: int = 1024, memory_limit: int = 1 << 30,
        batch_limit: int = 1 << 30,
    ) -> None:  # fmt: skip
        if not 1 <= samples <= MOST_SAMPLES or shadow_size < 0 or memory_limit < 0:
            raise RenderError(
                f"samples={samples} must be 1 to {MOST_SAMPLES}, shadow_size={shadow_size} and "
                f"memory_limit={memory_limit} at least 0"
            )
        self._number = devices.select(device)
        self.device = device
        with devices.current(self._number):
            self.device_name = devices.device_name()
        self.samples = samples
        self.shadow_size = shadow_size
        self._memory_limit = memory_limit
        self._batch_limit = batch_limit
        self._pattern = sample_pattern(samples)
        self._residents = DeviceResidents(memory_limit * 7 // 8)
        self._environments = DeviceEnvironments(memory_limit // 8)
        self._memory = Memory()

    @property
    def nbytes(self) -> int:
        """Bytes of device memory held from batch to batch: what is resident, and working memory."""
        return self._residents.nbytes + self._environments.nbytes + self._memory.nbytes

    def close(self) -> None:
        """Free what is resident; the renderer can be used again."""
        with devices.current(self._number):
            self._residents.clear()
            self._environments.clear()
            self._memory.clear()

    def synchronize(self) -> None:
        """Wait until the device has done all that was asked of it."""
        with devices.current(self._number):
            cuda.synchronize()

    def render(self, snapshots: Sequence[Snapshot], passes: Sequence[str]) -> Buffers:
        """Compute ``passes`` of all ``snapshots`` and copy them to the host, as ``simgen.render.base.Renderer`` says.

        Raises RenderError for an unknown pass, cameras of several sizes, a camera or mesh that cannot be drawn, or a
        background that is not of the image's size.
        """
        return self.render_on_device(snapshots, passes).to_host()

    def render_on_device(self, snapshots: Sequence[Snapshot], passes: Sequence[str]) -> DeviceBuffers:
        """Like ``render``, with the results left on the device; it may still be at work on them."""
        for name in passes:
            if name not in PASSES:
                raise RenderError(f"unknown pass {name!r}{near_match(name, PASSES)}; known are {', '.join(PASSES)}")
        sizes = {(s.camera.height, s.camera.width) for s in snapshots}
        if len(sizes) > 1:
            raise RenderError(f"the images of one batch must have one size (height, width), not {sorted(sizes)}")
        height, width = sizes.pop() if sizes else (0, 0)
        with devices.current(self._number):
            return DeviceBuffers(self._render(snapshots, passes, width, height), self._number)

    def _render(self, snapshots: Sequence[Snapshot], passes: Sequence[str], width: int, height: int) -> dict[str, Any]:
        """``passes`` of all ``snapshots`` on the device."""
        images = _images(passes, len(snapshots), height, width)
        done = 0
        while done < len(snapshots):
            count = self._fitting(snapshots[done:], "rgb" in images)
            part = {name: image[done : done + count].reshape(-1) for name, image in images.items()}
            self._render_part(snapshots[done : done + count], width, height, part)
            done += count
        return images

    def _fitting(self, snapshots: Sequence[Snapshot], color: bool) -> int:
        """How many of the next snapshots are computed together."""
        camera = snapshots[0].camera
        pixels = camera.width * camera.height
        # Keys, and what is set up of the triangles seen; four shadow maps, of which three are half as wide.
        each = 2 * 8 * (self.samples if color else 1) * pixels
        each += 8 * map_size(self.shadow_size, camera.width, camera.height) ** 2 if color else 0
        total = resident = 0
        known: set[int] = set()
        for count, snapshot in enumerate(snapshots):
            meshes = [d.mesh for d in snapshot.drawables]
            total += each + sum(8 * layout.PLACED * len(m.vertices) + 8 * len(m.faces) for m in meshes)
            resident += resident_bytes(snapshot, known, color)
            if count and (total > self._batch_limit or resident > self._memory_limit):
                return count
        return len(snapshots)

    def _render_part(self, snapshots: Sequence[Snapshot], width: int, height: int, out: dict[str, Any]) -> None:
        self._residents.begin_batch()
        batch = pack_batch(snapshots, self._residents)
        pattern = self._pattern if "rgb" in out else _CENTRE
        views = image_views(len(snapshots), width, height, len(pattern))
        drawn = stages.place(batch, self._residents, self._memory, batch.cameras, batch.image)
        count = len(snapshots) * len(pattern) * width * height
        keys = self._memory.get("keys", np.uint64, count)
        stages.draw(drawn, batch, views, pattern, keys, self._memory)
        seen = stages.surfaces(drawn, batch, views, keys, count, self._memory)
        self._write_labels(snapshots, drawn, seen, keys, len(pattern), width, height, out)
        if "rgb" in out:
            frame = Frame(snapshots, batch, drawn, seen, keys, pattern, width, height)
            shade_batch(frame, self.shadow_size, self._environments, self._memory, out["rgb"])

    def _write_labels(
        self, snapshots: Sequence[Snapshot], drawn: stages.OnDevice, seen: stages.Surfaces, keys: Any, samples: int,
        width: int, height: int, out: dict[str, Any],
    ) -> None:  # fmt: skip
        """Write every pass but rgb."""
        wanted = sum(1 << k for k, name in enumerate(labels.PASSES) if name in out)
        if not wanted:
            return
        neighbours = np.array([(s.next is not None) + 2 * (s.previous is not None) for s in snapshots], np.int32)
        absent = {
            dtype: self._memory.get(f"absent {np.dtype(dtype)}", dtype, 1) for dtype in (np.float32, np.uint16)
        }  # fmt: skip
        targets = [
            out.get(name, absent[np.uint16 if name in ("instance", "part") else np.float32]) for name in labels.PASSES
        ]
        count = len(snapshots) * width * height
        launch(
            labels.resolve, count, keys, samples, width, height, drawn.cameras, seen.slots, seen.planes, seen.owner,
            drawn.draws, drawn.matrices, self._memory.put("neighbours", neighbours), wanted, *targets, count,
        )  # fmt: skip

    def silhouettes(self, snapshot: Snapshot) -> list[Silhouette]:
        """The full silhouette of every instance id 1...K of a snapshot, K being the highest.

        Each object's own triangles are drawn alone, on the part of a canvas three times the image that they can reach,
        with the transform, clipping and coverage rule of the visibility buffer: what is visible is a subset.
        """
        with devices.current(self._number):
            return self._silhouettes(snapshot)

    def _silhouettes(self, snapshot: Snapshot) -> list[Silhouette]:
        width, height = snapshot.camera.width, snapshot.camera.height
        self._residents.begin_batch()
        batch = pack_batch([snapshot], self._residents)
        ids = batch.draws[:, layout.INSTANCE]
        windows = _windows(batch, width, height)
        out: list[Silhouette] = []
        last = int(ids.max(initial=0))
        while len(out) < last:
            first, size = len(out) + 1, 0
            views: list[tuple[int, int, int, int, int]] = []
            for instance in range(first, last + 1):
                x0, y0, x1, y1 = windows[instance]
                w, h = max(x1 - x0 + 1, 0), max(y1 - y0 + 1, 0)
                if views and 8 * (size + w * h) > self._batch_limit:
                    break
                views.append((x0, y0, w, h, size))
                size += w * h
            covered = self._draw_alone(batch, ids, first, np.array(views, np.int64), size)
            for k, (x0, y0, w, h, start) in enumerate(views):
                if w == 0 or h == 0:
                    out.append(empty_silhouette(first + k))
                    continue
                mask = covered[start : start + w * h].reshape(h, w) != 0
                out.append(silhouette_of(first + k, mask, x0, y0, width, height))
        return out

    def _draw_alone(
        self, batch: Batch, ids: NDArray[np.int32], first: int, views: NDArray[np.int64], size: int
    ) -> NDArray[np.uint8]:
        """Draw instances from ``first`` on into a view each; 1 where a sample is covered, (size,)."""
        if size == 0:
            return np.zeros(0, np.uint8)
        view = np.where((ids >= first) & (ids < first + len(views)), ids - first, -1).astype(np.int32)
        cameras = np.repeat(batch.cameras, len(views), axis=0)
        drawn = stages.place(batch, self._residents, self._memory, cameras, view)
        keys = self._memory.get("keys", np.uint64, size)
        stages.draw(drawn, batch, views, _CENTRE, keys, self._memory)
        covered = self._memory.get("covered", np.uint8, size)
        launch(labels.cover, size, keys, covered, size)
        return covered[:size].copy_to_host()


def is_compiled() -> bool:
    """Whether the disk cache holds kernels for this version of the code; if not, the first batch takes a minute."""
    return is_cached(shade)


def _images(passes: Sequence[str], count: int, height: int, width: int) -> dict[str, Any]:
    """Arrays for the results on the device, contents undefined.

    They share one piece of memory: to allocate is slow, and to free waits until the device has done all that was asked
    of it.
    """
    shapes = {name: (count, height, width, *_CHANNELS.get(name, ())) for name in passes}
    dtypes = {name: np.dtype(np.uint16 if name in ("instance", "part") else np.float32) for name in passes}
    if not count:
        return {name: cuda.device_array(shapes[name], dtypes[name]) for name in shapes}
    sizes = {name: int(np.prod(shapes[name])) * dtypes[name].itemsize for name in shapes}
    starts = np.cumsum([0, *(-(-size // _ALIGNED) * _ALIGNED for size in sizes.values())]).tolist()
    piece = cuda.device_array(max(starts[-1], 1), np.uint8)
    return {
        name: piece[start : start + size].view(dtypes[name]).reshape(*shapes[name])
        for (name, size), start in zip(sizes.items(), starts[:-1], strict=True)
    }


def _windows(batch: Batch, width: int, height: int) -> dict[int, tuple[int, int, int, int]]:
    """First column and row and last column and row that each instance id can reach on the canvas of three images."""
    camera = batch.cameras[0]
    whole = np.array([-width, -height, 2 * width - 1, 2 * height - 1], np.float64)
    found: dict[int, NDArray[np.float64]] = {}
    for m, bounds in enumerate(batch.tables[0].bounds):
        M = batch.matrices[m, layout.CAM_MESH : layout.CAM_MESH + 12].reshape(3, 4)
        corners = np.array([[bounds[(k >> a) & 1, a] for a in range(3)] for k in range(8)]) @ M[:, :3].T + M[:, 3]
        reach = whole
        if corners[:, 2].min() > camera[layout.NEAR]:
            x = (camera[layout.FX] * corners[:, 0] + camera[layout.SKEW] * corners[:, 1]) / corners[:, 2]
            y = camera[layout.FY] * corners[:, 1] / corners[:, 2]
            low = np.array([x.min() + camera[layout.CX], y.min() + camera[layout.CY]])
            high = np.array([x.max() + camera[layout.CX], y.max() + camera[layout.CY]])
            reach = np.concatenate([np.floor(low) - 1, np.ceil(high) + 1])
        instance = int(batch.draws[m, layout.INSTANCE])
        known = found.get(instance, np.array([np.inf, np.inf, -np.inf, -np.inf]))
        found[instance] = np.concatenate([np.minimum(known[:2], reach[:2]), np.maximum(known[2:], reach[2:])])
    out = {}
    for instance in range(1, max(found, default=0) + 1):
        x0, y0, x1, y1 = found.get(instance, np.array([0.0, 0.0, -1.0, -1.0]))
        left, top = max(x0, whole[0]), max(y0, whole[1])
        right, bottom = min(x1, whole[2]), min(y1, whole[3])
        out[instance] = (
            (int(left), int(top), int(right), int(bottom)) if right >= left and bottom >= top else (0, 0, -1, -1)
        )
    return out

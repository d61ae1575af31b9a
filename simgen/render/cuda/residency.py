"""Meshes, textures and environments that stay on the device from batch to batch, within a bound.

The host keeps the same pools (``simgen.render.raster.residency``); what is added there is copied over before a launch.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from simgen.render.base import Environment, Snapshot
from simgen.render.cuda.device import cuda
from simgen.render.raster import layout as L  # noqa: N812
from simgen.render.raster.environment import KeyLight, prefilter
from simgen.render.raster.residency import Store
from simgen.render.raster.scene import Residents


def resident_bytes(snapshot: Snapshot, known: set[int], color: bool) -> int:
    """About the bytes of what must be resident for a snapshot and was not for those before it, noted in ``known``.

    With ``color`` the environment counts too.
    """
    total = 0
    for drawable in snapshot.drawables:
        mesh, material = drawable.mesh, drawable.material
        if id(mesh) not in known:
            known.add(id(mesh))
            total += 4 * (L.VERTEX * len(mesh.vertices) + 3 * len(mesh.faces))
            total += 0 if mesh.colors is None else 16 * len(mesh.colors)
        if id(material) not in known:
            known.add(id(material))
            for image in (material.base_color_map, material.metallic_roughness_map, material.normal_map):
                if image is not None and id(image) not in known:
                    known.add(id(image))
                    # Four bytes a texel, with the smaller levels a third more.
                    total += 16 * image.pixels.shape[0] * image.pixels.shape[1] // 3
    radiance = snapshot.environment.radiance
    if color and id(radiance) not in known:
        known.add(id(radiance))
        total += 4 * radiance.size
    return total


class MirroredStore(Store):
    """A store that notes what was added, to copy it to the device."""

    def __init__(self, dtype: DTypeLike, limit: int, unit: int = 1) -> None:
        super().__init__(dtype, limit, unit)
        self._added: list[tuple[int, int]] = []
        self._mirror: Any = None

    def add(self, name: str, data: NDArray[np.generic], note: Any = None) -> int:
        """As Store.add."""
        start = super().add(name, data, note)
        self._added.append((start, data.size))
        return start

    def clear(self) -> None:
        """Forget everything and free the memory, also on the device."""
        super().clear()
        self._added.clear()
        self._mirror = None

    def mirror(self) -> Any:
        """The pool on the device, brought up to date."""
        pool = self.pool.data
        if self._mirror is None or len(self._mirror) != len(pool):
            self._mirror = None
            self._mirror = cuda.to_device(pool)
        else:
            for start, length in self._added:
                if length:
                    self._mirror[start : start + length].copy_to_device(pool[start : start + length])
        self._added.clear()
        return self._mirror


class DeviceResidents(Residents):
    """Like Residents, for batches: what any snapshot of a batch uses stays until the next batch begins."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.vertices = MirroredStore(np.float32, limit * 2 // 12, L.VERTEX)
        self.faces = MirroredStore(np.int32, limit // 12, 3)
        self.colors = MirroredStore(np.float32, limit // 12, 4)
        self.texels = MirroredStore(np.uint32, limit * 8 // 12)

    def begin(self) -> None:
        """Start an image of a batch; nothing is given up before the next batch."""

    def begin_batch(self) -> None:
        """Start a batch: what the last one used may go when room is needed."""
        super().begin()

    def pools(self) -> tuple[Any, Any, Any, Any]:
        """Vertices, faces, colours and texels on the device, brought up to date."""
        return self.vertices.mirror(), self.faces.mirror(), self.colors.mirror(), self.texels.mirror()  # type: ignore[attr-defined]


@dataclass(frozen=True)
class _Known:
    """A prefiltered environment in the pools; ``size`` of its radiance is (height, width)."""

    radiance: int
    reflections: int
    size: tuple[int, int]
    harmonics: NDArray[np.float32]
    scale: float
    keys: tuple[KeyLight, ...]


class DeviceEnvironments:
    """Prefiltered environments on the device by key, within ``limit`` bytes; those of a batch stay."""

    def __init__(self, limit: int) -> None:
        self._radiance = MirroredStore(np.float32, limit // 2)
        self._reflections = MirroredStore(np.uint32, limit // 2)
        self._known: OrderedDict[str, _Known] = OrderedDict()

    @property
    def nbytes(self) -> int:
        """Bytes of device memory taken."""
        return self._radiance.nbytes + self._reflections.nbytes

    def begin_batch(self) -> None:
        """Start a batch."""
        self._radiance.begin()
        self._reflections.begin()

    def get(self, environment: Environment) -> _Known:
        """Where an environment lies in the pools, computed when it is not resident."""
        key = environment.key
        radiance, reflections = self._radiance.find(key), self._reflections.find(key)
        known = self._known.get(key)
        if known is None or radiance is None or reflections is None:
            filtered = prefilter(environment.radiance)
            if radiance is None:
                radiance = self._radiance.add(key, filtered.radiance)
            if reflections is None:
                reflections = self._reflections.add(key, filtered.reflections)
            height, width = filtered.radiance.shape[:2]
            known = _Known(
                radiance, reflections, (height, width), filtered.harmonics, filtered.scale, filtered.keys
            )  # fmt: skip
            self._known[key] = known
            while len(self._known) > 4096:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return known

    def pools(self) -> tuple[Any, Any]:
        """Radiance (flat float32) and reflections (uint32) on the device."""
        return self._radiance.mirror(), self._reflections.mirror()

    def clear(self) -> None:
        """Forget everything."""
        self._radiance.clear()
        self._reflections.clear()
        self._known.clear()

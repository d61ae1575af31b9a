"""What a renderer takes and gives. Renderers know nothing of scene definitions, physics or files.

A ``Snapshot`` is one image to compute: resolved meshes, materials, lights, environment and a camera. ``Buffers`` hold
the noise-free result of a batch of snapshots of one image size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from simgen.assets.asset import Material, Mesh
from simgen.render.silhouette import Silhouette
from simgen.scene.record import LightRecord

Mat4 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Drawable:
    """A mesh in the world.

    ``scale`` (x, y, z) is applied to the vertices before the rigid ``T_world_obj`` (4, 4); object coordinates are
    metres after ``scale``. ``material`` is what the surface looks like here, ``projection`` and ``tile`` how its colour
    map is laid on (see MaterialRecord). ``instance_id`` 0 is background. ``part_id`` counts from 1 over the snapshot.
    """

    mesh: Mesh
    material: Material
    T_world_obj: Mat4
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    projection: Literal["uv", "box"] = "uv"
    tile: float = 1.0
    instance_id: int = 0
    part_id: int = 0


@dataclass(frozen=True, eq=False)
class Environment:
    """Distant light and background.

    ``radiance`` (h, w, 3) float32 linear, equirectangular: the direction (x, y, z) in the world, turned back by
    ``rotation`` about z, is at u = 0.5 - atan2(y, x) / 2 pi, v = acos(z) / pi. ``key`` identifies it in caches,
    before rotation and intensity. ``background`` (H, W, 3) float32 linear, of the image's size, or None to show
    ``radiance`` (times ``intensity``) where there is no surface.
    """

    key: str
    radiance: NDArray[np.float32]
    rotation: float = 0.0
    intensity: float = 1.0
    background: NDArray[np.float32] | None = None


@dataclass(frozen=True, eq=False)
class Camera:
    """Pinhole: ``K`` (3, 3), ``T_world_cam`` (4, 4), image size in pixels, clip distances in metres."""

    K: NDArray[np.float64]
    T_world_cam: Mat4
    width: int
    height: int
    near: float = 0.01
    far: float = 100.0


@dataclass(frozen=True, eq=False)
class Neighbour:
    """Where things are at a neighbouring time, for motion: per drawable ``T_world_obj`` (M, 4, 4), and the camera."""

    T_world_obj: NDArray[np.float64]
    T_world_cam: Mat4


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One image to compute. ``drawables`` are in order of the record's bodies; instance ids are 0...K."""

    drawables: tuple[Drawable, ...]
    lights: tuple[LightRecord, ...]
    environment: Environment
    camera: Camera
    previous: Neighbour | None = None
    next: Neighbour | None = None


PASSES: dict[str, tuple[str, str]] = {
    "rgb": ("float32 (B, H, W, 3)", "linear radiance, before any sensor"),
    "depth": ("float32 (B, H, W)", "z-depth in metres at the pixel centre, 0 = no surface"),
    "instance": ("uint16 (B, H, W)", "instance id, 0 = background"),
    "normal": ("float32 (B, H, W, 3)", "unit normal in the camera frame, facing the camera; 0 where no surface"),
    "object_coords": ("float32 (B, H, W, 3)", "metres in the object's frame after scale; 0 where no surface"),
    "flow_forward": ("float32 (B, H, W, 2)", "pixels (dx, dy) to the next time; 0 where not defined"),
    "flow_backward": ("float32 (B, H, W, 2)", "pixels (dx, dy) to the previous time; 0 where not defined"),
    "part": ("uint16 (B, H, W)", "part id, 0 = no surface"),
}
"""What renderers compute: name -> (dtype and shape, meaning). Semantic ids follow from instance ids in labels."""


@dataclass(frozen=True, eq=False)
class Buffers:
    """Results by pass name, arrays as in PASSES. They are the caller's own: a later call does not overwrite them."""

    images: dict[str, NDArray[np.generic]]


class Renderer(Protocol):
    """Computes batches of snapshots."""

    name: str
    device: str
    passes: frozenset[str]

    def render(self, snapshots: Sequence[Snapshot], passes: Sequence[str]) -> Buffers:
        """Compute ``passes`` of all ``snapshots``, whose cameras share one image size.

        Each image depends on its own snapshot only, bit for bit. Raises RenderError for a pass that is not in
        ``self.passes``.
        """
        ...

    def silhouettes(self, snapshot: Snapshot) -> list[Silhouette]:
        """The full silhouette of every instance id 1...K of a snapshot, as if nothing stood in front of it."""
        ...

    def close(self) -> None:
        """Free what is resident."""
        ...

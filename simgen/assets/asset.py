"""What an asset is once it is loaded: geometry, appearance, collision shape and mass.

Everything is in metres in the asset's own frame (of its URDF base link, or of its mesh file with z up).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Texture:
    """An image resident in memory: uint8 (H, W, 3) or (H, W, 4), row 0 at the top.

    ``srgb`` says that colour channels are sRGB-encoded (colour maps) rather than linear (data maps). ``key``
    identifies it in caches: equal keys mean equal pixels.
    """

    key: str
    pixels: NDArray[np.uint8]
    srgb: bool = True


@dataclass(frozen=True, eq=False)
class Material:
    """Metallic-roughness material (glTF 2.0 semantics). ``base_color`` is linear RGBA and multiplies the map."""

    base_color: tuple[float, float, float, float] = (0.8, 0.8, 0.8, 1.0)
    base_color_map: Texture | None = None
    roughness: float = 0.6
    metallic: float = 0.0
    metallic_roughness_map: Texture | None = None
    """Green: roughness, blue: metallic (glTF)."""
    normal_map: Texture | None = None
    emissive: tuple[float, float, float] = (0.0, 0.0, 0.0)
    alpha_cutoff: float | None = None
    """Pixels whose alpha is below are holes; None: opaque."""
    double_sided: bool = False


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles with one material.

    ``vertices`` (V, 3) float32 metres; ``faces`` (F, 3) int32, counter-clockwise seen from outside; ``normals`` (V, 3)
    float32 unit; ``uv`` (V, 2) float32 or None, u to the right and v DOWN, (0, 0) the top left corner of the texture,
    repeating; ``colors`` (V, 4) float32 linear RGBA or None, multiplied into the base colour. ``key`` identifies the
    geometry in caches.
    """

    key: str
    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    normals: NDArray[np.float32]
    material: Material = Material()
    uv: NDArray[np.float32] | None = None
    colors: NDArray[np.float32] | None = None


@dataclass(frozen=True, eq=False)
class CollisionShape:
    """A convex shape. ``kind`` "hull": ``vertices`` (n, 3) float32 in the asset frame.

    The analytic kinds are centred on ``center`` in the asset frame, axes along the asset's: "box" with full ``size``
    (x, y, z), "sphere" with diameter ``size[0]``, "cylinder" and "capsule" along z with diameter ``size[0]`` and full
    height ``size[2]`` (a capsule's height counts its caps).
    """

    kind: Literal["hull", "box", "sphere", "cylinder", "capsule"]
    vertices: NDArray[np.float32] | None = None
    size: tuple[float, float, float] = (0.0, 0.0, 0.0)
    center: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True, eq=False)
class Inertia:
    """Mass in kg, centre of mass (asset frame), principal moments in kg m^2 and their axes as a quaternion."""

    mass: float
    center: tuple[float, float, float]
    moments: tuple[float, float, float]
    axes_xyzw: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True, eq=False)
class Asset:
    """A loaded asset.

    Rigid assets have ``meshes`` in the asset frame, ``collision`` and ``inertia``. Articulated ones (robots) have
    ``links``: meshes by link name, in the link's frame, and ``urdf``, which physics loads itself. ``bounds`` (2, 3)
    float64 are the corners of the box around ``meshes``; ``category`` is what it is called in labels by default.
    """

    name: str
    category: str
    meshes: tuple[Mesh, ...]
    bounds: NDArray[np.float64]
    collision: tuple[CollisionShape, ...] = ()
    inertia: Inertia | None = None
    links: dict[str, tuple[Mesh, ...]] = field(default_factory=dict)
    urdf: Path | None = None

    @property
    def articulated(self) -> bool:
        """Whether it has joints and is loaded from its URDF."""
        return self.urdf is not None

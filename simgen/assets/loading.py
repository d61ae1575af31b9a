"""From an entry of the index to a loaded asset."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simgen.assets.asset import Asset, CollisionShape, Inertia
from simgen.assets.collision import placed, scaled_shape
from simgen.assets.decomposition import fitted_shapes, mesh_shapes
from simgen.assets.inertia import DENSITY, filled, plausible, scaled_inertia, total_moments
from simgen.assets.mesh import Geometry, affine, bounds, joined, meshes, moved
from simgen.assets.mesh_files import read_mesh
from simgen.assets.sidecar import Sidecar
from simgen.assets.urdf import UrdfModel, read_urdf, rigid_meshes
from simgen.errors import AssetError

Y_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
"""Turns y up to z up."""

MAX_EXTENT = 1e4
"""Metres: anything larger has its units wrong."""


def load_asset(
    name: str, category: str, path: Path, cache_dir: Path, sidecar: Sidecar | None = None, parts: tuple[Path, ...] = ()
) -> Asset:
    """The asset in ``path``, a URDF or a mesh whose collision meshes are ``parts`` (none: derived from the mesh).

    Its mass is the sidecar's, else the URDF's, else that of its collision shapes at the sidecar's or default density.
    The URDF's inertia is used when it is plausible, else that of the evenly filled collision shapes. Raises AssetError.
    """
    notes = Sidecar() if sidecar is None else sidecar
    if path.suffix.lower() == ".urdf":
        model = read_urdf(path, cache_dir, notes.collision == "visual")
        if model.articulated:
            asset = _articulated(name, category, path, model, notes)
        else:
            asset = _rigid(name, category, path, cache_dir, model, notes)
    else:
        asset = _mesh(name, category, path, cache_dir, notes, parts)
    extent = float(np.ptp(asset.bounds, axis=0).max())
    if extent > MAX_EXTENT:
        raise AssetError(f"{path} is {extent:.3g} m large: its unit is not the metre, say so with scale in a sidecar")
    return asset


def _mesh(name: str, category: str, path: Path, cache_dir: Path, notes: Sidecar, parts: tuple[Path, ...]) -> Asset:
    def turned(geometry: Geometry) -> Geometry:
        return affine(geometry, A) if (np.eye(3) != A).any() else geometry

    A = _correction(notes)
    guess = notes.scale is None
    geometry = turned(read_mesh(path, guess_unit=guess))
    shapes: tuple[CollisionShape, ...] = ()
    for part in (path,) if notes.collision == "visual" or not parts else parts:
        shape_geometry = geometry if part == path else turned(read_mesh(part, shapes_only=True, guess_unit=guess))
        shapes += mesh_shapes(shape_geometry, cache_dir, f"mesh {part}")
    drawn = meshes(geometry)
    return Asset(name, category, drawn, bounds(drawn), shapes, _inertia(path, shapes, None, None, notes))


def _rigid(name: str, category: str, path: Path, cache_dir: Path, model: UrdfModel, notes: Sidecar) -> Asset:
    drawn = rigid_meshes(model)
    if not drawn:
        raise AssetError(f"{path} has nothing to see: give a link a <visual>")
    if not model.collision:
        raise AssetError(f"{path} has nothing to touch: give a link a <collision>")
    factor = 1.0 if notes.scale is None else notes.scale
    R = Y_UP if notes.up == "y" else np.eye(3)
    shapes, inertia, mass = model.collision, model.inertia, model.mass
    if factor != 1 or notes.up == "y":
        drawn = tuple(moved(mesh, R * factor) for mesh in drawn)
        shapes = tuple(placed(scaled_shape(shape, (factor,) * 3), R, np.zeros(3)) for shape in shapes)
        inertia = None if inertia is None or notes.up == "y" else scaled_inertia(inertia, (factor,) * 3, mass)
    if notes.collision is None:
        whole = joined(drawn)
        shapes = fitted_shapes(shapes, whole.vertices.astype(np.float64), whole.faces.astype(np.int64), cache_dir)
    return Asset(name, category, drawn, bounds(drawn), shapes, _inertia(path, shapes, mass, inertia, notes))


def _articulated(name: str, category: str, path: Path, model: UrdfModel, notes: Sidecar) -> Asset:
    for key in ("scale", "up", "mass", "density", "collision"):
        if getattr(notes, key) is not None:
            raise AssetError(f"{path} has joints, and {key} in a sidecar cannot change it: correct the URDF itself")
    boxes: list[NDArray[np.float64]] = []
    for link, parts in model.links.items():
        T = model.frames[link]
        boxes += [bounds([moved(part, T[:3, :3], T[:3, 3])]) for part in parts]
    if not boxes:
        raise AssetError(f"{path} has nothing to see: give a link a <visual>")
    corners = np.stack([np.min([box[0] for box in boxes], axis=0), np.max([box[1] for box in boxes], axis=0)])
    return Asset(name, category, (), corners, links=model.links, urdf=path.resolve())


def _correction(notes: Sidecar) -> NDArray[np.float64]:
    return (Y_UP if notes.up == "y" else np.eye(3)) * (1.0 if notes.scale is None else notes.scale)


def _inertia(
    path: Path, shapes: tuple[CollisionShape, ...], mass: float | None, given: Inertia | None, notes: Sidecar
) -> Inertia:
    weight = notes.mass if notes.mass is not None else (mass if notes.density is None else None)
    whole = total_moments(shapes)
    even = filled(whole, weight, DENSITY if notes.density is None else notes.density)
    if not (math.isfinite(even.mass) and even.mass > 0 and all(math.isfinite(m) and m > 0 for m in even.moments)):
        raise AssetError(f"{path} has a mass of {even.mass:.3g} kg and cannot be simulated: correct its scale or mass")
    if given is None or not plausible(given, filled(whole, given.mass)):
        return even
    return given if weight is None or weight == given.mass else replace(scaled_inertia(given, (1.0, 1.0, 1.0), weight))

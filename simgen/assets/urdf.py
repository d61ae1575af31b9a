"""URDF files: http://wiki.ros.org/urdf/XML.

Links joined by fixed joints only make one rigid body in the frame of the root link. A file with a movable joint is an
articulated asset: its meshes are kept by link, physics loads the file itself. Colours are taken as sRGB-encoded.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from simgen.assets import primitives, textures
from simgen.assets.asset import CollisionShape, Inertia, Material, Mesh, Texture
from simgen.assets.collision import placed
from simgen.assets.decomposition import mesh_shapes
from simgen.assets.inertia import from_tensor
from simgen.assets.mesh import F64, Geometry, affine, compose, merged, meshes, moved, rotate
from simgen.assets.mesh_files import read_mesh
from simgen.assets.obj import MAP_SIZE
from simgen.errors import AssetError, near_match

MOVABLE = frozenset({"revolute", "continuous", "prismatic", "planar", "floating"})
GEOMETRIES = frozenset({"mesh", "box", "sphere", "cylinder", "capsule"})


@dataclass(frozen=True, eq=False)
class UrdfModel:
    """What a URDF says.

    ``links``: visual meshes by link name, in the link's frame; ``frames``: ``T_root_link`` (4, 4) by link name with
    all joints at zero. ``collision`` is in the root frame and empty for articulated models. ``mass`` is None when the
    file gives none (or zero, which PyBullet takes as fixed), ``inertia`` when it gives no tensor.
    """

    root: str
    links: dict[str, tuple[Mesh, ...]]
    frames: dict[str, F64]
    articulated: bool
    collision: tuple[CollisionShape, ...] = ()
    mass: float | None = None
    inertia: Inertia | None = None


@dataclass(frozen=True, eq=False)
class _Inertial:
    mass: float
    center: F64
    tensor: F64


@dataclass
class _File:
    """One URDF being read: where it is, its materials by name, and the mesh files read so far."""

    path: Path
    cache_dir: Path
    materials: dict[str, Material] = field(default_factory=dict)
    read: dict[tuple[Path, bool], Geometry] = field(default_factory=dict)

    def mesh(self, element: Element, shapes_only: bool) -> Geometry:
        """The scaled geometry of a <mesh>."""
        path = mesh_path(self.path, element.get("filename", ""))
        shapes_only = shapes_only and (path, False) not in self.read  # what is there with its materials will do
        if (path, shapes_only) not in self.read:
            if not path.is_file():
                raise AssetError(
                    f"{self.path} refers to mesh {path}, which is missing: put it there or correct the URDF"
                )
            self.read[path, shapes_only] = read_mesh(path, shapes_only)
        scale = self.numbers(element, "scale", 3, (1.0, 1.0, 1.0))
        if not scale.all():
            raise AssetError(f"{self.path} scales mesh {path.name} by zero: correct the URDF")
        geometry = self.read[path, shapes_only]
        return geometry if (scale == 1).all() else affine(geometry, np.diag(scale))

    def numbers(self, element: Element, key: str, count: int, default: tuple[float, ...] | None = None) -> F64:
        """``count`` finite numbers of an attribute; raises AssetError when they are missing or are not numbers."""
        text = element.get(key)
        if text is None and default is not None:
            return np.array(default)
        try:
            values = [float(word) for word in (text or "").replace(",", " ").split()]
        except ValueError:
            values = []
        if len(values) != count or not all(map(math.isfinite, values)):
            what = "a number" if count == 1 else f"{count} numbers"
            raise AssetError(
                f'{self.path} has {key}="{text or ""}" in <{element.tag}> where {what} should be: correct it'
            )
        return np.array(values)

    def number(self, element: Element, key: str, default: float | None = None) -> float:
        """One finite number of an attribute."""
        return float(self.numbers(element, key, 1, None if default is None else (default,))[0])

    def size(self, element: Element, key: str) -> float:
        """One number above zero."""
        value = self.number(element, key)
        if value <= 0:
            raise AssetError(f"{self.path} has a <{element.tag}> with {key} {value:g}: it has to be above zero")
        return value

    def frame(self, element: Element | None) -> F64:
        """The 4x4 of the <origin> inside ``element``; roll, pitch, yaw turn about fixed x, y, z in this order."""
        T = np.eye(4)
        origin = None if element is None else element.find("origin")
        if origin is None:
            return T
        T[:3, 3] = self.numbers(origin, "xyz", 3, (0.0, 0.0, 0.0))
        roll, pitch, yaw = self.numbers(origin, "rpy", 3, (0.0, 0.0, 0.0)).tolist()
        (sr, cr), (sp, cp), (sy, cy) = ((_exact(math.sin(a)), _exact(math.cos(a))) for a in (roll, pitch, yaw))
        T[:3, :3] = [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
        return T


def read_urdf(path: Path, cache_dir: Path, visual_collision: bool = False) -> UrdfModel:
    """The model of ``path``; convex decompositions of its collision meshes are kept in ``cache_dir``.

    A link without collision shapes takes those of its visual ones, and every link does with ``visual_collision``.
    Raises AssetError when the file, a mesh or a texture is missing or broken, or when its links do not hang together.
    """
    try:
        robot = ElementTree.fromstring(path.read_bytes().strip())
    except OSError as error:
        raise AssetError(f"{path} cannot be read ({error.strerror}): check the path") from None
    except ElementTree.ParseError as error:
        raise AssetError(f"{path} is not well-formed XML ({error}): correct or export it again") from None
    if robot.tag != "robot":
        raise AssetError(f"{path} is not a URDF: its root element is <{robot.tag}>, not <robot>")
    file = _File(path, cache_dir)
    for element in robot.iter("material"):
        _define(file, element)
    links = {name: link for link in robot.findall("link") for name in [link.get("name", "")]}
    frames, articulated = _frames(file, robot, list(links))
    visuals = {name: _link_meshes(file, link) for name, link in links.items()}
    root = next(iter(frames))
    if articulated:
        for element in robot.iter("collision"):
            for mesh in element.iter("mesh"):
                if not mesh_path(path, mesh.get("filename", "")).is_file():
                    raise AssetError(f"{path} refers to mesh {mesh.get('filename')}, which is missing: put it there")
        return UrdfModel(root, visuals, frames, True)
    shapes = [
        shape for name, link in links.items() for shape in _link_shapes(file, link, frames[name], visual_collision)
    ]
    masses = [
        found for name, link in links.items() for found in [_inertial(file, link, frames[name])] if found is not None
    ]
    mass, inertia = _joined(masses)
    return UrdfModel(root, visuals, frames, False, tuple(shapes), mass, inertia)


def mesh_path(urdf: Path, name: str) -> Path:
    """The file that ``name`` in a <mesh> or <texture> of ``urdf`` means.

    ``package://NAME/rest`` is looked for as NAME/rest and as rest beside the URDF and in each folder above it.
    """
    if name.startswith("file://"):
        return Path(name.removeprefix("file://"))
    if not name.startswith(("package://", "model://")):
        return urdf.parent / name
    whole = name.partition("://")[2]
    rest = whole.partition("/")[2]
    for folder in [urdf.parent, *urdf.parent.parents][:8]:
        for candidate in (whole, rest):
            if candidate and (folder / candidate).is_file():
                return folder / candidate
    return urdf.parent / whole


def rigid_meshes(model: UrdfModel) -> tuple[Mesh, ...]:
    """All visual meshes in the root frame with the joints at zero, one for each material."""
    parts = []
    for name, link in model.links.items():
        T = model.frames[name]
        same = bool((np.eye(4) == T).all())
        parts += [mesh if same else moved(mesh, T[:3, :3], T[:3, 3]) for mesh in link]
    return merged(parts)


def _frames(file: _File, robot: Element, links: list[str]) -> tuple[dict[str, F64], bool]:
    """``T_root_link`` of each link, the root first, and whether a joint can move."""
    if not links:
        raise AssetError(f"{file.path} has no links: export it again")
    children: dict[str, list[tuple[str, F64]]] = {name: [] for name in links}
    parents: dict[str, str] = {}
    articulated = False
    for joint in robot.findall("joint"):
        ends = []
        for tag in ("parent", "child"):
            element = joint.find(tag)
            name = "" if element is None else element.get("link", "")
            if name not in children:
                hint = near_match(name, links)
                raise AssetError(f'{file.path} joins <{tag}> link "{name}", which it does not define{hint}: correct it')
            ends.append(name)
        parent, child = ends
        if child in parents:
            raise AssetError(f'{file.path} joins link "{child}" to two parents: a URDF has to be a tree')
        parents[child] = parent
        children[parent].append((child, file.frame(joint)))
        articulated |= joint.get("type") in MOVABLE
    roots = [name for name in links if name not in parents]
    if len(roots) != 1:
        problem = "its joints form a ring" if not roots else f"links {', '.join(roots[:4])} hang on nothing"
        raise AssetError(f"{file.path} is not a tree with one root ({problem}): join its links")
    frames: dict[str, F64] = {}
    stack = [(roots[0], np.eye(4))]
    while stack:
        name, T = stack.pop()
        frames[name] = T
        stack += [(child, compose(T, offset)) for child, offset in reversed(children[name])]
    if len(frames) != len(links):
        raise AssetError(f"{file.path} has joints that form a ring: a URDF has to be a tree")
    return frames, articulated


def _geometry(file: _File, element: Element) -> Element:
    """The one shape inside the <geometry> of a <visual> or <collision>."""
    holder = element.find("geometry")
    for shape in [] if holder is None else list(holder):
        if shape.tag in GEOMETRIES:
            return shape
    known = ", ".join(sorted(GEOMETRIES))
    raise AssetError(f"{file.path} has a <{element.tag}> without a geometry that is known ({known}): add one")


def _link_meshes(file: _File, link: Element) -> tuple[Mesh, ...]:
    parts: list[Mesh] = []
    for visual in link.findall("visual"):
        shape, T = _geometry(file, visual), file.frame(visual)
        paint = _painted(file, visual.find("material"))
        if shape.tag == "mesh":
            geometry = paint(file.mesh(shape, shapes_only=False))
            parts += meshes(affine(geometry, T[:3, :3], T[:3, 3]))
        else:
            analytic = _analytic(file, shape)
            mesh = moved(_primitive_mesh(analytic), T[:3, :3], T[:3, 3])
            parts.append(replace(mesh, material=_material(file, visual.find("material")) or Material()))
    return merged(parts)


def _painted(file: _File, element: Element | None) -> Callable[[Geometry], Geometry]:
    """What a visual's <material> does to a mesh: it replaces a single material that has no colour map of its own."""
    material = _material(file, element)

    def paint(geometry: Geometry) -> Geometry:
        if material is None or len(geometry.materials) != 1 or geometry.colors is not None:
            return geometry
        own = geometry.materials[0]
        if own.base_color_map is not None:
            return geometry
        color_map = material.base_color_map if geometry.uv is not None else None
        return replace(geometry, materials=(replace(own, base_color=material.base_color, base_color_map=color_map),))

    return paint


def _define(file: _File, element: Element) -> None:
    material = _read_material(file, element)
    if material is not None:
        file.materials.setdefault(element.get("name", ""), material)


def _material(file: _File, element: Element | None) -> Material | None:
    if element is None:
        return None
    return _read_material(file, element) or file.materials.get(element.get("name", ""))


def _read_material(file: _File, element: Element) -> Material | None:
    color, image = element.find("color"), element.find("texture")
    if color is None and (image is None or not image.get("filename")):
        return None
    r, g, b, a = (1.0, 1.0, 1.0, 1.0) if color is None else np.clip(file.numbers(color, "rgba", 4), 0, 1).tolist()
    texture: Texture | None = None
    if image is not None and image.get("filename"):
        texture = textures.load(mesh_path(file.path, image.get("filename", "")), MAP_SIZE)
    red, green, blue = textures.linear([r, g, b]).tolist()
    return Material(base_color=(red, green, blue, a), base_color_map=texture)


def _link_shapes(file: _File, link: Element, T_root_link: F64, visual: bool) -> list[CollisionShape]:
    shapes: list[CollisionShape] = []
    for element in ([] if visual else link.findall("collision")) or link.findall("visual"):
        geometry, T = _geometry(file, element), compose(T_root_link, file.frame(element))
        if geometry.tag == "mesh":
            where = f"mesh {geometry.get('filename')} of {file.path}"
            parts = mesh_shapes(file.mesh(geometry, shapes_only=True), file.cache_dir, where)
        else:
            parts = (_analytic(file, geometry),)
        shapes += [placed(part, T[:3, :3], T[:3, 3]) for part in parts]
    return shapes


def _analytic(file: _File, element: Element) -> CollisionShape:
    if element.tag == "box":
        x, y, z = file.numbers(element, "size", 3).tolist()
        if min(x, y, z) <= 0:
            raise AssetError(f"{file.path} has a <box> of size {x:g} {y:g} {z:g}: each side has to be above zero")
        return CollisionShape("box", size=(x, y, z))
    diameter = 2 * file.size(element, "radius")
    if element.tag == "sphere":
        return CollisionShape("sphere", size=(diameter, diameter, diameter))
    length = file.size(element, "length")
    if element.tag == "cylinder":
        return CollisionShape("cylinder", size=(diameter, diameter, length))
    return CollisionShape("capsule", size=(diameter, diameter, length + diameter))


def _primitive_mesh(shape: CollisionShape) -> Mesh:
    if shape.kind == "capsule":
        return primitives.capsule_mesh(shape.size[0], shape.size[2])
    unit = {"box": primitives.box_mesh, "sphere": primitives.sphere_mesh, "cylinder": primitives.cylinder_mesh}
    return moved(unit[shape.kind](), np.diag(shape.size))


def _inertial(file: _File, link: Element, T: F64) -> _Inertial | None:
    element = link.find("inertial")
    weight = None if element is None else element.find("mass")
    if element is None or weight is None:
        return None
    mass = file.number(weight, "value")
    if mass < 0:
        raise AssetError(f"{file.path} has a mass of {mass:g} kg: give one above zero, or none to have it estimated")
    if mass == 0:
        return None
    frame = compose(T, file.frame(element))
    values = element.find("inertia")
    tensor = np.zeros((3, 3))
    if values is not None:
        xx, yy, zz = (file.number(values, key) for key in ("ixx", "iyy", "izz"))
        xy, xz, yz = (file.number(values, key, 0.0) for key in ("ixy", "ixz", "iyz"))
        tensor = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    R = frame[:3, :3]
    return _Inertial(mass, frame[:3, 3], rotate(R, rotate(R, tensor.T).T))


def _joined(parts: list[_Inertial]) -> tuple[float | None, Inertia | None]:
    """The mass and inertia of several links together (parallel axis theorem); None where the file gives nothing."""
    if not parts:
        return None, None
    mass = math.fsum(part.mass for part in parts)
    if not all(part.tensor.any() for part in parts):
        return mass, None
    center = sum((part.mass * part.center for part in parts), np.zeros(3)) / mass
    tensor: NDArray[np.float64] = np.zeros((3, 3))
    for part in parts:
        d = part.center - center
        square = d[0] * d[0] + d[1] * d[1] + d[2] * d[2]
        tensor = tensor + part.tensor + part.mass * (square * np.eye(3) - np.multiply.outer(d, d))
    return mass, from_tensor(mass, center, tensor)


def _exact(value: float) -> float:
    """-1, 0 and 1 for sines and cosines that miss them because a file writes pi with few digits."""
    nearest = round(value)
    return float(nearest) if abs(value - nearest) < 1e-6 else value

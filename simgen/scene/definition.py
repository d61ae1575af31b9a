"""The language of scene definitions.

``SceneDefinition`` is the schema of ``scenes/*.yaml``. Settings declared with ``varies`` may be a fixed value or a
distribution; in a built definition they hold a ``Distribution``. Nothing is random unless the YAML says so, except
where a group's objects go. Metres, seconds, kilograms; keys in degrees end in ``_deg``; colours are ``"#rrggbb"``
(sRGB) or ``[r, g, b]`` in linear light.
"""

# ruff: noqa: RUF009 -- number, vector, varies and word return dataclass fields

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from simgen.errors import ConfigError, near_match
from simgen.scene.exposure_definition import (
    ApertureDefinition,
    MotionDefinition,
    ShutterDefinition,
    check_focus,
    check_shutter,
)
from simgen.scene.fields import nested, number, varies, vector, word, words
from simgen.scene.sensor_definition import (
    DepthSensorDefinition,
    DistortionDefinition,
    Intrinsics,
    SensorDefinition,
    TraceSensorDefinition,
    check_depth_sensor,
    check_lens,
    check_trace_sensor,
)
from simgen.scene.target_definition import Requirement, Search, Target, check_targets

TRACES = ("bodies", "contacts", "joints", "camera")
GREY = [0.5, 0.5, 0.5]


@dataclass
class World:
    """Physics; see ``WorldRecord`` for the meaning of each."""

    gravity: list[float] = vector((0.0, 0.0, -9.81), 3)
    timestep: float = number(1 / 240, above=0, high=0.05)
    settle: bool = True
    settle_time: float = number(4.0, above=0)
    rest_speed: float = number(0.02, above=0)
    bounds: list[float] = vector((3.0, 3.0, 1.5), 3, above=0)
    trace_rate: float = number(60.0, above=0)


@dataclass
class TextureDefinition:
    """What is laid over the asset's own surface.

    With ``probability`` an item gets a texture: an image of the library that matches ``images`` with probability
    ``image_share`` (always generated when none matches), else a generated one of the kinds ``procedural`` ("*": all)
    in drawn ``colors``. Nominal: none.
    """

    probability: float = number(0.0, low=0, high=1)
    images: list[str] = field(default_factory=list)
    image_share: float = number(0.75, low=0, high=1)
    procedural: list[str] = field(default_factory=lambda: ["*"])
    colors: Any = varies("color", GREY, low=0)
    tile: Any = varies("number", 0.5, above=0)
    """Metres that one repeat of the texture covers."""
    scale: Any = varies("number", 1.0, above=0)
    """Feature size of generated textures."""


@dataclass
class MaterialDefinition:
    """How a surface reflects. Null keeps the asset's own value; ``probability`` is the share of items changed at all.

    ``color`` replaces the asset's colour and colour map; ``tint`` multiplies them.
    """

    probability: float = number(1.0, low=0, high=1)
    color: Any = varies("color", None, low=0, high=1)
    tint: Any = varies("color", [1.0, 1.0, 1.0], low=0)
    roughness: Any = varies("number", None, low=0, high=1)
    metallic: Any = varies("number", None, low=0, high=1)


@dataclass
class Surface:
    """Something that stands still.

    ``kind``: a "plane" (top at ``position``); a "table" with legs ``height`` long, its top at ``position``; a "tray" or
    "bin" with walls ``height`` high, its underside at ``position``; a "room" with walls ``height`` high, the middle of
    its floor at ``position``. ``size`` is the extent in x and y, inside the walls. Null: usual for the kind.
    """

    kind: str = word("plane", "plane", "table", "tray", "bin", "room")
    size: list[float] = vector((2.0, 2.0), 2, above=0)
    height: float | None = number(None, above=0)
    thickness: float | None = number(None, above=0)
    position: Any = varies("vec3", [0.0, 0.0, 0.0])
    yaw_deg: Any = varies("number", 0.0)
    friction: Any = varies("number", 0.6, low=0)
    restitution: Any = varies("number", 0.1, low=0, high=1)
    material: MaterialDefinition = field(default_factory=MaterialDefinition)
    texture: TextureDefinition = field(default_factory=TextureDefinition)


@dataclass
class FixedPose:
    """A given pose in the frame of the surface that the group goes ``onto``; angles are roll, pitch, yaw as in URDF."""

    position: Any = varies("vec3", [0.0, 0.0, 0.0])
    rpy_deg: Any = varies("vec3", [0.0, 0.0, 0.0])


@dataclass
class Placement:
    """Where the objects of a group go.

    ``kind``: "drop" lets them fall into ``region``, one over the other where they would touch, and the world settles;
    "surface" sets them down next to each other; "floating" hangs them apart in a volume; "fixed" uses ``poses``.
    ``region`` is the extent (x, y), for floating (x, y, z), around ``center``, in the frame of the surface ``onto``
    which they go, z = 0 being its top (null: the world). Null region: nearly all of that surface. ``height`` is the
    air under the lowest object of a drop, ``gap`` what is kept free between neighbours.

    ``rotation`` null: random for drop and floating, upright for surface. ``keep_inside`` takes out what has come to
    rest outside of the tray, bin or room that it was to go into.
    """

    kind: str = word("drop", "drop", "surface", "floating", "fixed")
    onto: str | None = None
    region: list[float] | None = None
    center: list[float] = vector((0.0, 0.0, 0.0), 3)
    height: float = number(0.03, low=0)
    gap: float = number(0.005, low=0)
    rotation: Any = varies("rotation", None)
    keep_inside: bool = False
    poses: list[FixedPose] = field(default_factory=list)


@dataclass
class Group:
    """Objects that are drawn from one pool.

    ``assets`` are names or globs of the library; ``fallback`` is used when none of them is there, so that a definition
    works without any asset path. ``balance`` draws uniformly over the pool's "categories" or over its "assets".
    ``category``: the name for labels, null for each asset's own; ``label: false`` leaves the group in the background.
    A ``category`` with "{}" reads it from names: with "*/{}_*", signs/stop_2 is a "stop". ``categories`` (category ->
    names or globs, as in king: ["*/K?"]) comes before it. What fits neither has its own.
    ``category_by_up`` names objects by how they lie: category -> a direction in the asset's frame. The one that points
    most upwards in the world, at the time of the image, gives the category, and the first of equal ones; a die on its
    edge counts as the face that is nearer to the top.
    Images are assets, too: "plate/cards/*" are thin plates that show those of the folder cards, in the x-y plane with
    the front towards z ("plate/cards/*@corner=0.04,back=cards/back.png": see simgen.assets.plates).
    ``shares``: category -> the share of the group's objects that is drawn from it; the others are balanced as before.
    ``size``: the longest side in metres, or [x, y, z] to stretch to; null keeps the asset's size. ``scale`` multiplies.
    ``mass`` in kg, null for the asset's own; ``mass_factor`` multiplies either. ``motion`` null: dynamic for drop and
    surface, fixed otherwise.
    """

    assets: list[str] = field(default_factory=list)
    fallback: list[str] = field(default_factory=list)
    count: Any = varies("integer", 1, low=0, high=10_000)
    balance: str = word("categories", "categories", "assets")
    shares: dict[str, float] = field(default_factory=dict)
    category: str | None = None
    categories: dict[str, list[str]] = field(default_factory=dict)
    category_by_up: dict[str, Any] = field(default_factory=dict)
    label: bool = True
    place: Placement = field(default_factory=Placement)
    size: Any = varies("size", None, above=0)
    scale: Any = varies("size", 1.0, above=0)
    motion: str | None = field(default=None, metadata={"of": ("dynamic", "fixed", "ghost")})
    mass: Any = varies("number", None, above=0)
    mass_factor: Any = varies("number", 1.0, above=0)
    friction: Any = varies("number", 0.6, low=0)
    restitution: Any = varies("number", 0.1, low=0, high=1)
    material: MaterialDefinition = field(default_factory=MaterialDefinition)
    texture: TextureDefinition = field(default_factory=TextureDefinition)


@dataclass
class Distractor(Group):
    """A group that is there to confuse: not labelled unless it says so, and switched by its own factor."""

    label: bool = False


@dataclass
class Motion:
    """A robot's joint motion.

    It starts at ``home`` (joint -> radians or metres) and visits ``waypoints`` points, ``interval`` seconds apart. Each
    point turns every revolute joint of ``home`` by an ``offset`` of its own, within the limits of the URDF; sliding
    joints stay. ``path`` gives the points instead, each a list in the order of ``home``. ``force`` limits each motor.
    """

    home: dict[str, float] = field(default_factory=dict)
    waypoints: int = number(4, low=1, high=10_000)
    interval: float = number(1.0, above=0)
    offset: Any = varies("number", 0.0)
    path: list[Any] = nested(list[list[float]], list)
    force: float = number(200.0, above=0)


@dataclass
class Robot:
    """An articulated asset whose base is fixed at ``position``; cameras ride on its links."""

    asset: str = ""
    position: Any = varies("vec3", [0.0, 0.0, 0.0])
    yaw_deg: Any = varies("number", 0.0)
    motion: Motion = field(default_factory=Motion)


@dataclass
class Lights:
    """Lamps.

    ``direction`` points from ``target`` to the lamp, ``distance`` metres away. ``intensity`` is the irradiance that
    arrives at the target, whatever the kind; under pi a white surface reads 1.0. ``temperature`` in kelvin colours it.
    ``size`` is the lamp's radius in metres (half the side of an area light); it softens shadows.
    """

    count: Any = varies("integer", 1, low=0, high=64)
    kind: Any = varies("word", "directional", words=("directional", "point", "spot", "area"))
    direction: Any = varies("direction", [0.3, -0.4, 1.0])
    distance: Any = varies("number", 2.0, above=0)
    intensity: Any = varies("number", 2.5, low=0)
    temperature: Any = varies("number", 6500.0, low=1000, high=15000)
    size: Any = varies("number", 0.05, low=0)
    target: list[float] = vector((0.0, 0.0, 0.0), 3)
    spot_deg: Any = varies("number", 35.0, above=0, high=85)
    """Half angle of the cone of a spot."""


@dataclass
class SkyDefinition:
    """A generated sky with its sun, which lights the scene as one more directional light.

    ``haze`` from 0 (deep blue) to 1 (white horizon), ``clouds`` from 0 to 1 (overcast, no sun). ``sun`` is the
    irradiance of the unclouded sun beside a sky of radiance about 1.
    """

    sun_elevation_deg: Any = varies("number", 40.0, low=0, high=90)
    sun_azimuth_deg: Any = varies("number", 30.0)
    sun: Any = varies("number", 3.0, low=0)
    haze: Any = varies("number", 0.3, low=0, high=1)
    clouds: Any = varies("number", 0.2, low=0, high=1)
    ground: Any = varies("color", [0.2, 0.18, 0.16], low=0, high=1)


@dataclass
class EnvironmentDefinition:
    """Light from all around: an environment map that matches ``images``, or a generated sky.

    ``fallback`` is used when no map matches ``images``. ``sky_share`` is the probability of the sky; it is 1 when there
    is no map at all. Nominal: the sky, or the first map when ``sky_share`` is 0.
    """

    images: list[str] = field(default_factory=list)
    fallback: list[str] = field(default_factory=list)
    sky_share: float = number(0.25, low=0, high=1)
    rotation_deg: Any = varies("number", 0.0)
    intensity: Any = varies("number", 1.0, low=0)
    sky: SkyDefinition = field(default_factory=SkyDefinition)


@dataclass
class BackgroundDefinition:
    """What is seen where there is no surface: the "environment", a "texture" that fills the frame, or a "color"."""

    kind: Any = varies("word", "environment", words=("environment", "texture", "color"))
    color: Any = varies("color", GREY, low=0)
    texture: TextureDefinition = field(default_factory=TextureDefinition)


@dataclass
class CameraDefinition:
    """A camera and where it stands.

    ``kind`` "shell": looks at ``target`` from ``radius``, ``elevation_deg`` above the horizon and ``azimuth_deg`` from
    x towards y. "fixed": stands at ``position`` and looks at ``target``, or along its own z when ``rpy_deg`` is given.
    "link": rides on ``link`` of the robot at ``position``, ``rpy_deg`` in the link's frame; it looks along its z, x to
    the right, y down. ``views`` placements are drawn per scene and held through its time.

    "rig": is mounted on camera ``of`` at ``position``, ``rpy_deg`` in that camera's frame (x right, y down, z forward),
    drawn once a scene: it has the other's views and moves with it. With ``optics`` "shared" it has the other's lens,
    sensor and shutter, too, but for its own ``shift``, noise and depth sensor; with "own" those given here.

    The focal length follows from ``hfov_deg``, the horizontal field of view (of a "fisheye" with its distortion, else
    without), or from ``focal_mm`` on a sensor ``sensor_width_mm`` wide, or is given by ``intrinsics``, which are scaled
    to the size of the image. ``shift`` moves the principal point, as a share of the image's width and height.
    ``calibration`` is a file of a real camera (OpenCV's YAML or JSON, ROS's camera_info) that gives ``intrinsics`` and
    ``distortion``.
    """

    kind: str = word("shell", "shell", "fixed", "link", "rig")
    views: int = number(1, low=1, high=10_000)
    target: Any = varies("vec3", [0.0, 0.0, 0.0])
    radius: Any = varies("number", 1.0, above=0)
    elevation_deg: Any = varies("number", 40.0, low=-90, high=90)
    azimuth_deg: Any = varies("number", -90.0)
    roll_deg: Any = varies("number", 0.0)
    position: Any = varies("vec3", [0.0, 0.0, 0.0])
    rpy_deg: Any = varies("vec3", None)
    link: str | None = None
    of: str | None = None
    optics: str = word("shared", "shared", "own")
    motion: MotionDefinition = field(default_factory=MotionDefinition)
    hfov_deg: Any = varies("number", 55.0, above=0, high=170)
    focal_mm: Any = varies("number", None, above=0)
    sensor_width_mm: float = number(36.0, above=0)
    intrinsics: Intrinsics = field(default_factory=Intrinsics)
    shift: Any = varies("vec2", [0.0, 0.0], low=-0.5, high=0.5)
    distortion: DistortionDefinition = field(default_factory=DistortionDefinition)
    calibration: str | None = None
    shutter: ShutterDefinition = field(default_factory=ShutterDefinition)
    aperture: ApertureDefinition = field(default_factory=ApertureDefinition)
    depth_sensor: DepthSensorDefinition = field(default_factory=DepthSensorDefinition)
    near: float = number(0.01, above=0)
    far: float = number(100.0, above=0)


@dataclass
class Time:
    """``frames`` images of each view, ``rate`` per second, the first when the scene has settled."""

    frames: int = number(1, low=1, high=1_000_000)
    rate: float = number(10.0, above=0)


@dataclass
class KeypointTemplate:
    """Named points of the ``assets`` (names or globs), [x, y, z] in metres in the asset's frame, before any scale.

    An asset takes the first template that it matches; without one, the keypoints of its sidecar.
    """

    assets: list[str] = field(default_factory=list)
    points: dict[str, Any] = nested(dict[str, list[float]], dict)


@dataclass
class SceneDefinition:
    """A scene; see the classes above for its parts. ``name`` is the file's unless given."""

    name: str = ""
    about: str = ""
    world: World = field(default_factory=World)
    surfaces: dict[str, Surface] = field(default_factory=dict)
    objects: dict[str, Group] = field(default_factory=dict)
    distractors: dict[str, Distractor] = field(default_factory=dict)
    robot: Robot | None = None
    lights: Lights = field(default_factory=Lights)
    environment: EnvironmentDefinition = field(default_factory=EnvironmentDefinition)
    background: BackgroundDefinition = field(default_factory=BackgroundDefinition)
    cameras: dict[str, CameraDefinition] = field(default_factory=dict)
    time: Time = field(default_factory=Time)
    traces: list[str] = words(TRACES)
    sensor: SensorDefinition = field(default_factory=SensorDefinition)
    sensors: dict[str, TraceSensorDefinition] = field(default_factory=dict)
    keypoints: dict[str, KeypointTemplate] = field(default_factory=dict)
    targets: dict[str, Target] = field(default_factory=dict)
    require: dict[str, Requirement] = field(default_factory=dict)
    search: Search = field(default_factory=Search)

    @property
    def views(self) -> int:
        """Images of the scene at one time."""
        return sum(self.views_of(name) for name in self.cameras)

    def views_of(self, name: str) -> int:
        """Placements of the camera called ``name``; those on a rig have the views of the camera that carries them."""
        camera = self.cameras[name]
        return self.cameras[camera.of].views if camera.kind == "rig" and camera.of else camera.views


def check(scene: SceneDefinition, where: str = "scene") -> None:
    """Raise ConfigError where parts of a built definition contradict each other."""
    if not scene.cameras:
        raise ConfigError(f"{where}.cameras is empty; a scene needs at least one camera.")
    _check_names(scene, where)
    for part, groups in (("objects", scene.objects), ("distractors", scene.distractors)):
        for name, group in groups.items():
            _check_group(group, scene, f"{where}.{part}.{name}")
    for name, camera in scene.cameras.items():
        _check_camera(camera, scene, f"{where}.cameras.{name}")
    for name, template in scene.keypoints.items():
        if not template.assets or not template.points:
            raise ConfigError(f"{where}.keypoints.{name} needs assets and points.")
        for key, point in template.points.items():
            if len(point) != 3:
                raise ConfigError(f"{where}.keypoints.{name}.points.{key} must be a list of 3 numbers, not {point}.")
    for name, sensor in scene.sensors.items():
        _check_sensor(name, sensor, scene, f"{where}.sensors.{name}")
    labelled = [name for name, group in {**scene.objects, **scene.distractors}.items() if group.label]
    check_targets(scene.targets, scene.require, labelled, where)
    if scene.robot is not None:
        _check_robot(scene.robot, f"{where}.robot")
    elif "joints" in scene.traces:
        raise ConfigError(f"{where}.traces asks for joints, but the scene has no robot.")


def _check_names(scene: SceneDefinition, where: str) -> None:
    owner: dict[str, str] = {"robot": "robot"} if scene.robot is not None else {}
    for part, names in (
        ("surfaces", scene.surfaces),
        ("objects", scene.objects),
        ("distractors", scene.distractors),
    ):
        for name in names:
            if name in owner:
                raise ConfigError(f"{where}.{part}.{name}: {owner[name]} already uses this name; give another one.")
            owner[name] = f"{where}.{part}"


def _check_group(group: Group, scene: SceneDefinition, where: str) -> None:
    if not group.assets and not group.fallback:
        raise ConfigError(f'{where} names no assets; give {where}.assets a list of names or globs such as "ycb/*".')
    _check_category(group, where)
    if min(group.shares.values(), default=0) < 0 or sum(group.shares.values()) > 1 + 1e-9:
        raise ConfigError(f"{where}.shares must be numbers from 0 up whose sum is at most 1, not {group.shares}.")
    place = group.place
    if place.onto is not None and place.onto not in scene.surfaces:
        known = ", ".join(scene.surfaces) or "none"
        hint = near_match(place.onto, scene.surfaces)
        raise ConfigError(f"{where}.place.onto: there is no surface {place.onto!r}{hint}; there are: {known}.")
    if place.kind == "fixed" and not place.poses:
        raise ConfigError(f"{where}.place is fixed but has no poses; list them in {where}.place.poses.")
    if place.kind == "fixed" and (most := max(group.count.outcomes)) > len(place.poses):
        raise ConfigError(f"{where}.count can be {most}, but there are only {len(place.poses)} poses to put them.")
    if place.keep_inside and (place.onto is None or scene.surfaces[place.onto].kind not in ("tray", "bin", "room")):
        raise ConfigError(f"{where}.place.keep_inside needs a tray, bin or room that {where}.place.onto names.")
    length = 3 if place.kind == "floating" else 2
    if place.region is None:
        if place.kind == "floating" or (place.kind in ("drop", "surface") and place.onto is None):
            raise ConfigError(f"{where}.place needs a region of {length} extents in metres.")
    elif len(place.region) != length or min(place.region) < 0:
        raise ConfigError(f"{where}.place.region must be {length} extents in metres, not {place.region}.")


def _check_category(group: Group, where: str) -> None:
    if not group.category_by_up:
        return
    others = {"category": group.category, "categories": group.categories, "label: false": not group.label}
    for other, given in others.items():
        if given:
            raise ConfigError(f"{where} has category_by_up and {other}, which contradict each other; leave one out.")
    for name, axis in group.category_by_up.items():
        if not _is_direction(axis):
            raise ConfigError(
                f"{where}.category_by_up.{name} must be a direction: a list of 3 numbers, not all zero, not {axis}."
            )


def _is_direction(axis: Any) -> bool:
    numbers = isinstance(axis, list) and all(isinstance(part, int | float) and isfinite(part) for part in axis)
    return numbers and len(axis) == 3 and any(axis)


def _check_camera(camera: CameraDefinition, scene: SceneDefinition, where: str) -> None:
    if camera.kind == "link" and (scene.robot is None or not camera.link):
        missing = "the scene has no robot" if scene.robot is None else f"{where}.link is not given"
        raise ConfigError(f"{where} rides on a link, but {missing}.")
    if camera.calibration is not None and (camera.intrinsics.given or camera.distortion.given):
        raise ConfigError(f"{where}.calibration gives intrinsics and distortion; leave these out, or the calibration.")
    if camera.kind == "rig":
        _check_rig(camera, scene, where)
    elif camera.of is not None:
        raise ConfigError(f'{where}.of is for cameras of kind "rig", and this one is "{camera.kind}"; leave it out.')
    check_shutter(camera.shutter, scene.time.frames, scene.time.rate, f"{where}.shutter")
    aimed = camera.kind == "shell" or (camera.kind == "fixed" and camera.rpy_deg is None)
    check_focus(camera.aperture, aimed, f"{where}.aperture")
    check_lens(camera.intrinsics, camera.distortion, where)
    check_depth_sensor(camera.depth_sensor, f"{where}.depth_sensor")
    if camera.near >= camera.far:
        raise ConfigError(f"{where}: near {camera.near} is not below far {camera.far}.")


def _check_rig(camera: CameraDefinition, scene: SceneDefinition, where: str) -> None:
    others = {name: other for name, other in scene.cameras.items() if other is not camera}
    if camera.of not in others:
        known = ", ".join(others) or "none"
        hint = near_match(str(camera.of), others)
        raise ConfigError(f"{where}.of: there is no other camera {camera.of!r}{hint}; there are: {known}.")
    if others[camera.of].kind == "rig":
        raise ConfigError(f"{where}.of: {camera.of} is on a rig itself; mount both on {others[camera.of].of}.")
    if camera.views not in (1, others[camera.of].views):
        raise ConfigError(f"{where}.views: it has those of {camera.of}, {others[camera.of].views}; leave them out.")
    if camera.motion != MotionDefinition():
        raise ConfigError(f"{where}.motion: it moves with {camera.of}; give the motion there.")


def _check_sensor(name: str, sensor: TraceSensorDefinition, scene: SceneDefinition, where: str) -> None:
    if name in TRACES:
        raise ConfigError(f"{where}: {name} is the name of a trace of the physics; give another one.")
    if (sensor.kind in ("encoders", "force_torque") or sensor.link is not None) and scene.robot is None:
        raise ConfigError(f"{where} sits on the robot, but the scene has none.")
    if sensor.camera is not None and sensor.camera not in scene.cameras:
        known = ", ".join(scene.cameras)
        hint = near_match(sensor.camera, scene.cameras)
        raise ConfigError(f"{where}.camera: there is no camera {sensor.camera!r}{hint}; there are: {known}.")
    if sensor.camera is not None and scene.cameras[scene.cameras[sensor.camera].of or sensor.camera].motion.travels:
        raise ConfigError(
            f"{where} cannot ride on {sensor.camera}, which moves by itself; a link of a robot can carry it."
        )
    groups = {**scene.objects, **scene.distractors}
    if sensor.body is not None and sensor.body.rpartition("_")[0] not in groups:
        known = ", ".join(f"{group}_00" for group in groups) or "none"
        raise ConfigError(f"{where}.body: there can be no object {sensor.body!r}; there are, for example: {known}.")
    check_trace_sensor(sensor, where)


def _check_robot(robot: Robot, where: str) -> None:
    if not robot.asset:
        raise ConfigError(f'{where}.asset is empty; name an articulated asset such as "pybullet/franka_panda/panda".')
    joints = len(robot.motion.home)
    for k, point in enumerate(robot.motion.path):
        if len(point) != joints:
            raise ConfigError(
                f"{where}.motion.path.{k} has {len(point)} numbers, but {where}.motion.home has {joints} joints."
            )

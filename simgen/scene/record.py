"""SceneRecord: one scene with every number decided.

A record is what sampling gives and what simulation and rendering take. It is plain data, survives a round trip
through JSON bit for bit, and together with the assets it names it is enough to compute every frame of the scene again.
Units: metres, seconds, kilograms, radians; colours are linear RGB (Rec. 709 primaries); quaternions are xyzw.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

Vec2 = tuple[float, float]
Vec3 = tuple[float, float, float]
Vec4 = tuple[float, float, float, float]
Draws = dict[str, dict[str, Any]]
"""factor -> name -> what was drawn: a number, a string, a boolean, or a list of these (one entry an item)."""

RECORD_SCHEMA = 1


@dataclass(frozen=True)
class Pose:
    """``T_parent_child`` as a position in metres and a unit quaternion."""

    position: Vec3 = (0.0, 0.0, 0.0)
    quaternion_xyzw: Vec4 = (0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True)
class TextureRecord:
    """An image of the library (``image``) or a generated one (``kind`` with ``seed``, ``colors`` and ``scale``)."""

    image: str | None = None
    kind: str | None = None
    seed: int = 0
    colors: tuple[Vec3, ...] = ()
    scale: float = 1.0
    """Feature size of a generated texture relative to its tile: 1 puts about eight features across."""


@dataclass(frozen=True)
class MaterialRecord:
    """What is changed of an asset's own material; None keeps the asset's own value.

    ``tint`` multiplies the base colour. ``projection`` says how ``texture`` is laid on: "uv" by the asset's texture
    coordinates, "box" along the dominant axis of each face's normal in the object frame, one tile every ``tile``
    metres (after ``scale`` of the body).
    """

    texture: TextureRecord | None = None
    projection: Literal["uv", "box"] = "box"
    tile: float = 0.5
    tint: Vec3 = (1.0, 1.0, 1.0)
    base_color: Vec3 | None = None
    """Replaces the asset's base colour and colour map (a plain coloured object) before texture and tint."""
    roughness: float | None = None
    metallic: float | None = None


@dataclass(frozen=True)
class BodyRecord:
    """One thing in the scene.

    ``role`` says what it is for: an "object" of a group, a "distractor", a "surface" (table, floor, tray, wall) or the
    "robot". ``category`` is the name under which it is labelled; None leaves it in the background (instance id 0).
    ``motion``: "dynamic" bodies fall and collide, "fixed" ones only stand in the way, "ghost" ones are rendered but
    not simulated. ``pose`` is ``T_world_obj`` at the start of the simulation, obj being the asset's own frame.
    """

    name: str
    asset: str
    role: Literal["object", "distractor", "surface", "robot"]
    group: str
    pose: Pose
    category: str | None = None
    motion: Literal["dynamic", "fixed", "ghost"] = "dynamic"
    scale: Vec3 = (1.0, 1.0, 1.0)
    mass: float | None = None
    """kg; None: the asset's own, times the volume of ``scale``."""
    friction: float = 0.6
    restitution: float = 0.1
    material: MaterialRecord = MaterialRecord()


@dataclass(frozen=True)
class RobotMotion:
    """Joint-space motion: piecewise linear through ``waypoints`` (M, J) radians or metres at ``times`` (M,) seconds.

    ``joints`` names the J driven joints; ``force`` limits each motor in N or N m.
    """

    body: str
    joints: tuple[str, ...]
    times: tuple[float, ...]
    waypoints: tuple[tuple[float, ...], ...]
    force: float = 200.0


@dataclass(frozen=True)
class LightRecord:
    """A light; ``color`` is its linear RGB and carries the colour temperature, ``intensity`` scales it.

    Units of intensity: directional, irradiance on a facing surface; point and spot, radiant intensity (irradiance at
    1 m); area, radiance of its surface. A white Lambertian surface under irradiance pi reads 1.0 in linear light.
    ``direction`` is the one in which the light travels. ``size``: directional, angular diameter in radians; point and
    spot, radius in metres; it softens the shadow. Area lights are rectangles ``extent`` metres wide and high whose
    normal is ``direction``.
    """

    kind: Literal["directional", "point", "spot", "area"]
    color: Vec3 = (1.0, 1.0, 1.0)
    intensity: float = 1.0
    direction: Vec3 = (0.0, 0.0, -1.0)
    position: Vec3 = (0.0, 0.0, 0.0)
    size: float = 0.0
    extent: Vec2 = (0.0, 0.0)
    inner_angle: float = 0.4
    outer_angle: float = 0.6
    """Half angles of a spot's cone in radians: full light inside the inner, none outside the outer one."""
    shadow: bool = True


@dataclass(frozen=True)
class SkyRecord:
    """A generated sky over a ground: gradient from ``zenith`` to ``horizon``, clouds, and a sun disc."""

    zenith: Vec3
    horizon: Vec3
    ground: Vec3
    sun_direction: Vec3
    """From the scene towards the sun."""
    sun_color: Vec3 = (0.0, 0.0, 0.0)
    """Radiance of the glow around the sun; the sun's direct light is a LightRecord."""
    clouds: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class EnvironmentRecord:
    """Light from all around, and what the camera sees where there is no surface.

    Exactly one of ``image`` (an environment map of the library), ``sky`` or ``color`` (uniform radiance) gives the
    light. ``rotation`` turns it about world z. ``background`` is what is seen: the environment itself, a photograph or
    generated image that fills the frame (``background_texture``), or a plain ``background_color``.
    """

    image: str | None = None
    sky: SkyRecord | None = None
    color: Vec3 | None = None
    rotation: float = 0.0
    intensity: float = 1.0
    background: Literal["environment", "texture", "color"] = "environment"
    background_texture: TextureRecord | None = None
    background_color: Vec3 = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class CameraRecord:
    """A pinhole camera. ``pose`` is ``T_world_cam``, or ``T_link_cam`` when ``link`` names a link of body ``body``."""

    name: str
    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    pose: Pose
    body: str | None = None
    link: str | None = None
    distortion: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0)
    near: float = 0.01
    far: float = 100.0


@dataclass(frozen=True)
class SensorRecord:
    """From linear light to pixels: radiance times ``2**exposure`` times ``white_balance``, noise, sRGB curve, 8 bits.

    ``full_well`` is the number of photo-electrons at linear 1.0 (0 turns shot noise off), ``read_noise`` their standard
    deviation at darkness. ``auto_exposure`` is the mean linear level to which the image is metered before ``exposure``
    stops are added; 0 switches metering off. ``noise_seed`` seeds the noise of this frame.
    """

    exposure: float = 0.0
    auto_exposure: float = 0.0
    white_balance: Vec3 = (1.0, 1.0, 1.0)
    full_well: float = 0.0
    read_noise: float = 0.0
    noise_seed: int = 0


@dataclass(frozen=True)
class FrameRecord:
    """One image to take: which view, when (seconds after the scene has settled), with what camera and sensor."""

    view: int
    time: float
    camera: CameraRecord
    sensor: SensorRecord
    draws: Draws = field(default_factory=dict)
    """What was drawn for this frame alone; the draws of the scene stand in the SceneRecord."""


@dataclass(frozen=True)
class WorldRecord:
    """Physics: gravity in m/s^2, ``timestep`` of the solver in seconds, settling limits and the size of the world.

    A scene has settled when every dynamic body moves slower than ``rest_speed`` (m/s at its surface); it is given
    ``settle_time`` seconds. ``settle=False`` starts capturing at once. Bodies farther than ``bounds`` (x, y, z half
    extents around the origin; z counts downwards only) have fallen off the world. ``trace_rate`` is in Hz.
    """

    gravity: Vec3 = (0.0, 0.0, -9.81)
    timestep: float = 1 / 240
    settle: bool = True
    settle_time: float = 4.0
    rest_speed: float = 0.02
    bounds: Vec3 = (3.0, 3.0, 1.5)
    trace_rate: float = 60.0


@dataclass(frozen=True)
class SceneRecord:
    """One scene, decided. ``frames`` are in dataset order; ``attempt`` counts re-draws of poses that did not settle."""

    definition: str
    seed: int
    scene: int
    world: WorldRecord
    bodies: tuple[BodyRecord, ...]
    lights: tuple[LightRecord, ...]
    environment: EnvironmentRecord
    frames: tuple[FrameRecord, ...]
    robot: RobotMotion | None = None
    traces: tuple[str, ...] = ()
    attempt: int = 0
    draws: Draws = field(default_factory=dict)
    omitted: dict[str, str] = field(default_factory=dict)
    """Objects that were drawn but found no place -> why."""
    schema: int = RECORD_SCHEMA


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(SceneRecord)


def to_json(record: SceneRecord) -> str:
    """The record as JSON; floats keep every bit."""
    return _encoder.encode(record).decode()


def from_json(text: str | bytes) -> SceneRecord:
    """The record that ``to_json`` wrote; raises ``msgspec.ValidationError`` when it is not one."""
    return _decoder.decode(text)

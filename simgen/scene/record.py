"""SceneRecord: one scene with every number decided.

A record is what sampling gives and what simulation and rendering take. It is plain data, survives a round trip
through JSON bit for bit, and together with the assets it names it is enough to compute every frame of the scene again.
Units: metres, seconds, kilograms, radians; colours are linear RGB (Rec. 709 primaries); quaternions are xyzw.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from simgen.scene.camera_record import ApertureRecord, ShutterRecord, TwistRecord
from simgen.scene.pose import Pose, Vec2, Vec3, Vec4
from simgen.scene.trace_record import MountedSensor

Draws = dict[str, dict[str, Any]]
"""factor -> name -> what was drawn: a number, a string, a boolean, or a list of these (one entry an item)."""

RECORD_SCHEMA = 1


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
    container: str | None = None
    """A surface with walls: the body is taken out when it comes to rest outside of them. None: it may lie anywhere."""
    category_by_up: dict[str, Vec3] = field(default_factory=dict)
    """Category -> direction in the asset's frame: the one that points most upwards gives the category."""


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
    """A camera. ``pose`` is ``T_world_cam``, or ``T_link_cam`` when ``link`` names a link of body ``body``.

    A camera that moves by itself has that pose at the time from which its motion counts: ``travel`` goes on through the
    scene's time, ``shake`` is about one frame. ``mount`` is where it sits on the camera that carries it, of which are
    then pose and motion: ``T_world_cam = pose * travel(t) * shake(t) * mount`` (see ``simgen.scene.camera_pose``).

    ``distortion`` are OpenCV's coefficients: (k1, k2, p1, p2, k3) of ``distortion_model`` "radial_tangential", which is
    a pinhole when all are 0, or (k1, k2, k3, k4, 0) of "fisheye". A distorted image is warped from an undistorted one
    with ``render_scale`` times the focal length, its labels with ``label_scale`` times more.
    """

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
    distortion_model: Literal["radial_tangential", "fisheye"] = "radial_tangential"
    render_scale: float = 1.0
    label_scale: float = 1.0
    travel: TwistRecord | None = None
    shake: TwistRecord | None = None
    mount: Pose | None = None


@dataclass(frozen=True)
class SensorRecord:
    """A colour sensor: from linear light to pixels. The defaults are an ideal sensor, which only encodes in sRGB.

    Fields are in the order of light: lens, exposure, photo-sites, read-out, development. The last column is the
    range in which real cameras lie.

    | field | unit | meaning | typical |
    |---|---|---|---|
    | exposure | stops | radiance is multiplied by 2**exposure | -2...2 |
    | auto_exposure | linear | log-average level that is metered to, before ``exposure``; 0: none | 0.1...0.25 |
    | max_clipped | ratio | share of the pixels that metering lets be brighter than white; 1: all | 0.005...0.05 |
    | white_balance | ratio | red, green, blue gains: what the camera's balance leaves uncorrected | 0.8...1.25 |
    | full_well | electrons | photo-electrons at linear 1.0 and gain 1; 0: no shot, read or dark noise | 2e3...5e4 |
    | read_noise | electrons | standard deviation at darkness, before the gain | 1...30 |
    | noise_seed | | seeds the noise of this frame | |
    | native_scale | ratio | native resolution over output resolution, area-averaged down before ``sense`` | 1...4 |
    | field_angle | rad | angle of the corner off the axis, for the cos^4 law; 0: none | 0.2...0.7 |
    | vignetting | ratio | a, b, c of the falloff 1 + a r^2 + b r^4 + c r^6, r = 1 in the corner | a -0.6...0 |
    | chromatic_aberration | ratio | magnification of red and of blue against green, less 1 | +-0.003 |
    | blur | pixels | standard deviation of the lens' point spread: defocus, diffraction | 0...1.5 |
    | bloom | ratio | share of the light scattered into a halo | 0...0.15 |
    | bloom_radius | image heights | standard deviation of the narrowest part of the halo | 0.005...0.03 |
    | veiling_glare | ratio | share of the light spread evenly over the image | 0...0.05 |
    | color_temperature | K | light taken for white, 1000...15000; 0: that of sRGB (6504 K) | 3500...9000 |
    | tint | Duv | the same light's distance from the black body, towards green; 0: on it | +-0.01 |
    | channel_response | ratio | signal of red, green, blue sites at white, undone in development | (0.5, 1, 0.65) |
    | gain | ratio | ISO speed over the base speed: electrons at linear 1.0 are full_well / gain | 1...64 |
    | prnu | ratio | photo-response non-uniformity, standard deviation | 0.002...0.02 |
    | dsnu | electrons | dark-signal non-uniformity, standard deviation, before the gain | 0.5...20 |
    | fixed_pattern_seed | | seeds prnu and dsnu: one a camera, the same for all of its frames | |
    | adc_bits | bits | linear quantization at read-out; 0: none | 8...14 |
    | bayer | | colour of the sites at rows 0, 1 and columns 0, 1; "none": three sensors | "rggb" |
    | demosaic | | "malvar" (Malvar, He and Cutler 2004) or "bilinear" | |
    | saturation | ratio | distance from grey in linear light | 0.7...1.4 |
    | tone_curve | | "srgb" (IEC 61966-2-1), "rec709" (BT.709), "gamma" (power 1 / gamma), "filmic" (S-shaped) | |
    | gamma | | exponent of tone_curve "gamma" | 1.8...2.4 |
    | contrast | ratio | slope about the middle of the encoded range | 0.8...1.3 |
    | sharpen | ratio | unsharp mask: share of the detail of the encoded luma that is added | 0...1.5 |
    | sharpen_radius | pixels | standard deviation of the unsharp mask's blur | 0.6...2 |
    | jpeg_quality | | libjpeg quality of a round trip through JPEG (4:2:0), 1...100; 0: none | 60...95 |
    """

    exposure: float = 0.0
    auto_exposure: float = 0.0
    max_clipped: float = 1.0
    white_balance: Vec3 = (1.0, 1.0, 1.0)
    full_well: float = 0.0
    read_noise: float = 0.0
    noise_seed: int = 0
    native_scale: float = 1.0
    field_angle: float = 0.0
    vignetting: Vec3 = (0.0, 0.0, 0.0)
    chromatic_aberration: Vec2 = (0.0, 0.0)
    blur: float = 0.0
    bloom: float = 0.0
    bloom_radius: float = 0.01
    veiling_glare: float = 0.0
    color_temperature: float = 0.0
    tint: float = 0.0
    channel_response: Vec3 = (1.0, 1.0, 1.0)
    gain: float = 1.0
    prnu: float = 0.0
    dsnu: float = 0.0
    fixed_pattern_seed: int = 0
    adc_bits: int = 0
    bayer: Literal["none", "rggb", "bggr", "grbg", "gbrg"] = "none"
    demosaic: Literal["malvar", "bilinear"] = "malvar"
    saturation: float = 1.0
    tone_curve: Literal["srgb", "rec709", "gamma", "filmic"] = "srgb"
    gamma: float = 2.2
    contrast: float = 1.0
    sharpen: float = 0.0
    sharpen_radius: float = 1.0
    jpeg_quality: int = 0


@dataclass(frozen=True)
class DepthSensorRecord:
    """A depth camera: from exact z-depth to uint16 millimetres with holes. The defaults only round.

    ``kind`` names the principle. Triangulation ("structured_light", "active_stereo") measures disparity
    ``focal * baseline / z``: noise and quantization are in disparity, and what the projector or second camera does not
    see is a hole. "time_of_flight" mixes the two surfaces of an edge (flying pixels) and quantizes range.

    | field | unit | meaning | typical |
    |---|---|---|---|
    | min_range, max_range | m | nothing is measured outside | 0.3...8 |
    | baseline | m | to the projector or second camera along +x; 0: none | +-0.05...0.1 |
    | focal | pixels | focal length of the sensor itself, which sets its disparity | 350...650 |
    | disparity_sigma | pixels | standard deviation of the measured disparity | 0.03...0.1 |
    | disparity_step | pixels | quantum of the disparity; 0: none | 1/8...1/32 |
    | axial | m, 1/m | c0, c1, c2, z0: sigma = c0 + c1 z + c2 (z - z0)^2, z in metres | |
    | axial_angle | m | c, p: adds c z^p (theta / (pi/2 - theta))^2, theta the angle of incidence | |
    | axial_angle_start | rad | the angle term counts from here on | |
    | lateral | pixels | l0, l1: standard deviation of where a pixel looks, l0 + l1 theta / (pi/2 - theta) | 0.3...1 |
    | lateral_metres | m | the same in metres on the surface, added in quadrature | 0...0.003 |
    | correlation | pixels | spacing of independent noise; up to 1: white noise | 1...6 |
    | range_step | m | quantum of the range; 0: none but the millimetre of the output | 0.001 |
    | scale, offset | ratio, m | systematic error: measured = scale * z + offset | 1 +- 0.005, +-0.01 |
    | edge_jump | ratio | neighbours whose depth differs by more than this share are an edge | 0.02...0.1 |
    | edge_dropout | probability | of a hole next to an edge | 0...0.9 |
    | flying_pixels | probability | time of flight: of a mixed range next to an edge | 0...0.6 |
    | min_signal | ratio | signal of which half is lost: luminance cos(theta) / z^2; 0: all is seen | 0.002...0.02 |
    | grazing_start, grazing_end | rad | drop-out rises from 0 to 1 between; both pi/2: none | 1.2, 1.5 |
    | dropout | probability | of a hole anywhere | 0...0.02 |
    | dropout_size | pixels | size of all holes but those of edges; up to 1: single pixels | 1...8 |
    | noise_seed | | seeds the noise of this frame | |
    """

    kind: Literal["structured_light", "active_stereo", "time_of_flight"] = "structured_light"
    min_range: float = 0.0
    max_range: float = 65.535
    baseline: float = 0.0
    focal: float = 0.0
    disparity_sigma: float = 0.0
    disparity_step: float = 0.0
    axial: Vec4 = (0.0, 0.0, 0.0, 0.0)
    axial_angle: Vec2 = (0.0, 0.0)
    axial_angle_start: float = 0.0
    lateral: Vec2 = (0.0, 0.0)
    lateral_metres: float = 0.0
    correlation: float = 0.0
    range_step: float = 0.0
    scale: float = 1.0
    offset: float = 0.0
    edge_jump: float = 0.05
    edge_dropout: float = 0.0
    flying_pixels: float = 0.0
    min_signal: float = 0.0
    grazing_start: float = 1.5707963267948966
    grazing_end: float = 1.5707963267948966
    dropout: float = 0.0
    dropout_size: float = 1.0
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
    depth_sensor: DepthSensorRecord | None = None
    shutter: ShutterRecord | None = None
    """None: an instant."""
    aperture: ApertureRecord | None = None
    """None: a pinhole, which has everything in focus."""
    group: int | None = None
    """Number of the placement that this view shares with those of the other cameras of its rig; None: it is alone."""


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
    sensors: tuple[MountedSensor, ...] = ()
    """Sensors beside the cameras, each of which gives a trace of its name."""
    keypoints: dict[str, dict[str, Vec3]] = field(default_factory=dict)
    """Asset -> name -> point of the mesh in the asset's frame, metres before the scale of the body."""
    attempt: int = 0
    candidate: int = 0
    """Counts the scenes that were drawn before this one and did not show what was asked for."""
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

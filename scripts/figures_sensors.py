"""Figures of the sensor models, written as PNGs to a folder: python scripts/figures_sensors.py OUT [--assets DIR].

effects.png       each effect of the colour sensor, off and on, on a rendered frame
exposure.png      motion blur, rolling shutter and depth of field, off and on, with the outlines of the labels
lens.png          lens distortion with the outlines of the labels
depth.png         the depth presets on the same frame
depth_noise.png   measured noise against the published curves
allan.png         Allan deviation of a simulated gyroscope against what was asked for
lidar.png         a spinning and a rosette lidar in the same scene, seen from above
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from simgen.assets.library import Library, search_paths
from simgen.config import load
from simgen.generate.pipeline import compute_frames, draw_scene
from simgen.geometry import look_at
from simgen.physics.simulate import simulate
from simgen.render import create
from simgen.render.base import Snapshot
from simgen.render.raycast import ray_scene
from simgen.render.snapshot import resolve, snapshot
from simgen.scene.camera_record import ApertureRecord, ShutterRecord, TwistRecord
from simgen.scene.record import DepthSensorRecord, SceneRecord, SensorRecord
from simgen.scene.trace_record import ClockRecord, ImuRecord, InertialNoiseRecord, LidarRecord
from simgen.sensors.color import sense
from simgen.sensors.depth import PRESETS, sense_depth
from simgen.sensors.inertial import imu
from simgen.sensors.lens import Lens
from simgen.sensors.lidar import PRESETS as LIDARS
from simgen.sensors.lidar import LidarScan, scan, surfaces
from simgen.sensors.remap import distort, padded_camera, remap_table

Image = NDArray[np.uint8]

PASSES = ("rgb", "depth", "instance", "normal")
BARREL = (-0.25, 0.07, 0.0, 0.0, 0.0)
WHITE, GREY, BLACK = (255, 255, 255), (150, 150, 150), (20, 20, 20)
COLOURS = [(214, 39, 40), (31, 119, 180), (44, 160, 44), (255, 127, 14), (148, 103, 189)]

EFFECTS: dict[str, dict[str, object]] = {
    "exposure +1 stop": {"exposure": 1.0},
    "cos^4 and vignetting": {"field_angle": 0.5, "vignetting": (-0.3, 0.0, 0.0)},
    "lateral colour 0.8 %": {"chromatic_aberration": (0.008, -0.008)},
    "bloom 15 %": {"bloom": 0.15, "bloom_radius": 0.02},
    "veiling glare 15 %": {"veiling_glare": 0.15},
    "balanced to 3800 K": {"color_temperature": 3800.0},
    "balanced to 9500 K": {"color_temperature": 9500.0},
    "tint +0.015 Duv": {"tint": 0.015},
    "noise, 300 electrons": {"full_well": 300.0, "read_noise": 4.0},
    "raw response, gain 8": {"full_well": 4000.0, "gain": 8.0, "channel_response": (0.5, 1.0, 0.6)},
    "fixed pattern": {"full_well": 4000.0, "prnu": 0.05, "dsnu": 60.0},
    "quantized to 5 bits": {"adc_bits": 5},
    "mosaic, Malvar": {"bayer": "rggb"},
    "mosaic, bilinear": {"bayer": "rggb", "demosaic": "bilinear"},
    "mosaic and noise": {"bayer": "rggb", "full_well": 400.0, "read_noise": 3.0},
    "filmic curve": {"tone_curve": "filmic"},
    "contrast 1.3": {"contrast": 1.3},
    "saturation 1.5": {"saturation": 1.5},
    "sharpened": {"sharpen": 1.2, "sharpen_radius": 1.2},
    "JPEG quality 20": {"jpeg_quality": 20},
    "everything, mild": {
        "full_well": 3000.0,
        "read_noise": 3.0,
        "field_angle": 0.4,
        "vignetting": (-0.1, 0.0, 0.0),
        "chromatic_aberration": (0.0015, -0.001),
        "bloom": 0.05,
        "veiling_glare": 0.01,
        "color_temperature": 6000.0,
        "tint": 0.002,
        "channel_response": (0.5, 1.0, 0.65),
        "gain": 2.0,
        "prnu": 0.005,
        "dsnu": 2.0,
        "adc_bits": 10,
        "bayer": "rggb",
        "contrast": 1.08,
        "saturation": 1.1,
        "sharpen": 0.6,
        "jpeg_quality": 85,
    },
}


class Stage:
    """A settled tabletop scene and its renderer."""

    def __init__(self, assets: Sequence[str], seed: int) -> None:
        listed = ",".join(f"'{path}'" for path in assets)
        config = load("tabletop", [f"seed={seed}", "image.width=640", "image.height=480", f"assets.path=[{listed}]"])
        library = Library(search_paths(config.assets.path))
        self.library = library
        self.record, self.simulation = draw_scene(config, library, 0)
        self.resolved = resolve(self.record, library)
        self.frame = self.record.frames[0]
        self.renderer = create()

    def snapshot(self, **camera: float) -> Snapshot:
        """The first frame, with fields of its camera replaced."""
        frame = replace(self.frame, camera=replace(self.frame.camera, **camera))  # type: ignore[arg-type]
        return snapshot(self.resolved, self.simulation.at(frame.time), frame)

    def render(self, moment: Snapshot) -> dict[str, NDArray[np.generic]]:
        """All passes of one image."""
        return {name: image[0] for name, image in self.renderer.render([moment], PASSES).images.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw figures of the sensor models.")
    parser.add_argument("out", type=Path, help="folder for the PNGs")
    parser.add_argument("--assets", action="append", default=[], help="folder with assets (repeatable)")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    stage = Stage(arguments.assets, arguments.seed)
    images = stage.render(stage.snapshot())
    figures: dict[str, Callable[[], Image]] = {
        "effects": lambda: effects(images["rgb"]),
        "exposure": lambda: exposures(stage),
        "lens": lambda: lenses(stage),
        "depth": lambda: depth_sensors(images, stage.snapshot().camera.K),
        "depth_noise": depth_noise,
        "allan": allan,
        "lidar": lambda: lidars(stage.snapshot()),
    }
    for name, draw in figures.items():
        path = arguments.out / f"{name}.png"
        cv2.imwrite(str(path), cv2.cvtColor(draw(), cv2.COLOR_RGB2BGR))
        print(path)


def effects(radiance: NDArray[np.float32]) -> Image:
    neutral = SensorRecord(auto_exposure=0.18, noise_seed=1)
    off = sense(radiance, neutral)
    x, y = _richest(off)
    tiles = []
    for name, fields in EFFECTS.items():
        on = sense(radiance, replace(neutral, **fields))  # type: ignore[arg-type]
        details = np.concatenate([_crop(off, x, y), np.full((4, 240, 3), 255, np.uint8), _crop(on, x, y)])
        overview = cv2.resize(on, (485, 364), interpolation=cv2.INTER_AREA)
        tiles.append(_titled(np.concatenate([overview, details], 1), name))
    return _grid(tiles, 3)


def exposures(stage: Stage) -> Image:
    """A settled scene before a camera that shakes, and the same things while they fall."""
    camera, library = stage.frame.camera, stage.library
    pan, fast = TwistRecord(angular=(0.1, 0.6, 0.15)), TwistRecord(angular=(0.0, 2.0, 0.3))
    fall = replace(stage.record.world, settle=False)
    high = tuple(
        replace(body, pose=replace(body.pose, position=(*body.pose.position[:2], body.pose.position[2] + 0.05)))
        if body.motion == "dynamic"
        else body
        for body in stage.record.bodies
    )
    shaken = replace(stage.frame, camera=replace(camera, shake=pan))
    falling = replace(stage.frame, time=0.11, camera=camera)
    distance = float(np.median([T[2, 3] for T in _objects_in_camera(stage)]))
    wide = ApertureRecord(0.03, distance, 64)
    rows: dict[str, tuple[SceneRecord, dict[str, object]]] = {
        "motion blur: hand-held, 1/20 s": (
            replace(stage.record, frames=(shaken,)),
            {"shutter": ShutterRecord(0.05, samples=24)},
        ),
        "motion blur: falling, 1/60 s": (
            replace(stage.record, frames=(falling,), world=fall, bodies=high),
            {"shutter": ShutterRecord(1 / 60, samples=24)},
        ),
        "rolling shutter: 60 ms, panned 115 degrees/s": (
            replace(stage.record, frames=(replace(shaken, camera=replace(camera, shake=fast)),)),
            {"shutter": ShutterRecord(readout=0.06)},
        ),
        "depth of field: opening of 30 mm": (replace(stage.record, frames=(stage.frame,)), {"aperture": wide}),
        "all three, and a lens": (
            replace(stage.record, frames=(replace(shaken, camera=replace(shaken.camera, distortion=BARREL)),)),
            {"shutter": ShutterRecord(0.03, 0.03, 12), "aperture": replace(wide, samples=24)},
        ),
    }
    tiles = []
    for name, (record, effect) in rows.items():
        for title, extra in ((f"{name}: off", {}), (f"{name}: on", effect)):
            frames = tuple(replace(frame, **extra) for frame in record.frames)  # type: ignore[arg-type]
            taken = replace(record, frames=frames, traces=(), sensors=())
            simulation = simulate(taken, library)
            names = {body.category: 1 for body in taken.bodies if body.category}
            (seen,) = compute_frames(taken, simulation, library, stage.renderer, ["rgb", "instance"], names)
            tiles.append(_titled(_outlined(seen.images["rgb"], seen.images["instance"]), title))
    return _grid(tiles, 2)


def _objects_in_camera(stage: Stage) -> list[NDArray[np.float64]]:
    moment = stage.snapshot()
    to_camera = np.linalg.inv(moment.camera.T_world_cam)
    return [to_camera @ thing.T_world_obj for thing in moment.drawables if thing.instance_id]


def _outlined(picture: Image, ids: NDArray[np.generic]) -> Image:
    """``picture`` with the borders of the labels."""
    edge = np.zeros(ids.shape, bool)
    edge[:, 1:] |= ids[:, 1:] != ids[:, :-1]
    edge[1:] |= ids[1:] != ids[:-1]
    out = picture.copy()
    out[edge] = (255, 40, 40)
    return out


def _richest(image: Image) -> tuple[int, int]:
    """Left and top of the 80 x 60 pixels with the most detail away from the centre, where lens effects show too."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    detail = np.abs(cv2.Laplacian(grey, cv2.CV_32F))
    amount = cv2.boxFilter(detail, -1, (80, 60), anchor=(0, 0))[: 480 - 60, : 640 - 80]
    y, x = np.mgrid[: 480 - 60, : 640 - 80]
    away = np.hypot(x + 40 - 320, y + 30 - 240) > 120
    best = int(np.argmax(amount * away))
    return best % amount.shape[1], best // amount.shape[1]


def _crop(image: Image, x: int, y: int) -> Image:
    """80 x 60 pixels, three times enlarged."""
    return cv2.resize(image[y : y + 60, x : x + 80], (240, 180), interpolation=cv2.INTER_NEAREST)


def lenses(stage: Stage) -> Image:
    c = stage.frame.camera
    tiles = []
    for name, lens in {
        "pinhole": Lens(640, 480, c.fx, c.fy, c.cx, c.cy),
        "barrel: k1 -0.3, k2 0.1": Lens(640, 480, c.fx, c.fy, c.cx, c.cy, "radial_tangential", (-0.3, 0.1)),
        "pincushion: k1 +0.25": Lens(640, 480, c.fx, c.fy, c.cx, c.cy, "radial_tangential", (0.25, 0.0)),
        "fisheye, 150 degrees": Lens(640, 480, 245.0, 245.0, c.cx, c.cy, "fisheye", (-0.02, 0.005, 0.0, 0.0)),
    }.items():
        table = remap_table(lens, padded_camera(lens))
        s = table.source
        source = stage.snapshot(width=s.width, height=s.height, fx=s.fx, fy=s.fy, cx=s.cx, cy=s.cy)
        seen = distort(stage.render(source), table)
        picture = sense(seen["rgb"], SensorRecord(auto_exposure=0.18))
        picture = _outlined(picture, seen["instance"])
        tiles.append(_titled(picture, f"{name} (rendered at {s.width} x {s.height})"))
    return _grid(tiles, 2)


def depth_sensors(images: dict[str, NDArray[np.generic]], K: NDArray[np.float64]) -> Image:
    exact = np.asarray(images["depth"], np.float32)
    span = np.percentile(exact[exact > 0], [1, 99]) if (exact > 0).any() else np.array([0.0, 1.0])
    tiles = [_titled(_depth_colours(exact * 1000, span * 1000), "exact depth")]
    for name, preset in PRESETS.items():
        sensor = replace(preset, noise_seed=1, min_range=0.1)
        millimetres = sense_depth(exact, sensor, K, np.asarray(images["normal"]), np.asarray(images["rgb"]))
        tiles.append(_titled(_depth_colours(millimetres, span * 1000), name))
    return _grid(tiles, 3)


def _depth_colours(millimetres: NDArray[np.generic], span: NDArray[np.float64]) -> Image:
    scaled = np.clip((np.asarray(millimetres, np.float64) - span[0]) / max(np.ptp(span), 1e-9), 0, 1)
    colours = cv2.cvtColor(cv2.applyColorMap((scaled * 255).astype(np.uint8), cv2.COLORMAP_TURBO), cv2.COLOR_BGR2RGB)
    colours[np.asarray(millimetres) == 0] = 0
    return colours


def depth_noise() -> Image:
    """Noise of a wall facing the camera against distance, and of a slanted one against the angle."""
    curves: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
        "kinect_v1_khoshelham_2012": lambda z: 1.425 * z**2,
        "kinect_v1_nguyen_2012": lambda z: 1.2 + 1.9 * (z - 0.4) ** 2,
        "realsense_d435": lambda z: 1000 * z**2 * 0.08 / (424 * 0.05),
        "kinect_v2_fankhauser_2015": lambda z: 1.5 - 0.5 * z + 0.3 * z**2,
        "azure_kinect_nfov": lambda z: np.full_like(z, 17.0),
    }
    distance = Plot(
        "depth noise facing a wall (lines: published; dots: measured)", "distance in m", "sigma in mm", 5, 40
    )
    for (name, curve), colour in zip(curves.items(), COLOURS, strict=True):
        far = min(PRESETS[name].max_range, 5.0)
        z = np.linspace(PRESETS[name].min_range + 0.1, far, 100)
        distance.line(z, curve(z), colour, name if name != "azure_kinect_nfov" else f"{name} (bound)")
        at = np.arange(0.75, far, 0.5)
        distance.dots(at, np.array([_wall_noise(PRESETS[name], d, 0.05) for d in at]) * 1000, colour)
    angle = Plot("depth noise at 1.5 m against the angle of incidence", "angle in degrees", "sigma in mm", 90, 12)
    terms: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
        "kinect_v1_nguyen_2012": lambda t: (
            3.499 + np.where(t > np.pi / 3, 0.1 / np.sqrt(1.5) * (t / (np.pi / 2 - t)) ** 2, 0)
        ),
        "kinect_v2_fankhauser_2015": lambda t: 1.425 + 0.1 * 1.5**1.5 * (t / (np.pi / 2 - t)) ** 2,
    }
    for name, curve in terms.items():
        colour = COLOURS[list(curves).index(name)]
        t = np.deg2rad(np.linspace(0, 85, 200))
        angle.line(np.rad2deg(t), curve(t), colour, name)
        at = np.deg2rad(np.arange(5, 84, 6.0))
        still = replace(PRESETS[name], lateral=(0.0, 0.0), lateral_metres=0.0, grazing_start=1.57, grazing_end=1.58)
        angle.dots(np.rad2deg(at), np.array([_wall_noise(still, 1.5, a) for a in at]) * 1000, colour)
    return np.concatenate([distance.image, angle.image], 1)


def _wall_noise(sensor: DepthSensorRecord, z: float, tilt: float) -> float:
    """Standard deviation in metres about a wall at z that is turned by ``tilt``, in a narrow view."""
    height, width, f = 200, 200, 40000.0
    K = np.array([[f, 0, (width - 1) / 2], [0, f, (height - 1) / 2], [0, 0, 1]])
    x = (np.arange(width) - K[0, 2]) / f
    depth = np.broadcast_to(z / (1 - np.tan(tilt) * x), (height, width)).astype(np.float32)
    normal = np.broadcast_to(np.array([np.sin(tilt), 0, -np.cos(tilt)], np.float32), (height, width, 3))
    white = np.ones((height, width, 3), np.float32)
    errors = []
    for seed in range(4):
        # The narrow view leaves the sensor's own focal length, and so its noise, as it is; the second camera's view
        # would miss it.
        alone = replace(sensor, noise_seed=seed, edge_dropout=0.0, flying_pixels=0.0, min_signal=0.0, dropout=0.0)
        alone = replace(alone, kind="structured_light" if sensor.kind == "active_stereo" else sensor.kind)
        # A little depth of the wall at each seed meets all phases of the quantum.
        moved = depth + np.float32(0.003 * seed)
        out = sense_depth(moved, alone, K, normal, white)
        errors.append((out / 1000.0 - moved)[out > 0])
    return float(np.concatenate(errors).std())


def allan() -> Image:
    noise = InertialNoiseRecord(white=2e-3, random_walk=1e-4, bias_instability=3e-4, correlation_time=30.0)
    rate, duration = 50.0, 20000.0
    plot = Plot(
        "Allan deviation of a simulated gyroscope", "averaging time in s", "deviation in rad/s", 1e4, 1e-1, (0.02, 1e-5)
    )
    still = (np.array([0.0, duration]), np.stack([np.eye(4)] * 2))
    rates = imu(*still, ImuRecord(ClockRecord(rate=rate), gyroscope=noise, seed=3)).value[:, :3]
    counts = np.unique(np.logspace(0, np.log10(len(rates) / 9), 40).astype(int))
    angles = np.concatenate([np.zeros((1, 3)), np.cumsum(rates, 0)]) / rate
    measured = [np.sqrt(np.mean((angles[2 * m :] - 2 * angles[m:-m] + angles[: -2 * m]) ** 2) / 2) for m in counts]
    taus = counts / rate
    plot.line(taus, noise.white / np.sqrt(taus), COLOURS[1], "white noise 2e-3 / sqrt(tau)")
    plot.line(taus, noise.random_walk * np.sqrt(taus / 3), COLOURS[2], "random walk 1e-4 sqrt(tau / 3)")
    plot.line(taus, np.full(len(taus), noise.bias_instability), COLOURS[3], "bias instability 3e-4")
    plot.dots(taus, np.array(measured) / taus, COLOURS[0])
    return plot.image


def lidars(moment: Snapshot) -> Image:
    ids, reflectance = surfaces(moment)
    scene = ray_scene(moment)
    objects = [d.T_world_obj[:3, 3] for d in moment.drawables if d.instance_id]
    centre = np.mean(objects, 0) if objects else np.zeros(3)
    eye = centre + np.array([-0.9, -0.5, 0.5])
    camera = look_at(eye, centre)
    T = np.eye(4)
    T[:3, :3] = camera[:3, [2, 0, 1]] * [1, -1, -1]  # x forward, y left, z up
    T[:3, 3] = eye
    spinning = LidarRecord(elevations=tuple(np.deg2rad(np.linspace(-20, 20, 128))), columns=2048, range_noise=0.003)
    rosette = replace(LIDARS["livox_mid40"], range_noise=0.003, min_range=0.1)
    turns = rosette.prism_turns
    second = replace(rosette, columns=100000, duration=1.0, prism_turns=(10 * turns[0], 10 * turns[1]))
    tiles = []
    for name, lidar in {
        "spinning, 128 channels, one turn": spinning,
        "rosette, one second": second,
    }.items():
        tiles.append(_titled(_cloud(scan(scene, T, lidar, ids, reflectance), T, centre), name))
    return _grid(tiles, 2)


def _cloud(result: LidarScan, T: NDArray[np.float64], centre: NDArray[np.float64]) -> Image:
    """Returns of a scan from above, a square of 1.2 m, coloured by instance."""
    image = np.full((640, 640, 3), BLACK, np.uint8)
    seen = result.range > 0
    points = result.point[seen] @ T[:3, :3].T + T[:3, 3]
    labels = result.instance[seen].astype(int)
    palette = np.random.default_rng(4).integers(90, 256, (int(labels.max(initial=0)) + 1, 3))
    palette[0] = (110, 110, 110)
    pixels = np.round((points[:, :2] - centre[:2]) * [533, -533] + 320).astype(int)
    inside = ((pixels >= 0) & (pixels < 639)).all(1)
    order = np.argsort(points[inside, 2], kind="stable")
    x, y = pixels[inside][order].T
    for dy, dx in np.ndindex(2, 2):
        image[y + dy, x + dx] = palette[labels[inside][order]]
    return image


class Plot:
    """Axes of 790 x 560 pixels; with ``low`` both are logarithmic from there on, else linear from 0."""

    left, top, right, bottom = 90, 50, 740, 490

    def __init__(
        self, title: str, x_label: str, y_label: str, x_max: float, y_max: float, low: tuple[float, float] | None = None
    ) -> None:
        self.low, self.high = low, (x_max, y_max)
        self.image = np.full((560, 790, 3), 255, np.uint8)
        self.entries = 0
        _write(self.image, title, (self.left, 30), 0.6)
        _write(self.image, x_label, (self.left + 230, 545), 0.55)
        upright = np.full((30, 300, 3), 255, np.uint8)
        _write(upright, y_label, (60, 20), 0.55)
        self.image[120:420, 5:35] = cv2.rotate(upright, cv2.ROTATE_90_COUNTERCLOCKWISE)
        for axis in range(2):
            for value in self._ticks(axis):
                origin = low or (0.0, 0.0)
                x, y = _whole(self._place(value, origin[1]) if axis == 0 else self._place(origin[0], value))
                end = (x, self.top) if axis == 0 else (self.right, y)
                cv2.line(self.image, (x, y), end, (228, 228, 228), 1)
                text = f"{value:g}" if low is None else f"{value:.0e}"
                _write(self.image, text, (x - 14, y + 22) if axis == 0 else (x - 50, y + 5), 0.45)
        cv2.rectangle(self.image, (self.left, self.top), (self.right, self.bottom), GREY, 1)

    def line(self, x: NDArray[np.float64], y: NDArray[np.float64], colour: tuple[int, int, int], name: str) -> None:
        """Draw a curve and its entry in the legend."""
        inside = [self._place(*p) for p in zip(x, y, strict=True) if p[1] <= self.high[1]]
        cv2.polylines(self.image, [np.round(np.array(inside) * 16).astype(np.int32)], False, colour, 2, cv2.LINE_AA, 4)
        height = self.top + 20 + 22 * self.entries
        cv2.line(self.image, (self.left + 15, height), (self.left + 45, height), colour, 2, cv2.LINE_AA)
        _write(self.image, name, (self.left + 53, height + 5), 0.48)
        self.entries += 1

    def dots(self, x: NDArray[np.float64], y: NDArray[np.float64], colour: tuple[int, int, int]) -> None:
        """Draw measurements."""
        for px, py in zip(x, y, strict=True):
            if py <= self.high[1]:
                cv2.circle(self.image, _whole(self._place(px, py)), 4, colour, -1, cv2.LINE_AA)

    def _ticks(self, axis: int) -> NDArray[np.float64]:
        if self.low is None:
            return np.linspace(0, self.high[axis], 6)
        return 10.0 ** np.arange(np.ceil(np.log10(self.low[axis])), np.log10(self.high[axis]) + 0.01)

    def _place(self, x: float, y: float) -> tuple[float, float]:
        share = []
        for axis, value in enumerate((x, y)):
            if self.low is None:
                share.append(value / self.high[axis])
            else:
                share.append(np.log(value / self.low[axis]) / np.log(self.high[axis] / self.low[axis]))
        return (
            self.left + share[0] * (self.right - self.left),
            self.bottom - share[1] * (self.bottom - self.top),
        )


def _whole(place: tuple[float, float]) -> tuple[int, int]:
    return round(place[0]), round(place[1])


def _write(image: Image, text: str, at: tuple[int, int], size: float) -> None:
    cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, BLACK, 1, cv2.LINE_AA)


def _titled(image: Image, title: str) -> Image:
    bar = np.full((28, image.shape[1], 3), 255, np.uint8)
    _write(bar, title, (6, 20), 0.6)
    return np.concatenate([bar, image])


def _grid(tiles: Sequence[Image], columns: int) -> Image:
    """Tiles of one size in rows, 6 white pixels apart."""
    h, w = tiles[0].shape[:2]
    rows = -(-len(tiles) // columns)
    sheet = np.full((rows * (h + 6), columns * (w + 6), 3), 255, np.uint8)
    for k, tile in enumerate(tiles):
        y, x = k // columns * (h + 6), k % columns * (w + 6)
        sheet[y : y + h, x : x + w] = tile
    return sheet


if __name__ == "__main__":
    main()

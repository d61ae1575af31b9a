"""Depth sensors: what structured light, active stereo and time of flight make of exact depth.

The order is that of the measurement: where a pixel looks (lateral noise), what is hidden from the projector or second
camera, edges (flying pixels), range noise and quantization, then what is lost. Every random number is a hash of the
record's seed and the pixel.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simgen.errors import ConfigError, RenderError
from simgen.kernels import kernel
from simgen.scene.depth_presets import PRESETS, SOURCES
from simgen.scene.record import DepthSensorRecord
from simgen.sensors.noise import normal_table, site_hash, split_seed

Image = NDArray[np.float32]

__all__ = ["PRESETS", "SOURCES", "check_depth_sensor", "sense_depth"]

_LATERAL, _RANGE, _DROP, _FLYING, _RANGE_FIELD, _DROP_FIELD = range(1, 7)  # purposes of random numbers
_ANGLES = 2048


def sense_depth(
    depth: Image,
    sensor: DepthSensorRecord,
    K: ArrayLike,
    normal: Image | None = None,
    radiance: Image | None = None,
) -> NDArray[np.uint16]:
    """Millimetres (H, W) uint16, 0 = nothing measured, of exact z-depth (H, W) float32 metres, 0 = no surface.

    ``K`` (3, 3) is the camera's. ``normal`` (H, W, 3), unit in the camera frame, is needed by everything that depends
    on the angle of incidence, ``radiance`` (H, W, 3), linear, by ``min_signal``. Raises RenderError when one of them is
    needed and missing or of another size, and ConfigError for impossible parameters.
    """
    check_depth_sensor(sensor)
    depth = np.ascontiguousarray(depth, np.float32)
    height, width = depth.shape
    matrix = np.asarray(K, np.float64)
    angular = bool(
        sensor.axial_angle[0]
        or sensor.lateral[1]
        or sensor.min_signal
        or min(sensor.grazing_start, sensor.grazing_end) < np.pi / 2 - 1e-9
    )
    cosine = np.ones((1, 1), np.float32)
    if angular:
        cosine = _cosines(_needed("normal", normal, depth, "depends on the angle of incidence"), matrix)
    light = np.ones((1, 1), np.float32)
    if sensor.min_signal:
        light = _luminance(_needed("rgb", radiance, depth, "drops dark surfaces (min_signal)"))
    table = normal_table()
    angles = np.arccos(np.linspace(0, 1, _ANGLES)).astype(np.float32)

    seen = depth
    if any(sensor.lateral) or sensor.lateral_metres:
        l0, l1 = sensor.lateral
        metres = sensor.lateral_metres * matrix[0, 0]
        seeds = split_seed(sensor.noise_seed, _LATERAL)
        seen = np.empty_like(depth)
        _look_aside(depth, cosine, angles, l0, l1, metres, sensor.edge_jump, *seeds, table, seen)
    if sensor.kind == "time_of_flight":
        if sensor.flying_pixels:
            mixed = np.empty_like(depth)
            seeds = split_seed(sensor.noise_seed, _FLYING)
            _mix_edges(seen, sensor.flying_pixels, sensor.edge_jump, *seeds, mixed)
            seen = mixed
        hidden = np.zeros((1, 1), np.bool_)
    else:
        hidden = np.zeros(depth.shape, np.bool_)
        if sensor.baseline:
            both_cameras = sensor.kind == "active_stereo"
            _shadow(depth, matrix[0, 0] * sensor.baseline, both_cameras, hidden)

    noise = _field(sensor.correlation, height, width, split_seed(sensor.noise_seed, _RANGE_FIELD), table)
    holes = _field(sensor.dropout_size, height, width, split_seed(sensor.noise_seed, _DROP_FIELD), table)
    triangulation = sensor.focal * abs(sensor.baseline) if sensor.kind != "time_of_flight" else 0.0
    disparity = sensor.disparity_sigma or sensor.disparity_step
    parameters = np.array(
        [
            sensor.min_range,
            sensor.max_range,
            triangulation if disparity else 0.0,
            sensor.disparity_sigma,
            sensor.disparity_step,
            *sensor.axial,
            *sensor.axial_angle,
            sensor.axial_angle_start,
            sensor.range_step,
            sensor.scale,
            sensor.offset,
            sensor.edge_jump,
            sensor.edge_dropout,
            sensor.min_signal,
            sensor.grazing_start,
            sensor.grazing_end,
            sensor.dropout,
        ]
    )
    out = np.empty(depth.shape, np.uint16)
    range_seeds, drop_seeds = split_seed(sensor.noise_seed, _RANGE), split_seed(sensor.noise_seed, _DROP)
    _measure(
        depth, seen, hidden, cosine, light, angles, noise, holes, parameters, *range_seeds, *drop_seeds, table, out
    )
    return out


def check_depth_sensor(sensor: DepthSensorRecord) -> None:
    """Raise ConfigError for the first parameter of ``sensor`` that is outside its physical range."""
    probability = (0.0, 1.0)
    positive = (0.0, np.inf)
    limits = (
        ("min_range", sensor.min_range, positive),
        ("max_range", sensor.max_range, (sensor.min_range, 65.535)),
        ("focal", sensor.focal, positive),
        ("disparity_sigma", sensor.disparity_sigma, positive),
        ("disparity_step", sensor.disparity_step, positive),
        ("lateral", min(sensor.lateral), positive),
        ("lateral_metres", sensor.lateral_metres, positive),
        ("range_step", sensor.range_step, positive),
        ("scale", sensor.scale, (1e-3, np.inf)),
        ("edge_jump", sensor.edge_jump, positive),
        ("edge_dropout", sensor.edge_dropout, probability),
        ("flying_pixels", sensor.flying_pixels, probability),
        ("min_signal", sensor.min_signal, positive),
        ("grazing_end", sensor.grazing_end, (sensor.grazing_start, np.inf)),
        ("dropout", sensor.dropout, probability),
    )
    for name, value, (low, high) in limits:
        if not low <= value <= high:
            bound = f"{low:g} or more" if high == np.inf else f"{low:g}...{high:g}"
            raise ConfigError(f"depth sensor {name} is {value:g} and must be {bound}")
    measures_disparity = sensor.disparity_sigma or sensor.disparity_step
    if sensor.kind != "time_of_flight" and measures_disparity and not (sensor.focal and sensor.baseline):
        raise ConfigError("a depth sensor with disparity_sigma or disparity_step needs its focal length and baseline")


def _needed(name: str, image: Image | None, depth: Image, why: str) -> Image:
    if image is None:
        raise RenderError(f'this depth sensor {why} and needs the pass "{name}"; render it too')
    if image.shape != (*depth.shape, 3):
        raise RenderError(f'the pass "{name}" has shape {image.shape}, the depth {depth.shape}; render them together')
    return np.ascontiguousarray(image, np.float32)


def _field(
    spacing: float, height: int, width: int, seeds: tuple[np.uint32, np.uint32], table: NDArray[np.float32]
) -> Image:
    """Standard normal noise with a lattice ``spacing`` in pixels, or an empty array for spacings up to 1."""
    if spacing <= 1:
        return np.empty((0, 0), np.float32)
    rows, columns = int(height / spacing) + 2, int(width / spacing) + 2
    lattice = np.empty((rows, columns), np.float32)
    _white(lattice, *seeds, table)
    out = np.empty((height, width), np.float32)
    _interpolate_field(lattice, spacing, out)
    return out


@kernel()
def _white(out: Image, low: np.uint32, high: np.uint32, table: NDArray[np.float32]) -> None:
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            out[y, x] = table[site_hash(np.uint32(y * out.shape[1] + x), low, high) >> np.uint32(16)]


@kernel(error_model="numpy")
def _interpolate_field(lattice: Image, spacing: float, out: Image) -> None:
    """Bilinear interpolation of a lattice, scaled so that the variance is the same everywhere."""
    height, width = out.shape
    left, right = np.empty(width, np.float32), np.empty(width, np.float32)
    cell = np.empty(width, np.int32)
    for x in range(width):
        cell[x] = int(x / spacing)
        a = x / spacing - cell[x]
        left[x], right[x] = (1 - a) / np.sqrt((1 - a) ** 2 + a * a), a / np.sqrt((1 - a) ** 2 + a * a)
    row = np.empty(lattice.shape[1], np.float32)
    for y in range(height):
        i = int(y / spacing)
        b = y / spacing - i
        top, bottom = (1 - b) / np.sqrt((1 - b) ** 2 + b * b), b / np.sqrt((1 - b) ** 2 + b * b)
        for j in range(row.size):
            row[j] = np.float32(top) * lattice[i, j] + np.float32(bottom) * lattice[i + 1, j]
        for x in range(width):
            out[y, x] = left[x] * row[cell[x]] + right[x] * row[cell[x] + 1]


@kernel(error_model="numpy")
def _cosines(normal: Image, K: NDArray[np.float64]) -> Image:
    """Cosine of the angle between each pixel's ray and the surface normal; 1 where there is no surface."""
    height, width, _ = normal.shape
    out = np.empty((height, width), np.float32)
    for v in range(height):
        y = np.float32((v - K[1, 2]) / K[1, 1])
        for u in range(width):
            x = np.float32((u - K[0, 2]) / K[0, 0])
            nx, ny, nz = normal[v, u, 0], normal[v, u, 1], normal[v, u, 2]
            c = abs(nx * x + ny * y + nz) / np.sqrt(x * x + y * y + np.float32(1))
            empty = nx == 0 and ny == 0 and nz == 0
            out[v, u] = np.float32(1) if empty or not c < 1 else c
    return out


@kernel()
def _luminance(radiance: Image) -> Image:
    height, width, _ = radiance.shape
    out = np.empty((height, width), np.float32)
    for v in range(height):
        for u in range(width):
            out[v, u] = (
                np.float32(0.2126) * radiance[v, u, 0]
                + np.float32(0.7152) * radiance[v, u, 1]
                + np.float32(0.0722) * radiance[v, u, 2]
            )
    return out


@kernel(inline="always")
def _angle(cosine: Image, angles: NDArray[np.float32], v: int, u: int) -> np.float32:
    """Angle of incidence at a pixel; 0 when ``cosine`` is the (1, 1) stand-in for "not needed"."""
    if cosine.shape[0] == 1 and cosine.shape[1] == 1:
        return np.float32(0)
    return angles[int(cosine[v, u] * np.float32(_ANGLES - 1) + np.float32(0.5))]


@kernel(inline="always")
def _steepness(theta: np.float32) -> np.float32:
    """The grazing term of the published models, theta / (pi/2 - theta), up to a bound."""
    return theta / max(np.float32(1.5707964) - theta, np.float32(0.01))


@kernel(inline="always")
def _jumps(a: np.float32, b: np.float32, jump: float) -> np.bool_:
    """Whether depths a and b belong to different surfaces."""
    return abs(a - b) > jump * min(a, b)


@kernel(error_model="numpy")
def _look_aside(
    depth: Image,
    cosine: Image,
    angles: NDArray[np.float32],
    l0: float,
    l1: float,
    metres: float,
    jump: float,
    low: np.uint32,
    high: np.uint32,
    table: NDArray[np.float32],
    out: Image,
) -> None:
    """Each pixel looks a random bit aside; across an edge it sees the other surface.

    On the same surface it keeps its own depth: the published axial noise already holds what a slant adds.
    """
    height, width = depth.shape
    for v in range(height):
        for u in range(width):
            z = depth[v, u]
            sigma = l0 + l1 * float(_steepness(_angle(cosine, angles, v, u)))
            if metres > 0 and z > 0:
                sigma = np.sqrt(sigma * sigma + (metres / z) ** 2)
            h = site_hash(np.uint32(v * width + u), low, high)
            x = int(np.floor(u + sigma * table[h >> np.uint32(16)] + 0.5))
            y = int(np.floor(v + sigma * table[h & np.uint32(0xFFFF)] + 0.5))
            other = depth[min(max(y, 0), height - 1), min(max(x, 0), width - 1)]
            out[v, u] = other if _jumps(other, z, jump) else z


@kernel(error_model="numpy")
def _mix_edges(depth: Image, share: float, jump: float, low: np.uint32, high: np.uint32, out: Image) -> None:
    """Flying pixels: next to an edge, light of both surfaces gives a range in between."""
    height, width = depth.shape
    threshold = share * 65536
    for v in range(height):
        for u in range(width):
            z = depth[v, u]
            out[v, u] = z
            if z <= 0:
                continue
            h = site_hash(np.uint32(v * width + u), low, high)
            if (h >> np.uint32(16)) >= threshold:
                continue
            other = np.float32(0)
            for near in (
                depth[max(v - 1, 0), u],
                depth[min(v + 1, height - 1), u],
                depth[v, max(u - 1, 0)],
                depth[v, min(u + 1, width - 1)],
            ):
                if near > 0 and _jumps(near, z, jump):
                    other = near
            if other > 0:
                out[v, u] = z + (other - z) * np.float32((h & np.uint32(0xFFFF)) / 65536.0)


@kernel(error_model="numpy")
def _shadow(depth: Image, fb: float, both_cameras: bool, hidden: NDArray[np.bool_]) -> None:
    """Mark what the second camera or projector does not see; ``fb`` is focal times baseline, negative to the left.

    A point at column u lies at u - fb / z in the other view. Going towards that view's side, order is kept where
    nothing is hidden; a point that falls behind one met before is occluded by it. Two cameras also need the point
    inside the second image.
    """
    height, width = depth.shape
    for v in range(height):
        nearest = np.inf
        for k in range(width):
            u = width - 1 - k if fb > 0 else k
            z = depth[v, u]
            if z <= 0:
                continue
            other = u - fb / z
            if both_cameras and (other < -0.5 or other > width - 0.5):
                hidden[v, u] = True
            position = other if fb > 0 else -other
            if position > nearest + 0.5:
                hidden[v, u] = True
            else:
                nearest = min(nearest, position)


@kernel(error_model="numpy")
def _measure(
    depth: Image,
    seen: Image,
    hidden: NDArray[np.bool_],
    cosine: Image,
    light: Image,
    angles: NDArray[np.float32],
    noise: Image,
    holes: Image,
    p: NDArray[np.float64],
    range_low: np.uint32,
    range_high: np.uint32,
    drop_low: np.uint32,
    drop_high: np.uint32,
    table: NDArray[np.float32],
    out: NDArray[np.uint16],
) -> None:
    height, width = depth.shape
    low, high, fb, disparity_sigma, disparity_step, c0, c1, c2, z0, angle_c, angle_p, angle_start = p[:12]
    range_step, scale, offset, jump, edge, signal, grazing0, grazing1, dropout = p[12:21]
    triangulates = hidden.shape[0] == height and hidden.shape[1] == width
    grazes = grazing0 < 1.5707
    axial = c0 != 0 or c1 != 0 or c2 != 0 or angle_c != 0
    # A power a pixel would cost more than all the rest.
    power = np.empty(_ANGLES)
    per_power = _ANGLES / high
    for i in range(_ANGLES):
        power[i] = angle_c * ((i + 0.5) / per_power) ** angle_p
    for v in range(height):
        for u in range(width):
            out[v, u] = 0
            z = np.float64(seen[v, u])
            if not (z >= low and z <= high) or z <= 0 or (triangulates and hidden[v, u]):
                continue
            site = np.uint32(v * width + u)
            theta = np.float64(_angle(cosine, angles, v, u))
            if edge > 0 or signal > 0 or grazes or dropout > 0:
                h = site_hash(site, drop_low, drop_high)
                if edge > 0 and (h >> np.uint32(16)) < edge * 65536 and _at_edge(depth, v, u, jump):
                    continue
                lost = dropout
                if signal > 0:
                    s = max(light[v, u], np.float32(0)) * cosine[v, u] / (z * z * signal)
                    lost = 1 - (1 - lost) * (1 - 1 / (1 + s * s * s * s))
                if grazes and theta > grazing0:
                    t = min((theta - grazing0) / max(grazing1 - grazing0, 1e-6), 1.0)
                    lost = 1 - (1 - lost) * (1 - t * t * (3 - 2 * t))
                # The table of normal deviates is also their quantile function.
                n = holes[v, u] if holes.shape[0] > 0 else table[h & np.uint32(0xFFFF)]
                if n < table[int(lost * 65535)] or lost > 0.9999:
                    continue
            z = z * scale + offset
            h = site_hash(site, range_low, range_high)
            n = table[h >> np.uint32(16)] if noise.shape[0] == 0 else noise[v, u]
            if fb > 0:
                d = fb / z + disparity_sigma * n
                if disparity_step > 0:
                    d = np.floor(d / disparity_step + 0.5) * disparity_step
                if d <= 0:
                    continue
                z = fb / d
            if axial:
                sigma = c0 + c1 * z + c2 * (z - z0) ** 2
                if angle_c != 0 and theta >= angle_start:
                    sigma += power[min(int(z * per_power), _ANGLES - 1)] * _steepness(np.float32(theta)) ** 2
                if fb > 0:  # a deviate of its own beside that of the disparity
                    n = table[h & np.uint32(0xFFFF)]
                z += max(sigma, 0.0) * n
            if range_step > 0:
                z = np.floor(z / range_step + 0.5) * range_step
            millimetres = np.floor(z * 1000 + 0.5)
            if millimetres >= 1 and millimetres <= 65535:
                out[v, u] = np.uint16(millimetres)


@kernel(inline="always")
def _at_edge(depth: Image, v: int, u: int, jump: float) -> np.bool_:
    """Whether one of the four neighbours of a pixel belongs to another surface."""
    z = depth[v, u]
    height, width = depth.shape
    rows = _jumps(depth[max(v - 1, 0), u], z, jump) | _jumps(depth[min(v + 1, height - 1), u], z, jump)
    return rows | _jumps(depth[v, max(u - 1, 0)], z, jump) | _jumps(depth[v, min(u + 1, width - 1)], z, jump)

"""Lidar: where its beams go, what they meet, and what the sensor makes of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simgen.errors import ConfigError
from simgen.render.base import Snapshot
from simgen.render.raycast import RayScene, cast
from simgen.render.snapshot import linear_from_srgb
from simgen.scene.lidar_presets import PRESETS
from simgen.scene.trace_record import LidarRecord
from simgen.sensors.clock import interpolate_poses
from simgen.sensors.noise import normals, uniforms

__all__ = ["PRESETS", "Beams", "LidarScan", "beams", "scan", "surfaces"]

Array = NDArray[np.float64]

_RANGE, _ANGLE, _DETECTION, _INTENSITY = range(1, 5)  # purposes of random numbers


@dataclass(frozen=True, eq=False)
class Beams:
    """R beams of one scan in the order in which they are fired.

    ``direction`` (R, 3) unit vectors in the lidar's frame (x forward, y left, z up); ``time`` (R,) seconds after the
    start of the scan; ``channel`` (R,) int32, the laser or the row.
    """

    direction: Array
    time: Array
    channel: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class LidarScan:
    """The returns of one scan, one entry a beam (R,), in the order of ``beams``; no return is range 0.

    ``point`` (R, 3) float32 metres in the lidar's frame at the time of the beam; ``range`` float32 m; ``intensity``
    float32, reflectance times the cosine of incidence, dimmed by the air; ``instance`` uint16; ``time`` float64
    seconds after the start of the scan; ``channel`` int32.
    """

    point: NDArray[np.float32]
    range: NDArray[np.float32]
    intensity: NDArray[np.float32]
    instance: NDArray[np.uint16]
    time: Array
    channel: NDArray[np.int32]


def beams(lidar: LidarRecord, start: float = 0.0) -> Beams:
    """The beams of a scan; ``start`` seconds on the scene clock set where the prisms of a rosette stand.

    Raises ConfigError for a pattern without beams.
    """
    if lidar.columns < 1 or lidar.duration <= 0 or (lidar.pattern == "raster" and lidar.rows < 1):
        raise ConfigError("a lidar scan needs at least one row and one column and a positive duration")
    if lidar.pattern == "rosette":
        time = (np.arange(lidar.columns) + 0.5) / lidar.columns * lidar.duration
        a, b = (np.exp(2j * np.pi * turns * (start + time) / lidar.duration) for turns in lidar.prism_turns)
        bend = (a + b) / 2 * lidar.elevation[1]  # each prism deflects by half of the cone
        angle = np.abs(bend)
        across = np.sinc(angle / np.pi)  # sin(angle) / angle
        direction = np.stack([np.cos(angle), bend.real * across, bend.imag * across], 1)
        return Beams(direction, time, np.zeros(lidar.columns, np.int32))
    first, last = lidar.azimuth
    closed = lidar.pattern == "spinning" and last - first > 2 * np.pi - 1e-9
    azimuth = np.linspace(first, last, lidar.columns, endpoint=not closed)
    if lidar.pattern == "spinning":
        if not lidar.elevations:
            raise ConfigError('a lidar of pattern "spinning" needs the elevation of each channel in elevations')
        elevation = np.asarray(lidar.elevations)
        channels = len(elevation)
        time = np.repeat(np.arange(lidar.columns) / lidar.columns * lidar.duration, channels)
        channel = np.tile(np.arange(channels, dtype=np.int32), lidar.columns)
        return Beams(_directions(np.repeat(azimuth, channels), np.tile(elevation, lidar.columns)), time, channel)
    elevation = np.linspace(*lidar.elevation, lidar.rows)
    count = lidar.rows * lidar.columns
    channel = np.repeat(np.arange(lidar.rows, dtype=np.int32), lidar.columns)
    directions = _directions(np.tile(azimuth, lidar.rows), np.repeat(elevation, lidar.columns))
    return Beams(directions, np.arange(count) / count * lidar.duration, channel)


def surfaces(snapshot: Snapshot) -> tuple[NDArray[np.uint16], Array]:
    """Instance ids and reflectances in 0...1 of the drawables of ``snapshot``, for ``scan``.

    A surface's reflectance is the luminance of its base colour, averaged over its colour map.
    """
    weights = np.array([0.2126, 0.7152, 0.0722])
    ids = np.array([d.instance_id for d in snapshot.drawables], np.uint16)
    reflectance = np.zeros(len(snapshot.drawables))
    means: dict[str, Array] = {}
    for index, drawable in enumerate(snapshot.drawables):
        colour = np.asarray(drawable.material.base_color[:3], np.float64)
        texture = drawable.material.base_color_map
        if texture is not None:
            if texture.key not in means:
                codes = np.arange(256, dtype=np.uint8)
                values = linear_from_srgb(codes) if texture.srgb else codes / 255.0
                shares = [np.bincount(texture.pixels[..., c].reshape(-1), minlength=256) for c in range(3)]
                means[texture.key] = np.array([np.average(values, weights=share) for share in shares])
            colour = colour * means[texture.key]
        reflectance[index] = min(max(float(colour @ weights), 0.0), 1.0)
    return ids, reflectance


def scan(
    scene: RayScene,
    T_world_lidar: ArrayLike,
    lidar: LidarRecord,
    instance_ids: ArrayLike,
    reflectance: ArrayLike,
    T_world_lidar_end: ArrayLike | None = None,
    start: float = 0.0,
) -> LidarScan:
    """One scan of ``scene``, the world being held still.

    ``instance_ids`` and ``reflectance`` are per owner in ``scene`` (see ``surfaces``). With ``T_world_lidar_end`` the
    sensor moves from ``T_world_lidar`` to there during the scan. ``start`` is its time on the scene clock; it also
    sets the noise apart from that of other scans.

    A return of a surface of reflectance rho at range r under the angle of incidence theta has the signal
    rho cos(theta) exp(-2 attenuation r) (detection_range / r)^2, and is found with probability s^2 / (1 + s^2).
    """
    fan = beams(lidar, start)
    count = len(fan.time)
    seed = lidar.noise_seed ^ int(np.float64(start).view(np.uint64)) if start else lidar.noise_seed
    poses = np.broadcast_to(np.asarray(T_world_lidar, np.float64), (count, 4, 4))
    if T_world_lidar_end is not None:
        ends = np.stack([np.asarray(T_world_lidar, np.float64), np.asarray(T_world_lidar_end, np.float64)])
        poses = interpolate_poses([0.0, lidar.duration], ends, fan.time)
    aimed = fan.direction
    if lidar.angle_noise:
        aimed = aimed + lidar.angle_noise * normals(seed, _ANGLE, (count, 3))
        aimed = aimed / np.linalg.norm(aimed, axis=1, keepdims=True)
    direction = np.einsum("rij,rj->ri", poses[:, :3, :3], aimed)
    hits = cast(scene, poses[:, :3, 3], direction, t_max=lidar.max_range)

    hit = hits.owner >= 0
    owner = np.where(hit, hits.owner, 0)
    r = np.where(hit, hits.t, 1.0)
    cosine = np.abs(np.einsum("ri,ri->r", hits.normal, direction))
    rho = np.append(np.asarray(reflectance, np.float64), 0.0)[owner]
    intensity = rho * cosine * np.exp(-2 * lidar.attenuation * r)
    chance = np.full(count, 1.0 - lidar.dropout)
    if lidar.detection_range:
        signal = intensity * (lidar.detection_range / np.maximum(r, 1e-6)) ** 2
        chance *= signal**2 / (1 + signal**2)
    found = hit & (uniforms(seed, _DETECTION, count) < chance)
    measured = r + (lidar.range_noise + lidar.range_noise_slope * r) * normals(seed, _RANGE, count)
    if lidar.range_step:
        measured = np.round(measured / lidar.range_step) * lidar.range_step
    found &= (measured >= lidar.min_range) & (measured <= lidar.max_range)
    measured = np.where(found, measured, 0.0)
    if lidar.intensity_noise:
        intensity = np.maximum(intensity * (1 + lidar.intensity_noise * normals(seed, _INTENSITY, count)), 0.0)
    ids = np.append(np.asarray(instance_ids, np.uint16), np.uint16(0))
    return LidarScan(
        (fan.direction * measured[:, None]).astype(np.float32),
        measured.astype(np.float32),
        np.where(found, intensity, 0.0).astype(np.float32),
        np.where(found, ids[owner], 0).astype(np.uint16),
        fan.time,
        fan.channel,
    )


def _directions(azimuth: Array, elevation: Array) -> Array:
    flat = np.cos(elevation)
    return np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)], 1)

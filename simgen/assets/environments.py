"""Environment maps: linear equirectangular images of light from all around, read from files or computed.

Mapping: the direction (x, y, z) in the world is at u = 0.5 - atan2(y, x) / 2 pi, v = acos(z) / pi.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from simgen import rng
from simgen.assets.noise import plane_noise
from simgen.errors import AssetError

F32 = NDArray[np.float32]
Vec3 = Sequence[float]

ENVIRONMENT_SUFFIXES = frozenset({".hdr", ".exr"})
MAX_RADIANCE = 65504.0
"""Brighter texels (a sun in an EXR) are cut here, the largest half float."""

SOFTBOX_RADIANCE = 0.7
"""Mean radiance of the computed rooms, that of a bright environment map."""

LUMINANCE = (0.2126, 0.7152, 0.0722)


def key(radiance: F32) -> str:
    """What identifies a map in caches: equal keys mean equal texels."""
    digest = hashlib.sha256(f"{radiance.shape}".encode())
    digest.update(np.ascontiguousarray(radiance).tobytes())
    return digest.hexdigest()[:20]


def load(path: Path, width: int = 1024) -> F32:
    """The map at ``path`` as linear RGB (h, w, 3), at most ``width`` wide, light kept on the way down.

    Raises AssetError when the file is missing, broken, not twice as wide as high, or an EXR that OpenCV cannot read.
    """
    where = f"environment map {path}"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise AssetError(f"{where} cannot be read ({error.strerror}): check the path") from None
    if path.suffix.lower() == ".exr" and not data.startswith(b"v/1\x01"):
        raise AssetError(f"{where} is not an OpenEXR image: replace it")
    image = _decode(data)
    if image is None:
        if path.suffix.lower() == ".exr":
            raise AssetError(f"{where} cannot be read: this OpenCV has no OpenEXR, convert the map to Radiance .hdr")
        raise AssetError(f"{where} is damaged or not a Radiance image: replace it")
    if image.ndim != 3 or image.shape[2] < 3 or image.shape[1] != 2 * image.shape[0]:
        size = " x ".join(str(n) for n in image.shape[1::-1])
        raise AssetError(f"{where} is {size}: an equirectangular colour image is twice as wide as high")
    radiance: F32 = np.asarray(image[..., 2::-1], np.float32)
    if np.isnan(radiance).any():
        raise AssetError(f"{where} has texels that are not numbers: replace it")
    radiance = np.clip(radiance, 0, MAX_RADIANCE)
    if radiance.shape[1] > width:
        radiance = np.asarray(cv2.resize(radiance, (width, width // 2), interpolation=cv2.INTER_AREA), np.float32)
    return np.ascontiguousarray(radiance)


def sky(
    zenith: Vec3,
    horizon: Vec3,
    ground: Vec3,
    sun_direction: Vec3,
    sun_color: Vec3 = (0.0, 0.0, 0.0),
    clouds: float = 0.0,
    seed: int = 0,
    width: int = 256,
) -> F32:
    """A sky over a ground, (width / 2, width, 3) linear radiance.

    The sky goes from ``horizon`` to ``zenith``; ``ground`` fills the lower half, hazy towards the horizon.
    ``sun_color`` is the radiance of the glow around ``sun_direction`` (from the scene towards the sun, any length);
    its disc is left to a directional light. ``clouds`` in 0...1 is the share of the sky they cover, ``seed`` their
    form. Raises ValueError when ``sun_direction`` is zero or ``width`` is below 8.
    """
    x, y, z = directions(width)
    sx, sy, sz = (float(c) for c in sun_direction)
    length = math.sqrt(sx * sx + sy * sy + sz * sz)
    if length == 0:
        raise ValueError("sun_direction has to point somewhere")
    toward_sun = x * np.float32(sx / length) + y * np.float32(sy / length) + z * np.float32(sz / length)
    top, rim, floor, glow = (_planes(c) for c in (zenith, horizon, ground, sun_color))
    height = np.clip(z, 0, 1)
    air = rim + (top - rim) * np.sqrt(height)
    apart = np.clip(1 - toward_sun, 0, 2)
    halo = np.float32(0.86) * _falloff(apart, 0.0015) + np.float32(0.12) * _falloff(apart, 0.02)
    halo += np.float32(0.02) * _falloff(apart, 0.25)
    if clouds > 0:
        thickness = _clouds(x, y, z, clouds, seed)
        light = np.float32(1.6) * (rim + top) / 2 + np.float32(0.05) * glow * (1 + 4 * _falloff(apart, 0.2))
        grey = np.float32(sum(w * float(c) for w, c in zip(LUMINANCE, ((rim + top) / 2).ravel(), strict=True)))
        dark = np.float32(0.5) + np.float32(0.5) / (1 + 6 * thickness)
        body = (np.float32(0.35) * light + np.float32(0.65) * (light.mean(axis=0) + grey) / 2) * dark
        opacity = np.clip(thickness * 7, 0, 1) * np.clip(height * 8, 0, 1)
        air = air * (1 - opacity) + body * opacity
        halo = halo * (1 - np.float32(0.75) * opacity)
    air = air + glow * halo
    depth = np.clip(-z, 0, 1)
    haze = np.float32(0.6) * _falloff(depth, 0.08)
    reach = 1 / (depth + np.float32(0.05))
    east, north = np.asarray(x * reach, np.float32), np.asarray(y * reach, np.float32)
    grain = _noise(east, north, z, rng.stream(seed, 0, "environment/ground"))
    soil = np.float32(0.8) + np.float32(0.4) * grain
    earth = floor * soil * (1 - haze) + (floor + rim) / 2 * haze
    above = np.clip(z * np.float32(width / 6) + np.float32(0.5), 0, 1)
    return _interleaved(np.maximum(earth + (air - earth) * above, 0))


def softbox(seed: int, width: int = 256) -> F32:
    """An indoor light, (width / 2, width, 3): a dim room with a few soft lamps in its ceiling and walls.

    Rooms of different seeds differ in tint and contrast and in the number, size, place and colour of their lamps; the
    mean radiance over the sphere is SOFTBOX_RADIANCE.
    """
    random = rng.stream(seed, 0, "environment/softbox")
    x, y, z = directions(width)
    walls = np.float32(0.12) + np.float32(0.3) * random.random(3, dtype=np.float32).mean()
    tint = np.float32(0.85) + np.float32(0.3) * random.random((3, 3), dtype=np.float32)
    side, ceiling, ground = (_planes(color) for color in tint)
    up, down = np.clip(z, 0, 1), np.clip(-z, 0, 1)
    room = walls * side * (1 - up - down) + walls * ceiling * np.float32(1.3) * up
    room = room + walls * ground * np.float32(0.5) * down
    room *= np.float32(0.55) + np.float32(0.9) * _noise(x, y, z, random) * _noise(2 * x, y, z, random)
    for _ in range(int(random.integers(2, 6))):
        azimuth, lift, roll = random.random(3) * (2 * math.pi, 1.0, math.pi)
        elevation = 0.15 + 1.1 * lift
        ca, sa, ce, se = math.cos(azimuth), math.sin(azimuth), math.cos(elevation), math.sin(elevation)
        cr, sr = math.cos(roll), math.sin(roll)
        front = np.array([ce * ca, ce * sa, se])
        right, over = np.array([-sa, ca, 0.0]), np.array([-se * ca, -se * sa, ce])
        wide, high = cr * right + sr * over, cr * over - sr * right
        half_width, half_height = 0.1 + 0.4 * random.random(), 0.08 + 0.2 * random.random()
        warm = np.array([1.0, 0.0, 0.0]) if random.random() < 0.5 else np.array([0.0, 0.0, 1.0])
        color = (1 - 0.25 * random.random() * (1 - warm)) * (3 + 15 * random.random() ** 2)
        depth, a, b = (_along(x, y, z, axis) for axis in (front, wide, high))
        facing = depth > np.float32(0.05)
        depth = np.where(facing, depth, np.float32(1))
        edge = np.float32(0.04)
        inside = _ramp((np.float32(half_width) - np.abs(a / depth)) / edge)
        inside = inside * _ramp((np.float32(half_height) - np.abs(b / depth)) / edge) * facing
        spill = _falloff(np.clip(1 - _along(x, y, z, front), 0, 2), 0.15)
        room = room + _planes(color) * (inside + np.float32(0.02) * spill)
    mean = float((room.mean(axis=0) * np.sqrt(x * x + y * y)).mean(dtype=np.float64)) * math.pi / 2
    return _interleaved(room * np.float32(SOFTBOX_RADIANCE / mean))


@lru_cache(maxsize=4)
def directions(width: int) -> tuple[F32, F32, F32]:
    """x, y, z (width / 2, width) of the direction at each texel's centre."""
    if width < 8:
        raise ValueError(f"an environment map of width {width} is too small")
    height = width // 2
    around = [math.pi * (1 - 2 * (k + 0.5) / width) for k in range(width)]
    down = [math.pi * (k + 0.5) / height for k in range(height)]
    across = np.array([math.sin(a) for a in down])[:, None]
    x, y = np.array([math.cos(a) for a in around]), np.array([math.sin(a) for a in around])
    z = np.broadcast_to(np.array([math.cos(a) for a in down])[:, None], (height, width))
    return (across * x).astype(np.float32), (across * y).astype(np.float32), z.astype(np.float32)


def _planes(color: Vec3 | NDArray[Any]) -> F32:
    """A colour (3, 1, 1): images are computed channel by channel, which goes many texels at a time."""
    return np.asarray(color, np.float32).reshape(3, 1, 1)


def _interleaved(planes: NDArray[Any]) -> F32:
    """The image (h, w, 3) of channels (3, h, w)."""
    return np.ascontiguousarray(np.moveaxis(planes, 0, -1), np.float32)


def _decode(data: bytes) -> NDArray[np.float32] | None:
    """The image as OpenCV reads it (BGR), None when it cannot; OpenCV's own messages are kept off the terminal."""
    os.environ.setdefault("OPENCV_IO_ENABLE_OPENEXR", "1")  # read by OpenCV when it first meets an EXR
    log = getattr(cv2.utils, "logging", cv2)  # OpenCV has it in either place, by version
    level = log.getLogLevel()
    log.setLogLevel(0)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    finally:
        log.setLogLevel(level)
    return np.asarray(image, np.float32) if image is not None and image.dtype == np.float32 else None


def _along(x: F32, y: F32, z: F32, axis: NDArray[np.float64]) -> F32:
    a, b, c = axis.astype(np.float32)
    return x * a + y * b + z * c


def _falloff(distance: F32, width: float) -> F32:
    """1 at 0, 1/4 at ``width``, with long tails."""
    t = np.float32(width) / (np.float32(width) + distance)
    return t * t


def _ramp(value: F32) -> F32:
    t = np.clip(value + np.float32(0.5), 0, 1)
    return t * t * (3 - 2 * t)


def _clouds(x: F32, y: F32, z: F32, cover: float, seed: int) -> F32:
    """Thickness, 0 to about 0.6, of a layer of clouds seen from below."""
    random = rng.stream(seed, 0, "environment/clouds")
    lift = np.float32(1.2) / (np.clip(z, 0, 1) + np.float32(0.18))
    u, v = x * lift, y * lift
    total, amplitude = np.zeros_like(x), 0.5
    for octave in range(5):
        frequency = np.float32(1.3 * 2**octave)
        total += np.float32(amplitude) * _plane_noise(u * frequency, v * frequency, random)
        amplitude *= 0.55
    level = np.float32(0.72 - 0.55 * min(cover, 1.0))
    return np.maximum(total / np.float32(1.055) - level, 0)


def _noise(x: F32, y: F32, z: F32, random: np.random.Generator) -> F32:
    return _plane_noise(3 * x + 2 * z, 3 * y - 2 * z, random)


def _plane_noise(u: F32, v: F32, random: np.random.Generator) -> F32:
    """Smooth noise in 0...1 with random values at whole numbers, repeating every 64."""
    values = random.random((64, 64), dtype=np.float32)
    return plane_noise(np.ascontiguousarray(u), np.ascontiguousarray(v), values)

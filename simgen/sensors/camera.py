"""What a camera sees: renderings of pinhole cameras, seen through its lens and at its sensor's own resolution.

Renderers know pinhole cameras only. ``exposure_of`` says which to render for a frame, and ``see`` and
``full_silhouettes`` make of the renderings what lies in the image: colour and every label in step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.render.base import Renderer, Snapshot
from simgen.render.silhouette import Silhouette, empty_silhouette, silhouette_of
from simgen.scene.record import CameraRecord, FrameRecord
from simgen.sensors.exposing import Rows, window_of
from simgen.sensors.lens import COEFFICIENTS, Lens, project
from simgen.sensors.optics import downsample
from simgen.sensors.remap import Pinhole, Remap, RemapCache, distort, padded_camera, remap_table

Images = dict[str, NDArray[Any]]

_MARGIN = 3
"""Pixels around where the outline of a box is projected to: between its points the outline is bent."""
_OUTLINE = 65
"""Points on each side of a box."""


@dataclass(frozen=True)
class Exposure:
    """What to render for a frame of ``camera``: pinhole cameras of its ``labels``, its ``colour`` and its depth sensor.

    ``native`` is ``camera`` at the resolution in which its sensor takes colour. A depth sensor measures what
    ``measured`` sees, at the image's own resolution. Cameras that are equal are one rendering.
    """

    camera: CameraRecord
    native: CameraRecord
    labels: CameraRecord
    colour: CameraRecord
    measured: CameraRecord

    @property
    def apart(self) -> bool:
        """Whether colour takes a rendering of its own."""
        return self.colour != self.labels

    @property
    def beside(self) -> bool:
        """Whether a depth sensor takes a rendering of its own."""
        return self.measured != self.labels

    @property
    def layout(self) -> tuple[int, ...]:
        """Which renderings there are, and of what size; frames of equal layouts can be rendered together."""
        sizes = (size for c in (self.labels, self.colour, self.measured) for size in (c.width, c.height))
        return (self.apart, self.beside, *sizes)


def exposure_of(frame: FrameRecord) -> Exposure:
    """What to render for ``frame``. A pinhole camera at its own resolution is rendered as it is."""
    camera = frame.camera
    native = camera if frame.sensor.native_scale <= 1 else at_resolution(camera, frame.sensor.native_scale)
    return Exposure(
        camera, native, undistorted(camera, camera.label_scale), undistorted(native), undistorted(camera)
    )  # fmt: skip


def at_resolution(camera: CameraRecord, scale: float) -> CameraRecord:
    """The camera with ``scale`` times the pixels each way, rounded to whole ones, at least one, for the same view."""
    width, height = max(round(camera.width * scale), 1), max(round(camera.height * scale), 1)
    sx, sy = width / camera.width, height / camera.height
    return replace(
        camera,
        width=width,
        height=height,
        fx=camera.fx * sx,
        fy=camera.fy * sy,
        # Pixel centres are whole numbers: the image's edge at -0.5 stays where it is.
        cx=(camera.cx + 0.5) * sx - 0.5,
        cy=(camera.cy + 0.5) * sy - 0.5,
    )


def lens_of(camera: CameraRecord) -> Lens:
    """The camera with its lens."""
    coefficients = camera.distortion[: len(COEFFICIENTS[camera.distortion_model])]
    return Lens(
        camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy, camera.distortion_model, coefficients
    )


def undistorted(camera: CameraRecord, finer: float = 1.0) -> CameraRecord:
    """The pinhole camera whose image covers what ``camera`` sees; ``camera`` itself when its lens does not distort.

    Its focal length is ``finer`` times the ``render_scale`` of the lens's.
    """
    lens = lens_of(camera)
    if not lens.distorts:
        return camera
    source = _source(lens, camera.render_scale * finer)
    return replace(
        camera,
        width=source.width,
        height=source.height,
        fx=source.fx,
        fy=source.fy,
        cx=source.cx,
        cy=source.cy,
        distortion=(0.0, 0.0, 0.0, 0.0, 0.0),
        distortion_model="radial_tangential",
    )


def see(
    exposure: Exposure, labels: Images, colour: NDArray[np.float32] | None, measured: Images, lenses: RemapCache
) -> Images:
    """The passes in the image (H, W[, C]) of what was rendered for ``exposure``.

    ``labels`` are the passes that its camera of that name has rendered, and ``measured`` those of that one; ``colour``,
    where it was rendered apart, is averaged down to the image's size.
    """
    camera, native = exposure.camera, exposure.native
    images = _through_lens(labels, camera, camera.label_scale, lenses)
    images |= _through_lens(measured, camera, 1.0, lenses)
    if colour is not None:
        fine = _through_lens({"rgb": colour}, native, 1.0, lenses)["rgb"]
        images["rgb"] = fine if native is camera else downsample(fine, camera.width, camera.height)
    return images


def image_rows(camera: CameraRecord, of: CameraRecord, finer: float = 1.0) -> Rows:
    """Which row of the image of ``camera`` each pixel of a rendering belongs to, centred on whole numbers.

    The rendering is that of ``undistorted(of, finer)``; ``of`` is ``camera`` at any resolution. Where the lens does not
    reach, the row is beyond the image.
    """
    lens = lens_of(of)
    scale = camera.height / of.height

    def rows(x: int, y: int, width: int, height: int) -> NDArray[np.float32]:
        if lens.distorts:
            source = _source(lens, of.render_scale * finer)
            whole = (x, y, width, height) == (0, 0, source.width, source.height)
            seen = _all_lens_rows(lens, source) if whole else _lens_rows(lens, source, x, y, width, height)
        else:
            seen = np.arange(y, y + height, dtype=np.float32)[:, None]
        return np.clip((seen + np.float32(0.5)) * np.float32(scale) - np.float32(0.5), 0, camera.height - 1)

    return rows


@lru_cache(maxsize=4)
def _all_lens_rows(lens: Lens, source: Pinhole) -> NDArray[np.float32]:
    return _lens_rows(lens, source, 0, 0, source.width, source.height)


def _lens_rows(lens: Lens, source: Pinhole, x: int, y: int, width: int, height: int) -> NDArray[np.float32]:
    """The row in the image of ``lens`` of each pixel of a window (height, width) of the image of ``source``."""
    u, v = np.arange(x, x + width), np.arange(y, y + height)
    rays = np.ones((height, width, 3))
    rays[..., 0], rays[..., 1] = (u - source.cx) / source.fx, ((v - source.cy) / source.fy)[:, None]
    rows = project(rays.reshape(-1, 3), lens.K, lens.distortion, lens.model)[:, 1].reshape(height, width)
    beyond = np.where(rays[..., 1] < 0, -1.0, float(lens.height))
    return np.where(np.isfinite(rows), rows, beyond).astype(np.float32)


def full_silhouettes(
    renderer: Renderer, snapshot: Snapshot, camera: CameraRecord, lenses: RemapCache
) -> list[Silhouette]:
    """The full silhouettes in the image of ``camera``; ``snapshot`` is of its camera for labels."""
    if not lens_of(camera).distorts:
        return renderer.silhouettes(snapshot)
    height = snapshot.camera.height
    wide = window_of(snapshot, -height, 2 * height, beside=snapshot.camera.width)
    return warped_silhouettes(renderer.silhouettes(wide), camera, lenses)


def warped_silhouettes(silhouettes: Sequence[Silhouette], camera: CameraRecord, lenses: RemapCache) -> list[Silhouette]:
    """What the lens of ``camera`` makes of silhouettes on the canvas of three times the rendering of its labels.

    The canvas of three times the image is filled as far as the lens reaches and the other canvas goes.
    """
    lens = lens_of(camera)
    table = _table(camera, camera.label_scale, lenses)
    inner = table.source
    canvas = Pinhole(
        3 * inner.width, 3 * inner.height, inner.fx, inner.fy, inner.cx + inner.width, inner.cy + inner.height
    )
    return [_warped(silhouette, lens, table, canvas) for silhouette in silhouettes]


def _through_lens(images: Images, camera: CameraRecord, finer: float, lenses: RemapCache) -> Images:
    return distort(images, _table(camera, finer, lenses)) if lens_of(camera).distorts else dict(images)


def _table(camera: CameraRecord, finer: float, lenses: RemapCache) -> Remap:
    lens = lens_of(camera)
    return lenses.get(lens, _source(lens, camera.render_scale * finer))


@lru_cache(maxsize=256)
def _source(lens: Lens, scale: float) -> Pinhole:
    return padded_camera(lens, scale)


def _warped(silhouette: Silhouette, lens: Lens, table: Remap, canvas: Pinhole) -> Silhouette:
    """What ``lens`` makes of a silhouette on ``canvas``, which is three times the source of ``table``."""
    mask = silhouette.mask
    if not mask.size:
        return empty_silhouette(silhouette.instance_id)
    u0, v0, u1, v1 = _reach(silhouette, lens, canvas)
    if u1 < u0 or v1 < v0:
        return empty_silhouette(silhouette.instance_id)
    width, height = u1 - u0 + 1, v1 - v0 + 1
    if u0 >= 0 and v0 >= 0 and u1 < lens.width and v1 < lens.height:
        nearest = table.nearest[v0 : v1 + 1, u0 : u1 + 1]
        y, x = np.divmod(nearest, table.source.width)
        x, y = x + table.source.width, y + table.source.height
    else:
        part = Lens(width, height, lens.fx, lens.fy, lens.cx - u0, lens.cy - v0, lens.model, lens.distortion)
        nearest = remap_table(part, canvas).nearest
        y, x = np.divmod(nearest, canvas.width)
    x, y = x - silhouette.x0, y - silhouette.y0
    inside = (nearest >= 0) & (x >= 0) & (y >= 0) & (x < mask.shape[1]) & (y < mask.shape[0])
    covered = np.zeros((height, width), np.bool_)
    covered[inside] = mask[y[inside], x[inside]]
    return silhouette_of(silhouette.instance_id, covered, u0, v0, lens.width, lens.height)


def _reach(silhouette: Silhouette, lens: Lens, canvas: Pinhole) -> tuple[int, int, int, int]:
    """First and last column and row of the image's canvas that the silhouette's box can reach: (u0, v0, u1, v1)."""
    h, w = silhouette.mask.shape
    x = silhouette.x0 + np.linspace(-0.5, w - 0.5, _OUTLINE)
    y = silhouette.y0 + np.linspace(-0.5, h - 0.5, _OUTLINE)
    sides = [np.stack([x, np.full_like(x, at)], 1) for at in (y[0], y[-1])]
    sides += [np.stack([np.full_like(y, at), y], 1) for at in (x[0], x[-1])]
    outline = (np.concatenate(sides) - (canvas.cx, canvas.cy)) / (canvas.fx, canvas.fy)
    rays = np.concatenate([outline, np.ones((len(outline), 1))], 1)
    pixels = project(rays, lens.K, lens.distortion, lens.model)
    low, high = np.array([-lens.width, -lens.height]), np.array([2 * lens.width - 1, 2 * lens.height - 1])
    if np.isfinite(pixels).all():
        # A map that is one-to-one keeps what is inside an outline inside of it.
        first, last = np.floor(pixels.min(0)) - _MARGIN, np.ceil(pixels.max(0)) + _MARGIN
        low, high = np.maximum(low, first).astype(int), np.minimum(high, last).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])

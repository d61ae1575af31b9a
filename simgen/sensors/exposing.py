"""Exposures that take time or see through an aperture: several renderings become one image.

Colour is accumulated from instants and points of the opening; labels are read band by band, each row at its time, and
never blended. Everything happens in the pinhole image that the renderer draws, before the lens: ``rows`` says which row
of the final image each of its pixels belongs to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.render.base import Renderer, Snapshot
from simgen.render.raster.occlusion import WIDEST
from simgen.render.silhouette import Silhouette, empty_silhouette, silhouette_of
from simgen.scene.camera_record import ApertureRecord
from simgen.sensors.aperture import opening_points, seen_from
from simgen.sensors.shutter import Bands, Instants

Rows = Callable[[int, int, int, int], NDArray[np.float32]]
"""Image rows of a window (x, y, width, height) of the pinhole image: (height, 1) or (height, width)."""

_ALIGNED = 8
"""Windows of colour begin at multiples of this row: shading has patterns of pixels that repeat."""

_SMOOTHED = 8
"""Rows over which shading spreads what it has found."""

_FEW_LIGHTS = 4
"""With more, which of them cast shadows can depend on what is in the window."""


def expose_colour(
    renderer: Renderer, shoot: Callable[[float], Snapshot], instants: Instants, aperture: ApertureRecord | None
) -> NDArray[np.float32]:
    """The weighted mean (h, w, 3) of what is seen at ``instants``, from points spread over the ``aperture``."""
    each = 1
    if aperture is not None and aperture.diameter > 0:
        # Each pixel is to be made of as many points as there are samples.
        each = max(int(np.ceil(aperture.samples / instants.at_once - 1e-6)), 1)
    points = None if aperture is None else opening_points(aperture, each * len(instants.times))
    if len(instants.times) * each == 1:
        return _colour(renderer, _from(shoot(instants.times[0]), points, 0, aperture))
    camera = shoot(0.0).camera
    total = np.zeros((camera.height, camera.width, 3), np.float32)
    for k, time in enumerate(instants.times):
        weight = instants.weight(k)
        first, last = _needed(weight, camera.height)
        if first == last:
            continue
        moment = shoot(time)
        top, bottom = _surroundings(moment, first, last)
        share = weight if isinstance(weight, float) else weight[first:last, :, None]
        for j in range(each):
            part = _colour(renderer, window_of(_from(moment, points, k * each + j, aperture), top, bottom))
            total[first:last] += part[first - top : last - top] * (share * np.float32(1 / each))
    return total


def expose_labels(
    renderer: Renderer, shoot: Callable[[float], Snapshot], passes: Sequence[str], bands: Bands, rows: Rows
) -> dict[str, NDArray[Any]]:
    """``passes`` but colour, (h, w[, C]), each pixel at the time of its image row."""
    if bands.count == 1:
        return {name: image[0] for name, image in renderer.render([shoot(0.0)], passes).images.items()}
    camera = shoot(0.0).camera
    size = (camera.height, camera.width)
    index = np.broadcast_to(bands.index(rows(0, 0, camera.width, camera.height)), size)
    out: dict[str, NDArray[Any]] = {}
    for band, first, last in _spans(index):
        part = renderer.render([window_of(shoot(bands.time(band)), first, last)], passes).images
        chosen = index[first:last] == band
        for name, image in part.items():
            whole = out.setdefault(name, np.zeros((camera.height, *image.shape[2:]), image.dtype))
            whole[first:last][chosen] = image[0][chosen]
    return out


def expose_silhouettes(
    renderer: Renderer, shoot: Callable[[float], Snapshot], bands: Bands, rows: Rows, canvas: bool = False
) -> list[Silhouette]:
    """The full silhouettes, each row at its time; rows above and below the image are seen with its first and last.

    With ``canvas`` they are those of the canvas of three times the image, as if that were the image.
    """
    if bands.count == 1:
        moment = shoot(0.0)
        wide = window_of(moment, -moment.camera.height, 2 * moment.camera.height, beside=moment.camera.width)
        return renderer.silhouettes(wide if canvas else moment)
    camera = shoot(0.0).camera
    width, height = camera.width, camera.height
    strips: dict[int, list[tuple[int, int, int, NDArray[np.bool_]]]] = {}
    count = 0
    for band, first, last in _canvas_spans(bands, rows, width, height):
        moment = window_of(shoot(bands.time(band)), first, last, beside=width)
        found = renderer.silhouettes(moment)
        count = max(count, len(found))
        for one in found:
            if one.mask.size:
                strips.setdefault(one.instance_id, []).append((band, one.x0 - width, one.y0 + first, one.mask))
    return [
        _joined(instance, strips[instance], bands, rows, width, height, canvas)
        if instance in strips
        else empty_silhouette(instance)
        for instance in range(1, count + 1)
    ]


def window_of(snapshot: Snapshot, first: int, last: int, beside: int = 0) -> Snapshot:
    """Rows ``first`` to ``last`` (exclusive) of a snapshot, and ``beside`` columns more on both sides."""
    camera = snapshot.camera
    if (first, last, beside) == (0, camera.height, 0):
        return snapshot
    K = camera.K.copy()
    K[0, 2] += beside
    K[1, 2] -= first
    background = snapshot.environment.background
    return replace(
        snapshot,
        camera=replace(camera, K=K, width=camera.width + 2 * beside, height=last - first),
        environment=replace(
            snapshot.environment, background=None if background is None or beside else background[first:last]
        ),
    )


def _surroundings(moment: Snapshot, first: int, last: int) -> tuple[int, int]:
    """The rows to render so that rows ``first`` to ``last`` (exclusive) are shaded as in the whole image."""
    camera = moment.camera
    if len(moment.lights) > _FEW_LIGHTS:
        return 0, camera.height
    # What is next to a window darkens what is in it, as far as ambient occlusion reaches and is smoothed.
    margin = math.ceil((WIDEST * camera.width + _SMOOTHED) / _ALIGNED) * _ALIGNED
    return max((first - margin) // _ALIGNED * _ALIGNED, 0), min(last + margin, camera.height)


def _from(snapshot: Snapshot, points: NDArray[np.float64] | None, k: int, aperture: ApertureRecord | None) -> Snapshot:
    """``snapshot`` as seen from point ``k`` of the opening."""
    if points is None or aperture is None:
        return snapshot
    return seen_from(snapshot, float(points[k, 0]), float(points[k, 1]), aperture.focus)


def _colour(renderer: Renderer, snapshot: Snapshot) -> NDArray[np.float32]:
    return np.asarray(renderer.render([snapshot], ["rgb"]).images["rgb"][0], np.float32)


def _needed(weight: float | NDArray[np.float32], height: int) -> tuple[int, int]:
    """The rows of the window in which an instant counts: first, and last + 1."""
    if isinstance(weight, float):
        return 0, height
    held = np.flatnonzero((weight > 0).any(1))
    return (int(held[0]), int(held[-1]) + 1) if len(held) else (0, 0)


def _spans(index: NDArray[np.int32]) -> Iterator[tuple[int, int, int]]:
    """Each band that there is, with its first row and its last + 1, of the bands (h, w) of pixels."""
    low, high = index.min(1), index.max(1)
    for band in range(int(low.min()), int(high.max()) + 1):
        held = np.flatnonzero((low <= band) & (band <= high))
        if len(held):
            yield band, int(held[0]), int(held[-1]) + 1


def _canvas_spans(bands: Bands, rows: Rows, width: int, height: int) -> Iterator[tuple[int, int, int]]:
    """As ``_spans``, on the canvas of three times the image."""
    # Through a lens rows are bent: columns are looked at here and there, and a few rows more are drawn.
    columns = np.unique(np.linspace(-width, 2 * width - 1, 33).astype(int))
    index = np.concatenate([bands.index(rows(int(x), -height, 1, 3 * height)) for x in columns], 1)
    bent = bool((index != index[:, :1]).any())
    for band, first, last in _spans(index):
        more = 4 if bent else 0
        yield band, max(first - height - more, -height), min(last - height + more, 2 * height)


def _joined(
    instance: int,
    strips: Sequence[tuple[int, int, int, NDArray[np.bool_]]],
    bands: Bands,
    rows: Rows,
    width: int,
    height: int,
    canvas: bool,
) -> Silhouette:
    x0, y0 = min(x for _, x, _, _ in strips), min(y for _, _, y, _ in strips)
    x1 = max(x + mask.shape[1] for _, x, _, mask in strips)
    y1 = max(y + mask.shape[0] for _, _, y, mask in strips)
    index = np.broadcast_to(bands.index(rows(x0, y0, x1 - x0, y1 - y0)), (y1 - y0, x1 - x0))
    covered = np.zeros((y1 - y0, x1 - x0), np.bool_)
    for band, x, y, mask in strips:
        h, w = mask.shape
        window = slice(y - y0, y - y0 + h), slice(x - x0, x - x0 + w)
        covered[window] |= mask & (index[window] == band)
    if canvas:
        return silhouette_of(instance, covered, x0 + width, y0 + height, 3 * width, 3 * height)
    return silhouette_of(instance, covered, x0, y0, width, height)

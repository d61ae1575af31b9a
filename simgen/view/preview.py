"""Contact sheets: frames of a dataset as people look at them, a row a frame, a column a pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from simgen.errors import DatasetError, near_match
from simgen.labels.frame import Frame
from simgen.labels.rle import decode
from simgen.view.letters import font
from simgen.view.overlays import draw_axes, draw_boxes_3d, draw_keypoints

Picture = NDArray[np.uint8]

PANELS = (
    *("rgb", "boxes", "full", "axes", "boxes3d", "keypoints"),
    *("depth", "depth_sensor", "instance", "semantic", "normal", "object_coords", "flow_forward", "part"),
)
"""What a column can show: the passes; and on the colour image ``boxes``, ``full`` masks, ``axes`` of the objects,
``boxes3d`` around them and their ``keypoints``."""

_ON_COLOR = ("boxes", "full", "axes", "boxes3d", "keypoints")
_PASSES = tuple(name for name in PANELS if name not in ("rgb", *_ON_COLOR))

_TALLEST = 4096
"""Pixels of a panel."""

_GAP = 6
_PAPER = (250, 250, 250)
_INK = (60, 60, 60)


def contact_sheet(
    frames: Sequence[Frame], categories: dict[int, str], panels: Sequence[str] | None = None, cell: int = 320
) -> Picture:
    """A picture (H, W, 3) uint8 of ``frames``, each panel ``cell`` pixels wide.

    ``categories`` maps ids to names. ``panels`` are of PANELS; None takes boxes and the passes that are there. Raises
    DatasetError for a panel that is unknown or whose pass the frames do not have.
    """
    chosen = list(panels) if panels is not None else default_panels(frames[0])
    for name in chosen:
        _check(name, frames)
    cell = fitting(cell, frames[0])
    rows = []
    for frame in frames:
        pictures = [_resize(panel(frame, name, categories, cell), cell) for name in chosen]
        rows.append(
            _row(pictures, f"frame {frame.index}   scene {frame.scene}   {frame.camera}   t {frame.time:.2f} s")
        )
    heading = _heading(chosen, rows[0].shape[1], cell)
    return np.concatenate([heading, *rows])


def fitting(width: int, frame: Frame) -> int:
    """``width`` in pixels, or less for an image that would become taller at it than kinds of files and films allow."""
    h, w = next(iter(frame.images.values())).shape[:2]
    return max(1, min(width, _TALLEST * w // h))


def default_panels(frame: Frame) -> list[str]:
    """Colour with boxes, then every pass that the frame has."""
    return ["boxes"] * ("rgb" in frame.images) + [p for p in _PASSES if p in frame.images]


def panel(frame: Frame, name: str, categories: dict[int, str], width: int = 640) -> Picture:
    """One panel as a picture (h, w, 3) uint8; boxes, axes and keypoints are drawn at ``width`` pixels, to be sharp."""
    if name == "rgb":
        return frame.images["rgb"]
    if name in ("axes", "boxes3d", "keypoints"):
        return _drawn_over(frame, name, width)
    if name == "boxes":
        return _boxes(frame, categories, width)
    if name == "full":
        return _full_masks(frame)
    if name == "depth":
        return colored_depth(frame.images["depth"])
    if name == "depth_sensor":
        return colored_depth(frame.images["depth_sensor"].astype(np.float32) * np.float32(1e-3))
    if name in ("instance", "semantic", "part"):
        return palette(int(frame.images[name].max()) + 1)[frame.images[name]]
    if name == "normal":
        # The usual picture of a normal map: x right, y up and z towards the viewer all bright.
        n = frame.images["normal"] * np.array([1, -1, -1], np.float32)
        return np.where(np.any(n != 0, -1, keepdims=True), (n * 0.5 + 0.5) * 255, 0).astype(np.uint8)
    if name == "object_coords":
        return _object_coords(frame)
    return colored_flow(frame.images[name])


def palette(count: int) -> Picture:
    """Colours (count, 3) uint8 for ids, 0 black; neighbours differ (hues a golden angle apart)."""
    ids = np.arange(count)
    hsv = np.stack([(ids * 0.618034 % 1) * 179, 150 + ids * 37 % 90, 180 + ids * 53 % 75], -1).astype(np.uint8)
    rgb = cv2.cvtColor(hsv[None], cv2.COLOR_HSV2RGB)[0]
    rgb[:1] = 0
    return rgb


def colored_depth(depth: NDArray[np.float32]) -> Picture:
    """Depth (H, W) in metres as colours: near is bright, inverse depth between its 1 % and 99 %; none is black."""
    valid = depth > 0
    if not valid.any():
        return np.zeros((*depth.shape, 3), np.uint8)
    inverse = np.where(valid, 1 / np.where(valid, depth, 1), 0)
    low, high = np.percentile(inverse[valid], [1, 99])
    level = np.clip((inverse - low) / max(high - low, 1e-9), 0, 1)
    picture = cv2.applyColorMap((level * 255).astype(np.uint8), cv2.COLORMAP_VIRIDIS)[..., ::-1].copy()
    picture[~valid] = 0
    return picture


def colored_flow(flow: NDArray[np.float32]) -> Picture:
    """Flow (H, W, 2) in pixels: hue is the direction, saturation the length relative to the longest; none is white."""
    length = np.hypot(flow[..., 0], flow[..., 1])
    hue = (np.arctan2(flow[..., 1], flow[..., 0]) / (2 * np.pi) % 1) * 179
    saturation = 255 * length / max(float(length.max()), 1e-9)
    hsv = np.stack([hue, saturation, np.full_like(hue, 255)], -1).astype(np.uint8)
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8)


def _check(name: str, frames: Sequence[Frame]) -> None:
    frame = frames[0]
    if name not in PANELS:
        raise DatasetError(f"There is no panel {name!r}{near_match(name, PANELS)}; use some of {', '.join(PANELS)}.")
    needs = "rgb" if name in _ON_COLOR else name
    if needs not in frame.images:
        there = ", ".join(frame.images)
        raise DatasetError(f"The dataset has no pass {needs!r}, which panel {name!r} shows; it has {there}.")
    if name == "keypoints" and all(shown.keypoints is None for shown in frames):
        raise DatasetError("The frames shown have no keypoints: none of their objects has any. Choose other panels.")
    if name == "boxes3d" and frame.objects.center is None:
        raise DatasetError("The dataset does not say where the objects' boxes are; choose other panels than boxes3d.")


def _boxes(frame: Frame, categories: dict[int, str], width: int) -> Picture:
    image = _resize(frame.images["rgb"], width)
    scale = image.shape[1] / frame.images["rgb"].shape[1]
    colors = palette(len(frame.objects.instance_id) + 1)
    picture = Image.fromarray(image)
    draw = ImageDraw.Draw(picture)
    for k in np.argsort(frame.objects.T_cam_obj[:, 2, 3])[::-1]:  # far ones first
        x, y, w, h = (float(v) * scale for v in frame.objects.bbox_visib[k])
        if w == 0:
            continue
        color = tuple(int(c) for c in colors[k + 1])
        draw.rectangle((x, y, max(x, x + w - 1), max(y, y + h - 1)), outline=color, width=2)
        name = categories.get(int(frame.objects.category_id[k]), "?")
        letters = font(11, name)
        length = draw.textlength(name, letters)
        at = (max(min(x, width - length - 5), 0) + 2, max(y - 13, 0))
        draw.rectangle((at[0] - 2, at[1], at[0] + length + 2, at[1] + 13), fill=color)
        draw.text(at, name, fill=_contrast(color), font=letters)
    return np.asarray(picture)


def _drawn_over(frame: Frame, name: str, width: int) -> Picture:
    image = _resize(frame.images["rgb"], width)
    scale = image.shape[1] / frame.images["rgb"].shape[1]
    colors = palette(len(frame.objects.instance_id) + 1)
    if name == "axes":
        draw_axes(image, frame, scale)
    elif name == "boxes3d":
        draw_boxes_3d(image, frame, colors, scale)
    else:
        draw_keypoints(image, frame, colors, scale)
    return image


def _contrast(color: tuple[int, ...]) -> tuple[int, int, int]:
    return (0, 0, 0) if 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2] > 140 else (255, 255, 255)


def _full_masks(frame: Frame) -> Picture:
    image = frame.images["rgb"].astype(np.float32)
    colors = palette(len(frame.objects.instance_id) + 1).astype(np.float32)
    for k, counts in enumerate(frame.objects.mask_full):
        mask = decode(counts, *image.shape[:2])
        image[mask] = 0.55 * image[mask] + 0.45 * colors[k + 1]
    return image.astype(np.uint8)


def _object_coords(frame: Frame) -> Picture:
    """Coordinates relative to each object's extents, as red, green and blue.

    Without ids, which tell objects apart, they are relative to the farthest coordinate in the image.
    """
    coords, instance = frame.images["object_coords"], frame.images.get("instance")
    if instance is None:
        shown = (coords != 0).any(axis=-1)
        relative = coords / max(2 * float(np.abs(coords).max(initial=0)), 1e-6) + 0.5
    else:
        shown = instance > 0
        size = np.ones((len(frame.objects.instance_id) + 1, 3), np.float32)
        size[1:] = np.maximum(frame.objects.size, 1e-6)
        relative = coords / size[instance] + 0.5
    return np.where(shown[..., None], np.clip(relative, 0, 1) * 255, 0).astype(np.uint8)


def _resize(image: Picture, width: int) -> Picture:
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    how = cv2.INTER_AREA if width < image.shape[1] else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(image, (width, height), interpolation=how), np.uint8)


def _row(pictures: list[Picture], caption: str) -> Picture:
    height = pictures[0].shape[0]
    gap = np.full((height, _GAP, 3), _PAPER, np.uint8)
    cells: list[Any] = [gap]
    for picture in pictures:
        cells += [picture, gap]
    strip = np.concatenate(cells, axis=1)
    return np.concatenate([strip, _text_line([(_GAP, caption)], strip.shape[1], 20, 11)])


def _heading(panels: Sequence[str], width: int, cell: int) -> Picture:
    places = [(_GAP + i * (cell + _GAP), name) for i, name in enumerate(panels)]
    return _text_line(places, width, 26, 14)


def _text_line(texts: Sequence[tuple[int, str]], width: int, height: int, size: int) -> Picture:
    line = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(line)
    for x, text in texts:
        draw.text((x, (height - size) / 2 - 2), text, fill=_INK, font=font(size, text))
    return np.asarray(line)

"""What the export formats share: the settings of an export, its units of work, and which objects are written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

import numpy as np
from numpy.typing import NDArray

from simgen.errors import DatasetError
from simgen.labels.frame import Frame
from simgen.labels.rle import encode
from simgen.shards.manifest import Category

ImageFormat = Literal["png", "jpeg"]


@dataclass(frozen=True)
class Settings:
    """What was asked for. ``categories`` are the chosen ones in order of their ids; see ``simgen.export.export``."""

    dataset: Path
    out: Path
    format: str
    categories: tuple[Category, ...]
    min_visib: float
    image_format: ImageFormat
    jpeg_quality: int
    task: str
    keypoints: str
    panoptic: bool
    models: bool
    depth_scale: float
    frames_per_tar: int
    assets: tuple[Path, ...] | None
    seed: int
    splits: tuple[str, ...]
    """Names of the splits in the order in which they were given; one name when the dataset is not split."""

    @property
    def suffix(self) -> str:
        """Of colour images."""
        return ".jpg" if self.image_format == "jpeg" else ".png"


@dataclass(frozen=True)
class Unit:
    """Frames that one process writes in one go.

    ``frames`` are indices over the dataset; ``rows`` the number of objects in all frames before each of them, from
    which ids follow that depend on neither the split nor the selection.
    """

    key: str
    split: str
    frames: tuple[int, ...]
    rows: tuple[int, ...]


@dataclass(frozen=True)
class Part:
    """What a unit gave: ``files`` written, relative to ``out``; ``data`` for the index files, plain JSON data.

    ``objects`` counts the annotations; ``notes`` count what the format cannot say, by the sentence that tells it.
    """

    files: tuple[str, ...]
    objects: int
    data: Any = None
    notes: Mapping[str, int] | None = None


@dataclass(frozen=True)
class Format:
    """A format, as functions.

    ``needs`` gives the passes that are read. ``prepare`` runs once before everything else, checks what the format asks
    of the dataset and returns plain data (``facts``) that every unit gets. ``divide`` cuts the frames of a split, whole
    scenes in order, into units; ``write`` makes the files of one unit; ``finish`` makes the files that are about all
    frames and returns their paths. Where ``parts`` is iterated several times it must be called several times.
    """

    needs: Callable[[Settings], tuple[str, ...]]
    write: Callable[[Settings, Any, Unit, Iterator[Frame]], Part]
    finish: Callable[[Settings, Any, Callable[[], Iterable[tuple[Unit, Part]]]], Iterable[str]]
    prepare: Callable[[Settings], Any] = lambda settings: None
    divide: Callable[[Settings, list[list[int]]], list[list[int]]] | None = None


def selected(settings: Settings, frame: Frame, hidden: bool = False) -> NDArray[np.int64]:
    """Rows of the objects to write: of a chosen category, visible at all and by at least ``min_visib``.

    With ``hidden``, objects of which nothing is seen count too, provided that their silhouette meets the canvas of
    three times the image on which it is counted.
    """
    objects = frame.objects
    chosen = np.isin(objects.category_id, [category.id for category in settings.categories])
    chosen &= (objects.px_full if hidden else objects.px_visib) > 0
    return np.flatnonzero(chosen & (objects.visib_fract >= settings.min_visib))


def stem(index: int, digits: int = 6) -> str:
    """The file name, without suffix, of frame ``index``."""
    return f"{index:0{digits}d}"


def size_of(frame: Frame) -> tuple[int, int]:
    """Height and width of the frame's images."""
    image = next(iter(frame.images.values()))
    return int(image.shape[0]), int(image.shape[1])


def hidden_share(frame: Frame, row: int) -> float:
    """The share of an object's silhouette inside the image that something hides."""
    objects = frame.objects
    inside = max(round(int(objects.px_full[row]) * (1 - float(objects.truncated[row]))), 1)
    return max(inside - int(objects.px_visib[row]), 0) / inside


def visible_mask(frame: Frame, row: int) -> tuple[NDArray[np.bool_], int, int]:
    """The visible pixels of an object, cropped to its visible box, and the column and row of the crop's corner."""
    x, y, w, h = (int(v) for v in frame.objects.bbox_visib[row])
    return frame.images["instance"][y : y + h, x : x + w] == frame.objects.instance_id[row], x, y


def visible_rle(frame: Frame, row: int) -> dict[str, Any]:
    """The visible mask as COCO's compressed run-length encoding."""
    mask, x, y = visible_mask(frame, row)
    height, width = size_of(frame)
    return {"size": [height, width], "counts": encode(mask, x, y, height, width).decode("ascii")}


def refuse_distortion(settings: Settings, frame: Frame, name: str) -> None:
    """Raise DatasetError for a distorted image, for formats whose camera has no lens."""
    if frame.distortion_model == "fisheye" or np.any(frame.distortion != 0):  # a fisheye always bends
        fail(
            f"frame {frame.index} of {settings.dataset} has lens distortion, for which {name} has no place: "
            "undistort the dataset first, or render it without"
        )


def fail(sentence: str) -> NoReturn:
    """Raise DatasetError."""
    raise DatasetError(sentence)

"""What models learn from and are scored on: an image with its objects, from a shard or a photograph alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

UNLABELLED = 255
"""Value of a semantic map where nobody knows what is there."""

MOST_CLASSES = UNLABELLED - 1
"""Most classes that a semantic map, which is uint8, can tell apart."""


@dataclass(frozen=True, eq=False)
class Objects:
    """The annotated objects of an image, one a row.

    ``boxes`` enclose the visible part: COCO xywh in pixels, x and y of the left upper corner of the extent, so that
    the box of a single pixel (column, row) is (column, row, 1, 1). ``labels`` index the classes of the source.
    ``ignore`` marks what is neither learnt nor counted: crowds, difficult ones, those that are hardly visible;
    ``crowd`` those of them whose box has any number of objects.
    ``visib`` is the visible share of each, NaN where it is unknown. ``azimuth`` is the angle in radians from which the
    camera sees it, about the object's z axis and from its x axis (see ``shard_source.azimuth``), NaN where unknown;
    ``rotation`` is R_cam_obj, NaN where unknown.
    """

    boxes: NDArray[np.float32]  # (K, 4)
    labels: NDArray[np.int64]  # (K,)
    ignore: NDArray[np.bool_]  # (K,)
    visib: NDArray[np.float32]  # (K,)
    azimuth: NDArray[np.float64]  # (K,)
    rotation: NDArray[np.float64]  # (K, 3, 3)
    crowd: NDArray[np.bool_]  # (K,)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def areas(self) -> NDArray[np.float32]:
        """Area of each box (K,) in pixels."""
        return self.boxes[:, 2] * self.boxes[:, 3]


def objects(
    boxes: Any,
    labels: Any,
    ignore: Any = None,
    visib: Any = None,
    azimuth: Any = None,
    rotation: Any = None,
    crowd: Any = None,
) -> Objects:
    """``Objects`` from array-likes, what is not given being unknown (``ignore`` and ``crowd``: nothing)."""
    index = np.asarray(labels, np.int64).reshape(-1)
    k = len(index)
    return Objects(
        np.asarray(boxes, np.float32).reshape(k, 4),
        index,
        np.zeros(k, bool) if ignore is None else np.asarray(ignore, bool).reshape(k),
        np.full(k, np.nan, np.float32) if visib is None else np.asarray(visib, np.float32).reshape(k),
        np.full(k, np.nan) if azimuth is None else np.asarray(azimuth, np.float64).reshape(k),
        np.full((k, 3, 3), np.nan) if rotation is None else np.asarray(rotation, np.float64).reshape(k, 3, 3),
        np.zeros(k, bool) if crowd is None else np.asarray(crowd, bool).reshape(k),
    )


@dataclass(frozen=True, eq=False)
class Sample:
    """One image and what is known of it.

    ``image`` is sRGB uint8 (H, W, 3). ``semantic`` is uint8 (H, W): 0 background, c + 1 for class c of the source,
    ``UNLABELLED``; None where there are no masks. ``facts`` are drawn values and properties that results are sliced by.
    """

    image: NDArray[np.uint8]
    objects: Objects
    name: str
    semantic: NDArray[np.uint8] | None = None
    K: NDArray[np.float64] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def without_image(self) -> Sample:
        """The same without its pixels, to keep many of them."""
        return replace(self, image=np.zeros((0, *self.image.shape[1:]), np.uint8))


class Source(Protocol):
    """A sequence of samples of fixed classes; what training and scoring take.

    ``objects(i)`` and ``group(i)`` are cheap: they read no images, unless the annotation is one. Samples of one group
    (frames of a scene, of a track) are alike and must not be divided between training and validation.
    """

    name: str
    classes: tuple[str, ...]

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...

    def objects(self, index: int) -> Objects:
        """The annotated objects of a sample."""
        ...

    def group(self, index: int) -> str:
        """Which samples a sample is akin to."""
        ...


class Subset:
    """Some samples of a source, in the order of ``indices``."""

    def __init__(self, source: Source, indices: Sequence[int], name: str | None = None) -> None:
        self.source, self.indices = source, list(indices)
        self.name = name or source.name
        self.classes = source.classes

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Sample:
        return self.source[self.indices[index]]

    def objects(self, index: int) -> Objects:
        """The annotated objects of a sample."""
        return self.source.objects(self.indices[index])

    def group(self, index: int) -> str:
        """The group of a sample."""
        return self.source.group(self.indices[index])


class Joined:
    """Several sources of the same classes one after the other.

    ``weights`` are the shares of what is drawn from each in training, whatever their lengths; without, every sample
    counts the same. Raises ValueError when the classes differ.
    """

    def __init__(self, sources: Sequence[Source], weights: Sequence[float] | None = None) -> None:
        if any(source.classes != sources[0].classes for source in sources):
            raise ValueError("the sources have different classes; give each the same list of classes")
        self.sources = list(sources)
        self.classes = sources[0].classes
        self.name = " + ".join(source.name for source in sources)
        self._ends = np.cumsum([len(source) for source in sources])
        self.weights = None if weights is None else tuple(float(w) for w in weights)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> Sample:
        source, n = self._locate(index)
        return source[n]

    def objects(self, index: int) -> Objects:
        """The annotated objects of a sample."""
        source, n = self._locate(index)
        return source.objects(n)

    def group(self, index: int) -> str:
        """The group of a sample, apart from those of the other sources."""
        source, n = self._locate(index)
        return f"{self.part(index)}/{source.group(n)}"

    def part(self, index: int) -> int:
        """Which of ``sources`` a sample comes from."""
        return int(np.searchsorted(self._ends, index, side="right"))

    def _locate(self, index: int) -> tuple[Source, int]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        part = self.part(index)
        return self.sources[part], index - (int(self._ends[part - 1]) if part else 0)

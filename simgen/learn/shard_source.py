"""Samples from shards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.errors import near_match
from simgen.labels.frame import Frame, ObjectTable
from simgen.learn.errors import LearnError
from simgen.learn.sample import MOST_CLASSES, UNLABELLED, Objects, Sample, objects
from simgen.learn.shards import Paths, ShardFiles


class ShardSource:
    """A ``Source`` over datasets on disk.

    ``classes`` chooses categories by name and fixes their order; other objects are ignored (a semantic map has them as
    ``UNLABELLED``). None takes all in order of their ids. Objects without a visible pixel are left out, those of which
    less than ``min_visib`` or fewer than ``min_pixels`` pixels are visible are marked ``ignore``. Boxes are widened by
    ``box_margin`` of their longer side on each side, and may then leave the image. ``masks`` reads the pass
    ``semantic`` too; ``facts`` keeps the drawn values of each frame as "factor/name".
    """

    def __init__(
        self,
        paths: Paths,
        classes: Sequence[str] | None = None,
        *,
        masks: bool = False,
        min_visib: float = 0.1,
        min_pixels: int = 1,
        box_margin: float = 0.0,
        facts: bool = False,
        name: str | None = None,
    ) -> None:
        self.files = ShardFiles(paths, ("rgb", "semantic") if masks else ("rgb",))
        known = [category.name for category in self.files.categories]
        if not known:
            raise LearnError(f"{self.files.shards[0][0].parents[1]} has no labelled categories to learn.")
        self.classes = tuple(known if classes is None else classes)
        for wanted in self.classes:
            if wanted not in known:
                raise LearnError(
                    f"the dataset has no category {wanted!r}{near_match(wanted, known)}; it has {', '.join(known)}."
                )
        if masks and len(self.classes) > MOST_CLASSES:
            raise LearnError(f"segmentation takes at most {MOST_CLASSES} classes, the data has {len(self.classes)}.")
        self.name = name or str(self.files.shards[0][0].parents[1])
        self.masks, self.min_visib, self.min_pixels, self.facts = masks, min_visib, min_pixels, facts
        self.box_margin = box_margin
        self._index = np.full(max(c.id for c in self.files.categories) + 1, -1, np.int64)
        for category in self.files.categories:
            if category.name in self.classes:
                self._index[category.id] = self.classes.index(category.name)

    def __len__(self) -> int:
        return self.files.frames

    def __getitem__(self, index: int) -> Sample:
        return self._sample(self.files.frame(index), index)

    def objects(self, index: int) -> Objects:
        """The visible objects of a frame, without reading an image."""
        place, n = self.files.locate(index)
        return self._objects(self.files.shard(place).objects(n))

    def group(self, index: int) -> str:
        """The scene of a frame."""
        folder, scene = self.files.scene(index)
        return f"{folder}/{scene}"

    def _sample(self, frame: Frame, index: int) -> Sample:
        return Sample(
            image=frame.images["rgb"],
            objects=self._objects(frame.objects),
            name=f"{self.name}#{index}",
            semantic=self._semantic(frame.images["semantic"]) if self.masks else None,
            K=frame.K if np.isfinite(frame.K).all() else None,
            facts=_flat(frame.draws) if self.facts else {},
        )

    def _objects(self, table: ObjectTable) -> Objects:
        labels = self._index[table.category_id]
        rows = np.flatnonzero((table.px_visib > 0) & (labels >= 0))
        T = table.T_cam_obj[rows]
        return objects(
            self._widened(table.bbox_visib[rows]),
            labels[rows],
            (table.visib_fract[rows] < self.min_visib) | (table.px_visib[rows] < self.min_pixels),
            table.visib_fract[rows],
            azimuth(T),
            T[:, :3, :3],
        )

    def _widened(self, boxes: NDArray[np.int32]) -> NDArray[np.float32]:
        exact = boxes.astype(np.float32)
        margin = np.float32(self.box_margin) * exact[:, 2:].max(axis=1, keepdims=True)
        return np.concatenate([exact[:, :2] - margin, exact[:, 2:] + 2 * margin], axis=1)

    def _semantic(self, stored: NDArray[np.uint16]) -> NDArray[np.uint8]:
        table = np.where(self._index >= 0, self._index + 1, UNLABELLED).astype(np.uint8)
        table[0] = 0
        return table[stored]


def azimuth(T_cam_obj: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angle (K,) in radians, within [-pi, pi], from which the camera sees objects at T_cam_obj (K, 4, 4).

    It is measured about the object's z axis, from its x towards its y axis. To a camera that stands upright it is the
    direction from the object to the camera. From above, where there is hardly such a direction, the upper edge of the
    picture counts more and more: the angle goes on smoothly over the zenith, as a turntable under a rig of cameras
    measures it. Both parts are equal at an elevation of 45 degrees; the angle is meant for -45 to 135 degrees.
    """
    R, t = T_cam_obj[:, :3, :3], T_cam_obj[:, :3, 3]
    ray = t / np.linalg.norm(t, axis=1, keepdims=True)
    # The picture's upward direction, at a right angle to the ray.
    up = ray * ray[:, 1:2] - np.array([0.0, 1.0, 0.0])
    up /= np.maximum(np.linalg.norm(up, axis=1, keepdims=True), 1e-12)
    away = np.einsum("kji,kj->ki", R, ray + up)
    camera = 0.0 - away  # not -away: the angle of (-1, -0) would be -pi
    return np.arctan2(camera[:, 1], camera[:, 0])


def _flat(draws: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Draws that are one value, as "factor/name"."""
    return {
        f"{factor}/{name}": value
        for factor, values in draws.items()
        for name, value in values.items()
        if isinstance(value, str | int | float | bool)
    }

"""Pictures for the report: frames over the dataset, the passes of one, and frames at chosen values of a draw."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.shards.reader import Dataset
from simgen.view import page
from simgen.view.preview import PANELS, fitting, panel
from simgen.view.survey import Survey
from simgen.view.variables import Variable

_BUDGET = 3_800_000
"""Bytes of pictures in a page; galleries beyond are left out."""

_INVISIBLE = ("physics",)
"""Factors that no single picture shows."""

_ONLY_WITH = {
    ("lighting", "sky."): ("lighting", "environment", "sky"),
    ("background", "background."): ("background", "kind", "texture"),
}
"""Draws (factor, beginning of the name) that take effect only where another one has a value: they are always drawn."""

_WORDS = 3


class Gallery:
    """Pictures of a dataset that is open, within a budget of bytes."""

    def __init__(self, data: Dataset, found: Survey) -> None:
        self.data, self.found = data, found
        self.left = _BUDGET
        self.names = {category.id: category.name for category in data.categories}

    def frames(self, count: int) -> str:
        """``count`` frames, evenly spread, with boxes."""
        rows = np.unique(np.linspace(0, len(self.found.frames.index) - 1, count).round().astype(int))
        return page.grid([self._with_boxes(int(row)) for row in rows], "frames")

    def passes(self) -> str:
        """All passes of the frame with the most visible objects among the first ones."""
        row = int(self.found.frames.visible[:50].argmax())
        frame = self.data[int(self.found.frames.index[row])]
        shown = [name for name in PANELS if name in frame.images]
        names = [*shown, *(["full", "axes"] if "rgb" in frame.images else [])]
        if "rgb" in frame.images:
            names += ["boxes3d"] if frame.objects.center is not None else []
            names += ["keypoints"] if frame.keypoints is not None else []
        figures = []
        for name in names:
            try:
                picture = panel(frame, name, self.names, fitting(420, frame))
            except ValueError:  # labels that cannot be read, which the checks tell
                continue
            figures.append(self._figure(picture, 420, _CAPTIONS.get(name, name), f"{name} of frame {frame.index}"))
        lead = f"Frame {frame.index} in all that is stored of it, and its labels drawn on it."
        return f'<p class="about">{lead}</p>{page.grid(figures, "frames small")}'

    def strip(self, variable: Variable) -> str:
        """Frames at the lowest, a middle and the highest value, or at the commonest words; "" where none can tell."""
        shown = variable.per != "item" and variable.factor not in _INVISIBLE
        if self.left <= 0 or not shown or "rgb" not in self.data.passes:
            return ""
        rows = [k for k, value in enumerate(variable.by_frame) if value is not None and self._takes_effect(variable, k)]
        if variable.per == "scene":
            # The first view of each, so that the pictures differ in little else.
            scenes = self.found.frames.scene
            rows = list({int(scenes[k]): k for k in reversed(rows)}.values())[::-1]
        if len({variable.by_frame[k] for k in rows}) < 2:
            return ""
        figures = []
        for row in _telling(variable, rows):
            index = int(self.found.frames.index[row])
            picture = self.data.images(index, ["rgb"])["rgb"]
            value = variable.by_frame[row]
            caption = variable.told(value)
            figures.append(self._figure(picture, 200, caption, f"frame {index}, {variable.title} {caption}", 70))
        return page.grid(figures, "strip")

    def _takes_effect(self, variable: Variable, row: int) -> bool:
        for (factor, beginning), (other, name, value) in _ONLY_WITH.items():
            if variable.factor == factor and variable.name.startswith(beginning):
                return bool(self.found.frames.draws[row].get(other, {}).get(name) == value)
        return True

    def _with_boxes(self, row: int) -> str:
        frame = self.data[int(self.found.frames.index[row])]
        visible = int(self.found.frames.visible[row])
        several = f", camera {frame.camera}" if len(set(self.found.frames.camera)) > 1 else ""
        when = f", {frame.time:.2f} s" if frame.time else ""
        caption = f"frame {frame.index}, scene {frame.scene}{several}{when}, {visible} visible"
        if "rgb" not in frame.images:
            name = next(name for name in PANELS if name in frame.images)
            return self._figure(panel(frame, name, self.names), 480, caption, f"frame {frame.index}")
        picture = panel(frame, "boxes", self.names, fitting(480, frame))
        return self._figure(picture, 480, caption, f"frame {frame.index} with boxes")

    def _figure(self, picture: NDArray[Any], width: int, caption: str, alt: str, quality: int = 80) -> str:
        source = page.data_uri(np.asarray(picture, np.uint8), width, quality)
        self.left -= len(source)
        return page.figure(source, caption, alt, (picture.shape[1], picture.shape[0]))


def _telling(variable: Variable, rows: list[int]) -> list[int]:
    if variable.kind == "number":
        values = {variable.by_frame[row]: row for row in reversed(rows)}
        ordered = [values[value] for value in sorted(values)]
        return [ordered[k] for k in sorted({0, len(ordered) // 2, len(ordered) - 1})]
    first: dict[Any, int] = {}
    counts: dict[Any, int] = {}
    for row in rows:
        first.setdefault(variable.by_frame[row], row)
        counts[variable.by_frame[row]] = counts.get(variable.by_frame[row], 0) + 1
    return [first[word] for word in sorted(first, key=lambda word: (-counts[word], str(word)))[:_WORDS]]


_CAPTIONS = {
    "rgb": "rgb: colour, as the sensor saw it",
    "depth": "depth: metres along the optical axis, near is bright",
    "depth_sensor": "depth_sensor: what a depth camera measured",
    "instance": "instance: a colour for each object",
    "semantic": "semantic: a colour for each class",
    "normal": "normal: of surfaces, in the camera's frame",
    "object_coords": "object_coords: place on the object",
    "flow_forward": "flow_forward: motion to the next time",
    "part": "part: a colour for each mesh",
    "full": "full masks, hidden parts included",
    "axes": "axes of the objects: x red, y green, z blue",
    "boxes3d": "boxes in 3-D",
    "keypoints": "keypoints: discs in sight, rings hidden",
}

"""The images of an experiment: synthetic sets rendered by need, real folders opened by need."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from simgen import config as settings
from simgen.assets.library import Library, search_paths
from simgen.config import AssetsConfig, RenderConfig
from simgen.errors import ConfigError
from simgen.evaluate.data import open_source
from simgen.evaluate.experiment.definition import Experiment, TaskConfig
from simgen.evaluate.experiment.plan import WHOLE, Render, Request, Training, real_folder
from simgen.evaluate.metrics.pose import Calibration
from simgen.evaluate.real import RealSource
from simgen.generate.job import Progress, confirm, render
from simgen.generate.pipeline import category_ids
from simgen.learn.errors import LearnError
from simgen.learn.sample import Joined, Objects, Sample, Source, Subset
from simgen.learn.split import first, split

_OURS = ("out", "seed", "frames", "workers", "scene", "assets.path")
"""Settings of `simgen render` that the harness sets."""


class Data:
    """The images of a request, below its folder and in the real ones; each is opened once.

    ``sources`` of a training say what it learns from: synthetic ones are sets that were rendered here.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        self._configs: dict[tuple[str, ...], RenderConfig] = {}
        self._classes: dict[str, list[str]] = {}
        self._synthetic: dict[tuple[str, str], Source] = {}
        self._real: dict[tuple[str, str], Source | None] = {}

    def render(self, wanted: Render, workers: Any = "auto", tell: Callable[[Progress], None] | None = None) -> Path:
        """Render a set, or the rest of it; its folder."""
        config = replace(self.config(wanted), workers=workers)
        render(config, tell)
        return Path(config.out)

    def confirm(self, wanted: Render) -> None:
        """Raise DatasetError if the folder of a set has images of another scene, of other settings or assets."""
        confirm(self.config(wanted))

    def config(self, wanted: Render) -> RenderConfig:
        """The settings of a set; raises ConfigError, with where an override stands, when they make no sense."""
        if wanted.overrides not in self._configs:
            self._configs[wanted.overrides] = _composed(self.request.experiment, wanted)
        return replace(
            self._configs[wanted.overrides],
            out=str(self.request.out / wanted.place),
            seed=wanted.seed,
            frames=wanted.frames,
            assets=AssetsConfig(list(self.request.assets)),
        )

    def classes(self, task: str) -> list[str]:
        """The classes of a task: those of the file, or all categories of the scene, whether it is rendered or not."""
        given = self.request.experiment.tasks[task].classes
        if given:
            return list(given)
        if task not in self._classes:
            experiment, size = self.request.experiment, self.request.size
            config = self.config(Render(WHOLE, 0, 1, (*experiment.render, *size.render)))
            self._classes[task] = list(category_ids(config, Library(search_paths(config.assets.path))))
        return list(self._classes[task])

    def synthetic(self, task: str, wanted: Render) -> Source:
        """A set that was rendered, with the classes of ``task``."""
        key = (task, wanted.place)
        if key not in self._synthetic:
            self._synthetic[key] = self._open(task, self.request.out / wanted.place)
        return self._synthetic[key]

    def real(self, task: str, part: str) -> Source | None:
        """The real images of ``part`` ("train", "val" or "test") with the classes of ``task``; None when not given."""
        key = (task, part)
        if key not in self._real:
            folder = real_folder(self.request, part)
            self._real[key] = None if folder is None else self._open(task, folder, real=True)
        return self._real[key]

    def learnt(
        self, training: Training, turn: Calibration | None = None
    ) -> tuple[Source, Source, list[dict[str, Any]]]:
        """What a training learns from, what its checkpoint is chosen by, and the list of both for the results.

        ``turn`` says how real azimuths follow from those of the mesh, if they have to be brought to its frame.
        """
        task = self.request.experiment.tasks[training.task]
        kept: list[Source] = []
        held: list[Source] = []
        sources: list[dict[str, Any]] = []
        if training.render is not None:
            whole = self.synthetic(training.task, training.render)
            some = Subset(whole, range(min(training.images, len(whole))), f"synthetic {training.render.name}")
            parts = self._parted(task, some, task.held_out, training.seed)
            kept.append(parts[0])
            held.append(parts[1])
            sources.append({"kind": "synthetic", "set": training.render.place, "images": len(parts[0])})
        if training.real_images is not None:
            real = self.real(training.task, "train")
            assert real is not None
            count = min(training.real_images or len(real), len(real))
            chosen: Source = first(real, count, training.seed)
            parts = self._parted(task, Turned(chosen, turn, "real train"), task.real_held_out, training.seed)
            kept.append(parts[0])
            # Where real images are learnt from, they are also what the checkpoint is to suit.
            held = [parts[1]]
            sources.append({"kind": "real", "set": "train", "images": len(parts[0])})
        if not training.uses_real:
            assert all(source["kind"] == "synthetic" for source in sources), "a real image in a synthetic arm"
        weights = [1 - training.real_share, training.real_share] if len(kept) == 2 else None
        data = kept[0] if len(kept) == 1 else Joined(kept, weights)
        val = self._val(training.task) if task.selection == "real_val" else held[0]
        return data, val, sources

    def _parted(self, task: TaskConfig, source: Source, share: float, seed: int) -> tuple[Source, Source]:
        """What is kept and what is held out; all is kept when checkpoints are chosen by other images."""
        if task.selection == "real_val":
            return source, source
        kept, held = split(source, share, seed)
        if len(held) == 0:
            raise LearnError(f"{source.name} has one image, and one has to be held out; give at least 2.")
        return kept, held

    def _val(self, task: str) -> Source:
        val = self.real(task, "val")
        assert val is not None
        return val

    def _open(self, task: str, folder: Path, real: bool = False) -> Source:
        experiment, config = self.request.experiment, self.request.experiment.tasks[task]
        more: dict[str, Any] = {}
        if real:
            more = {"format": experiment.real.format, "mapping": experiment.real.mapping or {}}
            more["mapping_key"] = "experiment.real.mapping"
        train = config.train
        source = open_source(
            folder, config.task, self.classes(task), min_visib=train.get("min_visib", 0.1),
            min_pixels=train.get("min_pixels", 12), box_margin=train.get("box_margin", 0.0),
            target=train.get("target", "azimuth"), facts=True, **more,
        )  # fmt: skip
        if real and not any(len(source.objects(k)) for k in range(len(source))):
            listed = ", ".join(source.classes[:8])
            raise LearnError(f"{folder} has no labelled object of the classes {listed}; look into its annotations.")
        return source


class Turned:
    """A source whose measured azimuths are told in the frame of the mesh; as it is without a calibration."""

    def __init__(self, source: Source, calibration: Calibration | None, name: str) -> None:
        self.source, self.calibration, self.name = source, calibration, name
        self.classes = source.classes

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Sample:
        sample = self.source[index]
        return replace(sample, objects=self._turned(sample.objects))

    def objects(self, index: int) -> Objects:
        """The annotated objects of a sample."""
        return self._turned(self.source.objects(index))

    def group(self, index: int) -> str:
        """The group of a sample."""
        return self.source.group(index)

    def _turned(self, objects: Objects) -> Objects:
        if self.calibration is None:
            return objects
        # measured = direction * azimuth + offset, and direction is its own inverse.
        angle = self.calibration.direction * (objects.azimuth - self.calibration.offset)
        return replace(objects, azimuth=np.arctan2(np.sin(angle), np.cos(angle)))


def _composed(experiment: Experiment, wanted: Render) -> RenderConfig:
    for override in wanted.overrides:
        if override.split("=")[0].lstrip("+~") in _OURS:
            raise ConfigError(f"{override!r} is not for a list of render overrides: the experiment sets it.")
    try:
        return settings.load(experiment.scene, [f"passes=[{','.join(passes(experiment))}]", *wanted.overrides])
    except ConfigError as error:
        raise ConfigError(f"experiment {experiment.name}, synthetic set {wanted.name}: {error}") from None


def passes(experiment: Experiment) -> list[str]:
    """The passes that the tasks learn from."""
    masks = any(task.task == "segment" for task in experiment.tasks.values())
    return ["rgb", "semantic"] if masks else ["rgb"]


def digest(source: Source, masks: bool = False) -> str:
    """A digest of the names and annotations of real images, with ``masks`` also of those."""
    found = hashlib.sha256(repr(source.classes).encode())
    for index in range(len(source)):
        objects = source.objects(index)
        for array in (objects.boxes, objects.labels, objects.ignore, objects.azimuth):
            found.update(array.tobytes())
        if masks and isinstance(source, RealSource):
            found.update(source.semantic(index).tobytes())
        # The group is the path of the image, or a track: the folder above may move.
        found.update(Path(source.group(index)).name.encode())
    return found.hexdigest()[:16]


def describe(source: Source) -> Mapping[str, Any]:
    """What was read of a folder of real images and what was skipped."""
    report = getattr(source, "report", None)
    return dict(report.plain()) if report is not None else {}

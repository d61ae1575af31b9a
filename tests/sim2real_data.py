"""Experiments on images in memory, for tests of the harness."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from learn_data import Memory, arrows, squares

from simgen.evaluate.experiment.data import Data
from simgen.evaluate.experiment.definition import Experiment, check
from simgen.evaluate.experiment.plan import Request
from simgen.evaluate.experiment.run import Machine, Runner
from simgen.learn.sample import Source, objects
from simgen.scene import fields

TINY = {"steps": 4, "batch": 4, "evaluations": 1, "network_width": 16, "precision": "float32", "input": {"height": 64}}

SQUARES: dict[str, Any] = {
    "name": "squares",
    "about": "find squares",
    "scene": "shapes",
    "real": {"train": "train", "val": "val"},
    "tasks": {"find": {"task": "detect", "classes": ["red", "green", "blue"], "goal": 0.9, "held_out": 0.2}},
    "arms": {
        "synthetic": {"kind": "synthetic"},
        "real": {"kind": "real"},
        "finetune_6": {"kind": "finetune", "real_images": 6, "pretrain": 0.5},
        "mixed": {"kind": "mixed", "real_share": 0.25},
    },
    "budgets": {
        "smoke": {"frames": 20, "train": {"find": TINY}, "curve": [10], "ablation": {"train": {"find": {"steps": 3}}}}
    },
    "ablations": {
        "fixed_light": {"render": ["randomize.lighting.enabled=false"]},
        "no_augmentation": {"train": {"augment": {"strength": 0}}},
    },
}


def build(plain: dict[str, Any] = SQUARES, **changes: Any) -> Experiment:
    """The experiment with some keys changed, checked."""
    experiment = fields.build(Experiment, {**copy.deepcopy(plain), **changes})
    check(experiment)
    return experiment


def ask(out: Path, experiment: Experiment | None = None, **changes: Any) -> Request:
    """A request for the smoke budget, its real images below a root that need not exist."""
    given: dict[str, Any] = {"real_root": "photos", **changes}
    return Request(experiment or build(), "smoke", out, **given)


class InMemory:
    """Takes the place of rendering and of real folders: squares, or arrows where the task is pose."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rendered: list[str] = []
        self.opened: list[str] = []
        monkeypatch.setattr(Data, "render", lambda data, *given, **named: self._render(data, *given, **named))
        monkeypatch.setattr(Data, "_open", lambda data, *given, **named: self._open(data, *given, **named))

    def _render(self, data: Data, wanted: Any, workers: Any = "auto", tell: Any = None) -> Path:
        self.rendered.append(wanted.place)
        return data.request.out / wanted.place

    def _open(self, data: Data, task: str, folder: Path, real: bool = False) -> Source:
        self.opened.append(str(folder))
        if data.request.experiment.tasks[task].task == "pose":
            made = arrows(24, 2)
            return _turned(made) if real else arrows(24, 1)
        name = folder.name if real else folder.parent.name
        return squares(20, seed={"train": 1, "val": 2, "test": 3, "full": 4, "fixed_light": 5}[name], name=name)


def _turned(source: Memory) -> Memory:
    """The same with azimuths measured the other way round and from another zero: 0.7 - azimuth."""
    for k, sample in enumerate(source.samples):
        turned = objects(sample.objects.boxes, sample.objects.labels, azimuth=0.7 - sample.objects.azimuth)
        source.samples[k] = type(sample)(sample.image, turned, sample.name)
    return source


def start(request: Request) -> Runner:
    """A runner on one thread, with few bootstrap draws."""
    return Runner(request, Machine(1, 1, "cpu"), draws=20)

"""What an experiment file may say: tasks, scene, real images, arms, budgets, ablations."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from simgen.errors import ConfigError, near_match
from simgen.learn.config import TASKS, TrainConfig
from simgen.scene import fields
from simgen.scene.fields import number, word

METRICS: dict[str, dict[str, bool]] = {
    "classify": {"top1": True, "macro": True, "ece": False, "log_loss": False},
    "detect": {
        **dict.fromkeys(("AP50", "AP", "AP75", "AR", "AP_small", "AP_medium", "AP_large", "precision", "recall"), True),
        "count_error": False,
    },
    "segment": {"IoU": True, "boundary_F": True, "pixel_accuracy": True},
    "pose": {"median_deg": False, "mean_deg": False, "within_5": True, "within_15": True, "within_30": True},
}
"""Of each task the figures that an experiment may report, and whether larger is better; the first is the default."""

MEANING = {
    "top1": "share of objects whose class is told right",
    "macro": "mean over the classes of the share that is told right",
    "ece": "expected calibration error: how far confidence and accuracy are apart",
    "log_loss": "mean of minus the logarithm of the probability of the true class",
    "AP50": "average precision, mean over the classes; a box is found from an overlap (IoU) of 0.5 on",
    "AP": "average precision, mean over the classes and over overlaps (IoU) of 0.5 to 0.95, as COCO has it",
    "AP75": "average precision, mean over the classes; a box is found from an overlap (IoU) of 0.75 on",
    "AR": "average recall, mean over the classes and over overlaps (IoU) of 0.5 to 0.95, as COCO has it",
    "AP_small": "AP of objects of less than 32 x 32 pixels",
    "AP_medium": "AP of objects of 32 x 32 to 96 x 96 pixels",
    "AP_large": "AP of objects of more than 96 x 96 pixels",
    "precision": "share of the detections that are right",
    "recall": "share of the objects that are found",
    "count_error": "mean difference between the numbers of detections and of objects in an image",
    "IoU": "overlap of the predicted and the true region: what they share over what either has",
    "boundary_F": "agreement of the outlines within 0.8 % of the image's diagonal (F measure)",
    "pixel_accuracy": "share of the pixels whose class is right",
    "median_deg": "median error of the angle in degrees",
    "mean_deg": "mean error of the angle in degrees",
    **{f"within_{t}": f"share of the angles that are right within {t} degrees" for t in (5, 15, 30)},
}
"""What each of these figures is."""

GIVEN = ("task", "seed", "init", "device", "threads", "workers", "val_fraction")
"""Settings of training that the harness sets, and a file may not."""

SHARED = ("steps", "epochs", "batch", "input")
"""Settings of training that make the budget: the same for all arms and ablations."""

OF_DATA = ("min_visib", "min_pixels", "box_margin", "target")
"""Settings of training that say what is in the images: the same for all that is learnt from and scored on."""


@dataclass
class RealConfig:
    """Real images: folders below ``real.root`` of the command line, or absolute ones.

    ``train`` is learnt from by the arms that may, ``val`` is what all arms are scored on. ``format`` and ``mapping``
    are those of `simgen evaluate`: how the folder is laid out, and real class names to those of the synthetic data.
    """

    train: str = ""
    val: str = ""
    format: str = "auto"
    mapping: Any = None


@dataclass
class TaskConfig:
    """One model that is trained on the images, and the figure by which it is judged."""

    task: str = word("classify", *TASKS)
    classes: list[str] = field(default_factory=list)
    """Which, in which order; empty: all categories of the scene."""
    metric: str = ""
    """A figure of ``METRICS``; empty: the first of the task."""
    goal: float | None = None
    """What the synthetic arm is to reach."""
    selection: str = word("held_out", "held_out", "real_val")
    """Which images choose the checkpoint: a part of what the arm could learn from, or the real val images."""
    held_out: float = number(0.05, above=0, high=0.9)
    """Share of the synthetic images that is held out, whole scenes."""
    real_held_out: float = number(0.2, above=0, high=0.9)
    """Share of the real train images that is held out by the arms that learn from them, whole tracks."""
    calibrate: str = word("auto", "auto", "none", "real_train")
    """Whether real train images fix the zero of azimuths and the score from which a detection counts; auto: of
    azimuths only, whose zero no synthetic image can tell."""
    train: dict[str, Any] = field(default_factory=dict)
    """Settings of training (``simgen.learn.config.TrainConfig``) at any budget."""


@dataclass
class ArmConfig:
    """What a model learns from. All arms take the same number of steps.

    ``synthetic`` sees no real image. ``real`` sees ``real_images`` of the train folder, all of them when 0.
    ``finetune`` spends ``pretrain`` of its steps on synthetic images and the others on real ones, ``mixed`` draws
    ``real_share`` of its images from the real ones.
    """

    kind: str = word("synthetic", "synthetic", "real", "finetune", "mixed")
    about: str = ""
    real_images: int = number(0, low=0)
    real_share: float = number(0.5, above=0, high=0.999)
    pretrain: float = number(0.75, above=0, high=0.999)
    train: dict[str, Any] = field(default_factory=dict)
    """Settings of this arm; of ``finetune``, those of its second part."""


@dataclass
class AblationConfig:
    """What is left out or changed: ``render`` are overrides of `simgen render`, ``train`` settings of training."""

    about: str = ""
    render: list[str] = field(default_factory=list)
    train: dict[str, Any] = field(default_factory=dict)


@dataclass
class AblationBudget:
    """What ablations get where it is not what the budget gives: ``frames`` and ``train`` by task."""

    frames: int = number(0, low=0)
    train: dict[str, Any] = field(default_factory=dict)


@dataclass
class BudgetConfig:
    """How much is rendered and trained."""

    frames: int = number(1000, low=2, high=1_000_000_000)
    seeds: int = number(1, low=1, high=100)
    """Runs of everything; each renders, divides and trains with a seed of its own."""
    render: list[str] = field(default_factory=list)
    train: dict[str, Any] = field(default_factory=dict)
    """Settings of training by task name."""
    curve: list[int] = field(default_factory=list)
    """Numbers of synthetic images of the curve, below ``frames``."""
    ablation: AblationBudget = field(default_factory=AblationBudget)


def usual_arms() -> dict[str, ArmConfig]:
    """The arms of an experiment that names none."""
    return {
        "synthetic": ArmConfig("synthetic", "synthetic images only"),
        "real": ArmConfig("real", "all real train images"),
        "finetune": ArmConfig("finetune", "synthetic images, then real ones"),
        "mixed": ArmConfig("mixed", "both at once"),
    }


@dataclass
class Experiment:
    """An experiment file. ``name`` is that of the file."""

    name: str = ""
    about: str = ""
    scene: str = "tabletop"
    """A shipped scene, or a YAML file beside the experiment's."""
    render: list[str] = field(default_factory=list)
    """Overrides of `simgen render` for all renders."""
    real: RealConfig = field(default_factory=RealConfig)
    tasks: dict[str, TaskConfig] = field(default_factory=dict)
    arms: dict[str, ArmConfig] = field(default_factory=usual_arms)
    budgets: dict[str, BudgetConfig] = field(default_factory=dict)
    ablations: dict[str, AblationConfig] = field(default_factory=dict)


RESERVED = ("first_", "pretrained_", "ablation")
"""Beginnings of names of trainings that are no arms."""


def check(experiment: Experiment) -> None:
    """Raise ConfigError where parts that are each well formed make no sense together."""
    if not experiment.tasks:
        raise ConfigError("the experiment has no tasks; give at least one, such as tasks: {detect: {task: detect}}.")
    if not experiment.arms:
        raise ConfigError("the experiment has no arms; give at least one, such as arms: {synthetic: {}}.")
    if not experiment.budgets:
        raise ConfigError("the experiment has no budgets; give at least one, such as budgets: {quick: {frames: 5000}}.")
    if experiment.real.mapping is not None and not isinstance(experiment.real.mapping, Mapping):
        raise ConfigError(f"real.mapping must be a mapping of class names, not {experiment.real.mapping!r}.")
    for name in experiment.arms:
        if name.startswith(RESERVED):
            raise ConfigError(f"arms.{name}: names that begin with {', '.join(RESERVED)} are taken; give another one.")
    for name, task in experiment.tasks.items():
        known = METRICS[task.task]
        if task.metric and task.metric not in known:
            raise ConfigError(
                f"tasks.{name}.metric: {task.metric!r} is no figure of {task.task}{near_match(task.metric, known)}; "
                f"give {', '.join(known)}."
            )
        _check_train(task.train, task.task, f"tasks.{name}.train")
        for arm, entry in experiment.arms.items():
            _check_train(entry.train, task.task, f"arms.{arm}.train", SHARED, OF_DATA)
        for part, change in experiment.ablations.items():
            _check_train(change.train, task.task, f"ablations.{part}.train", SHARED, OF_DATA)
    for name, budget in experiment.budgets.items():
        _check_by_task(experiment, budget.train, f"budgets.{name}.train")
        _check_by_task(experiment, budget.ablation.train, f"budgets.{name}.ablation.train")
        if budget.ablation.frames > budget.frames:
            raise ConfigError(
                f"budgets.{name}.ablation.frames must be at most the budget's frames, {budget.frames}, but it is "
                f"{budget.ablation.frames}."
            )
        check_curve(budget.curve, budget.frames, f"budgets.{name}.curve")


def check_curve(sizes: list[int], frames: int, where: str) -> None:
    """Raise ConfigError unless all sizes are whole numbers from 2 on and at most ``frames``."""
    for size in sizes:
        if isinstance(size, bool) or not isinstance(size, int) or not 2 <= size <= frames:
            raise ConfigError(f"{where}: {size!r} is not a number of images from 2 to the budget's frames, {frames}.")


def larger_is_better(task: TaskConfig) -> bool:
    """Whether larger values of the metric of ``task`` are better."""
    return METRICS[task.task][metric(task)]


def metric(task: TaskConfig) -> str:
    """The figure by which ``task`` is judged."""
    return task.metric or next(iter(METRICS[task.task]))


def merged(*parts: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings put together, later ones winning."""
    out: dict[str, Any] = {}
    for part in parts:
        for key, value in part.items():
            before = out.get(key)
            if isinstance(before, Mapping) and isinstance(value, Mapping):
                out[key] = merged(before, value)
            else:
                out[key] = copy.deepcopy(value)
    return out


def _check_by_task(experiment: Experiment, settings: Mapping[str, Any], where: str) -> None:
    for name, entry in settings.items():
        if name not in experiment.tasks:
            raise ConfigError(
                f"there is no task {where}.{name}{near_match(name, experiment.tasks)}; here there are "
                f"{', '.join(experiment.tasks)}."
            )
        if not isinstance(entry, Mapping):
            raise ConfigError(f"{where}.{name} must be a mapping of settings of training, not {entry!r}.")
        _check_train(entry, experiment.tasks[name].task, f"{where}.{name}", of_task=OF_DATA)


def _check_train(
    settings: Mapping[str, Any],
    task: str,
    where: str,
    fixed: tuple[str, ...] = (),
    of_task: tuple[str, ...] = (),
) -> None:
    """Settings of training: known keys, right types, none of those that the harness sets."""
    for key in settings:
        if key in GIVEN:
            raise ConfigError(f"{where}.{key} is not for a file: the experiment sets it.")
        if key in fixed:
            raise ConfigError(f"{where}.{key} must be the same for all arms; give it in the task or the budget.")
        if key in of_task:
            raise ConfigError(f"{where}.{key} must be the same for all that a task reads; give it in the task's train.")
    fields.build(TrainConfig, {**settings, "task": task}, where)

"""What an experiment comes to: sets to render, models to train, in an order in which each finds what it needs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from simgen.errors import ConfigError, near_match
from simgen.evaluate.experiment.definition import (
    ArmConfig,
    BudgetConfig,
    Experiment,
    TaskConfig,
    check_curve,
    merged,
)
from simgen.learn.config import TrainConfig, resolve
from simgen.scene import fields

WHOLE = "full"
"""The name of the synthetic set without ablation."""


@dataclass(frozen=True)
class Request:
    """What is asked of an experiment: its budget, where things are, which parts of it.

    Empty ``arms`` are all of the file; ``curve`` and ``ablations`` are sizes and names; ``seeds`` 0 is the budget's
    number. ``real_root`` and ``real_test`` may be empty, ``assets`` are search paths.
    """

    experiment: Experiment
    budget: str
    out: Path
    real_root: str = ""
    real_test: str = ""
    assets: tuple[str, ...] = ()
    arms: tuple[str, ...] = ()
    curve: tuple[int, ...] = ()
    ablations: tuple[str, ...] = ()
    seeds: int = 0
    seed: int = 0

    @property
    def size(self) -> BudgetConfig:
        """The budget."""
        return self.experiment.budgets[self.budget]

    @property
    def seed_values(self) -> list[int]:
        """The seed of each run."""
        return list(range(self.seed, self.seed + (self.seeds or self.size.seeds)))


@dataclass(frozen=True)
class Render:
    """A synthetic set: ``frames`` images of the scene under ``overrides`` of `simgen render`."""

    name: str
    seed: int
    frames: int
    overrides: tuple[str, ...]

    @property
    def place(self) -> str:
        """Its folder below that of the experiment."""
        return f"data/{self.name}/seed{self.seed}"


@dataclass(frozen=True)
class Training:
    """A model to be trained: ``images`` first images of ``render``, ``real_images`` real ones (0: all, None: none).

    ``after`` is the training that it goes on from. ``turned_by`` is the one whose azimuths tell those of the real
    images, which have a zero of their own, in the frame of the mesh. ``settings`` are those of training, as JSON, but
    for defaults, so that a later version's new settings do not make it another training.
    """

    task: str
    name: str
    seed: int
    steps: int
    settings: str
    render: Render | None = None
    images: int = 0
    real_images: int | None = None
    real_share: float = 0.0
    after: Training | None = None
    turned_by: Training | None = None

    @property
    def place(self) -> str:
        """Its folder below models/ and scores/."""
        return f"{self.task}/{self.name}/seed{self.seed}"

    @property
    def config(self) -> TrainConfig:
        """Its settings but for the model that it goes on from, and the machine's."""
        return fields.build(TrainConfig, json.loads(self.settings))

    @property
    def uses_real(self) -> bool:
        """Whether it, or what it goes on from, learns from real images."""
        return self.real_images is not None or (self.after is not None and self.after.uses_real)

    def same_as(self, other: Training) -> bool:
        """Whether both give the same model."""
        return replace(self, name="") == replace(other, name="")


@dataclass(frozen=True)
class Plan:
    """All trainings in the order in which they are to be done, and which of them is what.

    ``arms``, ``curve`` and ``ablations`` are keyed by (task, arm, size or ablation, seed); ablation "" is the whole
    set under the ablations' budget.
    """

    trainings: list[Training] = field(default_factory=list)
    arms: dict[tuple[str, str, int], Training] = field(default_factory=dict)
    curve: dict[tuple[str, int, int], Training] = field(default_factory=dict)
    ablations: dict[tuple[str, str, int], Training] = field(default_factory=dict)

    @property
    def renders(self) -> list[Render]:
        """The sets that are needed, each once."""
        return list(dict.fromkeys(t.render for t in self.trainings if t.render is not None))

    @property
    def scored(self) -> list[Training]:
        """The trainings whose models are scored, each once."""
        return list(dict.fromkeys([*self.arms.values(), *self.curve.values(), *self.ablations.values()]))


def choose(request: Request) -> Request:
    """``request`` with all arms named and everything checked that needs no file; raises ConfigError.

    Arms that need real images are refused when there is no place to find them.
    """
    experiment = request.experiment
    _known("budget", [request.budget], experiment.budgets)
    _known("arms", request.arms, experiment.arms)
    _known("ablation", request.ablations, experiment.ablations)
    chosen = replace(request, arms=request.arms or tuple(experiment.arms))
    check_curve(list(chosen.curve), chosen.size.frames, "curve")
    needing = [name for name in chosen.arms if experiment.arms[name].kind != "synthetic"]
    if needing and real_folder(chosen, "train") is None:
        free = [name for name in experiment.arms if experiment.arms[name].kind == "synthetic"]
        raise ConfigError(
            f"the arms {', '.join(needing)} need real images, and real.root is not given; give real.root=DIR, or "
            f"arms=[{','.join(free)}] for a run without a real score."
        )
    for name, task in experiment.tasks.items():
        if task.selection == "real_val" and real_folder(chosen, "val") is None:
            raise ConfigError(
                f"tasks.{name}.selection=real_val needs real images; give real.root=DIR, or selection=held_out."
            )
    return chosen


def real_folder(request: Request, part: str) -> Path | None:
    """The folder of the real images of ``part`` ("train", "val" or "test"); None when it is not known."""
    if part == "test":
        return Path(request.real_test).expanduser() if request.real_test else None
    given = {"train": request.experiment.real.train, "val": request.experiment.real.val}[part]
    path = Path(given).expanduser()
    if not given:
        return None
    if path.is_absolute():
        return path
    return Path(request.real_root).expanduser() / path if request.real_root else None


def make(request: Request) -> Plan:
    """The plan of a request that ``choose`` has checked; seed after seed, so that the first figures come early."""
    plan = Plan()
    for seed in request.seed_values:
        for name, task in request.experiment.tasks.items():
            _Planner(request, plan, name, task, seed).add()
    return plan


class _Planner:
    """Adds the trainings of one task and seed to a plan."""

    def __init__(self, request: Request, plan: Plan, name: str, task: TaskConfig, seed: int) -> None:
        self.request, self.plan, self.name, self.task, self.seed = request, plan, name, task, seed
        self.experiment, self.budget = request.experiment, request.size
        self.whole = Render(WHOLE, seed, self.budget.frames, (*self.experiment.render, *self.budget.render))
        arms = self.experiment.arms
        # What curves and ablations vary: the first synthetic arm, or a plain one.
        self.base_name = next((n for n, arm in arms.items() if arm.kind == "synthetic"), "synthetic")
        self.base = arms.get(self.base_name, ArmConfig())

    def add(self) -> None:
        for arm in self.request.arms:
            self.plan.arms[self.name, arm, self.seed] = self._arm(arm, self.experiment.arms[arm])
        for size in self.request.curve:
            self.plan.curve[self.name, size, self.seed] = self._synthetic(f"first_{size}", self.base, size)
        if self.request.curve:
            whole = self._synthetic(self.base_name, self.base, self.budget.frames)
            self.plan.curve[self.name, self.budget.frames, self.seed] = whole
        if self.request.ablations:
            for ablation in ("", *self.request.ablations):
                self.plan.ablations[self.name, ablation, self.seed] = self._ablation(ablation)

    def _arm(self, name: str, arm: ArmConfig) -> Training:
        config, steps = self._settings(self.budget.frames, arm.train)
        if arm.kind == "synthetic":
            return self._synthetic(name, arm, self.budget.frames)
        if arm.kind == "real":
            return self._keep(name, config, steps, real_images=arm.real_images, real_share=1.0)
        if arm.kind == "mixed":
            turned = self._synthetic(self.base_name, self.base, self.budget.frames) if self._turns else None
            return self._keep(
                name, config, steps, render=self.whole, images=self.budget.frames, real_images=arm.real_images,
                real_share=arm.real_share, turned_by=turned,
            )  # fmt: skip
        first = min(max(1, round(arm.pretrain * steps)), steps - 1)
        if first < 1:
            raise ConfigError(f"the arm {name} needs at least 2 steps, one on synthetic images and one on real ones.")
        plain, _ = self._settings(self.budget.frames, self.base.train)
        before = self._keep(f"pretrained_{first}", plain, first, render=self.whole, images=self.budget.frames)
        return self._keep(
            name, config, steps - first, real_images=arm.real_images, real_share=1.0, after=before,
            turned_by=before if self._turns else None,
        )  # fmt: skip

    def _synthetic(self, name: str, arm: ArmConfig, images: int) -> Training:
        config, steps = self._settings(self.budget.frames, arm.train)
        return self._keep(name, config, steps, render=self.whole, images=images)

    def _ablation(self, name: str) -> Training:
        change, less = self.experiment.ablations.get(name), self.budget.ablation
        frames = less.frames or self.budget.frames
        own = change.train if change else {}
        config, steps = self._settings(frames, self.base.train, less.train.get(self.name, {}), own)
        if change is None or not change.render:
            label = f"ablation_{name}" if change else "ablation"
            return self._keep(label, config, steps, render=self.whole, images=frames)
        render = Render(name, self.seed, frames, (*self.whole.overrides, *change.render))
        return self._keep(f"ablation_{name}", config, steps, render=render, images=frames)

    @property
    def _turns(self) -> bool:
        """Whether measured azimuths have to be brought to the frame of the mesh before they are learnt with others."""
        return self.task.task == "pose" and self._settings(2, {})[0].target == "azimuth"

    def _settings(self, frames: int, *parts: Mapping[str, Any]) -> tuple[TrainConfig, int]:
        """The settings of training and the number of steps."""
        given = merged(self.task.train, self.budget.train.get(self.name, {}), *parts)
        config = resolve(fields.build(TrainConfig, {**given, "task": self.task.task, "seed": self.seed}))
        return config, config.steps or max(1, round(config.epochs * frames / config.batch))

    def _keep(self, name: str, config: TrainConfig, steps: int, **parts: Any) -> Training:
        """The training, or the one of the plan that gives the same model."""
        given = _changed(fields.plain(replace(config, steps=steps)), fields.plain(TrainConfig()))
        settings = json.dumps(given, sort_keys=True)
        made = Training(self.name, name, self.seed, steps, settings, **parts)
        for other in self.plan.trainings:
            if made.same_as(other):
                return other
        self.plan.trainings.append(made)
        return made


def _changed(settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Those of nested settings that differ from the defaults."""
    out: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            inner = _changed(value, defaults[key])
            if inner:
                out[key] = inner
        elif value != defaults[key]:
            out[key] = value
    return out


def _known(what: str, names: Sequence[str], known: Mapping[str, Any]) -> None:
    for k, name in enumerate(names):
        if name not in known:
            listed = ", ".join(known) or "none"
            raise ConfigError(f"{what}: {name!r} is not in the experiment{near_match(name, known)}; it has {listed}.")
        if name in names[:k]:
            raise ConfigError(f"{what} lists {name} twice.")

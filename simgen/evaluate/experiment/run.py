"""Doing an experiment: render, train, score; each only where it is not done yet."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from simgen.errors import DatasetError
from simgen.evaluate.experiment.data import Data, describe, digest
from simgen.evaluate.experiment.definition import TaskConfig, metric
from simgen.evaluate.experiment.identity import claim, identity
from simgen.evaluate.experiment.plan import Plan, Render, Request, Training, choose, make, real_folder
from simgen.evaluate.experiment.progress import Stage, Tell
from simgen.evaluate.experiment.results import Run
from simgen.evaluate.metrics.pose import Calibration, PoseTally
from simgen.evaluate.results import RESULTS
from simgen.evaluate.score import evaluate, scorer, tally
from simgen.generate.folder import locked
from simgen.learn import model as models
from simgen.learn.model import Model, predict
from simgen.learn.sample import Source
from simgen.learn.train import MODEL, Progress, train
from simgen.shards.files import write_atomically

DONE = "done.json"
"""In the folder of a model that is finished: what it was trained on, and how it went."""

PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Machine:
    """What an experiment may use; results depend on the number of ``threads`` in their last bits only.

    ``workers`` render ("auto": one a core), ``threads`` and ``device`` train (0 and "auto": PyTorch's choice).
    """

    workers: Any = "auto"
    threads: int = 0
    device: str = "auto"


class Runner:
    """An experiment in its folder; ``runs`` has what is finished, by training.

    ``real`` says what was read of the real images and ``absent`` which classes they do not show, by part.

    Raises ConfigError, LearnError, AssetError or DatasetError for what is wrong with the request, before anything is
    rendered.
    """

    def __init__(
        self, request: Request, machine: Machine | None = None, tell: Tell = lambda stage: None, draws: int = 500
    ) -> None:
        self.request = choose(request)
        self.plan: Plan = make(self.request)
        self.data = Data(self.request)
        self.machine, self.draws = machine or Machine(), draws
        self.runs: dict[Training, Run] = {}
        self.real: dict[str, Any] = {}
        self.absent: dict[str, list[str]] = {}
        self._tell = tell
        self._number = 0
        self._rendered: set[Render] = set()
        self._turns: dict[Training, Calibration] = {}
        self._digests = self._check()

    def run(self, finished: Callable[[int], None] = lambda seed: None) -> None:
        """Do all that is not done yet; ``finished`` is called after each seed.

        Raises DatasetError when the folder holds another experiment or another run is writing to it.
        """
        if self.machine.threads:
            torch.set_num_threads(self.machine.threads)
        with _held(self.request.out):
            kept = {name: value for name, value in self._digests.items() if not name.startswith("test")}
            claim(self.request.out, identity(self.request, kept))
            scored = self.plan.scored
            for seed in self.request.seed_values:
                for training in (t for t in self.plan.trainings if t.seed == seed):
                    about = self._train(training)
                    if training in scored:
                        self.runs[training] = self._score(training, about)
                finished(seed)

    def model_file(self, training: Training) -> Path:
        """Where the model of a training is."""
        return self.request.out / "models" / training.place / MODEL

    def score_file(self, training: Training, part: str) -> Path:
        """Where the scores of a training on ``part`` are."""
        return self.request.out / "scores" / training.place / part / RESULTS

    def load(self, training: Training) -> Model:
        """The model of a finished training."""
        device = models.find_device(self.machine.device)
        return models.load(self.model_file(training), device, self._task(training).task)

    def calibration(self, training: Training) -> Source | None:
        """The real images that fix what may be fixed of scores, if there are to be any."""
        task = self._task(training)
        wanted = task.calibrate == "real_train"
        if task.calibrate == "auto":
            wanted = task.task == "pose" and training.config.target == "azimuth"
        return self.data.real(training.task, "train") if wanted else None

    def _check(self) -> dict[str, str]:
        """Settings of all sets and the real images of all tasks; their digests."""
        for wanted in self.plan.renders:
            # Models that are trained already would else be taken for those of a scene that was edited since.
            self.data.confirm(wanted)
        digests = {}
        for task, settings in self.request.experiment.tasks.items():
            for part in PARTS:
                source = self.data.real(task, part)
                if source is not None:
                    digests[f"{part} ({task})"] = digest(source, settings.task == "segment")
                    self._note_absent(part, source)
                    folder = str(real_folder(self.request, part))
                    self.real.setdefault(part, {"folder": folder, **describe(source)})
        return digests

    def _note_absent(self, part: str, source: Source) -> None:
        seen = {int(label) for k in range(len(source)) for label in source.objects(k).labels}
        never = [name for k, name in enumerate(source.classes) if k not in seen]
        known = self.absent.setdefault(part, [])
        known += [name for name in never if name not in known]

    def _task(self, training: Training) -> TaskConfig:
        return self.request.experiment.tasks[training.task]

    def _train(self, training: Training) -> dict[str, Any]:
        """What is told of a finished training, which is done if it is not yet."""
        self._number += 1
        folder = self.model_file(training).parent
        spec = _digest_of(asdict(training))
        done = _read(folder / DONE)
        if done.get("training") == spec and (folder / MODEL).is_file():
            self._say(f"{training.place}: trained already")
            return done
        if training.render is not None:
            self._render(training)
        data, val, sources = self.data.learnt(training, self._turn(training))
        config = replace(
            training.config,
            device=self.machine.device,
            threads=self.machine.threads,
            init=str(self.model_file(training.after).resolve()) if training.after else "",
        )
        what = f"{training.place}: train on " + " + ".join(f"{s['images']} {s['kind']}" for s in sources) + " images"
        self._say(what, 0, training.steps, "step")

        def tell(progress: Progress) -> None:
            note = "" if progress.score is None else f"{progress.score.name} {progress.score.value:.3f}"
            rate = (progress.steps - progress.step) / progress.seconds_left if progress.seconds_left > 0 else 0.0
            self._say(what, progress.step, progress.steps, "step", rate, note)

        trained = train(config, data, val, folder, scorer=scorer, report=tell)
        before = _read(self.model_file(training.after).parent / DONE) if training.after else {}
        task = self._task(training)
        done = {
            "training": spec,
            "steps": training.steps + int(before.get("steps", 0)),
            "images_seen": training.steps * config.batch + int(before.get("images_seen", 0)),
            "seconds": trained.history[-1]["seconds"] + float(before.get("seconds", 0)),
            "sources": [*before.get("sources", []), *sources],
            "chosen_by": {
                "figure": trained.score.name,
                "value": trained.score.value,
                "step": trained.best_step,
                "on": "real val" if task.selection == "real_val" else f"{sources[-1]['kind']} images held out",
            },
        }
        write_atomically(folder / DONE, (json.dumps(done, indent=1) + "\n").encode())
        return done

    def _render(self, training: Training) -> None:
        wanted = training.render
        assert wanted is not None
        if wanted in self._rendered:
            return
        what = f"{wanted.place}: render"
        self.data.render(
            wanted,
            self.machine.workers,
            lambda p: self._say(f"{what}, {p.phase}", p.done, p.frames, "frame", p.rate),
        )
        self._rendered.add(wanted)

    def _turn(self, training: Training) -> Calibration | None:
        """How the azimuths of real images follow from those of the mesh, told by a model of synthetic images."""
        by = training.turned_by
        if by is None:
            return None
        if by not in self._turns:
            model, count = self.load(by), tally("pose", self.data.classes(training.task))
            assert isinstance(count, PoseTally)
            real = self.data.real(training.task, "train")
            assert real is not None
            for sample, prediction in predict(model, real):
                count.add(sample, prediction)
            self._turns[by] = count.calibrate()
        return self._turns[by]

    def _score(self, training: Training, about: dict[str, Any]) -> Run:
        """The run of a finished training with its scores, which are computed if they are not yet."""
        scores, draws = {}, {}
        arm = training in self.plan.arms.values()
        for part in ("val", "test") if arm else ("val",):
            source = self.data.real(training.task, part)
            if source is None:
                continue
            found = self._scored(training, part, source)
            scores[part], draws[part] = found["figures"], found["draws"][metric(self._task(training))]
        told = {key: about[key] for key in ("steps", "images_seen", "seconds", "sources", "chosen_by")}
        return Run(seed=training.seed, model=f"models/{training.place}/{MODEL}", scores=scores, draws=draws, **told)

    def _scored(self, training: Training, part: str, source: Source) -> dict[str, Any]:
        """The content of the score file, which is written anew unless it is of this model and these images."""
        path, task = self.score_file(training, part), self._task(training)
        of = {
            "model": _digest_of(_read(self.model_file(training).parent / DONE)),
            "data": self._digests[f"{part} ({training.task})"],
            "calibration": self._digests.get(f"train ({training.task})", "") if self.calibration(training) else "",
            "draws": self.draws,
            "metric": metric(task),
        }
        before = _read(path)
        if before.get("details", {}).get("of") == of:
            return before
        self._say(f"{training.place}: score on {len(source)} real images ({part})")
        results = evaluate(
            self.load(training), source, calibration=self.calibration(training), name=training.place,
            draws=self.draws, keep=[metric(task)],
        )  # fmt: skip
        results.details["of"] = of
        results.write(path.parent)
        return _read(path)

    def _say(self, what: str, done: int = 0, total: int = 0, unit: str = "", rate: float = 0.0, note: str = "") -> None:
        self._tell(Stage(self._number, len(self.plan.trainings), what, done, total, unit, rate, note))


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    if folder.exists() and not folder.is_dir():
        raise DatasetError(f"out={folder} is a file: choose a folder, new or empty")
    with locked(folder):
        yield


def _read(path: Path) -> dict[str, Any]:
    """The JSON object in a file; empty when there is none, or one that is damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _digest_of(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]

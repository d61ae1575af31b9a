"""The commands ``simgen train`` and ``simgen evaluate``: Hydra applications around ``learn`` and ``evaluate``."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from simgen.cli.application import application
from simgen.errors import ConfigError
from simgen.learn import need
from simgen.learn.config import TrainConfig
from simgen.scene.fields import number, word

if TYPE_CHECKING:
    from simgen.learn.model import Model
    from simgen.learn.sample import Source
    from simgen.learn.train import Progress

_TRAIN_HELP = """\
usage: simgen train task=classify|detect|segment|pose data=DIR out=DIR [key=value ...]

Train a small model on datasets of `simgen render`, on real images, or both. Run the same command again to go on.
Leaves OUT/model.pt (the best on validation data), OUT/checkpoint.pt and OUT/history.jsonl.

  data=DIR or data=[A,B]    datasets or folders of real images (class folders, COCO, VOC, YOLO, BOP, images + masks)
  data_weights=[3,1]        how often each of them is drawn from; without, by its number of images
  val=DIR                   validation data; without, val_fraction=0.1 of the data, whole scenes
  classes=[a,b]             which classes, in which order; without, those of the first data
  mapping={name: class}     real class names to those of the data, null leaves a class out
  epochs=30 or steps=5000   how long; batch=, lr=, patience=3 (stop early), evaluations=10
  input.height=128          size of the network's input; input.crop=image|largest|objects
  augment.strength=1        0: none; augment.rotate_deg=, augment.flip_x=true, augment.quarter_turns=true, ...
  init=model.pt             fine-tune
  target=azimuth|rotation   what task=pose gives
  seed=0 device=auto precision=auto threads=0 workers=0

Hydra's own: --cfg job (print all settings), -m (sweep: seed=0,1,2 'out=runs/${seed}').
"""

_EVALUATE_HELP = """\
usage: simgen evaluate model=FILE real=DIR out=DIR [key=value ...]
       simgen evaluate data=DATASET real=DIR out=DIR [key=value ...]

Score a model on real images (or on a dataset): figures with 95 % intervals, by class and by slice, worst first.
Prints a table and leaves OUT/results.json. With a dataset, say how far it is from the real images, without any
training: by labels, pictures and, with a model or features=FILE, features; leaves OUT/distances.json.

  real=DIR                  class folders, COCO, VOC, YOLO, BOP, images + masks, or a dataset of `simgen render`
  mapping={name: class}     real class names to those of the model, null leaves a class out
  format=auto               or folders, coco, voc, yolo, bop, masks
  calibrate=DIR             other images that fix what may be fixed without touching DIR: the zero of measured
                            azimuths, the score from which a detection counts
  data=DATASET              compare this dataset of `simgen render` with the real images
  features=FILE             by features of a network that torch.export.save wrote: takes (1, 3, 224, 224), RGB of 0 to 1
  draws=500 seed=0          bootstrap samples of the intervals
  device=auto threads=0

Hydra's own: --cfg job (print all settings), -m (sweep: model=a.pt,b.pt).
"""


@dataclass
class TrainJob(TrainConfig):
    """Settings of ``simgen train``: those of training, and where the data is."""

    data: Any = ""
    data_weights: list[float] = field(default_factory=list)
    val: str = ""
    out: str = ""
    classes: list[str] = field(default_factory=list)
    mapping: dict[str, Any] = field(default_factory=dict)
    format: str = "auto"


@dataclass
class EvaluateJob:
    """Settings of ``simgen evaluate``."""

    model: str = ""
    data: str = ""
    real: str = ""
    out: str = ""
    features: str = ""
    mapping: dict[str, Any] = field(default_factory=dict)
    format: str = "auto"
    calibrate: str = ""
    min_visib: float = number(0.1, low=0, high=1)
    draws: int = number(500, low=1, high=100_000)
    seed: int = number(0, low=0, high=2**63 - 1)
    device: str = "auto"
    threads: int = number(0, low=0)
    output: str = word("table", "table", "json")
    """What is printed: the table, or the path of results.json and the figures as JSON."""


def train(arguments: Sequence[str]) -> int:
    """Run ``simgen train`` with Hydra's command-line arguments; returns the exit status. Raises SimgenError."""
    if not arguments or any(a in ("-h", "--help") for a in arguments):
        print(_TRAIN_HELP)
        return 0 if arguments else 2
    return application(arguments, "train", TrainJob, run_training)


def evaluate(arguments: Sequence[str]) -> int:
    """Run ``simgen evaluate`` with Hydra's command-line arguments; returns the exit status. Raises SimgenError."""
    if not arguments or any(a in ("-h", "--help") for a in arguments):
        print(_EVALUATE_HELP)
        return 0 if arguments else 2
    return application(arguments, "evaluate", EvaluateJob, run_evaluation)


def run_training(job: TrainJob) -> None:
    """Open the data, train, tell how it goes."""
    need.torch("training and prediction")
    need.package("pycocotools", "the metrics of detection")
    from simgen.evaluate.data import join, open_source, skipped
    from simgen.evaluate.score import scorer
    from simgen.learn import model as models
    from simgen.learn.train import train as fit

    names = [job.data] if isinstance(job.data, str) else list(job.data)
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ConfigError("data has no value; give data=DIR, or data=[A,B].")
    if not job.out:
        raise ConfigError("out has no value; give out=DIR.")
    if job.data_weights and (len(job.data_weights) != len(names) or min(job.data_weights) < 0):
        raise ConfigError("data_weights must have a number of at least 0 for each folder of data.")
    classes: Sequence[str] | None = job.classes or None
    if job.init and classes is None:
        classes = models.load(job.init, "cpu", job.task).classes

    def open_(name: str) -> Source:
        source = open_source(
            name, job.task, classes, mapping=job.mapping, format=job.format, min_visib=job.min_visib,
            min_pixels=job.min_pixels, box_margin=job.box_margin, target=job.target,
        )  # fmt: skip
        for line in skipped(source):
            print(line, file=sys.stderr)
        return source

    sources = []
    for name in names:
        sources.append(open_(name))
        classes = sources[0].classes
    val = open_(job.val) if job.val else None
    known = {entry.name for entry in dataclasses.fields(TrainConfig)}
    config = TrainConfig(**{name: getattr(job, name) for name in known})
    trained = fit(config, join(sources, job.data_weights or None), val, job.out, scorer=scorer, report=_tell)
    early = ", stopped early" if trained.stopped_early else ""
    best = f"{trained.score.name} {trained.score.value:.4g} at step {trained.best_step}"
    print(f"{trained.path}: {best} of {trained.steps}{early}.")


def run_evaluation(job: EvaluateJob) -> None:
    """Open model and data; score the model, compare the dataset; write and print the results."""
    need.torch("training and prediction")
    need.package("pycocotools", "the metrics of detection")
    import torch

    from simgen.evaluate.data import open_source, skipped
    from simgen.evaluate.score import evaluate as score
    from simgen.learn import model as models

    if not job.model and not job.data:
        raise ConfigError("model has no value; give model=FILE to score it, or data=DATASET to compare that.")
    for key in ("real", "out"):
        if not getattr(job, key):
            raise ConfigError(f"{key} has no value; give {key}=DIR.")
    if job.threads:
        torch.set_num_threads(job.threads)
    model = models.load(job.model, models.find_device(job.device)) if job.model else None
    classes = model.classes if model is not None else None

    def open_(name: str) -> Source:
        task, target = ("detect", "azimuth") if model is None else (model.task, model.target)
        source = open_source(
            name, task, classes, mapping=job.mapping, format=job.format, min_visib=job.min_visib, target=target,
            facts=True,
        )  # fmt: skip
        for line in skipped(source):
            print(line, file=sys.stderr)
        return source

    synthetic = open_(job.data) if job.data else None
    classes = synthetic.classes if synthetic is not None else classes
    real = open_(job.real)
    if model is not None:
        calibration = open_(job.calibrate) if job.calibrate else None
        results = score(model, real, calibration=calibration, name=job.model, draws=job.draws, seed=job.seed)
        path = results.write(job.out)
        print(path.read_text(encoding="utf-8") if job.output == "json" else f"{results.text()}\n\n{path}")
    if synthetic is not None:
        _compare(job, synthetic, real, model)


def _compare(job: EvaluateJob, synthetic: Source, real: Source, model: Model | None) -> None:
    from simgen.evaluate.distance.describe import describe
    from simgen.evaluate.distance.features import model_features, network_features
    from simgen.evaluate.distance.measure import distances, text, write

    extract = {} if model is None else {"the model": model_features(model)}
    if job.features:
        extract[job.features] = network_features(job.features)
    ours, theirs = (describe(source, extract, seed=job.seed) for source in (synthetic, real))
    found = distances(ours, theirs, seed=job.seed)
    path = write(found, job.out)
    print(path.read_text(encoding="utf-8") if job.output == "json" else f"{text(found)}\n\n{path}")


def _tell(progress: Progress) -> None:
    left = f"{progress.seconds_left:.0f} s to go" if progress.step < progress.steps else "done"
    score = ""
    if progress.score is not None:
        score = f"  {progress.score.name} {progress.score.value:.4f} (best {progress.best:.4f})"
    print(
        f"step {progress.step}/{progress.steps}  loss {progress.loss:.3f}{score}  {progress.rate:.0f} images/s, {left}",
        file=sys.stderr,
        flush=True,
    )

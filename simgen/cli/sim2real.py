"""The command ``simgen sim2real``: a Hydra application around ``simgen.evaluate.experiment``."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from simgen.cli.application import application
from simgen.config import AssetsConfig
from simgen.errors import ConfigError
from simgen.evaluate.experiment import files
from simgen.evaluate.experiment.definition import Experiment, check
from simgen.evaluate.experiment.plan import Request
from simgen.evaluate.experiment.progress import Stage
from simgen.learn import need
from simgen.scene import fields
from simgen.scene.fields import number, word

_HELP = """\
usage: simgen sim2real experiment=NAME|FILE.yaml out=DIR [key=value ...]

Render, train and score on real images: what are synthetic images worth? Prints a table and leaves OUT/report.html,
OUT/results.json and OUT/plots. Run the same command again to go on; ask for more arms, seeds, sizes or ablations later.

  experiment=signs          a shipped experiment (simgen list experiments), or a file: experiment=my.yaml
  budget=quick              smoke (a minute, to see that it works), quick, full, as the experiment says
  real.root=DIR             where its real images are; real.test=DIR: others, which are scored and choose nothing
  assets.path=[DIR,...]     folders with meshes, textures, environment maps
  seeds=3                   runs of everything, each with a seed of its own; seed=0 is the first
  arms=[synthetic,real]     some of the experiment's arms; without real images only synthetic ones can be had
  curve=true                fewer synthetic images, the sizes of the budget, or curve=[500,2000]
  ablation=true             leave one thing out after the other, or ablation=[fixed_light,no_sensor]
  experiment.KEY=...        anything in the experiment, e.g. experiment.budgets.quick.frames=5000
  workers=auto              processes that render; threads=0 device=auto: what trains
  draws=500                 bootstrap samples of the intervals

Hydra's own: --cfg job (print all settings), -m (sweep).
"""


@dataclass
class RealPlaces:
    """Where real images are."""

    root: str = ""
    test: str = ""


@dataclass
class Sim2RealJob:
    """Settings of ``simgen sim2real``."""

    experiment: Experiment = field(default_factory=Experiment)
    budget: str = "quick"
    out: str = ""
    real: RealPlaces = field(default_factory=RealPlaces)
    assets: AssetsConfig = field(default_factory=AssetsConfig)
    arms: list[str] = field(default_factory=list)
    curve: Any = False
    ablation: Any = False
    seeds: int = number(0, low=0, high=100)
    seed: int = number(0, low=0, high=2**31)
    workers: Any = "auto"
    threads: int = number(0, low=0)
    device: str = "auto"
    draws: int = number(500, low=2, high=100_000)
    output: str = word("table", "table", "json")
    """What is printed: the table, or the content of results.json."""


def sim2real(arguments: Sequence[str]) -> int:
    """Run ``simgen sim2real`` with Hydra's command-line arguments; returns the exit status. Raises SimgenError."""
    if not arguments or any(a in ("-h", "--help") for a in arguments):
        print(_HELP)
        return 0 if arguments else 2
    chosen = [a for a in arguments if a.startswith("experiment=")]
    if not chosen:
        names = ", ".join(files.experiment_names())
        raise ConfigError(f"experiment has no value; give experiment=my.yaml, or one of {names}.")
    if len(chosen) > 1:
        raise ConfigError(f"experiment is given twice: {' '.join(chosen)}.")
    experiment = files.read(chosen[0].partition("=")[2])
    plain = {**fields.plain(Sim2RealJob()), "experiment": experiment}
    return application([a for a in arguments if a not in chosen], "sim2real", Sim2RealJob, run, plain)


def run(job: Sim2RealJob) -> None:
    """Do the experiment, write the results and the report, print the table."""
    need.torch("training and prediction")
    need.package("pycocotools", "the metrics of detection")
    from simgen.evaluate.experiment import report, table
    from simgen.evaluate.experiment.assemble import assemble
    from simgen.evaluate.experiment.run import Machine, Runner

    check(job.experiment)
    request = _request(job)
    began = time.perf_counter()
    tell = _Bar() if sys.stderr.isatty() else _Lines()
    runner = Runner(request, Machine(job.workers, job.threads, job.device), tell, job.draws)
    for part, entry in runner.real.items():
        for reason, names in entry.get("skipped", {}).items():
            some = ", ".join(list(dict.fromkeys(names["first"]))[:4])
            print(f"real {part}: {names['count']} {reason}: {some}", file=sys.stderr)
        if runner.absent[part]:
            some = ", ".join(runner.absent[part][:8]) + ", ..." * (len(runner.absent[part]) > 8)
            told = "; real.mapping in the experiment leads from real names to these" if entry.get("skipped") else ""
            print(f"real {part}: no object of the classes {some}{told}", file=sys.stderr)

    def finished(seed: int) -> None:
        if seed == request.seed_values[-1]:
            return
        # Early figures; the sections that compare and audit take their time and are of the first seed.
        report.write(runner, assemble(runner, time.perf_counter() - began), sections=())

    runner.run(finished)
    tell(Stage(0, 0, "report"))
    results = assemble(runner, time.perf_counter() - began)
    path = report.write(runner, results)
    tell.close()
    if job.output == "json":
        print(json.dumps(results.plain(), indent=1))
    else:
        print(f"{table.text(results)}\n\n{path}")


def _request(job: Sim2RealJob) -> Request:
    experiment = job.experiment
    if not job.out:
        raise ConfigError("out has no value; give out=DIR.")
    budget = experiment.budgets.get(job.budget)
    return Request(
        experiment=experiment,
        budget=job.budget,
        out=Path(job.out).expanduser(),
        real_root=job.real.root,
        real_test=job.real.test,
        assets=tuple(job.assets.path),
        arms=tuple(job.arms),
        curve=_several(job.curve, "curve", budget.curve if budget else []),
        ablations=_several(job.ablation, "ablation", list(experiment.ablations)),
        seeds=job.seeds,
        seed=job.seed,
    )


def _several(value: Any, key: str, all_: Sequence[Any]) -> tuple[Any, ...]:
    """True is ``all_``, false is nothing, a list is itself."""
    if isinstance(value, bool) or value is None:
        return tuple(all_) if value else ()
    if not isinstance(value, list | tuple):
        raise ConfigError(f"{key} must be true, false or a list, not {value!r}.")
    return tuple(value)


def _title(stage: Stage) -> str:
    return f"[{stage.number}/{stage.count}] {stage.what}" if stage.count else stage.what


class _Bar:
    """Shows progress on a terminal: a bar for each part that has a length, which stays when it is done; else a line."""

    def __init__(self) -> None:
        self._bar: tqdm | None = None
        self._what = ""

    def __call__(self, stage: Stage) -> None:
        if stage.what != self._what:
            self.close()
            self._what = stage.what
            if not stage.total:
                print(_title(stage), file=sys.stderr, flush=True)
        if not stage.total:
            return
        if self._bar is None:
            self._bar = tqdm(
                total=stage.total, unit=stage.unit, desc=_title(stage), initial=stage.done, dynamic_ncols=True
            )
        if stage.note:
            self._bar.set_postfix_str(stage.note, refresh=False)
        self._bar.n = stage.done
        self._bar.refresh()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class _Lines:
    """Prints a line at the beginning of each part, and at each tenth of it."""

    def __init__(self) -> None:
        self._what, self._tenth = "", -1

    def __call__(self, stage: Stage) -> None:
        tenth = 10 * stage.done // max(stage.total, 1)
        if stage.what == self._what and tenth == self._tenth:
            return
        self._what, self._tenth = stage.what, tenth
        told = [_title(stage)]
        if stage.total:
            told.append(f"{stage.unit} {stage.done}/{stage.total}")
        if stage.note:
            told.append(stage.note)
        if stage.rate:
            told.append(f"{stage.rate:.1f}/s, {stage.seconds_left:.0f} s to go")
        print("  ".join(told), file=sys.stderr, flush=True)

    def close(self) -> None:
        """Nothing is open."""

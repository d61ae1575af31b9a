"""The command ``simgen render``: settings from Hydra for ``simgen.generate.job.render``."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from itertools import pairwise

import hydra
from omegaconf import DictConfig
from tqdm import tqdm

from simgen import config as settings
from simgen.cli.application import check_flags, overrides_first, parted
from simgen.config import RenderConfig
from simgen.errors import SimgenError
from simgen.generate.job import Progress
from simgen.generate.job import render as run_job

_HELP = """\
usage: simgen render scene=NAME out=DIR [key=value ...]

Render a labelled dataset into DIR; run the same command again to finish or repair it.

  scene=tabletop            a shipped scene (simgen list scenes), or a file: scene=my_scene.yaml
  out=DIR                   where the dataset goes: DIR/manifest.json and DIR/shards/
  frames=1000               how many images; a larger number later continues the dataset
  seed=0                    same seed and settings, same dataset
  workers=auto              processes; auto: one per core
  image.width=640 image.height=480
  passes=[rgb,depth,...]    auto, or some of {passes}
  renderer=auto             auto, raster or tiny; renderer.device=auto|cpu|cuda:0
  assets.path=[DIR,...]     folders with meshes, textures, environment maps (also SIMGEN_ASSETS)
  randomize.FACTOR.strength=0.5   0: nominal values only, 1: as the scene says
                            (simgen list factors); randomize.FACTOR.enabled=false
  output.compression=blosc  blosc, gzip or none; output.rgb_codec=raw|png|jpeg
  scene.KEY=...             anything in the scene definition, e.g. scene.cameras.main.radius.low=0.5

Hydra's own: --cfg job (print all settings), -m (sweep: seed=0,1,2 'out=runs/${{seed}}'), --config-dir DIR
(with DIR/scene/my.yaml).
"""


def render(arguments: Sequence[str]) -> int:
    """Run ``simgen render`` with Hydra's command-line arguments; returns the exit status.

    Raises SimgenError for a wrong setting or whatever stops the job.
    """
    if not arguments or any(a in ("-h", "--help") for a in arguments):
        print(_HELP.format(passes=", ".join(settings.PASSES)))
        return 0 if arguments else 2
    check_flags("render", arguments)
    entry = settings.register()
    prepared = [settings.scene_override(a) for a in overrides_first(arguments)]
    if not any(map(_is_for_hydra, prepared)):
        # Settings of the job alone take no application around them, which would cost time at the start.
        _log_to_stderr()
        _render(settings.load(overrides=prepared))
        return 0
    if not any(a in ("-cn", "--config-name", "-cp", "--config-path") for a in prepared):
        _check(prepared)
    _log_to_stderr()
    application = hydra.main(
        config_path=entry.config_path, config_name=entry.config_name, version_base=entry.version_base
    )(_run)
    # hydra.main reads the command line of the process.
    before, sys.argv = sys.argv, ["simgen render", *prepared]
    try:
        application()
    finally:
        sys.argv = before
    return 0


def _is_for_hydra(argument: str) -> bool:
    """Whether an argument is a flag, or sets something of Hydra's own."""
    return argument.startswith("-") or argument.lstrip("+~").startswith(("hydra.", "hydra/"))


def _check(arguments: Sequence[str]) -> None:
    """Compose once on our own, because Hydra's errors for a wrong key or value are several lines of its internals."""
    overrides, flags = parted(arguments)
    folders = [value for flag, value in pairwise(flags) if flag in ("--config-dir", "-cd")]
    folders += [flag.partition("=")[2] for flag in flags if flag.startswith("--config-dir=")]
    swept = any(a in ("-m", "--multirun") for a in arguments)
    for chosen in settings.single(overrides) if swept else [overrides]:
        settings.load(overrides=chosen, config_dirs=folders)


def _run(composed: DictConfig) -> None:
    # Raised inside, a SimgenError would be dressed in a traceback by Hydra; SystemExit passes through it.
    try:
        config = settings.from_hydra(composed)
        _render(config)
    except SimgenError as error:
        print(f"simgen: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def _render(config: RenderConfig) -> None:
    if sys.stderr.isatty():
        with tqdm(total=config.frames, unit="frame", dynamic_ncols=True) as bar:
            manifest = run_job(config, _Bar(bar))
    else:
        manifest = run_job(config, _Lines())
    print(f"{config.out}: {manifest.frames} frames in {len(manifest.shards)} shards.")


class _Bar:
    """Shows progress on a terminal."""

    def __init__(self, bar: tqdm) -> None:
        self._bar = bar
        self._kept = 0

    def __call__(self, progress: Progress) -> None:
        self._bar.set_description(progress.phase)
        kept = progress.done - progress.made
        if kept != self._kept:
            # What was there already must not count in the rate.
            self._bar.initial = self._kept = kept
        self._bar.n = progress.done
        self._bar.refresh()


class _Lines:
    """Prints a line at each change of phase and at each tenth of the work."""

    def __init__(self) -> None:
        self._phase = ""
        self._tenth = -1

    def __call__(self, progress: Progress) -> None:
        tenth = 10 * progress.done // max(progress.frames, 1)
        if progress.phase == self._phase and tenth == self._tenth:
            return
        self._phase, self._tenth = progress.phase, tenth
        left = (progress.frames - progress.done) / progress.rate if progress.rate else 0.0
        rate = f", {progress.rate:.1f} frames/s, {left:.0f} s to go" if progress.rate else ""
        print(f"{progress.phase}: {progress.done}/{progress.frames} frames{rate}", file=sys.stderr, flush=True)


def _log_to_stderr() -> None:
    logger = logging.getLogger("simgen")
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("simgen: %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False

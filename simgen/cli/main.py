"""The console script ``simgen``."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from simgen import __version__
from simgen.errors import SimgenError, near_match
from simgen.processes import worker_context

_SUMMARY = """\
simgen turns scene definitions into labelled, replayable vision datasets.

make a dataset
  render      simgen render scene=tabletop out=DIR frames=1000 seed=0 workers=auto
              (a Hydra command: key=value overrides, -m to sweep, --cfg job to see all settings; run again = resume)

look at one
  info        what is in it                    simgen info DIR
  preview     a contact sheet                  simgen preview DIR --out sheet.png
  report      a dataset card in HTML           simgen report DIR
  play        a film of a scene, its traces    simgen play DIR --scene 3
  view        for the Rerun viewer             simgen view DIR --out scene.rrd
  verify      is every byte and label right    simgen verify DIR
  replay      compute a frame again, compare   simgen replay DIR --frame 137

learn from it
  train       simgen train task=detect data=DIR out=RUN          (classify, detect, segment or pose)
  evaluate    simgen evaluate model=RUN/model.pt real=PHOTOS out=SCORES
  sim2real    simgen sim2real experiment=signs budget=quick real.root=PHOTOS out=DIR
              (renders, trains and scores on real images: a table of what synthetic images are worth, and a report)

in other formats
  export      COCO, BOP, YOLO, KITTI, ...      simgen export DIR --format coco --out OUT
  import      COCO or BOP into shards          simgen import coco IMAGES ANNOTATIONS --out DIR

this machine
  list        scenes, assets, factors, ...     simgen list scenes
  doctor      what works here                  simgen doctor
  bench       how fast it renders here         simgen bench
              how fast a dataset is read       simgen bench data DIR
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0 well, 1 a check failed, 2 a user's error, 130 interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(arguments)
    except SimgenError as error:
        print(f"simgen: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("simgen: interrupted; what is complete is kept, the same command goes on from there.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output went away, as `| head` does; Python would complain once more when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with its arguments in one sentence, as all of simgen does."""

    def error(self, message: str) -> NoReturn:
        known = [option for action in self._actions for option in action.option_strings]
        unknown = message.partition("unrecognized arguments: ")[2].split()
        hint = near_match(unknown[0], known) if unknown else ""
        raise SimgenError(f"{self.prog}: {message}{hint}; see {self.prog} --help.")


_HYDRA = {
    "render": ("job", "render"),
    "train": ("learn", "train"),
    "evaluate": ("learn", "evaluate"),
    "sim2real": ("sim2real", "sim2real"),
}
"""Commands that take key=value -> module of this package and function."""

_PLAIN = {
    "info": ("dataset", "info"),
    "verify": ("dataset", "verify"),
    "replay": ("dataset", "replay"),
    "preview": ("dataset", "preview"),
    "report": ("view", "report"),
    "play": ("view", "play"),
    "view": ("view", "view"),
    "export": ("export", "export"),
    "import": ("export", "import_"),
    "list": ("machine", "list_"),
    "doctor": ("machine", "doctor"),
    "bench": ("machine", "bench"),
    "bench data": ("view", "bench_data"),
}
"""Commands that take flags -> module of this package and the function that describes them to a parser."""


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_SUMMARY)
        return 0
    if arguments[0] in ("-V", "--version"):
        print(f"simgen {__version__}")
        return 0
    name, rest = arguments[0], arguments[1:]
    if name not in _HYDRA and name not in _PLAIN:
        known = [command for command in (*_HYDRA, *_PLAIN) if " " not in command]
        raise SimgenError(
            f"There is no command {arguments[0]!r}{near_match(arguments[0], known)}; there are {', '.join(known)}."
        )
    if name == "bench" and rest[:1] == ["data"]:
        name, rest = "bench data", rest[1:]
    module, function = {**_HYDRA, **_PLAIN}[name]
    if name == "render" and rest and not any(argument.startswith("-") for argument in rest):
        with suppress(SimgenError):  # told when workers are needed, after mistakes in the settings
            worker_context()  # gets ready while this process imports and composes
    # Only now, so that each command starts with no more than it needs, and being interrupted meanwhile is told, too.
    command = getattr(importlib.import_module(f"simgen.cli.{module}"), function)
    if name in _HYDRA:
        status: int = command(rest)
    else:
        parser = _Parser(prog=f"simgen {name}")
        status = command(parser)(parser.parse_args(rest))
    return status


if __name__ == "__main__":
    sys.exit(main())

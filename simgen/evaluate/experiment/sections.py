"""Further sections of the report of an experiment, each made by a function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from simgen.evaluate.experiment.results import ExperimentResults
from simgen.evaluate.experiment.run import Runner


@dataclass(frozen=True)
class Section:
    """A part of the page, and what of it goes to results.json as ``sections.NAME``.

    ``short`` stands in the list of sections, ``title`` above it; ``html`` uses the classes of ``simgen.view.page``.
    """

    name: str
    short: str
    title: str
    html: str
    data: Any


MakeSection = Callable[[Runner, ExperimentResults], Section | None]
"""From what is finished to a section, None when there is nothing to tell.

``runner.data`` opens the synthetic and the real images, ``runner.plan`` and ``runner.runs`` say which models there are,
``runner.load`` loads one.
"""

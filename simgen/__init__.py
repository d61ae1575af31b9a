"""simgen: scene definitions in, labelled and replayable vision datasets out.

The steps of a job are functions, in this order: ``load`` settings, ``sample`` a scene, ``simulate`` it, ``resolve`` its
assets, make a ``snapshot`` of each frame, render it with a renderer from ``create_renderer``, and ``sense`` and
``label`` the result. ``scene_frames`` does all of it for one scene, ``render_dataset`` for a dataset on disk, and
``Dataset`` reads one.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.3.0"

_PUBLIC = {
    "Dataset": ("simgen.shards.reader", "Dataset"),
    "Library": ("simgen.assets.library", "Library"),
    "SimgenError": ("simgen.errors", "SimgenError"),
    "contact_sheet": ("simgen.view.preview", "contact_sheet"),
    "create_renderer": ("simgen.render", "create"),
    "label": ("simgen.labels.label", "label"),
    "load": ("simgen.config", "load"),
    "render_dataset": ("simgen.generate.job", "render"),
    "replay": ("simgen.generate.replay", "replay"),
    "resolve": ("simgen.render.snapshot", "resolve"),
    "sample": ("simgen.randomize.sample", "sample"),
    "scene_frames": ("simgen.generate.pipeline", "scene_frames"),
    "sense": ("simgen.sensors.color", "sense"),
    "simulate": ("simgen.physics.simulate", "simulate"),
    "snapshot": ("simgen.render.snapshot", "snapshot"),
    "verify": ("simgen.shards.verify", "verify"),
}

__all__ = [
    "Dataset",
    "Library",
    "SimgenError",
    "__version__",
    "contact_sheet",
    "create_renderer",
    "label",
    "load",
    "render_dataset",
    "replay",
    "resolve",
    "sample",
    "scene_frames",
    "sense",
    "simulate",
    "snapshot",
    "verify",
]

if TYPE_CHECKING:
    from simgen.assets.library import Library as Library
    from simgen.config import load as load
    from simgen.errors import SimgenError as SimgenError
    from simgen.generate.job import render as render_dataset
    from simgen.generate.pipeline import scene_frames as scene_frames
    from simgen.generate.replay import replay as replay
    from simgen.labels.label import label as label
    from simgen.physics.simulate import simulate as simulate
    from simgen.randomize.sample import sample as sample
    from simgen.render import create as create_renderer
    from simgen.render.snapshot import resolve as resolve
    from simgen.render.snapshot import snapshot as snapshot
    from simgen.sensors.color import sense as sense
    from simgen.shards.reader import Dataset as Dataset
    from simgen.shards.verify import verify as verify
    from simgen.view.preview import contact_sheet as contact_sheet


def __getattr__(name: str) -> Any:
    # Imported on first use: a command that reads a dataset must not wait for the renderer and the physics.
    if name not in _PUBLIC:
        raise AttributeError(f"module 'simgen' has no attribute {name!r}")
    module, attribute = _PUBLIC[name]
    return getattr(importlib.import_module(module), attribute)

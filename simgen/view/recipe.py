"""The command that makes a dataset again, from the configuration that its manifest keeps."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

from simgen.config import load, scene_names, to_plain
from simgen.errors import ConfigError
from simgen.shards.manifest import Manifest

_LEFT_OUT = ("out", "workers", "scenes_per_worker", "scene.name")
"""Settings that change nothing in the dataset."""

_PLAIN = re.compile(r"[\w./:@+-]+")


def command(manifest: Manifest) -> tuple[str, bool]:
    """The command line, and whether it is whole.

    It is not when the scene definition is not one that comes with simgen: the definition is then to be saved from the
    configuration, and the command names the file ``scene.yaml``.
    """
    config = manifest.config
    scene = config.get("scene")
    name = scene.get("name", "") if isinstance(scene, Mapping) else ""
    known = name in scene_names()
    try:
        usual = _flat(to_plain(load(name if known else "tabletop")))
    except ConfigError:
        usual, known = {}, False
    all_ = _flat(config)
    own = {key: value for key, value in all_.items() if usual.get(key, _NOTHING) != value and key not in _LEFT_OUT}
    # A distribution of another kind, or new or missing parts, cannot be given by single settings.
    if {key for key in all_ if key.startswith("scene.")} != {key for key in usual if key.startswith("scene.")}:
        known = False
    if not known:
        own = {key: value for key, value in own.items() if key.split(".")[0] != "scene"}
    own.update({"frames": manifest.frames, "seed": manifest.seed})
    words = [f"scene={name if known else 'scene.yaml'}", "out=DIR"]
    # Where a scene leaves a nominal value to its default, the key has to be added.
    words += [f"{'++' if key.endswith('.nominal') else ''}{key}={_value(value)}" for key, value in own.items()]
    return "simgen render " + " ".join(shlex.quote(word) for word in words), known


_NOTHING = object()


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and "dist" not in value:
            flat.update(_flat(value, f"{prefix}{key}."))
        elif isinstance(value, Mapping):
            # Hydra sets a bound by its own key.
            flat.update({f"{prefix}{key}.{inner}": entry for inner, entry in value.items()})
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _value(value: Any) -> str:
    """``value`` in the grammar of Hydra's overrides."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_value(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_value(entry) for entry in value) + "]"
    if value is None or isinstance(value, bool | int | float):
        return json.dumps(value)
    return value if _PLAIN.fullmatch(value) else f"'{value}'"

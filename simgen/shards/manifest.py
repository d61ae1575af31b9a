"""The manifest of a dataset: what it is, how it was made, and which shards are complete."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from simgen.errors import DatasetError
from simgen.shards.files import write_atomically
from simgen.shards.schema import SCHEMA

MANIFEST = "manifest.json"
SHARDS = "shards"

IRRELEVANT = ("out", "workers", "frames", "scenes_per_worker", "assets.path")
"""Keys of the configuration that a dataset may be continued with a different value of.

They change neither an array nor the division into shards: ``frames`` only says where the dataset ends, and what lies on
the asset path is identified by the fingerprint of its content.
"""


@dataclass(frozen=True)
class Category:
    """A labelled category; ids start at 1."""

    id: int
    name: str


@dataclass
class Asked:
    """What came of a target, or of what is required: ``frames`` it was asked of, of these ``met``, ``takes`` for it.

    A take is a camera that was drawn, over all drawings of its scene.
    """

    frames: int = 0
    met: int = 0
    takes: int = 0


@dataclass
class ShardEntry:
    """A shard: ``frames`` frames from ``first`` on, in ``file`` (relative to the dataset's folder).

    ``bytes`` and ``checksum`` are of the complete file. Over its scenes: ``removed`` bodies that fell off the world,
    exploded or did not come to rest, ``omitted`` objects that found no free place, ``unsettled`` scenes that kept
    bodies moving in every attempt, and ``redrawn`` attempts that were thrown away. ``targets`` are by name, and
    ``required`` is there when the definition requires something.
    """

    index: int
    file: str
    first: int
    frames: int
    state: Literal["pending", "complete"] = "pending"
    bytes: int = 0
    checksum: str = ""
    removed: int = 0
    omitted: int = 0
    unsettled: int = 0
    redrawn: int = 0
    targets: dict[str, Asked] = field(default_factory=dict)
    required: Asked | None = None


@dataclass
class Manifest:
    """A dataset: ``config`` is resolved (nothing is "auto" that determines an array), ``digest`` is of ``identity``."""

    schema: int
    simgen: str
    config: dict[str, Any]
    digest: str
    assets: str
    """Fingerprint of the asset library."""
    seed: int
    renderer: str
    device: str
    passes: list[str]
    categories: list[Category]
    frames: int
    frames_per_scene: int
    frames_per_shard: int
    shards: list[ShardEntry] = field(default_factory=list)
    contents: dict[str, str] = field(default_factory=dict)
    """Part of the assets -> digest of what its files hold; empty in datasets that do not say."""

    def asked(self) -> tuple[dict[str, Asked], Asked | None]:
        """What came of each target and of what is required, over the complete shards."""
        shards = [shard for shard in self.shards if shard.state == "complete"]
        names = dict.fromkeys(name for shard in shards for name in shard.targets)
        targets = {name: _sum([s.targets[name] for s in shards if name in s.targets]) for name in names}
        required = [shard.required for shard in shards if shard.required is not None]
        return targets, _sum(required) if required else None


def _sum(parts: Sequence[Asked]) -> Asked:
    return Asked(sum(p.frames for p in parts), sum(p.met for p in parts), sum(p.takes for p in parts))


def shard_file(index: int) -> str:
    """Name of a shard's file relative to the dataset's folder."""
    return f"{SHARDS}/shard-{index:06d}.h5"


def load(folder: Path) -> Manifest:
    """The manifest of the dataset in ``folder``. Raises DatasetError when it is none, damaged or of another schema."""
    path = folder / MANIFEST
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        what = f"holds no {MANIFEST}" if folder.is_dir() else "is a file" if folder.exists() else "does not exist"
        raise DatasetError(f"{folder} is not a dataset: it {what}; give the folder that was the out of a run") from None
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error.strerror}; check its permissions") from error
    try:
        raw = msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        raise DatasetError(f"{path} is damaged ({error}): restore it, or render the dataset again") from error
    schema = raw.get("schema") if isinstance(raw, dict) else None
    if schema is None:
        raise DatasetError(f"{path} is damaged or none of simgen's (it has no schema): give the folder of a dataset")
    if schema != SCHEMA:
        raise DatasetError(
            f"{folder} has schema version {schema}, this simgen reads version {SCHEMA}: use the simgen version "
            f"{raw.get('simgen', 'that wrote it')}"
        )
    try:
        return msgspec.convert(raw, Manifest)
    except msgspec.ValidationError as error:
        raise DatasetError(f"{path} is damaged ({error}): restore it, or render the dataset again") from error


def save(folder: Path, manifest: Manifest) -> None:
    """Write the manifest atomically. Raises DatasetError."""
    data = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
    write_atomically(folder / MANIFEST, data + b"\n")


def identity(manifest: Manifest) -> dict[str, Any]:
    """Dotted key -> value of all that determines the arrays and their division into shards."""
    kept = {key: value for key, value in _flatten(manifest.config).items() if key not in IRRELEVANT}
    return {**kept, "assets": manifest.assets, "simgen": manifest.simgen}


def digest(manifest: Manifest) -> str:
    """SHA-256 of the ``identity``."""
    return hashlib.sha256(json.dumps(identity(manifest), sort_keys=True).encode()).hexdigest()


def differences(old: Manifest, new: Manifest) -> list[str]:
    """A line ``key: old -> new`` for each key in which the identities of two datasets differ.

    Assets of the same names and sizes that hold something else differ, too, where both datasets say what they hold.
    """
    before, after = identity(old), identity(new)
    keys = [key for key in {**before, **after} if before.get(key, _NONE) != after.get(key, _NONE)]
    lines = [f"{key}: {_shown(before.get(key, _NONE))} -> {_shown(after.get(key, _NONE))}" for key in keys]
    return [*lines, *(f"assets below {part} have been changed since" for part in changed(old.contents, new.contents))]


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """The parts of the assets that both ``contents`` name and tell apart."""
    return [part for part, digest in before.items() if after.get(part, digest) != digest]


_NONE = object()


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat.update(_flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _shown(value: Any) -> str:
    return "(not set)" if value is _NONE else json.dumps(value)

"""Where the shipped configurations and scene definitions are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from simgen.errors import ConfigError

_PACKAGE = Path(__file__).resolve().parents[1]


def data_dir(name: str) -> Path:
    """The shipped folder ``name`` ("configs" or "scenes"), of an installed package or of a checkout.

    Raises ConfigError when the installation lacks it.
    """
    for folder in (_PACKAGE / name, _PACKAGE.parent / name):
        if folder.is_dir():
            return folder
    raise ConfigError(f"this installation of simgen has no folder {name}; install it again.")


def scene_names(config_dirs: Sequence[str | Path] = ()) -> list[str]:
    """Names of the shipped scene definitions and of those in DIR/scene of ``config_dirs``, sorted."""
    folders = [data_dir("scenes"), *(Path(folder) / "scene" for folder in config_dirs)]
    return sorted({file.stem for folder in folders for file in folder.glob("*.yaml")})

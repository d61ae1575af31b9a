"""Where experiments are, and reading one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from simgen.config import data_dir
from simgen.errors import ConfigError, near_match
from simgen.evaluate.experiment.definition import Experiment, check
from simgen.scene import fields

SUFFIXES = (".yaml", ".yml")


def experiment_names() -> list[str]:
    """Names of the shipped experiments, sorted."""
    return sorted(file.stem for file in (data_dir("configs") / "experiment").glob("*.yaml"))


def find(name: str) -> Path:
    """The file of a shipped experiment, or the YAML file that ``name`` is the path of; raises ConfigError."""
    if name.endswith(SUFFIXES):
        file = Path(name).expanduser()
        if not file.is_file():
            raise ConfigError(f"there is no experiment file {file}.")
        return file
    known = experiment_names()
    if name not in known:
        raise ConfigError(
            f"there is no experiment {name!r}{near_match(name, known)}; there are {', '.join(known)}, or give a file, "
            "experiment=my.yaml."
        )
    return data_dir("configs") / "experiment" / f"{name}.yaml"


def read(name: str) -> dict[str, Any]:
    """The content of an experiment, all defaults filled in, as plain data; raises ConfigError.

    A scene that is a file is looked for beside the experiment.
    """
    file = find(name)
    try:
        node = OmegaConf.load(file)
        content: Any = OmegaConf.to_container(node, resolve=True)
    except OSError as error:
        raise ConfigError(f"the experiment {file} cannot be read: {error.strerror}.") from None
    except Exception as error:
        # PyYAML and OmegaConf raise many types here, UnicodeDecodeError among them.
        raise ConfigError(f"the experiment {file} is not valid YAML: {' '.join(str(error).split())}.") from None
    if not isinstance(node, DictConfig):
        raise ConfigError(f"the experiment {file} must be a mapping of settings.")
    try:
        experiment = fields.build(Experiment, content)
        experiment.name = experiment.name or file.stem
        if experiment.scene.endswith(SUFFIXES) and not Path(experiment.scene).expanduser().is_absolute():
            experiment.scene = str(file.parent / experiment.scene)
        check(experiment)
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from None
    plain: dict[str, Any] = fields.plain(experiment)
    return plain

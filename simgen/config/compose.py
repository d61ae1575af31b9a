"""Composition by Hydra: shipped settings, a scene, overrides; checked before anything runs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigNode, ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from simgen.config.explain import explain
from simgen.config.files import data_dir
from simgen.config.plain import from_plain
from simgen.config.schema import RenderConfig
from simgen.errors import ConfigError

_VERSION_BASE = "1.3"
_FILE_SCENE = re.compile(r"^(.+)@[0-9a-f]{8}$")


class Entry(NamedTuple):
    """The arguments of ``hydra.main``."""

    config_path: str
    config_name: str
    version_base: str


def register() -> Entry:
    """Tell Hydra the schema and the shipped scenes, and return what ``hydra.main`` needs; may be called again."""
    store = ConfigStore.instance()
    if "render_schema.yaml" not in store.repo:
        store.store(name="render_schema", node=RenderConfig)
    known = store.repo.get("scene", {})
    if not isinstance(known, _Scenes):
        store.repo["scene"] = _Scenes(known)
    return Entry(str(data_dir("configs")), "render", _VERSION_BASE)


def scene_file(path: str | Path) -> str:
    """Make the scene definition in a YAML file known to Hydra and return the name under which ``scene=`` finds it.

    Raises ConfigError when it cannot be read.
    """
    file = Path(path).expanduser()
    name = f"{file.stem}@{hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:8]}"
    ConfigStore.instance().store(group="scene", name=name, node=_read(file))
    return name


def scene_override(override: str) -> str:
    """``override`` with a ``scene=path/to/my.yaml`` made known to Hydra, or several; any other one as it is."""
    key, _, value = override.partition("=")
    names = value.split(",")
    if key == "scene" and any(map(_is_file, names)):
        return f"scene={','.join(scene_file(name) if _is_file(name) else name for name in names)}"
    return override


def load(
    scene: str | Path = "tabletop",
    overrides: Sequence[str] = (),
    config_dirs: Sequence[str | Path] = (),
) -> RenderConfig:
    """The checked settings of a job.

    ``scene`` is a name or the path of a YAML file, ``overrides`` are Hydra's ("frames=10", "scene.time.frames=4"),
    ``config_dirs`` are searched for ``scene/NAME.yaml``. Raises ConfigError with one sentence for whatever is wrong.
    """
    entry = register()
    folders = [str(Path(folder).resolve()) for folder in config_dirs]
    for folder in folders:
        if not Path(folder).is_dir():
            raise ConfigError(f"the configuration folder {folder} does not exist.")
    search = ",".join(f"'file://{folder}'" for folder in folders)
    arguments = [f"hydra.searchpath=[{search}]", scene_override(f"scene={scene}"), *map(scene_override, overrides)]
    # Hydra keeps its state in a global; an application that runs under Hydra itself finds its own again afterwards.
    outer, GlobalHydra.instance().hydra = GlobalHydra.instance().hydra, None
    try:
        with initialize_config_dir(entry.config_path, version_base=_VERSION_BASE):
            composed = compose(entry.config_name, overrides=arguments, return_hydra_config=True)
        chosen = composed.hydra.runtime.choices.get("scene")
        with open_dict(composed):
            del composed["hydra"]
        return _finish(composed, chosen)
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise explain(error) from error
    finally:
        GlobalHydra.instance().hydra = outer


def single(overrides: Sequence[str]) -> list[list[str]]:
    """Overrides of a sweep as those of single runs: the first value of each, and then each other value in turn.

    Raises ConfigError for one that cannot be read.
    """
    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
    except HydraException as error:
        raise explain(error) from error
    values = [
        [f"{one.get_key_element()}={value}" for value in one.sweep_string_iterator()]
        if one.is_discrete_sweep() and not isinstance(one.value(), Glob)
        else [text]
        for one, text in zip(parsed, overrides, strict=True)
    ]
    first = [options[0] for options in values]
    others = [(k, option) for k, options in enumerate(values) for option in options[1:]]
    return [first, *([*first[:k], option, *first[k + 1 :]] for k, option in others)]


def from_hydra(composed: DictConfig) -> RenderConfig:
    """The checked settings that a function under ``hydra.main`` was given; raises ConfigError."""
    scene = HydraConfig.get().runtime.choices.get("scene") if HydraConfig.initialized() else None
    try:
        return _finish(composed, scene)
    except OmegaConfBaseException as error:
        raise explain(error) from error


def _finish(composed: DictConfig, scene: str | None) -> RenderConfig:
    if not composed.scene.name:
        # Before ${scene.name} in other settings is resolved, as in the out of a sweep over scenes.
        named = _FILE_SCENE.match(scene or "")
        composed.scene.name = named.group(1) if named else scene or "scene"
    plain: dict[str, Any] = OmegaConf.to_container(composed, resolve=True)  # type: ignore[assignment]
    return from_plain(plain)


class _Scenes(dict[str, ConfigNode | None]):
    """File name -> node of the shipped scenes, as a shelf of Hydra's store; each is read when it is first taken."""

    def __init__(self, known: Mapping[str, ConfigNode]) -> None:
        super().__init__(dict.fromkeys(file.name for file in data_dir("scenes").glob("*.yaml")))
        self.update(known)

    def __getitem__(self, name: str) -> ConfigNode:
        node = super().__getitem__(name)
        if node is None:
            content = OmegaConf.create(_read(data_dir("scenes") / name))
            self[name] = node = ConfigNode(name=name, node=content, group="scene", package=None, provider=None)
        return node


def _is_file(value: str) -> bool:
    return value.endswith((".yaml", ".yml"))


def _read(file: Path) -> dict[str, Any]:
    try:
        node = OmegaConf.load(file)
    except FileNotFoundError:
        raise ConfigError(f"there is no scene definition {file}.") from None
    except OSError as error:
        raise ConfigError(f"the scene definition {file} cannot be read: {error.strerror}.") from None
    except Exception as error:
        # PyYAML and OmegaConf raise many types here, UnicodeDecodeError among them.
        raise ConfigError(f"the scene definition {file} is not valid YAML: {' '.join(str(error).split())}.") from None
    if not isinstance(node, DictConfig):
        raise ConfigError(f"the scene definition {file} must be a mapping of settings.")
    return OmegaConf.to_container(node)  # type: ignore[return-value]

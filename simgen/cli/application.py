"""Commands whose settings are a dataclass, as Hydra applications: overrides, sweeps, errors of one sentence."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from simgen.errors import ConfigError, SimgenError, near_match
from simgen.scene import fields

Job = TypeVar("Job")


def application(
    arguments: Sequence[str],
    name: str,
    schema: type[Job],
    run: Callable[[Job], None],
    settings: Mapping[str, Any] | None = None,
) -> int:
    """Run ``simgen NAME`` with Hydra's command-line arguments; returns the exit status.

    ``run`` gets an instance of the dataclass ``schema``; ``settings`` are its values as plain data before overrides,
    by default its defaults. Raises ConfigError for arguments that make no sense.
    """
    check_flags(name, arguments)
    arguments = overrides_first(arguments)
    plain: dict[str, Any] = dict(fields.plain(schema()) if settings is None else settings)
    mappings = _check(parted(arguments)[0], plain)
    # Hydra takes no new keys into a mapping, such as names of classes, unless told so; `fields.build` checks them.
    arguments = [f"++{a}" if a in mappings else a for a in arguments]
    ConfigStore.instance().store(name=f"simgen_{name}", node=_node(plain))

    def task(composed: DictConfig) -> None:
        # Raised inside, a SimgenError would be dressed in a traceback by Hydra; SystemExit passes through it.
        try:
            content: dict[str, Any] = OmegaConf.to_container(composed, resolve=True)  # type: ignore[assignment]
            run(fields.build(schema, content))
        except SimgenError as error:
            print(f"simgen: {error}", file=sys.stderr)
            raise SystemExit(2) from None

    # hydra.main reads the command line of the process.
    before, sys.argv = sys.argv, [f"simgen {name}", *arguments]
    try:
        hydra.main(config_path=None, config_name=f"simgen_{name}", version_base="1.3")(task)()
    finally:
        sys.argv = before
    return 0


def check_flags(name: str, arguments: Sequence[str]) -> None:
    """Raise ConfigError for flags of ``simgen NAME`` that Hydra does not have, and for one without its value."""
    remaining = iter(arguments)
    for argument in remaining:
        flag, equals, value = argument.partition("=")
        if not flag.startswith("-"):
            continue
        if flag not in _FLAGS:
            raise ConfigError(
                f"there is no flag {flag}{near_match(flag, _FLAGS)}; simgen {name} takes key=value, and --cfg job, -m, "
                "--config-dir DIR and the other flags of Hydra."
            )
        options = _FLAGS[flag]
        if options is None:
            continue
        value = value if equals else next(remaining, "")
        if not value or (options and value not in options):
            wanted = ", ".join(options) or "a value"
            raise ConfigError(f"{flag} needs {wanted}{f', not {value!r}' if value else ''}.")


_FLAGS: dict[str, tuple[str, ...] | None] = {
    **dict.fromkeys(("--help", "-h", "--hydra-help", "--version", "--resolve", "--run", "-r", "--multirun", "-m")),
    **dict.fromkeys(("--shell-completion", "-sc", "--info", "-i")),
    **dict.fromkeys(("--cfg", "-c"), ("job", "hydra", "all")),
    **dict.fromkeys(("--package", "-p", "--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd"), ()),
    "--experimental-rerun": (),
}
"""Hydra's flags -> the values that each may have; none: any; None: it has no value, or may go without."""


def overrides_first(arguments: Sequence[str]) -> list[str]:
    """``arguments`` with Hydra's flags at the end: it rejects overrides on both sides of a flag."""
    overrides, flags = parted(arguments)
    return [*overrides, *flags]


def parted(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The overrides, and Hydra's flags with what belongs to them."""
    overrides: list[str] = []
    flags: list[str] = []
    remaining = iter(arguments)
    for argument in remaining:
        if not argument.startswith("-"):
            bare = flags[-1:] in (["--info"], ["-i"]) and "=" not in argument  # such as --info defaults
            (flags if bare else overrides).append(argument)
            continue
        flags.append(argument)
        if _FLAGS.get(argument) is not None and (value := next(remaining, None)) is not None:
            flags.append(value)
    return overrides, flags


def _node(plain: dict[str, Any]) -> dict[str, Any]:
    """The settings as Hydra's primary configuration, which keeps no folders or logs of its own."""
    quiet = [{"override hydra/job_logging": "none"}, {"override hydra/hydra_logging": "none"}]
    own = {"output_subdir": None, "run": {"dir": "."}, "job": {"chdir": False}}
    return {"defaults": ["_self_", *quiet], **plain, "hydra": own}


def _check(overrides: Sequence[str], plain: Mapping[str, Any]) -> set[str]:
    """Raise ConfigError for overrides that Hydra cannot read or whose keys do not exist.

    Returns those whose value is a mapping.
    """
    mappings = set()
    for text in overrides:
        try:
            override = OverridesParser.create().parse_override(text)
        except HydraException:
            raise ConfigError(
                f"{text!r} is not of the form key=value; quote values with spaces or special characters twice, such as "
                "'\"mapping={a: b}\"'."
            ) from None
        key = override.key_or_group
        if key != "hydra" and not key.startswith("hydra.") and not override.is_add():
            _check_key(key, plain)
            if isinstance(override.value(), dict) and not (override.is_delete() or override.is_force_add()):
                mappings.add(text)
    return mappings


def _check_key(key: str, plain: Mapping[str, Any]) -> None:
    node: Any = plain
    parts = key.split(".")
    for k, part in enumerate(parts):
        if not isinstance(node, Mapping):
            raise ConfigError(f"there is no setting {key}: {'.'.join(parts[:k])} has no settings of its own.")
        if not node:
            raise ConfigError(f"{'.'.join(parts[:k])} has no {part} now; write +{key}=... to add it.")
        if part not in node:
            raise fields.unknown_key(key, part, node)
        node = node[part]

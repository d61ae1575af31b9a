"""Settings as plain data, for manifests and worker processes."""

from __future__ import annotations

from typing import Any

from simgen.config.schema import RenderConfig, validate
from simgen.scene import fields


def to_plain(config: RenderConfig) -> dict[str, Any]:
    """All settings as JSON-able data."""
    return fields.plain(config)


def from_plain(plain: dict[str, Any]) -> RenderConfig:
    """The settings that ``to_plain`` wrote, or that a user gives as a dict; missing ones take their defaults.

    ``from_plain(to_plain(config)) == config``. Raises ConfigError with the dotted key of what is wrong.
    """
    config = fields.build(RenderConfig, plain)
    validate(config)
    return config

"""Errors that a user can cause, each told in one sentence: what, where, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class SimgenError(Exception):
    """Base of every error with a message meant for the user; the commands print it alone and exit with 2."""


class ConfigError(SimgenError):
    """A key, value or combination of values in a configuration or scene definition is wrong."""


class AssetError(SimgenError):
    """A mesh, texture, environment map or search path is missing, broken or unusable."""


class PhysicsError(SimgenError):
    """A scene cannot be simulated as it was defined."""


class RenderError(SimgenError):
    """A renderer cannot do what was asked of it (unknown pass, device, image size)."""


class DatasetError(SimgenError):
    """A dataset on disk is missing, damaged, of another schema or of another configuration."""


def several(sentences: Sequence[str], shown: int = 10) -> str:
    """One sentence of ``sentences``, of which there is at least one: the first few, and how many more there are."""
    more = f"; and {len(sentences) - shown} more" if len(sentences) > shown else ""
    return "; ".join(sentences[:shown]) + more


def near_match(word: str, known: Iterable[str]) -> str:
    """' (did you mean "x"?)' for the closest of ``known`` to ``word``, or '' when nothing is close."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f' (did you mean "{close[0]}"?)' if close else ""

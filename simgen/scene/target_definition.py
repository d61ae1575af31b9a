"""The language of edge cases: what frames must show, and which share of them is drawn until it shows something."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from simgen.errors import ConfigError, near_match
from simgen.scene.fields import number

SCENE_MEASURES: dict[str, str] = {
    "near_same": "m from the object's middle to that of the nearest labelled object of its category",
    "near_any": "m from the object's middle to that of the nearest other labelled object",
    "height": "m of the object's middle above z = 0",
    "inside": "1 when the object's middle is between the walls of the tray, bin or room that it went onto, else 0",
}
"""Measures of an object that are the same for all cameras."""

CAMERA_MEASURES: dict[str, str] = {
    "distance": "m from the camera to the object's middle",
    "backlight_deg": "degrees between the way from camera to object and the way from object to the strongest lamp or "
    "sun: 0 is a light exactly behind the object, 180 one behind the camera",
}
"""Measures that depend on the camera, but on no image."""

IMAGE_MEASURES: dict[str, str] = {
    "px_visib": "visible pixels",
    "bbox_width": "pixels, of the box around what is visible",
    "bbox_height": "pixels, of the box around what is visible",
    "bbox_side": "pixels, the longer side of the box around what is visible",
    "px_full": "pixels of the full silhouette",
    "visib_fract": "visible share of the full silhouette",
    "truncated": "share of the full silhouette outside the image",
}
"""Measures of the image, as they are stored in the object table."""

MEASURES: dict[str, str] = {**SCENE_MEASURES, **CAMERA_MEASURES, **IMAGE_MEASURES}
"""Measures of a labelled object in a frame -> unit and meaning."""


@dataclass
class Requirement:
    """What holds in a frame when enough labelled objects are as asked.

    ``where`` gives the range [low, high] of each measure (``MEASURES``; null: no limit), all of which an object must be
    in. Only objects ``of`` the named groups or categories count, all when it is empty. ``count`` is the range of how
    many must be as asked, at least one by default; with ``every`` all of them must, which holds where there is none.
    """

    where: dict[str, Any] = field(default_factory=dict)
    of: list[str] = field(default_factory=list)
    count: Any = None
    every: bool = False


@dataclass
class Target(Requirement):
    """An edge case that ``share`` of the views is drawn for."""

    share: float = number(0.1, low=0, high=1)


@dataclass
class Search:
    """How long is searched for frames that are as ``require`` and ``targets`` ask.

    At most ``takes`` placements of a camera are looked at in a scene, and then the scene as a whole is drawn again, at
    most ``scenes`` times in all. Placements that a coarse image rules out count a quarter, those that poses rule out
    nothing, up to eight times ``takes``; nor do scenes that lack the objects asked for, up to eight times ``scenes``.
    If none will do, the best one stands and counts as unmet.
    """

    takes: int = number(16, low=1, high=10_000)
    scenes: int = number(4, low=1, high=1000)


def bounds(limits: Any) -> tuple[float, float]:
    """The range that a checked [low, high] means."""
    low, high = limits
    return (-math.inf if low is None else float(low), math.inf if high is None else float(high))


def check_targets(
    targets: dict[str, Target], require: dict[str, Requirement], names: Collection[str], where: str
) -> None:
    """Raise ConfigError for what cannot be asked; ``names`` are those of the groups of objects."""
    total = sum(target.share for target in targets.values())
    if total > 1 + 1e-9:
        raise ConfigError(f"{where}.targets ask for {total:g} of the views together; their shares must not exceed 1.")
    for part, asked in (("targets", targets), ("require", require)):
        for name, requirement in asked.items():
            _check(requirement, names, f"{where}.{part}.{name}")


def _check(requirement: Requirement, names: Collection[str], where: str) -> None:
    if not requirement.where:
        raise ConfigError(f"{where}.where is empty; give it ranges such as visib_fract: [0.1, 0.3].")
    for measure, limits in requirement.where.items():
        if measure not in MEASURES:
            raise ConfigError(
                f"{where}.where: there is no measure {measure!r}{near_match(measure, MEASURES)}; there are "
                f"{', '.join(MEASURES)}."
            )
        _check_range(limits, f"{where}.where.{measure}")
    if requirement.count is not None:
        if requirement.every:
            raise ConfigError(f"{where} has both count and every; leave one out.")
        _check_range(requirement.count, f"{where}.count")
    if not names:
        raise ConfigError(f"{where}: the scene has no labelled objects of which anything could be asked.")


def _check_range(limits: Any, where: str) -> None:
    entries = limits if isinstance(limits, list | tuple) and len(limits) == 2 else None
    numbers = [entry for entry in entries or () if entry is not None]
    if entries is None or any(isinstance(n, bool) or not isinstance(n, int | float) or n != n for n in numbers):
        raise ConfigError(f"{where} must be [low, high], either of them null for no limit, not {limits!r}.")
    low, high = bounds(limits)
    if low > high or not numbers:
        raise ConfigError(f"{where}: no value is in {list(limits)}." if numbers else f"{where} has no limit at all.")

"""What is in the scene: which assets, how many, how large."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from simgen.assets.asset import Asset
from simgen.assets.plates import plain
from simgen.distributions.base import pick
from simgen.errors import AssetError, ConfigError, near_match
from simgen.randomize.draw import Draw
from simgen.scene.definition import Distractor, Group, SceneDefinition
from simgen.scene.record import Vec3

if TYPE_CHECKING:
    from simgen.assets.library import Library


_HOLE = "{}"
"""Stands for the category in a pattern of asset names."""


@dataclass(frozen=True)
class Item:
    """One object of a group: its asset, stretched by ``scale``."""

    name: str
    asset: Asset
    category: str | None
    scale: Vec3


def pool(name: str, group: Group, library: Library) -> list[str]:
    """The assets that a group draws from, sorted; raises AssetError when there is none."""
    found = list(library.assets(group.assets)) if group.assets else []
    if not found and group.fallback:
        found = list(library.assets(group.fallback))
    if not found:
        patterns = ", ".join(group.assets + group.fallback)
        raise AssetError(f"no asset matches {patterns}, which the group {name} draws from; see `simgen list assets`.")
    return sorted(found)


def categories(definition: SceneDefinition, library: Library) -> list[str]:
    """The names under which objects of this scene can be labelled; independent of what is drawn.

    Sorted, but those of ``category_by_up`` come last, in the order in which the scene gives them.
    """
    names: set[str] = set()
    by_up: dict[str, None] = {}
    for part in (definition.objects, definition.distractors):
        for name, group in part.items():
            if group.category_by_up:
                by_up.update(dict.fromkeys(group.category_by_up))
            elif group.label:
                names.update(category(group, asset, library) for asset in pool(name, group, library))
    return [*sorted(names), *(name for name in by_up if name not in names)]


def category(group: Group, asset: str, library: Library) -> str:
    """What an asset is called in the labels of a group."""
    asset = plain(asset)
    for name, patterns in group.categories.items():
        if any(fnmatchcase(asset, pattern) for pattern in patterns):
            return name
    if group.category is not None and _HOLE not in group.category:
        return group.category
    found = _reader(group.category).fullmatch(asset) if group.category else None
    return found.group(1) if found else library.category(asset)


@cache
def _reader(pattern: str) -> re.Pattern[str]:
    """A glob with a hole as a regular expression that captures what is in the hole."""
    parts = re.findall(r"\{\}|\*|\?|\[[^\]]+\]|.", pattern)
    words = {_HOLE: "([^/]+?)", "*": ".*", "?": "."}
    sets = {part: part.replace("[!", "[^") for part in parts if len(part) > 2}
    return re.compile("".join({**words, **sets}.get(part) or re.escape(part) for part in parts))


def items(name: str, group: Group, library: Library, draw: Draw) -> list[Item]:
    """The objects of a group in this scene. Nominal: the pool in turn, category by category."""
    factor = "distractors" if isinstance(group, Distractor) else "content"
    n = draw.one(factor, f"{name}.count", group.count)
    names = _assets(factor, name, group, library, n, draw)
    sizes = [None] * n if group.size is None else draw.many(factor, f"{name}.size", group.size, n)
    scales = draw.many(factor, f"{name}.scale", group.scale, n)
    out = []
    for k, asset_name in enumerate(names):
        asset = library.asset(asset_name)
        label = category(group, asset_name, library) if group.label else None
        out.append(Item(f"{name}_{k:02d}", asset, label, _scale(asset, sizes[k], scales[k])))
    return out


def _assets(factor: str, name: str, group: Group, library: Library, n: int, draw: Draw) -> list[str]:
    names = pool(name, group, library)
    by_category = _by_category(group, names, library)
    shelves = [by_category[key] for key in sorted(by_category)] if group.balance == "categories" else [names]
    shared, weights = _shared(name, group, by_category)
    chosen = []
    for k, (u_any, u_shelf, u_asset) in enumerate(draw.uniforms(factor, f"{name}.asset", n, 3, coins=(0,))):
        if u_any < draw.strengths[factor]:
            shelf = shared[pick(u_shelf, weights)] if weights else shelves[int(u_shelf * len(shelves))]
            chosen.append(shelf[int(u_asset * len(shelf))])
        else:
            shelf = shelves[k % len(shelves)]
            chosen.append(shelf[k // len(shelves) % len(shelf)])
    draw.note(factor, f"{name}.asset", chosen)
    return chosen


def _shared(
    name: str, group: Group, by_category: Mapping[str, Sequence[str]]
) -> tuple[list[Sequence[str]], list[float]]:
    """Shelves of a group with ``shares`` and how often each is drawn from; none without shares."""
    for asked in group.shares:
        if asked not in by_category:
            raise ConfigError(
                f"{name}.shares: no asset of the group is of the category {asked!r}{near_match(asked, by_category)}; "
                f"there are {', '.join(sorted(by_category))}."
            )
    if not group.shares:
        return [], []
    others = [by_category[key] for key in sorted(by_category) if key not in group.shares]
    if group.balance == "assets" and others:
        others = [sorted(asset for shelf in others for asset in shelf)]
    rest = max(0.0, 1 - sum(group.shares.values()))
    shelves = [*(by_category[key] for key in group.shares), *others]
    return shelves, [*group.shares.values(), *(rest / len(others) for _ in others)]


def _by_category(group: Group, names: list[str], library: Library) -> Mapping[str, Sequence[str]]:
    """By which categories a group is balanced: its own where it tells assets apart, else those of the assets."""
    if not (group.categories or (group.category and _HOLE in group.category)):
        return library.by_category(names)
    found: dict[str, list[str]] = {}
    for asset in names:
        found.setdefault(category(group, asset, library), []).append(asset)
    return found


def _scale(asset: Asset, size: float | Vec3 | None, scale: float | Vec3) -> Vec3:
    extents = np.maximum(asset.bounds[1] - asset.bounds[0], 1e-9)
    fit: float | np.ndarray = 1.0
    if size is not None:
        fit = np.asarray(size) / (extents if isinstance(size, tuple) else extents.max())
    x, y, z = (np.ones(3) * fit * scale).tolist()
    return (x, y, z)

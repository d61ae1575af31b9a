"""What is in the scene: which assets, how many, how large."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simgen.assets.asset import Asset
from simgen.errors import AssetError
from simgen.randomize.draw import Draw
from simgen.scene.definition import Distractor, Group, SceneDefinition
from simgen.scene.record import Vec3

if TYPE_CHECKING:
    from simgen.assets.library import Library


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
    """The names under which objects of this scene can be labelled, sorted; independent of what is drawn."""
    names: set[str] = set()
    for part in (definition.objects, definition.distractors):
        for name, group in part.items():
            if group.label:
                names.update([group.category] if group.category else map(library.category, pool(name, group, library)))
    return sorted(names)


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
        category = (group.category or library.category(asset_name)) if group.label else None
        out.append(Item(f"{name}_{k:02d}", asset, category, _scale(asset, sizes[k], scales[k])))
    return out


def _assets(factor: str, name: str, group: Group, library: Library, n: int, draw: Draw) -> list[str]:
    names = pool(name, group, library)
    by_category: dict[str, list[str]] = {}
    for asset in names:
        by_category.setdefault(library.category(asset), []).append(asset)
    shelves = [by_category[key] for key in sorted(by_category)] if group.balance == "categories" else [names]
    chosen = []
    for k, (u_any, u_shelf, u_asset) in enumerate(draw.uniforms(factor, f"{name}.asset", n, 3)):
        if u_any < draw.strengths[factor]:
            shelf = shelves[int(u_shelf * len(shelves))]
            chosen.append(shelf[int(u_asset * len(shelf))])
        else:
            shelf = shelves[k % len(shelves)]
            chosen.append(shelf[k // len(shelves) % len(shelf)])
    draw.note(factor, f"{name}.asset", chosen)
    return chosen


def _scale(asset: Asset, size: float | Vec3 | None, scale: float | Vec3) -> Vec3:
    extents = np.maximum(asset.bounds[1] - asset.bounds[0], 1e-9)
    fit: float | np.ndarray = 1.0
    if size is not None:
        fit = np.asarray(size) / (extents if isinstance(size, tuple) else extents.max())
    x, y, z = (np.ones(3) * fit * scale).tolist()
    return (x, y, z)

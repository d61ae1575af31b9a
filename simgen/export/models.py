"""The 3-D models behind the labels: which there are, their assets and their boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simgen.assets.asset import Asset
from simgen.errors import AssetError, DatasetError
from simgen.export.base import Settings
from simgen.labels.frame import ObjectTable
from simgen.shards.reader import Dataset

Bounds = tuple[tuple[float, float, float], tuple[float, float, float]]
"""Lowest and highest corner of an asset's box in its own frame, metres, before any scale."""

ModelKey = tuple[str, tuple[float, float, float], int]
"""Asset, size as stored and category: what tells models apart."""


@dataclass(frozen=True)
class Model:
    """A rigid body of a certain size: ``size`` metres, ``scale`` of the asset; it is seen first in ``frame``."""

    asset: str
    size: tuple[float, float, float]
    category_id: int
    frame: int
    scale: tuple[float, float, float]


def find_models(settings: Settings) -> list[Model]:
    """The models of the chosen categories, in order of asset, size and category.

    There is one for each scale that an asset has and for each category that it stands for.
    """
    found: dict[tuple[str, tuple[float, ...], int], tuple[int, int]] = {}
    wanted = [category.id for category in settings.categories]
    with Dataset(settings.dataset) as dataset:
        for index in range(len(dataset)):
            objects = dataset.objects(index)
            for k in np.flatnonzero(np.isin(objects.category_id, wanted)).tolist():
                key = objects.asset[k], tuple(objects.size[k].tolist()), int(objects.category_id[k])
                found.setdefault(key, (index, int(objects.body[k])))
        models = []
        for asset, size, category in sorted(found):
            frame, body = found[asset, size, category]
            record = dataset.record(frame // dataset.manifest.frames_per_scene)
            models.append(Model(asset, (size[0], size[1], size[2]), category, frame, record.bodies[body].scale))
    return models


def load_assets(settings: Settings, models: Sequence[Model]) -> dict[str, Asset]:
    """The assets of ``models``. Raises DatasetError when one is not there or is not what the dataset was made with."""
    if not models:
        return {}
    from simgen.assets.library import Library  # takes seconds to import, and workers do not need it

    with Dataset(settings.dataset) as dataset:
        config = dataset.manifest.config.get("assets", {})
    paths = settings.assets if settings.assets is not None else config.get("path", ())
    try:
        library = Library(paths)
        assets = {model.asset: library.asset(model.asset) for model in models}
    except AssetError as error:
        raise DatasetError(
            f"the {settings.format} export needs the models of the objects: {error}; say where they are with --assets"
        ) from error
    for model in models:
        extent = np.ptp(assets[model.asset].bounds, axis=0) * model.scale
        if not np.allclose(extent, model.size, rtol=1e-4, atol=1e-6):
            raise DatasetError(
                f'the asset "{model.asset}" is not the one that {settings.dataset} was made with: it measures '
                f"{_millimetres(extent)} mm, frame {model.frame} has it with {_millimetres(model.size)} mm; give the "
                "folder of the original with --assets"
            )
    return assets


def asset_bounds(settings: Settings) -> dict[str, Bounds]:
    """The boxes of all assets of the chosen categories."""
    found = {}
    for name, asset in load_assets(settings, find_models(settings)).items():
        (a, b, c), (d, e, f) = asset.bounds.tolist()
        found[name] = (a, b, c), (d, e, f)
    return found


def box_center(bounds: Bounds, size: NDArray[np.float64]) -> NDArray[np.float64]:
    """The centre (3,), in the object's frame, of the box of an object that measures ``size`` (3,) metres."""
    low, high = np.asarray(bounds)
    extent = high - low
    scale = np.divide(size, extent, out=np.full(3, np.nan), where=extent > 0)
    # The scale across a flat object does not show in its size; that of its other axes stands in.
    scale = np.where(extent > 0, scale, np.nanmean(scale))
    center: NDArray[np.float64] = (low + high) / 2 * scale
    return center


def _millimetres(size: Sequence[float] | NDArray[np.float64]) -> str:
    return " x ".join(f"{1000 * v:.1f}" for v in size)


def model_key(objects: ObjectTable, row: int) -> ModelKey:
    """Key of the model of an object."""
    x, y, z = objects.size[row].tolist()
    return objects.asset[row], (x, y, z), int(objects.category_id[row])


def model_ids(models: Sequence[Model]) -> dict[ModelKey, int]:
    """Key -> BOP's object id, from 1."""
    return {(model.asset, model.size, model.category_id): k + 1 for k, model in enumerate(models)}

"""Measures of the labelled objects of a frame, and whether they are as a requirement asks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.assets.asset import Asset
from simgen.labels.category import category
from simgen.labels.frame import ObjectTable
from simgen.render.base import Camera
from simgen.render.snapshot import instance_ids
from simgen.scene.containers import containers
from simgen.scene.record import LightRecord, SceneRecord
from simgen.scene.state import SceneState
from simgen.scene.target_definition import IMAGE_MEASURES, Requirement, bounds

Vector = NDArray[np.float64]
Measures = Mapping[str, Vector]

_LOOSE = 0.1
"""By which shares may be off in a coarse image."""

_LUMINANCE = (0.2126, 0.7152, 0.0722)  # Rec. 709


@dataclass(frozen=True, eq=False)
class Labelled:
    """The labelled objects at one time, in the order of the object table: middles of their boxes (K, 3), metres."""

    middle: Vector
    category: tuple[str, ...]
    group: tuple[str, ...]

    def named(self, names: Sequence[str]) -> NDArray[np.bool_]:
        """Which are of the groups or categories ``names``, all when there are none (K,)."""
        pairs = zip(self.group, self.category, strict=True)
        return np.array([not names or group in names or kind in names for group, kind in pairs], bool)


def labelled(record: SceneRecord, state: SceneState, asset: Callable[[str], Asset]) -> Labelled:
    """The labelled objects of ``record`` at ``state``; ``asset`` finds assets by their names."""
    bodies = list(instance_ids(record, state))
    poses = [where.T_world_obj for b in bodies if (where := state.bodies[b]) is not None]
    middles = []
    for b, T in zip(bodies, poses, strict=True):
        local = asset(record.bodies[b].asset).bounds.mean(axis=0) * record.bodies[b].scale
        middles.append(T[:3, :3] @ local + T[:3, 3])
    return Labelled(
        np.array(middles, np.float64).reshape(-1, 3),
        tuple(category(record.bodies[b], T) for b, T in zip(bodies, poses, strict=True)),
        tuple(record.bodies[b].group for b in bodies),
    )


def scene_measures(record: SceneRecord, objects: Labelled, onto: Mapping[str, str | None]) -> dict[str, Vector]:
    """``SCENE_MEASURES`` (K,) each; ``onto`` says on which surface a group was put. Infinite without a neighbour."""
    k = len(objects.middle)
    apart = np.linalg.norm(objects.middle[:, None] - objects.middle[None], axis=2)
    apart[np.arange(k), np.arange(k)] = np.inf
    names = np.array(objects.category, object)
    alike = names[:, None] == names[None]
    found = containers(record)
    inside = [
        float(name in found and found[name].over(middle))
        for middle, name in zip(objects.middle, (onto.get(group) or "" for group in objects.group), strict=True)
    ]
    return {
        "near_same": np.where(alike, apart, np.inf).min(axis=1, initial=np.inf),
        "near_any": apart.min(axis=1, initial=np.inf),
        "height": objects.middle[:, 2].copy(),
        "inside": np.array(inside, np.float64),
    }


def camera_measures(objects: Labelled, camera: Camera, lights: Sequence[LightRecord]) -> dict[str, Vector]:
    """``CAMERA_MEASURES`` (K,) each; NaN where no light arrives."""
    away = objects.middle - camera.T_world_cam[:3, 3]
    return {
        "distance": np.linalg.norm(away, axis=1),
        "backlight_deg": np.array([_backlight(m, d, lights) for m, d in zip(objects.middle, away, strict=True)]),
    }


def image_measures(table: ObjectTable) -> dict[str, Vector]:
    """``IMAGE_MEASURES`` (K,) each."""
    box = table.bbox_visib.reshape(-1, 4).astype(np.float64)
    return {
        "px_visib": table.px_visib.astype(np.float64),
        "bbox_width": box[:, 2],
        "bbox_height": box[:, 3],
        "bbox_side": box[:, 2:].max(axis=1, initial=0.0),
        "px_full": table.px_full.astype(np.float64),
        "visib_fract": table.visib_fract.astype(np.float64),
        "truncated": table.truncated.astype(np.float64),
    }


def holds(requirement: Requirement, measures: Measures, objects: Labelled) -> bool:
    """Whether enough objects are as asked; all measures that are asked for must be there."""
    found, chosen = _fitting(requirement, measures, objects, list(requirement.where))
    if requirement.every:
        return bool(found[chosen].all())
    low, high = bounds(requirement.count or (1, None))
    return low <= int((found & chosen).sum()) <= high


def possible(requirement: Requirement, measures: Measures, objects: Labelled) -> bool:
    """Whether a requirement may hold, as far as ``measures`` tell: False is certain."""
    found, chosen = _fitting(requirement, measures, objects, [m for m in requirement.where if m in measures])
    if requirement.every:
        return bool(found[chosen].all())
    return bounds(requirement.count or (1, None))[0] <= int((found & chosen).sum())


def drawable(requirement: Requirement, record: SceneRecord) -> bool:
    """Whether a requirement may hold with the objects of ``record``, wherever they come to lie: False is certain."""
    if requirement.every:
        return True
    bodies = [body for body in record.bodies if body.category is not None]
    kinds = [set(body.category_by_up) or {body.category or ""} for body in bodies]
    chosen = [
        k
        for k, body in enumerate(bodies)
        if not requirement.of or body.group in requirement.of or not kinds[k].isdisjoint(requirement.of)
    ]
    for measure, alike in (("near_same", True), ("near_any", False)):
        if math.isfinite(bounds(requirement.where.get(measure, (None, None)))[1]):
            chosen = [
                k
                for k in chosen
                if any(j != k and not (alike and kind.isdisjoint(kinds[k])) for j, kind in enumerate(kinds))
            ]
    return bounds(requirement.count or (1, None))[0] <= len(chosen)


def coarse(requirement: Requirement, scale: float) -> Requirement:
    """What a requirement asks of an image of ``scale`` times the size, with room for what so few pixels leave open."""
    where = {}
    for name, limits in requirement.where.items():
        low, high = bounds(limits)
        if name in ("visib_fract", "truncated"):
            low, high = low - _LOOSE, high + _LOOSE
        elif name in ("px_visib", "px_full"):
            low, high = low * scale**2 / 2 - 2, high * scale**2 * 2 + 4
        elif name in IMAGE_MEASURES:
            low, high = low * scale - 2, high * scale + 2
        where[name] = (low, high)
    return replace(requirement, where=where)


def _fitting(
    requirement: Requirement, measures: Measures, objects: Labelled, names: Sequence[str]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Which objects are in all ranges of the measures ``names``, and of which it is asked; bool (K,) each."""
    found = np.ones(len(objects.middle), bool)
    for name in names:
        low, high = bounds(requirement.where[name])
        found &= (measures[name] >= low) & (measures[name] <= high)
    return found, objects.named(requirement.of)


def _backlight(point: Vector, view: Vector, lights: Sequence[LightRecord]) -> float:
    """Degrees from the direction ``view`` to that of the light which is strongest at ``point``."""
    best, angle = 0.0, math.nan
    for light in lights:
        strength, way = _arriving(light, point)
        length = float(np.linalg.norm(way) * np.linalg.norm(view))
        if strength > best and length > 0:
            best = strength
            angle = math.degrees(math.acos(min(1.0, max(-1.0, float(way @ view) / length))))
    return angle


def _arriving(light: LightRecord, point: Vector) -> tuple[float, Vector]:
    """The luminance of the irradiance at ``point`` on a surface that faces ``light``, and the way (3,) to the light."""
    power = light.intensity * sum(w * c for w, c in zip(_LUMINANCE, light.color, strict=True))
    travel = np.asarray(light.direction, np.float64)
    if light.kind == "directional":
        return power, -travel
    way = np.asarray(light.position, np.float64) - point
    distance = max(float(np.linalg.norm(way)), 1e-6)
    facing = float(-way @ travel) / (distance * max(float(np.linalg.norm(travel)), 1e-12))
    if light.kind == "area":
        power *= light.extent[0] * light.extent[1] * max(facing, 0.0)
    if light.kind == "spot" and facing < math.cos(light.outer_angle):
        power = 0.0
    return power / distance**2, way

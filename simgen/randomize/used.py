"""What of the library the scenes of a configuration may show."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from simgen.config.schema import RenderConfig
from simgen.randomize.content import pool
from simgen.scene.definition import Distractor, EnvironmentDefinition, TextureDefinition

if TYPE_CHECKING:
    from simgen.assets.index import Kind
    from simgen.assets.library import Library


def used(config: RenderConfig, library: Library) -> list[tuple[Kind, str]]:
    """Kind and name of all that may be drawn, each once, sorted. Raises AssetError when a group finds no asset.

    Objects of a group whose factor has strength 0 are left out: these are few, and all loaded with the first scene.
    """
    scene, strengths = config.scene, config.randomize.strengths()
    found: set[tuple[Kind, str]] = set()
    if scene.robot is not None:
        found.add(("asset", scene.robot.asset))
    textures = [(surface.texture, "textures") for surface in scene.surfaces.values()]
    for name, group in {**scene.objects, **scene.distractors}.items():
        most = max(group.count.outcomes)
        nominal = not strengths["distractors" if isinstance(group, Distractor) else "content"]
        if most and not nominal:
            found |= {("asset", asset) for asset in pool(name, group, library)}
        textures.append((group.texture, "textures"))
    textures.append((scene.background.texture, "background"))
    for texture, factor in textures:
        found |= {("texture", name) for name in _images(texture, strengths[factor], library)}
    found |= {("environment", name) for name in _maps(scene.environment, strengths["lighting"], library)}
    return sorted(found)


def idle_keypoints(config: RenderConfig, library: Library) -> list[str]:
    """Names of the templates of keypoints that fit no asset of a labelled group."""
    scene = config.scene
    if not scene.keypoints:
        return []
    groups = {name: group for name, group in {**scene.objects, **scene.distractors}.items() if group.label}
    assets = {asset for name, group in groups.items() for asset in pool(name, group, library)}
    return [
        name
        for name, template in scene.keypoints.items()
        if not any(fnmatchcase(asset, pattern) for asset in assets for pattern in template.assets)
    ]


def _images(texture: TextureDefinition, strength: float, library: Library) -> list[str]:
    shown = texture.images and texture.probability * strength > 0
    return library.textures(texture.images) if shown and (texture.image_share > 0 or not texture.procedural) else []


def _maps(environment: EnvironmentDefinition, strength: float, library: Library) -> list[str]:
    maps: list[str] = []
    for patterns in (environment.images, environment.fallback):
        maps = maps or (library.environments(patterns) if patterns else [])
    if strength > 0:
        return maps if environment.sky_share < 1 else []
    return [] if environment.sky_share > 0 else maps[:1]

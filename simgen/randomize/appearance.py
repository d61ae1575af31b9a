"""Textures and materials of objects and surfaces."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from simgen.assets.textures import KINDS
from simgen.errors import ConfigError, near_match
from simgen.randomize.draw import Draw
from simgen.scene.definition import MaterialDefinition, TextureDefinition
from simgen.scene.record import MaterialRecord, TextureRecord, Vec3

if TYPE_CHECKING:
    from simgen.assets.library import Library

_COLORS = 3
"""Colours of a generated texture."""


@dataclass
class Pools:
    """Names that match patterns, looked up once a scene."""

    library: Library
    _images: dict[tuple[str, ...], list[str]] = field(default_factory=dict)

    def images(self, patterns: list[str]) -> list[str]:
        """Texture images that match any of ``patterns``, sorted."""
        key = tuple(patterns)
        if key not in self._images:
            self._images[key] = list(self.library.textures(patterns)) if patterns else []
        return self._images[key]


def materials(
    owner: str, material: MaterialDefinition, texture: TextureDefinition, n: int, draw: Draw, pools: Pools
) -> list[MaterialRecord]:
    """What is changed of the looks of ``n`` items of ``owner``, a group or surface."""
    laid = textures("textures", owner, texture, n, draw, pools)
    tiles = draw.many("textures", f"{owner}.tile", texture.tile, n) if texture.probability else [0.5] * n
    strength = draw.strengths["materials"]
    rows = draw.uniforms("materials", f"{owner}.changed", n, 1)
    # Nominal is the commoner case; the strength moves the share from there to the one that was asked for.
    common = 1.0 if material.probability >= 0.5 else 0.0
    share = common + strength * (material.probability - common)
    changed = [row[0] < share for row in rows]
    draw.note("materials", f"{owner}.changed", changed)
    columns = {
        name: draw.many("materials", f"{owner}.{name}", distribution, n)
        for name, distribution in (
            ("color", material.color),
            ("tint", material.tint),
            ("roughness", material.roughness),
            ("metallic", material.metallic),
        )
        if distribution is not None
    }
    out = []
    for k in range(n):
        values = {name: column[k] for name, column in columns.items()} if changed[k] else {}
        out.append(
            MaterialRecord(
                texture=laid[k],
                tile=float(tiles[k]),
                tint=values.get("tint", (1.0, 1.0, 1.0)),
                base_color=values.get("color"),
                roughness=values.get("roughness"),
                metallic=values.get("metallic"),
            )
        )
    return out


def textures(
    factor: str, owner: str, definition: TextureDefinition, n: int, draw: Draw, pools: Pools
) -> list[TextureRecord | None]:
    """The texture of each of ``n`` items, None for its own; logged as OWNER.texture, "" for none."""
    if not definition.probability or not n:
        return [None] * n
    images, kinds = pools.images(definition.images), _kinds(definition, owner)
    image_share = 0.0 if not images else 1.0 if not kinds else definition.image_share
    rows = draw.uniforms(factor, f"{owner}.texture", n, 5)
    colors = draw.many(factor, f"{owner}.colors", definition.colors, n * _COLORS)
    scales = draw.many(factor, f"{owner}.scale", definition.scale, n)
    out: list[TextureRecord | None] = []
    for k, (u_any, u_image, u_which, u_kind, u_seed) in enumerate(rows):
        if u_any >= definition.probability * draw.strengths[factor] or not (images or kinds):
            out.append(None)
        elif u_image < image_share:
            out.append(TextureRecord(image=images[int(u_which * len(images))]))
        else:
            palette: tuple[Vec3, ...] = tuple(colors[k * _COLORS : (k + 1) * _COLORS])
            kind = kinds[int(u_kind * len(kinds))]
            out.append(TextureRecord(kind=kind, seed=int(u_seed * 2**31), colors=palette, scale=float(scales[k])))
    names = ["" if t is None else t.image if t.image is not None else f"generated/{t.kind}" for t in out]
    draw.note(factor, f"{owner}.texture", names)
    return out


def _kinds(definition: TextureDefinition, owner: str) -> list[str]:
    if "*" in definition.procedural:
        return sorted(KINDS)
    for kind in definition.procedural:
        if kind not in KINDS:
            known = ", ".join(sorted(KINDS))
            hint = near_match(kind, KINDS)
            raise ConfigError(f"{owner}: there is no generated texture {kind!r}{hint}; there are {known}.")
    return sorted(definition.procedural)

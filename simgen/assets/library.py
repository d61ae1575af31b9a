"""The library: assets, textures and environment maps by name, loaded when they are first asked for."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from simgen.assets import bundled, carton, dice, environments, plates, playing_cards, road_signs, textures
from simgen.assets.asset import Asset, Texture
from simgen.assets.collision import scaled_physics
from simgen.assets.decomposition import default_cache_dir
from simgen.assets.files import closure
from simgen.assets.index import Entry, Kind, category, index, search_paths
from simgen.assets.loaded import asset_bytes, kept
from simgen.assets.loading import load_asset
from simgen.assets.primitives import primitive
from simgen.assets.sidecar import Sidecar
from simgen.errors import AssetError, near_match

__all__ = ["Library", "scaled_physics", "search_paths"]

CACHE_BYTES = 256 << 20
"""What a library keeps in memory; the least recently used goes first, and is read again when asked for."""

_PROCEDURAL: dict[str, Callable[[str], Asset]] = {
    carton.PREFIX: carton.carton,
    dice.PREFIX: dice.die,
    playing_cards.PREFIX: playing_cards.playing_card,
    road_signs.PREFIX: road_signs.road_sign,
}
"""How names begin -> what makes the asset of such a name."""

T = TypeVar("T")


class Library:
    """Assets, textures and environment maps below search paths, and those that come with the package.

    ``paths`` are searched in order; of two things with one name the first is used. Names are paths relative to the
    search path, with forward slashes: without suffix for assets ("ycb/mug"), with it for textures
    ("textures/wood/wood_003.jpg") and environment maps ("hdri/dawn.hdr"). Each texture is an asset, too: a plate
    ("plate/textures/wood/wood_003", see plates.py), found by patterns that begin with "plate/". ``builtin`` adds
    "primitive/...", "pybullet/..." and computed environments "softbox/...". ``cache_dir`` keeps convex decompositions
    and loaded assets. Raises AssetError when a path cannot be read.
    """

    def __init__(
        self,
        paths: Sequence[str | Path] = (),
        *,
        builtin: bool = True,
        cache_dir: Path | None = None,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self.paths = tuple(Path(path).expanduser() for path in paths)
        self.cache_dir = default_cache_dir() if cache_dir is None else Path(cache_dir)
        self._entries: dict[Kind, dict[str, Entry]] = {"asset": {}, "texture": {}, "environment": {}}
        found = [entry for path in self.paths for entry in index(path)]
        for entry in [*found, *(replace(entry, bundled=True) for entry in (bundled.entries() if builtin else []))]:
            self._entries[entry.kind].setdefault(entry.name, entry)
        self._plates: dict[str, Entry] = {}
        for entry in self._entries["texture"].values():
            stem = PurePosixPath(entry.name).with_suffix("").as_posix()
            made = replace(entry, name=plates.PREFIX + stem, kind="asset", category=category(stem))
            self._plates.setdefault(made.name, made)
        self._matches: dict[tuple[Kind, tuple[str, ...]], list[str]] = {}
        self._categories: dict[tuple[str, ...], dict[str, list[str]]] = {}
        self._kept = _Kept(cache_bytes)

    def assets(self, patterns: str | Sequence[str]) -> list[str]:
        """Sorted names of the assets that match a pattern, "*" and "?" standing for any characters, also slashes."""
        return self._matching("asset", patterns)

    def textures(self, patterns: str | Sequence[str]) -> list[str]:
        """Sorted names of the textures that match a pattern."""
        return self._matching("texture", patterns)

    def environments(self, patterns: str | Sequence[str]) -> list[str]:
        """Sorted names of the environment maps that match a pattern."""
        return self._matching("environment", patterns)

    def asset(self, name: str) -> Asset:
        """The asset called ``name``; raises AssetError when there is none, or when its files are broken."""
        entry = self._entry("asset", name)
        return self._kept.get(("asset", name), lambda: self._load_asset(name, entry), asset_bytes)

    def texture(self, name: str, size: int | None = None) -> Texture:
        """The sRGB texture called ``name``, its longer side at most ``size`` pixels; raises AssetError."""
        entry = self._entry("texture", name)
        assert entry.path is not None
        path = entry.path
        return self._kept.get(("texture", name, size), lambda: textures.load(path, size), lambda t: t.pixels.nbytes)

    def environment(self, name: str) -> tuple[str, NDArray[np.float32]]:
        """Key and linear radiance (h, 2 h, 3), at most 1024 wide, of the environment map; raises AssetError."""
        entry = self._entry("environment", name)

        def load() -> tuple[str, NDArray[np.float32]]:
            radiance = environments.load(entry.path) if entry.path else environments.softbox(bundled.softbox_seed(name))
            return environments.key(radiance), radiance

        return self._kept.get(("environment", name), load, lambda pair: pair[1].nbytes)

    def category(self, name: str) -> str:
        """What the asset is called in labels, known without loading it; raises AssetError when there is none."""
        return self._entry("asset", name).category

    def by_category(self, names: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """``names`` of assets, those of each category in the order given; raises AssetError for one that is none."""
        several = tuple(names)
        if several not in self._categories:
            # As with patterns: asked for in every scene.
            found: dict[str, list[str]] = {}
            for name in several:
                found.setdefault(self.category(name), []).append(name)
            self._categories[several] = found
        return self._categories[several]

    def keypoints(self, name: str) -> dict[str, tuple[float, float, float]]:
        """Named points of the asset in its frame, metres, from its sidecar; raises AssetError when there is none."""
        return dict(self._entry("asset", name).sidecar.keypoints)

    def bundled(self, kind: Kind, name: str) -> bool:
        """Whether it comes with the package, not from a search path; raises AssetError when there is none."""
        return self._entry(kind, name).bundled

    def files(self, kind: Kind, name: str) -> list[Path]:
        """All files that something of the library consists of, those that are missing, too, but for sidecars; sorted.

        None for what is computed. Raises AssetError when there is none of that name.
        """
        entry = self._entry(kind, name)
        if entry.path is None:
            return []
        back = plates.parse(name).back if kind == "asset" and name.startswith(plates.PREFIX) else None
        more = [] if back is None else self.files("texture", back)
        return closure([entry.path, *entry.parts, *more])

    def sidecar(self, kind: Kind, name: str) -> Sidecar:
        """What sidecars say of something of the library; raises AssetError when there is none of that name."""
        return self._entry(kind, name).sidecar

    def fingerprint(self) -> str:
        """A digest of all names, kinds, categories and file sizes: the same on every machine that has the same files.

        Contents are not read; ``simgen.assets.contents`` notices an edit that keeps the size of a file.
        """
        digest = hashlib.sha256()
        for kind in sorted(self._entries):
            for name, entry in sorted(self._entries[kind].items()):
                digest.update(f"{kind}\t{name}\t{entry.category}\t{entry.size}\n".encode())
        return digest.hexdigest()[:32]

    def _matching(self, kind: Kind, patterns: str | Sequence[str]) -> list[str]:
        several = (patterns,) if isinstance(patterns, str) else tuple(patterns)
        if (kind, several) not in self._matches:
            # Sampling asks the same of thousands of names in every scene.
            names = self._entries[kind]
            found = {name for name in names if any(fnmatchcase(name, pattern) for pattern in several)}
            for pattern in several:
                if kind == "asset" and pattern.startswith(plates.PREFIX):
                    plain, at, options = pattern.partition("@")
                    found |= {name + at + options for name in self._plates if fnmatchcase(name, plain)}
            self._matches[kind, several] = sorted(found)
        return list(self._matches[kind, several])

    def _entry(self, kind: Kind, name: str) -> Entry:
        known = self._entries[kind]
        entry = known.get(name)
        if entry is None and kind == "asset" and name.startswith(plates.PREFIX):
            known = self._plates
            entry = known.get(plates.plain(name))
        if entry is None:
            where = ", ".join(str(path) for path in self.paths) or "none"
            hint = near_match(name, known)
            raise AssetError(
                f'there is no {kind} "{name}"{hint} in the asset paths ({where}): correct it or add its path'
            )
        return entry

    def _load_asset(self, name: str, entry: Entry) -> Asset:
        if entry is self._plates.get(entry.name):
            assert entry.path is not None
            options = plates.parse(name)
            back = None if options.back is None else self.texture(options.back)
            return plates.plate(name, entry.category, textures.load(entry.path), options.corner, back)
        if entry.path is None:
            for prefix, make in _PROCEDURAL.items():
                if entry.name.startswith(prefix):
                    return make(entry.name)
            return primitive(entry.category, entry.name)
        path, said = entry.path, f"{entry.name}\0{entry.category}\0{entry.sidecar!r}"
        return kept(
            self.cache_dir,
            closure([path, *entry.parts]),
            said,
            lambda: load_asset(entry.name, entry.category, path, self.cache_dir, entry.sidecar, entry.parts),
        )


class _Kept:
    """The most recently used values, up to a number of bytes; one larger than that is not kept at all."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.total = 0
        self.items: OrderedDict[object, tuple[Any, int]] = OrderedDict()

    def get(self, key: object, load: Callable[[], T], size: Callable[[T], int]) -> T:
        if key in self.items:
            self.items.move_to_end(key)
            value: T = self.items[key][0]
            return value
        value = load()
        self.items[key] = (value, size(value))
        self.total += self.items[key][1]
        while self.total > self.limit:
            _, (_, freed) = self.items.popitem(last=False)
            self.total -= freed
        return value

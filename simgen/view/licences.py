"""Where what a dataset shows came from, and what is known of its licence."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from simgen.assets import bundled, plates

_NOTES = re.compile(r"(licen[cs]e|copying|copyright|attribution)", re.IGNORECASE)
_README = re.compile(r"readme", re.IGNORECASE)
_TELLING = re.compile(
    r"\b(licen[cs]e[ds]?|CC0|CC[ -]BY[\w.-]*|creative commons|public domain|MIT|BSD|Apache|GPL|zlib|official works)\b",
    re.IGNORECASE,
)
_KNOWN = (
    ("CC0", r"CC0|Creative Commons Zero"),
    ("CC BY-SA", r"CC[ -]BY-SA|Attribution-ShareAlike"),
    ("CC BY-NC", r"CC[ -]BY-NC|Attribution-NonCommercial"),
    ("CC BY", r"CC[ -]BY\b|Creative Commons Attribution\b"),
    ("public domain", r"public domain"),
    ("Apache 2.0", r"Apache License|Apache[ -]2"),
    ("MIT", r"\bMIT\b|Permission is hereby granted, free of charge"),
    ("BSD", r"\bBSD\b|Redistribution and use in source and binary forms"),
    ("GPL", r"\bL?GPL\b|GNU (Lesser )?General Public License"),
    ("zlib", r"\bzlib\b"),
)
_MOST_BYTES = 64_000


@dataclass(frozen=True)
class Licence:
    """What is known of a group of ``names`` (of assets, textures or environments) from one ``source``.

    ``licence`` is a short name, "unknown" when nothing was found, "none needed" for what simgen computes itself.
    ``evidence`` says where that stands, word for word as far as it is short.
    """

    source: str
    names: tuple[str, ...]
    licence: str
    evidence: str


def licences(used: Mapping[str, Counter[str]], search_paths: Sequence[str | Path]) -> list[Licence]:
    """One entry a source, over all kinds; what is unknown first.

    A licence is read off files called LICENSE, COPYING or the like, or README, beside the asset or in a folder above it
    up to the search path. Nothing is guessed: where no file says anything, the licence is unknown.
    """
    names = sorted({name for counter in used.values() for name in counter})
    groups: dict[tuple[str, str, str], list[str]] = {}
    for name in names:
        groups.setdefault(_licence(name, [Path(path).expanduser() for path in search_paths]), []).append(name)
    found = [Licence(source, tuple(members), what, why) for (source, what, why), members in groups.items()]
    return sorted(found, key=lambda entry: (entry.licence != "unknown", entry.licence == "none needed", entry.source))


def _licence(name: str, roots: Sequence[Path]) -> tuple[str, str, str]:
    """Source, licence and evidence; those of a plate are its picture's."""
    name = plates.plain(name).removeprefix(plates.PREFIX)
    top = name.split("/")[0]
    if top in _computed():
        return f"{top}/ (computed)", "none needed", "Made by simgen from numbers; there is no file of somebody else's."
    if top == "pybullet":
        root, rest = bundled.data_dir(), name.removeprefix("pybullet/")
        told = _told(root, (root / rest).parent, top) if root else None
        silent = "pybullet_data says nothing beside it. The PyBullet package as a whole is under the zlib licence."
        if told is None:
            return "pybullet/ (comes with pip)", "unknown", silent
        return f"pybullet/{rest.split('/')[0]}/ (comes with pip)", *told
    there = [root for root in roots if root.is_dir()]
    for root in there:
        if (root / top).exists():
            told = _told(root, (root / name).parent, top)
            return f"{top}/", *(told or ("unknown", f"There is no note on licences in {root / top} or above."))
    where = ", ".join(str(root) for root in roots) or "none"
    return f"{top}/", "unknown", f"Its files are not on this machine (asset paths: {where})."


@cache
def _computed() -> frozenset[str]:
    """The first parts of the names of what simgen computes."""
    return frozenset({"generated", *(entry.name.split("/")[0] for entry in bundled.entries() if entry.path is None)})


def _told(root: Path, folder: Path, top: str) -> tuple[str, str] | None:
    """Licence and evidence from the nearest file that says something, from ``folder`` up to ``root``."""
    while folder == root or root in folder.parents:
        files = sorted(file for file in _files(folder) if _NOTES.search(file.name))
        for file in files:
            text = _text(file)
            return _recognized(text), f"{file.relative_to(root)}: {_opening(text)}"
        for file in sorted(file for file in _files(folder) if _README.search(file.name)):
            lines = _lines(_text(file), top if folder == root else "")
            if lines:
                return _recognized(" ".join(lines)), f"{file.relative_to(root)}: {' '.join(lines)}"
        folder = folder.parent
    return None


def _lines(text: str, top: str) -> list[str]:
    """Lines on licences; of a file that is about several folders, those that name the folder ``top``."""
    lines = [" ".join(line.replace("|", " ").replace("`", "").split()) for line in text.splitlines()]
    telling = [line for line in lines if _TELLING.search(line)]
    named = [line for line in telling if re.search(rf"\b{re.escape(top)}\b", line)] if top else telling
    return [line[:400] for line in named[:3]]


def _opening(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= 160 else f"{words[:160]}\N{HORIZONTAL ELLIPSIS}"


def _recognized(text: str) -> str:
    found = [name for name, pattern in _KNOWN if re.search(pattern, text, re.IGNORECASE if name != "MIT" else 0)]
    if "CC BY-SA" in found or "CC BY-NC" in found:
        found = [name for name in found if name != "CC BY"]
    version = re.search(r"CC[ -]BY[\w-]*[ -](\d\.\d)", text)
    found = [f"{name} {version[1]}" if version and name.startswith("CC BY") else name for name in found]
    return ", ".join(found) or "see the note"


def _files(folder: Path) -> list[Path]:
    try:
        return [file for file in folder.iterdir() if file.is_file()]
    except OSError:
        return []


def _text(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return stream.read(_MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""

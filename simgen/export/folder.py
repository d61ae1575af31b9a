"""The folder of an export: fit for it, and what is already done there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from simgen.errors import DatasetError
from simgen.export.base import Part, Unit
from simgen.export.images import put_json
from simgen.shards.files import cannot_write

STATE = ".simgen-export"
"""Folder inside an export that says what it is (``export.json``) and which units are done (``parts``)."""


def claim(out: Path, identity: dict[str, Any]) -> None:
    """Make ``out`` the folder of the export described by ``identity``, or find that it is.

    Raises DatasetError when it holds something else or another export.
    """
    try:
        if out.exists() and not out.is_dir():
            raise DatasetError(f"{out} is a file: choose a folder, new or empty")
        found = sorted(path.name for path in out.iterdir()) if out.exists() else []
    except OSError as error:
        raise cannot_write(out, error) from error
    record = out / STATE / "export.json"
    if record.exists():
        _check_same(out, _read(record), identity)
        return
    others = [name for name in found if name != STATE]
    if others:
        listed = ", ".join(others[:3]) + (", ..." if len(others) > 3 else "")
        raise DatasetError(f"{out} holds other files ({listed}): choose a folder, new or empty")
    put_json(record, identity)


def is_done(out: Path, unit: Unit) -> bool:
    """Whether the unit's files are all there."""
    path = _part_path(out, unit)
    if not path.exists():
        return False
    part = _load(path)
    return part is not None and all((out / file).exists() for file in part.files)


def keep(out: Path, unit: Unit, part: Part) -> None:
    """Remember that the unit is done."""
    put_json(_part_path(out, unit), msgspec.to_builtins(part))


def parts(out: Path, units: Iterable[Unit]) -> Iterator[tuple[Unit, Part]]:
    """The units with what they gave, in order. Raises DatasetError when one is missing."""
    for unit in units:
        part = _load(_part_path(out, unit))
        if part is None:
            raise DatasetError(f"{_part_path(out, unit)} is damaged: run the same command again")
        yield unit, part


def _part_path(out: Path, unit: Unit) -> Path:
    return out / STATE / "parts" / f"{unit.key}.json"


def _load(path: Path) -> Part | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Part)
    except (OSError, msgspec.DecodeError):
        return None


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} is damaged ({error}): remove the folder and export again") from error
    return found if isinstance(found, dict) else {}


def _check_same(out: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    new = json.loads(json.dumps(new))
    changed = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    if changed:
        shown = "; ".join(f"{key}: {json.dumps(old.get(key))} -> {json.dumps(new.get(key))}" for key in changed[:4])
        more = f" and {len(changed) - 4} more" if len(changed) > 4 else ""
        raise DatasetError(f"{out} holds another export ({shown}{more}): choose a new folder, or remove that one")

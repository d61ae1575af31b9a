"""What is in the files of a library, told by digests: a change that keeps names and sizes is seen, too.

A file is read once; its digest is kept in the cache folder under its path, size and time of change.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from simgen.assets import plates
from simgen.assets.cache import write_whole
from simgen.assets.index import Kind
from simgen.assets.library import Library
from simgen.errors import AssetError

CACHE = "digests.json"

_LARGE = 2 << 30
"""Bytes from which it is told that files are being read."""

_FRESH = 2_000_000_000
"""Nanoseconds: a file may be changed again within the resolution of its time, so that of a fresh one is not relied on.
"""

_log = logging.getLogger("simgen")


def contents(library: Library, wanted: Iterable[tuple[Kind, str]]) -> dict[str, str]:
    """Digests of the contents of ``wanted`` (kind and name), together for each folder at the top of a search path.

    They depend on names, on bytes and on what sidecars say, not on places and times. What is bundled is left out, and
    files that are missing count as such. Raises AssetError for a file that cannot be read.
    """
    needed = [(kind, name, library.files(kind, name)) for kind, name in wanted if not library.bundled(kind, name)]
    digests = _digests({file for _, _, files in needed for file in files}, library.cache_dir / CACHE)
    found: dict[str, hashlib._Hash] = {}
    for kind, name, files in sorted(needed):
        top, slash, _ = plates.plain(name).removeprefix(plates.PREFIX).partition("/")
        total = found.setdefault(top if slash else ".", hashlib.sha256())
        total.update(f"{kind}\t{name}\t{library.sidecar(kind, name)!r}\n".encode())
        total.update("".join(f"{file.name}\t{digests.get(file, '')}\n" for file in files).encode())
    return {top: total.hexdigest()[:32] for top, total in sorted(found.items())}


def _digests(files: Iterable[Path], cache: Path) -> dict[Path, str]:
    """The digest of each of ``files`` that exists."""
    known = _read(cache)
    states: dict[Path, tuple[int, int]] = {}
    for file in files:
        with suppress(FileNotFoundError):
            status = file.stat()
            states[file] = status.st_size, status.st_mtime_ns
    keys = {file: str(file.absolute()) for file in states}
    new = [file for file, state in states.items() if known.get(keys[file], [None])[:2] != [*state]]
    size = sum(states[file][0] for file in new)
    if size > _LARGE:
        _log.info("reading %.1f GB of assets, once, to recognize later changes", size / 1e9)
    fresh = time.time_ns() - _FRESH
    added = {file: _digest(file) for file in new}
    lasting = {keys[f]: [*states[f], digest] for f, digest in added.items() if states[f][1] < fresh}
    if lasting:
        write_whole(cache, json.dumps({**_read(cache), **lasting}).encode())
    return {file: added[file] if file in added else known[keys[file]][2] for file in states}


def _digest(file: Path) -> str:
    total = hashlib.sha256()
    try:
        with file.open("rb", buffering=0) as opened:
            while part := opened.read(1 << 20):
                total.update(part)
    except OSError as error:
        raise AssetError(f"{file} cannot be read ({error.strerror}): check its permissions") from None
    return total.hexdigest()[:32]


def _read(cache: Path) -> dict[str, list]:
    """Path -> size, time and digest; nothing where the cache is missing or damaged."""
    try:
        known = json.loads(cache.read_bytes())
        sound = all(len(entry) == 3 for entry in known.values())
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
    return known if sound else {}

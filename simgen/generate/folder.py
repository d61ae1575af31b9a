"""The folder that a job writes to: fit for it, and its own for as long as it runs."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from simgen.errors import ConfigError, DatasetError
from simgen.shards.files import TEMPORARY, cannot_write
from simgen.shards.manifest import MANIFEST

LOCK = ".lock"


def checked_folder(out: str) -> Path:
    """The folder of the dataset, which may not exist yet. Raises when it holds something else."""
    if not out:
        raise ConfigError("out is not set: say where to write the dataset, for example out=data/first")
    folder = Path(out).expanduser()
    try:
        if folder.exists() and not folder.is_dir():
            raise DatasetError(f"out={out} is a file: choose a folder, new or empty")
        found = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    except OSError as error:
        raise cannot_write(folder, error) from error
    others = [name for name in found if not name.startswith(".") and name != MANIFEST + TEMPORARY]
    if others and MANIFEST not in others:
        listed = ", ".join(others[:3]) + (", ..." if len(others) > 3 else "")
        raise DatasetError(f"out={out} holds other files ({listed}) and no dataset: choose a folder, new or empty")
    return folder


def writer(folder: Path) -> str:
    """The number of the process that is writing to the folder, "" when there is none."""
    try:
        with (folder / LOCK).open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read().strip()
    except OSError:
        pass
    return ""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder, made if need be, for this run alone; the system lets go of it when the process dies."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("a+")
    except OSError as error:
        raise cannot_write(folder, error) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            who = file.read().strip()
            raise DatasetError(
                f"another run (process {who}) is writing to {folder}: wait for it, or choose another out"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
        file.truncate(0)

"""Folders for intermediate files, which do not outlive their process for long, however it ends."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "simgen-"
LOCK = ".simgen-scratch"

_YOUNG = 60.0
"""Seconds for which a folder is left alone, since its process may not have locked it yet."""


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A new folder below the system's folder for temporary files, removed at the end.

    It holds a locked file, ``LOCK``. The system lets go of the lock when the process dies, even of SIGKILL, and
    ``sweep`` removes the folder then.
    """
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder, Path(folder, LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield Path(folder)


def sweep(now: float | None = None) -> int:
    """Remove the scratch folders that processes left which have died; returns how many.

    Only folders of this user that hold a ``LOCK`` which nobody has locked. ``now`` is the time by which their age is
    judged, in seconds since the epoch; None for the clock's.
    """
    count = 0
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):  # another process may be removing it, too
            owned = folder.lstat().st_uid == os.getuid() and not folder.is_symlink()
            old = (time.time() if now is None else now) - folder.stat().st_mtime > _YOUNG
            if owned and old and _abandoned(folder / LOCK):
                shutil.rmtree(folder)
                count += 1
    return count


def _abandoned(lock: Path) -> bool:
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

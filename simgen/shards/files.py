"""Files that appear whole or not at all, and what went wrong when they cannot be written."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from simgen.errors import DatasetError

TEMPORARY = ".tmp"

_SYNC_FILE_RANGE_WRITE = 2
"""Linux's fs.h: begin to write, wait for nothing."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def checksum(path: Path) -> str:
    """``blake2b:`` and the 128-bit BLAKE2b digest of the file in hexadecimal."""
    digest = hashlib.blake2b(digest_size=16)
    buffer = memoryview(bytearray(1 << 20))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
    return f"blake2b:{digest.hexdigest()}"


def start_writing(descriptor: int) -> None:
    """Have the system bring to the disk, in the background, what has been written to a file so far (Linux only).

    ``commit`` then has little to wait for.
    """
    if _sync_file_range is not None:
        _sync_file_range(descriptor, 0, 0, _SYNC_FILE_RANGE_WRITE)  # an error will show when the file is committed


def commit(temporary: Path, final: Path) -> None:
    """Bring ``temporary`` to the disk and give it its final name, replacing what has that name."""
    _fsync(temporary)
    temporary.replace(final)
    _fsync(final.parent)


def write_atomically(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``; readers, and crashes, see the old file or the new one. Raises DatasetError."""
    temporary = path.with_name(path.name + TEMPORARY)
    try:
        temporary.write_bytes(data)
        commit(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise cannot_write(path, error) from error


def cannot_write(path: Path, error: BaseException) -> DatasetError:
    """The sentence for an error while writing ``path``. HDF5 gives the number of the error in its message only."""
    number = getattr(error, "errno", None) or _errno_of(str(error))
    if number in _FULL:
        left = f"{free_bytes(path.parent) / 1e6:.1f} MB are free there"
        return DatasetError(
            f"no space left to write {path} ({left}): free some space or choose an out on another disk; the same "
            "command then continues where this one stopped"
        )
    why = os.strerror(number) if number else str(error) or type(error).__name__
    return DatasetError(f"cannot write {path}: {why}; check the disk and the permissions, then run the command again")


def free_bytes(folder: Path) -> int:
    """Bytes that may still be written to the disk of ``folder``; 0 when that cannot be found out."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0


def _found_sync_file_range() -> Callable[[int, int, int, int], int] | None:
    """The system call of that name, which Python's ``os`` does not have."""
    if sys.platform != "linux":
        return None
    try:
        function = ctypes.CDLL(None).sync_file_range
    except (AttributeError, OSError):
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    return function


_sync_file_range = _found_sync_file_range()


def _errno_of(message: str) -> int | None:
    found = re.search(r"errno = (\d+)", message)
    return int(found.group(1)) if found else None


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

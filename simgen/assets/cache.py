"""Files of the cache folder."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Put ``data`` at ``path`` in one piece, whoever else writes or reads there.

    A folder that cannot be written only costs the time to compute it again.
    """
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name, suffix=".tmp", delete=False) as file:
            try:
                file.write(data)
            except OSError:
                Path(file.name).unlink()
                raise
        Path(file.name).replace(path)

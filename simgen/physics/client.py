"""PyBullet clients that live for one scene, and quiet for what PyBullet prints from C.

A client of its own for every scene keeps scenes apart: nothing leaks from one into the next (``resetSimulation`` keeps
textures and shapes), and results do not depend on what ran before.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from simgen.errors import PhysicsError


@contextmanager
def quiet() -> Iterator[list[str]]:
    """Keep what C code prints meanwhile off the terminal; on leaving, the list yielded holds the lines.

    PyBullet writes its build time, every missing inertia and every odd mesh to the file descriptors 1 and 2, past
    ``sys.stdout``. They are pointed at a temporary file and put back whatever happens.
    """
    lines: list[str] = []
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    with tempfile.TemporaryFile() as sink:
        saved = [os.dup(fd) for fd in (1, 2)]
        try:
            for fd in (1, 2):
                os.dup2(sink.fileno(), fd)
            yield lines
        finally:
            for fd, copy in zip((1, 2), saved, strict=True):
                os.dup2(copy, fd)
                os.close(copy)
            sink.seek(0)
            lines.extend(line for line in sink.read().decode(errors="replace").splitlines() if line.strip())


with quiet():
    import pybullet

bullet: Any = pybullet
"""The module, imported without its banner."""


@contextmanager
def connect() -> Iterator[int]:
    """A fresh PyBullet client without display (its id), disconnected on leaving.

    Raises PhysicsError when PyBullet has no client left to give.
    """
    client = bullet.connect(bullet.DIRECT)
    if client < 0:
        raise PhysicsError("PyBullet gave no physics client; close some of those that this process has open")
    try:
        # PyBullet keeps every mesh file that it reads for as long as the process lives, by name, unless told not to.
        bullet.setPhysicsEngineParameter(enableFileCaching=0, physicsClientId=client)
        yield client
    finally:
        bullet.disconnect(client)

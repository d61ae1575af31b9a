"""PyBullet clients, and quiet for what PyBullet prints from C.

A world of its own for every scene keeps scenes apart: results do not depend on what ran before.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from simgen.errors import PhysicsError
from simgen.scratch import scratch_folder


@dataclass(frozen=True, eq=False)
class Noise:
    """What C code has printed since ``quiet`` began."""

    sink: IO[bytes]

    def lines(self) -> list[str]:
        """All lines that are not empty."""
        # Past the file's own position, which is that of the descriptors pointed at it.
        text = os.pread(self.sink.fileno(), os.fstat(self.sink.fileno()).st_size, 0)
        return [line for line in text.decode(errors="replace").splitlines() if line.strip()]

    @property
    def last(self) -> str:
        """The last line in brackets, to end a sentence with; empty when there is none."""
        lines = self.lines()
        return f" ({lines[-1].strip()})" if lines else ""


@contextmanager
def quiet() -> Iterator[Noise]:
    """Keep what C code prints meanwhile off the terminal, and at hand until the end.

    PyBullet writes its build time, every missing inertia and every odd mesh to the file descriptors 1 and 2, past
    ``sys.stdout``. They are pointed at a temporary file and put back whatever happens.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    with tempfile.TemporaryFile() as sink:
        saved = [os.dup(fd) for fd in (1, 2)]
        try:
            for fd in (1, 2):
                os.dup2(sink.fileno(), fd)
            yield Noise(sink)
        finally:
            for fd, copy in zip((1, 2), saved, strict=True):
                os.dup2(copy, fd)
                os.close(copy)


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


class Client:
    """A client that simulates one scene after another, each in a world as new; opened when it is first used.

    To connect, PyBullet fills tens of megabytes of buffers, which takes longer than many a scene. ``resetSimulation``
    keeps them, and makes everything anew that a result depends on: world, broad phase, solver, bodies and shapes.
    """

    def __init__(self) -> None:
        self._open = ExitStack()
        self._world: tuple[int, Path] | None = None

    @contextmanager
    def world(self) -> Iterator[tuple[int, Path]]:
        """An empty world with PyBullet's defaults: the client's id, and a folder for files that it reads.

        Raises PhysicsError when PyBullet has no client left to give. A client whose world was left with an error is
        not used again.
        """
        if self._world is None:
            self._world = self._open.enter_context(connect()), self._open.enter_context(scratch_folder())
        # The other broad phase takes bodies centimetres apart for neighbours: none of a heap would sleep while one
        # moves.
        bullet.resetSimulation(flags=bullet.RESET_USE_SIMPLE_BROADPHASE, physicsClientId=self._world[0])
        try:
            yield self._world
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Disconnect; it may be used again."""
        self._world = None
        self._open.close()

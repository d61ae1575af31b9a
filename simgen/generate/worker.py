"""A worker process: opens its own library, renderer and physics, and makes one shard at a time."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import cv2

from simgen.config import from_plain
from simgen.errors import SimgenError
from simgen.generate.asked import tally
from simgen.generate.messages import Assignment, Compiling, Failed, FramesDone, Message, Ready, ShardDone
from simgen.generate.source import Source
from simgen.processes import settle_in
from simgen.scene.record import SceneRecord
from simgen.shards.files import cannot_write
from simgen.shards.manifest import ShardEntry
from simgen.shards.writer import ShardWriter

ORPHANED = 3
"""Exit status of a worker whose job has died."""

_REPORT_EVERY = 0.1
"""Seconds."""


def main(connection: Connection, assignment: Assignment, helping: bool = False) -> None:
    """Compile what has to be compiled, then make the shards that come over ``connection`` (ShardEntry, None to leave).

    Answers are Messages; Ready comes before those on shards, but from a worker that is ``helping`` another to compile,
    which is sent its first shard only when the other is ready.

    When the process of the job dies, however it dies, this one leaves at once, whatever it is computing.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends Ctrl-C to all; the job decides what becomes of us
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    cv2.setNumThreads(1)
    try:
        source = assignment.open_source(from_plain(dict(assignment.config)))
        source.warm_up(lambda sentence: None if helping else connection.send(Compiling(sentence)), helping)
        if not helping:
            connection.send(Ready())
        settle_in()
        while (entry := connection.recv()) is not None:
            connection.send(make_shard(assignment, source, entry, _reports(connection)))
        source.close()
    except (EOFError, BrokenPipeError):
        os._exit(ORPHANED)
    except Exception as error:
        connection.send(_failure(error))


def make_shard(assignment: Assignment, source: Source, entry: ShardEntry, report: Callable[[], None]) -> Message:
    """Compute and write one shard; ``report`` is called after each frame. Raises SimgenError."""
    scenes = removed = omitted = unsettled = redrawn = 0
    complaints: list[str] = []
    records: list[tuple[SceneRecord, int]] = []
    per_scene = assignment.frames_per_scene
    end = entry.first + entry.frames
    path = assignment.folder / entry.file
    with ShardWriter(path, entry.frames, assignment.origin, assignment.options) as writer:
        for scene in range(entry.first // per_scene, -(-end // per_scene)):
            record, simulation = source.scene(scene)
            writer.add_scene(record, simulation)
            scenes += 1
            removed += len(simulation.removed)
            omitted += len(record.omitted)
            redrawn += record.attempt
            if not simulation.settled:
                unsettled += 1
                complaints.append(source.complaint(record, simulation))
            wanted = range(min(per_scene, end - scene * per_scene))
            records.append((record, len(wanted)))
            for frame in source.frames(record, simulation, wanted):
                writer.add(frame)
                report()
        written = writer.finish()
    targets, required = tally(records)
    return ShardDone(written, scenes, removed, omitted, unsettled, redrawn, targets, required, tuple(complaints))


def _reports(connection: Connection) -> Callable[[], None]:
    """Counts the frames of a shard and tells now and then: each message wakes the process of the job."""
    count, told = 0, time.monotonic()

    def report() -> None:
        nonlocal count, told
        count += 1
        if time.monotonic() - told >= _REPORT_EVERY:
            connection.send(FramesDone(count))
            count, told = 0, time.monotonic()

    return report


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(ORPHANED)


def _failure(error: Exception) -> Failed:
    if isinstance(error, SimgenError):
        return Failed(str(error))
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        file = error.filename if isinstance(error.filename, str) else f"{tempfile.gettempdir()}/a temporary file"
        return Failed(str(cannot_write(Path(file), error)))
    if isinstance(error, MemoryError):
        return Failed(f"memory ran out in a worker ({error}): take fewer workers, smaller images or fewer passes")
    return Failed(f"{type(error).__name__}: {error}", traceback.format_exc())

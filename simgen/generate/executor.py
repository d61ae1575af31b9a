"""Worker processes: started, fed with shards, watched, replaced and ended."""

from __future__ import annotations

import logging
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from simgen.errors import SimgenError
from simgen.generate.messages import Assignment, Compiling, Failed, FramesDone, Ready, ShardDone
from simgen.generate.source import OpenSource
from simgen.processes import nameless_main, worker_context
from simgen.shards.files import TEMPORARY
from simgen.shards.manifest import ShardEntry

DEATHS = 3
"""How often a shard may take its worker's life before the job gives up."""

_GRACE = 1.0
"""Seconds that workers have to leave before they are killed."""

_log = logging.getLogger("simgen")


class WorkerError(SimgenError):
    """A worker died again and again, or failed in a way that no input should bring about."""


@dataclass(eq=False)
class _Worker:
    process: BaseProcess
    connection: Connection
    helping: bool = False
    entry: ShardEntry | None = None
    frames: int = 0
    scenes: int = 0


@dataclass(eq=False)
class Executor:
    """Makes shards in ``workers`` processes of ``scenes_per_worker`` scenes each; see ``run``."""

    assignment: Assignment
    workers: int
    scenes_per_worker: int
    on_progress: Callable[[int], None]
    """Told the frames of all unfinished shards together, first when the first worker has compiled what it needs."""
    on_shard: Callable[[ShardEntry, ShardDone], None]
    _compiled: bool = False
    _team: list[_Worker] = field(default_factory=list)
    _queue: deque[ShardEntry] = field(default_factory=deque)
    _deaths: Counter[int] = field(default_factory=Counter)

    def run(self, entries: Sequence[ShardEntry]) -> None:
        """Make all ``entries``; returns when the last is complete.

        Raises SimgenError with the sentence of a worker that cannot go on, WorkerError when a shard has killed its
        worker three times. Whatever ends the run, no worker and no unfinished file is left.
        """
        self._queue.extend(entries)
        try:
            while self._queue or any(worker.entry for worker in self._team):
                self._feed()
                for ready in wait([worker.connection for worker in self._team], timeout=1.0):
                    self._listen(next(worker for worker in self._team if worker.connection is ready))
        except BaseException:
            self._stop(_GRACE, ask=False)
            raise
        self._stop(_GRACE, ask=True)

    def _feed(self) -> None:
        """Give every worker a shard, starting workers as long as there are shards for them.

        Until all is compiled, which others need not do again then, there is one, and maybe one that helps it.
        """
        while self._queue:
            able = self._team if self._compiled else [worker for worker in self._team if not worker.helping]
            idle = next((worker for worker in able if worker.entry is None), None)
            if idle is None:
                if len(able) == (self.workers if self._compiled else 1):
                    return
                idle = _start(self.assignment)
                self._team.append(idle)
            idle.entry, idle.frames = self._queue.popleft(), 0
            with suppress(OSError):  # one that has died meanwhile is found by listening to it
                idle.connection.send(idle.entry)

    def _listen(self, worker: _Worker) -> None:
        try:
            message = worker.connection.recv()
        except (EOFError, OSError):
            self._bury(worker)
            return
        if isinstance(message, Compiling):
            _log.info("%s", message.sentence)
            if len(self._team) < self.workers:
                self._team.append(_start(self.assignment, helping=True))
            return
        if isinstance(message, Ready):
            self._compiled = True
        elif isinstance(message, FramesDone):
            worker.frames += message.count
        elif isinstance(message, ShardDone):
            entry, worker.entry, worker.frames = worker.entry, None, 0
            worker.scenes += message.scenes
            assert entry is not None  # a worker answers for the shard that it was given
            self.on_shard(entry, message)
            if worker.scenes >= self.scenes_per_worker:
                self._dismiss(worker)
        elif isinstance(message, Failed):
            self._give_up(worker, message)
        self.on_progress(sum(worker.frames for worker in self._team))

    def _give_up(self, worker: _Worker, failure: Failed) -> None:
        if not failure.traceback:
            raise SimgenError(failure.sentence)
        doing = worker.entry.file if worker.entry else "its start"
        _log.error("a worker failed during %s:\n%s", doing, failure.traceback)
        raise WorkerError(f"a worker failed during {doing} with {failure.sentence}; the traceback is in the log above")

    def _bury(self, worker: _Worker) -> None:
        """Put the shard of a worker that has died back into the queue, first in line."""
        worker.process.join(_GRACE)
        entry = worker.entry
        self._close(worker)
        if entry is None:
            return
        self._remove_unfinished(entry)
        self._deaths[entry.index] += 1
        how = _cause(worker.process.exitcode)
        if self._deaths[entry.index] == DEATHS:
            last = entry.first + entry.frames - 1
            raise WorkerError(
                f"{entry.file} (frames {entry.first} to {last}) ended its worker {DEATHS} times, the last time {how}; "
                "take fewer workers or smaller images if memory is short, else leave out the assets of these frames"
            )
        _log.warning("the worker of %s died %s; the shard is made again", entry.file, how)
        self._queue.appendleft(entry)

    def _dismiss(self, worker: _Worker) -> None:
        """Let a worker go that has nothing to do; its memory goes with it."""
        with suppress(OSError):
            worker.connection.send(None)
        worker.process.join(_GRACE)
        self._close(worker)

    def _stop(self, grace: float, ask: bool) -> None:
        """End all workers, kindly when ``ask``, and remove what they leave unfinished."""
        for worker in self._team:
            if ask:
                with suppress(OSError):
                    worker.connection.send(None)
            else:
                worker.process.terminate()
        deadline = time.monotonic() + grace
        for worker in list(self._team):
            worker.process.join(max(0.0, deadline - time.monotonic()))
            self._take_last_word(worker)
            self._close(worker)
            if worker.entry is not None:
                self._remove_unfinished(worker.entry)

    def _take_last_word(self, worker: _Worker) -> None:
        """A worker that was stopped may have finished its shard and said so, and nobody was listening."""
        with suppress(EOFError, OSError):
            while worker.entry is not None and worker.connection.poll():
                message = worker.connection.recv()
                if isinstance(message, ShardDone):
                    self.on_shard(worker.entry, message)
                    worker.entry = None

    def _close(self, worker: _Worker) -> None:
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join(_GRACE)
        worker.connection.close()
        self._team.remove(worker)

    def _remove_unfinished(self, entry: ShardEntry) -> None:
        """Remove what a shard that nobody reported as done has left, which may even have its final name already."""
        path = self.assignment.folder / entry.file
        for file in (path, path.with_name(path.name + TEMPORARY)):
            with suppress(OSError):
                file.unlink(missing_ok=True)


def _cause(code: int | None) -> str:
    """How a process ended, from its exit code."""
    if code is None:
        return "without an exit status"
    if code >= 0:
        return f"with exit status {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    hint = ", as the system does when memory runs out" if name == "SIGKILL" else ""
    return f"by {name}{hint}"


def prepare(open_source: OpenSource) -> None:
    """Let workers be got ready for in the background; they start sooner then, and nothing else changes."""
    worker_context(open_source.__module__)


def _start(assignment: Assignment, helping: bool = False) -> _Worker:
    from simgen.generate import worker

    context = worker_context(assignment.open_source.__module__)
    ours, theirs = context.Pipe()
    process = context.Process(target=worker.main, args=(theirs, assignment, helping), daemon=True)
    with nameless_main():
        process.start()
    theirs.close()
    return _Worker(process, ours, helping)

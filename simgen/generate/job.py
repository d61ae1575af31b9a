"""The main job: make, or go on making, the dataset of a configuration."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from simgen import __version__
from simgen.config import RenderConfig, frames_per_scene, from_plain, to_plain
from simgen.errors import ConfigError, DatasetError
from simgen.generate import executor
from simgen.generate.calibration import calibrated
from simgen.generate.folder import checked_folder, locked
from simgen.generate.interrupt import interruptible
from simgen.generate.messages import Assignment, ShardDone
from simgen.generate.plan import plan, whole_scenes
from simgen.generate.source import Facts, OpenSource
from simgen.processes import available_cores
from simgen.scratch import sweep
from simgen.shards import manifest as manifests
from simgen.shards.files import TEMPORARY, cannot_write
from simgen.shards.manifest import MANIFEST, SHARDS, Category, Manifest, ShardEntry
from simgen.shards.schema import SCHEMA
from simgen.shards.verify import file_problem
from simgen.shards.writer import Options, Origin

_COMPLAINTS = 5
"""Scenes that did not settle are told one by one up to here; the manifest counts all."""

_SAVE_EVERY = 1.0
"""Seconds."""

_SHOWN = 6
"""Differing keys shown."""

_log = logging.getLogger("simgen")


@dataclass(frozen=True)
class Progress:
    """How far a job is: ``done`` of ``frames`` frames, ``seconds`` since frames are being made.

    ``phase`` is "checking" (what is already there), "preparing" (compiling; nothing else moves) or "rendering";
    ``made`` of the done frames were made in this run.
    """

    phase: str
    done: int
    frames: int
    made: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Frames per second of this run, 0 before the first."""
        return self.made / self.seconds if self.seconds > 0 else 0.0


def render(
    config: RenderConfig,
    progress: Callable[[Progress], None] | None = None,
    open_source: OpenSource | None = None,
) -> Manifest:
    """Make the dataset of ``config`` in ``config.out``, or finish one that was begun there; returns its manifest.

    Shards that are complete and undamaged are kept. ``frames`` may be larger than before: the dataset is continued.
    ``progress`` is called now and then. ``open_source`` makes the scenes, by default as the configuration says.

    Raises DatasetError when ``out`` cannot be written, holds something else, or a dataset of another configuration, and
    whatever SimgenError the scenes raise. KeyboardInterrupt comes through, on Ctrl-C and on SIGTERM, when all workers
    have ended; the dataset then goes on from its complete shards.
    """
    if open_source is None:
        from simgen.generate.scenes import SceneSource

        open_source = SceneSource
    if config.frames < 1:
        raise ConfigError(f"frames={config.frames} asks for no images: choose at least 1")
    # As workers get it: all defaults filled in, and what calibration files say, so that the dataset tells it too.
    config = calibrated(from_plain(to_plain(config)))
    folder = checked_folder(config.out)
    sweep()
    tell = progress or (lambda _: None)
    with interruptible():
        if not (folder / MANIFEST).exists():
            executor.prepare(open_source)
        source = open_source(config)
        try:
            source.check()
            with locked(folder):
                old = manifests.load(folder) if (folder / MANIFEST).exists() else None
                manifest = describe(config, source.facts, old)
                manifest.contents = source.contents()
                for what in _empty(config):
                    _log.warning("%s", what)
                _take_over(folder, old, manifest, tell)
                pending = [entry for entry in manifest.shards if entry.state == "pending"]
                if pending:
                    tell(Progress("preparing", _complete_frames(manifest), manifest.frames))
                    source.close()
                    _Run(config, folder, manifest, tell, open_source).make(pending)
        finally:
            source.close()
    return manifest


def confirm(config: RenderConfig, open_source: OpenSource | None = None) -> None:
    """Raise DatasetError, as ``render`` would, if ``config.out`` holds a dataset of another configuration.

    So do assets that were edited since. Nothing is written; a folder without a dataset passes.
    """
    if open_source is None:
        from simgen.generate.scenes import SceneSource

        open_source = SceneSource
    config = calibrated(from_plain(to_plain(config)))
    folder = checked_folder(config.out)
    if not (folder / MANIFEST).exists():
        return
    source = open_source(config)
    try:
        old = manifests.load(folder)
        new = describe(config, source.facts, old)
        new.contents = source.contents()
        _refuse_another(folder, old, new)
    finally:
        source.close()


def describe(config: RenderConfig, facts: Facts, old: Manifest | None = None) -> Manifest:
    """The manifest of the dataset that ``config`` asks for, all shards pending.

    Where the size of shards is left open, those of the dataset ``old`` which is continued stay as they are.
    """
    plain = to_plain(config)
    plain["renderer"] = {"name": facts.renderer, "device": facts.device}
    plain["passes"] = list(facts.passes)
    plain["assets"]["path"] = [str(Path(path).expanduser().resolve()) for path in config.assets.path]
    per_scene = frames_per_scene(config)
    wanted = config.output.frames_per_shard
    shards = plan(config.frames, per_scene, None if wanted == "auto" else wanted, old)
    largest = max(entry.frames for entry in shards) if wanted == "auto" else wanted
    manifest = Manifest(
        schema=SCHEMA,
        simgen=__version__,
        config=plain,
        digest="",
        assets=facts.assets,
        seed=config.seed,
        renderer=facts.renderer,
        device=facts.device,
        passes=list(facts.passes),
        categories=[Category(k + 1, name) for k, name in enumerate(facts.categories)],
        frames=config.frames,
        frames_per_scene=per_scene,
        frames_per_shard=whole_scenes(largest, per_scene),
        shards=shards,
    )
    manifest.digest = manifests.digest(manifest)
    return manifest


class _Run:
    """One run of the executor and the manifest that it fills."""

    def __init__(
        self,
        config: RenderConfig,
        folder: Path,
        manifest: Manifest,
        tell: Callable[[Progress], None],
        open_source: OpenSource,
    ) -> None:
        self._folder, self._manifest, self._tell = folder, manifest, tell
        self._before = self._complete = _complete_frames(manifest)
        self._began: float | None = None
        self._saved = time.monotonic()
        self._complaints = 0
        output = config.output
        assignment = Assignment(
            folder.resolve(),
            manifest.config,
            manifest.frames_per_scene,
            Origin(manifest.simgen, manifest.config, manifest.seed, manifest.renderer, manifest.device),
            Options(output.compression, output.rgb_codec, output.jpeg_quality),
            open_source,
        )
        workers = available_cores() if config.workers == "auto" else int(config.workers)
        self._executor = executor.Executor(assignment, workers, config.scenes_per_worker, self._report, self._keep)

    def make(self, pending: list[ShardEntry]) -> None:
        """Make the pending shards; whatever happens, the manifest says in the end which are complete."""
        try:
            self._executor.run(pending)
        except BaseException:
            with suppress(DatasetError):  # a full disk may not even take this; then the next run checks more
                manifests.save(self._folder, self._manifest)
            raise
        manifests.save(self._folder, self._manifest)
        if self._complaints > _COMPLAINTS:
            _log.warning("%d more scenes did not settle either", self._complaints - _COMPLAINTS)
        unmet = _unmet(self._manifest)
        if unmet:
            _log.warning("%s", unmet)

    def _keep(self, entry: ShardEntry, done: ShardDone) -> None:
        entry.state, entry.bytes, entry.checksum = "complete", done.written.bytes, done.written.checksum
        entry.removed, entry.omitted = done.removed, done.omitted
        entry.unsettled, entry.redrawn = done.unsettled, done.redrawn
        entry.targets, entry.required = done.targets, done.required
        self._complete += entry.frames
        for complaint in done.complaints:
            self._complaints += 1
            if self._complaints <= _COMPLAINTS:
                _log.warning("%s", complaint)
        # Manifests of many shards are long; what a crash loses by waiting is made again.
        if time.monotonic() - self._saved >= _SAVE_EVERY:
            manifests.save(self._folder, self._manifest)
            self._saved = time.monotonic()

    def _report(self, unfinished: int) -> None:
        if self._began is None:
            self._began = time.monotonic()
        done, seconds = self._complete + unfinished, time.monotonic() - self._began
        self._tell(Progress("rendering", done, self._manifest.frames, done - self._before, seconds))


def _empty(config: RenderConfig) -> Iterator[str]:
    """A sentence on each kind of pass that was asked for by name and will be 0 everywhere."""
    passes = [] if config.passes == "auto" else config.passes
    cameras = config.scene.cameras
    if "depth_sensor" in passes and not any(camera.depth_sensor.given for camera in cameras.values()):
        yield (
            "no camera has a depth sensor, so the pass depth_sensor will be 0 everywhere: give one, for example "
            f"scene.cameras.{next(iter(cameras))}.depth_sensor.preset=realsense_d435"
        )
    motion = [name for name in passes if "flow" in name]
    if motion and config.scene.time.frames == 1:
        yield (
            f"scenes have a single time, so there is no motion and {', '.join(motion)} will be 0 everywhere: raise "
            "scene.time.frames"
        )


def _unmet(manifest: Manifest) -> str:
    """A sentence on frames that do not show what was asked for; empty when all do."""
    targets, required = manifest.asked()
    short = [f"{a.frames - a.met} of {a.frames} do not show {name}" for name, a in targets.items() if a.met < a.frames]
    if required is not None and required.met < required.frames:
        short.append(f"{required.frames - required.met} of {required.frames} are not as required")
    if not short:
        return ""
    return (
        f"of the frames that something was asked of, {', '.join(short)}: raise scene.search.takes or "
        "scene.search.scenes, or ask for less in scene.targets and scene.require"
    )


def _complete_frames(manifest: Manifest) -> int:
    return sum(entry.frames for entry in manifest.shards if entry.state == "complete")


def _take_over(folder: Path, old: Manifest | None, manifest: Manifest, tell: Callable[[Progress], None]) -> None:
    """Mark in ``manifest`` the shards that ``folder`` already has of ``old``, and write it there.

    Raises DatasetError when the dataset there is another one.
    """
    if old is not None:
        if any((folder / SHARDS).glob("*.h5")):  # else there is nothing to lose, as when the first run failed
            _refuse_another(folder, old, manifest)
        known = {(entry.first, entry.frames): entry for entry in old.shards if entry.state == "complete"}
        done = 0
        for k, entry in enumerate(manifest.shards):
            tell(Progress("checking", done, manifest.frames))
            before = known.get((entry.first, entry.frames))
            if before is not None and file_problem(folder, before) is None:
                manifest.shards[k] = before
                done += entry.frames
    try:
        (folder / SHARDS).mkdir(exist_ok=True)
        for stray in (folder / SHARDS).glob(f"*{TEMPORARY}"):
            stray.unlink()
    except OSError as error:
        raise cannot_write(folder / SHARDS, error) from error
    manifests.save(folder, manifest)


def _refuse_another(folder: Path, old: Manifest, new: Manifest) -> None:
    differing = manifests.differences(old, new)
    if differing:
        shown = "; ".join(differing[:_SHOWN]) + (f"; and {len(differing) - _SHOWN} more" * (len(differing) > _SHOWN))
        raise DatasetError(
            f"{folder} holds a dataset of another configuration ({shown}): choose another out, or the settings as they "
            "were"
        )
    if new.frames < old.frames:
        raise DatasetError(
            f"{folder} is a dataset of {old.frames} frames, more than frames={new.frames}: choose another out, or "
            f"frames={old.frames} or more"
        )

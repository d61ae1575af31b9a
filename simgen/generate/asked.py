"""What frames note about the targets that they were drawn for, and its sums."""

from __future__ import annotations

from collections.abc import Iterable

from simgen.scene.record import SceneRecord
from simgen.shards.manifest import Asked

NOTE = "targets"
"""Under this name, beside the factors, the draws of a frame say what it was drawn for: see ``search``."""


def tally(records: Iterable[tuple[SceneRecord, int]]) -> tuple[dict[str, Asked], Asked | None]:
    """What came of each target and of what is required, over the first frames of some records.

    Takes are those of views, and count once however many frames a view has.
    """
    targets: dict[str, Asked] = {}
    required: Asked | None = None
    for record, count in records:
        views: set[int] = set()
        for frame in record.frames[:count]:
            note = frame.draws.get(NOTE)
            if note is None:
                continue
            takes = 0 if frame.view in views else note["takes"]
            views.add(frame.view)
            if note["target"]:
                _add(targets.setdefault(note["target"], Asked()), note["met"], takes)
            if note["required"] is not None:
                required = required or Asked()
                _add(required, note["required"], takes)
    return targets, required


def _add(to: Asked, met: bool, takes: int) -> None:
    to.frames += 1
    to.met += int(met)
    to.takes += takes

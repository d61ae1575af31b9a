"""What a folder holds the experiment of, so that another one does not get mixed into it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simgen.errors import DatasetError
from simgen.evaluate.experiment.plan import Request
from simgen.scene import fields
from simgen.shards.files import write_atomically

IDENTITY = "experiment.json"

_SHOWN = 6
"""Differing keys shown."""


def identity(request: Request, real: Mapping[str, str]) -> dict[str, Any]:
    """What may not change between runs into one folder: all that decides its sets, models and scores.

    ``real`` has digests of the real images by task and part. Parts that are added later, such as arms, seeds and
    ablations, are no change; nor are words.
    """
    experiment = request.experiment
    plain: dict[str, Any] = fields.plain(experiment)
    budget = plain["budgets"][request.budget]
    for key in ("seeds", "curve"):
        del budget[key]
    ablation = budget.pop("ablation")
    said = ("goal", "metric")
    tasks = {name: {k: v for k, v in task.items() if k not in said} for name, task in plain["tasks"].items()}
    only_now = {f"budgets.{request.budget}.ablation": ablation} if request.ablations else {}
    return {
        "experiment": experiment.name,
        "budget": request.budget,
        "seed": request.seed,
        "scene": Path(experiment.scene).name,
        "render": plain["render"],
        "real": {"format": plain["real"]["format"], "mapping": plain["real"]["mapping"] or {}, **real},
        "tasks": tasks,
        f"budgets.{request.budget}": budget,
        "arms": {name: _silent(plain["arms"][name]) for name in request.arms},
        "ablations": {name: _silent(plain["ablations"][name]) for name in request.ablations},
        **only_now,
    }


def claim(folder: Path, now: dict[str, Any]) -> None:
    """Note in ``folder`` what it holds; raises DatasetError when that is something else."""
    path = folder / IDENTITY
    if path.exists():
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise DatasetError(f"{path} is damaged: choose another out, or remove it.") from None
        changed = _differences(before, now)
        if changed:
            shown = "; ".join(changed[:_SHOWN]) + (f"; and {len(changed) - _SHOWN} more" * (len(changed) > _SHOWN))
            raise DatasetError(
                f"{folder} holds an experiment of another configuration ({shown}): choose another out, or the settings "
                "as they were."
            )
        now = _joined(before, now)
    write_atomically(path, (json.dumps(now, indent=1) + "\n").encode())


_GROWING = ("real", "arms", "ablations")
"""Mappings to which a later run may add."""


def _differences(before: Any, now: Any, where: str = "") -> list[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        keys = dict.fromkeys([*before, *now])
        if where in _GROWING or where == "":
            keys = {key: None for key in keys if key in before and key in now}
        return [line for k in keys for line in _differences(before.get(k), now.get(k), f"{where}.{k}" if where else k)]
    if before == now:
        return []
    # A digest alone tells nobody anything.
    about = ", which are other images or labels" if where.startswith("real.") and where.endswith(")") else ""
    return [f"{where}: {_told(before)} there, {_told(now)} now{about}"]


def _joined(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    return {**before, **{k: {**before.get(k, {}), **v} if k in _GROWING else v for k, v in now.items()}}


def _silent(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key != "about"}


def _told(value: Any) -> str:
    return "nothing" if value is None else json.dumps(value)

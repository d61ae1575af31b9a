"""The facts of a dataset, as data and as text for people."""

from __future__ import annotations

import dataclasses
import math
import os
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from simgen.generate.folder import writer
from simgen.shards.manifest import Manifest, ShardEntry, load
from simgen.shards.reader import Dataset
from simgen.view.coverage import coverages
from simgen.view.recipe import command
from simgen.view.survey import survey

_GAPS = 8
"""Runs of missing frames that are named."""

_SHOWN = 3
"""Thin bins of a variable that are named."""


def summarize(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What the dataset at ``path`` holds, JSON-able; of one that is not finished, how far it is.

    Raises DatasetError when it is none.
    """
    folder = Path(path)
    manifest = load(folder)
    missing = [shard for shard in manifest.shards if not _is_there(folder, shard)]
    return _unfinished(folder, manifest, missing) if missing else _whole(path)


def _is_there(folder: Path, shard: ShardEntry) -> bool:
    """Whether a shard is complete and has its bytes; ``verify`` reads them."""
    with suppress(OSError):
        return shard.state == "complete" and (folder / shard.file).stat().st_size == shard.bytes
    return False


def _unfinished(folder: Path, manifest: Manifest, missing: Sequence[ShardEntry]) -> dict[str, Any]:
    line, whole = command(manifest)
    return {
        **_origin(folder, manifest),
        "complete": False,
        "frames_done": manifest.frames - sum(shard.frames for shard in missing),
        "shards_done": len(manifest.shards) - len(missing),
        "missing": _ranges(missing),
        "damaged": [shard.file for shard in missing if shard.state == "complete"],
        "writer": writer(folder),
        "command": line.replace("out=DIR", shlex.quote(f"out={folder}")),
        "command_whole": whole,
        "categories": [{"id": c.id, "name": c.name} for c in manifest.categories],
        **_counts(manifest),
    }


def _ranges(shards: Sequence[ShardEntry]) -> list[list[int]]:
    """First and last frame of each run of frames in ``shards``."""
    found: list[list[int]] = []
    for shard in shards:
        last = shard.first + shard.frames - 1
        if found and found[-1][1] == shard.first - 1:
            found[-1][1] = last
        else:
            found.append([shard.first, last])
    return found


def _origin(path: str | os.PathLike[str], manifest: Manifest) -> dict[str, Any]:
    return {
        "path": str(path),
        "simgen": manifest.simgen,
        "scene": manifest.config.get("scene", {}).get("name", ""),
        "seed": manifest.seed,
        "renderer": manifest.renderer,
        "device": manifest.device,
        "frames": manifest.frames,
        "scenes": -(-manifest.frames // manifest.frames_per_scene),
        "frames_per_scene": manifest.frames_per_scene,
        "passes": list(manifest.passes),
    }


def _counts(manifest: Manifest) -> dict[str, Any]:
    """Sums over the complete shards."""
    targets, required = manifest.asked()
    shares = {name: t.get("share") for name, t in manifest.config.get("scene", {}).get("targets", {}).items()}
    total = sum(shard.frames for shard in manifest.shards if shard.state == "complete")
    return {
        "targets": {
            name: {
                "share": shares.get(name),
                "frames": asked.frames,
                "met": asked.met,
                "share_met": asked.met / total if total else 0.0,
                "takes": asked.takes,
            }
            for name, asked in targets.items()
        },
        "required": None
        if required is None
        else {"frames": required.frames, "met": required.met, "takes": required.takes},
        "removed_bodies": sum(shard.removed for shard in manifest.shards),
        "omitted_objects": sum(shard.omitted for shard in manifest.shards),
        "unsettled_scenes": sum(shard.unsettled for shard in manifest.shards),
        "redrawn_scenes": sum(shard.redrawn for shard in manifest.shards),
        "shards": len(manifest.shards),
        "bytes": sum(shard.bytes for shard in manifest.shards),
    }


def _whole(path: str | os.PathLike[str]) -> dict[str, Any]:
    frames = survey(path).frames
    with Dataset(path) as data:
        manifest = data.manifest
        names = {category.id: category.name for category in data.categories}
        objects = dict.fromkeys(names.values(), 0)
        seen = dict.fromkeys(names.values(), 0)
        visibility: list[float] = []
        first = data[0]
        for index in range(len(data)):
            table = data.objects(index)
            for category, pixels in zip(table.category_id, table.px_visib, strict=True):
                objects[names[int(category)]] += 1
                seen[names[int(category)]] += int(pixels > 0)
            visibility += table.visib_fract.tolist()
        total = max(sum(objects.values()), 1)
        asked = _asked_shares(manifest.config)
        return {
            **_origin(path, manifest),
            "complete": True,
            "image": list(first.images["rgb" if "rgb" in first.images else data.passes[0]].shape[:2][::-1]),
            "traces": list(data.trace_names()),
            "draws": {factor: list(columns) for factor, columns in data.draw_names().items()},
            "categories": [
                {
                    "id": i,
                    "name": name,
                    "objects": objects[name],
                    "visible": seen[name],
                    "share": objects[name] / total,
                    **({"asked": asked[name]} if name in asked else {}),
                }
                for i, name in names.items()
            ],
            "even_categories": _effective(list(objects.values())),
            "objects_per_frame": len(visibility) / len(data),
            "visib_fract_quartiles": np.quantile(visibility, [0.25, 0.5, 0.75]).tolist() if visibility else [],
            **_counts(manifest),
            "coverage": [dataclasses.asdict(found) for found in coverages(frames, manifest.config)],
        }


def _asked_shares(config: Mapping[str, Any]) -> dict[str, float]:
    """Category -> the share of the objects of a group that its definition asks for."""
    groups = config.get("scene", {}).get("objects", {}).values()
    return {name: share for group in groups for name, share in (group.get("shares") or {}).items()}


def _effective(counts: Sequence[int]) -> float:
    """How many equally frequent categories would be as diverse: the exponential of the entropy (Hill 1973)."""
    total = sum(counts)
    return math.exp(-math.fsum(n / total * math.log(n / total) for n in counts if n)) if total else 0.0


def text(facts: dict[str, Any]) -> str:
    """``summarize``'s facts for reading."""
    if not facts["complete"]:
        return "\n".join(_progress(facts))
    width, height = facts["image"]
    lines = [
        f"{facts['path']}: {facts['frames']} frames of {width}x{height} in {facts['scenes']} scenes"
        f" ({facts['frames_per_scene']} a scene)",
        f"made by     simgen {facts['simgen']}, scene {facts['scene']}, seed {facts['seed']},"
        f" renderer {facts['renderer']} on {facts['device']}",
        f"passes      {', '.join(facts['passes'])}",
        f"traces      {', '.join(facts['traces']) or 'none'}",
        f"objects     {facts['objects_per_frame']:.1f} a frame; visible share, quartiles: "
        + (", ".join(f"{q:.2f}" for q in facts["visib_fract_quartiles"]) or "none"),
        f"removed     {facts['removed_bodies']} bodies that fell, exploded or would not rest;"
        f" {facts['omitted_objects']} objects found no place;"
        f" {facts['redrawn_scenes']} scenes drawn again, {facts['unsettled_scenes']} never settled",
        f"on disk     {facts['shards']} shards, {facts['bytes'] / 1e6:.1f} MB,"
        f" {facts['bytes'] / facts['frames'] / 1e3:.0f} kB a frame",
        "draws",
    ]
    lines += [f"  {factor:<11} {', '.join(names)}" for factor, names in facts["draws"].items()]
    lines += _asked_lines(facts)
    lines += _coverage_lines(facts["coverage"])
    lines.append(
        f"categories (id, name, objects, visible, share); as diverse as {facts['even_categories']:.1f} equally frequent"
    )
    width = max((len(c["name"]) for c in facts["categories"]), default=0)
    lines += [
        f"  {c['id']:>3}  {c['name']:<{width}}  {c['objects']:>6} {c['visible']:>6} {c['share']:>7.1%}"
        + (f" of {c['asked']:.1%} asked of its group" if "asked" in c else "")
        for c in facts["categories"]
    ]
    return "\n".join(lines)


def _progress(facts: dict[str, Any]) -> list[str]:
    done, frames = facts["frames_done"], facts["frames"]
    gaps = [f"{first} to {last}" if last > first else f"{first}" for first, last in facts["missing"]]
    more = f" and {len(gaps) - _GAPS} more gaps" if len(gaps) > _GAPS else ""
    goes_on = [f"go on       {facts['command']}"]
    if facts["writer"]:
        goes_on = [f"at work     process {facts['writer']} is making the rest now"]
    elif not facts["command_whole"]:
        goes_on.append("            (scene.yaml: the scene definition that it was begun with)")
    return [
        f"{facts['path']}: not finished, {done} of {frames} frames ({done / frames:.0%}) in {facts['shards_done']} of"
        f" {facts['shards']} shards, {facts['bytes'] / 1e6:.1f} MB",
        f"missing     frames {', '.join(gaps[:_GAPS])}{more}",
        *([f"damaged     {', '.join(facts['damaged'][:_GAPS])}: gone or cut since"] if facts["damaged"] else []),
        *goes_on,
        f"made by     simgen {facts['simgen']}, scene {facts['scene']}, seed {facts['seed']},"
        f" renderer {facts['renderer']} on {facts['device']}",
        f"passes      {', '.join(facts['passes'])}",
        *_asked_lines(facts),
    ]


def _asked_lines(facts: dict[str, Any]) -> list[str]:
    """What came of targets and requirements."""
    lines = ["targets (frames drawn for it, showing it; cameras drawn)"] if facts["targets"] else []
    for name, t in facts["targets"].items():
        wanted = "" if t["share"] is None else f", {t['share_met']:.1%} of all frames of {t['share']:.1%} asked"
        lines.append(f"  {name:<20} {t['frames']:>6} {t['met']:>6} {t['takes']:>7}{wanted}")
    if facts["required"] is not None:
        r = facts["required"]
        lines.append(f"required    {r['met']} of {r['frames']} frames are as required ({r['takes']} cameras drawn)")
    return lines


def _coverage_lines(found: Sequence[dict[str, Any]]) -> list[str]:
    """A line for each drawn variable; the widest part of the names comes first."""
    if not found:
        return []
    lines = ["coverage (draws; equally likely bins with a draw; largest deviation of shares; thin bins)"]
    names = [f"{c['factor']}/{c['name']}" + (f" ({c['camera']})" if c["camera"] else "") for c in found]
    width = max(map(len, names))
    for name, c in zip(names, found, strict=True):
        thin = [t if isinstance(t, str) else _range(t) for t in c["thin"][:_SHOWN]]
        more = ["..."] if len(c["thin"]) > _SHOWN else []
        told = f"; thin: {', '.join([*thin, *more])}" if thin else ""
        lines.append(f"  {name:<{width}} {c['draws']:>7}  {c['hit']:>2}/{c['bins']:<2}  {c['deviation']:.3f}{told}")
    return lines


def _range(ends: Sequence[float]) -> str:
    low, high = (f"{end:.3g}" for end in ends)
    return low if low == high else f"{low} to {high}"

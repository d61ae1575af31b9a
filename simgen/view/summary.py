"""The facts of a dataset, as data and as text for people."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from simgen.shards.reader import Dataset


def summarize(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What the dataset at ``path`` holds, JSON-able. Raises DatasetError when it is none."""
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
        return {
            "path": str(path),
            "simgen": manifest.simgen,
            "scene": manifest.config.get("scene", {}).get("name", ""),
            "seed": manifest.seed,
            "renderer": manifest.renderer,
            "device": manifest.device,
            "frames": len(data),
            "scenes": -(-len(data) // manifest.frames_per_scene),
            "frames_per_scene": manifest.frames_per_scene,
            "image": list(first.images["rgb" if "rgb" in first.images else data.passes[0]].shape[:2][::-1]),
            "passes": list(data.passes),
            "traces": list(data.trace_names()),
            "draws": {factor: list(columns) for factor, columns in data.draw_names().items()},
            "categories": [
                {"id": i, "name": name, "objects": objects[name], "visible": seen[name]} for i, name in names.items()
            ],
            "objects_per_frame": len(visibility) / len(data),
            "visib_fract_quartiles": np.quantile(visibility, [0.25, 0.5, 0.75]).tolist() if visibility else [],
            "removed_bodies": sum(shard.removed for shard in manifest.shards),
            "omitted_objects": sum(shard.omitted for shard in manifest.shards),
            "unsettled_scenes": sum(shard.unsettled for shard in manifest.shards),
            "redrawn_scenes": sum(shard.redrawn for shard in manifest.shards),
            "shards": len(manifest.shards),
            "bytes": sum(shard.bytes for shard in manifest.shards),
        }


def text(facts: dict[str, Any]) -> str:
    """``summarize``'s facts for reading."""
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
    lines.append("categories (id, name, objects, visible)")
    width = max((len(c["name"]) for c in facts["categories"]), default=0)
    lines += [f"  {c['id']:>3}  {c['name']:<{width}}  {c['objects']:>6} {c['visible']:>6}" for c in facts["categories"]]
    return "\n".join(lines)

"""Small data for tests of learning: datasets on disk, and sources in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from fake_scenes import make_frame, make_record, make_simulation

from simgen.learn.sample import Objects, Sample, objects
from simgen.shards import manifest as manifests
from simgen.shards.manifest import Category, Manifest, ShardEntry
from simgen.shards.schema import SCHEMA
from simgen.shards.writer import Options, Origin, ShardWriter

PER_SCENE, PER_SHARD = 4, 8
COLORS = {"red": (220, 40, 40), "green": (40, 200, 40), "blue": (40, 60, 220)}


def write_dataset(folder: Path, frames: int = 28, seed: int = 0) -> Path:
    """Scenes of four frames in shards of eight, of the category "thing"."""
    origin = Origin("0.1.0", {"scene": "fake"}, seed, "raster", "cpu")
    (folder / "shards").mkdir(parents=True)
    made = [make_frame(make_record(seed, i // PER_SCENE), i % PER_SCENE, i) for i in range(frames)]
    entries = []
    for index, first in enumerate(range(0, frames, PER_SHARD)):
        part = made[first : first + PER_SHARD]
        with ShardWriter(folder / manifests.shard_file(index), len(part), origin, Options()) as writer:
            for frame in part:
                if frame.index % PER_SCENE == 0:
                    record = make_record(seed, frame.scene)
                    writer.add_scene(record, make_simulation(record))
                writer.add(frame)
            written = writer.finish()
        file = manifests.shard_file(index)
        entries.append(ShardEntry(index, file, first, len(part), "complete", written.bytes, written.checksum))
    manifests.save(
        folder,
        Manifest(
            SCHEMA, "0.1.0", {"scene": "fake"}, "", "", seed, "raster", "cpu", list(made[0].images),
            [Category(1, "thing")], frames, PER_SCENE, PER_SHARD, entries,
        ),
    )  # fmt: skip
    return folder


class Memory:
    """A source of samples that a function draws."""

    def __init__(
        self, count: int, classes: tuple[str, ...], draw: Callable[[int], Sample], name: str = "memory"
    ) -> None:
        self.name, self.classes = name, classes
        self.samples = [draw(k) for k in range(count)]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]

    def objects(self, index: int) -> Objects:
        return self.samples[index].objects

    def group(self, index: int) -> str:
        return str(index // 2)


def squares(count: int, side: int = 64, seed: int = 0, most: int = 3, name: str = "squares") -> Memory:
    """Grey noise with some coloured rectangles that do not overlap; classes are colours."""

    def draw(k: int) -> Sample:
        rng = np.random.default_rng((seed, k))
        image = rng.integers(90, 130, (side, side, 3), dtype=np.uint8)
        semantic = np.zeros((side, side), np.uint8)
        boxes, labels = [], []
        for _ in range(int(rng.integers(1, most + 1))):
            w, h = rng.integers(side // 5, side // 3, 2)
            x, y = rng.integers(0, side - w), rng.integers(0, side - h)
            if semantic[max(y - 2, 0) : y + h + 2, max(x - 2, 0) : x + w + 2].any():
                continue
            label = int(rng.integers(3))
            image[y : y + h, x : x + w] = list(COLORS.values())[label]
            semantic[y : y + h, x : x + w] = label + 1
            boxes.append((x, y, w, h))
            labels.append(label)
        facts = {"parity": k % 2}
        return Sample(image, objects(boxes, labels), f"{name}{k}", semantic, facts=facts)

    return Memory(count, tuple(COLORS), draw, name)


def arrows(count: int, seed: int = 0) -> Memory:
    """A wedge whose direction is its azimuth, and the rotation about the camera's axis by it."""

    def draw(k: int) -> Sample:
        angle = float(np.random.default_rng((seed, k)).uniform(-np.pi, np.pi))
        image = np.full((48, 48, 3), 60, np.uint8)
        tip = (24 + 20 * np.cos(angle), 24 + 20 * np.sin(angle))
        cv2.line(image, (24, 24), (int(tip[0]), int(tip[1])), (240, 200, 60), 5)
        c, s = np.cos(angle), np.sin(angle)
        R = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
        return Sample(image, objects([(0, 0, 48, 48)], [0], azimuth=[angle], rotation=[R]), f"arrow{k}")

    return Memory(count, ("arrow",), draw, "arrows")

"""Replay says "identical" of identical frames, and names what is not."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from fake_scenes import FakeSource, make_simulation

from simgen.config import from_plain
from simgen.errors import DatasetError
from simgen.generate.job import render
from simgen.generate.replay import Difference, replay
from simgen.labels.frame import Frame
from simgen.scene.record import SceneRecord
from simgen.scene.state import Simulation

FRAMES = 10


def dataset(folder: Path, **output: Any) -> Path:
    plain = {
        "out": str(folder),
        "frames": FRAMES,
        "workers": 1,
        "scene": {"name": "fake", "cameras": {"main": {"views": 4}}},
        "output": {"frames_per_shard": 8, **output},
    }
    render(from_plain(plain), None, FakeSource)
    return folder


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset(tmp_path_factory.mktemp("plain") / "d")


def test_every_frame_is_identical(plain: Path) -> None:
    for frame in range(FRAMES):
        assert replay(plain, frame, open_source=FakeSource) == []


@pytest.mark.parametrize("codec", ["png", "jpeg"])
def test_coded_colour_is_compared_as_coded(tmp_path: Path, codec: str) -> None:
    folder = dataset(tmp_path / "d", rgb_codec=codec, jpeg_quality=60)
    assert replay(folder, 5, open_source=FakeSource) == []


def test_frames_that_are_not_there(plain: Path) -> None:
    for frame in (-1, FRAMES):
        with pytest.raises(DatasetError, match="frames 0 to 9, there is no frame"):
            replay(plain, frame, open_source=FakeSource)


def source_with(change: Callable[[Frame], Frame]) -> type[FakeSource]:
    class Changed(FakeSource):
        def frames(self, record: SceneRecord, simulation: Simulation, wanted: Sequence[int]) -> Iterator[Frame]:
            return map(change, super().frames(record, simulation, wanted))

    return Changed


def _next_float(images: dict[str, Any], name: str) -> dict[str, Any]:
    image = images[name].copy()
    image[3, 4] = np.nextafter(image[3, 4], np.float32(9))
    return {**images, name: image}


def _objects(frame: Frame, **columns: Any) -> Frame:
    return dataclasses.replace(frame, objects=dataclasses.replace(frame.objects, **columns))


# Frame 5 has objects, as its scene's record says.
CHANGES: dict[str, Callable[[Frame], Frame]] = {
    "images/depth": lambda f: dataclasses.replace(f, images=_next_float(f.images, "depth")),
    "images/rgb": lambda f: dataclasses.replace(f, images={**f.images, "rgb": f.images["rgb"] ^ 1}),
    "K": lambda f: dataclasses.replace(f, K=f.K + 1e-13),
    "T_world_cam": lambda f: dataclasses.replace(f, T_world_cam=-f.T_world_cam),
    "time": lambda f: dataclasses.replace(f, time=f.time + 1e-12),
    "camera": lambda f: dataclasses.replace(f, camera="other"),
    "objects/T_cam_obj": lambda f: _objects(f, T_cam_obj=f.objects.T_cam_obj * (1 + 1e-15)),
    "objects/px_full": lambda f: _objects(f, px_full=f.objects.px_full.astype(np.int64)),
    "objects/mask_full": lambda f: _objects(f, mask_full=(b"x", *f.objects.mask_full[1:])),
    "draws/sensor/exposure": lambda f: dataclasses.replace(
        f, draws={**f.draws, "sensor": {**f.draws["sensor"], "exposure": 0.25}}
    ),
    "draws/sensor/rare": lambda f: dataclasses.replace(
        f, draws={**f.draws, "sensor": {k: v for k, v in f.draws["sensor"].items() if k != "rare"}}
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_the_smallest_difference_is_found(plain: Path, what: str) -> None:
    with h5py.File(plain / "shards" / "shard-000000.h5") as file:
        assert file["objects/offsets"][6] > file["objects/offsets"][5]
    found = replay(plain, 5, open_source=source_with(CHANGES[what]))
    assert [difference.array for difference in found] == [what]


def test_counts_and_sizes_are_told(plain: Path) -> None:
    (found,) = replay(plain, 5, open_source=source_with(CHANGES["images/rgb"]))
    assert found == Difference("images/rgb", f"{48 * 64 * 3} of {48 * 64 * 3} values differ, by up to 1")


def test_a_different_trace_is_found(plain: Path) -> None:
    class Shaken(FakeSource):
        def simulate(self, record: SceneRecord) -> Simulation:
            simulation = make_simulation(record)
            imu = simulation.traces["imu"]
            shaken = dataclasses.replace(imu, value=imu.value + 1e-12)
            return dataclasses.replace(simulation, traces={**simulation.traces, "imu": shaken})

    assert [d.array for d in replay(plain, 5, open_source=Shaken)] == ["traces/imu/value"]


def test_other_assets_are_named_as_the_cause(plain: Path, tmp_path: Path) -> None:
    (tmp_path / "assets").write_text("others")
    assert replay(plain, 5, [tmp_path], FakeSource) == []
    found = replay(plain, 5, [tmp_path], source_with(CHANGES["K"]))
    assert [difference.array for difference in found] == ["assets", "K"]

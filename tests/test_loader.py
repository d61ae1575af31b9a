"""Reading datasets fast: all readers give the same frames, in every kind of process, epoch after epoch."""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from learn_data import write_dataset

from simgen.bench.loaders import SELECTIONS, PngFolder, item_of, make_copies, measure, webdataset
from simgen.cli import view as commands
from simgen.errors import DatasetError
from simgen.learn.shards import ShardDataset
from simgen.shards.reader import Dataset

FRAMES = 28
METHODS = sorted(set(multiprocessing.get_all_start_methods()) & {"fork", "spawn"})
quiet = pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded:DeprecationWarning",
    # WebDataset leaves its tar files to the garbage collector.
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("loader") / "d", FRAMES)


def key_of(frame: Any) -> tuple[int, int]:
    """Which frame it is, and what is in it."""
    return frame.index, int(frame.images["rgb"].astype(np.int64).sum())


def expected(folder: Path) -> list[tuple[int, int]]:
    with Dataset(folder) as data:
        return [key_of(frame) for frame in data]


@quiet
def test_all_readers_give_the_same_arrays(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("webdataset", reason="webdataset is not installed")
    passes = SELECTIONS["color+ids+depth"]
    copies = make_copies(folder, tmp_path / "copies", passes)
    assert copies.count == FRAMES
    shards, png = ShardDataset(folder, passes, item_of), PngFolder(copies)
    tars = {kind: list(webdataset(copies.tars(kind), passes, shuffle=False)) for kind in ("png", "jpg")}
    assert len(png) == len(tars["png"]) == len(tars["jpg"]) == FRAMES
    with Dataset(folder) as data:
        for n in range(FRAMES):
            wanted = data.images(n, passes)
            for item in (shards[n], png[n], tars["png"][n], tars["jpg"][n]):
                assert {name: a.dtype for name, a in item.items() if name != "__key__"} == {
                    "rgb": np.uint8, "instance": np.int32, "depth": np.float32,
                }  # fmt: skip
                np.testing.assert_array_equal(item["instance"], wanted["instance"])
                np.testing.assert_allclose(item["depth"], wanted["depth"], rtol=0, atol=6e-5)  # PNGs have steps
            for item in (shards[n], tars["png"][n]):
                np.testing.assert_array_equal(item["depth"], wanted["depth"])
            for item in (shards[n], png[n], tars["png"][n]):
                np.testing.assert_array_equal(item["rgb"], wanted["rgb"])
    gc.collect()


@quiet
def test_figures_are_of_all_readers_and_counts_of_workers(folder: Path) -> None:
    pytest.importorskip("torch", reason="PyTorch is an optional part")
    pytest.importorskip("webdataset", reason="webdataset is not installed")
    figures = measure(folder, frames=10, workers=1, batch=4, rounds=1)
    json.dumps(figures)
    assert figures["dataset"] == {"frames": 16, "size": "64x48", "rgb_codec": "raw"}  # two shards of eight
    found = Counter((row["selection"], row["workers"]) for row in figures["rows"])
    assert found == {(selection, workers): 5 for selection in SELECTIONS for workers in (0, 1)}
    assert all(row["frames_per_second"] > 0 for row in figures["rows"])
    rate = {(r["reader"], r["selection"], r["workers"]): r["frames_per_second"] for r in figures["rows"]}
    ratio = figures["ratios"]["shards/png folder, random, color, 0 workers"]
    wanted = rate["shards, random", "color", 0] / rate["png folder, random", "color", 0]
    assert ratio == pytest.approx(wanted, abs=0.006)
    gc.collect()


@quiet
def test_without_pytorch_the_plain_reader_is_measured(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in ("torch", "webdataset") else real(name)
    )
    figures = measure(folder, frames=FRAMES, rounds=1)
    assert {row["reader"] for row in figures["rows"]} == {"shards, random", "png folder, random", "shards, stream"}
    assert {row["workers"] for row in figures["rows"]} == {0}


def test_a_dataset_without_colour_has_no_figures(folder: Path, tmp_path: Path) -> None:
    from simgen.shards import manifest as manifests

    manifest = manifests.load(folder)
    manifest.passes = ["depth"]
    (tmp_path / "shards").symlink_to(folder / "shards", target_is_directory=True)
    manifests.save(tmp_path, manifest)
    with pytest.raises(DatasetError, match="no colour"):
        measure(tmp_path)


@pytest.mark.parametrize("method", METHODS)
@quiet
def test_several_epochs_of_workers_that_live_on_give_every_frame(folder: Path, method: str) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is an optional part")
    from simgen.learn.stream import ShardStream

    wanted = expected(folder)
    data = ShardDataset(folder, ["rgb"], key_of)
    assert data[5] == wanted[5]  # a file is open before the workers start
    stream = ShardStream(folder, ["rgb"], key_of, buffer=5)
    for source, shuffle in ((data, True), (stream, None)):
        loader = torch.utils.data.DataLoader(
            source, 4, shuffle, num_workers=2, multiprocessing_context=method, persistent_workers=True, collate_fn=list
        )
        for _ in range(3):
            items = [item for batch in loader for item in batch]
            assert sorted(items) == wanted
            assert items != wanted
    assert data[5] == wanted[5]


@pytest.mark.parametrize("world", [2, 3])
@quiet
def test_distributed_samplers_divide_the_frames(folder: Path, world: int) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is an optional part")
    data = ShardDataset(folder, ["rgb"], key_of)
    orders = []
    for epoch in range(2):
        ranks = []
        for rank in range(world):
            sampler = torch.utils.data.DistributedSampler(data, world, rank, shuffle=True, seed=3)
            sampler.set_epoch(epoch)
            loader = torch.utils.data.DataLoader(data, 4, sampler=sampler, num_workers=rank % 2, collate_fn=list)
            ranks.append([item for batch in loader for item in batch])
        assert len({len(rank) for rank in ranks}) == 1
        assert {item for rank in ranks for item in rank} == set(expected(folder))
        assert sum(map(len, ranks)) - FRAMES < world  # the sampler repeats some so that ranks are even
        orders.append(ranks)
    assert orders[0] != orders[1]


def test_memory_does_not_grow_with_epochs(folder: Path) -> None:
    psutil = pytest.importorskip("psutil", reason="psutil is not installed")
    data = ShardDataset(folder)
    process = psutil.Process(os.getpid())

    def epochs(count: int) -> int:
        for _ in range(count):
            for n in np.random.default_rng(0).permutation(FRAMES).tolist():
                data[n]
        gc.collect()
        return int(process.memory_info().rss)

    before = epochs(5)
    frame = sum(image.nbytes for image in data[0].images.values())
    assert epochs(40) - before < 40 * FRAMES * frame / 20  # a twentieth of what was read


def test_the_command_prints_json(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import argparse

    import simgen.bench.loaders

    asked: list[Any] = []
    monkeypatch.setattr(simgen.bench.loaders, "measure", lambda *args: asked.append(args) or {"rows": []})
    parser = argparse.ArgumentParser()
    run = commands.bench_data(parser)
    assert run(parser.parse_args([str(folder), "--frames", "9", "--workers", "2"])) == 0
    assert asked == [(folder, 9, 2, 16, 3)]
    assert json.loads(capsys.readouterr().out) == {"rows": []}

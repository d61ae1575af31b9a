"""Frames of shards for PyTorch: what is read, in which order, by which process."""

from __future__ import annotations

import importlib
import multiprocessing
import pickle
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from learn_data import write_dataset

from simgen.errors import DatasetError
from simgen.labels.frame import Frame
from simgen.learn.errors import LearnError
from simgen.learn.sample import Joined, Subset
from simgen.learn.shard_source import ShardSource, azimuth
from simgen.learn.shards import ShardDataset, ShardFiles, order
from simgen.learn.split import first, split
from simgen.shards.reader import Dataset

torch = pytest.importorskip("torch", reason="PyTorch is an optional part")
FRAMES = 28


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("learn") / "d", FRAMES)


def index_and_mean(frame: Frame) -> tuple[int, float]:
    return frame.index, float(frame.images["rgb"].mean())


def test_frames_are_those_of_the_reader_with_the_wanted_passes_only(folder: Path) -> None:
    data = ShardDataset(folder, ["depth", "rgb"])
    with Dataset(folder) as whole:
        assert len(data) == len(whole)
        for k in (0, 13, FRAMES - 1, -1):
            assert set(data[k].images) == {"depth", "rgb"}
            assert data[k].index == whole[k].index
            np.testing.assert_array_equal(data[k].images["depth"], whole[k].images["depth"])
            np.testing.assert_array_equal(data[k].objects.T_cam_obj, whole[k].objects.T_cam_obj)
    with pytest.raises(IndexError, match=f"frames 0 to {FRAMES - 1}"):
        data[FRAMES]


def test_the_lines_of_the_readme(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What they import is there, and their loader gives the frames, all of them once."""
    text = (Path(__file__).parents[1] / "README.md").read_text()
    [lines] = re.findall(r"```python\n(from simgen.learn.*?)```", text, re.DOTALL)
    [module, name] = re.findall(r"# ([\w.]+)\.(\w+) for streaming", lines)[0]
    assert hasattr(importlib.import_module(module), name)
    monkeypatch.chdir(folder.parent)
    found: dict[str, Any] = {}
    exec(lines.replace('"data"', repr(folder.name)).replace('"instance"', '"depth"'), found)
    batches = list(found["loader"])
    assert sorted(frame.index for batch in batches for frame in batch) == list(range(FRAMES))
    assert set(batches[0][0].images) == {"rgb", "depth"}


def test_few_open_files_are_enough(folder: Path) -> None:
    few, many = ShardDataset(folder, ["rgb"]), ShardDataset(folder, ["rgb"])
    few.files._most_open = 1
    for k in (0, 27, 3, 14, 1):
        np.testing.assert_array_equal(few[k].images["rgb"], many[k].images["rgb"])
    assert len(few.files._open) == 1


def test_boxes_of_rendered_objects_can_get_the_air_of_annotators(folder: Path) -> None:
    exact, wide = ShardSource(folder), ShardSource(folder, box_margin=0.25)
    compared = 0
    for k in range(FRAMES):
        for (x, y, w, h), found in zip(exact.objects(k).boxes, wide.objects(k).boxes, strict=True):
            air = 0.25 * max(w, h)
            np.testing.assert_allclose(found, [x - air, y - air, w + 2 * air, h + 2 * air])
            compared += 1
    assert compared > FRAMES


def test_several_datasets_follow_one_another(folder: Path, tmp_path: Path) -> None:
    other = write_dataset(tmp_path / "e", 6, seed=1)
    data = ShardDataset([folder, other], ["rgb"])
    assert len(data) == FRAMES + 6
    np.testing.assert_array_equal(data[FRAMES + 2].images["rgb"], ShardDataset(other)[2].images["rgb"])
    assert [data.files.scene(k) for k in (0, 5, FRAMES, FRAMES + 5)] == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_an_unknown_pass_is_refused(folder: Path) -> None:
    with pytest.raises(DatasetError, match="no pass lidar"):
        ShardDataset(folder, ["lidar"])


@pytest.mark.parametrize("method", sorted(set(multiprocessing.get_all_start_methods()) & {"fork", "spawn"}))
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_workers_give_what_one_process_gives(folder: Path, method: str) -> None:
    data = ShardDataset(folder, ["rgb"], index_and_mean)
    expected = [data[k] for k in range(FRAMES)]  # files are open before the fork
    loader = torch.utils.data.DataLoader(
        data, batch_size=None, num_workers=2, multiprocessing_context=method, shuffle=False
    )
    assert [tuple(item) for item in loader] == expected
    assert data[3] == expected[3]


def test_a_pickled_dataset_carries_no_open_file(folder: Path) -> None:
    data = ShardDataset(folder, ["rgb"])
    data[0]
    again = pickle.loads(pickle.dumps(data))
    np.testing.assert_array_equal(again[5].images["rgb"], data[5].images["rgb"])


def test_every_frame_is_in_one_share_and_the_order_depends_on_seed_and_epoch_only(folder: Path) -> None:
    files = ShardFiles(folder)
    for parts in (1, 2, 3, 5):
        shares = [list(order(files, 7, 0, 4, part, parts)) for part in range(parts)]
        counts = Counter(place for share in shares for place in share)
        assert len(counts) == FRAMES
        assert set(counts.values()) == {1}
        assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert list(order(files, 7, 0, 4)) == list(order(files, 7, 0, 4))
    assert list(order(files, 7, 0, 4)) != list(order(files, 7, 1, 4))
    assert list(order(files, 7, 0, 4)) != list(order(files, 8, 0, 4))
    assert [place for place, _ in order(files, 7, 0, 4)] != sorted(place for place, _ in order(files, 7, 0, 4))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("world", [1, 3])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_stream_gives_each_frame_once_over_ranks_and_workers(folder: Path, workers: int, world: int) -> None:
    from simgen.learn.stream import ShardStream

    def epoch(number: int, even: bool) -> list[list[int]]:
        found = []
        for rank in range(world):
            stream = ShardStream(folder, ["rgb"], index_and_mean, seed=3, buffer=6, rank=rank, world=world, even=even)
            stream.set_epoch(number)
            items = [int(i) for i, _ in torch.utils.data.DataLoader(stream, batch_size=None, num_workers=workers)]
            assert len(items) == len(stream)
            found.append(items)
        return found

    ranks = epoch(0, even=False)
    assert sorted(k for rank in ranks for k in rank) == list(range(FRAMES))
    assert epoch(0, even=False) == ranks
    assert epoch(1, even=False) != ranks
    assert {len(rank) for rank in epoch(0, even=True)} == {FRAMES // world}


def test_samples_have_the_visible_objects_of_the_chosen_classes(folder: Path) -> None:
    source = ShardSource(folder, masks=True, min_visib=0.9, facts=True)
    assert source.classes == ("thing",)
    with Dataset(folder) as whole:
        for k in range(8):
            table, sample = whole[k].objects, source[k]
            seen = table.px_visib > 0
            np.testing.assert_array_equal(sample.objects.boxes, table.bbox_visib[seen])
            np.testing.assert_array_equal(sample.objects.ignore, table.visib_fract[seen] < 0.9)
            assert sample.semantic is not None
            np.testing.assert_array_equal(sample.semantic > 0, whole[k].images["instance"] > 0)
            assert sample.facts["lighting/count"] == whole[k].draws["lighting"]["count"]
            assert source.objects(k).labels.tolist() == [0] * int(seen.sum())
    assert source.group(3) == source.group(0) != source.group(4)
    with pytest.raises(LearnError, match=r"did you mean \"thing\""):
        ShardSource(folder, ["thin"])


def test_azimuth_is_where_the_camera_stands_around_the_object() -> None:
    for angle in (-2.5, -0.4, 0.0, 1.2, 3.0):
        position = np.array([2 * np.cos(angle), 2 * np.sin(angle), 0.7])  # in the object's frame
        forward = -position / np.linalg.norm(position)
        right = np.cross(forward, [0, 0, 1.0])
        right /= np.linalg.norm(right)
        R = np.stack([right, np.cross(forward, right), forward])  # object to camera
        T = np.eye(4)
        T[:3, :3], T[:3, 3] = R, -R @ position
        np.testing.assert_allclose(azimuth(T[None])[0], angle, atol=1e-12)


def test_azimuth_goes_on_over_the_zenith() -> None:
    """A camera that swings over an object keeps its angle; a camera turned about its axis above one changes it."""

    def looking(elevation: float, turn: float = 0.0) -> np.ndarray:
        along = np.array([np.cos(elevation), 0.0, np.sin(elevation)])
        forward, right = -along, np.array([0.0, 1.0, 0.0])
        down = np.cross(forward, right)
        right, down = np.cos(turn) * right + np.sin(turn) * down, np.cos(turn) * down - np.sin(turn) * right
        R = np.stack([right, down, forward])
        T = np.eye(4)
        T[:3, :3], T[:3, 3] = R, -R @ along
        return T

    swing = np.stack([looking(e) for e in np.radians([-30, 0, 45, 89, 90, 91, 110])])
    np.testing.assert_allclose(azimuth(swing), 0, atol=1e-12)
    above = np.stack([looking(np.pi / 2, turn) for turn in (-2.0, -0.3, 1.0)])
    np.testing.assert_allclose(np.abs(azimuth(above)), [2.0, 0.3, 1.0], atol=1e-12)
    np.testing.assert_allclose(azimuth(above)[0], -2 * azimuth(above)[2], atol=1e-12)


def test_a_split_divides_whole_groups_and_smaller_choices_are_within_larger_ones(folder: Path) -> None:
    source = ShardSource(folder)
    kept, held = split(source, 0.3, seed=1)
    assert len(kept) + len(held) == FRAMES
    assert len(held) == 8  # two of the seven scenes of four
    assert not {kept.group(k) for k in range(len(kept))} & {held.group(k) for k in range(len(held))}
    again = split(source, 0.3, seed=1)[1]
    assert isinstance(held, Subset)
    assert isinstance(again, Subset)
    assert again.indices == held.indices
    joined, apart = split(Joined([source, source], [1, 2]), 0.3, seed=1)
    assert isinstance(joined, Joined)
    assert (joined.weights, len(joined), len(apart)) == ((1, 2), 2 * len(kept), 2 * len(held))
    assert set(first(source, 5, 0).indices) < set(first(source, 9, 0).indices)

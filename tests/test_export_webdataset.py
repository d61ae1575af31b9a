"""WebDataset exports: tar files by the rules of the format, and by the webdataset package where it is installed."""

from __future__ import annotations

import gc
import io
import json
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from analytic_scenes import HEIGHT, VIEWS, WIDTH, scenes, write_dataset

from simgen.export import export
from simgen.labels.rle import decode
from simgen.shards.reader import Dataset

FRAMES = VIEWS * len(scenes())


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "d")


@pytest.fixture(scope="module")
def folder(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wds") / "o"
    export(dataset, out, "webdataset", split="train:0.7,val:0.3", frames_per_tar=6, workers=1)
    return out


def test_tar_files_hold_whole_samples(dataset: Path, folder: Path) -> None:
    index = json.loads((folder / "dataset.json").read_text())
    assert [entry["frames"] for entry in index["splits"]["train"]] == [6, 6, 2]
    assert [entry["file"] for entry in index["splits"]["val"]] == ["val-000000.tar"]
    keys = []
    with Dataset(dataset) as data:
        for path in sorted(folder.glob("*.tar")):
            with tarfile.open(path) as tar:
                members = {m.name: tar.extractfile(m).read() for m in tar}  # type: ignore[union-attr]
                order = list(dict.fromkeys(name.split(".")[0] for name in members))
                assert [name.split(".")[0] for name in members] == [key for key in order for _ in range(5)]
                assert all(m.mtime == 0 for m in tar.getmembers())
            for key in order:
                frame = data[int(key)]
                keys.append(int(key))
                rgb = cv2.imdecode(np.frombuffer(members[f"{key}.png"], np.uint8), cv2.IMREAD_COLOR)
                np.testing.assert_array_equal(rgb[..., ::-1], frame.images["rgb"])
                for name in ("depth", "instance", "semantic"):
                    image = np.load(io.BytesIO(members[f"{key}.{name}.npy"]))
                    assert image.dtype == frame.images[name].dtype
                    np.testing.assert_array_equal(image, frame.images[name])
                facts = json.loads(members[f"{key}.json"])
                np.testing.assert_array_equal(facts["K"], frame.K)
                np.testing.assert_array_equal(facts["T_world_cam"], frame.T_world_cam)
                assert facts["draws"] == frame.draws
                rows = np.flatnonzero(frame.objects.px_visib > 0)
                assert [o["instance_id"] for o in facts["objects"]] == (rows + 1).tolist()
                for entry, k in zip(facts["objects"], rows, strict=True):
                    np.testing.assert_array_equal(entry["T_cam_obj"], frame.objects.T_cam_obj[k])
                    assert entry["bbox_visib"] == frame.objects.bbox_visib[k].tolist()
                    mask = decode(entry["mask_visib"]["counts"].encode(), HEIGHT, WIDTH)
                    np.testing.assert_array_equal(mask, frame.images["instance"] == k + 1)
                    full = decode(entry["mask_full"]["counts"].encode(), HEIGHT, WIDTH)
                    assert (full | ~mask).all()
    assert sorted(keys) == list(range(FRAMES))


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the package leaves files to the garbage collector
def test_the_package_reads_and_shuffles(folder: Path) -> None:
    wds = pytest.importorskip("webdataset", reason="webdataset is not installed")
    files = str(folder / "train-{000000..000002}.tar")

    def read(seed: int | None) -> list[dict]:
        pipeline = wds.WebDataset(files, shardshuffle=False, empty_check=False)
        if seed is not None:
            pipeline = pipeline.shuffle(100, seed=seed)
        return list(pipeline.decode("rgb8"))

    straight, shuffled = read(None), read(5)
    gc.collect()
    assert len(straight) == 14
    order, mixed = [s["__key__"] for s in straight], [s["__key__"] for s in shuffled]
    assert order == sorted(order)
    assert mixed != order
    assert sorted(mixed) == order
    sample = straight[0]
    assert sample["png"].shape == (HEIGHT, WIDTH, 3)
    assert sample["png"].dtype == np.uint8
    assert sample["depth.npy"].dtype == np.float32
    assert sample["json"]["width"] == WIDTH

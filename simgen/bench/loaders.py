"""How fast a dataset is read, against a folder of PNGs and WebDataset of the same frames.

All readers give the same arrays, batched by the same DataLoader where PyTorch is installed. They take turns in one run,
on files that have just been read, so that ratios hold on a busy machine and the disk is not what is measured.
"""

from __future__ import annotations

import functools
import importlib.util
import io
import os
import platform
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from simgen import __version__
from simgen.doctor import processor_name
from simgen.errors import DatasetError
from simgen.labels.frame import Frame
from simgen.learn.shards import ShardDataset, ShardFiles, order
from simgen.processes import available_cores
from simgen.rng import stream
from simgen.shards import manifest as manifests
from simgen.shards.manifest import SHARDS
from simgen.shards.reader import Dataset

Item = dict[str, NDArray[Any]]

SELECTIONS: dict[str, tuple[str, ...]] = {"color": ("rgb",), "color+ids+depth": ("rgb", "instance", "depth")}

DEPTH_STEP = 1e-4
"""Metres of a step of the 16-bit depth PNGs, as in BOP."""

_TARS = 16
"""Into which the frames are divided, so that all workers have some."""


@dataclass(frozen=True)
class Copies:
    """The same frames, ``count`` in all, in other forms below ``folder``."""

    folder: Path
    count: int
    passes: tuple[str, ...]

    @property
    def png(self) -> Path:
        """A folder of PNGs for each pass; depth in 16 bits."""
        return self.folder / "png"

    def tars(self, kind: str) -> list[str]:
        """WebDataset's shards with colour as ``kind`` (png or jpg)."""
        return [str(path) for path in sorted((self.folder / f"wds-{kind}").glob("*.tar"))]


def measure(
    path: str | os.PathLike[str],
    frames: int = 400,
    workers: int | None = None,
    batch: int = 16,
    rounds: int = 3,
) -> dict[str, Any]:
    """All figures, JSON-able.

    An epoch has ``frames`` frames, rounded up to whole shards, or the whole dataset. ``workers`` is the largest number
    of DataLoader workers (default: one a core; without PyTorch, frames are read in this process). ``rounds`` epochs of
    each are timed in turns, after one that is not, and the median counts. Copies of the frames are made in a temporary
    folder. Raises DatasetError when there is no complete dataset.
    """
    with Dataset(path) as data:
        available = {name: p for name, p in SELECTIONS.items() if set(p) <= set(data.passes)}
        shape = next(iter(data.images(0, data.passes[:1]).values())).shape
        codec = str(data.manifest.config.get("output", {}).get("rgb_codec", "raw"))
    if not available:
        raise DatasetError(f"{path} has no colour images; render it with passes=[rgb,...].")
    torch = importlib.util.find_spec("torch") is not None
    most = (available_cores() if workers is None else workers) if torch else 0
    result: dict[str, Any] = {
        "machine": {"processor": processor_name(), "cores": available_cores(), "system": platform.platform()},
        "simgen": __version__,
        "dataset": {"frames": 0, "size": f"{shape[1]}x{shape[0]}", "rgb_codec": codec},
        "loader": f"torch DataLoader, batches of {batch}" if torch else "none (PyTorch is not installed)",
        "rows": [],
    }
    with tempfile.TemporaryDirectory() as folder:
        part = _beginning(Path(path), Path(folder) / "shards", frames)
        with Dataset(part) as data:
            result["dataset"]["frames"] = len(data)
        for name, passes in available.items():
            copies = make_copies(part, Path(folder) / name, passes)
            readers = _readers(part, copies)
            for count in sorted({0, min(1, most), most}):
                result["rows"] += _rows(name, readers, count, batch, rounds, torch)
    result["ratios"] = _ratios(result["rows"])
    return result


def make_copies(path: str | os.PathLike[str], folder: Path, passes: Sequence[str]) -> Copies:
    """Write all frames with ``passes`` as PNGs and as WebDataset (colour as PNG and as JPEG of quality 95)."""
    with Dataset(path) as data:
        copies = Copies(folder, len(data), tuple(passes))
        for name in passes:
            (copies.png / name).mkdir(parents=True)
        per_tar = max(1, -(-len(data) // _TARS))
        for start in range(0, len(data), per_tar):
            frames = range(start, min(start + per_tar, len(data)))
            for kind in ("png", "jpg"):
                _write_tar(data, folder / f"wds-{kind}" / f"{start // per_tar:06d}.tar", kind, frames, passes)
            for index in frames:
                for name, image in data.images(index, passes).items():
                    (copies.png / name / f"{index:08d}.png").write_bytes(_as_png(name, image))
    return copies


def _write_tar(data: Dataset, file: Path, kind: str, frames: Iterable[int], passes: Sequence[str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w") as tar:
        for index in frames:
            for name, image in data.images(index, passes).items():
                if name == "rgb":
                    _add(tar, f"{index:08d}.rgb.{kind}", _as_png(name, image) if kind == "png" else _as_jpeg(image))
                else:
                    _add(tar, f"{index:08d}.{name}.npy", _as_npy(image))


def _beginning(path: Path, folder: Path, frames: int) -> Path:
    """A dataset of the first shards of the one at ``path`` that have ``frames`` frames; files are links."""
    manifest = manifests.load(path)
    count = next((k + 1 for k, s in enumerate(manifest.shards) if s.first + s.frames >= frames), len(manifest.shards))
    del manifest.shards[count:]
    manifest.frames = sum(shard.frames for shard in manifest.shards)
    folder.mkdir()
    (folder / SHARDS).symlink_to((path / SHARDS).resolve(), target_is_directory=True)
    manifests.save(folder, manifest)
    return folder


class PngFolder:
    """Frames from folders of PNGs, by place: what most training code does."""

    def __init__(self, copies: Copies) -> None:
        self.copies = copies

    def __len__(self) -> int:
        return self.copies.count

    def __getitem__(self, place: int) -> Item:
        if not 0 <= place < len(self):
            raise IndexError(place)
        name = f"{place:08d}.png"
        return {p: _from_png(p, (self.copies.png / p / name).read_bytes()) for p in self.copies.passes}


def webdataset(tars: Sequence[str], passes: Sequence[str], shuffle: bool = True) -> Any:
    """A WebDataset pipeline that gives the items of the other readers, with ``__key__``; shuffled unless told."""
    import webdataset as wds

    # Shards are divided over workers; with fewer shards than workers some have nothing to do.
    pipeline = wds.WebDataset(
        list(tars), shardshuffle=len(tars) if shuffle else False, empty_check=False, nodesplitter=wds.split_by_node
    )
    if shuffle:
        pipeline = pipeline.shuffle(100)
    return pipeline.map(functools.partial(_decoded, passes=tuple(passes)))


def item_of(frame: Frame) -> Item:
    """The arrays of a frame as loaders give them; ids as int32, which PyTorch can compute with."""
    return {name: _for_torch(name, image) for name, image in frame.images.items()}


def _readers(path: str | os.PathLike[str], copies: Copies) -> dict[str, Callable[[int], Any]]:
    """Name -> what makes a dataset for an epoch. Names end in how frames are asked for."""

    def tars(kind: str) -> Callable[[int], Any]:
        return lambda epoch: webdataset(copies.tars(kind), copies.passes)

    found: dict[str, Callable[[int], Any]] = {
        "shards, random": lambda epoch: ShardDataset(path, copies.passes, item_of),
        "png folder, random": lambda epoch: PngFolder(copies),
        "shards, stream": lambda epoch: _stream(path, copies, epoch),
    }
    if importlib.util.find_spec("webdataset") is not None:
        found.update({f"webdataset {kind}, stream": tars(kind) for kind in ("png", "jpg")})
    return found


def _stream(path: str | os.PathLike[str], copies: Copies, epoch: int) -> Any:
    """The shuffled stream of the dataset, or the same order read here when there is no PyTorch."""
    if importlib.util.find_spec("torch") is not None:
        from simgen.learn.stream import ShardStream

        return ShardStream(path, copies.passes, item_of)
    return _PlainStream(path, copies.passes, epoch)


class _PlainStream:
    """What ShardStream does, without PyTorch."""

    def __init__(self, path: str | os.PathLike[str], passes: Sequence[str], epoch: int) -> None:
        self.files, self.epoch = ShardFiles(path, passes), epoch

    def __iter__(self) -> Iterator[Item]:
        for place, n in order(self.files, 0, self.epoch, 2048):
            yield item_of(self.files.shard(place).frame(n, self.files.passes))


def _rows(
    selection: str, readers: dict[str, Callable[[int], Any]], workers: int, batch: int, rounds: int, torch: bool
) -> list[dict[str, Any]]:
    rates: dict[str, list[float]] = {name: [] for name in readers}
    loaders = {name: _Loader(make, workers, batch, name.endswith("random"), torch) for name, make in readers.items()}
    for epoch in range(rounds + 1):
        for name, loader in loaders.items():
            rate = loader.rate(epoch)
            if epoch:  # the first brings files into memory and starts what is started once
                rates[name].append(rate)
    return [
        {
            "reader": name,
            "selection": selection,
            "workers": workers,
            "frames_per_second": round(median(each), 1),
            "slowest_and_fastest": [round(min(each), 1), round(max(each), 1)],
        }
        for name, each in rates.items()
    ]


class _Loader:
    """Epochs of one reader. Workers are started once, before the first epoch, and live through all of them."""

    def __init__(self, make: Callable[[int], Any], workers: int, batch: int, random: bool, torch: bool) -> None:
        self.make, self.random = make, random
        self.loader: Any = _torch_loader(make(0), workers, batch, random) if torch else None

    def rate(self, epoch: int) -> float:
        """Frames a second over an epoch."""
        start = time.perf_counter()
        count = sum(len(found["rgb"]) for found in self.loader) if self.loader is not None else self._read(epoch)
        return count / (time.perf_counter() - start)

    def _read(self, epoch: int) -> int:
        """Read an epoch without PyTorch."""
        data = self.make(epoch)
        places = stream(0, epoch, "bench/order").permutation(len(data)).tolist() if self.random else []
        return sum(1 for _ in ((data[k] for k in places) if self.random else data))


def _torch_loader(data: Any, workers: int, batch: int, random: bool) -> Any:
    import torch
    from torch.utils.data import DataLoader

    generator = torch.Generator().manual_seed(0)
    kept = workers > 0
    return DataLoader(
        data, batch, shuffle=random or None, num_workers=workers, generator=generator, persistent_workers=kept
    )


def _ratios(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Shards over the others, of the same selection, workers and way of asking."""
    rate = {(row["reader"], row["selection"], row["workers"]): row["frames_per_second"] for row in rows}
    found = {}
    for (reader, selection, workers), value in rate.items():
        name, way = reader.split(", ")
        if name != "shards":
            ours = rate[f"shards, {way}", selection, workers]
            found[f"shards/{name}, {way}, {selection}, {workers} workers"] = round(ours / value, 2)
    return found


def _decoded(sample: dict[str, Any], passes: Sequence[str]) -> Item:
    found: Item = {}
    for name in passes:
        if name == "rgb":
            found[name] = _from_png(name, sample["rgb.png"] if "rgb.png" in sample else sample["rgb.jpg"])
        else:
            found[name] = _for_torch(name, np.load(io.BytesIO(sample[f"{name}.npy"])))
    return found


def _for_torch(name: str, image: NDArray[Any]) -> NDArray[Any]:
    return image.astype(np.int32) if name == "instance" else image


def _as_png(name: str, image: NDArray[Any]) -> bytes:
    if name == "rgb":
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    elif name == "depth":
        image = np.clip(np.rint(image / DEPTH_STEP), 0, 65535).astype(np.uint16)
    return bytes(cv2.imencode(".png", image)[1].tobytes())


def _as_jpeg(image: NDArray[np.uint8]) -> bytes:
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return bytes(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes())


def _as_npy(image: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, image)
    return stream.getvalue()


def _from_png(name: str, data: bytes) -> NDArray[Any]:
    if name == "rgb":
        bgr = np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))
        return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
    image = np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED))
    return image.astype(np.float32) * np.float32(DEPTH_STEP) if name == "depth" else _for_torch(name, image)


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))

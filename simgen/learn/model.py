"""A trained model: network, classes, input size and normalization in one file, and what it predicts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from simgen import __version__
from simgen.errors import ConfigError
from simgen.learn import decode
from simgen.learn.config import InputConfig
from simgen.learn.errors import LearnError
from simgen.learn.items import View, chosen, looking_at, show, view_of, whole
from simgen.learn.losses import from_six
from simgen.learn.nets import build
from simgen.learn.predictions import Classified, Detected, Posed, Prediction, Segmented
from simgen.learn.sample import Sample, Source, objects
from simgen.scene import fields

FORMAT = 1


@dataclass(eq=False)
class Model:
    """A network with all that is needed to use it.

    ``target`` is what a pose model gives: "azimuth" or "rotation". ``training`` says how it came to be: settings, names
    of the data, score. ``module`` takes float images (B, 3, height, width) of 0 to 255.
    """

    task: str
    classes: tuple[str, ...]
    input: InputConfig
    network_width: int
    target: str
    module: nn.Module
    training: dict[str, Any] = field(default_factory=dict)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.module.parameters()).device

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a file, at once or not at all."""
        state = {name: value.detach().cpu() for name, value in self.module.state_dict().items()}
        content = {
            "format": FORMAT,
            "simgen": __version__,
            "task": self.task,
            "classes": list(self.classes),
            "input": fields.plain(self.input),
            "network": {"width": self.network_width, "target": self.target},
            "training": self.training,
            "state": state,
        }
        write(content, Path(path))


def write(content: dict[str, Any], path: Path) -> None:
    """``torch.save``, at once or not at all; raises LearnError when the file cannot be written."""
    partial = path.with_name(path.name + ".tmp")
    try:
        torch.save(content, partial)
        partial.replace(path)
    except (OSError, RuntimeError) as error:
        partial.unlink(missing_ok=True)
        raise LearnError(f"{path} cannot be written ({' '.join(str(error).split())}).") from None


def create(task: str, classes: Iterable[str], size: InputConfig, network_width: int, target: str, seed: int) -> Model:
    """An untrained model whose weights depend on ``seed`` only."""
    names = tuple(classes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = build(task, len(names), network_width, size.height, size.width, target, size.normalize)
    return Model(task, names, size, network_width, target, module)


def load(path: str | os.PathLike[str], device: str | torch.device = "cpu", task: str | None = None) -> Model:
    """The model in a file that ``Model.save`` wrote.

    Raises LearnError when it is missing, is no such file, or is not for ``task``.
    """
    content = read(Path(path), "a simgen model")
    if content.get("format") != FORMAT or "classes" not in content:
        raise LearnError(f"{path} is not a simgen model that this version reads; train one with simgen train.")
    if task is not None and content.get("task") != task:
        raise LearnError(f"{path} is a model of the task {content.get('task')}, not {task}.")
    try:
        network, size = content["network"], fields.build(InputConfig, content["input"])
        model = create(content["task"], content["classes"], size, network["width"], network["target"], 0)
        model.module.load_state_dict(content["state"])
        model.training = content["training"]
    except (RuntimeError, KeyError, TypeError, ValueError, ConfigError) as error:
        raise LearnError(f"{path} is damaged ({' '.join(str(error).split())[:200]}).") from None
    model.module.to(device).eval()
    return model


def read(path: Path, what: str) -> dict[str, Any]:
    """The dictionary in a file of ``torch.save``, read without running code from it."""
    if not path.is_file():
        raise LearnError(f"there is no file {path}.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:
        # torch.load raises many types for files that are not its own, in words about their bytes.
        content = None
    if not isinstance(content, dict):
        raise LearnError(f"{path} is not {what}, or is damaged; give a file that `simgen train` wrote.")
    return content


def find_device(name: str) -> torch.device:
    """The device called "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1" ...; raises LearnError."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = " ".join(str(error).split())[:120]
        raise LearnError(f"device={name} cannot be used ({reason}); give auto, cpu or cuda:0.") from None
    return device


def predict(model: Model, source: Source) -> Iterator[tuple[Sample, Prediction]]:
    """Each sample of ``source`` and what ``model`` says of it, in order.

    classify and pose look where the model was trained to look: at the whole image, or around the annotated objects.
    """
    model.module.eval()
    batch = _batch(model)
    pending: list[tuple[Sample, list[tuple[int, View]]]] = []
    waiting = 0
    for index in range(len(source)):
        sample = source[index]
        looked = _views(model, sample)
        pending.append((sample, looked))
        waiting += len(looked)
        if waiting >= batch or len(pending) >= 4 * batch:
            yield from _flush(model, pending)
            pending, waiting = [], 0
    yield from _flush(model, pending)


def _batch(model: Model) -> int:
    """Images at a time: many for a GPU; on a CPU as many as leave the layers between in its caches."""
    most = 32
    if model.device.type != "cpu":
        return most
    return max(1, min(most, (1 << 20) // (model.input.height * model.input.width)))


def predict_image(model: Model, image: NDArray[np.uint8]) -> Prediction:
    """What ``model`` says of one image (H, W, 3) uint8 as a whole."""
    view = whole(image, model.input)
    sample = Sample(image, objects(np.zeros((0, 4)), []), "image")
    return next(_flush(model, [(sample, [(0, view)])]))[1]


def _views(model: Model, sample: Sample) -> list[tuple[int, View]]:
    rows = chosen(sample.objects, model.input) if model.task in ("classify", "pose") else [0]
    return [(row, view_of(sample, row, model.task, model.input)) for row in rows]


@torch.inference_mode()
def _flush(model: Model, pending: list[tuple[Sample, list[tuple[int, View]]]]) -> Iterator[tuple[Sample, Prediction]]:
    inputs = [show(sample.image, view, model.input) for sample, looked in pending for _, view in looked]
    output = torch.zeros(0)
    if inputs:
        images = torch.from_numpy(np.stack(inputs)).to(model.device).permute(0, 3, 1, 2).float()
        output = model.module(images).float()
    results = []
    start = 0
    for sample, looked in pending:
        part = output[start : start + len(looked)]
        start += len(looked)
        results.append((sample, _decode(model, sample, looked, part)))
    yield from results


def _decode(model: Model, sample: Sample, looked: list[tuple[int, View]], output: Tensor) -> Prediction:
    rows = np.array([row for row, _ in looked], np.int64)
    if model.task == "detect":
        boxes, scores, labels = decode.detections(output)[0]
        clipped = _clip(looked[0][1].to_source(boxes.cpu().numpy()), sample.image.shape)
        return Detected(clipped, scores.cpu().numpy(), labels.cpu().numpy())
    if model.task == "segment":
        return Segmented(_to_image(output[0], looked[0][1], sample.image.shape, model.input))
    if model.task == "classify":
        empty = np.zeros((0, len(model.classes)), np.float32)
        return Classified(rows, output.softmax(1).cpu().numpy() if len(rows) else empty)
    unknown = np.full(len(rows), np.nan)
    if len(rows) == 0:
        return Posed(rows, unknown, np.zeros((0, 3, 3)), unknown.astype(np.float32))
    if model.target == "azimuth":
        angle, confidence = decode.angles(output)
        nowhere = np.full((len(rows), 3, 3), np.nan)
        return Posed(rows, angle.cpu().numpy().astype(np.float64), nowhere, confidence.cpu().numpy())
    R = from_six(output).cpu().numpy().astype(np.float64)
    if len(sample.objects):
        R = np.stack([looking_at(sample.K, sample.objects.boxes[k]) @ r for k, r in zip(rows, R, strict=True)])
    return Posed(rows, unknown, R, np.ones(len(rows), np.float32))


def _clip(boxes: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Boxes xywh (n, 4), cut to the image."""
    limit = np.array([shape[1], shape[0]], np.float32)
    low = np.clip(boxes[:, :2], 0, limit)
    high = np.clip(boxes[:, :2] + boxes[:, 2:], 0, limit)
    return np.concatenate([low, high - low], 1)


def _to_image(logits: Tensor, view: View, shape: tuple[int, ...], size: InputConfig) -> NDArray[np.uint8]:
    """The most likely class of each pixel of an image of ``shape``, from logits (C, height, width) of its view.

    Logits are enlarged bilinearly before the choice, so that edges are finer than the input's pixels.
    """
    height, width = shape[:2]
    scores = np.ascontiguousarray(logits.permute(1, 2, 0).cpu().numpy())
    # Pixel centres at integers: image x is at ((x + 0.5 - view.x) / scale) - 0.5 of the input.
    offset = ((0.5 - view.x) / view.scale - 0.5, (0.5 - view.y) / view.scale - 0.5)
    back = np.array([[1 / view.scale, 0, offset[0]], [0, 1 / view.scale, offset[1]]])
    best = np.full((height, width), -np.inf, np.float32)
    chosen = np.zeros((height, width), np.uint8)
    for c in range(scores.shape[2]):
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        plane = cv2.warpAffine(scores[:, :, c], back, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        better = plane > best
        best[better] = plane[better]
        chosen[better] = c
    return chosen

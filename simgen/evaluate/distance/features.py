"""Features of images: of a model of ours, or of a network that a user brings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from simgen.evaluate.distance.describe import Extract
from simgen.learn.errors import LearnError
from simgen.learn.items import chosen, show, view_of
from simgen.learn.model import Model
from simgen.learn.nets import deepest
from simgen.learn.sample import Sample


def model_features(model: Model) -> Extract:
    """The mean over the image of the deepest layer of a model, where the model looks: the image, or its object."""
    layer = deepest(model.module)

    @torch.inference_mode()
    def extract(samples: Sequence[Sample]) -> NDArray[np.float64]:
        model.module.eval()
        inputs = []
        for sample in samples:
            rows = chosen(sample.objects, model.input) if model.task in ("classify", "pose") else [0]
            # A picture without an object is looked at as a whole.
            view = view_of(sample, rows[0], model.task if rows else "detect", model.input) if rows else None
            inputs.append(_whole(sample, model) if view is None else show(sample.image, view, model.input))
        kept: list[torch.Tensor] = []
        handle = layer.register_forward_hook(lambda module, given, output: kept.append(output))
        try:
            model.module(torch.from_numpy(np.stack(inputs)).to(model.device).permute(0, 3, 1, 2).float())
        finally:
            handle.remove()
        return kept[0].float().mean((2, 3)).cpu().numpy().astype(np.float64)

    return extract


def network_features(path: str | Path, side: int = 224) -> Extract:
    """The output of a network of the user for images (1, 3, side, side) in RGB from 0 to 1, flattened to (1, D).

    ``path`` is what ``torch.export.save`` wrote: any backbone, with its own normalization inside. Raises LearnError
    when the file is none, or does not take such images.
    """
    file = Path(path)
    if not file.is_file():
        raise LearnError(f"there is no file {file} for features; give a network that torch.export.save wrote.")
    try:
        network = torch.export.load(str(file)).module()
    except Exception as error:
        # Loading raises many types for files that are not its own.
        reason = " ".join(str(error).split())[:120]
        raise LearnError(f"{file} is not a network that torch.export.save wrote ({reason}).") from None

    @torch.inference_mode()
    def extract(samples: Sequence[Sample]) -> NDArray[np.float64]:
        rows = []
        for sample in samples:
            image = cv2.resize(sample.image, (side, side), interpolation=cv2.INTER_AREA)
            given = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
            try:
                rows.append(network(given).flatten().float().numpy())
            except (RuntimeError, AssertionError, AttributeError) as error:
                reason = " ".join(str(error).split())[-160:]
                raise LearnError(f"{file} does not take images of shape {tuple(given.shape)} ({reason}).") from None
        return np.stack(rows).astype(np.float64)

    return extract


def _whole(sample: Sample, model: Model) -> NDArray[np.uint8]:
    return show(sample.image, view_of(sample, 0, "detect", model.input), model.input)

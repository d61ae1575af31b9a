"""Export of a trained model to ONNX, for runtimes without PyTorch."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from simgen.learn import need
from simgen.learn.decode import angles, peaks
from simgen.learn.errors import LearnError
from simgen.learn.losses import decode_boxes, from_six
from simgen.learn.model import Model

OUTPUTS = {
    "classify": ("probabilities",),
    "detect": ("boxes", "scores"),
    "segment": ("probabilities",),
    "azimuth": ("azimuth", "confidence"),
    "rotation": ("rotation",),
}


class Deployed(nn.Module):
    """A model with its outputs as values rather than logits.

    Takes float32 images (B, 3, height, width) of 0 to 255 in RGB. Gives for classify ``probabilities`` (B, C); for
    detect ``boxes`` (B, N, 4) as left, top, right, bottom in input pixels and ``scores`` (B, N, C) of all N cells, of
    which those that are no peak among their neighbours are 0 (what remains is left to non-maximum suppression);
    for segment ``probabilities`` (B, C + 1, height, width); for pose ``azimuth`` (B,) in radians and ``confidence``
    (B,), or ``rotation`` (B, 3, 3) relative to the ray through the centre of the crop.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.task = model.target if model.task == "pose" else model.task
        self.module = model.module

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """See the class."""
        output = self.module(image)
        if self.task in ("classify", "segment"):
            return (output.softmax(1),)
        if self.task == "azimuth":
            return angles(output)
        if self.task == "rotation":
            return (from_six(output),)
        scores = peaks(output).flatten(2).transpose(1, 2)
        return decode_boxes(output[:, 1:5]).flatten(2).transpose(1, 2), scores


def export(model: Model, path: str | os.PathLike[str]) -> None:
    """Write ``model`` as ONNX with a free batch size; classes, task and input settings go into its metadata.

    Needs the packages onnx and onnxscript; raises LearnError without them or when the file cannot be written.
    """
    onnx = need.package("onnx", "exports to ONNX", "onnx")
    need.package("onnxscript", "exports to ONNX", "onnx")
    deployed = Deployed(model).eval().cpu()
    example = torch.zeros(2, 3, model.input.height, model.input.width)
    names = OUTPUTS[deployed.task]
    with warnings.catch_warnings():
        # The exporter warns about its own deprecations.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            deployed, (example,), input_names=["image"], output_names=list(names), dynamo=True, verbose=False,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
        )  # fmt: skip
    assert program is not None
    proto = program.model_proto
    facts = {
        "task": model.task,
        "classes": json.dumps(model.classes),
        "input": "RGB float32 of 0 to 255, NCHW",
        "outputs": ", ".join(names),
    }
    for key, value in facts.items():
        proto.metadata_props.add(key=f"simgen.{key}", value=value)
    try:
        onnx.save(proto, Path(path))
    except OSError as error:
        raise LearnError(f"{path} cannot be written ({error.strerror}).") from None

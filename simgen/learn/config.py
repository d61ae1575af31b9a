"""Settings of training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from simgen.learn.errors import LearnError
from simgen.scene import fields
from simgen.scene.fields import number, word

TASKS = ("classify", "detect", "segment", "pose")


@dataclass
class InputConfig:
    """From an image to the input of the model; stored in the model, so that prediction does the same."""

    height: int = number(0, low=0, high=4096)
    """Pixels, a multiple of 32 for detect and of 16 for segment; 0 is the task's default."""
    width: int = number(0, low=0, high=4096)
    crop: str = word("auto", "auto", "image", "largest", "objects")
    """classify and pose: look at the whole image, at a square around its largest object, or at each object. auto is the
    largest object where the data has boxes."""
    margin: float = number(0.1, low=0, high=4)
    """Crops: what is added on each side, as a share of the longer side of the box."""
    normalize: str = word("auto", "auto", "fixed", "image")
    """fixed: the same mean and deviation for all; image: each image's own, which takes exposure and contrast out. auto
    is image for classify, fixed for the others."""


@dataclass
class AugmentConfig:
    """What is done to training images and, in step, to their labels; ``strength`` scales all of it.

    Geometry is uniform within plus or minus: ``rotate_deg``, ``scale`` and ``stretch`` (natural logarithm of size and
    of aspect), ``shift`` (share of the side). Colour likewise: ``exposure`` (stops), ``contrast``, ``saturation`` and
    ``tint`` (log of a factor, per channel). ``noise`` (standard deviation) and ``blur`` (sigma in pixels) are upper
    ends of uniform ranges. ``erase`` is the chance that a rectangle is blanked. ``letterbox`` is, for segment and pose,
    the chance that an image is cut beside its object and filled up with grey, as photographs are that were cropped to
    an object and padded to a square. Flips and quarter turns are off unless
    asked for: they change what some labels mean (arrows, letters, azimuths). ``window`` below 1 lets a step of detect
    or segment see only such a share of each side of the input, at a random place near an object: small things are
    learnt from fine pixels at the cost of coarse ones, and prediction still sees the whole.
    """

    strength: float = number(1.0, low=0, high=4)
    rotate_deg: float = number(8.0, low=0, high=180)
    scale: float = number(0.2, low=0, high=2)
    stretch: float = number(0.1, low=0, high=1)
    shift: float = number(0.08, low=0, high=1)
    flip_x: bool = False
    flip_y: bool = False
    quarter_turns: bool = False
    exposure: float = number(0.6, low=0, high=4)
    contrast: float = number(0.3, low=0, high=2)
    saturation: float = number(0.4, low=0, high=2)
    tint: float = number(0.1, low=0, high=1)
    noise: float = number(0.03, low=0, high=1)
    blur: float = number(1.0, low=0, high=5)
    erase: float = number(0.0, low=0, high=1)
    letterbox: float = number(0.0, low=0, high=1)
    window: float = number(1.0, above=0, high=1)


@dataclass
class TrainConfig:
    """How a model is trained. None and 0 stand for the defaults of the task, see ``resolve``."""

    task: str = word("classify", *TASKS)
    seed: int = number(0, low=0, high=2**63 - 1)
    input: InputConfig = field(default_factory=InputConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    network_width: int = number(0, low=0, high=1024)
    """Channels of the first stage; the later ones have multiples of it."""
    target: str = word("azimuth", "azimuth", "rotation")
    """pose: the angle about the object's z axis, or the whole rotation."""
    min_visib: float = number(0.1, low=0, high=1)
    """Objects of which less is visible are neither learnt nor counted."""
    min_pixels: int = number(12, low=1)
    box_margin: float = number(0.0, low=0, high=1)
    """detect: boxes of rendered objects hug what is visible, people draw theirs with some air. Those of rendered data
    get so much on each side, as a share of their longer side, to be like those of the photographs in mind."""
    init: str = ""
    """A model.pt to start from (fine-tuning), of the same task and classes."""
    epochs: float = number(30.0, above=0)
    steps: int = number(0, low=0)
    """Gradient steps; 0 takes ``epochs`` passes over the data."""
    batch: int = number(0, low=0)
    lr: float = number(0.0, low=0)
    weight_decay: float = number(0.05, low=0)
    warmup: float = number(0.05, low=0, high=1)
    """Share of the steps over which the learning rate rises; after it, it falls along a cosine."""
    ema: float = number(0.998, low=0, high=1)
    """Decay per step of the averaged weights, which are those that are kept."""
    label_smoothing: float = number(0.05, low=0, high=0.5)
    balance: float = number(0.0, low=0, high=1)
    """classify: 0 draws every image alike, 1 draws every class alike."""
    val_fraction: float = number(0.1, above=0, high=0.9)
    """Share of the data that is kept apart for validation when none is given."""
    evaluations: int = number(10, low=1)
    """How often the model is scored on validation data and a checkpoint is written, over the whole training."""
    patience: int = number(0, low=0)
    """Stop after so many evaluations without a better score; 0 trains to the end."""
    precision: str = word("auto", "auto", "float32", "bfloat16", "float16")
    """auto is bfloat16 where the device computes with it, float16 on older GPUs and float32 on other CPUs."""
    device: str = "auto"
    threads: int = number(0, low=0)
    """CPU threads of PyTorch; 0 leaves its choice. Results are the same bits for the same number only."""
    workers: int = number(0, low=0)
    """Processes that read and prepare images; 0 does it in the training process."""
    cache_gb: float = number(2.0, low=0)
    """Prepared images are kept in memory up to so much, which needs workers=0."""


_DEFAULTS: dict[str, dict[str, Any]] = {
    # side of the input, batch, learning rate, channels of the first stage
    "classify": {"side": 64, "batch": 64, "lr": 4e-3, "width": 32},
    "detect": {"side": 320, "batch": 8, "lr": 1.5e-3, "width": 24},
    "segment": {"side": 160, "batch": 16, "lr": 2e-3, "width": 16},
    "pose": {"side": 128, "batch": 32, "lr": 2e-3, "width": 32},
}


def resolve(config: TrainConfig) -> TrainConfig:
    """A copy in which the defaults of the task are filled in; checked. Raises LearnError, ConfigError."""
    filled = fields.build(TrainConfig, fields.plain(config))
    default = _DEFAULTS[filled.task]
    size = filled.input
    size.height = size.height or size.width or default["side"]
    size.width = size.width or size.height
    filled.batch = filled.batch or default["batch"]
    filled.lr = filled.lr or default["lr"]
    filled.network_width = filled.network_width or default["width"]
    if size.normalize == "auto":
        size.normalize = "image" if filled.task == "classify" else "fixed"
    multiple = {"classify": 8, "detect": 32, "segment": 16, "pose": 16}[filled.task]
    for name, side in (("height", size.height), ("width", size.width)):
        if side % multiple or side < 2 * multiple:
            near = max(2, round(side / multiple)) * multiple
            raise LearnError(
                f"input.{name}={side} does not suit {filled.task}, which takes multiples of {multiple} from "
                f"{2 * multiple} on; give {near}."
            )
    if filled.task == "pose" and (filled.augment.flip_x or filled.augment.flip_y or filled.augment.quarter_turns):
        raise LearnError("flips and quarter turns change the pose that a picture shows; leave them off for task=pose.")
    return filled

"""The training loop: seeded, resumable to the bit, stopped by a score on validation data."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from simgen.learn import model as models
from simgen.learn.augment import augment
from simgen.learn.batches import Collated, batches, weights
from simgen.learn.config import TrainConfig, resolve
from simgen.learn.errors import LearnError
from simgen.learn.items import Items
from simgen.learn.losses import loss as task_loss
from simgen.learn.model import Model
from simgen.learn.sample import Source
from simgen.learn.split import split
from simgen.rng import stream
from simgen.scene import fields

MODEL, CHECKPOINT, HISTORY = "model.pt", "checkpoint.pt", "history.jsonl"

CHANGEABLE = ("device", "threads", "workers", "cache_gb")
"""Settings with which a training may be resumed differently."""


@dataclass(frozen=True)
class Score:
    """One figure of a model on validation data, by which models are chosen."""

    name: str
    value: float
    larger_is_better: bool = True

    def beats(self, other: float) -> bool:
        """Whether it is better than another value of the figure; NaN, for none so far, is beaten by any."""
        return math.isnan(other) or (self.value > other if self.larger_is_better else self.value < other)


Scorer = Callable[[Model, Source], Score]


@dataclass(frozen=True)
class Progress:
    """Where a training is: the ``loss`` is the mean since the last report, ``rate`` is in images a second."""

    step: int
    steps: int
    loss: float
    rate: float
    seconds_left: float
    score: Score | None
    best: float
    best_step: int


@dataclass(frozen=True)
class Trained:
    """The end of a training. ``history`` has a dict per evaluation: step, loss, score, lr, seconds."""

    model: Model
    path: Path
    score: Score
    best_step: int
    steps: int
    stopped_early: bool
    history: list[dict[str, Any]] = field(default_factory=list)


@dataclass(eq=False)
class _State:
    """All that changes while training; what a checkpoint holds."""

    model: Model
    averaged: Model
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    step: int = 0
    best: float = math.nan
    best_step: int = 0
    stalled: int = 0
    stopped: bool = False
    score: str = ""
    larger_is_better: bool = True
    history: list[dict[str, Any]] = field(default_factory=list)


def train(
    config: TrainConfig,
    data: Source,
    val: Source | None,
    out: str | Path,
    *,
    scorer: Scorer | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Trained:
    """Train a model of ``config.task`` on ``data`` and leave the best one in ``out``/model.pt.

    The best is that of the best score on ``val``; without ``val`` a part of ``data`` (``config.val_fraction``, whole
    groups) is kept apart for it. ``scorer`` computes the score; by default it is the loss. The same call again
    goes on from ``out``/checkpoint.pt and gives the bits that an uninterrupted run gives, on the same kind of machine
    with the same number of threads. Raises LearnError when ``out`` holds a training of other settings, when classes
    differ, or when there is nothing to learn.
    """
    config = resolve(config)
    if config.threads:
        torch.set_num_threads(config.threads)
    device = models.find_device(config.device)
    if val is None:
        data, val = split(data, config.val_fraction, config.seed)
        if len(val) == 0:
            raise LearnError(f"{data.name} has only one image; give more, or validation data with val=DIR.")
    if val.classes != data.classes:
        raise LearnError(f"{val.name} has other classes than {data.name}; map them to the same ones.")
    if config.input.crop == "auto":
        config.input.crop = "largest"
    items = Items(data, config.task, config.input, config.target)
    steps = config.steps or max(1, round(config.epochs * len(items) / config.batch))
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LearnError(f"the folder {folder} cannot be made ({error.strerror}); give another out=DIR.") from None
    precision = _precision(config, device)
    state = _start(config, data, device)
    about = _identity(config, data, val, items, steps)
    _resume(state, folder, about)
    scorer = scorer or _by_loss(config)
    marks = {max(1, round(steps * (k + 1) / config.evaluations)) for k in range(config.evaluations)}
    loader = batches(items, config, weights(config, items), state.step, steps)
    total, images, began, seconds = torch.zeros((), device=device), 0, time.perf_counter(), 0.0
    first_step = state.step
    while state.step < steps and not state.stopped:
        batch = {name: array.to(device, non_blocking=True) for name, array in next(loader).items()}
        total = total + _step(state, batch, config, steps, device, precision)
        state.step += 1
        images += config.batch
        if state.step not in marks:
            if images >= 20 * config.batch and time.perf_counter() - began - seconds > 10:
                seconds = time.perf_counter() - began
                _tell(report, state, steps, total, images, config, seconds, None, first_step)
            continue
        mean_loss = float(total) / max(1, images // config.batch)
        # As exact as training is: which step was best does not hang on the last digits, and it takes a third.
        with torch.autocast(device.type, precision, enabled=precision != torch.float32):
            score = scorer(state.averaged, val)
        _judge(state, score, mean_loss, config, time.perf_counter() - began, folder, about)
        seconds = time.perf_counter() - began
        _tell(report, state, steps, total, images, config, seconds, score, first_step)
        total, images = torch.zeros((), device=device), 0
    best = models.load(folder / MODEL, device)
    return Trained(
        best,
        folder / MODEL,
        Score(state.score, state.best, state.larger_is_better),
        state.best_step,
        state.step,
        state.stopped,
        state.history,
    )


def _start(config: TrainConfig, data: Source, device: torch.device) -> _State:
    seed = int(stream(config.seed, 0, "learn/weights").integers(2**62))
    model = models.create(config.task, data.classes, config.input, config.network_width, config.target, seed)
    if config.init:
        _take_weights(model, models.load(config.init, "cpu", config.task), config.init)
    model.module.to(device).to(memory_format=_layout(config, device))  # type: ignore[call-overload]
    averaged = copy.deepcopy(model)
    averaged.module.eval().requires_grad_(False)
    decayed = [p for p in model.module.parameters() if p.ndim > 1]
    plain = [p for p in model.module.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=config.lr, betas=(0.9, 0.99))
    half = _precision(config, device) == torch.float16
    return _State(model, averaged, optimizer, torch.amp.GradScaler(device.type, enabled=half))


def _take_weights(model: Model, other: Model, path: str) -> None:
    if other.classes != model.classes:
        raise LearnError(f"init={path} has other classes ({', '.join(other.classes[:8])}) than the data.")
    try:
        model.module.load_state_dict(other.module.state_dict())
    except RuntimeError:
        raise LearnError(
            f"init={path} has a network of another size (network_width={other.network_width}, input "
            f"{other.input.width}x{other.input.height}); use the same."
        ) from None


def _identity(config: TrainConfig, data: Source, val: Source, items: Items, steps: int) -> dict[str, Any]:
    """What a training to be resumed must share with this one."""
    settings = {name: value for name, value in fields.plain(config).items() if name not in CHANGEABLE}
    return {
        "settings": settings,
        "classes": list(data.classes),
        "data": data.name,
        "items": len(items),
        "val": val.name,
        "val_images": len(val),
        "steps": steps,
    }


def _resume(state: _State, folder: Path, about: dict[str, Any]) -> None:
    path = folder / CHECKPOINT
    if not path.exists():
        return
    kept = models.read(path, "a checkpoint of simgen train")
    if kept.get("about") != about:
        raise LearnError(
            f"{folder} holds a training of other settings ({_difference(kept.get('about', {}), about)}); give another "
            "out=DIR, or remove it."
        )
    state.model.module.load_state_dict(kept["model"])
    state.averaged.module.load_state_dict(kept["averaged"])
    state.optimizer.load_state_dict(kept["optimizer"])
    state.scaler.load_state_dict(kept["scaler"])
    for name, value in kept["progress"].items():
        setattr(state, name, value)


def _difference(old: Any, new: Any, where: str = "") -> str:
    """The first setting in which two trainings differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in {**new, **old}:
            found = _difference(old.get(key), new.get(key), f"{where}.{key}" if where else str(key))
            if found:
                return found
        return ""
    return "" if old == new else f"{where.removeprefix('settings.')}: {old} there, {new} now"


def _judge(
    state: _State,
    score: Score,
    mean_loss: float,
    config: TrainConfig,
    seconds: float,
    folder: Path,
    about: dict[str, Any],
) -> None:
    """Take note of a score, keep the model if it is the best so far, write the checkpoint."""
    if not math.isfinite(mean_loss):
        raise LearnError(f"the loss is {mean_loss} at step {state.step}; a smaller lr than {config.lr:g} may help.")
    state.score, state.larger_is_better = score.name, score.larger_is_better
    lr = state.optimizer.param_groups[0]["lr"]
    state.history.append(
        {"step": state.step, "loss": mean_loss, score.name: score.value, "lr": lr, "seconds": round(seconds, 1)}
    )
    if score.beats(state.best):
        state.best, state.best_step, state.stalled = score.value, state.step, 0
        state.averaged.training = {**about, "score": {"name": score.name, "value": score.value, "step": state.step}}
        state.averaged.save(folder / MODEL)
    else:
        state.stalled += 1
        state.stopped = 0 < config.patience <= state.stalled
    progress = ("step", "best", "best_step", "stalled", "stopped", "score", "larger_is_better", "history")
    models.write(
        {
            "about": about,
            "model": state.model.module.state_dict(),
            "averaged": state.averaged.module.state_dict(),
            "optimizer": state.optimizer.state_dict(),
            "scaler": state.scaler.state_dict(),
            "progress": {name: getattr(state, name) for name in progress},
        },
        folder / CHECKPOINT,
    )
    try:
        (folder / HISTORY).write_text("".join(json.dumps(entry) + "\n" for entry in state.history))
    except OSError as error:
        raise LearnError(f"{folder / HISTORY} cannot be written ({error.strerror}).") from None


def _tell(
    report: Callable[[Progress], None],
    state: _State,
    steps: int,
    total: Tensor,
    images: int,
    config: TrainConfig,
    seconds: float,
    score: Score | None,
    first_step: int,
) -> None:
    done = state.step - first_step
    report(
        Progress(
            state.step,
            steps,
            float(total) / max(1, images // config.batch),
            done * config.batch / max(seconds, 1e-9),
            (steps - state.step) * seconds / max(done, 1),
            score,
            state.best,
            state.best_step,
        )
    )


def _step(
    state: _State,
    batch: dict[str, Tensor],
    config: TrainConfig,
    steps: int,
    device: torch.device,
    precision: torch.dtype,
) -> Tensor:
    """One step of gradient descent; returns the loss."""
    for group in state.optimizer.param_groups:
        group["lr"] = config.lr * _schedule(state.step, steps, config.warmup)
    generator = torch.Generator(device)
    generator.manual_seed(int(stream(config.seed, state.step, "learn/augment").integers(2**62)))
    batch = augment(batch, config.augment, generator)
    image = batch["image"].contiguous(memory_format=_layout(config, device))
    state.model.module.train()
    with torch.autocast(device.type, precision, enabled=precision != torch.float32):
        output = state.model.module(image)
    value = task_loss(config.task, output.float(), batch, config.label_smoothing)
    state.optimizer.zero_grad(set_to_none=True)
    state.scaler.scale(value).backward()
    state.scaler.unscale_(state.optimizer)
    nn.utils.clip_grad_norm_(state.model.module.parameters(), 10.0)
    state.scaler.step(state.optimizer)
    state.scaler.update()
    # Short memory at first, so that the average forgets the random start.
    decay = min(config.ema, (1 + state.step) / (10 + state.step))
    with torch.no_grad():
        for kept, now in zip(
            state.averaged.module.state_dict().values(), state.model.module.state_dict().values(), strict=True
        ):
            if kept.dtype.is_floating_point:
                kept.lerp_(now, 1 - decay)
            else:
                kept.copy_(now)
    return value.detach()


def _schedule(step: int, steps: int, warmup: float) -> float:
    """Share of the full learning rate: a linear rise, then half a cosine down to 1 % (Loshchilov & Hutter 2017)."""
    rise = max(1.0, warmup * steps)
    if step < rise:
        return (step + 1) / (rise + 1)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1.0, steps - rise)))


def _precision(config: TrainConfig, device: torch.device) -> torch.dtype:
    if config.precision != "auto":
        named: torch.dtype = getattr(torch, config.precision)
        if named == torch.float16 and device.type == "cpu":
            raise LearnError("precision=float16 needs a GPU; on a CPU give bfloat16 or float32.")
        return named
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    native = torch.cpu.get_capabilities()
    # oneDNN's convolutions in bfloat16 crash the process on some other numbers of channels.
    even = config.network_width % 16 == 0
    return torch.bfloat16 if even and (native.get("avx512_bf16") or native.get("amx_bf16")) else torch.float32


def _layout(config: TrainConfig, device: torch.device) -> torch.memory_format:
    """How images lie in memory. Channels last is how convolutions are computed, and saves a quarter of the time.

    On CPUs oneDNN's gradients crash the process in that layout when a layer's channels are no multiple of 16.
    """
    fewest = config.network_width // 2 if config.task in ("classify", "pose") else config.network_width
    safe = device.type != "cpu" or fewest % 16 == 0
    return torch.channels_last if safe else torch.contiguous_format


def _by_loss(config: TrainConfig) -> Scorer:
    """A scorer that needs no metric: the mean loss over the validation data, unchanged images."""

    def score(model: Model, val: Source) -> Score:
        items = Items(val, config.task, config.input, config.target)
        collated = Collated(items)
        total = 0.0
        with torch.inference_mode():
            for start in range(0, len(items), config.batch):
                indices = list(range(start, min(start + config.batch, len(items))))
                batch = {name: array.to(model.device) for name, array in collated[indices].items()}
                batch["image"] = batch["image"].permute(0, 3, 1, 2).float()
                output = model.module(batch["image"]).float()
                total += float(task_loss(config.task, output, batch, config.label_smoothing)) * len(indices)
        return Score("validation_loss", total / len(items), False)

    return score

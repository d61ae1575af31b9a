"""Training: it learns, it resumes to the bit, it refuses what makes no sense."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from learn_data import Memory, arrows, squares

torch = pytest.importorskip("torch", reason="PyTorch is an optional part")

from simgen.learn import model as models  # noqa: E402
from simgen.learn.batches import batches, weights  # noqa: E402
from simgen.learn.config import AugmentConfig, InputConfig, TrainConfig, resolve  # noqa: E402
from simgen.learn.errors import LearnError  # noqa: E402
from simgen.learn.items import Items  # noqa: E402
from simgen.learn.model import load, predict, predict_image  # noqa: E402
from simgen.learn.predictions import Classified, Detected, Posed, Segmented  # noqa: E402
from simgen.learn.sample import Joined, Sample, Source  # noqa: E402
from simgen.learn.train import CHECKPOINT, MODEL, Progress, Score, train  # noqa: E402


def config(task: str, **changes: object) -> TrainConfig:
    settings: dict[str, object] = {
        "input": InputConfig(32, 32),
        "augment": AugmentConfig(strength=0.5),
        "network_width": 8,
        "steps": 12,
        "batch": 8,
        "evaluations": 3,
        "precision": "float32",
        "threads": 1,
    }
    return TrainConfig(task=task, **{**settings, **changes})  # type: ignore[arg-type]


def equal(a: models.Model, b: models.Model) -> bool:
    pairs = zip(a.module.state_dict().values(), b.module.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


def top1(model: models.Model, val: Source) -> Score:
    right = [
        p.probabilities[0].argmax() == s.objects.labels[p.rows[0]]
        for s, p in predict(model, val)
        if isinstance(p, Classified)
    ]
    return Score("top1", float(np.mean(right)))


def test_a_classifier_learns_colours(tmp_path: Path) -> None:
    settings = config("classify", steps=60, lr=5e-3, augment=AugmentConfig(tint=0, saturation=0.1))
    trained = train(settings, squares(64), squares(24, seed=9), tmp_path, scorer=top1)
    assert trained.score.value > 0.9
    again = load(tmp_path / MODEL, task="classify")
    assert again.classes == ("red", "green", "blue")
    assert again.input.height == 32
    assert again.training["score"]["value"] == trained.score.value
    assert top1(again, squares(24, seed=9)) == trained.score


class _StoppedError(Exception):
    pass


@pytest.mark.parametrize("task", ["classify", "detect"])
def test_an_interrupted_training_goes_on_to_the_same_bits(tmp_path: Path, task: str) -> None:
    settings = config(task, input=InputConfig(64, 64), augment=AugmentConfig(erase=0.3), patience=3)
    data, val = squares(30), squares(8, seed=4)
    whole = train(settings, data, val, tmp_path / "whole")

    def stop(progress: Progress) -> None:
        if progress.step == 8:
            raise _StoppedError

    with pytest.raises(_StoppedError):
        train(settings, data, val, tmp_path / "cut", report=stop)
    resumed = train(settings, data, val, tmp_path / "cut")
    assert resumed.history[-1]["loss"] == whole.history[-1]["loss"]
    assert [h["step"] for h in resumed.history] == [4, 8, 12]
    state = [torch.load(tmp_path / name / CHECKPOINT, weights_only=True) for name in ("whole", "cut")]
    for part in ("model", "averaged"):
        assert all(torch.equal(state[0][part][name], state[1][part][name]) for name in state[0][part])
    assert equal(whole.model, resumed.model)
    finished = train(settings, data, val, tmp_path / "cut", report=stop)  # nothing is left to do
    assert equal(finished.model, whole.model)


def test_seeds_differ_and_repeat(tmp_path: Path) -> None:
    data, val = squares(16), squares(6, seed=2)
    a, b, c = (
        train(config("classify", seed=seed, steps=3, evaluations=1), data, val, tmp_path / name).model
        for seed, name in ((0, "a"), (0, "b"), (1, "c"))
    )
    assert equal(a, b)
    assert not equal(a, c)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_workers_and_cache_do_not_change_the_batches() -> None:
    items = Items(squares(10), "classify", InputConfig(32, 32, crop="largest"))

    def first_batches(workers: int, cache: float) -> list[torch.Tensor]:
        settings = resolve(config("classify", workers=workers, cache_gb=cache))
        return [batch["image"] for batch in batches(items, settings, None, 2, 6)]

    plain = first_batches(0, 0.0)
    assert len(plain) == 4
    for other in (first_batches(0, 1.0), first_batches(0, 1e-5), first_batches(2, 0.0)):
        assert all(torch.equal(x, y) for x, y in zip(plain, other, strict=True))


def test_what_is_wrong_in_a_worker_is_told_as_elsewhere(tmp_path: Path) -> None:
    class Damaged(Memory):
        def __getitem__(self, index: int) -> Sample:
            raise LearnError("this image is damaged.")

    whole = squares(8)
    damaged = Damaged(8, whole.classes, lambda k: whole.samples[k])
    for workers in (0, 1):
        with pytest.raises(LearnError, match=r"^this image is damaged\.$"):
            train(config("classify", steps=2, workers=workers), damaged, squares(4), tmp_path / str(workers))


def test_sources_and_classes_are_drawn_by_weight() -> None:
    a, b = squares(30, seed=1), squares(10, seed=2)
    items = Items(Joined([a, b], [1, 3]), "classify", InputConfig(32, 32, crop="largest"))
    weight = weights(resolve(config("classify")), items)
    assert weight is not None
    np.testing.assert_allclose([weight[:30].sum(), weight[30:].sum()], [0.25, 0.75])
    balanced = weights(resolve(config("classify", balance=1.0)), Items(a, "classify", items.config))
    assert balanced is not None
    np.testing.assert_allclose(np.bincount(Items(a, "classify", items.config).labels, balanced), [1 / 3] * 3)
    assert weights(resolve(config("classify")), Items(a, "classify", items.config)) is None


def test_training_stops_when_the_score_stops_rising(tmp_path: Path) -> None:
    falling = iter(range(10, 0, -1))
    settings = config("classify", steps=20, evaluations=10, patience=2)
    trained = train(
        settings, squares(16), squares(4), tmp_path, scorer=lambda model, val: Score("made up", float(next(falling)))
    )
    assert (trained.steps, trained.best_step, trained.stopped_early) == (6, 2, True)


@pytest.mark.parametrize(
    ("task", "target", "kind"),
    [
        ("detect", "azimuth", Detected),
        ("segment", "azimuth", Segmented),
        ("pose", "azimuth", Posed),
        ("pose", "rotation", Posed),
    ],
)
def test_every_task_trains_and_predicts_in_image_pixels(tmp_path: Path, task: str, target: str, kind: type) -> None:
    source = arrows(24) if task == "pose" else squares(24)
    settings = config(task, target=target, input=InputConfig(64, 64), steps=16, evaluations=2, lr=2e-3)
    trained = train(settings, source, None, tmp_path)
    assert trained.history[1]["loss"] < trained.history[0]["loss"]
    sample, prediction = next(predict(load(tmp_path / MODEL), source))
    assert isinstance(prediction, kind)
    if isinstance(prediction, Segmented):
        assert prediction.semantic.shape == sample.image.shape[:2]
    if isinstance(prediction, Posed):
        known = prediction.azimuth if target == "azimuth" else prediction.rotation
        assert np.isfinite(known).all()
    assert isinstance(predict_image(trained.model, sample.image), kind)


def test_fine_tuning_starts_from_the_given_weights(tmp_path: Path) -> None:
    data, val = squares(16), squares(4, seed=5)
    first = train(config("classify"), data, val, tmp_path / "a")
    # With a rate of nearly nothing the weights stay what they were.
    settings = config("classify", init=str(first.path), lr=1e-12, steps=1, evaluations=1, weight_decay=0.0)
    second = train(settings, data, val, tmp_path / "b").model
    for (name, x), y in zip(first.model.module.named_parameters(), second.module.parameters(), strict=True):
        torch.testing.assert_close(x, y, msg=name)
    with pytest.raises(LearnError, match="another size"):
        train(config("classify", init=str(first.path), network_width=16), data, val, tmp_path / "c")
    with pytest.raises(LearnError, match="model of the task classify, not detect"):
        train(config("detect", init=str(first.path), input=InputConfig(64, 64)), data, val, tmp_path / "d")
    with pytest.raises(LearnError, match="other classes"):
        train(config("classify", init=str(first.path)), arrows(8), None, tmp_path / "e")


def test_other_settings_do_not_overwrite_a_training(tmp_path: Path) -> None:
    data, val = squares(16), squares(4)
    train(config("classify", steps=2, evaluations=1), data, val, tmp_path)
    before = (tmp_path / MODEL).read_bytes()
    with pytest.raises(LearnError, match=r"lr: 0\.004 there, 0\.1 now"):
        train(config("classify", steps=2, evaluations=1, lr=0.1), data, val, tmp_path)
    assert (tmp_path / MODEL).read_bytes() == before


@pytest.mark.parametrize(
    ("content", "message"), [(None, "there is no file"), (b"PK not a model", "is not a simgen model"), (b"", "is not")]
)
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "m.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(LearnError, match=message):
        load(path)


@pytest.mark.parametrize("change", [{"network": None}, {"training": None}, {"classes": 5}, {"task": "sing"}])
def test_a_model_with_something_missing_is_damaged(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "m.pt"
    models.create("classify", ["a", "b"], InputConfig(32, 32, normalize="image"), 8, "azimuth", 0).save(path)
    content = models.read(path, "a simgen model")
    models.write({k: v for k, v in {**content, **change}.items() if v is not None}, path)
    with pytest.raises(LearnError, match=r"m\.pt is damaged"):
        models.load(path)


def test_a_loss_that_is_no_number_stops_the_training(tmp_path: Path) -> None:
    settings = config("classify", steps=4, evaluations=2, lr=1e30)
    with pytest.raises(LearnError, match="a smaller lr"):
        train(settings, squares(16), squares(4), tmp_path)
    assert not (tmp_path / MODEL).exists() or load(tmp_path / MODEL)


def test_unusable_devices_and_precisions_are_told(tmp_path: Path) -> None:
    with pytest.raises(LearnError, match="device=abacus cannot be used"):
        train(config("classify", device="abacus"), squares(8), None, tmp_path)
    with pytest.raises(LearnError, match="float16 needs a GPU"):
        train(config("classify", device="cpu", precision="float16"), squares(8), None, tmp_path)


def test_bfloat16_trains_on_a_cpu(tmp_path: Path) -> None:
    trained = train(config("classify", precision="bfloat16", device="cpu"), squares(16), None, tmp_path)
    assert np.isfinite(trained.history[-1]["loss"])


def test_without_pytorch_the_package_imports_and_the_commands_say_what_to_install() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import simgen.learn, simgen.learn.shards, simgen.learn.shard_source, simgen.learn.items, simgen.learn.config\n"
        "import simgen.evaluate.real, simgen.cli.learn\n"
        "sys.exit(simgen.cli.learn.train(['task=classify', 'data=x', 'out=y']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert "pip install 'simgen[learn]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_export_says_what_it_needs_or_gives_the_same_values(tmp_path: Path) -> None:
    from simgen.learn.onnx import Deployed, export

    model = models.create("classify", ["a", "b"], InputConfig(32, 32, normalize="image"), 8, "azimuth", 0)
    model.module.eval()
    try:
        import onnxruntime  # type: ignore[import-not-found]
        import onnxscript  # type: ignore[import-not-found]  # noqa: F401
    except ImportError:
        with pytest.raises(LearnError, match=r"exports to ONNX need the package onnx\w*; install"):
            export(model, tmp_path / "m.onnx")
        return
    export(model, tmp_path / "m.onnx")
    x = np.random.default_rng(0).uniform(0, 255, (3, 3, 32, 32)).astype(np.float32)
    (given,) = onnxruntime.InferenceSession(tmp_path / "m.onnx").run(None, {"image": x})
    np.testing.assert_allclose(given, Deployed(model)(torch.from_numpy(x))[0].detach(), atol=1e-5)

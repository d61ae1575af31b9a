"""Models scored on data, and the two commands from folders to results."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from learn_data import arrows, squares, write_dataset
from PIL import Image

torch = pytest.importorskip("torch", reason="PyTorch is an optional part")
pytest.importorskip("pycocotools", reason="pycocotools is an optional part")

from simgen.cli import learn as commands  # noqa: E402
from simgen.errors import ConfigError, SimgenError  # noqa: E402
from simgen.evaluate.metrics.pose import Calibration  # noqa: E402
from simgen.evaluate.score import evaluate, scorer  # noqa: E402
from simgen.learn import model as models  # noqa: E402
from simgen.learn.config import InputConfig  # noqa: E402
from simgen.learn.errors import LearnError  # noqa: E402
from simgen.learn.model import Model  # noqa: E402
from simgen.learn.nets import ANGLE_BINS  # noqa: E402
from simgen.learn.predictions import Segmented  # noqa: E402


class Oracle(torch.nn.Module):
    """Says what the colours of the test images are, or where the wedge points, plus a fixed angle."""

    def __init__(self, task: str, offset: float = 0.0) -> None:
        super().__init__()
        self.task, self.offset = task, offset
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        if self.task == "pose":
            side = image.shape[-1]
            at = torch.arange(side) + 0.5 - side / 2
            bright = (image[:, 0] > 150).float()
            x, y = (bright * at).sum((1, 2)), (bright * at[:, None]).sum((1, 2))
            bins = torch.arange(ANGLE_BINS) * (2 * np.pi / ANGLE_BINS)
            return 60 * torch.cos(bins - (torch.atan2(y, x) + self.offset)[:, None])
        grey = (image.amax(1) - image.amin(1) < 60).float()
        colors = torch.nn.functional.one_hot(image.argmax(1), 3).permute(0, 3, 1, 2) * (1 - grey)[:, None]
        if self.task == "classify":
            return 20 * colors[:, :, 24:40, 24:40].mean((2, 3))
        return torch.cat([grey[:, None], colors], 1) * 10


def oracle(task: str, classes: tuple[str, ...] = ("red", "green", "blue"), offset: float = 0.0) -> Model:
    return Model(task, classes, InputConfig(64, 64, crop="largest"), 0, "azimuth", Oracle(task, offset))


def test_a_perfect_model_scores_perfectly() -> None:
    data = squares(20)
    for task in ("classify", "segment"):
        results = evaluate(oracle(task), data, draws=50)
        assert results.score.value == results.score.low == results.score.high == 1, task
        assert {"parity", "brightness", "objects"} <= {part.factor for part in results.slices} | {"objects"}
        assert len(results.images) == results.count == 20
    results = evaluate(oracle("segment"), data, draws=5)
    assert results.figures["boundary_F"].value == 1
    assert evaluate(oracle("classify"), data, draws=5).details["confusion"][0][1] == 0


def test_an_unknown_zero_is_calibrated_on_other_data() -> None:
    model = oracle("pose", ("arrow",), offset=1.0)
    assert evaluate(model, arrows(30), draws=20).figures["median_deg"].value == pytest.approx(57.3, abs=2)
    results = evaluate(model, arrows(30), calibration=arrows(30, seed=7), draws=20)
    assert results.figures["median_deg"].value < 2
    assert results.details["calibration"]["offset_deg"] == pytest.approx(-57.3, abs=2)
    assert scorer(model, arrows(20)).value < 2
    assert scorer(model, arrows(20)).beats(5.0)
    assert Calibration().apply(np.array([1.0])).tolist() == [1.0]


def test_predictions_come_back_to_the_pixels_of_any_image() -> None:
    data = squares(6, side=90)
    for sample, prediction in models.predict(oracle("segment"), data):
        assert isinstance(prediction, Segmented)
        assert sample.semantic is not None
        assert prediction.semantic.shape == (90, 90)
        assert np.mean(prediction.semantic == sample.semantic) > 0.97


def test_other_classes_are_refused() -> None:
    with pytest.raises(LearnError, match="has the classes arrow"):
        evaluate(oracle("classify"), arrows(4))


def class_folders(root: Path, per_class: int, seed: int) -> Path:
    for k, color in enumerate(((220, 40, 40), (40, 60, 220))):
        for n in range(per_class):
            rng = np.random.default_rng((seed, k, n))
            image = rng.integers(90, 130, (24, 24, 3), dtype=np.uint8)
            image[4:20, 4:20] = color
            path = root / ("red", "blue")[k] / f"{n:05d}_{n:05d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
    return root


def test_the_commands_train_and_evaluate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, val = class_folders(tmp_path / "a", 16, 0), class_folders(tmp_path / "b", 6, 1)
    (val / "green").mkdir()
    Image.new("RGB", (8, 8)).save(val / "green" / "x.png")
    small = ["network_width=8", "input.height=16", "threads=1", "batch=8", "augment.tint=0", "evaluations=2", "lr=5e-3"]
    arguments = ["task=classify", f"data={data}", f"val={val}", f"out={tmp_path / 'out'}", "steps=40", *small]
    assert commands.train(arguments) == 0
    shown = capsys.readouterr()
    assert "model.pt: top1 1 at step" in shown.out
    assert "1 objects skipped, their class is not wanted: green" in shown.err
    assert "step 40/40" in shown.err
    model = tmp_path / "out" / "model.pt"
    assert commands.evaluate([f"model={model}", f"real={val}", f"out={tmp_path / 'eval'}", "draws=20"]) == 0
    stored = json.loads((tmp_path / "eval" / "results.json").read_text())
    assert stored["figures"]["top1"]["value"] == 1
    (val / "blue").rename(val / "azure")
    renamed = [f"model={model}", f"real={val}", f"out={tmp_path / 'eval'}", "draws=20", "mapping={azure: blue}"]
    assert commands.evaluate(renamed) == 0
    assert json.loads((tmp_path / "eval" / "results.json").read_text())["figures"] == stored["figures"]
    assert stored["read"]["skipped"]
    assert "top1" in capsys.readouterr().out


def test_a_detector_trains_on_shards(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_dataset(tmp_path / "d", 28)
    small = ["network_width=8", "input.height=64", "threads=1", "batch=4", "evaluations=1", "steps=3"]
    assert commands.train(["task=detect", f"data={data}", f"out={tmp_path / 'out'}", *small]) == 0
    model = tmp_path / "out" / "model.pt"
    assert commands.evaluate([f"model={model}", f"real={data}", f"out={tmp_path / 'e'}", "draws=3"]) == 0
    stored = json.loads((tmp_path / "e" / "results.json").read_text())
    assert "AR_visib>90" in stored["figures"]
    other = write_dataset(tmp_path / "other", 20)
    compare = [f"data={other}", f"real={data}", f"out={tmp_path / 'c'}"]
    assert commands.evaluate(compare) == 0
    found = json.loads((tmp_path / "c" / "distances.json").read_text())
    assert {d["kind"] for d in found} == {"label", "picture"}
    assert not (tmp_path / "c" / "results.json").exists()
    assert commands.evaluate([*compare, f"model={model}", "draws=3"]) == 0
    found = json.loads((tmp_path / "c" / "distances.json").read_text())
    assert {d["of"] for d in found if d["kind"] == "feature"} == {"the model"}
    assert (tmp_path / "c" / "results.json").exists()
    assert "told apart" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        commands.evaluate([f"real={data}", f"out={tmp_path / 'c'}"])
    assert "give model=FILE to score it, or data=DATASET" in capsys.readouterr().err
    assert any(part["factor"] == "sensor/exposure" for part in stored["slices"])
    capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["task=classify", "data=x"], "out has no value"),
        (["task=classify", "out=x"], "data has no value"),
        (["task=classify", "data=/nowhere", "out=x"], "there is no folder /nowhere"),
        (["task=clasify", "data=x", "out=y"], 'did you mean "classify"'),
        (["batch=-1", "data=x", "out=y"], "batch must be at least 0"),
    ],
)
def test_wrong_settings_are_told_in_a_sentence(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        commands.train(arguments)
    assert stopped.value.code == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert "Traceback" not in shown
    assert len(shown.strip().splitlines()) == 1


def test_unknown_keys_are_told_with_the_nearest_known_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match=r'no setting augment\.rotat_deg \(did you mean "rotate_deg"'):
        commands.train(["task=classify", "augment.rotat_deg=3"])
    with pytest.raises(ConfigError, match="not of the form key=value"):
        commands.train(["task=classify", "data"])
    with pytest.raises(SimgenError, match=r"no setting modl \(did you mean \"model\""):
        commands.evaluate(["modl=x"])
    with pytest.raises(SystemExit):
        commands.train(["task=classify", "augment={rotat_deg: 3}"])
    assert 'augment.rotat_deg (did you mean "rotate_deg"' in capsys.readouterr().err


def test_a_model_of_another_task_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = class_folders(tmp_path / "a", 2, 0)
    model = models.create("segment", ["red", "blue"], InputConfig(32, 32, normalize="fixed"), 8, "azimuth", 0)
    model.save(tmp_path / "m.pt")
    with pytest.raises(SystemExit):
        commands.evaluate([f"model={tmp_path / 'm.pt'}", f"real={data}", f"out={tmp_path / 'e'}"])
    assert "has no masks, which task=segment needs" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        commands.train(["task=classify", f"data={data}", f"out={tmp_path / 'o'}", f"init={tmp_path / 'm.pt'}"])
    assert "model of the task segment, not classify" in capsys.readouterr().err


def test_help_and_settings_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.train(["--help"]) == 0
    assert commands.evaluate([]) == 2
    assert commands.train(["task=pose", "--cfg", "job"]) == 0
    assert "rotate_deg: 8.0" in capsys.readouterr().out

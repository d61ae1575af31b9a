"""What experiment files may say, and what comes of them: the same budget for all, no real image where none may be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="PyTorch is an optional part")

from sim2real_data import SQUARES, TINY, ask, build

from simgen.errors import ConfigError, DatasetError, SimgenError
from simgen.evaluate.experiment import files
from simgen.evaluate.experiment.definition import Experiment, merged
from simgen.evaluate.experiment.identity import claim, identity
from simgen.evaluate.experiment.plan import Plan, Request, Training, choose, make, real_folder
from simgen.learn.config import resolve
from simgen.scene import fields

SHIPPED = files.experiment_names()


def chain(training: Training) -> list[Training]:
    """A training after all those that it goes on from."""
    return [*(chain(training.after) if training.after else []), training]


def by_name(plan: Plan) -> dict[str, Training]:
    return {training.name: training for training in plan.trainings}


def whole(name: str, budget: str) -> tuple[Request, Plan]:
    experiment = fields.build(Experiment, files.read(name))
    sizes = tuple(experiment.budgets[budget].curve)
    request = Request(
        experiment, budget, Path("out"), real_root="photos", curve=sizes, ablations=tuple(experiment.ablations)
    )
    return choose(request), make(choose(request))


def test_the_four_benchmarks_are_shipped() -> None:
    assert {"signs", "dice", "cards", "sugar_box"} <= set(SHIPPED)


@pytest.mark.parametrize("budget", ["smoke", "quick", "full"])
@pytest.mark.parametrize("name", SHIPPED)
def test_every_arm_takes_the_same_steps_and_synthetic_ones_see_nothing_real(name: str, budget: str) -> None:
    request, plan = whole(name, budget)
    for task in request.experiment.tasks:
        steps = {
            (arm, seed): sum(t.steps for t in chain(training))
            for (n, arm, seed), training in plan.arms.items()
            if n == task
        }
        assert len(set(steps.values())) == 1, steps
        batches = {t.config.batch for t in plan.trainings if t.task == task}
        assert len(batches) == 1
    for (_, arm, _), training in plan.arms.items():
        kind = request.experiment.arms[arm].kind
        real = [t.real_images is not None for t in chain(training)]
        synthetic = [t.render is not None for t in chain(training)]
        assert training.uses_real == any(real)
        assert (any(real), any(synthetic)) == {
            "synthetic": (False, True), "real": (True, False), "finetune": (True, True), "mixed": (True, True),
        }[kind]  # fmt: skip
    assert not any(t.uses_real for t in [*plan.curve.values(), *plan.ablations.values()])


@pytest.mark.parametrize("name", SHIPPED)
def test_budgets_are_as_large_as_their_names_say(name: str) -> None:
    budgets = fields.build(Experiment, files.read(name)).budgets
    assert budgets["smoke"].frames <= 400
    assert budgets["quick"].frames <= 20_000
    assert budgets["full"].frames >= 80_000


def test_a_training_comes_after_what_it_needs_and_none_comes_twice(tmp_path: Path) -> None:
    plan = make(choose(ask(tmp_path, curve=(10,), ablations=("fixed_light", "no_augmentation"), seeds=2)))
    for k, training in enumerate(plan.trainings):
        for needed in (training.after, training.turned_by):
            assert needed is None or needed in plan.trainings[:k]
        assert not any(training.same_as(other) for other in plan.trainings[:k])
    places = [training.place for training in plan.trainings]
    assert len(set(places)) == len(places)
    assert [r.place for r in plan.renders] == [
        "data/full/seed0", "data/fixed_light/seed0", "data/full/seed1", "data/fixed_light/seed1",
    ]  # fmt: skip


def test_seeds_vary_rendering_and_training(tmp_path: Path) -> None:
    plan = make(choose(ask(tmp_path, seeds=2, seed=7)))
    arms = [plan.arms["find", "synthetic", seed] for seed in (7, 8)]
    assert [arm.config.seed for arm in arms] == [7, 8]
    assert [arm.render.seed for arm in arms if arm.render] == [7, 8]


def test_the_curve_ends_in_the_synthetic_arm(tmp_path: Path) -> None:
    plan = make(choose(ask(tmp_path, curve=(10,))))
    assert plan.curve["find", 20, 0] is plan.arms["find", "synthetic", 0]
    few = plan.curve["find", 10, 0]
    assert (few.images, few.render, few.steps) == (10, plan.arms["find", "synthetic", 0].render, 4)


def test_ablations_are_held_against_the_synthetic_arm_when_they_have_its_budget(tmp_path: Path) -> None:
    plan = make(choose(ask(tmp_path, ablations=("fixed_light",))))
    assert plan.ablations["find", "", 0].name == "ablation"  # fewer steps
    budgets = {"smoke": {"frames": 20, "train": {"find": TINY}}}
    plan = make(choose(ask(tmp_path, build(budgets=budgets), ablations=("fixed_light", "no_augmentation"))))
    assert plan.ablations["find", "", 0] is plan.arms["find", "synthetic", 0]
    dark, plain = (plan.ablations["find", name, 0] for name in ("fixed_light", "no_augmentation"))
    assert dark.render is not None
    assert dark.render.overrides[-1] == "randomize.lighting.enabled=false"
    assert plain.render == plan.arms["find", "synthetic", 0].render
    assert plain.config.augment.strength == 0
    assert dark.config.augment.strength == 1


def test_real_azimuths_are_brought_to_the_frame_of_the_mesh_where_both_are_learnt(tmp_path: Path) -> None:
    tasks = {"face": {"task": "pose", "classes": ["arrow"]}}
    budgets = {"smoke": {"frames": 20, "train": {"face": TINY}}}
    plan = by_name(make(choose(ask(tmp_path, build(tasks=tasks, budgets=budgets)))))
    assert plan["mixed"].turned_by is plan["synthetic"]
    assert plan["finetune_6"].turned_by is plan["pretrained_2"]
    assert plan["real"].turned_by is None
    tasks["face"]["train"] = {"target": "rotation"}  # type: ignore[assignment]
    plan = by_name(make(choose(ask(tmp_path, build(tasks=tasks, budgets=budgets)))))
    assert plan["mixed"].turned_by is None


def test_epochs_are_of_the_synthetic_images_for_all_arms(tmp_path: Path) -> None:
    train = {key: value for key, value in TINY.items() if key != "steps"}
    budgets = {"smoke": {"frames": 20, "train": {"find": {**train, "epochs": 3}}}}
    plan = make(choose(ask(tmp_path, build(budgets=budgets))))
    assert by_name(plan)["real"].steps == 3 * 20 / 4


def test_settings_that_are_not_given_are_not_what_a_training_is_known_by(tmp_path: Path) -> None:
    plan = make(choose(ask(tmp_path, ablations=("no_augmentation",))))
    training = plan.ablations["find", "no_augmentation", 0]
    known = json.loads(training.settings)
    assert known["augment"] == {"strength": 0}
    assert not {"warmup", "balance", "ema"} & set(known)
    assert training.config.augment.strength == 0
    assert training.config == resolve(training.config)


CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"budgte": {}}, r'no setting budgte \(did you mean "budgets"'),
    ({"tasks": {}}, "has no tasks"),
    ({"budgets": {}}, "has no budgets"),
    ({"tasks": {"find": {"task": "detekt"}}}, r'tasks.find.task: .detekt. is not known \(did you mean "detect"'),
    ({"tasks": {"find": {"task": "detect", "metric": "AP5"}}}, r"no figure of detect \(did you mean"),
    ({"tasks": {"find": {"task": "detect", "train": {"stpes": 3}}}}, r'tasks.find.train.stpes \(did you mean "steps"'),
    ({"tasks": {"find": {"task": "detect", "train": {"seed": 3}}}}, "tasks.find.train.seed is not for a file"),
    ({"tasks": {"find": {"task": "detect", "train": {"lr": "fast"}}}}, "tasks.find.train.lr must be a number"),
    ({"arms": {"real": {"kind": "reel"}}}, r'arms.real.kind: .reel. is not known \(did you mean "real"'),
    ({"arms": {"real": {"train": {"steps": 9}}}}, "arms.real.train.steps must be the same for all arms"),
    ({"arms": {"first_one": {}}}, "names that begin with"),
    ({"arms": {"mixed": {"kind": "mixed", "real_share": 1.5}}}, "arms.mixed.real_share must be at most"),
    ({"ablations": {"dark": {"train": {"batch": 9}}}}, "ablations.dark.train.batch must be the same"),
    ({"budgets": {"smoke": {"train": {"fnid": {}}}}}, r'budgets.smoke.train.fnid \(did you mean "find"'),
    ({"budgets": {"smoke": {"frames": 10, "curve": [50]}}}, "budgets.smoke.curve: 50 is not a number of images"),
    ({"budgets": {"smoke": {"frames": 10, "ablation": {"frames": 11}}}}, "must be at most the budget's frames"),
    ({"real": {"mapping": [1]}}, "real.mapping must be a mapping"),
    ({"budgets": {"smoke": {"train": {"find": {"min_visib": 0.5}}}}}, "find.min_visib must be the same for all that a"),
    ({"ablations": {"tight": {"train": {"box_margin": 0.1}}}}, "train.box_margin must be the same for all that a"),
]


@pytest.mark.parametrize(("change", "message"), CHANGES, ids=[str(k) for k in range(len(CHANGES))])
def test_a_mistake_in_a_file_is_told_with_its_key(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(**change)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arms": ("real", "mixd")}, r'arms: .mixd. is not in the experiment \(did you mean "mixed"'),
        ({"arms": ("real", "real")}, "arms lists real twice"),
        ({"ablations": ("dark",)}, "ablation: .dark. is not in the experiment"),
        ({"curve": (1,)}, "curve: 1 is not a number of images"),
        ({"curve": (21,)}, "to the budget's frames, 20"),
        ({"real_root": ""}, r"real, finetune_6, mixed need real images.*arms=\[synthetic\]"),
    ],
)
def test_a_wrong_request_is_told(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        choose(ask(tmp_path, **changes))


def test_without_real_images_synthetic_arms_may_run_but_not_be_chosen_by_real_ones(tmp_path: Path) -> None:
    assert choose(ask(tmp_path, real_root="", arms=("synthetic",))).arms == ("synthetic",)
    tasks = {"find": {**SQUARES["tasks"]["find"], "selection": "real_val"}}
    with pytest.raises(ConfigError, match=r"selection=real_val needs real images"):
        choose(ask(tmp_path, build(tasks=tasks), real_root="", arms=("synthetic",)))


def test_real_folders_are_below_the_root_or_absolute(tmp_path: Path) -> None:
    request = ask(tmp_path, build(real={"train": "a/train", "val": str(tmp_path / "val")}), real_root="photos")
    assert real_folder(request, "train") == Path("photos/a/train")
    assert real_folder(request, "val") == tmp_path / "val"
    assert real_folder(request, "test") is None


def test_nested_settings_merge() -> None:
    assert merged({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}, "d": 4}) == {"a": {"b": 1, "c": 3}, "d": 4}


def test_a_folder_takes_more_of_the_same_experiment_and_nothing_else(tmp_path: Path) -> None:
    def ask_for(**changes: Any) -> None:
        experiment = changes.pop("experiment", None)
        claim(tmp_path, identity(choose(ask(tmp_path, experiment, **changes)), {"val (find)": "digest"}))

    ask_for(arms=("synthetic",))
    ask_for(seeds=3, curve=(10,), ablations=("fixed_light",))
    ask_for(arms=("real",))
    ask_for(experiment=build(about="other words", ablations={}))
    kept = json.loads((tmp_path / "experiment.json").read_text())
    assert set(kept["arms"]) == set(SQUARES["arms"])
    budgets = {"smoke": {"frames": 30, "train": {"find": {**TINY, "steps": 5}}}}
    with pytest.raises(DatasetError, match=r"budgets.smoke.frames: 20 there, 30 now; .*steps: 4 there, 5 now"):
        ask_for(experiment=build(budgets=budgets))
    arms = {**SQUARES["arms"], "mixed": {"kind": "mixed", "real_share": 0.5}}
    with pytest.raises(DatasetError, match=r"arms.mixed.real_share: 0.25 there, 0.5 now"):
        ask_for(experiment=build(arms=arms))
    with pytest.raises(DatasetError, match=r'render: \[\] there, \["image.width=64"\] now'):
        ask_for(experiment=build(render=["image.width=64"]))
    with pytest.raises(DatasetError, match=r'real.val \(find\): "digest" there, "other" now, which are other images'):
        claim(tmp_path, identity(choose(ask(tmp_path)), {"val (find)": "other"}))


def test_experiments_that_are_not_there_or_no_experiments_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r'no experiment .sings. \(did you mean "signs"'):
        files.read("sings")
    with pytest.raises(ConfigError, match="there is no experiment file"):
        files.read(str(tmp_path / "my.yaml"))
    for content, message in (
        ("a: [1", "is not valid YAML"),
        ("- 1", "must be a mapping"),
        ("tsks: {}", "did you mean"),
    ):
        (tmp_path / "my.yaml").write_text(content)
        with pytest.raises(SimgenError, match=message):
            files.read(str(tmp_path / "my.yaml"))


def test_a_scene_is_looked_for_beside_the_experiment(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(json.dumps({**SQUARES, "name": "", "scene": "there.yaml"}))
    content = files.read(str(tmp_path / "my.yaml"))
    assert content["scene"] == str(tmp_path / "there.yaml")
    assert content["name"] == "my"

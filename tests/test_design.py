"""Sampling designs: evenness against theory and SciPy, marginals, and what points do not depend on."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
from fake_library import FakeLibrary
from scipy import stats
from scipy.stats import qmc
from test_generate_job import assert_same

from simgen import config
from simgen.distributions import parse
from simgen.errors import ConfigError
from simgen.generate.job import render
from simgen.generate.replay import replay
from simgen.randomize.design import DIMENSIONS, JOINT, Designs, points, sobol
from simgen.randomize.factors import FACTORS
from simgen.randomize.sample import sample

DESIGNS = ["stratified", "latin_hypercube", "sobol"]


def sequence(design: str, n: int, d: int, first: int = 0, seed: int = 3, name: str = "g.thing", item: int = 0):
    return np.array([points(design, seed, "poses", name, first + k, item + 1, d)[item] for k in range(n)])


def cells(u: np.ndarray, counts: tuple[int, ...]) -> int:
    """How many boxes of a grid have a point."""
    return len(set(map(tuple, np.floor(u * counts).astype(int).tolist())))


def test_sobol_is_the_published_sequence() -> None:
    """SciPy has the same direction numbers and goes through the points in the order of Gray's code."""
    expected = qmc.Sobol(DIMENSIONS, scramble=False, bits=32).random(1024)
    ours = np.array([sobol(n ^ (n >> 1), DIMENSIONS) for n in range(1024)]) / 2.0**32
    np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("design", ["latin_hypercube", "sobol"])
@pytest.mark.parametrize(("first", "n"), [(0, 64), (64, 64), (0, 256), (96, 32), (5 << 20, 128)])
def test_each_deviate_hits_every_stratum_once(design: str, first: int, n: int) -> None:
    u = sequence(design, n, 3, first)
    for c in range(3):
        assert sorted(np.floor(u[:, c] * n).astype(int)) == list(range(n))


@pytest.mark.parametrize(("d", "counts"), [(1, (64,)), (2, (8, 8)), (3, (4, 4, 4)), (4, (4, 4, 2, 2)), (2, (16, 16))])
def test_stratified_hits_every_cell_once(d: int, counts: tuple[int, ...]) -> None:
    n = math.prod(counts)
    for first in (0, n, 7 * n):
        assert cells(sequence("stratified", n, d, first), counts) == n


@pytest.mark.parametrize("counts", [(8, 8), (2, 32), (64, 1), (16, 4)])
def test_two_dimensions_of_sobol_are_a_net(counts: tuple[int, int]) -> None:
    """Dimensions 0 and 1 are a (0, 2)-sequence: every box of volume 1/n, whatever its shape, has one of n points."""
    assert cells(sequence("sobol", 64, 2, 128), counts) == 64


def test_draws_that_belong_together_are_one_net() -> None:
    """Azimuth and elevation of a camera are joint; as two Latin hypercubes they leave cells of their plane empty."""
    names = ("main.azimuth_deg", "main.elevation_deg")
    found = {}
    for design in DESIGNS:
        u = [[points(design, 0, "camera", name, k, 1, 1)[0, 0] for name in names] for k in range(64)]
        found[design] = cells(np.array(u), (8, 8))
    assert found["sobol"] == 64
    assert found["latin_hypercube"] < 52
    assert found["stratified"] < 52


@pytest.mark.parametrize("d", [2, 3, 5])
def test_discrepancy_is_lower_than_of_random_points(d: int) -> None:
    """Of 20 seeds, the worst Sobol sequence is more even than the best random one; Latin hypercubes are on average."""
    chance = [qmc.discrepancy(np.random.default_rng(k).random((128, d))) for k in range(20)]
    ours = [qmc.discrepancy(sequence("sobol", 128, d, seed=k)) for k in range(20)]
    assert max(ours) < min(chance)
    cubes = [qmc.discrepancy(sequence("latin_hypercube", 128, d, seed=k)) for k in range(20)]
    assert np.mean(cubes) < 0.75 * np.mean(chance)


@pytest.mark.parametrize("design", DESIGNS)
def test_single_deviates_are_uniform_over_seeds(design: str) -> None:
    """Point 5 alone, over seeds, is a uniform point of the cube: each axis uniform, no two correlated."""
    u = np.array([points(design, seed, "poses", "g.point", 5, 1, 3)[0] for seed in range(2000)])
    for c in range(3):
        assert stats.kstest(u[:, c], "uniform").pvalue > 1e-3
    assert np.abs(np.corrcoef(u.T) - np.eye(3)).max() < 0.08
    assert len(np.unique(u)) == u.size


@pytest.mark.parametrize("design", DESIGNS)
def test_sequences_of_different_names_are_independent(design: str) -> None:
    """Scrambling alone would not do: the same dimension twice has first digits that always agree or always differ."""
    halves = []
    for k in range(200):
        a, b = (sequence(design, 8, 1, seed=k, name=name)[:, 0] >= 0.5 for name in ("g.a", "g.b"))
        halves.append(np.mean(a == b))
    assert set(halves) - {0.0, 1.0}
    assert abs(np.mean(halves) - 0.5) < 0.05
    items = [sequence(design, 1, 1, seed=k, item=1)[0, 0] - sequence(design, 1, 1, seed=k)[0, 0] for k in range(50)]
    assert np.min(np.abs(items)) > 0


def test_coins_are_kept_out_of_the_design() -> None:
    """The deviate that decides nothing at full strength must not take evenness from the one that chooses."""
    choice = parse({"dist": "choice", "values": list(range(16))}, "x")
    assert choice.coins == (0,)
    for design in DESIGNS:
        u = [points(design, 0, "lighting", "kind", k, 1, 2, choice.coins)[0] for k in range(32)]
        assert np.bincount([choice.value(row) for row in u]).tolist() == [2] * 16
    vector = parse([{"dist": "uniform", "low": 0, "high": 1}, {"dist": "bernoulli", "p": 0.3}, 0], "x")
    assert vector.coins == (1,)


MARGINALS = {
    "uniform": ({"dist": "uniform", "low": -1, "high": 3}, stats.uniform(-1, 4)),
    "log_uniform": ({"dist": "log_uniform", "low": 0.1, "high": 10}, stats.loguniform(0.1, 10)),
    "normal": ({"dist": "normal", "mean": 2, "std": 0.5}, stats.norm(2, 0.5)),
    "truncated_normal": (
        {"dist": "truncated_normal", "mean": 0, "std": 1, "low": -0.5, "high": 2},
        stats.truncnorm(-0.5, 2),
    ),
}


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("name", MARGINALS)
def test_marginals(name: str, design: str) -> None:
    """The empirical distribution of n even points is within 1/n of the exact one; random points are at 0.6/sqrt(n)."""
    plain, exact = MARGINALS[name]
    distribution = parse(plain, "x")
    values = [distribution.value(u) for u in sequence(design, 256, distribution.uniforms)]
    assert stats.kstest(values, exact.cdf).statistic <= 1 / 256 + 1e-9


@pytest.mark.parametrize("design", DESIGNS)
def test_marginals_of_discrete_values_and_of_space(design: str) -> None:
    whole = parse({"dist": "uniform_int", "low": 1, "high": 8}, "x")
    assert np.bincount([whole.value(u) for u in sequence(design, 64, 1)])[1:].tolist() == [8] * 8
    weighted = parse({"dist": "choice", "values": ["a", "b"], "weights": [1, 3]}, "x")
    u = [points(design, 0, "poses", "g.x", k, 1, 2, weighted.coins)[0] for k in range(64)]
    assert [weighted.value(row) for row in u].count("a") == 16
    direction = parse({"dist": "direction", "axis": [0, 0, 1], "low_deg": 0, "high_deg": 90}, "x")
    heights = [direction.value(u)[2] for u in sequence(design, 256, 2)]
    assert stats.kstest(heights, "uniform").statistic < (0.07 if design == "stratified" else 1 / 256 + 1e-9)
    rotation = parse({"dist": "rotation"}, "x")
    turned = np.array([rotation.value(u) for u in sequence(design, 512, 3)])
    angles = 2 * np.arccos(np.clip(turned[:, 3], -1, 1))
    assert stats.kstest(angles, lambda a: (a - np.sin(a)) / np.pi).pvalue > 0.5
    mixture = parse({"dist": "mixture", "of": [0, {"dist": "uniform", "low": 1, "high": 2}], "weights": [1, 3]}, "x")
    u = [points(design, 0, "poses", "g.x", k, 1, 3, mixture.coins)[0] for k in range(64)]
    assert [mixture.value(row) == 0 for row in u].count(True) == 16


def test_long_vectors_have_more_dimensions_than_the_table() -> None:
    u = sequence("sobol", 32, DIMENSIONS + 3)
    for c in range(u.shape[1]):
        assert sorted(np.floor(u[:, c] * 32).astype(int)) == list(range(32))


def test_the_table_of_joint_draws_is_sound() -> None:
    assert set(JOINT) <= set(FACTORS)
    assert max(first + count for table in JOINT.values() for first, count in table.values()) <= DIMENSIONS


def test_names_override_their_factor() -> None:
    designs = Designs({"camera": "sobol"}, {"camera": {"random": ["main.roll*"], "stratified": ["wrist.*"]}})
    assert designs.of("camera", "main.radius") == "sobol"
    assert designs.of("camera", "main.roll_deg") == "random"
    assert designs.of("camera", "wrist.radius") == "stratified"
    assert designs.of("lighting", "main.radius") == "random"
    every = Designs({}, {"camera": {"sobol": ["radius"]}, "lighting": {"sobol": ["intensity"]}})
    assert [every.of("camera", name) for name in ("main.radius", "wrist.radius", "main.radius_of")] == [
        "sobol",
        "sobol",
        "random",
    ]
    assert every.of("lighting", "intensity") == "sobol"


# --- in scenes -------------------------------------------------------------------------------------------------------


def draws(settings: list[str], scenes: int = 1, seed: int = 0):
    made = config.load("tabletop", settings)
    return [sample(made, FakeLibrary(), seed, k) for k in range(scenes)]


def all_draws(record) -> dict[str, object]:
    found = {f"{factor}/{name}": value for factor, values in record.draws.items() for name, value in values.items()}
    for k, frame in enumerate(record.frames):
        for factor, values in frame.draws.items():
            found |= {f"{factor}/{name}@{k}": value for name, value in values.items()}
    return found


@pytest.mark.parametrize("factor", FACTORS)
def test_a_design_moves_the_draws_of_its_factor_and_no_other(factor: str) -> None:
    before, after = (all_draws(draws(s)[0]) for s in ([], [f"randomize.{factor}.design=sobol"]))
    moved = {name for name in before if before[name] != after.get(name)}
    follow = {"content": ("content", "physics", "materials", "textures", "poses")}.get(factor, (factor,))
    follow = {"distractors": ("distractors", "physics", "materials", "textures", "poses")}.get(factor, follow)
    assert moved
    assert {name.split("/")[0] for name in moved} <= set(follow)


def test_random_is_what_it_was() -> None:
    names = [f"randomize.{factor}.design=random" for factor in FACTORS]
    assert draws(names)[0] == draws([])[0]


def test_a_single_draw_and_a_factor_give_the_same_points() -> None:
    """A name's point depends on its name, not on which others are in the design."""
    whole = all_draws(draws(["randomize.camera.design=sobol"], 4)[3])
    one = all_draws(draws(["randomize.camera.designs.sobol=[main.radius]"], 4)[3])
    none = all_draws(draws([], 4)[3])
    for k in range(5):
        assert one[f"camera/radius@{k}"] == whole[f"camera/radius@{k}"] != none[f"camera/radius@{k}"]
        assert one[f"camera/azimuth_deg@{k}"] == none[f"camera/azimuth_deg@{k}"]


@pytest.mark.parametrize("design", DESIGNS)
def test_views_and_frames_fill_one_sequence(design: str) -> None:
    """16 scenes of 4 views are 64 cameras, and 64 exposures, one in each of 64 intervals."""
    settings = ["scene.cameras.main.views=4", f"randomize.camera.design={design}", f"randomize.sensor.design={design}"]
    frames = [frame for record in draws(settings, 16) for frame in record.frames]
    azimuth = (np.array([f.draws["camera"]["azimuth_deg"] for f in frames]) + 180) / 360
    metered = (np.array([f.draws["sensor"]["auto_exposure"] for f in frames]) - 0.16) / 0.1
    for u in (azimuth, metered):
        assert sorted(np.floor(u * 64).astype(int)) == list(range(64))


def test_lamps_fill_their_own_sequences() -> None:
    records = draws(["scene.lights.count=2", "randomize.lighting.design=sobol"], 32)
    for lamp in (0, 1):
        x = np.array([r.draws["lighting"]["temperature"][lamp] for r in records])
        assert sorted(np.floor((x - 2700) / 4800 * 32).astype(int)) == list(range(32))
    ways = np.array([r.draws["lighting"]["direction"][0] for r in records])
    low, high = math.cos(math.radians(70)), math.cos(math.radians(10))
    u = np.stack([(high - ways[:, 2]) / (high - low), np.arctan2(ways[:, 1], ways[:, 0]) / (2 * math.pi) % 1], 1)
    assert cells(u, (4, 8)) == 32


def test_redrawn_poses_leave_the_design() -> None:
    made = config.load("tabletop", ["randomize.poses.design=sobol"])
    first, again = (all_draws(sample(made, FakeLibrary(), 0, 3, attempt)) for attempt in (0, 1))
    plain = all_draws(sample(config.load("tabletop"), FakeLibrary(), 0, 3, 1))
    name = "poses/household.point"
    assert first[name] != again[name] == plain[name]


def test_a_dataset_with_designs_replays_and_ignores_workers(tmp_path: Path) -> None:
    small = ["image.width=48", "image.height=32", "output.frames_per_shard=2", "frames=6", "scene.cameras.main.views=2"]
    small += [f"randomize.{f}.design={DESIGNS[k % 3]}" for k, f in enumerate(FACTORS)]
    for workers in (1, 2):
        render(config.load("shapes", [*small, f"workers={workers}", f"out={tmp_path / str(workers)}"]))
    assert_same(tmp_path / "1", tmp_path / "2")
    assert replay(tmp_path / "1", 5) == []
    # More frames, the same scenes.
    record = sample(config.load("shapes", [*small, "frames=1000"]), FakeLibrary(), 0, 1)
    assert record.frames == sample(config.load("shapes", small), FakeLibrary(), 0, 1).frames


def test_mistakes_are_told() -> None:
    with pytest.raises(ConfigError, match=r"randomize.camera.design.*'sobool'.*sobol"):
        config.load("tabletop", ["randomize.camera.design=sobool"])
    with pytest.raises(ConfigError, match=r"there is no setting randomize.camera.designs.sobool.*sobol"):
        config.load("tabletop", ["randomize.camera.designs.sobool=[x]"])
    knob = config.load("tabletop", ["randomize.camera.designs.sobol=[main.radius]"]).randomize.camera
    assert dataclasses.asdict(knob)["designs"]["sobol"] == ["main.radius"]

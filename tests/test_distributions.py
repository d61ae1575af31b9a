import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from simgen.distributions import (
    AxisRotation,
    Bernoulli,
    Choice,
    Color,
    Constant,
    Direction,
    Distribution,
    LogUniform,
    Mixture,
    Normal,
    Rotation,
    TruncatedNormal,
    Uniform,
    UniformInt,
    Vector,
    parse,
    to_plain,
)
from simgen.errors import ConfigError
from simgen.geometry import rotation_from_quaternion

settings.register_profile("simgen", deadline=None, max_examples=60)
settings.load_profile("simgen")

numbers = st.floats(-1e6, 1e6, allow_subnormal=False)
positive = st.floats(1e-6, 1e6)
angles = st.floats(0, 180)
pairs = st.tuples(numbers, numbers).map(sorted)


@st.composite
def axes(draw):
    v = [draw(st.floats(-1, 1)) for _ in range(3)]
    return tuple(v) if math.hypot(*v) > 1e-3 else (0.0, 0.0, 1.0)


@st.composite
def color_ranges(draw):
    low, high = zip(*(sorted(draw(st.tuples(st.floats(0, 1), st.floats(0, 1)))) for _ in range(3)), strict=True)
    return Color(low, high, draw(st.sampled_from(["rgb", "hsv"])))


scalars = st.one_of(
    numbers.map(Constant),
    pairs.map(lambda p: Uniform(*p)),
    st.tuples(pairs, numbers).map(lambda p: Uniform(*p[0], nominal=p[1])),
    st.tuples(st.integers(-50, 50), st.integers(0, 50)).map(lambda p: UniformInt(p[0], p[0] + p[1])),
    st.tuples(positive, positive).map(sorted).map(lambda p: LogUniform(*p)),
    st.tuples(numbers, st.floats(0, 1e3)).map(lambda p: Normal(*p)),
    st.tuples(numbers, st.floats(0, 1e3), pairs).map(lambda p: TruncatedNormal(p[0], p[1], *p[2])),
)
distributions = st.one_of(
    scalars,
    st.floats(0, 1).map(Bernoulli),
    st.lists(st.sampled_from("abcdef"), min_size=1, unique=True).map(Choice),
    st.tuples(axes(), st.tuples(angles, angles).map(sorted)).map(lambda p: Direction(p[0], *p[1])),
    angles.map(Rotation),
    st.tuples(axes(), pairs).map(lambda p: AxisRotation(p[0], *p[1])),
    color_ranges(),
    st.lists(scalars, min_size=1, max_size=3).map(Mixture),
    st.lists(scalars, max_size=2).map(lambda parts: Vector((*parts, Uniform(0, 1)))),
)
seeds = st.integers(0, 2**32)


@given(distributions, seeds)
def test_strength_0_is_exactly_nominal_and_1_exactly_the_draw(distribution: Distribution, seed):
    u = np.random.default_rng(seed).random(distribution.uniforms).tolist()
    assert distribution.value(u, 0.0) == distribution.nominal
    assert distribution.value(u, 1.0) == distribution.value(u)


@given(distributions, seeds, st.floats(0, 1))
def test_any_strength_consumes_the_same_draws(distribution, seed, strength):
    a, b = np.random.default_rng(seed), np.random.default_rng(seed)
    distribution.sample(a, 1.0)
    distribution.sample(b, strength)
    assert a.random() == b.random()


@given(distributions, seeds, st.integers(0, 6), st.integers(0, 6), st.floats(0, 1))
def test_item_k_does_not_depend_on_the_number_of_items(distribution, seed, n, more, strength):
    few = distribution.sample_n(np.random.default_rng(seed), n, strength)
    many = distribution.sample_n(np.random.default_rng(seed), n + more, strength)
    assert many[:n] == few
    singly = np.random.default_rng(seed)
    assert [distribution.sample(singly, strength) for _ in range(n)] == few


@given(distributions)
def test_yaml_form_reads_back_equal(distribution):
    again = parse(to_plain(distribution), "x")
    assert again == distribution
    assert again.nominal == distribution.nominal


@given(scalars, seeds, st.floats(0, 1))
def test_numbers_stay_between_their_outcomes(distribution, seed, strength):
    value = distribution.sample(np.random.default_rng(seed), strength)
    low, high = min(distribution.outcomes), max(distribution.outcomes)
    slack = 1e-9 * max(1.0, abs(value))
    assert low - slack <= value <= high + slack
    if strength == 1:
        assert low <= value <= high


@given(axes(), st.tuples(angles, angles).map(sorted), seeds, st.floats(0, 1))
def test_directions_are_unit_and_within_their_angles(axis, bounds, seed, strength):
    distribution = Direction(axis, *bounds)
    v = distribution.sample(np.random.default_rng(seed), 1.0)
    assert math.hypot(*v) == pytest.approx(1)
    angle = math.degrees(math.acos(max(-1, min(1, np.dot(v, distribution.axis)))))
    assert bounds[0] - 1e-4 <= angle <= bounds[1] + 1e-4
    part = distribution.sample(np.random.default_rng(seed), strength)
    assert math.hypot(*part) == pytest.approx(1)
    assert np.dot(part, distribution.axis) >= np.dot(v, distribution.axis) - 1e-9


@given(st.one_of(angles.map(Rotation), axes().map(AxisRotation)), seeds, st.floats(0, 1))
def test_rotations_are_unit_quaternions_that_shrink_with_strength(distribution, seed, strength):
    q = distribution.sample(np.random.default_rng(seed), 1.0)
    part = distribution.sample(np.random.default_rng(seed), strength)
    for r in (q, part):
        assert math.sqrt(sum(c * c for c in r)) == pytest.approx(1)
        assert r[3] >= 0
    angle, less = (2 * math.acos(min(1, r[3])) for r in (q, part))
    assert less == pytest.approx(strength * angle, abs=1e-6)


def test_uniform_int_gives_every_number_equally_often():
    values = UniformInt(2, 5).sample_n(np.random.default_rng(0), 4000)
    assert set(values) == {2, 3, 4, 5}
    assert stats.chisquare(np.bincount(values)[2:]).pvalue > 1e-3


@pytest.mark.parametrize(
    ("distribution", "law"),
    [
        (Uniform(-1, 3), stats.uniform(-1, 4)),
        (LogUniform(0.1, 10), stats.loguniform(0.1, 10)),
        (Normal(1, 2), stats.norm(1, 2)),
        (TruncatedNormal(0, 1, 0.5, 2), stats.truncnorm(0.5, 2)),
        (TruncatedNormal(0, 1, 6, 9), stats.truncnorm(6, 9)),
        (TruncatedNormal(0, 1, -9, -6), stats.truncnorm(-9, -6)),
        (TruncatedNormal(2, 0.5, -10, 10), stats.norm(2, 0.5)),
    ],
    ids=lambda d: getattr(d, "name", ""),
)
def test_numbers_follow_their_law(distribution, law):
    values = distribution.sample_n(np.random.default_rng(1), 3000)
    assert stats.kstest(values, law.cdf).pvalue > 1e-3


def test_directions_are_uniform_over_the_cap():
    axis = np.array([1.0, 2.0, -0.5]) / math.sqrt(5.25)
    v = np.array(Direction(tuple(axis), 20, 70).sample_n(np.random.default_rng(2), 3000))
    a, b = math.cos(math.radians(70)), math.cos(math.radians(20))
    assert stats.kstest(v @ axis, stats.uniform(a, b - a).cdf).pvalue > 1e-3
    assert abs((v - np.outer(v @ axis, axis)).mean(axis=0)).max() < 0.05


def test_rotations_are_uniform_over_so3():
    # A uniform rotation sends any fixed vector to a uniform direction, and has angle cdf (a - sin a) / pi.
    q = Rotation().sample_n(np.random.default_rng(3), 3000)
    z = np.array([rotation_from_quaternion(r)[:, 0] for r in q])
    for k in range(3):
        assert stats.kstest(z[:, k], stats.uniform(-1, 2).cdf).pvalue > 1e-3
    angle = 2 * np.arccos(np.minimum(1, [r[3] for r in q]))
    assert stats.kstest(angle, lambda a: (a - np.sin(a)) / np.pi).pvalue > 1e-3


def test_rotation_within_a_limit():
    angle = np.degrees(2 * np.arccos([r[3] for r in Rotation(15).sample_n(np.random.default_rng(4), 500)]))
    assert angle.max() <= 15 + 1e-6
    assert angle.max() > 14


def test_opposite_directions_interpolate_over_a_perpendicular():
    distribution = Direction((0, 0, 1), 180, 180)
    half = distribution.value([0.5, 0.0], 0.5)
    assert half[2] == pytest.approx(0, abs=1e-6)
    assert math.hypot(*half) == pytest.approx(1)


def test_log_uniform_interpolates_logarithms():
    distribution = LogUniform(1, 100, nominal=1)
    assert distribution.value([1.0 - 1e-16], 0.5) == pytest.approx(10)


def test_hsv_red_is_linear_red():
    assert Color((0, 1, 1), (0, 1, 1)).nominal == (1.0, 0.0, 0.0)
    grey = Color((0, 0, 0.5), (0, 0, 0.5)).value([0.3, 0.3, 0.3])
    assert grey == pytest.approx((0.21404,) * 3, abs=1e-5)  # sRGB 0.5


@pytest.mark.parametrize(
    "distribution", [Choice(("a", "b", "c"), (1, 0, 3)), Bernoulli(0.3), Mixture((Constant(1), Uniform(5, 6)), (1, 3))]
)
def test_discrete_draws_follow_weights_and_strength(distribution):
    values = distribution.sample_n(np.random.default_rng(5), 4000)
    shares = {Choice: ("c", 0.75), Bernoulli: (True, 0.3), Mixture: (1, 0.25)}
    value, share = shares[type(distribution)]
    assert np.mean([v == value for v in values]) == pytest.approx(share, abs=0.03)
    assert "b" not in values
    half = distribution.sample_n(np.random.default_rng(5), 4000, 0.5)
    kept = np.mean([a == b for a, b in zip(values, half, strict=True)])
    changed = [b for a, b in zip(values, half, strict=True) if a != b]
    assert kept > 0.5
    assert all(b == distribution.nominal for b in changed)


@pytest.mark.parametrize(
    ("value", "nominal"),
    [
        (3, 3),
        ("word", "word"),
        ([1, 2.5, 3], (1, 2.5, 3)),
        (None, None),
        (True, True),
        ({"dist": "uniform", "low": 0, "high": 2}, 1),
        ({"dist": "uniform", "low": 0, "high": 2, "nominal": 0}, 0),
        ({"dist": "uniform_int", "low": 0, "high": 5}, 2),
        ({"dist": "log_uniform", "low": 1, "high": 100}, 10),
        ({"dist": "normal", "mean": 4, "std": 1}, 4),
        ({"dist": "truncated_normal", "mean": 4, "std": 1, "low": 5, "high": 6}, 5),
        ({"dist": "choice", "values": ["a", "b"], "weights": [1, 2]}, "b"),
        ({"dist": "bernoulli", "p": 0.2}, False),
        ({"dist": "direction"}, (0, 0, 1)),
        ({"dist": "rotation"}, (0, 0, 0, 1)),
        ({"dist": "axis_rotation", "axis": [1, 0, 0]}, (0, 0, 0, 1)),
        ({"dist": "mixture", "of": [7, {"dist": "uniform", "low": 0, "high": 1}]}, 7),
        ([{"dist": "uniform", "low": 0, "high": 2}, 5, 6], (1, 5, 6)),
    ],
)
def test_parse(value, nominal):
    assert parse(value, "x").nominal == nominal


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"dist": "uniform", "low": 2.0, "high": 1.0}, "a.b: low 2.0 is above high 1.0; swap them or widen the range."),
        ({"dist": "unifrm", "low": 1, "high": 2}, "there is no distribution 'unifrm' (did you mean \"uniform\"?)"),
        ({"low": 1, "high": 2}, 'a.b: a random value needs "dist"'),
        ({"dist": "uniform", "low": 1}, "a.b: uniform needs 'high'"),
        ({"dist": "uniform", "low": 1, "hihg": 2}, "has no parameter 'hihg' (did you mean \"high\"?)"),
        ({"dist": "normal", "mean": 1, "std": 1, "low": 0}, "first clear the old one: a.b=null"),
        ({"dist": "normal", "mean": 1, "std": -1}, "std -1 is negative"),
        ({"dist": "uniform", "low": math.nan, "high": 1}, "nan is not a finite number"),
        ({"dist": "uniform", "low": 0, "high": math.inf}, "inf is not a finite number"),
        ({"dist": "uniform", "low": "x", "high": 1}, "low must be a number, not 'x'"),
        ({"dist": "uniform", "low": True, "high": 1}, "low must be a number, not True"),
        ({"dist": "uniform_int", "low": 0.5, "high": 1}, "low 0.5 is not a whole number"),
        ({"dist": "log_uniform", "low": 0, "high": 1}, "low 0 must be greater than 0"),
        ({"dist": "log_uniform", "low": 1, "high": 2, "nominal": -1}, "nominal -1 must be greater than 0"),
        ({"dist": "choice", "values": []}, "values must be a list with at least one entry"),
        ({"dist": "choice", "values": ["a"], "weights": [1, 2]}, "there are 2 weights for 1 values"),
        ({"dist": "choice", "values": ["a"], "weights": [-1]}, "weight -1 is negative"),
        ({"dist": "choice", "values": ["a", "b"], "weights": [0, 0]}, "all weights are 0"),
        ({"dist": "choice", "values": [{"dist": "uniform", "low": 0, "high": 1}]}, "use a mixture"),
        ({"dist": "bernoulli", "p": 1.5}, "p 1.5 is not a probability"),
        ({"dist": "direction", "axis": [0, 0, 0]}, "axis has no direction"),
        ({"dist": "direction", "axis": [0, 1]}, "axis must be a list of 3 numbers"),
        ({"dist": "direction", "low_deg": 50, "high_deg": 20}, "low_deg 50 is above high_deg 20"),
        ({"dist": "direction", "high_deg": 200}, "not within 0 to 180 degrees"),
        ({"dist": "rotation", "within_deg": 270}, "not within 0 to 180 degrees"),
        ({"dist": "color", "low": [0, 0, 0], "high": [2, 1, 1]}, "not a range of a colour channel"),
        ({"dist": "color", "space": "lab"}, 'space must be "rgb" or "hsv"'),
        ({"dist": "mixture", "of": []}, "of must be a list with at least one distribution"),
        ({"dist": "mixture", "of": [{"dist": "uniform", "low": 2, "high": 1}]}, "a.b.of.0: low 2 is above high 1"),
        ([0, {"dist": "uniform", "low": 2, "high": 1}], "a.b.1: low 2 is above high 1"),
        ([0, math.nan], "nan is not a finite number"),
    ],
)
def test_parse_refuses_with_a_sentence(value, sentence):
    with pytest.raises(ConfigError) as caught:
        parse(value, "a.b")
    message = str(caught.value)
    assert sentence in message
    assert message.startswith("a.b")
    assert message.endswith(".")
    assert "\n" not in message

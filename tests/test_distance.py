"""Distances between sets of images against closed forms, and the audit against planted weaknesses."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")
import torch

from simgen.evaluate.audit.audit import examined, thin, weak
from simgen.evaluate.distance.describe import Description, describe, noise_level, picture_properties
from simgen.evaluate.distance.features import model_features, network_features
from simgen.evaluate.distance.measure import distances
from simgen.evaluate.distance.statistics import (
    frechet_distance,
    kernel_distance,
    overlap,
    principal,
    share_moved,
    shift,
    told_apart,
)
from simgen.evaluate.results import Figure, Results, Slice
from simgen.learn.config import InputConfig
from simgen.learn.errors import LearnError
from simgen.learn.model import create
from simgen.learn.sample import Sample, objects

RNG = np.random.default_rng(4)


class Pictures:
    """A source of pictures with one box each; ``light`` is their mean grey, ``side`` their box."""

    def __init__(self, name: str, count: int, light: float, side: int, label: int = 0, noise: float = 4.0) -> None:
        self.name, self.classes = name, ("a", "b")
        rng = np.random.default_rng(len(name))
        self.samples = []
        for k in range(count):
            image = np.clip(rng.normal(light + rng.normal(0, 12), noise, (40, 60, 3)), 0, 255).astype(np.uint8)
            x, y = rng.integers(0, 60 - side), rng.integers(0, 40 - side)
            wide = side * np.exp(rng.normal(0, 0.1))
            self.samples.append(
                Sample(image, objects([[x, y, wide, side + rng.normal(0, 0.5)]], [label]), f"{name}{k}")
            )

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]

    def objects(self, index: int):
        return self.samples[index].objects

    def group(self, index: int) -> str:
        return self.samples[index].name


class TestStatistics:
    def test_a_shift_is_measured_in_deviations(self) -> None:
        real = RNG.normal(5, 2, 4000)
        assert shift(real + 3, real) == pytest.approx(1.5, rel=0.03)
        assert shift(real, real) == 0
        assert np.isnan(shift(real, np.ones(5)))

    def test_total_variation_of_classes(self) -> None:
        a, b = np.array([0] * 8 + [1] * 2), np.array([0] * 5 + [2] * 5)
        assert share_moved(a, b, 3) == pytest.approx(0.5)

    def test_frechet_distance_of_normals_is_the_closed_form(self) -> None:
        # Diagonal covariances: |m|^2 + sum (sqrt a - sqrt b)^2.
        scale_a, scale_b, mean = np.array([1.0, 2.0, 0.5]), np.array([2.0, 1.0, 0.5]), np.array([1.0, 0.0, -2.0])
        a, b = RNG.normal(size=(40000, 3)) * scale_a, RNG.normal(size=(40000, 3)) * scale_b + mean
        assert frechet_distance(a, b) == pytest.approx(5.0 + ((scale_a - scale_b) ** 2).sum(), rel=0.03)
        assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6)

    def test_the_kernel_distance_is_unbiased_and_grows(self) -> None:
        same = [kernel_distance(RNG.normal(size=(60, 8)), RNG.normal(size=(60, 8))) for _ in range(40)]
        assert abs(np.mean(same)) < 4 * np.std(same) / np.sqrt(40)
        assert min(same) < 0
        apart = [kernel_distance(RNG.normal(size=(60, 8)), RNG.normal(size=(60, 8)) + s) for s in (0.5, 1.0, 2.0)]
        assert max(same) < apart[0] < apart[1] < apart[2]
        # By hand for two points each in one dimension: k(x, y) = (x y + 1)^3.
        a, b = np.array([[0.0], [1.0]]), np.array([[2.0], [3.0]])
        within_a, within_b = 1.0, 7.0**3
        between = np.mean([1.0, 1.0, 3.0**3, 4.0**3])
        assert kernel_distance(a, b) == pytest.approx(within_a + within_b - 2 * between)

    def test_overlap_of_likes_strangers_and_a_lost_mode(self) -> None:
        real = RNG.normal(size=(200, 4))
        alike = overlap(RNG.normal(size=(200, 4)), real)
        assert min(alike.values()) > 0.7
        assert alike["density"] == pytest.approx(1, abs=0.15)
        assert max(overlap(real + 50, real).values()) == 0
        # Synthetic images of one of two kinds: all are real-like, half of the real ones are missed.
        two = np.concatenate([real[:100], real[100:] + 30])
        lost = overlap(RNG.normal(size=(200, 4)), two)
        assert lost["precision"] > 0.8
        assert lost["recall"] == pytest.approx(0.5, abs=0.1)
        assert lost["coverage"] == pytest.approx(0.5, abs=0.1)

    def test_a_classifier_tells_apart_what_differs(self) -> None:
        a = RNG.normal(size=(300, 6))
        assert told_apart(a, RNG.normal(size=(300, 6))) == pytest.approx(0.5, abs=0.08)
        # One dimension shifted by d deviations: the best accuracy is Phi(d / 2).
        b = RNG.normal(size=(300, 6)) + np.array([2.0, 0, 0, 0, 0, 0])
        assert told_apart(a, b) == pytest.approx(0.841, abs=0.04)
        assert told_apart(a, a + 100) == 1

    def test_a_classifier_does_not_get_by_with_knowing_the_tracks(self) -> None:
        def tracks() -> np.ndarray:
            return np.repeat(RNG.normal(size=(24, 32)), 12, axis=0) + RNG.normal(size=(24 * 12, 32)) * 0.2

        a, b, track = tracks(), tracks(), np.repeat(np.arange(24), 12)
        assert told_apart(a, b) > 0.8
        assert told_apart(a, b, groups=(track, track)) == pytest.approx(0.5, abs=0.2)
        assert told_apart(a, b + 100, groups=(track, track)) == 1
        assert np.isnan(told_apart(a, b, groups=(track, track // 6)))

    def test_principal_directions_keep_distances_and_scale_by_the_real_set(self) -> None:
        a, b = RNG.normal(size=(50, 5)), RNG.normal(size=(40, 5)) * 7
        x, y = principal(a, b, 5)
        assert np.square(y - y.mean(0)).sum() / y.size == pytest.approx(1)
        before = np.linalg.norm(a[0] - b[3]) / np.linalg.norm(a[1] - b[5])
        assert np.linalg.norm(x[0] - y[3]) / np.linalg.norm(x[1] - y[5]) == pytest.approx(before)
        assert principal(a, b, 2)[0].shape == (50, 2)


def test_noise_is_that_which_was_added() -> None:
    smooth = cv2.GaussianBlur(RNG.uniform(60, 200, (200, 200)).astype(np.float32), (0, 0), 12)
    for sigma in (2.0, 6.0, 12.0):
        noisy = np.clip(smooth + RNG.normal(0, sigma, smooth.shape), 0, 255).astype(np.uint8)
        assert noise_level(noisy) == pytest.approx(sigma, rel=0.1)


def test_picture_properties_of_plain_colours() -> None:
    red = np.zeros((20, 20, 3), np.uint8)
    red[..., 0] = 255
    found = picture_properties(red)
    assert found["red-green"] == pytest.approx(80.1, abs=0.5)  # CIELAB of sRGB red
    assert found["yellow-blue"] == pytest.approx(67.2, abs=0.5)
    assert found["contrast"] == 0


def test_what_differs_is_far_and_what_does_not_is_near() -> None:
    dark, bright = describe(Pictures("dark", 80, 60, 10)), describe(Pictures("bright", 90, 120, 20, label=1))
    found = {(d.kind, d.name): d for d in distances(dark, bright)}
    brightness = found["picture", "brightness"]
    assert brightness.value == pytest.approx(5, abs=1.2)
    assert brightness.low < brightness.value < brightness.high
    assert brightness.synthetic == pytest.approx(60 / 255, abs=0.02)
    assert found["label", "size"].value > 5
    assert found["label", "aspect"].value < 0.6
    assert found["label", "classes"].value == 1
    assert np.isnan(found["label", "objects"].value)  # there is one on every image
    likes = {d.name: d for d in distances(describe(Pictures("x", 80, 90, 10)), describe(Pictures("yyy", 80, 90, 10)))}
    assert likes["brightness"].value < 0.4
    assert likes["brightness"].low < 0.3


def test_intervals_stay_where_the_distances_can_be() -> None:
    def taken(samples: list[Sample]) -> np.ndarray:
        return np.array([[s.image.mean(), s.image.std()] for s in samples])

    ours, theirs = (describe(Pictures(name, 24, 100, 10), {"mean": taken}) for name in ("few", "some"))
    found = {d.name: d for d in distances(ours, theirs) if d.kind == "feature"}
    for name in ("precision", "recall", "coverage", "told apart"):
        assert 0 <= found[name].low <= found[name].high <= 1, name
    assert found["density"].low >= 0
    assert found["Frechet"].low >= 0


def test_features_of_a_model_and_of_a_network_of_the_user(tmp_path: Path) -> None:
    model = create(
        "classify", ["a", "b"], InputConfig(height=32, width=32, crop="image", normalize="fixed"), 8, "azimuth", 0
    )
    extract = {"ours": model_features(model)}
    path = tmp_path / "net.pt2"
    network = torch.export.export(torch.nn.AdaptiveAvgPool2d(2), (torch.zeros(1, 3, 224, 224),))
    torch.export.save(network, path)
    extract["theirs"] = network_features(path)
    dark, bright = (describe(Pictures(n, 40, light, 10), extract) for n, light in (("dark", 60), ("bright", 120)))
    assert dark.features["theirs"].shape == (40, 12)
    assert dark.features["theirs"].mean() == pytest.approx(60 / 255, abs=0.02)
    for of in ("ours", "theirs"):
        found = {d.name: d for d in distances(dark, bright, draws=4) if d.of == of}
        assert found["told apart"].value > 0.9
        assert found["KID"].value > 0.1
    with pytest.raises(LearnError, match="there is no file"):
        network_features(tmp_path / "none.pt")
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(LearnError, match=r"not a network that torch\.export\.save wrote"):
        network_features(tmp_path / "text.pt")
    with pytest.raises(LearnError, match="does not take images"):
        network_features(path, side=100)([Pictures("p", 1, 90, 10)[0]])


@pytest.mark.parametrize("task", ["detect", "segment", "pose"])
def test_every_kind_of_model_has_features(task: str) -> None:
    model = create(task, ["a", "b"], InputConfig(height=64, width=64, normalize="fixed"), 8, "azimuth", 0)
    samples = [Pictures("p", 3, 90, 10)[k] for k in range(3)]
    found = model_features(model)(samples)
    assert found.shape[0] == 3
    assert np.isfinite(found).all()
    assert np.ptp(found, axis=0).max() > 0


def test_parts_keep_boxes_with_their_images() -> None:
    whole = describe(Pictures("p", 30, 90, 10))
    kept = np.arange(30) % 3 == 0
    part = whole.part(kept)
    assert len(part) == 10
    assert part.owner.tolist() == list(range(10))
    np.testing.assert_array_equal(part.labels["row"], whole.labels["row"][kept])


def results(parts: list[Slice], larger: bool = True) -> Results:
    return Results("classify", "m", "d", 100, "top1", larger, {"top1": Figure(0.8, 0.7, 0.9)}, [], parts, [])


def test_weak_slices_are_those_surely_below_the_rest() -> None:
    parts = [
        Slice("light", "dark", 40, Figure(0.5, 0.4, 0.6)),
        Slice("light", "dim", 40, Figure(0.7, 0.5, 0.85)),
        Slice("size", "small", 4, Figure(0.1, 0.0, 0.2)),  # too few to say
        Slice("size", "large", 60, Figure(0.95, 0.9, 1.0)),
        Slice("lens", "wide", 90, Figure(0.5, 0.4, 0.6), 3),  # of three scenes: too few to say
    ]
    [found] = weak(results(parts))
    assert (found.factor, found.value) == ("light", "dark")
    assert found.gap == pytest.approx(-0.3)
    assert examined(results(parts)) == 3
    # Of errors, what is larger is worse.
    [other] = weak(results(parts, larger=False))
    assert (other.factor, other.value, other.gap) == ("size", "large", pytest.approx(-0.15))


def test_thin_data_is_told_by_property_and_class() -> None:
    narrow, wide = describe(Pictures("narrow", 200, 120, 10)), describe(Pictures("w", 100, 120, 10))
    dark = describe(Pictures("dark", 100, 40, 10))
    real = Description(
        "real", np.arange(200), {k: np.concatenate([wide.pictures[k], dark.pictures[k]]) for k in wide.pictures},
        {k: np.concatenate([wide.labels[k], dark.labels[k]]) for k in wide.labels}, np.arange(200),
        np.repeat([0, 1], 100), 2, {},
    )  # fmt: skip
    found = thin(narrow, real, ["a", "b"])
    assert {t.factor for t in found} >= {"brightness", "class"}
    assert "size" not in {t.factor for t in found}
    for entry in found:
        assert entry.synthetic < 0.25 * entry.real
    assert [t.value for t in found if t.factor == "class"] == ["b"]
    assert thin(narrow, describe(Pictures("twin", 200, 120, 10)), ["a", "b"]) == []

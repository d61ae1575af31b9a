"""Figures of merit against libraries, closed forms and counting by hand."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pycocotools", reason="pycocotools is an optional part")

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from simgen.evaluate.bootstrap import intervals
from simgen.evaluate.metrics.classify import ClassifyTally, calibration_error
from simgen.evaluate.metrics.detect import DetectTally
from simgen.evaluate.metrics.pose import Calibration, PoseTally, between, calibrate, wrap
from simgen.evaluate.metrics.segment import SegmentTally, outline_agreement
from simgen.evaluate.results import Figure, Results, Slice
from simgen.evaluate.slices import divide, properties
from simgen.learn.predictions import Classified, Detected, Posed, Segmented
from simgen.learn.sample import UNLABELLED, Sample, objects

BLANK = np.zeros((200, 200, 3), np.uint8)


def scene(rng: np.random.Generator) -> tuple[Sample, Detected]:
    """Some objects of all sizes, and detections that are about right, doubled, wrong or missing."""
    count = int(rng.integers(0, 6))
    size = rng.choice([12, 50, 120], count)[:, None] * rng.uniform(0.8, 1.2, (count, 2))
    boxes = np.concatenate([rng.uniform(0, 80, (count, 2)), size], 1)
    labels = rng.integers(0, 3, count)
    ignore = rng.random(count) < 0.15
    found = boxes[rng.random(count) < 0.8]
    own = labels[: len(found)] if len(found) == count else rng.integers(0, 3, len(found))
    found = np.concatenate([found + rng.normal(0, 3, found.shape), rng.uniform(5, 60, (3, 4))])
    own = np.concatenate([own, rng.integers(0, 3, 3)])
    visib = rng.uniform(0, 1, count)
    scores = rng.random(len(found)).astype(np.float32)
    # A crowd takes all that is found within it.
    crowd = ignore & (rng.random(count) < 0.5)
    boxes[crowd, 2:] += 60
    truth = objects(boxes, labels, ignore, visib, crowd=crowd)
    return Sample(BLANK, truth, "s"), Detected(found.astype(np.float32), scores, own.astype(np.int64))


def test_detection_figures_are_those_of_cocoeval() -> None:
    rng = np.random.default_rng(0)
    pairs = [scene(rng) for _ in range(40)]
    tally = DetectTally("abc")
    images, truth, found = [], [], []
    for k, (sample, detected) in enumerate(pairs):
        tally.add(sample, detected)
        images.append({"id": k, "width": 200, "height": 200})
        o = sample.objects
        for n, (box, label, ignore, area) in enumerate(zip(o.boxes.tolist(), o.labels, o.ignore, o.areas, strict=True)):
            # An ignored object is one whose area is outside every range.
            entry = {"id": len(truth) + 1, "image_id": k, "category_id": int(label), "bbox": box}
            entry["iscrowd"] = int(o.crowd[n])
            truth.append({**entry, "area": 1e12 if ignore else float(area)})
        for box, label, score in zip(detected.boxes.tolist(), detected.labels, detected.scores, strict=True):
            found.append({"image_id": k, "category_id": int(label), "bbox": box, "score": float(score)})
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": images,
            "annotations": truth,
            "categories": [{"id": c, "name": str(c)} for c in range(3)],
            "info": {},
        }
        coco.createIndex()
        run = COCOeval(coco, coco.loadRes(found), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    figures = tally.figures(np.ones(40))
    names = [
        "AP",
        "AP50",
        "AP75",
        "AP_small",
        "AP_medium",
        "AP_large",
        None,
        None,
        "AR",
        "AR_small",
        "AR_medium",
        "AR_large",
    ]
    for name, value in zip(names, run.stats, strict=True):
        if name:
            assert figures[name] == pytest.approx(value, abs=1e-9), name
    assert 0.02 < figures["AP"] < 0.98


def test_an_image_of_weight_two_counts_as_two() -> None:
    rng = np.random.default_rng(1)
    pairs = [scene(rng) for _ in range(12)]
    once, twice = DetectTally("abc"), DetectTally("abc")
    for k, pair in enumerate(pairs):
        once.add(*pair)
        for _ in range(2 if k % 3 == 0 else 1):
            twice.add(*pair)
    weights = np.where(np.arange(12) % 3 == 0, 2.0, 1.0)
    a, b = once.figures(weights), twice.figures(np.ones(16))
    for name in a:
        assert a[name] == pytest.approx(b[name], nan_ok=True), name
    assert once.score(weights) == pytest.approx(a["AP50"])


def test_visibility_counts_and_the_best_threshold() -> None:
    tally = DetectTally(["a"], threshold=0.5)
    boxes = [(0, 0, 20, 20), (50, 50, 20, 20), (100, 100, 20, 20)]
    truth = objects(boxes, [0, 0, 0], visib=[0.3, 0.7, 1.0])
    detected = Detected(
        np.array([*boxes[1:], (150, 10, 9, 9)], np.float32),
        np.array([0.9, 0.8, 0.6], np.float32),
        np.zeros(3, np.int64),
    )
    tally.add(Sample(BLANK, truth, "one"), detected)
    tally.add(
        Sample(BLANK, objects(np.zeros((0, 4)), []), "none"),
        Detected(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64)),
    )
    figures = tally.figures(np.ones(2))
    assert figures["AR_visib<50"] == 0
    assert figures["AR_visib50-90"] == figures["AR_visib>90"] == 1
    assert figures["precision"] == figures["recall"] == pytest.approx(2 / 3)
    assert (figures["count_error"], figures["count_bias"]) == (0, 0)
    assert tally.best_threshold() == pytest.approx(0.8)
    images = tally.per_image()
    assert (images[0]["hits"], images[0]["false_alarms"], images[0]["misses"]) == (2, 1, 1)
    assert images[1]["score"] == 1


def test_classification_figures_by_hand() -> None:
    tally = ClassifyTally("abc")
    given = [(0, (0.8, 0.1, 0.1)), (0, (0.2, 0.7, 0.1)), (0, (0.6, 0.3, 0.1)), (1, (0.1, 0.9, 0.0))]
    for label, probabilities in given:
        truth = objects([(0, 0, 9, 9)], [label])
        tally.add(Sample(BLANK, truth, "s"), Classified(np.array([0]), np.array([probabilities], np.float32)))
    figures = tally.figures(np.ones(4))
    assert figures["top1"] == 0.75
    assert figures["macro"] == pytest.approx((2 / 3 + 1) / 2)  # a class that does not occur has no part
    assert figures["ece"] == pytest.approx((0.2 + 0.7 + 0.4 + 0.1) / 4)
    assert figures["log_loss"] == pytest.approx(-np.log([0.8, 0.2, 0.6, 0.9]).mean())
    assert tally.confusion().tolist() == [[2, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert tally.per_class()[0]["taken_for"] == "b"
    assert tally.figures(np.array([0, 0, 0, 1.0]))["top1"] == 1


def test_a_calibrated_guess_has_no_calibration_error() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.3, 1, 200_000)
    right = rng.random(200_000) < confidence
    ones = np.ones(len(right))
    assert calibration_error(confidence, right, ones) < 0.01
    assert calibration_error(confidence, right & (rng.random(200_000) < 0.8), ones) > 0.1


def test_overlap_of_masks_by_counting() -> None:
    tally = SegmentTally(["a", "b"])
    truth = np.zeros((20, 20), np.uint8)
    truth[:10, :10], truth[10:, 10:], truth[:, 0] = 1, 2, UNLABELLED
    given = np.zeros((20, 20), np.uint8)
    given[:10, :15] = 1
    tally.add(Sample(BLANK, objects([], []), "s", truth), Segmented(given))
    figures = tally.figures(np.ones(1))
    assert tally.per_class()[0]["IoU"] == pytest.approx(90 / 140)
    assert tally.per_class()[1]["IoU"] == 0
    assert figures["IoU"] == pytest.approx(90 / 140 / 2)
    assert figures["pixel_accuracy"] == pytest.approx((380 - 50 - 100) / 380)


def test_outlines_agree_within_their_tolerance_only() -> None:
    a = np.zeros((200, 200), bool)
    a[50:150, 50:150] = True
    assert outline_agreement(a, a) == 1
    assert outline_agreement(a, np.roll(a, 2, 1)) == 1  # the tolerance is 3 pixels
    assert 0.4 < outline_agreement(a, np.roll(a, 10, 1)) < 0.7  # the two horizontal edges still agree
    assert outline_agreement(a, ~a & False) == 0
    assert np.isnan(outline_agreement(a & False, a & False))


@pytest.mark.parametrize("direction", [1, -1])
def test_the_zero_and_sense_of_a_turntable_are_found(direction: int) -> None:
    rng = np.random.default_rng(3)
    azimuth = rng.uniform(-np.pi, np.pi, 300)
    measured = wrap(direction * azimuth + 2.1 + rng.normal(0, 0.05, 300))
    measured[:40] = wrap(measured[:40] + np.pi)  # some are seen from the wrong side
    found = calibrate(azimuth, measured)
    assert found.direction == direction
    assert float(wrap(np.array(found.offset - 2.1))) == pytest.approx(0, abs=0.02)


def test_angular_errors_go_around_the_circle() -> None:
    tally = PoseTally(["a"], Calibration(np.radians(10), 1))
    for truth, given in ((175.0, 170.0), (175.0, -175.0), (0.0, -10.0), (90.0, 60.0)):
        sample = Sample(BLANK, objects([(0, 0, 9, 9)], [0], azimuth=[np.radians(truth)]), "s")
        unknown = np.full((1, 3, 3), np.nan)
        tally.add(sample, Posed(np.array([0]), np.radians([given]), unknown, np.ones(1, np.float32)))
    np.testing.assert_allclose(tally.errors(), [5, 20, 0, 20], atol=1e-9)
    figures = tally.figures(np.ones(4))
    assert figures["median_deg"] == pytest.approx(12.5)
    assert figures["within_5"] == 0.5
    assert tally.figures(np.array([0, 0, 1.0, 0]))["median_deg"] == pytest.approx(0)


def test_rotations_differ_by_their_angle() -> None:
    c, s = np.cos(0.3), np.sin(0.3)
    assert between(np.eye(3), np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])) == pytest.approx(0.3)
    tally = PoseTally(["a"])
    R = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    sample = Sample(BLANK, objects([(0, 0, 9, 9)], [0], rotation=[np.eye(3)]), "s")
    tally.add(sample, Posed(np.array([0]), np.full(1, np.nan), R[None], np.ones(1, np.float32)))
    assert tally.figures(np.ones(1))["median_deg"] == pytest.approx(np.degrees(0.3))


def test_intervals_cover_as_they_say_and_respect_groups() -> None:
    rng = np.random.default_rng(0)
    covered = []
    for trial in range(60):
        right = rng.random(150) < 0.7

        def share(w: np.ndarray, right: np.ndarray = right) -> dict[str, float]:
            return {"share": float(w @ right / w.sum())}

        low, high = intervals(share, [str(k) for k in range(150)], 200, trial)["share"]
        covered.append(low <= 0.7 <= high)
    assert sum(covered) >= 50
    right = np.repeat([True, False, True, True, False, True], 25)

    def share_of(w: np.ndarray) -> dict[str, float]:
        return {"share": float(w @ right / w.sum())}

    alone = intervals(share_of, [str(k) for k in range(150)], 300, 0)["share"]
    grouped = intervals(share_of, [str(k // 25) for k in range(150)], 300, 0)["share"]
    assert grouped[1] - grouped[0] > 2 * (alone[1] - alone[0])
    assert intervals(share_of, [str(k) for k in range(150)], 300, 0)["share"] == alone
    # Frames of one scene cannot say how it is in another one; a set that is all of one scene is drawn by image.
    scenes = [str(k // 25) for k in range(150)]
    assert np.isnan(intervals(share_of, scenes, 300, 0, np.arange(150) < 25)["share"]).all()
    assert intervals(share_of, ["0"] * 150, 300, 0)["share"] == pytest.approx(alone, abs=0.05)


def test_slices_divide_by_value_or_range() -> None:
    facts = [{"kind": "ab"[k % 2], "size": float(k), "same": 1, "word": str(k), "a/seed": 7 * k} for k in range(40)]
    found = divide(facts)
    assert [value for factor, value, _ in found if factor == "kind"] == ["a", "b"]
    ranges = [mask for factor, _, mask in found if factor == "size"]
    assert [int(mask.sum()) for mask in ranges] == [10, 10, 10, 10]
    assert (np.sum(ranges, axis=0) == 1).all()
    assert {factor for factor, _, _ in found} == {"kind", "size"}
    assert divide([{"a": 1.0}, {}, {"a": 2.0}], least=1)[0][2].tolist() == [True, False, False]


def test_properties_of_an_image() -> None:
    image = np.full((100, 100, 3), 51, np.uint8)
    found = properties(Sample(image, objects([(0, 0, 10, 40)], [0]), "s"))
    assert found["brightness"] == pytest.approx(0.2)
    assert found["contrast"] == 0
    assert found["size"] == pytest.approx(0.2)
    assert found["objects"] == 1


def test_results_are_written_with_null_for_nothing(tmp_path: Path) -> None:
    figure = Figure(float("nan"), 0.1, 0.2)
    parts = [Slice("light", "dark", 9, Figure(0.2, 0.1, 0.3)), Slice("light", "bright", 9, Figure(0.9, 0.8, 1.0))]
    classes = [{"class": "a", "recall": 0.5}, {"class": "b", "recall": 0.1}]
    results = Results("classify", "m", "d", 9, "top1", True, {"top1": figure}, classes, parts, [])
    stored = json.loads(results.write(tmp_path / "out").read_text())
    assert stored["figures"]["top1"]["value"] is None
    text = results.text()
    assert text.index("dark") < text.index("bright")
    assert text.index("b      0.1") < text.index("a      0.5")

"""Where a model fails on real images: the worst slices, and pictures with truth and prediction."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from simgen.evaluate import slices as slicing
from simgen.evaluate.experiment.plan import Training
from simgen.evaluate.experiment.run import Runner
from simgen.evaluate.metrics.pose import Calibration
from simgen.learn.model import predict
from simgen.learn.predictions import Classified, Detected, Posed, Prediction, Segmented
from simgen.learn.sample import UNLABELLED, Sample, Subset

Picture = NDArray[np.uint8]

SIDE, SMALL = 360, 180
"""Longer side of a picture in pixels; of crops for classify and pose, the smaller."""

TRUTH, GIVEN = (64, 200, 120), (250, 130, 40)

_DETECTION_OVERLAP = 0.5


@dataclass(frozen=True, eq=False)
class Failure:
    """A real image on which a model did badly, with truth and prediction drawn on it."""

    name: str
    picture: Picture
    caption: str


@dataclass(frozen=True, eq=False)
class Group:
    """The worst images of a slice; ``title`` names it, ``told`` says how the model does on it."""

    title: str
    told: str
    failures: list[Failure]


def failures(runner: Runner, training: Training, groups: int = 4, each: int = 6) -> list[Group]:
    """The worst images of the worst slices of a scored training on the real val images, then those of all others.

    Of each factor only the worst slice is shown, and of images that are akin (a track, a scene) only the worst.
    """
    source = runner.data.real(training.task, "val")
    path = runner.score_file(training, "val")
    if source is None or not path.is_file():
        return []
    content = json.loads(path.read_text(encoding="utf-8"))
    bad = [k for k, row in enumerate(content["images"]) if _failed(row)]
    by_group: dict[str, int] = {}
    for k in sorted(bad, key=lambda k: float(content["images"][k]["score"])):
        by_group.setdefault(source.group(k), k)
    order = list(by_group.values())
    chosen: list[tuple[str, str, list[int]]] = []
    shown: set[int] = set()
    masks = {(factor, value): mask for factor, value, mask in slicing.divide([r["facts"] for r in content["images"]])}
    factors: set[str] = set()
    for part in _worst(content):
        key = (part["factor"], part["value"])
        if len(chosen) == groups or part["factor"] in factors or key not in masks:
            continue
        rows = [k for k in order if masks[key][k] and k not in shown][:each]
        if rows:
            factors.add(part["factor"])
            shown.update(rows)
            told = f"{content['primary']} {part['figure']['value']:.3f} on {part['images']} images"
            chosen.append((f"{part['factor']} {part['value']}", told, rows))
    rest = [k for k in order if k not in shown][:each]
    if rest:
        chosen.append(("Others" if chosen else "Worst images", f"of {len(bad)} images with a mistake", rest))
    pictures = _pictures(runner, training, sorted({k for _, _, rows in chosen for k in rows}), content)
    return [Group(title, told, [pictures[k] for k in rows]) for title, told, rows in chosen]


def _worst(content: dict[str, Any]) -> list[dict[str, Any]]:
    known = [part for part in content["slices"] if part["figure"]["value"] is not None]
    sign = 1 if content["larger_is_better"] else -1
    return sorted(known, key=lambda part: sign * part["figure"]["value"])


def _failed(row: dict[str, Any]) -> bool:
    """Whether something is wrong with the prediction of an image, not merely unsure."""
    if row["score"] is None:
        return False
    if "given" in row:
        return bool(row["given"] != row["true"])
    return bool(row["score"] < 1)


def _pictures(runner: Runner, training: Training, rows: Sequence[int], content: dict[str, Any]) -> dict[int, Failure]:
    source = runner.data.real(training.task, "val")
    assert source is not None
    model = runner.load(training)
    found = {}
    for row, (sample, prediction) in zip(rows, predict(model, Subset(source, rows)), strict=True):
        picture, caption = show(sample, prediction, model.classes, content["details"])
        found[row] = Failure(sample.name, picture, caption)
    return found


def show(
    sample: Sample, prediction: Prediction, classes: Sequence[str], details: dict[str, Any]
) -> tuple[Picture, str]:
    """A picture of a sample with its truth (green) and a prediction (orange), and a caption that says both."""
    scale = (SMALL if isinstance(prediction, Classified | Posed) else SIDE) / max(sample.image.shape[:2])
    size = (max(1, round(sample.image.shape[1] * scale)), max(1, round(sample.image.shape[0] * scale)))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    picture = np.ascontiguousarray(cv2.resize(sample.image, size, interpolation=interpolation), np.uint8)
    if isinstance(prediction, Classified):
        return picture, _classified(sample, prediction, classes)
    if isinstance(prediction, Detected):
        return picture, _detected(picture, sample, prediction, classes, float(details.get("threshold", 0.3)), scale)
    if isinstance(prediction, Segmented):
        return picture, _segmented(picture, sample, prediction)
    return picture, _posed(picture, sample, prediction, details)


def _classified(sample: Sample, prediction: Classified, classes: Sequence[str]) -> str:
    if len(prediction.rows) == 0:
        return "nothing to look at"
    wrong = [
        (row, p)
        for row, p in zip(prediction.rows, prediction.probabilities, strict=True)
        if p.argmax() != sample.objects.labels[row]
    ]
    row, p = (wrong or [(prediction.rows[0], prediction.probabilities[0])])[0]
    label = int(sample.objects.labels[row])
    return f"is {classes[label]} ({p[label]:.0%}), taken for {classes[int(p.argmax())]} ({p.max():.0%})"


def _detected(
    picture: Picture, sample: Sample, prediction: Detected, classes: Sequence[str], threshold: float, scale: float
) -> str:
    counted = prediction.scores >= threshold
    boxes, labels, scores = prediction.boxes[counted], prediction.labels[counted], prediction.scores[counted]
    rows = np.flatnonzero(~sample.objects.ignore)
    right = 0
    for row in rows:
        same = labels == sample.objects.labels[row]
        hit = bool(len(boxes)) and bool((overlap(sample.objects.boxes[row], boxes)[same] >= _DETECTION_OVERLAP).any())
        right += hit
        _box(picture, sample.objects.boxes[row] * scale, TRUTH, classes[sample.objects.labels[row]], not hit, False)
    for box, label, score in zip(boxes, labels, scores, strict=True):
        truth, known = sample.objects.boxes[rows], sample.objects.labels[rows]
        hit = bool(len(truth)) and bool((overlap(box, truth)[known == label] >= _DETECTION_OVERLAP).any())
        _box(picture, box * scale, GIVEN, f"{classes[label]} {score:.2f}", not hit, True)
    return f"{len(rows)} objects, {right} found; {len(boxes)} detections from {threshold:.2f} on"


def overlap(box: NDArray[np.floating[Any]], others: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """IoU (n,) of a box xywh with others (n, 4)."""
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[:2] + box[2:], others[:, :2] + others[:, 2:])
    shared = np.clip(high - low, 0, None).prod(1)
    return np.asarray(shared / np.maximum(box[2] * box[3] + others[:, 2:].prod(1) - shared, 1e-9), np.float64)


def _box(
    picture: Picture, box: NDArray[np.floating[Any]], color: tuple[int, int, int], name: str, wrong: bool, below: bool
) -> None:
    """A frame, thick and with its name where something is wrong, thin otherwise."""
    x, y, w, h = (round(float(v)) for v in box)
    cv2.rectangle(picture, (x, y), (x + w - 1, y + h - 1), color, 2 if wrong else 1, cv2.LINE_AA)
    if not wrong:
        return
    (tw, th), _ = cv2.getTextSize(name, cv2.FONT_HERSHEY_SIMPLEX, 0.38, 1)
    left = min(max(x, 0), max(picture.shape[1] - tw - 4, 0))
    top = min(y + h, picture.shape[0] - th - 6) if below else max(y - th - 6, 0)
    cv2.rectangle(picture, (left, top), (left + tw + 4, top + th + 5), color, -1)
    place = (left + 2, top + th + 2)
    cv2.putText(picture, name, place, cv2.FONT_HERSHEY_SIMPLEX, 0.38, (0, 0, 0), 1, cv2.LINE_AA)


def _segmented(picture: Picture, sample: Sample, prediction: Segmented) -> str:
    assert sample.semantic is not None
    known = sample.semantic != UNLABELLED
    truth, given = np.where(known, sample.semantic, 0), np.where(known, prediction.semantic, 0)
    for labels, color in ((truth, TRUTH), (given, GIVEN)):
        for value in np.unique(labels[labels > 0]):
            mask = cv2.resize((labels == value).astype(np.uint8), picture.shape[1::-1], interpolation=cv2.INTER_NEAREST)
            outlines, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(picture, outlines, -1, color, 2, cv2.LINE_AA)
    both, either = ((truth > 0) & (truth == given)).sum(), ((truth > 0) | (given > 0)).sum()
    return f"overlap {both / max(either, 1):.3f}"


def _posed(picture: Picture, sample: Sample, prediction: Posed, details: dict[str, Any]) -> str:
    if len(prediction.rows) == 0 or not np.isfinite(prediction.azimuth[0]):
        return "rotation"
    kept = details.get("calibration", {})
    calibration = Calibration(math.radians(kept.get("offset_deg", 0.0)), int(kept.get("direction", 1)))
    given = float(calibration.apply(prediction.azimuth[:1])[0])
    truth = float(sample.objects.azimuth[prediction.rows[0]])
    radius = max(16, picture.shape[1] // 9)
    centre = (picture.shape[1] - radius - 6, radius + 6)
    cv2.circle(picture, centre, radius, (20, 20, 20), -1, cv2.LINE_AA)
    for angle, color in ((truth, TRUTH), (given, GIVEN)):
        tip = (round(centre[0] + radius * math.cos(angle)), round(centre[1] - radius * math.sin(angle)))
        cv2.line(picture, centre, tip, color, 2, cv2.LINE_AA)
    return (
        f"azimuth {math.degrees(truth) % 360:.0f}\N{DEGREE SIGN}, given {math.degrees(given) % 360:.0f}\N{DEGREE SIGN}"
    )

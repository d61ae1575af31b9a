"""Detection: COCO's average precision and recall, by size and by visibility, and how well objects are counted.

Matching is pycocotools'. Its accumulation is written again here so that images can have weights; with equal weights
the figures are those of ``COCOeval.summarize``.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from simgen.evaluate.metrics.tally import Figures, Weights, mean, ratio
from simgen.learn.predictions import Detected, Prediction
from simgen.learn.sample import Sample

IOUS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
MOST = 100
"""Detections of an image that count."""

SIZES = {"small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}
VISIBILITIES = {"visib<50": (0.0, 0.5), "visib50-90": (0.5, 0.9), "visib>90": (0.9, 1.01)}
_EVERYTHING = 1e10


@dataclass(frozen=True, eq=False)
class _Matched:
    """The detections of one class, best first, with the truth they were matched to; ``objects`` counts per image."""

    image: NDArray[np.int64]  # (D,)
    hit: NDArray[np.bool_]  # (T, D)
    miss: NDArray[np.bool_]  # (T, D); neither hit nor miss is to be ignored
    objects: NDArray[np.int64]  # (images,)
    score: NDArray[np.float64]  # (D,)


class DetectTally:
    """AP over IoU 0.5 to 0.95, AP50, AP75, AR, the same by size and visibility, counts at a score ``threshold``."""

    primary = "AP50"
    larger_is_better = True

    def __init__(self, classes: Sequence[str], threshold: float = 0.3) -> None:
        self.classes = tuple(classes)
        self.threshold = threshold
        self._samples: list[Sample] = []
        self._found: list[Detected] = []
        self._matches: dict[str, list[_Matched]] | None = None

    def add(self, sample: Sample, prediction: Prediction) -> None:
        """Count one image."""
        assert isinstance(prediction, Detected)
        self._samples.append(sample.without_image())
        self._found.append(prediction)
        self._matches = None

    def figures(self, weights: Weights) -> Figures:
        """See ``Tally``."""
        matches = self._matched()
        precision, recall = self._curves(matches["all"], weights)
        figures = {
            "AP": mean(precision.ravel()),
            "AP50": mean(precision[:, 0]),
            "AP75": mean(precision[:, 5]),
            "AR": mean(recall.ravel()),
        }
        for name in matches:
            if name != "all":
                precision, recall = self._curves(matches[name], weights)
                figures[f"AP_{name}"], figures[f"AR_{name}"] = mean(precision.ravel()), mean(recall.ravel())
        return figures | self._counts(weights)

    def score(self, weights: Weights) -> float:
        """See ``Tally``."""
        return mean(np.array([_curve(entry, weights, 1)[0][0] for entry in self._matched()["all"]]))

    def best_threshold(self) -> float:
        """The score at which precision and recall at an IoU of 0.5 have the largest harmonic mean (F1)."""
        entries = self._matched()["all"]
        order = np.argsort(-np.concatenate([e.score for e in entries]), kind="stable")
        score = np.concatenate([e.score for e in entries])[order]
        hit = np.concatenate([e.hit[0] for e in entries])[order].cumsum()
        miss = np.concatenate([e.miss[0] for e in entries])[order].cumsum()
        total = sum(int(e.objects.sum()) for e in entries)
        if len(score) == 0 or total == 0:
            return self.threshold
        return float(score[np.argmax(2 * hit / (hit + miss + total))])

    def per_class(self) -> list[dict[str, Any]]:
        """Objects, AP and AP50 of each class."""
        weights = np.ones(len(self._samples))
        rows = []
        for name, entry in zip(self.classes, self._matched()["all"], strict=True):
            precision, recall = _curve(entry, weights)
            rows.append(
                {
                    "class": name,
                    "objects": int(entry.objects.sum()),
                    "AP": mean(precision),
                    "AP50": float(precision[0]),
                    "AR": mean(recall),
                }
            )
        return rows

    def per_image(self) -> list[dict[str, Any]]:
        """F1 at an IoU of 0.5 and the threshold, 1 for an empty image found empty; hits, false alarms, misses."""
        hits, alarms, objects = self._outcomes()
        rows = []
        for k, sample in enumerate(self._samples):
            both = 2 * hits[k] + alarms[k] + objects[k] - hits[k]
            score = 2 * hits[k] / both if both else 1.0
            misses = int(objects[k] - hits[k])
            rows.append(
                {
                    "name": sample.name,
                    "score": float(score),
                    "hits": int(hits[k]),
                    "false_alarms": int(alarms[k]),
                    "misses": misses,
                }
            )
        return rows

    def _outcomes(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Hits, false alarms and objects of each image at the threshold and an IoU of 0.5."""
        count = len(self._samples)
        hits, alarms, objects = np.zeros(count), np.zeros(count), np.zeros(count)
        for entry in self._matched()["all"]:
            some = entry.score >= self.threshold
            hits += np.bincount(entry.image[some & entry.hit[0]], minlength=count)
            alarms += np.bincount(entry.image[some & entry.miss[0]], minlength=count)
            objects += entry.objects
        return hits, alarms, objects

    def _counts(self, weights: Weights) -> Figures:
        hits, alarms, objects = self._outcomes()
        difference = hits + alarms - objects
        total = float(weights.sum())
        return {
            "precision": ratio(float(weights @ hits), float(weights @ (hits + alarms))),
            "recall": ratio(float(weights @ hits), float(weights @ objects)),
            "count_error": ratio(float(weights @ np.abs(difference)), total),
            "count_bias": ratio(float(weights @ difference), total),
        }

    def _curves(self, entries: list[_Matched], weights: Weights) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        curves = [_curve(entry, weights) for entry in entries]
        return np.array([p for p, _ in curves]).reshape(-1, len(IOUS)), np.array([r for _, r in curves])

    def _matched(self) -> dict[str, list[_Matched]]:
        if self._matches is None:
            self._matches = {"all": self._match(None, (0.0, _EVERYTHING))}
            for name, limits in SIZES.items():
                self._matches[name] = self._match("size", limits)
            if any(np.isfinite(sample.objects.visib).any() for sample in self._samples):
                for name, limits in VISIBILITIES.items():
                    self._matches[name] = self._match("visib", limits)
        return self._matches

    def _match(self, by: str | None, limits: tuple[float, float]) -> list[_Matched]:
        """Match detections of all images; objects outside ``limits`` of size or visibility are ignored."""
        images: list[dict[str, Any]] = []
        truth: list[dict[str, Any]] = []
        found: list[dict[str, Any]] = []
        for k, (sample, detected) in enumerate(zip(self._samples, self._found, strict=True)):
            images.append({"id": k + 1})
            o = sample.objects
            for n in range(len(o)):
                area = float(o.areas[n])
                if by == "visib":
                    # COCOeval ignores by area: put what is outside the limits outside its range.
                    area = 1.0 if limits[0] <= o.visib[n] < limits[1] else 2 * _EVERYTHING
                # pycocotools overwrites "ignore" by "iscrowd", which also changes how overlap is measured: only crowds
                # take any number of detections, by the share of the detection that is in them.
                area = 2 * _EVERYTHING if o.ignore[n] else area
                own = {"id": len(truth) + 1, "image_id": k + 1, "category_id": int(o.labels[n]) + 1}
                truth.append({**own, "bbox": o.boxes[n].tolist(), "area": area, "iscrowd": int(o.crowd[n])})
            for box, score, label in zip(detected.boxes, detected.scores, detected.labels, strict=True):
                own = {"id": len(found) + 1, "image_id": k + 1, "category_id": int(label) + 1}
                area = 1.0 if by == "visib" else float(box[2] * box[3])
                found.append({**own, "bbox": box.tolist(), "score": float(score), "area": area, "iscrowd": 0})
        wanted = [0.0, _EVERYTHING] if by != "size" else list(limits)
        return _run(images, truth, found, len(self.classes), wanted)


def _run(
    images: list[dict[str, Any]],
    truth: list[dict[str, Any]],
    found: list[dict[str, Any]],
    classes: int,
    limits: list[float],
) -> list[_Matched]:
    categories = [{"id": c + 1, "name": str(c)} for c in range(classes)]
    # pycocotools prints as it goes.
    with contextlib.redirect_stdout(io.StringIO()):
        sides = []
        for annotations in (truth, found):
            side = COCO()
            side.dataset = {"images": images, "annotations": annotations, "categories": categories}
            side.createIndex()
            sides.append(side)
        run = COCOeval(*sides, iouType="bbox")
        run.params.areaRng, run.params.areaRngLbl = [limits], ["all"]
        run.params.maxDets = [MOST]
        run.params.iouThrs, run.params.recThrs = IOUS, RECALLS
        run.evaluate()
    count = len(images)
    return [_collect(run.evalImgs[c * count : (c + 1) * count]) for c in range(classes)]


def _collect(results: list[dict[str, Any] | None]) -> _Matched:
    objects = np.zeros(len(results), np.int64)
    image, score, hit, miss = [np.zeros(0, np.int64)], [np.zeros(0)], [], []
    for k, result in enumerate(results):
        if result is None:
            continue
        objects[k] = np.count_nonzero(np.asarray(result["gtIgnore"]) == 0)
        matched = np.asarray(result["dtMatches"]) > 0
        ignored = np.asarray(result["dtIgnore"]).astype(bool)
        image.append(np.full(matched.shape[1], k))
        score.append(np.asarray(result["dtScores"], np.float64))
        hit.append(matched & ~ignored)
        miss.append(~matched & ~ignored)
    empty = np.zeros((len(IOUS), 0), bool)
    scores = np.concatenate(score)
    order = np.argsort(-scores, kind="mergesort")
    return _Matched(
        np.concatenate(image)[order],
        np.concatenate([empty, *hit], 1)[:, order],
        np.concatenate([empty, *miss], 1)[:, order],
        objects,
        scores[order],
    )


def _curve(entry: _Matched, weights: Weights, ious: int = len(IOUS)) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Average precision (T,) and recall (T,) of one class, as ``COCOeval.accumulate``; NaN without objects.

    T is the number of ``ious`` from the lowest on.
    """
    total = float(weights @ entry.objects)
    if total == 0:
        nothing = np.full(ious, np.nan)
        return nothing, nothing
    weight = weights[entry.image]
    hits, misses = (entry.hit[:ious] * weight).cumsum(1), (entry.miss[:ious] * weight).cumsum(1)
    recall = hits / total
    precision = hits / np.maximum(hits + misses, np.spacing(1))
    precision = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
    average = np.zeros(ious)
    for t in range(ious):
        at = np.searchsorted(recall[t], RECALLS, side="left")
        # A recall that is never reached has the precision 0 that is appended.
        average[t] = np.append(precision[t], 0)[at].mean()
    reached = recall[:, -1] if recall.shape[1] else np.zeros(ious)
    return average, reached

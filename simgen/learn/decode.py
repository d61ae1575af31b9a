"""From the networks' outputs to values."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from simgen.learn.losses import decode_boxes

ANGLE_WINDOW = 4
"""Bins on each side of the most likely one over which an azimuth is averaged."""


def detections(
    output: Tensor, limit: int = 100, threshold: float = 0.01, overlap: float = 0.6
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Boxes xywh (n, 4) in input pixels, scores (n,) and labels (n,) of each image, best first.

    Of two boxes of one class that
    overlap by an IoU of more than ``overlap``, only the better is kept.
    """
    peak = peaks(output)
    size = peak.shape[2] * peak.shape[3]
    peak = peak.flatten(1)
    scores, cells = peak.topk(min(3 * limit, peak.shape[1]), dim=1)
    corners = decode_boxes(output[:, 1:5]).flatten(2)
    found = []
    for n in range(len(output)):
        some = scores[n] > threshold
        score, label, cell = scores[n][some], cells[n][some] // size, cells[n][some] % size
        box = corners[n][:, cell].T
        kept = suppress(box, score, label, overlap)[:limit]
        box = torch.cat([box[:, :2], box[:, 2:] - box[:, :2]], 1)
        found.append((box[kept], score[kept], label[kept]))
    return found


def peaks(output: Tensor) -> Tensor:
    """Scores (B, C, rows, columns) of the detector: the chance of a centre times that of the class.

    0 but where the chance of a centre is the highest within 3x3 cells.
    """
    centre = output[:, :1].float().sigmoid()
    top = torch.where(functional.max_pool2d(centre, 3, 1, 1) == centre, centre, 0.0)
    return top * output[:, 5:].float().softmax(1)


def suppress(boxes: Tensor, scores: Tensor, labels: Tensor, overlap: float) -> Tensor:
    """Non-maximum suppression: indices of the boxes (n, 4), given by their corners, that are kept, best first."""
    order = scores.argsort(descending=True, stable=True)
    boxes, labels = boxes[order], labels[order]
    low = boxes[:, None, :2].maximum(boxes[None, :, :2])
    high = boxes[:, None, 2:].minimum(boxes[None, :, 2:])
    shared = (high - low).clamp(min=0).prod(2)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    iou = shared / (area[:, None] + area[None] - shared).clamp(min=1e-6)
    rivals = ((iou > overlap) & (labels[:, None] == labels[None])).tolist()
    kept: list[int] = []
    for k, row in enumerate(rivals):
        if not any(row[j] for j in kept):
            kept.append(k)
    return order[torch.tensor(kept, dtype=torch.long, device=order.device)]


def angles(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Azimuth (B,) in radians within [-pi, pi] and confidence (B,): the share of probability around it."""
    bins = logits.shape[1]
    chance = logits.float().softmax(1)
    best = chance.argmax(1)
    window = (best[:, None] + torch.arange(-ANGLE_WINDOW, ANGLE_WINDOW + 1, device=logits.device)) % bins
    weight = chance.gather(1, window)
    direction = window * (2 * math.pi / bins)
    angle = torch.atan2((weight * direction.sin()).sum(1), (weight * direction.cos()).sum(1))
    return angle, weight.sum(1)

"""What each task minimizes."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from simgen.learn.nets import STRIDE
from simgen.learn.sample import UNLABELLED

CENTRE_SHARE = 0.54
"""Share of a box over which its centre's Gaussian extends (TTFNet's alpha and beta)."""

ANGLE_KAPPA = 60.0
"""Concentration of the von Mises distribution around a true azimuth that logits are trained on: about 7 degrees."""


def loss(task: str, output: Tensor, batch: dict[str, Tensor], smoothing: float) -> Tensor:
    """The mean loss of a batch of augmented items, see ``items.Items``; ``output`` is the network's, in float32."""
    if task == "classify":
        return functional.cross_entropy(output, batch["label"], label_smoothing=smoothing)
    if task == "detect":
        return detection(output, batch["boxes"], batch["labels"])
    if task == "segment":
        return segmentation(output, batch["semantic"])
    return azimuth(output, batch["azimuth"]) if "azimuth" in batch else rotation(output, batch["rotation"])


def segmentation(logits: Tensor, semantic: Tensor) -> Tensor:
    """Cross-entropy plus one minus the mean soft Dice coefficient of the classes that occur."""
    target = semantic.long()
    known = target != UNLABELLED
    entropy = functional.cross_entropy(logits, target, ignore_index=UNLABELLED, reduction="sum") / known.sum().clamp(1)
    chance = logits.softmax(1) * known[:, None]
    truth = functional.one_hot(torch.where(known, target, 0), logits.shape[1]).permute(0, 3, 1, 2) * known[:, None]
    both, total = (chance * truth).sum((0, 2, 3)), (chance + truth).sum((0, 2, 3))
    occurs = truth.sum((0, 2, 3)) > 0
    dice = torch.where(occurs, 2 * both / total.clamp(1), 0).sum() / occurs.sum().clamp(1)
    return entropy + 1 - dice


def azimuth(logits: Tensor, angle: Tensor) -> Tensor:
    """Cross-entropy against a von Mises distribution around the true angle (B,) in radians."""
    bins = torch.arange(logits.shape[1], device=logits.device) * (2 * math.pi / logits.shape[1])
    target = (ANGLE_KAPPA * (torch.cos(bins - angle[:, None]) - 1)).exp()
    return functional.cross_entropy(logits, target / target.sum(1, keepdim=True))


def rotation(output: Tensor, R: Tensor) -> Tensor:
    """Mean squared Frobenius distance of the rotation from 6 numbers (B, 6) to R (B, 3, 3)."""
    return (from_six(output) - R).square().sum((1, 2)).mean()


def from_six(six: Tensor) -> Tensor:
    """Rotation matrices (B, 3, 3) whose first two columns are the orthonormalized halves of ``six`` (B, 6)."""
    x = functional.normalize(six[:, :3], dim=1)
    y = functional.normalize(six[:, 3:] - (x * six[:, 3:]).sum(1, keepdim=True) * x, dim=1)
    return torch.stack([x, y, torch.linalg.cross(x, y)], 2)


def detection(output: Tensor, boxes: Tensor, labels: Tensor) -> Tensor:
    """Focal loss of the centres, five times the GIoU loss of the boxes, twice the cross-entropy of the classes.

    The first two are TTFNet's (Liu et al. 2020). ``output`` as ``nets.Detector`` gives it, ``boxes`` (B, M, 4) xywh in
    input pixels, ``labels`` (B, M), -1 for none and -2 for objects that are to be ignored: cells in them count as
    nothing, neither object nor background.
    """
    heat, area, owner, ignored = centre_targets(boxes, labels, output.shape[2], output.shape[3])
    logits = output[:, 0]
    chance = logits.sigmoid()
    peak = (heat == 1).float()
    positive = peak * (1 - chance).square() * functional.logsigmoid(logits)
    negative = (1 - heat) ** 4 * chance.square() * functional.logsigmoid(-logits) * ~ignored
    focal = -(positive + negative).sum() / peak.sum().clamp(1)

    cells = (area > 0).nonzero(as_tuple=True)
    if len(cells[0]) == 0:
        return focal
    owners = (cells[0], owner[cells])
    wanted = boxes[owners]
    weight = area[cells] / area[cells].sum()
    predicted = decode_boxes(output[:, 1:5])[cells[0], :, cells[1], cells[2]]
    overlap = giou(predicted, torch.cat([wanted[:, :2], wanted[:, :2] + wanted[:, 2:]], 1))
    entropy = functional.cross_entropy(output[cells[0], 5:, cells[1], cells[2]], labels[owners], reduction="none")
    return focal + ((5 * (1 - overlap) + 2 * entropy) * weight).sum()


def centre_targets(boxes: Tensor, labels: Tensor, rows: int, columns: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What the detector should give.

    Returns the heat map (B, rows, columns), 1 at the cell of each centre and a Gaussian around it; the weight of each
    cell in learning box and class (B, rows, columns), 0 outside the Gaussians, where each object's weights sum to the
    logarithm of its area; the object that each cell belongs to, the smallest where several overlap; and the cells of
    objects to be ignored.
    """
    device = boxes.device
    x = torch.arange(columns, device=device, dtype=torch.float32)
    y = torch.arange(rows, device=device, dtype=torch.float32)
    used = int((labels != -1).any(0).nonzero().max()) + 1 if bool((labels != -1).any()) else 1
    boxes, labels = boxes[:, :used] / STRIDE, labels[:, :used]
    size = boxes[..., 2:].clamp(min=1e-3)
    centre = boxes[..., :2] + size / 2
    cell = centre.floor()
    cell[..., 0].clamp_(0, columns - 1)
    cell[..., 1].clamp_(0, rows - 1)
    # The Gaussian reaches 3 sigma at the edge of its share of the box; at least its own cell is in it.
    reach = (size * (CENTRE_SHARE / 2)).clamp(min=0.5)
    sigma = (2 * reach + 1) / 6
    gx = (x - cell[..., 0, None]) / sigma[..., 0, None]
    gy = (y - cell[..., 1, None]) / sigma[..., 1, None]
    near_x = (x - cell[..., 0, None]).abs() <= reach[..., 0, None]
    near_y = (y - cell[..., 1, None]).abs() <= reach[..., 1, None]
    near = near_y[..., :, None] & near_x[..., None, :] & (labels >= 0)[..., None, None]
    blob = torch.exp(-0.5 * (gy.square()[..., :, None] + gx.square()[..., None, :])) * near  # (B, M, rows, columns)

    heat = blob.amax(1)
    area = size.prod(-1)
    share = blob / blob.sum((2, 3), keepdim=True).clamp(min=1e-6)
    share = share * torch.log(1 + area * STRIDE**2)[..., None, None]
    order = torch.where(near, area[..., None, None], torch.inf)
    smallest, owner = order.min(1)
    weight = share.gather(1, owner[:, None])[:, 0] * torch.isfinite(smallest)
    inside_x = (x + 0.5 >= boxes[..., 0, None]) & (x + 0.5 <= (boxes[..., 0] + size[..., 0])[..., None])
    inside_y = (y + 0.5 >= boxes[..., 1, None]) & (y + 0.5 <= (boxes[..., 1] + size[..., 1])[..., None])
    ignored = (inside_y[..., :, None] & inside_x[..., None, :] & (labels == -2)[..., None, None]).any(1)
    return heat, weight, owner, ignored


def decode_boxes(extent: Tensor) -> Tensor:
    """Boxes (B, 4, rows, columns) as left, top, right, bottom in input pixels, of the detector's channels 1 to 4."""
    rows, columns = extent.shape[2:]
    x = (torch.arange(columns, device=extent.device, dtype=torch.float32) + 0.5) * STRIDE
    y = (torch.arange(rows, device=extent.device, dtype=torch.float32) + 0.5)[:, None] * STRIDE
    reach = extent.float().clamp(-6, 6).exp() * (4 * STRIDE)
    return torch.stack([x - reach[:, 0], y - reach[:, 1], x + reach[:, 2], y + reach[:, 3]], 1)


def giou(a: Tensor, b: Tensor) -> Tensor:
    """Generalized intersection over union (Rezatofighi et al. 2019) of boxes (n, 4) given by their corners."""
    shared = (a[:, 2:].minimum(b[:, 2:]) - a[:, :2].maximum(b[:, :2])).clamp(min=0).prod(1)
    union = (a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - shared
    hull = (a[:, 2:].maximum(b[:, 2:]) - a[:, :2].minimum(b[:, :2])).prod(1)
    return shared / union.clamp(min=1e-6) - (hull - union) / hull.clamp(min=1e-6)

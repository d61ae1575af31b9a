"""Random changes of training batches, on the device that trains: drawn once, applied to images and labels in step."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from simgen.learn.config import AugmentConfig
from simgen.learn.items import FILL
from simgen.learn.sample import UNLABELLED

Batch = dict[str, Tensor]

BESIDE = 0.2
"""Most that is kept on each side of an object when an image is letterboxed, as a share of its longer side."""

KEPT_AREA = 0.25
"""Share of a box that must stay inside the image for it to be learnt; otherwise it is ignored."""


@dataclass(frozen=True)
class Geometry:
    """For each image the affine map (B, 2, 3) from output to input pixels, its inverse, and the size of the output."""

    to_input: Tensor
    to_output: Tensor
    height: int
    width: int


def augment(batch: Batch, config: AugmentConfig, generator: torch.Generator) -> Batch:
    """A changed copy of a batch; ``image`` becomes float32 (B, 3, H, W) within 0 to 255.

    ``generator`` lives on the batch's device. The boxes of turned images enclose the ellipse of the old box, which is
    nearer to the object than the turned rectangle (Kalra et al. 2021). Azimuths and rotations are those of the picture
    before: a crop that is turned by a few degrees is taken as noise of the camera's roll.
    """
    if config.strength == 0 and config.window == 1 and not (config.flip_x or config.flip_y or config.quarter_turns):
        return {**batch, "image": batch["image"].permute(0, 3, 1, 2).float()}
    geometry = draw_geometry(batch, config, generator)
    out = dict(batch)
    image, local = _needed(batch["image"], geometry)
    image = _warp(image.permute(0, 3, 1, 2).float(), local, "boxes" in batch)
    out["image"] = _photometric(image, config, generator)
    if "boxes" in batch:
        out["boxes"], out["labels"] = _warp_boxes(batch["boxes"], batch["labels"], geometry)
    if "semantic" in batch:
        out["semantic"] = _warp_labels(batch["semantic"], geometry)
    if config.letterbox > 0:
        _letterbox(out, geometry, min(1.0, config.letterbox * config.strength), generator)
    return out


def draw_geometry(batch: Batch, config: AugmentConfig, generator: torch.Generator) -> Geometry:
    """Random affine maps of the images of a batch."""
    count, height, width = batch["image"].shape[:3]
    s = config.strength
    rows, columns = height, width
    if config.window < 1 and ("boxes" in batch or "semantic" in batch):
        rows, columns = (max(64, round(side * config.window / 32) * 32) for side in (height, width))

    def uniform(limit: float) -> Tensor:
        return (torch.rand(count, generator=generator, device=generator.device) * 2 - 1) * limit

    def coin(wanted: bool) -> Tensor:
        drawn = torch.rand(count, generator=generator, device=generator.device) < 0.5
        return torch.where(drawn & wanted, -1.0, 1.0)

    angle = uniform(math.radians(config.rotate_deg) * s)
    turns = torch.randint(4, (count,), generator=generator, device=generator.device)
    if config.quarter_turns:
        # A quarter turn of an image that is not square would leave it; half a turn fits always.
        angle = angle + (turns if height == width else turns // 2 * 2) * (math.pi / 2)
    size, stretch = uniform(config.scale * s), uniform(config.stretch * s)
    shift = torch.stack([uniform(config.shift * s) * columns, uniform(config.shift * s) * rows], 1)
    sx = torch.exp(size + stretch / 2) * coin(config.flip_x)
    sy = torch.exp(size - stretch / 2) * coin(config.flip_y)
    cos, sin = torch.cos(angle), torch.sin(angle)
    forward = torch.stack([torch.stack([cos * sx, -sin * sy], 1), torch.stack([sin * sx, cos * sy], 1)], 1)
    seen = _looked_at(batch, rows, columns, generator)
    middle = torch.tensor([columns / 2, rows / 2], device=angle.device)
    shift = shift + middle - (forward @ seen[:, :, None])[:, :, 0]
    to_output = torch.cat([forward, shift[:, :, None]], 2)
    inverse = torch.linalg.inv(forward)
    to_input = torch.cat([inverse, -inverse @ shift[:, :, None]], 2)
    return Geometry(to_input, to_output, rows, columns)


def _looked_at(batch: Batch, rows: int, columns: int, generator: torch.Generator) -> Tensor:
    """The point (B, 2) of each image that comes to the middle of the output, such that a window stays within it."""
    count, height, width = batch["image"].shape[:3]
    device = generator.device
    limit = torch.tensor([width, height], device=device)
    half = torch.tensor([columns, rows], device=device) / 2
    drawn = torch.rand(count, 2, generator=generator, device=device)
    point = half + drawn * (limit - 2 * half)
    if "boxes" in batch and (rows, columns) != (height, width):
        # Near a random object, so that few windows are empty.
        among = torch.rand(batch["labels"].shape, generator=generator, device=device)
        chosen = torch.where(batch["labels"] >= 0, among, -1).argmax(1)
        box = batch["boxes"][torch.arange(count, device=device), chosen]
        near = box[:, :2] + box[:, 2:] / 2 + (drawn - 0.5) * half
        some = (batch["labels"] >= 0).any(1)
        point = torch.where(some[:, None], near.maximum(half).minimum(limit - half), point)
    return point


def _needed(image: Tensor, geometry: Geometry) -> tuple[Tensor, Geometry]:
    """The part (B, h, w, 3) of each image (B, H, W, 3) that the output shows, and the geometry with it for input.

    Small windows of large images are warped several times faster so.
    """
    width, height = geometry.width, geometry.height
    corners = torch.tensor([[0, 0], [width, 0], [0, height], [width, height]], device=image.device).float()
    linear, shift = geometry.to_input[:, :, :2], geometry.to_input[:, :, 2]
    seen = torch.einsum("bij,kj->bki", linear, corners) + shift[:, None]
    low, high = seen.amin(1).floor() - 2, seen.amax(1).ceil() + 2
    limit = torch.tensor([image.shape[2], image.shape[1]], device=image.device)
    size = (high - low).amax(0).minimum(limit)
    if bool((size == limit).all()):
        return image, geometry
    start = low.clamp(min=0).minimum(limit - size)
    columns, rows = (int(side) for side in size.tolist())
    places = [(int(x), int(y)) for x, y in start.tolist()]
    part = torch.stack([image[b, y : y + rows, x : x + columns] for b, (x, y) in enumerate(places)])
    to_input = torch.cat([linear, (shift - start)[:, :, None]], 2)
    return part, Geometry(to_input, geometry.to_output, height, width)


def _grid(geometry: Geometry, height: int, width: int) -> Tensor:
    """Where each output pixel comes from in an input of ``height`` x ``width``: coordinates of ``grid_sample``."""
    A, b = geometry.to_input[:, :, :2], geometry.to_input[:, :, 2]
    half_in = torch.tensor([width / 2, height / 2], device=A.device)
    half_out = torch.tensor([geometry.width / 2, geometry.height / 2], device=A.device)
    linear = A * half_out[None, None, :] / half_in[None, :, None]
    shift = (A @ half_out + b) / half_in - 1
    theta = torch.cat([linear, shift[:, :, None]], 2)
    return functional.affine_grid(theta, [len(theta), 3, geometry.height, geometry.width], align_corners=False)


def _warp(image: Tensor, geometry: Geometry, grey_outside: bool) -> Tensor:
    # Detection must not see copies of objects without boxes, so there the outside is grey; elsewhere edges go on.
    grid = _grid(geometry, *image.shape[2:])
    if grey_outside:
        return functional.grid_sample(image - FILL, grid, padding_mode="zeros", align_corners=False) + FILL
    return functional.grid_sample(image, grid, padding_mode="border", align_corners=False)


def _warp_labels(labels: Tensor, geometry: Geometry) -> Tensor:
    # Shifted so that 0, which grid_sample gives outside, means unlabelled.
    shifted = (UNLABELLED - labels.float())[:, None]
    grid = _grid(geometry, *labels.shape[1:])
    moved = functional.grid_sample(shifted, grid, mode="nearest", padding_mode="zeros", align_corners=False)
    return (UNLABELLED - moved[:, 0].round()).to(labels.dtype)


def _warp_boxes(boxes: Tensor, labels: Tensor, geometry: Geometry) -> tuple[Tensor, Tensor]:
    to_output = geometry.to_output
    half = boxes[..., 2:] / 2
    centre = boxes[..., :2] + half
    moved = centre @ to_output[:, :, :2].transpose(1, 2) + to_output[:, None, :, 2]
    # Extent of a mapped ellipse: the length of each row of A diag(half).
    extent = torch.sqrt((to_output[:, None, :, :2] * half[:, :, None, :]).square().sum(-1))
    low, high = moved - extent, moved + extent
    limit = torch.tensor([geometry.width, geometry.height], device=boxes.device, dtype=boxes.dtype)
    inside_low, inside_high = low.clamp(min=0).minimum(limit), high.clamp(min=0).minimum(limit)
    size = inside_high - inside_low
    area, whole = size.prod(-1), (high - low).prod(-1)
    gone = (size.amin(-1) < 1) | (labels == -1)
    labels = torch.where((area < KEPT_AREA * whole) & (labels >= 0), -2, labels)
    labels = torch.where(gone, -1, labels)
    return torch.where(gone[..., None], 0.0, torch.cat([inside_low, size], -1)), labels


def _letterbox(batch: Batch, geometry: Geometry, chance: float, generator: torch.Generator) -> None:
    """Fill some images of an augmented batch with grey beside their object: on two sides the narrower way, or on all.

    On all sides is what a square around a box shows of an image that was cropped to the object before.
    """
    if "semantic" in batch:
        low, high = _extent((batch["semantic"] > 0) & (batch["semantic"] != UNLABELLED))
    elif "box" in batch:
        half = batch["box"][:, 2:] / 2
        middle = torch.einsum("bij,bj->bi", geometry.to_output[:, :, :2], batch["box"][:, :2] + half)
        reach = torch.einsum("bij,bj->bi", geometry.to_output[:, :, :2].abs(), half)
        low, high = (middle + geometry.to_output[:, :, 2] + sign * reach for sign in (-1, 1))
    else:
        return
    drawn = torch.rand(len(low), 6, generator=generator, device=generator.device)
    size = high - low
    margin = drawn[:, :4] * BESIDE * size.amax(1, keepdim=True)
    low, high = (low - margin[:, :2]).round(), (high + margin[:, 2:]).round()
    hit = (drawn[:, 4] < chance) & (size.amin(1) > 0)
    upright, around = (high - low)[:, 0] < (high - low)[:, 1], drawn[:, 5] < 0.5
    x = torch.arange(geometry.width, device=low.device)
    y = torch.arange(geometry.height, device=low.device)[:, None]
    beside = (x < low[:, 0, None, None]) | (x >= high[:, 0, None, None])
    above = (y < low[:, 1, None, None]) | (y >= high[:, 1, None, None])
    cut = [(hit & (around | way))[:, None, None] for way in (upright, ~upright)]
    grey = (beside & cut[0]) | (above & cut[1])
    batch["image"] = torch.where(grey[:, None], float(FILL), batch["image"])
    if "semantic" in batch:
        batch["semantic"] = torch.where(grey, 0, batch["semantic"])


def _extent(mask: Tensor) -> tuple[Tensor, Tensor]:
    """First and last + 1 column and row (B, 2) of each mask (B, H, W); of an empty one the last is not above the first.

    Both are float.
    """
    low, high = [], []
    for axis in (1, 2):
        some = mask.any(axis).float()
        count = some.shape[1]
        low.append(some.argmax(1))
        high.append(torch.where(some.any(1), count - some.flip(1).argmax(1), 0))
    return torch.stack(low, 1).float(), torch.stack(high, 1).float()


def _photometric(image: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Exposure, tint, contrast, saturation, blur, noise and blanked rectangles; within 0 to 255."""
    count, device, s = len(image), generator.device, config.strength

    def uniform(limit: float, channels: int = 1) -> Tensor:
        drawn = torch.rand(count, channels, 1, 1, generator=generator, device=device)
        return (drawn * 2 - 1) * (limit * s)

    gain = torch.exp2(uniform(config.exposure)) * torch.exp(uniform(config.tint, 3))
    image = image * gain
    grey = image.mean((1, 2, 3), keepdim=True)
    image = (image - grey) * torch.exp(uniform(config.contrast)) + grey
    luma = image.mean(1, keepdim=True)
    image = (image - luma) * torch.exp(uniform(config.saturation)) + luma
    sigma = torch.rand(count, generator=generator, device=device) * (config.blur * s)
    if config.blur > 0:
        image = _blur(image, sigma, radius=max(1, math.ceil(2 * config.blur * s)))
    level = torch.rand(count, 1, 1, 1, generator=generator, device=device) * (255 * config.noise * s)
    image = image + level * torch.randn(image.shape, generator=generator, device=device)
    return _erase(image.clamp(0, 255), min(1.0, config.erase * s), generator)


def _blur(image: Tensor, sigma: Tensor, radius: int) -> Tensor:
    """Gaussian blur of each image with its own ``sigma`` in pixels."""
    count, channels = image.shape[:2]
    offsets = torch.arange(-radius, radius + 1, device=image.device)
    kernel = torch.exp(-0.5 * (offsets / sigma.clamp(min=0.1)[:, None]) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(channels, 0)
    flat = image.reshape(1, count * channels, *image.shape[2:])
    for axis in (0, 1):
        pad = (radius, radius, 0, 0) if axis else (0, 0, radius, radius)
        weight = kernel[:, None, None, :] if axis else kernel[:, None, :, None]
        flat = functional.conv2d(functional.pad(flat, pad, mode="replicate"), weight, groups=count * channels)
    return flat.reshape(image.shape)


def _erase(image: Tensor, chance: float, generator: torch.Generator) -> Tensor:
    """Blank a random rectangle of up to half the sides in some images (Zhong et al. 2020)."""
    if chance == 0:
        return image
    count, _, height, width = image.shape
    drawn = torch.rand(count, 6, generator=generator, device=generator.device)
    hit = drawn[:, 0] < chance
    w, h = (0.1 + 0.4 * drawn[:, 1]) * width, (0.1 + 0.4 * drawn[:, 2]) * height
    x, y = drawn[:, 3] * width - w / 2, drawn[:, 4] * height - h / 2
    columns = torch.arange(width, device=image.device)
    rows = torch.arange(height, device=image.device)
    across = (columns >= x[:, None]) & (columns < (x + w)[:, None])
    down = (rows >= y[:, None]) & (rows < (y + h)[:, None])
    mask = hit[:, None, None] & down[:, :, None] & across[:, None, :]
    return torch.where(mask[:, None], drawn[:, 5, None, None, None] * 255, image)

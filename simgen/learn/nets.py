"""The four networks, in plain PyTorch. All take images (B, 3, H, W) that ``Normalize`` has brought to unit scale."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

STRIDE = 4
"""Pixels of the input between cells of the detector's output."""

ANGLE_BINS = 72


class Normalize(nn.Module):
    """Images of 0 to 255 to about zero mean and unit deviation.

    "fixed" takes the same mean 127.5 and deviation 64 for all; "image" takes each image's own over all channels, which
    keeps hue, and treats a deviation below 8 as 8, so that noise in the dark is not blown up without limit.
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) float of 0 to 255 to the same shape, normalized."""
        if self.kind == "fixed":
            return (image - 127.5) / 64
        mean = image.mean((1, 2, 3), keepdim=True)
        deviation = (image - mean).square().mean((1, 2, 3), keepdim=True).sqrt()
        return (image - mean) / deviation.clamp(min=8)


def conv(inputs: int, outputs: int, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    """Convolution, batch normalization, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Residual(nn.Module):
    """Two convolutions beside an identity, or a projection where the shape changes (He et al. 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.first = conv(inputs, outputs, stride)
        norm = nn.BatchNorm2d(outputs)
        self.second = nn.Sequential(nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), norm)
        nn.init.zeros_(norm.weight)  # starts as the identity, which trains faster (Goyal et al. 2017)
        self.project = (
            nn.Identity()
            if stride == 1 and inputs == outputs
            else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""
        return functional.relu(self.project(x) + self.second(self.first(x)))


def _trunk(width: int, stages: int) -> nn.Sequential:
    """A stem at full resolution, then stages that halve it and widen."""
    parts: list[nn.Module] = [conv(3, width // 2)]
    channels = width // 2
    for k in range(stages):
        wide = width * min(2**k, 4)
        parts += [Residual(channels, wide, 2), Residual(wide, wide)]
        channels = wide
    return nn.Sequential(*parts)


class Classifier(nn.Module):
    """A small residual network; logits (B, classes)."""

    def __init__(self, classes: int, width: int, side: int) -> None:
        super().__init__()
        # Down to 4x4 cells or less, whatever the input size.
        stages = max(2, math.ceil(math.log2(side / 4)))
        self.trunk = _trunk(width, stages)
        self.head = nn.Linear(width * min(2 ** (stages - 1), 4), classes)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) to logits (B, classes)."""
        return self.head(self.trunk(x).mean((2, 3)))


class Detector(nn.Module):
    """An anchor-free detector of one output level, after TTFNet (Liu et al. 2020), which trains fast.

    A residual backbone to stride 32, a feature pyramid back to stride ``STRIDE``, and two heads. Gives (B, 5 + classes,
    H / STRIDE, W / STRIDE): the logit that the centre of an object, of whichever class, is in the cell; the logarithms
    of the distances from the cell's centre to the left, top, right and bottom of the box, in units of four cells; and
    logits of the classes. TTFNet has a centre logit for each class instead; here the class is learnt from every cell
    around the centre of an object, and the scores of the classes of one cell sum to at most one.
    """

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        w = width
        self.stem = nn.Sequential(conv(3, w, 2), Residual(w, 2 * w, 2))
        channels = [2 * w, 4 * w, 6 * w, 8 * w]
        self.down = nn.ModuleList(nn.Sequential(Residual(a, b, 2), Residual(b, b)) for a, b in pairwise(channels))
        neck = 2 * w
        self.lateral = nn.ModuleList(nn.Conv2d(c, neck, 1) for c in channels)
        self.smooth = nn.ModuleList(conv(neck, neck) for _ in channels[:-1])
        self.where = nn.Sequential(conv(neck, neck), nn.Conv2d(neck, 5, 1))
        self.what = nn.Sequential(conv(neck, neck), nn.Conv2d(neck, classes, 1))
        last = self.where[1]
        assert isinstance(last, nn.Conv2d)
        assert last.bias is not None
        nn.init.constant_(last.bias[:1], -math.log(99))  # one cell in a hundred at the start (Lin et al. 2017)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, 5 + classes, H / STRIDE, W / STRIDE)."""
        x = self.stem(x)
        levels = [x]
        for stage in self.down:
            x = stage(x)
            levels.append(x)
        x = self.lateral[-1](levels[-1])
        for k in range(len(levels) - 2, -1, -1):
            x = self.smooth[k](self.lateral[k](levels[k]) + functional.interpolate(x, scale_factor=2.0))
        return torch.cat([self.where(x), self.what(x)], 1)


class Segmenter(nn.Module):
    """A U-Net (Ronneberger et al. 2015) of residual blocks; logits (B, classes + 1, H, W), class 0 = background."""

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        channels = [width, 2 * width, 4 * width, 6 * width, 8 * width]
        self.stem = conv(3, width)
        self.down = nn.ModuleList(Residual(a, b, 2) for a, b in pairwise(channels))
        self.up = nn.ModuleList(conv(a + b, a) for a, b in pairwise(channels))
        self.head = nn.Conv2d(width, classes + 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) to logits (B, classes + 1, H, W)."""
        levels = [self.stem(x)]
        for stage in self.down:
            levels.append(stage(levels[-1]))
        x = levels.pop()
        for join in reversed(self.up):
            x = join(torch.cat([levels.pop(), functional.interpolate(x, scale_factor=2.0)], 1))
        return self.head(x)


class PoseNet(nn.Module):
    """Azimuth as logits over ``ANGLE_BINS`` directions, or rotation as 6 numbers (Zhou et al. 2019), of each crop.

    Directions are classified rather than regressed as sine and cosine: an object that looks nearly the same from two
    sides has two likely directions, whose mean would be a wrong one.
    """

    def __init__(self, target: str, width: int, side: int) -> None:
        super().__init__()
        stages = max(3, math.ceil(math.log2(side / 4)))
        self.trunk = _trunk(width, stages)
        channels = width * min(2 ** (stages - 1), 4)
        # Where things are in the crop tells the pose: keep a coarse layout instead of one mean.
        self.pool = nn.AdaptiveAvgPool2d(4)
        self.head = nn.Sequential(
            nn.Linear(16 * channels, 256),
            nn.ReLU(inplace=True),
            nn.Linear(256, ANGLE_BINS if target == "azimuth" else 6),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, ANGLE_BINS) or (B, 6)."""
        return self.head(self.pool(self.trunk(x)).flatten(1))


def build(task: str, classes: int, width: int, height: int, side: int, target: str, normalize: str) -> nn.Sequential:
    """Normalization and network of a task; ``height`` and ``side`` are the input's height and width."""
    net: nn.Module
    if task == "classify":
        net = Classifier(classes, width, min(height, side))
    elif task == "detect":
        net = Detector(classes, width)
    elif task == "segment":
        net = Segmenter(classes, width)
    else:
        net = PoseNet(target, width, min(height, side))
    return nn.Sequential(Normalize(normalize), net)


def deepest(module: nn.Module) -> nn.Module:
    """The layer of a network of ``build`` whose output (B, C, h, w) is the most abstract: the end of its backbone."""
    assert isinstance(module, nn.Sequential)
    net = module[1]
    if isinstance(net, Classifier | PoseNet):
        return net.trunk
    assert isinstance(net, Detector | Segmenter)
    return net.down[-1]

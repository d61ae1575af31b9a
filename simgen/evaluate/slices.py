"""Dividing images by what is known of them, to find where a model is weak."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from simgen.learn.sample import Sample

MOST_VALUES = 12
"""A factor with more different values is divided into ranges, or left out when they are words."""

RANGES = 4


def properties(sample: Sample) -> dict[str, float]:
    """What an image and its labels show: brightness and contrast (0 to 1), sharpness, number and size of objects.

    Sharpness is the logarithm (base 10) of the variance of the Laplacian; size is the square root of the share of the
    image that the largest box takes.
    """
    grey = cv2.cvtColor(sample.image, cv2.COLOR_RGB2GRAY)
    known = sample.objects.areas[~sample.objects.ignore]
    found = {
        "brightness": float(grey.mean() / 255),
        "contrast": float(grey.std() / 255),
        "sharpness": float(np.log10(cv2.Laplacian(grey, cv2.CV_32F).var() + 1e-3)),
        "objects": float(len(known)),
    }
    if len(known) and known.max() < grey.size:
        found["size"] = float(np.sqrt(known.max() / grey.size))
    return found


def divide(facts: Sequence[Mapping[str, Any]], least: int = 5) -> list[tuple[str, str, NDArray[np.bool_]]]:
    """Factor, value or range, and mask (n,) of each slice of at least ``least`` images.

    Words, and numbers of few different values, are divided by value; other numbers into ``RANGES`` ranges of equally
    many images. A factor that does not vary makes no slice, and a seed is no property of an image.
    """
    found = []
    factors = sorted({name for each in facts for name in each if not name.endswith("seed")})
    for factor in factors:
        values = [each.get(factor) for each in facts]
        found += [(factor, value, mask) for value, mask in _parts(values) if mask.sum() >= least]
    return found


def _parts(values: list[Any]) -> list[tuple[str, NDArray[np.bool_]]]:
    present = [value for value in values if value is not None]
    distinct = set(present)
    if len(distinct) < 2:
        return []
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in distinct)
    if len(distinct) <= MOST_VALUES:
        shown = {value: f"{value:g}" if numbers else str(value) for value in distinct}
        ordered = sorted(distinct, key=lambda value: value if numbers else str(value))
        return [(shown[value], np.array([v is not None and v == value for v in values])) for value in ordered]
    if not numbers:
        return []
    array = np.array([np.nan if value is None else float(value) for value in values])
    edges = np.unique(np.nanquantile(array, np.linspace(0, 1, RANGES + 1)))
    parts = []
    for k, (low, high) in enumerate(pairwise(edges)):
        last = k == len(edges) - 2
        mask = (array >= low) & ((array <= high) if last else (array < high))
        parts.append((f"{low:.3g} to {high:.3g}", mask))
    return parts

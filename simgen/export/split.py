"""Dividing a dataset by scene, so that views of one scene never stand on both sides."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Hashable, Sequence

from simgen.errors import DatasetError

DEFAULT = "train"
"""The one split of a dataset that is not divided."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def parse_split(text: str | None) -> dict[str, float]:
    """Split name -> share, from ``"train:0.8,val:0.1,test:0.1"``; None is everything in ``train``.

    Shares are above 0 and add up to at most 1; what is left over is not exported. Raises DatasetError.
    """
    if text is None:
        return {DEFAULT: 1.0}
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, colon, number = (piece.strip() for piece in part.partition(":"))
        try:
            share = float(number)
        except ValueError:
            share = math.nan
        if not colon or not _NAME.fullmatch(name) or name in shares or not 0 < share <= 1:
            raise DatasetError(
                f'split "{text}" is not understood at "{part.strip()}": write names with shares between 0 and 1, each '
                'name once, as in "train:0.8,val:0.1,test:0.1"'
            )
        shares[name] = share
    if sum(shares.values()) > 1 + 1e-9:
        raise DatasetError(f'the shares of split "{text}" add up to {sum(shares.values()):g}: they may not exceed 1')
    return shares


def assign(scenes: Sequence[Hashable], shares: dict[str, float], seed: int) -> dict[Hashable, str]:
    """Split of each scene; scenes beyond the shares are left out.

    Scenes are ranked by SHA-256 of the dataset's seed and their name, and cut at the shares rounded to whole scenes: so
    the division is the same wherever and in whatever order it is made, and the shares are met as closely as whole
    scenes allow. Raises DatasetError when a split would get no scene.
    """
    ranked = sorted(scenes, key=lambda scene: hashlib.sha256(f"{seed}:{scene}".encode()).digest())
    found: dict[Hashable, str] = {}
    total, start = 0.0, 0
    for name, share in shares.items():
        total += share
        end = round(total * len(ranked))
        if end == start:
            raise DatasetError(
                f'split "{name}" would get none of the {len(ranked)} scenes with a share of {share:g}: scenes are kept '
                "whole, so give it a larger share or render more scenes"
            )
        found.update(dict.fromkeys(ranked[start:end], name))
        start = end
    return found

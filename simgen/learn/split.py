"""Dividing a source into a part to train on and a part to validate on."""

from __future__ import annotations

from simgen.learn.sample import Joined, Source, Subset
from simgen.rng import stream


def split(source: Source, fraction: float, seed: int) -> tuple[Source, Source]:
    """``source`` in two parts, the second with about ``fraction`` of its groups, drawn by ``seed``; no group in both.

    Both parts have at least one sample when there are two groups; with a single group its samples are divided. Of
    several sources joined, each is divided, so that their weights hold for what is kept.
    """
    if isinstance(source, Joined):
        parts = [split(part, fraction, seed) for part in source.sources]
        return Joined([kept for kept, _ in parts], source.weights), Joined([held for _, held in parts])
    groups: dict[str, list[int]] = {}
    for index in range(len(source)):
        groups.setdefault(source.group(index), []).append(index)
    members = list(groups.values()) if len(groups) > 1 else [[index] for index in range(len(source))]
    order = stream(seed, 0, "learn/split").permutation(len(members))
    count = min(max(round(fraction * len(members)), 1), len(members) - 1) if len(members) > 1 else 0
    held = sorted(index for k in order[:count] for index in members[k])
    kept = sorted(index for k in order[count:] for index in members[k])
    return Subset(source, kept), Subset(source, held)


def first(source: Source, count: int, seed: int) -> Subset:
    """``count`` samples of ``source`` drawn by ``seed``; a larger count holds the samples of a smaller one."""
    order = stream(seed, 0, "learn/first").permutation(len(source))
    return Subset(source, sorted(int(k) for k in order[:count]))

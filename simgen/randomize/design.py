"""Sampling designs: uniform deviates that cover their range more evenly than independent ones.

A design gives a draw its deviates as point number ``index`` of a sequence, computed from the index alone: no point
depends on how many there are, on the process or on the order. All designs are digital sequences in base 2, randomized
so that each deviate alone is uniform. Any 2^m points from a multiple of 2^m on (the first 64, the next 64, ...) are
spread evenly, for every m at once:

``stratified``        the deviates of a draw together: [0, 1)^d in 2^m cells, as nearly cubes as halving allows, and one
                      point in each (a scrambled van der Corput point dealt over the axes bit by bit, that is, along a
                      Morton curve: He and Owen 2016)
``latin_hypercube``   each deviate alone: one point in each of 2^m equal intervals; deviates are independent of each
                      other (McKay et al. 1979)
``sobol``             draws that belong together, such as azimuth, elevation and radius of a camera (``JOINT``): each
                      deviate alone as above, and all of them together of low discrepancy (Sobol' 1967)

Every sequence is shuffled and scrambled in the nested way of Owen (1995) under a seed of its own, made of the root seed
and the name of what is drawn; so sequences are independent of each other, and a new draw moves no other one. Shuffling
the index to combine sequences of few dimensions is due to Burley (2020, "Practical Hash-based Owen Scrambling").
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Design = Literal["random", "stratified", "latin_hypercube", "sobol"]

JOINT: dict[str, dict[str, tuple[int, int]]] = {
    "camera": {
        "azimuth_deg": (0, 1),
        "elevation_deg": (1, 1),
        "radius": (2, 1),
        "position": (0, 3),
        "target": (3, 3),
        "roll_deg": (6, 1),
        "rpy_deg": (6, 3),
        "hfov_deg": (9, 1),
        "focal_mm": (9, 1),
        "shift": (10, 2),
    },
    "lighting": {
        "direction": (0, 2),
        "intensity": (2, 1),
        "distance": (3, 1),
        "temperature": (4, 1),
        "size": (5, 1),
        "kind": (6, 1),
        "spot_deg": (7, 1),
        "rotation_deg": (0, 1),
        "sun_elevation_deg": (0, 1),
        "sun_azimuth_deg": (1, 1),
        "sun": (2, 1),
        "haze": (3, 1),
        "clouds": (4, 1),
    },
    "poses": {"point": (0, 3), "position": (0, 3), "rotation": (3, 3), "rpy_deg": (3, 3), "yaw_deg": (3, 1)},
    "content": {"asset": (0, 2), "size": (2, 3), "scale": (5, 3)},
    "distractors": {"asset": (0, 2), "size": (2, 3), "scale": (5, 3)},
    "materials": {"color": (0, 3), "tint": (0, 3), "roughness": (3, 1), "metallic": (4, 1)},
    "physics": {"friction": (0, 1), "restitution": (1, 1), "mass": (2, 1), "mass_factor": (3, 1)},
    "sensor": {
        "auto_exposure": (0, 1),
        "exposure": (1, 1),
        "white_balance": (2, 1),
        "shot_noise": (3, 1),
        "read_noise": (4, 1),
    },
}
"""Factor -> draw -> its first dimension and how many it may take, in the Sobol' sequence of its owner.

The owner is what stands before the name: a camera, a group of objects, the sky. A draw that is not here, or takes more
deviates, has a sequence of its own. Two draws share dimensions only where no definition has both.
"""

# Primitive polynomial and first direction integers of each dimension from "new-joe-kuo-6.21201" (Joe and Kuo 2008,
# "Constructing Sobol sequences with better two-dimensional projections", SIAM J. Sci. Comput. 30).
_JOE_KUO: tuple[tuple[int, tuple[int, ...]], ...] = (
    (1, (1,)),
    (3, (1,)),
    (7, (1, 3)),
    (11, (1, 3, 1)),
    (13, (1, 1, 1)),
    (19, (1, 1, 3, 3)),
    (25, (1, 3, 5, 13)),
    (37, (1, 1, 5, 5, 17)),
    (41, (1, 1, 5, 5, 5)),
    (47, (1, 1, 7, 11, 19)),
    (55, (1, 1, 5, 1, 1)),
    (59, (1, 1, 1, 3, 11)),
    (61, (1, 3, 5, 5, 31)),
    (67, (1, 3, 3, 9, 7, 49)),
    (91, (1, 1, 1, 15, 21, 21)),
    (97, (1, 3, 1, 13, 27, 49)),
)
DIMENSIONS = len(_JOE_KUO)
"""Of the Sobol' sequence; deviates of a draw beyond them begin another, independent one."""

_BITS = 32
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_SHIFTS = np.arange(_BITS, dtype=np.uint64)

Words = NDArray[np.uint64]


@dataclass(frozen=True)
class Designs:
    """Which design each draw has: that of its factor in ``factors``, unless its name matches one of ``names``.

    ``names``: factor -> design -> names or globs of draws, as ``main.radius``, or ``radius`` for that of every camera.
    What is not here is random.
    """

    factors: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)

    def of(self, factor: str, name: str) -> str:
        """The design of a draw."""
        for design, patterns in self.names.get(factor, {}).items():
            if any(fits(name, pattern) for pattern in patterns):
                return design
        return self.factors.get(factor, "random")


def fits(name: str, pattern: str) -> bool:
    """Whether a draw is meant by a name or glob: its own, or that which it has without its owner."""
    return fnmatchcase(name, pattern) or fnmatchcase(name.partition(".")[2], pattern)


def points(
    design: str, seed: int, factor: str, name: str, index: int, n: int, d: int, coins: Sequence[int] = ()
) -> NDArray[np.float64]:
    """Deviates (n, d) in [0, 1) of the draw ``factor/name`` for each of ``n`` items: point ``index`` of n sequences.

    ``coins`` are the places of deviates that decide nothing at full strength (``Distribution.coins``); they are random,
    so that the others share the whole evenness. Index and seed are not negative; the index is below 2^32.
    """
    u = np.empty((n, d))
    even = [c for c in range(d) if c not in coins]
    for k in range(n):
        for c in coins:
            u[k, c] = _van_der_corput(seed, f"{factor}/{name}#{k}/{c}", index)
        if design == "latin_hypercube":
            u[k, even] = [_van_der_corput(seed, f"{factor}/{name}#{k}/{c}", index) for c in even]
        elif design == "stratified":
            u[k, even] = _dealt(seed, f"{factor}/{name}#{k}", index, len(even))
        else:
            u[k, even] = _joint(seed, factor, name, k, index, len(even))
    return u


def stratum(seed: int, name: str, index: int) -> float:
    """Number ``index`` of a scrambled van der Corput sequence in [0, 1), one for each seed and name."""
    return _van_der_corput(seed, name, index)


def sobol(index: int, dimensions: int) -> Words:
    """Point ``index`` of the Sobol' sequence as it is published, as 32-bit fractions (dimensions,)."""
    directions = _directions()[:dimensions]
    bits = (np.uint64(index) >> _SHIFTS) & np.uint64(1)
    return np.asarray(np.bitwise_xor.reduce(directions * bits, axis=1))


def _joint(seed: int, factor: str, name: str, item: int, index: int, d: int) -> NDArray[np.float64]:
    """The deviates (d,) of a draw in the Sobol' sequence of its owner, or in its own."""
    owner, first = f"{factor}/{name}", 0
    known = JOINT.get(factor, {})
    head, _, tail = name.partition(".")
    for before, key in (("", name), (head, tail)):
        if key in known and d <= known[key][1]:
            owner, first = f"{factor}/{before}.", known[key][0]
            break
    out = []
    for begin in range(0, d, DIMENSIONS):
        series = f"{owner}#{item}" + (f"+{begin}" if begin else "")
        count = min(d - begin, DIMENSIONS)
        x = sobol(_shuffled(_key(seed, f"{series}/shuffle"), index), first + count)[first:]
        keys = np.array([_key(seed, f"{series}/{first + c}") for c in range(count)], np.uint64)
        out.append(_fraction(_scrambled(x, keys), keys))
    return np.concatenate(out) if out else np.empty(0)


def _van_der_corput(seed: int, series: str, index: int) -> float:
    key = np.array([_key(seed, series)], np.uint64)
    x = sobol(_shuffled(_key(seed, f"{series}/shuffle"), index), 1)
    return float(_fraction(_scrambled(x, key), key)[0])


def _dealt(seed: int, series: str, index: int, d: int) -> NDArray[np.float64]:
    """A scrambled van der Corput point whose bits go to each of ``d`` axes in turn, and below them random ones."""
    if d == 0:
        return np.empty(0)
    key = np.array([_key(seed, series)], np.uint64)
    x = int(_scrambled(sobol(_shuffled(_key(seed, f"{series}/shuffle"), index), 1), key)[0])
    out = np.empty(d)
    for c in range(d):
        word = count = 0
        for place in range(c, _BITS, d):
            word = word << 1 | (x >> (_BITS - 1 - place) & 1)
            count += 1
        axis = np.uint64(_key(seed, f"{series}/{c}"))
        rest = int(_mixed(np.array([index], np.uint64) + axis)[0]) >> (11 + count)
        out[c] = (word << (53 - count) | rest) * 2.0**-53
    return out


def _shuffled(key: int, index: int) -> int:
    """The index after a nested shuffle: blocks of 2^m indices from a multiple of 2^m on stay together."""
    return int(_scrambled(np.array([index], np.uint64), np.array([key], np.uint64))[0])


def _scrambled(x: Words, keys: Words) -> Words:
    """32-bit fractions ``x`` (n,) after Owen's nested uniform scramble: each bit is flipped by a hash of those above.

    Unlike the faster hash of Laine and Karras, no bit depends on less than all that it should.
    """
    above = (x[:, None] >> (np.uint64(_BITS) - _SHIFTS)) | (np.uint64(1) << _SHIFTS)
    flips = _mixed(_mixed(keys)[:, None] ^ above) >> np.uint64(63)
    return np.asarray(x ^ (flips << (np.uint64(_BITS - 1) - _SHIFTS)).sum(axis=1, dtype=np.uint64))


def _fraction(x: Words, keys: Words) -> NDArray[np.float64]:
    """32-bit fractions as numbers in [0, 1), with 21 more, random bits."""
    rest = _mixed(_mixed(keys) + x) >> np.uint64(43)
    return np.asarray((x << np.uint64(21) | rest) * 2.0**-53)


def _mixed(x: Words) -> Words:
    """The output function of SplitMix64 (Steele et al. 2014)."""
    z = x + _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)))


@lru_cache(maxsize=8192)
def _key(seed: int, series: str) -> int:
    """64 bits for a root seed and a name."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{series}".encode()).digest()[:8], "little")


@lru_cache(maxsize=1)
def _directions() -> Words:
    """Direction numbers (dimensions, 32): entry j is XORed in for bit j of the index, the lowest first."""
    v = np.zeros((DIMENSIONS, _BITS), np.uint64)
    v[0] = np.uint64(1) << (np.uint64(_BITS - 1) - _SHIFTS)
    for row, (polynomial, initial) in zip(v[1:], _JOE_KUO[1:], strict=True):
        degree = polynomial.bit_length() - 1
        m = list(initial)
        for k in range(degree, _BITS):
            # The recurrence of Bratley and Fox (1988), eq. 2.
            new = m[k - degree] ^ (m[k - degree] << degree)
            for j in range(1, degree):
                if polynomial >> (degree - j) & 1:
                    new ^= m[k - j] << j
            m.append(new)
        row[:] = [m[k] << (_BITS - 1 - k) for k in range(_BITS)]
    v.flags.writeable = False
    return v

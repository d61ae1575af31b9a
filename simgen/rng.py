"""Random streams named by what they are for.

A stream depends on the root seed, the scene, the frame within the scene and a name, and on nothing else: neither on
the order of the draws of other streams, nor on the process that draws. ``SeedSequence`` is NumPy's hash-based
seeding (O'Neill 2015), which gives independent streams for different spawn keys.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from simgen.kernels import kernel

SCENE = 0
"""The ``frame`` of draws that a scene makes once, for all of its frames; frame ``n`` uses ``n + 1``."""


_POOL = 4
"""Words of a SeedSequence's pool."""


def stream(seed: int, scene: int, name: str, frame: int | None = None) -> np.random.Generator:
    """The generator of the draws called ``name``, for example ``"lighting/direction"``.

    ``seed`` and ``scene`` are non-negative; ``frame`` counts within the scene and is None for draws that hold for the
    whole scene.
    """
    key = (scene, SCENE if frame is None else frame + 1, _number(name))
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


def uniforms(seed: int, scene: int, name: str, count: int, frame: int | None = None) -> NDArray[np.float64]:
    """The first ``count`` uniform deviates (count,) in [0, 1) of ``stream``, which takes ten times as long.

    A scene makes hundreds of draws of a few numbers each, and NumPy's objects cost more than the numbers.
    """
    words = _words(seed)
    words += [0] * (_POOL - len(words))
    for part in (scene, SCENE if frame is None else frame + 1, _number(name)):
        words += _words(part)
    return _deviates(np.array(words, np.uint32), count)


@lru_cache(maxsize=4096)
def _number(name: str) -> int:
    """128 bits for the name of a stream; the scenes of a job have the same names."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:16], "little")


def _words(value: int) -> list[int]:
    """The 32-bit words of a number, the lowest first, at least one."""
    if value < 0:
        raise ValueError(f"{value} is negative: seeds and numbers of scenes and frames count from 0")
    words = [value & 0xFFFFFFFF]
    while value := value >> 32:
        words.append(value & 0xFFFFFFFF)
    return words


@kernel()
def _deviates(words: NDArray[np.uint32], count: int) -> NDArray[np.float64]:
    """``np.random.Generator(PCG64(SeedSequence(...))).random(count)``, of the ``words`` of its entropy and spawn key.

    SeedSequence after O'Neill 2015 ("Developing a seed_seq alternative"), PCG64 is PCG XSL RR 128/64 (O'Neill 2014).
    """
    pool = np.zeros(_POOL, np.uint64)
    constant = np.uint64(0x43B0D7E5)
    for k in range(_POOL):
        pool[k], constant = _hashed(np.uint64(words[k]), constant, np.uint64(0x931E8875))
    for source in range(_POOL):
        for target in range(_POOL):
            if source != target:
                value, constant = _hashed(pool[source], constant, np.uint64(0x931E8875))
                pool[target] = _mixed(pool[target], value)
    for k in range(_POOL, len(words)):
        for target in range(_POOL):
            value, constant = _hashed(np.uint64(words[k]), constant, np.uint64(0x931E8875))
            pool[target] = _mixed(pool[target], value)
    state = np.zeros(4, np.uint64)
    constant = np.uint64(0x8B51F9DD)
    for k in range(8):
        value, constant = _hashed(pool[k % _POOL], constant, np.uint64(0x58F38DED))
        state[k // 2] |= value << np.uint64(32 * (k % 2))
    one = np.uint64(1)
    odd_high, odd_low = (state[2] << one) | (state[3] >> np.uint64(63)), (state[3] << one) | one
    # From 0: a step, the initial state added, a step.
    high, bottom = _added(odd_high, odd_low, state[0], state[1])
    high, bottom = _stepped(high, bottom, odd_high, odd_low)
    out = np.empty(count)
    for k in range(count):
        high, bottom = _stepped(high, bottom, odd_high, odd_low)
        folded, turn = high ^ bottom, high >> np.uint64(58)
        word = (folded >> turn) | (folded << ((np.uint64(64) - turn) & np.uint64(63)))
        out[k] = np.float64(word >> np.uint64(11)) * 2.0**-53
    return out


@kernel()
def _hashed(value: np.uint64, constant: np.uint64, factor: np.uint64) -> tuple[np.uint64, np.uint64]:
    """A 32-bit word hashed, and the constant of the next."""
    low = np.uint64(0xFFFFFFFF)
    value = value ^ constant
    constant = (constant * factor) & low
    value = (value * constant) & low
    return value ^ (value >> np.uint64(16)), constant


@kernel()
def _mixed(x: np.uint64, y: np.uint64) -> np.uint64:
    """Two 32-bit words as one."""
    low = np.uint64(0xFFFFFFFF)
    value = (((np.uint64(0xCA01F9DD) * x) & low) - ((np.uint64(0x4973F715) * y) & low)) & low
    return value ^ (value >> np.uint64(16))


@kernel()
def _added(a: np.uint64, b: np.uint64, c: np.uint64, d: np.uint64) -> tuple[np.uint64, np.uint64]:
    """(a, b) + (c, d), 128 bits each, the high half first."""
    low = b + d
    return a + c + np.uint64(low < b), low


@kernel()
def _stepped(a: np.uint64, b: np.uint64, odd_high: np.uint64, odd_low: np.uint64) -> tuple[np.uint64, np.uint64]:
    """(a, b) times the multiplier of PCG64 plus the increment."""
    c, d = np.uint64(0x2360ED051FC65DA4), np.uint64(0x4385DF649FCCF645)
    half, low = np.uint64(32), np.uint64(0xFFFFFFFF)
    b0, b1, d0, d1 = b & low, b >> half, d & low, d >> half
    first, second = b0 * d1 + (b0 * d0 >> half), b1 * d0
    middle = (first & low) + second
    top = b1 * d1 + (first >> half) + (middle >> half)
    return _added(top + a * d + b * c, b * d, odd_high, odd_low)

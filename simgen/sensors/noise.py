"""Counter-based random numbers: a hash of (seed, counter).

They need no state, so any sample can be computed alone, in any order and in any process, with the same result.
Kernels hash 32-bit counters (``site_hash``) and look deviates up in ``normal_table``; time series, which need better
tails, take ``uniforms`` and ``normals`` of 64 bits.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from simgen.kernels import kernel

_GOLDEN = 0x9E3779B97F4A7C15


@kernel(inline="always")
def hash32(x: np.uint32) -> np.uint32:
    """A 32-bit mixing function of two multiplications with low bias (found by C. Wellons' hash prospector)."""
    # Numba widens integer arithmetic to 64 bits; each product is cut back to 32.
    x = np.uint32(x ^ (x >> np.uint32(16)))
    x = np.uint32(x * np.uint32(0x7FEB352D))
    x = np.uint32(x ^ (x >> np.uint32(15)))
    x = np.uint32(x * np.uint32(0x846CA68B))
    return np.uint32(x ^ (x >> np.uint32(16)))


@kernel(inline="always")
def site_hash(site: np.uint32, seed_low: np.uint32, seed_high: np.uint32) -> np.uint32:
    """32 random bits of a site (pixel and channel) under a seed of 64 bits."""
    return hash32(np.uint32(hash32(np.uint32(site ^ seed_low)) ^ seed_high))


def split_seed(seed: int, purpose: int = 0) -> tuple[np.uint32, np.uint32]:
    """The low and high halves of a 64-bit seed; a ``purpose`` other than 0 gives another, unrelated seed."""
    if purpose:
        seed = _splitmix((seed ^ _splitmix(purpose)) & 0xFFFFFFFFFFFFFFFF)
    return np.uint32(seed & 0xFFFFFFFF), np.uint32((seed >> 32) & 0xFFFFFFFF)


@cache
def normal_table(bits: int = 16) -> NDArray[np.float32]:
    """Standard normal deviates at the ``2**bits`` equally likely quantiles, ascending."""
    n = 1 << bits
    return ndtri((np.arange(n) + 0.5) / n).astype(np.float32)


def uniforms(seed: int, purpose: int, shape: int | tuple[int, ...]) -> NDArray[np.float64]:
    """Uniform deviates in (0, 1): SplitMix64 (Steele et al. 2014) at the counters 0, 1, ... in C order.

    ``purpose`` separates the streams of one seed.
    """
    n = int(np.prod(shape))
    start = np.uint64(_splitmix((seed & 0xFFFFFFFFFFFFFFFF) ^ _splitmix(purpose)))
    z = start + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(_GOLDEN)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return (((z >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53).reshape(shape)


def normals(seed: int, purpose: int, shape: int | tuple[int, ...]) -> NDArray[np.float64]:
    """Standard normal deviates, by inversion of ``uniforms``."""
    deviates: NDArray[np.float64] = ndtri(uniforms(seed, purpose, shape))
    return deviates


def _splitmix(x: int) -> int:
    mask = 0xFFFFFFFFFFFFFFFF
    x = (x + _GOLDEN) & mask
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
    return x ^ (x >> 31)

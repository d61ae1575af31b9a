"""Distances between two samples of numbers or of feature vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.stats import wasserstein_distance

from simgen.rng import stream

Vectors = NDArray[np.float64]

NEIGHBOURS = 5
"""Neighbours that a point's ball reaches to, in precision, recall, density and coverage (as Naeem et al. 2020)."""

_FOLDS = 5


def shift(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """How far the numbers ``a`` (n,) would have to move to become ``b`` (m,), in standard deviations of ``b``.

    The Wasserstein-1 distance over that deviation; NaN when either is empty or ``b`` does not vary.
    """
    if len(a) == 0 or len(b) == 0 or not b.std() > 0:
        return float("nan")
    return float(wasserstein_distance(a, b) / b.std())


def share_moved(a: NDArray[np.int64], b: NDArray[np.int64], count: int) -> float:
    """The share of ``a`` whose class would have to change to have the classes of ``b``: total variation, 0 to 1."""
    if len(a) == 0 or len(b) == 0:
        return float("nan")
    p, q = (np.bincount(labels, minlength=count) / len(labels) for labels in (a, b))
    return float(np.abs(p - q).sum() / 2)


def kernel_distance(a: Vectors, b: Vectors) -> float:
    """Squared maximum mean discrepancy of features (n, D) and (m, D), unbiased, so that it may be below 0.

    The kernel (x.y / D + 1)^3 is that of the Kernel Inception Distance (Binkowski et al. 2018).
    """
    if min(len(a), len(b)) < 2:
        return float("nan")

    def kernel(x: Vectors, y: Vectors) -> Vectors:
        return (x @ y.T / x.shape[1] + 1) ** 3

    def within(x: Vectors) -> float:
        k = kernel(x, x)
        return float((k.sum() - np.trace(k)) / (len(x) * (len(x) - 1)))

    return within(a) + within(b) - 2 * float(kernel(a, b).mean())


def frechet_distance(a: Vectors, b: Vectors) -> float:
    """Frechet distance of normal distributions fitted to features (n, D) and (m, D) (Heusel et al. 2017).

    |mean difference|^2 + tr(A + B - 2 (A B)^(1/2)). It is biased upwards where there are few images for many
    dimensions: reduce these first, and compare only sets of equal sizes.
    """
    if min(len(a), len(b)) < 2:
        return float("nan")
    difference = a.mean(0) - b.mean(0)
    A, B = np.cov(a, rowvar=False).reshape(a.shape[1], -1), np.cov(b, rowvar=False).reshape(b.shape[1], -1)
    # tr (A B)^(1/2) is the sum of the roots of the eigenvalues of A^(1/2) B A^(1/2), which is symmetric.
    values, vectors = np.linalg.eigh(A)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    mixed = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ B @ root), 0)).sum()
    return float(difference @ difference + np.trace(A) + np.trace(B) - 2 * mixed)


def overlap(synthetic: Vectors, real: Vectors, neighbours: int = NEIGHBOURS) -> dict[str, float]:
    """Precision and recall (Kynkaanniemi et al. 2019), density and coverage (Naeem et al. 2020) of features.

    precision: synthetic images among real ones; recall: real images among synthetic ones; density: how many real
    images each synthetic one is among, over ``neighbours``; coverage: real images with a synthetic one nearer than
    their k-th real neighbour. NaN when a set has no more than ``neighbours`` images.
    """
    names = ("precision", "recall", "density", "coverage")
    if min(len(synthetic), len(real)) <= neighbours:
        return dict.fromkeys(names, float("nan"))
    reach_real = np.sort(cdist(real, real), axis=1)[:, neighbours]
    reach_synthetic = np.sort(cdist(synthetic, synthetic), axis=1)[:, neighbours]
    apart = cdist(synthetic, real)
    among = apart <= reach_real
    return {
        "precision": float(among.any(1).mean()),
        "recall": float((apart <= reach_synthetic[:, None]).any(0).mean()),
        "density": float(among.sum() / (neighbours * len(synthetic))),
        "coverage": float((apart.min(0) <= reach_real).mean()),
    }


def told_apart(
    a: Vectors, b: Vectors, seed: int = 0, groups: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None
) -> float:
    """How often a classifier says of an unseen feature vector which set it is from: 0.5 chance, 1 always.

    A two-sample test by classifier (Lopez-Paz & Oquab 2017): linear discriminant analysis with the covariance shrunk
    (Ledoit & Wolf's target, a tenth), five-fold, on as many of each set as the smaller one has. NaN below ten each.
    ``groups`` (n,) and (m,) number what is akin (frames of a scene, of a track): it comes into one fold together, for
    otherwise the classifier would know the tracks rather than the sets. NaN below five groups each.
    """
    count = min(len(a), len(b))
    if count < 2 * _FOLDS:
        return float("nan")
    rng = stream(seed, 0, "evaluate/told_apart")
    chosen = [rng.permutation(len(x))[:count] for x in (a, b)]
    sets = [x[rows] for x, rows in zip((a, b), chosen, strict=True)]
    folds = [np.arange(count) % _FOLDS] * 2
    if groups is not None:
        akin = [np.unique(group[rows], return_inverse=True)[1] for group, rows in zip(groups, chosen, strict=True)]
        if min(int(group.max()) for group in akin) + 1 < _FOLDS:
            return float("nan")
        folds = [(rng.permutation(int(group.max()) + 1) % _FOLDS)[group] for group in akin]
    right = 0
    for fold in range(_FOLDS):
        tests = [each == fold for each in folds]
        means = [x[~test].mean(0) for x, test in zip(sets, tests, strict=True)]
        centred = np.concatenate([x[~test] - mean for x, mean, test in zip(sets, means, tests, strict=True)])
        covariance = centred.T @ centred / len(centred)
        covariance = 0.9 * covariance + 0.1 * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
        direction = np.linalg.solve(covariance + 1e-12 * np.eye(len(covariance)), means[1] - means[0])
        middle = (means[0] + means[1]) / 2
        right += int(((sets[0][tests[0]] - middle) @ direction < 0).sum())
        right += int(((sets[1][tests[1]] - middle) @ direction > 0).sum())
    return right / (2 * count)


def principal(a: Vectors, b: Vectors, most: int) -> tuple[Vectors, Vectors]:
    """Features in the ``most`` directions in which both sets together vary most, over the root mean square of ``b``.

    The scale makes distances comparable between sets ``a`` that are held against the same ``b``.
    """
    both = np.concatenate([a, b])
    center = both.mean(0)
    scale = float(np.sqrt(np.square(b - b.mean(0)).mean())) or 1.0
    _, _, directions = np.linalg.svd((both - center) / scale, full_matrices=False)
    chosen: Any = directions[: min(most, len(directions))]
    return (a - center) / scale @ chosen.T, (b - center) / scale @ chosen.T

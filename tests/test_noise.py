"""Loops over pixels held against the same sums written over whole arrays: the same bits."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from simgen.assets import noise

F32 = NDArray[np.float32]


def _smooth(t: NDArray[np.floating]) -> NDArray[np.floating]:
    return t * t * (3 - 2 * t)


def _random(*shape: int, seed: int = 0) -> F32:
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def test_lattice_is_the_mix_of_its_four_values() -> None:
    values, tx, ty = _random(3, 5), _random(16, seed=1), _random(9, seed=2)
    ix, iy = np.arange(16) % 5, np.arange(9) % 3
    rows = values[:, ix] * (1 - tx) + values[:, (ix + 1) % 5] * tx
    expected = rows[iy] * (1 - ty[:, None]) + rows[(iy + 1) % 3] * ty[:, None]
    before = _random(9, 16, seed=3)
    total = before.copy()
    noise.add_lattice(total, np.float32(0.3), values, ix, tx, iy, ty)
    np.testing.assert_array_equal(total, before + np.float32(0.3) * expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_steps_and_stretched_sums_are_those_of_whole_arrays(dtype: type) -> None:
    value = (_random(5, 7) * 2 - np.float32(0.5)).astype(dtype)
    expected = _smooth(np.clip((value - np.float32(0.4)) / np.float32(0.7) + np.float32(0.5), 0, 1))
    found = noise.smooth_step(value, np.float32(0.4), np.float32(0.7))
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, expected)
    total = _random(5, 7) * np.float32(1.9)
    expected = np.clip((total / np.float32(1.875) - 0.5) * np.float32(1.8) + 0.5, 0, 1)
    np.testing.assert_array_equal(noise.stretched(total, np.float32(1.875)), expected)


def test_nearest_points_are_those_of_all_points() -> None:
    n, size = 4, 24
    offset = 0.5 + np.float32(0.9) * (_random(2, n, n) - np.float32(0.5))
    place = ((np.arange(size, dtype=np.float32) + np.float32(0.5)) / np.float32(size)) * np.float32(n)
    first, second, nearest = noise.nearest_points(offset, place, place)
    columns, rows = np.meshgrid(np.arange(n), np.arange(n))
    points = np.stack([offset[0] + columns, offset[1] + rows], axis=-1).reshape(-1, 2)
    shifts = np.array([(i, j) for i in (-n, 0, n) for j in (-n, 0, n)])
    everywhere = (points[None] + shifts[:, None]).reshape(-1, 2)
    pixels = np.stack(np.meshgrid(place, place), axis=-1).reshape(-1, 2)
    distance = ((pixels[:, None].astype(np.float64) - everywhere[None]) ** 2).sum(axis=2)
    order = np.argsort(distance, axis=1)
    best = np.take_along_axis(distance, order[:, :2], axis=1)
    np.testing.assert_allclose(np.stack([first, second], axis=-1).reshape(-1, 2), best, atol=1e-5)
    apart = best[:, 1] - best[:, 0] > 1e-4
    assert apart.mean() > 0.9
    np.testing.assert_array_equal(nearest.ravel()[apart], (order[:, 0] % (n * n))[apart])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_painted_pixels_are_looked_up(dtype: type) -> None:
    position, shade = (_random(7, 6) * 1.4 - 0.2).astype(dtype), _random(7, 6, seed=1)
    ramp, table = _random(256, 3, seed=2) * np.float32(120), np.arange(100, dtype=np.uint8)[::-1].copy()
    index = (np.clip(position, 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.intp)
    light = np.clip(ramp[index] * shade[..., None] + np.float32(0.5), 0, 99)
    np.testing.assert_array_equal(noise.painted(position, shade, ramp, table), table[light.astype(np.intp)])


def test_plane_noise_repeats_and_meets_its_values() -> None:
    values = _random(64, 64)
    u, v = np.meshgrid(np.arange(-3, 70, 0.25, dtype=np.float32), np.arange(-2, 3, 0.5, dtype=np.float32))
    found = noise.plane_noise(u, v, values)
    whole = (u % 1 == 0) & (v % 1 == 0)
    np.testing.assert_array_equal(found[whole], values[v[whole].astype(int) % 64, u[whole].astype(int) % 64])
    np.testing.assert_array_equal(noise.plane_noise(u + np.float32(64), v, values), found)
    left, top = np.floor(u).astype(int), np.floor(v).astype(int)
    s, t = _smooth(u - np.floor(u)), _smooth(v - np.floor(v))
    rows = [values[(top + j) & 63, left & 63] * (1 - s) + values[(top + j) & 63, (left + 1) & 63] * s for j in (0, 1)]
    np.testing.assert_array_equal(found, rows[0] * (1 - t) + rows[1] * t)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cube_noise_is_the_mix_of_the_corners_in_the_precision_of_the_points(dtype: type) -> None:
    n = 4
    values = _random(n + 1, n + 1, n + 1)
    points = [(_random(8, 5, seed=k) * 1.1 - 0.55).astype(dtype) for k in range(3)]
    cell, part = [], []
    for axis in points:
        place = np.clip((axis + np.float32(0.5)) * np.float32(n), 0, np.float32(n) * np.float32(0.9999))
        cell.append(place.astype(np.intp))
        part.append(_smooth(place - cell[-1].astype(np.float32)))
    expected = np.zeros_like(points[0])
    for corner in np.ndindex(2, 2, 2):
        weight = [p if side else 1 - p for p, side in zip(part, corner, strict=True)]
        i, j, k = (c + side for c, side in zip(cell, corner, strict=True))
        expected += values[i, j, k] * (weight[0] * weight[1] * weight[2])
    found = noise.cube_noise(*points, values)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, expected)

"""What is computed once of an environment map, against integrals over the sphere."""

from __future__ import annotations

import numpy as np
import pytest
from raster_scenes import camera, snapshot

from simgen.errors import RenderError
from simgen.render.base import Environment
from simgen.render.raster import RasterRenderer
from simgen.render.raster.environment import Prefiltered, irradiance, prefilter
from simgen.render.raster.prefilter import SIDES, STARTS

TILT = np.array([[0.5, 0.2, -0.3], [-0.4, 0.6, 0.1], [0.1, -0.3, 0.7]])
"""A direction for each channel, along which it gets brighter."""


def directions(height: int, width: int) -> np.ndarray:
    """Of the texels of an equirectangular map, as ``simgen.render.base.Environment`` says."""
    v, u = (np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width
    theta, phi = np.meshgrid(v * np.pi, (0.5 - u) * 2 * np.pi, indexing="ij")
    return np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1)


def solid_angles(height: int, width: int) -> np.ndarray:
    edges = np.cos(np.linspace(0, np.pi, height + 1))
    return np.repeat((edges[:-1] - edges[1:])[:, None] * 2 * np.pi / width, width, 1)


def level_of(filtered: Prefiltered, level: int) -> np.ndarray:
    """Radiance (n + 2, n + 2, 3) of a level with its border."""
    n = SIDES[level] + 2
    packed = filtered.reflections[STARTS[level] : STARTS[level] + n * n].reshape(n, n)
    roots = np.stack([(packed >> 21) / 2047, ((packed >> 10) & 2047) / 2047, (packed & 1023) / 1023], -1)
    return filtered.scale * roots**2 / (1 - roots**2)


def octahedral_directions(n: int) -> np.ndarray:
    """Of the texels of an octahedral map of ``n`` by ``n``."""
    a = (np.arange(n) + 0.5) / n * 2 - 1
    x, y = np.meshgrid(a, a)
    z = 1 - abs(x) - abs(y)
    fold = z < 0
    x, y = np.where(fold, (1 - abs(y)) * np.sign(x), x), np.where(fold, (1 - abs(x)) * np.sign(y), y)
    d = np.stack([x, y, z], -1)
    return d / np.linalg.norm(d, axis=-1, keepdims=True)


def test_reflections_are_means_over_the_lobe():
    """The lobe's mean of what is linear in the direction is that in the middle of the lobe, drawn to the mean."""
    filtered = prefilter((1 + directions(64, 128) @ TILT.T).astype(np.float32))
    for level, n in enumerate(SIDES):
        alpha2 = (level / 5) ** 8
        u = (np.arange(100_000) + 0.5) / 100_000
        cosine = np.maximum(2 * (1 - u) / (1 + (alpha2 - 1) * u) - 1, 0)
        narrow = (cosine**2).sum() / cosine.sum()
        expected = 1 + narrow * octahedral_directions(n) @ TILT.T
        found = level_of(filtered, level)[1:-1, 1:-1]
        # Two dozen directions, and what each of them stands for, make the lobe only nearly.
        np.testing.assert_allclose(found, expected, atol=0.1)
        assert abs(found - expected).mean() < 0.035


def test_borders_of_reflections_continue_over_the_edges():
    filtered = prefilter((1 + directions(64, 128) @ TILT.T).astype(np.float32))
    for level, n in enumerate(SIDES):
        image = level_of(filtered, level)
        for turned in (image, image.transpose(1, 0, 2)):
            for side in (turned[:2], turned[-1:-3:-1]):
                # The edge is folded in its middle: beyond it lies the same edge backwards.
                np.testing.assert_array_equal(side[0, 1:-1], side[1, -2:0:-1])
        np.testing.assert_allclose(image[0, 0], image[1, 1], atol=8 / n)


def test_irradiance_of_quadratic_light_is_exact():
    """Coefficients of a cosine lobe damp the orders 0, 1 and 2 to 1, 2/3 and 1/4."""
    rng = np.random.default_rng(2)
    d = directions(128, 256)
    quadratic = rng.normal(size=(3, 3, 3))
    quadratic += quadratic.transpose(0, 2, 1)
    quadratic -= np.einsum("cii->c", quadratic)[:, None, None] * np.eye(3) / 3

    def light(at: np.ndarray, first: float, second: float) -> np.ndarray:
        return 3 + first * at @ TILT.T + second * np.einsum("...i,cij,...j->...c", at, 0.3 * quadratic, at)

    radiance = light(d, 1, 1)
    assert radiance.min() > 0
    h = prefilter(radiance.astype(np.float32)).harmonics
    for normal in rng.normal(size=(20, 3)):
        normal /= np.linalg.norm(normal)
        found = [irradiance(h, c, *normal.astype(np.float32)) for c in range(3)]
        np.testing.assert_allclose(found, light(normal, 2 / 3, 1 / 4), rtol=1e-3)


@pytest.mark.parametrize("suns", [1, 2])
def test_bright_spots_become_lights_and_no_light_is_lost(suns):
    d, solid = directions(128, 256), solid_angles(128, 256)
    radiance = np.full((128, 256, 3), 0.3)
    centres = [np.array([0.48, 0.6, 0.64]), np.array([-0.8, 0.0, 0.6])][:suns]
    radius, colors = 0.06, [np.array([300.0, 200.0, 100.0]), np.array([50.0, 100.0, 200.0])]
    for centre, color in zip(centres, colors, strict=False):
        radiance[d @ centre > np.cos(radius)] += color
    filtered = prefilter(radiance.astype(np.float32))
    assert len(filtered.keys) == suns
    for key, centre, color in zip(filtered.keys, centres, colors, strict=False):
        assert key.towards @ centre > np.cos(0.01)
        flux = color * np.pi * radius**2
        np.testing.assert_allclose(key.irradiance, flux, rtol=0.15)
        assert abs(key.size / (2 * radius) - 1) < 0.2
    mean = (radiance * solid[..., None]).sum((0, 1)) / (4 * np.pi)
    kept = filtered.harmonics[::9] + sum(key.irradiance for key in filtered.keys) / (4 * np.pi)
    np.testing.assert_allclose(kept, mean, rtol=1e-4)


def test_texels_that_are_no_light_do_no_harm():
    radiance = np.full((16, 32, 3), 0.5, np.float32)
    radiance[3, 4], radiance[5, 6, 1], radiance[7, 8, 2], radiance[9, 10] = np.nan, -np.inf, -3.0, 1e30
    filtered = prefilter(radiance)
    assert filtered.radiance.min() == 0
    assert filtered.radiance.max() == 65504
    assert np.isfinite(filtered.harmonics).all()
    assert np.isfinite(level_of(filtered, 5)).all()
    with pytest.raises(RenderError, match=r"must be \(h, w, 3\)"):
        prefilter(np.zeros((4, 8), np.float32))


def test_the_background_is_the_map_where_each_pixel_looks():
    environment = Environment("tilted", (1 + directions(64, 128) @ TILT.T).astype(np.float32), 0.8, 1.5)
    c, s = np.cos(0.8), np.sin(0.8)
    turn = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])  # from the world to the map
    renderer = RasterRenderer()
    for target in ((0, 1, 0), (-1, -0.01, 0.3), (1, 2, -2), (0.2, 0.1, 1)):
        view = camera((0, 0, 0), target, 48, 32)
        image = renderer.render([snapshot([], view, environment=environment)], ["rgb"]).images["rgb"][0]
        x, y = np.meshgrid(np.arange(48), np.arange(32))
        rays = np.stack([x, y, np.ones_like(x)], -1) @ np.linalg.inv(view.K).T @ view.T_world_cam[:3, :3].T
        rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
        np.testing.assert_allclose(image, 1.5 * (1 + rays @ turn.T @ TILT.T), atol=0.02)

"""Ambient occlusion against rays, and against what is known of a floor, a corner and a slit."""

from __future__ import annotations

import numpy as np
import pytest
from raster_scenes import box, camera, draw, pose, quad, snapshot, sphere

from simgen.render.base import Snapshot
from simgen.render.raster import RasterRenderer, occlusion
from simgen.render.raster.layout import CX, CY, FX, FY
from simgen.render.raster.mathematics import arc_cosine, interreflected
from simgen.render.raycast import cast, ray_scene


def open_sky(shot: Snapshot, radius: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Share of the sky that is open at every other pixel, as shading uses it, with depth and normals there."""
    renderer = RasterRenderer()
    images = renderer.render([shot], ["depth", "normal"]).images
    depth, normal = images["depth"][0][::2, ::2].copy(), images["normal"][0][::2, ::2].copy()
    renderer.close()
    height, width = depth.shape
    K = shot.camera.K
    reals = np.zeros(max(FX, FY, CX, CY) + 1)
    reals[[FX, FY, CX, CY]] = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
    flat, planes = depth.reshape(-1), np.ascontiguousarray(normal.transpose(2, 0, 1)).reshape(-1)
    raw, rows, out = (np.zeros(len(flat), np.float32) for _ in range(3))
    working = np.zeros(occlusion.CHANNELS * occlusion.STRIDE, np.float32)
    occlusion.occlude(
        width, height, reals, np.float32(radius), occlusion.slices(), flat, planes, working,
        np.zeros(2 * occlusion.CHUNK, np.int32), raw,
    )  # fmt: skip
    occlusion.smooth(width, height, flat, raw, rows, 1, 0)
    occlusion.smooth(width, height, flat, rows, out, 0, 1)
    return np.clip(out.reshape(height, width), 0, 1), depth, normal


def open_sky_by_rays(shot: Snapshot, depth: np.ndarray, normal: np.ndarray, rays: int = 256) -> np.ndarray:
    """The same by cosine-weighted rays from each of these pixels."""
    height, width = depth.shape
    K, T = shot.camera.K, shot.camera.T_world_cam
    v, u = np.mgrid[0:height, 0:width] * 2
    points = np.stack([(u - K[0, 2]) / K[0, 0] * depth, (v - K[1, 2]) / K[1, 1] * depth, depth], -1)
    n = normal.astype(np.float64) @ T[:3, :3].T
    origins = points @ T[:3, :3].T + T[:3, 3] + 1e-4 * n
    across = np.cross(np.where(np.abs(n[..., :1]) > 0.5, [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]), n)
    across /= np.maximum(np.linalg.norm(across, axis=-1, keepdims=True), 1e-12)
    beside = np.cross(n, across)
    rng = np.random.default_rng(0)
    scene, free = ray_scene(shot), np.zeros(depth.shape)
    for k in range(rays):
        r, angle = np.sqrt((k + rng.random(depth.shape)) / rays), 2 * np.pi * rng.random(depth.shape)
        x, y, z = r * np.cos(angle), r * np.sin(angle), np.sqrt(1 - r * r)
        to = x[..., None] * across + y[..., None] * beside + z[..., None] * n
        free += ~np.isfinite(cast(scene, origins.reshape(-1, 3), to.reshape(-1, 3), 1e-4).t.reshape(depth.shape))
    return np.where(depth > 0, free / rays, 1.0)


def test_it_agrees_with_rays_on_the_ground() -> None:
    """Where it matters most: things sit on the ground. Large walls and floors keep off less light than by rays."""
    things = [
        draw(quad(half=2.0), instance=0),
        draw(box(half=(0.1, 0.15, 0.1)), pose((-0.2, 0, 0.1)), 1),
        draw(sphere(radius=0.12), pose((0.1, -0.1, 0.12)), 2),
        draw(sphere(radius=0.08), pose((0.05, 0.25, 0.08)), 3),
    ]
    shot = snapshot(things, camera((0.7, -1.0, 0.8), (0, 0, 0.05), 160, 120, 0.8))
    ours, depth, normal = open_sky(shot, 0.6)
    rays = open_sky_by_rays(shot, depth, normal)
    ground = (normal @ shot.camera.T_world_cam[2, :3] > 0.99) & (depth > 0)
    ours, rays = ours[ground], rays[ground]
    assert rays.min() < 0.2
    assert np.corrcoef(ours, rays)[0, 1] > 0.9
    assert np.abs(ours - rays).mean() < 0.04


def test_a_floor_alone_is_open() -> None:
    shot = snapshot([draw(quad(half=5.0), instance=0)], camera((0, -1.5, 0.3), (0, 0, 0), 160, 120, 0.9))
    ours, depth, _ = open_sky(shot, 0.5)
    assert ours[depth > 0].min() > 0.99


def test_half_of_the_sky_is_open_at_the_foot_of_a_wall() -> None:
    wall = draw(box(half=(3.0, 0.05, 3.0)), pose((0, 0.05, 0)), 0)
    shot = snapshot([draw(quad(half=5.0), instance=0), wall], camera((0, -1.0, 1.0), (0, 0, 0), 161, 121, 0.9))
    ours, _, normal = open_sky(shot, 3.0)
    first = np.flatnonzero(normal[:, 40] @ shot.camera.T_world_cam[2, :3] > 0.9).min()
    foot = ours[first - 2 : first + 2, 20:60]
    assert foot.mean() == pytest.approx(0.5, abs=0.1)


def test_arc_cosines() -> None:
    values = np.linspace(-1, 1, 1001).astype(np.float32)
    assert np.abs([arc_cosine(x) for x in values] - np.arccos(values.astype(np.float64))).max() < 1e-4


@pytest.mark.parametrize("albedo", [0.0, 0.5, 1.0])
def test_light_between_surfaces_only_adds(albedo: float) -> None:
    shares = np.linspace(0, 1, 101).astype(np.float32)
    found = np.array([interreflected(share, np.float32(albedo)) for share in shares])
    assert (found >= shares).all()
    assert (np.diff(found) > 0).all()
    assert found[-1] == pytest.approx(1.0, abs=0.01)

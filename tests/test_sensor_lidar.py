"""Ray casting and lidar against closed forms and against testing every triangle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import trimesh

from simgen.assets.asset import Material, Mesh, Texture
from simgen.errors import ConfigError
from simgen.geometry import intrinsics, look_at, quaternion_from_axis_angle, transform
from simgen.render.base import Camera, Drawable, Environment, Snapshot
from simgen.render.raycast import RayScene, build, cast, ray_scene, world_triangles
from simgen.scene.trace_record import LidarRecord
from simgen.sensors.lidar import PRESETS, beams, scan, surfaces


def soup(count: int, seed: int = 0, size: float = 0.3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.uniform(-1, 1, (count, 1, 3)) + rng.uniform(-size, size, (count, 3, 3))).astype(np.float32)


def everything(triangles: np.ndarray, origin: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The nearest hit of each ray by solving o + t d = a + u (b - a) + v (c - a) for every triangle."""
    a, b, c = np.moveaxis(triangles.astype(np.float64), 1, 0)
    t, index = np.full(len(direction), np.inf), np.full(len(direction), -1)
    for i, d in enumerate(direction):
        M = np.stack([np.broadcast_to(-d, a.shape), b - a, c - a], -1)
        solution = np.linalg.solve(M, (origin[i] - a)[..., None])[..., 0]
        s, u, v = solution.T
        good = (s > 0) & (u >= 0) & (v >= 0) & (u + v <= 1)
        if good.any():
            index[i] = np.flatnonzero(good)[np.argmin(s[good])]
            t[i] = s[index[i]]
    return t, index


def unit(count: int, seed: int = 1) -> np.ndarray:
    d = np.random.default_rng(seed).normal(size=(count, 3))
    return d / np.linalg.norm(d, axis=1, keepdims=True)


# Ray casting


@pytest.mark.parametrize("count", [1, 3, 50, 700])
def test_same_hits_as_testing_every_triangle(count: int) -> None:
    triangles = soup(count)
    scene = build(triangles, np.arange(count) % 7)
    origin, direction = np.random.default_rng(3).uniform(-2, 2, (300, 3)), unit(300)
    t, index = everything(triangles, origin, direction)
    hits = cast(scene, origin, direction)
    np.testing.assert_array_equal(hits.triangle, index)
    np.testing.assert_allclose(hits.t, t, rtol=1e-9)
    np.testing.assert_array_equal(hits.owner, np.where(index >= 0, index % 7, -1))
    hit = index >= 0
    corners = triangles[index[hit]].astype(float)
    u, v = hits.barycentric[hit].T[..., None].astype(float)
    where = corners[:, 0] * (1 - u - v) + corners[:, 1] * u + corners[:, 2] * v
    np.testing.assert_allclose(where, (origin + direction * hits.t[:, None])[hit], atol=1e-5)
    flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    cosine = (flat * hits.normal[hit]).sum(1) / np.linalg.norm(flat, axis=1)
    np.testing.assert_allclose(np.abs(cosine), 1, atol=1e-5)
    assert ((hits.normal * direction).sum(1)[hit] <= 0).all()
    near = cast(scene, origin, direction, t_max=1.5)
    np.testing.assert_array_equal(near.owner >= 0, t < 1.5)


def test_limits_of_the_range() -> None:
    z = np.array([1.0, 2.0, 3.0])
    triangles = np.array([[[-9, -9, h], [9, -9, h], [0, 9, h]] for h in z], np.float32)
    scene = build(triangles, np.arange(3))
    down = np.array([[0.0, 0, 1]])
    assert cast(scene, (0, 0, 0), down).owner[0] == 0
    assert cast(scene, (0, 0, 0), down, t_min=1.5).owner[0] == 1
    assert cast(scene, (0, 0, 0), down, t_max=0.5).owner[0] == -1
    assert cast(scene, (0, 0, 0), 4 * down).t[0] == pytest.approx(0.25)


def test_broken_and_empty_scenes() -> None:
    nothing = build(np.zeros((0, 3, 3), np.float32), np.zeros(0, np.int32))
    assert np.isinf(cast(nothing, (0, 0, 0), unit(4)).t).all()
    triangles = soup(40)
    triangles[3], triangles[5, 1], triangles[7] = np.nan, np.inf, 0.5  # the last has no area
    hits = cast(build(triangles, np.arange(40)), (0, 0, 0), unit(500))
    assert not np.isin(hits.owner, [3, 5, 7]).any()
    # Many triangles in one place cannot be split and must still end.
    same = np.repeat(soup(1), 1000, 0)
    assert (cast(build(same, np.zeros(1000)), (0, 0, 0), unit(5)).triangle >= -1).all()


def test_no_ray_slips_through_shared_edges() -> None:
    mesh = trimesh.creation.icosphere(3)
    scene = build(mesh.triangles.astype(np.float32), np.zeros(len(mesh.faces)))
    corners = mesh.vertices / np.linalg.norm(mesh.vertices, axis=1, keepdims=True)
    a, b = corners[mesh.edges_unique[:, 0]], corners[mesh.edges_unique[:, 1]]
    for direction in (corners, a + b, 0.3 * a + 0.7 * b):
        assert (cast(scene, (0, 0, 0), direction).owner == 0).all()


def test_sphere_and_plane() -> None:
    mesh = trimesh.creation.icosphere(6, radius=2.0)
    direction = unit(2000)
    origin = np.array([0.3, -0.2, 0.5])
    scene = build(mesh.triangles.astype(np.float32), np.zeros(len(mesh.faces)))
    hits = cast(scene, origin, direction)
    b = direction @ origin
    np.testing.assert_allclose(hits.t, -b + np.sqrt(b * b - origin @ origin + 4), atol=1e-3)
    outward = (origin + hits.t[:, None] * direction) / 2
    assert ((hits.normal * outward).sum(1) < -0.999).all()


# Snapshots


def quad(half: float, z: float = 0.0) -> Mesh:
    vertices = np.array([[-half, -half, z], [half, -half, z], [half, half, z], [-half, half, z]], np.float32)
    return Mesh("quad", vertices, np.array([[0, 1, 2], [0, 2, 3]], np.int32), np.tile([0, 0, 1], (4, 1)).astype("f4"))


def world() -> Snapshot:
    sphere = trimesh.creation.icosphere(5)
    ball = Mesh(
        "ball",
        sphere.vertices.astype(np.float32),
        sphere.faces.astype(np.int32),
        sphere.vertex_normals.astype(np.float32),
    )
    checker = np.zeros((64, 64, 3), np.uint8)
    checker[::2] = 255
    T = transform((4.0, 0.5, 1.0), quaternion_from_axis_angle((0, 0, 1), 0.7))
    drawables = (
        Drawable(quad(50.0), Material(base_color=(0.5, 0.5, 0.5, 1)), np.eye(4), part_id=1),
        Drawable(ball, Material(base_color=(1, 1, 1, 1)), T, scale=(1.0, 0.8, 0.8), instance_id=5, part_id=2),
        Drawable(
            quad(1.0),
            Material(base_color=(1, 0, 0, 1), base_color_map=Texture("c", checker, srgb=False)),
            transform((-6, 0, 1), quaternion_from_axis_angle((0, 1, 0), np.pi / 2)),
            instance_id=9,
            part_id=3,
        ),
    )
    environment = Environment("none", np.zeros((2, 4, 3), np.float32))
    camera = Camera(intrinsics(64, 48, 1.0), look_at((0, 0, 1), (4, 0.5, 1)), 64, 48)
    return Snapshot(drawables, (), environment, camera)


@pytest.fixture(scope="module")
def scene() -> RayScene:
    return ray_scene(world())


def test_triangles_of_a_snapshot_stand_in_the_world() -> None:
    triangles, owner = world_triangles(world())
    ball = triangles[owner == 1].reshape(-1, 3).astype(float)
    T = world().drawables[1].T_world_obj
    local = ((ball - T[:3, 3]) @ T[:3, :3]) / [1.0, 0.8, 0.8]
    np.testing.assert_allclose(np.linalg.norm(local, axis=1), 1, atol=1e-5)


# Lidar

SPINNING = LidarRecord(elevations=tuple(np.deg2rad([-20.0, -10, 0, 10])), columns=360)


def at(z: float = 1.0) -> np.ndarray:
    return transform((0, 0, z))


def test_patterns() -> None:
    fan = beams(SPINNING)
    np.testing.assert_allclose(np.linalg.norm(fan.direction, axis=1), 1)
    assert len(fan.time) == 4 * 360
    assert (np.diff(fan.time) >= 0).all()
    assert fan.time[-1] < 0.1
    np.testing.assert_allclose(np.rad2deg(np.arcsin(fan.direction[:4, 2])), [-20, -10, 0, 10])
    azimuth = np.unwrap(np.arctan2(fan.direction[::4, 1], fan.direction[::4, 0]))
    np.testing.assert_allclose(np.rad2deg(np.diff(azimuth)), 1.0, atol=1e-9)

    raster = beams(LidarRecord(pattern="raster", rows=5, columns=9, azimuth=(-0.4, 0.4), elevation=(-0.2, 0.2)))
    assert raster.direction.shape == (45, 3)
    assert np.rad2deg(np.arctan2(raster.direction[:, 1], raster.direction[:, 0])).max() == pytest.approx(
        np.rad2deg(0.4)
    )
    assert raster.channel.tolist() == np.repeat(np.arange(5), 9).tolist()

    rosette = PRESETS["livox_mid40"]
    angle = np.arccos(beams(rosette).direction[:, 0])
    assert angle.max() == pytest.approx(rosette.elevation[1], rel=1e-3)
    assert angle.min() < 0.01
    # Scan after scan the flower fills in.
    assert not np.allclose(beams(rosette).direction, beams(rosette, start=0.1).direction)


def test_ranges_of_ground_sphere_and_nothing(scene: RayScene) -> None:
    ids, reflectance = surfaces(world())
    np.testing.assert_array_equal(ids, [0, 5, 9])
    np.testing.assert_allclose(reflectance, [0.5, 1.0, 0.2126 * 0.5], atol=1e-3)
    out = scan(scene, at(), SPINNING, ids, reflectance)
    d = beams(SPINNING).direction
    ground = (out.instance == 0) & (out.range > 0)
    np.testing.assert_allclose(out.range[ground], -1 / d[ground, 2], rtol=1e-5)
    np.testing.assert_allclose(out.intensity[ground], 0.5 * -d[ground, 2], rtol=1e-4)
    np.testing.assert_allclose(out.point, d * out.range[:, None], atol=1e-4)
    assert (out.range[(d[:, 2] > 0.1) & (out.instance == 0)] == 0).all()
    on_ball = out.instance == 5
    assert on_ball.sum() > 20
    T = world().drawables[1].T_world_obj
    local = (out.point[on_ball].astype(float) - (T[:3, 3] - [0, 0, 1])) @ T[:3, :3] / [1, 0.8, 0.8]
    np.testing.assert_allclose(np.linalg.norm(local, axis=1), 1, atol=3e-3)
    wall = out.instance == 9
    assert wall.any()
    np.testing.assert_allclose(out.point[wall, 0], -6, atol=1e-4)


def test_the_frame_turns_with_the_sensor(scene: RayScene) -> None:
    ids, reflectance = surfaces(world())
    turned = at() @ transform((0, 0, 0), quaternion_from_axis_angle((0, 0, 1), np.pi))
    out = scan(scene, turned, SPINNING, ids, reflectance)
    wall = out.instance == 9
    np.testing.assert_allclose(out.point[wall, 0], 6, atol=1e-4)


def test_moving_during_the_scan(scene: RayScene) -> None:
    ids, reflectance = surfaces(world())
    out = scan(scene, at(1.0), SPINNING, ids, reflectance, T_world_lidar_end=at(2.0))
    d, height = beams(SPINNING).direction, 1.0 + beams(SPINNING).time / 0.1
    ground = (out.instance == 0) & (out.range > 0)
    np.testing.assert_allclose(out.range[ground], -height[ground] / d[ground, 2], rtol=1e-4)


def test_range_noise_steps_and_limits(scene: RayScene) -> None:
    ids, reflectance = surfaces(world())
    down = LidarRecord(
        pattern="raster", rows=100, columns=100, azimuth=(-1e-6, 1e-6), elevation=(-np.pi / 2, -np.pi / 2 + 1e-6)
    )
    for height in (2.0, 10.0):
        noisy = replace(down, range_noise=0.02, range_noise_slope=0.003)
        error = scan(scene, at(height), noisy, ids, reflectance).range - height
        assert error.std() == pytest.approx(0.02 + 0.003 * height, rel=0.03)
        assert abs(error.mean()) < 1e-3
    stepped = scan(scene, at(2.0), replace(down, range_noise=0.1, range_step=0.25), ids, reflectance).range
    assert set(np.unique(stepped)) <= {1.5, 1.75, 2.0, 2.25, 2.5}
    assert not scan(scene, at(2.0), replace(down, min_range=2.5), ids, reflectance).range.any()
    assert not scan(scene, at(2.0), replace(down, max_range=1.5), ids, reflectance).range.any()


def test_returns_are_lost_with_distance_darkness_slant_and_fog(scene: RayScene) -> None:
    ids, _ = surfaces(world())
    down = LidarRecord(
        pattern="raster", rows=100, columns=100, azimuth=(-1e-6, 1e-6), elevation=(-np.pi / 2, -np.pi / 2 + 1e-6)
    )
    slanted = replace(down, elevation=(-np.pi / 6, -np.pi / 6 + 1e-6))

    def share(lidar: LidarRecord, height: float, rho: float) -> float:
        return float((scan(scene, at(height), lidar, ids, [rho] * 3).range > 0).mean())

    def chance(signal: float) -> float:
        return signal**2 / (1 + signal**2)

    for lidar, height, rho, signal in [
        (replace(down, detection_range=10.0), 10.0, 1.0, 1.0),
        (replace(down, detection_range=10.0), 5.0, 1.0, 4.0),
        (replace(down, detection_range=10.0), 10.0, 0.5, 0.5),
        (replace(slanted, detection_range=10.0), 5.0, 1.0, 0.5),
        (replace(down, detection_range=10.0, attenuation=0.05), 5.0, 1.0, 4 * np.exp(-0.5)),
    ]:
        assert share(lidar, height, rho) == pytest.approx(chance(signal), abs=0.02)
    assert share(replace(down, dropout=0.3), 2.0, 1.0) == pytest.approx(0.7, abs=0.02)
    foggy = scan(scene, at(5.0), replace(down, attenuation=0.05), ids, [0.8] * 3)
    np.testing.assert_allclose(foggy.intensity, 0.8 * np.exp(-0.5), rtol=1e-4)


def test_scans_replay_and_differ_in_time(scene: RayScene) -> None:
    ids, reflectance = surfaces(world())
    lidar = replace(PRESETS["velodyne_vlp16"], columns=200, noise_seed=2**50 + 1)
    first, again, later, other = (
        scan(scene, at(), record, ids, reflectance, start=start).range
        for record, start in [(lidar, 0.1), (lidar, 0.1), (lidar, 0.2), (replace(lidar, noise_seed=1), 0.1)]
    )
    np.testing.assert_array_equal(first, again)
    assert (first != later).mean() > 0.3
    assert (first != other).mean() > 0.3


def test_impossible_patterns_are_told(scene: RayScene) -> None:
    for broken in (LidarRecord(), LidarRecord(pattern="raster", rows=0), replace(SPINNING, duration=0.0)):
        with pytest.raises(ConfigError, match="lidar"):
            beams(broken)


def test_ranges_agree_with_the_rays_of_a_depth_image(scene: RayScene) -> None:
    """The z-depth of a pinhole image, found triangle by triangle, is the range along the pixels' rays."""
    camera = world().camera
    u, v = np.meshgrid(np.arange(0, 64, 9), np.arange(0, 48, 9))
    ray = np.stack([u, v, np.ones_like(u)], -1).reshape(-1, 3) @ np.linalg.inv(camera.K).T
    direction = ray @ camera.T_world_cam[:3, :3].T
    origin = np.broadcast_to(camera.T_world_cam[:3, 3], direction.shape)
    triangles, _ = world_triangles(world())
    z, _ = everything(triangles, origin, direction)  # the rays have z = 1 in the camera: t is the z-depth
    length = np.linalg.norm(ray, axis=1)
    hits = cast(scene, origin, direction / length[:, None])
    np.testing.assert_allclose(hits.t / length, z, rtol=1e-9)

"""TinyRenderer against a ray caster of a few lines, closed forms, and itself after other work."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh

from simgen.assets.asset import Material, Mesh, Texture
from simgen.errors import RenderError
from simgen.geometry import intrinsics, look_at, quaternion_from_axis_angle, transform
from simgen.render import tiny
from simgen.render.base import Camera, Drawable, Environment, Renderer, Snapshot
from simgen.render.tiny import TinyRenderer
from simgen.scene.record import LightRecord

W, H = 160, 120
K = intrinsics(W, H, 1.0, (3.3, -2.1))
GREY = Environment("grey", np.full((4, 8, 3), 0.5, np.float32))
QUAD = trimesh.Trimesh([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], [[0, 1, 2], [0, 2, 3]], process=False)


@pytest.fixture(scope="module")
def renderer():
    made: Renderer = TinyRenderer()
    yield made
    made.close()


def mesh(shape: trimesh.Trimesh, key: str, uv=None) -> Mesh:
    return Mesh(
        key,
        shape.vertices.astype(np.float32),
        shape.faces.astype(np.int32),
        shape.vertex_normals.astype(np.float32),
        uv=None if uv is None else np.asarray(uv, np.float32),
    )


def camera(eye=(0.9, -0.8, 0.7), target=(0.0, 0.0, 0.0), **changes) -> Camera:
    return replace(Camera(K, look_at(eye, target), W, H), **changes)


def draw(renderer, drawables, cam=None, lights=(), environment=GREY, passes=("rgb", "depth", "instance", "part")):
    images = renderer.render([Snapshot(tuple(drawables), tuple(lights), environment, cam or camera())], passes).images
    return {name: image[0] for name, image in images.items()}


def cast(drawables, cam) -> tuple[np.ndarray, np.ndarray]:
    """Z-depth (0: nothing) and index of the drawable hit (-1: none) of every pixel (Moeller and Trumbore 1997)."""
    u, v = np.meshgrid(np.arange(cam.width), np.arange(cam.height))
    rays = (np.stack([u, v, np.ones_like(u)], -1).reshape(-1, 3) @ np.linalg.inv(cam.K).T).astype(float)
    to_cam = np.linalg.inv(cam.T_world_cam)
    depth, hit = np.full(len(rays), np.inf), np.full(len(rays), -1)
    for index, d in enumerate(drawables):
        T = to_cam @ d.T_world_obj
        corners = (d.mesh.vertices.astype(float) * d.scale @ T[:3, :3].T + T[:3, 3])[d.mesh.faces]
        for a, b, c in corners:
            e, f = b - a, c - a
            p = np.cross(rays, f)
            det = p @ e
            with np.errstate(divide="ignore", invalid="ignore"):
                s = p @ -a / det
                q = np.cross(-a, e)
                t = rays @ q / det
                z = f @ q / det
            better = (s >= 0) & (t >= 0) & (s + t <= 1) & (z > 0) & (z < depth)
            depth[better], hit[better] = z[better], index
    depth[hit < 0] = 0
    return depth.reshape(u.shape), hit.reshape(u.shape)


def test_depth_and_ids_agree_with_a_ray_caster(renderer):
    drawables = [
        Drawable(mesh(QUAD, "floor"), Material(), np.eye(4), (3.0, 3.0, 1.0), part_id=1),
        Drawable(
            mesh(trimesh.creation.icosphere(1, 0.2), "ball"),
            Material(),
            transform((0.1, 0.1, 0.2), quaternion_from_axis_angle((1, 2, 3), 0.7)),
            (1.0, 0.6, 1.3),
            instance_id=3,
            part_id=2,
        ),
        Drawable(
            mesh(trimesh.creation.box((0.2, 0.3, 0.4)), "box"),
            Material(),
            transform((-0.2, -0.2, 0.25), quaternion_from_axis_angle((3, 1, 2), 1.1)),
            instance_id=1,
            part_id=3,
        ),
        Drawable(
            mesh(trimesh.creation.torus(0.2, 0.06, major_sections=16, minor_sections=8), "torus"),
            Material(),
            transform((0.3, -0.3, 0.06)),
            instance_id=2,
            part_id=4,
        ),
    ]
    images = draw(renderer, drawables)
    depth, hit = cast(drawables, camera())
    ids, parts = np.array([0, 3, 1, 2, 0]), np.array([1, 2, 3, 4, 0])
    same = images["part"] == parts[hit]
    assert same.mean() > 0.997
    np.testing.assert_array_equal(images["instance"][same], ids[hit][same])
    error = np.abs(images["depth"] - depth)[same]
    assert (error <= 2e-4 + 2e-4 * depth[same]).mean() > 0.999
    assert len(np.unique(hit)) == 5
    assert images["depth"].dtype == np.float32
    assert images["instance"].dtype == np.uint16


@pytest.mark.parametrize("size", [3.0, 300.0])
def test_depth_of_a_plane_that_reaches_behind_the_camera(renderer, size):
    cam = camera(eye=(0.0, -1.0, 0.6), target=(0.0, 0.5, 0.0))
    floor = Drawable(mesh(QUAD, "floor"), Material(), np.eye(4), (size, size, 1.0))
    depth = draw(renderer, [floor], cam)["depth"]
    u, v = np.meshgrid(np.arange(W), np.arange(H))
    rays = np.stack([u, v, np.ones_like(u)], -1) @ np.linalg.inv(K).T @ cam.T_world_cam[:3, :3].T
    with np.errstate(divide="ignore"):
        expected = -0.6 / rays[..., 2]
    with np.errstate(invalid="ignore"):
        there = (expected > 0) & (expected < 100) & (np.abs((rays * expected[..., None])[..., 1] - 1) < size)
    inside = there & (np.roll(there, 1, 0) & np.roll(there, -1, 0))
    assert inside.sum() > 8000
    np.testing.assert_allclose(depth[inside], expected[inside], rtol=1e-3, atol=1e-3)
    assert not depth[~there & ~np.roll(there, -1, 0)].any()


def test_silhouette_and_depth_of_a_sphere(renderer):
    cam, center, r = camera(), np.array([0.05, 0.1, 0.1]), 0.3
    ball = Drawable(mesh(trimesh.creation.icosphere(4, r), "fine"), Material(), transform(center), instance_id=1)
    images = draw(renderer, [ball], cam)
    u, v = np.meshgrid(np.arange(W), np.arange(H))
    rays = np.stack([u, v, np.ones_like(u)], -1) @ np.linalg.inv(K).T
    c = np.linalg.inv(cam.T_world_cam)[:3, :3] @ center + np.linalg.inv(cam.T_world_cam)[:3, 3]
    a, b = (rays**2).sum(-1), rays @ c
    disc = b * b - a * (c @ c - r * r)
    seen = disc > 0
    # The tessellation is inside the sphere by up to 0.4 mm, a tenth of a pixel.
    assert (images["instance"] != seen).sum() < 0.1 * np.sqrt(4 * np.pi * seen.sum())
    core = disc > 0.1 * disc.max()
    z = (b - np.sqrt(np.maximum(disc, 0))) / a
    np.testing.assert_allclose(images["depth"][core], z[core], atol=1.5e-3)
    assert (images["depth"][core] - z[core]).mean() < 5e-4


@pytest.mark.parametrize("edge", [70.4, 70.6])
def test_pixel_centres_are_integers(renderer, edge):
    # Two edges at ``edge`` + 0.5 pixels: centre 71 is inside when the left edge is at 70.9 and outside at 71.1.
    cam = Camera(K, np.eye(4), W, H)
    x = (edge + 0.5 - K[0, 2]) / K[0, 0]
    y = (edge + 0.5 - K[1, 2]) / K[1, 1]
    corner = trimesh.Trimesh([[x, y, 1], [5, y, 1], [5, 5, 1], [x, 5, 1]], [[0, 1, 2], [0, 2, 3]], process=False)
    seen = draw(renderer, [Drawable(mesh(corner, f"corner{edge}"), Material(), np.eye(4), instance_id=1)], cam)[
        "instance"
    ]
    first = 71 if edge < 70.5 else 72
    expected = np.zeros((H, W), bool)
    expected[first:, first:] = True
    np.testing.assert_array_equal(seen == 1, expected)


def test_clip_distances(renderer):
    wall = mesh(QUAD, "floor")
    walls = [
        Drawable(wall, Material(), transform((0, 0, z)), (3.0, 3.0, 1.0), instance_id=k + 1)
        for k, z in enumerate((0.3, 1.0, 3.0))
    ]
    for near, far, seen in ((0.1, 9.0, 1), (0.5, 9.0, 2), (2.0, 9.0, 3), (2.0, 2.5, 0)):
        images = draw(renderer, walls, Camera(K, np.eye(4), W, H, near, far))
        assert np.unique(images["instance"]).tolist() == [seen]
        assert np.unique(images["depth"] > 0).tolist() == [seen > 0]


def test_surfaces_are_seen_from_behind(renderer):
    cam = camera(eye=(0.0, 0.0, -1.0))
    for scale in ((1.0, 1.0, 1.0), (-1.0, 1.0, 1.0)):
        depth = draw(renderer, [Drawable(mesh(QUAD, "floor"), Material(), np.eye(4), scale)], cam)["depth"]
        np.testing.assert_allclose(depth, 1.0, atol=1e-4)
    # The inside of an open box and the outside of a mirrored solid.
    shape = trimesh.creation.box((1, 1, 1))
    opened = trimesh.Trimesh(shape.vertices, shape.faces[shape.face_normals[:, 2] < 0.5], process=False)
    cam = camera(eye=(0.0, 0.0, 2.0))
    depth = draw(renderer, [Drawable(mesh(opened, "open"), Material(), np.eye(4))], cam)["depth"]
    assert depth[H // 2, W // 2] == pytest.approx(2.5, abs=1e-4)
    depth = draw(renderer, [Drawable(mesh(shape, "solid"), Material(), np.eye(4), (1.0, -1.0, 1.0))], cam)["depth"]
    assert depth[H // 2, W // 2] == pytest.approx(1.5, abs=1e-4)


CORNERS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 0]]], np.uint8)
FOUR = Texture("four", np.repeat(np.repeat(CORNERS, 8, 0), 8, 1))


def quadrants(rgb: np.ndarray, at: float = 0.25) -> list[list[int]]:
    """Which of red, green, blue, yellow (0...3) is at the four quarters of the middle of an image, row by row."""
    colors = CORNERS.reshape(4, 3) / 255
    h, w = rgb.shape[:2]
    cy, cx = (h - 1) / 2, (w - 1) / 2
    found = []
    for dy in (-1, 1):
        row = []
        for dx in (-1, 1):
            pixel = rgb[round(cy + dy * at * 40), round(cx + dx * at * 40)]
            row.append(int(np.argmin(((pixel / pixel.max() - colors) ** 2).sum(-1))))
        found.append(row)
    return found


def test_textures_have_their_origin_at_the_top_left(renderer):
    cam = Camera(intrinsics(W, H, 1.0), look_at((0, 0, 5), (0, 0, 0)), W, H)
    for shift in (0.0, 3.0, -2.0):
        uv = np.array([[0, 1], [1, 1], [1, 0], [0, 0]]) + shift
        panel = Drawable(mesh(QUAD, f"panel{shift}", uv), Material(base_color_map=FOUR), np.eye(4))
        assert quadrants(draw(renderer, [panel], cam)["rgb"]) == [[0, 1], [2, 3]]


@pytest.mark.parametrize(
    ("direction", "expected"),
    [
        ((1, 0, 0), [[0, 1], [2, 3]]),
        ((-1, 0, 0), [[0, 1], [2, 3]]),
        ((0, 1, 0), [[0, 1], [2, 3]]),
        ((0, -1, 0), [[0, 1], [2, 3]]),
        ((0, 0, 1), [[0, 1], [2, 3]]),
        # A camera that looks straight up has -x on its right: the texture is turned by half, but not mirrored.
        ((0, 0, -1), [[3, 2], [1, 0]]),
    ],
)
def test_box_projection_shows_textures_upright_and_unmirrored(renderer, direction, expected):
    cube = trimesh.creation.box((0.5, 0.5, 0.5))
    cube.apply_translation((0.25, 0.25, 0.25))
    middle = np.array([0.5, 0.5, 0.5])
    cam = Camera(intrinsics(W, H, 0.5), look_at(middle + 5 * np.array(direction), middle), W, H)
    # One tile is as large as the cube after its scale.
    drawable = Drawable(
        mesh(cube, "cube"), Material(base_color_map=FOUR), np.eye(4), (2.0, 2.0, 2.0), projection="box", tile=1.0
    )
    assert quadrants(draw(renderer, [drawable], cam)["rgb"]) == expected


def test_ambient_and_direct_light_have_their_levels(renderer):
    cam = camera(eye=(0.0, 0.0, 2.0))
    panel = Drawable(mesh(QUAD, "floor"), Material(base_color=(0.5, 0.25, 0.8, 1.0)), np.eye(4))
    albedo = np.array([0.5, 0.25, 0.8])
    rgb = draw(renderer, [panel], cam, environment=replace(GREY, intensity=3.0))["rgb"]
    np.testing.assert_allclose(rgb[60, 80], albedo * 1.5, rtol=0.03)
    sun = LightRecord("directional", color=(1.0, 0.8, 0.6), intensity=10 * np.pi, direction=(0, 0, -1), shadow=False)
    rgb = draw(renderer, [panel], cam, [sun])["rgb"]
    np.testing.assert_allclose(rgb[60, 80], albedo * (0.5 + 10 * np.array([1.0, 0.8, 0.6])), rtol=0.05)
    lamp = LightRecord("point", intensity=4 * np.pi, position=(0, 0, 2.0), shadow=False)
    rgb = draw(renderer, [panel], cam, [lamp])["rgb"]
    np.testing.assert_allclose(rgb[60, 80], albedo * 1.5, rtol=0.05)
    assert rgb.dtype == np.float32


def test_the_side_towards_the_light_is_brighter_and_shadows_fall_away_from_it(renderer):
    sun = LightRecord("directional", intensity=9.0, direction=(-1.0, 0.0, -1.0))
    floor = Drawable(mesh(QUAD, "floor"), Material(), np.eye(4), (2.0, 2.0, 1.0))
    ball = Drawable(mesh(trimesh.creation.icosphere(3, 0.15), "lit"), Material(), transform((0, 0, 0.4)), instance_id=1)
    cam = camera(eye=(0.0, -0.01, 2.0))
    dark = replace(GREY, intensity=0.1)
    with_shadow = draw(renderer, [floor, ball], cam, [sun], dark)
    without = draw(renderer, [floor, ball], cam, [replace(sun, shadow=False)], dark)
    row, columns = H // 2, np.flatnonzero(with_shadow["instance"][H // 2])
    assert without["rgb"][row, columns[-3], 0] > 2 * without["rgb"][row, columns[2], 0]
    shaded = (with_shadow["rgb"][..., 0] < 0.95 * without["rgb"][..., 0]) & (with_shadow["instance"] == 0)
    assert shaded.sum() > 50
    # The shadow of a ball at 0.4 m under light at 45 degrees lies 0.4 m towards -x, which is left.
    at = K[0, 2] - 0.4 * K[0, 0] / 2.0
    assert np.median(np.nonzero(shaded)[1]) == pytest.approx(at, abs=6)


def test_background_where_there_is_no_surface(renderer):
    def radiance(directions):
        return np.stack([0.5 + 0.5 * directions[..., 0], 0.5 + 0.5 * directions[..., 1], directions[..., 2] > 0], -1)

    v, u = (np.mgrid[:256, :512] + 0.5) / [[[256]], [[512]]]
    theta, phi = v * np.pi, (0.5 - u) * 2 * np.pi
    sphere = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1)
    environment = Environment("sky", radiance(sphere).astype(np.float32), rotation=0.7, intensity=2.0)
    for target in ((5, 0, 0.9), (-5, 0.2, 0.5), (0.1, 0.1, 9)):
        cam = camera(eye=(0, 0, 0.5), target=target)
        pixels = np.stack([*np.meshgrid(np.arange(W), np.arange(H)), np.ones((H, W))], -1)
        rays = pixels @ np.linalg.inv(K).T @ cam.T_world_cam[:3, :3].T
        rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
        turned = rays @ transform((0, 0, 0), quaternion_from_axis_angle((0, 0, 1), 0.7))[:3, :3]
        images = draw(renderer, [], cam, environment=environment)
        np.testing.assert_allclose(images["rgb"][..., :2], 2 * radiance(turned)[..., :2], atol=0.03)
        assert not images["depth"].any()
        assert not images["instance"].any()
    photo = np.random.default_rng(0).uniform(0, 3, (H, W, 3)).astype(np.float32)
    shown = draw(renderer, [], environment=replace(environment, background=photo))["rgb"]
    np.testing.assert_array_equal(shown, photo)


def still_life(seed: int) -> Snapshot:
    rng = np.random.default_rng(seed)
    texture = Texture(f"noise{seed}", rng.integers(0, 256, (32, 32, 3), dtype=np.uint8))
    floor = Drawable(
        mesh(QUAD, "floor"), Material(base_color_map=texture), np.eye(4), (2.0, 2.0, 1.0), "box", rng.uniform(0.2, 1)
    )
    things = [
        Drawable(
            mesh(trimesh.creation.icosphere(2, 0.1), "thing"),
            Material(base_color=(*rng.uniform(0, 1, 3), 1.0)),
            transform((*rng.uniform(-0.3, 0.3, 2), 0.1)),
            instance_id=k + 1,
        )
        for k in range(4)
    ]
    return Snapshot((floor, *things), (LightRecord("directional", intensity=3.0),), GREY, camera())


def test_an_image_depends_on_its_own_snapshot_only():
    passes = ("rgb", "depth", "instance", "part")
    fresh = TinyRenderer()
    alone = fresh.render([still_life(1)], passes).images
    fresh.close()
    used = TinyRenderer()
    used.render([still_life(5), still_life(4)], passes)
    batch = used.render([still_life(2), still_life(1), still_life(3), still_life(1)], passes).images
    used.close()
    again = used.render([still_life(1)], passes).images
    used.close()
    for name in passes:
        for image in (batch[name][1], batch[name][3], again[name][0]):
            np.testing.assert_array_equal(image, alone[name][0])
        assert not np.array_equal(batch["rgb"][0], batch["rgb"][1])


def test_meshes_larger_than_one_upload_have_no_holes(renderer):
    shape = trimesh.creation.icosphere(5, 0.4)
    assert len(shape.faces) > 2 * tiny.FACES
    for projection in ("uv", "box"):
        ball = Drawable(
            mesh(shape, "large"), Material(base_color_map=FOUR), np.eye(4), projection=projection, instance_id=1
        )
        seen = draw(renderer, [ball])["instance"]
        rows = [np.flatnonzero(row) for row in seen if row.any()]
        assert len(rows) > 50
        assert all(len(row) == row[-1] - row[0] + 1 for row in rows)


def test_broken_triangles_do_no_harm(renderer):
    points = np.concatenate([QUAD.vertices, [[np.nan, 0, 0], [0, 0, 0], [0, 0, 0]]]).astype(np.float32)
    faces = np.array([[0, 1, 2], [0, 2, 3], [0, 1, 4], [4, 4, 4], [5, 6, 5]], np.int32)
    normals = np.tile(np.array([0, 0, 1], np.float32), (7, 1))
    normals[4] = np.nan
    cam = camera(eye=(0.0, 0.0, 1.0))
    depth = draw(renderer, [Drawable(Mesh("broken", points, faces, normals), Material(), np.eye(4))], cam)["depth"]
    np.testing.assert_allclose(depth, 1.0, atol=1e-4)
    empty = Mesh("empty", np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32), np.zeros((0, 3), np.float32))
    assert not draw(renderer, [Drawable(empty, Material(), np.eye(4))])["depth"].any()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_memory_stays_flat(monkeypatch):
    monkeypatch.setattr(tiny, "RESIDENT_BYTES", 4 << 20)
    renderer = TinyRenderer()

    def resident() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20

    def work(start: int, count: int) -> None:
        shape = trimesh.creation.icosphere(4, 0.3)
        for k in range(start, start + count):
            texture = Texture(f"t{k}", np.full((256, 256, 3), k % 256, np.uint8))
            ball = Drawable(mesh(shape, f"m{k}", shape.vertices[:, :2]), Material(base_color_map=texture), np.eye(4))
            draw(renderer, [ball, ball])

    work(0, 12)
    before = resident()
    work(12, 30)
    after = resident()
    renderer.close()
    assert after - before < 12


def test_nothing_is_printed(capfd):
    renderer = TinyRenderer()
    draw(renderer, still_life(1).drawables)
    renderer.close()
    assert capfd.readouterr() == ("", "")


def test_what_it_cannot_do_is_told(renderer):
    with pytest.raises(RenderError, match='did you mean "depth"'):
        renderer.render([still_life(1)], ("dept",))
    other = replace(still_life(1), camera=replace(camera(), width=80))
    with pytest.raises(RenderError, match="same image size"):
        renderer.render([still_life(1), other], ("rgb",))
    assert renderer.render([], ("rgb",)).images == {}

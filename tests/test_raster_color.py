"""The rasterizer's colour: units of light, conservation of energy, textures, shadows, anti-aliasing."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from raster_scenes import (
    BLACK,
    WHITE,
    box,
    camera,
    corner_texture,
    draw,
    image_mask,
    pose,
    quad,
    snapshot,
    sphere,
    triangles,
)

from simgen.assets.asset import Material, Texture
from simgen.errors import RenderError
from simgen.render.base import Camera, Environment
from simgen.render.raster import RasterRenderer
from simgen.render.raster.mathematics import inverse_sqrt
from simgen.render.raster.textures import pack_color, table_row
from simgen.render.snapshot import linear_from_srgb
from simgen.scene.record import LightRecord

WHERE = ["object_coords", "instance", "part"]
LAMBERT = Material(base_color=(1.0, 1.0, 1.0, 1.0), roughness=1.0)


@pytest.fixture(scope="module")
def renderer():
    return RasterRenderer()


@pytest.fixture(scope="module")
def flat():
    """Without shadows, so that units of light can be read alone."""
    return RasterRenderer(samples=1, shadow_size=0)


def color(renderer, snap) -> np.ndarray:
    return renderer.render([snap], ["rgb"]).images["rgb"][0]


def above(height=1.0, width=65, hfov=0.6) -> Camera:
    """A camera that looks straight down; +x right, +y up in the image."""
    return camera((0, 0, height), (0, 0, 0), width, width, hfov)


def middle(image: np.ndarray) -> np.ndarray:
    h, w = image.shape[0] // 2, image.shape[1] // 2
    return image[h - 2 : h + 3, w - 2 : w + 3].mean((0, 1))


@pytest.mark.parametrize("roughness", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("metallic", [0.0, 1.0])
def test_furnace(renderer, roughness, metallic):
    material = Material(base_color=(1.0, 1.0, 1.0, 1.0), roughness=roughness, metallic=metallic)
    image = color(renderer, snapshot([draw(sphere(), material=material)]))
    assert image.min() > 0.97
    assert image.max() < 1.03


def test_a_dark_furnace_stays_dark(renderer):
    assert not color(renderer, snapshot([draw(sphere(), material=LAMBERT)], environment=BLACK)).any()


def test_albedo_scales_diffuse_light(renderer):
    grey = Material(base_color=(0.5, 0.25, 0.1, 1.0), roughness=1.0)
    image = middle(color(renderer, snapshot([draw(sphere(), material=grey)], camera((0, -2, 0), (0, 0, 0)))))
    # A few per cent of white reflection come on top.
    assert (image > [0.47, 0.24, 0.1]).all()
    assert (image < [0.55, 0.30, 0.16]).all()


@pytest.mark.parametrize(
    ("light", "expected"),
    [
        (LightRecord("directional", intensity=np.pi), 1.0),
        (LightRecord("directional", intensity=np.pi, direction=(0.0, 0.6, -0.8)), 0.8),
        (LightRecord("point", intensity=4 * np.pi, position=(0.0, 0.0, 2.0)), 1.0),
        (LightRecord("spot", intensity=4 * np.pi, position=(0.0, 0.0, 2.0), direction=(0.0, 0.0, -1.0)), 1.0),
        (LightRecord("spot", intensity=4 * np.pi, position=(0.0, 0.0, 2.0), direction=(0.9, 0.0, -1.0)), 0.0),
        (LightRecord("area", intensity=np.pi * 9 / 0.01, position=(0.0, 0.0, 3.0), extent=(0.1, 0.1)), 1.0),
        (LightRecord("area", intensity=np.pi, position=(0.0, 0.0, 3.0), direction=(0.0, 0.0, 1.0), extent=(1, 1)), 0.0),
    ],
)
def test_units_of_light(flat, light, expected):
    snap = snapshot([draw(quad(), material=LAMBERT)], above(), [light], BLACK)
    value = middle(color(flat, snap))
    # The Fresnel reflection of a rough white surface differs from Lambert's by a few per cent.
    np.testing.assert_allclose(value, expected, atol=0.05)
    tinted = dataclasses.replace(light, color=(1.0, 0.5, 0.0))
    np.testing.assert_allclose(
        middle(color(flat, dataclasses.replace(snap, lights=(tinted,)))), value * [1, 0.5, 0], atol=1e-5
    )


def test_a_large_area_light_agrees_with_numerical_integration(flat):
    light = LightRecord("area", intensity=1.0, position=(0.3, 0.2, 0.8), direction=(0.0, 0.0, -1.0), extent=(0.8, 0.6))
    value = middle(color(flat, snapshot([draw(quad(), material=LAMBERT)], above(), [light], BLACK)))[0]
    x, y = np.meshgrid(0.3 + np.linspace(-0.4, 0.4, 201), 0.2 + np.linspace(-0.3, 0.3, 201))
    d2 = x**2 + y**2 + 0.64
    irradiance = (0.64 / d2**2).mean() * 0.8 * 0.6
    assert abs(value * np.pi / irradiance - 1) < 0.06


def mirrored(normal, to_camera, towards, alpha) -> np.ndarray:
    """Radiance (n, S) of white metal under unit irradiance across each of the directions ``towards`` (n, S, 3)."""
    half = towards + to_camera[:, None]
    half /= np.linalg.norm(half, axis=-1, keepdims=True)
    nl = np.clip((normal[:, None] * towards).sum(-1), 1e-6, 1)
    nv = np.clip((normal * to_camera).sum(-1), 1e-3, 1)[:, None]
    nh = (normal[:, None] * half).sum(-1)
    a2 = alpha**2
    distribution = a2 / np.pi / (nh**2 * (a2 - 1) + 1) ** 2
    smith = 0.5 / (nl * np.sqrt(nv**2 * (1 - a2) + a2) + nv * np.sqrt(nl**2 * (1 - a2) + a2))
    return distribution * smith * nl


@pytest.mark.parametrize("roughness", [0.1, 0.3, 0.6])
@pytest.mark.parametrize(("kind", "size"), [("directional", 0.02), ("directional", 0.4), ("point", 0.4), ("area", 0.7)])
def test_highlights_send_out_the_light_of_their_lamp(flat, kind, size, roughness):
    place = np.array([1.2, -1.8, 1.4])
    ahead = -place / np.linalg.norm(place)
    light = LightRecord(
        kind, direction=tuple(ahead), position=tuple(place), size=size, extent=(size, size),
        intensity=1 / size**2 if kind == "area" else 1.0,
    )  # fmt: skip
    metal = Material(base_color=(1.0, 1.0, 1.0, 1.0), roughness=roughness, metallic=1.0)
    cam = camera((0, -3, 0), (0, 0, 0), 64, 64, 0.36)
    snap = snapshot([draw(sphere(rings=96), material=metal)], cam, [light], BLACK)
    images = flat.render([snap], ["rgb", "normal", "depth"]).images
    depth = images["depth"][0]
    rows, columns = np.nonzero(depth)
    rays = np.stack([(columns - cam.K[0, 2]) / cam.K[0, 0], (rows - cam.K[1, 2]) / cam.K[1, 1], np.ones(len(rows))], 1)
    turn, eye = cam.T_world_cam[:3, :3], cam.T_world_cam[:3, 3]
    points = (rays * depth[rows, columns, None]) @ turn.T + eye
    normal = images["normal"][0][rows, columns] @ turn.T
    to_camera = (eye - points) / np.linalg.norm(eye - points, axis=1, keepdims=True)
    # Points spread over the lamp: a disc across its direction, or a square.
    across = np.cross(ahead, [0.0, 0.0, 1.0])
    across /= np.linalg.norm(across)
    k = np.arange(600)
    if kind == "area":
        u, v = (k % 24 + 0.5) / 24 - 0.5, (k // 24 + 0.5) / 25 - 0.5
        radius, centre = size, place
    else:
        r, angle = np.sqrt((k + 0.5) / len(k)), k * np.pi * (3 - np.sqrt(5))
        u, v = r * np.cos(angle), r * np.sin(angle)
        radius, centre = (np.tan(size / 2), -ahead) if kind == "directional" else (size, place)
    on_lamp = centre + radius * (u[:, None] * across + v[:, None] * np.cross(ahead, across))
    towards = np.broadcast_to(on_lamp, (len(points), *on_lamp.shape))
    if kind != "directional":
        towards = on_lamp - points[:, None]
    distance = np.linalg.norm(towards, axis=-1, keepdims=True)
    towards = towards / distance
    share = np.ones(distance.shape[:2]) if kind == "directional" else 1 / distance[..., 0] ** 2
    if kind == "area":
        share = share * np.maximum(-towards @ ahead, 0)
    expected = (mirrored(normal, to_camera, towards, roughness**2) * share).mean(1)
    found = images["rgb"][0][rows, columns, 0]
    assert 0.88 < found.sum() / expected.sum() < 1.15
    assert 0.75 < found.max() / expected.max() < 1.25


def test_lights_add_up(flat):
    lights = [
        LightRecord("directional", intensity=1.0, direction=(0.3, 0.1, -1.0)),
        LightRecord("point", intensity=2.0, position=(0.2, -0.3, 1.5)),
        LightRecord("area", intensity=3.0, position=(0.0, 0.5, 1.0), extent=(0.3, 0.2)),
    ]
    scene = [draw(quad(), material=Material(roughness=0.4))]
    single = [color(flat, snapshot(scene, above(), [light], BLACK)) for light in lights]
    np.testing.assert_allclose(color(flat, snapshot(scene, above(), lights, BLACK)), sum(single), rtol=1e-4, atol=1e-5)


def test_textures_are_upright(renderer):
    material = Material(base_color=(1, 1, 1, 1), base_color_map=corner_texture(), roughness=1.0)
    image = color(renderer, snapshot([draw(quad(half=0.3), material=material)], above(hfov=0.7)))
    h, w = image.shape[:2]
    corners = [
        image[v, u] for v, u in ((h // 3, w // 3), (h // 3, 2 * w // 3), (2 * h // 3, w // 3), (2 * h // 3, 2 * w // 3))
    ]
    bright = np.array(corners) > 0.5
    np.testing.assert_array_equal(bright, [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]])


def test_box_projection_is_upright_metric_and_follows_scale(renderer):
    material = Material(base_color=(1, 1, 1, 1), base_color_map=corner_texture(), roughness=1.0)
    # A box of 0.4 m, seen from -y: one tile of 0.2 m starts at the edge x = 0, z = 0, two tiles across in all.
    cam = camera((0, -3, 0), (0, 0, 0), 121, 121, 0.2)
    parts = [draw(box(half=(0.1, 0.1, 0.1)), material=material, projection="box", tile=0.2, scale=(2, 2, 2))]
    image = color(renderer, snapshot(parts, cam))
    f = cam.K[0, 0] / 2.8

    def at(x, z):
        return image[round(60 - f * z), round(60 + f * x)] > 0.5

    for dx in (0.0, -0.2):
        for dz in (0.0, 0.2):
            np.testing.assert_array_equal(at(dx + 0.05, dz - 0.05), [1, 0, 0])
            np.testing.assert_array_equal(at(dx + 0.15, dz - 0.05), [0, 1, 0])
            np.testing.assert_array_equal(at(dx + 0.05, dz - 0.15), [0, 0, 1])
            np.testing.assert_array_equal(at(dx + 0.15, dz - 0.15), [1, 1, 1])


def _mapped(texture: Texture) -> Material:
    return Material(base_color=(1, 1, 1, 1), base_color_map=texture, roughness=1.0)


def test_srgb_is_decoded_and_minification_averages_linear_light(renderer):
    grey = Texture("grey", np.full((8, 8, 3), 188, np.uint8))
    near = color(
        renderer,
        snapshot(
            [draw(quad(), material=Material(base_color=(1, 1, 1, 1), base_color_map=grey, roughness=1.0))], above()
        ),
    )
    assert abs(middle(near)[0] - 0.5) < 0.04
    checker = np.indices((256, 256)).sum(0) % 2 * 255
    fine = Texture("checker", np.repeat(checker[..., None], 3, 2).astype(np.uint8))
    far = color(
        renderer,
        snapshot(
            [draw(quad(), material=Material(base_color=(1, 1, 1, 1), base_color_map=fine, roughness=1.0))],
            above(height=8.0),
        ),
    )
    inside = far[28:37, 28:37]
    assert inside.std() < 0.02
    assert abs(inside.mean() - 0.5) < 0.04


def test_grazing_textures_keep_detail_across_and_do_not_alias(renderer):
    # Stripes that run away from the camera stay sharp where an isotropic filter would blur them to grey.
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, :32] = 255
    material = Material(base_color=(1, 1, 1, 1), base_color_map=Texture("stripes", stripes), roughness=1.0)
    cam = camera((0, -1.2, 0.12), (0, 0, 0), 128, 64, 0.5)
    image = color(renderer, snapshot([draw(quad(), material=material, projection="box", tile=0.08)], cam))
    rows = image[30:40, :, 0]
    assert np.ptp(rows, axis=1).min() > 0.4


def test_alpha_cutout_holes_are_holes_in_every_pass(renderer):
    pixels = np.full((64, 64, 4), 255, np.uint8)
    pixels[:, 32:, 3] = 0
    material = Material(base_color_map=Texture("cut", pixels), alpha_cutoff=0.5)
    cam = above(hfov=0.7)
    snap = snapshot([draw(quad(half=0.3), material=material)], cam)
    ids = renderer.render([snap], ["instance"]).images["instance"][0]
    whole = renderer.render([snapshot([draw(quad(half=0.3))], cam)], ["instance"]).images["instance"][0]
    x = np.arange(65)
    np.testing.assert_array_equal(
        ids, whole * (x <= 32)[None] * np.ones((65, 1), int) if ids[32, 32] else whole * (x < 32)[None]
    )
    (s,) = renderer.silhouettes(snap)
    np.testing.assert_array_equal(image_mask(s, 65, 65), ids == 1)
    opaque = dataclasses.replace(material, alpha_cutoff=None)
    again = renderer.render([snapshot([draw(quad(half=0.3), material=opaque)], cam)], ["instance"]).images["instance"][
        0
    ]
    np.testing.assert_array_equal(again, whole)


def test_vertex_colours_multiply(renderer):
    colors = np.array([[1, 0, 0, 1], [0, 1, 0, 1], [0, 1, 0, 1], [1, 0, 0, 1]])
    mesh = quad(half=0.5)
    mesh = triangles("colored", mesh.vertices, mesh.faces, colors=colors)
    image = color(
        renderer, snapshot([draw(mesh, material=Material(base_color=(0.5, 1, 1, 1), roughness=1.0))], above(hfov=0.8))
    )
    row = image[32]
    assert abs(row[20, 0] / 0.5 + row[20, 1] - 1) < 0.1
    assert row[12, 0] > row[50, 0] + 0.2
    assert row[50, 1] > row[12, 1] + 0.4


def test_normal_and_roughness_maps(flat):
    # A normal map that leans to +u brightens under light from +x.
    lean = np.zeros((4, 4, 3), np.uint8)
    lean[:] = (128 + 90, 128, 128 + 90)
    lights = [LightRecord("directional", intensity=np.pi, direction=(-1.0, 0.0, -1.0))]
    plain = Material(base_color=(1, 1, 1, 1), roughness=1.0)
    bumpy = dataclasses.replace(plain, normal_map=Texture("lean", lean, srgb=False))

    def lit(material):
        return middle(color(flat, snapshot([draw(quad(), material=material)], above(), lights, BLACK)))[0]

    a, b = lit(plain), lit(bumpy)
    assert abs(a - np.sqrt(0.5)) < 0.05
    assert abs(b - 1.0) < 0.06
    up = np.zeros((4, 4, 3), np.uint8)
    up[:] = (128, 128 + 90, 128 + 90)
    green_up = dataclasses.replace(plain, normal_map=Texture("up", up, srgb=False))
    lights = [LightRecord("directional", intensity=np.pi, direction=(0.0, -1.0, -1.0))]
    assert lit(green_up) > 0.94
    # Roughness in green, metallic in blue: a mirror of a metal shows no diffuse light.
    data = np.zeros((4, 4, 3), np.uint8)
    data[:] = (0, 20, 255)
    metal = dataclasses.replace(plain, metallic=1.0, metallic_roughness_map=Texture("metal", data, srgb=False))
    lights = [LightRecord("directional", intensity=np.pi, direction=(1.0, 0.0, -0.3))]
    assert lit(metal) < 0.01


def test_reflections_between_two_levels_of_roughness_have_no_pattern(flat):
    # A bright window, too large to be taken out as a light, mirrored in metal.
    radiance = np.full((32, 64, 3), 0.3, np.float32)
    radiance[:16, :32] = 3.0
    metal = Material(base_color=(1, 1, 1, 1), metallic=1.0, roughness=0.22)
    image = color(flat, snapshot([draw(quad(), material=metal)], above(), [], Environment("window", radiance)))[..., 0]
    assert image.max() > 2 * image.min()
    cross = image[:-1, :-1] - image[:-1, 1:] - image[1:, :-1] + image[1:, 1:]
    assert np.abs(cross).max() < 0.05 * image.mean()


def test_levels_of_a_colour_map_repeat_in_their_borders():
    pixels = np.random.default_rng(3).integers(0, 256, (5, 7, 3), np.uint8)
    packed = pack_color(pixels, srgb=True, weighted=False)
    row = table_row(0, 7, 5, 1)
    sizes = row[2 : 2 + 3 * row[0]].reshape(-1, 3)
    assert [tuple(size[1:]) for size in sizes] == [(7, 5), (3, 2), (1, 1)]
    for start, w, h in sizes:
        level = packed[start : start + (w + 2) * (h + 2)].reshape(h + 2, w + 2)
        np.testing.assert_array_equal(level, np.pad(level[1:-1, 1:-1], 1, mode="wrap"))
    assert start + 9 == len(packed)
    red = np.sqrt(linear_from_srgb(pixels)[..., 0]) * 2047
    np.testing.assert_allclose(packed[: 9 * 7].reshape(7, 9)[1:-1, 1:-1] >> 21, red, atol=0.51)


@pytest.mark.parametrize(("shape", "weighted"), [((8, 12, 3), False), ((8, 12, 4), True), ((5, 7, 4), False)])
def test_levels_of_a_colour_map_are_means_of_linear_light(shape, weighted):
    pixels = np.random.default_rng(4).integers(0, 256, shape, np.uint8)
    packed = pack_color(pixels, srgb=True, weighted=weighted)
    row = table_row(0, shape[1], shape[0], 1)
    weight = pixels[..., 3:] / 255 if weighted else np.ones((*shape[:2], 1))
    level = np.concatenate([linear_from_srgb(pixels[..., :3]) * weight, weight], -1)
    for start, w, h in row[2 : 2 + 3 * row[0]].reshape(-1, 3):
        if (h, w) != level.shape[:2]:
            columns = [level.shape[1] * x // w for x in range(w + 1)]
            rows = [level.shape[0] * y // h for y in range(h + 1)]
            level = np.array(
                [[level[a:b, c:d].mean((0, 1)) for c, d in pairwise(columns)] for a, b in pairwise(rows)]
            )  # fmt: skip
        found = packed[start : start + (w + 2) * (h + 2)].reshape(h + 2, w + 2)[1:-1, 1:-1]
        clear = level[..., 3] > 0
        roots = np.sqrt(level[..., :3] / np.maximum(level[..., 3:], 1e-6)) * (2047, 2047, 1023)
        found = np.stack([found >> 21, (found >> 10) & 2047, found & 1023], -1)
        np.testing.assert_allclose(found[clear], roots[clear], atol=0.51)


def test_inverse_square_roots_are_close():
    x = np.logspace(-30, 30, 20001, dtype=np.float32)
    found = np.array([inverse_sqrt(value) for value in x])
    np.testing.assert_allclose(found, 1 / np.sqrt(x.astype(np.float64)), rtol=1e-6)


def test_emission_adds(renderer):
    lamp = Material(base_color=(0, 0, 0, 1), emissive=(2.0, 1.0, 0.5))
    np.testing.assert_allclose(
        middle(color(renderer, snapshot([draw(quad(), material=lamp)], above(), environment=BLACK))),
        [2, 1, 0.5],
        rtol=1e-4,
    )


@pytest.mark.parametrize("kind", ["directional", "point", "spot", "area"])
@pytest.mark.parametrize("size", [0.0, 0.05])
def test_shadows_fall_where_they_must(renderer, kind, size):
    # A plate of 0.2 m floats 0.2 m over the ground; the light stands 1 m above it.
    intensity = 3.0 / 0.05**2 if kind == "area" else 3.0
    light = LightRecord(
        kind, intensity=intensity, position=(0, 0, 1.2), direction=(0, 0, -1), size=size, extent=(0.05, 0.05)
    )
    ground = draw(quad(), None, 0, LAMBERT)
    plate = draw(box(half=(0.1, 0.1, 0.005)), pose((0, 0, 0.2)), 1, LAMBERT)
    cam = camera((0, -1.6, 0.35), (0, 0, 0), 160, 120, 0.6)
    with_plate = renderer.render([snapshot([ground, plate], cam, [light], BLACK)], ["rgb", *WHERE]).images
    alone = color(renderer, snapshot([ground], cam, [light], BLACK))
    seen = with_plate["instance"][0] == 0
    p = np.abs(with_plate["object_coords"][0][..., :2]).max(-1)
    ratio = with_plate["rgb"][0][..., 0] / np.maximum(alone[..., 0], 1e-6)
    # The umbra of a point a metre above reaches to 0.12 m; penumbrae add at most two centimetres.
    edge = 0.1 if kind == "directional" else 0.12
    hidden = np.zeros_like(seen)
    hidden[with_plate["rgb"][0].sum(-1) < 1e-4] = True
    ground_pixels = seen & (alone[..., 0] > 0.05)
    assert ratio[ground_pixels & (p < edge - 0.025)].max() < 0.05
    assert ratio[ground_pixels & (p > edge + 0.025)].min() > 0.95
    assert hidden.any()


def test_no_shadow_acne_in_grazing_light_and_no_gap_at_contact(renderer):
    light = LightRecord("directional", intensity=3.0, direction=(1.0, 0.0, -0.12))
    ground = draw(quad(), None, 0, LAMBERT)
    block = draw(box(half=(0.1, 0.1, 0.1)), pose((0, 0, 0.1)), 1, LAMBERT)
    ball = draw(sphere(radius=0.2), pose((-0.4, 0.5, 0.2)), 2, LAMBERT)
    cam = camera((0.3, -1.6, 0.9), (0, 0, 0), 160, 120, 0.8)
    scene = [ground, block, ball]
    # Without anti-aliasing, so that no pixel mixes surfaces.
    images = RasterRenderer(samples=1).render([snapshot(scene, cam, [light], BLACK)], ["rgb", *WHERE]).images
    rgb, ids, where = images["rgb"][0][..., 0], images["instance"][0], images["object_coords"][0]
    lit = (ids == 0) & (where[..., 0] < -0.15) & (np.abs(where[..., 1]) < 0.3) & (where[..., 0] > -0.9)
    assert rgb[lit].min() > 0.9 * np.median(rgb[lit])
    # Right behind the block, from two millimetres off its foot.
    contact = (ids == 0) & (where[..., 0] > 0.102) & (where[..., 0] < 0.2) & (np.abs(where[..., 1]) < 0.09)
    assert contact.sum() > 20
    assert rgb[contact].max() < 0.15 * np.median(rgb[lit])
    # The lit side of the ball is smooth.
    side = (ids == 2) & (where[..., 0] < -0.1)
    normal_light = np.maximum(-(where[..., 0]) / 0.2, 0)
    assert (rgb[side] / normal_light[side]).min() > 0.75 * np.median(rgb[side] / normal_light[side])


def test_penumbrae_follow_the_size_of_the_light(renderer):
    cam = above(1.0, 129, 0.7)
    ground = draw(quad(), None, 0, LAMBERT)
    plate = draw(box(half=(0.15, 5.0, 0.001)), pose((-0.25, 0, 0.3)), 1, LAMBERT)
    widths = []
    for size in (0.02, 0.1, 0.3):
        light = LightRecord("directional", intensity=3.0, direction=(0.5, 0.0, -1.0), size=size)
        image = color(renderer, snapshot([ground, plate], cam, [light], BLACK))[..., 0].mean(0)
        row = image / image[-1]
        rising = row[64 - 30 :]
        widths.append(int(((rising > 0.1) & (rising < 0.9)).sum()))
    assert widths[0] < widths[1] < widths[2]


@pytest.mark.parametrize("albedo", [0.1, 0.3])
def test_objects_darken_the_ground_they_stand_on(renderer, albedo):
    near, far = ground_around_a_block(renderer, albedo)
    assert near < 0.8
    assert far > 0.97


def test_bright_surfaces_light_each_other_up(renderer):
    assert ground_around_a_block(renderer, 0.9)[0] > ground_around_a_block(renderer, 0.1)[0] + 0.1


def ground_around_a_block(renderer, albedo):
    """Light that the ground sends out under a white sky, close to a block and far from it, relative to bare ground."""
    dull = Material(base_color=(albedo, albedo, albedo, 1), roughness=1.0)
    ground = draw(quad(), None, 0, dull)
    block = draw(box(half=(0.1, 0.1, 0.1)), pose((0, 0, 0.1)), 1, dull)
    cam = camera((0.3, -1.6, 0.9), (0, 0, 0), 160, 120, 0.8)
    images = renderer.render([snapshot([ground, block], cam)], ["rgb", *WHERE]).images
    rgb, ids, where = images["rgb"][0][..., 0].copy(), images["instance"][0], images["object_coords"][0]
    d = np.abs(where[..., :2]).max(-1)
    ground_pixels = (ids == 0) & (images["part"][0] > 0)
    near, far = ground_pixels & (d < 0.12), ground_pixels & (d > 0.5)
    bare = color(renderer, snapshot([ground], cam))[..., 0]
    return (rgb / bare)[near].mean(), (rgb / bare)[far].mean()


def test_anti_aliasing_blends_colour_but_no_label(renderer):
    white = Material(base_color=(0, 0, 0, 1), emissive=(1.0, 1.0, 1.0))
    cam = camera((0, -2, 0.5), width=97, height=65)
    snap = snapshot([draw(sphere(), material=white)], cam, environment=BLACK)
    passes = ["rgb", "depth", "instance", "normal", "object_coords"]
    smooth = renderer.render([snap], passes).images
    hard = RasterRenderer(samples=1).render([snap], passes).images
    for name in passes[1:]:
        np.testing.assert_array_equal(smooth[name], hard[name])
    assert set(np.unique(hard["rgb"].round(3))) == {0.0, 1.0}
    values = smooth["rgb"][0][..., 0]
    between = (values > 0.01) & (values < 0.99)
    assert 50 < between.sum() < 1000
    # Coverage: the sum of colour is the area of the disc, better than by counting centres.
    big = renderer.render(
        [snapshot(snap.drawables, Camera(_scaled(cam.K, 8), cam.T_world_cam, 776, 520), environment=BLACK)],
        ["instance"],
    ).images
    area = (big["instance"] > 0).sum() / 64
    assert abs(values.sum() - area) < 0.005 * area


def _scaled(K: np.ndarray, factor: int) -> np.ndarray:
    out = K * factor
    out[:2, 2] += (factor - 1) / 2
    out[2, 2] = 1
    return out


def test_backgrounds(renderer):
    sky = np.zeros((32, 64, 3), np.float32)
    sky[:, 16:48] = (1.0, 0.0, 0.0)  # around azimuth 0, +x
    sky[:16] += (0.0, 0.5, 0.0)
    environment = Environment("halves", sky)
    for yaw, rotation, red in (
        (0.0, 0.0, True),
        (np.pi, 0.0, False),
        (0.0, np.pi, False),
        (np.pi / 2, np.pi / 2, True),
    ):
        cam = camera((0, 0, 0), (np.cos(yaw), np.sin(yaw), 0), 33, 33, 0.6)
        image = color(
            renderer, snapshot([], cam, environment=dataclasses.replace(environment, rotation=rotation, intensity=2.0))
        )
        np.testing.assert_allclose(image[..., 0], 2.0 if red else 0.0, rtol=1e-5)
        assert image[4, 16, 1] == pytest.approx(1.0)
        assert image[28, 16, 1] == 0
    photo = np.random.default_rng(0).random((64, 96, 3), np.float32)
    image = color(renderer, snapshot([], environment=dataclasses.replace(WHITE, background=photo)))
    np.testing.assert_array_equal(image, photo)
    with pytest.raises(RenderError, match="background"):
        color(renderer, snapshot([], environment=dataclasses.replace(WHITE, background=photo[:10])))


def test_a_sun_in_the_map_casts_a_shadow(renderer):
    sky = np.full((64, 128, 3), 0.2, np.float32)
    sky[20:22, 63:65] = 3000.0  # towards +x, about 59 degrees high
    ground = draw(quad(), None, 0, LAMBERT)
    block = draw(box(half=(0.1, 0.1, 0.1)), pose((0, 0, 0.1)), 1, LAMBERT)
    cam = camera((0.3, -1.6, 0.9), (0, 0, 0), 160, 120, 0.8)
    images = renderer.render(
        [snapshot([ground, block], cam, environment=Environment("sun", sky))], ["rgb", *WHERE]
    ).images
    rgb, ids, where = images["rgb"][0][..., 0], images["instance"][0], images["object_coords"][0]
    dark = (ids == 0) & (where[..., 0] > -0.17) & (where[..., 0] < -0.11) & (np.abs(where[..., 1]) < 0.08)
    lit = (ids == 0) & (where[..., 0] > 0.3)
    assert dark.sum() > 10
    assert rgb[dark].mean() < 0.4 * rgb[lit].mean()
    # Together the sun and the sky give the irradiance of the whole map.
    theta = (np.arange(64) + 0.5) / 64 * np.pi
    solid = np.sin(theta) * (np.pi / 64) * (2 * np.pi / 128)
    irradiance = (sky[..., 0].sum(1) * np.maximum(np.cos(theta), 0) * solid).sum()
    assert abs(np.median(rgb[lit]) * np.pi / irradiance - 1) < 0.06


def test_memory_stays_bounded_over_many_textures_and_meshes():
    renderer = RasterRenderer(memory_limit=8 << 20)
    rng = np.random.default_rng(0)
    sizes = []
    for k in range(90):
        texture = Texture(f"noise{k}", rng.integers(0, 255, (128, 128, 3), dtype=np.uint8))
        material = Material(base_color_map=texture)
        mesh = sphere(f"ball{k}", radius=0.3 + 0.001 * k, rings=24)
        environment = Environment(f"sky{k % 12}", np.full((16, 32, 3), 0.01 * (k % 12), np.float32))
        renderer.render([snapshot([draw(mesh, material=material, projection="box")], environment=environment)], ["rgb"])
        sizes.append(renderer.nbytes)
    assert max(sizes[65:]) < 1.01 * min(sizes[65:])
    renderer.close()
    assert renderer.nbytes < 1 << 16


def test_a_first_run_says_that_it_compiles(monkeypatch):
    from simgen.render.raster import renderer as module

    said = []
    monkeypatch.setattr(module, "is_cached", lambda kernel: False)
    module.warm_up(lambda: said.append("compiling"))
    assert said == ["compiling"]
    monkeypatch.setattr(module, "is_cached", lambda kernel: True)
    module.warm_up(lambda: said.append("again"))
    assert said == ["compiling"]

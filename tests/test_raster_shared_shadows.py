"""Shadow maps that views of one scene share: the same bits whoever shares them, and fine enough for each view."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from raster_scenes import BLACK, WHITE, box, camera, draw, pose, quad, snapshot, sphere

from simgen.assets.asset import Material
from simgen.render.raster import RasterRenderer, shadow_scene
from simgen.render.raster.lights import DIRECTIONAL, HALF_X, KIND, POSITION, TRAVEL, pack_lights, turn_lights
from simgen.render.raster.scene import Residents, pack
from simgen.render.raster.shadow import MATRIX, SCALE_X, SCALE_Y, SHIFT_X, SHIFT_Y, SIDE
from simgen.render.raster.shadow_fit import fit_scene, fit_view
from simgen.render.raster.shadow_window import FARTHEST, HIGH_X, HIGH_Y, LOW_X, LOW_Y, NEAREST
from simgen.scene.record import LightRecord

GREY = Material(base_color=(0.7, 0.7, 0.7, 1.0), roughness=0.9)
LIGHTS = (
    LightRecord("directional", intensity=2.0, direction=(0.5, 0.2, -1.0), size=0.02),
    LightRecord("area", intensity=20.0, position=(-0.6, 0.5, 1.0), direction=(0.6, -0.5, -1.0), extent=(0.3, 0.2)),
    LightRecord("spot", intensity=2.0, position=(0.4, -0.6, 1.2), direction=(-0.4, 0.6, -1.2), size=0.02),
)
AROUND = [(0.0, -0.9, 0.6), (0.8, 0.3, 0.7), (-0.7, 0.5, 0.5)]
CLOSE = ((0.16, -0.07, 0.07), (0.11, 0.0, 0.0))


def things(shift=0.0):
    return (
        draw(quad("ground", 3.0), None, 0, GREY),
        draw(box("box", (0.05, 0.05, 0.05)), pose((0.05 + shift, 0, 0.05)), 1, GREY),
        draw(sphere("ball", 0.06, 12), pose((-0.12, 0.1, 0.06)), 2, GREY),
        draw(box("plate", (0.15, 0.02, 0.005)), pose((0.0, -0.15, 0.12)), 3, GREY),
    )


def views(shift=0.0, lights=LIGHTS, environment=BLACK):
    """Three cameras that see everything and one that is close to the foot of the box."""
    cameras = [camera(eye, (0, 0, 0.03), 80, 60, 0.7) for eye in AROUND] + [camera(*CLOSE, 80, 60, 0.5)]
    return [snapshot(list(things(shift)), cam, list(lights), environment) for cam in cameras]


def rgb(renderer, snapshots):
    return list(renderer.render(snapshots, ["rgb"]).images["rgb"])


@pytest.fixture
def drawn(monkeypatch):
    """The rows of maps that have been drawn."""
    rows = []
    real = shadow_scene.draw_map

    def spy(row, *rest):
        rows.append(row.copy())
        real(row, *rest)

    monkeypatch.setattr(shadow_scene, "draw_map", spy)
    return rows


def test_a_view_has_the_same_bits_whoever_shares_its_maps():
    shots, other = views(), views(0.03)
    alone = [rgb(RasterRenderer(), [shot])[0] for shot in shots]
    renderer = RasterRenderer()
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [2, 3, 0, 1]):
        together = rgb(renderer, [shots[k] for k in order])
        for k, image in zip(order, together, strict=True):
            np.testing.assert_array_equal(image, alone[k])
    # With another scene in between, in one call and from call to call.
    mixed = rgb(renderer, [shots[0], other[0], shots[1], other[3], shots[3]])
    for k, image in zip((0, 1, 3), mixed[::2], strict=True):
        np.testing.assert_array_equal(image, alone[k])
    for k in (3, 0, 2):
        np.testing.assert_array_equal(rgb(renderer, [shots[k]])[0], alone[k])
    assert np.abs(mixed[1] - alone[0]).max() > 0.1


def test_maps_of_a_scene_are_drawn_once(drawn):
    shots, renderer = views(), RasterRenderer()
    rgb(renderer, shots[:3])
    assert len(drawn) == len(LIGHTS)
    rgb(renderer, shots[1:3])
    # Records that say the same are the same scene.
    again = views()
    rgb(renderer, [again[0]])
    assert len(drawn) == len(LIGHTS)
    rgb(renderer, [views(0.001)[0]])
    assert len(drawn) == 2 * len(LIGHTS)


def test_a_close_view_gets_maps_of_its_own(drawn):
    shots, renderer = views(), RasterRenderer()
    rgb(renderer, shots[:1])
    of_scene = list(drawn)
    for _ in range(2):
        drawn.clear()
        rgb(renderer, shots[3:])
        assert len(drawn) == len(LIGHTS)
        for own, shared in zip(drawn, of_scene, strict=True):
            assert min(own[SCALE_X], own[SCALE_Y]) > 1.4 * min(shared[SCALE_X], shared[SCALE_Y])
    drawn.clear()
    rgb(renderer, shots[1:3])
    assert not drawn


@pytest.mark.parametrize(
    "changed",
    [
        {"lights": (replace(LIGHTS[0], direction=(0.4, 0.3, -1.0)), *LIGHTS[1:])},
        {"environment": replace(WHITE, rotation=1.0)},
        {"shift": 1e-4},
    ],
)
def test_what_a_scene_is_made_of_decides_its_maps(changed):
    renderer = RasterRenderer()
    rgb(renderer, views())
    for image, shot in zip(rgb(renderer, views(**changed)), views(**changed), strict=True):
        np.testing.assert_array_equal(image, rgb(RasterRenderer(), [shot])[0])


def test_memory_is_that_of_one_scene():
    renderer = RasterRenderer(shadow_size=256)
    rgb(renderer, views())
    held = renderer.nbytes
    for k in range(6):
        rgb(renderer, views(0.002 * k))
    assert renderer.nbytes <= 1.01 * held
    before = renderer._shadows.nbytes
    assert before > 4 * 160**2
    renderer.close()
    assert renderer._shadows.nbytes == 0
    np.testing.assert_array_equal(rgb(renderer, views()[:1])[0], rgb(RasterRenderer(shadow_size=256), views()[:1])[0])


@pytest.fixture(scope="module")
def fitted():
    tables = pack(views()[0], Residents(1 << 20))
    lights = pack_lights(LIGHTS, (), np.eye(3), 1.0)
    return tables, lights, fit_scene(tables, lights, 512)


def seen_by(cam):
    """A view's receivers: the ground at every fourth pixel, by closed form."""
    v, u = (a.reshape(-1)[::4].astype(np.float32) for a in np.mgrid[: cam.height, : cam.width])
    rays = np.stack([(u - cam.K[0, 2]) / cam.K[0, 0], (v - cam.K[1, 2]) / cam.K[1, 1], np.ones_like(u)], 1)
    down = rays @ cam.T_world_cam[2, :3]
    w = (-down / cam.T_world_cam[2, 3]).astype(np.float32)
    return len(u), u, v, w


def test_the_map_of_a_scene_holds_all_shadows(fitted):
    tables, lights, scene = fitted
    assert scene.texels == sum(int(row[SIDE]) ** 2 for row in scene.rows)
    assert sorted(row[SIDE] for row in scene.rows)[-1] == 528
    for light, frame, row, chosen in zip(lights, scene.frames, scene.rows, scene.drawn, strict=True):
        assert chosen.tolist() == [1, 2, 3]  # the ground shadows nothing
        R, t = frame[:12].reshape(3, 4)[:, :3], frame[3:12:4]
        np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(R) == pytest.approx(1)
        if light[KIND] == DIRECTIONAL:
            np.testing.assert_allclose(R[2], light[TRAVEL : TRAVEL + 3], atol=1e-12)
        else:
            np.testing.assert_allclose(R @ light[POSITION : POSITION + 3] + t, 0, atol=1e-12)
        for m in chosen:
            corners = tables.bounds[m][np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)]), range(3)]
            p = (corners @ tables.world[m, :, :3].T + tables.world[m, :, 3]) @ R.T + t
            across = p[:, :2] if light[KIND] == DIRECTIONAL else p[:, :2] / p[:, 2:]
            assert (across >= frame[[LOW_X, LOW_Y]]).all()
            assert (across <= frame[[HIGH_X, HIGH_Y]]).all()
            assert p[:, 2].min() >= frame[NEAREST] - 1e-12
            assert frame[FARTHEST] > p[:, 2].min()
        places = across * row[[SCALE_X, SCALE_Y]] + row[[SHIFT_X, SHIFT_Y]]
        assert places.min() > 2
        assert places.max() < row[SIDE] - 3


def test_a_view_takes_the_map_of_the_scene_where_that_is_fine_enough(fitted):
    _, lights, scene = fitted

    def shared(cam):
        view = fit_view(scene, lights, seen_by(cam), pack(snapshot(list(things()), cam), Residents(1 << 20)).camera,
                        cam.T_world_cam, 512)  # fmt: skip
        assert sorted(view.lights) == [0, 1, 2]
        return view

    wide = shared(camera((0.0, -0.9, 0.6), (0, 0, 0), 80, 60, 0.7))
    assert wide.shared == [True] * 3
    assert wide.texels == 0
    close = shared(camera((0.1, -0.1, 0.1), (0.1, 0, 0), 80, 60, 0.3))
    assert close.shared == [False] * 3
    assert close.texels == sum(int(row[SIDE]) ** 2 for row in close.rows)
    # As little is seen, but in pixels that are larger than the texels.
    coarse = shared(camera((0.1, -0.1, 0.1), (0.1, 0, 0), 8, 6, 0.3))
    assert coarse.shared == [True] * 3
    # A row leads from the camera to where the light sees a point.
    T_cam_world = np.linalg.inv(camera((0.0, -0.9, 0.6), (0, 0, 0), 80, 60, 0.7).T_world_cam)
    p = np.array([0.1, -0.05, 0.02, 1.0])
    for k, row, frame in zip(wide.lights, wide.rows, wide.frames, strict=True):
        np.testing.assert_array_equal(frame, scene.frames[k])
        there = row[MATRIX : MATRIX + 12].reshape(3, 4) @ T_cam_world @ p
        np.testing.assert_allclose(there, frame[:12].reshape(3, 4) @ p, atol=1e-6)


def test_nothing_seen_of_any_shadow_needs_no_map(fitted):
    tables, lights, scene = fitted
    cam = camera((30.0, 29.0, 0.5), (30.0, 30.0, 0.0), 80, 60, 0.3)
    view = fit_view(scene, lights, seen_by(cam), tables.camera, cam.T_world_cam, 512)
    assert view.lights == []
    nothing = (0, np.zeros(1, np.float32), np.zeros(1, np.float32), np.zeros(1, np.float32))
    assert fit_view(scene, lights, nothing, tables.camera, cam.T_world_cam, 512).lights == []


def test_lights_turn_with_the_camera():
    table = pack_lights(LIGHTS, (), np.eye(3), 1.0)
    T = camera((0.3, -0.9, 0.6), (0.1, 0.2, 0)).T_world_cam
    turned = turn_lights(table, T)
    back = turned[:, POSITION : POSITION + 3] @ T[:3, :3].T + T[:3, 3]
    np.testing.assert_allclose(back, table[:, POSITION : POSITION + 3], atol=1e-6)
    for column in (TRAVEL, HALF_X):
        back = turned[:, column : column + 3] @ T[:3, :3].T
        np.testing.assert_allclose(back, table[:, column : column + 3], atol=1e-6)

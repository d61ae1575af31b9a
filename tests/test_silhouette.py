"""Full silhouettes against renders of the object alone on a canvas three times the image."""

from __future__ import annotations

import numpy as np
import pytest
from raster_scenes import box, camera, draw, image_mask, pose, quad, snapshot, sphere

from simgen.geometry import rotation_from_quaternion
from simgen.render.base import Camera
from simgen.render.raster import RasterRenderer
from simgen.render.silhouette import silhouette_of

WIDTH, HEIGHT = 96, 64


@pytest.fixture(scope="module")
def renderer():
    return RasterRenderer()


def scene(seed: int):
    rng = np.random.default_rng(seed)
    parts = [draw(quad(half=2.0), None, 0)]
    for k in range(6):
        mesh = box(half=(0.3, 0.2, 0.25)) if k % 2 else sphere(radius=0.3, rings=12)
        T = pose(rng.uniform((-1.5, -1.5, 0), (1.5, 1.0, 0.8)), rotation_from_quaternion(rng.normal(size=4)))
        parts.append(draw(mesh, T, 1 + k % 5))
    return snapshot(parts, camera((0, -2.2, 0.7), (0, 0, 0.2)))


def wide(cam: Camera) -> Camera:
    K = cam.K.copy()
    K[0, 2] += cam.width
    K[1, 2] += cam.height
    return Camera(K, cam.T_world_cam, 3 * cam.width, 3 * cam.height, cam.near, cam.far)


@pytest.mark.parametrize("seed", range(4))
def test_full_equals_the_object_alone_on_the_wide_canvas(renderer, seed):
    snap = scene(seed)
    silhouettes = renderer.silhouettes(snap)
    assert [s.instance_id for s in silhouettes] == [1, 2, 3, 4, 5]
    for s in silhouettes:
        own = [d for d in snap.drawables if d.instance_id == s.instance_id]
        alone = renderer.render([snapshot(own, wide(snap.camera))], ["instance"]).images["instance"][0] > 0
        # The wide camera's principal point differs, so that rounding may move a pixel on the very edge.
        assert abs(s.px_full - alone.sum()) <= 1
        y, x = np.nonzero(alone)
        expected = (x.min() - WIDTH, y.min() - HEIGHT, np.ptp(x) + 1, np.ptp(y) + 1) if len(x) else (0, 0, 0, 0)
        assert s.bbox_full == tuple(int(v) for v in expected)
        inside = alone[HEIGHT : 2 * HEIGHT, WIDTH : 2 * WIDTH]
        assert s.px_inside == s.mask.sum()
        assert (image_mask(s, WIDTH, HEIGHT) != inside).sum() <= 1


@pytest.mark.parametrize("seed", range(4))
def test_visible_is_a_subset_of_full(renderer, seed):
    snap = scene(seed)
    ids = renderer.render([snap], ["instance"]).images["instance"][0]
    assert len(np.unique(ids)) > 3
    for s in renderer.silhouettes(snap):
        assert not ((ids == s.instance_id) & ~image_mask(s, WIDTH, HEIGHT)).any()


def test_alone_and_inside_visible_equals_full(renderer):
    snap = snapshot([draw(sphere(radius=0.3), None, 1)])
    ids = renderer.render([snap], ["instance"]).images["instance"][0]
    (s,) = renderer.silhouettes(snap)
    np.testing.assert_array_equal(ids == 1, image_mask(s, WIDTH, HEIGHT))
    assert s.px_full == s.px_inside > 100


def test_ids_without_drawables_and_objects_out_of_sight_are_empty(renderer):
    snap = snapshot([draw(box(), None, 3), draw(box(), pose((0, -50, 0)), 2)])
    first, second, third = renderer.silhouettes(snap)
    for s in (first, second):
        assert (s.px_full, s.px_inside, s.bbox_full, s.mask.size) == (0, 0, (0, 0, 0, 0), 0)
    assert third.px_full > 0
    assert renderer.silhouettes(snapshot([draw(box(), None, 0)])) == []


def test_an_object_around_the_camera_covers_the_whole_canvas(renderer):
    (s,) = renderer.silhouettes(snapshot([draw(sphere(radius=5.0), None, 1)]))
    assert s.px_full == 9 * WIDTH * HEIGHT
    assert s.bbox_full == (-WIDTH, -HEIGHT, 3 * WIDTH, 3 * HEIGHT)
    assert s.px_inside == WIDTH * HEIGHT


def test_objects_that_each_fill_the_image(renderer):
    small = sphere(radius=0.1)
    snap = snapshot([*(draw(sphere(radius=5.0 + k), None, k) for k in (1, 2, 4)), draw(small, None, 3)])
    first, second, third, fourth = renderer.silhouettes(snap)
    for s in (first, second, fourth):
        assert s.px_inside == WIDTH * HEIGHT
        assert s.mask.shape == (HEIGHT, WIDTH)
        assert s.mask.all()
    (alone,) = renderer.silhouettes(snapshot([draw(small, None, 1)]))
    np.testing.assert_array_equal(third.mask, alone.mask)
    assert (third.px_full, third.bbox_full) == (alone.px_full, alone.bbox_full)
    assert 0 < third.px_full < 1000


def test_cropping_at_the_image_border():
    covered = np.ones((4, 5), np.bool_)
    covered[0, 0] = False
    s = silhouette_of(7, covered, -2, 8, 10, 10)
    assert (s.px_full, s.px_inside, s.bbox_full) == (19, 6, (-2, 8, 5, 4))
    assert (s.x0, s.y0, s.mask.shape) == (0, 8, (2, 3))
    assert silhouette_of(7, covered, 10, 0, 10, 10).px_inside == 0

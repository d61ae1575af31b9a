"""Soft shadows of the rasterizer against visibility by ray casting."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit
from raster_scenes import BLACK, box, camera, draw, pose, quad, snapshot, triangles

from simgen.assets.asset import Material
from simgen.render.raster import RasterRenderer, comparing
from simgen.render.raster.scene import Residents, pack
from simgen.render.raster.shadow_filter import spiral
from simgen.render.raster.shadow_fit import find_casters, select_casters
from simgen.render.raycast import cast, ray_scene
from simgen.scene.record import LightRecord

LAMBERT = Material(base_color=(1.0, 1.0, 1.0, 1.0), roughness=1.0)
TABLE, FLOOR = 1, 2


@pytest.fixture(scope="module")
def room():
    """A box of 12 cm on a table of 0.74 m above a floor of 7 m, everything Lambertian."""
    return [
        draw(quad("floor", 3.5), pose((0, 0, -0.74)), FLOOR, LAMBERT),
        draw(box("table", (0.65, 0.45, 0.37)), pose((0, 0, -0.37)), TABLE, LAMBERT),
        draw(box("box", (0.06, 0.06, 0.06)), pose((0, 0, 0.06)), 3, LAMBERT),
    ]


def lamp(position, side) -> LightRecord:
    """A square lamp that shines at the middle of the table."""
    towards = -np.asarray(position, float)
    return LightRecord("area", intensity=1 / side**2, position=position, direction=tuple(towards), extent=(side, side))


def seen_share(snap, points, light, per_side=12) -> np.ndarray:
    """Share of a square lamp that each point sees, by ray casting."""
    d = np.asarray(light.direction) / np.linalg.norm(light.direction)
    across = np.cross([0.0, 0.0, 1.0], d)
    across = across / np.linalg.norm(across) if np.linalg.norm(across) > 1e-6 else np.array([1.0, 0.0, 0.0])
    up = np.cross(d, across)
    s = ((np.arange(per_side) + 0.5) / per_side - 0.5) * light.extent[0]
    u, v = np.meshgrid(s, s)
    targets = np.asarray(light.position) + u.reshape(-1, 1) * across + v.reshape(-1, 1) * up
    rays = targets[None] - points[:, None]
    origins = np.broadcast_to(points[:, None], rays.shape)
    hidden = cast(ray_scene(snap), origins.reshape(-1, 3), rays.reshape(-1, 3), t_max=1.0).owner >= 0
    return 1 - hidden.reshape(len(points), -1).mean(1)


def measured_share(renderer, snap, bare):
    """Light on the table with the box over the light on the table alone, where the box is not in the picture."""
    images = renderer.render([snap], ["rgb", "instance", "depth"]).images
    alone = renderer.render([bare], ["rgb"]).images["rgb"][0, ..., 1]
    table = (images["instance"][0] == TABLE) & (alone > 0)
    v, u = np.nonzero(table)
    K, T = snap.camera.K, snap.camera.T_world_cam
    z = images["depth"][0][table].astype(np.float64)
    points = np.stack([(u - K[0, 2]) / K[0, 0] * z, (v - K[1, 2]) / K[1, 1] * z, z], 1) @ T[:3, :3].T + T[:3, 3]
    top = np.abs(points[:, 2]) < 1e-4
    share = images["rgb"][0, ..., 1][table] / alone[table]
    return points[top] + [0, 0, 1e-4], share[top]


@pytest.mark.parametrize("side", [0.03, 0.12, 0.4])
@pytest.mark.parametrize("position", [(0.0, 0.0, 1.4), (0.7, -0.5, 1.1)])
@pytest.mark.parametrize("eye", [(0.1, -0.5, 0.55), (0.3, -1.2, 1.4)])  # maps fitted to what is seen, to the scene
def test_soft_shadows_agree_with_ray_casting(room, side, position, eye):
    light = lamp(position, side)
    cam = camera(eye, (0, 0, 0), 160, 120, 0.9)
    snap = snapshot(room, cam, [light], BLACK)
    renderer = RasterRenderer(samples=1)
    points, share = measured_share(renderer, snap, snapshot(room[:2], cam, [light], BLACK))
    assert len(points) > 5000
    expected = seen_share(snap, points, light)
    error = np.abs(share - expected)
    # The lamp counts as a disc of its area, and penumbrae are those of the blockers' mean distance.
    assert error.mean() < 0.02
    assert (error > 0.35).mean() < 0.01
    lit, dark = expected == 1, expected == 0
    assert (share[lit] > 0.9).mean() > 0.98
    if dark.sum() > 100:
        assert share[dark].mean() < 0.05


@pytest.mark.parametrize("side", [0.03, 0.4])
def test_shadows_touch_what_casts_them(room, side):
    # Away from the lamp, the table is dark right from the foot of the box.
    light = lamp((0.7, 0.0, 0.7), side)
    cam = camera((-0.25, -0.25, 0.3), (-0.08, 0, 0), 200, 150, 0.7)
    snap = snapshot(room, cam, [light], BLACK)
    points, share = measured_share(RasterRenderer(samples=1), snap, snapshot(room[:2], cam, [light], BLACK))
    foot = (points[:, 0] < -0.0605) & (points[:, 0] > -0.075) & (np.abs(points[:, 1]) < 0.045)
    assert foot.sum() > 50
    assert share[foot].max() < 0.15


def test_shadows_fall_on_what_has_gaps():
    # Rows of fragments with holes between them, in an image of odd size; slats of the width of a few pixels.
    slats = [
        draw(box(f"slat {k}", (0.6, 0.012, 0.01)), pose((0, 0.06 * k, -0.01)), TABLE, LAMBERT) for k in range(-8, 9)
    ]
    thing = draw(box("thing", (0.08, 0.08, 0.08)), pose((0, 0, 0.2)), 3, LAMBERT)
    light = lamp((0.2, -0.1, 1.4), 0.12)
    cam = camera((0.1, -0.5, 0.75), (0, 0, 0), 161, 119, 0.9)
    snap = snapshot([*slats, thing], cam, [light], BLACK)
    points, share = measured_share(RasterRenderer(samples=1), snap, snapshot(slats, cam, [light], BLACK))
    expected = seen_share(snap, points, light)
    assert len(points) > 2000
    assert (expected < 0.1).sum() > 50
    error = np.abs(share - expected)
    assert error.mean() < 0.02
    assert (error > 0.35).mean() < 0.01


SIDE, START = 40, 7
PLANE = np.array([20.3, 17.8, 0.5, 0.01, -0.02], np.float32)  # u, v, value, du, dv


@pytest.fixture(scope="module")
def texels():
    return np.random.default_rng(3).uniform(0.2, 0.8, START + SIDE * SIDE).astype(np.float32)


def compare_points(texels, points, turn, radii):
    """What is found at points around a fragment, and whether the plane is not below it."""
    u, v, value, du, dv = PLANE.astype(np.float64)
    R = np.array([[turn[0], -turn[1]], [turn[1], turn[0]]])
    x, y = np.clip(np.floor(points @ R.T * radii + [u, v] + 0.5), 0, SIDE - 1).T
    found = texels[START:].reshape(SIDE, SIDE)[y.astype(int), x.astype(int)]
    return found, value + du * (x - u) + dv * (y - v) >= found


@pytest.mark.parametrize("radii", [(2.0, 3.0), (30.0, 12.0)])  # the second leaves the map
def test_discs_are_compared_as_a_plain_loop_would(texels, radii):
    discs = spiral()
    turn = discs.reshape(-1, 2)[-5]
    values = np.repeat(np.concatenate([PLANE, turn, radii, [0, 0]]).astype(np.float32), comparing.GROUP)

    @njit
    def run(texels, discs, q):
        at = comparing.GROUP
        comparing.search_discs(
            texels, np.int32(START), np.int32(SIDE), discs, q, 0, at, 2 * at, 3 * at, 4 * at, 5 * at, 6 * at, 7 * at,
            8 * at, 9 * at, 10 * at,
        )  # fmt: skip
        return comparing.filter_disc(
            texels, np.int32(START), np.int32(SIDE), discs, q[0], q[at], q[2 * at], q[3 * at], q[4 * at], q[5 * at],
            q[6 * at], q[7 * at], q[8 * at],
        )  # fmt: skip

    share = run(texels, discs, values)
    pairs = discs.reshape(-1, 2).astype(np.float64)
    found, lit = compare_points(texels, pairs[: comparing.SEARCH_TAPS], turn, radii)
    assert 0 < lit.sum() < len(lit)
    assert (values.reshape(-1, comparing.GROUP)[9] == lit.sum()).all()
    assert np.allclose(values.reshape(-1, comparing.GROUP)[10], found[~lit].sum())
    _, lit = compare_points(texels, pairs[comparing.SEARCH_TAPS :][: comparing.FILTER_TAPS], turn, radii)
    assert share == lit.mean()


def test_tents_are_compared_as_a_plain_loop_would(texels):
    @njit
    def run(texels, at, value, du, dv, fx, fy):
        return comparing.filter_tent(texels, at, SIDE, value, du, dv, fx, fy)

    x, y, fx, fy = 11, 23, 0.3, 0.8
    value, du, dv = (float(k) for k in PLANE[2:])
    steps = np.arange(4)
    plane = value + du * steps[None] + dv * steps[:, None]
    lit = plane >= texels[START:].reshape(SIDE, SIDE)[y : y + 4, x : x + 4]
    # The share of each texel under a box of 3 x 3 texels around the fragment.
    wx, wy = (np.array([1 - f, 1, 1, f]) / 3 for f in (fx, fy))
    real = [np.float32(k) for k in (value, du, dv, fx, fy)]
    assert np.isclose(run(texels, START + y * SIDE + x, *real), wy @ lit @ wx, atol=1e-6)


@pytest.mark.parametrize("tilt", [0.0, 0.4])
def test_what_only_receives_shadows_is_not_drawn_into_maps(tilt):
    # A slab with everything on top of it shadows nothing while the lamp is above; a bent one could shadow itself.
    R = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    slab = box("slab", (2.0, 2.0, 0.05))
    corner = [[-2, -2, 0], [2, -2, 0], [2, 0, 0.4], [-2, 0, 0.4], [2, 2, 0], [-2, 2, 0]]
    bent = triangles("bent", corner, [[0, 1, 2], [0, 2, 3], [3, 2, 4], [3, 4, 5]])
    things = [
        draw(slab, pose(R @ [0, 0, -0.05], R)),
        draw(box("thing", (0.1, 0.1, 0.1)), pose(R @ [0.3, 0, 0.1], R), 2),
        draw(box("other", (0.1, 0.1, 0.1)), pose(R @ [-0.3, 0.2, 0.1], R), 3),
    ]

    def drawn(drawables, position):
        casters = find_casters(pack(snapshot(drawables, camera()), Residents(1 << 20)))
        return casters.index[select_casters(casters, np.asarray(position), np.zeros(3))].tolist()

    above, below = R @ [0.5, 0.0, 2.0], R @ [0.5, 0.0, -2.0]
    assert drawn(things, above) == [1, 2]
    assert drawn(things, below) == [0, 1, 2]
    assert 0 in drawn([draw(bent), *things[1:]], above)

"""The rasterizer's geometry against closed forms, OpenCV and itself drawn otherwise."""

from __future__ import annotations

import hashlib

import cv2
import numpy as np
import pytest
from raster_scenes import box, camera, draw, image_mask, moved, pose, quad, snapshot, sphere, triangles

from simgen.assets.asset import Material
from simgen.errors import RenderError
from simgen.geometry import inverse, look_at, rotation_from_quaternion
from simgen.render.base import Camera, Neighbour
from simgen.render.raster import RasterRenderer

GEOMETRY = ["depth", "instance", "part", "normal", "object_coords", "flow_forward", "flow_backward"]


@pytest.fixture(scope="module")
def renderer():
    return RasterRenderer()


def render(renderer, snap, passes=GEOMETRY):
    return {name: image[0] for name, image in renderer.render([snap], passes).images.items()}


def rays(cam: Camera) -> np.ndarray:
    """Directions with z = 1 through all pixel centres, (H, W, 3)."""
    y, x = np.mgrid[: cam.height, : cam.width].astype(np.float64)
    return np.stack([x, y, np.ones_like(x)], -1) @ np.linalg.inv(cam.K).T


def test_plane_depth_is_exact(renderer):
    cam = camera((0.3, -1.5, 0.8), (0.1, 0.2, 0))
    images = render(renderer, snapshot([draw(quad(half=50.0))], cam))
    d = rays(cam) @ cam.T_world_cam[:3, :3].T
    z = np.where(d[..., 2] < 0, -cam.T_world_cam[2, 3] / np.minimum(d[..., 2], -1e-9), 0)
    hit = images["depth"] > 0
    assert hit.mean() > 0.5
    np.testing.assert_allclose(images["depth"][hit], z[hit], rtol=3e-7)
    assert (images["normal"][hit] @ cam.T_world_cam[:3, :3].T)[..., 2].min() > 1 - 1e-6


def test_sphere_silhouette_depth_and_normals(renderer):
    radius, centre = 0.5, np.array([0.1, 0.05, -0.1])
    cam = camera((0, -2, 0.3), width=160, height=120)
    images = render(renderer, snapshot([draw(sphere(radius=radius, rings=160), pose(centre))], cam))
    c = (inverse(cam.T_world_cam) @ [*centre, 1])[:3]
    r = rays(cam)
    a, b, k = (r * r).sum(-1), r @ c, c @ c - radius**2
    discriminant = b * b - a * k
    hit = images["instance"] == 1
    # Only pixels whose ray passes within a thousandth of the rim may differ: the mesh lies just inside the sphere.
    clear = np.abs(np.sqrt(np.maximum(c @ c - b * b / a, 0)) - radius) > 1e-3 * radius
    assert (hit == (discriminant > 0))[clear].all()
    z = (b - np.sqrt(np.maximum(discriminant, 0))) / a
    inside = hit & (discriminant > 0.02)
    np.testing.assert_allclose(images["depth"][inside], z[inside], atol=3e-4)
    n = (r * z[..., None] - c) / radius
    assert (images["normal"][inside] * n[inside]).sum(-1).min() > np.cos(np.deg2rad(0.3))
    np.testing.assert_allclose(np.linalg.norm(images["normal"][hit], axis=-1), 1, atol=2e-7)
    assert (images["normal"] * r).sum(-1).max() < 1e-6


def test_object_coordinates_project_to_their_pixels_and_give_the_pose(renderer):
    R = rotation_from_quaternion((0.1, 0.5, -0.3, 0.8))
    T = pose((0.05, 0.1, -0.05), R)
    cam = camera((0.4, -1.2, 0.7), width=160, height=120)
    images = render(renderer, snapshot([draw(box(half=(0.2, 0.3, 0.25)), T, scale=(1.0, 0.5, 1.2))], cam))
    hit = images["instance"] == 1
    points = images["object_coords"][hit].astype(np.float64)
    y, x = np.nonzero(hit)
    pixels = np.stack([x, y], 1).astype(np.float64)
    truth = inverse(cam.T_world_cam) @ T
    projected, _ = cv2.projectPoints(points, cv2.Rodrigues(truth[:3, :3])[0], truth[:3, 3], cam.K, None)
    np.testing.assert_allclose(projected[:, 0], pixels, atol=1e-3)
    assert (np.abs(points) <= np.array([0.2, 0.15, 0.3]) + 1e-5).all()
    ok, rotation, translation = cv2.solvePnP(points, pixels, cam.K, None)
    assert ok
    error = cv2.Rodrigues(rotation)[0] @ truth[:3, :3].T
    assert np.rad2deg(np.arccos(np.clip((np.trace(error) - 1) / 2, -1, 1))) < 0.05
    assert np.linalg.norm(translation[:, 0] - truth[:3, 3]) < 1e-4


def test_shared_edges_leave_no_holes_and_no_double_hits(renderer):
    # A random triangulation of a tilted rectangle: silhouettes of the single triangles must tile that of the whole.
    rng = np.random.default_rng(0)
    points = np.vstack([rng.uniform(-1, 1, (60, 2)), [[-1, -1], [1, -1], [1, 1], [-1, 1]]])
    points = np.vstack([points, np.stack([np.full(9, 0.125), np.linspace(-1, 1, 9)], 1)])
    from scipy.spatial import Delaunay

    faces = Delaunay(points).simplices
    vertices = np.column_stack([points * 0.5, points @ [0.3, -0.2]])
    cam = camera((0, 0, 1.3), (0, 0, 0), width=101, height=81)
    parts = [draw(triangles(f"t{k}", vertices, [face]), instance=k + 1) for k, face in enumerate(faces)]
    hits = sum(image_mask(s, 101, 81).astype(int) for s in renderer.silhouettes(snapshot(parts, cam)))
    [whole] = renderer.silhouettes(snapshot([draw(triangles("outline", vertices, faces))], cam))
    outline = image_mask(whole, 101, 81)
    assert outline.sum() > 1000
    assert (hits == outline).all()
    # No hole inside: each row of the outline of a convex shape is one run.
    assert (np.abs(np.diff(outline.astype(int), axis=1, prepend=0, append=0)).sum(1) <= 2).all()


def test_triangles_drawn_together_cover_what_each_covers_alone(renderer):
    # Cut-outs are drawn one by one; these are opaque all over, so that nothing but the way of drawing differs.
    rng = np.random.default_rng(4)
    size = rng.choice([0.002, 0.01, 0.05, 0.2], (300, 1, 1))
    points = rng.uniform(-1, 1, (300, 1, 3)) + size * rng.normal(size=(300, 3, 3))
    mesh = triangles("soup", points.reshape(-1, 3), np.arange(900))
    together = render(renderer, snapshot([draw(mesh)]))
    alone = render(renderer, snapshot([draw(mesh, material=Material(alpha_cutoff=0.5))]))
    assert 0.2 < (together["instance"] == 1).mean() < 0.99
    np.testing.assert_array_equal(together["instance"], alone["instance"])
    np.testing.assert_allclose(together["depth"], alone["depth"], rtol=1e-6)
    (a,), (b,) = (renderer.silhouettes(snapshot([draw(mesh, material=m)])) for m in (None, Material(alpha_cutoff=0.5)))
    assert (a.px_full, a.bbox_full) == (b.px_full, b.bbox_full)
    np.testing.assert_array_equal(a.mask, b.mask)


def test_edges_through_pixel_centres_belong_to_one_triangle(renderer):
    cam = Camera(np.array([[32.0, 0, 16], [0, 32, 16], [0, 0, 1]]), look_at((0, 0, 1), (0, 0, 0)), 33, 33)
    corners = np.array([[-0.25, -0.25, 0], [0.25, -0.25, 0], [0.25, 0.25, 0], [-0.25, 0.25, 0]])
    halves = [draw(triangles(f"h{k}", corners, [f]), instance=k + 1) for k, f in enumerate(([0, 1, 2], [0, 2, 3]))]
    a, b = (image_mask(s, 33, 33) for s in renderer.silhouettes(snapshot(halves, cam)))
    assert not (a & b).any()
    assert (a | b).sum() == 16 * 16


def test_near_plane_clipping_against_the_closed_form(renderer):
    # A floor that runs from far behind the camera to far in front of it.
    cam = camera((0, 0, 1), (0, 1, 0.9), near=0.5)
    images = render(renderer, snapshot([draw(quad("floor", half=1000.0))], cam))
    d = rays(cam) @ cam.T_world_cam[:3, :3].T
    z = np.where(d[..., 2] < -1e-9, -1.0 / np.minimum(d[..., 2], -1e-9), np.inf)
    expected = np.where((z >= cam.near) & (z < cam.far), z, 0)
    sure = (np.abs(z - cam.far) > 1e-3) & (np.abs(z - cam.near) > 1e-3)
    np.testing.assert_allclose(images["depth"][sure], expected[sure], rtol=1e-6)
    # Under a near plane that cuts the floor within the image.
    low = camera((0, 0, 0.3), (0, 0.2, 0), near=0.33)
    images = render(renderer, snapshot([draw(quad("floor", half=1000.0))], low))
    d = rays(low) @ low.T_world_cam[:3, :3].T
    z = np.where(d[..., 2] < -1e-9, -0.3 / np.minimum(d[..., 2], -1e-9), np.inf)
    assert 0.05 < (images["depth"] > 0).mean() < 0.95
    np.testing.assert_allclose(images["depth"], np.where(z >= low.near, z, 0), rtol=1e-6)


def test_flow_agrees_with_depth_and_poses(renderer):
    cam, then = camera((0.4, -1.2, 0.7)), camera((0.45, -1.15, 0.72), (0.02, 0, 0))
    R = rotation_from_quaternion((0.05, 0.02, 0.1, 1))
    now_poses = [np.eye(4), pose((0, 0.1, 0.3))]
    then_poses = [np.eye(4), pose((0.03, 0.1, 0.28), R)]
    parts = [draw(quad(), now_poses[0], 0), draw(box(half=(0.2, 0.2, 0.2)), now_poses[1], 1)]
    snap = snapshot(parts, cam)
    snap = snapshot(parts, cam, previous=moved(snap, now_poses, cam), after=moved(snap, then_poses, then))
    images = render(renderer, snap)
    assert np.abs(images["flow_backward"]).max() < 1e-4
    points = rays(cam) * images["depth"][..., None].astype(np.float64)
    for k in range(2):
        hit = (images["instance"] == k) & (images["depth"] > 0)
        assert hit.sum() > 200
        motion = inverse(then.T_world_cam) @ then_poses[k] @ inverse(now_poses[k]) @ cam.T_world_cam
        p = points[hit] @ motion[:3, :3].T + motion[:3, 3]
        pixels = p @ cam.K.T
        y, x = np.nonzero(hit)
        expected = pixels[:, :2] / pixels[:, 2:] - np.stack([x, y], 1)
        assert np.abs(expected).max() > 1
        assert np.abs(images["flow_forward"][hit] - expected).max() < 0.05


def test_back_faces_are_seen_and_normals_face_the_camera(renderer):
    cam = camera((0, 0, 2), (0, 0, 0))
    for faces in ([[0, 1, 2], [0, 2, 3]], [[0, 2, 1], [0, 3, 2]]):
        mesh = triangles(f"side{faces[0][1]}", quad().vertices, faces)
        images = render(renderer, snapshot([draw(mesh)], cam))
        hit = images["instance"] == 1
        assert hit.any()
        np.testing.assert_allclose(images["normal"][hit], np.broadcast_to([0, 0, -1], (hit.sum(), 3)), atol=1e-6)


def test_culling_of_closed_meshes_changes_nothing(renderer):
    rng = np.random.default_rng(1)
    cam = camera((1, -1.5, 0.9), width=160, height=120)
    mesh = sphere(radius=0.5, rings=16)
    opened = triangles(
        "soup",
        mesh.vertices[mesh.faces].reshape(-1, 3),
        np.arange(mesh.faces.size),
        normals=mesh.normals[mesh.faces].reshape(-1, 3),
    )
    opened = triangles(
        "open",
        np.vstack([opened.vertices, [[9, 9, 9], [9, 9.1, 9], [9, 9, 9.1]]]),
        np.arange(len(opened.vertices) + 3),
        normals=np.vstack([opened.normals, np.eye(3)]),
    )
    for scale in ((1, 1, 1), (1, -0.7, 0.8)):
        T = pose(rng.uniform(-0.1, 0.1, 3), rotation_from_quaternion(rng.normal(size=4)))
        a = render(renderer, snapshot([draw(mesh, T, scale=scale)], cam))
        b = render(renderer, snapshot([draw(opened, T, scale=scale)], cam))
        assert (a["instance"] == 1).sum() > 500
        for name in ("instance", "depth", "object_coords"):
            np.testing.assert_array_equal(a[name], b[name])


def test_degenerate_triangles_do_no_harm(renderer):
    nan, inf = np.nan, np.inf
    good = quad().vertices
    bad = [
        [[nan, 0, 0], [1, 0, 0], [0, 1, 0]],
        [[inf, 0, 0], [1, 0, 0], [0, 1, 0]],
        [[0, 0, 0.1], [0, 0, 0.1], [0, 0, 0.1]],
        [[-1, 0, 0.1], [0, 0, 0.1], [1, 0, 0.1]],
        [[1e38, 1e38, 1e38], [-1e38, 1e38, 0], [0, 1, -1e38]],
        [[0, -2, 0.5], [0, -2, 0.5], [0, -1.999, 0.5]],
    ]
    vertices = np.vstack([good, np.reshape(bad, (-1, 3))])
    faces = np.vstack([[[0, 1, 2], [0, 2, 3]], 4 + np.arange(3 * len(bad)).reshape(-1, 3)])
    a = render(renderer, snapshot([draw(quad("good"))]))
    with np.errstate(all="ignore"):
        mesh = triangles("bad", vertices, faces)
    b = renderer.render([snapshot([draw(mesh)])], [*GEOMETRY, "rgb"]).images
    np.testing.assert_allclose(a["depth"], b["depth"][0], rtol=1e-6)
    assert all(np.isfinite(image).all() for image in b.values())


def test_slivers_of_four_kilometres_do_no_harm(renderer):
    cam = camera((0, -2, 0.5), far=1e4)
    vertices = [[-2000, 0, 0], [2000, 0, 0], [2000, 0, 0.001], [0, -2000, 0.2], [0, 2000, 0.2], [0.001, 2000, 0.2]]
    images = renderer.render(
        [snapshot([draw(triangles("sliver", vertices, [[0, 1, 2], [3, 4, 5]]))], cam)], [*GEOMETRY, "rgb"]
    ).images
    assert all(np.isfinite(image).all() for image in images.values())
    hit = images["instance"][0] == 1
    assert (images["depth"][0][hit] >= cam.near - 1e-6).all()
    # Everything that is hit lies on one of the two slivers.
    p = images["object_coords"][0][hit]
    near_first = (np.abs(p[:, 1]) < 1e-2) & (np.abs(p[:, 2]) < 2e-3)
    near_second = (np.abs(p[:, 0]) < 2e-3) & (np.abs(p[:, 2] - 0.2) < 1e-2)
    assert (near_first | near_second).all()


def test_images_depend_on_their_own_snapshot_only():
    meshes = [box(f"b{k}", half=(0.2, 0.3, 0.1 + 0.02 * k)) for k in range(6)]
    snaps = [
        snapshot(
            [draw(quad(), None, 0), draw(mesh, pose((0.1 * k, 0, 0.2)), k + 1)], camera((0.5, -1.5, 0.5 + 0.1 * k))
        )
        for k, mesh in enumerate(meshes)
    ]
    passes = [*GEOMETRY, "rgb"]
    whole = RasterRenderer().render(snaps, passes).images
    tiny = RasterRenderer(memory_limit=1)
    backwards = tiny.render(snaps[::-1], passes).images
    alone = RasterRenderer()
    for k, snap in enumerate(snaps):
        single = alone.render([snap], passes).images
        for name in passes:
            np.testing.assert_array_equal(whole[name][k], single[name][0])
            np.testing.assert_array_equal(whole[name][k], backwards[name][len(snaps) - 1 - k])


def test_results_are_the_callers_own(renderer):
    first = renderer.render([snapshot([draw(quad())])], GEOMETRY).images
    kept = {name: image.copy() for name, image in first.items()}
    renderer.render([snapshot([draw(box())])], GEOMETRY)
    for name, image in kept.items():
        np.testing.assert_array_equal(first[name], image)


def test_an_empty_scene_and_an_empty_batch(renderer):
    images = render(renderer, snapshot([]), [*GEOMETRY, "rgb"])
    assert not images["instance"].any()
    np.testing.assert_allclose(images["rgb"], 1.0, atol=1e-5)
    assert renderer.render([], ["depth"]).images["depth"].shape == (0, 0, 0)


def test_unknown_passes_devices_and_mixed_sizes_are_refused(renderer):
    with pytest.raises(RenderError, match='did you mean "depth"'):
        renderer.render([], ["dept"])
    with pytest.raises(RenderError, match="cuda"):
        RasterRenderer(device="cuda:7")
    with pytest.raises(RenderError, match="one size"):
        renderer.render([snapshot([]), snapshot([], camera(width=32))], ["depth"])


def test_geometry_has_the_same_bits_on_every_machine(renderer):
    # Everything here is exact or a single division, so that the input has the same bits everywhere.
    R = np.array([[2, -1, 2], [2, 2, -1], [-1, 2, 2]]) / 3
    down = np.array([[1, 0, 0], [0, -0.8, 0.6], [0, -0.6, -0.8]])
    K = np.array([[100.0, 0, 47.5], [0, 101.0, 31.25], [0, 0, 1]])
    cam = Camera(K, pose((0.125, -1.0, 1.5), down), 96, 64)
    points = np.random.Generator(np.random.PCG64(0)).integers(-64, 64, (60, 3)) / 128
    soup = triangles("soup", points, np.arange(60), normals=np.tile([0.6, 0.0, 0.8], (60, 1)))
    parts = [draw(quad(), None, 0), draw(soup, pose((0.1, 0.2, 0.3), R), 1, scale=(0.5, 0.7, 0.6))]
    after = Neighbour(np.stack([np.eye(4), pose((0.12, 0.2, 0.3), R.T)]), pose((0.0, -1.0, 1.5), down))
    images = render(renderer, snapshot(parts, cam, after=after))
    assert images["instance"].mean() > 0.05
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(images[name]).tobytes() for name in GEOMETRY)).hexdigest()
    assert digest == CHECKSUM


CHECKSUM = "26e8bf27415f6fb4baee723835abadbead7bcb346736400b4ff649a4c5a92392"

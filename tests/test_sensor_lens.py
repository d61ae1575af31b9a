"""Lens distortion against OpenCV's own functions and against geometry."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simgen.errors import ConfigError, RenderError
from simgen.geometry import quaternion_from_axis_angle, transform
from simgen.sensors.lens import Lens, project, unproject
from simgen.sensors.remap import Pinhole, Remap, RemapCache, distort, padded_camera, remap_table

RADIAL = Lens(320, 240, 260.0, 262.0, 158.5, 121.25, "radial_tangential", (-0.3, 0.11, 1.2e-3, -8e-4, -0.02))
PINCUSHION = Lens(320, 240, 260.0, 262.0, 158.5, 121.25, "radial_tangential", (0.2, 0.05, 0.0, 0.0, 0.0))
FISHEYE = Lens(320, 240, 150.0, 151.0, 158.5, 121.25, "fisheye", (-0.02, 0.006, -0.002, 0.0003))
LENSES = [RADIAL, PINCUSHION, FISHEYE]


def cv2_project(points: np.ndarray, lens: Lens) -> np.ndarray:
    points = np.asarray(points, np.float64).reshape(-1, 1, 3)
    function = cv2.fisheye.projectPoints if lens.model == "fisheye" else cv2.projectPoints
    if lens.model == "fisheye":
        pixels, _ = function(points, np.zeros(3), np.zeros(3), lens.K, np.array(lens.distortion))
    else:
        pixels, _ = function(points, np.zeros(3), np.zeros(3), lens.K, np.array(lens.distortion))
    return pixels.reshape(-1, 2)


def rays(camera: Pinhole) -> np.ndarray:
    """x, y of the plane z = 1 at each pixel centre, (h, w, 2)."""
    u, v = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    return np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy], -1)


@pytest.fixture(scope="module", params=LENSES, ids=["radial", "pincushion", "fisheye"])
def table(request: pytest.FixtureRequest) -> Remap:
    return remap_table(request.param)


@pytest.mark.parametrize("lens", LENSES)
def test_project_is_opencvs(lens: Lens) -> None:
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.uniform(-0.6, 0.6, (500, 2)), np.ones((500, 1))], 1) * rng.uniform(0.5, 5, (500, 1))
    ours = project(points, lens.K, lens.distortion, lens.model)
    np.testing.assert_allclose(ours, cv2_project(points, lens), atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    u=st.floats(-0.5, 319.5),
    v=st.floats(-0.5, 239.5),
    lens=st.sampled_from(LENSES),
)
def test_unproject_inverts_project(u: float, v: float, lens: Lens) -> None:
    ray = unproject([[u, v]], lens.K, lens.distortion, lens.model)
    assert np.linalg.norm(ray) == pytest.approx(1)
    np.testing.assert_allclose(project(3 * ray, lens.K, lens.distortion, lens.model), [[u, v]], atol=1e-6)


def test_what_cannot_be_seen_is_nan() -> None:
    assert np.isnan(project([[0, 0, -1.0]], RADIAL.K, RADIAL.distortion)).all()
    # Beyond its turning point Brown's model folds back into the image.
    assert np.isnan(project([[3.0, 0, 1.0]], RADIAL.K, (-0.3,))).all()
    assert np.isnan(unproject([[5000.0, 0]], RADIAL.K, (-0.3,))).all()
    assert np.isfinite(project([[1.0, 0, -0.2]], FISHEYE.K, FISHEYE.distortion, "fisheye")).all()


def test_bad_models_are_told() -> None:
    with pytest.raises(ConfigError, match="unknown"):
        project([[0, 0, 1]], RADIAL.K, (), "sphere")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="6 distortion coefficients"):
        project([[0, 0, 1]], RADIAL.K, (0, 0, 0, 0, 0, 1))
    with pytest.raises(ConfigError, match="finite"):
        project([[0, 0, 1]], RADIAL.K, (np.nan,))


def test_table_looks_where_the_lens_looks(table: Remap) -> None:
    lens, source = table.lens, table.source
    assert (table.nearest >= 0).all()
    xy = (table.position - [source.cx, source.cy]) / [source.fx, source.fy]
    points = np.concatenate([xy, np.ones((*xy.shape[:2], 1))], -1)
    u, v = np.meshgrid(np.arange(lens.width), np.arange(lens.height))
    np.testing.assert_allclose(cv2_project(points, lens).reshape(*u.shape, 2), np.stack([u, v], -1), atol=2e-3)


@pytest.mark.parametrize(("scale", "mean", "largest"), [(1.0, 0.25, 1.5), (2.0, 0.1, 1.0)])
def test_label_edges_lie_where_opencv_projects_them(table: Remap, scale: float, mean: float, largest: float) -> None:
    lens = table.lens
    table = remap_table(lens, padded_camera(lens, scale))
    # Slanted stripes of the plane z = 1, one id each: an upright edge would fall on one column of the rendering.
    spacing, slant = 0.12, 0.37
    xy = rays(table.source)
    stripe = np.floor((xy[..., 0] + slant * xy[..., 1]) / spacing)
    labels = (stripe - stripe.min() + 1).astype(np.uint16)
    warped = distort({"instance": labels}, table)["instance"]
    assert set(np.unique(warped)) <= set(np.unique(labels))
    t = np.linspace(-1.2, 1.2, 4001)
    errors: list[float] = []
    for k in range(-3, 4):
        line = np.stack([k * spacing - slant * t, t, np.ones_like(t)], 1)
        one_to_one = np.isfinite(project(line, lens.K, lens.distortion, lens.model)).all(1)
        edge = cv2_project(line[one_to_one], lens)
        rows = np.arange(20, lens.height - 20)
        predicted = np.interp(rows, edge[:, 1], edge[:, 0])
        inside = (predicted > 5) & (predicted < lens.width - 6)
        if inside.sum() < 50:
            continue
        below = warped[rows[inside]] < k - stripe.min() + 1
        measured = below.sum(1) - 0.5
        errors.append(np.mean(measured - predicted[inside]))
        assert np.abs(measured - predicted[inside]).max() <= largest
    assert len(errors) >= 5
    assert np.abs(errors).max() < mean


@pytest.mark.parametrize(("scale", "metres", "degrees"), [(1.0, 1e-3, 0.15), (3.0, 3e-4, 0.05)])
def test_pose_from_warped_object_coordinates(table: Remap, scale: float, metres: float, degrees: float) -> None:
    lens = table.lens
    table = remap_table(lens, padded_camera(lens, scale))
    T = transform((0.02, -0.03, 0.9), quaternion_from_axis_angle((0.3, 1.0, 0.2), 0.5))
    R, t = T[:3, :3], T[:3, 3]
    ray = np.concatenate([rays(table.source), np.ones((*rays(table.source).shape[:2], 1))], -1)
    # Three faces of a corner: the planes x = 0, y = 0 and z = 0 of the object, the nearest in front.
    coords = np.zeros(ray.shape, np.float32)
    depth = np.full(ray.shape[:2], np.inf)
    for axis in range(3):
        s = (R[:, axis] @ t) / (ray @ R[:, axis])
        point = (ray * s[..., None] - t) @ R
        hit = (s > 0.3) & (s < depth) & (np.abs(point) < 0.3).all(-1)
        depth[hit], coords[hit] = s[hit], point[hit]
    depth = np.where(np.isfinite(depth), depth, 0).astype(np.float32)
    warped = distort({"object_coords": coords, "depth": depth}, table)
    v, u = np.nonzero(warped["depth"])
    assert len(u) > 5000
    points, pixels = warped["object_coords"][v, u].astype(np.float64), np.stack([u, v], 1).astype(np.float64)
    if lens.model == "fisheye":
        pixels = cv2.fisheye.undistortPoints(pixels[:, None], lens.K, np.array(lens.distortion))
        _, rotation, position = cv2.solvePnP(points, pixels, np.eye(3), None)
    else:
        _, rotation, position = cv2.solvePnP(points, pixels, lens.K, np.array(lens.distortion))
    assert np.linalg.norm(position.ravel() - t) < metres
    error = cv2.Rodrigues(cv2.Rodrigues(rotation)[0] @ R.T)[0]
    assert np.rad2deg(np.linalg.norm(error)) < degrees


def test_all_passes_stay_in_step(table: Remap) -> None:
    shape = (table.source.height, table.source.width)
    index = np.arange(shape[0] * shape[1], dtype=np.int32).reshape(shape)
    normal = np.stack([index, index + 1, index + 2], -1).astype(np.float32)
    pair = np.stack([index, index], -1)
    out = distort({"instance": index, "normal": normal, "pair": pair}, table)
    np.testing.assert_array_equal(out["instance"], table.nearest)
    np.testing.assert_array_equal(out["normal"][..., 0], table.nearest.astype(np.float32))
    np.testing.assert_array_equal(out["pair"][..., 1], table.nearest)
    assert out["normal"].dtype == np.float32
    room = {"instance": np.empty_like(out["instance"])}
    again = distort({"instance": index, "normal": normal}, table, room)
    assert again["instance"] is room["instance"]
    np.testing.assert_array_equal(again["instance"], out["instance"])
    with pytest.raises(RenderError, match='"instance"'):
        distort({"instance": index}, table, {"instance": room["instance"][:5]})


def test_colour_is_interpolated_at_the_ray(table: Remap) -> None:
    xy = rays(table.source)
    image = np.stack([np.sin(3 * xy[..., 0]), np.cos(2 * xy[..., 1]), xy[..., 0] * xy[..., 1]], -1).astype(np.float32)
    out = distort({"rgb": image}, table)["rgb"]
    lens = table.lens
    u, v = np.meshgrid(np.arange(lens.width), np.arange(lens.height))
    ray = unproject(np.stack([u, v], -1), lens.K, lens.distortion, lens.model).reshape(lens.height, lens.width, 3)
    x, y = ray[..., 0] / ray[..., 2], ray[..., 1] / ray[..., 2]
    expected = np.stack([np.sin(3 * x), np.cos(2 * y), x * y], -1)
    near = np.hypot(x, y) < 1.2
    np.testing.assert_allclose(out[near], expected[near], atol=2e-3)
    grey = np.full((*xy.shape[:2], 3), 77, np.uint8)
    np.testing.assert_array_equal(distort({"rgb": grey}, table)["rgb"], 77)


def test_shrunk_parts_are_averaged() -> None:
    lens = Lens(200, 200, 70.0, 70.0, 99.5, 99.5, "fisheye")
    table = remap_table(lens, max_angle=1.35)
    assert table.taps.max() > 1
    v, u = np.mgrid[: table.source.height, : table.source.width]
    checker = np.repeat((((u + v) % 2).astype(np.float32))[..., None], 3, 2)
    out = distort({"rgb": checker}, table)["rgb"][..., 0]
    strongly = table.taps >= 3
    assert strongly.sum() > 500
    assert out[strongly].mean() == pytest.approx(0.5, abs=0.02)
    assert out[strongly].std() < 0.2  # of a checkerboard picked point by point it would be 0.5


def test_flow_ends_where_the_lens_puts_the_moved_point(table: Remap) -> None:
    lens, source = table.lens, table.source
    shift = np.array([0.04, -0.02, 0.1])  # of the plane z = 1, metres
    xy = rays(source)
    point = np.concatenate([xy, np.ones((*xy.shape[:2], 1))], -1)
    moved = (point + shift)[..., :2] / (point + shift)[..., 2:]
    flow = ((moved - xy) * [source.fx, source.fy]).astype(np.float32)
    out = distort({"flow_forward": flow, "flow_backward": np.zeros_like(flow)}, table)
    assert not out["flow_backward"].any()
    u, v = np.meshgrid(np.arange(lens.width), np.arange(lens.height))
    ray = unproject(np.stack([u, v], -1), lens.K, lens.distortion, lens.model)
    start = ray / ray[:, 2:]
    expected = (cv2_project(start + shift, lens) - cv2_project(start, lens)).reshape(lens.height, lens.width, 2)
    error = np.abs(out["flow_forward"] - expected).max(-1)
    assert np.percentile(error, 99) < 0.1  # the surface point is up to 0.7 source pixels away
    # Exactly: the flow of the surface point that the pixel shows.
    s = np.stack(np.divmod(table.nearest, source.width)[::-1], -1)
    there = np.concatenate([(s - [source.cx, source.cy]) / [source.fx, source.fy], np.ones((*s.shape[:2], 1))], -1)
    exact = (cv2_project(there + shift, lens) - cv2_project(there, lens)).reshape(lens.height, lens.width, 2)
    np.testing.assert_allclose(out["flow_forward"], exact, atol=2e-3)


def test_no_distortion_is_no_change() -> None:
    lens = Lens(64, 48, 50.0, 50.0, 31.5, 23.5)
    camera = padded_camera(lens)
    assert (camera.width, camera.height, camera.K.tolist()) == (64, 48, lens.K.tolist())
    image = np.random.default_rng(0).random((48, 64, 3)).astype(np.float32)
    assert distort({"rgb": image}, remap_table(lens))["rgb"] is image
    # A vanishing distortion takes the table and still gives the picture back, away from the border.
    nearly = Lens(64, 48, 50.0, 50.0, 31.5, 23.5, "radial_tangential", (1e-12,))
    table = remap_table(nearly)
    padded = np.pad(image, ((0, 0), (0, 0), (0, 0)))
    big = np.zeros((table.source.height, table.source.width, 3), np.float32)
    y, x = int(table.source.cy - 23.5), int(table.source.cx - 31.5)
    big[y : y + 48, x : x + 64] = padded
    np.testing.assert_allclose(distort({"rgb": big}, table)["rgb"][2:-2, 2:-2], image[2:-2, 2:-2], atol=1e-5)


def test_beyond_the_image_circle_is_empty() -> None:
    lens = Lens(200, 200, 60.0, 60.0, 99.5, 99.5, "fisheye")
    table = remap_table(lens, max_angle=1.2)
    out = distort({"depth": np.ones((table.source.height, table.source.width), np.float32)}, table)["depth"]
    u, v = np.meshgrid(np.arange(200), np.arange(200))
    angle = np.hypot(u - 99.5, v - 99.5) / 60.0
    assert (out[angle > 1.21] == 0).all()
    assert (out[angle < 1.19] == 1).all()


def test_wrong_sizes_and_impossible_lenses_are_told(table: Remap) -> None:
    with pytest.raises(RenderError, match="padded_camera"):
        distort({"depth": np.zeros((3, 3), np.float32)}, table)
    with pytest.raises(RenderError, match="max_angle"):
        padded_camera(Lens(4000, 4000, 1300.0, 1300.0, 2000.0, 2000.0, "fisheye"))


def test_cache_keeps_within_its_bound() -> None:
    cache = RemapCache(max_bytes=3 * 100 * 80 * 13)
    lenses = [Lens(100, 80, 90.0, 90.0, 49.5, 39.5, "radial_tangential", (k,)) for k in (-0.1, -0.2, -0.3, -0.4)]
    first = cache.get(lenses[0])
    assert cache.get(lenses[0]) is first
    for lens in lenses:
        cache.get(lens)
        assert 0 < cache.nbytes <= cache.max_bytes
    again = cache.get(lenses[0])
    assert again is not first
    np.testing.assert_array_equal(again.position, first.position)
    tiny = RemapCache(max_bytes=10)
    assert tiny.get(lenses[1]).nbytes > 10
    assert tiny.nbytes == 0

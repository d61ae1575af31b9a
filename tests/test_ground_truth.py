"""Keypoints, boxes, point clouds, occlusion and relations against independent computations."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from simgen import config
from simgen.config import RenderConfig, load
from simgen.errors import ConfigError
from simgen.generate.job import render
from simgen.generate.pipeline import SceneResult, draw_scene, scene_frames
from simgen.generate.replay import replay
from simgen.generate.scenes import SceneSource
from simgen.geometry import transform
from simgen.labels.boxes import box_corners, box_pixels, loose_boxes
from simgen.labels.frame import Frame
from simgen.labels.geometry import occlusion_boundaries, occlusion_order, point_cloud
from simgen.labels.keypoints import OCCLUDED, OUT_OF_FRAME, SELF_OCCLUDED, VISIBLE
from simgen.labels.relations import lying_in, lying_on, touching
from simgen.labels.rle import decode
from simgen.render.raycast import cast, ray_scene
from simgen.render.snapshot import camera_at, resolve, snapshot
from simgen.scene.state import Trace
from simgen.shards.reader import Dataset
from simgen.shards.verify import verify

WIDTH, HEIGHT = 240, 180
CORNERS = {
    f"c{x}{y}{z}": [0.5 * (2 * x - 1), 0.5 * (2 * y - 1), 0.5 * (2 * z - 1)]
    for x in (0, 1)
    for y in (0, 1)
    for z in (0, 1)
}
FACES = {"top": [0, 0, 0.5], "bottom": [0, 0, -0.5], "left": [-0.5, 0, 0], "front": [0, -0.5, 0]}
BARREL = {"k1": -0.25, "k2": 0.06}


def settings(scene: str = "shapes", *overrides: str, **camera: Any) -> RenderConfig:
    size = [f"image.width={WIDTH}", f"image.height={HEIGHT}"]
    plain = config.to_plain(load(scene, [*size, *overrides]))
    if scene == "shapes":
        plain["scene"]["cameras"]["main"].update(views=2, **camera)
        plain["scene"]["objects"]["shapes"].update(assets=["primitive/box", "primitive/cylinder"], count=12)
    plain["scene"]["keypoints"] = {"box": {"assets": ["*/box"], "points": {**CORNERS, **FACES}}}
    return config.from_plain(plain)


@pytest.fixture(scope="module")
def source() -> SceneSource:
    return SceneSource(settings())


@pytest.fixture(scope="module", params=[None, BARREL], ids=["pinhole", "lens"])
def result(request: pytest.FixtureRequest, source: SceneSource) -> SceneResult:
    made = settings(distortion=request.param or {}, radius=0.5, hfov_deg=40)
    return scene_frames(made, source.library, source.renderer, 0)


def test_keypoints_are_where_opencv_projects_them(result: SceneResult) -> None:
    for frame in result.frames:
        table = frame.keypoints
        assert table is not None
        for p in range(len(table.name)):
            row = table.object[p]
            assert frame.objects.asset[row] == "primitive/box"
            scale = result.record.bodies[frame.objects.body[row]].scale
            point = np.array({**CORNERS, **FACES}[table.name[p]]) * scale
            rotation = cv2.Rodrigues(frame.objects.T_cam_obj[row, :3, :3])[0]
            position = frame.objects.T_cam_obj[row, :3, 3]
            expected = cv2.projectPoints(point[None], rotation, position, frame.K, frame.distortion)[0][0, 0]
            np.testing.assert_allclose(table.xy[p], expected, atol=1e-6)


def test_visibility_is_that_of_rays(result: SceneResult, source: SceneSource) -> None:
    agree = total = 0
    seen: set[int] = set()
    scene = resolve(result.record, source.library)
    for place, frame in enumerate(result.frames):
        record = result.record.frames[place]
        state = result.simulation.at(record.time)
        moment = snapshot(scene, state, record)
        rays = ray_scene(moment)
        ids = [drawable.instance_id for drawable in moment.drawables]
        table = frame.keypoints
        assert table is not None
        camera = camera_at(result.record, state, record.camera).T_world_cam
        points = table.xyz @ camera[:3, :3].T + camera[:3, 3]
        directions = points - camera[:3, 3]
        hits = cast(rays, camera[:3, 3], directions)
        u, v = table.xy.T
        inside = (u >= -0.5) & (u < WIDTH - 0.5) & (v >= -0.5) & (v < HEIGHT - 0.5)
        for p in range(len(table.name)):
            total += 1
            seen.add(int(table.visibility[p]))
            if not inside[p]:
                expected = OUT_OF_FRAME
            elif hits.t[p] > 1 - 0.003:
                expected = VISIBLE
            else:
                own = ids[hits.owner[p]] == frame.objects.instance_id[table.object[p]]
                expected = SELF_OCCLUDED if own else OCCLUDED
            agree += expected == table.visibility[p]
    assert total > 100
    assert {VISIBLE, SELF_OCCLUDED, OCCLUDED} <= seen
    assert agree / total > 0.95


def test_box_corners_enclose_the_mesh(result: SceneResult, source: SceneSource) -> None:
    for frame in result.frames:
        corners, pixels = box_corners(frame.objects), box_pixels(frame)
        for row, asset in enumerate(frame.objects.asset):
            mesh = np.concatenate([m.vertices for m in source.library.asset(asset).meshes])
            scaled = mesh * result.record.bodies[frame.objects.body[row]].scale
            T = frame.objects.T_cam_obj[row]
            box = np.linalg.inv(T) @ np.c_[corners[row], np.ones(8)].T
            np.testing.assert_allclose(box[:3].min(1), scaled.min(0), atol=1e-5)
            np.testing.assert_allclose(box[:3].max(1), scaled.max(0), atol=1e-5)
            expected = cv2.projectPoints(corners[row], np.zeros(3), np.zeros(3), frame.K, frame.distortion)[0][:, 0]
            known = np.isfinite(pixels[row]).all(1)
            np.testing.assert_allclose(pixels[row][known], expected[known], atol=1e-6)


def test_loose_boxes_enclose_what_is_inside_of_the_image(result: SceneResult) -> None:
    hidden = 0
    for frame in result.frames:
        objects = frame.objects
        boxes = loose_boxes(objects, WIDTH, HEIGHT)
        whole = (objects.truncated == 0) & (objects.px_full > 0)
        np.testing.assert_array_equal(boxes[whole], objects.bbox_full[whole])
        seen = objects.px_visib > 0
        tight = objects.bbox_visib
        assert (boxes[seen, :2] <= tight[seen, :2]).all()
        assert (boxes[seen, :2] + boxes[seen, 2:] >= tight[seen, :2] + tight[seen, 2:]).all()
        hidden += int((boxes != tight).any(1).sum())
        assert not boxes[objects.truncated == 1].any()
    assert hidden


def test_points_of_a_cloud_lie_on_the_objects(result: SceneResult, source: SceneSource) -> None:
    frame = result.frames[1]
    cloud, world = point_cloud(frame), point_cloud(frame, world=True)
    assert cloud.color is not None
    assert cloud.instance is not None
    assert len(cloud.points) == np.count_nonzero(frame.images["depth"])
    np.testing.assert_allclose(cloud.points[:, 2], frame.images["depth"][frame.images["depth"] > 0], rtol=1e-6)
    u, v = cloud.pixel.T
    np.testing.assert_array_equal(cloud.color, frame.images["rgb"][v, u])
    pixels = cv2.projectPoints(cloud.points, np.zeros(3), np.zeros(3), frame.K, frame.distortion)[0][:, 0]
    np.testing.assert_allclose(pixels, cloud.pixel, atol=1e-3)
    boxes = [row for row, asset in enumerate(frame.objects.asset) if asset == "primitive/box"]
    for row in boxes:
        mine = world.points[cloud.instance == row + 1]
        inside = (np.linalg.inv(frame.objects.T_world_obj[row]) @ np.c_[mine, np.ones(len(mine))].T)[:3].T
        outermost = np.abs(inside / (frame.objects.size[row] / 2)).max(1)
        assert (np.abs(outermost - 1) < 0.05).mean() > 0.97 if len(mine) else True


def synthetic(depth: np.ndarray, instance: np.ndarray, frame: Frame) -> Frame:
    return dataclasses.replace(
        frame, images={"depth": depth.astype(np.float32), "instance": instance.astype(np.uint16)}
    )


def test_boundaries_belong_to_the_nearer_surface(result: SceneResult) -> None:
    depth = np.full((20, 30), 2.0)
    depth[5:15, 10:20] = 1.0
    depth[:, 28:] = 0
    edges = occlusion_boundaries(synthetic(depth, depth == 1, result.frames[0]))
    expected = np.zeros((20, 30), bool)
    expected[5:15, 10:20] = True
    expected[6:14, 11:19] = False
    expected[:, 27] = True
    np.testing.assert_array_equal(edges, expected)


def test_occlusion_order_counts_what_is_hidden(result: SceneResult) -> None:
    frame = result.frames[0]
    hidden = occlusion_order(frame)
    for row, counts in enumerate(frame.objects.mask_full):
        full = int(decode(counts, HEIGHT, WIDTH).sum())
        assert hidden[:, row + 1].sum() == full - frame.objects.px_visib[row]
    assert hidden[1:, 1:].sum() > 0
    assert not hidden.diagonal().any()


def test_a_dataset_with_keypoints_is_sound_and_replays(tmp_path: Path) -> None:
    made = settings("shapes", f"out={tmp_path / 'd'}", "frames=4", "workers=1", "passes=[rgb]")
    render(made)
    assert verify(tmp_path / "d") == []
    with Dataset(tmp_path / "d") as data:
        assert data.passes == ("rgb",)
        table = data[1].keypoints
        assert table is not None
        assert set(table.name) == {*CORNERS, *FACES}
        assert table.xyz.dtype == np.float64
        assert data[1].objects.center is not None
    for index in range(4):
        assert replay(tmp_path / "d", index) == []


def test_keypoints_beside_the_mesh(tmp_path: Path) -> None:
    """A sidecar's points are labelled like a scene's, which go before them."""
    (tmp_path / "peg.obj").write_text("v 0 0 0\nv 0.1 0 0\nv 0 0.1 0\nv 0 0 0.1\nf 1 3 2\nf 1 2 4\nf 2 3 4\nf 1 4 3\n")
    (tmp_path / "peg.yaml").write_text("keypoints: {tip: [0, 0, 0.1], foot: [0, 0, 1e-3]}\n")
    plain = config.to_plain(settings("shapes", f"assets.path=[{tmp_path}]"))
    plain["scene"]["objects"]["shapes"].update(assets=["peg"], count=3, size=None)
    plain["scene"]["keypoints"] = {}
    made = config.from_plain(plain)
    source = SceneSource(made)
    frame = scene_frames(made, source.library, source.renderer, 0).frames[0]
    assert frame.keypoints is not None
    assert set(frame.keypoints.name) == {"tip", "foot"}
    for k, name in enumerate(frame.keypoints.name):
        T = frame.objects.T_cam_obj[frame.keypoints.object[k]]
        np.testing.assert_allclose(frame.keypoints.xyz[k], T[:3, 2] * {"tip": 0.1, "foot": 0.001}[name] + T[:3, 3])
    plain["scene"]["keypoints"] = {"pegs": {"assets": ["peg"], "points": {"corner": [0.1, 0, 0]}}}
    record, _ = draw_scene(config.from_plain(plain), source.library, 0)
    assert record.keypoints == {"peg": {"corner": (0.1, 0.0, 0.0)}}


def test_broken_templates_are_told() -> None:
    plain = config.to_plain(settings())
    plain["scene"]["keypoints"]["box"]["points"]["c000"] = [1, 2]
    with pytest.raises(ConfigError, match="must be a list of 3 numbers"):
        config.from_plain(plain)


def test_relations_in_a_bin(source: SceneSource) -> None:
    made = settings("bin_picking", "scene.objects.parts.count=8", "scene.time.frames=1")
    result = scene_frames(made, source.library, source.renderer, 0, [0])
    record, contacts = result.record, result.simulation.traces["contacts"]
    parts = [b.name for b in record.bodies if b.category is not None and b.name not in result.simulation.removed]
    touch, on = touching(record, contacts, 0.0), lying_on(record, contacts, 0.0)
    state = result.simulation.states[0]
    poses = {b.name: s.T_world_obj for b, s in zip(record.bodies, state.bodies, strict=True) if s is not None}
    inside = lying_in(record, {name: poses[name] for name in parts})
    assert inside == {(name, "bin") for name in parts}
    held = {thing for thing, _ in on}
    for name in parts:
        assert any(name in pair for pair in touch)
        # Everything at rest is held by something that is not above it, or is wedged between others.
        assert name in held or sum(name in pair for pair in touch) > 1
    assert ("bin", "bench") not in inside
    lifted = {parts[0]: transform((0, 0, 0.6))}
    assert lying_in(record, lifted) == set()


def test_relations_of_a_stack(source: SceneSource) -> None:
    made = settings()
    record = scene_frames(made, source.library, source.renderer, 0, [0]).record
    names = [body.name for body in record.bodies]
    low, high = names.index("shapes_00"), names.index("shapes_01")
    ground = names.index("ground_top")
    columns = ("body_a", "body_b", "x", "y", "z", "nx", "ny", "nz", "distance", "force")
    rows = [
        [high, low, 0, 0, 0.1, 0.1, 0, 0.995, 0, 3.0],
        [ground, low, 0, 0, 0, 0, 0, -1.0, 0, 8.0],
        [high, ground, 0.1, 0, 0, 1.0, 0, 0, 0, 0.2],
    ]
    trace = Trace(np.zeros(3), np.array(rows, float), columns, ("1",) * 10)
    assert lying_on(record, trace, 0.0) == {("shapes_01", "shapes_00"), ("shapes_00", "ground")}
    assert touching(record, trace, 0.0) == {
        ("shapes_00", "shapes_01"), ("ground", "shapes_00"), ("ground", "shapes_01")
    }  # fmt: skip
    empty = Trace(np.zeros(0), np.zeros((0, 10)), columns, ("1",) * 10)
    assert touching(record, empty, 0.0) == set()

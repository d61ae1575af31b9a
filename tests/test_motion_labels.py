"""Scene flow, validity of optical flow and point tracks, held against poses, projection and rays."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simgen import config
from simgen.config import load
from simgen.errors import ConfigError
from simgen.generate.job import render
from simgen.generate.pipeline import compute_frames, draw_scene
from simgen.generate.replay import replay
from simgen.generate.scenes import SceneSource
from simgen.labels.frame import Frame
from simgen.labels.motion import flow_validity, point_tracks, scene_flow
from simgen.render.base import Snapshot
from simgen.render.raycast import cast, ray_scene
from simgen.render.snapshot import resolve, snapshot
from simgen.sensors.lens import project, unproject
from simgen.shards.reader import Dataset
from simgen.shards.verify import verify

WIDTH, HEIGHT = 120, 90
PASSES = ("depth", "instance", "part", "object_coords", "flow_forward")


@pytest.fixture(scope="module")
def source() -> SceneSource:
    """Things that fall into a bin, a moving robot, a camera on its hand and one beside it."""
    size = [f"image.width={WIDTH}", f"image.height={HEIGHT}", "scene.world.settle=false"]
    plain = config.to_plain(load("bin_picking", [*size, "scene.time.frames=4", "scene.time.rate=12"]))
    plain["scene"]["objects"]["parts"].update(count=10)
    plain["scene"]["objects"]["parts"]["place"].update(region=[0.2, 0.2], height=0.12)
    return SceneSource(config.from_plain(plain))


@pytest.fixture(scope="module")
def moments(source: SceneSource) -> dict[str, list[tuple[Snapshot, dict[str, Any]]]]:
    """Camera -> its snapshots in time, each with the next one known, and their buffers."""
    record, simulation = draw_scene(source.config, source.library, 0)
    scene = resolve(record, source.library)
    found: dict[str, list[tuple[Snapshot, dict[str, Any]]]] = {}
    for camera in ("wrist", "scene"):
        frames = [frame for frame in record.frames if frame.camera.name == camera]
        states = [simulation.at(frame.time) for frame in frames]
        followers = [*zip(states[1:], frames[1:], strict=True), None]
        shots = [snapshot(scene, s, f, None, n) for s, f, n in zip(states, frames, followers, strict=True)]
        buffers = source.renderer.render(shots, PASSES).images
        found[camera] = [(shot, {name: buffer[k] for name, buffer in buffers.items()}) for k, shot in enumerate(shots)]
    return found


def poses(shot: Snapshot) -> tuple[np.ndarray, np.ndarray]:
    assert shot.next is not None
    now = np.linalg.inv(shot.camera.T_world_cam) @ np.stack([d.T_world_obj for d in shot.drawables])
    return now, np.linalg.inv(shot.next.T_world_cam) @ shot.next.T_world_obj


@pytest.mark.parametrize("camera", ["wrist", "scene"])
def test_a_point_plus_its_scene_flow_projects_to_its_pixel_plus_its_flow(moments: Any, camera: str) -> None:
    largest = 0.0
    for shot, images in moments[camera][:-1]:
        moved = scene_flow(images["part"], images["object_coords"], *poses(shot))
        assert (moved.dtype, moved.shape) == (np.float32, (HEIGHT, WIDTH, 3))
        v, u = np.nonzero(images["depth"])
        assert not moved[images["depth"] == 0].any()
        K = shot.camera.K
        rays = np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], np.ones(len(u))], 1)
        then = rays * images["depth"][v, u][:, None] + moved[v, u]
        ahead = then[:, 2] > 0.05
        pixels = then[ahead] @ K.T
        pixels = pixels[:, :2] / pixels[:, 2:]
        expected = np.stack([u, v], 1)[ahead] + images["flow_forward"][v, u][ahead]
        assert np.abs(pixels - expected).max() < 0.05
        largest = max(largest, float(np.abs(images["flow_forward"]).max()))
    assert largest > 3


@pytest.mark.parametrize("camera", ["wrist", "scene"])
def test_flow_is_valid_where_a_ray_at_the_other_time_reaches_the_point(moments: Any, camera: str) -> None:
    agree = total = hidden = outside = 0
    for (shot, images), (after, images_then) in zip(moments[camera][:-1], moments[camera][1:], strict=True):
        moved = scene_flow(images["part"], images["object_coords"], *poses(shot))
        valid = flow_validity(images["flow_forward"], moved, images["depth"], images_then["depth"])
        assert not valid[images["depth"] == 0].any()
        v, u = np.nonzero(images["depth"])
        K, T = shot.camera.K, after.camera.T_world_cam
        rays = np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], np.ones(len(u))], 1)
        then = rays * images["depth"][v, u][:, None] + moved[v, u]
        hits = cast(ray_scene(after), T[:3, 3], then @ T[:3, :3].T)
        at = np.stack([u, v], 1) + images["flow_forward"][v, u]
        inside = (at >= -0.5).all(1) & (at[:, 0] < WIDTH - 0.5) & (at[:, 1] < HEIGHT - 0.5)
        expected = inside & (hits.t > 1 - 0.004) & (then[:, 2] > 0)
        agree += int((valid[v, u] == expected).sum())
        total += len(u)
        hidden += int((inside & ~expected).sum())
        outside += int((~inside).sum())
        assert not valid[v, u][~inside].any()
    # Where they differ a silhouette passes within a pixel of the point.
    assert agree / total > 0.98
    assert hidden > 30
    assert (outside > 30) == (camera == "wrist")


def test_points_are_followed_as_the_flow_leads(source: SceneSource, moments: Any) -> None:
    record, simulation = draw_scene(source.config, source.library, 0)
    categories = {body.category: 1 for body in record.bodies if body.category is not None}
    passes = ("depth", "instance", "part", "flow_forward")
    every = list(compute_frames(record, simulation, source.library, source.renderer, passes, categories))
    frames = [frame for frame in every if frame.camera == "wrist"]
    start = frames[0]
    rng = np.random.default_rng(2)
    robot = _parts_of_the_robot(moments["wrist"][0][0])
    v, u = np.nonzero((start.images["depth"] > 0) & ~np.isin(start.images["part"], robot))
    some = rng.choice(len(u), 300, replace=False)
    queries = np.stack([np.zeros(300, int), u[some], v[some]], 1)
    tracks = point_tracks(frames, queries)
    np.testing.assert_allclose(tracks.xy[:, 0], queries[:, 1:], atol=1e-3)
    assert tracks.visible[:, 0].all()
    assert len(np.unique(tracks.instance)) > 4
    led = queries[:, 1:] + start.images["flow_forward"][queries[:, 2], queries[:, 1]]
    ahead = np.isfinite(tracks.xy[:, 1]).all(1)
    assert np.abs(tracks.xy[ahead, 1] - led[ahead]).max() < 0.05
    assert np.abs(tracks.xy[ahead, 1] - tracks.xy[ahead, 0]).max() > 2
    for t, frame in enumerate(frames):
        shot, _ = moments["wrist"][t]
        T = frame.T_world_cam
        hits = cast(ray_scene(shot), T[:3, 3], tracks.xyz[:, t] @ T[:3, :3].T)
        inside = ((tracks.xy[:, t] >= -0.5) & (tracks.xy[:, t] < [WIDTH - 0.5, HEIGHT - 0.5])).all(1)
        expected = inside & (hits.t > 1 - 0.004)
        assert (tracks.visible[:, t] == expected).mean() > 0.97
    assert 0 < tracks.visible[:, -1].mean() < 1


def _parts_of_the_robot(shot: Snapshot) -> list[int]:
    """Parts without a label that move; those of the bin and the floor do not."""
    assert shot.next is not None
    moving = np.abs(shot.next.T_world_obj - np.stack([d.T_world_obj for d in shot.drawables])).max((1, 2)) > 1e-9
    return [d.part_id for d, moves in zip(shot.drawables, moving, strict=True) if moves and d.instance_id == 0]


def test_a_query_beside_every_surface_is_told(source: SceneSource) -> None:
    record, simulation = draw_scene(source.config, source.library, 0)
    categories = {body.category: 1 for body in record.bodies if body.category is not None}
    [frame] = compute_frames(
        record, simulation, source.library, source.renderer, ("depth", "instance"), categories, [0]
    )
    assert isinstance(frame, Frame)
    with pytest.raises(ValueError, match="there is no surface"):
        point_tracks([frame], [(0, -1, 3)])


@pytest.mark.parametrize("distortion", [None, {"k1": -0.25, "k2": 0.06}], ids=["pinhole", "lens"])
def test_the_main_job_stores_motion(source: SceneSource, tmp_path: Path, distortion: dict[str, float] | None) -> None:
    """Validity and scene flow as the lens sees them; the same alone as among others, and after replay."""
    passes = ["depth", "flow_forward", "flow_forward_valid", "flow_backward_valid", "scene_flow_forward"]
    plain = config.to_plain(source.config) | {"out": str(tmp_path / "d"), "frames": 8, "workers": 1, "passes": passes}
    for camera in plain["scene"]["cameras"].values():
        camera["distortion"] = distortion or {}
    render(config.from_plain(plain))
    assert verify(tmp_path / "d") == []
    assert replay(tmp_path / "d", 2) == []
    led = 0
    with Dataset(tmp_path / "d") as data:
        for camera in ("wrist", "scene"):
            frames = [frame for frame in data if frame.camera == camera]
            assert not frames[-1].images["flow_forward_valid"].any()
            assert not frames[-1].images["scene_flow_forward"].any()
            assert not frames[0].images["flow_backward_valid"].any()
            for now, then in pairwise(frames):
                valid = now.images["flow_forward_valid"]
                assert valid.dtype == np.uint8
                v, u = np.nonzero(valid)
                assert len(u) > 0.4 * valid.size
                coefficients = now.distortion
                rays = unproject(np.stack([u, v], 1), now.K, coefficients, "radial_tangential")
                points = (
                    rays / rays[:, 2:] * now.images["depth"][v, u][:, None] + now.images["scene_flow_forward"][v, u]
                )
                at = np.stack([u, v], 1) + now.images["flow_forward"][v, u]
                # Labels through a lens are picked from a grid that is up to half a pixel off.
                near = 0.05 if distortion is None else 1.0
                assert np.abs(project(points, now.K, coefficients, "radial_tangential") - at).max() < near
                column, row = np.rint(at).astype(int).T
                seen = then.images["depth"][np.clip(row, 0, HEIGHT - 1), np.clip(column, 0, WIDTH - 1)]
                led += (np.abs(seen - points[:, 2]) < 0.02).mean() > 0.9
                back = then.images["flow_backward_valid"]
                assert abs(back.mean() - valid.mean()) < 0.3
    assert led >= 4


def test_a_rolling_shutter_has_no_single_other_time() -> None:
    plain = config.to_plain(load("shapes", ["passes=[flow_forward_valid]"]))
    plain["scene"]["cameras"]["main"]["shutter"] = {"readout": 0.01}
    with pytest.raises(ConfigError, match="flow_forward_valid is not defined"):
        config.from_plain(plain)

"""The same configuration and seed give the same arrays, bit for bit, however they are computed.

Every scene with both renderers, every factor, every pass, worker counts, a killed run, and single frames again.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_generate_job import assert_same
from test_generate_scenes import assert_identical

from simgen.config import PASSES, RenderConfig, load
from simgen.generate.job import render
from simgen.generate.pipeline import replay_scene, scene_frames
from simgen.generate.replay import replay
from simgen.generate.scenes import SceneSource
from simgen.randomize.factors import FACTORS
from simgen.shards.manifest import MANIFEST
from simgen.shards.manifest import load as load_manifest

SMALL = ["image.width=64", "image.height=48", "output.frames_per_shard=3"]
ALL = f"passes=[{','.join(PASSES)}]"


def small(scene: str, *overrides: str) -> RenderConfig:
    return load(scene, [*SMALL, *overrides])


@pytest.mark.parametrize("renderer", ["raster", "tiny"])
@pytest.mark.parametrize("scene", ["shapes", "tabletop", "bin_picking"])
def test_workers_and_replay(scene: str, renderer: str, tmp_path: Path) -> None:
    passes = [ALL] if renderer == "raster" else []
    # Tiny takes long for each frame of the larger scenes: one scene of few views is enough to compare.
    views = {} if scene != "tabletop" else {"scene.cameras.main.views": 2}
    overrides = [*passes, f"renderer={renderer}", "frames=6", *(f"{k}={v}" for k, v in views.items())]
    if scene == "bin_picking":
        overrides.append("scene.time.frames=2")
    folders = {workers: tmp_path / str(workers) for workers in (1, 2)}
    for workers, folder in folders.items():
        render(small(scene, *overrides, f"workers={workers}", f"out={folder}"))
    assert_same(folders[1], folders[2])
    for frame in (5, 0):
        assert replay(folders[1], frame) == []


@pytest.fixture(scope="module")
def used() -> SceneSource:
    """A library and renderer that many other scenes have gone through."""
    return SceneSource(small("shapes", ALL))


@pytest.mark.parametrize("factor", FACTORS)
def test_every_factor(factor: str, used: SceneSource) -> None:
    others = [f"randomize.{name}.enabled=false" for name in FACTORS if name != factor]
    config = small("shapes", ALL, "scene.time.frames=2", *others)
    after_others = scene_frames(config, used.library, used.renderer, 4)
    fresh = SceneSource(config)
    alone = scene_frames(config, fresh.library, fresh.renderer, 4)
    assert alone.record == after_others.record
    replayed = replay_scene(alone.record, config, used.library, used.renderer)
    for a, b, c in zip(alone.frames, after_others.frames, replayed.frames, strict=True):
        assert_identical(a, b)
        assert_identical(a, c)


@pytest.mark.parametrize("factor", FACTORS)
def test_every_factor_does_something(factor: str, used: SceneSource) -> None:
    """Otherwise the test above would hold of a factor that draws nothing."""
    on, off = (
        [scene_frames(config, used.library, used.renderer, scene).record for scene in range(4)]
        for config in (small("shapes"), small("shapes", f"randomize.{factor}.enabled=false"))
    )
    assert on != off


def test_a_killed_run_goes_on(tmp_path: Path) -> None:
    frames = ["scene=shapes", *SMALL, "frames=24", "output.frames_per_shard=2", "workers=2"]
    whole = tmp_path / "whole"
    render(load("shapes", [*frames[1:], f"out={whole}"]))
    killed = tmp_path / "killed"
    command = [sys.executable, "-m", "simgen.cli.main", "render", *frames, f"out={killed}"]
    run = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        end = time.monotonic() + 120
        while time.monotonic() < end and run.poll() is None and not list(killed.glob("shards/*.h5")):
            time.sleep(0.01)
    finally:
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
    assert (killed / MANIFEST).exists()
    assert list(killed.glob("shards/*.h5"))
    render(load("shapes", [*frames[1:], f"out={killed}"]))
    assert {entry.state for entry in load_manifest(killed).shards} == {"complete"}
    assert_same(whole, killed)

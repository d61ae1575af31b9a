"""What is between walls, and the removal of what is not."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from simgen import config
from simgen.assets.library import Library
from simgen.errors import ConfigError
from simgen.physics.simulate import simulate
from simgen.randomize.sample import sample
from simgen.scene.containers import containers
from simgen.scene.record import Pose, SceneRecord, from_json, to_json

SCENE = """
world: {settle_time: 3.0}
surfaces:
  ground: {kind: plane, size: [4, 4], position: [0, 0, -0.2]}
  crate: {kind: bin, size: [0.4, 0.2], height: 0.1, thickness: 0.01, position: [0.5, 0, 0], yaw_deg: 30}
objects:
  things:
    assets: [primitive/box]
    size: 0.04
    count: 3
    place: {kind: drop, onto: crate, region: [0.2, 0.1], keep_inside: %s}
cameras: {main: {}}
"""


def drawn(tmp_path: Path, keep: bool = True) -> SceneRecord:
    file = tmp_path / "crate.yaml"
    file.write_text(SCENE % str(keep).lower())
    return sample(config.load(file), Library(), 0, 0)


def moved(record: SceneRecord, name: str, position: tuple[float, float, float]) -> SceneRecord:
    bodies = [replace(b, pose=Pose(position, b.pose.quaternion_xyzw)) if b.name == name else b for b in record.bodies]
    return replace(record, bodies=tuple(bodies))


def test_walls(tmp_path: Path) -> None:
    crate = containers(drawn(tmp_path))["crate"]
    np.testing.assert_allclose(crate.size, (0.4, 0.2), atol=1e-12)
    np.testing.assert_allclose(crate.height, 0.09, atol=1e-12)  # above the floor, which is 0.01 thick
    c, s = math.cos(math.radians(30)), math.sin(math.radians(30))
    for x, y, z, inside in (
        (0.0, 0.0, 0.02, True),
        (0.199, 0.099, 0.02, True),
        (-0.199, 0.0, 1.0, True),
        (0.201, 0.0, 0.02, False),
        (0.0, -0.101, 0.02, False),
        (0.0, 0.0, -0.05, False),
    ):
        assert crate.over((0.5 + c * x - s * y, s * x + c * y, z)) == inside
    np.testing.assert_allclose(crate.depth((0.5, 0, 0.03)), 0.07, atol=1e-12)


def test_what_rests_outside_is_taken_out(tmp_path: Path) -> None:
    library = Library()
    record = moved(drawn(tmp_path), "things_01", (0.0, 0.5, 0.0))
    simulation = simulate(record, library)
    assert simulation.removed == {"things_01": "came to rest outside of the crate"}
    assert simulation.settled
    at = {b.name: state for b, state in zip(record.bodies, simulation.states[0].bodies, strict=True)}
    assert at["things_01"] is None
    crate = containers(record)["crate"]
    assert all(crate.over(at[name].T_world_obj[:3, 3]) for name in ("things_00", "things_02"))
    # What leans on it settles again, and the record is all that is needed for the same bits.
    again = simulate(from_json(to_json(record)), library)
    for a, b in zip(simulation.states[0].bodies, again.states[0].bodies, strict=True):
        assert (a is None) == (b is None)
        if a is not None and b is not None:
            assert a.T_world_obj.tobytes() == b.T_world_obj.tobytes()


def test_by_default_it_stays(tmp_path: Path) -> None:
    record = moved(drawn(tmp_path, keep=False), "things_01", (0.0, 0.5, 0.0))
    assert simulate(record, Library()).removed == {}


def test_there_must_be_walls(tmp_path: Path) -> None:
    file = tmp_path / "crate.yaml"
    file.write_text((SCENE % "true").replace("onto: crate", "onto: ground"))
    with pytest.raises(ConfigError, match=r"things.place.keep_inside needs a tray, bin or room"):
        config.load(file)

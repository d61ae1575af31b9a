"""Designs of single draws: names that no scene draws are told before anything is made, others never are."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_library import PANDA, FakeLibrary

from simgen import config
from simgen.cli.main import main
from simgen.errors import ConfigError
from simgen.randomize.draw import Draw
from simgen.randomize.names import check_designs, draw_names
from simgen.randomize.sample import sample


@pytest.fixture
def library(tmp_path: Path) -> FakeLibrary:
    urdf = tmp_path / "panda.urdf"
    urdf.write_text(PANDA)
    return FakeLibrary(urdf=urdf)


RICH = """
surfaces: {desk: {kind: table}}
objects:
  mugs:
    assets: ["ycb/*"]
    count: {dist: choice, values: [0, 0, 2]}
    place: {kind: fixed, onto: desk, poses: [{position: [0, 0, 0.2]}, {position: [0.3, 0, 0.2]}]}
    texture: {probability: 0.1, images: [textures/*]}
cameras:
  main: {kind: shell, shutter: {exposure_time: 0.01}, aperture: {f_number: 4}}
  second: {kind: rig, of: main, depth_sensor: {preset: realsense_d435}}
sensor:
  bloom: {dist: choice, values: [0, 0.1]}
  prnu: {dist: choice, values: [0, 0.1]}
  tone_curve: {dist: choice, values: [srgb, gamma]}
  gamma: {dist: uniform, low: 1.8, high: 2.4}
sensors:
  late: {kind: imu, body: mugs_01, rate: 50}
traces: [bodies]
"""


@pytest.mark.parametrize("strength", [0, 0.5, 1])
@pytest.mark.parametrize("scene", ["tabletop", "shapes", "rich"])
def test_every_draw_of_every_scene_is_known(
    tmp_path: Path, library: FakeLibrary, monkeypatch: pytest.MonkeyPatch, scene: str, strength: float
) -> None:
    """Thirty scenes, in which there is now this and now that, draw nothing else."""
    (tmp_path / "rich.yaml").write_text(RICH)
    where = tmp_path / "rich.yaml" if scene == "rich" else scene
    made = config.load(where, [f"randomize.{f}.strength={strength}" for f in ("textures", "sensor", "content")])
    known = draw_names(made, library)
    heard: dict[str, set[str]] = {}
    asked = Draw.uniforms

    def listen(self, factor, name, *rest, **more):
        heard.setdefault(factor, set()).add(self.shared(name))
        return asked(self, factor, name, *rest, **more)

    monkeypatch.setattr(Draw, "uniforms", listen)
    for number in range(30):
        sample(made, library, 0, number)
    assert heard
    for factor, names in heard.items():
        assert names <= set(known[factor]), factor


def test_names_that_are_not_drawn_in_the_first_scene_are_no_mistake(tmp_path: Path, library: FakeLibrary) -> None:
    (tmp_path / "rich.yaml").write_text(RICH)
    made = config.load(
        tmp_path / "rich.yaml",
        [
            "randomize.poses.designs.sobol=[mugs.1.position]",
            "randomize.sensor.designs.stratified=[bloom_radius,late.rate,'main.*',second.depth_noise_seed]",
            "randomize.textures.designs.latin_hypercube=[mugs.texture,tile]",
            "randomize.content.designs.random=['*']",
            "scene.objects.mugs.count=0",
        ],
    )
    check_designs(made, library)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        (
            "randomize.camera.designs.sobol=[raduis]",
            r"randomize\.camera\.designs\.sobol: no draw is called 'raduis' \(did you mean \"radius\"\?\); correct",
        ),
        ("randomize.camera.designs.random=[mian.radius]", r"'mian\.radius' \(did you mean \"main\.radius\"\?\)"),
        ("randomize.lighting.designs.stratified=[radius]", r"'radius' \(it is a draw of camera\); .*sky\.clouds"),
        ("randomize.camera.designs.latin_hypercube=['left.*']", r"'left\.\*'.*camera in this scene are main\.azimuth"),
    ],
)
def test_entries_that_fit_no_draw_are_told(library: FakeLibrary, override: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        check_designs(config.load("shapes", [override]), library)


def test_nothing_is_made_then(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "d"
    assert main(["render", "scene=shapes", f"out={out}", "frames=2", "randomize.camera.designs.sobol=[zoom]"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("simgen: randomize.camera.designs.sobol: no draw is called 'zoom'")
    assert told.count("\n") == 1
    assert not out.exists()

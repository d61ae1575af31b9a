import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from simgen import config
from simgen.cli.main import main
from simgen.distributions import Constant, Normal, Uniform
from simgen.errors import ConfigError
from simgen.randomize.factors import FACTORS

SCENES = sorted(file.stem for file in (Path(__file__).parents[1] / "scenes").glob("*.yaml"))


def refused(*overrides, scene="shapes", **kwargs):
    with pytest.raises(ConfigError) as caught:
        config.load(scene, overrides, **kwargs)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message


def write(folder, name, content):
    file = folder / f"{name}.yaml"
    file.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return file


@pytest.mark.parametrize("scene", SCENES)
def test_shipped_scenes_load_and_survive_plain_data(scene):
    loaded = config.load(scene)
    assert loaded.scene.name == scene
    assert loaded.scene.about
    plain = json.loads(json.dumps(config.to_plain(loaded)))
    assert config.from_plain(plain) == loaded


def test_defaults():
    loaded = config.load("shapes")
    assert (loaded.image.width, loaded.image.height) == (640, 480)
    assert loaded.renderer.name == "auto"
    assert loaded.passes == "auto"
    assert loaded.seed == 0


def test_render_yaml_says_what_the_schema_says():
    # The file exists to be read; it must not drift away from the types.
    from_file = config.to_plain(config.load("shapes"))
    from_schema = config.to_plain(config.RenderConfig())
    assert {k: v for k, v in from_file.items() if k != "scene"} == {
        k: v for k, v in from_schema.items() if k != "scene"
    }


def test_every_factor_has_a_knob():
    assert set(config.RandomizeConfig().strengths()) == set(FACTORS)


def test_a_disabled_factor_has_strength_0():
    knobs = config.load("shapes", ["randomize.camera.enabled=false", "randomize.sensor.strength=0.5"]).randomize
    assert knobs.strengths()["camera"] == 0
    assert knobs.strengths()["sensor"] == 0.5


def test_overrides():
    loaded = config.load(
        "shapes",
        [
            "frames=7",
            "workers=2",
            "renderer=tiny",
            "passes=[rgb,depth]",
            "scene.cameras.main.radius.low=0.5",
            "scene.cameras.main.elevation_deg=30",
            "scene.cameras.main.hfov_deg=null",
            "scene.cameras.main.roll_deg={dist: normal, mean: 0, std: 1}",
            "scene.cameras.main.near=0.1",
            "scene.cameras.main.target.0.low=-0.2",
        ],
    )
    camera = loaded.scene.cameras["main"]
    assert (loaded.frames, loaded.workers, loaded.renderer.name, loaded.passes) == (7, 2, "tiny", ["rgb", "depth"])
    assert isinstance(camera.radius, Uniform)
    assert camera.radius.low == 0.5
    assert camera.elevation_deg == Constant(30)
    assert camera.hfov_deg == Constant(55.0)  # null is the default
    assert camera.roll_deg == Normal(0, 1)
    assert camera.near == 0.1
    assert camera.target.of[0].low == -0.2


def test_the_kind_of_a_distribution_can_be_changed():
    new = "scene.cameras.main.radius={dist: truncated_normal, mean: 1, std: 0.1, low: 0.5, high: 2}"
    message = refused("scene.cameras.main.radius={dist: normal, mean: 1, std: 0.1}")
    assert "clear the old one first: scene.cameras.main.radius=null" in message
    loaded = config.load("shapes", ["scene.cameras.main.radius=null", new])
    assert loaded.scene.cameras["main"].radius.mean == 1


def test_frames_per_scene():
    assert config.frames_per_scene(config.load("shapes", ["scene.cameras.main.views=3", "scene.time.frames=4"])) == 12
    assert config.frames_per_scene(config.load("bin_picking")) == 2 * config.load("bin_picking").scene.time.frames


def test_a_users_scene_in_a_config_dir(tmp_path):
    (tmp_path / "scene").mkdir()
    write(tmp_path / "scene", "mine", {"defaults": ["shapes", "_self_"], "cameras": {"side": {"radius": 2.0}}})
    loaded = config.load("mine", config_dirs=[tmp_path])
    assert loaded.scene.name == "mine"
    assert set(loaded.scene.cameras) == {"main", "side"}
    assert loaded.scene.objects == config.load("shapes").scene.objects
    assert "mine" in config.scene_names([tmp_path])
    assert "mine" not in config.scene_names()
    assert "did you mean" in refused(scene="mime", config_dirs=[tmp_path])


def test_a_users_scene_in_a_file(tmp_path):
    file = write(tmp_path, "tabletop", {"defaults": ["tabletop", "_self_"], "cameras": {"main": {"views": 9}}})
    assert config.load(file).scene.views == 9
    assert config.load(file).scene.name == "tabletop"
    assert config.load("shapes", [f"scene={file}"]).scene.views == 9
    assert config.load("tabletop").scene.views != 9
    assert config.scene_override("frames=3") == "frames=3"


def test_whole_numbers_in_nested_lists(tmp_path):
    """As the comments of scenes/tabletop.yaml write them; OmegaConf has no conversion to float there."""
    file = tmp_path / "mine.yaml"
    file.write_text(
        "defaults: [bin_picking, _self_]\n"
        "keypoints: {mugs: {assets: ['*mug*'], points: {rim: [0, 0, 0.08], base: [0, 0, 0]}}}\n"
        "robot: {motion: {path: [[0, 0, 0, -2, 0, 2, 1, 0, 0]]}}\n"
    )
    scene = config.load(file).scene
    assert scene.keypoints["mugs"].points == {"rim": [0.0, 0.0, 0.08], "base": [0.0, 0.0, 0.0]}
    assert scene.robot.motion.path == [[0.0, 0.0, 0.0, -2.0, 0.0, 2.0, 1.0, 0.0, 0.0]]
    numbers = [*scene.keypoints["mugs"].points["base"], *scene.robot.motion.path[0]]
    assert {type(number) for number in numbers} == {float}
    broken = write(tmp_path, "broken", file.read_text().replace("0.08", "up"))
    assert refused(scene=broken) == "scene.keypoints.mugs.points.rim.2 must be a number, not 'up'."


def test_the_scenes_name_names_the_folder_of_a_sweep(tmp_path):
    """``${scene.name}`` is not yet empty where other settings refer to it."""
    file = write(tmp_path, "mine", {"defaults": ["shapes", "_self_"]})
    assert [config.load(name, ["out=sweep/${scene.name}"]).out for name in ("dice", file)] == [
        "sweep/dice",
        "sweep/mine",
    ]


def test_the_sweep_of_the_readme_leaves_the_folders_that_it_reads():
    text = (Path(__file__).parents[1] / "README.md").read_text()
    [command] = re.findall(r"simgen render -m (scene=tabletop .*)\nfor strength in", text)
    [strengths] = re.findall(r"for strength in (.*); do\n.*data=sweep/\$strength ", text)
    first, *others = config.single(shlex.split(command))
    written = [config.load(overrides=chosen).out for chosen in (first, *others)]
    assert written == [f"sweep/{strength}" for strength in strengths.split()]


def test_a_scene_file_named_without_its_ending(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    write(tmp_path, "mine", {"defaults": ["shapes", "_self_"]})
    write(tmp_path / "sub", "other", {"defaults": ["mine", "_self_"]})
    assert refused(scene="mine") == "there is no scene 'mine'; to take the file, write scene=mine.yaml."
    assert "write scene=sub/other.yaml." in refused(scene="sub/other")
    assert refused(scene="sub/none").startswith("there is no scene 'sub/none'; there are bin_picking, ")
    assert "there is no scene 'mine'; scene files start from shipped scenes" in refused(scene="sub/other.yaml")


def test_scene_files_that_cannot_be_read(tmp_path):
    assert "there is no scene definition" in refused(scene=tmp_path / "no.yaml")
    assert "not valid YAML" in refused(scene=write(tmp_path, "broken", "a: [1,"))
    assert "must be a mapping" in refused(scene=write(tmp_path, "list", "[1, 2]"))
    assert "does not exist" in refused(config_dirs=[tmp_path / "nowhere"])


def test_errors_in_a_scene_file_name_the_key(tmp_path):
    base = {"defaults": ["shapes", "_self_"]}
    for name, (change, sentence) in enumerate(
        [
            ({"camras": {}}, 'there is no setting scene.camras (did you mean "cameras"?)'),
            (
                {"cameras": {"main": {"radus": 1}}},
                'there is no setting scene.cameras.main.radus (did you mean "radius"?)',
            ),
            ({"cameras": {"main": {"views": "x"}}}, "scene.cameras.main.views must be a whole number, not 'x'."),
            ({"cameras": {"main": {"views": 0}}}, "scene.cameras.main.views must be at least 1, but it is 0."),
            ({"cameras": {"main": {"radius": "far"}}}, "scene.cameras.main.radius must be one number, not 'far'."),
            (
                {"objects": {"shapes": {"place": {"kind": "drp"}}}},
                "place.kind: 'drp' is not known",
            ),
            ({"objects": {"shapes": {"count": 2.5}}}, "scene.objects.shapes.count must be a whole number, not 2.5."),
            ({"objects": {"ground": {"assets": ["primitive/*"]}}}, "scene.objects.ground: scene.surfaces already uses"),
            ({"objects": {"a b": {"assets": ["primitive/*"]}}}, "the name 'a b' may only have letters"),
            ({"objects": {"none": {"place": {"onto": "ground"}}}}, "scene.objects.none names no assets"),
            ({"surfaces": {"ground": {"size": [0, 1]}}}, "scene.surfaces.ground.size.0 must be greater than 0"),
            ({"world": {"timestep": 1}}, "scene.world.timestep must be at most 0.05"),
        ]
    ):
        assert sentence in refused(scene=write(tmp_path, f"s{name}", base | change))


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("frmes=1", 'there is no setting frmes (did you mean "frames"?)'),
        ("scene.camra.x=1", 'there is no setting scene.camra (did you mean "cameras"?)'),
        ("randomize.lightning.strength=0", '(did you mean "lighting"?)'),
        ("scene.cameras.side.views=2", "new entries are given in a scene file"),
        ("+scene.cameras.side={views: 2}", "new entries are given in a scene file"),
        (
            "scene.cameras.main.radius.std=2",
            "scene.cameras.main.radius has no std now; write +scene.cameras.main.radius.std=... to add it",
        ),
        ("frames=0", "frames must be at least 1, but it is 0."),
        ("frames=-3", "frames must be at least 1, but it is -3."),
        ("frames=abc", "frames must be a whole number, not 'abc'."),
        ("frames=1.5", "frames must be a whole number, not '1.5'."),
        ("frames=1,2", "add -m to sweep"),
        ("frames=[1", "cannot be read"),
        ("frames", "cannot be read"),
        ("frames=${nothing}", "frames refers to ${nothing}, which does not exist."),
        ("seed=-1", "seed must be at least 0"),
        ("workers=0", 'workers must be "auto" or a whole number of at least 1, not 0.'),
        ("workers=fast", "workers must be"),
        ("workers=true", "workers must be"),
        ("attempts=-1", "attempts must be at least 0"),
        ("renderer=rastr", "there is no renderer 'rastr' (did you mean \"raster\"?)"),
        ("renderer.name=opengl", "renderer.name: 'opengl' is not known; give auto, raster or tiny."),
        ("image.width=0", "image.width must be at least 1, but it is 0."),
        ("image.height=-5", "image.height must be at least 1, but it is -5."),
        ("image.width=99999", "image.width must be at most 16384"),
        ("passes=[]", "passes must be"),
        ("passes=[rgb,dpth]", "there is no pass 'dpth' (did you mean \"depth\"?)"),
        ("passes=[rgb,rgb]", "passes lists rgb twice."),
        ("passes=rgb", "passes must be"),
        ("assets.path=here", "assets.path must be a list"),
        ("randomize.sensor.strength=1.5", "randomize.sensor.strength must be at most 1, but it is 1.5."),
        ("randomize.sensor.strength=-0.1", "randomize.sensor.strength must be at least 0"),
        ("randomize.sensor.strength=nan", "randomize.sensor.strength must be a number, not nan."),
        ("randomize.sensor.enabled=perhaps", "randomize.sensor.enabled must be true or false"),
        ("output.compression=zip", '"gzip"?); give blosc, gzip or none.'),
        ("output.jpeg_quality=101", "output.jpeg_quality must be at most 100"),
        ("output.frames_per_shard=0", 'output.frames_per_shard must be "auto" or a whole number of at least 1'),
        ("scene.objects.shapes.count=-1", "scene.objects.shapes.count must be at least 0, but it is -1."),
        ("scene.objects.shapes.count.low=-1", "scene.objects.shapes.count must be at least 0, but it can be -1."),
        ("scene.cameras.main.radius.low=3", "scene.cameras.main.radius: low 3 is above high "),
        ("scene.cameras.main.radius.low=nan", "scene.cameras.main.radius: nan is not a finite number"),
        ("scene.cameras.main.radius=0", "scene.cameras.main.radius must be greater than 0"),
        ("scene.cameras.main.roll_deg=[1,2]", "scene.cameras.main.roll_deg must be one number, not (1.0, 2.0)."),
        ("scene.cameras.main.hfov_deg.high=180", "scene.cameras.main.hfov_deg must be at most 170"),
        ("scene.cameras.main.target=[1,2]", "scene.cameras.main.target must be a list of 3 numbers"),
        ("scene.cameras.main.target={dist: direction}", "clear the old value first: scene.cameras.main.target=null"),
        ("scene.cameras.main.near=200", "near 200.0 is not below far 100.0"),
        ("scene.cameras.main.kind=link", "rides on a link, but the scene has no robot"),
        ("~scene.cameras.main", "scene.cameras is empty"),
        ("scene.lights.kind={dist: choice, values: [pont], weights: []}", 'did you mean "point"?'),
        ("scene.lights.intensity.high=0.5", "low 1.0 is above high 0.5"),
        ("scene.lights.temperature.low=200", "scene.lights.temperature must be at least 1000"),
        ("scene.objects.shapes.material.color='#12345'", "'#12345' is not a colour"),
        ("scene.objects.shapes.place.onto=grond", "there is no surface 'grond' (did you mean \"ground\"?)"),
        ("scene.objects.shapes.place.rotation=uprigt", 'did you mean "upright"?'),
        ("scene.objects.shapes.place.kind=floating", "must be 3 extents in metres"),
        ("scene.objects.shapes.place.kind=fixed", "has no poses"),
        ("scene.objects.shapes.motion=dynmic", 'did you mean "dynamic"?'),
        ("scene.traces=[jonts]", 'did you mean "joints"?'),
        ("scene.traces=[joints]", "the scene has no robot"),
        ("scene.time.frames=0", "scene.time.frames must be at least 1"),
        ("scene.world.gravity=[0,0]", "scene.world.gravity must be a list of 3 numbers"),
        ("scene=tabeltop", "there is no scene 'tabeltop' (did you mean \"tabletop\"?)"),
        ("scene=", "there is no scene ''; there are bin_picking, cards, "),
        ("scene=[shapes,nothing]", "there is no scene 'nothing'; see `simgen list scenes`."),
        ("scene=null", "chosen by a name, not by null or a number: write scene=NAME."),
        ("+scene=tabletop", "scene is chosen already; write scene=... without + to change it."),
        ("scen@here=shapes", 'scen is nothing that can be chosen so (did you mean "scene"?); write scene=NAME or'),
        ("hydra=other", "hydra is nothing that can be chosen so; write scene=NAME or renderer=NAME."),
        ("+frames=3", "frames is there already; write frames=... without + to change it."),
        ("frames=null", "frames must not be null; give it a whole number, or leave it out."),
        ("out=null", "out must not be null; give it a word, or leave it out."),
        ("image=null", "image must not be null; give it a mapping of settings, or leave it out."),
        ("scene.traces=null", "scene.traces must not be null; give it a list, [] for an empty one, or leave it out."),
        ("scene.world.timestep=null", "scene.world.timestep must not be null; give it a number, or leave it out."),
        ("~frmes", 'there is no frmes that could be taken out (did you mean "frames"?).'),
        ("~scene.objects.cups", "there is no scene.objects.cups that could be taken out."),
        ("~scene.objects", "cannot be taken out; take out its entries one by one, as in ~scene.objects.NAME."),
        ("~scene.lights", "scene.lights is part of every configuration and cannot be taken out; change what is in it."),
        ("~scene.cameras.main.radius", "cannot be taken out; write scene.cameras.main.radius=null to have it as if"),
        ("~scene.cameras.main.views", "cannot be taken out; give it another value."),
        ("~frames=3", "frames has another value than the one given; write ~frames to take it out whatever it is."),
    ],
)
def test_bad_overrides(override, sentence):
    assert sentence in refused(override)


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["frames=1,ten"], "frames must be a whole number, not 'ten'."),
        (["seed=1,2", "frmes=1,2"], 'there is no setting frmes (did you mean "frames"?)'),
        (["scene=shapes,shaped"], "there is no scene 'shaped' (did you mean \"shapes\"?)"),
        (["seed=range(0,3)", "scene.cameras.main.radius.low=0.5,9"], "low 9 is above high "),
        (["seed=1,2", "~scene.objects"], "take out its entries one by one"),
        (["seed=[1"], "cannot be read"),
    ],
)
def test_bad_values_of_a_sweep_are_told_before_its_first_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], overrides: list[str], sentence: str
) -> None:
    assert main(["render", "-m", "scene=shapes", f"out={tmp_path}/${{seed}}", *overrides]) == 2
    told = capsys.readouterr().err
    assert sentence in told
    assert told.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_is_checked_value_by_value():
    assert config.single(["seed=1,2,3", "frames=5", "image.width=8,9"]) == [
        ["seed=1", "frames=5", "image.width=8"],
        ["seed=2", "frames=5", "image.width=8"],
        ["seed=3", "frames=5", "image.width=8"],
        ["seed=1", "frames=5", "image.width=9"],
    ]
    assert config.single([]) == [[]]


def test_a_normal_where_a_bound_is_needed():
    clear, new = "scene.cameras.main.radius=null", "scene.cameras.main.radius={dist: normal, mean: 1, std: 0.1}"
    assert "use truncated_normal" in refused(clear, new)


def test_images_of_absurd_size():
    assert "more than 100 megapixels" in refused("image.width=16384", "image.height=16384")


def test_fixed_groups_need_a_pose_for_each_object():
    poses = "scene.objects.shapes.place.poses=[{position: [0, 0, 0.1]}]"
    message = refused("scene.objects.shapes.place.kind=fixed", poses)
    assert "but there are only 1 poses" in message


def test_plain_data_is_checked_too():
    plain = config.to_plain(config.load("shapes"))
    plain["image"]["widht"] = 3
    with pytest.raises(ConfigError, match=r'image\.widht \(did you mean "width"\?\)'):
        config.from_plain(plain)


def test_loading_leaves_hydra_as_it_was(tmp_path, monkeypatch):
    from hydra.core.global_hydra import GlobalHydra

    monkeypatch.chdir(tmp_path)
    config.load("shapes")
    assert not GlobalHydra.instance().is_initialized()
    with pytest.raises(ConfigError):
        config.load("nothing")
    assert not GlobalHydra.instance().is_initialized()
    assert list(tmp_path.iterdir()) == []


HYDRA_APP = """
import hydra, json, sys
from simgen import config
sys.argv[1:] = [config.scene_override(argument) for argument in sys.argv[1:]]
entry = config.register()
@hydra.main(**entry._asdict())
def main(composed):
    loaded = config.from_hydra(composed)
    print(json.dumps([loaded.scene.name, loaded.frames, loaded.renderer.name]))
main()
"""


def hydra_app(folder, *arguments):
    command = [sys.executable, "-c", HYDRA_APP, *arguments]
    out = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return out.stdout


def test_under_hydra_main(tmp_path):
    (tmp_path / "conf" / "scene").mkdir(parents=True)
    (tmp_path / "run").mkdir()
    write(tmp_path / "conf" / "scene", "mine", {"defaults": ["shapes", "_self_"]})
    own = write(tmp_path, "own", {"defaults": ["shapes", "_self_"]})
    out = hydra_app(tmp_path / "run", "scene=mine", "frames=3", "renderer=tiny", "--config-dir", str(tmp_path / "conf"))
    assert json.loads(out) == ["mine", 3, "tiny"]
    assert json.loads(hydra_app(tmp_path / "run", f"scene={own}"))[0] == "own"
    assert list((tmp_path / "run").iterdir()) == []
    shown = yaml.safe_load(hydra_app(tmp_path / "run", "frames=3", "--cfg", "job"))
    assert shown["frames"] == 3
    assert shown["scene"]["surfaces"]["table"]["kind"] == "table"


def test_sweeps_under_hydra_main(tmp_path):
    out = hydra_app(tmp_path, "-m", "scene=shapes,tabletop", "frames=3")
    lines = [
        json.loads(line) for line in out.splitlines() if line.startswith("[") and line.endswith("]") and '"' in line
    ]
    assert [line[0] for line in lines] == ["shapes", "tabletop"]

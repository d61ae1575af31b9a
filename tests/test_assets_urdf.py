"""URDF files: frames, materials, collision shapes, inertia, robots, and what is told of broken ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pybullet
import pybullet_data
import pytest
import trimesh
from PIL import Image

from simgen.assets.inertia import solid_inertia
from simgen.assets.loading import load_asset
from simgen.assets.mesh import moved
from simgen.assets.urdf import mesh_path, read_urdf
from simgen.errors import AssetError
from simgen.geometry import rotation_from_quaternion

BOX = '<geometry><box size="0.1 0.2 0.3"/></geometry>'


def write(folder: Path, body: str, name: str = "thing") -> Path:
    path = folder / f"{name}.urdf"
    path.write_text(f'<?xml version="1.0"?>\n<robot name="{name}">{body}</robot>')
    return path


def link(content: str, name: str = "base") -> str:
    return f'<link name="{name}">{content}</link>'


def joint(kind: str, parent: str, child: str, origin: str = "") -> str:
    return (
        f'<joint name="{parent}_{child}" type="{kind}"><parent link="{parent}"/><child link="{child}"/>{origin}'
        '<axis xyz="0 0 1"/><limit lower="-1" upper="1" effort="1" velocity="1"/></joint>'
    )


def test_shapes_materials_and_frames(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        '<material name="paint"><color rgba="1 0.5 0 1"/></material>'
        + link(
            f'<visual><origin xyz="1 2 3" rpy="0 0 1.5707963"/>{BOX}<material name="paint"/></visual>'
            '<visual><geometry><capsule radius="0.1" length="0.3"/></geometry></visual>'
            f'<collision><origin xyz="1 2 3" rpy="0 0 1.5707963"/>{BOX}</collision>'
            '<collision><geometry><cylinder radius="0.1" length="0.4"/></geometry></collision>'
        ),
    )
    asset = load_asset("thing", "thing", path, tmp_path)
    box, capsule = asset.meshes
    np.testing.assert_allclose(np.ptp(box.vertices, axis=0), [0.2, 0.1, 0.3], atol=1e-6)
    np.testing.assert_allclose(box.vertices.mean(axis=0), [1, 2, 3], atol=1e-5)
    np.testing.assert_allclose(box.material.base_color, [1, 0.2140, 0, 1], atol=1e-4)  # sRGB 0.5
    np.testing.assert_allclose(np.ptp(capsule.vertices, axis=0), [0.2, 0.2, 0.5], atol=1e-3)
    first, second = asset.collision
    assert (first.kind, first.size, first.center) == ("box", (0.2, 0.1, 0.3), (1, 2, 3))
    assert (second.kind, second.size) == ("cylinder", (0.2, 0.2, 0.4))
    np.testing.assert_allclose(asset.bounds, [[-0.1, -0.1, -0.25], [1.1, 2.05, 3.15]], atol=1e-3)


def test_rotation_order_agrees_with_pybullet(tmp_path: Path) -> None:
    rpy = (0.4, -0.9, 2.1)
    path = write(
        tmp_path,
        link(
            f'<collision><origin rpy="{rpy[0]} {rpy[1]} {rpy[2]}"/>{BOX}</collision>'
            f'<visual><origin rpy="{rpy[0]} {rpy[1]} {rpy[2]}"/>{BOX}</visual>'
        ),
    )
    asset = load_asset("thing", "thing", path, tmp_path)
    R = rotation_from_quaternion(pybullet.getQuaternionFromEuler(rpy))
    corners = np.array([(x, y, z) for x in (-0.05, 0.05) for y in (-0.1, 0.1) for z in (-0.15, 0.15)]) @ R.T
    (shape,) = asset.collision
    assert shape.vertices is not None
    for points in (shape.vertices, asset.meshes[0].vertices):
        distance = np.linalg.norm(corners[:, None] - points[None].astype(float), axis=-1).min(axis=1)
        assert distance.max() < 1e-6


def test_fixed_joints_make_one_body(tmp_path: Path) -> None:
    def body(name: str, x: float) -> str:
        inertial = (
            f'<inertial><origin xyz="{x} 0 0"/><mass value="2"/>'
            '<inertia ixx="0.0108" iyy="0.0083" izz="0.0125" ixy="0" ixz="0" iyz="0"/></inertial>'
        )
        box = f'<visual><origin xyz="{x} 0 0"/>{BOX.replace("0.1 0.2 0.3", "0.2 0.2 0.1")}</visual>'
        return link(box + inertial, name)

    path = write(
        tmp_path,
        link("", "world")
        + body("left", 0.0)
        + body("right", 0.1)
        + joint("fixed", "world", "left", '<origin xyz="0 0 1"/>')
        + joint("fixed", "left", "right", '<origin xyz="0.1 0 0"/>'),
    )
    asset = load_asset("thing", "thing", path, tmp_path)
    assert not asset.articulated
    assert len(asset.meshes) == 1
    np.testing.assert_allclose(asset.bounds, [[-0.1, -0.1, 0.95], [0.3, 0.1, 1.05]], atol=1e-6)
    assert asset.inertia is not None
    assert asset.inertia.mass == 4
    np.testing.assert_allclose(asset.inertia.center, [0.1, 0, 1])
    np.testing.assert_allclose(asset.inertia.moments, [0.0216, 0.0166 + 4 * 0.01, 0.025 + 4 * 0.01])


@pytest.mark.parametrize(
    ("inertial", "mass", "kept"),
    [
        ('<mass value="0.5"/><inertia ixx="0.0055" iyy="0.004" izz="0.002" ixy="0" ixz="0" iyz="0"/>', 0.5, True),
        ('<mass value="0.5"/><inertia ixx="1e-3" iyy="1e-3" izz="1e-3" ixy="0" ixz="0" iyz="0"/>', 0.5, False),
        ('<mass value="0.5"/><inertia ixx="1" iyy="0" izz="1" ixy="0" ixz="0" iyz="0"/>', 0.5, False),
        ('<mass value="0.5"/>', 0.5, False),
        ('<mass value="0"/>', 400 * 0.006, False),
        ("", 400 * 0.006, False),
    ],
)
def test_placeholder_inertia_is_replaced(tmp_path: Path, inertial: str, mass: float, kept: bool) -> None:
    path = write(tmp_path, link(f"<visual>{BOX}</visual><inertial>{inertial}</inertial>"))
    inertia = load_asset("thing", "thing", path, tmp_path).inertia
    assert inertia is not None
    assert inertia.mass == pytest.approx(mass)
    even = mass / 12 * np.array([0.13, 0.10, 0.05])
    np.testing.assert_allclose(inertia.moments, [0.0055, 0.004, 0.002] if kept else even, rtol=1e-9)


def test_urdf_colour_paints_plain_meshes_only(tmp_path: Path) -> None:
    box = trimesh.creation.box()
    text = trimesh.exchange.obj.export_obj(box, include_normals=False)
    (tmp_path / "plain.obj").write_text(text)
    Image.new("RGB", (2, 2), (9, 9, 9)).save(tmp_path / "map.png")
    (tmp_path / "m.mtl").write_text("newmtl a\nmap_Kd map.png\n")
    (tmp_path / "mapped.obj").write_text("mtllib m.mtl\nusemtl a\n" + text)
    paint = '<material name="red"><color rgba="1 0 0 1"/></material>'
    for name, red in (("plain", True), ("mapped", False)):
        mesh = f'<visual><geometry><mesh filename="{name}.obj" scale="0.1 0.1 -0.1"/></geometry>{paint}</visual>'
        asset = load_asset(name, name, write(tmp_path, link(mesh), f"u_{name}"), tmp_path)
        (drawn,) = asset.meshes
        assert (drawn.material.base_color == (1, 0, 0, 1)) is red
        assert (drawn.material.base_color_map is None) is red
        outward = (drawn.normals * drawn.vertices).sum(axis=1)
        assert outward.min() > 0  # mirrored by its scale, but not inside out
        np.testing.assert_allclose(np.ptp(asset.bounds, axis=0), 0.1, atol=1e-6)


def test_robot_agrees_with_pybullet() -> None:
    """Link names, and where the links are with all joints at zero, of the Franka Panda."""
    path = Path(pybullet_data.getDataPath()) / "franka_panda" / "panda.urdf"
    model = read_urdf(path, Path("/nonexistent"))
    asset = load_asset("panda", "robot", path, Path("/nonexistent"))
    assert asset.articulated
    assert asset.urdf == path.resolve()
    assert asset.collision == ()
    client = pybullet.connect(pybullet.DIRECT)
    try:
        body = pybullet.loadURDF(str(path), useFixedBase=True, physicsClientId=client)
        names = ["panda_link0"]
        for k in range(pybullet.getNumJoints(body, physicsClientId=client)):
            name = pybullet.getJointInfo(body, k, physicsClientId=client)[12].decode()
            names.append(name)
            state = pybullet.getLinkState(body, k, computeForwardKinematics=True, physicsClientId=client)
            np.testing.assert_allclose(model.frames[name][:3, 3], state[4], atol=1e-5)
            np.testing.assert_allclose(model.frames[name][:3, :3], rotation_from_quaternion(state[5]), atol=1e-5)
    finally:
        pybullet.disconnect(client)
    assert set(names) == set(asset.links)
    placed = [
        moved(m, model.frames[n][:3, :3], model.frames[n][:3, 3]) for n, part in asset.links.items() for m in part
    ]
    low, high = np.min([m.vertices.min(0) for m in placed], axis=0), np.max([m.vertices.max(0) for m in placed], axis=0)
    np.testing.assert_allclose(asset.bounds, [low, high], atol=1e-6)


def test_package_paths(tmp_path: Path) -> None:
    (tmp_path / "my_robot" / "urdf").mkdir(parents=True)
    mesh = tmp_path / "my_robot" / "meshes" / "a.stl"
    mesh.parent.mkdir()
    mesh.write_text("")
    urdf = tmp_path / "my_robot" / "urdf" / "r.urdf"
    assert mesh_path(urdf, "package://my_robot/meshes/a.stl") == mesh
    assert mesh_path(urdf, "package://meshes/a.stl") == mesh
    assert mesh_path(urdf, "../meshes/a.stl").resolve() == mesh.resolve()
    assert mesh_path(urdf, f"file://{mesh}") == mesh


SEEN = f"<visual>{BOX}</visual>"
HEAVY = '<inertial><mass value="-1"/></inertial>'
A, B, C = link("", "a"), link("", "b"), link("", "c")
BROKEN = {
    "not XML": ("<robot", "not well-formed"),
    "another root": ("<sdf/>", "not a URDF"),
    "no links": ("<robot/>", "no links"),
    "nothing to see": (f"<robot>{A}</robot>", "nothing to see"),
    "no geometry": (f"<robot>{link('<visual/>')}</robot>", "without a geometry"),
    "size": (f"<robot>{link(SEEN.replace('0.1', '-0.1'))}</robot>", "above zero"),
    "words": (f"<robot>{link(SEEN.replace('0.1', 'a'))}</robot>", "3 numbers should be"),
    "infinite": (f"<robot>{link(SEEN.replace('0.1', 'inf'))}</robot>", "3 numbers should be"),
    "mesh": (f"<robot>{link(SEEN.replace('box size', 'mesh filename'))}</robot>", "is missing"),
    "negative mass": (f"<robot>{link(SEEN + HEAVY)}</robot>", "mass of -1 kg"),
    "two roots": (f"<robot>{A}{B}</robot>", "one root"),
    "ring": (f"<robot>{A}{B}{joint('fixed', 'a', 'b')}{joint('fixed', 'b', 'a')}</robot>", "ring"),
    "ring beside": (f"<robot>{A}{B}{C}{joint('fixed', 'b', 'c')}{joint('fixed', 'c', 'b')}</robot>", "ring"),
    "two parents": (f"<robot>{A}{B}{C}{joint('fixed', 'a', 'c')}{joint('fixed', 'b', 'c')}</robot>", "two parents"),
    "unknown link": (f"<robot>{link('', 'arm_1')}{joint('fixed', 'arm_1', 'arm1')}</robot>", "did you mean"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_urdfs_are_told_in_one_sentence(tmp_path: Path, case: str) -> None:
    text, words = BROKEN[case]
    (tmp_path / "broken.urdf").write_text(text)
    with pytest.raises(AssetError, match=words) as caught:
        load_asset("broken", "broken", tmp_path / "broken.urdf", tmp_path)
    assert "broken.urdf" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_empty_urdf_mass_follows_density(tmp_path: Path) -> None:
    asset = load_asset("thing", "thing", write(tmp_path, link(f"<visual>{BOX}</visual>")), tmp_path)
    assert asset.inertia is not None
    assert asset.inertia.moments == solid_inertia(asset.collision).moments

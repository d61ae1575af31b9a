"""MuJoCo's renderer: python mujoco_renderer.py FOLDER. Colour, depth and ids take a rendering each."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("MUJOCO_GL", "egl")

import mujoco
import numpy as np
from stage import Stage, tell


def main(folder: str) -> None:
    """Draw the stage in ``folder`` and tell how long it took."""
    stage = Stage(folder)
    model = mujoco.MjModel.from_xml_path(str(write(stage)))
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    color, depth, ids = (mujoco.Renderer(model, stage.height, stage.width) for _ in range(3))
    depth.enable_depth_rendering()
    ids.enable_segmentation_rendering()

    def draw(T_world_cam: np.ndarray) -> np.ndarray:
        # MuJoCo's cameras look along -z with y up.
        turned = T_world_cam[:3, :3] * [1, -1, -1]
        data.cam_xpos[0], data.cam_xmat[0] = T_world_cam[:3, 3], turned.ravel()
        image = None
        for renderer in (color, depth, ids):
            renderer.update_scene(data, camera=0)
            drawn = renderer.render()
            image = drawn if renderer is color else image
        return np.asarray(image)

    tell("mujoco", mujoco.__version__, "colour (3 lamps, shadow maps), depth, ids", stage, draw)


def write(stage: Stage) -> Path:
    """The scene as MJCF."""
    assets, bodies = [], []
    for k, thing in enumerate(stage.things):
        T = np.array(thing["T_world_obj"])
        x, y, z, w = thing["quaternion_xyzw"]
        r, g, b = thing["color"]
        assets.append(f'<texture name="t{k}" type="2d" file="{thing["texture"]}"/>')
        repeated = 'texuniform="true" texrepeat="2 2"' if k == 0 else ""
        assets.append(f'<material name="m{k}" texture="t{k}" rgba="{r} {g} {b} 1" {repeated}/>')
        if k == 0:
            bodies.append(f'<geom type="plane" size="40 40 1" material="m{k}" contype="0" conaffinity="0"/>')
            continue
        # MuJoCo moves meshes to their centre of inertia; those of the scene are there already.
        assets.append(f'<mesh name="o{k}" file="{thing["obj"]}" inertia="shell"/>')
        place = " ".join(str(v) for v in T[:3, 3])
        bodies.append(
            f'<geom type="mesh" mesh="o{k}" material="m{k}" pos="{place}" quat="{w} {x} {y} {z}" contype="0" '
            'conaffinity="0"/>'
        )
    for lamp in stage.lamps:
        direction = " ".join(str(v) for v in lamp["direction"])
        bodies.append(f'<light directional="true" dir="{direction}" diffuse="0.35 0.35 0.35" castshadow="true"/>')
    field = np.degrees(stage.vertical_field)
    path = stage.folder / "scene.xml"
    visual = (
        '<headlight ambient="0.2 0.2 0.2" diffuse="0 0 0"/><map znear="0.01"/>'
        f'<global offwidth="{stage.width}" offheight="{stage.height}"/>'
    )
    path.write_text(
        f'<mujoco><compiler meshdir="." texturedir="."/><visual>{visual}</visual><asset>{"".join(assets)}</asset>'
        f'<worldbody><camera name="c" fovy="{field}"/>{"".join(bodies)}</worldbody></mujoco>'
    )
    return path


main(sys.argv[1])

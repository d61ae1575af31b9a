"""PyBullet's OpenGL renderer on EGL: python bullet_egl.py FOLDER."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pybullet
from stage import Stage, tell


def main(folder: str) -> None:
    """Draw the stage in ``folder`` and tell how long it took."""
    stage = Stage(folder)
    client = pybullet.connect(pybullet.DIRECT)
    found = importlib.util.find_spec("eglRenderer")
    if found is None or found.origin is None or pybullet.loadPlugin(found.origin, "_eglRendererPlugin") < 0:
        raise SystemExit("PyBullet's EGL plugin does not load")
    textures: dict[str, int] = {}
    for thing in stage.things:
        # The plugin takes meshes from files only.
        shape = pybullet.createVisualShape(
            pybullet.GEOM_MESH, fileName=str(stage.folder / thing["obj"]), rgbaColor=[*thing["color"], 1]
        )
        T = np.array(thing["T_world_obj"])
        body = pybullet.createMultiBody(0, -1, shape, T[:3, 3].tolist(), thing["quaternion_xyzw"])
        file = str(stage.folder / thing["texture"])
        textures.setdefault(file, pybullet.loadTexture(file))
        pybullet.changeVisualShape(body, -1, textureUniqueId=textures[file])
    projection = pybullet.computeProjectionMatrixFOV(
        np.degrees(stage.vertical_field), stage.width / stage.height, 0.05, 100
    )
    light = (-np.array(stage.lamps[0]["direction"])).tolist()

    def draw(T_world_cam: np.ndarray) -> np.ndarray:
        eye, forward, up = T_world_cam[:3, 3], T_world_cam[:3, 2], -T_world_cam[:3, 1]
        view = pybullet.computeViewMatrix(eye.tolist(), (eye + forward).tolist(), up.tolist())
        image = pybullet.getCameraImage(
            stage.width,
            stage.height,
            view,
            projection,
            lightDirection=light,
            shadow=1,
            renderer=pybullet.ER_BULLET_HARDWARE_OPENGL,
        )
        return np.reshape(image[2], (stage.height, stage.width, 4))[..., :3]

    tell("pybullet-egl", str(pybullet.getAPIVersion()), "colour (1 lamp, shadow map), depth, ids", stage, draw)
    pybullet.disconnect(client)


main(sys.argv[1])

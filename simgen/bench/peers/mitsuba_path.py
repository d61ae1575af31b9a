"""Mitsuba 3, a path tracer: python mitsuba_path.py FOLDER VARIANT. 16 samples a pixel, no denoising."""

from __future__ import annotations

import sys
from pathlib import Path

import mitsuba
import numpy as np
from stage import Stage, tell

SAMPLES = 16


def main(folder: str, variant: str) -> None:
    """Draw the stage in ``folder`` and tell how long it took."""
    mitsuba.set_variant(variant)
    stage = Stage(folder)
    scene = mitsuba.load_dict(described(stage))
    film = {"type": "hdrfilm", "width": stage.width, "height": stage.height}
    flip = np.diag([-1.0, -1.0, 1.0, 1.0])  # Mitsuba's cameras have x to the left and y up
    field = float(np.degrees(2 * np.arctan(stage.width / 2 / stage.K[0, 0])))

    def draw(T_world_cam: np.ndarray) -> np.ndarray:
        sensor = mitsuba.load_dict(
            {
                "type": "perspective",
                "fov": field,
                "to_world": mitsuba.ScalarTransform4f((T_world_cam @ flip).tolist()),
                "film": film,
                "sampler": {"type": "independent", "sample_count": SAMPLES},
            }
        )
        image = np.array(mitsuba.render(scene, sensor=sensor))[..., :3]
        return np.clip(255 * np.clip(image, 0, 1) ** (1 / 2.2), 0, 255).astype(np.uint8)

    gives = f"colour (path traced, {SAMPLES} samples), depth, normals; {variant}"
    tell("mitsuba", mitsuba.__version__, gives, stage, draw)


def described(stage: Stage) -> dict[str, object]:
    """The scene as Mitsuba's dictionaries."""
    scene: dict[str, object] = {
        "type": "scene",
        "integrator": {
            "type": "aov",
            "aovs": "depth:depth,normal:sh_normal",
            "image": {"type": "path", "max_depth": 4},
        },
        "sky": {"type": "constant", "radiance": {"type": "rgb", "value": [0.4, 0.42, 0.45]}},
    }
    for k, thing in enumerate(stage.things):
        mesh = stage.mesh(thing)
        ply = stage.folder / f"thing{k}.ply"
        write_ply(ply, mesh)
        scene[f"thing{k}"] = {
            "type": "ply",
            "filename": str(ply),
            "to_world": mitsuba.ScalarTransform4f(thing["T_world_obj"]),
            "bsdf": {
                "type": "twosided",
                "bsdf": {
                    "type": "principled",
                    "base_color": {"type": "bitmap", "filename": str(stage.folder / thing["texture"])},
                    "roughness": thing["roughness"],
                },
            },
        }
    for k, lamp in enumerate(stage.lamps):
        light = {"type": "rgb", "value": lamp["irradiance"]}
        scene[f"lamp{k}"] = {"type": "directional", "direction": lamp["direction"], "irradiance": light}
    return scene


def write_ply(path: Path, mesh: dict[str, np.ndarray]) -> None:
    """A binary PLY file with normals and texture coordinates."""
    vertices = np.concatenate([mesh["vertices"], mesh["normals"], mesh["uv"]], 1).astype("<f4")
    faces = np.zeros(len(mesh["faces"]), np.dtype([("count", "u1"), ("index", "<i4", 3)]))
    faces["count"], faces["index"] = 3, mesh["faces"]
    names = "".join(f"property float {name}\n" for name in ("x", "y", "z", "nx", "ny", "nz", "u", "v"))
    head = (
        f"ply\nformat binary_little_endian 1.0\nelement vertex {len(vertices)}\n{names}element face {len(faces)}\n"
        "property list uchar int vertex_indices\nend_header\n"
    )
    path.write_bytes(head.encode() + vertices.tobytes() + faces.tobytes())


main(sys.argv[1], sys.argv[2])

"""Peers on the reference scene, and ``raster`` on the same images before and after them, as ratios."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np

from simgen.bench.reference import reference_snapshots
from simgen.geometry import quaternion_from_rotation
from simgen.render import create
from simgen.render.base import Drawable, Snapshot
from simgen.render.snapshot import linear_from_srgb

PEERS: dict[str, tuple[tuple[str, ...], ...]] = {
    "pybullet-egl": (("bullet_egl.py",),),
    "mujoco": (("mujoco_renderer.py",),),
    # Without an LLVM library that it likes only the scalar variants work.
    "mitsuba": (("mitsuba_path.py", "llvm_ad_rgb"), ("mitsuba_path.py", "scalar_rgb")),
    "blender-cycles": (("blender_cycles.py",),),
}
"""Peer -> its programs with their arguments; the next one is tried where one does not work."""

_PATIENCE = 600.0
"""Seconds after which a peer is given up."""

_Look = tuple[str, tuple[float, float, float, float]]
"""Key of a colour map and the colour that tints it."""

_LAMPS = ((-0.4, 0.3, -0.87), (0.5, 0.3, -0.8), (0.2, -0.6, -0.77))


def peers(width: int, height: int, python: str | None = None, seconds: float = 10.0, keep: str = "") -> dict[str, Any]:
    """Milliseconds a frame of every peer that works, what kept the others, and ratios to ``raster``.

    ``python`` is an interpreter that has the peers' packages (None: this one). Peers may use all cores, ``raster`` is
    measured with all of its passes in one process, on another scene every four views. ``keep`` is a folder for the
    pictures that the peers drew.
    """
    shots = reference_snapshots(width, height)
    both = reference_snapshots(width, height, scenes=2)
    rows: list[dict[str, Any]] = []
    absent: dict[str, str] = {}
    times = _raster(both)
    with tempfile.TemporaryDirectory() as folder:
        _write(shots, Path(folder), seconds)
        for name, programs in PEERS.items():
            answer: dict[str, Any] | str = ""
            for program in programs:
                answer = _ask(python or sys.executable, program, folder)
                if not isinstance(answer, str):
                    break
            if isinstance(answer, str):
                absent[name] = answer
            else:
                rows.append(answer)
        if keep:
            Path(keep).mkdir(parents=True, exist_ok=True)
            for picture in Path(folder).glob("*.ppm"):
                drawn = cv2.imread(str(picture))
                assert drawn is not None
                cv2.imwrite(str(Path(keep) / f"{picture.stem}.png"), drawn)
    own = 1000 * median(times + _raster(both))
    return {
        "size": f"{width}x{height}",
        "raster_ms_per_frame": round(own, 2),
        "peers": [row | {"raster_is_times_as_fast": round(row["median_ms_per_frame"] / own, 1)} for row in rows],
        "absent": absent,
    }


def _raster(shots: Sequence[Snapshot], rounds: int = 5) -> list[float]:
    renderer = create("raster", "cpu")
    passes = sorted(renderer.passes)
    times = []
    try:
        renderer.render(shots, passes)
        for _ in range(rounds):
            start = time.perf_counter()
            renderer.render(shots, passes)
            times.append((time.perf_counter() - start) / len(shots))
    finally:
        renderer.close()
    return times


def _ask(python: str, program: tuple[str, ...], folder: str) -> dict[str, Any] | str:
    """What a peer answers, or why it does not."""
    file, *more = program
    command = [python, str(Path(__file__).parent / file), folder, *more]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        return f"took more than {_PATIENCE:.0f} s"
    except OSError as error:
        return f"{python} does not run ({error.strerror})"
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"peer"')]
    if done.returncode != 0 or not lines:
        said = [line for line in done.stderr.strip().splitlines() if line.strip()]
        return said[-1].strip()[:200] if said else f"ended with status {done.returncode}"
    answer: dict[str, Any] = json.loads(lines[-1])
    return "gives an empty picture: its driver does not work here" if answer.pop("blank") else answer


def _write(shots: Sequence[Snapshot], folder: Path, seconds: float) -> None:
    first = shots[0]
    textures: dict[_Look, str] = {}
    things = [_thing(drawable, k, folder, textures) for k, drawable in enumerate(first.drawables)]
    content = {
        "width": first.camera.width,
        "height": first.camera.height,
        "K": first.camera.K.tolist(),
        "views": [shot.camera.T_world_cam.tolist() for shot in shots],
        "things": things,
        "lamps": [{"direction": direction, "irradiance": 1.2} for direction in _LAMPS],
        "seconds": seconds,
    }
    (folder / "stage.json").write_text(json.dumps(content))


def _thing(drawable: Drawable, number: int, folder: Path, textures: dict[_Look, str]) -> dict[str, Any]:
    mesh, material = drawable.mesh, drawable.material
    assert mesh.uv is not None
    assert material.base_color_map is not None
    uv = np.stack([mesh.uv[:, 0], 1 - mesh.uv[:, 1]], 1)
    arrays, obj = f"thing{number}.npz", f"thing{number}.obj"
    vertices = mesh.vertices * np.asarray(drawable.scale, np.float32)
    np.savez(folder / arrays, vertices=vertices, normals=mesh.normals, uv=uv, faces=mesh.faces)
    lines = [f"v {x} {y} {z}" for x, y, z in vertices.tolist()]
    lines += [f"vt {u} {v}" for u, v in uv.tolist()] + [f"vn {x} {y} {z}" for x, y, z in mesh.normals.tolist()]
    lines += ["f " + " ".join(f"{i}/{i}/{i}" for i in face) for face in (mesh.faces + 1).tolist()]
    (folder / obj).write_text("\n".join(lines) + "\n")
    key = (material.base_color_map.key, material.base_color)
    if key not in textures:
        textures[key] = f"texture{number}.png"
        tint = np.asarray(material.base_color[:3], np.float32)
        linear = np.clip(linear_from_srgb(material.base_color_map.pixels[..., :3]) * tint, 0, 1)
        picture = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
        cv2.imwrite(str(folder / textures[key]), (255 * picture[..., ::-1]).round().astype(np.uint8))
    return {
        "arrays": arrays,
        "obj": obj,
        "texture": textures[key],
        "T_world_obj": drawable.T_world_obj.tolist(),
        "quaternion_xyzw": quaternion_from_rotation(drawable.T_world_obj[:3, :3]).tolist(),
        "color": [1.0, 1.0, 1.0],
        "roughness": float(material.roughness),
    }

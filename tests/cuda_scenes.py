"""Small scenes for the tests of the CUDA target, rendered once by the CPU and once in Numba's CUDA simulator.

Run as a program, with NUMBA_ENABLE_CUDASIM=1, it renders them on CUDA and writes all results to the file it is given.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
from raster_scenes import box, camera, draw, image_mask, moved, pose, quad, snapshot, sphere, triangles

from simgen.assets.asset import Material, Texture
from simgen.geometry import rotation_from_quaternion
from simgen.render.base import Environment, Snapshot
from simgen.scene.record import LightRecord

WIDTH, HEIGHT = 24, 16
LABELS = ["depth", "instance", "part", "normal", "object_coords", "flow_forward", "flow_backward"]
SHADOW_SIZE = 64


def _texture(key: str, channels: int, srgb: bool) -> Texture:
    rng = np.random.default_rng(len(key))
    pixels = np.kron(rng.integers(0, 256, (16, 16, channels)), np.ones((2, 2, 1))).astype(np.uint8)
    if channels == 4:
        pixels[..., 3] = np.where(pixels[..., 3] > 120, 255, 0)
    return Texture(key, pixels, srgb)


def _sky() -> Environment:
    """Blue above and brown below, with a sun: its key light casts shadows too."""
    rng = np.random.default_rng(3)
    radiance = np.empty((16, 32, 3), np.float32)
    radiance[:8], radiance[8:] = (0.4, 0.6, 1.0), (0.3, 0.25, 0.2)
    radiance *= rng.uniform(0.8, 1.2, (16, 32, 1)).astype(np.float32)
    radiance[3, 5] = 300.0
    return Environment("sky", radiance, rotation=0.7, intensity=0.8)


def lamps() -> list[LightRecord]:
    return [
        LightRecord("directional", intensity=2.0, direction=(0.3, 0.4, -0.8), size=0.02),
        LightRecord("point", intensity=3.0, position=(-0.8, -0.6, 1.0), size=0.05),
        LightRecord(
            "spot", intensity=3.0, position=(0.8, -0.6, 1.2), direction=(-0.6, 0.5, -1.0), inner_angle=0.3,
            outer_angle=0.5,
        ),
        LightRecord("area", intensity=4.0, position=(0, 0.8, 1.2), direction=(0, -0.6, -1), extent=(0.4, 0.3)),
    ]  # fmt: skip


def things() -> Snapshot:
    """Every kind of map, projection and lamp, a cut-out, vertex colours, and motion of the camera and of objects."""
    cam = camera((0.4, -1.2, 0.7), width=WIDTH, height=HEIGHT)
    cloth = Material(base_color=(0.9, 0.8, 0.7, 1.0), base_color_map=_texture("cloth", 3, True), roughness=0.7)
    leaf = Material(base_color_map=_texture("leaf", 4, True), alpha_cutoff=0.5, roughness=0.8)
    bumps = np.clip(np.random.default_rng(1).normal([128, 128, 230], [20, 20, 10], (32, 32, 3)), 0, 255)
    metal = Material(
        base_color=(0.8, 0.3, 0.2, 1.0), normal_map=Texture("bumps", bumps.astype(np.uint8), False),
        metallic_roughness_map=_texture("worn", 3, False), metallic=1.0, roughness=1.0, emissive=(0.0, 0.05, 0.0),
    )  # fmt: skip
    ball = sphere(rings=8, radius=0.25)
    ball = triangles(
        "ball", ball.vertices, ball.faces, uv=np.abs(ball.vertices[:, :2]) * 3, normals=ball.normals,
        colors=np.abs(np.column_stack([ball.vertices * 4, ball.vertices[:, 0]])),
    )  # fmt: skip
    tilted = rotation_from_quaternion((0.1, 0.2, 0.3, 1))
    parts = [
        draw(quad(), None, 0, cloth),
        draw(box(half=(0.2, 0.2, 0.2)), pose((0, 0.1, 0.3), tilted), 1, cloth, projection="box", tile=0.3),
        draw(ball, pose((0.3, -0.2, 0.25)), 2, metal, scale=(1.0, 0.8, 1.1)),
        draw(quad("leaf", 0.3), pose((-0.1, -0.5, 0.3), rotation_from_quaternion((0.6, 0.2, 0, 0.7))), 4, leaf),
    ]
    poses = [d.T_world_obj for d in parts]
    later = [poses[0], pose((0.02, 0.1, 0.3), tilted.T), pose((0.3, -0.22, 0.25)), poses[3]]
    snap = snapshot(parts, cam)
    return snapshot(
        parts, cam, lamps(), _sky(),
        previous=moved(snap, poses, camera((0.45, -1.2, 0.72), width=WIDTH, height=HEIGHT)),
        after=moved(snap, later, cam),
    )  # fmt: skip


def crossing() -> Snapshot:
    """A floor and a box that the near plane cuts, before a photograph."""
    photo = np.random.default_rng(2).random((HEIGHT, WIDTH, 3)).astype(np.float32)
    environment = Environment("photo", _sky().radiance, background=photo)
    cam = camera((0, 0, 0.3), (0, 0.2, 0), width=WIDTH, height=HEIGHT, near=0.33)
    parts = [draw(quad("floor", half=1000.0), None, 0), draw(box(half=(0.1, 0.2, 0.1)), pose((0.1, 0.3, 0.1)), 1)]
    return snapshot(parts, cam, lamps()[1:], environment)


def degenerate() -> Snapshot:
    """A square beside triangles that are not finite, have no area, or are slivers."""
    nan, inf = np.nan, np.inf
    bad = [
        [[nan, 0, 0], [1, 0, 0], [0, 1, 0]],
        [[inf, 0, 0], [1, 0, 0], [0, 1, 0]],
        [[0, 0, 0.1], [0, 0, 0.1], [0, 0, 0.1]],
        [[-1, 0, 0.1], [0, 0, 0.1], [1, 0, 0.1]],
        [[1e38, 1e38, 1e38], [-1e38, 1e38, 0], [0, 1, -1e38]],
        [[-2000, 0, 0.2], [2000, 0, 0.2], [2000, 0, 0.201]],
    ]
    vertices = np.vstack([quad().vertices, np.reshape(bad, (-1, 3))])
    faces = np.vstack([[[0, 1, 2], [0, 2, 3]], 4 + np.arange(3 * len(bad)).reshape(-1, 3)])
    with np.errstate(all="ignore"):
        mesh = triangles("bad", vertices, faces)
    return snapshot([draw(mesh)], camera(width=WIDTH, height=HEIGHT), lamps()[:1])


def nothing() -> Snapshot:
    return snapshot([], camera(width=WIDTH, height=HEIGHT), environment=_sky())


def snapshots() -> list[Snapshot]:
    return [things(), crossing(), degenerate(), nothing()]


def _record_signatures(found: dict[str, list[Any]]) -> None:
    """Note which kernels are run, with the types of their arguments."""
    from numba.cuda.simulator.kernel import FakeCUDAKernel

    call = FakeCUDAKernel.__call__

    def noting(self: Any, *args: Any) -> Any:
        types = [
            [str(a.dtype), a.ndim] if getattr(a, "ndim", 0) else "float64" if isinstance(a, float) else "int64"
            for a in args
        ]
        found[f"{self.fn.__globals__['__name__']}:{self.fn.__name__}"] = types
        return call(self, *args)

    FakeCUDAKernel.__call__ = noting


def _receivers() -> dict[str, Any]:
    """What is chosen of three images of 50 pixels, two samples each, of which the second sees nothing."""
    from numba import cuda

    from simgen.render.cuda.device import launch_blocks
    from simgen.render.cuda.receivers import THREADS, choose_receivers

    rng = np.random.default_rng(5)
    keys = rng.integers(0, 1 << 62, (3, 2, 50), np.uint64)
    keys[rng.random(keys.shape) < 0.3] &= np.uint64(0xFFFFFFFF00000000)
    keys[1] &= np.uint64(0xFFFFFFFF00000000)
    counts, chosen, depths = np.zeros(3, np.int32), np.zeros((3, 8), np.int32), np.zeros((3, 8), np.float32)
    out = [cuda.to_device(a) for a in (counts, chosen, depths)]
    launch_blocks(choose_receivers, 3, THREADS, cuda.to_device(keys.ravel()), 2, 50, 8, *out)
    names = ("counts", "chosen", "depths")
    return {"keys": keys} | {name: array.copy_to_host() for name, array in zip(names, out, strict=True)}


def _made_current(renderer: Any, snap: Snapshot) -> dict[str, int]:
    """How often each method that uses the device makes it current."""
    from simgen.render.cuda import device

    known, times = device.cuda.gpus, []

    class Gpu:
        def __enter__(self) -> None:
            times.append(1)

        def __exit__(self, *_: Any) -> None:
            pass

    found = {}
    device.cuda.gpus = [Gpu()]
    try:
        buffers = renderer.render_on_device([snap], ["depth"])
        calls = {
            "render_on_device": lambda: renderer.render_on_device([snap], ["depth"]), "to_host": buffers.to_host,
            "silhouettes": lambda: renderer.silhouettes(snap), "synchronize": renderer.synchronize,
            "close": renderer.close,
        }  # fmt: skip
        for name, call in calls.items():
            times.clear()
            call()
            found[name] = len(times)
    finally:
        device.cuda.gpus = known
    return found


def _simulate(path: str) -> None:
    from simgen.errors import RenderError
    from simgen.render import create, default_device
    from simgen.render.cuda import CudaRenderer, illumination, stages

    signatures: dict[str, list[Any]] = {}
    _record_signatures(signatures)
    out: dict[str, Any] = {f"receivers/{name}": array for name, array in _receivers().items()}
    snaps = snapshots()
    renderer = create("raster", "cuda:0")
    assert isinstance(renderer, CudaRenderer)
    assert renderer.device == "cuda:0"
    assert "simulator" in renderer.device_name
    assert default_device() == "cpu"
    with_shadows = CudaRenderer(shadow_size=SHADOW_SIZE)
    buffers = with_shadows.render_on_device(snaps, [*LABELS, "rgb"])
    assert all(hasattr(array, "copy_to_host") for array in buffers.images.values())
    out |= {f"batch/{name}": image for name, image in buffers.to_host().images.items()}
    # Alone, in another order of what is resident, and with no room for more than one image at a time.
    narrow = CudaRenderer(shadow_size=SHADOW_SIZE, memory_limit=1, batch_limit=1)
    out |= {f"narrow/{k}": image for k, image in narrow.render(snaps[1::-1], ["depth", "rgb"]).images.items()}
    flat = CudaRenderer(shadow_size=0).render(snaps, ["rgb"]).images
    out |= {"flat/rgb": flat["rgb"]}
    stages.LISTED = 2
    overflowing = renderer.render(snaps, ["depth", "instance"]).images
    out |= {f"overflow/{name}": image for name, image in overflowing.items()}
    stages.LISTED = 1 << 10
    stages.LARGE = illumination.LARGE = 2
    overflowing = CudaRenderer(shadow_size=SHADOW_SIZE).render(snaps[:1], ["depth", "rgb"]).images
    out |= {f"large/{name}": image for name, image in overflowing.items()}
    for k, silhouette in enumerate(renderer.silhouettes(snaps[0]) + renderer.silhouettes(snaps[1])):
        out[f"full/{k}/mask"] = image_mask(silhouette, WIDTH, HEIGHT)
        out[f"full/{k}/facts"] = [silhouette.instance_id, silhouette.px_full, *silhouette.bbox_full]
    refused = []
    for make in (
        lambda: create("raster", "cuda:5"), lambda: create("raster", "gpu"), lambda: CudaRenderer(samples=17),
        lambda: renderer.render(snaps, ["dept"]),
    ):  # fmt: skip
        try:
            make()
        except RenderError as error:
            refused.append(str(error))
    parts: dict[int, list[int]] = {}
    for limit in (1, 1 << 30):
        limited = CudaRenderer(shadow_size=0, memory_limit=limit)
        limited._render_part = lambda part, *_, limit=limit: parts.setdefault(limit, []).append(len(part))
        limited.render_on_device(snaps, ["rgb"])
    alone = renderer.render(snaps[-1:], ["depth", "rgb"]).images
    out |= {f"alone/{name}": image for name, image in alone.items()}
    empty = renderer.render([], ["depth"]).images["depth"]
    held = renderer.nbytes
    renderer.close()
    out["facts"] = json.dumps(
        {"parts": parts, "refused": refused, "empty": empty.shape, "held": [held, renderer.nbytes]}
        | {"signatures": signatures, "current": _made_current(CudaRenderer(), snaps[-1])}
    )
    np.savez(path, **out)


if __name__ == "__main__":
    _simulate(sys.argv[1])

"""RasterRenderer: the compute rasterizer on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.assets.asset import Material, Mesh, Texture
from simgen.errors import RenderError, near_match
from simgen.kernels import is_cached
from simgen.render.base import PASSES, Buffers, Camera, Drawable, Environment, Neighbour, Snapshot
from simgen.render.raster import fragments, labels
from simgen.render.raster.antialias import sample_pattern
from simgen.render.raster.environment import Environments, prefilter
from simgen.render.raster.fragments import Fragments, Placed
from simgen.render.raster.labels import write_labels
from simgen.render.raster.lighting import shade_image
from simgen.render.raster.outputs import Outputs
from simgen.render.raster.scene import Residents
from simgen.render.raster.scratch import Scratch
from simgen.render.raster.shading import shade
from simgen.render.raster.shadow_scene import ShadowMaps
from simgen.render.raster.silhouettes import draw_silhouettes
from simgen.render.silhouette import Silhouette
from simgen.scene.record import LightRecord

_CHANNELS = {"rgb": (3,), "normal": (3,), "object_coords": (3,), "flow_forward": (2,), "flow_backward": (2,)}
_BITS = {
    "depth": labels.DEPTH, "instance": labels.IDS, "part": labels.PARTS, "normal": labels.NORMALS,
    "object_coords": labels.COORDS, "flow_forward": labels.FORWARD, "flow_backward": labels.BACKWARD,
}  # fmt: skip
_NO_IDS, _NO_VALUES = np.zeros(0, np.uint16), np.zeros(0, np.float32)
_CENTRE = np.zeros((1, 2))


class RasterRenderer:
    """Rasterizes and shades on one CPU core; implements ``simgen.render.base.Renderer``.

    ``samples`` is the number of visibility samples a pixel of ``rgb`` (1: no anti-aliasing; labels always come from the
    pixel centre alone). ``shadow_size`` is the side in texels of the main light's shadow map (at most twice the image),
    those of further lights are half as wide; 0 turns shadows off. ``memory_limit`` bounds, in bytes, the meshes,
    textures and prefiltered environments kept from image to image; what was not used for longest goes first. Meshes and
    textures that only one image has used get an eighth of their room.

    One renderer serves one thread at a time. Kernels are compiled at first use and cached on disk; see ``warm_up``.
    """

    name = "raster"
    passes = frozenset(PASSES)

    def __init__(
        self, device: str = "auto", samples: int = 4, shadow_size: int = 1024, memory_limit: int = 256 << 20
    ) -> None:
        if device not in ("auto", "cpu"):
            raise RenderError(f"renderer.device={device!r} is not available here; use auto or cpu")
        if samples < 1 or shadow_size < 0 or memory_limit < 0:
            raise RenderError(
                f"samples={samples} must be at least 1, shadow_size={shadow_size} and memory_limit={memory_limit} "
                "at least 0"
            )
        self.device = "cpu"
        self.samples = samples
        self.shadow_size = shadow_size
        self._pattern = sample_pattern(samples)
        self._residents = Residents(memory_limit * 7 // 8)
        self._environments = Environments(memory_limit // 8)
        self._shadows = ShadowMaps()
        self._scratch = Scratch()
        self._outputs = Outputs()

    @property
    def nbytes(self) -> int:
        """Bytes of memory held from image to image: what is resident, and working memory."""
        held = self._residents, self._environments, self._shadows, self._scratch, self._outputs
        return sum(part.nbytes for part in held)

    def close(self) -> None:
        """Free what is resident; the renderer can be used again."""
        self._residents.clear()
        self._environments.clear()
        self._shadows.clear()
        self._scratch.clear()
        self._outputs.clear()

    def render(self, snapshots: Sequence[Snapshot], passes: Sequence[str]) -> Buffers:
        """Compute ``passes`` of all ``snapshots``, as ``simgen.render.base.Renderer`` says.

        Raises RenderError for an unknown pass, cameras of several sizes, a camera or mesh that cannot be drawn, or a
        background that is not of the image's size.
        """
        for name in passes:
            if name not in PASSES:
                raise RenderError(f"unknown pass {name!r}{near_match(name, PASSES)}; known are {', '.join(PASSES)}")
        sizes = {(s.camera.height, s.camera.width) for s in snapshots}
        if len(sizes) > 1:
            raise RenderError(f"the images of one batch must have one size (height, width), not {sorted(sizes)}")
        height, width = sizes.pop() if sizes else (0, 0)
        images = self._outputs.arrays(
            {
                name: (
                    (len(snapshots), height, width, *_CHANNELS.get(name, ())),
                    np.uint16 if name in ("instance", "part") else np.float32,
                )
                for name in passes
            }
        )
        for k, snapshot in enumerate(snapshots):
            self._render_one(snapshot, {name: image[k].reshape(-1) for name, image in images.items()})
        return Buffers(images)

    def _render_one(self, snapshot: Snapshot, out: dict[str, NDArray[Any]]) -> None:
        width, height = snapshot.camera.width, snapshot.camera.height
        placed = fragments.place(snapshot, self._residents, self._scratch)
        pattern = self._pattern if "rgb" in out else _CENTRE
        normals = "rgb" in out or "normal" in out
        seen = fragments.find(placed, width, height, pattern, normals, self._residents, self._scratch)
        _write_labels(snapshot, placed, seen, out)
        if "rgb" in out:
            shade_image(
                snapshot, placed, seen, self.shadow_size, self._residents, self._environments, self._shadows,
                self._scratch, out["rgb"],
            )  # fmt: skip

    def silhouettes(self, snapshot: Snapshot) -> list[Silhouette]:
        """The full silhouette of every instance id 1...K of a snapshot, K being the highest.

        Each object's own triangles are drawn alone, on the part of a canvas three times the image that they can reach,
        with the transform, clipping and coverage rule of the visibility buffer: what is visible is a subset.
        """
        placed = fragments.place(snapshot, self._residents, self._scratch)
        return draw_silhouettes(placed, snapshot.camera.width, snapshot.camera.height, self._residents, self._scratch)


def _write_labels(snapshot: Snapshot, placed: Placed, seen: Fragments, out: dict[str, NDArray[Any]]) -> None:
    """Write every pass but rgb."""
    tables, count = placed.tables, seen.count
    wanted = 0
    images: list[NDArray[Any]] = []
    for name, bit in _BITS.items():
        image = out.get(name)
        if image is None:
            images.append(_NO_IDS if name in ("instance", "part") else _NO_VALUES)
            continue
        images.append(image)
        if count < snapshot.camera.width * snapshot.camera.height:
            image.fill(0)
        if (name == "flow_forward" and snapshot.next is None) or (
            name == "flow_backward" and snapshot.previous is None
        ):
            image.fill(0)
            continue
        wanted |= bit
    write_labels(
        wanted, count, seen.pixel, seen.triangle, seen.px, seen.py, seen.w, seen.nx, seen.ny, seen.nz, seen.owner,
        tables.draws, tables.matrices, tables.camera, *images,
    )  # fmt: skip


def warm_up(on_compile: Callable[[], None] | None = None, helping: bool = False) -> None:
    """Compile all kernels, or load them from the disk cache, by rendering a tiny image of every pass.

    ``on_compile`` is called first when the cache holds nothing for this version of the code, so that a first run can
    say why it takes its time. ``helping`` is for a process beside one that does this already: it begins with what
    comes late there, and leaves out shading, with which the other is busy longest.
    """
    if on_compile is not None and not is_cached(shade):
        on_compile()
    renderer = RasterRenderer(samples=4, shadow_size=64)
    snapshot = _tiny_snapshot()
    if helping:
        prefilter(snapshot.environment.radiance)
        renderer.render([snapshot], [name for name in PASSES if name != "rgb"])
    else:
        renderer.render([snapshot], ["rgb"])
        renderer.render([snapshot], list(PASSES))
    renderer.silhouettes(snapshot)


def _tiny_snapshot() -> Snapshot:
    """Two textured, cut-out triangles under every kind of light, one in the shadow of the other."""
    pixels = np.full((4, 4, 4), 255, np.uint8)
    maps = [Texture(f"warm-up-{k}", pixels, srgb=k == 0) for k in range(3)]
    material = Material(
        base_color_map=maps[0], metallic_roughness_map=maps[1], normal_map=maps[2], alpha_cutoff=0.5
    )  # fmt: skip
    corners = np.array([[-1, -1, 0], [1, -1, 0], [0, 1, 0]], np.float32)
    mesh = Mesh(
        "warm-up", corners, np.array([[0, 1, 2]], np.int32), np.tile(np.array([0, 0, 1], np.float32), (3, 1)), material,
        uv=corners[:, :2].copy(), colors=np.ones((3, 4), np.float32),
    )  # fmt: skip
    T_world_cam = np.diag([1.0, -1.0, -1.0, 1.0])
    T_world_cam[2, 3] = 2.0
    camera = Camera(np.array([[16.0, 0, 8], [0, 16.0, 8], [0, 0, 1]]), T_world_cam, 17, 17)
    lights = tuple(
        LightRecord(kind, position=(0.0, 0.0, 3.0), extent=(0.1, 0.1))
        for kind in ("directional", "point", "spot", "area")
    )
    raised = np.eye(4)
    raised[:3, 3] = 0.3, 0.0, 0.5
    poses = np.stack([np.eye(4), raised])
    drawables = tuple(Drawable(mesh, material, pose, instance_id=k + 1) for k, pose in enumerate(poses))
    still = Neighbour(poses, T_world_cam)
    environment = Environment("warm-up", np.ones((4, 8, 3), np.float32))
    return Snapshot(drawables, lights, environment, camera, still, still)

"""Renderers: ``raster`` (our own, Numba) and ``tiny`` (PyBullet's TinyRenderer, the reference)."""

from __future__ import annotations

from simgen.errors import RenderError, near_match
from simgen.render.base import Renderer

NAMES = ("raster", "tiny")


def create(name: str = "auto", device: str = "auto") -> Renderer:
    """The renderer called ``name``; "auto" is "raster". Raises RenderError for an unknown name or device."""
    if name in ("auto", "raster"):
        if device not in ("auto", "cpu"):
            from simgen.render.cuda import CudaRenderer

            return CudaRenderer(device)
        from simgen.render.raster import RasterRenderer

        return RasterRenderer(device)
    if name == "tiny":
        from simgen.render.tiny import TinyRenderer

        if device not in ("auto", "cpu"):
            raise RenderError(f"renderer 'tiny' runs on the CPU only; renderer.device is {device!r}, use cpu or auto.")
        return TinyRenderer()
    raise RenderError(f"There is no renderer {name!r}{near_match(name, NAMES)}; use auto, {' or '.join(NAMES)}.")

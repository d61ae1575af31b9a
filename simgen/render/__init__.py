"""Renderers: ``raster`` (our own, Numba, CPU or CUDA) and ``tiny`` (PyBullet's TinyRenderer, the reference)."""

from __future__ import annotations

import importlib.util

from simgen.errors import RenderError, near_match
from simgen.render.base import Renderer

NAMES = ("raster", "tiny")


def create(name: str = "auto", device: str = "auto") -> Renderer:
    """The renderer called ``name`` on ``device``; "auto" is "raster", and on CUDA where there is a device for it.

    Raises RenderError for an unknown name or a device that is not to be had.
    """
    if name in ("auto", "raster"):
        if device == "auto":
            device = default_device()
        if device == "cpu":
            from simgen.render.raster import RasterRenderer

            return RasterRenderer(device)
        try:
            from simgen.render.cuda import CudaRenderer
        except ImportError as error:
            reason = f"renderer.device={device} needs numba-cuda, which cannot be loaded ({error})"
            raise RenderError(f"{reason}; run pip install 'simgen[cuda]' or use renderer.device=cpu.") from error
        return CudaRenderer(device)
    if name == "tiny":
        from simgen.render.tiny import TinyRenderer

        if device not in ("auto", "cpu"):
            raise RenderError(f"renderer 'tiny' runs on the CPU only; renderer.device is {device!r}, use cpu or auto.")
        return TinyRenderer()
    raise RenderError(f"There is no renderer {name!r}{near_match(name, NAMES)}; use auto, {' or '.join(NAMES)}.")


def default_device() -> str:
    """What renderer.device=auto stands for: "cuda:0" when numba-cuda is installed and finds a device, else "cpu"."""
    if importlib.util.find_spec("numba_cuda") is None:
        return "cpu"
    from simgen.render.cuda.device import SIMULATED, missing

    return "cpu" if SIMULATED or missing() is not None else "cuda:0"

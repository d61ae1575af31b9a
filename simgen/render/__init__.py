"""Renderers: ``raster`` (our own, Numba, CPU or CUDA) and ``tiny`` (PyBullet's TinyRenderer, the reference)."""

from __future__ import annotations

import importlib.util
import logging
import multiprocessing
from functools import cache

from simgen.errors import RenderError, near_match
from simgen.render.base import Renderer

NAMES = ("raster", "tiny")

_log = logging.getLogger("simgen")


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
    """What renderer.device=auto stands for: "cuda:0" when numba-cuda is installed and finds a device, else "cpu".

    Where numba-cuda is installed and the device cannot be used, the log tells why.
    """
    if importlib.util.find_spec("numba_cuda") is None:
        return "cpu"
    try:
        from simgen.render.cuda.device import SIMULATED, missing
    except ImportError as error:
        _warn(f"numba-cuda cannot be loaded ({error})")
        return "cpu"
    if SIMULATED:
        return "cpu"
    reason = missing()
    if reason is not None:
        _warn(reason)
    return "cpu" if reason else "cuda:0"


@cache
def _warn(reason: str) -> None:
    """Tell once why the CPU is taken; workers, which would tell it again each, leave it to the process above them."""
    if multiprocessing.parent_process() is None:
        _log.warning("renderer.device=auto takes the CPU: %s", reason)

"""What works on this machine, found by trying it."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from simgen import __version__
from simgen.processes import available_cores

_CORE = (
    "numpy",
    "numba",
    "pybullet",
    "opencv-python-headless",
    "pillow",
    "hydra-core",
    "h5py",
    "hdf5plugin",
    "trimesh",
)
_EXTRAS = {"torch": "training (not needed to render)"}


@dataclass(frozen=True)
class Finding:
    """One thing tried: ``ok`` True or False, or None for something optional that is absent."""

    name: str
    ok: bool | None
    what: str


def examine() -> list[Finding]:
    """Try everything, in the order in which a user would have to mend it."""
    findings = [
        Finding("simgen", True, f"{__version__}, Python {platform.python_version()}, {platform.platform()}"),
        Finding("processor", True, f"{processor_name()}, {available_cores()} cores usable"),
    ]
    findings += [_package(name) for name in _CORE]
    findings += [
        _try("physics", _physics),
        _try("kernel cache", _kernel_cache),
        _try("renderer raster", lambda: _render("raster")),
        _cuda(),
        _try("renderer tiny", lambda: _render("tiny")),
        _try("shard compression", _compression),
        _try("temporary folder", _temporary),
    ]
    findings += [_extra(name, purpose) for name, purpose in _EXTRAS.items()]
    return findings


def processor_name() -> str:
    """The processor's name as the system gives it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _try(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, check())
    except Exception as error:  # whatever goes wrong in a part is what the user wants to read
        return Finding(name, False, f"{type(error).__name__}: {error}")


def _package(name: str) -> Finding:
    try:
        return Finding(name, True, version(name))
    except PackageNotFoundError:
        return Finding(name, False, f"not installed; run: {sys.executable} -m pip install simgen")


def _extra(name: str, purpose: str) -> Finding:
    if importlib.util.find_spec(name) is None:
        return Finding(name, None, f"not installed; for {purpose}")
    return Finding(name, True, f"{version(name)}; for {purpose}")


def _physics() -> str:
    from simgen.physics.client import bullet, connect

    with connect() as client:
        bullet.stepSimulation(physicsClientId=client)
    if not bullet.isNumpyEnabled():
        return "a PyBullet client steps; built without NumPy, so renderer 'tiny' hands over images slowly"
    return "a PyBullet client steps"


def _kernel_cache() -> str:
    from numba import config

    chosen = getattr(config, "CACHE_DIR", "")  # set when Numba reads its environment
    where = Path(chosen) if chosen else Path(__file__).parent
    if not os.access(where, os.W_OK):
        return f"{where} is not writable; kernels are cached in the user's cache folder (or set NUMBA_CACHE_DIR)"
    return str(where)


def _cuda() -> Finding:
    """The rasterizer on a CUDA device, which is optional."""
    name = "renderer raster on CUDA"
    if importlib.util.find_spec("numba_cuda") is None:
        return Finding(name, None, "numba-cuda is not installed (pip install 'simgen[cuda]'); not needed without a GPU")
    try:
        from simgen.render.cuda.device import device_name, missing
    except ImportError as error:
        return Finding(name, None, f"numba-cuda cannot be loaded ({error}); renderer.device=auto is cpu")
    reason = missing()
    if reason is not None:
        return Finding(name, None, f"{reason}; renderer.device=auto is cpu")
    return _try(name, lambda: f"{_render('raster', 'cuda:0')}, {device_name()}")


def _render(name: str, device: str = "cpu") -> str:
    """A white square in front of the camera must come out at its distance, in the right place."""
    from simgen.assets.asset import Mesh
    from simgen.render import create
    from simgen.render.base import Camera, Drawable, Environment, Snapshot

    corners = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], np.float32)
    mesh = Mesh(
        "doctor:square",
        corners,
        np.array([[0, 2, 1], [0, 3, 2]], np.int32),
        np.tile(np.array([[0, 0, -1]], np.float32), (4, 1)),
    )
    T = np.eye(4)
    T[2, 3] = 2.0
    camera = Camera(np.array([[32.0, 0, 31.5], [0, 32.0, 23.5], [0, 0, 1.0]]), np.eye(4), 64, 48, 0.1, 10.0)
    light = Environment("doctor:white", np.ones((16, 32, 3), np.float32))
    square = Drawable(mesh, mesh.material, T, instance_id=1, part_id=1)
    start = time.perf_counter()
    renderer = create(name, device)
    try:
        images = renderer.render([Snapshot((square,), (), light, camera)], ["rgb", "depth", "instance"]).images
    finally:
        renderer.close()
    seen = int(np.count_nonzero(images["instance"][0]))
    if abs(float(images["depth"][0, 24, 32]) - 2.0) > 0.01 or not 0.9 < seen / (32 * 32) < 1.1:
        raise RuntimeError(f"a square 2 m away came out at {images['depth'][0, 24, 32]:.3f} m over {seen} pixels")
    return f"renders correctly on {renderer.device}; started in {time.perf_counter() - start:.1f} s"


def _compression() -> str:
    import h5py
    import hdf5plugin

    data = np.arange(10000, dtype=np.float32)
    with h5py.File.in_memory() as file:
        file.create_dataset("x", data=data, chunks=(1000,), **hdf5plugin.Blosc2(cname="zstd", clevel=1))
        if not np.array_equal(file["x"][:], data):
            raise RuntimeError("Blosc2 did not give back what was written")
    return "Blosc2 writes and reads"


def _temporary() -> str:
    where = tempfile.gettempdir()
    return f"{where}, {shutil.disk_usage(where).free / 2**30:.1f} GiB free"

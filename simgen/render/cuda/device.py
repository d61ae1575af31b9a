"""The CUDA device: which there is, and how functions are compiled for it.

Kernels hold only what needs CUDA: the index of a thread, its small arrays, atomics. What they compute stands in device
functions, many of which are those of the CPU rasterizer, compiled from the same Python source. Numba gives no way to
forbid fused multiply-adds on the device, so labels agree with the CPU's to rounding, not always in the last bit; there
is no other relaxation (division and square root are IEEE, subnormals are kept).

In Numba's CUDA simulator (NUMBA_ENABLE_CUDASIM=1, set before Numba is imported) kernels run in Python, thread by
thread, and device functions are compiled for the CPU.
"""

from __future__ import annotations

import importlib.util
import re
import warnings
from pathlib import Path
from types import FunctionType
from typing import Any

import numba.cuda
import numpy as np
from numba import config, njit
from numpy.typing import DTypeLike, NDArray

from simgen.errors import RenderError
from simgen.kernels import Function, stamped
from simgen.render.cuda import functions

cuda: Any = numba.cuda
"""``numba.cuda``, whose type hints do not describe what kernels use."""
SIMULATED = bool(getattr(config, "ENABLE_CUDASIM", False))
"""Whether Numba simulates CUDA on the CPU."""
_INSTALLED = importlib.util.find_spec("numba_cuda") is not None
if _INSTALLED and not SIMULATED:
    functions.register()
    # Not every stage of every batch fills a device.
    warnings.filterwarnings("ignore", message="Grid size .* under-utilization")

THREADS = 16 if SIMULATED else 128
"""Threads of a block where one thread is one item."""

_SOURCES = (Path(__file__).parent, Path(__file__).parent.parent / "raster")
"""Folders whose functions kernels take."""


def missing() -> str | None:
    """Why CUDA cannot be used here, as a part of a sentence; None when it can."""
    if SIMULATED:
        return None
    if not _INSTALLED:
        return "the package numba-cuda is not installed (pip install 'simgen[cuda]')"
    try:
        if not cuda.is_available():
            return "no CUDA device or driver was found"
    except Exception as error:  # a broken driver may raise anything
        return f"the CUDA driver does not work ({type(error).__name__}: {error})"
    return None


def select(name: str) -> int:
    """The number of the device called ``name`` ("cuda:0"), made current; RenderError when there is none."""
    match = re.fullmatch(r"cuda:(\d+)", name)
    if match is None:
        raise RenderError(f"renderer.device={name!r} is not known; use auto, cpu or cuda:0.")
    reason = missing()
    if reason is not None:
        raise RenderError(f"renderer.device={name} cannot be used: {reason}; use renderer.device=cpu or mend that.")
    number, count = int(match[1]), 1 if SIMULATED else len(cuda.gpus)
    if number >= count:
        raise RenderError(f"renderer.device={name} does not exist: there are {count} CUDA devices, counted from 0.")
    cuda.select_device(number)
    return number


def device_name() -> str:
    """The name of the current device, as the driver gives it."""
    if SIMULATED:
        return "Numba's CUDA simulator"
    name = cuda.get_current_device().name
    return name.decode() if isinstance(name, bytes) else str(name)


def device(function: Function) -> Any:
    """Compile ``function`` for use in kernels: Python source, or a function of the CPU rasterizer to compile anew."""
    if not SIMULATED:
        return cuda.jit(device=True)(getattr(function, "py_func", function))
    if hasattr(function, "py_func"):
        return function
    return stamped(njit(cache=True, error_model="numpy")(function), *_SOURCES)


def kernel(function: Function) -> Any:
    """Compile ``function`` as a kernel."""
    return cuda.jit(_on_arrays(function)) if SIMULATED else stamped(cuda.jit(cache=True)(function), *_SOURCES)


def _on_arrays(function: Function) -> Function:
    """``function`` on plain arrays, which compiled functions take, instead of those the simulator hands to kernels."""
    from numba.cuda.simulator.cudadrv.devicearray import FakeWithinKernelCUDAArray as Fake

    def call(*args: Any) -> None:
        function(*[a._item._ary if isinstance(a, Fake) else a for a in args])

    # With the globals of the kernel's module, in which the simulator puts its own ``cuda``.
    return FunctionType(call.__code__, function.__globals__, function.__name__, None, call.__closure__)


def launch(compiled: Any, count: int, *args: Any) -> None:
    """Run a kernel in ``count`` threads at least; the kernel leaves out what lies past its ``count``."""
    if count > 0:
        compiled[-(-count // THREADS), THREADS](*args)


class Memory:
    """Named arrays on the device that are kept from batch to batch and grow when asked for more."""

    def __init__(self) -> None:
        self._arrays: dict[str, Any] = {}

    def get(self, name: str, dtype: DTypeLike, count: int) -> Any:
        """A flat array of ``count`` elements at least; contents undefined."""
        found = self._arrays.get(name)
        if found is None or len(found) < count:
            self._arrays.pop(name, None)
            found = cuda.device_array(max(count + (count // 4 if found is not None else 0), 1), dtype)
            self._arrays[name] = found
        return found

    def put(self, name: str, data: NDArray[Any]) -> Any:
        """A copy of ``data`` on the device, in its shape; an empty array becomes one of one undefined row."""
        data = np.ascontiguousarray(data)
        shape = data.shape if data.size else (1, *data.shape[1:])
        count = int(np.prod(shape))
        target = self.get(name, data.dtype, count)[:count]
        if data.size:
            target.copy_to_device(data.reshape(-1))
        return target.reshape(*shape)

    @property
    def nbytes(self) -> int:
        """Bytes of device memory taken."""
        return sum(int(array.nbytes) for array in self._arrays.values())

    def clear(self) -> None:
        """Free everything."""
        self._arrays.clear()

"""The CUDA device: which there is, and how functions are compiled for it.

Kernels hold only what needs CUDA: the index of a thread, its small arrays, atomics. What they compute stands in device
functions, many of which are those of the CPU rasterizer, compiled from the same Python source. Division and square root
are IEEE and subnormals are kept; ``strict_kernel`` also forbids fused multiply-adds, so that geometry is rounded as on
the CPU, and an edge lies where it lies in whichever kernel it is drawn.

In Numba's CUDA simulator (NUMBA_ENABLE_CUDASIM=1, set before Numba is imported) kernels run in Python, thread by
thread, and device functions are compiled for the CPU.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
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

THREADS = 16 if SIMULATED else 128
"""Threads of a block where one thread is one item."""
_FEWEST_BLOCKS = 1 if SIMULATED else 128
"""Numba warns of launches of fewer blocks; not every stage of every batch fills a device."""

_SOURCES = (Path(__file__).parent, Path(__file__).parent.parent / "raster")
"""Folders whose functions kernels take."""


_working: set[tuple[int, int]] = set()
"""Processes and devices of theirs on which a kernel has run."""


def missing(number: int = 0) -> str | None:
    """Why a CUDA device cannot be used here, as a part of a sentence; None when it can.

    A kernel is run to find out: a driver that is too old or a device without free memory is not noticed before.
    """
    if SIMULATED or (os.getpid(), number) in _working:
        return None
    if not _INSTALLED:
        return "the package numba-cuda is not installed (pip install 'simgen[cuda]')"
    try:
        if not cuda.is_available():
            return _unavailable()
        with cuda.gpus[number]:
            found = cuda.device_array(1, np.int32)
            _touch[_FEWEST_BLOCKS, 1](found)
            if int(found.copy_to_host()[0]) != 1:
                return "a kernel ran on the CUDA device without result"
    except Exception as error:  # a broken driver may raise anything
        return f"the CUDA driver or device does not work ({_first_line(error)})"
    _working.add((os.getpid(), number))
    return None


def _unavailable() -> str:
    """What ``cuda.is_available`` found to be missing."""
    nvvm: Any = importlib.import_module("numba.cuda.cudadrv.nvvm")
    driver: Any = importlib.import_module("numba.cuda.cudadrv.driver").driver
    if driver.initialization_error is None and not nvvm.is_available():
        return "NVIDIA's compiler library NVVM was not found (pip install 'simgen[cuda]')"
    reason = _first_line(driver.initialization_error or "")
    return "no CUDA device or driver was found" + (f" ({reason})" if reason else "")


def _first_line(what: object) -> str:
    lines = str(what).strip().splitlines()
    text = lines[0].rstrip(" .:") if lines else ""
    return f"{type(what).__name__}: {text}" if isinstance(what, BaseException) else text


def select(name: str) -> int:
    """The number of the device called ``name`` ("cuda:0"); RenderError when it is not to be had."""
    match = re.fullmatch(r"cuda:(\d+)", name)
    if match is None:
        raise RenderError(f"renderer.device={name!r} is not known; use auto, cpu or cuda:0.")
    number = int(match[1])
    count = _count()
    if count and number >= count:
        raise RenderError(f"renderer.device={name} does not exist: there are {count} CUDA devices, counted from 0.")
    reason = missing(number)
    if reason is not None:
        raise RenderError(f"renderer.device={name} cannot be used: {reason}; use renderer.device=cpu or mend that.")
    return number


def _count() -> int:
    """The number of devices, 0 when that cannot be told."""
    if SIMULATED:
        return 1
    try:
        return len(cuda.gpus) if _INSTALLED and cuda.is_available() else 0
    except Exception:  # ``missing`` tells what is wrong
        return 0


@contextmanager
def current(number: int) -> Iterator[None]:
    """Make a device the one that this thread uses; what the driver reports becomes a RenderError.

    Other renderers and other libraries of the process may use other devices in between.
    """
    try:
        with cuda.gpus[number]:
            yield
    except _DRIVER_ERRORS as error:
        if "OUT_OF_MEMORY" in str(error):
            raise RenderError(
                f"the memory of renderer.device=cuda:{number} is full; render smaller images or fewer at once, let "
                "fewer processes share the device, or use renderer.device=cpu."
            ) from error
        forked = "; start processes by spawn or forkserver" if "before forking" in str(error) else ""
        raise RenderError(f"renderer.device=cuda:{number} failed ({_first_line(error)}){forked}.") from error


def _driver_errors() -> tuple[type[Exception], ...]:
    """What Numba raises when the driver reports an error: its own, and that of the package beneath."""
    found = []
    for module, name in (("numba.cuda.cudadrv.error", "CudaDriverError"), ("cuda.core._utils.cuda_utils", "CUDAError")):
        try:
            found.append(getattr(importlib.import_module(module), name))
        except (ImportError, AttributeError):
            continue
    return tuple(found)


_DRIVER_ERRORS = _driver_errors() if _INSTALLED or SIMULATED else ()


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


def strict_kernel(function: Function) -> Any:
    """Compile ``function`` as a kernel with arithmetic exactly as written, like ``raster.jit.strict``.

    NVVM otherwise fuses multiplications with additions, here so and there so.
    """
    compiled = kernel(function)
    return _without_fma(compiled) if _INSTALLED and not SIMULATED else compiled


def _without_fma(dispatcher: Any) -> Any:
    """Have the device code of a kernel made with NVVM's option ``fma=0``; returns it."""
    made: Any = importlib.import_module("numba.cuda.dispatcher")._Kernel
    if "fma" in inspect.signature(made.__init__).parameters:
        dispatcher.targetoptions["fma"] = False
        return dispatcher
    # numba-cuda up to 0.30 passes that option on to NVVM but has no way to say it (its issue 118).
    nvvm: Any = importlib.import_module("numba.cuda.cudadrv.nvvm")
    lock: Any = importlib.import_module("numba.cuda.core.compiler_lock").global_compiler_lock
    compile_as_usual = dispatcher.compile

    def compile_strictly(signature: Any) -> Any:
        with lock:
            compile_ir = nvvm.compile_ir
            nvvm.compile_ir = partial(compile_ir, fma=False)
            try:
                return compile_as_usual(signature)
            finally:
                nvvm.compile_ir = compile_ir

    dispatcher.compile = compile_strictly
    return dispatcher


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
        compiled[max(-(-count // THREADS), _FEWEST_BLOCKS), THREADS](*args)


def launch_blocks(compiled: Any, blocks: int, threads: int, *args: Any) -> None:
    """Run a kernel in ``blocks`` blocks at least; the kernel leaves out those that it has nothing for."""
    compiled[max(blocks, _FEWEST_BLOCKS), threads](*args)


@kernel
def _touch(out: Any) -> None:
    """Show that a kernel runs."""
    out[0] = 1


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

    def shaped(self, name: str, dtype: DTypeLike, *shape: int) -> Any:
        """An array of ``shape``, none of it 0; contents undefined."""
        count = int(np.prod(shape))
        return self.get(name, dtype, count)[:count].reshape(*shape)

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

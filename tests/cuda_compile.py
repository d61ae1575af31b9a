"""Compile kernels to PTX for an A100, without a device: a program for ``test_cuda``, given names and types as JSON."""

from __future__ import annotations

import importlib
import json
import sys

import numba.cuda.dispatcher as dispatcher
from numba import cuda, types


class Device:
    """Functions of kernels ask the current device what to compile for."""

    compute_capability = (8, 0)


def main() -> int:
    dispatcher.get_current_device = lambda: Device
    try:
        from numba.cuda.cudadrv.nvvm import NVVM

        NVVM()
    except Exception as error:
        print(f"NVVM is not there: {error}")
        return 77
    compiled = 0
    for name, arguments in json.loads(sys.argv[1]).items():
        module, function = name.split(":")
        kernel = getattr(importlib.import_module(module), function)
        signature = tuple(
            types.Array(getattr(types, a[0]), a[1], "C") if isinstance(a, list) else getattr(types, a)
            for a in arguments
        )
        ptx, _ = cuda.compile_ptx(kernel.py_func, signature, cc=Device.compute_capability)
        # What is not resolved here would have to be linked: memory management, for one, which kernels must not need.
        if "call.uni" in ptx:
            print(f"{name} calls a function that is not in it")
            return 1
        compiled += 1
    print(json.dumps({"compiled": compiled}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

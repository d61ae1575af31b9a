"""Compile kernels for an H100, without a device: a program for ``test_cuda``, given names and types as JSON.

Kernels are compiled as they are at their first launch. Writes what their PTX holds as JSON.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
from typing import Any

import numba.cuda.codegen as codegen
import numba.cuda.dispatcher as dispatcher
from numba import types


class Device:
    """Functions of kernels ask the current device what to compile for."""

    id = 0
    compute_capability = (9, 0)


class Context:
    device = Device


def main() -> int:
    dispatcher.get_current_device = lambda: Device
    codegen.devices.get_context = lambda *_: Context
    dispatcher._Kernel.bind = lambda _: None  # it would load the machine code
    try:
        from numba.cuda.cudadrv.nvvm import NVVM

        NVVM()
    except Exception as error:
        print(f"NVVM is not there: {error}")
        return 77
    found = {}
    for name, arguments in json.loads(sys.argv[1]).items():
        module, function = name.split(":")
        kernel: Any = getattr(importlib.import_module(module), function)
        kernel._cache = dispatcher.NullCache()
        signature = tuple(
            types.Array(getattr(types, a[0]), a[1], "C") if isinstance(a, list) else getattr(types, a)
            for a in arguments
        )
        ptx = kernel.compile(signature).inspect_asm((9, 0, "a"))
        found[f"{module.split('.')[-1]}.{function}"] = {
            # What is called would have to be linked: memory management, for one, which kernels must not need.
            "calls": "call.uni" in ptx,
            "fused": len(re.findall(r"\bfma\.", ptx)),
            "doubles": len(re.findall(r"\b(?:add|sub|mul|fma|div|rcp|sqrt|min|max)\.(?:rn\.)?f64\b", ptx)),
        }
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())

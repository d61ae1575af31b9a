"""Compiled functions and their cache on disk."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest
from numba.core.registry import CPUDispatcher

import simgen

PACKAGE = Path(simgen.__file__).parent

OUTER = """
from inner import FACTOR, part
from simgen.kernels import is_cached, kernel

@kernel()
def whole(x):
    return FACTOR * part(x)

if __name__ == "__main__":
    print(is_cached(whole), whole(1))
"""

INNER = """
from simgen.kernels import kernel

FACTOR = {factor}

@kernel()
def part(x):
    return x + {added}
"""


def test_a_kernel_is_compiled_anew_when_a_file_beside_its_own_changes(tmp_path: Path) -> None:
    (tmp_path / "outer.py").write_text(OUTER)
    told = []
    for factor, added in ((2, 1), (2, 1), (2, 4), (3, 4)):
        (tmp_path / "inner.py").write_text(INNER.format(factor=factor, added=added))
        run = subprocess.run([sys.executable, "-B", "outer.py"], cwd=tmp_path, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        told.append(run.stdout.split())
    assert told == [["False", "4"], ["True", "4"], ["False", "10"], ["False", "15"]]


def _files() -> list[Path]:
    elsewhere = {"cuda", "peers"}  # kernels for devices; programs of other packages
    return [path for path in PACKAGE.rglob("*.py") if "kernel" in path.read_text() and not elsewhere & {*path.parts}]


@pytest.mark.parametrize("path", _files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_kernels_take_functions_and_constants_from_their_own_folder(path: Path) -> None:
    """The cache of a kernel knows about no other files."""
    name = ".".join(("simgen", *path.relative_to(PACKAGE).with_suffix("").parts))
    module = importlib.import_module(name.removesuffix(".__init__"))
    imported = {
        alias.asname or alias.name: node.module
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("simgen")
        for alias in node.names
    }
    for kernel in vars(module).values():
        if not isinstance(kernel, CPUDispatcher) or kernel.py_func.__module__ != module.__name__:
            continue
        for used in imported.keys() & set(kernel.py_func.__code__.co_names):
            folder = PACKAGE.joinpath(*imported[used].split(".")[1:])
            assert path.parent in (folder, folder.parent), f"{kernel} takes {used} from {imported[used]}"

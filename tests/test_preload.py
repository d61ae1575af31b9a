"""Workers are forked with the machine code of kernels in their memory."""

from __future__ import annotations

import subprocess
import sys

LOADED = """
import gc, sys
import numba.core.dispatcher as dispatchers
import simgen.generate.scenes as scenes

def kernels():
    names = {key: value for name, module in sys.modules.items() if name.startswith("simgen.") for key, value
             in vars(module).items() if isinstance(value, dispatchers.Dispatcher)}
    return {key: value for key, value in names.items() if value.signatures}

if "compile" in sys.argv:
    from simgen.config import load
    scenes.SceneSource(load("shapes", ["image.width=64", "image.height=48"])).warm_up()
else:
    assert not kernels()
    import simgen.generate.preload
    assert gc.get_freeze_count() > 100_000
    assert not any(kernel.stats.cache_misses for kernel in kernels().values())
print(*sorted(key for key, kernel in kernels().items() if sum(kernel.stats.cache_hits.values())))
"""


def run(*arguments: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments], capture_output=True, text=True, check=True, timeout=300
    )
    return set(done.stdout.split())


def test_what_has_been_compiled_is_loaded_and_nothing_is_compiled() -> None:
    run("compile")
    needed = run("compile")
    assert {"rasterize", "shade", "_take"} <= needed
    # Some small ones are missing, which others call as well.
    assert len(needed - run()) <= len(needed) // 10

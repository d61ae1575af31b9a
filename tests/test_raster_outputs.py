"""Memory of results is used again, but never while the caller or a view holds it."""

from __future__ import annotations

import numpy as np
import pytest
from raster_scenes import box, draw, quad, snapshot

from simgen.render.raster import RasterRenderer
from simgen.render.raster.outputs import Outputs

WANTED = {"depth": ((2, 5, 7), np.float32), "ids": ((2, 5, 7), np.uint16)}


def test_arrays_are_as_asked_for_and_aligned():
    found = Outputs().arrays({**WANTED, "none": ((0, 0), np.float32)})
    assert {name: (a.shape, a.dtype.type) for name, a in found.items()} == {**WANTED, "none": ((0, 0), np.float32)}
    assert all(a.flags.writeable and a.flags.c_contiguous and a.ctypes.data % 64 == 0 for a in found.values())


def test_memory_comes_back_with_the_last_view():
    outputs = Outputs()
    first = outputs.arrays(WANTED)
    address, view = first["depth"].ctypes.data, first["depth"][1, 2:, ::3].reshape(-1)
    del first
    assert outputs.nbytes > 0  # the ids
    second = outputs.arrays(WANTED)
    assert not np.may_share_memory(second["depth"], view)
    del view, second
    third = outputs.arrays(WANTED)
    fourth = outputs.arrays(WANTED)
    assert address in (third["depth"].ctypes.data, fourth["depth"].ctypes.data)
    assert not np.may_share_memory(third["depth"], fourth["depth"])


def test_what_waits_is_bounded_and_freed():
    outputs = Outputs()
    held = [outputs.arrays(WANTED) for _ in range(20)]
    size = sum(a.nbytes for a in held[0].values())
    held.clear()
    assert 0 < outputs.nbytes <= 2 * size
    outputs.clear()
    assert outputs.nbytes == 0


@pytest.mark.parametrize("name", ["depth", "instance", "rgb"])
def test_a_kept_view_of_a_result_stays(name):
    renderer = RasterRenderer(shadow_size=0)
    view = renderer.render([snapshot([draw(quad())])], [name]).images[name][0, 10:]
    before = view.copy()
    for _ in range(3):
        renderer.render([snapshot([draw(box())])], [name])
    np.testing.assert_array_equal(view, before)

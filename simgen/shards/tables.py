"""Small tables of HDF5 files: h5py's interface for all cases takes four times as long to create them as HDF5 does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5p, h5s, h5t
from numpy.typing import NDArray

_TEXT = h5py.string_dtype()


def create_table(
    parent: h5py.Group, name: str, values: NDArray[Any], attributes: Mapping[str, str | bool] | None = None
) -> None:
    """A contiguous dataset of ``values`` called ``name``, one link, in ``parent``, as ``create_dataset`` makes it.

    Arrays of objects are of strings, stored as UTF-8.
    """
    stored, memory, values = _types(values)
    options = h5p.create(h5p.DATASET_CREATE)
    options.set_obj_track_times(False)  # or the same shard would have other bytes each time
    link = h5p.create(h5p.LINK_CREATE)
    if not name.isascii():
        link.set_char_encoding(h5t.CSET_UTF8)
    space = h5s.create_simple(values.shape) if values.ndim else h5s.create(h5s.SCALAR)
    data = h5d.create(parent.id, None, stored, space, options)
    if values.size:
        data.write(h5s.ALL, h5s.ALL, values, memory)
    h5py.h5o.link(data, parent.id, name.encode(), link)
    for key, value in (attributes or {}).items():
        stored, memory, single = _types(np.array(value, object if isinstance(value, str) else None))
        h5a.create(data, key.encode(), stored, h5s.create(h5s.SCALAR)).write(single, memory)


def _types(values: NDArray[Any]) -> tuple[Any, Any, NDArray[Any]]:
    """HDF5's types of ``values`` in the file and in memory, and ``values`` as it takes them."""
    if values.dtype == object:
        return h5t.py_create(_TEXT, logical=True), h5t.py_create(_TEXT), values.astype(_TEXT)
    return h5t.py_create(values.dtype, logical=True), h5t.py_create(values.dtype), np.ascontiguousarray(values)

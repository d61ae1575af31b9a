"""Small tables and single entries of HDF5 files: h5py's interface for all cases takes longer than HDF5 itself does."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5p, h5s, h5t
from numpy.typing import NDArray

_TEXT = h5py.string_dtype()
_TEXT_TYPES = h5t.py_create(_TEXT, logical=True), h5t.py_create(_TEXT)
_ONE = h5s.create(h5s.SCALAR)

_UNTIMED = h5p.create(h5p.DATASET_CREATE)
_UNTIMED.set_obj_track_times(False)  # or the same shard would have other bytes each time
_UTF8 = h5p.create(h5p.LINK_CREATE)
_UTF8.set_char_encoding(h5t.CSET_UTF8)


def create_table(
    parent: h5py.Group, name: str, values: NDArray[Any], attributes: Mapping[str, str | bool] | None = None
) -> None:
    """A contiguous dataset of ``values`` called ``name``, one link, in ``parent``, as ``create_dataset`` makes it.

    Arrays of objects are of strings, stored as UTF-8.
    """
    (stored, memory), values = _stored(values)
    space = h5s.create_simple(values.shape) if values.ndim else _ONE
    link = None if name.isascii() else _UTF8
    data = h5d.create(parent.id, name.encode(), stored, space, _UNTIMED, link)
    if values.size:
        data.write(h5s.ALL, h5s.ALL, values, memory)
    for key, value in (attributes or {}).items():
        stored, memory, single = _attribute(value)
        h5a.create(data, key.encode(), stored, _ONE).write(single, memory)


def write_entry(data: h5py.Dataset, n: int, values: NDArray[Any]) -> None:
    """What ``data[n] = values`` does for C-contiguous ``values`` of the shape of an entry and the type of ``data``."""
    entry = h5s.create_simple((1, *values.shape))
    place = data.id.get_space()
    place.select_hyperslab((n, *[0] * values.ndim), (1, *values.shape))
    data.id.write(entry, place, values)


@lru_cache(maxsize=256)
def _attribute(value: str | bool) -> tuple[Any, Any, NDArray[Any]]:
    """HDF5's types of ``value`` in the file and in memory, and the value as an array; most tables have the same few."""
    (stored, memory), single = _stored(np.array(value, object if isinstance(value, str) else None))
    return stored, memory, single


def _stored(values: NDArray[Any]) -> tuple[tuple[Any, Any], NDArray[Any]]:
    """HDF5's types of ``values`` in the file and in memory, and ``values`` as it takes them."""
    if values.dtype == object:
        return _TEXT_TYPES, values.astype(_TEXT)
    return _number_types(values.dtype), np.asarray(values, order="C")


@lru_cache(maxsize=64)
def _number_types(dtype: np.dtype[Any]) -> tuple[Any, Any]:
    return h5t.py_create(dtype, logical=True), h5t.py_create(dtype)

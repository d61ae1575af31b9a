"""Randomization values as columns over frames.

A draw is a number, a string, a boolean, None, or a list of these, or a list of lists of one length. A column holds one
draw of N frames as an array (N,), (N, L) or (N, L, M) where L is the longest list. Its ``kind`` says what its entries
are and ``MISSING`` what stands for None and beyond the end of shorter lists. ``lengths`` (N,) gives the entries of each
list (1 for a single value), -1 where nothing was drawn; it is left out when every frame drew equally many. Draws that
fit none of this (numbers and strings mixed, ragged lists of lists) are kept as JSON text.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

INT_MISSING = -(2**63)
MISSING: dict[str, Any] = {"bool": -1, "int": INT_MISSING, "float": np.nan, "string": "", "json": ""}
DTYPES: dict[str, Any] = {"bool": np.int8, "int": np.int64, "float": np.float64, "string": object, "json": object}


class _Absent:
    """Stands for a draw that a frame did not make."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = _Absent()

_ATOMS = frozenset({float, int, str, bool, type(None), _Absent})


@dataclass(frozen=True, eq=False)
class Column:
    """One draw over N frames; see the module. ``nulls`` says that a missing entry within a list's length is None."""

    kind: str
    values: NDArray[Any]
    lengths: NDArray[np.int32] | None = None
    nulls: bool = False


def plain(value: Any) -> Any:
    """``value`` with NumPy scalars and arrays, and tuples, as Python numbers and lists."""
    kind = type(value)
    if kind in _ATOMS or (kind is list and _ATOMS.issuperset(map(type, value))):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return value


def encode(draws: Sequence[Any]) -> Column:
    """The column of one draw: an entry per frame, ABSENT where the frame did not make it."""
    draws = [plain(value) for value in draws]
    present = [value for value in draws if value is not ABSENT]
    rank, inner = _shape(present)
    leaves: list[Any] = present
    for _ in range(rank or 0):
        leaves = list(chain.from_iterable(leaves))
    kind = _kind(leaves) if rank is not None else "json"
    if kind == "json" or rank is None:
        texts = np.array(["" if value is ABSENT else json.dumps(value) for value in draws], object)
        return Column("json", texts, None)
    longest = max((len(value) for value in present), default=0) if rank else 0
    null = type(None) in set(map(type, leaves))
    whole = len(present) == len(draws) and not null
    if whole and (rank == 0 or (all(len(value) == longest for value in present) and longest and (rank == 1 or inner))):
        return Column(kind, np.array(draws, DTYPES[kind]))
    shape = (len(draws), longest, inner)[: rank + 1]
    values = np.full(shape, MISSING[kind], DTYPES[kind])
    lengths = np.full(len(draws), -1, np.int32)
    for n, value in enumerate(draws):
        if value is ABSENT:
            continue
        lengths[n] = len(value) if rank else 1
        filled = _fill(value, MISSING[kind]) if null else value
        if rank == 0:
            values[n] = filled
        elif filled:
            values[n, : len(filled)] = filled
    regular = rank == 0 or longest == 0 or bool((lengths == longest).all())
    regular = regular and bool((lengths >= 0).all())
    return Column(kind, values, None if regular else lengths, null)


def decode(column: Column, n: int) -> Any:
    """What frame ``n`` drew, ABSENT when nothing."""
    value = column.values[n]
    if column.kind == "json":
        return ABSENT if value == "" else json.loads(value)
    if column.lengths is not None:
        if column.lengths[n] < 0:
            return ABSENT
        if column.values.ndim > 1:
            value = value[: column.lengths[n]]
    value = plain(value)
    if column.kind == "bool" or column.nulls:
        return _restore(value, column.kind, column.nulls)
    return value


def _shape(present: Sequence[Any]) -> tuple[int | None, int]:
    """The rank 0, 1 or 2 common to all draws and the length of the inner lists; rank None when there is none."""
    types = set(map(type, present))
    if list not in types:
        return 0, 0
    if len(types) > 1:
        return None, 0
    entries = list(chain.from_iterable(present))
    types = set(map(type, entries))
    if list not in types:
        return 1, 0
    widths = set(map(len, entries)) if len(types) == 1 else set()
    if len(widths) != 1 or list in set(map(type, chain.from_iterable(entries))):
        return None, 0
    return 2, widths.pop()


def _kind(leaves: Sequence[Any]) -> str:
    """The kind that holds every leaf without loss, "json" when none does."""
    types = set(map(type, leaves))
    null = type(None) in types
    types.discard(type(None))
    if types == {float} and not null:
        return "float"
    values = [leaf for leaf in leaves if leaf is not None]
    if types == {bool}:
        return "bool"
    if types == {int} and all(INT_MISSING < value < 2**63 for value in values):
        return "int"
    if types <= {int, float}:
        exact = all(abs(value) <= 2**53 for value in values if isinstance(value, int))
        clear = not null or not any(value != value for value in values)
        return "float" if exact and clear else "json"
    if types == {str}:
        clear = all("\0" not in value for value in values) and not (null and "" in values)
        return "string" if clear else "json"
    return "json"


def _fill(value: Any, missing: Any) -> Any:
    if isinstance(value, list):
        return [_fill(entry, missing) for entry in value]
    return missing if value is None else value


def _restore(value: Any, kind: str, nulls: bool) -> Any:
    if isinstance(value, list):
        return [_restore(entry, kind, nulls) for entry in value]
    missing = value != value if kind == "float" else value == MISSING[kind]
    if nulls and missing:
        return None
    return bool(value) if kind == "bool" else value


def as_array(drawn: Sequence[Any]) -> NDArray[Any]:
    """The draws of N frames, ABSENT where nothing was drawn, as the array that ``Dataset.draws`` describes."""
    column = encode(drawn)
    if column.kind == "json":
        values = np.empty(len(drawn), object)
        values[:] = [None if value is ABSENT else value for value in drawn]
        return values
    if column.kind == "string":
        return column.values
    missing = np.isnan(column.values) if column.kind == "float" else column.values == MISSING[column.kind]
    if not missing.any():
        return column.values.astype(bool) if column.kind == "bool" else column.values
    return np.where(missing, np.nan, column.values.astype(np.float64))

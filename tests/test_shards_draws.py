"""Draws as columns: whatever is drawn comes back as it was."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from simgen.shards.draws import ABSENT, as_array, decode, encode

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"])),
)
one_kind = st.sampled_from(
    [st.booleans(), st.integers(-(2**62), 2**62), st.floats(allow_nan=False), st.sampled_from(["a", "bc", "é"])]
)


def _same(a: object, b: object) -> bool:
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, bool) or a is None or a is ABSENT or isinstance(a, str):
        return type(a) is type(b) and a == b
    return isinstance(b, int | float) and not isinstance(b, bool) and (a == b)


def _round_trip(values: list[object]) -> None:
    column = encode(values)
    for n, value in enumerate(values):
        assert _same(value, decode(column, n)), (column, n, value)


@settings(deadline=None)
@given(
    st.lists(
        st.one_of(scalars, st.just(ABSENT), st.lists(scalars), st.lists(st.lists(scalars, max_size=3))), min_size=1
    )
)
def test_anything_comes_back(values: list[object]) -> None:
    _round_trip(values)


@settings(deadline=None)
@given(st.data())
def test_draws_of_one_kind_come_back_and_are_columns(data: st.DataObject) -> None:
    leaf = data.draw(one_kind)
    width = data.draw(st.integers(1, 3))
    shape = data.draw(st.sampled_from([leaf, st.lists(leaf), st.lists(st.lists(leaf, min_size=width, max_size=width))]))
    values = data.draw(st.lists(st.one_of(shape, st.just(ABSENT)), min_size=1))
    _round_trip(values)
    assert encode(values).kind != "json"


def test_padding_is_as_documented() -> None:
    column = encode([[1.0, 2.0], [], [3.0]])
    np.testing.assert_array_equal(column.values, [[1, 2], [math.nan] * 2, [3, math.nan]])
    assert list(column.lengths) == [2, 0, 1]
    assert encode([["a"], ["b", "c"]]).values.tolist() == [["a", ""], ["b", "c"]]
    assert encode([[1, 2], [3]]).values.tolist() == [[1, 2], [3, -(2**63)]]
    assert encode([True, ABSENT]).values.tolist() == [1, -1]
    assert encode([[1, 2], [3, 4]]).lengths is None
    assert encode([(1.0, 2.0), np.array([3.0, 4.0])]).values.tolist() == [[1, 2], [3, 4]]


def test_nan_and_none_are_kept_apart() -> None:
    column = encode([math.nan, 1.0])
    assert math.isnan(decode(column, 0))
    assert decode(encode([None, 1.0]), 0) is None
    column = encode([None, math.nan])
    assert decode(column, 0) is None
    assert math.isnan(decode(column, 1))


def test_arrays_for_analysis() -> None:
    assert as_array([1, 2]).dtype == np.int64
    np.testing.assert_array_equal(as_array([1, ABSENT]), [1, math.nan])
    assert as_array([True, False]).dtype == bool
    np.testing.assert_array_equal(as_array([[1], [2, 3]]), [[1, math.nan], [2, 3]])
    assert as_array(["a", ABSENT]).tolist() == ["a", ""]
    assert as_array(["a", 1, ABSENT]).tolist() == ["a", 1, None]

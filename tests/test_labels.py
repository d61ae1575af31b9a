"""Labels against pycocotools and against counting by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco

from simgen.labels.label import semantic, visible
from simgen.labels.rle import decode, encode


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_rle_is_that_of_pycocotools(data: st.DataObject) -> None:
    height, width = data.draw(st.integers(1, 24)), data.draw(st.integers(1, 24))
    h, w = data.draw(st.integers(0, height)), data.draw(st.integers(0, width))
    y, x = data.draw(st.integers(0, height - h)), data.draw(st.integers(0, width - w))
    seed, density = data.draw(st.integers(0, 2**32)), data.draw(st.sampled_from([0.0, 0.2, 0.5, 0.95, 1.0]))
    crop = np.random.default_rng(seed).random((h, w)) < density
    whole = np.zeros((height, width), bool)
    whole[y : y + h, x : x + w] = crop
    expected = coco.encode(np.asfortranarray(whole.astype(np.uint8)))["counts"]
    assert encode(crop, x, y, height, width) == expected
    np.testing.assert_array_equal(decode(expected, height, width), whole)


def test_rle_of_a_large_mask_needs_several_characters_a_run() -> None:
    whole = np.zeros((480, 640), bool)
    whole[10:470, 5:600] = True
    whole[200:210, 300:310] = False
    expected = coco.encode(np.asfortranarray(whole.astype(np.uint8)))["counts"]
    assert encode(whole, 0, 0, 480, 640) == expected
    np.testing.assert_array_equal(decode(expected, 480, 640), whole)


def test_rle_of_a_mask_as_high_as_the_image_ends_with_it() -> None:
    whole = np.zeros((5, 9), bool)
    whole[:, 2:6] = True
    expected = coco.encode(np.asfortranarray(whole.astype(np.uint8)))["counts"]
    assert encode(whole[:, 2:6], 2, 0, 5, 9) == expected


def test_rle_that_does_not_fill_the_image_is_refused() -> None:
    with pytest.raises(ValueError, match="the runs cover"):
        decode(encode(np.ones((3, 3), bool), 0, 0, 4, 4), 5, 5)


def test_visible_counts_and_boxes() -> None:
    instance = np.zeros((6, 8), np.uint16)
    instance[1:3, 2:7] = 1
    instance[5, 7] = 3
    pixels, boxes = visible(instance, 3)
    assert pixels.tolist() == [10, 0, 1]
    assert boxes.tolist() == [[2, 1, 5, 2], [0, 0, 0, 0], [7, 5, 1, 1]]


def test_visible_without_objects() -> None:
    pixels, boxes = visible(np.zeros((4, 4), np.uint16), 0)
    assert pixels.shape == (0,)
    assert boxes.shape == (0, 4)


def test_semantic_follows_the_table() -> None:
    from types import SimpleNamespace

    instance = np.array([[0, 1], [2, 1]], np.uint16)
    table = SimpleNamespace(category_id=np.array([7, 4], np.uint16))
    assert semantic(instance, table).tolist() == [[0, 7], [4, 7]]

"""Pools and stores: what lies where, what has to go, and what may stay."""

from __future__ import annotations

import numpy as np
import pytest

from simgen.render.raster.residency import Pool, Store


def piece(value: int, length: int) -> np.ndarray:
    return np.full(length, value, np.uint32)


@pytest.mark.parametrize("reserve", [0, 50, 1000])
def test_pieces_survive_growth_within_and_past_what_is_reserved(reserve):
    pool = Pool(np.uint32, 10, reserve=reserve)
    starts = []
    for k in range(30):
        start = pool.allocate(7, 1000)
        assert start is not None
        pool.data[start : start + 7] = k
        starts.append(start)
    for k, start in enumerate(starts):
        assert (pool.data[start : start + 7] == k).all()
    assert len(set(starts)) == 30
    assert pool.used == 210
    assert pool.data.flags.c_contiguous
    assert len(pool.data) <= 1000


def test_a_pool_takes_no_more_than_its_limit_and_uses_gaps_again():
    pool = Pool(np.uint32, 4, unit=4, reserve=16)
    assert [pool.allocate(n, 16) for n in (3, 8, 1)] == [0, 4, 12]
    assert pool.allocate(1, 16) is None
    pool.release(4, 8)
    assert pool.allocate(5, 16) == 4


def test_what_was_used_for_longest_goes_first_and_nothing_of_the_image_at_hand():
    store = Store(np.uint32, 4 * 100)
    for name in "abcd":
        store.begin()
        store.add(name, piece(ord(name), 20))
        store.begin()
        store.find(name)
    store.begin()
    assert store.find("a") is not None
    store.add("e", piece(0, 20))
    store.add("f", piece(0, 20))
    assert store.find("b") is None
    assert all(store.find(name) is not None for name in "acdef")
    store.add("g", piece(0, 50))
    assert all(store.find(name) is not None for name in "acdefg")
    assert store.nbytes >= 4 * 150


def test_what_one_image_used_fills_a_small_part_and_drives_nothing_out():
    store = Store(np.uint32, 4 * 8000)
    for _ in range(2):
        store.begin()
        for k in range(6):
            if store.find(f"kept{k}") is None:
                store.add(f"kept{k}", piece(k, 1000))
    for k in range(100):
        store.begin()
        store.add(f"passing{k}", piece(k, 400))
    assert store.pool.used <= 6000 + 8000 // 8
    for k in range(6):
        start = store.find(f"kept{k}")
        assert start is not None
        assert (store.pool.data[start : start + 1000] == k).all()
    # What comes back was not passing by: it stays then, however much passes.
    store.begin()
    assert store.find("passing5") is None
    store.add("passing5", piece(5, 400))
    for k in range(100, 200):
        store.begin()
        store.add(f"passing{k}", piece(k, 400))
    assert store.find("passing5") is not None


def test_a_cleared_store_starts_anew():
    store = Store(np.float32, 1 << 20)
    store.add("a", np.ones(1000, np.float32), note="first")
    assert store.note("a") == "first"
    store.clear()
    assert store.find("a") is None
    assert store.nbytes < 1000
    assert store.add("a", np.ones(10, np.float32)) == 0

"""Procedural playing cards: what is printed on them, and what they are as bodies."""

from __future__ import annotations

import numpy as np
import pytest

from simgen import Library
from simgen.assets.playing_cards import face, names


def ink(card: str) -> np.ndarray:
    """Which pixels of a card are printed."""
    return (face(card).pixels.astype(int).min(2) < 200).astype(np.uint8)


def test_there_are_52_cards_and_no_two_look_alike() -> None:
    cards = names()
    assert len(cards) == 52
    pictures = [face(name.partition("/")[2]) for name in cards]
    assert len({picture.key for picture in pictures}) == 52


@pytest.mark.parametrize("rank", ["2", "5", "9", "10"])
def test_a_number_has_as_many_pips(rank: str) -> None:
    cv2 = pytest.importorskip("cv2")
    _, width = ink(rank + "D").shape
    inner = ink(rank + "D")[:, round(0.2 * width) : round(0.8 * width)]  # without the indices in the corners
    assert cv2.connectedComponents(inner)[0] - 1 == int(rank)


def test_red_suits_are_red_and_black_ones_black() -> None:
    for card, red in (("7D", True), ("7H", True), ("7C", False), ("7S", False)):
        printed = face(card).pixels[ink(card) > 0].astype(int)
        assert ((printed[:, 0] - printed[:, 2]).mean() > 100) == red


@pytest.mark.parametrize("card", ["JH", "QD", "KD", "10D", "AD"])
def test_a_card_looks_the_same_from_both_ends(card: str) -> None:
    pixels = face(card).pixels.astype(int)
    assert np.abs(pixels - pixels[::-1, ::-1]).mean() < 1


def test_a_library_has_the_cards_without_any_path() -> None:
    library = Library()
    assert len(library.assets("playing_card/[JQK]?")) == 12
    asset = library.asset("playing_card/KH")
    assert asset.category == "playing_card"
    x, y, z = asset.bounds[1] - asset.bounds[0]
    assert x / y == pytest.approx(63 / 88, rel=0.001)
    assert z < 0.02 * y

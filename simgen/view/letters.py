"""The font of what is written in pictures."""

from __future__ import annotations

import functools
from contextlib import suppress

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_OF_MANY_LANGUAGES = ("NotoSansCJK-Regular.ttc", "wqy-microhei.ttc", "DejaVuSans.ttf", "NotoSans-Regular.ttf")
"""Fonts of systems; the first that is there is taken."""


def font(size: int, text: str) -> Font:
    """Pillow's own, which has the letters of English alone; for a ``text`` with others one of the system, if it can."""
    return ImageFont.load_default(size=size) if text.isascii() else _system_font(size)


@functools.cache
def _system_font(size: int) -> Font:
    for name in _OF_MANY_LANGUAGES:
        with suppress(OSError):
            return ImageFont.truetype(name, size)
    return ImageFont.load_default(size=size)

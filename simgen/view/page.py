"""Pieces of an HTML page that stands alone: no scripts, no network, pictures inside."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files

import cv2
import numpy as np
from numpy.typing import NDArray

from simgen.view.charts import number
from simgen.view.checks import Check

_STATES = {"ok": "fine", "note": "note", "warning": "warning", "problem": "problem"}


def page(title: str, header: str, sections: Sequence[tuple[str, str, str, str]], footer: str) -> str:
    """The document. ``sections`` are (id, short heading for the list of sections, heading, HTML)."""
    style = files("simgen.view").joinpath("report.css").read_text(encoding="utf-8")
    links = "".join(f'<a href="#{name}">{escape(short)}</a>' for name, short, _, _ in sections)
    body = "".join(
        f'<section id="{name}"><h2>{escape(heading)}</h2>{content}</section>' for name, _, heading, content in sections
    )
    # Without an icon, browsers ask for a file that is not there.
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style></head>\n"
        f'<body><header>{header}</header><nav aria-label="Sections"><div>{links}</div></nav>'
        f"<main>{body}</main><footer>{footer}</footer></body></html>\n"
    )


def data_uri(picture: NDArray[np.uint8], width: int, quality: int = 78) -> str:
    """A picture (H, W, 3) uint8 as a JPEG at most ``width`` pixels wide, as a data URI."""
    if picture.shape[1] > width:
        height = max(1, round(picture.shape[0] * width / picture.shape[1]))
        picture = np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    _, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}"


def figure(source: str, caption: str, alt: str, size: tuple[int, int]) -> str:
    """A picture with its caption; ``size`` (width, height) keeps its place while it loads."""
    return (
        f'<figure><img src="{source}" alt="{escape(alt, quote=True)}" width="{size[0]}" height="{size[1]}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def facts(entries: Mapping[str, tuple[str, str]]) -> str:
    """Large figures: label -> (value, small addition)."""
    cells = "".join(
        f"<div><dt>{escape(label)}</dt><dd>{escape(value)} <small>{escape(more)}</small></dd></div>"
        for label, (value, more) in entries.items()
    )
    return f'<dl class="facts">{cells}</dl>'


def card(title: str, content: str, side: str = "") -> str:
    """A box with a heading."""
    return (
        f'<article class="card"><header><h3>{escape(title)}</h3><span class="side">{escape(side)}</span></header>'
        f"{content}</article>"
    )


def grid(cards: Iterable[str], kind: str = "grid") -> str:
    """Cards or figures side by side, as many as fit."""
    return f'<div class="{kind}">{"".join(cards)}</div>'


def bars(rows: Mapping[str, tuple[float, float | None]], shown: Mapping[str, str] | None = None) -> str:
    """Horizontal bars by name: (length, where the mark of what was expected is, or None).

    ``shown`` replaces the numbers on the right.
    """
    most = max([value for value, _ in rows.values()] + [mark or 0 for _, mark in rows.values()] + [1e-9])
    parts = []
    for name, (value, mark) in rows.items():
        track = f'<b style="width:{100 * value / most:.1f}%"></b>'
        if mark is not None:
            track += f'<s style="left:{100 * mark / most:.1f}%"></s>'
        told = (shown or {}).get(name, number(value))
        parts.append(
            f'<span class="name" title="{escape(name, quote=True)}">{escape(name)}</span>'
            f'<span class="track">{track}</span><span class="count">{escape(told)}</span>'
        )
    return f'<div class="bars">{"".join(parts)}</div>'


def check_list(checks: Iterable[Check]) -> str:
    """Checks, one a row."""
    rows = "".join(
        f'<li><span class="state {c.state}">{_STATES[c.state]}</span><span class="name">{escape(c.name)}</span>'
        f'<span class="what">{escape(c.what)}</span></li>'
        for c in checks
    )
    return f'<ul class="checks">{rows}</ul>'


def table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], numeric: Sequence[int] = (), wide: Sequence[int] = ()
) -> str:
    """A table of text; columns ``numeric`` are set to the right, ``wide`` ones break their lines."""
    kind = {**dict.fromkeys(numeric, ' class="n"'), **dict.fromkeys(wide, ' class="w"')}
    top = "".join(f"<th{kind.get(k, '')}>{escape(head)}</th>" for k, head in enumerate(heads))
    body = ""
    for row in rows:
        body += "<tr>" + "".join(f"<td{kind.get(k, '')}>{escape(cell)}</td>" for k, cell in enumerate(row)) + "</tr>"
    head = f"<thead><tr>{top}</tr></thead>" if heads else ""
    return f'<div class="scroll"><table>{head}<tbody>{body}</tbody></table></div>'


def folded(summary: str, content: str) -> str:
    """What is seen when one asks for it."""
    return f"<details><summary>{escape(summary)}</summary>{content}</details>"


def code(text: str, long: bool = False) -> str:
    """Text as it is typed."""
    kind = ' class="long"' if long else ""
    return f"<pre{kind}><code>{escape(text)}</code></pre>"

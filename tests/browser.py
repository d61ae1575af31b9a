"""How a page looks in a browser, for tests of what simgen writes as HTML."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest


class Shown(NamedTuple):
    """``scroll_width`` of the whole page in pixels, its ``images``, and how many of them are ``broken``."""

    scroll_width: int
    broken: int
    images: int


def shown(html: str, folder: Path, width: int) -> Shown:
    """The page ``html`` in a frame ``width`` pixels wide; fails on messages in the console, skips without Chromium."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("Chromium is not installed")
    (folder / "page.html").write_text(html, encoding="utf-8")
    (folder / "frame.html").write_text(
        f'<iframe id="f" src="page.html" style="width:{width}px;height:900px;border:0"></iframe><script>'
        'const f = document.getElementById("f"); f.onload = () => { const d = f.contentDocument;'
        "const broken = [...d.images].filter(i => !i.naturalWidth).length;"
        'document.title = [d.documentElement.scrollWidth, broken, d.images.length].join(" "); }</script>'
    )
    done = subprocess.run(
        [
            browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
            "--allow-file-access-from-files", f"--user-data-dir={folder / 'profile'}", "--window-size=1400,1000",
            "--virtual-time-budget=5000", "--dump-dom", (folder / "frame.html").as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert "CONSOLE" not in done.stderr
    title = re.search(r"<title>(\d+) (\d+) (\d+)</title>", done.stdout)
    assert title, done.stderr[-500:]
    return Shown(*map(int, title.groups()))

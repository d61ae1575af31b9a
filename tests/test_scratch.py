"""Scratch folders: gone with their process, whatever ends it, and nobody else's are touched."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from simgen.scratch import LOCK, PREFIX, scratch_folder, sweep

HOLD = """
import sys, time
from simgen.scratch import scratch_folder
with scratch_folder() as folder:
    (folder / "mesh.obj").write_text("v 0 0 0")
    print(folder, flush=True)
    time.sleep(300)
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_a_folder_is_gone_afterwards(temporary: Path) -> None:
    with scratch_folder() as folder:
        assert folder.parent == temporary
        assert folder.name.startswith(PREFIX)
    assert list(temporary.iterdir()) == []


def test_folders_of_killed_processes_are_swept_and_those_of_living_ones_kept(temporary: Path) -> None:
    later = time.time() + 3600
    holders = [subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        dead, living = (Path(holder.stdout.readline().strip()) for holder in holders if holder.stdout)
        assert sweep(later) == 0
        holders[0].kill()
        holders[0].wait()
        assert sweep() == 0  # too young to be sure
        assert sweep(later) == 1
        assert not dead.exists()
        assert (living / "mesh.obj").exists()
    finally:
        for holder in holders:
            holder.kill()
            holder.communicate()


def test_what_is_not_ours_is_kept(temporary: Path) -> None:
    foreign = temporary / f"{PREFIX}thesis"
    foreign.mkdir()
    target = temporary / "elsewhere"
    target.mkdir()
    (target / LOCK).touch()
    (temporary / f"{PREFIX}link").symlink_to(target)
    (temporary / f"{PREFIX}file").touch()
    assert sweep(time.time() + 3600) == 0
    assert foreign.is_dir()
    assert (target / LOCK).exists()
    target.rename(temporary / f"{PREFIX}ours")
    assert sweep(time.time() + 3600) == 1

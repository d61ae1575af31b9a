"""A scene in time: its views side by side, its traces beside them, on one clock."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw

from simgen.errors import DatasetError, near_match
from simgen.labels.frame import Frame
from simgen.shards.reader import Dataset
from simgen.view.letters import font
from simgen.view.plots import INK, PAPER, Picture, Plot, draw
from simgen.view.preview import contact_sheet, fitting, panel
from simgen.view.signals import Signal, signals

CODECS = {".mp4": "mp4v", ".avi": "MJPG", ".webm": "VP80"}
"""Of OpenCV's writer; all work in its builds without a display."""

_PICTURES = (".gif", ".webp", ".png")
_GAP, _CAPTION, _PLOT_WIDTH, _PLOT_HEIGHT = 6, 20, 380, 118
_SECONDS_PER_VIEW = 0.8
_MOST_VIEWS = 4
"""Side by side; more go into further rows."""

_MOST_PLOTS = 6
_ASPECT = 1.6
"""Width over height that pictures should have."""


def write(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    scene: int = 0,
    panels: Sequence[str] = ("boxes",),
    cell: int = 320,
    fps: float = 30.0,
    speed: float = 1.0,
) -> Path:
    """Write a scene as a film: .mp4, .webm, .avi, .gif, .webp, or .png for numbered pictures.

    ``panels`` are those of the contact sheet, a row each; ``cell`` is their width in pixels; ``speed`` is in seconds of
    the scene per second. Returns the file, of numbered pictures the first. Raises DatasetError when the scene, a panel
    or the kind of file is not known, or the file cannot be written.
    """
    file = Path(out)
    kinds = (*CODECS, *_PICTURES)
    if file.suffix.lower() not in kinds:
        hint = near_match(file.suffix.lower(), kinds)
        raise DatasetError(f"{file} is no kind of film that can be written{hint}; use {', '.join(kinds)}.")
    with Dataset(path) as data:
        pictures = scene_pictures(data, scene, panels, cell, fps, speed)
        first = next(pictures)
        with _writer(file, first.shape[1], first.shape[0], fps) as put:
            put(first)
            for picture in pictures:
                put(picture)
    return _numbered(file, 0) if file.suffix.lower() == ".png" else file


def scene_pictures(
    data: Dataset,
    scene: int,
    panels: Sequence[str] = ("boxes",),
    cell: int = 320,
    fps: float = 30.0,
    speed: float = 1.0,
) -> Iterator[Picture]:
    """The pictures (H, W, 3) uint8 of a scene, ``fps`` a second; H and W are even, as video asks for.

    Each view shows its latest image. A scene whose images are all of one time goes through its views, one by one.
    """
    views = _views(data, scene)
    times = sorted({frame_time for view in views for frame_time, _ in view})
    names = {category.id: category.name for category in data.categories}
    frame = data[views[0][0][1]]
    contact_sheet([frame], names, panels, 32)  # says what is wrong with the panels
    if len(times) > 1:
        yield from _in_time(data, scene, views, times, panels, names, cell, fps, speed)
        return
    for _, index in (view[0] for view in views):
        picture = _even(_captioned(_column(data[index], panels, names, cell), _told(data[index])))
        for _ in range(max(1, round(_SECONDS_PER_VIEW * fps))):
            yield picture


def _views(data: Dataset, scene: int) -> list[list[tuple[float, int]]]:
    """Of each view, (time, index of the frame over the dataset) in order of time."""
    per_scene = data.manifest.frames_per_scene
    scenes = -(-len(data) // per_scene)
    if not 0 <= scene < scenes:
        raise DatasetError(f"{data.path} has scenes 0 to {scenes - 1}, there is no scene {scene}.")
    first = scene * per_scene
    views: dict[tuple[str, int], list[tuple[float, int]]] = {}
    for place, taken in enumerate(data.record(scene).frames):
        if first + place < len(data):
            views.setdefault((taken.camera.name, taken.view), []).append((taken.time, first + place))
    return [sorted(view) for view in views.values()]


def _in_time(
    data: Dataset,
    scene: int,
    views: list[list[tuple[float, int]]],
    times: list[float],
    panels: Sequence[str],
    names: dict[int, str],
    cell: int,
    fps: float,
    speed: float,
) -> Iterator[Picture]:
    found = _moving(signals(data.record(scene), data.scene_traces(scene)))[:_MOST_PLOTS]
    start, end = times[0], times[-1] + (times[-1] - times[0]) / (len(times) - 1)
    shown: dict[int, tuple[int, Picture]] = {}
    plots: list[Plot] = []
    across, down = 0, 1
    for k in range(max(1, int(np.floor((end - start) / speed * fps + 1e-9)))):
        now = start + k * speed / fps
        columns = []
        for n, view in enumerate(views):
            index = max((entry for entry in view if entry[0] <= now + 1e-9), default=view[0])[1]
            if shown.get(n, (-1,))[0] != index:
                frame = data[index]
                shown[n] = (index, _captioned(_column(frame, panels, names, cell), _told(frame)))
            columns.append(shown[n][1])
        if not across:
            across, down = _layout(len(columns), columns[0].shape[:2], len(found))
            plots = _plots(
                found, (start, max([times[-1], *map(_last, found)])), down, len(columns[0]), -(-len(columns) // across)
            )
        yield _even(_with_plots(_beside(columns, across), plots, now, down))


def _moving(found: Sequence[Signal]) -> list[Signal]:
    """The signals in which something happens."""
    return [signal for signal in found if any(np.ptp(v[np.isfinite(v)]) > 0 for _, v in signal.curves.values())]


def _last(signal: Signal) -> float:
    return max(float(times.max()) for times, _ in signal.curves.values())


def _layout(views: int, size: tuple[int, int], plots: int) -> tuple[int, int]:
    """How many views go side by side and how many plots below each other, so that little stays empty."""
    height, width = size
    best = (np.inf, 1, 1)
    for across in range(1, min(views, _MOST_VIEWS) + 1):
        for down in range(1, max(plots, 1) + 1):
            w, h = across * (width + _GAP), -(-views // across) * height
            beside, below = -(-plots // down) * _PLOT_WIDTH, down * _PLOT_HEIGHT
            total = (w + beside) * max(h, below)
            # Plots stretch to the height of the pictures; empty is what is left of either.
            empty = (
                1 - (w * h + beside * max(h, below) * plots / max(1, down * -(-plots // down))) / total if plots else 0
            )
            empty += 1 - views * (width + _GAP) * height / (w * h)
            shape = abs(np.log((w + beside) / max(h, below) / _ASPECT))
            best = min(best, (float(empty + 0.15 * shape), across, down))
    return best[1], best[2]


def _plots(found: Sequence[Signal], span: tuple[float, float], down: int, height: int, rows: int) -> list[Plot]:
    each = max(_PLOT_HEIGHT, rows * height // down)
    return [draw(signal, span, _PLOT_WIDTH, each) for signal in found]


def _with_plots(pictures: Picture, plots: Sequence[Plot], now: float, down: int) -> Picture:
    """Plots in columns of ``down`` to the right of the pictures."""
    if not plots:
        return pictures
    drawn = [plot.at(now) for plot in plots]
    columns = [np.concatenate(drawn[start : start + down]) for start in range(0, len(drawn), down)]
    height = max(len(pictures), *(len(column) for column in columns))
    return np.concatenate([_padded(part, height) for part in (pictures, *columns)], axis=1)


def _column(frame: Frame, panels: Sequence[str], names: dict[int, str], cell: int) -> Picture:
    """The panels of a frame, one below the other."""
    parts = []
    cell = fitting(cell, frame)
    for name in panels:
        picture = panel(frame, name, names, cell)
        height = max(1, round(picture.shape[0] * cell / picture.shape[1]))
        how = cv2.INTER_AREA if cell < picture.shape[1] else cv2.INTER_NEAREST
        parts.append(np.asarray(cv2.resize(picture, (cell, height), interpolation=how), np.uint8))
    return np.concatenate(parts)


def _told(frame: Frame) -> str:
    return f"scene {frame.scene}   {frame.camera}   view {frame.view}   t {frame.time:.2f} s   frame {frame.index}"


def _captioned(picture: Picture, text: str) -> Picture:
    line = Image.new("RGB", (picture.shape[1], _CAPTION), PAPER)
    ImageDraw.Draw(line).text((2, 3), text, fill=INK, font=font(11, text))
    return np.concatenate([picture, np.asarray(line)])


def _beside(columns: Sequence[Picture], across: int) -> Picture:
    """Pictures in rows of ``across``, with gaps."""
    height = max(len(column) for column in columns)
    gap = np.full((height, _GAP, 3), PAPER, np.uint8)
    empty = np.full_like(_padded(columns[0], height), PAPER[0])
    rows = []
    for start in range(0, len(columns), across):
        part = [_padded(column, height) for column in columns[start : start + across]]
        part += [empty] * (across - len(part))
        rows.append(np.concatenate([piece for column in part for piece in (column, gap)], axis=1))
    return np.concatenate(rows)


def _padded(picture: Picture, height: int) -> Picture:
    missing = np.full((height - len(picture), picture.shape[1], 3), PAPER, np.uint8)
    return np.concatenate([picture, missing])


def _even(picture: Picture) -> Picture:
    return np.pad(picture, ((0, picture.shape[0] % 2), (0, picture.shape[1] % 2), (0, 0)), "edge")


@contextmanager
def _writer(file: Path, width: int, height: int, fps: float) -> Iterator[Callable[[Picture], None]]:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix.lower() in CODECS:
            with _video(file, width, height, fps) as put:
                yield put
        else:
            with _pictures(file, fps) as put:
                yield put
    except OSError as error:
        raise DatasetError(f"Cannot write {file}: {error.strerror or error}; give another place with --out.") from error


@contextmanager
def _video(file: Path, width: int, height: int, fps: float) -> Iterator[Callable[[Picture], None]]:
    codec = CODECS[file.suffix.lower()]
    with file.open("wb"):
        pass  # says what is wrong with the place, which OpenCV does not
    video = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*codec), fps, (width, height))
    if not video.isOpened():
        file.unlink(missing_ok=True)
        raise DatasetError(f"This build of OpenCV cannot write {codec} into {file.suffix} files; use .gif or .png.")

    def put(picture: Picture) -> None:
        video.write(picture[..., ::-1])

    try:
        yield put
    finally:
        video.release()


@contextmanager
def _pictures(file: Path, fps: float) -> Iterator[Callable[[Picture], None]]:
    """Numbered PNGs are written as they come; a GIF or WebP takes all pictures at once."""
    kept: list[Image.Image] = []
    kind = file.suffix.lower()

    def put(picture: Picture) -> None:
        image = Image.fromarray(picture)
        if kind == ".png":
            image.save(_numbered(file, len(kept)))
            image = image.resize((1, 1))
        elif kind == ".gif":
            image = image.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        kept.append(image)

    yield put
    if kind != ".png":
        # A GIF counts hundredths of a second.
        duration = round(1000 / fps) if kind == ".webp" else max(20, round(100 / fps) * 10)
        kept[0].save(file, save_all=True, append_images=kept[1:], duration=duration, loop=0)


def _numbered(file: Path, number: int) -> Path:
    return file.with_name(f"{file.stem}-{number:05d}{file.suffix}")

"""A folder of real images as a source of samples, whatever its format."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from simgen.errors import near_match
from simgen.evaluate.real import bop, coco, folders, masks, voc, yolo
from simgen.evaluate.real.record import Labelled, Record, image_files
from simgen.evaluate.real.report import Report
from simgen.learn.errors import LearnError
from simgen.learn.sample import MOST_CLASSES, UNLABELLED, Objects, Sample, objects

FORMATS: dict[str, ModuleType] = {
    "bop": bop,
    "coco": coco,
    "voc": voc,
    "yolo": yolo,
    "masks": masks,
    "folders": folders,
}
"""In the order in which they are tried: the most particular first."""

_LIST_CLASSES = ("coco", "yolo")
"""Formats that list their classes, whether they occur or not."""

BINARY = 255
"""Value of the object in a mask with one object."""


class RealSource:
    """Real images as a ``Source``; ``open_real`` makes one. ``report`` says what was left out."""

    def __init__(
        self, name: str, classes: Sequence[str], records: Sequence[Record], shapes: Sequence[tuple[int, int]],
        report: Report, min_visib: float, with_masks: bool,
    ) -> None:  # fmt: skip
        self.name, self.classes, self.report = name, tuple(classes), report
        self._records, self._shapes = list(records), list(shapes)
        self._min_visib, self._with_masks = min_visib, with_masks
        self._index = {entry: k for k, entry in enumerate(self.classes)}
        self._objects: dict[int, Objects] = {}

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> Sample:
        record = self._records[index]
        image = read_image(record.path, record.size)
        semantic = self._semantic(record, *image.shape[:2]) if self._with_masks else None
        facts = dict(record.facts)
        return Sample(image, self.objects(index), str(record.path), semantic, record.K, facts)

    def objects(self, index: int) -> Objects:
        """The annotated objects of an image; reads its mask when boxes come from masks."""
        if index not in self._objects:
            self._objects[index] = self._read_objects(index)
        return self._objects[index]

    def semantic(self, index: int) -> NDArray[np.uint8]:
        """The semantic map (H, W) of an image, which is not read; see ``Sample``."""
        width, height = self._shapes[index]
        return self._semantic(self._records[index], height, width)

    def group(self, index: int) -> str:
        """Its track or scene if the format has any, otherwise the image itself."""
        return self._records[index].group or str(self._records[index].path)

    def _read_objects(self, index: int) -> Objects:
        record, (width, height) = self._records[index], self._shapes[index]
        if record.index_mask is not None:
            return self._from_mask(record, height, width)
        rows = [(entry, _box(entry, record.size, height, width)) for entry in record.objects]
        kept = [(entry, box) for entry, box in rows if box is not None]
        visib = np.array([entry.visib for entry, _ in kept])
        return objects(
            [box for _, box in kept],
            [self._index[entry.name] for entry, _ in kept],
            np.array([entry.ignore for entry, _ in kept], bool) | (visib < self._min_visib),
            visib,
            [entry.azimuth for entry, _ in kept],
            [np.full((3, 3), np.nan) if entry.rotation is None else entry.rotation for entry, _ in kept],
            [entry.crowd for entry, _ in kept],
        )

    def _from_mask(self, record: Record, height: int, width: int) -> Objects:
        """One object for each class in the mask: its extent, and the azimuth of the record."""
        semantic = self._semantic(record, height, width)
        present = [int(v) for v in np.unique(semantic) if 0 < v < UNLABELLED]
        angle = masks.azimuth(record.facts) if len(present) == 1 else np.nan
        return objects(
            [_extent(semantic == v) for v in present], [v - 1 for v in present], azimuth=[angle] * len(present)
        )

    def _semantic(self, record: Record, height: int, width: int) -> NDArray[np.uint8]:
        if record.index_mask is not None:
            values = _read_mask(record.index_mask, height, width)
            binary = len(self.classes) == 1
            return (values > 0).astype(np.uint8) if binary else values
        semantic = np.zeros((height, width), np.uint8)
        # The nearer is not known: the smaller is drawn over the larger, which hides least.
        order = np.argsort(-self.objects_area(record), kind="stable")
        found = [(entry, _mask(entry, record.size, height, width)) for entry in (record.objects[k] for k in order)]
        for entry, mask in found:
            if mask is None and entry.box is not None:
                # It is somewhere in its box: to call that background would be wrong.
                x, y, w, h = entry.box
                semantic[int(y) : math.ceil(y + h), int(x) : math.ceil(x + w)] = UNLABELLED
        for entry, mask in found:
            if mask is not None:
                semantic[mask] = UNLABELLED if entry.ignore else self._index[entry.name] + 1
        return semantic

    @staticmethod
    def objects_area(record: Record) -> NDArray[np.float64]:
        """Area of the box of each object of a record, 0 without a box."""
        return np.array([entry.box[2] * entry.box[3] if entry.box else 0.0 for entry in record.objects])


def open_real(
    root: str | Path,
    *,
    format: str = "auto",
    classes: Sequence[str] | None = None,
    mapping: Mapping[str, str | None] | None = None,
    need: str = "",
    min_visib: float = 0.0,
    mapping_key: str = "mapping",
) -> RealSource:
    """The real images in a folder (or of a COCO file).

    ``classes`` are those wanted, in their order: of the model, or of the synthetic data; without, those of the data.
    ``mapping`` leads from names of the data to names of ``classes``, null to leave a class out; names that differ
    only in case, spaces, ``_`` and ``-`` are the same; ``mapping_key`` is what a user calls it. ``need`` is "masks" or
    "azimuth" where such are needed.
    Boxes are clipped to the image; what cannot be used is left out and told in ``report``. Raises LearnError when
    the folder has no images, its format is not known, or no class matches.
    """
    folder = Path(root)
    if not folder.exists():
        raise LearnError(f"there is no folder {folder} of real images.")
    if folder.is_file() and coco.find(folder) is None:
        raise LearnError(f"{folder} is a file; give a folder of images with labels, or the JSON of COCO.")
    name = _detect(folder) if format == "auto" else format
    if name not in FORMATS:
        raise LearnError(f"there is no format {format!r}{near_match(format, FORMATS)}; there are {', '.join(FORMATS)}.")
    if not FORMATS[name].matches(folder):
        raise LearnError(f"{folder} has no data of the format {name}; leave format=auto to find out what it has.")
    report = Report(name)
    records, names = FORMATS[name].read(folder, report)
    wanted = list(classes) if classes is not None else None
    known = _map_classes(folder, records, names, wanted, mapping or {}, report, mapping_key)
    kept, shapes = [], []
    for record in records:
        shape = _usable(record, name, report, need == "masks")
        if shape is not None:
            kept.append(record)
            shapes.append(shape)
    if not kept:
        reasons = "; ".join(report.lines()[1:])
        raise LearnError(f"{folder} has no image that can be used{f' ({reasons})' if reasons else ''}.")
    if name == "masks":
        known = _mask_classes(folder, kept, wanted, mapping or {})
    source = RealSource(str(folder), known, kept, shapes, report, min_visib, _has_masks(kept))
    _finish(source, need, report)
    return source


def _detect(folder: Path) -> str:
    for name, reader in FORMATS.items():
        if reader.matches(folder):
            return name
    below = list(folder.rglob("*"))[:100_000] if folder.is_dir() else []
    if not any(image_files(p) for p in (folder, *(p for p in below if p.is_dir())) if p.is_dir()):
        raise LearnError(f"{folder} has no images; give a folder of class folders, COCO, VOC, YOLO, BOP or masks.")
    inside = [p.name for p in sorted(folder.iterdir()) if p.is_dir() and any(f.matches(p) for f in FORMATS.values())]
    if inside:
        raise LearnError(f"{folder} holds several sets ({', '.join(inside)}); give one of them, {folder / inside[0]}.")
    raise LearnError(
        f"{folder} has images, but no labels in a known format ({', '.join(FORMATS)}); see the README for how each "
        "is laid out."
    )


def same(name: str) -> str:
    """A class name as it is compared."""
    return re.sub(r"[\s_\-]+", "", name).casefold()


def _map_classes(
    folder: Path,
    records: list[Record],
    found: list[str],
    wanted: list[str] | None,
    mapping: Mapping[str, str | None],
    report: Report,
    key: str,
) -> list[str]:
    """Rename the objects of ``records`` to the wanted classes and drop the others; returns the classes."""
    named = {same(name): value for name, value in mapping.items()}
    for given in mapping:
        if found and same(given) not in {same(name) for name in found}:
            if report.format not in _LIST_CLASSES:
                # A part of the images, such as val, need not show every class.
                report.add("names of the mapping that no label has", given)
                continue
            raise LearnError(
                f"the mapping names a class {given!r}{near_match(given, found)} that {folder} does not have; it has "
                f"{_listed(found)}."
            )
    targets: dict[str, str | None] = {name: named.get(same(name), name) for name in found}
    if wanted is None:
        wanted = list(dict.fromkeys(target for target in targets.values() if target is not None))
    by_name = {same(name): name for name in wanted}
    resolved = {name: by_name.get(same(target)) if target is not None else None for name, target in targets.items()}
    if found and not any(resolved.values()):
        raise LearnError(
            f"the classes of {folder} ({_listed(found)}) do not match those wanted ({_listed(wanted)}); give a "
            f"mapping, such as {key}={{{found[0]}: {wanted[0] if wanted else 'name'}}}."
        )
    for record in records:
        kept = []
        for entry in record.objects:
            target = resolved[entry.name]
            if target is None:
                report.add("objects skipped, their class is not wanted", entry.name)
            else:
                entry.name = target
                kept.append(entry)
        record.objects = kept
    return wanted


def _mask_classes(
    folder: Path, records: list[Record], wanted: list[str] | None, mapping: Mapping[str, str | None]
) -> list[str]:
    """The classes of index masks: value v is the v-th; a mask with one value besides 0 is of the only class."""
    values: set[int] = set()
    for record in records:
        assert record.index_mask is not None
        values |= set(np.unique(_raw_mask(record.index_mask)).tolist())
    values -= {0}
    if len(values) <= 1 or values == {1, BINARY}:
        if wanted is not None and len(wanted) > 1 and values == {BINARY}:
            raise LearnError(
                f"the masks of {folder} have one class and {len(wanted)} are wanted ({_listed(wanted)}); choose one "
                "with classes=[...]."
            )
        if not wanted or len(wanted) == 1:
            return wanted or [next((v for v in mapping.values() if v), "object")]
    most = max(values - {UNLABELLED}, default=1)
    if wanted is None:
        return [f"class_{v}" for v in range(1, most + 1)]
    if most > len(wanted):
        raise LearnError(f"the masks of {folder} have values up to {most}, but {len(wanted)} classes are wanted.")
    return wanted


def _usable(record: Record, format: str, report: Report, masks_needed: bool) -> tuple[int, int] | None:
    """The size of an image that can be decoded, its boxes clipped to it; None, and a note, when it cannot."""
    name = record.path.name
    try:
        height, width = read_image(record.path, record.size).shape[:2]
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        report.add("images skipped, they cannot be read", f"{name} ({_brief(error)})")
        return None
    if record.size is not None and record.size != (width, height):
        # Annotations of a resized copy: bring them along rather than use them wrongly.
        sx, sy = width / record.size[0], height / record.size[1]
        report.add("images of another size than annotated, boxes and masks scaled", name)
        for entry in record.objects:
            if entry.box is not None:
                x, y, w, h = entry.box
                entry.box = (x * sx, y * sy, w * sx, h * sy)
    if record.index_mask is not None:
        try:
            _read_mask(record.index_mask, height, width)
        except (OSError, ValueError) as error:
            report.add("images skipped, their mask cannot be used", f"{name} ({_brief(error)})")
            return None
    record.objects = [entry for entry in record.objects if _clip(entry, width, height, name, report)]
    for entry in record.objects:
        if masks_needed and record.index_mask is None and _mask(entry, record.size, height, width) is None:
            report.add("objects without a mask, their boxes count neither as object nor as background", name)
    if format not in ("folders", "masks") and not record.objects:
        report.add("images without any object, kept as background", name)
    if format == "folders" and not record.objects:
        return None
    return width, height


def _mask(entry: Labelled, size: tuple[int, int] | None, height: int, width: int) -> NDArray[np.bool_] | None:
    """The mask (height, width) of an object that was annotated in an image of ``size``; None without a valid one."""
    if entry.mask is None:
        return None
    columns, rows = size or (width, height)
    try:
        mask = entry.mask(rows, columns)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, cv2.error):
        return None
    if mask is None or mask.shape == (height, width):
        return mask
    return cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST_EXACT).astype(bool)


def _box(entry: Labelled, size: tuple[int, int] | None, height: int, width: int) -> tuple[float, ...] | None:
    """The box of an object, which without one is the extent of its mask, and without that the whole image."""
    if entry.box is not None:
        return entry.box
    if entry.mask is None:
        return (0.0, 0.0, width, height)
    mask = _mask(entry, size, height, width)
    return None if mask is None or not mask.any() else _extent(mask)


def _clip(entry: Labelled, width: int, height: int, name: str, report: Report) -> bool:
    """Cut the box of an object to the image; False, and a note, when nothing is left."""
    if entry.box is None:
        return True
    x, y, w, h = entry.box
    if not np.isfinite(entry.box).all() or w <= 0 or h <= 0:
        report.add("objects skipped, their box is empty", name)
        return False
    left, top, right, bottom = max(x, 0.0), max(y, 0.0), min(x + w, float(width)), min(y + h, float(height))
    if right - left < 1 or bottom - top < 1:
        report.add("objects skipped, their box is outside the image", name)
        return False
    if left - x > 1 or top - y > 1 or x + w - right > 1 or y + h - bottom > 1:
        report.add("boxes clipped to the image", name)
    entry.box = (left, top, right - left, bottom - top)
    return True


def _finish(source: RealSource, need: str, report: Report) -> None:
    """Check that the source has what is needed, and count."""
    if need == "masks" and not source._with_masks:
        raise LearnError(f"{source.name} has no masks, which task=segment needs.")
    if need == "masks" and len(source.classes) > MOST_CLASSES:
        raise LearnError(f"segmentation takes at most {MOST_CLASSES} classes, {source.name} has {len(source.classes)}.")
    report.images = len(source)
    report.objects = sum(len(source.objects(k)) for k in range(len(source)))
    if need == "azimuth" and not any(np.isfinite(source.objects(k).azimuth).any() for k in range(len(source))):
        raise LearnError(f"{source.name} has no azimuths (a poses.json beside images/, or BOP), which task=pose needs.")


def _has_masks(records: Sequence[Record]) -> bool:
    return any(record.index_mask or any(entry.mask for entry in record.objects) for record in records)


def read_image(path: Path, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """An image as sRGB uint8 (H, W, 3), all of it decoded.

    It is turned as its EXIF orientation says, unless the annotated ``size`` (width, height) is that of the file as it
    is stored. Raises OSError, ValueError or SyntaxError when it is broken.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(path) as opened:
            opened.load()
            turned = ImageOps.exif_transpose(opened)
            chosen = opened if size is not None and opened.size == size != turned.size else turned
            if chosen.mode in ("I", "I;16", "F"):
                raise ValueError(f"it is of the mode {chosen.mode}, not a photograph")
            return np.array(chosen.convert("RGB"))


def _raw_mask(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as opened:
        return np.array(opened if opened.mode in ("P", "L") else opened.convert("L"), np.uint8)


def _read_mask(path: Path, height: int, width: int) -> NDArray[np.uint8]:
    values = _raw_mask(path)
    if values.shape != (height, width):
        raise ValueError(f"it is {values.shape[1]}x{values.shape[0]}, the image {width}x{height}")
    return values


def _extent(mask: NDArray[np.bool_]) -> tuple[float, ...]:
    columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    return (columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:80]

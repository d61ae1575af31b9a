"""Pascal VOC: one XML an image, in ``Annotations`` with the images in ``JPEGImages``, or side by side."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from simgen.evaluate.real.record import IMAGES, Labelled, Record
from simgen.evaluate.real.report import Report


def matches(root: Path) -> bool:
    """Whether ``root`` has XML files where VOC has them."""
    return root.is_dir() and bool(_files(root))


def read(root: Path, report: Report) -> tuple[list[Record], list[str]]:
    """All images that have an XML; boxes go from their first to their last pixel, counted from 1."""
    found = []
    for file in _files(root):
        try:
            tree = ElementTree.parse(file).getroot()
            image = _image(root, file, tree.findtext("filename") or "")
            labelled = [_object(node) for node in tree.iter("object")]
            width, height = (round(float(tree.findtext(f"size/{side}") or 0)) for side in ("width", "height"))
        except (ElementTree.ParseError, ValueError) as error:
            report.add("images skipped, their XML is broken", f"{file.name} ({error})")
            continue
        if image is None:
            report.add("images skipped, the file is missing", tree.findtext("filename") or file.stem)
            continue
        found.append(Record(image, labelled, (width, height) if width > 0 and height > 0 else None))
    return found, sorted({entry.name for record in found for entry in record.objects})


def _object(node: ElementTree.Element) -> Labelled:
    name = (node.findtext("name") or "").strip()
    corners = [node.findtext(f"bndbox/{key}") for key in ("xmin", "ymin", "xmax", "ymax")]
    if not name or any(corner is None for corner in corners):
        raise ValueError("an object without name or bndbox")
    x0, y0, x1, y1 = (float(corner or 0) for corner in corners)
    return Labelled(name, (x0 - 1, y0 - 1, x1 - x0 + 1, y1 - y0 + 1), node.findtext("difficult") == "1")


def _files(root: Path) -> list[Path]:
    return sorted((root / "Annotations").glob("*.xml")) or sorted(root.glob("*.xml"))


def _image(root: Path, file: Path, name: str) -> Path | None:
    for folder in (root / "JPEGImages", root / "images", root, file.parent):
        if name and (folder / name).is_file():
            return folder / name
        for suffix in sorted(IMAGES):
            if (folder / f"{file.stem}{suffix}").is_file():
                return folder / f"{file.stem}{suffix}"
    return None

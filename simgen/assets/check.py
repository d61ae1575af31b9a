"""Finding broken files before they are needed, by a look at where they begin and end."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree

from PIL import Image

from simgen.assets.index import Kind
from simgen.assets.library import Library
from simgen.assets.mesh_files import STL_TRIANGLE
from simgen.errors import AssetError

_LOOK = 1 << 16
"""Bytes at either end of a text file that are looked at."""

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"


def broken(library: Library, wanted: Iterable[tuple[Kind, str]]) -> list[str]:
    """A sentence on each of ``wanted`` (kind and name) that cannot be loaded, as far as a look at its files tells.

    Only what looks odd is loaded, to hear what is wrong with it, and what loads nevertheless is sound; so this is fast
    and never blames what works. Damage inside of a file may go unnoticed. What is bundled is taken to be whole.
    """
    known: dict[Path, bool] = {}
    sentences: dict[str, None] = {}
    for kind, name in wanted:
        try:
            if library.bundled(kind, name):
                continue
            files = library.files(kind, name)
            for file in files:
                if file not in known:
                    known[file] = _odd(file)
            if any(known[file] for file in files):
                _load(library, kind, name)
        except AssetError as error:
            sentences[str(error)] = None
    return list(sentences)


def _load(library: Library, kind: Kind, name: str) -> None:
    load: dict[Kind, Callable[[str], object]] = {
        "asset": library.asset,
        "texture": library.texture,
        "environment": library.environment,
    }
    load[kind](name)


def _odd(path: Path) -> bool:
    """Whether a file does not look like a whole one of its kind. Materials of meshes may be missing."""
    suffix = path.suffix.lower()
    try:
        with path.open("rb") as file:
            head = file.read(_LOOK)
            size = file.seek(0, io.SEEK_END)
            look = _LOOKS.get(suffix)
            return look is not None and not look(file, head, size)
    except FileNotFoundError:
        return suffix != ".mtl"
    except (OSError, ValueError, struct.error, ElementTree.ParseError):
        return True


def _tail(file: BinaryIO, size: int) -> bytes:
    file.seek(max(0, size - _LOOK))
    return file.read()


def _whole_image(file: BinaryIO, head: bytes, size: int) -> bool:
    if head.startswith(_PNG):
        return _whole_png(file, size)
    if head.startswith(_JPEG):
        # Some writers pad. Inside of the image the mark cannot be: there, ff is followed by 00.
        return b"\xff\xd9" in _tail(file, size)[-4096:]
    if head.startswith(b"BM"):
        return bool(struct.unpack_from("<I", head, 2)[0] <= size)
    if head.startswith(b"RIFF"):
        return bool(struct.unpack_from("<I", head, 4)[0] + 8 <= size)
    file.seek(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(file):  # the header only
            return True


def _whole_png(file: BinaryIO, size: int) -> bool:
    """Whether the chunks of a PNG go on to its end mark."""
    place = len(_PNG)
    while place + 12 <= size:
        file.seek(place)
        length, name = struct.unpack(">I4s", file.read(8))
        place += 12 + length
        if name == b"IEND":
            return place <= size
    return False


def _whole_obj(file: BinaryIO, head: bytes, size: int) -> bool:
    """Vertices come first and faces last, as a rule."""
    ends = b"\n" + head + b"\n" + _tail(file, size)
    return b"\nv " in ends and b"\nf " in ends


def _whole_stl(file: BinaryIO, head: bytes, size: int) -> bool:
    if size >= 84 and size == 84 + struct.unpack_from("<I", head, 80)[0] * STL_TRIANGLE.itemsize:
        return size > 84
    return head.lstrip()[:5].lower() == b"solid" and b"endsolid" in _tail(file, size)[-1024:].lower()


def _whole_ply(file: BinaryIO, head: bytes, size: int) -> bool:
    return head.startswith(b"ply") and b"end_header" in head


def _whole_glb(file: BinaryIO, head: bytes, size: int) -> bool:
    magic, version, length = struct.unpack_from("<4sII", head)
    return magic == b"glTF" and version == 2 and length <= size


def _whole_gltf(file: BinaryIO, head: bytes, size: int) -> bool:
    return head.lstrip().startswith(b"{") and _tail(file, size).rstrip().endswith(b"}")


def _whole_urdf(file: BinaryIO, head: bytes, size: int) -> bool:
    file.seek(0)
    return ElementTree.parse(file).getroot().tag == "robot"


def _whole_hdr(file: BinaryIO, head: bytes, size: int) -> bool:
    """A Radiance image: its header, and a last row that ends with the file."""
    text, mark, rest = head.partition(b"\n\n")
    line, _, pixels = rest.partition(b"\n")
    words = line.split()
    if not (text.startswith(b"#?") and mark and len(words) == 4 and (words[0], words[2]) == (b"-Y", b"+X")):
        return False
    height, width = int(words[1]), int(words[3])
    begin = bytes((2, 2, width >> 8 & 255, width & 255))
    if not pixels.startswith(begin):  # as it is, without run lengths
        return len(head) - len(pixels) + 4 * width * height == size
    tail = _tail(file, size)
    place = tail.rfind(begin) + len(begin)
    for _ in range(4):
        done = 0
        while done < width and place < len(tail):
            count = tail[place]
            done += count - 128 if count > 128 else count
            place += 2 if count > 128 else 1 + count
        if done != width:
            return False
    return place == len(tail)


def _whole_exr(file: BinaryIO, head: bytes, size: int) -> bool:
    return head.startswith(b"v/1\x01")


_LOOKS: dict[str, Callable[[BinaryIO, bytes, int], bool]] = {
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".bmp", ".tga", ".tif", ".tiff", ".webp"), _whole_image),
    ".obj": _whole_obj,
    ".stl": _whole_stl,
    ".ply": _whole_ply,
    ".glb": _whole_glb,
    ".gltf": _whole_gltf,
    ".urdf": _whole_urdf,
    ".hdr": _whole_hdr,
    ".exr": _whole_exr,
}
"""Suffix -> whether what begins with some bytes and is so long looks whole."""

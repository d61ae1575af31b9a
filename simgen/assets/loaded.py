"""Assets as they are once they are loaded, kept in the cache folder: to parse a mesh takes a hundred times as long."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from simgen import geometry
from simgen.assets.asset import Asset
from simgen.assets.cache import write_whole

_PACKAGES = ("numpy", "scipy", "pillow", "trimesh")
"""What assets are loaded with."""

MAX_BYTES = 2 << 20
"""Of the arrays of an asset in the cache. Many larger ones would fill the disk."""


def kept(cache_dir: Path, files: Sequence[Path], said: str, load: Callable[[], Asset]) -> Asset:
    """What ``load`` gives for the contents of ``files`` and what else is ``said``, bit for bit, loaded once.

    Assets that are large or have joints are not kept, nor are errors that ``load`` raises.
    """
    key = _key(files, said)
    if key is None:
        return load()
    path = cache_dir / "assets" / key
    try:
        data = path.read_bytes()
        if data[:_DIGEST] == hashlib.sha256(data[_DIGEST:]).digest():
            return _DECODER.decode(memoryview(data)[_DIGEST:])
    except (OSError, msgspec.MsgspecError):
        pass
    asset = load()
    if not asset.articulated and asset_bytes(asset) <= MAX_BYTES:
        data = _ENCODER.encode(asset)
        write_whole(path, hashlib.sha256(data).digest() + data)
    return asset


def asset_bytes(asset: Asset) -> int:
    """What the arrays of an asset take in memory, those that it has several times counted once."""
    held: dict[int, int] = {}
    for mesh in [*asset.meshes, *(mesh for link in asset.links.values() for mesh in link)]:
        arrays = [mesh.vertices, mesh.faces, mesh.normals, mesh.uv, mesh.colors]
        held |= {id(array): array.nbytes for array in arrays if array is not None}
        material = mesh.material
        maps = (material.base_color_map, material.metallic_roughness_map, material.normal_map)
        held |= {id(texture.pixels): texture.pixels.nbytes for texture in maps if texture is not None}
    return sum(held.values())


def _key(files: Sequence[Path], said: str) -> str | None:
    """A digest of all that an asset depends on; None when a file cannot be read, which loading will tell."""
    total = hashlib.sha256(_loader())
    total.update(said.encode())
    for file in files:
        total.update(f"\0{file.name}\0".encode())
        try:
            total.update(hashlib.sha256(file.read_bytes()).digest())
        except FileNotFoundError:
            total.update(b"missing")
        except OSError:
            return None
    return total.hexdigest()[:32]


@cache
def _loader() -> bytes:
    """A digest of the code that loads assets."""
    total = hashlib.sha256("".join(f"{name} {version(name)} " for name in _PACKAGES).encode())
    for path in [*sorted(Path(__file__).parent.glob("*.py")), Path(geometry.__file__)]:
        total.update(path.name.encode() + b"\0" + path.read_bytes())
    return total.digest()


def _encoded(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    return value.item()  # a number of NumPy's


def _decoded(_: type, stored: Any) -> Any:
    dtype, shape, data = stored
    return np.frombuffer(data, dtype).reshape(shape).copy()


_DIGEST = hashlib.sha256().digest_size
_ENCODER = msgspec.msgpack.Encoder(enc_hook=_encoded)
_DECODER = msgspec.msgpack.Decoder(Asset, dec_hook=_decoded)

"""From meshes to a few convex hulls: convex decomposition, fitting, and a cache on disk for both."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simgen.assets.asset import CollisionShape
from simgen.assets.cache import write_whole
from simgen.assets.hull import MAX_VERTICES, THINNEST, convex_hull, extents, hull_planes, small_hull, volume
from simgen.assets.mesh import F64, I64, Geometry, closed, signed_volume, weld
from simgen.assets.obj import read_obj
from simgen.errors import AssetError
from simgen.scratch import scratch_folder

CONVEX_RATIO = 0.9
"""A closed mesh that fills this share of its convex hull is taken as convex."""

GROUP_RATIO = 0.7
"""The same for each named object of a file: parts that someone has split on purpose."""

MAX_PARTS = 32
"""A file of more named objects is decomposed as a whole, a mesh of more parts more coarsely: contact search would take
too long."""

FIT_RANGE = (0.005, 0.2)
"""Hulls of a file are fitted to the visible mesh when it stands out of them by more than the first share of its size:
it would sink visibly into what it lies on. Beyond the second share they are meant to cover only a part of it."""

VHACD_OPTIONS = {"resolution": 100_000, "maxNumVerticesPerCH": 64, "minVolumePerCH": 0.0005}
"""Of pybullet.vhacd, for a mesh of unit size."""

CONCAVITIES = (0.01, 0.04, 0.16)
"""Concavities that parts of a decomposition may keep: the next one is tried when the last gave too many parts."""

VHACD_SECONDS = 300
"""Longest time that a decomposition may take."""

VHACD_PROGRAM = "import sys, json, pybullet; pybullet.vhacd(*sys.argv[1:4], **json.loads(sys.argv[4]))"

VERSION = 1
"""Part of every cache key: change it when the same mesh would get other hulls with the same settings."""

SETTINGS = (
    *(CONVEX_RATIO, GROUP_RATIO, MAX_PARTS, FIT_RANGE, CONCAVITIES, MAX_VERTICES, THINNEST),
    *sorted(VHACD_OPTIONS.items()),
)
"""What a result depends on besides the mesh; part of every cache key."""


def default_cache_dir() -> Path:
    """Where derived data is kept: SIMGEN_CACHE, else ``simgen`` in the user's cache folder (XDG_CACHE_HOME)."""
    if os.environ.get("SIMGEN_CACHE"):
        return Path(os.environ["SIMGEN_CACHE"]).expanduser()
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"]).expanduser() / "simgen"
    if sys.platform == "win32" and os.environ.get("LOCALAPPDATA"):
        return Path(os.environ["LOCALAPPDATA"]) / "simgen" / "Cache"
    folder = Path("Library/Caches") if sys.platform == "darwin" else Path(".cache")
    return Path.home() / folder / "simgen"


def mesh_shapes(geometry: Geometry, cache_dir: Path, where: str) -> tuple[CollisionShape, ...]:
    """Hulls for a mesh: one when it is nearly convex, one for each of its named objects when those are, else the parts
    of a convex decomposition (VHACD, Mamou 2016) fitted to the mesh. Results are kept in ``cache_dir`` by content.

    ``where`` names the mesh in the AssetError that a failed decomposition raises.
    """
    vertices, faces = weld(geometry)
    groups = np.unique(geometry.face_group, return_inverse=True)[1]
    parts = _cached(cache_dir, "mesh", [vertices, faces, groups], lambda: mesh_hulls(vertices, faces, groups, where))
    return tuple(hull_shape(part) for part in parts)


def fitted_shapes(
    shapes: Sequence[CollisionShape], vertices: F64, faces: I64, cache_dir: Path
) -> tuple[CollisionShape, ...]:
    """``shapes``, or when they are hulls that leave out a little of the visible mesh (FIT_RANGE) hulls that do not.

    ``vertices`` (V, 3) and ``faces`` (F, 3) are the visible mesh. Results are kept in ``cache_dir`` by content.
    """
    if any(shape.vertices is None for shape in shapes):
        return tuple(shapes)
    parts = [np.asarray(shape.vertices, np.float64) for shape in shapes]

    def fit() -> list[F64]:
        size = float(np.ptp(vertices, axis=0).max())
        outside = float(_distances(parts, vertices).min(axis=0).max())
        return fitted(parts, vertices, faces) if FIT_RANGE[0] * size < outside < FIT_RANGE[1] * size else parts

    found = _cached(cache_dir, "fit", [vertices, faces, *parts], fit)
    return tuple(CollisionShape("hull", np.ascontiguousarray(part, np.float32)) for part in found)


def mesh_hulls(vertices: F64, faces: I64, groups: I64, where: str) -> list[F64]:
    """Vertices (n <= 64, 3) of the hulls that stand for welded ``faces`` (F, 3), whose objects are ``groups`` (F,)."""
    if nearly_convex(vertices, faces, CONVEX_RATIO):
        return [small_hull(vertices[np.unique(faces)])]
    count = int(groups.max()) + 1
    if 1 < count <= MAX_PARTS:
        parts = [faces[groups == group] for group in range(count)]
        if all(nearly_convex(vertices, part, GROUP_RATIO) for part in parts):
            return [small_hull(vertices[np.unique(part)]) for part in parts]
    return fitted(_decomposed(vertices, faces, where), vertices, faces)


def fitted(parts: list[F64], vertices: F64, faces: I64) -> list[F64]:
    """``parts`` moved onto a mesh: each becomes the hull of the faces that are nearest to it."""
    owner = _distances(parts, vertices[faces].sum(axis=1) / 3).argmin(axis=0)
    out = []
    for number, part in enumerate(parts):
        points = vertices[np.unique(faces[owner == number])]
        out.append(part if len(points) < 4 or flat(points) else small_hull(points))
    return out


def nearly_convex(vertices: F64, faces: I64, ratio: float) -> bool:
    """Whether ``faces`` are closed and fill more than ``ratio`` of their hull; meshes in one plane count as convex."""
    points = vertices[np.unique(faces)]
    if flat(points):
        return True
    number, used = np.zeros(len(vertices), np.int64), np.unique(faces)
    number[used] = np.arange(len(used))
    local = number[faces]
    alive = (local[:, 0] != local[:, 1]) & (local[:, 1] != local[:, 2]) & (local[:, 2] != local[:, 0])
    if not closed(local[alive]):
        return False
    return abs(signed_volume(points, local)) > ratio * volume(*convex_hull(points))


def flat(points: F64) -> bool:
    """Whether ``points`` lie in a plane to a ten-thousandth of their extent."""
    sizes, _ = extents(points)
    return bool(sizes[2] <= 1e-4 * sizes[0])


def hull_shape(points: ArrayLike) -> CollisionShape:
    """A hull of at most 64 vertices that stands for ``points`` (n, 3)."""
    return CollisionShape("hull", np.ascontiguousarray(small_hull(np.asarray(points, np.float64)), np.float32))


def _decomposed(vertices: F64, faces: I64, where: str) -> list[F64]:
    parts: list[F64] = []
    for concavity in CONCAVITIES:
        parts = _vhacd(vertices, faces, concavity, where)
        if len(parts) <= MAX_PARTS:
            break
    return parts


def _vhacd(vertices: F64, faces: I64, concavity: float, where: str) -> list[F64]:
    """The decomposition, computed by PyBullet in a process of its own: it prints, and may crash on odd meshes."""
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    middle, extent = (low + high) / 2, float((high - low).max())
    lines = [f"v {x!r} {y!r} {z!r}\n" for x, y, z in ((vertices - middle) / extent).tolist()]
    lines += [f"f {a} {b} {c}\n" for a, b, c in (faces + 1).tolist()]
    with scratch_folder() as folder:
        source, result = folder / "mesh.obj", folder / "parts.obj"
        source.write_text("".join(lines))
        files = [str(source), str(result), str(folder / "log.txt")]
        command = [sys.executable, "-c", VHACD_PROGRAM, *files, json.dumps({**VHACD_OPTIONS, "concavity": concavity})]
        try:
            subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=VHACD_SECONDS,
                check=True,
            )
            parts = read_obj(result, shapes_only=True)
        except (subprocess.SubprocessError, OSError, AssetError):
            raise AssetError(
                f"{where} cannot be split into convex parts: give it collision meshes of its own"
                " (a URDF, or NAME_collision.obj beside it)"
            ) from None
    groups = np.unique(parts.face_group)
    return [parts.positions[np.unique(parts.faces[parts.face_group == group])] * extent + middle for group in groups]


def _distances(parts: list[F64], points: F64) -> F64:
    """How far each of ``points`` (n, 3) is outside of each hull, (parts, n); negative inside.

    The largest distance to a plane, which is less than the true distance near edges.
    """
    x, y, z = np.ascontiguousarray(points.T)
    out = np.full((len(parts), len(points)), -np.inf)
    for row, part in zip(out, parts, strict=True):
        for nx, ny, nz, offset in hull_planes(part).tolist():
            np.maximum(row, x * nx + y * ny + z * nz + offset, out=row)
    return out


def _cached(
    cache_dir: Path, kind: str, arrays: Sequence[NDArray[np.float64] | I64], compute: Callable[[], list[F64]]
) -> list[F64]:
    """What ``compute`` gives for ``arrays``, from ``cache_dir`` when it was computed before.

    Several processes may compute the same at once: files are put in place whole, and are the same whoever wrote them.
    """
    digest = hashlib.sha256(f"{VERSION} {kind} {SETTINGS} {[array.shape for array in arrays]}".encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    path = cache_dir / "hulls" / f"{digest.hexdigest()[:32]}.npz"
    known = _read_parts(path)
    if known is None:
        known = compute()
        _write_parts(path, known)
    return known


def _read_parts(path: Path) -> list[F64] | None:
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            return [file[name] for name in sorted(file.files)]
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        return None


def _write_parts(path: Path, parts: list[F64]) -> None:
    data = io.BytesIO()
    np.savez(data, **{f"{k:04d}": part for k, part in enumerate(parts)})  # type: ignore[arg-type]
    write_whole(path, data.getvalue())

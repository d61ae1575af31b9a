"""Plates: thin solids with an image on the front, such as playing cards, labels, posters and traffic signs.

Every image of a library is an asset, too: "signs/stop.png" is "plate/signs/stop". Options follow an @:
"plate/cards/KH@corner=0.04,back=cards/back.png".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from simgen.assets.asset import Asset, CollisionShape, Material, Texture
from simgen.assets.decomposition import hull_shape
from simgen.assets.inertia import solid_inertia
from simgen.assets.mesh import F64, I64, Geometry, bounds, meshes
from simgen.assets.textures import texture
from simgen.errors import AssetError, near_match

PREFIX = "plate/"

SIZE = 0.1
"""Metres; the longest side of a plate whose size is not given."""

THICKNESS = 0.01
"""Of the longest side; sizes [x, y, z] stretch it."""

DENSITY = 1000.0
"""kg/m^3; paper, plastic and wood are near, and metal is hollow behind its rim."""

OPAQUE = 128
"""Alpha from which a pixel belongs to the plate."""

TOLERANCE = 0.75
"""Pixels by which the outline may leave that of the image."""

FINE = 1024
"""Pixels to which smaller images are blown up before their outline is traced."""

SMALLEST = 0.01
"""Pieces of an image below this share of its largest one are specks, and left out."""

CORNER_STEPS = 8
"""Straight pieces of a rounded corner."""


@dataclass(frozen=True)
class Options:
    """What may follow the @ in the name of a plate.

    ``corner``: radius of the corners of an image without transparent parts, as a share of its shorter side;
    ``back``: the texture on the other side, by its name, upright for who turns the plate about its vertical axis.
    """

    corner: float = 0.0
    back: str | None = None


def plain(name: str) -> str:
    """The name of an asset without the options of a plate."""
    return name.partition("@")[0] if name.startswith(PREFIX) else name


def parse(name: str) -> Options:
    """The options in the name of a plate; raises AssetError for one that does not exist or cannot be."""
    values: dict[str, str] = {}
    for part in filter(None, name.partition("@")[2].split(",")):
        key, _, value = part.partition("=")
        if key not in ("corner", "back"):
            raise AssetError(
                f'"{name}" has the unknown option "{key}"{near_match(key, ("corner", "back"))}; a plate has '
                "corner=SHARE and back=TEXTURE"
            )
        values[key] = value
    try:
        corner = float(values.get("corner", 0))
    except ValueError:
        corner = math.nan
    if not 0 <= corner <= 0.5:
        raise AssetError(f'"{name}": corner has to be a share of the shorter side from 0 to 0.5')
    return Options(corner, values.get("back"))


def plate(name: str, category: str, image: Texture, corner: float = 0.0, back: Texture | None = None) -> Asset:
    """The plate that shows ``image``, and ``back`` on the other side; ``corner`` as in ``Options``.

    It lies in the plane of x and y around the origin, the image upright on the side that faces +z, ``SIZE`` long and
    ``THICKNESS`` thick. An image with transparent parts gives it its outline, without holes; others are rectangles.
    Raises AssetError for an image that is transparent all over.
    """
    pixels = image.pixels
    height, width = pixels.shape[:2]
    cut = pixels.shape[2] == 4
    outlines = _silhouette(pixels[..., 3], name) if cut else [_rectangle(width, height, corner)]
    corners = np.concatenate(outlines)
    low, high = corners.min(axis=0), corners.max(axis=0)
    unit = SIZE / float((high - low).max())
    middle = (low + high) / 2
    half = SIZE * THICKNESS / 2
    face = texture(_bled(pixels), image.srgb) if cut else image
    materials = (
        Material((1.0, 1.0, 1.0, 1.0), face, roughness=0.5),
        Material((0.5, 0.5, 0.5, 1.0), roughness=0.5),
        Material((1.0, 1.0, 1.0, 1.0) if back else (0.5, 0.5, 0.5, 1.0), back, roughness=0.5),
    )
    parts = [_solid(outline, (width, height), unit, middle, half) for outline in outlines]
    counts = np.cumsum([0] + [len(part[0]) for part in parts[:-1]])
    geometry = Geometry(
        positions=np.concatenate([part[0] for part in parts]),
        faces=np.concatenate([part[1] + count for part, count in zip(parts, counts, strict=True)]),
        face_material=np.concatenate([part[2] for part in parts]),
        materials=materials,
        face_group=np.concatenate([np.full(len(part[1]), k) for k, part in enumerate(parts)]),
        uv=np.concatenate([part[3] for part in parts]),
    )
    drawn = meshes(geometry)
    shapes = tuple(hull_shape(part[0]) for part in parts)
    if not cut:
        x, y = ((high - low) * unit).tolist()
        shapes = (CollisionShape("box", size=(x, y, 2 * half)),)
    return Asset(name, category, drawn, bounds(drawn), shapes, solid_inertia(shapes, None, DENSITY))


def _rectangle(width: int, height: int, corner: float) -> F64:
    """The outline (n, 2) of the whole image in pixels, x right and y down from its top left corner, anticlockwise."""
    w, h = float(width), float(height)
    if not corner:
        return np.array([(0, 0), (0, h), (w, h), (w, 0)])
    r = corner * min(w, h)
    quarter = [math.pi / 2 * k / CORNER_STEPS for k in range(CORNER_STEPS + 1)]
    points = []
    for x, y, turn in ((r, r, 2), (r, h - r, 1), (w - r, h - r, 0), (w - r, r, 3)):
        # In image coordinates y points down: walking anticlockwise on the page is falling angles.
        angles = [math.pi / 2 * (turn + 1) - a for a in quarter]
        points += [(x + r * math.cos(a), y + r * math.sin(a)) for a in angles]
    return _without_repeats(np.array(points))


def _silhouette(alpha: NDArray[np.uint8], name: str) -> list[F64]:
    """Outlines of the opaque pieces, as ``_rectangle``, the largest first."""
    # Contours run through the centres of the outermost pixels; finer ones come nearer to the edge.
    zoom = max(2, FINE // max(alpha.shape))
    mask = np.pad((alpha >= OPAQUE).astype(np.uint8).repeat(zoom, 0).repeat(zoom, 1), 1)
    if not mask.any():
        raise AssetError(f'"{name}" is transparent all over: give its image an opaque part')
    found, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    areas = [float(cv2.contourArea(contour)) for contour in found]
    kept = []
    for k in sorted(range(len(found)), key=lambda k: -areas[k]):
        points = (cv2.approxPolyDP(found[k], TOLERANCE * zoom, closed=True)[:, 0].astype(np.float64) - 0.5) / zoom
        if len(points) >= 3 and areas[k] >= SMALLEST * max(areas):
            kept.append(points if _area(points) < 0 else points[::-1])
    return kept


def _solid(
    outline: F64, shape: tuple[int, int], unit: float, middle: F64, half: float
) -> tuple[F64, I64, I64, NDArray[np.float64]]:
    """An extruded outline: positions (2 n, 3), faces (F, 3), materials (F,) and texture coordinates (F, 3, 2)."""
    triangles = triangulate(outline * (1, -1))
    if triangles is None:  # it cuts itself
        outline = cv2.convexHull(outline.astype(np.float32), clockwise=False)[:, 0].astype(np.float64)
        outline = outline if _area(outline) < 0 else outline[::-1]
        triangles = triangulate(outline * (1, -1))
        assert triangles is not None
    n = len(outline)
    flat = (outline - middle) * (unit, -unit)
    positions = np.concatenate([np.column_stack([flat, np.full(n, z)]) for z in (half, -half)])
    k = np.arange(n)
    after = (k + 1) % n
    rim = np.concatenate([np.stack([k, k + n, after + n], 1), np.stack([k, after + n, after], 1)])
    # Half a pixel in, as textures repeat: the colours of the other end stay out.
    uv = np.clip(outline, 0.5, np.asarray(shape) - 0.5) / shape
    mirrored = (1 - uv[:, 0:1]) * (1, 0) + uv * (0, 1)
    none = np.full((len(rim), 3, 2), np.nan)
    return (
        positions,
        np.concatenate([triangles, rim, triangles[:, ::-1] + n]),
        np.repeat([0, 1, 2], [len(triangles), len(rim), len(triangles)]),
        np.concatenate([uv[triangles], none, mirrored[triangles[:, ::-1]]]),
    )


def triangulate(polygon: F64) -> I64 | None:
    """Triangles (n - 2, 3) of a simple ``polygon`` (n, 2) that goes round anticlockwise, None when it cuts itself.

    Ear clipping (Meisters 1975), the ear that is least of a sliver first.
    """
    points = polygon.tolist()
    ring = list(range(len(points)))
    quality = [_quality(points[k - 1], points[k], points[(k + 1) % len(points)]) for k in ring]
    out: list[tuple[int, int, int]] = []
    while len(ring) > 3:
        for k in sorted(range(len(ring)), key=lambda k: -quality[ring[k]]):
            ear = (ring[k - 1], ring[k], ring[(k + 1) % len(ring)])
            a, b, c = (points[index] for index in ear)
            if quality[ring[k]] > 0 and not any(
                points[other] not in (a, b, c) and _inside(points[other], a, b, c) for other in ring
            ):
                break
        else:
            return None
        out.append(ear)
        del ring[k]
        for near in (k - 1, k % len(ring)):
            quality[ring[near]] = _quality(*(points[ring[(near + step) % len(ring)]] for step in (-1, 0, 1)))
    if _turn(*(points[k] for k in ring)) <= 0:
        return None
    return np.array([*out, tuple(ring)], np.int64)


def _turn(a: list[float], b: list[float], c: list[float]) -> float:
    """Twice the area of a triangle, above zero when it goes round anticlockwise."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _quality(a: list[float], b: list[float], c: list[float]) -> float:
    """Area over the sum of the squared sides: the larger, the less of a sliver; below zero at a reflex corner."""
    sides = ((a, b), (b, c), (c, a))
    squares = sum((p[0] - q[0]) ** 2 + (p[1] - q[1]) ** 2 for p, q in sides)
    return _turn(a, b, c) / squares if squares else 0.0


def _inside(p: list[float], a: list[float], b: list[float], c: list[float]) -> bool:
    """Whether ``p`` is in or on a triangle that goes round anticlockwise."""
    return _turn(a, b, p) >= 0 and _turn(b, c, p) >= 0 and _turn(c, a, p) >= 0


def _area(points: F64) -> float:
    """Area of a polygon (n, 2), above zero when it goes round anticlockwise in axes x right, y up."""
    x, y = points.T
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2)


def _without_repeats(points: F64) -> F64:
    return points[np.abs(points - np.roll(points, 1, axis=0)).max(axis=1) > 1e-9]


def _bled(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGB (H, W, 3) of ``pixels`` (H, W, 4), where transparent ones take the colour of the nearest opaque one.

    So no colour that nobody was meant to see gets into the edge of the plate when the texture is filtered.
    """
    alpha = pixels[..., 3]
    sure = alpha == 255 if (alpha == 255).any() else alpha >= OPAQUE
    _, label = cv2.distanceTransformWithLabels((~sure).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    colors = np.zeros((int(label.max()) + 1, 3), np.uint8)
    colors[label[sure]] = pixels[sure][:, :3]
    out = colors[label]
    half = alpha >= OPAQUE
    out[half] = pixels[half][:, :3]
    return np.ascontiguousarray(out)

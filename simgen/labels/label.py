"""Labels of a frame from ONE id buffer, the silhouettes and the poses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from simgen.assets.asset import Asset
from simgen.geometry import inverse
from simgen.kernels import kernel
from simgen.labels.category import category
from simgen.labels.frame import ObjectTable
from simgen.labels.rle import encode
from simgen.render.base import Camera
from simgen.render.silhouette import Silhouette
from simgen.render.snapshot import instance_ids
from simgen.scene.record import SceneRecord
from simgen.scene.state import SceneState


def label(
    record: SceneRecord,
    assets: Sequence[Asset],
    state: SceneState,
    camera: Camera,
    instance: NDArray[np.uint16],
    silhouettes: Sequence[Silhouette],
    categories: Mapping[str, int],
) -> ObjectTable:
    """The table of the labelled objects of one frame.

    ``assets`` are those of ``record.bodies``; ``instance`` (H, W) is the id buffer; ``silhouettes`` are those of ids
    1...K in order; ``categories`` maps names to ids. The full mask is the silhouette united with the visible pixels, so
    that visible is within full whichever renderer made the id buffer.
    """
    height, width = instance.shape
    bodies = list(instance_ids(record, state))
    k = len(bodies)
    px_visib, bbox_visib = visible(instance, k)
    px_full, px_inside = np.zeros(k, np.int32), np.zeros(k, np.int32)
    bbox_full = np.zeros((k, 4), np.int32)
    masks: list[bytes] = []
    for i, silhouette in enumerate(silhouettes):
        mask, x, y = silhouette.mask, silhouette.x0, silhouette.y0
        px_full[i], px_inside[i], bbox_full[i] = silhouette.px_full, silhouette.px_inside, silhouette.bbox_full
        h, w = mask.shape
        covered = np.count_nonzero(mask & (instance[y : y + h, x : x + w] == i + 1))
        if covered < px_visib[i]:
            whole = instance == i + 1
            whole[y : y + h, x : x + w] |= mask
            added = int(np.count_nonzero(whole)) - silhouette.px_inside
            px_full[i] += added
            px_inside[i] += added
            bbox_full[i] = _union(bbox_full[i], bbox_visib[i])
            mask, x, y = whole, 0, 0
        masks.append(encode(mask, x, y, height, width))
    poses = [_pose(state, b) for b in bodies]
    T_cam_world = inverse(camera.T_world_cam)
    bounds = np.array([assets[b].bounds for b in bodies]).reshape(k, 2, 3)
    scale = np.array([record.bodies[b].scale for b in bodies]).reshape(k, 3)
    some = px_full > 0
    safe = np.maximum(px_full, 1)
    return ObjectTable(
        body=np.array(bodies, np.int32),
        instance_id=np.arange(1, k + 1, dtype=np.uint16),
        category_id=np.array(
            [categories[category(record.bodies[b], T)] for b, T in zip(bodies, poses, strict=True)], np.uint16
        ),
        asset=tuple(record.bodies[b].asset for b in bodies),
        T_cam_obj=_stack([T_cam_world @ T for T in poses]),
        T_world_obj=_stack(poses),
        size=(np.ptp(bounds, axis=1) * scale).astype(np.float32),
        bbox_visib=bbox_visib,
        bbox_full=bbox_full,
        visib_fract=np.where(some, px_visib / safe, 0).astype(np.float32),
        truncated=np.where(some, (px_full - px_inside) / safe, 0).astype(np.float32),
        px_visib=px_visib,
        px_full=px_full,
        mask_full=tuple(masks),
        center=(bounds.mean(axis=1) * scale).astype(np.float32),
    )


def semantic(instance: NDArray[np.uint16], objects: ObjectTable) -> NDArray[np.uint16]:
    """The category id of each pixel (H, W), 0 = background."""
    table = np.zeros(len(objects.category_id) + 1, np.uint16)
    table[1:] = objects.category_id
    return _looked_up(table, np.ascontiguousarray(instance))


@kernel()
def _looked_up(table: NDArray[np.uint16], instance: NDArray[np.uint16]) -> NDArray[np.uint16]:
    out = np.empty_like(instance)
    for y in range(instance.shape[0]):
        for x in range(instance.shape[1]):
            out[y, x] = table[np.uint64(instance[y, x])]
    return out


def visible(instance: NDArray[np.uint16], count: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Visible pixels (K,) and boxes xywh (K, 4) of the ids 1...count of an id buffer (H, W)."""
    pixels, low, high = _extents(instance, count)
    boxes = np.concatenate([low, high - low + 1], axis=1)
    boxes[pixels == 0] = 0
    return pixels, boxes.astype(np.int32)


@kernel()
def _extents(
    instance: NDArray[np.uint16], count: int
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    pixels = np.zeros(count, np.int32)
    low = np.full((count, 2), 1 << 30, np.int32)
    high = np.full((count, 2), -1, np.int32)
    height, width = instance.shape
    for y in range(height):
        x = 0
        while x < width:
            value, start = instance[y, x], x
            while x < width and instance[y, x] == value:
                x += 1
            if value > 0:
                i = np.int64(value) - 1
                pixels[i] += x - start
                low[i, 0] = min(low[i, 0], start)
                low[i, 1] = min(low[i, 1], y)
                high[i, 0] = max(high[i, 0], x - 1)
                high[i, 1] = max(high[i, 1], y)
    return pixels, low, high


def _pose(state: SceneState, body: int) -> NDArray[np.float64]:
    where = state.bodies[body]
    assert where is not None  # instance_ids lists only bodies that are there
    return where.T_world_obj


def _stack(matrices: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.stack(matrices) if matrices else np.zeros((0, 4, 4))


def _union(a: NDArray[np.int32], b: NDArray[np.int32]) -> NDArray[np.int32]:
    """The box xywh around two boxes, an empty one (w = 0) not counting."""
    if a[2] == 0:
        return b
    low = np.minimum(a[:2], b[:2])
    high = np.maximum(a[:2] + a[2:], b[:2] + b[2:])
    return np.concatenate([low, high - low])

"""From mesh coordinates to the camera and to pixels, in strict float64.

Matrix products are written out because BLAS and einsum choose their order of operations (and fused multiply-adds) by
CPU, and geometry must have the same bits everywhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simgen.render.raster.jit import strict
from simgen.render.raster.layout import (
    BOX,
    CAM_MESH,
    CAM_OBJ,
    CLIPS,
    CX,
    CY,
    FAR,
    FIRST_IN_POOL,
    FIRST_VERTEX,
    FX,
    FY,
    HIDDEN,
    NEAR,
    NEXT_CAM,
    OBJ_CAM,
    PLACED,
    PREVIOUS_CAM,
    SKEW,
    VERTEX,
    VERTICES,
    Z_MAX,
    Z_MIN,
)

_LARGEST = 1e12  # pixels; what projects farther out is not drawn


@strict
def _invert(T: Any, out: Any) -> None:
    """Inverse of a rigid transform (>= 3 rows) into ``out`` (3, 4)."""
    for i in range(3):
        for j in range(3):
            out[i, j] = T[j, i]
    for i in range(3):
        out[i, 3] = -(T[0, i] * T[0, 3] + T[1, i] * T[1, 3] + T[2, i] * T[2, 3])


@strict
def _multiply(A: Any, B: Any, out: Any) -> None:
    """``A @ B`` of affine transforms (>= 3 rows) into ``out`` (3, 4)."""
    for i in range(3):
        for j in range(4):
            out[i, j] = A[i, 0] * B[0, j] + A[i, 1] * B[1, j] + A[i, 2] * B[2, j]
        out[i, 3] += A[i, 3]


@strict
def place_drawables(
    poses: Any, scales: Any, T_world_cam: Any, neighbours: Any, neighbour_cams: Any, matrices: Any
) -> None:
    """Fill ``matrices`` (M, DRAW_MATRICES) from poses (M, 4, 4), scales (M, 3) and the camera's pose.

    ``neighbours`` (2, M, 4, 4) and ``neighbour_cams`` (2, 4, 4) are the next and the previous time.
    """
    cam_world = np.empty((3, 4))
    cam_then = np.empty((3, 4))
    rigid = np.empty((3, 4))
    back = np.empty((3, 4))
    then = np.empty((3, 4))
    motion = np.empty((3, 4))
    _invert(T_world_cam, cam_world)
    for m in range(len(poses)):
        _multiply(cam_world, poses[m], rigid)
        _invert(rigid, back)
        for i in range(3):
            for j in range(4):
                matrices[m, CAM_OBJ + 4 * i + j] = rigid[i, j]
                matrices[m, OBJ_CAM + 4 * i + j] = back[i, j]
                matrices[m, CAM_MESH + 4 * i + j] = rigid[i, j] * scales[m, j] if j < 3 else rigid[i, j]
    for t in range(2):
        _invert(neighbour_cams[t], cam_then)
        column = NEXT_CAM if t == 0 else PREVIOUS_CAM
        for m in range(len(poses)):
            for i in range(3):
                for j in range(4):
                    back[i, j] = matrices[m, OBJ_CAM + 4 * i + j]
            _multiply(cam_then, neighbours[t, m], then)
            _multiply(then, back, motion)
            for i in range(3):
                for j in range(4):
                    matrices[m, column + 4 * i + j] = motion[i, j]


@strict
def project(X: float, Y: float, Z: float, camera: Any) -> tuple[float, float]:
    """Pixel coordinates of a point in front of the camera."""
    inverse = 1.0 / Z
    x = (camera[FX] * X + camera[SKEW] * Y) * inverse + camera[CX]
    y = camera[FY] * Y * inverse + camera[CY]
    return x, y


@strict
def place_vertices(draws: Any, matrices: Any, camera: Any, pool: Any, placed: Any, places: Any) -> None:
    """Transform and project the vertices of all drawables; note in ``places`` where each drawable is in the image.

    ``placed`` takes X, Y, Z in the camera frame and x, y in pixels of each vertex, flat. Vertices nearer than the near
    plane have no pixel coordinates. Non-finite vertices are left to the rasterizer, which skips their triangles.
    """
    near = camera[NEAR]
    for m in range(len(draws)):
        a = matrices[m, CAM_MESH : CAM_MESH + 12]
        a00, a01, a02, a03 = a[0], a[1], a[2], a[3]
        a10, a11, a12, a13 = a[4], a[5], a[6], a[7]
        a20, a21, a22, a23 = a[8], a[9], a[10], a[11]
        source = draws[m, FIRST_IN_POOL] * VERTEX
        target = draws[m, FIRST_VERTEX] * PLACED
        xmin, xmax, ymin, ymax, zmin, zmax = np.inf, -np.inf, np.inf, -np.inf, np.inf, -np.inf
        for _ in range(draws[m, VERTICES]):
            x = np.float64(pool[source])
            y = np.float64(pool[source + 1])
            z = np.float64(pool[source + 2])
            X = a00 * x + a01 * y + a02 * z + a03
            Y = a10 * x + a11 * y + a12 * z + a13
            Z = a20 * x + a21 * y + a22 * z + a23
            u, v = project(X, Y, max(Z, near), camera)
            placed[target] = X
            placed[target + 1] = Y
            placed[target + 2] = Z
            placed[target + 3] = u
            placed[target + 4] = v
            zmin, zmax = min(zmin, Z), max(zmax, Z)
            xmin, xmax, ymin, ymax = min(xmin, u), max(xmax, u), min(ymin, v), max(ymax, v)
            source += VERTEX
            target += PLACED
        clips = not (zmin >= near)
        if clips or not (xmax - xmin < _LARGEST and ymax - ymin < _LARGEST):
            xmin, xmax, ymin, ymax = -np.inf, np.inf, -np.inf, np.inf
        places[m, BOX] = xmin
        places[m, BOX + 1] = xmax
        places[m, BOX + 2] = ymin
        places[m, BOX + 3] = ymax
        places[m, Z_MIN] = zmin
        places[m, Z_MAX] = zmax
        places[m, CLIPS] = 1.0 if clips else 0.0
        places[m, HIDDEN] = 1.0 if (zmax < near or zmin > camera[FAR] or draws[m, VERTICES] == 0) else 0.0

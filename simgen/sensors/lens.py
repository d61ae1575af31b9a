"""Lens distortion: OpenCV's radial-tangential and fisheye models, as functions of points.

Pixel centres lie at integer coordinates. The camera frame is OpenCV's (x right, y down, z forward).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simgen.errors import ConfigError
from simgen.kernels import kernel

Array = NDArray[np.float64]
Model = Literal["radial_tangential", "fisheye"]

COEFFICIENTS: dict[str, tuple[str, ...]] = {
    "radial_tangential": ("k1", "k2", "p1", "p2", "k3"),
    "fisheye": ("k1", "k2", "k3", "k4"),
}
"""Names and order of the coefficients of each model, as in OpenCV."""


@dataclass(frozen=True)
class Lens:
    """A camera with its lens: size and intrinsics in pixels, ``distortion`` in the order of COEFFICIENTS.

    "radial_tangential" (ROS: plumb_bob) is Brown's model, "fisheye" (ROS: equidistant) that of Kannala and Brandt
    (2006), both as in OpenCV's calib3d. Missing trailing coefficients are 0.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    model: Model = "radial_tangential"
    distortion: tuple[float, ...] = ()

    @property
    def K(self) -> Array:  # noqa: N802
        """The 3x3 matrix of intrinsics."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1.0]])

    @property
    def distorts(self) -> bool:
        """Whether it differs from a pinhole; a fisheye always does."""
        return self.model == "fisheye" or any(self.distortion)


def project(
    points_cam: ArrayLike, K: ArrayLike, distortion: ArrayLike = (), model: Model = "radial_tangential"
) -> Array:
    """Pixels (N, 2) of ``points_cam`` (N, 3) in the camera frame, metres.

    NaN where there is none: behind the camera, or so far off the axis that the model folds back on itself.
    """
    points = np.ascontiguousarray(np.asarray(points_cam, np.float64).reshape(-1, 3))
    d, fisheye, limit = model_parameters(distortion, model)
    return _project(points, np.asarray(K, np.float64), d, fisheye, limit)


def unproject(pixels: ArrayLike, K: ArrayLike, distortion: ArrayLike = (), model: Model = "radial_tangential") -> Array:
    """Unit vectors (N, 3) along which ``pixels`` (N, 2) look, in the camera frame.

    NaN where no direction projects to the pixel. The point at z-depth z is ``ray / ray[2] * z``.
    """
    uv = np.ascontiguousarray(np.asarray(pixels, np.float64).reshape(-1, 2))
    d, fisheye, limit = model_parameters(distortion, model)
    return _unproject(uv, np.asarray(K, np.float64), d, fisheye, limit)


def model_parameters(distortion: ArrayLike, model: str) -> tuple[Array, bool, float]:
    """Coefficients padded to five, whether the model is the fisheye, and where it stops being one-to-one.

    The limit is a radius in the plane z = 1 for "radial_tangential" and an angle off the axis for "fisheye". Raises
    ConfigError for an unknown model, too many coefficients or numbers that are not finite.
    """
    if model not in COEFFICIENTS:
        raise ConfigError(f'distortion model "{model}" is unknown; use one of {", ".join(COEFFICIENTS)}')
    given = np.asarray(distortion, np.float64).reshape(-1)
    names = COEFFICIENTS[model]
    if given.size > len(names) and np.any(given[len(names) :]):
        raise ConfigError(
            f"{given.size} distortion coefficients were given, but {model} has {len(names)}: {', '.join(names)}"
        )
    if not np.isfinite(given).all():
        raise ConfigError(f"distortion coefficients {given.tolist()} are not all finite numbers")
    d = np.zeros(5)
    d[: min(given.size, len(names))] = given[: len(names)]
    if model == "fisheye":
        slope = [9 * d[3], 0, 7 * d[2], 0, 5 * d[1], 0, 3 * d[0], 0, 1.0]
        return d, True, min(_first_root(slope), np.pi)
    return d, False, _first_root([7 * d[4], 0, 5 * d[1], 0, 3 * d[0], 0, 1.0])


def _first_root(polynomial: list[float]) -> float:
    """The smallest positive real root, or infinity."""
    leading = np.flatnonzero(polynomial)
    roots = np.roots(polynomial[leading[0] :])
    real = roots[np.abs(roots.imag) < 1e-9 * np.maximum(1, np.abs(roots))].real
    positive = real[real > 0]
    return float(positive.min()) if positive.size else float("inf")


@kernel(inline="always")
def distort_point(x: float, y: float, d: Array, fisheye: bool) -> tuple[float, float]:
    """Where a ray through (x, y) of the plane z = 1 goes in the distorted plane."""
    r2 = x * x + y * y
    if fisheye:
        r = np.sqrt(r2)
        if r < 1e-12:
            return x, y
        t = np.arctan(r)
        t2 = t * t
        s = t * (1 + t2 * (d[0] + t2 * (d[1] + t2 * (d[2] + t2 * d[3])))) / r
        return x * s, y * s
    radial = 1 + r2 * (d[0] + r2 * (d[1] + r2 * d[4]))
    xy = 2 * x * y
    return (
        x * radial + d[2] * xy + d[3] * (r2 + 2 * x * x),
        y * radial + d[2] * (r2 + 2 * y * y) + d[3] * xy,
    )


@kernel(error_model="numpy")
def undistort_point(
    xd: float, yd: float, d: Array, limit: float, x: float, y: float, tolerance: float
) -> tuple[float, float, bool]:
    """The ray (x, y) of the plane z = 1 that the radial-tangential model maps to (xd, yd), by Newton's method.

    It starts from the guess (x, y) and ends with a step below ``tolerance``. The last value says whether there is a
    solution within the model's ``limit``.
    """
    limit2 = limit * limit
    for _ in range(30):
        r2 = x * x + y * y
        if r2 > limit2:  # back inside, where the model is one-to-one
            s = 0.95 * limit / np.sqrt(r2)
            x, y = x * s, y * s
            r2 = x * x + y * y
        radial = 1 + r2 * (d[0] + r2 * (d[1] + r2 * d[4]))
        slope = 2 * (d[0] + r2 * (2 * d[1] + r2 * 3 * d[4]))
        ex = x * radial + 2 * d[2] * x * y + d[3] * (r2 + 2 * x * x) - xd
        ey = y * radial + d[2] * (r2 + 2 * y * y) + 2 * d[3] * x * y - yd
        jxx = radial + x * x * slope + 2 * d[2] * y + 6 * d[3] * x
        jxy = x * y * slope + 2 * d[2] * x + 2 * d[3] * y
        jyy = radial + y * y * slope + 6 * d[2] * y + 2 * d[3] * x
        determinant = jxx * jyy - jxy * jxy
        if determinant <= 1e-9:
            return x, y, False
        dx, dy = (jyy * ex - jxy * ey) / determinant, (jxx * ey - jxy * ex) / determinant
        x, y = x - dx, y - dy
        if dx * dx + dy * dy < tolerance * tolerance:
            return x, y, x * x + y * y <= limit2
    return x, y, False


@kernel(error_model="numpy")
def fisheye_angle(radius: float, d: Array, limit: float, angle: float, tolerance: float) -> tuple[float, bool]:
    """The angle off the axis that the fisheye model maps to ``radius`` in the distorted plane, by Newton's method."""
    t = min(angle, limit)
    for _ in range(30):
        t2 = t * t
        e = t * (1 + t2 * (d[0] + t2 * (d[1] + t2 * (d[2] + t2 * d[3])))) - radius
        slope = 1 + t2 * (3 * d[0] + t2 * (5 * d[1] + t2 * (7 * d[2] + t2 * 9 * d[3])))
        if slope <= 1e-9:
            return t, False
        step = e / slope
        t -= step
        if t < 0 or t > limit:
            t = min(max(t, 0.0), 0.999 * limit)
        elif abs(step) < tolerance:
            return t, True
    return t, False


@kernel(error_model="numpy")
def _project(points: Array, K: Array, d: Array, fisheye: bool, limit: float) -> Array:
    out = np.empty((points.shape[0], 2))
    for i in range(points.shape[0]):
        x, y, z = points[i]
        xd = yd = np.nan
        if fisheye:
            r = np.sqrt(x * x + y * y)
            t = np.arctan2(r, z)
            if t <= limit and r + abs(z) > 0:
                t2 = t * t
                s = t * (1 + t2 * (d[0] + t2 * (d[1] + t2 * (d[2] + t2 * d[3])))) / r if r > 0 else 0.0
                xd, yd = x * s, y * s
        elif z > 0 and (x * x + y * y) <= limit * limit * z * z:
            xd, yd = distort_point(x / z, y / z, d, False)
        out[i, 0] = K[0, 0] * xd + K[0, 1] * yd + K[0, 2]
        out[i, 1] = K[1, 1] * yd + K[1, 2]
    return out


@kernel(error_model="numpy")
def _unproject(pixels: Array, K: Array, d: Array, fisheye: bool, limit: float) -> Array:
    out = np.full((pixels.shape[0], 3), np.nan)
    for i in range(pixels.shape[0]):
        yd = (pixels[i, 1] - K[1, 2]) / K[1, 1]
        xd = (pixels[i, 0] - K[0, 2] - K[0, 1] * yd) / K[0, 0]
        if fisheye:
            radius = np.sqrt(xd * xd + yd * yd)
            t, ok = fisheye_angle(radius, d, limit, radius, 1e-11)
            if ok:
                s = np.sin(t) / radius if radius > 1e-12 else 1.0
                out[i, 0], out[i, 1], out[i, 2] = xd * s, yd * s, np.cos(t)
        else:
            x, y, ok = undistort_point(xd, yd, d, limit, xd, yd, 1e-11)
            if ok:
                n = np.sqrt(x * x + y * y + 1)
                out[i, 0], out[i, 1], out[i, 2] = x / n, y / n, 1 / n
    return out

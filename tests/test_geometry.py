"""Transforms and cameras against SciPy and against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from simgen.geometry import (
    cross,
    intrinsics,
    inverse,
    length,
    look_at,
    quaternion_from_axis_angle,
    quaternion_from_rotation,
    rotation_from_quaternion,
    transform,
)

finite = st.floats(-5, 5)
quaternions = st.tuples(finite, finite, finite, finite).filter(lambda q: np.linalg.norm(q) > 0.1)


@given(quaternions)
def test_rotations_agree_with_scipy(q: tuple[float, ...]) -> None:
    expected = Rotation.from_quat(q)
    R = rotation_from_quaternion(q)
    np.testing.assert_allclose(R, expected.as_matrix(), atol=1e-12)
    again = rotation_from_quaternion(quaternion_from_rotation(R))
    np.testing.assert_allclose(again, R, atol=1e-9)


@pytest.mark.parametrize("axis", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)])
def test_half_turns_survive_the_quaternion(axis: tuple[int, ...]) -> None:
    R = rotation_from_quaternion(quaternion_from_axis_angle(axis, np.pi))
    np.testing.assert_allclose(rotation_from_quaternion(quaternion_from_rotation(R)), R, atol=1e-12)


@given(st.tuples(finite, finite, finite), st.tuples(finite, finite, finite))
def test_lengths_and_cross_products_are_those_of_numpy(a: tuple[float, ...], b: tuple[float, ...]) -> None:
    v, w = np.array(a), np.array(b)
    np.testing.assert_array_equal(cross(v, w), np.cross(v, w))
    assert length(v) == pytest.approx(np.linalg.norm(v), rel=1e-15)


@given(quaternions, st.tuples(finite, finite, finite))
def test_inverse_undoes(q: tuple[float, ...], t: tuple[float, ...]) -> None:
    T = transform(t, q)
    np.testing.assert_allclose(inverse(np.stack([T, T]))[1] @ T, np.eye(4), atol=1e-12)


@given(st.tuples(finite, finite, finite), st.tuples(finite, finite, finite), st.floats(-3, 3))
def test_a_camera_sees_its_target_in_the_middle(eye: tuple, target: tuple, roll: float) -> None:
    distance = float(np.linalg.norm(np.subtract(target, eye)))
    if distance < 1e-3:
        return
    T = look_at(eye, target, roll)
    np.testing.assert_allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-9)
    assert np.linalg.det(T[:3, :3]) == pytest.approx(1)
    np.testing.assert_allclose((inverse(T) @ np.append(target, 1))[:3], [0, 0, distance], atol=1e-9)


def test_up_is_up_and_a_clockwise_roll_tilts_the_world_counter_clockwise() -> None:
    above = np.array([2.0, 0, 1, 1])
    level = inverse(look_at((0, 0, 0), (2, 0, 0))) @ above
    assert level[1] < 0  # y points down in the image
    rolled = inverse(look_at((0, 0, 0), (2, 0, 0), roll=0.3)) @ above
    assert rolled[0] < 0


def test_looking_straight_down_has_north_up() -> None:
    north = inverse(look_at((0, 0, 3), (0, 0, 0))) @ np.array([0, 1.0, 0, 1])
    np.testing.assert_allclose(north[:3], [0, -1, 3], atol=1e-12)


def test_looking_at_oneself_is_refused() -> None:
    with pytest.raises(ValueError, match="coincide"):
        look_at((1, 2, 3), (1, 2, 3))


def test_field_of_view_spans_the_image() -> None:
    K = intrinsics(640, 480, np.deg2rad(60))
    ray = np.linalg.inv(K) @ [639.5, 239.5, 1]
    assert np.rad2deg(np.arctan2(ray[0], ray[2])) == pytest.approx(30)
    assert ray[1] == pytest.approx(0)

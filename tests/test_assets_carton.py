"""The procedural carton: which way its sides look, and that no two of them can be taken for each other."""

from __future__ import annotations

import numpy as np
import pytest

from simgen import Library
from simgen.assets.carton import SIZE


def test_its_sides_look_outwards_upright_and_differ() -> None:
    asset = Library().asset("carton/sugar")
    assert asset.category == "carton"
    np.testing.assert_allclose(asset.bounds, [-np.array(SIZE) / 2, np.array(SIZE) / 2], atol=1e-12)
    directions, pictures = [], []
    for mesh in asset.meshes:
        corners = np.asarray(mesh.vertices)[np.asarray(mesh.faces)]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        assert (np.einsum("fi,fi->f", normals, corners.mean(1)) > 0).all()
        directions.append(tuple(np.round(normals[0] / np.linalg.norm(normals[0])).astype(int)))
        picture = mesh.material.base_color_map
        assert picture is not None
        pictures.append(picture.key)
        if directions[-1][2] == 0:  # what is higher on the side is higher in the picture
            uv, z = np.asarray(mesh.uv)[:, 1], np.asarray(mesh.vertices)[:, 2]
            assert np.corrcoef(uv, z)[0, 1] == pytest.approx(-1, abs=1e-4)
    assert len(set(directions)) == 6
    assert len(set(pictures)) == 6

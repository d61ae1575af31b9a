"""The scene signs: the face that is labelled is the face that is seen, with and without images of signs."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import simgen
from simgen.assets.asset import Asset
from simgen.generate.pipeline import category_ids, scene_frames
from simgen.labels.frame import Frame
from simgen.render.base import Renderer
from simgen.scene.record import SceneRecord

REAL = Path(os.environ.get("SIMGEN_TEST_ASSETS", Path(__file__).parents[2] / "shared" / "assets"))
SMALL = ["image.width=48", "image.height=48", "passes=[rgb,instance]", "scene.cameras.main.views=2"]
PLAIN = [
    f"randomize.{factor}.enabled=false" for factor in ("lighting", "materials", "sensor", "distractors", "background")
]


@pytest.fixture(scope="module")
def library() -> simgen.Library:
    return simgen.Library()


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return simgen.create_renderer("raster", "cpu")


def shown(asset: Asset, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The colours (n, 3) of an asset's face at ``points`` (n, 2) of its own frame."""
    front = next(mesh for mesh in asset.meshes if np.allclose(mesh.normals, (0, 0, 1)))
    assert front.uv is not None
    assert front.material.base_color_map is not None
    pixels = front.material.base_color_map.pixels
    corners = np.column_stack([front.vertices[:, :2], np.ones(len(front.vertices))])
    to_uv = np.linalg.lstsq(corners, front.uv, rcond=None)[0]
    uv = np.clip(np.column_stack([points, np.ones(len(points))]) @ to_uv, 0, 0.999)
    height, width = pixels.shape[:2]
    return pixels[(uv[:, 1] * height).astype(int), (uv[:, 0] * width).astype(int)].astype(float)


def sign_seen(frame: Frame, record: SceneRecord, library: simgen.Library) -> str:
    """The road sign whose face is most like the pixels of the labelled object, by its pose and nothing else."""
    y, x = np.nonzero(frame.images["instance"] == 1)
    rays = np.linalg.solve(frame.K, np.stack([x, y, np.ones(len(x))]))
    T = frame.objects.T_cam_obj[0]
    # Where each ray meets the plane of the plate: z of the object is 0.
    inverse = np.linalg.inv(T)
    origin, directions = inverse[:3, 3], inverse[:3, :3] @ rays
    points = (origin[:, None] - directions * origin[2] / directions[2])[:2].T
    scale = next(body.scale for body in record.bodies if body.category is not None)[0]
    seen = frame.images["rgb"][y, x].astype(float)
    likeness = {}
    for name in library.assets("road_sign/*"):
        face = shown(library.asset(name), points / scale)
        likeness[name] = np.corrcoef(face.ravel(), seen.ravel())[0, 1]
    return max(likeness, key=lambda name: likeness[name])


def test_the_sign_that_is_labelled_is_the_one_that_is_seen(library: simgen.Library, renderer: Renderer) -> None:
    config = simgen.load("signs", [*SMALL, *PLAIN])
    numbers = category_ids(config, library)
    assert list(numbers) == sorted({library.category(name) for name in library.assets("road_sign/*")})
    found = []
    for scene in range(8):
        result = scene_frames(config, library, renderer, scene)
        for frame in result.frames:
            (category,) = frame.objects.category_id
            name = sign_seen(frame, result.record, library)
            assert numbers[library.category(name)] == category
            assert frame.objects.asset[0] == name
            found.append(name)
    assert len(set(found)) > 4


def test_signs_are_whole_and_as_small_as_in_photographs(library: simgen.Library, renderer: Renderer) -> None:
    config = simgen.load("signs", [option.replace("48", "64") for option in SMALL])
    sides, levels, visible = [], [], []
    for scene in range(25):
        for frame in scene_frames(config, library, renderer, scene).frames:
            assert len(frame.objects.category_id) == 1
            assert frame.objects.truncated[0] == 0
            sides.append(frame.objects.bbox_full[0, 2:].max())
            levels.append(frame.images["rgb"].mean())
            visible.append(frame.objects.visib_fract[0])
    assert 15 <= min(sides) < 26
    assert 42 < max(sides) <= 60
    assert min(levels) < 25
    assert max(levels) > 130
    assert np.mean(visible) > 0.9
    assert np.min(visible) < 1


def test_other_signs_stand_by_unlabelled(library: simgen.Library) -> None:
    config = simgen.load("signs", [])
    records = [simgen.sample(config, library, 0, scene) for scene in range(30)]
    groups = {body.group for record in records for body in record.bodies}
    assert groups == {"signs", *config.scene.distractors}
    for record in records:
        assert [body.group for body in record.bodies if body.category is not None] == ["signs"]


@pytest.mark.skipif(not (REAL / "signs").is_dir(), reason=f"no asset pack at {REAL} (SIMGEN_TEST_ASSETS)")
def test_classes_are_read_from_the_names_of_images() -> None:
    library = simgen.Library([REAL])
    config = simgen.load("signs", [])
    assert list(category_ids(config, library)) == [f"{k:02d}" for k in range(43)]
    drawn = [body for scene in range(60) for body in simgen.sample(config, library, 1, scene).bodies if body.category]
    assert len(drawn) == 60
    assert all(body.asset.split("/")[-1].startswith(f"{body.category}_") for body in drawn)
    assert len({body.category for body in drawn}) > 25

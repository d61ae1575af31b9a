"""Contact sheets: what they show is where it should be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import ImageFont

from simgen.errors import DatasetError
from simgen.labels.frame import Frame, KeypointTable, ObjectTable
from simgen.labels.rle import encode
from simgen.view.preview import colored_depth, colored_flow, contact_sheet, palette, panel


@pytest.fixture
def frame() -> Frame:
    instance = np.zeros((48, 64), np.uint16)
    instance[10:30, 20:40] = 1
    depth = np.where(instance > 0, 1.0, 3.0).astype(np.float32)
    depth[:5] = 0
    normal = np.zeros((48, 64, 3), np.float32)
    normal[5:, :, 2] = -1
    one = np.ones(1)
    objects = ObjectTable(
        body=np.array([0]),
        instance_id=np.array([1], np.uint16),
        category_id=np.array([2], np.uint16),
        asset=("primitive/box",),
        T_cam_obj=np.eye(4)[None],
        T_world_obj=np.eye(4)[None],
        size=np.ones((1, 3), np.float32),
        bbox_visib=np.array([[20, 10, 20, 20]], np.int32),
        bbox_full=np.array([[20, 10, 20, 20]], np.int32),
        visib_fract=one,
        truncated=0 * one,
        px_visib=400 * one,
        px_full=400 * one,
        mask_full=(encode(instance > 0, 0, 0, 48, 64),),
    )
    images = {
        "rgb": np.full((48, 64, 3), 100, np.uint8),
        "depth": depth,
        "instance": instance,
        "normal": normal,
    }
    return Frame(3, 1, 0, 0.0, "main", images, np.eye(3), np.zeros(5), np.eye(4), objects, {})


def test_a_sheet_has_a_cell_for_each_frame_and_pass(frame: Frame) -> None:
    sheet = contact_sheet([frame, frame], {2: "box"}, cell=160)
    assert sheet.dtype == np.uint8
    assert sheet.shape == (26 + 2 * (120 + 20), 6 + 4 * 166, 3)


def test_boxes_are_drawn_around_the_object(frame: Frame) -> None:
    changed = np.any(panel(frame, "boxes", {2: "box"}, 64) != 100, axis=-1)
    assert changed[29, 20:40].all()  # the lower edge; the label covers the upper one
    assert not changed[15:25, 25:35].any()
    assert not changed[32:].any()


def test_keypoints_are_shown_where_some_frames_have_none(frame: Frame) -> None:
    """Scenes differ in their objects, and not all of these have keypoints."""
    point = np.array([[10.0, 20.0]])
    table = KeypointTable(np.array([0]), ("tip",), point, np.ones((1, 3)), np.array([3], np.uint8))
    for shown in ([frame, replace(frame, keypoints=table)], [replace(frame, keypoints=table), frame]):
        sheet = contact_sheet(shown, {2: "box"}, ["keypoints"], 64)
        rows = [sheet[26:74], sheet[94:142]]
        drawn = [bool(np.any(row[:, 6:70] != 100)) for row in rows]
        assert drawn == [one.keypoints is not None for one in shown]
    with pytest.raises(DatasetError, match="have no keypoints"):
        contact_sheet([frame, frame], {2: "box"}, ["keypoints"], 64)


def test_names_in_other_languages_are_written(frame: Frame) -> None:
    """Not as the same empty box for each of their letters."""
    try:
        ImageFont.truetype("DejaVuSans.ttf", 11)
    except OSError:
        pytest.skip("the system has no such font")
    assert not np.array_equal(panel(frame, "boxes", {2: "ßß"}, 320), panel(frame, "boxes", {2: "öö"}, 320))


def test_a_name_stays_in_the_picture(frame: Frame) -> None:
    """Its label begins further left where it would go on to the right of the picture."""
    columns = []
    for x in (20, 60):
        frame.objects.bbox_visib[0] = (x, 10, 4, 20)
        columns.append(np.any(panel(frame, "boxes", {2: "cylinder"}, 320)[38:49] != 100, axis=(0, 2)).sum())
    assert columns[0] == columns[1] > 30


def test_a_box_of_one_pixel_survives_shrinking(frame: Frame) -> None:
    frame.objects.bbox_visib[0] = (5, 5, 1, 1)
    assert panel(frame, "boxes", {2: "box"}, 32).shape == (24, 32, 3)


def test_full_masks_tint_the_object_only(frame: Frame) -> None:
    changed = np.any(panel(frame, "full", {}) != 100, axis=-1)
    np.testing.assert_array_equal(changed, frame.images["instance"] > 0)


def test_near_is_brighter_than_far_and_nothing_is_black(frame: Frame) -> None:
    picture = colored_depth(frame.images["depth"]).astype(int).sum(-1)
    assert (picture[:5] == 0).all()
    assert picture[20, 30] > picture[40, 5] > 0
    assert (colored_depth(np.zeros((4, 4), np.float32)) == 0).all()


def test_a_surface_that_faces_the_camera_is_the_blue_of_normal_maps(frame: Frame) -> None:
    assert panel(frame, "normal", {})[30, 5].tolist() == [127, 127, 255]


def test_ids_get_different_colours_and_background_is_black() -> None:
    colors = palette(60)
    assert (colors[0] == 0).all()
    assert len({tuple(c) for c in colors}) == 60


def test_still_pixels_are_white_in_a_flow_picture() -> None:
    flow = np.zeros((2, 2, 2), np.float32)
    flow[0, 0] = (3, 0)
    picture = colored_flow(flow)
    assert (picture[1] == 255).all()
    assert not (picture[0, 0] == 255).all()


@pytest.mark.parametrize("name", ["dept", "flow_forward"])
def test_panels_that_cannot_be_shown_are_named(frame: Frame, name: str) -> None:
    with pytest.raises(DatasetError, match=name):
        contact_sheet([frame], {}, [name])


def test_object_coordinates_are_shown_with_ids_and_without(frame: Frame) -> None:
    """Along x from -0.5 to 0.5 m over the object; it is 2 m wide in its table."""
    coords = np.zeros((48, 64, 3), np.float32)
    coords[10:30, 20:40, 0] = np.linspace(-0.5, 0.5, 20)
    frame.images["object_coords"] = coords
    frame.objects.size[:] = 2.0
    inside = np.zeros((48, 64), bool)
    inside[10:30, 20:40] = True
    with_ids = panel(frame, "object_coords", {})
    del frame.images["instance"]
    alone = panel(frame, "object_coords", {})
    for picture, low, high in ((with_ids, 0.25, 0.75), (alone, 0, 1)):
        assert (picture.any(axis=-1) == inside).all()
        np.testing.assert_allclose(picture[15, 20:40, 0], 255 * np.linspace(low, high, 20), atol=1)
    sheet = contact_sheet([replace(frame, images={"object_coords": coords})], {})
    assert sheet.shape == (26 + 240 + 20, 6 + 326, 3)
    empty = replace(frame, images={"object_coords": 0 * coords})
    assert not panel(empty, "object_coords", {}).any()

"""Inputs, targets, augmentation, losses and decoding: labels stay on their pixels."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from learn_data import arrows, squares

torch = pytest.importorskip("torch", reason="PyTorch is an optional part")

from simgen.learn import decode, losses  # noqa: E402
from simgen.learn.augment import _needed, _warp, augment, draw_geometry  # noqa: E402
from simgen.learn.config import AugmentConfig, InputConfig, TrainConfig, resolve  # noqa: E402
from simgen.learn.errors import LearnError  # noqa: E402
from simgen.learn.items import FILL, Items, around, looking_at, show, whole  # noqa: E402
from simgen.learn.nets import ANGLE_BINS, STRIDE  # noqa: E402
from simgen.learn.sample import UNLABELLED, Joined, objects  # noqa: E402

GEOMETRY = AugmentConfig(exposure=0, contrast=0, saturation=0, tint=0, noise=0, blur=0)


def test_a_view_shows_the_whole_image_and_brings_boxes_back() -> None:
    image = np.full((30, 60, 3), 200, np.uint8)
    image[10:20, 30:50] = 10
    config = InputConfig(64, 64)
    view = whole(image, config)
    shown = show(image, view, config)
    box = view.to_input(np.array([[30.0, 10, 20, 10]]))
    np.testing.assert_allclose(view.to_source(box), [[30, 10, 20, 10]], atol=1e-5)
    x, y, w, h = box[0]
    dark = shown[:, :, 0] < 60
    np.testing.assert_allclose(
        [np.flatnonzero(dark.any(0))[0], np.flatnonzero(dark.any(1))[0], dark.any(0).sum(), dark.any(1).sum()],
        [x, y, w, h],
        atol=1.5,
    )
    assert (shown[:14] == FILL).all()
    assert (shown[-14:] == FILL).all()


def test_a_crop_has_its_margin_and_a_cropped_picture_gets_none() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    view = around(image, np.array([40.0, 30, 20, 40]), InputConfig(50, 50, margin=0.25))
    assert (view.x, view.y, view.scale * 50) == (20, 20, 60)  # the longer side 40 and a quarter of it on each side
    assert around(image, np.array([0.0, 0, 100, 100]), InputConfig(50, 50, margin=0.25)).scale == 2
    outside = around(image, np.array([90.0, 90, 10, 10]), InputConfig(20, 20, margin=0.5))
    assert (show(image + 1, outside, InputConfig(20, 20))[-4:] == FILL).all()


def batch_of(task: str, count: int = 12, side: int = 64) -> dict[str, torch.Tensor]:
    source = squares(count, side=side, most=4)
    items = Items(source, task, InputConfig(side, side, crop="image"))
    chosen = [items[k] for k in range(count)]
    return {name: torch.from_numpy(np.stack([item[name] for item in chosen])) for name in chosen[0]}


@pytest.mark.parametrize(
    "config",
    [
        AugmentConfig(rotate_deg=0, scale=0.3, stretch=0.2, shift=0.2, flip_x=True, flip_y=True),
        AugmentConfig(rotate_deg=0, scale=0.2, stretch=0, shift=0.1, quarter_turns=True),
        AugmentConfig(rotate_deg=0, scale=0, stretch=0, shift=0, window=0.5),
    ],
)
def test_boxes_stay_on_their_pixels(config: AugmentConfig) -> None:
    for field in ("exposure", "contrast", "saturation", "tint", "noise", "blur"):
        setattr(config, field, 0)
    batch = batch_of("detect", side=128)
    moved = augment(batch, config, torch.Generator().manual_seed(1))
    side = int(128 * config.window)
    assert moved["image"].shape == (12, 3, side, side)
    checked = 0
    for image, boxes, labels in zip(moved["image"], moved["boxes"], moved["labels"], strict=True):
        pixels = image.numpy().transpose(1, 2, 0)
        for (x, y, w, h), label in zip(boxes.numpy(), labels.numpy(), strict=True):
            if label < 0:
                continue
            color = np.array([(220, 40, 40), (40, 200, 40), (40, 60, 220)][label])
            near = np.abs(pixels - color).max(2) < 30
            grown = np.zeros_like(near)
            grown[max(0, round(y) - 2) : round(y + h) + 2, max(0, round(x) - 2) : round(x + w) + 2] = True
            inside = near & grown
            columns, rows = np.flatnonzero(inside.any(0)), np.flatnonzero(inside.any(1))
            np.testing.assert_allclose([columns[0], columns[-1] + 1], [x, x + w], atol=1.6)
            np.testing.assert_allclose([rows[0], rows[-1] + 1], [y, y + h], atol=1.6)
            checked += 1
    assert checked > 12


def test_a_window_is_the_same_from_the_whole_image_and_from_the_part_that_it_shows() -> None:
    batch = batch_of("detect", side=320)
    batch["image"] = torch.randint(0, 255, batch["image"].shape, generator=torch.Generator().manual_seed(4)).byte()
    config = AugmentConfig(rotate_deg=20, scale=0.3, stretch=0.2, shift=0.3, quarter_turns=True, window=0.2)
    geometry = draw_geometry(batch, config, torch.Generator().manual_seed(3))
    part, local = _needed(batch["image"], geometry)
    assert part.shape[1] < 160
    whole, from_part = (
        _warp(image.permute(0, 3, 1, 2).float(), where, grey_outside=True)
        for image, where in ((batch["image"], geometry), (part, local))
    )
    torch.testing.assert_close(from_part, whole, atol=0.1, rtol=0)


def test_the_box_of_a_turned_disk_encloses_the_disk() -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    cv2.circle(image, (40, 24), 10, (255, 255, 255), -1)
    batch = {
        "image": torch.from_numpy(image)[None].repeat(6, 1, 1, 1),
        "boxes": torch.tensor([[[30.0, 14, 21, 21]]]).repeat(6, 1, 1),
        "labels": torch.zeros(6, 1, dtype=torch.long),
    }
    config = AugmentConfig(**{**vars(GEOMETRY), "rotate_deg": 90, "scale": 0, "stretch": 0, "shift": 0})
    moved = augment(batch, config, torch.Generator().manual_seed(0))
    for pixels, (x, y, w, h) in zip(moved["image"][:, 0].numpy(), moved["boxes"][:, 0].numpy(), strict=True):
        columns, rows = np.flatnonzero((pixels > 128).any(0)), np.flatnonzero((pixels > 128).any(1))
        np.testing.assert_allclose([columns[0], columns[-1] + 1, rows[0], rows[-1] + 1], [x, x + w, y, y + h], atol=1)


def test_masks_move_with_the_image_and_what_comes_in_is_unlabelled() -> None:
    batch = batch_of("segment")
    moved = augment(batch, GEOMETRY, torch.Generator().manual_seed(2))
    red = (moved["image"][:, 0] > 190) & (moved["image"][:, 1] < 70)
    known = moved["semantic"] != UNLABELLED
    assert (~known).any()
    agree = (red == (moved["semantic"] == 1))[known]
    assert float(agree.float().mean()) > 0.98  # all but pixels on edges
    assert set(moved["semantic"].unique().tolist()) <= {0, 1, 2, 3, UNLABELLED}


@pytest.mark.parametrize("task", ["segment", "pose"])
def test_a_letterbox_is_grey_outside_a_rectangle_around_the_object(task: str) -> None:
    still = AugmentConfig(**{**vars(GEOMETRY), "rotate_deg": 0, "scale": 0, "stretch": 0, "shift": 0})
    image = torch.full((40, 64, 64, 3), 200, dtype=torch.uint8)
    image[:, 10:50, 24:34] = 30
    extra = {"box": torch.tensor([[24.0, 10, 10, 40]]).repeat(40, 1)}
    if task == "segment":
        extra = {"semantic": (image[..., 0] == 30).to(torch.uint8)}
    batch = {"image": image, **extra}
    moved = augment(batch, AugmentConfig(**{**vars(still), "letterbox": 0.7}), torch.Generator().manual_seed(3))
    grey = (moved["image"] == 127).all(1)
    assert not grey[:, 10:50, 24:34].any()
    assert 15 < int(grey.any((1, 2)).sum()) < 40  # seven in ten
    sides = [(bool(g[:, 0].all()), bool(g[0].all())) for g in grey]
    assert (True, False) in sides
    assert (True, True) in sides
    assert (False, True) not in sides  # the object is upright: bars are left and right of it
    for g in grey:
        rows, columns = (~g).any(1), (~g).any(0)
        assert torch.equal(~g, rows[:, None] & columns[None])
        if g.any():
            assert int(columns.sum()) <= 10 + 2 * 0.2 * 40 + 1
    none = augment(batch, still, torch.Generator().manual_seed(3))
    assert torch.equal(torch.where(grey[:, None], 127.0, none["image"]), moved["image"])  # moves no other draw
    if task == "segment":
        assert torch.equal(moved["semantic"], none["semantic"])


def test_augmentation_is_a_function_of_its_generator_and_strength_0_changes_nothing() -> None:
    batch = batch_of("detect")
    a, b = (augment(batch, AugmentConfig(erase=0.5), torch.Generator().manual_seed(5)) for _ in range(2))
    c = augment(batch, AugmentConfig(erase=0.5), torch.Generator().manual_seed(6))
    assert torch.equal(a["image"], b["image"])
    assert torch.equal(a["boxes"], b["boxes"])
    assert not torch.equal(a["image"], c["image"])
    same = augment(batch, AugmentConfig(strength=0), torch.Generator())
    assert torch.equal(same["image"], batch["image"].permute(0, 3, 1, 2).float())
    assert torch.equal(same["boxes"], batch["boxes"])


def test_a_box_that_leaves_the_image_is_ignored_or_gone() -> None:
    batch = {
        "image": torch.zeros(40, 32, 32, 3, dtype=torch.uint8),
        "boxes": torch.tensor([[[0.0, 0, 8, 8], [12, 12, 8, 8]]]).repeat(40, 1, 1),
        "labels": torch.zeros(40, 2, dtype=torch.long),
    }
    config = AugmentConfig(**{**vars(GEOMETRY), "rotate_deg": 0, "scale": 0, "stretch": 0, "shift": 0.25})
    labels = augment(batch, config, torch.Generator().manual_seed(0))["labels"]
    assert set(labels[:, 0].tolist()) == {0, -1, -2}
    assert set(labels[:, 1].tolist()) == {0}


def test_the_targets_of_a_detector_decode_to_its_boxes() -> None:
    boxes = torch.tensor(
        [[[8.0, 12, 20, 16], [40, 36, 12, 24], [4, 40, 10, 10]], [[30.0, 30, 30, 30], [0, 0, 0, 0], [0, 0, 0, 0]]]
    )
    labels = torch.tensor([[1, 0, -2], [2, -1, -1]])
    heat, _, owner, ignored = losses.centre_targets(boxes, labels, 16, 16)
    assert heat.shape == (2, 16, 16)
    assert int((heat == 1).sum()) == 3
    assert bool(ignored[0, 11, 2])
    assert int(ignored.sum()) == 9  # cells centred at 6, 10 and 14 across, 42, 46 and 50 down
    # The output that a perfect network would give.
    x = (torch.arange(16) + 0.5) * STRIDE
    wanted = torch.gather(
        boxes[:, :, None, None].expand(-1, -1, 16, 16, -1), 1, owner[:, None, ..., None].expand(-1, -1, -1, -1, 4)
    )[:, 0]
    reach = torch.stack(
        [
            x - wanted[..., 0],
            x[:, None] - wanted[..., 1],
            wanted[..., 0] + wanted[..., 2] - x,
            wanted[..., 1] + wanted[..., 3] - x[:, None],
        ],
        1,
    )
    extent = torch.log(reach.clamp(min=1e-2) / (4 * STRIDE))
    logits = torch.logit(heat.clamp(1e-4, 1 - 1e-4))
    kinds = 20.0 * torch.nn.functional.one_hot(labels.gather(1, owner.flatten(1)).clamp(0), 3)
    output = torch.cat([logits[:, None], extent, kinds.reshape(2, 16, 16, 3).permute(0, 3, 1, 2)], 1)
    found = decode.detections(output, threshold=0.5)
    assert [sorted(label.tolist()) for _, _, label in found] == [[0, 1], [2]]
    by_label = {int(c): box for box, c in zip(found[0][0], found[0][2], strict=True)}
    torch.testing.assert_close(by_label[1], boxes[0, 0], atol=0.01, rtol=0)
    torch.testing.assert_close(by_label[0], boxes[0, 1], atol=0.01, rtol=0)
    torch.testing.assert_close(found[1][0][0], boxes[1, 0], atol=0.01, rtol=0)
    worse = output.clone()
    worse[:, 1:5] += 0.5
    assert losses.detection(output, boxes, labels) < losses.detection(worse, boxes, labels)
    wrong = output.clone()
    wrong[:, 5:] = wrong[:, 5:].roll(1, 1)
    assert losses.detection(output, boxes, labels) + 5 < losses.detection(wrong, boxes, labels)


def test_what_is_ignored_costs_nothing() -> None:
    boxes = torch.tensor([[[16.0, 16, 32, 32]]])
    output = torch.full((1, 7, 16, 16), -8.0)
    output[0, 0, 8, 8] = 4.0  # sure of an object
    false = losses.detection(output, boxes, torch.tensor([[-1]]))
    ignored = losses.detection(output, boxes, torch.tensor([[-2]]))
    assert float(false) > 3
    assert float(ignored) < 0.01


def test_suppression_is_the_textbook_one() -> None:
    generator = torch.Generator().manual_seed(0)
    low = torch.rand(60, 2, generator=generator) * 50
    boxes = torch.cat([low, low + 5 + torch.rand(60, 2, generator=generator) * 25], 1)
    scores, labels = torch.rand(60, generator=generator), torch.randint(2, (60,), generator=generator)
    kept: list[int] = []
    for k in scores.argsort(descending=True).tolist():

        def iou(j: int, k: int = k) -> float:
            w = float(min(boxes[j, 2], boxes[k, 2]) - max(boxes[j, 0], boxes[k, 0]))
            h = float(min(boxes[j, 3], boxes[k, 3]) - max(boxes[j, 1], boxes[k, 1]))
            shared = max(w, 0) * max(h, 0)
            areas = [float((boxes[n, 2] - boxes[n, 0]) * (boxes[n, 3] - boxes[n, 1])) for n in (j, k)]
            return shared / (sum(areas) - shared)

        if not any(labels[j] == labels[k] and iou(j) > 0.4 for j in kept):
            kept.append(k)
    assert decode.suppress(boxes, scores, labels, 0.4).tolist() == kept


def test_overlap_of_boxes_in_closed_form() -> None:
    a = torch.tensor([[0.0, 0, 2, 2], [0, 0, 1, 1]])
    b = torch.tensor([[1.0, 0, 3, 2], [2, 2, 3, 3]])
    torch.testing.assert_close(losses.giou(a, b), torch.tensor([1 / 3, 0 - 7 / 9]))


def test_angles_come_back_from_their_targets() -> None:
    angle = torch.linspace(-math.pi + 0.01, math.pi - 0.01, 50)
    bins = torch.arange(ANGLE_BINS) * (2 * math.pi / ANGLE_BINS)
    logits = losses.ANGLE_KAPPA * torch.cos(bins - angle[:, None])
    found, confidence = decode.angles(logits)
    torch.testing.assert_close(found, angle, atol=0.01, rtol=0)
    assert float(confidence.min()) > 0.9
    two = torch.zeros(1, ANGLE_BINS)
    two[0, 0], two[0, 36] = 8.0, 7.0  # one direction is likelier than its opposite: not their mean
    assert abs(float(decode.angles(two)[0])) < 0.05


def test_six_numbers_make_a_rotation() -> None:
    R = losses.from_six(torch.randn(20, 6, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(R.transpose(1, 2) @ R, torch.eye(3).expand(20, 3, 3), atol=1e-5, rtol=0)
    assert bool((torch.linalg.det(R) > 0.99).all())
    torch.testing.assert_close(losses.from_six(R[:, :, :2].transpose(1, 2).reshape(20, 6)), R, atol=1e-5, rtol=0)


def test_the_ray_to_a_box_is_the_axis_turned() -> None:
    K = np.array([[100.0, 0, 31.5], [0, 100, 23.5], [0, 0, 1]])
    R = looking_at(K, np.array([80.0, 40, 10, 20]))
    ray = R @ [0, 0, 1]
    np.testing.assert_allclose(K @ ray / ray[2], [84.5, 49.5, 1], atol=1e-9)
    np.testing.assert_allclose(looking_at(K, np.array([31.5, 23.5, 1, 1])), np.eye(3), atol=1e-12)


def test_classification_looks_at_what_it_is_told_to() -> None:
    source = squares(10, most=4)
    largest = Items(source, "classify", InputConfig(32, 32, crop="largest"))
    every = Items(source, "classify", InputConfig(32, 32, crop="objects"))
    assert len(largest) == 10
    assert len(every) == sum(len(source.objects(k)) for k in range(10))
    for items in (largest, every):
        for k in range(len(items)):
            item = items[k]
            color = np.array([(220, 40, 40), (40, 200, 40), (40, 60, 220)][int(item["label"])])
            assert np.abs(item["image"][16, 16].astype(int) - color).max() < 40


def test_items_need_what_their_task_learns() -> None:
    with pytest.raises(LearnError, match="no object of a known pose"):
        Items(squares(3), "pose", InputConfig(32, 32, crop="largest"))
    with pytest.raises(LearnError, match="needs masks"):
        Items(arrows(3), "segment", InputConfig(32, 32))[0]
    with pytest.raises(ValueError, match="different classes"):
        Joined([squares(2), arrows(2)])


def test_settings_are_filled_in_and_checked() -> None:
    assert resolve(TrainConfig(task="detect", input=InputConfig(width=256))).input.height == 256
    with pytest.raises(LearnError, match="multiples of 32"):
        resolve(TrainConfig(task="detect", input=InputConfig(height=100)))
    with pytest.raises(LearnError, match="flips"):
        resolve(TrainConfig(task="pose", augment=AugmentConfig(flip_x=True)))


def test_objects_without_extras_know_nothing_more() -> None:
    found = objects([(0, 0, 2, 3)], [1])
    assert np.isnan(found.visib).all()
    assert np.isnan(found.azimuth).all()
    assert not found.ignore.any()
    assert found.areas.tolist() == [6]

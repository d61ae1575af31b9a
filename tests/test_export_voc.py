"""Pascal VOC exports."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
from analytic_scenes import HEIGHT, WIDTH, write_dataset
from PIL import Image

from simgen.export import export
from simgen.shards.reader import Dataset


def test_annotations(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "d")
    export(data, tmp_path / "o", "voc", image_format="jpeg", split="train:0.7,val:0.3", workers=1)
    stems = [(tmp_path / f"o/ImageSets/Main/{split}.txt").read_text().split() for split in ("train", "val")]
    assert [len(some) for some in stems] == [14, 6]
    truncated = occluded = 0
    with Dataset(data) as frames:
        for frame in frames:
            stem = f"{frame.index:06d}"
            assert stem in stems[0] + stems[1]
            root = ElementTree.parse(tmp_path / f"o/Annotations/{stem}.xml").getroot()
            assert root.findtext("filename") == f"{stem}.jpg"
            assert cv2.imread(str(tmp_path / f"o/JPEGImages/{stem}.jpg")).shape == (HEIGHT, WIDTH, 3)
            assert [root.findtext(f"size/{key}") for key in ("width", "height", "depth")] == [
                str(WIDTH),
                str(HEIGHT),
                "3",
            ]
            rows = np.flatnonzero(frame.objects.px_visib > 0)
            items = root.findall("object")
            assert len(items) == len(rows)
            for item, k in zip(items, rows, strict=True):
                # torchvision and the devkit: pixel indices from 1, last ones included.
                box = [int(item.findtext(f"bndbox/{key}") or "") for key in ("xmin", "ymin", "xmax", "ymax")]
                ys, xs = np.nonzero(frame.images["instance"] == k + 1)
                assert box == [xs.min() + 1, ys.min() + 1, xs.max() + 1, ys.max() + 1]
                assert (
                    item.findtext("name")
                    == {1: "ball", 2: "brick", 5: "traffic sign"}[int(frame.objects.category_id[k])]
                )
                assert item.findtext("difficult") == "0"
                assert item.findtext("truncated") == str(int(frame.objects.truncated[k] >= 0.15))
                truncated += item.findtext("truncated") == "1"
                occluded += item.findtext("occluded") == "1"
    assert truncated > 0
    assert occluded > 10


def test_segmentation_images_say_class_and_object(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "d")
    made = export(data, tmp_path / "o", "voc", task="segment", workers=1)
    stems = (tmp_path / "o/ImageSets/Segmentation/train.txt").read_text().split()
    left_out = set()
    with Dataset(data) as frames:
        for frame in frames:
            root = ElementTree.parse(tmp_path / f"o/Annotations/{frame.index:06d}.xml").getroot()
            items = root.findall("object")
            assert root.findtext("segmented") == str(int(len(items) <= 254))
            if len(items) > 254:
                left_out.add(f"{frame.index:06d}")
                continue
            kinds, objects = (
                Image.open(tmp_path / f"o/Segmentation{kind}/{frame.index:06d}.png") for kind in ("Class", "Object")
            )
            assert kinds.mode == objects.mode == "P"
            assert kinds.getpalette()[3:9] == [128, 0, 0, 0, 128, 0]  # the devkit's first two colours
            pixels, numbers = np.asarray(kinds), np.asarray(objects)
            names = ["background", "ball", "brick", "traffic sign"]
            assert (numbers > 0).sum() == (frame.images["instance"] > 0).sum()
            for number, item in enumerate(items, start=1):
                own = numbers == number
                ys, xs = np.nonzero(own)
                box = [int(item.findtext(f"bndbox/{key}") or "") for key in ("xmin", "ymin", "xmax", "ymax")]
                assert box == [xs.min() + 1, ys.min() + 1, xs.max() + 1, ys.max() + 1]
                assert {names[k] for k in np.unique(pixels[own])} == {item.findtext("name")}
    assert left_out == set((tmp_path / "o/ImageSets/Main/train.txt").read_text().split()) - set(stems)
    assert any("more than 254 objects" in note for note in made.notes) == bool(left_out)

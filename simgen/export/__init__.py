"""Datasets in the formats of others: COCO, BOP, YOLO, KITTI, Pascal VOC, WebDataset."""

from simgen.export.run import FORMATS, Exported, export

__all__ = ["FORMATS", "Exported", "export"]

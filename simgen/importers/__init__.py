"""Data of others, real images above all, as a dataset that ``simgen.shards.reader`` reads: COCO and BOP folders."""

from simgen.importers.bop import import_bop
from simgen.importers.coco import import_coco
from simgen.importers.dataset import Imported

__all__ = ["Imported", "import_bop", "import_coco"]

"""Real, labelled images in the formats that people have them in, as sources of samples."""

from simgen.evaluate.real.report import Report
from simgen.evaluate.real.source import FORMATS, RealSource, open_real

__all__ = ["FORMATS", "RealSource", "Report", "open_real"]

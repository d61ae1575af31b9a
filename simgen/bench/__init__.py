"""How fast simgen is on this machine: ``simgen bench``.

What is compared is measured in one run on the same work, taking turns, and medians are given: on a shared machine only
ratios within a run mean something.
"""

from simgen.bench.measure import PARTS, measure

__all__ = ["PARTS", "measure"]

"""A library of a few made-up assets, so that sampling is tested without any file."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import numpy as np

from simgen.assets.asset import Asset, Inertia

PANDA = """<robot name="panda">
<joint name="a" type="revolute"><limit lower="-1" upper="1"/></joint>
<joint name="b" type="revolute"><limit lower="-2" upper="0"/></joint>
<joint name="finger" type="prismatic"><limit lower="0" upper="0.04"/></joint>
<joint name="hand" type="fixed"/>
</robot>"""

EXTENTS = {
    "primitive/box": (1.0, 1.0, 1.0),
    "primitive/sphere": (1.0, 1.0, 1.0),
    "primitive/cone": (1.0, 1.0, 1.0),
    "primitive/tetrahedron": (1.0, 1.0, 1.0),
    "ycb/mug": (0.12, 0.09, 0.08),
    "ycb/banana": (0.19, 0.05, 0.04),
    "ycb/can": (0.07, 0.07, 0.10),
    "pybullet/objects/mug": (0.1, 0.1, 0.1),
    "pybullet/random_urdfs/000": (0.08, 0.05, 0.05),
    "pybullet/franka_panda/panda": (0.5, 0.5, 1.0),
}


class FakeLibrary:
    """Assets with boxes for bounds; ``only`` keeps the names that match one of its globs."""

    def __init__(self, only: Sequence[str] = ("*",), urdf=None):
        self.names = sorted(name for name in EXTENTS if any(fnmatchcase(name, glob) for glob in only))
        self.urdf = urdf

    def keypoints(self, name):
        return {}

    def assets(self, patterns):
        return self._match(self.names, patterns)

    def textures(self, patterns):
        return self._match([f"textures/wood/{k}.jpg" for k in range(5)], patterns)

    def environments(self, patterns):
        return self._match(["hdri/lab.hdr", "hdri/sunset.hdr"], patterns)

    def category(self, name):
        return name.rsplit("/", 1)[-1].rstrip("0123456789") or "object"

    def by_category(self, names):
        return {
            self.category(one): [name for name in names if self.category(name) == self.category(one)] for one in names
        }

    def asset(self, name):
        size = np.array(EXTENTS[name])
        bounds = np.stack([-0.5 * size, 0.5 * size]) + np.array([0.0, 0.0, 0.02 if "ycb" in name else 0.0])
        urdf = self.urdf if name.endswith("panda") else None
        return Asset(name, self.category(name), (), bounds, inertia=Inertia(0.3, (0, 0, 0), (1, 1, 1)), urdf=urdf)

    @staticmethod
    def _match(names, patterns):
        patterns = [patterns] if isinstance(patterns, str) else patterns
        return [name for name in names if any(fnmatchcase(name, glob) for glob in patterns)]

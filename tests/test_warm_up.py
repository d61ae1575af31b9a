"""What is compiled before workers start is all that they need."""

from __future__ import annotations

import subprocess
import sys

COUNT = """
import sys
import numba.core.dispatcher as dispatchers
from simgen import config
from simgen.config import load
from simgen.generate.scenes import SceneSource

plain = config.to_plain(load("shapes", ["image.width=64", "image.height=48", "passes=[rgb,depth,depth_sensor,normal]"]))
plain["scene"]["cameras"]["main"].update(
    views=1, distortion={"k1": -0.1}, depth_sensor={"preset": "realsense_d435"}, hfov_deg=60.0
)
plain["scene"]["cameras"]["side"] = {
    "distortion": {"model": "fisheye", "k1": 0.01}, "depth_sensor": {"preset": "azure_kinect_nfov"},
    "shutter": {"exposure_time": 0.02, "readout": 0.02}, "motion": {"angular_shake_deg": [0, 20, 0]},
    "aperture": {"f_number": 1.4, "samples": 2},
}
plain["scene"]["sensor"].update(bayer="rggb", native_scale=1.5, bloom=0.05, jpeg_quality=80, sharpen=0.5)
source = SceneSource(config.from_plain(plain))

def kernels():
    return {
        (name, key): list(value.signatures)
        for name, module in sorted(sys.modules.items()) if name.startswith("simgen")
        for key, value in vars(module).items() if isinstance(value, dispatchers.Dispatcher)
    }

tabletop = SceneSource(load("tabletop", ["image.width=64", "image.height=48"]))
source.warm_up()
tabletop.warm_up()
before = kernels()
record, simulation = source.scene(0)
assert len(list(source.frames(record, simulation, range(len(record.frames))))) == 2
for k in range(2):
    list(tabletop.frames(*tabletop.scene(k), range(2)))
after = kernels()
print([key for key in after if after[key] != before[key]], sum(map(len, after.values())))
"""


def test_all_kernels_are_compiled_beforehand() -> None:
    done = subprocess.run([sys.executable, "-c", COUNT], capture_output=True, text=True, check=True, timeout=300)
    later, _, count = done.stdout.strip().rpartition(" ")
    assert later == "[]"
    assert int(count) > 100

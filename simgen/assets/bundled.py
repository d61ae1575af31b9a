"""What needs no asset pack: primitives, the objects and robots that come with PyBullet, and computed environments."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

from simgen.assets import carton, dice, playing_cards, road_signs
from simgen.assets.index import Entry, Kind
from simgen.assets.primitives import PRIMITIVES
from simgen.assets.sidecar import Sidecar

SOFTBOXES = 16
"""Number of computed rooms, "softbox/00" and on."""

PARTS = 1000
"""Number of "pybullet/random_urdfs/000" and on: random shapes made for grasping, most of them 6 to 15 cm large."""

BROKEN_PARTS = frozenset(
    {
        *(110, 167, 168, 178, 217, 232, 292, 295, 297, 304, 321, 350, 357),
        *(433, 439, 454, 479, 497, 507, 524, 552, 556, 578, 580, 602, 668),
        *(703, 706, 781, 784, 815, 824, 840, 859, 897, 933),
    }
)
"""Those left out: empty shells of a few hundredths of a millimetre, loose fragments, vertices that are not numbers."""

OBJECTS: dict[str, tuple[str, Sidecar]] = {
    "block": ("block", Sidecar()),
    # the file says 25 g, heavier than stone
    "domino/domino": ("domino", Sidecar(mass=0.012)),
    "duck_vhacd": ("duck", Sidecar(up="y")),
    # a real one is 7.5 x 2.5 x 1.5 cm of wood
    "jenga/jenga": ("jenga", Sidecar(scale=0.5, mass=0.015)),
    # the file says 100 g
    "lego/lego": ("lego", Sidecar(mass=0.012)),
    # the file says 1 kg, and its collision mesh has no hollow
    "objects/mug": ("mug", Sidecar(mass=0.35, collision="visual")),
    # a metre wide and 10 kg in the file; the rules of football say 22 cm and 430 g
    "soccerball": ("ball", Sidecar(scale=0.22, mass=0.43)),
    "sphere_small": ("ball", Sidecar()),
    "table/table": ("table", Sidecar()),
    "table_square/table_square": ("table", Sidecar()),
    "teddy_vhacd": ("teddy", Sidecar(up="y")),
    "tray/tray": ("tray", Sidecar()),
    "tray/traybox": ("tray", Sidecar()),
    "franka_panda/panda": ("robot", Sidecar()),
    "kuka_iiwa/model": ("robot", Sidecar()),
}
"""URDFs of pybullet_data (without suffix) that look like real things: their category, and what is wrong in the file."""

TEXTURES = (
    "checker_blue.png",
    "checker_grid.jpg",
    "heightmaps/gimp_overlay_out.png",
    "heightmaps/wm_height_out.png",
    "roboschool/models_outdoor/stadium/stadium_grass.jpg",
    "table/table.png",
    "tray/tray.jpg",
)
"""Images of pybullet_data that can pass for a surface or a backdrop."""


def data_dir() -> Path | None:
    """The folder of pybullet_data, None when it is not installed."""
    spec = find_spec("pybullet_data")
    return Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None


def entries() -> list[Entry]:
    """The entries of everything bundled."""
    found = [Entry(f"primitive/{kind}", "asset", None, 0, kind) for kind in PRIMITIVES]
    found += [Entry(name, "asset", None, 0, "die") for name in dice.names()]
    found += [Entry(name, "asset", None, 0, "playing_card") for name in playing_cards.names()]
    found += [Entry(name, "asset", None, 0, "carton") for name in carton.NAMES]
    found += [Entry(name, "asset", None, 0, road_signs.kind(name)) for name in road_signs.names()]
    found += [Entry(f"softbox/{k:02d}", "environment", None, 0) for k in range(SOFTBOXES)]
    root = data_dir()
    if root is None:
        return found
    for name, (category, notes) in OBJECTS.items():
        found += _file(f"pybullet/{name}", "asset", root / f"{name}.urdf", category, notes)
    for k in sorted(set(range(PARTS)) - BROKEN_PARTS):
        path = root / "random_urdfs" / f"{k:03d}" / f"{k:03d}.urdf"
        found += _file(f"pybullet/random_urdfs/{k:03d}", "asset", path, "part", Sidecar())
    for name in TEXTURES:
        found += _file(f"pybullet/{name}", "texture", root / name, "", Sidecar())
    return found


def _file(name: str, kind: Kind, path: Path, category: str, notes: Sidecar) -> list[Entry]:
    """The entry of a file, none when this version of pybullet_data does not have it."""
    return [Entry(name, kind, path, path.stat().st_size, category, notes)] if path.is_file() else []


def softbox_seed(name: str) -> int:
    """The seed of the computed environment called ``name``."""
    return int(re.sub(r"\D", "", name))

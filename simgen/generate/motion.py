"""Passes about motion in space: scene flow, and where optical flow leads to what is still seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.generate.take import Take
from simgen.geometry import inverse
from simgen.labels.motion import flow_validity, leads_into_image, scene_flow
from simgen.render.base import Neighbour, Renderer, Snapshot

Images = dict[str, NDArray[Any]]

NEEDS: dict[str, tuple[str, ...]] = {
    f"{name}_{direction}{end}": ("part", "object_coords", *more)
    for direction in ("forward", "backward")
    for name, end, more in (("scene_flow", "", ()), ("flow", "_valid", (f"flow_{direction}", "depth")))
}
"""Each of the passes -> the rendered passes that it is made of."""


def motion_passes(renderer: Renderer, take: Take, passes: Sequence[str], images: Mapping[str, NDArray[Any]]) -> Images:
    """Those of ``passes`` that NEEDS lists, in the rendering of the labels of ``take``, of which ``images`` are.

    Where there is no neighbouring frame nothing moves and no flow is valid.
    """
    found: Images = {}
    for direction, step in (("forward", 1), ("backward", -1)):
        asked = {f"scene_flow_{direction}", f"flow_{direction}_valid"} & set(passes)
        if not asked:
            continue
        flow = f"flow_{direction}"
        moment = take.shoot(take.exposure.labels, (flow,))(0.0)
        other = take.beside(step)
        neighbour = moment.next if step > 0 else moment.previous
        shape = images["part"].shape
        moved, valid = np.zeros((*shape, 3), np.float32), np.zeros(shape, np.uint8)
        if other is not None and neighbour is not None:
            moved = scene_flow(images["part"], images["object_coords"], *_poses(moment, neighbour))
            if f"{flow}_valid" in asked:
                then = renderer.render([other.shoot(take.exposure.labels)(0.0)], ["depth"]).images["depth"][0]
                valid = flow_validity(images[flow], moved, images["depth"], then)
        found |= {name: image for name, image in ((f"scene_{flow}", moved), (f"{flow}_valid", valid)) if name in asked}
    return found


def keep_in_image(images: Images) -> None:
    """Take out of the validity masks among ``images`` what flow leads out of the image as the lens sees it."""
    for direction in ("forward", "backward"):
        name = f"flow_{direction}_valid"
        if name in images:
            images[name] = images[name] & leads_into_image(images[f"flow_{direction}"])


def _poses(moment: Snapshot, neighbour: Neighbour) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """``T_cam_obj`` (M, 4, 4) of the parts at both times."""
    now = np.stack([drawable.T_world_obj for drawable in moment.drawables])
    return inverse(moment.camera.T_world_cam) @ now, inverse(neighbour.T_world_cam) @ neighbour.T_world_obj

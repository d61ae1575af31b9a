"""Frames whose exposure takes time or goes through an aperture: their renderings, put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simgen.generate.take import FLOW, Take
from simgen.render.base import Renderer
from simgen.render.silhouette import Silhouette
from simgen.scene.record import CameraRecord
from simgen.sensors.camera import image_rows, lens_of, warped_silhouettes
from simgen.sensors.exposing import Rows, expose_colour, expose_labels, expose_silhouettes
from simgen.sensors.image_motion import top_speed
from simgen.sensors.remap import RemapCache
from simgen.sensors.rolling import knots, rolled_flow
from simgen.sensors.shutter import Bands, instants, label_bands

Images = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Composer:
    """Renders a ``take``, whose labels are read in ``bands`` and in which nothing is faster than ``speed`` px/s."""

    renderer: Renderer
    take: Take
    bands: Bands
    speed: float

    def render(self, camera: str, passes: Sequence[str]) -> Images:
        """``passes`` (h, w[, C]) by the camera of the exposure called ``camera``: labels, colour or measured."""
        exposure, passes = self.take.exposure, list(passes)
        if camera == "labels":
            by, of, finer = exposure.labels, exposure.camera, exposure.camera.label_scale
        elif camera == "colour":
            by, of, finer = exposure.colour, exposure.native, 1.0
        else:
            by, of, finer = exposure.measured, exposure.camera, 1.0
        rows = image_rows(exposure.camera, of, finer)
        aperture = self.take.frame.aperture
        whole = partial(rows, 0, 0, by.width, by.height)
        chosen = instants(self.take.shutter, whole, exposure.camera.height, self.speed)
        if len(chosen.times) == 1 and (aperture is None or aperture.diameter <= 0):
            moment = self.take.shoot(by, passes)(0.0)
            return {name: image[0] for name, image in self.renderer.render([moment], passes).images.items()}
        images = self._labels(by, [name for name in passes if name != "rgb"], rows)
        if "rgb" in passes:
            images["rgb"] = expose_colour(self.renderer, self.take.shoot(by), chosen, aperture)
        return images

    def _labels(self, camera: CameraRecord, passes: Sequence[str], rows: Rows) -> Images:
        if not passes:
            return {}
        images = expose_labels(self.renderer, self.take.shoot(camera, passes), passes, self.bands, rows)
        flow = [name for name in FLOW if name in passes]
        if flow and self.bands.count > 1:
            self._roll(images, camera, flow, rows)
        return images

    def silhouettes(self, lenses: RemapCache) -> list[Silhouette]:
        """The full silhouettes in the image."""
        camera = self.take.frame.camera
        rows = image_rows(camera, camera, camera.label_scale)
        distorts = lens_of(camera).distorts
        shoot = self.take.shoot(self.take.exposure.labels)
        found = expose_silhouettes(self.renderer, shoot, self.bands, rows, canvas=distorts)
        return warped_silhouettes(found, camera, lenses) if distorts else found

    def poses(self, bodies: Sequence[int]) -> NDArray[np.float64]:
        """``T_cam_obj`` (KNOTS, K, 4, 4) of ``bodies`` from the time of the first row to that of the last."""
        return self.take.poses(knots(self.take.shutter.readout).tolist(), bodies)

    def _roll(self, images: Images, camera: CameraRecord, flow: Sequence[str], rows: Rows) -> None:
        """Let flow end where the row that it ends in sees the point; so far it is at the time of the row it is from."""
        shutter = self.take.shutter
        step = shutter.readout / 8
        later = expose_labels(self.renderer, self.take.shoot(camera, flow, ahead=step), flow, self.bands, rows)
        row = np.broadcast_to(rows(0, 0, camera.width, camera.height), (camera.height, camera.width))
        for name in flow:
            readouts = (shutter.readout, self.take.readout_of(name))
            images[name] = rolled_flow(images[name], later[name], step, row, readouts, self.bands.height)


def composer(renderer: Renderer, take: Take) -> Composer:
    """How to render ``take``: finds out how fast things move in its image."""
    shutter, exposure = take.shutter, take.exposure
    speed = 0.0
    if shutter.span > 0:
        speed = top_speed(renderer, take.shoot(exposure.measured), shutter.span)
        speed *= exposure.camera.fx / exposure.measured.fx
    return Composer(renderer, take, label_bands(shutter, exposure.camera.height, speed), speed)

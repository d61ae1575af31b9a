"""What a shard looks like inside: names, dtypes, shapes, units. Any change of it raises ``SCHEMA``.

A shard is one HDF5 file of N frames, K objects in all and S scenes; stock ``h5py`` with ``hdf5plugin`` reads it::

    /frames/{index, scene, view}      (N,) int64, int64, int32    index counts over the dataset
    /frames/time                      (N,) float64                seconds on the clock of its scene
    /frames/group                     (N,) int32                  the placement in the scene; cameras of a rig share it
    /images/<pass>                    (N, H, W[, C])              one chunk a frame, see IMAGES
    /images/rgb                       (N,) bytes of a file each   when its attribute ``codec`` is png or jpeg
    /camera/{K, distortion, T_world_cam, name}                    (N, 3, 3), (N, 5), (N, 4, 4) float64, (N,) string
    /camera/distortion_model          (N,) string                 radial_tangential or fisheye
    /camera/exposure                  (N,) float64                seconds for which each row collects light
    /camera/readout                   (N,) float64                seconds from the middle of the first row's exposure to
                                      that of the last one's. Row y of H is seen readout * (y / (H - 1) - 1/2) seconds
                                      after /frames/time; T_world_cam, T_cam_obj and T_world_obj are at /frames/time
    /objects/offsets                  (N + 1,) int64              rows offsets[n]:offsets[n + 1] belong to frame n
    /objects/frame                    (K,) int64                  index of the frame over the dataset
    /objects/<field of ObjectTable>   (K, ...)                    see OBJECTS
    /masks/full, /masks/full_offsets  (bytes,) uint8, (K + 1,) int64
                                      COCO compressed RLE counts of size [H, W], end to end
    /keypoints/offsets                (N + 1,) int64              rows of frame n, as for objects; the group is there
    /keypoints/{object, name, xy, xyz, visibility}                when the scene has keypoints: see KeypointTable
    /traces/<name>/{scene, time, value}  (n,) int64, (n,) float64, (n, C) float64; attributes columns, units;
                                      those of the physics (simgen.physics.traces) and of the record's sensors
    /draws/<factor>/<name>            (N,), (N, L) or (N, L, M)   see simgen.shards.draws
    /draw_lengths/<factor>/<name>     (N,) int32                  where lists differ in length or draws are missing
    /records                          (S,) string                 SceneRecord as JSON
    /scenes/{index, settle_time, removed}  (S,) int64, float64 seconds, string (JSON: body name -> reason)

Root attributes: schema, simgen (version), config (JSON), seed, renderer, device, units.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SCHEMA = 1

UNITS = (
    "metres, seconds, radians; world right-handed, z up; camera x right, y down, z forward; T_a_b maps points in b to "
    "points in a; quaternions xyzw; pixel centres at integers; boxes xywh in whole pixels"
)

SNORM_SCALE = 32767
"""Unit vectors are stored as int16, component times this, rounded to even (as GPU formats' SNORM16)."""


@dataclass(frozen=True)
class Image:
    """How a pass is stored: ``dtype`` on disk, ``units``, and whether it is a unit vector in SNORM16.

    ``runs`` tells the compression that neighbouring pixels mostly are equal.
    """

    dtype: str
    units: str
    snorm: bool = False
    runs: bool = False


IMAGES: dict[str, Image] = {
    "rgb": Image("uint8", "sRGB"),
    "depth": Image("float32", "m, along the optical axis; 0: no surface"),
    "depth_sensor": Image("uint16", "mm, along the optical axis, as measured by the depth sensor; 0: nothing measured"),
    "instance": Image("uint16", "instance id; 0: background", runs=True),
    "semantic": Image("uint16", "category id; 0: background", runs=True),
    "normal": Image(
        "int16", "unit vector in the camera frame times the attribute scale; 0: no surface", snorm=True, runs=True
    ),
    "object_coords": Image("float32", "m, in the object's frame; 0: no surface"),
    "flow_forward": Image("float32", "px (dx, dy) to the next time; 0: not defined"),
    "flow_backward": Image("float32", "px (dx, dy) to the previous time; 0: not defined"),
    "flow_forward_valid": Image("uint8", "1: the point is in the image and not hidden at the next time"),
    "flow_backward_valid": Image("uint8", "1: the point is in the image and not hidden at the previous time"),
    "scene_flow_forward": Image("float32", "m, to the next time, from camera frame to camera frame; 0: not defined"),
    "scene_flow_backward": Image("float32", "m, to the previous time, likewise"),
    "part": Image("uint16", "part id; 0: no surface", runs=True),
}
"""The passes with a stored type of their own. Other passes are stored as they come, in the unit ``""``."""

OBJECTS: dict[str, str] = {
    "body": "index into the record's bodies",
    "instance_id": "value in the instance image",
    "category_id": "category of the manifest",
    "asset": "name in the asset library",
    "T_cam_obj": "m",
    "T_world_obj": "m",
    "size": "m",
    "bbox_visib": "px, xywh",
    "bbox_full": "px, xywh, may leave the image",
    "visib_fract": "px_visib / px_full",
    "truncated": "share of the full silhouette outside the image",
    "px_visib": "px",
    "px_full": "px",
    "center": "m",
}
"""Units of the columns of the object table."""


KEYPOINTS: dict[str, str] = {
    "object": "row of the object table of the frame",
    "xy": "px",
    "xyz": "m, in the camera frame",
    "visibility": "0 out of frame, 1 behind another surface, 2 behind its own object, 3 visible",
}
"""Units of the columns of the keypoints."""


def from_stored(name: str, stored: NDArray[Any]) -> NDArray[Any]:
    """What ``storing.to_stored`` was given; unit vectors come back as float32 whose length is 1 to within 5e-5."""
    layout = IMAGES.get(name)
    if layout is not None and layout.snorm:
        return stored.astype(np.float32) * np.float32(1 / SNORM_SCALE)
    return stored


def escape(name: str) -> str:
    """``name`` as one link name of HDF5, where ``/`` parts groups and ``.`` is the group itself."""
    name = name.replace("%", "%25").replace("/", "%2F")
    return name.replace(".", "%2E") if set(name) <= {"."} else name


def unescape(link: str) -> str:
    """The name that ``escape`` was given."""
    return link.replace("%2E", ".").replace("%2F", "/").replace("%25", "%")

"""Scenes for the Rerun viewer (https://rerun.io): bodies in 3-D, cameras with images and labels, traces, one timeline.

Entities::

    world/bodies/<name>[/<link>]/...     meshes, or boxes of labelled objects
    world/cameras/<name>-<view>/         pinhole, with rgb, depth, semantic, boxes and keypoints below
    world/sensors/<name>                 points of lidars
    world/contacts                       forces at contacts, a centimetre a newton
    traces/<signal>/<curve>              what simgen.view.signals makes of the traces

The timeline "time" has seconds: scenes one after the other, each with its own clock from where the one before ended.
"frame" has the index over the dataset.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from simgen.assets.asset import Material, Mesh
from simgen.config import from_plain
from simgen.errors import ConfigError, DatasetError
from simgen.geometry import transform
from simgen.labels.frame import Frame
from simgen.render.snapshot import ResolvedScene, resolve
from simgen.scene.record import BodyRecord, SceneRecord
from simgen.scene.state import SceneState, Trace
from simgen.shards.reader import Dataset
from simgen.view.preview import palette
from simgen.view.signals import Signal, column, signals

_GAP = 0.5
"""Seconds between scenes."""

_METRES_PER_NEWTON = 0.01
_JPEG_QUALITY = 90

_MOST_VIEWS = 4
"""Cameras that are shown at first; the viewer has all."""


def write(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    scenes: Sequence[int] = (0,),
    meshes: bool = True,
    assets: Sequence[str | Path] | None = None,
) -> Path:
    """Write ``scenes`` of the dataset at ``path`` to the .rrd file ``out``; scenes beyond the last are left out.

    With ``meshes`` the scenes are simulated again from their records, so that every body and link has its place and its
    mesh; ``assets`` replaces the asset paths of the configuration. Without, labelled objects are boxes. Textures that
    are not laid on by texture coordinates show their mean colour; lenses show as pinholes. Raises DatasetError when
    rerun-sdk is not installed, the dataset has no such scene or the file cannot be written, AssetError when an asset is
    not there.
    """
    rr = _package()
    file = Path(out)
    if file.suffix.lower() != ".rrd":
        raise DatasetError(f"{file} is no file that the Rerun viewer opens; give it the ending .rrd.")
    with Dataset(path) as data:
        count = -(-len(data) // data.manifest.frames_per_scene)
        chosen = [scene for scene in scenes if 0 <= scene < count]
        if not chosen:
            raise DatasetError(f"{path} has scenes 0 to {count - 1}, there is no scene {min(scenes)}.")
        source = _source(data, assets) if meshes else None
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("wb"):
                pass  # says what is wrong with the place
            stream = rr.RecordingStream("simgen", recording_id=f"{data.manifest.digest[:16]}-{data.path.name}")
            stream.save(file, default_blueprint=_blueprint(data, chosen))
            log = _Log(rr, stream)
            log.heading(data)
            for scene in chosen:
                log.scene(data, scene, source)
            stream.disconnect()
        except OSError as error:
            raise DatasetError(f"Cannot write {file}: {error.strerror or error}; give another --out.") from error
        finally:
            if source is not None:
                source.close()
    return file


@dataclass
class _Log:
    """What is logged so far: the next scene starts at ``offset`` seconds."""

    rr: ModuleType
    stream: Any
    offset: float = 0.0

    def heading(self, data: Dataset) -> None:
        rr, colors = self.rr, palette(max((c.id for c in data.categories), default=0) + 1)
        known: list[tuple[int, str, tuple[int, ...]]] = [(0, "background", (0, 0, 0, 0))]
        known += [(c.id, c.name, tuple(int(v) for v in colors[c.id])) for c in data.categories]
        self.stream.log("/", rr.AnnotationContext(known), static=True)
        self.stream.log("world", rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)

    def scene(self, data: Dataset, scene: int, source: Any) -> None:
        rr = self.rr
        record, traces = data.record(scene), data.scene_traces(scene)
        self.at(0.0)
        for path in ("world/bodies", "world/cameras", "world/contacts", "world/sensors", "traces"):
            self.stream.log(path, rr.Clear(recursive=True))
        if source is not None:
            simulation = source.simulate(record)
            self.bodies(record, simulation.states, resolve(record, source.library))
        first, end = scene * data.manifest.frames_per_scene, 0.0
        for index in range(first, min(first + len(record.frames), len(data))):
            frame = data[index]
            end = max(end, frame.time)
            self.frame(data, frame, boxes=source is None)
        for name, trace in traces.items():
            end = max(end, float(trace.time.max(initial=0.0)))
            if name == "contacts":
                self.contacts(trace)
            elif name == "bodies" and source is not None:
                self.moves(record, trace)
            elif {"scan", "range"} <= set(trace.columns):
                self.lidar(record, name, trace)
        for signal in signals(record, traces):
            for curve, (time, value) in signal.curves.items():
                path = f"traces/{_part(_title(signal))}/{_part(curve)}"
                times = rr.TimeColumn("time", duration=self.offset + time)
                self.stream.send_columns(path, [times], rr.Scalars.columns(scalars=value))
        self.offset += end + _GAP

    def at(self, time: float, frame: int | None = None) -> None:
        self.stream.reset_time()
        self.stream.set_time("time", duration=self.offset + time)
        if frame is not None:
            self.stream.set_time("frame", sequence=frame)

    def bodies(self, record: SceneRecord, states: Sequence[SceneState], scene: ResolvedScene) -> None:
        """Meshes of all bodies, and where they and their links are at the times of the frames."""
        self.at(min((state.time for state in states), default=0.0))
        for index, body in enumerate(record.bodies):
            asset, materials = scene.assets[index], scene.materials[index]
            links = asset.links if asset.articulated else {"": asset.meshes}
            for link, parts in links.items():
                for k, (mesh, material) in enumerate(zip(parts, materials[link], strict=True)):
                    self.stream.log(f"{_body_path(body, link)}/{k}", self.mesh(mesh, material, body))
        for state in states:
            self.at(state.time)
            for body, where in zip(record.bodies, state.bodies, strict=True):
                if where is None:
                    self.stream.log(_body_path(body), self.rr.Clear(recursive=True))
                    continue
                for link, T in (where.links or {"": where.T_world_obj}).items():
                    self.stream.log(_body_path(body, link), self.pose(T))

    def mesh(self, mesh: Mesh, material: Material, body: BodyRecord) -> Any:
        laid_on = body.material.texture is not None and body.material.projection == "box"
        texture = material.base_color_map.pixels[..., :3] if material.base_color_map is not None else None
        color = np.array(material.base_color[:3])
        if texture is not None and (laid_on or mesh.uv is None):
            color = color * (texture.reshape(-1, 3) / 255.0).mean(0) ** 2.2
            texture = None
        return self.rr.Mesh3D(
            vertex_positions=mesh.vertices * np.array(body.scale, np.float32),
            triangle_indices=mesh.faces,
            vertex_normals=mesh.normals,
            vertex_texcoords=mesh.uv if texture is not None else None,
            albedo_texture=texture,
            albedo_factor=[*_encoded(color), 255],
        )

    def moves(self, record: SceneRecord, trace: Trace) -> None:
        """Between the frames: poses of the bodies without links, at the rate of the trace."""
        rr, keys = self.rr, column(trace, "body")
        for index in np.unique(keys).astype(int).tolist():
            body = record.bodies[index]
            if body.role == "robot":
                continue
            rows = keys == index
            times = rr.TimeColumn("time", duration=self.offset + trace.time[rows])
            poses = rr.Transform3D.columns(
                translation=np.stack([column(trace, c)[rows] for c in ("x", "y", "z")], 1),
                quaternion=np.stack([column(trace, c)[rows] for c in ("qx", "qy", "qz", "qw")], 1),
            )
            self.stream.send_columns(_body_path(body), [times], poses)

    def frame(self, data: Dataset, frame: Frame, boxes: bool) -> None:
        """A camera with what it sees; with ``boxes`` the objects too."""
        rr, log, table = self.rr, self.stream.log, frame.objects
        self.at(frame.time, frame.index)
        path = f"world/cameras/{_part(frame.camera)}-{frame.view}"
        height, width = next(iter(frame.images.values())).shape[:2]
        log(path, self.pose(frame.T_world_cam))
        log(
            path,
            rr.Pinhole(
                image_from_camera=frame.K, width=width, height=height, camera_xyz=rr.ViewCoordinates.RDF,
                image_plane_distance=0.15,
            ),
        )  # fmt: skip
        if "rgb" in frame.images:
            bgr = cv2.cvtColor(frame.images["rgb"], cv2.COLOR_RGB2BGR)
            _, coded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
            log(f"{path}/rgb", rr.EncodedImage(contents=coded.tobytes(), media_type="image/jpeg"))
        if "depth" in frame.images:
            millimetres = np.clip(np.rint(frame.images["depth"] * 1000), 0, 65535).astype(np.uint16)
            log(f"{path}/depth", rr.DepthImage(millimetres, meter=1000.0))
        if "instance" in frame.images:
            semantic = np.concatenate([[0], table.category_id]).astype(np.uint16)[frame.images["instance"]]
            log(f"{path}/semantic", rr.SegmentationImage(semantic, opacity=0.4))
        seen = table.px_visib > 0
        flat = table.bbox_visib[seen].astype(np.float32)
        # Rerun counts from the corner of the first pixel, as whole-pixel boxes do.
        log(f"{path}/boxes", rr.Boxes2D(mins=flat[:, :2], sizes=flat[:, 2:], class_ids=table.category_id[seen]))
        if frame.keypoints is not None:
            shown = np.isfinite(frame.keypoints.xy).all(1) & (frame.keypoints.visibility > 0)
            names = [name for name, kept in zip(frame.keypoints.name, shown.tolist(), strict=True) if kept]
            log(f"{path}/keypoints", rr.Points2D(frame.keypoints.xy[shown] + 0.5, labels=names, radii=2.0))
        if boxes:
            for k, body in enumerate(table.body.tolist()):
                name = data.record(frame.scene).bodies[body].name
                center = np.zeros(3) if table.center is None else table.center[k]
                log(f"world/bodies/{_part(name)}", self.pose(table.T_world_obj[k]))
                log(
                    f"world/bodies/{_part(name)}/box",
                    rr.Boxes3D(centers=[center], sizes=[table.size[k]], class_ids=[int(table.category_id[k])]),
                )

    def contacts(self, trace: Trace) -> None:
        rr = self.rr
        places = np.stack([column(trace, c) for c in ("x", "y", "z")], 1)
        pushes = np.stack([column(trace, c) for c in ("nx", "ny", "nz")], 1) * column(trace, "force")[:, None]
        for time in np.unique(trace.time).tolist():
            rows = trace.time == time
            self.at(time)
            arrows = rr.Arrows3D(
                origins=places[rows], vectors=pushes[rows] * _METRES_PER_NEWTON, colors=(240, 160, 40), radii=0.001
            )
            self.stream.log("world/contacts", arrows)

    def lidar(self, record: SceneRecord, name: str, trace: Trace) -> None:
        """The points of each scan where the lidar is: in the world, or on its link if that has a place."""
        sensor = next((sensor for sensor in record.sensors if sensor.name == name), None)
        if sensor is None:
            return
        bodies = {body.name: body for body in record.bodies}
        below = "world/sensors" if sensor.body is None else _body_path(bodies[sensor.body], sensor.link or "")
        path = f"{below}/{_part(name)}"
        self.at(0.0)
        self.stream.log(path, self.pose(transform(sensor.pose.position, sensor.pose.quaternion_xyzw)))
        points = np.stack([column(trace, c) for c in ("x", "y", "z")], 1)
        scans, instance = column(trace, "scan"), column(trace, "instance").astype(int)
        colors = palette(int(instance.max(initial=0)) + 1)
        colors[0] = 150
        for scan in np.unique(scans):
            rows = scans == scan
            self.at(float(trace.time[rows].min()))
            self.stream.log(
                f"{path}/points", self.rr.Points3D(points[rows], colors=colors[instance[rows]], radii=0.004)
            )

    def pose(self, T: NDArray[np.float64]) -> Any:
        return self.rr.Transform3D(translation=T[:3, 3], mat3x3=T[:3, :3])


def _package() -> ModuleType:
    try:
        return importlib.import_module("rerun")
    except ImportError:
        raise DatasetError(
            "files for the Rerun viewer need the package rerun-sdk; install it with: pip install 'simgen[view]'."
        ) from None


def _blueprint(data: Dataset, scenes: Sequence[int]) -> Any:
    """3-D to the left; cameras and curves to the right."""
    blueprint = importlib.import_module("rerun.blueprint")
    records = [data.record(scene) for scene in scenes]
    cameras = list(dict.fromkeys(f"{_part(f.camera.name)}-{f.view}" for record in records for f in record.frames))
    flat = [
        blueprint.Spatial2DView(
            origin=f"/world/cameras/{name}",
            name=name,
            contents=[f"$origin/{layer}" for layer in ("rgb", "semantic", "boxes", "keypoints")],
        )
        for name in cameras[:_MOST_VIEWS]
    ]
    titles = {_title(signal): None for signal in signals(records[0], data.scene_traces(scenes[0]))}
    plots = [blueprint.TimeSeriesView(origin=f"/traces/{_part(title)}", name=title) for title in titles]
    right = [blueprint.Grid(*flat), *([blueprint.Tabs(*plots)] if plots else [])]
    # Depth images would be drawn as clouds over the surfaces that they are of.
    contents = ["$origin/**", *(f"- /world/cameras/{name}/depth" for name in cameras)]
    first = data[scenes[0] * data.manifest.frames_per_scene]
    target = first.objects.T_world_obj[:, :3, 3].mean(0) if len(first.objects.body) else np.zeros(3)
    away = np.array([1.0, -1.4, 0.9]) * max(0.5, 0.6 * float(np.linalg.norm(first.T_world_cam[:3, 3] - target)))
    space = blueprint.Spatial3DView(
        origin="/world",
        name="scene",
        contents=contents,
        eye_controls=blueprint.EyeControls3D(position=target + away, look_target=target, eye_up=(0, 0, 1)),
    )
    return blueprint.Blueprint(
        blueprint.Horizontal(space, blueprint.Vertical(*right), column_shares=[3, 2]), collapse_panels=True
    )


def _title(signal: Signal) -> str:
    return f"{signal.title}, {signal.unit}"


def _source(data: Dataset, assets: Sequence[str | Path] | None) -> Any:
    from simgen.generate.scenes import SceneSource

    try:
        config = from_plain(data.manifest.config)
    except ConfigError as error:
        raise DatasetError(
            f"{data.path} cannot be simulated again ({error}): use simgen {data.manifest.simgen}, or --boxes."
        ) from error
    if assets is not None:
        config.assets.path = [str(folder) for folder in assets]
    return SceneSource(config)


def _encoded(linear: NDArray[np.float64]) -> list[int]:
    """Linear colour as sRGB bytes, nearly."""
    return [round(255 * float(c)) for c in np.clip(linear, 0, 1) ** (1 / 2.2)]


def _body_path(body: BodyRecord, link: str = "") -> str:
    path = f"world/bodies/{_part(body.name)}"
    return f"{path}/{_part(link)}" if link else path


def _part(name: str) -> str:
    """``name`` as one part of an entity path, in which a backslash makes any character plain."""
    return "".join(c if c.isalnum() or c in "-_." else f"\\{c}" for c in name)

"""Scenes of spheres and boxes computed by ray casting in closed form, written to shards with the real writer.

Everything is derived here from the poses alone: depth, ids, silhouettes on the canvas of three times the image, boxes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simgen.geometry import inverse, look_at, quaternion_from_rotation, rotation_from_quaternion
from simgen.labels.frame import Frame, ObjectTable
from simgen.labels.rle import encode
from simgen.scene.record import (
    BodyRecord,
    CameraRecord,
    EnvironmentRecord,
    FrameRecord,
    Pose,
    SceneRecord,
    SensorRecord,
    WorldRecord,
)
from simgen.scene.state import SceneState, Simulation
from simgen.shards import manifest as manifests
from simgen.shards.manifest import Category, Manifest, ShardEntry
from simgen.shards.schema import SCHEMA
from simgen.shards.writer import Options, Origin, ShardWriter

WIDTH, HEIGHT = 96, 72
K = np.array([[90.0, 0, 47.5], [0, 90.0, 35.5], [0, 0, 1]])
CATEGORIES = [Category(1, "ball"), Category(2, "brick"), Category(5, "traffic sign")]
ASSETS = {"ball": "primitive/sphere", "brick": "primitive/box", "traffic sign": "primitive/box"}
VIEWS = 2
IMAGE = slice(HEIGHT, 2 * HEIGHT), slice(WIDTH, 2 * WIDTH)
"""The image in the canvas of three times its size."""


@dataclass(frozen=True)
class Thing:
    """A sphere (category "ball") of diameter size[0] or a box, in the world."""

    category: str
    size: tuple[float, float, float]
    position: tuple[float, float, float]
    quaternion_xyzw: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 1.0)

    @property
    def pose(self) -> np.ndarray:
        T = np.eye(4)
        T[:3, :3] = rotation_from_quaternion(self.quaternion_xyzw)
        T[:3, 3] = self.position
        return T


def rays() -> np.ndarray:
    """Directions (3 H, 3 W, 3) with z = 1 through the pixel centres of the canvas with the image in its middle."""
    u, v = np.arange(-WIDTH, 2 * WIDTH, dtype=float), np.arange(-HEIGHT, 2 * HEIGHT, dtype=float)
    x, y = np.meshgrid((u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1])
    return np.stack([x, y, np.ones_like(x)], axis=-1)


def hit(thing: Thing, T_cam_obj: np.ndarray) -> np.ndarray:
    """z-depth (3 H, 3 W) of the first surface point of ``thing`` in front of the camera, inf where there is none."""
    depth = np.full((3 * HEIGHT, 3 * WIDTH), np.inf)
    rows, columns = window(T_cam_obj[:3, 3], np.linalg.norm(thing.size) / 2)
    depth[rows, columns] = intersect(thing, T_cam_obj, rays()[rows, columns])
    return depth


def window(center: np.ndarray, radius: float) -> tuple[slice, slice]:
    """Rows and columns of the canvas that a ball in the camera frame can reach."""
    near, far = center[2] - radius, center[2] + radius
    if near <= 0.01:
        return slice(None), slice(None)
    found = []
    for axis, size in ((1, HEIGHT), (0, WIDTH)):
        ends = [(center[axis] + s * radius) / z * K[axis, axis] + K[axis, 2] for s in (-1, 1) for z in (near, far)]
        found.append(slice(*np.clip([int(min(ends)) - 2 + size, int(max(ends)) + 3 + size], 0, 3 * size)))
    return found[0], found[1]


def intersect(thing: Thing, T_cam_obj: np.ndarray, directions: np.ndarray) -> np.ndarray:
    T_obj_cam = inverse(T_cam_obj)
    origin, d = T_obj_cam[:3, 3], directions @ T_obj_cam[:3, :3].T
    if thing.category == "ball":
        a, b = (d * d).sum(-1), d @ origin
        c = origin @ origin - (thing.size[0] / 2) ** 2
        disc = b * b - a * c
        t = np.where(disc >= 0, (-b - np.sqrt(np.maximum(disc, 0))) / a, np.inf)
    else:
        with np.errstate(divide="ignore", invalid="ignore"):
            half = np.asarray(thing.size) / 2
            t0, t1 = (-half - origin) / d, (half - origin) / d
        near, far = np.minimum(t0, t1).max(axis=-1), np.maximum(t0, t1).min(axis=-1)
        t = np.where(near <= far, near, np.inf)
    return np.where(t > 0.01, t, np.inf)


def box_around(mask: np.ndarray, offset: tuple[int, int] = (0, 0)) -> tuple[int, int, int, int]:
    ys, xs = np.nonzero(mask)
    if len(ys) == 0:
        return 0, 0, 0, 0
    return xs.min() + offset[0], ys.min() + offset[1], xs.max() - xs.min() + 1, ys.max() - ys.min() + 1


def make_frame(things: list[Thing], T_world_cam: np.ndarray, index: int, scene: int, view: int) -> Frame:
    directions = rays()[IMAGE]
    T_cam_world = inverse(T_world_cam)
    hits = [hit(thing, T_cam_world @ thing.pose) for thing in things]
    floor = -T_world_cam[2, 3] / np.minimum(directions @ T_world_cam[2, :3], -1e-9)
    floor = np.where(directions @ T_world_cam[2, :3] < -1e-6, floor, np.inf)
    depths = np.stack([floor, *(found[IMAGE] for found in hits)])
    ids = depths.argmin(axis=0)
    depth = depths.min(axis=0)
    instance = np.where(np.isinf(depth), 0, ids).astype(np.uint16)
    by_name = {category.name: category.id for category in CATEGORIES}
    category_id = np.array([by_name[thing.category] for thing in things], np.uint16)
    silhouettes = [np.isfinite(found) for found in hits]
    inside = [s[IMAGE] for s in silhouettes]
    k = len(things)
    px_full = np.array([s.sum() for s in silhouettes], np.int32).reshape(k)
    px_inside = np.array([s.sum() for s in inside], np.int32).reshape(k)
    px_visib = np.array([(instance == i + 1).sum() for i in range(k)], np.int32).reshape(k)
    safe = np.maximum(px_full, 1)
    T_world_obj = np.array([thing.pose for thing in things]).reshape(k, 4, 4)
    hue = (np.stack([ids * 67, ids * 131, 40 + ids * 29], axis=-1) % 256).astype(np.uint8)
    return Frame(
        index=index,
        scene=scene,
        view=view,
        time=0.5 * view,
        camera="main",
        images={
            "rgb": hue,
            "depth": np.where(np.isinf(depth), 0, depth).astype(np.float32),
            "instance": instance,
            "semantic": np.concatenate([[0], category_id]).astype(np.uint16)[instance],
        },
        K=K.copy(),
        distortion=np.zeros(5),
        T_world_cam=T_world_cam,
        objects=ObjectTable(
            body=np.arange(k, dtype=np.int32),
            instance_id=np.arange(1, k + 1, dtype=np.uint16),
            category_id=category_id,
            asset=tuple(ASSETS[thing.category] for thing in things),
            T_cam_obj=T_cam_world @ T_world_obj,
            T_world_obj=T_world_obj,
            size=np.array([thing.size for thing in things], np.float32).reshape(k, 3),
            bbox_visib=np.array([box_around(instance == i + 1) for i in range(k)], np.int32).reshape(k, 4),
            bbox_full=np.array([box_around(s, (-WIDTH, -HEIGHT)) for s in silhouettes], np.int32).reshape(k, 4),
            visib_fract=(px_visib / safe).astype(np.float32),
            truncated=((px_full - px_inside) / safe).astype(np.float32),
            px_visib=px_visib,
            px_full=px_full,
            mask_full=tuple(encode(s, 0, 0, HEIGHT, WIDTH) for s in inside),
        ),
        draws={"lighting": {"count": 1 + scene % 3, "kind": "sun"}, "poses": {"height": [0.1 * view, None]}},
    )


def make_record(things: list[Thing], cameras: list[np.ndarray], scene: int) -> SceneRecord:
    bodies = tuple(
        BodyRecord(
            f"thing{i}",
            ASSETS[thing.category],
            "object",
            "things",
            Pose(thing.position, thing.quaternion_xyzw),
            thing.category,
            scale=thing.size,
        )
        for i, thing in enumerate(things)
    )
    frames = []
    for view, T in enumerate(cameras):
        x, y, z = T[:3, 3].tolist()
        a, b, c, d = quaternion_from_rotation(T[:3, :3]).tolist()
        camera = CameraRecord("main", WIDTH, HEIGHT, 90.0, 90.0, 47.5, 35.5, Pose((x, y, z), (a, b, c, d)))
        frames.append(FrameRecord(view, 0.5 * view, camera, SensorRecord()))
    return SceneRecord(
        "analytic", 3, scene, WorldRecord(), bodies, (), EnvironmentRecord(color=(1, 1, 1)), tuple(frames)
    )


def random_things(rng: np.random.Generator, count: int) -> list[Thing]:
    """Things above the ground within 40 cm of the origin."""
    found = []
    for _ in range(count):
        q = rng.normal(size=4)
        x, y, z, w = (q / np.linalg.norm(q)).tolist()
        size = tuple(rng.choice([0.06, 0.08, 0.1, 0.14], 3).tolist())
        category = ("ball", "brick", "traffic sign")[int(rng.integers(3))]
        size = (size[0],) * 3 if category == "ball" else size
        px, py = rng.uniform(-0.4, 0.4, 2).tolist()
        found.append(Thing(category, size, (px, py, float(rng.uniform(0.08, 0.3))), (x, y, z, w)))
    return found


def scenes() -> list[list[Thing]]:
    """Ordinary scenes, then: nothing at all; nothing visible; cut by the border; one-pixel masks; 300 objects."""
    rng = np.random.default_rng(11)
    ordinary = [random_things(rng, 5) for _ in range(5)]
    behind = [Thing("brick", (0.5, 0.5, 0.5), (0, 0, 0.3)), Thing("ball", (0.05,) * 3, (0, 0, 0.3))]
    cut = [Thing("ball", (0.3,) * 3, (-0.75, 0.0, 0.15)), Thing("brick", (0.3, 0.2, 0.2), (0.75, 0.0, 0.1))]
    # A ball of a third of a pixel, on the ray of pixel (40, 30) of the first camera.
    T = cameras()[0]
    x, y, z = (T[:3, :3] @ (rays()[IMAGE][30, 40] * 0.9) + T[:3, 3]).tolist()
    speck = [Thing("ball", (0.004,) * 3, (x, y, z)), Thing("ball", (0.0001,) * 3, (0.2, 0.1, 0.1))]
    return [*ordinary, [], behind, cut, speck, random_things(rng, 300)]


def cameras() -> list[np.ndarray]:
    return [look_at((0.1, -1.2, 0.8), (0.0, 0.0, 0.1)), look_at((-0.8, -0.7, 0.5), (0.0, 0.0, 0.15), roll=0.2)]


def write_dataset(folder: Path, passes: tuple[str, ...] = ("rgb", "depth", "instance", "semantic")) -> Path:
    """The dataset of ``scenes``, two views each, four scenes to a shard."""
    views, per_shard = cameras(), 4
    everything = scenes()
    origin = Origin("0.1.0", {"scene": "analytic"}, 3, "analytic", "cpu")
    (folder / "shards").mkdir(parents=True)
    entries = []
    for number, start in enumerate(range(0, len(everything), per_shard)):
        part = everything[start : start + per_shard]
        file = manifests.shard_file(number)
        with ShardWriter(folder / file, len(part) * VIEWS, origin, Options()) as writer:
            for scene, things in enumerate(part, start=start):
                record = make_record(things, views, scene)
                writer.add_scene(record, Simulation((SceneState(0.0, ()),), {}, {}, 0.1))
                for view, T in enumerate(views):
                    frame = make_frame(things, T, scene * VIEWS + view, scene, view)
                    for name in set(frame.images) - set(passes):
                        del frame.images[name]
                    writer.add(frame)
            written = writer.finish()
        entries.append(
            ShardEntry(number, file, start * VIEWS, len(part) * VIEWS, "complete", written.bytes, written.checksum)
        )
    manifests.save(
        folder,
        Manifest(
            SCHEMA, "0.1.0", {"scene": "analytic", "assets": {"path": []}}, "d1", "", 3, "analytic", "cpu",
            list(passes), CATEGORIES, len(everything) * VIEWS, VIEWS, per_shard * VIEWS, entries,
        ),
    )  # fmt: skip
    return folder

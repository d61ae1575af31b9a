"""Bodies with joints, loaded by PyBullet from their URDF."""

from __future__ import annotations

from math import sqrt
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from simgen.assets.asset import Asset
from simgen.errors import PhysicsError
from simgen.geometry import inverse, transform
from simgen.physics.bodies import Body, Joint, place
from simgen.physics.client import Noise, bullet
from simgen.scene.record import BodyRecord


def add_articulated(client: int, index: int, record: BodyRecord, asset: Asset, path: Path, noise: Noise) -> Body:
    """Load an asset that has joints from the URDF at ``path``; masses and inertias are those of the file.

    Robots, fixed and ghost bodies stand with their base where the record says; a ghost touches nothing. ``noise`` is
    what PyBullet prints. Raises PhysicsError when the file is no URDF, and when ``scale`` differs between the axes.
    """
    if len(set(record.scale)) != 1:
        raise PhysicsError(f"{record.name} (asset {record.asset}) has joints and can only be scaled by one number")
    tree = _parse(record, path)
    moving = record.motion == "dynamic" and record.role != "robot"
    try:
        uid = bullet.loadURDF(
            str(path),
            useFixedBase=not moving,
            globalScaling=record.scale[0],
            flags=bullet.URDF_USE_INERTIA_FROM_FILE | bullet.URDF_IGNORE_VISUAL_SHAPES,
            physicsClientId=client,
        )
    except bullet.error as error:
        raise PhysicsError(f"PyBullet cannot load {path} for {record.name}{noise.last}") from error
    T_world_obj = transform(record.pose.position, record.pose.quaternion_xyzw)
    info = bullet.getDynamicsInfo(uid, -1, physicsClientId=client)
    T_obj_inertial = transform(info[3], info[4])
    place(client, uid, T_world_obj @ T_obj_inertial)
    links = [bullet.getBodyInfo(uid, physicsClientId=client)[0].decode()]
    joints = []
    weightless = {link.get("name") for link in tree.iter("link") if link.find("inertial") is None}
    for k in range(bullet.getNumJoints(uid, physicsClientId=client)):
        joint = bullet.getJointInfo(uid, k, physicsClientId=client)
        name, kind, link = joint[1].decode(), joint[2], joint[12].decode()
        links.append(link)
        if kind in (bullet.JOINT_REVOLUTE, bullet.JOINT_PRISMATIC):
            joints.append(Joint(name, k, joint[8], joint[9], joint[10]))
        if kind == bullet.JOINT_FIXED and link in weightless:
            # PyBullet gives 1 kg to links without inertia, such as the frames of tools and cameras. What moves needs
            # some mass, and PyBullet's is as good as any; what is fixed does not.
            bullet.changeDynamics(uid, k, mass=1e-6, localInertiaDiagonal=[1e-9] * 3, physicsClientId=client)
    surface = {
        "lateralFriction": sqrt(max(record.friction, 0.0)),
        "restitution": sqrt(max(record.restitution, 0.0)),
    }
    for k in range(-1, len(links) - 1):
        bullet.changeDynamics(uid, k, **surface, physicsClientId=client)
        if record.motion == "ghost":
            bullet.setCollisionFilterGroupMask(uid, k, 0, 0, physicsClientId=client)
    corners = np.asarray(asset.bounds, np.float64) * record.scale[0]
    radius = float(np.linalg.norm(np.abs(corners).max(axis=0)))
    return Body(
        index, record.name, uid, moving, T_world_obj, inverse(T_obj_inertial), radius, tuple(links), tuple(joints)
    )


def _parse(record: BodyRecord, path: Path) -> ElementTree.Element:
    """The URDF's XML, checked to be one tree of links: PyBullet crashes on several roots and on none.

    Raises PhysicsError, naming what is wrong.
    """

    def broken(what: str) -> PhysicsError:
        return PhysicsError(f"{path} of {record.name} (asset {record.asset}) is no usable URDF: {what}")

    try:
        tree = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise broken(str(error)) from error
    links = [link.get("name") for link in tree.iter("link")]
    joints = [joint for joint in tree.iter("joint") if joint.find("parent") is not None]
    ends = [(joint.get("name"), *(_link(joint, end) for end in ("parent", "child"))) for joint in joints]
    if len(set(links)) != len(links):
        raise broken("two links have the same name")
    for name, parent, child in ends:
        for link in (parent, child):
            if link not in links:
                raise broken(f"joint {name} names a link {link}, which is not there")
    children = [child for _, _, child in ends]
    roots = [link for link in links if link not in children]
    if len(roots) != 1 or len(set(children)) != len(children):
        raise broken(f"its {len(links)} links and {len(joints)} joints are not one tree")
    return tree


def _link(joint: ElementTree.Element, end: str) -> str | None:
    element = joint.find(end)
    return None if element is None else element.get("link")

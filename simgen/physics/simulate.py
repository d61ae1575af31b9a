"""simulate: a record in; the states at its capture times, its traces and what was removed out."""

from __future__ import annotations

from functools import partial
from math import isfinite
from pathlib import Path

import numpy as np

from simgen.assets.asset import Asset
from simgen.assets.collision import scaled_physics, scaled_shapes
from simgen.assets.library import Library
from simgen.errors import PhysicsError, near_match
from simgen.geometry import transform
from simgen.physics import motion, robot, traces
from simgen.physics.articulated import add_articulated
from simgen.physics.bodies import Body, Solids, add_rigid, read
from simgen.physics.client import Client, bullet, quiet
from simgen.physics.settle import TIGHT, lost, settle, take_out
from simgen.scene.containers import containers
from simgen.scene.record import BodyRecord, SceneRecord
from simgen.scene.state import BodyState, Motion, SceneState, Simulation, Trace

SOLVER_ITERATIONS = 50
APART = 0.01
"""Metres between the boxes around two bodies from which on they are not looked at, and share of a body's size between
two surfaces from which on they do not touch. Bullet's 2 cm are as much as the things themselves."""


def simulate(record: SceneRecord, library: Library, client: Client | None = None) -> Simulation:
    """Let the scene settle, then run it through its capture times.

    Time 0 is the moment at which the scene has settled, or the start when ``world.settle`` is False. A capture time
    that is no multiple of the timestep is taken at the nearest step; all steps around an exposure that takes time are
    in the track. Bodies that leave the world later on are missing from the states that follow. The result is the same
    to the last bit for equal records, whatever ran before. ``client`` is kept for the next scene; None opens one for
    this scene alone.

    Raises PhysicsError for a record that cannot be simulated, and AssetError when the library lacks an asset.
    """
    _check(record)
    kept = Client() if client is None else client
    try:
        with kept.world() as (number, folder):
            return _simulated(number, record, library, folder)
    finally:
        if client is None:
            kept.close()


def _simulated(client: int, record: SceneRecord, library: Library, folder: Path) -> Simulation:
    """As ``simulate``, in the empty world of the PyBullet client ``client``."""
    world = record.world
    bullet.setGravity(*world.gravity, physicsClientId=client)
    bullet.setPhysicsEngineParameter(
        fixedTimeStep=world.timestep,
        numSolverIterations=SOLVER_ITERATIONS,
        solverResidualThreshold=TIGHT,
        contactBreakingThreshold=APART,
        deterministicOverlappingPairs=1,
        physicsClientId=client,
    )
    bodies, scenery, removed = _build(client, record, library, folder)
    _check_mounts(record, bodies)
    motors = robot.install(client, record, bodies)
    robot.drive(client, motors, 0.0)
    rested, steps = True, 0
    if world.settle:
        settled = settle(client, bodies, world, partial(_astray, client, record))
        bodies, rested, steps = settled.bodies, settled.rested, settled.steps
        removed |= settled.removed
    states, track, taken, moved = _run(client, record, bodies, motors, scenery, removed, started=steps > 0)
    return Simulation(states, taken, removed, steps * world.timestep, rested, moved, track)


def explain(simulation: Simulation, record: SceneRecord) -> str:
    """One sentence on what was taken out of a scene, why, and what to change; "" when nothing was."""
    if not simulation.removed:
        return ""
    named = ", ".join(f"{name} ({reason})" for name, reason in simulation.removed.items())
    reasons = " ".join(simulation.removed.values())
    world = record.world
    advice = []
    if "did not settle" in reasons:
        advice.append(
            f"raise settle_time ({world.settle_time:g} s), rest_speed ({world.rest_speed:g} m/s) or the friction"
        )
    if "stuck" in reasons or "exploded" in reasons:
        advice.append(
            f"place fewer objects or place them farther apart, or shorten the timestep ({world.timestep:.4g} s)"
        )
    if "fell off" in reasons:
        bounds = " x ".join(f"{limit:g}" for limit in world.bounds)
        advice.append(f"drop fewer objects, or over a smaller region, or widen the bounds ({bounds} m)")
    if "outside of" in reasons:
        advice.append("drop fewer objects, or over a smaller region")
    if "not finite" in reasons and not advice:
        advice.append("correct the pose")
    return (
        f"{len(simulation.removed)} of {len(record.bodies)} bodies of scene {record.scene} ({record.definition}) were "
        f"removed: {named}; {', and '.join(advice)}."
    )


def _astray(client: int, record: SceneRecord, bodies: list[Body]) -> dict[int, str]:
    """PyBullet ids of bodies that lie outside of the container that they belong in -> the reason to take them out."""
    walls = containers(record) if any(body.container for body in record.bodies) else {}
    found = {}
    for body in bodies:
        name = record.bodies[body.index].container
        if body.moving and name in walls:
            position, _ = bullet.getBasePositionAndOrientation(body.uid, physicsClientId=client)
            if not walls[name].over(position):
                found[body.uid] = f"came to rest outside of the {name}"
    return found


def _check(record: SceneRecord) -> None:
    """Raise PhysicsError for numbers with which nothing can be simulated."""
    world = record.world
    if not (np.isfinite(world.timestep) and world.timestep > 0):
        raise PhysicsError(f"the timestep must be a positive number of seconds, not {world.timestep}")
    if not (np.isfinite(world.settle_time) and world.settle_time >= 0 and np.isfinite(world.gravity).all()):
        raise PhysicsError("settle_time must be a number of seconds from 0 up and gravity three finite numbers")
    if record.traces and not (np.isfinite(world.trace_rate) and world.trace_rate > 0):
        raise PhysicsError(f"trace_rate must be a positive number of hertz, not {world.trace_rate}")
    for frame in record.frames:
        if not (np.isfinite(frame.time) and frame.time >= 0):
            raise PhysicsError(
                f"a frame is to be taken at {frame.time} s; times count from 0, when the scene has settled"
            )
    names = [body.name for body in record.bodies]
    for name in names:
        if names.count(name) > 1:
            raise PhysicsError(f"two bodies of the scene are called {name!r}; names must differ")


def _check_mounts(record: SceneRecord, bodies: list[Body]) -> None:
    """Raise PhysicsError when a camera sits on a body or link that is not there."""
    links = {body.name: body.links for body in bodies}
    names = [body.name for body in record.bodies]
    for _, camera in traces.distinct_cameras(record):
        if camera.body is not None and camera.body not in names:
            known = near_match(camera.body, names)
            raise PhysicsError(f"camera {camera.name} sits on {camera.body!r}, which is not in the scene{known}")
        if camera.body is not None and camera.link is not None:
            there = links.get(camera.body, ())
            if camera.link not in there:
                raise PhysicsError(
                    f"camera {camera.name} sits on link {camera.link!r} of {camera.body}, which has no such link"
                    f"{near_match(camera.link, there)}"
                )


def _build(
    client: int, record: SceneRecord, library: Library, folder: Path
) -> tuple[list[Body], dict[int, BodyState], dict[str, str]]:
    """Put all bodies in: those in PyBullet, the states of those that need no physics (by index), and those left out."""
    bodies: list[Body] = []
    scenery: dict[int, BodyState] = {}
    removed: dict[str, str] = {}
    there: dict[int, Asset] = {}
    for index, body in enumerate(record.bodies):
        if all(map(isfinite, (*body.pose.position, *body.pose.quaternion_xyzw))):
            there[index] = library.asset(body.asset)
        else:
            removed[body.name] = "its pose is not finite"
    with quiet() as noise:
        solids = Solids(folder, noise)
        for index, asset in there.items():
            body = record.bodies[index]
            made = _add(client, index, body, asset, solids)
            if made is None:
                T = transform(body.pose.position, body.pose.quaternion_xyzw)
                scenery[index] = BodyState(T, np.zeros(3), np.zeros(3))
            else:
                bodies.append(made)
    return bodies, scenery, removed


def _add(client: int, index: int, body: BodyRecord, asset: Asset, solids: Solids) -> Body | None:
    if asset.urdf is not None:
        return add_articulated(client, index, body, asset, asset.urdf, solids.noise)
    if body.motion == "ghost":
        return None
    if body.motion == "fixed" or not asset.collision:
        return add_rigid(client, index, body, scaled_shapes(asset.collision, body.scale), None, solids)
    shapes, inertia = scaled_physics(asset, body.scale, body.mass)
    return add_rigid(client, index, body, shapes, inertia, solids)


def _run(
    client: int,
    record: SceneRecord,
    bodies: list[Body],
    motors: list[robot.Motors],
    scenery: dict[int, BodyState],
    removed: dict[str, str],
    started: bool,
) -> tuple[tuple[SceneState, ...], tuple[SceneState, ...], dict[str, Trace], Motion | None]:
    """Step through the capture times: their states, the track, the traces and what sensors need.

    ``started`` says whether the scene has made a step before.
    """
    dt = record.world.timestep
    due: dict[int, list[float]] = {}
    for time in sorted({frame.time for frame in record.frames}):
        due.setdefault(_nearest_step(time, dt), []).append(time)
    last = max(due, default=0)
    rows = traces.start(record.traces)
    samples = _sample_steps(record, last) if rows else set()
    log = motion.start(client, record, bodies, last)
    scans = log.scans if log is not None else set()
    everyone = bodies
    states: list[SceneState] = []
    passed = _exposed_steps(record)
    track: list[SceneState] = []
    end = max(last, max(passed, default=0))
    for step in range(end + 1):
        if step in due or step in samples or step in scans:
            gone = lost(client, bodies, record.world)
            removed.update({body.name: gone[body.uid] for body in bodies if body.uid in gone})
            bodies = take_out(client, bodies, gone)
            now = scenery | {body.index: read(client, body, started) for body in bodies}
            states += [
                SceneState(time, tuple(now.get(k) for k in range(len(record.bodies)))) for time in due.get(step, ())
            ]
        if step in passed:
            now = scenery | {body.index: read(client, body, started) for body in bodies}
            track.append(SceneState(step * dt, tuple(now.get(k) for k in range(len(record.bodies)))))
        if log is not None and step <= last:
            motion.add(client, log, step * dt, bodies, started)
            if step in scans:
                motion.add_state(log, step * dt, now, len(record.bodies))
        if step in samples:
            traces.add_poses(rows, record, step * dt, now)
            traces.add_joints(client, rows, step * dt, bodies)
            if started:
                traces.add_contacts(client, rows, step * dt, bodies)
        if step < end or ((samples or log is not None) and not started):
            robot.drive(client, motors, (step + 1) * dt)
            bullet.stepSimulation(physicsClientId=client)
            if not started:
                traces.add_contacts(client, rows, 0.0, bodies)
                traces.correct_torques(client, rows, bodies)
                if log is not None:
                    motion.correct(client, log, bodies)
            started = True
    logged = None if log is None else motion.finish(log, everyone)
    return tuple(states), tuple(track), traces.finish(rows), logged


def _exposed_steps(record: SceneRecord) -> set[int]:
    """Steps from before the first light of each exposure that takes time to after its last."""
    dt = record.world.timestep
    steps: set[int] = set()
    for frame in record.frames:
        if frame.shutter is not None and frame.shutter.span > 0:
            half = frame.shutter.span / 2
            first, last = np.floor((frame.time - half) / dt), np.ceil((frame.time + half) / dt)
            steps.update(range(max(int(first), 0), max(int(last), 0) + 1))
    return steps


def _nearest_step(time: float, timestep: float) -> int:
    return int(np.floor(time / timestep + 0.5))


def _sample_steps(record: SceneRecord, last: int) -> set[int]:
    """Steps at which traces are sampled: at ``trace_rate`` from 0 to the last capture."""
    world = record.world
    count = int(np.floor(last * world.timestep * world.trace_rate + 1e-6)) + 1
    return {min(_nearest_step(k / world.trace_rate, world.timestep), last) for k in range(count)}

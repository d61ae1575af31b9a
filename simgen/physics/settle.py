"""Let a scene come to rest, and take out what does not.

Nobody sees how a scene settles, only what stays at rest. So it calms down first, in thick air, loosely solved, and
groups of bodies that lie still sleep meanwhile. From then on everything is awake and as it is later, until it rests.

The state of rest is looked at every few steps only: asking PyBullet costs about as much as a step. A scene is at rest
when it was so at every look over a span in which a falling body would have given itself away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, inf, isfinite, sqrt

from simgen.physics.bodies import ANGULAR_DAMPING, LINEAR_DAMPING, Body
from simgen.physics.client import bullet
from simgen.scene.record import WorldRecord

LOOK_EVERY = 8
"""Steps between looks."""
LOOKS_AT_REST = 4
"""At least so many looks in a row must find a scene at rest."""
CALM = 2.5
"""Times ``rest_speed``: when nothing is faster, a scene has calmed down."""
THICK_AIR = {"linearDamping": 0.99, "angularDamping": 0.999}
"""Share of its motion that a body loses in a second while a scene calms down. What is out of balance still topples: its
motion grows faster than it is damped, and the air is thin again before a scene counts as at rest."""
AIR = {"linearDamping": LINEAR_DAMPING, "angularDamping": ANGULAR_DAMPING}
"""The same from then on."""
LOOSE, TIGHT = 1e-3, 1e-7
"""Squared velocity errors (m/s)^2 at which Bullet's solver ends its iterations, while a scene calms down and else."""
DEEP = 0.003
"""Metres by which two bodies may overlap; settled contacts overlap by hundredths of a millimetre."""
ROUNDS = 6
"""How often a scene is settled again after something was taken out of it."""


@dataclass(frozen=True, eq=False)
class Settled:
    """``bodies`` that stayed, what was ``removed`` and why, whether all came to rest, and the ``steps`` it took."""

    bodies: list[Body]
    removed: dict[str, str]
    rested: bool
    steps: int


def settle(
    client: int,
    bodies: list[Body],
    world: WorldRecord,
    astray: Callable[[list[Body]], dict[int, str]] = lambda bodies: {},
) -> Settled:
    """Step until every moving body rests, for at most ``world.settle_time`` seconds a round.

    Taken out are bodies that left the world, moved absurdly fast or have no finite pose, bodies deep inside another
    one, bodies that do not come to rest, and, once everything rests, those that ``astray`` gives reasons for by their
    PyBullet ids. Others may have leaned on them, so those that stay settle again; what still moves after the last round
    goes as well. Resting bodies are put to sleep: they stay where they are, to the last bit, until something touches
    them.
    """
    removed: dict[str, str] = {}
    rested = True
    steps = 0
    for round_ in range(ROUNDS):
        taken, bodies, fell = _until_rest(client, bodies, world)
        steps += taken
        removed |= fell
        out = {body.uid: "stuck inside another body" for body in _deep(client, bodies)}
        if not out:
            absurd = absurd_speed(world)
            speeds = {body.uid: watched(client, body, world, absurd)[1] for body in bodies if body.moving}
            out = {uid: f"did not settle: {s:.2g} m/s" for uid, s in speeds.items() if s >= world.rest_speed}
            rested = rested and not out
        out = out or astray(bodies)
        if not out:
            break
        removed |= {body.name: out[body.uid] for body in bodies if body.uid in out}
        bodies = take_out(client, bodies, out)
        if round_ == ROUNDS - 1:
            rested = False
    for body in bodies:
        if body.moving:
            sleep(client, body, world.rest_speed)
    return Settled(bodies, removed, rested, steps)


def sleep(client: int, body: Body, speed: float) -> None:
    """Put a resting body to sleep; once woken it may fall asleep again when slower than ``speed`` (m/s and rad/s)."""
    bullet.resetBaseVelocity(body.uid, [0.0] * 3, [0.0] * 3, physicsClientId=client)
    _doze(client, body, speed)


def _doze(client: int, body: Body, speed: float) -> None:
    """As ``sleep``; a body that is woken in the next step goes on as it moved."""
    bullet.changeDynamics(
        body.uid,
        -1,
        activationState=bullet.ACTIVATION_STATE_ENABLE_SLEEPING | bullet.ACTIVATION_STATE_SLEEP,
        sleepThreshold=speed * speed,
        physicsClientId=client,
    )


def watched(client: int, body: Body, world: WorldRecord, absurd: float) -> tuple[str | None, float]:
    """Why a moving body is no longer part of the scene, None when it is, and how fast it moves.

    The speed is an upper bound for any of its points, in m/s: that of its centre plus rotation times radius. ``absurd``
    is ``absurd_speed(world)``.
    """
    (x, y, z), quaternion = bullet.getBasePositionAndOrientation(body.uid, physicsClientId=client)
    (vx, vy, vz), (wx, wy, wz) = bullet.getBaseVelocity(body.uid, physicsClientId=client)
    # A sum is finite only where all of its terms are.
    if not isfinite(x + y + z + sum(quaternion) + vx + vy + vz + wx + wy + wz):
        return "exploded: its pose is not finite", inf
    speed = sqrt(vx * vx + vy * vy + vz * vz)
    reach, width, depth = world.bounds
    reason = None
    if speed > absurd:
        reason = f"exploded: {speed:.3g} m/s"
    elif abs(x) > reach or abs(y) > width or z < -depth:
        reason = f"fell off the world: {speed:.2g} m/s"
    return reason, speed + sqrt(wx * wx + wy * wy + wz * wz) * body.radius


def lost(client: int, bodies: list[Body], world: WorldRecord) -> dict[int, str]:
    """PyBullet ids of the moving bodies that are no longer part of the scene, and why."""
    absurd = absurd_speed(world)
    reasons = {body.uid: watched(client, body, world, absurd)[0] for body in bodies if body.moving}
    return {uid: why for uid, why in reasons.items() if why is not None}


def absurd_speed(world: WorldRecord) -> float:
    """Speed in m/s that no fall in this world explains: twice that of a fall through its whole size, and 10 more."""
    gravity = sqrt(sum(g * g for g in world.gravity))
    return 10.0 + 2.0 * sqrt(2.0 * gravity * 2.0 * max(world.bounds))


def _until_rest(client: int, bodies: list[Body], world: WorldRecord) -> tuple[int, list[Body], dict[str, str]]:
    """Step to rest or to the end of the settling time: (steps, bodies that stayed, removed)."""
    limit = ceil(world.settle_time / world.timestep - 1e-9)
    rigid = [body for body in bodies if body.moving and not body.links]
    for body in rigid:
        bullet.changeDynamics(body.uid, -1, **THICK_AIR, physicsClientId=client)
    bullet.setPhysicsEngineParameter(solverResidualThreshold=LOOSE, physicsClientId=client)
    steps, bodies, removed = _until_slow(client, bodies, world, limit, CALM * world.rest_speed, 1, drowsy=True)
    bullet.setPhysicsEngineParameter(solverResidualThreshold=TIGHT, physicsClientId=client)
    awake = bullet.ACTIVATION_STATE_DISABLE_SLEEPING
    for body in rigid:
        if body.name not in removed:
            bullet.changeDynamics(body.uid, -1, **AIR, activationState=awake, physicsClientId=client)
    looks = _looks_needed(world)
    more, bodies, others = _until_slow(client, bodies, world, limit - steps, world.rest_speed, looks)
    return steps + more, bodies, removed | others


def _until_slow(
    client: int,
    bodies: list[Body],
    world: WorldRecord,
    limit: int,
    slow: float,
    looks: int,
    drowsy: bool = False,
) -> tuple[int, list[Body], dict[str, str]]:
    """Step until nothing is faster than ``slow`` (m/s) at ``looks`` looks in a row, at most ``limit`` steps.

    Returns as ``_until_rest``. ``drowsy``: bodies that have been at rest for a while are sent to sleep. They do so when
    nothing that they may touch is awake; else Bullet wakes them in the next step.
    """
    absurd = absurd_speed(world)
    removed: dict[str, str] = {}
    resting = dict.fromkeys((body.uid for body in bodies), 0)
    calm = steps = 0
    while steps < limit and calm < looks and any(body.moving for body in bodies):
        stretch = min(LOOK_EVERY, limit - steps)
        for _ in range(stretch):
            bullet.stepSimulation(physicsClientId=client)
        steps += stretch
        reasons = {}
        fastest = 0.0
        for body in bodies:
            if body.moving:
                reason, speed = watched(client, body, world, absurd)
                if reason is None:
                    fastest = max(fastest, speed)
                else:
                    reasons[body.uid] = reason
                resting[body.uid] = resting[body.uid] + 1 if speed < world.rest_speed else 0
                # Those that sleep have no speed at all. Of bodies with joints this sees the base alone.
                if drowsy and resting[body.uid] >= LOOKS_AT_REST and speed > 0 and not body.links:
                    _doze(client, body, world.rest_speed)
        if reasons:
            removed |= {body.name: reasons[body.uid] for body in bodies if body.uid in reasons}
            bodies = take_out(client, bodies, reasons)
        calm = calm + 1 if fastest < slow and not reasons else 0
    return steps, bodies, removed


def _looks_needed(world: WorldRecord) -> int:
    """Looks that must find everything at rest: in that time a falling body gets twice as fast as ``rest_speed``."""
    gravity = sqrt(sum(g * g for g in world.gravity))
    if gravity == 0:
        return LOOKS_AT_REST
    return max(LOOKS_AT_REST, ceil(2 * world.rest_speed / gravity / (LOOK_EVERY * world.timestep)))


def _deep(client: int, bodies: list[Body]) -> list[Body]:
    """The fewest moving bodies, near enough, without which no two bodies overlap deeply: the worst one goes first."""
    moving = {body.uid: body for body in bodies if body.moving}
    pairs: dict[tuple[int, int], float] = {}
    for contact in bullet.getContactPoints(physicsClientId=client):
        a, b, depth = contact[1], contact[2], -contact[8]
        if depth > DEEP and a != b and (a in moving or b in moving):
            pairs[a, b] = max(pairs.get((a, b), 0.0), depth)
    worst = []
    while pairs:
        total = {uid: sum(d for pair, d in pairs.items() if uid in pair) for pair in pairs for uid in pair}
        uid = max((u for u in total if u in moving), key=lambda u: (total[u], moving[u].index))
        worst.append(moving[uid])
        pairs = {pair: depth for pair, depth in pairs.items() if uid not in pair}
    return worst


def take_out(client: int, bodies: list[Body], out: dict[int, str]) -> list[Body]:
    """Remove the bodies whose PyBullet ids are in ``out``; returns those that stay."""
    for uid in out:
        bullet.removeBody(uid, physicsClientId=client)
    return [body for body in bodies if body.uid not in out]

"""Traces as curves over time: what of a scene's traces people look at, and under which names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simgen.physics.traces import distinct_cameras
from simgen.scene.record import SceneRecord
from simgen.scene.state import Trace

Curve = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Times (n,) in seconds and values (n,)."""

MOST_CURVES = 8
"""Of one signal; of more, those that change most."""

_STILL = 1e-9


@dataclass(frozen=True, eq=False)
class Signal:
    """Curves of one quantity in one ``unit``, by the name of what they belong to."""

    title: str
    unit: str
    curves: dict[str, Curve]
    left_out: int = 0
    """Curves beyond MOST_CURVES."""


def signals(record: SceneRecord, traces: Mapping[str, Trace]) -> list[Signal]:
    """The signals of a scene's ``traces``, those of the same unit of a sensor together.

    Of bodies the speed, of contacts the number and the sum of forces, of joints the positions, of cameras that move the
    position, of lidars the number of returns; of any other trace all columns that are no index.
    """
    found: list[Signal] = []
    for name, trace in traces.items():
        if len(np.unique(trace.time)) < 2:
            continue
        if name == "bodies":
            found.append(_speeds(record, trace))
        elif name == "contacts":
            found += _contacts(trace)
        elif name == "joints":
            found += _joints(record, trace)
        elif name == "camera":
            found += _cameras(record, trace)
        elif {"scan", "range"} <= set(trace.columns):
            found.append(_returns(name, trace))
        else:
            found += _plain(name, trace)
    return [signal for signal in found if signal.curves]


def column(trace: Trace, name: str) -> NDArray[np.float64]:
    """One column of a trace (n,); NaN when it has none such."""
    return trace.value[:, trace.columns.index(name)] if name in trace.columns else np.full(len(trace.time), np.nan)


def _speeds(record: SceneRecord, trace: Trace) -> Signal:
    velocity = np.stack([column(trace, c) for c in ("vx", "vy", "vz")], -1)
    keyed = _split(trace, "body", np.linalg.norm(velocity, axis=1))
    curves = {_body(record, k): curve for k, curve in keyed.items() if np.nanmax(curve[1], initial=0) > 1e-4}
    return _chosen("speed of bodies", "m/s", curves)


def _contacts(trace: Trace) -> list[Signal]:
    times, place = np.unique(trace.time, return_inverse=True)
    force = np.bincount(place, np.nan_to_num(column(trace, "force")), len(times)).astype(np.float64)
    points = np.bincount(place, minlength=len(times)).astype(np.float64)
    return [
        Signal("contact force, sum", "N", {"all contacts": (times, force)}),
        Signal("contacts", "points", {"all contacts": (times, points)}),
    ]


def _joints(record: SceneRecord, trace: Trace) -> list[Signal]:
    bodies = np.unique(column(trace, "body"))
    found = []
    for body in bodies:
        rows = column(trace, "body") == body
        part = Trace(trace.time[rows], trace.value[rows], trace.columns, trace.units)
        keyed = _split(part, "joint", column(part, "position"))
        curves = {f"joint {int(k) + 1}": curve for k, curve in keyed.items()}
        found.append(_chosen(f"joints of {_body(record, body)}", "rad or m", curves))
    return found


def _cameras(record: SceneRecord, trace: Trace) -> list[Signal]:
    names = {frame: camera.name for frame, camera in distinct_cameras(record)}
    found = []
    for frame in np.unique(column(trace, "frame")):
        rows = column(trace, "frame") == frame
        if rows.sum() < 2:
            continue
        curves = {c: (trace.time[rows], column(trace, c)[rows]) for c in ("x", "y", "z")}
        found.append(Signal(f"camera {names.get(int(frame), int(frame))}", "m", curves))
    return found


def _returns(name: str, trace: Trace) -> Signal:
    scans, first, counts = np.unique(column(trace, "scan"), return_index=True, return_counts=True)
    curves = {name: (trace.time[first], counts.astype(np.float64))} if len(scans) > 1 else {}
    return Signal(f"{name}, returns of a scan", "points", curves)


def _plain(name: str, trace: Trace) -> list[Signal]:
    units: dict[str, dict[str, Curve]] = {}
    for k, (title, unit) in enumerate(zip(trace.columns, trace.units, strict=True)):
        if unit != "index":
            units.setdefault(unit, {})[title] = (trace.time, trace.value[:, k])
    return [_chosen(name, unit, curves) for unit, curves in units.items()]


def _split(trace: Trace, key: str, value: NDArray[np.float64]) -> dict[float, Curve]:
    keys = column(trace, key)
    return {float(k): (trace.time[keys == k], value[keys == k]) for k in np.unique(keys)}


def _chosen(title: str, unit: str, curves: dict[str, Curve]) -> Signal:
    spans = {name: float(np.ptp(v[np.isfinite(v)])) if np.isfinite(v).any() else 0.0 for name, (_, v) in curves.items()}
    ranked = sorted(curves, key=lambda name: -spans[name] if spans[name] > _STILL else 0.0)[:MOST_CURVES]
    kept = {name: curve for name, curve in curves.items() if name in ranked}
    return Signal(title, unit, kept, len(curves) - len(kept))


def _body(record: SceneRecord, index: float) -> str:
    k = int(index)
    return record.bodies[k].name if 0 <= k < len(record.bodies) else f"body {k}"

"""Comparisons of many texels of a shadow map with the plane of one surface, a vector at a time.

A vector is the same tap of many fragments or all taps of one, so that nothing between the place in the map and what is
found there is written to memory. For colour only: sums are in any order.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from simgen.render.raster.simd import spread, vector

SEARCH_TAPS = 8
FILTER_TAPS = 16
GROUP = 16
"""Fragments that are compared together."""
_TENT = 4  # texels along the side of the square that a tent is over

_F32, _I64, _I32 = ir.FloatType(), ir.IntType(64), ir.IntType(32)
_RELAXED = ("contract", "reassoc")


def _call(builder: Any, name: str, result: Any, arguments: Any, relaxed: bool = False) -> Any:
    """Call LLVM's function ``name``."""
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(result, [argument.type for argument in arguments]), name
    )
    return builder.call(function, arguments, fastmath=_RELAXED if relaxed else ())


def _constants(values: Any) -> Any:
    values = [float(value) for value in values]
    return ir.Constant(vector(_F32, len(values)), values)


def _sum(builder: Any, values: Any) -> Any:
    count = values.type.count
    zero = ir.Constant(_F32, 0.0)
    return _call(builder, f"llvm.vector.reduce.fadd.v{count}f32", _F32, [zero, values], relaxed=True)


class _Lanes:
    """Arithmetic on vectors of ``count`` float32, scalars being spread over them."""

    def __init__(self, builder: Any, count: int) -> None:
        self.builder, self.count = builder, count
        self.type = vector(_F32, count)

    def _spread(self, value: Any) -> Any:
        return value if isinstance(value.type, ir.VectorType) else spread(self.builder, value, self.count)

    def add(self, a: Any, b: Any) -> Any:
        return self.builder.fadd(self._spread(a), self._spread(b), flags=_RELAXED)

    def subtract(self, a: Any, b: Any) -> Any:
        return self.builder.fsub(self._spread(a), self._spread(b), flags=_RELAXED)

    def multiply(self, a: Any, b: Any) -> Any:
        return self.builder.fmul(self._spread(a), self._spread(b), flags=_RELAXED)

    def clamp(self, a: Any, last: Any) -> Any:
        """``a`` between 0 and ``last``; 0 where it is not a number."""
        zero, last = ir.Constant(self.type, [0.0] * self.count), self._spread(last)
        a = self.builder.select(self.builder.fcmp_ordered(">", a, zero), a, zero)
        return self.builder.select(self.builder.fcmp_ordered("<", a, last), a, last)

    def floor(self, a: Any) -> Any:
        return _call(self.builder, f"llvm.floor.v{self.count}f32", self.type, [a])


def _data(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    return context.make_array(kind)(context, builder, array).data


def _load(builder: Any, data: Any, at: Any, count: int) -> Any:
    place = builder.bitcast(builder.gep(data, [at]), vector(_F32, count).as_pointer())
    return builder.load(place, align=4)


def _fetch(builder: Any, texels: Any, at: Any) -> Any:
    """The ``texels`` at each lane of ``at``."""
    count = at.type.count
    found = ir.Constant(vector(_F32, count), ir.Undefined)
    for k in range(count):
        lane = ir.Constant(_I32, k)
        texel = builder.load(builder.gep(texels, [builder.zext(builder.extract_element(at, lane), _I64)]))
        found = builder.insert_element(found, texel, lane)
    return found


def _compare(builder: Any, lanes: _Lanes, texels: Any, start: Any, side: Any, disc: Any, place: Any) -> Any:
    """The texels at points of a disc, and which of them the plane of a surface is not below.

    ``disc`` has the place of points in the unit disc, the cosine and the sine that turn it and its radii; ``place``
    where it is in the map, the value of the plane there and how that changes from texel to texel.
    """
    px, py, c, s, rx, ry = disc
    u, v, value, du, dv = place
    half = ir.Constant(lanes.type, [0.5] * lanes.count)
    across = lanes.subtract(lanes.multiply(px, c), lanes.multiply(py, s))
    along = lanes.add(lanes.multiply(px, s), lanes.multiply(py, c))
    last = builder.sitofp(builder.sub(side, ir.Constant(_I32, 1)), _F32)
    x = lanes.floor(lanes.add(lanes.multiply(across, rx), lanes.add(u, half)))
    y = lanes.floor(lanes.add(lanes.multiply(along, ry), lanes.add(v, half)))
    x, y = lanes.clamp(x, last), lanes.clamp(y, last)
    integers = vector(_I32, lanes.count)
    at = builder.mul(builder.fptosi(y, integers), spread(builder, side, lanes.count))
    at = builder.add(builder.add(at, builder.fptosi(x, integers)), spread(builder, start, lanes.count))
    found = _fetch(builder, texels, at)
    steps = lanes.add(lanes.multiply(lanes.subtract(x, u), du), lanes.multiply(lanes.subtract(y, v), dv))
    return found, builder.fcmp_ordered(">=", lanes.add(steps, value), found)


def _search_discs(
    typingctx: Any, texels: Any, start: Any, side: Any, discs: Any, q: Any, u: Any, v: Any, value: Any, du: Any,
    dv: Any, c: Any, s: Any, rx: Any, ry: Any, lit: Any, blocked: Any,
) -> Any:  # fmt: skip
    """Compare SEARCH_TAPS points of a disc around each of GROUP fragments, whose values stand in ``q``.

    The map of ``side`` squared ``texels`` begins at ``start``. The points are pairs at the beginning of ``discs``,
    turned by the cosine ``c`` and the sine ``s``, scaled by ``rx`` and ``ry``, around (``u``, ``v``); the plane of the
    surface has the ``value`` there and changes by ``du`` and ``dv`` from texel to texel. ``lit`` takes how many points
    it is not below, ``blocked`` the sum of the others' values.
    """
    signature = types.void(texels, types.int32, types.int32, discs, q, *[types.int64] * 11)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        texels, start, side, discs, q, u, v, value, du, dv, c, s, rx, ry, lit, blocked = arguments
        texels = _data(context, builder, signature.args[0], texels)
        discs = _data(context, builder, signature.args[3], discs)
        q = _data(context, builder, signature.args[4], q)
        lanes = _Lanes(builder, GROUP)
        place = [_load(builder, q, at, GROUP) for at in (u, v, value, du, dv)]
        turn = [_load(builder, q, at, GROUP) for at in (c, s, rx, ry)]
        zero, one = (ir.Constant(lanes.type, [k] * GROUP) for k in (0.0, 1.0))
        count, total = zero, zero
        for k in range(SEARCH_TAPS):
            px, py = (builder.load(builder.gep(discs, [ir.Constant(_I64, 2 * k + n)])) for n in (0, 1))
            found, clear = _compare(builder, lanes, texels, start, side, (px, py, *turn), place)
            count = lanes.add(count, builder.select(clear, one, zero))
            total = lanes.add(total, builder.select(clear, zero, found))
        for at, result in ((lit, count), (blocked, total)):
            builder.store(result, builder.bitcast(builder.gep(q, [at]), lanes.type.as_pointer()), align=4)
        return context.get_dummy_value()

    return signature, generate


search_discs: Any = intrinsic(_search_discs)
"""``_search_discs``, as kernels call it: without the typing context."""


def _filter_disc(
    typingctx: Any, texels: Any, start: Any, side: Any, discs: Any, u: Any, v: Any, value: Any, du: Any, dv: Any,
    c: Any, s: Any, rx: Any, ry: Any,
) -> Any:  # fmt: skip
    """Share of the FILTER_TAPS points of a disc around one fragment that the plane of its surface is not below.

    The points are the pairs after those of ``_search_discs``, whose arguments these are, as numbers.
    """
    real = types.float32
    signature = real(texels, types.int32, types.int32, discs, *[real] * 9)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        texels, start, side, discs, u, v, value, du, dv, c, s, rx, ry = arguments
        texels = _data(context, builder, signature.args[0], texels)
        discs = _data(context, builder, signature.args[3], discs)
        pairs = _load(builder, discs, ir.Constant(_I64, 2 * SEARCH_TAPS), 2 * FILTER_TAPS)
        nothing = ir.Constant(pairs.type, ir.Undefined)
        px, py = (
            builder.shuffle_vector(
                pairs, nothing, ir.Constant(vector(_I32, FILTER_TAPS), list(range(k, 2 * FILTER_TAPS, 2)))
            )
            for k in (0, 1)
        )
        lanes = _Lanes(builder, FILTER_TAPS)
        _, clear = _compare(builder, lanes, texels, start, side, (px, py, c, s, rx, ry), (u, v, value, du, dv))
        bits = builder.bitcast(clear, ir.IntType(FILTER_TAPS))
        count = builder.uitofp(_call(builder, f"llvm.ctpop.i{FILTER_TAPS}", bits.type, [bits]), _F32)
        return builder.fmul(count, ir.Constant(_F32, 1 / FILTER_TAPS))

    return signature, generate


filter_disc: Any = intrinsic(_filter_disc)
"""``_filter_disc``, as kernels call it: without the typing context."""


def _filter_tent(
    typingctx: Any, texels: Any, at: Any, side: Any, value: Any, du: Any, dv: Any, fx: Any, fy: Any
) -> Any:  # fmt: skip
    """Share of the 4 x 4 texels from ``at`` that the plane of a surface is not below, weighted as a tent over 3 x 3.

    The plane has ``value`` at the first of them and changes by ``du`` and ``dv`` from texel to texel; ``fx`` and ``fy``
    say how far the middle of the tent lies past the second one, in parts of a texel.
    """
    real = types.float32
    signature = real(texels, types.int64, types.int64, real, real, real, real, real)
    count = _TENT * _TENT
    columns = [k % _TENT for k in range(count)]
    rows = [k // _TENT for k in range(count)]

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        texels, at, side, value, du, dv, fx, fy = arguments
        texels = _data(context, builder, signature.args[0], texels)
        lanes = _Lanes(builder, count)
        parts = []
        for _ in range(_TENT):
            parts.append(_load(builder, texels, at, _TENT))
            at = builder.add(at, side)
        while len(parts) > 1:
            width = parts[0].type.count
            both = ir.Constant(vector(_I32, 2 * width), list(range(2 * width)))
            parts = [builder.shuffle_vector(a, b, both) for a, b in zip(parts[::2], parts[1::2], strict=True)]
        plane = lanes.add(
            lanes.add(lanes.multiply(_constants(columns), du), lanes.multiply(_constants(rows), dv)), value
        )

        def tent(places: Any, f: Any) -> Any:
            slope = _constants((k > 0) * (k == _TENT - 1) - (k == 0) for k in places)
            return lanes.add(lanes.multiply(slope, f), _constants(k < _TENT - 1 for k in places))

        weight = lanes.multiply(tent(columns, fx), tent(rows, fy))
        zero = ir.Constant(lanes.type, [0.0] * count)
        lit = builder.select(builder.fcmp_ordered(">=", plane, parts[0]), weight, zero)
        return builder.fmul(_sum(builder, lit), ir.Constant(_F32, 1 / (_TENT - 1) ** 2))

    return signature, generate


filter_tent: Any = intrinsic(_filter_tent)
"""``_filter_tent``, as kernels call it: without the typing context."""


def _mask_below(typingctx: Any, a: Any, i: Any, j: Any) -> Any:
    """Bits that say of GROUP float32 of ``a`` from ``i`` whether they are below those from ``j``."""
    signature = types.uint64(a, types.int64, types.int64)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        a, i, j = arguments
        a = _data(context, builder, signature.args[0], a)
        below = builder.fcmp_ordered("<", _load(builder, a, i, GROUP), _load(builder, a, j, GROUP))
        return builder.zext(builder.bitcast(below, ir.IntType(GROUP)), _I64)

    return signature, generate


mask_below: Any = intrinsic(_mask_below)
"""``_mask_below``, as kernels call it: without the typing context."""

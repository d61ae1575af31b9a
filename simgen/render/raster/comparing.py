"""Comparisons of many texels of a shadow map with the plane of one surface, a vector at a time.

All taps of a fragment are one vector, so that nothing between the place in the map and the share of the light is
written to memory. For colour only: sums are in any order.
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


def _compare_disc(taps: int) -> Any:
    def compare(
        typingctx: Any, texels: Any, start: Any, side: Any, discs: Any, first: Any, u: Any, v: Any, value: Any,
        du: Any, dv: Any, c: Any, s: Any, rx: Any, ry: Any,
    ) -> Any:  # fmt: skip
        """How many texels at points of a disc the plane of a surface is not below, and the sum of the others' values.

        The map of ``side`` squared ``texels`` begins at ``start``. The points are pairs from ``first`` of ``discs``,
        turned by the cosine ``c`` and the sine ``s``, scaled by ``rx`` and ``ry``, around (``u``, ``v``); the plane has
        the ``value`` there and changes by ``du`` and ``dv`` from texel to texel.
        """
        real = types.float32
        signature = types.Tuple((types.int64, real))(
            texels, types.int32, types.int32, discs, types.int64, *[real] * 9
        )  # fmt: skip

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            texels, start, side, discs, first, u, v, value, du, dv, c, s, rx, ry = arguments
            texels = _data(context, builder, signature.args[0], texels)
            discs = _data(context, builder, signature.args[3], discs)
            lanes = _Lanes(builder, taps)
            pairs = _load(builder, discs, first, 2 * taps)
            nothing = ir.Constant(pairs.type, ir.Undefined)
            px, py = (
                builder.shuffle_vector(pairs, nothing, ir.Constant(vector(_I32, taps), list(range(k, 2 * taps, 2))))
                for k in (0, 1)
            )
            half = ir.Constant(_F32, 0.5)
            across = lanes.subtract(lanes.multiply(px, c), lanes.multiply(py, s))
            along = lanes.add(lanes.multiply(px, s), lanes.multiply(py, c))
            last = builder.sitofp(builder.sub(side, ir.Constant(_I32, 1)), _F32)
            x = lanes.floor(lanes.add(lanes.multiply(across, rx), builder.fadd(u, half)))
            y = lanes.floor(lanes.add(lanes.multiply(along, ry), builder.fadd(v, half)))
            x, y = lanes.clamp(x, last), lanes.clamp(y, last)
            integers = vector(_I32, taps)
            at = builder.mul(builder.fptosi(y, integers), spread(builder, side, taps))
            at = builder.add(builder.add(at, builder.fptosi(x, integers)), spread(builder, start, taps))
            found = ir.Constant(lanes.type, ir.Undefined)
            for k in range(taps):
                lane = ir.Constant(_I32, k)
                texel = builder.load(builder.gep(texels, [builder.zext(builder.extract_element(at, lane), _I64)]))
                found = builder.insert_element(found, texel, lane)
            steps = lanes.add(lanes.multiply(lanes.subtract(x, u), du), lanes.multiply(lanes.subtract(y, v), dv))
            plane = lanes.add(steps, value)
            lit = builder.fcmp_ordered(">=", plane, found)
            bits = builder.bitcast(lit, ir.IntType(taps))
            count = builder.zext(_call(builder, f"llvm.ctpop.i{taps}", bits.type, [bits]), _I64)
            zero = ir.Constant(lanes.type, [0.0] * taps)
            blocked = _sum(builder, builder.select(lit, zero, found))
            return context.make_tuple(builder, signature.return_type, [count, blocked])

        return signature, generate

    return compare


search_disc: Any = intrinsic(_compare_disc(SEARCH_TAPS))
"""``_compare_disc`` with SEARCH_TAPS points, as kernels call it: without the typing context."""
filter_disc: Any = intrinsic(_compare_disc(FILTER_TAPS))
"""``_compare_disc`` with FILTER_TAPS points."""


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

GROUP = 16
"""Numbers that ``mask_below`` compares."""


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

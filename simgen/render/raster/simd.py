"""Vector instructions where LLVM's own vectorization does not reach: short runs of keys at any address.

Most triangles of a mesh cover a few samples a row. A loop over so few is not vectorized, so that its body is written as
operations on vectors of eight, which LLVM translates for any processor. Arithmetic is strict.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

WIDTH = 8
"""Keys at a time; buffers must be readable this far past their last key."""

_F64, _F32, _I64, _I32 = ir.DoubleType(), ir.FloatType(), ir.IntType(64), ir.IntType(32)


def vector(kind: Any, width: int = WIDTH) -> Any:
    """LLVM's type of ``width`` values of a ``kind``."""
    return ir.VectorType(kind, width)


def spread(builder: Any, value: Any, width: int = WIDTH) -> Any:
    """``value`` in all lanes."""
    nothing = ir.Constant(vector(value.type, width), ir.Undefined)
    first = builder.insert_element(nothing, value, ir.Constant(_I32, 0))
    return builder.shuffle_vector(first, nothing, ir.Constant(vector(_I32, width), [0] * width))


def _raise_keys(
    typingctx: Any, keys: Any, at: Any, count: Any, a: Any, x: Any, row: Any, low: Any, high: Any, below: Any
) -> Any:
    """Raise ``keys[at]`` and the next to the keys of a triangle there: the first ``count`` of eight, all if more.

    A key is float32 1 / z = ``a`` * (x, x + 1, ...) + ``row`` within ``low`` and ``high``, above the 32 bits ``below``.
    """
    real = types.float64
    signature = types.void(keys, types.int64, types.int64, real, real, real, real, real, types.uint64)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        keys, at, count, a, x, row, low, high, below = arguments
        start = builder.gep(context.make_array(signature.args[0])(context, builder, keys).data, [at])
        columns = builder.fadd(spread(builder, x), ir.Constant(vector(_F64), [float(k) for k in range(WIDTH)]))
        w = builder.fadd(builder.fmul(spread(builder, a), columns), spread(builder, row))
        low, high = spread(builder, low), spread(builder, high)
        w = builder.select(builder.fcmp_ordered(">", low, w), low, w)
        w = builder.select(builder.fcmp_ordered("<", high, w), high, w)
        bits = builder.bitcast(builder.fptrunc(w, vector(_F32)), vector(_I32))
        upper = builder.shl(builder.zext(bits, vector(_I64)), ir.Constant(vector(_I64), [32] * WIDTH))
        key = builder.or_(upper, spread(builder, below))
        inside = builder.icmp_signed("<", ir.Constant(vector(_I64), list(range(WIDTH))), spread(builder, count))
        key = builder.select(inside, key, ir.Constant(vector(_I64), [0] * WIDTH))
        place = builder.bitcast(start, vector(_I64).as_pointer())
        old = builder.load(place, align=8)
        builder.store(builder.select(builder.icmp_unsigned(">", key, old), key, old), place, align=8)
        return context.get_dummy_value()

    return signature, generate


raise_keys: Any = intrinsic(_raise_keys)
"""``_raise_keys``, as kernels call it: without the typing context."""

TEXELS = 16
"""Texels of a shadow map at a time; its buffer must be readable this far past its last texel."""


def _raise_texels(typingctx: Any, texels: Any, at: Any, count: Any, a: Any, value: Any) -> Any:
    """Raise ``texels[at]`` and the next to ``value`` + ``a`` * (0, 1, ...): the first ``count`` of TEXELS, all if more.

    ``texels`` and the values are float32.
    """
    signature = types.void(texels, types.int64, types.int64, types.float32, types.float32)
    reals = vector(_F32, TEXELS)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        texels, at, count, a, value = arguments
        start = builder.gep(context.make_array(signature.args[0])(context, builder, texels).data, [at])
        steps = ir.Constant(reals, [float(k) for k in range(TEXELS)])
        found = builder.fadd(builder.fmul(spread(builder, a, TEXELS), steps), spread(builder, value, TEXELS))
        lanes = ir.Constant(vector(_I32, TEXELS), list(range(TEXELS)))
        inside = builder.icmp_signed("<", lanes, spread(builder, builder.trunc(count, _I32), TEXELS))
        place = builder.bitcast(start, reals.as_pointer())
        old = builder.load(place, align=4)
        higher = builder.and_(inside, builder.fcmp_ordered(">", found, old))
        builder.store(builder.select(higher, found, old), place, align=4)
        return context.get_dummy_value()

    return signature, generate


raise_texels: Any = intrinsic(_raise_texels)
"""``_raise_texels``, as kernels call it: without the typing context."""

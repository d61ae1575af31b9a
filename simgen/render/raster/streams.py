"""Streams from and to memory: reading ahead, and writing past the caches.

A stage reads a block of one array, then of the next, of the next ...: too short a stretch of each for the processor to
notice that it will go on. It is told what comes next instead.

The images of a batch are larger than the caches, and what is written first is read last. An ordinary store reads the
line of memory that it fills and pushes something else out of the caches, which takes longer than computing the labels
does; a store marked as not temporal does neither. Such stores fill whole lines, so that the channels of a pixel are
laid side by side in registers.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from simgen.render.raster.jit import ix, strict_part
from simgen.render.raster.scratch import LINE

_I32, _I64 = ir.IntType(32), ir.IntType(64)
_BYTES = ir.IntType(8).as_pointer()
_TO_READ, _NEAR, _DATA = 0, 3, 1
"""What LLVM's instruction to prefetch is told."""


def _element(context: Any, builder: Any, kind: Any, array: Any, at: Any) -> Any:
    """The place of an element of a flat array."""
    return builder.gep(context.make_array(kind)(context, builder, array).data, [at])


def _address(typingctx: Any, array: Any, at: Any) -> Any:
    """The address of ``array[at]``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ptrtoint(_element(context, builder, signature.args[0], *arguments), _I64)

    return types.int64(array, types.int64), generate


def _fence(typingctx: Any) -> Any:
    """What was written so far is seen by other processors before what is written later."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), generate


def _prefetch(typingctx: Any, array: Any, at: Any) -> Any:
    """Fetch the line of ``array[at]`` into the caches; places past the end do no harm."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = builder.bitcast(_element(context, builder, signature.args[0], *arguments), _BYTES)
        kind = ir.FunctionType(ir.VoidType(), [_BYTES, _I32, _I32, _I32])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [place, *(ir.Constant(_I32, k) for k in (_TO_READ, _NEAR, _DATA))])
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


def _interleave(builder: Any, lines: list[Any], k: int, lanes: int) -> Any:
    """Line ``k`` of what comes of laying the values of ``lines`` side by side."""
    places = [divmod(k * lanes + i, len(lines)) for i in range(lanes)]  # lane and channel of each value
    mixed = lines[0]
    for channel, line in enumerate(lines):
        order = [lanes + lane if at == channel else i for i, (lane, at) in enumerate(places)]
        mixed = builder.shuffle_vector(mixed, line, ir.Constant(ir.VectorType(_I32, lanes), order))
    return mixed


def _stream(channels: int) -> Any:
    """Make the function that writes values of as many channels."""

    def stream(typingctx: Any, out: Any, to: Any, values: Any, at: Any, step: Any) -> Any:
        """Fill the lines from ``out[to]`` on with the values of all channels in turn, ``step`` apart from ``at`` on."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            out, to, values, at, step = arguments
            place = _element(context, builder, signature.args[0], out, to)
            size = signature.args[0].dtype.bitwidth // 8
            lanes = LINE // size
            line = ir.VectorType(place.type.pointee, lanes).as_pointer()
            lines = []
            for _ in range(channels):
                source = _element(context, builder, signature.args[2], values, at)
                lines.append(builder.load(builder.bitcast(source, line), align=size))
                at = builder.add(at, step)
            mark = builder.module.add_metadata([ir.Constant(_I32, 1)])
            place = builder.bitcast(place, line)
            for k in range(channels):
                target = builder.gep(place, [ir.Constant(_I64, k)])
                builder.store(_interleave(builder, lines, k, lanes), target, align=LINE).set_metadata(
                    "nontemporal", mark
                )
            return context.get_dummy_value()

        return types.void(out, types.int64, values, types.int64, types.int64), generate

    return intrinsic(stream)


_address_of: Any = intrinsic(_address)
_stream_1, _stream_2, _stream_3 = _stream(1), _stream(2), _stream(3)
_prefetch_line: Any = intrinsic(_prefetch)
fence: Any = intrinsic(_fence)
"""To be called once everything is written: other threads may be told of it then."""


@strict_part
def read_ahead(array: Any, first: int, n: int) -> None:
    """Start to fetch ``n`` elements of ``array`` from ``first`` on."""
    for k in range(first, first + n, LINE // array.itemsize):
        _prefetch_line(array, k)


@strict_part
def write_1(start: int, n: int, values: Any, at: int, out: Any) -> None:
    """The ``n`` elements from ``out[start]`` on take ``values[at]`` and the next."""
    k: Any = 0
    while k < n and _address_of(out, start + k) % LINE != 0:
        out[ix(start + k)] = values[ix(at + k)]
        k += 1
    lanes = LINE // out.itemsize
    while k + lanes <= n:
        _stream_1(out, start + k, values, at + k, 0)
        k += lanes
    while k < n:
        out[ix(start + k)] = values[ix(at + k)]
        k += 1


@strict_part
def write_2(start: int, n: int, values: Any, at: int, step: int, out: Any) -> None:
    """The ``n`` pairs from ``out[2 * start]`` on take ``values[at]`` and ``values[at + step]`` and the next."""
    k: Any = 0
    while k < n and _address_of(out, 2 * (start + k)) % LINE != 0:
        out[ix(2 * (start + k))] = values[ix(at + k)]
        out[ix(2 * (start + k) + 1)] = values[ix(at + step + k)]
        k += 1
    lanes = LINE // out.itemsize
    while k + lanes <= n:
        _stream_2(out, 2 * (start + k), values, at + k, step)
        k += lanes
    while k < n:
        out[ix(2 * (start + k))] = values[ix(at + k)]
        out[ix(2 * (start + k) + 1)] = values[ix(at + step + k)]
        k += 1


@strict_part
def write_3(start: int, n: int, values: Any, at: int, step: int, out: Any) -> None:
    """The ``n`` triples from ``out[3 * start]`` on take ``values[at]``, ``[at + step]``, ``[at + 2 * step]``, ..."""
    k: Any = 0
    while k < n and _address_of(out, 3 * (start + k)) % LINE != 0:
        for c in range(3):
            out[ix(3 * (start + k) + c)] = values[ix(at + c * step + k)]
        k += 1
    lanes = LINE // out.itemsize
    while k + lanes <= n:
        _stream_3(out, 3 * (start + k), values, at + k, step)
        k += lanes
    while k < n:
        for c in range(3):
            out[ix(3 * (start + k) + c)] = values[ix(at + c * step + k)]
        k += 1

"""CONCATENATION along one axis."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, ClassVar

import numpy as np

from refsim.errors import ModelError, UnsupportedError
from refsim.graph import Array, Call, KernelCall, Operator, Rows, Shape, Slot, Tensor, Window
from refsim.int8ops.layout import four, places, window
from refsim.int8ops.numerics import Numerics
from refsim.int8ops.operand import has_type, same_quantisation

LARGEST_COUNT = 16  # inputs for which the C kernel has fields


@dataclass(frozen=True, slots=True)
class Attributes:
    axis: int  # from the front


@dataclass(frozen=True, slots=True)
class Part:
    """The place of one input: of every `group` output rows, `rows` from `start` on; `run` bytes at `offset` there."""

    start: int
    rows: int
    offset: int
    run: int


@dataclass(frozen=True, slots=True)
class Pieces:
    """How inputs interleave. Rows come in groups; a row is `blocks` blocks of `pitch` bytes."""

    groups: int
    group: int
    blocks: int
    pitch: int
    parts: tuple[Part, ...]


def pieces(call: Call) -> Pieces:
    axis = places(len(call.y.shape))[call.attributes.axis]
    tensors = [tensor for tensor in call.inputs if tensor is not None]
    if axis < 2:
        return _between_rows(call.y, tensors, axis)
    return _within_rows(call.y, tensors, axis)


def _between_rows(y: Tensor, tensors: Sequence[Tensor], axis: int) -> Pieces:
    rows = [math.prod(four(tensor.shape)[axis:2]) for tensor in tensors]
    starts = accumulate(rows[:-1], initial=0)
    parts = tuple(Part(start, count, 0, y.row_bytes) for start, count in zip(starts, rows, strict=True))
    return Pieces(math.prod(four(y.shape)[:axis]), sum(rows), 1, y.row_bytes, parts)


def _within_rows(y: Tensor, tensors: Sequence[Tensor], axis: int) -> Pieces:
    runs = [math.prod(four(tensor.shape)[axis:]) * y.itemsize for tensor in tensors]
    offsets = accumulate(runs[:-1], initial=0)
    parts = tuple(Part(0, y.rows, offset, run) for offset, run in zip(offsets, runs, strict=True))
    return Pieces(1, y.rows, math.prod(four(y.shape)[2:axis]), sum(runs), parts)


class Concatenation(Operator):
    """Source: kernels/concatenation.cc, which for int8 demands equal scales and zero points."""

    name = "concatenation"
    tflite = "CONCATENATION"
    most_operands = 16
    options: ClassVar[Mapping[str, Slot]] = {"axis": Slot(0, "int32"), "activation": Slot(1, "int8")}

    def attributes(
        self, options: Mapping[str, Any], inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]
    ) -> Attributes:
        if options["activation"] != 0:
            raise UnsupportedError("CONCATENATION with a fused activation: expected none")
        if not inputs or inputs[0] is None:
            raise ModelError("CONCATENATION without inputs: expected one or more")
        rank, axis = len(inputs[0].shape), int(options["axis"])
        if not -rank <= axis < rank:
            raise ModelError(f"CONCATENATION of '{inputs[0].name}' ({inputs[0]}) along axis {axis}: no such axis")
        return Attributes(axis % rank)

    def infer(self, inputs: Sequence[Tensor | None], attributes: Attributes) -> tuple[Shape, ...]:
        shapes = [tensor.shape for tensor in inputs if tensor is not None]
        axis = attributes.axis
        if len({(len(s), s[:axis], s[axis + 1 :]) for s in shapes}) != 1 or len(shapes) != len(inputs):
            raise ModelError(f"CONCATENATION of {shapes} along axis {axis}: expected equal lengths on the other axes")
        return ((*shapes[0][:axis], sum(s[axis] for s in shapes), *shapes[0][axis + 1 :]),)

    def check(self, call: Call) -> None:
        if len(call.inputs) > LARGEST_COUNT:
            raise UnsupportedError(f"CONCATENATION of {len(call.inputs)} tensors: expected {LARGEST_COUNT} at most")
        has_type("CONCATENATION", call.y, "int8", "int32", "int64", "float32", "bool")
        for tensor in call.inputs:
            assert tensor is not None
            has_type("CONCATENATION", tensor, call.y.dtype)
            if call.y.dtype == "int8":
                same_quantisation("CONCATENATION", tensor, call.y)
        places(len(call.y.shape))

    def reference(self, call: Call, values: Sequence[Array | None], numerics: Numerics) -> tuple[Array, ...]:
        given = [value for value in values if value is not None]
        return (np.concatenate(given, axis=call.attributes.axis),)

    def input_rows(self, call: Call, index: int, rows: Rows) -> Rows:
        layout = pieces(call)
        part = layout.parts[index]

        def before(row: int) -> int:
            """Rows of the input that lie before an output row."""
            group, within = divmod(row, layout.group)
            return group * part.rows + min(max(within - part.start, 0), part.rows)

        return before(rows[0]), before(rows[1])

    def is_view(self, call: Call) -> bool:
        return len(call.inputs) == 1

    def inputs_within(self, call: Call) -> tuple[Window | None, ...]:
        axis, at, found = call.attributes.axis, 0, []
        for tensor in call.inputs:
            assert tensor is not None
            begin = tuple(at if i == axis else 0 for i in range(len(tensor.shape)))
            found.append(window(tensor, call.y, begin, tensor.shape) if tensor.data is None else None)
            at += tensor.shape[axis]
        return tuple(found)

    def lower(self, call: Call, numerics: Numerics) -> KernelCall:
        layout = pieces(call)
        literals = {"groups": layout.groups, "group": layout.group, "blocks": layout.blocks, "pitch": layout.pitch}
        for i, part in enumerate(layout.parts):
            literals |= {f"start{i}": part.start, f"rows{i}": part.rows, f"offset{i}": part.offset, f"run{i}": part.run}
        data = {i: tensor.data for i, tensor in enumerate(call.inputs) if tensor is not None}
        constants = {f"w{i}": array.reshape(-1).view(np.int8) for i, array in data.items() if array is not None}
        views = tuple(None if array is not None else f"x{i}" for i, array in data.items())
        return KernelCall("concatenation", views, literals=literals, constants=constants)


OPERATOR = Concatenation()

"""RESHAPE: the same bytes under another shape."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from refsim.errors import ModelError
from refsim.graph import Array, Call, KernelCall, Operator, Rows, Shape, Slot, Tensor
from refsim.int8ops.numerics import Numerics
from refsim.int8ops.operand import constant, has_type


@dataclass(frozen=True, slots=True)
class Attributes:
    shape: Shape  # one axis may be -1: what the others leave


def resolve(shape: Shape, elements: int) -> Shape:
    """The shape with its -1 filled in. Raises ModelError when it does not hold `elements`."""
    known = math.prod(length for length in shape if length != -1)
    filled = tuple(elements // max(known, 1) if length == -1 else length for length in shape)
    if shape.count(-1) > 1 or min(filled, default=0) < 0 or math.prod(filled) != elements:
        raise ModelError(f"RESHAPE of {elements} elements to {shape}: expected a shape of as many, one axis -1 at most")
    return filled


class Reshape(Operator):
    """The shape is the second input where that is constant, else the option, else the output's own."""

    name = "reshape"
    tflite = "RESHAPE"
    options: ClassVar[Mapping[str, Slot]] = {"new_shape": Slot(0, "int32[]", ())}

    def attributes(
        self, options: Mapping[str, Any], inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]
    ) -> Attributes:
        assert inputs[0] is not None
        given = inputs[1] if len(inputs) > 1 else None
        shape = tuple(int(length) for length in options["new_shape"])
        if given is not None and given.data is not None:
            shape = constant("RESHAPE", "shape", inputs, 1)
        elif outputs and (given is not None or not shape):
            shape = outputs[0].shape
        return Attributes(resolve(shape, inputs[0].elements))

    def operands(self, inputs: Sequence[int]) -> tuple[int, ...]:
        return tuple(inputs[:1])

    def infer(self, inputs: Sequence[Tensor | None], attributes: Attributes) -> tuple[Shape, ...]:
        assert inputs[0] is not None
        return (resolve(attributes.shape, inputs[0].elements),)

    def check(self, call: Call) -> None:
        has_type("RESHAPE", call.y, call.x.dtype)

    def reference(self, call: Call, values: Sequence[Array | None], numerics: Numerics) -> tuple[Array, ...]:
        assert values[0] is not None
        return (values[0].reshape(call.y.shape),)

    def input_rows(self, call: Call, index: int, rows: Rows) -> Rows:
        row, begin, end = call.x.row_bytes, rows[0] * call.y.row_bytes, rows[1] * call.y.row_bytes
        return begin // row, -(-end // row)

    def is_view(self, call: Call) -> bool:
        return True

    def lower(self, call: Call, numerics: Numerics) -> KernelCall:
        """A copy, for Programs in which the two cannot share their bytes."""
        return KernelCall("reshape", ("x",), literals={"in_bytes": call.x.row_bytes, "out_bytes": call.y.row_bytes})


OPERATOR = Reshape()

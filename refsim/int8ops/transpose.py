"""TRANSPOSE of up to four axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from refsim.errors import ModelError
from refsim.graph import Array, Call, KernelCall, Operator, Rows, Shape, Tensor
from refsim.int8ops.layout import Walk, places, walk
from refsim.int8ops.numerics import Numerics
from refsim.int8ops.operand import constant, has_type


@dataclass(frozen=True, slots=True)
class Attributes:
    perm: tuple[int, ...]  # output axis -> input axis


def steps(call: Call) -> Walk:
    return walk(call.x.shape, call.y.shape, call.attributes.perm)


class Transpose(Operator):
    """y[i0, i1, ...] = x at the index whose axis perm[k] is ik (kernels/transpose.cc)."""

    name = "transpose"
    tflite = "TRANSPOSE"

    def attributes(
        self, options: Mapping[str, Any], inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]
    ) -> Attributes:
        assert inputs[0] is not None
        perm = constant("TRANSPOSE", "permutation", inputs, 1)
        if sorted(perm) != list(range(len(inputs[0].shape))):
            raise ModelError(f"TRANSPOSE of '{inputs[0].name}' ({inputs[0]}) by {perm}: expected each axis once")
        return Attributes(perm)

    def operands(self, inputs: Sequence[int]) -> tuple[int, ...]:
        return tuple(inputs[:1])

    def infer(self, inputs: Sequence[Tensor | None], attributes: Attributes) -> tuple[Shape, ...]:
        x = inputs[0]
        assert x is not None
        return (tuple(x.shape[axis] for axis in attributes.perm),)

    def check(self, call: Call) -> None:
        has_type("TRANSPOSE", call.x, "int8", "int16", "float32")
        has_type("TRANSPOSE", call.y, call.x.dtype)
        places(len(call.x.shape))

    def reference(self, call: Call, values: Sequence[Array | None], numerics: Numerics) -> tuple[Array, ...]:
        assert values[0] is not None
        return (np.ascontiguousarray(values[0].transpose(call.attributes.perm)),)

    def input_rows(self, call: Call, index: int, rows: Rows) -> Rows:
        return steps(call).rows_of(rows)

    def is_view(self, call: Call) -> bool:
        moved = [axis for axis in call.attributes.perm if call.x.shape[axis] != 1]
        return moved == sorted(moved)

    def lower(self, call: Call, numerics: Numerics) -> KernelCall:
        return KernelCall("transpose", ("x",), literals=steps(call).literals(call.x.itemsize))


OPERATOR = Transpose()

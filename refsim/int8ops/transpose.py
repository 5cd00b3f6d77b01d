"""TRANSPOSE of up to four axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from refsim.errors import ModelError
from refsim.graph import Array, Call, KernelCall, Operator, Rows, Shape, Tensor
from refsim.int8ops.layout import Four, four, places
from refsim.int8ops.numerics import Numerics
from refsim.int8ops.operand import constant, has_type


@dataclass(frozen=True, slots=True)
class Attributes:
    perm: tuple[int, ...]  # output axis -> input axis


@dataclass(frozen=True, slots=True)
class Walk:
    """Where the output's elements lie in the input: what one step along each output axis [N, H, W, C] moves."""

    lengths: Four  # of the output
    rows: Four  # input rows
    columns: Four  # elements within an input row


def walk(call: Call) -> Walk:
    at = places(len(call.x.shape))
    source = {at[out]: at[axis] for out, axis in enumerate(call.attributes.perm)}
    _, in_h, _, in_c = four(call.x.shape)
    rows, columns = (in_h, 1, 0, 0), (0, 0, in_c, 1)
    moved = [source.get(axis) for axis in range(4)]
    n, h, w, c = (0 if axis is None else rows[axis] for axis in moved)
    cn, ch, cw, cc = (0 if axis is None else columns[axis] for axis in moved)
    return Walk(four(call.y.shape), (n, h, w, c), (cn, ch, cw, cc))


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
        """From the first to the last row touched; those between need not all be."""
        if rows[0] >= rows[1]:
            return (0, 0)
        steps = walk(call)
        n, h = np.divmod(np.arange(*rows), steps.lengths[1])
        first = n * steps.rows[0] + h * steps.rows[1]
        reach = (steps.lengths[2] - 1) * steps.rows[2] + (steps.lengths[3] - 1) * steps.rows[3]
        return int(first.min()), int(first.max()) + reach + 1

    def is_view(self, call: Call) -> bool:
        moved = [axis for axis in call.attributes.perm if call.x.shape[axis] != 1]
        return moved == sorted(moved)

    def lower(self, call: Call, numerics: Numerics) -> KernelCall:
        steps, size = walk(call), call.x.itemsize
        (_, h, w, c), rows, columns = steps.lengths, steps.rows, steps.columns
        run = c * size if rows[3] == 0 and columns[3] == 1 else size
        literals = {
            **{"out_h": h, "out_w": w, "out_c": c * size // run, "run": run},
            **{f"rows_{axis}": step for axis, step in zip("nhwc", rows, strict=True)},
            **{f"bytes_{axis}": step * size for axis, step in zip("nhwc", columns, strict=True)},
        }
        return KernelCall("transpose", ("x",), literals=literals)


OPERATOR = Transpose()

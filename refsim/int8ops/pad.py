"""PAD with zeros: the output's zero point where it is quantised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from refsim.errors import ModelError
from refsim.graph import Array, Call, KernelCall, Operator, Rows, Shape, Tensor
from refsim.int8ops.layout import four, places, spread
from refsim.int8ops.numerics import Numerics
from refsim.int8ops.operand import constant, has_type, per_tensor


@dataclass(frozen=True, slots=True)
class Attributes:
    paddings: tuple[tuple[int, int], ...]  # elements (before, after) each axis


class Pad(Operator):
    """Source: kernels/pad.cc; bytes are copied even where the output's quantisation differs from the input's."""

    name = "pad"
    tflite = "PAD"

    def attributes(
        self, options: Mapping[str, Any], inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]
    ) -> Attributes:
        assert inputs[0] is not None
        flat = constant("PAD", "paddings", inputs, 1)
        if len(flat) != 2 * len(inputs[0].shape) or min(flat, default=0) < 0:
            raise ModelError(f"PAD of '{inputs[0].name}' ({inputs[0]}) by {flat}: expected two numbers >= 0 an axis")
        return Attributes(tuple(zip(flat[::2], flat[1::2], strict=True)))

    def operands(self, inputs: Sequence[int]) -> tuple[int, ...]:
        return tuple(inputs[:1])

    def infer(self, inputs: Sequence[Tensor | None], attributes: Attributes) -> tuple[Shape, ...]:
        assert inputs[0] is not None
        pairs = zip(inputs[0].shape, attributes.paddings, strict=True)
        return (tuple(before + length + after for length, (before, after) in pairs),)

    def check(self, call: Call) -> None:
        has_type("PAD", call.x, "int8", "int32", "float32")
        has_type("PAD", call.y, call.x.dtype)
        if call.y.dtype == "int8":
            per_tensor("PAD", call.y, "int8")
        places(len(call.x.shape))

    def reference(self, call: Call, values: Sequence[Array | None], numerics: Numerics) -> tuple[Array, ...]:
        assert values[0] is not None
        return (np.pad(values[0], call.attributes.paddings, constant_values=_fill(call)),)

    def input_rows(self, call: Call, index: int, rows: Rows) -> Rows:
        return _rows_before(call, rows[0]), _rows_before(call, rows[1])

    def is_view(self, call: Call) -> bool:
        return call.x.shape == call.y.shape

    def lower(self, call: Call, numerics: Numerics) -> KernelCall:
        rank, size = len(call.x.shape), call.x.itemsize
        pad_n, pad_h, pad_w, pad_c = spread(tuple(before for before, _ in call.attributes.paddings), rank, 0)
        in_n, in_h, in_w, in_c = four(call.x.shape)
        _, out_h, out_w, out_c = four(call.y.shape)
        literals = {
            **{"in_n": in_n, "in_h": in_h, "in_w": in_w, "in_bytes": in_c * size},
            **{"out_h": out_h, "out_w": out_w, "out_bytes": out_c * size},
            **{"pad_n": pad_n, "pad_h": pad_h, "pad_w": pad_w, "pad_bytes": pad_c * size},
            "fill": _fill(call),
        }
        return KernelCall("pad", ("x",), literals=literals)


def _fill(call: Call) -> int:
    return call.y.zero_point if call.y.dtype == "int8" else 0


def _rows_before(call: Call, row: int) -> int:
    """Input rows that lie before an output row."""
    in_n, in_h, _, _ = four(call.x.shape)
    _, out_h, _, _ = four(call.y.shape)
    pad_n, pad_h, _, _ = spread(tuple(before for before, _ in call.attributes.paddings), len(call.x.shape), 0)
    n, h = row // out_h - pad_n, row % out_h - pad_h
    whole = min(max(n, 0), in_n) * in_h
    return whole + (min(max(h, 0), in_h) if 0 <= n < in_n else 0)


OPERATOR = Pad()

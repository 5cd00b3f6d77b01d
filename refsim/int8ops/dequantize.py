"""DEQUANTIZE: int8 or uint8 to float32."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from refsim.graph import Array, Call, KernelCall, Operator, Rows, Shape, Tensor
from refsim.int8ops.numerics import Numerics
from refsim.int8ops.operand import has_type, per_tensor


class Dequantize(Operator):
    """y = scale * (q - zero_point), one rounding to float32.

    TFLite multiplies in float64 and rounds (reference/dequantize.h); that product is exact, so a float32
    multiplication gives the same bits.
    """

    name = "dequantize"
    tflite = "DEQUANTIZE"

    def infer(self, inputs: Sequence[Tensor | None], attributes: Any) -> tuple[Shape, ...]:
        assert inputs[0] is not None
        return (inputs[0].shape,)

    def check(self, call: Call) -> None:
        per_tensor("DEQUANTIZE", call.x, "int8", "uint8")
        has_type("DEQUANTIZE", call.y, "float32")

    def reference(self, call: Call, values: Sequence[Array | None], numerics: Numerics) -> tuple[Array, ...]:
        q = values[0]
        assert q is not None
        steps = (q.astype(np.int32) - call.x.zero_point).astype(np.float32)
        with np.errstate(over="ignore", under="ignore"):
            return (np.float32(call.x.scale) * steps,)

    def input_rows(self, call: Call, index: int, rows: Rows) -> Rows:
        return rows

    def lower(self, call: Call, numerics: Numerics) -> KernelCall:
        unsigned = call.x.dtype == "uint8"
        literals = {
            "elements": call.x.row_bytes,
            "scale": int(np.float32(call.x.scale).view(np.int32)),
            "zero_point": call.x.zero_point,
            "is_unsigned": int(unsigned),
        }
        return KernelCall("dequantize", ("x",), literals=literals)


OPERATOR = Dequantize()
